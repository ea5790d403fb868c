"""A server serves the ledger of its start, by the settings of its start, whatever becomes of either meanwhile."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import engines
from support import server as running
from support.engines import Engine
from support.server import Server
from support.waiting import wait_for
from web.calls import failure

from wallet_cli.web.metrics_folder import PREFIX

TOKENS = ("a" * 40, "b" * 40)
LINES = ("register 9886977544", "create 1", "tx add 1 5 --credit --note {note}")


def config(ledger: Path, secret: str) -> str:
    return f'jwt_secret_key = "{secret}"\n[ledgers.books]\ndb = "{ledger}"\n'


def workers(folder: Path) -> set[int]:
    """The processes that serve, by the files of their counts."""
    [counts] = folder.glob(f"{PREFIX}*")
    return {int(file.stem.rpartition("_")[2]) for file in counts.glob("counter_*.db")}


@contextmanager
def two_workers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Path, Path]]:
    """A server of the ledger `one`, where a config file names it; and a ledger `two`."""
    # Afresh: it looks where temporary files are kept.
    monkeypatch.setattr(running, "PROGRAM", [*running.WALLET, "--ledger", "books"])
    one, two = folder / "one.db", folder / "two.db"
    for ledger in (one, two):
        engines.tell(ledger, [line.format(note=ledger.stem) for line in LINES])
    given = folder / "config.toml"
    given.touch(0o600)
    given.write_text(config(one, TOKENS[0]))
    environ = {"TMPDIR": str(folder), "WALLET_CONFIG": str(given)}
    with Server(folder, "--workers", "2", environ=environ) as server:
        yield server, one, two


def new_worker(folder: Path) -> None:
    """Let another worker come in the place of one that dies, and be the only one."""
    before = workers(folder)
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    wait_for(lambda: len(workers(folder) - before) == 2)


@pytest.mark.on_file("which settings a process has")
@pytest.mark.parametrize("changed", ["db", "secret"])
def test_a_worker_that_is_started_again_has_the_settings_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    with two_workers(tmp_path, monkeypatch) as (server, one, two):
        token = server.wallet("--ledger books token 1 -q").out.strip()
        db, secret = (two, TOKENS[0]) if changed == "db" else (one, TOKENS[1])
        (tmp_path / "config.toml").write_text(config(db, secret))
        new_worker(tmp_path)
        answer = server.api(token).get("/transactions/get/1/1")
        assert answer.status_code == 200, answer.text
        assert [each["note"] for each in answer.json()["data"]["transactions"]] == ["one"]
        assert server.stop() == 0


@pytest.mark.on_file("which file a process opens")
def test_a_worker_opens_no_other_ledger_than_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with two_workers(tmp_path, monkeypatch) as (server, one, two):
        one.rename(tmp_path / "away.db")
        two.rename(one)
        for worker in workers(tmp_path):
            os.kill(worker, signal.SIGKILL)
        assert server.stop(0) == 1
        assert "the ledger file was replaced by another one while it was in use" in server.stderr


ASKED = {
    "statement": ("GET", "/wallet/statement/1/1", ""),
    "long page": ("GET", "/transactions/get/1/1?limit=500", ""),
    "export": ("GET", "/export", ""),
    "import": ("POST", "/import", "wallet,amount,kind\n1/main,5,credit\n"),
}


@pytest.fixture(scope="module")
def other(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that finds another ledger where the one was that it opened."""
    folder = tmp_path_factory.mktemp("other")
    db = engine.copy("one", [line.format(note="one") for line in LINES], folder)
    with Server(folder, "--no-auth") as server:
        engines.execute(db, f"UPDATE ledger SET uuid = '{uuid.uuid4()}'")
        yield server


@pytest.mark.parametrize("asked", ASKED)
def test_what_opens_the_ledger_anew_takes_no_other(other: Server, asked: str) -> None:
    method, path, body = ASKED[asked]
    answer = other.api().request(method, path, content=body, headers={"Content-Type": "text/csv"})
    failure(answer, 503, "storage_error", retryable=True)
    assert "another ledger has replaced the one that was opened" in answer.json()["message"]
    with engines.opened(other.db) as ledger:
        assert ledger.store.account(1, 0).last.seq == 1
