"""Several workers on one port: when they are said to have started, and how they end."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys
from wallet_cli.web.supervisor import supervise

def say(word):
    return lambda: os.write(1, word + b" ")

def work(ready):
    {work}

sys.exit(supervise(3, work, started=say(b"started"), stopping=say(b"stopping")))
"""

LATE = """
import contextlib, os, select

fork, wait, pids = os.fork, select.select, []

def noted():
    pid = fork()
    pids.append(pid)
    return pid

def late(*given):
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return wait(*given)

os.fork, select.select = noted, late
"""
"""Waits only when all workers have ended."""

WAIT_FOR_STOP = "ready(); signal.sigwait({signal.SIGTERM})"


def run(work: str) -> tuple[int, str]:
    """The exit code of a supervisor whose workers do this, and the words that it said."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(work=work)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize(
    ("work", "code", "said"),
    [
        # Told to stop before any is ready: nobody is told that it has started.
        ("os.kill(os.getppid(), signal.SIGTERM); signal.sigwait({signal.SIGTERM}); ready()", 0, "stopping"),
        # Dead as soon as they start: they would die again, so it stops, and says so in its exit code.
        ("os._exit(3)", 1, "stopping"),
        ("ready(); os._exit(3)", 1, "started stopping"),
    ],
    ids=["stopped before it started", "dead at once", "dead when ready"],
)
def test_how_it_ends(work: str, code: int, said: str) -> None:
    assert run(work) == (code, said)


@pytest.mark.parametrize("work", ["os._exit(3)", "ready(); os._exit(3)"])
def test_workers_that_end_before_it_waits_are_heard_of(work: str) -> None:
    program = LATE + PROGRAM.format(work=work)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout.endswith(b"stopping ")) == (1, True), done


def test_a_stop_is_passed_on_to_all() -> None:
    program = PROGRAM.format(work=WAIT_FOR_STOP)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(len("started ")) == b"started "
        process.terminate()
        assert process.stdout.read() == b"stopping "
    assert process.returncode == 0
