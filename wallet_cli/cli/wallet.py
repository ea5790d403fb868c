"""What concerns a wallet as a whole: `wallet create` (also `wallet wallet create`), `list`, `balance`, `limits`,
`freeze`, `unfreeze` and `close`"""

from __future__ import annotations

from typing import Annotated

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.command import WalletArgument
from wallet_cli.cli.lists import AllOption, CursorOption, LimitOption, Part, listing
from wallet_cli.cli.output import Listing, Record, Style
from wallet_cli.domain.ids import format_wallet_id, parse_new_wallet, parse_user, parse_wallet
from wallet_cli.domain.model import ACTIVE, CLOSED, FROZEN
from wallet_cli.operations.answers import Answer

TABLE_COLUMNS = ("wallet", "status", "balance", "held", "available", "currency", "transactions")


def create(
    ledger: LedgerApi,
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
    """
    Examples:
        wallet create 9886977545/savings
        wallet create 9886977544/travel --currency EUR --minimum-balance 20
        wallet create 9886977545/points --currency PTS/0     # a unit of your own, with no fraction
    """
    name = parse_new_wallet(wallet)
    return _shown(ledger.create(name, currency, minimum_balance, exist_ok=exist_ok))


def list_(
    ledger: LedgerApi,
    style: Style,
    user: Annotated[
        str | None, typer.Argument(metavar="[USER]", help="One user's alone: a phone number or id.", show_default="all")
    ] = None,
    limit: LimitOption = None,
    cursor: CursorOption = None,
    all_: AllOption = False,
) -> Listing:
    """
    Examples:
        wallet list
        wallet list 9886977544                      # one user's
        wallet list -o csv > wallets.csv
    """
    return listing(
        "wallets",
        style,
        Part(limit, cursor, all_),
        TABLE_COLUMNS,
        ledger.wallets(None if user is None else parse_user(user)),
        "wallet",
    )


def balance(
    ledger: LedgerApi,
    wallet: WalletArgument,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="The balance at the end of that time.", show_default="now"),
    ] = None,
) -> Record:
    """
    Examples:
        wallet balance 9886977544
        wallet balance 9886977544/savings -q        # the amount alone, for scripts
        wallet balance 9886977544 --at 2026-04-30
    """
    return _shown(ledger.balance(parse_wallet(wallet), at), value="balance")


def limits(
    ledger: LedgerApi,
    wallet: WalletArgument,
    minimum_balance: Annotated[
        str | None,
        typer.Option("--minimum-balance", metavar="A", help="No debit goes below it; below 0, an overdraft."),
    ] = None,
    maximum_balance: Annotated[
        str | None, typer.Option("--maximum-balance", metavar="A", help="No credit goes above it.")
    ] = None,
    daily_debit: Annotated[
        str | None, typer.Option("--daily-debit", metavar="A", help="The most that debits of a day may take.")
    ] = None,
) -> Record:
    """
    Examples:
        wallet limits 9886977544                                 # shows them
        wallet limits 9886977544 --minimum-balance 20 --daily-debit 500
        wallet limits 9886977544 --maximum-balance none          # no such limit any more
    """
    name = parse_wallet(wallet)
    if minimum_balance is maximum_balance is daily_debit is None:
        return _shown(ledger.balance(name))
    return _shown(ledger.set_limits(name, minimum_balance, maximum_balance, daily_debit))


def freeze(ledger: LedgerApi, wallet: WalletArgument) -> Record:
    """
    Examples:
        wallet freeze 9886977544
        wallet freeze 9886977544/savings --json
    """
    return _shown(ledger.set_status(parse_wallet(wallet), FROZEN))


def unfreeze(ledger: LedgerApi, wallet: WalletArgument) -> Record:
    """
    Examples:
        wallet unfreeze 9886977545
        wallet unfreeze 9886977544/savings -q       # one that is not frozen stays as it is
    """
    return _shown(ledger.set_status(parse_wallet(wallet), ACTIVE))


def close(ledger: LedgerApi, wallet: WalletArgument) -> Record:
    """
    Examples:
        wallet close 9886977544/savings
        wallet close 9886977544                     # refused while there is money in it (exit 4)
    """
    return _shown(ledger.set_status(parse_wallet(wallet), CLOSED))


def _shown(answer: Answer, value: str = "wallet") -> Record:
    """A wallet; people get names of it that the next command takes."""
    card = {"wallet": answer["wallet"]} | answer | {"id": format_wallet_id(answer["id"])}
    return Record(answer, value, card=card)
