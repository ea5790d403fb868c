"""Failing system calls: a forked `wallet` in which strace kills the process, or has a call fail, at the n-th of them.

Only what the program calls is counted: strace is attached when the interpreter has long been started.
"""

from __future__ import annotations

import ctypes
import os
import re
import select
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from support.cli import Outcome
from support.processes import Runner

PR_SET_PTRACER = 0x59616D61
ANYBODY = ctypes.c_ulong(-1)
LIBC = ctypes.CDLL(None)


class Injected(NamedTuple):
    """What a command left, and how often a call of it was made to fail."""

    outcome: Outcome
    times: int


@cache
def why_not() -> str | None:
    """Why calls cannot be made to fail here; None where they can."""
    if shutil.which("strace") is None:
        return "failing calls need strace"
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        done = subprocess.run(
            ["timeout", "-s", "INT", "0.5", "strace", "-p", str(sleeper.pid)], capture_output=True, text=True
        )
    finally:
        sleeper.kill()
        sleeper.wait()
    return None if "attached" in done.stderr else f"strace may not trace here: {done.stderr.strip()}"


def attach(
    pid: int, log: Path, calls: Sequence[str], inject: str = "", file: Path | None = None
) -> subprocess.Popen[str]:
    """Have strace watch these calls of a process and of its children; returns when it does. Nobody sleeps there, unless
    only what is done with one `file` is watched.
    """
    injections = ["clock_nanosleep:retval=0", *([inject] if inject else [])]
    options = ["-f", "-o", str(log), "-e", f"trace={','.join((*calls, 'clock_nanosleep'))}"]
    options += [f"--inject={each}" for each in injections]
    options += [] if file is None else ["-P", str(file)]
    tracer = subprocess.Popen(["strace", *options, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    line = tracer.stderr.readline()
    assert "attached" in line, line
    return tracer


def run(
    runner: Runner,
    arguments: Sequence[str],
    log: Path,
    calls: Sequence[str],
    inject: str = "",
    file: Path | None = None,
) -> Injected:
    """Run a command line in a forked process, with something injected into its calls (of one `file`, if that is given),
    as strace has it: `fdatasync:error=EIO:when=2`.
    """
    waiting, go = os.pipe()

    def wait() -> None:
        LIBC.prctl(PR_SET_PTRACER, ANYBODY, 0, 0, 0)
        os.close(go)
        select.select([waiting], [], [])  # a read would be counted
        os.close(waiting)

    pid = runner.start(arguments, wait)
    os.close(waiting)
    try:
        tracer = attach(pid, log, calls, inject, file)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(go)
    outcome = runner.finish(pid)
    tracer.communicate(timeout=60)
    call = inject.partition(":")[0]
    times = len(re.findall(rf"^\d+ +{call}\(.*\(INJECTED\)", log.read_text(errors="replace"), re.MULTILINE))
    return Injected(outcome, times + (outcome.code == -signal.SIGKILL))


def counted(log: Path) -> Counter[str]:
    """How often each call stands in a log of strace."""
    found = re.findall(r"^\d+ +(\w+)\(", log.read_text(errors="replace"), re.MULTILINE)
    return Counter(call for call in found if call != "clock_nanosleep")
