"""Short reads of a database that is some way off: many at once, and nobody waits for them who does not ask."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo
from support import engines, postgres
from support.engines import Databases
from support.proxy import Proxy
from support.server import Server
from web.calls import made, new_wallet, post

pytestmark = postgres.MARKS

DELAY_S = 0.05
READS = 20
OTHERS = "datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy(postgres.socket_file()) as running:
        yield running


@pytest.fixture
def server(proxy: Proxy, tmp_path: Path) -> Iterator[Server]:
    engine = Databases()
    try:
        given = conninfo.conninfo_to_dict(engine.new(tmp_path))
        url = f"postgresql://{given['user']}@127.0.0.1:{proxy.port}/{given['dbname']}"
        with Server(tmp_path, "--no-auth", environ={"WALLET_DB": url}) as running:
            yield running
    finally:
        engine.end()


def test_reads_are_waited_for_at_once_and_the_server_answers_others(proxy: Proxy, server: Server) -> None:
    api = server.api()
    owned = new_wallet(api)
    made(post(api, owned, "5.00"))
    paths = (f"/wallet/get/{owned[0]}", f"/transactions/get/{owned[0]}/{owned[1]}", "/users", f"/users/{owned[0]}")
    with ThreadPoolExecutor(READS) as pool, server.client() as plain:
        plain.get("/healthz")
        proxy.delay_s, proxy.most_asking = DELAY_S, 0
        began_s = time.monotonic()
        answers = [pool.submit(api.get, paths[number % len(paths)]) for number in range(READS)]
        waits: list[float] = []
        while not all(answer.done() for answer in answers):
            asked_s = time.monotonic()
            assert plain.get("/healthz").status_code == 200
            waits.append(time.monotonic() - asked_s)
        took_s = time.monotonic() - began_s
        assert [answer.result().status_code for answer in answers] == [200] * READS
    assert proxy.most_asking >= 4  # on as many connections an answer was waited for at once
    assert len(waits) > READS, "health was asked for again and again meanwhile"
    assert took_s < READS * DELAY_S * 2  # one after another, with the round trips of each: four seconds


def test_a_post_that_looks_something_up_keeps_nobody_waiting(proxy: Proxy, server: Server) -> None:
    """The wallet of a debit is read first, where the server does not know it yet; so is a key."""
    api = server.api()
    owned = [new_wallet(api) for _ in range(8)]
    for each in owned:
        made(post(api, each, "5.00"))
    server.stop()
    server.start()
    with ThreadPoolExecutor(len(owned)) as pool:
        proxy.delay_s, proxy.most_asking = DELAY_S, 0
        answers = pool.map(lambda each: post(server.api(), each, "1.00", is_credit=False), owned)
        assert [answer.status_code for answer in answers] == [201] * len(owned)
    assert proxy.most_asking >= 4


def test_after_the_database_came_back_reads_are_answered(proxy: Proxy, server: Server) -> None:
    """Whatever has become of the connections at hand, at most the requests under way notice."""
    api = server.api()
    owned = new_wallet(api)
    with psycopg.connect(server.db, autocommit=True) as other:
        other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OTHERS}")
    failed = 0
    while (answer := api.get(f"/wallet/get/{owned[0]}")).status_code == 503:
        failed += 1
        assert failed < 100
        time.sleep(0.05)
    assert answer.status_code == 200
    assert [api.get(f"/wallet/get/{owned[0]}").status_code for _ in range(20)] == [200] * 20


def test_a_read_that_takes_long_ends_on_the_server_too(server: Server) -> None:
    """A caller who leaves ends the statement that PostgreSQL carries out for them."""
    with psycopg.connect(server.db, autocommit=True) as other, psycopg.connect(server.db) as holder:
        holder.execute("LOCK TABLE wallets IN ACCESS EXCLUSIVE MODE")
        waiting = f"SELECT count(*) FROM pg_stat_activity WHERE {OTHERS} AND wait_event_type = 'Lock'"
        with socket.create_connection(server.address, timeout=60) as caller:
            caller.sendall(b"GET /api/v1/verify HTTP/1.1\r\nHost: localhost\r\n\r\n")
            _until(other, waiting, 1)
        _until(other, waiting, 0)


def _until(connection: psycopg.Connection[tuple[int]], query: str, wanted: int) -> None:
    until_s = time.monotonic() + 60
    while connection.execute(query.encode()).fetchall() != [(wanted,)]:  # type: ignore[comparison-overlap]
        assert time.monotonic() < until_s
        time.sleep(0.05)


@pytest.mark.parametrize(("options", "code"), [([], 7), (["--workers", "2"], 1)], ids=["one process", "two"])
def test_a_process_that_cannot_open_the_ledger_says_why(tmp_path: Path, options: list[str], code: int) -> None:
    """There are connections enough to look whether there is a ledger, and too few to serve it."""
    databases = postgres.databases()
    url = databases.new()
    role = f"few_{postgres.database_in(url)}"
    databases.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 2")
    engines.execute(url, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    try:
        server = Server(tmp_path, "--no-auth", *options, environ={"WALLET_DB": postgres.connected_as(url, role)})
        with pytest.raises(AssertionError):
            server.start()
        assert server.process.returncode == code
        assert "too many connections" in server.stderr
        assert "Traceback" not in server.stderr
    finally:
        databases.execute(f"DROP DATABASE {postgres.database_in(url)} WITH (FORCE)")
        databases.execute(f"DROP ROLE {role}")
