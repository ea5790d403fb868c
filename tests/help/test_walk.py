"""One walk over the tree of commands, for whatever one of them lacks."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import FunctionType
from typing import Any, is_typeddict

import pytest
from unit.test_naming import PRINT_NO_NAMES, PRINTS

from wallet_cli.cli import completing, help_text, schemas, tree
from wallet_cli.cli.command import built
from wallet_cli.cli.tree import Command
from wallet_cli.operations import fields

ROOT = Path(__file__).parents[2]
RUNS_UNTIL_STOPPED = {"serve", "mcp"}
"""Their stories are told elsewhere: docs/serve.md, tests/servers, tests/agents."""
TOLD_BY_KIND = {"Money", "Time"}
"""What a person is told otherwise than a program: with the sign of the currency, by the ledger's clock."""


def lacks(words: str, command: Command) -> list[str]:
    """What a command does not have, and should."""
    *above, last = words.split()
    made = built(command, last)
    examples = help_text.told_by(made.callback).examples
    found = {
        "two examples in its help": len(examples) >= 2,
        "a story": words in RUNS_UNTIL_STOPPED or _has(f"tests/transcripts/commands/{_dashed(words)}.transcript"),
        "a schema of its JSON": words in schemas.ANSWERS or words in schemas.NO_JSON,
        "a `-q` that the next command takes": words in PRINTS or words in PRINT_NO_NAMES,
        "a kind of what people are shown": not _values(words) & TOLD_BY_KIND or _shows_a_kind(made.callback),
        "completion of its name": _completes([*above, last[:-1]], last),
        "completion of its options": _completes([*above, last, "--qui"], "--quiet"),
        "a page of the manual": _has(f"man/man1/wallet-{_dashed(words)}.1"),
        "a place in the reference": _in("docs/reference.md", f"\n## wallet {words}\n"),
        "a row in the page about JSON": _in("docs/json.md", f"| `wallet {words}` |"),
    }
    return [what for what, has in found.items() if not has]


def _dashed(words: str) -> str:
    return words.replace(" ", "-")


def _has(path: str) -> bool:
    return (ROOT / path).is_file()


def _in(path: str, text: str) -> bool:
    return text in (ROOT / path).read_text("utf-8")


def _values(words: str) -> set[str]:
    """The kinds of values that its answer has, at any depth, by the names that fields.py gives them."""
    answer = schemas.ANSWERS.get(words)
    found, new = set[str](), set() if answer is None else {answer.whole, answer.line}
    while new:
        found |= new
        classes = [vars(fields)[name] for name in new if is_typeddict(vars(fields).get(name))]
        told = " ".join(str(each) for of in classes for each in of.__annotations__.values())
        new = set(re.findall(r"\w+", told)) - found
    return found


def _shows_a_kind(function: Any) -> bool:
    """Whether a command, with what it calls in its module, names a kind of screen/kinds.py, lists things, or draws."""
    found, new = set[FunctionType](), {inspect.unwrap(function)}
    while new:
        found |= new
        named = [each.__globals__.get(name) for each in new for name in each.__code__.co_names]
        new = {
            each for each in named if isinstance(each, FunctionType) and each.__module__ == function.__module__
        } - found
    return any(re.search(r"\bkind=|\blisting\(|\bDocument\(", inspect.getsource(each)) for each in found)


def _completes(typed: list[str], word: str) -> bool:
    return re.search(rf"^{re.escape(word)}\t", completing.answer("zsh", typed), re.MULTILINE) is not None


@pytest.mark.parametrize(("words", "command"), list(tree.each()), ids=lambda value: value if type(value) is str else "")
def test_a_command_lacks_nothing(words: str, command: Command) -> None:
    assert lacks(words, command) == []


def test_whatever_a_command_lacks_is_found() -> None:
    """One that is nowhere but in the tree, and whose function has no examples."""
    bare = Command("Do nothing.", "output:notice")
    assert len(lacks("nothing", bare)) == 9


@pytest.mark.parametrize(("answer", "is_lacking"), [("Wallet", True), ("EventPage", True), ("Move", False)])
def test_an_answer_with_amounts_or_times_needs_a_kind(
    answer: str, is_lacking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemas, "ANSWERS", {"nothing": schemas.Answer(answer, answer)})
    found = lacks("nothing", Command("Do nothing.", "output:notice"))
    assert ("a kind of what people are shown" in found) == is_lacking
