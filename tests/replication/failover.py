"""Kill the primary of two synchronous nodes under load, over and over: python tests/replication/failover.py

Outside the default run: it takes some minutes, and needs Debian's PostgreSQL, which it installs where it is missing.
README.md beside this file says what it does, and shows what it printed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from replication.node import SUPERUSER, Cluster
from servers import stubborn
from servers.proxy import Proxy
from servers.stubborn import Stubborn
from support import server as serving
from support.postgres import free_port
from support.server import Server

DEBIAN = Path("/usr/lib/postgresql")
ROUNDS = 20
SERVERS = 2
ANSWERS_BEFORE_A_KILL = (200, 600)
ANSWERS_AFTER_A_KILL = 100
MAX_DELAY_S = 0.004
"""A batch takes about this long, so that a kill may fall anywhere in it."""
CUT_EVERY = 4
"""In one round of so many, the standby is cut off first, and somebody impatient cancels all that waits for it."""
CUT_S, CANCEL_EVERY_S = 25.0, 0.3
LOCK_TIMEOUT_S = 2
WAIT_S = 120

CANCEL = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
"""Then the commit stands on the primary alone, with a warning, and is there for all to read."""

NODE = {
    "wal_level": "replica",
    "hot_standby": "on",
    "synchronous_commit": "remote_apply",
    # Whoever is the standby: without one, a commit waits. So no answer ever rests on one node alone.
    "synchronous_standby_names": "*",
    "wal_keep_size": "256MB",
    "log_line_prefix": "%m %a %e ",
}


PATCHED = """
from wallet_cli.__main__ import start
from wallet_cli.storage.postgres import PostgresStore
{patch}
start()
"""
FAULTS = {
    # What is there is taken for done, whether the standby has it or not.
    "confirm_replicated": "PostgresStore.confirm_replicated = lambda self: False",
    # A commit that did not wait for the standby counts as done.
    "doubt": "PostgresStore._noticed = lambda self, notice: None",
}
"""Servers that break the promise, which this has to find out."""


class Failed(Exception):
    """Something did not come about in time."""


class Node(NamedTuple):
    """A server, and the stretch of network by which a standby reaches it."""

    name: str
    cluster: Cluster
    link: Proxy


def programs() -> Path:
    """The folder of the newest PostgreSQL of Debian's; installed where there is none."""
    if not list(DEBIAN.glob("*/bin/postgres")):
        if os.geteuid() != 0:
            raise SystemExit("there is no PostgreSQL: apt-get install postgresql")
        apt = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "postgresql"]
        subprocess.run(
            apt, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        )
    return max(DEBIAN.glob("*/bin"), key=lambda folder: int(folder.parent.name))


@contextmanager
def two_nodes(found: Path) -> Iterator[list[Node]]:
    """A primary and its synchronous standby, in a folder that goes away."""
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="wallet-failover-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        nodes = []
        for name in ("a", "b"):
            cluster = Cluster(found, Path(folder) / name, NODE, user)
            cluster.folder.mkdir()
            cluster.own()
            stack.callback(cluster.stop)
            nodes.append(Node(name, cluster, stack.enter_context(Proxy(("127.0.0.1", cluster.port)))))
        primary, standby = nodes
        # pg_rewind needs the checksums, or hints in the log.
        primary.cluster.make("--data-checksums").begin()
        until(primary.cluster.answers, "the primary answers")
        copy(primary, standby)
        until(lambda: in_step(primary), "the standby is synchronous")
        yield nodes


def copy(primary: Node, standby: Node) -> None:
    """Make a standby of a copy of the primary."""
    shutil.rmtree(standby.cluster.data, ignore_errors=True)
    source = link_to(primary)
    standby.cluster.run(
        "pg_basebackup", "-R", "-c", "fast", "-X", "stream", "-d", source, "-D", str(standby.cluster.data)
    )
    standby.cluster.start()


def rejoin(primary: Node, fallen: Node) -> str:
    """Make a standby of what was the primary, by taking back what the other never had; how that was done."""
    source = link_to(primary)
    try:
        # Where both parted has to be in the source's control file.
        primary.cluster.sql("CHECKPOINT")
        fallen.cluster.run("pg_rewind", "-R", "--source-server", source, "--target-pgdata", str(fallen.cluster.data))
        fallen.cluster.start()
        return "pg_rewind"
    except AssertionError as error:
        print(f"  pg_rewind did not do: {error}", flush=True)
        fallen.cluster.kill()
        copy(primary, fallen)
        return "pg_basebackup"


def link_to(node: Node) -> str:
    return f"host=127.0.0.1 port={node.link.port} user={SUPERUSER} dbname={SUPERUSER}"


def in_step(primary: Node) -> bool:
    """Whether the standby is there, synchronous, and has applied all."""
    asked = "SELECT sync_state = 'sync' AND state = 'streaming' FROM pg_stat_replication"
    return (True,) in primary.cluster.sql(asked)


def until(holds: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > end_s:
            raise Failed(f"not in {WAIT_S} s: {what}")
        time.sleep(0.05)


async def round_(nodes: Sequence[Node], clients: Stubborn, drawn: random.Random, *, cut: bool) -> str:
    """Load, kill, promote, rejoin, and see the load go on; what it was like."""
    primary, standby = nodes
    before, in_vain, replayed = len(clients.answered), clients.tries_in_vain.copy(), clients.replayed
    load = asyncio.create_task(clients.go_on())
    await clients.answers(drawn.randint(*ANSWERS_BEFORE_A_KILL))
    if cut:
        primary.link.fall_silent()
        for _ in range(round(CUT_S / CANCEL_EVERY_S)):
            await asyncio.to_thread(primary.cluster.sql, CANCEL)
            await asyncio.sleep(CANCEL_EVERY_S)
    await asyncio.sleep(drawn.random() * MAX_DELAY_S)
    acknowledged = len(clients.answered)
    primary.cluster.kill()
    killed_s = time.monotonic()
    # What is still on the way to the standby is lost with the primary.
    primary.link.break_off()
    await asyncio.to_thread(standby.cluster.sql, "SELECT pg_promote(true, 60)")
    promoted_s = time.monotonic()
    primary.link.restore()
    how = await asyncio.to_thread(rejoin, standby, primary)
    await asyncio.to_thread(until, lambda: in_step(standby), "the standby is synchronous again")
    rejoined_s = time.monotonic()
    await asyncio.wait_for(clients.answers(ANSWERS_AFTER_A_KILL), WAIT_S)
    going_s = time.monotonic()
    clients.stop()
    await asyncio.wait_for(load, WAIT_S)
    failed = clients.tries_in_vain - in_vain
    return (
        f"{acknowledged - before:5} answered, {'standby cut off, ' if cut else ''}{primary.name} killed,"
        f" {standby.name} promoted in {promoted_s - killed_s:.1f} s, {how} {rejoined_s - promoted_s:.1f} s,"
        f" answers again {going_s - rejoined_s:.1f} s later; {failed.total():5} tries in vain {dict(failed)},"
        f" {clients.replayed - replayed:2} done before"
    )


def same_on_both(nodes: Sequence[Node]) -> bool:
    """Whether a standby has all that its primary has, when nobody writes."""
    asked = "SELECT count(*), sum(amount), max(at_us) FROM transactions"
    primary, standby = (node.cluster.sql(asked, "wallet") for node in nodes)
    return primary == standby


def run(rounds: int, seed: int) -> int:
    """All rounds; the exit code."""
    found = programs()
    drawn = random.Random(seed)
    with two_nodes(found) as nodes, ExitStack() as stack:
        version = nodes[0].cluster.sql("SHOW server_version")[0][0]
        print(f"PostgreSQL {version}, synchronous_commit = remote_apply, {SERVERS} servers, {stubborn.CLIENTS} clients")
        nodes[0].cluster.sql("CREATE DATABASE wallet")
        hosts = ",".join(f"127.0.0.1:{node.cluster.port}" for node in nodes)
        url = f"postgresql://{SUPERUSER}@{hosts}/wallet?target_session_attrs=read-write"
        os.environ["WALLET_DB"] = url
        stubborn.prepare()
        servers = []
        for number in range(SERVERS):
            folder = nodes[0].cluster.folder.parent / f"server{number}"
            folder.mkdir()
            environ = {"WALLET_DB": url, "WALLET_LOCK_TIMEOUT": str(LOCK_TIMEOUT_S)}
            server = Server(folder, "--no-auth", "--port", str(free_port()), environ=environ)
            servers.append(stack.enter_context(server))
        clients = Stubborn([server.address for server in servers], seed)
        pids = [server.process.pid for server in servers]
        wrong = 0
        for number in range(1, rounds + 1):
            told = asyncio.run(round_(nodes, clients, drawn, cut=number % CUT_EVERY == 0))
            problems = stubborn.problems(clients)
            if not same_on_both(nodes[::-1]):
                problems.append("the standby has something else than its primary")
            wrong += bool(problems)
            print(f"round {number:2}: {told}; {'; '.join(problems) or 'nothing lost, nothing twice'}", flush=True)
            nodes.reverse()
        alive = [server.process.pid for server in servers if server.process.poll() is None] == pids
        print(
            f"{rounds} rounds, {len(clients.answered):,} requests answered, {clients.replayed} of them done before:"
            f" {wrong} rounds went wrong; the servers {'were never' if alive else 'HAD TO BE'} restarted"
        )
    return int(wrong > 0 or not alive)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", choices=FAULTS, help="run servers that break the promise: rounds have to go wrong")
    arguments = parser.parse_args()
    if arguments.fault is not None:
        code = PATCHED.format(patch=FAULTS[arguments.fault])
        serving.PROGRAM = [sys.executable, "-X", "utf8", "-c", code]
    return run(arguments.rounds, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
