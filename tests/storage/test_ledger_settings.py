"""What a ledger says of itself: made with it, kept, moved and restored; and its days are the same for all who ask."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support import cli, engines, processes
from support.engines import Address, Engine
from support.server import Server
from support.terminal import shown

from wallet_cli import settings
from wallet_cli.domain import period
from wallet_cli.domain.commands import OpenWallet, Post, SetLimits
from wallet_cli.domain.ids import parse_wallet
from wallet_cli.errors import InsufficientFunds, LedgerMoved, LimitExceeded, StorageError
from wallet_cli.import_export import exports, imports
from wallet_cli.operations import ledgers, move, transactions, users, wallets
from wallet_cli.operations.context import Ledger
from wallet_cli.storage.ledger_file import facts_in

Run = Callable[[str | list[str]], cli.Outcome]
KEPT = ("currency", "phone_region", "minimum_balance", "timezone")


def kept(db: Address) -> dict[str, str | None]:
    with engines.opened(db) as ledger:
        answer = ledgers.show(ledger)
    return {name: answer[name] for name in KEPT}


# When it is made


def test_init_takes_no_ledger_that_was_made_while_it_asked(tmp_path: Path, engine: Engine) -> None:
    """What was answered is of a new one: nothing of it is put into another."""
    db = str(engine.nothing(tmp_path))
    others = ["--db", db, "register", "9886977545", "--name", "Ravi"]
    asked, code = shown(
        ["--db", db, "init", "--currency", "EUR"],
        "\n\n9886977544 Asha\n",
        meanwhile=("First user", lambda: cli.run(others)),
    )
    assert (code, "there is a ledger already" in asked) == (2, True), asked
    assert kept(db)["currency"] == "INR"
    assert [each["name"] for each in cli.run(["--db", db, "users", "--json"]).json["users"]] == ["Ravi"]


def test_of_many_inits_at_once_one_makes_the_ledger(tmp_path: Path, engine: Engine) -> None:
    db = str(engine.nothing(tmp_path))
    with Path(os.devnull).open("r+b") as nothing:
        streams = [nothing.fileno()] * 3
        makers = {
            currency: processes.nursery().fork(
                ["--db", db, "init", "--currency", currency, "--phone", "9886977544"], streams, tmp_path, os.environ
            )
            for currency in ("EUR", "USD", "JPY", "GBP")
        }
    codes = {currency: maker.wait(60) for currency, maker in makers.items()}
    made = [currency for currency, code in codes.items() if not code]
    assert sorted(codes.values()) == [0, 2, 2, 2]
    assert made == [kept(db)["currency"]]
    assert len(cli.run(["--db", db, "users", "--json"]).json["users"]) == 1


def test_a_new_ledger_keeps_what_the_settings_were(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = engine.nothing(tmp_path)
    for name, value in {
        "WALLET_CURRENCY": "EUR",
        "WALLET_PHONE_REGION": "DE",
        "MINIMUM_BALANCE": "-5",
        "WALLET_TIMEZONE": "Europe/Berlin",
    }.items():
        monkeypatch.setenv(name, value)
    assert cli.run(["--db", str(db), "register", "030 23125000"]).code == 0
    for name in ("WALLET_CURRENCY", "WALLET_PHONE_REGION", "MINIMUM_BALANCE", "WALLET_TIMEZONE"):
        monkeypatch.delenv(name)
    assert kept(db) == {
        "currency": "EUR",
        "phone_region": "DE",
        "minimum_balance": "-5",
        "timezone": "Europe/Berlin",
    }
    # Another terminal, with none of them, agrees; with others, it has its own, but for the days.
    made = cli.run(["--db", str(db), "create", "03023125000", "--json"]).json
    assert (made["currency"], made["available"]) == ("EUR", "5.00")
    monkeypatch.setenv("WALLET_CURRENCY", "USD")
    monkeypatch.setenv("MINIMUM_BALANCE", "-7")
    monkeypatch.setenv("WALLET_TIMEZONE", "UTC")
    made = cli.run(["--db", str(db), "create", "1/other", "--json"]).json
    assert (made["currency"], made["available"]) == ("USD", "7.00")
    told = cli.run(["--db", str(db), "tx", "total", "1", "--from", "2024-04", "--json"]).json
    assert told["from"] == "2024-03-31T22:00:00.000000Z"
    engine.forget(tmp_path)


@pytest.mark.parametrize(
    ("tz", "zone"),
    [
        ("Asia/Kolkata", "Asia/Kolkata"),
        (":Europe/Berlin", "Europe/Berlin"),
        ("EST5EDT", "EST5EDT"),
        ("/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("UTC", "UTC"),
        ("Etc/UTC", "UTC"),
        # No IANA name: it is said which zone is taken then.
        ("IST-5:30", None),
        ("EST5EDT4,M3.2.0,M11.1.0", None),
        ("Mars/Base", None),
        ("/etc/passwd", None),
    ],
)
def test_the_system_zone_by_every_form_of_tz(
    tmp_path: Path, tz: str, zone: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tz.startswith("/usr") and not Path(tz).exists():
        pytest.skip("no zones of the system")
    monkeypatch.setenv("TZ", tz)
    done = cli.run(["--db", str(tmp_path / "w.db"), "register", "9886977544"])
    assert done.code == 0
    assert ("has no IANA name, so the ledger uses UTC" in done.err) == (zone is None)
    assert kept(tmp_path / "w.db")["timezone"] == (zone or "UTC")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WALLET_CURRENCY", "XX"),
        ("WALLET_PHONE_REGION", "india"),
        ("MINIMUM_BALANCE", "much"),
        ("MINIMUM_BALANCE", "0.001"),
        ("WALLET_TIMEZONE", "Mars/Base"),
    ],
)
def test_no_ledger_is_made_of_wrong_settings(
    tmp_path: Path, engine: Engine, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = engine.nothing(tmp_path)
    monkeypatch.setenv(name, value)
    done = cli.run(["--db", str(db), "register", "9886977544"])
    assert (done.code, done.out) == (2, "")
    assert f"(from {name})" in done.err
    monkeypatch.delenv(name)
    assert "created a new ledger" in cli.run(["--db", str(db), "register", "9886977544"]).err
    engine.forget(tmp_path)


def test_an_older_ledger_is_given_a_time_zone_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its days would be others for each who asks; what else it had, it had from the settings, and has still."""
    path = tmp_path / "old.db"
    shutil.copyfile(engines.empty_file(), path)
    _back_to_schema_4(path)
    monkeypatch.setenv("WALLET_TIMEZONE", "Asia/Kolkata")
    monkeypatch.setenv("WALLET_CURRENCY", "USD")
    done = cli.run(["--db", str(path), "register", "9886977544"])
    assert f"its time zone is Asia/Kolkata; to change it: wallet --db {path} ledger set timezone ZONE" in done.err
    assert kept(path) == {
        "currency": None,
        "phone_region": None,
        "minimum_balance": None,
        "timezone": "Asia/Kolkata",
    }
    monkeypatch.setenv("WALLET_TIMEZONE", "Europe/Berlin")
    assert kept(path)["timezone"] == "Asia/Kolkata"


def _back_to_schema_4(path: Path) -> None:
    with sqlite3.connect(path) as file:
        for name in ("ix_transactions_at_us", "ix_ledger_again", "ix_operators_again"):
            file.execute(f"DROP INDEX {name}")
        file.execute("DROP TABLE events")
        file.execute("DROP TABLE witnesses")
        for table, columns in (
            ("users", "key"),
            ("wallets", "user_id_key"),
            ("transactions", "wallet_id_key_user_key"),
        ):
            file.execute(f"DROP INDEX uq_{table}_{columns}")
        file.execute(
            "CREATE UNIQUE INDEX uq_transactions_wallet_id_key ON transactions (wallet_id, key) WHERE key IS NOT NULL"
        )
        for table, columns in (
            ("ledger", "uuid currency phone_region minimum_balance timezone restoring damaged changes"),
            ("users", "key"),
            ("wallets", "key"),
            ("wallets", "opening_minimum"),
            ("transactions", "user_key actor"),
        ):
            for column in columns.split():
                file.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        file.execute("UPDATE alembic_version SET version_num = '0004'")
        file.execute("PRAGMA user_version = 4")
    file.close()


# Who sees it


def test_looking_at_the_settings_makes_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLET_DB", str(tmp_path / "none.db"))
    assert not any(line.endswith(",ledger") for line in cli.run("config show -o csv").out.splitlines())
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "none.db").write_text("not a ledger " * 100)
    assert "currency,INR,default" in cli.run("config show -o csv").out

    assert facts_in(tmp_path / "nowhere.db", 0.0) == facts_in(tmp_path, 0.0)


def test_config_shows_what_rules_and_why(wallet: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wallet("ledger set currency EUR").code == 0
    assert wallet("ledger set timezone Asia/Tokyo").code == 0
    monkeypatch.setenv("WALLET_PHONE_REGION", "US")
    monkeypatch.setenv("WALLET_TIMEZONE", "Europe/Berlin")
    rows = {row["name"]: (row["value"], row["source"]) for row in wallet("config show --json").json}
    assert rows["currency"] == ("EUR", "ledger")
    assert rows["phone_region"] == ("US", "WALLET_PHONE_REGION")
    assert rows["minimum_balance"] == ("0", "ledger")
    assert rows["timezone"] == ("Asia/Tokyo", "ledger")


def test_whoever_has_the_ledger_open_sees_a_change_at_the_next_turn(db: Address, wallet: Run) -> None:
    with engines.opened(db) as ledger:
        ledger.store.facts_last_s = 0.0  # a server would go by what it read within the last second, but for its turns
        ledger.run(users.register(ledger, "9886977544"), "register")
        ledger.run(wallets.create(ledger, parse_wallet("1")), "create")
        ledger.run(transactions.add(ledger, parse_wallet("1"), "100", is_credit=True), "tx add")
        assert wallet("ledger set minimum_balance 90").code == 0
        with pytest.raises(InsufficientFunds, match="available above its minimum of 90"):
            ledger.run(transactions.add(ledger, parse_wallet("1"), "20", is_credit=False), "tx add")
        assert wallets.balance(ledger, parse_wallet("1"))["available"] == "10.00"
        assert wallet("ledger set minimum_balance none").code == 0
        assert (
            ledger.run(transactions.add(ledger, parse_wallet("1"), "20", is_credit=False), "tx add")["balance"]
            == "80.00"
        )
        assert wallet("ledger set currency JPY").code == 0
        assert ledger.run(wallets.create(ledger, parse_wallet("1/yen")), "create")["currency"] == "JPY"


def test_what_two_set_at_once_is_both_kept(db: Address) -> None:
    with engines.opened(db) as one, engines.opened(db) as other:
        first = ledgers.changes(one, {"currency": "EUR"})
        second = ledgers.changes(other, {"phone_region": "DE"})
        one.executor.run(first, "one")
        other.executor.run(second, "other")
    assert kept(db) == {"currency": "EUR", "phone_region": "DE", "minimum_balance": "0", "timezone": "UTC"}


def test_a_change_is_a_write_like_any_other(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    shutil.copyfile(engines.empty_file(), old)
    assert cli.run(["--db", str(old), "ledger", "set", "timezone", "Asia/Kolkata"]).code == 0
    assert cli.run(["--db", str(old), "ledger", "set", "minimum_balance", "-3"]).code == 0
    id_ = cli.run(["--db", str(old), "ledger", "show", "-q"]).out
    assert cli.run(["--db", str(old), "move", "--to", str(tmp_path / "new.db")]).code == 0
    done = cli.run(["--db", str(old), "ledger", "set", "timezone", "UTC", "--json"])
    assert (done.code, done.error["code"]) == (LedgerMoved.exit_code, "ledger_moved")
    # What moved is the ledger itself: its id and its settings with it.
    assert kept(tmp_path / "new.db")["timezone"] == "Asia/Kolkata"
    assert kept(tmp_path / "new.db")["minimum_balance"] == "-3"
    assert cli.run(["--db", str(tmp_path / "new.db"), "ledger", "show", "-q"]).out == id_


def test_a_move_that_is_called_off_leaves_another_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ledgers never have one id: one that is on its way gets it when it takes writes."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    shutil.copyfile(engines.empty_file(), old)
    assert cli.run(["--db", str(old), "register", "9886977544"]).code == 0

    def fails(*_: object) -> None:
        raise StorageError("the proof cannot be had")

    with monkeypatch.context() as broken:
        broken.setattr(move, "_prove", fails)
        assert cli.run(["--db", str(old), "move", "--to", str(new)]).code == StorageError.exit_code
    assert facts_in(new, 0.0).uuid not in (None, facts_in(old, 0.0).uuid)
    assert cli.run(["--db", str(old), "move", "--cancel"]).code == 0
    assert facts_in(new, 0.0).uuid not in (None, facts_in(old, 0.0).uuid)


# Days


ZONES = ("UTC", "Asia/Kolkata", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe")


def a_ledger_with_moments(ledger: Ledger, zone: str) -> None:
    """Credits of different sizes around each midnight that is one somewhere, over the days when clocks change."""
    ledgers.change(ledger, "timezone", zone)
    ledger.run(users.register(ledger, "9886977544"), "register")
    id_ = OpenWallet(1, "main", settings.parse_currency("INR"), None)
    ledger.carry_out(id_, "create")
    number = 0
    commands = []
    for day in ("2011-12-29", "2024-03-09", "2024-03-31", "2024-04-06", "2024-04-30", "2024-10-05", "2024-11-02"):
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        for half_hours in range(96):
            number += 1
            at = start + timedelta(minutes=30 * half_hours, seconds=-1 if half_hours % 3 else 0)
            at_us = (at - period.EPOCH) // period.MICROSECOND
            commands.append(Post(1, number % 4 != 0, number, at_us=at_us))
    assert all(type(each).__name__ == "Applied" for each in ledger.executor.run(commands, "tell"))


DAYS = (
    *("2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01", "2024-03-09", "2024-03-10", "2024-03-11", "2024-03-31"),
    *("2024-04-01", "2024-04-06", "2024-04-07", "2024-04-30", "2024-05-01", "2024-10-05", "2024-10-06", "2024-11-03"),
)
MONTHS = ("2011-12", "2012-01", "2024-03", "2024-04", "2024-05", "2024-10", "2024-11")


@pytest.mark.skipif(shutil.which("hledger") is None, reason="hledger is not installed")
@pytest.mark.parametrize("zone", ZONES)
def test_hledger_and_the_totals_agree_on_every_day_and_month(ledger: Ledger, zone: str) -> None:
    a_ledger_with_moments(ledger, zone)
    changes = _hledger("".join(exports.export(ledger, "hledger")))
    for span in (*DAYS, *MONTHS):
        total = transactions.total(ledger, parse_wallet("1"), span, span)
        changed = sum((amount for day, amount in changes if day.startswith(span)), Decimal("0.00"))
        assert str(changed) == total["net"], (zone, span)


def _hledger(journal: str) -> list[tuple[str, Decimal]]:
    """On which day, by hledger, an account changed, and by what: each change alone."""
    with tempfile.NamedTemporaryFile("w", suffix=".journal", encoding="utf-8") as file:
        file.write(journal)
        file.flush()
        done = subprocess.run(
            ["hledger", "-f", file.name, "register", "wallets:1:main", "-O", "csv"],
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            check=True,
        )
    rows = csv.DictReader(io.StringIO(done.stdout))
    return [(row["date"], Decimal(row["amount"].removeprefix("INR").removesuffix("INR"))) for row in rows]


@pytest.mark.parametrize("zone", ZONES)
def test_beancount_finds_the_balance_that_each_day_began_with(ledger: Ledger, zone: str) -> None:
    from beancount import loader
    from beancount.core import data

    a_ledger_with_moments(ledger, zone)
    entries, errors, _ = loader.load_string("".join(exports.export(ledger, "beancount")))
    assert not errors
    asserted = [entry for entry in entries if isinstance(entry, data.Balance) and entry.account.endswith("W1")]
    assert len(asserted) >= 14
    for entry in asserted:
        before = (entry.date - timedelta(days=1)).isoformat()
        if (zone, before) != ("Pacific/Apia", "2011-12-30"):  # which was no day there
            assert wallets.balance(ledger, parse_wallet("1"), before)["balance"] == str(entry.amount.number)


@pytest.mark.parametrize(
    ("zone", "last_of_day", "first_of_next", "day"),
    [
        ("UTC", "2024-04-30T23:59:59.999999Z", "2024-05-01T00:00:00Z", "2024-04-30"),
        ("Asia/Kolkata", "2024-04-30T18:29:59.999999Z", "2024-04-30T18:30:00Z", "2024-04-30"),
        # 23 hours and 25 of them.
        ("America/New_York", "2024-03-11T03:59:59.999999Z", "2024-03-11T04:00:00Z", "2024-03-10"),
        ("America/New_York", "2024-11-04T04:59:59.999999Z", "2024-11-04T05:00:00Z", "2024-11-03"),
        ("Pacific/Apia", "2011-12-30T09:59:59.999999Z", "2011-12-30T10:00:00Z", "2011-12-29"),
        ("Australia/Lord_Howe", "2024-10-06T12:59:59.999999Z", "2024-10-06T13:00:00Z", "2024-10-06"),
    ],
)
def test_a_daily_limit_begins_anew_at_midnight_of_the_ledger(
    ledger: Ledger, zone: str, last_of_day: str, first_of_next: str, day: str
) -> None:
    name = parse_wallet("1")
    ledgers.change(ledger, "timezone", zone)
    ledger.run(users.register(ledger, "9886977544"), "register")
    ledger.run(wallets.create(ledger, name), "create")
    start_us = period.parse_time(day, ZoneInfo(zone)).start_us
    ledger.run(transactions.add(ledger, name, "500", is_credit=True, at=period.format_time(start_us - 1)), "tx add")
    ledger.run(transactions.add(ledger, name, "70", is_credit=False, at=period.format_time(start_us - 1)), "tx add")
    ledger.run(wallets.set_limits(ledger, name, daily_debit="100"), "limits")
    ledger.run(transactions.add(ledger, name, "60", is_credit=False, at=period.format_time(start_us)), "tx add")
    ledger.run(transactions.add(ledger, name, "40", is_credit=False, at=last_of_day), "tx add")
    with pytest.raises(LimitExceeded, match=f"0.00 left on {day} ") as refused:
        ledger.run(transactions.add(ledger, name, "0.01", is_credit=False, at=last_of_day), "tx add")
    assert refused.value.details["day"] == day
    assert (
        ledger.run(transactions.add(ledger, name, "100", is_credit=False, at=first_of_next), "tx add")["balance"]
        == "230.00"
    )
    # In one batch too, where nothing is read in between.
    results = ledger.executor.run(
        [SetLimits(1, daily_debit=20_000), *(Post(1, False, 5_000, at_us=_us(first_of_next)) for _ in range(3))], "many"
    )
    assert [type(each).__name__ for each in results] == ["Applied", "Applied", "Applied", "Refusal"]


def _us(text: str) -> int:
    return period.parse_start(text, UTC)


def test_a_changed_time_zone_rewrites_nothing(ledger: Ledger) -> None:
    a_ledger_with_moments(ledger, "UTC")
    before = "".join(exports.export(ledger, "csv"))
    ledgers.change(ledger, "timezone", "Asia/Kolkata")
    assert "".join(exports.export(ledger, "csv")) == before
    assert transactions.total(ledger, parse_wallet("1"), "2024-05-01")["from"] == "2024-04-30T18:30:00.000000Z"


def test_what_was_done_is_answered_again_where_the_zone_is_not_known(wallet: Run, ledger: Ledger) -> None:
    """A key is looked up before anything else: what a day is does not matter for it."""
    for line in ("register 9886977544", "create 1", "tx add 1 5 --credit", "limits 1 --daily-debit 3"):
        assert wallet(line).code == 0
    done = [wallet(f"tx add 1 1 --{way} --key {way} --json").json for way in ("credit", "debit")]
    with ledger.store.exclusively():
        ledger.store.set_facts(ledger.store.itself().facts._replace(timezone="Mars/Base"))
    again = [wallet(f"tx add 1 1 --{way} --key {way} --json").json for way in ("credit", "debit")]
    assert again == [each | {"replayed": True} for each in done]


def test_a_zone_that_this_machine_does_not_know_is_told(db: Address, wallet: Run, ledger: Ledger) -> None:
    with ledger.store.exclusively():
        ledger.store.set_facts(ledger.store.itself().facts._replace(timezone="Mars/Base"))
    assert wallet("register 9886977544").code == 0
    assert wallet("create 1").code == 0
    assert wallet("tx add 1 5 --credit").code == 0
    done = wallet("balance 1 --at 2024-04-30")
    assert (done.code, "time zone, Mars/Base" in done.err) == (7, True)
    assert "if there is no such zone: wallet ledger set timezone ZONE" in done.err
    assert wallet("balance 1 --at 2024-04-30T00:00Z").code == 0
    assert wallet("limits 1 --daily-debit 3").code == 0
    done = wallet("tx add 1 1 --debit --key b")
    assert (done.code, "time zone, Mars/Base" in done.err) == (7, True)
    assert wallet("ledger set timezone UTC").code == 0
    assert wallet("balance 1 --at 2024-04-30").code == 0


# Exports


def test_an_export_brings_the_settings_to_an_empty_ledger(tmp_path: Path, db: Address, engine: Engine) -> None:
    there = tmp_path / "there"
    there.mkdir()
    target = engine.new(there)
    with engines.opened(db) as source, engines.opened(target) as restored:
        for name, value in {"currency": "EUR", "phone_region": "DE", "timezone": "Asia/Kolkata"}.items():
            ledgers.change(source, name, value)
        ledgers.change(source, "minimum_balance", "none")
        source.run(users.register(source, "030 23125000"), "register")
        text = "".join(exports.export(source))
        with (tmp_path / "x.jsonl").open("w+b") as file:
            file.write(text.encode())
            file.seek(0)
            assert imports.run(restored, file)["refused"] == 0
        assert "".join(exports.export(restored)) == text
        # The id is not in it: what is restored elsewhere is another ledger.
        assert str(source.store.itself().facts.uuid) not in text
        # One that has something in it keeps its own.
        ledgers.change(restored, "timezone", "UTC")
        with (tmp_path / "x.jsonl").open("rb") as file:
            assert imports.run(restored, file)["refused"] == 0
        assert restored.store.itself().facts.timezone == "UTC"
    engine.forget(there)


@pytest.mark.parametrize(
    ("fields", "refused"),
    [("", 0), (',"timezone":"Mars/Base"', 1), (',"timezone":5', 1), (',"currency":"XX"', 1), (',"currency":"HRK"', 0)],
)
def test_settings_of_an_export_are_checked(ledger: Ledger, tmp_path: Path, fields: str, refused: int) -> None:
    before = ledger.store.itself().facts
    with (tmp_path / "x.jsonl").open("w+b") as file:
        file.write(f'{{"record":"ledger","version":1{fields}}}\n{{"record":"end","records":1}}\n'.encode())
        file.seek(0)
        assert imports.run(ledger, file)["refused"] == refused
    if not fields or refused:
        assert ledger.store.itself().facts == before


# Over HTTP


def test_a_server_tells_the_settings_and_lets_operators_change_them(
    tmp_path: Path, db: Address, wallet: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wallet("register 9886977544").code == 0
    assert wallet("create 1").code == 0
    with Server(tmp_path) as server:
        operator, reader = server.api(server.key("till")), server.api(server.key("eyes", "--read-only"))
        user = server.api(server.wallet("token 1 -q").out.strip())
        for client in (operator, reader, user):
            answer = client.get("/ledger")
            assert answer.status_code == 200
            assert {name: answer.json()["data"][name] for name in KEPT} == kept(db)
        for client in (reader, user):
            assert client.post("/ledger", json={"timezone": "Asia/Kolkata"}).status_code == 403
        for wrong in ({}, {"timezone": "Mars/Base"}, {"colour": "red"}, {"timezone": None, "currency": "XX"}):
            assert operator.post("/ledger", json=wrong).status_code == 400
        answer = operator.post("/ledger", json={"timezone": "Asia/Kolkata", "minimum_balance": -20})
        assert answer.status_code == 200
        assert answer.json()["data"]["timezone"] == "Asia/Kolkata"
        assert (
            operator.post(
                "/transactions/create", json={"user_id": 1, "wallet_id": 1, "amount": 15, "is_credit": False}
            ).status_code
            == 201
        )
        # What another process sets, its next turn goes by.
        assert wallet("ledger set minimum_balance 0").code == 0
        refused = operator.post(
            "/transactions/create", json={"user_id": 1, "wallet_id": 1, "amount": 1, "is_credit": False}
        )
        assert (refused.status_code, refused.json()["code"]) == (409, "insufficient_funds")
        # A time with no offset is UTC over HTTP, and the ledger's on the command line, from here and from elsewhere.
        total = operator.post(
            "/transactions/get/total_in_period", json={"user_id": 1, "wallet_id": 1, "start_date": "2024-04"}
        )
        assert total.json()["data"]["from"] == "2024-04-01T00:00:00.000000Z"
        key = server.key("elsewhere")
        host, port = server.address
        remote = ["--db", f"http://{host}:{port}", "tx", "total", "1", "--from", "2024-04", "--json"]
        monkeypatch.setenv("WALLET_TOKEN", key)
        assert cli.run(remote).json["from"] == "2024-03-31T18:30:00.000000Z"
