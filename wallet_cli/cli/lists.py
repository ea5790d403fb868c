"""What all commands that list things share: how much of a list is printed, and how one that is cut says so.

A table and `--json` show one page. What programs read line by line (`-q`, jsonl, csv) is whole, unless `--limit` cuts
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from wallet_cli.cli.output import Listing, Style, Value
from wallet_cli.named_tuples import NamedTuple
from wallet_cli.operations.pages import DEFAULT_LIMIT, Paged

LimitOption = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", help="1 to 1000.", show_default="20; -q, jsonl and csv: all"),
]
CursorOption = Annotated[
    str | None, typer.Option("--cursor", metavar="C", help="Continue after a page: its next_cursor.")
]
AllOption = Annotated[bool, typer.Option("--all", help="The whole list, in a table or with --json too.")]


class Part(NamedTuple):
    """Which part of a list was asked for."""

    limit: int | None
    cursor: str | None
    all: bool


def csv_columns(name: str) -> Sequence[str]:
    """The columns of a list as CSV, by what it is called in JSON: all fields that its things can have."""
    from wallet_cli.operations import fields  # which takes a while to make

    return fields.columns(name)


def listing(
    name: str,
    style: Style,
    part: Part,
    paged: Paged,
    value: Value = "id",
    csv: str | None = None,
) -> Listing:
    """A list of users, say, called `name` in JSON, and `csv` in fields.LISTS where that is another.

    --all counts before --limit: it is added to a command whose list was cut.
    """
    columns = csv_columns(csv or name) if style.streams else ()
    kind = csv or name.removesuffix("s")
    if part.all or (part.limit is None and (style.streams or style.quiet)):
        return Listing(paged.rest(part.cursor), columns, value, name=name, kind=kind)
    limit = DEFAULT_LIMIT if part.limit is None else part.limit
    # What is printed with --json has no other field than a page.
    answer = paged.page(limit, part.cursor, style.quiet or not style.is_json)
    rows = answer[name]
    cut = None if answer["next_cursor"] is None else _cut(len(rows), answer.get("count"))
    return Listing(rows, columns, value, page=answer, cut=cut, kind=kind)


def _cut(shown: int, count: int | None) -> str:
    return f"{shown} of {count}; --all shows the rest" if count is not None else f"{shown} shown; --all shows the rest"
