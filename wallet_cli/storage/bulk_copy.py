"""What `wallet move` needs from a ledger, for every engine: its move state, and its tables in pieces.

Rows are copied unchanged, with their hashes, in the order of their keys. So the highest key is how far a copy is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from wallet_cli.domain import events
from wallet_cli.domain.commands import Change, Restoring
from wallet_cli.domain.model import ApiKey, Event, Hold, LedgerFacts, LedgerSetting, Transaction, User, Wallet
from wallet_cli.errors import Busy, StorageError, UnknownOutcome
from wallet_cli.storage import sql
from wallet_cli.storage.move_state import ARRIVING, Itself, MoveState, refusal
from wallet_cli.storage.prefetch import Prefetch
from wallet_cli.storage.queries import Values, as_it_is
from wallet_cli.storage.sql import COPIED, Copied
from wallet_cli.storage.writing import Rows

RowKey = tuple[int, ...]


class BulkCopy(Prefetch):
    """The steps of a move. `exclusively` makes several of them one transaction; a store defines how they run."""

    @property
    @abstractmethod
    def address(self) -> str:
        """The ledger's address without a password, to be shown and stored."""

    @abstractmethod
    def identity(self) -> tuple[Any, ...]:
        """Identifies the ledger, however its address is written."""

    @abstractmethod
    def _begin_alone(self) -> None:
        """Begin a transaction while no batch is running, and let none begin before it ends."""

    @abstractmethod
    def _change(self, statement: str, values: Values) -> None:
        """Run a statement that writes."""

    @abstractmethod
    def add_rows(self, copied: Copied, rows: Rows) -> None:
        """Insert rows of that table unchanged."""

    @abstractmethod
    def commit(self) -> None: ...

    @abstractmethod
    def rollback(self) -> None: ...

    @contextmanager
    def exclusively(self) -> Iterator[MoveState]:
        """Be the only writer for the length of a `with` block, one transaction. Yields the current move state.

        On SQLite, take the turn first. Raises Busy if others do not end in time.
        """
        try:
            self._begin_alone()
            yield self.move_state()
            self._count_change()
            self.commit()
        except UnknownOutcome as error:
            self.rollback()
            raise StorageError(error.message, hint="run it again: it continues where it stopped") from error
        except BaseException:
            self.rollback()
            raise

    def check_whole(self) -> Itself:
        """The ledger's own row. Raises LedgerMoved for a ledger that is not complete yet."""
        itself = self.itself()
        if itself.move_state.state == ARRIVING:
            raise refusal(itself.move_state, self.address)
        return itself

    def move_state(self) -> MoveState:
        return self.itself().move_state

    changes = 0
    """How many commits had no transaction, in this turn (move_state.Itself), if the ledger is a file."""

    def _count_change(self) -> None:
        """Count a commit without a transaction. Not needed on a server, which keeps its log itself."""

    def is_restoring(self) -> bool:
        return self.itself().restoring

    def _note_of_ledger(self, changes: Sequence[Change]) -> None:
        """Handle the changes of a batch to the ledger itself: write whether it is being restored, if that changes, and
        forget the known settings if they change.
        """
        for thing in changes:
            if type(thing) is LedgerSetting:
                self._facts = None
            elif type(thing) is Restoring:
                self._change(sql.SET_RESTORING, {"restoring": int(thing.active)})
                self.restoring = thing.active

    def _is_there(self, change: Change) -> bool:
        """Whether a row is there just like that."""
        if isinstance(change, Transaction):
            return self.transaction(change.wallet_id, change.seq) == change
        if isinstance(change, Event):
            return self.event(*change[:3]) == change
        if isinstance(change, User):
            return self.user_by_id(change.id) == change
        if isinstance(change, Hold):
            return self.hold(change.wallet_id, change.number) == change
        if isinstance(change, Wallet):
            account = self.account(change.id, 0)
            return account is not None and account.wallet == change
        if isinstance(change, ApiKey):
            return self.operator_by_name(change.name) == change
        itself = self.itself()
        if isinstance(change, Restoring):
            return itself.restoring == change.active
        return bool(getattr(itself.facts, change.name) == change.value)

    def record(self, what: str, details: events.Rows, now_us: int, actor: str | None) -> None:
        """Add an event of the ledger itself. Within `exclusively`."""
        last = next(iter(self.last_events([events.OF_LEDGER])), None)
        event = events.follow(last, events.OF_LEDGER, now_us, actor, what, details)
        self._change(sql.INSERT_EVENT, list(event))

    def forget_events(self) -> None:
        """Remove all events of a ledger that is empty otherwise: it will get those of another one."""
        self._change(sql.EVENTS.clear, {})

    def set_move_state(self, move_state: MoveState) -> None:
        self._change(sql.SET_MOVE_STATE, move_state._asdict())

    def set_damaged(self, damaged: str | None) -> None:
        self._change(sql.SET_DAMAGED, {"damaged": damaged})

    def note_damage(self, damaged: str) -> None:
        """Mark the ledger so that it takes no more writes. If that cannot be written, each write must find the damage
        itself.
        """
        with suppress(StorageError, Busy), self.exclusively():
            self.set_damaged(damaged)

    def set_facts(self, facts: LedgerFacts) -> None:
        """Set the ledger's id and settings."""
        self._change(sql.SET_FACTS, facts._asdict())
        self._facts = None

    def count(self, copied: Copied) -> int:
        return int(self._one(copied.how_many, {}, lambda row: row[0]) or 0)

    def last_key(self, copied: Copied) -> RowKey:
        """The highest key; zeros, which come before all keys, if there is no row."""
        return self._one(copied.last, {}, tuple) or (0,) * len(copied.key)

    def rows_after(self, copied: Copied, key: RowKey, limit: int) -> Rows:
        """The next rows in key order, at most `limit`."""
        return list(self._each(copied.after, [*key, limit], as_it_is))

    def is_empty(self) -> bool:
        return not self.operators() and not self.has_rows()

    def has_rows(self) -> bool:
        """Whether there is a user, a wallet, a hold or a transaction."""
        return any(any(self.last_key(copied)) for copied in COPIED if copied is not sql.EVENTS)

    def add_operators(self, operators: Sequence[ApiKey]) -> None:
        for operator in operators:
            self._change(sql.INSERT_OPERATOR, sql.operator_values(operator))

    def clear(self) -> None:
        """Remove everything in the ledger."""
        self._change(sql.CLEAR_OPERATORS, {})
        for copied in reversed(COPIED):
            self._change(copied.clear, {})

    def settle(self) -> None:
        """After many inserts: update the engine's statistics, so that it plans well."""
