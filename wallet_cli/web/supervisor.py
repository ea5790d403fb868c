"""Several processes on one socket: started by fork, before anything is opened, and restarted when they die.

uvicorn's own supervisor starts new processes and creates their servers itself; it cannot use this program's.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType

from wallet_cli.web.log import log

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The variable for the folder where workers store their counts; prometheus_client reads it once, at its import."""

LONG_ENOUGH_S = 2.0
"""A worker that dies sooner would die again: then the server stops instead of retrying for ever."""


Work = Callable[[Callable[[], None]], None]
"""The work of a worker; it gets the function to call when it is ready."""


def supervise(workers: int, work: Work, *, started: Callable[[], None], stopping: Callable[[], None]) -> int:
    """Run `work` in `workers` processes until SIGTERM or SIGINT; returns the exit code.

    `started` is called when all are ready, and `stopping` before they are told to stop. The first signal is passed on,
    and the workers finish the accepted requests; the second signal kills them. If this process dies, they stop too.
    `work` is called with the two signals blocked, and must unblock them when it can handle them.
    """
    return _Supervisor(workers, work, started, stopping).run()


SIGNALS_AT_ONCE = 4096


class _Supervisor:
    def __init__(self, workers: int, work: Work, started: Callable[[], None], stopping: Callable[[], None]) -> None:
        self._count = workers
        self._work = work
        self._all_started = started
        self._before_stop = stopping
        self._started_s: dict[int, float] = {}
        self._stopping = False
        self._failed = False
        # Nobody writes to this pipe: a worker that reads from it sees its end when the supervisor is gone.
        self._life_read, self._life_write = os.pipe()
        # Each worker writes one byte when it is ready.
        self._ready_read, self._ready_write = os.pipe()
        # Python writes one byte for each signal, when it comes. A handler runs only between two steps of Python: one
        # that comes just before a call that waits, such as os.wait(), would be seen when that returns, which may be
        # never.
        self._woken_read, self._woken_write = os.pipe()
        os.set_blocking(self._woken_write, False)

    def run(self) -> int:
        signal.set_wakeup_fd(self._woken_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _nothing)  # its byte is enough
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)
        for _ in range(self._count):
            self._start_one()
        self._say_started()
        while True:
            for pid, status in self._ended():
                self._replace(pid, status)
            if not self._started_s:
                break
            self._wait()
        return 1 if self._failed else 0

    def _wait(self, *descriptors: int) -> list[int]:
        """Wait until one of these can be read, or a signal comes."""
        ready, _, _ = select.select([*descriptors, self._woken_read], [], [])
        if self._woken_read in ready:
            os.read(self._woken_read, SIGNALS_AT_ONCE)
        return ready

    def _ended(self) -> Iterator[tuple[int, int]]:
        """The workers that have ended, and how."""
        for pid in list(self._started_s):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                yield pid, status

    def _replace(self, pid: int, status: int) -> None:
        lived_s = time.monotonic() - self._started_s.pop(pid)
        if self._stopping:
            return
        log("worker_died", pid=pid, status=os.waitstatus_to_exitcode(status))
        if lived_s < LONG_ENOUGH_S:
            self._failed = True
            self._end_all(signal.SIGTERM)
        else:
            self._start_one()

    def _say_started(self) -> None:
        """Wait until all are ready, or until none can become ready."""
        os.close(self._ready_write)
        self._ready_write = -1
        ready = 0
        while ready < self._count:
            if self._ready_read not in self._wait(self._ready_read):
                continue
            said = os.read(self._ready_read, self._count)
            if not said:
                break
            ready += len(said)
        if ready == self._count and not self._stopping:
            self._all_started()

    def _start_one(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        pid = os.fork()
        if pid:
            self._started_s[pid] = time.monotonic()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            return
        code = 1
        try:
            os.close(self._life_write)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(self._woken_read)
            os.close(self._woken_write)
            threading.Thread(target=self._stop_with_parent, name="wallet-parent", daemon=True).start()
            self._work(self._say_ready)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _say_ready(self) -> None:
        if self._ready_write >= 0:  # nobody waits for a worker that starts later
            os.write(self._ready_write, b".")
            os.close(self._ready_write)

    def _stop_with_parent(self) -> None:
        os.read(self._life_read, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._end_all(signal.SIGKILL if self._stopping else signal.SIGTERM)

    def _end_all(self, number: signal.Signals) -> None:
        if not self._stopping:
            self._stopping = True
            self._before_stop()
        for pid in list(self._started_s):
            with suppress(ProcessLookupError):  # already gone: os.wait() reports it
                os.kill(pid, number)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """For a signal that only has to wake."""
