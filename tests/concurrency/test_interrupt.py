"""Ctrl-C at any moment: exit 0 or 130, one clear line, a whole ledger, and the key tells whether it is done."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support import cli, processes
from support.engines import Engine
from support.sizes import size

FOR_S = {"file": size(2, 10), "postgres": size(1, 10)}
"""By engine."""

STEPS = {"file": size(60, 200), "postgres": size(20, 200)}
"""How many places in the middle of a command are interrupted, evenly spread over the lines that it runs."""
EDGE = {"file": size(20, 60), "postgres": size(8, 60)}
"""How many of its first and of its last lines are interrupted, each of them."""

Run = Callable[[str], cli.Outcome]


def add(key: str) -> list[str]:
    return ["tx", "add", "1", "5", "--credit", "--key", key]


def check(outcome: cli.Outcome, key: str, wallet: Run) -> bool:
    """Whether an interrupted command was carried out; what it said and left has to fit."""
    assert outcome.code in (0, 130), outcome
    assert "Traceback" not in outcome.err, outcome.err
    if outcome.code == 130 and outcome.err:
        assert outcome.err.startswith("error: interrupted\nhint: "), outcome.err
    again = wallet(f"tx add 1 5 --credit --key {key} --json")
    assert again.code == 0, again.err
    done = bool(again.json.get("replayed", False))
    assert done or outcome.code == 130  # what was answered is there
    return done


@pytest.fixture
def opened(wallet: Run) -> Run:
    assert wallet("register 9886977544").code == 0
    assert wallet("create 1").code == 0
    return wallet


def test_random_moments_of_a_whole_process(opened: Run, engine: Engine) -> None:
    drawn = random.Random(2)
    whole = processes.Wallet(add("undisturbed"))
    whole.begun()
    begun = time.monotonic()
    assert whole.finish().code == 0
    length_s = time.monotonic() - begun
    outcomes = []
    until = begun + FOR_S[engine.name]
    while not outcomes or time.monotonic() < until:
        key = f"k{len(outcomes)}"
        run = processes.Wallet(add(key))
        run.begun()
        moment = time.monotonic() + drawn.uniform(0, 1.1) * length_s
        time.sleep(max(0.0, moment - time.monotonic()))  # the moment is drawn; nothing is waited for
        run.process.send_signal(signal.SIGINT)
        outcome = run.finish()
        outcomes.append((outcome.code, check(outcome, key, opened)))
    assert outcomes
    assert opened("verify").code == 0
    # Each is there once: applied when it was sent, or when it was sent again.
    assert opened("balance 1 --json").json["transactions"] == len(outcomes) + 1


# Random moments seldom hit a place that matters. So, one run after another, each is interrupted at another line.


def interrupt_at(line: int) -> Callable[[], None]:
    """What makes a process interrupt itself as it comes to the n-th line of the wallet's own code."""
    run = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal run
        if f"{os.sep}wallet_cli{os.sep}" not in frame.f_code.co_filename:
            return None
        if event == "line":
            run += 1
            if run == line:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return trace

    return lambda: sys.settrace(trace)


def lines_in(runner: processes.Runner) -> int:
    """How many lines of the wallet's own code a command runs: beyond the last, nothing is interrupted."""
    low, high = 1, 100_000
    while low < high:
        middle = (low + high) // 2
        reached, writer = os.pipe()

        def before(line: int = middle, fd: int = writer) -> None:
            signal.signal(signal.SIGINT, lambda _number, _frame: os.write(fd, b"."))
            interrupt_at(line)()

        runner.finish(runner.start(add(f"undisturbed{middle}"), before))
        os.close(writer)
        low, high = (middle + 1, high) if os.read(reached, 1) else (low, middle)
        os.close(reached)
    return low - 1


def interrupted_everywhere(steps: int, edge: int) -> list[tuple[int, cli.Outcome]]:
    runner = processes.Runner()
    lines = lines_in(runner)
    middle = range(edge, lines - edge, (lines - 2 * edge) // steps + 1)
    found = []
    # The first line is the one on which `try` begins: before it Python's own words stand, as while it starts.
    for line in [*range(2, edge), *middle, *range(lines - edge, lines + 1)]:
        outcome = runner.finish(runner.start(add(f"line{line}"), interrupt_at(line)))
        found.append((line, outcome))
    return found


def test_every_part_of_a_command(opened: Run, engine: Engine) -> None:
    found = processes.alone(interrupted_everywhere, STEPS[engine.name], EDGE[engine.name])
    wrong = []
    done = []
    for line, outcome in found:
        try:
            done.append(check(outcome, f"line{line}", opened))
        except AssertionError as error:
            wrong.append(f"line {line}: {error}")
    assert not wrong, "\n".join(wrong)
    assert True in done
    assert False in done
    assert opened("verify").code == 0


@pytest.mark.on_file("tests/storage/test_postgres_turns.py waits for a row")
def test_ctrl_c_while_another_has_the_turn(opened: Run, db: Path) -> None:
    from wallet_cli.engine.write_lock import WriteLock

    patch = """
from wallet_cli.engine import write_lock
wait = write_lock._wait
def announced(descriptor):
    os.write(fd, b"waiting\\n")
    wait(descriptor)
write_lock._wait = announced
"""
    with processes.held(WriteLock, db.with_name(db.name + ".lock")):
        runs = [processes.Wallet(add(f"k{n}"), patch) for n in range(4)]
        for run in runs:
            run.begun()
            run.said("waiting")
        for run in runs:
            run.process.send_signal(signal.SIGINT)
        outcomes = [run.finish() for run in runs]
    for number, outcome in enumerate(outcomes):
        assert outcome.code == 130
        assert not check(outcome, f"k{number}", opened)
    assert opened("verify").code == 0


@pytest.mark.parametrize("where", ["wallet_cli.cli.app", "wallet_cli.operations.transactions"])
def test_ctrl_c_that_python_wraps_in_another_error(opened: Run, where: str) -> None:
    """Within an import, a class that is being made turns Ctrl-C into a RuntimeError."""
    patch = f"""
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {where!r}:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as error:
                raise RuntimeError("Error calling __set_name__") from error
sys.meta_path.insert(0, Interrupting())
sys.modules.pop({where!r}, None)
"""
    run = processes.Wallet(add("wrapped"), patch)
    outcome = run.finish()
    assert (outcome.code, outcome.out, "Traceback" in outcome.err) == (130, "", False)
    assert opened("balance 1 --json").json["transactions"] == 0
