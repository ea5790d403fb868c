"""A server that the tests of a module share, and the ledger of each test in a file beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from remote.place import SECRET, Place
from support.engines import Engine
from support.server import Server
from support.somebody import ONE_PERSON

from wallet_cli.remote import http


@pytest.fixture(autouse=True, scope="module")
def on_each_engine(engine: Engine) -> None:
    """What is served is kept on one engine, and then on the other."""


@pytest.fixture(scope="module")
def served(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("afar"), environ={"JWT_SECRET_KEY": SECRET, ONE_PERSON: "1"}) as server:
        yield server


@pytest.fixture(scope="module")
def module_place(served: Server, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(served, tmp_path_factory.mktemp("file") / "wallet.db")


@pytest.fixture
def place(module_place: Place) -> Place:
    return module_place


@pytest.fixture(autouse=True)
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses before another try are there, and short."""
    monkeypatch.setattr(http, "FIRST_PAUSE_S", 0.001)
