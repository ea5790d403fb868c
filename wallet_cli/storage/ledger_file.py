"""The file that a ledger lives in: finding it, making it, bringing an older one up to date.

A ledger is there whole or not at all: it is made under another name and moved into place, and migrated in one
transaction, after a backup.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from wallet_cli.domain.model import LedgerFacts
from wallet_cli.errors import InvalidInput, StorageError, shown
from wallet_cli.storage import sql
from wallet_cli.storage.marks import to_itself
from wallet_cli.storage.sqlite import APPLICATION_ID, SqliteStore, connect, set_up, sqlite3, translating

OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""


_BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside a file that is in use."""


Notify = Callable[[str], None]


First = Callable[[], LedgerFacts]
"""The settings that a new ledger is given, asked for where one is made, or an older one has none."""

Turn = Callable[[str], AbstractContextManager[None]]
"""Takes the right to write, given what for."""


def ledger_path(text: str) -> Path:
    """The one path of a ledger, however it is named: its lock has to be the same for all. Raises InvalidInput."""
    try:
        return Path(os.path.realpath(Path(text).expanduser()))
    except (RuntimeError, ValueError) as error:  # ~nobody, a NUL
        raise InvalidInput(f"not a path: {shown(text)}", hint=str(error)) from None


def open_store(
    path: Path, busy_timeout_s: float, turn: Turn, notify: Notify, first: First = LedgerFacts
) -> SqliteStore:
    """Open the ledger at `path`; make it if there is none, and bring an older one to this program's schema.

    `turn` is taken to make or to migrate, and `notify` is told of it in one line. `busy_timeout_s` bounds the wait for
    programs that write to the file without taking turns. Raises StorageError for a path that is not, and cannot
    become, a ledger of this version.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StorageError(f"SQLite {sqlite3.sqlite_version} is too old", hint="pip install pysqlite3")
    if not _is_file(path):
        with turn("making the ledger"):
            if not _is_file(path):
                _make(path, first())
                notify(f"made a new ledger: {path}")
    store = SqliteStore(path, busy_timeout_s)
    try:
        if store.version() < sql.SCHEMA_VERSION:
            with turn("migrating the ledger"):
                _migrate(store, notify, first)
    except BaseException:
        store.close()
        raise
    return store


def facts_in(path: Path, busy_timeout_s: float) -> LedgerFacts:
    """What a ledger of this schema says of itself, read by a connection that changes nothing; else nothing.

    Raises StorageError or Busy for a file that cannot be read.
    """
    if not path.is_file() or not path.stat().st_size:
        return LedgerFacts()
    with translating(path):
        connection = connect(path, busy_timeout_s, "ro")
        try:
            header = "SELECT application_id, user_version FROM pragma_application_id, pragma_user_version"
            if connection.execute(header).fetchone() != (APPLICATION_ID, sql.SCHEMA_VERSION):
                return LedgerFacts()
            return to_itself(connection.execute(sql.ITSELF).fetchone()).facts
        finally:
            connection.close()


def _is_file(path: Path) -> bool:
    """Whether there is something to open; an empty file, such as mktemp makes, is nothing yet. Raises StorageError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        if path.parent.is_dir():
            return False
        raise StorageError(f"there is no folder {path.parent}", hint="make it, or check --db") from None
    except OSError as error:
        raise StorageError(f"cannot open the ledger: {error.strerror}: {path}", hint="check --db") from None
    if stat.S_ISDIR(found.st_mode):
        raise StorageError(f"this is a folder, not a ledger: {path}", hint=f"--db {path / 'wallet.db'}")
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"this is not a file: {path}", hint="check --db")
    return found.st_size > 0


def _make(path: Path, facts: LedgerFacts) -> None:
    """Make an empty ledger under another name and move it into place: there whole, or not at all."""
    new = path.with_name(path.name + ".new")
    try:
        _remove(new)
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with translating(new):
            connection = connect(new, 0.0)
            try:
                set_up(connection)
                _upgrade(connection, facts)
            finally:
                connection.close()
        _sync(new)
        for suffix in _BESIDE:
            # Left by a ledger that was deleted without them: SQLite would replay its log into the new one.
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        new.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise StorageError(f"cannot make the ledger: {error.strerror}: {path}", hint="check --db") from None
    finally:
        _remove(new)


def _remove(path: Path) -> None:
    """Remove a database file that nobody has open, and what SQLite keeps beside it."""
    for suffix in ("", *_BESIDE):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _migrate(store: SqliteStore, notify: Notify, first: First) -> None:
    version = store.version()
    if version >= sql.SCHEMA_VERSION:
        return  # another process did, while this one waited for its turn
    backup = store.path.with_name(f"{store.path.name}.backup-v{version}")
    facts = first_of_older(version, first)
    try:
        with translating(store.path):
            _back_up(store.connection, backup)
            _upgrade(store.connection, facts)
    except OSError as error:
        raise StorageError(f"cannot back up the ledger: {error.strerror}: {backup}", hint="free some space") from None
    notify(
        f"migrated the ledger from schema {version} to {sql.SCHEMA_VERSION}; the old one is kept: {backup}"
        + words_of_zone(facts)
    )


SETTINGS_SINCE = 5
"""The schema from which on a ledger keeps settings."""


def first_of_older(version: int, first: First) -> LedgerFacts:
    """What a ledger of an older schema is given: a time zone, or its days would be others for each who asks."""
    return LedgerFacts(timezone=first().timezone) if version < SETTINGS_SINCE else LedgerFacts()


def words_of_zone(facts: LedgerFacts) -> str:
    if facts.timezone is None:
        return ""
    return f"; its days are those of {facts.timezone}: `wallet ledger set timezone ZONE` changes that"


def _back_up(connection: sqlite3.Connection, target: Path) -> None:
    """Copy a live ledger through SQLite: copying the file itself would miss what is still in the log."""
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    copy = sqlite3.connect(target)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    _sync(target)


def _upgrade(connection: sqlite3.Connection, facts: LedgerFacts) -> None:
    """Run the missing migrations in one transaction, and note the new version in the header of the file.

    `facts` are settings that the ledger is to keep from then on.
    """
    import sqlalchemy

    from wallet_cli.storage.migrate import upgrade

    engine = sqlalchemy.create_engine(
        "sqlite://", module=sqlite3, creator=lambda: connection, poolclass=sqlalchemy.StaticPool
    )
    # Rebuilding a table drops the old one, which foreign keys would object to.
    connection.execute("PRAGMA foreign_keys=OFF")
    try:
        with engine.begin() as wrapped:
            # Begun by hand, and only here: SQLAlchemy's first connect rolls back whatever was begun before it.
            connection.execute("BEGIN IMMEDIATE")
            upgrade(wrapped)
            for statement, row in sql.settings_of(facts):
                connection.execute(statement, row)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={sql.SCHEMA_VERSION}")
    except sqlalchemy.exc.DBAPIError as error:
        raise error.orig or error from error
    connection.execute("PRAGMA foreign_keys=ON")


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
