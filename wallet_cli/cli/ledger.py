"""`wallet ledger show` and `set`"""

from __future__ import annotations

from typing import Annotated

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.by_hand import Hand
from wallet_cli.cli.output import Record
from wallet_cli.operations.wallets import NO_LIMIT

KeyArgument = Annotated[
    str,
    typer.Argument(metavar="KEY", help="currency, phone_region, minimum_balance or timezone.", show_default=False),
]
ValueArgument = Annotated[
    str,
    typer.Argument(
        metavar="VALUE",
        help="`none` leaves it to the program's default, except timezone.",
        show_default=False,
    ),
]


def show(ledger: LedgerApi) -> Record:
    """
    Examples:
        wallet ledger show
        wallet ledger show --json
    """
    return Record(ledger.facts(), kind="ledger")


def set_(ledger: LedgerApi, hand: Hand, key: KeyArgument, value: ValueArgument) -> Record:
    """
    Examples:
        wallet ledger set timezone Asia/Kolkata
        wallet ledger set minimum_balance none
    """
    if key == "minimum_balance" and value != NO_LIMIT:
        value = hand.minimum(value, ledger.facts()["currency"])
    return Record(ledger.change(key, value), value=key, kind="ledger")


# A minimum below 0 is no option.
set_.context_settings = {"ignore_unknown_options": True}  # type: ignore[attr-defined]
