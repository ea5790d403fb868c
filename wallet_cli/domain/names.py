"""Names of people in the place of numbers: what may be read as a name, and whose name it is.

A name is never read where the text could be anything else that names a user or a wallet: a number, `id:N`, `ref:TEXT`,
`wN`. Names are compared as notes are searched (text.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from wallet_cli.domain.ids import MAX_NAME_CHARS
from wallet_cli.domain.text import fold

_OTHER_WAYS = r"w\d*|(id|ref):.*"
_BETWEEN_WORDS = r"[\s\-/.,;:()\[\]\"'’]+"


def may_be_name(text: str) -> bool:
    """Whether a text may be looked for among names: it begins with a letter, and is no other way to name somebody."""
    if len(text) > MAX_NAME_CHARS:
        return False
    folded = fold(text).strip()
    return folded[:1].isalpha() and re.fullmatch(_OTHER_WAYS, folded, re.DOTALL) is None


def naming(text: str) -> Callable[[str], bool]:
    """A test of names: whether one is `text`, begins with it, or has it as a word (or several), as people read them."""
    asked = words_of(text)

    def fits(name: str) -> bool:
        held = words_of(name)
        return held.startswith(asked) or f" {asked} " in f" {held} "

    return fits if asked else lambda _: False


def words_of(text: str) -> str:
    """The words of a name as they are compared, with one space between them."""
    return re.sub(_BETWEEN_WORDS, " ", fold(text)).strip()
