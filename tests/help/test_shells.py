"""Completion as somebody sees it who types into bash, zsh and fish, with names in the ledger that mean harm.

What is typed goes to a shell on a terminal of its own: a line up to TAB, and then RETURN. In the place of `wallet`
stands a program that writes down what it was called with; asked for words, it is `wallet` itself.
"""

from __future__ import annotations

import ast
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import engines
from support import shell as wallet
from support.engines import Files

from wallet_cli.cli.completing import LONGER
from wallet_cli.cli.completion import FOLDER, SCRIPTS, Shell

pytestmark = pytest.mark.on_file("shells complete from a file")

TOO_LONG_S = 60
LEDGER = (
    "register 9886977544 --name Asha",
    "create 9886977544",
    "create 9886977544/savings",
    "register 9886977545 --name Basil",
    "create 9886977545",
    "tx add 9886977545 5 --credit",
)
HARM = (
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned #",
    "' ; touch pwned ; '",
    '" ; touch pwned ; "',
    "\\ $HOME ~ *",
    "(touch pwned)",
    "a & touch pwned &",
    "!! {a,b}",
)
"""What names and keys may be. Those below cannot come by way of a command."""

WORSE = ("line\ntouch pwned\n", "\x1b[2J\x07", "\t|\r", "\x1b]0;x\x07", "\u202e")

PROMPT = "READY> "
BEGIN = {
    Shell.bash: ["bash", "--norc", "--noprofile", "-i"],
    Shell.zsh: ["zsh", "-f", "-i"],
    Shell.fish: ["fish", "--no-config", "-i"],
}
SET_UP = {
    Shell.bash: "PS1='READY> '; bind 'set show-all-if-ambiguous on'; source {script}",
    Shell.zsh: "PS1='READY> '; unsetopt prompt_sp; autoload -U compinit; compinit -u -D; . {script}",
    Shell.fish: "function fish_prompt; echo -n 'READY> '; end; function fish_right_prompt; end; source {script}",
}
RECORDER = """\
#!{python} -IS
import posix, sys
if b"_WALLET_COMPLETE" in posix.environ:
    posix.execv({wallet!r}, [{wallet!r}, *sys.argv[1:]])
with open({calls!r}, "a") as calls:
    calls.write(ascii(sys.argv[1:]) + "\\n")
"""


class Typed:
    """A shell on a terminal."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        recorder = folder / "bin" / "wallet"
        recorder.parent.mkdir()
        recorder.write_text(
            RECORDER.format(python=sys.executable, wallet=str(wallet.folder() / "wallet"), calls=str(self.calls))
        )
        recorder.chmod(0o755)
        environ = os.environ | {
            "PATH": f"{recorder.parent}{os.pathsep}{os.environ['PATH']}",
            "TERM": "dumb" if shell is not Shell.fish else "xterm",
            "HISTFILE": str(folder / "history"),
            "LC_ALL": "C.UTF-8",
            LONGER: "60",
        }
        (folder / "home").mkdir(exist_ok=True)
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            os.execvpe(BEGIN[shell][0], BEGIN[shell], environ)
        self.seen = ""
        self.type(SET_UP[shell].format(script=FOLDER / SCRIPTS[shell]) + "\r")
        self.type("echo 'SET'UP\r")
        self.until(lambda: "\nSETUP" in self.seen.replace("\r", "\n"))

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def until(self, is_there: Callable[[], bool]) -> None:
        """Read what the shell shows, until something is there."""
        until_s = time.monotonic() + TOO_LONG_S
        while not is_there():
            assert time.monotonic() < until_s, f"not seen; the terminal shows: {self.seen!r}"
            if select.select([self._terminal], [], [], 0.05)[0]:
                self.seen += os.read(self._terminal, 65536).decode("utf-8", "replace")

    def called(self) -> list[list[str]]:
        """What the program was called with, call by call."""
        return [ast.literal_eval(line) for line in self.calls.read_text().splitlines()] if self.calls.exists() else []

    def complete(self, text: str, then: str = "") -> list[str]:
        """Type a line and TAB, then more and RETURN; what the program was called with."""
        before = len(self.called())
        self.type(f"{text}\t")
        self.type(f"{then}\r")
        self.until(lambda: len(self.called()) > before)
        return self.called()[-1]

    def end(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.close(self._terminal)
        os.waitpid(self._pid, 0)


@pytest.fixture(params=list(Shell))
def shell(request: pytest.FixtureRequest) -> Shell:
    found: Shell = request.param
    if shutil.which(found) is None:
        pytest.skip(f"{found} is not installed")
    return found


@pytest.fixture
def typed(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Typed]:
    db = Files().copy("shells", LEDGER, tmp_path)
    monkeypatch.setenv("WALLET_DB", str(db))
    terminal = Typed(shell, tmp_path)
    yield terminal
    terminal.end()
    assert not list(tmp_path.rglob("pwned"))


def test_commands_options_and_names_are_completed(typed: Typed) -> None:
    assert typed.complete("wallet bal", "1") == ["balance", "1"]
    assert typed.complete("wallet tx li", "1 --lim\t3") == ["tx", "list", "1", "--limit", "3"]
    assert typed.complete("wallet hold li", "9886977545") == ["hold", "list", "9886977545"]
    assert typed.complete("wallet balance 9886977544/s") == ["balance", "9886977544/savings"]
    assert typed.complete("wallet balance +91988697754", "5") == ["balance", "+919886977545"]
    assert typed.complete("wallet tx list 1 --output cs") == ["tx", "list", "1", "--output", "csv"]
    assert typed.complete("wallet tx list 1 --output=cs") == ["tx", "list", "1", "--output=csv"]
    assert typed.complete("wallet balance id:", "2") == ["balance", "id:2"]
    assert typed.complete("true; wallet bal", "1") == ["balance", "1"]
    assert typed.complete("LC_ALL=C wallet bal", "1") == ["balance", "1"]


def test_files_are_completed(typed: Typed) -> None:
    (typed.folder / "top ups.csv").touch()
    assert typed.complete("wallet import top") == ["import", "top ups.csv"]


def test_a_name_that_means_harm_is_a_name(typed: Typed) -> None:
    """It is completed as it is, quoted as the shell needs it, and becomes one argument. It is never run."""
    for name in HARM:
        hostile = f"Basil {name}"
        quoted = hostile.replace("'", "''")
        engines.execute(typed.folder / "wallet.db", f"UPDATE users SET name = '{quoted}' WHERE id = 2")
        assert typed.complete("wallet balance Bas") == ["balance", hostile]


def test_a_name_in_an_open_quote(typed: Typed) -> None:
    engines.execute(typed.folder / "wallet.db", "UPDATE users SET name = 'Basil Fawlty' WHERE id = 2")
    assert typed.complete("wallet balance 'Basil F") == ["balance", "Basil Fawlty"]
    assert typed.complete('wallet balance "Basil F') == ["balance", "Basil Fawlty"]


def test_what_no_terminal_should_get_is_not_shown(typed: Typed) -> None:
    """Such names come by other programs alone. The number is completed, and the shell goes on as before."""
    for name in WORSE:
        hostile = f"Basil {name}".encode().hex()
        engines.execute(
            typed.folder / "wallet.db",
            f"UPDATE users SET name = CAST(x'{hostile}' AS TEXT) WHERE id = 2;"
            " UPDATE wallets SET type = 'x$(touch pwned)' WHERE user_id = 2",
        )
        assert typed.complete("wallet balance 98869775", "5") == ["balance", "9886977545"]
        before = len(typed.seen)
        assert typed.complete("wallet balance 988697754", "4") == ["balance", "9886977544"]
        assert "touch pwned\n" not in typed.seen[before:].replace("\r", "")
        assert name.strip() not in typed.seen[before:] or name == "\t|\r"


def test_the_line_is_not_expanded(typed: Typed) -> None:
    """What was typed before is not run for its words to be looked at."""
    typed.type('wallet balance "$(touch pwned)" --outp\t')
    typed.until(lambda: "--output" in typed.seen)
    typed.type("\x15")
    assert typed.complete("wallet bal", "1") == ["balance", "1"]


def test_a_wallet_that_fails_says_nothing(typed: Typed) -> None:
    """What is in the place of the ledger is none; the line stays as it was."""
    (typed.folder / "wallet.db").write_bytes(b"none")
    before = len(typed.seen)
    assert typed.complete("wallet balance 98", "7") == ["balance", "987"]
    assert "rror" not in typed.seen[before:]


def test_the_scripts_have_no_fault_that_the_shell_can_name(shell: Shell) -> None:
    option = "--no-execute" if shell is Shell.fish else "-n"
    done = subprocess.run(
        [shell, option, str(FOLDER / SCRIPTS[shell])], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_ci_installs_the_shells() -> None:
    text = (Path(__file__).parents[2] / ".ci" / "run").read_text()
    for shell in (Shell.zsh, Shell.fish):
        assert re.search(rf"command -v {shell} >/dev/null \|\| missing\+=\({shell}\)", text)
