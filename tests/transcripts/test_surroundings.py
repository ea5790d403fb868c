"""What a transcript cannot set up: full disks, closed and broken outputs, files that may not be read, and bugs."""

from __future__ import annotations

import errno
import inspect
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet
from support import cli
from support.engines import Address, dump
from support.transcript import is_one_error, lines

from wallet_cli.cli import tree
from wallet_cli.cli.lost_answers import KEY_ANSWERS, READ, cannot_write
from wallet_cli.cli.stdout import UnwritableError
from wallet_cli.domain.purpose import Purpose
from wallet_cli.operations import wallets
from wallet_cli.storage.sqlite import SqliteStore

BIN = Path(sys.executable).parent
NOBODY = 65534
TIMEOUT_S = 60

a_file = pytest.mark.on_file("what happens to the file, or its disk")
needs_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


@pytest.fixture
def story(db: Address) -> Address:
    """A ledger with one wallet that holds 5.00."""
    for line in ("register 9886977544", "create 1", "tx add 1 5 --credit"):
        assert cli.run(line).code == 0
    return db


def bash(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line in a real shell, with the real executable."""
    return subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        check=False,
    )


# Outputs that cannot be written


UNPRINTABLE = [pytest.param("> /dev/full", marks=needs_dev_full), ">&-", "<&- >&-"]
NO_OTHER_CONNECTION = [pytest.mark.on_file("the connection to a server is the same as of the first")]
"""For further commands, where what could differ on PostgreSQL is which numbers its sockets get."""


def with_one_on_postgres(*commands: Any) -> list[ParameterSet]:
    first, *others = [each if isinstance(each, tuple) else (each,) for each in commands]
    return [pytest.param(*first), *(pytest.param(*each, marks=NO_OTHER_CONNECTION) for each in others)]


@pytest.mark.parametrize("nowhere", UNPRINTABLE)
@pytest.mark.parametrize(
    "command",
    with_one_on_postgres(
        *("balance 1", "tx list 1 -o csv", "export", "config show", "demo", "use", "seal"),
        *("--help", "tx --help", "balance --help", "help", "help tx", "help balance", "help money", "commands"),
    ),
)
def test_an_answer_that_cannot_be_written_is_an_error(command: str, nowhere: str, story: Path) -> None:
    done = bash(f"wallet {command} {nowhere}")
    assert done.returncode == 7
    assert "cannot write the answer" in done.stderr
    assert "no write was asked for" in done.stderr
    assert is_one_error(lines(done.stderr))


@pytest.mark.parametrize("nowhere", UNPRINTABLE)
@pytest.mark.parametrize(
    ("command", "told", "seen_by", "seen"),
    with_one_on_postgres(
        ("tx add 1 2 --credit --key k", "the same key has its answer", "tx add 1 2 --credit --key k -q", "1-2"),
        ("tx add 1 2 --credit", "the write is done: `wallet tx list WALLET`", "tx list 1 -q", "1-2"),
        ("key create till", "`wallet key revoke till`", "key revoke till -q", "till"),
        ("limits 1 --maximum-balance 9", "the limits are set", "limits 1 -o csv", ",9.00,"),
        ("use 1", "the choice is made: `wallet use`", "use -q", "1/main"),
        ("use --clear", "the choice is made: `wallet use`", "use --json", "null"),
        ("seal s.seal", "`wallet verify --against FILE`", "verify --against s.seal -q", "1"),
    ),
)
def test_where_an_answer_is_lost_it_is_said_what_was_done(
    command: str, told: str, seen_by: str, seen: str, nowhere: str, story: Path
) -> None:
    done = bash(f"wallet {command} {nowhere}")
    assert done.returncode == 7
    assert told in done.stderr
    assert is_one_error(lines(done.stderr))
    assert seen in cli.run(seen_by).out


WITHOUT_LEDGER = {
    *("demo", "doctor", "mcp", "receipt", "serve"),
    *("help", "commands", "completion"),
    *("config path", "config show", "config get"),
}
"""Commands that write to no ledger, or answer nothing."""
NOT_TO_THE_LEDGER = {"use"}
"""Commands that read the ledger, and write something else."""


@pytest.mark.parametrize(("words", "command"), list(tree.each()))
def test_every_command_knows_what_to_say_of_a_lost_answer(words: str, command: tree.Command) -> None:
    """A command that reads does not speak of a write, and no key is spoken of where none was given."""
    module, _, function = command.function.partition(":")
    names = set(inspect.signature(getattr(import_module(f"wallet_cli.cli.{module}"), function)).parameters)
    values = dict.fromkeys(names, "1") | {"dry_run": False}
    unkeyed = cannot_write(UnwritableError(errno.ENOSPC, "full"), words, values | {"key": None}).hint
    keyed = cannot_write(UnwritableError(errno.ENOSPC, "full"), words, values).hint
    reads = command.purpose is Purpose.READ and words not in NOT_TO_THE_LEDGER
    assert (unkeyed == READ) == (reads or words in WITHOUT_LEDGER)
    assert "same key" not in str(unkeyed)
    assert (keyed == KEY_ANSWERS) == ("key" in names and words not in {"tx list", "history", "ledger set"})


@needs_dev_full
def test_the_key_tells_what_became_of_a_lost_answer(story: Path) -> None:
    assert bash("wallet tx add 1 20 --credit --key k > /dev/full").returncode == 7
    again = cli.run("tx add 1 20 --credit --key k --json").json
    assert (again["replayed"], again["balance"]) == (True, "25.00")


@needs_dev_full
@pytest.mark.parametrize(("command", "code"), [("balance 9", 3), ("tx add 1 99 --debit", 4), ("frobnicate", 2)])
def test_an_error_that_nobody_can_be_told_is_still_an_exit_code(command: str, code: int, story: Path) -> None:
    assert bash(f"wallet {command} > /dev/full 2>&1").returncode == code


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("command", "code"),
    with_one_on_postgres(("tx add 1 7 --credit --key k -q", 0), ("balance 1 -q", 0), ("balance 9", 3)),
)
def test_closed_streams_do_not_change_what_is_done(command: str, code: int, closed: str, story: Path) -> None:
    """As cron and daemons may start a program. Only an answer that nobody can get is an error."""
    done = bash(f"wallet {command} {closed}")
    assert "Traceback" not in done.stderr
    assert done.returncode == (7 if code == 0 and ">&-" in closed.replace("2>&-", "") else code)
    if "tx add" in command:
        assert cli.run("balance 1 -q").out == "12.00\n"


@a_file
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EPIPE])
@pytest.mark.parametrize("line", ["balance 1 --json", "tx add 1 7 --credit --json"])
def test_only_what_cannot_be_printed_is_a_lost_answer(
    line: str, number: int, story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the system from anywhere else says nothing of the answer, and is no success."""

    def broken(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(SqliteStore, "version", broken)
    done = cli.run(line)
    assert (done.code, done.error["code"]) == (7, "storage_error")
    assert os.strerror(number) in done.error["message"]
    assert "answer" not in done.error["message"]
    assert "it is done" not in done.error["hint"].replace("whether it is done", "")


def test_notices_that_nobody_reads_stop_no_work(story: Path, tmp_path: Path) -> None:
    line = '{"wallet": "%s", "kind": "credit", "amount": "1", "key": "k%d"}\n'
    wallets = ["9/main", "1/main"] * 20
    (tmp_path / "lines.jsonl").write_text("".join(line % (name, number) for number, name in enumerate(wallets)))
    done = bash("wallet import lines.jsonl -q 2> >(true); echo $?")
    assert done.stdout.split() == ["20", "4"]
    assert cli.run("balance 1 -q").out == "25.00\n"


@pytest.mark.parametrize(
    "command", with_one_on_postgres("tx list 1 -o jsonl", "tx list 1", "balance 1", "demo", "--help")
)
def test_a_reader_who_leaves_early_is_no_error(command: str, story: Path) -> None:
    done = bash(f"wallet {command} | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("0\n", "")


# Disks and files


@a_file
@pytest.mark.parametrize("command", ["balance 1", "tx add 1 5 --credit", "register 9886977545"])
def test_a_ledger_that_cannot_grow_is_left_whole(command: str, story: Path) -> None:
    """A limit on the size of files stands for the disk: no write beyond a few kilobytes succeeds."""
    before = dump(story)
    done = bash(f"ulimit -f 8; wallet {command}")
    assert done.returncode == 7
    assert is_one_error(lines(done.stderr))
    assert cli.run("verify").code == 0
    assert dump(story) == before


@pytest.fixture
def full_disk(tmp_path: Path, story: Path) -> Iterator[str]:
    """The start of a bash line: on a file system of its own, full, with the ledger on it."""
    (tmp_path / "disk").mkdir()
    start = (
        "mount -t tmpfs -o size=2m tmpfs disk && cp wallet.db disk/ && cd disk && export WALLET_DB=wallet.db && "
        "wallet tx add 1 1 --credit -q >&2 && { dd if=/dev/zero of=fill bs=1k 2> /dev/null || true; } && "
    )
    probe = subprocess.run(["unshare", "-rm", "bash", "-c", "mount -t tmpfs tmpfs disk"], check=False)
    if probe.returncode:
        pytest.skip("this system does not let a user mount a file system")
    yield start
    shutil.rmtree(tmp_path / "disk", ignore_errors=True)


@a_file
@pytest.mark.skipif(shutil.which("unshare") is None, reason="this system has no unshare")
@pytest.mark.parametrize(
    "command", ["tx add 1 5 --credit --key k", "--db new.db register 9886977545", "balance 1", "users -q"]
)
def test_a_full_disk_is_a_storage_error_that_changes_nothing(command: str, full_disk: str) -> None:
    script = f"{full_disk} wallet {command}; echo $? >&2; rm fill; wallet balance 1 -q && wallet verify -q; ls"
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        check=False,
    )
    first, *error, code = done.stderr.splitlines()
    assert (first, code) == ("1-2", "7")
    assert is_one_error(error)
    # "cannot write the answer: … if it was a write, it is done" would be a lie here.
    assert "answer" not in error[0]
    assert error[1] == "hint: free some space"
    assert done.stdout.splitlines()[:2] == ["6.00", "2"]
    assert "new.db" not in done.stdout.splitlines()


AS_NOBODY = """
import os, sys
from wallet_cli.cli.app import main
*arguments, spare, ledger = sys.argv[1:]
# Once where all is well, so that nothing is left to import: the program's own files may be out of nobody's reach.
main(["--db", spare, *arguments])
sys.stdout.flush()
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print("now", file=sys.stderr, flush=True)
sys.exit(main(["--db", ledger, *arguments]))
"""


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that any user can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="wallet-test-"))
    folder.chmod(0o777)
    yield folder
    folder.chmod(0o777)
    shutil.rmtree(folder)


@a_file
@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "command"),
    [
        (0o000, 0o777, "balance 1"),
        (0o000, 0o777, "tx add 1 5 --credit"),
        (0o444, 0o777, "tx add 1 5 --credit"),
        (0o444, 0o555, "tx add 1 5 --credit"),
        (0o666, 0o000, "balance 1"),
        (0o666, 0o000, "tx add 1 5 --credit"),
    ],
)
def test_a_ledger_that_may_not_be_used_is_a_storage_error(
    file_mode: int, folder_mode: int, command: str, story: Path, reachable: Path, tmp_path: Path
) -> None:
    ledger = reachable / "wallet.db"
    spare = tmp_path / "spare.db"
    shutil.copyfile(story, ledger)
    shutil.copyfile(story, spare)
    before = dump(ledger)
    ledger.chmod(file_mode)
    reachable.chmod(folder_mode)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *command.split(), str(spare), str(ledger)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    reachable.chmod(0o777)
    ledger.chmod(0o666)
    assert done.returncode == 7
    assert is_one_error(lines(done.stderr.partition("now\n")[2]))
    assert dump(ledger) == before


@a_file
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, file names are text")
def test_a_path_that_is_not_utf_8_is_a_path(story: Path) -> None:
    done = bash(r"cp wallet.db $'\xff.db'; wallet --db $'\xff.db' balance 1 -q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "5.00\n", "")


@a_file
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, file names are text")
@pytest.mark.parametrize("line", ["verify", "doctor", "backup $'\\xfe.db'", "backup . --keep 1,1,1", "seal a.seal"])
def test_what_is_noted_of_a_ledger_may_be_of_any_path(story: Path, line: str) -> None:
    done = bash(rf"cp wallet.db $'\xff.db'; wallet --db $'\xff.db' {line}")
    assert done.returncode == 0, done.stderr


@a_file
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, file names are text")
@pytest.mark.parametrize("line", [r"--db wallet.db move --to $'\xff.db'", r"--db $'\xff.db' move --to new.db"])
def test_a_ledger_moves_only_between_paths_that_are_text(story: Path, line: str) -> None:
    """Each keeps the other's, as text."""
    done = bash(rf"cp wallet.db $'\xfe.db'; wallet {line.replace('xff', 'xfe')}")
    assert (done.returncode, "a path that is not UTF-8" in done.stderr) == (2, True), done.stderr
    assert not story.with_name("new.db").exists()


def test_a_new_ledger_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    done = bash("umask 000; wallet --db own.db register 9886977544 -q")
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert (tmp_path / "own.db").stat().st_mode & 0o777 == 0o600


# Bugs


def break_balance(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug \x1b[31m")

    monkeypatch.setattr(wallets, "balance", broken)


def test_a_bug_is_one_error_without_a_traceback(story: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_balance(monkeypatch)
    outcome = cli.run("balance 1")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("error: unexpected RuntimeError: a bug \\x1b[31m\nhint: ")
    assert is_one_error(lines(outcome.err))
    assert cli.run("balance 1 --json").error["code"] == "internal_error"


def test_wallet_debug_shows_where_a_bug_is(story: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_balance(monkeypatch)
    monkeypatch.setenv("WALLET_DEBUG", "1")
    with pytest.raises(RuntimeError, match="a bug"):
        cli.run("balance 1")
