"""The known word that an unknown one may mean. Imported only when there is an unknown word."""

from __future__ import annotations

from collections.abc import Iterable

MOST_CHARS = 40
LIKE = 0.7


def likely(typed: str, known: Iterable[str]) -> str | None:
    """The known word that is most similar to the typed one, in upper or lower case; None if none is similar.

    A short word with two letters exchanged is less similar to the right one than to others, so it comes first.
    """
    import difflib

    words = {word.lower(): word for word in known}
    asked = typed[:MOST_CHARS].lower()
    exchanged = [word for word in words if sorted(word) == sorted(asked)]
    found = exchanged or difflib.get_close_matches(asked, words, 1, LIKE)
    return words[found[0]] if found else None
