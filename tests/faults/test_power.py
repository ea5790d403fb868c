"""Power cuts: whatever was not synced is lost, in whole or in part; what was acknowledged is there, once.

A run of the program is recorded with every write, sync and name of its files, and with its answers (recorder.c). Then
the power is cut at steps of that run, again and again: the folder is made what a disk could hold (disk.py), the ledger
is opened, proven, and everything is sent again.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import stat
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from faults import disk
from faults.disk import Disk, Note, Recorder
from storage.test_opening import TABLES, older
from support import cli, engines, faults, load, postgres, processes, somebody
from support.faults import Fault
from support.figures import figure
from support.server import Server, process
from support.sizes import WHOLE, size

from wallet_cli import settings
from wallet_cli.domain.ids import parse_wallet
from wallet_cli.errors import WalletError
from wallet_cli.operations import transactions
from wallet_cli.operations.context import Ledger, open_ledger
from wallet_cli.storage import sqlite
from wallet_cli.storage.sqlite import SqliteStore

pytestmark = pytest.mark.on_file("PostgreSQL has its own disk")

CUTS = size(7, 504)
CONTROL_CUTS = size(12, 60)
"""Of a fault, at most: the first harm that is found is enough."""
WRITERS = size(3, 5)
COMMANDS_EACH = size(2, 16)
LINES = size(200, 1000)

ACKNOWLEDGED = re.compile(rb'"key": ?"(k[\w-]+)"')
"""The key in an answer, in the JSON of a terminal or of a server."""
USER, WALLET, MOVED = "the user", "the wallet", "the move"
"""What else is acknowledged, beside keys."""


def key(writer: int, number: int) -> str:
    return f"k{writer}-{number}"


def adding(key: str) -> list[str]:
    """The command that is sent with a key."""
    return ["tx", "add", "1", amount(key), "--credit", "--key", key, "--json"]


def amount(key: str) -> str:
    return str(int(key.partition("-")[2]) % 97 + 1)


# What is done while it is recorded. Each of them leaves out what it is not about.


class Work:
    """Something that the program does: `prepare` makes the folder that it finds, `do` does it, recorded."""

    files = ("wallet.db",)
    """The ledgers, in the order in which one that is there is looked for."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    @staticmethod
    def prepare(root: Path) -> None:
        engines.tell(root / "wallet.db", ["register 9886977544", "create 1", "tx add 1 1 --credit --key k0-0"])

    def do(self, fault: str | None) -> None:
        raise NotImplementedError

    def before(self) -> set[str]:
        """What was acknowledged before anything was recorded."""
        return {USER, WALLET, key(0, 0)}

    def acknowledges(self, note: Note) -> set[str]:
        """What somebody may rely on from a step on."""
        return {found.decode() for found in ACKNOWLEDGED.findall(note.data)} if note.kind == "a" else set()

    @property
    def commands(self) -> list[list[str]]:
        """What is run again after a cut, before every key is sent again: it works, or says that it was done."""
        return []

    def sent(self) -> list[str]:
        """The keys of all transactions that were sent."""
        return [key(0, 0)]


def write_at_once(writers: int, each: int, fault: str | None) -> None:
    """Terminals side by side, each of whose commands is a process; for `alone`."""
    if fault is not None:
        globals()[fault]()

    def write(writer: int) -> None:
        runner = processes.Runner()

        def run(line: list[str]) -> None:
            done = runner.run(line)
            while done.code and fault == answers_before_it_commits.__name__:
                # Another's commit is late, and behind the note of it: that is told, until it comes.
                done = runner.run(line)
            assert done.code == 0, done.err

        for number in range(each):
            run(adding(key(writer + 1, number)))
            if number % 3 == writer % 3:
                run(["balance", "1"])

    processes.race([lambda writer=writer: write(writer) for writer in range(writers)])  # type: ignore[misc]


class Terminals(Work):
    def do(self, fault: str | None) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.recorder.environ.items():
                patch.setenv(name, value)
            processes.alone(write_at_once, WRITERS, COMMANDS_EACH, fault)

    def sent(self) -> list[str]:
        return [*super().sent(), *(key(w + 1, n) for w in range(WRITERS) for n in range(COMMANDS_EACH))]


class Migration(Terminals):
    """The same on a ledger of an older version: one of them brings it up to date."""

    @staticmethod
    def prepare(root: Path) -> None:
        with somebody.nobody():
            Work.prepare(root)
        path = root / "wallet.db"
        newer = path.rename(root / "newer.db")
        older(path, "0002")
        with closing(apsw.Connection(str(path))) as connection:
            connection.execute("ATTACH DATABASE ? AS newer", (str(newer),))
            for table, names in TABLES.items():
                connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM newer.{table}")
        newer.unlink()
        path.chmod(0o600)
        alone(path)


class Restored(Terminals):
    """The same on a backup that was put in the place of the ledger: the first to write brings it into WAL mode."""

    @staticmethod
    def prepare(root: Path) -> None:
        Work.prepare(root)
        path = root / "wallet.db"
        newer = path.rename(root / "newer.db")
        with closing(apsw.Connection(str(newer))) as connection:
            connection.execute("VACUUM INTO ?", (str(path),))
        newer.unlink()
        path.chmod(0o600)
        alone(path)


def alone(path: Path) -> None:
    """Leave nothing beside a ledger."""
    for suffix in ("-wal", "-shm", ".lock"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


class Serving(Work):
    """`wallet serve`, which commits together what comes together."""

    connections = 8

    def do(self, fault: str | None) -> None:
        environ = self.recorder.environ | {"WALLET_DB": os.environ["WALLET_DB"]}
        with Server(self.recorder.log.parent, "--no-auth", environ=environ) as server:
            asyncio.run(self._load(server))
            assert server.stop() == 0

    async def _load(self, server: Server) -> None:
        async def post(writer: int) -> None:
            connection = await load.Connection.open(server.address)
            for number in range(COMMANDS_EACH):
                body = load.transaction(number % 97 + 1)
                answer = await connection.post(load.CREATE, body, key(writer + 1, number))
                assert answer.status == 201, answer
            await connection.close()

        await asyncio.gather(*(post(writer) for writer in range(self.connections)))

    def sent(self) -> list[str]:
        return [*super().sent(), *(key(w + 1, n) for w in range(self.connections) for n in range(COMMANDS_EACH))]


class Importing(Work):
    """`wallet import`, which is answered once, at its end."""

    def do(self, fault: str | None) -> None:
        for command in self.commands:
            self._run(command)

    def _file(self) -> Path:
        file = self.recorder.log.with_name("lines.csv")
        lines = [f"1,{adding(each)[3]},credit,{each}" for each in self._lines()]
        file.write_text("\n".join(["wallet,amount,kind,key", *lines]))
        return file

    def _lines(self) -> list[str]:
        return [key(9, number) for number in range(LINES)]

    def _run(self, line: Sequence[str]) -> None:
        environ = self.recorder.environ | {"WALLET_DB": os.environ["WALLET_DB"]}
        done = process(self.recorder.log.parent, line, environ)
        assert done.code == 0, done.err

    def acknowledges(self, note: Note) -> set[str]:
        return set(self._lines()) if note.kind == "a" and b'"applied"' in note.data else set()

    @property
    def commands(self) -> list[list[str]]:
        return [["import", str(self._file()), "--json"]]

    def sent(self) -> list[str]:
        return [*super().sent(), *self._lines()]


class Moving(Importing):
    """`wallet move` into another file."""

    files = ("new.db", "wallet.db")

    @staticmethod
    def prepare(root: Path) -> None:
        Work.prepare(root)
        engines.tell(root / "wallet.db", [" ".join(adding(key(9, number))) for number in range(20)])

    def before(self) -> set[str]:
        return {*super().before(), *(key(9, number) for number in range(20))}

    def do(self, fault: str | None) -> None:
        for command in [*self.commands, *(["--db", self._new, *adding(key(8, number))] for number in range(3))]:
            self._run(command)

    @property
    def _new(self) -> str:
        return str(self.recorder.root / "new.db")

    def acknowledges(self, note: Note) -> set[str]:
        acknowledged = Work.acknowledges(self, note)
        return acknowledged | {MOVED} if note.kind == "a" and b'"moved": true' in note.data else acknowledged

    @property
    def commands(self) -> list[list[str]]:
        return [["move", "--to", self._new, "--json"]]

    def sent(self) -> list[str]:
        return [key(0, 0), *(key(9, number) for number in range(20)), *(key(8, number) for number in range(3))]


class FirstRun(Importing):
    """The first commands on a machine: neither a ledger is there, nor the folder that it is to be in."""

    files = ("home/wallet/wallet.db",)

    @staticmethod
    def prepare(root: Path) -> None:
        """There is nothing."""

    def before(self) -> set[str]:
        return set()

    def do(self, fault: str | None) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.recorder.environ.items():
                patch.setenv(name, value)
            processes.alone(run_all, [*self.commands, *map(adding, self.sent())], fault)

    def acknowledges(self, note: Note) -> set[str]:
        acknowledged = Work.acknowledges(self, note)
        if note.kind == "a" and b'"phone_number"' in note.data:
            acknowledged.add(USER)
        if note.kind == "a" and b'"type": "main"' in note.data:
            acknowledged.add(WALLET)
        return acknowledged

    @property
    def commands(self) -> list[list[str]]:
        return [["register", "9886977544", "--json"], ["create", "1", "--json"]]

    def sent(self) -> list[str]:
        return [key(0, 0), key(0, 1)]


def run_all(commands: Sequence[Sequence[str]], fault: str | None) -> None:
    """One command after another, each a process; for `alone`."""
    if fault is not None:
        globals()[fault]()
    runner = processes.Runner()
    for command in commands:
        done = runner.run(command)
        assert done.code == 0, done.err


WORKS: list[type[Work]] = [Terminals, Serving, Importing, FirstRun, Migration, Restored, Moving]


# The power is cut, and the ledger opened.


def recorded(kind: type[Work], folder: Path, patch: pytest.MonkeyPatch, fault: str | None = None) -> Work:
    """Let the program do its work, recorded; raises AssertionError where the record is not all that it did."""
    root = folder / "root"
    root.mkdir(mode=0o700)
    patch.setenv("XDG_DATA_HOME", str(root / "home"))
    if kind is FirstRun:
        patch.delenv("WALLET_DB", raising=False)
    else:
        patch.setenv("WALLET_DB", str(root / "wallet.db"))
        shutil.copyfile(engines.empty_file(), root / "wallet.db")
        kind.prepare(root)
    with postgres.one_at_a_time("recorder"):
        library = disk.build(postgres.run_folder())
    work = kind(Recorder(root, folder / "log", library))
    work.do(fault)
    notes = work.recorder.notes()
    # The log's index is shared memory in a file: what is mapped is not recorded, and SQLite makes it anew.
    after = {path: disk.read(found) for path, found in disk.below(root) if not path.endswith("-shm")}
    replayed = Disk(work.recorder)
    for note in notes:
        replayed.step(note)
    replayed.write()
    there = {path: disk.read(found) for path, found in disk.below(root) if not path.endswith("-shm")}
    assert there == after, "not all was recorded"
    kinds = Counter(note.kind for note in notes)
    assert min(kinds["w"], kinds["a"]) > 0, kinds
    assert fault is not None or kinds["F"] > 0, kinds
    acknowledged = {each for note in notes for each in work.acknowledges(note)}
    assert acknowledged | work.before() >= set(work.sent()), "answers were not recorded"
    return work


def cut_again_and_again(work: Work, cuts: int, seed: int) -> Iterator[list[str]]:
    """Cut the power at steps of a recorded run; what was wrong after each."""
    drawn = random.Random(seed)
    notes = work.recorder.notes()
    answers = [at for at, note in enumerate(notes) if work.acknowledges(note)]
    # After an answer all of it is at stake; at any other step, what was half done.
    at = sorted(drawn.choice(answers) + 1 if drawn.random() < 0.5 else drawn.randrange(len(notes)) for _ in range(cuts))
    followed = Disk(work.recorder)
    acknowledged = work.before()
    for cut in at:
        for note in notes[followed.steps : cut]:
            acknowledged |= work.acknowledges(note)
            followed.step(note)
        followed.write(drawn)
        yield [f"step {cut} of {len(notes)}, seed {seed}: {each}" for each in problems(work, acknowledged)]


def problems(work: Work, acknowledged: set[str]) -> list[str]:
    """What is wrong with the ledger as the cut left it, and once everything was sent again."""
    try:
        found = [f"{each} was acknowledged and is lost" for each in sorted(acknowledged - set(there(work)))]
        for command in work.commands:
            done = cli.run(command)
            if done.code and (command[0], done.code) not in (("register", 5), ("create", 5)):
                found.append(f"{' '.join(command)}: {done.err}")
        with open_ledger(settings.load({"db": str(work.recorder.root / work.files[0])}), lambda _: None) as ledger:
            for each in work.sent():
                ledger.run(
                    transactions.add(ledger, parse_wallet("1"), amount(each), is_credit=True, key=each), "tx add"
                )
        after = there(work)
        found += [f"{each} was applied {after[each]} times" for each in work.sent() if after[each] != 1]
    except (AssertionError, WalletError) as error:
        found = [f"{type(error).__name__}: {error}"]
    return found


def there(work: Work) -> Counter[str]:
    """What the ledger holds, proven; nothing where there is no ledger. Raises AssertionError where it is not whole."""
    for name in work.files:
        path = work.recorder.root / name
        if path.exists():
            held = _held(path)
            if held is not None:
                return held
    return Counter()


def _held(path: Path) -> Counter[str] | None:
    """What a ledger holds; None where it has not all arrived there."""
    proven = cli.run(["--db", str(path), "verify", "--json"])
    if proven.code == 9 and path.name == "new.db":
        return None
    assert proven.code == 0, proven.err
    with open_ledger(settings.load({"db": str(path)}), lambda _: None) as ledger:
        return _keys(ledger)


def _keys(ledger: Ledger) -> Counter[str]:
    found = Counter({USER: int(ledger.store.user_by_id(1) is not None)})
    account = ledger.store.account(1, 0)
    if account is not None:
        found[WALLET] += 1
        found.update(str(row.key) for row in ledger.store.oldest_first(1))
    if ledger.store.move_state().origin is not None:
        found[MOVED] += 1
    return +found


@pytest.mark.parametrize("kind", WORKS)
def test_what_was_acknowledged_outlives_a_power_cut(
    kind: type[Work], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = recorded(kind, tmp_path, monkeypatch)
    cuts = CUTS // len(WORKS)
    wrong = [problem for found in cut_again_and_again(work, cuts, seed=len(kind.__name__)) for problem in found]
    assert wrong == []
    figure("power cut", cuts, work=kind.__name__, lost=0)


# The harness finds what it is for: the same runs of a program that has a fault.


def syncs_only_at_checkpoints() -> None:
    """A deliberate fault: `synchronous=NORMAL`."""
    faults.put_in(pytest.MonkeyPatch(), Fault(sqlite, "set_up", "synchronous=FULL", "synchronous=NORMAL"))


def never_syncs() -> None:
    """A deliberate fault: `synchronous=OFF`."""
    faults.put_in(pytest.MonkeyPatch(), Fault(sqlite, "set_up", "synchronous=FULL", "synchronous=OFF"))


def answers_before_it_commits() -> None:
    """A deliberate fault: the commit comes when the ledger is closed, after the answer."""
    commit, close = SqliteStore.commit, SqliteStore.close

    def commit_and_close(store: SqliteStore) -> None:
        if store.connection.in_transaction:
            sys.stdout.flush()
            commit(store)
        close(store)

    SqliteStore.commit = lambda store: None  # type: ignore[method-assign]
    SqliteStore.close = commit_and_close  # type: ignore[method-assign]


def leaves_the_folder_unsynced() -> None:
    """A deliberate fault: a new ledger is synced, and its name is not."""
    sync = os.fsync

    def of_files(fd: int) -> None:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            sync(fd)

    os.fsync = of_files


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (Terminals, "syncs_only_at_checkpoints"),
        (Terminals, "never_syncs"),
        (Terminals, "answers_before_it_commits"),
        (FirstRun, "leaves_the_folder_unsynced"),
    ],
)
def test_a_fault_loses_what_was_acknowledged(
    kind: type[Work], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = recorded(kind, tmp_path, monkeypatch, fault)
    wrong: list[str] = []
    tried = harmed = 0
    for found in cut_again_and_again(work, CONTROL_CUTS, seed=1):
        wrong += found
        tried += 1
        harmed += bool(found)
        if wrong and not WHOLE:
            break
    assert wrong != []
    figure("power cut: controls", tried, fault=fault, harmed=harmed)
