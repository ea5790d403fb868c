"""Statements: a wallet over a period, every line with its running balance, and totals by kind.

The lines are read again each time that somebody iterates over them, always the same, and never kept: a statement of a
million lines takes no more memory than one of ten. They are read in pieces. Transactions never change, so no snapshot
is kept open for a slow reader; an open snapshot would let SQLite's log grow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import tzinfo
from typing import NamedTuple

from wallet_cli.domain.ids import WalletRef
from wallet_cli.domain.model import Transaction, User, Wallet
from wallet_cli.domain.money import format_minor
from wallet_cli.domain.period import Period, parse_period
from wallet_cli.errors import InvalidInput, StorageError
from wallet_cli.operations.answers import Answer, total_answer, transaction_answer
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.pages import pieces
from wallet_cli.operations.transactions import bounds
from wallet_cli.operations.wallets import find_account

LINE_KINDS = ("credit", "debit", "transfer_in", "transfer_out", "capture", "reversal_in", "reversal_out")
"""The kinds of lines, in the order of the totals."""

CURVE_BUCKETS = 150
MAX_CURVE_POINTS = 3 * CURVE_BUCKETS
"""The most points of a chart; with more, each time bucket gives its lowest, highest and last balance."""


class KindTotal(NamedTuple):
    """The number of lines of a kind, and their sum in minor units."""

    kind: str
    number: int
    amount: int


class Point(NamedTuple):
    """The balance from a moment on, in minor units, and the `seq` of the transaction that made it."""

    seq: int
    at_us: int
    balance: int


class Survey(NamedTuple):
    """The result of one pass over the lines: totals of the kinds that occur, and the balance as a curve.

    The curve starts and ends with the period (or now, if that is earlier), and has all peaks; at most MAX_CURVE_POINTS
    points are between.
    """

    totals: tuple[KindTotal, ...]
    curve: tuple[Point, ...]


class Statement(NamedTuple):
    """A wallet over a period. Valid while the ledger from which it is read is open."""

    user: User
    wallet: Wallet
    period: Period
    opening: Transaction
    """The state just before the period."""
    closing: Transaction
    """The state at the end of the period."""
    made_at_us: int
    zone: tzinfo
    """The time zone of the ledger, for times shown to people."""
    read: Callable[[], Iterator[Transaction]]

    @property
    def line_count(self) -> int:
        """The number of lines."""
        return self.closing.seq - self.opening.seq

    def lines(self) -> Iterator[Transaction]:
        """The transactions of the period, the oldest first."""
        return self.read()

    def must_have_at_most(self, most: int, what: str, hint: str) -> None:
        """Raises InvalidInput for more lines than `what` can have, before any is read."""
        if self.line_count > most:
            raise InvalidInput(
                f"{what} has at most {most} transactions, and there are {self.line_count}",
                hint=hint,
                lines=self.line_count,
                most=most,
            )

    def survey(self, watch: Callable[[Transaction], None] | None = None) -> Survey:
        """Read all lines once; `watch` is shown each.

        Raises StorageError where they do not lead from the opening to the closing balance.
        """
        counts, sums = dict.fromkeys(LINE_KINDS, 0), dict.fromkeys(LINE_KINDS, 0)
        curve: _Curve | None = None
        credit_total, debit_total = self.opening.credit_total, self.opening.debit_total
        for line in self.lines():
            kind = kind_of(line)
            counts[kind] += 1
            sums[kind] += line.amount
            if line.is_credit:
                credit_total += line.amount
            else:
                debit_total += line.amount
            if curve is None:
                end_us = self._curve_end_us()
                # A first line that was recorded under a clock ahead counts as of a later one, which is not read yet.
                first_us = line.at_us if line.at_us <= end_us else min(self.wallet.created_at_us, end_us)
                curve = _Curve(self._curve_start_us(first_us), end_us, self.line_count)
            curve.add(Point(line.seq, line.at_us, line.balance))
            if watch is not None:
                watch(line)
        if (credit_total, debit_total) != (self.closing.credit_total, self.closing.debit_total):
            raise StorageError(
                ("the transactions of wallet ", self.wallet.mention, " do not add up to its balance"),
                hint="for details: wallet verify",
            )
        totals = tuple(KindTotal(kind, counts[kind], sums[kind]) for kind in LINE_KINDS if counts[kind])
        return Survey(totals, self._whole(curve))

    def _whole(self, curve: _Curve | None) -> tuple[Point, ...]:
        end_us = self._curve_end_us()
        start_us = curve.start_us if curve is not None else self._curve_start_us(end_us)
        first = Point(self.opening.seq, start_us, self.opening.balance)
        last = Point(self.closing.seq, max(start_us, end_us), self.closing.balance)
        return (first, *(curve.points() if curve is not None else ()), last)

    def _curve_start_us(self, first_us: int) -> int:
        """The start of the period; without a transaction before it, the first line."""
        return first_us if self.period.start_us is None or not self.opening.seq else self.period.start_us

    def _curve_end_us(self) -> int:
        """The end of the period, if that has passed; with no end given, the last line."""
        end_us = self.period.end_us
        if end_us is None:
            return self.closing.at_us if self.line_count else self.made_at_us
        return max(self.closing.at_us, min(end_us, self.made_at_us))


class _Curve:
    """Keeps the visible points of a balance: all of them, or the extremes and the end of each time bucket.

    Where the time goes back, it was reset: what was recorded ahead, which is in the last bucket, counts as of then.
    """

    def __init__(self, start_us: int, end_us: int, count: int) -> None:
        self.start_us = start_us
        # The last moment belongs to the last bucket.
        self.bucket_us = max(1, (end_us - start_us) // CURVE_BUCKETS + 1)
        self.all = count <= MAX_CURVE_POINTS
        self.kept: list[Point] = []
        self.bucket = -1
        self.low = self.high = self.last = Point(0, start_us, 0)

    def add(self, point: Point) -> None:
        if point.at_us < self.last.at_us:
            self._reset_to(point.at_us)
        if self.all:
            self.kept.append(point)
            self.last = point
            return
        bucket = min((point.at_us - self.start_us) // self.bucket_us, CURVE_BUCKETS)
        if bucket != self.bucket:
            self._keep()
            self.bucket, self.low, self.high = bucket, point, point
        elif point.balance < self.low.balance:
            self.low = point
        elif point.balance > self.high.balance:
            self.high = point
        self.last = point

    def points(self) -> list[Point]:
        self._keep()
        return self.kept

    def _reset_to(self, at_us: int) -> None:
        self._keep()
        self.start_us = min(self.start_us, at_us)
        self.kept = [point if point.at_us <= at_us else point._replace(at_us=at_us) for point in self.kept]

    def _keep(self) -> None:
        if self.bucket >= 0:
            self.kept += sorted({self.low, self.high, self.last})
            self.bucket = -1


@contextmanager
def opened(ledger: Ledger, ref: WalletRef, start: str | None = None, end: str | None = None) -> Iterator[Statement]:
    """A statement of the ledger as it was when opened; read it in the `with` block.

    Raises UserNotFound, WalletNotFound, or InvalidInput for a period that cannot be read.
    """
    zone = ledger.zone()
    period = parse_period(start, end, ledger.zone_of_times, ledger.now_us)
    with ledger.store.snapshot():
        account = find_account(ledger, ref)
        wallet = account.wallet
        user = ledger.store.user_by_id(wallet.user_id)
        if user is None:
            raise StorageError(f"user {wallet.user_id} is missing", hint="for details: wallet verify")
        opening, closing = bounds(ledger, account, period)

    def read() -> Iterator[Transaction]:
        for first, last in pieces(opening.seq + 1, closing.seq):
            yield from list(ledger.store.in_order(wallet.id, first, last))

    yield Statement(user, wallet, period, opening, closing, ledger.now_us(), zone, read)


def kind_of(line: Transaction) -> str:
    """One of LINE_KINDS. A reversed transfer is a reversal."""
    if line.reverses is not None:
        return "reversal_in" if line.is_credit else "reversal_out"
    if line.peer_wallet_id is not None:
        return "transfer_in" if line.is_credit else "transfer_out"
    if line.hold is not None:
        return "capture"
    return "credit" if line.is_credit else "debit"


def head_answer(statement: Statement) -> Answer:
    """The wallet, the period and its balances: the fields of a total, and the wallet's owner."""
    wallet, user = statement.wallet, statement.user
    total = total_answer(wallet, statement.period, statement.opening, statement.closing)
    whose = {
        "wallet_id": wallet.id,
        "user_id": user.id,
        "type": wallet.type,
        "currency": wallet.currency.name,
        "phone_e164": user.phone_e164,
        "name": user.name,
    }
    fields = (
        "from", "to", "opening_balance", "closing_balance",
        "credit_total", "debit_total", "credit_count", "debit_count", "net", "wallet",
    )  # fmt: skip
    return whose | {name: total[name] for name in fields}


def totals_answer(statement: Statement, survey: Survey) -> list[Answer]:
    """The totals by kind: `kind, count, amount` of each that occurs, in the order of LINE_KINDS."""
    return [
        {"kind": total.kind, "count": total.number, "amount": format_minor(total.amount, statement.wallet.currency)}
        for total in survey.totals
    ]


def lines_answer(statement: Statement) -> Iterator[Answer]:
    """The lines as `transaction`s, the oldest first; without who made them, which is not for the wallet's owner."""
    return (transaction_answer(line._replace(actor=None), statement.wallet) for line in statement.lines())


def streamed(ledger: Ledger, ref: WalletRef, start: str | None = None, end: str | None = None) -> Iterator[Answer]:
    """The lines alone, in constant memory. Raises as `opened` does, before the first line."""
    with opened(ledger, ref, start, end) as statement:
        yield from lines_answer(statement)


def json_of(statement: Statement, indent: int | None = None) -> Iterator[str]:
    """A whole statement as one JSON object, in parts, in constant memory.

    The fields of `head_answer`, then `totals`, then `transactions`.
    """
    from wallet_cli.operations.json_lists import json_parts

    answer = head_answer(statement) | {"totals": totals_answer(statement, statement.survey()), "transactions": []}
    return json_parts(answer, "transactions", lines_answer(statement), indent)
