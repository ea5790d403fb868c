"""Fonts for user text in other scripts than Latin: those of the system, in a fixed order.

A PDF's own fonts know Latin-1. For other text, one installed font with all of its characters is searched; failing that,
several fonts are used; a character that no font has is shown escaped.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from wallet_cli.domain.text import escaped

FAMILIES = (
    "DejaVuSans", "NotoSans-Regular", "NotoSansDevanagari-Regular", "NotoSansBengali-Regular",
    "NotoSansTamil-Regular", "NotoSansTelugu-Regular", "NotoSansKannada-Regular", "NotoSansMalayalam-Regular",
    "NotoSansGujarati-Regular", "NotoSansGurmukhi-Regular", "NotoSansOriya-Regular", "NotoSansSinhala-Regular",
    "NotoSansArabic-Regular", "NotoSansHebrew-Regular", "NotoSansThai-Regular", "NotoSansArmenian-Regular",
    "NotoSansGeorgian-Regular", "NotoSansEthiopic-Regular", "NotoSansKhmer-Regular", "NotoSansLao-Regular",
    "NotoSansMyanmar-Regular", "NotoSansSymbols-Regular", "NotoSansSymbols2-Regular", "NotoSansMath-Regular",
    "Lohit-Devanagari", "Lohit-Bengali", "Lohit-Tamil", "Lohit-Telugu", "DroidSansFallbackFull", "NotoEmoji-Regular",
    "LiberationSans-Regular", "FreeSans", "Arial Unicode", "Arial", "Nirmala", "seguisym", "simhei", "malgun",
)  # fmt: skip
"""File names without `.ttf`, in the order in which they are tried."""

ASCII = frozenset(range(0x20, 0x7F))
"""The font for escapes."""


def folders() -> Iterator[Path]:
    """The font folders of this system."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  (some users have none, which is an error of Path.home)
    if sys.platform == "darwin":
        yield from (Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts")
    elif sys.platform == "win32":
        yield Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"
    else:
        yield from (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
        yield from (home / ".local/share/fonts", home / ".fonts")


def installed(where: Iterable[Path]) -> dict[str, Path]:
    """The fonts of FAMILIES that are in these folders, in that order."""
    found: dict[str, Path] = {}
    for folder in where:
        for path in sorted(folder.rglob("*.ttf")):
            found.setdefault(path.stem, path)
    return {name: found[name] for name in FAMILIES if name in found}


@lru_cache(maxsize=len(FAMILIES))
def characters(path: Path) -> frozenset[int]:
    """The characters of a font; none for a file that cannot be read as a font."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with path.open("rb") as file, TTFont(file, lazy=True) as font:
            return frozenset(font.getBestCmap() or ())
    except (OSError, TTLibError, LookupError, ValueError, struct.error):
        return frozenset()


class Shelf:
    """The available fonts, opened when a text first needs them."""

    def __init__(self, where: Iterable[Path] | None = None) -> None:
        self._where = where
        self._fonts: dict[str, Path] | None = None
        self.lacking: set[str] = set()
        """The characters so far that no font has."""

    @property
    def fonts(self) -> dict[str, Path]:
        if self._fonts is None:
            self._fonts = installed(folders() if self._where is None else self._where)
        return self._fonts

    def for_text(self, text: str) -> tuple[str, list[str]]:
        """A text, with characters that no font has escaped, and its fonts, the main one first; none for Latin-1."""
        whole = {ord(c) for c in text}
        for name, path in self.fonts.items():
            if whole <= characters(path):
                return text, [name]
        missing = whole | ASCII
        chosen: list[str] = []
        for name, path in self.fonts.items():
            if missing & characters(path):
                chosen.append(name)
                missing -= characters(path)
        lacking = {c for c in text if ord(c) in missing}
        if (lacking and missing & ASCII) or all(ord(c) <= 0xFF or c in lacking for c in text):
            # Helvetica, which is for no text that has a font, has Latin-1 and the escapes.
            chosen, lacking = [], {c for c in text if ord(c) > 0xFF}
        self.lacking |= lacking
        return "".join(escaped(c) if c in lacking else c for c in text), chosen
