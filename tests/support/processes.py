"""Processes for the tests: many real ones in little time, locks held by others, and command lines in a shell's place.

An interpreter takes a tenth of a second to start and import the wallet, and a quarter of one to import the server. So
each process of the run of tests has a nursery: an interpreter that imports everything, opens nothing, and forks a child
for each server and each `alone`. It is single-threaded, as a process that forks has to be; a test runner is not. Where
a test wants thousands of commands, each in a process of its own, the child of `alone` forks them in its turn.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import importlib.util
import inspect
import os
import pickle
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Self

from support.cli import Outcome
from support.sizes import size
from support.somebody import be_mira

TESTS = Path(__file__).parent.parent
ALONE_TIMEOUT_S = size(300, 7200)
PYTHON = [sys.executable, "-X", "utf8"]


# The nursery


class Request(NamedTuple):
    """What a child of the nursery does, and what it would inherit from a process that starts it by itself."""

    arguments: list[str] | None
    """Of `wallet`; None for a function, which comes over stdin (see `answer`)."""
    folder: str
    environ: dict[str, str]
    open_files: tuple[int, int]


class Child:
    """A child of the nursery; what is here is as in subprocess.Popen."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status
        """Read by whom the child is started: when it has ended, its exit code is there."""

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self.returncode = int(os.read(self._status, NUMBER_BYTES))
            os.close(self._status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended since
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


ASKING = 1023
"""The descriptor by which a child of the nursery asks it for another."""
READER = ["a reader"]
NUMBER_BYTES = 16
"""More than an exit code or a process id has."""
NURSERY = "import sys; sys.path.insert(0, {tests!r}); from support import processes; processes.nurse({fd})"
ALONE = "import sys; sys.path.insert(0, {tests!r}); from support import processes; processes.one({fd})"


class Nursery:
    """As the process that asks sees it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    @classmethod
    def start(cls) -> Self:
        """A new one, which ends with this process."""
        ours, theirs = socket.socketpair()
        code = NURSERY.format(tests=str(TESTS), fd=theirs.fileno())
        with theirs:
            process = subprocess.Popen([*PYTHON, "-c", code], pass_fds=[theirs.fileno()], cwd="/")

        def end() -> None:
            """It ends those of its children who are still there."""
            ours.close()
            process.wait()

        atexit.register(end)
        return cls(ours)

    def fork(
        self, arguments: Sequence[str] | None, streams: Sequence[int], folder: Path, environ: Mapping[str, str]
    ) -> Child:
        """A child with these descriptors for its stdin, stdout and stderr, and for those after them if there are more.

        Raises AssertionError if the nursery is not there any more.
        """
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        request = Request(None if arguments is None else list(arguments), str(folder), dict(environ), limits)
        status, writer = os.pipe()
        with tempfile.TemporaryFile() as told:
            pickle.dump(request, told)
            told.seek(0)
            try:
                socket.send_fds(self._socket, [b"."], [told.fileno(), writer, *streams])
            finally:
                os.close(writer)
        answer = os.read(status, NUMBER_BYTES)
        assert answer, "the nursery has ended"
        return Child(int(answer), status)


@cache
def nursery() -> Nursery:
    """The nursery of this process, started when it is first asked for."""
    return Nursery.start()


def nurse(fd: int) -> None:
    """The nursery itself: import all, then fork a child for each request, and say how each ended."""
    import_wallet()
    _warm_up()
    _share()
    later = dict(LATER)
    requests = socket.socket(fileno=fd)
    of_children, for_children = socket.socketpair()
    ended, died = socket.socketpair()
    died.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(died.fileno(), warn_on_full_buffer=False)
    statuses: dict[int, int] = {}
    """By process id: where the exit code of a child is written."""
    while True:
        ready, _, _ = select.select([requests, of_children, ended], [], [])
        if ended in ready:
            ended.recv(4096)
            _report(statuses)
        asking = requests if requests in ready else of_children
        if asking in ready:
            asked, fds, _, _ = socket.recv_fds(asking, 1, 16)
            if not asked:
                break
            told, status, *streams = fds
            with open(told, "rb", closefd=False) as file:
                request: Request = pickle.load(file)
            for word in later.keys() & set(request.arguments or ()):
                later.pop(word)()
                _share()
            pid = os.fork()
            if not pid:
                _be(request, streams, for_children)
            statuses[pid] = status
            for each in (told, *streams):
                os.close(each)
            with contextlib.suppress(BrokenPipeError):  # nobody asks any more
                os.write(status, b"%*d" % (NUMBER_BYTES, pid))
    for pid in statuses:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _report(statuses: dict[int, int]) -> None:
    for pid in list(statuses):
        known, status = os.waitpid(pid, os.WNOHANG)
        if known:
            with contextlib.suppress(BrokenPipeError):  # nobody asks any more
                os.write(statuses[pid], b"%d" % os.waitstatus_to_exitcode(status))
            os.close(statuses.pop(pid))


def _be(request: Request, streams: Sequence[int], nursery: socket.socket) -> NoReturn:
    """In a child: become what was asked for."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        moved = [os.dup2(each, 100 + number) for number, each in enumerate(streams)]
        os.dup2(nursery.detach(), ASKING, inheritable=False)
        for number, each in enumerate(moved):
            os.dup2(each, number)
        os.closerange(len(streams), ASKING)
        for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
            setattr(sys, name, open(number, mode, buffering=1, closefd=False))  # noqa: SIM115
        resource.setrlimit(resource.RLIMIT_NOFILE, request.open_files)
        os.environ.clear()
        os.environ.update(request.environ)
        time.tzset()
        os.chdir(request.folder)
        be_mira(os.environ)
        if request.arguments is None:
            answer(len(streams) - 1)
        elif request.arguments == READER:
            _read(len(streams) - 1)
        else:
            from wallet_cli.__main__ import start

            sys.argv = ["wallet", *request.arguments]
            start()  # ends the process
        sys.stderr.flush()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _reader(control: int, _modules: Sequence[str]) -> Child:
    """In a server of the nursery: the program for its long reads, which comes from there too, with all modules."""
    with Path(os.devnull).open("r+b") as nothing:
        return Nursery(socket.socket(fileno=os.dup(ASKING))).fork(
            READER, [nothing.fileno(), 1, 2, control], Path.cwd(), os.environ
        )


def _read(control: int) -> None:
    from wallet_cli.web import read_worker

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    read_worker.main(control)


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of a test module in a process of its own, from which it may fork, and return what it does.

    Arguments and result are pickled. A failure there fails the test, with its traceback.
    """
    with tempfile.TemporaryFile() as request, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as answer:
        request.write(pickle.dumps((inspect.getfile(function), function.__qualname__, arguments)))
        request.seek(0)
        streams = [file.fileno() for file in (request, said, said, answer)]
        child: Child | subprocess.Popen[bytes]
        if "LD_PRELOAD" in os.environ:  # a library that comes before all others needs a process from the start
            code = ALONE.format(tests=str(TESTS), fd=answer.fileno())
            child = subprocess.Popen(
                [*PYTHON, "-c", code], stdin=request, stdout=said, stderr=said, pass_fds=[answer.fileno()]
            )
        else:
            child = nursery().fork(None, streams, Path.cwd(), os.environ)
        try:
            child.wait(ALONE_TIMEOUT_S)
        finally:
            child.kill()
        said.seek(0)
        assert child.returncode == 0, said.read().decode()
        answer.seek(0)
        return pickle.loads(answer.read())


def answer(fd: int) -> None:
    """The other side of `alone`: call the function that stdin names, and write down what it returns."""
    file, name, arguments = pickle.loads(sys.stdin.buffer.read())
    spec = importlib.util.spec_from_file_location("asked_for", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _share()
    try:
        result = getattr(module, name)(*arguments)
    finally:
        # A failure must leave nobody at work.
        for pid in list(_children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with open(fd, "wb") as file_:
        pickle.dump(result, file_)


COMMANDS = """
csv json mmap timeit tomllib zoneinfo importlib.readers encodings.ascii encodings.idna encodings.unicode_escape
dotenv platformdirs apsw babel.dates babel.numbers phonenumbers phonenumbers.data.region_IN rich.table
typer._click.decorators
wallet_cli.__main__ wallet_cli.settings wallet_cli.local
wallet_cli.cli.app wallet_cli.cli.backup wallet_cli.cli.chart wallet_cli.cli.completing wallet_cli.cli.completion
wallet_cli.cli.config wallet_cli.cli.config_file wallet_cli.cli.demo wallet_cli.cli.help wallet_cli.cli.help_text
wallet_cli.cli.hold wallet_cli.cli.import_export wallet_cli.cli.key wallet_cli.cli.register wallet_cli.cli.schemas
wallet_cli.cli.seal wallet_cli.cli.slow_readers wallet_cli.cli.statement wallet_cli.cli.topics wallet_cli.cli.tx
wallet_cli.cli.verify wallet_cli.cli.wallet wallet_cli.cli.screen.view
wallet_cli.documents.chart wallet_cli.documents.html wallet_cli.domain.clock wallet_cli.domain.names
wallet_cli.import_export.exports wallet_cli.import_export.rows wallet_cli.import_export.imports.profiles
wallet_cli.operations.context wallet_cli.operations.day_book wallet_cli.operations.finding
wallet_cli.operations.flows wallet_cli.operations.ledgers wallet_cli.operations.statements
wallet_cli.operations.verification
wallet_cli.storage.byte_locks wallet_cli.storage.log_file wallet_cli.storage.postgres wallet_cli.storage.schema_check
wallet_cli.storage.sqlite
"""
"""What runs of `wallet` import, at once or on the way, whatever the engine; a tenth of a second if each did it."""

WARMING_UP = ("register 9886977544", "create 1", *("tx add 1 5 --credit", "balance 1", "tx list 1", "export") * 2)


def import_wallet() -> None:
    """Import what most commands do, and open nothing."""
    sys.path.append(str(TESTS.parent))
    _import(COMMANDS)


def _import(names: str) -> None:
    for name in names.split():
        importlib.import_module(name)


def _import_serving() -> None:
    _import("""
        greenlet gzip http.server httptools jwt starlette.routing uvicorn.lifespan.off uvicorn.lifespan.on
        uvicorn.loops.uvloop uvicorn.server uvloop wsgiref.simple_server prometheus_client.multiprocess
        wallet_cli.cli.serve wallet_cli.web.app wallet_cli.web.auth wallet_cli.web.fibers
        wallet_cli.web.read_connections wallet_cli.web.readers wallet_cli.web.requests wallet_cli.web.responses
        wallet_cli.web.server wallet_cli.web.server_state wallet_cli.web.streaming
    """)
    from wallet_cli.web import read_worker, readers

    readers.start_program = _reader
    # A test waits for each read: beside other workers, a process of the least priority would hardly ever run.
    read_worker.run_behind = lambda: None
    # prometheus_client chooses where counts are kept when it is imported: here it is when the first one is made.
    values: Any = importlib.import_module("prometheus_client.values")
    chosen = cache(values.get_value_class)
    values.ValueClass = lambda *arguments, **named: chosen()(*arguments, **named)


def _import_mcp() -> None:
    _import("mcp.server.lowlevel mcp.server.stdio mcp_types wallet_cli.cli.mcp wallet_cli.cli.mcp_tools")


LATER = {"serve": _import_serving, "mcp": _import_mcp}
"""What a nursery imports when it is first asked for a command that needs it."""


def _warm_up() -> None:
    """Run some commands: what each process would load first, such as the forms of a locale, its children have then."""
    from wallet_cli.cli.app import main

    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        os.environ.clear()
        os.environ.update({"HOME": folder, "LC_ALL": "C.UTF-8", "TZ": "UTC"})
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            for line in WARMING_UP:
                assert main(["--db", f"{folder}/wallet.db", *line.split()]) == 0, line


def _share() -> None:
    """Let children share what is there now, and not copy it page by page when their collector looks at it."""
    gc.collect()
    gc.freeze()


def one(fd: int) -> None:
    """`alone` without the nursery."""
    import_wallet()
    _share()
    answer(fd)


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
