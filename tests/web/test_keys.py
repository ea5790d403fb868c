"""Idempotency-Key across a restart: each of 1,000 keys is sent 8 times at once, and applied once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support import cli
from support.load import CREATE, Answer, Connection, UnansweredError, transaction
from support.server import Server
from support.sizes import size

from wallet_cli import settings
from wallet_cli.operations.context import open_ledger

KEYS = size(200, 1_000)
AT_ONCE = 8
GROUPS = 8
"""So many keys are being sent at the same time, each on AT_ONCE connections."""
RETRY_S = 0.005


class Sender:
    """One connection that sends what it is given until it is answered, whatever happens to the server."""

    def __init__(self, server: Server, running: asyncio.Event) -> None:
        self._server = server
        self._running = running
        self._connection: Connection | None = None
        self.sent_again = 0

    async def post(self, key: str, amount: int) -> Answer:
        while True:
            await self._running.wait()
            try:
                if self._connection is None:
                    self._connection = await Connection.open(self._server.address)
                answer = await self._connection.post(CREATE, transaction(amount), key)
            except (OSError, UnansweredError):
                await self.close()
            else:
                if answer.closes:
                    await self.close()
                if answer.status != 503:  # 503 is to be sent again, as it says itself
                    return answer
            self.sent_again += 1
            await asyncio.sleep(RETRY_S)

    async def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                await self._connection.close()
            self._connection = None


async def send_all(server: Server, number: int) -> tuple[dict[str, list[Answer]], int]:
    """Send every key AT_ONCE times, and end the server with a signal halfway; all answers, and how many sent again."""
    running = asyncio.Event()
    running.set()
    halfway = asyncio.Event()
    keys = iter(range(KEYS))
    answers: dict[str, list[Answer]] = {}
    senders: list[Sender] = []

    async def group() -> None:
        mine = [Sender(server, running) for _ in range(AT_ONCE)]
        senders.extend(mine)
        for each in keys:
            if each == KEYS // 2:
                halfway.set()
            key, amount = f"key-{each}", each % 97 + 1
            answers[key] = await asyncio.gather(*(sender.post(key, amount) for sender in mine))
        for sender in mine:
            await sender.close()

    async def restart() -> None:
        await halfway.wait()
        server.process.send_signal(number)
        running.clear()
        assert await asyncio.to_thread(server.stop, 0) == (-number if number == signal.SIGKILL else 0)
        await asyncio.to_thread(server.start)
        running.set()

    await asyncio.gather(restart(), *(group() for _ in range(GROUPS)))
    return answers, sum(sender.sent_again for sender in senders)


@pytest.mark.parametrize(
    ("number", "options"),
    [(signal.SIGKILL, []), (signal.SIGTERM, []), (signal.SIGTERM, ["--workers", "2"])],
    ids=["kill", "stop", "stop, two workers"],
)
def test_a_key_sent_8_times_across_a_restart_is_applied_once(
    wallet: Callable[[str], cli.Outcome], tmp_path: Path, number: int, options: list[str]
) -> None:
    assert wallet("register 9886977544").code == 0
    assert wallet("create 1").code == 0
    with Server(tmp_path, "--no-auth", *options) as server:
        answers, sent_again = asyncio.run(send_all(server, number))
    assert sent_again, "nothing was under way when the server ended"

    assert len(answers) == KEYS
    assert all(len(all_of_one) == AT_ONCE for all_of_one in answers.values())
    ids: dict[str, str] = {}
    for key, all_of_one in answers.items():
        statuses = Counter(answer.status for answer in all_of_one)
        assert set(statuses) <= {200, 201}, all_of_one
        # None, where the answer was lost with the server.
        assert statuses[201] <= 1
        transactions = [dict(answer.body["data"]) for answer in all_of_one]
        replayed = [made.pop("replayed", False) for made in transactions]
        assert replayed == [answer.status == 200 for answer in all_of_one]
        assert all(made == transactions[0] for made in transactions)
        assert transactions[0]["key"] == key
        ids[key] = transactions[0]["id"]

    with open_ledger(settings.load({}), lambda _: None) as ledger:
        rows = list(ledger.store.oldest_first(1))
    assert {row.key: f"1-{row.seq}" for row in rows} == ids
    assert len(rows) == KEYS
    assert sum(row.amount for row in rows) == sum(100 * (each % 97 + 1) for each in range(KEYS))
    assert wallet("verify").code == 0
