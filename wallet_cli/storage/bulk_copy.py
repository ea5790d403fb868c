"""What `wallet move` needs of a ledger, whatever the engine: its move state, and its tables piece by piece.

Rows are copied as they are, hashes and all, in the order of their keys. So how far a copy has come is its highest key.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from wallet_cli.domain.commands import Change, Restoring
from wallet_cli.domain.model import ApiKey, LedgerFacts, LedgerSetting
from wallet_cli.errors import Busy, Damaged, StorageError, UnknownOutcome
from wallet_cli.storage import sql
from wallet_cli.storage.move_state import ARRIVING, MoveState, refusal
from wallet_cli.storage.prefetch import Prefetch
from wallet_cli.storage.queries import Values
from wallet_cli.storage.sql import COPIED, Copied
from wallet_cli.storage.writing import Rows

RowKey = tuple[int, ...]


class BulkCopy(Prefetch):
    """The steps of a move, of which `exclusively` makes one transaction; a store says how they are run."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where the ledger is, as it may be shown and written down: with no password."""

    @abstractmethod
    def identity(self) -> tuple[Any, ...]:
        """What no other ledger has, however the address of this one is written."""

    @abstractmethod
    def _begin_alone(self) -> None:
        """Begin a transaction while no batch is under way, and let none begin before it ends."""

    @abstractmethod
    def _change(self, statement: str, values: Values) -> None:
        """Run a statement that changes something."""

    @abstractmethod
    def add_rows(self, copied: Copied, rows: Rows) -> None:
        """Insert rows of that table as they are."""

    @abstractmethod
    def commit(self) -> None: ...

    @abstractmethod
    def rollback(self) -> None: ...

    @contextmanager
    def exclusively(self) -> Iterator[MoveState]:
        """Be the only writer for the length of a `with` block, one transaction; given the move state as it stands.

        On SQLite, take the turn first. Raises Busy where others do not end in time.
        """
        self._begin_alone()
        try:
            yield self.move_state()
            self._count_change()
            self.commit()
        except UnknownOutcome as error:
            self.rollback()
            raise StorageError(error.message, hint="run it again: it goes on from what is there") from error
        except BaseException:
            self.rollback()
            raise

    def check_whole(self) -> None:
        """Raises LedgerMoved for a ledger that has not all arrived yet."""
        move_state = self.itself().move_state
        if move_state.state == ARRIVING:
            raise refusal(move_state)

    def move_state(self) -> MoveState:
        return self.itself().move_state

    changes = 0
    """How many commits had no transaction, as of this turn (marks.Itself), where the ledger is a file."""

    def _count_change(self) -> None:
        """Count a commit with no transaction. A server keeps its log itself, so nobody asks it."""

    def is_restoring(self) -> bool:
        return self.itself().restoring

    def _note_of_ledger(self, changes: Sequence[Change]) -> None:
        """Of what a batch made, what is about the ledger itself: write whether it is being restored, where that
        changes, and forget settings that are others now.
        """
        for thing in changes:
            if type(thing) is LedgerSetting:
                self._facts = None
            elif type(thing) is Restoring:
                self._change(sql.SET_RESTORING, {"restoring": int(thing.active)})
                self.restoring = thing.active

    def _says(self, change: Restoring | LedgerSetting) -> bool:
        """Whether the ledger says that of itself now."""
        itself = self.itself()
        if isinstance(change, Restoring):
            return itself.restoring == change.active
        return bool(getattr(itself.facts, change.name) == change.value)

    def set_move_state(self, move_state: MoveState) -> None:
        self._change(sql.SET_MOVE_STATE, move_state._asdict())

    def set_damaged(self, damaged: str | None) -> None:
        self._change(sql.SET_DAMAGED, {"damaged": damaged})

    def confirms(self, error: Damaged) -> bool:
        """Whether damage that was seen once is there, and not only in what was read then."""
        return True

    def note_damage(self, damaged: str) -> None:
        """Let the ledger take no more writes, if it can still be written to: else each write has to see it anew."""
        with suppress(StorageError, Busy), self.exclusively():
            self.set_damaged(damaged)

    def set_facts(self, facts: LedgerFacts) -> None:
        """Have the ledger be the one of that id, with those settings."""
        self._change(sql.SET_FACTS, facts._asdict())
        self._facts = None

    def count(self, copied: Copied) -> int:
        return int(self._one(copied.how_many, {}, lambda row: row[0]) or 0)

    def last_key(self, copied: Copied) -> RowKey:
        """The highest key there is; zeros, which come before all of them, where there is no row."""
        return self._one(copied.last, {}, tuple) or (0,) * len(copied.key)

    def rows_after(self, copied: Copied, key: RowKey, limit: int) -> Rows:
        """The next rows in the order of their keys, at most `limit`."""
        return list(self._each(copied.after, [*key, limit], lambda row: row))

    def is_empty(self) -> bool:
        return not self.operators() and not self.has_rows()

    def has_rows(self) -> bool:
        """Whether there is a user, a wallet, a hold or a transaction."""
        return any(any(self.last_key(copied)) for copied in COPIED)

    def add_operators(self, operators: Sequence[ApiKey]) -> None:
        for operator in operators:
            self._change(sql.INSERT_OPERATOR, sql.operator_values(operator))

    def clear(self) -> None:
        """Remove all that the ledger holds."""
        self._change(sql.CLEAR_OPERATORS, {})
        for copied in reversed(COPIED):
            self._change(copied.clear, {})

    def settle(self) -> None:
        """After very much was put in: let the engine learn what there is, so that it plans well."""
