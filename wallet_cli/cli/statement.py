"""`wallet statement`"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

from wallet_cli.cli.command import FromOption, ToOption, WalletArgument
from wallet_cli.cli.lists import csv_columns
from wallet_cli.cli.output import Answer, Document, Listing, Pages, Record, Style
from wallet_cli.domain.address import WalletRef, parse_wallet
from wallet_cli.errors import InvalidInput
from wallet_cli.services import statements
from wallet_cli.services.answers import transaction_answer
from wallet_cli.services.context import Ledger
from wallet_cli.services.statements import Statement

TABLE_COLUMNS = ("id", "at", "kind", "amount", "balance", "note", "key")
TOTAL_COLUMNS = ("kind", "count", "amount")


class Output(StrEnum):
    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    html = "html"
    pdf = "pdf"


def statement(
    ledger: Ledger,
    style: Style,
    wallet: WalletArgument,
    start: FromOption = None,
    end: ToOption = None,
    output: Annotated[
        Output | None,
        typer.Option("--output", "-o", help="How to print; html is one file, for paper too.", show_default="table"),
    ] = None,
) -> Answer:
    """A wallet's statement: balances, every line with its running balance, and totals by kind."""
    ref = parse_wallet(wallet)
    if style.quiet:
        with ledger.call(statements.opened, ref, start, end) as opened:
            return Record(statements.head_answer(opened), value="closing_balance")
    if output == Output.json:
        return Document(_json(ledger, ref, start, end))
    if output in (Output.html, Output.pdf):
        return _document(ledger, ref, start, end, is_pdf=output == Output.pdf)
    if style.streams:
        return Listing(_lines(ledger, ref, start, end), csv_columns("transactions"))
    return Pages(_tables(ledger, ref, start, end))


def _document(ledger: Ledger, ref: WalletRef, start: str | None, end: str | None, *, is_pdf: bool) -> Document:
    from wallet_cli import documents

    if is_pdf:
        if sys.stdout.isatty():
            raise InvalidInput("a PDF is nothing for a terminal", hint="write it to a file: … -o pdf > statement.pdf")
        with ledger.call(statements.opened, ref, start, end) as opened:
            return Document([documents.pdf(opened)])

    def parts() -> Iterator[str]:
        with ledger.call(statements.opened, ref, start, end) as opened:
            yield from documents.html(opened)

    return Document(parts())


def _json(ledger: Ledger, ref: WalletRef, start: str | None, end: str | None) -> Iterator[str]:
    with ledger.call(statements.opened, ref, start, end) as opened:
        yield from statements.json_of(opened)
    yield "\n"


def _lines(ledger: Ledger, ref: WalletRef, start: str | None, end: str | None) -> Iterator[dict[str, object]]:
    with ledger.call(statements.opened, ref, start, end) as opened:
        yield from statements.lines_answer(opened)


def _tables(ledger: Ledger, ref: WalletRef, start: str | None, end: str | None) -> Iterator[Record | Listing]:
    """The head, the lines and the totals. The kind of a line is told as the totals tell it."""
    with ledger.call(statements.opened, ref, start, end) as opened:
        survey = opened.survey()
        yield Record(statements.head_answer(opened))
        if opened.line_count:
            yield Listing(_rows(opened), TABLE_COLUMNS)
        if survey.totals:
            yield Listing(statements.totals_answer(opened, survey), TOTAL_COLUMNS)


def _rows(statement: Statement) -> Iterator[dict[str, object]]:
    for line in statement.lines():
        yield transaction_answer(line, statement.wallet) | {"kind": statements.kind_of(line)}
