"""Commands that read leave a ledger as it is, to the byte, and those that do not make one make nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
from storage.test_opening import older
from support import cli, engines, processes

from wallet_cli import settings
from wallet_cli.cli import tree
from wallet_cli.domain.purpose import Purpose
from wallet_cli.engine.write_lock import WriteLock
from wallet_cli.errors import StorageError
from wallet_cli.operations.context import Ledger, open_ledger
from wallet_cli.storage import open_to_read as reading
from wallet_cli.storage import sql
from wallet_cli.storage.in_place import beside

NOBODY = 65534
on_file = pytest.mark.on_file("the bytes of a file")

READERS = [
    *("users", "list 1", "balance 1", "limits 1", "tx list 1", "tx show 1-1", "tx total 1", "hold list 1"),
    *("history", "find x", "use", "statement 1", "chart 1", "export", "audit", "verify", "key list", "ledger show"),
]
OTHERS = [
    *(
        "tx add 1 5 --credit",
        "tx reverse 1-1",
        "transfer 1 1/x 5",
        "hold add 1 5",
        "hold capture 1-h1",
        "hold void 1-h1",
    ),
    *("limits 1 --daily-debit 5", "freeze 1", "unfreeze 1", "close 1", "key create k", "key revoke k", "token 1"),
    *("move --to new.db", "move --cancel"),
]


def test_the_lines_are_those_of_all_commands_that_read() -> None:
    reading = {words for words, each in tree.each() if each.purpose is Purpose.READ or each.writes_with}
    reading.remove("seal")  # which brings an older ledger to the schema of now, without a FILE too
    words = (line.split()[: 2 if isinstance(tree.TREE[line.split()[0]], tree.Group) else 1] for line in READERS)
    assert set(map(" ".join, words)) == reading


@pytest.mark.parametrize("line", READERS + OTHERS)
def test_a_ledger_that_is_not_there_is_not_made(line: str, engine: engines.Engine, tmp_path: Path) -> None:
    address = engine.nothing(tmp_path)
    before = engines.dump(address)
    done = cli.run(f"--db '{address}' {line} --json")
    assert (done.code, done.out, done.error["code"]) == (3, "", "ledger_not_found"), done.err
    assert re.search("wallet --db [^ ]+ register", done.error["hint"])
    assert (engines.dump(address), list(tmp_path.iterdir())) == (before, [])


@on_file
def test_nor_is_the_data_folder() -> None:
    assert cli.run("balance 1").code == 3
    assert not settings.data_folder().exists()


@pytest.mark.parametrize(
    "line", ["register 9886977544", "import lines.csv --create", "import lines.csv --create --atomic"]
)
def test_commands_that_begin_a_ledger_make_it(
    line: str, engine: engines.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines.csv").write_text("wallet,amount,kind\n9886977544,5,credit\n")
    address = engine.nothing(tmp_path)
    assert "created a new ledger" in cli.run(f"--db '{address}' {line}").err
    assert cli.run(f"--db '{address}' verify -q").code == 0


def test_what_is_told_of_a_new_ledger_is_told_once(
    engine: engines.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is tried first, on a ledger of which nothing is told."""
    monkeypatch.setenv("TZ", "IST-5:30")
    done = cli.run(f"--db '{engine.nothing(tmp_path)}' register 9886977544")
    assert (done.code, done.err.count("has no IANA name"), done.err.count("created a new ledger")) == (0, 1, 1)


DRY_RUN = "import lines.csv --create --dry-run --json"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("register 12", 2),
        ("register 9886977544 --key ' '", 2),
        ("create 1", 3),
        ("create 9886977544/x", 3),
        ("wallet create 1", 3),
        ("create 1 --currency XXXXX", 2),
        ("import nofile.csv", 2),
        ("import lines.csv --create --decimal x", 2),
        ("import lines.csv --create --dates foo", 2),
        ("import lines.csv --create --profile nope", 2),
        ("import lines.csv --create --rejects nowhere/refused", 2),
        ("import header.csv", 2),
        ("import empty.csv", 2),
        ("import lines.csv -q", 4),
        ("import lines.csv --create --atomic -q", 4),
    ],
)
def test_a_command_that_is_refused_makes_no_ledger(
    line: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: engines.Engine
) -> None:
    (tmp_path / "new").mkdir()
    monkeypatch.setenv("WALLET_DB", str(engine.nothing(tmp_path / "new")))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").touch()
    (tmp_path / "header.csv").write_text("a,b\n1,2\n")
    (tmp_path / "lines.csv").write_text("wallet,amount,kind\n9886977544,5,credit\n9886977544,7,debit\n")
    done = cli.run(line)
    assert (done.code, done.out, "created" in done.err) == (code, "0\n" if code == 4 else "", False)
    assert list((tmp_path / "new").iterdir()) == []
    assert cli.run("balance 1 --json").error["code"] == "ledger_not_found"
    engine.forget(tmp_path / "new")


def test_a_dry_run_makes_no_ledger_and_says_what_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: engines.Engine
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines.csv").write_text("wallet,amount,kind\n9886977544,5,credit\n9886977544,7,debit\n")
    new = engine.nothing(tmp_path)
    would = cli.run(f"--db {new} {DRY_RUN}")
    assert (would.code, would.json["applied"], would.json["refused"]) == (4, 1, 1)
    assert [each.name for each in tmp_path.iterdir()] == ["lines.csv"]
    assert cli.run(f"--db {new} balance 1 --json").error["code"] == "ledger_not_found"
    is_so = cli.run(f"--db {new} {DRY_RUN.replace(' --dry-run', '')}")
    assert {name: value for name, value in would.json.items() if name != "dry_run"} == is_so.json


# What is there already.


@pytest.fixture
def ledger_file(db: Path) -> Path:
    for line in ("register 9886977544", "create 1", "tx add 1 100 --credit --key k"):
        assert cli.run(line).code == 0
    return db


def as_it_is(_path: Path) -> None:
    pass


@on_file
@pytest.mark.parametrize("options", ["", " --atomic", " --create"])
@pytest.mark.parametrize("place", ["nothing", "an empty file", "an earlier schema"])
def test_a_dry_run_of_an_export_says_what_would_be(ledger_file: Path, tmp_path: Path, options: str, place: str) -> None:
    (tmp_path / "all.jsonl").write_text(cli.run("export").out)
    new = tmp_path / "new.db"
    if place == "an empty file":
        new.touch()
    elif place == "an earlier schema":
        older(new, "0007")
    line = f"--db {new} import {tmp_path}/all.jsonl --json{options}"
    would, real = cli.run(f"{line} --dry-run"), cli.run(line)
    assert (would.code, real.code) == (0, 0), would
    assert {name: value for name, value in would.json.items() if name != "dry_run"} == real.json


@on_file
def test_a_dry_run_leaves_a_ledger_of_an_earlier_schema_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    older(path, "0007")
    (tmp_path / "lines.csv").write_text("wallet,amount,kind\n9886977544,5,credit\n")
    before = path.read_bytes()
    done = cli.run(f"--db {path} {DRY_RUN.replace('lines.csv', str(tmp_path / 'lines.csv'))}")
    assert (done.code, done.json["applied"], path.read_bytes() == before) == (0, 1, True), done
    assert sorted(each.name for each in tmp_path.iterdir()) == ["lines.csv", "old.db"]


def a_backup(path: Path) -> None:
    """As SQLite makes one: not in WAL mode."""
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("VACUUM INTO ?", (str(path) + ".copy",))
    Path(str(path) + ".copy").replace(path)


def left_by_a_kill(path: Path) -> None:
    """With the last transaction in the log beside it."""
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("SELECT count(*) FROM users").fetchall()  # whoever ends last would clear the log away
        assert cli.run(f"--db {path} register 9886977599 --name Asha").code == 0
        kept = {each: each.read_bytes() for each in path.parent.glob("wallet.db*") if each.suffix != ".lock"}
    for each, data in kept.items():
        each.write_bytes(data)


def contents(folder: Path) -> dict[str, bytes]:
    """What is in the files; `-shm` is SQLite's index of the log, which it makes anew."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".db-shm"}


@on_file
@pytest.mark.parametrize("state", [as_it_is, a_backup, left_by_a_kill])
@pytest.mark.parametrize("alone", [False, True])
def test_reading_changes_not_a_byte_and_takes_no_turn(
    ledger_file: Path, state: Callable[[Path], None], alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    state(ledger_file)
    ledger_file.with_name("wallet.db.lock").unlink()
    folder = ledger_file.parent
    before, stood = contents(folder), ledger_file.stat()
    if alone:
        monkeypatch.setattr(os, "access", lambda *_: False)
    for line in READERS:
        done = cli.run(line)
        assert done.code == 0, (line, done.err)
    assert contents(folder) == before
    assert ledger_file.stat().st_mtime_ns == stood.st_mtime_ns
    if state is left_by_a_kill:
        assert "Asha" in cli.run("users --json").out
    else:
        assert not ledger_file.with_name("wallet.db-shm").exists()


@contextmanager
def kept_read_only(path: Path) -> Iterator[Path]:
    """A copy of a ledger and of its log, that nobody but root may write: files 0444 in a folder 0555."""
    folder = Path(tempfile.mkdtemp(prefix="wallet-read-only-"))
    try:
        for beside in path.parent.glob("wallet.db*"):
            if beside.suffix in (".db", ".db-wal"):
                shutil.copyfile(beside, folder / beside.name)
                (folder / beside.name).chmod(0o444)
        folder.chmod(0o555)
        yield folder / path.name
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)


AS_NOBODY = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
from support import processes
from wallet_cli.cli.app import main
processes.import_wallet()  # the interpreter's own modules may be where only root may look
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(sys.argv[1]))
    os.setuid(int(sys.argv[1]))
os.chdir("/")
sys.exit(main(sys.argv[2:]))
"""


def as_nobody(path: Path, line: str) -> cli.Outcome:
    """Run a command as somebody who may write nothing there: root may write everywhere."""
    arguments = [sys.executable, "-c", AS_NOBODY, str(processes.TESTS), str(NOBODY), "--db", str(path), *line.split()]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    return cli.Outcome(done.returncode, done.stdout, done.stderr)


@on_file
@pytest.mark.parametrize("state", [as_it_is, a_backup])
def test_a_ledger_that_nobody_may_write_can_be_read(ledger_file: Path, state: Callable[[Path], None]) -> None:
    state(ledger_file)
    with kept_read_only(ledger_file) as path:
        assert as_nobody(path, "balance 1 -q") == (0, "100.00\n", "")
        assert as_nobody(path, "verify -q") == (0, "1\n", "")
        refused = as_nobody(path, "tx add 1 1 --credit --json")
        assert (refused.code, json.loads(refused.err)["error"]["code"]) == (7, "storage_error")
        assert [each.name for each in path.parent.iterdir()] == ["wallet.db"]


@on_file
def test_a_log_that_cannot_be_read_is_not_left_out_in_silence(ledger_file: Path) -> None:
    left_by_a_kill(ledger_file)
    with kept_read_only(ledger_file) as path:
        done = as_nobody(path, "balance 1 --json")
        assert (done.code, done.out) == (7, "")
        assert "wallet.db-wal" in json.loads(done.err)["error"]["message"]


@on_file
def test_one_that_is_in_use_is_read_as_it_is_now(ledger_file: Path) -> None:
    with kept_read_only(ledger_file) as path:
        path.parent.chmod(0o755)
        path.chmod(0o644)
        with engines.opened(path) as writer:
            writer.executor.run([], "opening")
            assert cli.run(f"--db {path} tx add 1 1 --credit").code == 0
            assert as_nobody(path, "balance 1 -q") == (0, "101.00\n", "")


@on_file
@pytest.mark.parametrize("line", ["balance 1", "verify", "backup copy.db"])
def test_files_beside_it_that_may_not_be_read_are_named(ledger_file: Path, line: str) -> None:
    with kept_read_only(ledger_file) as path:
        path.parent.chmod(0o755)
        path.chmod(0o600)
        with engines.opened(path) as writer:
            writer.executor.run([], "opening")
            assert cli.run(f"--db {path} tx add 1 1 --credit").code == 0
            path.chmod(0o644)
            error = json.loads(as_nobody(path, f"{line} --json").err)["error"]
            assert "this user may not read wallet.db-wal and wallet.db-shm" in error["message"]
            command = error["hint"].partition("as their owner: ")[2]
            subprocess.run(command, shell=True, cwd=path.parent, check=True)
            assert as_nobody(path, "balance 1 -q") == (0, "101.00\n", "")


@on_file
def test_what_was_read_while_the_file_was_written_is_no_answer(
    ledger_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    store = reading.open_to_read(ledger_file, 0.0, print)
    with closing(apsw.Connection(str(ledger_file))) as other:
        other.execute("UPDATE users SET name = 'Asha'")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with pytest.raises(StorageError, match="wrote to the ledger while it was read"):
        store.close()


@on_file
def test_of_an_older_schema_a_copy_is_read(ledger_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The newest migration, taken back: what it did is not of interest here, but that it is done to the copy alone.
    with closing(apsw.Connection(str(ledger_file))) as connection:
        connection.execute(f"PRAGMA user_version={sql.SCHEMA_VERSION - 1}")
        connection.execute("UPDATE alembic_version SET version_num = ?", (f"{sql.SCHEMA_VERSION - 1:04}",))
    done: list[Any] = []
    monkeypatch.setattr(
        reading, "upgrade", lambda copy, *_: done.append(copy.execute("SELECT amount FROM transactions").get)
    )
    beside(ledger_file, ".lock").unlink()  # it knows that a newer one was here
    before = contents(ledger_file.parent)
    told = cli.run("balance 1 -q")
    assert (told.code, told.out, done) == (0, "100.00\n", [10000])
    assert told.err.startswith(f"this ledger has schema {sql.SCHEMA_VERSION - 1}; reading a copy")
    assert contents(ledger_file.parent) == before


def test_a_process_notices_that_another_has_migrated_its_ledger(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = os.environ["WALLET_DB"]
    later = sql.SCHEMA_VERSION + 1
    change = f"PRAGMA user_version={later}"
    if "://" in address:
        change = f"UPDATE alembic_version SET version_num = '{later:04}'"
    ledger.executor.run([], "before")
    engines.execute(address if "://" in address else Path(address), change)
    for begin in (lambda: ledger.executor.run([], "writing"), lambda: ledger.store.exclusively().__enter__()):
        with pytest.raises(StorageError, match=f"to schema {later}"):
            begin()
        ledger.store.rollback()
        assert not engines.in_transaction(ledger)


# What somebody who may write to the folder puts there.


def a_link(path: Path, theirs: Path) -> None:
    path.symlink_to(theirs)


def a_dangling_link(path: Path, theirs: Path) -> None:
    path.symlink_to(theirs.with_name("not-there"))


def another_name(path: Path, theirs: Path) -> None:
    os.link(theirs, path)


def a_pipe(path: Path, _theirs: Path) -> None:
    os.mkfifo(path)


@on_file
@pytest.mark.parametrize("put", [a_link, a_dangling_link, another_name, a_pipe])
def test_a_lock_that_is_something_else_is_left_alone(db: Path, put: Callable[[Path, Path], None]) -> None:
    theirs = db.with_name("theirs")
    theirs.write_text("their words\n" * 100)
    put(db.with_name("wallet.db.lock"), theirs)
    done = cli.run("register 9886977544 --json")
    assert (done.code, done.error["code"]) == (7, "storage_error")
    assert "wallet.db.lock" in done.error["message"]
    assert theirs.read_text() == "their words\n" * 100
    assert not db.with_name("not-there").exists()


@on_file
def test_a_lock_that_many_waited_for_is_still_one(db: Path) -> None:
    lock = db.with_name("wallet.db.lock")
    lock.write_bytes(b"x" * 272)  # the holder's line, and the two counters of those who wait
    with WriteLock(lock).turn(0, "again"):
        pass


@on_file
@pytest.mark.parametrize("put", [a_link, a_dangling_link, another_name])
@pytest.mark.parametrize("name", ["new.db.new", "new.db.new-wal"])
def test_a_new_ledger_is_made_in_no_file_of_others(
    tmp_path: Path, put: Callable[[Path, Path], None], name: str
) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("their words")
    put(tmp_path / name, theirs)
    assert cli.run(f"--db {tmp_path}/new.db register 9886977544 -q").out == "1\n"
    assert theirs.read_text() == "their words"
    assert not (tmp_path / "not-there").exists()
    assert stat.S_ISREG((tmp_path / "new.db").lstat().st_mode)


@on_file
@pytest.mark.parametrize("target", ["link", "pipe"])
def test_what_a_ledger_is_opened_for_says_what_may_be_made(tmp_path: Path, target: str) -> None:
    path = tmp_path / "wallet.db"
    path.symlink_to("gone.db") if target == "link" else os.mkfifo(path)
    for purpose in (Purpose.READ, Purpose.WRITE):
        with (
            pytest.raises(Exception, match=r"no ledger|not a file"),
            open_ledger(settings.load({"db": str(path)}), lambda _: None, purpose=purpose),
        ):
            pass
    assert [each.name for each in tmp_path.iterdir()] == ["wallet.db"]
