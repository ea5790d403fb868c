"""`wallet create` (also `wallet wallet create`) and `wallet balance`"""

from __future__ import annotations

from typing import Annotated

import typer

from wallet_cli.cli.command import WalletArgument
from wallet_cli.cli.output import Record
from wallet_cli.domain.address import parse_wallet
from wallet_cli.services import wallets
from wallet_cli.services.context import Ledger


def create(
    ledger: Ledger,
    wallet: WalletArgument,
    currency: Annotated[
        str | None,
        typer.Option("--currency", metavar="C", help="ISO 4217, or CODE/N such as PTS/0.", show_default="the setting"),
    ] = None,
    minimum_balance: Annotated[
        str | None,
        typer.Option("--minimum-balance", metavar="AMOUNT", help="No debit goes below it.", show_default="the setting"),
    ] = None,
    exist_ok: Annotated[bool, typer.Option("--exist-ok", help="Accept a wallet that is there already.")] = False,
) -> Record:
    """Open a wallet; a user has at most one of each type."""
    return Record(wallets.create(ledger, parse_wallet(wallet), currency, minimum_balance, exist_ok=exist_ok))


def balance(
    ledger: Ledger,
    wallet: WalletArgument,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="The balance at the end of that time.", show_default="now"),
    ] = None,
) -> Record:
    """What a wallet holds, now or at a time past."""
    return Record(wallets.balance(ledger, parse_wallet(wallet), at), value="balance")
