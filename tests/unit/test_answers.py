"""The JSON of the interface: these fields, in this order, with these shapes; scripts rely on it."""

from __future__ import annotations

from wallet_cli.domain import chain
from wallet_cli.domain.model import Account, Policy, Transaction, User, Wallet
from wallet_cli.domain.money import Currency
from wallet_cli.domain.period import Period
from wallet_cli.services.answers import total_answer, transaction_answer, user_answer, wallet_answer

AT_US = 1_795_341_600_000_000  # 2026-11-22T10:00:00Z
INR_WALLET = Wallet(7, 1, "main", Currency("INR", 2), "active", None, AT_US)
EMPTY = chain.unopened(INR_WALLET)


def transaction(seq: int, is_credit: bool, amount: int, credit_total: int, debit_total: int, count: int) -> Transaction:
    return Transaction(7, seq, is_credit, amount, credit_total, debit_total, count, AT_US + seq, None, None, bytes(32))


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
    ]


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
    row = Transaction(7, 2, False, 12_050, 50_000, 12_050, 1, AT_US, "Groceries [b]", "k-2", bytes(32))
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
    ]


def test_a_total_of_all_time_has_no_bounds() -> None:
    answer = total_answer(INR_WALLET, Period(None, None), EMPTY, EMPTY)
    assert (answer["from"], answer["to"], answer["net"], answer["debit_count"]) == (None, None, "0.00", 0)
