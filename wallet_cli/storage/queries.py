"""The queries of a ledger, for every engine: each method is one statement, and so one consistent snapshot.

A store defines how statements run (`_one`, `_each`), and how several of them share one snapshot.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

from wallet_cli.domain import events
from wallet_cli.domain.events import Rows, Subject
from wallet_cli.domain.ids import MAX_ID, format_wallet_id
from wallet_cli.domain.model import Account, ApiKey, Event, Hold, LedgerFacts, Transaction, User, Wallet, Witness
from wallet_cli.domain.period import beyond_calendar
from wallet_cli.domain.text import containing
from wallet_cli.errors import Damaged, StorageError
from wallet_cli.named_tuples import NamedTuple
from wallet_cli.storage import sql
from wallet_cli.storage.move_state import Itself, to_itself
from wallet_cli.storage.sql import Filter

T = TypeVar("T")

Values = dict[str, Any] | list[Any]


class Place(NamedTuple):
    """The place of a transaction in the day book: its time in microseconds since 1970, and its id."""

    at_us: int
    wallet_id: int
    seq: int


class EventPlace(NamedTuple):
    """The place of an event among all of them: its time in microseconds since 1970, its subject, and its number."""

    at_us: int
    kind: int
    subject_id: int
    number: int


def as_it_is(row: Sequence[Any]) -> Sequence[Any]:
    """A row that is not converted."""
    return row


AT_ONCE = 64
"""How many accounts or keys one statement looks up at most."""


def replaced(name: str) -> StorageError:
    """The error for another ledger in the place of the one that was opened."""
    return StorageError(
        f"another ledger has replaced the one that was opened: {name}",
        hint="check which ledger you want; restart this process to use the new one",
    )


class Queries(ABC):
    """The queries; a store runs them."""

    facts_last_s = 0.0
    """The most that a reader's copy of the ledger's settings may be out of date. A batch reads them again."""

    warnings: Sequence[str] = ()
    """Warnings about the place where the ledger is kept."""

    how_to_restore = "wallet restore FILE"
    """What puts a backup in the ledger's place."""

    is_copy = False
    """Whether it is a temporary copy for reading a ledger of an older schema: writes to it are lost."""

    _facts: LedgerFacts | None = None
    _facts_read_s = 0.0
    _facts_set_s = 0.0
    """See `forget_facts`."""

    @abstractmethod
    def _one(self, statement: str, values: Values, make: Callable[[Sequence[Any]], T]) -> T | None:
        """The first row of a statement, converted by `make`; None if there is none."""

    @abstractmethod
    def _each(self, statement: str, values: Values, make: Callable[[Sequence[Any]], T]) -> Generator[T, None, None]:
        """The rows of a statement, each converted by `make`, as they arrive."""

    def facts(self) -> LedgerFacts:
        """The ledger's id and settings."""
        old_s = max(time.monotonic() - self.facts_last_s, Queries._facts_set_s)
        if self._facts is None or self._facts_read_s <= old_s:
            return self.itself().facts
        return self._facts

    @staticmethod
    def forget_facts() -> None:
        """The settings were set: what the stores of this process have read of them is old."""
        Queries._facts_set_s = time.monotonic()

    def facts_of_turn(self) -> LedgerFacts:
        """The same, as read when the turn began, or as set since."""
        return self.itself().facts if self._facts is None else self._facts

    def itself(self) -> Itself:
        """The ledger's own row, read now."""
        return self._know(self._one(sql.ITSELF, {}, tuple))

    def _know(self, row: Sequence[Any] | None) -> Itself:
        found = to_itself(row)
        self._facts, self._facts_read_s = found.facts, time.monotonic()
        return found

    def ledger_id(self) -> str:
        """The UUID of this ledger, which no other ledger has."""
        found = self.facts().uuid
        assert found is not None  # as to_itself has judged
        return found

    def user_by_id(self, id_: int) -> User | None:
        return self._one(sql.USER_BY_ID, {"id": id_}, sql.to_user)

    def user_by_e164(self, e164: str) -> User | None:
        return self._one(sql.USER_BY_E164, {"e164": e164}, sql.to_user)

    def user_by_national(self, region: str, national: str) -> User | None:
        return self._one(sql.USER_BY_NATIONAL, {"region": region, "national": national}, sql.to_user)

    def user_by_key(self, key: str) -> User | None:
        """The user registered with that idempotency key."""
        return self._one(sql.USER_BY_KEY, {"key": key}, sql.to_user)

    def wallet_by_key(self, user_id: int, key: str) -> Wallet | None:
        """The wallet of a user that was opened with that idempotency key."""
        return self._one(sql.WALLET_BY_KEY, {"user_id": user_id, "key": key}, sql.to_wallet)

    def users_after(self, after: int, limit: int) -> Iterator[User]:
        """Users in the order of their ids, after the id `after`, at most `limit` (-1: all)."""
        return self._each(sql.USERS_AFTER, {"after": after, "limit": limit}, sql.to_user)

    # `now_us` is the moment for which holds count: a hold that has expired by then keeps nothing.

    def account(self, wallet_id: int, now_us: int) -> Account | None:
        return self._one(sql.ACCOUNT_BY_ID, {"id": wallet_id, "now_us": now_us}, sql.to_account)

    def account_of(self, user_id: int, type_: str, now_us: int) -> Account | None:
        values = {"user_id": user_id, "type": type_, "now_us": now_us}
        return self._one(sql.ACCOUNT_BY_OWNER, values, sql.to_account)

    def accounts_of(self, user_id: int, now_us: int) -> list[Account]:
        return list(self._each(sql.ACCOUNTS_OF_USER, {"user_id": user_id, "now_us": now_us}, sql.to_account))

    def accounts_after(self, after: int, limit: int, now_us: int, user_id: int | None = None) -> Iterator[Account]:
        """Wallets, or those of a user, in the order of their ids, after the id `after` (limit -1: all)."""
        statement = sql.ACCOUNTS_AFTER if user_id is None else sql.ACCOUNTS_OF_USER_AFTER
        values = {"after": after, "limit": limit, "now_us": now_us, "user_id": user_id}
        return self._each(statement, values, sql.to_account)

    def account_owned(self, wallet_id: int, user_id: int, now_us: int) -> Account | None:
        values = {"id": wallet_id, "user_id": user_id, "now_us": now_us}
        return self._one(sql.ACCOUNT_OWNED, values, sql.to_account)

    def wallet(self, wallet_id: int) -> Wallet | None:
        return self._one(sql.WALLET_BY_ID, {"id": wallet_id}, sql.to_wallet)

    def wallet_of(self, user_id: int, type_: str) -> Wallet | None:
        return self._one(sql.WALLET_BY_OWNER, {"user_id": user_id, "type": type_}, sql.to_wallet)

    def wallet_owned(self, wallet_id: int, user_id: int) -> Wallet | None:
        return self._one(sql.WALLET_OWNED, {"id": wallet_id, "user_id": user_id}, sql.to_wallet)

    def holders(self, ids: Iterable[int]) -> list[tuple[Wallet, User]]:
        """The wallets that there are of those, in any order, each with its user."""
        found: list[tuple[Wallet, User]] = []
        for chunk in in_chunks(ids):
            found += self._each(sql.holders_by_ids(len(chunk)), chunk, sql.to_holder)
        return found

    def operator_by_hash(self, key_hash: bytes) -> ApiKey | None:
        return self._one(sql.OPERATOR_BY_HASH, {"key_hash": key_hash}, sql.to_operator)

    def operator_by_name(self, name: str) -> ApiKey | None:
        return self._one(sql.OPERATOR_BY_NAME, {"name": name}, sql.to_operator)

    def operators(self) -> list[ApiKey]:
        return list(self._each(sql.ALL_OPERATORS, {}, sql.to_operator))

    def transaction(self, wallet_id: int, seq: int) -> Transaction | None:
        return self._one(sql.TRANSACTION_BY_SEQ, {"wallet_id": wallet_id, "seq": seq}, sql.to_transaction)

    def reversals(self, wallet_id: int, seq: int) -> list[Transaction]:
        return list(self._each(sql.REVERSALS, {"wallet_id": wallet_id, "seq": seq}, sql.to_transaction))

    def event(self, kind: int, subject_id: int, number: int) -> Event | None:
        values = {"kind": kind, "subject_id": subject_id, "number": number}
        return self._one(sql.EVENT, values, sql.to_event)

    def has_events(self) -> bool:
        """Whether there is an event of a user or a wallet."""
        return self._one(sql.ANY_EVENT, {}, tuple) is not None

    def last_events(self, subjects: Iterable[Subject]) -> list[Event]:
        """The last event of each of those that have one, in any order."""
        found: list[Event] = []
        for chunk in in_chunks(subjects):
            found += self._each(sql.last_events(len(chunk)), list(chain.from_iterable(chunk)), sql.to_event)
        return found

    def event_count(self, subjects: Iterable[Subject] | None = None) -> int:
        """The number of events, or of those of some subjects, each of which has its own without a gap."""
        if subjects is None:
            return int(self._one(sql.COUNT_OF_EVENTS, {}, lambda row: row[0]) or 0)
        return sum(event.number for event in self.last_events(subjects))

    def events_by_time(self, before: EventPlace, limit: int, subject: Subject | None = None) -> Iterator[Event]:
        """Events before a place, of one subject or of all, the newest first, at most `limit` (-1: all)."""
        values: dict[str, Any] = {**before._asdict(), "limit": limit}
        if subject is None:
            return self._each(sql.EVENTS_BY_TIME, values, sql.to_event)
        values |= {"of_kind": subject[0], "of_id": subject[1]}
        return self._each(sql.EVENTS_OF, values, sql.to_event)

    def events_in_order(self, kind: int, first: int = 0, last: int = MAX_ID) -> Iterator[Event]:
        """The events of a range of subjects of a kind, in the order of their chains."""
        return self._each(sql.EVENTS_IN_ORDER, {"kind": kind, "first": first, "last": last}, sql.to_event)

    def rows_of_events(self) -> Iterator[tuple[Subject, Rows]]:
        """Everything that events are recorded of, as it is now: its subject, and its row by its kind."""
        for user in self.users():
            yield (events.USER, user.id), {"user": events.of_user(user)}
        for wallet in self.wallets():
            yield (events.WALLET, wallet.id), {"wallet": events.of_wallet(wallet)}
        for hold in self.holds_in_order():
            yield (events.WALLET, hold.wallet_id), {"hold": events.of_hold(hold)}

    def hold(self, wallet_id: int, number: int) -> Hold | None:
        return self._one(sql.HOLD_BY_NUMBER, {"wallet_id": wallet_id, "number": number}, sql.to_hold)

    def holds_before(self, wallet_id: int, before: int, limit: int) -> Iterator[Hold]:
        """Holds of a wallet with numbers below `before`, the newest first, at most `limit` (-1: all)."""
        values = {"wallet_id": wallet_id, "before": before, "limit": limit}
        return self._each(sql.HOLDS_BEFORE, values, sql.to_hold)

    def last_seq_before(self, wallet_id: int, last: int, moment_us: int) -> int:
        """The number of transactions of a wallet before a moment; `last` is the number of all of them."""
        found = self._one(
            sql.LAST_SEQ_BEFORE, {"wallet_id": wallet_id, "last": last, "moment_us": moment_us}, lambda row: row[0]
        )
        if found is None:
            raise StorageError(
                f"a transaction of wallet {format_wallet_id(wallet_id)} is missing", hint="find it with `wallet verify`"
            )
        return int(found)

    def reset_keys(self, wallet_id: int) -> int:
        """The last number of a key of a reset that is used in a wallet; the next one is free."""
        return self._one(sql.RESET_KEYS, {"wallet_id": wallet_id}, lambda row: int(row[0])) or 0

    def resets(self, wallet_id: int) -> list[int]:
        """The transactions of a wallet that reset its time, by seq."""
        return list(self._each(sql.RESETS, {"wallet_id": wallet_id}, lambda row: int(row[0])))

    def all_resets(self, first_wallet: int, last_wallet: int) -> list[tuple[int, int, int]]:
        """The transactions of a range of wallets that reset a time: wallet id, seq and time, in order."""
        return list(self._each(sql.ALL_RESETS, {"first": first_wallet, "last": last_wallet}, tuple))

    def newest_first(
        self, wallet_id: int, first: int, last: int, limit: int, wanted: Filter | None = None
    ) -> Iterator[Transaction]:
        """Transactions `first` to `last` of a wallet that match `wanted`, the newest first, at most `limit` (-1:
        all).
        """
        values: dict[str, Any] = {"wallet_id": wallet_id, "first": first, "last": last, "limit": limit}
        return self._wanted(sql.NEWEST_FIRST, values, wanted, sql.to_transaction)

    def _wanted(
        self, statement: str, values: dict[str, Any], wanted: Filter | None, make: Callable[[Sequence[Any]], T]
    ) -> Iterator[T]:
        """Those rows of transactions that are wanted, at most `limit` of the values."""
        if wanted is None:
            return self._each(statement, values, make)
        statement, more = sql.filtered(wanted, statement)
        if wanted.text is None:
            return self._each(statement, values | more, make)
        rows = self._each(statement, values | more | {"limit": -1}, as_it_is)
        fits = containing(wanted.text)
        found = (make(row) for row in rows if fits(row[sql.NOTE]))
        return found if values["limit"] < 0 else islice(found, values["limit"])

    def day_book(
        self, first: Place, before: Place, limit: int, wanted: Filter | None = None
    ) -> Iterator[tuple[Transaction, Wallet, str | None]]:
        """Transactions of all wallets that are `wanted`, from `first` to just before a place, the newest first, at most
        `limit` (-1: all); each with its wallet and the name of its owner.
        """
        values = _places(before, first[0]) | {"limit": limit}
        values |= dict(zip(("first_us", "first_wallet", "first_seq"), first, strict=True))
        return self._wanted(sql.DAY_BOOK, values, wanted, sql.to_entry)

    def day_book_place(self, before: Place, start_us: int, skipped: int) -> Place | None:
        """The place in the day book that comes before another, after so many between them; None before `start_us`."""
        values = _places(before, start_us) | {"limit": 1, "skipped": skipped}
        return self._one(sql.DAY_BOOK_PLACE, values, lambda row: Place._make(row))

    def sums(self) -> list[sql.Sum]:
        """What there is of each currency."""
        return list(self._each(sql.SUMS, {}, sql.to_sum))

    def in_order(self, wallet_id: int, first: int, last: int) -> Iterator[Transaction]:
        """Transactions `first` to `last` of a wallet, the oldest first."""
        values = {"wallet_id": wallet_id, "first": first, "last": last}
        return self._each(sql.IN_ORDER, values, sql.to_transaction)

    # For a batch that will be written (storage/prefetch.py).

    def accounts(self, ids: Sequence[int], now_us: int) -> list[Account]:
        """The existing accounts of those wallets, in any order."""
        if len(ids) == 1:
            account = self.account(ids[0], now_us)
            return [] if account is None else [account]
        found: list[Account] = []
        for chunk in in_chunks(ids):
            found += self._each(sql.accounts_by_ids(len(chunk)), [*chunk, now_us], sql.to_account)
        return found

    def keyed(self, pairs: Sequence[tuple[int, str]]) -> list[Transaction]:
        """The transactions with one of those (wallet id, key) pairs, in any order."""
        found: list[Transaction] = []
        for chunk in in_chunks(pairs):
            found += self._each(
                sql.transactions_by_keys(len(chunk)), list(chain.from_iterable(chunk)), sql.to_transaction
            )
        return found

    def hold_by_key(self, wallet_id: int, key: str) -> Hold | None:
        return self._one(sql.HOLD_BY_KEY, {"wallet_id": wallet_id, "key": key}, sql.to_hold)

    def expired_holds(self, wallet_id: int, now_us: int) -> list[Hold]:
        """Open holds that are past their expiry."""
        return list(self._each(sql.LAPSED_HOLDS, {"wallet_id": wallet_id, "now_us": now_us}, sql.to_hold))

    def open_holds(self, wallet_id: int, since_us: int) -> list[Hold]:
        """Holds that were placed at or after a moment, and are open."""
        return list(self._each(sql.OPEN_HOLDS, {"wallet_id": wallet_id, "since_us": since_us}, sql.to_hold))

    def reversed_amount(self, wallet_id: int, seq: int, *, before: int = MAX_ID) -> int:
        """How much of a transaction was reversed, in minor units; only what has a seq before the given one counts."""
        values = {"wallet_id": wallet_id, "seq": seq, "before": before}
        return int(self._one(sql.REVERSED, values, lambda row: row[0]) or 0)

    def captured_before(self, capture: Transaction, hold: Hold, last: int) -> int:
        """How much of its hold had been captured before a capture; `last` is the number of its wallet's transactions.

        Reads what the wallet did while it was held. Where that has not all captures, as a clock was ahead or a time was
        reset, it reads the wallet.
        """
        wallet_id, ended_at_us = capture.wallet_id, hold.ended_at_us
        first = self.last_seq_before(wallet_id, last, hold.created_at_us) + 1
        until = last if ended_at_us is None else self.last_seq_before(wallet_id, last, ended_at_us + 1)
        values = {"wallet_id": wallet_id, "before": capture.seq, "hold": hold.number}
        total, before = self._captured(values | {"first": first, "last": until})
        return before if total == hold.captured else self._captured(values | {"first": 1, "last": last})[1]

    def _captured(self, values: dict[str, int]) -> tuple[int, int]:
        """How much of a hold transactions `first` to `last` of its wallet captured, and those of them `before` one."""
        return self._one(sql.CAPTURED_BEFORE, values, lambda row: (row[0], row[1])) or (0, 0)

    def user_count(self) -> int:
        """The number of users. Their ids are 1, 2, 3 … without a gap."""
        return self.next_user_id() - 1

    def wallet_count(self, user_id: int | None = None) -> int:
        """The number of wallets (their ids have no gap either), or of those of a user."""
        if user_id is None:
            return self.next_wallet_id() - 1
        return int(self._one(sql.COUNT_OF_USER, {"user_id": user_id}, lambda row: row[0]) or 0)

    def next_user_id(self) -> int:
        return self._next_id(sql.LAST_USER_ID)

    def next_wallet_id(self) -> int:
        return self._next_id(sql.LAST_WALLET_ID)

    def oldest_first(self, wallet_id: int) -> Iterator[Transaction]:
        return self._each(sql.OLDEST_FIRST, {"wallet_id": wallet_id}, sql.to_transaction)

    def users(self) -> Iterator[User]:
        return self._each(sql.ALL_USERS, {}, sql.to_user)

    def wallets(self) -> Iterator[Wallet]:
        return self._each(sql.ALL_WALLETS, {}, sql.to_wallet)

    def holds_in_order(self, wallet_id: int | None = None) -> Iterator[Hold]:
        """All holds, or those of a wallet, by wallet and number."""
        if wallet_id is None:
            return self._each(sql.ALL_HOLDS, {}, sql.to_hold)
        return self._each(sql.HOLDS_IN_ORDER, {"wallet_id": wallet_id}, sql.to_hold)

    def exported(self, first_wallet: int, last_wallet: int) -> Iterator[Sequence[Any]]:
        """The transactions of a range of wallets, by wallet and seq, as rows of sql.EXPORTED."""
        return self._each(sql.EXPORTED, {"first": first_wallet, "last": last_wallet}, as_it_is)

    def named_wallets(self, first_wallet: int, last_wallet: int) -> Iterator[tuple[Wallet, str]]:
        """A range of wallets in the order of their ids, with their owners' E.164 numbers."""
        values = {"first": first_wallet, "last": last_wallet}
        return self._each(sql.NAMED_WALLETS, values, lambda row: (sql.to_wallet(row[:-1]), row[-1]))

    def chains(self, first_wallet: int, last_wallet: int) -> Generator[Sequence[Any], None, None]:
        """The transactions of a range of wallets, by wallet and seq, as rows of sql.CHAINS."""
        return self._each(sql.CHAINS, {"first": first_wallet, "last": last_wallet}, as_it_is)

    def witnessed(self, first_wallet: int, last_wallet: int) -> Generator[tuple[Wallet, Witness | None], None, None]:
        """A range of wallets in the order of their ids, each with its witness, if it has one."""
        return self._each(sql.WITNESSED, {"first": first_wallet, "last": last_wallet}, sql.to_witnessed)

    def beyond_calendar(self) -> Damaged | None:
        """The error for a row with a time that cannot be told, if there is one."""
        return first_beyond(lambda statement: self._one(statement, {}, tuple))

    def stray_hold(self) -> tuple[int, int] | None:
        """A hold (wallet id, number) of a missing wallet, if any."""
        return self._one(sql.STRAY_HOLDS, {}, tuple)

    def stray_witness(self) -> int | None:
        """A witness of a missing wallet, if any."""
        return self._one(sql.STRAY_WITNESSES, {}, lambda row: int(row[0]))

    @abstractmethod
    def check_in_place(self) -> None:
        """Raises StorageError if the names of a ledger's files now mean other files than the open ones."""

    @abstractmethod
    def strange_schema(self) -> str | None:
        """What of the schema differs from the migrations, in words; None where all is."""

    def indexes_are_complete(self) -> bool:
        """Whether each index of sql.PARTIAL has as many entries as its table has rows for it."""
        return True

    def first_unindexed(self, what: str, first: int, last: int) -> tuple[int, ...] | None:
        """The first place, of a range of wallets or users, where a table and its index do not agree.

        `what` is one of sql.UNINDEXED. A database server checks its own indexes.
        """
        return None

    def first_wrong_at_all(self) -> tuple[str, tuple[int, ...]] | None:
        """The first of sql.WRONG that finds a row in the whole ledger, and the row's place; None if none does."""
        for what in sql.WRONG:
            place = self.first_wrong(what, 0, MAX_ID)
            if place is not None:
                return what, place
        return None

    def first_wrong(self, what: str, first_wallet: int, last_wallet: int) -> tuple[int, ...] | None:
        """The first row, of a range of wallets, that does not agree with others; `what` is one of sql.WRONG."""
        return self._one(sql.WRONG[what], {"first": first_wallet, "last": last_wallet}, tuple)

    def _next_id(self, statement: str) -> int:
        return (self._one(statement, {}, lambda row: row[0]) or 0) + 1


def _places(before: Place, start_us: int) -> dict[str, Any]:
    return {**before._asdict(), "start_us": start_us}


def first_beyond(first_row: Callable[[str], Sequence[Any] | None]) -> Damaged | None:
    """The same, by a function that returns the first row of a statement."""
    for what, statement in sql.BEYOND_CALENDAR.items():
        key = first_row(statement)
        if key is not None:
            return beyond_calendar(f"a time of {what.format(*key)}")
    return None


def in_chunks(things: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """Lists of at most `size` items each, in order."""
    rest = iter(things)
    while chunk := list(islice(rest, size)):
        yield chunk
