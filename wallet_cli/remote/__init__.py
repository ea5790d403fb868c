"""A ledger on another machine: a `wallet serve` there answers the requests of commands (api.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wallet_cli.api import LedgerApi
from wallet_cli.errors import InvalidInput
from wallet_cli.settings import SERVER_SCHEMES, Settings


def sealed_there() -> InvalidInput:
    """Why no seal or receipt of a ledger on another machine is made or compared from here: its key is there."""
    return InvalidInput(
        "seals and receipts are made, and compared with the ledger, on the ledger's own machine",
        hint="run this where the ledger is",
    )


def is_remote(db: str) -> bool:
    """Whether the setting `db` names a server."""
    scheme, separator, _ = db.partition("://")
    return bool(separator) and scheme.lower() in SERVER_SCHEMES


@contextmanager
def open_remote(settings: Settings) -> Iterator[LedgerApi]:
    """The ledger at the address in the setting `db`. No connection is made before the first request.

    Raises InvalidInput for an address or a token that cannot be used.
    """
    try:
        from wallet_cli.remote.http import Server
        from wallet_cli.remote.ledger import RemoteLedger
    except ImportError as error:
        from wallet_cli.installing import missing

        raise missing("a remote ledger needs", error, "remote") from None
    with Server.of(settings) as server:
        yield RemoteLedger(settings, server)
