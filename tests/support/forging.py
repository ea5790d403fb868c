"""A ledger as somebody changes it who knows how it is made: rows by SQL, and chains of hashes made to fit again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlmodel import SQLModel

from support.engines import Raw
from wallet_cli.domain import events, hash_chain
from wallet_cli.domain.events import Subject
from wallet_cli.domain.metadata import canonical_json
from wallet_cli.domain.model import ApiKey, Event, Hold, Transaction, User, Wallet
from wallet_cli.domain.money import Currency
from wallet_cli.storage import sql, tables

Row = dict[str, Any]
Rows = dict[str, list[Row]]

assert tables.LedgerRow.__tablename__ == "ledger"  # known to the metadata by now
OF_SCHEMA = SQLModel.metadata.tables
KEYS = {name: tuple(column.name for column in table.primary_key) for name, table in OF_SCHEMA.items()}
COLUMNS = {name: tuple(table.columns.keys()) for name, table in OF_SCHEMA.items()}

ROW_OF = {"users": "user", "wallets": "wallet", "holds": "hold", "operators": "key", "ledger": "ledger"}
"""What the rows of a table are called in an event."""


def read(raw: Raw, table: str, where: str = "", values: Sequence[Any] = ()) -> list[Row]:
    """Rows of a table in the order of its key, as dicts."""
    names = COLUMNS[table]
    order = ", ".join(KEYS[table])
    found = raw.execute(f"SELECT {', '.join(names)} FROM {table} {where} ORDER BY {order}", values)
    return [dict(zip(names, row, strict=True)) for row in found]


def read_all(raw: Raw) -> Rows:
    return {table: read(raw, table) for table in COLUMNS}


def insert(raw: Raw, table: str, row: Row) -> None:
    raw.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


def place(table: str, row: Row) -> tuple[str, list[Any]]:
    """The condition for one row, and its values."""
    return " AND ".join(f"{name} = ?" for name in KEYS[table]), [row[name] for name in KEYS[table]]


def change(raw: Raw, table: str, row: Row, **values: Any) -> None:
    """Change columns of one row."""
    where, key = place(table, row)
    raw.execute(
        f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in values)} WHERE {where}", [*values.values(), *key]
    )


def delete(raw: Raw, table: str, row: Row) -> None:
    where, key = place(table, row)
    raw.execute(f"DELETE FROM {table} WHERE {where}", key)


def put_back(raw: Raw, rows: Rows, only: Callable[[str, Row], bool] = lambda _table, _row: True) -> None:
    """Make what is there now of those rows what it was at another moment."""
    for table in COLUMNS:
        for row in read(raw, table):
            if only(table, row):
                delete(raw, table, row)
        for row in rows[table]:
            if only(table, row):
                insert(raw, table, row)


# Chains made to fit.


def subject_of(table: str, row: Row) -> Subject:
    """The subject to which a row belongs."""
    if table == "users":
        return events.USER, row["id"]
    if table == "wallets":
        return events.WALLET, row["id"]
    return (events.WALLET, row["wallet_id"]) if "wallet_id" in row else events.OF_LEDGER


def chain_of(raw: Raw, subject: Subject) -> list[Event]:
    rows = read(raw, "events", "WHERE kind = ? AND subject_id = ?", subject)
    return [sql.to_event([row[name] for name in sql.EVENT_COLUMNS]) for row in rows]


def set_chain(raw: Raw, subject: Subject, chain: Iterable[Event]) -> None:
    """Give a subject these events, with numbers and hashes that fit."""
    raw.execute("DELETE FROM events WHERE kind = ? AND subject_id = ?", subject)
    last: Event | None = None
    for event in chain:
        number = 1 if last is None else last.number + 1
        last = events.hashed(event._replace(kind=subject[0], subject_id=subject[1], number=number), last)
        insert(raw, "events", last._asdict())


def told(table: str, row: Row) -> Row:
    """A row as events have it."""
    by = {
        "users": lambda: events.of_user(User(*[row[name] for name in sql.USER_COLUMNS])),
        "wallets": lambda: events.of_wallet(wallet_of(row)),
        "holds": lambda: events.of_hold(Hold(*[row[name] for name in sql.HOLD_COLUMNS])),
        "operators": lambda: events.of_key(
            ApiKey(*[row[name] for name in sql.OPERATOR_COLUMNS])._replace(read_only=bool(row["read_only"]))
        ),
        "ledger": lambda: {name: row[name] for name in sql.FACT_COLUMNS},
    }
    return by[table]()


def wallet_of(row: Row) -> Wallet:
    id_, user_id, type_, currency, exponent, *rest = [row[name] for name in sql.WALLET_COLUMNS]
    return Wallet(id_, user_id, type_, Currency(currency, exponent), *rest)


def change_with_its_event(raw: Raw, table: str, row: Row, **values: Any) -> None:
    """Change a row, its witness, and the last event that tells it; all hashes fit again."""
    change(raw, table, row, **values)
    if table == "wallets":
        of_witness = {name: value for name, value in values.items() if name in sql.CHANGING_COLUMNS}
        if of_witness:
            change(raw, "witnesses", {"wallet_id": row["id"]}, **of_witness)
    subject, now = subject_of(table, row), told(table, row | values)
    chain = chain_of(raw, subject)
    at = max(at for at, event in enumerate(chain) if tells(event, table, row))
    details = json.loads(chain[at].details) | {ROW_OF[table]: now}
    set_chain(raw, subject, [*chain[:at], chain[at]._replace(details=canonical_json(details)), *chain[at + 1 :]])


def tells(event: Event, table: str, row: Row) -> bool:
    """Whether an event tells this row."""
    found = json.loads(event.details).get(ROW_OF[table])
    by = {"holds": "number", "operators": "name"}.get(table)
    return found is not None and (by is None or found[by] == row[by])


def add_event(raw: Raw, subject: Subject, what: str, details: Row) -> None:
    """Add an event at the end, as the program would."""
    chain = chain_of(raw, subject)
    last = chain[-1] if chain else None
    at_us = 0 if last is None else last.at_us
    insert(raw, "events", events.follow(last, subject, at_us, "terminal asha", what, details)._asdict())


def transactions_of(raw: Raw, wallet_id: int) -> list[Transaction]:
    rows = read(raw, "transactions", "WHERE wallet_id = ?", [wallet_id])
    return [sql.to_transaction([row[name] for name in sql.TRANSACTION_COLUMNS]) for row in rows]


def set_transactions(raw: Raw, wallet: Wallet, chain: Iterable[Transaction]) -> None:
    """Give a wallet these transactions, with totals, counts, hashes and a witness that fit."""
    raw.execute("DELETE FROM transactions WHERE wallet_id = ?", [wallet.id])
    last = hash_chain.unopened(wallet)
    for each in chain:
        new = each._replace(
            wallet_id=wallet.id,
            seq=last.seq + 1,
            credit_total=last.credit_total + (each.amount if each.is_credit else 0),
            debit_total=last.debit_total + (0 if each.is_credit else each.amount),
            credit_count=last.credit_count + each.is_credit,
        )
        last = new._replace(hash=hash_chain.link(last.hash, hash_chain.content_of(new)))
        row = dict(zip(sql.TRANSACTION_COLUMNS, sql.transaction_values(last), strict=True))
        insert(raw, "transactions", row | {name: int(row[name]) for name in ("is_credit", "forced", "user_key")})
    change(raw, "witnesses", {"wallet_id": wallet.id}, seq=last.seq, hash=last.hash if last.seq else None)
