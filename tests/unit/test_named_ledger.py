"""What is suggested after a command line that names a ledger is about that ledger."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

import pytest
from support import cli

import wallet_cli
from wallet_cli.cli import tree
from wallet_cli.cli.named_ledger import NOT_TO_TYPE, flags_of, on_it
from wallet_cli.settings import Settings

pytestmark = pytest.mark.on_file("which ledger is meant is read from the command line")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("add the user: wallet register PHONE", "add the user: wallet --db a.db register PHONE"),
        ("`wallet tx list WALLET` shows it", "`wallet --db a.db tx list WALLET` shows it"),
        (
            "wallet tx add WALLET AMOUNT; wallet tx add --help",
            "wallet --db a.db tx add WALLET AMOUNT; wallet tx add --help",
        ),
        ("did you mean `wallet credit`? wallet --help", "did you mean `wallet --db a.db credit`? wallet --help"),
        ("a, b, then wallet tx reverse ID", "a, b, then wallet --db a.db tx reverse ID"),
        # No command, or one to which it is all the same.
        ("wallet hold has add, capture, void, list", "wallet hold has add, capture, void, list"),
        ("use another wallet of the user", "use another wallet of the user"),
        ("close the wallet list", "close the wallet list"),
        ("wallet credits are kept", "wallet credits are kept"),
        ("`wallet commands` lists the commands", "`wallet commands` lists the commands"),
        ("check that `wallet serve` runs", "check that `wallet serve` runs"),
        ("`wallet --db … balance`", "`wallet --db … balance`"),
    ],
)
def test_a_command_line_has_the_ledger_and_no_other_words_have(text: str, told: str) -> None:
    assert on_it(text, {"db": "a.db"}) == told
    assert on_it(text, {}) == text


def hints() -> list[str]:
    """The texts that are given as `hint=` somewhere, each part of an f-string by itself."""
    found = []
    for path in Path(wallet_cli.__file__).parent.rglob("*.py"):
        calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.keyword))
        parts = (part for each in calls if each.arg == "hint" for part in ast.walk(each.value))
        found += [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return found


def test_no_hint_of_the_program_is_missed() -> None:
    commands = "|".join(words for words, _ in tree.each() if words not in NOT_TO_TYPE)
    shown = re.compile(rf"\bwallet ({commands})\b(?! --help)")
    named = [hint for hint in hints() if shown.search(hint)]
    assert len(named) > 30
    assert [hint for hint in named if shown.search(on_it(hint, {"db": "a.db"}))] == []


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("--db a.db users", {"db": "a.db"}),
        ("--no-input --color never --db=a.db users --db b.db", {"db": "a.db"}),
        ("--ledger till --env-file .env users", {"env_file": ".env", "ledger": "till"}),
        ("users --db a.db", {}),
        ("--db", {}),
    ],
)
def test_a_ledger_is_named_before_the_command(line: str, flags: dict[str, str]) -> None:
    assert flags_of(shlex.split(line)) == flags


def test_a_file_of_settings_names_one_too() -> None:
    assert on_it("wallet users", {"env_file": "my shop.env"}) == "wallet --env-file 'my shop.env' users"


def test_a_password_is_not_shown() -> None:
    assert on_it("wallet users", {"db": "postgresql://me:secret@host/shop"}) == (
        "wallet --db postgresql://me@host/shop users"
    )


def test_what_a_hint_says_leads_to_the_same_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = ["--db", "my shop.db"]
    refused = cli.run([*named, "users"])
    assert "`wallet --db 'my shop.db' register PHONE` makes a new ledger" in refused.err
    assert "`wallet --db 'my shop.db' config get db` says which is meant" in refused.err
    assert cli.run([*named, "users", "--json"]).error["hint"] == refused.err.split("hint: ")[1].strip()
    missing = cli.run(["--db", str(tmp_path / "no/shop.db"), "users"])
    assert (missing.code, missing.err.split("hint: ")[1]) == (
        3,
        f"there is no folder {tmp_path / 'no'}: create it, or check --db\n",
    )
    for begun in ([], ["register 9886977544 --name Asha"], ["create 1"], ["credit 1 5"]):
        for line in begun:
            assert cli.run([*named, *line.split()]).code == 0
        suggested = re.findall(r"^wallet (.*?)  # ", cli.run(named).out, re.MULTILINE)
        assert len(suggested) >= 3
        assert all(each.startswith(("--db 'my shop.db' ", "--help", "demo")) for each in suggested)
    # What is suggested in a ledger that is used works in it.
    for each in suggested:
        assert cli.run(shlex.split(each)).code == 0, each


LINES = """{"wallet":"1","amount":"5","kind":"credit"}
{"wallet":"7","amount":"5","kind":"credit"}
{"wallet":"1/zz","amount":"5","kind":"credit"}
{"record":"user","phone_number":"9886977544","name":"Asha"}
{"record":"wallet","wallet":"1","currency":"EUR"}
"""
HINTS = [
    "no money goes in or out until it is unfrozen: wallet --db 'a b.db' unfreeze WALLET",
    "add the user: wallet --db 'a b.db' register PHONE",
    "the user has: main; open it: wallet --db 'a b.db' create id:1/zz",
    "leave the line out, or write the name that the user has",
    "leave the line out, or write the currency that the wallet has",
]


@pytest.mark.parametrize("options", ["", "--json", "--rejects refused"])
def test_so_is_what_is_suggested_for_a_line_of_a_file(
    options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in ("register 9886977544", "create 1", "freeze 1"):
        assert cli.run(f"--db 'a b.db' {line} -q").code == 0
    (tmp_path / "lines.jsonl").write_text(LINES)
    done = cli.run(f"--db 'a b.db' import lines.jsonl {options}")
    told = (tmp_path / "refused").read_text() if "rejects" in options else done.err
    if options:
        lines = map(json.loads, told.splitlines())
        assert [each.get("error", each)["hint"] for each in lines] == HINTS
    else:
        assert [each.partition("hint: ")[2] for each in told.splitlines()] == HINTS


def test_so_is_what_a_new_ledger_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "timezone", None)
    told = cli.run(f"--db {tmp_path / 'a.db'} register 9886977544").err
    assert f"to change it: wallet --db {tmp_path / 'a.db'} ledger set timezone ZONE" in told
