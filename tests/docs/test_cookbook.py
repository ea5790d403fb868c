"""The scripts of docs/cookbook do what docs/cookbook.md says, on a real ledger."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import zoneinfo
from collections.abc import Callable
from pathlib import Path

import pytest
from support import cli
from support.engines import Address

pytestmark = pytest.mark.on_file("the scripts ask the command line, which the transcripts hold to both engines")

ROOT = Path(__file__).parents[2]
COOKBOOK = ROOT / "docs" / "cookbook"
PAGE = (ROOT / "docs" / "cookbook.md").read_text("utf-8")

Recipe = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the PATH with `wallet`, and whatever a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder / "wallet", f'exec "{sys.executable}" -m wallet_cli "$@"')
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def recipe(db: Address, programs: Path, tmp_path: Path) -> Recipe:
    """Runs a script of the cookbook: `recipe("retry.sh", "wallet", "users")`."""

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(COOKBOOK / name), *arguments],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def program(path: Path, *lines: str) -> None:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), "utf-8")
    path.chmod(0o755)


def given(*lines: str) -> None:
    for line in lines:
        assert cli.run(line).code == 0, line


ASHA_AND_RAVI = ("register 9886977544 --name Asha", "create 1", "register 9845012345 --name Ravi", "create 2")


def test_statements_are_of_the_wallets_that_had_a_transaction(recipe: Recipe, tmp_path: Path) -> None:
    given(*ASHA_AND_RAVI)
    given("tx add 1 500 --credit --at 2024-04-02T10:15:00Z", "tx add 2 5 --credit --at 2024-04-03T10:15:00Z")
    done = recipe("statements.sh", "made/of", "2024-04-02")
    assert (done.returncode, done.stdout, done.stderr) == (0, "made/of/1-main-2024-04-02.html\n", "")
    assert [each.name for each in (tmp_path / "made" / "of").iterdir()] == ["1-main-2024-04-02.html"]
    assert "500.00" in (tmp_path / done.stdout.strip()).read_text("utf-8")


def test_the_line_that_the_script_gives_is_for_the_day_before(programs: Path, db: Address, tmp_path: Path) -> None:
    noon = f"Etc/GMT{dt.datetime.now(dt.UTC).hour - 12:+d}"  # the day does not change during this test
    given(*ASHA_AND_RAVI, f"ledger set timezone {noon}", "credit 1 7", "tx add 2 5 --credit --at yesterday")
    (line,) = re.findall("such as: (.*)", (COOKBOOK / "statements.sh").read_text("utf-8"))
    done = subprocess.run(
        ["bash", "-c", f"bash {COOKBOOK}/{line}"],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    day = dt.datetime.now(zoneinfo.ZoneInfo(noon)).date() - dt.timedelta(days=1)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path}/statements/2-main-{day}.html\n"


def test_statements_fail_where_there_is_no_ledger(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLET_DB", "none.db")
    done = recipe("statements.sh", "made", "2024-04-02")
    assert (done.returncode, done.stdout) == (3, "")


def test_a_top_up_applies_each_payment_once(recipe: Recipe, tmp_path: Path) -> None:
    """The file is the one that the page shows. One that has grown applies what is new."""
    given(*ASHA_AND_RAVI)
    (shown,) = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "today.csv").write_text(shown)
    assert recipe("top-up.sh", "today.csv").returncode == 0
    (tmp_path / "later.csv").write_text(f"{shown}9886977544,1,pay_9\n7000000000,1,pay_10\n")
    for _ in range(2):
        done = recipe("top-up.sh", "later.csv")
        assert done.returncode == 4
        assert done.stderr.endswith("read later.rejects.jsonl, correct them, and run this again\n")
        (refused,) = (tmp_path / "later.rejects.jsonl").read_text("utf-8").splitlines()
        assert json.loads(refused)["code"] == "user_not_found"
    assert cli.run("balance 1 -q").out == "501.00\n"
    assert cli.run("balance 2 -q").out == "120.50\n"


def test_a_payment_is_waited_for(recipe: Recipe) -> None:
    given(*ASHA_AND_RAVI)
    payment = threading.Timer(1, cli_in_a_process, ["tx", "add", "1", "5", "--credit", "--key", "pay_1"])
    payment.start()
    done = recipe("wait-for-payment.sh", "1", "pay_1", "60")
    payment.join()
    assert (done.returncode, done.stdout, done.stderr) == (0, "1-1\n", "")


def cli_in_a_process(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "wallet_cli", *arguments], timeout=60, check=True, capture_output=True)


def test_a_wait_for_a_payment_ends(recipe: Recipe) -> None:
    given(*ASHA_AND_RAVI)
    done = recipe("wait-for-payment.sh", "1", "pay_1", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "no payment with the key pay_1 within 0 seconds\n"
    assert recipe("wait-for-payment.sh", "3", "pay_1").returncode == 3  # no such wallet: it does not wait


DEBIT = ("wallet", "tx", "add", "1", "5", "--debit", "-q")


def test_a_retry_ends_when_the_command_is_answered(
    recipe: Recipe, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two answers are lost after the write: the third try has the first one's answer."""
    given(*ASHA_AND_RAVI, "tx add 1 20 --credit")
    monkeypatch.setenv("RETRY_PAUSES", "0 0 0")
    program(
        programs / "lossy",
        'echo try >> tries; "$@" > answer || exit',
        'test "$(wc -l < tries)" -gt 2 || exit 7',
        "cat answer",
    )
    done = recipe("retry.sh", "lossy", *DEBIT, "--key", "order-1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1-2\n", "")
    assert (tmp_path / "tries").read_text() == "try\n" * 3
    assert cli.run("balance 1 -q").out == "15.00\n"


def test_a_retry_gives_up(recipe: Recipe, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRY_PAUSES", "0 0")
    program(programs / "busy", "echo try >> tries", "exit 6")
    assert recipe("retry.sh", "busy", "--key", "order-1").returncode == 6
    assert (tmp_path / "tries").read_text() == "try\n" * 3


def test_a_retry_takes_no_for_an_answer_and_wants_a_key(recipe: Recipe) -> None:
    given(*ASHA_AND_RAVI)
    refused = recipe("retry.sh", *DEBIT, "--key", "order-1")
    assert (refused.returncode, refused.stderr.count("error: ")) == (4, 1)
    for unkeyed in ((), ("--note", " --key x"), ("--note", "--key"), ("--key",), ("--key", "order-2", "-q")):
        assert recipe("retry.sh", *DEBIT, *unkeyed).returncode == 2, unkeyed


def test_low_balances_are_mailed(recipe: Recipe, programs: Path, tmp_path: Path) -> None:
    given(*ASHA_AND_RAVI, "create 2/old", "tx add 1 99.99 --credit", "tx add 2 100 --credit", "close 2/old")
    program(programs / "mail", f'echo "$@" >> "{tmp_path}/mails"', f'cat >> "{tmp_path}/mails"')
    done = recipe("low-balance.sh", "100", "owner@example.org")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    mails = (tmp_path / "mails").read_text()
    assert mails == "-s Wallets with less than 100 available -- owner@example.org\n1/main 99.99 INR\n"
    assert recipe("low-balance.sh", "99.99", "owner@example.org").returncode == 0
    assert (tmp_path / "mails").read_text() == mails  # nothing is low, so nothing is sent


def test_a_backup_is_on_two_disks_and_a_bad_ledger_leaves_both(recipe: Recipe, tmp_path: Path, db: Address) -> None:
    given(*ASHA_AND_RAVI, "tx add 1 5 --credit")
    for _ in range(2):  # the second time, the first copy is young enough
        done = recipe("backup.sh", "backups", "other/disk")
        assert (done.returncode, done.stderr) == (0, "")
    (first,) = (tmp_path / "backups").glob("*.db")
    (second,) = (tmp_path / "other" / "disk").glob("*.db")
    assert done.stdout == f"{first}\n"
    assert second.read_bytes() == first.read_bytes()
    assert cli.run(["--db", str(second), "verify", "-q"]).out == "1\n"
    with sqlite3.connect(str(db)) as connection:
        connection.execute("UPDATE transactions SET amount = amount + 1")
    first.rename(tmp_path / "yesterday.db")  # so that a new one is due
    assert recipe("backup.sh", "backups", "other/disk").returncode == 7
    assert [*(tmp_path / "other" / "disk").glob("*.db")] == [second]


def test_a_top_up_takes_nothing_and_applies_nothing_twice(recipe: Recipe, tmp_path: Path) -> None:
    given(*ASHA_AND_RAVI, "credit 1 100")
    payments = ("-5,pay_1", "5,", "5", "0,pay_2", "7,pay_3")
    for name in ("-a.csv", "b.csv"):
        (tmp_path / name).write_text("phone,paid,reference\n" + "".join(f"9886977544,{rest}\n" for rest in payments))
        assert recipe("top-up.sh", name).returncode == 4
        refused = (tmp_path / name.replace(".csv", ".rejects.jsonl")).read_text("utf-8").splitlines()
        assert [json.loads(line)["line"] for line in refused] == [1, 2, 3, 4]
    assert cli.run("balance 1 -q").out == "107.00\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"phone,paid,reference\n9886977544,5,pay_1\n1,500,pay_2\n", "line 3 has no phone number, but '1'"),
        (b"phone,paid,reference\n1/savings,500,pay_2\n", "line 2 has no phone number"),
        (b"phone,paid,reference\n,500,pay_2\n", "line 2 has no phone number, but ''"),
        (b"paid,reference,phone\n5,pay_1\n", "line 2 has no phone number, but ''"),
        (b"phone;paid;reference\n9886977544;5;pay_1\n", "its first line is not phone,paid,reference, with commas"),
        (b"Phone,Amount,Id\n9886977544,5,pay_1\n", "its first line is not"),
        (b"", "its first line is not"),
        ("phone,paid,reference\n9886977544,5,für\n".encode("cp1252"), "it cannot be read as CSV in UTF-8"),
        (None, "it cannot be read as CSV in UTF-8"),
    ],
)
def test_a_top_up_of_a_file_that_is_none_is_refused_in_words(
    recipe: Recipe, tmp_path: Path, content: bytes | None, words: str
) -> None:
    given(*ASHA_AND_RAVI)
    if content is not None:
        (tmp_path / "today.csv").write_bytes(content)
    done = recipe("top-up.sh", "today.csv")
    assert done.returncode == 1
    assert re.fullmatch(f"today.csv: {words}.*; nothing was applied\n", done.stderr)
    assert cli.run("balance 1 -q").out == "0.00\n"


RUNS = "a[$(touch hacked)]"
"""Run by bash where it is taken for a number."""


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("wait-for-payment.sh", ("1", "pay", RUNS), 2),
        ("wait-for-payment.sh", ("1", "pay", "-1"), 2),
        ("wait-for-payment.sh", ("1", "pay", "08; touch hacked"), 2),
        ("wait-for-payment.sh", ("1", "-q", "00"), 1),
        ("wait-for-payment.sh", ("1", RUNS, "0"), 1),
        ("wait-for-payment.sh", ("--help", "pay", "0"), 2),
        ("low-balance.sh", (RUNS, "owner@example.org"), 2),
        ("low-balance.sh", ("nan", "owner@example.org"), 2),
        ("low-balance.sh", ("1\nBcc: x@example.org", "owner@example.org"), 2),
        ("low-balance.sh", ("9999", "-Eunlikely"), 0),
        ("statements.sh", ("-f $(touch hacked)", "2024-04-02"), 0),
        ("statements.sh", ("made", RUNS), 2),
        ("statements.sh", ("made", "--help"), 2),
        ("backup.sh", ("-f $(touch hacked)", "--help"), 0),
    ],
)
def test_a_value_is_never_run_or_taken_for_an_option(
    recipe: Recipe, programs: Path, tmp_path: Path, name: str, arguments: tuple[str, ...], code: int
) -> None:
    given(*ASHA_AND_RAVI, "tx add 1 500 --credit --at 2024-04-02T10:15:00Z")
    program(programs / "mail", f'printf "%s\\n" "$@" > "{tmp_path}/mailed"')
    done = recipe(name, *arguments)
    assert done.returncode == code, done.stderr
    assert not list(tmp_path.rglob("hacked"))
    if name == "low-balance.sh" and code == 0:
        assert (tmp_path / "mailed").read_text().splitlines()[-2:] == ["--", arguments[1]]
    if code == 0 and name != "low-balance.sh":
        assert list((tmp_path / arguments[0]).iterdir())


def test_the_page_shows_each_script() -> None:
    shown = re.findall(r"^\[([\w.-]+)\]\(cookbook/\1\).*?^--8<-- \"docs/cookbook/\1\"$", PAGE, re.DOTALL | re.MULTILINE)
    assert sorted(shown) == sorted(each.name for each in COOKBOOK.iterdir())


@pytest.mark.parametrize("name", ["backup", "low-balance", "statements", "top-up", "wait-for-payment"])
def test_a_script_without_its_arguments_says_how_it_is_used(name: str) -> None:
    done = subprocess.run(["bash", COOKBOOK / f"{name}.sh"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.startswith(f"# Usage: {name}.sh ")) == (2, "", True)
