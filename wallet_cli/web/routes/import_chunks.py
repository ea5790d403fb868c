"""A part of a file that is imported remotely: the client keeps the line numbers, keys and sums.

The first line of a part describes it (requests.PartHead); the others are lines of an import, as JSON.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from io import BytesIO
from typing import Any

from wallet_cli.domain.ids import check_key
from wallet_cli.errors import InvalidInput, WalletError
from wallet_cli.import_export import imports
from wallet_cli.import_export.imports import records
from wallet_cli.import_export.imports.checking import WALLETS_AT_ONCE, LedgerLook, Looked
from wallet_cli.import_export.imports.reading import Line, read_lines
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger, as_told
from wallet_cli.web.messages import Reply
from wallet_cli.web.requests import MAX_BATCH_BYTES, PartHead, decode
from wallet_cli.web.routes.call import Call, timed
from wallet_cli.web.routes.import_export import Import
from wallet_cli.web.server_state import ServerState

PART_TYPE = "application/x-ndjson"
NAME = "part.jsonl"
"""Tells the form of a part, like a file name."""

MAX_HEAD_BYTES = 2 * 1024 * 1024
MAX_HEAD_VALUES = 250_000
"""More numbers than the rest of the largest body has lines that say anything."""


async def import_part(server: ServerState, call: Call) -> Reply:
    given = call.query("times")
    call.no_key("a part of an import", "lines")
    _, body = await call.file((PART_TYPE,), MAX_BATCH_BYTES)
    codes: Counter[str] = Counter()

    def work(ledger: Ledger) -> Answer:
        part = Part(server, *read_part(body), given)
        answer = part.run(ledger)
        codes.update(part.codes)
        return answer

    with server.importing():
        answer = await server.write_apart(work, call.caller)
    for code, times in codes.items():
        server.metrics.refused(code, times)
    return Reply(200, "part done", answer)


def read_part(body: bytes) -> tuple[PartHead, bytes]:
    """The head of a part, and its lines. Raises InvalidInput.

    It is bounded before it is read: while it is, no other thread has the interpreter.
    """
    first, _, lines = body.partition(b"\n")
    if len(first) > MAX_HEAD_BYTES or first.count(b",") >= MAX_HEAD_VALUES:
        raise InvalidInput("the head of the part has too many values", hint="send fewer lines at once")
    head = decode(first, PartHead, bounded=False)
    if not lines.endswith(b"\n") or lines.count(b"\n") != len(head.numbers):
        raise InvalidInput("the numbers do not match the lines", hint="send one number for each complete line")
    head.prefix = check_key(head.prefix + "1")[:-1]
    return head, lines


class Part(Import):
    """One running part, in its thread."""

    def __init__(self, server: ServerState, head: PartHead, lines: bytes, given: dict[str, str]) -> None:
        super().__init__(server, imports.Options(head.create, head.dry_run, head.atomic), lines, NAME)
        self._head = head
        self._given = given

    def run(self, ledger: Ledger) -> Answer:
        """The results of the lines, counted as if nothing had been undone, and each refused line."""
        head = self._head
        told = timed(as_told(ledger, phone_region=head.phone_region, currency=head.currency), self._given)
        source = BytesIO(self._body)
        lines = (line._replace(number=head.numbers[line.number - 1]) for line in read_lines(source, self._name))

        if head.find is not None:
            nothing: Answer = dict.fromkeys(COUNTED, 0) | {"broken": [], "rejects": []}
            look = LedgerLook(told)
            return nothing | {"found": self._found(look, list(lines)), "ends": look.ends}

        def read(carry_out: imports.CarryOut) -> imports.Run:
            looked = Looked(lines, source, source.tell(), head.prefix, ends=head.ends)
            run = imports.Run(told, looked, self._options, self._report, carry_out, head.broken, head.refused)
            self._take_settings(run)
            run.read(lambda done: self._check_time(ledger) if done < len(self._body) else None)
            return run

        with ledger.store.many_batches():
            if not self._options.dry_run and not self._options.atomic:
                run = read(partial(ledger.executor.run, name="import"))
            else:
                with ledger.executor.turn("import") as turn:
                    run = read(turn.carry_out)
                    if self._options.dry_run or head.refused or run.refused:
                        turn.abandon()
        counted = {name: getattr(run, name) for name in COUNTED}
        return counted | {"broken": sorted(run.broken), "ends": run.looked_to, "rejects": self.rejects}

    def _found(self, look: LedgerLook, lines: list[Line]) -> list[Any]:
        """What the ledger has of the lines, or of their wallets, in the forms of fields.PartResult."""
        if self._head.find == "lines":
            return [list(each) for each in look.find(lines, self._head.prefix)]
        if self._head.find == "applied":
            return [[number] for number in look.applied(lines, self._head.prefix)]
        numbers = {line.fields["wallet"]: line.number for line in lines if isinstance(line.fields.get("wallet"), str)}
        if self._head.find == "wallets":
            return [[numbers[name], wallet] for name, wallet in look.wallets(list(numbers))]
        return [each._asdict() for each in look.earlier(list(numbers)[:WALLETS_AT_ONCE], self._head.prefix)]

    def _take_settings(self, run: imports.Run) -> None:
        settings = records.ledger_settings(dict(self._head.ledger or {}))
        if settings is not None:
            run.take_settings(settings)

    def _report(self, line: int, error: WalletError, _text: str) -> None:
        """Lists all refused lines: a part has few."""
        self.codes[error.code] += 1
        self.rejects.append({"line": line} | error.as_json())


COUNTED = ("applied", "replayed", "refused", "users_created", "wallets_created")
