"""`kill -9` among writers who transfer, hold, capture, reverse and void: nothing is ever half done."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support import processes
from support.auditor import Auditor, Place
from support.engines import Address, Engine, Store, store_class
from support.sizes import size

from wallet_cli import settings
from wallet_cli.domain.commands import Change
from wallet_cli.domain.ids import parse_hold_id, parse_transaction_id, parse_wallet
from wallet_cli.engine.write_lock import WriteLock
from wallet_cli.errors import HoldNotOpen, StorageError
from wallet_cli.operations import holds, transactions, users, verification, wallets
from wallet_cli.operations.context import Ledger, open_ledger

WRITERS = 6
KILLS = {"file": size(24, 300), "postgres": size(10, 300)}
"""By engine."""
MAX_SPIN_S = 0.003
"""A command takes about this long, so that a kill may fall anywhere in it."""
TYPES = ("a", "b", "c")
OPENING = "1000000"
TOTAL_MINOR = len(TYPES) * 100_000_000

WALLETS = [parse_wallet(f"1/{type_}") for type_ in TYPES]


# A writer: five steps over and over, each of which is the same when it is sent again.


def step(ledger: Ledger, writer: int, number: int, ids: Sequence[str]) -> str:
    """Carry out a writer's n-th command, given the ids that it had for those before; the id that is acknowledged."""
    key = f"w{writer}-{number}"
    source, target = random.Random(number // 5).sample(WALLETS, 2)
    amount = f"{number % 97 + 2}.00"
    match number % 5:
        case 0:
            return str(ledger.run(transactions.transfer(ledger, source, target, amount, key=key), "transfer")["id"])
        case 1 | 3:
            return str(ledger.run(holds.add(ledger, source, amount, key=key), "hold add")["id"])
        case 2:
            # A part of it is captured and the rest let go: two things of one turn.
            return str(
                ledger.run(holds.capture(ledger, parse_hold_id(ids[number - 1]), "1.00", key=key), "hold capture")["id"]
            )
    if number % 2:
        return str(
            ledger.run(transactions.reverse(ledger, parse_transaction_id(ids[number - 4]), key=key), "tx reverse")["id"]
        )
    hold = parse_hold_id(ids[number - 1])
    with contextlib.suppress(HoldNotOpen):  # there is no key for it, and it was done before the kill
        ledger.run(holds.void(ledger, hold), "hold void")
    return ids[number - 1]


def acknowledged(folder: Path, writer: int) -> list[str]:
    """The ids that a writer was answered with, in order."""
    path = folder / f"acknowledged-{writer}"
    # A line is one write to a file; one that the kill cut off was not noted.
    return path.read_text().split("\n")[:-1] if path.exists() else []


def reopened() -> contextlib.AbstractContextManager[Ledger]:
    """The ledger that the environment names."""
    return open_ledger(settings.load({}), lambda _: None)


def write(folder: Path, writer: int, pipe: int) -> None:
    """Write until killed, from the first command that was not acknowledged on; a byte into `pipe` for each."""
    harness = os.getppid()
    ids = acknowledged(folder, writer)
    noted = os.open(folder / f"acknowledged-{writer}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with reopened() as ledger:
        while os.getppid() == harness:
            ids.append(step(ledger, writer, len(ids), ids))
            os.write(noted, f"{ids[-1]}\n".encode())
            with contextlib.suppress(BlockingIOError):  # full: nobody waits for this writer
                os.write(pipe, b".")


# The one who kills them.


def kill_writers(folder: Path, writers: int, kills: int) -> list[bool]:
    """Keep `writers` at work, kill one of them `kills` times, then all; for each kill, whether it had the turn."""
    drawn = random.Random(kills)
    pids: dict[int, int] = {}
    pipes: dict[int, int] = {}

    def begin(writer: int) -> None:
        pipes[writer], pipe = os.pipe()
        os.set_blocking(pipe, False)
        os.set_blocking(pipes[writer], False)
        pids[writer] = processes.fork(lambda: write(folder, writer, pipe))
        os.close(pipe)

    def end(writer: int) -> None:
        os.kill(pids[writer], signal.SIGKILL)
        code = processes.reap(pids[writer])
        assert code == -signal.SIGKILL, f"writer {writer} ended by itself: {code}"
        os.close(pipes[writer])

    def await_answer(writer: int) -> None:
        """Return when a writer has been answered from now on, or is no more."""
        with contextlib.suppress(BlockingIOError):
            while os.read(pipes[writer], 65536):
                pass
        ready, _, _ = select.select([pipes[writer]], [], [], 60)
        assert ready, f"writer {writer} is stuck"

    where = os.environ["WALLET_DB"]
    lock = None if "://" in where else WriteLock(Path(where + ".lock"))  # PostgreSQL does not say who has the turn
    had_turn = []
    for writer in range(writers):
        begin(writer)
    for _ in range(kills):
        victim = drawn.randrange(writers)
        await_answer(victim)
        until = time.perf_counter() + drawn.random() * MAX_SPIN_S
        while time.perf_counter() < until:
            pass
        holder = None if lock is None else lock.holder()
        if drawn.random() < 0.7 and holder is not None and holder.pid in pids.values():
            # Whoever has the turn, or had it last: most of the others only wait.
            victim = next(writer for writer, pid in pids.items() if pid == holder.pid)
        had_turn.append(holder is not None and holder.pid == pids[victim])
        end(victim)
        begin(victim)
    for writer in range(writers):
        await_answer(writer)
    for writer in range(writers):
        end(writer)
    return had_turn


# What has to hold afterwards.


def problems(folder: Path, writers: int) -> list[str]:
    """What is wrong with the ledger, given what was acknowledged."""
    auditor = Auditor()
    with reopened() as ledger:
        found = list(auditor.finish(ledger))
        # Only captures take money out of the wallets, 1.00 each, and none of them is reversed.
        counted = ledger.store.connection.execute("SELECT count(*) FROM transactions WHERE hold IS NOT NULL")
        captures = counted.fetchall()[0][0]
        if auditor.balances.total() != TOTAL_MINOR - 100 * captures:
            found.append(f"all wallets have {auditor.balances.total()} after {captures} captures")
        for writer in range(writers):
            found += _unlike_the_answers(ledger, writer, acknowledged(folder, writer))
        try:
            verification.verify(ledger)
        except StorageError as error:
            found.append(f"verify: {error.message}")
    return found


def _unlike_the_answers(ledger: Ledger, writer: int, ids: list[str]) -> list[str]:
    """Whether all that a writer was answered is there, under its key, and of the rest at most the one it died in."""
    found = []
    keys: dict[str, Place] = {}
    for table, name in (("transactions", "seq"), ("holds", "number")):
        rows = ledger.store.connection.execute(
            f"SELECT key, wallet_id, {name} FROM {table} WHERE key LIKE 'w{writer}-%'"
        )
        applied = [(key, (wallet_id, number)) for key, wallet_id, number in rows]
        found += [f"{key} was applied {n} times" for key, n in Counter(k for k, _ in applied).items() if n > 1]
        keys |= dict(applied)
    for number, id_ in enumerate(ids):
        if _is_void(number):
            hold = ledger.store.hold(*parse_hold_id(id_))
            if hold is None or hold.status != "voided":
                found.append(f"w{writer}-{number} was acknowledged, and its hold is {hold}")
            continue
        expected = (parse_hold_id if number % 5 in (1, 3) else parse_transaction_id)(id_)
        there = keys.pop(f"w{writer}-{number}", None)
        if there != expected:
            found.append(f"w{writer}-{number} was acknowledged as {expected} and is {there}")
    if keys.keys() - {f"w{writer}-{len(ids)}"}:
        found.append(f"{sorted(keys)} are there, and were not acknowledged")
    return found


def _is_void(number: int) -> bool:
    return number % 5 == 4 and number % 2 == 0


def prepare(ledger: Ledger) -> None:
    ledger.run(users.register(ledger, "9886977544"), "register")
    for wallet in WALLETS:
        ledger.run(wallets.create(ledger, wallet), "create")
        ledger.run(transactions.add(ledger, wallet, OPENING, is_credit=True), "tx add")


@pytest.fixture
def prepared(db: Address) -> Address:
    with reopened() as ledger:
        prepare(ledger)
    return db


def test_kills_among_6_writers(prepared: Address, tmp_path: Path, engine: Engine) -> None:
    had_turn = processes.alone(kill_writers, tmp_path, WRITERS, KILLS[engine.name])
    assert len(had_turn) == KILLS[engine.name]
    assert any(had_turn) or engine.name == "postgres"
    assert not all(had_turn)
    answered = [acknowledged(tmp_path, writer) for writer in range(WRITERS)]
    assert all(answered)
    assert problems(tmp_path, WRITERS) == []

    # Who was killed before an answer sends the same again; who was answered is answered the same.
    with reopened() as ledger:
        for writer, ids in enumerate(answered):
            for number in range(max(0, len(ids) - 5), len(ids)):
                assert step(ledger, writer, number, ids) == ids[number]
            (tmp_path / f"acknowledged-{writer}").write_text(
                "".join(f"{id_}\n" for id_ in [*ids, step(ledger, writer, len(ids), ids)])
            )
    assert problems(tmp_path, WRITERS) == []


# The moments that no kill can be aimed at.

STEPS = {
    "before write": False,
    "after write": False,
    "before commit": False,
    "after commit": True,
}


def die_at(folder: Path, moment: str, number: int) -> int:
    """Send one command, and be killed before or after a part of its turn; for `alone`."""
    name = moment.split()[1]
    engine = store_class()
    real: Callable[..., None] = getattr(engine, name)

    def fatal(store: Store, *arguments: object) -> None:
        if moment.startswith("after"):
            real(store, *arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    def send() -> None:
        with reopened() as ledger:
            setattr(engine, name, fatal)
            step(ledger, 0, number, acknowledged(folder, 0))

    return processes.reap(processes.fork(send))


NUMBERS = {"a transfer": 0, "a hold": 1, "a capture": 2, "a void": 4, "a reversal of a transfer": 9}
"""By command: its number among a writer's steps."""


@pytest.mark.parametrize("moment", STEPS)
@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_killed_at_a_moment_of_its_turn(prepared: Address, tmp_path: Path, number: int, moment: str) -> None:
    ids = done_until(tmp_path, number)
    with reopened() as ledger:
        stood = _standing(ledger)
    assert processes.alone(die_at, tmp_path, moment, number) == -signal.SIGKILL
    assert problems(tmp_path, 1) == []
    with reopened() as ledger:
        killed = _standing(ledger)
        assert (killed != stood) == STEPS[moment]
        id_ = step(ledger, 0, number, ids)
        after = _standing(ledger)
        assert (after == killed) == STEPS[moment]
        assert step(ledger, 0, number, ids) == id_
        assert _standing(ledger) == after
    note(tmp_path, [*ids, id_])
    assert problems(tmp_path, 1) == []


def done_until(folder: Path, number: int) -> list[str]:
    """Carry out a writer's commands before the n-th; their ids, which are noted as acknowledged."""
    ids: list[str] = []
    with reopened() as ledger:
        for before in range(number):
            ids.append(step(ledger, 0, before, ids))
    note(folder, ids)
    return ids


def note(folder: Path, ids: list[str]) -> None:
    (folder / "acknowledged-0").write_text("".join(f"{id_}\n" for id_ in ids))


def _standing(ledger: Ledger) -> list[object]:
    """All there is of wallets, their last transactions and holds."""
    with ledger.store.snapshot():
        return [*ledger.store.accounts_after(0, -1, ledger.now_us()), *ledger.store.holds_in_order()]


# The check sees what it is for: a command that is committed in two parts fails it.


def die_between_two_commits(folder: Path, number: int) -> int:
    """A deliberate fault: the last change of a command is committed by itself, and the writer dies before it."""
    engine = store_class()
    write = engine.write

    def in_two(store: Store, made: Sequence[Change]) -> None:
        write(store, made[:-1])
        store.commit()
        os.kill(os.getpid(), signal.SIGKILL)

    def send() -> None:
        with reopened() as ledger:
            engine.write = in_two  # type: ignore[method-assign,assignment]
            step(ledger, 0, number, acknowledged(folder, 0))

    return processes.reap(processes.fork(send))


HALVES = {
    "a transfer": "without its other leg",
    "a hold": "it has no event",
    "a capture": "differs from its last event in its captured",
    "a void": "differs from its last event in its status",
    "a reversal of a transfer": "without its other leg",
}
"""By command: what is found of it."""


@pytest.mark.parametrize("command", NUMBERS)
def test_the_check_finds_a_command_cut_in_two(prepared: Address, tmp_path: Path, command: str) -> None:
    done_until(tmp_path, NUMBERS[command])
    assert processes.alone(die_between_two_commits, tmp_path, NUMBERS[command]) == -signal.SIGKILL
    found = problems(tmp_path, 1)
    assert any(HALVES[command] in problem for problem in found), found
