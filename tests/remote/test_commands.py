"""The same command lines on a file and from afar leave the same stdout, stderr and exit code.

As a table: a row is a command of the program, and a line of it in terms of a Case. Lines that are right are run in
every output format; those that are refused cover every code that a refusal can have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from remote.place import Both, Case, Place, comparable, same
from remote.proxy import Proxy
from support.cli import Outcome
from support.failures import tree

from wallet_cli.cli import tree as commands
from wallet_cli.import_export import imports
from wallet_cli.remote import imports as imports_afar

PAGE = Path(__file__).parent.parent.parent / "docs" / "remote.md"

# What is done, by command. Each is run in every format.
DONE: tuple[tuple[str, str], ...] = (
    ("register", "register {phone}7"),
    ("register", "register '+44 20 7946 09{user:02}' --name 'Zoë [b]'"),
    ("register", "register {phone} --exist-ok"),
    ("users", "users"),
    ("users", "users --limit 2"),
    ("users", "users --all"),
    ("users", "users --limit 1000 --cursor 1"),
    ("create", "create {phone}/savings"),
    ("create", "create id:{user}/points --currency PTS/0 --minimum-balance -5"),
    ("create", "create {phone} --exist-ok"),
    ("create", "create {phone} --exist-ok --currency INR"),
    ("wallet create", "wallet create {phone}/other --minimum-balance 20"),
    ("list", "list"),
    ("list", "list {phone}"),
    ("list", "list id:{user} --limit 1"),
    ("list", "list --limit 1"),
    ("list", "list --all"),
    ("balance", "balance {phone}"),
    ("balance", "balance id:{user}/spare"),
    ("balance", "balance {phone} --at 2024-04-30"),
    ("balance", "balance {phone} --at 2024-05-01T01"),
    ("balance", "balance {phone} --at 2023"),
    ("balance", "balance w{wallet}"),
    ("limits", "limits {phone}"),
    ("limits", "limits {phone} --minimum-balance -50 --maximum-balance 1000 --daily-debit 20.50"),
    ("limits", "limits {phone} --minimum-balance none"),
    ("freeze", "freeze {phone}"),
    ("unfreeze", "unfreeze {phone}"),
    ("close", "close {phone}/spare"),
    ("tx add", "tx add {phone} 5 --credit"),
    ("tx add", "tx add w{wallet} 5 --credit"),
    ("tx add", "tx add {phone} 5.25 --debit --note 'a b <é>' --key k-1 --meta order=1041 --meta who='Zoë'"),
    ("tx add", "tx add {phone} 1 --credit --at 2025-01-01 --key ' spaced é '"),
    ("tx add", "tx add {phone} 100 --credit --key first --at 2024-04-30T20:00:00Z"),
    ("tx show", "tx show {wallet}-1"),
    ("tx list", "tx list {phone}"),
    ("tx list", "tx list {phone} --limit 1"),
    ("tx list", "tx list w{wallet} --limit 1 --from 2024-04-30"),
    ("tx list", "tx list {phone} --limit 1 --min 5"),
    ("tx list", "tx list {phone} --all"),
    ("tx list", "tx list {phone} --cursor {wallet}-2"),
    ("tx list", "tx list {phone} --from 2024-04-30 --to 2024-05-01T01:29 --kind debit --min 5 --max 10 --text GROC"),
    ("tx list", "tx list {phone} --text ''"),
    ("tx list", "tx list {phone} --key first"),
    ("tx list", "tx list {phone} --key ' first '"),
    ("tx list", "tx list {phone}/spare"),
    ("credit", "credit {phone} 1,000.50 --note salary --key s-1"),
    ("debit", "debit {phone} 5 --key d-1"),
    ("history", "history {phone} --limit 2"),
    ("history", "history --limit 3"),
    ("history", "history --min 5 --max 10 --kind debit"),
    ("history", "history --text GROC --from 2024 --to 2024-05"),
    ("history", "history --text ''"),
    ("find", "find {phone}"),
    ("find", "find groc --limit 1"),
    ("find", "find {phone} -q"),
    ("users", "users --text {phone}"),
    ("use", "use {phone}"),
    ("tx total", "tx total {phone}"),
    ("tx total", "tx total {phone} --from 2024-04 --to 2024-04-30"),
    ("tx reverse", "tx reverse {wallet}-2"),
    ("tx reverse", "tx reverse {wallet}-1 3 --note wrong --key r-1"),
    ("tx reverse", "tx reverse {wallet}-1 --force --meta by=till"),
    ("transfer", "transfer {phone} {phone}/spare 30 --note rent --key t-1 --meta month=4"),
    ("hold add", "hold add {phone} 7.50 --expires 12h --note taxi --key h-1"),
    ("hold add", "hold add {phone} 5 --key hold"),
    ("hold capture", "hold capture {wallet}-h1"),
    ("hold capture", "hold capture {wallet}-h1 2 --keep --note fare --key c-1"),
    ("hold void", "hold void {wallet}-h1"),
    ("hold list", "hold list {phone}"),
    ("hold list", "hold list {phone}/spare --limit 3"),
    ("statement", "statement {phone}"),
    ("statement", "statement {phone} --from 2024-04-30 --to 2024-05"),
    ("statement", "statement {phone} --from 2024-06"),
    ("statement", "statement {phone} --to 2023"),
    ("statement", "statement {phone}/spare"),
    ("chart", "chart {phone}"),
    ("chart", "chart {phone} --by month --from 2024-04-30 --to 2024-05"),
    ("chart", "chart {phone}/spare"),
    ("import", "import lines.jsonl"),
    ("import", "import lines.csv --create"),
    ("import", "import lines.csv --dry-run"),
    ("import", "import good.csv --atomic"),
    ("export", "export"),
    ("export", "export {phone}"),
    ("key create", "key create till-{user}"),
    ("key create", "key create eye-{user} --read-only"),
    ("key list", "key list"),
    ("key revoke", "key revoke afar-2"),
    ("token", "token {phone}"),
    ("token", "token id:{user} --expires 60"),
    ("ledger show", "ledger show"),
    ("ledger set", "ledger set timezone Asia/Kolkata"),
    ("audit", "audit --limit 5"),
    ("audit", "audit {phone}"),
    ("audit", "audit w{wallet} --all"),
    ("audit", "audit {phone}/spare"),
    ("verify", "verify"),
    ("verify", "verify {phone}"),
)
_MORE = [pytest.mark.on_file("the same answers, in other clothes")]
FORMATS = (
    pytest.param("", id="table"),
    pytest.param("-o json", id="json"),
    pytest.param("-o jsonl", id="jsonl", marks=_MORE),
    pytest.param("-o csv", id="csv", marks=_MORE),
    pytest.param("-q", id="quiet", marks=_MORE),
)

# Formats of their own.
DOCUMENTS: tuple[tuple[str, str], ...] = (
    ("statement", "statement {phone} -o html"),
    ("statement", "statement {phone} --from 2024-04-30 --to 2024-05 -o pdf"),
    ("statement", "statement {phone}/spare --from 2024 -o html"),
    ("statement", "statement {phone} --from 2024-06 --to 2024-07 -o html"),
    ("chart", "chart {phone} -o svg"),
    ("export", "export --format hledger"),
    ("export", "export {phone}/main --format beancount"),
    ("export", "export {phone} --format csv"),
)

# What is refused, by code; what has to be done before it stands before it.
REFUSED: tuple[tuple[str, str], ...] = (
    ("invalid_input", "register 12"),
    ("invalid_input", "register abc"),
    ("invalid_input", "users --limit 0"),
    ("invalid_input", "users --limit 99999"),
    ("invalid_input", "users --cursor x"),
    ("invalid_input", "list --cursor ''"),
    ("invalid_input", "create {phone}/x --currency XXX1"),
    ("invalid_input", "create {phone}/x --minimum-balance 1.234"),
    ("invalid_input", "create {phone}/x --currency PTS/0 --minimum-balance 1.5"),
    ("invalid_input", "create {phone}/a.b+c"),
    ("invalid_input", "create {phone}/x --currency HRK"),
    ("invalid_input", "ledger set timezone Mars/Base"),
    ("invalid_input", "ledger set colour red"),
    ("invalid_input", "ledger set minimum_balance 0.005"),
    ("invalid_input", "balance {phone} --at tomorrow"),
    ("invalid_input", "balance nobody-of-that-name"),
    ("invalid_input", "history --cursor 999999-1"),
    ("invalid_input", "history --min 5 --max 4"),
    ("invalid_input", "find ' '"),
    ("invalid_input", "credit {phone} 1,50"),
    ("invalid_input", "credit {phone} 5 --key k --at 7d"),
    ("invalid_input", "balance 123456789012345678901234567890123456789012"),
    ("invalid_input", "limits {phone} --maximum-balance -1"),
    ("invalid_input", "limits {phone} --daily-debit ''"),
    ("invalid_input", "tx add {phone} 0 --credit"),
    ("invalid_input", "tx add {phone} 1e3 --credit"),
    ("invalid_input", "tx add {phone} 1.005 --credit"),
    ("invalid_input", "tx add {phone} 1 --credit --key ''"),
    ("invalid_input", "tx add {phone} 1 --credit --at 2024-13-01"),
    ("invalid_input", "tx add {phone} 1 --credit --meta order"),
    ("invalid_input", "tx list {phone} --kind gift"),
    ("invalid_input", "tx list {phone} --kind ''"),
    ("invalid_input", "tx list {phone} --min 5 --max 4"),
    ("invalid_input", "tx list {phone} --min ''"),
    ("invalid_input", "tx list {phone} --key ''"),
    ("invalid_input", "tx list {phone} --cursor 1"),
    ("invalid_input", "tx list {phone} --cursor 999-1"),
    ("invalid_input", "tx list {phone} --from 2025 --to 2024"),
    ("invalid_input", "tx list {phone} --limit 1001"),
    ("invalid_input", "tx total {phone} --from never"),
    ("invalid_input", "tx reverse {wallet}-1 0"),
    ("invalid_input", "tx reverse 1"),
    ("invalid_input", "transfer {phone} {phone} 1"),
    ("invalid_input", "transfer {phone} {phone}/spare 0.001"),
    ("invalid_input", "hold add {phone} 1 --expires soon"),
    ("invalid_input", "hold capture {wallet}-h1 x"),
    ("invalid_input", "hold void 1"),
    ("invalid_input", "hold list {phone} --limit -1"),
    ("invalid_input", "statement {phone} --from 2025 --to 2024"),
    ("invalid_input", "import empty.csv"),
    ("invalid_input", "import nowhere.csv"),
    ("invalid_input", "import header.csv"),
    ("invalid_input", "import newer.jsonl"),
    ("invalid_input", "key create 'no spaces'"),
    ("invalid_input", "token {phone} --expires 0"),
    ("invalid_input", "token {phone} --expires 525601"),
    ("user_not_found", "balance 9886977544"),
    ("user_not_found", "balance '+91 98869 77544'"),
    ("user_not_found", "balance 77777"),
    ("user_not_found", "create 77777"),
    ("user_not_found", "list 77777"),
    ("user_not_found", "tx add 9886977544 1 --credit"),
    ("user_not_found", "transfer {phone} 77777 1"),
    ("user_not_found", "token 77777"),
    ("user_not_found", "statement 77777"),
    ("user_not_found", "export 77777"),
    ("user_not_found", "verify 77777"),
    ("wallet_not_found", "balance {phone}/none"),
    ("wallet_not_found", "tx list {phone}/none"),
    ("wallet_not_found", "hold add {phone}/none 1"),
    ("wallet_not_found", "freeze {phone}/none"),
    ("wallet_not_found", "statement {phone}/none -o html"),
    ("wallet_not_found", "verify {phone}/none"),
    ("transaction_not_found", "tx show {wallet}-99"),
    ("transaction_not_found", "tx reverse 99999-1"),
    ("hold_not_found", "hold capture {wallet}-h9"),
    ("hold_not_found", "hold void 99999-h1"),
    ("key_not_found", "key revoke nobody"),
    ("insufficient_funds", "tx add {phone} 1000 --debit"),
    ("insufficient_funds", "transfer {phone} {phone}/spare 1000"),
    ("insufficient_funds", "hold add {phone} 1000"),
    ("wallet_not_active", "freeze {phone}; tx add {phone} 1 --debit"),
    ("wallet_not_active", "close {phone}/spare; close {phone}/spare; freeze {phone}/spare"),
    ("wallet_not_empty", "close {phone}"),
    ("limit_exceeded", "limits {phone} --maximum-balance 100; tx add {phone} 11 --credit"),
    ("hold_not_open", "hold void {wallet}-h1; hold void {wallet}-h1"),
    ("capture_exceeds_hold", "hold capture {wallet}-h1 6"),
    ("not_reversible", "tx reverse {wallet}-2; tx reverse {wallet}-3"),
    ("reversal_exceeds_original", "tx reverse {wallet}-2 10.01"),
    ("user_exists", "register {phone}"),
    ("wallet_exists", "create {phone}"),
    ("wallet_exists", "create {phone} --exist-ok --currency USD"),
    ("wallet_exists", "create {phone} --exist-ok --minimum-balance 123.45"),
    ("key_exists", "key create afar"),
    ("key_reused", "tx add {phone} 99 --credit --key first"),
    ("time_conflict", "tx add {phone} 1 --credit --at 2020"),
)

# What is refused from afar, with nothing asked, as docs/remote.md says: a line of it.
THERE_ALONE: dict[str, str] = {
    "backup": "backup copy.db",
    "restore": "restore copy.db",
    "init": "init",
    "move": "move --to new.db",
    "seal": "seal -",
    "receipt": "receipt 1-1",
    "verify --against": "verify --against seal.json",
    "verify --receipt": "verify --receipt receipt.json",
    "serve": "serve",
    "credit --reset-time": "credit 1 1 --reset-time",
    "tx add --reset-time": "tx add 1 1 --credit --reset-time",
}

# Not of one ledger, or tested in test_troubles.py.
ELSEWHERE = {
    *("demo", "doctor", "mcp", "help", "commands", "completion"),
    *(f"config {word}" for word in ("path", "show", "get", "set", "unset", "edit")),
}

FILES = {
    "lines.jsonl": (
        '{"wallet": "{phone}", "amount": 5.10, "kind": "credit", "note": "Zoë", "meta": {"a": [1, {"b": null}]}}\n'
        "\n"
        '{"wallet": "{phone}", "amount": "2.00", "kind": "debit", "key": "own"}\n'
        '{"wallet": "{phone}", "amount": 1.005, "kind": "credit"}\n'
        '{"wallet": "{phone}", "amount": 1, "kind": "credit", "meta": {"a": 0.5}}\n'
        "not JSON\n"
        '{"record": "user", "phone_number": "9886411111", "name": "Ravi \\ud800"}\n'
        '{"record": "user", "phone_number": "9886411111", "name": "Ravi"}\n'
        '{"record": "wallet", "wallet": "9886411111/jar", "currency": "PTS/0", "minimum_balance": 2}\n'
        '{"wallet": "9886411111/jar", "amount": "7", "kind": "credit", "note": "{phone}"}\n'
        '{"wallet": "9886411112", "amount": "7", "kind": "credit"}\n'
        '{"wallet": "{phone}", "amount": "1", "kind": "credit", "at": 20200101}\n'
        '{"wallet": "{phone}", "amount": "1", "kind": "credit", "at": "soon"}\n'
    ),
    "lines.csv": (
        "wallet,amount,kind,note,meta,at\n"
        '{phone},5.00,credit,"two\nlines",,\n'
        '{phone}/new,7,credit,,"{""x"": 1}",2025-04-01T10:00\n'
        "{phone},1,gift,,,\n"
        "{phone},1,credit\n"
        "{phone},999999,debit,,,\n"
    ),
    "good.csv": "wallet,amount,kind\n{phone},5,credit\n{phone},1.50,debit\n",
    "bad.csv": "wallet,amount,kind\n{phone},5,credit\n{phone},1.50,debit\n{phone},abc,debit\n",
    "empty.csv": "",
    "header.csv": "a,b\n",
    "newer.jsonl": '{"record": "ledger", "version": 99}\n',
    "cut.jsonl": '{"record": "ledger", "version": 1}\n',
}

IN_TONGA = {"WALLET_TIMEZONE": "Pacific/Tongatapu"}
"""The time zone of who asks counts for nothing: days and times are the ledger's, from here and from afar."""


def ask(place: Place, line: str, environ: Mapping[str, str] = IN_TONGA, *, changes: bool = True) -> Both:
    """Run a line in both ways. What changes something has a case that no other test knows."""
    changes = changes or ";" in line
    case = place.case() if changes else place.unchanged
    *before, line = line.split("; ")
    if line.startswith("import"):
        for name, text in FILES.items():
            Path(name).write_text(text.replace("{phone}", case.phone), "utf-8")
    for each in before:
        done = place.from_afar(case.fill(each))
        assert done.code == 0, done.err
    return place.both(case.fill(line), environ, changes=changes)


def test_the_table_has_every_command() -> None:
    """A command that is added has to be shown to do from afar what it does on a file."""
    there_alone = {command for command in THERE_ALONE if " --" not in command}
    done = {command for command, _ in DONE}
    assert not done & there_alone
    assert done | there_alone | ELSEWHERE == set(dict(commands.each()))


def test_the_page_says_what_is_done_where_the_ledger_is() -> None:
    page = PAGE.read_text("utf-8")
    _, _, section = page.partition("## What is done where the ledger is\n")
    rows = re.findall(r"^\| (`.*`) \| .* \|$", section, re.MULTILINE)
    assert sorted(re.findall(r"`([^`]+)`", " ".join(rows))) == sorted(THERE_ALONE)
    rest = section.rpartition("|\n")[2]
    assert {command.split()[0] for command in ELSEWHERE} == set(re.findall(r"`([^`]+)`", rest))


@pytest.mark.on_file("refused before anything is asked")
@pytest.mark.parametrize("line", [*THERE_ALONE.values(), "seal --public"])
def test_what_is_done_where_the_ledger_is_asks_nothing(place: Place, line: str) -> None:
    with Proxy(place.server.address) as proxy:
        done = place.from_afar([*line.split(), "--json"], {"WALLET_DB": proxy.url})
        assert not proxy.requests
    assert (done.code, done.out, done.error["code"]) == (2, "", "invalid_input"), done.err
    assert not done.error["message"].startswith(("No such ", "Missing "))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("command", "line"), DONE)
def test_what_is_done_is_the_same(place: Place, command: str, line: str, form: str) -> None:
    form = form.replace("-o jsonl", "--format jsonl") if line.startswith("export") else form
    done = same(ask(place, f"{line} {form}", changes=bool(commands.command_of(command).done)))
    refuses_lines = line.startswith("import lines")
    assert done.code == (4 if refuses_lines else 3 if "afar-2" in line else 0), done.err


@pytest.mark.parametrize("line", [line for _, line in DOCUMENTS])
def test_documents_are_the_same(place: Place, line: str) -> None:
    assert same(ask(place, line, changes=False)).code == 0


@pytest.mark.parametrize("form", [pytest.param("", id="table", marks=_MORE), pytest.param("--json", id="json")])
@pytest.mark.parametrize(("code", "line"), REFUSED)
def test_what_is_refused_is_the_same(place: Place, code: str, line: str, form: str) -> None:
    done = same(ask(place, f"{line} {form}", changes=line.startswith("import")))
    assert done.code == exit_code_of(code)
    if form:
        told = json.loads(done.err.splitlines()[-1])
        assert told["error"]["code"] == code
        assert done.out == "" or line.startswith("import")


def exit_code_of(code: str) -> int:
    return next(each.exit_code for each in tree() if each.code == code)


OF_LINES = {"restore_conflict"}
"""Those that only a line of an import has."""

ALONE = {"balance_overflow"}
"""Those with a test of their own."""

NO_REFUSAL = {
    "unauthenticated",
    "forbidden",
    "busy",
    "storage_error",
    "ledger_moved",
    "ledger_not_found",
    "internal_error",
    "interrupted",
}
"""Those of the callers, and of what may happen to a whole ledger: test_troubles.py and test_connection.py have them."""


def test_the_table_has_every_code() -> None:
    assert {code for code, _ in REFUSED} | OF_LINES | ALONE | NO_REFUSAL == {each.code for each in tree()}


@pytest.mark.parametrize("form", ["", "--json"], ids=["table", "json"])
def test_an_export_that_is_cut_short_is_the_same(place: Place, form: str) -> None:
    done = same(ask(place, f"import cut.jsonl {form}"))
    assert done.code == 4
    assert "restore_conflict" in done.err


def test_a_total_that_overflows_is_the_same(place: Place) -> None:
    case = place.case()
    assert place.from_afar(case.fill("create {phone}/points --currency PTS/0")).code == 0
    wallet = place.from_afar(case.fill("balance {phone}/points --json")).json["id"]
    item = {"user_id": case.user, "wallet_id": wallet, "amount": 10**15, "is_credit": True}
    assert place.api.post("/transactions/batch", json={"transactions": [item] * 9000}).status_code == 200
    done = same(place.both(case.fill("tx add {phone}/points 1 --credit --json")))
    assert done.error["code"] == "balance_overflow"


def test_rejects_are_the_same(place: Place) -> None:
    outcomes = []
    for where in (place.on_file, place.from_afar):
        case = place.case()
        Path("lines.jsonl").write_text(FILES["lines.jsonl"].replace("{phone}", case.phone), "utf-8")
        place.refresh()
        done = where(["import", "lines.jsonl", "--rejects", "rejects.jsonl", "--json"], IN_TONGA)
        rejects = [json.loads(line) for line in Path("rejects.jsonl").read_text("utf-8").splitlines()]
        outcomes.append((done.code, done.err, [(each["line"], each["code"], each["hint"]) for each in rejects]))
    assert outcomes[0] == outcomes[1]
    assert [line for line, *_ in outcomes[0][2]] == [4, 5, 6, 7, 11, 12, 13]


def test_the_settings_of_whoever_asks_rule(place: Place) -> None:
    """A phone region and a currency that were chosen here; where nobody did, the server's."""
    case = place.case()
    chosen = {"WALLET_PHONE_REGION": "GB", "WALLET_CURRENCY": "PTS/0"}
    number = f"20 7946 {case.user:04}"
    for line in (["register", number], ["create", f"{case.phone}/mine"], ["balance", "2079460000"]):
        same(place.both(line, chosen))
    made = place.from_afar(["create", f"{number}/mine", "--json"], chosen)
    assert made.json["currency"] == "PTS/0"
    assert place.from_afar(["balance", number]).code == 3


@pytest.mark.parametrize("wrong", [{"WALLET_PHONE_REGION": "XX"}, {"WALLET_CURRENCY": "x"}])
def test_wrong_settings_are_told_in_the_same_words(place: Place, wrong: dict[str, str]) -> None:
    case = place.case()
    lines = (["register", "9886499999"], ["create", f"{case.phone}/m"], ["tx", "list", case.phone, "--from", "2024"])
    outcomes = [same(place.both(line, wrong)).code for line in lines]
    assert 2 in outcomes


def test_lists_of_many_pages_are_streamed_whole(place: Place) -> None:
    case = place.case()
    items = [{"user_id": case.user, "wallet_id": case.wallet, "amount": 1, "is_credit": True}] * 2500
    assert place.api.post("/transactions/batch", json={"transactions": items}).status_code == 200
    for line in ("tx list {phone} -o jsonl", "tx list {phone} -o csv --text ''", "statement {phone} -o jsonl"):
        same(place.both(case.fill(line)))
    listed = place.from_afar(case.fill("tx list {phone} -q -o jsonl")).out.split()
    assert listed == [f"{case.wallet}-{seq}" for seq in range(2502, 0, -1)]


@pytest.mark.parametrize("name", ["{phone}", "{phone}/main", "id:{user}", "id:{user}/main", "w{wallet}"])
@pytest.mark.parametrize(
    "line",
    [
        *("tx add NAME 500 --debit", "hold add NAME 500", "transfer NAME {phone}/spare 500", "transfer NAME NAME 1"),
        *("transfer {phone}/spare NAME 500", "close NAME", "verify w99999", "balance w99999"),
    ],
)
def test_a_refusal_names_the_wallet_as_it_was_asked_for(place: Place, line: str, name: str) -> None:
    case = place.case()
    done = same(place.both(case.fill(line.replace("NAME", name))))
    named = line.split(" 500")[0].split()[1 if line.startswith("transfer") else -1]
    assert f" wallet {case.fill(named.replace('NAME', name))[0]}" in f" {done.err.replace('error: ', '')}"


def test_an_export_comes_back_the_same_from_afar(place: Place) -> None:
    """Out from afar, into an empty file; and what came from afar twice changes nothing."""
    place.case()
    exported = place.from_afar(["export"])
    Path("ledger.jsonl").write_text(exported.out, "ascii")
    again = place.from_afar(["import", "ledger.jsonl", "--json"])
    assert (again.code, again.json["applied"], again.json["refused"]) == (0, 0, 0)
    assert place.from_afar(["export"]).out == exported.out


def test_demo_and_config_show_are_of_here(place: Place) -> None:
    """The story plays on a ledger of its own, whatever the settings say; and the token is covered."""
    varies = re.compile(r"wallet-demo-\w+")
    played = [varies.sub("", str(comparable(way(["demo"])))) for way in (place.from_afar, place.on_file)]
    assert played[0] == played[1]
    shown = place.from_afar(["config", "show", "-o", "csv"])
    assert place.key not in shown.out
    assert 'token,"(set, not shown)",WALLET_TOKEN' in shown.out


OF_SEALS = ["seal", "receipt 1-1", "verify --against november.seal"]


@pytest.mark.parametrize(
    "line", ["serve --port 0", "move --to other.db", "backup copy.db", "restore copy.db", *OF_SEALS]
)
def test_what_needs_the_ledger_itself_says_so(place: Place, line: str) -> None:
    done = place.from_afar(line.split())
    assert (done.code, done.out) == (2, "")
    assert "error: " in done.err


SAVED = "Tag;Betrag;Text\n03.01.2024;-1,50;Tee\n02.01.2024;1.000,00;Lohn\n02.01.2024;1.000,00;Lohn\n"


def test_a_banks_file_saved_again_is_read_the_same_and_told(place: Place) -> None:
    outcomes = []
    for where in (place.on_file, place.from_afar):
        case = place.case()
        place.refresh()
        written = ["--map", "Tag=at,Betrag=signed_amount,Text=note", "--decimal", ",", "--dates", "dmy"]
        written += ["--wallet", f"{case.phone}/bank"]
        Path("bank.csv").write_text(SAVED, "utf-8")
        Path("again.csv").write_text(SAVED.replace("\n", "\r\n"), "utf-16")
        Path("timeless.csv").write_text(f"wallet,amount,kind\n{case.phone}/bank,7,credit\n")
        Path("timeless again.csv").write_text(f"kind;amount;wallet\ncredit;7.00;{case.phone}/bank\n")
        two = f"wallet,amount,kind\n{case.phone}/bank,8,credit\n{case.phone[:4]} {case.phone[4:]}/bank,9,credit\n"
        Path("two spellings.csv").write_text(two)
        Path("two spellings again.csv").write_text(two + f"{case.phone}/bank,1,credit\n")
        done = [where(["create", f"{case.phone}/bank", "-q"], IN_TONGA).code]
        for file, *more in (
            ("bank.csv",),
            ("again.csv",),
            ("again.csv", "--duplicates", "skip"),
            ("again.csv", "--dry-run"),
            ("bank.csv",),
        ):
            ran = where(["import", file, *written, *more, "--json"], IN_TONGA)
            done.append((ran.code, ran.out, ran.err))
        for file in ("timeless.csv", "timeless again.csv", "two spellings.csv", "two spellings again.csv"):
            ran = where(["import", file, "--json"], IN_TONGA)
            done.append((ran.code, ran.out, ran.err.replace(case.phone, "PHONE")))
        outcomes.append(done)
    assert outcomes[0] == outcomes[1]
    codes = [code if isinstance(code, int) else code[0] for code in outcomes[0]]
    assert codes == [0, 0, 2, 0, 2, 0, 0, 2, 0, 2]


@pytest.mark.parametrize("at_once", [1, 5000])
def test_what_others_import_after_the_look_is_told_the_same(
    place: Place, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And their other lines hinder nothing, whatever parts the file is sent in."""
    monkeypatch.setattr("wallet_cli.import_export.imports.BATCH_LINES", at_once)
    monkeypatch.setattr("wallet_cli.remote.imports.PART_LINES", at_once)
    outcomes = []
    for where, looking in ((place.on_file, imports), (place.from_afar, imports_afar)):
        case = place.case()
        place.refresh()

        def during(mine: str, others: str, where: Any = where, looking: Any = looking, case: Case = case) -> Outcome:
            for name, notes in (("mine.csv", mine), ("others.csv", others)):
                lines = "".join(f"{case.phone},5,credit,{note}\n" for note in notes)
                Path(name).write_text(f"wallet,amount,kind,note\n{lines}")

            def and_others(*given: Any) -> Any:
                patch.undo()
                looked = look(*given)
                assert where(["import", "others.csv", "-q"]).out == f"{len(others)}\n"
                return looked

            look = looking.look
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(looking, "look", and_others)
                return where(["import", "mine.csv", "--duplicates", "skip", "--json"], {"WALLET_LOCK_TIMEOUT": "0"})

        ran = [during("abc", "xy"), during("def", "f")]
        ran.append(where(["import", "mine.csv", "--duplicates", "skip", "--json"]))
        outcomes.append([(each.code, each.out, each.err.replace(case.phone, "PHONE")) for each in ran])
    assert outcomes[0] == outcomes[1]
    assert [code for code, *_ in outcomes[0]] == [0, 6, 2]
