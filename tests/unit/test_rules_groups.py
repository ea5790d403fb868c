"""Groups: all of their commands are carried out, or none, and those beside them in the batch are not touched."""

from __future__ import annotations

from typing import Any

import pytest
from support.book import INR, Book, everything, play

from wallet_cli.domain.commands import (
    Applied,
    AppliedAtomic,
    Atomic,
    CaptureHold,
    OpenWallet,
    PlaceHold,
    Post,
    Refusal,
    Register,
    Replayed,
    Reverse,
    SetLimits,
    SetStatus,
    Single,
    Transfer,
    VoidHold,
)
from wallet_cli.domain.phone import Phone
from wallet_cli.domain.rules import execute


def ledger() -> Book:
    """Two wallets; the first has an open hold, one that has expired by 20, and a limit of the day."""
    return play(
        """
        wallet 1 active - 100 daily=80
        wallet 2 active - 100
         11 hold     1 20  99 - -  → applied 1-h1 open 20 0
         11 hold     1 10   9 - -  → applied 1-h2 open 10 0
         12 transfer 1 2 5 t -     → applied 1-2 95 2-2 105
        """
    )


EVERYTHING: tuple[Single, ...] = (
    Post(1, True, 1, key="a"),
    Post(1, False, 1),
    Transfer(1, 2, 10, key="b"),
    PlaceHold(1, 10, 99, key="c"),
    CaptureHold(1, 1, 5, keep=True),
    CaptureHold(1, 3),
    VoidHold(1, 1),
    Reverse(2, 2, 3, key="d"),
    Reverse(1, 1, 1, force=True),
    SetLimits(2, maximum=500),
    SetStatus(2, "frozen"),
    Register(Phone("2", "+912", None, None), None),
    OpenWallet(2, "main", INR, None),
    Post(3, True, 7),
)
"""A command of each kind, each of which changes something and rests on what those before it left."""

WRONG: dict[str, tuple[Single, str]] = {
    "no such wallet": (Post(9, True, 1), "wallet_not_found"),
    "frozen by the group itself": (Transfer(1, 2, 1), "wallet_not_active"),
    "a key of the group for something else": (Post(1, True, 2, key="a"), "key_reused"),
    "the group's own hold once more": (CaptureHold(1, 3), "hold_not_open"),
    "more than is left": (Reverse(1, 1, 100), "reversal_exceeds_original"),
    "too much for the day": (Post(1, False, 80), "limit_exceeded"),
    "funds": (Post(3, False, 8), "insufficient_funds"),
}


def test_all_of_a_group_is_carried_out() -> None:
    book, apart = ledger(), ledger()
    (result,) = book.carry_out([Atomic(EVERYTHING)], 20)
    assert isinstance(result, AppliedAtomic)
    assert all(isinstance(each, Applied) for each in result.results)
    one_by_one = [apart.carry_out([command], 20)[0] for command in EVERYTHING]
    assert list(result.results) == one_by_one
    assert vars(book) == vars(apart)


@pytest.mark.parametrize(("wrong", "code"), WRONG.values(), ids=WRONG)
def test_of_a_group_with_a_refusal_nothing_is_left(wrong: Single, code: str) -> None:
    group = Atomic((*EVERYTHING, wrong, Post(1, True, 1)))
    state = ledger().load([group], 20)
    before = everything(state)
    (result,) = execute(state, [group], 20)
    assert isinstance(result, Refusal)
    assert (result.error.code, result.error.details["index"]) == (code, len(EVERYTHING))
    assert everything(state) == before
    assert state.changes == []


COUNTED = " (counting what comes before it, of which nothing is applied)"

SAID: dict[str, tuple[tuple[Single, ...], str, dict[str, Any]]] = {
    "what a request before it would leave is told as that": (
        (Post(1, True, 50), Post(1, False, 800)),
        COUNTED,
        {"index": 1},
    ),
    "a transaction that is not there is not named": (
        (Post(1, True, 1, key="n"), Post(1, True, 2, key="n")),
        "this key is used for another request before it in the same group",
        {"index": 1},
    ),
    "nor a hold": (
        (PlaceHold(1, 1, 99, key="n"), PlaceHold(1, 2, 99, key="n")),
        "this key is used for another request before it in the same group",
        {"index": 1},
    ),
    "one that is there is named": (
        (Post(1, True, 1), Post(1, False, 7, key="t")),
        "this key was used for another request, transaction 1-2" + COUNTED,
        {"index": 1, "transaction": "1-2"},
    ),
    "what comes first counts nothing": ((Post(2, False, 800),), "", {"index": 0}),
    "what depends on nothing before it says nothing of it": (
        (Post(1, True, 1), Post(9, True, 1)),
        "there is no wallet w9",
        {"index": 1},
    ),
}


@pytest.mark.parametrize(("group", "said", "details"), SAID.values(), ids=SAID)
def test_a_refusal_tells_of_nothing_that_is_not_there(
    group: tuple[Single, ...], said: str, details: dict[str, Any]
) -> None:
    state = ledger().load([Atomic(group)], 20)
    (result,) = execute(state, [Atomic(group)], 20)
    assert isinstance(result, Refusal)
    assert result.error.message.endswith(said)
    assert (COUNTED in result.error.message) == (COUNTED in said)
    assert {name: result.error.details.get(name) for name in ("index", "transaction", "hold")} == (
        {"transaction": None, "hold": None} | details
    )


@pytest.mark.parametrize("size", range(len(EVERYTHING) + 1))
def test_wherever_the_refusal_stands(size: int) -> None:
    group = Atomic((*EVERYTHING[:size], Post(9, True, 1)))
    state = ledger().load([group], 20)
    before = everything(state)
    (result,) = execute(state, [group], 20)
    assert isinstance(result, Refusal)
    assert result.error.details["index"] == size
    assert everything(state) == before


def test_a_group_that_is_rolled_back_does_not_touch_its_neighbours() -> None:
    good: list[Any] = [Post(1, False, 1, key="x"), PlaceHold(1, 30, 99), Reverse(1, 2, 2), Post(1, False, 3)]
    bad = Atomic((*EVERYTHING, Post(9, True, 1)))
    batch = [bad, good[0], good[1], bad, good[2], bad, good[3], bad]
    alone, mixed = ledger().load(batch, 20), ledger().load(batch, 20)
    expected = execute(alone, good, 20)
    results = execute(mixed, batch, 20)
    assert [results[index] for index in (1, 2, 4, 6)] == expected
    assert everything(mixed) == everything(alone)


def test_a_group_that_is_sent_again_is_answered_again() -> None:
    group = Atomic((Post(1, True, 5, key="x"), Transfer(1, 2, 5, key="y"), PlaceHold(1, 1, 99, key="z")))
    book = ledger()
    first = book.carry_out([group], 20)[0]
    assert isinstance(first, AppliedAtomic)
    state = book.load([group], 21)
    before = everything(state)
    (again,) = execute(state, [group], 21)
    assert again == AppliedAtomic(tuple(Replayed(each.made, each.beside) for each in first.results))
    assert everything(state) == before


def test_an_empty_group_is_carried_out_and_does_nothing() -> None:
    state = ledger().load([Atomic(())], 20)
    before = everything(state)
    assert execute(state, [Atomic(())], 20) == [AppliedAtomic(())]
    assert everything(state) == before
