"""Opening: what a path may be, and what happens to what is there already."""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest
from support import cli, engines, somebody

from wallet_cli import settings
from wallet_cli.domain.model import LedgerFacts
from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import StorageError
from wallet_cli.operations.context import open_ledger
from wallet_cli.storage import folders, migrate, schema_check, sql, whole_file
from wallet_cli.storage.dbapi import transaction
from wallet_cli.storage.in_place import beside
from wallet_cli.storage.ledger_file import open_store
from wallet_cli.storage.sqlite import APPLICATION_ID, make, upgrade

pytestmark = pytest.mark.on_file("test_postgres_opening.py opens databases")


WRITES = "limits 1 --daily-debit none"
"""A command that changes a ledger as little as it can."""
NOBODY = 65534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def no_turn(_name: str) -> Iterator[None]:
    yield


def test_the_first_run_makes_a_private_ledger_and_says_so(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        done = cli.run("register 9886977544 --json")
    finally:
        os.umask(umask)
    folder = settings.data_folder()
    path = folder / "wallet.db"
    assert folder.is_relative_to(tmp_path)
    assert (done.code, done.json["id"]) == (0, 1)
    assert done.err == f"created a new ledger: {path}\n"
    assert mode(folder) == 0o700
    assert {file.name: mode(file) for file in folder.iterdir()} == {"wallet.db": 0o600, "wallet.db.lock": 0o600}
    assert cli.run("create 1 --json").err == ""


def test_each_new_folder_is_synced_into_the_one_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []

    def noted(path: Path) -> None:
        synced.append(path)
        sync(path)

    sync = folders.sync
    for module in (folders, whole_file):
        monkeypatch.setattr(module, "sync", noted)
    assert cli.run("register 9886977544").code == 0
    home = settings.data_folder()
    above = [each for each in (home, *home.parents) if each.is_relative_to(tmp_path)]
    assert above[-1] == tmp_path
    assert {each for each in synced if each.is_dir()} == set(above)


def test_the_log_beside_an_open_ledger_is_private_too(db: Path) -> None:
    umask = os.umask(0)
    try:
        with open_ledger(settings.load({}), lambda _: None):
            assert cli.run("register 9886977544").code == 0
            assert mode(db.with_name("wallet.db-wal")) == 0o600
    finally:
        os.umask(umask)


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "made-by-mktemp.db"
    path.touch(mode=0o644)
    done = cli.run(["--db", str(path), "register", "9886977544", "-q"])
    assert done == (0, "1\n", f"created a new ledger: {path}\n")
    assert mode(path) == 0o600


def test_what_a_maker_that_was_killed_left_behind_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "w.db.new").write_bytes(b"half a ledger")
    assert cli.run(["--db", str(tmp_path / "w.db"), "register", "9886977544", "-q"]).out == "1\n"
    assert not (tmp_path / "w.db.new").exists()


def test_a_ledger_has_one_lock_however_it_is_named(tmp_path: Path, db: Path) -> None:
    (tmp_path / "link.db").symlink_to(db)
    (tmp_path / "folder").mkdir()
    for name in ("link.db", "folder/../wallet.db", str(db)):
        assert cli.run(["--db", name, "register", "9886977544", "--exist-ok", "-q"]).out == "1\n"
    assert [path.name for path in tmp_path.rglob("*.lock")] == ["wallet.db.lock"]


@pytest.mark.parametrize("text", ["a b?c#d%41.db", "é🧾.db", "'q\".db", "-dash.db"])
def test_any_file_name_is_that_file(tmp_path: Path, text: str) -> None:
    assert cli.run([f"--db={text}", "register", "9886977544", "-q"]).out == "1\n"
    assert (tmp_path / text).is_file()


def folder(path: Path) -> None:
    path.mkdir()


def text_file(path: Path) -> None:
    path.write_text("dear diary, this is no database\n" * 200)


def short_file(path: Path) -> None:
    path.write_text("x")


def truncated_ledger(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("CREATE TABLE t (x)")
    os.truncate(path, 60)


def other_database(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("CREATE TABLE transactions (x)")
        connection.execute("INSERT INTO transactions VALUES (1)")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (folder, "this is a folder"),
        (text_file, "not a database"),
        (short_file, "not a wallet ledger"),
        (truncated_ledger, "malformed"),
        (other_database, "not a wallet ledger"),
        (pipe, "not a file"),
        (loop, ""),
    ],
)
def test_what_is_not_a_ledger_is_refused_and_left_alone(
    tmp_path: Path, make: Callable[[Path], None], says: str
) -> None:
    path = tmp_path / "thing.db"
    make(path)
    before = contents(tmp_path)
    for line in ("register 9886977544", "balance 1", "verify"):
        done = cli.run(f"--db {path} {line} --json")
        assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error")
        assert says in done.error["message"]
        assert "the answer" not in done.error["message"]  # it is the ledger that cannot be used
        assert done.error["hint"]
    assert {name: data for name, data in contents(tmp_path).items() if not name.endswith(".lock")} == before


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    done = cli.run(f"--db {tmp_path}/no/such/wallet.db register 9886977544 --json")
    assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error")
    assert "there is no folder" in done.error["message"]
    assert not (tmp_path / "no").exists()


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the home should be")
    done = cli.run("register 9886977544 --json")
    assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error")
    assert "home" in done.error["message"]


def test_a_home_that_nobody_has_is_one_clear_error() -> None:
    done = cli.run("--db ~nobody-by-this-name/wallet.db register 9886977544 --json")
    assert (done.code, done.error["code"]) in [(7, "storage_error"), (2, "invalid_input")]


def test_a_ledger_of_a_newer_version_is_refused_unchanged(db: Path) -> None:
    with closing(apsw.Connection(str(db))) as connection:
        connection.execute(f"PRAGMA user_version = {sql.SCHEMA_VERSION + 1}")
    before = db.read_bytes()
    for line in ("register 9886977544", "balance 1", "verify"):
        done = cli.run(f"{line} --json")
        assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error")
        assert "newer" in done.error["message"]
        assert done.error["hint"] == "upgrade wallet-cli"
    assert db.read_bytes() == before


@pytest.mark.parametrize("said", [-1, 0, 1, sql.SCHEMA_VERSION - 1])
def test_a_ledger_that_says_to_be_older_than_it_is_is_not_migrated(db: Path, said: int) -> None:
    """Somebody wrote another number into its header: what is recorded as a migration would be none."""
    assert cli.run("register 9886977544").code == 0
    beside(db, ".lock").unlink()
    with closing(apsw.Connection(str(db))) as connection:
        connection.execute(f"PRAGMA user_version = {said}")
    before = db.read_bytes()
    for line in ("register 9886977545", "users", "verify"):
        done = cli.run(f"{line} --json")
        assert (done.code, done.out) == (7, "")
        told = f"this ledger is damaged: its header says schema {said}, its last migration made schema 8: "
        assert done.error["message"].startswith(told)
    assert db.read_bytes() == before
    assert [path.name for path in db.parent.iterdir() if "backup" in path.name] == []


LATER = f"""
import sqlalchemy as sa
from alembic import op

revision = "{sql.SCHEMA_VERSION + 1:04}"
down_revision = "{sql.SCHEMA_VERSION:04}"


def upgrade() -> None:
    op.add_column("users", sa.Column("colour", sa.Text))
"""


@pytest.fixture
def later_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: Path) -> Path:
    """This program, one schema version on; the test's ledger, with something in it, is of the version before."""
    for line in ("register 9886977544", "create 1", "tx add 1 100 --credit --key k"):
        assert cli.run(line).code == 0
    versions = tmp_path / "versions"
    versions.mkdir()
    (versions / "later.py").write_text(LATER)
    monkeypatch.setattr(sql, "SCHEMA_VERSION", sql.SCHEMA_VERSION + 1)
    monkeypatch.setattr(migrate, "upgrade", partial(migrate.upgrade, more_versions=[versions]))
    monkeypatch.setattr(schema_check, "strange_in_sqlite", lambda _: None)  # it knows the schema of today
    return versions / "later.py"


def columns(path: Path) -> list[str]:
    with closing(apsw.Connection(str(path))) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM pragma_table_info('users')")]


def version(path: Path) -> int:
    with closing(apsw.Connection(str(path))) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


@pytest.mark.usefixtures("later_version")
def test_an_older_ledger_is_migrated_after_a_backup(db: Path) -> None:
    old = sql.SCHEMA_VERSION - 1
    backup = db.with_name(f"wallet.db.backup-v{old}")
    done = cli.run(WRITES + " --json")
    assert (done.code, done.json["balance"]) == (0, "100.00")
    assert done.err == (f"migrated the ledger from schema {old} to {old + 1}; a backup of the old one: {backup}\n")
    assert version(db) == old + 1
    assert "colour" in columns(db)
    # It is a ledger like any other from now on.
    assert cli.run("tx add 1 1 --credit").err == ""
    assert cli.run("verify --json").json == {"ok": True, "wallets": 1, "transactions": 2}
    # The backup is private and holds what was there before.
    assert mode(backup) == 0o600
    assert version(backup) == old
    assert "colour" not in columns(backup)
    with closing(apsw.Connection(str(backup))) as connection:
        assert connection.execute("SELECT wallet_id, seq, amount, key FROM transactions").fetchall() == [
            (1, 1, 10000, "k")
        ]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.usefixtures("later_version")
def test_what_root_makes_beside_somebodys_ledger_is_theirs(db: Path) -> None:
    db.with_name("wallet.db.lock").unlink()
    os.chown(db, NOBODY, NOBODY)
    assert cli.run(WRITES).code == 0
    made = {found.name: found.stat().st_uid for found in db.parent.glob("wallet.db*")}
    assert made.keys() > {"wallet.db", "wallet.db.lock"}
    assert set(made.values()) == {NOBODY}, made


def older(path: Path, to: str) -> None:
    """Make an empty ledger of an earlier version of this program, whose lock knows of no commit."""
    beside(path, ".lock").unlink(missing_ok=True)
    with closing(apsw.Connection(str(path))) as connection:
        with transaction(connection) as wrapped:
            migrate.upgrade(wrapped, to=to)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={int(to)}")


WALLET_COLUMNS = "id, user_id, type, currency, exponent, status, own_minimum, created_at_us"
TRANSACTION_COLUMNS = (
    "wallet_id, seq, is_credit, amount, credit_total, debit_total, credit_count, at_us, note, key, hash"
)
TABLES = {
    "users": "id, phone_number, phone_e164, phone_region, phone_national, name, created_at_us",
    "wallets": WALLET_COLUMNS,
    "transactions": TRANSACTION_COLUMNS,
    "operators": "name, key_hash, read_only, created_at_us, revoked_at_us, last_used_at_us",
}
"""All that schema 2 has."""


def rows(path: Path) -> dict[str, list[Any]]:
    with closing(apsw.Connection(str(path))) as connection:
        return {
            table: connection.execute(f"SELECT {names} FROM {table} ORDER BY 1, 2").fetchall()
            for table, names in TABLES.items()
        }


NEVER_WRITTEN = {
    "no row of its own": ("DELETE FROM ledger", "its own row is missing"),
    "an id that names a file": (f"UPDATE ledger SET uuid = '{'../' * 11}tmp'", "its id is not a UUID"),
    "a count that has ended": ("UPDATE ledger SET changes = 9223372036854775807", "its count of changes is 92233"),
    "a currency": ("UPDATE ledger SET currency = 'zzz!!'", "its currency is 'zzz!!'"),
    "a minimum": ("UPDATE ledger SET minimum_balance = 'abc'", "its minimum_balance is 'abc'"),
    "a region": ("UPDATE ledger SET phone_region = 'India'", "its phone_region is 'India'"),
    "a time zone": ("UPDATE ledger SET timezone = '../x'", "its timezone is '../x'"),
    "the time of a state": (
        "UPDATE ledger SET state = 'moved', other = '/x', move = 'm', since_us = 9223372036854775807",
        "a time of the state of the ledger is not within",
    ),
    "the time of a user": (
        "INSERT INTO users (id, phone_number, phone_e164, created_at_us) VALUES (1, '1', '+1', 9223372036854775807)",
        "a time of user 1 is not within",
    ),
    "the time of a key": (
        "INSERT INTO operators (name, key_hash, read_only, created_at_us, last_used_at_us)"
        " VALUES ('till', zeroblob(32), 0, 0, -9223372036854775808)",
        "a time of the operator key 'till' is not within",
    ),
}
"""What no version has written, and what is said of it."""


@pytest.mark.parametrize("what", NEVER_WRITTEN)
def test_what_no_version_has_written_is_not_taken_over(db: Path, what: str) -> None:
    """A migration tells each row in an event, after which `verify` would find all as it is told."""
    statement, said = NEVER_WRITTEN[what]
    db.unlink()
    older(db, "0007")
    engines.execute(db, statement)
    for line in ("verify", "balance 1", "seal", "register 9886977544"):
        done = cli.run(f"{line} --json")
        assert (done.code, done.out) == (7, ""), done.err
        assert said in done.err
    assert version(db) == 7
    assert not list(db.parent.glob("*.backup*"))


@pytest.fixture
def by_nobody() -> Iterator[None]:
    """What is written has no actor, as in earlier versions."""
    with somebody.nobody():
        yield


@pytest.fixture
def schema_2(db: Path, tmp_path: Path, by_nobody: None) -> Path:
    """The test's ledger, as the version before holds had it: written by this one, copied into the older schema."""
    for line in (
        "register 9886977544 --name Asha",
        "create 1 --minimum-balance 20",
        "create 1/points --currency PTS/0",
        "tx add 1 500 --credit --note '👍 Salary' --key salary",
        "tx add 1 120.50 --debit",
        "tx add 1/points 7 --credit --at 1969-07-20T20:17:40.5Z",
        "key create till-1 -q",
    ):
        assert cli.run(line).code == 0, line
    newer = tmp_path / "newer.db"
    db.rename(newer)
    older(db, "0002")
    with closing(apsw.Connection(str(db))) as connection:
        connection.execute("ATTACH DATABASE ? AS newer", (str(newer),))
        for table, names in TABLES.items():
            connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM newer.{table}")
    newer.unlink()
    return db


def test_a_ledger_from_before_holds_keeps_its_history(schema_2: Path) -> None:
    backup = schema_2.with_name("wallet.db.backup-v2")
    before = rows(schema_2)
    assert [len(found) for found in before.values()] == [1, 2, 3, 1]
    done = cli.run(WRITES)
    assert cli.run("verify --json").json == {"ok": True, "wallets": 2, "transactions": 3}
    assert done.err.startswith(
        f"migrated the ledger from schema 2 to {sql.SCHEMA_VERSION}; a backup of the old one: {backup}; its time"
        " zone is "
    )
    assert (version(schema_2), version(backup)) == (sql.SCHEMA_VERSION, 2)
    # Hashes and all: what was there is there as it was, in the ledger and in its backup.
    assert rows(schema_2) == rows(backup) == before
    assert mode(backup) == 0o600
    # It has no holds and no limits, and can have them.
    wallet = cli.run("balance 1 --json").json
    assert [wallet[name] for name in ("balance", "held", "available", "maximum_balance", "daily_debit")] == [
        *("379.50", "0.00", "359.50"),
        *(None, None),
    ]
    for line in (
        "tx add 1 500 --credit --note '👍 Salary' --key salary",
        "hold add 1 50",
        "hold capture 1-h1",
        "tx reverse 1-2 20",
        "limits 1 --daily-debit 5",
    ):
        assert cli.run(line).code == 0, line
    assert cli.run("verify --json").json == {"ok": True, "wallets": 2, "transactions": 5}


def test_a_ledger_of_the_first_version_is_brought_all_the_way(tmp_path: Path, empty_ledger: Path) -> None:
    path = tmp_path / "first.db"
    older(path, "0001")
    done = cli.run(f"--db {path} register 9886977544 -q")
    assert (done.code, done.out) == (0, "1\n")
    assert "from schema 1 to" in done.err
    assert version(path) == sql.SCHEMA_VERSION
    with closing(apsw.Connection(str(path))) as old, closing(apsw.Connection(str(empty_ledger))) as new:
        assert ddl(old) == ddl(new)


def told(db: Path, tmp_path: Path) -> Path:
    """A ledger of this version, with what one of every schema can hold."""
    engines.tell(db, engines.OF_ANY_SCHEMA)
    return db.rename(tmp_path / "newer.db")


def of_schema(path: Path, to: str, newer: Path, *, at_most: int = -1) -> None:
    """Make a ledger of an earlier schema with the rows of `newer`, or the first ones of each table."""
    older(path, to)
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("ATTACH DATABASE ? AS newer", (str(newer),))
        for table in ("users", "wallets", "transactions", *(["witnesses"] if to > "0005" else [])):
            names = [
                name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
            ]
            listed = ", ".join(names)
            connection.execute(
                f"INSERT INTO {table} ({listed}) SELECT {listed} FROM newer.{table} ORDER BY 1, 2 LIMIT {at_most}"
            )


def mark(path: Path, **values: Any) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(f"UPDATE ledger SET {', '.join(f'{name} = ?' for name in values)}", list(values.values()))


@pytest.mark.usefixtures("by_nobody")
@pytest.mark.parametrize("to", ["0002", "0003", "0004", "0005", "0006", "0007"])
def test_a_ledger_of_each_earlier_schema_is_given_its_witnesses(db: Path, tmp_path: Path, to: str) -> None:
    newer = told(db, tmp_path)
    of_schema(db, to, newer)
    # Read as it is, and then migrated.
    assert cli.run("verify --json").json == {"ok": True, "wallets": 2, "transactions": 2}
    assert version(db) == int(to)
    assert cli.run("tx add 1 1 --credit -q").out == "1-3\n"
    assert cli.run("verify --json").json == {"ok": True, "wallets": 2, "transactions": 3}
    assert cli.run(f"--db {newer} tx add 1 1 --credit -q").out == "1-3\n"
    asked = "SELECT wallet_id, seq, hash IS NULL, status, own_minimum, maximum, daily_debit, held, holds FROM witnesses"
    with closing(apsw.Connection(str(db))) as migrated, closing(apsw.Connection(str(newer))) as new:
        found = migrated.execute(asked).fetchall()
        assert found == new.execute(asked).fetchall()
        assert [row[:4] for row in found] == [(1, 3, 0, "active"), (2, 0, 1, "frozen")]


@pytest.mark.usefixtures("by_nobody")
@pytest.mark.parametrize("at_most", [0, 1, -1])
@pytest.mark.parametrize("to", ["0004", "0005", "0006", "0007"])
def test_a_move_that_an_earlier_version_began_is_finished(db: Path, tmp_path: Path, to: str, at_most: int) -> None:
    newer, there = told(db, tmp_path), tmp_path / "there.db"
    of_schema(db, to, newer)
    of_schema(there, to, newer, at_most=at_most)
    mark(db, state="moving", other=str(there), move="ab" * 16, since_us=1)
    mark(there, state="arriving", other=str(db), move="ab" * 16, since_us=1)
    moved = cli.run(f"move --to {there} --json")
    assert moved.code == 0, moved.err
    assert [moved.json[name] for name in ("moved", "users", "wallets", "transactions")] == [True, 1, 2, 2]
    assert cli.run("tx add 1 1 --credit").code == 9
    assert cli.run(f"--db {there} tx add 1 1 --credit -q").out == "1-3\n"
    assert cli.run(f"--db {there} verify --json").json == {"ok": True, "wallets": 2, "transactions": 3}


@pytest.mark.usefixtures("by_nobody")
@pytest.mark.parametrize("there", [2, 4, -1], ids=["a user", "the wallets", "all but the end"])
@pytest.mark.parametrize("to", ["0005", "0006", "0007"])
def test_an_import_that_an_earlier_version_began_is_finished(db: Path, tmp_path: Path, to: str, there: int) -> None:
    lines = [
        line
        for line in cli.run(f"--db {told(db, tmp_path)} export").out.splitlines()
        if '"record":"event"' not in line  # there were none
    ]
    lines[-1] = json.dumps({"record": "end", "records": len(lines) - 1})
    part, whole, begun = tmp_path / "part.jsonl", tmp_path / "whole.jsonl", tmp_path / "begun.db"
    part.write_text("\n".join(lines[:there]))
    whole.write_text("\n".join(lines))
    assert cli.run(f"--db {begun} import {part}").code == 4
    of_schema(db, to, begun)
    mark(db, restoring=1)
    done = cli.run(f"import {whole} --json")
    assert done.code == 0, done.err
    assert cli.run("verify --json").json == {"ok": True, "wallets": 2, "transactions": 2}
    assert cli.run("tx add 1 1 --credit -q").out == "1-3\n"
    told_of = [event["event"] for event in cli.run("audit --all --json").json["events"]]
    assert sorted(told_of) == ["adopted", "adopted", "adopted", "migrated", "restored"]


@pytest.mark.usefixtures("by_nobody")
@pytest.mark.parametrize("to", ["0001", "0002", "0007"])
def test_a_ledger_without_keys_is_migrated_and_not_made(tmp_path: Path, to: str) -> None:
    path = tmp_path / "old.db"
    older(path, to)
    assert cli.run(f"--db {path} register 9886977544").code == 0
    events = cli.run(f"--db {path} audit --all --json").json["events"]
    assert [event["event"] for event in events if event["of"] == "ledger"] == ["migrated"]


def ddl(connection: Any) -> list[Any]:
    return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


@pytest.mark.parametrize("facts", [LedgerFacts(), LedgerFacts(currency="JPY", timezone="Asia/Tokyo")])
def test_a_new_ledger_is_as_all_the_migrations_make_it(facts: LedgerFacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=1))
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)

    def made_by(maker: Callable[[apsw.Connection, LedgerFacts, str | None], None]) -> dict[str, Any]:
        with closing(apsw.Connection("")) as connection:
            maker(connection, facts, "asha")
            statements = ddl(connection)
            tables = [name for name, sql in statements if sql and sql.startswith("CREATE TABLE")]
            found = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
            return (
                found
                | {name: connection.pragma(name) for name in ("application_id", "user_version")}
                | {"": statements}
            )

    at_once = made_by(make)
    assert at_once == made_by(upgrade)
    assert at_once["ledger"] != []


def test_a_migration_that_is_cut_short_leaves_the_older_ledger_whole(
    schema_2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(schema_2)

    def cut_short(connection: Any, **more: Any) -> None:
        migrate_upgrade(connection, **more)
        raise StorageError("cut short")

    migrate_upgrade = migrate.upgrade
    monkeypatch.setattr(migrate, "upgrade", cut_short)
    assert cli.run(WRITES).code == 7
    assert cli.run("verify --json").code == 7
    assert (version(schema_2), rows(schema_2)) == (2, before)
    monkeypatch.undo()
    assert cli.run(f"--db {schema_2} verify -q").out == "3\n"


def test_a_backup_opens_with_the_version_that_made_it(
    db: Path, later_version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.run(WRITES).code == 0
    monkeypatch.undo()
    backup = db.with_name(f"wallet.db.backup-v{sql.SCHEMA_VERSION}")
    assert cli.run(f"--db {backup} balance 1 -q") == (0, "100.00\n", "")


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(db: Path, later_version: Path) -> None:
    later_version.write_text(LATER + "    op.execute('SELECT no_such_function()')\n")
    for line in (WRITES, "balance 1 --json"):
        done = cli.run(line)
        assert done.code != 0
        assert done.out == ""
    assert version(db) == sql.SCHEMA_VERSION - 1
    assert "colour" not in columns(db)
    later_version.write_text(LATER)
    assert cli.run("balance 1 -q").out == "100.00\n"


@pytest.mark.usefixtures("later_version")
def test_of_two_processes_one_migrates(db: Path) -> None:
    told: list[str] = []

    @contextmanager
    def turn_that_comes_late(_name: str) -> Iterator[None]:
        # While this one waits for its turn, another process has it.
        open_store(db, 0.0, no_turn, told.append).close()
        yield

    open_store(db, 0.0, turn_that_comes_late, told.append).close()
    assert [line.split()[0] for line in told] == ["migrated"]
    assert version(db) == sql.SCHEMA_VERSION


def test_of_two_processes_one_makes_the_ledger(tmp_path: Path, empty_ledger: Path) -> None:
    path, told = tmp_path / "w.db", []

    @contextmanager
    def turn_that_comes_late(_name: str) -> Iterator[None]:
        shutil.copyfile(empty_ledger, path)
        yield

    open_store(path, 0.0, turn_that_comes_late, told.append, Purpose.MAKE).close()
    assert told == []
    assert path.read_bytes()[:16] == empty_ledger.read_bytes()[:16]


def test_an_old_sqlite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(StorageError, match=r"SQLite 3\.51\.2 is too old"):
        open_store(tmp_path / "w.db", 0.0, no_turn, print)
    assert list(tmp_path.iterdir()) == []
