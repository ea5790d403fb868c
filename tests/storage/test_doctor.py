"""What `wallet doctor` finds: each finding is provoked, and its advice helps where it is followed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from support import cli, engines

from wallet_cli import settings
from wallet_cli.operations import doctor
from wallet_cli.operations.context import open_ledger

Run = Callable[[str], cli.Outcome]

pytestmark = pytest.mark.on_file("what is looked at is a file; a database's settings: test_postgres_session.py")


@pytest.fixture
def shop(wallet: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A ledger in a folder, in which nothing is wrong but that nobody has verified or backed it up."""
    home = tmp_path / "home"
    for name, place in (("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config"), ("HOME", ".")):
        monkeypatch.setenv(name, str(home / place))
    (home / "config" / "wallet").mkdir(parents=True, mode=0o700)
    folder = tmp_path / "ledger"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("WALLET_DB", str(folder / "w.db"))
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda1 / ext4 rw 0 0\n")
    monkeypatch.setattr(doctor, "MOUNTS", mounts)
    for line in ("register 9886977544", "create 1", "tx add 1 5 --credit"):
        assert wallet(line).code == 0
    return wallet


def findings(run: Run, line: str = "doctor --json") -> dict[str, dict[str, Any]]:
    done = run(line)
    assert (done.code, done.json["ok"]) in ((0, True), (7, False)), done
    return {each["name"]: each for each in done.json["findings"]}


def follow(advice: str) -> None:
    """Run the command that an advice is."""
    wallet = f"{sys.executable} -m wallet_cli"
    line = advice.replace("wallet backup FILE", f"{wallet} backup $HOME/copy.db")
    line = wallet + line.removeprefix("wallet") if line.startswith("wallet") else line
    subprocess.run(["bash", "-ec", line], check=True, capture_output=True, env=os.environ | {"NO_COLOR": "1"})


def test_nothing_is_wrong_with_a_ledger_as_it_is_made(shop: Run) -> None:
    found = findings(shop)
    assert {name: each["status"] for name, each in found.items() if each["status"] != "ok"} == {
        "verified": "warning",
        "backup": "warning",
    }
    assert all((each["advice"] is None) == (each["status"] == "ok") for each in found.values())


def link_to_nowhere(folder: Path) -> None:
    """As Emacs makes one while a file is being edited."""
    (folder.parent / "home" / "config" / "wallet" / ".#config.toml").symlink_to("mira@host.1:1")


def note(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        assert cli.run(["verify"]).code == 0
        [file] = (folder.parent / "home" / "state" / "wallet" / "ledgers").iterdir()
        file.write_text(text)

    return write


ODD: dict[str, Callable[[Path], None]] = {
    "a link to nowhere": link_to_nowhere,
    "a time that no calendar has": note('{"verified_at_us": 9223372036854775807}'),
    "a time before all": note('{"verified_at_us": -9223372036854775807}'),
    "deep brackets": note("[" * 3000),
    "not JSON": note("x"),
    "no times": note('{"verified_at_us": "today"}'),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_files_of_the_user_stop_no_check(shop: Run, tmp_path: Path, what: str) -> None:
    ODD[what](tmp_path / "ledger")
    assert findings(shop)["verified"]["status"] == "warning"
    assert shop("verify").code == 0
    assert findings(shop)["verified"]["status"] == "ok"


def test_a_check_that_cannot_be_made_is_a_finding(shop: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are made."""

    def fails(_: Path) -> Any:
        raise PermissionError(13, "Permission denied", "/proc/x")

    monkeypatch.setattr(doctor, "log_bytes", fails)
    found = findings(shop)
    assert (found["log"]["status"], found["log"]["found"]) == (
        "wrong",
        "it cannot be checked: Permission denied: /proc/x",
    )
    assert found["state"]["status"] == "ok"


def test_a_user_without_a_home_may_use_a_ledger_that_is_named(shop: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a service that runs by a number alone: nothing is kept for such a user."""
    import pwd

    def unknown(uid: int) -> Any:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for line in ("tx add 1 1 --credit", "balance 1", "verify", "audit", "config path", "backup copy.db"):
        assert shop(line).code == 0, line
    assert findings(shop)["state"]["status"] == "ok"
    assert "cannot write" in shop("config set currency INR").err


def test_a_relative_path_in_a_folder_that_was_removed(shop: Run, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    try:
        for line in ("balance 1", "register 9886977545"):
            done = shop(f"--db w.db {line}")
            assert (done.code, "give the whole path" in done.err) == (2, True), done
        assert findings(shop, "--db w.db doctor --json")["place"]["status"] == "wrong"
    finally:
        os.chdir(tmp_path)


@pytest.mark.parametrize("name", ["verified", "backup"])
def test_what_was_never_done_is_done_by_its_advice(shop: Run, name: str) -> None:
    follow(findings(shop)[name]["advice"])
    assert findings(shop)[name]["status"] == "ok"


def test_what_was_done_long_ago_is_told(shop: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shop("verify").code == 0
    monkeypatch.setattr(doctor, "LONG_SINCE_VERIFIED_US", 0)
    assert findings(shop)["verified"]["status"] == "warning"


def test_damage_that_was_found_is_told_until_the_ledger_is_right_again(shop: Run, tmp_path: Path) -> None:
    assert shop("backup copy.db").code == 0
    engines.execute(tmp_path / "ledger" / "w.db", "UPDATE users SET name = 'x'")
    assert shop("verify").code == 7
    told = findings(shop)["verified"]
    assert (told["status"], told["found"].partition(": ")[2]) == ("wrong", "damage was found")
    assert shop("restore copy.db").code == 0
    assert findings(shop)["verified"]["status"] == "ok"


def readable(folder: Path) -> None:
    (folder / "w.db").chmod(0o644)


def open_folder(folder: Path) -> None:
    folder.chmod(0o777)


def secret(folder: Path) -> None:
    file = folder.parent / "home" / "config" / "wallet" / "token"
    file.write_text("wk_x")
    file.chmod(0o644)


BY_MODE = {"permissions": (readable, "wrong"), "folder": (open_folder, "warning"), "secrets": (secret, "wrong")}


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("name", BY_MODE)
def test_what_others_may_do_is_ended_by_its_advice(shop: Run, tmp_path: Path, name: str) -> None:
    provoke, status = BY_MODE[name]
    provoke(tmp_path / "ledger")
    found = findings(shop)[name]
    assert found["status"] == status
    follow(found["advice"])
    assert findings(shop).get(name, {"status": "ok"})["status"] == "ok"


@pytest.mark.parametrize(
    ("kind", "status"),
    [("ext4", "ok"), ("nfs4", "wrong"), ("cifs", "wrong"), ("tmpfs", "warning"), ("overlay", "warning")],
)
def test_where_the_ledger_is_kept(shop: Run, tmp_path: Path, kind: str, status: str) -> None:
    place = str(tmp_path / "ledger").replace(" ", "\\040")
    doctor.MOUNTS.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {place} {kind} rw 0 0\n")
    found = findings(shop)["file system"]
    assert (found["status"], kind in found["found"]) == (status, True)


@pytest.mark.parametrize(("free", "status"), [(2**40, "ok"), (17 * 2**20, "ok"), (2**20, "wrong")])
def test_room_on_the_disk(shop: Run, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**41, 2**41 - free, free))
    assert findings(shop)["disk"]["status"] == status


def test_a_setting_that_cannot_be_read(shop: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLET_LOCK_TIMEOUT", "soon")
    found = findings(shop)["settings"]
    assert found["status"] == "wrong"
    assert "lock_timeout" in found["found"]


def test_who_has_the_turn_for_long(shop: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LONG_TURN_US", 0)
    with open_ledger(settings.load({}), lambda _: None) as ledger, ledger.executor.turns.turn(1, "a long import"):
        found = findings(shop)["turn"]
    assert (found["status"], "a long import" in found["found"]) == ("wrong", True)
    assert str(os.getpid()) in found["advice"]
    assert findings(shop)["turn"]["status"] == "ok"


def test_who_keeps_the_log_from_being_cut(shop: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "MAX_LOG_BYTES", 0)
    with open_ledger(settings.load({}), lambda _: None) as ledger, ledger.store.snapshot():
        assert ledger.store.user_by_id(1)
        assert shop("tx add 1 5 --credit").code == 0
        found = findings(shop)["log"]
    assert (found["status"], str(os.getpid()) in found["found"]) == ("warning", True)
    assert findings(shop)["log"]["status"] == "ok"


def test_a_ledger_that_is_not_there(shop: Run, tmp_path: Path) -> None:
    found = findings(shop, f"--db {tmp_path}/nothing.db doctor --json")["ledger"]
    assert (found["status"], "wallet register" in found["advice"]) == ("warning", True)
    assert not (tmp_path / "nothing.db").exists()


def execute(folder: Path, statement: str) -> None:
    with apsw.Connection(str(folder / "w.db")) as connection:
        connection.execute(statement)
    connection.close()


STATES = {
    "damaged": "UPDATE ledger SET damaged = 'a hash does not fit'",
    "restoring": "UPDATE ledger SET restoring = 1",
    "moved": "UPDATE ledger SET state = 'moved', other = 'new.db', move = 'm', since_us = 1",
}


@pytest.mark.parametrize("name", STATES)
def test_a_ledger_that_takes_no_writes(shop: Run, tmp_path: Path, name: str) -> None:
    execute(tmp_path / "ledger", STATES[name])
    found = findings(shop)["state"]
    assert found["status"] == "wrong"
    assert found["advice"]


def test_what_is_no_ledger(shop: Run, tmp_path: Path) -> None:
    (tmp_path / "ledger" / "w.db").write_bytes(b"hello" * 1000)
    found = findings(shop)["ledger"]
    assert (found["status"], bool(found["advice"])) == ("wrong", True)


def test_it_changes_nothing(shop: Run, tmp_path: Path) -> None:
    def contents() -> dict[str, bytes]:
        return {each.name: each.read_bytes() for each in (tmp_path / "ledger").iterdir()}

    before = contents()
    findings(shop)
    assert contents() == before
