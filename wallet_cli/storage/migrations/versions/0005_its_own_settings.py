"""A ledger's id and settings, separate keys of users and of operators, and keys of registrations."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

MAX_TEXT = 255


def add(table: str, name: str, type_: str, check: str, default: str | None = None) -> None:
    if type_ == "BIGINT" and op.get_bind().dialect.name == "sqlite":
        type_ = "INTEGER"
    rule = f"CONSTRAINT ck_{table}_{name} CHECK ({check})"
    tail = "" if default is None else f" DEFAULT {default} NOT NULL"
    op.execute(f"ALTER TABLE {table} ADD COLUMN {name} {type_}{tail} {rule}")


def upgrade() -> None:
    add("ledger", "uuid", "TEXT", "length(uuid) = 36")
    add("ledger", "currency", "TEXT", f"length(currency) BETWEEN 1 AND {MAX_TEXT}")
    add("ledger", "phone_region", "TEXT", f"length(phone_region) BETWEEN 1 AND {MAX_TEXT}")
    add("ledger", "minimum_balance", "TEXT", f"length(minimum_balance) BETWEEN 1 AND {MAX_TEXT}")
    add("ledger", "timezone", "TEXT", f"length(timezone) BETWEEN 1 AND {MAX_TEXT}")
    add("ledger", "restoring", "INTEGER", "restoring IN (0, 1)", "0")
    op.execute(f"UPDATE ledger SET uuid = '{uuid.uuid4()}' WHERE id = 1")
    add("users", "key", "TEXT", f"length(key) BETWEEN 1 AND {MAX_TEXT}")
    add("wallets", "key", "TEXT", f"length(key) BETWEEN 1 AND {MAX_TEXT}")
    add("wallets", "opening_minimum", "BIGINT", "opening_minimum BETWEEN -1000000000000000 AND 1000000000000000")
    add("transactions", "user_key", "INTEGER", "user_key IN (0, 1)", "0")
    op.drop_index("uq_transactions_wallet_id_key", "transactions")
    for table, columns in (
        ("users", ["key"]),
        ("wallets", ["user_id", "key"]),
        ("transactions", ["wallet_id", "key", "user_key"]),
    ):
        op.create_index(
            f"uq_{table}_{'_'.join(columns)}",
            table,
            columns,
            unique=True,
            sqlite_where=sa.text("key IS NOT NULL"),
            postgresql_where=sa.text("key IS NOT NULL"),
        )
