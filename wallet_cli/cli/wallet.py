"""What concerns a wallet as a whole: `wallet create` (also `wallet wallet create`), `list`, `balance`, `limits`,
`freeze`, `unfreeze` and `close`"""

from __future__ import annotations

from typing import Annotated

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.by_hand import Hand
from wallet_cli.cli.command import OptionalWalletArgument, WalletArgument, YesOption
from wallet_cli.cli.lists import AllOption, CursorOption, LimitOption, Part, listing
from wallet_cli.cli.output import Listing, Record, Style
from wallet_cli.domain.model import ACTIVE, CLOSED, FROZEN
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.wallets import NO_LIMIT

AtOption = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="The balance at the end of that time.", show_default="now")
]


def create(
    ledger: LedgerApi,
    hand: Hand,
    wallet: Annotated[
        str,
        typer.Argument(metavar="WALLET", help="USER or USER/TYPE: 9886977544, 1/savings.", show_default=False),
    ],
    currency: Annotated[
        str | None,
        typer.Option("--currency", metavar="C", help="ISO 4217, or CODE/N such as PTS/0.", show_default="the setting"),
    ] = None,
    minimum_balance: Annotated[
        str | None,
        typer.Option("--minimum-balance", metavar="AMOUNT", help="No debit goes below it.", show_default="the setting"),
    ] = None,
    exist_ok: Annotated[bool, typer.Option("--exist-ok", help="Accept a wallet that exists already.")] = False,
) -> Record:
    """
    Examples:
        wallet create 9886977545/savings
        wallet create 9886977544/travel --currency EUR --minimum-balance 20
        wallet create 9886977545/points --currency PTS/0     # a unit of your own, with no fraction
    """
    name = hand.new_wallet(wallet)
    minimum = None if minimum_balance is None else hand.minimum(minimum_balance, currency)
    hand.agree("open it")
    return _shown(ledger.create(name, currency, minimum, exist_ok=exist_ok))


def list_(
    ledger: LedgerApi,
    style: Style,
    hand: Hand,
    user: Annotated[
        str | None,
        typer.Argument(metavar="[USER]", help="Only this user's wallets: a phone number or id.", show_default="all"),
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
        ledger.wallets(None if user is None else hand.user(user)),
        "wallet",
    )


def balance(
    ledger: LedgerApi,
    hand: Hand,
    wallet: OptionalWalletArgument = None,
    at: AtOption = None,
) -> Record:
    """
    Examples:
        wallet balance 9886977544
        wallet balance 9886977544/savings -q        # the amount alone, for scripts
        wallet balance 9886977544 --at yesterday
    """
    return Record(ledger.balance(hand.wallet(wallet), at), value="balance", kind="balance")


def limits(
    ledger: LedgerApi,
    hand: Hand,
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
    if minimum_balance is maximum_balance is daily_debit is None:
        return _shown(ledger.balance(hand.wallet(wallet)), "limits")
    name = hand.wallet_to_change(wallet)

    def read(text: str | None) -> str | None:
        return text if text is None or text == NO_LIMIT else hand.amount(text, name)

    given = (read(minimum_balance), read(maximum_balance), read(daily_debit))
    hand.agree("set these limits")
    return _shown(ledger.set_limits(name, *given), "limits")


def freeze(ledger: LedgerApi, hand: Hand, wallet: WalletArgument) -> Record:
    """
    Examples:
        wallet freeze 9886977544
        wallet freeze 9886977544/savings --json
    """
    return _with_status(ledger, hand, wallet, FROZEN, "freeze it")


def unfreeze(ledger: LedgerApi, hand: Hand, wallet: WalletArgument) -> Record:
    """
    Examples:
        wallet unfreeze 9886977545
        wallet unfreeze 9886977544/savings -q       # one that is not frozen stays as it is
    """
    return _with_status(ledger, hand, wallet, ACTIVE, "unfreeze it")


def close(ledger: LedgerApi, hand: Hand, wallet: WalletArgument, yes: YesOption = False) -> Record:
    """
    Examples:
        wallet close 9886977544/savings
        wallet close 9886977544                     # refused while there is money in it (exit 4)
    """
    name = hand.wallet_to_change(wallet)
    if not yes:
        hand.show(name)
    hand.agree("close it for good")
    return _shown(ledger.set_status(name, CLOSED))


def _with_status(ledger: LedgerApi, hand: Hand, wallet: str, status: str, doing: str) -> Record:
    name = hand.wallet_to_change(wallet)
    hand.agree(doing)
    return _shown(ledger.set_status(name, status))


def _shown(answer: Answer, kind: str = "wallet") -> Record:
    return Record(answer, "wallet", kind=kind)
