"""`wallet statement`"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Annotated

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.by_hand import Hand
from wallet_cli.cli.command import FromOption, OptionalWalletArgument, ToOption
from wallet_cli.cli.lists import csv_columns
from wallet_cli.cli.output import JSON_INDENT, Document, Listing, Output, Pages, Record, Style, notice
from wallet_cli.errors import InvalidInput
from wallet_cli.operations import statements
from wallet_cli.operations.statements import Statement

Asked = AbstractContextManager[Statement]
"""A statement that is not opened yet."""


class StatementFormat(StrEnum):
    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    html = "html"
    pdf = "pdf"


def statement(
    ledger: LedgerApi,
    style: Style,
    hand: Hand,
    wallet: OptionalWalletArgument = None,
    start: FromOption = None,
    end: ToOption = None,
    output: Annotated[
        StatementFormat | None,
        typer.Option("--output", "-o", help="How to print; html is one file, for paper too.", show_default="table"),
    ] = None,
) -> Output:
    """
    Examples:
        wallet statement 9886977544 --from 2026-04-01 --to 2026-04-30
        wallet statement 9886977544 -o html > statement.html
        wallet statement 9886977544 -q              # the closing balance
    """
    asked = ledger.statement(hand.wallet(wallet), start, end)
    if style.quiet:
        with asked as opened:
            return Record(statements.head_answer(opened), value="closing_balance")
    if output == StatementFormat.json:
        return Document(_json(asked))
    if output in (StatementFormat.html, StatementFormat.pdf):
        return _document(asked, is_pdf=output == StatementFormat.pdf)
    if style.streams:
        return Listing(_lines(asked), csv_columns("statement"))
    return Pages(_tables(asked))


def _document(asked: Asked, *, is_pdf: bool) -> Document:
    from wallet_cli import documents

    if sys.stdout.isatty():
        name, form = ("a PDF", "pdf") if is_pdf else ("a page", "html")
        raise InvalidInput(
            f"{name} cannot be shown in a terminal", hint=f"write it to a file: … -o {form} > statement.{form}"
        )
    if is_pdf:
        with asked as opened:
            return Document([documents.as_pdf(opened, notice)])

    def parts() -> Iterator[str]:
        with asked as opened:
            yield from documents.as_html(opened)

    return Document(parts())


def _json(asked: Asked) -> Iterator[str]:
    with asked as opened:
        yield from statements.json_of(opened, JSON_INDENT if sys.stdout.isatty() else None)
    yield "\n"


def _lines(asked: Asked) -> Iterator[dict[str, object]]:
    with asked as opened:
        yield from statements.lines_answer(opened)


def _tables(asked: Asked) -> Iterator[Record | Listing]:
    """The head, the lines and the totals."""
    with asked as opened:
        survey = opened.survey()
        yield Record(statements.head_answer(opened), kind="total")
        if opened.line_count:
            yield Listing(statements.lines_answer(opened), (), kind="transaction")
        if survey.totals:
            currency = {"currency": opened.wallet.currency.name}
            totals = [total | currency for total in statements.totals_answer(opened, survey)]
            yield Listing(totals, (), kind="kind_total")
