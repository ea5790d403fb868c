"""The pages for whoever changes the project, and the tests, name tests and files that are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES_TESTS = ["ARCHITECTURE.md", "docs/security.md"]
NAMES_FILES = [*NAMES_TESTS, "CONTRIBUTING.md", "SECURITY.md"]
LINKED = ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/security.md", "docs/glossary.md"]
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
NAMED_FILE = re.compile(r"`((?:wallet_cli|tests|docs|scripts|bench)/[\w./-]*)(?:::\w+)?[ `]")
IN_A_TEST = re.compile(r"\btests/[\w/]*(?:\.\w+)?|\btest_\w+\.py\b")
A_ROW = re.compile(r"^\| (?!---)(.+) \| (.+) \| (`tests/.+) \|$", re.MULTILINE)
NOT_A_NAME = ("CODE", "NAME")


@cache
def named_in(path: str) -> frozenset[str]:
    """The tests of a module, by their names; none where there is no such module."""
    if not (ROOT / path).is_file():
        return frozenset()
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(each.name for each in functions if each.name.startswith("test_"))


def missing_tests(text: str) -> list[str]:
    return [f"{path}::{name}" for path, name in NAMED_TEST.findall(text) if name not in named_in(path)]


def missing_files(text: str) -> list[str]:
    named = {path for path in NAMED_FILE.findall(text) if not any(word in path for word in NOT_A_NAME)}
    return sorted(path for path in named if not (ROOT / path).exists())


@pytest.mark.parametrize("page", NAMES_TESTS)
def test_each_test_that_is_named_exists(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert len(NAMED_TEST.findall(text)) > 10
    assert missing_tests(text) == []
    assert len(NAMED_TEST.findall(text)) >= text.count("::test_")  # each is written so that it is looked for


@pytest.mark.parametrize("page", NAMES_FILES)
def test_each_file_that_is_named_exists(page: str) -> None:
    assert missing_files((ROOT / page).read_text("utf-8")) == []


def missing_in_tests(text: str) -> list[str]:
    """What a test names of the tests, by its path from the top or by the name of its file."""
    known = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    return sorted({named for named in IN_A_TEST.findall(text) if named not in known and not (ROOT / named).exists()})


def test_each_test_that_a_test_names_exists() -> None:
    sources = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    assert len(sources) > 150
    found = {path.name: missing_in_tests(path.read_text("utf-8")) for path in sources}
    assert {name: missing for name, missing in found.items() if missing} == {}


def test_each_folder_of_tests_has_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)/` \|", (ROOT / "tests" / "README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted({path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")})


def test_each_attack_names_a_test() -> None:
    """No row says that something is stopped without one."""
    before = (ROOT / "docs/security.md").read_text("utf-8").partition("## What is not stopped")[0]
    attacks = before.partition("## A stranger")[2]
    rows = [line for line in attacks.splitlines() if line.startswith("| ") and not line.startswith("| attack |")]
    assert len(rows) > 25
    assert [row for row in rows if not A_ROW.fullmatch(row)] == []


@pytest.mark.parametrize("page", LINKED)
def test_the_readme_links_to_each_page_once(page: str) -> None:
    assert (ROOT / "README.md").read_text("utf-8").count(f"]({page})") == 1


def test_the_glossary_has_each_word_once_and_in_order() -> None:
    words = re.findall(r"^\| ([^|]+?) \| [^|]+\. \|$", (ROOT / "docs/glossary.md").read_text("utf-8"), re.MULTILINE)
    assert len(words) > 50
    assert words == sorted(set(words), key=str.lower)


def test_a_name_that_is_wrong_is_found() -> None:
    own = "tests/docs/test_house.py"
    text = f"`{own}::test_a_name_that_is_wrong_is_found` `{own}::test_none` `tests/none.py::test_none` `scripts/none x`"
    assert missing_tests(text) == [f"{own}::test_none", "tests/none.py::test_none"]
    assert missing_files(text) == ["scripts/none", "tests/none.py"]
    assert missing_in_tests("tests/mcp, tests/web; test_house.py, tests/web/test_none.py test_none.py") == [
        *("test_none.py", "tests/mcp", "tests/web/test_none.py")
    ]
