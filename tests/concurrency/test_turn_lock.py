"""Turns to write: one contract, kept by the kernel's lock and by the one that polls."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import cli, processes

from wallet_cli.engine.fair_queue import COUNTERS_AT
from wallet_cli.engine.polling_lock import PollingWriteLock
from wallet_cli.engine.turns import open_write_lock
from wallet_cli.engine.write_lock import HOLDER_BYTES, WriteLock
from wallet_cli.errors import Busy, StorageError

LOCKS = [WriteLock, PollingWriteLock]
PATIENCE_S = 60.0
"""Longer than any wait that is to end well."""

both = pytest.mark.parametrize("lock", LOCKS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wallet.db.lock"


class NoTurn(WriteLock):
    """A deliberate fault: everybody has the turn."""

    @contextmanager
    def turn(self, timeout_s: float, command: str) -> Iterator[None]:
        yield


# Mutual exclusion: a counter in a file, which each reads, then writes one higher, with nothing but the turn to protect
# it. Work that overlaps loses counts.


def count(lock: WriteLock, counter: Path, times: int) -> None:
    for _ in range(times):
        with lock.turn(PATIENCE_S, "counting"):
            seen = int(counter.read_text())
            time.sleep(0.0002)  # room for the others to overlap, if they can
            counter.write_text(str(seen + 1))


def count_in_processes(lock: type[WriteLock], path: Path, counter: Path, workers: int, times: int) -> None:
    processes.race([lambda: count(lock(path), counter, times)] * workers)


def count_in_threads(lock: type[WriteLock], path: Path, counter: Path, workers: int, times: int) -> None:
    threads = [threading.Thread(target=count, args=(lock(path), counter, times)) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def counted_in_processes(lock: str, path: Path, counter: Path, workers: int, times: int) -> None:
    """For a process of its own, where this module has another name: the lock by its name."""
    count_in_processes(globals()[lock], path, counter, workers, times)


def counted(lock: type[WriteLock], path: Path, where: str) -> tuple[int, int]:
    """What several workers counted to, and what they should have."""
    counter = path.with_name("counter")
    counter.write_text("0")
    workers, times = 6, 50
    if where == "processes":
        processes.alone(counted_in_processes, lock.__name__, path, counter, workers, times)
    else:
        count_in_threads(lock, path, counter, workers, times)
    # A reader that overlaps a writer may find an empty file, which ends it early; that too is seen here.
    return int(counter.read_text() or 0), workers * times


@pytest.mark.parametrize("where", ["processes", "threads"])
@both
def test_one_at_a_time(lock: type[WriteLock], path: Path, where: str) -> None:
    reached, due = counted(lock, path, where)
    assert reached == due


def test_the_count_shows_a_lock_that_locks_nothing(path: Path) -> None:
    counter = path.with_name("counter")
    counter.write_text("0")
    met = threading.Barrier(2)

    def count_once() -> None:
        with NoTurn(path).turn(PATIENCE_S, "counting"):
            seen = int(counter.read_text())
            met.wait(PATIENCE_S)
            counter.write_text(str(seen + 1))

    threads = [threading.Thread(target=count_once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert int(counter.read_text()) == 1


# A wait is bounded, and says who was waited for, on each of the ways in which a lock can wait.


def in_main_thread(work: Callable[[], Any]) -> Any:
    """Where an alarm can end the wait."""
    assert threading.current_thread() is threading.main_thread()
    return work()


def in_another_thread(work: Callable[[], Any]) -> Any:
    """Where no alarm rings."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join(PATIENCE_S)
    return results[0]


def beside_a_timer(work: Callable[[], Any]) -> Any:
    """In the main thread, while an alarm of the program's own is set, which has to be left alone."""
    rung: list[int] = []

    def ring(number: int, _frame: object) -> None:
        rung.append(number)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        result = work()
        left_s, interval_s = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left_s <= PATIENCE_S
        assert interval_s == 0
        assert signal.getsignal(signal.SIGALRM) is ring
        assert not rung
        return result
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


places = pytest.mark.parametrize("place", [in_main_thread, in_another_thread, beside_a_timer])


def attempt(lock: WriteLock, timeout_s: float) -> Busy | None:
    """What keeps us from the turn, if anything."""
    try:
        with lock.turn(timeout_s, "asking"):
            return None
    except Busy as busy:
        return busy


@pytest.mark.parametrize("timeout_s", [0, 0.05])
@places
@both
def test_a_wait_ends_and_names_the_holder(
    lock: type[WriteLock], path: Path, place: Callable[[Callable[[], Any]], Any], timeout_s: float
) -> None:
    with processes.held(lock, path, "settling accounts") as holder:
        busy = place(lambda: attempt(lock(path), timeout_s))
    assert isinstance(busy, Busy)
    named = busy.details["holder"]
    assert named["pid"] == holder.pid
    assert named["command"] == "settling accounts"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", named["since"])
    for word in (f"process {holder.pid}", "settling accounts", named["since"], f"{timeout_s:g} s"):
        assert word in busy.message
    assert busy.retryable
    assert attempt(lock(path), PATIENCE_S) is None


@places
@both
def test_the_turn_comes_when_it_is_given_up(
    lock: type[WriteLock], path: Path, place: Callable[[Callable[[], Any]], Any]
) -> None:
    with processes.held(lock, path) as holder:
        assert holder.stdin is not None
        # Given up while somebody waits, or just before; either way the turn comes.
        threading.Thread(target=holder.stdin.close).start()
        assert place(lambda: attempt(lock(path), PATIENCE_S)) is None


@pytest.mark.parametrize("counter", [2**63 - 2, 2**63, 2**64 - 1, int.from_bytes(b"\xa5" * 8, "little")])
def test_whatever_a_power_cut_left_in_the_lock_it_works(path: Path, counter: int) -> None:
    # It is not synced: where the file grew, old data of the disk may be in it.
    path.write_bytes(b"\xa5" * COUNTERS_AT + counter.to_bytes(8, "little") + b"\xa5" * 8)
    assert WriteLock(path).holder() is None
    for _ in range(2):
        with processes.held(WriteLock, path) as holder:
            assert holder.stdin is not None
            assert isinstance(attempt(WriteLock(path), 0.05), Busy)
            threading.Thread(target=holder.stdin.close).start()
            assert attempt(WriteLock(path), PATIENCE_S) is None


@both
def test_the_time_to_wait_is_bounded_whatever_was_asked_for(lock: type[WriteLock], path: Path) -> None:
    # More seconds than a timer takes.
    with processes.held(lock, path) as holder:
        assert holder.stdin is not None
        threading.Thread(target=holder.stdin.close).start()
        assert attempt(lock(path), 1e12) is None


def short_waits(path: Path) -> int:
    """Wait in vain for times around that which it takes to fall asleep; how often that ended."""
    lock = WriteLock(path)
    steps = 2_000
    for step in range(steps):
        assert isinstance(attempt(lock, (step % 50 + 1) / 1e6), Busy)
    return steps


def test_an_alarm_that_rings_before_the_wait_begins_still_ends_it(path: Path) -> None:
    # A signal is handled before the call that sleeps, or ends it; one that arrives just between must not be lost.
    with processes.held(WriteLock, path):
        code = f"""
import sys
sys.path.insert(0, {str(processes.TESTS)!r})
from support import processes
processes.import_wallet()
import runpy
from pathlib import Path
print(runpy.run_path({__file__!r})["short_waits"](Path(sys.argv[1])))
"""
        try:
            done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=20)
        except subprocess.TimeoutExpired:
            pytest.fail("a wait did not end")
    assert (done.returncode, done.stdout) == (0, "2000\n"), done.stderr


@both
def test_a_waiter_leaves_alarms_as_they_were(lock: type[WriteLock], path: Path) -> None:
    def ring(_number: int, _frame: object) -> None:
        raise AssertionError("no alarm was set")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with processes.held(lock, path) as holder:
            assert attempt(lock(path), 0.01) is not None
            assert signal.getsignal(signal.SIGALRM) is ring
            assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
            assert holder.stdin is not None
            threading.Thread(target=holder.stdin.close).start()
            assert attempt(lock(path), PATIENCE_S) is None
        assert signal.getsignal(signal.SIGALRM) is ring
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        signal.signal(signal.SIGALRM, before)


# The turn is given up however it ends.


@both
def test_a_holder_that_is_killed_holds_nothing(lock: type[WriteLock], path: Path) -> None:
    with processes.held(lock, path) as holder:
        holder.kill()
        holder.wait()
        assert attempt(lock(path), PATIENCE_S) is None
        # Its name still stands in the file, but nobody is named who is not there.
        path.write_text(f"{holder.pid} 2026-11-22T10:00:00.000000Z settling".ljust(HOLDER_BYTES))
        assert lock(path).holder() is None


@both
def test_an_exception_gives_the_turn_up(lock: type[WriteLock], path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock(path).turn(0, "failing"):
        raise ZeroDivisionError
    assert attempt(lock(path), 0) is None


@both
def test_a_wait_in_vain_leaves_no_claim(lock: type[WriteLock], path: Path) -> None:
    """A thread that stopped waiting must not be given the turn, and keep it, later."""
    with processes.held(lock, path):
        assert in_another_thread(lambda: attempt(lock(path), 0.01)) is not None
    assert attempt(lock(path), PATIENCE_S) is None


@both
def test_waits_in_vain_do_not_add_up(lock: type[WriteLock], path: Path) -> None:
    """A server asks again and again while somebody keeps the turn: it has the turn once that is over."""
    asked = lock(path)

    def used() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    with processes.held(lock, path):
        assert in_another_thread(lambda: attempt(asked, 0.01)) is not None
        before = used()
        for _ in range(5):
            assert in_another_thread(lambda: attempt(asked, 0.01)) is not None
        assert used() == before
        results: list[Any] = []
        last = threading.Thread(target=lambda: results.append(attempt(asked, PATIENCE_S)))
        last.start()
    last.join(PATIENCE_S)
    assert results == [None]
    assert attempt(lock(path), PATIENCE_S) is None


def test_who_waited_for_a_lock_that_was_replaced_waits_for_the_new_one(path: Path) -> None:
    asked = WriteLock(path)
    with processes.held(WriteLock, path):
        assert in_another_thread(lambda: attempt(asked, 0.01)) is not None
        path.unlink()
        path.touch(0o600)
        with processes.held(WriteLock, path):
            assert in_another_thread(lambda: attempt(asked, 0.01)) is not None
        assert in_another_thread(lambda: attempt(asked, PATIENCE_S)) is None


@both
def test_a_child_process_does_not_inherit_the_turn(lock: type[WriteLock], path: Path) -> None:
    with lock(path).turn(0, "parent"):
        # Every descriptor that is inheritable goes to this child, which outlives the turn.
        code = "import sys; print('begun', flush=True); sys.stdin.read()"
        child = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, close_fds=False)
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
    with child:
        assert attempt(lock(path), 0) is None
        child.communicate()


@both
def test_the_same_lock_serves_again(lock: type[WriteLock], path: Path) -> None:
    one = lock(path)
    for _ in range(3):
        with one.turn(0, "again"):
            assert attempt(lock(path), 0) is not None


# The file.


@both
def test_the_file_stays_and_is_the_owners_alone(lock: type[WriteLock], path: Path) -> None:
    before = os.umask(0)
    try:
        with lock(path).turn(0, "first"):
            during = {file.name: file.stat().st_ino for file in path.parent.glob("*.lock*")}
            assert path.name in during
    finally:
        os.umask(before)
    with lock(path).turn(0, "second"):
        pass
    after = {file.name: file.stat().st_ino for file in path.parent.glob("*.lock*")}
    assert after == during  # a waiter on a deleted file would share a lock with nobody
    for name in after:
        assert stat.S_IMODE(path.with_name(name).stat().st_mode) == 0o600, name


NOBODY = 65534
by_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.mark.parametrize(("ledger", "lock"), [(0o600, 0o600), (0o644, 0o600), (0o660, 0o660), (0o440, 0o600)])
def test_who_may_take_the_turn_is_who_may_write_the_ledger(path: Path, ledger: int, lock: int) -> None:
    path.with_suffix("").touch()
    path.with_suffix("").chmod(ledger)
    with WriteLock(path).turn(0, "first"):
        assert stat.S_IMODE(path.stat().st_mode) == lock


@by_root
def test_a_lock_made_by_root_belongs_to_the_ledgers_owner(path: Path) -> None:
    path.with_suffix("").touch()
    os.chown(path.with_suffix(""), NOBODY, NOBODY)
    with WriteLock(path).turn(0, "first"):
        assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOBODY)


def test_a_lock_that_somebody_else_made_is_not_given_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty file that is there may be a link to anything, put there for root to open."""
    path.with_suffix("").touch()
    path.touch()
    given: list[int] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda fd, *_: given.append(fd))
    with WriteLock(path).turn(0, "first"):
        assert not given
    path.unlink()
    with WriteLock(path).turn(0, "first"):
        assert given


@by_root
def test_a_lock_of_another_owner_is_told_with_what_to_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.with_suffix("").touch()
    path.touch()
    os.chown(path.with_suffix(""), NOBODY, NOBODY)

    def refused(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(StorageError, match="Permission denied") as raised, WriteLock(path).turn(0, "first"):
        pytest.fail("it may not be opened")
    owner = path.with_suffix("").owner()
    assert raised.value.hint == f"it belongs to root, but the ledger to {owner}: `sudo chown {owner} {path}`"


@both
def test_a_holder_is_named_on_one_line_of_fixed_length(lock: type[WriteLock], path: Path) -> None:
    for command in ("x" * 1_000, "tx add", "ж" * 200):
        with lock(path).turn(0, command):
            assert path.stat().st_size == HOLDER_BYTES
            holder = lock(path).holder()
            assert holder is not None
            assert holder.pid == os.getpid()
            assert command.startswith(holder.command.rstrip("\ufffd"))
            assert holder.command


@pytest.mark.parametrize("text", ["", "\n", "nobody", "x y z", "999999999999999999999 a b", "0"])
def test_a_file_that_names_nobody_is_no_error(path: Path, text: str) -> None:
    path.write_text(text)
    assert WriteLock(path).holder() is None


@both
def test_a_folder_that_is_not_there_is_a_storage_error(lock: type[WriteLock], path: Path) -> None:
    with pytest.raises(StorageError), lock(path / "nowhere").turn(0, "writing"):
        pytest.fail("there is nothing to lock")


def test_this_system_has_the_kernels_lock(path: Path) -> None:
    assert type(open_write_lock(path)) is WriteLock


def test_a_system_without_fcntl_polls(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wallet_cli.engine.write_lock.HAVE_FLOCK", False)
    assert type(open_write_lock(path)) is PollingWriteLock


# Ctrl-C.

WAITS_IN_KERNEL = """
import fcntl
flock = fcntl.flock
def announced(descriptor, how):
    if not how & fcntl.LOCK_NB:
        os.write(fd, b"waiting\\n")
    flock(descriptor, how)
fcntl.flock = announced
"""
WAITS_BY_POLLING = """
import filelock, wallet_cli.engine.write_lock
wallet_cli.engine.write_lock.HAVE_FLOCK = False
acquire = filelock.FileLock.acquire
def announced(*arguments, **options):
    os.write(fd, b"waiting\\n")
    return acquire(*arguments, **options)
filelock.FileLock.acquire = announced
"""


@pytest.mark.on_file("the turn of a file")
@pytest.mark.parametrize(
    ("lock", "patch"), [(WriteLock, WAITS_IN_KERNEL), (PollingWriteLock, WAITS_BY_POLLING)], ids=["kernel", "polling"]
)
def test_ctrl_c_ends_the_wait_and_leaves_nothing(
    lock: type[WriteLock], patch: str, db: Path, wallet: Callable[[str], cli.Outcome]
) -> None:
    assert wallet("register 9886977544").code == 0
    assert wallet("create 1").code == 0
    with processes.held(lock, db.with_name(db.name + ".lock")):
        waiter = processes.Wallet(["tx", "add", "1", "5", "--credit", "--json", "--key", "k"], patch)
        waiter.begun()
        waiter.said("waiting")
        waiter.process.send_signal(signal.SIGINT)
        done = waiter.finish()
    assert done.code == 130
    assert done.out == ""
    assert done.error["code"] == "interrupted"
    assert wallet("balance 1 -q").out == "0.00\n"
    assert wallet("verify").code == 0
    assert attempt(lock(db.with_name(db.name + ".lock")), PATIENCE_S) is None
    assert wallet("tx add 1 5 --credit --json --key k").json.get("replayed") is None


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO])
@pytest.mark.parametrize("in_thread", [False, True])
def test_a_lock_that_cannot_be_had_is_a_storage_error_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, taken: bool, in_thread: bool
) -> None:
    def broken(fd: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX or (operation != fcntl.LOCK_UN and not taken):
            raise OSError(number, os.strerror(number))
        if operation != fcntl.LOCK_UN:
            raise BlockingIOError(errno.EAGAIN, "taken")

    caught: list[StorageError] = []

    def take() -> None:
        try:
            with WriteLock(path).turn(PATIENCE_S, "writing"):
                pass
        except StorageError as error:
            caught.append(error)

    monkeypatch.setattr(fcntl, "flock", broken)
    started_s = time.monotonic()
    if in_thread:
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    else:
        take()
    assert time.monotonic() - started_s < PATIENCE_S
    assert os.strerror(number) in caught[0].message
    assert ("no working locks" in (caught[0].hint or "")) is (number != errno.EIO)
