"""Printing: data to stdout in four shapes; nothing that a person wrote can move, hide or colour anything."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.cli import run

from wallet_cli.cli.output import Document, Format, Listing, Record, Style, harmless, notice, print_error, render
from wallet_cli.cli.screen import audit
from wallet_cli.cli.screen.told import Told
from wallet_cli.cli.slow_readers import write_all
from wallet_cli.cli.stdout import Stdout
from wallet_cli.errors import InsufficientFunds, InvalidInput, shown

Row = dict[str, Any]
NASTY = "\x1b[31m[/red]\n\u202eé🧾"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("", ""),
        ("plain é 鍵 🧾", "plain é 鍵 🧾"),
        ("[/foo] a[b]c", "[/foo] a[b]c"),
        # Joined emoji and scripts that need joiners stay whole.
        ("👩\u200d👧", "👩\u200d👧"),
        ("क्\u200cष", "क्\u200cष"),
        ("non\u00a0breaking", "non\u00a0breaking"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\rd\be", "a\\nb\\tc\\rd\\x08e"),
        ("\x7f\x9b", "\\x7f\\x9b"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\ufeff\u00ad\u200b", "\\ufeff\\xad\\u200b"),
        ("\udcff", "\\udcff"),
        ("\ue000", "\\ue000"),
        ("\U000e0041", "\\U000e0041"),
    ],
    ids=ascii,
)
def test_what_could_harm_a_terminal_is_shown_escaped(text: str, safe: str) -> None:
    assert harmless(text) == safe


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("علی\u200cرضا", "'علی\u200cرضا'"),
        ("ශ්\u200dරී", "'ශ්\u200dරී'"),
        ("👩\u200d👧", "'👩\u200d👧'"),
        ("till\u200d-1", "'till\\u200d-1'"),
        ("\u200d", "'\\u200d'"),
        ("علی\u202e", "'علی\\u202e'"),
    ],
    ids=ascii,
)
def test_a_message_keeps_the_joiners_of_a_spelling(text: str, told: str) -> None:
    assert shown(text) == told


def test_user_text_in_a_message_is_quoted_escaped_and_cut() -> None:
    assert shown("a\nb") == "'a\\nb'"
    assert shown("x" * 61) == "'" + "x" * 60 + "…'"
    assert shown("\x1b" * 5000).isprintable()


@pytest.mark.parametrize("form", [Format.json, Format.jsonl])
def test_json_is_one_line_of_ascii_that_gives_the_text_back(form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    render(Record({"id": 1, "note": NASTY, "none": None, "yes": True}), Style(form))
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    assert out.replace("\n", "").isprintable()
    assert json.loads(out) == {"id": 1, "note": NASTY, "none": None, "yes": True}


def test_json_keeps_the_order_of_fields(capsys: pytest.CaptureFixture[str]) -> None:
    render(Record({"b": 1, "a": "x"}), Style(Format.json))
    assert capsys.readouterr().out == '{"b": 1, "a": "x"}\n'


def test_a_listing_in_json_and_in_jsonl(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": "1-2"}, {"id": "1-1"}]
    render(Listing(rows, ("id",), page={"transactions": rows, "next_cursor": None}), Style(Format.json))
    render(Listing(rows, ("id",)), Style(Format.json))
    render(Listing(rows, ("id",)), Style(Format.jsonl))
    page, array, *lines = capsys.readouterr().out.splitlines()
    assert json.loads(page) == {"transactions": rows, "next_cursor": None}
    assert json.loads(array) == rows
    assert [json.loads(line) for line in lines] == rows


def test_csv_gives_every_value_back_and_leaves_null_empty(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[Row] = [{"id": "1-1", "is_credit": True, "note": 'a,"b"\nc', "extra": 1}, {"id": "1-2", "note": None}]
    render(Listing(rows, ("id", "is_credit", "note")), Style(Format.csv))
    out = capsys.readouterr().out
    assert "\r" not in out
    assert list(csv.reader(io.StringIO(out))) == [
        ["id", "is_credit", "note"],
        ["1-1", "true", 'a,"b"\nc'],
        ["1-2", "", ""],
    ]


def test_one_thing_in_csv_has_its_own_fields_as_columns(capsys: pytest.CaptureFixture[str]) -> None:
    render(Record({"id": 1, "type": "main"}), Style(Format.csv))
    assert capsys.readouterr().out == "id,type\n1,main\n"


def test_of_a_thing_of_no_kind_counts_are_in_groups_and_ids_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    render(Record({"id": 1234567, "user_id": 1234567, "moved": True, "transactions": 1234567}), Style())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == ["1234567", "1234567", "yes", "1,234,567"]


@pytest.mark.parametrize(
    ("event", "details", "told"),
    [
        ("frozen", {"wallet": {"status": "frozen", "minimum_balance": None}}, "frozen"),
        ("type set", {"wallet": {"type": "savings", "minimum_balance": None}}, "type set: type savings"),
        ("fee set", {"fee": {"fee_name": "monthly"}}, "fee set: fee name monthly"),
    ],
)
def test_an_event_that_is_not_known_shows_its_details(event: str, details: Row, told: str) -> None:
    assert audit.what({"event": event, "details": details, "currency": "INR"}, Told(None, "utf-8")) == told


@pytest.mark.parametrize("form", list(Format))
def test_quiet_prints_the_value_alone_whatever_the_format(form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    render(Record({"id": 1, "balance": "20.00"}, value="balance"), Style(form, quiet=True))
    render(Listing([{"id": "1-2"}, {"id": "1-1"}], ("id",)), Style(form, quiet=True))
    assert capsys.readouterr().out == "20.00\n1-2\n1-1\n"


def test_tables_show_markup_as_text_and_controls_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    render(Record({"id": 1, "note": NASTY}), Style())
    render(Listing([{"id": 1, "note": "[/foo] a[b]c"}], ("id", "note")), Style())
    out = capsys.readouterr().out
    assert "\\x1b[31m[/red]\\n\\u202eé🧾" in out
    assert "[/foo] a[b]c" in out
    assert "\x1b" not in out


def test_a_table_off_a_terminal_is_not_cut_and_a_row_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    note = "long " * 200 + "end"
    render(Listing([{"id": 1, "note": note}], ("id", "note")), Style())
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["id", "note"]
    assert row.split(maxsplit=1) == ["1", note]


def test_a_card_leaves_out_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    render(Record({"id": 1, "note": None, "key": ""}), Style())
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["id", "1"]]


def test_a_stream_that_is_not_read_to_its_end_is_closed() -> None:
    closed = []

    def rows() -> Iterator[Row]:
        try:
            yield {"id": 1}
            yield {"wrong": 2}
        finally:
            closed.append(True)

    with pytest.raises(KeyError):
        render(Listing(rows(), ("id",)), Style(quiet=True))
    assert closed == [True]


def test_an_error_is_two_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(InvalidInput("wrong\nthing", hint="do\x1b this"), Format.table)
    print_error(InvalidInput("no hint"), Format.csv)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: wrong\\nthing\nhint: do\\x1b this\nerror: no hint\n"


@pytest.mark.parametrize("form", [Format.json, Format.jsonl])
def test_an_error_in_json_is_one_object_on_stderr(form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    print_error(InsufficientFunds("too\nlittle", hint="less", shortfall="5.00"), form)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert json.loads(err) == {
        "error": {
            "code": "insufficient_funds",
            "message": "too\nlittle",
            "hint": "less",
            "retryable": False,
            "details": {"shortfall": "5.00"},
        }
    }


def test_a_notice_goes_beside_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    notice("made\x07 it")
    assert capsys.readouterr() == ("", "made\\x07 it\n")


FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "＋1", "－1", "＠x", " =1", "-")
NUMBERS = ("-5.00", "+919886977544", "5", "-0.05", "+44 20 7946 0958", "a=1", "", "'=1", "2024-04-01")


@pytest.mark.parametrize("text", FORMULAS)
def test_csv_has_no_cell_that_a_spreadsheet_runs(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    render(Listing([{"note": text}], ("note",)), Style(Format.csv))
    render(Record({"note": text}), Style(Format.csv))
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out, newline="")))
    assert rows == [["note"], [f"'{text}"]] * 2


@pytest.mark.parametrize("text", NUMBERS)
def test_what_no_spreadsheet_runs_is_as_it_was_in_csv(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    render(Listing([{"id": 1, "note": text}], ("id", "note")), Style(Format.csv))
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [["id", "note"], ["1", text]]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_is_sent_nothing_that_moves_it(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    nasty = "a\x1b[31m\x9b2J\u202eb\u2066\x07é"
    render(Listing([{"note": nasty}], ("note",)), Style(Format.csv))
    render(Listing([{"note": nasty}], ("note",), value="note"), Style(quiet=True))
    render(Document([f"; {nasty}\n", "second\n"]), Style())
    out = capsys.readouterr().out
    told = "a\\x1b[31m\\x9b2J\\u202eb\\u2066\\x07é" if terminal else nasty
    assert out == f"note\n{told}\n{told}\n; {told}\nsecond\n"


@pytest.mark.parametrize("is_spooled", [False, True])
def test_a_pipe_that_somebody_made_non_blocking_is_waited_for(is_spooled: bool) -> None:
    taken, given = os.pipe()
    os.set_blocking(given, False)
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filled += os.write(given, b"-" * 4096)
    text = b"0123456789abcdef" * 65_536

    def write() -> None:
        with Stdout(given, "w") as raw, io.BufferedWriter(raw) as file:
            if is_spooled:
                write_all(given, text)
            else:
                file.write(text)

    with ThreadPoolExecutor(1) as pool, os.fdopen(taken, "rb") as source:
        writing = pool.submit(write)
        assert source.read()[filled:] == text
        writing.result()


@pytest.mark.parametrize(
    ("line", "is_json"),
    [
        ("debit 1 9 --note 'from -o json'", False),
        ("debit 1 9 --note --jq", False),
        ("debit 1 9 --note=--json", False),
        ("tx list 1 --text --json", False),
        ("--db /no/json users", False),
        ("debit 1 9 --note 'use --color always'", False),
        ("debit 1 9 --note x --json", True),
        ("tx list 1 -ojson --text x", True),
        ("--color always tx list 1 -qo jsonl", True),
        ("tx list 1 --output=json", True),
        ("tx list 1 --jq '.x | .y'", True),
        ("nope --json", True),
        ("debit 1 9 --bogus -o json", True),
        ("debit 1 9 -- --json", True),  # which is told to stand before the --
    ],
)
def test_an_error_has_the_form_that_an_option_asks_for_and_no_value_of_one(
    line: str, is_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WALLET_DB", str(tmp_path / "none.db"))
    told = run(line)
    assert told.code != 0
    assert told.err.startswith('{"error": ' if is_json else "error: ")
