"""Several workers on one port: when they are said to have started, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import IO

import pytest

PROGRAM = """
import os, signal, sys
from wallet_cli.web.supervisor import supervise

said = []

def say(word):
    return lambda: said.append(word) or os.write(1, word + b" ")

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

NO_FORK = """
import os

fork, calls = os.fork, []

def failing():
    calls.append(1)
    if len(calls) in {failing}:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()

os.fork = failing
"""
"""Where no process is free for some of the forks, counted from 1."""

STOP = "signal.sigwait({signal.SIGTERM})"
WAIT_FOR_STOP = f"ready(); {STOP}"


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
        # Dead again and again: it tries some times.
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


@contextmanager
def supervised(first: str, before: str = "") -> Iterator[tuple[subprocess.Popen[bytes], Iterator[bytes]]]:
    """A supervisor, after `before`, whose workers begin with `first`, tell their process ids when they are ready, and
    wait; and the words that all of them say.
    """
    work = f"{first}; ready(); os.write(1, b'%d ' % os.getpid()); {STOP}"
    line = [sys.executable, "-c", before + PROGRAM.format(work=work)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        yield process, _words(process.stdout)


def _words(stdout: IO[bytes]) -> Iterator[bytes]:
    word = b""
    while byte := stdout.read(1):
        word += byte
        if byte == b" ":
            yield word.strip()
            word = b""


def pids(words: Iterator[bytes], number: int) -> list[int]:
    """The next process ids that are told."""
    return [int(word) for word in islice(filter(bytes.isdigit, words), number)]


def test_a_worker_that_was_ready_is_started_again_however_soon_it_died() -> None:
    with supervised("pass") as (process, words):
        for _ in range(3):
            for pid in pids(words, 3):
                os.kill(pid, signal.SIGKILL)
        pids(words, 3)
        process.terminate()
        assert list(words)[-1:] == [b"stopping"]
    assert process.returncode == 0


def test_a_worker_that_does_not_get_ready_again_ends_the_server() -> None:
    """`said`: the server has started."""
    with supervised("said and os._exit(3)") as (process, words):
        os.kill(pids(words, 3)[0], signal.SIGKILL)
        assert list(words)[-1:] == [b"stopping"]
    assert process.returncode == 1


def test_a_process_that_cannot_be_made_is_tried_again() -> None:
    """As a worker that dies, and the others go on meanwhile."""
    with supervised("pass", NO_FORK.format(failing="(4, 5)")) as (process, words):
        os.kill(pids(words, 3)[0], signal.SIGKILL)
        pids(words, 1)
        process.terminate()
        assert list(words)[-1:] == [b"stopping"]
    assert process.returncode == 0


@pytest.mark.parametrize("failing", ["(2,)", "range(4, 20)"], ids=["in the beginning", "for long"])
def test_processes_that_cannot_be_made_end_the_server(failing: str) -> None:
    with supervised("pass", NO_FORK.format(failing=failing)) as (process, words):
        if "range" in failing:
            os.kill(pids(words, 3)[0], signal.SIGKILL)
        assert b"stopping" in words
    assert process.returncode == 1


def test_a_stop_is_passed_on_to_all() -> None:
    program = PROGRAM.format(work=WAIT_FOR_STOP)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(len("started ")) == b"started "
        process.terminate()
        assert process.stdout.read() == b"stopping "
    assert process.returncode == 0
