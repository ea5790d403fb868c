"""docs/errors.md has a row for every code, with its exit code and whether it may be sent again; and what pages quote of
messages, in “ ”, is what the program says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from support.failures import tree

from wallet_cli.cli import tree as commands

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "errors.md"


def test_every_code_is_told_as_it_is() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (yes|no) \|", TABLE.read_text("utf-8"), re.MULTILINE)
    told = [(code, int(exit_code), retry == "yes") for code, exit_code, retry in rows]
    named = [each for each in tree() if "code" in vars(each) or not each.__subclasses__()]
    assert sorted(told) == sorted({(each.code, each.exit_code, each.retryable) for each in named})


def test_what_makes_a_ledger_is_told_as_it_is() -> None:
    (told,) = re.findall(r"^\| `ledger_not_found` .* and only (.+) make one", TABLE.read_text("utf-8"), re.MULTILINE)
    makers = {words for words, command in commands.each() if command.makes_ledger}
    assert set(re.findall("`(.+?)`", told)) == makers - {"wallet create"}  # which is `create`


def said(source: str) -> Iterator[str]:
    """The texts of a module; what is put into one when it is said is `…`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "…" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def quoted(page: str) -> list[str]:
    return [" ".join(re.sub(r"\d+", "…", each).split()) for each in re.findall("“(.+?)”", page, re.DOTALL)]


def test_a_message_that_a_page_quotes_is_said() -> None:
    texts = "\n".join(text for path in (ROOT / "wallet_cli").rglob("*.py") for text in said(path.read_text("utf-8")))
    pages = {path.name: quoted(path.read_text("utf-8")) for path in (ROOT / "docs").glob("*.md")}
    del pages["decisions.md"]  # which also tells what was said then
    assert {
        page: missing for page, found in pages.items() if (missing := [each for each in found if each not in texts])
    } == {}
    assert sum(map(len, pages.values())) > 5
