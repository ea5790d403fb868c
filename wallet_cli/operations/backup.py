"""Backups of a ledger in a file, and restoring one.

A backup is made through SQLite, from one snapshot, while others write. It is verified before it gets its name, so a
file with that name is always complete. Restoring keeps the replaced ledger: processes that have it open see at their
next turn that another file is there, and stop (storage/in_place.py).
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import apsw

from wallet_cli.domain import events
from wallet_cli.domain.purpose import Purpose
from wallet_cli.engine.executor import Executor, system_us
from wallet_cli.engine.turns import open_write_lock
from wallet_cli.engine.write_lock import Time
from wallet_cli.errors import (
    Busy,
    Damaged,
    InvalidInput,
    LedgerMoved,
    LedgerNotFound,
    NotALedger,
    NotSynced,
    NotTogether,
    StorageError,
    Undefined,
    WalletError,
    hint_of,
    shown_url,
)
from wallet_cli.operations import dated_files, last_checks, verification
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import LOOK_TIMEOUT_S, Ledger, chosen_policy, given_as, open_ledger, terminal_actor
from wallet_cli.operations.private_files import unfinished
from wallet_cli.settings import Settings
from wallet_cli.storage import sql
from wallet_cli.storage.folders import make_folder
from wallet_cli.storage.in_place import BESIDE, Identity, beside, has_something, identity_of
from wallet_cli.storage.last_commit import LastCommit, check_last_commit
from wallet_cli.storage.ledger_events import forget_damage, record_restore
from wallet_cli.storage.ledger_file import free_name, is_there, ledger_path, real_path
from wallet_cli.storage.log_file import cut_log
from wallet_cli.storage.move_state import Itself, MoveState, check_not_moved
from wallet_cli.storage.open_to_read import open_to_read
from wallet_cli.storage.sqlite import SqliteStore, connect, translating
from wallet_cli.storage.whole_file import back_up, check_complete

Notify = Callable[[str], None]
Watch = Callable[[str, int, int | None], None]
"""Called with the progress of a long step: what it does, how much is done, and the total."""

KIND = "db"

SLACK_US = 60_000_000
"""How much sooner than asked for the next backup may be made: cron starts some seconds later in one hour than in the
next. A tenth of the time at most.
"""

TRIES, NEXT_SECOND_S = 100, 0.1
"""How often to look for a second, by which a backup is named, that has none yet, and how long to wait in between."""


class _NameTaken(InvalidInput):
    """Another process has made a file with that name meanwhile."""


class Keep(NamedTuple):
    """How many backups of a folder stay: the newest one of each hour, day and month, for this many of each."""

    hours: int
    days: int
    months: int


def parse_keep(text: str) -> Keep:
    """`24,7,12`. Raises InvalidInput."""
    parts = text.split(",")
    if len(parts) != len(Keep._fields) or not all(re.fullmatch("[0-9]{1,5}", part) for part in parts):
        raise InvalidInput(f"not numbers of hours, days and months: {text}", hint="--keep 24,7,12")
    keep = Keep(*map(int, parts))
    if not any(keep):
        raise InvalidInput("--keep 0,0,0 would keep no backup", hint="--keep 24,7,12")
    return keep


def to_keep(names: Sequence[str], keep: Keep) -> set[str]:
    """Which backups of a folder stay: the newest one of each hour, day and month, as many of each as `keep` says.

    The newest backup always stays. Files with other names are not considered.
    """
    dated = sorted(((moment, name) for name in names if (moment := dated_files.moment(name)) is not None), reverse=True)
    kept = {name for _, name in dated[:1]}
    for digits, number in ((13, keep.hours), (10, keep.days), (7, keep.months)):
        newest: dict[str, str] = {}
        for moment, name in dated:
            newest.setdefault(moment[:digits], name)
        kept.update(list(newest.values())[:number])
    return kept


def backup(settings: Settings, target: str, notify: Notify, watch: Watch) -> Answer:
    """Back up the ledger of the settings to a new file: `backup, bytes, wallets, transactions`.

    Raises InvalidInput if `target` exists already, or the ledger is not in a file here; Damaged if the copy is damaged;
    StorageError if it cannot be written. In these cases there is nothing at `target`.
    """
    path = ledger_path(target)
    if os.path.lexists(path):
        raise InvalidInput(
            f"there is already a file with that name: {path}", hint="give another name, or a folder for many backups"
        )
    with _in_a_file(settings, notify) as store:
        return _made(settings, store, path, watch)


def backup_into(
    settings: Settings, folder: str, every_us: int | None, keep: Keep | None, notify: Notify, watch: Watch
) -> Answer:
    """Back up the ledger into a folder, named by the time; answers as `backup` does, and with `removed`, names.

    If the newest backup there is younger than `every_us` (less SLACK_US), none is made, and the newest is named: `made`
    is false. `keep` decides which ones stay after a new one. Files that are not whole, or have a name of a time to
    come, do not count, and stay. Raises Busy while another process makes one there.
    """
    place = real_path(folder)
    with _in_a_file(settings, notify) as store, ExitStack() as stack:
        ledger_id = store.ledger_id()
        try:
            make_folder(place, owned_as=store.path)
            stack.enter_context(_alone_in(place, ledger_id, settings.lock_timeout_s))
            named = dated_files.names(place, ledger_id, KIND)
        except OSError as error:
            raise StorageError(
                f"cannot use the folder {place}: {error.strerror}", hint=hint_of(error, "give another folder")
            ) from None
        now = datetime.now(UTC)
        named = dated_files.until(named, dated_files.name(ledger_id, now, KIND))
        there = [each for each in named if _seems_whole(place / each, ledger_id, notify)]
        newest = max(there, default=None)
        least_us = None if every_us is None else every_us - min(SLACK_US, every_us // 10)
        if newest is not None and least_us is not None and dated_files.age_us(newest, now) < least_us:
            return {"backup": str(place / newest), "made": False, "removed": []}
        answer = _made_in(place, settings, store, watch)
        there.append(Path(answer["backup"]).name)
        removed = _removed(settings, place, there, keep, notify) if keep is not None else []
    return answer | {"made": True, "removed": removed}


@contextmanager
def _alone_in(folder: Path, ledger_id: str, timeout_s: float) -> Iterator[None]:
    """Back up into a folder for the length of a `with` block, one process at a time. Raises Busy.

    Its lock is a file that its owner alone can open, as whoever may read a folder can lock it, and keep it.
    """
    with ExitStack() as stack:
        lock = open_write_lock(folder / f".{dated_files.beginning(ledger_id)}backup.lock")
        try:
            with suppress(StorageError):  # a network file system may have no locks: nobody waits then
                stack.enter_context(lock.turn(timeout_s, "backup"))
        except Busy as error:
            error.parts = (f"another backup is being made in {folder}: ", *error.parts)
            error.hint = "look at that process, or try again; WALLET_LOCK_TIMEOUT sets how long to wait"
            raise
        yield


def _made_in(folder: Path, settings: Settings, store: SqliteStore, watch: Watch) -> Answer:
    """A backup named by this second or, if there is one of it already, by one of the next."""
    for _ in range(TRIES):
        path = folder / dated_files.name(store.ledger_id(), datetime.now(UTC), KIND)
        if not os.path.lexists(path):
            with suppress(_NameTaken):  # another process was first
                return _made(settings, store, path, watch)
        time.sleep(NEXT_SECOND_S)
    raise _NameTaken(f"there is already a file with that name: {path}", hint="is this machine's clock right?")


def _seems_whole(path: Path, ledger_id: str, notify: Notify) -> bool:
    """Whether a file is what its name says, as far as a short look tells. One that is not is told, and stays."""
    try:
        check_complete(path, ledger_id)
    except WalletError as error:
        notify(f"no whole backup, so it does not count: {_of_it(error)}")
        return False
    return True


def _of_it(error: WalletError) -> str:
    """What is wrong with a copy: not with the ledger."""
    return error.finding if isinstance(error, Damaged) else error.message


def _is_whole(settings: Settings, path: Path, notify: Notify) -> bool:
    """Whether a backup passes verification. One that does not is told, and stays."""
    try:
        with closing(_opened(path, lambda _: None)) as copy:
            _verified(settings, copy)
    except WalletError as error:
        notify(f"no whole backup, so it does not count: {path}: {_of_it(error)}")
        return False
    return True


def _removed(settings: Settings, folder: Path, names: list[str], keep: Keep, notify: Notify) -> list[str]:
    """Remove those backups that do not stay; their names. One that cannot be removed is told, and stays.

    The last of `names` was just made and verified. One is removed only if the next newer one that stays, which takes
    its place, passes verification as well.
    """
    whole = set(names[-1:])
    while True:
        stay = to_keep(names, keep)
        going = sorted(set(names) - stay)
        doubtful = {min(each for each in stay if each > name) for name in going} - whole
        if not doubtful:
            break
        passed = {each for each in doubtful if _is_whole(settings, folder / each, notify)}
        whole |= passed
        names = [each for each in names if each not in doubtful - passed]
    removed = []
    for name in going:
        try:
            for ending in (*BESIDE, ".lock", ""):
                beside(folder / name, ending).unlink(missing_ok=True)
            removed.append(name)
        except OSError as error:
            notify(f"an older backup cannot be removed: {error.strerror}: {folder / name}")
    return removed


def restore(settings: Settings, source: str, notify: Notify, watch: Watch, *, other: bool = False) -> Answer:
    """Put a backup in the place of the ledger of the settings.

    Answers `restored` (the ledger), `backup`, `kept` (the new place of the replaced ledger, or null), `transactions`,
    and `transactions_kept` (null where they cannot be counted). A backup that fails verification is refused, one of
    another ledger too unless `other`, and nothing changes. Writers wait meanwhile; processes that have the ledger open
    stop at their next turn, and must be restarted. Raises LedgerMoved where the ledger has moved elsewhere, also if
    only the backup says so; StorageError for something that is not a ledger, or a newer one; NotSynced if it is done.
    """
    path, backup_path = _path_here(settings), ledger_path(source)
    if backup_path == path:
        raise InvalidInput(f"this is the ledger itself: {path}", hint="give the backup file")
    if not backup_path.is_file():
        raise LedgerNotFound(f"there is no backup at {backup_path}", hint="check the name")
    try:
        with ExitStack() as stack:
            watch("verifying the backup", 0, 0)
            try:
                with given_as("FILE"):
                    copy = stack.enter_context(closing(_opened(backup_path, notify)))
                check_not_moved(copy.itself())
                found = _verified(settings, copy)
            except LedgerMoved as error:
                error.parts = ("the ledger in this backup takes no writes: ", *error.parts)
                error.hint = "give an earlier backup"
                raise
            except Damaged as error:
                error.parts = (f"the backup {backup_path} is damaged: {error.finding}",)
                error.hint = "give another backup; the ledger is as it was"
                raise
            make_folder(path.parent)
            lock = open_write_lock(beside(path, ".lock"))
            if is_there(path, Purpose.WRITE) and lock.last_commit() is None:
                _check_is_ledger(path)
            with lock.turn(settings.lock_timeout_s, "restore"):
                place = _Place(path, copy, lock.last_commit(), notify, watch, other=other)
                place.ask()
                actor = terminal_actor()
                unsynced: NotSynced | None = None
                try:
                    restoring = partial(watch, "restoring")
                    back_up(
                        copy,
                        path,
                        place.clear,
                        restoring,
                        change=lambda made: record_restore(made, backup_path.name, system_us(), actor),
                        owned_as=path,
                    )
                except NotSynced as error:
                    unsynced = error
                except BaseException:
                    place.put_back()
                    raise
                # The old note was there until now: whatever failed before, what is missing would be missed.
                time_us = lock.forget()
                # It is done, whether or not it can be read again now.
                with suppress(StorageError, Busy), closing(_opened(path, notify)) as restored:
                    lock.note(restored, None, Time(time_us, is_confirmed=True) if time_us else None)
                    last_checks.note(restored.ledger_id(), restored.address, last_checks.VERIFIED)
                if unsynced is not None:
                    unsynced.parts = ("it is restored: ", *unsynced.parts)
                    if place.kept is not None:
                        unsynced.hint = f"{unsynced.hint}; the ledger that was there is kept: {place.kept}"
                    raise unsynced
    except OSError as error:
        hint = hint_of(error, "check the folder of the ledger")
        raise StorageError(f"cannot restore: {error.strerror}", hint=hint) from None
    return {
        "restored": str(path),
        "backup": str(backup_path),
        "kept": None if place.kept is None else str(place.kept),
        "transactions": found["transactions"],
        "transactions_kept": place.count,
    }


def _check_is_ledger(path: Path) -> None:
    """Raises NotALedger for a file that nothing shows to be one; a lock with a note beside it would."""
    with suppress(Damaged, NotTogether):
        open_to_read(path, LOOK_TIMEOUT_S, lambda _: None).close()


class _Place:
    """The place of a ledger that a backup takes, in one turn: `ask` about the present one, and then `clear` the place.

    `last_commit` is the note in the lock, which is there even if the ledger is damaged or gone.
    """

    def __init__(
        self,
        path: Path,
        backup: SqliteStore,
        last_commit: LastCommit | None,
        notify: Notify,
        watch: Watch,
        *,
        other: bool,
    ) -> None:
        self._path = path
        self._backup = backup
        self._last_commit = last_commit
        self._notify = notify
        self._watch = watch
        self._other = other
        self._fault: StorageError | None = None
        """Why the present one cannot be copied; None if it can."""
        self._file: Identity | None = None
        """The present file; None if there is none."""
        self.kept: Path | None = None
        """Where what was there is kept; None if nothing was there."""
        self.count: int | None = None
        """How many transactions are kept; None if they cannot be counted."""

    def ask(self) -> None:
        """Raises InvalidInput for another ledger, LedgerMoved, and StorageError for what is not a ledger of this
        program or cannot be read now.
        """
        ours = self._last_commit is None or self._last_commit.is_of(self._backup.ledger_id())
        if not is_there(self._path, Purpose.WRITE):
            self._check_same(ours)
            return
        self._file = identity_of(self._path.stat())
        try:
            with closing(open_to_read(self._path, LOOK_TIMEOUT_S, lambda _: None, self._last_commit)) as store:
                self._ask(store)
                check_last_commit(store, self._last_commit, str(self._path))
                self.count = store.count(sql.TRANSACTIONS)
        except (Damaged, NotTogether, NotALedger) as error:
            self._fault = error
            with suppress(StorageError), translating(self._path):  # the file alone may still be readable
                connection = connect(self._path, 0.0, apsw.SQLITE_OPEN_READONLY, "?immutable=1")
                with closing(SqliteStore(self._path, connection)) as store:
                    if store.version() == sql.SCHEMA_VERSION:
                        self._ask(store)
            self._check_same(ours)

    def _ask(self, store: SqliteStore) -> None:
        try:
            itself = store.itself()
        except Damaged:
            if not self._other:
                with suppress(Undefined):  # its events may be lost too
                    _check_not_recorded_as_moved(store)
            raise
        check_not_moved(itself)  # with a backup in its place there would be two ledgers with one id
        self._check_same(itself.facts.uuid == self._backup.ledger_id())
        good = {key.name for key in self._backup.operators() if key.revoked_at_us is None}
        back = sorted(key.name for key in store.operators() if key.revoked_at_us is not None and key.name in good)
        if back:
            told = f"keys that were revoked since are good again: {', '.join(back)}; to revoke: wallet key revoke NAME"
            self._notify(told)

    def _check_same(self, is_same: bool) -> None:
        if not is_same and not self._other:
            raise InvalidInput(
                "this backup is of another ledger than the one that it would replace, or one is too old to tell",
                hint="check --db and FILE; if it is meant, add --other",
            )

    def clear(self, _restored: Path) -> None:
        """Keep the present one, when the restored file is whole and needs only its name.

        The log is merged into the file first: a killed restore leaves one complete ledger. Raises Busy if a reader
        prevents that.
        """
        kept = free_name(self._path, datetime.now(UTC).strftime(".replaced-%Y-%m-%dT%H-%M-%SZ"))
        if not is_there(self._path, Purpose.WRITE):
            if has_something(beside(self._path, "-wal")):
                self._move_away(kept)
                self._notify(f"the log of a ledger that is gone is kept: {beside(kept, '-wal')}")
            return
        if self._fault is None:
            try:
                self._copy(kept)
            except Damaged as error:
                self._fault = error
        if self._fault is not None:
            self._move_away(kept)
            self._notify(f"the ledger that was there cannot be read, and is kept as it is: {self._fault.message}")

    def _copy(self, kept: Path) -> None:
        pinned = cut_log(self._path)
        if pinned is not None:
            raise Busy(pinned, hint="stop the programs that read the ledger, and try again")
        with translating(self._path), closing(SqliteStore(self._path, connect(self._path, 0.0))) as store:
            watch = partial(self._watch, "keeping the present ledger")
            back_up(store, kept, watch=watch, name=unfinished(kept))
        self.kept = kept

    def _move_away(self, kept: Path) -> None:
        self.kept, self.count = kept, None
        _rename(self._path, kept)

    def put_back(self) -> None:
        """After a failure: everything is as it was, unless the restored file has its name already."""
        if self.kept is None:
            return
        if not os.path.lexists(self._path):
            _rename(self.kept, self._path)
        elif identity_of(self._path.stat()) == self._file:
            self.kept.unlink(missing_ok=True)  # a copy of it


def _check_not_recorded_as_moved(store: SqliteStore) -> None:
    """Raises LedgerMoved if its events say last that it has moved. Those that cannot be read say nothing."""
    found = MoveState()
    for event in store.events_in_order(*events.OF_LEDGER, 0):
        with suppress(LookupError, TypeError, ValueError, RecursionError):
            found = MoveState(**json.loads(event.details)["place"])
    try:
        check_not_moved(Itself(found))
    except LedgerMoved as error:
        error.hint = "use that ledger with --db or WALLET_DB; if it is lost, add --other"
        raise


def _rename(path: Path, target: Path) -> None:
    for ending in ("", *BESIDE):
        if os.path.lexists(beside(path, ending)):
            beside(path, ending).rename(beside(target, ending))


@contextmanager
def _in_a_file(settings: Settings, notify: Notify) -> Iterator[SqliteStore]:
    """The ledger of the settings, for reading. Raises InvalidInput if it is not in a file here."""
    _path_here(settings)
    with open_ledger(settings, notify, purpose=Purpose.READ) as ledger:
        assert ledger.store.is_local
        ledger.must_be_whole()
        check_not_moved(ledger.store.itself())
        yield ledger.store


def _path_here(settings: Settings) -> Path:
    if "://" in settings.db:
        raise InvalidInput(
            f"only a ledger in a file on this machine is backed up and restored this way: {shown_url(settings.db)}",
            hint="on PostgreSQL, `pg_dump` and `pg_restore` (docs/postgres.md); for a remote ledger, run this on its"
            " machine",
        )
    return ledger_path(settings.db)


def _made(settings: Settings, store: SqliteStore, path: Path, watch: Watch) -> Answer:
    found: Answer = {}

    def check(new: Path) -> None:
        watch("verifying", 0, 0)
        try:
            with closing(_opened(new, lambda _: None)) as copy:
                check_not_moved(copy.itself())
                found.update(_verified(settings, copy))
        except StorageError as error:
            _check_ledger(settings, store)
            raise StorageError(
                f"the ledger is right, but its copy is not what was written: {path}",
                hint="is the disk of the copy failing? make the backup on another one",
            ) from error

    try:
        # Only this process uses the name: two backups at once to the same name each make a complete file.
        back_up(store, path, check, partial(watch, "copying"), unfinished(path), forget_damage)
    except FileExistsError:
        raise _NameTaken(f"there is already a file with that name: {path}", hint="give another name") from None
    except OSError as error:
        raise StorageError(
            f"cannot write the backup: {error.strerror}: {path}",
            hint=hint_of(error, "check the folder, or give another one"),
        ) from None
    for what in (last_checks.VERIFIED, last_checks.BACKED_UP):
        last_checks.note(store.ledger_id(), store.address, what)
    counts = {"wallets": found["wallets"], "transactions": found["transactions"]}
    return {"backup": str(path), "bytes": path.stat().st_size} | counts


def _check_ledger(settings: Settings, store: SqliteStore) -> None:
    """Raises Damaged, which is recorded, if the ledger whose copy is wrong is so itself; or another StorageError."""
    try:
        with closing(_opened(store.path, lambda _: None)) as ledger:
            _verified(settings, ledger)
    except Damaged:
        with suppress(WalletError):
            last_checks.note(store.ledger_id(), store.address, last_checks.FOUND_DAMAGE)
        raise


def _opened(path: Path, notify: Notify) -> SqliteStore:
    """A ledger, for reading; damage that is found is not noted in it."""
    store = open_to_read(path, LOOK_TIMEOUT_S, notify)
    store.is_copy = True
    return store


def _verified(settings: Settings, store: SqliteStore) -> Answer:
    """The answer of `verify` for a copy. Raises Damaged."""
    executor = Executor(store, open_write_lock(beside(store.path, ".lock")), chosen_policy(settings), LOOK_TIMEOUT_S)
    return verification.check(Ledger(settings, store, executor))
