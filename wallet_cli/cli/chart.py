"""`wallet chart`"""

from __future__ import annotations

import shutil
import sys
from enum import StrEnum
from typing import Annotated

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.by_hand import Hand
from wallet_cli.cli.command import FromOption, OptionalWalletArgument, ToOption
from wallet_cli.cli.output import Document, Listing, Output, Record, Style
from wallet_cli.errors import InvalidInput


class ChartFormat(StrEnum):
    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    svg = "svg"


class Unit(StrEnum):
    day = "day"
    week = "week"
    month = "month"


def chart(
    ledger: LedgerApi,
    style: Style,
    hand: Hand,
    wallet: OptionalWalletArgument = None,
    start: FromOption = None,
    end: ToOption = None,
    by: Annotated[
        Unit | None, typer.Option("--by", help="How long a bar is.", show_default="by how long the period is")
    ] = None,
    output: Annotated[
        ChartFormat | None,
        typer.Option("--output", "-o", help="How to print; svg is a picture, in one file.", show_default="table"),
    ] = None,
) -> Output:
    """Days are those of the ledger's time zone, and weeks begin on Monday. With csv and jsonl, a bar is a line.

    Examples:
        wallet chart 9886977544
        wallet chart 9886977544 --from 2026-04-01 --by week
        wallet chart 9886977544 -o svg > balance.svg
    """
    from wallet_cli.operations.flows import Flows, chart_answer, flow_answers

    with ledger.statement(hand.wallet(wallet), start, end) as opened:
        found = Flows(opened)
        survey = opened.survey(found.add)
        unit = str(by or found.unit())
        flows = found.by(unit)
        if style.quiet or style.is_json:
            return Record(chart_answer(opened, survey, flows, unit), value="closing_balance")
        if style.streams:
            from wallet_cli.operations.fields import ChartFlow

            return Listing(flow_answers(flows, opened), tuple(ChartFlow.__annotations__))
        if output == ChartFormat.svg:
            if sys.stdout.isatty():
                raise InvalidInput(
                    "a picture cannot be shown in a terminal", hint="write it to a file: … -o svg > chart.svg"
                )
            from wallet_cli.documents import chart as drawing

            return Document([drawing.picture(opened, survey.curve, flows, unit)])
        from wallet_cli.cli.screen import chart_text
        from wallet_cli.cli.screen.money import Money

        width = shutil.get_terminal_size().columns
        marks = chart_text.marks_for(sys.stdout.encoding)
        money = Money(sys.stdout.encoding)
        drawn = chart_text.lines(opened, survey.curve, flows, unit, width, marks, money)
        return Document([line + "\n" for line in drawn], for_people=True)
