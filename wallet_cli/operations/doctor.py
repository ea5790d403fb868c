"""Checking an installation: the program, its settings, the ledger, and the ledger's place.

Each check reports what it found; a problem comes with advice. Nothing is changed.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC
from pathlib import Path
from typing import NamedTuple

from wallet_cli import __version__
from wallet_cli.domain.period import DAY_US, FIRST_US, LAST_US, format_time, parse_start
from wallet_cli.domain.purpose import Purpose
from wallet_cli.domain.rules.clocks import clock_refused, doubt, first_refused
from wallet_cli.domain.rules.state import State
from wallet_cli.engine.executor import system_us
from wallet_cli.engine.turns import open_write_lock
from wallet_cli.engine.write_lock import lock_mode
from wallet_cli.errors import (
    InvalidInput,
    LedgerNotFound,
    MissingPackage,
    StorageError,
    WalletError,
    shown_url,
    unsecret,
)
from wallet_cli.operations import last_checks, seals
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import LOOK_TIMEOUT_S, Ledger, open_ledger
from wallet_cli.settings import SETTINGS, Settings, config_path, jwt_secret_path
from wallet_cli.storage import sql
from wallet_cli.storage.in_place import beside, check_one_name
from wallet_cli.storage.ledger_file import ledger_path
from wallet_cli.storage.log_file import locked_by, pinned_by, program, written_by
from wallet_cli.storage.move_state import refusal
from wallet_cli.storage.queries import Place
from wallet_cli.storage.sqlite import MAX_LOG_BYTES, check_library, log_bytes

OK, WARNING, WRONG = "ok", "warning", "wrong"

LEAST_FREE_BYTES = 16 * 1024 * 1024
LONG_TURN_US = 60_000_000
LONG_SINCE_BACKUP_US = 7 * DAY_US
LONG_SINCE_VERIFIED_US = 31 * DAY_US

MOUNTS = Path("/proc/self/mounts")
ON_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "9p", "fuse.sshfs", "fuse.rclone", "fuse.s3fs")
"""File systems whose locks, or whose order of writes, are not reliable between machines."""


PASSING = {
    "tmpfs": "it is in memory, and lost when the machine restarts",
    "ramfs": "it is in memory, and lost when the machine restarts",
    "overlay": "it belongs to the container, and is lost with it",
}
"""File systems that lose their files, and when."""


class Finding(NamedTuple):
    """A result of a check: its `name`, a `status`, the `found` fact in words, and the advice."""

    name: str
    status: str
    found: str
    advice: str | None = None


def examine(settings: Settings, remote: Callable[[], Answer] | None = None) -> Answer:
    """All findings: `ok` (nothing is wrong, but there may be warnings), `findings` of `name, status, found, advice`.

    `remote` asks the server of a remote ledger for the facts that the ledger keeps.
    """
    found = [each._replace(found=unsecret(each.found)) for each in _all(settings, remote)]
    return {"ok": all(each.status != WRONG for each in found), "findings": [each._asdict() for each in found]}


def unreadable(error: InvalidInput) -> Answer:
    """The answer where the settings themselves cannot be read: nothing else can be looked at."""
    finding = Finding("settings", WRONG, error.message, error.hint)
    return {"ok": False, "findings": [finding._asdict()]}


def _each(name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings of one check. If it cannot be made, that is a finding, and the other checks go on."""
    try:
        yield from findings
    except WalletError as error:
        yield Finding(name, WRONG, error.message, error.hint)
    except OSError as error:
        told = f"it cannot be checked: {error.strerror}: {error.filename}"
        yield Finding(name, WRONG, told, "check that this user may read it")


def _all(settings: Settings, remote: Callable[[], Answer] | None) -> Iterator[Finding]:
    yield Finding("program", OK, f"wallet {__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield _library()
    yield from _each("settings", _settings(settings))
    yield from _each("secrets", _private_files(settings))
    source = settings.values["db"].source
    if "://" in settings.db:
        yield Finding("place", OK, f"{shown_url(settings.db)} (from {source})")
        yield from _each("ledger", _ledger(settings, None) if remote is None else _remote_ledger(remote))
        return
    try:
        path = ledger_path(settings.db)
    except WalletError as error:
        yield Finding("place", WRONG, error.message, error.hint)
        yield from _each("clock", _clock(None))
        return
    yield Finding("place", OK, f"{path} (from {source})")
    for name, look in (("folder", _folder), ("permissions", _permissions), ("log", _log), ("turn", _turn)):
        yield from _each(name, look(path))
    yield from _each("ledger", _ledger(settings, path))


def _remote_ledger(remote: Callable[[], Answer]) -> Iterator[Finding]:
    yield from _each("clock", _clock(None))
    advice = "run `wallet doctor` on the server's machine too: its disk, files and backups are not seen from here"
    yield Finding("ledger", OK, f"the server answers: id {remote()['id']}", advice)


def _library() -> Finding:
    import apsw

    version = f"SQLite {apsw.sqlite_lib_version()}"
    try:
        check_library()
    except WalletError as error:
        return Finding("library", WRONG, error.message, error.hint)
    return Finding("library", OK, version)


READ_SETTINGS = (
    *("currency", "minimum_balance", "timezone", "lock_timeout_s", "clock_skew_us"),
    *("jwt_max_token_expires_minutes", "jwt_access_token_expires_minutes", "checked_phone_region"),
)


def _settings(settings: Settings) -> Iterator[Finding]:
    wrong = False
    for name in READ_SETTINGS:
        try:
            getattr(settings, name)
        except WalletError as error:
            wrong = True
            yield Finding("settings", WRONG, error.message, error.hint)
    for setting in SETTINGS:
        exposed = settings.exposed(setting.name)
        if exposed is not None:
            wrong = True
            place, shut = settings.values[setting.name].source, settings.how_to_shut(setting.name)
            yield Finding("settings", WRONG, f"the setting {setting.name} {exposed} (from {place})", shut)
    weak = _weak_secret(settings)
    if weak is not None:
        yield Finding("settings", WRONG, weak.message, weak.hint)
    elif not wrong:
        chosen = sum(value.source != "default" for value in settings.values.values())
        yield Finding("settings", OK, f"{chosen} of {len(settings.values)} are set: `wallet config show`")


def _weak_secret(settings: Settings) -> InvalidInput | None:
    """Why `wallet serve` would refuse the chosen secret of tokens; None if it would not, or cannot run here."""
    secret = settings.jwt_secret_key
    try:
        from wallet_cli.operations.tokens import DEVELOPMENT, HOW_TO_SET, weakness
    except ImportError:
        return None
    weak = None if secret is None or settings.env == DEVELOPMENT else weakness(secret)
    return None if weak is None else InvalidInput(f"the setting jwt_secret_key {weak}", hint=HOW_TO_SET)


def _private_files(settings: Settings) -> Iterator[Finding]:
    """This program's secret files that others may read, or that are not what they should be."""
    if os.name != "posix":
        return
    seal_key = config_path().with_name(seals.KEY_FILE)
    for path in (settings.token_path, seal_key, jwt_secret_path()):
        if not path.is_file():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            yield Finding("secrets", WRONG, f"others may read {path} (mode {mode:04o})", f"chmod 600 {path}")
        elif path == seal_key:
            try:
                seals.public_key()
            except InvalidInput as error:
                if not isinstance(error, MissingPackage):  # without that, nothing is sealed
                    yield Finding("secrets", WRONG, error.message, error.hint)


def _clock(ledger: Ledger | None) -> Iterator[Finding]:
    """Whether a write would be refused for this machine's clock; without a ledger, the first one of a new ledger."""
    now_us = system_us() if ledger is None else ledger.now_us()
    error = first_refused(now_us) if ledger is None else _refused(ledger, now_us)
    if error is None:
        yield Finding("clock", OK, format_time(now_us))
    else:
        yield Finding("clock", WRONG, error.message, error.hint)


def _refused(ledger: Ledger, now_us: int) -> StorageError | None:
    """Why a transaction in the wallet that has the newest one would be refused for the clock; None if it would not."""
    store, state = ledger.store, State(ledger.policy)
    state.restoring, state.empty = store.is_restoring(), not store.has_rows()
    for _, wallet, _ in store.day_book(Place(FIRST_US, 0, 0), Place(LAST_US + 1, 0, 0), 1):
        account = store.account(wallet.id, now_us)
        assert account is not None
        state.add_wallet(account.wallet, account.last)
    state.clock_doubt = doubt(state, now_us, store.read_server_us(), store.written_us)
    return clock_refused(state, now_us, *state.last)


def _folder(path: Path) -> Iterator[Finding]:
    folder = path.parent
    try:
        found = folder.stat()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding("folder", WRONG, f"cannot access {folder}: {error.strerror}", "create it, or check --db")
        return
    mode = stat.S_IMODE(found.st_mode)
    if os.name == "posix" and mode & 0o022 and not mode & stat.S_ISVTX:
        advice = f"chmod go-w {folder}"
        yield Finding("folder", WARNING, f"others may write to {folder} (mode {mode:04o})", advice)
    kind = _file_system(folder) or ""
    if kind in ON_NETWORK:
        advice = "keep the ledger on a local disk; for several machines, use PostgreSQL or `wallet serve`"
        yield Finding("file system", WRONG, f"{kind}: locks cannot be relied on between machines", advice)
    elif kind in PASSING:
        advice = "keep the ledger on a disk, or in a volume of the container"
        yield Finding("file system", WARNING, f"{kind}: {PASSING[kind]}", advice)
    else:
        yield Finding("file system", OK, kind or "unknown")
    needed = max(LEAST_FREE_BYTES, path.stat().st_size if path.is_file() else 0)
    status = WRONG if free < LEAST_FREE_BYTES else WARNING if free < needed else OK
    room = None if status == OK else "free some space: writes are refused when the disk is full"
    yield Finding("disk", status, f"{free // 2**20} MiB are free", room)


def _file_system(folder: Path) -> str | None:
    """The file system of a folder, according to Linux; None if unknown."""
    try:
        lines = MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    best: str = ""
    kind: str | None = None
    for line in lines:
        _, place, found, *_ = line.split(" ")
        place = place.replace("\\040", " ")
        if len(place) >= len(best) and folder.is_relative_to(place):
            best, kind = place, found
    return kind


def _permissions(path: Path) -> Iterator[Finding]:
    if os.name != "posix" or not path.is_file():
        return
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    of_others = list(_of_others(path, found))
    yield from of_others
    if mode & 0o077:
        advice = f"chmod 600 {path}"
        if found.st_uid != os.geteuid():
            advice = f"as {_user(found.st_uid)}, {advice}: then this user cannot read it any more"
        yield Finding("permissions", WRONG, f"others may read the ledger (mode {mode:04o})", advice)
    elif found.st_uid != os.geteuid():
        yield Finding("permissions", WARNING, f"the ledger belongs to {_user(found.st_uid)}", "run wallet as that user")
    elif not of_others:
        yield Finding("permissions", OK, f"readable only by {_user(found.st_uid)}")


def _of_others(path: Path, ledger: os.stat_result) -> Iterator[Finding]:
    """Where the lock or the folder keeps out who may write the ledger, or lets in who may not."""
    owner, folder, lock = _user(ledger.st_uid), path.parent.stat(), beside(path, ".lock")
    if ledger.st_uid != folder.st_uid and not folder.st_mode & 0o022:
        told = f"the ledger belongs to {owner}, and its folder to {_user(folder.st_uid)}"
        advice = f"give both to one user: sudo chown USER {path.parent} {path}*"
        yield Finding("permissions", WRONG, told, advice)
    if not lock.is_file():
        return
    found, sharing = lock.stat(), lock_mode(ledger)
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != ledger.st_uid and not (mode & sharing & 0o020 and found.st_gid == ledger.st_gid):
        told = f"the ledger belongs to {owner}, and its lock to {_user(found.st_uid)}"
        yield Finding("permissions", WRONG, told, f"sudo chown {owner} {lock}")
    if mode & ~sharing & 0o066:  # who may open it may keep the turn
        told = f"others may take the turn to write, and keep it (mode {mode:04o} of the lock)"
        yield Finding("permissions", WRONG, told, f"chmod {sharing:o} {lock}")


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _log(path: Path) -> Iterator[Finding]:
    if not path.is_file():
        return
    size = log_bytes(path)
    readers = pinned_by(path) if size > MAX_LOG_BYTES else []
    told = f"SQLite's log has {size // 1024} KiB"
    if readers:
        who = ", ".join(map(str, readers))
        told += f"; process {who} is reading an old state of the ledger"
        yield Finding("log", WARNING, told, f"end process {who}")
    else:
        yield Finding("log", OK, told)


def _turn(path: Path) -> Iterator[Finding]:
    if not path.is_file():
        return
    lock = open_write_lock(beside(path, ".lock"))
    if not os.path.lexists(lock.path):
        yield Finding("turn", OK, "nobody has written yet")
        return
    if not lock.is_taken():
        yield _unlocked(path)
        return
    holder, pids = lock.holder(), locked_by(lock.path, "FLOCK")
    if holder is None or (pids and holder.pid not in pids):
        yield Finding("turn", WARNING, f"{_who(pids)} has the turn, and does not say what for", BY_OTHERS)
        return
    told = f"{holder.command} (process {holder.pid}) is writing, since {holder.since}"
    if parse_start(holder.since, UTC) < time.time_ns() // 1000 - LONG_TURN_US:
        advice = f"look at process {holder.pid}: after `kill {holder.pid}`, others can write"
        yield Finding("turn", WRONG, told, advice)
    else:
        yield Finding("turn", OK, told)


BY_OTHERS = "nothing can be written until it ends its work"


def _unlocked(path: Path) -> Finding:
    """Nobody has the turn, but a program that takes no turns may be writing."""
    pids = written_by(path)
    if not pids:
        return Finding("turn", OK, "nobody is writing")
    return Finding("turn", WARNING, f"{_who(pids)} is writing without a turn: it is another program", BY_OTHERS)


def _who(pids: list[int]) -> str:
    return f"process {', '.join(f'{pid} ({program(pid)})' for pid in pids)}" if pids else "another process"


def _ledger(settings: Settings, path: Path | None) -> Iterator[Finding]:
    with ExitStack() as stack:
        try:
            look = open_ledger(settings, lambda _: None, LOOK_TIMEOUT_S, purpose=Purpose.READ)
            ledger = stack.enter_context(look)
        except WalletError as error:
            yield from _each("clock", _clock(None))
            if not isinstance(error, LedgerNotFound):
                raise
            # One that was never made is no fault: that is how it looks before the first command.
            is_gone = path is not None and open_write_lock(beside(path, ".lock")).last_commit() is not None
            yield Finding("ledger", WRONG if is_gone else WARNING, error.message, error.hint)
            return
        clock = list(_each("clock", _clock(ledger)))
        yield from clock
        yield from _open_ledger(ledger, path, clock_is_right=all(each.status == OK for each in clock))


def _open_ledger(ledger: Ledger, path: Path | None, *, clock_is_right: bool) -> Iterator[Finding]:
    store = ledger.store
    itself = store.itself()
    known = last_checks.read(store.ledger_id(), store.address)
    yield Finding("ledger", OK, f"id {itself.facts.uuid}, days of {itself.facts.timezone or 'no time zone'}")
    if store.is_copy:
        advice = "any command that writes migrates it, after a backup"
        yield Finding("schema", WARNING, f"older than {sql.SCHEMA_VERSION}, the schema of this program", advice)
    else:
        yield Finding("schema", OK, f"{sql.SCHEMA_VERSION}, the newest")
    for warning in store.warnings:
        yield Finding("database", WARNING, warning, "change it in the server's configuration, and restart the server")
    if itself.move_state.state is not None:
        told = refusal(itself.move_state)
        yield Finding("state", WRONG, told.message, told.hint)
    elif itself.damaged is not None:
        advice = f"for details: wallet verify; to put a backup in its place: {store.how_to_restore}"
        yield Finding("state", WRONG, f"the ledger is damaged: {itself.damaged}", advice)
    elif itself.restoring:
        advice = "import the file again: it continues where it stopped"
        yield Finding("state", WRONG, "the import of an export is not complete", advice)
    elif last_checks.found_damage(known):
        advice = f"stop what writes to it; to put a backup in its place: {store.how_to_restore}"
        yield Finding("state", WRONG, "the ledger takes writes, though damage was found in it", advice)
    elif not clock_is_right:
        yield Finding("state", WRONG, "the ledger takes no payments: the clock is in doubt", "set this machine's clock")
    elif path is not None and (names := _other_name(path)) is not None:
        yield Finding("state", WRONG, names.message, names.hint)
    elif not store.may_write():
        advice = "to write, run wallet as a user, or with a role, that may"
        yield Finding("state", WARNING, "this user may read the ledger, and not write to it", advice)
    else:
        yield Finding("state", OK, "the ledger takes writes")
    yield from _last_checks(known, in_a_file=path is not None)


def _other_name(path: Path) -> StorageError | None:
    """What keeps every writer away from a file that can be read, as a backup can."""
    try:
        check_one_name(path, path.stat())
    except StorageError as error:
        return error
    return None


def _last_checks(known: dict[str, int], *, in_a_file: bool) -> Iterator[Finding]:
    now_us = time.time_ns() // 1000
    asked: list[tuple[str, str, int, str]] = []
    if last_checks.found_damage(known):
        found = f"last at {format_time(known[last_checks.FOUND_DAMAGE])}: damage was found"
        yield Finding("verified", WRONG, found, "wallet verify")
    else:
        asked.append(("verified", last_checks.VERIFIED, LONG_SINCE_VERIFIED_US, "wallet verify"))
    if in_a_file:  # a database has its own backup tools
        asked.append(("backup", last_checks.BACKED_UP, LONG_SINCE_BACKUP_US, "wallet backup FILE"))
    if last_checks.SEALED in known:  # not everybody needs seals
        asked.append(("seal", last_checks.SEALED, LONG_SINCE_VERIFIED_US, "wallet seal FILE"))
    for name, what, longest_us, command in asked:
        at_us = known.get(what)
        if at_us is None:
            yield Finding(name, WARNING, "never, by this user", command)
        elif now_us - at_us > longest_us:
            yield Finding(name, WARNING, f"last at {format_time(at_us)}", command)
        else:
            yield Finding(name, OK, f"last at {format_time(at_us)}")


def columns() -> tuple[str, ...]:
    """The columns of a table of findings."""
    return Finding._fields
