"""The ledger: users, wallets and their transactions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", INT64, autoincrement=False, nullable=False),
        sa.Column("phone_number", sa.Text, nullable=False),
        sa.Column("phone_e164", sa.Text, nullable=False),
        sa.Column("phone_region", sa.Text),
        sa.Column("phone_national", sa.Text),
        sa.Column("name", sa.Text),
        sa.Column("created_at_us", INT64, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("phone_e164", name=op.f("uq_users_phone_e164")),
        sa.UniqueConstraint("phone_region", "phone_national", name=op.f("uq_users_phone_region_phone_national")),
        sa.CheckConstraint("phone_e164 LIKE '+%'", name=op.f("ck_users_phone_e164")),
        sa.CheckConstraint("(phone_region IS NULL) = (phone_national IS NULL)", name=op.f("ck_users_phone_national")),
        sqlite_strict=True,
    )
    op.create_table(
        "wallets",
        sa.Column("id", INT64, autoincrement=False, nullable=False),
        sa.Column("user_id", INT64, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("exponent", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("own_minimum", INT64),
        sa.Column("created_at_us", INT64, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wallets")),
        sa.UniqueConstraint("user_id", "type", name=op.f("uq_wallets_user_id_type")),
        sa.CheckConstraint("length(type) BETWEEN 1 AND 32", name=op.f("ck_wallets_type")),
        sa.CheckConstraint("exponent BETWEEN 0 AND 8", name=op.f("ck_wallets_exponent")),
        sa.CheckConstraint("status IN ('active', 'frozen', 'closed')", name=op.f("ck_wallets_status")),
        sa.CheckConstraint(
            "own_minimum BETWEEN -1000000000000000 AND 1000000000000000", name=op.f("ck_wallets_own_minimum")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_wallets_user_id")),
        sqlite_strict=True,
    )
    op.create_table(
        "transactions",
        sa.Column("wallet_id", INT64, autoincrement=False, nullable=False),
        sa.Column("seq", INT64, autoincrement=False, nullable=False),
        sa.Column("is_credit", sa.Integer, nullable=False),
        sa.Column("amount", INT64, nullable=False),
        sa.Column("credit_total", INT64, nullable=False),
        sa.Column("debit_total", INT64, nullable=False),
        sa.Column("credit_count", INT64, nullable=False),
        sa.Column("at_us", INT64, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("key", sa.Text),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("wallet_id", "seq", name=op.f("pk_transactions")),
        sa.CheckConstraint("seq >= 1", name=op.f("ck_transactions_seq")),
        sa.CheckConstraint("is_credit IN (0, 1)", name=op.f("ck_transactions_is_credit")),
        sa.CheckConstraint("amount BETWEEN 1 AND 1000000000000000", name=op.f("ck_transactions_amount")),
        sa.CheckConstraint("credit_total BETWEEN 0 AND 9000000000000000000", name=op.f("ck_transactions_credit_total")),
        sa.CheckConstraint("debit_total BETWEEN 0 AND 9000000000000000000", name=op.f("ck_transactions_debit_total")),
        sa.CheckConstraint("credit_count BETWEEN 0 AND seq", name=op.f("ck_transactions_credit_count")),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 255", name=op.f("ck_transactions_key")),
        sa.CheckConstraint("length(hash) = 32", name=op.f("ck_transactions_hash")),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallets.id"], name=op.f("fk_transactions_wallet_id")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_transactions_wallet_id_key",
        "transactions",
        ["wallet_id", "key"],
        unique=True,
        sqlite_where=sa.text("key IS NOT NULL"),
        postgresql_where=sa.text("key IS NOT NULL"),
    )
