"""Seals find what `verify` cannot; receipts are checked by the lines of docs/seals.md alone."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from support import cli
from support.engines import Address, Engine, execute

Run = Callable[[str], cli.Outcome]

PAGE = Path(__file__).parent.parent.parent / "docs" / "seals.md"
LINES = (
    "register 9886977544 --name Asha",
    "register 9886977545",
    "create 1",
    "create 2/points --currency PTS/0",
    "key create till",
    "key create gone",
    "key revoke gone",
    *("tx add 1 500 --credit", "tx add 1 20 --debit --note tea", "tx add 1 30 --debit --key k"),
    *("tx add 2/points 5 --credit", "tx reverse 1-2", "hold add 1 5"),
)


@pytest.fixture
def shop(wallet: Run, db: Address, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("WALLET_DB", str(engine.copy("sealed", LINES, tmp_path)))
    return wallet


@pytest.fixture
def checker(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The lines of the page, as a program of somebody else's."""
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "check.py").write_text(lines)

    def check(receipt: str, key: str, ledger: str | None = None) -> subprocess.CompletedProcess[str]:
        ledger = ledger_id() if ledger is None else ledger
        line = [sys.executable, "-I", tmp_path / "check.py", receipt, key, ledger]
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)

    return check


def ledger_id() -> str:
    return str(cli.run("ledger show --json").json["id"])


def sealed(run: Run, name: str = "a.seal") -> dict[str, Any]:
    done = run(f"seal {name} --json")
    assert done.code == 0, done
    return dict(done.json)


def test_a_seal_counts_what_it_stands_for(shop: Run, tmp_path: Path) -> None:
    head = sealed(shop)
    counts = [head[name] for name in ("users", "wallets", "keys", "transactions")]
    assert (counts, len(head["root"])) == ([2, 2, 2, 5], 64)
    assert stat.S_IMODE((tmp_path / "a.seal").stat().st_mode) == 0o600
    assert shop("seal --public -q").out.strip() == head["public_key"]
    assert shop("seal -q").out.strip() == head["root"]  # nothing has happened since
    assert shop("verify --against a.seal --json").json["transactions"] == 5
    assert shop("seal a.seal").code == 2  # a seal is not written over


def test_what_comes_later_is_no_fault(shop: Run) -> None:
    sealed(shop)
    later = ("register 9886977546", "create 3", "tx add 1 5 --credit", "limits 1 --daily-debit 5", "freeze 2/points")
    for line in (*later, "key revoke till", "key create other", "ledger set phone_region SG"):
        assert shop(line).code == 0
    assert shop("verify --against a.seal").code == 0


CHANGES = {
    "a number": "UPDATE users SET phone_number = '9886977549' WHERE id = 1",
    "a name": "UPDATE users SET name = 'Other' WHERE id = 1",
    "digits within a region": "UPDATE users SET phone_national = '9886977500' WHERE id = 1",
    "the key of a registration": "UPDATE users SET key = 'x' WHERE id = 1",
    "a hold": "UPDATE holds SET created_at_us = created_at_us - 1 WHERE number = 1",
    "a revoked key revived": "UPDATE operators SET revoked_at_us = NULL WHERE name = 'gone'",
    "a key": "UPDATE operators SET key_hash = {} WHERE name = 'till'",
    "a key taken away": "DELETE FROM operators WHERE name = 'till'",
    "rights of a key": "UPDATE operators SET read_only = 1 WHERE name = 'till'",
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_found_by_the_seal_alone(shop: Run, name: str, db: Address) -> None:
    sealed(shop)
    other = "decode(repeat('11', 32), 'hex')" if isinstance(db, str) else "zeroblob(32)"
    address: Address = os.environ["WALLET_DB"] if isinstance(db, str) else Path(os.environ["WALLET_DB"])
    execute(address, CHANGES[name].format(other))
    if isinstance(db, str):
        assert shop("verify").code == 0  # nothing shows it but the seal
    done = shop("verify --against a.seal --json")
    assert done.code == 7, done
    assert "sealed at" in done.error["message"] or not isinstance(db, str)


@pytest.mark.on_file("the ledger of an earlier day is a file")
def test_the_whole_ledger_of_an_earlier_day_is_found(shop: Run) -> None:
    assert shop("backup old.db").code == 0
    assert shop("tx add 1 5 --credit").code == 0
    sealed(shop)
    assert shop("--db old.db verify").code == 0
    done = shop("--db old.db verify --against a.seal --json")
    assert (done.code, "transaction 1-5 is missing" in done.error["message"]) == (7, True)


def test_a_seal_that_was_changed_proves_nothing(shop: Run, tmp_path: Path) -> None:
    sealed(shop)
    head, *lines = (tmp_path / "a.seal").read_text().splitlines()
    wrong = {
        "its root": [head.replace('"root":"', '"root":"0', 1), *lines],
        "its count": [head.replace('"users":2', '"users":3'), *lines],
        "a line": [head, lines[0].replace("Asha", "Else"), *lines[1:]],
        "a line less": [head, *lines[:-1]],
        "nothing left": [],
        "no head": lines,
        "no JSON": ["hello"],
        "another form": ['{"seal":2}'],
        "no object": ["[1]"],
    }
    for name, text in wrong.items():
        (tmp_path / "b.seal").write_text("\n".join(text))
        assert shop("verify --against b.seal").code == 2, name
    (tmp_path / "b.seal").write_bytes(b"\xff\xfe")
    assert shop("verify --against b.seal").code == 2
    assert shop("verify --against none.seal").code == 2
    assert shop("verify 1 --against a.seal").code == 2


def test_a_seal_by_another_key_is_told_apart(shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed(shop)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    done = shop("verify --against a.seal --json")
    assert (done.code, (tmp_path / "another" / "wallet" / "seal.key").exists()) == (2, False)  # none is made for this
    assert shop("seal --public").code == 0
    done = shop("verify --against a.seal --json")
    assert (done.code, "signed by another key" in done.error["message"]) == (2, True)


def test_a_seal_of_another_ledger_is_refused(shop: Run, tmp_path: Path) -> None:
    sealed(shop)
    assert shop("--db other.db register 9886977544").code == 0
    done = shop("--db other.db verify --against a.seal --json")
    assert (done.code, "of another ledger" in done.error["message"]) == (2, True)


@pytest.mark.on_file("the file is changed")
def test_a_damaged_ledger_is_not_sealed(shop: Run, tmp_path: Path) -> None:
    with apsw.Connection(os.environ["WALLET_DB"]) as connection:
        connection.execute("UPDATE transactions SET note = 'x' WHERE wallet_id = 1 AND seq = 2")
    connection.close()
    assert shop("seal a.seal").code == 7
    assert not (tmp_path / "a.seal").exists()


# Receipts.


def test_each_receipt_is_checked_without_the_program(shop: Run, checker: Any, tmp_path: Path) -> None:
    key = sealed(shop)["public_key"]
    for id_, words in (
        ("1-1", "credit of 50000"),
        ("1-2", "debit of 2000"),
        ("1-4", "credit of 2000"),
        ("2-1", "PTS/0"),
    ):
        (tmp_path / "r.json").write_text(shop(f"receipt {id_} --seal a.seal").out)
        done = checker("r.json", key)
        assert (done.returncode, f"{id_}: " in done.stdout, words in done.stdout) == (0, True, True), done.stderr


def test_a_receipt_needs_no_seal_made_before(shop: Run, checker: Any, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(shop("receipt 1-1").out)
    assert checker("r.json", shop("seal --public -q").out.strip()).returncode == 0


def changed(receipt: Any, place: tuple[str, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(receipt))
    thing = copy
    for name in place[:-1]:
        thing = thing[name]
    thing[place[-1]] = value
    return copy


FORGED: dict[str, tuple[tuple[str, ...], Any]] = {
    "another amount": (("content",), " 2 debit 1 50000 1 1 1"),
    "another place": (("content",), " 1 debit 2000 50000 2000 1 1"),
    "another past": (("before",), "00" * 32),
    "another seal": (("seal", "at"), "2020-01-01T00:00:00.000000Z"),
    "another ledger": (("seal", "ledger"), "00000000-0000-0000-0000-000000000000"),
    "another signature": (("seal", "signature"), "00" * 64),
    "another wallet": (("wallet",), '{"id":9,"transactions":5,"root":"","currency":"INR"}'),
    "another line": (("line",), 0),
    "no way": (("in_seal",), []),
    "another way": (("in_wallet",), ["00" * 32] * 3),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_receipt_is_seen(shop: Run, checker: Any, tmp_path: Path, name: str) -> None:
    key = sealed(shop)["public_key"]
    receipt = shop("receipt 1-2 --seal a.seal").json
    place, value = FORGED[name]
    (tmp_path / "r.json").write_text(json.dumps(changed(receipt, place, value)))
    assert checker("r.json", key).returncode != 0


def test_a_note_that_looks_like_a_transaction_proves_nothing(shop: Run, checker: Any, tmp_path: Path) -> None:
    """What is hashed is the same where the border between the past and the content is moved into the note."""
    assert shop(["tx", "add", "1", "1", "--credit", "--note", "5 credit 88888800 x"]).code == 0  # type: ignore[arg-type]
    receipt = shop("receipt 1-5").json
    at = receipt["content"].index("5 credit 888")
    before = receipt["before"] + receipt["content"][:at].encode().hex()
    moved = changed(changed(receipt, ("content",), " " + receipt["content"][at:]), ("before",), before)
    moved = changed(moved, ("content",), receipt["content"][at:])
    (tmp_path / "r.json").write_text(json.dumps(moved))
    done = checker("r.json", receipt["seal"]["public_key"])
    assert (done.returncode, "not the hash" in done.stderr) == (1, True)


def test_a_receipt_by_another_key_is_seen(shop: Run, checker: Any, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(shop("receipt 1-2").out)
    done = checker("r.json", "00" * 32)
    assert (done.returncode, "signed by another key" in done.stderr) == (1, True)


def test_what_was_reversed_is_told(shop: Run) -> None:
    told = shop("receipt 1-2").json["transaction"]
    assert (told["reversed"], told["reversals"]) == ("20.00", ["1-4"])


def test_a_receipt_is_not_older_than_its_seal(shop: Run) -> None:
    sealed(shop)
    assert shop("tx add 1 5 --credit").code == 0
    assert shop("receipt 1-5 --seal a.seal").code == 2
    assert shop("receipt 1-5").code == 0
    assert shop("receipt 1-9").code == 3
    assert shop("receipt 9-1").code == 3
