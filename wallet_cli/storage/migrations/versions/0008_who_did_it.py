"""Who did it: an actor for each transaction, and a table of events for every other change (domain/events.py).

Each row that was there before gets one event, as it is now: what was changed earlier is not shown. The rows of an
export that is being imported get theirs at its end: until then they are not as they will be.
"""

import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from wallet_cli.domain import events
from wallet_cli.domain.model import Event

revision = "0008"
down_revision = "0007"

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MAX_ACTOR = 200
AT_ONCE = 5_000

USER = ("phone_number", "phone_e164", "phone_region", "phone_national", "name", "created_at_us", "key")
WALLET = (
    "user_id", "type", "currency", "exponent", "status", "own_minimum", "created_at_us", "maximum", "daily_debit",
    "key", "opening_minimum",
)  # fmt: skip
HOLD = ("number", "amount", "captured", "status", "created_at_us", "expires_at_us", "ended_at_us", "note", "key")
KEY = ("name", "key_hash", "read_only", "created_at_us", "revoked_at_us")


def upgrade() -> None:
    table = op.create_table(
        "events",
        sa.Column("kind", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("subject_id", INT64, autoincrement=False, nullable=False),
        sa.Column("number", INT64, autoincrement=False, nullable=False),
        sa.Column("at_us", INT64, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_id", "number", name=op.f("pk_events")),
        sa.CheckConstraint("kind IN (0, 1, 2)", name=op.f("ck_events_kind")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_events_number")),
        sa.CheckConstraint("length(what) BETWEEN 1 AND 64", name=op.f("ck_events_what")),
        sa.CheckConstraint(f"length(actor) BETWEEN 1 AND {MAX_ACTOR}", name=op.f("ck_events_actor")),
        sa.CheckConstraint("length(hash) = 32", name=op.f("ck_events_hash")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.execute(
        "ALTER TABLE transactions ADD COLUMN actor TEXT"
        f" CONSTRAINT ck_transactions_actor CHECK (length(actor) BETWEEN 1 AND {MAX_ACTOR})"
    )
    at_us = time.time_ns() // 1000
    assert table is not None
    last: Event | None = None
    made: list[dict[str, Any]] = []
    for subject, rows in _rows():
        if last is None or (last.kind, last.subject_id) != subject:
            last = None
        last = events.follow(last, subject, at_us, None, "adopted", rows)
        made.append(last._asdict())
        if len(made) >= AT_ONCE:
            op.bulk_insert(table, made)
            made = []
    op.bulk_insert(table, made)
    op.create_index("ix_events_at_us", "events", ["at_us", "kind", "subject_id", "number"])


def _rows() -> Iterator[tuple[events.Subject, dict[str, Any]]]:
    """Every row of which events are recorded from now on, in the order of the subjects."""
    for key in _read("operators", KEY, ("name",)):
        row = key | {"key_hash": bytes(key["key_hash"]).hex(), "read_only": bool(key["read_only"])}
        yield (0, 0), {"key": row}
    if op.get_bind().execute(sa.text("SELECT 1 FROM ledger WHERE restoring = 1")).first() is not None:
        return
    for user in _read("users", ("id", *USER), ("id",)):
        yield (1, user.pop("id")), {"user": user}
    holds = _read("holds", ("wallet_id", *HOLD), ("wallet_id", "number"))
    hold = next(holds, None)
    for wallet in _read("wallets", ("id", *WALLET), ("id",)):
        id_ = wallet.pop("id")
        yield (2, id_), {"wallet": wallet}
        while hold is not None and hold["wallet_id"] <= id_:
            of = hold.pop("wallet_id")
            if of == id_:
                yield (2, id_), {"hold": hold}
            hold = next(holds, None)


def _read(table: str, columns: tuple[str, ...], key: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The rows of a table in the order of its key, read in pieces."""
    bind = op.get_bind()
    order, marks = ", ".join(key), ", ".join(f":{name}" for name in key)
    after: dict[str, Any] | None = None
    while True:
        where = "" if after is None else f"WHERE ({order}) > ({marks})"
        statement = f"SELECT {', '.join(columns)} FROM {table} {where} ORDER BY {order} LIMIT {AT_ONCE}"
        found = [dict(row._mapping) for row in bind.execute(sa.text(statement), after or {})]
        if found:
            after = {name: found[-1][name] for name in key}
        yield from found
        if len(found) < AT_ONCE:
            return
