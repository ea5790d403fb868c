"""What people wrote, made safe to show."""

from __future__ import annotations


def harmless(text: str) -> str:
    """Return text with control and formatting characters escaped, so that it cannot move, hide or colour anything."""
    if text.isprintable():
        return text
    import unicodedata

    return "".join(c if unicodedata.category(c) not in _HARMFUL else _escaped(c) for c in text)


# Controls, surrogates, unassigned, private use, and the separators that break lines; but emoji joiners are formats too.
_HARMFUL = {"Cc", "Cs", "Cn", "Co", "Zl", "Zp", "Cf"}
_JOINERS = "\u200c\u200d"


def _escaped(c: str) -> str:
    return c if c in _JOINERS else c.encode("unicode_escape").decode("ascii")
