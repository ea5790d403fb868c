"""The executor in process, against a bare DB-API loop that inserts the same rows with the same pragmas.

Limits: one command a commit at least 0.6 × the bare loop, batches of 500 at least 0.4 × bare `executemany`; both
without notes and keys. Beside it, with keys.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import done, figure, ledger, median, open_wallet, scratch

from wallet_cli.domain.commands import Post
from wallet_cli.operations.context import Ledger
from wallet_cli.storage import sql
from wallet_cli.storage.sqlite import connect, set_up

ROUNDS = 7
SINGLES = 1_000
BATCH = 500
BATCHES = 60
SINGLE_LIMIT = 0.6
BATCH_LIMIT = 0.4


def posts(count: int, *, keys: bool) -> list[Post]:
    return [Post(1, n % 3 != 2, 100 + n % 50, key=f"key-{n:08}" if keys else None) for n in range(count)]


def through_executor(opened: Ledger, commands: list[Post], size: int) -> float:
    """Carry out commands in batches; the seconds that it took."""
    run = opened.executor.run
    begun = time.perf_counter()
    for first in range(0, len(commands), size):
        run(commands[first : first + size], "bench")
    return time.perf_counter() - begun


def bare(path: Path, rows: list[tuple[Any, ...]], size: int) -> float:
    """Insert the same rows, ready-made, in transactions of the same size."""
    connection = connect(path, 0.0)
    set_up(connection)
    begun = time.perf_counter()
    if size == 1:
        for row in rows:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(sql.INSERT_TRANSACTION, row)
            connection.execute("COMMIT")
    else:
        for first in range(0, len(rows), size):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(sql.INSERT_TRANSACTION, rows[first : first + size])
            connection.execute("COMMIT")
    taken = time.perf_counter() - begun
    connection.close()
    return taken


def measure(folder: Path, empty: Path, name: str, count: int, size: int, limit: float | None, *, keys: bool) -> None:
    commands = posts(count, keys=keys)

    def fresh(side: str) -> Path:
        path = folder / f"{side}.db"
        for old in folder.glob(f"{side}.db*"):
            old.unlink()
        shutil.copyfile(empty, path)
        return path

    with ledger(fresh("rows")) as opened:
        through_executor(opened, commands, BATCH)
        rows = [sql.transaction_values(row) for row in opened.store.oldest_first(1)]
    ratios, rates, peers = [], [], []
    for round_ in range(ROUNDS + 1):
        sides: list[Callable[[], float]] = [
            lambda: _in_ledger(fresh("executor"), commands, size),
            lambda: bare(fresh("bare"), rows, size),
        ]
        order = (0, 1) if round_ % 2 else (1, 0)
        taken = {which: sides[which]() for which in order}
        if round_:
            ratios.append(taken[1] / taken[0])
            rates.append(count / taken[0])
            peers.append(count / taken[1])
    figure(f"{name}: executor", median(rates), "/s")
    figure(f"{name}: bare", median(peers), "/s")
    figure(f"{name}: executor / bare", median(ratios), "x", at_least=limit)


def _in_ledger(path: Path, commands: list[Post], size: int) -> float:
    with ledger(path) as opened:
        return through_executor(opened, commands, size)


def main() -> None:
    with scratch() as folder:
        empty = folder / "empty.db"
        open_wallet(empty)
        for keys in (False, True):
            what = ", with keys" if keys else ""
            measure(folder, empty, f"one a commit{what}", SINGLES, 1, None if keys else SINGLE_LIMIT, keys=keys)
            name = f"batches of {BATCH}{what}"
            measure(folder, empty, name, BATCH * BATCHES, BATCH, None if keys else BATCH_LIMIT, keys=keys)
    done()


if __name__ == "__main__":
    main()
