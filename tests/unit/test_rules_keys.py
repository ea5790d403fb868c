"""Keys and metadata across all kinds of requests, as tables. The form is that of support/book.py."""

from __future__ import annotations

from itertools import permutations

import pytest
from support.book import Book, parsed, play

KINDS = {
    "credit": "credit 1 10 k - -",
    "debit": "debit 1 10 k - -",
    "transfer": "transfer 1 2 10 k -",
    "hold": "hold 1 10 99 k -",
    "capture": "capture 1-h1 10 - k -",
    "reverse": "reverse 1-1 10 - k -",
}
"""A request of each kind that takes a key: alike in wallet, amount, note and key."""


def ledger() -> Book:
    return play(
        """
        wallet 1 active - 100
        wallet 2 active - 100
         11 hold 1 20 9999 - - → applied 1-h1 open 20 0
        """
    )


@pytest.mark.parametrize(("first", "second"), list(permutations(KINDS, 2)))
def test_a_key_used_by_one_kind_of_request_cannot_be_used_by_another(first: str, second: str) -> None:
    book = ledger()
    for event, expected in ((first, "applied"), (second, "key_reused"), (first, "replayed")):
        command, now_us = parsed(f"12 {KINDS[event]}".split())
        assert book.told(book.carry_out([command], now_us)[0]).split()[0] == expected, event


@pytest.mark.parametrize(("first", "second"), list(permutations(KINDS, 2)))
def test_nor_within_one_batch(first: str, second: str) -> None:
    book = ledger()
    batch = [parsed(f"12 {KINDS[event]}".split())[0] for event in (first, second, first)]
    words = [book.told(result).split()[0] for result in book.carry_out(batch, 12)]
    assert words == ["applied", "key_reused", "replayed"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_there_before_is_named_where_a_key_is_reused(kind: str) -> None:
    book = ledger()
    other = "debit 1 11 k - -"
    (made,) = book.carry_out([parsed(f"12 {KINDS[kind]}".split())[0]], 12)
    (refused,) = book.carry_out([parsed(f"12 {other}".split())[0]], 12)
    place = book.told(made).split()[1]
    assert refused.error.details == {"hold" if kind == "hold" else "transaction": place}  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS)
def test_a_replay_is_asked_of_an_active_wallet_alone(kind: str) -> None:
    book = ledger()
    command, _ = parsed(f"12 {KINDS[kind]}".split())
    book.carry_out([command], 12)
    play("13 status 1 frozen → applied 1 frozen", book=book)
    assert book.told(book.carry_out([command], 14)[0]) == "wallet_not_active"


META = {
    "the same metadata is the same request, other metadata is another": """
        wallet 1 active - 100
        wallet 2 active -
         11 credit   1 10 c -  -  {"a":1}   → applied 1-2 110
         11 transfer 1 2 10 t -   {"a":1}   → applied 1-3 100 2-1 10
         11 reverse  1-1 10 - r - {"a":1}   → applied 1-4 90
         12 credit   1 10 c -  -  {"a":1}   → replayed 1-2 110
         12 transfer 1 2 10 t -   {"a":1}   → replayed 1-3 100 2-1 10
         12 reverse  1-1 10 - r - {"a":1}   → replayed 1-4 90
         12 credit   1 10 c -  -  {"a":"1"} → key_reused
         12 transfer 1 2 10 t -   {"a":2}   → key_reused
         12 reverse  1-1 10 - r - {"b":1}   → key_reused
         12 credit   1 10 c -  -            → key_reused
         12 transfer 1 2 10 t -             → key_reused
         12 reverse  1-1 10 - r -           → key_reused
    """,
    "none is not some": """
        wallet 1 active - 100
         11 debit    1 10 k -  -            → applied 1-2 90
         12 debit    1 10 k -  -  {"a":1}   → key_reused
    """,
}


@pytest.mark.parametrize("table", META.values(), ids=META)
def test_metadata_belongs_to_the_request(table: str) -> None:
    play(table)


def test_metadata_is_kept_as_it_was_given() -> None:
    book = play("""
        wallet 1 active -
         11 credit 1 10 - - - {"order":"1041"} → applied 1-1 10
    """)
    assert book.last(1).meta == '{"order":"1041"}'
