"""Opening a database: an empty one becomes a ledger, and an older one is migrated, once and wholly or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from support import cli, engines, postgres, somebody
from support.server import process

from wallet_cli.errors import StorageError
from wallet_cli.storage import migrate, sql
from wallet_cli.storage import postgres as storage

pytestmark = postgres.MARKS

CLERK = "clerk_of_the_tests"
VERSIONS = [f"{number:04}" for number in range(2, sql.SCHEMA_VERSION)]
WITNESSES = "SELECT wallet_id, seq, hash, status, own_minimum, held, holds FROM witnesses ORDER BY wallet_id"


@pytest.fixture
def empty() -> Iterator[str]:
    """A database with no table."""
    yield from dropped(postgres.databases().new(empty=True))


@pytest.fixture
def newer() -> Iterator[str]:
    """A ledger of this version, of whose changes nobody is known to have made them."""
    for url in dropped(postgres.databases().new()):
        with somebody.nobody():
            engines.tell(url, engines.OF_ANY_SCHEMA)
        yield url


def dropped(url: str) -> Iterator[str]:
    yield url
    postgres.databases().execute(f"DROP DATABASE {postgres.database_in(url)} WITH (FORCE)")


def rows(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode()).fetchall()


def older(url: str, newer: str, to: str) -> None:
    """Fill an empty database with what a ledger of an earlier schema would have of `newer`."""
    engine = sqlalchemy.create_engine(f"postgresql+psycopg{url.removeprefix('postgresql')}")
    with engine.begin() as connection:
        migrate.upgrade(connection, to=to)
    engine.dispose()
    for table in ("users", "wallets", "transactions", *(["witnesses"] if to > "0005" else [])):
        found = rows(url, f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'")
        names = ", ".join(name for (name,) in found)
        with psycopg.connect(url) as connection, connection.cursor() as cursor:
            values = ", ".join(["%s"] * len(found))
            cursor.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({values})".encode(), rows(newer, f"SELECT {names} FROM {table}")
            )


def version(url: str) -> str:
    [(found,)] = rows(url, "SELECT version_num FROM alembic_version")
    return str(found)


@pytest.mark.parametrize("to", VERSIONS)
def test_a_ledger_of_an_earlier_schema_is_migrated_by_the_first_write(empty: str, newer: str, to: str) -> None:
    older(empty, newer, to)
    refused = cli.run(f"--db {empty} balance 1")
    assert (refused.code, version(empty)) == (7, to)
    assert f"this ledger has schema {int(to)}" in refused.err
    with somebody.nobody():
        done = cli.run(f"--db {empty} tx add 1 1 --credit -q")
        assert cli.run(f"--db {newer} tx add 1 1 --credit -q").out == done.out == "1-3\n"
    assert f"migrated the ledger from schema {int(to)} to {sql.SCHEMA_VERSION}" in done.err
    assert cli.run(f"--db {empty} verify --json").json == {"ok": True, "wallets": 2, "transactions": 3}
    found = rows(empty, WITNESSES)
    assert [row[:2] + row[3:] for row in found] == [row[:2] + row[3:] for row in rows(newer, WITNESSES)]


def granted(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {CLERK}".encode())


@pytest.mark.skipif(postgres.is_given(), reason="needs a server on a socket of this machine")
@pytest.mark.parametrize("line", ["tx add 1 1 --credit", "seal new.seal", "receipt 1-1"])
def test_who_does_not_own_the_tables_is_sent_to_their_owner(
    empty: str, newer: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made of the ledger has events of its migration: a seal and a receipt migrate it as well."""
    monkeypatch.chdir(tmp_path)
    older(empty, newer, VERSIONS[-1])
    with postgres.one_at_a_time(CLERK):
        if not rows(empty, f"SELECT 1 FROM pg_roles WHERE rolname = '{CLERK}'"):
            postgres.databases().execute(f"CREATE ROLE {CLERK} LOGIN")
    granted(empty)
    clerk = postgres.connected_as(empty, CLERK)
    for create in ("REVOKE", "GRANT"):
        with psycopg.connect(empty) as connection:
            to = "FROM" if create == "REVOKE" else "TO"
            connection.execute(f"{create} CREATE ON SCHEMA public {to} {CLERK}".encode())
        for command in (line, "balance 1"):
            refused = cli.run(["--db", clerk, *command.split()])
            assert (refused.code, version(empty)) == (7, VERSIONS[-1])
            assert f"hint: {storage.OWNER_MIGRATES}\n" in refused.err
    assert cli.run(["--db", empty, *line.split()]).code == 0
    assert version(empty) == f"{sql.SCHEMA_VERSION:04}"
    granted(empty)  # to what is new
    assert cli.run(["--db", clerk, *line.replace("new", "next").split()]).code == 0


@pytest.mark.parametrize("to", [None, VERSIONS[0], VERSIONS[-1]])
def test_what_fails_leaves_the_database_as_it_was(
    empty: str, newer: str, to: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if to is not None:
        older(empty, newer, to)

    def cut_short(connection: Any, **more: Any) -> None:
        whole(connection, **more)
        raise StorageError("cut short")

    tables = (
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    before = rows(empty, tables)
    whole = migrate.upgrade
    monkeypatch.setattr(migrate, "upgrade", cut_short)
    assert cli.run(f"--db {empty} register 9886977545").code == 7
    assert rows(empty, tables) == before
    monkeypatch.undo()
    assert cli.run(f"--db {empty} register 9886977545 -q").out == ("1\n" if to is None else "2\n")


@pytest.mark.parametrize("to", [None, VERSIONS[0], VERSIONS[-1]])
def test_of_many_processes_one_makes_or_migrates_the_ledger(
    empty: str, newer: str, to: str | None, tmp_path: Path
) -> None:
    if to is not None:
        older(empty, newer, to)
    lines = [f"--db {empty} register 988697755{number} -q" for number in range(4)]
    with ThreadPoolExecutor(len(lines)) as pool:
        done = list(pool.map(lambda line: process(tmp_path, line), lines))
    assert [each.code for each in done] == [0] * len(lines), done
    assert sorted(" ".join(each.err.split()[:2]) for each in done) == [
        "",
        "",
        "",
        "created a" if to is None else "migrated the",
    ]
    events = json.loads(process(tmp_path, f"--db {empty} audit --all --json").out)["events"]
    assert [each["event"] for each in events if each["of"] == "ledger"] == ["made" if to is None else "migrated"]
