"""The schema: one truth, made by migrations, which refuses what the rules refuse."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel

from wallet_cli.operations.context import Ledger
from wallet_cli.storage import glimpse, sql, tables
from wallet_cli.storage.dbapi import transaction
from wallet_cli.storage.migrate import MIGRATIONS
from wallet_cli.storage.queries import AT_ONCE
from wallet_cli.storage.sqlite import APPLICATION_ID

pytestmark = pytest.mark.on_file("test_postgres_opening.py and test_postgres_plans.py have the other schema")


@pytest.fixture
def raw(db: Path) -> Iterator[Any]:
    """The test's ledger through SQLite alone, with one user and one wallet in it."""
    with closing(apsw.Connection(str(db))) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("INSERT INTO users VALUES (1, '1', '+911', 'IN', '1', NULL, 0, NULL)")
        for id_, type_ in ((1, "main"), (2, "savings")):
            facts = (id_, 1, type_, "INR", 2, "active", None, 0, None, None, 0, 0, None, None)
            connection.execute(sql.UPSERT_WALLET, facts)
        yield connection


def schema(connection: Any) -> dict[str, str]:
    """Name → DDL of everything in a database, with spacing, quotes and the order of a table's parts evened out."""
    found = {}
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'")
    for name, ddl in rows.fetchall():
        plain = re.sub(r"\s+", " ", ddl.replace('"', "")).strip()
        head, _, rest = plain.partition("(")
        body, _, options = rest.rpartition(")")
        parts = sorted(part.strip() for part in re.split(r",(?![^(]*\))", body))
        found[name] = f"{head.strip()} ({', '.join(parts)}) {options.strip()}"
    return found


def test_migrations_make_the_schema_of_the_tables(db: Path) -> None:
    assert tables.UserRow.__tablename__ == "users"
    with closing(apsw.Connection(str(db))) as migrated, closing(apsw.Connection(":memory:")) as declared:
        with transaction(declared) as wrapped:
            SQLModel.metadata.create_all(wrapped)
        expected = schema(declared)
        assert schema(migrated) == expected
    assert {"ledger", "users", "wallets", "holds", "transactions", "operators", "witnesses", "events"} <= set(expected)
    assert {"uq_transactions_wallet_id_key_user_key", "ix_transactions_wallet_id_reverses"} <= set(expected)
    assert {"uq_holds_wallet_id_key", "ix_holds_open"} <= set(expected)
    for name in ("transactions", "holds", "witnesses"):
        assert expected[name].endswith("WITHOUT ROWID, STRICT")


def test_the_schema_version_is_that_of_the_newest_migration(db: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == f"{sql.SCHEMA_VERSION:04}"
    with closing(apsw.Connection(str(db))) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (sql.SCHEMA_VERSION,)
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            (f"{sql.SCHEMA_VERSION:04}",)
        ]


def test_every_table_is_strict(raw: Any) -> None:
    listed = raw.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
    strict = {name: bool(value) for name, value in listed if not name.startswith(("sqlite_", "alembic_"))}
    assert set(strict.values()) == {True}
    assert set(strict) == {"ledger", "users", "wallets", "holds", "transactions", "operators", "witnesses", "events"}


TRANSACTION: dict[str, Any] = {
    "wallet_id": 1,
    "seq": 1,
    "is_credit": 1,
    "amount": 5,
    "credit_total": 5,
    "debit_total": 0,
    "credit_count": 1,
    "at_us": 0,
    "note": None,
    "key": "k",
    "hash": bytes(32),
    "meta": '{"a":1}',
    "peer_wallet_id": 2,
    "peer_seq": 1,
    "reverses": 1,
    "hold": 1,
    "forced": 1,
    "user_key": 0,
}
MAY_BE_NULL = ("note", "key", "meta", "peer_wallet_id", "peer_seq", "reverses", "hold")
WALLET: dict[str, Any] = {
    "id": 9,
    "user_id": 1,
    "type": "other",
    "currency": "INR",
    "exponent": 2,
    "status": "active",
    "own_minimum": None,
    "created_at_us": 0,
    "maximum": 10**15,
    "daily_debit": 0,
    "held": 9 * 10**18,
    "holds": 7,
}
HOLD: dict[str, Any] = {
    "wallet_id": 1,
    "number": 1,
    "amount": 5,
    "captured": 0,
    "status": "open",
    "created_at_us": 0,
    "expires_at_us": 9,
    "ended_at_us": None,
    "note": None,
    "key": "k",
}
USER: dict[str, Any] = {
    "id": 9,
    "phone_number": "2",
    "phone_e164": "+912",
    "phone_region": "IN",
    "phone_national": "2",
    "name": None,
    "created_at_us": 0,
}
WITNESS: dict[str, Any] = {"wallet_id": 2, "seq": 1, "hash": bytes(32)}
ROWS = {"transactions": TRANSACTION, "wallets": WALLET, "holds": HOLD, "users": USER, "witnesses": WITNESS}


def insert(connection: Any, table: str, **changes: Any) -> None:
    values = ROWS[table] | changes
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)


@pytest.mark.parametrize("table", ROWS)
def test_a_row_as_the_rules_make_it_is_taken(raw: Any, table: str) -> None:
    insert(raw, table)


BAD = [
    *[("transactions", name, None) for name in TRANSACTION if name not in MAY_BE_NULL],
    *[("wallets", name, None) for name in WALLET if name not in ("id", "own_minimum", "maximum", "daily_debit")],
    *[("holds", name, None) for name in HOLD if name not in ("ended_at_us", "note", "key")],
    *[("holds", name, "five") for name, value in HOLD.items() if isinstance(value, int)],
    *[("holds", name, 0.5) for name, value in HOLD.items() if isinstance(value, int)],
    *[("wallets", name, text) for name in ("maximum", "daily_debit", "held", "holds") for text in ("five", 0.5)],
    *[("users", name, None) for name in ("phone_number", "phone_e164", "created_at_us")],
    *[("transactions", name, "five") for name, value in TRANSACTION.items() if isinstance(value, int)],
    *[("transactions", name, 0.5) for name, value in TRANSACTION.items() if isinstance(value, int)],
    # 2**63 as SQL text would write it: a REAL, where columns are not STRICT.
    *[("transactions", name, float(2**63)) for name, value in TRANSACTION.items() if isinstance(value, int)],
    ("transactions", "seq", 0),
    ("transactions", "seq", -1),
    ("transactions", "is_credit", 2),
    ("transactions", "amount", 0),
    ("transactions", "amount", -5),
    ("transactions", "amount", 10**15 + 1),
    ("transactions", "credit_total", -1),
    ("transactions", "credit_total", 9 * 10**18 + 1),
    ("transactions", "debit_total", -1),
    ("transactions", "debit_total", 9 * 10**18 + 1),
    ("transactions", "credit_count", -1),
    ("transactions", "credit_count", 2),
    ("transactions", "note", b"bytes"),
    ("transactions", "key", ""),
    ("transactions", "key", "x" * 256),
    ("transactions", "hash", b"short"),
    ("transactions", "hash", "x" * 32),
    ("transactions", "wallet_id", 99),
    ("transactions", "meta", "x" * 4097),
    ("transactions", "meta", b"{}"),
    ("transactions", "peer_wallet_id", 0),
    ("transactions", "peer_wallet_id", -1),
    ("transactions", "peer_seq", 0),
    ("transactions", "reverses", 0),
    ("transactions", "hold", 0),
    ("transactions", "forced", 2),
    ("transactions", "forced", -1),
    ("holds", "wallet_id", 99),
    ("holds", "number", 0),
    ("holds", "amount", 0),
    ("holds", "amount", -5),
    ("holds", "amount", 10**15 + 1),
    ("holds", "captured", -1),
    ("holds", "captured", 6),
    ("holds", "status", "frozen"),
    ("holds", "status", "captured"),
    ("holds", "status", "voided"),
    ("holds", "status", "expired"),
    ("holds", "ended_at_us", 5),
    ("holds", "note", b"bytes"),
    ("holds", "key", ""),
    ("holds", "key", "x" * 256),
    ("wallets", "maximum", 10**15 + 1),
    ("wallets", "maximum", -(10**15) - 1),
    ("wallets", "daily_debit", -1),
    ("wallets", "daily_debit", 10**15 + 1),
    ("wallets", "held", -1),
    ("wallets", "held", 9 * 10**18 + 1),
    ("wallets", "holds", -1),
    ("wallets", "id", 1),
    ("wallets", "type", ""),
    ("wallets", "type", "x" * 33),
    ("wallets", "type", "main"),
    ("wallets", "user_id", 99),
    ("wallets", "exponent", -1),
    ("wallets", "exponent", 19),
    ("wallets", "exponent", "two"),
    ("wallets", "status", "open"),
    ("wallets", "own_minimum", "none"),
    ("wallets", "own_minimum", 10**15 + 1),
    ("wallets", "own_minimum", -(10**15) - 1),
    ("witnesses", "wallet_id", 99),
    ("witnesses", "seq", -1),
    ("witnesses", "seq", 0),
    ("witnesses", "hash", None),
    ("witnesses", "hash", b"short"),
    ("users", "id", 1),
    ("users", "phone_e164", "+911"),
    ("users", "phone_e164", "911"),
    ("users", "phone_national", None),
    ("users", "phone_region", None),
    ("users", "phone_national", "1"),
]


@pytest.mark.parametrize(("table", "column", "value"), BAD)
def test_what_the_rules_would_refuse_the_schema_refuses_too(raw: Any, table: str, column: str, value: Any) -> None:
    with pytest.raises(apsw.ConstraintError):
        insert(raw, table, **{column: value})


def test_an_integer_that_sql_cannot_hold_is_refused(raw: Any) -> None:
    for text in (str(2**63), f"-{2**63 + 1}"):
        with pytest.raises(apsw.ConstraintError):
            raw.execute(f"UPDATE wallets SET own_minimum = {text}")
    insert(raw, "transactions")
    with pytest.raises(apsw.ConstraintError):
        raw.execute("UPDATE transactions SET credit_total = 9223372036854775807 + 1")


def test_a_key_is_unique_within_its_wallet_alone_and_none_may_be_many(raw: Any) -> None:
    insert(raw, "transactions")
    insert(raw, "transactions", wallet_id=2)
    with pytest.raises(apsw.ConstraintError, match=r"wallet_id.*key"):
        insert(raw, "transactions", seq=2)
    insert(raw, "transactions", seq=2, key=None)
    insert(raw, "transactions", seq=3, key=None)
    with pytest.raises(apsw.ConstraintError, match="seq"):
        insert(raw, "transactions", seq=3, key=None)


@pytest.mark.parametrize("table", ROWS)
def test_what_a_row_need_not_have_it_may_lack(raw: Any, table: str) -> None:
    nullable = {"transactions": MAY_BE_NULL, "wallets": ("own_minimum", "maximum", "daily_debit"), "holds": ("key",)}
    nullable["witnesses"] = ("maximum",)
    insert(raw, table, **dict.fromkeys(nullable.get(table, ("name",))))


@pytest.mark.parametrize("status", ["captured", "voided", "expired"])
def test_a_hold_that_has_ended_says_when(raw: Any, status: str) -> None:
    insert(raw, "holds", status=status, ended_at_us=9, captured=5)
    with pytest.raises(apsw.ConstraintError, match="ended_at_us"):
        raw.execute("UPDATE holds SET ended_at_us = NULL")


def test_the_key_of_a_hold_is_unique_within_its_wallet_alone(raw: Any) -> None:
    insert(raw, "holds")
    insert(raw, "holds", wallet_id=2)
    with pytest.raises(apsw.ConstraintError, match=r"wallet_id.*key"):
        insert(raw, "holds", number=2)
    insert(raw, "holds", number=2, key=None)
    insert(raw, "holds", number=3, key=None)
    with pytest.raises(apsw.ConstraintError, match="number"):
        insert(raw, "holds", number=3, key=None)


def test_rows_of_an_older_version_say_nothing_more(raw: Any) -> None:
    """What a program that knows schema 2 alone would insert."""
    raw.execute(
        "INSERT INTO wallets (id, user_id, type, currency, exponent, status, own_minimum, created_at_us)"
        " VALUES (3, 1, 'old', 'INR', 2, 'active', NULL, 0)"
    )
    raw.execute(
        "INSERT INTO transactions"
        " (wallet_id, seq, is_credit, amount, credit_total, debit_total, credit_count, at_us, hash)"
        " VALUES (3, 1, 1, 5, 5, 0, 1, 0, zeroblob(32))"
    )
    (wallet,) = [each for each in map(sql.to_wallet, raw.execute(sql.ALL_WALLETS)) if each.id == 3]
    assert wallet[7:] == (None, None, 0, 0, None, None)
    (transaction,) = map(sql.to_transaction, raw.execute(sql.OLDEST_FIRST, {"wallet_id": 3}))
    assert (transaction.remarks.meta, *transaction[10:-1]) == (None, None, None, None, None, False, False, None)


def test_what_has_history_cannot_be_deleted(raw: Any) -> None:
    insert(raw, "transactions")
    with pytest.raises(apsw.ConstraintError):
        raw.execute("DELETE FROM wallets WHERE id = 1")
    with pytest.raises(apsw.ConstraintError):
        raw.execute("DELETE FROM users WHERE id = 1")


STATEMENTS = {
    name: text
    for name, text in vars(sql).items()
    if name.isupper() and not name.startswith("_") and isinstance(text, str)
}
FILTERS = {
    "nothing": sql.Filter(),
    "credits": sql.Filter(is_credit=True),
    "debits": sql.Filter(is_credit=False),
    **{origin: sql.Filter(origin=origin) for origin in sql.ORIGINS},
    "amounts": sql.Filter(least=1, most=2),
    "text": sql.Filter(text="100%_\\"),
    "a key": sql.Filter(key="k"),
    "all at once": sql.Filter(True, "capture", 1, 2, "tea", "k"),
}
MADE = {
    **{f"accounts_by_ids({count})": sql.accounts_by_ids(count) for count in (1, 2, AT_ONCE)},
    **{f"transactions_by_keys({count})": sql.transactions_by_keys(count) for count in (1, 2, AT_ONCE)},
    **{f"filtered({name})": sql.filtered(wanted)[0] for name, wanted in FILTERS.items()},
}
"""Statements that are put together when they are needed."""

STATEMENTS |= MADE
STRAYS = {"STRAY_HOLDS", "STRAY_WITNESSES"}
WALKS = {"AS_MANY", "SUMS", "COUNT_OF_EVENTS", "ALL_WALLETS", "ALL_HOLDS", "ALL_USERS", "ALL_OPERATORS", *STRAYS}
"""These are to read everything: `verify` and `export` run them; operators are few."""

SORTED = {"ACCOUNTS_OF_USER", "ACCOUNTS_OF_USER_AFTER", "LAPSED_HOLDS", "WRONG_CAPTURED"}
"""A person's few wallets are sorted, and the few holds that nobody has noted as expired; `verify` groups captures by
their holds. History never is."""

WITHIN = r"halves|resets?|ids|pairs|CONSTANT|[0-9]+-ROW VALUES|[0-9]+ CONSTANT ROWS"
"""What a statement may go over: the halves and resets that a bisection found itself, and what it was given."""


def parameters(statement: str) -> Any:
    named = re.findall(r":(\w+)", statement)
    return dict.fromkeys(named, 1) if named else (1,) * statement.count("?")


def plan(connection: Any, statement: str) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters(statement))]


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_prepares_on_the_migrated_schema(raw: Any, name: str) -> None:
    assert raw.execute(f"EXPLAIN {STATEMENTS[name]}", parameters(STATEMENTS[name])).fetchall()


@pytest.mark.parametrize("name", sorted(set(STATEMENTS) - WALKS))
def test_no_hot_statement_scans_or_sorts(raw: Any, name: str) -> None:
    # A scan is told by the short name of what it goes over.
    pairs = "SCAN p" if name.startswith("transactions_by_keys") else "SCAN pairs"
    steps = [step.replace(pairs, "SCAN pairs") for step in plan(raw, STATEMENTS[name])]
    assert [step for step in steps if re.match(f"SCAN (?!{WITHIN})", step)] == []
    assert name in SORTED or not any("TEMP B-TREE" in step for step in steps)


SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|PRAGMA|VACUUM|ATTACH|BEGIN|CREATE|ALTER|LOCK) [^ ]")


def texts(path: Path) -> Iterator[str]:
    """The texts in a module, those within f-strings too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_there_is_sql_in_the_storage_alone() -> None:
    package = Path(tables.__file__).parents[1]
    paths = [path for path in package.rglob("*.py") if package / "storage" not in path.parents]
    assert len(paths) > 100
    assert [(path.name, text) for path in paths for text in texts(path) if SQL.match(text)] == []


GLIMPSES = {
    "a user by full number": (glimpse.users("+9198", "IN"), ""),
    "a user by id": (glimpse.users("id:1", "IN"), ""),
    "users by number": (glimpse.users("98", "IN"), "u"),
    "users by name": (glimpse.users("as", "IN"), "u"),
    "wallets by number": (glimpse.wallets("98", "IN"), "w"),
    "wallets by name": (glimpse.wallets("as", "IN"), "w"),
    "wallets by id": (glimpse.wallets("w1", "IN"), ""),
    "holds of a wallet": (glimpse.open_holds("1"), ""),
    "holds": (glimpse.open_holds(""), "holds"),
    "transactions of a wallet": (glimpse.transactions("1", True), ""),
    "transactions": (glimpse.transactions("1", False), "wallets"),
    "operators": (glimpse.operators(), "operators"),
    "keys of a wallet": (glimpse.keys(1, "a"), ""),
    "currencies": (glimpse.currencies(), "w wallets"),
}
"""What completion asks, and what it goes over; that ends with its time. It never goes over transactions."""


@pytest.mark.parametrize("name", GLIMPSES)
def test_completion_goes_over_no_more_than_it_must(raw: Any, name: str) -> None:
    (statement, values), expected = GLIMPSES[name]
    steps = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", tuple(values))]
    scanned = {step.split()[1] for step in steps if step.startswith("SCAN ")}
    assert scanned - {"ledger"} == set(expected.split())


@pytest.mark.parametrize("name", sql.UNINDEXED)
def test_an_index_is_compared_with_its_table(raw: Any, name: str) -> None:
    """Each is read by itself: SQLite would answer both sides from the index, which agrees with itself."""
    entries, row, rows, entry = [
        step for step in plan(raw, sql.UNINDEXED[name]) if re.match(r"(SCAN|SEARCH) [ir] ", step)
    ]
    for step in (entries, entry):
        assert re.match(r"(SCAN|SEARCH) i USING COVERING INDEX (uq|ix)_", step)
    for step in (row, rows):
        assert re.match(r"SEARCH r USING (INTEGER )?PRIMARY KEY", step)


def test_an_index_and_its_table_are_counted_apart(raw: Any) -> None:
    steps = plan(raw, sql.AS_MANY)
    entries = [step for step in steps if re.match("(SCAN|SEARCH) i USING COVERING INDEX (uq|ix)_", step)]
    rows = [step for step in steps if re.fullmatch("SCAN r", step)]
    assert len(entries) == len(rows) == len(sql.PARTIAL)


def test_every_index_that_leaves_rows_out_is_compared(raw: Any) -> None:
    """SQLite's own check counts the entries of the others."""
    partial = {
        index
        for (table,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (index,) in raw.execute("SELECT name FROM pragma_index_list(?) WHERE partial", (table,)).fetchall()
    }
    assert partial == {each.name for each in sql.PARTIAL.values()}
    assert partial


def test_a_key_is_looked_up_by_all_of_its_index(raw: Any) -> None:
    steps = plan(raw, sql.transactions_by_keys(5))
    assert any(
        "uq_transactions_wallet_id_key_user_key (wallet_id=? AND key=? AND user_key=?)" in step for step in steps
    )


def test_a_scan_would_be_seen(raw: Any) -> None:
    assert any(step.startswith("SCAN") for step in plan(raw, "SELECT * FROM transactions WHERE amount < 1"))


def test_pragmas_of_an_open_store(ledger: Ledger) -> None:
    found = {
        name: ledger.store.connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
