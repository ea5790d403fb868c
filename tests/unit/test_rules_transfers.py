"""The rules of transfers, as tables: both legs or neither. The form is that of support/book.py."""

from __future__ import annotations

import pytest
from support.book import play

from wallet_cli.domain.commands import Transfer

TABLES = {
    "a debit and a credit of one amount": """
        wallet 1 active - 100
        wallet 2 active - 5
        now transfer from to amount key note → result
         11 transfer 1    2      30 -   -    → applied 1-2 70 2-2 35
         12 transfer 2    1      35 -   -    → applied 2-3 0 1-3 105
         13 transfer 2    1       1 -   -    → insufficient_funds
         13 transfer 1    2     105 -   -    → applied 1-4 0 2-4 105
    """,
    "exists: both wallets have to be there": """
        wallet 1 active - 100
         11 transfer 1    9      30 -   -    → wallet_not_found
         11 transfer 9    1      30 -   -    → wallet_not_found
         11 transfer 9    8      30 -   -    → wallet_not_found
         11 transfer 9    9      30 -   -    → wallet_not_found
    """,
    "to itself is refused": """
        wallet 1 active - 100
         11 transfer 1    1      30 -   -    → invalid_input
         11 look 1 → active 100 0 100
    """,
    "active: neither wallet may be frozen or closed": """
        wallet 1 active - 100
        wallet 2 frozen - 100
        wallet 3 closed -
         11 transfer 1    2      30 -   -    → wallet_not_active
         11 transfer 2    1      30 -   -    → wallet_not_active
         11 transfer 1    3      30 -   -    → wallet_not_active
         11 look 1 → active 100 0 100
    """,
    "key: one of the source's alone": """
        wallet 1 active - 100
        wallet 2 active - 100
        wallet 3 active -
         11 transfer 1    2      30 k   rent → applied 1-2 70 2-2 130
         12 transfer 1    2      30 k   rent → replayed 1-2 70 2-2 130
         12 transfer 1    2      31 k   rent → key_reused
         12 transfer 1    2      30 k   -    → key_reused
         12 transfer 1    3      30 k   rent → key_reused
         12 transfer 1    2      30 k   rent {"a":"1"} → key_reused
        # The target's keys are its own, and so are those of a transfer back.
         13 transfer 2    1      30 k   rent → applied 2-3 100 1-3 100
         13 credit   2            1 j   -  - → applied 2-4 101
         13 transfer 1    2       1 j   -    → applied 1-4 99 2-5 102
    """,
    "key: a refused transfer leaves it free": """
        wallet 1 active - 100
        wallet 2 active -
         11 transfer 1    2     101 k   -    → insufficient_funds
         11 transfer 1    2     100 k   -    → applied 1-2 0 2-1 100
         12 transfer 1    2     100 k   -    → replayed 1-2 0 2-1 100
    """,
    "currency: one and the same": """
        wallet 1 active - 100
        wallet 2 active - in=USD
        wallet 3 active - in=PTS/2
         11 transfer 1    2      30 -   -    → invalid_input
         11 transfer 1    3      30 -   -    → invalid_input
         11 look 1 → active 100 0 100
    """,
    "amount: above 0, up to the bound": """
        wallet 1 active - MAX
        wallet 2 active -
         11 transfer 1    2       0 -   -    → invalid_input
         11 transfer 1    2      -1 -   -    → invalid_input
         11 transfer 1    2   MAX+1 -   -    → invalid_input
         11 transfer 1    2     MAX -   -    → applied 1-2 0 2-1 1000000000000000
    """,
    "overflow: of either's totals": """
        wallet 1 active - TOTAL TOTAL-9
        wallet 2 active - TOTAL-5 TOTAL-9
        wallet 3 active -
         11 transfer 1    3      10 -   -    → balance_overflow
         11 transfer 1    2       6 -   -    → balance_overflow
         11 transfer 1    2       5 -   -    → applied 1-3 4 2-3 9
    """,
    "limits: the source's day, the target's maximum": """
        wallet 1 active - 100 daily=40
        wallet 2 active - max=25
         11 transfer 1    2      26 -   -    → limit_exceeded maximum_balance
         11 transfer 1    2      41 -   -    → limit_exceeded daily_debit
         11 transfer 1    2      25 -   -    → applied 1-2 75 2-1 25
         11 transfer 1    2       1 -   -    → limit_exceeded maximum_balance
         11 transfer 2    1      20 -   -    → applied 2-2 5 1-3 95
         11 transfer 1    2      16 -   -    → limit_exceeded daily_debit
         11 transfer 1    2      15 -   -    → applied 1-4 80 2-3 20
    """,
    "funds: the source's minimum, and what its holds keep": """
        wallet 1 active 20 100
        wallet 2 active -50
         11 hold     1           30 100 - -  → applied 1-h1 open 30 0
         11 transfer 1    2      51 -   -    → insufficient_funds
         11 transfer 1    2      50 -   -    → applied 1-2 50 2-1 50
         11 transfer 2    1     101 -   -    → insufficient_funds
         11 transfer 2    1     100 -   -    → applied 2-2 -50 1-3 150
    """,
    "time: both legs have one, and neither wallet's history runs backwards": """
        wallet 1 active -
        wallet 2 active -
        100 credit   1           50 -   - -  → applied 1-1 50
        200 credit   2           50 -   - -  → applied 2-1 50
        150 transfer 1    2       5 -   -    → applied 1-2 45 2-2 55
        199 credit   1            1 -   - 199 → time_conflict
        200 credit   1            1 -   - 200 → applied 1-3 46
    """,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_rules(table: str) -> None:
    play(table)


def test_each_leg_names_the_other_and_only_the_debit_bears_the_key() -> None:
    book = play(
        """
        wallet 1 active - 100
        wallet 2 active - 5
         11 transfer 1 2 30 k rent {"a":"1"} → applied 1-2 70 2-2 35
        """
    )
    debit, credit = book.last(1), book.last(2)
    assert (debit.is_credit, debit.amount, debit.peer_wallet_id, debit.peer_seq) == (False, 30, 2, 2)
    assert (credit.is_credit, credit.amount, credit.peer_wallet_id, credit.peer_seq) == (True, 30, 1, 2)
    assert (debit.key, credit.key) == ("k", None)
    assert (*debit.remarks, debit.at_us) == (*credit.remarks, credit.at_us) == ("rent", '{"a":"1"}', 11)


def test_what_is_refused_names_the_wallet_that_stands_against_it() -> None:
    book = play(
        """
        wallet 1 active - 100 in=USD
        wallet 2 frozen -
        wallet 3 active - in=EUR
        """
    )

    def message(command: Transfer) -> str:
        return book.carry_out([command], 11)[0].error.message  # type: ignore[union-attr]

    assert "wallet w9" in message(Transfer(1, 9, 1))
    assert f"wallet {book.wallets[2].name}" in message(Transfer(1, 2, 1))
    assert "USD" in message(Transfer(1, 3, 1))
    assert "EUR" in message(Transfer(1, 3, 1))


# A request that breaks every rule, and then, row by row, one rule fewer: each answer is that of the first rule broken.
PRECEDENCE = """
    wallet 1 active - TOTAL-5 TOTAL-5 used=used
    wallet 2 frozen - TOTAL-5 TOTAL-5 used=used
    wallet 3 active - TOTAL-5 TOTAL-5 in=USD used=used
    wallet 4 active - 15 10 daily=3 used=used
    wallet 5 active - 15 10 max=3 used=used
    wallet 6 active - 15 10 used=used
    wallet 7 active -
    now transfer from to amount key note → result
     50 transfer 9    9   MAX+1 used -   → wallet_not_found
     50 transfer 2    2   MAX+1 used -   → invalid_input
     50 transfer 2    3   MAX+1 used -   → key_reused
     50 transfer 2    3   MAX+1 free -   → wallet_not_active
     50 transfer 1    3   MAX+1 free -   → invalid_input
     50 transfer 1    6   MAX+1 free -   → invalid_input
     50 transfer 1    6      10 free -   → balance_overflow
     50 transfer 4    1      10 free -   → limit_exceeded daily_debit
     50 transfer 6    1      10 free -   → insufficient_funds
     50 transfer 6    1       6 free -   → insufficient_funds
     50 transfer 7    1       6 free -   → insufficient_funds
     50 limits   7 -100 = =              → applied 7 active
     50 transfer 7    1       6 free -   → balance_overflow
     50 transfer 7    5       6 free -   → limit_exceeded maximum_balance
     50 transfer 7    6       6 free -   → applied 7-1 -6 6-3 11
"""


def test_the_first_rule_that_is_broken_is_the_one_that_answers() -> None:
    play(PRECEDENCE)
