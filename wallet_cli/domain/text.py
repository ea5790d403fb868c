"""What people wrote, made safe to show."""

from __future__ import annotations


def harmless(text: str) -> str:
    """Return text with control and formatting characters escaped, so that it cannot move, hide or colour anything."""
    if text.isprintable():
        return text
    import unicodedata

    return "".join(escaped(c) if unicodedata.category(c) in _HARMFUL and c not in _JOINERS else c for c in text)


def escaped(c: str) -> str:
    """A character as Python would write it: `\\u202e`."""
    return c.encode("unicode_escape").decode("ascii")


# Controls, surrogates, unassigned, private use, and the separators that break lines; but emoji joiners are formats too.
_HARMFUL = {"Cc", "Cs", "Cn", "Co", "Zl", "Zp", "Cf"}
_JOINERS = "\u200c\u200d"
