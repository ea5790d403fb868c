"""What may be completed: from the tree of commands, and from the ledger, which stays as it is."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import engines
from support.cli import Outcome
from support.engines import Address, Engine
from support.server import Server

from wallet_cli.cli import completing, schemas, tree
from wallet_cli.cli.command import built
from wallet_cli.cli.completing import Line, for_bash, read_line
from wallet_cli.cli.help_text import choices_of, value_name

LEDGER = (
    "register 9886977544 --name Asha",
    "register '+44 20 7946 0018' --name 'Ravi Rao'",
    "create 9886977544",
    "create 9886977544/savings",
    "create 2 --currency EUR",
    "tx add 1 5 --credit --key order-1 --note Tea",
    "tx add 1 6 --credit --key order-2",
    "tx add w3 7 --credit",
    "hold add 1 2 --note Taxi",
    "hold add 1 3",
    "hold void 1-h2",
    "key create till",
    "key create old",
    "key revoke old",
)


@pytest.fixture
def shop(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Address:
    address = engine.copy("completion", LEDGER, tmp_path)
    monkeypatch.setenv("WALLET_DB", str(address))
    return address


def words(*typed: str) -> list[str]:
    """What may stand in the place of the last word."""
    answer = completing.answer("fish", typed)
    kind, *found = answer.splitlines()
    return [kind] if kind == "files" else [line.split("\t")[0] for line in found]


OF_THE_TREE: tuple[tuple[tuple[str, ...], list[str]], ...] = (
    (("ba",), ["balance", "backup"]),
    (("tx", "re"), ["reverse"]),
    (("wallet", ""), ["create"]),
    (("nonsense", ""), []),
    (("tx", "nonsense", ""), []),
    (("--d",), ["--db"]),
    (("--db", "x", "bal"), ["balance"]),
    (("--db=x", "bal"), ["balance"]),
    (("--db", ""), ["files"]),
    (("tx", "add", "1", "5", "--cr"), ["--credit"]),
    (("tx", "add", "1", "5", "--credit", "--cr"), []),
    (("tx", "add", "1", "5", "--meta", "a=b", "--me"), ["--meta"]),
    (("tx", "list", "1", "-o", "js"), ["json", "jsonl"]),
    (("tx", "list", "1", "-ojson", "--output=cs"), ["--output=csv"]),
    (("tx", "list", "1", "--kind", "cr"), ["credit"]),
    (("statement", "1", "--output", "p"), ["pdf"]),
    (("import", ""), ["files"]),
    (("import", "x", "--dates", ""), ["dmy", "mdy"]),
    (("backup", ""), ["files"]),
    (("help", "mo"), ["move", "money"]),
    (("help", "tx", "a"), ["add"]),
    (("completion", ""), ["bash", "zsh", "fish"]),
    (("ledger", "set", "t"), ["timezone"]),
    (("config", "get", "min"), ["minimum_balance"]),
    (("tx", "add", "1", "--", "-"), []),
    (("tx", "add", "1", "5", "more", ""), []),
)


@pytest.mark.parametrize(("typed", "expected"), OF_THE_TREE, ids=lambda value: " ".join(value))
def test_words_of_the_program(typed: tuple[str, ...], expected: list[str]) -> None:
    """With no ledger: nothing of these is asked of it."""
    assert sorted(words(*typed)) == sorted(expected)


OF_THE_LEDGER: tuple[tuple[tuple[str, ...], list[str]], ...] = (
    (("balance", ""), ["9886977544", "9886977544/savings", "+442079460018"]),
    (("balance", "98"), ["9886977544", "9886977544/savings"]),
    (("balance", "9886977544/"), ["9886977544/main", "9886977544/savings"]),
    (("balance", "1"), ["1", "1/savings"]),
    (("balance", "1/s"), ["1/savings"]),
    (("balance", "id:2"), ["id:2"]),
    (("balance", "+4"), ["+442079460018"]),
    (("balance", "w"), ["w1", "w2", "w3"]),
    (("balance", "w3"), ["w3"]),
    (("balance", "7"), []),
    (("transfer", "1", "9"), ["9886977544", "9886977544/savings"]),
    (("import", "x", "--wallet", "2"), ["2"]),
    (("create", "9"), ["9886977544"]),
    (("create", "2/"), ["2/savings"]),
    (("token", ""), ["9886977544", "+442079460018"]),
    (("hold", "void", ""), ["1-h1"]),
    (("hold", "capture", "1-"), ["1-h1"]),
    (("tx", "show", ""), ["1-2", "1-1", "3-1"]),
    (("tx", "reverse", "1"), ["1-2", "1-1"]),
    (("tx", "reverse", "1-"), ["1-2", "1-1"]),
    (("tx", "list", "1", "--key", "o"), ["order-1", "order-2"]),
    (("tx", "list", "9886977544/main", "--key=order-2"), ["--key=order-2"]),
    (("key", "revoke", ""), ["till"]),
    (("key", "create", ""), []),
    (("create", "2", "--currency", ""), ["EUR", "INR"]),
)


@pytest.mark.parametrize(("typed", "expected"), OF_THE_LEDGER, ids=lambda value: " ".join(value))
@pytest.mark.usefixtures("shop")
def test_words_of_the_ledger(typed: tuple[str, ...], expected: list[str]) -> None:
    assert words(*typed) == expected


@pytest.mark.usefixtures("shop")
def test_a_word_comes_with_what_it_is() -> None:
    assert completing.answer("zsh", ["balance", "98"]).splitlines() == [
        "words",
        "9886977544\tAsha INR",
        "9886977544/savings\tAsha INR",
    ]
    assert "Asha\t9886977544 INR\n" in completing.answer("fish", ["balance", "As"])
    assert "Asha\t9886977544\n" in completing.answer("fish", ["audit", "As"])
    assert "9886977544/savings\tAsha INR\n" in completing.answer("fish", ["audit", "9886977544/"])
    assert "1-h1\tTaxi\n" in completing.answer("fish", ["hold", "void", ""])


@pytest.mark.on_file("the flag names a file")
def test_the_ledger_of_the_line_is_asked(shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WALLET_DB", str(tmp_path / "none.db"))
    assert words("--db", str(shop), "balance", "98") == ["9886977544", "9886977544/savings"]
    assert words(f"--db={shop}", "balance", "w3") == ["w3"]


NO_WORDS = {
    *("PHONE", "AMOUNT", "TIME", "K=V", "N", "C", "TEXT", "VALUE", "COLUMN=FIELD", "MINUTES", "H", "P", "A", "EXPR"),
    *("H,D,M", "REGION", "ZONE", "TYPE"),
}
"""What nobody but who types it knows."""

KNOWN = {"WALLET", "FROM", "TO", "USER", "WHOSE", "HOLD", "ID", "FILE", "FOLDER", "DB", "SEAL", "WHAT", "KEY"}
NAMES = {"register": False, "init": False, "key create": False, "key revoke": True, "import": True}
"""Where NAME stands, and whether there are some that can be known."""


def test_each_parameter_is_completed_or_has_nothing_to_complete() -> None:
    lacking = []
    for name, command in tree.each():
        for param in built(command, name.rpartition(" ")[2]).params:
            if getattr(param, "is_flag", False) or choices_of(param):
                continue
            kind = value_name(param)
            if kind == "NAME" and (name in NAMES or name.startswith("config ")):
                continue
            if kind not in NO_WORDS | KNOWN:
                lacking.append((name, param.name, kind))
    assert lacking == []


# What a look leaves behind


def files_in(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def completed(*typed: str, environ: dict[str, str] | None = None, folder: Path | None = None) -> Outcome:
    """In a process of its own, as a shell runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "wallet_cli", *typed],
        env={**os.environ, "_WALLET_COMPLETE": "fish", completing.LONGER: "60", **(environ or {})},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.on_file("files are looked at")
def test_a_look_changes_no_file(shop: Path, tmp_path: Path) -> None:
    before = files_in(tmp_path)
    assert "9886977544" in completed("balance", "").out
    assert files_in(tmp_path) == before


@pytest.mark.on_file("files are looked at")
def test_what_is_only_in_the_log_is_found_and_stays_there(shop: Path, tmp_path: Path) -> None:
    with engines.opened(shop) as ledger:
        ledger.store.connection.execute("PRAGMA wal_autocheckpoint = 0")
        ledger.store.connection.execute("UPDATE users SET name = 'Zoë' WHERE id = 1")
        before = files_in(tmp_path)
        assert any(name.endswith("-wal") for name in before)
        assert "\tZoë INR\n" in completed("balance", "98").out
        after = files_in(tmp_path)
        assert {name: each[0] for name, each in after.items() if not name.endswith("-shm")} == {
            name: each[0] for name, each in before.items() if not name.endswith("-shm")
        }


@pytest.mark.on_file("files are looked at")
@pytest.mark.parametrize("content", [None, b"", b"no ledger" * 1000], ids=["none", "empty", "other"])
def test_what_is_no_ledger_is_passed_over_in_silence(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    if content is not None:
        path.write_bytes(content)
    before = files_in(tmp_path)
    assert completed("--db", str(path), "balance", "") == (0, "", "")
    assert files_in(tmp_path) == before


def test_wrong_settings_are_passed_over_in_silence(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("no TOML = = =")
    assert completed("balance", "", environ={"WALLET_CONFIG": str(config)}) == (0, "", "")


@pytest.mark.on_file("the config file alone is read")
def test_what_can_be_unset_is_a_ledger_too(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[ledgers.till]\ndb = 'till.db'\n")
    of_ledgers = {"get": ["ledgers.till.db"], "unset": ["ledgers.till", "ledgers.till.db"]}
    for name, words_ in of_ledgers.items():
        code, told, _ = completed("config", name, "ledgers", environ={"WALLET_CONFIG": str(config)})
        assert (code, sorted(line.partition("\t")[0] for line in told.splitlines()[1:])) == (0, words_)


@pytest.mark.parametrize("shell", ["", "tcsh", "complete_bash", "bash_source"])
def test_another_protocol_is_answered_with_nothing(shell: str) -> None:
    """As that of a script that an older version installed."""
    assert completed("register", "9886977544", environ={"_WALLET_COMPLETE": shell}) == (0, "", "")


# On another machine


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("completed")) as server:
        for line in LEDGER:
            assert server.wallet(line).code == 0
        yield server


@pytest.mark.on_file("a server on a file")
def test_a_server_is_asked(server: Server, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLET_TOKEN", server.key("completing"))
    monkeypatch.setattr("wallet_cli.remote.glimpse.LONGEST_S", 60.0)
    host, port = server.address
    monkeypatch.setenv("WALLET_DB", f"http://{host}:{port}")
    assert words("balance", "") == ["+919886977544", "+919886977544/savings", "+442079460018"]
    assert words("balance", "1/s") == ["1/savings"]
    assert words("balance", "w3") == ["w3"]
    assert words("token", "+44") == ["+442079460018"]
    assert "completing" in words("key", "revoke", "")
    assert words("create", "2", "--currency", "") == ["EUR", "INR"]
    assert words("hold", "void", "") == []
    # By digits, as here: of the ledger's region, which this machine need not have.
    assert words("balance", "98") == ["9886977544", "9886977544/savings"]
    assert words("balance", "9886977544/s") == ["9886977544/savings"]
    assert words("token", "20") == []
    monkeypatch.setenv("WALLET_PHONE_REGION", "GB")
    assert words("token", "20") == ["2079460018"]
    assert words("balance", "98") == []


@pytest.mark.on_file("a server on a file")
def test_a_server_that_refuses_is_passed_over_in_silence(server: Server, engine: Engine) -> None:
    host, port = server.address
    wrong = {"WALLET_DB": f"http://{host}:{port}", "WALLET_TOKEN": "wk_wrong"}
    assert completed("balance", "", environ=wrong) == (0, "", "")


def test_a_server_that_is_slow_is_not_waited_for() -> None:
    """It accepts, and never answers; the test would not end if somebody waited for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert completed("balance", "", environ={"WALLET_DB": url, "WALLET_TOKEN": "wk_x"}) == (0, "", "")
        limit = str(completing.LONGEST_S)
        assert completed("balance", "", environ={"WALLET_DB": url, completing.LONGER: limit}) == (0, "", "")


def test_no_token_goes_over_an_open_line() -> None:
    from wallet_cli import settings
    from wallet_cli.remote.glimpse import RemoteLook

    chosen = settings.load({"db": "http://example.org"}, {"WALLET_TOKEN": "wk_x", "WALLET_DB": "http://example.org"})
    with pytest.raises(ValueError, match="in the clear"):
        RemoteLook(chosen).users("")


# As bash has it

BREAKS = "\"'><=;|&(:"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wallet ", Line([], "")),
        ("wallet bal", Line([], "bal")),
        ("  wallet  tx   add 1 ", Line(["tx", "add", "1"], "")),
        ("wallet balance 'As", Line(["balance"], "As", 0, "'")),
        ('wallet balance "Asha R', Line(["balance"], "Asha R", 0, '"')),
        ("wallet balance Asha\\ R", Line(["balance"], "Asha R")),
        ("wallet balance id:1", Line(["balance"], "id:1", 3)),
        ("wallet balance 'id:1", Line(["balance"], "id:1", 0, "'")),
        ("wallet tx list 1 --output=js", Line(["tx", "list", "1"], "--output=js", 9)),
        ("wallet tx list 1 --key='a b", Line(["tx", "list", "1"], "--key=a b", 6, "'")),
        ("wallet tx add 1 5 --note '' --", Line(["tx", "add", "1", "5", "--note", ""], "--")),
        ('wallet x "a\\"b" ', Line(["x", 'a"b'], "")),
        ("wallet x $(y", Line(["x"], "$(y", 2)),
        ("wallet x \\", Line(["x"], "")),
    ],
)
def test_a_line_is_read_as_bash_reads_it(text: str, expected: Line) -> None:
    assert read_line(text, BREAKS) == expected


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("balance", Line([], "bal"), "balance"),
        ("Asha Rao", Line([], "As"), "Asha\\ Rao"),
        ("Asha Rao", Line([], "As", 0, "'"), "Asha Rao"),
        ("O'Neil", Line([], "O", 0, '"'), None),
        ("$(rm)", Line([], ""), "\\$\\(rm\\)"),
        ("a`b`;c", Line([], ""), "a\\`b\\`\\;c"),
        ("~x", Line([], ""), "\\~x"),
        ("id:12", Line([], "id:1", 3), "12"),
        ("--output=json", Line([], "--output=js", 9), "json"),
        ("Zoë", Line([], "Zo"), "Zoë"),
        ("आशा शर्मा", Line([], "आ"), "आशा\\ शर्मा"),
        ("आशा शर्मा", Line([], "आशा ", 0, "'"), "आशा शर्मा"),
        ("e\u0301“x” 👍", Line([], "e"), "e\u0301“x”\\ 👍"),
        ("e\u0301“x” 👍", Line([], "e", 0, '"'), "e\u0301“x” 👍"),
        ("शर्मा`x`", Line([], "श", 0, '"'), None),
    ],
)
def test_a_word_is_written_as_bash_needs_it(text: str, line: Line, expected: str | None) -> None:
    assert for_bash(text, line) == expected


def test_what_a_terminal_should_not_get_is_left_out() -> None:
    bad = ["a\nb", "a\x1b[31m", "a\tb", "a\u202eb"]
    found = completing._fitting([completing.Word(each) for each in [*bad, "ab"]], "a")
    assert [word.text for word in found] == ["ab"]
    (word,) = completing._fitting([completing.Word("ab", "x\x1b[0m")], "a")
    assert word.about == ""


def test_only_answers_are_completed_with_a_command() -> None:
    """The scripts that an install puts in place are those that `wallet completion` prints."""
    import tomllib

    from wallet_cli.cli.completion import FOLDER, SCRIPTS

    root = Path(__file__).parents[2]
    data = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    shared = {source: target for source, target in data["shared-data"].items() if "completion" in source}
    assert {Path(source).name for source in shared} == set(SCRIPTS.values())
    for source in shared:
        assert (root / source).read_bytes() == (FOLDER / Path(source).name).read_bytes()
    assert set(shared.values()) == {
        "share/bash-completion/completions/wallet",
        "share/zsh/site-functions/_wallet",
        "share/fish/vendor_completions.d/wallet.fish",
    }
    assert not re.search(r"\beval\b", "".join((FOLDER / name).read_text() for name in SCRIPTS.values()))
    assert "completion" in schemas.NO_JSON


def test_completion_does_not_import_what_is_slow(shop: Address, run_python: Callable[[str], str]) -> None:
    slow = ["rich", "sqlmodel", "sqlalchemy", "httpx", "alembic", "phonenumbers", "babel"]
    program = (
        "import sys; from wallet_cli.cli import completing;"
        "assert '9886977544' in completing.answer('fish', ['balance', '98']);"
        f"print([name for name in {slow} if name in sys.modules])"
    )
    assert run_python(program) == "[]\n"


@pytest.fixture
def run_python() -> Callable[[str], str]:
    def run(program: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
        ).stdout

    return run
