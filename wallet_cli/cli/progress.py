"""How a long step goes, on stderr, where somebody watches it; and what Ctrl-C says of how far it came."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from wallet_cli.cli.output import Style, notice
from wallet_cli.errors import Interrupted, was_interrupted

Watch = Callable[[str, int, int | None], None]
"""Told what is done, how much of it, and of how much; None or 0 where that is not known."""


@contextmanager
def progress(style: Style, what: str, *, of_bytes: bool = False) -> Iterator[Watch]:
    """A bar for the length of a `with` block, beginning with the words `what`: how much, how fast, and how long yet.

    It is there once there is something to show: what is asked before that stands alone.
    """
    if not sys.stderr.isatty() or style.quiet:
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    class Rate(ProgressColumn):
        def render(self, task: Task) -> str:
            return f"{task.speed:,.0f}/s" if task.speed else ""

    much = (DownloadColumn(), TransferSpeedColumn()) if of_bytes else (MofNCompleteColumn(), Rate())
    columns = (TextColumn("{task.description}"), BarColumn(), *much, TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(what, total=None)

    def watch(what: str, done: int, total: int | None) -> None:
        bar.start()
        bar.update(task, description=what, completed=done, total=total or None)

    try:
        yield watch
    finally:
        bar.stop()


@contextmanager
def telling_how_far(watch: Watch, tell: Callable[[str, int, int | None], tuple[str, str]]) -> Iterator[Watch]:
    """The same watch. Where the work in the `with` block is interrupted, raises Interrupted with what `tell` says.

    `tell` is given what was last told to the watch, and answers with how far it came, and the hint.
    """
    last: tuple[str, int, int | None] = ("", 0, None)

    def remembering(what: str, done: int, total: int | None) -> None:
        nonlocal last
        last = (what, done, total)
        watch(what, done, total)

    try:
        yield remembering
    except BaseException as error:
        if not was_interrupted(error):
            raise
        told, hint = tell(*last)
        raise Interrupted(f"interrupted: {told}", hint=hint) from error


class Patience:
    """In a `with` block: between `begin` and `end`, Ctrl-C waits for the end, so that the report of the work is true.

    A second Ctrl-C does not wait: then there is no report.
    """

    def __init__(self) -> None:
        self._is_needed = self._was_asked = False
        self._before: Any = None

    def __enter__(self) -> Self:
        before = signal.getsignal(signal.SIGINT)
        # Who ignores Ctrl-C goes on to do so; and signals are the main thread's.
        if before is not signal.SIG_IGN and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._asked)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def begin(self) -> None:
        self._is_needed = True

    def end(self) -> None:
        self._is_needed = False
        if self._was_asked:
            raise KeyboardInterrupt

    def _asked(self, *_: object) -> None:
        if self._is_needed and self._was_asked:
            notice("interrupted")
            raise SystemExit(Interrupted.exit_code)
        self._was_asked = True
        if not self._is_needed:
            raise KeyboardInterrupt
