"""Hints over HTTP name endpoints and fields, and the remote client turns them back into commands."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from support import cli
from support.engines import Address

from wallet_cli.cli.command import built
from wallet_cli.cli.mcp_tools import for_agents
from wallet_cli.cli.tree import command_of
from wallet_cli.hints import FOR_KEEPER, FOR_OPERATORS, IN_A_FILE, PAIRS, for_terminal, for_user, in_a_file, over_http
from wallet_cli.web.auth import Caller
from wallet_cli.web.operations import OPERATIONS

PACKAGE = Path(__file__).parents[2] / "wallet_cli"
RULES = sorted((PACKAGE / "domain").rglob("*.py"))
NEEDED = [PACKAGE / "operations" / f"{name}.py" for name in ("holds", "pages", "transactions", "users", "wallets")]
ELSEWHERE = [
    path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in ("cli", "remote")
]
COMMAND = re.compile(r"wallet (register|create|list|limits|tx|hold|key|verify|ledger|move|import) |--[a-z]|WALLET_")
ON_THE_MACHINE = ("--reset-time", "WALLET_CLOCK_SKEW", "`wallet` shows what is in it")
"""What only whoever is at the server's machine can do."""


def hints_in(path: Path) -> list[str]:
    """The texts that are given as `hint=` somewhere in a file, each part of an f-string by itself."""
    calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.keyword))
    parts = (part for each in calls if each.arg == "hint" for part in ast.walk(each.value))
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]


HINTS = [hint for path in (*RULES, *NEEDED) for hint in hints_in(path)]
OTHERS = [hint for path in ELSEWHERE for hint in hints_in(path)]


def test_there_are_hints_to_check() -> None:
    assert len(HINTS) > 60
    assert len([hint for hint in HINTS if COMMAND.search(hint)]) > 15


@pytest.mark.parametrize("hint", [hint for hint in HINTS if not any(words in hint for words in ON_THE_MACHINE)])
def test_over_http_a_hint_names_no_command(hint: str) -> None:
    sent = over_http(hint.replace("wallet create id:", "wallet create id:1/savings"))
    assert sent is not None
    assert not COMMAND.search(sent)
    assert sent != FOR_KEEPER


def test_in_a_file_a_hint_names_no_option_that_an_import_does_not_have() -> None:
    """Options of a command line that it shows in full are that command's."""
    has = {option for parameter in built(command_of("import"), "import").params for option in parameter.opts}
    told = {hint: in_a_file(hint) or "" for hint in HINTS if not any(words in hint for words in ON_THE_MACHINE)}
    named = {option for text in told.values() for option in re.findall("--[a-z-]+", text.partition("wallet ")[0])}
    assert named - has == {"--min", "--max"}  # of lists
    assert {typed for typed, _ in IN_A_FILE if not any(typed in hint for hint in told)} == set()


@pytest.mark.parametrize("hint", HINTS)
def test_to_an_agent_a_hint_names_tools_and_their_arguments(hint: str) -> None:
    told = for_agents(hint.replace("wallet create id:", "wallet create id:1/savings"))
    if not any(
        words in hint for words in (*ON_THE_MACHINE, "wallet key ", "wallet ledger set ", "wallet --db NEW import")
    ):
        assert not COMMAND.search(told)


def test_what_only_the_keeper_of_the_server_can_do_names_no_command_either() -> None:
    """Of the files, say: their hints are for the command line, and their errors are answered over HTTP too."""
    sent = {hint: over_http(hint) for hint in OTHERS}
    assert [hint for hint, told in sent.items() if told is None or re.search("--[a-z]|WALLET_|`wallet", told)] == []
    assert FOR_KEEPER in sent.values()
    assert over_http("use that ledger with --db or WALLET_DB") == "ask at the server of that ledger"


@pytest.mark.parametrize("hint", [*HINTS, "the user has: main; open it: wallet create id:2/gift-card"])
def test_the_remote_client_turns_a_hint_back(hint: str) -> None:
    assert for_terminal(over_http(hint)) in (hint, FOR_KEEPER)
    assert for_terminal(hint) == hint


def test_each_endpoint_in_a_hint_exists() -> None:
    there = {f"{each.method} {each.path}" for each in OPERATIONS}
    named = [re.match(r"(GET|POST) [^ ?]+", sent) for _, sent in PAIRS]
    assert {match[0] for match in named if match} <= there
    assert len([match for match in named if match]) > 10


def test_what_only_operators_may_do_is_known() -> None:
    for_operators = {f"{each.method} {each.path}" for each in OPERATIONS if each.may_call not in (MAY, WRITES)}
    assert {sent for _, sent in PAIRS if " ".join(sent.split(" ")[:2]) in for_operators} | {CREDITS} == {
        sent for _, sent in FOR_OPERATORS
    }


MAY, WRITES = Caller.may_call, Caller.must_write
CREDITS = "POST /transactions/create with is_credit: true"
LIMIT = "raise the limit: wallet limits WALLET --daily-debit A"


@pytest.mark.parametrize(
    ("hint", "left"),
    [
        ("add the user: wallet register PHONE", None),
        (f"debit less, or wait for the next day, or {LIMIT}", "debit less, or wait for the next day"),
        (f"{LIMIT}; debit less", "debit less"),
        ("the user has: main; open it: wallet create id:2/gift-card", "the user has: main"),
        ("list the transactions: wallet tx list WALLET", over_http("list the transactions: wallet tx list WALLET")),
        ("check --db", FOR_KEEPER),
        (None, None),
    ],
)
def test_a_user_gets_what_users_may_do(hint: str | None, left: str | None) -> None:
    assert for_user(hint) == left


CLOSED_BY_ITS_HINTS = {
    "money": "credit 1 50",
    "money, and a hold": "credit 1 50; hold add 1 20",
    "money, and a minimum of its own": "credit 1 50; limits 1 --minimum-balance 20",
    "money, and the ledger's minimum": "credit 1 50; ledger set minimum_balance 20",
    "less than the minimum": "credit 1 5; ledger set minimum_balance 20",
    "frozen, with all of it": "credit 1 50; hold add 1 20; limits 1 --minimum-balance 20; freeze 1",
    "a debt": "limits 1 --minimum-balance -50; debit 1 20",
    "frozen, in debt": "limits 1 --minimum-balance -50; debit 1 20; freeze 1",
    "a hold on an overdraft": "limits 1 --minimum-balance -50; hold add 1 20; freeze 1",
}


@pytest.mark.on_file("a hint is made by the rules")
@pytest.mark.parametrize("before", CLOSED_BY_ITS_HINTS.values(), ids=CLOSED_BY_ITS_HINTS)
def test_who_does_what_the_hint_says_can_close_the_wallet(before: str, db: Address) -> None:
    for line in ("register 9886977544", "create 1", *before.split("; ")):
        assert cli.run(line).code == 0, line
    told = cli.run("close 1 --json").error
    steps = re.findall(r": wallet ([^;]+)", told["hint"])
    given = {"WALLET": "1", "AMOUNT": told["details"]["balance"].lstrip("-"), "ID": "1-h1"}
    for step in steps:
        done = cli.run([given.get(word, word) for word in step.split()])
        assert done.code == 0, (step, done)
    assert steps
    assert cli.run("close 1").code == 0


def test_no_hint_stays_none() -> None:
    assert over_http(None) is None
    assert for_terminal(None) is None
