"""Many transactions in one request: one result for each item, or all or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeVar

from wallet_cli.domain.commands import AppliedAtomic, Atomic, Post, Refusal, Result
from wallet_cli.engine.group_commit import bytes_of
from wallet_cli.errors import WalletError
from wallet_cli.operations.context import accepted
from wallet_cli.operations.prepared import Prepared
from wallet_cli.web.http_errors import for_users
from wallet_cli.web.messages import Reply, Written, encoded, failure
from wallet_cli.web.requests import MAX_BATCH_BYTES, Batch, BatchItem, read_batch
from wallet_cli.web.routes.call import Call
from wallet_cli.web.routes.transactions import prepare
from wallet_cli.web.server_state import ServerState

T = TypeVar("T")

LARGE_BYTES = 64 * 1024
"""A longer body probably has more transactions than a quick turn."""

PIECE_BYTES = 64 * 1024
"""An answer is written out and sent in pieces of about this size."""


async def create_transactions(server: ServerState, call: Call) -> Reply:
    # Refuse early what would be refused anyway: a body that was read takes memory and time.
    server.group_commit.must_have_room()
    server.long_work.must_have_room()
    call.no_key("a batch", "transactions")
    body = await call.pieces(MAX_BATCH_BYTES)
    call.query()
    is_group = b'"atomic"' in body[0] or b'"atomic"' in body[-1]
    is_large = sum(map(len, body)) > LARGE_BYTES
    server.long_work.must_have_room()
    items = Items(server, call)
    try:
        async with server.long_work.turn() as pause:
            server.group_commit.must_have_room(groups=is_group, many=is_large)
            for _ in read_batch(one_by_one(body), items.batch):
                await pause()
            for item in one_by_one(items.batch.transactions):
                await pause()
                items.add(item)
        results = one_by_one(await items.carry_out())
    except WalletError:
        if items:
            async with server.long_work.turn() as pause:
                for _ in items.forgotten():
                    await pause()
        raise
    async with server.long_work.turn() as pause:
        for _ in items.answered(results):
            await pause()
    return Reply(200, "batch done, all items" if items.batch.atomic else "batch done", items.summary())


def one_by_one(values: list[T]) -> Iterator[T]:
    """The values of a list, which is empty then: each is freed when it was used. Together, 10,000 take 10 ms."""
    values.reverse()
    while values:
        yield values.pop()


class Items:
    """The items of one batch: first as commands, then as answers. Each step of it is short.

    If `batch` is atomic, the first refusal is raised.
    """

    def __init__(self, server: ServerState, call: Call) -> None:
        self.batch = Batch(transactions=[])
        self._server = server
        self._call = call
        self._items: list[Prepared[Post] | bytes] = []
        """Each is a command, or answered already."""
        self._bytes = 0
        self._statuses: Counter[int] = Counter()
        self._pieces = [bytearray()]

    def __bool__(self) -> bool:
        return bool(self.batch.transactions or self._items)

    def add(self, item: BatchItem) -> None:
        """Prepare an item, or answer its refusal. One that is raised has its `index`."""
        try:
            prepared = prepare(self._server.ledger, self._call.caller, item, item.key)
        except WalletError as error:
            if self.batch.atomic:
                error.details["index"] = len(self._items)
                raise
            self._server.note_refusal(error, self._call.scope, self._call.caller)
            self._items.append(self._refused(error))
        else:
            self._items.append(prepared)
            self._bytes += bytes_of(prepared.command)

    async def carry_out(self) -> list[Result]:
        """The results of the prepared items."""
        commands = [item.command for item in self._items if isinstance(item, Prepared)]
        if not commands:
            return []
        group = [Atomic(tuple(commands))] if self.batch.atomic else commands
        results = await self._server.carry_out(group, self._call.caller, self._bytes)
        del group, commands  # a refusal has this frame, and would keep them
        if not self.batch.atomic:
            return results
        if isinstance(results[0], Refusal):
            raise results[0].error
        assert isinstance(results[0], AppliedAtomic)
        return list(results[0].results)

    def forgotten(self) -> Iterator[None]:
        """Free one item after the other, whether it is prepared or not."""
        for _ in one_by_one(self.batch.transactions):
            yield
        for _ in one_by_one(self._items):
            yield

    def answered(self, results: Iterator[Result]) -> Iterator[None]:
        """Answer one item after the other, in order."""
        for item in one_by_one(self._items):
            comma = b"," if self._pieces[0] else b""
            if len(self._pieces[-1]) > PIECE_BYTES:
                self._pieces.append(bytearray())
            answer = self._answered(item, next(results)) if isinstance(item, Prepared) else item
            self._pieces[-1] += comma + answer
            yield

    def summary(self) -> Written:
        """All answers, and how many of each kind there are."""
        applied, replayed, all_ = self._statuses[201], self._statuses[200], self._statuses.total()
        counts = {"applied": applied, "replayed": replayed, "refused": all_ - applied - replayed}
        return Written([encoded(counts)[:-1] + b',"results":[', *map(bytes, self._pieces), b"]}"])

    def _answered(self, item: Prepared[Post], result: Result) -> bytes:
        if isinstance(result, Refusal):
            return self._refused(result.error)
        data = item.answer(accepted(result))
        return self._told(200 if data.get("replayed") else 201, {"data": data})

    def _refused(self, error: WalletError) -> bytes:
        self._server.metrics.refused(error.code)
        return self._told(error.http_status, failure(for_users(error) if self._call.caller.is_user else error))

    def _told(self, status: int, answer: dict[str, Any]) -> bytes:
        self._statuses[status] += 1
        return encoded({"status": status} | answer)
