"""The first look at a file, before any of it is applied: its form, the order of its times, and what is there already.

A file whose newest line comes first is read from its end. Lines that have no key of their own, and are in the ledger
already, are told: which of two equal ones is meant is not for a program to say.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import tzinfo
from hashlib import blake2b, file_digest
from itertools import chain, islice
from typing import BinaryIO, NamedTuple

from wallet_cli.domain.address import parse_wallet
from wallet_cli.domain.commands import Post
from wallet_cli.domain.model import Transaction, Wallet
from wallet_cli.domain.period import parse_start
from wallet_cli.errors import InvalidInput, TimeConflict, WalletError, shown
from wallet_cli.services.context import Ledger
from wallet_cli.services.imports import records
from wallet_cli.services.imports.dialect import Dialect, FormFault, as_utf8
from wallet_cli.services.imports.reading import Line, Reader
from wallet_cli.services.wallets import find_account

DUPLICATES = ("ask", "skip", "add")
KEY_START = "import:"
"""What the keys of lines that had none begin with."""

DIGEST_CHARS = 16
LINES_AT_ONCE = 5000
ROWS_AT_ONCE = 256
MAX_NAMES = 1_000_000
MAX_TIMELESS = 100_000
"""How many of a wallet's last transactions a line without a time is compared with."""


class Duplicates(NamedTuple):
    """Lines that are in the ledger already: how many, and the first."""

    lines: int
    first: Line


class Found(NamedTuple):
    """A line that the ledger has something like: the line's number, how often that is there, and what it is."""

    number: int
    how_often: int
    content: str


Decide = Callable[[Duplicates], str]
"""Is told of lines that are there already; answers `skip` or `add`, or raises."""

Find = Callable[[Sequence[Line], str], Iterable[Found]]
"""Which of some lines are there; also given what the keys of this file's lines begin with."""


def refuse(found: Duplicates) -> str:
    first = found.first
    lines = "1 line is" if found.lines == 1 else f"{found.lines} lines are"
    raise InvalidInput(
        f"{lines} in the ledger already, the first is line {first.number}: {shown(first.text.rstrip())};"
        " nothing was applied",
        hint="--duplicates skip leaves them out, --duplicates add applies them again",
    )


class Looked(NamedTuple):
    """A file that may be applied: its lines in the order to apply them in, what they are read from and from where on.

    `prefix` is what the keys of lines that have none begin with, empty where no line needs it; `skipped` are the
    numbers of lines that are left out.
    """

    lines: Iterator[Line]
    source: BinaryIO
    start: int
    prefix: str = ""
    skipped: frozenset[int] = frozenset()


class How(NamedTuple):
    """How a file is to be looked at: `duplicates` is one of DUPLICATES or None; `sort` puts lines in order of time."""

    name: str
    dialect: Dialect
    zone: tzinfo | None
    now_us: int
    duplicates: str | None
    sort: bool


def look(
    stack: ExitStack, source: BinaryIO, how: How, find: Find, decide: Decide, tell: Callable[[str], None]
) -> Looked:
    """Look through a file, which can be read twice, from where it stands. Nothing is changed.

    Raises InvalidInput or TimeConflict for a file of which nothing is to be applied.
    """
    start = source.tell()
    text = as_utf8(source, how.dialect.encoding)
    if text is not source:
        stack.enter_context(text)
    begin = text.tell()

    def reader() -> Reader:
        text.seek(begin)
        return Reader(text, how.name, how.dialect._replace(encoding=None))

    first = reader()
    for notice in first.notices:
        tell(notice)
    if first.is_export:
        return Looked(iter(reader()), text, begin)
    seen = _survey(first, how)
    order = None
    if seen.falls:
        if seen.rises and not how.sort:
            raise _mixed(seen)
        if not seen.rises:
            tell("the newest line comes first: the file is read from its end")
        order = _index(reader(), how, newest_first=seen.falls > seen.rises, sort=how.sort and seen.rises > 0)
    prefix = ""
    skipped: frozenset[int] = frozenset()
    if seen.unkeyed:
        prefix = digest_prefix(source, start)
        if text is source:
            text.seek(begin)
        if how.duplicates != "add":
            skipped = _already_there(reader(), how, find, prefix, decide)
    lines = _in_order(reader(), order)
    if skipped:
        lines = (line for line in lines if line.number not in skipped)
    return Looked(lines, text, begin, prefix, skipped)


def digest_prefix(source: BinaryIO, start: int) -> str:
    """What the keys of lines without one begin with: the digest of the file, byte by byte."""
    source.seek(start)
    return f"{KEY_START}{file_digest(source, 'sha256').hexdigest()[:DIGEST_CHARS]}:"  # type: ignore[arg-type]


# Form and order.


class _Survey:
    """What a look through all lines found; `falls` and `rises` count lines that are earlier or later than the line
    before of their wallet."""

    def __init__(self) -> None:
        self.unkeyed = False
        self.falls = self.rises = 0
        self.first_fall = self.first_rise = 0


def _survey(reader: Reader, how: How) -> _Survey:
    seen = _Survey()
    last: dict[object, int] = {}
    for line in reader:
        if line.problem is not None:
            if isinstance(line.problem, FormFault):
                raise _fault(line)
            continue
        fields = line.fields
        if line.record != "transaction" or "id" in fields:
            continue
        if "key" not in fields:
            seen.unkeyed = True
        at_us = _moment(line, how)
        if at_us is None:
            continue
        name = fields.get("wallet")
        before = last.get(name if type(name) is str else None)
        if before is not None and at_us < before:
            seen.falls += 1
            seen.first_fall = seen.first_fall or line.number
        elif before is not None and at_us > before:
            seen.rises += 1
            seen.first_rise = seen.first_rise or line.number
        elif len(last) >= MAX_NAMES:
            last.clear()
        last[name if type(name) is str else None] = at_us
    doubtful = reader.doubtful()
    if doubtful is not None:
        raise _fault(doubtful)
    return seen


def _fault(line: Line) -> InvalidInput:
    assert line.problem is not None
    return InvalidInput(f"line {line.number}: {line.problem.message}; nothing was applied", hint=line.problem.hint)


def _moment(line: Line, how: How) -> int | None:
    """When a line was, where it says so, and that has been."""
    at = line.fields.get("at")
    if type(at) is not str:
        return None
    try:
        at_us = parse_start(at, how.zone)
    except InvalidInput:
        return None
    return at_us if at_us <= how.now_us else None


def _mixed(seen: _Survey) -> TimeConflict:
    return TimeConflict(
        f"line {seen.first_fall} is earlier than the one before it of its wallet, and line {seen.first_rise} is later:"
        " the file is in no order of time; nothing was applied",
        hint="--sort applies the lines in the order of their times",
    )


def _index(reader: Reader, how: How, *, newest_first: bool, sort: bool) -> Iterator[tuple[int, int]]:
    """Where each line begins, and its number, in the order to apply them in: what is no transaction comes first."""
    before, offsets, numbers, times = array("q"), array("q"), array("q"), array("q")
    before_numbers = array("q")
    for line in reader:
        if line.record not in ("transaction", ""):
            before.append(line.offset)
            before_numbers.append(line.number)
            continue
        at_us = _moment(line, how) if sort else None
        offsets.append(line.offset)
        numbers.append(line.number)
        times.append(how.now_us if at_us is None else at_us)
    order: Sequence[int] = range(len(offsets))
    if newest_first:
        order = order[::-1]
    if sort:
        order = array("q", sorted(order, key=times.__getitem__))
    return chain(zip(before, before_numbers, strict=True), ((offsets[each], numbers[each]) for each in order))


def _in_order(reader: Reader, order: Iterable[tuple[int, int]] | None) -> Iterator[Line]:
    if order is None:
        yield from reader
        return
    for offset, number in order:
        yield reader.at(offset, number)


# What is there already.


def _already_there(reader: Reader, how: How, find: Find, prefix: str, decide: Decide) -> frozenset[int]:
    """The numbers of lines to be left out. Two equal lines are both there only where the ledger has two."""
    there: set[int] = set()
    first: Line | None = None
    used: Counter[str] = Counter()
    unkeyed = (line for line in reader if line.record == "transaction" and line.fields.keys().isdisjoint({"key", "id"}))
    while batch := list(islice(unkeyed, LINES_AT_ONCE)):
        for number, how_often, content in find(batch, prefix):
            if used[content] < how_often:
                used[content] += 1
                there.add(number)
                if first is None:
                    first = next(line for line in batch if line.number == number)
    if first is None:
        return frozenset()
    answer = how.duplicates if how.duplicates == "skip" else decide(Duplicates(len(there), first))
    return frozenset(there) if answer == "skip" else frozenset()


class LedgerLook:
    """Looks lines up in a ledger, many at once. What is later than all that its wallet has is not looked for."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._zone = ledger.settings.timezone
        self._wallets: dict[str, tuple[Wallet, Transaction] | None] = {}
        self._timeless: dict[int, Counter[str]] = {}

    def find(self, lines: Sequence[Line], prefix: str) -> Iterator[Found]:
        asked: defaultdict[int, list[tuple[Line, Post]]] = defaultdict(list)
        for line in lines:
            post = self._post(line)
            if post is not None:
                asked[post.wallet_id].append((line, post))
        pairs = [(id_, f"{prefix}{line.number}") for id_, each in asked.items() for line, _ in each]
        own = {(row.wallet_id, row.key) for row in self._ledger.store.keyed(pairs)} if pairs else set()
        for id_, each in asked.items():
            rest = [(line, post) for line, post in each if (id_, f"{prefix}{line.number}") not in own]
            yield from self._in_wallet(id_, rest, prefix)

    def _post(self, line: Line) -> Post | None:
        """What a line asks for, where its wallet could have it already."""
        name = line.fields.get("wallet")
        if type(name) is not str:
            return None
        if name not in self._wallets:
            if len(self._wallets) >= LINES_AT_ONCE * 20:
                self._wallets.clear()
            self._wallets[name] = self._account(name)
        known = self._wallets[name]
        if known is None:
            return None
        wallet, last = known
        try:
            post = records.post(line, wallet, None, self._zone)
        except WalletError:
            return None  # its line is told so
        return post if post.at_us is None or post.at_us <= last.at_us else None

    def _account(self, name: str) -> tuple[Wallet, Transaction] | None:
        try:
            wallet, last, _ = find_account(self._ledger, parse_wallet(name))
        except WalletError:
            return None
        return (wallet, last) if last.seq else None

    def _in_wallet(self, id_: int, lines: Sequence[tuple[Line, Post]], prefix: str) -> Iterator[Found]:
        last = next(known[1] for known in self._wallets.values() if known is not None and known[0].id == id_)
        times = sorted({post.at_us for _, post in lines if post.at_us is not None})
        there = Counter(
            _content(id_, row.at_us, row.is_credit, row.amount, row.note)
            for row in self._rows_at(id_, last.seq, times)
            if row.key is None or not prefix or not row.key.startswith(prefix)
        )
        for line, post in lines:
            content = _content(id_, post.at_us, post.is_credit, post.amount, post.note)
            found = (there if post.at_us is not None else self._of_imports(id_, last.seq, prefix))[content]
            if found:
                yield Found(line.number, found, content)

    def _rows_at(self, id_: int, last: int, times: Sequence[int]) -> Iterator[Transaction]:
        """The transactions of a wallet that were at one of those moments: found, and read on while they are close."""
        store, index = self._ledger.store, 0
        while index < len(times):
            seq = store.last_seq_before(id_, last, times[index])
            while True:
                rows = list(store.in_order(id_, seq + 1, min(seq + ROWS_AT_ONCE, last))) if seq < last else []
                if not rows:
                    return
                for row in rows:
                    while index < len(times) and times[index] < row.at_us:
                        index += 1
                    if index == len(times):
                        return
                    if times[index] == row.at_us:
                        yield row
                seq += len(rows)
                if times[index] > rows[-1].at_us:
                    break

    def _of_imports(self, id_: int, last: int, prefix: str) -> Counter[str]:
        """What earlier imports applied to a wallet, with no regard to when."""
        if id_ not in self._timeless:
            if sum(map(len, self._timeless.values())) > 5 * MAX_TIMELESS:
                self._timeless.clear()
            self._timeless[id_] = Counter(
                _content(id_, None, row.is_credit, row.amount, row.note)
                for row in self._ledger.store.newest_first(id_, 1, last, MAX_TIMELESS)
                if row.key is not None and row.key.startswith(KEY_START) and not (prefix and row.key.startswith(prefix))
            )
        return self._timeless[id_]


def _content(wallet_id: int, at_us: int | None, is_credit: bool, amount: int, note: str | None) -> str:
    """All that makes two lines the same; a note that was saved again may have other line ends."""
    spaced = " ".join((note or "").split())
    digest = blake2b(spaced.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    return f"{wallet_id}/{at_us}/{'+' if is_credit else '-'}{amount}/{digest}"
