"""Damage to a busy ledger's file: found by `verify`, refused at opening, or harmless, and it is said why.

A page that a disk did not write holds what it held before: whole, with a right checksum, and old. So pages of each kind
are put back to what they were at earlier moments of the ledger's life, besides being zeroed, exchanged and having one
bit turned; and rows are edited by SQL. What `verify` does not find has to leave every row and every entry of an index
as it was, or be one of HARMLESS.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import pytest
from support import engines, figures
from support.engines import opened
from support.faults import Fault, put_in
from support.sizes import size

from wallet_cli import settings
from wallet_cli.domain.commands import (
    AddApiKey,
    CaptureHold,
    Command,
    OpenWallet,
    PlaceHold,
    Post,
    Refusal,
    Register,
    Reverse,
    RevokeApiKey,
    SetLimits,
    SetStatus,
    Transfer,
    VoidHold,
)
from wallet_cli.domain.ids import WalletId
from wallet_cli.domain.money import Currency
from wallet_cli.domain.phone import parse_phone
from wallet_cli.domain.purpose import Purpose
from wallet_cli.domain.remarks import Remarks
from wallet_cli.errors import Damaged, InternalError, StorageError, WalletError
from wallet_cli.operations import chain_check, verification
from wallet_cli.operations.context import open_ledger
from wallet_cli.storage import prefetch, sqlite
from wallet_cli.storage.in_place import beside
from wallet_cli.storage.queries import Queries
from wallet_cli.storage.sqlite import SqliteStore

pytestmark = pytest.mark.on_file("pages of a file")

PAGE = 4096
USERS, ROUNDS, COMMANDS = 45, 6, 130
WALLETS = 2 * USERS

HARMLESS = {
    ("operators", "last_used_at_us"): "roughly when, by design",
    ("ledger", "damaged"): "a note that stops writers; `verify` finds the damage itself",
    ("ledger", "changes"): "a count that the lock file is compared with",
}
"""What may differ with nobody the poorer. No decision about money rests on it."""


class Life(NamedTuple):
    """A ledger at each of several moments of its life, as whole files, the last one of now."""

    moments: list[bytes]
    pages: dict[int, str]
    """What each page of the last is: a table or an index, and `leaf` or `internal`."""

    @property
    def now(self) -> bytes:
        return self.moments[-1]

    def page(self, number: int, moment: int = -1) -> bytes:
        return self.moments[moment][(number - 1) * PAGE : number * PAGE]

    def count(self) -> int:
        return len(self.now) // PAGE

    def with_page(self, number: int, page: bytes) -> bytes:
        return self.now[: (number - 1) * PAGE] + page + self.now[number * PAGE :]


class Edit(NamedTuple):
    """One damaged copy: `kind` of damage, of what (`where`), and the whole file."""

    kind: str
    where: str
    data: bytes


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, empty_ledger: Path) -> Life:
    """A business with all that a ledger has: its commands, in rounds, and the file after each."""
    path = tmp_path_factory.mktemp("life") / "w.db"
    shutil.copyfile(empty_ledger, path)
    chance = random.Random(12)
    moments = []
    with opened(path) as ledger:
        for round_ in range(ROUNDS):
            for command in busy(chance, round_):
                results = ledger.executor.run([command], "life")
                assert round_ or not isinstance(results[0], Refusal), results
            ledger.executor.run([SetStatus(1, "frozen" if round_ % 2 else "active")], "life")
            with closing(apsw.Connection(str(path))) as other:
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                pages = {
                    number: f"{name} {kind}"
                    for name, number, kind in other.execute("SELECT name, pageno, pagetype FROM dbstat").fetchall()
                }
            moments.append(path.read_bytes())
    assert verdict(path) is None
    for kind in (
        "transactions internal",
        "uq_transactions_wallet_id_key_user_key internal",
        "users leaf",
        "holds leaf",
    ):
        assert kind in pages.values()
    return Life(moments, pages)


def busy(chance: random.Random, round_: int) -> Iterator[Command]:
    """A round of commands; many are refused, as in life."""
    rupees = Currency("INR", 2)
    if round_ == 0:
        for number in range(1, USERS + 1):
            yield Register(parse_phone(f"98765{number:05}", "IN"), f"user {number}", key=f"user-{number}")
            yield OpenWallet(number, "main", rupees, None, key=f"opening-{number}")
            yield OpenWallet(number, "savings", rupees, None)
            yield Post(2 * number - 1, True, 100_000, Remarks(f"opening balance of {number}"), f"first-{number}")
        yield AddApiKey("till", bytes(range(32)), False)
        return
    yield Register(parse_phone(f"98766{round_:05}", "IN"), f"late {round_}")
    yield AddApiKey(f"till-{round_}", bytes([round_] * 32), bool(round_ % 2))
    yield RevokeApiKey("till" if round_ == 1 else f"till-{round_ - 1}")
    for n in range(COMMANDS):
        wallet, other = chance.randint(1, WALLETS), chance.randint(1, WALLETS)
        amount, key = chance.randint(1, 5000), f"a-key-as-clients-make-them-{round_}-{n}" if n % 4 else None
        yield chance.choice(
            [
                Post(wallet, True, amount, Remarks("a payment with a note of some length" * (n % 3)), key),
                Post(wallet, False, amount, Remarks(meta='{"order":"1041"}'), key),
                Post(wallet, True, amount, key=key, user_key=True),
                Transfer(wallet, other, amount, key=key),
                Transfer(wallet, other, amount, key=key),
                Reverse(wallet, chance.randint(1, 4), amount // 2 + 1, key=key),
                Reverse(wallet, chance.randint(1, 2), 7),
                PlaceHold(wallet, amount, 10**12, "a hold", key),
                PlaceHold(wallet, amount, 1, None, key),
                CaptureHold(wallet, 1, 1 + amount // 9, keep=bool(n % 2)),
                VoidHold(wallet, chance.randint(1, 2)),
                SetLimits(wallet, maximum=10**9 + n),
                SetStatus(wallet, chance.choice(["active", "active", "frozen"])),
            ]
        )


def verdict(path: Path) -> str | None:
    """What `verify`, or opening the file for it, finds; None where that is nothing. Raises what is a fault of ours."""
    try:
        with open_ledger(settings.load({"db": str(path)}, {}), lambda _: None, purpose=Purpose.READ) as ledger:
            verification.verify(ledger)
    except InternalError:
        raise
    except WalletError as error:
        return error.message
    return None


# What is the same in two files.

Rows = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


def contents(data: bytes, folder: Path) -> Rows:
    """Every row of every table by its key, and every entry of every index, each read by itself."""
    path = folder / "contents.db"
    path.write_bytes(data)
    found: Rows = {"sqlite_master": {}}
    with closing(apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)) as connection:
        connection.execute("PRAGMA query_only=ON")
        listed = "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND name <> 'sqlite_schema'"
        for table, by_key in connection.execute(listed).fetchall():
            info = connection.execute("SELECT name, pk FROM pragma_table_info(?) ORDER BY cid", (table,)).fetchall()
            names, key = [name.lower() for name, _ in info], [name.lower() for name, pk in info if pk]
            rows = connection.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()
            (text,) = connection.execute(
                "SELECT CAST(sql AS BLOB) FROM sqlite_master WHERE name = ?", (table,)
            ).fetchone()
            found["sqlite_master"][table,] = {"sql": text}
            found[table] = {
                tuple(row[names.index(name)] for name in key): dict(zip(names, row, strict=True)) for row in rows
            }
            for index, partial in connection.execute(
                "SELECT name, partial FROM pragma_index_list(?) WHERE origin <> 'pk'", (table,)
            ).fetchall():
                info = connection.execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,)).fetchall()
                columns = [*(name for (name,) in info), *(key if by_key else ["rowid"])]
                where = ""
                if partial:
                    (text,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (index,)).fetchone()
                    where = f" WHERE {text.partition(' WHERE ')[2]}"
                asked = f"SELECT {', '.join(columns)} FROM {table} INDEXED BY {index}{where}"
                plan = connection.execute(f"EXPLAIN QUERY PLAN {asked}").fetchall()
                assert "COVERING INDEX" in plan[0][3]
                found[index] = {tuple(row): {} for row in connection.execute(asked).fetchall()}
    return found


def differences(before: Rows, after: Rows) -> set[tuple[str, str]]:
    """(table or index, column) of all that differs; `*` where there are other rows."""
    found = set()
    for name in before.keys() | after.keys():
        old, new = before.get(name, {}), after.get(name, {})
        if old.keys() != new.keys():
            found.add((name, "*"))
        for key in old.keys() & new.keys():
            found |= {(name, column) for column, value in old[key].items() if new[key].get(column) != value}
    return found


# Edits.


def stale(life: Life) -> list[Edit]:
    """Each page, put back to each earlier state that it had."""
    return [
        Edit("stale page", life.pages.get(number, "free"), life.with_page(number, page))
        for number in range(1, life.count() + 1)
        for page in {life.page(number, moment) for moment in range(len(life.moments) - 1)} - {life.page(number), b""}
    ]


def zeroed(life: Life) -> list[Edit]:
    return [Edit("zeroed page", life.pages.get(n, "free"), life.with_page(n, bytes(PAGE))) for n in pages_of(life)]


def swapped(life: Life, chance: random.Random, count: int) -> list[Edit]:
    edits = []
    for _ in range(count):
        one, other = chance.sample(pages_of(life), 2)
        data = life.with_page(one, life.page(other))
        data = data[: (other - 1) * PAGE] + life.page(one) + data[other * PAGE :]
        edits.append(Edit("swapped pages", f"{life.pages.get(one)} / {life.pages.get(other)}", data))
    return edits


def flipped(life: Life, chance: random.Random, count: int) -> list[Edit]:
    edits = []
    for _ in range(count):
        at, bit = chance.randrange(len(life.now)), chance.randrange(8)
        data = life.now[:at] + bytes([life.now[at] ^ 1 << bit]) + life.now[at + 1 :]
        edits.append(Edit("bit flip", life.pages.get(at // PAGE + 1, "free"), data))
    return edits


def by_sql(life: Life, chance: random.Random, count: int, folder: Path) -> list[Edit]:
    """A value of a row changed, or a row taken away, in any table, with no constraint in the way but uniqueness."""
    edits = []
    path = folder / "sql.db"
    tables = ("transactions", "transactions", "wallets", "holds", "users", "witnesses", "operators", "ledger", "events")
    while len(edits) < count:
        path.write_bytes(life.now)
        table = chance.choice(tables)
        with closing(apsw.Connection(str(path))) as connection:
            connection.execute("PRAGMA ignore_check_constraints=ON; PRAGMA foreign_keys=OFF")
            info = connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (table,)).fetchall()
            key = [name for name, _, pk in info if pk]
            rows = connection.execute(f"SELECT {', '.join(key)} FROM {table}").fetchall()
            where = " AND ".join(f"{name} = ?" for name in key)
            if chance.random() < 0.2:
                text, what = f"DELETE FROM {table} WHERE {where}", "row"
            else:
                name, type_, _ = chance.choice(info)
                change = {"INTEGER": f"coalesce({name}, 0) + 1", "TEXT": f"coalesce({name}, '') || '1'"}
                text, what = f"UPDATE {table} SET {name} = {change.get(type_, 'randomblob(32)')} WHERE {where}", name
            try:
                connection.execute(text, chance.choice(rows))
            except apsw.ConstraintError:
                continue  # a key that another row has
        edits.append(Edit("SQL", f"{table}.{what}", path.read_bytes()))
    return edits


def pages_of(life: Life) -> list[int]:
    return list(range(1, life.count() + 1))


def some_of_each(edits: Sequence[Edit], chance: random.Random, count: int) -> list[Edit]:
    """At most `count` edits, of each place as many as of the others, as far as it has them."""
    by_place: dict[str, list[Edit]] = {}
    for edit in chance.sample(edits, len(edits)):
        by_place.setdefault(edit.where, []).append(edit)
    taken: list[Edit] = []
    while len(taken) < count and any(by_place.values()):
        taken += [found.pop() for found in by_place.values() if found]
    return taken[:count]


# The harness.


class Found(NamedTuple):
    """How many edits were found, how many left everything as it was, how many are HARMLESS; and those that are not."""

    found: int
    nothing: int
    harmless: int
    missed: list[tuple[Edit, set[tuple[str, str]]]]


def fresh(folder: Path, name: str) -> Path:
    """Where a ledger may be put that is another one: what stood beside the last one there knows what it had."""
    for left in folder.glob(f"{name}.db*"):
        left.unlink()
    return folder / f"{name}.db"


def hunt(life: Life, edits: Sequence[Edit], folder: Path) -> Found:
    """Have `verify` look at each damaged copy."""
    before = contents(life.now, folder)
    found = nothing = harmless = 0
    missed = []
    path = folder / "damaged.db"
    for edit in edits:
        fresh(folder, "damaged").write_bytes(edit.data)
        if verdict(path) is not None:
            found += 1
            continue
        differing = differences(before, contents(edit.data, folder))
        if edit.kind == "SQL":  # with a row go its entries
            differing = {(name, column) for name, column in differing if not name.startswith(("uq_", "ix_", "sqlite_"))}
        if not differing:
            nothing += 1
        elif differing <= HARMLESS.keys():
            harmless += 1
        else:
            missed.append((edit, differing))
    return Found(found, nothing, harmless, missed)


def told(result: Found) -> str:
    return "\n".join(sorted({f"{edit.kind} of {edit.where}: {sorted(differing)}" for edit, differing in result.missed}))


STALE, ZEROED, SWAPPED, FLIPPED, SQL = size(45, 900), size(8, 200), size(8, 250), size(30, 1100), size(30, 500)


def test_damage_is_found_or_harmless(life: Life, tmp_path: Path) -> None:
    chance = random.Random(2026)
    edits = [
        *some_of_each(stale(life), chance, STALE),
        *some_of_each(zeroed(life), chance, ZEROED),
        *swapped(life, chance, SWAPPED),
        *flipped(life, chance, FLIPPED),
        *by_sql(life, chance, SQL, tmp_path),
    ]
    result = hunt(life, edits, tmp_path)
    assert not result.missed, told(result)
    assert result.found > len(edits) // 2
    figures.figure(
        "tampering; lost and stale pages; bit flips",
        len(edits),
        found=result.found,
        nothing_changed=result.nothing,
        harmless=result.harmless,
    )


# Deliberate faults: a check that is left out is missed.


def sql_edit(life: Life, folder: Path, statement: str) -> Edit:
    path = folder / "sql.db"
    path.write_bytes(life.now)
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(statement)
    return Edit("SQL", statement, path.read_bytes())


def after(life: Life, folder: Path, command: Command) -> Life:
    """Two moments: that of now, and the one after a command."""
    path = fresh(folder, "after")
    path.write_bytes(life.now)
    with opened(path) as ledger:
        assert not isinstance(ledger.executor.run([command], "after")[0], Refusal)
    return Life([life.now, path.read_bytes()], life.pages)


def ids(life: Life, folder: Path, statement: str) -> tuple[int, ...]:
    """The first row of what a statement finds."""
    path = folder / "ids.db"
    path.write_bytes(life.now)
    with closing(apsw.Connection(str(path))) as connection:
        return tuple(connection.execute(statement).fetchone())


def of(life: Life, place: str) -> list[Edit]:
    """All that can be put back of the pages of a table or an index."""
    return [edit for edit in stale(life) if edit.where == place]


SKIPPED = {
    "the hash of a row": Fault(chain_check, "_Walk", "or sha256(hash_ + text.encode()).digest() != found", ""),
    "the indexes": Fault(verification, "_check_file", "not ledger.store.indexes_are_complete()", "False"),
    "the file": Fault(sqlite, "SqliteStore._checked", "_rows(CHECK)", "_rows(\"SELECT 'ok'\")"),
}


@pytest.mark.parametrize("what", SKIPPED)
def test_a_check_that_verify_leaves_out_is_missed(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    with_hold = ids(life, tmp_path, "SELECT wallet_id, number FROM holds WHERE status = 'open' AND captured = 0")
    edits = {
        "the hash of a row": [sql_edit(life, tmp_path, "UPDATE transactions SET note = 'x' WHERE seq = 2")],
        "the indexes": of(after(life, tmp_path, VoidHold(*with_hold)), "ix_holds_open leaf"),
        "the file": of(life, "sqlite_autoindex_users_1 leaf"),
    }[what]
    assert edits
    assert hunt(life, edits, tmp_path).missed == []
    put_in(monkeypatch, SKIPPED[what])
    assert hunt(life, edits, tmp_path).missed != []


# A decision is not built on what was lost.


def lost(life: Life, folder: Path) -> tuple[Path, int, int]:
    """A ledger in which a wallet's newest transactions are lost with their page; the wallet, and the first of them."""
    path = folder / "lost.db"
    for edit in of(life, "transactions leaf"):
        path.write_bytes(edit.data)
        with closing(apsw.Connection(str(path))) as connection:
            found = connection.execute(
                "SELECT x.wallet_id, coalesce(max(t.seq), 0) AS there FROM witnesses x"
                " JOIN wallets w ON w.id = x.wallet_id AND w.status = 'active'"
                " LEFT JOIN transactions t ON t.wallet_id = x.wallet_id GROUP BY x.wallet_id HAVING there < x.seq"
            ).fetchone()
        if found is not None:
            return path, found[0], found[1] + 1
    raise AssertionError("no page of transactions was put back that a wallet ended on")


def refused(path: Path, command: Command) -> StorageError:
    """The error of a command that is not carried out, and that leaves every transaction as it was."""

    def transactions() -> list[Any]:
        with closing(apsw.Connection(str(path))) as connection:
            return connection.execute("SELECT * FROM transactions NOT INDEXED ORDER BY wallet_id, seq").fetchall()

    before = transactions()
    with opened(path) as ledger, pytest.raises(StorageError) as caught:
        ledger.executor.run([command], "after the damage")
    assert transactions() == before
    return caught.value


def test_nothing_is_decided_on_a_page_that_was_put_back(life: Life, tmp_path: Path) -> None:
    path, wallet, seq = lost(life, tmp_path)
    with opened(path) as ledger, pytest.raises(Damaged):
        ledger.store.account(wallet, 0)
    error = refused(path, Post(wallet, True, 5))
    assert error.details == {"wallet": wallet}
    assert error.message.startswith("this ledger is damaged: wallet ")
    # From then on it takes no writes, to whichever wallet, from whoever opens it.
    for _ in range(2):
        error = refused(path, Post(wallet % WALLETS + 1, True, 5))
    assert error.message.count("it takes no writes, because wallet ") == 1
    with opened(path) as ledger, pytest.raises(Damaged) as found:
        verification.verify(ledger)
    assert found.value.details["transaction"]
    # Wallet by wallet, each names its own first.
    with opened(path) as ledger, pytest.raises(Damaged) as found:
        verification.verify(ledger, WalletId(wallet))
    assert found.value.details["transaction"] == f"{wallet}-{seq}"


@pytest.mark.parametrize("column", ["amount", "credit_total", "debit_total", "at_us", "credit_count"])
def test_nothing_is_decided_on_a_row_that_was_changed(life: Life, tmp_path: Path, column: str) -> None:
    path = tmp_path / "changed.db"
    path.write_bytes(life.now)
    with closing(apsw.Connection(str(path))) as connection:
        wallet, seq = connection.execute(
            "SELECT x.wallet_id, x.seq FROM witnesses x WHERE x.seq > 3 AND x.status = 'active'"
        ).fetchone()
        connection.execute(
            f"UPDATE transactions SET {column} = {column} - 1 WHERE wallet_id = ? AND seq = ?", (wallet, seq)
        )
    error = refused(path, Post(wallet, True, 5))
    assert error.message.endswith(f"ends with transaction {seq}, whose hash is wrong")


def test_a_last_hash_that_is_not_checked_is_missed(life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in(
        monkeypatch, Fault(prefetch, "Loader._add_accounts", "not hash_chain.is_whole(wallet, before, last)", "False")
    )
    with pytest.raises(pytest.fail.Exception):
        test_nothing_is_decided_on_a_row_that_was_changed(life, tmp_path, "amount")


def revived(db: Path) -> tuple[int, int]:
    """How many pages one can put back after a key was revoked, and how many of them give it its rights again."""
    engines.tell(db, ["register 9886977544", "create 1", "key create till", "key create other"])
    with opened(db) as ledger:
        (key_hash,) = (each.key_hash for each in ledger.store.operators() if each.name == "till")
    before = db.read_bytes()
    engines.tell(db, ["key revoke till"])
    after = db.read_bytes()
    places = [at for at in range(0, len(before), PAGE) if before[at:][:PAGE] != after[at:][:PAGE]]
    valid = 0
    for at in places:
        db.write_bytes(after[:at] + before[at : at + PAGE] + after[at + PAGE :])
        try:
            with opened(db) as ledger:
                found = ledger.store.operator_by_hash(key_hash)
                valid += found is not None and found.revoked_at_us is None
        except WalletError:
            continue
    return len(places), valid


def test_no_page_that_was_lost_gives_a_revoked_key_its_rights_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages, valid = revived(tmp_path / "wallet.db")
    assert pages > 1
    assert valid == 0
    monkeypatch.setattr(SqliteStore, "operator_by_hash", Queries.operator_by_hash)  # one place is asked
    assert revived(tmp_path / "faulty.db")[1] > 0


def test_what_an_index_did_not_find_is_told_as_damage(life: Life, tmp_path: Path) -> None:
    """And not with the words of a constraint alone."""
    path = tmp_path / "unfound.db"
    path.write_bytes(life.now)
    with opened(path) as ledger:
        user = ledger.store.user_by_id(1)
        assert user is not None
        ledger.store.begin()
        with pytest.raises(WalletError) as caught:
            ledger.store.write([user])
        ledger.store.rollback()
    assert caught.value.code == "storage_error"
    assert caught.value.message.startswith("this ledger is damaged: a row exists that its index did not find")


def test_verify_stops_writers_of_a_damaged_ledger_until_mended(life: Life, tmp_path: Path) -> None:
    path, _, _ = lost(life, tmp_path)
    assert verdict(path) is not None
    assert refused(path, Post(1, True, 5)).message.startswith("this ledger is damaged: it takes no writes, because ")
    path.write_bytes(life.now)
    beside(path, ".lock").unlink()
    with opened(path) as ledger:
        ledger.store.note_damage("somebody saw something")
        with pytest.raises(StorageError, match="because somebody saw something"):
            ledger.executor.run([Post(3, True, 5)], "too early")
        verification.verify(ledger)
        assert ledger.store.itself().damaged is None
        ledger.executor.run([Post(3, True, 5)], "again")
