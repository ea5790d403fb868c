"""The rules of reading an export back, as tables: each thing in its place. The form is that of support/book.py."""

from __future__ import annotations

from typing import Any

import pytest
from support.book import INR, Book, everything, play

from wallet_cli.domain import events
from wallet_cli.domain.commands import (
    Applied,
    CaptureHold,
    EndRestore,
    OpenWallet,
    PlaceHold,
    Post,
    Refusal,
    Register,
    Replayed,
    RestoreEvent,
    RestoreHold,
    RestoreState,
    RestoreTransaction,
    Restoring,
    Result,
    Reverse,
    SetLimits,
    SetStatus,
    Transfer,
    VoidHold,
)
from wallet_cli.domain.model import Event, Hold, Policy, Transaction, User, Wallet
from wallet_cli.domain.money import Currency
from wallet_cli.domain.phone import Phone
from wallet_cli.domain.remarks import NOTHING
from wallet_cli.domain.rules import State, execute

TABLES = {
    "transactions: each in its place, and again": """
        wallet 1 active -
        now restore id  kind amount at key → result
         50 restore 1-1 credit 100 10 a    → applied 1-1 100
         50 restore 1-2 debit   30 20 -    → applied 1-2 70
         50 restore 1-1 credit 100 10 a    → replayed 1-1 100
         50 restore 1-2 debit   30 20 -    → replayed 1-2 70
         50 restore 1-3 debit   70 20 -    → applied 1-3 0
    """,
    "transactions: floors, limits and status are not asked": """
        wallet 1 frozen 20 max=50 daily=10
         50 restore 1-1 debit  100 10 -    → applied 1-1 -100
         50 restore 1-2 credit 500 10 -    → applied 1-2 400
    """,
    "transactions: another one in the same place": """
        wallet 1 active -
         50 restore 1-1 credit 100 10 a    → applied 1-1 100
         50 restore 1-1 credit 101 10 a    → restore_conflict
         50 restore 1-1 debit  100 10 a    → restore_conflict
         50 restore 1-1 credit 100 11 a    → restore_conflict
         50 restore 1-1 credit 100 10 -    → restore_conflict
         50 restore 1-1 credit 100 10 a reverses=1 → restore_conflict
         50 restore 1-1 credit 100 10 a peer=2-1   → restore_conflict
         50 restore 1-1 credit 100 10 a hold=1     → restore_conflict
    """,
    "transactions: out of place": """
        wallet 1 active -
         50 restore 1-2 credit 100 10 -    → restore_conflict
         50 restore 1-0 credit 100 10 -    → restore_conflict
         50 restore 9-1 credit 100 10 -    → wallet_not_found
         50 restore 1-1 credit 100 10 -    → applied 1-1 100
         50 restore 1-3 credit 100 10 -    → restore_conflict
    """,
    "transactions: what no ledger would hold": """
        wallet 1 active -
         50 restore 1-1 credit 100 20 a    → applied 1-1 100
         50 restore 1-2 credit 100 20 a    → key_reused
         50 restore 1-2 credit   0 20 -    → invalid_input
         50 restore 1-2 credit MAX+1 20 -  → invalid_input
         50 restore 1-2 credit 100 51 -    → invalid_input
         50 restore 1-2 credit 100 19 -    → time_conflict
        wallet 2 active - TOTAL-5 TOTAL-5
         50 restore 2-3 credit   6 20 -    → balance_overflow
         50 restore 2-3 debit    6 20 -    → balance_overflow
         50 restore 2-3 debit    5 20 -    → applied 2-3 -5
    """,
    "transactions: with their links": """
        wallet 1 active -
        wallet 2 active -
         50 restore 1-1 credit 100 10 -          → applied 1-1 100
         50 restore 2-1 credit   1 10 -          → applied 2-1 1
         50 restore 1-2 debit   40 20 - hold=1   → applied 1-2 60
         50 restore 1-3 credit  40 20 - reverses=2 → applied 1-3 100
         50 restore 1-3 credit  40 20 - reverses=2 → replayed 1-3 100
        # What has been taken back counts for those that come later.
         50 reverse 1-2  1 - - -                 → reversal_exceeds_original
         50 reverse 1-1  1 - - -                 → applied 1-4 99
    """,
    "holds: each in its place, and again": """
        wallet 1 active - 100
        now put hold amount captured status created expires ended key → result
         50 put 1-h1 30 10 captured 10 60 20 k   → applied 1-h1 captured 30 10
         50 put 1-h2 30  5 open     20 90 -  -   → applied 1-h2 open 30 5
         50 put 1-h3 30  0 voided   20 90 25 -   → applied 1-h3 voided 30 0
         50 put 1-h4 30  0 expired  20 30 30 -   → applied 1-h4 expired 30 0
         50 row 1 → 25 4
         50 look 1 → active 100 25 75
         50 put 1-h1 30 10 captured 10 60 20 k   → replayed 1-h1 captured 30 10
         50 put 1-h2 30  5 open     20 90 -  -   → replayed 1-h2 open 30 5
         50 row 1 → 25 4
    """,
    "holds: another one, or out of place": """
        wallet 1 active - 100
         50 put 1-h2 30 10 captured 10 60 20 k   → restore_conflict
         50 put 9-h1 30 10 captured 10 60 20 k   → wallet_not_found
         50 put 1-h1 30 10 captured 10 60 20 k   → applied 1-h1 captured 30 10
         50 put 1-h1 31 10 captured 10 60 20 k   → restore_conflict
         50 put 1-h1 30 11 captured 10 60 20 k   → restore_conflict
         50 put 1-h1 30 10 captured 10 60 21 k   → restore_conflict
         50 put 1-h1 30 10 open     10 60 -  k   → restore_conflict
         50 put 1-h2 30 10 captured 10 60 20 k   → key_reused
         50 put 1-h0 30 10 captured 10 60 20 -   → restore_conflict
    """,
    "holds: one that expired on the way keeps nothing": """
        wallet 1 active - 100
         50 put 1-h1 30  0 open     10 40 -  -   → applied 1-h1 open 30 0
         50 look 1 → active 100 0 100
         50 see 1-h1 → expired 30 0
         50 debit 1 100 - - -                    → applied 1-2 0
         50 row 1-h1 → expired 40
    """,
    "keys: used by a hold, not free for a transaction, and the reverse": """
        wallet 1 active -
         50 put 1-h1 30 10 captured 10 60 20 k   → applied 1-h1 captured 30 10
         50 restore 1-1 credit 100 10 k          → key_reused
         50 restore 1-1 credit 100 10 j          → applied 1-1 100
         50 put 1-h2 30 10 captured 10 60 20 j   → key_reused
    """,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_rules(table: str) -> None:
    play(table)


def test_the_totals_and_the_hash_are_worked_out_as_they_once_were() -> None:
    """A history that was made, and the same one restored in an empty ledger, are the same rows."""
    made = play(
        """
        wallet 1 active -50
        wallet 2 active -
         11 credit   1 100 k - -              → applied 1-1 100
         12 transfer 1 2 60 - rent {"a":1}    → applied 1-2 40 2-1 60
         13 hold     1  30 100 h -            → applied 1-h1 open 30 0
         14 capture  1-h1 10 keep - -         → applied 1-3 30
         15 reverse  2-1 20 force r -         → applied 2-2 40 1-4 50 forced
        """
    )
    restored = play("wallet 1 active -50\nwallet 2 active -")
    for transaction in [*made.transactions[1], *made.transactions[2]]:
        (result,) = restored.carry_out([again(transaction)], 50)
        assert isinstance(result, Applied)
    (result,) = restored.carry_out([RestoreHold(made.holds[1, 1])], 50)
    assert isinstance(result, Applied)
    assert (restored.transactions, restored.holds) == (made.transactions, made.holds)
    assert restored.wallets == made.wallets


def again(transaction: Transaction) -> RestoreTransaction:
    facts = {name: value for name, value in transaction._asdict().items() if name in RestoreTransaction._fields}
    return RestoreTransaction(**facts)


@pytest.mark.parametrize(("balance", "expected"), [(None, "applied"), (100, "applied"), (99, "restore_conflict")])
def test_a_balance_that_is_said_has_to_come_out(balance: int | None, expected: str) -> None:
    book = play("wallet 1 active -")
    first = again(Transaction(1, 1, True, 100, 100, 0, 1, 10, None, bytes(32)))
    (result,) = book.carry_out([first._replace(balance=balance)], 50)
    assert book.told(result).split()[0] == expected


def ended(book: Book, **changes: Any) -> RestoreState:
    last = book.last(1)
    return RestoreState(1, last.seq, last.hash, "frozen", 20, 500, 70)._replace(**changes)


def told(result: Result) -> str:
    return result.error.code if isinstance(result, Refusal) else type(result).__name__.lower()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "applied"),
        ({"status": "closed"}, "applied"),
        ({"wallet_id": 9}, "wallet_not_found"),
        ({"transactions": 1}, "restore_conflict"),
        ({"transactions": 3}, "restore_conflict"),
        ({"hash": bytes(32)}, "restore_conflict"),
    ],
    ids=str,
)
def test_a_wallet_has_its_state_where_its_history_ends_as_it_did(changes: dict[str, Any], expected: str) -> None:
    book = play(
        """
        wallet 1 active -
         50 restore 1-1 credit 100 10 - → applied 1-1 100
         50 restore 1-2 debit   30 20 - → applied 1-2 70
        """
    )
    before = book.wallets[1]
    (result,) = book.carry_out([ended(book, **changes)], 50)
    assert told(result) == expected
    if expected == "applied":
        status = changes.get("status", "frozen")
        assert book.wallets[1] == before._replace(status=status, own_minimum=20, maximum=500, daily_debit=70)
        (result,) = book.carry_out([ended(book, **changes)], 50)
        assert isinstance(result, Replayed)
    else:
        assert book.wallets[1] == before


def test_a_conflict_over_the_end_of_a_wallet_names_both_hashes() -> None:
    book = play("wallet 1 active -\n 50 restore 1-1 credit 100 10 - → applied 1-1 100")
    (result,) = book.carry_out([ended(book, hash=bytes(32))], 50)
    assert isinstance(result, Refusal)
    assert bytes(32).hex() in result.error.message
    assert book.last(1).hash.hex() in result.error.message


def empty() -> State:
    state = State(Policy())
    state.empty = True
    state.events[events.OF_LEDGER] = None
    return state


# What every kind of restoring would do to a ledger that was not empty when it began, and what it may do.
RESTORED: dict[str, tuple[Any, Any]] = {
    "a user": (
        Register(Phone("3", "+913", None, None), None, 5, 2),
        Register(Phone("1", "+911", None, None), None, 0, 1),
    ),
    "a wallet": (OpenWallet(1, "x", INR, None, 5, 2), OpenWallet(1, "type1", INR, None, 0, 1)),
    "a transaction": (
        RestoreTransaction(1, 2, False, 500, 20, NOTHING, None, None, None, None, None, False),
        RestoreTransaction(1, 1, True, 100, 10, NOTHING, None, None, None, None, None, False),
    ),
    "a hold": (
        RestoreHold(Hold(1, 2, 9, 0, "open", 20, 99, None, None, None)),
        RestoreHold(Hold(1, 1, 10, 0, "open", 11, 110, None, None, None)),
    ),
}


@pytest.mark.parametrize("status", ["active", "frozen", "closed"])
@pytest.mark.parametrize("what", RESTORED)
def test_restoring_is_no_second_way_to_write(what: str, status: str) -> None:
    book = play("wallet 1 active - 100\n 11 hold 1 10 99 - - → applied 1-h1 open 10 0")
    new, there = RESTORED[what]
    book.wallets[1] = book.wallets[1]._replace(status=status)
    state = book.load([new, there], 50)
    state.restoring = False
    assert [told(result) for result in execute(state, [new, there], 50)] == ["restore_conflict", "replayed"]
    assert state.changes == []


@pytest.mark.parametrize(
    "changes", [{"status": "active"}, {"own_minimum": -500}, {"maximum": None}, {"daily_debit": None}]
)
def test_a_state_changes_no_wallet_of_a_ledger_that_was_not_empty(changes: dict[str, Any]) -> None:
    book = play("wallet 1 closed 0 max=5 daily=5")
    last = book.last(1)
    same = RestoreState(1, last.seq, last.hash, "closed", 0, 5, 5)
    batch = [same._replace(**changes), same]
    state = book.load(batch, 50)
    state.restoring = False
    results = execute(state, batch, 50)
    assert [told(result) for result in results] == ["restore_conflict", "replayed"]


def test_while_an_export_is_read_back_nothing_else_is_written() -> None:
    book = play("wallet 1 active - 100\nwallet 2 active - 100\n 11 hold 1 10 99 - - → applied 1-h1 open 10 0")
    others: list[Any] = [
        Register(PHONE, None), OpenWallet(1, "new", INR, None), Post(1, True, 1), Transfer(1, 2, 1), Reverse(1, 1),
        PlaceHold(1, 1, 9), CaptureHold(1, 1), VoidHold(1, 1), SetStatus(1, "frozen"), SetLimits(1, 5),
    ]  # fmt: skip
    state = book.load([*others, EndRestore()], 50)
    state.restoring = True
    results = execute(state, others, 50)
    # Their number is taken: the first is refused before that.
    assert {told(result) for result in results} <= {"restore_conflict", "user_exists"}
    assert state.changes == []
    state.fault = ("captures", (1, 1))
    (result,) = execute(state, [EndRestore()], 50)
    assert told(result) == "restore_conflict"
    assert "transaction 1-1 refers to something that is missing" in result.error.message  # type: ignore[union-attr]
    state.fault = None
    assert [told(result) for result in execute(state, [EndRestore(), Post(1, True, 1)], 50)] == ["applied", "applied"]


PHONE = Phone("1", "+911", None, None)
OTHER = Phone("2", "+912", None, None)


def test_users_and_wallets_are_restored_with_their_ids_and_times() -> None:
    state = empty()
    batch = [
        Register(OTHER, None, 7, 2),
        Register(PHONE, "Asha", 5, 1),
        Register(PHONE, "Asha", 5, 1),
        Register(PHONE, "Asha", 6, 1),
        Register(PHONE, "Asha", 5, 2),
        Register(PHONE, None, 5, 1),
        Register(OTHER, None, 7, 2),
        OpenWallet(1, "main", INR, None, 6, 2),
        OpenWallet(1, "main", INR, None, 6, 1),
        OpenWallet(1, "main", INR, None, 6, 1),
        OpenWallet(1, "main", INR, None, 7, 1),
        OpenWallet(1, "main", INR, None, 6, 2),
        OpenWallet(3, "main", INR, None, 6, 2),
        OpenWallet(2, "main", INR, -5, 8, 2),
    ]
    results = execute(state, batch, 50)
    assert [told(result) for result in results] == [
        "restore_conflict",
        "applied",
        "replayed",
        "restore_conflict",
        "restore_conflict",
        "restore_conflict",
        "applied",
        "restore_conflict",
        "applied",
        "replayed",
        "restore_conflict",
        "restore_conflict",
        "user_not_found",
        "applied",
    ]
    assert state.changes == [
        Restoring(True),
        User(1, "1", "+911", None, None, "Asha", 5),
        User(2, "2", "+912", None, None, None, 7),
        Wallet(1, 1, "main", INR, "active", None, 6),
        Wallet(2, 2, "main", INR, "active", -5, 8, opening_minimum=-5),
    ]


USER = Register(Phone("98868 00001", "+919886800001", "IN", "98868 00001"), "Asha", 5, 1, "u")
WALLET = OpenWallet(1, "main", INR, -500, 6, 1, "w")


@pytest.mark.parametrize(
    ("row", "changes"),
    [
        *((USER, {"phone": USER.phone._replace(**{name: text})}) for name, text in (
            ("typed", "+91 98868 00001"), ("e164", "+919886800002"), ("region", "US"), ("national", "9886800001"),
        )),
        *((USER, {name: value}) for name, value in (
            ("name", "Usha"), ("name", None), ("created_at_us", 6), ("id", 2), ("key", "v"), ("key", None),
        )),
        *((WALLET, {name: value}) for name, value in (
            ("type", "other"), ("currency", Currency("EUR", 2)), ("own_minimum", None), ("own_minimum", -501),
            ("created_at_us", 7), ("id", 2), ("key", "v"), ("key", None),
        )),
    ],
    ids=str,
)  # fmt: skip
def test_a_row_that_is_there_is_replayed_where_it_is_identical(row: Any, changes: dict[str, Any]) -> None:
    """What has changed since, the limits and the status, is no part of it."""
    state = empty()
    execute(state, [USER, WALLET], 50)
    last = state.last[1]
    execute(state, [RestoreState(1, 0, last.hash, "closed", 0, 100, 50), EndRestore()], 50)
    results = execute(state, [row, row._replace(**changes)], 60)
    assert [told(result) for result in results] == ["replayed", "restore_conflict"]


def test_a_whole_ledger_is_restored_in_one_batch() -> None:
    """What a batch restores counts for what follows in it: status, limits of the day, what has been taken back."""
    state = empty()
    history: list[Any] = [
        Register(PHONE, None, 5, 1),
        OpenWallet(1, "main", INR, None, 6, 1),
        RestoreTransaction(1, 1, True, 100, 10, NOTHING, None, None, None, None, None, False),
        RestoreTransaction(1, 2, False, 30, 20, NOTHING, None, None, None, 1, None, False),
        RestoreHold(Hold(1, 1, 10, 0, "open", 20, 900, None, None, "h")),
    ]
    execute(state, history, 50)
    execute(state, [RestoreState(1, 2, state.last[1].hash, "active", 0, 100, 50), EndRestore()], 50)
    batch: list[Any] = [
        Post(1, False, 11),
        Post(1, False, 10),
        Post(1, True, 41),
        Reverse(1, 1, 71),
        SetLimits(1, daily_debit=None),
        Reverse(1, 1, 71),
        Reverse(1, 1, 51),
        Reverse(1, 1, 50),
    ]
    assert [told(result) for result in execute(state, batch, 50)] == [
        "limit_exceeded",
        "applied",
        "limit_exceeded",
        "reversal_exceeds_original",
        "applied",
        "reversal_exceeds_original",
        "insufficient_funds",
        "applied",
    ]


# A request that breaks every rule, and then, row by row, one rule fewer: each answer is that of the first rule broken.
TRANSACTIONS = """
    wallet 1 frozen - TOTAL-5 TOTAL-5 used=used
    now restore id  kind amount at key → result
     50 restore 9-9 debit MAX+1 60 used → wallet_not_found
     50 restore 1-9 debit MAX+1 60 used → restore_conflict
     50 restore 1-3 debit MAX+1 60 used → key_reused
     50 restore 1-3 debit MAX+1 60 free → invalid_input
     50 restore 1-3 debit     6 60 free → invalid_input
     50 restore 1-3 debit     6  5 free → time_conflict
     50 restore 1-3 debit     6 50 free → balance_overflow
     50 restore 1-3 debit     5 50 free → applied 1-3 -5
"""


def test_the_first_rule_that_is_broken_is_the_one_that_answers() -> None:
    play(TRANSACTIONS)


def test_what_is_refused_or_replayed_changes_nothing() -> None:
    book = play(
        """
        wallet 1 active - 100
         11 put 1-h1 30 0 open 10 40 - - → applied 1-h1 open 30 0
        """
    )
    last = book.last(1)
    same = RestoreState(1, last.seq, last.hash, "active", None, None, None)
    batch = [again(last), RestoreHold(book.holds[1, 1]), same, same._replace(transactions=7)]
    state = book.load(batch, 50)
    before = everything(state)
    results = execute(state, batch, 50)
    assert [told(result) for result in results] == ["replayed", "replayed", "replayed", "restore_conflict"]
    assert everything(state) == before


def test_what_has_the_number_0_is_not_said_to_exist() -> None:
    book = play("wallet 1 active - 100\n 11 hold 1 10 99 - - → applied 1-h1 open 10 0")
    asked: list[Any] = [
        RestoreTransaction(1, 0, True, 100, 10, NOTHING, None, None, None, None, None, False),
        RestoreHold(Hold(1, 0, 10, 0, "open", 11, 110, None, None, None)),
        RestoreEvent(Event(events.WALLET, 1, 0, 5, None, "opened", "{}", bytes(32))),
    ]
    for result in execute(book.load(asked, 50), asked, 50):
        assert isinstance(result, Refusal)
        assert "the first is number 1" in result.error.message
