"""Seals find what `verify` cannot; receipts are checked by the lines of docs/seals.md alone."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from support import cli, forging
from support.engines import Address, Engine, unchecked

from wallet_cli.domain import events
from wallet_cli.domain.metadata import canonical_json

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


CHANGES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "a number": ("users", 0, {"phone_number": "9886977549"}),
    "a name": ("users", 0, {"name": "Other"}),
    "digits within a region": ("users", 0, {"phone_national": "9886977500"}),
    "the key of a registration": ("users", 0, {"key": "x"}),
    "a unfrozen wallet": ("wallets", 1, {"status": "active"}),
    "another minimum": ("wallets", 0, {"own_minimum": -100}),
    "a hold": ("holds", 0, {"created_at_us": 5}),
    "the note of a hold": ("holds", 0, {"note": "x"}),
    "a revoked key revived": ("operators", 0, {"revoked_at_us": None}),
    "a key": ("operators", 1, {"key_hash": bytes([17] * 32)}),
    "rights of a key": ("operators", 1, {"read_only": 1}),
    "a setting": ("ledger", 0, {"phone_region": "SG"}),
}
"""Rows, by their place in a table, and what is changed in them."""


def forge(name: str, db: Address) -> None:
    """Change a row together with its event, with all hashes made to fit."""
    table, number, values = CHANGES[name]
    with unchecked(used(db)) as raw:
        forging.change_with_its_event(raw, table, forging.read(raw, table)[number], **values)


def used(db: Address) -> Address:
    return os.environ["WALLET_DB"] if isinstance(db, str) else Path(os.environ["WALLET_DB"])


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_with_its_events_is_found_by_the_seal_alone(shop: Run, name: str, db: Address) -> None:
    assert shop("freeze 2/points").code == 0
    sealed(shop)
    forge(name, db)
    assert shop("verify").code == 0  # nothing shows it but the seal
    done = shop("verify --against a.seal --json")
    assert (done.code, "sealed at" in done.error["message"]) == (7, True), done
    assert ("wallet restore FILE" in done.error["hint"]) == isinstance(db, Path)
    table, number, _ = CHANGES[name]
    of = {"users": f"of user {number + 1} ", "operators": "of the ledger itself ", "ledger": "of the ledger itself "}
    assert of.get(table, f"of wallet w{number + 1} ") in done.error["message"]
    assert "event" in done.error["message"]


def test_events_that_were_cut_off_are_found_by_the_seal_alone(shop: Run, db: Address) -> None:
    """A wallet is unfrozen together with the event that froze it."""
    assert shop("freeze 2/points").code == 0
    sealed(shop)
    with unchecked(used(db)) as raw:
        forging.change(raw, "wallets", {"id": 2}, status="active")
        forging.change(raw, "witnesses", {"wallet_id": 2}, status="active")
        forging.set_chain(raw, (events.WALLET, 2), forging.chain_of(raw, (events.WALLET, 2))[:-1])
    assert shop("verify").code == 0
    done = shop("verify --against a.seal --json")
    assert (done.code, "event 2 of wallet w2 is missing" in done.error["message"]) == (7, True), done


def test_a_key_with_a_forged_event_among_the_sealed_ones_is_found(shop: Run, db: Address) -> None:
    """After them it looks like one that somebody made since."""
    sealed(shop)
    new = {
        "key_hash": bytes([9] * 32),
        "read_only": 0,
        "created_at_us": 1,
        "revoked_at_us": None,
        "last_used_at_us": None,
    }
    for name, at, code in (("late", None, 0), ("early", 2, 7)):
        key = {"name": name} | new | {"key_hash": name.encode().ljust(32)}
        with unchecked(used(db)) as raw:
            forging.insert(raw, "operators", key)
            chain = forging.chain_of(raw, events.OF_LEDGER)
            made = chain[-1]._replace(what="key made", details=canonical_json({"key": forging.told("operators", key)}))
            chain.insert(len(chain) if at is None else at, made)
            forging.set_chain(raw, events.OF_LEDGER, chain)
        assert shop("verify").code == 0
        assert shop("verify --against a.seal").code == code


def test_a_seal_names_nobody(shop: Run, tmp_path: Path) -> None:
    sealed(shop)
    text = re.sub(r'"[0-9a-f]{64,}"', '""', (tmp_path / "a.seal").read_text())  # a hash may begin with 500
    assert not [each for each in ("9886977544", "Asha", "tea", "500") if f'"{each}' in text]


# Seals of format 1.

BEFORE = Path(__file__).with_name("sealed_before")
"""A ledger of schema 7, its seal, and the key that signed it, as an earlier release made them."""


@pytest.fixture
def before(wallet: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    path = tmp_path / "before.db"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute((BEFORE / "ledger.sql").read_text())
    path.chmod(0o600)
    monkeypatch.setenv("WALLET_DB", str(path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "wallet").mkdir(parents=True)
    (tmp_path / "config" / "wallet" / "seal.key").write_text((BEFORE / "seal.key").read_text())
    (tmp_path / "config" / "wallet" / "seal.key").chmod(0o600)
    (tmp_path / "old.seal").write_text((BEFORE / "a.seal").read_text())
    return wallet


@pytest.mark.on_file("the ledger of an earlier release is a file")
def test_a_seal_of_an_earlier_release_is_still_compared(before: Run, checker: Any, tmp_path: Path) -> None:
    """Before the ledger is migrated and after it; what it proves is checked by the same lines."""
    assert before("verify --against old.seal --json").json["transactions"] == 5
    for line in ("tx add 1 5 --credit", "hold capture 1-h1", "freeze 2/points", "key revoke till"):
        assert before(line).code == 0
    assert before("verify --against old.seal --json").json["transactions"] == 7
    (tmp_path / "r.json").write_text(before("receipt 1-2 --seal old.seal").out)
    done = checker("r.json", before("seal --public -q").out.strip())
    assert (done.returncode, "reversed by 1-4: credit of 2000" in done.stdout) == (0, True), done
    assert before("verify --receipt r.json --json").json["reversals"] == ["1-4"]


@pytest.mark.on_file("the ledger of an earlier release is a file")
@pytest.mark.parametrize(("line", "checked"), [("seal a.seal -q", "--against"), ("receipt 1-2", "--receipt")])
def test_what_is_sealed_of_a_ledger_before_its_migration_is_in_the_ledger(
    before: Run, tmp_path: Path, line: str, checked: str
) -> None:
    """It is migrated first: a seal of a temporary copy would name events that are in no ledger."""
    done = before(line)
    assert (done.code, done.err.count("migrated the ledger from schema 7")) == (0, 1), done
    if checked == "--receipt":
        (tmp_path / "a.seal").write_text(done.out)
    assert before("tx add 1 5 --credit").code == 0
    assert before(f"verify {checked} a.seal").code == 0
    assert before("seal -q").err == ""


@pytest.mark.on_file("the ledger of an earlier release is a file")
@pytest.mark.parametrize("name", sorted({*CHANGES} - {"a unfrozen wallet", "another minimum", "a setting"}))
def test_what_a_seal_of_an_earlier_release_covers_is_found(before: Run, name: str) -> None:
    assert before("tx add 1 5 --credit").code == 0  # it is migrated
    forge(name, Path())
    assert before("verify").code == 0
    done = before("verify --against old.seal --json")
    assert (done.code, "sealed at" in done.error["message"]) == (7, True), done


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
        "a line": [head, lines[0].replace("INR", "USD"), *lines[1:]],
        "lines exchanged": [head, lines[1], lines[0], *lines[2:]],
        "a line less": [head, *lines[:-1]],
        "nothing left": [],
        "no head": lines,
        "no JSON": ["hello"],
        "another form": ['{"seal":3}'],
        "nothing but a form": ['{"seal":2}'],
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


@pytest.mark.parametrize("line", ["verify --against a.seal", "verify --receipt r.json"])
def test_an_auditor_needs_the_public_key_alone(
    shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    key = sealed(shop)["public_key"]
    (tmp_path / "r.json").write_text(shop("receipt 1-1 --seal a.seal").out)
    for option in ("", "-q", "--json"):
        (tmp_path / f"of_maker{option}").write_text(shop(f"seal --public {option}").out)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "auditor"))
    done = shop(f"{line} --json")
    assert (done.code, "wallet seal --public" in done.error["hint"], "seal.key" in done.err) == (2, True, False)
    for given in (key, key.upper(), "of_maker", "of_maker-q", "of_maker--json"):
        assert shop(f"{line} --public {given}").code == 0, given
    assert not (tmp_path / "auditor").exists()
    refused = {
        "0" * 64: "signed by another key",
        "a.seal": "not a public key",
        "r.json": "not a public key",
        key[1:]: "No such file",
        "none": "No such file",
        ".": "not a file",
        "''": "not a file",
    }
    shop("seal --public")  # a key of one's own changes nothing where another is given
    for given, words in refused.items():
        done = shop(f"{line} --public {given} --json")
        assert (done.code, words in done.error["message"]) == (2, True), done.err
    assert shop(f"{line} --public {key}").code == 0
    assert shop(line).code == 2


def test_a_public_key_is_for_a_seal_or_a_receipt(shop: Run) -> None:
    done = shop(f"verify --public {'0' * 64} --json")
    assert (done.code, done.error["code"]) == (2, "invalid_input")


def test_what_says_its_own_key_is_not_believed(shop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody changes the ledger, and seals it anew."""
    key = sealed(shop)["public_key"]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    assert shop("seal forged.seal").code == 0
    done = shop(f"verify --against forged.seal --public {key} --json")
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


@pytest.mark.on_file("a row is changed in the file; what is looked up first is the same")
@pytest.mark.parametrize(("id_", "code"), [("nonsense", 2), ("99-1", 3), ("1-99", 3), ("1-1", 7)])
def test_nothing_is_sealed_for_a_receipt_of_nothing(id_: str, code: int, shop: Run) -> None:
    """To seal is to verify all of it: this one is damaged, which only that can find."""
    with apsw.Connection(os.environ["WALLET_DB"]) as connection:
        connection.execute("UPDATE transactions SET note = 'x' WHERE wallet_id = 1 AND seq = 2")
    connection.close()
    assert shop(f"receipt {id_}").code == code


def changed(receipt: Any, place: tuple[str | int, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(receipt))
    thing = copy
    for name in place[:-1]:
        thing = thing[name]
    thing[place[-1]] = value
    return copy


FORGED: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "another format": (("receipt",), 99),
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
    "another reversal": (("reversals", 0, "content"), " 4 credit 1 52000 5000 2 1 reverses 2"),
    "a reversal elsewhere": (("reversals", 0, "in_wallet"), ["00" * 32] * 3),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_receipt_is_seen(shop: Run, checker: Any, tmp_path: Path, name: str) -> None:
    key = sealed(shop)["public_key"]
    receipt = shop("receipt 1-2 --seal a.seal").json
    place, value = FORGED[name]
    (tmp_path / "r.json").write_text(json.dumps(changed(receipt, place, value)))
    assert checker("r.json", key).returncode != 0
    done = shop("verify --receipt r.json --json")
    assert (done.code, done.error["code"]) == (2, "invalid_input"), done


def test_a_reversal_of_another_transaction_proves_nothing(shop: Run, checker: Any, tmp_path: Path) -> None:
    """Each proof is right, and they do not belong together."""
    key = sealed(shop)["public_key"]
    one, other = (shop(f"receipt {id_} --seal a.seal").json for id_ in ("1-1", "1-2"))
    (tmp_path / "r.json").write_text(json.dumps(one | {"reversals": other["reversals"]}))
    done = checker("r.json", key)
    assert (done.returncode, "reverses another" in done.stderr) == (1, True), done
    assert shop("verify --receipt r.json").code == 2


def tripled(receipt: Any) -> None:
    receipt["reversals"] *= 3
    receipt["transaction"] |= {"reversed": "60.00", "reversals": ["1-4"] * 3}


def denied(receipt: Any) -> None:
    """The form of an earlier release, which proved no reversals."""
    del receipt["reversals"]
    receipt["transaction"] |= {"reversed": "0.00", "reversals": []}


def invented(receipt: Any) -> None:
    del receipt["reversals"]
    receipt["transaction"] |= {"reversed": "999.00", "reversals": ["7-7"]}


def left_out(receipt: Any) -> None:
    receipt["reversals"] = []
    receipt["transaction"] |= {"reversed": "0.00", "reversals": []}


def counted_wrong(receipt: Any) -> None:
    receipt["transactions"] += 1


def not_counted(receipt: Any) -> None:
    del receipt["transactions"]


@pytest.mark.parametrize("change", [tripled, denied, invented, left_out, counted_wrong, not_counted])
def test_what_a_receipt_says_of_reversals_is_what_was_sealed(
    shop: Run, tmp_path: Path, change: Callable[[Any], None]
) -> None:
    """Each proof in it is right."""
    sealed(shop)
    receipt = shop("receipt 1-2 --seal a.seal").json
    change(receipt)
    (tmp_path / "r.json").write_text(json.dumps(receipt))
    done = shop("verify --receipt r.json --json")
    assert (done.code, "is not what it proves" in done.error["message"]) == (2, True), done


def test_the_lines_count_a_reversal_once(shop: Run, checker: Any, tmp_path: Path) -> None:
    key = sealed(shop)["public_key"]
    receipt = shop("receipt 1-2 --seal a.seal").json
    tripled(receipt)
    (tmp_path / "r.json").write_text(json.dumps(receipt))
    done = checker("r.json", key)
    assert (done.returncode, "named twice" in done.stderr) == (1, True), done


def test_a_receipt_of_an_earlier_release_is_still_right(shop: Run, tmp_path: Path) -> None:
    """It has no proofs of reversals, and tells those of the day when it was made."""
    sealed(shop)
    receipt = shop("receipt 1-1 --seal a.seal").json
    del receipt["reversals"]
    assert shop("tx reverse 1-1 10").code == 0
    for told in (receipt["transaction"], shop("tx show 1-1 --json").json):
        (tmp_path / "r.json").write_text(json.dumps(receipt | {"transaction": told}))
        assert shop("verify --receipt r.json").code == 0


@pytest.mark.parametrize("place", [("content",), ("reversals", 0, "content")])
@pytest.mark.parametrize("content", ["", " ", "x", f" {'9' * 5000} credit 1", " 1e400 credit 1"])
def test_what_is_no_transaction_is_no_receipt(
    shop: Run, tmp_path: Path, place: tuple[str | int, ...], content: str
) -> None:
    sealed(shop)
    receipt = shop("receipt 1-2 --seal a.seal").json
    (tmp_path / "r.json").write_text(json.dumps(changed(receipt, place, content)))
    assert shop("verify --receipt r.json").code == 2


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


def test_a_receipt_tells_what_was_reversed_when_it_was_sealed(shop: Run, checker: Any, tmp_path: Path) -> None:
    """A reversal since is in the next one, and in the answer of the ledger's keeper at once."""
    key = sealed(shop)["public_key"]
    assert shop(["tx", "add", "1", "1", "--credit", "--note", "é reverses 1 by 3"]).code == 0  # type: ignore[arg-type]
    assert shop("tx reverse 1-1 10 --key again").code == 0
    assert shop("tx reverse 1-1 20").code == 0
    for id_, seal, reversed_, by in (
        ("1-1", "a.seal", "0.00", []),
        ("1-1", "b.seal", "30.00", ["1-6: debit of 1000", "1-7: debit of 2000"]),
        ("1-2", "a.seal", "20.00", ["1-4: credit of 2000"]),
        ("1-5", "b.seal", "0.00", []),
    ):
        if not (tmp_path / seal).exists():
            sealed(shop, seal)
        (tmp_path / "r.json").write_text(shop(f"receipt {id_} --seal {seal}").out)
        told = json.loads((tmp_path / "r.json").read_text())["transaction"]
        assert (told["reversed"], told["reversals"]) == (reversed_, [each.partition(":")[0] for each in by])
        done = checker("r.json", key)
        lines = [line.partition(" minor")[0] for line in done.stdout.splitlines()]
        assert (done.returncode, lines[1:]) == (0, [f"reversed by {each}" for each in by]), done
        now = shop("verify --receipt r.json --json").json
        assert (now["transaction"], now["reversed"]) == (id_, "30.00" if id_ == "1-1" else reversed_)


def test_a_receipt_of_another_ledger_is_told_apart(shop: Run, checker: Any, tmp_path: Path) -> None:
    """By the customer and by the keeper, though the same person signed both."""
    (tmp_path / "r.json").write_text(shop("receipt 1-1").out)
    key, other = shop("seal --public -q").out.strip(), "00000000-0000-4000-8000-000000000000"
    done = checker("r.json", key, other)
    assert (done.returncode, "of another ledger" in done.stderr) == (1, True)
    assert shop("--db other.db register 9886977544").code == 0
    refused = shop("--db other.db verify --receipt r.json --json")
    assert (refused.code, "of another ledger" in refused.error["message"]) == (2, True)


def test_a_receipt_of_what_is_gone_is_told(shop: Run, db: Address, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(shop("receipt 1-3").out)
    sealed(shop)
    with unchecked(used(db)) as raw:
        wallet = forging.read(raw, "wallets")[0]
        forging.set_transactions(raw, forging.wallet_of(wallet), forging.transactions_of(raw, 1)[:2])
    done = shop("verify --receipt r.json --json")
    assert (done.code, "transaction 1-3 is missing" in done.error["message"]) == (7, True)
    assert shop("receipt 1-3 --seal a.seal").code == 3
    assert shop("receipt 1-2 --seal a.seal").code == 7  # no proof leads from it to the seal any more


@pytest.mark.parametrize("text", ["", "hello", "[1]", '{"receipt":1}', '{"receipt":9,"seal":{}}'])
def test_what_is_no_receipt_is_refused(shop: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    done = shop("verify --receipt r.json --json")
    assert (done.code, done.error["code"]) == (2, "invalid_input")
    assert shop("verify 1 --receipt r.json").code == 2


def test_what_a_receipt_says_is_what_it_proves(shop: Run, tmp_path: Path) -> None:
    receipt = shop("receipt 1-1").json
    (tmp_path / "r.json").write_text(json.dumps(changed(receipt, ("transaction", "amount"), "5000.00")))
    done = shop("verify --receipt r.json --json")
    assert (done.code, "is not what it proves" in done.error["message"]) == (2, True)


def test_a_receipt_is_not_older_than_its_seal(shop: Run) -> None:
    sealed(shop)
    assert shop("tx add 1 5 --credit").code == 0
    assert shop("receipt 1-5 --seal a.seal").code == 2
    assert shop("receipt 1-5").code == 0
    assert shop("receipt 1-9").code == 3
    assert shop("receipt 9-1").code == 3
