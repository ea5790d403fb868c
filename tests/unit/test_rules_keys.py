"""Keys and metadata across all kinds of requests, as tables. The form is that of support/book.py."""

from __future__ import annotations

from itertools import permutations, product

import pytest
from support.book import Book, parsed, play

from wallet_cli.domain.commands import VoidHold

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


SINCE = {
    "frozen": "13 status 1 frozen → applied 1 frozen",
    "the payee closed": "13 debit 2 110 - - - → applied 2-3 0\n 13 status 2 closed → applied 2 closed",
    "emptied and closed": "13 void 1-h1 → applied 1-h1 voided 20 0\n 13 void 1-h2 → applied 1-h2 voided 10 0\n"
    " 13 debit 1 ALL - - - → applied 1-3 0\n 13 status 1 closed → applied 1 closed",
    "its minimum raised": "13 limits 1 100 = = → applied 1 active",
    "its maximum lowered": "13 limits 1 = 0 = → applied 1 active",
    "no debits any more": "13 limits 1 = = 0 → applied 1 active",
    "time gone on": "999 credit 1 1 - - - → applied",
}
"""What may have become of the wallets since."""


@pytest.mark.parametrize("since", SINCE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_request_sent_again_has_its_first_answer(kind: str, since: str) -> None:
    book = ledger()
    command, _ = parsed(f"12 {KINDS[kind]}".split())
    first = book.told(book.carry_out([command], 12)[0])
    for row in SINCE[since].splitlines():
        event = row.partition("→")[0].replace("ALL", str(book.last(1).balance)).split()
        if book.last(2).balance != 110 and event[1:3] == ["debit", "2"]:
            event[3] = str(book.last(2).balance)
        change, now_us = parsed(event)
        if isinstance(change, VoidHold) and change not in book.holds:
            continue
        assert book.told(book.carry_out([change], now_us)[0]).split()[0] in ("applied", "hold_not_open"), row
    assert book.told(book.carry_out([command], 1000)[0]) == first.replace("applied", "replayed")


@pytest.mark.parametrize("kind", ["credit", "debit", "transfer"])
def test_keys_of_users_and_of_operators_are_two_sets(kind: str) -> None:
    book = ledger()
    command, _ = parsed(f"12 {KINDS[kind]}".split())
    by_user = command._replace(user_key=True)  # type: ignore[call-arg,union-attr]
    for event, expected in ((by_user, "applied"), (command, "applied"), (by_user, "replayed"), (command, "replayed")):
        assert book.told(book.carry_out([event], 12)[0]).split()[0] == expected
    other = by_user._replace(amount=11)
    assert book.told(book.carry_out([other], 12)[0]) == "key_reused"
    assert [each.user_key for each in book.transactions[1] if each.key == "k"] == [True, False]


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
    assert book.last(1).remarks.meta == '{"order":"1041"}'


OF_A_HOLD = {
    "a part, and keep the rest": "capture 1-h1 20 keep k -",
    "a part, and release the rest": "capture 1-h1 20 - k -",
    "all, as a number": "capture 1-h1 70 - k -",
    "all": "capture 1-h1 - - k -",
    "all, and keep what is left": "capture 1-h1 - keep k -",
}
OF_A_TRANSACTION = {
    "a part": "reverse 1-1 20 - k -",
    "all, as a number": "reverse 1-1 70 - k -",
    "all": "reverse 1-1 - - k -",
}
ALL = {name for name in (*OF_A_HOLD, *OF_A_TRANSACTION) if name.startswith("all")}
REST = ("13 capture 1-h1 - - - -", "13 reverse 1-1 - - - -")


@pytest.mark.parametrize("since", ["nothing", "the rest", "in the same batch"])
@pytest.mark.parametrize("before", [0, 7])
@pytest.mark.parametrize(
    ("kinds", "first", "second"),
    [(kinds, *names) for kinds in (OF_A_HOLD, OF_A_TRANSACTION) for names in product(kinds, repeat=2)],
)
def test_all_that_is_left_is_another_request_than_a_part_of_it(
    kinds: dict[str, str], first: str, second: str, before: int, since: str
) -> None:
    """Also where a part of the hold, or of the original, was taken before, and where the rest is taken since."""
    book = play(
        f"""
        wallet 1 active - 0
         10 credit 1 {70 + before} - - - → applied 1-1 {70 + before}
         10 credit 1 500 - - - → applied 1-2 {570 + before}
         10 hold 1 {70 + before} 9999 - - → applied 1-h1 open {70 + before} 0
        """
        + ("11 capture 1-h1 7 keep - - → applied 1-3 570\n11 reverse 1-1 7 - - - → applied 1-4 563" if before else "")
    )
    commands = [parsed(f"12 {kinds[name]}".split())[0] for name in (first, second)]
    if since == "in the same batch":
        one, two = book.carry_out(commands, 12)
    else:
        (one,) = book.carry_out(commands[:1], 12)
        if since == "the rest":
            book.carry_out([parsed(each.split())[0] for each in REST], 13)
        (two,) = book.carry_out(commands[1:], 14)
    assert book.told(one).split()[0] == "applied"
    is_same = first == second or {first, second} <= ALL
    assert book.told(two).split()[0] == ("replayed" if is_same else "key_reused")
