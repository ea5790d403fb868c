"""Structured logs on stderr: one JSON object a line, with a request id.

What identifies a person or says what they own stays out: no phone number, token, key, amount or query string.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import secrets
import sys
import time
from typing import Any

from wallet_cli.domain.period import format_time

MAX_REQUEST_ID_CHARS = 64
REPEAT_EVERY_S = 30.0
MAX_KINDS = 1000
"""How many kinds of lines are told apart in that time."""

_count = itertools.count(1)
_start = ""


def _new_start() -> None:
    """Workers are forked, and must not number their requests alike."""
    global _start
    _start = secrets.token_hex(4)


_new_start()
os.register_at_fork(after_in_child=_new_start)


def log(event: str, **fields: Any) -> None:
    """Write one line: `time`, `event`, and the fields given."""
    line = {"time": format_time(time.time_ns() // 1000), "event": event} | fields
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()


class LogHandler(logging.Handler):
    """Other libraries' warnings as lines of this log; their texts name no caller and no content."""

    def emit(self, record: logging.LogRecord) -> None:
        log(record.levelname.lower(), source=record.name, message=record.msg)


class Repeated:
    """Lines that strangers can cause, written so that they cannot fill the log: the first of a kind at once, and then,
    every half minute, how many more there were.
    """

    def __init__(self) -> None:
        self._since_s = time.monotonic()
        self._times: dict[tuple[tuple[str, Any], ...], int] = {}

    def log(self, event: str, once: dict[str, Any], **kind: Any) -> None:
        """`kind` says which lines are alike; `once` is what only the first of them tells."""
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
        """Tell how many more there were, and begin anew."""
        times, self._times, self._since_s = self._times, {}, time.monotonic()
        for kind, more in times.items():
            if more:
                log(**dict(kind), more=more)


def take_over_logging() -> None:
    """Let what libraries log come through `log`."""
    logging.basicConfig(handlers=[LogHandler()], level=logging.WARNING, force=True)


def new_request_id() -> str:
    return f"{_start}-{next(_count)}"


def request_id(given: bytes | None) -> str:
    """The caller's `X-Request-ID` if it is short and plain, else a new one."""
    if given is not None and len(given) <= MAX_REQUEST_ID_CHARS and given.replace(b"-", b"").isalnum():
        return given.decode("ascii", "replace")
    return new_request_id()
