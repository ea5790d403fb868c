"""A statement as PDF, on A4.

Latin-1, and so every figure, is set in Helvetica, which all PDF readers have; other scripts use fonts of the system
(fonts.py), with correct joining and direction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from unicodedata import combining

from wallet_cli import __version__
from wallet_cli.documents import wording
from wallet_cli.documents.chart import chart_of
from wallet_cli.documents.fonts import Shelf
from wallet_cli.documents.wording import GROUP, MINUS
from wallet_cli.domain.clock import Clock
from wallet_cli.domain.model import Transaction
from wallet_cli.errors import InvalidInput
from wallet_cli.operations.statements import Statement, Survey

if TYPE_CHECKING:
    from fpdf import FPDF

MAX_LINES = 50_000
"""A PDF is made in memory: about 1,800 pages."""

MAX_EFFORT = 3_000_000
OTHER_SCRIPT_EFFORT = 20
"""How much text there may be: a character counts one, and a character outside Latin-1, which needs a font and shaping,
counts this many. It is what half a minute is enough for."""

MAX_LINE_CHARS = 250
"""More than a line has of what can be seen. fpdf2 calls itself once for each character without a direction, to find the
next that has one."""

MAX_WIDTHS = 50_000
JOINERS = "\u200c\u200d\ufe0f"

# Millimetres on A4.
WIDTH, HEIGHT = 210.0, 297.0
LEFT, TOP, BOTTOM = 18.0, 18.0, 20.0
RIGHT = WIDTH - LEFT
END = HEIGHT - BOTTOM
CHART_HEIGHT = 42.0
DATE_WIDTH = 24.0
GAP = 5.0
PAD = 1.0
LINE = 1.28
"""The height of a line of text, as a share of its font's."""

MM = 25.4 / 72
"""A point."""

Colour = tuple[int, int, int]
INK: Colour = (27, 31, 36)
SOFT: Colour = (98, 106, 115)
RULE: Colour = (217, 221, 226)
ACCENT: Colour = (31, 95, 139)
TINT: Colour = (228, 236, 242)

PAGES = "\x01" * 5
"""Stands for the number of pages, of at most five digits, until it is known. User text cannot contain it, because its
control characters are escaped."""


class TextStyle(NamedTuple):
    size: float
    """Points."""
    bold: bool = False
    colour: Colour = INK

    @property
    def line(self) -> float:
        """The distance to the next line, in mm."""
        return self.size * LINE * MM


Look = tuple[tuple[str, ...], TextStyle]
"""The font and size of a text."""

TITLE = TextStyle(17, bold=True)
BIG_BOLD = TextStyle(11.5, bold=True)
BODY = TextStyle(8.5)
BOLD = TextStyle(8.5, bold=True)
SOFT_BODY = TextStyle(8.5, colour=SOFT)
SMALL = TextStyle(7, colour=SOFT)
HEAD = TextStyle(7.5, colour=SOFT)


class Set(NamedTuple):
    """Text broken into lines, and its fonts: none for Helvetica."""

    lines: list[str]
    fonts: tuple[str, ...]
    style: TextStyle

    @property
    def height(self) -> float:
        return len(self.lines) * self.style.line


def drawn(statement: Statement, shelf: Shelf | None = None) -> bytes:
    """The PDF. Raises InvalidInput if its package is missing or there are too many lines, StorageError as `survey`."""
    try:
        import fpdf
        import uharfbuzz  # noqa: F401  (fpdf2 uses it for scripts that need it)
    except ImportError as error:
        from wallet_cli.installing import missing

        raise missing("a PDF needs", error, "pdf") from None
    statement.must_have_at_most(MAX_LINES, "a PDF", "give a shorter period, or use html or csv")
    if sum(map(effort, statement.lines())) > MAX_EFFORT:
        raise InvalidInput(
            "the notes are too many and too long for a PDF", hint="give a shorter period, or use html or csv"
        )
    survey = statement.survey()
    paper = Paper(fpdf.FPDF(format="A4"), statement, shelf or Shelf())
    paper.head()
    paper.summary()
    paper.chart(survey)
    paper.kinds(survey)
    paper.lines()
    return bytes(paper.pdf.output())


def effort(line: Transaction) -> int:
    """The cost of setting the texts of a line."""
    total = 0
    for text in (line.remarks.note, line.key):
        if text is not None:
            total += len(text)
            if not text.isascii():
                total += (OTHER_SCRIPT_EFFORT - 1) * sum(c > "\xff" for c in text)
    return total


def latin(text: str) -> str:
    """This program's own text, in Latin-1."""
    return text.replace(GROUP, "\xa0").replace(MINUS, "-")


class Paper:
    """A statement while it is drawn, from the top down: `y` is the next position."""

    def __init__(self, pdf: FPDF, statement: Statement, shelf: Shelf) -> None:
        self.pdf, self.statement, self.shelf = pdf, statement, shelf
        self.clock, self.currency = Clock(statement.zone), statement.wallet.currency
        self.widths: dict[tuple[str, Look], float] = {}
        self.heading: tuple[str, ...] = ()
        """The head of the present table: repeated on each page."""
        pdf.set_auto_page_break(auto=False)
        pdf.set_margin(0)
        pdf.c_margin = 0
        pdf.alias_nb_pages(PAGES)
        pdf.set_title(f"Statement of {wording.title(statement)}")
        pdf.set_lang("en")
        pdf.set_creator(f"wallet {__version__}")
        pdf.set_creation_date(self.clock.moment(statement.made_at_us))
        self.page()

    def money(self, minor: int) -> str:
        return latin(wording.money(minor, self.currency))

    # Pages

    def page(self) -> None:
        self.pdf.add_page()
        foot = HEIGHT - BOTTOM / 2
        wallet, closing = self.statement.wallet, latin(wording.closing_words(self.statement))
        left = f"Wallet {wallet.user_id}/{wallet.type} · {closing}"
        self.put(LEFT, foot, left, SMALL)
        self.put(RIGHT - 8, foot, f"Page {self.pdf.page_no()} of", SMALL, right=True)
        self.pdf.set_xy(RIGHT - 7.2, foot - SMALL.line * 0.76)
        self.pdf.cell(7.2, SMALL.line, PAGES, align="L")
        self.y = TOP
        if self.heading:
            self.table_head()

    def need(self, height: float) -> None:
        """Go to a new page if this height does not fit; text that is higher than a page starts here."""
        if self.y + height > END and height <= END - TOP - 10:
            self.page()

    # Text

    def font(self, style: TextStyle) -> None:
        self.pdf.set_font("Helvetica", "B" if style.bold else "", style.size)
        self.pdf.set_text_color(*style.colour)

    def put(self, x: float, baseline: float, text: str, style: TextStyle, *, right: bool = False) -> None:
        """Latin-1 text on one line; to the left of `x` if `right`."""
        self.font(style)
        self.pdf.text(x - self.pdf.get_string_width(text) if right else x, baseline, text)

    def set(self, text: str, style: TextStyle, width: float) -> Set:
        """Break user text into lines of a width."""
        fonts: list[str] = []
        if any(ord(c) > 0xFF for c in text):
            text, fonts = self.shelf.for_text(text)
        self.use(tuple(fonts), style)
        if not fonts and self.pdf.get_string_width(text) <= width:
            return Set([text], (), style)
        lines = self.broken(text, width, (tuple(fonts), style))
        self.pdf.set_text_shaping(use_shaping_engine=False)
        return Set(lines, tuple(fonts), style)

    def broken(self, text: str, width: float, look: Look) -> list[str]:
        """Text in lines of a width, broken at spaces, and within a word that is wider than a line.

        A word is measured once, as a whole; fpdf2's own way measures each character, and shapes it where needed.
        """
        space = self.word_width(" ", look)
        lines: list[str] = []
        line, used = "", 0.0
        for word in text.split(" "):
            wide = self.word_width(word, look)
            if line and used + space + wide <= width and len(line) + len(word) < MAX_LINE_CHARS:
                line, used = f"{line} {word}", used + space + wide
                continue
            if line:
                lines.append(line)
            while (wide > width or len(word) > MAX_LINE_CHARS) and len(word) > 1:
                cut = self.fitting(word, wide, width, look)
                lines.append(word[:cut])
                word = word[cut:]
                wide = self.word_width(word, look)
            line, used = word, wide
        lines.append(line)
        return lines

    def fitting(self, word: str, wide: float, width: float, look: Look) -> int:
        """How many characters of a word fit on a line: at least one, and no combining mark without its letter, unless
        there are too many of them.
        """
        cut = max(1, min(len(word) - 1, MAX_LINE_CHARS, int(len(word) * width / max(wide, width))))
        while cut > 1 and self.word_width(word[:cut], look) > width:
            cut = max(1, cut * 9 // 10)
        apart = (
            at
            for at in range(cut, 0, -1)
            if not (combining(word[at]) or word[at] in JOINERS or word[at - 1] in JOINERS)
        )
        return next(apart, cut)

    def word_width(self, word: str, look: Look) -> float:
        """The width of a word in the present fonts and style, which are `look`."""
        known = self.widths.get((word, look))
        if known is None:
            if len(self.widths) >= MAX_WIDTHS:
                self.widths.clear()
            pieces = (word[at : at + MAX_LINE_CHARS] for at in range(0, len(word), MAX_LINE_CHARS))
            known = self.widths[word, look] = sum(map(self.pdf.get_string_width, pieces))
        return known

    def use(self, fonts: tuple[str, ...], style: TextStyle) -> None:
        """Use these fonts; with none, Helvetica."""
        self.font(style)
        if not fonts:
            return
        for name in fonts:
            if name.lower() not in self.pdf.fonts:
                self.pdf.add_font(name, fname=self.shelf.fonts[name])
        self.pdf.set_font(fonts[0], "", style.size)
        self.pdf.set_fallback_fonts(list(fonts[1:]), exact_match=False)
        self.pdf.set_text_shaping(use_shaping_engine=True)

    def draw(self, x: float, y: float, text: Set) -> float:
        """Draw lines from `y` down, over as many pages as necessary; returns where they end."""
        self.y = y
        for line in text.lines:
            if self.y + text.style.line > END:
                self.page()
                self.y += PAD
            self.use(text.fonts, text.style)
            baseline = self.y + text.style.line * 0.76
            if text.fonts:
                self.pdf.set_xy(x, self.y)
                self.pdf.cell(0, text.style.line, line, align="L")
                self.pdf.set_text_shaping(use_shaping_engine=False)
            else:
                self.pdf.text(x, baseline, line)
            self.y += text.style.line
        return self.y

    def rule(self, y: float, colour: Colour = RULE, weight: float = 0.15) -> None:
        self.pdf.set_draw_color(*colour)
        self.pdf.set_line_width(weight)
        self.pdf.line(LEFT, y, RIGHT, y)

    # Parts

    def head(self) -> None:
        start, end = wording.period_words(self.statement)
        self.put(LEFT, self.y + 2, "STATEMENT", HEAD)
        for row, (word, bound) in enumerate((("from", start), ("to", end))):
            baseline = self.y + 2 + row * BODY.line
            self.put(RIGHT, baseline, bound, BODY, right=True)
            self.put(RIGHT - 33, baseline, word, SMALL, right=True)
        self.draw(LEFT, self.y + 4, self.set(wording.title(self.statement), TITLE, RIGHT - LEFT - 45))
        self.draw(LEFT, self.y + 0.8, self.set(wording.wallet_line(self.statement), SOFT_BODY, 150))
        self.rule(self.y + 2.5, INK, 0.4)
        self.y += 7.5

    def summary(self) -> None:
        opening, closing = self.statement.opening, self.statement.closing
        ins, outs = closing.credit_count - opening.credit_count, closing.debit_count - opening.debit_count
        figures = (
            ("Opening balance", opening.balance, "", False),
            ("Credits", closing.credit_total - opening.credit_total, wording.lines_words(ins), False),
            ("Debits", closing.debit_total - opening.debit_total, wording.lines_words(outs), False),
            ("Closing balance", closing.balance, self.currency.unit, True),
        )
        widths = [max(self.width([self.money(amount)], BIG_BOLD), 22.0) for _, amount, _, _ in figures]
        room = RIGHT - LEFT - GAP * (len(figures) - 1)
        # Figures that do not fit side by side are set smaller.
        share = min(1.0, room / sum(widths))
        gap = GAP + max(0.0, room - sum(widths)) / (len(figures) - 1)
        x = LEFT
        for (name, amount, more, bold), width in zip(figures, widths, strict=True):
            self.put(x, self.y, name, HEAD)
            self.put(x, self.y + 5.2, self.money(amount), TextStyle(BIG_BOLD.size * share, bold=bold))
            self.put(x, self.y + 9, latin(more), SMALL)
            x += width * share + gap
        self.y += 13

    def width(self, texts: list[str], style: TextStyle) -> float:
        """The width of the widest of these texts."""
        self.font(style)
        return max(self.pdf.get_string_width(text) for text in texts)

    def chart(self, survey: Survey) -> None:
        chart = chart_of(self.statement, survey.curve)
        labels = [latin(tick.label) for tick in chart.ticks]
        left = LEFT + self.width(labels, SMALL) + 2
        top, width = self.y, RIGHT - left

        def at(x: float, y: float) -> tuple[float, float]:
            return left + x * width, top + (1 - y) * CHART_HEIGHT

        corners = [at(*chart.points[0])]
        for x, y in chart.points[1:]:
            corners += [at(x, 0)[:1] + corners[-1][1:], at(x, y)]
        base = at(0, chart.zero)[1]
        self.pdf.set_fill_color(*TINT)
        self.pdf.polygon([(left, base), *corners, (RIGHT, base)], style="F")
        for tick, label in zip(chart.ticks, labels, strict=True):
            y = at(0, tick.y)[1]
            self.put(left - 2, y + 0.9, label, SMALL, right=True)
            self.stroke([(left, y), (RIGHT, y)], RULE, 0.12)
        self.stroke([(left, base), (RIGHT, base)], SOFT, 0.2)
        self.stroke(corners, ACCENT, 0.35)
        self.put(left, top + CHART_HEIGHT + 4, chart.ends[0], SMALL)
        self.put(RIGHT, top + CHART_HEIGHT + 4, chart.ends[1], SMALL, right=True)
        self.y = top + CHART_HEIGHT + 11

    def stroke(self, points: list[tuple[float, float]], colour: Colour, weight: float) -> None:
        self.pdf.set_draw_color(*colour)
        self.pdf.set_line_width(weight)
        self.pdf.polyline(points)

    def kinds(self, survey: Survey) -> None:
        if not survey.totals:
            return
        amounts = [self.money(total.amount) for total in survey.totals]
        number_x = LEFT + 52
        amount_x = number_x + max(30.0, self.width(amounts, BODY) + GAP)
        self.put(LEFT, self.y, "By kind", HEAD)
        self.put(number_x, self.y, "Number", HEAD, right=True)
        self.put(amount_x, self.y, "Amount", HEAD, right=True)
        self.y += 1.5
        self.stroke([(LEFT, self.y), (amount_x, self.y)], INK, 0.2)
        for total, amount in zip(survey.totals, amounts, strict=True):
            self.y += BODY.line + PAD
            self.put(LEFT, self.y, wording.KIND_WORDS[total.kind], BODY)
            self.put(number_x, self.y, str(total.number), BODY, right=True)
            self.put(amount_x, self.y, amount, BODY, right=True)
        self.y += 10

    # The lines

    def lines(self) -> None:
        self.measure()
        self.heading = ("Date", "Details", "Credit", "Debit", "Balance")
        self.need(30)
        if self.y > TOP + 10:
            self.table_head()
        self.end_row("Opening balance", self.statement.opening.balance)
        for line in self.statement.lines():
            self.row(line)
        if not self.statement.line_count:
            self.put(LEFT + DATE_WIDTH, self.y + 3.5, "No transactions", SMALL)
            self.y += 6
        self.end_row("Closing balance", self.statement.closing.balance)
        self.rule(self.y, INK, 0.3)

    def measure(self) -> None:
        """The columns of figures are as wide as the largest possible figure; the details get the rest."""
        opening, closing = self.statement.opening, self.statement.closing
        credit = self.money(closing.credit_total - opening.credit_total)
        debit = self.money(closing.debit_total - opening.debit_total)
        # No balance in the period exceeds the opening balance plus all credits, or is below it minus all debits.
        high = self.money(max(0, opening.balance) + closing.credit_total - opening.credit_total)
        low = self.money(min(0, opening.balance) - closing.debit_total + opening.debit_total)
        self.balance_x = RIGHT
        self.debit_x = RIGHT - self.width([high, low, "Balance"], BOLD) - GAP
        self.credit_x = self.debit_x - self.width([debit, "Debit"], BODY) - GAP
        self.details_x = LEFT + DATE_WIDTH
        self.details_width = self.credit_x - self.width([credit, "Credit"], BODY) - GAP - self.details_x

    def table_head(self) -> None:
        date, details, credit, debit, balance = self.heading
        baseline = self.y + 2.5
        self.put(LEFT, baseline, date, HEAD)
        self.put(self.details_x, baseline, details, HEAD)
        for x, word in ((self.credit_x, credit), (self.debit_x, debit), (self.balance_x, balance)):
            self.put(x, baseline, word, HEAD, right=True)
        self.rule(baseline + 1.5, INK, 0.2)
        self.y = baseline + 1.5

    def end_row(self, name: str, balance: int) -> None:
        height = BOLD.line + 2 * PAD
        self.need(height)
        baseline = self.y + PAD + BOLD.line * 0.76
        self.put(self.details_x, baseline, name, BOLD)
        self.put(self.balance_x, baseline, self.money(balance), BOLD, right=True)
        self.y += height
        self.rule(self.y)

    def row(self, line: Transaction) -> None:
        text, more = wording.story(line)
        details = self.set(text, BODY, self.details_width)
        smaller = self.set(more, SMALL, self.details_width)
        self.need(details.height + smaller.height + 2 * PAD)
        top = self.y + PAD
        baseline = top + BODY.line * 0.76
        day, minute = self.clock.stamp(line.at_us)
        self.put(LEFT, baseline, day, BODY)
        self.put(LEFT, baseline + SMALL.line, minute, SMALL)
        amount_x = self.credit_x if line.is_credit else self.debit_x
        self.put(amount_x, baseline, self.money(line.amount), BODY, right=True)
        self.put(self.balance_x, baseline, self.money(line.balance), BODY, right=True)
        self.draw(self.details_x, self.draw(self.details_x, top, details), smaller)
        self.y += PAD
        self.rule(self.y)
