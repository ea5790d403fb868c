"""No list ends without a word: what programs read is whole, and a table that is cut says so on stderr."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from support import cli, engines
from support.cli import Outcome
from support.engines import Address, Engine

from wallet_cli.cli import output
from wallet_cli.cli.output import Format, Style
from wallet_cli.cli.screen.view import ROWS_A_TABLE
from wallet_cli.domain.ids import UserId, WalletName, parse_wallet
from wallet_cli.domain.remarks import Remarks
from wallet_cli.operations import holds, transactions, users, wallets
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.pages import DEFAULT_LIMIT

Wallet = Callable[[str], Outcome]

MANY = 53


class Listed(NamedTuple):
    """A command that lists, what its list is called in JSON, and of how many things it knows."""

    line: str
    name: str
    count: int | None = MANY


LISTS = [
    Listed("users", "users"),
    Listed("users --text 98869", "users", None),
    Listed("list", "wallets"),
    Listed("list 1", "wallets"),
    Listed("tx list 1/t1", "transactions"),
    Listed("tx list 1/t1 --from 2020", "transactions"),
    Listed("tx list 1/t1 --kind credit", "transactions", None),
    Listed("hold list 1/t1", "holds"),
]

every_list = pytest.mark.parametrize("listed", LISTS, ids=lambda listed: listed.line)


def fill(ledger: Ledger) -> None:
    """53 of everything."""
    for number in range(MANY):
        ledger.run(users.register(ledger, f"98869{number:05}"), "register")
        ledger.run(wallets.create(ledger, WalletName(UserId(1), f"t{number + 1}")), "create")
        name = parse_wallet("1/t1")
        ledger.run(transactions.add(ledger, name, "5", is_credit=True, remarks=Remarks(note="of 98869")), "tx add")
        ledger.run(holds.add(ledger, name, "1"), "hold add")


@pytest.fixture(scope="module")
def filled(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """A ledger with 53 of everything, which is only read."""
    folder = tmp_path_factory.mktemp("filled")
    address = engine.new(folder)
    with engines.opened(address) as ledger:
        fill(ledger)
    yield address
    engine.forget(folder)


@pytest.fixture
def full(filled: Address, monkeypatch: pytest.MonkeyPatch) -> Wallet:
    monkeypatch.setenv("WALLET_DB", str(filled))
    return cli.run


@every_list
def test_a_table_that_is_cut_says_of_how_many(full: Wallet, listed: Listed) -> None:
    shown = full(listed.line)
    assert len(shown.out.splitlines()) == 1 + DEFAULT_LIMIT
    of = "20 shown" if listed.count is None else f"20 of {listed.count}"
    assert shown.err == f"{of}; --all shows the rest\n"
    cut = full(f"{listed.line} --limit 5")
    assert len(cut.out.splitlines()) == 1 + 5
    assert cut.err == shown.err.replace("20", "5", 1)


@every_list
def test_a_table_of_all_is_all(full: Wallet, listed: Listed) -> None:
    shown = full(f"{listed.line} --all")
    assert (len(shown.out.splitlines()), shown.err) == (1 + MANY, "")


@every_list
def test_what_programs_read_is_whole(full: Wallet, listed: Listed) -> None:
    names = full(f"{listed.line} -q")
    assert (len(set(names.out.splitlines())), names.err) == (MANY, "")
    lines = full(f"{listed.line} -o jsonl")
    assert (len(lines.out.splitlines()), lines.err) == (MANY, "")
    table = full(f"{listed.line} -o csv")
    assert (len(table.out.splitlines()), table.err) == (1 + MANY, "")
    for form in ("-q", "-o jsonl", "-o csv"):
        assert full(f"{listed.line} {form} --all") == full(f"{listed.line} {form}")


@every_list
def test_a_limit_cuts_them_and_says_so(full: Wallet, listed: Listed) -> None:
    of = "7 shown" if listed.count is None else f"7 of {listed.count}"
    for form, head in (("-q", 0), ("-o jsonl", 0), ("-o csv", 1)):
        cut = full(f"{listed.line} {form} --limit 7")
        assert (len(cut.out.splitlines()), cut.err) == (head + 7, f"{of}; --all shows the rest\n")
        whole = full(f"{listed.line} {form} --limit {MANY}")
        assert (len(whole.out.splitlines()), whole.err) == (head + MANY, "")


@every_list
def test_json_is_a_page_or_all_of_it_in_one_object(full: Wallet, listed: Listed) -> None:
    page = full(f"{listed.line} --json")
    assert (list(page.json), len(page.json[listed.name])) == ([listed.name, "next_cursor"], 20)
    filtered = full(f"{listed.line} --jq .next_cursor")
    assert (filtered.out, filtered.err) == (f"{page.json['next_cursor']}\n", page.err)
    assert page.err == "20 shown; --all shows the rest\n"
    rest = full(f"{listed.line} --json --all --cursor {page.json['next_cursor']}").json
    whole = full(f"{listed.line} --json --all")
    assert (list(whole.json), whole.json["next_cursor"], whole.err) == ([listed.name, "next_cursor"], None, "")
    assert page.json[listed.name] + rest[listed.name] == whole.json[listed.name]
    assert len(whole.out.splitlines()) == 1


@every_list
def test_what_shows_the_rest_is_added_to_any_line_whose_list_was_cut(full: Wallet, listed: Listed) -> None:
    for form in ("", "-q", "--json", "-o jsonl", "-o csv"):
        cut = f"{listed.line} {form} --limit 3"
        assert "--all shows the rest" in full(cut).err or form == "--json"
        shown = full(f"{cut} --all")
        assert (shown.code, shown.err) == (0, "")
        assert shown == full(f"{listed.line} {form} --all")


def test_what_is_found_is_whole_for_programs(full: Wallet) -> None:
    shown = full("find 98869")
    assert shown.err == (
        "there are more users (wallet users --text 98869) and transactions (wallet history --text 98869)\n"
    )
    assert full("find 98869 --json").json["more_users"] is True
    for form, head in (("-q", 0), ("-o jsonl", 0), ("-o csv", 1)):
        whole = full(f"find 98869 {form}")
        assert (len(set(whole.out.splitlines())), whole.err) == (head + 2 * MANY, "")
        cut = full(f"find 98869 {form} --limit 7")
        assert (len(cut.out.splitlines()), cut.err) == (head + 2 * 7, shown.err)


@pytest.mark.parametrize(("text", "is_told"), [("9", True), ("98", True), ("988", False), ("t1", False)])
def test_what_is_too_short_for_a_number_is_told_so(full: Wallet, text: str, is_told: bool) -> None:
    assert ("in numbers, 3 digits or more are looked for\n" in full(f"find {text}").err) is is_told


@pytest.mark.parametrize(
    ("line", "name"),
    [("users", "users"), ("list", "wallets"), ("tx list 1", "transactions"), ("hold list 1", "holds")],
)
def test_an_empty_list_is_one(wallet: Wallet, line: str, name: str) -> None:
    for made in ("register 9886977544", "create 1") if line.endswith("1") else ():
        wallet(made)
    assert wallet(f"{line} --json --all").out == f'{{"{name}": [], "next_cursor": null}}\n'
    assert wallet(f"{line} -q").out == ""
    assert wallet(line) == (0, "", f"no {name}\n")


@pytest.mark.parametrize("form", ["--json --all", "-q", "--all"])
def test_a_list_that_is_refused_prints_nothing(wallet: Wallet, form: str) -> None:
    refused = wallet(f"tx list 9 {form}")
    assert (refused.code, refused.out) == (3, "")


@pytest.mark.on_file("a pipe of the system")
def test_a_reader_that_leaves_ends_it_quietly(full: Wallet) -> None:
    for line in (*LISTS, Listed("users --all", "users"), Listed("users --json --all", "users")):
        with subprocess.Popen(
            [sys.executable, "-m", "wallet_cli", *line.line.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert (process.stderr.read(), process.wait(60)) == (b"", 0)


def test_a_list_while_others_write_has_each_thing_once(wallet: Wallet, ledger: Ledger) -> None:
    """Those that were there when it began: each once, in order, whatever comes meanwhile."""
    fill(ledger)
    before = {each["id"] for each in users.listed(ledger).rest(None)}
    reader = users.listed(ledger).rest(None)
    seen = [next(reader)["id"]]

    def write() -> None:
        for number in range(5):
            assert wallet(f"register 98868{number:05}").code == 0

    writer = threading.Thread(target=write)
    writer.start()
    writer.join(60)
    seen += [each["id"] for each in reader]
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


@pytest.mark.parametrize(
    ("style", "ahead"),
    [
        (Style(quiet=True), 1),
        (Style(Format.json), 2),
        (Style(Format.jsonl), 1),
        (Style(Format.csv), 1),
        (Style(), ROWS_A_TABLE),
    ],
    ids=["-q", "json", "jsonl", "csv", "table"],
)
def test_a_long_list_is_printed_as_it_comes(style: Style, ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it takes no more memory than a short one: no row is read long before it is written."""
    read = written = most = 0

    def rows() -> Iterator[dict[str, int]]:
        nonlocal read, most
        for number in range(3 * ROWS_A_TABLE):
            read += 1
            most = max(most, read - written)
            yield {"id": 1_000_000 + number}

    class Out(io.StringIO):
        def write(self, text: str) -> int:
            nonlocal written
            written += len(re.findall("1[0-9]{6}", text))
            return len(text)

    monkeypatch.setattr(sys, "stdout", Out())
    output.render(output.Listing(rows(), ("id",), name="things"), style)
    assert (read, written) == (3 * ROWS_A_TABLE, 3 * ROWS_A_TABLE)
    assert most <= ahead
