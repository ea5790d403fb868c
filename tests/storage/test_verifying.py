"""What a verification notes in the ledger: damage that it saw, and nothing else; and no note is taken away unseen."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import pytest
from support import engines
from support.cli import run
from support.engines import Address, Engine

from wallet_cli import settings
from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import Busy, Damaged, StorageError, WalletError
from wallet_cli.operations import verification
from wallet_cli.operations.chain_check import Along
from wallet_cli.operations.context import Ledger, open_ledger
from wallet_cli.storage.sqlite import SqliteStore

STORY = (
    "register 9886977544",
    "create 1",
    "create 1/points --currency PTS/0",
    *["tx add 1 5 --credit", "tx add 1/points 5 --credit"] * 3,
)
EARLIER, LATER = "transaction 1-1: its note is wrong", "transaction 2-1: the hash is wrong"


@pytest.fixture
def address(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    with engine.lent("verifying", STORY) as address:
        monkeypatch.setenv("WALLET_DB", str(address))
        yield address


def opened(purpose: Purpose = Purpose.READ) -> AbstractContextManager[Ledger]:
    return open_ledger(settings.load({}), lambda _: None, purpose=purpose)


def mark() -> str | None:
    with opened() as ledger:
        return ledger.store.itself().damaged


def set_mark(text: str | None) -> None:
    with opened(Purpose.WRITE) as other, other.executor.exclusively("mark"):
        other.store.set_damaged(text)


class _While(Along):
    """Does something as soon as the first row of that wallet was read."""

    def __init__(self, wallet: int, do: Callable[[], None]) -> None:
        self._before = 3 * (wallet - 1)
        self._do = do

    def transaction(self, hash_: bytes) -> None:
        if not self._before:
            self._do()
        self._before -= 1


def end_reads(ledger: Ledger) -> None:
    """The reads of a ledger fail from now on, as on a disk that fails, or on a server that restarts."""
    if isinstance(ledger.store, SqliteStore):
        ledger.store.connection.interrupt()
        return
    session = ledger.store.connection.info.backend_pid
    engines.execute(ledger.chosen.db, f"SELECT pg_terminate_backend({session}, 5000)")


@pytest.mark.filterwarnings("ignore:.*deleted while still open")  # psycopg cannot close a cursor of a lost session
@pytest.mark.parametrize("wallet", [1, 2])
def test_a_read_that_fails_is_no_damage(address: Address, wallet: int) -> None:
    try:
        with opened() as ledger:
            verification.verify(ledger, along=_While(wallet, lambda: end_reads(ledger)))
    except StorageError as error:
        told = error.with_traceback(None)
    assert not isinstance(told, Damaged)
    assert "transaction" not in told.message
    gc.collect()
    assert mark() is None
    assert run("tx add 1 5 --credit").code == 0


class Case(NamedTuple):
    before: str | None
    """The mark that the ledger has when the verification begins."""
    meanwhile: str | None
    """The mark that it has when the rows have been read."""
    after: str | None
    raises: type[WalletError] | None


@contextmanager
def _taken() -> Iterator[None]:
    with opened(Purpose.WRITE) as other, other.executor.exclusively("import"):
        yield


CASES = {
    "none": Case(None, None, None, None),
    "one that was there": Case(EARLIER, EARLIER, None, None),
    "one that was taken away by another": Case(EARLIER, None, None, None),
    "one that was set since": Case(None, LATER, LATER, StorageError),
    "one that was set in place of another": Case(EARLIER, LATER, LATER, StorageError),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_mark_is_taken_away_if_it_was_there_before_the_rows_were_read(address: Address, case: Case) -> None:
    set_mark(case.before)

    def meanwhile() -> None:
        if case.meanwhile != case.before:
            set_mark(case.meanwhile)

    with opened() as ledger:
        if case.raises is None:
            assert verification.verify(ledger, along=_While(1, meanwhile))["ok"]
        else:
            with pytest.raises(case.raises) as told:
                verification.verify(ledger, along=_While(1, meanwhile))
            assert told.value.message.endswith(f"still takes no writes: damage was seen meanwhile: {LATER}")
    assert mark() == case.after


def test_a_mark_that_cannot_be_taken_away_is_told(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "LOOK_TIMEOUT_S", 0.1)
    set_mark(EARLIER)
    with _taken():
        done = run("verify --json")
    assert (done.code, done.out, done.error["code"]) == (Busy.exit_code, "", Busy.code)
    assert "all was right when this began, but the ledger still takes no writes: no turn" in done.error["message"]
    assert mark() == EARLIER
    assert run("verify --json").json["ok"]
    assert run("tx add 1 5 --credit").code == 0
