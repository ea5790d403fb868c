"""A second record of the state on which a wallet's next decision depends, and a note that a ledger is damaged.

A witness is made from the present rows: it does not show what was lost before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "witnesses",
        sa.Column("wallet_id", INT64, autoincrement=False, nullable=False),
        sa.Column("seq", INT64, server_default=sa.text("0"), nullable=False),
        sa.Column("hash", sa.LargeBinary),
        sa.Column("status", sa.Text),
        sa.Column("own_minimum", INT64),
        sa.Column("maximum", INT64),
        sa.Column("daily_debit", INT64),
        sa.Column("held", INT64),
        sa.Column("holds", INT64),
        sa.PrimaryKeyConstraint("wallet_id", name=op.f("pk_witnesses")),
        sa.CheckConstraint("seq >= 0", name=op.f("ck_witnesses_seq")),
        sa.CheckConstraint("length(hash) = 32", name=op.f("ck_witnesses_hash")),
        sa.CheckConstraint("(seq = 0) = (hash IS NULL)", name=op.f("ck_witnesses_first")),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallets.id"], name=op.f("fk_witnesses_wallet_id")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO witnesses"
        " SELECT w.id, coalesce(t.seq, 0), t.hash, w.status, w.own_minimum, w.maximum, w.daily_debit, w.held, w.holds"
        " FROM wallets w LEFT JOIN transactions t ON t.wallet_id = w.id"
        " AND t.seq = (SELECT max(seq) FROM transactions WHERE wallet_id = w.id)"
    )
    on_server = op.get_bind().dialect.name == "postgresql"
    whole = "BIGINT" if on_server else "INTEGER"
    op.execute(
        f"ALTER TABLE ledger ADD COLUMN changes {whole} DEFAULT 0 NOT NULL"
        " CONSTRAINT ck_ledger_changes CHECK (changes >= 0)"
    )
    op.execute("ALTER TABLE ledger ADD COLUMN damaged TEXT CONSTRAINT ck_ledger_damaged CHECK (length(damaged) >= 1)")
    digits = "exponent BETWEEN 0 AND {}"
    if on_server:
        op.drop_constraint(op.f("ck_wallets_exponent"), "wallets")
        op.create_check_constraint(op.f("ck_wallets_exponent"), "wallets", digits.format(18))
    else:
        # Only the text changes: rows are stored as before (sqlite.org/lang_altertable.html, "other kinds of changes").
        op.execute("PRAGMA writable_schema=ON")
        op.execute(
            f"UPDATE sqlite_master SET sql = replace(sql, '{digits.format(8)})', '{digits.format(18)})')"
            " WHERE type = 'table' AND name = 'wallets'"
        )
        op.execute("PRAGMA writable_schema=RESET")
        settings = ["currency", "phone_region", "minimum_balance", "timezone"]
        of_ledger = ["state", "move", "origin", "uuid", *settings, "restoring", "damaged", "changes"]
        op.create_index("ix_ledger_again", "ledger", of_ledger)
        op.create_index("ix_operators_again", "operators", ["name", "read_only", "revoked_at_us"])
