"""The file that a ledger lives in: finding it, making it, bringing an older one up to date.

A ledger is there whole or not at all: it is made under another name and moved into place, and migrated in one
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
from wallet_cli.domain.purpose import HOW_TO_MAKE, Purpose
from wallet_cli.errors import InvalidInput, LedgerNotFound, StorageError, hint_of, shown
from wallet_cli.storage import sql
from wallet_cli.storage.in_place import BESIDE, UNFINISHED, beside, check_one_name, has_something, identity_of
from wallet_cli.storage.last_commit import LastCommit, check_not_older
from wallet_cli.storage.open_to_read import open_to_read
from wallet_cli.storage.sqlite import SqliteStore, check_library, open_file, set_up, translating, upgrade
from wallet_cli.storage.whole_file import back_up, made_whole

TAKEN_NAMES = (*BESIDE, "-journal", ".lock", ".lock.poll", ".new")
"""How the names of files end that belong to a ledger."""

Notify = Callable[[str], None]


First = Callable[[], LedgerFacts]
"""The settings that a new ledger is given, asked for where one is made, or an older one has none."""

Turn = Callable[[str], AbstractContextManager[None]]
"""Takes the right to write, given what for."""


def ledger_path(text: str) -> Path:
    """The one path of a ledger, however it is named: its lock has to be the same for all. Raises InvalidInput."""
    try:
        if "\0" in text:
            raise ValueError("a NUL in it")
        path = Path(os.path.realpath(Path(text).expanduser()))
    except (RuntimeError, ValueError) as error:  # ~nobody
        raise InvalidInput(f"not a path: {shown(text)}", hint=str(error)) from None
    ending = next((each for each in TAKEN_NAMES if path.name.endswith(each)), None)
    if ending is not None:
        raise InvalidInput(
            f"a ledger's name cannot end in {ending}, as that of a file beside a ledger does: {shown(text)}",
            hint="name the ledger itself",
        )
    return path


def names_of(path: Path) -> set[str]:
    """The names of all files of a ledger, whether they are there or not."""
    return {f"{path}{ending}" for ending in ("", *TAKEN_NAMES)}


def open_store(
    path: Path,
    busy_timeout_s: float,
    turn: Turn,
    notify: Notify,
    purpose: Purpose = Purpose.WRITE,
    first: First = LedgerFacts,
    last_commit: LastCommit | None = None,
) -> SqliteStore:
    """Open the ledger at `path`: for MAKE, make it if there is none; but for READ, bring an older one up to date.


    `turn` is taken to make or to migrate, and `notify` is told of it in one line. `busy_timeout_s` bounds the wait for
    programs that write to the file without taking turns; `last_commit` is what is noted beside it. Raises
    LedgerNotFound where there is none and none is made, and StorageError for a path that is not, and cannot become, a
    ledger of this version.
    """
    check_library()
    if not _is_file(path, purpose):
        _check_not_lost(path, purpose, last_commit)
        if purpose is not Purpose.MAKE:
            raise LedgerNotFound(f"there is no ledger at {path}", hint=HOW_TO_MAKE)
        with turn("making the ledger"):
            if not _is_file(path, purpose):
                _make(path, first())
                notify(f"made a new ledger: {path}")
    if purpose is Purpose.READ:
        return open_to_read(path, busy_timeout_s, notify, last_commit)
    before = identity_of(path.stat())
    with translating(path):
        store = open_file(path, busy_timeout_s, last_commit)
        try:
            # Asked before anything that would change a file which is not ours.
            check_not_older(store.version(), last_commit, str(path))
            set_up(store.connection)
            store.watch_files(before)
            if store.version() < sql.SCHEMA_VERSION:
                with turn("migrating the ledger"):
                    _migrate(store, notify, first)
        except BaseException:
            store.close()
            raise
    return store


def facts_in(path: Path, busy_timeout_s: float) -> LedgerFacts:
    """What a ledger says of itself, read by a connection that changes nothing; nothing where there is none.

    Raises StorageError or Busy for a file that cannot be read.
    """
    if not path.is_file() or not path.stat().st_size:
        return LedgerFacts()
    store = open_to_read(path, busy_timeout_s, lambda _: None)
    try:
        return store.itself().facts
    finally:
        store.close()


def _is_file(path: Path, purpose: Purpose) -> bool:
    """Whether there is something to open; an empty file, such as mktemp makes, is nothing yet. Raises StorageError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        if purpose is not Purpose.MAKE or path.parent.is_dir():
            return False
        raise StorageError(f"there is no folder {path.parent}", hint="make it, or check --db") from None
    except OSError as error:
        raise StorageError(f"cannot open the ledger: {error.strerror}: {path}", hint="check --db") from None
    if stat.S_ISDIR(found.st_mode):
        raise StorageError(f"this is a folder, not a ledger: {path}", hint=f"--db {path / 'wallet.db'}")
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"this is not a file: {path}", hint="check --db")
    check_one_name(path, found)
    return found.st_size > 0


def _check_not_lost(path: Path, purpose: Purpose, last_commit: LastCommit | None) -> None:
    """Raises LedgerNotFound, or StorageError for MAKE, where the lock knows of a ledger that is gone."""
    if last_commit is None:
        return
    kind = StorageError if purpose is Purpose.MAKE else LedgerNotFound
    raise kind(
        f"the ledger that was here is gone: {path}",
        hint=f"put {path.name} back; to put a backup here, or to begin anew, move {path.name}.lock to another folder"
        " first",
    )


def _make(path: Path, facts: LedgerFacts) -> None:
    """Make an empty ledger: there whole, or not at all."""
    for suffix in UNFINISHED:
        # SQLite would bring it into the new one. Somebody may have it open, or look for what was written last in it.
        if has_something(left := beside(path, suffix)):
            raise StorageError(
                f"there is no ledger here, but the log of one, with what was written last: {left}",
                hint=f"put {path.name} back beside it; to begin anew, move the log to another folder: it may hold"
                " payments that are nowhere else",
            )
    try:
        with made_whole(path, path) as connection:
            upgrade(connection, facts)
            connection.execute("PRAGMA journal_mode=WAL")
    except OSError as error:
        hint = hint_of(error, "check --db")
        raise StorageError(f"cannot make the ledger: {error.strerror}: {path}", hint=hint) from None


def _migrate(store: SqliteStore, notify: Notify, first: First) -> None:
    version = store.version()
    if version >= sql.SCHEMA_VERSION:
        return  # another process did, while this one waited for its turn
    backup = free_name(store.path, f".backup-v{version}")
    facts = first_of_older(version, first)
    try:
        with translating(store.path):
            back_up(store, backup)
            try:
                upgrade(store.connection, facts)
            except BaseException:
                backup.unlink()  # it is of what is still there
                raise
    except OSError as error:
        hint = hint_of(error, "check that its folder may be written")
        raise StorageError(f"cannot back up the ledger: {error.strerror}: {backup}", hint=hint) from None
    notify(
        f"migrated the ledger from schema {version} to {sql.SCHEMA_VERSION}; the old one is kept: {backup}"
        + words_of_zone(facts)
    )


def free_name(path: Path, ending: str) -> Path:
    """A name beside a ledger that no file has: an older backup is not written over."""
    names = (beside(path, ending if not number else f"{ending}-{number + 1}") for number in count())
    return next(name for name in names if not os.path.lexists(name))


SETTINGS_SINCE = 5
"""The schema from which on a ledger keeps settings."""


def first_of_older(version: int, first: First) -> LedgerFacts:
    """What a ledger of an older schema is given: a time zone, or its days would be others for each who asks."""
    return LedgerFacts(timezone=first().timezone) if version < SETTINGS_SINCE else LedgerFacts()


def words_of_zone(facts: LedgerFacts) -> str:
    if facts.timezone is None:
        return ""
    return f"; its days are those of {facts.timezone}: `wallet ledger set timezone ZONE` changes that"
