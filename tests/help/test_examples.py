"""The examples of every command's help are run, each on a ledger of its own, and end as they say."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from support.engines import Files
from support.transcript import Session

from wallet_cli.cli import help_text, topics, tree
from wallet_cli.cli.app import root
from wallet_cli.cli.command import built
from wallet_cli.cli.help_text import Example

pytestmark = pytest.mark.on_file("the examples of the help are told of a file")

LEDGER = (
    "register 9886977544 --name Asha",
    "register 9886977545 --name Ravi",
    "create 9886977544",
    "create 9886977544/savings",
    "create 9886977545",
    "tx add 9886977544 1000 --credit --note Salary --key salary-2026-03",
    "tx add 9886977544 120.50 --debit --note Groceries",
    "hold add 9886977544 50 --note Taxi",
    "key create till",
)
"""What has happened before each example."""

BEFORE = {
    "restore": (
        "wallet backup evening.db && mkdir -p ~/backups"
        " && cp evening.db ~/backups/wallet-1a2b3c4d-2026-11-27T14-00-00Z.db"
    ),
    "receipt": "wallet seal november.seal",
    "verify": "wallet receipt 1-1 > receipt.json && wallet seal november.seal && wallet seal --public > key.txt",
}
"""What else has happened before the examples of a command."""

TOP_UPS = "wallet,amount,kind,note\n9886977544,20.00,credit,Top-up\n9886977544/savings,5.00,credit,Top-up\n"
BANK = "Datum;Betrag\n30.04.2026;12,50\n"

ELSEWHERE = {"wallet move --to 'postgresql://wallet@db.example.org/wallet'"}
"""They need a machine that is not here: tests/storage/test_moving.py moves to a server."""

MEASURED = {"wallet move --to /srv/wallet/wallet.db": "wallet move --to wallet/wallet.db"}
"""What stands for folders that a machine may lack."""


def examples_of(words: str) -> tuple[Example, ...]:
    command = tree.command_of(words)
    return help_text.told_by(built(command, words.rpartition(" ")[2]).callback).examples


def all_examples() -> list[tuple[str, Example]]:
    of_commands = {(example.line, words) for words, _ in tree.each() for example in examples_of(words)}
    assert len(of_commands) > 80
    found = [(words, example) for words, _ in tree.each() for example in examples_of(words)]
    return [("", example) for example in help_text.told_by(root).examples] + found


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    engine = Files()
    db = engine.copy("examples", LEDGER, tmp_path)
    assert isinstance(db, Path)
    db.chmod(0o600)
    monkeypatch.setenv("WALLET_DB", str(db))
    (tmp_path / "top-ups.csv").write_text(TOP_UPS)
    (tmp_path / "bank.csv").write_text(BANK)
    for folder in (".zfunc", ".config/fish/completions", ".local/share/bash-completion/completions"):
        (tmp_path / "home" / folder).mkdir(parents=True)
    (tmp_path / "wallet").mkdir()
    monkeypatch.setenv("VISUAL", "true")
    (tmp_path / "nano").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    session = Session(tmp_path, db)
    assert session.run("wallet export > backup.jsonl").code == 0
    return session


@pytest.mark.parametrize(("words", "example"), all_examples(), ids=lambda value: getattr(value, "line", value))
def test_an_example_ends_as_it_says(words: str, example: Example, session: Session) -> None:
    command = example.line.partition(" #")[0].rstrip()
    assert words == "wallet create" or words in example.line  # `wallet wallet create` shows those of `wallet create`
    if command in ELSEWHERE:
        return
    command = MEASURED.get(command, command)
    if words in BEFORE:
        assert session.run(BEFORE[words]).code == 0
    if words == "serve":
        assert session.run(f"{command} &").code == 0
        command = "kill $!"
    if words == "mcp":
        command += " < /dev/null"  # nobody calls
    output = session.run(command)
    assert output.code == example.exit_code, output
    if not example.exit_code and not re.search("[<>&]|eval|kill|EDITOR", command):
        assert output.out or output.err, output


def test_an_exit_code_is_read_from_the_remark() -> None:
    def function() -> None:
        """More.

        Examples:
            wallet a 1 # (exit 3)
            wallet b '(exit 3)'
        """

    told = help_text.told_by(function)
    assert told == ("More.", (Example("wallet a 1 # (exit 3)", 3), Example("wallet b '(exit 3)'", 0)))


def test_an_example_can_be_pasted() -> None:
    """A shell reads each as one command, and what stands behind it as a remark."""
    for _, example in all_examples():
        first = shlex.split(example.line, comments=True)[0].split("=")[0]
        assert first in ("wallet", "WALLET_CURRENCY", "EDITOR")


def topic_lines() -> list[tuple[str, str]]:
    blocks = ((name, block) for name in topics.NAMES for block in topics.blocks(topics.text_of(name)))
    return [(name, line) for name, block in blocks if block.kind == "code" for line in block.text.splitlines()]


@pytest.mark.parametrize(("name", "line"), topic_lines())
def test_a_line_of_a_topic_works(name: str, line: str, session: Session) -> None:
    if "shop.db" in line:
        assert session.run("wallet --db shop.db register 9886977544").code == 0
    assert session.run(line).code == 0
