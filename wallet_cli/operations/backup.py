"""Backups of a ledger in a file, and going back to one.

A backup is made through SQLite, from one snapshot, while others write. It is verified before it gets its name, so a
file by that name is always whole. Going back keeps what it replaces: whoever has the ledger open sees at their next
turn that another file is there, and stops (storage/in_place.py).
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from wallet_cli.domain.purpose import Purpose
from wallet_cli.engine.executor import Executor
from wallet_cli.engine.turns import open_write_lock
from wallet_cli.engine.write_lock import Time
from wallet_cli.errors import Busy, InvalidInput, LedgerNotFound, StorageError, hint_of, shown_url
from wallet_cli.operations import last_checks
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import LOOK_TIMEOUT_S, Ledger, chosen_policy, open_ledger
from wallet_cli.operations.verification import verify
from wallet_cli.settings import Settings
from wallet_cli.storage.folders import make_folder
from wallet_cli.storage.in_place import beside, has_something
from wallet_cli.storage.ledger_file import free_name, ledger_path
from wallet_cli.storage.log_file import cut_log
from wallet_cli.storage.open_to_read import open_to_read
from wallet_cli.storage.sql import COPIED
from wallet_cli.storage.sqlite import SqliteStore, connect
from wallet_cli.storage.whole_file import back_up

Notify = Callable[[str], None]
Watch = Callable[[str, int, int | None], None]
"""Told how a long step goes: what it does, how much is done, and of how much."""

NAME = "wallet-%Y-%m-%dT%H-%M-%SZ.db"
NAMED = re.compile(r"wallet-(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)\.db")
"""How backups in a folder of them are named: by the moment that they were made at, in UTC."""


TRANSACTIONS = next(each for each in COPIED if each.table == "transactions")


UNFINISHED = re.compile(r"\..+\.[0-9a-f]{16}\.new(-journal)?")
LEFT_S = 86_400.0


class Keep(NamedTuple):
    """How many backups of a folder stay: the newest of each of so many hours, days and months."""

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

    The newest of all is always one of them. What is not named as a backup is not asked about.
    """
    dated = sorted(((found[1], name) for name in names if (found := NAMED.fullmatch(name))), reverse=True)
    kept = {name for _, name in dated[:1]}
    for digits, number in ((13, keep.hours), (10, keep.days), (7, keep.months)):
        newest: dict[str, str] = {}
        for moment, name in dated:
            newest.setdefault(moment[:digits], name)
        kept.update(list(newest.values())[:number])
    return kept


def backup(settings: Settings, target: str, notify: Notify, watch: Watch) -> Answer:
    """Back up the ledger that the settings name to a new file: `backup, bytes, wallets, transactions`.

    Raises InvalidInput where something is at `target` already, or the ledger is not in a file here; Damaged where the
    copy is not whole; StorageError where it cannot be written. Nothing is at `target` then.
    """
    path = ledger_path(target)
    if os.path.lexists(path):
        raise InvalidInput(
            f"there is a file of that name: {path}", hint="give another name, or a folder for many backups"
        )
    with _in_a_file(settings, notify) as store:
        return _made(settings, store, path, watch)


def backup_into(
    settings: Settings, folder: str, every_us: int | None, keep: Keep | None, notify: Notify, watch: Watch
) -> Answer:
    """Back up the ledger into a folder, by the name of the moment; answers as `backup` does, and `removed`, names.

    Where the newest one there is younger than `every_us`, nothing is made, and it is named: `made` is false. `keep`
    says which ones stay, once there is a new one. Two that run at once make a backup each, or the same one twice.
    """
    place = Path(folder).expanduser().absolute()
    try:
        make_folder(place)
        there = [each.name for each in place.iterdir()]
    except OSError as error:
        raise StorageError(
            f"cannot use the folder {place}: {error.strerror}", hint=hint_of(error, "name another")
        ) from None
    newest = max((name for name in there if NAMED.fullmatch(name)), default=None)
    now = datetime.now(UTC)
    if newest is not None and every_us is not None:
        age = now - datetime.strptime(newest, NAME).replace(tzinfo=UTC)
        if timedelta(0) <= age < timedelta(microseconds=every_us):
            return {"backup": str(place / newest), "made": False, "removed": []}
    path = place / now.strftime(NAME)
    if os.path.lexists(path):
        return {"backup": str(path), "made": False, "removed": []}  # of this very second
    with _in_a_file(settings, notify) as store:
        answer = _made(settings, store, path, watch)
    removed = _removed(place, keep) if keep is not None else []
    return answer | {"made": True, "removed": removed}


def _removed(folder: Path, keep: Keep) -> list[str]:
    names = [each.name for each in folder.iterdir() if NAMED.fullmatch(each.name)]
    gone = sorted(set(names) - to_keep(names, keep))
    for name in gone:
        for ending in ("", ".lock"):
            beside(folder / name, ending).unlink(missing_ok=True)
    return gone


def restore(settings: Settings, source: str, notify: Notify, watch: Watch) -> Answer:
    """Put a backup in the place of the ledger that the settings name.

    Answers `restored` (the ledger), `backup`, `kept` (where what was there is now; null where nothing was),
    `transactions`, and `transactions_kept`. A backup that does not verify is refused, and nothing changes. Writers wait
    meanwhile; whoever has the ledger open stops at their next turn, and has to be started again.
    """
    path, backup_path = _path_here(settings), ledger_path(source)
    if backup_path == path:
        raise InvalidInput(f"this is the ledger itself: {path}", hint="name the backup")
    if not backup_path.is_file():
        raise LedgerNotFound(f"there is no backup at {backup_path}", hint="check the name")
    kept, before = None, None
    try:
        with closing(_opened(backup_path, notify)) as copy:
            watch("verifying the backup", 0, 0)
            found = _verified(settings, copy)
            make_folder(path.parent)
            lock = open_write_lock(beside(path, ".lock"))
            with lock.turn(settings.lock_timeout_s, "restore"):
                if has_something(path):
                    kept = free_name(path, datetime.now(UTC).strftime(".replaced-%Y-%m-%dT%H-%M-%SZ"))
                    before = _kept(path, kept, watch)
                time_us = lock.forget()
                back_up(copy, path, watch=lambda done, total: watch("restoring", done, total))
                with closing(_opened(path, notify)) as restored:
                    lock.note(restored, None, Time(time_us, is_confirmed=True) if time_us else None)
    except OSError as error:
        hint = hint_of(error, "check the folder of the ledger")
        raise StorageError(f"cannot restore: {error.strerror}", hint=hint) from None
    return {
        "restored": str(path),
        "backup": str(backup_path),
        "kept": None if kept is None else str(kept),
        "transactions": found["transactions"],
        "transactions_kept": before,
    }


def _kept(path: Path, target: Path, watch: Watch) -> int:
    """Copy the ledger that is to be replaced, within a turn; how many transactions it has.

    Its log is brought into the file first: a restore that is killed leaves one of the two whole. Raises Busy where a
    reader keeps that from being done, and StorageError for what cannot be copied as a ledger.
    """
    pinned = cut_log(path)
    if pinned is not None:
        raise Busy(pinned, hint="stop what reads the ledger, and try again")
    with closing(SqliteStore(path, connect(path, 0.0))) as store:
        back_up(store, target, watch=lambda done, total: watch("keeping what is there", done, total))
        return store.count(TRANSACTIONS)


@contextmanager
def _in_a_file(settings: Settings, notify: Notify) -> Iterator[SqliteStore]:
    """The ledger that the settings name, to read. Raises InvalidInput for one that is not in a file here."""
    _path_here(settings)
    with open_ledger(settings, notify, purpose=Purpose.READ) as ledger:
        assert ledger.store.is_local
        ledger.must_be_whole()
        yield ledger.store


def _path_here(settings: Settings) -> Path:
    if "://" in settings.db:
        raise InvalidInput(
            f"only a ledger in a file of this machine can be backed up so: {shown_url(settings.db)}",
            hint="on PostgreSQL, `pg_dump` (docs/backups.md); elsewhere, run this where the ledger is",
        )
    return ledger_path(settings.db)


def _made(settings: Settings, store: SqliteStore, path: Path, watch: Watch) -> Answer:
    found: Answer = {}

    def check(new: Path) -> None:
        watch("verifying", 0, 0)
        with closing(_opened(new, lambda _: None)) as copy:
            found.update(_verified(settings, copy))

    # Of this process alone: two that back up at once, to one name, each make a whole file.
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        _tidy(path.parent)
        back_up(store, path, check, lambda done, total: watch("copying", done, total), unfinished)
    except OSError as error:
        raise StorageError(
            f"cannot write the backup: {error.strerror}: {path}",
            hint=hint_of(error, "check the folder, or name another"),
        ) from None
    last_checks.note(store.ledger_id(), last_checks.BACKED_UP)
    counts = {"wallets": found["wallets"], "transactions": found["transactions"]}
    return {"backup": str(path), "bytes": path.stat().st_size} | counts


def _tidy(folder: Path) -> None:
    """Remove what backups to a folder that were killed left unfinished, a day ago or longer."""
    for left in folder.iterdir():
        if UNFINISHED.fullmatch(left.name):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > LEFT_S:
                    left.unlink()


def _opened(path: Path, notify: Notify) -> SqliteStore:
    """A ledger, to read; what is found wrong with it is not noted in it."""
    store = open_to_read(path, LOOK_TIMEOUT_S, notify)
    store.is_copy = True
    return store


def _verified(settings: Settings, store: SqliteStore) -> Answer:
    """What `verify` answers of a copy. Raises Damaged."""
    executor = Executor(store, open_write_lock(beside(store.path, ".lock")), chosen_policy(settings), LOOK_TIMEOUT_S)
    return verify(Ledger(settings, store, executor))
