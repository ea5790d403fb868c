"""`wallet tx add`, `tx list`, `tx show`, `tx reverse` and `tx total`, and `wallet transfer`"""

from __future__ import annotations

from typing import Annotated

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.command import (
    AmountArgument,
    FromOption,
    KeyOption,
    MetaOption,
    NoteOption,
    PartArgument,
    ToOption,
    WalletArgument,
)
from wallet_cli.cli.lists import AllOption, CursorOption, LimitOption, Part, listing
from wallet_cli.cli.output import Listing, Record, Style
from wallet_cli.domain.ids import parse_transaction_id, parse_wallet
from wallet_cli.errors import InvalidInput
from wallet_cli.operations.transactions import KINDS, Wanted

TABLE_COLUMNS = ("id", "at", "kind", "amount", "balance", "note", "key")

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="A transaction id: 1-17, the 17th of wallet 1.", show_default=False)
]


def add(
    ledger: LedgerApi,
    wallet: WalletArgument,
    amount: AmountArgument,
    credit: Annotated[bool, typer.Option("--credit", help="Put money in.")] = False,
    debit: Annotated[bool, typer.Option("--debit", help="Take money out.")] = False,
    note: NoteOption = None,
    key: KeyOption = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="When it happened, if earlier.", show_default="now")
    ] = None,
    meta: MetaOption = None,
    reset_time: Annotated[
        bool, typer.Option("--reset-time", help="The last time is a wrong clock's, and ahead: go on from now.")
    ] = False,
) -> Record:
    """
    Examples:
        wallet tx add 9886977544 500 --credit --note Salary --key salary-2026-04
        wallet tx add 9886977544 120.50 --debit --note Groceries
        wallet tx add 9886977544 35 --debit --key order-1041 --json
        wallet tx add 9886977544 99999 --debit      # refused, as it has less (exit 4)
    """
    if credit == debit:
        raise InvalidInput("give one of --credit and --debit", hint="wallet tx add --help")
    name, pairs = parse_wallet(wallet), _pairs(meta)
    return Record(
        ledger.add(name, amount, is_credit=credit, note=note, key=key, at=at, meta=pairs, reset_time=reset_time)
    )


def transfer(
    ledger: LedgerApi,
    source: Annotated[str, typer.Argument(metavar="FROM", help="The wallet that is debited.", show_default=False)],
    target: Annotated[str, typer.Argument(metavar="TO", help="The wallet that is credited.", show_default=False)],
    amount: AmountArgument,
    note: NoteOption = None,
    key: KeyOption = None,
    meta: MetaOption = None,
) -> Record:
    """
    Examples:
        wallet transfer 9886977544 9886977545 100 --note Rent
        wallet transfer 9886977544 9886977544/savings 50 --key saving-2026-04
    """
    out, into = parse_wallet(source), parse_wallet(target)
    return Record(ledger.transfer(out, into, amount, note=note, key=key, meta=_pairs(meta)))


def reverse(
    ledger: LedgerApi,
    id_: IdArgument,
    amount: PartArgument = None,
    note: NoteOption = None,
    key: KeyOption = None,
    force: Annotated[bool, typer.Option("--force", help="Past floors and limits; recorded as such.")] = False,
    meta: MetaOption = None,
) -> Record:
    """
    Examples:
        wallet tx reverse 1-2                       # all of it
        wallet tx reverse 1-2 20.50 --note "One pack was torn"
    """
    name, pairs = parse_transaction_id(id_), _pairs(meta)
    return Record(ledger.reverse(name, amount, force=force, note=note, key=key, meta=pairs))


def show(ledger: LedgerApi, id_: IdArgument) -> Record:
    """
    Examples:
        wallet tx show 1-2
        wallet tx show 1-2 --json
    """
    return Record(ledger.transaction(parse_transaction_id(id_)))


def list_(
    ledger: LedgerApi,
    style: Style,
    wallet: WalletArgument,
    start: FromOption = None,
    end: ToOption = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help=f"One of {', '.join(KINDS)}.", show_default=False),
    ] = None,
    least: Annotated[
        str | None, typer.Option("--min", metavar="AMOUNT", help="Amounts from this on.", show_default=False)
    ] = None,
    most: Annotated[
        str | None, typer.Option("--max", metavar="AMOUNT", help="Amounts up to this.", show_default=False)
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="Notes with this in them, in either case.", show_default=False)
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="The one with this key.", show_default=False)] = None,
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
    return listing(
        "transactions",
        style,
        Part(limit, cursor, all_),
        TABLE_COLUMNS,
        ledger.transactions(parse_wallet(wallet), start, end, Wanted(kind, least, most, text, key)),
    )


def total(ledger: LedgerApi, wallet: WalletArgument, start: FromOption = None, end: ToOption = None) -> Record:
    """
    Examples:
        wallet tx total 9886977544
        wallet tx total 9886977544 --from 2026-04-01 --to 2026-04-30
        wallet tx total 9886977544 --from 2026 --json
    """
    return Record(ledger.total(parse_wallet(wallet), start, end), value="net")


def _pairs(meta: list[str] | None) -> dict[str, str] | None:
    if not meta:
        return None
    from wallet_cli.domain.metadata import parse_pairs

    return parse_pairs(meta)
