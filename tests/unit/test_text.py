"""How a search compares texts: as people read them, on any engine; what is typed exactly is always found."""

from __future__ import annotations

import random
import sys
import time
import unicodedata

import pytest

from wallet_cli.domain.text import containing, fold

FOUND = (
    ("ÄRZTE", "ÄRZTE Rechnung"),
    ("ärzte", "ÄRZTE Rechnung"),
    ("ÄRZTE", "ärzte"),
    ("A\u0308rzte", "\u00c4RZTE"),
    ("ärzte", "A\u0308RZTE"),
    ("STRASSE", "Hauptstraße 5"),
    ("straße", "HAUPTSTRASSE"),
    ("STRAẞE", "strasse"),
    ("istanbul", "İSTANBUL"),
    ("İstanbul", "istanbul"),
    ("ISPARTA", "ısparta"),
    ("ısparta", "ISPARTA"),
    ("ΟΔΟΣ", "οδος"),
    ("οδοσ", "ΟΔΟΣ"),
    ("ΌΣ", "ός"),
    ("ПРИВЕТ", "привет, мир"),
    ("ёлка", "ЁЛКА"),
    ("Ёлка", "е\u0308лка"),
    ("coffee", "ＣＯＦＦＥＥ"),
    ("ＣＯＦＦＥＥ", "Coffee"),
    ("１２３", "123"),
    ("office", "oﬃce"),
    ("ǆ", "Ǆ"),
    ("한국", unicodedata.normalize("NFD", "한국")),
    ("नमस्ते", "नमस्ते दुनिया"),
)
NOT_FOUND = (
    ("arzte", "ÄRZTE"),
    ("e", "é"),
    ("%", "100"),
    ("_", "abc"),
    ("a_c", "abc"),
    ("a%c", "abc"),
    ("\\", "/"),
    ("tea ", "tea"),
    ("strase", "straße"),
)
EXACT = (
    "%", "_", "\\", "\\%", "%%", "' OR 1=1", '"', "  ", " ", "\t", "\n", "😀", "👩\u200d👧", "\u0308", "\u0307",
    "\u0345", "İ", "ı", "ß", "ﬁ", "ς", "x" * 1000, "é" * 1000, "😀" * 1000, "\ufeff", "\u00ad", "\U000e0041", "ᾳ", "ŉ",
)  # fmt: skip


@pytest.mark.parametrize(("wanted", "text"), FOUND)
def test_it_is_found_as_people_read_it(wanted: str, text: str) -> None:
    assert containing(wanted)(text)
    assert containing(wanted)(f"before {text} after")


@pytest.mark.parametrize(("wanted", "text"), NOT_FOUND)
def test_no_character_stands_for_another(wanted: str, text: str) -> None:
    assert not containing(wanted)(text)


@pytest.mark.parametrize("wanted", EXACT, ids=[ascii(each[:9]) for each in EXACT])
def test_what_is_typed_exactly_is_found(wanted: str) -> None:
    for text in (wanted, f"a{wanted}b", f"i{wanted}i", f"É{wanted}\u0301"):
        assert containing(wanted)(text)


def test_any_part_of_any_text_is_found_in_it() -> None:
    """Also where a character is cut from the marks that belong to it."""
    drawn = random.Random(7)
    characters = [chr(code) for code in range(1, 0x3000)] + list("ßẞİıΣςσﬁ가각가\u0301\u0308\u0307\u0345😀")
    for _ in range(3_000):
        text = "".join(drawn.choices(characters, k=drawn.randint(1, 30)))
        start, end = sorted((drawn.randint(0, len(text)), drawn.randint(0, len(text))))
        assert containing(text[start:end])(text)
        assert containing(text.upper())(text) or fold(text.upper()) != fold(text)


def test_folding_twice_changes_nothing_more() -> None:
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code < 0xE000:
            once = fold(chr(code))
            assert fold(once) == once


@pytest.mark.parametrize("text", ["\u0130\u0307", "\u0131\u0307", "i\u0307\u0307", "I\u0307\u0307\u0307x"])
def test_letters_with_dots_too_many_are_folded_once(text: str) -> None:
    assert fold(fold(text)) == fold(text) == fold("i" + text.lstrip("iI\u0130\u0131\u0307"))


def test_it_is_linear_in_the_text() -> None:
    """Texts that such searches are slow on: a thousand characters against a thousand, as long as a note can be."""
    began_s = time.process_time()
    for wanted, text in (("a" * 500 + "b", "a" * 1000), ("ä" * 500 + "b", "ä" * 1000), ("ab" * 250 + "c", "ab" * 500)):
        fits = containing(wanted)
        for _ in range(1000):
            assert not fits(text)
    assert time.process_time() - began_s < 5
