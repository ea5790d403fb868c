"""What a ledger says of itself, by way of a server."""

from __future__ import annotations

from wallet_cli.remote import RemoteLedger
from wallet_cli.services.answers import Answer
from wallet_cli.services.ledgers import checked


def show(ledger: RemoteLedger) -> Answer:
    answer: Answer = ledger.server.get("/ledger")
    return answer | {"db": ledger.server.url}


def change(ledger: RemoteLedger, name: str, value: str) -> Answer:
    checked(name, value)
    # What is so already stays so: it may be sent again.
    answer: Answer = ledger.server.post("/ledger", {name: value}, again=True)
    return answer | {"db": ledger.server.url}
