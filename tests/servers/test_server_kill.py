"""One of two servers killed under load, and the network to PostgreSQL cut: nothing is lost, nothing is applied twice.

WALLET_TEST_WHOLE=1 makes 50 kills and cuts of 10 s, and the default run fewer and shorter ones.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import stubborn
from servers.cluster import Cluster
from servers.pair import serving
from servers.proxy import Proxy
from servers.stubborn import Stubborn
from support import server
from support.server import API, Server
from support.sizes import WHOLE, size

KILLS = size(5, 50)
ANSWERS_BEFORE_A_KILL = (1, 300)
ANSWERS_AFTER_A_KILL = 30
MAX_DELAY_S = 0.004
"""A batch takes about this long, so that a kill may fall anywhere in it."""

CUT_S = size(2, 10)
LOCK_TIMEOUT_S = size(1, 5)
PROBE_PAUSE_S = 0.2


async def kill_again_and_again(servers: Sequence[Server], clients: Stubborn, kills: int, seed: int) -> None:
    """Load both servers, kill one or the other, and start it again, `kills` times."""
    drawn = random.Random(seed)
    load = asyncio.create_task(clients.go_on())
    for _ in range(kills):
        await clients.answers(drawn.randint(*ANSWERS_BEFORE_A_KILL))
        await asyncio.sleep(drawn.random() * MAX_DELAY_S)
        victim = drawn.choice(servers)
        victim.process.send_signal(signal.SIGKILL)
        assert await asyncio.to_thread(victim.kill) == -signal.SIGKILL
        # The other one goes on alone.
        await clients.answers(ANSWERS_AFTER_A_KILL)
        await asyncio.to_thread(victim.start)
    clients.stop()
    await load


def kills(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, number: int, seed: int
) -> tuple[Stubborn, list[str]]:
    """Kill servers of a new database under load; the clients, and what is wrong with the ledger."""
    database = cluster.new_database()
    monkeypatch.setenv("WALLET_DB", cluster.url(database))
    stubborn.prepare()
    with serving(folder, cluster, database) as servers:
        clients = Stubborn([each.address for each in servers], seed)
        asyncio.run(kill_again_and_again(servers, clients, number, seed))
        problems = stubborn.problems(clients)
        assert [each.stop() for each in servers] == [0] * len(servers)
    return clients, problems


def test_a_killed_server_loses_nothing_and_applies_nothing_twice(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients, problems = kills(tmp_path, cluster, monkeypatch, KILLS, seed=5)
    print(f"{KILLS} kills, {len(clients.answered):,} requests answered, {clients.replayed} of them done before")
    print(f"  tries in vain: {dict(clients.tries_in_vain)}")
    assert problems == []
    # A kill does cut requests off.
    assert clients.tries_in_vain["unanswered"] > 0


# The same test has to find servers that break the promise.

ANSWERS_BEFORE_IT_COMMITS = """
from wallet_cli.__main__ import start
from wallet_cli.engine.group_commit import GroupCommit

carry_out = GroupCommit._carry_out

def hasty(self, executor, batch, *rest):
    # Of what is answered, every fifth batch is not committed.
    self.batches = getattr(self, "batches", 0) + 1
    store = executor.store
    commit = type(store).commit
    store.commit = store.rollback if self.batches % 5 == 0 else lambda: commit(store)
    return carry_out(self, executor, batch, *rest)

GroupCommit._carry_out = hasty
start()
"""

FORGETS_KEYS = """
from wallet_cli.__main__ import start
from wallet_cli.domain import commands
from wallet_cli.web.routes.call import Call

key = Call.key
count = iter(range(10**9))
Call.key = lambda self: None if next(count) % 5 == 0 else key(self)
start()
"""


@pytest.mark.parametrize("program", [ANSWERS_BEFORE_IT_COMMITS, FORGETS_KEYS])
def test_servers_that_lose_or_repeat_are_found_out(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(server, "PROGRAM", [sys.executable, "-X", "utf8", "-c", program])
    _, problems = kills(tmp_path, cluster, monkeypatch, 2, seed=6)
    assert any("answered and not in the ledger" in each for each in problems), problems


# The network is cut.


class Probes:
    """Somebody who reads, writes and asks whether the server is well, over and over, while the network is cut."""

    def __init__(self, running: Server) -> None:
        self.client = running.client()
        self.seen: set[tuple[str, int]] = set()
        """What was asked, and the status of the answer."""
        self.wrong: list[str] = []

    async def ask(self) -> None:
        """One round: well, read, write, and well again."""
        await self._one("well", "GET", "/healthz")
        await self._one("read", "GET", f"{API}/wallet/get/1/w1")
        body = {"user_id": 1, "wallet_id": 1, "amount": "99999999999", "is_credit": False}
        # It is more than there is: carried out or not, it changes nothing. With a key it may be sent again.
        key = {"Idempotency-Key": "probe"}
        await self._one("write", "POST", f"{API}/transactions/create", json=body, headers=key)
        await self._one("well", "GET", "/healthz")

    async def _one(self, what: str, method: str, path: str, **more: Any) -> None:
        answer: httpx.Response = await asyncio.to_thread(self.client.request, method, path, **more)
        self.seen.add((what, answer.status_code))
        if answer.status_code == 503 and not (
            answer.json()["code"] in stubborn.AGAIN and answer.json()["retryable"] and "retry-after" in answer.headers
        ):
            self.wrong.append(answer.text)


async def cut(proxy: Proxy, clients: Stubborn, probes: Probes, how: str) -> None:
    """Load a server, cut its network for CUT_S and until it has said so, mend it, and see the load go on."""
    load = asyncio.create_task(clients.go_on())
    await clients.answers(200)
    getattr(proxy, how)()
    until_s = asyncio.get_running_loop().time() + CUT_S
    while not {("read", 503), ("write", 503)} <= probes.seen or asyncio.get_running_loop().time() < until_s:
        await probes.ask()
        await asyncio.sleep(PROBE_PAUSE_S)
    assert ("well", 503) not in probes.seen
    in_vain = dict(clients.tries_in_vain)
    proxy.restore()
    await clients.answers(200)
    probes.seen.clear()
    while not {("read", 200), ("write", 409)} <= probes.seen:
        await probes.ask()
    clients.stop()
    await load
    print(f"{how}: tries in vain {in_vain}, {len(clients.answered):,} answered, {clients.replayed} done before")


IN_A_HURRY = """
from wallet_cli.__main__ import start
from wallet_cli.storage import postgres

postgres.STATEMENT_MARGIN_S = postgres.HEARING_MARGIN_S = 1
start()
"""
"""A server that takes silence for a break sooner: in the default run, which cuts the network for less long too."""


@pytest.mark.parametrize("how", ["fall_silent", "break_off"])
def test_a_cut_network_is_a_503_and_passes(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if not WHOLE:
        monkeypatch.setattr(server, "PROGRAM", [sys.executable, "-X", "utf8", "-c", IN_A_HURRY])
    database = cluster.new_database()
    monkeypatch.setenv("WALLET_DB", cluster.url(database))
    stubborn.prepare()
    with Proxy(("127.0.0.1", cluster.tcp_port)) as proxy:
        url = cluster.url(database).replace(str(cluster.tcp_port), str(proxy.port))
        environ = {"WALLET_DB": url, "WALLET_LOCK_TIMEOUT": str(LOCK_TIMEOUT_S)}
        with Server(tmp_path, "--no-auth", environ=environ) as running:
            pid = running.process.pid
            clients, probes = Stubborn([running.address], seed=7), Probes(running)
            asyncio.run(cut(proxy, clients, probes, how))
            assert probes.wrong == []
            assert stubborn.problems(clients) == []
            # It is the same process, and it can stop.
            assert running.process.pid == pid
            assert running.stop() == 0
