"""How Alembic runs a migration here: on the connection that migrate.py hands over, in one transaction."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from wallet_cli.storage import tables  # noqa: F401  (fills the metadata)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    transactional_ddl=True,
    # SQLite can alter little in place: Alembic rebuilds the table instead.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
