"""Moving a ledger to another place: from a file to PostgreSQL, back, or between two of a kind.

Both ends are marked first (storage/move_state.py): the new one as `arriving`, then the old one as `moving`, with the
same random name for the move. From then on neither takes writes, so rows can be copied without a lock, starting after
the last copied batch if a run was killed. Then the copy is proven, the new ledger opened for writes, and the old one
marked as `moved`, in this order. So at most one of the two takes writes at any moment, and running it again continues.

A move gets a new name whenever a new ledger without its name is marked. So after `cancel` has removed the name from the
new ledger, that move cannot finish, even if its process is still running.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

from wallet_cli.domain import events
from wallet_cli.domain.ids import format_hold_id
from wallet_cli.domain.model import Account, ApiKey, Event, Hold, User
from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import Busy, Damaged, InvalidInput, LedgerMoved, LedgerNotFound, StorageError, shown, shown_url
from wallet_cli.operations import last_checks, verification
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger, given_as, open_ledger
from wallet_cli.settings import POSTGRES_SCHEMES, Settings, Value, scheme_of
from wallet_cli.storage.ledger_file import ledger_path
from wallet_cli.storage.move_state import ARRIVING, MOVED, MOVING, MoveState, refusal
from wallet_cli.storage.sql import COPIED, EVENTS, rows_of_itself

BATCH_ROWS = 10_000

GO_ON = (
    "run `wallet move --to …` again: it continues there; or cancel with `wallet move --cancel`: the old ledger takes"
    " writes again"
)
"""What to do about a move that is not complete."""

Notify = Callable[[str], None]
Watch = Callable[[str, int, int | None], None]
"""Called with the step, how much of it is done, and the total where that is known."""


def move(settings: Settings, to: str, notify: Notify, watch: Watch) -> Answer:
    """Move the ledger of the settings to `to`, or continue its move: `moved, from, to`, and the counts of what it has.

    Raises InvalidInput if `to` cannot take it, LedgerMoved if it is moving elsewhere, Busy if others write for too
    long, and StorageError if one of the two cannot be read or written, or the copy differs. If the move has begun by
    then, the old ledger takes no writes until it is run again or cancelled, and the error says so.
    """
    with _opened(settings, settings.db, notify) as old:
        known = old.store.move_state()
        if known.state == ARRIVING:
            raise refusal(known, old.store.address)
        old.must_be_whole()
        if known.state is None:
            _check_can_be_marked(old, known)
        nowhere = refusal(known, old.store.address)
        with _telling_state(old), _target(settings, to, notify, known, nowhere) as new:
            if old.store.identity() == new.store.identity():
                raise InvalidInput(f"that is the same ledger: {new.store.address}", hint="give another destination")
            with _telling_what_is_left(old, new, known, notify):
                name = _named(old, new)
            with old.store.many_batches(), new.store.many_batches():
                if new.store.move_state().origin != name:
                    with _telling_which_is_wrong(old, new):
                        _copy(old, new, name, watch)
                        _prove(old, new, watch)
                    _open(old, new, name)
                    last_checks.note(new.store.ledger_id(), new.store.address, last_checks.VERIFIED)
                _close(old, name)
                return _answer(old, new, moved=True)


def cancel(settings: Settings, to: str | None, notify: Notify) -> Answer:
    """Cancel a move that is not complete: the old ledger takes writes again, and the rows in the new one are deleted.

    `to` is the new ledger; give it if the noted address is not enough, for example without its password.
    """
    with _opened(settings, settings.db, notify) as old, _telling_state(old):
        known = old.store.move_state()
        if known.state is None or known.other is None:
            raise InvalidInput("this ledger is not being moved", hint="wallet move --to URL")
        if known.state != MOVING:
            raise refusal(known, old.store.address)
        to = to or known.other
        with (
            _target(settings, to, notify, known, _elsewhere(known, shown_url(to))) as new,
            old.store.many_batches(),
            new.store.many_batches(),
        ):
            _take_back(new, known)
            with _alone(old) as move_state:
                _expect(move_state, known)
                _mark(old, "move cancelled", MoveState(origin=known.origin))
            return _answer(old, new, moved=False)


@contextmanager
def _opened(settings: Settings, db: str, notify: Notify, purpose: Purpose = Purpose.WRITE) -> Iterator[Ledger]:
    """A ledger on this machine, or in a database that this machine reaches."""
    scheme = scheme_of(db)
    if scheme and scheme not in POSTGRES_SCHEMES:
        raise InvalidInput(
            f"a ledger cannot move to or from {shown(scheme + '://…')}",
            hint="a path, or postgresql://user@host/database; a server's ledger is moved where the server runs",
        )
    if not scheme:
        _check_noted(ledger_path(db))
    # Only for the settings' ledger may a folder be created; any other path is used as given.
    of_it = settings if db == settings.db else Settings({**settings.values, "db": Value(db, "--to")})
    with ExitStack() as stack:
        with given_as("--db" if of_it is settings else "--to"):
            ledger = stack.enter_context(open_ledger(of_it, notify, purpose=purpose, arriving=True))
        yield ledger


@contextmanager
def _telling_state(old: Ledger) -> Iterator[None]:
    """Where a step in the `with` block fails, say what has become of the whole move, and what to do.

    The error of a step speaks of that step alone: "nothing was written", where much is copied already.
    """
    try:
        yield
    except (StorageError, Busy) as error:
        state = _state_of(old)
        if state == MOVING:
            error.parts = (f"the move is not complete, and {old.store.address} takes no writes: ", *error.parts)
            error.hint = f"put that right, and {GO_ON}" if not isinstance(error, _Endless) else error.hint
        elif state == MOVED:
            error.hint = "the move is done: run the same command again to see what was moved"
        elif error.hint is not None:
            error.hint = error.hint.replace("nothing was written", "nothing was moved, and the old ledger is as it was")
        raise


class _Endless(StorageError):
    """What a move cannot get past, however often it is run."""


class _Differs(StorageError):
    """The new ledger has other data than the old one."""


@contextmanager
def _telling_which_is_wrong(old: Ledger, new: Ledger) -> Iterator[None]:
    """Where data in the `with` block is wrong, look at the old ledger, and note what is wrong with it: the data is
    copied from there, but the disk of the new ledger may have changed it.
    """
    try:
        yield
    except (Damaged, _Differs) as error:
        wrong = error.finding if isinstance(error, Damaged) else error.message
        try:
            verification.verify(old)
        except Damaged as damage:
            raise _Endless(
                f"{old.store.address} is damaged: {damage.finding}",
                hint=f"cancel with `wallet move --cancel`; {damage.hint}",
                **damage.details,
            ) from error
        raise _Endless(
            f"the old ledger is right, but what is in {new.store.address} is not what was written: {wrong}",
            hint="is its disk failing? cancel with `wallet move --cancel`, and move to another place",
        ) from error


@contextmanager
def _telling_what_is_left(old: Ledger, new: Ledger, known: MoveState, notify: Notify) -> Iterator[None]:
    """Where the move does not begin in the `with` block, because another one did, tell that the new ledger is left.

    It is not removed: somebody else may have begun to use it.
    """
    try:
        yield
    except (Busy, LedgerMoved):
        with suppress(StorageError, Busy):
            if known.state is None and old.store.move_state().other != new.store.address and new.store.is_empty():
                notify(f"an empty ledger is left at {new.store.address}: no move goes there, and it may be removed")
        raise


def _state_of(old: Ledger) -> str | None:
    """The state of the old ledger; MOVING where that cannot be read now: nothing is written to it then either. None
    where it is damaged: no move continues, and none can be cancelled.
    """
    try:
        return old.store.move_state().state
    except Damaged:
        return None
    except (StorageError, Busy):
        return MOVING


def _check_noted(path: Path) -> None:
    """Raises InvalidInput for a path that is not text: each of the two ledgers keeps the other's."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            f"a ledger cannot move to or from a path that is not UTF-8: {shown(str(path))}",
            hint="rename the file, or its folder",
        ) from None


@contextmanager
def _alone(ledger: Ledger) -> Iterator[MoveState]:
    """Be the only writer for the length of a `with` block, one transaction. Yields the current move state."""
    with ledger.executor.exclusively("moving the ledger") as move_state:
        yield move_state


def _expect(move_state: MoveState, known: MoveState) -> None:
    if move_state != known:
        raise Busy(
            "another process started, finished or cancelled a move of this ledger",
            hint="check the ledger, and try again",
        )


@contextmanager
def _target(
    settings: Settings, to: str, notify: Notify, known: MoveState, nowhere: InvalidInput | LedgerMoved
) -> Iterator[Ledger]:
    """The new ledger. It is made only by a move that begins, or was going there; otherwise, raises `nowhere`."""
    address = shown_url(to) if "://" in to else str(ledger_path(to))
    may_make = known.state is None or (known.state == MOVING and address == known.other)
    with ExitStack() as stack:
        try:
            new = stack.enter_context(_opened(settings, to, notify, Purpose.MAKE if may_make else Purpose.WRITE))
        except LedgerNotFound:
            raise nowhere from None
        yield new


# Marking both ends.


def _named(old: Ledger, new: Ledger) -> str:
    """The name of the move, which both ends now have, or which was completed."""
    known, there = old.store.move_state(), new.store.move_state()
    if known.state is not None and known.move is not None:
        if known.move in (there.origin, there.move if there.state == ARRIVING else None):
            return known.move
        if known.state == MOVED or known.other != new.store.address:
            raise refusal(known)
    name = os.urandom(16).hex()
    with _alone(new) as there:
        _expect(old.store.move_state(), known)  # another process writes a name there only after it marked both
        _check_free(old, new, there)
        new.store.forget_events()  # it gets those of the old one
        new.store.set_move_state(MoveState(ARRIVING, old.store.address, name, new.now_us(), there.origin))
    # Only now: the new ledger must have the name before the old one.
    with _alone(old) as move_state:
        _expect(move_state, known)
        _mark(old, "move begun", MoveState(MOVING, new.store.address, name, old.now_us(), known.origin))
    return name


class _Undone(Exception):
    """Takes a change back that was only tried."""


def _check_can_be_marked(old: Ledger, known: MoveState) -> None:
    """Raises StorageError or Busy where the old ledger cannot be marked, before anything is made at the new end."""
    with suppress(_Undone), _alone(old) as move_state:
        _expect(move_state, known)
        _mark(old, "move begun", known)
        raise _Undone


def _check_free(old: Ledger, new: Ledger, there: MoveState) -> None:
    """Raises InvalidInput unless a ledger may be moved there: it must be empty, and not the target of another move."""
    hint = "give a path or a database where there is no ledger yet"
    # A target is free again if the process that marked it for this ledger ended before it marked this ledger. It may
    # have come as another role.
    of_this = there.state == ARRIVING and _without_role(there.other or "") == _without_role(old.store.address)
    if there.state is not None and not of_this:
        raise InvalidInput(f"{new.store.address} is not free: {refusal(there).message}", hint=hint)
    if not new.store.is_empty():
        raise InvalidInput(f"there is already a ledger with data: {new.store.address}", hint=hint)


def _without_role(address: str) -> str:
    return re.sub("(?<=://)[^/?@]*@", "", address)


def _check_arriving(move_state: MoveState, name: str) -> None:
    if (move_state.state, move_state.move) != (ARRIVING, name):
        raise Busy("another process finished or cancelled this move", hint="check the ledger, and try again")


def _open(old: Ledger, new: Ledger, name: str) -> None:
    """Let the new ledger take writes, with the id and the settings of the old one; until then, it has its own."""
    with _alone(new) as move_state:
        _check_arriving(move_state, name)
        new.store.set_facts(old.store.itself().facts)
        _mark(new, "moved here", MoveState(origin=name))


def _mark(ledger: Ledger, what: str, move_state: MoveState) -> None:
    """Set the move state, and record that."""
    ledger.store.record(what, {"place": move_state._asdict()}, ledger.now_us(), ledger.executor.actor)
    ledger.store.set_move_state(move_state)


def _close(old: Ledger, name: str) -> None:
    """Mark the old ledger as moved, for good. It takes no writes since the move began."""
    with _alone(old) as move_state:
        if move_state.move != name:
            raise Busy("another process changed this ledger's move state", hint="check the ledger, and try again")
        if move_state.state == MOVING:
            _mark(old, "moved", move_state._replace(state=MOVED, since_us=old.now_us()))


def _take_back(new: Ledger, known: MoveState) -> None:
    """Remove everything at the new end with which a move of that name could finish."""
    with _alone(new) as there:
        if there.origin == known.move:
            raise LedgerMoved(
                f"this ledger was copied to {known.other}, which may have new transactions by now",
                hint="finish the move: `wallet move --to …`",
                **refusal(known).details,
            )
        if (there.state, there.move) == (ARRIVING, known.move):
            new.store.clear()
            # No two ledgers may have the same id, and older versions have given it that of the old one by now.
            new.store.set_facts(new.store.itself().facts._replace(uuid=str(uuid.uuid4())))
            new.store.set_move_state(MoveState(origin=there.origin))
            new.store.record("made", rows_of_itself(new.store.itself()), new.now_us(), new.executor.actor)
        elif new.store.address != known.other:
            raise _elsewhere(known, new.store.address)


def _elsewhere(known: MoveState, address: str) -> InvalidInput:
    return InvalidInput(f"this ledger is not being moved to {address}", hint=f"it is being moved to {known.other}")


# The copy.


def _copy(old: Ledger, new: Ledger, name: str, watch: Watch) -> None:
    """Copy what is missing, one batch in each transaction. Each checks the move state, and how far the copy is."""
    total = sum(old.store.count(copied) for copied in COPIED)
    done = sum(new.store.count(copied) for copied in COPIED)
    watch("copying", done, total)
    for copied in COPIED:
        more = True
        while more:
            with _alone(new) as move_state:
                _check_arriving(move_state, name)
                rows = old.store.rows_after(copied, new.store.last_key(copied), BATCH_ROWS)
                new.store.add_rows(copied, rows)
            more = len(rows) == BATCH_ROWS
            done += len(rows)
            watch("copying", done, total)
    with _alone(new) as move_state:
        _check_arriving(move_state, name)
        there = {operator.name for operator in new.store.operators()}
        new.store.add_operators([operator for operator in old.store.operators() if operator.name not in there])
    new.store.settle()


# The proof.


def _prove(old: Ledger, new: Ledger, watch: Watch) -> None:
    """Check that both ledgers have the same data, row by row; raises _Differs for the first difference, or Damaged.

    A wallet's head hash stands for all its transactions: `verify` computes each hash again in the new ledger.
    """
    for copied in COPIED:
        if copied is EVENTS:
            continue  # compared below, but for the ledger's: another process may have recorded that the move is done
        counts = old.store.count(copied), new.store.count(copied)
        if counts[0] != counts[1]:
            raise _differs(f"{counts[0]} {copied.table} became {counts[1]}")
    total = sum(old.store.count(copied) for copied in COPIED if copied.table != "transactions")
    now_us = old.now_us()
    with old.store.snapshot(), new.store.snapshot():
        pairs: Iterable[tuple[Any, Any]] = _side_by_side(old, new, now_us)
        for done, (one, other) in enumerate(pairs):
            if one != other:
                raise _differs(f"{_name_of(one or other)} is not the same")
            if done % 1000 == 0:
                watch("comparing", done, total)
    watch("verifying", 0, None)
    verification.check(new)


def _side_by_side(old: Ledger, new: Ledger, now_us: int) -> Iterator[tuple[Any, Any]]:
    ends = old.store, new.store
    yield from zip_longest(*(store.users() for store in ends))
    # The wallet, its last transaction with its hash, and its holds.
    yield from zip_longest(*(store.accounts_after(0, -1, now_us) for store in ends))
    yield from zip_longest(*(store.holds_in_order() for store in ends))
    # Sorted by name here, because the two engines may order letters differently.
    yield from zip_longest(*(sorted(store.operators()) for store in ends))
    for kind in (events.USER, events.WALLET):
        yield from zip_longest(*(store.events_in_order(kind) for store in ends))


def _name_of(thing: User | Account | Hold | ApiKey | Event) -> str:
    if isinstance(thing, User):
        return f"user {thing.id}"
    if isinstance(thing, Account):
        return f"wallet {thing.wallet.name}"
    if isinstance(thing, Hold):
        return f"hold {format_hold_id(thing.wallet_id, thing.number)}"
    if isinstance(thing, Event):
        return f"an event of {events.KINDS[thing.kind]} {thing.subject_id}"
    return f"operator {thing.name}"


def _differs(what: str) -> _Differs:
    return _Differs(f"the copy is not the same: {what}")


def _answer(old: Ledger, new: Ledger, *, moved: bool) -> Answer:
    counts = {copied.table: old.store.count(copied) for copied in COPIED}
    return {
        "moved": moved,
        "from": old.store.address,
        "to": new.store.address,
        **{table: counts[table] for table in ("users", "wallets", "transactions", "holds")},
    }
