"""Where a write's outcome is unknown, whoever obeys `retryable` does nothing twice: at the terminal and over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support import engines
from support.engines import Address, Engine

from wallet_cli import settings
from wallet_cli.domain.commands import AddApiKey, Atomic, CaptureHold, Command, PlaceHold, Post, SetStatus, VoidHold
from wallet_cli.engine.executor import Executor
from wallet_cli.errors import AGAIN, LOOK_FIRST, Busy, UnknownOutcome, WalletError
from wallet_cli.operations.context import open_ledger
from wallet_cli.operations.tokens import open_tokens
from wallet_cli.web.auth import LOCAL
from wallet_cli.web.http_errors import for_strangers
from wallet_cli.web.server_state import ServerState

pytestmark = pytest.mark.on_file("what is told of a commit does not ask where it failed")

LINES = ("register 9886977544", "create 1", "tx add 1 500 --credit", "hold add 1 5")

KEYED = Post(1, is_credit=False, amount=1, key="k")
UNKEYED = KEYED._replace(key=None)

# A command, and whether giving it again does nothing twice.
COMMANDS: tuple[tuple[Command, bool], ...] = (
    (KEYED, True),
    (UNKEYED, False),
    (Atomic((KEYED, KEYED._replace(key="l"))), True),
    (Atomic((KEYED, UNKEYED)), False),
    (PlaceHold(1, 1, 1_000_000), False),
    (CaptureHold(1, 1, 1, keep=True, key="c"), True),
    (CaptureHold(1, 1, 1, keep=True), False),
    (VoidHold(1, 1), False),
    (SetStatus(1, "frozen"), True),
    (AddApiKey("till", b"x" * 32, read_only=False), False),
)


@pytest.fixture
def db(engine: Engine, tmp_path: Path) -> Address:
    return engine.copy("unknown", LINES, tmp_path)


@pytest.fixture
def broken(db: Address, monkeypatch: pytest.MonkeyPatch) -> Address:
    """A ledger of which nobody knows after a commit whether it was done."""

    def commit(self: Executor, _: object) -> None:
        self.store.rollback()
        raise UnknownOutcome("the disk is gone")

    monkeypatch.setattr(Executor, "_commit", commit)
    return db


def sent(
    db: Address, commands: Sequence[Command], deadline_s: float = 60.0, then: Callable[[], object] = int
) -> list[WalletError]:
    """The error of each command that a server is sent; `then` is called before the server stops."""

    async def told(server: ServerState, command: Command) -> WalletError:
        with pytest.raises(WalletError) as caught:
            await server.carry_out([command], LOCAL)
        return caught.value

    async def serve() -> list[WalletError]:
        chosen = settings.load({"db": str(db)})
        server = ServerState(chosen, open_tokens(chosen)[0], auth=False, access_log=False)
        server.start()
        server.deadline_s = deadline_s
        try:
            return [await told(server, command) for command in commands]
        finally:
            then()
            await server.stop()

    return asyncio.run(serve())


def assert_told(error: WalletError, *, again: bool) -> None:
    assert (error.retryable, error.hint) == (again, AGAIN if again else LOOK_FIRST)
    assert error.details == for_strangers(error).details == {"outcome": "unknown"}


def test_over_http(broken: Address) -> None:
    errors = sent(broken, [command for command, _ in COMMANDS])
    for error, (_, again) in zip(errors, COMMANDS, strict=True):
        assert isinstance(error, UnknownOutcome)
        assert_told(error, again=again)
        assert for_strangers(error).retryable is again
        assert (for_strangers(error).hint == LOOK_FIRST) is not again


@pytest.mark.parametrize(("command", "again"), COMMANDS, ids=[str(number) for number in range(len(COMMANDS))])
def test_at_the_terminal(broken: Address, command: Command, again: bool) -> None:
    if isinstance(command, Atomic):
        pytest.skip("a command is one alone")
    with open_ledger(settings.load({"db": str(broken)}), lambda _: None) as ledger:
        with pytest.raises(UnknownOutcome) as caught:
            ledger.carry_out(command, "test")
        assert_told(caught.value, again=again)


def test_a_server_that_waits_no_longer(db: Address) -> None:
    with engines.turn_held(db) as give_up:
        errors = sent(db, [KEYED, UNKEYED], 0.0, give_up)
    for error, again in zip(errors, (True, False), strict=True):
        assert isinstance(error, Busy)
        assert_told(error, again=again)
