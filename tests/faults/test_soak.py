"""A server under load for long: writes, reads, statements, and readers that do not read on. Everything stays level.

An hour with WALLET_TEST_WHOLE=1, a few seconds otherwise.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw
import httpx
import pytest
import support.server
from support import cli
from support.engines import Engine
from support.figures import figure
from support.server import PROGRAM, Server, surroundings
from support.sizes import size
from support.waiting import wait_for

from wallet_cli.storage.log_file import pinned_by
from wallet_cli.storage.sqlite import MAX_LOG_BYTES, log_bytes

SECONDS = size(6, 3600)
LINES = 5000
"""Of the ledger to begin with: an export of them is far more than pipes and sockets hold."""

LOG_BYTES = 24 * 1024 * 1024
"""A log that begins anew stays far below it; one that is pinned passes it in seconds."""

MORE_DESCRIPTORS, MORE_THREADS, MORE_BYTES = 16, 4, 64 * 1024 * 1024
"""By how much a server may have more of them at the end than when it had warmed up."""

pytestmark = [
    pytest.mark.on_file("a database server keeps its own log"),
    pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="it looks into /proc"),
]


Ask = Callable[[httpx.Client], httpx.Response]


class Level(NamedTuple):
    """What a server uses, with the processes that read for it."""

    rss_bytes: int
    descriptors: int
    threads: int
    log_bytes: int


def level(server: Server) -> Level:
    rss = descriptors = threads = 0
    for pid in _family(server.process.pid):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            descriptors += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:  # it has ended meanwhile
            continue
        fields = dict(line.split(":", 1) for line in status.splitlines())
        if "VmRSS" not in fields:  # it is just ending
            continue
        rss += int(fields["VmRSS"].split()[0]) * 1024
        threads += int(fields["Threads"])
    return Level(rss, descriptors, threads, log_bytes(Path(server.db)))


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


def what_rises(levels: list[Level]) -> str | None:
    """What is not level, if something is: the last third against the second, as the first is for warming up."""
    third = len(levels) // 3
    before, after = levels[third : 2 * third], levels[2 * third :]
    if max(each.log_bytes for each in levels) > LOG_BYTES:
        return f"the log: {max(each.log_bytes for each in levels)} bytes"
    for name, more in (("rss_bytes", MORE_BYTES), ("descriptors", MORE_DESCRIPTORS), ("threads", MORE_THREADS)):
        was, now = (max(getattr(each, name) for each in part) for part in (before, after))
        if now > was + more:
            return f"{name}: {was}, then {now}"
    return None


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    tmp_path = tmp_path_factory.mktemp("soak")
    engine.copy("soak", ["register 9886977544", "create 1", "register 9886977555", "create 2"], tmp_path)
    lines = tmp_path / "lines.csv"
    lines.write_text("wallet,amount,kind,note,key\n" + "".join(f"1,1,credit,{'n' * 900},k{i}\n" for i in range(LINES)))
    assert cli.run(["--db", str(tmp_path / "wallet.db"), "import", str(lines), "-q"]).code == 0
    # Not from the nursery: what reads for it has to be a child of it, to be seen here.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(support.server, "PROGRAM", [*support.server.WALLET])
        with Server(tmp_path, "--no-auth") as server:
            yield server


@contextmanager
def load(server: Server) -> Iterator[dict[str, int]]:
    """Clients that write, read, and ask for statements, for the length of a `with` block; how much they did."""
    done = {"writes": 0, "reads": 0, "statements": 0}
    ending = threading.Event()
    wrong: list[str] = []

    def again_and_again(
        name: str, ask: Callable[[httpx.Client], httpx.Response], expected: int, pause_s: float
    ) -> None:
        api = server.api()
        while not ending.wait(pause_s):
            status = ask(api).status_code
            if status != expected:
                wrong.append(f"{name}: {status}")
                return
            done[name] += 1

    one = {"user_id": 2, "wallet_id": 2, "amount": 1, "is_credit": True, "note": "n" * 900}
    batch = {"transactions": [one] * 200}
    ways: list[tuple[str, Ask, int, float]] = [
        ("writes", lambda api: api.post("/transactions/batch", json=batch), 200, 0.05),
        ("writes", lambda api: api.post("/transactions/create", json=one), 201, 0.02),
        ("reads", lambda api: api.get("/wallet/get/1/main"), 200, 0.02),
        ("reads", lambda api: api.get("/transactions/get/2/2?text=zz&limit=5"), 200, 0.2),
        ("statements", lambda api: api.get("/wallet/statement/1/1"), 200, 0.5),
    ]
    threads = [threading.Thread(target=again_and_again, args=way) for way in ways]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert not wrong


@contextmanager
def paused_download(server: Server) -> Iterator[None]:
    """Somebody who asks for an export over HTTP, and does not read it."""
    with server.connection() as sock:
        sock.sendall(b"GET /api/v1/export HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        yield


@contextmanager
def paused_command(server: Server, line: str) -> Iterator[None]:
    """`wallet … | less`: a command whose reader reads a little; at the end it has all, as of when it began."""
    command = [*PROGRAM, *line.split()]
    with subprocess.Popen(
        command, cwd=server.folder, env=surroundings(server.folder), stdout=subprocess.PIPE
    ) as paused:
        assert paused.stdout is not None
        first = os.read(paused.stdout.fileno(), 1000)
        wait_for(lambda: paused.pid not in pinned_by(Path(server.db)))
        yield
        rest = paused.stdout.read()
        assert (paused.wait(), (first + rest).count(b'"id"') >= LINES) == (0, True)


def soak(server: Server, seconds: float) -> tuple[list[Level], dict[str, int]]:
    levels = []
    with ExitStack() as stack:
        stack.enter_context(paused_download(server))
        stack.enter_context(paused_command(server, "export"))
        stack.enter_context(paused_command(server, "tx list 1 -o jsonl"))
        done = stack.enter_context(load(server))
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            time.sleep(seconds / 30)
            levels.append(level(server))
    return levels, done


def test_everything_stays_level(server: Server) -> None:
    levels, done = soak(server, SECONDS)
    assert what_rises(levels) is None
    assert min(done.values()) > 0
    figure(
        "soak",
        sum(done.values()),
        **done,
        log_bytes=max(each.log_bytes for each in levels),
        rss_bytes=max(each.rss_bytes for each in levels),
        descriptors=max(each.descriptors for each in levels),
        threads=max(each.threads for each in levels),
    )


def test_harness_sees_what_rises(server: Server) -> None:
    """A reader that keeps its snapshot, as `wallet export` once did while it waited for `less`."""
    with old_state(server):
        grow(server, LOG_BYTES)
        levels = [level(server)] * 3
    assert str(what_rises(levels)).startswith("the log")
    low = Level(1, 1, 1, 1)
    for name in ("rss_bytes", "descriptors", "threads"):
        assert str(what_rises([low, low, low._replace(**{name: 2**30})])).startswith(name)


def test_a_pinned_log_is_told_of_and_cut(server: Server) -> None:
    """Who pins it is named in the log, in /metrics and to who writes at a terminal; it is cut once they read on."""
    db = Path(server.db)
    with old_state(server):
        grow(server, MAX_LOG_BYTES)
        wait_for(lambda: "log_pinned" in server.stderr)
        told = next(line["message"] for line in server.log if line["event"] == "log_pinned")
        assert f"process {os.getpid()} (" in told
        page = server.client().get("/metrics").text
        assert "wallet_log_pinned 1.0" in page
        done = server.wallet("tx add 2 1 --credit -q")
        assert (done.code, f"process {os.getpid()} (" in done.err) == (0, True)
    wait_for(lambda: log_bytes(db) < LOG_BYTES)
    wait_for(lambda: "wallet_log_pinned 0.0" in server.client().get("/metrics").text)


@contextmanager
def old_state(server: Server) -> Iterator[None]:
    """Read the ledger, and do not end that."""
    connection = apsw.Connection(str(server.db), apsw.SQLITE_OPEN_READONLY)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM users").fetchall()
    try:
        yield
    finally:
        connection.close()


def grow(server: Server, count: int) -> None:
    """Write so many bytes into the log, and some more."""
    connection = apsw.Connection(str(server.db))
    connection.set_busy_timeout(60_000)
    connection.execute("PRAGMA synchronous=OFF; CREATE TABLE grown (content)")
    connection.execute("INSERT INTO grown VALUES (zeroblob(?))", (count + 2**20,))
    connection.execute("DROP TABLE grown")
    connection.close()
