"""Limits and holds, and more fields of a transaction.

Columns are added in place: a table with millions of rows is not copied.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def add(table: str, name: str, type_: str, check: str, default: str | None = None) -> None:
    if type_ == "BIGINT" and op.get_bind().dialect.name == "sqlite":
        type_ = "INTEGER"
    rule = f"CONSTRAINT ck_{table}_{name} CHECK ({check})"
    tail = "" if default is None else f" DEFAULT {default} NOT NULL"
    op.execute(f"ALTER TABLE {table} ADD COLUMN {name} {type_}{tail} {rule}")


def upgrade() -> None:
    add("wallets", "maximum", "BIGINT", "maximum BETWEEN -1000000000000000 AND 1000000000000000")
    add("wallets", "daily_debit", "BIGINT", "daily_debit BETWEEN 0 AND 1000000000000000")
    add("wallets", "held", "BIGINT", "held BETWEEN 0 AND 9000000000000000000", "0")
    add("wallets", "holds", "BIGINT", "holds >= 0", "0")
    add("transactions", "meta", "TEXT", "length(meta) <= 4096")
    add("transactions", "peer_wallet_id", "BIGINT", "peer_wallet_id >= 1")
    add("transactions", "peer_seq", "BIGINT", "peer_seq >= 1")
    add("transactions", "reverses", "BIGINT", "reverses >= 1")
    add("transactions", "hold", "BIGINT", "hold >= 1")
    add("transactions", "forced", "INTEGER", "forced IN (0, 1)", "0")
    op.create_index(
        "ix_transactions_wallet_id_reverses",
        "transactions",
        ["wallet_id", "reverses"],
        sqlite_where=sa.text("reverses IS NOT NULL"),
        postgresql_where=sa.text("reverses IS NOT NULL"),
    )
    op.create_table(
        "holds",
        sa.Column("wallet_id", INT64, autoincrement=False, nullable=False),
        sa.Column("number", INT64, autoincrement=False, nullable=False),
        sa.Column("amount", INT64, nullable=False),
        sa.Column("captured", INT64, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at_us", INT64, nullable=False),
        sa.Column("expires_at_us", INT64, nullable=False),
        sa.Column("ended_at_us", INT64),
        sa.Column("note", sa.Text),
        sa.Column("key", sa.Text),
        sa.PrimaryKeyConstraint("wallet_id", "number", name=op.f("pk_holds")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_holds_number")),
        sa.CheckConstraint("amount BETWEEN 1 AND 1000000000000000", name=op.f("ck_holds_amount")),
        sa.CheckConstraint("captured BETWEEN 0 AND amount", name=op.f("ck_holds_captured")),
        sa.CheckConstraint("status IN ('open', 'captured', 'voided', 'expired')", name=op.f("ck_holds_status")),
        sa.CheckConstraint("(status = 'open') = (ended_at_us IS NULL)", name=op.f("ck_holds_ended_at_us")),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 255", name=op.f("ck_holds_key")),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallets.id"], name=op.f("fk_holds_wallet_id")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_holds_wallet_id_key",
        "holds",
        ["wallet_id", "key"],
        unique=True,
        sqlite_where=sa.text("key IS NOT NULL"),
        postgresql_where=sa.text("key IS NOT NULL"),
    )
    op.create_index(
        "ix_holds_open",
        "holds",
        ["wallet_id", "expires_at_us"],
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
