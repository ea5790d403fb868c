"""The rules of holds, as tables: authorise now, take later. The form is that of support/book.py."""

from __future__ import annotations

import pytest
from support.book import everything, play

from wallet_cli.domain.commands import CaptureHold, PlaceHold, Refusal
from wallet_cli.domain.rules import execute

TABLES = {
    "a hold keeps money from being spent and moves none": """
        wallet 1 active 20 100
        now hold     wallet amount lasts key note → result
         11 hold     1          81   100 -   -    → insufficient_funds
         11 hold     1          30   100 -   -    → applied 1-h1 open 30 0
         11 look 1 → active 100 30 50
         11 hold     1          51   100 -   -    → insufficient_funds
         11 hold     1          50   100 -   -    → applied 1-h2 open 50 0
         11 look 1 → active 100 80 0
         11 debit    1           1  - - -         → insufficient_funds
         11 credit   1           1  - - -         → applied 1-2 101
         11 debit    1           1  - - -         → applied 1-3 100
    """,
    "capture: all of it": """
        wallet 1 active - 100
         11 hold     1          30   100 -   -    → applied 1-h1 open 30 0
         12 capture  1-h1        -   -   -   -    → applied 1-2 70
         12 look 1 → active 70 0 70
         12 row 1-h1 → captured 12
         12 see 1-h1 → captured 30 30
         13 capture  1-h1        -   -   -   -    → hold_not_open
         13 void     1-h1                         → hold_not_open
    """,
    "capture: a part, and the rest is released": """
        wallet 1 active - 100
         11 hold     1          30   100 -   -    → applied 1-h1 open 30 0
         12 capture  1-h1       31   -   -   -    → capture_exceeds_hold
         12 capture  1-h1       10   -   -   -    → applied 1-2 90
         12 see 1-h1 → captured 30 10
         12 look 1 → active 90 0 90
         13 capture  1-h1        1   -   -   -    → hold_not_open
    """,
    "capture: a part, and the rest is kept": """
        wallet 1 active - 100
         11 hold     1          30   100 -   -    → applied 1-h1 open 30 0
         12 capture  1-h1       10   keep -  -    → applied 1-2 90
         12 see 1-h1 → open 30 10
         12 row 1-h1 → open -
         12 look 1 → active 90 20 70
         13 capture  1-h1       21   keep -  -    → capture_exceeds_hold
         13 capture  1-h1        5   keep -  -    → applied 1-3 85
         13 look 1 → active 85 15 70
        # All that is left ends it, whatever was said of keeping.
         14 capture  1-h1       15   keep -  -    → applied 1-4 70
         14 see 1-h1 → captured 30 30
         14 look 1 → active 70 0 70
    """,
    "capture: kept in part, and then voided, captured or expired": """
        wallet 1 active - 100
         11 hold     1          30   100 -   -    → applied 1-h1 open 30 0
         11 hold     1          30   100 -   -    → applied 1-h2 open 30 0
         11 hold     1          30     9 -   -    → applied 1-h3 open 30 0
         12 capture  1-h1       10   keep -  -    → applied 1-2 90
         12 capture  1-h2       10   keep -  -    → applied 1-3 80
         12 capture  1-h3       10   keep -  -    → applied 1-4 70
         13 look 1 → active 70 60 10
         13 void     1-h1                         → applied 1-h1 voided 30 10
         13 look 1 → active 70 40 30
         14 capture  1-h2        -   -   -   -    → applied 1-5 50
         14 look 1 → active 50 20 30
         20 look 1 → active 50 0 50
         20 see 1-h3 → expired 30 10
    """,
    "void: what it kept is free": """
        wallet 1 active - 100
         11 hold     1          30   100 -   -    → applied 1-h1 open 30 0
         12 void     1-h1                         → applied 1-h1 voided 30 0
         12 row 1-h1 → voided 12
         12 look 1 → active 100 0 100
         13 void     1-h1                         → hold_not_open
         13 capture  1-h1        -   -   -   -    → hold_not_open
    """,
    "expiry: to the microsecond, with nobody there": """
        wallet 1 active - 100
         11 hold     1          30    10 -   -    → applied 1-h1 open 30 0
         20 look 1 → active 100 30 70
         20 see 1-h1 → open 30 0
         20 debit    1          71   - - -        → insufficient_funds
         21 look 1 → active 100 0 100
         21 see 1-h1 → expired 30 0
         21 row 1-h1 → open -
         21 capture  1-h1        -   -   -   -    → hold_not_open
         21 void     1-h1                         → hold_not_open
         21 row 1-h1 → open -
         21 row 1    → 30 1
         21 debit    1          71   - - -        → applied 1-2 29
         21 row 1-h1 → expired 21
         21 row 1    → 0 1
    """,
    "expiry: the last microsecond still captures": """
        wallet 1 active - 100
         11 hold     1          30    10 -   -    → applied 1-h1 open 30 0
         20 capture  1-h1        -   -   -   -    → applied 1-2 70
         21 look 1 → active 70 0 70
         21 row 1-h1 → captured 20
    """,
    "expiry: noted by any next write to the wallet, at the time at which it was": """
        wallet 1 active - 100
        wallet 2 active - 100
        wallet 3 active - 100
        wallet 4 active - 100
        wallet 5 active - 100
        wallet 6 active - 100
        wallet 7 active - 100
         11 hold     1          30     9 -   -    → applied 1-h1 open 30 0
         11 hold     2          30     9 -   -    → applied 2-h1 open 30 0
         11 hold     3          30     9 -   -    → applied 3-h1 open 30 0
         11 hold     4          30     9 -   -    → applied 4-h1 open 30 0
         11 hold     5          30     9 -   -    → applied 5-h1 open 30 0
         11 hold     5          30    99 -   -    → applied 5-h2 open 30 0
         11 hold     6          30     9 -   -    → applied 6-h1 open 30 0
         11 hold     6          30    99 -   -    → applied 6-h2 open 30 0
         11 hold     7          30     9 -   -    → applied 7-h1 open 30 0
         50 transfer 1 2       100   - -          → applied 1-2 0 2-2 200
         50 hold     3         100    10 -   -    → applied 3-h2 open 100 0
         50 reverse  4-1       100   - - -        → applied 4-2 0
         50 void     5-h2                         → applied 5-h2 voided 30 0
         50 capture  6-h2        -   -   -   -    → applied 6-2 70
         50 status   7 frozen                     → applied 7 frozen
         50 row 1-h1 → expired 20
         50 row 2-h1 → expired 20
         50 row 3-h1 → expired 20
         50 row 4-h1 → expired 20
         50 row 5-h1 → expired 20
         50 row 6-h1 → expired 20
         50 row 7-h1 → expired 20
         50 row 1 → 0 1
         50 row 2 → 0 1
         50 row 3 → 100 2
         50 row 4 → 0 1
         50 row 5 → 0 2
         50 row 6 → 0 2
         50 row 7 → 0 1
    """,
    "expiry: what has been noted stays so, though the clock is set back": """
        wallet 1 active - 100
         11 hold     1          30     9 -   -    → applied 1-h1 open 30 0
         20 credit   1           1   - - -        → applied 1-2 101
         15 see 1-h1 → expired 30 0
         15 capture  1-h1        -   -   -   -    → hold_not_open
         15 look 1 → active 101 0 101
    """,
    "capture: never below the minimum, even where that was raised since": """
        wallet 1 active - 100
         11 hold     1          90   100 -   -    → applied 1-h1 open 90 0
         12 limits   1 20 = =                     → applied 1 active
         12 look 1 → active 100 90 0
         12 capture  1-h1        -   -   -   -    → insufficient_funds
         12 capture  1-h1       80   keep -  -    → applied 1-2 20
         12 look 1 → active 20 10 0
         12 capture  1-h1        -   -   -   -    → insufficient_funds
    """,
    "capture: what other holds keep does not stand against it": """
        wallet 1 active -50 100
         11 hold     1         100   100 -   -    → applied 1-h1 open 100 0
         11 hold     1          50   100 -   -    → applied 1-h2 open 50 0
         11 look 1 → active 100 150 0
         12 capture  1-h1        -   -   -   -    → applied 1-2 0
         12 capture  1-h2        -   -   -   -    → applied 1-3 -50
         12 look 1 → active -50 0 0
    """,
    "the day's limit: what is held counts from when it is placed, so a capture always fits": """
        wallet 1 active - 100 daily=30
         11 hold     1          31   100 -   -    → limit_exceeded daily_debit
         11 hold     1          20   100 -   -    → applied 1-h1 open 20 0
         12 debit    1          11   -   -   -    → limit_exceeded daily_debit
         12 hold     1          11   100 -   -    → limit_exceeded daily_debit
         12 debit    1          10   -   -   -    → applied 1-2 90
         12 capture  1-h1       15   keep -  -    → applied 1-3 75
         12 debit    1           1   -   -   -    → limit_exceeded daily_debit
         12 capture  1-h1        5   -   -   -    → applied 1-4 70
         12 debit    1           1   -   -   -    → limit_exceeded daily_debit
    """,
    "the day's limit: what is let go of counts no more": """
        wallet 1 active - 100 daily=30
         11 hold     1          20   100 -   -    → applied 1-h1 open 20 0
         12 debit    1          30   -   -   -    → limit_exceeded daily_debit
         12 void     1-h1                         → applied 1-h1 voided 20 0
         12 debit    1          30   -   -   -    → applied 1-2 70
    """,
    "the day's limit: an open hold counts on later days too, and one that has expired does not": """
        wallet 1 active - 100 daily=30
         11 hold     1          20  2DAY -   -    → applied 1-h1 open 20 0
        DAY debit    1          11   -   -   -    → limit_exceeded daily_debit
        DAY debit    1          10   -   -   -    → applied 1-2 90
        DAY capture  1-h1       20   -   -   -    → applied 1-3 70
       2DAY hold     1          20     9 -   -    → applied 1-h2 open 20 0
       2DAY+9 debit  1          30   -   -   -    → applied 1-4 40
    """,
    "the day's limit: what is held counts from the day it was placed, and not for a day before it": """
        wallet 1 active - 100 daily=30
          DAY+5 hold  1          20  2DAY -   -     → applied 1-h1 open 20 0
          DAY+6 debit 1          11   -   -   DAY+1 → limit_exceeded daily_debit
          DAY+6 debit 1          31   -   -    20   → limit_exceeded daily_debit
          DAY+6 debit 1          30   -   -    20   → applied 1-2 70
          DAY+6 debit 1          11   -   -   DAY+1 → limit_exceeded daily_debit
          DAY+6 debit 1          10   -   -   DAY+1 → applied 1-3 60
         2DAY+6 hold  1          10     5 -   -     → applied 1-h2 open 10 0
         2DAY+7 debit 1          11   -   -   DAY+2 → limit_exceeded daily_debit
         2DAY+9 capture 1-h1     20   -   -   -     → applied 1-4 40
    """,
    "the day's limit: one that is lowered stops no capture of what was held before": """
        wallet 1 active - 100
         11 hold     1          20   100 -   -    → applied 1-h1 open 20 0
         12 limits   1   =   =   5                → applied 1 active
         12 debit    1           1   -   -   -    → limit_exceeded daily_debit
         12 capture  1-h1       20   -   -   -    → applied 1-2 80
    """,
    "capture: the totals keep to their bound": """
        wallet 1 active - TOTAL TOTAL-5
         11 hold     1           5   100 -   -    → applied 1-h1 open 5 0
         12 capture  1-h1        -   -   -   -    → applied 1-3 0
        wallet 2 active -9 TOTAL-5 TOTAL-5
         11 hold     2           9   100 -   -    → applied 2-h1 open 9 0
         12 capture  2-h1        -   -   -   -    → balance_overflow
         12 capture  2-h1        5   -   -   -    → applied 2-3 -5
    """,
    "active: a frozen or closed wallet's": """
        wallet 1 active - 100
        wallet 2 frozen - 100
        wallet 3 closed -
         11 hold     1          30   100 -   -    → applied 1-h1 open 30 0
         11 hold     1          30   100 -   -    → applied 1-h2 open 30 0
         12 status   1 frozen                     → applied 1 frozen
         12 hold     1           1   100 -   -    → wallet_not_active
         12 hold     2           1   100 -   -    → wallet_not_active
         12 hold     3           1   100 -   -    → wallet_not_active
         12 capture  1-h1        -   -   -   -    → wallet_not_active
        # Letting go moves no money, so a frozen wallet's hold may end.
         12 void     1-h1                         → applied 1-h1 voided 30 0
         12 look 1 → frozen 100 30 70
         13 status   1 active                     → applied 1 active
         13 capture  1-h2        -   -   -   -    → applied 1-2 70
    """,
    "exists: a wallet or hold that is not there": """
        wallet 1 active - 100
         11 hold     9           1   100 -   -    → wallet_not_found
         11 capture  1-h1        1   -   -   -    → hold_not_found
         11 capture  9-h1        1   -   -   -    → hold_not_found
         11 void     1-h1                         → hold_not_found
         11 void     9-h1                         → hold_not_found
         11 hold     1           1   100 -   -    → applied 1-h1 open 1 0
         11 void     1-h2                         → hold_not_found
         11 void     1-h0                         → hold_not_found
    """,
    "amount: above 0, up to the bound": """
        wallet 1 active - MAX
         11 hold     1           0   100 -   -    → invalid_input
         11 hold     1          -1   100 -   -    → invalid_input
         11 hold     1       MAX+1   100 -   -    → invalid_input
         11 hold     1         MAX   100 -   -    → applied 1-h1 open 1000000000000000 0
         11 capture  1-h1        0   -   -   -    → invalid_input
         11 capture  1-h1       -1   -   -   -    → invalid_input
         11 capture  1-h1    MAX+1   -   -   -    → invalid_input
         11 capture  1-h1      MAX   -   -   -    → applied 1-2 0
    """,
    "key: of a hold": """
        wallet 1 active - 100
         11 hold     1          30   100 k   car  → applied 1-h1 open 30 0
         12 hold     1          30   100 k   car  → replayed 1-h1 open 30 0
         12 hold     1          31   100 k   car  → key_reused
         12 hold     1          30    99 k   car  → key_reused
         12 hold     1          30   100 k   -    → key_reused
         12 look 1 → active 100 30 70
        # The answer to a hold that has ended since is what was answered then.
         13 void     1-h1                         → applied 1-h1 voided 30 0
         13 hold     1          30   100 k   car  → replayed 1-h1 open 30 0
         13 look 1 → active 100 0 100
    """,
    "key: of a capture": """
        wallet 1 active - 100
         11 hold     1          30   100 -   -    → applied 1-h1 open 30 0
         11 hold     1          30   100 -   -    → applied 1-h2 open 30 0
         12 capture  1-h1       10   keep k  fee  → applied 1-2 90
         12 capture  1-h1       10   keep k  fee  → replayed 1-2 90
         12 look 1 → active 90 50 40
         12 capture  1-h1       11   keep k  fee  → key_reused
         12 capture  1-h1       10   keep k  -    → key_reused
         12 capture  1-h2       10   keep k  fee  → key_reused
        # An amount that is not given stood for all of it then.
         13 capture  1-h2        -   -   all -    → applied 1-3 60
         13 capture  1-h2        -   -   all -    → replayed 1-3 60
         13 capture  1-h2       30   -   all -    → replayed 1-3 60
         13 capture  1-h2       29   -   all -    → key_reused
    """,
    "key: free after a refusal": """
        wallet 1 active - 100
         11 hold     1         101   100 k   -    → insufficient_funds
         11 hold     1         100   100 k   -    → applied 1-h1 open 100 0
         12 capture  1-h1      101   -   j   -    → capture_exceeds_hold
         12 capture  1-h1      100   -   j   -    → applied 1-2 0
    """,
    "time: a clock that was set back": """
        wallet 1 active - 100
        100 credit   1           1   - - -        → applied 1-2 101
         50 hold     1          30    10 -   -    → applied 1-h1 open 30 0
         50 hold     1          30   100 -   -    → applied 1-h2 open 30 0
         40 void     1-h1                         → applied 1-h1 voided 30 0
         40 row 1-h1 → voided 100
         40 capture  1-h2        -   -   -   -    → applied 1-3 71
         40 row 1-h2 → captured 100
    """,
    "time: a hold does not end before what was captured of it, whoever's clock is behind": """
        wallet 1 active - 100
         11 hold     1          30   100 -   -    → applied 1-h1 open 30 0
         50 capture  1-h1       10   keep -  -    → applied 1-2 90
         40 void     1-h1                         → applied 1-h1 voided 30 10
         40 row 1-h1 → voided 50
    """,
    "time: what was placed under a clock ahead counts within the limit of today, but of no day before": """
        wallet 1 active - 500 daily=100
        2DAY hold     1          80   DAY -   -    → applied 1-h1 open 80 0
        DAY+9 debit 1            21   -   -   DAY+1 → limit_exceeded daily_debit
        DAY+9 debit 1            21   -   -   20   → applied 1-2 479
        DAY+9 debit 1            21   -   -   -    → limit_exceeded daily_debit
        DAY+9 debit 1            20   -   -   DAY+1 → applied 1-3 459
    """,
    "time: what counts as held can be captured and voided, though the wallet's time is past its expiry": """
        wallet 1 active - 100
        wallet 2 active - 100
        100 credit   2           1   - - -        → applied 2-2 101
         11 hold     1          30    10 -   -    → applied 1-h1 open 30 0
         11 hold     1          30    10 -   -    → applied 1-h2 open 30 0
         11 hold     1          10    10 -   -    → applied 1-h3 open 10 0
         12 transfer 1 2         1 -     -        → applied 1-2 99 2-3 102
         13 hold     1          30    10 -   -    → insufficient_funds
         13 capture  1-h1        -   -   -   -    → applied 1-3 69
         13 row 1-h1 → captured 100
         13 void     1-h2                         → applied 1-h2 voided 30 0
         13 row 1-h2 → voided 100
         21 capture  1-h3        -   -   -   -    → hold_not_open
         21 debit    1          69   - - -        → applied 1-4 0
    """,
    "time: a hold does not end before it was placed, whoever's clock is behind": """
        wallet 1 active - 100
         50 hold     1          30   100 -   -    → applied 1-h1 open 30 0
         50 hold     1          30   100 -   -    → applied 1-h2 open 30 0
         50 hold     1          30   100 -   -    → applied 1-h3 open 30 0
         40 void     1-h1                         → applied 1-h1 voided 30 0
         40 row 1-h1 → voided 50
         41 capture  1-h2       10   keep -  -    → applied 1-2 90
         42 capture  1-h2        -   -   -   -    → applied 1-3 70
         42 row 1-h2 → captured 50
         43 capture  1-h3        -   -   -   -    → applied 1-4 40
         43 row 1-h3 → captured 50
         49 credit   1           1   - - -        → applied 1-5 41
    """,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_rules(table: str) -> None:
    play(table)


def test_a_capture_is_not_dated_before_its_hold() -> None:
    book = play(
        """
        wallet 1 active - 100
         50 hold     1          30   100 -   -    → applied 1-h1 open 30 0
         40 capture  1-h1        -   -   -   -    → applied 1-2 70
        """
    )
    assert book.last(1).at_us == 50


def test_a_capture_is_a_debit_that_names_its_hold() -> None:
    book = play(
        """
        wallet 1 active - 100
         11 hold     1          30   100 -   -    → applied 1-h1 open 30 0
         11 hold     1          20   100 -   -    → applied 1-h2 open 20 0
         12 capture  1-h2       15   -   k   fee  → applied 1-2 85
        """
    )
    made = book.last(1)
    assert (made.is_credit, made.amount, made.hold, made.remarks.note, made.key, made.at_us) == (
        False,
        15,
        2,
        "fee",
        "k",
        12,
    )
    assert (made.peer_wallet_id, made.reverses, made.forced) == (None, None, False)


def test_a_refusal_says_what_there_is_and_what_is_missing() -> None:
    book = play(
        """
        wallet 1 active 20 10000
         11 hold     1        3000   100 -   -    → applied 1-h1 open 3000 0
         12 capture  1-h1     1000   keep -  -    → applied 1-2 9000
         13 hold     1          50     5 -   -    → applied 1-h2 open 50 0
         14 void     1-h2                         → applied 1-h2 voided 50 0
        """
    )

    def details(command: PlaceHold | CaptureHold) -> dict[str, object]:
        (result,) = book.carry_out([command], 20)
        assert isinstance(result, Refusal)
        return result.error.details

    assert details(CaptureHold(1, 1, 2050)) == {
        "amount": "30.00",
        "captured": "10.00",
        "available": "20.00",
        "shortfall": "0.50",
    }
    assert details(PlaceHold(1, 7000, 5)) == {
        "balance": "90.00",
        "available": "69.80",
        "minimum_balance": "0.20",
        "shortfall": "0.20",
        "held": "20.00",
    }
    assert details(CaptureHold(1, 2)) == {"status": "voided", "ended_at": "1970-01-01T00:00:00.000014Z"}


def test_holds_of_one_batch_see_each_other() -> None:
    """What is placed, captured and expired within a batch counts for those after it."""
    book = play(
        """
        wallet 1 active - 100
         11 hold     1          30     9 old -    → applied 1-h1 open 30 0
        """
    )
    batch = [
        PlaceHold(1, 100, 10, key="k"),
        PlaceHold(1, 1, 10),
        PlaceHold(1, 100, 10, key="k"),
        CaptureHold(1, 2, 60, keep=True),
        PlaceHold(1, 1, 10),
        CaptureHold(1, 2, 10),
        PlaceHold(1, 30, 10),
        PlaceHold(1, 30, 9, key="old"),
    ]
    results = book.carry_out(batch, 20)
    assert [book.told(result) for result in results] == [
        "applied 1-h2 open 100 0",
        "insufficient_funds",
        "replayed 1-h2 open 100 0",
        "applied 1-2 40",
        "insufficient_funds",
        "applied 1-3 30",
        "applied 1-h3 open 30 0",
        "replayed 1-h1 open 30 0",
    ]
    play("20 row 1 → 30 3", book=book)


# A request that breaks every rule, and then, row by row, one rule fewer: each answer is that of the first rule broken.
PLACING = """
    wallet 1 active - 15 10 used=used
    wallet 2 frozen - 15 10 used=used
    wallet 3 active - 15 10 daily=4
    now hold wallet amount lasts key note → result
     50 hold 9      MAX+1    10 used -    → wallet_not_found
     50 hold 2      MAX+1    10 used -    → key_reused
     50 hold 2      MAX+1    10 free -    → wallet_not_active
     50 hold 1      MAX+1    10 free -    → invalid_input
     50 hold 3          6    10 free -    → limit_exceeded daily_debit
     50 hold 1          6    10 free -    → insufficient_funds
     50 hold 1          5    10 free -    → applied 1-h1 open 5 0
"""
CAPTURING = """
    wallet 1 active -90 TOTAL-5 TOTAL-5 used=used
    wallet 2 active -90 TOTAL-5 TOTAL-5 used=used
    wallet 3 active -90 15 15 used=used
    wallet 4 active -90 15 15 used=used
     20 hold 1         20    99 -    -    → applied 1-h1 open 20 0
     20 hold 2         20    99 -    -    → applied 2-h1 open 20 0
     20 hold 2         20    99 -    -    → applied 2-h2 open 20 0
     20 hold 3         20    99 -    -    → applied 3-h1 open 20 0
     20 hold 4         20    99 -    -    → applied 4-h1 open 20 0
     20 void 2-h1                         → applied 2-h1 voided 20 0
     20 limits 1 0 = =                    → applied 1 active
     20 limits 2 0 = =                    → applied 2 active
     20 limits 3 = = 3                    → applied 3 active
     20 limits 4 0 = =                    → applied 4 active
     20 status 1 frozen                   → applied 1 frozen
    now capture hold amount keep key note → result
     50 capture 9-h1  MAX+1 -    used -   → hold_not_found
     50 capture 1-h1  MAX+1 -    used -   → key_reused
     50 capture 1-h1  MAX+1 -    free -   → wallet_not_active
     50 capture 2-h1  MAX+1 -    free -   → hold_not_open
     50 capture 2-h2  MAX+1 -    free -   → invalid_input
     50 capture 2-h2     21 -    free -   → capture_exceeds_hold
     50 capture 2-h2     20 -    free -   → balance_overflow
     50 capture 3-h1     20 -    free -   → applied 3-3 -20
     50 capture 4-h1     20 -    free -   → insufficient_funds
     50 credit  4        20 - - -         → applied 4-3 20
     50 capture 4-h1     20 -    free -   → applied 4-4 0
"""


VOIDING = """
    wallet 1 active -
     11 put  1-h1 30 0 voided 1 50 5 - → applied 1-h1 voided 30 0
     12 void 1-h1                      → hold_not_open
     12 status 1 closed                → applied 1 closed
     12 void 1-h3                      → hold_not_found
     12 void 1-h1                      → wallet_not_active
"""


@pytest.mark.parametrize("table", [PLACING, CAPTURING, VOIDING], ids=["placing", "capturing", "voiding"])
def test_the_first_rule_that_is_broken_is_the_one_that_answers(table: str) -> None:
    play(table)


def test_a_refusal_with_lapsed_holds_notes_nothing() -> None:
    book = play(
        """
        wallet 1 active - 100
         11 hold     1          30     9 -   -    → applied 1-h1 open 30 0
        """
    )
    batch = [PlaceHold(1, 101, 10)]
    state = book.load(batch, 20)
    before = everything(state)
    (result,) = execute(state, batch, 20)
    assert isinstance(result, Refusal)
    assert everything(state) == before
