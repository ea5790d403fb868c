"""What a server does while its turn waits for PostgreSQL, and when the connection it waits on is gone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from servers import stubborn
from servers.cluster import Cluster
from support import postgres
from support.server import Server
from support.waiting import WAIT_S, wait_for

pytestmark = postgres.MARKS

LOCK_TIMEOUT_S = 2
WRITERS = "application_name = 'waiting' AND pid <> pg_backend_pid()"

Response = Future[httpx.Response]
Other = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def database(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    """One with the wallets of `stubborn`."""
    made = cluster.new_database()
    monkeypatch.setenv("WALLET_DB", cluster.url(made))
    stubborn.prepare()
    return made


@pytest.fixture
def server(cluster: Cluster, database: str, tmp_path: Path) -> Iterator[Server]:
    url = cluster.url(database, application_name="waiting")
    environ = {"WALLET_DB": url, "WALLET_LOCK_TIMEOUT": str(LOCK_TIMEOUT_S)}
    with Server(tmp_path, "--no-auth", environ=environ) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def other(cluster: Cluster, database: str) -> Iterator[Other]:
    """Another program, in a transaction that it ends when the test says so."""
    with psycopg.connect(cluster.url(database)) as connection:
        yield connection
        connection.rollback()


def credit(api: httpx.Client, wallet_id: int, key: str) -> httpx.Response:
    body = {"user_id": 1, "wallet_id": wallet_id, "amount": 5, "is_credit": True}
    return api.post("/transactions/create", json=body, headers={"Idempotency-Key": key})


def waiting(cluster: Cluster, database: str) -> int:
    """How many of the server's sessions wait for a lock."""
    asked = f"SELECT count(*) FROM pg_stat_activity WHERE {WRITERS} AND wait_event_type = 'Lock'"
    return int(cluster.execute(asked, database)[0][0])


def waits_in_its_turn(
    pool: ThreadPoolExecutor, cluster: Cluster, database: str, api: httpx.Client, key: str
) -> Response:
    """Credit wallet 1, whose row another has; returns when the server's turn waits for it."""
    asked = pool.submit(credit, api, 1, key)
    wait_for(lambda: waiting(cluster, database) == 1)
    return asked


def test_others_are_answered_while_a_turn_waits_for_a_row(
    cluster: Cluster, database: str, server: Server, other: Other
) -> None:
    other.execute("SELECT FROM wallets WHERE id = 1 FOR UPDATE")
    api, plain = server.api(), server.client()
    with ThreadPoolExecutor(3) as pool:
        first = waits_in_its_turn(pool, cluster, database, api, "first")
        # The turn is one alone: whoever comes is in the next batch.
        later = [pool.submit(credit, api, number, f"later{number}") for number in (1, 2)]
        for _ in range(20):
            assert plain.get("/healthz").status_code == 200
            assert api.get("/wallet/get/1/w1").status_code == 200
        assert not any(each.done() for each in (first, *later))
        assert waiting(cluster, database) == 1
        other.rollback()
        assert [each.result(WAIT_S).status_code for each in (first, *later)] == [201] * 3


def test_a_row_that_does_not_come_is_busy_and_the_next_turn_is_not(
    cluster: Cluster, database: str, server: Server, other: Other
) -> None:
    other.execute("SELECT FROM wallets WHERE id = 1 FOR UPDATE")
    refused = credit(server.api(), 1, "k")
    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert credit(server.api(), 2, "k").status_code == 201
    other.rollback()
    done = credit(server.api(), 1, "k")
    assert (done.status_code, done.json()["data"].get("replayed")) == (201, None)


@pytest.mark.parametrize("idle", [True, False])
def test_sessions_that_the_database_ends_cost_no_answer(
    cluster: Cluster, database: str, server: Server, other: Other, idle: bool
) -> None:
    """Idle ones, and one that waits within its turn: what was asked for is done on a new connection."""
    api = server.api()
    assert credit(api, 1, "before").status_code == 201
    with ThreadPoolExecutor(1) as pool:
        for number in range(3):
            asked: Response | None = None
            if not idle:
                other.execute("SELECT FROM wallets WHERE id = 1 FOR UPDATE")
                asked = waits_in_its_turn(pool, cluster, database, api, f"k{number}")
            cluster.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {WRITERS}", database)
            other.rollback()
            response = asked.result(WAIT_S) if asked is not None else credit(api, 1, f"k{number}")
            assert response.status_code == 201, response.text
    assert server.wallet("verify").code == 0


def test_a_turn_that_steps_aside_is_gone_on_with_after_a_stop(
    cluster: Cluster, database: str, server: Server, other: Other
) -> None:
    """SIGTERM while a turn waits: it is ended and answered before the server leaves."""
    other.execute("SELECT FROM wallets WHERE id = 1 FOR UPDATE")
    api = server.api()
    with ThreadPoolExecutor(1) as pool:
        asked = waits_in_its_turn(pool, cluster, database, api, "k")
        server.process.terminate()
        other.rollback()
        assert asked.result(WAIT_S).status_code == 201
    assert server.process.wait(WAIT_S) == 0
    assert server.wallet("verify").code == 0
