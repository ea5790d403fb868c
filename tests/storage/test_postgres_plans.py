"""PostgreSQL reads by index, whatever the size: each statement is explained, and run, over 1,000,000 transactions.

A plan is looked at twice: as it is made for the values at hand, as the first five times that a connection runs a
statement; and, without knowing them, as it may be kept from then on.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import pq
from support import postgres

from wallet_cli.domain.remarks import NOTHING
from wallet_cli.storage import sql
from wallet_cli.storage.pg_connection import bound, translated
from wallet_cli.storage.postgres import PREPARE, PREPARED, PostgresStore
from wallet_cli.storage.queries import AT_ONCE

pytestmark = postgres.MARKS

WALLETS, HOT = 20_000, 500_000
EACH = 25
"""A hot wallet, 1, has half of the transactions; the others have so many each, and the second still fewer holds."""

HOT_HOLDS, HOLDS_EVERY = 20_000, 4
TRANSACTIONS = HOT + EACH * (WALLETS - 1) + EACH
assert TRANSACTIONS == 1_000_000

FILL = f"""
SET synchronous_commit = off;
INSERT INTO users SELECT n, 9000000000 + n, '+91' || 9000000000 + n, 'IN', 9000000000 + n, 'user ' || n,
    1700000000000000 + n FROM generate_series(1, {WALLETS}) n;
INSERT INTO wallets SELECT n, (n + 1) / 2, CASE n % 2 WHEN 1 THEN 'main' ELSE 'savings' END, 'INR', 2, 'active', NULL,
    1700000000000000 + n, NULL, NULL, 0, 0 FROM generate_series(1, {WALLETS}) n;
INSERT INTO transactions SELECT w, s, (s % 2), 100, (s + 1) / 2 * 100, s / 2 * 100, (s + 1) / 2,
    1700000000000000 + s * 1000000, CASE s % 3 WHEN 0 THEN 'tea and ' || s END,
    CASE s % 2 WHEN 0 THEN 'order-' || w || '-' || s END, sha256((w || '-' || s)::bytea), NULL, NULL, NULL,
    CASE WHEN s % 50 = 0 THEN s - 1 END, NULL, 0
FROM (
    SELECT 1 AS w, s FROM generate_series(1, {HOT}::bigint) s
    UNION ALL SELECT 2, s FROM generate_series(1, {EACH * 2}::bigint) s
    UNION ALL SELECT w, s FROM generate_series(3, {WALLETS}) w, generate_series(1, {EACH}::bigint) s
) all_of_them;
INSERT INTO holds SELECT w, n, 500, CASE WHEN n % 100 = 0 THEN 0 ELSE 500 END,
    CASE WHEN n % 100 = 0 THEN 'open' ELSE 'captured' END, 1700000000000000 + n, 1800000000000000 + n,
    CASE WHEN n % 100 = 0 THEN NULL ELSE 1700000000000001 + n END, NULL, CASE n % 2 WHEN 0 THEN 'hold-' || n END
FROM (
    SELECT 1 AS w, n FROM generate_series(1, {HOT_HOLDS}) n
    UNION ALL SELECT w, 1 FROM generate_series(2, {WALLETS}, {HOLDS_EVERY}) w
) all_of_them;
UPDATE wallets SET holds = 1 WHERE id % {HOLDS_EVERY} = 2;
UPDATE wallets SET holds = {HOT_HOLDS}, held = {HOT_HOLDS // 100 * 500} WHERE id = 1;
INSERT INTO witnesses SELECT w.id, t.seq, t.hash, w.status, w.own_minimum, w.maximum, w.daily_debit, w.held, w.holds
    FROM wallets w JOIN transactions t ON t.wallet_id = w.id
    AND t.seq = (SELECT max(seq) FROM transactions WHERE wallet_id = w.id);
INSERT INTO events SELECT 2, id, number, 1, NULL, 'frozen', '{{}}', sha256('')
    FROM wallets w, generate_series(1, CASE WHEN w.id = 1 THEN 2000 ELSE 1 END) number;
INSERT INTO operators SELECT 'operator ' || n, sha256(n::text::bytea), 0, 1, NULL, NULL FROM generate_series(1, 5000) n;
"""

SECOND_US = 1_000_000
BEGAN_US = 1_700_000_000_000_000


@pytest.fixture(scope="module")
def filled() -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A ledger with all of that, and with statistics of it, made once a run."""
    with psycopg.connect(postgres.made_once("plans", fill), autocommit=True) as connection:
        yield connection


def fill(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT usesuper FROM pg_user WHERE usename = current_user").fetchone() == (True,):
            # Foreign keys hold here by themselves; to look each up takes thrice the time.
            connection.execute("SET session_replication_role = replica")
        connection.execute(FILL.encode())
        connection.execute("VACUUM ANALYZE")


# What each statement may use. `rows` is how many rows and index entries it may look at, in all.


class Plan(NamedTuple):
    indexes: str
    values: Any
    rows: int = 3


USER, USER_KEY = "pk_users", "uq_users_phone_e164"
WALLET, OWNER = "pk_wallets", "uq_wallets_user_id_type"
SEQ, KEY = "pk_transactions", "uq_transactions_wallet_id_key_user_key"
TIME = "ix_transactions_at_us"
REVERSES = "ix_transactions_wallet_id_reverses"
WITNESS = "pk_witnesses"
HOLD, HOLD_KEY, OPEN = "pk_holds", "uq_holds_wallet_id_key", "ix_holds_open"
EVENT = "pk_events"
NEWEST_EVENT = {"at_us": 10**16, "kind": 0, "subject_id": 0, "number": 0}
OPERATOR, OPERATOR_KEY = "pk_operators", "uq_operators_key_hash"

NOW_US = BEGAN_US + 2 * HOT * SECOND_US
WHERE = {"wallet_id": 1, "seq": 123_449, "number": 12_300}
PAGE = {"wallet_id": 1, "first": 1, "last": HOT, "limit": 50}
MANY = [*range(1, AT_ONCE * 100, 100)]
PAIRS = [value for id_ in MANY for value in (id_, f"order-{id_}-4")]
RANGE = {"first": 3, "last": 102}
FEW = {"first": 3, "last": 22}
"""What `verify` and `export` ask for at once: a range of wallets."""

BEFORE = {"at_us": BEGAN_US + HOT // 2 * SECOND_US, "wallet_id": 1, "seq": HOT // 2, "start_us": BEGAN_US}
FROM_THE_FIRST = {"first_us": BEGAN_US, "first_wallet": 0, "first_seq": 0}

A_TRANSACTION = (
    12_345, EACH + 1, 1, 100, 1400, 1200, 14, NOW_US, "a key", bytes(32), None, None, None, None, 0, 0, None,
    *NOTHING,
)  # fmt: skip

HOT_STATEMENTS = {
    "USER_BY_ID": Plan(USER, {"id": 12_345}),
    "USER_BY_E164": Plan(USER_KEY, {"e164": "+919000012345"}),
    "USER_BY_NATIONAL": Plan("uq_users_phone_region_phone_national", {"region": "IN", "national": "9000012345"}),
    "USERS_AFTER": Plan(USER, {"after": 12_345, "limit": 50}, 51),
    "ACCOUNT_BY_ID": Plan(f"{WALLET} {SEQ} {OPEN} {WITNESS}", {"id": 1, "now_us": NOW_US}, HOT_HOLDS // 100 + 6),
    "ACCOUNT_BY_OWNER": Plan(f"{OWNER} {SEQ} {OPEN} {WITNESS}", {"user_id": 7000, "type": "main", "now_us": NOW_US}, 5),
    "ACCOUNT_OWNED": Plan(f"{WALLET} {SEQ} {OPEN} {WITNESS}", {"id": 13_999, "user_id": 7000, "now_us": NOW_US}, 5),
    "ACCOUNTS_OF_USER": Plan(f"{OWNER} {SEQ} {OPEN} {WITNESS}", {"user_id": 7000, "now_us": NOW_US}, 8),
    "ACCOUNTS_AFTER": Plan(f"{WALLET} {SEQ} {OPEN} {WITNESS}", {"after": 12_345, "limit": 50, "now_us": NOW_US}, 204),
    "ACCOUNTS_OF_USER_AFTER": Plan(
        f"{OWNER} {SEQ} {OPEN} {WITNESS}", {"user_id": 7000, "after": 13_999, "limit": 50, "now_us": NOW_US}, 8
    ),
    "WALLET_BY_ID": Plan(WALLET, {"id": 13_999}),
    "WALLET_BY_OWNER": Plan(OWNER, {"user_id": 7000, "type": "main"}),
    "WALLET_OWNED": Plan(WALLET, {"id": 13_999, "user_id": 7000}),
    "COUNT_OF_USER": Plan(OWNER, {"user_id": 7000}, 2),
    "accounts_by_ids(1)": Plan(f"{WALLET} {SEQ} {OPEN} {WITNESS}", [12_345, NOW_US], 6),
    f"accounts_by_ids({AT_ONCE})": Plan(
        f"{WALLET} {SEQ} {OPEN} {WITNESS}", [*MANY, NOW_US], 5 * AT_ONCE + HOT_HOLDS // 100
    ),
    "TRANSACTION_BY_SEQ": Plan(SEQ, WHERE),
    "transactions_by_keys(1)": Plan(KEY, [1, "order-1-123444"]),
    f"transactions_by_keys({AT_ONCE})": Plan(KEY, PAIRS, AT_ONCE),
    "REVERSALS": Plan(f"{REVERSES} {SEQ}", WHERE),
    "REVERSED": Plan(f"{REVERSES} {SEQ}", WHERE | {"before": 200_000}),
    "CAPTURED_BEFORE": Plan(SEQ, {"wallet_id": 1, "first": 100, "last": 200, "before": 150, "hold": 1}, 101),
    "NEWEST_FIRST": Plan(SEQ, PAGE, 51),
    "IN_ORDER": Plan(SEQ, PAGE | {"first": 400_001, "last": 400_100}, 101),
    "DAY_BOOK": Plan(f"{TIME} {WALLET} {USER}", BEFORE | {"limit": 50} | FROM_THE_FIRST, 153),
    "DAY_BOOK_PLACE": Plan(TIME, BEFORE | {"limit": 1, "skipped": 1000}, 1002),
    "RESETS": Plan(f"{KEY} {HOLD_KEY}", {"wallet_id": 1}, 5),
    "RESET_KEYS": Plan(f"{KEY} {HOLD_KEY}", {"wallet_id": 1}, 5),
    "LAST_SEQ_BEFORE": Plan(
        f"{SEQ} {KEY} {HOLD_KEY}", {"wallet_id": 1, "last": HOT, "moment_us": BEGAN_US + 123_456 * SECOND_US}, 25
    ),
    "HOLD_BY_NUMBER": Plan(HOLD, WHERE),
    "HOLD_BY_KEY": Plan(HOLD_KEY, {"wallet_id": 1, "key": "hold-12300"}),
    "HOLDS_BEFORE": Plan(HOLD, {"wallet_id": 1, "before": 12_300, "limit": 50}, 51),
    "LAPSED_HOLDS": Plan(OPEN, {"wallet_id": 1, "now_us": NOW_US}, HOT_HOLDS // 100),
    "OPEN_HOLDS": Plan(OPEN, {"wallet_id": 1, "since_us": 0}, HOT_HOLDS // 100),
    "EVENT": Plan(EVENT, {"kind": 2, "subject_id": 1, "number": 777}),
    "EVENTS_OF": Plan(EVENT, {"of_kind": 2, "of_id": 1, "limit": 50} | NEWEST_EVENT, 51),
    "EVENTS_BY_TIME": Plan("ix_events_at_us", {"limit": 50} | NEWEST_EVENT, 51),
    "EVENTS_IN_ORDER": Plan(EVENT, RANGE | {"kind": 2}, 101),
    "last_events(1)": Plan(EVENT, [2, 1]),
    "INSERT_EVENT": Plan("", (2, WALLETS + 1, 1, 0, None, "opened", "{}", bytes(32)), 0),
    "OPERATOR_BY_HASH": Plan(OPERATOR_KEY, {"key_hash": bytes(32)}),
    "OPERATOR_BY_NAME": Plan(OPERATOR, {"name": "operator 7"}),
    "LAST_USER_ID": Plan(USER, {}),
    "LAST_WALLET_ID": Plan(WALLET, {}),
    "LOCKED": Plan(WALLET, {}, 2 * AT_ONCE),
    # What writes finds by index what is there already.
    "INSERT_USER": Plan("", (WALLETS + 1, "1", "+911", "IN", "1", None, 0, None), 0),
    "USER_BY_KEY": Plan("uq_users_key", {"key": "k"}),
    "WALLET_BY_KEY": Plan("uq_wallets_user_id_key", {"user_id": 1, "key": "k"}),
    "UPSERT_WALLET": Plan(WALLET, (1, 1, "main", "INR", 2, "active", None, 0, None, None, 0, 0, None, None), 1),
    "UPSERT_WITNESS": Plan(WITNESS, (1, "active", None, None, None, 0, 0), 1),
    "SET_HEAD": Plan(WITNESS, (12, bytes(32), 1), 1),
    "UPSERT_HOLD": Plan(HOLD, (1, 12_300, 500, 0, "open", 1, 2, None, None, None), 1),
    "INSERT_TRANSACTION": Plan("", A_TRANSACTION, 0),
    "UPSERT_OPERATOR": Plan(OPERATOR, ("operator 7", bytes(32), 0, 1, None, None), 1),
    "INSERT_OPERATOR": Plan("", ("somebody new", bytes(32), 0, 1, None, None), 0),
    # Of a range of wallets, or of one, all is wanted.
    "NAMED_WALLETS": Plan(f"{WALLET} {USER}", RANGE, 250),
    "EXPORTED": Plan(SEQ, RANGE, 100 * EACH + 1),
    "CHAINS": Plan(SEQ, RANGE, 100 * EACH + 1),
    "WITNESSED": Plan(f"{WALLET} {WITNESS}", RANGE, 250),
    "OLDEST_FIRST": Plan(SEQ, {"wallet_id": 777}, EACH + 1),
    "HOLDS_IN_ORDER": Plan(HOLD, {"wallet_id": 2}),
    "WRONG_LEGS": Plan(f"{SEQ} {WALLET}", FEW, 20 * EACH + 1),
    "WRONG_REVERSALS": Plan(f"{SEQ} {REVERSES}", FEW, 20 * EACH + 1),
    "OVERDONE_REVERSALS": Plan(f"{SEQ} {REVERSES}", FEW, 20 * EACH + 1),
    "WRONG_CAPTURES": Plan(f"{SEQ} {HOLD}", FEW, 20 * EACH + 1),
    "WRONG_CAPTURED": Plan(f"{SEQ} {HOLD}", FEW, 20 * EACH + 20),
    "WRONG_HOLDS": Plan(HOLD, FEW, 20),
    "WRONG_WALLETS": Plan(f"{WALLET} {HOLD}", FEW, 50),
}

READS_EVERYTHING = {
    "ALL_RESETS": "a walk, by journals",
    "ALL_USERS": "a walk, by `verify`, `export` and `move`",
    "ALL_WALLETS": "a walk, by `verify` and `export`",
    "ALL_HOLDS": "a walk, by `export`",
    "ALL_OPERATORS": "operators are few",
    "ANY_EVENT": "any row will do",
    "COUNT_OF_EVENTS": "how many events there are, of a page of the whole audit trail that is asked for its count",
    "SUMS": "what all wallets hold, of a bare `wallet`",
    "STRAY_HOLDS": "what `verify` looks for has no index, as foreign keys do not let it be",
    "STRAY_WITNESSES": "likewise",
    "SET_DAMAGED": "a table with one row",
    "ITSELF": "a table with one row",
    "SET_MOVE_STATE": "a table with one row",
    "SET_FACTS": "a table with one row",
    "SET_RESTORING": "a table with one row",
    "CLEAR_OPERATORS": "operators are few, and all of them go",
    "INSERT_TRANSACTIONS": "SQLite alone: what PostgreSQL gets in large numbers it gets by COPY",
}
"""Statements that nobody waits for, and why they may read a whole table."""

LOCKED = "SELECT 1 FROM wallets WHERE id IN ({ids}) ORDER BY id FOR UPDATE"
"""As PostgresStore.lock puts it together: it is where a batch takes its turn."""

NO_STATEMENTS = {"NOTE", "COUNT_CHANGE", "OPERATOR_IN_INDEX", "AS_MANY"}


def text_of(name: str) -> str:
    if name == "LOCKED":
        return LOCKED.format(ids=", ".join(map(str, MANY)))
    made = re.fullmatch(r"(\w+)\((\d+)\)", name)
    return str(getattr(sql, made[1])(int(made[2])) if made else getattr(sql, name))


def test_every_statement_is_listed() -> None:
    """A statement that is added to sql.py has to say here which index it uses."""
    in_sql = {name for name, value in vars(sql).items() if re.fullmatch("[A-Z][A-Z_0-9]*", name) if type(value) is str}
    listed = {name for name in HOT_STATEMENTS if "(" not in name and name != "LOCKED"}
    assert listed | set(READS_EVERYTHING) == in_sql - NO_STATEMENTS
    assert not listed & set(READS_EVERYTHING)
    assert f'"{LOCKED}"' in inspect.getsource(PostgresStore.lock)


class Looked(NamedTuple):
    """What a plan looks at."""

    whole_tables: list[str]
    indexes: set[str]
    rows: int


def looked(node: dict[str, Any]) -> Looked:
    """What a plan, or a part of one, looks at; `rows` is 0 of one that was not run."""
    whole, indexes, rows = [], set(), 0
    for part in node.get("Plans", []):
        found = looked(part)
        whole += found.whole_tables
        indexes |= found.indexes
        rows += found.rows
    if node["Node Type"] == "Seq Scan":
        whole.append(node["Relation Name"])
    if "Index Name" in node:
        indexes.add(node["Index Name"])
    indexes |= set(node.get("Conflict Arbiter Indexes", []))
    if node["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan"):
        kept = node.get("Actual Rows", 0) + node.get("Rows Removed by Filter", 0)
        rows += round(kept * node.get("Actual Loops", 0))
    return Looked(whole, indexes, rows + node.get("Conflicting Tuples", 0))


def explained(connection: psycopg.Connection[tuple[Any, ...]], options: str, statement: bytes, values: Any) -> Looked:
    """The plan of a statement, as the driver sends it; one that writes is rolled back."""
    with connection.transaction(force_rollback=True):
        row = connection.execute(f"EXPLAIN ({options}, FORMAT JSON) ".encode() + statement, values).fetchone()
    assert row is not None
    return looked(row[0][0]["Plan"])


@pytest.mark.parametrize("name", HOT_STATEMENTS)
def test_a_hot_statement_uses_its_index(filled: psycopg.Connection[tuple[Any, ...]], name: str) -> None:
    plan = HOT_STATEMENTS[name]
    values = bound(plan.values)
    found = explained(filled, "ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF", translated(text_of(name)), values)
    assert found.whole_tables == []
    assert found.indexes <= set(plan.indexes.split())
    assert bool(found.indexes) == bool(plan.indexes)
    assert found.rows <= plan.rows


@pytest.mark.parametrize("name", HOT_STATEMENTS)
def test_a_plan_that_is_kept_is_as_good(filled: psycopg.Connection[tuple[Any, ...]], name: str) -> None:
    """A statement that is prepared may be planned once for all values."""
    if filled.info.server_version < 160000:
        pytest.skip("EXPLAIN (GENERIC_PLAN) came with PostgreSQL 16")
    found = explained(filled, "GENERIC_PLAN", numbered(text_of(name), HOT_STATEMENTS[name].values), None)
    assert found.whole_tables == []
    assert found.indexes <= set(HOT_STATEMENTS[name].indexes.split())


def test_the_prepared_statement_of_a_turn_is_as_good(filled: psycopg.Connection[tuple[Any, ...]]) -> None:
    asked = f"EXECUTE {PREPARED}('{{{', '.join(map(str, MANY))}}}', {NOW_US})".encode()
    try:
        filled.execute(PREPARE, prepare=False)
        found = explained(filled, "ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF", asked, None)
    finally:
        filled.execute(f"RESET plan_cache_mode; RESET enable_seqscan; DEALLOCATE {PREPARED}".encode(), prepare=False)
    assert found.whole_tables == []
    assert found.indexes <= {WALLET, SEQ, OPEN, WITNESS}
    assert found.rows <= HOT_HOLDS // 100 + 6 * AT_ONCE


def numbered(statement: str, values: Any) -> bytes:
    """A statement with `$1` for each parameter, of the type that the driver gives it: whole numbers alone have one."""
    names = list(values) if isinstance(values, dict) else list(range(len(values)))
    places = iter(names)

    def number(match: re.Match[str]) -> str:
        name = match[1] or next(places)
        return f"${names.index(name) + 1}{'::bigint' if isinstance(values[name], int) else ''}"

    return re.sub(r"(?<![:\w]):(\w+)|\?", number, statement).encode()


FILTERS = {
    "nothing": sql.Filter(),
    "credits": sql.Filter(is_credit=True),
    "captures": sql.Filter(origin="capture"),
    "reversals": sql.Filter(origin="reversal"),
    "transfers": sql.Filter(origin="transfer"),
    "amounts": sql.Filter(least=1, most=2),
    "text": sql.Filter(text="tea"),
    "a key": sql.Filter(key="order-1-400"),
}


@pytest.mark.parametrize("wanted", FILTERS.values(), ids=FILTERS)
def test_a_filter_reads_no_other_wallet(filled: psycopg.Connection[tuple[Any, ...]], wanted: sql.Filter) -> None:
    statement, more = sql.filtered(wanted)
    values = PAGE | {"wallet_id": 777, "last": EACH} | more
    found = explained(filled, "ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF", translated(statement), values)
    assert found.whole_tables == []
    assert found.indexes <= {SEQ, KEY, REVERSES}
    assert found.rows <= EACH


def test_a_scan_would_be_seen(filled: psycopg.Connection[tuple[Any, ...]]) -> None:
    """The table of plans finds a statement without an index, and one that reads an index to its end."""
    scan = explained(filled, "ANALYZE", b"SELECT count(*) FROM transactions WHERE amount < 1", None)
    assert scan.whole_tables
    full = explained(filled, "ANALYZE", b"SELECT wallet_id FROM transactions ORDER BY wallet_id, seq", None)
    assert (full.whole_tables, full.rows) == ([], TRANSACTIONS)
    assert filled.info.transaction_status == pq.TransactionStatus.IDLE
