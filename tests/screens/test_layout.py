"""How the screens are made: amounts by locale, widths in cells, columns that give way by rank, colours, the pager."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

import pytest
from babel.localedata import locale_identifiers
from screens.test_screens import on_terminal
from support.engines import Files
from wcwidth import iter_graphemes

from wallet_cli.cli.screen import terminal
from wallet_cli.cli.screen.cards import Card, lines_of
from wallet_cli.cli.screen.kinds import KINDS
from wallet_cli.cli.screen.money import Amount, Money
from wallet_cli.cli.screen.tables import Column, Table
from wallet_cli.cli.screen.told import Row, Told
from wallet_cli.cli.screen.widths import cells, cut, wrapped
from wallet_cli.operations import fields

NAMES = {
    "Asha": 4,
    "आशा कुमारी": 9,
    "शर्मा": 4,
    "क्षत्रिय": 6,
    "विक्रम": 5,
    "राष्ट्र": 5,
    "श्री": 3,
    "தமிழ்": 4,
    "நிலா": 4,
    "ক্ষমা": 4,
    "ကျွန်တော်": 6,
    "东京太郎": 8,
    "محمد علي": 8,
    "👩‍👩‍👧‍👦": 2,
    "👨‍👩‍👧": 2,
    "👍🏽": 2,
    "🇮🇳": 2,
    "❤️": 2,
    "1️⃣": 2,
    "e\u0301": 1,
    "ｱｲｳ": 3,
    "한국어": 6,
    "ไทยนี้": 4,
}
"""How many cells tmux and glibc give each."""


@pytest.mark.parametrize(
    ("locale", "text", "currency", "sign", "written"),
    [
        ("C.UTF-8", "1234567.50", "INR", "", "₹1,234,567.50"),
        ("POSIX", "1234.50", "INR", "", "₹1,234.50"),
        ("en_IN.UTF-8", "1234567.50", "INR", "", "₹12,34,567.50"),
        ("de_DE.UTF-8", "1234567.50", "EUR", "-", "-1.234.567,50 €"),
        ("fr_FR.UTF-8", "1234.50", "EUR", "", "1\u202f234,50 €"),
        ("de_DE@euro", "-0.05", "EUR", "", "-0,05 €"),
        ("xx_YY", "1.00", "USD", "+", "+$1.00"),
        ("../../etc", "1.00", "USD", "", "$1.00"),
        ("C", "1000", "JPY", "", "¥1,000"),
        ("C", "250", "PTS/0", "+", "+250 PTS"),
        ("C", "1.234", "KWD", "", "1.234 KWD"),
        # A wallet keeps the digits of its currency, whatever tables of later years say.
        ("C", "1234.567", "JPY", "", "¥1,234.567"),
        ("C", "0.000000000000000001", "WEI/18", "", "0.000000000000000001 WEI"),
        ("C", "9223372036854.775807", "MIC/6", "", "9,223,372,036,854.775807 MIC"),
        ("C", "9000000000000000000", "BIG/0", "-", "-9,000,000,000,000,000,000 BIG"),
        ("C", "1.23", "AB2/2", "", "1.23 AB2"),
        ("C", "1.00", "A\x1b[2J", "", "1.00 A\\x1b[2J"),
    ],
)
def test_amounts_are_written_as_the_locale_does(
    locale: str, text: str, currency: str, sign: str, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    amount = Money("utf-8").amount(text, currency, sign)
    assert str(amount) == written
    digits = len(text.partition(".")[2])
    assert amount.rest[1 : digits + 1] == text.partition(".")[2]  # parted before its decimal sign


@pytest.mark.parametrize("currency", ["INR", "PTS/2"])
def test_a_large_amount_is_grouped_wherever_a_smaller_one_is(currency: str, monkeypatch: pytest.MonkeyPatch) -> None:
    grouped = 0
    for locale in locale_identifiers():
        monkeypatch.setenv("LC_ALL", locale)
        amounts = (Money("utf-8").amount(text, currency).whole for text in ("100000.00", "1000000000000.00"))
        small, large = (re.findall(r"\d+", amount) for amount in amounts)
        assert ("".join(small), "".join(large)) == ("100000", "1000000000000"), locale
        assert len(small) == 1 or max(map(len, large)) <= 3, (locale, large)
        grouped += len(small) > 1
    assert grouped > 500


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_an_encoding_lacks_is_written_as_a_code(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "en_IN.UTF-8")
    assert str(Money(encoding).amount("1234567.50", "INR", "+")) == "+1,234,567.50 INR"


def test_the_first_variable_that_is_set_names_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LC_ALL", ""), ("LC_MONETARY", "de_DE.UTF-8"), ("LANG", "en_IN.UTF-8")):
        monkeypatch.setenv(name, value)
    assert str(Money("utf-8").amount("1234.50", "EUR")) == "1.234,50 €"


@pytest.mark.parametrize(("text", "width"), NAMES.items(), ids=map(ascii, NAMES))
def test_texts_are_as_wide_as_terminals_show_them(text: str, width: int) -> None:
    assert cells(text) == width
    graphemes = list(iter_graphemes(text))
    for most in range(1, 12):
        short = cut(text + " is a name", most)
        assert cells(short) <= most
        kept = short.removesuffix("…").partition(" ")[0]
        assert kept in ["".join(graphemes[:end]) for end in range(len(graphemes) + 1)] or kept in text.split()


def test_a_text_is_cut_between_words_where_it_has_some() -> None:
    assert cut("Groceries at the corner", 20) == "Groceries at the…"
    assert cut("Groceries at the corner", 17) == "Groceries at the…"
    assert cut("Donaudampfschifffahrt", 10) == "Donaudamp…"
    assert cut("A Donaudampfschifffahrt", 10) == "A Donauda…"
    assert cut("fits", 4) == "fits"
    assert cut("abc", 1) == ""


def test_lines_are_broken_between_words_and_words_never() -> None:
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert wrapped("a-token-of-20-letters next", 10) == ["a-token-of-20-letters", "next"]
    assert wrapped("", 10) == [""]


def _text(name: str) -> Column:
    return Column(name, lambda row, _told: row[name])


COLUMNS = (
    _text("id")._replace(rank=10),
    Column("time", lambda row, _told: row["time"], 5, lambda row, _told: row["time"][:10], 30),
    Column("amount", lambda row, _told: Amount(*row["amount"])),
    _text("note")._replace(rank=20, least=8),
    _text("key")._replace(rank=40),
)
ROWS = [
    {"id": "1-2", "time": "2024-04-19 05:27:13", "amount": ("-₹120", ".50"), "note": "आशा's share of it", "key": "k"},
    {"id": "1-1", "time": "2024-04-01 10:00:00", "amount": ("+1,500", " JPY"), "note": "Tea", "key": "first"},
]


@pytest.mark.parametrize(
    ("columns", "head", "hidden"),
    [
        (None, "id   time                 amount       note               key", []),
        (63, "id   time                 amount       note               key", []),
        (56, "id   time                      amount  note           key", []),
        (50, "id   time                      amount  note", ["key"]),
        (44, "id   time             amount  note", ["key"]),
        (30, "id   time             amount", ["note", "key"]),
        (24, "time             amount", ["id", "note", "key"]),
        (10, "    amount", ["id", "time", "note", "key"]),
    ],
)
def test_columns_give_way_by_their_rank(columns: int | None, head: str, hidden: list[str]) -> None:
    table = Table(COLUMNS, Told(None), columns, color=False)
    lines = list(table.lines(ROWS))
    assert (lines[0].split(), table.hidden) == (head.split(), hidden)
    assert columns is None or max(map(cells, lines)) <= columns
    at = [line.index(sign) for line, sign in zip(lines[1:], (".50", " JPY"), strict=True)]
    if columns not in (None, 63, 56):  # nothing before it that is wider than its letters
        assert at[0] == at[1]


def test_a_card_aligns_its_amounts_and_wraps_the_rest() -> None:
    card = Card("Debit 1-2", [("amount", Amount("-₹1", ".50")), ("none", None), ("balance", Amount("₹1,200", ".00"))])
    card = card._replace(fields=[*card.fields, ("note", "to be wrapped between words")])
    assert list(lines_of(card, Told(None), 24, color=False)) == [
        "Debit 1-2",
        "amount      -₹1.50",
        "balance  ₹1,200.00",
        "note",
        "  to be wrapped between",
        "  words",
    ]
    assert list(lines_of(card, Told(None), 26, color=False))[3:] == [
        "note     to be wrapped",
        "         between words",
    ]


@pytest.mark.parametrize(
    ("status", "available", "told"),
    [
        ("active", "600.00", None),
        ("active", "550.00", "₹550.00"),
        ("frozen", "600.00", "₹0.00"),
        ("frozen", "550.00", "₹0.00"),
        ("closed", "700.00", "₹0.00"),  # one that might go below 0
    ],
)
def test_of_a_wallet_that_is_not_active_nothing_can_be_spent(status: str, available: str, told: str | None) -> None:
    """Wherever it is said: where nothing is said, all of the balance can be."""
    shown = Told(None)
    row = dict.fromkeys(fields.Wallet.__annotations__, None) | {
        "id": 1, "wallet": "1/main", "currency": "INR", "status": status, "balance": "600.00", "held": "0.00",
        "available": available, "minimum_balance": "0.00", "transactions": 1,
        "created_at": "2024-04-02T10:00:00.000000Z",
    }  # fmt: skip
    for kind, usual in (("wallet", None), ("limits", "₹600.00")):
        make = KINDS[kind].card
        assert make is not None
        amount = dict(make(row, shown).fields)["can be spent"]
        assert (amount and str(amount)) == (told or usual), kind
    (column,) = (each for each in KINDS["wallet"].columns if each.head == "can be spent")
    assert column.when is not None
    assert (str(column.cell(row, shown)) if column.when(row) else None) == told
    make = KINDS["balance"].card
    assert make is not None
    said = " ".join(make(row, shown).more)
    assert ("nothing goes in or out" in said) == (status != "active")
    assert (f"{told} can be spent" in said) == (status == "active" and told is not None)


@pytest.mark.parametrize("kind", ["transaction", "wallet", "user", "hold", "key"])
def test_a_kind_is_shown_of_any_row_that_its_fields_allow(kind: str) -> None:
    types = fields.LISTS | {"keys": fields.OperatorKey}
    row = {name: _sample(name, str(of)) for name, of in types[f"{kind}s"].__annotations__.items()}
    told = Told(None)
    table = Table(KINDS[kind].columns, told, None, color=False)
    assert len(list(table.lines([row]))) == 2
    everything = _heads(table, row)
    for width in (20, 40, 60, 80, 119):
        assert sorted(_heads(Table(KINDS[kind].columns, told, width, color=False), row)) == sorted(everything), width
    made = KINDS[kind].card
    assert made is not None
    assert list(lines_of(made(row, told), told, None, color=True))


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2024-04-19T23:59:59.999999Z", "had ₹600.00{} at the end of 2024-04-19."),
        ("2024-04-19T05:27:13.000000Z", "had ₹600.00{} at 2024-04-19 05:27:13 UTC."),
        ("2230-12-31T23:59:59.999999Z", "The end of 2230-12-31 has not come: now {} has ₹600.00{}."),
        ("2230-12-31T10:00:59.999999Z", "2230-12-31 10:00:59 UTC has not come: now {} has ₹600.00{}."),
    ],
)
def test_nobody_had_anything_at_a_time_that_has_not_come(at: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"id": 1, "wallet": "1/Main", "currency": "INR", "status": "frozen", "balance": "600.00", "at": at}
    make = KINDS["balance"].card
    assert make is not None
    for name, start, who, where in (
        ("asha", "asha ", "asha", " in wallet 1/Main"),
        ("", "Wallet 1/Main ", "wallet 1/Main", ""),
    ):
        monkeypatch.setattr(Told, "owner", lambda _told, _id, name=name: name)
        told = said.format(where) if said.startswith("had") else said.format(who, where)
        assert make(row, Told(None)) == Card((start if said.startswith("had") else "") + told, more=[])


def _heads(table: Table, row: Row) -> list[str]:
    """The columns that are shown, and those that are said to be hidden."""
    return [*re.split(" {2,}", next(table.lines([row])).strip()), *table.hidden]


@pytest.mark.parametrize(
    ("columns", "head"),
    [
        (90, "id   time       wallet  name       kind    amount  balance"),
        (52, "id time wallet name kind amount"),
        (48, "time wallet name kind amount"),
        (42, "time wallet name amount"),
        (32, "time wallet amount"),
    ],
)
def test_in_the_day_book_who_it_was_stays_longer_than_the_balance(columns: int, head: str) -> None:
    row = {
        "id": "1-3", "wallet": "1/main", "name": "Asha Rao", "kind": "debit", "is_credit": False, "amount": "10.00",
        "balance": "1234347.00", "currency": "INR", "at": "2024-04-19T05:27:13.000000Z",
    }  # fmt: skip
    table = Table(KINDS["history"].columns, Told(None), columns, color=False)
    assert next(table.lines([row])).split() == head.split()


def _sample(name: str, of: str) -> object:
    """A value that a field may have."""
    known = {"currency": "INR", "status": "open", "kind": "credit", "meta": {"a": "b"}, "wallet": "1/main"}
    known |= {"transfer": "2-1", "reverses": "1-1", "hold": "1-h1"}
    if name in known:
        return known[name]
    if "Money" in of:
        return "12.50"
    if "Time" in of:
        return "2024-04-19T05:27:13.000000Z"
    if "Id" in of or "Count" in of:
        return 7 if "TransactionId" not in of and "HoldId" not in of else "1-2"
    return True if "bool" in of or "Replayed" in of else "text"


class _Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("variables", "on_terminal_", "on_pipe"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"CLICOLOR_FORCE": "1", "CLICOLOR": "0"}, True, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
@pytest.mark.parametrize("color", [None, "auto", "always", "never"])
def test_colours_are_where_variables_and_the_option_say(
    color: str | None,
    variables: dict[str, str],
    on_terminal_: bool,
    on_pipe: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    expected = {
        None: (on_terminal_, on_pipe),
        "auto": (variables.get("TERM") != "dumb", False),
        "always": (True, True),
        "never": (False, False),
    }[color]
    with terminal.chosen(color, pager=True):
        assert (terminal.has_color(_Stream(True)), terminal.has_color(_Stream(False))) == expected
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ({}, ["less"]),
        ({"PAGER": "cat"}, None),
        ({"PAGER": ""}, None),
        ({"PAGER": "sort -r"}, ["sort", "-r"]),
        ({"PAGER": "sort", "WALLET_PAGER": ""}, None),
        ({"PAGER": "", "WALLET_PAGER": "sort"}, ["sort"]),
        ({"PAGER": "no-such-program"}, None),
        ({"PAGER": "'not ended"}, None),
        ({"TERM": "dumb"}, None),
    ],
)
def test_the_pager_is_the_one_that_is_chosen(
    variables: dict[str, str], command: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", _Stream(True))
    monkeypatch.setattr(sys, "stdout", _Stream(True))
    monkeypatch.setattr(terminal.shutil, "which", lambda name: None if name == "no-such-program" else name)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert terminal.pager() == command
    with terminal.chosen(None, pager=False):
        assert terminal.pager() is None
    monkeypatch.setattr(sys, "stdout", _Stream(False))
    assert terminal.pager() is None


@pytest.mark.parametrize(("said", "columns"), [("100", 100), ("0", 80), ("x", 80), ("9" * 5000, 80)])
def test_a_width_that_is_none_is_that_of_the_terminal(said: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", said)
    assert terminal.columns_of(_Stream(True)) == columns


PAGED = """
import sys
from wallet_cli.cli.app import main
print("-- long", flush=True)
print(main(sys.argv[1].split()), flush=True)
print("-- short", flush=True)
print(main("tx list 1 --limit 2".split()), flush=True)
"""


@pytest.mark.on_file("who reads an answer does not know where it was kept")
@pytest.mark.parametrize(
    ("pager", "why"),
    [
        ("false", "the pager ended with code 1"),
        ("sh -c 'exit 3'", "the pager ended with code 3"),
        ("sh -c 'read line; exit 3'", "the pager ended with code 3"),
        ("sh -c 'exec <&-; exit 1'", "the pager ended with code 1"),
        ("./no-program", "cannot start the pager (Exec format error)"),
    ],
)
@pytest.mark.parametrize("arguments", ["tx list 1 --all", "tx list --help"])
def test_where_the_pager_fails_the_answer_is_there_without_it(
    pager: str, why: str, arguments: str, tmp_path: Path
) -> None:
    added = [f"tx add 1 {number} --credit" for number in range(1, 31)]
    db = Files().copy("paged", ["register 9886977544", "create 1", *added], tmp_path)
    if pager == "./no-program":
        (tmp_path / pager).write_text("less\n")
        (tmp_path / pager).chmod(0o755)
    environ = {**os.environ, "WALLET_PAGER": pager, "WALLET_DB": str(db), "TERM": "xterm", "NO_COLOR": "1"}
    environ |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environ.pop("COLUMNS")

    def lines(line: str) -> list[str]:
        text = on_terminal([sys.executable, "-c", PAGED, line], environ, tmp_path, 100, rows=24)
        return text.partition("-- long\n")[2].partition("-- short\n")[0].splitlines()

    told, *answer = lines(arguments)
    assert told == f"{why}, so this is printed without it: {pager}"
    assert answer == lines(f"--no-pager {arguments}")
    assert answer[-1] == "0"
    assert len(answer) > 24


@pytest.mark.on_file("who reads an answer does not know where it was kept")
@pytest.mark.parametrize(
    ("pager", "arguments", "paged"),
    [
        ("sed s/^/|/", "tx list 1 --all", True),
        ("sed s/^/|/", "--no-pager tx list 1 --all", False),
        ("sed s/^/|/", "tx list 1 --all -q", False),
        ("sed s/^/|/", "tx list 1 --all --json", False),
        ("sed s/^/|/", "statement 1", True),
        ("head -n 1", "tx list 1 --all", None),
    ],
)
def test_only_what_is_longer_than_the_terminal_is_paged(
    pager: str, arguments: str, paged: bool | None, tmp_path: Path
) -> None:
    added = [f"tx add 1 {number} --credit" for number in range(1, 31)]
    db = Files().copy("paged", ["register 9886977544", "create 1", *added], tmp_path)
    environ = {**os.environ, "WALLET_PAGER": pager, "WALLET_DB": str(db), "TERM": "xterm", "NO_COLOR": "1"}
    environ |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environ.pop("COLUMNS")
    text = on_terminal([sys.executable, "-c", PAGED, arguments], environ, tmp_path, 30, rows=24)
    long, short = text.partition("-- long\n")[2].split("-- short\n")
    assert long.splitlines()[-1] == short.splitlines()[-1] == "0"
    assert "|" not in short
    if paged is None:
        assert len(long.splitlines()) == 2  # who has read enough has seen no error
    else:
        lines = long.splitlines()[:-1]
        assert [line[:1] == "|" for line in lines] == [paged] * len(lines)
        assert not paged or lines[-1].startswith("|not shown at 30 columns")
