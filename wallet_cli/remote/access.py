"""A token for a user, by way of a server, which signs it with its secret."""

from __future__ import annotations

from collections.abc import Callable

from wallet_cli.domain.address import UserName
from wallet_cli.remote import RemoteLedger
from wallet_cli.remote.users import find_user
from wallet_cli.services.answers import Answer


def issue(
    ledger: RemoteLedger,
    name: UserName,
    expires_minutes: int | None,
    notify: Callable[[str], None],  # noqa: ARG001  (what is wrong with the secret was told where it is kept)
) -> Answer:
    user = find_user(ledger, name)
    body = {"user_id": user["id"], "expires_minutes": expires_minutes}
    issued: Answer = ledger.server.post("/tokens", body, again=True)
    return issued
