"""Files moved, removed, replaced, linked, on two paths, read-only, without locks; processes stopped, or at a limit.

Whatever becomes of the files: what was answered is in the ledger that the path names, or the program says that it
cannot be, and writes nothing more. Of each case there is one.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw
import pytest
from storage.test_opening import older
from support import cli, engines, processes
from support.figures import figure
from support.server import PROGRAM, Server, surroundings
from support.sizes import size

from wallet_cli.domain.commands import OpenWallet, Post
from wallet_cli.domain.money import Currency
from wallet_cli.engine import write_lock
from wallet_cli.engine.executor import UnknownOutcome
from wallet_cli.engine.write_lock import WriteLock
from wallet_cli.errors import Busy, StorageError, WalletError
from wallet_cli.storage import in_place
from wallet_cli.storage.in_place import beside
from wallet_cli.storage.last_commit import LAST_COMMIT_BYTES, LastCommit

pytestmark = pytest.mark.on_file("what becomes of files")

ROW = "files moved, removed, replaced, linked, on two paths, read-only, without locks, SIGSTOP, ulimit"
CREDIT = Post(1, True, 100)
WRITE, READ = "tx add 1 1 --credit", "balance 1 -q"

needs_root = pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="only root may mount")


@pytest.fixture(autouse=True)
def counted() -> Iterator[None]:
    yield
    figure(ROW, 1)


@pytest.fixture
def filled(db: Path) -> Path:
    """A ledger with one wallet in it, of 100.00."""
    engines.tell(db, ["register 9886977544", "create 1", "tx add 1 100 --credit"])
    return db


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}


def refused(path: Path, line: str, says: str) -> str:
    """A command is refused for what the files are; returns the hint."""
    done = cli.run(f"--db {path} {line} --json".replace(" -q", ""))
    assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error"), (line, done)
    assert says in done.error["message"], done.error
    return str(done.error["hint"])


@contextmanager
def mounted(source: Path, target: Path, *options: str) -> Iterator[None]:
    """A bind mount, as root may make it; left out where a machine does not let even root."""
    done = subprocess.run(["mount", "--bind", source, target], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.decode()}")
    try:
        if options:
            subprocess.run(["mount", "-o", ",".join(("remount", "bind", *options)), target], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", target], check=True)


# Two names.


@pytest.mark.parametrize("line", [WRITE, READ, "verify", "export", "move --to other.db"])
def test_a_file_with_a_second_link_is_refused_by_either_name(filled: Path, line: str) -> None:
    other = filled.with_name("second.db")
    os.link(filled, other)
    before = contents(filled.parent)
    for name in (filled, other):
        assert "-samefile" in refused(name, line, "second name")
    assert contents(filled.parent) == before
    other.unlink()
    assert cli.run(READ).out == "100.00\n"


def test_a_link_made_later_stops_writes_and_reads(filled: Path) -> None:
    other = filled.with_name("second.db")
    with engines.opened(filled) as ledger:
        os.link(filled, other)
        with pytest.raises(StorageError, match="second name"):
            ledger.executor.run([], "linked")
        other.unlink()
        ledger.executor.run([], "alone")


@needs_root
def test_a_file_that_is_mounted_alone_is_refused_and_a_folder_is_not(filled: Path, tmp_path: Path) -> None:
    alone, folder = tmp_path / "alone.db", tmp_path / "folder"
    alone.touch()
    folder.mkdir()
    with mounted(filled, alone):
        for line in (WRITE, READ, "verify"):
            assert "folder" in refused(alone, line, "mounted alone")
        assert not beside(alone, "-wal").exists()
    with mounted(filled.parent, folder):
        # Two paths, one lock and one log: what either writes, both have.
        with engines.opened(filled) as one, engines.opened(folder / filled.name) as two:
            for each in (one, two, one, two):
                each.executor.run([], "opening")
            assert cli.run(f"--db {folder / filled.name} {WRITE}").code == 0
            assert cli.run(WRITE).code == 0
        assert cli.run(READ).out == "102.00\n"
        assert cli.run("verify -q").out == "3\n"


def test_a_lock_with_a_second_link_is_refused(filled: Path) -> None:
    os.link(beside(filled, ".lock"), filled.with_name("other.lock"))
    refused(filled, WRITE, "second name")
    assert cli.run(READ).out == "100.00\n"


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".lock", ".new"])
def test_the_name_of_a_file_beside_a_ledger_is_no_ledgers(filled: Path, suffix: str) -> None:
    before = contents(filled.parent)
    done = cli.run(f"--db {filled}{suffix} register 9886977545 --json")
    assert (done.code, done.error["code"]) == (2, "invalid_input")
    (filled.parent / "lines.csv").write_text("wallet,amount,kind\n1,1,credit\n")
    done = cli.run(f"import lines.csv --rejects {filled}{suffix} --json")
    assert "written over the ledger" in done.error["message"]
    (filled.parent / "lines.csv").unlink()
    assert contents(filled.parent) == before


# Moved, removed or replaced while it is in use.

Harm = Callable[[Path, Path], None]
"""What is done to a ledger that is in use; given a backup of it."""


def removed(path: Path, _backup: Path) -> None:
    path.unlink()


def moved(path: Path, _backup: Path) -> None:
    path.rename(path.with_name("moved.db"))


def replaced(path: Path, backup: Path) -> None:
    backup.replace(path)


def overwritten(path: Path, backup: Path) -> None:
    path.write_bytes(backup.read_bytes())


def cut_short(path: Path, _backup: Path) -> None:
    os.truncate(path, 0)


def log_removed(path: Path, _backup: Path) -> None:
    beside(path, "-wal").unlink()


def index_removed(path: Path, _backup: Path) -> None:
    beside(path, "-shm").unlink()


def log_replaced(path: Path, _backup: Path) -> None:
    shutil.copyfile(beside(path, "-wal"), path.with_name("log"))
    path.with_name("log").replace(beside(path, "-wal"))


def folder_moved(path: Path, _backup: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


HARMS: list[Harm] = [
    *(removed, moved, replaced, overwritten, cut_short, log_removed, index_removed, log_replaced, folder_moved),
]


def back_up(path: Path, target: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))


def left(folder: Path) -> dict[Path, bytes]:
    """All that is in a folder, but for locks and the log's index, which say who uses it."""
    found = {each: each.read_bytes() for each in folder.rglob("*.db*") if each.is_file()}
    return {each: data for each, data in found.items() if not each.name.endswith((".lock", "-shm"))}


@pytest.mark.parametrize("harm", HARMS)
def test_an_open_file_that_is_gone_is_not_written_to(filled: Path, harm: Harm, monkeypatch: pytest.MonkeyPatch) -> None:
    home = filled.parent / "its home"
    home.mkdir()
    path = filled.rename(home / "wallet.db")
    backup = filled.with_name("backup.db")
    back_up(path, backup)
    with engines.opened(path) as one, engines.opened(path) as two:
        for each in (one, two):
            each.executor.run([CREDIT], "before")
        harm(path, backup)
        after = left(filled.parent)
        monkeypatch.setattr(in_place, "INDEX_EVERY_S", 0.0)
        for each in (one, two, one, two):
            with pytest.raises(StorageError, match=r"while it was in use|cannot open the lock"):
                each.executor.run([CREDIT], "after")
    assert left(filled.parent) == after


@pytest.mark.parametrize("harm", HARMS[: size(4, len(HARMS))])
def test_a_server_whose_file_is_gone_says_so_and_goes_on_saying_so(filled: Path, harm: Harm, tmp_path: Path) -> None:
    home = tmp_path / "home of it"
    home.mkdir()
    path = home / "wallet.db"
    filled.rename(path)
    beside(filled, ".lock").unlink()
    backup = tmp_path / "backup.db"
    back_up(path, backup)
    with Server(tmp_path, "--no-auth", environ={"WALLET_DB": str(path)}) as server:
        api = server.api()

        def post() -> int:
            body = {"user_id": 1, "wallet_id": 1, "amount": 1, "is_credit": True}
            return int(api.post("/transactions/create", json=body).status_code)

        assert [post() for _ in range(3)] == [201, 201, 201]
        harm(path, backup)
        after = left(tmp_path)
        if harm is index_removed:
            time.sleep(in_place.INDEX_EVERY_S)
        for _ in range(2):
            assert post() == 503
            answer = api.get("/wallet/get/1/main")
            assert (answer.status_code, answer.json()["code"]) == (503, "storage_error")
            assert "while it was in use" in answer.json()["message"]
            assert api.get("/export").status_code == 503
            assert server.client().get("/readyz").status_code == 503
            assert server.client().get("/healthz").status_code == 200
        assert server.stop() == 0
    # Neither then nor at its end has it made, written or removed anything.
    assert left(tmp_path) == after


def test_a_server_whose_file_was_gone_is_not_ready_again(filled: Path, tmp_path: Path) -> None:
    with Server(tmp_path, "--no-auth", environ={"WALLET_DB": str(filled)}) as server:
        body = {"user_id": 1, "wallet_id": 1, "amount": 1, "is_credit": True}
        moved = filled.with_name("moved.db")
        filled.rename(moved)
        assert server.api().post("/transactions/create", json=body).status_code == 503
        moved.rename(filled)
        for _ in range(3):
            assert server.api().post("/transactions/create", json=body).status_code == 503
            assert server.client().get("/readyz").status_code == 503
    with Server(tmp_path, "--no-auth", environ={"WALLET_DB": str(filled)}) as server:
        assert server.api().post("/transactions/create", json=body).status_code == 201


def test_a_file_that_was_put_back_has_all_that_was_answered(filled: Path) -> None:
    with engines.opened(filled) as ledger:
        ledger.executor.run([], "opening")
        for _ in range(3):
            assert cli.run(WRITE).code == 0
        moved(filled, filled)
        with pytest.raises(StorageError, match="moved or removed"):
            ledger.executor.run([], "moved")
        filled.with_name("moved.db").rename(filled)
        with pytest.raises(StorageError, match="moved or removed"):
            ledger.executor.run([], "others may have written to it meanwhile")
    assert cli.run(READ).out == "103.00\n"
    assert cli.run("verify -q").out == "4\n"


def test_a_move_in_the_middle_of_a_turn_leaves_its_outcome_unknown(filled: Path) -> None:
    with engines.opened(filled) as ledger:

        def move_meanwhile() -> None:
            with ledger.executor.turn("moving") as turn:
                turn.carry_out([CREDIT])
                moved(filled, filled)

        with pytest.raises(UnknownOutcome, match="moved or removed"):
            move_meanwhile()


def answered_and_lost(path: Path, harm: Harm, backup: Path) -> int:
    """How many of the credits that were answered after the harm are not in the ledger that the path names then."""
    answered: list[Any] = []
    with suppress(StorageError), engines.opened(path) as ledger:
        ledger.executor.run([CREDIT], "before")
        harm(path, backup)
        for _ in range(5):
            with suppress(WalletError):
                answered += ledger.executor.run([CREDIT], "after")
    made = [each.made for each in answered]
    try:
        with engines.opened(path) as ledger:
            return sum(not ledger.store.holds(each) for each in made)
    except WalletError:
        return len(made)


@pytest.mark.parametrize("is_watched", [True, False], ids=["as it is", "with nobody watching"])
@pytest.mark.parametrize("harm", [removed, moved, replaced])
def test_nothing_answered_is_lost_and_without_the_watch_it_is(
    filled: Path, harm: Harm, is_watched: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    back_up(filled, backup)
    if not is_watched:
        monkeypatch.setattr(in_place.InPlace, "check", lambda _: None)
        monkeypatch.setattr(in_place.InPlace, "check_ledger", lambda _: None)
    lost = answered_and_lost(filled, harm, backup)
    assert (lost == 0) is is_watched


def test_no_ledger_is_made_beside_the_log_of_another(filled: Path) -> None:
    with engines.opened(filled) as ledger:
        assert cli.run(WRITE).code == 0
        filled.rename(filled.with_name("moved.db"))
        log = beside(filled, "-wal").read_bytes()
        for line in ("register 9886977545", "create 1/other"):
            assert "put wallet.db back" in refused(filled, line, "is gone")
        beside(filled, ".lock").rename(filled.with_name("lock"))
        assert "to another folder" in refused(filled, "register 9886977545", "the log of one")
        assert beside(filled, "-wal").read_bytes() == log
        assert ledger.store.path == filled
    assert not filled.exists()


# A log that is not there, or is not of this file.


@contextmanager
def killed(path: Path, lines: Sequence[str] = (WRITE, WRITE)) -> Iterator[None]:
    """As a process leaves a ledger that was killed after it had answered: with the last of it in the log."""
    with engines.opened(path):
        engines.tell(path, list(lines))
        kept = contents(path.parent)
    for name, data in kept.items():
        (path.parent / name).write_bytes(data)
    yield


def test_a_log_that_was_deleted_is_missed_until_it_is_put_back(filled: Path) -> None:
    with killed(filled):
        log = beside(filled, "-wal").rename(filled.with_name("log"))
        for line in (WRITE, READ, "verify", "export"):
            assert "wallet.db-wal" in refused(filled, line, "up to 1-3")
        log.rename(beside(filled, "-wal"))
        assert cli.run(READ).out == "102.00\n"
        assert cli.run("verify -q").out == "3\n"


@pytest.mark.parametrize(
    "line",
    [
        "register 9886977545",
        "create 1/other",
        "hold add 1 5",
        "freeze 1",
        "limits 1 --maximum-balance 500",
        "key create till",
        "ledger set timezone Asia/Tokyo",
    ],
)
def test_a_deleted_log_is_missed_where_it_held_no_transaction(filled: Path, line: str) -> None:
    with killed(filled, [line]):
        log = beside(filled, "-wal").rename(filled.with_name("log"))
        for asked in (WRITE, READ, "verify", "export"):
            assert "wallet.db-wal" in refused(filled, asked, "committed changes")
        log.rename(beside(filled, "-wal"))
        assert cli.run("verify -q").code == 0


def test_a_copy_of_an_older_schema_is_neither_read_nor_migrated(filled: Path) -> None:
    filled.unlink()
    kept = filled.with_name("kept.lock")
    shutil.copyfile(beside(filled, ".lock"), kept)
    older(filled, "0005")
    kept.replace(beside(filled, ".lock"))
    before = contents(filled.parent)
    for line in (WRITE, READ, "register 9886977545"):
        assert f"remove {filled}.lock" in refused(filled, line, "(schema 5) is older than the last commit here")
    assert contents(filled.parent) == before
    beside(filled, ".lock").unlink()
    assert cli.run("register 9886977545").code == 0


def empty(log: Path) -> None:
    os.truncate(log, 0)


def cut_in_the_middle(log: Path) -> None:
    os.truncate(log, log.stat().st_size - 1)


def zeros(log: Path) -> None:
    log.write_bytes(bytes(log.stat().st_size))


def zeros_with_its_time(log: Path) -> None:
    before = log.stat()
    zeros(log)
    os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))


def another_begin(log: Path) -> None:
    with log.open("r+b") as file:
        file.write(os.urandom(32))


def an_older_one(log: Path) -> None:
    """Of the same file, with the right form, and longer."""
    content = bytearray(log.read_bytes())
    content[16:24] = os.urandom(8)
    log.write_bytes(bytes(content) * 2)


CUTS = [empty, cut_in_the_middle, zeros, zeros_with_its_time, another_begin, an_older_one]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("turns", [1, 3])
def test_a_log_that_is_cut_in_use_takes_no_more(filled: Path, cut: Callable[[Path], None], turns: int) -> None:
    with engines.opened(filled) as ledger:
        for _ in range(turns):
            ledger.executor.run([CREDIT], "pay")
        cut(beside(filled, "-wal"))
        for _ in range(2):
            with pytest.raises(StorageError, match=r"wallet\.db-wal was cut or overwritten while it was in use"):
                ledger.executor.run([CREDIT], "pay")


@pytest.mark.parametrize("cut", [empty, zeros])
@pytest.mark.parametrize(("before", "size"), [(0, 2_000), (2, 1), (2, 2_000)])
def test_a_log_that_is_cut_within_a_turn_is_noticed_before_the_answer(
    filled: Path, cut: Callable[[Path], None], before: int, size: int
) -> None:
    """A large turn has written to the log before it commits; what is cut then would be a hole in it."""
    at_rest = filled.read_bytes()
    with engines.opened(filled) as ledger:
        ledger.store.connection.pragma("cache_size", 10)  # pages: it is large with little
        for _ in range(before):
            ledger.executor.run([CREDIT], "pay")

        def large_turn() -> None:
            with ledger.executor.turn("pay") as turn:
                turn.carry_out([CREDIT] * size)
                cut(beside(filled, "-wal"))

        with pytest.raises(StorageError, match="was cut or overwritten"):
            large_turn()
    assert filled.read_bytes()[:4096] == at_rest[:4096]
    with closing(
        apsw.Connection(f"file:{filled}?immutable=1", apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    ) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("content", [bytes(10), bytes(32), bytes(33), bytes(100_000), os.urandom(5_000)], ids=len)
def test_a_log_that_nobody_wrote_is_written_over(filled: Path, content: bytes) -> None:
    """As a power cut may leave it where a file grows before its content is there: SQLite takes it for an empty one."""
    beside(filled, "-wal").write_bytes(content)
    for number in (1, 2):
        assert cli.run(f"{WRITE} --key {number}").code == 0
    with engines.opened(filled) as ledger:
        ledger.executor.run([CREDIT] * 2_000, "pay")
        ledger.executor.run([CREDIT], "pay")
    assert cli.run("verify -q").out == "2004\n"


def test_a_writer_that_is_just_changing_the_index_keeps_no_reader_waiting(filled: Path) -> None:
    """Two copies of the index's header differ for a moment: SQLite calls that busy."""
    with engines.opened(filled) as ledger, closing(apsw.Connection(str(filled))) as writer:
        assert cli.run(WRITE).code == 0
        writer.execute("BEGIN IMMEDIATE")
        with beside(filled, "-shm").open("r+b") as index:
            first_of_two = index.read(48)
            index.seek(0)
            index.write(bytes(byte ^ 255 for byte in first_of_two))
            index.flush()
            connection = ledger.store.connection
            with pytest.raises(apsw.BusyError):
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
            ledger.store.check_in_place()
            index.seek(0)
            index.write(first_of_two)


def test_a_cut_that_is_seen_too_late_makes_holes_in_the_ledger(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deliberate fault: the log is not looked at."""
    monkeypatch.setattr(in_place.InPlace, "check_log", lambda _, **__: 0)
    with engines.opened(filled) as ledger, ledger.executor.turn("pay") as turn:
        ledger.store.connection.pragma("cache_size", 10)
        turn.carry_out([CREDIT] * 2_000)
        empty(beside(filled, "-wal"))
    assert cli.run("verify -q").code != 0


def test_what_is_answered_again_is_noted_by_who_answers(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever committed it was killed before they noted it."""
    keyed = f"{WRITE} --key again"
    with engines.opened(filled):
        with monkeypatch.context() as killed_then:
            killed_then.setattr(WriteLock, "note", lambda *_, **__: None)
            assert cli.run(keyed).code == 0
        assert cli.run(f"{keyed} --json").json["replayed"]
        assert cli.run("tx add 1 100 --credit --key first --json").json["id"] == "1-3"
        assert cli.run(f"{keyed} --json").json["replayed"]  # an older one takes nothing back
        kept = contents(filled.parent)
    for name, data in kept.items():
        (filled.parent / name).write_bytes(data)
    noted = WriteLock(beside(filled, ".lock")).last_commit()
    assert noted is not None
    assert noted.seq == 3
    beside(filled, "-wal").unlink()
    refused(filled, "verify", "committed transactions are missing, up to 1-3")


def test_a_log_that_others_cut_as_they_should_is_no_harm(filled: Path) -> None:
    with engines.opened(filled) as ledger, engines.opened(filled) as other:
        for _ in range(3):
            ledger.executor.run([CREDIT], "pay")
            other.store.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            assert beside(filled, "-wal").stat().st_size == 0
            other.executor.run([CREDIT], "pay")
    assert cli.run(READ).out == "106.00\n"


def test_an_older_copy_is_missed_unless_the_lock_went_too(filled: Path, tmp_path: Path) -> None:
    back_up(filled, tmp_path / "backup.db")
    assert cli.run(WRITE).code == 0
    (tmp_path / "backup.db").replace(filled)
    assert f"remove {filled}.lock" in refused(filled, "verify", "are missing")
    beside(filled, ".lock").unlink()
    assert cli.run(READ).out == "100.00\n"
    assert cli.run(WRITE).code == 0


@pytest.mark.parametrize("put", [replaced, overwritten])
def test_a_log_is_not_brought_into_a_copy_that_was_put_in_the_place(filled: Path, put: Harm, tmp_path: Path) -> None:
    back_up(filled, tmp_path / "backup.db")
    with killed(filled):
        put(filled, tmp_path / "backup.db")
        before = contents(filled.parent)
        for line in (WRITE, READ):
            assert "and keep them" in refused(filled, line, "wallet.db-wal belongs to another file")
        assert contents(filled.parent).items() >= before.items()


def test_nor_into_one_that_was_a_ledger_in_use(filled: Path, tmp_path: Path) -> None:
    shutil.copyfile(filled, tmp_path / "copy.db")
    with killed(filled):
        (tmp_path / "copy.db").replace(filled)
        refused(filled, WRITE, "wallet.db-wal belongs to another file")


def without_a_lock(path: Path) -> None:
    beside(path, ".lock").unlink()


def older_lock(path: Path) -> None:
    os.truncate(beside(path, ".lock"), 272)


def torn(path: Path) -> None:
    lock = beside(path, ".lock")
    found = bytearray(lock.read_bytes())
    found[-20] ^= 255
    lock.write_bytes(found)


def half_written(path: Path) -> None:
    os.truncate(beside(path, ".lock"), 300)


def of_another_ledger(path: Path) -> None:
    other = path.with_name("other.db")
    engines.tell(other, ["register 9886977544", "create 1", *["tx add 1 1 --credit"] * 5])
    shutil.copyfile(beside(other, ".lock"), beside(path, ".lock"))


def unreadable(path: Path) -> None:
    beside(path, ".lock").unlink()
    beside(path, ".lock").mkdir()


@pytest.mark.parametrize("lock", [without_a_lock, older_lock, torn, half_written, of_another_ledger, unreadable])
def test_a_lock_of_another_ledger_says_nothing_of_this_one(filled: Path, lock: Callable[[Path], None]) -> None:
    lock(filled)
    assert cli.run(READ).out == "100.00\n"
    if lock is not unreadable:
        assert cli.run(WRITE).code == 0
        noted = WriteLock(beside(filled, ".lock")).last_commit()
        assert noted is not None
        assert (noted.wallet_id, noted.seq) == (1, 2)


def test_each_bit_of_the_note_is_under_its_sum() -> None:
    whole = LastCommit(b"l" * 32, (1, 2), (3, 2**70), 4, 5, 6, 7, b"h" * 32).packed()
    assert len(whole) == LAST_COMMIT_BYTES
    assert LastCommit.unpacked(whole) == LastCommit(b"l" * 32, (1, 2), (3, 2**70), 4, 5, 6, 7, b"h" * 32)
    assert LastCommit.unpacked(whole[:-1]) is None
    for bit in range(8 * LAST_COMMIT_BYTES):
        edited = bytearray(whole)
        edited[bit // 8] ^= 1 << bit % 8
        assert LastCommit.unpacked(bytes(edited)) is None


def test_an_abandoned_turn_leaves_no_note(filled: Path) -> None:
    """As a dry run of an import is, with a line that is there already and a wallet that would be opened."""
    lines = filled.with_name("lines.csv")
    lines.write_text("wallet,amount,kind,key\n1,5,credit,k\n1/other,7,credit,l\n")
    assert cli.run(f"{WRITE} --key first").code == 0
    assert cli.run(["tx", "add", "1", "5", "--credit", "--key", "k"]).code == 0
    with engines.opened(filled) as ledger, ledger.executor.turn("import") as turn:
        turn.carry_out([Post(1, True, 500, key="k")])
        turn.carry_out([OpenWallet(1, "other", Currency("INR", 2), None)])
        turn.abandon()
    assert cli.run(f"import {lines} --create --dry-run").code == 0
    assert cli.run(READ).out == "106.00\n"
    assert cli.run(WRITE).code == 0


def test_a_note_that_cannot_be_written_hurts_nobody(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as there:
        there.setattr(write_lock, "LAST_COMMIT_AT", -1)  # EINVAL from the kernel
        assert cli.run(WRITE).code == 0
    assert cli.run(READ).out == "101.00\n"


def test_without_the_note_a_deleted_log_goes_unnoticed(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deliberate fault of the note: that it is not asked."""
    monkeypatch.setattr("wallet_cli.operations.context.check_last_commit", lambda *_: None)
    with killed(filled):
        beside(filled, "-wal").unlink()
        assert cli.run("verify -q").out == "1\n"


# Read-only.


@needs_root
@pytest.mark.parametrize("access", ["told", "not told"])
def test_a_ledger_on_a_read_only_mount_is_read(filled: Path, access: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody may ask what may be written: permissions are not all that it hangs on."""
    folder = filled.parent / "kept"
    folder.mkdir()
    shutil.copyfile(filled, folder / "wallet.db")
    before = contents(folder)
    with mounted(folder, folder, "ro"):
        if access == "not told":
            monkeypatch.setattr(os, "access", lambda *_: True)
        assert cli.run(f"--db {folder}/wallet.db {READ}").out == "100.00\n"
        assert cli.run(f"--db {folder}/wallet.db verify -q").out == "1\n"
        refused(folder / "wallet.db", WRITE, "")
    assert contents(folder) == before


# Without locks, stopped, and at a limit.


def test_where_there_are_no_locks_nothing_is_written(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(37, "No locks available")

    with monkeypatch.context() as there:
        there.setattr("fcntl.flock", no_locks)
        refused(filled, WRITE, "cannot take the lock")
    assert cli.run(READ).out == "100.00\n"


def test_a_holder_that_is_stopped_is_waited_for_and_goes_on(filled: Path) -> None:
    with processes.held(WriteLock, beside(filled, ".lock"), "settling") as holder:
        holder.send_signal(signal.SIGSTOP)
        try:
            os.environ["WALLET_LOCK_TIMEOUT"] = "0.2"
            done = cli.run(f"{WRITE} --json")
        finally:
            del os.environ["WALLET_LOCK_TIMEOUT"]
            holder.send_signal(signal.SIGCONT)
        assert (done.code, done.error["code"]) == (6, "busy")
        assert done.error["details"]["holder"]["pid"] == holder.pid
        assert cli.run(READ).out == "100.00\n"
    assert cli.run(WRITE).code == 0


LIMITS = [
    *((resource.RLIMIT_FSIZE, 300), (resource.RLIMIT_FSIZE, 65_536), (resource.RLIMIT_NOFILE, 6)),
    *((resource.RLIMIT_NOFILE, 8), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_FSIZE, 4096)),
    *((resource.RLIMIT_FSIZE, 110_000), (resource.RLIMIT_NOFILE, 4), (resource.RLIMIT_NOFILE, 12)),
]


@pytest.mark.parametrize(("limit", "value"), LIMITS[: size(4, len(LIMITS))])
def test_at_a_limit_it_is_done_or_is_refused(filled: Path, limit: int, value: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, *f"{WRITE} --key k --json".split()],
        cwd=tmp_path,
        env=surroundings(tmp_path),
        capture_output=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(limit, (value, value)),
    )
    balance = cli.run(READ).out
    if done.returncode == 0:
        assert (json.loads(done.stdout)["balance"], balance) == ("101.00", "101.00\n")
    else:
        assert done.stdout == b""
    assert cli.run(f"{WRITE} --key k").code == 0
    assert cli.run(READ).out == "101.00\n"
    assert cli.run("verify -q").out == "2\n"


def test_a_lock_that_is_removed_while_it_is_waited_for_gives_no_turn(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = WriteLock(beside(filled, ".lock"))
    with processes.held(WriteLock, lock.path) as holder:
        assert holder.stdin is not None
        fd = lock._open()
        lock.path.unlink()
        holder.stdin.close()
        monkeypatch.setattr(lock, "_open", lambda: fd)
        with pytest.raises(Busy, match="was removed"):
            lock.turn(5.0, "waiting").__enter__()
    assert cli.run(WRITE).code == 0
