"""`--jq EXPR`: what a command answers as JSON, put through a program of jq's language (the `jq` package)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from wallet_cli.cli.output import Document, Format, Listing, Output, Record, closed_after, json_text, tell_cut
from wallet_cli.cli.stdout import FilterError
from wallet_cli.domain.text import harmless
from wallet_cli.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

HALT_ERROR = "def halt_error: error; def halt_error($code): error; "
"""Of the package's own nothing comes back, no message and no exit code."""

MANUAL = "the language is that of `man jq`: --jq .balance"


def compiled(expression: str) -> Callable[[str], Iterator[Any]]:
    """The program as a function from JSON text to the values that it gives.

    Raises InvalidInput for what is not a filter, and where the package is not installed.
    """
    try:
        import jq
    except ImportError as error:
        from wallet_cli.installing import missing

        raise missing("--jq needs", error, "jq") from None
    try:
        program = jq.compile(expression)
        if "halt_error" in expression:
            program = jq.compile(HALT_ERROR + expression)
    except ValueError as error:
        told = str(error).partition("\n")[0].removeprefix("jq: error: ").rstrip(":")
        raise InvalidInput(f"not a valid jq filter: {told}", hint=MANUAL) from None

    def run(text: str) -> Iterator[Any]:
        try:
            yield from program.input_text(text)
        except ValueError as error:
            raise FilterError(str(error)) from None

    return run


def render(answer: Output, form: Format, run: Callable[[str], Iterator[Any]]) -> None:
    """Print what the program makes of an answer: texts as they are, all else as JSON, each on a line."""
    shown = harmless if sys.stdout.isatty() else str
    with closed_after(answer):
        for text in _json(answer, form):
            # All of it, before any is printed: a program may stop in the middle.
            for value in list(run(text)):
                sys.stdout.write(shown(value if isinstance(value, str) else json_text(value)) + "\n")
        tell_cut(answer)


def _json(answer: Output, form: Format) -> Iterator[str]:
    """The answer as JSON: one text, or one for each row."""
    if isinstance(answer, Record):
        yield json_text(answer.data)
    elif isinstance(answer, Listing) and form is Format.jsonl:
        yield from map(json_text, answer.rows)
    elif isinstance(answer, Listing):
        yield json_text(_whole(answer))
    else:
        assert isinstance(answer, Document)  # pages are tables
        parts: Iterable[str | bytes] = answer.parts
        yield "".join(part if isinstance(part, str) else part.decode() for part in parts)


def _whole(answer: Listing) -> Any:
    if answer.page is not None:
        return answer.page
    return {answer.name: list(answer.rows), "next_cursor": None} if answer.name else list(answer.rows)
