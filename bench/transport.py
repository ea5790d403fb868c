"""Import and export as whole processes, against the bare database and the bare `csv` module in the same run.

Limits: `wallet import` of 1,000,000 lines at least 0.5 × bare `executemany` of the same rows into the same tables,
under 200 MB of memory; `wallet export` at least 0.5 × reading the rows and writing them with `csv`. WALLET_BENCH_LINES
sets another number of lines. Rows are inserted as `import` made them and in the order of the file, once in a single
transaction and once in transactions of as many rows as a batch of `import` has, each of which is synced.
"""

from __future__ import annotations

import csv
import os
import random
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from common import done, fact, figure, ledger, scratch, wallet_command

from wallet_cli.import_export.imports import BATCH_LINES
from wallet_cli.storage import sql
from wallet_cli.storage.sqlite import connect, set_up

LINES = int(os.environ.get("WALLET_BENCH_LINES", "1_000_000"))
WALLETS = 1_000
IMPORT_LIMIT = EXPORT_LIMIT = 0.5
MEMORY_LIMIT_MB = 200
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


def rows() -> Iterator[tuple[str, ...]]:
    """Lines as a shop would have them: a time, a note on every other one, a key on each."""
    chance = random.Random(4)
    for number in range(LINES):
        at = BEGIN + timedelta(seconds=20 * number, microseconds=number % 1_000_000)
        wallet = f"98{chance.randrange(WALLETS):08}"
        kind = "credit" if chance.random() < 0.7 else "debit"
        amount = f"{chance.randrange(1, 5_000 if kind == 'credit' else 1_000)}.{chance.randrange(100):02}"
        note = f"order {number}" if number % 2 else ""
        yield wallet, amount, kind, at.isoformat(timespec="microseconds").replace("+00:00", "Z"), note, f"key-{number}"


def write(path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("wallet", "amount", "kind", "at", "note", "key"))
        writer.writerows(rows())


def process(arguments: list[str], out: Path) -> tuple[float, float]:
    """Run a command; seconds, and the most memory that any child of this process has had by then, in MB."""
    begun = time.perf_counter()
    with out.open("wb") as file:
        finished = subprocess.run([*wallet_command(), *arguments], stdout=file, stderr=subprocess.PIPE, check=False)
    taken = time.perf_counter() - begun
    if finished.returncode not in (0, 4):
        raise SystemExit(finished.stderr.decode()[:1000])
    return taken, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def bare(empty: Path, path: Path, tables: dict[str, list[Any]], size: int | None) -> float:
    """Insert rows, ready-made, with the pragmas of a ledger; all at once, or `size` a transaction. Seconds."""
    shutil.copyfile(empty, path)
    connection = connect(path, 0.0)
    set_up(connection)
    begun = time.perf_counter()
    for statement, values in tables.items():
        for first in range(0, len(values), size or len(values)):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, values[first : first + (size or len(values))])
            connection.execute("COMMIT")
    taken = time.perf_counter() - begun
    connection.close()
    return taken


def read_and_write(path: Path, out: Path) -> float:
    """Read all transactions and write them with `csv`, as rows come. Seconds."""
    connection = connect(path, 0.0)
    begun = time.perf_counter()
    with out.open("w", newline="") as file:
        csv.writer(file).writerows(connection.execute("SELECT * FROM transactions ORDER BY wallet_id, seq"))
    taken = time.perf_counter() - begun
    connection.close()
    return taken


def main() -> None:
    with scratch() as folder:
        file, empty, db = folder / "lines.csv", folder / "empty.db", folder / "wallet.db"
        write(file)
        with ledger(empty):
            pass  # made
        taken, memory = process(["import", str(file), "--create", "--json"], folder / "summary.json")
        print((folder / "summary.json").read_text().strip())
        figure("import", LINES / taken, "/s")
        with ledger(db) as opened:
            made = {
                sql.INSERT_USER: list(opened.store.users()),
                sql.UPSERT_WALLET: [sql.wallet_values(wallet) for wallet in opened.store.wallets()],
                sql.INSERT_TRANSACTION: opened.store.connection.execute(
                    f"SELECT {', '.join(sql.TRANSACTION_COLUMNS)} FROM transactions ORDER BY at_us"
                ).fetchall(),
            }
        count = len(made[sql.INSERT_TRANSACTION])
        one = bare(empty, folder / "one.db", made, None)
        many = bare(empty, folder / "many.db", made, BATCH_LINES)
        made.clear()
        figure("bare executemany, one transaction", count / one, "/s")
        figure(f"bare executemany, {BATCH_LINES} rows a transaction", count / many, "/s")
        figure("import / executemany in one transaction", one / taken, "x", at_least=IMPORT_LIMIT)
        figure(f"import / executemany of {BATCH_LINES} rows a transaction", many / taken, "x", at_least=IMPORT_LIMIT)
        figure("memory of the import", memory, "MB", at_most=MEMORY_LIMIT_MB)

        again, _ = process(["import", str(file), "--create", "--json"], folder / "again.json")
        fact("the same import again applies nothing", '"applied": 0' in (folder / "again.json").read_text())
        figure("import again, all replayed", LINES / again, "/s")

        for form in ("jsonl", "csv", "hledger", "beancount"):
            peer = read_and_write(db, folder / "peer.csv")
            spent, _ = process(["export", "--format", form], folder / f"export.{form}")
            limit = EXPORT_LIMIT if form in ("jsonl", "csv") else None
            figure(f"export to {form}", count / spent, "/s")
            figure(f"export to {form} / csv of the rows", peer / spent, "x", at_least=limit)
        restored = folder / "restored.db"
        spent, _ = process(["--db", str(restored), "import", str(folder / "export.jsonl"), "--json"], folder / "r.json")
        figure("import of the export", count / spent, "/s")
        process(["--db", str(restored), "export"], folder / "restored.jsonl")
        same = (folder / "restored.jsonl").read_bytes() == (folder / "export.jsonl").read_bytes()
        fact("import of the export, exported again: the same bytes", same)
    done()


if __name__ == "__main__":
    main()
