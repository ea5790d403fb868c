"""The JSON of the interface: these fields, in this order, with these shapes; scripts rely on it."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from wallet_cli.domain import hash_chain
from wallet_cli.domain.model import Account, Hold, Policy, Transaction, User, Wallet
from wallet_cli.domain.money import Currency
from wallet_cli.domain.period import Period
from wallet_cli.domain.remarks import Remarks
from wallet_cli.operations import fields
from wallet_cli.operations.answers import hold_answer, total_answer, transaction_answer, user_answer, wallet_answer
from wallet_cli.operations.statements import Statement, head_answer

AT_US = 1_795_341_600_000_000  # 2026-11-22T10:00:00Z
INR_WALLET = Wallet(7, 1, "main", Currency("INR", 2), "active", None, AT_US)
EMPTY = hash_chain.unopened(INR_WALLET)


def transaction(seq: int, is_credit: bool, amount: int, credit_total: int, debit_total: int, count: int) -> Transaction:
    return Transaction(7, seq, is_credit, amount, credit_total, debit_total, count, AT_US + seq, None, bytes(32))


def test_a_user() -> None:
    user = User(1, "98869 77544", "+919886977544", "IN", "9886977544", None, AT_US)
    assert list(user_answer(user).items()) == [
        ("id", 1),
        ("phone_number", "98869 77544"),
        ("phone_e164", "+919886977544"),
        ("name", None),
        ("created_at", "2026-11-22T10:00:00.000000Z"),
    ]


def test_a_wallet() -> None:
    account = Account(INR_WALLET, transaction(3, False, 1, 50_000, 12_050, 2))
    assert list(wallet_answer(account, Policy("20")).items()) == [
        ("id", 7),
        ("user_id", 1),
        ("type", "main"),
        ("currency", "INR"),
        ("status", "active"),
        ("balance", "379.50"),
        ("held", "0.00"),
        ("available", "359.50"),
        ("minimum_balance", "20.00"),
        ("transactions", 3),
        ("created_at", "2026-11-22T10:00:00.000000Z"),
        ("maximum_balance", None),
        ("daily_debit", None),
        ("wallet", INR_WALLET.name),
    ]


def test_a_wallet_with_limits_and_holds() -> None:
    wallet = INR_WALLET._replace(own_minimum=-500, maximum=100_000, daily_debit=0, held=3_000, hold_count=2)
    account = Account(wallet, transaction(3, False, 1, 50_000, 12_050, 2), expired=1_000)
    answer = wallet_answer(account, Policy("20"))
    assert (answer["balance"], answer["held"], answer["available"]) == ("379.50", "20.00", "364.50")
    assert (answer["minimum_balance"], answer["maximum_balance"], answer["daily_debit"]) == ("-5.00", "1000.00", "0.00")


def test_more_held_than_there_is_leaves_nothing_available() -> None:
    account = Account(INR_WALLET._replace(held=50_000), transaction(3, False, 1, 50_000, 12_050, 2))
    assert (answer := wallet_answer(account, Policy()))["available"] == "0.00"
    assert answer["held"] == "500.00"


def test_a_wallet_with_less_than_its_minimum_has_nothing_available() -> None:
    answer = wallet_answer(Account(INR_WALLET, EMPTY), Policy("20"))
    assert (answer["balance"], answer["available"], answer["transactions"]) == ("0.00", "0.00", 0)


def test_an_overdraft_is_available() -> None:
    wallet = INR_WALLET._replace(own_minimum=-500)
    answer = wallet_answer(Account(wallet, EMPTY), Policy("20"))
    assert (answer["minimum_balance"], answer["available"]) == ("-5.00", "5.00")


def test_points_have_no_fraction() -> None:
    wallet = INR_WALLET._replace(currency=Currency("PTS/0", 0))
    answer = wallet_answer(Account(wallet, transaction(1, True, 250, 250, 0, 1)), Policy())
    assert (answer["currency"], answer["balance"], answer["held"]) == ("PTS/0", "250", "0")


def test_a_transaction() -> None:
    row = Transaction(7, 2, False, 12_050, 50_000, 12_050, 1, AT_US, "k-2", bytes(32), remarks=Remarks("Groceries [b]"))
    assert list(transaction_answer(row, INR_WALLET).items()) == [
        ("id", "7-2"),
        ("wallet_id", 7),
        ("seq", 2),
        ("kind", "debit"),
        ("is_credit", False),
        ("amount", "120.50"),
        ("balance", "379.50"),
        ("currency", "INR"),
        ("at", "2026-11-22T10:00:00.000000Z"),
        ("note", "Groceries [b]"),
        ("key", "k-2"),
    ]


def test_a_replayed_transaction_says_so_last() -> None:
    first = transaction_answer(transaction(1, True, 5, 5, 0, 1), INR_WALLET)
    again = transaction_answer(transaction(1, True, 5, 5, 0, 1), INR_WALLET, replayed=True)
    assert (first["kind"], first["is_credit"], first["note"], first["key"]) == ("credit", True, None, None)
    assert list(again.items()) == [*first.items(), ("replayed", True)]


def test_what_a_transaction_need_not_have_stands_last_where_it_has_it() -> None:
    plain = transaction(5, False, 5, 50, 10, 2)
    usual = list(transaction_answer(plain, INR_WALLET).items())

    def more(**fields: Any) -> list[tuple[str, Any]]:
        items = list(transaction_answer(plain._replace(**fields), INR_WALLET).items())
        assert items[: len(usual)] == usual
        return items[len(usual) :]

    assert more() == []
    assert more(remarks=Remarks(meta='{"order":"1041","n":[1,true,null]}')) == [
        ("meta", {"order": "1041", "n": [1, True, None]})
    ]
    assert more(peer_wallet_id=9, peer_seq=2) == [("transfer", "9-2")]
    assert more(reverses=3) == [("reverses", "7-3")]
    assert more(hold=4) == [("hold", "7-h4")]
    assert more(forced=True) == [("forced", True)]
    everything = more(remarks=Remarks(meta='{"a":1}'), peer_wallet_id=9, peer_seq=2, reverses=3, hold=4, forced=True)
    assert [name for name, _ in everything] == ["meta", "transfer", "reverses", "hold", "forced"]
    again = transaction_answer(plain._replace(forced=True), INR_WALLET, replayed=True)
    assert list(again)[-2:] == ["forced", "replayed"]


HOLD = Hold(7, 3, 5_000, 1_000, "open", AT_US, AT_US + 10, None, "room 12", "h-1")


def test_a_hold() -> None:
    assert list(hold_answer(HOLD, INR_WALLET, AT_US).items()) == [
        ("id", "7-h3"),
        ("wallet_id", 7),
        ("status", "open"),
        ("amount", "50.00"),
        ("captured", "10.00"),
        ("held", "40.00"),
        ("currency", "INR"),
        ("created_at", "2026-11-22T10:00:00.000000Z"),
        ("expires_at", "2026-11-22T10:00:00.000010Z"),
        ("ended_at", None),
        ("note", "room 12"),
        ("key", "h-1"),
    ]
    again = hold_answer(HOLD, INR_WALLET, AT_US, replayed=True)
    assert list(again.items())[-1] == ("replayed", True)


@pytest.mark.parametrize(
    ("status", "ended_us", "now_us", "told", "held", "ended_at"),
    [
        ("open", None, 9, "open", "40.00", None),
        # Whether it has been noted or not, it has expired at the same moment.
        ("open", None, 10, "expired", "0.00", "2026-11-22T10:00:00.000010Z"),
        ("expired", 10, 99, "expired", "0.00", "2026-11-22T10:00:00.000010Z"),
        ("captured", 5, 99, "captured", "0.00", "2026-11-22T10:00:00.000005Z"),
        ("voided", 7, 99, "voided", "0.00", "2026-11-22T10:00:00.000007Z"),
    ],
)
def test_a_hold_keeps_something_while_it_is_open(
    status: str, ended_us: int | None, now_us: int, told: str, held: str, ended_at: str | None
) -> None:
    hold = HOLD._replace(status=status, ended_at_us=None if ended_us is None else AT_US + ended_us)
    answer = hold_answer(hold, INR_WALLET, AT_US + now_us)
    assert (answer["status"], answer["held"], answer["ended_at"]) == (told, held, ended_at)


def test_a_total() -> None:
    opening = transaction(1, True, 100, 100, 0, 1)
    closing = transaction(4, False, 30, 350, 80, 2)
    period = Period(AT_US, AT_US + 1_000_000)
    assert list(total_answer(INR_WALLET, period, opening, closing).items()) == [
        ("wallet_id", 7),
        ("currency", "INR"),
        ("from", "2026-11-22T10:00:00.000000Z"),
        ("to", "2026-11-22T10:00:00.999999Z"),
        ("opening_balance", "1.00"),
        ("credit_total", "2.50"),
        ("debit_total", "0.80"),
        ("credit_count", 1),
        ("debit_count", 2),
        ("net", "1.70"),
        ("closing_balance", "2.70"),
        ("wallet", INR_WALLET.name),
    ]


def test_a_total_of_all_time_has_no_bounds() -> None:
    answer = total_answer(INR_WALLET, Period(None, None), EMPTY, EMPTY)
    assert (answer["from"], answer["to"], answer["net"], answer["debit_count"]) == (None, None, "0.00", 0)


EVERY_REMARK = Remarks(*["{}"] * len(Remarks._fields))


def test_answers_have_the_fields_of_the_list_in_its_order() -> None:
    user = User(1, "98869 77544", "+919886977544", "IN", "9886977544", None, AT_US)
    last = transaction(3, False, 5, 50, 10, 2)
    whole = last._replace(
        remarks=EVERY_REMARK,
        peer_wallet_id=9,
        peer_seq=2,
        reverses=1,
        hold=4,
        forced=True,
        key="k",
        user_key=True,
        actor="key k",
    )
    period = Period(AT_US, AT_US + 1)
    statement = Statement(user, INR_WALLET, period, EMPTY, last, AT_US, UTC, lambda: iter(()))
    for answer, listed in (
        (user_answer(user) | {"replayed": True}, fields.User),
        (wallet_answer(Account(INR_WALLET, last), Policy()) | {"replayed": True}, fields.Wallet),
        (transaction_answer(whole, INR_WALLET, replayed=True), fields.Transaction),
        (hold_answer(HOLD, INR_WALLET, AT_US, replayed=True), fields.Hold),
        (total_answer(INR_WALLET, period, EMPTY, last), fields.Total),
        (head_answer(statement), fields.StatementHead),
    ):
        assert list(answer) == list(listed.__annotations__)
