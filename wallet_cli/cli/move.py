"""`wallet move`"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import typer

from wallet_cli import settings
from wallet_cli.cli.output import Record, Style, notice
from wallet_cli.errors import InvalidInput
from wallet_cli.operations import move as moving
from wallet_cli.operations.move import Watch


def move(
    flags: Mapping[str, str],
    style: Style,
    to: Annotated[
        str | None, typer.Option("--to", metavar="DB", help="The new ledger: a path or URL.", show_default=False)
    ] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Call it off: the old ledger takes writes again.")] = False,
) -> Record:
    chosen = settings.load(flags, notify=notice)
    if cancel:
        return Record(moving.cancel(chosen, to, notice), value="to")
    if to is None:
        raise InvalidInput("missing destination: use --to DB", hint="wallet move --to DB")
    with _progress(style) as watch:
        return Record(moving.move(chosen, to, notice, watch), value="to")


@contextmanager
def _progress(style: Style) -> Iterator[Watch]:
    """A bar on stderr where somebody watches it."""
    if not sys.stderr.isatty() or style.quiet:
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("moving", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
