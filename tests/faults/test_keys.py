"""One key from 2 to 20 senders at once, some of them killed: applied once, and everybody is answered the same.

The senders of a key are terminals, each a process of its own, or connections to two servers. Of some keys, senders are
killed in the middle, or a server is, and what was not answered is sent again.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from support import cli, engines, processes
from support.engines import Address, Engine, store_class
from support.figures import figure
from support.load import Connection, UnansweredError
from support.postgres import free_port
from support.server import Server
from support.sizes import size

from wallet_cli import settings
from wallet_cli.domain.commands import Command
from wallet_cli.domain.ids import parse_wallet
from wallet_cli.domain.model import Policy
from wallet_cli.domain.rules import State
from wallet_cli.operations import holds, transactions
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger, open_ledger

KEYS = {"file": size(9, 3000), "postgres": size(6, 2000)}
"""By engine; so many from terminals, and so many over HTTP."""
FEWEST, MOST = 2, 20
SERVER_KILLED_EVERY = size(9, 100)
MAX_SPIN_S = 0.006
"""A command takes about this long, so that a kill may fall anywhere in it."""

Sent = dict[str, list[Answer]]
"""What the senders of each key were answered."""


def amount(number: int) -> str:
    return f"{number % 97 + 1}.00"


def senders(drawn: random.Random, number: int) -> tuple[int, set[int]]:
    """How many send a key, and who of them is killed; of every third key, nobody."""
    count = drawn.randint(FEWEST, MOST)
    return count, set() if number % 3 == 0 else set(drawn.sample(range(count), drawn.randint(1, count)))


# Terminals.


def send(ledger: Ledger, key: str) -> Answer:
    """The request of a key, the same each time: a credit, a debit, a transfer or a hold."""
    number = int(key.partition("-")[2])
    wallet, other = parse_wallet("1/a"), parse_wallet("1/b")
    match number % 4:
        case 0 | 1:
            return ledger.run(
                transactions.add(ledger, wallet, amount(number), is_credit=number % 4 == 0, key=key), "tx add"
            )
        case 2:
            return ledger.run(transactions.transfer(ledger, wallet, other, amount(number), key=key), "transfer")
    return ledger.run(holds.add(ledger, wallet, amount(number), key=key), "hold add")


def contend(count: int, fault: str | None) -> Sent:
    """Send keys from terminals, one key after another; for `alone`."""
    if fault is not None:
        globals()[fault]()
    drawn = random.Random(count)
    return {f"t-{number}": _answers(drawn, f"t-{number}", *senders(drawn, number)) for number in range(count)}


def _answers(drawn: random.Random, key: str, count: int, killed: set[int]) -> list[Answer]:
    gate, opened = os.pipe()
    started = [_begin(key, gate, opened) for _ in range(count)]
    os.close(gate)
    os.close(opened)  # now all of them begin
    for victim in sorted(killed):
        time.sleep(drawn.random() * MAX_SPIN_S / len(killed))
        os.kill(started[victim][0], signal.SIGKILL)
    answers = [_end(*each, killed=number in killed) for number, each in enumerate(started)]
    return [each or _again(key) for each in answers]


def _begin(key: str, gate: int, opened: int) -> tuple[int, int]:
    """Start a sender; its process, and where its answer will be."""
    reader, pipe = os.pipe()

    def work() -> None:
        os.close(opened)
        os.read(gate, 1)
        with open_ledger(settings.load({}), lambda _: None) as ledger:
            os.write(pipe, json.dumps(send(ledger, key)).encode())

    pid = processes.fork(work)
    os.close(pipe)
    return pid, reader


def _end(pid: int, reader: int, *, killed: bool = False) -> Answer | None:
    """The answer of a sender; None for one that was killed before it had any."""
    with os.fdopen(reader) as file:
        said = file.read()
    code = processes.reap(pid)
    assert code == 0 or killed, f"a sender ended with {code}"
    answer: Answer | None = json.loads(said) if said else None
    return answer


def _again(key: str) -> Answer:
    gate, opened = os.pipe()
    sender = _begin(key, gate, opened)
    os.close(gate)
    os.close(opened)
    answer = _end(*sender)
    assert answer is not None
    return answer


# Connections to servers.


async def call(servers: Sequence[Server], ids: Sequence[int], count: int) -> Sent:
    """Send keys over HTTP, one key after another; a server is killed at some."""
    drawn = random.Random(count)
    addresses = [server.address for server in servers]  # which stay theirs when they are started again
    sent: Sent = {}
    for number in range(count):
        body = {"user_id": 1, "wallet_id": ids[0], "amount": amount(number), "is_credit": number % 2 == 0}
        key = f"h-{number}"
        many, killed = senders(drawn, number)
        calls = [_call(addresses[each % len(addresses)], body, key, drawn, each in killed) for each in range(many)]
        if number % SERVER_KILLED_EVERY == SERVER_KILLED_EVERY - 1:
            calls.append(_kill(servers[0], drawn.random() * MAX_SPIN_S))
        sent[key] = [each for each in await asyncio.gather(*calls) if each is not None]
        assert len(sent[key]) == many
    return sent


async def _kill(server: Server, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    server.process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


async def _call(
    address: tuple[str, int], body: dict[str, Any], key: str, drawn: random.Random, killed: bool
) -> Answer | None:
    """Send it until it is answered; at first, where `killed`, from a caller who is gone a moment later."""
    while True:
        with suppress(OSError, UnansweredError, TimeoutError, ValueError):  # no server, or none any more
            connection = await Connection.open(address)
            try:
                patience_s = drawn.random() * MAX_SPIN_S if killed else None
                posting = connection.post("/api/v1/transactions/create", body, key)
                answer = await asyncio.wait_for(posting, patience_s)
                assert answer.status in (200, 201), answer
                data: Answer = answer.body["data"]
                return data
            finally:
                await connection.close()
        killed = False
        await asyncio.sleep(0.01)


# What has to hold.


def problems(sent: Sent, db: Address) -> list[str]:
    """What is wrong with the answers, and with the ledger after them."""
    found = []
    for key, answers in sent.items():
        first = [answer for answer in answers if not answer.get("replayed")]
        if len(first) > 1:
            found.append(f"{key} was answered {len(first)} times as if it were new")
        different = {json.dumps({**answer, "replayed": None}, sort_keys=True) for answer in answers}
        if len(different) > 1:
            found.append(f"{key} was answered in {len(different)} ways: {different}")
    applied = Counter(
        row[0]
        for row in engines.rows(
            db,
            "SELECT key FROM transactions WHERE key IS NOT NULL",
            "SELECT key FROM holds WHERE key IS NOT NULL",
        )
    )
    found += [f"{key} was applied {applied[key]} times" for key in sent if applied[key] != 1]
    verified = cli.run("verify --json")
    if verified.code:
        found.append(verified.err)
    return found


@pytest.fixture
def ids(db: Address) -> list[int]:
    """The wallets a and b of user 1, with enough for all that is sent."""
    lines = ["register 9886977544", "create 1/a", "create 1/b"]
    engines.tell(db, [*lines, "tx add 1/a 1000000 --credit", "tx add 1/b 1000000 --credit"])
    return [int(row[0]) for row in engines.rows(db, "SELECT id FROM wallets ORDER BY id")]


def note(sent: Sent, engine: Engine, by: str) -> None:
    figure("same key at once", len(sent), engine=engine.name, by=by, answers=sum(map(len, sent.values())), twice=0)


def test_terminals_with_one_key(engine: Engine, db: Address, ids: list[int]) -> None:
    sent: Sent = processes.alone(contend, KEYS[engine.name], None)
    assert problems(sent, db) == []
    note(sent, engine, "terminals")


def test_callers_with_one_key(engine: Engine, db: Address, ids: list[int], tmp_path: Path) -> None:
    with ExitStack() as stack:
        ports = [str(free_port()) for _ in range(2)]
        servers = [stack.enter_context(Server(tmp_path, "--no-auth", "--port", port)) for port in ports]
        sent = asyncio.run(call(servers, ids, KEYS[engine.name]))
    assert problems(sent, db) == []
    note(sent, engine, "callers")


# What it is for.


def forgets_keys() -> None:
    """A deliberate fault: keys are not looked up, nor unique."""
    store = store_class()
    load: Callable[..., State] = store.load

    def load_without_keys(self: Any, commands: Sequence[Command], policy: Policy, now_us: int) -> State:
        state = load(self, commands, policy, now_us)
        state.keys.clear()
        return state

    store.load = load_without_keys  # type: ignore[method-assign]


def test_a_lost_key_check_is_found(engine: Engine, db: Address, ids: list[int]) -> None:
    for index in ("uq_transactions_wallet_id_key_user_key", "uq_holds_wallet_id_key"):
        engines.execute(db, f"DROP INDEX {index}")
    sent: Sent = processes.alone(contend, 3, "forgets_keys")
    found = problems(sent, db)
    assert any("was applied" in problem for problem in found), found
    figure("same key at once: deliberate faults", len(sent), engine=engine.name, found=len(found))
