"""Names of people instead of numbers: which texts can be names, and whose names they are.

A text is read as a name only if it cannot name a user or a wallet in another way: a number, `id:N`, `ref:TEXT`, `wN`.
Names are compared like texts in notes (text.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from wallet_cli.domain.ids import MAX_NAME_CHARS
from wallet_cli.domain.text import fold
from wallet_cli.errors import JOINERS

_OTHER_WAYS = r"w\d*|(id|ref):.*"
_BETWEEN_WORDS = r"[\s\-/.,;:()\[\]\"'’]+"


def may_be_name(text: str) -> bool:
    """Whether a text can be a name: it begins with a letter, and does not name a user in another way."""
    if len(text) > MAX_NAME_CHARS:
        return False
    folded = fold(text).strip()
    return folded[:1].isalpha() and re.fullmatch(_OTHER_WAYS, folded, re.DOTALL) is None


def naming(text: str) -> Callable[[str], bool]:
    """A test of names: whether one is `text`, begins with it, or contains it as one or more whole words."""
    asked = words_of(text)

    def fits(name: str) -> bool:
        held = words_of(name)
        return held.startswith(asked) or f" {asked} " in f" {held} "

    return fits if asked else lambda _: False


def words_of(text: str) -> str:
    """The words of a name for comparison, with one space between them, and without joiners, which nobody sees."""
    return re.sub(_BETWEEN_WORDS, " ", re.sub(f"[{JOINERS}]", "", fold(text))).strip()
