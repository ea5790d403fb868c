"""An error at the n-th call: the command says so, or that nobody knows; and afterwards all is well."""

from __future__ import annotations

import fcntl
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.commands import SCENARIOS, Way, inject
from faults.serving import Faulty
from support import cli, injection, processes
from support.faults import Fault, put_in
from support.figures import figure
from support.processes import Runner
from support.sizes import size

from wallet_cli.storage import sqlite
from wallet_cli.storage.in_place import HEADER_BYTES

WHY_NOT = injection.why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

KINDS = {
    "openat": ["error=EMFILE", "error=EACCES", "error=EIO", "error=ENOSPC"],
    "pwrite64": ["error=EIO", "error=ENOSPC", "error=EDQUOT", "retval=0"],
    "write": ["error=EIO", "error=ENOSPC"],
    "pread64": ["error=EIO"],
    "read": ["error=EIO"],
    "fsync": ["error=EIO", "error=ENOSPC"],
    "fdatasync": ["error=EIO", "error=ENOSPC", "error=EDQUOT"],
    "ftruncate": ["error=EIO", "error=ENOSPC"],
    "unlink": ["error=EIO", "error=EACCES"],
    "rename": ["error=EIO", "error=ENOSPC", "error=EACCES"],
    "flock": ["error=ENOLCK", "error=EIO", "error=ENOSYS"],
    "fcntl": ["error=ENOLCK", "error=EIO"],
    "mmap": ["error=ENOMEM"],
}
SERVED = [("pwrite64", 24), ("fdatasync", 9), ("flock", 16)]
"""What a server calls, and about how often in a round of requests."""

OPENING = {
    "making the index": {128: fcntl.LOCK_EX},
    "reading the log": {128: fcntl.LOCK_SH, 122: fcntl.LOCK_EX},
}
"""The bytes of the -shm that SQLite locks while it makes it, and while it fills it with what is in a log."""

WAYS = [Way(), Way(lasting=True), Way(held=True), Way(lasting=True), Way(lasting=True, held=True)]
NAMES = [scenario.name for scenario in SCENARIOS]


def fail(folder: Path, wanted: int) -> Counter[str]:
    return inject(folder, NAMES, KINDS, wanted, WAYS)


def fail_and_be_sure(folder: Path) -> Counter[str]:
    """With a deliberate fault: what cannot be read after a commit that failed is told as not written, and stays."""
    right, wrong = "self._begin_log_anew()", "pass"
    with pytest.MonkeyPatch.context() as patch:
        put_in(patch, Fault(sqlite, "SqliteStore.commit", right, wrong))
        return inject(folder, ["credit"], {"fdatasync": ["error=EIO"]}, 20, [Way(held=True)])


READING = {
    "of a ledger": (["verify", "seal", "restore"], {"pread64": ["error=EIO"]}),
    "of any file": (["config set", "config unset", "seal"], {"read": ["error=EIO"]}),
    "of its name": (["credit", "balance"], {"openat": ["error=EMFILE"]}),
}
"""Commands, and the ways in which they read: a failure there shows no damage, and changes nothing."""
NAMING = ["seal", "backup", "config set"], {"unlink": ["error=EIO"], "link": ["error=EIO"], "fsync": ["error=EIO"]}


def fail_here(folder: Path, names: list[str], kinds: dict[str, list[str]], wanted: int) -> Counter[str]:
    return inject(folder, names, kinds, wanted, [Way()])


@pytest.mark.on_file("PostgreSQL's own files are its own")
@pytest.mark.parametrize("what", READING)
def test_a_reading_that_fails_is_told_as_that(tmp_path: Path, what: str) -> None:
    told = processes.alone(fail_here, tmp_path, *READING[what], size(16, 3000))
    assert told["refused"]


@pytest.mark.on_file("PostgreSQL's own files are its own")
def test_what_is_told_as_not_made_is_not_there(tmp_path: Path) -> None:
    assert processes.alone(fail_here, tmp_path, *NAMING, size(16, 3000))["done"]


def read_badly(folder: Path) -> list[str]:
    """What a backup says, for each read of its ledger that fails."""
    os.chdir(folder)
    os.environ["WALLET_DB"] = str(folder / "w.db")
    assert cli.run("register 9886977544").code == 0
    runner = Runner()
    told: list[str] = []
    while (
        failed := injection.run(
            runner,
            ["backup", "copy.db"],
            folder / "calls",
            ("pread64",),
            f"pread64:error=EIO:when={len(told) + 1}",
            folder / "w.db",
        )
    ).times:
        told.append(failed.outcome.err)
    return told


@pytest.mark.on_file("PostgreSQL's own files are its own")
def test_a_backup_names_the_file_that_cannot_be_read(tmp_path: Path) -> None:
    told = processes.alone(read_badly, tmp_path)
    assert len(told) > 10
    assert {words.partition("\n")[0] for words in told} == {f"error: a read of the file failed: {tmp_path / 'w.db'}"}


def read_zeros(folder: Path) -> list[tuple[str, cli.Outcome]]:
    """What commands say, for each read of their ledger that gives zeros at its start."""
    os.environ["WALLET_DB"] = str(folder / "w.db")
    for line in ("register 9886977544", "create 1", "tx add 1 5 --credit"):
        assert cli.run(line).code == 0
    runner = Runner()
    log = folder / "calls"
    told = []
    for line in ("balance 1", "tx add 1 5 --credit"):
        injection.run(runner, line.split(), log, ("pread64",), file=folder / "w.db")
        sizes = [int(size) for size in re.findall(r", (\d+), \d+\) +=", log.read_text(errors="replace"))]
        for number, size_ in enumerate(sizes, 1):
            if size_ >= HEADER_BYTES:
                zeros = f"pread64:poke_exit=@arg2={'00' * HEADER_BYTES}:when={number}"
                done = injection.run(runner, line.split(), log, ("pread64",), zeros, folder / "w.db")
                told.append((f"{line}, read {number}", done.outcome))
    return told


@pytest.mark.on_file("PostgreSQL's own files are its own")
def test_a_read_that_gives_zeros_once_is_told_as_that(tmp_path: Path) -> None:
    """It is no other file, and nobody has written over it."""
    told = processes.alone(read_zeros, tmp_path)
    assert len(told) > 10
    for what, done in told:
        assert done.code == 0 or (done.code, done.err.partition(": ")[2].partition(": ")[0]) == (
            7,
            "a read of the file failed",
        ), (what, done)
    assert cli.run(f"--db {tmp_path / 'w.db'} verify").code == 0


def wait_for(folder: Path, locks: dict[int, int]) -> list[cli.Outcome]:
    """What commands say while another process has begun to open the ledger, and does not go on."""
    os.environ["WALLET_DB"] = str(folder / "w.db")
    assert cli.run("register 9886977544").code == 0
    index = folder / "w.db-shm"
    with index.open("w+b") as file:
        for byte, kind in locks.items():
            fcntl.lockf(file, kind, 1, byte)
        runner = Runner()
        lines = ("register 9886977545 --json", "users --json", f"backup {folder / 'copy.db'} --json")
        return [injection.run(runner, line.split(), folder / "calls", ()).outcome for line in lines]


@pytest.mark.on_file("PostgreSQL's locks are its own")
@pytest.mark.parametrize("what", OPENING)
def test_who_opens_a_ledger_and_is_paused_makes_it_busy(tmp_path: Path, what: str) -> None:
    for done in processes.alone(wait_for, tmp_path, OPENING[what]):
        assert (done.code, done.error["code"]) == (6, "busy"), done
        assert "paused" in done.error["hint"]


def test_an_error_at_any_call_is_told_and_heals(tmp_path: Path) -> None:
    told = processes.alone(fail, tmp_path, size(45, 3000))
    assert told["refused"]
    assert told["unknown"]
    figure("errors", told.total(), **told)


def test_a_write_that_is_wrongly_told_as_refused_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"credit, fdatasync.*told refused"):
        processes.alone(fail_and_be_sure, tmp_path)


@pytest.mark.on_file("PostgreSQL's own files are its own")
def test_a_server_tells_what_became_of_a_write_that_failed(
    wallet: Callable[[str], cli.Outcome], tmp_path: Path
) -> None:
    for line in ("register 9886977544", "create 1"):
        assert wallet(line).code == 0
    rounds = size(3, 130)
    faulty = Faulty(tmp_path)
    for number in range(rounds):
        call, calls = SERVED[number % len(SERVED)]
        kind = KINDS[call][number // len(SERVED) % len(KINDS[call])]
        # Until the end of the round, in every other round of each call.
        lasts = "+" if number // len(SERVED) % 2 == 0 else ""
        faulty.round(list(KINDS), f"{call}:{kind}:when={1 + number * 7 % calls}{lasts}")
    assert wallet("balance 1 -q").out == f"{faulty.sent}.00\n"
    assert wallet("verify").code == 0
    assert faulty.told["done"]
    assert faulty.told["refused"] + faulty.told["unknown"]
    figure("errors of serve", rounds, **faulty.told)
