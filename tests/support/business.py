"""A day's business: many processes that move, hold, take and give back money at random, and readers who look on.

Each process has a ledger open of its own, a random number generator of its own, and a memory of what it was answered,
which is what the ledger is compared with in the end. All go by one clock that runs fast, so that holds lapse.
"""

from __future__ import annotations

import os
import pickle
import random
import select
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from support import processes
from support.auditor import Auditor, Place
from wallet_cli import settings
from wallet_cli.domain.commands import (
    Applied,
    AppliedAtomic,
    CaptureHold,
    OpenWallet,
    PlaceHold,
    Post,
    Refusal,
    Replayed,
    Reverse,
    Single,
    Transfer,
    VoidHold,
)
from wallet_cli.domain.ids import HoldId, OwnedWallet, TransactionId, parse_hold_id, parse_transaction_id
from wallet_cli.domain.model import Hold, Transaction
from wallet_cli.domain.money import parse_currency
from wallet_cli.errors import Busy, StorageError, WalletError
from wallet_cli.operations import holds, transactions, users, verification
from wallet_cli.operations.context import Ledger, open_ledger

HOT = 1
"""The wallet that half of all operations touch."""
USER = 1

FACTOR = 3600
"""How many times faster than real time the ledger's clock runs: an hour a second."""
LEAD_US = 60 * 24 * 3600 * 1_000_000
"""The fast clock begins so long ago, so that it does not reach the present."""
LIVES_S = ((30, 600), (600, 40_000), (10**6, 10**7))
"""How long holds last, in seconds of that clock: some lapse at once, some in time, and some outlast it all."""

HOT_OPENING = 1_000_000
FLOORS = {3: -5_000, 7: 2_000}
"""The floor of a wallet in minor units, by the last digit of its id; 0 for the others."""
MAX_AMOUNT = 3_000
MAX_BATCH = 20
READ_EVERY_S = 0.2


class Plan(NamedTuple):
    """How much is to happen. `read_every_s` is a reader's pause between two snapshots, and `opening` what each wallet
    but the hot one begins with, in minor units: little, if few operations are to run it dry."""

    operations: int
    writers: int = 16
    wallets: int = 100
    readers: int = 2
    read_every_s: float = READ_EVERY_S
    seed: int = 4
    opening: int = 20_000

    def opened(self) -> Counter[int]:
        """What each wallet begins with."""
        return Counter({id_: HOT_OPENING if id_ == HOT else self.opening for id_ in range(1, self.wallets + 1)})


class Effect(NamedTuple):
    """What an answer says was done: changes of balances in minor units, by wallet, and the hold, if it is of one."""

    changes: tuple[tuple[int, int], ...]
    id: Place
    is_hold: bool
    replayed: bool

    @property
    def outside(self) -> int:
        """What came in from outside the wallets."""
        return sum(change for _, change in self.changes)


class Report(NamedTuple):
    """What a writer was told, added up."""

    operations: Counter[str]
    applied: Counter[str]
    replayed: int
    refused: Counter[str]
    changes: Counter[int]
    transactions: int
    outside: int
    ends: list[tuple[Place, str]]
    """Holds that it was told it had ended, and how."""
    errors: list[str]


class Outcome(NamedTuple):
    """What a run left: a report a writer, how many snapshots were read, what they showed, and how long it took."""

    reports: list[Report]
    snapshots: int
    found: list[str]
    seconds: float

    @property
    def operations(self) -> int:
        return sum(report.operations.total() for report in self.reports)

    @property
    def applied(self) -> Counter[str]:
        return sum((report.applied for report in self.reports), Counter())

    @property
    def refused(self) -> Counter[str]:
        return sum((report.refused for report in self.reports), Counter())


# The clock, which is the same in all processes: it is the kernel's, times a factor.


def fast_clock(start_ns: int, start_us: int) -> Callable[[], int]:
    return lambda: start_us + (time.monotonic_ns() - start_ns) * FACTOR // 1000


def start_clock() -> Callable[[], int]:
    return fast_clock(time.monotonic_ns(), time.time_ns() // 1000 - LEAD_US)


# What is asked, at random.


class Writer:
    """Sends random operations, and remembers what it was answered."""

    def __init__(self, plan: Plan, number: int, ledger: Ledger) -> None:
        self.plan, self.number, self.ledger = plan, number, ledger
        self.random = random.Random(f"{plan.seed}/{number}")
        self.sent = 0
        self.newest = Counter(dict.fromkeys(range(1, plan.wallets + 1), 1))
        """The last seq seen of each wallet."""
        self.newest_hold: Counter[int] = Counter()
        self.own: list[Place] = []
        self.own_holds: list[Place] = []
        self.keyed: list[Single] = []
        self.answered: dict[str, Effect] = {}
        """What each key was answered with first."""
        self.report = Report(Counter(), Counter(), 0, Counter(), Counter(), 0, 0, [], [])

    def work(self, operations: int) -> Report:
        """Send so many operations: mostly a batch at a time, and in one turn of ten a single one through a service."""
        left = operations
        while left:
            size = 1 if self.random.random() < 0.1 else self.random.randint(1, min(MAX_BATCH, left))
            commands = [self.draw() for _ in range(size)]
            left -= size
            try:
                if size == 1:
                    self.told(commands[0], of_answer(through_a_service(self.ledger, commands[0])))
                else:
                    for command, result in zip(commands, self.ledger.executor.run(commands, "business"), strict=True):
                        if isinstance(result, Refusal):
                            self.refused(command, result.error)
                        else:
                            self.told(command, of_result(result))
            except (Busy, StorageError) as error:
                self.complain(f"{error.code}: {error.message}")
            except WalletError as error:
                self.refused(commands[0], error)
        return self.report

    def draw(self) -> Single:
        self.sent += 1
        if self.keyed and self.random.random() < 0.02:
            return self.random.choice(self.keyed)
        kind = self.random.choices(list(DRAWN), list(DRAWN.values()))[0]
        return kind(self, f"w{self.number}-{self.sent}" if self.random.random() < 0.2 else None)

    def wallet(self) -> int:
        return HOT if self.random.random() < 0.5 else self.random.randint(2, self.plan.wallets)

    def amount(self) -> int:
        return self.random.randint(1, MAX_AMOUNT)

    def part(self) -> int | None:
        """Mostly all of it."""
        return None if self.random.random() < 0.6 else self.random.randint(1, MAX_AMOUNT // 2)

    def post(self, key: str | None) -> Single:
        return Post(self.wallet(), self.random.random() < 0.75, self.amount(), key=key)

    def transfer(self, key: str | None) -> Single:
        pair = [self.wallet(), self.random.randint(2, self.plan.wallets)]
        while pair[0] == pair[1]:
            pair[1] = self.random.randint(2, self.plan.wallets)
        self.random.shuffle(pair)
        return Transfer(pair[0], pair[1], self.amount(), key=key)

    def hold(self, key: str | None) -> Single:
        life_s = self.random.randint(*self.random.choices(LIVES_S, [30, 60, 10])[0])
        return PlaceHold(self.wallet(), self.amount(), life_s * 1_000_000, None, key)

    def some_hold(self) -> Place:
        """One of its own or, as likely, one of the newest of the hot wallet's, which others are after as well."""
        if self.own_holds and self.random.random() < 0.5:
            return self.own_holds.pop(self.random.randrange(len(self.own_holds)))
        return HOT, max(1, self.newest_hold[HOT] - self.random.randint(-2, 20))

    def capture(self, key: str | None) -> Single:
        part = self.part()
        keep = part is not None and self.random.random() < 0.5
        return CaptureHold(*self.some_hold(), part, keep, key=key)

    def void(self, key: str | None) -> Single:
        return VoidHold(*self.some_hold())

    def reverse(self, key: str | None) -> Single:
        place = (HOT, max(1, self.newest[HOT] - self.random.randint(-2, 30)))
        if self.own and self.random.random() < 0.5:
            place = self.random.choice(self.own[-50:])
        return Reverse(*place, self.part(), key=key, force=self.random.random() < 0.02)

    # What is answered.

    def told(self, command: Single, effect: Effect) -> None:
        name = type(command).__name__
        self.report.operations[name] += 1
        self._see(effect)
        key = getattr(command, "key", None)
        prior = None if key is None else self.answered.get(key)
        if prior is not None or effect.replayed:
            if prior is None or not effect.replayed or prior.id != effect.id:
                self.complain(f"{command} was answered with {effect}, and {prior} before")
            self.report = self.report._replace(replayed=self.report.replayed + 1)
            return
        self.report.applied[name] += 1
        if key is not None:
            self.keyed = [*self.keyed[-50:], command]
            self.answered[key] = effect
        for wallet, change in effect.changes:
            self.report.changes[wallet] += change
        self.report = self.report._replace(
            outside=self.report.outside + effect.outside,
            transactions=self.report.transactions + len(effect.changes),
        )
        if isinstance(command, VoidHold) or (isinstance(command, CaptureHold) and not command.keep):
            how = "voided" if isinstance(command, VoidHold) else "captured"
            self.report.ends.append(((command.wallet_id, command.number), how))

    def _see(self, effect: Effect) -> None:
        newest, own = (self.newest_hold, self.own_holds) if effect.is_hold else (self.newest, self.own)
        newest[effect.id[0]] = max(newest[effect.id[0]], effect.id[1])
        if not effect.replayed:
            own.append(effect.id)
            del own[:-200]

    def refused(self, command: Single, error: WalletError) -> None:
        self.report.operations[type(command).__name__] += 1
        self.report.refused[error.code] += 1

    def complain(self, text: str) -> None:
        self.report.errors.append(f"writer {self.number} was answered {text}")


DRAWN: dict[Callable[[Writer, str | None], Single], int] = {
    Writer.post: 12,
    Writer.transfer: 36,
    Writer.hold: 20,
    Writer.capture: 12,
    Writer.void: 8,
    Writer.reverse: 12,
}
"""How often each is drawn, in a hundred."""


def through_a_service(ledger: Ledger, command: Single) -> dict[str, Any]:
    """The same as a face of the program would ask for it, in text; its answer."""

    def wallet(id_: int) -> OwnedWallet:
        return OwnedWallet(id_, USER)

    match command:
        case Post(wallet_id, is_credit, amount, _, key):
            return ledger.run(
                transactions.add(ledger, wallet(wallet_id), text(amount), is_credit=is_credit, key=key), "tx add"
            )
        case Transfer(source, target, amount, _, key):
            return ledger.run(
                transactions.transfer(ledger, wallet(source), wallet(target), text(amount), key=key), "transfer"
            )
        case Reverse(wallet_id, seq, part, _, key, force):
            id_ = TransactionId(wallet_id, seq)
            return ledger.run(transactions.reverse(ledger, id_, optional(part), key=key, force=force), "tx reverse")
        case PlaceHold(wallet_id, amount, lasts_us, _, key):
            return ledger.run(
                holds.add(ledger, wallet(wallet_id), text(amount), expires=f"{lasts_us // 1_000_000}s", key=key),
                "hold add",
            )
        case CaptureHold(wallet_id, number, part, keep, _, key):
            return ledger.run(
                holds.capture(ledger, HoldId(wallet_id, number), optional(part), keep=keep, key=key), "hold capture"
            )
        case VoidHold(wallet_id, number):
            return ledger.run(holds.void(ledger, HoldId(wallet_id, number)), "hold void")
    raise AssertionError(command)


def text(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02}"


def optional(minor: int | None) -> str | None:
    return None if minor is None else text(minor)


def of_result(result: Applied | Replayed | AppliedAtomic) -> Effect:
    assert not isinstance(result, AppliedAtomic)
    made, replayed = result.made, isinstance(result, Replayed)
    if isinstance(made, Hold):
        return Effect((), (made.wallet_id, made.number), True, replayed)
    assert isinstance(made, Transaction)
    change = made.amount if made.is_credit else -made.amount
    return _of_transaction((made.wallet_id, made.seq), change, made.peer_wallet_id, replayed)


def of_answer(answer: dict[str, Any]) -> Effect:
    replayed = answer.get("replayed", False)
    if "status" in answer:
        return Effect((), parse_hold_id(answer["id"]), True, replayed)
    leg = answer.get("debit", answer)
    change = int(Decimal(leg["amount"]) * 100) * (1 if leg["is_credit"] else -1)
    peer = parse_transaction_id(leg["transfer"]).wallet_id if "transfer" in leg else None
    return _of_transaction(parse_transaction_id(leg["id"]), change, peer, replayed)


def _of_transaction(id_: Place, change: int, peer: int | None, replayed: bool) -> Effect:
    own = (id_[0], change)
    return Effect((own,) if peer is None else (own, (peer, -change)), id_, False, replayed)


# The run.


def prepare(ledger: Ledger, plan: Plan, clock: Callable[[], int]) -> None:
    """Open the wallets of one user, with their floors, and put money into them."""
    ledger.executor.clock = clock
    ledger.run(users.register(ledger, "9886977544"), "register")
    currency = parse_currency("INR")
    ids = range(1, plan.wallets + 1)
    opened = [OpenWallet(USER, f"w{id_}", currency, FLOORS.get(id_ % 10, 0)) for id_ in ids]
    credited = [Post(id_, True, amount) for id_, amount in plan.opened().items()]
    for commands in (opened, credited):
        for result in ledger.executor.run(commands, "opening"):
            assert isinstance(result, Applied), result


def run(folder: Path, plan: Plan, clock: Callable[[], int]) -> Outcome:
    """Let all writers and readers loose on the ledger that the environment names.

    It forks: call it in a process that has one thread and no ledger open (support.processes.alone).
    """
    watching, done = os.pipe()
    begun = time.perf_counter()

    def reader(number: int) -> Callable[[], None]:
        def read() -> None:
            os.close(done)
            auditor = Auditor()
            with open_ledger(settings.load({}), lambda _: None) as ledger:
                ledger.executor.clock = clock
                # `done` is closed when all writers have ended.
                while not select.select([watching], [], [], plan.read_every_s)[0]:
                    auditor.look(ledger)
                auditor.look(ledger)
            leave(folder / f"reader-{number}", (auditor.snapshots, auditor.found))

        return read

    def writer(number: int) -> Callable[[], None]:
        def write() -> None:
            os.close(done)
            share = plan.operations // plan.writers + (number < plan.operations % plan.writers)
            with open_ledger(settings.load({}), lambda _: None) as ledger:
                ledger.executor.clock = clock
                leave(folder / f"writer-{number}", Writer(plan, number, ledger).work(share))

        return write

    readers = [processes.fork(reader(number)) for number in range(plan.readers)]
    processes.race([writer(number) for number in range(plan.writers)])
    seconds = time.perf_counter() - begun
    os.close(done)
    processes.join(readers)
    os.close(watching)
    read = [pickle.loads((folder / f"reader-{number}").read_bytes()) for number in range(plan.readers)]
    return Outcome(
        [pickle.loads((folder / f"writer-{number}").read_bytes()) for number in range(plan.writers)],
        sum(snapshots for snapshots, _ in read),
        [f"reader {number}: {complaint}" for number, (_, found) in enumerate(read) for complaint in found],
        seconds,
    )


def leave(path: Path, thing: object) -> None:
    path.write_bytes(pickle.dumps(thing))


# What has to hold afterwards.


def problems(ledger: Ledger, plan: Plan, outcome: Outcome) -> list[str]:
    """What is wrong with the ledger, given what the writers were answered, and what the readers found on the way."""
    auditor = Auditor()
    found = [*outcome.found, *auditor.finish(ledger)]
    for report in outcome.reports:
        found += report.errors[:10]
    found += _unlike_the_answers(auditor, plan, outcome.reports)
    found += _ended_otherwise(ledger, outcome.reports)
    try:
        verification.verify(ledger)
    except StorageError as error:
        found.append(f"verify: {error.message}")
    return found


def _unlike_the_answers(auditor: Auditor, plan: Plan, reports: list[Report]) -> list[str]:
    found = []
    expected = plan.opened()
    came_in = expected.total() + sum(report.outside for report in reports)
    for report in reports:
        expected.update(report.changes)
    for id_, balance in expected.items():
        if balance != auditor.balances[id_]:
            found.append(f"wallet {id_} has {auditor.balances[id_]}, and the answers add up to {balance}")
    if auditor.balances.total() != came_in:
        found.append(f"all wallets have {auditor.balances.total()}, and {came_in} was acknowledged")
    there = sum(map(len, auditor.changes.values()))
    acknowledged = plan.wallets + sum(report.transactions for report in reports)
    if there != acknowledged:
        found.append(f"{there} transactions are there, and {acknowledged} were acknowledged")
    return found


def _ended_otherwise(ledger: Ledger, reports: list[Report]) -> list[str]:
    ends = [end for report in reports for end in report.ends]
    times = Counter(place for place, _ in ends)
    found = [f"hold {place} was ended {count} times" for place, count in times.items() if count > 1]
    told = dict(ends)
    for hold in ledger.store.holds_in_order():
        how = told.get((hold.wallet_id, hold.number))
        if how is None and hold.status == "voided":
            found.append(f"hold {hold.wallet_id, hold.number} is voided, and nobody was told")
        elif how is not None and how != hold.status:
            found.append(f"hold {hold.wallet_id, hold.number} is {hold.status}, and was answered to be {how}")
    return found
