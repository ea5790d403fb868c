"""The schema: SQLModel tables. Migrations follow them, and tests compare the two.

Only migrations and tests import this module: SQLModel takes half a second, and the hot statements (sql.py) do not need
it. Every constraint of the rules that can be checked in one row is a CHECK here, so that no other program can break it
unseen. STRICT, because otherwise `CHECK (n >= 0)` accepts text.

Transactions are stored in the order of their key, `(wallet_id, seq)`: `at` never goes backwards within a wallet, so a
moment of one is found by bisecting `seq`. The index on time is for the day book, which is of all wallets. Every unique
constraint on them contains the wallet, so the table can be sharded by it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Text, text
from sqlalchemy import UniqueConstraint as Unique
from sqlmodel import Field, SQLModel

from wallet_cli.domain.actors import MAX_ACTOR_CHARS
from wallet_cli.domain.ids import MAX_KEY_CHARS
from wallet_cli.domain.metadata import MAX_META_BYTES
from wallet_cli.domain.model import LedgerFacts
from wallet_cli.domain.money import MAX_AMOUNT_MINOR, MAX_EXPONENT, MAX_TOTAL_MINOR

# SQLite's STRICT tables need INTEGER, which has 64 bits there; elsewhere that is BIGINT.
Int64 = BigInteger().with_variant(Integer(), "sqlite")

naming = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}
SQLModel.metadata.naming_convention = naming


def _added(name: str, type_: Any, check: str, default: str | None = None) -> Column[Any]:
    """A column that a later migration added in place: its check belongs to the column, not to the table."""
    nullable = default is None
    return Column(type_, CheckConstraint(check, name=name), nullable=nullable, server_default=default and text(default))


def _unique_keys(table: str, *columns: str) -> Index:
    """No two rows may have the same key; rows without a key are not in the index."""
    with_key = text("key IS NOT NULL")
    name = f"uq_{table}_{'_'.join(columns)}"
    return Index(name, *columns, unique=True, sqlite_where=with_key, postgresql_where=with_key)


def _second_place(table: str, *columns: str) -> Index:
    """The changing fields of a row, in an index that no query uses: SQLite's own integrity check compares the two.

    So it finds a page that was replaced by an older version. A database server checks its own pages.
    """
    return Index(f"ix_{table}_again", *columns).ddl_if(dialect="sqlite")


_SETTING = "length({}) BETWEEN 1 AND 255"


class UserRow(SQLModel, table=True):
    __tablename__: ClassVar[Any] = "users"
    __table_args__ = (
        Unique("phone_e164"),
        # In one region, the same digits mean one person.
        Unique("phone_region", "phone_national"),
        CheckConstraint("phone_e164 LIKE '+%'", name="phone_e164"),
        CheckConstraint("(phone_region IS NULL) = (phone_national IS NULL)", name="phone_national"),
        _unique_keys("users", "key"),
        {"sqlite_strict": True},
    )

    id: int = Field(sa_column=Column(Int64, primary_key=True, autoincrement=False))
    phone_number: str = Field(sa_column=Column(Text, nullable=False))
    phone_e164: str = Field(sa_column=Column(Text, nullable=False))
    phone_region: str | None = Field(sa_column=Column(Text))
    phone_national: str | None = Field(sa_column=Column(Text))
    name: str | None = Field(sa_column=Column(Text))
    created_at_us: int = Field(sa_column=Column(Int64, nullable=False))
    key: str | None = Field(sa_column=_added("key", Text, f"length(key) BETWEEN 1 AND {MAX_KEY_CHARS}"))


class WalletRow(SQLModel, table=True):
    __tablename__: ClassVar[Any] = "wallets"
    __table_args__ = (
        Unique("user_id", "type"),
        _unique_keys("wallets", "user_id", "key"),
        CheckConstraint("length(type) BETWEEN 1 AND 32", name="type"),
        CheckConstraint(f"exponent BETWEEN 0 AND {MAX_EXPONENT}", name="exponent"),
        CheckConstraint("status IN ('active', 'frozen', 'closed')", name="status"),
        CheckConstraint(f"own_minimum BETWEEN -{MAX_AMOUNT_MINOR} AND {MAX_AMOUNT_MINOR}", name="own_minimum"),
        {"sqlite_strict": True},
    )

    id: int = Field(sa_column=Column(Int64, primary_key=True, autoincrement=False))
    user_id: int = Field(sa_column=Column(Int64, ForeignKey("users.id"), nullable=False))
    type: str = Field(sa_column=Column(Text, nullable=False))
    currency: str = Field(sa_column=Column(Text, nullable=False))
    exponent: int = Field(sa_column=Column(Integer, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False))
    own_minimum: int | None = Field(sa_column=Column(Int64))
    created_at_us: int = Field(sa_column=Column(Int64, nullable=False))
    maximum: int | None = Field(
        sa_column=_added("maximum", Int64, f"maximum BETWEEN -{MAX_AMOUNT_MINOR} AND {MAX_AMOUNT_MINOR}")
    )
    daily_debit: int | None = Field(
        sa_column=_added("daily_debit", Int64, f"daily_debit BETWEEN 0 AND {MAX_AMOUNT_MINOR}")
    )
    held: int = Field(sa_column=_added("held", Int64, f"held BETWEEN 0 AND {MAX_TOTAL_MINOR}", "0"))
    holds: int = Field(sa_column=_added("holds", Int64, "holds >= 0", "0"))
    key: str | None = Field(sa_column=_added("key", Text, f"length(key) BETWEEN 1 AND {MAX_KEY_CHARS}"))
    opening_minimum: int | None = Field(
        sa_column=_added(
            "opening_minimum", Int64, f"opening_minimum BETWEEN -{MAX_AMOUNT_MINOR} AND {MAX_AMOUNT_MINOR}"
        )
    )


class WitnessRow(SQLModel, table=True):
    """A second record of a wallet's changing fields and its last transaction, on other pages than the first."""

    __tablename__: ClassVar[Any] = "witnesses"
    __table_args__ = (
        CheckConstraint("seq >= 0", name="seq"),
        CheckConstraint("length(hash) = 32", name="hash"),
        CheckConstraint("(seq = 0) = (hash IS NULL)", name="first"),
        {"sqlite_strict": True, "sqlite_with_rowid": False},
    )

    wallet_id: int = Field(sa_column=Column(Int64, ForeignKey("wallets.id"), primary_key=True, autoincrement=False))
    seq: int = Field(sa_column=Column(Int64, nullable=False, server_default=text("0")))
    hash: bytes | None = Field(sa_column=Column(LargeBinary))
    # No checks here: the wallets table has them.
    status: str | None = Field(sa_column=Column(Text))
    own_minimum: int | None = Field(sa_column=Column(Int64))
    maximum: int | None = Field(sa_column=Column(Int64))
    daily_debit: int | None = Field(sa_column=Column(Int64))
    held: int | None = Field(sa_column=Column(Int64))
    holds: int | None = Field(sa_column=Column(Int64))


class HoldRow(SQLModel, table=True):
    __tablename__: ClassVar[Any] = "holds"
    __table_args__ = (
        _unique_keys("holds", "wallet_id", "key"),
        # Finds expired holds, however many have ended.
        Index(
            "ix_holds_open",
            "wallet_id",
            "expires_at_us",
            sqlite_where=text("status = 'open'"),
            postgresql_where=text("status = 'open'"),
        ),
        CheckConstraint("number >= 1", name="number"),
        CheckConstraint(f"amount BETWEEN 1 AND {MAX_AMOUNT_MINOR}", name="amount"),
        CheckConstraint("captured BETWEEN 0 AND amount", name="captured"),
        CheckConstraint("status IN ('open', 'captured', 'voided', 'expired')", name="status"),
        CheckConstraint("(status = 'open') = (ended_at_us IS NULL)", name="ended_at_us"),
        CheckConstraint("length(key) BETWEEN 1 AND 255", name="key"),
        {"sqlite_strict": True, "sqlite_with_rowid": False},
    )

    wallet_id: int = Field(sa_column=Column(Int64, ForeignKey("wallets.id"), primary_key=True, autoincrement=False))
    number: int = Field(sa_column=Column(Int64, primary_key=True, autoincrement=False))
    amount: int = Field(sa_column=Column(Int64, nullable=False))
    captured: int = Field(sa_column=Column(Int64, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False))
    created_at_us: int = Field(sa_column=Column(Int64, nullable=False))
    expires_at_us: int = Field(sa_column=Column(Int64, nullable=False))
    ended_at_us: int | None = Field(sa_column=Column(Int64))
    note: str | None = Field(sa_column=Column(Text))
    key: str | None = Field(sa_column=Column(Text))


class OperatorRow(SQLModel, table=True):
    __tablename__: ClassVar[Any] = "operators"
    __table_args__ = (
        Unique("key_hash"),
        _second_place("operators", "name", "read_only", "revoked_at_us"),
        CheckConstraint("length(name) BETWEEN 1 AND 64", name="name"),
        CheckConstraint("length(key_hash) = 32", name="key_hash"),
        CheckConstraint("read_only IN (0, 1)", name="read_only"),
        {"sqlite_strict": True},
    )

    name: str = Field(sa_column=Column(Text, primary_key=True))
    key_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    read_only: int = Field(sa_column=Column(Integer, nullable=False))
    created_at_us: int = Field(sa_column=Column(Int64, nullable=False))
    revoked_at_us: int | None = Field(sa_column=Column(Int64))
    last_used_at_us: int | None = Field(sa_column=Column(Int64))


class EventRow(SQLModel, table=True):
    """What was done to users, wallets, holds, operator keys and the ledger itself (domain/events.py)."""

    __tablename__: ClassVar[Any] = "events"
    __table_args__ = (
        Index("ix_events_at_us", "at_us", "kind", "subject_id", "number"),
        CheckConstraint("kind IN (0, 1, 2)", name="kind"),
        CheckConstraint("number >= 1", name="number"),
        CheckConstraint("length(what) BETWEEN 1 AND 64", name="what"),
        CheckConstraint(f"length(actor) BETWEEN 1 AND {MAX_ACTOR_CHARS}", name="actor"),
        CheckConstraint("length(hash) = 32", name="hash"),
        {"sqlite_strict": True, "sqlite_with_rowid": False},
    )

    kind: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    subject_id: int = Field(sa_column=Column(Int64, primary_key=True, autoincrement=False))
    number: int = Field(sa_column=Column(Int64, primary_key=True, autoincrement=False))
    at_us: int = Field(sa_column=Column(Int64, nullable=False))
    actor: str | None = Field(sa_column=Column(Text))
    what: str = Field(sa_column=Column(Text, nullable=False))
    details: str = Field(sa_column=Column(Text, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class TransactionRow(SQLModel, table=True):
    __tablename__: ClassVar[Any] = "transactions"
    __table_args__ = (
        _unique_keys("transactions", "wallet_id", "key", "user_key"),
        Index(
            "ix_transactions_wallet_id_reverses",
            "wallet_id",
            "reverses",
            sqlite_where=text("reverses IS NOT NULL"),
            postgresql_where=text("reverses IS NOT NULL"),
        ),
        Index("ix_transactions_at_us", "at_us", "wallet_id", "seq"),
        CheckConstraint("seq >= 1", name="seq"),
        CheckConstraint("is_credit IN (0, 1)", name="is_credit"),
        CheckConstraint(f"amount BETWEEN 1 AND {MAX_AMOUNT_MINOR}", name="amount"),
        CheckConstraint(f"credit_total BETWEEN 0 AND {MAX_TOTAL_MINOR}", name="credit_total"),
        CheckConstraint(f"debit_total BETWEEN 0 AND {MAX_TOTAL_MINOR}", name="debit_total"),
        CheckConstraint("credit_count BETWEEN 0 AND seq", name="credit_count"),
        CheckConstraint("length(key) BETWEEN 1 AND 255", name="key"),
        CheckConstraint("length(hash) = 32", name="hash"),
        {"sqlite_strict": True, "sqlite_with_rowid": False},
    )

    wallet_id: int = Field(sa_column=Column(Int64, ForeignKey("wallets.id"), primary_key=True, autoincrement=False))
    seq: int = Field(sa_column=Column(Int64, primary_key=True, autoincrement=False))
    is_credit: int = Field(sa_column=Column(Integer, nullable=False))
    amount: int = Field(sa_column=Column(Int64, nullable=False))
    credit_total: int = Field(sa_column=Column(Int64, nullable=False))
    debit_total: int = Field(sa_column=Column(Int64, nullable=False))
    credit_count: int = Field(sa_column=Column(Int64, nullable=False))
    at_us: int = Field(sa_column=Column(Int64, nullable=False))
    note: str | None = Field(sa_column=Column(Text))
    key: str | None = Field(sa_column=Column(Text))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    meta: str | None = Field(sa_column=_added("meta", Text, f"length(meta) <= {MAX_META_BYTES}"))
    peer_wallet_id: int | None = Field(sa_column=_added("peer_wallet_id", Int64, "peer_wallet_id >= 1"))
    peer_seq: int | None = Field(sa_column=_added("peer_seq", Int64, "peer_seq >= 1"))
    reverses: int | None = Field(sa_column=_added("reverses", Int64, "reverses >= 1"))
    hold: int | None = Field(sa_column=_added("hold", Int64, "hold >= 1"))
    forced: int = Field(sa_column=_added("forced", Integer(), "forced IN (0, 1)", "0"))
    user_key: int = Field(sa_column=_added("user_key", Integer(), "user_key IN (0, 1)", "0"))
    actor: str | None = Field(sa_column=_added("actor", Text, f"length(actor) BETWEEN 1 AND {MAX_ACTOR_CHARS}"))


class LedgerRow(SQLModel, table=True):
    __tablename__: ClassVar[Any] = "ledger"
    __table_args__ = (
        # The one row, about the ledger itself.
        CheckConstraint("id = 1", name="id"),
        CheckConstraint("state IN ('moving', 'moved', 'arriving')", name="state"),
        CheckConstraint("(state IS NULL) = (other IS NULL)", name="other"),
        CheckConstraint("(state IS NULL) = (move IS NULL)", name="move"),
        CheckConstraint("(state IS NULL) = (since_us IS NULL)", name="since_us"),
        _second_place("ledger", "state", "move", "origin", *LedgerFacts._fields, "restoring", "damaged", "changes"),
        {"sqlite_strict": True},
    )

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    state: str | None = Field(sa_column=Column(Text))
    other: str | None = Field(sa_column=Column(Text))
    move: str | None = Field(sa_column=Column(Text))
    since_us: int | None = Field(sa_column=Column(Int64))
    origin: str | None = Field(sa_column=Column(Text))
    uuid: str | None = Field(sa_column=_added("uuid", Text, "length(uuid) = 36"))
    currency: str | None = Field(sa_column=_added("currency", Text, _SETTING.format("currency")))
    phone_region: str | None = Field(sa_column=_added("phone_region", Text, _SETTING.format("phone_region")))
    minimum_balance: str | None = Field(sa_column=_added("minimum_balance", Text, _SETTING.format("minimum_balance")))
    timezone: str | None = Field(sa_column=_added("timezone", Text, _SETTING.format("timezone")))
    restoring: int = Field(sa_column=_added("restoring", Integer(), "restoring IN (0, 1)", "0"))
    changes: int = Field(sa_column=_added("changes", Int64, "changes >= 0", "0"))
    damaged: str | None = Field(sa_column=_added("damaged", Text, "length(damaged) >= 1"))
