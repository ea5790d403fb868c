"""Operators: the programs that may call `wallet serve`, by the hashes of their keys."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "operators",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("key_hash", sa.LargeBinary, nullable=False),
        sa.Column("read_only", sa.Integer, nullable=False),
        sa.Column("created_at_us", INT64, nullable=False),
        sa.Column("revoked_at_us", INT64),
        sa.Column("last_used_at_us", INT64),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_operators")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_operators_key_hash")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 64", name=op.f("ck_operators_name")),
        sa.CheckConstraint("length(key_hash) = 32", name=op.f("ck_operators_key_hash")),
        sa.CheckConstraint("read_only IN (0, 1)", name=op.f("ck_operators_read_only")),
        sqlite_strict=True,
    )
