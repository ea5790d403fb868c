"""`wallet hold add`, `hold capture`, `hold void` and `hold list`"""

from __future__ import annotations

from typing import Annotated

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.by_hand import Hand
from wallet_cli.cli.command import (
    AmountArgument,
    KeyOption,
    NoteOption,
    OptionalWalletArgument,
    PartArgument,
    WalletArgument,
    remarks,
)
from wallet_cli.cli.lists import AllOption, CursorOption, LimitOption, Part, listing
from wallet_cli.cli.output import Listing, Record, Style
from wallet_cli.domain.ids import parse_hold_id
from wallet_cli.operations.holds import DEFAULT_EXPIRY

HoldArgument = Annotated[
    str, typer.Argument(metavar="HOLD", help="A hold id: 1-h3, the 3rd of wallet 1.", show_default=False)
]


def add(
    ledger: LedgerApi,
    hand: Hand,
    wallet: WalletArgument,
    amount: AmountArgument,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="How long it lasts: 90s, 15m, 12h, 7d, 2w.")
    ] = DEFAULT_EXPIRY,
    note: NoteOption = None,
    key: KeyOption = None,
) -> Record:
    """
    Examples:
        wallet hold add 9886977544 50 --note Taxi
        wallet hold add 9886977544 200 --expires 3d --key booking-77 -q
    """
    name = hand.wallet_to_change(wallet)
    remarks(note, key)
    amount = hand.amount(amount, name)
    hand.agree("hold", amount, name)
    return Record(ledger.hold(name, amount, expires, note=note, key=key), kind="hold")


def capture(
    ledger: LedgerApi,
    hand: Hand,
    hold: HoldArgument,
    amount: PartArgument = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep holding what is left; else it is released.")] = False,
    note: NoteOption = None,
    key: KeyOption = None,
) -> Record:
    """
    Examples:
        wallet hold capture 1-h1                    # all of it
        wallet hold capture 1-h1 42                 # a part; the rest is free again
        wallet hold capture 1-h1 30 --keep          # a part; the rest stays on hold
    """
    id_ = parse_hold_id(hold)
    remarks(note, key)
    amount = None if amount is None else hand.part(amount, id_)
    return Record(ledger.capture(id_, amount, keep=keep, note=note, key=key), kind="transaction")


def void(ledger: LedgerApi, hold: HoldArgument) -> Record:
    """
    Examples:
        wallet hold void 1-h1
        wallet hold void 1-h1 -q
    """
    return Record(ledger.void(parse_hold_id(hold)), kind="hold")


def list_(
    ledger: LedgerApi,
    style: Style,
    hand: Hand,
    wallet: OptionalWalletArgument = None,
    limit: LimitOption = None,
    cursor: CursorOption = None,
    all_: AllOption = False,
) -> Listing:
    """
    Examples:
        wallet hold list 9886977544
        wallet hold list 9886977544 --json
    """
    return listing(
        "holds",
        style,
        Part(limit, cursor, all_),
        ledger.holds(hand.wallet(wallet)),
    )
