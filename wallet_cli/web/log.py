"""Structured logs on stderr: one JSON object per line, with a request id.

Nothing identifies a person or what they own: no phone number, token, key, amount or query string.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import secrets
import sys
import time
from collections.abc import MutableMapping
from typing import Any

from wallet_cli.domain.period import format_time

REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:/+=@-]{1,128}")
REPEAT_EVERY_S = 30.0
MAX_KINDS = 1000
"""How many kinds of lines are counted separately in that time."""

_count = itertools.count(1)
_start = ""


def _new_start() -> None:
    """Workers are forked, and must not use the same request numbers."""
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
