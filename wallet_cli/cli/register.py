"""`wallet register` and `wallet users`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.lists import AllOption, CursorOption, LimitOption, Part, listing
from wallet_cli.cli.output import Listing, Record, Style, notice
from wallet_cli.domain.ids import format_user
from wallet_cli.errors import shown


def register(
    ledger: LedgerApi,
    phone: Annotated[
        str, typer.Argument(metavar="PHONE", help="A phone number: 9886977544, '+91 98869 77544'.", show_default=False)
    ],
    name: Annotated[str | None, typer.Option("--name", help="A name to show.", show_default=False)] = None,
    exist_ok: Annotated[bool, typer.Option("--exist-ok", help="Accept a user who is registered already.")] = False,
) -> Record:
    """
    Examples:
        wallet register 9886977541 --name "Meera Iyer"
        wallet register '+44 20 7946 0018' -q
        wallet register 9886977544 --exist-ok       # registered already: prints who it is
        wallet register 9886977544                  # refused, as the number is taken (exit 5)
    """
    found = ledger.register(phone, name, exist_ok=exist_ok)
    if name is not None and found["name"] != name:
        stays = "has no name" if found["name"] is None else f"keeps the name {shown(found['name'])}"
        notice(f"user {found['id']} was registered before, and {stays}")
    return Record(found, value=_user, kind="user")


def users(
    ledger: LedgerApi,
    style: Style,
    text: Annotated[
        str | None,
        typer.Option("--text", help="Names and numbers that contain this; 3 digits or more.", show_default=False),
    ] = None,
    limit: LimitOption = None,
    cursor: CursorOption = None,
    all_: AllOption = False,
) -> Listing:
    """
    Examples:
        wallet users
        wallet users --all -o csv > users.csv
        wallet users -q | wc -l                     # how many there are
    """
    return listing(
        "users",
        style,
        Part(limit, cursor, all_),
        ledger.users(text),
        _user,
    )


def _user(answer: Mapping[str, Any]) -> str:
    """What `-q` prints: a USER, whatever its id."""
    return format_user(answer["id"])
