"""An index by time over all wallets: the day book reads its newest pages from it."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("ix_transactions_at_us", "transactions", ["at_us", "wallet_id", "seq"])
