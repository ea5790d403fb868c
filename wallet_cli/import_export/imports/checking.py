"""The check of a file before any of it is applied: its form, the order of its times, and duplicates.

A file with the newest line first is read from its end. Lines that have no key, and are in the ledger already, are
reported: the program cannot decide whether two equal lines mean one transaction.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, tzinfo
from functools import lru_cache
from hashlib import blake2b, file_digest
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple, Protocol
from unicodedata import normalize

from wallet_cli.domain.commands import Post
from wallet_cli.domain.ids import PhoneDigits, WalletName, check_key, format_wallet_id, parse_wallet
from wallet_cli.domain.model import Transaction, Wallet
from wallet_cli.domain.money import format_minor
from wallet_cli.domain.period import FIRST_US, Zone, needs_zone, parse_start
from wallet_cli.domain.phone import parse_phone
from wallet_cli.errors import Busy, InvalidInput, TimeConflict, WalletError, shown
from wallet_cli.import_export.imports import records
from wallet_cli.import_export.imports.dialect import ENDS, Dialect, FormFault, as_utf8
from wallet_cli.import_export.imports.reading import RESTORED_COLUMNS, Line, Reader
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.wallets import find_account

DUPLICATES = ("ask", "skip", "add")
KEY_START = "import:"
"""The prefix of the keys that the import gives to lines without one."""

DIGEST_CHARS = 16
LINES_AT_ONCE = 5000
ROWS_AT_ONCE = 256
MAX_NAMES = 1_000_000
MAX_NAME_CHARS = 80
"""The longest WALLET name: a phone number has at most 40 characters, and a type 32."""
MAX_TIMELESS = 10_000
"""With how many of a wallet's last transactions a line without a time is compared."""
WALLETS_AT_ONCE = 10
EARLIER_AT_ONCE = 100_000
"""How many rows of earlier imports are compared with a file in one pass."""


class Duplicates(NamedTuple):
    """Lines that are already in the ledger: how many, and the first."""

    lines: int
    first: Line


class Found(NamedTuple):
    """A line with an equal transaction in the ledger: the line's number, how often the ledger has it, and its
    content.
    """

    number: int
    how_often: int
    content: str


Decide = Callable[[Duplicates], str]
"""Called with the duplicates; returns `skip` or `add`, or raises."""


class Earlier(NamedTuple):
    """What an earlier import, identified by its digest, applied to a wallet `wN`: each content, and how often.

    `found` is the content with the time that the ledger has, as in Found: the ledger does not say whether the line had
    that time or none.
    """

    wallet: str
    digest: str
    content: str
    how_often: int
    found: str


class Look(Protocol):
    """Looks lines up in a ledger; `prefix` is the prefix of the keys of this file's lines."""

    def find(self, lines: Sequence[Line], prefix: str) -> Iterable[Found]:
        """Which of these lines, all with a time, the ledger has."""

    def wallets(self, names: Sequence[str]) -> Iterable[tuple[str, str]]:
        """Which of these names mean wallets that are there: each with its wallet, `wN`."""

    def earlier(self, wallets: Sequence[str], prefix: str) -> Iterable[Earlier]:
        """What earlier imports of other files applied to these wallets, each given as `wN`."""

    def applied(self, lines: Sequence[Line], prefix: str) -> Iterable[int]:
        """The numbers of those of these lines that were applied, with a time that a zone of the ledger gives them."""

    def region(self) -> str | None:
        """The country of phone numbers with no `+`."""

    @property
    def ends(self) -> Mapping[str, int]:
        """By the name of each wallet that was looked up: its last seq then, 0 if it was missing."""


def refuse(found: Duplicates) -> str:
    first = found.first
    lines = "1 line is" if found.lines == 1 else f"{found.lines} lines are"
    raise InvalidInput(
        f"{lines} already in the ledger, the first is line {first.number}: {shown(first.text.rstrip())};"
        " nothing was applied",
        hint="leave them out with --duplicates skip, or apply them again with --duplicates add",
    )


class Looked(NamedTuple):
    """A checked file: its lines in the order in which to apply them, the reader, and its start.

    `prefix` is the prefix of keys for lines without one, empty if no line needs it; `skipped` are the numbers of lines
    that are left out. `how_many` lines there are, if that is known. `has_local_times`: some times have no
    offset; not known of an export. `ends` are those of Look, as far as lines were compared with the ledger.
    """

    lines: Iterator[Line]
    source: BinaryIO
    start: int
    prefix: str = ""
    skipped: frozenset[int] = frozenset()
    how_many: int | None = None
    has_local_times: bool = False
    ends: Mapping[str, int] = {}


class How(NamedTuple):
    """How to check a file: `duplicates` is one of DUPLICATES or None; `sort` puts lines in order of time."""

    name: str
    dialect: Dialect
    zone: Zone
    now_us: int
    duplicates: str | None
    sort: bool


def look(
    stack: ExitStack, source: BinaryIO, how: How, ledger: Look, decide: Decide, tell: Callable[[str], None]
) -> Looked:
    """Check a file, which can be read twice, from its present position. Changes nothing.

    Raises InvalidInput or TimeConflict for a file of which nothing may be applied.
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
    if first.is_export:
        return Looked(iter(reader()), text, begin)
    seen = _survey(first, how, _meant)
    if seen.is_disordered and len(seen.forms) > 1:  # whose order it is shows only when each wallet is known by one name
        known, region = _known(reader(), ledger), ledger.region()
        seen = _survey(reader(), how, lambda name: known.get(name) or _meant(name, region))
    prefix = ""
    if seen.unkeyed:
        prefix = digest_prefix(source, start)
        if text is source:
            text.seek(begin)
    is_compared = seen.unkeyed and how.duplicates != "add"
    skipped = _already_there(reader, ledger, prefix) if is_compared else frozenset()
    if seen.has_odd_hours:
        _check_hours(reader(), how, ledger, prefix, skipped)
    if seen.undated and seen.dated:
        first.notices.append(_happen_now(seen))
    order = None
    if seen.first_fall:
        is_mixed = seen.first_rise or not seen.falls
        if is_mixed and not how.sort:
            raise _mixed(seen)
        if not is_mixed:
            first.notices.append("the newest line comes first: reading the file from its end")
        order = _index(reader(), how, newest_first=seen.falls > seen.rises, sort=bool(is_mixed))
    if skipped and how.duplicates != "skip" and not _are_left_out(reader(), skipped, decide):
        skipped = frozenset()
        _check_hours(reader(), how, ledger, prefix, skipped)
    for notice in first.notices:  # for a refused file, only the reason is shown
        tell(notice)
    lines = _in_order(reader(), order)
    if skipped:
        lines = (line for line in lines if line.number not in skipped)
    ends = ledger.ends if is_compared else {}
    return Looked(lines, text, begin, prefix, skipped, seen.lines - len(skipped), seen.has_local_times, ends)


def digest_prefix(source: BinaryIO, start: int) -> str:
    """The prefix of keys for lines without one: the digest of the file's bytes."""
    source.seek(start)
    return f"{KEY_START}{file_digest(source, 'sha256').hexdigest()[:DIGEST_CHARS]}:"  # type: ignore[arg-type]


# Form and order.


class _Survey:
    """The result of reading all lines; `falls` and `rises` count lines that are earlier or later than the previous line
    of their wallet, where both have a time. `first_fall` and `first_rise` are the first of all such lines. `forms` are
    the ways in which wallets are named, such as by an id; each phone number is one. `has_odd_hours`: some times are
    none, or two, in the zone of now; `has_local_times`: some have no offset.
    """

    def __init__(self) -> None:
        self.lines = self.dated = self.undated = self.first_undated = 0
        self.unkeyed = self.is_disordered = self.has_odd_hours = self.has_local_times = False
        self.falls = self.rises = 0
        self.first_fall = self.first_rise = 0
        self.forms: set[object] = set()


def _survey(reader: Reader, how: How, meant: Callable[[str], object]) -> _Survey:
    """Raises InvalidInput for a line that leaves it open what the others mean, or when they happened."""
    seen = _Survey()
    last: dict[object, int] = {}
    latest_us = FIRST_US

    @lru_cache(MAX_NAMES)
    def wallet_of(name: str) -> object:
        wallet = meant(name)
        seen.forms.add(_form(wallet))
        return wallet

    for line in reader:
        seen.lines += 1
        if line.problem is not None:
            if isinstance(line.problem, FormFault):
                raise _fault(line)
            continue
        fields = line.fields
        if line.record != "transaction" or "id" in fields:
            continue
        if "key" not in fields:
            seen.unkeyed = True
        seen.has_local_times = seen.has_local_times or _is_local(fields.get("at"))
        at_us = _moment(line, how)
        if at_us is None:
            problem = _no_time(line, how.zone) if reader.is_csv else None
            if problem is not None:
                if _no_time(line, UTC) is not None:
                    raise problem
                seen.has_odd_hours = True
            continue
        has_time = at_us < how.now_us
        if has_time:
            seen.dated += 1
        else:
            seen.undated += 1
            seen.first_undated = seen.first_undated or line.number
        name = fields.get("wallet")
        wallet = wallet_of(name) if type(name) is str else None
        seen.is_disordered = seen.is_disordered or at_us < latest_us
        latest_us = at_us
        before = last.get(wallet)
        if before is not None and at_us < before:
            seen.falls += before < how.now_us
            seen.first_fall = seen.first_fall or line.number
        elif before is not None and at_us > before:
            seen.rises += has_time
            seen.first_rise = seen.first_rise or line.number
        elif len(last) >= MAX_NAMES:
            last.clear()
        last[wallet] = at_us
    doubtful = reader.doubtful()
    if doubtful is not None:
        raise _fault(doubtful)
    return seen


def _meant(text: str, region: str | None = None) -> object:
    """The wallet of a name, as far as its text shows: not that user 1 has that phone number. In a `region`, a number is
    the one that it means, however it is written.
    """
    try:
        name = parse_wallet(text)
    except InvalidInput:
        return text  # its line gets an error later
    if not isinstance(name, WalletName):
        return name
    if not isinstance(name.user, PhoneDigits):
        return name.user, name.type
    number = name.user.digits
    if region is not None:
        with suppress(InvalidInput):  # its line gets an error later
            number = parse_phone(number, region).e164
    return number, name.type


def _form(wallet: object) -> object:
    """In which way a wallet that is `_meant` is named: two that are named in the same way are two wallets."""
    user = wallet[0] if type(wallet) is tuple else wallet
    return user if isinstance(user, str) else type(user)


def _known(reader: Reader, ledger: Look) -> dict[str, str]:
    """The wallet, `wN`, of each name in a file that means one which is there."""
    known: dict[str, None] = {}
    for line in reader:
        _noted(line, known)
    return _wallets_of(known, ledger)


def _wallets_of(names: Iterable[str], ledger: Look) -> dict[str, str]:
    rest, known = iter(names), dict[str, str]()
    while some := list(islice(rest, LINES_AT_ONCE)):
        known.update(ledger.wallets(some))
    return known


def _happen_now(seen: _Survey) -> str:
    lines = "1 line has" if seen.undated == 1 else f"{seen.undated:,} lines have"
    return f"{lines} no time, and will happen now: the first is line {seen.first_undated}"


def _fault(line: Line) -> InvalidInput:
    assert line.problem is not None
    return InvalidInput(f"line {line.number}: {line.problem.message}; nothing was applied", hint=line.problem.hint)


def _moment(line: Line, how: How) -> int | None:
    """When a line happens: now, if it has no time. None for a time that is still to come, or is no time."""
    at = line.fields.get("at")
    if at is None:
        return how.now_us
    if type(at) is not str:
        return None
    try:
        at_us = parse_start(at, how.zone)
    except InvalidInput:
        return None
    return at_us if at_us <= how.now_us else None


def _is_local(at: object) -> bool:
    return isinstance(at, str) and not at.endswith("Z") and needs_zone(at)


def _no_time(line: Line, zone: Zone) -> InvalidInput | None:
    """The refusal of a file for a date that cannot be read: once the next lines are applied, its line could not be any
    more.
    """
    try:
        parse_start(line.fields["at"], zone)
    except InvalidInput as problem:
        return _fault(line._replace(problem=problem))
    return None


def _check_hours(reader: Reader, how: How, ledger: Look, prefix: str, skipped: frozenset[int]) -> None:
    """Refuse a file for an hour that is none, or two, in the zone of now, unless its line was applied in another, by
    this file or, as one of those that are `skipped`, by an earlier one.
    """
    left = (line for line in reader if line.number not in skipped)
    lines = (line for line in left if line.record == "transaction" and line.problem is None)
    timed = (line for line in lines if "at" in line.fields and "id" not in line.fields)
    odd = ((line, problem) for line in timed if (problem := _no_time(line, how.zone)) is not None)
    while batch := list(islice(odd, LINES_AT_ONCE)):
        applied = {*ledger.applied([line for line, _ in batch], prefix)}
        for line, problem in batch:
            if line.number not in applied:
                raise problem


def _mixed(seen: _Survey) -> TimeConflict:
    one = f"line {seen.first_fall} is earlier than its wallet's previous line"
    other = f"line {seen.first_rise} is later" if seen.first_rise else "which has no time and so happens now"
    return TimeConflict(
        f"{one}, {'and ' * bool(seen.first_rise)}{other}: the file is not in order of time; nothing was applied",
        hint="apply the lines in order of time with --sort",
    )


def _index(reader: Reader, how: How, *, newest_first: bool, sort: bool) -> Iterator[tuple[int, int]]:
    """The offset and number of each line, in the order in which to apply them: records that are not transactions come
    first.
    """
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


# Duplicates.


def _already_there(reader: Callable[[], Reader], ledger: Look, prefix: str) -> frozenset[int]:
    """The numbers of lines that are duplicates. Two equal lines are both duplicates only if the ledger has two."""
    there: set[int] = set()
    used: Counter[str] = Counter()
    names: dict[str, None] = {}
    """The WALLET names of lines without a time."""
    timed = (line for line in _unkeyed(reader()) if "at" in line.fields or _noted(line, names))
    while batch := list(islice(timed, LINES_AT_ONCE)):
        for number, how_often, content in ledger.find(batch, prefix):
            if used[content] < how_often:
                used[content] += 1
                there.add(number)
    there.update(_saved_again(lambda: _unkeyed(reader()), names, used, ledger, prefix))
    return frozenset(there)


def _are_left_out(reader: Reader, there: frozenset[int], decide: Decide) -> bool:
    number = min(there)
    first = next(line for line in reader if line.number == number)
    return decide(Duplicates(len(there), first)) == "skip"


def _unkeyed(reader: Iterable[Line]) -> Iterator[Line]:
    return (line for line in reader if line.record == "transaction" and line.fields.keys().isdisjoint(_KEYED))


RESTORED = frozenset(RESTORED_COLUMNS)
_KEYED = frozenset({"key", "id"})


def _noted(line: Line, names: dict[str, None]) -> bool:
    """Note the wallet of a line; returns False."""
    name = line.fields.get("wallet")
    if type(name) is str and len(name) <= MAX_NAME_CHARS and len(names) < MAX_NAMES:
        names[name] = None
    return False


def _saved_again(
    lines: Callable[[], Iterable[Line]], names: Iterable[str], timed: Counter[str], ledger: Look, prefix: str
) -> list[int]:
    """The numbers of lines without a time that an earlier import applied, if that import is completely in this file.

    A file that was saved again, has grown at its end or its beginning, or was put together from others, has all their
    lines. A file that only has something in common with another is another file. A single line shows neither: it may be
    that line, or the same monthly allowance, and InvalidInput is raised. Lines of an earlier file that had only lines
    with a time say nothing about it. Lines are compared by the wallet that they mean, whatever name they use. `timed`
    are the lines of this file with a time that the ledger has.
    """
    meant = _wallets_of(names, ledger)
    wallets = iter(dict.fromkeys(meant.values()))
    groups = iter(lambda: list(islice(wallets, WALLETS_AT_ONCE)), [])
    earlier = chain.from_iterable(ledger.earlier(group, prefix) for group in groups)
    whole: defaultdict[str, list[Earlier]] = defaultdict(list)
    """By the digest of the earlier file; a file of which something is missing here is left out."""
    others: set[str] = set()
    while batch := list(islice(earlier, EARLIER_AT_ONCE)):
        known = _numbers(lines(), meant, batch)
        others.update(
            each.digest for each in batch if len(known[each.wallet, each.content]) + timed[each.found] < each.how_often
        )
        for each in batch:
            whole[each.digest].append(each)
        for digest in others:
            whole.pop(digest, None)
    if not whole:
        return []
    known = _numbers(lines(), meant, chain.from_iterable(whole.values()))
    files = sorted(whole.values(), key=lambda file: sum(each.how_often for each in file), reverse=True)
    taken = list(_taken(files, known, timed))
    numbers = [number for some, _ in taken for number in some]
    if len(numbers) == 1 and not taken[0][1]:
        raise _doubtful(next(line for line in lines() if line.number == numbers[0]))
    return numbers


def _doubtful(line: Line) -> InvalidInput:
    return InvalidInput(
        f"line {line.number} has no time and no key, and may be a line of an earlier import, or a new one like it:"
        f" {shown(line.text.rstrip())}; nothing was applied",
        hint="if it is applied already, take it out of the file; if it is new, give it a key, or apply all lines, also"
        " those that are in the ledger, with --duplicates add",
    )


def _taken(
    files: Iterable[Sequence[Earlier]], known: Mapping[tuple[str, str], Sequence[int]], timed: Counter[str]
) -> Iterator[tuple[list[int], int]]:
    """The numbers of lines without a time of each file that is here as a whole, if it has any, and how many lines with
    one it has. A line belongs to one file.
    """
    used: Counter[tuple[str, str]] = Counter()
    rest = timed.copy()
    for file in files:
        with_time = Counter({each.found: min(each.how_often, rest[each.found]) for each in file})
        needed: Counter[tuple[str, str]] = Counter()
        for each in file:
            needed[each.wallet, each.content] += each.how_often - with_time[each.found]
        numbers = [n for what, count in needed.items() for n in known[what][used[what] : used[what] + count]]
        if len(numbers) == needed.total():
            used.update(needed)
            rest.subtract(with_time)
            if numbers:
                yield numbers, with_time.total()


def _numbers(
    lines: Iterable[Line], meant: Mapping[str, str], earlier: Iterable[Earlier]
) -> dict[tuple[str, str], list[int]]:
    """The numbers of lines without a time, by each wallet and content that an earlier import had."""
    known: dict[tuple[str, str], list[int]] = {(each.wallet, each.content): [] for each in earlier}
    for line in lines:
        if "at" in line.fields:
            continue
        name = line.fields.get("wallet")
        wallet = meant.get(name) if type(name) is str else None
        numbers = None if wallet is None else known.get((wallet, _written(line.fields)))
        if numbers is not None:
            numbers.append(line.number)
    return known


def _written(fields: dict[str, Any]) -> str:
    """The `_content` of a line, for any currency; an empty text for a line that will be refused."""
    kind = fields.get("kind")
    if kind not in ("credit", "debit") or not RESTORED.isdisjoint(fields):
        return ""
    try:
        amount = records.amount_text(fields)
    except InvalidInput:
        return ""
    return _content(kind, amount, fields.get("note"))


class LedgerLook:
    """Looks lines up in a ledger, many at once. Lines later than their wallet's last transaction are not looked up,
    unless its time was reset.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._zones: Sequence[tzinfo] = ()
        self._wallets: dict[str, tuple[Wallet, Transaction] | None] = {}
        self._starts: dict[int, list[int]] = {}
        self.ends: dict[str, int] = {}

    def find(self, lines: Sequence[Line], prefix: str) -> Iterator[Found]:
        asked: defaultdict[int, list[tuple[Line, list[Post]]]] = defaultdict(list)
        ends: dict[int, int] = {}
        for line in lines:
            posts, end = self._posts(line)
            if posts:
                asked[posts[0].wallet_id].append((line, posts))
                ends[posts[0].wallet_id] = end
        pairs = [(id_, f"{prefix}{line.number}") for id_, each in asked.items() for line, _ in each]
        own = {(row.wallet_id, row.key) for row in self._ledger.store.keyed(pairs)} if pairs else set()
        for id_, each in asked.items():
            rest = [(line, posts) for line, posts in each if (id_, f"{prefix}{line.number}") not in own]
            yield from self._in_wallet(id_, ends[id_], rest, prefix)

    def _posts(self, line: Line) -> tuple[list[Post], int]:
        """The commands of a line that its wallet could have already, and the last seq of that wallet.

        A time without an offset may have been read in another zone: over HTTP, or before the ledger's was set.
        """
        name = line.fields.get("wallet")
        known = self._account(name) if type(name) is str else None
        if known is None:
            return [], 0
        wallet, last = known
        self._zones = self._zones or (self._ledger.zone_of_times(), *self._ledger.zones())
        posts: dict[int, Post] = {}
        for zone in self._zones:
            try:
                post = records.post(line, wallet, None, zone)
            except WalletError:
                continue  # its line gets an error later, unless another zone has that hour
            if post.at_us is not None and (post.at_us <= last.at_us or len(self._rising(wallet.id, last.seq)) > 1):
                posts[post.at_us] = post
        return list(posts.values()), last.seq

    def _account(self, name: str) -> tuple[Wallet, Transaction] | None:
        """A wallet and its last transaction, as of the first look-up."""
        if name not in self._wallets:
            if len(self._wallets) >= LINES_AT_ONCE * 20:
                self._wallets.clear()
                self._starts.clear()
            try:
                wallet, last, *_ = find_account(self._ledger, parse_wallet(name))
            except WalletError:
                self._wallets[name] = None
                self.ends.setdefault(name, 0)
            else:
                self._wallets[name] = wallet, last
                self.ends.setdefault(name, last.seq)
        return self._wallets[name]

    def _in_wallet(self, id_: int, end: int, lines: Sequence[tuple[Line, list[Post]]], prefix: str) -> Iterator[Found]:
        times = sorted({post.at_us for _, posts in lines for post in posts if post.at_us is not None})
        there = Counter(_dated(row.at_us, row) for row in self._rows_at(id_, end, times) if not _is_own(row, prefix))
        for line, posts in lines:
            content = next((each for post in posts if there[each := _dated(post.at_us, post)]), None)
            if content is not None:
                yield Found(line.number, there[content], f"{id_}/{content}")

    def wallets(self, names: Sequence[str]) -> Iterator[tuple[str, str]]:
        for name in names:
            known = self._account(name)
            if known is not None:
                yield name, format_wallet_id(known[0].id)

    def earlier(self, wallets: Sequence[str], prefix: str) -> Iterator[Earlier]:
        for name in wallets:
            known = self._account(name)
            if known is None:
                continue
            wallet, last = known
            rows = self._ledger.store.newest_first(wallet.id, 1, last.seq, MAX_TIMELESS)
            counted: Counter[tuple[str, str, str]] = Counter()
            for row in rows:
                if _is_imported(row) and not _is_own(row, prefix):
                    kind = "credit" if row.is_credit else "debit"
                    content = _content(kind, format_minor(row.amount, wallet.currency), row.remarks.note)
                    digest = str(row.key).rpartition(":")[0]
                    counted[digest, content, f"{wallet.id}/{_dated(row.at_us, row)}"] += 1
            for (digest, content, found), how_often in counted.items():
                yield Earlier(name, digest, content, how_often, found)

    def applied(self, lines: Sequence[Line], prefix: str) -> Iterator[int]:
        for line in lines:
            name = line.fields.get("wallet")
            known = self._account(name) if type(name) is str else None
            with suppress(InvalidInput):  # its line gets an error later
                key = check_key(records.text(line.fields, "key")) if "key" in line.fields else f"{prefix}{line.number}"
                if known is not None and as_applied(self._ledger, line, known[0], key) is not None:
                    yield line.number

    def region(self) -> str:
        return self._ledger.settings.phone_region

    def _rows_at(self, id_: int, last: int, times: Sequence[int]) -> Iterator[Transaction]:
        """The transactions of a wallet at these moments."""
        starts = self._rising(id_, last)
        for start, following in zip(starts, (*starts[1:], last + 1), strict=True):
            yield from self._rising_at(id_, start, following - 1, times)

    def _rising(self, id_: int, last: int) -> list[int]:
        """From which transactions of a wallet on times rise: its first, and each that reset its time."""
        if id_ not in self._starts:
            store = self._ledger.store
            resets = store.all_resets(id_, id_) if store.resets(id_) else []
            self._starts[id_] = [1, *(seq for _, seq, _ in resets if 1 < seq <= last)]
        return self._starts[id_]

    def _rising_at(self, id_: int, first: int, last: int, times: Sequence[int]) -> Iterator[Transaction]:
        """The same of transactions whose times rise: found by search, then read in sequence while they are close."""
        store, index = self._ledger.store, 0
        while index < len(times):
            seq = max(store.last_seq_before(id_, last, times[index]), first - 1)
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


def check_newer(added: Iterable[tuple[Line, Transaction]], newer: Iterable[Transaction], prefix: str) -> bool:
    """Whether all transactions that a wallet has had since the file was looked at are of this file. Raises Busy if one
    of others is what a line without a key has now added again.
    """
    others = {
        each
        for row in newer
        if not _is_own(row, prefix)
        for each in (_dated(row.at_us, row), _undated(row) if _is_imported(row) else "")
    }
    for line, made in added if others else ():
        same = _dated(made.at_us, made) if "at" in line.fields else _undated(made)
        if same in others and line.fields.keys().isdisjoint(_KEYED):
            raise Busy(
                f"what line {line.number} says has come into the ledger since this file was looked at",
                hint="import it again: it is looked at again, and no line of it is applied twice",
            )
    return not others


def as_applied(ledger: Ledger, line: Line, wallet: Wallet, key: str) -> Post | None:
    """The command of a line that was applied with this key when its time was read in another zone of the ledger."""
    for prior in ledger.store.keyed([(wallet.id, key)]):
        for zone in ledger.zones():
            with suppress(InvalidInput):
                post = records.post(line, wallet, key, zone)
                if post.at_us == prior.at_us and not prior.user_key:
                    return post
    return None


def _is_imported(row: Transaction) -> bool:
    """Whether a line without a key made a transaction."""
    return row.key is not None and row.key.startswith(KEY_START)


def _is_own(row: Transaction, prefix: str) -> bool:
    """Whether this file made a transaction."""
    return bool(prefix) and row.key is not None and row.key.startswith(prefix)


def _dated(at_us: int | None, what: Transaction | Post) -> str:
    return f"{at_us}/{_undated(what)}"


def _undated(what: Transaction | Post) -> str:
    return _content("credit" if what.is_credit else "debit", str(what.amount), what.remarks.note)


def _content(kind: str, amount: str, note: object) -> str:
    """Equal for two equal lines of a wallet. What saving a file may change in a note is ignored: line ends, how accents
    are spelt, and what nobody sees at its ends.
    """
    if "." in amount:
        amount = amount.rstrip("0").rstrip(".")
    amount = amount.lstrip("0")
    spaced = " ".join(normalize("NFC", note).strip(ENDS).split()) if isinstance(note, str) else ""
    return f"{kind[0]}{amount}/{blake2b(spaced.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"
