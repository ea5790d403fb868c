"""The rules of a wallet's life and its limits, as tables. The form is that of support/book.py."""

from __future__ import annotations

import pytest
from support.book import DAY_US, Book, play

from wallet_cli.domain.commands import SAME, Post, Refusal, SetLimits, SetStatus
from wallet_cli.domain.model import Wallet
from wallet_cli.domain.rules import execute

TABLES = {
    "freezing: all that moves money is refused, both ways": """
        wallet 1 active - 100
        wallet 2 active - 100
         11 hold     1     10 99 - -     → applied 1-h1 open 10 0
         11 status   1 frozen            → applied 1 frozen
         12 credit   1      1 - - -      → wallet_not_active
         12 debit    1      1 - - -      → wallet_not_active
         12 transfer 1 2    1 - -        → wallet_not_active
         12 transfer 2 1    1 - -        → wallet_not_active
         12 reverse  1-1    1 - - -      → wallet_not_active
         12 hold     1      1 99 - -     → wallet_not_active
         12 capture  1-h1   1 - - -      → wallet_not_active
         12 look     1                   → frozen 100 10 90
         13 status   1 frozen            → applied 1 frozen
         13 status   1 active            → applied 1 active
         14 debit    1      1 - - -      → applied 1-2 99
         14 capture  1-h1   - - - -      → applied 1-3 89
    """,
    "a frozen wallet may be let go of, limited and closed": """
        wallet 1 frozen -
         11 put      1-h1 30 0 voided 1 50 5 - → applied 1-h1 voided 30 0
         11 limits   1 - 500 -           → applied 1 frozen
         11 status   1 closed            → applied 1 closed
    """,
    "closing: with nothing left in it": """
        wallet 1 active - 100
         11 status   1 closed            → wallet_not_empty
         12 hold     1    100 20 - -     → applied 1-h1 open 100 0
         12 status   1 closed            → wallet_not_empty
         12 capture  1-h1  60 keep - -   → applied 1-2 40
         12 capture  1-h1   - - - -      → applied 1-3 0
         13 status   1 closed            → applied 1 closed
    """,
    "closing: a hold on an overdraft stands against it, an expired one does not": """
        wallet 1 active -50
         11 hold     1     50 10 - -     → applied 1-h1 open 50 0
         20 status   1 closed            → wallet_not_empty
         20 row      1-h1                → open -
         21 status   1 closed            → applied 1 closed
         21 row      1-h1                → expired 21
         21 row      1                   → 0 1
         21 look     1                   → closed 0 0 50
    """,
    "closing: a debt stands against it": """
        wallet 1 active -50
         11 debit    1     50 - - -      → applied 1-1 -50
         11 status   1 closed            → wallet_not_empty
    """,
    "a closed wallet stays closed and takes nothing": """
        wallet 1 closed - 100 100
        wallet 2 active - 100
         12 status   1 active            → wallet_not_active
         12 status   1 frozen            → wallet_not_active
         12 status   1 closed            → applied 1 closed
         12 limits   1 - 500 -           → wallet_not_active
         12 credit   1      1 - - -      → wallet_not_active
         12 transfer 2 1    1 - -        → wallet_not_active
         12 reverse  1-2    1 - - -      → wallet_not_active
         12 hold     1      1 99 - -     → wallet_not_active
    """,
    "a wallet that is not there": """
         12 status   1 frozen            → wallet_not_found
         12 limits   1 - 500 -           → wallet_not_found
    """,
    "the minimum: an overdraft may be used to its last unit": """
        wallet 1 active -
         11 debit    1      1 - - -      → insufficient_funds
         11 limits   1 -50 = =           → applied 1 active
         11 look     1                   → active 0 0 50
         11 debit    1     51 - - -      → insufficient_funds
         11 debit    1     50 - - -      → applied 1-1 -50
         11 hold     1      1 99 - -     → insufficient_funds
         12 credit   1     10 - - -      → applied 1-2 -40
         12 hold     1     10 99 - -     → applied 1-h1 open 10 0
    """,
    "the minimum: raised above the balance, it lets nothing out, and what is lifted is the setting's again": """
        wallet 1 active - 100
         11 limits   1 200 = =           → applied 1 active
         11 look     1                   → active 100 0 0
         11 debit    1      1 - - -      → insufficient_funds
         11 credit   1     99 - - -      → applied 1-2 199
         11 debit    1      1 - - -      → insufficient_funds
         11 credit   1      2 - - -      → applied 1-3 201
         11 debit    1      1 - - -      → applied 1-4 200
         11 limits   1 - = =             → applied 1 active
         11 debit    1    200 - - -      → applied 1-5 0
    """,
    "the maximum: no credit goes above it": """
        wallet 1 active - 100
         11 limits   1 = 150 =           → applied 1 active
         11 credit   1     51 - - -      → limit_exceeded maximum_balance
         11 credit   1     50 - - -      → applied 1-2 150
         11 credit   1      1 - - -      → limit_exceeded maximum_balance
         11 debit    1      1 - - -      → applied 1-3 149
         11 limits   1 = 10 =            → applied 1 active
         11 credit   1      1 - - -      → limit_exceeded maximum_balance
         11 debit    1    140 - - -      → applied 1-4 9
         11 credit   1      1 - - -      → applied 1-5 10
         11 limits   1 = - =             → applied 1 active
         11 credit   1    MAX - - -      → applied 1-6 1000000000000010
    """,
    "the maximum: what is held is in the balance": """
        wallet 1 active - 100 max=100
         11 hold     1     50 99 - -     → applied 1-h1 open 50 0
         11 credit   1      1 - - -      → limit_exceeded maximum_balance
    """,
    "the maximum: below 0 it keeps a wallet in debt": """
        wallet 1 active -50
         11 limits   1 = -10 =           → applied 1 active
         11 debit    1     50 - - -      → applied 1-1 -50
         11 credit   1     41 - - -      → limit_exceeded maximum_balance
         11 credit   1     40 - - -      → applied 1-2 -10
    """,
    "the maximum and the minimum: the one not below the other": """
        wallet 1 active 20 100
         11 limits   1 = 19 =            → invalid_input
         11 limits   1 = 20 =            → applied 1 active
         11 limits   1 21 = =            → invalid_input
         11 limits   1 50 40 =           → invalid_input
         11 limits   1 40 50 =           → applied 1 active
    """,
    "the day's debits: up to the limit, and anew after midnight UTC": """
        wallet 1 active - 1000
        wallet 2 active - 1000
             11 limits   1 = = 100       → applied 1 active
             12 debit    1   60 - - -    → applied 1-2 940
             13 debit    1   41 - - -    → limit_exceeded daily_debit
             13 debit    1   40 - - -    → applied 1-3 900
             14 credit   1    5 - - -    → applied 1-4 905
             14 debit    1    1 - - -    → limit_exceeded daily_debit
          DAY-1 debit    1    1 - - -    → limit_exceeded daily_debit
            DAY debit    1  101 - - -    → limit_exceeded daily_debit
            DAY debit    1  100 - - -    → applied 1-5 805
          DAY+1 debit    1    1 - - -    → limit_exceeded daily_debit
           2DAY credit   1    1 - - -    → applied 1-6 806
           2DAY debit    1  100 - - -    → applied 1-7 706
    """,
    "the day's debits: of the day that a debit is said to be of": """
        wallet 1 active - 1000 daily=100
           2DAY debit    1  100 - - DAY-1 → applied 1-2 900
           2DAY debit    1    1 - - DAY-1 → limit_exceeded daily_debit
           2DAY debit    1  100 - - DAY   → applied 1-3 800
           2DAY debit    1    1 - - 2DAY-1 → limit_exceeded daily_debit
           2DAY debit    1  100 - - -    → applied 1-4 700
           2DAY debit    1    1 - - -    → limit_exceeded daily_debit
    """,
    "the day's debits: days before 1970 begin at midnight too": """
        wallet 1 active -500
             11 limits   1 = = 100       → applied 1 active
             11 debit    1  100 - - -DAY-1 → applied 1-1 -100
             11 debit    1    1 - - -DAY-1 → limit_exceeded daily_debit
             11 debit    1  100 - - -DAY → applied 1-2 -200
             11 debit    1    1 - - -1   → limit_exceeded daily_debit
             11 debit    1  100 - - 0    → applied 1-3 -300
    """,
    "the day's debits: what was debited before the limit was set counts": """
        wallet 1 active - 1000
             11 debit    1   60 - - -    → applied 1-2 940
             12 limits   1 = = 100       → applied 1 active
             13 debit    1   41 - - -    → limit_exceeded daily_debit
             13 debit    1   40 - - -    → applied 1-3 900
             13 limits   1 = = 50        → applied 1 active
             13 debit    1    1 - - -    → limit_exceeded daily_debit
             13 limits   1 = = -         → applied 1 active
             13 debit    1  900 - - -    → applied 1-4 0
    """,
    "the day's debits: transfers, captures and reversals are debits": """
        wallet 1 active - 1000
        wallet 2 active -
             11 limits   1 = = 100       → applied 1 active
             11 hold     1   30 99 - -   → applied 1-h1 open 30 0
             12 transfer 1 2 30 - -      → applied 1-2 970 2-1 30
             12 capture  1-h1 30 - - -   → applied 1-3 940
             12 reverse  1-1 30 - - -    → applied 1-4 910
             12 debit    1   11 - - -    → limit_exceeded daily_debit
             12 debit    1   10 - - -    → applied 1-5 900
             12 transfer 1 2 1 - -       → limit_exceeded daily_debit
             12 hold     1   1 99 - -    → limit_exceeded daily_debit
             12 reverse  1-1 1 - - -     → limit_exceeded daily_debit
             12 reverse  1-1 1 force - - → applied 1-6 899 forced
    """,
    "a limit of 0 allows no debits": """
        wallet 1 active - 1000
             11 limits   1 = = 0         → applied 1 active
             11 debit    1    1 - - -    → limit_exceeded daily_debit
             11 credit   1    1 - - -    → applied 1-2 1001
    """,
}

REGISTRY = {
    "users: one a number, and ids count from one": """
          7 register +912 Asha -               → applied 2
          7 register +912 Ravi -               → user_exists: user 2
          7 register +911 -    -               → user_exists: user 1
          7 register +913 -    -               → applied 3
    """,
    "users: one that was registered elsewhere was so in the past": """
          7 register +912 Asha - at=8          → invalid_input: is in the future
          7 register +912 Asha - at=7          → applied 2
          7 register +913 Ravi - at=5          → applied 3
    """,
    "users: with a key, the same request again is answered": """
          7 register +912 Asha k               → applied 2
          8 register +912 Asha k               → replayed 2
          8 register +912 Ravi k               → key_reused: user 2
          8 register +913 Asha k               → key_reused: user 2
    """,
    "wallets: one of a type, of a user who is there": """
          7 open 2 main   INR   - -            → user_not_found
          7 open 1 main   INR   2000 -         → applied 1 active
          7 open 1 main   PTS/0 - -            → wallet_exists: INR
          7 open 1 points PTS/0 - -            → applied 2 active
          8 credit 2 5 - - -                   → applied 2-1 5
    """,
    "wallets: with a key, the same request again is answered as it was then": """
          7 open 1 main   INR   20 k           → applied 1 active
          8 status 1 frozen                    → applied 1 frozen
          8 limits 1 30 = =                    → applied 1 frozen
          9 open 1 main   INR   20 k           → replayed 1 active
          9 open 1 main   INR   30 k           → key_reused: wallet
          9 open 1 other  INR   20 k           → key_reused: wallet
    """,
    "operators: a name is given once, even after its key was revoked": """
          7 admit  till                        → applied till
          7 admit  till                        → key_exists
          8 use    till                        → applied till
          8 use    shop                        → key_not_found
          8 revoke shop                        → key_not_found
          9 revoke till                        → applied till
          9 admit  till                        → key_exists
    """,
    "an id and a time are given where an export is read back, into an empty ledger": """
          7 register +912 - - id=2 at=5        → restore_conflict
          7 register +912 - - id=9 at=5        → restore_conflict: next id here is 2
          7 open 1 main INR - - id=1 at=5      → restore_conflict
          7 open 1 main INR - - id=9 at=5      → restore_conflict: next id here is 1
    """,
}


@pytest.mark.parametrize("table", REGISTRY.values(), ids=REGISTRY)
def test_who_there_is(table: str) -> None:
    play(table)


@pytest.mark.parametrize("policy", ["20", "9" * 40])
def test_a_minimum_of_the_setting_counts_in_a_currency_of_any_digits(policy: str) -> None:
    """Also where it is more than a wallet may have as its own, or can hold."""
    play(
        """
          7 open     1 main ETH/18 - -        → applied 1 active
          7 open     1 more ETH/18 - -        → applied 2 active
          8 credit   1 MAX - - -              → applied 1-1 1000000000000000
          8 look     1                        → active 1000000000000000 0 0
          9 debit    1 1 - - -                → insufficient_funds
          9 transfer 1 2 1 - -                → insufficient_funds
          9 hold     1 1 99 - -               → insufficient_funds
          9 reverse  1-1 1 - - -              → insufficient_funds
          9 reverse  1-1 1 force - -          → applied 1-2 999999999999999 forced
          9 limits   1 = MAX =                → invalid_input
          9 limits   1 = = 5                  → applied 1 active
          9 status   1 frozen                 → applied 1 frozen
          9 status   1 closed                 → wallet_not_empty
          9 status   2 closed                 → applied 2 closed
          9 status   1 active                 → applied 1 active
          9 limits   1 0 MAX =                → applied 1 active
          9 debit    1 1 - - -                → applied 1-3 999999999999998
        """,
        policy=policy,
    )


CLOCKS = """
    wallet 1 active - 100
    wallet 2 active - 100
     11 hold     1 10 99 - -            → applied 1-h1 open 10 0
     11 admit    old                    → applied old
    clock 2DAY
     12 credit   1 1 - - -              → storage_error
     12 transfer 1 2 1 - -              → storage_error
     12 reverse  1-1 1 - - -            → storage_error
     12 hold     1 1 99 - -             → storage_error
     12 capture  1-h1 1 - - -           → storage_error
     12 register +912 - -               → storage_error
     12 register +912 - - at=11         → storage_error
     12 open     1 main INR - -         → storage_error
     12 admit    till                   → storage_error
     12 status   1 frozen               → storage_error
     12 limits   1 = 500 =              → storage_error
     12 void     1-h1                   → storage_error
     12 revoke   old                    → storage_error
    clock -
     12 credit   1 1 - - -              → applied 1-2 101
    2DAY credit  1 1 - - -              → applied 1-3 102
     12 credit   1 1 - - -              → storage_error: last transaction
     12 hold     1 1 99 - -             → storage_error: last transaction
     12 transfer 2 1 1 - -              → storage_error: last transaction
"""


def test_a_clock_that_another_contradicts_records_nothing() -> None:
    play(CLOCKS)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_rules(table: str) -> None:
    play(table)


def refused(book: Book, command: Post | SetLimits | SetStatus, now_us: int) -> dict[str, object]:
    (result,) = book.carry_out([command], now_us)
    assert isinstance(result, Refusal)
    return result.error.details


def test_each_refusal_names_the_limit_and_the_shortfall() -> None:
    book = play(
        """
        wallet 1 active - 10000 2000 max=10000 daily=5000
         11 status 1 closed → wallet_not_empty
        """
    )
    assert refused(book, Post(1, True, 2050), DAY_US) == {
        "limit": "maximum_balance",
        "maximum_balance": "100.00",
        "balance": "80.00",
        "available": "20.00",
        "shortfall": "0.50",
    }
    assert refused(book, Post(1, False, 3001), 20) == {
        "limit": "daily_debit",
        "daily_debit": "50.00",
        "day": "1970-01-01",
        "debited": "20.00",
        "available": "30.00",
        "shortfall": "0.01",
    }
    assert refused(book, Post(1, False, 5001), DAY_US)["day"] == "1970-01-02"
    assert refused(book, SetStatus(1, "closed"), 20) == {"balance": "80.00", "held": "0.00"}


def test_each_limit_is_changed_by_itself() -> None:
    book = play("wallet 1 active 20 100 max=500 daily=70")

    def changed(command: SetLimits) -> tuple[int | None, int | None, int | None]:
        (result,) = book.carry_out([command], 20)
        made = result.made  # type: ignore[union-attr]
        assert isinstance(made, Wallet)
        assert book.wallets[1] == made
        return made.own_minimum, made.maximum, made.daily_debit

    assert changed(SetLimits(1)) == (20, 500, 70)
    assert changed(SetLimits(1, own_minimum=-5)) == (-5, 500, 70)
    assert changed(SetLimits(1, maximum=600)) == (-5, 600, 70)
    assert changed(SetLimits(1, daily_debit=0)) == (-5, 600, 0)
    assert changed(SetLimits(1, None, SAME, None)) == (None, 600, None)
    assert changed(SetLimits(1, maximum=None)) == (None, None, None)


@pytest.mark.parametrize("command", [SetLimits(1, 20, 500, 70), SetLimits(1), SetStatus(1, "active")])
def test_what_changes_nothing_writes_nothing(command: SetLimits | SetStatus) -> None:
    book = play("wallet 1 active 20 100 max=500 daily=70")
    state = book.load([command], 20)
    execute(state, [command], 20)
    assert state.changes == []


def test_the_maximum_is_not_below_the_minimum_of_the_setting_either() -> None:
    play(
        """
        wallet 1 active - 5000
         11 limits 1 = 1999 = → invalid_input
         11 limits 1 = 2000 = → applied 1 active
         11 limits 1 0 1999 = → applied 1 active
         11 limits 1 - = =    → invalid_input
        """,
        policy="20",
    )


def test_limits_of_one_batch_rule_those_after_them() -> None:
    book = play("wallet 1 active - 100")
    batch = [
        Post(1, False, 10),
        SetLimits(1, daily_debit=15),
        Post(1, False, 6),
        Post(1, False, 5),
        SetLimits(1, maximum=85),
        Post(1, True, 1),
        SetLimits(1, own_minimum=80, daily_debit=None),
        Post(1, False, 6),
        SetStatus(1, "frozen"),
        Post(1, False, 5),
        SetStatus(1, "active"),
        Post(1, False, 5),
    ]
    assert [book.told(result) for result in book.carry_out(batch, 20)] == [
        "applied 1-2 90",
        "applied 1 active",
        "limit_exceeded daily_debit",
        "applied 1-3 85",
        "applied 1 active",
        "limit_exceeded maximum_balance",
        "applied 1 active",
        "insufficient_funds",
        "applied 1 frozen",
        "wallet_not_active",
        "applied 1 active",
        "applied 1-4 80",
    ]


# A request that breaks every rule, and then, row by row, one rule fewer: each answer is that of the first rule broken.
CREDITING = """
    wallet 1 active - TOTAL-5 TOTAL-5 max=3 used=used
    wallet 2 frozen - TOTAL-5 TOTAL-5 max=3 used=used
    wallet 3 active - 15 15 max=3
    now credit wallet amount key note at → result
     50 credit 9      MAX+1  used -   60 → wallet_not_found
     50 credit 2      MAX+1  used -   60 → key_reused
     50 credit 2      MAX+1  free -   60 → wallet_not_active
     50 credit 1      MAX+1  free -   60 → invalid_input: amount
     50 credit 1          6  free -   60 → invalid_input: future
     50 credit 1          6  free -    5 → time_conflict
     50 credit 1          6  free -   50 → balance_overflow
     50 credit 1          5  free -   50 → limit_exceeded maximum_balance
     50 credit 3          4  free -   50 → limit_exceeded maximum_balance
     50 credit 3          3  free -   50 → applied 3-3 3
"""
DEBITING = """
    wallet 1 active - TOTAL-5 TOTAL-5 daily=3 used=used
    wallet 2 frozen - TOTAL-5 TOTAL-5 daily=3 used=used
    wallet 3 active - 15 15
    now debit  wallet amount key note at → result
     50 debit  9      MAX+1  used -   60 → wallet_not_found
     50 debit  2      MAX+1  used -   60 → key_reused
     50 debit  2      MAX+1  free -   60 → wallet_not_active
     50 debit  1      MAX+1  free -   60 → invalid_input: amount
     50 debit  1          6  free -   60 → invalid_input: future
     50 debit  1          6  free -    5 → time_conflict
     50 debit  1          6  free -   50 → balance_overflow
     50 debit  1          5  free -   50 → limit_exceeded daily_debit
     50 debit  3          5  free -   50 → insufficient_funds
     50 credit 3          5  free -   50 → applied 3-3 5
     50 debit  3          5  more -   50 → applied 3-4 0
"""
CLOSING = """
    wallet 1 closed - 100
    wallet 2 active - 100
     50 status 9 closed                  → wallet_not_found
     50 status 1 active                  → wallet_not_active
     50 status 1 closed                  → applied 1 closed
     50 status 2 closed                  → wallet_not_empty
"""


@pytest.mark.parametrize("table", [CREDITING, DEBITING, CLOSING], ids=["crediting", "debiting", "closing"])
def test_the_first_rule_that_is_broken_is_the_one_that_answers(table: str) -> None:
    play(table)
