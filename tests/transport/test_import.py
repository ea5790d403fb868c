"""What `wallet import` makes of a file, line by line: tables of lines, and what became of each."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import cli, processes, terminal
from support.engines import Address, Engine
from transport.ledgers import START_US, exported, imported, opened, tell

from wallet_cli.domain.ids import parse_wallet
from wallet_cli.engine.write_lock import WriteLock
from wallet_cli.errors import InvalidInput, KeyReused, RestoreConflict, StorageError
from wallet_cli.import_export import imports
from wallet_cli.import_export.imports.reading import MAX_LINE_BYTES, read_lines
from wallet_cli.operations import transactions, users, verification, wallets
from wallet_cli.operations.context import Ledger

HEADER = b"wallet,amount,kind,note\n"


@pytest.fixture
def opened_wallet(ledger: Ledger) -> Ledger:
    """User 1, with wallets `main` in INR and `pts` in PTS/8."""
    ledger.run(users.register(ledger, "9886977544"), "register")
    ledger.run(wallets.create(ledger, parse_wallet("id:1")), "create")
    ledger.run(wallets.create(ledger, parse_wallet("id:1/pts"), "PTS/8"), "create")
    return ledger


def amounts(ledger: Ledger) -> list[tuple[str, int, str | None]]:
    """Each transaction: its id, amount with its sign in minor units, and note."""
    rows = ledger.store.exported(1, 99)
    return [(f"{row[0]}-{row[1]}", row[3] if row[2] else -row[3], row[14]) for row in rows]


# Reading CSV. A table has the bytes of a file after the header, and what becomes of it: `+AMOUNT NOTE` for a line that
# is applied, LINE:CODE for one that is refused.

OK = b"1,5,credit,ok\n"

CSV = {
    "plain": (OK, ["+500 ok"]),
    "crlf": (b"1,5,credit,a\r\n1,6,credit,b\r\n", ["+500 a", "+600 b"]),
    "no newline at the end": (b"1,5,credit,a", ["+500 a"]),
    "blank lines": (b"\n\n1,5,credit,a\n\r\n\n" + b"1,0,credit,\n", ["+500 a", "7:invalid_input"]),
    "rows of nothing": (b"   \n,,,\n" + OK + b' , ,"",\xc2\xa0\n' + OK + b",,,\n", ["+500 ok", "+500 ok"]),
    "a comma too many": (b"1,5,credit,a,\n" + OK, ["2:invalid_input", "+500 ok"]),
    "a comma too few": (b"1,5,credit\n" + OK, ["2:invalid_input", "+500 ok"]),
    "quotes": (b'1,5,credit,"say ""hi"", then"\n', ['+500 say "hi", then']),
    "a note of many lines": (b'1,5,credit,"a\nb\n\nc"\n1,0,credit,\n', ["+500 a\nb\n\nc", "6:invalid_input"]),
    "crlf within a note": (b'1,5,credit,"a\r\nb"\r\n1,0,credit,\r\n', ["+500 a\r\nb", "4:invalid_input"]),
    "a note of many lines that is refused": (b'1,0,credit,"a\nb"\n' + OK, ["2:invalid_input", "+500 ok"]),
    "text after a quote": (b'1,5,credit,"a"b\n' + OK, ["2:invalid_input", "+500 ok"]),
    "quotes within are text": (b'1,5,credit,a "b" c\n', ['+500 a "b" c']),
    "a lone carriage return": (b"1,5,credit,a\rb\n" + OK, ["2:invalid_input", "+500 ok"]),
    "nul": (b"1,5,credit,a\0b\n" + OK, ["2:invalid_input", "+500 ok"]),
    "a BOM in the middle": (b"\xef\xbb\xbf1,5,credit,a\n" + OK, ["+500 a", "+500 ok"]),
    "spaces at the ends": (" 1\u00a0, 5 ,\u2009credit , a \n".encode(), ["+500  a"]),
    "the header again": (HEADER + OK, ["2:invalid_input", "+500 ok"]),
    "long": (b"1,5,credit," + b"x" * 10**6 + b"\n" + OK, ["2:invalid_input", "+500 ok"]),
    "long, in quotes": (b'1,5,credit,"' + b"x" * 10**6 + b'"\n' + OK, ["2:invalid_input", "+500 ok"]),
    "long, of many lines": (b'1,5,credit,"' + b"x" * 10**6 + b'\ny"\n' + OK, ["2:invalid_input", "+500 ok"]),
    "long at the end of a note": (b'1,5,credit,"a\n' + b"x" * 10**6 + b'"\n' + OK, ["2:invalid_input", "+500 ok"]),
    "long in the middle of a note": (
        b'1,5,credit,"a\n' + b"x" * 10**6 + b'\nz"\n' + OK,
        ["2:invalid_input", "+500 ok"],
    ),
    "long and the last": (OK + b"1,5,credit," + b"x" * 10**6, ["+500 ok", "3:invalid_input"]),
    "as long as may be": (b"1,5,credit," + b" " * (MAX_LINE_BYTES - 12) + b"\n" + OK, ["2:invalid_input", "+500 ok"]),
    "amounts": (
        b"1,05.50,credit,\n1,+5,credit,\n1,-5,credit,\n1,5.001,credit,\n1,1e2,credit,\n1,\xd9\xa5,credit,\n"
        b"1,,credit,\n1,NaN,credit,\n1,10000000000000.01,credit,\n1,5.,credit,\n",
        ["+550", *(f"{number}:invalid_input" for number in range(3, 12))],
    ),
    "kinds": (
        b"1,5,gift,\n1,5,,\n1,5,true,\n1,5,debit,x\n1,5,debit,y\n",
        ["2:invalid_input", "3:invalid_input", "4:invalid_input", "5:insufficient_funds", "6:insufficient_funds"],
    ),
    "wallets": (
        b"id:1,5,credit,a\n+91 98869-77544/main,5,credit,b\n9,5,credit,\n1/x,5,credit,\n,5,credit,\nBo,5,credit,\n"
        b"9886977545,5,credit,\n",
        [
            *("+500 a", "+500 b", "4:user_not_found", "5:wallet_not_found", "6:invalid_input", "7:invalid_input"),
            "8:user_not_found",
        ],
    ),
}


def became(ledger: Ledger, outcome: object) -> list[str]:
    """What a table says, sorted by nothing: applied lines in their order, and refused ones in theirs."""
    applied = [f"{minor:+} {note or ''}".rstrip(" ") for _, minor, note in amounts(ledger)]
    return applied + [f"{line}:{code}" for line, code in outcome.refusals]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", CSV)
def test_csv_line_by_line(name: str, opened_wallet: Ledger) -> None:
    body, expected = CSV[name]
    outcome = imported(opened_wallet, HEADER + body)
    applied = [what for what in expected if what.startswith("+")]
    refused = [what for what in expected if not what.startswith("+")]
    assert became(opened_wallet, outcome) == applied + refused
    assert outcome.counts == (len(applied), 0, len(refused))
    # And again, with as many batches as there are lines: each was seen before.
    assert imported(opened_wallet, HEADER + body).counts == (0, len(applied), len(refused))


HEADERS = {
    b"": "the file is empty",
    b"\n\r\n  \n": "the file is empty",
    b"\xef\xbb\xbf": "the file is empty",
    b"wallet,amount\n1,5\n": "no column kind",
    b"1,5,credit\n": "no column wallet, amount, kind",
    b"wallet:amount:kind\n": "no column",
    b"wallet,amount,kind,foo\n": "unknown column: 'foo'",
    b"wallet,amount,,kind\n": "unknown column: ''",
    b"wallet,amount,kind,Notes\n": "unknown column: 'Notes'",
    b"wallet,amount,kind,KIND\n": "there are two columns with the same meaning",
    b"wallet,amount,kind,kind\n": "there are two columns with the same meaning",
    b'wallet,amount,"kind\n': "no column",
    b"wallet,amount,kind,\xff\n": "line 1: the line is not UTF-8: byte 20 is ff; nothing was applied",
    b"wallet\ramount\rkind\r": "no column",
    "wallet,amount\n".encode("utf-16"): "no column kind",
    "wallet,amount,kind\n".encode("utf-16-le"): "UTF-16 without a byte order mark",
    b"PK\x03\x04": "no column",
    b"SQLite format 3\0": "no column",
    b"x" * 10**6: "no column",
    b'[{"wallet": "1"}]': "one JSON array, which begins in line 1",
    b"\n[\n" + b'{"wallet":"1","amount":5,"kind":"credit"}\n]': "one JSON array, which begins in line 2",
    b"Account 1;;\n\nWallet;Amount;Kind\n1;5;credit\n": "the header is not at the top, but in line 3",
    b"wallet,amount,kind,foo\nwallet,amount,kind,foo\n": "unknown column: 'foo'",
}


@pytest.mark.parametrize("start", HEADERS, ids=lambda start: repr(start[:30]))
def test_a_header_that_is_not_understood_ends_it(start: bytes, opened_wallet: Ledger) -> None:
    with pytest.raises(InvalidInput) as raised:
        imported(opened_wallet, start)
    assert HEADERS[start] in raised.value.message
    assert raised.value.message.isprintable()
    assert raised.value.hint is not None


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\n\n", b"\r\n \n", b""])
def test_columns_may_come_in_any_order_after_a_bom_or_blank_lines(start: bytes, opened_wallet: Ledger) -> None:
    text = start + b' note , kind,key,meta,at,amount,wallet\na,credit,k1,"{""n"": 1}",2024-01-01,5,1\n,,,,,,\n'
    outcome = imported(opened_wallet, text)
    assert became(opened_wallet, outcome) == ["+500 a"]
    (row,) = opened_wallet.store.exported(1, 99)
    assert (row[4], row[14], row[5], row[15]) == (1704067200000000, "a", "k1", '{"n":1}')


@pytest.mark.parametrize("name", ["lines.json", "lines.jsonl", "lines.csv", ""])
def test_an_array_is_no_lines(name: str, opened_wallet: Ledger) -> None:
    """Its last object alone, which no comma follows, would be a line."""
    many = b"[\n" + b",\n".join([LINE + b"}"] * 3) + b"\n]\n"
    for file in (many, many.replace(b"\n", b""), b"[]", b" [ ] \r\n", b"\n[\n\n]\n", many.decode().encode("utf-16")):
        with pytest.raises(InvalidInput, match="one JSON array"):
            imported(opened_wallet, file, name=name)
    assert amounts(opened_wallet) == []


def test_a_header_alone_is_nothing(opened_wallet: Ledger) -> None:
    assert imported(opened_wallet, HEADER).counts == (0, 0, 0)
    assert imported(opened_wallet, HEADER.strip()).counts == (0, 0, 0)


# Reading JSON lines

LINE = b'{"wallet":"1","amount":5,"kind":"credit"'
FINE = LINE + b"}\n"

JSON = {
    "plain": (FINE, ["+500"]),
    "crlf and spaces": (b'  {"wallet" : "1", "amount": "5.50", "kind": "credit"} \r\n', ["+550"]),
    "null is not given": (LINE + b',"note":null,"key":null,"at":null,"meta":null,"id":null}\n', ["+500"]),
    "blank lines": (b"\n  \n\r\n" + FINE + b"\n[]\n", ["+500", "6:invalid_input"]),
    "numbers are exact": (
        b'{"wallet":"1","amount":9007199254740.99,"kind":"credit"}\n'
        b'{"wallet":"1/pts","amount":0.00000001,"kind":"credit"}\n'
        b'{"wallet":"1/pts","amount":1.10,"kind":"credit"}\n',
        ["+900719925474099", "+1", "+110000000"],
    ),
    "numbers that are no amounts": (
        b"".join(
            b'{"wallet":"1","amount":%b,"kind":"credit"}\n' % number
            for number in (b"1e2", b"1E-2", b"0", b"-0.0", b"-5", b"1e999999999999999999999", b"1" * 5000, b"NaN",
                           b"Infinity", b"true", b"[]", b"{}", b'""', b"05")
        )
        + FINE,
        ["+500", *(f"{number}:invalid_input" for number in range(1, 15))],
    ),
    "not an object": (
        b'[1]\n"x"\nnull\n5\n{bad\n{}{}\n' + FINE,
        ["+500", *(f"{number}:invalid_input" for number in range(1, 7))],
    ),
    "a field twice": (LINE + b',"amount":6}\n' + FINE, ["+500", "1:invalid_input"]),
    "a field twice, deep": (LINE + b',"meta":{"a":1,"a":2}}\n' + FINE, ["+500", "1:invalid_input"]),
    "unknown": (LINE + b',"zz":1}\n' + b'{"record":"zz"}\n{"record":[]}\n{"record":null}\n' + FINE,
                ["+500", *(f"{number}:invalid_input" for number in range(1, 5))]),
    "of another type": (
        b'{"wallet":1,"amount":5,"kind":"credit"}\n{"wallet":"1","amount":5,"kind":1}\n' + LINE + b',"note":5}\n'
        + LINE + b',"key":5}\n' + LINE + b',"at":5}\n' + LINE + b',"meta":[]}\n' + LINE + b',"meta":"x"}\n',
        [f"{number}:invalid_input" for number in range(1, 8)],
    ),
    "metadata": (
        LINE + b',"meta":{}}\n' + LINE + b',"meta":{"a":1.5}}\n' + LINE + b',"meta":{"a":1e400}}\n'
        + LINE + b',"meta":{"a":"\\ud800"}}\n' + LINE + b',"meta":{"":1}}\n' + LINE + b',"meta":{"a":"' + b"x" * 5000
        + b'"}}\n' + LINE + b',"meta":{"a":' + b"[" * 9000 + b"]" * 9000 + b"}}\n",
        ["+500", *(f"{number}:invalid_input" for number in range(2, 8))],
    ),
    "not utf-8": (b'{"wallet":"1","note":"\xff"}\n\xff\n' + FINE, ["+500", "1:invalid_input", "2:invalid_input"]),
    "escapes": (
        LINE + b',"note":"\\ud83d\\ude00"}\n' + LINE + b',"note":"\\ud83d"}\n' + LINE + b',"note":"\\u0000"}\n'
        + LINE + b',"key":"\\u0007"}\n' + LINE + b',"key":""}\n' + LINE + b',"key":"' + b"k" * 256 + b'"}\n',
        ["+500 😀", *(f"{number}:invalid_input" for number in range(2, 7))],
    ),
    "long": (LINE + b',"note":"' + b"x" * 10**6 + b'"}\n' + FINE, ["+500", "1:invalid_input"]),
    "long and the last": (FINE + LINE + b',"note":"' + b"x" * 10**6, ["+500", "2:invalid_input"]),
    "cut off": (FINE + LINE, ["+500", "2:invalid_input"]),
    "keys": (
        LINE + b',"key":"a"}\n' + LINE + b',"key":"a"}\n' + LINE + b',"key":"a","note":"other"}\n'
        b'{"wallet":"1","amount":6,"kind":"credit","key":"a"}\n',
        ["+500", "3:key_reused", "4:key_reused"],
    ),
    "times": (
        LINE + b',"at":"2024-01-02"}\n' + LINE + b',"at":"2024-01-02"}\n' + LINE + b',"at":"2999-01-01"}\n'
        + LINE + b',"at":"2024-02-30"}\n' + LINE + b',"at":"yesterday"}\n',
        ["+500", "+500", "3:invalid_input", "4:invalid_input", "5:invalid_input"],
    ),
    "what only an export has": (
        LINE + b',"transfer":"1-2"}\n' + LINE + b',"hold":"1-h1"}\n' + LINE + b',"currency":"USD"}\n'
        + LINE + b',"currency":"INR"}\n' + LINE + b',"id":"1-2"}\n' + LINE + b',"id":"x"}\n',
        ["+500", "1:invalid_input", "2:invalid_input", "3:invalid_input", "5:invalid_input", "6:invalid_input"],
    ),
    "a newer form": (FINE + b'{"record":"ledger","version":3}\n', ["+500", "2:invalid_input", "3:restore_conflict"]),
}  # fmt: skip


@pytest.mark.parametrize("name", JSON)
def test_json_line_by_line(name: str, opened_wallet: Ledger) -> None:
    body, expected = JSON[name]
    outcome = imported(opened_wallet, body, name="lines.jsonl")
    assert became(opened_wallet, outcome) == expected


def test_a_file_of_a_newer_form_is_not_begun(opened_wallet: Ledger) -> None:
    with pytest.raises(InvalidInput, match="newer format, 3"):
        imported(opened_wallet, b'{"record":"ledger","version":3}\n' + FINE)
    assert amounts(opened_wallet) == []


def test_what_is_kept_of_a_line_says_which_it_was() -> None:
    text = HEADER + b'1,5,credit,"' + b"x" * 10**6 + b'"\n1,5,credit,"a\nb"\r\n'
    long, short = read_lines(io.BytesIO(text), "")
    assert long.text == '1,5,credit,"' + "x" * 88
    assert (short.number, short.text) == (3, '1,5,credit,"a\nb"\r\n')


def test_a_fraction_in_metadata_is_told_how_to_write_it(opened_wallet: Ledger) -> None:
    told: list[str | None] = []
    for text in (LINE + b',"meta":{"a":1.5}}\n', b'wallet,amount,kind,meta\n1,5,credit,"{""a"": 1.5}"\n'):
        imports.run(opened_wallet, io.BytesIO(text), report=lambda _line, error, _text: told.append(error.hint))
    assert told == ['write a fraction as text, such as "1.5"'] * 2


class Broken(io.BytesIO):
    """A disk that cannot be read from the third line on."""

    def readline(self, size: int | None = -1, /) -> bytes:
        if self.tell() > len(HEADER):
            raise OSError(5, "Input/output error")
        return super().readline(size)


def test_a_file_that_cannot_be_read_on_is_a_storage_error(opened_wallet: Ledger) -> None:
    with pytest.raises(StorageError, match="cannot read line 3"):
        imports.run(opened_wallet, Broken(HEADER + OK + OK))


# What an export may not have become


def restored(text: str, *, into: str = "") -> tuple[list[tuple[int, str]], str]:
    """Import what an export has become into a ledger that holds `into`; what was refused, and the ledger then, if it is
    whole.
    """
    with opened(now_us=START_US * 2) as ledger:
        if into:
            imported(ledger, into)
        refusals = imported(ledger, text).refusals
        return refusals, "" if ledger.store.is_restoring() else exported(ledger)


@pytest.fixture
def whole(engine: Engine) -> str:
    """An export: a wallet with two transactions, one of which moved money to another, which has one."""
    with opened() as ledger:
        ledger.executor.clock = lambda: START_US
        ledger.run(users.register(ledger, "9886977544"), "register")
        ledger.run(wallets.create(ledger, parse_wallet("id:1")), "create")
        ledger.run(wallets.create(ledger, parse_wallet("id:1/b")), "create")
        ledger.run(transactions.add(ledger, parse_wallet("id:1"), "5", is_credit=True, key="k"), "tx add")
        ledger.run(transactions.transfer(ledger, parse_wallet("id:1"), parse_wallet("id:1/b"), "2"), "transfer")
        return exported(ledger)


# Lines: 1 header, 2 user, 3–4 wallets, 5–6 transactions of the first, 7 of the second, 8–9 states, 10–12 events,
# 13 end.
CHANGES: dict[str, tuple[Callable[[list[str]], list[str]], list[int]]] = {
    "nothing": (lambda lines: lines, []),
    "an amount": (lambda lines: [line.replace('"5.00"', '"5.01"') for line in lines], [8]),
    "a note added": (lambda lines: [*lines[:4], lines[4].replace("}", ',"note":"x"}'), *lines[5:]], [8]),
    "a time": (lambda lines: [*lines[:6], lines[6].replace("20.000000", "20.000001"), *lines[7:]], [9]),
    "the user's line gone": (lambda lines: lines[:1] + lines[2:], [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    "a wallet's line gone": (lambda lines: lines[:2] + lines[3:], [3, 4, 5, 6, 7, 8, 10, 11, 12]),
    "the first transaction gone": (lambda lines: lines[:4] + lines[5:], [5, 7, 12]),
    "the last transaction gone": (lambda lines: lines[:6] + lines[7:], [8, 12]),
    "a state gone": (lambda lines: lines[:7] + lines[8:], [12]),
    "two transactions the other way round": (lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]], [5, 8]),
    "two wallets the other way round": (
        lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], [3, 6, 7, 8, 9, 12],
    ),
    "a hash": (lambda lines: [*lines[:8], lines[8][:-6] + '0000"}', *lines[9:]], [9]),
    "who did it": (lambda lines: [*lines[:9], lines[9].replace("mira", "olga"), *lines[10:]], [10]),
    "what was done": (lambda lines: [*lines[:11], lines[11].replace("opened", "closed"), *lines[12:]], [12]),
    "an event gone": (lambda lines: lines[:10] + lines[11:], [12]),
    "no end": (lambda lines: lines[:-1], [13]),
    "cut in the middle": (lambda lines: lines[:5], [6]),
    "cut in a line": (lambda lines: [*lines[:5], lines[5][:40]], [6, 7]),
    "no header": (lambda lines: lines[1:], [12]),
    "a line twice": (lambda lines: [*lines[:5], *lines[4:]], [14]),
    "itself twice": (lambda lines: lines + lines, []),
    "two, the first cut short": (lambda lines: lines[:7] + lines, [8]),
    "what is not a record": (lambda lines: [*lines[:5], "{", *lines[5:]], [6, 14]),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_an_export_that_is_not_as_it_was_is_told_apart(change: str, whole: str, engine: Engine) -> None:
    edit, expected = CHANGES[change]
    lines = edit(whole.splitlines())
    refusals, then = restored("\n".join(lines) + "\n")
    assert [line for line, _ in refusals] == expected
    if not expected:
        assert then == whole
    codes = {code for _, code in refusals}
    assert codes <= {"restore_conflict", "invalid_input", "user_not_found", "wallet_not_found"}
    # Put right, it goes on: what was right is there, and the rest follows; unless something wrong was taken up.
    if expected and change in ("no end", "cut in the middle", "cut in a line", "a state gone", "a hash"):
        assert restored(whole, into="\n".join(lines)) == ([], whole)


def test_another_past_is_not_gone_on_with(whole: str, engine: Engine) -> None:
    """Where a wallet had other transactions, what came later in the export is not put on top of them."""
    longer = whole.splitlines()
    with opened() as ledger:
        imported(ledger, whole.replace('"amount":"5.00"', '"amount":"9.00"'))
        before = list(ledger.store.exported(1, 1))
        more = longer[5].replace("1-2", "1-3").replace(',"transfer":"2-1"', "")
        outcome = imported(ledger, "\n".join([*longer[:6], more, *longer[6:]]))
        assert outcome.refusals == [(line, "restore_conflict") for line in (5, 7, 9, 14)]
        assert list(ledger.store.exported(1, 1)) == before


def test_a_ledger_with_other_users_takes_nothing(whole: str, engine: Engine) -> None:
    with opened() as other, opened() as ledger:
        tell(other, [])
        ledger.run(users.register(ledger, "9886977599"), "register")
        ledger.run(wallets.create(ledger, parse_wallet("id:1")), "create")
        before = exported(ledger)
        codes = {code for _, code in imported(ledger, whole).refusals}
        assert codes == {"restore_conflict", "user_not_found"}
        assert exported(ledger) == before


def test_a_hold_that_contradicts_itself_is_refused(opened_wallet: Ledger) -> None:
    hold = {
        "record": "hold", "id": "1-h1", "wallet": "1", "amount": "5", "captured": "0", "status": "open",
        "created_at": "2024-01-01", "expires_at": "2024-01-02", "ended_at": None,
    }  # fmt: skip
    wrong = [
        {"captured": "6"}, {"captured": "-1"}, {"captured": "5"}, {"expires_at": "2024-01-01"},
        {"ended_at": "2024-01-02"}, {"status": "voided"}, {"status": "captured", "ended_at": "2024-01-01"},
        {"status": "expired", "ended_at": "2024-01-01"}, {"status": "voided", "ended_at": "2023-01-01"},
        {"status": "zz"}, {"id": "2-h1"}, {"id": "1-h2"}, {"id": "1-1"}, {"amount": "0"},
    ]  # fmt: skip
    for change in wrong:
        outcome = imported(opened_wallet, json.dumps(hold | change))
        elsewhere = change.get("id") in ("2-h1", "1-h2")
        assert [code for _, code in outcome.refusals] == ["restore_conflict" if elsewhere else "invalid_input"], change
    # What contradicts nothing is no way into a ledger that was not empty either.
    assert imported(opened_wallet, json.dumps(hold)).refusals == [(1, "restore_conflict")]


LOOSE = {
    "a hold that is not there": {"hold": "1-h1"},
    "an original that is not there": {"reverses": "1-9", "kind": "credit"},
    "an original of the same kind": {"reverses": "1-2"},
    "a leg that is not there": {"transfer": "2-9"},
}


@pytest.mark.parametrize("loose", LOOSE)
def test_an_export_that_refers_to_what_is_not_there_makes_no_ledger(loose: str, engine: Engine) -> None:
    """Its rows are looked through at its end; the ledger takes no writes until it is whole."""
    row = {"id": "1-3", "wallet": "id:1", "kind": "debit", "amount": "1.00", "at": "2024-01-02T00:00:00Z"}
    lines: list[dict[str, Any]] = [
        {"record": "ledger", "version": 1},
        {"record": "user", "id": 1, "phone_number": "1", "phone_e164": "+911234567", "created_at": "2024-01-01"},
        {"record": "wallet", "id": 1, "wallet": "id:1", "currency": "INR", "created_at": "2024-01-01"},
        {"record": "wallet", "id": 2, "wallet": "id:1/b", "currency": "INR", "created_at": "2024-01-01"},
        row | {"id": "1-1", "kind": "credit", "amount": "9.00", "at": "2024-01-01T00:00:00Z"},
        row | {"id": "1-2"},
        row | LOOSE[loose],
        {"record": "end", "records": 7},
    ]
    with opened() as ledger:
        outcome = imported(ledger, "\n".join(json.dumps(line) for line in lines))
        assert outcome.refusals == [(8, "restore_conflict")]
        with pytest.raises(RestoreConflict, match="incomplete"):
            ledger.run(transactions.add(ledger, parse_wallet("id:1"), "1", is_credit=True), "tx add")
    with opened() as ledger:
        good = [*lines[:6], {"record": "end", "records": 6}]
        assert imported(ledger, "\n".join(json.dumps(line) for line in good)).refusals == []
        assert ledger.run(transactions.add(ledger, parse_wallet("id:1"), "1", is_credit=True), "tx add")["id"] == "1-3"


@pytest.mark.parametrize(
    ("keys", "refused"),
    [
        ("time-reset:1", []),
        ("time-reset:1 time-reset:2", []),
        ("time-reset:foo", [4]),
        ("time-reset:01", [4]),
        ("time-reset:2", [4]),
        ("time-reset:1 time-reset:3", [5]),
    ],
)
def test_a_time_is_reset_by_what_verify_takes_for_one(keys: str, refused: list[int], engine: Engine) -> None:
    row = {"wallet": "id:1", "kind": "credit", "amount": "1.00", "forced": True}
    lines: list[dict[str, Any]] = [
        {"record": "user", "id": 1, "phone_number": "1", "phone_e164": "+911234567", "created_at": "2020-01-01"},
        {"record": "wallet", "id": 1, "wallet": "id:1", "currency": "INR", "created_at": "2020-01-01"},
        {"id": "1-1", "wallet": "id:1", "kind": "credit", "amount": "9.00", "at": "2024-01-09"},
        *(row | {"id": f"1-{n}", "key": key, "at": f"2024-01-0{9 - n}"} for n, key in enumerate(keys.split(), 2)),
    ]
    lines = [{"record": "ledger", "version": 1}, *lines, {"record": "end", "records": len(lines) + 1}]
    text = "\n".join(json.dumps(line) for line in lines)
    with opened() as ledger:
        refusals = imported(ledger, text).refusals
        assert [each for each in refusals if each[1] == "time_conflict"] == [
            (line + 1, "time_conflict") for line in refused
        ]
        if not refused:
            assert refusals == []
            assert verification.verify(ledger)["transactions"] == len(keys.split()) + 1


# Options


def test_a_dry_run_says_what_would_be_and_changes_nothing(opened_wallet: Ledger) -> None:
    text = HEADER + b"1,5,credit,\n1,9,debit,\n9886977599/x,5,credit,\n"
    before = exported(opened_wallet)
    outcome = imported(opened_wallet, text, dry_run=True, create=True)
    assert exported(opened_wallet) == before
    assert outcome.summary["dry_run"] is True
    real = imported(opened_wallet, text, create=True)
    assert {name: value for name, value in outcome.summary.items() if name != "dry_run"} == real.summary
    assert real.refusals == outcome.refusals == [(3, "insufficient_funds")]
    assert exported(opened_wallet) != before


@pytest.mark.parametrize("lines_a_batch", [1, 2, 5000])
def test_atomic_is_all_or_nothing(lines_a_batch: int, opened_wallet: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "BATCH_LINES", lines_a_batch)
    before = exported(opened_wallet)
    good = HEADER + b"1,5,credit,\n9886977599/x,5,credit,\n"
    refused = imported(opened_wallet, good + b"1,9,debit,\n", atomic=True, create=True)
    assert refused.counts == (0, 0, 1)
    assert (refused.summary["users_created"], refused.summary["wallets_created"]) == (0, 0)
    assert exported(opened_wallet) == before
    done = imported(opened_wallet, good, atomic=True, create=True)
    assert (done.counts, done.summary["users_created"], done.summary["wallets_created"]) == ((2, 0, 0), 1, 1)


@pytest.mark.parametrize("lines_a_batch", [1, 5000])
@pytest.mark.parametrize(("options", "counts"), [({"atomic": True}, True), ({"dry_run": True}, False), ({}, False)])
def test_what_a_refusal_takes_back_is_told(
    lines_a_batch: int,
    options: dict[str, bool],
    counts: bool,
    opened_wallet: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imports, "BATCH_LINES", lines_a_batch)
    lines = b"wallet,amount,kind,key\n1,5,credit,k\n1,6,credit,k\n1,9000,debit,\n9,1,credit,\n"
    refused = imported(opened_wallet, lines, **options)
    told = [" (counting what comes before it, of which nothing is applied)" in each for each in refused.messages]
    assert told == [False, counts, False]


@pytest.mark.parametrize("lines_a_batch", [1, 5000])
@pytest.mark.parametrize(
    ("options", "counts", "is_there"),
    [
        ({"atomic": True}, (0, 1, 2), False),
        ({"dry_run": True}, (2, 2, 2), False),
        ({"dry_run": True, "atomic": True}, (0, 1, 2), False),
        ({}, (2, 2, 2), True),
    ],
)
def test_nothing_is_said_to_be_there_that_is_taken_back(
    lines_a_batch: int,
    options: dict[str, bool],
    counts: tuple[int, int, int],
    is_there: bool,
    opened_wallet: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A line that repeats one of its file was applied before if that one was; so is the row that has its key."""
    monkeypatch.setattr(imports, "BATCH_LINES", lines_a_batch)
    head = b"wallet,amount,kind,key\n"
    assert imported(opened_wallet, head + b"1,5,credit,there\n").counts == (1, 0, 0)
    lines = b"1,5,credit,there\n1,5,credit,k\n1,5,credit,k\n1,6,credit,k\n1,6,credit,there\n1,1,credit,\n"
    outcome = imported(opened_wallet, head + lines, **options)
    assert (outcome.counts, outcome.refusals) == (counts, [(5, "key_reused"), (6, "key_reused")])
    ours, earlier = outcome.messages
    assert ("transaction 1-2" in ours, "before it in the same file" in ours) == (is_there, not is_there)
    assert "transaction 1-1" in earlier


@pytest.mark.parametrize("lines_a_batch", [1, 2, 5000])
def test_create_registers_users_by_their_names(
    lines_a_batch: int, opened_wallet: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the first line of each that says it; who is there already keeps theirs."""
    monkeypatch.setattr(imports, "BATCH_LINES", lines_a_batch)
    rows = [
        *("1,5,credit,Nobody", "9886977599,5,credit,Ravi", "+919886977599/x,5,credit,Later", "9886977598,1,credit,"),
        *("9886977598/x,5,credit,Asha Rao", f"9886977597,5,credit,{'x' * 300}", "9886977596,5,credit, Zoë "),
    ]
    text = "\n".join(["wallet,amount,kind,name", *rows])
    outcome = imported(opened_wallet, text, create=True)
    assert outcome.refusals == [(7, "invalid_input")]
    named = {user.phone_e164[-2:]: user.name for user in opened_wallet.store.users() if user.id > 1}
    assert (named["99"], named["96"]) == ("Ravi", "Zoë")
    assert named["98"] == ("Asha Rao" if lines_a_batch == 5000 else None)  # by the first lines that are read together
    assert "97" not in named
    assert opened_wallet.store.user_by_id(1).name != "Nobody"  # type: ignore[union-attr]


def test_create_opens_what_is_missing(opened_wallet: Ledger) -> None:
    text = (
        b"wallet,amount,kind,currency\n"
        b"9886977599,5,credit,\n"  # a user and their wallet, in the currency that is set
        b"+919886977599/pts,7,credit,PTS/0\n"
        b"098869 77599/pts,7,credit,\n"  # the same, spelled otherwise
        b"1/new,1,credit,JPY\n"  # a wallet of somebody known by their id
        b"7/new,1,credit,\n"  # nobody can be registered by an id
        b"12,1,credit,\n"
        b"1112223/x,1,credit,\n"  # no possible number
        b"9886977599/y,1,credit,XXX\n"  # no currency
        b"1/new,1,credit,USD\n"  # not its currency
    )
    assert {code for _, code in imported(opened_wallet, text).refusals} >= {"user_not_found", "wallet_not_found"}
    outcome = imported(opened_wallet, text, create=True)
    assert outcome.counts == (4, 0, 5)
    assert (outcome.summary["users_created"], outcome.summary["wallets_created"]) == (1, 3)
    assert [line for line, _ in outcome.refusals] == [6, 7, 8, 9, 10]
    assert {f"{w.user_id}/{w.type}": w.currency.name for w in opened_wallet.store.wallets()} == {
        "1/main": "INR", "1/pts": "PTS/8", "2/main": "INR", "2/pts": "PTS/0", "1/new": "JPY",
    }  # fmt: skip


def test_create_opens_no_wallet_for_a_phone_number(opened_wallet: Ledger) -> None:
    """A number with a slash, or two numbers in one field. A wallet of such a type that is there goes on."""
    opened_wallet.run(wallets.create(opened_wallet, parse_wallet("1/555666")), "create")
    names = ["030/7654321", "9845012345/9845054321", "1/9845054321", "1/123456", "1/12345", "1/2026-11", "1/555666"]
    text = "\n".join(["wallet,amount,kind", *(f"{name},5,credit" for name in names)])
    outcome = imported(opened_wallet, text, create=True)
    assert outcome.refusals == [(line, "invalid_input") for line in (2, 3, 4, 5)]
    assert outcome.counts == (3, 0, 4)
    assert outcome.summary["users_created"] == 0
    assert {wallet.type for wallet in opened_wallet.store.wallets()} >= {"12345", "2026-11", "555666"}


def test_records_of_users_and_wallets_may_be_written_by_hand(opened_wallet: Ledger) -> None:
    text = (
        '{"record":"user","phone_number":"9886977599","name":"Bo"}\n'
        '{"record":"user","phone_number":"+91 98869 77599"}\n'
        '{"record":"user","phone_number":"9886977599","name":"Cy"}\n'
        '{"record":"wallet","wallet":"9886977599/pts","currency":"PTS/0","minimum_balance":"-5"}\n'
        '{"record":"wallet","wallet":"2/pts","currency":"PTS/0"}\n'
        '{"record":"wallet","wallet":"2/pts","currency":"INR"}\n'
        '{"wallet":"2/pts","amount":5,"kind":"debit"}\n'
    )
    outcome = imported(opened_wallet, text)
    assert outcome.counts == (1, 0, 2)
    assert outcome.refusals == [(3, "user_exists"), (6, "wallet_exists")]
    assert imported(opened_wallet, text).counts == (0, 1, 2)


@pytest.mark.parametrize(
    ("lines", "refused"),
    [
        (("null", "0", "0.00"), []),
        (("50",), [1]),
        (("-5", "0"), [1]),
        # The second wallet was opened with -5.
        (("-5/b", "null/b", "0/b", "7/b"), [3, 4]),
    ],
)
def test_a_line_for_a_wallet_with_another_minimum_is_refused(
    lines: tuple[str, ...], refused: list[int], opened_wallet: Ledger
) -> None:
    opened_wallet.run(wallets.create(opened_wallet, parse_wallet("1/b"), minimum_balance="-5"), "create")
    opened_wallet.run(wallets.set_limits(opened_wallet, parse_wallet("1/b"), minimum_balance="-6"), "limits")
    text = ""
    for line in lines:
        minimum, slash, type_ = line.partition("/")
        text += f'{{"record":"wallet","wallet":"1{slash}{type_}","minimum_balance":{minimum}}}\n'
    hints: list[str | None] = []
    summary = imports.run(
        opened_wallet, io.BytesIO(text.encode()), report=lambda _line, error, _text: hints.append(error.hint)
    )
    outcome = imported(opened_wallet, text)
    assert outcome.refusals == [(line, "wallet_exists") for line in refused]
    assert len(hints) == summary["refused"] == len(refused)
    now = "-6.00" if "/b" in text else "0.00"
    assert {*hints} <= {f"its minimum balance is {now}; to change it: wallet limits WALLET --minimum-balance A"}


# As a process: pipes, files, terminals, signals


@pytest.fixture
def story(db: Address) -> Path:
    assert cli.run("register 9886977544").code == 0
    assert cli.run("create 1").code == 0
    return db


def shell(line: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("kind", ["user", "wallet"])
def test_the_key_of_a_record_is_that_of_the_request(opened_wallet: Ledger, kind: str) -> None:
    """Whichever came first, and however it came."""
    ledger = opened_wallet

    def ask(number: str, key: str) -> Any:
        if kind == "user":
            return users.register(ledger, number, key=key)
        return wallets.create(ledger, parse_wallet(f"id:1/t{number[-1]}"), key=key)

    def line(number: str, key: str) -> bytes:
        wanted = {"phone_number": number} if kind == "user" else {"wallet": f"id:1/t{number[-1]}"}
        return json.dumps({"record": kind, **wanted, "key": key}).encode() + b"\n"

    one, other = "9886977550", "9886977551"
    assert imported(ledger, line(one, "k1")).refusals == []
    assert ledger.run(ask(one, "k1"), "ask")["replayed"]
    with pytest.raises(KeyReused):
        ledger.run(ask(other, "k1"), "ask")
    ledger.run(ask(other, "k2"), "ask")
    assert imported(ledger, line(other, "k2") + line(one, "k2")).refusals == [(2, "key_reused")]


@pytest.mark.parametrize("options", ["--create", "--create --atomic"])
def test_lines_of_a_csv_export_open_no_wallet(options: str, story: Address, tmp_path: Path) -> None:
    """They go to their own places, in a wallet that the export itself opens: those lines are in JSON alone."""
    assert cli.run("credit 1 5").code == 0
    (tmp_path / "lines.csv").write_text(cli.run("export -o csv").out)
    done = cli.run(f"--db new.db import lines.csv {options}")
    assert (done.code, done.out.partition("\n")[0]) == (4, "Nothing was imported.")
    assert all(line.endswith("to be applied here must have no id") for line in done.err.splitlines()), done.err
    assert not (tmp_path / "new.db").exists()
    assert cli.run("import lines.csv --create --json").json["refused"] == 0


@pytest.mark.parametrize(
    ("lines", "options", "title"),
    [
        (OK * 2, "", "Imported."),
        (OK * 2 + b"1,0,credit,\n", "", "Imported."),
        (OK * 2 + b"1,0,credit,\n", "--atomic", "Nothing was imported."),
        (b"1,0,credit,\n", "", "Nothing was imported."),
        (b"", "", "Imported."),
    ],
)
def test_the_report_says_whether_something_was_imported(
    lines: bytes, options: str, title: str, story: Address, tmp_path: Path
) -> None:
    (tmp_path / "lines.csv").write_bytes(HEADER + lines)
    assert cli.run(f"import lines.csv {options}").out.partition("\n")[0] == title


def test_what_comes_through_a_pipe_has_the_keys_of_the_file(story: Address, tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_bytes(HEADER + OK * 3)
    piped = shell("cat lines.csv | wallet import - --json")
    assert (json.loads(piped.stdout)["applied"], piped.stderr) == (3, "")
    for line in (
        "wallet import lines.csv --json",
        "wallet import - --json < lines.csv",
        "wallet import <(cat lines.csv) -q",
    ):
        again = shell(line)
        assert again.returncode == 0, again.stderr
        assert "3" not in again.stdout.replace('"replayed": 3', "")


@pytest.mark.on_file("a database that is there stays, with no tables in it")
@pytest.mark.parametrize(("lines", "made"), [(b"", 0), (b"1,5,credit,\n", 0), (b"9886977544,5,credit,\n", 1)])
@pytest.mark.parametrize("source", ["- < <(cat lines.csv)", "<(cat lines.csv)"])
def test_a_pipe_makes_a_ledger_where_something_in_it_is_applied(
    source: str, lines: bytes, made: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WALLET_DB", "new.db")
    (tmp_path / "lines.csv").write_bytes(HEADER + lines)
    done = shell(f"wallet import {source} --create -q")
    assert done.stdout == f"{made}\n", done.stderr
    assert ("created a new ledger" in done.stderr, (tmp_path / "new.db").exists()) == (made, made)


@pytest.mark.on_file("what is at a path, the ledger too")
@pytest.mark.parametrize("target", ["lines.csv", "./wallet.db", "link", "folder", "no/where", "/dev/full"])
def test_rejects_go_where_they_do_no_harm(target: str, story: Address, tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_bytes(HEADER + b"1,0,credit,\n")
    (tmp_path / "link").symlink_to("lines.csv")
    (tmp_path / "folder").mkdir()
    before = story.read_bytes()
    for source in ("lines.csv", "- < lines.csv"):
        done = shell(f"wallet import {source} --rejects {target} --json")
        code = json.loads(done.stderr.splitlines()[-1])["error"]["code"]
        assert code == ("storage_error" if target == "/dev/full" else "invalid_input")
    assert (tmp_path / "lines.csv").read_bytes() == HEADER + b"1,0,credit,\n"
    assert story.read_bytes() == before


@pytest.mark.on_file("what is at a path")
@pytest.mark.parametrize(
    ("options", "counts", "kept"), [("", (2, 1), 2), ("--atomic", (0, 1), 0), ("--dry-run", (2, 1), 0)]
)
@pytest.mark.parametrize("lost", ["--rejects /dev/full", "--save-profile bank", "--save-profile b --rejects /dev/full"])
def test_what_cannot_be_written_is_told_with_what_was_done(
    lost: str,
    options: str,
    counts: tuple[int, int],
    kept: int,
    story: Address,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "wallet").mkdir()
    (tmp_path / "wallet/import").touch()
    (tmp_path / "lines.csv").write_bytes(HEADER + b"1,5,credit,\n1,500,debit,\n1,6,credit,\n")
    done = shell(f"wallet import lines.csv {lost} --json {options}")
    refused, error = (json.loads(line) for line in done.stderr.splitlines())
    assert (done.returncode, done.stdout, refused["line"]) == (7, "", 3)
    assert (refused["error"]["code"], error["error"]["code"]) == ("insufficient_funds", "storage_error")
    assert tuple(error["error"]["details"][each] for each in ("applied", "refused")) == counts
    said = shell(f"wallet import lines.csv {lost} {options}").stderr
    assert "line 3: insufficient_funds: " in said
    assert [each in said for each in ("cannot write '/dev/full': ", "bank.toml: ", "b.toml: ")] == [
        "/dev/full" in lost,
        "bank" in lost,
        "-profile b " in lost,
    ]
    assert f"{'dry run' if 'dry' in options else 'import'}: {0 if kept else counts[0]} applied, {kept} replayed" in said
    assert len(cli.run("tx list 1 --json").json["transactions"]) == kept


def test_rejects_have_the_line_as_it_was(story: Address, tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_bytes(HEADER + '1,0,credit,"é\n2"\r\n1,5,credit,ÿ\n'.encode() + b"1,\x1b,credit,\n")
    done = shell("wallet import lines.csv --rejects rejects -q")
    assert (done.returncode, done.stdout, done.stderr) == (4, "1\n", "")
    found = [json.loads(line) for line in (tmp_path / "rejects").read_text("ascii").splitlines()]
    assert [(each["line"], each["code"], each["text"]) for each in found] == [
        (2, "invalid_input", '1,0,credit,"é\n2"'),
        (5, "invalid_input", "1,\x1b,credit,"),
    ]
    assert all(each["message"] and each["hint"] for each in found)


def watched(arguments: str) -> tuple[str, int]:
    """What a command writes to stderr, where that is a terminal; and its exit code."""
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    return terminal.shown(shlex.split(arguments), environ=environment)


def test_a_bar_is_shown_on_a_terminal_alone(story: Address, tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_bytes(HEADER + OK * 100)
    shown, code = watched("import lines.csv")
    assert code == 0
    assert "importing" in shown
    assert "/" in shown  # so much of so much
    assert watched("import lines.csv -q") == ("", 0)
    assert shell("wallet import lines.csv").stderr == ""


@pytest.mark.on_file("the lock beside a file")
def test_busy_is_exit_6_and_it_goes_on_from_there(story: Address, tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_bytes(HEADER + OK * 3)
    with processes.held(WriteLock, story.with_name(story.name + ".lock")):
        busy = shell("WALLET_LOCK_TIMEOUT=0.05 wallet import lines.csv --json")
        assert (busy.returncode, json.loads(busy.stderr)["error"]["code"], busy.stdout) == (6, "busy", "")
    assert cli.run("import lines.csv --json").json["applied"] == 3


SMALL_BATCHES = """
from wallet_cli.import_export import imports
imports.BATCH_LINES = 10
"""

HAS_DONE_FIVE = (
    SMALL_BATCHES
    + """
count = imports.Run._count
done = 0
def counting(self, *arguments, **options):
    global done
    count(self, *arguments, **options)
    done += 1
imports.Run._count = counting

post = imports.records.post
def posting(*arguments):
    if done == 5:
        os.write(fd, b"five\\n")
        import time
        while True: time.sleep(0.01)  # a signal that comes a moment before one wait begins does not end that wait
    return post(*arguments)
imports.records.post = posting
"""
)


@pytest.mark.parametrize(("options", "kept"), [([], 50), (["--atomic"], 0), (["--dry-run"], 0)])
def test_ctrl_c_in_the_middle_is_exit_130_and_it_goes_on_from_there(
    options: list[str], kept: int, story: Address, tmp_path: Path
) -> None:
    (tmp_path / "lines.csv").write_bytes(HEADER + OK * 200)
    run = processes.Wallet(["import", "lines.csv", *options], HAS_DONE_FIVE)
    run.begun()
    run.said("five")
    run.process.send_signal(signal.SIGINT)
    outcome = run.finish()
    assert (outcome.code, outcome.out) == (130, "")
    told = "nothing of this file is in" if options else "50 of 200 lines are in"
    assert outcome.err.startswith(f"error: interrupted: {told}\n")
    assert cli.run("verify --json").json["transactions"] == kept
    again = cli.run("import lines.csv --json").json
    assert (again["applied"], again["replayed"]) == (200 - kept, kept)


# Memory

SAYS_HOW_MUCH = """
from wallet_cli.import_export import imports
run = imports.run
def measured(*arguments, **options):
    summary = run(*arguments, **options)
    with open("/proc/self/status") as status:
        os.write(fd, next(line for line in status if line.startswith("VmHWM")).encode())
    return summary
imports.run = measured
"""
MAX_MEMORY_KB = 80 * 1024
"""It takes 48 MiB; the file alone would be 40 more."""


@pytest.mark.on_file("the lines are read the same; bench/move.py has a database's writer")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says how much memory a process had")
def test_memory_does_not_grow_with_the_file(story: Address, tmp_path: Path) -> None:
    """100,000 lines, 40 MB: of these every tenth is applied, and the others are refused, which is no less."""
    note = "n" * 380
    lines = [f"1,{0 if number % 10 else 5},credit,{number}{note}\n" for number in range(100_000)]
    (tmp_path / "lines.csv").write_text(HEADER.decode() + "".join(lines))
    run = processes.Wallet(["import", "lines.csv", "--rejects", "rejects", "--json"], SAYS_HOW_MUCH)
    run.begun()
    said = os.read(run.reader, 100)
    outcome = run.finish()
    assert (outcome.json["applied"], outcome.json["refused"]) == (10_000, 90_000)
    assert int(said.split()[1]) < MAX_MEMORY_KB


def test_one_bad_name_refuses_its_line_alone(opened_wallet: Ledger) -> None:
    rows = [f"9886977580,1,credit,{'x' * 201}", "9886977580,2,credit,ok", "9886977580,3,credit,"]
    outcome = imported(opened_wallet, "\n".join(["wallet,amount,kind,name", *rows]), create=True)
    assert outcome.refusals == [(2, "invalid_input")]
    assert [user.name for user in opened_wallet.store.users()][1:] == ["ok"]
