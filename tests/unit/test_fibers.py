"""Fibers: plain code in an event loop, which goes on while it waits."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE

import pytest
import uvloop

from wallet_cli.web.fibers import Fibers

LONG_S = 30.0
Case = Callable[[Fibers], Awaitable[None]]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Case], None]:
    """Runs a case in each kind of event loop; whatever that is told of an error fails the test."""

    async def guarded(case: Case) -> None:
        loop = asyncio.get_running_loop()
        told: list[object] = []
        loop.set_exception_handler(lambda _, context: told.append(context.get("exception", context)))
        await asyncio.wait_for(case(Fibers(loop)), LONG_S)
        assert told == []

    def runner(case: Case) -> None:
        with asyncio.Runner(loop_factory=request.param) as made:
            made.run(guarded(case))

    return runner


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def test_the_loop_goes_on_while_a_fiber_waits(run: Callable[[Case], None], pair: tuple[socket.socket, ...]) -> None:
    ours, theirs = pair
    said: list[str] = []

    async def case(fibers: Fibers) -> None:
        ended = asyncio.Event()

        def work() -> None:
            said.append("begun")
            assert fibers.until_ready(ours.fileno(), EVENT_READ, LONG_S) == EVENT_READ
            said.append(ours.recv(9).decode())
            assert fibers.until_ready(ours.fileno(), EVENT_READ, LONG_S) == EVENT_READ
            said.append(ours.recv(9).decode())
            ended.set()

        fibers.run(work)
        for word in ("one", "two"):
            said.append("loop")
            theirs.send(word.encode())
            while said[-1] != word:
                await asyncio.sleep(0)
        await ended.wait()

    run(case)
    assert said == ["begun", "loop", "one", "loop", "two"]


def test_what_does_not_come_in_time_is_nothing(run: Callable[[Case], None], pair: tuple[socket.socket, ...]) -> None:
    ours, theirs = pair
    found: list[int] = []

    async def case(fibers: Fibers) -> None:
        ended = asyncio.Event()

        def work() -> None:
            found.append(fibers.until_ready(ours.fileno(), EVENT_READ, 0.01))
            theirs.send(b"late")
            found.append(fibers.until_ready(ours.fileno(), EVENT_READ, LONG_S))
            ended.set()

        fibers.run(work)
        await ended.wait()

    run(case)
    assert found == [0, EVENT_READ]


def test_a_file_can_be_waited_for_to_write(run: Callable[[Case], None], pair: tuple[socket.socket, ...]) -> None:
    ours, theirs = pair
    sent = 0
    with suppress(BlockingIOError):
        while True:
            sent += ours.send(b"x" * 65536)
    found: list[int] = []

    async def case(fibers: Fibers) -> None:
        ended = asyncio.Event()

        def work() -> None:
            found.append(fibers.until_ready(ours.fileno(), EVENT_READ | EVENT_WRITE, LONG_S))
            ended.set()

        fibers.run(work)
        assert found == []
        left = sent
        while left:
            left -= len(theirs.recv(left))
        await ended.wait()

    run(case)
    assert found == [EVENT_WRITE]


def test_many_fibers_wait_at_once_and_each_gets_what_is_its_own(run: Callable[[Case], None]) -> None:
    pairs = [socket.socketpair() for _ in range(50)]
    read: dict[int, bytes] = {}

    async def case(fibers: Fibers) -> None:
        def work(number: int) -> None:
            fibers.sleep(0.001 * (number % 3))
            assert fibers.until_ready(pairs[number][0].fileno(), EVENT_READ, LONG_S) == EVENT_READ
            read[number] = pairs[number][0].recv(9)

        for number in range(len(pairs)):
            fibers.run(lambda number=number: work(number))  # type: ignore[misc]
        for number in reversed(range(len(pairs))):
            pairs[number][1].send(str(number).encode())
            await asyncio.sleep(0)
        while len(read) < len(pairs):
            await asyncio.sleep(0.001)

    run(case)
    for ends in pairs:
        for end in ends:
            end.close()
    assert read == {number: str(number).encode() for number in range(len(pairs))}


def test_nothing_is_left_with_the_loop(run: Callable[[Case], None], pair: tuple[socket.socket, ...]) -> None:
    """A wait that has ended does not take up the fiber once more, from wherever it has come to by then."""
    ours, theirs = pair
    found: list[int] = []

    async def case(fibers: Fibers) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def work() -> None:
            found.append(fibers.until_ready(ours.fileno(), EVENT_READ, 0.01))
            found.append(fibers.until_ready(theirs.fileno(), EVENT_READ, LONG_S))
            ended.set()

        theirs.send(b"unread")
        fibers.run(work)
        # The first time limit comes before this one, and the first file is ready all the while.
        await asyncio.sleep(0.02)
        assert found == [EVENT_READ]
        assert not loop.remove_reader(ours.fileno())
        ours.send(b"answer")
        await ended.wait()
        assert not loop.remove_reader(theirs.fileno())

    run(case)
    assert found == [EVENT_READ, EVENT_READ]


def test_the_loop_itself_cannot_wait(run: Callable[[Case], None]) -> None:
    async def case(fibers: Fibers) -> None:
        with pytest.raises(AssertionError, match="the loop itself"):
            fibers.sleep(0)

    run(case)
