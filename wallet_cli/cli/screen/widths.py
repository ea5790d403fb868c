"""How many cells of a terminal a text takes, and texts cut to fit some.

Rich counts spacing marks (those of Devanagari and Tamil) as nothing; glibc, tmux and most terminals give them a cell.
The `wcwidth` package does too, and counts joined emoji as one; it is imported for what needs it.
"""

from __future__ import annotations

from functools import lru_cache

PLAIN_BEFORE = "\u0300"
"""Below it every printable character takes one cell: Latin letters, and what their languages write with them."""
PLAIN = "₹€₩₫₱₦₽₺₴₪₡₲₵₸−–…\u202f"
"""Beyond it, what amounts are full of."""


@lru_cache(maxsize=4096)
def cells(text: str) -> int:
    """How many cells a text takes, which has nothing in it that moves the cursor."""
    if text.isascii() or all(c < PLAIN_BEFORE or c in PLAIN for c in text):
        return len(text)
    import wcwidth

    return wcwidth.width(text)


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
