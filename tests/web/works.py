"""What tests have a server read in processes of its own: those import this module."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wallet_cli.errors import UserNotFound
from wallet_cli.operations import users
from wallet_cli.operations.context import Ledger

WAIT_S = 60.0
BEFORE = frozenset(sys.modules)


def parts(_ledger: Ledger, *given: bytes | Exception) -> Iterator[bytes]:
    """What it is given, as chunks; an exception is raised in its turn."""
    for part in given:
        if isinstance(part, Exception):
            raise part
        yield part


def imported(_ledger: Ledger) -> list[str]:
    """The modules that each read imports anew: not this one, which belongs to tests."""
    return sorted((sys.modules.keys() | {"wallet_cli.web.long_reads"}) - BEFORE)


def phones(ledger: Ledger) -> Iterator[bytes]:
    for user in ledger.store.users():
        yield f"{user.phone_e164}\n".encode()


def writes(ledger: Ledger) -> Iterator[bytes]:
    ledger.run(users.register(ledger, "9886977549"), "register")
    yield b"written"


def first_and_last(_ledger: Ledger, folder: Path) -> Iterator[bytes]:
    """`first`, and, once there is a file `go` in the folder, `last`."""
    begin(folder)
    yield b"first"
    await_file(folder / "go")
    yield b"last"


def endless(_ledger: Ledger, folder: Path) -> Iterator[bytes]:
    begin(folder)
    while True:
        yield b"x" * 10_000


def spinning(_ledger: Ledger, folder: Path) -> int:
    """Never answers, and never lets go of the interpreter but where it has to."""
    begin(folder)
    while True:
        pass


def in_sql(ledger: Ledger, folder: Path) -> Any:
    """Never comes back from one statement."""
    begin(folder)
    return ledger.store._one(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n", {}, tuple
    )


def refuses(_ledger: Ledger) -> None:
    raise UserNotFound("no", hint="ask", id=7)


def fails(_ledger: Ledger) -> float:
    return 1 / 0


def waits(_ledger: Ledger, folder: Path) -> str:
    """Answers once there is a file `go` in the folder."""
    begin(folder)
    await_file(folder / "go")
    return "done"


def at_once(_ledger: Ledger, answer: str) -> str:
    return answer


def begin(folder: Path) -> None:
    """Say which process this is."""
    (folder / f"begun-{os.getpid()}").touch()


def await_file(path: Path) -> None:
    until_s = time.monotonic() + WAIT_S
    while not path.exists():
        assert time.monotonic() < until_s, path
        time.sleep(0.005)


def living(folder: Path) -> list[int]:
    """Which of the processes that have begun there are still there."""
    return [pid for pid in (int(each.name.removeprefix("begun-")) for each in folder.glob("begun-*")) if _lives(pid)]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
