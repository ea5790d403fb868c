"""Moving a ledger: all of it arrives, at most one of the two takes writes, whoever is killed when, and a copy that is
not the same is found out."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest
from support import cli, engines, faults, postgres, processes
from support.engines import Address
from support.faults import Fault
from support.server import Server
from support.sizes import size
from support.waiting import PAUSE_S

from wallet_cli import settings
from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import Busy, Conflict, InvalidInput, LedgerMoved, StorageError
from wallet_cli.operations import move as moving
from wallet_cli.operations.context import Ledger, open_ledger
from wallet_cli.storage.bulk_copy import BulkCopy
from wallet_cli.storage.move_state import ARRIVING, MoveState
from wallet_cli.storage.postgres import PostgresStore
from wallet_cli.storage.sql import COPIED, SET_RESTORING

needs_postgres = pytest.mark.skipif(postgres.why_not() is not None, reason=str(postgres.why_not()))


class Way(NamedTuple):
    """From which engine to which."""

    source: str
    target: str


FILES = Way("file", "file")
WAYS = [
    pytest.param(way, marks=[needs_postgres] if "postgres" in way else [], id="-to-".join(way))
    for way in (FILES, Way("file", "postgres"), Way("postgres", "file"), Way("postgres", "postgres"))
]
each_way = pytest.mark.parametrize("way", WAYS)
from_or_to_a_file = pytest.mark.parametrize("way", WAYS[:-1])

BUSINESS = """
register 9886977544 --name 'Asha 🧾'
register '+44 20 7946 0958'
create 1 --minimum-balance 20
create 1/points --currency PTS/0
create 2 --currency INR
tx add 1 500 --credit --note '👍 Salary' --key salary --at 2024-04-19T05:27:13Z
tx add 1 120.50 --debit --meta order=1041
tx add 1/points 7 --credit --at 1969-07-20T20:17:40.5Z
transfer 1 2 30 --key rent
tx reverse 1-2 20
hold add 1 50 --key tab
hold capture 1-h1 10 --keep
hold add 1 1 --expires 1m --note lapses
hold add 2 5
hold void 3-h1
tx add 2 1.01 --debit
limits 2 --maximum-balance 1000 --daily-debit 50
freeze 2
key create till-1
key create Zoe --read-only
key create a.b
key revoke till-1
"""
"""Something of everything that a ledger can hold."""

WRITES = """
register 9886977545
create 2/savings
tx add 1 1 --credit
tx add 1 1 --debit --key new
tx add 1 100000 --debit
transfer 1 2 1
tx reverse 1-1
hold add 1 1
limits 1 --daily-debit 5
unfreeze 2
key create another
"""


def place(kind: str, folder: Path, name: str) -> str:
    """Where a new ledger may be made, until `_given_back`."""
    return str(folder / f"{name}.db") if kind == "file" else _lent.enter_context(_databases.lent())


_databases = engines.Databases()
_lent = ExitStack()


@pytest.fixture(autouse=True)
def _given_back() -> Iterator[None]:
    yield
    _lent.close()


@pytest.fixture(autouse=True, scope="module")
def _dropped() -> Iterator[None]:
    yield
    _databases.end()


def filled(kind: str, folder: Path) -> str:
    """A ledger with all of BUSINESS in it."""
    address = place(kind, folder, "old")
    if kind == "file":
        shutil.copyfile(_filled_file(), address)
    else:
        _copy_of_filled(address)
    return address


@cache
def _filled_file() -> Path:
    path = postgres.run_folder() / f"filled-{os.getpid()}.db"
    run_lines(str(path), BUSINESS)
    return path


def _copy_of_filled(address: str) -> None:
    """The same in a database: row by row, as twenty commands would take long."""
    with opened(str(_filled_file())) as source, opened(address) as target, target.store.exclusively():
        target.store.forget_events()
        target.store.set_facts(source.store.itself().facts)
        for copied in COPIED:
            target.store.add_rows(copied, source.store.rows_after(copied, (0,) * len(copied.key), 1000))
        target.store.add_operators(source.store.operators())


def run_lines(address: str, lines: str) -> None:
    for line in lines.split("\n"):
        if line:
            done = cli.run(f"--db '{address}' {line}")
            assert done.code == 0, (line, done.err)


def run(address: str, line: str) -> cli.Outcome:
    return cli.run(f"--db '{address}' {line}")


def contents(address: str) -> list[Any]:
    """All that a ledger holds, but what it knows of itself."""
    with opened(address) as ledger:
        held = [list(ledger.store.accounts_after(0, -1, 0)), sorted(ledger.store.operators())]
    return [run(address, "export").out, held]


@contextmanager
def opened(address: str) -> Iterator[Ledger]:
    with open_ledger(settings.load({"db": address}), lambda _: None, purpose=Purpose.MAKE, arriving=True) as ledger:
        yield ledger


def made(path: Path) -> Path:
    """A new ledger, with nothing in it."""
    with opened(str(path)):
        return path


def move_state(address: str) -> MoveState:
    with opened(address) as ledger:
        return ledger.store.move_state()


def takes_writes(address: str) -> bool:
    """By beginning a batch, as any writer would."""
    with opened(address) as ledger:
        try:
            ledger.executor.run([], "trying")
        except LedgerMoved:
            return False
        return True


def is_there(address: str) -> bool:
    """Whether there is a ledger with something in it."""
    if "://" not in address and not Path(address).exists():
        return False
    with opened(address) as ledger:
        return not ledger.store.is_empty()


def move(source: str, target: str, watch: moving.Watch = lambda *_: None) -> dict[str, Any]:
    return moving.move(settings.load({"db": source}), target, lambda _: None, watch)


def cancel(source: str, target: str | None = None) -> dict[str, Any]:
    return moving.cancel(settings.load({"db": source}), target, lambda _: None)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "BATCH_ROWS", 2)


# There, whole


@each_way
@pytest.mark.usefixtures("small_batches")
def test_all_of_it_arrives_there_and_back(way: Way, tmp_path: Path) -> None:
    old, new, back = filled(way.source, tmp_path), place(way.target, tmp_path, "new"), place("file", tmp_path, "back")
    before = contents(old)
    done = run(old, f"move --to '{new}' --json")
    addresses = {"from": move_state(new).other or done.json["from"], "to": move_state(old).other}
    assert done.json == {"moved": True, **addresses, "users": 2, "wallets": 3, "transactions": 8, "holds": 3}
    assert contents(new) == before
    assert run(new, f"move --to {back} -q").code == 0
    assert contents(back) == before
    assert run(back, "verify -q").out == "8\n"


@each_way
def test_the_old_one_takes_no_writes_and_says_where_it_went(way: Way, tmp_path: Path) -> None:
    old, new = filled(way.source, tmp_path), place(way.target, tmp_path, "new")
    before = contents(old)
    assert run(old, f"move --to '{new}'").code == 0
    for line in WRITES.strip().split("\n"):
        done = run(old, f"{line} --json")
        assert (done.code, done.out, done.error["code"]) == (9, "", "ledger_moved"), line
        assert done.error["details"] == {
            "state": "moved",
            "to": move_state(old).other,
            "since": done.error["details"]["since"],
        }
        assert not done.error["retryable"]
    assert contents(old) == before
    assert run(old, "balance 1 -q").out == "359.50\n"
    # The new one is a ledger like any other.
    assert run(new, "tx add 1 1 --credit -q").out == "1-6\n"
    assert run(new, "verify -q").out == "9\n"


def test_an_empty_ledger_moves_too(tmp_path: Path) -> None:
    old, new = str(made(tmp_path / "old.db")), str(tmp_path / "new.db")
    done = run(old, f"move --to {new} --json")
    assert [done.json[name] for name in ("moved", "users", "transactions")] == [True, 0, 0]
    assert (takes_writes(old), takes_writes(new)) == (False, True)


def test_to_say_it_again_is_to_have_it_said_again(tmp_path: Path) -> None:
    old, new = filled("file", tmp_path), str(tmp_path / "new.db")
    first = move(old, new)
    assert run(new, "tx add 1 1 --credit").code == 0
    (tmp_path / "link.db").symlink_to(new)
    assert move(old, str(tmp_path / "link.db")) == first
    assert run(new, "verify -q").out == "9\n"


def test_progress_is_told_and_ends_at_all(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    move(filled("file", tmp_path), str(tmp_path / "new.db"), lambda *step: told.append(step))
    copying = [(done, total) for what, done, total in told if what == "copying"]
    assert copying[0] == (0, 37)
    assert copying[-1] == (37, 37)
    assert sorted(copying) == copying
    assert [what for what, _, _ in told][-2:] == ["comparing", "verifying"]


@needs_postgres
def test_a_password_is_neither_printed_nor_written_down(tmp_path: Path) -> None:
    secret = "s3cret-pa55"
    url = postgres.databases().new()
    with_password = url.replace("@", f":{secret}@", 1)
    assert secret in with_password
    old, back = filled("file", tmp_path), str(tmp_path / "back.db")
    said = [run(old, f"move --to '{with_password}'"), run(old, "tx add 1 1 --credit"), run(with_password, "verify")]
    said += [run(with_password, f"move --to '{back}' --json"), run(with_password, "tx add 1 1 --credit")]
    assert [done.code for done in said] == [0, 9, 0, 0, 9]
    assert secret not in str(said)
    for address in (old, url, back):
        assert secret not in str(engines.dump(address if "://" in address else Path(address)))


# What is refused


def started(source: str, target: str) -> None:
    """Begin a move, and end after the first batch."""

    class Enough(Exception):
        pass

    def watch(_what: str, done: int, _total: int | None) -> None:
        if done:
            raise Enough

    with pytest.raises(Enough):
        move(source, target, watch)


def not_empty(folder: Path) -> str:
    return str(shutil.copyfile(_filled_file(), folder / "other.db"))


def itself(folder: Path) -> str:
    return str(folder / "old.db")


def itself_by_another_name(folder: Path) -> str:
    (folder / "link.db").symlink_to(folder / "old.db")
    return str(folder / "link.db")


def one_that_moved(folder: Path) -> str:
    made(folder / "empty.db")
    move(str(folder / "empty.db"), str(folder / "elsewhere.db"))
    return str(folder / "empty.db")


def one_that_waits_for_another(folder: Path) -> str:
    started(not_empty(folder), str(folder / "new.db"))
    return str(folder / "new.db")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (not_empty, "already a ledger with data"),
        (itself, "the same ledger"),
        (itself_by_another_name, "the same ledger"),
        (one_that_moved, "is not free: this ledger has moved to"),
        (one_that_waits_for_another, "is not free: this ledger is incomplete"),
        (lambda _: "https://wallet.example.com", "cannot move to or from 'https://…'"),
        (lambda _: "", "missing destination"),
    ],
)
def test_where_it_cannot_go_it_stays(target: Callable[[Path], str], says: str, tmp_path: Path) -> None:
    old = filled("file", tmp_path)
    to = target(tmp_path)
    before = engines.dump(Path(old))
    done = run(old, f"move --to '{to}' --json")
    assert (done.code, done.error["code"]) == (2, "invalid_input")
    assert says in done.error["message"]
    assert done.error["hint"]
    assert engines.dump(Path(old)) == before
    assert takes_writes(old)


def moved(old: str, folder: Path) -> str:
    move(old, str(folder / "elsewhere.db"))
    return "move --to '{new}'"


def moving_elsewhere(old: str, folder: Path) -> str:
    started(old, str(folder / "elsewhere.db"))
    return "move --to '{new}'"


def cancelled_elsewhere(old: str, folder: Path) -> str:
    started(old, str(folder / "elsewhere.db"))
    return "move --cancel --to '{new}'"


def incomplete(old: str, _folder: Path) -> str:
    with opened(old) as ledger, ledger.store.exclusively():
        ledger.store._change(SET_RESTORING, {"restoring": 1})
    return "move --to '{new}'"


@from_or_to_a_file
@pytest.mark.parametrize("prepare", [moved, moving_elsewhere, cancelled_elsewhere, incomplete])
def test_what_is_refused_makes_no_ledger(
    prepare: Callable[[str, Path], str], way: Way, tmp_path: Path, small_batches: None
) -> None:
    old = filled(way.source, tmp_path)
    new = str(tmp_path / "new.db") if way.target == "file" else postgres.databases().new(empty=True)
    line = prepare(old, tmp_path)
    assert run(old, line.format(new=new)).code in (InvalidInput.exit_code, Conflict.exit_code, LedgerMoved.exit_code)
    assert cli.run(["--db", new, "list", "--json"]).error["code"] == "ledger_not_found"


@needs_postgres
def test_a_move_that_another_role_began_goes_on(tmp_path: Path) -> None:
    old, new = filled("postgres", tmp_path), str(tmp_path / "new.db")
    with opened(old) as source, opened(new) as target, target.store.exclusively():
        host = source.store.address.split("://")[1].split("@")[-1]
        target.store.set_move_state(MoveState(ARRIVING, f"postgresql://reader@{host}", "0" * 32, 1))
    assert run(old, f"move --to {new}").code == 0


@needs_postgres
def test_a_database_is_itself_however_it_is_written(tmp_path: Path) -> None:
    old = filled("postgres", tmp_path)
    other = old + ("&" if "?" in old else "?") + "application_name=other"
    done = run(old, f"move --to '{other}' --json")
    assert (done.code, done.error["code"]) == (2, "invalid_input")
    assert "the same ledger" in done.error["message"]


def test_a_move_is_to_one_place_alone(tmp_path: Path) -> None:
    old, new, other = filled("file", tmp_path), str(tmp_path / "new.db"), str(tmp_path / "other.db")
    started(old, new)
    for _ in range(2):
        done = run(old, f"move --to {other} --json")
        assert (done.code, done.error["code"]) == (9, "ledger_moved")
        assert done.error["details"]["to"] == new
        assert not Path(other).exists(), "it cannot go there: nothing is made"
        run(old, f"move --to {new}")


def test_what_is_still_arriving_cannot_be_used(tmp_path: Path) -> None:
    old, new = filled("file", tmp_path), str(tmp_path / "new.db")
    started(old, new)
    for line in ("tx add 1 1 --credit", "balance 1", "verify", f"move --to {tmp_path}/third.db", "move --cancel"):
        done = run(new, f"{line} --json")
        assert (done.code, done.error["code"]) == (9, "ledger_moved")
        assert done.error["details"] == {
            "state": "arriving",
            "from": old,
            "since": done.error["details"]["since"],
        }


def test_what_is_still_arriving_says_how_to_finish_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the old ledger, also where the command line names the new one."""
    old, new = filled("file", tmp_path), str(tmp_path / "new.db")
    started(old, new)
    refused = cli.run(f"--db {new} tx add 1 1 --credit --json")
    (state,) = [
        each for each in cli.run(f"--db {new} doctor --json").json["findings"] if "in progress" in each["found"]
    ]
    (line,) = {refused.error["hint"], state["advice"]}
    assert cli.run(line.partition(": wallet ")[2]).code == 0
    assert cli.run(f"--db {new} tx add 1 1 --credit").code == 0


def test_a_server_that_runs_says_it_too(tmp_path: Path) -> None:
    old, new = filled("file", tmp_path), str(tmp_path / "new.db")
    with Server(tmp_path, "--no-auth", environ={"WALLET_DB": old}) as server:
        client = server.client()
        body = {"user_id": 1, "wallet_id": 1, "amount": 1, "is_credit": True}
        assert client.post("/api/v1/transactions/create", json=body).status_code == 201
        assert run(old, f"move --to {new}").code == 0
        answer = client.post("/api/v1/transactions/create", json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "ledger_moved")
        assert answer.json()["details"]["to"] == new
        ready = client.get("/readyz")
        assert ready.status_code == 503
        for told in (answer, ready):  # to come again would not help
            assert (told.json()["retryable"], "Retry-After" in told.headers) == (False, False)
        assert client.get("/api/v1/wallet/get/1/main").json()["data"]["balance"] == "360.50"
    assert run(new, "balance 1 -q").out == "360.50\n"


@pytest.mark.parametrize("kind", ["file", pytest.param("postgres", marks=needs_postgres)])
def test_a_server_of_one_that_moved_says_so_at_its_start(kind: str, tmp_path: Path) -> None:
    old, new = place(kind, tmp_path, "old"), str(tmp_path / "new.db")
    with opened(old):
        pass
    assert run(old, f"move --to {new}").code == 0
    with Server(tmp_path, environ={"WALLET_DB": old}) as server:
        told = [(line["event"], line.get("message")) for line in server.log]
    assert ("warning", f"this ledger has moved to {new}: use that ledger with --db or WALLET_DB") in told
    assert "no_operator_key" not in dict(told)


FAILED = [
    # What fails, on which side of it, and the state of the old ledger by then.
    ("_check_free", "before", None),
    ("_named", "after", "moving"),
    ("_copy", "before", "moving"),
    ("_prove", "before", "moving"),
    ("_open", "before", "moving"),
    ("_close", "before", "moving"),
    ("_answer", "before", "moved"),
]
SAID = {
    None: ("", "nothing was moved, and the old ledger is as it was"),
    "moving": ("takes no writes", "move --cancel`"),
    "moved": ("", "the move is done"),
}


@pytest.mark.parametrize("error", [StorageError, Busy])
@pytest.mark.parametrize(("name", "side", "state"), FAILED)
def test_whatever_fails_says_what_has_become_of_the_move(
    name: str,
    side: str,
    state: str | None,
    error: type[Busy | StorageError],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = filled("file", tmp_path), str(tmp_path / "new.db")
    real = getattr(moving, name)

    def failing(*given: Any, **named: Any) -> None:
        if side == "after":
            real(*given, **named)
        raise error("the disk is full", hint="nothing was written; free some space")

    monkeypatch.setattr(moving, name, failing)
    failed = run(old, f"move --to {new} --json").error
    monkeypatch.undo()
    assert move_state(old).state == state
    assert "the disk is full" in failed["message"]
    for each, (message, hint) in SAID.items():
        assert not message or (message in failed["message"]) == (each == state)
        assert (hint in failed["hint"]) == (each == state)
    assert run(old, f"move --to {new}").code == 0


@pytest.mark.parametrize("line", ["move --to {new}", "move --cancel"])
def test_a_new_one_that_cannot_be_opened_again_is_told_like_that(line: str, tmp_path: Path) -> None:
    old, new = filled("file", tmp_path), str(tmp_path / "new.db")
    started(old, new)
    Path(new).write_bytes(b"hello" * 1000)
    failed = run(old, f"{line.format(new=new)} --json").error
    assert ("takes no writes" in failed["message"], "--cancel" in failed["hint"]) == (True, True), failed


def test_an_old_one_that_cannot_be_asked_is_told_like_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = filled("file", tmp_path)

    def fails(*_: Any) -> None:
        monkeypatch.setattr(BulkCopy, "itself", fails)
        raise StorageError("the disk fails")

    monkeypatch.setattr(moving, "_prove", fails)
    assert "takes no writes: the disk fails" in run(old, f"move --to {tmp_path}/new.db --json").error["message"]


# Called off


@each_way
@pytest.mark.usefixtures("small_batches")
def test_called_off_the_old_one_takes_writes_again(way: Way, tmp_path: Path) -> None:
    old, new = filled(way.source, tmp_path), place(way.target, tmp_path, "new")
    before = contents(old)
    started(old, new)
    assert is_there(new)
    assert (takes_writes(old), takes_writes(new)) == (False, False)
    assert run(old, f"move --cancel --to '{new}' --json").json["moved"] is False
    assert (takes_writes(old), takes_writes(new)) == (True, True)
    assert not is_there(new)
    assert contents(old) == before
    # Then all that is new goes with it.
    assert run(old, "tx add 1 1 --credit").code == 0
    assert run(old, f"move --to '{new}'").code == 0
    assert run(new, "balance 1 -q").out == "360.50\n"


@from_or_to_a_file
@pytest.mark.parametrize("step", ["_copy", "_prove", "_open"])
def test_called_off_the_new_one_is_as_it_was(
    way: Way, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = filled(way.source, tmp_path), place(way.target, tmp_path, "new")
    with opened(new):
        pass  # it is made
    for line in ("currency USD", "timezone Europe/Berlin", "minimum_balance -7"):
        assert run(new, f"ledger set {line}").code == 0
    before = run(new, "ledger show --json").json
    monkeypatch.setattr(moving, step, lambda *_: sys.exit("killed"))
    with pytest.raises(SystemExit):
        move(old, new)
    monkeypatch.undo()
    cancel(old, new)
    after = run(new, "ledger show --json").json
    assert {**after, "id": None} == {**before, "id": None}
    assert after["id"] != run(old, "ledger show --json").json["id"]
    assert run(new, "verify").code == 0
    move(old, new)
    assert run(new, "ledger show --json").json["id"] == run(old, "ledger show --json").json["id"]
    assert run(new, "verify").code == 0


def test_what_has_arrived_is_not_called_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = filled("file", tmp_path), str(tmp_path / "new.db")
    monkeypatch.setattr(moving, "_close", lambda *_: sys.exit("killed"))
    with pytest.raises(SystemExit):
        move(old, new)
    monkeypatch.undo()
    assert (takes_writes(old), takes_writes(new)) == (False, True)
    assert run(new, "tx add 1 1 --credit").code == 0
    done = run(old, "move --cancel --json")
    assert (done.code, done.error["code"], takes_writes(old)) == (9, "ledger_moved", False)
    assert run(old, f"move --to {new}").code == 0
    assert (move_state(old).state, takes_writes(new)) == ("moved", True)
    assert run(new, "balance 1 -q").out == "360.50\n"
    assert run(old, "move --cancel").code == 9


def test_only_what_is_under_way_to_there_is_called_off(tmp_path: Path) -> None:
    old, new, other = filled("file", tmp_path), str(tmp_path / "new.db"), not_empty(tmp_path)
    assert (run(old, "move --cancel --json").error["code"], takes_writes(old)) == ("invalid_input", True)
    started(old, new)
    for wrong in (other, str(tmp_path / "third.db")):
        done = run(old, f"move --cancel --to {wrong} --json")
        assert (done.code, done.error["code"]) == (2, "invalid_input")
        assert not takes_writes(old)
    assert is_there(other)
    assert run(old, "move --cancel").code == 0


def test_one_whose_own_row_is_lost_says_what_helps(tmp_path: Path) -> None:
    """Each hint names another command than the one before, and the last one is done."""
    old, new = filled("file", tmp_path), str(tmp_path / "new.db")
    assert run(old, f"backup {tmp_path}/copy.db").code == 0
    started(old, new)
    engines.execute(Path(old), "DELETE FROM ledger")
    for line in ("move --cancel", f"move --to {new}"):
        assert run(old, f"{line} --json").error["hint"] == "restore a backup"
    done = run(old, f"restore {tmp_path}/copy.db --json")
    assert (done.code, done.error["hint"].endswith("if it is lost, add --other")) == (9, True)
    assert run(old, f"restore {tmp_path}/copy.db --other").code == 0
    assert takes_writes(old)


@each_way
@pytest.mark.usefixtures("small_batches")
def test_a_move_that_is_called_off_while_it_runs_ends(way: Way, tmp_path: Path) -> None:
    called_off_while_it_runs(way, tmp_path)


def called_off_while_it_runs(way: Way, folder: Path) -> None:
    old, new = filled(way.source, folder), place(way.target, folder, "new")
    cancelled = []

    def watch(what: str, done: int, _total: int | None) -> None:
        if what == "copying" and done and not cancelled:
            cancelled.append(cancel(old, new))

    with pytest.raises(Busy):
        move(old, new, watch)
    assert (takes_writes(old), is_there(new)) == (True, False)


@pytest.mark.usefixtures("small_batches")
def test_it_would_be_seen_if_a_move_went_on_after_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = "if (move_state.state, move_state.move) != (ARRIVING, name):"
    faults.put_in(monkeypatch, Fault(moving, "_check_arriving", check, "if False:"))
    with pytest.raises((AssertionError, StorageError, pytest.fail.Exception)):
        called_off_while_it_runs(FILES, tmp_path)


@each_way
@pytest.mark.usefixtures("small_batches")
def test_two_at_once_move_it_once(way: Way, tmp_path: Path) -> None:
    old, new = filled(way.source, tmp_path), place(way.target, tmp_path, "new")
    before = contents(old)
    with opened(new):
        pass  # made
    ended: list[object] = []

    def go() -> None:
        # Who began at the same moment as another is told so, and tries again.
        while True:
            try:
                ended.append(move(old, new)["moved"])
                return
            except Busy:
                assert not (takes_writes(old) and is_there(new))

    threads = [threading.Thread(target=go) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ended == [True] * 3
    assert contents(new) == before
    assert (takes_writes(old), takes_writes(new)) == (False, True)


@pytest.mark.parametrize(("step", "error"), [("_named", LedgerMoved), ("_check_free", Busy)])
def test_who_is_too_late_says_what_is_left(
    step: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another move begins after this one has made its new ledger."""
    old, new, other = filled("file", tmp_path), str(tmp_path / "new.db"), str(tmp_path / "other.db")
    late = getattr(moving, step)

    def too_late(*given: Any) -> Any:
        monkeypatch.undo()
        move(old, other)
        return late(*given)

    monkeypatch.setattr(moving, step, too_late)
    said: list[str] = []
    with pytest.raises(error):
        moving.move(settings.load({"db": old}), new, said.append, lambda *_: None)
    assert said[-1] == f"an empty ledger is left at {new}: no move goes there, and it may be removed"
    assert (is_there(new), is_there(other), takes_writes(old)) == (False, True, False)


# Those who write at that moment


@needs_postgres
@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_who_waited_for_the_mark_sees_it(isolation: str) -> None:
    """A batch that began its turn before the mark was there, and had to wait, is told: its snapshot is not older."""
    url = postgres.databases().new()
    run_lines(url, "register 9886977544\ncreate 1")
    name = postgres.database_in(url)
    postgres.isolated(url, isolation)
    told: list[cli.Outcome] = []
    with opened(url) as marking:
        with marking.store.exclusively():
            writer = threading.Thread(target=lambda: told.append(run(url, "tx add 1 1 --credit")))
            writer.start()
            waiting = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'"
            while not postgres.databases().execute(waiting):
                assert writer.is_alive()
                time.sleep(PAUSE_S)
            marking.store.set_move_state(MoveState("moving", "elsewhere", "name", 1, None))
        writer.join(30)
    assert [done.code for done in told] == [LedgerMoved.exit_code]
    assert run(url, "tx list 1 -q").out == ""


@needs_postgres
def test_who_has_the_turn_is_waited_for() -> None:
    url = postgres.databases().new()
    run_lines(url, "register 9886977544\ncreate 1")
    with opened(url) as writer:
        with writer.executor.turn("writing") as turn:
            turn.carry_out([])
            with open_ledger(settings.load({"db": url}, {"WALLET_LOCK_TIMEOUT": "0.1"}), lambda _: None) as marking:
                assert isinstance(marking.store, PostgresStore)
                with pytest.raises(Busy), marking.store.exclusively():
                    pass
        with writer.store.exclusively():
            pass


# The proof

ALTERED = [
    ("UPDATE users SET name = 'Eve' WHERE id = 2", "user 2"),
    ("UPDATE users SET created_at_us = created_at_us + 1 WHERE id = 1", "user 1"),
    ("UPDATE wallets SET own_minimum = NULL WHERE id = 1", "wallet 1"),
    ("UPDATE wallets SET maximum = maximum + 1 WHERE id = 3", "wallet 2/main"),
    ("UPDATE wallets SET status = 'active' WHERE id = 3", "wallet 2/main"),
    ("UPDATE transactions SET note = 'Rent' WHERE wallet_id = 1 AND seq = 1", "transaction 1-1"),
    ("UPDATE transactions SET key = NULL WHERE wallet_id = 1 AND seq = 1", "transaction 1-1"),
    ("UPDATE transactions SET at_us = at_us - 1 WHERE wallet_id = 1 AND seq = 1", "transaction 1-1"),
    ("UPDATE transactions SET amount = amount + 1 WHERE wallet_id = 3 AND seq = 2", "wallet 2/main"),
    ("DELETE FROM transactions WHERE wallet_id = 1 AND seq = 2", "8 transactions became 7"),
    ("UPDATE holds SET note = NULL WHERE wallet_id = 1 AND number = 2", "hold 1-h2"),
    ("UPDATE holds SET expires_at_us = expires_at_us + 1 WHERE number = 1", "hold 1-h1"),
    ("DELETE FROM holds WHERE wallet_id = 3", "3 holds became 2"),
    ("UPDATE operators SET read_only = 1 - read_only WHERE name = 'a.b'", "operator a.b"),
    ("DELETE FROM operators WHERE name = 'a.b'", "operator a.b"),
    ("INSERT INTO users VALUES (3, '1', '+1', NULL, NULL, NULL, 0, NULL)", "2 users became 3"),
]


def alter(monkeypatch: pytest.MonkeyPatch, address: str, statement: str) -> None:
    """Have a row altered on the way: after it is copied, before it is looked at."""

    def settle(_store: BulkCopy) -> None:
        where: Address = address if "://" in address else Path(address)
        engines.execute(where, statement)

    for store in (BulkCopy, PostgresStore):
        monkeypatch.setattr(store, "settle", settle)


@pytest.mark.parametrize(("statement", "names"), ALTERED)
@pytest.mark.parametrize("target", ["file", pytest.param("postgres", marks=needs_postgres)])
def test_a_copy_that_is_not_the_same_is_found_out(
    target: str, statement: str, names: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = filled("file", tmp_path), place(target, tmp_path, "new")
    before = contents(old)
    alter(monkeypatch, new, statement)
    with pytest.raises(StorageError) as found:
        move(old, new)
    assert names in found.value.message
    assert f"is right, but what is in {move_state(old).other} is not what was written: " in found.value.message
    assert "`wallet move --cancel`, and move to another place" in (found.value.hint or "")
    # Neither takes writes; called off, all is as it was.
    monkeypatch.undo()
    assert (takes_writes(old), takes_writes(new)) == (False, False)
    cancel(old, new)
    assert move(old, new)["moved"]
    assert contents(new) == before


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE transactions SET credit_total = 1 WHERE wallet_id = 1 AND seq = 4", "transaction 1-4: "),
        ("UPDATE wallets SET maximum = maximum + 1 WHERE id = 3", "wallet 2/main: "),
        ("UPDATE users SET name = 'Eve' WHERE id = 2", "user 2: "),
    ],
)
@from_or_to_a_file
def test_what_is_wrong_with_the_old_one_is_told_and_noted_as_that(
    way: Way, statement: str, reason: str, tmp_path: Path
) -> None:
    old, new = filled(way.source, tmp_path), place(way.target, tmp_path, "new")
    engines.execute(old if "://" in old else Path(old), statement)
    failed = run(old, f"move --to '{new}' --json")
    with opened(old) as ledger:
        address = ledger.store.address
    told = f"the move is not complete, and {address} takes no writes: {address} is damaged: "
    assert (failed.code, failed.error["message"].startswith(told)) == (7, True), failed.error
    assert reason in failed.error["message"]
    assert re.fullmatch("cancel with `wallet .*move --cancel`; .*restore a backup", failed.error["hint"])
    assert run(old, f"move --cancel --to '{new}'").code == 0
    refused = run(old, "tx add 1 1 --credit --json").error
    assert ("it takes no writes, because " in refused["message"], refused["code"]) == (True, "storage_error")


def test_it_would_be_seen_if_the_new_one_were_opened_before_the_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults.put_in(
        monkeypatch, Fault(moving, "move", "_prove(old, new, watch)", "_open(old, new, name), _prove(old, new, watch)")
    )
    with pytest.raises(AssertionError):
        test_a_copy_that_is_not_the_same_is_found_out("file", *ALTERED[0], tmp_path, monkeypatch)


# Killed

PHASES = ("_named", "_copy", "_prove", "_open", "_close", "_answer")
"""The functions that a move goes through, in order: kills are spread over each."""

KILLS_A_PHASE = size(2, 12)


class Kills:
    """Counts what happens in a process, and kills it at the n-th thing: a call, within Python or out of it, or a return
    from outside, such as from COMMIT."""

    def __init__(self, at: int | None = None) -> None:
        self.count = 0
        self.at = at
        self.begins: dict[str, int] = {}

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        # By the module's name: a deliberate fault's code has no file.
        module = str(frame.f_globals.get("__name__", ""))
        if event == "return" or not module.startswith(("wallet_cli", "psycopg")):
            return
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        name = frame.f_code.co_name
        if event == "call" and name in PHASES and module == moving.__name__:
            self.begins.setdefault(name, self.count)


def moved_under(kills: Kills, old: str, new: str) -> None:
    sys.setprofile(kills)
    try:
        move(old, new)
    finally:
        sys.setprofile(None)


def points(way: Way, folder: Path, chance: random.Random) -> list[int]:
    """When to kill: at random moments of each phase, as a move that is left alone goes through them."""
    counter = Kills()
    (folder / "dry").mkdir()
    old, new = filled(way.source, folder / "dry"), place(way.target, folder / "dry", "new")
    moved_under(counter, old, new)
    begins = [counter.begins[name] for name in PHASES]
    return [
        chance.randrange(first, last)
        for first, last in pairwise(begins)
        for _ in range(KILLS_A_PHASE)
    ]  # fmt: skip


def killed_and_gone_on(named: tuple[str, str], folder: Path, seed: int) -> dict[str, int]:
    """Kill a move at each of many moments, see that at most one ledger takes writes, and go on or call it off.

    Answers with how often each state was met.
    """
    moving.BATCH_ROWS = 2
    way = Way(*named)  # its class has another name in the test's own process
    chance = random.Random(seed)
    met: dict[str, int] = {}
    for number, at in enumerate(points(way, folder, chance)):
        here = folder / str(number)
        here.mkdir()
        old, new = filled(way.source, here), place(way.target, here, "new")
        before = contents(old)
        code = processes.reap(processes.fork(lambda at=at, old=old, new=new: moved_under(Kills(at), old, new)))  # type: ignore[misc]
        assert code in (-signal.SIGKILL, 0), code
        one = _one_takes_writes(old, new, code)
        met[str(one)] = met.get(str(one), 0) + 1
        between = None
        if one is not None:
            assert contents(one) == before, "what takes writes is whole"
            between = run(one, "tx add 1 1 --credit --key between --at 2099-01-01T00:00:00Z -q").out
            before = contents(one)
        if move_state(old).state == "moving" and chance.random() < 0.3:
            _called_off(old, new, before)
        assert move(old, new)["moved"]
        assert (takes_writes(old), takes_writes(new)) == (False, True)
        assert move_state(old).state == "moved"
        assert contents(new) == before
        if between is not None:
            assert run(new, "tx add 1 1 --credit --key between --at 2099-01-01T00:00:00Z -q").out == between
        _lent.close()
        shutil.rmtree(here)
    return met


def _one_takes_writes(old: str, new: str, code: int) -> str | None:
    """Which of the two takes writes, after a move was killed; a new one with nothing in it is none yet."""
    there = is_there(new)
    both = [address for address in (old, new) if (address == old or there) and takes_writes(address)]
    assert len(both) <= 1, (code, move_state(old), move_state(new))
    return both[0] if both else None


def _called_off(old: str, new: str, before: list[Any]) -> None:
    arrived = move_state(new).origin == move_state(old).move
    try:
        cancel(old, new)
    except LedgerMoved:
        assert arrived
        return
    assert not arrived
    assert (takes_writes(old), is_there(new)) == (True, False)
    assert contents(old) == before


@from_or_to_a_file
def test_killed_at_any_moment_it_goes_on_and_there_are_never_two(way: Way, tmp_path: Path) -> None:
    met = processes.alone(killed_and_gone_on, tuple(way), tmp_path, 5)
    assert sum(met.values()) == KILLS_A_PHASE * (len(PHASES) - 1)
    assert len(met) >= 3, "before, while and after neither took writes"


UNSAFE = {
    "what has arrived can be called off": Fault(moving, "_take_back", "if there.origin == known.move:", "if False:"),
    "the new one is opened before it is whole": Fault(
        moving, "move", "_copy(old, new, name, watch)", "_open(old, new, name), _copy(old, new, name, watch)"
    ),
    "the old one is opened in the end": Fault(
        moving,
        "_close",
        '_mark(old, "moved", move_state._replace(state=MOVED, since_us=old.now_us()))',
        "old.store.set_move_state(MoveState())",
    ),
    "the old one is opened before the new one is": Fault(
        moving,
        "_prove",
        "verification.check(new)",
        "turn = _alone(old); turn.__enter__(); old.store.set_move_state(MoveState()); old.store.commit()",
    ),
}


def with_a_fault(name: str, way: tuple[str, str], folder: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        faults.put_in(patch, UNSAFE[name])
        try:
            killed_and_gone_on(way, folder, 5)
        except (AssertionError, Busy) as error:
            return type(error).__name__
    return ""


@pytest.mark.parametrize("name", UNSAFE)
def test_it_would_be_seen_if(name: str, tmp_path: Path) -> None:
    assert processes.alone(with_a_fault, name, tuple(FILES), tmp_path)
