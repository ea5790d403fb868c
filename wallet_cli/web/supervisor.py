"""Several processes on one socket: started by fork, before anything is opened, and restarted when they die.

uvicorn's own supervisor starts new processes and creates their servers itself; it cannot use this program's.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType

from wallet_cli.errors import WalletError
from wallet_cli.web.log import finish, log

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The variable for the folder where workers store their counts; prometheus_client reads it once, at its import."""

LONG_ENOUGH_S = 2.0
"""A worker that dies sooner after it was ready, or before that, may die again."""

MOST_RESTARTS, FIRST_PAUSE_S = 5, 0.1
"""How often in a row such a worker is started again, and the pause before the second time, which doubles each time.
Then the server stops instead of trying for ever.
"""

NUMBER = struct.Struct("=i")

Work = Callable[[Callable[[], None]], None]
"""The work of a worker; it gets the function to call when it is ready."""


def supervise(
    workers: int,
    work: Work,
    *,
    started: Callable[[], None],
    stopping: Callable[[], None],
    died: Callable[[int], None] = lambda _: None,
) -> int:
    """Run `work` in `workers` processes until SIGTERM or SIGINT; returns the exit code.

    `started` is called when all are ready, `died` with the process id of one that has died, and `stopping` before they
    are told to stop. The first signal is passed on,
    and the workers finish the accepted requests; the second signal kills them. If this process dies, they stop too.
    `work` is called with the two signals blocked, and must unblock them when it can handle them.
    """
    return _Supervisor(workers, work, started, stopping, died).run()


SIGNALS_AT_ONCE = 4096


class _Worker:
    def __init__(self, restarts: int) -> None:
        self.restarts = restarts
        """How many died early in a row before this one, in its place."""
        self.ready_s: float | None = None

    @property
    def is_early(self) -> bool:
        """Whether it would die early if it died now."""
        return self.ready_s is None or time.monotonic() - self.ready_s < LONG_ENOUGH_S


class _Supervisor:
    def __init__(
        self,
        workers: int,
        work: Work,
        started: Callable[[], None],
        stopping: Callable[[], None],
        died: Callable[[int], None],
    ) -> None:
        self._count = workers
        self._work = work
        self._all_started = started
        self._before_stop = stopping
        self._died = died
        self._workers: dict[int, _Worker] = {}
        self._due: list[tuple[float, int]] = []
        """When to start workers again, and how many died early in a row before each."""
        self._ready = 0
        """How many have been ready, until all were at first."""
        self._stopping = False
        self._failed = False
        # Nobody writes to this pipe: a worker that reads from it sees its end when the supervisor is gone.
        self._life_read, self._life_write = os.pipe()
        # Each worker writes its process id when it is ready.
        self._ready_read, self._ready_write = os.pipe()
        os.set_blocking(self._ready_read, False)
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
            self._start_one(0)
        while True:
            for pid, status in self._ended():
                self._replace(pid, status)
            self._hear_ready()
            self._start_due()
            if not self._workers and (self._stopping or not self._due):
                return 1 if self._failed else 0
            self._wait()

    def _wait(self) -> None:
        """Wait until a worker is ready, a signal comes, or it is time to start a worker."""
        due_s = min((at_s for at_s, _ in self._due), default=None)
        timeout_s = None if due_s is None or self._stopping else max(0.0, due_s - time.monotonic())
        ready, _, _ = select.select([self._ready_read, self._woken_read], [], [], timeout_s)
        if self._woken_read in ready:
            os.read(self._woken_read, SIGNALS_AT_ONCE)

    def _ended(self) -> Iterator[tuple[int, int]]:
        """The workers that have ended, and how."""
        for pid in list(self._workers):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                yield pid, status

    def _replace(self, pid: int, status: int) -> None:
        self._hear_ready()  # it may have said so just before
        worker = self._workers.pop(pid)
        if self._stopping:
            return
        log("worker_died", pid=pid, status=os.waitstatus_to_exitcode(status))
        self._start_again(worker)
        self._died(pid)

    def _start_again(self, worker: _Worker) -> None:
        """Start one in the place of a worker that has died: soon; or never, where that would help nothing."""
        restarts = worker.restarts + 1 if worker.is_early else 0
        never_served = worker.ready_s is None and self._ready < self._count
        if never_served or restarts > MOST_RESTARTS:
            self._failed = True
            self._end_all(signal.SIGTERM)
        else:
            pause_s = FIRST_PAUSE_S * 2 ** (restarts - 2) if restarts > 1 else 0.0
            self._due.append((time.monotonic() + pause_s, restarts))

    def _start_due(self) -> None:
        now_s = time.monotonic()
        due = [each for each in self._due if each[0] <= now_s]
        self._due = [each for each in self._due if each[0] > now_s]
        for _, restarts in due:
            self._start_one(restarts)

    def _hear_ready(self) -> None:
        """Note which workers have said that they are ready; when all are for the first time, say so."""
        with suppress(BlockingIOError):
            said = os.read(self._ready_read, NUMBER.size * SIGNALS_AT_ONCE)
            for (pid,) in NUMBER.iter_unpack(said):
                self._workers[pid].ready_s = time.monotonic()
                self._ready += 1
                if self._ready == self._count and not self._stopping:
                    self._all_started()

    def _start_one(self, restarts: int) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        if self._stopping:  # told so just before
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            return
        worker = _Worker(restarts)
        try:
            pid = os.fork()
        except OSError as error:  # no process or no memory is free: as if it had died at once
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            log("worker_not_started", reason=error.strerror)
            self._start_again(worker)
            return
        if pid:
            self._workers[pid] = worker
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
        except WalletError as error:
            log("worker_failed", code=error.code, reason=error.message)
        except BaseException:
            log("worker_failed", error=traceback.format_exc())
        finally:
            finish()
            os._exit(code)

    def _say_ready(self) -> None:
        os.write(self._ready_write, NUMBER.pack(os.getpid()))
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
        for pid in list(self._workers):
            with suppress(ProcessLookupError):  # already gone: os.wait() reports it
                os.kill(pid, number)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """For a signal that only has to wake."""
