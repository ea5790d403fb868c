"""CSV as people's programs write it: read, or refused as a whole, with the line and what to do; never half applied."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import cli, terminal
from support.engines import Address
from transport.ledgers import BOUNDED, imported, opened

from wallet_cli.domain.ids import parse_wallet
from wallet_cli.domain.money import Currency
from wallet_cli.domain.period import format_time
from wallet_cli.domain.remarks import Remarks
from wallet_cli.domain.typed_amount import to_amount
from wallet_cli.errors import Busy, Interrupted, InvalidInput, KeyReused, TimeConflict, shown
from wallet_cli.import_export import imports
from wallet_cli.import_export.imports import checking, profiles
from wallet_cli.import_export.imports.dialect import ENDS, FormFault, dialect, plain
from wallet_cli.import_export.imports.reading import read_lines
from wallet_cli.operations import ledgers, transactions, users, wallets
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger

HEADER = b"wallet,amount,kind,note\n"


@pytest.fixture
def owned(ledger: Ledger) -> Ledger:
    ledger.run(users.register(ledger, "9886977544"), "register")
    ledger.run(wallets.create(ledger, parse_wallet("id:1")), "create")
    return ledger


def read(
    ledger: Ledger,
    file: bytes,
    duplicates: str | None = None,
    *,
    sort: bool = False,
    create: bool = False,
    **written: str,
) -> Answer:
    """Import a file that is written in some way; `map` is what --map has."""
    columns = [written.pop("map")] if "map" in written else []
    options = imports.Options(create, duplicates=duplicates, sort=sort)
    return imports.run(ledger, io.BytesIO(file), options, dialect=dialect(columns=columns, **written))


def held(ledger: Ledger) -> list[tuple[int, str | None]]:
    """Each amount with its sign, and note."""
    return [(row[3] if row[2] else -row[3], row[14]) for row in ledger.store.exported(1, 99)]


READ: dict[str, tuple[bytes, dict[str, str], list[tuple[int, str | None]]]] = {
    "semicolons": (b"wallet;amount;kind\n1;5;credit\n", {}, [(500, None)]),
    "tabs": (b"wallet\tamount\tkind\n1\t5\tcredit\n", {}, [(500, None)]),
    "bars": (b"wallet|amount|kind\n1|5|credit\n", {}, [(500, None)]),
    "a separator line": (b"sep=;\r\nwallet;amount;kind\r\n1;5;credit\r\n", {}, [(500, None)]),
    "a tab as a separator line": (b"sep=\t\r\nwallet\tamount\tkind\r\n1\t5\tcredit\r\n", {}, [(500, None)]),
    "a separator that is said": (b"wallet;amount;kind\n1;5;credit\n", {"delimiter": "semicolon"}, [(500, None)]),
    "a padded header": (b"Wallet, AMOUNT ,\xc2\xa0Kind,,\n1,5,credit,,\n,,,,\n", {}, [(500, None)]),
    "kinds in any case": (b"wallet,amount,kind\n1,5,Credit\n1,2,DEBIT\n", {}, [(500, None), (-200, None)]),
    "quoted names": (b'\xef\xbb\xbf"wallet";"Amount";"kind"\n"1";"5";"credit"\n', {}, [(500, None)]),
    "utf-16": ("wallet;amount;kind;note\r\n1;5;credit;é€\r\n".encode("utf-16"), {}, [(500, "é€")]),
    "utf-16, the other way": (b"\xfe\xff" + "wallet,amount,kind\n1,5,credit\n".encode("utf-16-be"), {}, [(500, None)]),
    "utf-16 without its mark": (
        "wallet,amount,kind\n1,5,credit\n".encode("utf-16-le"),
        {"encoding": "utf-16-le"},
        [(500, None)],
    ),
    "cp1252": (b"wallet,amount,kind,note\n1,5,credit,\x80 caf\xe9\n", {"encoding": "cp1252"}, [(500, "€ café")]),
    "old line ends": (b"wallet,amount,kind\r1,5,credit\r1,6,credit\r", {}, [(500, None), (600, None)]),
    "decimal commas": (
        "wallet;amount;kind\n1;1.234,50;credit\n1;1234,5;credit\n1;1 234,5;credit\n1;1\u00a0234,5;credit\n"
        "1;1\u202f234,5;credit\n1;1'234,5;credit\n1;1.234;credit\n1;7;credit\n".encode(),
        {"decimal": ","},
        [(123450, None)] * 6 + [(123400, None), (700, None)],
    ),
    "decimal points": (
        b'wallet,amount,kind\n1,"1,234.50",credit\n1,"12,34,567.89",credit\n1,"1,234",credit\n1,0.5,credit\n',
        {"decimal": "."},
        [(123450, None), (123456789, None), (123400, None), (50, None)],
    ),
    "a point, where others show what it is": (
        b"wallet,amount,kind\n1,5.00,credit\n1,7.000,credit\n1,1.5,credit\n",
        {},
        [(500, None), (700, None), (150, None)],
    ),
    "days first": (
        b"wallet,amount,kind,at\n1,1,credit,1/2/2024\n1,2,credit,02.03.2024 9:05\n1,3,credit,2024-12-31\n",
        {"dates": "dmy"},
        [(100, None), (200, None), (300, None)],
    ),
    "months first": (
        "wallet,amount,kind,at\n1,1,credit,12/31/2023\n1,2,credit,1/2/2024 11:05 PM\n"
        '1,3,credit,"1/3/2024, 1:05:00\u202fAM"\n1,4,credit,\u200e1/\u200e3/\u200e2024\u00a01:05 p.\u00a0m.\n'
        "1,5,credit,2024-01-04\u00a010:15\n".encode(),
        {"dates": "mdy"},
        [(100, None), (200, None), (300, None), (400, None), (500, None)],
    ),
    "decimal signs by name": (b"wallet;amount;kind\n1;1.234,50;credit\n", {"decimal": "comma"}, [(123450, None)]),
    "a signed amount": (
        "Tag;Betrag;Saldo\n1.2.2024;500,00;x\n2.2.2024;-1,50;y\n3.2.2024;2,50-;z\n4.2.2024;(3);\n5.2.2024;\u22124;\n".encode(),
        {"map": "Tag=at,Betrag=signed_amount", "wallet": "1", "decimal": ",", "dates": "dmy"},
        [(50000, None), (-150, None), (-250, None), (-300, None), (-400, None)],
    ),
    "a column for what comes in, and one for what goes out": (
        b"Paid in,Paid out,Details\n500.00,,a\n0.00,1.50,b\n,2.50,c\n",
        {"map": "Paid in=credit,PAID OUT=debit,details=note", "wallet": "1"},
        [(50000, "a"), (-150, "b"), (-250, "c")],
    ),
    "what goes out has a minus": (
        b"In,Out\n500,\n0,-1.50\n,-2.50\n4,0\n5,-0.00\n",
        {"map": "In=credit,Out=debit", "wallet": "1"},
        [(50000, None), (-150, None), (-250, None), (400, None), (500, None)],
    ),
    "a bank's own id and currency": (
        b"id,wallet,amount,kind,Balance,forced\nx,1,5,credit,y,z\n",
        {"map": "amount=amount"},
        [(500, None)],
    ),
    "a name with a comma": (b'wallet,"Sum, gross",kind\n1,5,credit\n', {"map": '"Sum, gross=amount"'}, [(500, None)]),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_read(name: str, owned: Ledger) -> None:
    file, written, expected = READ[name]
    summary = read(owned, file, **written)
    assert held(owned) == expected
    assert summary["applied"] == len(expected)
    assert read(owned, file, **written)["replayed"] == len(expected)


# A cell, and the note that it is.
PADDED = {
    '"Rice"': "Rice",
    ' "Rice"': "Rice",
    '   "Rice, lentils"  ': "Rice, lentils",
    '"Rice" ': "Rice",
    ' ""': None,
    ' " "': " ",
    ' "a "" , b"': 'a " , b',
    '"a "" , b, "" c"': 'a " , b, " c',
    ' " ""a"" , ""b"" " ': ' "a" , "b" ',
    '"one"" \n "" , two "" ,\n"" "" " ': 'one" \n " , two " ,\n" " ',
    ' "one\n two" ': "one\n two",
    "   indented  ": "   indented  ",
    ' 5" pipe ': ' 5" pipe ',
    'the "old" ': 'the "old" ',
    ' "Rice" is nice': ' "Rice" is nice',
    ' "Rice" "beans" ': ' "Rice" "beans" ',
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("wallet,amount,kind,note", '"1", "5" ,credit,{}'),
        (' "Wallet" ,"note", "Amount","Kind" ', ' "1" ,{}, "5", "credit" '),
        ("note,wallet,amount,kind", "{},1,5,credit"),
    ],
)
def test_spaces_around_quotes_do_not_count_and_all_others_do(header: str, row: str, separator: str, end: str) -> None:
    file = "".join(line + end for line in (header, *map(row.format, PADDED)))
    found = [*read_lines(io.BytesIO(file.replace(",", separator).encode()), "a.csv")]
    assert [line.problem for line in found] == [None] * len(PADDED)
    notes = [note and note.replace(",", separator) for note in PADDED.values()]
    assert [(line.fields.pop("note", None), line.fields) for line in found] == [
        (note, {"wallet": "1", "amount": "5", "kind": "credit"}) for note in notes
    ]


@pytest.mark.parametrize("cell", ['"Rice" is nice', '"Rice" "beans"', '"Rice" "beans" ', '"a, b" c '])
def test_what_follows_quotes_is_refused(cell: str) -> None:
    line, after = read_lines(io.BytesIO(HEADER + f"1,5,credit,{cell}\n1,5,credit, x\n".encode()), "a.csv")
    assert line.problem is not None
    assert line.problem.message == "the line is not CSV: ',' expected after '\"'"
    assert after.fields["note"] == " x"


# A line that is fine comes before each, and is not applied.
WHOLE: dict[str, tuple[bytes, dict[str, str], str]] = {
    "not utf-8": (b"1,5,credit,\xff\n", {}, "line 3: the line is not UTF-8: byte 12 is ff"),
    "not utf-8, later in a line of many": (b'1,5,credit,"a\nb\xff"\n', {}, "byte 2 of line 4 is ff"),
    "half a surrogate pair": (b"1,5,credit,\xed\xa0\x80\n", {}, "line 3: the line is not UTF-8"),
    "a quote left open": (b'1,5,credit,"open\n' + b"1,5,credit,x\n" * 3, {}, "line 3: a quote is not closed"),
    "a quote left open, and another later": (
        b'1,5,credit,"open\n1,5,credit,"x"\n',
        {},
        "line 3: a quote is not closed",
    ),
    "a comma": (b'1,"1,50",credit,\n', {}, "line 3: the decimal sign is not given: '1,50'"),
    "a comma before three digits": (b'1,"1,500",credit,\n', {}, "line 3: the amount could be two numbers: '1,500'"),
    "lakhs": (b'1,"1,00,000",credit,\n', {}, "line 3: the decimal sign is not given: '1,00,000'"),
    "commas and a point": (b'1,"1,234.50",credit,\n', {}, "line 3: the decimal sign is not given"),
    "groups": ("1,1\u00a0234,credit,\n".encode(), {}, "line 3: the decimal sign is not given"),
    "a point with three digits": (b"1,1.234,credit,\n", {}, "line 3: the amount could be two numbers: '1.234'"),
    "the wrong group": (b'1,"1.23",credit,\n', {"decimal": ","}, "line 3: the amount is not a number with the decimal"),
    "the other group": (b'1,"1.234,50",credit,\n', {"decimal": "."}, "line 3: the amount is not a number with"),
    "a currency": ("1,€5,credit,\n".encode(), {}, "line 3: the amount has more in it than a number: '€5'"),
    "a debit after it": (b"1,5.00 Dr,credit,\n", {}, "line 3: the amount has more in it than a number: '5.00 Dr'"),
    "a minus after it": (b"1,5-,credit,\n", {}, "line 3: the amount has a sign"),
    "brackets": (b"1,(5),credit,\n", {}, "line 3: the amount has a sign"),
    "no such character": (b"1,5,credit,\x81\n", {"encoding": "cp1252"}, "line 3 is not cp1252: byte 81"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_refused_as_a_whole(name: str, owned: Ledger) -> None:
    lines, written, message = WHOLE[name]
    for more in (b"", b"1,5,credit,more\n"):
        with pytest.raises(InvalidInput) as raised:
            read(owned, HEADER + b"1,5,credit,first\n" + lines + more, **written)
        assert message in raised.value.message
        assert "nothing was applied" in raised.value.message
        assert raised.value.hint
    assert held(owned) == []


# A cell that a person understands, and what is said of it: an option that reads it, or what to do to the cell.
CELLS = {
    "signed_amount": (
        *("1.500.000", "1,500,000", "1,00,000", "1 234", "1'234,5", "-1.500", "(1,50)", "1,5-", "+1.234,50"),
        *("CHF 5.00", "USD5.00", "Rs 500", "Rs.500", "500 Rs", "5 kr", "5円", "€5", "5 000 EUR", "5.00H", "5.00%"),
        *("5,-", "5.-", "1.5.0", "--5", "1,2,3", ".5"),
    ),
    "at": (
        *("0301", "45657", "11/12/2024", "12/12/2024", "31/12/2024", "12/31/2024", "13/13/2024", "31/12/2024 13:15 PM"),
        *("31.12.2024 24:00", "30.02.2024", "31/12/24", "\u200e31/\u200e12/2024", "31.12.2024\u00a010:15 \u202fPM"),
    ),
}


@pytest.mark.on_file("it is about how a file is read")
@pytest.mark.parametrize("target", CELLS)
@pytest.mark.parametrize("given", [{}, {"decimal": ",", "dates": "dmy"}, {"decimal": ".", "dates": "mdy"}])
def test_a_cell_is_read_or_refused_as_it_stands_and_an_option_that_is_offered_reads_it(
    target: str, given: dict[str, str], owned: Ledger
) -> None:
    how = {"delimiter": "pipe", "wallet": "1"}
    for cell in CELLS[target]:
        rows = [["signed_amount", "at"], ["9000", "2023-01-01"], ["1", "2024-01-01"]]
        rows[2][rows[0].index(target)] = cell
        file = "\n".join("|".join(row) for row in rows).encode()
        refused = refusal(owned, file, how | given)
        if refused is not None:
            assert refused.message.startswith("line 3: ")
            assert refused.message.endswith(f": {shown(cell.strip(ENDS))}; nothing was applied")
            offered = dict(re.findall(r"--(decimal|dates) (\S+)", (refused.hint or "").replace("SIGN, ", ". ")))
            assert not offered or refusal(owned, file, how | given | offered) is None, cell


@pytest.mark.parametrize("decimal", [",", "."])
@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0{group}500", None),
        ("00{group}500", None),
        ("012{group}500", None),
        ("-0{group}500", None),
        ("0{group}500{decimal}00", None),
        ("0 500", None),
        ("110{group}10{group}112", None),
        ("1{group}5", None),
        ("0{decimal}500", "0.500"),
        ("1{group}500", "1500"),
        ("100{group}500{decimal}25", "100500.25"),
        ("1'00'000", "100000"),
    ],
)
def test_nobody_begins_with_a_group_of_0(text: str, amount: str | None, decimal: str) -> None:
    """As where amounts are typed: such a sign is the decimal one, and the amount would be read a thousandfold."""
    cell = text.format(decimal=decimal, group="." if decimal == "," else ",")
    if amount is not None:
        assert dialect(decimal=decimal).amount(cell, signed=True) == amount
        return
    with pytest.raises(FormFault) as refused:
        dialect(decimal=decimal).amount(cell, signed=True)
    other = {",": ".", ".": ","}[decimal]
    if cell.lstrip("-").replace(other, "", 1).isdigit():
        assert str(refused.value.hint).endswith(f"--decimal {other} may be right")
    with pytest.raises(InvalidInput):
        to_amount(cell.replace(".", ","), Currency("INR", 2), by_hand=True)


def test_a_line_that_is_there_is_known_on_both_sides_of_a_reset_of_its_wallets_time(owned: Ledger) -> None:
    """The wallet's times go back there, so that no search and no walk finds them all."""
    now_us = owned.now_us()
    minute_us = 60_000_000

    def imported_at(minute: int, *minutes: int) -> tuple[int, int]:
        owned.executor.clock = lambda: now_us + minute * minute_us
        lines = "".join(f"1,{5 + each % 7},credit,{format_time(now_us + each * minute_us)}\n" for each in minutes)
        done = read(owned, f"wallet,amount,kind,at\n{lines}".encode(), "skip")
        return done["applied"], done["skipped"]

    assert imported_at(0, -90, -80) == (2, 0)
    assert imported_at(60, 50, 60) == (2, 0)
    owned.executor.clock = lambda: now_us
    owned.run(transactions.add(owned, parse_wallet("1"), "1", is_credit=True, reset_time=True), "tx add")
    assert imported_at(20, 10, 20) == (2, 0)
    assert imported_at(90, -90, -80, 10, 20, 50, 60, 70) == (1, 6)


def refusal(ledger: Ledger, file: bytes, written: dict[str, str]) -> InvalidInput | None:
    """Why a file would be refused as a whole; None if each of its lines would be applied."""
    columns = ["signed_amount=signed_amount,at=at"]
    try:
        summary = imports.run(
            ledger, io.BytesIO(file), imports.Options(dry_run=True), dialect=dialect(columns=columns, **written)
        )
    except InvalidInput as refused:
        return refused
    assert summary["refused"] == 0, file
    return None


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("5,3", "the line has a credit and a debit"),
        ("0.00,-0", "the line has a credit of 0 and a debit of 0"),
        ("0,", "the amount must be greater than 0: '0'"),
        (",", "amount is missing"),
    ],
)
def test_what_is_wrong_with_two_columns_of_amounts_is_told(columns: str, said: str, owned: Ledger) -> None:
    told: list[str] = []
    imports.run(
        owned,
        io.BytesIO(f"in,out,note\n{columns},x\n".encode()),
        report=lambda _line, error, _text: told.append(error.message),
        dialect=dialect(columns=["in=credit,out=debit"], wallet="1"),
    )
    assert told == [said]


HEADERS = {
    "wallet_id,amount": ["amount=signed_amount"],
    "wallet_id,amount,type": ["amount=signed_amount"],
    "wallet_id,betrag,kind": ["betrag=amount"],
    "Wallet Id,Date,amount": ["Date=at", "amount=signed_amount"],
    "walletId,Sum": ["Sum=signed_amount"],
    "customer number,Sum": ["Sum=signed_amount"],
    "kundennr,Betrag": ["Betrag=signed_amount"],
    "uid,x,y": [],
    "customer,Paid in,Paid out": ["customer=wallet,Paid in=credit,Paid out=debit"],
    "phone number,Sum,Paid in": ["phone number=wallet,Sum=signed_amount"],
    "phone,Paid in": ["phone=wallet"],
    "wallet,amount,kind,credit": [],
    "id,wallet_id,amount,kind,is_credit,note": [],
    "wallet,amount,kind,is_credit,text": ["text=note"],
}
"""Headers, and the maps that are offered for them."""


@pytest.mark.on_file("it is about how a header is read")
@pytest.mark.parametrize("header", HEADERS)
def test_a_map_that_is_offered_is_accepted_and_reads_no_id_as_a_user(header: str, owned: Ledger) -> None:
    def refused(**how: str) -> InvalidInput | None:
        try:
            read(owned, header.encode() + b"\n", **how)
        except InvalidInput as error:
            return error
        return None

    first = refused()
    assert first is not None
    assert first.hint is not None
    offered = re.findall(r"--map '([^']*)'", first.hint)
    assert offered == HEADERS[header]
    for columns in offered:
        after = refused(map=columns)
        assert after is None or "the header has no column" in after.message, columns
    is_named = "wallet" in header.split(",") or any("=wallet" in each for each in offered)
    assert ("the id of a wallet" in first.hint) is not is_named
    given = refused(wallet="1")
    assert given is None or "=wallet" not in (given.hint or "")


def test_what_is_not_a_number_shows_no_decimal_sign(owned: Ledger) -> None:
    with pytest.raises(InvalidInput, match=r"line 3: the amount could be two numbers: '1\.234'"):
        read(owned, HEADER + b"1,n.a.,credit,\n1,1.234,credit,\n")
    with pytest.raises(InvalidInput, match=r"line 3: the amount could be two numbers: '\(1\.234\)'"):
        read(owned, b"sum\n-\n(1.234)\n", map="sum=signed_amount", wallet="1")
    said: list[str] = []
    imports.run(
        owned,
        io.BytesIO(b"sum\n-\n"),
        report=lambda _line, error, _text: said.append(error.message),
        dialect=dialect(columns=["sum=signed_amount"], wallet="1"),
    )
    assert said == ["the amount is not a decimal number: '-'"]


@pytest.mark.parametrize(("encoding", "end"), [("utf-8", "\n"), ("utf-8", "\r"), ("utf-16", "\r\n"), ("cp1252", "\n")])
@pytest.mark.parametrize("above", ["Kontoauszug;;\nIBAN;DE89;\n;;\n", "Konto 1\n\n", "Konto;Betrag;Text\n"])
def test_a_header_below_other_lines_is_shown_and_read_without_them(
    above: str, encoding: str, end: str, owned: Ledger
) -> None:
    """No program is named that removes them: one that counts bytes destroys UTF-16, or finds no line."""
    lines = f"{above}Datum;Betrag;Text\n01.02.2024;5,00;\u00fc\n".splitlines()
    how = {"map": "Datum=at,Betrag=signed_amount,Text=note", "wallet": "1", "dates": "dmy", "decimal": ","}
    how["encoding"] = encoding
    with pytest.raises(InvalidInput, match="the header is not at the top, but in line") as refused:
        read(owned, end.join(lines).encode(encoding), **how)
    assert refused.value.hint == "remove the lines above it in a text editor"
    (first,) = re.findall(r"in line (\d+): 'Datum;", refused.value.message)
    assert read(owned, end.join(lines[int(first) - 1 :]).encode(encoding), **how)["applied"] == 1


@pytest.mark.parametrize("rows", [b"500,\n,-15\n,3\n", b"500,\n,15\n,-3\n7,\n", b",-15\n500,\n,(3)\n0,3.00\n"])
def test_a_debit_that_may_be_one_that_was_taken_back_is_refused_as_a_whole(rows: bytes, owned: Ledger) -> None:
    """In a column of both, one of the two signs means money in."""
    with pytest.raises(InvalidInput, match="the column of debits has amounts with and without a minus; nothing was"):
        read(owned, b"In,Out\n" + rows, map="In=credit,Out=debit", wallet="1")
    assert held(owned) == []


@pytest.mark.parametrize("at", ["2025-06-01", "2025-06-01T09:00", "2025-06-01T09:00+05:30"])
@pytest.mark.parametrize("zones", [("Asia/Kolkata", "UTC"), ("UTC", "Asia/Kolkata"), ("Asia/Kolkata", "America/Lima")])
def test_the_same_lines_are_known_although_their_times_are_read_in_another_zone(
    owned: Ledger, zones: tuple[str, str], at: str
) -> None:
    """The ledger's zone was set in between, or the file came over HTTP, where it is UTC."""
    lines = b"wallet,amount,kind,at,note\n1,500,credit,%s,Salary\n" % at.encode()
    ledgers.change(owned, "timezone", zones[0])
    assert read(owned, lines)["applied"] == 1
    ledgers.change(owned, "timezone", zones[1])
    for again in (lines.replace(b"\n", b"\r\n"), lines + b"1,7,credit,2025-06-02,Tea\n"):
        with pytest.raises(InvalidInput, match="1 line is already in the ledger, the first is line 2"):
            read(owned, again)
    assert read(owned, lines.replace(b"\n", b"\r\n"), "skip")["applied"] == 0
    assert held(owned) == [(50000, "Salary")]


@pytest.mark.parametrize("key", ["", "k-7"])
@pytest.mark.parametrize("at", ["2025-06-01", "2025-06-01T09:00", "2025-06-01T09:00:01.5"])
@pytest.mark.parametrize("zones", [("Asia/Kolkata", "UTC"), ("UTC", "Asia/Kolkata"), ("Asia/Kolkata", "America/Lima")])
def test_the_same_file_is_the_same_although_its_times_are_read_in_another_zone(
    owned: Ledger, zones: tuple[str, str], at: str, key: str
) -> None:
    lines = f"wallet,amount,kind,at,key\n1,500,credit,{at},{key}\n1,0,credit,{at},\n".encode()
    ledgers.change(owned, "timezone", zones[0])
    before = read(owned, lines)
    ledgers.change(owned, "timezone", zones[1])
    again = read(owned, lines)
    assert (before["applied"], before["refused"], again["replayed"], again["refused"]) == (1, 1, 1, 1)
    if key:
        other = read(owned, lines.replace(b"2025-06-01", b"2025-06-02"))
        assert (other["applied"], other["replayed"], other["refused"]) == (0, 0, 2)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("key", ["", "k-7"])
@pytest.mark.parametrize("local", ["2025-10-26T02:30", "2025-03-30T02:30"])
def test_a_line_that_was_applied_is_replayed_although_its_hour_is_none_now(
    local: str, key: str, form: str, owned: Ledger
) -> None:
    """Or two: in the ledger's zone of now. It is refused if it is another line, or was not applied."""
    file = f"wallet,amount,kind,at,key\n1,7,credit,{local},{key}\n1,8,credit,2025-11-01T10:00,\n".encode()
    again = as_json(file) if form == "jsonl" else file
    ledgers.change(owned, "timezone", "Asia/Kolkata")
    assert read(owned, again)["applied"] == 2
    ledgers.change(owned, "timezone", "Europe/Berlin")
    done = read(owned, again)
    assert (done["applied"], done["replayed"], done["refused"]) == (0, 2, 0)
    other = again.replace(local.encode(), b"2025-10-26T02:31")
    if form == "csv":
        with pytest.raises(InvalidInput, match=r"line 2: .* comes twice: .*; nothing was applied"):
            read(owned, other)
    else:
        assert read(owned, other, "skip")["refused"] == 1
    assert len(held(owned)) == 2


@pytest.mark.parametrize("duplicates", ["ask", "skip", "add", "answered add"])
@pytest.mark.parametrize("change", ["saved again", "grown", "grown by an hour that is none now", "twice"])
@pytest.mark.parametrize("local", ["2025-10-26T02:30", "2025-03-30T02:30"])
def test_a_line_of_an_earlier_file_is_known_although_its_hour_is_none_now(
    local: str, change: str, duplicates: str, owned: Ledger
) -> None:
    """Or two. The hour of a line that is to be applied refuses the file, before it is asked about what is known."""
    file = f"wallet,amount,kind,at\n1,7,credit,{local}\n1,8,credit,2025-11-01T10:00\n".encode()
    ledgers.change(owned, "timezone", "Asia/Kolkata")
    assert read(owned, file)["applied"] == 2
    ledgers.change(owned, "timezone", "Europe/Berlin")
    more = {
        "grown": "1,9,credit,2025-11-02\n",
        "grown by an hour that is none now": "1,9,credit,2026-03-29T02:30\n",
        "twice": f"1,7,credit,{local}\n",
    }
    again = file.replace(b"\n", b"\r\n") + more.get(change, "").encode()
    known = change in ("saved again", "grown")
    if duplicates == "skip" and known:
        done = read(owned, again, "skip")
        assert (done["applied"], done["skipped"], done["refused"]) == (change == "grown", 2, 0)
        return
    asked = duplicates == "ask" and known
    told = "^2 lines are already in the ledger" if asked else r"^line [24]: .* (comes twice|does not exist)"
    options = imports.Options(create=False, duplicates=duplicates if duplicates in ("skip", "add") else None)
    decide = checking.refuse if duplicates == "ask" else lambda _: "add"
    with pytest.raises(InvalidInput, match=told):
        imports.run(owned, io.BytesIO(again), options, decide=decide)
    assert len(held(owned)) == 2


def test_a_command_sent_again_is_the_same_although_its_time_is_read_in_another_zone(owned: Ledger) -> None:
    def credit(at: str, key: str = "k", amount: str = "5") -> Answer:
        wallet = parse_wallet("id:1")
        return owned.run(transactions.add(owned, wallet, amount, is_credit=True, key=key, at=at), "credit")

    first = credit("2025-06-01")
    ledgers.change(owned, "timezone", "Asia/Kolkata")
    assert credit("2025-06-01") == first | {"replayed": True}
    assert credit(first["at"]) == first | {"replayed": True}
    for at, amount in (("2025-06-02", "5"), ("2025-06-01T00:01", "5"), ("2025-06-01", "6")):
        with pytest.raises(KeyReused):
            credit(at, amount=amount)
    assert credit("2025-06-02", "another")["at"] == "2025-06-01T18:30:00.000000Z"


def test_a_file_is_known_over_http_too(owned: Ledger) -> None:
    lines = b"wallet,amount,kind,at\n1,500,credit,2025-06-01\n"
    ledgers.change(owned, "timezone", "Asia/Kolkata")
    assert read(owned, lines)["applied"] == 1
    owned.times_are_utc = True
    with pytest.raises(InvalidInput, match="already in the ledger"):
        read(owned, lines.replace(b"\n", b"\r\n"))


DATES = (
    ("11/12/2024", "", "could be two days"),
    ("11.12.2024", "", "could be two days"),
    ("11-12-2024", "", "could be two days"),
    ("12/12/2024", "", "the order of day and month is not given: '12/12/2024'"),
    ("1.01.2024 10:15", "", "the order of day and month is not given: '1.01.2024 10:15'"),
    ("31.12.2024", "", "the order of day and month is not given"),
    ("12/31/2024", "", "the order of day and month is not given"),
    ("31/12/24", "dmy", "does not have four digits"),
    ("31/12/2024", "mdy", "has no month 31"),
    ("45657", "dmy", "a spreadsheet's number of days"),
    ("45657.5", "", "a spreadsheet's number of days"),
    ("02 Feb 2026", "dmy", "not a time"),
    ("0301", "dmy", "has four digits"),
    ("2024", "", "has four digits"),
    ("31/12/2024 13:15 PM", "dmy", "does not exist: '31/12/2024 13:15 PM'"),
    ("31.12.2024 24:00", "dmy", "does not exist: '31.12.2024 24:00'"),
    ("31.02.2024", "dmy", "does not exist: '31.02.2024'"),
    ("13/13/2024", "", "does not exist: '13/13/2024'"),
    ("soon", "", "not a time"),
    ("2024-02-30", "", "does not exist"),
)


@pytest.mark.parametrize(("date", "dates", "message"), DATES)
def test_dates_that_are_not_certain(date: str, dates: str, message: str, owned: Ledger) -> None:
    file = f"wallet,amount,kind,at\n1,1,credit,2024-01-01\n1,1,credit,{date}\n".encode()
    with pytest.raises(InvalidInput, match=f"line 3: .*{message}"):
        read(owned, file, **({"dates": dates} if dates else {}))
    assert held(owned) == []


@pytest.mark.parametrize(
    ("local", "message"), [("2025-10-26 02:30", "comes twice"), ("2025-03-30 02:30", "does not exist")]
)
def test_an_hour_that_is_not_one_concerns_the_whole_file(local: str, message: str, owned: Ledger) -> None:
    """If the next line were applied, this one could not be any more, however it is corrected."""
    ledgers.change(owned, "timezone", "Europe/Berlin")
    file = f"wallet,amount,kind,at\n1,1,credit,2025-03-29\n1,2,credit,{local}\n1,4,credit,2025-10-27\n".encode()
    with pytest.raises(InvalidInput, match=f"line 3: .*{message}.*; nothing was applied"):
        read(owned, file)
    assert held(owned) == []
    corrected = file.replace(local.encode(), local.replace("02:30", "12:30").encode())
    assert read(owned, corrected)["applied"] == 3


def test_a_booking_of_a_bank_without_a_date_is_no_booking(owned: Ledger) -> None:
    """It is a total, or still pending."""
    file = b"Date,Sum,Payee\n2026-10-01,100.50,a\n2026-10-02,-30.25,b\n,70.25,TOTAL\n"
    mapped = {"map": "Date=at,Sum=signed_amount,Payee=note", "wallet": "1"}
    with pytest.raises(InvalidInput, match="line 4: the line has no date"):
        read(owned, file, **mapped)
    assert held(owned) == []
    assert read(owned, file.rpartition(b"\n,")[0] + b"\n", **mapped)["applied"] == 2


# Order


UNDATED: dict[str, tuple[tuple[str, ...], str | list[int], list[int]]] = {
    "first": (("1:", "1:01", "1:02"), "line 3 is earlier than .*, and line 4 is later", [200, 300, 100]),
    "before one": (("1:", "1:01"), "line 3 is earlier than .*, which has no time", [200, 100]),
    "in between": (("1:01", "1:", "1:02"), "line 4 is earlier than .*, and line 3 is later", [100, 300, 200]),
    "last": (("1:01", "1:02", "1:"), [100, 200, 300], [100, 200, 300]),
    "before the newest": (("1:", "1:02", "1:01"), [300, 200, 100], [300, 200, 100]),
    "of another wallet": (("1/b:", "1:01", "1:02"), [200, 300, 100], []),
    "one alone": (("1:", "1:"), [100, 200], [100, 200]),
}
"""The days of lines, some without one; what is answered, or applied in which order; and in which with --sort."""


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("name", UNDATED)
def test_a_line_without_a_time_comes_last(name: str, form: str, owned: Ledger) -> None:
    owned.run(wallets.create(owned, parse_wallet("id:1/b")), "create")
    days, plain, when_sorted = UNDATED[name]
    file = lines(*days)
    if form == "jsonl":
        file = b"\n" + as_json(file)  # with the numbers of lines that the CSV has
    if isinstance(plain, str):
        with pytest.raises(TimeConflict, match=plain):
            read(owned, file)
        assert held(owned) == []
        read(owned, file, sort=True)
        plain = when_sorted
    else:
        read(owned, file)
    assert [amount for amount, _ in held(owned)] == plain


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_lines_that_happen_now_are_told_where_others_have_a_time(form: str, owned: Ledger) -> None:
    told: list[str] = []
    file = lines("1:01", "1:", "1:")
    imports.run(owned, io.BytesIO(file if form == "csv" else b"\n" + as_json(file)), tell=told.append)
    assert told == ["2 lines have no time, and will happen now: the first is line 3"]


@pytest.mark.parametrize("sort", [False, True])
@pytest.mark.parametrize(
    "named",
    [
        ("w1", "1", "9886977544"),
        ("1", "+919886977544", "id:1/main"),
        ("09886977544", "9886977544"),
        ("+919886977544", "9886977544/main"),
        # These are opened by the file.
        ("09886977545", "9886977545"),
        ("+5215512345678", "+525512345678"),
        ("9886977544/new", "09886977544/new"),
    ],
)
def test_order_goes_by_the_wallet_in_whatever_way_it_is_named(named: Sequence[str], sort: bool, owned: Ledger) -> None:
    """It had no transaction yet."""
    newest_first = "".join(f"{each},5,credit,2026-10-0{9 - at}\n" for at, each in enumerate(named))
    assert read(owned, f"wallet,amount,kind,at\n{newest_first}".encode(), sort=sort, create=True)["refused"] == 0


def as_json(file: bytes) -> bytes:
    """A CSV as JSON lines, in which an empty cell is null."""
    rows = csv.DictReader(io.StringIO(file.decode()))
    return "".join(json.dumps({name: value or None for name, value in row.items()}) + "\n" for row in rows).encode()


def lines(*days: str, note: str = "") -> bytes:
    """A file of credits, of 1.00 and so on, on days of January."""
    text = "wallet,amount,kind,at,note\n"
    for number, day in enumerate(days, 1):
        wallet, _, day_of = day.rpartition(":")
        text += f"{wallet or '1'},{number},credit,{day_of and f'2024-01-{day_of}'},{note}\n"
    return text.encode()


@pytest.mark.parametrize("columns", ["csv", "jsonl", "notes of two lines"])
def test_the_newest_first_is_read_from_its_end(columns: str, owned: Ledger) -> None:
    file = lines("03", "02", "02", "01", note='"x\ny"' if columns.startswith("notes") else "")
    if columns == "jsonl":
        file = as_json(file)
    told: list[str] = []
    summary = imports.run(owned, io.BytesIO(file), tell=told.append)
    assert [amount for amount, _ in held(owned)] == [400, 300, 200, 100]
    assert (summary["applied"], len(told)) == (4, 1)
    assert imported(owned, file).counts == (0, 4, 0)


def test_each_wallet_has_its_own_order(owned: Ledger) -> None:
    owned.run(wallets.create(owned, parse_wallet("id:1/b")), "create")
    assert imported(owned, lines("1:02", "1/b:01", "1:03", "1/b:02")).counts == (4, 0, 0)


def test_no_order_is_refused_unless_it_is_to_be_sorted(owned: Ledger) -> None:
    file = lines("02", "03", "01", "03", "03")
    with pytest.raises(TimeConflict, match=r"line 4 is earlier .* line 3 is later"):
        read(owned, file)
    assert held(owned) == []
    read(owned, file, sort=True)
    assert [amount for amount, _ in held(owned)] == [300, 100, 200, 400, 500]


def test_users_and_wallets_come_before_what_is_read_from_the_end(owned: Ledger) -> None:
    file = b"".join(
        [
            b'{"record":"wallet","wallet":"1/new"}\n',
            b'{"wallet":"1/new","amount":1,"kind":"credit","at":"2024-01-02"}\n',
            b'{"wallet":"1/new","amount":2,"kind":"credit","at":"2024-01-01"}\n',
        ]
    )
    assert imported(owned, file).counts == (2, 0, 0)


# What is there already

SAVED_AGAIN = {
    "line ends": lambda file: file.replace(b"\n", b"\r\n"),
    "a mark": lambda file: b"\xef\xbb\xbf" + file,
    "semicolons": lambda file: file.replace(b",", b";"),
    "utf-16": lambda file: file.decode().encode("utf-16"),
    "quotes": lambda file: b"\n".join(b",".join(b'"%b"' % each for each in row.split(b",")) for row in file.split()),
    "other columns first": lambda file: b"\n".join(b",".join(row.split(b",")[::-1]) for row in file.split()),
    "the newest first": lambda file: b"\n".join([file.split()[0], *file.split()[:0:-1]]),
    "grown": lambda file: file + b"1,9,credit,2024-01-09,\n",
    "as JSON": as_json,
}


@pytest.mark.parametrize("change", SAVED_AGAIN)
@pytest.mark.parametrize("timed", [True, False])
def test_saved_again_it_is_told(change: str, timed: bool, owned: Ledger) -> None:
    file, again = lines("01", "01", "02", "03"), b""
    if not timed:
        file = file.replace(b",at", b"").replace(b",2024-01-01", b"").replace(b",2024-01-02", b"")
        file = file.replace(b",2024-01-03", b"")
    again = SAVED_AGAIN[change](file)
    if not timed:
        again = again.replace(b",2024-01-09", b"")
    imported(owned, file)
    before = held(owned)
    with pytest.raises(InvalidInput, match="4 lines are already in the ledger, the first is line"):
        read(owned, again)
    assert held(owned) == before
    new = 1 if change == "grown" else 0
    skipped = read(owned, again, "skip")
    assert (skipped["skipped"], skipped["applied"]) == (4, new)
    assert len(held(owned)) == len(before) + new


SPELLINGS = ("9886977544", "98869 77544", "+919886977544", "9886977544/main", "1", "id:1", "1/main", "w1")


@pytest.mark.parametrize(("other", "saved"), list(pairwise([*SPELLINGS, SPELLINGS[0]])))
def test_a_wallet_is_the_same_however_it_is_named(other: str, saved: str, owned: Ledger) -> None:
    """Lines without a time, of a file that is saved again, has grown, or names its wallet in another way."""
    first = HEADER + f"9886977544,5,credit,x\n{other},8,credit,z\n".encode()
    assert imported(owned, first).counts == (2, 0, 0)
    for again, new in ((first.replace(b"\n", b"\r\n"), 0), (first + f"{saved},1,credit,y\n".encode(), 1)):
        again = again.replace(b"9886977544,5", f"{saved},5".encode())
        with pytest.raises(InvalidInput, match="2 lines are already in the ledger"):
            read(owned, again)
        skipped = read(owned, again, "skip")
        assert (skipped["skipped"], skipped["applied"]) == (2, new)


@pytest.mark.parametrize("other", SPELLINGS)
def test_a_file_that_grows_from_one_line_is_told(other: str, owned: Ledger) -> None:
    line = b"9886977544,5,credit,x\n"
    assert imported(owned, HEADER + line).counts == (1, 0, 0)
    for duplicates in (None, "skip"):
        with pytest.raises(InvalidInput, match="line 2 has no time and no key"):
            read(owned, HEADER + line + f"{other},7,credit,y\n".encode(), duplicates)


@pytest.mark.parametrize("at_once", [1, 7, checking.EARLIER_AT_ONCE])
def test_an_earlier_file_is_a_whole_over_all_its_wallets(
    at_once: int, owned: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more wallets than are asked about at a time, and one line each."""
    monkeypatch.setattr(checking, "EARLIER_AT_ONCE", at_once)
    file = HEADER + b"".join(b"1/t%d,5,credit,x\n" % number for number in range(checking.WALLETS_AT_ONCE + 3))
    assert imported(owned, file, create=True).summary["applied"] == 13
    with pytest.raises(InvalidInput, match="13 lines are"):
        read(owned, file.replace(b"\n", b"\r\n"))
    assert read(owned, file + b"1,5,credit,new\n", "skip")["skipped"] == 13
    other = file.replace(b"1/t12,5,credit,x", b"1/t12,6,credit,x")  # not all of the earlier file is in it
    assert read(owned, other)["applied"] == 13


def test_order_of_time_goes_by_the_wallet_not_its_spelling(owned: Ledger) -> None:
    head = b"wallet,amount,kind,at\n"
    newest_first = b"9886977544,1,debit,2024-01-02\n98869 77544/main,5,credit,2024-01-01\n"
    assert imported(owned, head + newest_first).counts == (2, 0, 0)
    mixed = b"1,1,debit,2024-01-04\nid:1,5,credit,2024-01-03\n1/main,5,credit,2024-01-05\n"
    with pytest.raises(TimeConflict, match="line 3 is earlier"):
        read(owned, head + mixed)


def test_names_beyond_what_is_remembered_are_looked_up(owned: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "LINES_AT_ONCE", 1)
    assert imported(owned, b"wallet,amount,kind,at\n1,5,credit,2024-01-01\n").counts == (1, 0, 0)
    text = "wallet,amount,kind,at\n" + "".join(f"9{' ' * n}886977544,5,credit,2024-01-01\n" for n in range(20))
    named = [*read_lines(io.BytesIO(text.encode()), "")]
    named.append(named[0]._replace(fields=named[0].fields | {"wallet": "1/other"}))
    assert len(list(checking.LedgerLook(owned).find(named, ""))) == 20


def test_two_that_are_the_same_are_two(owned: Ledger) -> None:
    """Two coffees in a minute: of a file, both are applied; in the ledger, as many are there as it has."""
    coffee = b"1,3,credit,2024-01-01T10:00,coffee\n"
    head = b"wallet,amount,kind,at,note\n"
    assert imported(owned, head + coffee * 2).counts == (2, 0, 0)
    assert imported(owned, head + coffee * 2).counts == (0, 2, 0)
    three = head + b"\n" + coffee * 3
    with pytest.raises(InvalidInput, match="2 lines are"):
        read(owned, three)
    assert read(owned, three, "skip")["applied"] == 1
    assert len(held(owned)) == 3


def test_what_is_in_common_with_another_file_is_no_duplicate(owned: Ledger) -> None:
    """Lines without a time, such as an allowance that is the same each month."""
    first = HEADER + b"1,5,credit,allowance\n1,7,credit,May\n"
    second = HEADER + b"1,5,credit,allowance\n1,8,credit,June\n"
    assert imported(owned, first).counts == (2, 0, 0)
    assert imported(owned, second).counts == (2, 0, 0)


def test_what_was_stopped_goes_on_without_being_asked(owned: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    file = lines("01", "01", "02", "03", "03")
    monkeypatch.setattr(imports, "BATCH_LINES", 2)
    run = owned.executor.run
    done: list[object] = []

    def twice(*given: Any, **more: Any) -> object:
        done.append(given)
        if len(done) > 2:
            raise KeyboardInterrupt
        return run(*given, **more)

    monkeypatch.setattr(owned.executor, "run", twice)
    with pytest.raises(Interrupted, match="4 of 5 lines are in"):
        imported(owned, file)
    monkeypatch.setattr(owned.executor, "run", run)
    assert imported(owned, file).counts == (1, 4, 0)


NOTES = {
    "accents": ("Jos\u00e9", "Jose\u0301", True),
    "Hangul": ("\ud55c", "\u1112\u1161\u11ab", True),
    "marks of direction": ("tea", "\u200etea\u200f", True),
    "a space of no width": ("a  tea", "\u200ba tea\u00a0", True),
    "another accent": ("Jos\u00e9", "Jos\u00e8", False),
    "no accent": ("Jos\u00e9", "Jose", False),
    "capitals": ("tea", "Tea", False),
    "another size": ("m\u00b2", "m2", False),
    "a joiner in a word": ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u062e", False),
}
"""A note, another one, and whether a program that saves a file could have made one of the other."""


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("at", ["2024-01-01", ""])
@pytest.mark.parametrize("name", NOTES)
def test_a_note_is_the_same_as_it_is_read(name: str, at: str, turned: bool, owned: Ledger) -> None:
    first, second, is_same = NOTES[name]
    if turned:
        first, second = second, first
    head = f"wallet,amount,kind,at,note\n1,5,credit,{at},one line shows nothing\n"
    read(owned, f"{head}1,5,credit,{at},{first}\n".encode())
    read(owned, f"{head}1,5,credit,{at},{second}\n".encode(), "skip")
    assert [note for _, note in held(owned)].count(second) == (0 if is_same else 1)


def test_what_was_typed_counts_too_and_what_has_a_key_does_not(owned: Ledger) -> None:
    owned.run(
        transactions.add(owned, parse_wallet("1"), "5", is_credit=True, remarks=Remarks("a  b"), at="2024-01-01"),
        "tx add",
    )
    with pytest.raises(InvalidInput, match="1 line is"):
        read(owned, b"wallet,amount,kind,at,note\n1,5.00,credit,2024-01-01,a b\n")
    assert imported(owned, b"wallet,amount,kind,at,note,key\n1,5.00,credit,2024-01-01,a b,k\n").counts == (1, 0, 0)


def test_many_at_one_moment_and_far_apart_are_found(owned: Ledger) -> None:
    """More than is read at a time, before, at and after the moments that are looked for."""
    text = "wallet,amount,kind,at\n"
    for day, times in (("01", 300), ("02", 600), ("03", 300), ("04", 1)):
        text += "".join(f"1,{number + 1},credit,2024-01-{day}\n" for number in range(times))
    assert imported(owned, text).counts == (1201, 0, 0)
    wanted = "wallet,amount,kind,at\n1,300,credit,2024-01-01\n1,600,credit,2024-01-02\n1,1,credit,2024-01-04\n"
    with pytest.raises(InvalidInput, match="3 lines are"):
        read(owned, wanted.encode())


MIXED = {
    "saved again": ("01 - -", "01 - -", 0),
    "with a time and without, the same": ("01 01 -", "- 01 01", 0),
    "grown": ("01 -", "01 - -", 1),
    "more of them without a time, at its beginning": ("01 02 03 -", "- - - 01 02 03 -", 3),
    "of another file, but for one": ("01 -", "02 -", 2),
    "half of what had a time": ("01 02 -", "01 -", 1),
}
"""The times of equal lines, `-` for none, of a file and of one that is saved later; how many of that are new."""


@pytest.mark.parametrize("name", MIXED)
def test_a_line_with_a_time_and_one_without_are_each_known_once(name: str, owned: Ledger) -> None:
    before, after, new = MIXED[name]

    def file(times: str, end: str) -> bytes:
        rows = [f"1,5,credit,{'' if day == '-' else f'2024-01-{day}'},x{end}" for day in times.split()]
        return f"wallet,amount,kind,at,note{end}{''.join(rows)}".encode()

    read(owned, file(before, "\n"))
    done = read(owned, file(after, "\r\n"), "skip", sort=True)
    assert (done["applied"] + done["refused"], done["skipped"]) == (new, len(after.split()) - new)


def test_a_file_that_grows_each_day_is_known(owned: Ledger) -> None:
    """Each import but the first applied one line of it."""
    for days in range(4):
        file = HEADER + b"".join(b"1,%d,credit,x\n" % number for number in range(1, 7 + days))
        done = read(owned, file, "skip")
        assert (done["applied"], done["skipped"]) == ((6, 0) if days == 0 else (1, 5 + days))


@pytest.mark.parametrize("wallet", ["1", "1/b"])
def test_files_that_are_put_together_are_known(wallet: str, owned: Ledger) -> None:
    """Line by line in turn, so that no one of them makes up half of it."""
    lines = [(f"1,{day},credit,tea", f"{wallet},{day},credit,bread", f"1,{day},credit,rice") for day in (1, 2, 3)]
    for part in zip(*lines, strict=True):
        assert read(owned, HEADER + "\n".join(part).encode(), create=True)["applied"] == 3
    together = HEADER + "\n".join(line for day in lines for line in day).encode()
    with pytest.raises(InvalidInput, match="9 lines are already in the ledger"):
        read(owned, together)


TOGETHER = {
    "new lines before them": ("ab cd", "xyabcd", "abcd"),
    "more new lines before them than they have": ("ab", "uvwxyzab", "ab"),
    "new lines before, between and behind them": ("ab cd", "cduvwxabyz", "abcd"),
    "new lines among those of one": ("ab", "auvwxyzb", "ab"),
    "one for each day, the newest first": ("ab cd ef", "xyzefcdab", "abcdef"),
    "grown by a line each day, the newest first": ("ba cba dcba", "uvwxyzdcba", "abcd"),
    "one line of a file, and a whole one": ("ab c", "uvwxcyzab", "abc"),
    "two equal lines": ("aa", "xyzaxa", "aa"),
    "of two equal lines, one": ("aa", "xyza", ""),
    "a part of each": ("ab cd", "acxy", ""),
    "several files of a line": ("a b", "xayb", "ab"),
    "lines that each file has": ("abc abd", "xyabe", ""),
}
"""Files that are imported one after the other, each letter a line without a time; another file; what of it is known."""


@pytest.mark.parametrize("name", TOGETHER)
def test_earlier_files_that_are_in_another_are_known(name: str, owned: Ledger) -> None:
    before, after, known = TOGETHER[name]

    def file(lines: str) -> bytes:
        return HEADER + "".join(f"1,5,credit,{each}\n" for each in lines).encode()

    for lines in before.split():
        read(owned, file(lines), "skip")
    if known:
        with pytest.raises(InvalidInput, match=f"^{len(known)} lines? (is|are) already in the ledger"):
            read(owned, file(after))
    done = read(owned, file(after), "skip")
    assert (done["applied"], done["skipped"]) == (len(after) - len(known), len(known))


DOUBTFUL = {
    "saved again": ("-1", "-1"),
    "below others": ("-1", "-7 -8 -9 -1"),
    "above another": ("-1", "-1 -9"),
    "of two that are equal, one new": ("-1", "-1 -1"),
    "with lines of another wallet": ("-1|b2 b3", "b2 b3 -1"),
    "with lines of its own wallet": ("a2 a3|-1", "a2 a3 -1"),
    "with lines of its wallet's file that had none without a time": ("a2 a3|b4|-1", "a2 a3 b4 -1 -9"),
}
"""Earlier files and a later one. A line has `-` for no time, or the letter of its wallet; and its note."""


def lettered(lines: str, end: str = "\n") -> bytes:
    """A file of lines as in DOUBTFUL."""
    rows = [
        f"{'1/b' if where == 'b' else '1'},5,credit,{'' if where == '-' else f'2024-01-0{what}'},{what}"
        for where, what in lines.split()
    ]
    return f"{end.join(['wallet,amount,kind,at,note', *rows])}{end}".encode()


@pytest.mark.parametrize("duplicates", [None, "skip"])
@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_line_that_is_neither_old_nor_new_is_told(name: str, duplicates: str | None, owned: Ledger) -> None:
    """A single line that has neither key nor time, such as the monthly allowance, is neither left out nor doubled."""
    before, after = DOUBTFUL[name]

    for lines in before.split("|"):
        assert read(owned, lettered(lines), create=True)["refused"] == 0
    number = after.split().index("-1") + 2
    with pytest.raises(InvalidInput, match=f"^line {number} has no time and no key, .*; nothing was applied$"):
        read(owned, lettered(after, "\r\n"), duplicates)
    others = " ".join(line for line in after.split() if line != "-1")
    done = read(owned, lettered(others, "\r\n"), "skip")
    assert (done["refused"], done["skipped"]) == (0, sum(line[0] != "-" for line in others.split()))


MEANWHILE = {
    "what was asked about, and more": ("-1 -2", "-1 -2 -3", "-3", "-1 -2 -3"),
    "with a time": ("a1", "a1 a2", "a2", "a1 a2"),
    "all of it but its end": ("", "a1 a2 -3", "a1 a2", "a1 a2 -3"),
    "without a time, and all of it": ("", "-1 -2 -3", "-3 -2 -1", "-1 -2 -3"),
    "behind other lines": ("a1", "b2 b3 -5 -6 -7", "-6 -7", "a1 b2 b3 -5 -6 -7"),
    "into a wallet that was missing": ("", "b1 b2", "b1", "b1 b2"),
}
"""What is in the ledger, the file that is imported, what of it others import after it was looked at, and what there is
once it was imported again. Lines as in DOUBTFUL.
"""


@pytest.mark.parametrize("at_once", [1, 5000])
@pytest.mark.parametrize("options", ["", "atomic", "dry run"])
@pytest.mark.parametrize("name", MEANWHILE)
def test_what_others_import_after_the_look_is_not_added_again(
    name: str, options: str, at_once: int, owned: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was answered, and where nothing was asked."""
    before, whole, others, after = MEANWHILE[name]
    monkeypatch.setattr(imports, "BATCH_LINES", at_once)
    if before:
        read(owned, lettered(before), create=True)
    look = imports.look

    def and_others(*given: Any) -> checking.Looked:
        monkeypatch.setattr(imports, "look", look)
        looked = look(*given)
        read(owned, lettered(others), create=True)
        return looked

    chosen = imports.Options(True, options == "dry run", options == "atomic", "skip")
    monkeypatch.setattr(imports, "look", and_others)
    with pytest.raises(Busy, match=r"^what line \d says has come into the ledger since this file was looked at$"):
        imports.run(owned, io.BytesIO(lettered(whole)), chosen)
    read(owned, lettered(whole), "skip", create=True)
    assert sorted(note for _, note in held(owned)) == sorted(line[1] for line in after.split())


@pytest.mark.parametrize("at_once", [1, 5000])
def test_what_others_do_after_the_look_hinders_no_other_line(
    at_once: int, owned: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "BATCH_LINES", at_once)
    keyed = b"wallet,amount,kind,note,key\n1,5,credit,1,k\n1,5,credit,1,\n1,5,credit,2,l\n1,5,credit,2,\n"
    look = imports.look

    def and_others(*given: Any) -> checking.Looked:
        monkeypatch.setattr(imports, "look", look)
        looked = look(*given)
        read(owned, lettered("-3"))
        owned.run(transactions.add(owned, parse_wallet("1"), "5", remarks=Remarks("4"), is_credit=True), "tx add")
        return looked

    monkeypatch.setattr(imports, "look", and_others)
    assert read(owned, lettered("-1 -2 -4 -5"), create=True)["applied"] == 4
    assert read(owned, keyed)["applied"] == 4


Payment = tuple[str, str, int, str]
"""The wallet, the time or an empty text, the amount, and the note."""
WALLETS = {"1": SPELLINGS, "1/b": ("1/b", "9886977544/b", "id:1/b")}
payments = st.lists(
    st.tuples(st.sampled_from([*WALLETS]), st.sampled_from(["", "1", "2"]), st.integers(1, 2), st.sampled_from("xy")),
    min_size=1,
    max_size=6,
)


@st.composite
def saved(draw: st.DrawFn, paid: Sequence[Payment]) -> bytes:
    """A file with these lines, in some way."""
    form = draw(st.sampled_from(["csv", "crlf", "semicolons", "jsonl"]))
    rows = [
        {"note": note, "amount": str(amount), "at": at or None, "kind": "credit"}
        | {"wallet": draw(st.sampled_from(WALLETS[wallet]))}
        for wallet, at, amount, note in paid
    ]
    if form == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    out = io.StringIO()
    writer = csv.DictWriter(
        out,
        [*rows[0]],
        delimiter=";" if form == "semicolons" else ",",
        lineterminator="\r\n" if form == "crlf" else "\n",
    )
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


DOUBT = "^line [0-9]+ has no time and no key"


@settings(BOUNDED, max_examples=50)
@given(st.data())
def test_no_line_is_applied_twice_or_left_out(data: st.DataObject) -> None:
    """A file, or its two halves one after the other; then it is saved again, and grows, again and again. Of a file's
    lines, those that were in one before are skipped, and the others applied, wherever they are. But where a single line
    came in files that had any without a time, the file is refused.

    As a file grows, its days go on; and a wallet with a line that happened now takes none with a day any more.
    """
    first = data.draw(payments)
    halves = [[each for each in first if each[0] == wallet] for wallet in WALLETS]
    steps = halves if data.draw(st.booleans()) and all(halves) else [first]
    apart = len(steps)
    steps += data.draw(st.lists(payments, max_size=3))
    with opened() as ledger:
        ledger.run(users.register(ledger, "9886977544"), "register")
        for wallet in WALLETS:
            ledger.run(wallets.create(ledger, parse_wallet(f"id:{wallet}")), "create")
        paid: list[Payment] = []
        timeless = 0
        """The lines of files that had any without a time."""
        for number, step in enumerate(steps):
            now = {wallet for wallet, at, *_ in paid if not at}
            new = [
                (wallet, f"2024-0{number + 1}-0{at}" if at and wallet not in now else "", amount, note)
                for wallet, at, amount, note in step
            ]
            before = [] if number < apart else data.draw(st.permutations(paid))
            lines = data.draw(st.permutations([*before, *new]))
            file = data.draw(saved(lines)) + b"\n" * number  # never the same bytes
            if before and timeless == 1:
                with pytest.raises(InvalidInput, match=DOUBT):
                    read(ledger, file, "skip", sort=True)
                continue
            done = read(ledger, file, "skip", sort=True)
            assert (done["applied"], done["skipped"]) == (len(new), len(before))
            paid += new
            timeless += len(new) if any(not at for _, at, *_ in new) else 0
        told = DOUBT if timeless == 1 else f"^{len(paid)} lines? (is|are) already in the ledger"
        with pytest.raises(InvalidInput, match=told):
            read(ledger, data.draw(saved(data.draw(st.permutations(paid)))) + b"\n" * len(steps), sort=True)


# Whatever a ledger holds, however it is written


@st.composite
def written(draw: st.DrawFn) -> tuple[list[tuple[int, datetime, str]], bytes, dict[str, str]]:
    """Amounts below 0 are debits; the file that says them in some way; how to read it."""
    amounts = draw(st.lists(st.integers(-(10**7), 10**9).filter(bool), min_size=1, max_size=12))
    amounts.insert(0, 10**9)
    note = st.text(st.characters(exclude_characters="\0\r\n\x1a", codec="utf-8"), max_size=8)
    rows = [(amount, datetime(2024, 1, 1 + number, number % 12), draw(note)) for number, amount in enumerate(amounts)]
    delimiter = draw(st.sampled_from(",;\t|"))
    decimal = draw(st.sampled_from(".,"))
    group = draw(st.sampled_from(["", ".", ",", " ", "\u00a0", "\u202f", "'"]).filter(lambda c: c != decimal))
    dates = draw(st.sampled_from(["%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d.%m.%Y %H:%M:%S", "%Y-%m-%dT%H:%M"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=draw(st.sampled_from(["\n", "\r\n"])))
    pad = draw(st.sampled_from([[], [""], ["", ""]]))
    writer.writerow([*draw(st.sampled_from([("Wert", "Tag", "Text"), (" WERT", "tag ", "\u00a0text")])), "Mehr", *pad])
    told = rows[::-1] if draw(st.booleans()) else rows
    for amount, at, text in told:
        number = f"{amount / 100:,.2f}".replace(",", "\1").replace(".", decimal).replace("\1", group)
        writer.writerow([number, at.strftime(dates), text, "x", *pad])
        if draw(st.booleans()):
            writer.writerow(["", "", "", "", *pad])
    how = {"map": "wert=signed_amount,tag=at,text=note", "decimal": decimal, "wallet": "1"}
    how["dates"] = "mdy" if dates.startswith("%m") else "dmy"
    return rows, out.getvalue().encode(encoding), how


@BOUNDED
@given(written())
def test_every_dialect_makes_the_same_ledger(
    case: tuple[list[tuple[int, datetime, str]], bytes, dict[str, str]],
) -> None:
    rows, file, how = case
    with opened() as ledger:
        ledger.run(users.register(ledger, "9886977544"), "register")
        ledger.run(wallets.create(ledger, parse_wallet("id:1")), "create")
        assert read(ledger, file, **how)["refused"] == 0
        assert held(ledger) == [(amount, note or None) for amount, _, note in rows]
        assert read(ledger, file, **how)["replayed"] == len(rows)


# Files that are made


@pytest.mark.on_file("what is at a path")
def test_rejects_are_for_their_owner_alone(db: Address, tmp_path: Path) -> None:
    assert cli.run("register 9886977544").code == 0
    (tmp_path / "lines.csv").write_bytes(b"wallet,amount,kind\n1,5,credit\n")
    (tmp_path / "there").write_text("before " * 100)
    (tmp_path / "there").chmod(0o644)
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "nowhere").symlink_to("not there")
    os.umask(0o022)
    for name in ("new", "there"):
        assert cli.run(f"import lines.csv --rejects {name}").code == 4
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
        assert json.loads((tmp_path / name).read_text())["line"] == 2
    for name in ("link", "nowhere"):
        assert cli.run(f"import lines.csv --rejects {name}").code == 2
    assert (tmp_path / "elsewhere").read_text() == "mine"
    assert not (tmp_path / "not there").exists()


@pytest.mark.on_file("the same answers")
@pytest.mark.parametrize(
    ("answer", "code", "count"), [("", 2, 1), ("no\nstop", 2, 1), ("skip", 0, 1), ("skipp\nadd", 0, 2)]
)
def test_on_a_terminal_it_is_asked(answer: str, code: int, count: int, db: Address, tmp_path: Path) -> None:
    file = b"wallet,amount,kind,at,note\n9886977544,5,credit,2024-01-01,\x1b[31mred\n"
    (tmp_path / "lines.csv").write_bytes(file)
    (tmp_path / "again.csv").write_bytes(file.replace(b"\n", b"\r\n"))
    assert cli.run("import lines.csv --create").code == 0
    said, ended = terminal.shown(["import", "again.csv"], f"{answer}\n")
    assert ended == code, said
    assert "in the ledger already: 1 of the lines" in said
    assert "skip them, add them again, or stop?" in said
    assert "\x1b[31mred" not in said
    assert len(cli.run("tx list 9886977544 -q").out.split()) == count


def test_a_replay_does_not_depend_on_the_state_of_the_wallet(owned: Ledger) -> None:
    file = lines("01", "02")
    assert imported(owned, file).counts == (2, 0, 0)
    owned.run(wallets.set_status(owned, parse_wallet("1"), "frozen"), "status")
    assert imported(owned, file).counts == (0, 2, 0)


def test_a_profile_that_is_nested_too_deeply_is_refused() -> None:
    path = profiles.path_of("deep")
    path.parent.mkdir(parents=True)
    path.write_text("decimal = " + "[" * 2000)
    with pytest.raises(InvalidInput, match="cannot read the profile"):
        profiles.read("deep")


def test_what_is_wrong_with_a_row_moves_no_terminal() -> None:
    """The csv module quotes what separates the columns: a tab is shown as such."""
    line, *_ = read_lines(io.BytesIO(b'wallet\tamount\tkind\n1\t"5"x\tcredit\n'), "a.csv")
    assert line.problem is not None
    assert line.problem.message == "the line is not CSV: '\\t' expected after '\"'"


@pytest.mark.parametrize("name", ["Betrag", "  BETRAG\u00a0 ", "\ufeffBetrag\x1d", "betrag\u202e\x1f "])
def test_the_name_of_a_column_counts_without_what_nobody_sees(name: str) -> None:
    assert plain(name) == plain(plain(name)) == "betrag"
