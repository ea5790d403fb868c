"""`kill -9` at random moments of an import, which is run again each time: in the end, the ledger of one clean run."""

from __future__ import annotations

import csv
import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import cli, engines, processes
from support.engines import Address, Engine, Store, store_class
from support.sizes import size
from transport.ledgers import EVERYTHING, START_US, exported, opened, step, tell

from wallet_cli.domain.commands import Command
from wallet_cli.domain.model import Policy
from wallet_cli.domain.remarks import Remarks
from wallet_cli.domain.rules import State
from wallet_cli.import_export import imports
from wallet_cli.import_export.imports import checking

KILLS = {"file": size(7, 20), "postgres": size(4, 20)}
"""By engine."""

LINES = size(2000, 4000)
LINES_A_BATCH = 40
COMMITS = LINES // LINES_A_BATCH
"""Of one import, at least: there are fifty or more for a kill to come between."""

Row = tuple[object, ...]


# Files to import


def write_csv(path: Path, *, keys: bool) -> None:
    """Lines of users and wallets that are not there yet, with keys of their own or without.

    Some are refused, each for what it is. What is refused for want of money would be tried again when the import is run
    again, and might pass then: a refused line leaves its key free.
    """
    drawn = random.Random(3)
    seen = set()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["wallet", "amount", "kind", "at", "note", "key"])
        for number in range(LINES):
            day = 1 + number * 28 // LINES
            wallet = f"98869775{drawn.randrange(10 + number // 100):02}/{drawn.choice(['main', 'b'])}"
            kind = drawn.choice(["credit", "credit", "debit"]) if wallet in seen else "credit"
            amount = drawn.randrange(900) if wallet in seen else 1_000_000
            seen.add(wallet)
            note = f"line {number},\nand more" if number % 7 == 0 else ""
            key = f"k{number - number % 50 if number % 50 == 1 else number}" if keys else ""
            writer.writerow([wallet, amount, kind, f"2024-02-{day:02}", note, key])


def write_export(path: Path) -> None:
    """An export with whatever a ledger may hold, and many transactions."""
    drawn = random.Random(4)
    with opened() as ledger:
        tell(ledger, EVERYTHING)
        ledger.executor.clock = lambda: START_US + 10**13
        commands = [
            imports.Post(drawn.choice([1, 2, 4]), True, drawn.randrange(1, 999), Remarks(f"n{number}"), f"x{number}")
            for number in range(LINES)
        ]
        ledger.executor.run(commands, "writing")
        tell_more = [step("hold", number % 4) for number in range(60)]
        tell(ledger, tell_more)
        path.write_text(exported(ledger), "utf-8")


# Importing, and being killed


def run_import(path: Path, fault: str | None) -> int:
    imports.BATCH_LINES = LINES_A_BATCH  # type: ignore[misc]
    if fault is not None:
        globals()[fault]()
    return cli.run(["import", str(path), "--create", "-q"]).code


def killed(path: Path, kills: int, undisturbed: Address) -> list[bool]:
    """Import a file `kills` times, and kill each at a random moment; whether it was still at work. For `alone`.

    How long an import takes is seen on another ledger.
    """
    drawn = random.Random(kills)
    begun = time.perf_counter()
    ledger = os.environ["WALLET_DB"]
    os.environ["WALLET_DB"] = str(undisturbed)
    processes.join([processes.fork(lambda: run_import(path, None) % 4)])  # 4: some lines are refused
    length_s = time.perf_counter() - begun
    os.environ["WALLET_DB"] = ledger
    cut = []
    for _ in range(kills):
        pid = processes.fork(lambda: run_import(path, None))
        time.sleep(drawn.random() * length_s * 0.6)
        os.kill(pid, signal.SIGKILL)
        cut.append(processes.reap(pid) == -signal.SIGKILL)
    return cut


def killed_with_a_fault(path: Path, fault: str) -> None:
    """Import a file with a deliberate fault: killed in its midst twice, and run again twice. For `alone`."""
    for commits in (COMMITS // 4, COMMITS // 2):
        assert processes.reap(processes.fork(lambda n=commits: run_and_die(path, fault, n))) == -signal.SIGKILL
    for _ in range(2):
        processes.reap(processes.fork(lambda: run_import(path, fault)))


def run_and_die(path: Path, fault: str, commits: int) -> int:
    """Import with a fault, and die right after so many commits."""
    engine = store_class()
    commit, numbers = engine.commit, itertools.count(1)

    def commit_and_die(store: Store) -> None:
        commit(store)
        if next(numbers) == commits:
            os.kill(os.getpid(), signal.SIGKILL)

    engine.commit = commit_and_die  # type: ignore[method-assign,assignment]
    return run_import(path, fault)


# What it comes to


def rows(db: Address) -> Iterator[Row]:
    """What a ledger says of its users, wallets and transactions, but for when its users and wallets were made."""
    with engines.opened(db) as ledger:
        for user in ledger.store.users():
            yield user._replace(created_at_us=0)
        for wallet in ledger.store.wallets():
            yield wallet._replace(created_at_us=0)
        yield from map(tuple, ledger.store.exported(1, 10**6))
        yield from map(tuple, ledger.store.holds_in_order())


def text_of(db: Address) -> str:
    with engines.opened(db) as ledger:
        return exported(ledger)


Files = Callable[[str], Path]


@pytest.fixture
def file_of(tmp_path: Path, engine: Engine) -> Files:
    def make(kind: str) -> Path:
        path = tmp_path / f"{kind}.{'jsonl' if kind == 'export' else 'csv'}"
        if kind == "export":
            write_export(path)
        else:
            write_csv(path, keys=kind == "keys")
        return path

    return make


@pytest.fixture
def undisturbed(engine: Engine) -> Iterator[Address]:
    with engine.lent() as address:
        yield address


def differences(db: Address, path: Path, tmp_path: Path) -> list[str]:
    """Run the import once more, to its end: in what that differs from one that was never disturbed."""
    last = cli.run(["import", str(path), "--create", "--duplicates", "add", "--json"])
    clean = tmp_path / "clean.db"
    undisturbed = cli.run(["--db", str(clean), "import", str(path), "--create", "--json"])
    counts, wanted = last.json, undisturbed.json
    same = {
        "exit code": last.code == undisturbed.code,
        "verify": cli.run("verify").code == 0,
        "rows": list(rows(db)) == list(rows(clean)),
        "refused": counts["refused"] == wanted["refused"],
        "applied": counts["applied"] + counts["replayed"] == wanted["applied"] + wanted["replayed"],
    }
    return [what for what, is_so in same.items() if not is_so]


@pytest.mark.parametrize("kind", ["keys", "no keys", "export"])
def test_killed_many_times_and_run_again(
    kind: str, file_of: Files, db: Address, undisturbed: Address, tmp_path: Path, engine: Engine
) -> None:
    path = file_of(kind)
    cut = processes.alone(killed, path, KILLS[engine.name], undisturbed)
    assert any(cut)
    assert differences(db, path, tmp_path) == []
    if kind == "export":
        assert text_of(db) == path.read_text("utf-8")


# The check sees what it is for.


def forgets_keys() -> None:
    """A deliberate fault: keys are not looked up, nor unique."""
    engine = store_class()
    load = engine.load

    def load_without_keys(store: Store, commands: list[Command], policy: Policy, now_us: int) -> State:
        store.connection.execute("DROP INDEX IF EXISTS uq_transactions_wallet_id_key_user_key")
        state = load(store, commands, policy, now_us)
        state.keys.clear()
        return state

    engine.load = load_without_keys  # type: ignore[method-assign,assignment]


def makes_other_keys() -> None:
    """A deliberate fault: the keys of lines that have none are others in every run."""
    numbers = itertools.count(time.perf_counter_ns())
    checking.digest_prefix = lambda *_: f"import:{next(numbers)}:"
    checking._already_there = lambda *_: frozenset()


def restores_anywhere() -> None:
    """A deliberate fault: a line of an export is put after what is there, wherever it stood."""
    restored = imports.Run._transaction
    seqs: dict[int, Iterator[int]] = {}

    def at_the_end(run: imports.Run, line: imports.Line) -> imports.Change:
        command = restored(run, line)
        assert isinstance(command, imports.RestoreTransaction)
        id_ = command.wallet_id
        if id_ not in seqs:
            account = run._ledger.store.account(id_, 0)
            assert account is not None
            seqs[id_] = itertools.count(account.last.seq + 1)
        return command._replace(seq=next(seqs[id_]))

    imports.Run._transaction = at_the_end  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("kind", "fault"), [("keys", "forgets_keys"), ("no keys", "makes_other_keys"), ("export", "restores_anywhere")]
)
def test_a_deliberate_fault_is_found(kind: str, fault: str, file_of: Files, db: Address, tmp_path: Path) -> None:
    path = file_of(kind)
    processes.alone(killed_with_a_fault, path, fault)
    assert "rows" in differences(db, path, tmp_path)
