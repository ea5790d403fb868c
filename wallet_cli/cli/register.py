"""`wallet register` and `wallet users`"""

from __future__ import annotations

from typing import Annotated

import typer

from wallet_cli.cli.command import CursorOption, LimitOption
from wallet_cli.cli.output import Listing, Record, Style
from wallet_cli.services import pages
from wallet_cli.services import users as service
from wallet_cli.services.context import Ledger

COLUMNS = ("id", "phone_number", "phone_e164", "name", "created_at")


def register(
    ledger: Ledger,
    phone: Annotated[
        str, typer.Argument(metavar="PHONE", help="A phone number: 9886977544, '+91 98869 77544'.", show_default=False)
    ],
    name: Annotated[str | None, typer.Option("--name", help="A name to show.", show_default=False)] = None,
    exist_ok: Annotated[bool, typer.Option("--exist-ok", help="Accept a user who is registered already.")] = False,
) -> Record:
    """Register a user by phone number."""
    return Record(ledger.call(service.register, phone, name, exist_ok=exist_ok))


def users(ledger: Ledger, style: Style, limit: LimitOption = None, cursor: CursorOption = None) -> Listing:
    """List the users, in the order in which they registered."""
    if style.streams:
        return Listing(ledger.call(service.all_of, limit, cursor), COLUMNS)
    page = ledger.call(service.page_of, pages.DEFAULT_LIMIT if limit is None else limit, cursor)
    return Listing(page["users"], COLUMNS, page=page)
