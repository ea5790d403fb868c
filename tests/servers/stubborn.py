"""Clients that send each request, with its key, until it is answered: to one server, then to another.

What they were answered is all that a ledger may hold, and all of it: `problems` says where it does not.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from support.load import Address, Answer, Connection, UnansweredError

from wallet_cli import settings
from wallet_cli.domain.commands import Applied, Command, OpenWallet, Post
from wallet_cli.domain.ids import TransactionId, parse_transaction_id
from wallet_cli.domain.money import parse_currency
from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import StorageError
from wallet_cli.operations import users, verification
from wallet_cli.operations.context import open_ledger

CLIENTS = 16
WALLETS = 4
FUNDS = 10**12
PAUSE_S = 0.02
"""How long to wait before a request is sent again."""

CREATE, TRANSFER = "/api/v1/transactions/create", "/api/v1/transfers/create"
AGAIN = frozenset({"busy", "storage_error"})


class Request(NamedTuple):
    """A credit, or a transfer where there is a `target`, of an amount in whole rupees."""

    key: str
    wallet: int
    target: int | None
    amount: int

    @property
    def path(self) -> str:
        return CREATE if self.target is None else TRANSFER

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"user_id": 1, "wallet_id": self.wallet, "amount": self.amount}
        if self.target is None:
            return body | {"is_credit": True}
        return body | {"to_user_id": 1, "to_wallet_id": self.target}

    def id_in(self, answer: Answer) -> TransactionId:
        data = answer.body["data"]
        return parse_transaction_id(data["id"] if self.target is None else data["debit"]["id"])


class Stubborn:
    """The clients of some servers; use it within one event loop at a time."""

    def __init__(self, addresses: Sequence[Address], seed: int, prefix: str = "") -> None:
        self.addresses = list(addresses)
        self.answered: dict[Request, TransactionId] = {}
        self.replayed = 0
        """Answers that said that it had been done before: the first answer was lost."""
        self.tries_in_vain: Counter[str] = Counter()
        """By the code of the answer, or `unanswered`, or `unreachable`."""
        self.complaints: list[str] = []
        self.news = asyncio.Event()
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._prefix = prefix
        self._stopping = False

    async def go_on(self, clients: int = CLIENTS) -> None:
        """Send, until `stop`, and until all that was sent is answered."""
        self._stopping = False
        await asyncio.gather(*(self._send_all() for _ in range(clients)))

    def stop(self) -> None:
        """Have each client end with the request that it is at."""
        self._stopping = True

    async def answers(self, more: int) -> None:
        """Wait until so many more requests are answered."""
        wanted = len(self.answered) + more
        while len(self.answered) < wanted:
            self.news = asyncio.Event()  # of the loop that runs now
            await self.news.wait()

    def drawn(self) -> Request:
        wallet, target = self._random.sample(range(1, WALLETS + 1), 2)
        transfers = self._random.random() < 0.2
        key = f"{self._prefix}key-{next(self._numbers)}"
        return Request(key, wallet, target if transfers else None, self._random.randint(1, 97))

    async def _send_all(self) -> None:
        connections: dict[Address, Connection] = {}
        while not self._stopping:
            await self._send(self.drawn(), connections)
        for connection in connections.values():
            await connection.close()

    async def _send(self, request: Request, connections: dict[Address, Connection]) -> None:
        """Until there is an answer; a server that did not give one is asked last."""
        turn = self._random.randrange(len(self.addresses))
        in_doubt = False
        while True:
            address = self.addresses[turn % len(self.addresses)]
            answer = await self._try(request, address, connections)
            if answer is not None and answer.status in (200, 201):
                self.answered[request] = request.id_in(answer)
                self.replayed += answer.status == 200
                if answer.status == 200 and not in_doubt:
                    self.complaints.append(f"{request} was said not to be applied, and had been: {answer}")
                self.news.set()
                return
            if answer is not None and not (answer.status == 503 and answer.body["code"] in AGAIN):
                self.complaints.append(f"{request} was answered {answer}")
                return
            in_doubt |= answer is None or "unknown" in answer.body["message"]
            turn += 1
            await asyncio.sleep(PAUSE_S)

    async def _try(self, request: Request, address: Address, connections: dict[Address, Connection]) -> Answer | None:
        connection = connections.pop(address, None)
        try:
            if connection is None:
                connection = await Connection.open(address)
        except (OSError, TimeoutError):
            self.tries_in_vain["unreachable"] += 1
            return None
        try:
            answer = await connection.post(request.path, request.body, request.key)
        except (UnansweredError, TimeoutError):
            self.tries_in_vain["unanswered"] += 1
            await connection.close()
            return None
        if answer.closes:
            await connection.close()
        else:
            connections[address] = connection
        if answer.status == 503:
            self.tries_in_vain[answer.body["code"]] += 1
            if ("retry-after" in answer.headers) is not answer.body["retryable"]:
                self.complaints.append(f"Retry-After is not as `retryable` says: {answer}")
        return answer


def prepare() -> None:
    """Open the wallets of one user in the ledger that the environment names, and put money into them."""
    with open_ledger(settings.load({}), lambda _: None, purpose=Purpose.MAKE) as ledger:
        ledger.run(users.register(ledger, "9886977544"), "register")
        currency = parse_currency("INR")
        ids = range(1, WALLETS + 1)
        opened: list[Command] = [OpenWallet(1, f"w{id_}", currency, None) for id_ in ids]
        for commands in (opened, [Post(id_, True, FUNDS) for id_ in ids]):
            assert all(isinstance(each, Applied) for each in ledger.executor.run(commands, "opening"))


def problems(*clients: Stubborn) -> list[str]:
    """What is wrong with the ledger that the environment names, given what all its clients were answered."""
    found = [complaint for each in clients for complaint in each.complaints[:10]]
    answered = {request: id_ for each in clients for request, id_ in each.answered.items()}
    balances = Counter(dict.fromkeys(range(1, WALLETS + 1), FUNDS))
    legs = WALLETS
    for request in answered:
        balances[request.wallet] += request.amount * (100 if request.target is None else -100)
        legs += 1
        if request.target is not None:
            balances[request.target] += request.amount * 100
            legs += 1
    with open_ledger(settings.load({}), lambda _: None, purpose=Purpose.MAKE) as ledger:
        rows = [row for id_ in range(1, WALLETS + 1) for row in ledger.store.oldest_first(id_)]
        kept = {(row.wallet_id, row.key): row.seq for row in rows if row.key is not None}
        lost = {
            request: id_
            for request, id_ in answered.items()
            if kept.get((request.wallet, request.key)) != id_.seq or request.wallet != id_.wallet_id
        }
        if lost:
            found.append(f"answered and not in the ledger: {len(lost)} of {len(answered)}, such as {next(iter(lost))}")
        if len(rows) != legs:
            found.append(f"{len(rows)} transactions are there, and {legs} were answered")
        accounts = ledger.store.accounts(list(balances), ledger.now_us())
        there = {account.wallet.id: account.last.balance for account in accounts}
        if there != balances:
            found.append(f"the balances are {there}, and the answers add up to {dict(balances)}")
        try:
            verification.verify(ledger)
        except StorageError as error:
            found.append(f"verify: {error.message}")
    return found
