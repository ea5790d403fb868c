"""The connection to PostgreSQL, which never waits for ever, and statements in the form that it needs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from wallet_cli.errors import InvalidInput
from wallet_cli.storage.queries import Values

APPLICATION_NAME = "wallet"
CONNECT_TIMEOUT_S = 5
SILENCE_TIMEOUT_MS = 5_000
"""How long sent bytes may stay without an answer from the other host before the connection counts as lost."""


DEFAULTS: Mapping[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "application_name": APPLICATION_NAME,
    # Of several hosts, the one that is the primary.
    "target_session_attrs": "read-write",
    "tcp_user_timeout": SILENCE_TIMEOUT_MS,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}
ALWAYS: Mapping[str, Any] = {
    # Regardless of the role, the environment or the URL: text is written and read unchanged.
    "client_encoding": "UTF8",
}

URL_HINT = "postgresql://user:password@host:5432/database; write @ / : ? # % of a password as %40 %2F %3A %3F %23 %25"

WAKE_S = 0.1
"""How often a wait reads the clock."""

T = TypeVar("T")
UntilReady = Callable[[int, int, float], int]
"""Waits for a file: its number, what for (bits of `selectors`), and for how many seconds at most. Returns what it is
ready for; 0 when the time is up."""


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that never waits for ever: `silence_s` after the last byte from the server it counts as lost.

    The kernel notices when another host does not acknowledge what was sent. It does not notice if something between the
    two hosts acknowledges it, and passes nothing on.
    """

    silence_s = float(CONNECT_TIMEOUT_S)
    until_ready: UntilReady | None = None
    """How it waits while other work goes on; if None, the thread waits."""

    has_had_turns = False
    """Whether this session has had a turn since it last rolled back."""
    is_prepared = False
    """Whether this session has the prepared statement of a turn."""

    def wait(self, gen: Generator[Any, Any, T], *rest: Any, **more: Any) -> T:
        heard = _heard(gen, self.silence_s)
        if self.until_ready is None:
            return super().wait(heard, *rest, **more)
        try:
            return _driven(heard, self.pgconn.socket, self.until_ready)
        except Exception:
            raise
        except BaseException:
            self.pgconn.finish()  # nobody reads the rest of this answer; it would be taken for the next one
            raise


def _driven(gen: Generator[Any, Any, T], file: int, until_ready: UntilReady) -> T:
    """Run a conversation with the server to its end."""
    try:
        wanted = next(gen)
        while True:
            wanted = gen.send(until_ready(file, wanted, WAKE_S))
    except StopIteration as end:
        answer: T = end.value
        return answer


def _heard(gen: Generator[Any, Any, T], silence_s: float) -> Generator[Any, Any, T]:
    """The same conversation, given up after this much silence."""
    until_s = time.monotonic() + silence_s
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready:
                until_s = time.monotonic() + silence_s
            elif time.monotonic() > until_s:
                raise psycopg.OperationalError(f"the database has not answered for {silence_s:g} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        answer: T = end.value
        return answer


def conninfo_of(url: str) -> str:
    """The driver's connection string. Raises InvalidInput, without any part of the URL: in a wrong URL, any part may be
    the password.
    """
    before_options = url.partition("://")[2].partition("?")[0]
    try:
        given = {name: value for name, value in conninfo_to_dict(url).items() if value is not None}
        ports = str(given.get("port", ""))
        if not re.fullmatch(r"\d{0,5}(,\d{0,5})*", ports) or not re.fullmatch(r"([^@/]*@)?[^@]*", before_options):
            raise InvalidInput("not a PostgreSQL URL", hint=URL_HINT)
        return make_conninfo(**{**DEFAULTS, **given, **ALWAYS})
    except psycopg.ProgrammingError:
        raise InvalidInput("not a PostgreSQL URL", hint=URL_HINT) from None


@lru_cache(maxsize=1024)
def translated(statement: str) -> bytes:
    """A statement with `:named` or `?` parameters, in the form of the driver."""
    text = statement.replace("%", "%%")
    text = re.sub(r"(?<![:\w]):(\w+)", r"%(\1)s", text)
    return text.replace("?", "%s").encode()


def with_numbers(statement: str, numbers: Sequence[int]) -> str:
    """A statement with whole numbers in the place of its `?`: several statements at once cannot have parameters."""
    rest = iter(numbers)
    return re.sub(r"\?", lambda _: str(int(next(rest))), statement)


def spelled(statement: str, rows: Iterable[Sequence[Any]], connection: pq.abc.PGconn) -> bytes:
    """A statement with `VALUES (?, …)` for one row, as one statement for all `rows`, with the values written out.

    PostgreSQL reads such a text three times as fast as it runs a prepared statement for each row, and it can be sent
    together with what comes after it. `connection` knows how the server wants text quoted. Raises psycopg.DataError for
    text that PostgreSQL cannot store.
    """
    before, _, marks_on = statement.partition("VALUES (")
    after = marks_on.partition(")")[2]
    quote = pq.Escaping(connection).escape_literal
    written = ", ".join([f"({', '.join([_literal(value, quote) for value in row])})" for row in rows])
    return f"{before}VALUES {written}{after}".encode()


def _literal(value: object, quote: Callable[[bytes], bytes]) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, bytes):
        return rf"E'\\x{value.hex()}'"
    assert isinstance(value, str)
    if "\0" in value:
        raise psycopg.DataError("PostgreSQL cannot store text with NUL (0x00) in it")
    return quote(value.encode()).decode()


def bound(values: Values) -> Any:
    """Values in the form of the driver: no limit is NULL, not -1."""
    if isinstance(values, dict) and values.get("limit") == -1:
        return values | {"limit": None}
    return values


def plain(row: Sequence[Any]) -> tuple[Any, ...]:
    """A row with its booleans as the whole numbers that both engines store."""
    return tuple(int(value) if isinstance(value, bool) else value for value in row)
