"""The serial executor: take a turn → read the state that the batch touches → decide → write → commit once.

Nothing is acknowledged before the commit has returned. Parsing and imports are done before the turn is taken, so that
a turn is as short as the disk allows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from wallet_cli.domain import rules
from wallet_cli.domain.commands import AppliedAtomic, Change, Command, Replayed, Result
from wallet_cli.domain.model import Policy, Transaction
from wallet_cli.engine.write_lock import Time
from wallet_cli.errors import Busy, Collision, Damaged, StorageError, UnknownOutcome, beyond_time
from wallet_cli.storage.move_state import MoveState

MAX_TRIES = 50
FIRST_PAUSE_S, MAX_PAUSE_S = 0.002, 0.25
"""How often a batch that collided is carried out again, and how long, at random, to wait before."""

SETTLE_S, SETTLE_PAUSE_S = 15.0, 0.2
"""How long to ask what became of a commit, and how long to wait between."""


def system_us() -> int:
    """The time of this machine, in microseconds since 1970. Raises StorageError where it cannot be one."""
    try:
        now_us = time.time_ns() // 1000
    except OverflowError:
        raise beyond_time() from None
    if now_us < 0:
        raise StorageError("this machine's clock says a year before 1970", hint="set it; nothing was written")
    return now_us


class Store(Protocol):
    """What the executor needs of a storage engine."""

    @property
    def may_come_back(self) -> bool:
        """Whether a failure may pass by itself: a server can be reached again, a broken file stays broken."""

    def begin(self) -> None: ...

    def load(self, commands: Sequence[Command], policy: Policy, now_us: int) -> rules.State:
        """The state that the commands touch, as of this turn, whose time is `now_us`."""

    def write(self, changes: Sequence[Change]) -> None:
        """Add what was made, and change what was changed; on return it is written, but not yet committed."""

    def commit(self) -> None:
        """Raises UnknownOutcome where that failed, and reading what is there now would not tell what will be."""

    def rollback(self) -> None: ...

    def exclusively(self) -> AbstractContextManager[MoveState]:
        """One transaction, as the only writer; given the move state of the ledger as it stands."""

    def confirms(self, error: Damaged) -> bool:
        """Whether damage that was seen once is there."""

    def note_damage(self, damaged: str) -> None:
        """Let the ledger take no more writes, because of what was seen of it in a turn that is still held."""

    def confirm_replicated(self) -> bool:
        """Ready the turn to vouch for what was there already, as is answered to whoever sends something again.

        Whether that takes a commit: what a server shows may not have reached its standby, and would be lost with it.
        """

    def contains(self, change: Change) -> bool:
        """Whether something that was written is there, read anew. Raises StorageError if that cannot be read."""


class Turns(Protocol):
    """The right to write, which one has at a time."""

    def turn(self, timeout_s: float, command: str) -> AbstractContextManager[None]:
        """Hold it for the length of a `with` block; raises Busy."""

    def note(self, store: Any, committed: Change | None, time: Time | None = None, *, again: bool = False) -> None:
        """Within a turn: note outside the ledger what was committed in it, and when, as far as that can be done."""


class Turn:
    """The right to write, held: batches are decided and written, and committed when the turn ends."""

    def __init__(self, store: Store, policy: Policy, clock: Callable[[], int]) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self.evidence: Change | None = None
        """One of the things written, by which to see whether they are; None where nothing is."""
        self.vouches = False
        """Whether what was there already is vouched for by the commit."""
        self.replayed: Change | None = None
        """What was there already and is answered again."""
        self.time: Time | None = None
        """When the turn is; where its clock is in doubt, when the ledger was last written; None where nobody knows."""

    def carry_out(self, commands: Sequence[Command]) -> list[Result]:
        """Decide a batch and write what it makes; a result a command, in order, that holds once it is committed."""
        now_us = self._clock()
        # A clock that was given is meant; the machine's may be wrong (rules/clocks.py).
        policy = self._policy if self._clock is system_us else self._policy._replace(clock_skew_us=None)
        state = self._store.load(commands, policy, now_us)
        if state.clock_doubt is not None:
            self.time = Time(state.clock_doubt[1], is_confirmed=False)
        elif not state.restoring:
            self.time = Time(now_us, is_confirmed=policy.clock_skew_us is None)
        results = rules.execute(state, commands, now_us)
        if state.changes:
            self._store.write(state.changes)
            self.evidence = _evidence(state.changes)
        elif (replayed := _last_replayed(results)) is not None:
            self.vouches = self._store.confirm_replicated()
            self.replayed = replayed
        return results

    def abandon(self) -> None:
        """Have nothing of this turn committed."""
        self._store.rollback()
        self.evidence = None
        self.vouches = False
        self.replayed = None


class Executor:
    """Runs batches of commands on a store, one of `turns` each.

    `policy` holds the rules that settings choose; `lock_timeout_s` bounds the wait for a turn; `clock` gives
    microseconds since 1970. `sleep` waits for some seconds before a batch is carried out again.
    """

    def __init__(
        self,
        store: Store,
        turns: Turns,
        policy: Policy,
        lock_timeout_s: float,
        clock: Callable[[], int] = system_us,
    ) -> None:
        self.store = store
        self.turns = turns
        self.policy = policy
        self.lock_timeout_s = lock_timeout_s
        self.clock = clock
        self.sleep: Callable[[float], None] = time.sleep
        self.retries = 0
        """How often a batch was carried out again, because it had collided with another writer's."""

    def run(self, commands: Sequence[Command], name: str, lock_timeout_s: float | None = None) -> list[Result]:
        """Carry out a batch and return one result a command, in order; what they say is on disk.

        `name` is what other writers are told while this one has the turn; `lock_timeout_s` is another bound on the wait
        for it than the executor's own. Raises Busy if no turn comes in time, and
        StorageError if the ledger cannot be read or written; then nothing of the batch is applied, except after
        UnknownOutcome, where the keys tell.
        """
        until_s = time.monotonic() + (self.lock_timeout_s if lock_timeout_s is None else lock_timeout_s)
        tries = 0
        while True:
            try:
                with self.turn(name, lock_timeout_s) as turn:
                    return turn.carry_out(commands)
            except Collision:
                # Others wrote to the same wallets, and the database undid this batch: decide it anew on what is there.
                tries += 1
                if tries >= MAX_TRIES or time.monotonic() > until_s:
                    raise
                self.retries += 1
                self.sleep(_pause_s(tries))

    @contextmanager
    def turn(self, name: str, lock_timeout_s: float | None = None) -> Iterator[Turn]:
        """Hold a turn for the length of a `with` block, for any number of batches; commit once, at its end.

        An exception, or `Turn.abandon`, leaves the ledger as it was. Raises as `run` does.
        """
        store = self.store
        with self.turns.turn(self.lock_timeout_s if lock_timeout_s is None else lock_timeout_s, name):
            store.begin()
            turn = Turn(store, self.policy, self.clock)
            try:
                yield turn
            except BaseException as error:
                store.rollback()
                if isinstance(error, Damaged) and store.confirms(error):
                    store.note_damage(error.finding)
                raise
            if turn.evidence is not None:
                self._commit(turn.evidence)
                self.turns.note(store, turn.evidence, turn.time)
            else:
                self._end(turn.vouches)
                if turn.replayed is not None:
                    # Whoever committed it may have been killed before they noted it.
                    self.turns.note(store, turn.replayed, again=True)

    @contextmanager
    def exclusively(self, name: str, lock_timeout_s: float | None = None) -> Iterator[MoveState]:
        """Hold a turn for the length of a `with` block, in which the ledger's own row is changed, by no commands.

        Given its move state as it stands. Raises as `run` does.
        """
        with self.turns.turn(self.lock_timeout_s if lock_timeout_s is None else lock_timeout_s, name):
            with self.store.exclusively() as move_state:
                yield move_state
            self.turns.note(self.store, None)

    def _end(self, vouches: bool) -> None:
        """End a turn that wrote nothing."""
        try:
            if vouches:
                self.store.commit()
        finally:
            self.store.rollback()

    def _commit(self, evidence: Change) -> None:
        """Commit; when that fails, look whether it did (a batch is there whole or not at all)."""
        try:
            self.store.commit()
        except Collision:
            self.store.rollback()
            raise  # the database says that it undid it
        except UnknownOutcome:
            self.store.rollback()
            raise
        except (StorageError, Busy) as error:
            try:
                self.store.rollback()
                there = self._settled(evidence)
            except (StorageError, Busy):
                raise UnknownOutcome(error.message) from error
            if not there:
                raise

    def _settled(self, evidence: Change) -> bool:
        """Whether a batch is there, asked until somebody can say: a server that fell takes a moment to come back."""
        until_s = time.monotonic() + SETTLE_S
        while True:
            try:
                return self.store.contains(evidence)
            except (StorageError, Busy):
                if time.monotonic() > until_s or not self.store.may_come_back:
                    raise
                self.sleep(SETTLE_PAUSE_S)


def _pause_s(tries: int) -> float:
    """How long to wait before the next try: at random, so that those who collided do not meet again."""
    import random  # only those who collide need it

    return random.uniform(0, min(MAX_PAUSE_S, FIRST_PAUSE_S * 2**tries))  # noqa: S311


def _last_replayed(results: Iterable[Result]) -> Change | None:
    """The last of what is answered again; None where nothing is."""
    found = None
    for result in results:
        if isinstance(result, AppliedAtomic):
            found = _last_replayed(result.results) or found
        elif isinstance(result, Replayed):
            found = result.made
    return found


def _evidence(changes: Sequence[Change]) -> Change:
    """What shows best that a batch was written: a transaction never changes, and nobody else writes the same one."""
    return next((thing for thing in reversed(changes) if isinstance(thing, Transaction)), changes[-1])
