"""No text is cut: a string on a line of its own is documentation, in three quotes, and no rest of the line before."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("wallet_cli", "tests", "scripts", "bench")


def lost(source: str) -> Iterator[str]:
    """The strings that are statements, and no documentation."""
    lines = source.encode().split(b"\n")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr):
            is_text = isinstance(node.value, ast.JoinedStr) or isinstance(getattr(node.value, "value", None), str)
            text = lines[node.lineno - 1][node.col_offset :]
            if is_text and not text.startswith((b'"""', b'r"""')):
                yield text.decode()


def test_no_string_is_a_statement() -> None:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert {str(path): found for path in paths if (found := list(lost(path.read_text("utf-8"))))} == {}


def test_the_rest_of_a_text_is_found() -> None:
    assert list(lost('A = "one"\n" two"\n')) == ['" two"']
    assert list(lost('A = "one"\nf" {two}"\n')) == ['f" {two}"']
    assert list(lost('A = "one"\n"""What A is."""\nB = ("two"\n" three")\nf("four")\n...\n')) == []
