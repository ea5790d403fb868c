"""Many transactions in one request: one result for each item, or all or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wallet_cli.domain.commands import AppliedAtomic, Atomic, Post, Refusal, Result
from wallet_cli.errors import WalletError
from wallet_cli.operations.context import accepted
from wallet_cli.operations.prepared import Prepared
from wallet_cli.web.long_work import Pause
from wallet_cli.web.messages import Reply, failure
from wallet_cli.web.requests import MAX_BATCH_BYTES, Batch, BatchItem, read_batch
from wallet_cli.web.routes.call import Call
from wallet_cli.web.routes.transactions import prepare
from wallet_cli.web.server_state import ServerState


async def create_transactions(server: ServerState, call: Call) -> Reply:
    # Refuse early what would be refused anyway: a body that was read takes memory and time.
    server.group_commit.must_have_room()
    server.long_work.must_have_room()
    body = await call.body(MAX_BATCH_BYTES)
    call.query()
    server.long_work.must_have_room()
    async with server.long_work.turn() as pause:
        batch = Batch(transactions=[])
        for _ in read_batch(body, batch):
            await pause()
        prepared = await _prepare_all(server, call, batch.transactions, pause)
    if batch.atomic:
        return await _atomic(server, call, prepared)
    commands = [item.command for item in prepared if not isinstance(item, WalletError)]
    results = iter(await server.carry_out(commands, call.caller) if commands else [])
    answers: list[dict[str, Any]] = []
    async with server.long_work.turn() as pause:
        for item in prepared:
            await pause()
            answer = _refused(item) if isinstance(item, WalletError) else _item(item, next(results))
            if "code" in answer:
                server.metrics.refused(answer["code"])
            answers.append(answer)
    return Reply(200, "batch done", _summary(answers))


async def _prepare_all(
    server: ServerState, call: Call, items: Sequence[BatchItem], pause: Pause
) -> list[Prepared[Post] | WalletError]:
    prepared: list[Prepared[Post] | WalletError] = []
    for item in items:
        await pause()
        try:
            prepared.append(prepare(server, call.caller, item, item.key))
        except WalletError as error:
            server.note_refusal(error, call.scope, call.caller, "")
            prepared.append(error)
    return prepared


async def _atomic(server: ServerState, call: Call, prepared: Sequence[Prepared[Post] | WalletError]) -> Reply:
    """All items or none: the first refusal is the answer, with its `index`."""
    ready: list[Prepared[Post]] = []
    for index, item in enumerate(prepared):
        if isinstance(item, WalletError):
            item.details["index"] = index
            raise item
        ready.append(item)
    result = (await server.carry_out([Atomic(tuple(each.command for each in ready))], call.caller))[0]
    if isinstance(result, Refusal):
        raise result.error
    assert isinstance(result, AppliedAtomic)
    answers = []
    async with server.long_work.turn() as pause:
        for item, each in zip(ready, result.results, strict=True):
            await pause()
            answers.append(_item(item, each))
    return Reply(200, "batch done, all items", _summary(answers))


def _item(item: Prepared[Post], result: Result) -> dict[str, Any]:
    if isinstance(result, Refusal):
        return _refused(result.error)
    data = item.answer(accepted(result))
    return {"status": 200 if data.get("replayed") else 201, "data": data}


def _refused(error: WalletError) -> dict[str, Any]:
    return {"status": error.http_status} | failure(error)


def _summary(answers: list[dict[str, Any]]) -> dict[str, Any]:
    statuses = [answer["status"] for answer in answers]
    applied, replayed = statuses.count(201), statuses.count(200)
    refused = len(statuses) - applied - replayed
    return {"applied": applied, "replayed": replayed, "refused": refused, "results": answers}
