"""Tampering: what is changed behind the program's back is found by `wallet verify`, which names the first bad row.

Very many edits are made by faults/test_tampering.py; here each kind has its words.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import engines, forging
from support.cli import run
from support.engines import Address, Engine, dump, execute, unchecked
from support.server import Server

from wallet_cli.domain import hash_chain
from wallet_cli.domain.commands import Post
from wallet_cli.domain.model import Witness
from wallet_cli.errors import Damaged
from wallet_cli.operations import verification
from wallet_cli.storage import schema_check, sql
from wallet_cli.storage.in_place import beside

ROOT = Path(__file__).parent.parent.parent


HISTORY = (
    "register 9886977544",
    "create 1",
    "create 1/points --currency PTS/0",
    "tx add 1 500 --credit --key salary --note May",
    "tx add 1 20 --debit --note tea",
    "tx add 1 30 --debit",
    "tx add 1 7 --credit",
    "tx add 1 1 --debit --key last",
    "tx add 1/points 5 --credit",
    "tx add 1/points 5 --credit",
)
"""Two wallets, 1 with five transactions and 2 with two."""


@pytest.fixture
def history(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    with engine.lent("history", HISTORY) as address:
        monkeypatch.setenv("WALLET_DB", str(address))
        yield address


@pytest.fixture
def own_history(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Address:
    """The same for one test alone, which changes its tables."""
    address = engine.copy("history", HISTORY, tmp_path)
    monkeypatch.setenv("WALLET_DB", str(address))
    return address


def test_what_nobody_changed_is_whole(history: Address) -> None:
    assert run("verify --json").json == {"ok": True, "wallets": 2, "transactions": 7}


def tamper(address: Address, *statements: str) -> None:
    """Change the ledger with plain SQL, and none of the constraints that the program would set."""
    with unchecked(address) as raw:
        for statement in statements:
            raw.execute(statement)


def row(seq: int, wallet_id: int = 1) -> str:
    return f"wallet_id = {wallet_id} AND seq = {seq}"


SWAP_FACTS = tuple(
    f"UPDATE transactions SET (is_credit, amount, note) = ({values}) WHERE {row(seq)}"
    for seq, values in ((2, "0, 3000, NULL"), (3, "0, 2000, 'tea'"))
)

COLUMNS = "wallet_id, seq, is_credit, amount, credit_total, debit_total, credit_count, at_us, note, key, hash"

TAMPERING = {
    "an amount": ([f"UPDATE transactions SET amount = 60000 WHERE {row(1)}"], "1-1"),
    "an amount and all totals after it": (
        [
            f"UPDATE transactions SET amount = amount + 100 WHERE {row(1)}",
            "UPDATE transactions SET credit_total = credit_total + 100 WHERE wallet_id = 1",
        ],
        "1-1",
    ),
    "a credit made a debit": ([f"UPDATE transactions SET is_credit = 0 WHERE {row(4)}"], "1-4"),
    "a total of credits": ([f"UPDATE transactions SET credit_total = credit_total + 1 WHERE {row(5)}"], "1-5"),
    "a total of debits": ([f"UPDATE transactions SET debit_total = debit_total - 1 WHERE {row(3)}"], "1-3"),
    "a count": ([f"UPDATE transactions SET credit_count = 2 WHERE {row(2)}"], "1-2"),
    "a time": ([f"UPDATE transactions SET at_us = at_us + 1 WHERE {row(5)}"], "1-5"),
    "a time before the one before": ([f"UPDATE transactions SET at_us = 0 WHERE {row(3)}"], "1-3"),
    "a note": ([f"UPDATE transactions SET note = 'June' WHERE {row(1)}"], "1-1"),
    "a note taken away": ([f"UPDATE transactions SET note = NULL WHERE {row(2)}"], "1-2"),
    "a key": ([f"UPDATE transactions SET key = 'free' WHERE {row(1)}"], "1-1"),
    "a hash": ([f"UPDATE transactions SET hash = zeroblob(32) WHERE {row(3)}"], "1-3"),
    "the first row deleted": ([f"DELETE FROM transactions WHERE {row(1)}"], "1-2"),
    "a row deleted": ([f"DELETE FROM transactions WHERE {row(3)}"], "1-4"),
    "a row deleted and the gap closed": (
        [
            f"DELETE FROM transactions WHERE {row(3)}",
            f"UPDATE transactions SET seq = 3 WHERE {row(4)}",
            f"UPDATE transactions SET seq = 4 WHERE {row(5)}",
        ],
        "1-3",
    ),
    "two rows in each other's place": (
        [
            f"UPDATE transactions SET seq = 99 WHERE {row(2)}",
            f"UPDATE transactions SET seq = 2 WHERE {row(3)}",
            f"UPDATE transactions SET seq = 3 WHERE {row(99)}",
        ],
        "1-2",
    ),
    "the facts of two rows exchanged": (SWAP_FACTS, "1-2"),
    "a row added at the end": (
        [
            f"INSERT INTO transactions ({COLUMNS})"
            " SELECT wallet_id, 6, 1, 100, credit_total + 100, debit_total, credit_count + 1,"
            f" at_us, NULL, NULL, zeroblob(32) FROM transactions WHERE {row(5)}"
        ],
        "1-6",
    ),
    "a row copied to the end": (
        [
            f"INSERT INTO transactions ({COLUMNS})"
            " SELECT wallet_id, 6, is_credit, amount, credit_total, debit_total, credit_count,"
            f" at_us, note, NULL, hash FROM transactions WHERE {row(5)}"
        ],
        "1-6",
    ),
    "a row moved to another wallet": ([f"UPDATE transactions SET wallet_id = 2, seq = 3 WHERE {row(5)}"], "1-5"),
    "the last row deleted": ([f"DELETE FROM transactions WHERE {row(5)}"], "1-5"),
    "all rows of a wallet deleted": (["DELETE FROM transactions WHERE wallet_id = 2"], "2-1"),
    "a witness put back": (["UPDATE witnesses SET seq = 4 WHERE wallet_id = 1"], "1-5"),
    "a witness of another hash": (["UPDATE witnesses SET hash = zeroblob(32) WHERE wallet_id = 1"], "1-5"),
    "rows of a wallet that is not there": ([f"UPDATE transactions SET wallet_id = 9 WHERE {row(5)}"], "1-5"),
    "the second wallet": ([f"UPDATE transactions SET amount = 6 WHERE {row(2, 2)}"], "2-2"),
    "a wallet that changes hands": (["UPDATE wallets SET user_id = 2 WHERE id = 1"], "1-1"),
    "a wallet's currency": (["UPDATE wallets SET currency = 'USD' WHERE id = 1"], "1-1"),
    "a wallet's type": (["UPDATE wallets SET type = 'other' WHERE id = 2"], "2-1"),
    "the first of many": (["UPDATE transactions SET amount = amount + 1"], "1-1"),
}


NOT_TEXT = pytest.param(
    [f"UPDATE transactions SET note = CAST(x'ff' AS TEXT) WHERE {row(2)}"],
    "1-2",
    id="a note that is not text",
    marks=pytest.mark.on_file("PostgreSQL lets no such text in"),
)


@pytest.mark.parametrize(
    ("statements", "first_bad"), [*(pytest.param(*each, id=name) for name, each in TAMPERING.items()), NOT_TEXT]
)
def test_verify_names_the_first_bad_row(history: Address, statements: list[str], first_bad: str) -> None:
    tamper(history, *statements)
    done = run("verify --json")
    assert (done.code, done.out) == (7, "")
    assert done.error["code"] == "storage_error"
    assert done.error["details"].get("transaction") == first_bad
    assert first_bad in done.error["message"]
    plain = run("verify")
    assert (plain.code, plain.out) == (7, "")
    assert f"transaction {first_bad}" in plain.err


@pytest.mark.parametrize("stranger", [-9, 9])
def test_a_row_of_no_wallet_is_named_beside_what_it_lacks_elsewhere(history: Address, stranger: int) -> None:
    tamper(history, f"UPDATE transactions SET wallet_id = {stranger} WHERE {row(5)}")
    wrong = {each["transaction"]: each["reason"] for each in run("verify --json").error["details"]["wrong"]}
    assert set(wrong) == {"1-5", f"{stranger}-5"}
    assert wrong[f"{stranger}-5"] == f"there is no wallet w{stranger}"


def test_on_all_cores_too_rows_are_found_that_have_no_wallet(history: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MANY", 1)
    monkeypatch.setattr(verification, "cores", lambda: 2)
    tamper(history, "DELETE FROM witnesses", "DELETE FROM wallets")
    error = run("verify --json").error
    assert error["code"] == "storage_error"
    assert error["details"]["transaction"] == "1-1"
    assert error["details"]["reason"] == "there is no wallet w1"


@pytest.mark.parametrize("exponent", [0, 3])
def test_a_balance_cannot_be_multiplied_by_moving_its_decimal_point(history: Address, exponent: int) -> None:
    tamper(history, f"UPDATE wallets SET exponent = {exponent} WHERE id = 1")
    done = run("verify --json")
    assert (done.code, done.out) == (7, "")
    assert "wallet 1" in done.error["message"]


def test_one_wallet_can_be_checked_alone(history: Address) -> None:
    tamper(history, f"UPDATE transactions SET amount = 6 WHERE {row(2, 2)}")
    assert run("verify 1 --json").json == {"ok": True, "wallets": 1, "transactions": 5}
    assert run("verify 1/points --json").error["details"]["transaction"] == "2-2"
    assert run("verify 1/points").code == 7


@pytest.mark.parametrize("change", ["name = 'Asha'", "phone_number = '1'", "created_at_us = 7", "key = 'k'"])
def test_a_user_that_was_changed_is_named(history: Address, change: str) -> None:
    tamper(history, f"UPDATE users SET {change}")
    error = run("verify --json").error
    assert error["details"]["user"] == 1
    assert error["message"].startswith("user 1: it differs from its last event in its ")


@pytest.mark.parametrize(
    "change", ["status = 'frozen'", "own_minimum = 100", "maximum = 5", "daily_debit = 0", "held = 1", "holds = 1"]
)
def test_what_changes_about_a_wallet_is_compared_with_its_witness(history: Address, change: str) -> None:
    """So a page with an older state of a wallet is found: one that was frozen since, or that has a limit now."""
    tamper(history, f"UPDATE wallets SET {change} WHERE id = 2")
    done = run("verify --json")
    assert (done.code, done.out) == (7, "")
    name = change.partition(" ")[0]
    reason = f"it differs from its witness in its {name}"
    assert done.error["details"] == {"wallet": 2, "reason": reason}
    assert done.error["message"] == f"wallet 1/points: {reason}"
    # It is no answer, and nothing is decided on it.
    for line in ("balance 1/points", "list", "tx add 1/points 1 --credit"):
        done = run(f"{line} --json")
        assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error")
        assert done.error["message"].startswith("this ledger is damaged: ")


def test_a_wallet_without_its_witness_is_named(history: Address) -> None:
    tamper(history, "DELETE FROM witnesses WHERE wallet_id = 2")
    assert run("verify --json").error["details"] == {"wallet": 2, "reason": "its witness is missing"}


def test_a_witness_without_its_wallet_is_named(history: Address) -> None:
    tamper(
        history,
        "PRAGMA foreign_keys=OFF" if isinstance(history, Path) else "SELECT 1",
        "DELETE FROM transactions WHERE wallet_id = 2",
        "DELETE FROM wallets WHERE id = 2",
    )
    assert run("verify --json").error["details"] == {"wallet": 2, "reason": "it is missing"}


def test_a_server_says_that_its_ledger_is_damaged(history: Address, tmp_path: Path) -> None:
    credit = {"user_id": 1, "wallet_id": 2, "amount": 1, "is_credit": True}
    with Server(tmp_path, "--no-auth", environ={"WALLET_DB": str(history)}) as server:
        client = server.client()
        assert client.post("/api/v1/transactions/create", json=credit).status_code == 201
        assert client.get("/readyz").status_code == 200
        tamper(history, "UPDATE transactions SET amount = amount + 1 WHERE wallet_id = 2 AND seq = 3")
        answer = client.post("/api/v1/transactions/create", json=credit)
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_error")
        assert "damaged" in answer.json()["message"]
        # Wallet 1 is whole; the ledger is not.
        for _ in range(2):
            other = client.post("/api/v1/transactions/create", json=credit | {"wallet_id": 1})
            assert (other.status_code, other.json()["code"]) == (503, "storage_error")
            assert other.json()["message"].count("takes no writes") == 1
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        assert run("verify --json").error["details"]["transaction"] == "2-3"
        tamper(history, "UPDATE transactions SET amount = amount - 1 WHERE wallet_id = 2 AND seq = 3")
        assert client.get("/readyz").status_code == 503
        assert run("verify -q").out == "8\n"
        assert client.get("/readyz").status_code == 200
        assert client.post("/api/v1/transactions/create", json=credit).status_code == 201
    assert run("verify -q").out == "9\n"


ITSELF = {
    "no row": ("DELETE FROM ledger", "its own row is missing"),
    "no id": ("UPDATE ledger SET uuid = NULL", "its id is missing"),
    "another state": (
        "UPDATE ledger SET state = 'odd', other = 'b.db', move = 'm', since_us = 1",
        "its move state is none that a move writes",
    ),
    "a state alone": ("UPDATE ledger SET state = 'moved'", "its move state is none that a move writes"),
    "a move without its state": (
        "UPDATE ledger SET other = 'b.db', move = 'm', since_us = 1",
        "its move state is none that a move writes",
    ),
}
"""What may hide that the ledger has moved, and what is said of it."""


@pytest.mark.parametrize("what", ITSELF)
def test_a_ledger_that_cannot_say_where_it_is_takes_no_writes_and_gives_no_answer(history: Address, what: str) -> None:
    statement, said = ITSELF[what]
    with engines.opened(history) as ledger:  # as a server has it
        tamper(history, statement)
        before = dump(history)
        for _ in range(2):
            with pytest.raises(Damaged, match=said):
                ledger.executor.run([Post(1, True, 100)], "tx add")
    for line in ("debit 1 5", "register 9886977545", "balance 1", "verify", "seal", "tx add 1 1 --credit --key last"):
        done = run(f"{line} --json")
        assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error"), line
        assert done.error["message"] == f"this ledger is damaged: {said}"
    found = {each["name"]: each for each in run("doctor -o json").json["findings"]}
    assert (found["ledger"]["status"], "state" in found) == ("wrong", False)
    assert dump(history) == before


@pytest.mark.on_file("a damaged file")
def test_a_damaged_file_is_named(history: Address) -> None:
    tamper(history, "PRAGMA wal_checkpoint(TRUNCATE)")
    # The key stands in the table and in the index: change the table's alone, and the index no longer agrees.
    original = history.read_bytes()
    first = original.find(b"salary")
    history.write_bytes(original[:first] + b"SALARY" + original[first + 6 :])
    done = run("verify --json")
    assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error")
    history.write_bytes(original)
    beside(history, ".lock").unlink()  # it knows that the ledger was marked
    assert run("verify -q").out == "7\n"


@pytest.mark.on_file("a damaged file")
def test_a_file_that_lost_its_middle_is_an_error_and_no_answer(history: Address) -> None:
    tamper(history, "PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(history.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    history.write_bytes(data)
    for line in ("balance 1 --json", "tx list 1 --json", "tx add 1 1 --credit --json", "verify --json"):
        done = run(line)
        assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error"), line


def test_a_missing_row_stops_a_balance_in_the_past(history: Address) -> None:
    tamper(history, f"DELETE FROM transactions WHERE {row(3)}")
    done = run("balance 1 --at 2000-01-01 --json")
    assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error")
    assert "verify" in done.error["hint"]


@pytest.fixture
def business(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """A ledger with all that links rows to each other: wallet 1 and its savings, 2; holds in each state."""
    lines = (
        "register 9886977544",
        "create 1",
        "create 1/savings",
        "tx add 1 500 --credit --meta order=1041",  # 1-1
        "transfer 1 1/savings 100",  # 1-2 and 2-1
        "tx reverse 1-2 40",  # 1-3 and 2-2
        "hold add 1 50",  # 1-h1
        "hold add 1 60",  # 1-h2
        "hold capture 1-h1 20 --keep",  # 1-4
        "hold capture 1-h1 10",  # 1-5
        "hold add 1 5",  # 1-h3
        "hold void 1-h3",
        "tx add 1 7 --debit",  # 1-6
        "tx reverse 1-6 3",  # 1-7
        "tx reverse 1-6 4 --force",  # 1-8
    )
    with engine.lent("business", lines) as address:
        monkeypatch.setenv("WALLET_DB", str(address))
        yield address


def test_business_that_nobody_changed_is_whole(business: Address) -> None:
    assert run("verify --json").json == {"ok": True, "wallets": 2, "transactions": 10}


def rewrite(address: Address) -> None:
    """What a keeper would do who knows the format: work out all totals and hashes again, so that each chain holds."""
    with unchecked(address) as raw:
        for wallet in map(sql.to_wallet, raw.execute(sql.ALL_WALLETS)):
            last = hash_chain.unopened(wallet)
            for each in map(sql.to_transaction, raw.execute(sql.OLDEST_FIRST, {"wallet_id": wallet.id})):
                credit, debit = (each.amount, 0) if each.is_credit else (0, each.amount)
                totals = (last.credit_total + credit, last.debit_total + debit, last.credit_count + each.is_credit)
                facts = (each.seq, each.is_credit, each.amount, *totals, each.at_us, each.remarks, each.key)
                hash_ = hash_chain.link(last.hash, hash_chain.content(*facts, hash_chain.extras(*each[10:-1])))
                raw.execute(
                    "UPDATE transactions SET credit_total = ?, debit_total = ?, credit_count = ?, hash = ?"
                    " WHERE wallet_id = ? AND seq = ?",
                    (*totals, hash_, wallet.id, each.seq),
                )
                last = each._replace(credit_total=totals[0], debit_total=totals[1], credit_count=totals[2], hash=hash_)
            raw.execute(
                f"UPDATE witnesses SET ({', '.join(sql.WITNESS_COLUMNS)}) = ({', '.join('?' * len(Witness._fields))})"
                " WHERE wallet_id = ?",
                (*Witness.of(wallet, last), wallet.id),
            )


def hold(number: int, wallet_id: int = 1) -> str:
    return f"wallet_id = {wallet_id} AND number = {number}"


def posting(change: str, seq: int, wallet_id: int = 1) -> str:
    return f"UPDATE transactions SET {change} WHERE {row(seq, wallet_id)}"


def holding(change: str, number: int) -> str:
    return f"UPDATE holds SET {change} WHERE {hold(number)}"


IN_THE_HASH = {
    "metadata": (posting('meta = \'{"order":"1042"}\'', 1), "1-1"),
    "metadata taken away": (posting("meta = NULL", 1), "1-1"),
    "metadata added": (posting("meta = '{}'", 2), "1-2"),
    "the wallet of the other leg": (posting("peer_wallet_id = 3", 2), "1-2"),
    "the place of the other leg": (posting("peer_seq = 2", 2), "1-2"),
    "a transfer made a debit": (posting("peer_wallet_id = NULL, peer_seq = NULL", 2), "1-2"),
    "what is reversed": (posting("reverses = 4", 7), "1-7"),
    "a reversal made a credit": (posting("reverses = NULL", 7), "1-7"),
    "the hold of a capture": (posting("hold = 2", 4), "1-4"),
    "a capture made a debit": (posting("hold = NULL", 4), "1-4"),
    "that it was forced": (posting("forced = 0", 8), "1-8"),
    "that it was not forced": (posting("forced = 1", 7), "1-7"),
}


@pytest.mark.parametrize(("statement", "first_bad"), IN_THE_HASH.values(), ids=IN_THE_HASH)
def test_the_hash_covers_metadata_and_links(business: Address, statement: str, first_bad: str) -> None:
    tamper(business, statement)
    done = run("verify --json")
    assert (done.code, done.out) == (7, "")
    assert done.error["details"] == {"transaction": first_bad, "reason": "the hash is wrong"}


LINKS = {
    # The end of a chain can be cut off with nothing in the chain to show it; the other leg does.
    "the other leg cut off": ([f"DELETE FROM transactions WHERE {row(2, 2)}"], "transaction", "1-3"),
    "a leg with another amount": ([posting("amount = amount + 1", 1, 2)], "transaction", "1-2"),
    "a leg the same way": ([posting("is_credit = 0", 1, 2)], "transaction", "1-2"),
    "a leg that points elsewhere": ([posting("peer_seq = 3", 1, 2)], "transaction", "1-2"),
    "a leg that points nowhere": ([posting("peer_wallet_id = 99", 2)], "transaction", "1-2"),
    "a leg that names half a place": ([posting("peer_seq = NULL", 2)], "transaction", "1-2"),
    "a leg that is its own counterpart": ([posting("peer_wallet_id = 1, peer_seq = 2", 2)], "transaction", "1-2"),
    "a leg that is none any more": ([posting("peer_wallet_id = NULL, peer_seq = NULL", 1, 2)], "transaction", "1-2"),
    "a leg in another currency": (["UPDATE wallets SET currency = 'USD' WHERE id = 2"], "transaction", "1-2"),
    "a leg reversed on one side": ([posting("reverses = NULL", 2, 2)], "transaction", "1-3"),
    "a reversal of nothing": ([posting("reverses = 99", 7)], "transaction", "1-7"),
    "a reversal of itself": ([posting("reverses = 7", 7)], "transaction", "1-7"),
    "a reversal of what came later": ([posting("reverses = 6", 3)], "transaction", "1-3"),
    "a reversal of a reversal": (
        [posting("is_credit = 0, reverses = 7", 8)],
        "transaction",
        "1-8",
    ),
    "a reversal the same way": ([posting("reverses = 1", 7)], "transaction", "1-7"),
    "a reversal of one leg alone": ([posting("reverses = 2", 7)], "transaction", "1-7"),
    "more reversed than there was": ([posting("amount = amount + 1", 7)], "transaction", "1-6"),
    "less to reverse than was": ([posting("amount = amount - 1", 6)], "transaction", "1-6"),
    "a capture of no hold": ([posting("hold = 9", 4)], "transaction", "1-4"),
    "a capture that is a credit": ([posting("is_credit = 1", 4)], "transaction", "1-4"),
    "a capture of another amount": ([posting("amount = amount + 1", 4)], "hold", "1-h1"),
    "a capture that is none any more": ([posting("hold = NULL", 5)], "hold", "1-h1"),
    "a capture of another hold": ([posting("hold = 3", 5)], "hold", "1-h1"),
    "a hold that has captured more": ([holding("captured = captured + 1", 1)], "hold", "1-h1"),
    "a hold that has captured with no capture": ([holding("captured = 1", 2)], "hold", "1-h2"),
    "a void that became a capture": ([holding("status = 'captured'", 3)], "hold", "1-h3"),
    "a void that became an expiry": ([holding("status = 'expired'", 3)], "hold", "1-h3"),
    "a hold that ended before it began": ([holding("ended_at_us = created_at_us - 1", 3)], "hold", "1-h3"),
    "a hold that expired before it began": ([holding("expires_at_us = created_at_us", 2)], "hold", "1-h2"),
    "a hold for a wallet that is not there": ([holding("wallet_id = 9", 2)], "hold", "9-h2"),
    "an ended hold opened again": ([holding("status = 'open', ended_at_us = NULL", 3)], "wallet", 1),
    "an open hold ended": ([holding("status = 'voided', ended_at_us = created_at_us", 2)], "wallet", 1),
    "a hold for more": ([holding("amount = amount + 1", 2)], "wallet", 1),
    "an open hold deleted": ([f"DELETE FROM holds WHERE {hold(2)}"], "wallet", 1),
    "an ended hold deleted": ([f"DELETE FROM holds WHERE {hold(3)}"], "wallet", 1),
    "a gap in the numbers of holds": ([holding("number = 4", 3)], "wallet", 1),
    "a wallet that holds more": (["UPDATE wallets SET held = held + 1 WHERE id = 1"], "wallet", 1),
    "a wallet that holds with no hold": (["UPDATE wallets SET held = 1 WHERE id = 2"], "wallet", 2),
    "a wallet that has had more holds": (["UPDATE wallets SET holds = 4 WHERE id = 1"], "wallet", 1),
    "a wallet that has had fewer holds": (["UPDATE wallets SET holds = 0 WHERE id = 1"], "wallet", 1),
}


@pytest.mark.parametrize(("statements", "kind", "first_bad"), LINKS.values(), ids=LINKS)
def test_rows_that_do_not_agree_are_named_though_each_chain_holds(
    business: Address, statements: list[str], kind: str, first_bad: str | int
) -> None:
    tamper(business, *statements)
    rewrite(business)
    done = run("verify --json")
    assert (done.code, done.out, done.error["code"]) == (7, "", "storage_error")
    assert done.error["details"].get(kind) == first_bad
    # A wallet is told as whoever reads it can name it.
    name = {1: "1/main", 2: "1/savings"}[first_bad] if kind == "wallet" else first_bad  # type: ignore[index]
    assert done.error["message"].startswith(f"{kind} {name}: ")
    plain = run("verify")
    assert (plain.code, plain.out) == (7, "")
    assert f"{kind} {name}" in plain.err


def test_a_chain_rewritten_with_nothing_changed_is_the_same(business: Address) -> None:
    before = dump(business)
    rewrite(business)
    assert dump(business) == before
    assert run("verify -q").out == "10\n"


def test_one_wallet_is_checked_with_what_it_is_linked_to(business: Address) -> None:
    tamper(business, posting("amount = amount + 1", 2))
    rewrite(business)
    assert run("verify 1 --json").error["details"]["transaction"] == "1-2"
    assert run("verify 1/savings --json").error["details"]["transaction"] == "2-1"
    tamper(business, posting("amount = amount - 1", 2), holding("captured = captured - 1", 1))
    rewrite(business)
    assert run("verify 1 --json").error["details"]["hold"] == "1-h1"
    assert run("verify 1/savings --json").json == {"ok": True, "wallets": 1, "transactions": 2}


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ("ended_at_us = created_at_us", 2),
        ("ended_at_us = NULL", 3),
        ("status = 'gone'", 3),
        ("captured = amount", 2),
        ("captured = -1", 3),
    ],
)
def test_a_hold_that_no_constraint_would_take_is_named(business: Address, change: str, number: int) -> None:
    tamper(business, holding(change, number))
    if change.startswith("captured"):
        # The captures would be found first.
        tamper(business, posting(f"hold = {number}, amount = (SELECT captured FROM holds WHERE {hold(number)})", 6))
        tamper(business, "UPDATE transactions SET reverses = NULL")
        tamper(business, posting("peer_wallet_id = NULL, peer_seq = NULL", 3))
        tamper(business, posting("peer_wallet_id = NULL, peer_seq = NULL", 2, 2))
        rewrite(business)
    assert run("verify 1 --json").error["details"]["hold"] == f"1-h{number}"
    assert run("verify").code == 7


def test_a_hold_that_was_released_behind_its_back_is_named(business: Address) -> None:
    """As if it had expired: whoever may write to the file, and computes no hash, could spend what is held."""
    tamper(business, holding("status = 'expired', ended_at_us = expires_at_us", 2))
    for table in ("wallets", "witnesses"):
        tamper(business, f"UPDATE {table} SET held = 0 WHERE {'id' if table == 'wallets' else 'wallet_id'} = 1")
    reason = "it differs from its last event in its status and ended_at"
    assert run("verify --json").error["details"] == {"hold": "1-h2", "reason": reason}


def test_what_is_wrong_first_with_each_is_listed(business: Address) -> None:
    tamper(business, "UPDATE users SET name = 'x' WHERE id = 1")
    tamper(business, "UPDATE events SET actor = 'terminal boss' WHERE kind = 2 AND subject_id = 2 AND number = 1")
    tamper(business, f"UPDATE transactions SET amount = amount + 1 WHERE {row(2)}")
    error = run("verify --json").error
    assert error["message"].startswith("transaction 1-2: ")
    assert error["message"].endswith("; and 2 more are wrong")
    assert [next(iter(each)) for each in error["details"]["wrong"]] == ["transaction", "user", "wallet"]


@pytest.mark.parametrize("change", ["details = 'x'", "details = '[1]'", "at_us = 9223372036854775807"])
def test_an_event_that_cannot_be_read_is_named_by_the_audit_trail(business: Address, change: str) -> None:
    tamper(business, f"UPDATE events SET {change} WHERE kind = 2 AND subject_id = 2 AND number = 1")
    done = run("audit 1/savings --json")
    assert (done.code, done.error["code"]) == (7, "storage_error")
    assert "event w2-1 cannot be read" in done.error["message"]
    assert run("export").code in (0, 7)
    assert run("verify --json").code == 7


def test_a_hold_that_has_lapsed_is_no_tampering(business: Address) -> None:
    with unchecked(business) as raw:
        (placed,) = forging.read(raw, "holds", "WHERE wallet_id = 1 AND number = 2")
        forging.change_with_its_event(raw, "holds", placed, created_at_us=10, expires_at_us=20)
    assert run("verify -q").out == "10\n"
    assert run("balance 1 --json").json["held"] == "0.00"


TRIGGER = "CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
STRANGE = {
    "a trigger": ("CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1; END", "trigger t", TRIGGER, "trigger t"),
    "a view, or a rule": (
        "CREATE VIEW v AS SELECT 1",
        "view v",
        "CREATE RULE r AS ON DELETE TO users DO NOTHING",
        "rule r",
    ),
    "an index more": 2 * ("CREATE INDEX i ON transactions (at_us)", "i"),
    "an index less": 2 * ("DROP INDEX ix_holds_open", "ix_holds_open"),
    "a column more": 2 * ("ALTER TABLE users ADD COLUMN email TEXT", "users"),
    "a table more, or a check less": (
        *("CREATE TABLE other (id INTEGER)", "table other"),
        *("ALTER TABLE users DROP CONSTRAINT ck_users_key", "ck_users_key"),
    ),
}
"""What is done on SQLite and what is said of it; and the same on PostgreSQL."""


@pytest.mark.parametrize("name", STRANGE)
def test_a_schema_that_was_changed_is_found(own_history: Address, name: str) -> None:
    statement, words = STRANGE[name][:2] if isinstance(own_history, Path) else STRANGE[name][2:]
    execute(own_history, statement)
    done = run("verify --json")
    assert (done.code, words in done.error["message"]) == (7, True), done.err


OF_ITS_OWN_NAMES = {
    "trigger sqlite_t": "CREATE TRIGGER sqlite_t AFTER INSERT ON users BEGIN SELECT 1; END",
    "trigger sqlite_stat1": "CREATE TRIGGER sqlite_stat1 AFTER INSERT ON users BEGIN SELECT 1; END",
    "view sqlite_v": "CREATE VIEW sqlite_v AS SELECT 1",
}


@pytest.mark.on_file("the names are SQLite's")
@pytest.mark.parametrize("what", OF_ITS_OWN_NAMES)
def test_a_name_that_sqlite_would_give_hides_nothing(own_history: Address, what: str) -> None:
    kind, name = what.split()
    execute(
        own_history,
        "PRAGMA writable_schema=1; INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql)"
        f" VALUES ('{kind}', '{name}', '{'users' if kind == 'trigger' else name}', 0, '{OF_ITS_OWN_NAMES[what]}')",
    )
    done = run("verify --json")
    assert (done.code, f"{what} does not belong" in done.error["message"]) == (7, True), done.err


KEYS = "uq_transactions_wallet_id_key_user_key"
LOST = {
    "an index": (f"DROP INDEX {KEYS}", KEYS),
    "the rows of an index": (
        f"DROP INDEX {KEYS}; CREATE UNIQUE INDEX {KEYS} ON transactions (wallet_id, key) WHERE key = 'a'",
        KEYS,
    ),
    "another index": ("DROP INDEX uq_users_key", "uq_users_key"),
    "a column": ("ALTER TABLE holds RENAME COLUMN note TO notes", "holds"),
    "a table": ("ALTER TABLE operators RENAME TO others", "operators"),
}
"""What statements name, and do not find; and what is named."""


@pytest.mark.parametrize("name", LOST)
def test_what_a_statement_does_not_find_is_damage_and_ends_the_writes(own_history: Address, name: str) -> None:
    statements, words = LOST[name]
    execute(own_history, statements)
    of_wallet = run("verify 1 --json")  # it asks only what is of the wallet
    for done in (of_wallet, run("verify --json")) if of_wallet.code else (run("verify --json"),):
        assert done.error["message"].startswith("the schema was changed: ")
        assert words in done.error["details"]["reason"]
    written = run("tx add 1 5 --credit --json")
    assert (written.code, "the schema was changed" in written.error["message"]) == (7, True)


def test_what_analyze_makes_is_no_change(history: Address) -> None:
    execute(history, "ANALYZE")
    assert run("verify").code == 0


SEQ, LOCK = (schema_check.OF_OTHERS[f"table _litestream_{name}"] for name in ("seq", "lock"))


@pytest.mark.on_file("Litestream copies files")
@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ([SEQ, LOCK], None),
        ([SEQ.replace("seq INTEGER", "seq TEXT")], "table _litestream_seq"),
        ([SEQ, "CREATE TRIGGER t AFTER INSERT ON _litestream_seq BEGIN DELETE FROM holds; END"], "trigger t"),
        (["CREATE TABLE _litestream_more (id INTEGER)"], "table _litestream_more"),
    ],
)
def test_of_another_program_the_tables_of_litestream_alone_belong(
    own_history: Address, statements: list[str], said: str | None
) -> None:
    for statement in statements:
        execute(own_history, statement)
    done = run("verify --json")
    if said is None:
        assert done.code == 0, done
    else:
        assert (done.code, said in done.error["message"]) == (7, True), done.err


def test_what_the_schema_is_compared_with_is_what_the_migrations_make() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/schema.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
