"""Killed at the n-th call that changes something: what was answered is there, and all else once or not at all."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.commands import SCENARIOS, Way, inject
from faults.serving import Faulty
from support import cli, injection, processes
from support.faults import Fault, put_in
from support.figures import figure
from support.processes import Runner
from support.sizes import size

from wallet_cli.storage import whole_file

WHY_NOT = injection.why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

CALLS = ["openat", "pwrite64", "write", "fsync", "fdatasync", "ftruncate", "unlink", "rename", "mmap", "flock"]
SERVED = [("pwrite64", 24), ("fdatasync", 9), ("flock", 16)]
"""What a server calls, and about how often in a round of requests."""

NAMES = [scenario.name for scenario in SCENARIOS]


def kill(folder: Path, wanted: int) -> Counter[str]:
    return inject(folder, NAMES, {call: ["signal=SIGKILL"] for call in CALLS}, wanted, [Way(), Way(), Way(held=True)])


def kill_in_place(folder: Path) -> Counter[str]:
    """With a deliberate fault: a new ledger is made under the name that it is to have."""
    right, wrong = 'beside(path, ".new")', "path"
    with pytest.MonkeyPatch.context() as patch:
        put_in(patch, Fault(whole_file, "made_whole", right, wrong))
        return inject(folder, ["first run"], {"pwrite64": ["signal=SIGKILL"]}, 5, [Way()])


def test_a_command_that_is_killed_at_any_call_is_done_or_not(tmp_path: Path) -> None:
    told = processes.alone(kill, tmp_path, size(50, 5000))
    assert told["killed"] > told.total() / 2
    figure("kills", told.total(), **told)


def test_a_ledger_that_a_kill_leaves_half_made_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"first run, .*SIGKILL"):
        processes.alone(kill_in_place, tmp_path)


def kill_seals(folder: Path) -> int:
    """Kill `seal` at one file that it syncs after the other, until it ends: at how many it was."""
    os.chdir(folder)
    os.environ["WALLET_DB"] = str(folder / "w.db")
    assert cli.run("register 9886977544").code == 0
    runner = Runner()
    kills = 0
    for line in (["seal", "--public"], ["seal", "nov.seal"]):  # the first one makes the key
        when = 1
        while code := injection.run(
            runner, line, folder / "calls", ("fsync",), f"fsync:signal=SIGKILL:when={when}"
        ).outcome.code:
            kills, when = kills + 1, when + 1
            assert code == -signal.SIGKILL
            for made in folder.glob("[!.]*.seal"):  # it was killed while the name was being synced
                assert cli.run(["verify", "--against", made.name]).code == 0
                made.unlink()
    left = [*folder.glob(".nov.seal.*")]
    assert left
    for path in left:
        os.utime(path, (0, 0))
    assert cli.run("seal dec.seal").code == 0
    assert [path for path in left if path.exists()] == []
    return kills


def test_a_seal_that_is_killed_leaves_nothing_for_good(tmp_path: Path) -> None:
    assert processes.alone(kill_seals, tmp_path) > 2


@pytest.mark.on_file("PostgreSQL's own files are its own")
def test_a_server_that_is_killed_at_any_call_keeps_what_it_answered(
    wallet: Callable[[str], cli.Outcome], tmp_path: Path
) -> None:
    for line in ("register 9886977544", "create 1"):
        assert wallet(line).code == 0
    rounds = size(3, 110)
    faulty = Faulty(tmp_path)
    for number in range(rounds):
        call, calls = SERVED[number % len(SERVED)]
        faulty.round(CALLS, f"{call}:signal=SIGKILL:when={1 + number * 7 % calls}")
    assert wallet("balance 1 -q").out == f"{faulty.sent}.00\n"
    assert wallet("verify").code == 0
    assert faulty.told["done"]
    assert faulty.told["killed"]
    figure("kills of serve", rounds, **faulty.told)
