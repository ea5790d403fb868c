"""The hot statements, as plain SQL with `:named` parameters, and how a row becomes a thing of the ledger.

Each is one that both engines run as it stands; a test prepares every one of them against both migrated schemas. None
reads more than it answers: a wallet's state is its last row, a moment is found by bisecting `seq`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wallet_cli.domain import chain
from wallet_cli.domain.model import Account, Operator, Transaction, User, Wallet
from wallet_cli.domain.money import Currency

SCHEMA_VERSION = 2
"""The newest migration; kept in each ledger, where one cheap read finds it."""

ROWS_AT_ONCE = 32
"""How many transactions one statement inserts, where there are as many."""

USER_COLUMNS = tuple(User._fields)
WALLET_COLUMNS = ("id", "user_id", "type", "currency", "exponent", "status", "own_minimum", "created_at_us")
TRANSACTION_COLUMNS = tuple(Transaction._fields)
OPERATOR_COLUMNS = tuple(Operator._fields)


def _columns(names: Sequence[str], table: str) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


def _insert(table: str, columns: Sequence[str], rows: int = 1) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"


_USER = f"SELECT {_columns(USER_COLUMNS, 'u')} FROM users u"
_OPERATOR = f"SELECT {_columns(OPERATOR_COLUMNS, 'o')} FROM operators o"
_TRANSACTION = f"SELECT {_columns(TRANSACTION_COLUMNS, 't')} FROM transactions t"
_ACCOUNT = (
    f"SELECT {_columns(WALLET_COLUMNS, 'w')}, {_columns(TRANSACTION_COLUMNS, 't')}"
    " FROM wallets w LEFT JOIN transactions t ON t.wallet_id = w.id"
    " AND t.seq = (SELECT max(seq) FROM transactions WHERE wallet_id = w.id)"
)

USER_BY_ID = f"{_USER} WHERE u.id = :id"
USER_BY_E164 = f"{_USER} WHERE u.phone_e164 = :e164"
USER_BY_NATIONAL = f"{_USER} WHERE u.phone_region = :region AND u.phone_national = :national"

ACCOUNT_BY_ID = f"{_ACCOUNT} WHERE w.id = :id"
ACCOUNT_BY_OWNER = f"{_ACCOUNT} WHERE w.user_id = :user_id AND w.type = :type"
ACCOUNT_OWNED = f"{_ACCOUNT} WHERE w.id = :id AND w.user_id = :user_id"
WALLET_OWNED = f"SELECT {_columns(WALLET_COLUMNS, 'w')} FROM wallets w WHERE w.id = :id AND w.user_id = :user_id"
ACCOUNTS_OF_USER = f"{_ACCOUNT} WHERE w.user_id = :user_id ORDER BY w.id"

TRANSACTION_BY_KEY = f"{_TRANSACTION} WHERE t.wallet_id = :wallet_id AND t.key = :key"
TRANSACTION_BY_SEQ = f"{_TRANSACTION} WHERE t.wallet_id = :wallet_id AND t.seq = :seq"
NEWEST_FIRST = (
    f"{_TRANSACTION} WHERE t.wallet_id = :wallet_id AND t.seq BETWEEN :first AND :last"
    " ORDER BY t.wallet_id DESC, t.seq DESC LIMIT :limit"
)

# The last transaction before a moment: `at_us` never runs backwards, so halve (low, high] until one seq is left.
# Some twenty look-ups by primary key for a million transactions, and no second index to keep.
LAST_SEQ_BEFORE = """
WITH RECURSIVE halves (low, high) AS (
    SELECT CAST(0 AS BIGINT), CAST(:last AS BIGINT)
    UNION ALL
    SELECT CASE WHEN t.at_us < :moment_us THEN t.seq ELSE low END,
           CASE WHEN t.at_us < :moment_us THEN high ELSE t.seq - 1 END
    FROM halves JOIN transactions t ON t.wallet_id = :wallet_id AND t.seq = (low + high + 1) / 2
    WHERE low < high
)
SELECT low FROM halves WHERE low = high
"""

OPERATOR_BY_HASH = f"{_OPERATOR} WHERE o.key_hash = :key_hash"
OPERATOR_BY_NAME = f"{_OPERATOR} WHERE o.name = :name"
ALL_OPERATORS = f"{_OPERATOR} ORDER BY o.name"

LAST_USER_ID = "SELECT max(id) FROM users"
LAST_WALLET_ID = "SELECT max(id) FROM wallets"

INSERT_USER = _insert("users", USER_COLUMNS)
INSERT_WALLET = _insert("wallets", WALLET_COLUMNS)
INSERT_TRANSACTION = _insert("transactions", TRANSACTION_COLUMNS)
INSERT_TRANSACTIONS = _insert("transactions", TRANSACTION_COLUMNS, ROWS_AT_ONCE)
UPSERT_OPERATOR = (
    _insert("operators", OPERATOR_COLUMNS) + " ON CONFLICT (name) DO UPDATE"
    " SET revoked_at_us = excluded.revoked_at_us, last_used_at_us = excluded.last_used_at_us"
)

# Walks of the whole ledger, for `verify`.
ALL_WALLETS = f"SELECT {_columns(WALLET_COLUMNS, 'w')} FROM wallets w ORDER BY w.id"
OLDEST_FIRST = f"{_TRANSACTION} WHERE t.wallet_id = :wallet_id ORDER BY t.wallet_id, t.seq"
STRAY_TRANSACTIONS = (
    "SELECT t.wallet_id, t.seq FROM transactions t"
    " WHERE NOT EXISTS (SELECT 1 FROM wallets w WHERE w.id = t.wallet_id) ORDER BY t.wallet_id, t.seq LIMIT 1"
)


def wallet_values(wallet: Wallet) -> tuple[Any, ...]:
    """A wallet as INSERT_WALLET takes it."""
    id_, user_id, type_, currency, status, own_minimum, created_at_us = wallet
    return (id_, user_id, type_, currency.name, currency.exponent, status, own_minimum, created_at_us)


def to_operator(row: Sequence[Any]) -> Operator:
    name, key_hash, read_only, *times = row
    return Operator(name, key_hash, bool(read_only), *times)


def to_user(row: Sequence[Any]) -> User:
    return User._make(row)


def to_wallet(row: Sequence[Any]) -> Wallet:
    id_, user_id, type_, currency, exponent, status, own_minimum, created_at_us = row
    return Wallet(id_, user_id, type_, Currency(currency, exponent), status, own_minimum, created_at_us)


def to_transaction(row: Sequence[Any]) -> Transaction:
    wallet_id, seq, is_credit, *rest = row
    return Transaction(wallet_id, seq, bool(is_credit), *rest)


def to_account(row: Sequence[Any]) -> Account:
    """A wallet and its last transaction from one joined row."""
    wallet = to_wallet(row[: len(WALLET_COLUMNS)])
    last = row[len(WALLET_COLUMNS) :]
    return Account(wallet, to_transaction(last) if last[0] is not None else chain.unopened(wallet))
