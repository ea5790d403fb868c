"""The rules of reversals, as tables: never more in all than the original. The form is that of support/book.py."""

from __future__ import annotations

import pytest
from support.book import play

from wallet_cli.domain.commands import Post, Refusal, Reverse, Transfer

TABLES = {
    "all of a transaction: of a credit a debit, of a debit a credit": """
        wallet 1 active -
         10 credit  1   100 - - -                 → applied 1-1 100
         11 debit   1    30 - - -                 → applied 1-2 70
        now reverse id  amount force key note → result
         12 reverse 1-2      -  -    -   -    → applied 1-3 100
         13 reverse 1-1      -  -    -   -    → applied 1-4 0
         14 reverse 1-1      -  -    -   -    → reversal_exceeds_original
         14 reverse 1-2      -  -    -   -    → reversal_exceeds_original
         14 reverse 1-2      1  -    -   -    → reversal_exceeds_original
    """,
    "in parts, up to the original": """
        wallet 1 active - 100
         11 debit   1    30 - - -                 → applied 1-2 70
         12 reverse 1-2     31  -    -   -    → reversal_exceeds_original
         12 reverse 1-2     10  -    -   -    → applied 1-3 80
         13 reverse 1-2     21  -    -   -    → reversal_exceeds_original
         13 reverse 1-2     19  -    -   -    → applied 1-4 99
         14 reverse 1-2      -  -    -   -    → applied 1-5 100
         15 reverse 1-2      -  -    -   -    → reversal_exceeds_original
    """,
    "exists": """
        wallet 1 active - 100
         11 reverse 1-2      -  -    -   -    → transaction_not_found
         11 reverse 1-0      -  -    -   -    → transaction_not_found
         11 reverse 9-1      -  -    -   -    → transaction_not_found
    """,
    "a reversal is not reversed": """
        wallet 1 active - 100
         11 reverse 1-1     40  -    -   -    → applied 1-2 60
         12 reverse 1-2      -  -    -   -    → not_reversible
         12 reverse 1-2     40  force -  -    → not_reversible
    """,
    "of a transfer both legs, from either side": """
        wallet 1 active - 100
        wallet 2 active -
         11 transfer 1 2 60 - -                   → applied 1-2 40 2-1 60
         12 reverse 1-2     10  -    -   -    → applied 1-3 50 2-2 50
         13 reverse 2-1     20  -    -   -    → applied 2-3 30 1-4 70
         14 reverse 1-2     31  -    -   -    → reversal_exceeds_original
         14 reverse 2-1     31  -    -   -    → reversal_exceeds_original
         14 reverse 2-1      -  -    -   -    → applied 2-4 0 1-5 100
         15 reverse 1-2      -  -    -   -    → reversal_exceeds_original
         15 reverse 1-3      -  -    -   -    → not_reversible
         15 reverse 2-2      -  -    -   -    → not_reversible
    """,
    "of a capture: the hold does not open again": """
        wallet 1 active - 100
         11 hold    1    30 100 - -               → applied 1-h1 open 30 0
         12 capture 1-h1 - - - -                  → applied 1-2 70
         13 reverse 1-2     10  -    -   -    → applied 1-3 80
         13 see 1-h1 → captured 30 30
         13 look 1 → active 80 0 80
         14 reverse 1-2      -  -    -   -    → applied 1-4 100
    """,
    "active: of each wallet that it touches": """
        wallet 1 active - 100
        wallet 2 active -
         11 transfer 1 2 60 - -                   → applied 1-2 40 2-1 60
         12 status  2 frozen                      → applied 2 frozen
         12 reverse 2-1      -  -    -   -    → wallet_not_active
         12 reverse 1-2      -  -    -   -    → wallet_not_active
         12 reverse 1-2      -  force -  -    → wallet_not_active
         12 reverse 1-1     40  -    -   -    → applied 1-3 0
         12 look 2 → frozen 60 0 60
    """,
    "amount: above 0, up to the bound": """
        wallet 1 active - 100
         11 reverse 1-1      0  -    -   -    → invalid_input
         11 reverse 1-1     -1  -    -   -    → invalid_input
         11 reverse 1-1  MAX+1  -    -   -    → invalid_input
         11 reverse 1-1    MAX  -    -   -    → reversal_exceeds_original
    """,
    "overflow, forced or not": """
        wallet 1 active - TOTAL-5 TOTAL-5
         11 reverse 1-2      6  -    -   -    → balance_overflow
         11 reverse 1-2      6  force -  -    → balance_overflow
         11 reverse 1-1      6  force -  -    → balance_overflow
         11 reverse 1-2      5  -    -   -    → applied 1-3 5
         11 reverse 1-1      5  -    -   -    → applied 1-4 0
    """,
    "limits: a reversal is a credit or a debit like any other": """
        wallet 1 active - 100 daily=50
         11 reverse 1-1     51  -    -   -    → limit_exceeded daily_debit
         11 reverse 1-1     50  -    -   -    → applied 1-2 50
         11 debit   1     1 - - -                 → limit_exceeded daily_debit
        wallet 2 active - 100 60 max=90
         11 reverse 2-2     51  -    -   -    → limit_exceeded maximum_balance
         11 reverse 2-2     50  -    -   -    → applied 2-3 90
    """,
    "funds: the same floor, and what holds keep": """
        wallet 1 active 20 100
         11 hold    1    30 100 - -               → applied 1-h1 open 30 0
         11 reverse 1-1     51  -    -   -    → insufficient_funds
         11 reverse 1-1      -  -    -   -    → insufficient_funds
         11 reverse 1-1     50  -    -   -    → applied 1-2 50
    """,
    "funds: of the other side of a transfer": """
        wallet 1 active - 100
        wallet 2 active -
         11 transfer 1 2 60 - -                   → applied 1-2 40 2-1 60
         12 debit   2    1 - - -                  → applied 2-2 59
         12 reverse 1-2      -  -    -   -    → insufficient_funds
         12 look 1 → active 40 0 40
         12 reverse 1-2     59  -    -   -    → applied 1-3 99 2-3 0
    """,
    "force passes floors, holds and limits, and is recorded": """
        wallet 1 active 20 100 daily=30
         11 hold    1    30 100 - -               → applied 1-h1 open 30 0
         11 reverse 1-1      -  -    -   -    → limit_exceeded daily_debit
         11 reverse 1-1      -  force -  -    → applied 1-2 0 forced
         11 look 1 → active 0 30 0
         12 reverse 1-1      1  force -  -    → reversal_exceeds_original
        wallet 2 active - 100 60 max=40
         11 reverse 2-2     60  force -  -    → applied 2-3 100 forced
        wallet 3 active - 100
        wallet 4 active -
         11 transfer 3 4 60 - -                   → applied 3-2 40 4-1 60
         11 debit   4    60 - - -                 → applied 4-2 0
         12 reverse 3-2      -  force -  -    → applied 3-3 100 4-3 -60 forced
        # Said where it would not have been needed, it is recorded all the same.
        wallet 5 active - 100
         12 reverse 5-1      -  force -  -    → applied 5-2 0 forced
    """,
    "key: the same request again": """
        wallet 1 active - 100
         11 reverse 1-1     40  -    k   oops → applied 1-2 60
         12 reverse 1-1     40  -    k   oops → replayed 1-2 60
         12 reverse 1-1     41  -    k   oops → key_reused
         12 reverse 1-1     40  force k  oops → key_reused
         12 reverse 1-1     40  -    k   -    → key_reused
         12 reverse 1-1     40  -    k   oops {"a":1} → key_reused
        # An amount that is not given stood for all that was left then.
         13 reverse 1-1      -  -    all -    → applied 1-3 0
         14 reverse 1-1      -  -    all -    → replayed 1-3 0
         14 reverse 1-1     60  -    all -    → replayed 1-3 0
         14 reverse 1-1     59  -    all -    → key_reused
    """,
    "key: of another transaction, and from the other side": """
        wallet 1 active - 100
        wallet 2 active -
         11 transfer 1 2 60 t -                   → applied 1-2 40 2-1 60
         12 reverse 1-1     10  -    k   -    → applied 1-3 30
         12 reverse 1-2     10  -    k   -    → key_reused
         12 reverse 1-2     10  -    t   -    → key_reused
         12 reverse 2-1     10  -    k   -    → applied 2-2 50 1-4 40
         13 reverse 2-1     10  -    k   -    → replayed 2-2 50 1-4 40
         13 reverse 1-2     10  -    j   -    → applied 1-5 50 2-3 40
         14 reverse 1-2     10  -    j   -    → replayed 1-5 50 2-3 40
    """,
    "key: free after a refusal": """
        wallet 1 active - 100
         11 reverse 1-1    101  -    k   -    → reversal_exceeds_original
         11 reverse 1-1    100  -    k   -    → applied 1-2 0
         12 reverse 1-1    100  -    k   -    → replayed 1-2 0
    """,
    "time: never before the last of either wallet": """
        wallet 1 active -
        wallet 2 active -
        100 credit   1  60 - - -                  → applied 1-1 60
        100 transfer 1 2 60 - -                   → applied 1-2 0 2-1 60
        200 credit   2   1 - - -                  → applied 2-2 61
        150 reverse 1-2     10  -    -   -    → applied 1-3 10 2-3 51
        199 credit   1   1 - - 199                → time_conflict
    """,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_rules(table: str) -> None:
    play(table)


def test_a_reversal_names_what_it_takes_back_on_each_side() -> None:
    book = play(
        """
        wallet 1 active - 100
        wallet 2 active - 5
         11 transfer 1 2 60 t rent                → applied 1-2 40 2-2 65
         12 reverse 2-2 20 force k oops {"a":1}   → applied 2-3 45 1-3 60 forced
        """
    )
    asked, other = book.last(2), book.last(1)
    assert (asked.is_credit, asked.amount, asked.reverses, asked.key) == (False, 20, 2, "k")
    assert (other.is_credit, other.amount, other.reverses, other.key) == (True, 20, 2, None)
    assert (asked.peer_wallet_id, asked.peer_seq) == (1, 3)
    assert (other.peer_wallet_id, other.peer_seq) == (2, 3)
    assert (asked.remarks.meta, *asked[14:17]) == (other.remarks.meta, *other[14:17]) == ('{"a":1}', True, False, None)
    assert (asked.remarks.note, asked.at_us) == (other.remarks.note, other.at_us) == ("oops", 12)


def test_a_refusal_says_what_is_left_and_what_is_missing() -> None:
    book = play(
        """
        wallet 1 active - 10000
         11 reverse 1-1 2500 - - -                → applied 1-2 7500
        """
    )

    def details(amount: int | None) -> dict[str, object]:
        (result,) = book.carry_out([Reverse(1, 1, amount)], 20)
        assert isinstance(result, Refusal)
        return result.error.details

    assert details(7501) == {"amount": "100.00", "reversed": "25.00", "available": "75.00", "shortfall": "0.01"}
    play("12 reverse 1-1 - - - - → applied 1-3 0", book=book)
    assert details(1)["available"] == "0.00"
    assert details(None)["available"] == "0.00"


def test_reversals_of_one_batch_see_each_other() -> None:
    book = play(
        """
        wallet 1 active - 100
        wallet 2 active -
         11 transfer 1 2 60 - -                   → applied 1-2 40 2-1 60
        """
    )
    batch = [
        Reverse(1, 2, 40),
        Reverse(2, 1, 21),
        Reverse(2, 1, 20, key="k"),
        Reverse(2, 1, 20, key="k"),
        Reverse(1, 2),
    ]
    assert [book.told(result) for result in book.carry_out(batch, 20)] == [
        "applied 1-3 80 2-2 20",
        "reversal_exceeds_original",
        "applied 2-3 0 1-4 100",
        "replayed 2-3 0 1-4 100",
        "reversal_exceeds_original",
    ]


def test_what_a_batch_made_it_can_take_back() -> None:
    """Each command is decided on what those before it left, in a batch as one by one."""
    batch = [
        Post(1, True, 100),
        Transfer(1, 2, 60),
        Reverse(2, 1, 20),
        Reverse(2, 2),
        Reverse(1, 1, 60),
        Reverse(1, 1, 1),
    ]
    table = "wallet 1 active -\nwallet 2 active -"
    together, apart = play(table), play(table)
    at_once = [together.told(result) for result in together.carry_out(batch, 20)]
    one_by_one = [apart.told(apart.carry_out([command], 20)[0]) for command in batch]
    assert at_once == one_by_one
    assert at_once[2:4] == ["applied 2-2 40 1-3 60", "not_reversible"]
    assert together.transactions == apart.transactions


# A request that breaks every rule, and then, row by row, one rule fewer: each answer is that of the first rule broken.
PRECEDENCE = """
    wallet 1 frozen - 15 10 used=used
    wallet 2 active - TOTAL-5 TOTAL-5 used=used daily=3 max=1
    wallet 3 active - 10 10 used=used daily=3
    wallet 4 active - 10 10 used=used
    wallet 5 active - 10 10 max=3
     20 reverse 2-1      2  -    -    -    → limit_exceeded daily_debit
     20 reverse 2-1      2  force -   -    → applied 2-3 -2 forced
    now reverse id  amount force key note → result
     50 reverse 9-9  MAX+1  -    used -    → transaction_not_found
     50 reverse 1-1  MAX+1  -    used -    → key_reused
     50 reverse 1-1  MAX+1  -    free -    → wallet_not_active
     50 reverse 2-3  MAX+1  -    free -    → not_reversible
     50 reverse 2-1  MAX+1  -    free -    → invalid_input
     50 reverse 3-1     11  -    free -    → reversal_exceeds_original
     50 reverse 2-1      4  -    free -    → balance_overflow
     50 reverse 2-2      6  -    free -    → balance_overflow
     50 reverse 3-1      4  -    free -    → limit_exceeded daily_debit
     50 reverse 5-2      4  -    free -    → limit_exceeded maximum_balance
     50 reverse 4-1      4  -    free -    → insufficient_funds
     50 reverse 4-1      4  force free -   → applied 4-3 -4 forced
"""


def test_the_first_rule_that_is_broken_is_the_one_that_answers() -> None:
    play(PRECEDENCE)
