"""The composition root: from settings to an open ledger. Each caller opens it when needed, never at import."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from wallet_cli.domain import actors, events
from wallet_cli.domain.commands import Applied, AppliedAtomic, Refusal, Replayed, Result, Single, is_same_again
from wallet_cli.domain.ids import OwnedWallet
from wallet_cli.domain.model import LedgerFacts, Policy, Wallet
from wallet_cli.domain.period import zone_of
from wallet_cli.domain.purpose import Purpose
from wallet_cli.domain.rules.clocks import first_refused
from wallet_cli.domain.rules.restoring import incomplete
from wallet_cli.engine.executor import Executor, system_us
from wallet_cli.engine.turns import RowLocks, open_write_lock
from wallet_cli.errors import Busy, Damaged, LedgerNotFound, StorageError, UnknownOutcome, WalletError, hint_of, shown
from wallet_cli.named_tuples import NamedTuple
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.prepared import Prepared, naming
from wallet_cli.paths import typed_path
from wallet_cli.settings import POSTGRES_SCHEMES, Settings, Value, check_db, scheme_of
from wallet_cli.storage import sql
from wallet_cli.storage.folders import make_folder
from wallet_cli.storage.in_place import PUT_BACK, REPLACED, Identity, beside
from wallet_cli.storage.last_commit import check_last_commit
from wallet_cli.storage.ledger_file import facts_in, is_there, ledger_path, open_store
from wallet_cli.storage.move_state import warning_to_readers
from wallet_cli.storage.open_to_read import temporary
from wallet_cli.storage.queries import replaced
from wallet_cli.storage.sqlite import MAX_LOG_BYTES, SqliteStore, log_bytes

MAX_KNOWN_WALLETS = 10_000
LOOK_TIMEOUT_S = 2.0
"""How long readers wait for the ledger."""

if TYPE_CHECKING:
    from wallet_cli.storage.postgres import PostgresStore

    Store = SqliteStore | PostgresStore


class Which(NamedTuple):
    """What tells a ledger from every other: its id, and the file that it is in, if it is in one."""

    id: str
    file: Identity | None


def which(store: Store) -> Which:
    """Which ledger a store has open."""
    return Which(store.ledger_id(), store.identity() if store.is_local else None)


def check_which(store: Store, known: Which | None) -> None:
    """Raises StorageError if a store has opened another ledger than `known`; None for the first opening."""
    if known is None or (found := which(store)) == known:
        return
    if found.file != known.file:
        raise StorageError(f"{REPLACED}: {store.address}", hint=PUT_BACK)
    raise replaced(store.address)


class Ledger:
    """An open ledger: `store` to read, `executor` to write, and the settings."""

    def __init__(self, settings: Settings, store: Store, executor: Executor, warning: str | None = None) -> None:
        self.chosen = settings
        """The settings, without those that the ledger keeps."""
        self.store = store
        self.executor = executor
        self.warning = warning
        """What a reader must know about the ledger: move_state.warning_to_readers."""
        self.times_are_utc = False
        """Whether a time with no offset is in UTC (as over HTTP) or in the ledger's time zone."""
        self._known_facts = LedgerFacts()
        self._known_settings = settings
        self.known_wallets: dict[OwnedWallet, Wallet] = {}
        """Wallets found by id and owner, for the fields that never change."""

    @property
    def settings(self) -> Settings:
        """The settings in force, with the ledger's current ones."""
        facts = self.store.facts()
        if facts != self._known_facts:
            self._known_facts, self._known_settings = facts, self.chosen.within(facts)
        return self._known_settings

    def told(self, settings: Settings) -> Ledger:
        """The same ledger with other settings."""
        other = copy.copy(self)
        other.chosen = other._known_settings = settings
        other._known_facts = LedgerFacts()
        return other

    def in_its_zone(self) -> Ledger:
        """The same ledger, which reads a time without an offset in its own time zone."""
        other = copy.copy(self)
        other.times_are_utc = False
        return other

    @property
    def policy(self) -> Policy:
        return self.executor.policy.within(self.store.facts())

    def zone(self) -> tzinfo:
        """The time zone of the ledger's days. Raises StorageError if this machine does not know it."""
        return self.policy.tz

    def zone_of_times(self) -> tzinfo:
        """The time zone of a time without an offset."""
        return UTC if self.times_are_utc else self.zone()

    def zones(self) -> Sequence[tzinfo]:
        """The zones in which times without an offset were read: UTC over HTTP, and the ledger's, now and before."""
        earlier = (settings.get("timezone") for _, settings in self._recorded_settings())
        names = dict.fromkeys([self.store.facts().timezone, *earlier])
        return [UTC, *(zone_of(name) for name in names if name is not None)]

    def policy_at(self, moment_us: int | None) -> Policy:
        """The policy with the minimum balance that the ledger had at a moment, as far back as it was recorded; for
        None, that it has now.
        """
        facts = self.store.itself().facts
        if moment_us is not None:
            for at_us, settings in self._recorded_settings():
                if at_us <= moment_us:
                    facts = facts._replace(minimum_balance=settings.get("minimum_balance"))
        return self.executor.policy.within(facts)

    def _recorded_settings(self) -> Iterator[tuple[int, dict[str, str | None]]]:
        """What the ledger's settings were from each of these times on, the earliest first."""
        import json

        for event in self.store.events_in_order(*events.OF_LEDGER, 0):
            try:
                settings = json.loads(event.details).get("ledger")
            except (ValueError, AttributeError, RecursionError):
                message = f"{Damaged.DAMAGED}event l0-{event.number} cannot be read"
                raise Damaged(message, hint="find what is wrong with `wallet verify`") from None
            if settings is not None:
                yield event.at_us, settings

    def must_be_whole(self) -> None:
        """Raises RestoreConflict while an export is being imported: an incomplete ledger is not verified or copied."""
        if self.store.is_restoring():
            raise incomplete()

    def remember(self, ref: OwnedWallet, wallet: Wallet) -> None:
        if len(self.known_wallets) >= MAX_KNOWN_WALLETS:
            self.known_wallets.clear()
        self.known_wallets[ref] = wallet

    def now_us(self) -> int:
        """The time in microseconds since 1970, by the clock of the turns."""
        return self.executor.clock()

    def carry_out(self, command: Single, name: str) -> Applied | Replayed:
        """Run one command in one turn; raises the error of a refusal."""
        try:
            return accepted(self.executor.run([command], name)[0])
        except UnknownOutcome as error:
            raise error.told(again=is_same_again(command)) from error

    def run(self, prepared: Prepared[Single], name: str) -> Answer:
        """Run a write in one turn, which others see as `name`; raises the error of a refusal."""
        with naming(*prepared.asked):
            return prepared.answer(self.carry_out(prepared.command, name))


REQUEST = "the request"
"""The source of a setting that came with a request."""


def as_told(ledger: Ledger, **told: str | None) -> Ledger:
    """The same ledger, with settings of the caller in the place of the ledger's."""
    chosen = {name: Value(text, REQUEST) for name, text in told.items() if text is not None}
    if not chosen:
        return ledger
    return ledger.told(Settings({**ledger.chosen.values, **chosen}))


def accepted(result: Result) -> Applied | Replayed:
    """The result of a single command; raises the error of a refusal."""
    if isinstance(result, Refusal):
        raise result.error
    assert not isinstance(result, AppliedAtomic)
    return result


def chosen_policy(settings: Settings) -> Policy:
    """The rules from the settings; the ledger has the rest. Raises InvalidInput."""
    minimum = None if settings.given("minimum_balance") is None else settings.minimum_balance
    return Policy(minimum, clock_skew_us=settings.clock_skew_us)


def first_settings(settings: Settings, notify: Callable[[str], None]) -> LedgerFacts:
    """The settings that a new ledger keeps.

    Raises InvalidInput for a wrong one, and StorageError if the clock cannot be right.
    """
    wrong = None if settings.clock_skew_us is None else first_refused(system_us())
    if wrong is not None:
        raise wrong
    facts = settings.of_new_ledger()
    if settings.timezone is None:
        notify(
            "the system's time zone has no IANA name, so the ledger uses UTC;"
            " to change it: wallet ledger set timezone ZONE"
        )
    return facts


def known_facts(settings: Settings) -> LedgerFacts:
    """The facts that the ledger of the settings keeps, if it can be read from here. Creates nothing."""
    try:
        if not scheme_of(settings.db):
            return facts_in(ledger_path(settings.db), LOOK_TIMEOUT_S)
        if scheme_of(settings.db) not in POSTGRES_SCHEMES:
            return LedgerFacts()  # no request to a server for this
        from wallet_cli.storage.postgres import PostgresStore

        store = PostgresStore(settings.db, LOOK_TIMEOUT_S)
        try:
            return store.itself().facts if store.version() == sql.SCHEMA_VERSION else LedgerFacts()
        finally:
            store.close()
    except (WalletError, ImportError):
        return LedgerFacts()


@contextmanager
def open_ledger(
    settings: Settings,
    notify: Callable[[str], None],
    busy_timeout_s: float | None = None,
    *,
    purpose: Purpose = Purpose.WRITE,
    arriving: bool = False,
    rehearsal: Callable[[Ledger], bool] | None = None,
) -> Iterator[Ledger]:
    """Open the ledger that the settings name, for the length of a `with` block.

    `notify` gets one line when a ledger is created or migrated, or has a log that cannot be shortened. `busy_timeout_s`
    limits the wait for the database's own locks (default: the limit for a turn): in a file, those of programs that
    write without taking turns; in PostgreSQL, all. `rehearsal` is what is to be done: it is tried on a temporary ledger
    before one is made, so a refusal makes none. If it says that nothing would be in the ledger, none is made either,
    and a temporary one is opened. Raises LedgerNotFound if there is none, unless the `purpose` makes one; StorageError,
    Busy or InvalidInput; and, unless `arriving`, LedgerMoved for one that is not complete yet (operations/move.py):
    missing rows would give wrong answers.
    """
    scheme = scheme_of(settings.db)
    if scheme in POSTGRES_SCHEMES:
        with _on_server(settings, notify, busy_timeout_s, purpose, arriving, rehearsal) as ledger:
            yield ledger
        return
    check_db(settings.db, elsewhere=False)
    path = ledger_path(settings.db)
    if rehearsal is not None and purpose is Purpose.MAKE and not is_there(path, Purpose.TRY):
        with (
            suppress(LedgerNotFound),  # one that is gone, which is told below
            open_ledger(settings, lambda _: None, busy_timeout_s, purpose=Purpose.TRY) as temporary,
        ):
            purpose = Purpose.MAKE if rehearsal(temporary) else Purpose.TRY
    if settings.db_is_default and purpose.makes:
        try:
            make_folder(path.parent)
        except OSError as error:
            hint = hint_of(error, "use another --db")
            raise StorageError(f"cannot make the folder {path.parent}: {error.strerror}", hint=hint) from None
    timeout_s, actor, warning = settings.lock_timeout_s, _actor_for(purpose), None
    lock = open_write_lock(beside(path, ".lock"))
    # Before the ledger is read: otherwise, what others write meanwhile would seem to be missing.
    last_commit = lock.last_commit()
    try:
        store = open_store(
            path,
            timeout_s if busy_timeout_s is None else busy_timeout_s,
            lambda name: lock.turn(timeout_s, name),
            notify,
            purpose,
            lambda: first_settings(settings, notify),
            last_commit,
            actor,
        )
    except LedgerNotFound as error:
        if not settings.db_is_default and not path.parent.is_dir():  # that of the default is made with the ledger
            error.hint = f"there is no folder {typed_path(settings.db).parent}: create it, or check --db"
        if not typed_path(settings.db).is_absolute():
            error.hint = f"is this the right folder? {shown(settings.db)} is looked for in it; {error.hint}"
        raise
    try:
        if not arriving:
            warning = warning_to_readers(store.check_whole())
        check_last_commit(store, last_commit, str(path))
        store.last_commit = lock.last_commit
        turns = RowLocks() if store.is_copy else lock  # nobody else has a copy
        executor = Executor(store, turns, chosen_policy(settings), timeout_s, actor=actor)
        yield Ledger(settings, store, executor, warning)
    finally:
        store.close()
        if purpose is not Purpose.READ and log_bytes(path) > MAX_LOG_BYTES:
            _cut_log(path, notify)


@contextmanager
def given_as(word: str) -> Iterator[None]:
    """In the `with` block a ledger is opened that `word` names on the command line: a hint about --db is about that."""
    try:
        yield
    except WalletError as error:
        error.hint = error.hint and error.hint.replace("--db", word)
        raise


def migrate_older(settings: Settings, notify: Callable[[str], None]) -> None:
    """Migrate a ledger as a command that writes does, before something outside it names its events: a copy, which
    others read, has events of its migration that are in no ledger. Raises as `open_ledger`.
    """
    if not scheme_of(settings.db):  # a file, which is written only if it is older
        with open_ledger(settings, lambda _: None, purpose=Purpose.READ) as ledger:
            if not ledger.store.is_copy:
                return
    with open_ledger(settings, notify):
        pass


def _actor_for(purpose: Purpose) -> str | None:
    return None if purpose is Purpose.READ else terminal_actor()


def terminal_actor() -> str:
    """Who runs this command, as the system says, and not the environment (domain/actors.py)."""
    try:
        import pwd

        return actors.by_terminal(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:  # a container may have users without a name
        return actors.by_terminal(f"uid {os.getuid()}")
    except ImportError:
        return actors.by_terminal(os.getlogin())  # Windows


def _cut_log(path: Path, notify: Callable[[str], None]) -> None:
    """Shorten a log that has grown, or say which process prevents it. The command's own work is done either way."""
    from wallet_cli.storage.log_file import cut_log

    try:
        told = cut_log(path)
    except (StorageError, Busy) as error:
        told = error.message
    if told is not None:
        notify(told)


@contextmanager
def _on_server(
    settings: Settings,
    notify: Callable[[str], None],
    busy_timeout_s: float | None,
    purpose: Purpose,
    arriving: bool,
    rehearsal: Callable[[Ledger], bool] | None,
) -> Iterator[Ledger]:
    """A ledger in PostgreSQL, where row locks take the place of turns."""
    try:
        from wallet_cli.storage.postgres import PostgresStore
    except ImportError as error:
        from wallet_cli.installing import missing

        raise missing("PostgreSQL needs", error, "postgres") from None
    timeout_s, actor = settings.lock_timeout_s, _actor_for(purpose)

    def first(notify: Callable[[str], None] = notify) -> LedgerFacts:
        return first_settings(settings, notify)

    def with_rules(store: Store, warning: str | None = None) -> Ledger:
        executor = Executor(store, RowLocks(), chosen_policy(settings), timeout_s, actor=actor)
        return Ledger(settings, store, executor, warning)

    @contextmanager
    def instead(facts: LedgerFacts) -> Iterator[Ledger]:
        with closing(temporary(Path(settings.db), facts=facts, actor=actor)) as there:
            yield with_rules(there)

    def is_kept() -> bool:
        assert rehearsal is not None
        with instead(first(lambda _: None)) as ledger:
            return rehearsal(ledger)

    store = PostgresStore(settings.db, timeout_s if busy_timeout_s is None else busy_timeout_s)
    try:
        if store.prepare(purpose, notify, first, actor, None if rehearsal is None else is_kept):
            yield with_rules(store, None if arriving else warning_to_readers(store.check_whole()))
        else:
            with instead(first()) as ledger:
                yield ledger
    finally:
        store.close()
