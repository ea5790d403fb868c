"""Use cases that meet more than one rule at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from support.cli import Outcome

from wallet_cli.domain.commands import EndRestore, NoteUse, SetLedger, Single
from wallet_cli.domain.ids import HoldId, TransactionId, parse_wallet
from wallet_cli.operations import api_keys, holds, ledgers, transactions, users, wallets
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.prepared import Prepared

Wallet = Callable[[str], Outcome]

ETH, RUPEES, OTHER = parse_wallet("1/eth"), parse_wallet("1"), parse_wallet("1/other")
WRITES: tuple[Callable[[Ledger], Prepared[Single]], ...] = (
    lambda ledger: users.register(ledger, "+14155552671"),
    lambda ledger: wallets.create(ledger, ETH, "ETH/18"),
    lambda ledger: wallets.create(ledger, RUPEES, "INR", "0"),
    lambda ledger: wallets.create(ledger, OTHER, "INR", "0"),
    lambda ledger: transactions.add(ledger, ETH, "0.001", is_credit=True),
    lambda ledger: transactions.add(ledger, RUPEES, "50", is_credit=True),
    lambda ledger: transactions.add(ledger, RUPEES, "5", is_credit=False),
    lambda ledger: transactions.transfer(ledger, RUPEES, OTHER, "5"),
    lambda ledger: transactions.reverse(ledger, TransactionId(2, 2)),
    lambda ledger: holds.add(ledger, RUPEES, "5"),
    lambda ledger: holds.capture(ledger, HoldId(2, 1), "2", keep=True),
    lambda ledger: holds.void(ledger, HoldId(2, 1)),
    lambda ledger: wallets.set_limits(ledger, ETH, daily_debit="0.0001"),
    lambda ledger: wallets.set_status(ledger, ETH, "frozen"),
    lambda ledger: wallets.set_status(ledger, ETH, "active"),
    lambda _: api_keys.create("till"),
    lambda _: api_keys.revoke("till"),
)
"""Every use case that writes, in an order in which none is refused."""


@pytest.mark.parametrize("minimum", ["20", "-20", "10000000000000", "0.0000000000000000001"])
def test_an_answer_is_made_of_what_was_decided_alone(
    ledger: Ledger, minimum: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the settings are: after the commit nothing is read, nor the clock, and nothing can be refused."""
    ledger.executor.policy = ledger.executor.policy._replace(minimum_balance=minimum)
    done: set[type] = {NoteUse, EndRestore}  # nobody is answered
    for prepare in WRITES:
        prepared = prepare(ledger)
        result = ledger.carry_out(prepared.command, "a write")
        with monkeypatch.context() as gone:
            for name in ("store", "executor"):
                gone.delattr(ledger, name)
            assert prepared.answer(result)
        done.add(type(prepared.command))
    results = ledger.executor.run(ledgers.changes(ledger, {"minimum_balance": "5", "currency": "EUR"}), "ledger set")
    assert ledgers.changed(results) == ledgers.ledger_answer(ledger.store.itself().facts)
    done.add(SetLedger)
    assert {each for each in get_args(Single) if not each.__name__.startswith("Restore")} == done


def test_a_default_minimum_beyond_a_currency_is_no_obstacle(wallet: Wallet, tmp_path: Path) -> None:
    """What is read, changed, exported and imported is as with any other; only debits have to wait."""
    for line in ("register 9886977544", "create 1", "create 1/eth --currency ETH/18", "credit 1/eth 0.001"):
        assert wallet(line).code == 0
    assert wallet("ledger set minimum_balance 20").code == 0
    debit = wallet("debit 1/eth 0.0001 --json")
    assert (debit.code, debit.error["code"]) == (4, "insufficient_funds")
    assert debit.error["details"]["minimum_balance"] == f"20.{'0' * 18}"
    for line in (
        *("list", "balance 1/eth", "limits 1/eth", "freeze 1/eth", "unfreeze 1/eth", "limits 1/eth --daily-debit none"),
        *("create 1/more --currency ETH/18", "create 1/more --currency ETH/18 --exist-ok", "close 1/more", "verify"),
    ):
        assert wallet(line).code == 0, line
    asked = wallet("create 1/eth --currency ETH/18 --minimum-balance 0 --exist-ok --json")
    assert asked.error["code"] == "wallet_exists"
    file, copy = tmp_path / "all.jsonl", f"--db {tmp_path / 'copy.db'}"
    file.write_text(wallet("export").out)
    assert wallet(f"{copy} import {file}").code == 0
    assert wallet(f"{copy} export").out == file.read_text()
    # No credit helps, and what is said to help does.
    assert debit.error["hint"].endswith("wallet limits WALLET --minimum-balance 0")
    assert wallet("limits 1/eth --minimum-balance 0").code == 0
    assert wallet("debit 1/eth 0.0001").code == 0


def test_the_minimum_fits_a_wallet_or_it_is_refused_whole(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    """20.50 cannot be a minimum in yen: whatever the answer is, it has to be true of the ledger."""
    wallet("register 9886977544")
    monkeypatch.setenv("MINIMUM_BALANCE", "20.50")
    answer = wallet("create 1/yen --currency JPY --json")
    monkeypatch.delenv("MINIMUM_BALANCE")
    there = wallet("balance 1/yen").code == 0
    assert there == (answer.code == 0), "an error, and yet the wallet was opened"


def test_an_existing_wallet_is_accepted_as_it_is(wallet: Wallet) -> None:
    wallet("register 9886977544")
    first = wallet("create 1 --minimum-balance 5 --json").json
    assert wallet("create 1 --exist-ok --json").json == first
    assert wallet("create 1 --currency INR --exist-ok --json").json == first
    assert wallet("create 1 --minimum-balance 5.00 --exist-ok --json").json == first
    for option, hint in (
        ("--currency USD", "--exist-ok accepts an existing wallet in the same currency"),
        ("--minimum-balance 6", "its minimum balance is 5.00; to change it: wallet limits WALLET --minimum-balance A"),
    ):
        other = wallet(f"create 1 {option} --exist-ok --json")
        assert (other.code, other.error["code"], other.error["hint"]) == (5, "wallet_exists", hint)


def test_a_user_is_the_same_however_the_number_is_typed(wallet: Wallet, tmp_path: Path) -> None:
    first = wallet("register '98869 77544' --name Asha --json").json
    assert first["phone_number"] == "98869 77544"
    for typed in ("9886977544", "'+91 (98869) 77-544'", "09886977544"):
        again = wallet(f"register {typed} --json")
        assert (again.code, again.error["code"]) == (5, "user_exists")
        assert wallet(f"register {typed} --exist-ok --name Another --json").json == first
    wallet("create 1")
    for typed in ("9886977544", "'+91 (98869) 77-544'", "09886977544", "id:1", "1"):
        assert wallet(f"balance {typed} --json").json["id"] == 1
