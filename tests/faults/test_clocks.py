"""Clocks that are wrong: back, forward, apart, at a leap second, in 2038, 2262 and 9999; and the way out of one.

Each case runs one command in a process whose clock libfaketime sets. It is refused, and then nothing has changed; or it
is done, and then nothing is frozen: a debit at the right clock has the right time, within a daily limit of its day.
"""

from __future__ import annotations

import io
import os
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import cli, engines
from support.cli import Outcome
from support.engines import Address, Engine
from support.figures import figure
from support.server import Server
from support.server import process as run
from support.sizes import size

from wallet_cli.domain.commands import (
    SAME,
    AddApiKey,
    Applied,
    Command,
    NoteUse,
    PlaceHold,
    Post,
    Refusal,
    Reverse,
    RevokeApiKey,
    SetLimits,
    SetStatus,
)
from wallet_cli.domain.ids import parse_hold_id, parse_new_wallet, parse_wallet
from wallet_cli.domain.period import DAY_US, format_time, parse_time
from wallet_cli.domain.rules.clocks import REST_US
from wallet_cli.engine import executor
from wallet_cli.errors import StorageError
from wallet_cli.import_export import exports, imports
from wallet_cli.operations import holds, statements, transactions, verification, wallets
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.flows import Flows
from wallet_cli.storage.in_place import beside

LIBRARY = next(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"), None) if Path("/usr/lib").is_dir() else None
needs_faketime = pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed: Debian package faketime")

AHEAD = ("@2028-06-01 00:00:00", "@2038-01-19 03:14:06", "@2100-01-01 00:00:00", "@2261-12-31 00:00:00")
BEYOND = ("@2262-06-01 00:00:00", "@9999-12-31 00:00:00")
BEFORE = ("@1960-01-01 00:00:00", "@1970-01-01 00:00:00", "@2016-12-31 23:59:59", "-3d", "-700d")
APART = ("+90s", "-90s", "+20h", "-20h")
CLOCKS = AHEAD + BEYOND + BEFORE + APART
COMMANDS = (
    "tx add 1 1 --debit",
    "tx add 1 1 --credit --key again",
    "transfer 1 2 1",
    "hold add 1 1 --expires 1h",
    "hold capture 1-h1",
    "tx reverse 1-1 1",
    "register 9886977999",
    "create 1/other",
    "import late.csv",
)


def faked(clock: str) -> dict[str, str]:
    return {"LD_PRELOAD": str(LIBRARY), "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}


def us(text: str) -> int:
    return parse_time(text, lambda: pytest.fail("it has an offset")).start_us


NOW_US = us("2026-11-27T12:00:00Z")
FAR_US = us("2100-01-01T00:00:00Z")


@pytest.fixture
def story(engine: Engine, tmp_path: Path) -> Address:
    """Two wallets with money, one of them with a daily limit and a hold; not touched for an hour."""
    lines = ["register 9886977544", "create 1", "register 9886977555", "create 2", "limits 1 --daily-debit 50"]
    lines += ["tx add 1 100 --credit", "tx add 2 100 --credit", "hold add 1 5"]
    (tmp_path / "late.csv").write_text("wallet,amount,kind\n1,1,credit\n")
    return engine.copy("clocks", lines, tmp_path)


def what_is_wrong(
    folder: Path, address: Address, clock: str, command: str, environ: dict[str, str] | None = None
) -> str | None:
    """What is wrong after one command under a clock, if something is: the harness's judgement."""

    def here(line: str) -> Outcome:
        """Run a command at the right clock."""
        return cli.run(["--db", str(address), *line.split()])

    before = here("export").out
    done = run(folder, command, faked(clock) | (environ or {}))
    if done.code:
        # An import tells of each line that is refused, and ends with 4; where there is no such time, it does not begin.
        refused = (4, 7) if command.startswith("import") else (7,)
        if done.code not in refused or "clock says" not in done.err:
            return f"it ended with {done.code}: {done.err}"
        if here("export").out != before:
            return "it was refused, and changed something"
    elif clock in BEYOND or clock in AHEAD:
        return "it was done, under a clock that nobody can have meant"
    for wallet in ("1", "2"):
        paid = here(f"tx add {wallet} 1 --debit --json")
        if paid.code:
            return f"a debit at the right clock is refused: {paid.err}"
        behind_s = abs(us(paid.json["at"]) / 1e6 - time.time())
        if behind_s > 21 * 3600:
            return f"a debit at the right clock is recorded at {paid.json['at']}"
    verified = here("verify")
    return verified.err if verified.code else None


@needs_faketime
def test_no_clock_freezes_a_wallet(engine: Engine, story: Address, tmp_path: Path) -> None:
    count = size(4, 100)
    every = [(clock, command) for command in COMMANDS for clock in CLOCKS]
    chosen = random.Random(12).sample(every, count)
    for number, (clock, command) in enumerate(chosen):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(tmp_path / "late.csv", folder)
        wrong = what_is_wrong(folder, engine.copy("clocks", [], folder), clock, command)
        assert wrong is None, f"`wallet {command}` under {clock}: {wrong}"
        engine.forget(folder)
    figure("clocks", count, frozen=0, engine=engine.name)


@needs_faketime
def test_harness_sees_a_program_that_doubts_no_clock(engine: Engine, story: Address, tmp_path: Path) -> None:
    wrong = what_is_wrong(tmp_path, story, AHEAD[2], COMMANDS[0], {"WALLET_CLOCK_SKEW": "off"})
    assert wrong is not None


@needs_faketime
@pytest.mark.on_file("a first run of a database is the same")
@pytest.mark.parametrize("clock", [BEFORE[0], BEFORE[2], AHEAD[2], *BEYOND])
def test_first_run_under_a_clock_that_cannot_be_right(tmp_path: Path, engine: Engine, clock: str) -> None:
    ledger = engine.nothing(tmp_path)
    done = run(tmp_path, "register 9886977544", faked(clock))
    assert (done.code, "clock says" in done.err) == (7, True)
    assert not Path(ledger).exists()


@needs_faketime
@pytest.mark.on_file("a first run of a database is the same")
def test_first_run_in_2038(tmp_path: Path, engine: Engine) -> None:
    engine.nothing(tmp_path)
    assert run(tmp_path, "register 9886977544", faked(AHEAD[1])).code == 0


def at(ledger: Ledger, now_us: int, *, off: bool = False) -> Ledger:
    """The ledger, at another time, as the machine's clock says it; `off`: which nobody is to doubt."""
    executor.system_us = ledger.executor.clock = lambda: now_us
    ledger.executor.policy = ledger.executor.policy._replace(clock_skew_us=None if off else DAY_US)
    return ledger


def add(ledger: Ledger, amount: str, *, is_credit: bool = False, **more: object) -> dict[str, object]:
    return ledger.run(transactions.add(ledger, parse_wallet("1"), amount, is_credit=is_credit, **more), "tx add")  # type: ignore[arg-type]


@pytest.fixture
def begun(story: Address, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setattr(executor, "system_us", executor.system_us)  # put back at the end
    with engines.opened(story) as ledger:
        yield ledger


@pytest.mark.on_file("a server has a clock of its own to compare with")
@pytest.mark.parametrize("days", [30, 366, 399])
def test_ledger_that_rested_goes_on(begun: Ledger, story: Path, days: int) -> None:
    now_us = time.time_ns() // 1000 + days * DAY_US
    assert add(at(begun, now_us), "1")["at"] == format_time(now_us)


@pytest.mark.on_file("a server has a clock of its own to compare with")
def test_longer_rest_is_confirmed_once(begun: Ledger, story: Path) -> None:
    now_us = time.time_ns() // 1000 + REST_US + 2 * DAY_US
    os.utime(story)
    with pytest.raises(StorageError, match="last written at"):
        add(at(begun, now_us), "1")
    add(at(begun, now_us, off=True), "1")
    assert add(at(begun, now_us), "1")["at"] == format_time(now_us)


def use_key(ledger: Ledger) -> None:
    ledger.executor.run([NoteUse("till")], "serve")


def freeze(ledger: Ledger) -> None:
    ledger.executor.run([SetStatus(2, "frozen")], "freeze")


def limit(ledger: Ledger) -> None:
    ledger.executor.run([SetLimits(2, SAME, 10_000, SAME)], "limits")


def revoke(ledger: Ledger) -> None:
    ledger.executor.run([RevokeApiKey("till")], "key revoke")


def checkpoint(ledger: Ledger) -> None:
    ledger.store.connection.wal_checkpoint()  # type: ignore[union-attr]


@pytest.mark.on_file("a server has a clock of its own to compare with")
@pytest.mark.parametrize("write", [use_key, freeze, limit, revoke, checkpoint])
def test_what_else_writes_under_a_wrong_clock_makes_it_no_truer(
    begun: Ledger, story: Path, write: Callable[[Ledger], None]
) -> None:
    """The times of the files are then those of the wrong clock."""
    begun.executor.run([AddApiKey("till", bytes(32), read_only=False)], "key create")
    before = begun.store.last_commit()  # type: ignore[union-attr]
    far = at(begun, FAR_US)
    write(far)
    for path in (story, beside(story, "-wal")):
        os.utime(path, ns=(FAR_US * 1000, FAR_US * 1000))
    with pytest.raises(StorageError, match="last written at"):
        add(far, "1")
    (made,) = far.executor.run([AddApiKey("other", b"k" * 32, read_only=False)], "key create")
    assert isinstance(made, Refusal)
    assert "last written at" in made.error.message
    after = begun.store.last_commit()  # type: ignore[union-attr]
    assert before is not None
    assert after is not None
    assert after.at_us == before.at_us


@pytest.mark.on_file("a server has a clock of its own to compare with")
def test_nor_where_nothing_was_noted_before(story: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a ledger of an earlier version: its files tell when it was written, until this program writes to them."""
    with engines.opened(story) as ledger:
        ledger.executor.run([AddApiKey("till", bytes(32), read_only=False)], "key create")
    beside(story, ".lock").unlink(missing_ok=True)
    monkeypatch.setattr(executor, "system_us", executor.system_us)
    with engines.opened(story) as ledger:
        use_key(at(ledger, FAR_US))
    os.utime(story, ns=(FAR_US * 1000, FAR_US * 1000))
    with engines.opened(story) as ledger, pytest.raises(StorageError, match="last written at"):
        add(at(ledger, FAR_US), "1")


@pytest.mark.on_file("a server has a clock of its own to compare with")
def test_customer_who_comes_back_after_years(story: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wallet has rested, and the ledger has not: somebody wrote to it today, as the file says."""
    monkeypatch.setattr(executor, "system_us", executor.system_us)
    now_us = time.time_ns() // 1000 + 3000 * DAY_US
    os.utime(story, ns=(now_us * 1000, now_us * 1000))
    with engines.opened(story) as ledger:
        assert add(at(ledger, now_us), "1")["at"] == format_time(now_us)


def test_server_of_the_database_says_another_time(engine: Engine, begun: Ledger) -> None:
    if engine.name == "file":
        pytest.skip("it has no server")
    for days in (-2, 2):
        with pytest.raises(StorageError, match="the database server's"):
            add(at(begun, time.time_ns() // 1000 + days * DAY_US), "1")
    add(at(begun, time.time_ns() // 1000 + DAY_US // 2), "1")


def test_way_out_of_a_wallet_that_is_ahead(engine: Engine, begun: Ledger, tmp_path: Path) -> None:
    now_us = time.time_ns() // 1000
    at(begun, FAR_US, off=True).run(
        holds.add(at(begun, FAR_US, off=True), parse_wallet("1"), "5", expires="1h"), "hold add"
    )
    add(begun, "40")
    for refused in (
        lambda: add(at(begun, now_us), "1"),
        lambda: begun.run(transactions.transfer(begun, parse_wallet("2"), parse_wallet("1"), "1"), "transfer"),
        lambda: begun.run(holds.add(begun, parse_wallet("1"), "1"), "hold add"),
        lambda: begun.run(holds.capture(begun, parse_hold_id("1-h2")), "hold capture"),
    ):
        with pytest.raises(StorageError, match="2100-01-01") as told:
            refused()
        assert "--reset-time" in str(told.value.hint)
    reset = add(begun, "1", is_credit=True, reset_time=True)
    assert (reset["at"], reset["key"], reset["forced"]) == (format_time(now_us), "time-reset:1", True)

    # What was debited ahead counts on the day of the reset, and no longer.
    with pytest.raises(Exception, match="a day and has"):
        add(begun, "10")
    tomorrow_us = now_us + DAY_US - 1
    assert add(at(begun, tomorrow_us), "40")["at"] == format_time(tomorrow_us)
    # A hold of 2100 is captured and voided at the real time, and takes the wallet nowhere.
    captured = begun.run(holds.capture(begun, parse_hold_id("1-h2"), "2", keep=True), "hold capture")
    assert captured["at"] == format_time(tomorrow_us)
    begun.run(holds.void(begun, parse_hold_id("1-h2")), "hold void")
    # A time in the past is given again.
    at(begun, tomorrow_us + 3)
    assert add(begun, "1", is_credit=True, at=format_time(tomorrow_us + 1))["at"] == format_time(tomorrow_us + 1)
    with pytest.raises(Exception, match="not ahead"):
        add(begun, "1", is_credit=True, reset_time=True)
    assert verification.verify(begun)["ok"]

    total = transactions.total(begun, parse_wallet("1"), None, format_time(now_us - 1))
    assert (total["credit_total"], total["debit_total"]) == ("100.00", "0.00")
    total = transactions.total(begun, parse_wallet("1"), format_time(now_us), format_time(now_us))
    assert (total["credit_total"], total["debit_total"]) == ("1.00", "40.00")
    assert total["closing_balance"] == "61.00"

    # Programs that nobody here wrote find each balance as it is asserted, on the days that things count as of.
    for form in ("hledger", "beancount"):
        days = re.findall(
            r"^(\d{4}-\d\d-\d\d) \\*", "".join(exports.export(begun, form, parse_wallet("1"))), re.MULTILINE
        )
        assert days == sorted(days)
        assert days[-1] < "2100"

    text = "".join(exports.export(begun))
    other = tmp_path / "other"
    other.mkdir()
    with engines.opened(engine.new(other)) as copy:
        refused: list[str | None] = []

        def read_back() -> None:
            imports.run(copy, io.BytesIO(text.encode()), report=lambda _line, error, _text: refused.append(error.hint))

        # What was recorded ahead is not let in without a word; what is said is what helps, on the same ledger.
        at(copy, now_us + 2 * DAY_US)
        read_back()
        assert (
            "set this machine's clock; if it is right, import the same file again with WALLET_CLOCK_SKEW=off" in refused
        )
        refused.clear()
        at(copy, now_us + 2 * DAY_US, off=True)
        read_back()
        assert not refused
        assert "".join(exports.export(copy)) == text
        assert verification.verify(copy)["ok"]
    engine.forget(other)


@pytest.mark.parametrize("lines", [1, 600])
@pytest.mark.parametrize("first", ["before", "ahead"])
def test_a_chart_counts_what_was_recorded_ahead_as_of_the_reset(begun: Ledger, lines: int, first: str) -> None:
    now_us = time.time_ns() // 1000
    wallet_id, name = 1, parse_wallet("1")
    if first == "ahead":
        opened = begun.run(wallets.create(begun, parse_new_wallet("1/new")), "create")
        wallet_id, name = int(str(opened["id"])), parse_wallet("1/new")
    for number in range(lines):
        far = at(begun, FAR_US + number * 40 * DAY_US, off=True)
        far.executor.run([Post(wallet_id, True, 100)], "test")
    at(begun, now_us).executor.run([Post(wallet_id, True, 100, resets_time=True)], "test")
    today = format_time(now_us)[:10]
    at(begun, now_us + 1).executor.run([Post(wallet_id, False, 50)], "test")
    with statements.opened(begun, name, None, format_time(now_us + DAY_US)) as statement:
        flows = Flows(statement)
        curve = statement.survey(flows.add).curve
        (day,) = flows.by("day")
    last = wallets.find_account(begun, name).last
    assert (day.day, day.credit_total, day.closing) == (today, last.credit_total, last.balance)
    assert [point.at_us for point in curve] == sorted(point.at_us for point in curve)
    assert curve[-1].balance == last.balance
    assert curve[-1].at_us <= now_us + DAY_US
    assert len(curve) <= statements.MAX_CURVE_POINTS + 2
    assert max(point.balance for point in curve) == last.balance + 50


def test_what_has_expired_by_a_moment_is_not_held_then(begun: Ledger) -> None:
    now_us = time.time_ns() // 1000
    week_us = now_us + 7 * DAY_US
    for read_us, moment, held in (
        (now_us, "now", "5.00"),
        (now_us, format_time(week_us - DAY_US), "5.00"),
        (now_us, format_time(week_us), "0.00"),
        (now_us, "yesterday", "0.00"),
        (week_us, "now", "0.00"),
        (week_us, "today", "0.00"),
    ):
        told = wallets.balance(at(begun, read_us), parse_wallet("1"), moment)
        assert told["held"] == held, moment


@pytest.mark.parametrize("captured_ahead", [False, True])
def test_captures_are_answered_again_though_their_hold_was_placed_ahead(begun: Ledger, captured_ahead: bool) -> None:
    now_us = time.time_ns() // 1000
    ahead = at(begun, FAR_US, off=True)
    ahead.run(holds.add(ahead, parse_wallet("1"), "30", expires="1h"), "hold add")

    def capture(amount: str | None, key: str, *, keep: bool = False) -> dict[str, object]:
        return begun.run(holds.capture(begun, parse_hold_id("1-h2"), amount, keep=keep, key=key), "hold capture")

    if captured_ahead:
        first = capture("10", "k1", keep=True)
        at(begun, now_us)
        add(begun, "1", is_credit=True, reset_time=True)
    else:
        at(begun, now_us)
        first = capture("10", "k1", keep=True)
    second = capture("5", "k2", keep=True)
    at(begun, now_us + 1)
    third = capture(None, "k3")
    assert third["amount"] == "15.00"
    assert capture("10", "k1", keep=True) == first | {"replayed": True}
    assert capture("5", "k2", keep=True) == second | {"replayed": True}
    assert capture(None, "k3") == third | {"replayed": True}
    assert verification.verify(begun)["ok"]


@pytest.mark.parametrize("now_us", [us("1990-01-05T10:00:00Z"), us("2016-12-31T23:59:59Z")])
def test_a_clock_that_is_wrong_itself_resets_no_time(begun: Ledger, now_us: int) -> None:
    with pytest.raises(StorageError, match="clock says"):
        add(at(begun, now_us), "1", is_credit=True, reset_time=True)
    assert add(at(begun, now_us, off=True), "1", is_credit=True, reset_time=True)["at"] == format_time(now_us)


@pytest.mark.parametrize(
    "earlier",
    [
        Reverse(1, 1, amount=1, force=True, key="time-reset:1"),
        Post(1, True, 1, key="time-reset:1"),
        PlaceHold(1, 1, DAY_US, key="time-reset:1"),
    ],
)
def test_a_wallet_with_a_key_of_resets_can_be_reset(begun: Ledger, earlier: Command) -> None:
    """Such keys were taken from callers once."""
    now_us = time.time_ns() // 1000
    (done,) = at(begun, now_us).executor.run([earlier], "test")
    assert isinstance(done, Applied)
    for number in (2, 3):
        add(at(begun, FAR_US, off=True), "1", is_credit=True)
        now_us += 1
        reset = add(at(begun, now_us), "1", is_credit=True, reset_time=True)
        assert (reset["key"], reset["at"]) == (f"time-reset:{number}", format_time(now_us))
        last = wallets.find_account(begun, parse_wallet("1")).last.seq
        assert begun.store.last_seq_before(1, last, now_us + 1) == last
    assert verification.verify(begun)["ok"]


@pytest.mark.parametrize("seed", range(size(5, 50)))
def test_moments_are_found_however_often_time_was_reset(begun: Ledger, seed: int) -> None:
    chance = random.Random(seed)
    now_us, times = NOW_US, []
    account = wallets.find_account(begun, parse_wallet("2"))
    first = account.last.seq
    base_us = account.last.at_us
    for _ in range(chance.randint(5, 40)):
        last_us = times[-1] if times else base_us
        now_us = max(now_us, base_us) + chance.randint(0, 3)
        if last_us > now_us:
            at_us, resets = now_us, True
        else:
            at_us, resets = (now_us + chance.randint(1, 30) if chance.random() < 0.2 else now_us), False
        at(begun, at_us, off=True)
        begun.executor.run([Post(2, True, 1, resets_time=resets)], "test")
        times.append(at_us)
    last = first + len(times)
    for moment_us in {moment + near for moment in times for near in (-1, 0, 1) if moment + near > base_us}:
        # What was recorded ahead counts as of the earliest time that follows it.
        expected = first + sum(1 for i in range(len(times)) if min(times[i:]) < moment_us)
        assert begun.store.last_seq_before(2, last, moment_us) == expected
    assert verification.verify(begun)["ok"]


def test_users_and_http_cannot_reset_a_time(engine: Engine, story: Address, tmp_path: Path) -> None:
    with Server(tmp_path, "--no-auth") as server:
        body = {"user_id": 1, "wallet_id": 1, "amount": 1, "is_credit": True, "reset_time": True}
        assert server.api().post("/transactions/create", json=body).status_code == 400
        done = run(tmp_path, "tx add 1 1 --credit --reset-time", {"WALLET_DB": server.url})
        assert (done.code, "cannot be reset over HTTP" in done.err) == (2, True)


@needs_faketime
def test_server_lives_through_jumps(engine: Engine, story: Address, tmp_path: Path) -> None:
    clock = tmp_path / "clock"

    def jump(to: str) -> None:
        new = tmp_path / "clock.new"
        new.write_text(to + "\n")
        new.replace(clock)

    jump("+0")
    environ = faked("") | {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    del environ["FAKETIME"]
    key = run(tmp_path, "key create till -q").out.strip()
    with Server(tmp_path, environ=environ) as server:
        token = run(tmp_path, "token 1 -q").out.strip()
        operator, user = server.api(key), server.api(token)

        def write() -> tuple[int, str]:
            answer = operator.post(
                "/transactions/create", json={"user_id": 1, "wallet_id": 1, "amount": 1, "is_credit": True}
            )
            return answer.status_code, answer.text

        def read(who: object) -> int:
            return who.get("/wallet/get/1/main").status_code  # type: ignore[attr-defined, no-any-return]

        assert (write()[0], read(user)) == (201, 200)
        jump("+2h")
        assert (write()[0], read(user), read(operator)) == (201, 401, 200)  # its time is up by the wall's clock
        jump("-2h")
        assert (write()[0], read(operator)) == (201, 200)
        jump("+30000d")
        status, text = write()
        assert (status, "clock" in text, read(operator)) == (503, True, 200)
        jump("-3d")
        assert (write()[0], read(operator)) == (503, 200)
        jump("+0")
        assert (write()[0], read(operator)) == (201, 200)
    assert run(tmp_path, "verify").code == 0


@needs_faketime
@pytest.mark.on_file("it says the same of each")
@pytest.mark.parametrize("clock", BEYOND)
def test_reads_beyond_time_say_so(story: Address, tmp_path: Path, clock: str) -> None:
    done = run(tmp_path, "balance 1", faked(clock))
    assert (done.code, "a year after 2261" in done.err) == (7, True)
