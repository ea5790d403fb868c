"""Long reads have bounds: how many, for whom, for how long; and they end with their caller, whatever they are doing."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support import processes
from support.engines import Address
from web import works
from web.works import living

from wallet_cli import settings
from wallet_cli.errors import Busy, UserNotFound
from wallet_cli.web import read_worker
from wallet_cli.web.auth import Caller
from wallet_cli.web.messages import ClientLeft
from wallet_cli.web.readers import Lane, Readers, ReadFailed, start_program

ONE, OTHER = Caller("one", None, True), Caller("other", None, True)
USUAL = Lane(at_once=2, waiting=4, for_one=2, seconds=60.0)

Story = Callable[[Readers], Awaitable[None]]


async def there() -> dict[str, Any]:
    """What a server hears of a caller who waits for the answer."""
    await asyncio.Event().wait()
    raise AssertionError


@pytest.fixture
def run(db: Address) -> Callable[[Story], None]:
    """Runs a story with the readers of a server."""

    def run(story: Story) -> None:
        async def all_of_it() -> None:
            readers = Readers(settings.load({"db": str(db)}))
            try:
                await asyncio.wait_for(story(readers), works.WAIT_S)
                assert (readers.under_way, readers.waiting) == (0, 0)
            finally:
                await asyncio.to_thread(readers.close)

        asyncio.run(all_of_it())

    return run


async def answered(readers: Readers, *asked: Any) -> Any:
    answer = await readers.answer(*asked)
    return json.loads(b"".join(answer.pieces))


async def until(what: Callable[[], bool]) -> None:
    while not what():
        await asyncio.sleep(0.01)


def asking(readers: Readers, folder: Path, lane: Lane = USUAL, caller: Caller = ONE) -> asyncio.Task[Any]:
    """A read that goes on until there is a file `go` in the folder."""
    folder.mkdir(exist_ok=True)
    return asyncio.create_task(answered(readers, there, lane, caller, works.waits, folder))


def test_an_answer_and_an_error_come_back(run: Callable[[Story], None]) -> None:
    async def story(readers: Readers) -> None:
        assert await answered(readers, there, USUAL, ONE, works.at_once, "ä") == "ä"
        with pytest.raises(UserNotFound) as refused:
            await readers.answer(there, USUAL, ONE, works.refuses)
        assert (refused.value.message, refused.value.hint, refused.value.details) == ("no", "ask", {"id": 7})
        with pytest.raises(ReadFailed) as failed:
            await readers.answer(there, USUAL, ONE, works.fails)
        assert failed.value.name == "ZeroDivisionError"
        assert "works.py" in failed.value.where

    run(story)


def test_a_read_imports_nothing(run: Callable[[Story], None]) -> None:
    """That would take it 15 ms, and 60 more with PostgreSQL."""

    async def story(readers: Readers) -> None:
        assert await answered(readers, there, USUAL, ONE, works.imported) == []

    run(story)


def test_where_no_descriptor_is_free_it_is_busy(run: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def none_is_free() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    async def story(readers: Readers) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(socket, "socketpair", none_is_free)
            with pytest.raises(Busy, match="long reads are not possible now: Too many open files"):
                await readers.answer(there, USUAL, ONE, works.at_once, "never")
        assert await answered(readers, there, USUAL, ONE, works.at_once, "next") == "next"

    run(story)


@pytest.mark.parametrize("work", [works.spinning, works.in_sql, works.waits])
def test_the_deadline_ends_it_whatever_it_is_doing(
    run: Callable[[Story], None], tmp_path: Path, work: Callable[..., Any]
) -> None:
    async def story(readers: Readers) -> None:
        # On a busy machine it may take longer than that to begin.
        for seconds in itertools.count(2):
            with pytest.raises(Busy, match=f"no answer within {seconds} s"):
                await readers.answer(there, USUAL._replace(seconds=float(seconds)), ONE, work, tmp_path)
            if any(tmp_path.glob("begun-*")):
                break
        await until(lambda: not living(tmp_path))

    run(story)


@pytest.mark.parametrize("work", [works.spinning, works.in_sql, works.waits])
def test_it_ends_when_its_caller_leaves(run: Callable[[Story], None], tmp_path: Path, work: Callable[..., Any]) -> None:
    async def leaving() -> dict[str, Any]:
        await until(lambda: bool(living(tmp_path)))
        return {"type": "http.disconnect"}

    async def story(readers: Readers) -> None:
        with pytest.raises(ClientLeft):
            await readers.answer(leaving, USUAL, ONE, work, tmp_path)
        await until(lambda: not living(tmp_path))

    run(story)


def test_who_leaves_while_waiting_for_a_turn_takes_none(run: Callable[[Story], None], tmp_path: Path) -> None:
    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def story(readers: Readers) -> None:
        lane = USUAL._replace(at_once=1)
        first = asking(readers, tmp_path, lane)
        await until(lambda: bool(living(tmp_path)))
        with pytest.raises(ClientLeft):
            await readers.answer(gone, lane, ONE, works.at_once, "never")
        (tmp_path / "go").touch()
        assert await first == "done"
        assert await answered(readers, there, lane, ONE, works.at_once, "next") == "next"

    run(story)


def test_a_stop_ends_those_under_way_and_those_that_wait(run: Callable[[Story], None], tmp_path: Path) -> None:
    async def story(readers: Readers) -> None:
        lane = USUAL._replace(at_once=1)
        tasks = [asking(readers, tmp_path, lane), asking(readers, tmp_path, lane)]
        await until(lambda: bool(living(tmp_path)) and readers.waiting == 1)
        readers.end_all()
        for task in tasks:
            with pytest.raises(Busy, match="shutting down"):
                await task
        with pytest.raises(Busy, match="shutting down"):
            await readers.answer(there, lane, ONE, works.at_once, "late")
        await until(lambda: not living(tmp_path))

    run(story)


def test_beyond_the_queue_it_is_refused_at_once(run: Callable[[Story], None], tmp_path: Path) -> None:
    async def story(readers: Readers) -> None:
        lane = Lane(at_once=1, waiting=2, for_one=1, seconds=60.0)
        tasks = [asking(readers, tmp_path, lane, Caller(str(number), None, True)) for number in range(3)]
        await until(lambda: readers.under_way == 1 and readers.waiting == 2)
        with pytest.raises(Busy):
            await readers.answer(there, lane, Caller("last", None, True), works.at_once, "never")
        (tmp_path / "go").touch()
        assert await asyncio.gather(*tasks) == ["done"] * 3

    run(story)


def test_one_caller_cannot_have_all_the_places(run: Callable[[Story], None], tmp_path: Path) -> None:
    """Beyond their share they wait, while others who come later have theirs at once."""

    async def story(readers: Readers) -> None:
        lane = Lane(at_once=2, waiting=4, for_one=1, seconds=60.0)
        tasks = [asking(readers, tmp_path, lane) for _ in range(3)]
        await until(lambda: readers.under_way == 1 and readers.waiting == 2)
        with pytest.raises(Busy, match="you have too many"):
            await readers.answer(there, lane, ONE, works.at_once, "never")
        assert await answered(readers, there, lane, OTHER, works.at_once, "theirs") == "theirs"
        (tmp_path / "go").touch()
        assert await asyncio.gather(*tasks) == ["done"] * 3

    run(story)


def test_a_read_whose_process_is_killed_fails_alone(run: Callable[[Story], None], tmp_path: Path) -> None:
    async def story(readers: Readers) -> None:
        task = asking(readers, tmp_path)
        await until(lambda: bool(living(tmp_path)))
        os.kill(living(tmp_path)[0], signal.SIGKILL)
        with pytest.raises(Busy, match="has ended early"):
            await task
        assert await answered(readers, there, USUAL, ONE, works.at_once, "next") == "next"
        assert readers._program is not None
        readers._program.kill()
        readers._program.wait()
        assert await answered(readers, there, USUAL, ONE, works.at_once, "a new program") == "a new program"

    run(story)


def test_a_read_that_gets_no_process_is_busy(run: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that starts them goes on, and so do the reads that run."""

    def start(control: int, modules: Sequence[str]) -> Any:
        return start_program(control, [*modules, "web.no_process"])

    async def story(readers: Readers) -> None:
        with pytest.raises(Busy, match="has ended early"):
            await readers.answer(there, USUAL, ONE, works.at_once, "first")
        program = readers._program
        assert await answered(readers, there, USUAL, ONE, works.at_once, "second") == "second"
        assert readers._program is program

    monkeypatch.setattr("wallet_cli.web.readers.start_program", start)

    run(story)


@pytest.mark.on_file("has no ledger")
@pytest.mark.parametrize("unread", [b"", b"a part of the answer"])
def test_a_read_ends_when_the_server_hangs_up_whatever_it_had_not_read(unread: bytes) -> None:
    ours, theirs = socket.socketpair()
    theirs.send(unread)
    with theirs:
        ours.close()  # with something unread, this resets the connection
        assert processes.reap(processes.fork(lambda: read_worker._end_with(theirs))) == 0
