"""Operator keys, by way of a server."""

from __future__ import annotations

from wallet_cli.domain.address import check_operator_name
from wallet_cli.remote import RemoteLedger
from wallet_cli.services.answers import Answer


def create(ledger: RemoteLedger, name: str, *, read_only: bool = False) -> Answer:
    made: Answer = ledger.server.post("/keys", {"name": check_operator_name(name), "read_only": read_only})
    return made


def revoke(ledger: RemoteLedger, name: str) -> Answer:
    # A key that is revoked stays so, from the first time on: it may be sent again.
    revoked: Answer = ledger.server.post("/keys/revoke", {"name": check_operator_name(name)}, again=True)
    return revoked


def listed(ledger: RemoteLedger) -> list[Answer]:
    found: list[Answer] = ledger.server.get("/keys")
    return found
