"""The serial executor: take a turn → read the state that the batch touches → decide → write → commit once.

Nothing is acknowledged before the commit has returned. Parsing and imports happen before the turn begins, so that a
turn is as short as the disk allows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from wallet_cli.domain import rules
from wallet_cli.domain.commands import AppliedAtomic, Change, Command, Replayed, Result
from wallet_cli.domain.model import Event, Policy, Transaction
from wallet_cli.engine.write_lock import Time
from wallet_cli.errors import Busy, Collision, Damaged, StorageError, UnknownOutcome, beyond_time
from wallet_cli.storage.move_state import MoveState

MAX_TRIES = 50
FIRST_PAUSE_S, MAX_PAUSE_S = 0.002, 0.25
"""How often a batch that collided runs again, and the random wait before it."""

SETTLE_S, SETTLE_PAUSE_S = 15.0, 0.2
"""How long to ask for the outcome of a commit, and how long to wait between two questions."""


def system_us() -> int:
    """The time of this machine, in microseconds since 1970. Raises StorageError for an impossible time."""
    try:
        now_us = time.time_ns() // 1000
    except OverflowError:
        raise beyond_time() from None
    if now_us < 0:
        raise StorageError("this machine's clock says a year before 1970", hint="set the clock; nothing was written")
    return now_us


class Store(Protocol):
    """What the executor needs from a storage engine."""

    @property
    def may_come_back(self) -> bool:
        """Whether a failure may go away: a server can come back, a broken file stays broken."""

    def begin(self) -> None: ...

    def load(self, commands: Sequence[Command], policy: Policy, now_us: int) -> rules.State:
        """The state that the commands touch, in this turn, whose time is `now_us`."""

    def write(self, changes: Sequence[Change]) -> None:
        """Write the changes; on return they are written, but not yet committed."""

    def commit(self) -> None:
        """Raises UnknownOutcome if that failed, and reading now would not show the final outcome."""

    @property
    def is_undone(self) -> bool:
        """Whether the engine itself has said that a failed commit wrote nothing."""

    def rollback(self) -> None: ...

    def exclusively(self) -> AbstractContextManager[MoveState]:
        """One transaction, as the only writer. Yields the current move state of the ledger."""

    def note_damage(self, damaged: str) -> None:
        """Make the ledger take no more writes, because of damage seen in the present turn."""

    def confirm_replicated(self) -> bool:
        """Prepare the turn to confirm earlier rows, which are answered again to a repeated request.

        Returns whether that needs a commit: rows that a server shows may not have reached its standby yet, and a
        failure could lose them.
        """

    def contains(self, change: Change) -> bool:
        """Whether a written change is there, read again. Raises StorageError if that cannot be read."""


class Turns(Protocol):
    """The right to write, which one process has at a time."""

    def turn(self, timeout_s: float, command: str) -> AbstractContextManager[None]:
        """Hold the turn for the length of a `with` block. Raises Busy."""

    def note(self, store: Any, committed: Change | None, time: Time | None = None, *, again: bool = False) -> None:
        """Within a turn: note its last commit outside the ledger, and the time, if possible."""


class Turn:
    """A held turn: batches are decided and written in it, and committed when it ends."""

    def __init__(self, store: Store, policy: Policy, clock: Callable[[], int], actor: str | None = None) -> None:
        self._store = store
        self._actor = actor
        self._policy = policy
        self._clock = clock
        self.evidence: Change | None = None
        """One of the written changes, for checking whether they were committed; None if nothing was written."""
        self.vouches = False
        """Whether the commit also confirms earlier rows."""
        self.replayed: Change | None = None
        """An earlier row that is answered again."""
        self.time: Time | None = None
        """The time of the turn. If its clock is in doubt: when the ledger was last written; None if that is unknown."""

    def carry_out(
        self,
        commands: Sequence[Command],
        actors: Sequence[str | None] | None = None,
        check: Callable[[list[Result]], None] | None = None,
    ) -> list[Result]:
        """Decide a batch and write its changes. Returns one result for each command, in order, valid after the
        commit.

        `actors` are who gave each command, if that is not the executor's actor. `check` gets the results before
        anything is written, and may raise.
        """
        now_us = self._clock()
        # Trust a clock that was passed in; the machine's may be wrong (rules/clocks.py).
        policy = self._policy if self._clock is system_us else self._policy._replace(clock_skew_us=None)
        state = self._store.load(commands, policy, now_us)
        if state.clock_doubt is not None:
            self.time = Time(state.clock_doubt[1], is_confirmed=False)
        elif not state.restoring:
            self.time = Time(now_us, is_confirmed=policy.clock_skew_us is None)
        results = rules.execute(state, commands, now_us, actors or [self._actor] * len(commands))
        if check is not None:
            check(results)
        if state.changes:
            self._store.write(state.changes)
            self.evidence = _evidence(state.changes)
        elif (replayed := _last_replayed(results)) is not None:
            self.vouches = self._store.confirm_replicated()
            self.replayed = replayed
        return results

    def abandon(self) -> None:
        """Commit nothing of this turn."""
        self._store.rollback()
        self.evidence = None
        self.vouches = False
        self.replayed = None


class Executor:
    """Runs batches of commands on a store, each in one of `turns`.

    `policy` has the rules from the settings; `lock_timeout_s` limits the wait for a turn; `clock` returns microseconds
    since 1970. `sleep` waits some seconds before a batch runs again. `actor` is who gives the commands
    (domain/actors.py).
    """

    def __init__(
        self,
        store: Store,
        turns: Turns,
        policy: Policy,
        lock_timeout_s: float,
        clock: Callable[[], int] = system_us,
        actor: str | None = None,
    ) -> None:
        self.store = store
        self.turns = turns
        self.policy = policy
        self.lock_timeout_s = lock_timeout_s
        self.clock = clock
        self.actor = actor
        self.sleep: Callable[[float], None] = time.sleep
        self.before_commit: Callable[[], None] = _nothing
        """Called before what was written is committed: from then on, it may be there."""
        self.retries = 0
        """How often a batch ran again because it collided with another writer's."""

    def run(
        self,
        commands: Sequence[Command],
        name: str,
        lock_timeout_s: float | None = None,
        actors: Sequence[str | None] | None = None,
        check: Callable[[list[Result]], None] | None = None,
    ) -> list[Result]:
        """Run a batch and return one result for each command, in order; all results are on disk.

        `name` is what other writers are told during this turn. `lock_timeout_s` overrides the executor's limit on the
        wait; `actors` and `check` are as in Turn.carry_out. Raises Busy if no turn comes in time, and StorageError if
        the ledger cannot be read or written; then nothing of the batch is applied, except after UnknownOutcome, where
        the keys show the outcome.
        """
        until_s = time.monotonic() + (self.lock_timeout_s if lock_timeout_s is None else lock_timeout_s)
        tries = 0
        while True:
            try:
                with self.turn(name, lock_timeout_s) as turn:
                    return turn.carry_out(commands, actors, check)
            except Collision:
                # Others wrote to the same wallets, and the database undid this batch: decide it again on the new state.
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
            turn = Turn(store, self.policy, self.clock, self.actor)
            try:
                yield turn
            except BaseException as error:
                store.rollback()
                if isinstance(error, Damaged):
                    store.note_damage(error.finding)
                raise
            if turn.evidence is not None:
                self.before_commit()
                self._commit(turn.evidence)
                self.turns.note(store, turn.evidence, turn.time)
            else:
                self._end(turn.vouches)
                if turn.replayed is not None:
                    # The process that committed it may have been killed before the note.
                    self.turns.note(store, turn.replayed, again=True)

    @contextmanager
    def exclusively(self, name: str, lock_timeout_s: float | None = None) -> Iterator[MoveState]:
        """Hold a turn for the length of a `with` block that changes the ledger's own row without commands.

        Yields the current move state. Raises as `run` does.
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
        """Commit. If that fails, check whether it happened (a batch is committed completely or not at all)."""
        try:
            self.store.commit()
        except (StorageError, Busy) as error:
            if self.store.is_undone or isinstance(error, Collision | UnknownOutcome):
                self.store.rollback()
                raise  # the engine has undone it, or knows no more
            try:
                self.store.rollback()
                there = self._settled(evidence)
            except (StorageError, Busy):
                raise UnknownOutcome(error.message) from error
            if not there:
                raise

    def _settled(self, evidence: Change) -> bool:
        """Whether a batch is there; asks until there is an answer, because a failed server needs time to restart."""
        until_s = time.monotonic() + SETTLE_S
        while True:
            try:
                return self.store.contains(evidence)
            except (StorageError, Busy):
                if time.monotonic() > until_s or not self.store.may_come_back:
                    raise
                self.sleep(SETTLE_PAUSE_S)


def _nothing() -> None:
    """For whom nobody asks."""


def _pause_s(tries: int) -> float:
    """How long to wait before the next try: at random, so that colliding batches do not collide again."""
    import random  # needed only after a collision

    return random.uniform(0, min(MAX_PAUSE_S, FIRST_PAUSE_S * 2**tries))  # noqa: S311


def _last_replayed(results: Iterable[Result]) -> Change | None:
    """The last replayed row; None if there is none."""
    found = None
    for result in results:
        if isinstance(result, AppliedAtomic):
            found = _last_replayed(result.results) or found
        elif isinstance(result, Replayed):
            found = result.made
    return found


def _evidence(changes: Sequence[Change]) -> Change:
    """The best evidence that a batch was written: a row that never changes, and that nobody else writes the same.

    Only the use of a key, and parts of an import, write no such row; to do those twice is harmless.
    """
    for kind in (Transaction, Event):
        for thing in reversed(changes):
            if isinstance(thing, kind):
                return thing
    return changes[-1]
