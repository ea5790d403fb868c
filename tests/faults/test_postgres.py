"""PostgreSQL killed, its sessions ended, its standby lost: what was answered is there once, and no answer is false.

Three servers write to one database: on connections of their own, and through pgbouncer by transaction and by session.
Everything that a role or a database can set to weaken what is promised is set.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from servers import stubborn
from servers.cluster import Cluster, scratch_cluster
from servers.stubborn import Stubborn
from support import figures, postgres, server
from support.server import Server
from support.sizes import WHOLE, size
from support.waiting import wait_for

pytestmark = [*postgres.MARKS, pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")]

ROW = "PostgreSQL: killed, sessions ended, poolers, settings, standby lost"
FAULTS = size(6, 160)
CUTS = size(2, 30)
FAILOVERS = 10
ANSWERS_BEFORE = (5, 60)
ANSWERS_AFTER = 5
MAX_DELAY_S = 0.004
"""A batch takes about this long, so that a fault may fall anywhere in it."""

CRASHING = postgres.QUICK | {
    "wal_level": "replica",
    "max_wal_senders": "4",
    "wal_keep_size": "256MB",
    "restart_after_crash": "on",
    # What a commit does not write itself, nobody does: a crash loses it.
    "wal_writer_delay": "10s",
    "wal_writer_flush_after": "1GB",
}
WEAK = {"synchronous_commit": "off", "client_min_messages": "error", "default_transaction_isolation": "repeatable read"}

PATCHED = """
from wallet_cli.__main__ import start
from wallet_cli.storage import session
from wallet_cli.storage.postgres import PostgresStore
from wallet_cli.engine import executor

executor.SETTLE_S = 0.5
{patch}
start()
"""
AS_IT_IS_SET = "session.before_commit = lambda commits_by: ()"
"""A server that commits as the database has it set."""
DEAF = "session.before_commit = lambda commits_by: ('SET LOCAL synchronous_commit = on',)"
"""A server that waits for the standby, and does not hear that somebody cancelled the wait."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with scratch_cluster(CRASHING) as started:
        yield started


@contextmanager
def serving(folder: Path, urls: list[str], patch: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Server]]:
    """A server for each address of the same database."""
    monkeypatch.setattr(server, "PROGRAM", [sys.executable, "-X", "utf8", "-c", PATCHED.format(patch=patch)])
    with ExitStack() as stack:
        started = []
        for number, url in enumerate(urls):
            own = folder / f"server{number}"
            own.mkdir()
            started.append(stack.enter_context(Server(own, "--no-auth", environ={"WALLET_DB": url})))
        yield started


def weakened(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a new database with the wallets of `stubborn`, and then with what weakens it."""
    database = cluster.new_database()
    url = cluster.url(database)
    monkeypatch.setenv("WALLET_DB", url)
    stubborn.prepare()
    for name, value in WEAK.items():
        cluster.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")
    cluster.execute("CHECKPOINT")
    return url


# What happens to the server.


def kill(cluster: Cluster, drawn: random.Random) -> None:
    cluster.kill()
    cluster.start()


def stop_at_once(cluster: Cluster, drawn: random.Random) -> None:
    cluster.stop("immediate")
    cluster.start()


def kill_one_process(cluster: Cluster, drawn: random.Random) -> None:
    """Of a session or of the server's own: it ends all the others, and begins again from the log."""
    os.kill(drawn.choice(cluster.children()), signal.SIGKILL)


def tell(cluster: Cluster, statement: str) -> None:
    """Run a statement, once the server lets somebody in: it may still begin again after the fault before."""

    def told() -> bool:
        try:
            cluster.execute(statement)
        except psycopg.OperationalError:
            return False
        return True

    wait_for(told)


def end_all_sessions(cluster: Cluster, drawn: random.Random) -> None:
    tell(cluster, f"SELECT pg_terminate_backend(pid) FROM ({CLIENTS}) all_of_them")


def end_a_session(cluster: Cluster, drawn: random.Random) -> None:
    tell(cluster, f"SELECT pg_terminate_backend(pid) FROM ({CLIENTS} ORDER BY random() LIMIT 1) one")


def cancel(cluster: Cluster, drawn: random.Random) -> None:
    tell(cluster, f"SELECT pg_cancel_backend(pid) FROM ({CLIENTS}) all_of_them")


CLIENTS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
KINDS: tuple[Callable[[Cluster, random.Random], None], ...] = (
    kill,
    kill_one_process,
    end_all_sessions,
    stop_at_once,
    end_a_session,
    cancel,
)


async def attack(cluster: Cluster, clients: Stubborn, number: int, seed: int) -> Counter[str]:
    """So many faults under load, of each kind in turn; how often there was each."""
    drawn = random.Random(seed)
    load = asyncio.create_task(clients.go_on())
    done: Counter[str] = Counter()
    for turn in range(number):
        await clients.answers(drawn.randint(*ANSWERS_BEFORE))
        await asyncio.sleep(drawn.random() * MAX_DELAY_S)
        fault = KINDS[turn % len(KINDS)]
        await asyncio.to_thread(fault, cluster, drawn)
        done[fault.__name__] += 1
        await clients.answers(ANSWERS_AFTER)
    clients.stop()
    await load
    return done


def test_a_server_that_falls_loses_nothing_and_says_nothing_false(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = weakened(cluster, monkeypatch)
    with ExitStack() as stack:
        pools = [
            stack.enter_context(postgres.pooled(url, sessions=12, mode=mode))
            for mode in ("transaction", "session")
            if postgres.POOLER is not None
        ]
        servers = stack.enter_context(serving(tmp_path, [url, *pools], "", monkeypatch))
        clients = Stubborn([each.address for each in servers], seed=8)
        done = asyncio.run(attack(cluster, clients, FAULTS, seed=8))
        assert stubborn.problems(clients) == []
        # None had to be started again, and each can stop.
        assert [each.stop() for each in servers] == [0] * len(servers)
    assert clients.tries_in_vain["storage_error"] > 0
    figures.figure(ROW, FAULTS, answered=len(clients.answered), replayed=clients.replayed, lost=0, **done)


def test_a_server_that_commits_as_it_is_set_is_found_out(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deliberate fault: what is answered is not on disk, and a crash loses it."""
    url = weakened(cluster, monkeypatch)
    with serving(tmp_path, [url], AS_IT_IS_SET, monkeypatch) as servers:
        clients = Stubborn([servers[0].address], seed=9)
        asyncio.run(attack(cluster, clients, 1, seed=9))
        problems = stubborn.problems(clients)
    assert any("answered and not in the ledger" in each for each in problems), problems
    figures.figure(ROW, 1, fault="commits as the database has it set", found=1)


# The standby is lost.


@contextmanager
def standby(cluster: Cluster, folder: Path) -> Iterator[None]:
    """Something that has every commit on disk before it is answered, as a standby has; killed at the end."""
    folder.mkdir(mode=0o777, exist_ok=True)
    folder.chmod(0o777)
    known = f"host={cluster.folder} port={cluster.tcp_port} user={postgres.SUPERUSER}"
    command = [postgres.programs() / "pg_receivewal", "--synchronous", "--no-loop", "-D", folder, "-d", known]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, cwd="/", **postgres.somebody()) as process:
        try:
            wait_for(lambda: cluster.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'") != [])
            yield
        finally:
            process.kill()


@contextmanager
def waiting_for_standbys(cluster: Cluster) -> Iterator[None]:
    usual = cluster.settings
    try:
        cluster.settings = usual | {"synchronous_standby_names": "*"}
        cluster.reload()
        yield
    finally:
        cluster.settings = usual
        cluster.reload()


WAITS = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
CANCEL = f"SELECT pg_cancel_backend(pid) FROM ({WAITS}) of_those"


async def lose_the_standby(
    cluster: Cluster, running: Server, clients: Stubborn, cuts: int, seed: int, folder: Path
) -> int:
    """Kill it in the middle of commits; how many were answered without it.

    In turn, the waits for it are cancelled, and the primary is killed: after that it shows commits that no standby has.
    """
    drawn = random.Random(seed)
    load = asyncio.create_task(clients.go_on())
    without = 0
    api = running.client()
    for turn in range(cuts):
        with ExitStack() as there:
            await asyncio.to_thread(there.enter_context, standby(cluster, folder))
            await clients.answers(drawn.randint(*ANSWERS_BEFORE))
            await asyncio.sleep(drawn.random() * MAX_DELAY_S)
        # Once a commit waits, all that was answered before had the standby; and what was answered before this is here.
        await asyncio.to_thread(wait_for, lambda: cluster.execute(WAITS) != [])
        await asyncio.to_thread(api.get, "/healthz")
        answered, unknown = len(clients.answered), clients.tries_in_vain["storage_error"]
        if turn % 2:
            await asyncio.to_thread(kill, cluster, drawn)
            await asyncio.to_thread(wait_for, lambda: cluster.execute(WAITS) != [])
        else:
            while len(clients.answered) == answered and clients.tries_in_vain["storage_error"] == unknown:
                await asyncio.to_thread(cluster.execute, CANCEL)
        without += len(clients.answered) - answered
    with ExitStack() as there:
        await asyncio.to_thread(there.enter_context, standby(cluster, folder))
        await clients.answers(ANSWERS_AFTER)
        clients.stop()
        await load
    return without


def lost(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuts: int, patch: str
) -> tuple[Stubborn, int, list[str]]:
    url = weakened(cluster, monkeypatch)
    with (
        postgres.cluster_folder() as folder,
        serving(tmp_path, [url], patch, monkeypatch) as servers,
        waiting_for_standbys(cluster),
    ):
        clients = Stubborn([servers[0].address], seed=10)
        without = asyncio.run(lose_the_standby(cluster, servers[0], clients, cuts, 10, folder / "standby"))
    return clients, without, stubborn.problems(clients)


def test_without_its_standby_nothing_is_answered_as_done(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients, without, problems = lost(cluster, tmp_path, monkeypatch, CUTS, "")
    assert (without, problems) == (0, [])
    figures.figure(ROW, CUTS, standby_lost=CUTS, answered=len(clients.answered), answered_without_it=0)


def test_a_server_that_does_not_hear_of_the_standby_is_found_out(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deliberate fault: with `client_min_messages = error`, the warning that nobody has it is not sent."""
    _, without, _ = lost(cluster, tmp_path, monkeypatch, 1, DEAF)
    assert without > 0
    figures.figure(ROW, 1, fault="does not hear that the standby has not confirmed", found=1)


@pytest.mark.skipif(not WHOLE, reason="minutes: two nodes of the system's PostgreSQL")
def test_a_primary_that_falls() -> None:
    script = Path(__file__).parents[1] / "replication" / "failover.py"
    subprocess.run([sys.executable, script, "--rounds", str(FAILOVERS)], check=True, timeout=3600)
    figures.figure(ROW, FAILOVERS, primary_killed_standby_promoted=FAILOVERS)
