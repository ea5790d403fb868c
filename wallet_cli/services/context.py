"""The composition root: from settings to an open ledger. Called by a face for each use, never at import."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from wallet_cli.domain.address import OwnedWallet
from wallet_cli.domain.commands import Applied, AppliedTogether, Refusal, Replayed, Result, Single
from wallet_cli.domain.model import Policy, Wallet
from wallet_cli.errors import InvalidInput, StorageError, shown
from wallet_cli.settings import Settings, Value
from wallet_cli.storage import sql
from wallet_cli.storage.ledger_file import ledger_path, open_store
from wallet_cli.storage.sqlite import SqliteStore
from wallet_cli.writer.executor import Executor
from wallet_cli.writer.turns import RowLocks, turn_lock

MAX_KNOWN_WALLETS = 10_000

P = ParamSpec("P")
T = TypeVar("T")


POSTGRES_SCHEMES = ("postgresql", "postgres")

if TYPE_CHECKING:
    from wallet_cli.storage.postgres import PostgresStore

    Store = SqliteStore | PostgresStore


class Ledger:
    """An open ledger: `store` to read, `executor` to write, and the settings that rule it."""

    def __init__(self, settings: Settings, store: Store, executor: Executor) -> None:
        self.settings = settings
        self.store = store
        self.executor = executor
        self.policy = executor.policy
        self.known_wallets: dict[OwnedWallet, Wallet] = {}
        """Wallets found by id and owner, for what never changes about them."""

    def call(self, service: Callable[Concatenate[Ledger, P], T], *args: P.args, **named: P.kwargs) -> T:
        """What a service answers, called with this ledger. One that is on another machine has it answered there."""
        return service(self, *args, **named)

    def remember(self, ref: OwnedWallet, wallet: Wallet) -> None:
        if len(self.known_wallets) >= MAX_KNOWN_WALLETS:
            self.known_wallets.clear()
        self.known_wallets[ref] = wallet

    def now_us(self) -> int:
        """The time, in microseconds since 1970, by the clock that turns go by."""
        return self.executor.clock()

    def carry_out(self, command: Single, name: str) -> Applied | Replayed:
        """Run one command in a turn of its own; raises the error of a refusal."""
        return accepted(self.executor.run([command], name)[0])


def as_told(ledger: Ledger, **told: str | None) -> Ledger:
    """The same ledger, with settings that a caller chose in the place of its own."""
    chosen = {name: Value(text, "the request") for name, text in told.items() if text is not None}
    if not chosen:
        return ledger
    other = copy.copy(ledger)
    other.settings = Settings({**ledger.settings.values, **chosen})
    return other


def accepted(result: Result) -> Applied | Replayed:
    """The result of a single command, if it was not refused; raises the error of a refusal."""
    if isinstance(result, Refusal):
        raise result.error
    assert not isinstance(result, AppliedTogether)
    return result


@contextmanager
def open_ledger(
    settings: Settings, notify: Callable[[str], None], busy_timeout_s: float | None = None, *, arriving: bool = False
) -> Iterator[Ledger]:
    """Open the ledger that the settings name, for the length of a `with` block.

    `notify` is told, in one line, when a ledger is made or migrated. `busy_timeout_s` bounds the wait for programs that
    write without taking turns (default: as long as for a turn). Raises StorageError, Busy or InvalidInput; and, unless
    `arriving`, LedgerMoved for one that is not all there yet (services/moving.py): what is missing is no answer.
    """
    scheme = settings.db.partition("://")[0] if "://" in settings.db else ""
    if scheme in POSTGRES_SCHEMES:
        with _on_server(settings, notify, arriving) as ledger:
            yield ledger
        return
    if scheme:
        raise InvalidInput(
            f"a ledger is not kept at {shown(scheme + '://…')}", hint="give a path, or postgresql://user@host/database"
        )
    if re.match(r"postgres(ql)?:|(host|hostaddr|port|dbname|user|service) ?=", settings.db):
        # Such a file could be made; and its name, with a password in it, be printed.
        raise InvalidInput("a ledger on a server is named by a URL", hint="postgresql://user@host/database")
    path = ledger_path(settings.db)
    if settings.db_is_default:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make the folder {path.parent}: {error.strerror}", hint="or give --db") from None
    timeout_s = settings.lock_timeout_s
    lock = turn_lock(path.with_name(path.name + ".lock"))
    store = open_store(
        path, timeout_s if busy_timeout_s is None else busy_timeout_s, lambda name: lock.turn(timeout_s, name), notify
    )
    try:
        if not arriving:
            store.check_whole()
        yield Ledger(settings, store, Executor(store, lock, Policy(settings.minimum_balance), timeout_s))
    finally:
        if store.closes_under_turn:
            with lock.turn(timeout_s, "closing"):
                store.close()
        else:
            store.close()


@contextmanager
def _on_server(settings: Settings, notify: Callable[[str], None], arriving: bool) -> Iterator[Ledger]:
    """A ledger in PostgreSQL, made there if there is none; row locks are its turns."""
    try:
        from wallet_cli.storage.postgres import PostgresStore
    except ImportError as error:
        raise InvalidInput(
            f"PostgreSQL needs a package that is not installed: {error.name}", hint="pip install 'wallet-cli[postgres]'"
        ) from None
    timeout_s = settings.lock_timeout_s
    store = PostgresStore(settings.db, timeout_s)
    try:
        if store.version() < sql.SCHEMA_VERSION:
            store.migrate(notify)
        if not arriving:
            store.check_whole()
        yield Ledger(settings, store, Executor(store, RowLocks(), Policy(settings.minimum_balance), timeout_s))
    finally:
        store.close()
