"""Fixtures: every test has a folder, an empty ledger and settings of its own, whatever the machine's are.

A test that uses one of `engine`, `db`, `wallet` and `ledger` is run on a file and on PostgreSQL, unless it is marked
`on_file("why")`. `-m postgres` runs those on PostgreSQL alone, `-m "not postgres"` all others.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import hypothesis
import pytest
from support import cli, declared, engines, memory, postgres, schedule, somebody
from support.engines import Address, Engine

from wallet_cli import settings
from wallet_cli.cli.screen.terminal import COLOR_VARIABLES, PAGER_VARIABLES
from wallet_cli.domain import actors
from wallet_cli.operations.context import Ledger

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")  # no timing is asserted: a machine may be as busy as it likes

VARIABLES = [name for setting in settings.SETTINGS for name in setting.variables]


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()  # until all tests are collected: they stay
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A script's `pytest &` starts with Ctrl-C ignored, and every command of a test would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    worker = getattr(config, "workerinput", None)
    if worker is None:
        memory.use()
        postgres.begin_run()
    elif [Path(each).name for each in config.args] == ["tests"]:
        config.args = schedule.rotated(
            sorted(Path(config.args[0]).glob("*/")), int(worker["workerid"][2:]), worker["workercount"]
        )


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        postgres.end_run()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what has a ledger on each engine, one after the other in each module, as servers are a module's."""
    if "engine" in metafunc.fixturenames and metafunc.definition.get_closest_marker("on_file") is None:
        missing = postgres.why_not()
        marks = [pytest.mark.postgres, pytest.mark.skipif(missing is not None, reason=str(missing))]
        names = [pytest.param(name, marks=marks if name == "postgres" else []) for name in engines.NAMES]
        metafunc.parametrize("engine", names, indirect=True, scope="module")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out, on PostgreSQL, those of a table of tests that are marked one by one; and the longest come first.

    Each worker has them in the same order, wherever it began to collect.
    """
    kept = [item for item in items if not (_on_postgres(item) and item.get_closest_marker("on_file"))]
    items[:] = sorted(kept, key=lambda item: (schedule.place_of(item.nodeid), item.path))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> schedule.LongestFirst:
    return schedule.LongestFirst(config, log)


def pytest_collection_finish() -> None:
    """Thousands of tests have been collected and stay: garbage is not looked for among them again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _on_postgres(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and item.get_closest_marker("postgres") is not None


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """What the ledgers of a test are kept in."""
    engine = engines.begin(getattr(request, "param", "file"))
    yield engine
    engines.end(engine)


@pytest.fixture(scope="session")
def empty_ledger() -> Path:
    """A ledger just made, in a file, to copy from."""
    return engines.empty_file()


@pytest.fixture(autouse=True, scope="session")
def declared_refusals() -> Iterator[None]:
    """Whatever is tested, no rule refuses with an error that it does not declare."""
    with declared.refusals():
        yield


@pytest.fixture(autouse=True, scope="session")
def mira() -> Iterator[None]:
    """Whoever runs the tests, at the terminal of each command is Mira."""
    with mock.patch.object(actors, "by_terminal", return_value=somebody.MIRA):
        yield


@pytest.fixture(autouse=True)
def clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory and home, no settings, and UTC."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    for name in ("WALLET_DEBUG", *PAGER_VARIABLES, *COLOR_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def db(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """An empty ledger, which is also what WALLET_DB names: a path, or the URL of a database."""
    address = engine.new(tmp_path)
    monkeypatch.setenv("WALLET_DB", str(address))
    yield address
    engine.forget(tmp_path)


@pytest.fixture
def wallet(db: Address) -> Callable[[str | list[str]], cli.Outcome]:
    """Runs a command line on the test's ledger: `wallet("tx add 1 5 --credit")`."""
    return cli.run


@pytest.fixture
def ledger(db: Address) -> Iterator[Ledger]:
    """The test's ledger, open."""
    with engines.opened(db) as opened:
        yield opened
