"""Turns: 24 processes that contend for one lock, each turn 0.5 ms of work.

Limits for the wallet's lock: the 99th of 100 waits at most 3 × the median wait, and no process served less than half
as often as another. Beside it, without limits: the same lock by polling, `filelock` as it comes, and SQLite's own busy
handler.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import apsw
import filelock
from common import done, figure, median, percentile, scratch

from wallet_cli.engine.polling_lock import PollingWriteLock
from wallet_cli.engine.write_lock import WriteLock
from wallet_cli.storage.sqlite import connect

PROCESSES = 24
TURNS = 60
WORK_S = 0.0005
WINDOW_S = 1.0
"""How long turns are counted for, while all of them contend."""
TIMEOUT_S = 60.0
P99_LIMIT = 3.0
SERVED_LIMIT = 0.5

Take = Callable[[], AbstractContextManager[object]]


def work() -> None:
    until = time.perf_counter() + WORK_S
    while time.perf_counter() < until:
        pass


def kernel(path: Path) -> Take:
    lock = WriteLock(path)
    return lambda: lock.turn(TIMEOUT_S, "contending")


def polling(path: Path) -> Take:
    lock = PollingWriteLock(path)
    return lambda: lock.turn(TIMEOUT_S, "contending")


def plain_filelock(path: Path) -> Take:
    lock = filelock.FileLock(path, timeout=TIMEOUT_S)
    return lock.acquire


def busy_handler(path: Path) -> Take:
    connection = connect(path, TIMEOUT_S, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    connection.execute("PRAGMA journal_mode=WAL")

    @contextmanager
    def take() -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")

    return take


def turn(take: Take) -> float:
    """Take one turn; how long it was waited for, in milliseconds."""
    begun = time.perf_counter()
    with take():
        waited_ms = (time.perf_counter() - begun) * 1000
        work()
    return waited_ms


def contend(make: Callable[[Path], Take], path: Path, job: Callable[[Take], object]) -> list[object]:
    """Let all processes do a job with the same lock at the same time; what each returns."""
    gate, opened = os.pipe()
    children = []
    for _ in range(PROCESSES):
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            take = make(path)
            os.close(opened)
            os.read(gate, 1)
            with os.fdopen(writer, "wb") as answer:
                pickle.dump(job(take), answer)
            os._exit(0)
        os.close(writer)
        children.append((pid, reader))
    os.close(opened)
    os.close(gate)
    answers = []
    for pid, reader in children:
        with os.fdopen(reader, "rb") as answer:
            answers.append(pickle.loads(answer.read()))
        os.waitpid(pid, 0)
    return answers


def waits(take: Take) -> list[float]:
    return [turn(take) for _ in range(TURNS)]


def served(take: Take) -> int:
    """How many turns came within a window in which all contend."""
    until = time.perf_counter() + WINDOW_S
    count = 0
    while True:
        turn(take)
        if time.perf_counter() > until:
            return count
        count += 1


def measure(name: str, make: Callable[[Path], Take], path: Path, *, limits: bool) -> None:
    begun = time.perf_counter()
    found = sorted(wait for each in contend(make, path, waits) for wait in each)  # type: ignore[attr-defined]
    whole_s = time.perf_counter() - begun
    counts: list[int] = contend(make, path, served)  # type: ignore[assignment]
    middle, p99 = median(found), percentile(found, 99)
    figure(f"{name}: all of {PROCESSES} x {TURNS} turns", whole_s, "s")
    figure(f"{name}: median wait", middle, "ms")
    figure(f"{name}: 99th of 100 waits", p99, "ms")
    figure(f"{name}: longest wait", found[-1], "ms")
    ratio = p99 / middle if middle else float("inf")
    figure(f"{name}: 99th / median", ratio, "x", at_most=P99_LIMIT if limits else None)
    share = min(counts) / max(counts)
    figure(f"{name}: least / most served", share, "x", at_least=SERVED_LIMIT if limits else None)


def main() -> None:
    with scratch() as folder:
        measure("kernel lock", kernel, folder / "kernel.lock", limits=True)
        measure("polling lock", polling, folder / "polling.lock", limits=False)
        measure("filelock as it comes", plain_filelock, folder / "plain.lock", limits=False)
        measure("SQLite's busy handler", busy_handler, folder / "busy.db", limits=False)
    done()


if __name__ == "__main__":
    main()
