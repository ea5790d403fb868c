"""A disk that is full, and then has room again: what was told holds, and the same commands end well, once."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from faults.commands import make_ledgers
from support import processes
from support.faults import Fault, put_in
from support.figures import figure
from support.processes import Runner
from support.sizes import size

from wallet_cli.storage import whole_file

NOTE = "n" * 900
LINES = [
    "register 9886977544",
    "create 1",
    *(f"tx add 1 5 --credit --key k{number} --note {NOTE}" for number in range(6)),
    "hold add 1 1 --key h",
]
DONE_BEFORE = {"register": (0, 5), "create": (0, 5)}
"""How a command may end when it is run again, and may have been done."""

IMAGE_KIB = 2048


PATH = f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/sbin"


def why_not(*command: str) -> str | None:
    """Why no such disk can be made here, if that is so; `command` makes and removes one."""
    try:
        done = subprocess.run(
            ["unshare", "-m", "sh", "-ec", *command], capture_output=True, text=True, env={**os.environ, "PATH": PATH}
        )
    except FileNotFoundError:
        return "small disks need unshare and mount"
    return f"small disks need root, and what makes them: {done.stderr.strip()}" if done.returncode else None


NO_TMPFS = why_not("mount -t tmpfs none /mnt")
NO_EXT4 = why_not("command -v mkfs.ext4 && losetup -f && mount -t tmpfs none /mnt")


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], capture_output=True, check=True)


def tell(runner: Runner, line: str) -> str:
    """Run a command, and what it says became of it: `done`, `refused` or `unknown`."""
    outcome = runner.run(shlex.split(line))
    if outcome.code == 0:
        return "done"
    # What has no room is a storage error; what needs what there was no room for is refused.
    assert outcome.code in (3, 7), outcome
    return "unknown" if "it is unknown whether" in outcome.err else "refused"


def keys_in(path: Path) -> set[str]:
    """The keys of what a ledger holds; of none, as of an empty one."""
    if not path.exists() or not path.stat().st_size:
        return set()
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {key for (key,) in connection.execute("SELECT key FROM transactions UNION SELECT key FROM holds")}


Room = Callable[[], None]
Work = Callable[[Runner, Path, Room], Counter[str]]


def from_nothing(runner: Runner, folder: Path, more_room: Room) -> Counter[str]:
    """Begin a ledger and write to it on a disk that is too small, and again where there is room; what was told."""
    path = folder / "w.db"
    told = {line: tell(runner, line) for line in LINES}
    more_room()
    keys = keys_in(path)
    for line, word in told.items():
        if "--key" in line:
            there = line.split("--key ")[1].split()[0] in keys
            assert word == "unknown" or there is (word == "done"), f"told {word}: {line}"
    for line in LINES:
        outcome = runner.run(shlex.split(line))
        assert outcome.code in DONE_BEFORE.get(line.split()[0], (0,)), outcome
    assert runner.run(["verify"]).code == 0
    assert runner.run(["balance", "1", "-q"]).out == "30.00\n"
    return Counter(told.values())


def from_a_copy(of: str, line: str, there: str) -> Work:
    """Run a command on a copy of that ledger, on a disk that is too small, and again where there is room.

    The ledger `there` has it all then.
    """

    def work(runner: Runner, folder: Path, more_room: Room) -> Counter[str]:
        try:
            shutil.copy(folder.parent / of, folder / "w.db")
        except OSError:
            return Counter()  # it does not even fit
        word = tell(runner, line)
        more_room()
        if "--key" in line:
            assert word == "unknown" or ("k" in keys_in(folder / "w.db")) is (word == "done"), word
        outcome = runner.run(shlex.split(line))
        assert outcome.code == 0, outcome
        assert keys_in(folder / there) >= {"first", "second", "held"}
        proof = runner.run(["--db", there, "verify"])
        assert proof.code == 0, proof
        return Counter([word])

    return work


WORKS = [
    from_nothing,
    from_a_copy("old.db", "tx add 1 7 --credit --key k", "w.db"),
    from_a_copy("story.db", "move --to moved.db", "moved.db"),
]


def on_disks(folder: Path, sizes: list[int], make: Callable[[Path, int], Room]) -> Counter[str]:
    """What was told on disks of so many KiB, each made in the place of the one before; `make` gives how to have room.

    For `processes.alone`.
    """
    make_ledgers(folder)
    disk = folder / "disk"
    disk.mkdir()
    os.environ["WALLET_DB"] = str(disk / "w.db")
    runner = Runner()
    told: Counter[str] = Counter()
    for kib in sizes:
        for work in WORKS:
            more_room = make(disk, kib)
            os.chdir(disk)
            try:
                told += work(runner, disk, more_room)
            except (AssertionError, apsw.Error) as error:
                raise AssertionError(f"{kib} KiB: {error}") from error
            finally:
                os.chdir("/")
                subprocess.run(["umount", "-l", str(disk)], check=True)
    return told


def tmpfs(disk: Path, kib: int) -> Room:
    """A disk of that size."""
    mount("-t", "tmpfs", "-o", f"size={kib}k", "wallet-test", str(disk))
    return lambda: mount("-o", "remount,size=8m", str(disk))


def small_blocks(disk: Path, kib: int) -> Room:
    """A disk with blocks of 1 KiB, of which so many are free."""
    image = disk.parent / "image"
    image.write_bytes(b"")
    os.truncate(image, IMAGE_KIB * 1024)
    make = ["mkfs.ext4", "-q", "-F", "-b", "1024", "-m", "0", "-O", "^has_journal", str(image)]
    subprocess.run(make, check=True, capture_output=True, env={**os.environ, "PATH": PATH})
    mount("-o", "loop", str(image), str(disk))
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, (os.statvfs(disk).f_bavail - kib) * 1024)
    return filler.unlink


def fill(folder: Path, sizes: list[int]) -> Counter[str]:
    return on_disks(folder, sizes, tmpfs)


def fill_small_blocks(folder: Path, sizes: list[int]) -> Counter[str]:
    return on_disks(folder, sizes, small_blocks)


def fill_with_a_log(folder: Path, sizes: list[int]) -> Counter[str]:
    """With a deliberate fault: a new ledger is made by way of a log, which closing does not bring into the file."""
    right, wrong = "journal_mode=MEMORY", "journal_mode=WAL"
    with pytest.MonkeyPatch.context() as patch:
        put_in(patch, Fault(whole_file, "made_whole", right, wrong))
        return fill(folder, sizes)


def spread(first: int, last: int, count: int) -> list[int]:
    return [first + (last - first) * number // (count - 1) for number in range(count)]


@pytest.mark.parametrize(
    ("fill_it", "sizes", "row"),
    [
        pytest.param(
            *(fill, spread(8, 480, size(3, 60)), "full disk"),
            marks=pytest.mark.skipif(NO_TMPFS is not None, reason=str(NO_TMPFS)),
            id="tmpfs",
        ),
        pytest.param(
            *(fill_small_blocks, spread(0, 480, size(3, 40)), "full disk of small blocks"),
            marks=pytest.mark.skipif(NO_EXT4 is not None, reason=str(NO_EXT4)),
            id="small blocks",
        ),
    ],
)
def test_on_a_full_disk_what_is_told_holds_and_no_process_ends(
    fill_it: Callable[[Path, list[int]], Counter[str]], sizes: list[int], row: str, tmp_path: Path
) -> None:
    told = processes.alone(fill_it, tmp_path, sizes)
    assert told["refused"]
    assert told["done"]
    figure(row, len(sizes), **told)


@pytest.mark.skipif(NO_TMPFS is not None, reason=str(NO_TMPFS))
def test_a_ledger_that_a_full_disk_leaves_broken_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="KiB: "):
        processes.alone(fill_with_a_log, tmp_path, list(range(132, 300, 8)))
