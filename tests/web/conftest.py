"""What the tests of the endpoints share: a server with no keys, and a wallet that no other test knows."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from support.engines import Engine
from support.server import Server
from web.calls import Owned, new_wallet


@pytest.fixture(autouse=True, scope="module")
def on_each_engine(engine: Engine) -> None:
    """Every server of these tests has its ledgers on one engine, and then on the other.

    What is a module's and has a server asks for `engine` itself, so that it ends with it.
    """


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("endpoints"), "--no-auth") as running:
        yield running


@pytest.fixture
def api(server: Server) -> httpx.Client:
    return server.api()


@pytest.fixture
def owned(api: httpx.Client) -> Owned:
    """The ids of a user and of their empty wallet, which no other test knows."""
    return new_wallet(api)
