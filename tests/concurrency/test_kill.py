"""`kill -9` at random moments: what was acknowledged is there, once, and nothing else is harmed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from support import cli, processes
from support.engines import Address, Engine, Store, opened, store_class
from support.sizes import size

from wallet_cli import settings
from wallet_cli.domain.commands import Command, Post
from wallet_cli.domain.ids import format_transaction_id
from wallet_cli.domain.model import Policy, Transaction
from wallet_cli.domain.rules import State
from wallet_cli.engine.write_lock import WriteLock
from wallet_cli.operations.context import open_ledger

WRITERS = 8
KILLS = {"file": size(24, 300), "postgres": size(10, 300)}
"""By engine."""

MAX_SPIN_S = 0.003
"""A command takes about this long, so that a kill may fall anywhere in it."""

Fault = Callable[[], None]


# A writer: one command after another, each with a key of its own, and a file of what was acknowledged.


def request(writer: int, number: int) -> tuple[str, str]:
    """The amount and key of a writer's n-th command, which are the same when it is sent again."""
    return str(number % 97 + 1), f"w{writer}-{number}"


def acknowledgements(folder: Path, writer: int) -> list[tuple[str, str]]:
    """The keys, each with its transaction id, that a writer was answered for."""
    path = folder / f"acknowledged-{writer}"
    # A line is one write to a file; one that the kill cut off was not noted.
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [(key, id_) for key, id_ in map(str.split, lines)]


def through_the_command_line(writer: int, number: int) -> str:
    amount, key = request(writer, number)
    done = cli.run(["tx", "add", "1", amount, "--credit", "--key", key, "--json"])
    assert done.code == 0, done.err
    return str(done.json["id"])


def write(folder: Path, writer: int, pipe: int) -> None:
    """Write until killed, from the first command that was not acknowledged on; a byte into `pipe` for each."""
    harness = os.getppid()
    number = len(acknowledgements(folder, writer))
    noted = os.open(folder / f"acknowledged-{writer}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def acknowledged(id_: str) -> None:
        os.write(noted, f"{request(writer, number)[1]} {id_}\n".encode())
        with contextlib.suppress(BlockingIOError):  # full: nobody waits for this writer
            os.write(pipe, b".")
        if os.getppid() != harness:
            os._exit(0)  # nobody is left to kill this writer

    if writer % 2:  # as a script, which opens and closes the ledger for each command
        while True:
            acknowledged(through_the_command_line(writer, number))
            number += 1
    with open_ledger(settings.load({}), lambda _: None) as ledger:  # as a service, which keeps it open
        while True:
            amount, key = request(writer, number)
            made = ledger.carry_out(Post(1, True, int(amount) * 100, key=key), "writing").made
            assert isinstance(made, Transaction)
            acknowledged(format_transaction_id(1, made.seq))
            number += 1


# The one who kills them.


def kill_writers(folder: Path, writers: int, kills: int, fault: str | None = None) -> list[bool]:
    """Keep `writers` at work, kill one of them `kills` times, then all; for each kill, whether it had the turn."""
    if fault is not None:
        globals()[fault]()
    drawn = random.Random(kills)
    pids: dict[int, int] = {}
    pipes: dict[int, int] = {}

    def begin(writer: int) -> None:
        reader, pipe = os.pipe()
        os.set_blocking(pipe, False)
        os.set_blocking(reader, False)
        pids[writer] = processes.fork(lambda: write(folder, writer, pipe))
        os.close(pipe)
        pipes[writer] = reader

    def end(writer: int) -> None:
        os.kill(pids[writer], signal.SIGKILL)
        code = processes.reap(pids[writer])
        assert code == -signal.SIGKILL, f"writer {writer} ended by itself: {code}"
        os.close(pipes[writer])

    def await_answers(writer: int, answers: int) -> None:
        """Return when a writer was answered so often from now on, or is no more."""
        with contextlib.suppress(BlockingIOError):
            while os.read(pipes[writer], 65536):
                pass
        for _ in range(answers):
            ready, _, _ = select.select([pipes[writer]], [], [], 60)
            assert ready, f"writer {writer} is stuck"
            if not os.read(pipes[writer], 1):
                return

    # On a server, nobody knows who has a turn; and several have one, where they write to several wallets.
    url_or_path = os.environ["WALLET_DB"]
    lock = None if "://" in url_or_path else WriteLock(Path(url_or_path + ".lock"))
    had_turn = []
    for writer in range(writers):
        begin(writer)
    for _ in range(kills):
        victim = drawn.randrange(writers)
        await_answers(victim, drawn.randint(0, 2))
        until = time.perf_counter() + drawn.random() * MAX_SPIN_S
        while time.perf_counter() < until:
            pass
        holder = None if lock is None else lock.holder()
        if drawn.random() < 0.5 and holder is not None and holder.pid in pids.values():
            # Whoever has the turn, or had it last: most of the others only wait.
            victim = next(writer for writer, pid in pids.items() if pid == holder.pid)
        had_turn.append(holder is not None and holder.pid == pids[victim])
        end(victim)
        begin(victim)
    for writer in range(writers):
        await_answers(writer, 1)
    for writer in range(writers):
        end(writer)
    return had_turn


# What has to hold afterwards.


def problems(folder: Path, db: Address, writers: int) -> list[str]:
    """What is wrong with the ledger, given what was acknowledged."""
    found = []
    verified = cli.run("verify --json")
    if verified.code:
        found.append(f"verify: {verified.err}")
    listed = [json.loads(line) for line in cli.run("tx list 1 -o jsonl").out.splitlines()]
    by_key = {row["key"]: row for row in listed}
    applied = Counter(row["key"] for row in listed)
    found += [f"{key} was applied {times} times" for key, times in applied.items() if times > 1]
    known = set()
    for writer in range(writers):
        answered = acknowledgements(folder, writer)
        for number, (key, id_) in enumerate(answered):
            amount, expected = request(writer, number)
            assert key == expected
            row = by_key.get(key)
            if row is None:
                found.append(f"{key} was acknowledged and is not there")
            elif row["id"] != id_ or Decimal(row["amount"]) != Decimal(amount):
                found.append(f"{key} was acknowledged as {id_} and is {row['id']}")
        # What nobody was told of is at most the one that each was killed in.
        known |= {request(writer, number)[1] for number in range(len(answered) + 1)}
    found += [f"{key} is there and was never sent" for key in applied.keys() - known]
    with opened(db) as ledger:
        damage = ledger.store.damage()
        if damage is not None:
            found.append(f"damaged: {damage}")
    return found


@pytest.fixture
def prepared(db: Address) -> Address:
    assert cli.run("register 9886977544").code == 0
    assert cli.run("create 1").code == 0
    return db


def test_kills_among_8_writers(prepared: Address, tmp_path: Path, engine: Engine) -> None:
    had_turn = processes.alone(kill_writers, tmp_path, WRITERS, KILLS[engine.name])
    assert len(had_turn) == KILLS[engine.name]
    assert any(had_turn) or engine.name == "postgres"
    assert not all(had_turn)
    answered = [acknowledgements(tmp_path, writer) for writer in range(WRITERS)]
    assert all(answered)
    assert problems(tmp_path, prepared, WRITERS) == []

    # Who was killed before an answer sends the same again, and is told what is on record.
    for writer in range(WRITERS):
        through_the_command_line(writer, len(answered[writer]))
    for writer in range(WRITERS):
        for number, (_, id_) in enumerate(answered[writer][-3:], max(0, len(answered[writer]) - 3)):
            assert through_the_command_line(writer, number) == id_
    assert problems(tmp_path, prepared, WRITERS) == []


# The check sees what it is for: the same run with a fault in it fails.


def answers_before_it_commits() -> None:
    """A deliberate fault: every other commit does not happen, as if it had been put off and the kill come first.

    Nor is anything noted in the lock: the next command would see by that what is missing.
    """
    WriteLock.note = lambda *_, **__: None  # type: ignore[method-assign]
    engine = store_class()
    commit = engine.commit
    commits = 0

    def later(store: Store) -> None:
        nonlocal commits
        commits += 1
        store.rollback() if commits % 2 == 0 else commit(store)

    engine.commit = later  # type: ignore[method-assign]


def forgets_keys() -> None:
    """A deliberate fault: keys are not looked up, nor unique, and writers die after their second commit, unanswered."""
    engine = store_class()
    commit, load = engine.commit, engine.load
    commits = 0

    def commit_and_die(store: Store) -> None:
        nonlocal commits
        commits += 1
        commit(store)
        if commits == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    def load_without_keys(store: Store, commands: Sequence[Command], policy: Policy, now_us: int) -> State:
        store.connection.execute("DROP INDEX IF EXISTS uq_transactions_wallet_id_key_user_key")
        state = load(store, commands, policy, now_us)
        state.keys.clear()
        return state

    engine.commit = commit_and_die  # type: ignore[method-assign]
    engine.load = load_without_keys  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [("answers_before_it_commits", "was acknowledged"), ("forgets_keys", "was applied 2 times")],
)
def test_the_check_finds_a_deliberate_fault(prepared: Address, tmp_path: Path, fault: str, complaint: str) -> None:
    processes.alone(kill_writers, tmp_path, 2, 30, fault)
    assert any(complaint in problem for problem in problems(tmp_path, prepared, 2))


# The moment that no kill can be aimed at: written and committed, not yet answered.


def die_at(step: str) -> int:
    """Send one command, and be killed before or after a step of its turn; for `alone`."""
    real: Callable[..., None] = getattr(store_class(), step.split()[1])

    def fatal(store: Store, *arguments: object) -> None:
        if step.startswith("after"):
            real(store, *arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    def send() -> None:
        setattr(store_class(), step.split()[1], fatal)
        through_the_command_line(0, 0)

    return processes.reap(processes.fork(send))


@pytest.mark.parametrize(
    ("step", "applied"),
    [
        ("before begin", False),
        ("after begin", False),
        ("before write", False),
        ("after write", False),
        ("before commit", False),
        ("after commit", True),
        ("before close", True),
        ("after close", True),
    ],
)
def test_killed_at_a_step_of_its_turn(prepared: Address, step: str, applied: bool) -> None:
    assert processes.alone(die_at, step) == -signal.SIGKILL
    assert cli.run("verify --json").json["transactions"] == applied
    again = cli.run("tx add 1 1 --credit --key w0-0 --json")
    assert again.code == 0
    assert again.json.get("replayed", False) is applied
    assert again.json["id"] == "1-1"
