"""One walk over the tree of commands, for whatever one of them lacks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from unit.test_naming import PRINT_NO_NAMES, PRINTS

from wallet_cli.cli import completing, help_text, schemas, tree
from wallet_cli.cli.command import built
from wallet_cli.cli.tree import Command

ROOT = Path(__file__).parents[2]
RUNS_UNTIL_STOPPED = {"serve", "mcp"}
"""Their stories are told elsewhere: docs/serve.md, tests/servers, tests/mcp."""


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
        "completion of its name": _completes([*above, last[:-1]], last),
        "completion of its options": _completes([*above, last, "--hel"], "--help"),
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


def _completes(typed: list[str], word: str) -> bool:
    return re.search(rf"^{re.escape(word)}\t", completing.answer("zsh", typed), re.MULTILINE) is not None


@pytest.mark.parametrize(("words", "command"), list(tree.each()), ids=lambda value: value if type(value) is str else "")
def test_a_command_lacks_nothing(words: str, command: Command) -> None:
    assert lacks(words, command) == []


def test_whatever_a_command_lacks_is_found() -> None:
    """One that is nowhere but in the tree, and whose function has no examples."""
    bare = Command("Do nothing.", "output:notice")
    assert len(lacks("nothing", bare)) == 9
