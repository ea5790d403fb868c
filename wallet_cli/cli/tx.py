"""`wallet tx add`, `tx list`, `tx show`, `tx reverse` and `tx total`; `credit`, `debit`, `transfer`, `history`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Unpack

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.by_hand import Hand
from wallet_cli.cli.command import (
    NO_MORE,
    AmountArgument,
    FromOption,
    KeyOption,
    MoreOptions,
    NoteOption,
    OptionalWalletArgument,
    PartArgument,
    ToOption,
    WalletArgument,
    YesOption,
    remarks,
)
from wallet_cli.cli.lists import AllOption, CursorOption, LimitOption, Part, listing
from wallet_cli.cli.output import Listing, Record, Style
from wallet_cli.domain.ids import TypedWallet, WalletId, parse_transaction_id
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.operations.transactions import KINDS, Wanted

if TYPE_CHECKING:
    from wallet_cli.api import Entry

PostedWalletArgument = Annotated[
    str | None, typer.Argument(metavar="[WALLET]", help="USER, USER/TYPE or wN.", show_default="see `wallet use`")
]
PostedAmountArgument = Annotated[
    str | None, typer.Argument(metavar="AMOUNT", help="Greater than 0: 20, 19.99 or 1,000.", show_default=False)
]
CreditOption = Annotated[bool, typer.Option("--credit", help="Put money in.")]
DebitOption = Annotated[bool, typer.Option("--debit", help="Take money out.")]
AtOption = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="When it happened, if earlier.", show_default="now")
]
ResetOption = Annotated[
    bool, typer.Option("--reset-time", help="Set the wallet's time back to now, after a wrong clock put it ahead.")
]
KindOption = Annotated[str | None, typer.Option("--kind", help=f"One of {', '.join(KINDS)}.", show_default=False)]
LeastOption = Annotated[
    str | None, typer.Option("--min", metavar="AMOUNT", help="Amounts of at least this.", show_default=False)
]
MostOption = Annotated[
    str | None, typer.Option("--max", metavar="AMOUNT", help="Amounts of at most this.", show_default=False)
]
TextOption = Annotated[
    str | None, typer.Option("--text", help="Notes that contain this, in upper or lower case.", show_default=False)
]
KeyFilterOption = Annotated[
    str | None, typer.Option("--key", help="The transaction with this key.", show_default=False)
]

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="A transaction id: 1-17, the 17th of wallet 1.", show_default=False)
]


def add(
    ledger: LedgerApi,
    hand: Hand,
    wallet: WalletArgument,
    amount: AmountArgument,
    is_credit: CreditOption = False,
    debit: DebitOption = False,
    note: NoteOption = None,
    key: KeyOption = None,
    at: AtOption = None,
    more: MoreOptions = NO_MORE,
    reset_time: ResetOption = False,
) -> Record:
    """
    Examples:
        wallet tx add 9886977544 500 --credit --note Salary --key salary-2026-04
        wallet tx add 9886977544 120.50 --debit --note Groceries
        wallet tx add 9886977544 35 --debit --key order-1041 --json
        wallet tx add 9886977544 99999 --debit      # refused, as it has less (exit 4)
    """
    if is_credit == debit:
        raise InvalidInput("give one of --credit and --debit", hint="wallet tx add --help")
    return _post(ledger, hand, wallet, amount, note, more, is_credit=is_credit, key=key, at=at, reset_time=reset_time)


def credit(
    ledger: LedgerApi,
    hand: Hand,
    wallet: PostedWalletArgument = None,
    amount: PostedAmountArgument = None,
    note: NoteOption = None,
    key: KeyOption = None,
    at: AtOption = None,
    more: MoreOptions = NO_MORE,
    reset_time: ResetOption = False,
) -> Record:
    """An amount may be typed as people write it, if it can mean only one thing: `1,000`, `₹500`, `.5`.

    Examples:
        wallet credit 9886977544 500 --note Salary
        wallet credit 9886977544 1,250.50 --key salary-2026-04
        wallet credit 9886977544/savings 20 -q
    """
    return _post(ledger, hand, wallet, amount, note, more, is_credit=True, key=key, at=at, reset_time=reset_time)


def debit(
    ledger: LedgerApi,
    hand: Hand,
    wallet: PostedWalletArgument = None,
    amount: PostedAmountArgument = None,
    note: NoteOption = None,
    key: KeyOption = None,
    at: AtOption = None,
    more: MoreOptions = NO_MORE,
) -> Record:
    """
    Examples:
        wallet debit 9886977544 20.50 --note Tea
        wallet debit 9886977544 5 --key order-77 -q
        wallet debit 9886977544 100000              # refused: it has less (exit 4)
    """
    return _post(ledger, hand, wallet, amount, note, more, is_credit=False, key=key, at=at)


def _post(
    ledger: LedgerApi,
    hand: Hand,
    wallet: str | None,
    amount: str | None,
    note: str | None,
    more: MoreOptions,
    **entry: Unpack[Entry],
) -> Record:
    """Where one thing alone is given, it is the amount, and the wallet is that of `wallet use`."""
    name = hand.wallet_to_change(None if amount is None else wallet)
    entry["remarks"] = remarks(note, entry.get("key"), more)
    if amount is None:
        hand.must_be_amount(str(wallet))
    text = hand.amount(str(wallet) if amount is None else amount, name)
    hand.agree("credit" if entry["is_credit"] else "debit", text, name)
    return Record(ledger.add(name, text, **entry), kind="transaction")


def transfer(
    ledger: LedgerApi,
    hand: Hand,
    source: Annotated[str, typer.Argument(metavar="FROM", help="The wallet that is debited.", show_default=False)],
    target: Annotated[str, typer.Argument(metavar="TO", help="The wallet that is credited.", show_default=False)],
    amount: AmountArgument,
    note: NoteOption = None,
    key: KeyOption = None,
    more: MoreOptions = NO_MORE,
) -> Record:
    """
    Examples:
        wallet transfer 9886977544 9886977545 100 --note Rent
        wallet transfer 9886977544 9886977544/savings 50 --key saving-2026-04
    """
    out, into = hand.wallet_to_change(source), hand.wallet_to_change(target)
    said, amount = remarks(note, key, more), hand.amount(amount, out)
    hand.agree("transfer", amount, out, whose=f" from {shown(source)} to {shown(target)}")
    return Record(ledger.transfer(out, into, amount, remarks=said, key=key), kind="transfer")


def reverse(
    ledger: LedgerApi,
    hand: Hand,
    id_: IdArgument,
    amount: PartArgument = None,
    note: NoteOption = None,
    key: KeyOption = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Ignore the minimum balance and limits; the transaction is marked as forced."),
    ] = False,
    yes: YesOption = False,
    more: MoreOptions = NO_MORE,
) -> Record:
    """
    Examples:
        wallet tx reverse 1-2                       # all of it
        wallet tx reverse 1-2 20.50 --note "One pack was torn"
    """
    name, said = parse_transaction_id(id_), remarks(note, key, more)
    amount = None if amount is None else hand.part(amount, name)
    if not yes:
        amount = hand.show_reversal(name, amount)
    hand.agree("take back", amount, WalletId(name.wallet_id))
    return Record(ledger.reverse(name, amount, force=force, remarks=said, key=key), kind="transaction")


def show(ledger: LedgerApi, id_: IdArgument) -> Record:
    """
    Examples:
        wallet tx show 1-2
        wallet tx show 1-2 --json
    """
    return Record(ledger.transaction(parse_transaction_id(id_)), kind="transaction")


def list_(
    ledger: LedgerApi,
    style: Style,
    hand: Hand,
    wallet: OptionalWalletArgument = None,
    start: FromOption = None,
    end: ToOption = None,
    kind: KindOption = None,
    least: LeastOption = None,
    most: MostOption = None,
    text: TextOption = None,
    key: KeyFilterOption = None,
    limit: LimitOption = None,
    cursor: CursorOption = None,
    all_: AllOption = False,
) -> Listing:
    """
    Examples:
        wallet tx list 9886977544
        wallet tx list 9886977544 --from 2026-04-01 --to 2026-04-30 --kind debit
        wallet tx list 9886977544 --text groceries --min 100
        wallet tx list 9886977544 -o csv > transactions.csv
    """
    part = Part(limit, cursor, all_)
    return _of_wallet(ledger, style, hand, hand.wallet(wallet), start, end, Wanted(kind, least, most, text, key), part)


def history(
    ledger: LedgerApi,
    style: Style,
    hand: Hand,
    wallet: Annotated[
        str | None, typer.Argument(metavar="[WALLET]", help="Only this wallet.", show_default="all")
    ] = None,
    start: FromOption = None,
    end: ToOption = None,
    kind: KindOption = None,
    least: LeastOption = None,
    most: MostOption = None,
    text: TextOption = None,
    key: KeyFilterOption = None,
    limit: LimitOption = None,
    cursor: CursorOption = None,
    all_: AllOption = False,
) -> Listing:
    """With a WALLET, the same as `wallet tx list`; with none, the transactions of all wallets.

    Examples:
        wallet history                              # what happened last, in all wallets
        wallet history --from yesterday --kind debit
        wallet history 9886977544 --from 7d
        wallet history --text tea -o csv > tea.csv
    """
    wanted, part = Wanted(kind, least, most, text, key), Part(limit, cursor, all_)
    if wallet is not None:
        return _of_wallet(ledger, style, hand, hand.wallet(wallet), start, end, wanted, part)
    least, most = (None if text is None else hand.amount_anywhere(text) for text in (least, most))
    rows = ledger.history(start, end, wanted._replace(least=least, most=most))
    return listing("transactions", style, part, rows, csv="history")


def _of_wallet(
    ledger: LedgerApi,
    style: Style,
    hand: Hand,
    ref: TypedWallet,
    start: str | None,
    end: str | None,
    wanted: Wanted,
    part: Part,
) -> Listing:
    least, most = (None if text is None else hand.amount(text, ref) for text in (wanted.least, wanted.most))
    rows = ledger.transactions(ref, start, end, wanted._replace(least=least, most=most))
    return listing("transactions", style, part, rows)


def total(
    ledger: LedgerApi,
    hand: Hand,
    wallet: OptionalWalletArgument = None,
    start: FromOption = None,
    end: ToOption = None,
) -> Record:
    """
    Examples:
        wallet tx total 9886977544
        wallet tx total 9886977544 --from 2026-04-01 --to 2026-04-30
        wallet tx total 9886977544 --from 7d --json
    """
    return Record(ledger.total(hand.wallet(wallet), start, end), value="net", kind="total")
