"""Edits of a busy ledger behind the program's back: each is found by `verify`, or by `verify --against` a seal that was
made before, or is in the list of docs/security.md of what nobody can see.

Every column of every table is changed, rows are deleted, added and exchanged, triggers, indexes and checks come and go,
rows and whole ledgers are put back. The clever edits change a row and its event together, with all hashes made to fit.
What `verify` can see it has to see without a seal: a check that is left out is missed here.
"""

from __future__ import annotations

import json
import random
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import psycopg
import pytest
from support import figures, forging
from support.engines import CONSTRAINTS, Engine, Raw, opened, unchecked
from support.faults import Fault, put_in
from support.forging import Row, Rows
from support.sizes import size

from wallet_cli import settings
from wallet_cli.domain import events
from wallet_cli.domain.commands import (
    AddApiKey,
    CaptureHold,
    Command,
    NoteUse,
    OpenWallet,
    PlaceHold,
    Post,
    Refusal,
    Register,
    Reverse,
    RevokeApiKey,
    SetLedger,
    SetLimits,
    SetStatus,
    Transfer,
    VoidHold,
)
from wallet_cli.domain.metadata import canonical_json
from wallet_cli.domain.model import Event
from wallet_cli.domain.money import Currency
from wallet_cli.domain.phone import parse_phone
from wallet_cli.domain.purpose import Purpose
from wallet_cli.domain.remarks import Remarks
from wallet_cli.errors import InternalError, StorageError, WalletError
from wallet_cli.operations import chain_check, seals, verification
from wallet_cli.operations.context import Ledger, open_ledger
from wallet_cli.operations.seals import Sealed
from wallet_cli.storage import event_check, sql

SECURITY = Path(__file__).parent.parent.parent / "docs" / "security.md"

ADDED = "a transaction, event, user, wallet or operator key added at the end, with hashes that fit"
UNSEEN = {
    ADDED: "the program writes the same; an actor is a claim of the person who wrote it. `wallet audit` shows it",
    "`operators.last_used_at_us`": "noted now and then, and nothing depends on it",
    "`ledger.damaged`": "a note that stops writers; `verify` finds the damage itself, and corrects the note",
    "`ledger.changes`": "a count that the lock file is compared with, not content",
    "SQLite's statistics (`sqlite_stat1`), page size, text encoding, and the mode of its journal": (
        "they change how fast the ledger is read, and not what it says"
    ),
    "on PostgreSQL, who owns or may write a table, tables beside the ledger's, event triggers, and a check or foreign"
    " key that is `NOT VALID` while all rows keep it": (
        "they say who could change rows, not what the rows are: `verify` compares what runs with the ledger's own"
        " tables"
    ),
    "the condition of a check or index on PostgreSQL": "its versions write conditions in other ways, so they are not"
    " compared, but the columns of a check and of an index are; `verify` reads all rows that they guard",
}
"""What neither `verify` nor an older seal shows, and why. The same list is in docs/security.md."""
HEAD = "what neither `verify` nor an older seal shows"

VERIFY, SEAL = "verify", "verify --against"


class Edit(NamedTuple):
    """A change: of what, for the figures; how; and what shows it at the latest: VERIFY, SEAL, or a key of UNSEEN."""

    kind: str
    where: str
    apply: Callable[[Raw], object]
    by: str = VERIFY


# The busy ledger.

USERS, ROUNDS, COMMANDS = 8, 4, 70


def story(chance: random.Random, round_: int) -> Iterator[Command]:
    """A round of commands; many are refused, as in life."""
    rupees = Currency("INR", 2)
    wallets = 2 * USERS
    if round_ == 0:
        for number in range(1, USERS + 1):
            yield Register(parse_phone(f"98765{number:05}", "IN"), f"user {number}", key=f"user-{number}")
            yield OpenWallet(number, "main", rupees, 0, key=f"opening-{number}")
            yield OpenWallet(number, "savings", Currency("PTS", 0) if number == 3 else rupees, None)
            yield Post(2 * number - 1, True, 100_000, Remarks(f"opening balance of {number}"), f"first-{number}")
        yield AddApiKey("till", bytes(range(32)), False)
        yield AddApiKey("reader", bytes([200] * 32), True)
        return
    yield Register(parse_phone(f"98766{round_:05}", "IN"), None)
    yield AddApiKey(f"till-{round_}", bytes([round_] * 32), bool(round_ % 2))
    yield RevokeApiKey("till" if round_ == 1 else f"till-{round_ - 1}")
    yield NoteUse("reader")
    yield SetLedger("minimum_balance", str(round_ % 2))
    for n in range(COMMANDS):
        wallet, other = chance.randint(1, wallets), chance.randint(1, wallets)
        amount, key = chance.randint(1, 5000), f"key-{round_}-{n}" if n % 4 else None
        yield chance.choice(
            [
                Post(wallet, True, amount, Remarks("a payment" * (n % 2)), key),
                Post(wallet, False, amount, Remarks(meta='{"order":"1041"}'), key),
                Post(wallet, True, amount, key=key, user_key=True),
                Transfer(wallet, other, amount, key=key),
                Reverse(wallet, chance.randint(1, 4), amount // 2 + 1, key=key),
                Reverse(wallet, chance.randint(1, 2), 7, force=True),
                PlaceHold(wallet, amount, 10**12, "a hold", key),
                PlaceHold(wallet, amount, 1, None, key),
                CaptureHold(wallet, chance.randint(1, 2), 1 + amount // 9, keep=bool(n % 2)),
                VoidHold(wallet, chance.randint(1, 2)),
                SetLimits(wallet, maximum=10**9 + n, own_minimum=-n),
                SetStatus(wallet, chance.choice(["active", "active", "frozen"])),
            ]
        )


class Bench(ABC):
    """A busy ledger to be edited, as it is now and was earlier, with a seal of now."""

    def __init__(self) -> None:
        self.moments: list[Rows] = []
        self.sealed: Sealed

    @property
    def now(self) -> Rows:
        return self.moments[-1]

    def live(self) -> None:
        """Let all happen, on an empty ledger."""
        chance = random.Random(15)
        with self.opened() as ledger:
            for round_ in range(ROUNDS):
                for command in story(chance, round_):
                    results = ledger.executor.run([command], "life")
                    assert round_ or not isinstance(results[0], Refusal), results
                ledger.executor.run([SetStatus(2, "frozen")] if round_ == 1 else [SetStatus(4, "frozen")], "life")
                self.moments.append(self.rows())
            self.sealed = seals.seal(ledger)

    @abstractmethod
    def opened(self) -> Any:
        """The ledger, to write."""

    @abstractmethod
    def rows(self) -> Rows:
        """What it has now."""

    @abstractmethod
    def edited(self, edit: Edit) -> Any:
        """A context with an edited copy, as a Trial. Raises apsw.Error or psycopg.Error for an impossible edit."""


class Trial(NamedTuple):
    """An edited copy: how to open it, and what it has."""

    opened: Callable[[], Any]
    rows: Callable[[], Rows]

    def verdict(self, check: Callable[[Ledger], object]) -> str | None:
        """What a check, or opening the ledger for it, finds. Raises what is a fault of the program's."""
        try:
            with self.opened() as ledger:
                check(ledger)
        except InternalError:
            raise
        except WalletError as error:
            return error.message
        return None


class FileBench(Bench):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.live()
        with closing(apsw.Connection(str(path))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._data = path.read_bytes()
        self._count = 0

    def opened(self) -> Any:
        return opened(self._path)

    def rows(self) -> Rows:
        return self._read(self._path)

    @staticmethod
    def _read(path: Path) -> Rows:
        with unchecked(path) as raw:
            return forging.read_all(raw)

    @contextmanager
    def edited(self, edit: Edit) -> Iterator[Trial]:
        self._count += 1
        path = self._path.with_name(f"edited-{self._count}.db")  # a lock file knows what another one had
        path.write_bytes(self._data)
        try:
            with unchecked(path) as raw:
                raw.execute("BEGIN")
                edit.apply(raw)
                raw.execute("COMMIT")
            yield Trial(partial(self._to_read, path), partial(self._read, path))
        finally:
            for left in path.parent.glob(f"{path.name}*"):
                left.unlink()

    @staticmethod
    def _to_read(path: Path) -> Any:
        return open_ledger(settings.load({"db": str(path)}, {}), lambda _: None, purpose=Purpose.READ)


class ServerBench(Bench):
    """Each edit is checked in the transaction in which it is made, and rolled back: that takes the schema back too."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.live()

    def opened(self) -> Any:
        return opened(self._url)

    def rows(self) -> Rows:
        with psycopg.connect(self._url) as connection:
            return forging.read_all(Raw(connection, True))

    @contextmanager
    def edited(self, edit: Edit) -> Iterator[Trial]:
        with open_ledger(settings.load({"db": self._url}, {}), lambda _: None) as ledger:
            store: Any = ledger.store
            raw = Raw(store.connection, True)
            store.connection.execute("BEGIN")
            try:
                dropped, added = raw.execute(CONSTRAINTS)[0]
                raw.execute(dropped)
                edit.apply(raw)
                raw.execute(added)
                store._in_snapshot = store.is_copy = True  # it reads in this transaction, and notes nothing elsewhere
                yield Trial(partial(self._same, ledger), partial(forging.read_all, raw))
            finally:
                store._in_snapshot = False
                store.connection.execute("ROLLBACK")

    @contextmanager
    def _same(self, ledger: Ledger) -> Iterator[Ledger]:
        ledger.store.connection.execute("SAVEPOINT checking")
        try:
            if ledger.store.version() != sql.SCHEMA_VERSION:
                raise StorageError("it cannot be opened: what an older schema lacks is there already")
            ledger.store.check_whole()
            yield ledger
        finally:
            ledger.store.connection.execute("ROLLBACK TO SAVEPOINT checking")


@pytest.fixture(scope="module")
def bench(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("edits")
    address = engine.nothing(folder)
    with open_ledger(settings.load({"db": str(address)}, {}), lambda _: None, purpose=Purpose.MAKE):
        pass
    yield ServerBench(address) if isinstance(address, str) else FileBench(address)
    engine.forget(folder)


# Plain edits.


def other_values(value: Any, chance: random.Random, others: Sequence[Any]) -> Any:
    """Another value of the same kind: one near to it, none, or that of another row."""
    different = [each for each in others if each != value]
    choices: list[Any] = [chance.choice(different)] if different else []
    if isinstance(value, int):
        choices += [value + 1, max(0, value - 1)]
    elif isinstance(value, str):
        choices += [value + "1", value[:-1] or "x"]
    elif isinstance(value, bytes):
        choices += [bytes([value[0] ^ 1]) + value[1:]]
    else:
        choices += [1, "x", bytes(32)]
    if value is not None and chance.random() < 0.2:
        return None
    return chance.choice([each for each in choices if each != value])


OF_COLUMN = {
    ("operators", "last_used_at_us"): "`operators.last_used_at_us`",
    ("ledger", "damaged"): "`ledger.damaged`",
    ("ledger", "changes"): "`ledger.changes`",
}


def of_columns(bench: Bench, chance: random.Random) -> Iterator[Edit]:
    """Every column of every table in turn, again and again, of any row."""
    while True:
        for table, names in forging.COLUMNS.items():
            for name in names:
                row = chance.choice(bench.now[table])
                value = other_values(row[name], chance, [each[name] for each in bench.now[table]])
                by = OF_COLUMN.get((table, name), VERIFY)
                yield Edit(
                    "a column", f"{table}.{name}", partial(forging.change, table=table, row=row, **{name: value}), by
                )


def of_rows(bench: Bench, chance: random.Random) -> Iterator[Edit]:
    """Rows deleted, added and exchanged, in every table."""
    while True:
        for table in forging.COLUMNS:
            rows = bench.now[table]
            row = chance.choice(rows)
            yield Edit(
                "a row deleted", table, partial(forging.delete, table=table, row=row), _by_of_deleted(bench, table, row)
            )
            if table != "ledger":
                one, other = chance.sample(rows, 2)
                yield Edit("rows exchanged", table, partial(exchange, table=table, one=one, other=other))
                added = row | {_last_key(table): _free_key(table, rows)} | _unique_of(table, chance)
                yield Edit("a row added", table, partial(forging.insert, table=table, row=added))


def _by_of_deleted(bench: Bench, table: str, row: Row) -> str:
    """The end of a chain of events that tells of no row is seen by the seal alone."""
    if table != "events":
        return VERIFY
    event = Event(**row)
    later = [each for each in bench.now["events"] if _subject(each) == _subject(row) and each["number"] > event.number]
    tells_rows = set(events_details(event)) - event_check.UNCHECKED
    return VERIFY if later or tells_rows else SEAL


def events_details(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.details)
    return found


def _subject(row: Row) -> tuple[int, int]:
    return row["kind"], row["subject_id"]


def exchange(raw: Raw, table: str, one: Row, other: Row) -> None:
    """Each gets the other's key."""
    forging.delete(raw, table, one)
    forging.delete(raw, table, other)
    for row, of in ((one, other), (other, one)):
        forging.insert(raw, table, row | {name: of[name] for name in forging.KEYS[table]})


def _last_key(table: str) -> str:
    return forging.KEYS[table][-1]


def _free_key(table: str, rows: Sequence[Row]) -> Any:
    values = [row[_last_key(table)] for row in rows]
    return f"{max(values)}x" if isinstance(values[0], str) else max(values) + 1


def _unique_of(table: str, chance: random.Random) -> Row:
    return {
        "users": {
            "phone_e164": f"+9199{chance.randrange(10**8):08}",
            "phone_national": f"{chance.randrange(10**9)}",
            "key": None,
        },
        "wallets": {"type": f"type{chance.randrange(10**6)}", "key": None},
        "operators": {"key_hash": chance.randbytes(32)},
        "holds": {"key": None},
        "transactions": {"key": None},
    }.get(table, {})


REWRITE = "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql ="
SCHEMA = {
    "file": [
        "CREATE TRIGGER t AFTER INSERT ON transactions BEGIN UPDATE wallets SET own_minimum = NULL; END",
        "CREATE TRIGGER t AFTER UPDATE ON operators BEGIN UPDATE operators SET revoked_at_us = NULL; END",
        "CREATE TABLE more (a)",
        "CREATE VIEW more AS SELECT * FROM users",
        "PRAGMA writable_schema=ON; INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql)"
        " VALUES ('view', 'sqlite_more', 'sqlite_more', 0, 'CREATE VIEW sqlite_more AS SELECT 1')",
        "CREATE INDEX more ON users (name)",
        "DROP INDEX ix_operators_again",
        "DROP INDEX ix_transactions_at_us",
        "DROP INDEX uq_transactions_wallet_id_key_user_key",
        "DROP INDEX ix_holds_open",
        "DROP INDEX uq_users_key; CREATE UNIQUE INDEX uq_users_key ON users (key, id) WHERE key IS NOT NULL",
        "ALTER TABLE users ADD COLUMN more TEXT",
        "ALTER TABLE wallets RENAME COLUMN own_minimum TO minimum",
        f"{REWRITE} replace(sql, 'amount BETWEEN 1 AND', 'amount BETWEEN -1 AND') WHERE name = 'holds'",
        f"{REWRITE} replace(sql, 'STRICT', '') WHERE name = 'holds'",
    ],
    "postgres": [
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        " CREATE TRIGGER t BEFORE INSERT ON transactions FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE RULE r AS ON UPDATE TO operators DO INSTEAD NOTHING",
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON users USING (id > 1)",
        "CREATE INDEX more ON users (name)",
        "DROP INDEX ix_transactions_at_us",
        "DROP INDEX uq_transactions_wallet_id_key_user_key",
        "DROP INDEX ix_holds_open",
        "ALTER TABLE users ADD COLUMN more TEXT",
        "ALTER TABLE wallets RENAME COLUMN own_minimum TO minimum",
        "ALTER TABLE operators DROP CONSTRAINT uq_operators_key_hash",
        "ALTER TABLE users DROP CONSTRAINT uq_users_phone_e164",
        "ALTER TABLE holds ALTER COLUMN amount DROP NOT NULL",
        "ALTER TABLE users ALTER COLUMN name TYPE varchar(300)",
        "DROP INDEX uq_users_key; CREATE UNIQUE INDEX uq_users_key ON users (key, id) WHERE key IS NOT NULL",
        "DROP INDEX uq_users_key; CREATE INDEX uq_users_key ON users (key) WHERE key IS NOT NULL",
        "DROP INDEX uq_users_key; CREATE UNIQUE INDEX uq_users_key ON users (key)",
        "ALTER TABLE holds DISABLE TRIGGER ALL",
        "ALTER TABLE wallets ALTER COLUMN held SET DEFAULT 5",
        "ALTER TABLE transactions DROP CONSTRAINT fk_transactions_wallet_id; ALTER TABLE transactions"
        " ADD CONSTRAINT fk_transactions_wallet_id FOREIGN KEY (wallet_id) REFERENCES wallets ON DELETE CASCADE",
    ],
}
WEAKER = "DROP INDEX uq_users_key; CREATE UNIQUE INDEX uq_users_key ON users (key) WHERE key = 'a'"
OF_VERSION = "UPDATE alembic_version SET version_num = '0001'"


*_, OF_SQLITE, OF_POSTGRES, CONDITION = UNSEEN
UNSEEN_BY_ALL = {
    ADDED: ("an operator key added", "after the last event"),
    "`operators.last_used_at_us`": ("a column", "operators.last_used_at_us"),
    "`ledger.damaged`": ("a column", "ledger.damaged"),
    "`ledger.changes`": ("a column", "ledger.changes"),
    OF_SQLITE: ("the schema", "ANALYZE; UPDATE sqlite_stat1 SET stat = '1 1'"),
    OF_POSTGRES: ("the schema", "GRANT ALL ON users TO PUBLIC; CREATE TABLE beside (id integer)"),
    CONDITION: ("the schema", WEAKER),
}
"""Where each can be tried: the kind of an edit, and of what."""


def of_schema(bench: Bench) -> Iterator[Edit]:
    on_file = isinstance(bench, FileBench)
    for statement in SCHEMA["file" if on_file else "postgres"]:
        yield Edit("the schema", statement, partial(run_all, script=statement))
    yield Edit("the schema", OF_VERSION, partial(run_all, script=OF_VERSION))
    for what, (_, statement) in UNSEEN_BY_ALL.items():
        if what.startswith("SQLite") if on_file else "on PostgreSQL" in what:
            yield Edit("the schema", statement, partial(run_all, script=statement), what)


def run_all(raw: Raw, script: str) -> None:
    for statement in [script] if " BEGIN" in script else script.split("; "):
        raw.execute(statement)


# Clever edits.


def of_rows_with_their_events(bench: Bench, chance: random.Random) -> Iterator[Edit]:
    """A row is changed, and the event that tells it, with all hashes after it: only who noted a hash before sees it."""
    changes: dict[str, dict[str, Callable[[Row], Any]]] = {
        "users": {
            "name": lambda _: "Somebody",
            "phone_number": lambda row: f"{row['phone_number']}0",
            "phone_e164": lambda row: f"{row['phone_e164'][:-4]}{chance.randrange(10**4):04}",
            "created_at_us": lambda row: row["created_at_us"] - 1,
            "key": lambda row: f"other-{row['id']}",
        },
        "wallets": {
            "status": lambda row: "active" if row["status"] == "frozen" else "frozen",
            "own_minimum": lambda _: -10_000_000,
            "maximum": lambda _: 10**12,
            "daily_debit": lambda _: 10**12,
            "key": lambda row: f"other-{row['id']}",
            "opening_minimum": lambda _: -5,
        },
        "holds": {
            "note": lambda _: "another",
            "key": lambda row: f"other-{row['number']}-{row['wallet_id']}",
            "created_at_us": lambda row: row["created_at_us"] - 1,
        },
        "operators": {
            "key_hash": lambda _: chance.randbytes(32),
            "read_only": lambda row: 1 - row["read_only"],
            "created_at_us": lambda row: row["created_at_us"] - 1,
            "revoked_at_us": lambda row: None if row["revoked_at_us"] else row["created_at_us"] + 1,
        },
        "ledger": {
            "currency": lambda _: "USD",
            "phone_region": lambda _: "SG",
            "minimum_balance": lambda _: "-1000",
            "timezone": lambda _: "Asia/Tokyo",
            "uuid": lambda _: "00000000-0000-4000-8000-000000000000",
        },
    }
    while True:
        for table, columns in changes.items():
            for name, value in columns.items():
                row = chance.choice(bench.now[table])
                new = {name: value(row)}
                yield Edit(
                    "a row with its event",
                    f"{table}.{name}",
                    partial(forging.change_with_its_event, table=table, row=row, **new),
                    SEAL,
                )


def of_chains(bench: Bench, chance: random.Random) -> Iterator[Edit]:
    """Chains of events and of transactions changed, cut, and made longer, with hashes that fit."""
    while True:
        row = chance.choice(bench.now["events"])
        event = Event(**row)
        for name, value in {
            "actor": "key somebody",
            "what": "nothing much",
            "at_us": max(0, event.at_us - 1),
        }.items():
            yield Edit("an event of a chain", name, partial(replace_event, event=event, **{name: value}), SEAL)
        yield Edit("an event of a chain", "removed", partial(remove_event, event=event), SEAL)
        yield Edit("an event of a chain", "inserted", partial(insert_event, event=event), SEAL)
        key = {"name": "forged", "key_hash": chance.randbytes(32), "read_only": 0, "created_at_us": 1}
        key |= {"revoked_at_us": None, "last_used_at_us": None}
        at = chance.randrange(1, len([each for each in bench.now["events"] if each["kind"] == events.LEDGER]))
        yield Edit("an operator key added", "before the last event", partial(add_key, key=key, at=at), SEAL)
        yield Edit("an operator key added", "after the last event", partial(add_key, key=key, at=None), ADDED)

        wallet = chance.choice([each for each in bench.now["wallets"] if _seqs(bench, each["id"]) > 3])
        last = _seqs(bench, wallet["id"])
        seq = chance.randrange(1, last)
        for name, value in {"note": "rent", "actor": "key somebody", "amount": 1, "key": "free"}.items():
            yield Edit(
                "a transaction of a chain",
                name,
                partial(replace_transaction, wallet=wallet, seq=seq, **{name: value}),
                SEAL,
            )
        yield Edit("a transaction of a chain", "the end cut", partial(cut, wallet=wallet, to=seq), SEAL)
        yield Edit("a transaction of a chain", "added in the middle", partial(add_credit, wallet=wallet, at=seq), SEAL)
        yield Edit("a transaction of a chain", "added at the end", partial(add_credit, wallet=wallet, at=last), ADDED)
        end = max(
            (each for each in bench.now["transactions"] if each["wallet_id"] == wallet["id"]),
            key=lambda each: each["seq"],
        )
        yield Edit(
            "a transaction of a chain", "the last alone deleted", partial(forging.delete, table="transactions", row=end)
        )
        frozen = chance.choice(bench.now["wallets"])
        status = "active" if frozen["status"] == "frozen" else "frozen"
        yield Edit("a status with a new event", "wallets", partial(set_status, wallet=frozen, status=status), ADDED)
        yield Edit(
            "a user added",
            "users",
            partial(add_user, ids=len(bench.now["users"]) + 1, chance=chance.randrange(10**8)),
            ADDED,
        )


def _seqs(bench: Bench, wallet_id: int) -> int:
    return sum(row["wallet_id"] == wallet_id for row in bench.now["transactions"])


def replace_event(raw: Raw, event: Event, **changes: Any) -> None:
    chain = forging.chain_of(raw, (event.kind, event.subject_id))
    chain[event.number - 1] = event._replace(**changes)
    forging.set_chain(raw, (event.kind, event.subject_id), chain)


def remove_event(raw: Raw, event: Event) -> None:
    chain = forging.chain_of(raw, (event.kind, event.subject_id))
    del chain[event.number - 1]
    forging.set_chain(raw, (event.kind, event.subject_id), chain)


def insert_event(raw: Raw, event: Event) -> None:
    """One that tells the same, before it."""
    chain = forging.chain_of(raw, (event.kind, event.subject_id))
    chain.insert(event.number - 1, event._replace(what="noted"))
    forging.set_chain(raw, (event.kind, event.subject_id), chain)


def add_key(raw: Raw, key: Row, at: int | None) -> None:
    forging.insert(raw, "operators", key)
    chain = forging.chain_of(raw, events.OF_LEDGER)
    details = canonical_json({"key": forging.told("operators", key)})
    made = Event(*events.OF_LEDGER, 0, chain[-1].at_us, "terminal asha", "key made", details, b"")
    chain.insert(len(chain) if at is None else at, made)
    forging.set_chain(raw, events.OF_LEDGER, chain)


def replace_transaction(raw: Raw, wallet: Row, seq: int, **changes: Any) -> None:
    chain = forging.transactions_of(raw, wallet["id"])
    before = chain[seq - 1]
    said = {name: changes.pop(name) for name in Remarks._fields if name in changes}
    chain[seq - 1] = before._replace(remarks=before.remarks._replace(**said), **changes)
    forging.set_transactions(raw, forging.wallet_of(wallet), chain)


def cut(raw: Raw, wallet: Row, to: int) -> None:
    forging.set_transactions(raw, forging.wallet_of(wallet), forging.transactions_of(raw, wallet["id"])[:to])


def add_credit(raw: Raw, wallet: Row, at: int) -> None:
    chain = forging.transactions_of(raw, wallet["id"])
    made = chain[at - 1]._replace(
        is_credit=True, amount=7, remarks=Remarks("a gift"), key=None, peer_wallet_id=None, peer_seq=None,
        reverses=None, hold=None, forced=False, user_key=False,
    )  # fmt: skip
    forging.set_transactions(raw, forging.wallet_of(wallet), [*chain[:at], made, *chain[at:]])


def set_status(raw: Raw, wallet: Row, status: str) -> None:
    forging.change(raw, "wallets", wallet, status=status)
    forging.change(raw, "witnesses", {"wallet_id": wallet["id"]}, status=status)
    details = {"wallet": forging.told("wallets", wallet | {"status": status})}
    forging.add_event(raw, (events.WALLET, wallet["id"]), "status set", details)


def add_user(raw: Raw, ids: int, chance: int) -> None:
    number = f"99{chance:08}"
    user = dict.fromkeys(sql.USER_COLUMNS) | {"id": ids, "phone_number": number, "phone_e164": f"+91{number}"}
    user |= {"phone_region": "IN", "phone_national": number, "created_at_us": 1}
    forging.insert(raw, "users", user)
    forging.add_event(raw, (events.USER, ids), "registered", {"user": forging.told("users", user)})


# What was put back.


def put_back(bench: Bench, chance: random.Random) -> Iterator[Edit]:
    """All, a wallet, a user, or a table, as it was at an earlier moment."""
    wallets, users = [row["id"] for row in bench.now["wallets"]], [row["id"] for row in bench.now["users"]]
    while True:
        then = chance.choice(bench.moments[:-1])
        yield Edit("put back", "the whole ledger", partial(forging.put_back, rows=then), SEAL)
        of_wallet = partial(_is_of, events.WALLET, chance.choice(wallets))
        yield Edit(
            "put back", "a wallet with all that is its own", partial(forging.put_back, rows=then, only=of_wallet), SEAL
        )
        of_user = partial(_is_of, events.USER, chance.choice(users))
        yield Edit("put back", "a user with its events", partial(forging.put_back, rows=then, only=of_user), SEAL)
        of_ledger = partial(_is_of, events.LEDGER, 0)
        yield Edit(
            "put back", "keys, settings and their events", partial(forging.put_back, rows=then, only=of_ledger), SEAL
        )
        table = chance.choice([name for name in forging.COLUMNS if name != "ledger"])
        yield Edit(
            "put back", f"the table {table}", partial(forging.put_back, rows=then, only=partial(_is_in, table)), SEAL
        )
        nothing: Rows = {name: [] for name in forging.COLUMNS}
        of_gone = partial(_is_of, events.WALLET, chance.choice(wallets))
        yield Edit(
            "taken away",
            "a wallet with all that is its own",
            partial(forging.put_back, rows=nothing, only=of_gone),
            SEAL,
        )


def _is_in(table: str, of: str, _row: Row) -> bool:
    return table == of


def _is_of(kind: int, id_: int, table: str, row: Row) -> bool:
    if table == "events":
        return _subject(row) == (kind, id_)
    return forging.subject_of(table, row) == (kind, id_)


# The harness.


class Found(NamedTuple):
    """How many edits `verify` found, how many the seal, which were unseen as listed; how many changed nothing."""

    tried: int
    by: Counter[str]
    unseen: Counter[str]
    missed: list[str]


def hunt(bench: Bench, edits: Iterator[Edit], count: int) -> Found:
    """Try so many edits that are possible."""
    by: Counter[str] = Counter()
    unseen: Counter[str] = Counter()
    missed: list[str] = []
    tried = 0
    for edit in edits:
        if tried >= count:
            break
        try:
            with bench.edited(edit) as trial:
                tried += 1
                message = trial.verdict(verification.verify)
                if message is not None:
                    by[VERIFY] += 1
                    continue
                if trial.rows() == bench.now and edit.kind != "the schema":
                    by["nothing changed"] += 1
                elif edit.by == VERIFY:
                    missed.append(f"{edit.kind}: {edit.where}")
                elif trial.verdict(partial(seals.verify_against, sealed=bench.sealed)) is not None:
                    by[SEAL] += 1
                elif edit.by == SEAL:
                    missed.append(f"{edit.kind}: {edit.where}")
                else:
                    unseen[edit.by] += 1
        except (apsw.Error, psycopg.Error):
            continue  # what stands in its way is no constraint of the program's
    return Found(tried, by, unseen, missed)


def in_turn(*sources: Iterator[Edit]) -> Iterator[Edit]:
    """One of each, again and again, until all have ended."""
    left = list(sources)
    while left:
        for source in list(left):
            edit = next(source, None)
            if edit is None:
                left.remove(source)
            else:
                yield edit


def all_edits(bench: Bench) -> Iterator[Edit]:
    chance = random.Random(2000)
    return in_turn(
        of_columns(bench, chance),
        of_schema(bench),
        of_chains(bench, chance),
        of_rows(bench, chance),
        of_rows_with_their_events(bench, chance),
        put_back(bench, chance),
    )


EDITS = size(60, 2000)


def test_every_edit_is_seen_or_listed(bench: Bench) -> None:
    result = hunt(bench, all_edits(bench), EDITS)
    assert not result.missed, "\n".join(sorted(set(result.missed)))
    assert result.tried == EDITS
    assert min(result.by[VERIFY], result.by[SEAL]) > EDITS // 10
    figures.figure(
        f"tampering by SQL, all hashes made to fit ({'file' if isinstance(bench, FileBench) else 'PostgreSQL'})",
        result.tried,
        found_by_verify=result.by[VERIFY],
        found_by_a_seal=result.by[SEAL],
        nothing_changed=result.by["nothing changed"],
        listed_as_unseen=sum(result.unseen.values()),
        missed=len(result.missed),
    )


# The list of what nobody sees.


def test_what_nobody_can_see_is_listed_in_the_docs() -> None:
    """With the same reasons."""
    _, _, rest = SECURITY.read_text("utf-8").partition(f"| {HEAD} | why |\n|---|---|\n")
    rows = [line for line in rest.partition("\n\n")[0].splitlines() if line]
    assert dict(re.split(r" \| ", row.strip("| ")) for row in rows) == UNSEEN


@pytest.mark.parametrize("what", UNSEEN)
def test_what_is_listed_is_not_seen(bench: Bench, what: str) -> None:
    """What is seen by now has to leave the list."""
    kind, where = UNSEEN_BY_ALL[what]
    edits = [edit for edit in some(bench) if (edit.kind, edit.where, edit.by) == (kind, where, what)]
    if not edits:
        pytest.skip("of the other engine alone")
    assert hunt(bench, iter(edits[:3]), 3).unseen[what]


def some(bench: Bench, count: int = 1500) -> list[Edit]:
    """Some edits, made and not tried yet."""
    return list(islice(all_edits(bench), count))


# Deliberate faults: a check that is left out is missed.

SKIPPED: dict[str, tuple[Fault, tuple[str, str]]] = {
    "the events": (
        Fault(
            verification,
            "_verified",
            "wrong += _check_events(ledger, None if wallet is None else first, along, known)",
            "pass",
        ),
        ("a column", "users.name"),
    ),
    "the hashes of events": (
        Fault(event_check, "_compare", "if events.hashed(event, last) != event:", "if False:"),
        ("a column", "events.actor"),
    ),
    "the schema": (
        Fault(verification, "_verified", "_check_schema(ledger)", "pass"),
        ("the schema", "DROP INDEX ix_transactions_at_us"),
    ),
    "the witnesses": (
        Fault(chain_check, "unlike_witness", "if witness is None:", "return None\n    if witness is None:"),
        ("a transaction of a chain", "the last alone deleted"),
    ),
    "the hashes of transactions": (
        Fault(chain_check, "_Walk", "or sha256(hash_ + text.encode()).digest() != found", ""),
        ("a column", "transactions.note"),
    ),
    "a column of a wallet": (
        Fault(events, "of_wallet", '"held", "hold_count")', '"held", "hold_count", "opening_minimum")'),
        ("a column", "wallets.opening_minimum"),
    ),
    "a column of a hold": (
        Fault(events, "of_hold", '"wallet_id")', '"wallet_id", "note")'),
        ("a column", "holds.note"),
    ),
    "where a ledger has moved": (
        Fault(sql, "rows_of_itself", '"place": itself.move_state._asdict()', '"place": None'),
        ("a column", "ledger.origin"),
    ),
}


@pytest.mark.parametrize("what", SKIPPED)
def test_a_check_that_verify_leaves_out_is_missed(bench: Bench, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    fault, place = SKIPPED[what]
    edits = [edit for edit in some(bench) if (edit.kind, edit.where) == place]
    assert edits
    assert hunt(bench, iter(edits[:3]), 3).missed == []
    put_in(monkeypatch, fault)
    assert hunt(bench, iter(edits[:3]), 3).missed != []


def test_an_event_that_a_seal_leaves_out_is_missed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    edits = [edit for edit in some(bench) if edit.kind == "a row with its event"][:5]
    assert hunt(bench, iter(edits), 5).missed == []
    put_in(monkeypatch, Fault(seals, "_missing", 'event.hash.hex() == leaf["last_event"]', "True"))
    assert hunt(bench, iter(edits), 5).missed != []
