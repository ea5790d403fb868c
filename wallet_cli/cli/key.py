"""`wallet key create`, `list` and `revoke`, and `wallet token`"""

from __future__ import annotations

from typing import Annotated

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.by_hand import Hand
from wallet_cli.cli.command import UserArgument, YesOption
from wallet_cli.cli.output import Listing, Record, notice
from wallet_cli.errors import shown

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="1 to 64 letters, digits, '_', '.' or '-'.", show_default=False)
]
COLUMNS = ("name", "read_only", "created_at", "last_used_at", "revoked_at")


def create(
    ledger: LedgerApi,
    name: NameArgument,
    read_only: Annotated[bool, typer.Option("--read-only", help="A key that may only read.")] = False,
) -> Record:
    """
    Examples:
        wallet key create shop
        wallet key create reports --read-only -q > reports.key
    """
    return Record(ledger.create_key(name, read_only=read_only), value="key", kind="key")


def list_(ledger: LedgerApi) -> Listing:
    """
    Examples:
        wallet key list
        wallet key list -q
    """
    rows = ledger.keys()
    return Listing(rows, COLUMNS, value="name", page={"keys": rows}, kind="key")


def revoke(ledger: LedgerApi, hand: Hand, name: NameArgument, yes: YesOption = False) -> Record:
    """
    Examples:
        wallet key revoke till
        wallet key revoke nobody                    # refused, as there is no such key (exit 3)
    """
    if not yes:
        hand.be_sure(f"Refuse the key {shown(name)} for good?")
    return Record(ledger.revoke_key(name), value="name", kind="key")


def token(
    ledger: LedgerApi,
    hand: Hand,
    user: UserArgument,
    expires: Annotated[
        int | None, typer.Option("--expires", metavar="MINUTES", help="How long it is valid.", show_default="5")
    ] = None,
) -> Record:
    """
    Examples:
        wallet token 9886977544 --expires 60
        wallet token 1 -q
    """
    name = hand.user_to_change(user)
    hand.agree("make a token for them")
    return Record(ledger.token(name, expires, notice), value="token")
