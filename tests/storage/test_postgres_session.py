"""What a role, a database, a server or a pool has set neither weakens a commit nor changes an answer, or it is refused.

Each case is tried on a connection of one's own and behind a pool that changes sessions.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support import cli, engines, postgres
from support.server import Server
from support.waiting import WAIT_S, wait_for

from wallet_cli.domain.commands import Command, Post
from wallet_cli.errors import StorageError, Unauthenticated
from wallet_cli.operations.api_keys import KEY_PREFIX
from wallet_cli.operations.tokens import Tokens
from wallet_cli.storage import session, tables
from wallet_cli.storage.pg_connection import Connection
from wallet_cli.storage.postgres import PostgresStore
from wallet_cli.web.auth import Authenticator
from wallet_cli.web.failed_logins import BURST

pytestmark = [
    *postgres.MARKS,
    pytest.mark.skipif(postgres.is_given(), reason="needs a server on a socket of this machine"),
]

ROLE = "cashier_of_the_tests"
STORY = ("register 9886977544", "create 1", "tx add 1 500 --credit")
NOTE = r"it's \ 5 € – 'é' \x41"
READ, WRITE = "balance 1 -q", "tx add 1 5 --credit -q"


@pytest.fixture(scope="module")
def begun() -> str:
    """A ledger to copy, with that story in it."""
    databases = postgres.databases()
    with postgres.one_at_a_time(ROLE):
        if not databases.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}'"):
            databases.execute(f"CREATE ROLE {ROLE} LOGIN")

    def fill(url: str) -> None:
        engines.tell(url, STORY)
        with psycopg.connect(url, autocommit=True) as connection:
            for table in (*postgres.TABLES, "ledger", "alembic_version"):
                connection.execute(f"ALTER TABLE {table} OWNER TO {ROLE}".encode())

    return postgres.made_once("session", fill)


@pytest.fixture
def url(begun: str) -> Iterator[str]:
    """It, as a superuser."""
    made = postgres.databases().new(of=begun)
    yield made
    postgres.databases().execute(f"DROP DATABASE {postgres.database_in(made)} WITH (FORCE)")


@pytest.fixture(params=["direct", "pooled"])
def way(url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """It, as its owner, who is no superuser."""
    mine = postgres.connected_as(url, ROLE)
    if request.param == "direct":
        yield mine
        return
    with postgres.pooled(mine, sessions=1) as through:
        yield through


def set_(url: str, setting: str) -> None:
    _alter(url, f"SET {setting}")


def reset(url: str, setting: str) -> None:
    _alter(url, f"RESET {setting.partition(' ')[0]}")


def _alter(url: str, what: str) -> None:
    """And end the sessions that there are: a pool keeps its own."""
    name = postgres.database_in(url)
    postgres.databases().execute(f"ALTER DATABASE {name} {what}")
    end_sessions(name)


def end_sessions(name: str) -> None:
    postgres.databases().execute(
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
    )


def run(url: str, *line: str) -> cli.Outcome:
    return cli.run(["--db", url, *line])


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


# What is set changes nothing.

HARMLESS = (
    (
        "array_nulls = off",
        "bytea_output = 'escape'",
        "client_encoding = 'LATIN1'",
        "client_min_messages = 'debug5'",
        "DateStyle = 'German, DMY'",
        "default_transaction_deferrable = on",
        "default_transaction_isolation = 'serializable'",
        "enable_indexscan = off",
        "extra_float_digits = 0",
        "idle_in_transaction_session_timeout = '5s'",
        "idle_session_timeout = '5s'",
        "IntervalStyle = 'iso_8601'",
        "jit_above_cost = 0",
        "lock_timeout = '5s'",
        "plan_cache_mode = 'force_generic_plan'",
        "quote_all_identifiers = on",
        "row_security = off",
        "session_replication_role = 'local'",
        "standard_conforming_strings = off",
        "statement_timeout = '5s'",
        "synchronous_commit = 'local'",
        "TimeZone = 'Asia/Kathmandu'",
        "transform_null_equals = on",
    ),
    (
        "client_encoding = 'SQL_ASCII'",
        "client_min_messages = 'error'",
        "default_transaction_isolation = 'repeatable read'",
        "plan_cache_mode = 'force_custom_plan'",
        "synchronous_commit = 'off'",
    ),
)
"""Settings of a database, all of them at once."""


@pytest.mark.parametrize("settings", HARMLESS, ids=["these", "those"])
def test_what_is_set_changes_no_answer(url: str, way: str, settings: tuple[str, ...]) -> None:
    there = run(postgres.connected_as(url, ROLE), "export", "-q").out
    for setting in settings:
        set_(url, setting)
    assert run(way, "export", "-q").out == there
    key = run(way, "key", "create", "till", "-q")
    assert key.code == 0, key.err
    added = run(way, "tx", "add", "1", "5", "--credit", "--note", NOTE, "--key", "k", "--json")
    assert (added.code, added.json["balance"], added.json["note"]) == (0, "505.00", NOTE), added.err
    assert run(way, "tx", "show", "1-2", "--json").json["note"] == NOTE
    assert run(way, "tx", "add", "1", "5", "--credit", "--note", NOTE, "--key", "k", "--json").json["replayed"] is True
    assert run(way, "verify", "-q").out == "2\n"
    for setting in settings:
        reset(url, setting)
    assert run(postgres.connected_as(url, ROLE), "tx", "show", "1-2", "--json").json["note"] == NOTE


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_text_is_utf_8_whatever_the_url_says(url: str, encoding: str) -> None:
    other = f"{url}&client_encoding={encoding}"
    assert run(other, "tx", "add", "1", "5", "--credit", "--note", NOTE).code == 0
    assert run(url, "tx", "show", "1-2", "--json").json["note"] == NOTE
    assert run(url, "verify").code == 0


# A commit is durable.

NOTED = (
    "CREATE TABLE noted (number serial, durable text, heard text)",
    "CREATE FUNCTION note() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN INSERT INTO"
    " public.noted (durable, heard) VALUES (current_setting('synchronous_commit'),"
    " current_setting('client_min_messages')); RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER note AFTER INSERT ON transactions DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION note()",
)
"""Notes how each transaction is committed, when it is."""


def noted(url: str) -> tuple[str, str]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT durable, heard FROM noted ORDER BY number DESC LIMIT 1").fetchall()[0]


COMMITS = {"off": "on", "local": "local", "remote_write": "remote_write", "on": "on", "remote_apply": "remote_apply"}


@pytest.mark.parametrize(("given", "made"), COMMITS.items())
def test_a_commit_is_on_disk_as_it_is_set(url: str, way: str, given: str, made: str) -> None:
    execute(url, *NOTED)
    set_(url, f"synchronous_commit = '{given}'")
    set_(url, "client_min_messages = 'error'")
    assert run(way, *WRITE.split()).code == 0
    assert noted(url) == (made, "warning")


def test_what_is_left_in_a_pooled_session_weakens_no_commit(url: str) -> None:
    execute(url, *NOTED)
    with postgres.pooled(postgres.connected_as(url, ROLE), sessions=1) as through, engines.opened(through) as ledger:
        post: list[Command] = [Post(1, True, 1)]
        for left in ("SET synchronous_commit = off", "SET client_min_messages = error", "SET search_path = nowhere"):
            execute(through, left)
            ledger.executor.run(post, "one")
            assert noted(url) == ("on", "warning")
        # Nor is the ledger looked for elsewhere by who connects after that.
        assert run(through, *READ.split()).out == "500.03\n"


def test_what_is_changed_while_a_ledger_is_open_weakens_no_commit(url: str) -> None:
    execute(url, *NOTED)
    with engines.opened(url) as ledger:
        assert isinstance(ledger.store, PostgresStore)
        ledger.store.connection.execute("SET synchronous_commit = off")
        ledger.executor.run([Post(1, True, 1)], "one")
        assert noted(url) == ("on", "warning")
        # Large batches are written by COPY, and committed like the others.
        ledger.store.connection.execute("SET synchronous_commit = off")
        ledger.executor.run([Post(1, True, 1)] * 300, "many")
        assert noted(url) == ("on", "warning")


def test_a_session_that_commits_as_it_is_set_would_be_found(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deliberate fault."""
    monkeypatch.setattr(session, "before_commit", lambda commits_by: ())
    execute(url, *NOTED)
    set_(url, "synchronous_commit = 'off'")
    assert run(url, *WRITE.split()).code == 0
    assert noted(url)[0] == "off"


# What is refused.

REFUSED_SETTINGS = {
    "session_replication_role = 'replica'": "with session_replication_role = replica, foreign keys are not checked",
    "zero_damaged_pages = on": "with zero_damaged_pages = on, a damaged page is read as an empty one",
    "ignore_checksum_failure = on": "with ignore_checksum_failure = on, a damaged page is read as a good one",
}


@pytest.mark.parametrize(("setting", "message"), REFUSED_SETTINGS.items())
def test_a_setting_that_makes_answers_false_is_refused(url: str, way: str, setting: str, message: str) -> None:
    set_(url, setting)
    for line in (READ, WRITE, "verify"):
        done = run(way, *line.split(), "--json")
        assert (done.code, done.error["code"]) == (7, "storage_error")
        assert done.error["message"].startswith(message)
    if "replica" in message:
        assert "ALTER ROLE … RESET session_replication_role" in done.error["hint"]
    reset(url, setting)
    assert run(postgres.connected_as(url, ROLE), *READ.split()).out == "500.00\n"


def test_a_database_that_takes_no_writes_takes_none(url: str, way: str) -> None:
    set_(url, "default_transaction_read_only = on")
    done = run(way, *WRITE.split(), "--json")
    assert (done.code, done.error["code"]) == (7, "storage_error")
    assert re.match("session is read-only|cannot execute .* in a read-only transaction", done.error["message"])
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM transactions").fetchall() == [(1,)]


UNLOGGED = (
    *(f"ALTER TABLE {table} SET UNLOGGED" for table in ("holds", "transactions", "operators", "ledger")),
    "ALTER TABLE alembic_version SET UNLOGGED",
    "CREATE UNLOGGED TABLE more () INHERITS (transactions)",
)


@pytest.mark.parametrize("statement", UNLOGGED)
def test_a_table_that_a_crash_empties_is_refused(url: str, way: str, statement: str) -> None:
    """Or its partition: after a crash, the ledger would be whole, and less."""
    execute(url, statement)
    table = statement.split()[2] if "ALTER" in statement else "more"
    for line in (READ, WRITE, "verify"):
        done = run(way, *line.split(), "--json")
        assert done.code == 7
        assert done.error["message"].startswith(f"the table {table} is unlogged: a crash empties it: ")
        assert done.error["hint"] == f"ALTER TABLE {table} SET LOGGED"
    execute(url, f"ALTER TABLE {table} SET LOGGED")
    assert run(way, *READ.split()).out == "500.00\n"


def test_all_tables_of_a_ledger_are_looked_at() -> None:
    assert {*session._TABLES} == {*tables.SQLModel.metadata.tables, "alembic_version"}


def test_no_ledger_is_made_or_found_in_temporary_tables() -> None:
    """Another program left them in a session of a pool, under the names of a ledger's."""
    empty = postgres.databases().new(empty=True)
    with postgres.pooled(empty, sessions=1) as through:
        execute(through, "CREATE TEMPORARY TABLE alembic_version (version_num text)")
        done = run(through, "register", "9886977544")
        assert done.code == 7
        assert done.err.startswith("error: the table alembic_version is temporary: ")
    assert run(empty, "register", "9886977544", "-q").out == "1\n"
    postgres.databases().execute(f"DROP DATABASE {postgres.database_in(empty)} WITH (FORCE)")


@pytest.mark.parametrize("table", ["transactions", "wallets", "holds", "users", "ledger"])
def test_a_policy_that_hides_rows_is_an_error_and_no_smaller_ledger(url: str, way: str, table: str) -> None:
    execute(url, f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for line in ("register 9886977545", "users") if table == "users" else (WRITE, "verify", "export -q"):
        done = run(way, *line.split(), "--json")
        assert (done.code, done.out) == (7, "")
        assert done.error["message"].startswith(
            f'query would be affected by row-level security policy for table "{table}"'
        )
        assert "BYPASSRLS" in done.error["hint"]
    # Who bypasses policies by right sees all there is.
    assert run(url, *READ.split()).out == "500.00\n"


def test_a_pool_by_statement_is_refused(url: str) -> None:
    mine = postgres.connected_as(url, ROLE)
    with postgres.pooled(mine, sessions=2, mode="statement") as through:
        for line in (READ, WRITE, "verify", "serve --no-auth --port 0"):
            done = run(through, *line.split())
            assert done.code == 7
            error, hint = done.err.splitlines()[-2:]
            assert "this pool uses another session for each statement, but a ledger needs transactions: " in error
            assert hint == "hint: pool_mode = transaction, or session"
    assert run(mine, *READ.split()).out == "500.00\n"


TIME_OUTS = ("statement_timeout = 1", "transaction_timeout = '300ms'")


@pytest.mark.parametrize("setting", TIME_OUTS)
def test_a_time_out_that_is_too_short_is_told_and_nothing_is_done(url: str, way: str, setting: str) -> None:
    """A batch sets its own time-out for a statement; what comes before it and a whole transaction have those."""
    execute(url, "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); END $$")
    execute(url, "CREATE TRIGGER slow BEFORE INSERT ON transactions FOR EACH ROW EXECUTE FUNCTION slow()")
    try:
        set_(url, setting)
    except psycopg.errors.UndefinedObject:
        pytest.skip("not in this version")
    done = run(way, *WRITE.split(), "--json")
    assert (done.code, done.error["code"]) == (7, "storage_error")
    assert re.search("due to (statement|transaction) timeout", done.error["message"])
    assert done.error["hint"] == "raise that time-out for the role, the database or the server"
    reset(url, setting)
    assert run(url, *READ.split()).out == "500.00\n"


# What is told.


def test_a_server_is_warned_of_what_it_cannot_set(url: str, tmp_path: Path) -> None:
    with Server(tmp_path, "--no-auth", environ={"WALLET_DB": url}) as server:
        told = [line["message"] for line in server.log if line["event"] == "warning"]
    assert [each.partition(":")[0] for each in told[1:]] == [
        "the database has fsync = off",
        "the database has full_page_writes = off",
    ]


def test_connecting_anew_says_why_a_database_is_not_used(url: str) -> None:
    with engines.opened(url) as ledger:
        store = ledger.store
        assert isinstance(store, PostgresStore)
        store.reconnect_apart()
        execute(url, "ALTER TABLE holds SET UNLOGGED")
        pid = store.connection.info.backend_pid
        postgres.databases().execute(f"SELECT pg_terminate_backend({pid}, 5000)")

        def says_why() -> bool:
            with pytest.raises(StorageError) as told:
                store.ping()
            return told.value.message.startswith("the table holds is unlogged")

        wait_for(says_why)
        execute(url, "ALTER TABLE holds SET LOGGED")
        wait_for(store.is_there)
        store.ping()


def test_a_store_closed_while_it_connects_anew_leaves_no_session(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connecting, closed = threading.Event(), threading.Event()
    made: list[Connection] = []
    connect = PostgresStore._connect

    def slow(store: PostgresStore) -> Connection:
        connecting.set()
        assert closed.wait(WAIT_S)
        made.append(connect(store))
        return made[-1]

    with engines.opened(url) as ledger:
        store = ledger.store
        assert isinstance(store, PostgresStore)
        store.reconnect_apart()
        monkeypatch.setattr(PostgresStore, "_connect", slow)
        store.connection.close()
        assert not store.is_there()
        assert connecting.wait(WAIT_S)
    closed.set()
    wait_for(lambda: bool(made) and made[0].closed)


# Another ledger comes in the place of the one that was opened.


def scope_of(credential: str) -> Any:
    """A request with that key or token."""
    return {"client": ("192.0.2.1", 1), "headers": [(b"authorization", f"Bearer {credential}".encode())]}


def test_another_ledger_in_its_place_is_neither_read_nor_written(url: str) -> None:
    """As after a restore, or behind a pool that was told of another server."""
    databases, name = postgres.databases(), postgres.database_in(url)
    other = databases.new(empty=True)
    engines.tell(other, STORY)
    with engines.opened(url) as ledger:
        ledger.executor.run([Post(1, True, 1)], "one")
        tokens = Tokens(b"s" * 32, 60, 60)
        token = "eyJ" + tokens.issue(ledger.store.ledger_id(), 1, None, "till")[3:]
        callers = [Authenticator(lambda: ledger.store, tokens, ledger.store.ledger_id(), is_local=False) for _ in "ab"]
        for _ in range(BURST):
            with pytest.raises(Unauthenticated):
                callers[1].caller(scope_of(KEY_PREFIX + "wrong"))
        for old, new in ((name, f"{name}_old"), (postgres.database_in(other), name)):
            end_sessions(old)
            databases.execute(f"ALTER DATABASE {old} RENAME TO {new}")
        for _ in range(2):
            with pytest.raises(StorageError, match="another ledger has replaced the one that was opened"):
                ledger.executor.run([Post(1, True, 1)], "one")
            with pytest.raises(StorageError, match="another ledger"):
                assert ledger.settings
        for caller in callers:
            for credential in (KEY_PREFIX + "right", token):
                with pytest.raises(StorageError, match="another ledger"):
                    caller.caller(scope_of(credential))
    assert run(url, *READ.split()).out == "500.00\n"
    databases.execute(f"DROP DATABASE {name}_old")


def test_behind_a_pool_another_ledger_is_noticed_within_a_second(url: str) -> None:
    """The connection to the pool stays, and leads elsewhere."""
    with postgres.pooled(url, sessions=1) as through, engines.opened(through) as ledger:
        assert ledger.settings
        execute(url, "UPDATE ledger SET uuid = gen_random_uuid()::text")
        with pytest.raises(StorageError, match="another ledger"):
            ledger.executor.run([Post(1, True, 1)], "one")
        time.sleep(ledger.store.facts_last_s)
        with pytest.raises(StorageError, match="another ledger"):
            assert ledger.settings


@pytest.mark.parametrize(("days", "status"), [(0, "ok"), (-2, "wrong"), (2, "wrong")])
def test_a_doctor_compares_the_clock_with_the_servers(
    url: str, days: int, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + days * 86_400_000_000_000)
    found = {each["name"]: each for each in cli.run(f"--db '{url}' doctor --json").json["findings"]}
    assert [found[name]["status"] for name in ("clock", "state")] == [status, status]
    assert ("the database server's" in found["clock"]["found"]) is (status == "wrong")
