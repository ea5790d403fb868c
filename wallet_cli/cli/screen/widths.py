"""How many cells of a terminal a text takes, and texts cut to fit some.

glibc, tmux and most terminals count characters, and give a spacing mark (those of Devanagari and Tamil) a cell; so does
this. Joined emoji are one, as the `wcwidth` package has it, which is imported for what needs it.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

PLAIN_BEFORE = "\u0300"
"""Below it every printable character takes one cell: Latin letters, and what their languages write with them."""
PLAIN = "₹€₩₫₱₦₽₺₴₪₡₲₵₸−–…\u202f"
"""Beyond it, what amounts are full of."""
EMOJI_FROM = "\U0001f000"
MAKE_EMOJI = "\ufe0f\u20e3"
"""What makes an emoji of the sign or digit before it."""


@lru_cache(maxsize=4096)
def cells(text: str) -> int:
    """How many cells a text takes, which has nothing in it that moves the cursor."""
    if text.isascii() or all(c < PLAIN_BEFORE or c in PLAIN for c in text):
        return len(text)
    return sum(map(_cells_of_grapheme, _graphemes(text)))


def _cells_of_grapheme(text: str) -> int:
    import wcwidth

    if any(c >= EMOJI_FROM or c in MAKE_EMOJI for c in text):
        return wcwidth.width(text)
    return sum(1 if unicodedata.category(c) == "Mc" else max(0, wcwidth.wcwidth(c)) for c in text)


def padded(text: str, width: int, *, right: bool = False) -> str:
    """A text with spaces to fill a width; at its right side, where it is one of words."""
    space = " " * (width - cells(text))
    return space + text if right else text + space


def cut(text: str, width: int, ellipsis: str = "…") -> str:
    """A text that takes at most `width` cells: what does not fit is left out, by words where there are some."""
    if cells(text) <= width:
        return text
    room = width - cells(ellipsis)
    kept, taken = "", 0
    for part in _graphemes(text):
        taken += cells(part)
        if taken > room:
            break
        kept += part
    words, space, _ = kept.rpartition(" ")
    whole = text[len(kept) : len(kept) + 1] == " "
    if space and not whole and cells(words) * 2 >= room:
        kept = words
    return kept.rstrip() + ellipsis if room > 0 else ""


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, broken between words; a word that is longer stays whole."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and cells(lines[-1]) + 1 + cells(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def _graphemes(text: str) -> list[str]:
    """What a reader takes for characters, each in one piece."""
    if text.isascii():
        return list(text)
    import wcwidth

    return list(wcwidth.iter_graphemes(text))
