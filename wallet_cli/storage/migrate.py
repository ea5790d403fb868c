"""Migrating a ledger to this program's schema. Imported only to create or migrate one: SQLAlchemy is slow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, more_versions: Sequence[Path] = (), to: str = "head") -> None:
    """Run the migrations that a ledger lacks, in the transaction of `connection`.

    `more_versions` are further folders of revisions, with which tests imitate a later version.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, [MIGRATIONS / "versions", *more_versions])))
    attributes: dict[str, Any] = config.attributes
    attributes["connection"] = connection
    command.upgrade(config, to)
