"""What keeps a server's event loop free beside large requests: nothing is scanned, freed or read in one go."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.server import ServerState as UvicornState

from wallet_cli.domain.ids import MAX_KEY_CHARS, MAX_NOTE_CHARS
from wallet_cli.domain.metadata import MAX_META_BYTES
from wallet_cli.errors import Busy, InvalidInput
from wallet_cli.web import long_work, server_state
from wallet_cli.web.auth import LOCAL
from wallet_cli.web.long_work import MAX_STEPS, ROUNDS, LongWork, Slices
from wallet_cli.web.messages import Reply
from wallet_cli.web.protocol import PART_BYTES, BoundedProtocol, bounded_protocol
from wallet_cli.web.requests import Batch, BatchItem, NewTransaction, decode, read_batch
from wallet_cli.web.routes import batches, holds, import_chunks, transactions, users, wallets
from wallet_cli.web.routes.batches import Items, create_transactions, one_by_one
from wallet_cli.web.routes.call import QUICK_BYTES, Call
from wallet_cli.web.routes.import_chunks import MAX_HEAD_BYTES, MAX_HEAD_VALUES, import_part, read_part
from wallet_cli.web.server_state import ServerState

LONG = 500_000
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def refusing(_scope: Any, _receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


ENDINGS = {
    "nothing sent": b"",
    "half a head": b"GET / HTTP/1.1\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "a long body that is refused": POST % LONG + b" " * LONG,
    "half a body": POST % LONG + b" " * (LONG // 2),
    "requests one after another": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 20,
    "no HTTP": b"\x16\x03\x01" * 100,
}


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("sent", ENDINGS.values(), ids=ENDINGS)
def test_a_lost_connection_leaves_nothing_for_the_collector(sent: bytes) -> None:
    """Else its body would be kept until the collector comes, which is long under an attack."""

    async def main() -> weakref.ref[Any]:
        config = uvicorn.Config(refusing, log_level="critical")
        config.load()
        made: list[weakref.ref[Any]] = []

        def connection() -> Any:
            buffered = bounded_protocol(10, Slices())(config=config, server_state=UvicornState(), app_state={})
            made.append(weakref.ref(cast(Any, buffered).get_buffer.__self__))
            return buffered

        server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(sent)
        await writer.drain()
        while not made:
            await asyncio.sleep(0.001)
        writer.close()
        async with asyncio.timeout(20):
            while made[0]() is not None:
                await asyncio.sleep(0.001)
        server.close()
        return made[0]

    assert asyncio.run(main())() is None


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not what():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def sent_to(application: Any, data: bytes) -> AsyncIterator[asyncio.StreamWriter]:
    """A connection to a server of an application, on which data was written."""
    config, state = uvicorn.Config(application, log_level="critical"), UvicornState()
    config.load()
    made = partial(bounded_protocol(10, Slices()), config=config, server_state=state, app_state={})
    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(data)
    await writer.drain()
    yield writer
    writer.close()
    await until(lambda: not state.connections)
    server.close()


def test_every_request_of_a_lost_connection_is_told_so() -> None:
    """A long read ends when its caller has left, also if the caller had sent a further request."""
    told: list[str] = []

    async def waiting(_scope: Any, receive: Callable[[], Awaitable[dict[str, Any]]], _send: Any) -> None:
        await receive()
        told.append((await receive())["type"])

    async def main() -> None:
        async with sent_to(waiting, ENDINGS["requests one after another"]) as writer:
            writer.close()
            await until(lambda: bool(told))

    asyncio.run(main())
    assert told == ["http.disconnect"]


@pytest.mark.parametrize(
    ("working", "waiting", "late", "collects"),
    [(False, 0, False, True), (True, 0, False, False), (False, 1, False, False), (True, 1, True, True)],
)
def test_garbage_is_collected_when_no_batch_is_in_hand(
    monkeypatch: pytest.MonkeyPatch, working: bool, waiting: int, late: bool, collects: bool
) -> None:
    collected: list[None] = []
    monkeypatch.setattr(server_state, "COLLECT_EVERY_S", 0.0)
    monkeypatch.setattr(server_state, "COLLECT_AT_LAST_S", -1.0 if late else 1e9)
    monkeypatch.setattr(server_state, "gc", SimpleNamespace(collect=lambda: collected.append(None), freeze=int))

    async def main() -> None:
        server = SimpleNamespace(
            loop=asyncio.get_running_loop(),
            long_work=SimpleNamespace(is_idle=not working),
            group_commit=SimpleNamespace(depth=lambda: waiting),
        )
        chore = asyncio.ensure_future(ServerState._collect_for_ever(cast(ServerState, server)))
        for _ in range(20):
            await asyncio.sleep(0)
        chore.cancel()

    asyncio.run(main())
    assert (len(collected) > 1) == collects  # the first time is at the start


# --- slices -----------------------------------------------------------------------------------------------------------


async def rounds(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("quiet_s", "apart"), [(-1.0, ROUNDS), (60.0, 1)], ids=["others", "nobody else"])
def test_however_many_ask_there_is_one_slice_in_so_many_rounds(
    monkeypatch: pytest.MonkeyPatch, quiet_s: float, apart: int
) -> None:
    monkeypatch.setattr(long_work, "QUIET_S", quiet_s)

    async def main() -> list[int]:
        slices, ran, each_round = Slices(), [0], []

        def step() -> None:
            ran[0] += 1
            slices.run(step)

        for _ in range(100):
            slices.run(step)
        for _ in range(10 * ROUNDS):
            before = ran[0]
            await rounds(1)
            each_round.append(ran[0] - before)
        return each_round

    each_round = asyncio.run(main())
    assert max(each_round) <= MAX_STEPS
    busy = [at for at, count in enumerate(each_round) if count]
    assert len(busy) >= 9
    assert all(later - earlier == apart for earlier, later in pairwise(busy))


def test_a_long_body_is_decoded_in_a_slice() -> None:
    """So those of many connections take no more of the loop than one; a short one waits for nothing."""

    async def main() -> list[str]:
        slices, order = Slices(), []

        async def body(name: str, size: int) -> None:
            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": b" " * size, "more_body": False}

            scope = {"headers": [(b"content-type", b"application/json")]}
            await Call(scope, cast(Any, receive), LOCAL, slices).body()
            order.append(name)

        long = [asyncio.create_task(body("long", QUICK_BYTES + 1)) for _ in range(3)]
        short = [asyncio.create_task(body("short", QUICK_BYTES)) for _ in range(3)]
        await asyncio.gather(*long, *short)
        return order

    assert asyncio.run(main()) == ["long", *["short"] * 3, *["long"] * 2]


def test_a_step_runs_at_once_where_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_work, "SLICE_S", 60.0)

    async def main() -> None:
        slices, ran = Slices(), []
        for number in range(MAX_STEPS + 1):
            slices.run(partial(ran.append, number))
        assert ran == [*range(MAX_STEPS)]
        await rounds(ROUNDS + 1)
        assert ran == [*range(MAX_STEPS + 1)]

    asyncio.run(main())


def test_steps_that_need_long_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_work, "SLICE_S", -1.0)
    monkeypatch.setattr(long_work, "QUIET_S", -1.0)

    async def main() -> None:
        slices, ran = Slices(), []
        for number in range(4):
            slices.run(partial(ran.append, number))
        for ran_by_then in range(1, 5):
            await rounds(ROUNDS)
            assert ran == [*range(ran_by_then)]

    asyncio.run(main())


def test_a_step_that_fails_and_one_that_nobody_waits_for_stop_nobody() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        slices, ran = Slices(), []
        for _ in range(MAX_STEPS):
            slices.run(int)  # the present slice is full
        slices.run(partial(int, "no number"))
        left = asyncio.ensure_future(slices.next_alone())
        slices.run(partial(ran.append, 1))
        await rounds(1)
        left.cancel()
        await rounds(4 * ROUNDS)
        assert ran == [1]
        assert left.cancelled()

    asyncio.run(main())


def test_who_has_a_slice_alone_shares_it_with_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_work, "SLICE_S", 60.0)

    async def main() -> None:
        slices, ran = Slices(), []
        work = LongWork(slices)
        async with work.turn():
            slices.run(partial(ran.append, 1))
            slices.run(partial(ran.append, 2))
            assert ran == []
        await rounds(ROUNDS + 1)
        assert ran == [1, 2]

    asyncio.run(main())


def test_what_comes_in_is_read_in_short_parts_however_long_the_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """In tiny chunks, a whole buffer would take the parser 11 ms."""
    monkeypatch.setattr(long_work, "SLICE_S", 60.0)
    read: list[int] = []
    read_part = BoundedProtocol._read_part

    def watched(self: BoundedProtocol, data: bytes) -> None:
        read.append(len(data))
        read_part(self, data)

    monkeypatch.setattr(BoundedProtocol, "_read_part", watched)

    async def main() -> None:
        async with sent_to(refusing, ENDINGS["requests one after another"] * 100):
            await until(lambda: len(read) > 1)

    asyncio.run(main())
    assert max(read) <= PART_BYTES


@pytest.mark.parametrize("others", [0, 1, 100])
def test_however_many_others_wait_a_batch_has_every_second_slice(monkeypatch: pytest.MonkeyPatch, others: int) -> None:
    monkeypatch.setattr(long_work, "SLICE_S", -1.0)  # each step takes a slice
    monkeypatch.setattr(long_work, "QUIET_S", -1.0)

    async def main() -> tuple[int, int]:
        slices, ran, had = Slices(), [0], 0

        def step() -> None:
            ran[0] += 1
            slices.run(step)

        for _ in range(others):
            slices.run(step)
        async with asyncio.timeout(20):
            async with LongWork(slices).turn() as pause:
                while had < 100:
                    await pause()
                    had += 1
        return had, ran[0]

    had, ran = asyncio.run(main())
    assert ran <= had + 1
    assert ran >= (had - 1 if others else 0)  # and they have the others


def test_work_is_idle_when_nobody_has_it() -> None:
    async def main() -> None:
        work = LongWork(Slices())
        assert work.is_idle
        async with work.turn():
            assert not work.is_idle
        assert work.is_idle

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "error"), [(b'{"atomic": true}', Busy), (b"{" + b" " * batches.LARGE_BYTES, Busy), (b"{}", InvalidInput)]
)
def test_a_batch_that_has_no_room_is_refused_before_it_is_read(body: bytes, error: type[Exception]) -> None:
    """Reading 10,000 items takes the loop longer than anything else, and freeing them too."""

    def must_have_room(*, groups: bool = False, many: bool = False) -> None:
        if groups or many:
            raise Busy("20,000 writes are already waiting")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def main() -> None:
        server = SimpleNamespace(
            long_work=LongWork(Slices()), group_commit=SimpleNamespace(must_have_room=must_have_room)
        )
        scope = {"headers": [(b"content-type", b"application/json")], "query_string": b""}
        await create_transactions(cast(ServerState, server), Call(scope, cast(Any, receive), LOCAL, Slices()))

    with pytest.raises(error):
        asyncio.run(main())


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_what_a_refused_batch_held_is_freed_before_it_is_answered(
    monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    """Together, 10,000 items take the loop 2 ms."""
    made: list[Items] = []

    class Watched(Items):
        def __init__(self, server: ServerState, call: Call) -> None:
            super().__init__(server, call)
            made.append(self)

        def add(self, item: BatchItem) -> None:
            if item.user_id == refused:
                raise InvalidInput("refused")
            self._items.append(b"prepared")

    item = '{"user_id": %d, "wallet_id": 1, "amount": 1, "is_credit": true}'
    body = f'{{"transactions": [{",".join(item % user for user in (1, 2, 3))}]}}' if refused else "{"

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body.encode(), "more_body": False}

    async def main() -> None:
        room = SimpleNamespace(must_have_room=lambda **_: None)
        server = SimpleNamespace(long_work=LongWork(Slices()), group_commit=room)
        scope = {"headers": [(b"content-type", b"application/json")], "query_string": b""}
        await create_transactions(cast(ServerState, server), Call(scope, cast(Any, receive), LOCAL, Slices()))

    monkeypatch.setattr(batches, "Items", Watched)
    with pytest.raises(InvalidInput):
        asyncio.run(main())
    assert not made[0]


LISTS = {
    "users": users.list_users,
    "wallets": wallets.list_wallets,
    "transactions": transactions.list_transactions,
    "the day book": transactions.list_history,
    "holds": holds.list_holds,
}


@pytest.mark.parametrize(("limit", "is_apart"), [(100, False), (101, True), (1000, True), (1001, False)])
@pytest.mark.parametrize("handler", LISTS.values(), ids=LISTS)
def test_a_long_page_is_read_apart(handler: Callable[..., Awaitable[Reply]], limit: int, *, is_apart: bool) -> None:
    """1,000 rows take the loop 3 to 11 ms. A limit that is refused takes nothing."""

    class Read(Exception):
        pass

    class Ledger:
        def __getattr__(self, _name: str) -> None:
            raise Read("in the loop")

    async def answer(*_: Any) -> None:
        raise Read("apart")

    async def main() -> None:
        server = SimpleNamespace(ledger=Ledger(), readers=SimpleNamespace(answer=answer))
        scope = {"query_string": b"limit=%d" % limit, "path_params": {"user_id": "1", "wallet_id": "1"}}
        await handler(server, Call(scope, cast(Any, None), LOCAL, Slices()))

    with pytest.raises((Read, InvalidInput)) as raised:
        asyncio.run(main())
    assert (str(raised.value) == "apart") is is_apart


@pytest.mark.parametrize("values", [b"1," * MAX_HEAD_VALUES, b" " * MAX_HEAD_BYTES], ids=["values", "bytes"])
def test_the_head_of_a_part_is_bounded_before_it_is_read(values: bytes) -> None:
    """8 MiB of numbers took the loop half a second."""
    body = b'{"numbers":[' + values + b"1]}" + b"\n" * (values.count(b",") + 2)
    with pytest.raises(InvalidInput, match=r"^the head of the part has too many values$"):
        read_part(body)


def test_the_head_of_a_part_is_not_read_in_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: bytes) -> Any:
        raise InvalidInput(threading.current_thread().name)

    async def apart(work: Callable[[Any], Any], _caller: object) -> None:
        await asyncio.to_thread(work, None)

    async def file(*_: Any) -> tuple[str, bytes]:
        return "", b"{}"

    async def main() -> None:
        server = SimpleNamespace(importing=nullcontext, write_apart=apart)
        call = SimpleNamespace(query=lambda *_: {}, no_key=lambda *_: None, file=file, caller=LOCAL)
        await import_part(cast(ServerState, server), cast(Call, call))

    monkeypatch.setattr(import_chunks, "read_part", read)
    with pytest.raises(InvalidInput) as raised:
        asyncio.run(main())
    assert raised.value.message != threading.main_thread().name


VALUES = {
    "objects": b"{},",
    "objects with a field": b'{"":1},',
    "objects with two fields": b'{"":1,"a":1},',
    "lists": b"[],",
    "lists in lists": b"[[[]]],",
    "numbers": b"1,",
    "texts": b'"",',
}
FIELDS = {
    "a field again and again": b'"note":"a",',
    "the shortest fields": b'"":1,',
}
MANY = {name: b'{"meta":[' + each * (60_000 // len(each)) + b"1]}" for name, each in VALUES.items()} | {
    name: b"{" + each * (60_000 // len(each)) + b'"a":1}' for name, each in FIELDS.items()
}


@pytest.mark.parametrize("body", MANY.values(), ids=MANY)
def test_a_body_of_many_values_is_refused_before_they_are_read(body: bytes) -> None:
    """64 KiB of them would take the loop 1 to 4 ms."""
    with pytest.raises(InvalidInput, match=r"^the body has too many values$"):
        decode(body, NewTransaction)
    for others in (b"", b"," + body):
        batch = Batch(transactions=[])
        with pytest.raises(InvalidInput, match=r"^transactions\[0\] is not JSON, or has .*too many values$"):
            list(read_batch([b'{"transactions":[', body, others, b"]}"], batch))
        assert batch.transactions == []


QUOTE = rb"\""

LARGEST = {
    "metadata of objects": (b'{"a":[' + b"{}," * ((MAX_META_BYTES - 9) // 3) + b"{}]}", b"n", b"k"),
    "quotes": (b'{"a":"' + QUOTE * ((MAX_META_BYTES - 9) // 2) + b'"}', QUOTE * MAX_NOTE_CHARS, QUOTE * MAX_KEY_CHARS),
    "commas": (b'{"a":"' + b"," * (MAX_META_BYTES - 9) + b'"}', b"," * MAX_NOTE_CHARS, b"," * MAX_KEY_CHARS),
}


@pytest.mark.parametrize("largest", LARGEST)
@pytest.mark.parametrize("spaces", [0, 900, 7_000, 8_200])
def test_what_a_transaction_may_say_is_never_too_much(largest: str, spaces: int) -> None:
    """Wherever it ends, and whatever comes after it."""
    meta, note, key = LARGEST[largest]
    assert len(meta) <= MAX_META_BYTES
    body = b'{%s"user_id":1,"wallet_id":1,"amount":1,"is_credit":true,"key":"%s","note":"%s","meta":%s}'
    body %= (b" " * spaces, key, note, meta)
    assert bytes(decode(body, BatchItem).meta) == meta
    batch = Batch(transactions=[])
    list(read_batch([b'{"transactions":[', b",".join([body] * 30), b"]}"], batch))
    assert [bytes(item.meta) for item in batch.transactions] == [meta] * 30


def test_a_value_is_freed_when_it_was_used() -> None:
    class Value(list[int]):
        pass

    values = [Value([number]) for number in range(3)]
    known = [weakref.ref(value) for value in values]
    seen = []
    for value in one_by_one(values):
        seen.append(value[0])
        assert [each() is not None for each in known] == [number >= value[0] for number in range(3)]
    assert seen == [0, 1, 2]
    assert values == []
