"""What may have been meant by a word that is not known. Imported only where there is one."""

from __future__ import annotations

from collections.abc import Iterable

MOST_CHARS = 40
LIKE = 0.7


def likely(typed: str, known: Iterable[str]) -> str | None:
    """The one of the known words that is most like what was typed, in either case; None where none is like it."""
    import difflib

    words = {word.lower(): word for word in known}
    found = difflib.get_close_matches(typed[:MOST_CHARS].lower(), words, 1, LIKE)
    return words[found[0]] if found else None
