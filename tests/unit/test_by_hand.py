"""What people type, at a terminal and without one: money never goes to another person than the one who is meant."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support import cli
from support.cli import Outcome
from support.terminal import shown

from wallet_cli.cli import by_hand
from wallet_cli.errors import Interrupted, InvalidInput

Wallet = Callable[[str], Outcome]

pytestmark = pytest.mark.on_file("what is asked at a terminal is the same on every engine")


@pytest.fixture
def shop(wallet: Wallet) -> Wallet:
    """Asha has two wallets, Ravi one; three have odd names."""
    for line in (
        "register 9886977541 --name 'Asha Rao'",
        "register 9886977542 --name Ravi",
        "register 9886977543 --name 2",
        "register 9886977544 --name w1",
        "register 9886977545 --name id:1",
        *("create 1", "create 1/savings", "create 2", "create 3", "create 4", "create 5"),
        *("tx add 1 500 --credit", "tx add 2 500 --credit"),
    ):
        assert wallet(line).code == 0
    return wallet


def at_terminal(line: str, typed: str, meanwhile: tuple[str, Callable[[], object]] | None = None) -> tuple[str, int]:
    """What a command says and asks on a terminal where that is typed, and its exit code."""
    return shown(line.split(), typed, {**os.environ, "NO_COLOR": "1"}, meanwhile=meanwhile)


def balance(wallet: Wallet, ref: str) -> str:
    return wallet(f"balance {ref} -q").out.strip()


WRITES = [
    *("credit ravi 5", "debit ravi 5", "tx add ravi 5 --credit", "transfer ravi 1 5", "transfer 1 ravi 5"),
    *(
        "hold add ravi 5",
        "freeze ravi",
        "limits ravi --daily-debit 7",
        "token ravi",
        "create ravi/new",
        "close asha/savings",
    ),
]


@pytest.mark.parametrize("line", WRITES)
def test_a_name_is_taken_for_a_write_only_where_somebody_agrees(line: str, shop: Wallet) -> None:
    def ledger() -> list[str]:
        return [shop(each).out for each in ("list -o csv", "history -o csv", "hold list 2 -o csv")]

    before = ledger()
    without = shop(line)
    assert (without.code, without.out) == (2, "")
    assert "not a phone number" in without.err or "not a wallet" in without.err
    for typed in ("\n", "n\n", "yess\n", "\x04"):
        asked, code = at_terminal(line, typed)
        assert code == 2, asked
        assert ("user 2, +919886977542, 'Ravi'" in asked) or ("user 1, +919886977541, 'Asha Rao'" in asked)
        assert "[y/N]" in asked
        assert "nothing was done" in asked
    asked, code = at_terminal(f"--no-input {line}", "y\n")
    assert (code, "[y/N]" in asked) == (2, False)
    assert ledger() == before
    asked, code = at_terminal(line, "y\n")
    assert code == 0, asked
    assert asked.count("[y/N]") == 1
    assert ledger() != before or line.startswith("token")


@pytest.mark.parametrize("name", ["2", "w1", "id:1", "+919886977542", "9886977542"])
def test_a_name_is_never_taken_for_an_id_or_a_number(name: str, shop: Wallet) -> None:
    """Whoever is called so: the wallet is that of the number."""
    meant = {"2": "2/main", "w1": "1/main", "id:1": "1/main"}.get(name, "2/main")
    assert shop(f"credit {name} 5 --json").json["wallet_id"] == shop(f"balance {meant} --json").json["id"]


def test_a_name_of_two_is_refused_and_they_are_told(shop: Wallet) -> None:
    assert shop("register 9886977546 --name 'asha devi'").code == 0
    for line in ("balance asha", "history asha", "list ASHA", "statement asha"):
        told = shop(f"{line} --json")
        assert (told.code, told.error["code"]) == (2, "invalid_input")
        assert [each["id"] for each in told.error["details"]["users"]] == [1, 6]
    asked, code = at_terminal("credit asha 5", "y\n")
    assert (code, "[y/N]" in asked) == (2, False)
    assert balance(shop, "1") == "500.00"


def test_a_hostile_name_moves_nothing_on_the_screen(shop: Wallet) -> None:
    """What somebody calls themselves stands behind what the ledger knows of them, with nothing in it that controls."""
    name = "Zed\x1b[2K\r, user 1, +919886977541, 'Asha\u202e"
    assert cli.run(["register", "9886977549", "--name", name]).code == 0
    assert shop("create 6").code == 0
    asked, code = at_terminal("credit zed 5", "n\n")
    assert code == 2
    line = next(line for line in asked.splitlines() if line.startswith("'zed' means"))
    assert re.match(r"'zed' means wallet 6/main, with ₹0\.00, of user 6, \+919886977549, 'Zed", line)
    assert not re.search(r"[\x1b\u202e]", asked)


def test_the_wallet_of_use_is_of_one_ledger_and_asked_about(
    shop: Wallet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop("use asha/savings -q").out == "1/savings\n"
    assert shop("balance --json").json["wallet"] == "1/savings"
    assert shop("credit 5").code == 2
    asked, code = at_terminal("credit 1,000", "n\n")
    assert (code, "wallet 1/savings, with ₹0.00, of user 1" in asked) == (2, True)
    assert balance(shop, "1/savings") == "0.00"
    asked, code = at_terminal("credit 1,000", "y\n")
    assert (code, "Credit ₹1,000.00? [y/N]" in asked) == (0, True), asked
    assert balance(shop, "1/savings") == "1000.00"
    # Another ledger, with the same ids in it, knows nothing of that.
    monkeypatch.setenv("WALLET_DB", str(tmp_path / "other.db"))
    for line in ("register 9886977541", "create 1/savings"):
        assert shop(line).code == 0
    assert shop("use --json").json == {"wallet": None, "id": None}
    assert shop("balance").code == 2


def test_the_wallet_of_use_is_not_that_of_a_copy(shop: Wallet, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    for line in ("use 1", f"backup {copy}", f"--db {copy} use 2"):
        assert shop(line).code == 0
    assert [shop(f"{db}use -q").out for db in ("", f"--db {copy} ")] == ["1/main\n", "2/main\n"]
    assert shop(f"--db {copy} use --clear").code == 0
    assert shop("use -q").out == "1/main\n"


@pytest.mark.parametrize("again", [(), ("create 1/gift",), ("register 9886977546", "create 6")])
@pytest.mark.parametrize("used", ["1/gift", "6"])
def test_a_wallet_of_use_that_is_gone_is_told_wherever_it_is_meant(
    used: str, again: tuple[str, ...], shop: Wallet, tmp_path: Path
) -> None:
    """A backup from before it was opened was restored; another one may have its name since."""
    evening = tmp_path / "evening.db"
    assert shop(f"backup {evening}").code == 0
    for line in ("register 9886977546", "create 6", "create 1/gift", f"use {used}", f"restore {evening} --yes", *again):
        assert shop(line).code == 0
    for line in ("use", "balance", "tx list", "statement"):
        told = shop(f"{line} --json")
        assert (told.code, "is not in the ledger any more" in told.error["message"]) == (2, True), told
        assert "wallet use --clear" in told.error["hint"]
    assert shop("use --clear").code == 0


@pytest.mark.parametrize("text", ["", "x", "1/main\n1/main", "w1" * 60, "\xff", "/"])
def test_a_file_of_use_that_says_something_else_is_refused(text: str, shop: Wallet, tmp_path: Path) -> None:
    assert shop("use 1").code == 0
    (file,) = [each for each in (tmp_path / "home").rglob("*") if each.is_file() and each.parent.name == "used"]
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(text.encode("latin-1"))
    told = shop("balance")
    assert (told.code, "names no wallet" in told.err) == (2, True)
    file.write_text("1/main\n")
    file.chmod(0o666)
    assert "others may write" in shop("balance").err
    assert shop("use --clear").code == 0
    assert not file.exists()


def test_a_wallet_is_closed_on_a_terminal_only_where_somebody_agrees(shop: Wallet) -> None:
    asked, code = at_terminal("close 1/savings", "n\n")
    assert (code, "wallet 1/savings, with ₹0.00, of user 1, +919886977541, 'Asha Rao'" in asked) == (2, True)
    assert shop("balance 1/savings --json").json["status"] == "active"
    asked, code = at_terminal("close 1/savings --yes", "")
    assert (code, "[y/N]" in asked) == (0, False)
    asked, code = at_terminal("--no-input close 3", "")
    assert (code, "[y/N]" in asked) == (0, False)
    assert shop("close 4 -q").out == "4/main\n"  # a script is not asked


def test_a_number_of_somebody_is_not_taken_for_an_amount(shop: Wallet) -> None:
    """With `wallet use`, one word alone is the amount: a customer's number is one that was left behind alone."""
    assert shop("use 1/savings").code == 0
    for number in ("9886977542", "+919886977542"):
        asked, code = at_terminal(f"credit {number}", "y\n")
        assert (code, "is not an amount, but the number of user 2" in asked) == (2, True), asked
    asked, code = shown(["credit", "98869 77542"], "y\n", {**os.environ, "NO_COLOR": "1"})
    assert (code, "hint: wallet credit '98869 77542' AMOUNT" in asked) == (2, True), asked
    assert balance(shop, "1/savings") == "0.00"


def test_a_payment_is_taken_back_on_a_terminal_only_where_somebody_agrees(shop: Wallet) -> None:
    id_ = shop("debit 1 20 --note Tea -q").out.strip()
    asked, code = at_terminal(f"tx reverse {id_}", "n\n")
    assert (code, f"{id_}: debit of ₹20.00, " in asked, "'Tea'" in asked, "Take back ₹20.00? [y/N]" in asked) == (
        *(2, True, True, True),
    ), asked
    assert balance(shop, "1") == "480.00"
    asked, code = at_terminal(f"tx reverse {id_} 1.5", "y\n")
    assert (code, "Take back ₹1.50? [y/N]" in asked) == (0, True), asked
    for options in (f"tx reverse {id_} 1.5 --yes", f"--no-input tx reverse {id_} 1.5"):
        asked, code = at_terminal(options, "")
        assert (code, "[y/N]" in asked) == (0, False), asked
    assert shop(f"tx reverse {id_}").code == 0  # a script is not asked
    assert balance(shop, "1") == "500.00"
    asked, code = at_terminal(f"tx reverse {id_}", "")  # nothing is left, so nothing is asked
    assert (code, "[y/N]" in asked, "has been reversed already" in asked) == (4, False, True), asked


ASHA, RAVI = "wallet 1/main, with ₹470.00, of user 1, ", "wallet 2/main, with ₹530.00, of user 2, "


@pytest.mark.parametrize(
    ("reversed_", "typed", "told", "question"),
    [
        ("1-1", "", ["1-1: credit of ₹500.00, ", f"out of {ASHA}"], "Take back ₹500.00?"),
        ("1-2", "", ["1-2: transfer of ₹30.00, ", f"into {ASHA}", f"out of {RAVI}"], "Take back ₹30.00?"),
        ("3-2", "", ["3-2: transfer of ₹30.00, ", f"out of {RAVI}", f"into {ASHA}"], "Take back ₹30.00?"),
        ("1-2", "5", ["1-2: transfer of ₹30.00, ", f"into {ASHA}", f"out of {RAVI}"], "Take back ₹5.00?"),
    ],
)
def test_it_is_shown_out_of_whose_wallet_a_reversal_takes(
    reversed_: str, typed: str, told: list[str], question: str, shop: Wallet
) -> None:
    assert shop("transfer 1 2 30").code == 0
    asked, code = at_terminal(f"tx reverse {reversed_} {typed}", "n\n")
    lines = asked.splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith(told[0]))
    assert [line[: len(begin)] for line, begin in zip(lines[at:], told, strict=False)] == told, asked
    assert (code, lines[at + len(told)].startswith(f"{question} [y/N]")) == (2, True), asked


def test_as_much_is_taken_back_as_was_shown(shop: Wallet) -> None:
    """Also where others take back a part of the same meanwhile."""
    assert shop("tx reverse 1-1 20").code == 0
    asked, code = at_terminal("tx reverse 1-1", "y\n", ("[y/N]", lambda: shop("tx reverse 1-1 30")))
    assert ("; ₹480.00 of it is left" in asked, "Take back ₹480.00? [y/N]" in asked) == (True, True), asked
    assert (code, "450.00 is left: short by 30.00" in asked) == (4, True), asked
    assert shop("tx show 1-1 --json").json["reversed"] == "50.00"


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])  # one of them is in another day than UTC
def test_a_question_has_the_day_of_the_ledger(zone: str, shop: Wallet) -> None:
    assert shop(f"ledger set timezone {zone}").code == 0
    at = datetime.fromisoformat(shop("tx show 1-1 --json").json["at"])
    asked, _ = at_terminal("tx reverse 1-1", "n\n")
    assert f"1-1: credit of ₹500.00, {at.astimezone(ZoneInfo(zone)).date()}" in asked


@pytest.mark.parametrize("line", ["tx reverse 99-1", "hold capture 99-h1"])
def test_what_is_not_there_is_told_by_its_id_however_a_part_is_typed(line: str, shop: Wallet) -> None:
    told = [at_terminal(f"{line} {amount}", "")[0].splitlines() for amount in ("1000", "1,000")]
    assert told[0] == told[1]
    assert "there is no wallet" not in told[0][0]


@pytest.mark.parametrize(
    ("line", "option", "value"),
    [
        ("move --to --json", "--to", "--json"),
        ("move --to --yes", "--to", "--yes"),
        ("move --yes --to --help", "--to", "--help"),
        ("move --to -q", "--to", "-q"),
        ("credit 1 5 --key --json", "--key", "--json"),
        ("debit --key --note Tea 1 5", "--key", "--note"),
        ("hold add 1 5 --key -q", "--key", "-q"),
        ("import customers.csv --rejects --dry-run", "--rejects", "--dry-run"),
        ("import customers.csv --profile --atomic", "--profile", "--atomic"),
        ("verify --against --json", "--against", "--json"),
        ("history --from --all", "--from", "--all"),
        ("--db --json register 9886977549", "--db", "--json"),
        ("--env-file --no-input register 9886977549", "--env-file", "--no-input"),
    ],
)
def test_the_next_option_is_no_value(
    line: str, option: str, value: str, shop: Wallet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a script where a variable is empty: `--to $EMPTY --yes`."""
    monkeypatch.chdir(tmp_path)
    before = shop("history -o csv").out, {each.name for each in tmp_path.iterdir()}
    told = shop(line)
    assert (told.code, f"error: {option} has no value: {value} is an option" in told.err) == (2, True), told
    assert f"write {option}={value}" in told.err
    assert (shop("history -o csv").out, {each.name for each in tmp_path.iterdir()}) == before


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("credit 1 5 --key=--json", "key", "--json"),
        ("credit 1 5 --note --json", "note", "--json"),
        ("credit 1 5 --key --no-such", "key", "--no-such"),
        ("credit 1 5 --key=a --note -- -q", "note", "--"),
    ],
)
def test_what_looks_like_an_option_may_be_meant(line: str, field: str, value: str, shop: Wallet) -> None:
    shop(line)
    assert shop("history --json").json["transactions"][0][field] == value


def test_a_ledger_moves_on_a_terminal_only_where_somebody_agrees(shop: Wallet, tmp_path: Path) -> None:
    asked, code = at_terminal(f"move --to {tmp_path}/new.db", "n\n")
    assert (code, "The old one then takes no more writes. [y/N]" in " ".join(asked.split())) == (2, True), asked
    assert not (tmp_path / "new.db").exists()
    assert shop("credit 1 1").code == 0
    asked, code = at_terminal(f"move --to {tmp_path}/new.db --yes", "")
    assert (code, "[y/N]" in asked) == (0, False)


def test_ctrl_c_at_a_question_says_that_nothing_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def readline(self) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(Interrupted, match="interrupted, so nothing was done"):
        by_hand.be_sure("Close it for good?")


@pytest.mark.parametrize("answer", ["\xff\n", "y\xe9\n"])
def test_an_answer_that_is_no_text_is_none(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(answer.encode("latin-1")), "utf-8"))
    with pytest.raises(InvalidInput, match="so nothing was done"):
        by_hand.be_sure("Close it for good?")


@pytest.mark.parametrize("editor", ["it's", " ", "''"])
def test_an_editor_that_cannot_be_read_is_told(editor: str, wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", editor)
    told = wallet("config edit --json")
    assert (told.code, told.error["code"], told.error["hint"]) == (2, "invalid_input", "export EDITOR=nano")


HINTED = re.compile(r"wallet (?:users|history|find|credit)(?: (?:'(?:[^']|'\"'\"')*'|[^' ;)]+))*")


@pytest.mark.parametrize("text", ["it's", "O'Neil", "tea & cake", "x" * 70, "$HOME", "a\x1bb"])
@pytest.mark.parametrize("line", [["find", "--limit", "1"], ["credit", "5"]])
def test_a_command_in_a_hint_can_be_typed_as_it_is(line: list[str], text: str, shop: Wallet) -> None:
    """In a shell it is about the same text; one that cannot be shown is left to whoever types it."""
    for wallet_id in ("1", "2"):
        assert cli.run(["credit", wallet_id, "1", "--note", text]).code == 0
    command, *rest = line
    said = cli.run([command, text, *rest]).err
    found = [shlex.split(each) for each in HINTED.findall(said)]
    assert [each for each in found if (text if text.isprintable() else each[-1]) not in each] == [], said
    assert found or command == "credit", said


def test_a_backup_replaces_the_ledger_on_a_terminal_only_where_somebody_agrees(shop: Wallet, tmp_path: Path) -> None:
    backup = tmp_path / "evening.db"
    assert shop(f"backup {backup}").code == 0
    assert shop("credit 1 5").code == 0
    asked, code = at_terminal(f"restore {backup}", "n\n")
    assert (code, "in the place of" in asked, "nothing was done" in asked) == (2, True, True)
    assert balance(shop, "1") == "505.00"
    for options in ("--yes", ""):
        asked, code = at_terminal(f"restore {backup} {options}", "" if options else "y\n")
        assert (code, "[y/N]" in asked) == (0, not options), asked
        assert balance(shop, "1") == "500.00"
        assert shop("credit 1 5").code == 0
    asked, code = at_terminal(f"--no-input restore {backup}", "")
    assert (code, "[y/N]" in asked) == (0, False)
    assert shop(f"restore {backup} -q").code == 0  # a script is not asked


def test_lines_that_are_there_are_asked_about_only_where_somebody_can_be(shop: Wallet) -> None:
    for name in ("one.csv", "two.csv"):
        Path(name).write_text(f"wallet,amount,kind,at\n1,5,credit,2024-01-01{'' if name == 'one.csv' else 'T00:00'}\n")
    shop("create 1/past -q")
    for name, options in (("one.csv", ""), ("two.csv", "--no-input ")):
        text = Path(name).read_text().replace("\n1,", "\n1/past,")
        Path(name).write_text(text)
        said, code = at_terminal(f"{options}import {name}", "skip\n")
        assert (code, "skip them" in said) == (2 if options else 0, False), said
    assert "skip them" in at_terminal("import two.csv", "skip\n")[0]


def test_a_thousand_on_a_terminal_is_no_one(shop: Wallet) -> None:
    asked, code = at_terminal("credit 1 1.000", "")
    assert (code, "can mean 1.00 or 1000" in asked) == (2, True)
    assert shop("credit 1 1.000 --json").json["amount"] == "1.00"


def test_an_amount_that_currencies_read_differently_is_not_looked_for(
    shop: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the comma is the decimal sign, 1.505 is a thousand of rupees, and one dinar and a half."""
    assert shop("create 1/gulf --currency KWD").code == 0
    said = {}
    for locale in ("de_DE.UTF-8", "en_GB.UTF-8"):
        monkeypatch.setenv("LC_ALL", locale)
        said[locale] = at_terminal("history --min 1.505", "")
        assert at_terminal("history --min 1505", "")[1] == 0
    assert "this amount is not clear in all of them: '1.505'" in said["de_DE.UTF-8"][0]
    assert [code for _, code in said.values()] == [2, 0], said


def test_init_asks_four_questions(wallet: Wallet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLET_DB", str(tmp_path / "new.db"))
    asked, code = at_terminal("init", "EURO\nEUR\nDE\n\n12\n030 1234567 Jürgen Groß\n")
    assert code == 0, asked
    assert asked.count("Currency of its wallets") == asked.count("First user") == 2
    assert "did you mean EUR" in asked
    assert ("(from your answer)" in " ".join(asked.split()), "--currency" in asked) == (True, False)
    assert json.loads(wallet("ledger show --json").out)["currency"] == "EUR"
    assert wallet("users --json").json["users"][0]["name"] == "Jürgen Groß"
    assert wallet("balance 1 --json").json["currency"] == "EUR"
    monkeypatch.setenv("WALLET_DB", str(tmp_path / "empty.db"))
    asked, code = at_terminal("init", "\n\n\nAsha 9886977544\nNone\n")
    assert (code, "the number comes before the name: 'Asha 9886977544'" in asked) == (0, True)
    assert wallet("users --json").json["users"] == []
    monkeypatch.setenv("WALLET_DB", str(tmp_path / "new.db"))
    again, code = at_terminal("init", "\n\n\n\n")
    assert (code, "there is a ledger already" in again) == (2, True)


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("--db new.db init --name Meera", "--phone"),
        ("--db new.db init --type shop", "--phone"),
        ("serve --seal-every 5 --workers 0", "--seal-to"),  # which starts nothing
    ],
)
def test_an_option_that_needs_another_is_not_ignored(wallet: Wallet, line: str, needed: str) -> None:
    refused = wallet(f"{line} --json")
    assert (refused.code, needed in refused.error["hint"]) == (2, True), refused


def test_init_that_is_left_makes_nothing(wallet: Wallet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLET_DB", str(tmp_path / "new.db"))
    asked, code = at_terminal("init", "EUR\nDE\n\x04")
    assert (code, "nothing was done" in asked) == (2, True)
    assert not (tmp_path / "new.db").exists()
