"""What PostgreSQL is told to do with rows, other than the migrations say, is found by `wallet verify`."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from support import engines, postgres
from support.cli import run
from support.engines import execute

pytestmark = postgres.MARKS

STORY = ("register 9886977544", "create 1", "tx add 1 500 --credit", "hold add 1 20")


@pytest.fixture
def url() -> Iterator[str]:
    made = postgres.databases().new(of=postgres.made_once("schema", lambda new: engines.tell(new, STORY)))
    yield made
    postgres.databases().execute(f"DROP DATABASE {postgres.database_in(made)} WITH (FORCE)")


HIDDEN = "CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
AGAIN = "ALTER TABLE {0} DROP CONSTRAINT {1}, ADD CONSTRAINT {1} {2}"
TO_WALLETS = "FOREIGN KEY (wallet_id) REFERENCES wallets"
REPLACED = {
    "another kind of constraint": (AGAIN.format("holds", "fk_holds_wallet_id", "CHECK (true)"), "fk_holds_wallet_id"),
    "another target": (
        AGAIN.format("witnesses", "fk_witnesses_wallet_id", "FOREIGN KEY (wallet_id) REFERENCES witnesses"),
        "fk_witnesses_wallet_id",
    ),
    "an action": (
        AGAIN.format("holds", "fk_holds_wallet_id", f"{TO_WALLETS} ON DELETE CASCADE"),
        "fk_holds_wallet_id",
    ),
    "a foreign key that waits": (
        AGAIN.format("holds", "fk_holds_wallet_id", f"{TO_WALLETS} DEFERRABLE INITIALLY DEFERRED"),
        "fk_holds_wallet_id",
    ),
    "a unique key that waits": (
        AGAIN.format("users", "uq_users_phone_e164", "UNIQUE (phone_e164) DEFERRABLE"),
        "uq_users_phone_e164",
    ),
    "more columns in a unique key": (
        AGAIN.format("users", "uq_users_phone_e164", "UNIQUE (phone_e164, id)"),
        "uq_users_phone_e164",
    ),
    "other columns in a check": (AGAIN.format("users", "ck_users_key", "CHECK (length(name) > 0)"), "ck_users_key"),
    "a foreign key that is not enforced": ("ALTER TABLE holds DISABLE TRIGGER ALL", "holds"),
    "a trigger that looks internal": (f"{HIDDEN}; UPDATE pg_trigger SET tgisinternal = true WHERE tgname = 't'", "t"),
    "a default": ("ALTER TABLE users ALTER name SET DEFAULT 'x'", "name text"),
    "another default": ("ALTER TABLE wallets ALTER held SET DEFAULT 5", "held bigint"),
    "another collation": ('ALTER TABLE users ALTER key TYPE text COLLATE "C"', "key text"),
    "row security": ("ALTER TABLE users ENABLE ROW LEVEL SECURITY", "row security"),
    "row security for its owner": ("ALTER TABLE users FORCE ROW LEVEL SECURITY", "row security"),
    "a child": ("CREATE TABLE more () INHERITS (transactions)", "child more"),
    "a parent": ("CREATE TABLE less (name text); ALTER TABLE users INHERIT less", "parent less"),
    "an index in another order": (
        "DROP INDEX ix_holds_open;"
        " CREATE INDEX ix_holds_open ON holds (wallet_id, expires_at_us DESC) WHERE status = 'open'",
        "ix_holds_open",
    ),
    "a trigger on the schema's own version": (
        "CREATE TRIGGER t BEFORE UPDATE ON alembic_version FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger t of table alembic_version",
    ),
    "no key for the schema's own version": (
        "ALTER TABLE alembic_version DROP CONSTRAINT alembic_version_pkc",
        "alembic_version_pkc",
    ),
    "a column beside the schema's own version": ("ALTER TABLE alembic_version ADD more text", "more text"),
    "the index of a primary key": (
        "UPDATE pg_index SET indisunique = false WHERE indexrelid = 'pk_events'::regclass",
        "pk_events",
    ),
}
"""What is put in the place of a part of the schema, or beside it, under a name that is right; and what is named."""


@pytest.mark.parametrize("versions", [("0007", "0008"), ("0008", "xx")])
def test_a_second_version_is_damage_to_every_command(url: str, versions: tuple[str, ...]) -> None:
    execute(url, "DELETE FROM alembic_version; INSERT INTO alembic_version VALUES ('{}'), ('{}')".format(*versions))
    for command in ("verify", "balance 1", "credit 1 5", "doctor"):
        done = run(f"--db {url} {command} --json")
        told = done.out if command == "doctor" else done.error["message"]
        assert (done.code, "alembic_version has 2 rows" in told) == (7, True), done


def test_a_check_that_is_not_enforced_is_found(url: str) -> None:
    """PostgreSQL 18 has such checks."""
    with psycopg.connect(url) as server:
        if server.info.server_version < 180000:
            pytest.skip("this server enforces every check")
    execute(url, AGAIN.format("users", "ck_users_key", "CHECK (length(key) > 0) NOT ENFORCED"))
    done = run(f"--db {url} verify --json")
    assert (done.code, "ck_users_key" in done.error["details"]["reason"]) == (7, True), done.err


@pytest.mark.parametrize("name", REPLACED)
def test_a_part_of_the_schema_that_was_replaced_is_found(url: str, name: str) -> None:
    assert run(f"--db {url} verify").code == 0
    statements, words = REPLACED[name]
    execute(url, statements)
    done = run(f"--db {url} verify --json")
    assert (done.code, words in done.error["details"]["reason"]) == (7, True), done.err


def test_a_foreign_key_that_older_rows_need_not_keep_is_checked(url: str) -> None:
    execute(url, AGAIN.format("holds", "fk_holds_wallet_id", f"{TO_WALLETS} NOT VALID"))
    assert run(f"--db {url} verify").code == 0
    execute(url, "SET session_replication_role = replica; UPDATE holds SET wallet_id = 7")
    with engines.opened(url) as ledger:
        assert ledger.store.strange_schema() == "a row of table holds does not keep fk_holds_wallet_id"
