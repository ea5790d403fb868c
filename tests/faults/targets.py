"""Targets of the fuzzing: functions that take any bytes, and fail where the program does what it should not.

Each reads its bytes in the way that a person, a client or a file gives them. What the program may do is return, or
raise a WalletError; any other exception is a fault, and so is a text that it takes and then means something else by
when it has printed it. Each target has seeds, from which others are made; among them is what once was a fault.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

import httpx
import msgspec
from support import cli, engines

from wallet_cli import settings
from wallet_cli.domain import host, money, period, phone, text
from wallet_cli.domain import ids as names
from wallet_cli.domain import metadata as meta
from wallet_cli.domain.ids import PhoneDigits, UserId, WalletId, WalletName
from wallet_cli.domain.model import Wallet
from wallet_cli.domain.money import Currency
from wallet_cli.errors import InternalError, StorageError, WalletError, shown, shown_url
from wallet_cli.import_export import imports
from wallet_cli.import_export.imports import dialect, records
from wallet_cli.import_export.imports.reading import Line, Reader
from wallet_cli.operations import transactions, verification
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.pages import parse_after
from wallet_cli.remote import is_remote
from wallet_cli.remote.http import checked_url
from wallet_cli.web import messages, requests
from wallet_cli.web.operations import OPERATIONS
from wallet_cli.web.routes.call import page

MAX_BYTES = 4096
"""How long an input is made; what bounds longer ones is tested where the bound is."""

T = TypeVar("T")
Function = Callable[[bytes], None]


class Target(NamedTuple):
    """`weight` is its share of the executions: what takes microseconds is run more often than what opens a ledger."""

    run: Function
    seeds: tuple[bytes, ...]
    weight: int = 100


TARGETS: dict[str, Target] = {}


def target(*seeds: bytes | str, weight: int = 100) -> Callable[[Function], Function]:
    """Have a function fuzzed, from these inputs on."""

    def note(function: Function) -> Function:
        given = tuple(seed if isinstance(seed, bytes) else seed.encode() for seed in seeds)
        TARGETS[function.__name__.replace("_", "-")] = Target(function, given, weight)
        return function

    return note


def written(data: bytes) -> str:
    """Text as an argument of a command line has it: what is not UTF-8 is there in halves of surrogate pairs."""
    return data.decode("utf-8", "surrogateescape")


def fields(data: bytes) -> list[str]:
    """Texts that stand behind each other, a NUL between them."""
    return [written(part) for part in data.split(b"\0")]


def chosen(among: Sequence[T], data: bytes) -> T:
    """One of some things, which hangs on the bytes: each of them is tried with others, and none costs all of them."""
    return among[crc32(data) % len(among)]


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Where no is an answer. A fault of the program's own, or a damaged ledger, is none."""
    try:
        yield
    except (InternalError, StorageError):
        raise
    except WalletError as refusal:
        check_told(refusal)


def check_told(refusal: WalletError) -> None:
    """A refusal says something that a terminal and JSON can show, and no more than can be read."""
    told = f"{refusal.message} {refusal.hint or ''}"
    assert refusal.message
    assert not re.search(r"[\0-\x1f\x7f\ud800-\udfff]", told), f"an error that moves a terminal: {told!r}"
    assert len(told) < 2000, f"an error of {len(told)} characters"
    msgspec.json.encode(refusal.as_json())


# Names.


@target(
    "9886977544", "+91 98869-77544", "id:17", "1", "(098869) 77540", "٩٨٨٦٩٧٧٥٤٤", "+52 1 55 1234 5678", "id:9999999"
)
def user(data: bytes) -> None:
    typed = written(data)
    with refusals():
        name = names.parse_user(typed)
        if isinstance(name, UserId):
            assert names.parse_user(names.format_user(name.id)) == name
        else:
            assert isinstance(name, PhoneDigits)
            assert names.parse_user(name.digits).digits == name.digits


REGIONS = ("IN", "GB", "US", "MX", "DE", "AR", "IT", "AQ")


@target(
    "\x009886977544",
    "\x03044 55 1234 5678",
    "\x05+54 9 11 1234-5678",
    "\x0606 1234 5678",
    "\x01020 7946 0018",
    "\x02+1 (212) 555-0199;ext=5",
    "\x00+91988697754",
    "\x0000919886977544",
    "\x0000091988697544",
    weight=20,
)
def phone_number(data: bytes) -> None:
    region, typed = REGIONS[data[0] % len(REGIONS)] if data else "IN", written(data[1:])
    with refusals():
        found = phone.parse_phone(typed, region)
        again = phone.parse_phone(found.e164, "US")
        assert again.e164 == found.e164, (found, again)
        for known in (found, again):
            if known.national is not None and known.region is not None:
                local = phone.parse_phone(known.national, known.region)
                assert local.e164 == found.e164, (known, local)


@target("1", "1/main", "9886977544/savings", "w7", "W7", "w99999999999999999999", "id:17/a.b-c_d", "1/", "/main")
def wallet(data: bytes) -> None:
    typed = written(data)
    with refusals():
        found = names.parse_wallet(typed)
        assert found.text == typed
        if isinstance(found, WalletId):
            assert names.parse_wallet(names.format_wallet_id(found.wallet_id)) == found
        elif isinstance(found.user, UserId):
            again = names.parse_wallet(names.format_wallet(found.user.id, found.type))
            assert isinstance(again, WalletName)
            assert (again.user, again.type) == (found.user, found.type)
    with refusals():
        names.parse_new_wallet(typed)


@target("1-17", "1-h3", "17", "w1-3", "0-0", "9223372036854775807-9223372036854775808", "till-1", "٣-١")
def ids(data: bytes) -> None:
    typed = written(data)
    with refusals():
        found = names.parse_transaction_id(typed)
        assert names.parse_transaction_id(names.format_transaction_id(*found)) == found
    with refusals():
        hold = names.parse_hold_id(typed)
        assert names.parse_hold_id(names.format_hold_id(*hold)) == hold
    with refusals():
        assert str(names.parse_id(typed)) == typed.lstrip("0")
    with refusals():
        names.check_operator_name(typed)
    with refusals():
        parse_after(typed)
    with refusals():
        transactions.parse_cursor(typed)


@target(
    "order-1041",
    "  a key ",
    "naïve\u0301",
    "tea\n",
    "\ud7ff",
    b"\xed\xa0\x80",
    b"\xff",
    "=1+1",
    "ǅ İ ß ﬁ K",
    "\u0130\u0307",
)
def texts(data: bytes) -> None:
    typed = written(data)
    with refusals():
        key = names.check_key(typed)
        assert names.check_key(key) == names.check_stored_key(key) == key
        key.encode()
    for check in (names.check_note, names.check_name):
        with refusals():
            assert check(typed) == typed
            typed.encode()
    assert text.fold(text.fold(typed)) == text.fold(typed)
    assert text.containing(typed)(typed)
    assert not re.search(r"[\0-\x1f\x7f-\x9f\ud800-\udfff]", text.harmless(typed))
    assert text.no_formula(typed)[-len(typed) :] == typed or not typed
    assert shown(typed).isprintable()


# Values.

INR = Currency("INR", 2)
CURRENCIES = [money.parse_currency(each) for each in ("INR", "JPY", "BHD", "PTS/0", "SATS/8", "CLF")]


@target(
    "20", "19.99", "0.00000001", "1500.0", "-5", "1e3", "1000000000000000", "٣", "1_000", "00020.10", ".5", "5.", "--5"
)
def amount(data: bytes) -> None:
    typed, currency = written(data), chosen(CURRENCIES, data)
    for read in (
        money.parse_amount,
        money.parse_minimum,
        money.parse_maximum,
        money.parse_daily_debit,
        money.parse_balance,
    ):
        with refusals():
            minor = read(typed, currency)
            printed = money.format_minor(minor, currency)
            assert read(printed, currency) == minor
            assert Decimal(printed) == Decimal(typed)
            assert len(printed.partition(".")[2]) == currency.exponent
            assert money.parse_told(currency.name, printed) == currency


@target(
    "INR", "PTS/0", "SATS/8", "HRK", "HRK/2", "INR/2", "INR/3", "XAU", "PTS/9", "ABCDEFGHIJK/1", "inr", "XAU/4\x004"
)
def currency(data: bytes) -> None:
    typed, *more = fields(data)
    with refusals():
        found = money.parse_currency(typed)
        assert money.parse_currency(found.written) == found
        assert money.parse_stored(found.name) == found
        assert found.can_be
        assert found.is_plain
    with refusals():
        digits = len(more[0]) if more else None
        stored = money.parse_stored(typed, digits)
        assert money.parse_stored(stored.name, stored.exponent) == stored
        again = money.parse_stored(stored.written)
        assert again.is_same(stored), (stored, again)


ZONES = [
    period.zone_of(name) for name in ("UTC", "Asia/Kolkata", "America/New_York", "Pacific/Apia", "America/Sao_Paulo")
]


@target(
    "2024",
    "2024-04",
    "2024-04-30",
    "2024-04-19T05:40",
    "2024-04-19 05:40:00.123456Z",
    "2024-04-19T05+05:30",
    "2024-02-30",
    "9999-12-31",
    "0001-01-01",
    "2026-11-01T01:30",
    "2011-12-30",
    "2018-11-04",
    "0001-01-01T00:00+14:00",
    "9999-12-31T23:59:59.999999",
    "2024-04-19T05:40:00,9Z",
    "9999",
    "2024-12-31T23:59:60Z",
)
def time(data: bytes) -> None:
    typed, zone = written(data), chosen(ZONES, data)
    with refusals():
        span = period.parse_time(typed, zone)
        assert period.FIRST_US <= span.start_us < span.end_us <= period.LAST_US + 1
        assert period.parse_time(period.format_time(span.start_us), zone).start_us == span.start_us
        assert period.parse_time(period.format_end(span.end_us), zone).end_us == span.end_us
        assert period.parse_start(typed, zone) == span.start_us
        day = period.day_of(span.start_us, zone)
        assert day.start_us <= span.start_us < day.end_us
    with refusals():
        assert period.parse_start(typed, zone) == period.parse_time(typed, zone).start_us


@target("7d", "90s", "15m", "12h", "2w", "3660d", "3661d", "0s", "٣d", "999999999w")
def duration(data: bytes) -> None:
    with refusals():
        assert 0 < period.parse_duration(written(data)) <= period.MAX_DURATION_DAYS * period.DAY_US


@target("2024-01\x002024-02", "2024-02\x002024-01", "2024\x00", "\x002024", "2024-01-01T00:00Z\x002024-01-01")
def bounds(data: bytes) -> None:
    (start, *more), zone = fields(data), chosen(ZONES, data)
    with refusals():
        found = period.parse_period(start or None, more[0] or None if more else None, zone)
        if found.start_us is not None and found.end_us is not None:
            assert found.start_us < found.end_us
            again = period.parse_period(period.format_time(found.start_us), period.format_end(found.end_us), zone)
            assert again == found


@target(
    "UTC",
    "Asia/Kolkata",
    "posixrules",
    "../etc/passwd",
    "/etc/localtime",
    "localtime",
    "right/UTC",
    "",
    "Etc/GMT+5",
    weight=10,
)
def zone_name(data: bytes) -> None:
    with refusals():
        name = period.check_zone(written(data))
        period.zone_of(name)


@target(
    '{"order": "1041"}',
    '{"a":[1,{"b":null}],"c":true}',
    '{"a":1.5}',
    '{"a":1,"a":2}',
    '{"a":NaN}',
    "[]",
    '{"":1}',
    '{"a":"\\ud800"}',
    '{"a":' * 12 + "1" + "}" * 12,
    '{"n":123456789012345678901234567890}',
    '{"a":1e999}',
    '{"\\u0000":1}',
    '{"a":"\\ud83e\\uddfe"}',
)
def metadata(data: bytes) -> None:
    with refusals():
        found = meta.parse_json(written(data))
        kept = meta.canonical(found)
        if kept is not None:
            assert meta.canonical(meta.parse_json(kept)) == kept
            assert meta.parse_json(kept) == found
            assert kept.isascii()
    with refusals():
        kept = meta.canonical(meta.parse_pairs(fields(data)))
        assert kept is None or meta.canonical(meta.parse_json(kept)) == kept


@target(
    "https://till.example.org",
    "http://[::1]:5000/x",
    "postgresql://u:p@h/d",
    "https://h:99999",
    "https://[",
    "localhost",
    "127.0.0.1",
    "host=h password='a b'",
    "https://h:٣",
    "https://a[::1]b:5",
    "https://x[:@]:0",
    "http://localhost:80/a/",
)
def place(data: bytes) -> None:
    typed = written(data)
    found = host.host_of(typed)
    if found is not None and found.isascii():
        assert host.host_of(f"https://{found}") == found
    host.is_loopback(typed)
    re.match(settings.ELSEWHERE, typed)
    shown_url(typed)
    if not is_remote(typed):
        return
    with refusals():
        url = checked_url(typed)
        called = httpx.URL(url)
        own = f"[{called.host}]" if ":" in called.host else called.host
        if url.isascii():
            assert host.host_of(url) == f"{own}:{called.port or host.PORTS[called.scheme]}", "another host is called"
        assert called.scheme == "https" or host.is_loopback(called.host)
        assert checked_url(url) == url


@target(
    "\1;dmy,\0Betrag=amount,Datum=at", "\0\0\0\0", "comma\0.\0mdy\0cp1252\0a=amount", '\\t\0,\0dmy\0utf-7\0"a,b"=at'
)
def dialects(data: bytes) -> None:
    given = [each or None for each in fields(data)]
    delimiter, decimal, dates, encoding, columns = (given + [None] * 5)[:5]
    with refusals():
        dialect.dialect(delimiter, decimal, dates, encoding, [] if columns is None else [columns], None)


@target(
    "1.234,56",
    "1,234.56",
    "12,34,567.89",
    "(5)",
    "5-",
    "−5",
    "1'234",
    "31/12/2024 10:15 pm",
    "45292.5",
    "2024-12-31",
    "5 EUR",
    "5\u202e\x1d",
)
def cells(data: bytes) -> None:
    typed, how = (
        written(data),
        dialect.Dialect(decimal=chosen((None, ".", ","), data), dates=chosen((None, *dialect.DATES), data[::-1])),
    )
    for signed in (False, True):
        with refusals():
            plain = how.amount(typed, signed=signed)
            minor = money.parse_minimum(plain, INR)
            assert money.parse_minimum(how._replace(decimal=".").amount(plain, signed=True), INR) == minor
    with refusals():
        when = how.time(typed)
        span = period.parse_time(when, ZONES[0])
        assert period.parse_time(how.time(when), ZONES[0]) == span
    assert dialect.plain(dialect.plain(typed)) == dialect.plain(typed)


# Requests.

BODY = '{"user_id": 1, "wallet_id": 1, "amount": 20, "is_credit": true, "note": "tea", "meta": {"a": 1}}'


@target(
    b'\0{"phone_number": "9886977544", "name": "Asha"}',
    b'\1{"user_id": 1, "type": "type1", "currency": "INR"}',
    b"\2" + BODY.encode(),
    b'\3{"transactions": [' + BODY.encode() + b'], "atomic": true}',
    b'\5{"transaction": "1-17"}',
    b'\2{"user_id": 1e0, "wallet_id": 1, "amount": 1e999, "is_credit": true}',
    b'\2{"amount": NaN}',
    b'\2{"am\x7funt": 1}',
    b'\2{"' + b"x" * 3000 + b'": 1}',
    b'\2{"user_id": 1, "user_id": 2}',
    b'\2{"user_id": 1, "wallet_id": 1, "amount": "\\ud800", "is_credit": true}',
    b'\x0a{"minimum_balance": "none"}',
    b"\2\xff",
    b"\2" + b"[" * 2000,
    b'\2{"user_id":1,"wallet_id":1,"amount":-0,"is_credit":true,"meta":null}',
)
def request_body(data: bytes) -> None:
    kinds = [*(each.body for each in OPERATIONS if isinstance(each.body, type)), requests.PartHead]
    kind, body = kinds[data[0] % len(kinds)] if data else requests.NewTransaction, data[1:]
    with refusals():
        found: Any = requests.decode(body, kind)
        for name in found.__struct_fields__:
            value = getattr(found, name)
            if not isinstance(value, msgspec.Raw):
                continue
            if name == "meta":
                with refusals():
                    read = requests.meta_of(value)
                    kept = None if read is None else meta.canonical(read)
                    assert kept is None or meta.parse_json(kept) == read
                continue
            for read_amount in (requests.amount_text, requests.part_text, requests.limit_text):
                with refusals():
                    typed = read_amount(value)
                    if typed is not None:
                        money.parse_amount(typed, CURRENCIES[0])


@target(
    '{"transactions": [' + BODY + "," + BODY + '], "atomic": false}',
    '{"atomic":true,"transactions":[' + BODY + "]}",
    '{"transactions": []}',
    '{"transactions": [' + BODY + "]} x",
    '{"transactions":[{}]}',
    '{"atomic": 1, "transactions": [{}]}',
    '{"transactions": [' + BODY + '], "transactions": []}',
    "{}",
    " { } ",
    '{"transactions": [' + BODY + '], "atomic": true, "atomic": false}',
    '{"transactions":[' + BODY + ",]}",
)
def batch_body(data: bytes) -> None:
    """A batch that is read in steps is read as one that is read at once."""

    def at_once() -> requests.Batch:
        batch = requests.decode(data, requests.Batch)
        for item in batch.transactions:
            requests.amount_text(item.amount)
            requests.meta_text(item.meta)
        return batch

    def in_steps() -> requests.Batch:
        batch = requests.Batch(transactions=[])
        for _ in requests.read_batch((data[at : at + 100] for at in range(0, len(data), 100)), batch):
            pass
        return batch

    taken: list[bytes] = []
    for read in (at_once, in_steps):
        taken.append(b"")
        with refusals():
            taken[-1] = msgspec.json.encode(read())
    assert taken[0] == taken[1]


@target(
    "limit=5&cursor=1-17",
    "limit=5&limit=6",
    "text=%F0%9F%A7%BE",
    "limit=%31",
    "text=%ff",
    "key=a+b&count=true",
    "&&",
    "a=b=c",
)
def query(data: bytes) -> None:
    scope = {"query_string": data}
    with refusals():
        page(messages.query(scope, frozenset(("limit", "cursor", "count", "text", "key", "from", "to"))))


# Files.

FILED = Wallet(1, 1, "main", INR, "active", None, 0)
HOLD = (
    '{"record":"hold","id":"1-h1","wallet":"1","amount":"5.00","captured":"0.00","status":"open","created_at":"2024-01-01T00:00:00Z",'
    '"expires_at":"2024-01-02T00:00:00Z","ended_at":null,"note":null,"key":null}'
)
STATE = '{"record":"state","wallet":"1","status":"active","transactions":1,"hash":"' + "0" * 64 + '"}'
EXPORTED = (
    '{"record":"ledger","version":1,"currency":"INR"}\n'
    '{"record":"user","id":1,"phone_number":"9886977544","phone_e164":"+919886977544","phone_region":"IN",'
    '"phone_national":"9886977544","name":null,"created_at":"2024-01-01T00:00:00.000000Z"}\n'
    '{"record":"wallet","id":1,"wallet":"+919886977544/main","currency":"INR","created_at":"2024-01-01T00:00:00.000000Z"}\n'
    '{"wallet":"+919886977544/main","amount":"5.00","kind":"credit","at":"2024-01-01T00:00:00.000000Z","id":"1-1","balance":"5.00",'
    '"currency":"INR"}\n'
)
CSV = 'wallet,amount,kind,at,note,key,meta\n1,5.00,credit,2024-01-01,tea,k1,"{""a"":1}"\n'
DIALECTS = (
    dialect.Dialect(),
    dialect.dialect(";", ",", "dmy"),
    dialect.dialect("tab", ".", "mdy", "cp1252"),
    dialect.dialect(columns=["Betrag=signed_amount,Datum=at,Konto=wallet,Text=note"], decimal=","),
    dialect.dialect(columns=["In=credit,Out=debit,Date=at"], wallet="1", dates="dmy", encoding="utf-16"),
)
LINES = (
    b"\0" + CSV.encode(),
    b'\0{"wallet": "1", "amount": 5, "kind": "credit"}\n',
    b"\0" + EXPORTED.encode(),
    b"\0" + HOLD.encode(),
    b"\0" + STATE.encode(),
    b"\1wallet;amount;kind\n1;1.234,56;credit\n",
    b"\2wallet\tamount\tkind\n1\t5\tcredit\n",
    b"\3Konto;Betrag;Datum;Text\n1;-5,00;2024-01-01;\xe4\n",
    b"\4" + "In,Out,Date\n5.00,,31/12/2024\n".encode("utf-16"),
    b'\2wallet\tamount\tkind\n1\t"5" \tcredit\n',
    b"\0sep=;\nwallet;amount;kind\n1;5;credit",
    b'\0wallet,amount,kind\n"1,5,credit\n',
    b"\0\xef\xbb\xbfwallet,amount,kind\n\n,,\n1,5,credit\n",
    b"\0"
    b'{"wallet": "1", "amount": 1.50, "kind": "debit", "meta": "{\\"a\\": 1}", "at": "2024"}\r\n\r\n'
    b'{"record": "end", "records": 1}',
    b"\0w\0a\0",
    b"\0wallet,amount,kind\r1,5,credit\r",
    b"\0\n\n",
    b'\0{"record":"wallet","id":1,"digits":9}',
)


@target(*LINES, weight=60)
def import_lines(data: bytes) -> None:
    """The lines of a file as they are read, one after the other and each again by its place, and what each asks for."""
    how, source = DIALECTS[data[0] % len(DIALECTS)] if data else DIALECTS[0], io.BytesIO(data[1:])
    with contextlib.ExitStack() as stack, refusals():
        file = dialect.as_utf8(source, how.encoding)
        stack.callback(file.close)
        start = file.tell()
        reader = Reader(file, "", how._replace(encoding=None))
        lines = list(reader)
        doubtful = reader.doubtful()
        assert doubtful is None or doubtful.problem is not None
        assert all(before.number < after.number for before, after in pairwise(lines))
        for line in lines:
            asked_for(line)
        file.seek(start)
        again = Reader(file, "", how._replace(encoding=None))
        for line in lines:
            if line.problem is None:
                assert again.at(line.offset, line.number) == line


def asked_for(line: Line) -> None:
    """What a line asks for: nothing but a refusal keeps it from being read."""
    reads: dict[str, Callable[[], object]] = {
        "transaction": lambda: records.post(line, FILED, None, ZONES[1]),
        "hold": lambda: records.restored_hold(line, FILED, ZONES[1]),
        "state": lambda: records.restored_state(line, FILED),
        "user": lambda: records.restored_user(line, ZONES[1]),
        "wallet": lambda: (records.created_at(line.fields, ZONES[1]), records.digits(line.fields)),
        "ledger": lambda: records.ledger_settings(line.fields),
        "end": lambda: records.check_count(line, 1),
        "": lambda: None,
    }
    with refusals():
        if line.problem is not None:
            raise line.problem
        reads[line.record]()
    if line.record == "transaction":
        with refusals():
            records.restored_transaction(line, FILED, ZONES[1])


def _noted(refused: list[object], *line: object) -> None:
    refused.append(line)


@target(*LINES, weight=1)
def import_whole(data: bytes) -> None:
    """A file that is imported, and whatever of it is taken: then the ledger is sound, and has what was answered."""
    how = DIALECTS[data[0] % len(DIALECTS)] if data else DIALECTS[0]
    with thrown_away() as ledger:
        for options in (imports.Options(dry_run=True), imports.Options(create=True, sort=len(data) % 3 == 0)):
            with refusals():
                refused: list[object] = []
                note = partial(_noted, refused)
                answer = imports.run(ledger, io.BytesIO(data[1:]), options, note, dialect=how)
                assert len(refused) == answer["refused"]
        if not ledger.store.is_restoring():
            verification.verify(ledger)


@target(
    "JWT_SECRET_KEY='Scuq='\nFLASK_ENV=development\nMINIMUM_BALANCE=20\n",
    "WALLET_DB=a.db",
    "export A=1",
    "A",
    "A='\n'",
    b"A=\xff",
    "WALLET_TIMEZONE=Asia/Kolkata\nWALLET_LOCK_TIMEOUT=nan",
    "WALLET_LOCK_TIMEOUT=1_0",
    'WALLET_CURRENCY="PTS/0"',
    "JWT_ACCESS_TOKEN_EXPIRES=٣",
    "JWT_ACCESS_TOKEN_EXPIRES=00000000000000000000000001",
    "A=\0",
    "\ufeffA=1",
    "WALLET_DB=\0",
    "JWT_MAX_TOKEN_EXPIRES=" + "9" * 3000,
    "JWT_ACCESS_TOKEN_EXPIRES=" + "1" * 5000,
    weight=10,
)
def dotenv(data: bytes) -> None:
    """A file of variables, named or found, and each setting that it may give."""
    path = folder() / ".env"
    path.write_bytes(data)
    path.chmod(0o600)
    for flags, where in (({"env_file": str(path)}, None), ({}, folder())):
        with refusals():
            use(settings.load(flags, {}, where, folder() / "no.toml"))
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


@target(
    'db = "a.db"\ncurrency = "INR"\n',
    "lock_timeout = 1.5",
    "lock_timeout = inf",
    "jwt_max_token_expires = 5",
    "[a]\nb=1",
    "a = 1",
    b"\xff",
    "env = '''\n'''",
    "currency = 2024-01-01",
    "minimum_balance = -5",
    "minimum_balance = " + "[" * 1500,
    "token = 5\ndb = 'https://h'",
    weight=10,
)
def config_file(data: bytes) -> None:
    path = folder() / "config.toml"
    path.write_bytes(data)
    with refusals():
        use(settings.load({}, {}, folder() / "none", path))


@target(
    "WALLET_TIMEZONE=UTC\0WALLET_LOCK_TIMEOUT=5",
    "MINIMUM_BALANCE=1e5",
    "WALLET_PHONE_REGION=in",
    "WALLET_CURRENCY=SATS/8",
    weight=10,
)
def environment(data: bytes) -> None:
    pairs = [each.partition("=") for each in fields(data)]
    with refusals():
        use(settings.load({}, {name: value for name, _, value in pairs}, folder() / "none", folder() / "no.toml"))


def use(given: settings.Settings) -> None:
    """Ask for every setting; what one is refused for is not what the next one is."""
    given.shown()
    for name in (
        "db",
        "currency",
        "phone_region",
        "minimum_balance",
        "env",
        "jwt_secret_key",
        "jwt_access_token_expires_minutes",
        "jwt_max_token_expires_minutes",
        "lock_timeout_s",
        "ca_file",
    ):
        with refusals():
            getattr(given, name)
    for ask in (lambda: given.timezone, given.of_new_ledger, lambda: given.token_for("till.example.org:443")):
        with refusals():
            ask()


@target("example.org wk_abc", "wk_abc", "a b\na b", "a b\nc d e", "[::1 b", "", b"\xff", "a:x b", weight=10)
def token_file(data: bytes) -> None:
    path = folder() / "token"
    path.write_bytes(data)
    path.chmod(0o600)
    with refusals():
        settings._read_tokens(path)


# The command line.

LEAVES = re.compile(
    r"(^|=|^-+\w+)/|\.\.|://|~|^-*\w*(env-file|profile)|\b(serve|move|demo)\b|host|dbname|service|postgres"
)
"""Arguments with which a command could reach beyond the folder that is thrown away, or go on for ever."""
ARGUMENTS = (
    "balance 1",
    "tx add 1 5 --credit --key a --note tea --meta a=1 --at 2024-01-01",
    "tx list 1 --from 2024 --to 2025 -o csv",
    "register 9886977541 --name Asha --json",
    "create 1/b --currency PTS/0 --minimum-balance -5",
    "hold add 1 5 --expires 7d -q",
    "hold capture 1-h1 2 --keep",
    "hold void 1-h1",
    "transfer 1 1/b 5",
    "tx reverse 1-1 --force",
    "limits 1 --daily-debit none",
    "freeze 1",
    "close 1",
    "ledger set timezone Asia/Kolkata",
    "ledger show -o jsonl",
    "statement 1 -o json",
    "export 1 -o beancount",
    "import - --dry-run",
    "key create till",
    "key list",
    "key revoke till",
    "token 1",
    "verify 1",
    "users --limit 5",
    "list 1 --all",
    "tx show 1-1",
    "tx total 1",
    "config show",
    "--db a.db verify",
    "--help",
    "tx",
    "--version",
    "wallet create 1/c",
    "hold list w1 --cursor 3",
    "tx list 1 --kind reversal --min 1 --max 2 --text a --key b",
    "balance 1 --at 9999-12-31",
    "",
    "-o",
    "tx add 1 -5 --debit",
)


@target(*(line.replace(" ", "\0") for line in ARGUMENTS), weight=2)
def argv(data: bytes) -> None:
    """A command line on a ledger that is thrown away: it says what it did, or why not, and the ledger is sound."""
    # The system itself ends an argument at a NUL; an empty line is no command.
    arguments = fields(data)
    if any(map(LEAVES.search, arguments)) or len(arguments) > 40:
        return
    with thrown_away_for_commands():
        done = cli.run(arguments)
        assert done.code in (0, 2, 3, 4, 5, 9), (arguments, done)
        assert "Traceback" not in done.err
        if done.code and done.code != 4:
            assert done.err, arguments
        if "a.db" not in arguments:
            sound = cli.run(["verify"])
            assert sound.code == 0, (arguments, sound)


# What they share.


@cache
def folder() -> Path:
    """A folder of this process."""
    return Path(tempfile.mkdtemp(prefix="wallet-fuzz-"))


@contextlib.contextmanager
def thrown_away() -> Iterator[Ledger]:
    """A ledger with a user, two wallets, a credit and a hold, as it was before the last one that used it."""
    with engines.opened(fresh_file()) as ledger:
        yield ledger


def fresh_file() -> Path:
    path = folder() / "wallet.db"
    for each in folder().glob("wallet.db*"):
        each.unlink()
    path.write_bytes(made())
    path.chmod(0o600)
    return path


@cache
def made() -> bytes:
    path = folder() / "made.db"
    path.write_bytes(engines.empty_file().read_bytes())
    path.chmod(0o600)
    lines = ("register 9886977544", "create 1", "create 1/b", "tx add 1 50 --credit --key k", "hold add 1 5 --key h")
    engines.tell(path, lines)
    return path.read_bytes()


@contextlib.contextmanager
def thrown_away_for_commands() -> Iterator[None]:
    """The same, as the ledger of a shell whose home and working directory are thrown away too; nobody types."""
    path = fresh_file()
    before = dict(os.environ)
    here, stdin = Path.cwd(), sys.stdin
    with tempfile.TemporaryDirectory(prefix="wallet-fuzz-") as home:
        os.environ |= dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), home)
        os.environ |= {"WALLET_DB": str(path), "WALLET_CONFIG": f"{home}/no.toml", "COLUMNS": "120"}
        os.chdir(home)
        sys.stdin = io.TextIOWrapper(io.BytesIO())
        try:
            yield
        finally:
            sys.stdin = stdin
            os.chdir(here)
            os.environ.clear()
            os.environ |= before
