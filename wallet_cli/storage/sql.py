"""The hot statements, as plain SQL with `:named` parameters, and how a row becomes an object of the ledger.

Both engines run each statement unchanged; a test prepares all of them against both migrated schemas. None reads more
than its answer needs: a wallet's state is its last row, and a moment is found by bisecting `seq`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from wallet_cli.domain import events, hash_chain, ids
from wallet_cli.domain.ids import format_hold_id, format_transaction_id, format_wallet_id
from wallet_cli.domain.model import Account, ApiKey, Event, Hold, LedgerFacts, Transaction, User, Wallet, Witness
from wallet_cli.domain.money import MAX_EXPONENT, Currency
from wallet_cli.domain.period import FIRST_US, LAST_US, beyond_calendar
from wallet_cli.domain.remarks import NOTHING, OTHERS, Remarks
from wallet_cli.errors import Damaged, StorageError, shown
from wallet_cli.named_tuples import NamedTuple
from wallet_cli.storage.move_state import MAX_CHANGES, Itself, MoveState

SCHEMA_VERSION = 8
"""The newest migration; each ledger has its version, which one cheap read finds."""

PART = 10**9

ROWS_AT_ONCE = 32
"""How many transactions one statement inserts at most."""

USER_COLUMNS = tuple(User._fields)
WALLET_COLUMNS = (
    "id", "user_id", "type", "currency", "exponent", "status", "own_minimum", "created_at_us",
    "maximum", "daily_debit", "held", "holds", "key", "opening_minimum",
)  # fmt: skip
REMARKS = Remarks._fields
TRANSACTION_COLUMNS = (*Transaction._fields[:-1], *REMARKS)
NOTE = _FACTS = TRANSACTION_COLUMNS.index("note")
WITNESS_COLUMNS = tuple(Witness._fields)
CHANGING_COLUMNS = WITNESS_COLUMNS[3:]
"""The fields of a wallet that change; its witness has them too."""

HOLD_COLUMNS = tuple(Hold._fields)
OPERATOR_COLUMNS = tuple(ApiKey._fields)
EVENT_COLUMNS = tuple(Event._fields)
MOVE_STATE_COLUMNS = tuple(MoveState._fields)
FACT_COLUMNS = tuple(LedgerFacts._fields)
SETTING_COLUMNS = FACT_COLUMNS[1:]
"""The columns that can be set; the id never changes."""


def _columns(names: Sequence[str], table: str) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


def _insert(table: str, columns: Sequence[str], rows: int = 1) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"


_USER = f"SELECT {_columns(USER_COLUMNS, 'u')} FROM users u"
_WALLET = f"SELECT {_columns(WALLET_COLUMNS, 'w')} FROM wallets w"
_OPERATOR = f"SELECT {_columns(OPERATOR_COLUMNS, 'o')} FROM operators o"
_TRANSACTION = f"SELECT {_columns(TRANSACTION_COLUMNS, 't')} FROM transactions t"
_EVENT = f"SELECT {_columns(EVENT_COLUMNS, 'e')} FROM events e"
_HOLD = f"SELECT {_columns(HOLD_COLUMNS, 'h')} FROM holds h"

# The part of `wallets.held` that belongs to open holds past their expiry: free again, whether noted or not.
_EXPIRED = "h.wallet_id = w.id AND h.status = 'open' AND h.expires_at_us <= :now_us"
# Whether a wallet and its last transaction are the last written ones: the witness is on another page than both.
_SAME = " AND ".join(f"x.{name} IS NOT DISTINCT FROM w.{name}" for name in CHANGING_COLUMNS)
_AGREES = (
    "CASE WHEN EXISTS (SELECT 1 FROM witnesses x WHERE x.wallet_id = w.id AND x.seq = coalesce(t.seq, 0)"
    f" AND x.hash IS NOT DISTINCT FROM t.hash AND {_SAME}) THEN 1 ELSE 0 END"
)
_BEFORE = "(SELECT p.hash FROM transactions p WHERE p.wallet_id = t.wallet_id AND p.seq = t.seq - 1)"
_FOR_DECISION = (
    f"SELECT {_columns(WALLET_COLUMNS, 'w')}, {_columns(TRANSACTION_COLUMNS, 't')},"
    " CASE WHEN w.held = 0 THEN 0 ELSE"
    f" (SELECT CAST(coalesce(sum(h.amount - h.captured), 0) AS BIGINT) FROM holds h WHERE {_EXPIRED}) END,"
    f" {_BEFORE}, {_AGREES}"
    " FROM wallets w LEFT JOIN transactions t ON t.wallet_id = w.id"
    " AND t.seq = (SELECT max(seq) FROM transactions WHERE wallet_id = w.id)"
)
_ACCOUNT = _FOR_DECISION.replace(_BEFORE, "NULL")
"""For display only: the hash of the last transaction is not computed again."""


USER_BY_ID = f"{_USER} WHERE u.id = :id"
USER_BY_E164 = f"{_USER} WHERE u.phone_e164 = :e164"
USER_BY_NATIONAL = f"{_USER} WHERE u.phone_region = :region AND u.phone_national = :national"

ACCOUNT_BY_ID = f"{_FOR_DECISION} WHERE w.id = :id"
ACCOUNT_BY_OWNER = f"{_ACCOUNT} WHERE w.user_id = :user_id AND w.type = :type"
ACCOUNT_OWNED = f"{_ACCOUNT} WHERE w.id = :id AND w.user_id = :user_id"
ACCOUNTS_OF_USER = f"{_ACCOUNT} WHERE w.user_id = :user_id ORDER BY w.id"
ACCOUNTS_AFTER = f"{_ACCOUNT} WHERE w.id > :after ORDER BY w.id LIMIT :limit"
ACCOUNTS_OF_USER_AFTER = f"{_ACCOUNT} WHERE w.user_id = :user_id AND w.id > :after ORDER BY w.id LIMIT :limit"
COUNT_OF_USER = "SELECT count(*) FROM wallets w WHERE w.user_id = :user_id"
WALLET_BY_ID = f"{_WALLET} WHERE w.id = :id"
WALLET_BY_OWNER = f"{_WALLET} WHERE w.user_id = :user_id AND w.type = :type"
WALLET_OWNED = f"{_WALLET} WHERE w.id = :id AND w.user_id = :user_id"
USERS_AFTER = f"{_USER} WHERE u.id > :after ORDER BY u.id LIMIT :limit"

_BY_EITHER_KEY = "AND t.user_key IN (0, 1)"
"""Uses all columns of the index of keys: otherwise SQLite uses the primary key and reads the whole wallet."""

TRANSACTION_BY_SEQ = f"{_TRANSACTION} WHERE t.wallet_id = :wallet_id AND t.seq = :seq"
# Uses the index on `reverses` first: in a single step, SQLite would read the whole wallet.
_REVERSALS = (
    "transactions r JOIN transactions t ON t.wallet_id = r.wallet_id AND t.seq = r.seq"
    " WHERE r.wallet_id = :wallet_id AND r.reverses = :seq"
)
REVERSALS = f"SELECT {_columns(TRANSACTION_COLUMNS, 't')} FROM {_REVERSALS} ORDER BY t.seq"
REVERSED = f"SELECT CAST(coalesce(sum(t.amount), 0) AS BIGINT) FROM {_REVERSALS} AND r.seq < :before"
CAPTURED_BEFORE = (
    "SELECT CAST(coalesce(sum(t.amount), 0) AS BIGINT),"
    " CAST(coalesce(sum(CASE WHEN t.seq < :before THEN t.amount ELSE 0 END), 0) AS BIGINT) FROM transactions t"
    " WHERE t.wallet_id = :wallet_id AND t.seq BETWEEN :first AND :last AND t.hold = :hold"
)
NEWEST_FIRST = (
    f"{_TRANSACTION} WHERE t.wallet_id = :wallet_id AND t.seq BETWEEN :first AND :last"
    " ORDER BY t.wallet_id DESC, t.seq DESC LIMIT :limit"
)
IN_ORDER = (
    f"{_TRANSACTION} WHERE t.wallet_id = :wallet_id AND t.seq BETWEEN :first AND :last ORDER BY t.wallet_id, t.seq"
)

# The day book: all wallets, by time. A place in it is a time, a wallet and a seq, which follow each other in an index.
_DAY_BOOK = (
    "(t.at_us, t.wallet_id, t.seq) < (:at_us, :wallet_id, :seq) AND t.at_us >= :start_us"
    " ORDER BY t.at_us DESC, t.wallet_id DESC, t.seq DESC LIMIT :limit"
)
DAY_BOOK = (
    f"SELECT {_columns(TRANSACTION_COLUMNS, 't')}, {_columns(WALLET_COLUMNS, 'w')}, u.name"
    " FROM transactions t JOIN wallets w ON w.id = t.wallet_id JOIN users u ON u.id = w.user_id"
    f" WHERE (t.at_us, t.wallet_id, t.seq) >= (:first_us, :first_wallet, :first_seq) AND {_DAY_BOOK}"
)
DAY_BOOK_PLACE = f"SELECT t.at_us, t.wallet_id, t.seq FROM transactions t WHERE {_DAY_BOOK} OFFSET :skipped"

HOLD_BY_NUMBER = f"{_HOLD} WHERE h.wallet_id = :wallet_id AND h.number = :number"
HOLD_BY_KEY = f"{_HOLD} WHERE h.wallet_id = :wallet_id AND h.key = :key"
HOLDS_BEFORE = f"{_HOLD} WHERE h.wallet_id = :wallet_id AND h.number < :before ORDER BY h.number DESC LIMIT :limit"
LAPSED_HOLDS = (
    f"{_HOLD} WHERE h.wallet_id = :wallet_id AND h.status = 'open' AND h.expires_at_us <= :now_us ORDER BY h.number"
)
OPEN_HOLDS = f"{_HOLD} WHERE h.wallet_id = :wallet_id AND h.status = 'open' AND h.created_at_us >= :since_us"

# Where the time of a wallet was reset, found by the keys of resets (domain/rules/clocks.py); its beginning comes first.
# Before such keys were refused, callers could use one: such a number has no seq, and the walk goes on past it.
_RESETS = f"""
WITH RECURSIVE resets (number, seq, at_us) AS (
    SELECT CAST(0 AS BIGINT), CAST(0 AS BIGINT), CAST({FIRST_US} AS BIGINT)
    UNION ALL
    SELECT resets.number + 1, CASE WHEN t.forced = 1 AND t.reverses IS NULL THEN t.seq END, t.at_us
    FROM resets LEFT JOIN transactions t
    ON t.wallet_id = :wallet_id AND t.key = '{ids.RESET_KEY}' || (resets.number + 1) AND t.user_key = 0
    WHERE coalesce(t.seq, (SELECT h.number FROM holds h
        WHERE h.wallet_id = :wallet_id AND h.key = '{ids.RESET_KEY}' || (resets.number + 1))) IS NOT NULL
)"""
ALL_RESETS = (
    "SELECT t.wallet_id, t.seq, t.at_us FROM transactions t WHERE t.wallet_id BETWEEN :first AND :last"
    " AND t.forced = 1 AND t.reverses IS NULL ORDER BY t.wallet_id, t.seq"
)
RESETS = f"{_RESETS} SELECT seq FROM resets WHERE seq > 0"
RESET_KEYS = f"{_RESETS} SELECT max(number) FROM resets"

# The last transaction before a moment. `at_us` goes backwards only at a reset: everything before the last reset that is
# before the moment counts as before it. After it, times pass the moment once, as every further reset is later: halve
# (low, high] until one seq is left. That is some twenty look-ups by primary key for a million transactions, and needs
# no second index.
LAST_SEQ_BEFORE = f"""{_RESETS}, halves (low, high) AS (
    SELECT max(seq), CAST(:last AS BIGINT) FROM resets WHERE (number = 0 OR at_us < :moment_us) AND seq <= :last
    UNION ALL
    SELECT CASE WHEN t.at_us < :moment_us THEN t.seq ELSE low END,
           CASE WHEN t.at_us < :moment_us THEN high ELSE t.seq - 1 END
    FROM halves JOIN transactions t ON t.wallet_id = :wallet_id AND t.seq = (low + high + 1) / 2
    WHERE low < high
)
SELECT low FROM halves WHERE low = high
"""

OPERATOR_BY_HASH = f"{_OPERATOR} WHERE o.key_hash = :key_hash"
# If a page of either were lost, a revoked key would have its rights again.
OPERATOR_IN_INDEX = (
    "SELECT 1 FROM operators o INDEXED BY ix_operators_again"
    " WHERE o.name = :name AND o.read_only = :read_only AND o.revoked_at_us IS :revoked_at_us"
)
OPERATOR_BY_NAME = f"{_OPERATOR} WHERE o.name = :name"
ALL_OPERATORS = f"{_OPERATOR} ORDER BY o.name"

USER_BY_KEY = f"{_USER} WHERE u.key = :key"
WALLET_BY_KEY = f"{_WALLET} WHERE w.user_id = :user_id AND w.key = :key"

# Events (domain/events.py): those of a subject, the newest first, or of all, in the order of their chains.
EVENT = f"{_EVENT} WHERE e.kind = :kind AND e.subject_id = :subject_id AND e.number = :number"
ANY_EVENT = "SELECT 1 FROM events e WHERE e.kind > 0 LIMIT 1"
COUNT_OF_EVENTS = "SELECT count(*) FROM events"
_EARLIER = "(e.at_us, e.kind, e.subject_id, e.number) < (:at_us, :kind, :subject_id, :number)"
EVENTS_BY_TIME = (
    f"{_EVENT} WHERE {_EARLIER} ORDER BY e.at_us DESC, e.kind DESC, e.subject_id DESC, e.number DESC LIMIT :limit"
)
EVENTS_OF = (
    f"{_EVENT} WHERE e.kind = :of_kind AND e.subject_id = :of_id AND {_EARLIER}"
    " ORDER BY e.kind DESC, e.subject_id DESC, e.number DESC LIMIT :limit"
)
EVENTS_IN_ORDER = (
    f"{_EVENT} WHERE e.kind = :kind AND e.subject_id BETWEEN :first AND :last ORDER BY e.kind, e.subject_id, e.number"
)


@cache
def last_events(count: int) -> str:
    """Reads the last event of each of `count` subjects. By position: kind and id of each."""
    pairs = ", ".join(["(?, ?)"] * count)
    return (
        f"WITH subjects (kind, id) AS (VALUES {pairs}) SELECT {_columns(EVENT_COLUMNS, 'e')}"
        " FROM subjects s JOIN events e ON e.kind = s.kind AND e.subject_id = s.id AND e.number ="
        " (SELECT max(number) FROM events x WHERE x.kind = s.kind AND x.subject_id = s.id)"
    )


LAST_USER_ID = "SELECT max(id) FROM users"
LAST_WALLET_ID = "SELECT max(id) FROM wallets"


@cache
def accounts_by_ids(count: int) -> str:
    """Reads `count` accounts at once. By position: the ids, then the moment for which holds count."""
    return accounts_of(f"VALUES {', '.join(['(?)'] * count)}", "?")


def accounts_of(ids: str, now_us: str) -> str:
    """Reads the accounts whose ids are the rows of `ids`. `now_us` is the moment for which holds count."""
    account = _FOR_DECISION.replace(":now_us", now_us)
    return f"WITH ids (id) AS ({ids}) {account}".replace(
        "FROM wallets w LEFT", "FROM ids JOIN wallets w ON w.id = ids.id LEFT"
    )


@cache
def holders_by_ids(count: int) -> str:
    """Reads `count` wallets at once, each with its user: the ids, by position."""
    ids = ", ".join("?" * count)
    whose = f"{_columns(WALLET_COLUMNS, 'w')}, {_columns(USER_COLUMNS, 'u')}"
    return f"SELECT {whose} FROM wallets w JOIN users u ON u.id = w.user_id WHERE w.id IN ({ids})"


@cache
def transactions_by_keys(count: int) -> str:
    """Reads the transactions of `count` keys at once. By position: wallet id and key of each."""
    pairs = ", ".join(["(?, ?)"] * count)
    by_key = "FROM pairs p JOIN transactions t ON t.wallet_id = p.wallet_id AND t.key = p.key AND t.key IS NOT NULL"
    asked = f"SELECT {_columns(TRANSACTION_COLUMNS, 't')} {by_key} {_BY_EITHER_KEY}"
    return f"WITH pairs (wallet_id, key) AS (VALUES {pairs}) {asked}"


class Sum(NamedTuple):
    """What the wallets of one currency are and hold: how many they and their transactions are; minor units."""

    currency: Currency
    wallets: int
    transactions: int
    balance: int


class Filter(NamedTuple):
    """Which transactions of a wallet match: all given fields must fit.

    `is_credit`; `origin`, one of ORIGINS; amounts from `least` to `most`, in minor units (of several wallets: one for
    each number of digits that a currency may have, from 0 on); `text` in the note, compared as in
    domain/text.py; `key`.
    """

    is_credit: bool | None = None
    origin: str | None = None
    least: int | Sequence[int] | None = None
    most: int | Sequence[int] | None = None
    text: str | None = None
    key: str | None = None


ORIGINS = {
    "transfer": "t.peer_wallet_id IS NOT NULL AND t.reverses IS NULL",
    "capture": "t.hold IS NOT NULL",
    "reversal": "t.reverses IS NOT NULL",
}
"""The origin of a transaction that is more than a credit or a debit."""


def filtered(wanted: Filter, statement: str = NEWEST_FIRST) -> tuple[str, dict[str, Any]]:
    """The statement for the matching rows alone, and its further values.

    For text in the note, the statement only checks that there is a note: engines fold letters differently, so the
    reader compares.
    """
    tests: list[str] = []
    values: dict[str, Any] = {}

    def ask(test: str, name: str, value: Any) -> None:
        if value is not None:
            tests.append(test)
            values[name] = value

    ask("t.is_credit = :is_credit", "is_credit", None if wanted.is_credit is None else int(wanted.is_credit))
    for name, sign, bound in (("least", ">=", wanted.least), ("most", "<=", wanted.most)):
        if isinstance(bound, Sequence):
            cases = "".join(f" WHEN {digits} THEN {minor:d}" for digits, minor in enumerate(bound))
            tests.append(f"t.amount {sign} CASE w.exponent{cases} END")
        else:
            ask(f"t.amount {sign} :{name}", name, bound)
    ask(f"t.key = :key {_BY_EITHER_KEY}", "key", wanted.key)
    if wanted.text is not None:
        tests.append("t.note IS NOT NULL")
    if wanted.origin is not None:
        tests.append(ORIGINS[wanted.origin])
    where = "".join(f" AND {test}" for test in tests)
    return statement.replace(" ORDER BY", f"{where} ORDER BY"), values


# What there is of each currency. A sum of balances may be more than 64 bits: it is read in two parts.
SUMS = (
    "SELECT w.currency, w.exponent, count(*), CAST(coalesce(sum(t.seq), 0) AS BIGINT),"
    f" CAST(coalesce(sum((t.credit_total - t.debit_total) / {PART}), 0) AS BIGINT),"
    f" CAST(coalesce(sum((t.credit_total - t.debit_total) % {PART}), 0) AS BIGINT)"
    " FROM wallets w LEFT JOIN transactions t ON t.wallet_id = w.id"
    " AND t.seq = (SELECT max(seq) FROM transactions WHERE wallet_id = w.id)"
    " GROUP BY w.currency, w.exponent ORDER BY w.currency, w.exponent"
)


INSERT_USER = _insert("users", USER_COLUMNS)
UPSERT_WALLET = (
    _insert("wallets", WALLET_COLUMNS) + " ON CONFLICT (id) DO UPDATE SET status = excluded.status,"
    " own_minimum = excluded.own_minimum, maximum = excluded.maximum, daily_debit = excluded.daily_debit,"
    " held = excluded.held, holds = excluded.holds"
)
UPSERT_WITNESS = _insert("witnesses", ("wallet_id", *CHANGING_COLUMNS)) + (
    f" ON CONFLICT (wallet_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in CHANGING_COLUMNS)}"
)
# A witness is created with its wallet.
SET_HEAD = "UPDATE witnesses SET seq = ?, hash = ? WHERE wallet_id = ?"
UPSERT_HOLD = (
    _insert("holds", HOLD_COLUMNS) + " ON CONFLICT (wallet_id, number) DO UPDATE"
    " SET captured = excluded.captured, status = excluded.status, ended_at_us = excluded.ended_at_us"
)
INSERT_TRANSACTION = _insert("transactions", TRANSACTION_COLUMNS)
INSERT_TRANSACTIONS = _insert("transactions", TRANSACTION_COLUMNS, ROWS_AT_ONCE)
INSERT_EVENT = _insert("events", EVENT_COLUMNS)
UPSERT_OPERATOR = (
    _insert("operators", OPERATOR_COLUMNS) + " ON CONFLICT (name) DO UPDATE"
    " SET revoked_at_us = excluded.revoked_at_us, last_used_at_us = excluded.last_used_at_us"
)

# Walks of the whole ledger, for `verify` and `export`.
ALL_USERS = f"{_USER} ORDER BY u.id"
ALL_WALLETS = f"{_WALLET} ORDER BY w.id"
NAMED_WALLETS = (
    f"SELECT {_columns(WALLET_COLUMNS, 'w')}, u.phone_e164 FROM wallets w JOIN users u ON u.id = w.user_id"
    " WHERE w.id BETWEEN :first AND :last ORDER BY w.id"
)
EXPORTED_COLUMNS = (
    "wallet_id", "seq", "is_credit", "amount", "at_us", "key",
    "peer_wallet_id", "peer_seq", "reverses", "hold", "forced", "user_key", "actor",
)  # fmt: skip
EXPORTED = (
    f"SELECT {_columns(EXPORTED_COLUMNS, 't')}, t.credit_total - t.debit_total, {_columns(REMARKS, 't')}"
    " FROM transactions t"
    " WHERE t.wallet_id BETWEEN :first AND :last ORDER BY t.wallet_id, t.seq"
)
ALL_HOLDS = f"{_HOLD} ORDER BY h.wallet_id, h.number"
HOLDS_IN_ORDER = f"{_HOLD} WHERE h.wallet_id = :wallet_id ORDER BY h.number"
# Each row of a range of wallets, with its canonical text (domain/hash_chain.py), written out by the engine. NULL is no
# text to concat(), and makes all that || joins to it NULL.
_LONG = "' {1} ' || octet_length(t.{0}) || ':' || t.{0}"
_CANONICAL = ", ".join(
    (
        "' ', t.seq, CASE t.is_credit WHEN 1 THEN ' credit ' ELSE ' debit ' END, t.amount",
        "' ', t.credit_total, ' ', t.debit_total, ' ', t.credit_count, ' ', t.at_us",
        *(_LONG.format(name, name) for name in ("note", "key", *OTHERS)),
        "' peer ' || t.peer_wallet_id || '-' || t.peer_seq, ' reverses ' || t.reverses, ' hold ' || t.hold",
        "CASE t.forced WHEN 1 THEN ' forced' END, CASE t.user_key WHEN 1 THEN ' user-key' END",
        _LONG.format("actor", "by"),
    )
)
CHAINS = (
    "SELECT t.wallet_id, t.seq, t.is_credit, t.amount, t.credit_total, t.debit_total, t.credit_count, t.at_us,"
    f" concat({_CANONICAL}), t.hash FROM transactions t WHERE t.wallet_id BETWEEN :first AND :last"
    " ORDER BY t.wallet_id, t.seq"
)
WITNESSED = (
    f"SELECT {_columns(WALLET_COLUMNS, 'w')}, {_columns(WITNESS_COLUMNS, 'x')} FROM wallets w"
    " LEFT JOIN witnesses x ON x.wallet_id = w.id AND x.wallet_id BETWEEN :first AND :last"
    " WHERE w.id BETWEEN :first AND :last ORDER BY w.id"
)
OLDEST_FIRST = f"{_TRANSACTION} WHERE t.wallet_id = :wallet_id ORDER BY t.wallet_id, t.seq"
STRAY_HOLDS = (
    "SELECT h.wallet_id, h.number FROM holds h"
    " WHERE NOT EXISTS (SELECT 1 FROM wallets w WHERE w.id = h.wallet_id) ORDER BY h.wallet_id, h.number LIMIT 1"
)
STRAY_WITNESSES = (
    "SELECT x.wallet_id FROM witnesses x"
    " WHERE NOT EXISTS (SELECT 1 FROM wallets w WHERE w.id = x.wallet_id) ORDER BY x.wallet_id LIMIT 1"
)

# Checks across rows, for `verify`: each reads a range of wallets, and returns the first bad row.
_IN_RANGE = "BETWEEN :first AND :last"
# A leg of a transfer whose other leg is missing or does not match.
WRONG_LEGS = f"""
SELECT t.wallet_id, t.seq FROM transactions t
WHERE t.wallet_id {_IN_RANGE} AND (t.peer_wallet_id IS NOT NULL OR t.peer_seq IS NOT NULL) AND NOT EXISTS (
    SELECT 1 FROM transactions p, wallets a, wallets b
    WHERE p.wallet_id = t.peer_wallet_id AND p.seq = t.peer_seq
    AND p.peer_wallet_id = t.wallet_id AND p.peer_seq = t.seq AND p.wallet_id <> t.wallet_id
    AND p.amount = t.amount AND p.is_credit <> t.is_credit AND (p.reverses IS NULL) = (t.reverses IS NULL)
    AND a.id = t.wallet_id AND b.id = p.wallet_id AND a.exponent = b.exponent
    AND (a.currency = b.currency OR a.currency || '/' || a.exponent = b.currency
        OR a.currency = b.currency || '/' || b.exponent)
) ORDER BY t.wallet_id, t.seq LIMIT 1
"""
# A reversal of a row that is missing, later, a reversal itself, of the same kind, or a transfer with another wallet.
WRONG_REVERSALS = f"""
SELECT t.wallet_id, t.seq FROM transactions t
WHERE t.wallet_id {_IN_RANGE} AND t.reverses IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM transactions o WHERE o.wallet_id = t.wallet_id AND o.seq = t.reverses AND o.seq < t.seq
    AND o.reverses IS NULL AND o.is_credit <> t.is_credit
    AND coalesce(o.peer_wallet_id, 0) = coalesce(t.peer_wallet_id, 0)
) ORDER BY t.wallet_id, t.seq LIMIT 1
"""
# A transaction of which more was reversed than its amount.
OVERDONE_REVERSALS = f"""
SELECT t.wallet_id, t.reverses FROM transactions t WHERE t.wallet_id {_IN_RANGE} AND t.reverses IS NOT NULL
GROUP BY t.wallet_id, t.reverses HAVING sum(t.amount) >
    (SELECT o.amount FROM transactions o WHERE o.wallet_id = t.wallet_id AND o.seq = t.reverses)
ORDER BY t.wallet_id, t.reverses LIMIT 1
"""
# A capture that is not a debit, or does not name a hold of its wallet.
WRONG_CAPTURES = f"""
SELECT t.wallet_id, t.seq FROM transactions t
WHERE t.wallet_id {_IN_RANGE} AND t.hold IS NOT NULL AND (t.is_credit = 1 OR NOT EXISTS (
    SELECT 1 FROM holds h WHERE h.wallet_id = t.wallet_id AND h.number = t.hold
)) ORDER BY t.wallet_id, t.seq LIMIT 1
"""
# A hold whose captured amount is not the sum of its captures.
WRONG_CAPTURED = f"""
SELECT h.wallet_id, h.number FROM holds h LEFT JOIN (
    SELECT t.wallet_id AS wallet_id, t.hold AS hold, sum(t.amount) AS total FROM transactions t
    WHERE t.wallet_id {_IN_RANGE} AND t.hold IS NOT NULL GROUP BY t.wallet_id, t.hold
) c ON c.wallet_id = h.wallet_id AND c.hold = h.number
WHERE h.wallet_id {_IN_RANGE} AND h.captured <> coalesce(c.total, 0) ORDER BY h.wallet_id, h.number LIMIT 1
"""
# A hold whose status, amounts and times do not agree.
WRONG_HOLDS = f"""
SELECT h.wallet_id, h.number FROM holds h WHERE h.wallet_id {_IN_RANGE} AND NOT (
    h.captured BETWEEN 0 AND h.amount AND h.created_at_us < h.expires_at_us AND CASE h.status
        WHEN 'open' THEN h.ended_at_us IS NULL AND h.captured < h.amount
        WHEN 'captured' THEN h.ended_at_us >= h.created_at_us AND h.captured > 0
        WHEN 'voided' THEN h.ended_at_us >= h.created_at_us AND h.captured < h.amount
        ELSE h.status = 'expired' AND h.ended_at_us = h.expires_at_us AND h.captured < h.amount END IS TRUE
) ORDER BY h.wallet_id, h.number LIMIT 1
"""
# A wallet that does not agree with its holds: its values (held, how many), and those of the holds.
WRONG_WALLETS = f"""
SELECT w.id, w.held, w.holds, coalesce(h.kept, 0), coalesce(h.counted, 0), coalesce(h.newest, 0)
FROM wallets w LEFT JOIN (
    SELECT wallet_id, count(*) AS counted, max(number) AS newest,
        sum(CASE WHEN status = 'open' THEN amount - captured ELSE 0 END) AS kept
    FROM holds WHERE wallet_id {_IN_RANGE} GROUP BY wallet_id
) h ON h.wallet_id = w.id
WHERE w.id {_IN_RANGE} AND (w.held <> coalesce(h.kept, 0)
    OR w.holds <> coalesce(h.counted, 0) OR w.holds <> coalesce(h.newest, 0))
ORDER BY w.id LIMIT 1
"""


def _beyond_calendar(table: str, key: str, columns: Sequence[str]) -> str:
    tests = [f"{name} < {FIRST_US} OR {name} > {LAST_US}" for name in columns if name.endswith("_us")]
    return f"SELECT {key} FROM {table} WHERE {' OR '.join(tests)} LIMIT 1"


BEYOND_CALENDAR = {
    "user {}": _beyond_calendar("users", "id", USER_COLUMNS),
    "wallet w{}": _beyond_calendar("wallets", "id", WALLET_COLUMNS),
    "hold {}-h{}": _beyond_calendar("holds", "wallet_id, number", HOLD_COLUMNS),
    "transaction {}-{}": _beyond_calendar("transactions", "wallet_id, seq", TRANSACTION_COLUMNS),
    "the operator key {!r}": _beyond_calendar("operators", "name", OPERATOR_COLUMNS),
    "event {}{}-{}": _beyond_calendar("events", "substr('luw', kind + 1, 1), subject_id, number", EVENT_COLUMNS),
    "the state of the ledger": _beyond_calendar("ledger", "id", MOVE_STATE_COLUMNS),
}
"""Finds a row with a time that cannot be told; by what it is called, with its key. Those of transactions and events use
an index.
"""


class _Partial(NamedTuple):
    """A table and its partial index, for SQLite only: each is read separately, which only SQLite can be told to do.

    SQLite's own check looks for an index entry of each row, and does not count the entries of a partial index: it does
    not find that rows are missing, as where a page was replaced by an older version.
    """

    table: str
    name: str
    place: tuple[str, ...]
    columns: tuple[str, ...]
    having: str

    @property
    def entries(self) -> str:
        return f"{self.table} i INDEXED BY {self.name} WHERE {self.having.format('i')}"

    @property
    def rows(self) -> str:
        # To SQLite, a table that is stored by its key is itself an index, and must be named as one.
        itself = "NOT INDEXED" if self.place == ("id",) else f"INDEXED BY sqlite_autoindex_{self.table}_1"
        return f"{self.table} r {itself} WHERE {self.having.format('r')}"

    @property
    def differs(self) -> str:
        """Reads the first index entry without a matching row in its table, or row without a matching index entry."""
        same = " AND ".join(f"r.{name} = i.{name}" for name in (*self.place, *self.columns))
        by, at = self.place[0], ", ".join
        return (
            f"SELECT * FROM (SELECT {at(f'i.{name}' for name in self.place)} FROM {self.entries} AND i.{by} {_IN_RANGE}"
            f" AND NOT EXISTS (SELECT 1 FROM {self.rows} AND {same}) LIMIT 1)"
            f" UNION ALL SELECT * FROM (SELECT {at(f'r.{name}' for name in self.place)} FROM {self.rows} AND r.{by}"
            f" {_IN_RANGE} AND NOT EXISTS (SELECT 1 FROM {self.entries} AND {same}) LIMIT 1) LIMIT 1"
        )


_IN_WALLET, _NUMBERED, _WITH_KEY = ("wallet_id", "seq"), ("wallet_id", "number"), "{0}.key IS NOT NULL"
_KEYS, _REVERSES = "uq_transactions_wallet_id_key_user_key", "ix_transactions_wallet_id_reverses"
PARTIAL = {
    "keys": _Partial("transactions", _KEYS, _IN_WALLET, ("key", "user_key"), _WITH_KEY),
    "reversals": _Partial("transactions", _REVERSES, _IN_WALLET, ("reverses",), "{0}.reverses IS NOT NULL"),
    "keys of holds": _Partial("holds", "uq_holds_wallet_id_key", _NUMBERED, ("key",), _WITH_KEY),
    "open holds": _Partial("holds", "ix_holds_open", _NUMBERED, ("expires_at_us",), "{0}.status = 'open'"),
    "keys of wallets": _Partial("wallets", "uq_wallets_user_id_key", ("id",), ("user_id", "key"), _WITH_KEY),
    "keys of users": _Partial("users", "uq_users_key", ("id",), ("key",), _WITH_KEY),
}
"""By what the index is for."""

UNINDEXED = {what: each.differs for what, each in PARTIAL.items()}
"""Finds where a table and a partial index do not agree."""

AS_MANY = "SELECT " + " AND ".join(
    f"(SELECT count(*) FROM {each.entries}) = (SELECT count(*) FROM {each.rows})" for each in PARTIAL.values()
)
"""Whether each partial index has as many entries as its table has rows for it."""

WRONG = {
    "legs": WRONG_LEGS,
    "reversals": WRONG_REVERSALS,
    "overdone reversals": OVERDONE_REVERSALS,
    "captures": WRONG_CAPTURES,
    "captured": WRONG_CAPTURED,
    "holds": WRONG_HOLDS,
    "wallets": WRONG_WALLETS,
}


# The ledger's own row (storage/move_state.py): read with each batch, for its move state and settings.
_ITSELF_COLUMNS = (*MOVE_STATE_COLUMNS, "restoring", "damaged", "changes", *FACT_COLUMNS)
ITSELF = f"SELECT {_columns(_ITSELF_COLUMNS, 'l')} FROM ledger l WHERE l.id = 1"
SET_FACTS = f"UPDATE ledger SET {', '.join(f'{name} = :{name}' for name in FACT_COLUMNS)} WHERE id = 1"
# One column each: two programs that set different ones do not undo each other's change.
SET_SETTING = {
    name: f"{_insert('ledger', ('id', name))} ON CONFLICT (id) DO UPDATE SET {name} = excluded.{name}"
    for name in SETTING_COLUMNS
}
SET_DAMAGED = "UPDATE ledger SET damaged = :damaged WHERE id = 1"
SET_RESTORING = "UPDATE ledger SET restoring = :restoring WHERE id = 1"
COUNT_CHANGE = f"UPDATE ledger SET changes = changes + 1 WHERE id = 1 AND changes < {MAX_CHANGES}"
SET_MOVE_STATE = f"UPDATE ledger SET {', '.join(f'{name} = :{name}' for name in MOVE_STATE_COLUMNS)} WHERE id = 1"


def settings_of(facts: LedgerFacts) -> Iterator[tuple[str, tuple[int, str]]]:
    """Statements that set the given settings, and the row for each."""
    for name in SETTING_COLUMNS:
        value = getattr(facts, name)
        if value is not None:
            yield SET_SETTING[name], (1, value)


def rows_of_itself(itself: Itself) -> events.Rows:
    """The rows of the ledger's own events: its settings, and its move state."""
    return {"ledger": events.of_settings(itself.facts), "place": itself.move_state._asdict()}


class Copied(NamedTuple):
    """A table as `wallet move` copies it: in pieces, in the order of its key, which is whole numbers."""

    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def after(self) -> str:
        """Reads the next rows. By position: the key after which to start, then how many."""
        key, marks = ", ".join(self.key), ", ".join("?" * len(self.key))
        if len(self.key) > 1:
            key, marks = f"({key})", f"({marks})"
        order = ", ".join(self.key)
        return f"SELECT {', '.join(self.columns)} FROM {self.table} WHERE {key} > {marks} ORDER BY {order} LIMIT ?"

    @property
    def last(self) -> str:
        """Reads the highest key."""
        order = ", ".join(f"{name} DESC" for name in self.key)
        return f"SELECT {', '.join(self.key)} FROM {self.table} ORDER BY {order} LIMIT 1"

    @property
    def insert(self) -> str:
        return INSERT_TRANSACTION if self.table == "transactions" else _insert(self.table, self.columns)

    @property
    def how_many(self) -> str:
        return f"SELECT count(*) FROM {self.table}"

    @property
    def clear(self) -> str:
        return f"DELETE FROM {self.table}"


# In the order that foreign keys need.
TRANSACTIONS = Copied("transactions", TRANSACTION_COLUMNS, ("wallet_id", "seq"))
EVENTS = Copied("events", EVENT_COLUMNS, ("kind", "subject_id", "number"))
COPIED = (
    Copied("users", USER_COLUMNS, ("id",)),
    Copied("wallets", WALLET_COLUMNS, ("id",)),
    Copied("holds", HOLD_COLUMNS, ("wallet_id", "number")),
    TRANSACTIONS,
    Copied("witnesses", WITNESS_COLUMNS, ("wallet_id",)),
    EVENTS,
)
TABLES = ("ledger", "operators", *(copied.table for copied in COPIED))
INSERT_OPERATOR = _insert("operators", OPERATOR_COLUMNS)
CLEAR_OPERATORS = "DELETE FROM operators"


WALKS = frozenset(
    {
        ALL_USERS, ALL_WALLETS, ALL_HOLDS, HOLDS_IN_ORDER, OLDEST_FIRST, IN_ORDER, NAMED_WALLETS, EXPORTED,
        EVENTS_IN_ORDER, CHAINS, WITNESSED,
    }
)  # fmt: skip
NO_LIMIT = -1


def reads_much(statement: str, values: Any) -> bool:
    """Whether a statement may read very many rows: on a server it runs with a cursor, in pieces."""
    return statement in WALKS or (isinstance(values, dict) and values.get("limit") == NO_LIMIT)


def wallet_values(wallet: Wallet) -> tuple[Any, ...]:
    """The values of a wallet for UPSERT_WALLET."""
    id_, user_id, type_, currency, *rest = wallet
    return (id_, user_id, type_, currency.name, currency.exponent, *rest)


def witness_values(wallet: Wallet) -> tuple[Any, ...]:
    """The values of a wallet for UPSERT_WITNESS."""
    id_, _, _, *changing = Witness.of(wallet, hash_chain.unopened(wallet))
    return (id_, *changing)


def operator_values(operator: ApiKey) -> list[Any]:
    """The values of an operator for INSERT_OPERATOR, on either engine."""
    name, key_hash, read_only, *times = operator
    return [name, key_hash, int(read_only), *times]


# A row with a time that cannot be told is refused where it is read: nothing is decided on it, or committed and then not
# answered. Of transactions, that is the last one of an account.


def to_operator(row: Sequence[Any]) -> ApiKey:
    name, key_hash, read_only, *times = row
    if not all(at_us is None or FIRST_US <= at_us <= LAST_US for at_us in times):
        raise beyond_calendar(f"a time of the operator key {shown(name)}")
    return ApiKey(name, key_hash, bool(read_only), *times)


def to_user(row: Sequence[Any]) -> User:
    user = User._make(row)
    if not FIRST_US <= user.created_at_us <= LAST_US:
        raise beyond_calendar(f"the time of user {user.id}")
    return user


def to_wallet(row: Sequence[Any]) -> Wallet:
    id_, user_id, type_, currency, exponent, *rest = row
    wallet = Wallet(id_, user_id, type_, Currency(currency, exponent), *rest)
    if not FIRST_US <= wallet.created_at_us <= LAST_US:
        raise beyond_calendar(f"the time of wallet {format_wallet_id(id_)}")
    if not 0 <= exponent <= MAX_EXPONENT:  # a power of ten that no machine has room for
        raise damaged(wallet, f"has {exponent} fraction digits")
    return wallet


def to_witnessed(row: Sequence[Any]) -> tuple[Wallet, Witness | None]:
    size = len(WALLET_COLUMNS)
    return to_wallet(row[:size]), None if row[size] is None else Witness._make(row[size:])


def to_holder(row: Sequence[Any]) -> tuple[Wallet, User]:
    return to_wallet(row[: len(WALLET_COLUMNS)]), to_user(row[len(WALLET_COLUMNS) :])


def to_transaction(row: Sequence[Any]) -> Transaction:
    wallet_id, seq, is_credit, *most, forced, user_key, actor = row[:_FACTS]
    said = row[_FACTS:]
    remarks = NOTHING if said == NOTHING else Remarks._make(said)
    facts = (wallet_id, seq, is_credit == 1, *most, forced == 1, user_key == 1, actor, remarks)
    return tuple.__new__(Transaction, facts)


def transaction_values(transaction: Sequence[Any]) -> list[Any]:
    """The values of a transaction for INSERT_TRANSACTION."""
    values = list(transaction)
    values += values.pop()
    return values


def to_entry(row: Sequence[Any]) -> tuple[Transaction, Wallet, str | None]:
    """A transaction, its wallet, and the name of its owner, from a row of DAY_BOOK."""
    size = len(TRANSACTION_COLUMNS)
    return to_transaction(row[:size]), to_wallet(row[size:-1]), row[-1]


def to_sum(row: Sequence[Any]) -> Sum:
    name, exponent, wallets, transactions, high, low = row
    return Sum(Currency(name, exponent), wallets, transactions, high * PART + low)


def to_event(row: Sequence[Any]) -> Event:
    event = Event._make(row)
    if not 0 <= event.kind < len(events.KINDS):
        raise Damaged(f"{Damaged.DAMAGED}an event is of the kind {event.kind}", hint="restore a backup")
    if not FIRST_US <= event.at_us <= LAST_US:
        letter = events.KINDS[event.kind][0]
        raise beyond_calendar(f"event {letter}{event.subject_id}-{event.number} cannot be read: its time")
    return event


def to_hold(row: Sequence[Any]) -> Hold:
    hold = Hold._make(row)
    times = [at_us for at_us in (hold.created_at_us, hold.expires_at_us, hold.ended_at_us) if at_us is not None]
    if not FIRST_US <= min(times) <= max(times) <= LAST_US:
        raise beyond_calendar(f"a time of hold {format_hold_id(hold.wallet_id, hold.number)}")
    return hold


def damaged(wallet: Wallet, what: str) -> Damaged:
    """The error for a wallet that is not as it was written."""
    message = (f"{Damaged.DAMAGED}wallet ", wallet.mention, f" {what}")
    return Damaged(message, hint="find where with `wallet verify`; restore a backup", wallet=wallet.id)


def to_account(row: Sequence[Any]) -> Account:
    """A wallet, its last transaction, and the expired part of its holds, from one joined row.

    Raises Damaged if its witness differs.
    """
    wallet = to_wallet(row[: len(WALLET_COLUMNS)])
    if not row[-1]:
        raise damaged(wallet, "differs from its last write")
    found = row[len(WALLET_COLUMNS) : -3]
    last = to_transaction(found) if found[0] is not None else hash_chain.unopened(wallet)
    if not FIRST_US <= last.at_us <= LAST_US:
        raise beyond_calendar(f"the time of transaction {format_transaction_id(wallet.id, last.seq)}")
    return Account(wallet, last, row[-3], row[-2])


def schema_changed(version: int, address: str) -> StorageError:
    """The error for a process whose open ledger was migrated by another process."""
    return StorageError(
        f"another wallet has migrated this ledger to schema {version}, but this process writes schema"
        f" {SCHEMA_VERSION}: {address}",
        hint="restart this process with the version of wallet-cli that migrated it",
    )
