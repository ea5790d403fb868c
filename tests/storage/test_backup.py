"""Backups are whole, of one moment, and verified before they get their names; going back loses nothing of either."""

from __future__ import annotations

import errno
import fcntl
import itertools
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from faults.test_disk import NO_TMPFS
from hypothesis import given
from hypothesis import strategies as st
from storage.test_opening import older
from support import cli

from wallet_cli import settings
from wallet_cli.domain.ids import parse_wallet
from wallet_cli.engine.turns import open_write_lock
from wallet_cli.errors import MAKE_ROOM, InvalidInput, StorageError
from wallet_cli.operations import backup as backups
from wallet_cli.operations import dated_files
from wallet_cli.operations.backup import Keep, parse_keep, to_keep
from wallet_cli.operations.context import open_ledger
from wallet_cli.operations.private_files import UNFINISHED
from wallet_cli.operations.transactions import add
from wallet_cli.storage import folders

Run = Callable[[str], cli.Outcome]

pytestmark = pytest.mark.on_file("a database is backed up by its own tools")


@pytest.fixture
def shop(wallet: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A ledger with a balance of 500.00, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WALLET_DB", str(tmp_path / "w.db"))
    (tmp_path / "wallet.db").unlink(missing_ok=True)
    for line in ("register 9886977544", "create 1", "tx add 1 500 --credit --key salary"):
        assert wallet(line).code == 0
    return wallet


def balance(run: Run, db: Path | str) -> str:
    proof = run(f"--db {db} verify --json")
    assert proof.code == 0, proof
    return run(f"--db {db} balance 1 -q").out.strip()


def test_a_backup_is_a_whole_ledger_that_nobody_else_may_read(shop: Run, tmp_path: Path) -> None:
    done = shop("backup copy.db --json")
    assert done.json["transactions"] == 1
    copy = tmp_path / "copy.db"
    assert (balance(shop, copy), stat.S_IMODE(copy.stat().st_mode)) == ("500.00", 0o600)
    assert done.json["bytes"] == copy.stat().st_size
    assert {each.name for each in tmp_path.iterdir()} - {"home"} == {"copy.db", "w.db", "w.db.lock"}
    tmp_path.chmod(0o555)
    copy.chmod(0o444)
    assert balance(shop, copy) == "500.00"
    tmp_path.chmod(0o755)


REFUSED = {
    "a file is there": ("touch copy.db", "backup copy.db", 2),
    "the ledger itself": ("", "backup w.db", 2),
    "a name of a file beside a ledger": ("", "backup w.db-wal", 2),
    "no folder": ("", "backup nowhere/copy.db", 7),
    "no ledger": ("rm w.db w.db.lock", "backup copy.db", 3),
    "on a server": ("", "--db postgresql://u@host/d backup copy.db", 2),
    "on another machine": ("", "--db https://host.example backup copy.db", 2),
    "a file where a folder is asked for": ("touch f", "backup f --keep 1,1,1", 2),
    "no time": ("", "backup f --every soon", 2),
    "nothing would be kept": ("", "backup f --keep 0,0,0", 2),
    "a backup that is not there": ("", "restore copy.db", 3),
    "going back to itself": ("", "restore w.db", 2),
    "going back to what is no ledger": ("echo hello > f", "restore f", 7),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused_and_changes_nothing(shop: Run, tmp_path: Path, name: str) -> None:
    before, line, code = REFUSED[name]
    subprocess.run(["bash", "-c", before], check=True, cwd=tmp_path)
    there = {each.name: each.read_bytes() for each in tmp_path.iterdir() if not each.name.endswith(".lock")}
    done = shop(f"{line} --json")
    assert (done.code, done.out) == (code, ""), done
    assert done.error["hint"]
    found = {each.name: each.read_bytes() for each in tmp_path.iterdir() if not each.name.endswith(".lock")}
    assert found == there


def damage(path: Path) -> None:
    """Change an amount behind the ledger's back."""
    with apsw.Connection(str(path)) as connection:
        connection.execute("UPDATE transactions SET amount = amount + 1, credit_total = credit_total + 1")
    connection.close()


def test_what_is_damaged_is_named_as_the_ledger_and_not_as_its_copy(shop: Run, tmp_path: Path) -> None:
    """Whichever page is lost: no message names the unfinished copy, which is gone when it is read."""
    path = tmp_path / "w.db"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((size,),) = connection.execute("PRAGMA page_size")
    whole = path.read_bytes()
    named = 0
    for start in range(0, len(whole), size):
        path.write_bytes(whole[:start] + bytes(size) + whole[start + size :])
        done = shop("backup lost.db")
        if done.code == 7:
            assert ".new" not in done.err, done.err
            named += f": {path}\n" in done.err
    assert named


def end_of(path: Path) -> None:
    """A page of rows is written as something else."""
    whole = bytearray(path.read_bytes())
    for start in range(4096, len(whole), 4096):
        if whole[start] == 13:
            whole[start] = 255
    path.write_bytes(whole)


def head_of(path: Path) -> None:
    path.write_bytes(b"no database at all" + path.read_bytes()[18:])


@pytest.mark.parametrize("harm", [damage, end_of, head_of])
def test_a_copy_that_is_not_what_was_written_is_told_as_that(
    shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], None]
) -> None:
    """The disk of the copy fails, and that of the ledger does not: nobody is sent back to an older backup."""
    sync = folders.sync

    def harmed(path: Path) -> None:
        sync(path)
        if path.name.endswith(".new"):
            harm(path)

    with monkeypatch.context() as patched:
        patched.setattr("wallet_cli.storage.whole_file.sync", harmed)
        done = shop("backup copy.db --json")
    assert (done.code, done.error["code"]) == (7, "storage_error")
    assert done.error["message"] == f"the ledger is right, but its copy is not what was written: {tmp_path}/copy.db"
    assert not [each.name for each in tmp_path.iterdir() if "copy" in each.name]
    found = {each["name"]: each for each in shop("doctor --json").json["findings"]}
    assert "damage" not in found["verified"]["found"]
    assert shop("backup copy.db").code == 0


def test_a_damaged_ledger_is_not_copied_over_and_over(shop: Run, tmp_path: Path) -> None:
    damage(tmp_path / "w.db")
    done = shop("backup copy.db --json")
    assert done.code == 7, done
    assert not [each.name for each in tmp_path.iterdir() if "copy" in each.name]


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("harm", [damage, cut])
def test_a_damaged_backup_replaces_nothing(shop: Run, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """It is named: the ledger in place is right."""
    assert shop("backup copy.db").code == 0
    harm(tmp_path / "copy.db")
    before = (tmp_path / "copy.db").read_bytes()
    done = shop("restore copy.db --json")
    assert (done.code, done.error["hint"]) == (7, "give another backup; the ledger is as it was")
    assert done.error["message"].startswith(f"the backup {tmp_path}/copy.db is damaged: ")
    assert balance(shop, "w.db") == "500.00"
    assert (tmp_path / "copy.db").read_bytes() == before


def note_damage(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("UPDATE ledger SET damaged = 'foo'")


@pytest.mark.parametrize("noted", ["in the ledger", "in the backup"])
def test_a_backup_takes_writes_whatever_was_noted_of_the_ledger(shop: Run, tmp_path: Path, noted: str) -> None:
    """It is verified: the damage is not in it."""
    if noted == "in the ledger":
        note_damage(tmp_path / "w.db")
    assert shop("backup copy.db").code == 0
    if noted == "in the backup":
        note_damage(tmp_path / "copy.db")
    assert shop("restore copy.db").code == 0
    assert shop("tx add 1 1 --credit").code == 0


@pytest.mark.skipif(NO_TMPFS, reason=str(NO_TMPFS))
@pytest.mark.parametrize("line", ["backup small/copy.db", "backup small/bks/", "--db small/w.db restore w.db"])
def test_a_full_disk_is_told_in_words(shop: Run, tmp_path: Path, line: str) -> None:
    (tmp_path / "small").mkdir()
    script = f"mount -t tmpfs -o size=64k none small; exec {sys.executable} -m wallet_cli {line} --json"
    done = subprocess.run(["unshare", "-m", "sh", "-ec", script], capture_output=True, text=True, check=False)
    assert done.returncode == 7, done
    error = json.loads(done.stderr)["error"]
    assert (error["hint"], "disk is full" in error["message"]) == (MAKE_ROOM, True), error


def test_it_would_be_seen_if_a_copy_were_not_verified(
    shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"wallets": 0, "transactions": 0}
    monkeypatch.setattr(backups, "_verified", lambda *_: counts)
    with pytest.raises(AssertionError):
        test_a_damaged_ledger_is_not_copied_over_and_over(shop, tmp_path)


def test_while_others_write_a_copy_is_of_one_moment(shop: Run, tmp_path: Path) -> None:
    stop = threading.Event()
    written: list[int] = []

    def write() -> None:
        with open_ledger(settings.load({}), lambda _: None) as ledger:
            while not stop.is_set():
                ledger.run(add(ledger, parse_wallet("1"), "1", is_credit=True), "test")
                written.append(1)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for number in range(5):
            least = len(written)
            done = shop(f"backup copy-{number}.db --json")
            assert done.code == 0, done
            assert done.json["transactions"] - 1 >= least
            copied = balance(shop, f"copy-{number}.db")
            assert copied == f"{500 + done.json['transactions'] - 1}.00"
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert balance(shop, "w.db") == f"{500 + len(written)}.00"


def test_going_back_keeps_what_it_replaces(shop: Run, tmp_path: Path) -> None:
    assert shop("backup copy.db").code == 0
    assert shop("tx add 1 20 --debit --key later").code == 0
    done = shop("restore copy.db --json").json
    assert (done["transactions"], done["transactions_kept"]) == (1, 2)
    assert (balance(shop, "w.db"), balance(shop, done["kept"])) == ("500.00", "480.00")
    # The ledger that is there now takes writes, and knows the keys that it had.
    assert shop("tx add 1 500 --credit --key salary --json").json["replayed"]
    assert "replayed" not in shop("tx add 1 20 --debit --key later --json").json
    assert shop(f"restore {done['kept']} --json").json["transactions"] == 2
    assert balance(shop, "w.db") == "480.00"
    assert shop("tx add 1 1 --credit").code == 0


def test_what_has_the_ledger_open_stops_when_it_is_replaced(shop: Run) -> None:
    assert shop("backup copy.db").code == 0
    with open_ledger(settings.load({}), lambda _: None) as ledger:
        prepared = add(ledger, parse_wallet("1"), "1", is_credit=True)
        ledger.run(prepared, "before")
        assert shop("restore copy.db").code == 0
        with pytest.raises(Exception, match="was replaced by another one"):
            ledger.run(prepared, "after")
    assert balance(shop, "w.db") == "500.00"


SOMEBODY, GROUP = 65534, 65533
OWNED = {
    # What is there of the ledger.
    "somebody's ledger": ("w.db", "w.db.lock"),
    "somebody's ledger, without its lock": ("w.db",),
    "a ledger that is gone": ("w.db.lock",),
    "no ledger": (),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("mode", [0o600, 0o660])
@pytest.mark.parametrize("what", OWNED)
def test_what_root_restores_belongs_to_whom_it_belonged(shop: Run, tmp_path: Path, what: str, mode: int) -> None:
    """Not to whom the backup belongs; where there was no ledger, to whom the folder belongs."""
    folder = tmp_path / "somebody"
    folder.mkdir(0o700)
    os.chown(folder, SOMEBODY, GROUP)
    assert shop("backup copy.db").code == 0
    for name in OWNED[what]:
        (folder / name).write_bytes((tmp_path / name).read_bytes())
        (folder / name).chmod(mode)
        os.chown(folder / name, SOMEBODY, GROUP)
    expected = mode if "w.db" in OWNED[what] else 0o600
    assert shop(f"--db {folder}/w.db restore copy.db").code == 0
    found = {each.name: each.stat() for each in folder.iterdir()}
    assert {"w.db", "w.db.lock"} <= found.keys()
    assert {(each.st_uid, each.st_gid) for each in found.values()} == {(SOMEBODY, GROUP)}
    assert stat.S_IMODE(found["w.db"].st_mode) == expected
    assert stat.S_IMODE(found["w.db.lock"].st_mode) == (expected if what != "a ledger that is gone" else mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("line", ["backup bks/", "backup bks/deep --every 1h", "seal bks/a.seal"])
def test_what_root_makes_of_a_ledger_belongs_to_its_owner(shop: Run, tmp_path: Path, line: str) -> None:
    """With the folders: what its owner makes later goes there too."""
    os.chown(tmp_path / "w.db", SOMEBODY, GROUP)
    assert shop(line).code == 0
    made = [tmp_path / "bks", *(tmp_path / "bks").rglob("*")]
    assert {(each.stat().st_uid, each.stat().st_gid) for each in made} == {(SOMEBODY, GROUP)}
    assert len(made) > 1


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660, 0o440])
def test_a_restored_ledger_has_the_mode_of_the_replaced_one(shop: Run, tmp_path: Path, mode: int) -> None:
    assert shop("backup copy.db").code == 0
    (tmp_path / "w.db").chmod(mode)
    assert shop("restore copy.db").code == 0
    assert stat.S_IMODE((tmp_path / "w.db").stat().st_mode) == mode | 0o600
    (tmp_path / "empty.db").touch(0o644)
    assert shop("--db empty.db restore copy.db").code == 0
    assert stat.S_IMODE((tmp_path / "empty.db").stat().st_mode) == 0o600


def test_a_backup_makes_a_ledger_where_there_is_none(shop: Run, tmp_path: Path) -> None:
    assert shop("backup copy.db").code == 0
    done = shop("--db new/w.db restore copy.db --json")
    assert (done.json["kept"], done.json["transactions_kept"]) == (None, None)
    assert balance(shop, "new/w.db") == "500.00"


def test_where_the_ledger_was_lost_a_backup_takes_its_place(shop: Run, tmp_path: Path) -> None:
    """The lock knows of payments that the backup lacks: restoring is to say that this is meant."""
    assert shop("backup copy.db").code == 0
    assert shop("tx add 1 20 --debit").code == 0
    (tmp_path / "w.db").unlink()
    assert shop("balance 1").code == 3
    assert shop("restore copy.db").code == 0
    assert (balance(shop, "w.db"), shop("tx add 1 1 --credit").code) == ("500.00", 0)


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("nth", [0, 1])
def test_where_there_is_no_room_the_ledger_stays_in_its_place(
    shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int, broken: bool
) -> None:
    """For the copy of what is there, or for the backup; a ledger that cannot be read is put back too."""
    assert shop("backup copy.db").code == 0
    if broken:
        (tmp_path / "w.db").write_bytes(b"hello" * 100)
    before = (tmp_path / "w.db").read_bytes()
    calls: list[Path] = []
    right = backups.back_up

    def full(store: Any, target: Path, *arguments: Any, **options: Any) -> None:
        calls.append(target)
        if len(calls) > (0 if broken else nth):
            raise StorageError("database or disk is full")
        right(store, target, *arguments, **options)

    monkeypatch.setattr(backups, "back_up", full)
    assert shop("restore copy.db").code == 7
    assert (tmp_path / "w.db").read_bytes() == before
    monkeypatch.undo()
    if not broken:
        monkeypatch.setenv("WALLET_DB", str(tmp_path / "w.db"))
        assert balance(shop, tmp_path / "w.db") == "500.00"


@pytest.mark.parametrize(("is_there", "nth", "is_done"), [(True, 1, False), (True, 2, True), (False, 1, True)])
def test_what_is_told_of_a_restore_whose_name_cannot_be_synced_is_so(
    shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool, nth: int, is_done: bool
) -> None:
    """Until the backup has the ledger's name, nothing changes; from then on it is restored, and can be used."""
    assert shop("backup copy.db").code == 0
    assert shop("tx add 1 20 --debit").code == 0
    if not is_there:
        (tmp_path / "w.db").unlink()
    sync, folder, times = os.fsync, tmp_path.stat(), 0

    def fails(fd: int) -> None:
        nonlocal times
        if os.path.samestat(os.fstat(fd), folder):
            times += 1
            if times == nth:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    monkeypatch.setattr(os, "fsync", fails)
    done = shop("restore copy.db --json")
    assert (done.code, done.error["message"].startswith("it is restored: ")) == (7, is_done)
    assert ("it is unknown whether it outlasts a power cut" in done.error["message"]) is is_done
    assert [each for each in tmp_path.glob("w.db.replaced-*") if str(each) in done.error["hint"]] == [
        *tmp_path.glob("w.db.replaced-*[0-9]Z")
    ]
    assert (balance(shop, "w.db"), shop("tx add 1 1 --credit").code) == ("500.00" if is_done else "480.00", 0)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_disk_without_hard_links_will_do(
    shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As FAT and exFAT, which memory sticks have."""

    def link(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    for line in ("backup copy.db", "backup bks --every 1h", "seal a.seal"):
        assert shop(line).code == 0, line
    before = files_in(tmp_path)
    for name in ("copy.db", "a.seal"):
        assert before[name]
        assert shop(f"{'seal' if name == 'a.seal' else 'backup'} {name}").code == 2
    assert files_in(tmp_path) == before
    assert balance(shop, "copy.db") == "500.00"
    assert shop("verify --against a.seal").code == 0


@pytest.mark.parametrize("number", [errno.EEXIST, errno.EIO])
def test_a_link_whose_answer_is_lost_is_made(
    shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As a network file system may do it: the request is sent again, or ends with an error."""
    link = os.link

    def lost(*names: Any) -> None:
        link(*names)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", lost)
    for line in ("backup copy.db", "backup bks --every 1h", "seal a.seal"):
        assert shop(line).code == 0, line
    assert shop("verify --against a.seal").code == 0
    assert [*tmp_path.rglob(".*.new")] == []


# A folder of backups.


def test_a_folder_has_a_backup_an_hour_and_no_more(shop: Run, tmp_path: Path) -> None:
    first = shop("backup bks --every 1h --keep 24,7,12 --json").json
    again = shop("backup bks --every 1h --keep 24,7,12 --json").json
    assert (first["made"], again["made"], again["backup"]) == (True, False, first["backup"])
    assert [str(each) for each in (tmp_path / "bks").glob("[!.]*")] == [first["backup"]]
    assert stat.S_IMODE((tmp_path / "bks").stat().st_mode) == 0o700


@pytest.mark.parametrize("link", ["bks", "."])
def test_a_folder_may_be_named_by_a_link(shop: Run, tmp_path: Path, link: str) -> None:
    """The folder itself, or one above it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    if link == "bks":
        (tmp_path / "real" / "there").mkdir()
        (tmp_path / "real" / "bks").symlink_to("there")
    made = [shop("backup link/bks --every 1h --keep 9,9,9 --json").json for _ in range(2)]
    assert [each["made"] for each in made] == [True, False]
    assert Path(made[0]["backup"]).parent == (tmp_path / "link" / "bks").resolve()
    assert balance(shop, made[0]["backup"]) == "500.00"


def own(run: Run, name: str) -> str:
    """The name of a backup of this ledger."""
    return f"wallet-{run('ledger show --json').json['id'][:8]}-{name}Z.db"


def copies(run: Run, folder: Path, *moments: str) -> list[str]:
    """Backups with names of these moments, as if they had been made then."""
    folder.mkdir(exist_ok=True)
    names = [own(run, moment) for moment in moments]
    made = run(f"backup {folder.parent}/a-copy.db -q").out.strip()
    for name in names:
        shutil.copyfile(made, folder / name)
    Path(made).unlink()
    return names


def test_older_backups_make_room_and_nothing_else_does(shop: Run, tmp_path: Path) -> None:
    old = copies(shop, tmp_path / "bks", "2024-01-01T10-00-00", "2024-01-01T10-30-00", "2024-01-02T10-00-00")
    others = ["shop.db", "wallet-x.db", f"{old[0]}.gz", "wallet-00000000-2024-01-01T10-00-00Z.db"]
    others.append(own(shop, "2024-99-99T99-99-99"))
    for name in others:
        (tmp_path / "bks" / name).write_text("x")
    done = shop("backup bks --keep 1,2,1 --json").json
    assert done["removed"] == old[:2]
    assert {each.name for each in (tmp_path / "bks").glob("[!.]*")} == {old[2], *others, Path(done["backup"]).name}


@pytest.mark.parametrize(
    ("age_s", "every", "made"),
    [(3541, "1h", True), (3480, "1h", False), (55, "1m", True), (30, "1m", False), (86_345, "1d", True)],
)
def test_a_minute_less_than_asked_for_is_enough(shop: Run, tmp_path: Path, age_s: int, every: str, made: bool) -> None:
    """cron starts some seconds earlier in one hour than in the next: else each second hour would have none."""
    copies(shop, tmp_path / "bks", (datetime.now(UTC) - timedelta(seconds=age_s)).strftime("%Y-%m-%dT%H-%M-%S"))
    assert shop(f"backup bks --every {every} --json").json["made"] is made


def test_of_two_in_one_second_each_has_what_was_there_then(shop: Run) -> None:
    names = []
    for number in range(1, 4):
        assert shop("tx add 1 1 --credit").code == 0
        names.append(shop("backup bks --keep 9,9,9 -q").out.strip())
        assert balance(shop, names[-1]) == f"{500 + number}.00"
    assert len(set(names)) == 3


def test_one_that_cannot_be_removed_is_told_and_the_new_one_is_made(shop: Run, tmp_path: Path) -> None:
    stuck, gone = copies(shop, tmp_path / "bks", "2024-01-01T10-00-00", "2024-01-02T10-00-00")
    (tmp_path / "bks" / f"{gone}-wal").write_text("x")
    (tmp_path / "bks" / f"{stuck}.lock").mkdir()
    done = shop("backup bks --keep 1,0,0 --json")
    assert (done.code, done.json["made"], done.json["removed"]) == (0, True, [gone])
    assert f"an older backup cannot be removed: Is a directory: {tmp_path}/bks/{stuck}\n" in done.err
    assert {each.name for each in (tmp_path / "bks").glob("*20*") if each.is_file()} == {
        stuck,
        Path(done.json["backup"]).name,
    }


def test_two_ledgers_share_a_folder(shop: Run, tmp_path: Path) -> None:
    assert shop("--db b.db register 9886977544").code == 0
    line = "backup bks --every 1h --keep 1,0,0 --json"
    made = [shop(f"--db {db} {line}").json["made"] for db in ("w.db", "b.db", "w.db", "b.db")]
    assert made == [True, True, False, False]
    assert len(list((tmp_path / "bks").glob("[!.]*"))) == 2


def test_what_a_clock_that_was_ahead_has_named_neither_counts_nor_goes(shop: Run, tmp_path: Path) -> None:
    """It would take the place of good ones for as long as the clock was ahead."""
    past = copies(shop, tmp_path / "bks", "2024-01-01T10-00-00", "2024-01-02T10-00-00")
    ahead = copies(shop, tmp_path / "bks", "2200-01-01T00-00-00", "2200-02-01T00-00-00", "9999-12-31T23-59-59")
    done = shop("backup bks --every 1h --keep 3,0,0 --json").json
    assert (done["made"], done["removed"]) == (True, [])
    assert {each.name for each in (tmp_path / "bks").glob("[!.]*")} == {*past, *ahead, Path(done["backup"]).name}
    assert shop("backup bks --every 1h --keep 3,0,0 --json").json["made"] is False


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def of_another_ledger(path: Path) -> None:
    change(path, "UPDATE ledger SET uuid = '00000000-0000-0000-0000-000000000000'")


BROKEN: dict[str, Callable[[Path], object]] = {
    "half of one": half,
    "more than one": longer,
    "something else": lambda path: path.write_bytes(b"hello" * 1000),
    "another database": lambda path: change(path, "PRAGMA application_id = 1"),
    "another ledger": of_another_ledger,
    "an empty file": lambda path: path.write_bytes(b""),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a link": lambda path: (path.unlink(), path.symlink_to("nowhere")),
}
DAMAGED = {"a damaged one": damage}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_whole_backup_is_not_the_newest(shop: Run, tmp_path: Path, what: str) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    [broken] = copies(shop, tmp_path / "bks", now)
    path = tmp_path / "bks" / broken
    BROKEN[what](path)
    done = shop("backup bks --every 1h --keep 1,0,0 --json")
    assert (done.code, done.json["made"], done.json["removed"]) == (0, True, [])
    assert os.path.lexists(path)
    is_told = "no whole backup, so it does not count: " in done.err and broken in done.err
    assert is_told is (path.is_file() and not path.is_symlink()), done.err


@pytest.mark.parametrize("what", BROKEN | DAMAGED)
def test_what_is_no_whole_backup_takes_the_place_of_none(shop: Run, tmp_path: Path, what: str) -> None:
    """Of three in one hour the newest is broken: the second one stays for that hour, and the broken file too."""
    names = copies(shop, tmp_path / "bks", "2024-01-01T10-00-00", "2024-01-01T10-30-00", "2024-01-01T10-40-00")
    (BROKEN | DAMAGED)[what](tmp_path / "bks" / names[2])
    done = shop("backup bks --keep 9,0,0 --json")
    assert (done.code, done.json["removed"]) == (0, names[:1]), done
    assert os.path.lexists(tmp_path / "bks" / names[2])
    assert balance(shop, tmp_path / "bks" / names[1]) == "500.00"


def test_a_backup_may_have_more_names(shop: Run, tmp_path: Path) -> None:
    """`cp -al`, `rsync --link-dest` and rsnapshot give each file one more."""
    names = copies(shop, tmp_path / "bks", "2024-01-01T10-00-00", "2024-01-01T10-30-00", "2024-01-01T10-40-00")
    (tmp_path / "again").mkdir()
    for name in names:
        (tmp_path / "again" / name).hardlink_to(tmp_path / "bks" / name)
    done = shop("backup bks --keep 9,0,0 --json")
    assert (done.code, done.json["removed"]) == (0, names[:2]), done
    assert "no whole backup" not in done.err
    before = files_in(tmp_path / "bks")
    for line in (
        f"--db bks/{names[2]} verify -q",
        f"--db bks/{names[2]} balance 1 -q",
        f"restore bks/{names[2]} --yes",
    ):
        assert shop(line).code == 0, line
    assert (
        shop(f"--db bks/{names[2]} credit 1 5 --json").error["message"].startswith("the ledger file has a second name")
    )
    assert files_in(tmp_path / "bks") == before


def test_of_two_to_one_name_one_is_refused(shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one comes between the look at the name and the end of the copy."""

    def late(*_: Any) -> Any:
        (tmp_path / "copy.db").write_text("another's")
        return {"wallets": 0, "transactions": 0}

    monkeypatch.setattr(backups, "_verified", late)
    assert shop("backup copy.db").code == 2
    assert (tmp_path / "copy.db").read_text() == "another's"


def acknowledged_in_the_log_alone(shop: Run, tmp_path: Path) -> None:
    """As by a program that was killed when it had answered: nobody brought its log into the file."""
    files = ("w.db", "w.db-wal", "w.db-shm")
    with closing(apsw.Connection(str(tmp_path / "w.db"))) as reader:
        reader.execute("SELECT count(*) FROM users").fetchall()
        assert shop("tx add 1 77 --credit").code == 0
        left = {name: (tmp_path / name).read_bytes() for name in files}
    for name, content in left.items():
        (tmp_path / name).write_bytes(content)


@pytest.mark.parametrize("fails_at", [1, 2])
@pytest.mark.parametrize("state", ["as it is", "without its log", "damaged"])
def test_a_restore_that_fails_leaves_everything_as_it_was(
    shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, fails_at: int
) -> None:
    """The note in the lock too, by which what is missing is missed. `fails_at`: the restored file, or the kept one."""
    assert shop("backup copy.db").code == 0
    acknowledged_in_the_log_alone(shop, tmp_path)
    if state == "without its log":
        for name in ("w.db-wal", "w.db-shm"):
            (tmp_path / name).unlink()
    elif state == "damaged":
        with (tmp_path / "w.db").open("r+b") as file:
            file.write(bytes(100))
    before = files_in(tmp_path)
    calls = itertools.count(1)
    back_up = backups.back_up

    def full(*given: Any, **more: Any) -> None:
        if next(calls) == fails_at:
            raise StorageError("the disk is full")
        back_up(*given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(backups, "back_up", full)
        failed = shop("restore copy.db")
    if fails_at == 1 or state == "as it is":
        assert (failed.code, "the disk is full" in failed.err) == (7, True), failed
        after = files_in(tmp_path)
        if state == "as it is":
            assert balance(shop, "w.db") == "577.00"
        else:
            before.pop("w.db-shm", None)  # SQLite's index, which each reader makes anew
            assert {name: after[name] for name in before} == before
            assert shop("tx add 1 1 --credit").code == 7
        assert not [name for name in after if "replaced" in name or name.endswith(".new")]
        assert shop("restore copy.db").code == 0
    assert balance(shop, "w.db") == "500.00"


@pytest.mark.parametrize("state", ["as it is", "damaged"])
def test_what_was_there_is_kept_if_a_restore_fails_when_it_is_done(
    shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """The restored file has its name, and its folder cannot be synced: nothing else has what was there."""
    assert shop("backup copy.db").code == 0
    assert shop("tx add 1 77 --credit").code == 0
    if state == "damaged":
        with (tmp_path / "w.db").open("r+b") as file:
            file.write(bytes(100))
    ledger = (tmp_path / "w.db").read_bytes()

    def fails(path: Path) -> None:
        if path == tmp_path and (tmp_path / "w.db").read_bytes() != ledger:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr("wallet_cli.storage.folders.sync", fails)
        assert shop("restore copy.db").code == 7
    [kept] = tmp_path.glob("w.db.replaced-*")
    if state == "damaged":
        assert kept.read_bytes() == ledger
    else:
        assert balance(shop, kept) == "577.00"


@pytest.mark.parametrize("harm", ["removed", "emptied"])
def test_the_log_of_a_ledger_that_is_gone_is_kept(shop: Run, tmp_path: Path, harm: str) -> None:
    """It may have the only copy of what was answered."""
    assert shop("backup copy.db").code == 0
    acknowledged_in_the_log_alone(shop, tmp_path)
    ledger, log = (tmp_path / "w.db").read_bytes(), (tmp_path / "w.db-wal").read_bytes()
    (tmp_path / "w.db").unlink() if harm == "removed" else (tmp_path / "w.db").write_bytes(b"")
    done = shop("restore copy.db --json")
    assert (done.code, "the log of a ledger that is gone is kept: " in done.err) == (0, True), done
    kept = Path(done.json["kept"])
    assert kept.with_name(kept.name + "-wal").read_bytes() == log
    assert balance(shop, "w.db") == "500.00"
    kept.write_bytes(ledger)
    assert balance(shop, kept) == "577.00"


def test_a_ledger_that_lacks_what_was_committed_is_kept_with_what_is_left_of_its_log(shop: Run, tmp_path: Path) -> None:
    assert shop("backup copy.db").code == 0
    acknowledged_in_the_log_alone(shop, tmp_path)
    with (tmp_path / "w.db-wal").open("r+b") as file:
        file.write(bytes(32))
    log = (tmp_path / "w.db-wal").read_bytes()
    done = shop("restore copy.db --json")
    assert (done.code, done.json["transactions_kept"]) == (0, None), done
    kept = Path(done.json["kept"])
    assert kept.with_name(kept.name + "-wal").read_bytes() == log


def test_a_lost_ledger_is_replaced_by_its_own_backup(shop: Run, tmp_path: Path) -> None:
    assert shop("--db b.db register 9886977545").code == 0
    assert shop("--db b.db backup copy.db").code == 0
    (tmp_path / "w.db").unlink()
    assert shop("restore copy.db").code == 2
    assert shop("restore copy.db --other").code == 0


# What restoring refuses.


def test_a_ledger_that_has_moved_is_not_replaced(shop: Run) -> None:
    """There would be two ledgers with one id, which both take writes."""
    assert shop("backup copy.db").code == 0
    assert shop("move --to new.db").code == 0
    done = shop("restore copy.db --json")
    assert (done.code, done.error["code"]) == (9, "ledger_moved")
    assert shop("tx add 1 1 --credit").code == 9


def test_a_backup_of_another_ledger_is_refused_unless_it_is_meant(shop: Run) -> None:
    assert shop("--db b.db register 9886977545").code == 0
    assert shop("--db b.db backup copy.db").code == 0
    assert shop("restore copy.db").code == 2
    assert balance(shop, "w.db") == "500.00"
    assert shop("restore copy.db --other").code == 0
    assert shop("balance 1").code == 3


def test_keys_that_a_backup_brings_back_are_told(shop: Run) -> None:
    assert shop("key create till").code == 0
    assert shop("backup copy.db").code == 0
    assert shop("key revoke till").code == 0
    done = shop("restore copy.db")
    assert (done.code, "are good again: till" in done.err) == (0, True)


def change(db: Path, statement: str) -> None:
    with closing(apsw.Connection(str(db))) as connection:
        connection.execute(statement)


def earlier(db: Path) -> None:
    """A ledger of an earlier schema, with an id."""
    db.unlink()
    older(db, "0007")


def moved_earlier(db: Path) -> None:
    earlier(db)
    change(db, "UPDATE ledger SET state = 'moved', other = 'new.db', move = 'm', since_us = 1")


def damaged(db: Path) -> None:
    """Another ledger, which cannot be read; the lock beside it tells which one it was."""
    db.write_bytes(b"")
    db.with_name("w.db.lock").unlink()
    assert cli.run(["register", "9886977545"]).code == 0
    db.write_bytes(db.read_bytes()[:5000])


def moved_with_another_log(db: Path) -> None:
    assert cli.run(["move", "--to", str(db.with_name("new.db"))]).code == 0
    shutil.copyfile(db, db.with_name("put"))
    db.with_name("put").replace(db)
    db.with_name("w.db-wal").write_text("x" * 3000)


def moved_and_without_its_row(db: Path) -> None:
    assert cli.run(["move", "--to", str(db.with_name("new.db"))]).code == 0
    change(db, "DELETE FROM ledger")


def moved_and_with_half_a_row(db: Path) -> None:
    assert cli.run(["move", "--to", str(db.with_name("new.db"))]).code == 0
    change(db, "PRAGMA ignore_check_constraints = ON; UPDATE ledger SET move = NULL")


def alone(db: Path, make: Callable[[], object]) -> None:
    """Something else, where no ledger was."""
    for each in db.parent.glob("w.db*"):
        each.unlink()
    make()


NOT_REPLACED: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "another ledger of an earlier schema": (earlier, 2, "of another ledger"),
    "a moved ledger of an earlier schema": (moved_earlier, 9, "this ledger has moved to new.db"),
    "another ledger, damaged": (damaged, 2, "of another ledger"),
    "a moved ledger beside a log of another file": (moved_with_another_log, 9, "this ledger has moved to"),
    "a moved ledger that has lost its own row": (moved_and_without_its_row, 9, "this ledger has moved to"),
    "a moved ledger with half of its own row": (moved_and_with_half_a_row, 9, "this ledger has moved to"),
    "a ledger of a newer wallet": (lambda db: change(db, "PRAGMA user_version = 99"), 7, "a newer wallet"),
    "a folder": (lambda db: alone(db, db.mkdir), 7, "this is a folder, not a ledger"),
    "a text": (lambda db: alone(db, lambda: db.write_text("milk, bread\n" * 100)), 7, "file is not a database"),
    "another database": (
        lambda db: alone(db, lambda: change(db, "CREATE TABLE songs (name)")), 7, "but not a wallet ledger",
    ),
    "another database beside the lock of a ledger": (
        lambda db: (db.unlink(), change(db, "CREATE TABLE songs (name)")), 7, "but not a wallet ledger",
    ),
    "a ledger with two names": (lambda db: db.with_name("x").hardlink_to(db), 7, "a second name"),
}  # fmt: skip


@pytest.mark.parametrize("what", NOT_REPLACED)
def test_what_is_in_the_place_is_asked_before_it_is_replaced(shop: Run, tmp_path: Path, what: str) -> None:
    make, code, message = NOT_REPLACED[what]
    assert shop("backup copy.db").code == 0
    make(tmp_path / "w.db")
    before = files_in(tmp_path)
    done = shop("restore copy.db")
    assert (done.code, message in done.err) == (code, True), done
    assert files_in(tmp_path) == before


WRONG_FILES: dict[str, Callable[[Path], object]] = {
    "a text": lambda file: file.write_text("milk, bread\n" * 100),
    "another database": lambda file: change(file, "CREATE TABLE songs (name)"),
}


@pytest.mark.parametrize("what", WRONG_FILES)
@pytest.mark.parametrize(
    ("line", "hint"),
    [("--db w.db restore {}", "check FILE"), ("--db w.db move --to {}", "check --to"), ("--db {} users", "check --db")],
)
def test_the_file_that_is_wrong_is_the_one_to_check(
    shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, hint: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    WRONG_FILES[what](tmp_path / "wrong.db")
    done = shop(f"{line.format('wrong.db')} --json")
    assert (done.code, done.error["hint"]) == (7, hint)


def files_in(folder: Path) -> dict[str, bytes]:
    """All files but the lock, whose note is read and written."""
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file() and each.name != "w.db.lock"}


def test_a_backup_that_is_an_empty_file_is_told_as_that(shop: Run, tmp_path: Path) -> None:
    [name] = copies(shop, tmp_path / "bks", "2024-01-01T10-00-00")
    path = tmp_path / "bks" / name
    path.write_bytes(b"")
    done = shop(f"restore bks/{name} --json")
    assert (done.code, done.error["message"], done.error["hint"]) == (7, f"this is an empty file: {path}", "check FILE")
    done = shop("backup bks --json")
    assert (done.code, f"no whole backup, so it does not count: this is an empty file: {path}" in done.err) == (0, True)


def test_a_ledger_that_has_moved_has_no_backup(shop: Run, tmp_path: Path) -> None:
    """It would have the name and the id of one of the ledger that goes on."""
    assert shop("move --to new.db").code == 0
    for line in ("backup copy.db", "backup copies --every 1h", "seal a.seal"):
        done = shop(f"{line} --json")
        assert (done.code, done.error["code"]) == (9, "ledger_moved"), line
    assert not {"copy.db", "a.seal"} & files_in(tmp_path).keys()
    assert shop("--db new.db backup copy.db").code == 0


def test_a_backup_of_a_ledger_that_has_moved_is_not_put_in_place(shop: Run, tmp_path: Path) -> None:
    """As from a release that made one: what goes on would be replaced by what takes no writes."""
    assert shop("move --to new.db").code == 0
    shutil.copyfile("w.db", "copy.db")
    before = files_in(tmp_path)
    done = shop("--db new.db restore copy.db --other --json")
    assert (done.code, done.error["code"]) == (9, "ledger_moved")
    assert "the ledger in this backup takes no writes: this ledger has moved to" in done.error["message"]
    assert files_in(tmp_path) == before
    assert shop("--db new.db tx add 1 1 --credit").code == 0


@pytest.mark.parametrize("broken", ["cut", "another file", "no header"])
def test_a_ledger_that_cannot_be_read_is_kept_as_it_is(shop: Run, tmp_path: Path, broken: str) -> None:
    assert shop("backup copy.db").code == 0
    whole = (tmp_path / "w.db").read_bytes()
    content = {"cut": whole[:5000], "another file": b"hello" * 100, "no header": bytes(4096) + whole[4096:]}[broken]
    (tmp_path / "w.db").write_bytes(content)
    done = shop("restore copy.db --json")
    assert done.code == 0, done
    assert (done.json["transactions_kept"], Path(done.json["kept"]).read_bytes()) == (None, content)
    assert balance(shop, "w.db") == "500.00"
    assert shop("tx add 1 1 --credit").code == 0


TABLE: list[tuple[str, Keep, set[str]]] = [
    # moments (day, hour, minute), what is to be kept, which ones are
    ("1-1-0 1-1-30 1-2-0", Keep(1, 0, 0), {"1-2-0"}),
    ("1-1-0 1-1-30 1-2-0", Keep(2, 0, 0), {"1-1-30", "1-2-0"}),
    ("1-1-0 1-1-30 1-2-0", Keep(9, 0, 0), {"1-1-30", "1-2-0"}),
    ("1-1-0 2-1-0 2-5-0", Keep(0, 1, 0), {"2-5-0"}),
    ("1-1-0 2-1-0 2-5-0", Keep(0, 2, 0), {"1-1-0", "2-5-0"}),
    ("1-1-0 2-1-0 2-5-0", Keep(0, 0, 3), {"2-5-0"}),
    ("1-1-0", Keep(0, 0, 1), {"1-1-0"}),
]


def named(moment: str) -> str:
    day, hour, minute = map(int, moment.split("-"))
    return f"wallet-0123abcd-2026-11-{day:02}T{hour:02}-{minute:02}-00Z.db"


def test_what_a_killed_program_leaves_has_a_name_that_is_removed_later(shop: Run, tmp_path: Path) -> None:
    """Of a backup in a folder, and of the ledger that a restore keeps: private_files.UNFINISHED, or one fixed name."""
    seen: set[str] = set()

    def watch(*_: Any) -> None:
        seen.update(each.name for each in tmp_path.rglob("*.new"))

    chosen = settings.load({})
    made = backups.backup_into(chosen, "bks", None, None, lambda _: None, watch)
    backups.restore(chosen, made["backup"], lambda _: None, watch)
    assert {each for each in seen if UNFINISHED.fullmatch(each) is None} == {"w.db.new"}
    assert len(seen) == 3


@pytest.mark.parametrize(("there", "keep", "kept"), TABLE)
def test_which_backups_stay(there: str, keep: Keep, kept: set[str]) -> None:
    assert to_keep([named(each) for each in there.split()], keep) == {named(each) for each in kept}


keeps = st.builds(Keep, *[st.integers(0, 5)] * 3).filter(any)


@given(st.sets(st.datetimes()), keeps)
def test_the_newest_stays_and_no_more_than_asked_for(moments: set[Any], keep: Keep) -> None:
    names = [f"wallet-0123abcd-{each.strftime(dated_files.MOMENT)}.db" for each in moments if each.year >= 1000]
    kept = to_keep(names, keep)
    assert kept <= set(names)
    assert not names or max(names) in kept
    assert len(kept) <= max(1, sum(keep))
    assert to_keep(sorted(kept), keep) == kept  # a second round removes nothing


@pytest.mark.parametrize(
    "text", ["", "1", "1,2", "1,2,3,4", "a,b,c", "-1,2,3", "1, 2,3", "1.5,2,3", "123456,1,1", "٣,1,1"]
)
def test_anything_else_is_no_number_of_backups(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_keep(text)


def test_two_at_once_leave_whole_files_alone(shop: Run, tmp_path: Path) -> None:
    outcomes: list[dict[str, Any]] = []

    def one() -> None:
        outcomes.append(backups.backup_into(settings.load({}), "bks", None, None, lambda _: None, lambda *_: None))

    at_once(one)
    assert len(outcomes) == 6
    assert len({each["backup"] for each in outcomes}) == 6
    for each in (tmp_path / "bks").glob("[!.]*"):
        assert balance(shop, each) == "500.00"


def at_once(one: Callable[[], None]) -> None:
    threads = [threading.Thread(target=one) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def test_of_several_at_once_one_makes_the_backup_of_the_hour(shop: Run, tmp_path: Path) -> None:
    """The others look when it is made: until then, there is a lock in the folder."""
    outcomes: list[dict[str, Any]] = []
    is_locked: list[bool] = []

    def watch(*_: Any) -> None:
        [lock] = (tmp_path / "bks").glob(".*.lock")
        is_locked.append(open_write_lock(lock).is_taken())

    def one() -> None:
        outcomes.append(backups.backup_into(settings.load({}), "bks", 3_600_000_000, None, lambda _: None, watch))

    at_once(one)
    assert set(is_locked) == {True}
    assert sorted(each["made"] for each in outcomes) == [False] * 5 + [True]
    assert [str(each) for each in (tmp_path / "bks").glob("[!.]*")] == [outcomes[0]["backup"]]


def test_whoever_waits_for_another_backup_waits_no_longer_than_for_a_turn(
    shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no reader of the folder can make them wait."""
    monkeypatch.setenv("WALLET_LOCK_TIMEOUT", "0.1")
    assert shop("backup bks/ --keep 9,9,9").code == 0
    folder = tmp_path / "bks"
    [lock] = folder.glob(".*.lock")
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        assert shop("backup bks/ --keep 9,9,9").code == 0
    finally:
        os.close(fd)
    with open_write_lock(lock).turn(0, "backup"):
        done = shop("backup bks/ --keep 9,9,9 --json")
    assert (done.code, done.error["code"], done.error["details"]["holder"]["pid"]) == (6, "busy", os.getpid())
    assert done.error["message"].startswith(f"another backup is being made in {folder}: ")
    assert shop("backup bks/ --keep 9,9,9").code == 0


@pytest.fixture(autouse=True)
def as_it_was(tmp_path: Path) -> Iterator[None]:
    yield
    if tmp_path.exists():
        tmp_path.chmod(0o755)
        shutil.rmtree(tmp_path / "bks", ignore_errors=True)
