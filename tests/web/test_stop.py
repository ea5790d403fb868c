"""SIGTERM under load: every request that was sent gets its answer, and the exit code is 0."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from support import cli, engines
from support import server as running
from support.load import CREATE, Answer, Connection, UnansweredError, transaction
from support.server import Server
from support.sizes import size

from wallet_cli import settings
from wallet_cli.operations.context import open_ledger

CONNECTIONS = 16
STOPS = size(6, 50)
STOPS_A_TEST = size(3, 5)
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.on_file("fewer do")) for seed in range(1, STOPS // STOPS_A_TEST))]
ANSWERS_BEFORE_A_STOP = (1, 300)
MAX_DELAY_S = 0.004
"""A batch takes about this long, so that a stop may fall anywhere in it."""
RECONNECT_S = 0.001
OWN_GROUP = "import os, sys; os.setpgid(0, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Load:
    """Connections that post until there is no server; what became of every request that they sent."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.unanswered: list[str] = []
        self.enough = asyncio.Event()
        self.after_closing = 0
        """Connections that went on after the server had said `connection: close`."""

    async def until_stopped(self, server: Server, number: int, answers: int, delay_s: float) -> None:
        """Let `answers` come in, signal the server a moment later, and go on until nothing listens any more."""
        clients = [asyncio.create_task(self._post(server, answers)) for _ in range(CONNECTIONS)]
        ready = asyncio.create_task(self.enough.wait())
        await asyncio.wait([ready, *clients], return_when=asyncio.FIRST_COMPLETED)
        assert ready.done(), f"a connection ended before the signal: {server.stderr}"
        await asyncio.sleep(delay_s)
        server.process.send_signal(number)
        await asyncio.gather(*clients)

    async def _post(self, server: Server, answers: int) -> None:
        while True:
            try:
                connection = await Connection.open(server.address)
            except OSError:
                return  # nobody listens: that was no request
            try:
                await self._post_on(connection, answers)
            except UnansweredError as error:
                self.unanswered.append(str(error))
            await connection.close()

    async def _post_on(self, connection: Connection, answers: int) -> None:
        """Post until the server says that it closes the connection."""
        while True:
            answer = await connection.post(CREATE, transaction(1))
            self.answers.append(answer)
            if len(self.answers) == answers:
                self.enough.set()
            if answer.closes:
                return


@pytest.fixture
def folder(wallet: Callable[[str], cli.Outcome], tmp_path: Path) -> Path:
    """Where there is a ledger with wallet 1."""
    assert wallet("register 9886977544").code == 0
    assert wallet("create 1").code == 0
    return tmp_path


def stop_again_and_again(folder: Path, stops: int, seed: int, number: int, *options: str) -> None:
    drawn = random.Random(seed)
    made = 0
    for _ in range(stops):
        with Server(folder, "--no-auth", *options) as started:
            load = Load()
            answers, delay_s = drawn.randint(*ANSWERS_BEFORE_A_STOP), drawn.random() * MAX_DELAY_S
            asyncio.run(load.until_stopped(started, number, answers, delay_s))
            code = started.stop(0)  # no further signal: only wait for the end
        sent = len(load.answers) + len(load.unanswered)
        assert not load.unanswered, f"{len(load.unanswered)} of {sent} requests: {load.unanswered[0]}; {started.stderr}"
        assert {answer.status for answer in load.answers} <= {201, 503}  # 503: it shuts down, send it again
        assert code == 0, started.stderr
        made += sum(answer.status == 201 for answer in load.answers)
    with open_ledger(settings.load({}), lambda _: None) as ledger:
        account = ledger.store.account(1, ledger.now_us())
    assert account is not None
    assert account.last.seq == made  # nothing was done that was not answered, nor answered and not done


@pytest.mark.parametrize("seed", SEEDS)
def test_every_request_sent_is_answered(folder: Path, seed: int) -> None:
    stop_again_and_again(folder, STOPS_A_TEST, seed, signal.SIGTERM)


def test_sigint_is_as_good(folder: Path) -> None:
    stop_again_and_again(folder, size(2, 5), 100, signal.SIGINT)


def test_several_workers_too(folder: Path) -> None:
    stop_again_and_again(folder, size(2, 5), 200, signal.SIGTERM, "--workers", "2")


# Requests that are under way when the signal comes, one by one.


async def _waiting(server: Server) -> tuple[Connection, asyncio.Task[Answer]]:
    """A request that a running server has, and that waits for its turn, which another process holds."""
    connection = await Connection.open(server.address)
    assert (await connection.post("/nowhere", {})).status == 404  # it runs
    waiting = asyncio.create_task(connection.post(CREATE, transaction(7)))
    while not connection.flushed:
        await asyncio.sleep(0)
    return connection, waiting


async def _refused(server: Server) -> None:
    """Wait until nothing listens any more: the signal was taken."""
    while True:
        try:
            connection = await Connection.open(server.address)
        except OSError:
            return
        await connection.close()
        await asyncio.sleep(RECONNECT_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["one worker", "two workers"])
def test_what_waits_for_its_turn_is_still_written_and_answered(folder: Path, number: int, options: list[str]) -> None:
    async def story(server: Server) -> Answer:
        # The turn is another process's, so the request waits; then the signal comes, and then the turn is given up.
        with engines.turn_held(server.db) as give_up:
            connection, waiting = await _waiting(server)
            server.process.send_signal(number)
            await _refused(server)
            assert not waiting.done()
            give_up()
            answer = await waiting
            await connection.close()
            return answer

    with Server(folder, "--no-auth", *options) as started:
        answer = asyncio.run(story(started))
        assert answer.status == 201
        assert answer.closes
        assert started.stop(0) == 0


def test_with_nothing_to_answer_it_waits_for_no_turn(tmp_path: Path) -> None:
    """To note when a key was used is worth no wait of a whole day."""
    with Server(tmp_path, environ={"WALLET_LOCK_TIMEOUT": "86400"}) as started:
        assert started.api(started.key("till")).get("/users").status_code == 200
        with engines.turn_held(started.db):
            assert started.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(folder: Path, number: int) -> None:
    async def story(server: Server) -> None:
        with engines.turn_held(server.db):
            connection, waiting = await _waiting(server)
            server.process.send_signal(number)
            await _refused(server)
            assert server.process.poll() is None  # it waits for the turn
            server.process.send_signal(number)
            with pytest.raises(UnansweredError):
                await waiting
            await connection.close()
            # The turn is still held: the server did not wait for it.
            assert await asyncio.to_thread(server.stop, 0) == 128 + number

    with Server(folder, "--no-auth") as started:
        asyncio.run(story(started))


@pytest.mark.on_file("who is sent a signal")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["one worker", "two workers"])
def test_a_signal_to_the_whole_group_is_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, options: list[str]
) -> None:
    """As Ctrl-C in a terminal is, and what a service manager sends to all processes of a service."""

    async def story(server: Server) -> Answer:
        with engines.turn_held(server.db) as give_up:
            connection, waiting = await _waiting(server)
            os.killpg(server.process.pid, number)
            await _refused(server)
            give_up()
            answer = await waiting
            await connection.close()
            return answer

    # A group of its own: the signal is not for the tests.
    monkeypatch.setattr(running, "PROGRAM", [sys.executable, "-c", OWN_GROUP, *running.WALLET])
    with Server(folder, "--no-auth", *options) as started:
        assert asyncio.run(story(started)).status == 201
        assert started.stop(0) == 0
        assert started.stderr.count('"event": "stopped"') == int((options or ["", "1"])[1])


def test_a_second_signal_ends_all_workers_at_once(folder: Path) -> None:
    async def story(server: Server) -> None:
        with engines.turn_held(server.db):
            connection, waiting = await _waiting(server)
            server.process.send_signal(signal.SIGTERM)
            await _refused(server)
            assert server.process.poll() is None
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(UnansweredError):
                await waiting
            await connection.close()
            await asyncio.to_thread(server.stop, 0)

    with Server(folder, "--no-auth", "--workers", "2") as started:
        asyncio.run(story(started))


@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["one worker", "two workers"])
def test_a_stop_right_after_the_start_answers_too(folder: Path, options: list[str]) -> None:
    async def story(server: Server) -> Answer:
        connection = await Connection.open(server.address)
        waiting = asyncio.create_task(connection.post(CREATE, transaction(7)))
        while not connection.flushed:
            await asyncio.sleep(0)
        server.process.send_signal(signal.SIGTERM)
        answer = await waiting
        await connection.close()
        return answer

    # It has said that it serves, so it does.
    with Server(folder, "--no-auth", *options) as started:
        assert asyncio.run(story(started)).status == 201
        assert started.stop(0) == 0


def test_an_idle_server_stops_with_idle_connections_open(folder: Path) -> None:
    async def story(server: Server) -> int:
        with httpx.Client(trust_env=False) as idle:
            assert idle.get(f"{server.url}/healthz").status_code == 200
            return await asyncio.to_thread(server.stop)

    with Server(folder, "--no-auth") as started:
        assert asyncio.run(story(started)) == 0
