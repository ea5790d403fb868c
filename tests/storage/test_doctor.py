"""What `wallet doctor` finds: each finding is provoked, and its advice helps where it is followed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from faults.test_disk import NO_TMPFS
from support import cli, engines

from wallet_cli import settings
from wallet_cli.domain.period import format_time
from wallet_cli.operations import doctor
from wallet_cli.operations.context import open_ledger
from wallet_cli.storage import log_file

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
    for line, otherwise in {
        "config set currency INR": "WALLET_CONFIG names another file",
        "seal a.seal": "set WALLET_CONFIG: the key is beside the config file",
        "--db new.db serve --no-auth --port 0": "set JWT_SECRET_KEY",
    }.items():
        error = shop(f"{line} --json" if "serve" not in line else line).err
        assert f"this user has no home folder: set HOME; or {otherwise}" in error, line
    monkeypatch.setenv("JWT_SECRET_KEY", "0" * 40)
    assert "seal.key" in shop("--db new.db serve --no-auth --port 0 --seal-to seals").err
    assert [name for name in ("new.db", "seals") if Path(name).exists()] == []


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


def no_page_of_its_index(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'ix_ledger_again'")
        ((size,),) = connection.execute("PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))


def no_change_to_its_row(path: Path) -> None:
    engines.execute(path, "CREATE TRIGGER t BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'no'); END")


@pytest.mark.parametrize("harm", [no_page_of_its_index, no_change_to_its_row])
def test_damage_that_cannot_be_noted_is_told_with_what_to_do(
    shop: Run, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    harm(tmp_path / "ledger" / "w.db")
    for _ in range(2):
        error = shop("verify --json").error
        assert error["message"].endswith("; this cannot be noted in the ledger")
        assert error["hint"].startswith("stop what writes to it; ")
        assert shop("tx add 1 5 --credit").code == 0  # it touches nothing that is wrong
        state = findings(shop)["state"]
        assert (state["status"], state["found"]) == ("wrong", "the ledger takes writes, though damage was found in it")


def readable(folder: Path) -> None:
    (folder / "w.db").chmod(0o644)


def open_folder(folder: Path) -> None:
    folder.chmod(0o777)


def secret(folder: Path) -> None:
    file = folder.parent / "home" / "config" / "wallet" / "token"
    file.write_text("wk_x")
    file.chmod(0o644)


def secret_setting(folder: Path) -> None:
    file = folder.parent / "home" / "config" / "wallet" / "config.toml"
    file.write_text(f'jwt_secret_key = "{"x" * 40}"')
    file.chmod(0o644)


def lock_of_mode(mode: int) -> Callable[[Path], None]:
    return lambda folder: (folder / "w.db.lock").chmod(mode)


BY_MODE = {
    "a ledger": ("permissions", readable, "wrong"),
    "a folder": ("folder", open_folder, "warning"),
    "a token": ("secrets", secret, "wrong"),
    "a setting in the config file": ("settings", secret_setting, "wrong"),
    "a lock that others may write": ("permissions", lock_of_mode(0o666), "wrong"),
    "a lock that others may read": ("permissions", lock_of_mode(0o604), "wrong"),
}


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("what", BY_MODE)
def test_what_others_may_do_is_ended_by_its_advice(shop: Run, tmp_path: Path, what: str) -> None:
    name, provoke, status = BY_MODE[what]
    provoke(tmp_path / "ledger")
    found = findings(shop)[name]
    assert found["status"] == status
    follow(found["advice"])
    assert findings(shop).get(name, {"status": "ok"})["status"] == "ok"


SOMEBODY = 65534
OF_OTHERS: dict[str, tuple[str, ...]] = {
    "its folder": ("w.db", "w.db.lock"),
    "its lock": (".", "w.db"),
    "its folder and lock": ("w.db",),
}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("others", OF_OTHERS)
def test_what_belongs_to_another_than_the_ledger_is_told(shop: Run, tmp_path: Path, others: str) -> None:
    for name in OF_OTHERS[others]:
        os.chown(tmp_path / "ledger" / name, SOMEBODY, SOMEBODY)
    told = [each["found"] for each in shop("doctor --json").json["findings"] if each["status"] == "wrong"]
    assert [part for part in ("folder", "lock") if any(f"its {part} to root" in each for each in told)] == [
        part for part in ("folder", "lock") if part in others
    ]
    for name in (".", "w.db", "w.db.lock"):
        os.chown(tmp_path / "ledger" / name, SOMEBODY, SOMEBODY)
    assert findings(shop)["permissions"]["found"].startswith("the ledger belongs to")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_what_a_group_shares_is_told_for_no_other_owner(shop: Run, tmp_path: Path) -> None:
    """As where a member of the group was the first to write."""
    (tmp_path / "ledger").chmod(0o770)
    for name, mode in (("w.db", 0o660), ("w.db.lock", 0o660)):
        (tmp_path / "ledger" / name).chmod(mode)
    os.chown(tmp_path / "ledger" / "w.db.lock", SOMEBODY, -1)
    told = [each["found"] for each in shop("doctor --json").json["findings"] if each["name"] == "permissions"]
    assert told == ["others may read the ledger (mode 0660)"]


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


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("JWT_SECRET_KEY", "short", "the setting jwt_secret_key is shorter than 32 bytes"),
        ("WALLET_PHONE_REGION", "ZZ", "the setting phone_region is wrong: 'ZZ'"),
    ],
)
def test_a_setting_that_is_refused_later(
    shop: Run, monkeypatch: pytest.MonkeyPatch, name: str, text: str, says: str
) -> None:
    monkeypatch.setenv(name, text)
    found = findings(shop)["settings"]
    assert (found["status"], found["found"].startswith(says), bool(found["advice"])) == ("wrong", True, True)


def test_files_of_others_beside_the_config_file_are_no_secrets(
    shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WALLET_CONFIG", str(tmp_path / "project" / "config.toml"))
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "README.md").write_text("A project")
    (tmp_path / "project" / "README.md").chmod(0o644)
    assert "secrets" not in findings(shop)


@pytest.mark.parametrize(
    ("line", "code", "has_one"),
    [("seal", 0, True), ("seal a.seal", 0, True), ("seal there.seal", 2, False), ("receipt 1-1", 0, False)],
)
def test_a_ledger_is_sealed_once_somebody_has_the_seal(shop: Run, line: str, code: int, has_one: bool) -> None:
    Path("there.seal").touch()
    assert shop(line).code == code
    assert ("seal" in findings(shop)) is has_one


@pytest.mark.parametrize("setting", ["token_file", "token", "jwt_secret_key", "seal.key"])
def test_each_secret_that_others_may_read_is_found(
    shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    path = {
        "token_file": tmp_path / "mine",
        "token": settings.config_path().with_name("token"),
        "jwt_secret_key": settings.jwt_secret_path(),
        "seal.key": settings.config_path().with_name("seal.key"),
    }[setting]
    if setting == "token_file":
        monkeypatch.setenv("WALLET_TOKEN_FILE", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    path.chmod(0o644)
    assert findings(shop)["secrets"]["found"] == f"others may read {path} (mode 0644)"


def test_a_key_for_seals_that_is_none(shop: Run, tmp_path: Path) -> None:
    key = tmp_path / "home" / "config" / "wallet" / "seal.key"
    key.write_text("ff")
    key.chmod(0o600)
    found = findings(shop)["secrets"]
    assert (found["status"], found["found"]) == ("wrong", f"this is not a key for seals: {key}")


@pytest.mark.parametrize(
    ("since", "written_s", "status"),
    [(format_time(0), 2**31, "wrong"), (None, 0, "ok")],  # whoever waits writes to the file, too
)
def test_who_has_the_turn_for_long(shop: Run, since: str | None, written_s: int, status: str) -> None:
    with open_ledger(settings.load({}), lambda _: None) as ledger, ledger.executor.turns.turn(1, "a long import"):
        lock = ledger.store.path.with_name("w.db.lock")
        if since is not None:
            with lock.open("r+b") as file:
                file.write(f"{os.getpid()} {since} a long import".encode())
        os.utime(lock, (written_s, written_s))
        found = findings(shop)["turn"]
    assert found["status"] == status, found
    assert f"a long import (process {os.getpid()}) is writing, since {since or '20'}" in found["found"]
    assert (found["advice"] or "").startswith(f"look at process {os.getpid()}: " if since else "")
    assert findings(shop)["turn"]["status"] == "ok"


LOCKS = """
import fcntl, os, sys
from pathlib import Path
import apsw

{what}
sys.stdout.write("locked\\n")
sys.stdout.flush()
sys.stdin.read()
"""

STRANGERS = {
    "SQLite": "found = apsw.Connection(sys.argv[1]); found.execute('BEGIN IMMEDIATE')",
    "flock": "found = open(sys.argv[1] + '.lock', 'r+b'); fcntl.flock(found, fcntl.LOCK_EX)",
}


@pytest.mark.skipif(not log_file.LOCKS.exists(), reason="the system does not say who has a lock")
@pytest.mark.parametrize("what", STRANGERS)
@pytest.mark.parametrize("noted", ["by one that runs", "unreadably"])
def test_another_program_that_writes_is_seen(shop: Run, tmp_path: Path, what: str, noted: str) -> None:
    """It left no note: that in the lock is of who had the turn before."""
    if noted == "unreadably":
        with (tmp_path / "ledger" / "w.db.lock").open("r+b") as lock:
            lock.write(b"x")
    line = [sys.executable, "-c", LOCKS.format(what=STRANGERS[what]), str(tmp_path / "ledger" / "w.db")]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        found = findings(shop)["turn"]
        assert (found["status"], f"process {process.pid} (python" in found["found"]) == ("warning", True), found
        process.communicate()
    assert findings(shop)["turn"]["found"] == "nobody is writing"


DAY_US = 86_400_000_000
CLOCKS = {
    # By how much the machine's clock is ahead, and whether a payment is refused.
    "right": (0, False),
    "an hour behind": (-DAY_US // 24, False),
    "two days behind": (-2 * DAY_US, True),
    "a year ahead": (365 * DAY_US, False),
    "two years ahead": (730 * DAY_US, True),
    "in 1990": (-36 * 365 * DAY_US, True),
}


@pytest.mark.parametrize("skew", ["1d", "off"])
@pytest.mark.parametrize("what", CLOCKS)
def test_a_clock_is_in_doubt_where_a_payment_is_refused(
    shop: Run, what: str, skew: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead_us, refused = CLOCKS[what]
    refused = refused and skew != "off"
    monkeypatch.setenv("WALLET_CLOCK_SKEW", skew)
    now_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + ahead_us * 1000)
    found, paid = findings(shop), shop("credit 1 5 --json")
    assert [found[name]["status"] == "wrong" for name in ("clock", "state")] == [refused, refused]
    assert (paid.code == 7) is refused
    if refused:
        assert (found["clock"]["advice"] or "") == paid.error["hint"]


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
    assert (found["status"], f"wallet --db {tmp_path}/nothing.db register" in found["advice"]) == ("warning", True)
    assert not (tmp_path / "nothing.db").exists()


GONE: dict[str, Callable[[Path], Any]] = {
    "away": lambda path: path.rename(path.with_name("away.db")),
    "emptied": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("how", GONE)
def test_a_ledger_that_is_gone(shop: Run, tmp_path: Path, how: str) -> None:
    """Not one that was never made: its advice puts a backup in its place, which the lock knows."""
    assert shop(f"backup {tmp_path}/copy.db").code == 0
    GONE[how](tmp_path / "ledger" / "w.db")
    found = findings(shop)["ledger"]
    assert (found["status"], "wallet restore FILE" in found["advice"]) == ("wrong", True)
    assert shop(f"restore {tmp_path}/copy.db").code == 0
    assert findings(shop)["ledger"]["status"] == "ok"


def dangling(folder: Path) -> None:
    (folder / "w.db.lock").unlink()
    (folder / "w.db.lock").symlink_to("nowhere")


def test_a_lock_that_is_a_link_to_nowhere(shop: Run, tmp_path: Path) -> None:
    dangling(tmp_path / "ledger")
    assert findings(shop)["turn"]["status"] == "wrong"


READS_ALONE = {
    "a disk for reading": "mount --bind {0} {0}; mount -o remount,bind,ro {0}; {1}",
    "somebody else": "chown 65534 {0} {0}/w.db; chmod 755 {0}; chmod 644 {0}/w.db;"
    " exec setpriv --bounding-set=-dac_override --inh-caps=-dac_override {1}",
}


@pytest.mark.skipif(NO_TMPFS, reason=str(NO_TMPFS))
@pytest.mark.parametrize("how", READS_ALONE)
def test_who_may_only_read_is_not_told_that_the_ledger_takes_writes(shop: Run, tmp_path: Path, how: str) -> None:
    script = READS_ALONE[how].format(tmp_path / "ledger", f"{sys.executable} -m wallet_cli doctor --json")
    done = subprocess.run(["unshare", "-m", "sh", "-ec", script], capture_output=True, text=True, check=False)
    found = {each["name"]: each for each in json.loads(done.stdout)["findings"]}
    assert found["state"]["status"] == "warning", done
    if how == "somebody else":
        assert "cannot read it any more" in found["permissions"]["advice"]


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


def test_a_backup_with_a_second_name_takes_no_writes(shop: Run, tmp_path: Path) -> None:
    assert shop(f"backup {tmp_path}/copy.db").code == 0
    assert findings(shop, f"--db {tmp_path}/copy.db doctor --json")["state"]["status"] == "ok"
    (tmp_path / "other.db").hardlink_to(tmp_path / "copy.db")
    found = findings(shop, f"--db {tmp_path}/copy.db doctor --json")["state"]
    assert (found["status"], "second name" in found["found"]) == ("wrong", True)
    (tmp_path / "other.db").unlink()
    assert findings(shop, f"--db {tmp_path}/copy.db doctor --json")["state"]["status"] == "ok"


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
