"""Ctrl-C in the middle of long work says how far it came, and that is true; run again, it comes to the same end.

Each process interrupts itself by a real SIGINT at a chosen point, for the chosen time.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import cli
from support.engines import Address, Engine
from support.server import Server

LINES, BATCH = 200, 20
TIMEOUT_S = 120

POINTS = {
    "as a line is read": ("wallet_cli.import_export.imports.records", "post", "before"),
    "as a batch is decided": ("wallet_cli.domain.rules", "execute", "before"),
    "before the commit": ("wallet_cli.engine.executor.Executor", "_commit", "before"),
    "after the commit": ("wallet_cli.engine.executor.Executor", "_commit", "after"),
    "as a batch is counted": ("wallet_cli.import_export.imports.Run", "_count", "before"),
}
"""What is called at the point, and whether the signal comes before it is carried out or after."""

INTERRUPTS_ITSELF = """
import functools, importlib, os, signal, sys
where, name, when, nth, *arguments = sys.argv[1:]
from wallet_cli.import_export import imports
imports.BATCH_LINES = {batch}
module, _, class_ = where.rpartition(".") if where.rpartition(".")[2][0].isupper() else (where, "", "")
place = importlib.import_module(module)
place = getattr(place, class_) if class_ else place
real, calls = getattr(place, name), 0

@functools.wraps(real)
def interrupted(*args, **kwargs):
    global calls
    calls += 1
    if calls == int(nth) and when == "before":
        signal.raise_signal(signal.SIGINT)
    result = real(*args, **kwargs)
    if calls == int(nth) and when == "after":
        signal.raise_signal(signal.SIGINT)
    return result

setattr(place, name, interrupted)
from wallet_cli.cli.app import main
sys.exit(main(arguments))
"""


def interrupting(point: tuple[str, str, str], nth: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    where, name, when = point
    code = INTERRUPTS_ITSELF.format(batch=BATCH)
    return subprocess.run(
        [sys.executable, "-c", code, where, name, when, str(nth), *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=dict(os.environ),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.fixture
def shop(db: Address) -> Address:
    for line in ("register 9886977544", "create 1"):
        assert cli.run(line).code == 0
    return db


def transactions() -> int:
    found: int = cli.run("balance 1 --json").json["transactions"]
    return found


def write_lines(path: Path, *, refused: tuple[int, ...] = ()) -> None:
    with path.open("w") as file:
        file.write("wallet,amount,kind\n")
        for number in range(LINES):
            file.write(f"1,{'none' if number in refused else number + 1},credit\n")


@pytest.mark.parametrize("nth", [1, 5])
@pytest.mark.parametrize("point", POINTS)
def test_an_import_that_is_interrupted_says_how_many_lines_are_in(
    point: str, nth: int, shop: Address, tmp_path: Path
) -> None:
    write_lines(tmp_path / "lines.csv")
    calls = (nth - 1) * BATCH + 7 if point == "as a line is read" else nth
    done = interrupting(POINTS[point], calls, "import", str(tmp_path / "lines.csv"), "--json")
    assert (done.returncode, done.stdout) == (130, ""), done
    told = json.loads(done.stderr)["error"]
    assert told["code"] == "interrupted"
    there = transactions()
    assert told["message"] == f"interrupted: {there} of {LINES} lines are {'in' if there else 'read'}"
    assert told["details"] == {"lines": there, "of": LINES}
    assert there == BATCH * (nth - (0 if point.startswith(("after", "as a batch is counted", "before")) else 1))
    again = cli.run(["import", str(tmp_path / "lines.csv"), "--json"]).json
    assert (again["applied"], again["replayed"]) == (LINES - there, there)
    assert transactions() == LINES


def test_a_run_that_is_among_the_lines_of_an_earlier_one_does_not_say_how_many_are_in(
    shop: Address, tmp_path: Path
) -> None:
    write_lines(tmp_path / "lines.csv")
    for batch, told, there in (
        (4, "60 of 200 lines are in", 60),
        (1, "0 of 200 lines are read", 60),
        (2, "20 of 200 lines are read", 60),
        (6, "100 of 200 lines are in", 100),
    ):
        done = interrupting(POINTS["as a batch is decided"], batch, "import", str(tmp_path / "lines.csv"))
        assert f"error: interrupted: {told}\n" in done.stderr
        assert transactions() == there


def test_refused_lines_are_told_apart(shop: Address, tmp_path: Path) -> None:
    write_lines(tmp_path / "lines.csv", refused=(3, 27, 199))
    done = interrupting(POINTS["after the commit"], 3, "import", str(tmp_path / "lines.csv"))
    assert done.returncode == 130
    assert "error: interrupted: 60 of 200 lines are read, 2 of them refused\n" in done.stderr
    assert "hint: what is in stays; run it again: it applies no line twice\n" in done.stderr
    assert transactions() == 58


def test_an_export_that_is_read_back_counts_its_lines(
    shop: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(tmp_path / "lines.csv")
    assert cli.run(["import", str(tmp_path / "lines.csv")]).code == 0
    (tmp_path / "all.jsonl").write_text(cli.run("export").out)
    lines = (tmp_path / "all.jsonl").read_text().count("\n")
    monkeypatch.setenv("WALLET_DB", str(tmp_path / "other.db"))
    done = interrupting(POINTS["after the commit"], 8, "import", str(tmp_path / "all.jsonl"))
    told = f" of {lines} lines are in\n"
    assert (done.returncode, told in done.stderr) == (130, True), done
    assert cli.run(["import", str(tmp_path / "all.jsonl")]).code == 0
    assert transactions() == LINES


@pytest.mark.parametrize("option", ["--atomic", "--dry-run"])
def test_all_or_nothing_is_nothing(option: str, shop: Address, tmp_path: Path) -> None:
    write_lines(tmp_path / "lines.csv")
    done = interrupting(POINTS["as a batch is decided"], 4, "import", str(tmp_path / "lines.csv"), option)
    assert done.returncode == 130
    assert "error: interrupted: nothing of this file is in\n" in done.stderr
    assert transactions() == 0


def test_a_verification_that_is_interrupted_says_what_it_has_seen(shop: Address, tmp_path: Path) -> None:
    write_lines(tmp_path / "lines.csv")
    assert cli.run(["import", str(tmp_path / "lines.csv")]).code == 0
    point = ("wallet_cli.operations.chain_check", "unlike_witness", "before")
    done = interrupting(point, 1, "verify")
    assert (done.returncode, done.stdout) == (130, "")
    assert (
        done.stderr
        == "error: interrupted: nothing was found wrong so far\nhint: run it again: it starts from the beginning\n"
    )
    assert cli.run("verify").code == 0


def test_an_export_that_is_interrupted_is_not_whole(shop: Address, tmp_path: Path) -> None:
    write_lines(tmp_path / "lines.csv")
    assert cli.run(["import", str(tmp_path / "lines.csv")]).code == 0
    point = ("wallet_cli.import_export.exports", "_state_lines", "before")
    done = interrupting(point, 1, "export")
    assert done.returncode == 130
    assert done.stderr == (
        "error: interrupted: the export is incomplete: 0 lines were read\nhint: run it again: it starts from the"
        " beginning\n"
    )
    assert '"record":"end"' not in done.stdout


@pytest.mark.on_file("where it goes is a path")
def test_a_move_that_is_interrupted_goes_on(shop: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path / "lines.csv")
    assert cli.run(["import", str(tmp_path / "lines.csv")]).code == 0
    to = str(tmp_path / "moved.db")
    point = ("wallet_cli.operations.move", "_prove", "before")
    done = interrupting(point, 1, "move", "--to", to)
    assert (done.returncode, done.stdout) == (130, "")
    assert re.search(r"at least (\d{3}) of \1 rows are copied; the old ledger takes no writes\n", done.stderr)
    assert "`wallet move --cancel`" in done.stderr
    assert cli.run(["tx", "add", "1", "1", "--credit"]).code == 9  # it takes no writes yet
    assert cli.run(["move", "--to", to]).code == 0
    monkeypatch.setenv("WALLET_DB", to)
    assert transactions() == LINES


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_remote_import_waits_for_the_answer_to_what_it_sent(
    when: str, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(tmp_path / "lines.csv")
    (tmp_path / "served").mkdir()
    with Server(tmp_path / "served", "--no-auth") as server:
        monkeypatch.setenv("WALLET_DB", server.url)
        assert cli.run("register 9886977544").code == 0
        assert cli.run("create 1").code == 0
        line = ["import", str(tmp_path / "lines.csv"), "--duplicates", "add"]
        done = interrupting(("wallet_cli.remote.http.Server", "send", when), 4, *line)
        assert done.returncode == 130, done
        assert f"error: interrupted: {4 * BATCH} of {LINES} lines are in\n" in done.stderr
        assert transactions() == 4 * BATCH
        assert cli.run(line).code == 0
        assert transactions() == LINES
