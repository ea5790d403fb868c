"""Use cases that meet more than one rule at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli import Outcome

Wallet = Callable[[str], Outcome]


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
