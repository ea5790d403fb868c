"""Structured logs on stderr: one JSON object per line, with a request id.

Nothing identifies a person or what they own: no phone number, token, key, amount or query string.

Somebody else reads stderr, and may stop reading, or the disk below it may be full: nothing waits for that. Lines are
queued, and a thread writes them.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import secrets
import select
import sys
import threading
import time
from collections import deque
from collections.abc import MutableMapping
from typing import Any

from wallet_cli.domain.period import format_time

REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:/+=@-]{1,128}")
REPEAT_EVERY_S = 30.0
MAX_KINDS = 1000
"""How many kinds of lines are counted separately in that time."""

MAX_WAITING = 10_000
"""How many lines may wait until stderr takes them; then the oldest is dropped for each new one."""
FINISH_S = 1.0


class _Writer:
    """Writes the lines of this process to stderr, in their order."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        # Reentrant: a finalizer may log while its thread is in here.
        self._changed = threading.Condition(threading.RLock())
        self._dropped = 0
        self._torn = False
        """Whether what was written last is the beginning of a line."""
        self._writing = False
        self._thread: threading.Thread | None = None

    def put(self, line: str) -> None:
        with self._changed:
            if len(self._lines) == MAX_WAITING:
                self._lines.popleft()
                self._dropped += 1
            self._lines.append(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="wallet-log", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def finish(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._lines and not self._writing, FINISH_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines)
                self._writing = True
                line, dropped = self._lines.popleft(), self._dropped
                self._dropped = 0
            if dropped:
                line = _line("lines_dropped", dropped=dropped) + line
            if not self._write(line.encode()):
                with self._changed:
                    self._dropped += dropped + 1

    def _write(self, rest: bytes) -> bool:
        """Whether stderr took it all; what it took a part of is ended before the next line begins."""
        if self._torn:
            rest = b"\n" + rest
        while rest:
            try:
                count = os.write(sys.stderr.fileno(), rest)
            except BlockingIOError:  # somebody has made it non-blocking
                select.select([], [sys.stderr], [])
                continue
            except (OSError, ValueError):  # it is closed
                return False
            self._torn = rest[count - 1 : count] != b"\n"
            rest = rest[count:]
        return True


_count = itertools.count(1)
_start = ""
_writer: _Writer


def _new_start() -> None:
    """Workers are forked: they must not use the same request numbers, and the thread that writes is not theirs."""
    global _start, _writer
    _start = secrets.token_hex(4)
    _writer = _Writer()


_new_start()
os.register_at_fork(after_in_child=_new_start)


def log(event: str, **fields: Any) -> None:
    """Write one line: `time`, `event`, and the fields given. Returns before it is written."""
    _writer.put(_line(event, **fields))


def finish() -> None:
    """Wait until all lines are written, or for a second: nobody may read them."""
    _writer.finish()


def _line(event: str, **fields: Any) -> str:
    return json.dumps({"time": format_time(time.time_ns() // 1000), "event": event} | fields) + "\n"


class LogHandler(logging.Handler):
    """Writes other libraries' warnings to this log; their texts name no caller and no content."""

    def emit(self, record: logging.LogRecord) -> None:
        log(record.levelname.lower(), source=record.name, message=record.msg)


class Repeated:
    """Lines that strangers can cause, limited so that they cannot fill the log: the first of a kind at once, and then,
    every half minute, the number of further ones.
    """

    def __init__(self) -> None:
        self._since_s = time.monotonic()
        self._times: dict[tuple[tuple[str, Any], ...], int] = {}

    def log(self, event: str, once: dict[str, Any], **kind: Any) -> None:
        """`kind` identifies equal lines; `once` has the fields that only the first of them shows."""
        if time.monotonic() - self._since_s >= REPEAT_EVERY_S:
            self.flush()
        same = (("event", event), *sorted(kind.items()))
        if same not in self._times and len(self._times) >= MAX_KINDS:
            same = (("event", event), ("others", True))
            kind, once = {"others": True}, {}
        if same not in self._times:
            log(event, **kind, **once)
            self._times[same] = 0
        else:
            self._times[same] += 1

    def flush(self) -> None:
        """Log how many more there were, and start again."""
        times, self._times, self._since_s = self._times, {}, time.monotonic()
        for kind, more in times.items():
            if more:
                log(**dict(kind), more=more)


def take_over_logging() -> None:
    """Send the libraries' logs through `log`."""
    logging.basicConfig(handlers=[LogHandler()], level=logging.WARNING, force=True)


def request_id(scope: MutableMapping[str, Any]) -> str:
    """The id of a request: the caller's `X-Request-ID` if there is a plain one; else a new one, which stays."""
    if "request_id" not in scope:
        given = [value for name, value in scope["headers"] if name == b"x-request-id"]
        plain = len(given) == 1 and REQUEST_ID.fullmatch(given[0])
        scope["request_id"] = given[0].decode("ascii") if plain else f"{_start}-{next(_count)}"
    return str(scope["request_id"])
