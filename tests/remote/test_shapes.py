"""What counts as an answer: the classes of fields.py, with room for what newer servers add."""

from __future__ import annotations

from typing import Any, is_typeddict

import pytest

from wallet_cli.operations import fields
from wallet_cli.remote.shapes import check_of

pytestmark = pytest.mark.on_file("asks no ledger")

POSTED: dict[str, Any] = {
    "id": "1-2",
    "wallet_id": 1,
    "seq": 2,
    "kind": "debit",
    "is_credit": False,
    "amount": "10.00",
    "balance": "-5.00",
    "currency": "INR",
    "at": "2024-04-30T20:00:00.000000Z",
    "note": None,
    "key": None,
}
WITHOUT = object()

# A field of a transaction, what is there in its place, and whether it is one still.
VARIANTS: tuple[tuple[str, Any, bool], ...] = (
    ("note", "a\nb \x1b[31m", True),
    ("note", 5, False),
    ("note", WITHOUT, False),
    ("balance", 5.0, False),
    ("balance", 5, False),
    ("balance", "5", True),
    ("balance", "\x1b[31m5.00", False),
    ("balance", "5.00\n", False),
    ("balance", "", False),
    ("balance", None, False),
    ("id", "1-2\x1b]0;x\x07", False),
    ("wallet_id", True, False),
    ("wallet_id", 1.0, False),
    ("is_credit", 1, False),
    ("is_credit", None, False),
    ("kind", "of the future", True),
    ("kind", 1, False),
    ("meta", {"a": [1, None, 2**70]}, True),
    ("meta", None, False),
    ("replayed", True, True),
    ("replayed", "yes", False),
    ("of_the_future", {"a": 1}, True),
)


def test_a_transaction_is_one() -> None:
    assert check_of(fields.Transaction)(POSTED)


@pytest.mark.parametrize(("name", "value", "fits"), VARIANTS)
def test_another_value(name: str, value: Any, fits: bool) -> None:
    posted = {field: each for field, each in (POSTED | {name: value}).items() if each is not WITHOUT}
    assert check_of(fields.Transaction)(posted) is fits
    assert check_of(fields.TransactionPage)({"transactions": [POSTED, posted], "next_cursor": None}) is fits
    assert check_of(list[fields.Transaction])([posted]) is fits


@pytest.mark.parametrize("shape", [each for each in vars(fields).values() if is_typeddict(each)])
def test_each_answer_can_be_checked(shape: Any) -> None:
    for other in (None, [], [{}], 5, "text", {"of_the_future": 1}):
        assert not check_of(shape)(other), other
