"""The tables of a ledger are those of its own schema, whatever else somebody puts where names are looked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
import pytest
from support import cli, postgres

from wallet_cli import settings
from wallet_cli.operations.context import open_ledger
from wallet_cli.storage.postgres import PostgresStore

pytestmark = pytest.mark.postgres

ROLE = "till_of_the_tests"
OTHER = "stranger_of_the_tests"


@pytest.fixture
def url() -> Iterator[str]:
    """A database with no ledger yet, as a role that is no superuser and owns it."""
    databases = postgres.databases()
    made = databases.new(empty=True)
    name = postgres.database_in(made)
    for role in (ROLE, OTHER):
        with contextlib.suppress(psycopg.errors.DuplicateObject):
            databases.execute(f"CREATE ROLE {role} LOGIN")
    databases.execute(f"ALTER DATABASE {name} OWNER TO {ROLE}")
    yield postgres.connected_as(made, ROLE)
    databases.execute(f"DROP DATABASE {name} WITH (FORCE)")
    for role in (ROLE, OTHER):
        databases.execute(f"DROP ROLE {role}")


@pytest.fixture(params=["direct", "pooled"])
def way(url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "direct":
        yield url
        return
    assert run(url, "register 9886977544").code == 0  # the pool is of a database that is there
    with postgres.pooled(url, sessions=2) as through:
        yield through


def run(url: str, line: str) -> cli.Outcome:
    return cli.run(["--db", url, *line.split()])


def as_superuser(url: str, *statements: str) -> None:
    superuser = postgres.named(postgres.databases().url, postgres.database_in(url))
    with psycopg.connect(superuser, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


SHADOWS = (
    f"CREATE SCHEMA {ROLE} AUTHORIZATION {OTHER}",
    f"GRANT ALL ON SCHEMA {ROLE} TO PUBLIC",
    f"CREATE TABLE {ROLE}.wallets (LIKE public.wallets INCLUDING ALL)",
    f"CREATE TABLE {ROLE}.transactions (LIKE public.transactions INCLUDING ALL)",
    f"CREATE TABLE {ROLE}.users (LIKE public.users INCLUDING ALL)",
    f"CREATE TABLE {ROLE}.holds (LIKE public.holds INCLUDING ALL)",
    f"CREATE TABLE {ROLE}.operators (LIKE public.operators INCLUDING ALL)",
    f"CREATE TABLE {ROLE}.ledger (LIKE public.ledger INCLUDING ALL)",
    f"INSERT INTO {ROLE}.ledger SELECT * FROM public.ledger",
    f"INSERT INTO {ROLE}.operators (name, key_hash, read_only, created_at_us)"
    " SELECT 'mine', decode(repeat('00', 32), 'hex'), 0, 1",
    f"CREATE FUNCTION {ROLE}.length(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
    f"GRANT ALL ON ALL TABLES IN SCHEMA {ROLE} TO PUBLIC",
)
"""Another role makes a schema of the wallet's name, and in it all tables of a ledger, with a key of its own."""


def test_a_schema_with_the_name_of_the_role_shadows_nothing(way: str, url: str) -> None:
    for line in ("register 9886977541", "create +919886977541", "tx add +919886977541 500 --credit"):
        assert run(way, line).code == 0
    as_superuser(url, *SHADOWS)
    assert run(way, "balance +919886977541 -q").out == "500.00\n"
    assert run(way, "tx add +919886977541 20 --debit --key k").code == 0
    assert run(way, "balance +919886977541 -q").out == "480.00\n"
    assert "mine" not in run(way, "key list -q").out
    assert run(way, "export").out.count("\n") > 3
    assert run(way, "verify").code == 0
    assert run(way, "statement +919886977541 -o csv").out.count("\n") == 3


def test_every_statement_of_a_pool_finds_the_same_tables(url: str) -> None:
    """Whichever session serves it, and whatever others have left behind there."""
    assert run(url, "register 9886977542 -q").code == 0
    as_superuser(url, *SHADOWS)
    with (
        postgres.pooled(url, sessions=1) as through,
        open_ledger(settings.load({"db": through}, {}), lambda _: None) as ledger,
    ):
        assert isinstance(ledger.store, PostgresStore)
        ledger.store.connection.execute(f"SET search_path = {ROLE}, public".encode())
        assert ledger.store.user_by_e164("+919886977542") is not None
        assert [user.id for user in ledger.store.users()] == [1]
        with ledger.store.snapshot():
            assert ledger.store.user_by_id(1) is not None
        with ledger.store.exclusively():
            assert ledger.store.user_by_id(1) is not None
        assert ledger.store.ledger_id()
        assert ledger.store.operators() == []


def test_temporary_tables_come_last(url: str) -> None:
    assert run(url, "register 9886977544").code == 0
    with open_ledger(settings.load({"db": url}, {}), lambda _: None) as ledger:
        assert isinstance(ledger.store, PostgresStore)
        ledger.store.connection.execute("CREATE TEMPORARY TABLE users (LIKE public.users)")
        assert ledger.store.user_by_id(1) is not None


@pytest.mark.parametrize("schema", ["of its own", "till_of_the_tests"])
def test_a_schema_that_was_chosen_is_the_ledgers(url: str, schema: str) -> None:
    """By whoever sets up the role, or as the role's own schema, whatever its name."""
    as_superuser(url, f'CREATE SCHEMA "{schema}" AUTHORIZATION {ROLE}')
    if schema != ROLE:
        as_superuser(url, f'ALTER ROLE {ROLE} SET search_path = "{schema}", public')
    assert run(url, "register 9886977544").code == 0
    assert run(url, "users -q").out == "1\n"
    with psycopg.connect(url) as connection:
        assert connection.execute(f'SELECT count(*) FROM "{schema}".users'.encode()).fetchone() == (1,)
        assert connection.execute("SELECT to_regclass('public.users')").fetchone() == (None,)
