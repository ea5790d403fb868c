"""Terminals and servers on the same wallets at once: an order explains every answer, of reads and refusals too.

Clients transfer, hold, capture and read between two wallets, in processes of their own: terminals, each of whose
commands opens the ledger, and callers of two servers. What each was answered, and when, is a history, for which an
order has to be found (linear.py). Some commands are killed, some connections dropped: those may have happened, or not.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import multiprocessing
import os
import random
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from faults.linear import (
    BREAKS,
    NEVER_NS,
    NOT_OPEN,
    NOT_THERE,
    REFUSED,
    Event,
    Operation,
    Result,
    State,
    Wallet,
    order_of,
)
from support import engines, processes
from support.engines import Address, Engine
from support.figures import figure
from support.server import Server
from support.sizes import size

from wallet_cli import settings
from wallet_cli.domain.ids import HoldId, parse_wallet
from wallet_cli.engine.write_lock import WriteLock
from wallet_cli.errors import HoldNotFound, HoldNotOpen, InsufficientFunds
from wallet_cli.operations import holds, transactions, wallets
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger, open_ledger

HISTORIES = {"file": size(6, 700), "postgres": size(4, 300)}
BROKEN = {"file": size(10, 150), "postgres": size(5, 50)}
"""By engine."""
CLIENTS = 6
OPERATIONS_EACH = 5
KILLED_EVERY = 3
"""In every so-manieth history, commands are killed and connections dropped."""
OPENING_MINOR = 1000
START: State = (Wallet(1, OPENING_MINOR), Wallet(1, OPENING_MINOR))
BARRIER_S = 120
ENDED = {"hold_not_open": NOT_OPEN, "hold_not_found": NOT_THERE}
"""Refusals of a hold that a client was told of. That it is not there is explained by no order."""

MAX_SPIN_S = 0.004
"""A command takes about this long, so that a kill may fall anywhere in it."""


class Place(NamedTuple):
    """The two wallets of a history: they are user 1's, with these ids."""

    number: int
    ids: tuple[int, int]

    def name(self, wallet: int) -> str:
        return f"1/h{self.number}-{wallet}"


def minor(amount: str) -> int:
    return int(amount.replace(".", ""))


def text(amount: int) -> str:
    return f"{amount // 100}.{amount % 100:02}"


# Clients. Each returns the result of an operation; None where nobody saw it.


class Terminal:
    """Opens the ledger for each command. With `killed`, the command is a process that may be killed in the middle."""

    def __init__(self, drawn: random.Random) -> None:
        self.drawn = drawn

    def do(self, place: Place, operation: Operation, *, killed: bool) -> Result | None:
        if not killed:
            return in_process(place, operation)
        reader, pipe = os.pipe()
        pid = processes.fork(lambda: _tell(pipe, in_process(place, operation)))
        os.close(pipe)
        select.select([reader], [], [], self.drawn.random() * MAX_SPIN_S)
        os.kill(pid, signal.SIGKILL)
        processes.reap(pid)
        with os.fdopen(reader) as file:
            told = file.read()
        return tuple(json.loads(told)) if told else None

    def close(self) -> None:
        """There is nothing to close."""


def _tell(pipe: int, result: Result) -> None:
    os.write(pipe, json.dumps(result).encode())


def in_process(place: Place, operation: Operation) -> Result:
    with open_ledger(settings.load({}), lambda _: None) as ledger:
        return answered(ledger, place, operation)


def answered(ledger: Ledger, place: Place, operation: Operation) -> Result:
    """Carry out an operation by the services, and read the answer."""
    kind, at, amount, hold = operation
    wallet = parse_wallet(place.name(at))
    try:
        match kind:
            case "read":
                return _read(wallets.balance(ledger, wallet))
            case "credit" | "debit":
                return _posted(
                    ledger.run(transactions.add(ledger, wallet, text(amount), is_credit=kind == "credit"), "tx add")
                )
            case "transfer":
                other = parse_wallet(place.name(1 - at))
                done = ledger.run(transactions.transfer(ledger, wallet, other, text(amount)), "transfer")
                return (*_posted(done["debit"]), *_posted(done["credit"]))
            case "hold":
                return _placed(ledger.run(holds.add(ledger, wallet, text(amount)), "hold add"))
            case "capture":
                return _posted(ledger.run(holds.capture(ledger, HoldId(place.ids[at], hold)), "hold capture"))
        return _placed(ledger.run(holds.void(ledger, HoldId(place.ids[at], hold)), "hold void"))
    except InsufficientFunds as error:
        return _refused(error.details)
    except HoldNotOpen:
        return (NOT_OPEN,)
    except HoldNotFound:
        return (NOT_THERE,)


def _read(answer: Answer) -> Result:
    return (answer["transactions"], minor(answer["balance"]), minor(answer["held"]))


def _posted(answer: Answer) -> Result:
    return (answer["seq"], minor(answer["balance"]))


def _placed(answer: Answer) -> Result:
    return (int(answer["id"].partition("-h")[2]),)


def _refused(details: Any) -> Result:
    return (REFUSED, minor(details["balance"]), minor(details["available"]))


class Caller:
    """Calls a server. With `killed`, the connection ends when the request is out."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.connection = http.client.HTTPConnection(*address, timeout=60)

    def do(self, place: Place, operation: Operation, *, killed: bool) -> Result | None:
        kind, at, amount, hold = operation
        ids: dict[str, Any] = {"user_id": 1, "wallet_id": place.ids[at]}
        if kind == "read":
            return self._call("GET", f"/wallet/get/{place.name(at)}", {}, _read, killed)
        if kind in ("capture", "void"):
            body = {"hold": f"{place.ids[at]}-h{hold}"}
            return self._call("POST", f"/holds/{kind}", body, _posted if kind == "capture" else _placed, killed)
        ids["amount"] = text(amount)
        if kind == "hold":
            return self._call("POST", "/holds/create", ids, _placed, killed)
        if kind == "transfer":
            ids |= {"to_user_id": 1, "to_wallet_id": place.ids[1 - at]}
            return self._call("POST", "/transfers/create", ids, _both, killed)
        ids["is_credit"] = kind == "credit"
        return self._call("POST", "/transactions/create", ids, _posted, killed)

    def _call(
        self, method: str, path: str, body: dict[str, Any], read: Callable[[Answer], Result], killed: bool
    ) -> Result | None:
        data = json.dumps(body) if body else None
        self.connection.request(method, f"/api/v1{path}", data, {"Content-Type": "application/json"} if data else {})
        if killed:
            self.connection.close()
            return None
        answer = self.connection.getresponse()
        said = json.loads(answer.read())
        if answer.status < 300:
            return read(said["data"])
        if said["code"] in ENDED:
            return (ENDED[said["code"]],)
        assert said["code"] == "insufficient_funds", said
        return _refused(said["details"])

    def close(self) -> None:
        self.connection.close()


def _both(answer: Answer) -> Result:
    return (*_posted(answer["debit"]), *_posted(answer["credit"]))


def operations(drawn: random.Random, amounts: Iterator[int], placed: Sequence[tuple[int, int]]) -> Operation:
    """The next operation of a client, given the holds (a wallet and a number each) that it was told of."""
    wallet = drawn.randrange(2)
    kind = drawn.choices(["credit", "debit", "transfer", "hold", "end", "read"], [2, 3, 3, 2, 3, 4])[0]
    if kind == "end" and placed:
        wallet, number = drawn.choice(placed)
        return Operation(drawn.choice(("capture", "void")), wallet, hold=number)
    if kind in ("end", "read"):
        return Operation("read", wallet)
    return Operation(kind, wallet, next(amounts))


def record(places: Sequence[Place], addresses: Sequence[tuple[str, int]], fault: str | None) -> list[list[Event]]:
    """Let clients at the wallets of each place, one place after another; the histories. For `alone`."""
    if fault is not None:
        globals()[fault]()
    barrier = multiprocessing.get_context("fork").Barrier(CLIENTS)

    def work(number: int, pipe: int) -> None:
        drawn = random.Random(number)
        client: Terminal | Caller = Terminal(drawn) if number % 2 else Caller(addresses[number // 2 % len(addresses)])
        with os.fdopen(pipe, "w") as file:
            for place in places:
                # No two amounts of a history are the same, so that no answer could be another's.
                amounts = iter(drawn.sample(range(number + 1, 100 * CLIENTS, CLIENTS), OPERATIONS_EACH))
                with_kills = place.number % KILLED_EVERY == KILLED_EVERY - 1
                placed: list[tuple[int, int]] = []
                barrier.wait(BARRIER_S)
                for _ in range(OPERATIONS_EACH):
                    operation = operations(drawn, amounts, placed)
                    killed = with_kills and drawn.random() < 0.3
                    called_ns = time.monotonic_ns()
                    result = client.do(place, operation, killed=killed)
                    answered_ns = NEVER_NS if result is None else time.monotonic_ns()
                    if operation.kind == "hold" and result is not None and result[0] > 0:
                        placed.append((operation.wallet, result[0]))
                    json.dump([place.number, operation, called_ns, answered_ns, result], file)
                    file.write("\n")
        client.close()

    pipes = []
    pids = []
    for number in range(CLIENTS):
        reader, pipe = os.pipe()
        pids.append(processes.fork(lambda number=number, pipe=pipe: work(number, pipe)))  # type: ignore[misc]
        os.close(pipe)
        pipes.append(reader)
    histories: dict[int, list[Event]] = {place.number: [] for place in places}
    said = _all_of(pipes)
    processes.join(pids)
    for line in said.splitlines():
        number, operation, called_ns, answered_ns, result = json.loads(line)
        seen = None if result is None else tuple(result)
        histories[number].append(Event(Operation(*operation), called_ns, answered_ns, seen))
    for place in places:
        for wallet in (0, 1):
            called_ns = time.monotonic_ns()
            result = in_process(place, Operation("read", wallet))
            histories[place.number].append(Event(Operation("read", wallet), called_ns, time.monotonic_ns(), result))
    return list(histories.values())


def _all_of(pipes: Sequence[int]) -> str:
    """What comes out of some pipes until all of them are closed, one after the other."""
    said = dict.fromkeys(pipes, b"")
    left = set(pipes)
    while left:
        for pipe in select.select(list(left), [], [])[0]:
            read = os.read(pipe, 65536)
            said[pipe] += read
            if not read:
                os.close(pipe)
                left.discard(pipe)
    return b"".join(said.values()).decode()


def histories(
    folder: Path, db: Address, count: int, monkeypatch: pytest.MonkeyPatch, fault: str | None = None
) -> list[list[Event]]:
    """Histories of a number of clients: half of them terminals, the others callers of two servers."""
    engines.tell(db, ["register 9886977544"])
    with engines.opened(db) as ledger:
        places = [Place(number, _prepared(ledger, number)) for number in range(count)]
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(folder, "--no-auth")) for _ in range(2)]
        recorded: list[list[Event]] = processes.alone(record, places, [server.address for server in servers], fault)
    return recorded


def _prepared(ledger: Ledger, number: int) -> tuple[int, int]:
    ids = []
    for wallet in (0, 1):
        name = parse_wallet(Place(number, (0, 0)).name(wallet))
        ids.append(int(ledger.run(wallets.create(ledger, name, minimum_balance="0"), "create")["id"]))
        ledger.run(transactions.add(ledger, name, text(OPENING_MINOR), is_credit=True), "tx add")
    return ids[0], ids[1]


def test_an_order_explains_every_answer(
    engine: Engine, db: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = HISTORIES[engine.name]
    recorded = histories(tmp_path, db, count, monkeypatch)
    assert len(recorded) == count
    for number, history in enumerate(recorded):
        assert order_of(history, START) is not None, f"history {number}: {history}"
    seen = [event for history in recorded for event in history if event.result is not None]
    refused = sum(event.result[0] in (REFUSED, NOT_OPEN) for event in seen if event.result)
    unseen = sum(map(len, recorded)) - len(seen)
    assert refused > 0
    assert unseen > 0
    figure("linearizability", count, engine=engine.name, operations=len(seen), refused=refused, unseen=unseen)

    # The search sees a history that is not as it was.
    drawn = random.Random(count)
    good = [history for history in recorded if all(event.result is not None for event in history)]
    broken = tried = 0
    while broken < BROKEN[engine.name]:
        broken_by = BREAKS[tried % len(BREAKS)]
        wrong = broken_by(drawn.choice(good), drawn)
        tried += 1
        assert tried < 100 * BROKEN[engine.name], "there is nothing to break in these histories"
        if wrong is not None:
            assert order_of(wrong, START) is None, (broken_by.__name__, wrong)
            broken += 1
    figure("linearizability: broken histories", broken, engine=engine.name, found=broken)


# What it is for: a program with a fault in it has histories that nothing explains.


def shows_what_it_knew() -> None:
    """A deliberate fault: a terminal that has read a balance shows it once more."""
    balance = wallets.balance
    known: dict[object, Answer] = {}

    def remembered(ledger: Ledger, wallet: Any) -> Answer:
        before = known.pop(wallet, None)
        if before is None:
            known[wallet] = balance(ledger, wallet)
        return before or known[wallet]

    wallets.balance = remembered  # type: ignore[assignment]


def commits_at_times() -> None:
    """A deliberate fault: every fourth commit of a terminal does not happen, though it is answered."""
    store = engines.store_class()
    commit = store.commit
    commits = 0

    def forgetful(self: Any) -> None:
        nonlocal commits
        commits += 1
        if commits % 4:
            commit(self)
        else:
            self.rollback()

    store.commit = forgetful  # type: ignore[method-assign]
    WriteLock.note = lambda *_, **__: None  # type: ignore[method-assign]  # or the next opening would tell


@pytest.mark.on_file("a fault above the engine")
@pytest.mark.parametrize("fault", ["shows_what_it_knew", "commits_at_times"])
def test_a_fault_leaves_answers_that_no_order_explains(
    fault: str, db: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = histories(tmp_path, db, size(8, 60), monkeypatch, fault)
    unexplained = sum(order_of(history, START) is None for history in recorded)
    assert unexplained > 0
    figure("linearizability: deliberate faults", len(recorded), fault=fault, unexplained=unexplained)
