"""The file of a ledger: finding it, creating it, migrating an older one.

A ledger file is complete or not there: it is created under another name and moved into place, and migrated in one
transaction, after a backup.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

from wallet_cli.domain.model import LedgerFacts
from wallet_cli.domain.purpose import HOW_TO_MAKE, Purpose, there_already
from wallet_cli.errors import InvalidInput, LedgerNotFound, StorageError, hint_of, shown
from wallet_cli.paths import typed_path
from wallet_cli.storage import sql
from wallet_cli.storage.in_place import BESIDE, UNFINISHED, beside, check_one_name, has_something, identity_of
from wallet_cli.storage.last_commit import LastCommit, check_not_older
from wallet_cli.storage.open_to_read import open_to_read, temporary
from wallet_cli.storage.sqlite import SqliteStore, check_library, make, open_file, set_up, translating, upgrade
from wallet_cli.storage.whole_file import back_up, made_whole

TAKEN_NAMES = (*BESIDE, "-journal", ".lock", ".lock.poll", ".new")
"""The endings of the names of a ledger's files."""

Notify = Callable[[str], None]


First = Callable[[], LedgerFacts]
"""Returns the settings of a new ledger; called if one is created, or if an older one has none."""

Turn = Callable[[str], AbstractContextManager[None]]
"""Takes the turn to write, given its purpose."""


def real_path(text: str) -> Path:
    """The one path of a file or folder, however it is written, without symbolic links. Raises InvalidInput."""
    try:
        return Path(os.path.realpath(typed_path(text)))
    except OSError as error:  # the working folder was removed
        raise InvalidInput(f"not a path: {shown(text)}", hint=f"{error.strerror}: give the whole path") from None


def ledger_path(text: str) -> Path:
    """The one path of a ledger: all must use the same lock. Raises InvalidInput."""
    path = real_path(text)
    ending = next((each for each in TAKEN_NAMES if path.name.endswith(each)), None)
    if ending is not None:
        raise InvalidInput(
            f"a ledger's name cannot end in {ending}, like the files beside a ledger: {shown(text)}",
            hint="give the name of the ledger file",
        )
    return path


def names_of(path: Path) -> set[str]:
    """The names of all files of a ledger, whether they exist or not."""
    return {f"{path}{ending}" for ending in ("", *TAKEN_NAMES)}


def open_store(
    path: Path,
    busy_timeout_s: float,
    turn: Turn,
    notify: Notify,
    purpose: Purpose = Purpose.WRITE,
    first: First = LedgerFacts,
    last_commit: LastCommit | None = None,
    actor: str | None = None,
) -> SqliteStore:
    """Open the ledger at `path`: for MAKE and NEW, create it; for WRITE and MAKE, migrate an older one.

    It takes `turn` to create or migrate, and tells `notify` about it in one line. `busy_timeout_s` limits the wait for
    programs that write to the file without taking turns; `last_commit` is the note beside it, and `actor` who does
    this. Raises LedgerNotFound if there is none and none is created, InvalidInput if there is one and it was to be NEW,
    and StorageError for a path that is not, and cannot become, a ledger of this version.
    """
    check_library()
    made = False
    if not is_there(path, purpose):
        _check_not_lost(path, purpose, last_commit)
        if purpose is Purpose.TRY:
            return temporary(path, facts=first(), actor=actor)
        if not purpose.makes:
            raise LedgerNotFound(f"there is no ledger at {path}", hint=HOW_TO_MAKE)
        facts = first()  # which may be refused: nothing is made then
        with turn("making the ledger"):
            if not is_there(path, purpose):
                _make(path, facts, actor)
                made = True
                notify(f"created a new ledger: {path}")
    if purpose is Purpose.NEW and not made:
        raise there_already(str(path))
    if purpose is Purpose.READ:
        return open_to_read(path, busy_timeout_s, notify, last_commit)
    if purpose is Purpose.TRY:
        store = open_to_read(path, busy_timeout_s, notify, last_commit)
        if store.is_copy:
            store.allow_writes()
            return store
        store.close()
    before = identity_of(path.stat())
    with translating(path):
        store = open_file(path, busy_timeout_s, last_commit)
        try:
            # Checked before anything that would change a file which is not a ledger.
            check_not_older(store.version(), last_commit, str(path))
            set_up(store.connection)
            store.watch_files(before)
            if store.version() < sql.SCHEMA_VERSION:
                with turn("migrating the ledger"):
                    _migrate(store, notify, first, actor)
        except BaseException:
            store.close()
            raise
    return store


def facts_in(path: Path, busy_timeout_s: float) -> LedgerFacts:
    """The facts that a ledger keeps, read without changing it; empty if there is none.

    Raises StorageError or Busy for a file that cannot be read.
    """
    if not path.is_file() or not path.stat().st_size:
        return LedgerFacts()
    store = open_to_read(path, busy_timeout_s, lambda _: None)
    try:
        return store.itself().facts
    finally:
        store.close()


def is_there(path: Path, purpose: Purpose) -> bool:
    """Whether there is something to open; an empty file, for example from mktemp, is not. Raises StorageError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        if not purpose.makes or path.parent.is_dir():
            return False
        raise StorageError(f"there is no folder {path.parent}", hint="create it, or check --db") from None
    except OSError as error:
        hint = hint_of(error, "check --db")
        raise StorageError(f"cannot open the ledger: {error.strerror}: {path}", hint=hint) from None
    if stat.S_ISDIR(found.st_mode):
        raise StorageError(f"this is a folder, not a ledger: {path}", hint=f"--db {path / 'wallet.db'}")
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"this is not a file: {path}", hint="check --db")
    if purpose is not Purpose.READ:  # which depends on what it is: open_to_read.py
        check_one_name(path, found)
    return found.st_size > 0


def _check_not_lost(path: Path, purpose: Purpose, last_commit: LastCommit | None) -> None:
    """Raises LedgerNotFound (StorageError to make one) if the lock file has a note of a ledger that is gone."""
    if last_commit is None:
        return
    kind = StorageError if purpose.makes else LedgerNotFound
    raise kind(
        f"the ledger that was here is gone: {path}",
        hint=f"put {path.name} back, or a backup in its place: wallet restore FILE; to start a new ledger, move"
        f" {path.name}.lock to another folder first",
    )


def _make(path: Path, facts: LedgerFacts, actor: str | None) -> None:
    """Create an empty ledger, completely or not at all."""
    for suffix in UNFINISHED:
        # SQLite would merge it into the new one. Another process may have it open, or it may have the last writes.
        if has_something(left := beside(path, suffix)):
            raise StorageError(
                f"there is no ledger here, but there is the log of one, with its last writes: {left}",
                hint=f"put {path.name} back beside it; to start a new ledger, move the log to another folder: it may"
                " have"
                " payments that exist nowhere else",
            )
    try:
        with made_whole(path, path) as connection:
            make(connection, facts, actor)
            connection.execute("PRAGMA journal_mode=WAL")
    except OSError as error:
        hint = hint_of(error, "check --db")
        raise StorageError(f"cannot create the ledger: {error.strerror}: {path}", hint=hint) from None


def _migrate(store: SqliteStore, notify: Notify, first: First, actor: str | None) -> None:
    version = store.version()
    if version >= sql.SCHEMA_VERSION:
        return  # another process did it, while this one waited for its turn
    backup = free_name(store.path, f".backup-v{version}")
    facts = first_of_older(version, first)
    try:
        with translating(store.path):
            back_up(store, backup)
            try:
                upgrade(store.connection, facts, actor)
            except BaseException:
                backup.unlink()  # the original is still there
                raise
    except OSError as error:
        hint = hint_of(error, "check that its folder may be written")
        raise StorageError(f"cannot back up the ledger: {error.strerror}: {backup}", hint=hint) from None
    notify(
        f"migrated the ledger from schema {version} to {sql.SCHEMA_VERSION}; a backup of the old one: {backup}"
        + words_of_zone(facts)
    )


def free_name(path: Path, ending: str) -> Path:
    """An unused file name beside a ledger: an older backup is not overwritten."""
    names = (beside(path, ending if not number else f"{ending}-{number + 1}") for number in count())
    return next(name for name in names if not os.path.lexists(name))


SETTINGS_SINCE = 5
"""The first schema in which a ledger keeps settings."""


def first_of_older(version: int, first: First) -> LedgerFacts:
    """The settings for a ledger of an older schema: a time zone, so that its days are the same for everybody."""
    return LedgerFacts(timezone=first().timezone) if version < SETTINGS_SINCE else LedgerFacts()


def words_of_zone(facts: LedgerFacts) -> str:
    if facts.timezone is None:
        return ""
    return f"; its time zone is {facts.timezone}; to change it: wallet ledger set timezone ZONE"
