"""A statement as PDF: it opens, it has what the statement has, and no text or missing font breaks it."""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.statements import INR, Page, Step, statement_of

from wallet_cli import documents
from wallet_cli.documents import pdf
from wallet_cli.documents.fonts import Shelf, characters, installed
from wallet_cli.documents.pdf import drawn
from wallet_cli.domain.ids import MAX_KEY_CHARS, MAX_NAME_CHARS, MAX_NOTE_CHARS
from wallet_cli.domain.money import Currency
from wallet_cli.errors import InvalidInput, StorageError
from wallet_cli.installing import install, this_program

MANY_SCRIPTS = (
    "plain é £", "आशा किरण", "السلام عليكم 123.45", "שלום 500.00 abc", "中文 🧾", "क्\u200cष 👩\u200d👧",
    "a\x1b[31m\u202e\nb", "{nb} **bold** __u__ [x](y)", "\ufffd\ue000\U000e0041",
)  # fmt: skip
NO_FONTS = Shelf([])


def streams(pdf: bytes) -> str:
    """All that its pages draw."""
    found = re.findall(rb"/FlateDecode.*?stream\n(.*?)\nendstream", pdf, re.DOTALL)
    return "".join(zlib.decompress(stream).decode("latin-1") for stream in found)


def pages(pdf: bytes) -> int:
    assert pdf.startswith(b"%PDF-1.")
    assert pdf.rstrip().endswith(b"%%EOF")
    start = int(re.findall(rb"startxref\n(\d+)", pdf)[-1])
    assert pdf[start:].startswith(b"xref")
    return len(re.findall(rb"/Type /Page\n", pdf))


def test_it_has_what_the_statement_has() -> None:
    pdf = drawn(statement_of([Step(123_456_78, note="Salary"), Step(-50_00, key="rent-1")], before=10_00), NO_FONTS)
    assert pages(pdf) == 1
    said = streams(pdf)
    for text in ("10.00", "123\xa0456.78", "123\xa0466.78", "123\xa0416.78", "Salary", "7-3 \xb7 key rent-1", "Debits"):
        assert f"({text}) Tj" in said
    assert "Asha" in said


@pytest.mark.parametrize(
    ("steps", "currency"),
    [
        ([], INR),
        ([Step(1)], INR),
        ([Step(-(10**15))], INR),
        ([Step(10**15)] * 6 + [Step(-(10**15))] * 6, Currency("PTS/0", 0)),
        ([Step(10**15)] * 9, Currency("SATS/8", 8)),
    ],
    ids=["nothing", "one", "overdrawn", "no fraction", "eight digits"],
)
def test_any_amounts_fit(steps: list[Step], currency: Currency) -> None:
    assert pages(drawn(statement_of(steps, currency=currency), NO_FONTS)) == 1


@pytest.mark.parametrize("shelf", [NO_FONTS, Shelf()], ids=["no fonts", "the fonts of this system"])
def test_text_of_any_script_is_drawn_or_escaped(shelf: Shelf) -> None:
    steps = [Step(100, note=text, key="鍵") for text in MANY_SCRIPTS]
    for name in (None, *MANY_SCRIPTS):
        assert pages(drawn(statement_of(steps, name=name), shelf)) >= 1


OF_EACH_DIRECTION = "★😀—…!$+,( a1éनا中א\u0301\u0651\u0660\u200d\u202e\u2067\u2069"


@pytest.mark.parametrize(("first", "then"), [("नमस्ते ", OF_EACH_DIRECTION), ("مرحبا", "—!1a\u0301")])
def test_no_text_of_any_length_breaks_a_document(first: str, then: str) -> None:
    texts = [f"{first}{c * MAX_NOTE_CHARS}"[:MAX_NOTE_CHARS] for c in then]
    steps = [Step(100, note=text, key=text[:MAX_KEY_CHARS]) for text in texts]
    statement = statement_of(steps, name=texts[0][:MAX_NAME_CHARS])
    assert pages(drawn(statement, Shelf())) >= 1
    Page("".join(documents.as_html(statement)))


def test_with_no_font_for_it_a_character_is_escaped() -> None:
    said = streams(drawn(statement_of([Step(100, note="中 é")]), NO_FONTS))
    assert r"(\\u4e2d é) Tj" in said


def test_what_looks_like_the_number_of_pages_stays_as_it_was_written() -> None:
    said = streams(drawn(statement_of([Step(100, note="{nb}")]), NO_FONTS))
    assert "({nb}) Tj" in said


def test_long_statements_and_long_notes_go_on_over_pages() -> None:
    for steps in ([Step(100)] * 200, [Step(100, note="\U0001f9fe" * 1000)] * 2):
        pdf = drawn(statement_of(steps), NO_FONTS)
        said = streams(pdf)
        assert pages(pdf) > 3
        assert said.count("(Details) Tj") == pages(pdf)
        assert [f"(Page {n} of) Tj" in said for n in range(1, pages(pdf) + 2)] == [True] * pages(pdf) + [False]
        assert said.count(f"({pages(pdf)}) Tj") == pages(pdf)
    assert pages(drawn(statement_of([Step(100)], name="W" * 200), NO_FONTS)) <= 2


def test_equal_statements_have_equal_bytes() -> None:
    steps = [Step(100, note=text) for text in MANY_SCRIPTS]
    assert drawn(statement_of(steps)) == drawn(statement_of(steps))
    assert drawn(statement_of(steps)) != drawn(statement_of(steps[1:]))


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("uharfbuzz", "fpdf"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(InvalidInput, match="not installed: " + name) as raised:
            documents.as_pdf(statement_of([Step(100)]))
        assert raised.value.hint == install(this_program("pdf"))


def test_a_statement_that_is_too_long_for_a_pdf_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_LINES", 3)
    assert pages(drawn(statement_of([Step(100)] * 3), NO_FONTS)) == 1
    with pytest.raises(InvalidInput, match="at most 3 transactions, and there are 4"):
        drawn(statement_of([Step(100)] * 4), NO_FONTS)


def test_lines_that_do_not_add_up_are_not_printed() -> None:
    whole = statement_of([Step(100), Step(-40)])
    damaged = whole._replace(read=lambda: iter(list(whole.lines())[1:]))
    for print_ in (documents.as_pdf, lambda statement: next(iter(documents.as_html(statement)))):
        with pytest.raises(StorageError, match="do not add up"):
            print_(damaged)


# Fonts


HAS = {
    "DejaVuSans": {*range(0x20, 0x100), ord("Ж")},
    "NotoSansDevanagari-Regular": {ord("1"), ord("आ")},
    "Arial": {*range(0x20, 0x7F), ord("Ж")},
}
ALL = tuple(HAS)


def test_a_file_that_is_no_font_has_no_characters(tmp_path: Path) -> None:
    for name, content in (("DejaVuSans", b""), ("NotoSans-Regular", b"\0\1\0\0" + b"\xff" * 99), ("other", b"")):
        (tmp_path / f"{name}.ttf").write_bytes(content)
    shelf = Shelf([tmp_path, tmp_path / "missing"])
    assert list(shelf.fonts) == ["DejaVuSans", "NotoSans-Regular"]
    assert [characters(path) for path in shelf.fonts.values()] == [frozenset(), frozenset()]
    assert shelf.for_text("नमस्ते") == ("\\u0928\\u092e\\u0938\\u094d\\u0924\\u0947", [])


@pytest.mark.parametrize(
    ("installed", "text", "fonts", "shown", "lacking"),
    [
        (ALL, "Ж1", ["DejaVuSans"], "Ж1", ""),
        (ALL, "आ1", ["NotoSansDevanagari-Regular"], "आ1", ""),
        (ALL, "Жआ", ["DejaVuSans", "NotoSansDevanagari-Regular"], "Жआ", ""),
        (ALL, "Ж中", ["DejaVuSans"], "Ж\\u4e2d", "中"),
        (ALL, "中é", [], "\\u4e2dé", "中"),
        # With a font of few letters, the others are not lost without a word.
        (ALL[1:2], "आ1", ["NotoSansDevanagari-Regular"], "आ1", ""),
        (ALL[1:2], "José आ 1", [], "José \\u0906 1", "आ"),
        (ALL[1:2], "é1आ", [], "é1\\u0906", "आ"),
        (ALL[2:], "José Ж", ["Arial"], "Jos\\xe9 Ж", "é"),
        (ALL[2:], "José 中", [], "José \\u4e2d", "中"),
    ],
)
def test_one_font_is_preferred_and_several_serve(
    installed: Sequence[str], text: str, fonts: list[str], shown: str, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wallet_cli.documents.fonts.characters", lambda path: frozenset(HAS[path.stem]))
    shelf = Shelf([])
    shelf._fonts = {name: Path(f"{name}.ttf") for name in installed}
    assert shelf.for_text(text) == (shown, fonts)
    assert shelf.lacking == set(lacking)


def test_fonts_are_asked_in_a_fixed_order(tmp_path: Path) -> None:
    for name in ("Arial", "NotoSans-Regular", "DejaVuSans"):
        (tmp_path / f"{name}.ttf").write_bytes(b"")
    assert list(installed([tmp_path])) == ["DejaVuSans", "NotoSans-Regular", "Arial"]


def test_who_makes_a_pdf_is_told_what_no_font_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """The customer is not called \\u0906\\u0936\\u093e on paper without a word."""
    monkeypatch.setattr("wallet_cli.documents.fonts.folders", list)
    told: list[str] = []
    documents.as_pdf(statement_of([Step(1, note="आ é 1")]), told.append)
    [line] = told
    assert line.startswith("no installed font has these characters, so the PDF has their numbers: आ; ")
    documents.as_pdf(statement_of([Step(1, note="é 1")]), told.append)
    assert told == [line]
