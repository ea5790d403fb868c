"""`wallet audit`"""

from __future__ import annotations

from typing import Annotated

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.by_hand import Hand
from wallet_cli.cli.lists import AllOption, CursorOption, LimitOption, Part, listing
from wallet_cli.cli.output import Listing, Style

WhoseArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[WHOSE]",
        help="A USER with all their wallets, or a wallet: USER/TYPE or wN.",
        show_default="the whole ledger",
    ),
]


def audit(
    ledger: LedgerApi,
    style: Style,
    hand: Hand,
    whose: WhoseArgument = None,
    limit: LimitOption = None,
    cursor: CursorOption = None,
    all_: AllOption = False,
) -> Listing:
    """It has what is not a transaction: users, wallets, limits, holds, operator keys, settings, moves. `wallet history
    -o csv` says who made each transaction.

    Examples:
        wallet audit                                # what was done last, to anything
        wallet audit 9886977544                     # to this user and all their wallets
        wallet audit 9886977544/savings --json
        wallet audit --all -o csv > audit.csv
    """
    wallet, user = hand.wallet_or_user(whose)
    return listing("events", style, Part(limit, cursor, all_), ledger.audit(wallet, user))
