"""What the program prints of a wallet or a user is what its next command takes for the same one, and nobody else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cli import Outcome
from support.engines import Engine

from wallet_cli.cli import tree
from wallet_cli.domain.ids import (
    MAX_ID,
    UserId,
    WalletId,
    WalletName,
    format_user,
    format_wallet,
    format_wallet_id,
    parse_hold_id,
    parse_transaction_id,
    parse_user,
    parse_wallet,
)
from wallet_cli.errors import InvalidInput, Mention, WalletNotActive
from wallet_cli.remote.failures import error_of
from wallet_cli.web.messages import failure, mentions_of

Wallet = Callable[[str], Outcome]

IDS = st.one_of(st.integers(1, MAX_ID), st.integers(10**5, 10**8))
TYPES = st.text("abzABZ019_.-", min_size=1, max_size=32)


@given(IDS, TYPES)
def test_a_name_that_is_printed_is_read_as_the_same_one(id_: int, type_: str) -> None:
    assert parse_user(format_user(id_)) == UserId(id_)
    text = format_wallet(id_, type_)
    assert parse_wallet(text) == WalletName(UserId(id_), type_, text)
    assert parse_wallet(format_wallet_id(id_)) == WalletId(id_)


@pytest.mark.parametrize(
    "text",
    [
        "w" + "9" * 5000,
        "w",
        "w0",
        "w01",
        "w-1",
        "W1",
        "w1/main",
        "w 1",
        "\u00a0w1",
        "w1\n",
        "w+1",
        "w1.0",
        "w١",
        "ww1",
        f"w{MAX_ID + 1}",
    ],
    ids=lambda text: ascii(text)[:24],
)
def test_what_is_no_wallet_id_is_no_user_either(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_wallet(text)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((parse_user, each) for each in ("030", "00", "000123", "id:030", " 030 ", "id:07654321")),
        *((parse_wallet, each) for each in ("030/7654321", "040/1234567", "01", "01/main", "id:01/main", "w030")),
        *((parse_transaction_id, each) for each in ("01-2", "1-02", "00-1")),
        *((parse_hold_id, each) for each in ("01-h2", "1-h02")),
    ],
)
def test_an_id_has_no_leading_zero(read: Callable[[str], object], text: str) -> None:
    """With one, it is mostly the beginning of a phone number: of somebody else."""
    with pytest.raises(InvalidInput, match=r"not an? "):
        read(text)


# Every command's -q, fed to the next command.

USER, WALLET, TRANSACTION, HOLD, KEY, EVENT = "user", "wallet", "transaction", "hold", "key", "event"

PRINTS: dict[str, tuple[str | None, str]] = {
    "register": (USER, "register 9886977599"),
    "users": (USER, "users"),
    "create": (WALLET, "create 2/new"),
    "list": (WALLET, "list"),
    "balance": (None, "balance w1"),
    "limits": (WALLET, "limits w1"),
    "freeze": (WALLET, "freeze w1"),
    "unfreeze": (WALLET, "unfreeze w1"),
    "close": (WALLET, "close 1/empty"),
    "find": (USER, "find 98869"),
    "use": (WALLET, "use w1"),
    "credit": (TRANSACTION, "credit w1 5"),
    "debit": (TRANSACTION, "debit w1 5"),
    "history": (TRANSACTION, "history"),
    "tx add": (TRANSACTION, "tx add w1 5 --credit"),
    "tx show": (TRANSACTION, "tx show 1-1"),
    "tx list": (TRANSACTION, "tx list w1"),
    "tx total": (None, "tx total w1"),
    "tx reverse": (TRANSACTION, "tx reverse 1-1 1"),
    "transfer": (TRANSACTION, "transfer w1 w2 1"),
    "hold add": (HOLD, "hold add w1 1"),
    "hold capture": (TRANSACTION, "hold capture 1-h1 1"),
    "hold void": (HOLD, "hold void 1-h2"),
    "hold list": (HOLD, "hold list w1"),
    "statement": (None, "statement w1"),
    "chart": (None, "chart w1"),
    "wallet create": (WALLET, "wallet create 2/other"),
    "key create": (None, "key create till"),
    "key list": (KEY, "key list"),
    "key revoke": (KEY, "key revoke bar"),
    "audit": (EVENT, "audit"),
    "verify": (None, "verify"),
    "ledger show": (None, "ledger show"),
    "ledger set": (None, "ledger set timezone UTC"),
}
"""What `-q` prints of each command, and a command line of it; None for a value that no command takes."""

OF_SETTINGS = {f"config {word}" for word in ("path", "show", "get", "set", "unset", "edit")}
PRINT_NO_NAMES = OF_SETTINGS | {
    *("backup", "restore", "doctor", "receipt", "seal"),
    *("help", "commands", "completion"),
    *("import", "export", "move", "mcp", "serve", "token", "init", "demo"),
}


CROSSING = (
    *("register 988697754" + str(number) for number in range(1, 5)),
    *("create 3", "create 2", "create 1", "create 4", "create 1/empty"),
    *("tx add 3 500 --credit", "hold add 3 5", "hold add 3 6", "key create bar"),
)


@pytest.fixture
def shop(wallet: Wallet, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wallet:
    """Users and wallets whose ids cross: the wallet with the id 1 is user 3's, and so on."""
    monkeypatch.setenv("WALLET_DB", str(engine.copy("crossing", CROSSING, tmp_path)))
    return wallet


def test_the_table_has_every_command() -> None:
    assert PRINTS.keys() | PRINT_NO_NAMES == set(dict(tree.each()))
    assert not PRINTS.keys() & PRINT_NO_NAMES


@pytest.mark.parametrize("command", [name for name, (kind, _) in PRINTS.items() if kind is not None])
def test_what_q_prints_names_the_same_thing_in_the_next_command(shop: Wallet, command: str) -> None:
    kind, line = PRINTS[command]
    printed = shop(f"{line} -q --exist-ok" if "create" in command or command == "register" else f"{line} -q")
    told = shop(f"{line} -o jsonl --exist-ok" if "create" in command or command == "register" else again(line))
    assert (printed.code, told.code) == (0, 0), (printed, told)
    names, rows = printed.out.splitlines(), [json.loads(row) for row in told.out.splitlines()]
    assert len(names) == len(rows) > 0
    for name, row in zip(names, rows, strict=True):
        if kind == USER:
            found = shop(f"list {name} --json").json["wallets"]
            assert {each["user_id"] for each in found} <= {row["id"]}
            assert parse_user(name) == UserId(row["id"])
        elif kind == WALLET:
            assert shop(f"balance {name} --json").json["id"] == row["id"]
            assert name == row["wallet"]
        elif kind == TRANSACTION:
            assert shop(f"tx show {name} --json").json["id"] == name
        elif kind == HOLD:
            assert name in shop("hold list w1 -q").out.splitlines()
        elif kind == EVENT:
            assert shop(f"audit --cursor {name} -q").out.splitlines() == names[names.index(name) + 1 :]
        else:
            assert shop(f"key revoke {name} -q").out == f"{name}\n"


def again(line: str) -> str:
    """A command line that tells what another one has done: a list, or what may be done twice."""
    if line.startswith(("tx add", "tx reverse", "transfer", "hold capture")):
        return "tx list w1 --limit 1 -o jsonl"
    if line.startswith("hold add"):
        return "hold list w1 --limit 1 -o jsonl"
    if line.startswith("hold void"):
        return "hold list w1 --limit 1 -o jsonl"
    return f"{line} -o jsonl"


def test_a_wallet_that_was_just_opened_is_the_one_that_is_paid(shop: Wallet) -> None:
    name = shop("create 2/till -q").out.strip()
    assert shop(f"tx add {name} 300 --credit -q").code == 0
    paid = [each for each in shop("list --json --all").json["wallets"] if each["balance"] == "300.00"]
    assert [(each["user_id"], each["type"]) for each in paid] == [(2, "till")]


# Messages.


@pytest.mark.parametrize("name", ["3", "3/main", "id:3", "id:3/main", "w1", "9886977543", "'+91 98869 77543/main'"])
@pytest.mark.parametrize(
    "line",
    [
        "tx add {} 501 --debit",
        "transfer {} w2 501",
        "transfer {} {} 5",
        "hold add {} 501",
        "close {}",
        "create {}",
        "limits {} --daily-debit 5 | tx add {} 6 --debit",
        "limits {} --maximum-balance 600 | tx add {} 200 --credit",
        "freeze {} | tx add {} 5 --credit",
        "freeze {} | transfer {} w2 5",
        "freeze {} | transfer w2 {} 5",
        "freeze {} | hold add {} 5",
    ],
)
def test_a_message_names_a_wallet_as_it_was_asked_for(shop: Wallet, line: str, name: str) -> None:
    *before, last = line.split(" | ")
    if last == "create {}" and name == "w1":
        pytest.skip("nobody chooses the id of a new wallet")
    for each in before:
        assert shop(each.format(name)).code == 0
    refused = shop(last.replace("{}", name))
    typed = name.strip("'")
    assert refused.code in (2, 4, 5)
    assert f"wallet {typed} " in refused.err


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("freeze 3", "tx reverse 1-1"),
        ("freeze 3", "hold capture 1-h1"),
        ("tx add 3 489 --debit", "tx reverse 1-1"),
    ],
)
def test_where_nobody_named_it_a_message_does(shop: Wallet, before: str, line: str) -> None:
    assert shop(before).code == 0
    refused = shop(line)
    assert refused.code == 4
    assert "wallet 3/main " in refused.err


def test_each_line_of_an_import_has_its_own_names(shop: Wallet, tmp_path: object) -> None:
    names = ["3", "w1", "9886977543", "id:3/main"]
    lines = "".join(
        json.dumps({"wallet": name, "amount": "900", "kind": "debit"}) + "\n" for name in [*names, "w9", "w01"]
    )
    path = f"{tmp_path}/lines.jsonl"
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(lines)
    told = shop(f"import {path}").err.splitlines()
    assert [line.split(" has ")[0] for line in told[:4]] == [
        f"line {number}: insufficient_funds: wallet {name}" for number, name in enumerate(names, 1)
    ]
    assert told[4:] == [
        "line 5: wallet_not_found: there is no wallet w9; hint: list the wallets: wallet list",
        "line 6: invalid_input: not a wallet id: 'w01'"
        "; hint: w and the number, such as w7; or USER/TYPE, such as 2/main",
    ]


def test_no_message_has_a_bare_wallet_id(shop: Wallet) -> None:
    """Neither does a card or a table: what stands for a wallet there can be given to the next command."""
    for line in (
        "create 2/x",
        "balance w1",
        "freeze w1",
        "limits w1",
        "tx show 1-1",
        "hold list w1",
        "list",
        "statement w1",
    ):
        printed = shop(line).out
        assert not re.search(r"^(wallet_)?id +\d+$", printed, re.MULTILINE), printed
        assert not re.search(r"\bwallet \d+\b(?!/)", printed), printed


def test_a_wallet_that_has_no_such_id_is_not_there(shop: Wallet) -> None:
    for line in (
        "balance w9",
        "tx add w9 5 --credit",
        "verify w9",
        "export w9",
        "statement w9",
        "chart w9",
        "hold list w9",
    ):
        refused = shop(line)
        assert (refused.code, refused.out) == (3, "")
        assert refused.err.splitlines()[0] == "error: there is no wallet w9"
    assert shop("create w9").code == 2


# The mechanism.


def test_an_error_is_named_for_whoever_is_told() -> None:
    error = WalletNotActive(("wallet ", Mention(3, "2/main"), " {} is ", Mention(3, "2/main"), "."))
    assert str(error) == error.message == "wallet 2/main {} is 2/main."
    error.name_wallets({3: "{w}", 2: "other"})
    assert str(error) == error.message == error.as_json()["message"] == "wallet {w} {} is {w}."
    error.name_wallets({})
    assert error.message == "wallet {w} {} is {w}."


def test_a_failure_says_where_its_message_speaks_of_wallets() -> None:
    error = WalletNotActive(("ünd ", Mention(3, "2/main"), " and ", Mention(4, "w4"), " x"))
    told = mentions_of(error)
    assert told is not None
    mentions = json.loads(told)
    assert [error.message[each["at"] :].startswith(each["wallet"]) for each in mentions] == [True, True]
    assert [each["id"] for each in mentions] == [3, 4]
    assert mentions_of(WalletNotActive("none")) is None
    again = error_of(409, failure(error), "http://x", told.decode())
    again.name_wallets({3: "9886977544", 4: "w4"})
    assert again.message == "ünd 9886977544 and w4 x"


@pytest.mark.parametrize(
    "mentions",
    [
        "", "{", "[1]", "5", "null", '[{"id": 3}]', '[{"id": 3, "wallet": "2/main", "at": 5}]', "[" * 100_000,
        '[{"id": 3, "wallet": "2/main", "at": -7}]', '[{"id": 3, "wallet": "2/main", "at": "x"}]',
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_a_server_that_says_it_wrongly_is_told_in_its_own_words(mentions: str) -> None:
    error = error_of(409, failure(WalletNotActive("wallet 2/main is frozen")), "http://x", mentions)
    error.name_wallets({3: "other"})
    assert error.message == "wallet 2/main is frozen"
