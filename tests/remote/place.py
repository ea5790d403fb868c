"""One ledger, asked in two ways: as a file, and from afar through a `wallet serve` on it, or on a database.

Before each command line the file is made a copy of what is served, so both ways start from the same; what the two
leave behind is compared, with what no two runs share (times of now, new keys and tokens) put out of sight.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import apsw
import httpx
import pytest
from support import engines, sessions
from support.cli import Outcome, run
from support.server import Server

from wallet_cli.domain.commands import NoteUse
from wallet_cli.engine.write_lock import LAST_COMMIT_AT

TABLES = ("users", "wallets", "transactions", "holds", "witnesses", "operators", "events", "ledger")
SECRET = "a secret of no less than thirty-two bytes"

_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d\.\d{6}Z| \d\d:\d\d:\d\d)")
"""As programs are told it, and as people are."""
_WHERE = re.compile(r"http://127\.0\.0\.1:\d+|/[^\s\",]*wallet\.db")
_SECRET = re.compile(r"wk_[\w-]{43}|eyJ[\w-]+\.[\w-]+\.[\w-]+")
SINCE = "2026-01-01"
"""Times after this are of now, as all that the tests write down lies before it."""


class Case(NamedTuple):
    """A user and a wallet of theirs that no other test knows, with what is in it: see `Place.case`."""

    phone: str
    user: int
    wallet: int
    spare: int
    """The id of a second wallet, `spare`, which is empty."""

    def fill(self, line: str) -> list[str]:
        """A command line with `{phone}`, `{user}`, `{wallet}`, `{spare}` and `{now}` in it."""
        return [part.format(**self._asdict()) for part in shlex.split(line)]


class Both(NamedTuple):
    """What the two ways left behind."""

    file: Outcome
    afar: Outcome


class Place:
    """A server with keys, the folder of the copy, and ways to ask them."""

    def __init__(self, server: Server, copy: Path) -> None:
        self.server = server
        self.copy = copy
        self.key = server.key("afar")
        self._note_use("afar")
        # Midnight there is no midnight in UTC: a time that were read by another zone would show.
        assert server.wallet("ledger set timezone Asia/Kolkata").code == 0
        self.api: httpx.Client = server.api(self.key)
        self._cases = 0
        self._is_fresh = False
        """Whether the copy is what is served."""

    def _note_use(self, key: str) -> None:
        """Record that a key was used, as the server does now and then: `key list` shows it from the first test on."""
        with engines.opened(self.server.db) as ledger:
            ledger.carry_out(NoteUse(key), "test")

    @cached_property
    def unchanged(self) -> Case:
        """One for all commands that change nothing."""
        return self.case()

    def case(self) -> Case:
        """1-1 is a credit of 100.00 with the key `first`, 1-2 a debit of 10.00, both in 2024; 1-h1 holds 5.00."""
        self._is_fresh = False
        user = self._new_user()
        wallet, spare = (self._post("/wallet/create", user_id=user["id"], type=type_) for type_ in ("main", "spare"))
        owned = {"user_id": user["id"], "wallet_id": wallet["id"]}
        at = {"at": "2024-04-30T20:00:00Z"}
        self._post("/transactions/create", "first", **owned, amount="100", is_credit=True, **at)
        self._post("/transactions/create", **owned, amount="10", is_credit=False, note="Groceries", **at)
        self._post("/holds/create", "hold", **owned, amount="5")
        return Case(user["phone_number"], user["id"], wallet["id"], spare["id"])

    def _new_user(self) -> Any:
        self._cases += 1
        return self._post("/users", phone_number=str(9_886_500_000 + self._cases), name="Ashá")

    def _post(self, path: str, key: str = "", **body: Any) -> Any:
        answer = self.api.post(path, json=body, headers={"Idempotency-Key": key} if key else {})
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    def both(self, arguments: list[str], environ: Mapping[str, str] | None = None, *, changes: bool = True) -> Both:
        """Run a command line in both ways, the clock of this process standing still; say if it changes nothing."""
        if not self._is_fresh:
            self.refresh()
        with standing_clock():
            file = self.on_file(arguments, environ)
            afar = self.from_afar(arguments, environ)
        self._is_fresh = not changes
        return Both(file, afar)

    def refresh(self) -> None:
        """Make the copy what is served now."""
        for ending in ("", "-wal", "-shm"):
            self.copy.with_name(self.copy.name + ending).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            # The lock stays, as somebody may have the turn; what it knows of the copy before goes.
            os.truncate(self.copy.with_name(f"{self.copy.name}.lock"), LAST_COMMIT_AT)
        if isinstance(self.server.db, Path):
            with (
                contextlib.closing(apsw.Connection(str(self.server.db), apsw.SQLITE_OPEN_READONLY)) as served,
                contextlib.closing(apsw.Connection(str(self.copy))) as copy,
                copy.backup("main", served, "main") as backup,
            ):
                backup.step()
        else:
            copy_rows(self.server.db, Path(shutil.copyfile(engines.empty_file(), self.copy)))
        self.copy.chmod(0o600)

    def on_file(self, arguments: list[str], environ: Mapping[str, str] | None = None) -> Outcome:
        return self._run(arguments, {"WALLET_DB": str(self.copy), "JWT_SECRET_KEY": SECRET}, environ)

    def from_afar(self, arguments: list[str], environ: Mapping[str, str] | None = None) -> Outcome:
        return self._run(arguments, {"WALLET_DB": self.server.url, "WALLET_TOKEN": self.key}, environ)

    def _run(self, arguments: list[str], where: Mapping[str, str], environ: Mapping[str, str] | None) -> Outcome:
        self._is_fresh = False
        with mock.patch.dict(os.environ, {**where, **(environ or {})}):
            return run(arguments)


def copy_rows(url: str, path: Path) -> None:
    """Write every row of a database into a ledger just made, in a file, which then says the same."""
    with sessions.connect(url) as served, contextlib.closing(apsw.Connection(str(path))) as copy, copy:
        for table in (*TABLES, "ledger"):  # with its id and its settings
            rows = served.execute(f"SELECT * FROM {table}".encode())
            names = [column.name for column in rows.description or ()]
            copy.execute(f"DELETE FROM {table}")
            marks = ", ".join("?" * len(names))
            copy.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)


@contextlib.contextmanager
def standing_clock() -> Iterator[None]:
    """Both ways make a document within the same second; the server's clock goes on."""
    import time

    now = time.time_ns()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: now)
        yield


def comparable(outcome: Outcome) -> Outcome:
    """An outcome without what no two runs share."""
    return Outcome(outcome.code, _plain(outcome.out), _plain(outcome.err))


def _plain(text: str) -> str:
    text = _WHERE.sub("(ledger)", text)
    text = _TIME.sub(lambda found: found[0] if found[0] < SINCE else "(now)", text)
    return _SECRET.sub("(secret)", text)


def same(both: Both) -> Outcome:
    """What both left behind, which has to be the same; it is returned for a closer look."""
    assert comparable(both.afar) == comparable(both.file)
    return both.file
