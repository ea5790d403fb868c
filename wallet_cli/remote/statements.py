"""Statements over a server: the same Statement, with its lines read from the server each time.

So all forms of output are made here, in the time zone of the ledger. A server sends a statement as one JSON object,
with its lines at the end; they are read one at a time, in constant memory. All readings show the same lines: no
transaction is ever inserted between others, and newer ones are beyond the last seq of the first reading.
"""

from __future__ import annotations

import codecs
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC
from itertools import chain as joined
from typing import Any, NamedTuple, TypedDict

from wallet_cli.domain.hash_chain import unopened
from wallet_cli.domain.ids import TypedWallet, format_transaction_id, parse_hold_id, parse_transaction_id
from wallet_cli.domain.model import Transaction, User, Wallet
from wallet_cli.domain.money import parse_balance
from wallet_cli.domain.period import Period, parse_period, parse_start
from wallet_cli.domain.remarks import Remarks
from wallet_cli.errors import StorageError
from wallet_cli.operations import fields
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.statements import Statement
from wallet_cli.remote.client import Client, bounds_of
from wallet_cli.remote.shapes import check_of

LINES = ', "transactions": ['
"""The text before the lines. Inside a JSON string, these quotes would have backslashes."""

MAX_HEAD_CHARS = 1024 * 1024
"""The most characters before the lines, and in each line."""


class _Envelope(TypedDict):
    data: fields.StatementHead


class Parts(NamedTuple):
    """A statement as it is sent: the part before the lines, and the lines as they arrive."""

    head: Answer
    lines: Iterator[Answer]


@contextmanager
def opened(ledger: Client, ref: TypedWallet, start: str | None = None, end: str | None = None) -> Iterator[Statement]:
    zone = ledger.zone()
    period = parse_period(start, end, zone, ledger.now_us)
    wallet = ledger.find_wallet(ref)
    with ExitStack() as first_reading:
        parts = first_reading.enter_context(_asked(ledger, wallet, period))
        head, first = parts.head, next(parts.lines, None)
        opening = _opening(ledger, wallet, period, head, first)
        closing = _closing(ledger, wallet, opening, head)
        rest = iter([] if first is None else joined([first], parts.lines))
        unread = [rest]

        def read() -> Iterator[Transaction]:
            if unread:
                yield from _transactions(wallet, opening, closing, unread.pop())
                first_reading.close()
                return
            with _asked(ledger, wallet, period) as again:
                yield from _transactions(wallet, opening, closing, again.lines)

        user = User(wallet.user_id, head["phone_e164"], head["phone_e164"], None, None, head["name"], 0)
        yield Statement(user, wallet, period, opening, closing, time.time_ns() // 1000, zone, read)


@contextmanager
def _asked(ledger: Client, wallet: Wallet, period: Period) -> Iterator[Parts]:
    path = f"/wallet/statement/{wallet.user_id}/{wallet.id}"
    with ledger.server.stream(path, ("application/json",), **bounds_of(period)) as chunks:
        yield _parts(_Text(chunks))


class _Text:
    """A text that arrives in chunks; keeps the part that is not read yet."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.text = ""

    def more(self) -> None:
        """Wait for more of it. Raises StorageError at its end: a complete statement needs no more."""
        chunk = next(self._chunks, None)
        if chunk is None:
            raise _no_statement()
        self.text += self._decoder.decode(chunk)


def _parts(source: _Text) -> Parts:
    while (end := source.text.find(LINES)) < 0:
        if len(source.text) > MAX_HEAD_CHARS:
            raise _no_statement()
        source.more()
    try:
        answer = json.loads(source.text[:end] + "}}")
    except (ValueError, RecursionError):
        raise _no_statement() from None
    if not check_of(_Envelope)(answer):
        raise _no_statement()
    head = answer["data"]
    source.text = source.text[end + len(LINES) :]
    return Parts(head, _lines(source))


def _lines(source: _Text) -> Iterator[Answer]:
    decode = json.JSONDecoder().raw_decode
    at = 0
    while True:
        while at < len(source.text) and source.text[at] in ", ":
            at += 1
        if source.text.startswith("]", at):
            return
        try:
            line, at = decode(source.text, at)
        except RecursionError:
            raise _no_statement() from None
        except ValueError:  # it is not complete yet
            if len(source.text) - at > MAX_HEAD_CHARS:
                raise _no_statement() from None
            source.text, at = source.text[at:], 0
            source.more()
        else:
            if not check_of(fields.Transaction)(line):
                raise _no_statement()
            yield line


def _no_statement() -> StorageError:
    return StorageError("the server did not send a statement", hint="check WALLET_DB")


def _opening(ledger: Client, wallet: Wallet, period: Period, head: Answer, first: Answer | None) -> Transaction:
    """The state before the period, as far as a statement shows it: its seq, and totals that give its balance."""
    if first is not None:
        seq = first["seq"] - 1
    elif period.start_us is None:
        seq = 0
    else:
        before = ledger.total_of(wallet, Period(None, period.start_us))
        seq = before["credit_count"] + before["debit_count"]
    balance = parse_balance(head["opening_balance"], wallet.currency)
    return unopened(wallet)._replace(seq=seq, credit_total=max(balance, 0), debit_total=max(-balance, 0))


def _closing(ledger: Client, wallet: Wallet, opening: Transaction, head: Answer) -> Transaction:
    """The state at the end, and the time of the last line."""

    def sum_of(name: str) -> int:
        return parse_balance(head[name], wallet.currency)

    closing = opening._replace(
        seq=opening.seq + head["credit_count"] + head["debit_count"],
        credit_total=opening.credit_total + sum_of("credit_total"),
        debit_total=opening.debit_total + sum_of("debit_total"),
        credit_count=opening.credit_count + head["credit_count"],
    )
    if closing.seq == opening.seq:
        return closing
    last = ledger.server.get(
        "/lookup/transaction", fields.TransactionDetail, {"id": format_transaction_id(wallet.id, closing.seq)}
    )
    return closing._replace(at_us=_at_us(last))


def _transactions(
    wallet: Wallet, opening: Transaction, closing: Transaction, lines: Iterator[Answer]
) -> Iterator[Transaction]:
    """The lines up to the closing one."""
    last = opening
    while last.seq < closing.seq:
        line = next(lines, None)
        if line is None:
            return
        last = _transaction(wallet, last, line)
        yield last


def _transaction(wallet: Wallet, last: Transaction, line: Answer) -> Transaction:
    amount, is_credit = parse_balance(line["amount"], wallet.currency), line["is_credit"]
    peer = _id(line, "transfer", parse_transaction_id)
    reverses = _id(line, "reverses", parse_transaction_id)
    hold = _id(line, "hold", parse_hold_id)
    return Transaction(
        wallet.id,
        line["seq"],
        is_credit,
        amount,
        last.credit_total + (amount if is_credit else 0),
        last.debit_total + (0 if is_credit else amount),
        last.credit_count + is_credit,
        _at_us(line),
        line["key"],
        b"",
        peer[0] if peer else None,
        peer[1] if peer else None,
        reverses[1] if reverses else None,
        hold[1] if hold else None,
        line.get("forced", False),
        line.get("user_key", False),
        remarks=Remarks.of(line),
    )


def _id(line: Answer, name: str, parse: Callable[[str], Any]) -> tuple[int, int] | None:
    found: tuple[int, int] | None = parse(line[name]) if name in line else None
    return found


def _at_us(line: Answer) -> int:
    return parse_start(line["at"], UTC)
