"""`wallet register`"""

from __future__ import annotations

from typing import Annotated

import typer

from wallet_cli.cli.output import Record
from wallet_cli.services import users
from wallet_cli.services.context import Ledger


def register(
    ledger: Ledger,
    phone: Annotated[
        str, typer.Argument(metavar="PHONE", help="A phone number: 9886977544, '+91 98869 77544'.", show_default=False)
    ],
    name: Annotated[str | None, typer.Option("--name", help="A name to show.", show_default=False)] = None,
    exist_ok: Annotated[bool, typer.Option("--exist-ok", help="Accept a user who is registered already.")] = False,
) -> Record:
    """Register a user by phone number."""
    return Record(users.register(ledger, phone, name, exist_ok=exist_ok))
