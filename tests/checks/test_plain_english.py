"""Phrases that are hard to read do not come back: banned_phrases.txt has them, and the files that still have some."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).parent / "banned_phrases.txt"
ALLOWED = re.compile(r"((?:wallet_cli|docs)/\S+|README\.md): (.+)")
HISTORY = {"docs/decisions.md"}


def lines_of_list() -> list[str]:
    return [line for line in LIST.read_text("utf-8").splitlines() if line and not line.startswith("#")]


def allowed() -> set[tuple[str, str]]:
    matches = (ALLOWED.fullmatch(line) for line in lines_of_list())
    return {(match[1], match[2]) for match in matches if match}


def banned() -> list[str]:
    return [line for line in lines_of_list() if not ALLOWED.fullmatch(line)]


def found_in(text: str, phrases: list[str]) -> set[str]:
    """The phrases in a text; one that runs over the end of a line counts, also in a comment."""
    joined = " ".join(text.replace("#", " ").split()).lower()
    if not re.search("|".join(phrases), joined):
        return set()
    return {phrase for phrase in phrases if re.search(phrase, joined)}


def files() -> list[Path]:
    found = [*(ROOT / "wallet_cli").rglob("*.py"), *(ROOT / "wallet_cli").rglob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return [path for path in (*found, ROOT / "README.md") if path.relative_to(ROOT).as_posix() not in HISTORY]


@cache
def all_found() -> set[tuple[str, str]]:
    phrases = banned()
    return {
        (path.relative_to(ROOT).as_posix(), phrase)
        for path in files()
        for phrase in found_in(path.read_text("utf-8"), phrases)
    }


def test_no_banned_phrase_comes_back() -> None:
    assert sorted(all_found() - allowed()) == []


def test_what_is_allowed_is_still_needed() -> None:
    assert sorted(allowed() - all_found()) == []


def test_a_phrase_over_the_end_of_a_line_is_found() -> None:
    assert found_in("    # It goes on from\n    # afar.", banned()) == {r"\bfrom afar\b"}
    assert found_in("Carried out.", banned()) == {r"\bcarried out\b"}
    assert found_in("The server runs it.", banned()) == set()


def test_there_is_much_to_look_through() -> None:
    assert len(files()) > 150
    assert len(banned()) > 20
