"""`wallet serve` under load, against a Flask app of the original design, a no-op endpoint, and a bare commit loop.

All of it in one run, turn by turn, on scratch ledgers; the load comes from `wrk` with one thread, on the same machine.

    apt-get install wrk
    pip install . '.[serve]' flask flask-sqlalchemy
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from common import done, fact, figure, median, open_wallet, scratch, wallet_command

from wallet_cli.domain.model import Transaction
from wallet_cli.storage import sql
from wallet_cli.storage.sqlite import connect, set_up

ROUNDS = int(os.environ.get("WALLET_BENCH_ROUNDS", "7"))
SECONDS = 3
CONNECTIONS = 64
BATCH_CONNECTIONS = 4
BATCHES = (500, 1_000, 5_000)
SINGLES = 600
MEMORY_LIMIT_MB = 120
PEERS = Path(__file__).parent / "peers"

BODY = {"user_id": 1, "wallet_id": 1, "amount": 20, "is_credit": True}

SERVER_WITH_NOOP = """
from wallet_cli.__main__ import start
from wallet_cli.domain.money import Currency, parse_amount
from wallet_cli.operations.fields import Transaction
from wallet_cli.web import app
from wallet_cli.web.auth import Caller
from wallet_cli.web.requests import NewTransaction, amount_text, decode
from wallet_cli.web.messages import Reply
from wallet_cli.web.operations import Operation

RUPEES = Currency("INR", 2)
DATA = {
    "id": "1-1", "wallet_id": 1, "seq": 1, "kind": "credit", "is_credit": True, "amount": "20.00", "balance": "20.00",
    "currency": "INR", "at": "2026-11-22T10:00:00.000000Z", "note": None, "key": None,
}

async def noop(server, call):
    body = decode(await call.body(), NewTransaction)
    call.query()
    parse_amount(amount_text(body.amount), RUPEES)
    call.key()
    return Reply(201, "nothing done", DATA)

app.OPERATIONS += (Operation("POST", "/noop", noop, "Do nothing", Transaction, (), Caller.must_write, NewTransaction),)
start()
"""
"""`wallet serve` with one more endpoint, which does all that a transaction needs but the ledger."""


class Load(NamedTuple):
    """What wrk found: requests a second, and milliseconds."""

    rate: float
    p50: float
    p99: float


class Target(NamedTuple):
    """An endpoint, and the wrk script that asks it."""

    url: str
    script: Path

    def load(self, connections: int = CONNECTIONS, seconds: int = SECONDS) -> Load:
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "20", "-s", str(self.script)]
        said = subprocess.run([*command, "--latency", self.url], capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in said or "Socket errors" in said:
            print(f"note: {self.url}: {re.findall('(?:Non-2xx|Socket errors).*', said)}")
        return Load(_found(said, r"Requests/sec:\s+([\d.]+)()"), _found(said, r" 50% +([\d.]+)(us|ms|s)\b"), _p99(said))


def _found(said: str, pattern: str) -> float:
    match = re.search(pattern, said, re.MULTILINE)
    assert match is not None, said
    return float(match[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "": 1.0}[match[2]]


def _p99(said: str) -> float:
    return _found(said, r" 99% +([\d.]+)(us|ms|s)\b")


class Bench:
    """Two servers, each with its ledger in a scratch folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        db = folder / "wallet.db"
        open_wallet(db)
        key = subprocess.run([*wallet_command(), "key", "create", "bench", "-q"], capture_output=True, check=True)
        self.key = key.stdout.decode().strip()
        self.scripts = 0

    def target(self, url: str, body: str | None, *, auth: bool = True) -> Target:
        self.scripts += 1
        script = self.folder / f"{self.scripts}.lua"
        lines = []
        if auth:
            lines.append(f'wrk.headers["Authorization"] = "Bearer {self.key}"')
        if body is not None:
            lines += [
                'wrk.method = "POST"',
                'wrk.headers["Content-Type"] = "application/json"',
                f"wrk.body = [[{body}]]",
            ]
        script.write_text("\n".join(lines))
        return Target(url, script)

    @contextmanager
    def wallet(self) -> Iterator[tuple[str, int]]:
        """The URL and process of `wallet serve`, with the no-op."""
        command = [sys.executable, "-c", SERVER_WITH_NOOP, "serve", "--port", "0", "--max-connections", "2000"]
        with (self.folder / "server.log").open("w") as log, running(command, stderr=log) as process:
            url = self._when(lambda: url_in(self.folder / "server.log"))
            yield url, process.pid

    @contextmanager
    def flask(self) -> Iterator[tuple[str, int]]:
        """The URL and process of the peer, started as its README says."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environ = os.environ | {"FLASK_WALLET_DB": str(self.folder / "peer.db"), "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-m", "flask", "--app", "flask_wallet", "run", "-p", str(port)]
        quiet = subprocess.DEVNULL
        with running(command, cwd=PEERS, env=environ, stdout=quiet, stderr=quiet) as process:
            url = f"http://127.0.0.1:{port}"
            self._when(lambda: answers(url + "/written"))
            yield url, process.pid

    @staticmethod
    def _when(ready: Any) -> Any:
        for _ in range(300):
            if found := ready():
                return found
            time.sleep(0.1)
        raise SystemExit("a server does not start")

    def bare(self) -> float:
        """Commits a second of a loop that does nothing else, with rows ready made."""
        path = self.folder / "bare.db"
        for old in self.folder.glob("bare.db*"):
            old.unlink()
        shutil.copyfile(self.folder / "empty.db", path)
        connection = connect(path, 0.0)
        set_up(connection)
        now_us = time.time_ns() // 1000
        numbers = range(1, SINGLES + 1)
        made = (Transaction(1, n, True, 2000, 2000 * n, 0, n, now_us, None, os.urandom(32)) for n in numbers)
        rows = list(map(sql.transaction_values, made))
        begun = time.perf_counter()
        for row in rows:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(sql.INSERT_TRANSACTION, row)
            connection.execute("COMMIT")
        taken = time.perf_counter() - begun
        connection.close()
        return SINGLES / taken


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def url_in(log: Path) -> str | None:
    found = re.search(r"http://[\d.]+:\d+", log.read_text())
    return found[0] if found and answers(found[0] + "/healthz") else None


def answers(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bytes(answer.read())
    except OSError:
        return None


@contextmanager
def _hostile(url: str, key: str) -> Iterator[None]:
    host, port = url.removeprefix("http://").split(":")
    command = [sys.executable, str(PEERS / "hostile.py"), host, port, key]
    with running(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield


def _high_water_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


def main() -> None:
    for program, hint in {"wrk": "apt-get install wrk"}.items():
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is missing: {hint}")
    try:
        import flask_sqlalchemy  # noqa: F401
    except ImportError:
        raise SystemExit("the peer needs: pip install flask flask-sqlalchemy") from None
    with scratch() as folder:
        bench = Bench(folder)
        shutil.copyfile(folder / "wallet.db", folder / "empty.db")
        with bench.wallet() as (url, pid), bench.flask() as (peer, peer_pid):
            measure(bench, url, pid, peer, peer_pid)
    done()


def measure(bench: Bench, url: str, pid: int, peer: str, peer_pid: int) -> None:
    api = url + "/api/v1"
    one = json.dumps(BODY)
    create = bench.target(f"{api}/transactions/create", one)
    noop = bench.target(f"{api}/noop", one)
    balance = bench.target(f"{api}/wallet/get/1/main", None)
    flask = bench.target(f"{peer}/api/v1/transactions/create", one, auth=False)
    batches = {
        size: bench.target(f"{api}/transactions/batch", json.dumps({"transactions": [BODY] * size})) for size in BATCHES
    }
    rounds: list[dict[str, float]] = []
    for round_ in range(ROUNDS + 1):
        seconds = SECONDS if round_ else 1
        os.kill(peer_pid, signal.SIGCONT)
        peers = flask.load(seconds=seconds)
        written = json.loads(answers(peer + "/written") or b"{}")
        # It still has much to write; the others are measured without that.
        os.kill(peer_pid, signal.SIGSTOP)
        durable, nothing, reads = (target.load(seconds=seconds) for target in (create, noop, balance))
        lone, bare = create.load(1, seconds), bench.bare()
        found = {
            "flask": peers.rate,
            "durable": durable.rate,
            "noop": nothing.rate,
            "reads": reads.rate,
            "lone": lone.rate,
            "bare": bare,
            "p50": durable.p50,
            "p99": durable.p99,
            "durable / flask": durable.rate / peers.rate,
            "durable / noop": durable.rate / nothing.rate,
            "p99 / p50": durable.p99 / durable.p50,
            "lone / bare": lone.rate / bare,
            "reads / noop": reads.rate / nothing.rate,
        }
        for size, target in batches.items():
            rate = target.load(BATCH_CONNECTIONS, seconds).rate * size
            found |= {f"batch {size}": rate, f"batch {size} / flask": rate / peers.rate}
        if round_:  # the first is not counted
            rounds.append(found)
    memory_mb = _high_water_mb(pid)
    calm, beset = [], []
    for _ in range(3):
        calm.append(create.load(8).p99)
        with _hostile(url, bench.key):
            beset.append(create.load(8).p99)

    def mid(name: str) -> float:
        return median(found[name] for found in rounds)

    figure("flask app of the original design, accepted", mid("flask"), "/s")
    fact("flask app writes what it accepts, later", written.get("written", 0) > 0)
    figure(f"durable POST, {CONNECTIONS} connections", mid("durable"), "/s")
    figure("durable POST / flask app", mid("durable / flask"), "x", at_least=9)
    figure("no-op POST", mid("noop"), "/s")
    figure("durable POST / no-op", mid("durable / noop"), "x", at_least=0.4)
    figure("durable POST, p50", mid("p50"), "ms")
    figure("durable POST, p99", mid("p99"), "ms")
    figure("durable POST, p99 / p50", mid("p99 / p50"), "x", at_most=4)
    figure("durable POST, one connection", mid("lone"), "/s")
    figure("bare commit loop", mid("bare"), "/s")
    figure("one connection / bare commit loop", mid("lone / bare"), "x", at_least=0.7)
    figure("GET balance", mid("reads"), "/s")
    figure("GET balance / no-op", mid("reads / noop"), "x", at_least=0.6)
    for size in BATCHES:
        figure(f"batches of {size:,}: transactions", mid(f"batch {size}"), "/s")
        figure(f"batches of {size:,} / flask app", mid(f"batch {size} / flask"), "x", at_least=60)
    figure("resident memory, at most, under all of this", memory_mb, "MB", at_most=MEMORY_LIMIT_MB)
    figure("p99 of 8 connections, alone", median(calm), "ms")
    figure("p99 of 8 connections, beside hostile traffic", median(beset), "ms")
    figure(
        "p99 beside hostile traffic / alone", median(b / a for a, b in zip(calm, beset, strict=True)), "x", at_most=3
    )
    figure("resident memory, at most, with hostile traffic", _high_water_mb(pid), "MB", at_most=MEMORY_LIMIT_MB)


if __name__ == "__main__":
    main()
