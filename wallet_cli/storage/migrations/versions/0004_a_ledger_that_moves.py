"""The ledger's own row: whether it has moved, is being moved, or is still arriving."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("state", sa.Text),
        sa.Column("other", sa.Text),
        sa.Column("move", sa.Text),
        sa.Column("since_us", INT64),
        sa.Column("origin", sa.Text),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
        sa.CheckConstraint("id = 1", name=op.f("ck_ledger_id")),
        sa.CheckConstraint("state IN ('moving', 'moved', 'arriving')", name=op.f("ck_ledger_state")),
        sa.CheckConstraint("(state IS NULL) = (other IS NULL)", name=op.f("ck_ledger_other")),
        sa.CheckConstraint("(state IS NULL) = (move IS NULL)", name=op.f("ck_ledger_move")),
        sa.CheckConstraint("(state IS NULL) = (since_us IS NULL)", name=op.f("ck_ledger_since_us")),
        sqlite_strict=True,
    )
    op.execute("INSERT INTO ledger (id) VALUES (1)")
