"""`wallet tx add`, `tx list` and `tx total`"""

from __future__ import annotations

from typing import Annotated

import typer

from wallet_cli.cli.command import FromOption, ToOption, WalletArgument
from wallet_cli.cli.output import Format, Listing, Record, Style
from wallet_cli.domain.address import parse_wallet
from wallet_cli.errors import InvalidInput
from wallet_cli.services import transactions
from wallet_cli.services.context import Ledger

CSV_COLUMNS = ("id", "wallet_id", "seq", "kind", "is_credit", "amount", "balance", "currency", "at", "note", "key")
TABLE_COLUMNS = ("id", "at", "kind", "amount", "balance", "note", "key")


def add(
    ledger: Ledger,
    wallet: WalletArgument,
    amount: Annotated[
        str, typer.Argument(metavar="AMOUNT", help="Decimal, greater than 0: 20 or 19.99.", show_default=False)
    ],
    credit: Annotated[bool, typer.Option("--credit", help="Put money in.")] = False,
    debit: Annotated[bool, typer.Option("--debit", help="Take money out.")] = False,
    note: Annotated[str | None, typer.Option("--note", help="Kept as it is, up to 1000 characters.")] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="Makes it safe to send again: applied once.", show_default=False)
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="When it happened, if earlier.", show_default="now")
    ] = None,
) -> Record:
    """Credit or debit a wallet; the answer is on disk before it is printed."""
    if credit == debit:
        raise InvalidInput("give one of --credit and --debit", hint="wallet tx add --help")
    return Record(transactions.add(ledger, parse_wallet(wallet), amount, is_credit=credit, note=note, key=key, at=at))


def list_(
    ledger: Ledger,
    style: Style,
    wallet: WalletArgument,
    start: FromOption = None,
    end: ToOption = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", help="1 to 1000; jsonl and csv stream all.", show_default="20"),
    ] = None,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="C", help="Go on after a page: its next_cursor.")
    ] = None,
) -> Listing:
    """List a wallet's transactions, the newest first."""
    if style.format in (Format.jsonl, Format.csv):
        return Listing(transactions.streamed(ledger, parse_wallet(wallet), start, end, limit, cursor), CSV_COLUMNS)
    page = transactions.listed(
        ledger, parse_wallet(wallet), start, end, transactions.DEFAULT_LIMIT if limit is None else limit, cursor
    )
    return Listing(page["transactions"], TABLE_COLUMNS, page=page)


def total(ledger: Ledger, wallet: WalletArgument, start: FromOption = None, end: ToOption = None) -> Record:
    """Total a wallet's credits and debits over a period."""
    return Record(transactions.total(ledger, parse_wallet(wallet), start, end), value="net")
