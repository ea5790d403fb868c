"""A day's business (support/business.py) over HTTP to several servers at once, and in terminals beside them.

What is asked, and how the answers are remembered, is the same; here it goes to one server or the other, as single
requests and as batches, or to the command line. All go by the real clock, so holds that are to lapse last a second.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pickle
import select
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from support import business, cli, processes
from support.auditor import Auditor
from support.business import USER, Plan, Report, Writer, of_answer, optional, text
from support.load import Address, Answer, Connection

from wallet_cli import settings
from wallet_cli.domain.commands import CaptureHold, PlaceHold, Post, Reverse, Single, Transfer, VoidHold
from wallet_cli.domain.ids import format_hold_id, format_transaction_id
from wallet_cli.domain.purpose import Purpose
from wallet_cli.operations.context import Ledger, open_ledger

API = "/api/v1"
CLIENTS = 2
"""Processes that speak HTTP; each has so many connections to every server."""
CONNECTIONS = 8
TERMINALS = 3
TERMINALS_PART = 60
"""One operation in so many is made in each terminal: a command line takes longer than a request."""
MAX_IDLE_S = 2.0
BATCH_SHARE, BATCH_SIZES = 0.06, (10, 60)
LIVES_S = ((1, 1), (600, 40_000))
AT_FAULT = frozenset({"busy", "storage_error", "internal_error"})
"""What nobody is to be answered."""

Ask = tuple[str, dict[str, Any], str | None]
"""A path, a body and a key."""


class Day(NamedTuple):
    """How much is to happen, and the servers' addresses."""

    operations: int
    addresses: tuple[Address, ...]


def real_clock() -> int:
    return time.time_ns() // 1000


class RealWriter(Writer):
    """A writer by the real clock, with no ledger of its own."""

    def __init__(self, plan: Plan, number: int) -> None:
        nothing: Any = None
        super().__init__(plan, number, nothing)

    def post(self, key: str | None) -> Single:
        """As much out as in: most operations here are these, and wallets are to run dry."""
        return Post(self.wallet(), self.random.random() < 0.5, self.amount(), key=key)

    def part(self) -> int | None:
        """As likely too much as not: most operations here are batches, which leaves few others to be refused."""
        return None if self.random.random() < 0.4 else self.random.randint(1, business.MAX_AMOUNT)

    def hold(self, key: str | None) -> Single:
        lives = self.random.choices(LIVES_S, [30, 70])[0]
        return PlaceHold(self.wallet(), self.amount(), self.random.randint(*lives) * 1_000_000, None, key)

    def answered_with(self, command: Single, data: dict[str, Any]) -> None:
        self.told(command, of_answer(data))

    def refused_with(self, command: Single, code: str, message: str) -> None:
        self.report.operations[type(command).__name__] += 1
        self.report.refused[code] += 1
        if code in AT_FAULT:
            self.complain(f"{code}: {message}")


# Over HTTP.


class Caller(RealWriter):
    """One who sends requests, one after the other, to whichever server."""

    def __init__(self, plan: Plan, number: int) -> None:
        super().__init__(plan, number)
        self.connections: dict[Address, tuple[Connection, float]] = {}
        """And when it was asked last."""

    async def call(self, servers: Sequence[Address], operations: int) -> Report:
        left = operations
        while left:
            connection = await self._connection(self.random.choice(servers))
            if self.random.random() < BATCH_SHARE:
                left -= await self._batch(connection, min(left, self.random.randint(*BATCH_SIZES)))
                continue
            command = self.draw()
            left -= 1
            path, body, key = request_of(command)
            self._heard(command, await connection.post(API + path, body, key))
        for connection, _ in self.connections.values():
            await connection.close()
        return self.report

    async def _connection(self, server: Address) -> Connection:
        """One that the server has not had time to find idle."""
        connection, used_s = self.connections.get(server, (None, 0.0))
        if connection is not None and time.monotonic() - used_s > MAX_IDLE_S:
            await connection.close()
            connection = None
        while connection is None:
            with suppress(TimeoutError):  # on a busy machine; nothing was asked yet
                connection = await Connection.open(server)
        self.connections[server] = connection, time.monotonic()
        return connection

    async def _batch(self, connection: Connection, size: int) -> int:
        """Many credits and debits in one request; how many."""
        commands = []
        for _ in range(size):
            self.sent += 1
            commands.append(self.post(f"w{self.number}-{self.sent}" if self.random.random() < 0.2 else None))
        items = []
        for command in commands:
            _, body, key = request_of(command)
            items.append(body | ({} if key is None else {"key": key}))
        answer = await connection.post(f"{API}/transactions/batch", {"transactions": items})
        if answer.status != 200:
            self.complain(f"{answer}")
            return size
        for command, item in zip(commands, answer.body["data"]["results"], strict=True):
            self._heard(command, Answer(item["status"], {}, item))
        return size

    def _heard(self, command: Single, answer: Answer) -> None:
        if answer.status in (200, 201):
            self.answered_with(command, answer.body["data"])
        else:
            self.refused_with(command, answer.body["code"], answer.body["message"])


def request_of(command: Single) -> Ask:
    """The request that asks for a command."""

    def wallet(id_: int, prefix: str = "") -> dict[str, Any]:
        return {f"{prefix}user_id": USER, f"{prefix}wallet_id": id_}

    match command:
        case Post(wallet_id, is_credit, amount, _, key):
            return "/transactions/create", wallet(wallet_id) | {"amount": text(amount), "is_credit": is_credit}, key
        case Transfer(source, target, amount, _, key):
            return "/transfers/create", wallet(source) | wallet(target, "to_") | {"amount": text(amount)}, key
        case Reverse(wallet_id, seq, part, _, key, force):
            name = format_transaction_id(wallet_id, seq)
            return "/transactions/reverse", {"transaction": name, "amount": optional(part), "force": force}, key
        case PlaceHold(wallet_id, amount, lasts_us, _, key):
            lasts = f"{lasts_us // 1_000_000}s"
            return "/holds/create", wallet(wallet_id) | {"amount": text(amount), "expires": lasts}, key
        case CaptureHold(wallet_id, number, part, keep, _, key):
            name = format_hold_id(wallet_id, number)
            return "/holds/capture", {"hold": name, "amount": optional(part), "keep": keep}, key
        case VoidHold(wallet_id, number):
            return "/holds/void", {"hold": format_hold_id(wallet_id, number)}, None
    raise AssertionError(command)


# In a terminal.


class Terminal(RealWriter):
    """One who types commands, one after the other."""

    def type_all(self, operations: int) -> Report:
        for _ in range(operations):
            command = self.draw()
            done = cli.run([*line_of(command), "--json"])
            if done.code == 0:
                self.answered_with(command, done.json)
            elif done.err.startswith("{"):
                self.refused_with(command, done.error["code"], done.error["message"])
            else:
                self.complain(f"exit {done.code}: {done.err}")
        return self.report


def line_of(command: Single) -> list[str]:
    """The command line that asks for a command."""

    def wallet(id_: int) -> str:
        return f"{USER}/w{id_}"

    def given(option: str, value: str | None) -> list[str]:
        return [] if value is None else [option, value]

    def part(amount: int | None) -> list[str]:
        return [] if amount is None else [text(amount)]

    match command:
        case Post(wallet_id, is_credit, amount, _, key):
            way = "--credit" if is_credit else "--debit"
            return ["tx", "add", wallet(wallet_id), text(amount), way, *given("--key", key)]
        case Transfer(source, target, amount, _, key):
            return ["transfer", wallet(source), wallet(target), text(amount), *given("--key", key)]
        case Reverse(wallet_id, seq, amount_, _, key, force):
            name = format_transaction_id(wallet_id, seq)
            forced = ["--force"] if force else []
            return ["tx", "reverse", name, *part(amount_), *forced, *given("--key", key)]
        case PlaceHold(wallet_id, amount, lasts_us, _, key):
            lasts = f"{lasts_us // 1_000_000}s"
            return ["hold", "add", wallet(wallet_id), text(amount), "--expires", lasts, *given("--key", key)]
        case CaptureHold(wallet_id, number, amount_, keep, _, key):
            kept = ["--keep"] if keep else []
            return ["hold", "capture", format_hold_id(wallet_id, number), *part(amount_), *kept, *given("--key", key)]
        case VoidHold(wallet_id, number):
            return ["hold", "void", format_hold_id(wallet_id, number)]
    raise AssertionError(command)


# The run.


def opened() -> AbstractContextManager[Ledger]:
    """The ledger that the environment names."""
    return open_ledger(settings.load({}), lambda _: None, purpose=Purpose.MAKE)


def day(folder: Path, plan: Plan, asked: Day) -> tuple[business.Outcome, list[str]]:
    """For `alone`: open the wallets, let everybody loose on them, and audit; what happened, and what is wrong."""
    with opened() as ledger:
        business.prepare(ledger, plan, real_clock)
    outcome = run(folder, plan, asked)
    with opened() as ledger:
        return outcome, business.problems(ledger, plan, outcome)


def run(folder: Path, plan: Plan, asked: Day) -> business.Outcome:
    """All callers, all terminals and an auditor, in processes of their own, until the callers have ended."""
    numbers = itertools.count()
    in_terminals = asked.operations // TERMINALS_PART
    callers = [[next(numbers) for _ in range(CONNECTIONS)] for _ in range(CLIENTS)]
    terminals = [next(numbers) for _ in range(TERMINALS)]
    shares = _shares(asked.operations - in_terminals * TERMINALS, CLIENTS * CONNECTIONS)
    watching, done = os.pipe()

    def client(mine: Sequence[int]) -> Callable[[], None]:
        async def call_all() -> list[Report]:
            calls = (Caller(plan, number).call(asked.addresses, shares[number]) for number in mine)
            return list(await asyncio.gather(*calls))

        def call() -> None:
            os.close(done)
            business.leave(folder / f"writers-{mine[0]}", asyncio.run(call_all()))

        return call

    def terminal(number: int) -> Callable[[], None]:
        def type_() -> None:
            os.close(done)
            os.environ["WALLET_DB"] += "&application_name=terminal"
            business.leave(folder / f"writers-{number}", [Terminal(plan, number).type_all(in_terminals)])

        return type_

    def look() -> None:
        os.close(done)
        auditor = Auditor()
        with opened() as ledger:
            # `done` is closed when all writers have ended.
            while not select.select([watching], [], [], plan.read_every_s)[0]:
                auditor.look(ledger)
            auditor.look(ledger)
        business.leave(folder / "reader", (auditor.snapshots, auditor.found))

    begun_s = time.perf_counter()
    reader = processes.fork(look)
    processes.race([*map(client, callers), *map(terminal, terminals)])
    seconds = time.perf_counter() - begun_s
    os.close(done)
    processes.join([reader])
    os.close(watching)
    snapshots, found = pickle.loads((folder / "reader").read_bytes())
    reports = [each for path in sorted(folder.glob("writers-*")) for each in pickle.loads(path.read_bytes())]
    return business.Outcome(reports, snapshots, [f"reader: {each}" for each in found], seconds)


def _shares(total: int, parts: int) -> list[int]:
    return [total // parts + (number < total % parts) for number in range(parts)]
