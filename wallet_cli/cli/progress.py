"""How a long step goes, on stderr, where somebody watches it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wallet_cli.cli.output import Style

Watch = Callable[[str, int, int | None], None]
"""Told what is done, how much of it, and of how much; None or 0 where that is not known."""


@contextmanager
def progress(style: Style, what: str) -> Iterator[Watch]:
    """A bar for the length of a `with` block, beginning with the words `what`."""
    if not sys.stderr.isatty() or style.quiet:
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total or None)
