"""Processes for the tests: many real ones in little time, locks held by others, and command lines in a shell's place.

An interpreter takes a tenth of a second to start and import the wallet. Where a test wants thousands of commands, each
in a process of its own, `alone` starts one interpreter, which imports everything, opens nothing, and forks a child for
each command. It is single-threaded, as a process that forks has to be; a test runner is not.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import inspect
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from support.cli import Outcome
from support.sizes import size

TESTS = Path(__file__).parent.parent
ALONE_TIMEOUT_S = size(300, 7200)
ANSWER = "from support import processes; processes.answer"
PYTHON = [sys.executable, "-X", "utf8"]


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of a test module in an interpreter of its own, from which it may fork, and return what it does.

    Arguments and result are pickled. A failure there fails the test, with its traceback.
    """
    with tempfile.TemporaryFile() as answer:
        request = pickle.dumps((str(TESTS), inspect.getfile(function), function.__qualname__, arguments))
        fd = answer.fileno()
        code = f"import sys; sys.path.insert(0, {str(TESTS)!r}); sys.path.append({str(TESTS.parent)!r}); {ANSWER}({fd})"
        done = subprocess.run(
            [*PYTHON, "-c", code], input=request, capture_output=True, pass_fds=[fd], timeout=ALONE_TIMEOUT_S
        )
        assert done.returncode == 0, done.stderr.decode()
        answer.seek(0)
        return pickle.loads(answer.read())


def answer(fd: int) -> None:
    """The other side of `alone`: everything that a command imports, imported; then the function that was asked for."""
    _, file, name, arguments = pickle.loads(sys.stdin.buffer.read())
    import_wallet()
    spec = importlib.util.spec_from_file_location("asked_for", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Children share what is there now, instead of copying it page by page when their collector looks at it.
    gc.collect()
    gc.freeze()
    try:
        result = getattr(module, name)(*arguments)
    finally:
        # A failure must leave nobody at work.
        for pid in list(_children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with open(fd, "wb") as file_:
        pickle.dump(result, file_)


# What a run of `wallet` imports, at once or on the way, whatever the engine.
IMPORTED = """
csv json tomllib zoneinfo dotenv platformdirs apsw wallet_cli.__main__ wallet_cli.settings
wallet_cli.cli.app wallet_cli.cli.register wallet_cli.cli.tx wallet_cli.cli.verify wallet_cli.cli.wallet
wallet_cli.services.audit wallet_cli.services.context wallet_cli.storage.sqlite wallet_cli.storage.postgres
"""


def import_wallet() -> None:
    """Import all of it, and open nothing."""
    for name in IMPORTED.split():
        importlib.import_module(name)


_children: set[int] = set()
"""Those who were forked and not yet waited for."""


def fork(work: Callable[[], int | None]) -> int:
    """Do some work in a child process, whose exit code is what it returns; the child's process id."""
    pid = os.fork()
    if pid:
        _children.add(pid)
        return pid
    _children.clear()
    code = 70
    try:
        code = work() or 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stderr.flush()
        os._exit(code)


def reap(pid: int) -> int:
    """Wait for a child; its exit code, or minus the signal that ended it."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    _children.discard(pid)
    return code


def join(pids: Sequence[int]) -> None:
    """Wait for children that are to end well."""
    codes = [reap(pid) for pid in pids]
    assert not any(codes), codes


def race(works: Sequence[Callable[[], int | None]]) -> None:
    """Do all of `works` at once, each in a process of its own, which begins when all of them are there."""
    gate, opened = os.pipe()

    def runner(work: Callable[[], int | None]) -> Callable[[], int | None]:
        def run() -> int | None:
            os.close(opened)
            os.read(gate, 1)  # ends when the last writing end is closed
            return work()

        return run

    pids = [fork(runner(work)) for work in works]
    os.close(opened)
    os.close(gate)
    join(pids)


class Runner:
    """Runs command lines one after another, each in a forked process of its own; for use after `alone`."""

    def __init__(self) -> None:
        self.out = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        self.err = tempfile.TemporaryFile()  # noqa: SIM115

    def start(self, arguments: Sequence[str], before: Callable[[], None] = lambda: None) -> int:
        """Start `wallet` with these arguments; its process id. `before` is called in it first."""
        for stream in (self.out, self.err):
            stream.seek(0)
            stream.truncate()
        pid = os.fork()
        if not pid:
            self._become(arguments, before)
        return pid

    def finish(self, pid: int) -> Outcome:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        texts = []
        for stream in (self.out, self.err):
            stream.seek(0)
            texts.append(stream.read().decode())
        return Outcome(code, texts[0], texts[1])

    def run(self, arguments: Sequence[str]) -> Outcome:
        return self.finish(self.start(arguments))

    def _become(self, arguments: Sequence[str], before: Callable[[], None]) -> NoReturn:
        from wallet_cli.__main__ import start

        try:
            os.dup2(self.out.fileno(), 1)
            os.dup2(self.err.fileno(), 2)
            sys.argv = ["wallet", *arguments]
            before()
            start()  # ends the process
        except BaseException:
            # As the interpreter would.
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(1)


HOLD = """
import importlib, sys
from pathlib import Path
module, name, path, command = sys.argv[1:]
with getattr(importlib.import_module(module), name)(Path(path)).turn(30, command):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def held(lock: type, path: Path, command: str = "settling") -> Iterator[subprocess.Popen[bytes]]:
    """Another process has the turn; it gives it up at the end of the block, or when its stdin is closed."""
    arguments = [lock.__module__, lock.__name__, str(path), command]
    with subprocess.Popen([*PYTHON, "-c", HOLD, *arguments], stdin=-1, stdout=-1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.stdin.close()
            process.wait(timeout=30)


# Runs `wallet` as the shell does, and writes a line to stderr's neighbour, descriptor N, when its own code begins.
WALLET = """
import os, sys
from wallet_cli.__main__ import start
fd = int(sys.argv.pop(1))
{patch}
try:
    os.write(fd, b"begun\\n")
    start()
except KeyboardInterrupt:  # before the first line of start(): Python's own words, as while it starts
    os._exit(130)
"""


class Wallet:
    """A `wallet` process of its own, started as the shell starts it. `patch` is code to run in it before."""

    def __init__(self, arguments: Sequence[str], patch: str = "") -> None:
        self.reader, writer = os.pipe()
        self.process = subprocess.Popen(
            [*PYTHON, "-c", WALLET.format(patch=patch), str(writer), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[writer],
        )
        os.close(writer)

    def begun(self) -> None:
        """Wait until the program's own code begins: what comes before is the interpreter's start."""
        self.said("begun")

    def said(self, word: str) -> None:
        """Wait for a line that the process, or a patch in it, writes to `fd`."""
        expected = f"{word}\n".encode()
        assert os.read(self.reader, len(expected)) == expected

    def finish(self) -> Outcome:
        out, err = self.process.communicate(timeout=60)
        os.close(self.reader)
        return Outcome(self.process.returncode, out.decode(), err.decode())
