"""Running the command line inside the test's own process."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from functools import cache
from typing import Any, NamedTuple
from unittest import mock

import typer

from wallet_cli.cli import command
from wallet_cli.cli.app import main


class Outcome(NamedTuple):
    """What a command line left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error object that a failing command printed with --json."""
        return json.loads(self.err)["error"]


class _Text(io.TextIOWrapper):
    """A text stream over memory, with the encoding of a terminal."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="\n", write_through=True)

    def text(self) -> str:
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode("utf-8", "surrogateescape")


_tree_once = cache(typer.main.get_command)
_built_once = cache(command.built)
"""What Typer makes of a function: a third of the time of a command, and the same each time."""


def run(line: str | list[str]) -> Outcome:
    """Run `tx add 1 5 --credit`, say; a list is taken as the arguments themselves."""
    arguments = shlex.split(line) if isinstance(line, str) else line
    out, err = _Text(), _Text()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(typer.main, "get_command", _tree_once),
        mock.patch.object(command, "built", _built_once),
    ):
        code = main(arguments)
    return Outcome(code, out.text(), err.text())
