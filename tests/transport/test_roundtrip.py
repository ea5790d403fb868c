"""An export, imported into an empty ledger and exported again, is the same bytes; and again, and nothing is applied."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections import Counter

import pytest
from hypothesis import example, given, settings
from support.engines import Address, Engine
from support.sizes import size
from transport.ledgers import BOUNDED, EVERYTHING, HUNT, START_US, Step, exported, imported, opened, step, stories, tell

from wallet_cli import settings as wallet_settings
from wallet_cli.domain.commands import Post
from wallet_cli.domain.ids import parse_wallet
from wallet_cli.domain.model import Wallet
from wallet_cli.domain.remarks import Remarks
from wallet_cli.errors import RestoreConflict
from wallet_cli.import_export import exports, imports, rows
from wallet_cli.operations import ledgers, transactions, users, verification, wallets
from wallet_cli.operations.context import Ledger, open_ledger
from wallet_cli.storage.tables import SQLModel

seen: Counter[str] = Counter()
"""Which things the random ledgers had, so that what is promised of them is promised of something."""


def note_what_is_there(text: str) -> None:
    for word in (
        '"status":"open"', '"status":"captured"', '"status":"voided"', '"status":"expired"', '"transfer"', '"reverses"',
        '"hold"', '"forced"', '"meta"', '"key"', '"status":"frozen"', '"status":"closed"', '"currency":"PTS/8"',
        '"currency":"JPY"', '"minimum_balance":"-', '"daily_debit":"',
    ):  # fmt: skip
        seen[word] += word in text


def check_round_trip(story: list[Step]) -> None:
    with opened() as first, opened(START_US * 2) as second:
        tell(first, story)
        text = exported(first)
        note_what_is_there(text)
        transactions_and_holds = len(list(first.store.exported(1, 99))) + len(list(first.store.holds_in_order()))

        assert imported(second, text).counts == (transactions_and_holds, 0, 0)
        assert exported(second) == text
        for form in ("csv", "hledger", "beancount"):
            assert exported(second, form) == exported(first, form)
        assert verification.verify(first) == verification.verify(second)

        for ledger in (first, second):
            ledger.executor.clock = lambda: START_US * 2
            again = imported(ledger, text)
            assert again.counts == (0, transactions_and_holds, 0)
            assert (again.summary["users_created"], again.summary["wallets_created"]) == (0, 0)
            assert exported(ledger) == text


def test_any_ledger_comes_back_as_the_same_bytes(engine: Engine) -> None:
    @settings(BOUNDED, max_examples=engine.fewer(size(30, 60)))
    @given(stories)
    def check(story: list[Step]) -> None:
        check_round_trip(story)

    seen.clear()
    check()
    check_round_trip([*EVERYTHING])
    assert [word for word, times in seen.items() if times == 0] == []


OF_ONE_LEDGER = {
    "ledger": {"id", "uuid", "state", "other", "move", "since_us", "origin", "restoring", "changes", "damaged"},
    "operators": {"name", "key_hash", "read_only", "created_at_us", "revoked_at_us", "last_used_at_us"},
}
"""By table: columns that an export leaves out, as they are about this ledger and not about what it keeps."""

MORE = (
    Step("credit", 0, 0, 3, "a note", "a key", {"a": 1}, False),
    Step("hold", 0, 0, 1, "a note", "another key", None, False),
    Step("limits", 1, 0, 400, None, None, None, False),
    Step("wait", 1, 1, 1, None, None, None, False),
    Step("register", 2, 0, 1, "a name", None, None, False),
)


def columns_of(ledger: Ledger) -> dict[str, list[object]]:
    """What is in each column that an export has to have, row by row."""
    found = {}
    for table in SQLModel.metadata.sorted_tables:
        names = [column.name for column in table.columns if column.name not in OF_ONE_LEDGER.get(table.name, ())]
        if names:
            which = " WHERE kind > 0" if table.name == "events" else ""  # the others are of one ledger
            read = ledger.store.connection.execute(f"SELECT {', '.join(names)} FROM {table.name}{which}").fetchall()
            in_order = sorted(map(tuple, read), key=repr)
            found |= {f"{table.name}.{name}": [row[at] for row in in_order] for at, name in enumerate(names)}
    return found


def test_every_column_comes_back(engine: Engine) -> None:
    """Whoever adds a column exports it, or says that it is of one ledger; and lets the story have values in it."""
    with opened() as first, opened(START_US * 2) as second, opened() as empty:
        for setting, value in CHANGED.items():
            ledgers.change(first, setting, value)
        tell(first, [*EVERYTHING, *MORE])
        first.executor.actor = "key till-1"
        first.run(users.register(first, "+49 30 901820", key="of a user"), "register")
        first.run(wallets.create(first, parse_wallet("id:1/jar"), "INR", "-4", key="of a wallet"), "create")
        first.run(wallets.set_limits(first, parse_wallet("id:1/jar"), "-3"), "limits")
        first.carry_out(Post(1, True, 100, key="of a user", user_key=True), "writing")
        imported(second, exported(first))
        came, left = columns_of(second), columns_of(first)
        for name, values in left.items():
            assert came[name] == values, name
        made = columns_of(empty)
        same = {name for name, values in left.items() if len(set(values)) == 1 and values[:1] != made.get(name)}
        assert same == {"ledger." + name for name in CHANGED}, "a column without a second value: whether it comes back?"


CHANGED = {"currency": "USD", "phone_region": "GB", "minimum_balance": "5", "timezone": "Asia/Kolkata"}


def test_a_csv_export_is_replayed_line_by_line(engine: Engine) -> None:
    """Imported where it came from: every line is known, though CSV has no empty note, only none."""

    @settings(BOUNDED, max_examples=20)
    @example([step("transfer", 0, 1, 50)._replace(note="")])
    @given(stories)
    def check(story: list[Step]) -> None:
        with opened() as ledger:
            tell(ledger, story)
            ledger.executor.clock = lambda: START_US * 2
            before = exported(ledger)
            count = len(list(ledger.store.exported(1, 99)))
            assert imported(ledger, exported(ledger, "csv")).counts == (0, count, 0)
            assert exported(ledger) == before

    check()


@pytest.mark.on_file("the faults are in what is written and read, and the check is the same")
@pytest.mark.parametrize(
    "fault",
    ["forgets_notes_that_are_empty", "forgets_lapsed_holds", "forgets_what_is_forced"],
)
def test_a_deliberate_fault_is_found(fault: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    globals()[fault](monkeypatch)

    @settings(HUNT)
    @example([*EVERYTHING])
    @given(stories)
    def check(story: list[Step]) -> None:
        check_round_trip(story)

    with pytest.raises(AssertionError):
        check()


def forgets_notes_that_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    restored = imports.records.restored_transaction

    def faulty(*arguments: object) -> object:
        command = restored(*arguments)  # type: ignore[arg-type]
        return command._replace(remarks=command.remarks._replace(note=command.remarks.note or None))

    monkeypatch.setattr(imports.records, "restored_transaction", faulty)


def forgets_lapsed_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    restored = imports.records.restored_hold

    def faulty(*arguments: object) -> object:
        hold = restored(*arguments).hold  # type: ignore[arg-type]
        if hold.status == "open":
            hold = hold._replace(status="expired", ended_at_us=hold.expires_at_us)
        return imports.RestoreHold(hold)

    monkeypatch.setattr(imports.records, "restored_hold", faulty)


def forgets_what_is_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    restored = imports.records.restored_transaction
    monkeypatch.setattr(imports.records, "restored_transaction", lambda *a: restored(*a)._replace(forced=False))


# One wallet alone


def is_event_of(line: str, wallet: Wallet) -> bool:
    """Whether a line of an export is an event of a wallet or of its owner."""
    record = json.loads(line)
    return (record.get("of"), record.get("id")) in (("user", wallet.user_id), ("wallet", wallet.id))


def test_one_wallet_alone(engine: Engine) -> None:
    """Its owner, itself, and its own transactions and holds, in the same lines as in the whole export."""

    @settings(BOUNDED, max_examples=15)
    @given(stories)
    def check(story: list[Step]) -> None:
        with opened() as ledger:
            tell(ledger, story)
            whole = exported(ledger).splitlines()
            header_row, *csv_rows = read_csv(exported(ledger, "csv"))
            for named in list(rows.named_wallets(ledger, rows.Scope(1, 99, True))):
                lines = exported(ledger, wallet=named.name).splitlines()
                about = [line for line in whole if f'"wallet":"{named.name}"' in line]
                header, user, *own, end = lines
                about += [line for line in whole if is_event_of(line, named.wallet)]
                assert own == about
                assert header == whole[0]
                assert user in whole
                assert end == f'{{"record":"end","records":{len(lines) - 1}}}'
                own_rows = [row for row in csv_rows if row[0] == named.name]
                assert read_csv(exported(ledger, "csv", named.name)) == [header_row, *own_rows]

    check()


def read_csv(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_a_wallet_alone_is_read_back_where_it_was_the_first(engine: Engine) -> None:
    with opened() as first, opened() as second:
        tell(first, [])
        text = exported(first, wallet="id:1")
        assert imported(second, text).counts == (1, 0, 0)
        assert exported(second) == text


def test_a_leg_of_a_transfer_is_not_read_back_without_the_other(engine: Engine) -> None:
    with opened() as first, opened() as second:
        tell(first, [])
        first.run(transactions.transfer(first, parse_wallet("id:1"), parse_wallet("id:1/a.b"), "5"), "transfer")
        outcome = imported(second, exported(first, wallet="id:1"))
        assert outcome.refusals == [(5, "restore_conflict"), (6, "restore_conflict")]
        with pytest.raises(RestoreConflict, match="incomplete"):
            verification.verify(second)


# While others write


@pytest.mark.parametrize("form", exports.FORMATS)
def test_an_export_is_of_one_moment_while_others_write(form: str, db: Address, engine: Engine) -> None:
    """What is written between its first line and its last is not in it."""
    with open_ledger(wallet_settings.load({"db": str(db)}), lambda _: None) as ledger:
        tell(ledger, [])
        for _ in range(400):
            ledger.carry_out(Post(1, True, 100, Remarks("x" * 100), None), "writing")
        before = exported(ledger, form)
        parts = exports.export(ledger, form)
        first = next(parts)
        written = threading.Thread(target=write_more, args=(db,))
        written.start()
        written.join(60)
        assert first + "".join(parts) == before
        assert exported(ledger, form) != before


def write_more(db: Address) -> None:
    with open_ledger(wallet_settings.load({"db": str(db)}), lambda _: None) as ledger:
        clock_us = START_US * 2
        ledger.executor.clock = lambda: clock_us
        for number in range(20):
            ledger.carry_out(Post(number % 4 + 1, True, 1), "writing")
        ledger.run(transactions.transfer(ledger, parse_wallet("id:1"), parse_wallet("id:1/a.b"), "5"), "transfer")


def test_an_empty_ledger_is_a_header_and_an_end(ledger: Ledger) -> None:
    own = '"currency":"INR","phone_region":"IN","minimum_balance":"0","timezone":"UTC"'
    assert exported(ledger) == f'{{"record":"ledger","version":2,{own}}}\n{{"record":"end","records":1}}\n'
    assert exported(ledger, "csv").count("\n") == 1
    assert imported(ledger, exported(ledger)).counts == (0, 0, 0)
