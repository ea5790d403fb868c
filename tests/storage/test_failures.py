"""When the disk or the commit fails: a clear error, a whole ledger, and nothing acknowledged that is lost."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from support import engines
from support.cli import run

from wallet_cli import settings
from wallet_cli.domain.commands import Change, Post
from wallet_cli.domain.ids import parse_wallet
from wallet_cli.domain.model import Account
from wallet_cli.engine import executor
from wallet_cli.engine.executor import Executor
from wallet_cli.engine.turns import open_write_lock
from wallet_cli.errors import StorageError, UnknownOutcome
from wallet_cli.operations import transactions, users, wallets
from wallet_cli.operations.context import Ledger, open_ledger
from wallet_cli.operations.verification import verify
from wallet_cli.storage import sqlite
from wallet_cli.storage.sqlite import SqliteStore

# Runs command lines, one of JSON on stdin each, in a process whose files may not grow past a size.
LIMITED = """
import json, resource, sys
from support.cli import run
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
answers = [run(line) for line in json.load(sys.stdin)]
json.dump(answers, sys.stdout)
"""
TESTS = Path(__file__).parents[1]


def run_limited(lines: list[str], limit: int, environ: dict[str, str] | None = None) -> list[tuple[int, str, str]]:
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit)],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, **(environ or {})},
        timeout=120,
        check=True,
    )
    return [(code, out, err) for code, out, err in json.loads(done.stdout)]


def assert_whole(path: Path, acknowledged: set[str]) -> None:
    """The file is sound, and holds exactly what was acknowledged."""
    with closing(apsw.Connection(str(path))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert {key for (key,) in connection.execute("SELECT key FROM transactions")} == acknowledged
    assert run("verify").code == 0


NOTE = "n" * 900
ADDS = [f"tx add 1 1 --credit --json --key k{i} --note {NOTE}" for i in range(40)]


@pytest.mark.on_file("its size")
def test_a_file_that_may_not_grow_loses_nothing_acknowledged(db: Path) -> None:
    assert run("register 9886977544").code == 0
    assert run("create 1").code == 0
    # An open connection keeps the log from being emptied, so that it grows until it may not.
    with open_ledger(settings.load({}), lambda _: None) as holder:
        holder.store.user_by_id(1)
        answers = run_limited(ADDS, 64 * 1024)
    acknowledged = {json.loads(out)["key"] for code, out, _ in answers if code == 0}
    refused = [json.loads(err)["error"] for code, out, err in answers if code != 0]
    assert acknowledged
    assert refused
    assert {code for code, _, _ in answers} == {0, 7}
    assert {(error["code"], error["retryable"]) for error in refused} == {("storage_error", True)}
    assert_whole(db, acknowledged)
    # With room again, the same keys are applied once each.
    for line in ADDS:
        assert run(line).code == 0
    assert run("balance 1 -q").out == "40.00\n"


def test_no_room_to_make_a_ledger_is_a_storage_error(tmp_path: Path) -> None:
    [(code, out, err)] = run_limited(["register 9886977544 --json"], 8192, {"WALLET_DB": str(tmp_path / "w.db")})
    assert (code, out) == (7, "")
    assert json.loads(err)["error"]["code"] == "storage_error"
    assert not (tmp_path / "w.db").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "wallet-test", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command, so no small disk")
    if done.returncode:
        pytest.skip(f"a small disk needs the right to mount: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Use up a disk to the last byte."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


def test_a_full_disk_loses_nothing_acknowledged(
    small_disk: Path, empty_ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_disk / "wallet.db"
    path.write_bytes(empty_ledger.read_bytes())
    monkeypatch.setenv("WALLET_DB", str(path))
    for line in ("register 9886977544", "create 1", "tx add 1 1 --credit --key k-first"):
        assert run(line).code == 0
    acknowledged = {"k-first"}
    filler = fill(small_disk)
    done = run(ADDS[0])
    assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error")
    assert "the answer" not in done.error["message"]  # it is the ledger that could not be written
    filler.unlink()
    assert_whole(path, acknowledged)
    assert run(ADDS[0]).code == 0
    assert run("balance 1 -q").out == "2.00\n"


def test_a_disk_that_fills_up_loses_nothing_acknowledged(
    small_disk: Path, empty_ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_disk / "wallet.db"
    path.write_bytes(empty_ledger.read_bytes())
    monkeypatch.setenv("WALLET_DB", str(path))
    assert run("register 9886977544").code == 0
    assert run("create 1").code == 0
    filler = small_disk / "filler"
    filler.write_bytes(bytes(250 * 1024))
    with open_ledger(settings.load({}), lambda _: None) as holder:
        holder.store.user_by_id(1)
        answers = [run(line) for line in ADDS]
    assert {answer.code for answer in answers} == {0, 7}
    assert {answer.error["code"] for answer in answers if answer.code} == {"storage_error"}
    filler.unlink()
    assert_whole(path, {answer.json["key"] for answer in answers if not answer.code})


def test_a_turn_that_cannot_be_written_down_on_a_full_disk_says_so(
    small_disk: Path, empty_ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_disk / "wallet.db"
    path.write_bytes(empty_ledger.read_bytes())
    monkeypatch.setenv("WALLET_DB", str(path))
    # Another process has the ledger open, so its log is there; the lock file, which the first write makes, is not.
    with open_ledger(settings.load({}), lambda _: None) as holder:
        holder.store.user_by_id(1)
        filler = fill(small_disk)
        done = run("register 9886977544 --json")
    assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error")
    assert "the answer" not in done.error["message"]
    assert "it is done" not in (done.error["hint"] or "")
    filler.unlink()
    assert run("register 9886977544 -q").out == "1\n"


def test_a_ledger_cannot_be_made_on_a_full_disk(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLET_DB", str(small_disk / "wallet.db"))
    filler = fill(small_disk)
    done = run("register 9886977544 --json")
    assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error")
    assert "the answer" not in done.error["message"]
    filler.unlink()
    assert run("register 9886977544 -q").out == "1\n"


WALLET = parse_wallet("1")
OTHER = parse_wallet("2")


def fails(*_: object) -> None:
    raise StorageError("disk I/O error")


@pytest.fixture
def opened(ledger: Ledger) -> Ledger:
    ledger.run(users.register(ledger, "9886977544"), "register")
    ledger.run(wallets.create(ledger, WALLET), "create")
    ledger.run(transactions.add(ledger, WALLET, "100", is_credit=True), "tx add")
    return ledger


def pay(ledger: Ledger) -> dict[str, object]:
    return ledger.run(transactions.add(ledger, WALLET, "30", is_credit=False, key="rent"), "tx add")


def balance(ledger: Ledger) -> str:
    return str(wallets.balance(ledger, WALLET)["balance"])


def lose_answers(broken: pytest.MonkeyPatch, ledger: Ledger) -> None:
    """Let each commit reach the disk, and its answer be lost on the way back; whoever asks afterwards is answered."""
    commit, contains = ledger.store.commit, ledger.store.contains
    asking = False

    def commit_and_fail() -> None:
        commit()
        if not asking:
            fails()

    def asked(made: Change) -> bool:
        nonlocal asking
        asking = True
        try:
            return contains(made)
        finally:
            asking = False

    broken.setattr(ledger.store, "commit", commit_and_fail)
    broken.setattr(ledger.store, "contains", asked)


def test_a_commit_that_failed_applied_nothing_and_leaves_the_key_free(
    opened: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(opened.store, "commit", fails)
        with pytest.raises(StorageError) as caught:
            pay(opened)
    assert not isinstance(caught.value, UnknownOutcome)
    assert balance(opened) == "100.00"
    assert "replayed" not in pay(opened)
    assert balance(opened) == "70.00"
    assert verify(opened)["transactions"] == 2


def test_a_commit_that_failed_after_all_was_written_is_acknowledged(
    opened: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        lose_answers(broken, opened)
        assert pay(opened)["id"] == "1-2"
        assert opened.run(users.register(opened, "9886977545"), "register")["id"] == 2
        assert opened.run(wallets.create(opened, OTHER), "create")["id"] == 2
    assert balance(opened) == "70.00"
    assert pay(opened)["replayed"] is True
    assert balance(opened) == "70.00"


@pytest.mark.parametrize("reached_the_disk", [True, False])
@pytest.mark.parametrize("broken_too", ["contains", "rollback"])
def test_where_nobody_can_be_asked_the_outcome_is_unknown(
    opened: Ledger, monkeypatch: pytest.MonkeyPatch, reached_the_disk: bool, broken_too: str
) -> None:
    with monkeypatch.context() as broken:
        lose_answers(broken, opened)
        if not reached_the_disk:
            broken.setattr(opened.store, "commit", fails)
        broken.setattr(opened.store, broken_too, fails)
        broken.setattr(executor, "SETTLE_S", 0.3)  # a server is asked for longer
        with pytest.raises(UnknownOutcome) as caught:
            pay(opened)
    error = caught.value
    assert (error.code, error.exit_code, error.retryable) == ("storage_error", 7, True)
    assert "unknown" in error.message
    assert "same key" in (error.hint or "")
    opened.store.rollback()
    assert pay(opened).get("replayed", False) is reached_the_disk
    assert balance(opened) == "70.00"
    assert verify(opened)["transactions"] == 2


@pytest.mark.parametrize("step", ["begin", "load", "write"])
def test_a_failure_before_the_commit_applies_nothing(
    opened: Ledger, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(opened.store, step, fails)
        with pytest.raises(StorageError):
            pay(opened)
    assert not engines.in_transaction(opened)
    assert balance(opened) == "100.00"
    assert "replayed" not in pay(opened)


class FailsAtCommit:
    """A connection whose commits fail, as SQLite tells it, and do nothing; all else is done."""

    def __init__(self, connection: apsw.Connection, code: int) -> None:
        self.connection = connection
        self.error = apsw.exception_for(code)

    def execute(self, statement: str, *values: object) -> apsw.Cursor:
        if statement == "COMMIT":
            self.connection.execute("ROLLBACK")
            raise self.error
        return self.connection.execute(statement, *values)

    def __getattr__(self, name: str) -> object:
        return getattr(self.connection, name)


@pytest.mark.on_file("SQLite's errors")
@pytest.mark.parametrize("code", [apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_FULL])
def test_a_commit_that_failed_is_unknown_while_its_log_is_there(
    opened: Ledger, db: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    store = opened.store
    assert isinstance(store, SqliteStore)
    usual = store.connection
    with closing(apsw.Connection(str(db))) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM users").fetchall()  # and the log cannot be emptied
        monkeypatch.setattr(store, "connection", FailsAtCommit(usual, code))
        with pytest.raises(UnknownOutcome, match="unknown whether this was written"):
            pay(opened)
        monkeypatch.setattr(store, "connection", usual)
        if code == apsw.SQLITE_IOERR_FSYNC:
            # What the system has dropped, a later sync would pass over.
            with pytest.raises(StorageError, match="a sync failed") as caught:
                pay(opened)
            assert not isinstance(caught.value, UnknownOutcome)
    assert "replayed" not in pay(opened)
    assert balance(opened) == "70.00"


@pytest.mark.on_file("SQLite's errors")
def test_a_commit_that_failed_is_certain_once_the_log_is_empty(
    opened: Ledger, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = opened.store.connection
    monkeypatch.setattr(opened.store, "connection", FailsAtCommit(usual, apsw.SQLITE_IOERR_FSYNC))
    with pytest.raises(StorageError) as caught:
        pay(opened)
    assert not isinstance(caught.value, UnknownOutcome)
    assert "nothing was written" in (caught.value.hint or "")
    assert db.with_name(f"{db.name}-wal").stat().st_size == 0
    monkeypatch.setattr(opened.store, "connection", usual)
    assert "replayed" not in pay(opened)


@pytest.mark.on_file("its log")
def test_a_replay_is_answered_when_the_log_is_on_the_disk(
    opened: Ledger, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wrote it there may have been killed before the sync."""
    pay(opened)
    synced: list[Path] = []
    monkeypatch.setattr(sqlite, "sync", synced.append)
    assert pay(opened)["replayed"] is True
    assert synced == [db.with_name(f"{db.name}-wal")]

    def broken(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sqlite, "sync", broken)
    with pytest.raises(StorageError, match="cannot sync"):
        pay(opened)


@pytest.mark.on_file("its log")
def test_room_for_the_index_of_the_log_is_made_where_blocks_are_small(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "SURE_BLOCK_BYTES", 2**30)
    index = db.with_name(f"{db.name}-shm")
    with open_ledger(settings.load({}), lambda _: None) as one:
        one.run(users.register(one, "9886977544"), "register")
        found = index.stat()
        assert found.st_blocks * 512 >= found.st_size == 4 * 32_768
        with open_ledger(settings.load({}), lambda _: None) as other:
            assert other.run(users.register(other, "9886977545"), "register")["id"] == 2
        assert one.run(users.register(one, "9886977546"), "register")["id"] == 3
        assert not run_limited(["register 9886977547"], 2**20)[0][0]
    # Whoever is the last to close it tidies up, as anywhere.
    assert sorted(path.name for path in db.parent.glob(f"{db.name}*")) == [db.name, f"{db.name}.lock"]

    def full(fd: int, start: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    for line in ("balance 1 --json", "register 9886977548 --json"):
        done = run(line)
        assert (done.code, done.error["code"]) == (7, "storage_error")
        assert "cannot make room" in done.error["message"]
    monkeypatch.undo()
    assert run(f"--db {db} users -q").out.split() == ["1", "2", "3", "4"]


def test_anothers_row_in_the_same_place_is_not_ones_own(
    opened: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit = opened.store.commit
    # A writer that does not take turns with this one, as through a ledger on a shared disk without locks.
    other = Executor(opened.store, open_write_lock(tmp_path / "other.lock"), opened.policy, 0.0)

    def somebody_else_was_first() -> None:
        opened.store.rollback()
        monkeypatch.setattr(opened.store, "commit", commit)
        other.run([Post(1, True, 700)], "other")
        fails()

    monkeypatch.setattr(opened.store, "commit", somebody_else_was_first)
    with pytest.raises(StorageError):
        pay(opened)
    assert balance(opened) == "107.00"
    assert "replayed" not in pay(opened)
    assert balance(opened) == "77.00"


def fails_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next read of accounts fails as one does whose disk fails: SQLite then calls the file malformed."""
    accounts = SqliteStore.accounts

    def failing(store: SqliteStore, wallet_ids: Sequence[int], now_us: int) -> list[Account]:
        monkeypatch.setattr(SqliteStore, "accounts", accounts)
        with sqlite.translating(store.path):
            raise apsw.CorruptError("database disk image is malformed")

    monkeypatch.setattr(SqliteStore, "accounts", failing)


@pytest.mark.on_file("its damage")
def test_one_read_that_fails_stops_no_later_write(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines.tell(db, ["register 9886977544", "create 1"])
    fails_once(monkeypatch)
    failed = run("tx add 1 1 --credit --json")
    assert (failed.code, failed.error["code"]) == (7, "storage_error")
    assert run("tx add 1 1 --credit").code == 0
    # A deliberate fault: what was seen once is taken for what is there.
    monkeypatch.setattr(sqlite.translating, "_is_malformed", lambda _: True)
    fails_once(monkeypatch)
    assert run("tx add 1 1 --credit").code == 7
    assert "takes no writes" in run("tx add 1 1 --credit").err
