"""A commit whose answer does not come: what became of it is found out before anybody is told, and it is applied once.

The wire to the server is cut at COMMIT: before the server has it, after it has answered, or so that it gets it later,
while the program is asking already. Of each command, the answer has to be true of the ledger, and the same command sent
again with its key must not be applied again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from support import cli, engines, faults, postgres
from support.faults import Fault
from support.postgres import QUICK, Cluster
from support.proxy import Cut, Proxy

from wallet_cli import settings
from wallet_cli.domain.commands import Change, NoteUse, PlaceHold, SetStatus, Single
from wallet_cli.engine import executor
from wallet_cli.errors import AGAIN, LOOK_FIRST
from wallet_cli.operations.context import open_ledger
from wallet_cli.storage import postgres as storage

pytestmark = [
    *postgres.MARKS,
    pytest.mark.skipif(postgres.is_given(), reason="needs a server on a socket of this machine"),
]

ISOLATIONS = ("read committed", "repeatable read", "serializable")
WAIT_S = 30.0

STORY = (
    "register 9886977544",
    "create 1",
    "create 1/savings",
    "tx add 1 500 --credit",
    "hold add 1 50",
    "key create till",
)
"""What is in the ledger before."""

COMMANDS = {
    "a credit": "tx add 1 5 --credit --key k",
    "a debit": "tx add 1 5 --debit --key k",
    "a transfer": "transfer 1 1/savings 5 --key k",
    "a hold": "hold add 1 5 --key k",
    "a capture": "hold capture 1-h1 20 --key k",
    "a void": "hold void 1-h1",
    "a reversal": "tx reverse 1-1 5 --key k",
    "a freeze": "freeze 1",
    "limits": "limits 1 --daily-debit 7",
    "a new user": "register 9886977545",
    "a new wallet": "create 1/other",
    "a new key": "key create desk",
    "a key revoked": "key revoke till",
}


class Wired(NamedTuple):
    """A ledger, the wire to it that the program uses, and the way round it."""

    proxy: Proxy
    direct: str

    @property
    def url(self) -> str:
        parts = urlsplit(self.direct)
        return f"postgresql://{quote(parts.username or '')}@127.0.0.1:{self.proxy.port}{parts.path}"

    def waits(self) -> bool:
        """Whether somebody waits for a lock in this database."""
        with psycopg.connect(self.direct, autocommit=True) as connection:
            asked = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            return connection.execute(asked).fetchone() is not None

    def still_writing(self) -> bool:
        """Whether another session has a transaction open."""
        with psycopg.connect(self.direct, autocommit=True) as connection:
            asked = (
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND state <> 'idle'"
            )
            return connection.execute(asked).fetchone() is not None


@pytest.fixture(scope="module")
def databases() -> Iterator[engines.Databases]:
    databases = engines.Databases()
    yield databases
    databases.end()


@pytest.fixture
def wired(databases: engines.Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wired]:
    with databases.lent("commits", STORY) as direct, Proxy(postgres.socket_file()) as proxy:
        wired = Wired(proxy, direct)
        monkeypatch.setenv("WALLET_DB", wired.url)
        monkeypatch.setenv("WALLET_LOCK_TIMEOUT", "20")
        yield wired
        postgres.isolated(direct, ISOLATIONS[0])


@contextmanager
def released_when_asked_for(wired: Wired) -> Iterator[None]:
    """Let the server have the late commit once somebody waits for what it locks; at the end, in any case."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            if wired.proxy.cuts and wired.waits():
                break
        wired.proxy.release()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(WAIT_S)


def sent(wired: Wired, command: str, cut: Cut, refusing: int = 0) -> cli.Outcome:
    """Run a command whose commit is cut off like that; when this returns, the server has done all that it will.

    After the cut, `refusing` of those who come are sent away, as by a server that has yet to come back.
    """
    wired.proxy.at(b"COMMIT", cut, refusing)
    with released_when_asked_for(wired):
        done = cli.run(f"{command} --json")
    until_s = time.monotonic() + WAIT_S
    while wired.still_writing():
        assert time.monotonic() < until_s
    assert wired.proxy.cuts == 1
    return done


def untrue(wired: Wired, before: list[object], command: str, done: cli.Outcome) -> list[str]:
    """What of an answer is not true of the ledger."""
    applied = engines.dump(wired.direct) != before
    found = []
    if done.code == 0 and not applied:
        found.append("it was answered, and is not there")
    if done.code and "unknown" not in done.error["message"] and applied:
        found.append(f"it was said not to be applied, and is there: {done.error}")
    if "--key" in command:
        again = cli.run(f"{command} --json")
        if again.code or again.json.get("replayed", False) is not applied:
            found.append(f"sent again, it was {again}, and applied before: {applied}")
        known = engines.dump(wired.direct)
        if cli.run(f"{command} --json").json.get("replayed") is not True or engines.dump(wired.direct) != known:
            found.append("sent a third time, it was applied again")
    if cli.run("verify").code:
        found.append("the ledger is not whole")
    return found


EXPECTED = {Cut.BEFORE: 7, Cut.AFTER: 0, Cut.MEANWHILE: 0}


@pytest.mark.parametrize("cut", Cut, ids=lambda cut: cut.name)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_answer_that_was_lost_is_found(wired: Wired, command: str, cut: Cut) -> None:
    before = engines.dump(wired.direct)
    done = sent(wired, command, cut)
    assert done.code == EXPECTED[cut], done.err
    if done.code:
        assert (done.error["code"], done.error["retryable"]) == ("storage_error", True)
    assert untrue(wired, before, command, done) == []


@pytest.mark.parametrize("cut", Cut, ids=lambda cut: cut.name)
@pytest.mark.parametrize("isolation", ISOLATIONS[1:])
@pytest.mark.parametrize("name", ["a credit", "a transfer", "a hold", "a new user", "a freeze"])
def test_it_is_found_at_any_isolation(wired: Wired, name: str, isolation: str, cut: Cut) -> None:
    postgres.isolated(wired.direct, isolation)
    before = engines.dump(wired.direct)
    done = sent(wired, COMMANDS[name], cut)
    assert done.code == EXPECTED[cut], done.err
    assert untrue(wired, before, COMMANDS[name], done) == []


OTHERS = {
    "a hold": "hold void 1-h2",
    "a void": "hold add 1 5",
    "a freeze": "unfreeze 1",
    "limits": "limits 1 --daily-debit 8",
    "a new wallet": "freeze 1/other",
    "a new user": "create 2",
    "a new key": "key revoke desk",
    "a credit": "tx add 1 5 --debit",
}
"""What another server does after the commit of a command, before that is found."""


def others_first(wired: Wired, monkeypatch: pytest.MonkeyPatch, other: Callable[[], object]) -> None:
    """Before a lost answer is looked for, somebody else writes."""
    found = storage.PostgresStore.contains

    def contains(store: storage.PostgresStore, change: Change) -> bool:
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("WALLET_DB", wired.direct)
            other()
        return found(store, change)

    monkeypatch.setattr(storage.PostgresStore, "contains", contains)


@pytest.mark.parametrize("name", OTHERS)
def test_an_answer_is_found_although_others_change_the_same_since(
    wired: Wired, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    others_first(wired, monkeypatch, lambda: done.append(cli.run(OTHERS[name]).code))
    wired.proxy.at(b"COMMIT", Cut.AFTER)
    sent_once = cli.run(COMMANDS[name])
    assert (sent_once.code, done) == (0, [0]), sent_once.err
    assert cli.run("verify").code == 0


@pytest.mark.parametrize("last", [SetStatus(1, "frozen"), NoteUse("till")], ids=["a freeze", "a key used"])
def test_so_is_a_batch_that_ends_with_what_others_change(
    wired: Wired, last: Single, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hold without a key would be placed a second time."""
    undone = SetStatus(1, "active") if isinstance(last, SetStatus) else last

    def other() -> None:
        with open_ledger(settings.load({}), str) as ledger:
            ledger.executor.run([undone], "another")

    others_first(wired, monkeypatch, other)
    with open_ledger(settings.load({}), str) as ledger:
        wired.proxy.at(b"COMMIT", Cut.AFTER)
        assert len(ledger.executor.run([PlaceHold(1, 500, 10**12), last], "a server")) == 2
    assert len(cli.run("hold list 1 --json").json["holds"]) == 2


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER], ids=lambda cut: cut.name)
def test_a_server_that_is_away_for_a_while_is_asked_when_it_is_back(wired: Wired, cut: Cut) -> None:
    before = engines.dump(wired.direct)
    done = sent(wired, COMMANDS["a credit"], cut, refusing=5)
    assert wired.proxy.refusing == 0
    assert done.code == EXPECTED[cut], done.err
    assert untrue(wired, before, COMMANDS["a credit"], done) == []


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER], ids=lambda cut: cut.name)
@pytest.mark.parametrize("name", ["a credit", "a new user"])
def test_where_nobody_can_say_the_outcome_is_unknown(
    wired: Wired, name: str, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the key tells, once the server is back."""
    monkeypatch.setattr(executor, "SETTLE_S", 0.5)
    before = engines.dump(wired.direct)
    done = sent(wired, COMMANDS[name], cut, refusing=1_000_000)
    wired.proxy.refusing = 0
    assert (done.code, done.error["code"]) == (7, "storage_error")
    assert done.error["retryable"] is ("--key" in COMMANDS[name])
    assert "it is unknown whether this was written" in done.error["message"]
    assert done.error["hint"] == (AGAIN if "--key" in COMMANDS[name] else LOOK_FIRST)
    assert untrue(wired, before, COMMANDS[name], done) == []


# What is above finds a fault.

FAULTS = {
    "whoever asks does not wait for the commit that is under way": (
        Fault(storage, "PostgresStore.contains", "self.lock([] if", "self.lock([] if True or"),
        COMMANDS["a credit"],
        Cut.MEANWHILE,
        "it was said not to be applied, and is there",
    ),
    "nor for somebody who makes a wallet": (
        Fault(storage, "PostgresStore.contains", "creating=True", "creating=wallet_id is None"),
        COMMANDS["a new wallet"],
        Cut.MEANWHILE,
        "it was said not to be applied, and is there",
    ),
    "a commit without an answer counts as none": (
        Fault(executor, "Executor._settled", "return self.store.contains(evidence)", "return False"),
        COMMANDS["a credit"],
        Cut.AFTER,
        "it was said not to be applied, and is there",
    ),
    "a commit without an answer counts as one": (
        Fault(executor, "Executor._settled", "return self.store.contains(evidence)", "return True"),
        COMMANDS["a credit"],
        Cut.BEFORE,
        "it was answered, and is not there",
    ),
}


@pytest.mark.parametrize(("fault", "command", "cut", "complaint"), FAULTS.values(), ids=FAULTS)
def test_a_deliberate_fault_is_found(
    wired: Wired, fault: Fault, command: str, cut: Cut, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = engines.dump(wired.direct)
    with monkeypatch.context() as faulty:
        faults.put_in(faulty, fault)
        done = sent(wired, command, cut)
    assert any(complaint in found for found in untrue(wired, before, command, done))


def test_at_an_isolation_that_sees_the_past_a_fault_is_found(wired: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres.isolated(wired.direct, "serializable")
    before = engines.dump(wired.direct)
    with monkeypatch.context() as faulty:
        faults.put_in(faulty, Fault(storage, "PostgresStore.lock", "BEGIN ISOLATION LEVEL READ COMMITTED", "BEGIN"))
        done = sent(wired, COMMANDS["a credit"], Cut.MEANWHILE)
    assert untrue(wired, before, COMMANDS["a credit"], done)


# "canceling wait for synchronous replication": the server has it, and the standby may not.


class Primary(NamedTuple):
    cluster: Cluster
    url: str

    def wants_standby(self, wanted: bool) -> None:
        """Whether a commit waits for a standby; there is none."""
        name = "nobody" if wanted else ""
        self.cluster.settings["synchronous_standby_names"] = name
        self.cluster.reload()
        until_s = time.monotonic() + WAIT_S
        while self.cluster.execute("SHOW synchronous_standby_names") != [(name,)]:
            assert time.monotonic() < until_s

    def cancel_wait(self) -> bool:
        """End the wait of a commit, as somebody who runs the server would; whether there was one."""
        asked = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        return bool(self.cluster.execute(asked))


@pytest.fixture(scope="module")
def primary() -> Iterator[Primary]:
    replicated = QUICK | {"wal_level": "replica", "max_wal_senders": "2"}
    with postgres.cluster_folder() as folder, Cluster(folder, replicated) as cluster:
        url = cluster.url()
        for line in STORY:
            assert cli.run(["--db", url, *line.split()]).code == 0
        yield Primary(cluster, url)


@contextmanager
def waits_cancelled(primary: Primary, then_without_standby: bool) -> Iterator[list[bool]]:
    """Cancel every wait for the standby; after the first, let none be wanted any more, if so."""
    over = threading.Event()
    cancelled: list[bool] = []

    def work() -> None:
        while not over.wait(0.01):
            if primary.cancel_wait():
                cancelled.append(True)
                if then_without_standby and len(cancelled) == 1:
                    primary.wants_standby(False)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield cancelled
    finally:
        over.set()
        worker.join(WAIT_S)


@pytest.mark.parametrize("line", ["tx add 1 5 --credit --key sure", "register 9886977546", "create 1/sure"])
def test_a_commit_that_no_standby_has_is_told_once_one_has(primary: Primary, line: str) -> None:
    """The first wait is cancelled; by the time that it is asked what became of it, the standby is back."""
    primary.wants_standby(True)
    with waits_cancelled(primary, then_without_standby=True) as cancelled:
        done = cli.run(["--db", primary.url, *line.split(), "--json"])
    assert (done.code, cancelled) == (0, [True]), done.err
    assert cli.run(["--db", primary.url, "verify"]).code == 0


def unconfirmed(primary: Primary, line: str) -> None:
    """Run a command whose commit no standby ever has: what became of it is unknown."""
    primary.wants_standby(True)
    with waits_cancelled(primary, then_without_standby=False) as cancelled:
        done = cli.run(["--db", primary.url, *line.split(), "--json"])
    assert len(cancelled) >= 2  # it was asked more than once
    assert (done.code, done.error["code"]) == (7, "storage_error")
    assert "it is unknown whether this was written: the standby has not confirmed the commit" in done.error["message"]
    primary.wants_standby(False)


def test_a_commit_that_no_standby_ever_has_is_unknown(primary: Primary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "SETTLE_S", 0.5)
    line = "tx add 1 5 --credit --key unsure"
    unconfirmed(primary, line)
    assert cli.run(["--db", primary.url, *line.split(), "--json"]).json["replayed"] is True


@pytest.mark.parametrize("line", ["register 9886977547", "create 1/unsure", "key create unsure"])
def test_so_is_one_that_locks_no_wallet(primary: Primary, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Whoever asks what became of it has written nothing, and would wait for nobody."""
    monkeypatch.setattr(executor, "SETTLE_S", 0.5)
    unconfirmed(primary, line)


def test_it_is_heard_of_where_warnings_are_not_wanted(primary: Primary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "SETTLE_S", 0.5)
    primary.cluster.execute("ALTER DATABASE postgres SET client_min_messages = error")
    unconfirmed(primary, "tx add 1 5 --credit --key unheard")
    primary.cluster.execute("ALTER DATABASE postgres RESET client_min_messages")


def test_a_notice_that_is_not_heeded_would_be_found(primary: Primary, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deliberate fault: what no standby has is answered."""
    faults.put_in(monkeypatch, Fault(storage, "PostgresStore._noticed", "self._doubtful = True", "pass"))
    primary.wants_standby(True)
    with waits_cancelled(primary, then_without_standby=False):
        done = cli.run(f"--db '{primary.url}' tx add 1 5 --credit --key unheeded")
    primary.wants_standby(False)
    assert done.code == 0
