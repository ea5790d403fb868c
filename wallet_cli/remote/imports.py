"""Importing over a server: the file is read here, and its lines are sent in parts.

Line numbers, keys (the digest of the whole file and the number) and sums are those of the file, whatever the parts are.
So an import that began here can continue on the server's machine, and the other way round. A part may be sent again,
like each line; the work of a try whose answer was lost then counts as replayed.

An atomic import, and a dry run, are one turn of the server, and so one part: a larger file is refused.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO, NotRequired, TypedDict

from wallet_cli.errors import InvalidInput, WalletError
from wallet_cli.import_export import imports
from wallet_cli.import_export.imports import Job, Options, Report
from wallet_cli.import_export.imports.checking import Earlier, Found, How, Looked, look
from wallet_cli.import_export.imports.reading import Fraction, Line
from wallet_cli.operations import fields
from wallet_cli.operations.answers import Answer
from wallet_cli.remote.client import IN_LEDGERS_ZONE, Client, zone_of_times
from wallet_cli.remote.failures import error_of
from wallet_cli.remote.http import NO_QUERY, Query

PART_TYPE = "application/x-ndjson"
PART_LINES = imports.BATCH_LINES
PART_BYTES = 1024 * 1024
WHOLE_BYTES = 7 * 1024 * 1024
"""A server accepts at most 8 MiB at once, with the head before the lines."""

TIMES = ("at", "created_at", "expires_at", "ended_at")

Refused = tuple[Line, WalletError]


def run(ledger: Client, source: BinaryIO, job: Job) -> Answer:
    options = job.options
    with ExitStack() as stack:
        how = How(job.name, job.dialect, ledger.zone, time.time_ns() // 1000, options.duplicates, options.sort)
        looked = look(stack, source, how, RemoteLook(ledger), job.decide, job.tell)
        reading = RemoteRun(ledger, looked, options, job.report, job.before_commit)
        with reading.telling_how_far():
            reading.read(job.progress)
            reading.flush()
            reading.check_ended()
            reading.flush()
        return reading.summary()


class _Found(TypedDict):
    ends: NotRequired[dict[str, int]]


class FoundLines(_Found):
    """What of a PartResult is there with `find` for lines."""

    found: list[tuple[int, int, str]]


class FoundWallets(_Found):
    found: list[tuple[int, str]]


class FoundEarlier(_Found):
    found: list[fields.EarlierLines]


class FoundApplied(_Found):
    found: list[tuple[int]]


FOUND = {"lines": FoundLines, "wallets": FoundWallets, "earlier": FoundEarlier, "applied": FoundApplied}


class RemoteLook:
    """The server looks lines up; fields on which the answer does not depend are not sent."""

    def __init__(self, ledger: Client) -> None:
        self._ledger = ledger
        self.ends: dict[str, int] = {}

    def find(self, lines: Sequence[Line], prefix: str) -> Iterator[Found]:
        written: list[bytes] = []
        numbers: list[int] = []
        size = 0
        query = _zone_of_times(lines)
        for line in lines:
            part = _written(line._replace(fields={name: line.fields[name] for name in COMPARED if name in line.fields}))
            if size + len(part) > PART_BYTES:
                yield from self._found(numbers, written, prefix, query)
                written, numbers, size = [], [], 0
            size += len(part)
            written.append(part)
            numbers.append(line.number)
        yield from self._found(numbers, written, prefix, query)

    def wallets(self, names: Sequence[str]) -> Iterator[tuple[str, str]]:
        asked = dict(enumerate(names, 1))
        for number, wallet, *_ in self._named("wallets", names, ""):
            if number in asked:
                yield asked[number], wallet

    def earlier(self, wallets: Sequence[str], prefix: str) -> Iterator[Earlier]:
        for each in self._named("earlier", wallets, prefix):
            yield Earlier(*(each[name] for name in Earlier._fields))

    def applied(self, lines: Sequence[Line], prefix: str) -> Iterator[int]:
        for line in lines:  # few: those in the hours in which the clocks are changed
            for number, *_ in self._ask("applied", [line.number], [_written(line)], prefix, _zone_of_times([line])):
                yield number

    def region(self) -> str | None:
        return self._ledger.region or self._ledger.told["phone_region"]

    def _named(self, what: str, names: Sequence[str], prefix: str) -> Any:
        lines = [f"{json.dumps({'wallet': name})}\n".encode() for name in names]
        return self._ask(what, list(range(1, len(lines) + 1)), lines, prefix, NO_QUERY)

    def _found(self, numbers: Sequence[int], lines: Sequence[bytes], prefix: str, query: Query) -> Iterator[Found]:
        if numbers:
            yield from (Found(*each[:3]) for each in self._ask("lines", numbers, lines, prefix, query))

    def _ask(self, what: str, numbers: Sequence[int], lines: Sequence[bytes], prefix: str, query: Query) -> Any:
        told = {"numbers": numbers, "prefix": prefix, "find": what, "phone_region": self._ledger.region}
        head = json.dumps({name: value for name, value in told.items() if value is not None}).encode("ascii")
        content = b"".join([head, b"\n", *lines])
        answer = self._ledger.server.send("/import/part", FOUND[what], content, PART_TYPE, query, reads=True)
        for name, end in answer.get("ends", {}).items():
            self.ends.setdefault(name, end)
        return answer["found"]


COMPARED = ("wallet", "amount", "kind", "at", "note")


class RemoteRun(imports.ImportRun):
    """An import in which this side reads the lines and counts the results, and the server does the rest."""

    def __init__(
        self, ledger: Client, looked: Looked, options: Options, report: Report, before_commit: Callable[[], None]
    ) -> None:
        super().__init__(ledger.zone, looked, options, report)
        self._before_commit = before_commit
        self._sending = 0
        self._server = ledger.server
        self._zone_of_times = IN_LEDGERS_ZONE if looked.has_local_times else NO_QUERY
        """From the first part on, so that a server that does not know it refuses the file before anything is in."""
        self._whole = options.dry_run or options.atomic
        self._told: dict[str, Any] = {
            "create": options.create,
            "dry_run": options.dry_run,
            "atomic": options.atomic,
            "phone_region": ledger.region,
            "currency": ledger.settings.given("currency"),
        }
        self._waiting: list[Line | Refused] = []
        self._written: list[bytes] = []
        """The waiting lines, in the form in which they are sent."""
        self._size = 0

    def _works(self) -> dict[str, imports.Work]:
        return dict.fromkeys(("transaction", "user", "wallet", "hold", "state", "event"), self._keep)

    def _end_restore(self, line: Line) -> None:
        """The end is sent after everything before it."""
        self._keep([line])

    def take_settings(self, settings: Mapping[str, str | None]) -> None:
        """The settings go with each part: a ledger accepts them while it is empty."""
        self._told["ledger"] = {name: value for name, value in settings.items() if value is not None}

    def _keep(self, batch: Sequence[Line]) -> None:
        for line in batch:
            written = _written(line)
            if self._size + len(written) > self._most_bytes or len(self._written) >= self._most_lines:
                self._make_room()
            self._waiting.append(line)
            self._written.append(written)
            self._size += len(written)

    @property
    def unsent(self) -> int:
        return len(self._waiting) + self._sending

    @property
    def _most_bytes(self) -> int:
        return WHOLE_BYTES if self._whole else PART_BYTES

    @property
    def _most_lines(self) -> float:
        return float("inf") if self._whole else PART_LINES

    def _make_room(self) -> None:
        if self._whole:
            raise InvalidInput(
                f"over a server, --atomic and --dry-run take files of at most {WHOLE_BYTES // 2**20} MiB",
                hint="leave them out: then the file is sent in parts, and each line is applied only once",
            )
        self.flush()

    def _refuse(self, line: Line, error: WalletError) -> None:
        """Lines refused here are reported in order, among those that the server refuses."""
        self._waiting.append((line, error))
        if not self._whole and len(self._waiting) > 2 * PART_LINES:
            self.flush()

    def flush(self) -> None:
        """Send the waiting lines, and report the refused ones, in the order of the file."""
        waiting, lines = self._waiting, self._written
        self._sending = len(waiting)
        self._waiting, self._written, self._size = [], [], 0
        sent = {each.number: each for each in waiting if isinstance(each, Line)}
        refused: dict[int, Refused] = {each[0].number: each for each in waiting if not isinstance(each, Line)}
        if sent:
            answer = self._send(sent, lines, refused=self.refused > 0 or bool(refused))
            for each in answer["rejects"]:
                line = sent[each["line"]]
                refused[line.number] = (line, error_of(400, each, self._server.url))
            self._add(answer)
        for each in waiting:  # in the order in which lines are applied
            number = each.number if isinstance(each, Line) else each[0].number
            if number in refused:
                super()._refuse(*refused[number])
        self._sending = 0

    def _send(self, sent: dict[int, Line], lines: list[bytes], *, refused: bool) -> Answer:
        names = {line.fields.get("wallet") for line in sent.values()}
        head = self._told | {
            "numbers": list(sent),
            "prefix": self._prefix_for(sent.values()),
            "broken": [name for name in names if isinstance(name, str) and name in self.broken],
            "refused": refused,
            "ends": {name: self.looked_to[name] for name in names if name in self.looked_to} or None,
        }
        first = json.dumps({name: value for name, value in head.items() if value is not None}).encode("ascii")
        self._before_commit()
        answer: Answer = self._server.send(
            "/import/part",
            fields.PartResult,
            b"".join([first, b"\n", *lines]),
            PART_TYPE,
            self._zone_of_times or _zone_of_times(sent.values()),
        )
        return answer

    def _prefix_for(self, lines: Iterable[Line]) -> str:
        """The digest of the file is computed when a line needs it for its key."""
        needed = any(line.record == "transaction" and line.fields.keys().isdisjoint({"key", "id"}) for line in lines)
        return self._prefix or (self._make_prefix() if needed else "")

    def _add(self, answer: Answer) -> None:
        self.applied += answer["applied"]
        self.replayed += answer["replayed"]
        self.users_created += answer["users_created"]
        self.wallets_created += answer["wallets_created"]
        self.broken.update(answer["broken"])
        self.looked_to |= answer.get("ends", {})


def _zone_of_times(lines: Iterable[Line]) -> Query:
    """What is said of the times of lines."""
    return zone_of_times(at for line in lines for name in TIMES if isinstance(at := line.fields.get(name), str))


def _written(line: Line) -> bytes:
    """A line as it is sent: JSON."""
    fields: dict[str, Any] = {"record": line.record} | line.fields
    try:
        return f"{json_of(fields)}\n".encode()
    except UnicodeEncodeError:  # half of a surrogate pair: the server reports the error
        return f"{json_of(fields, ascii_only=True)}\n".encode()


def json_of(value: Any, *, ascii_only: bool = False) -> str:
    """JSON text of a line from imports/reading.py: a Fraction as its original number."""
    return "".join(_json_parts(value, ascii_only))


def _json_parts(value: Any, ascii_only: bool) -> Iterator[str]:
    if isinstance(value, Fraction):
        yield value.text
    elif isinstance(value, dict):
        separator = "{"
        for name, inner in value.items():
            yield separator + json.dumps(name, ensure_ascii=ascii_only) + ":"
            yield from _json_parts(inner, ascii_only)
            separator = ","
        yield "}" if value else "{}"
    elif isinstance(value, list):
        separator = "["
        for inner in value:
            yield separator
            yield from _json_parts(inner, ascii_only)
            separator = ","
        yield "]" if value else "[]"
    else:
        yield json.dumps(value, ensure_ascii=ascii_only)
