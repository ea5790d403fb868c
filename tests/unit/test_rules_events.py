"""What each change records: one event in its chain, with the rows as they are then, and who did it."""

from __future__ import annotations

import copy
import hashlib
import json
from itertools import permutations
from typing import Any

import pytest
from support.book import Book, parsed, play

from wallet_cli.domain import events
from wallet_cli.domain.commands import AddApiKey, Applied, NoteUse, Refusal, RevokeApiKey, SetLedger
from wallet_cli.domain.events import LEDGER, USER, WALLET
from wallet_cli.domain.model import ApiKey, Event, Hold, LedgerFacts, Wallet
from wallet_cli.domain.money import Currency
from wallet_cli.domain.rules import execute

STORY = """
    10 register +912 - -            → 1:2 registered
    11 open 2 main INR - -          → 2:1 opened
    12 limits 1 0 500 =             → 2:1 limits set
    12 limits 1 0 500 =             →
    13 credit 1 100 - - -           →
    13 hold 1 60 DAY - -            → 2:1 hold placed
    14 capture 1-h1 10 keep - -     → 2:1 hold captured
    15 capture 1-h1 - - - -         → 2:1 hold captured
    16 hold 1 40 DAY - -            → 2:1 hold placed
    17 void 1-h2                    → 2:1 hold voided
    17 hold 1 5 10 - -              → 2:1 hold placed
    30 credit 1 1 - - -             → 2:1 hold expired
    31 reverse 1-1 100 force - -    → 2:1 forced
    32 credit 1 59 - - -            →
    33 status 1 frozen              → 2:1 frozen
    33 status 1 frozen              →
    33 debit 1 1 - - -              →
    34 status 1 active              → 2:1 unfrozen
    35 credit 1 0 - - -             →
    36 status 1 closed              → 2:1 closed
"""
"""Rows of time and command, and what it records: of which kind and id, and what. Refusals and repetitions record
nothing."""


def told(event: Event) -> str:
    return f"{event.kind}:{event.subject_id} {event.what}"


@pytest.fixture
def book() -> Book:
    return Book()


def lines() -> list[tuple[int, str, str]]:
    rows = [line.split("→") for line in STORY.strip().splitlines()]
    return [(int(row[0].split()[0]), row[0], row[1].strip()) for row in rows]


def test_each_change_records_what_was_done(book: Book) -> None:
    for now_us, row, expected in lines():
        state = book.load([parsed(row.split())[0]], now_us)
        execute(state, [parsed(row.split())[0]], now_us, ["terminal asha"])
        made = [each for each in state.changes if isinstance(each, Event)]
        assert [told(each) for each in made] == ([expected] if expected else []), row
        by = None if expected.endswith("expired") else "terminal asha"
        assert all((each.actor, each.at_us) == (by, now_us) for each in made)
        book.write(state)


def test_the_last_events_of_a_wallet_tell_its_rows(book: Book) -> None:
    for now_us, row, _ in lines():
        book.carry_out([parsed(row.split())[0]], now_us)
    rows: dict[Any, Any] = {}
    for event in book.events[WALLET, 1]:
        for kind, row in json.loads(event.details).items():
            rows[kind, row.get("number")] = row
    holds = {("hold", number): events.of_hold(hold) for (_, number), hold in book.holds.items()}
    forced = {("transaction", None): rows["transaction", None]}
    assert rows == {("wallet", None): events.of_wallet(book.wallets[1])} | holds | forced


IN_ONE_BATCH = (
    "credit 2 9 k - -",
    "transfer 1 2 5 t -",
    "transfer 2 1 5 - -",
    "hold 1 5 DAY - -",
    "capture 1-h1 2 keep - -",
    "capture 1-h2 - - - -",
    "void 1-h1",
    "limits 2 0 500 =",
    "status 2 frozen",
    "reverse 1-1 - force - -",
    "reverse 1-2 - force - -",
    "reverse 2-2 - force - -",
)


@pytest.mark.parametrize("first", IN_ONE_BATCH)
def test_in_one_batch_it_is_as_one_after_the_other(first: str) -> None:
    """A command may touch what an earlier one of its batch made: the wallet of the other leg, a hold, a key."""
    start = play("""
        wallet 1 active - 100
        wallet 2 active - 100
         5 limits 1 0 500 = → applied 1 active
         5 limits 2 0 400 = → applied 2 active
         6 hold 1 20 DAY - - → applied 1-h1 open 20 0
    """)
    for rest in permutations(IN_ONE_BATCH, 2):
        batch = [parsed(["7", *row.split()])[0] for row in (first, *rest)]
        together, apart = copy.deepcopy(start), copy.deepcopy(start)
        results = [apart.told(apart.carry_out([command], 7)[0]) for command in batch]
        assert [together.told(result) for result in together.carry_out(batch, 7)] == results, rest
        assert vars(together) == vars(apart), rest


def test_operator_keys_and_settings_are_events_of_the_ledger(book: Book) -> None:
    batch = [
        AddApiKey("till", bytes(32), False),
        NoteUse("till"),
        SetLedger("timezone", "Asia/Kolkata"),
        SetLedger("timezone", "Asia/Kolkata"),
        RevokeApiKey("till"),
        RevokeApiKey("till"),
    ]
    book.carry_out(batch, 7)
    made = book.events[LEDGER, 0]
    assert [each.what for each in made] == ["key made", "settings set", "key revoked"]
    assert json.loads(made[1].details) == {"ledger": events.of_settings(LedgerFacts(timezone="Asia/Kolkata"))}


def test_a_clock_that_goes_back_does_not_turn_events_round() -> None:
    first = events.follow(None, (USER, 1), 50, None, "registered", {})
    assert events.follow(first, (USER, 1), 40, None, "renamed", {}).at_us == 50


def test_a_key_that_is_sent_again_by_somebody_else_keeps_who_did_it(book: Book) -> None:
    for row in ("1 register +912 - -", "2 open 2 main INR - -"):
        book.carry_out([parsed(row.split())[0]], 2)
    (command, *_) = parsed(["3", "credit", "1", "100", "k", "-", "-"])
    for who, kind in (("key till", Applied), ("terminal asha", None)):
        state = book.load([command], 3)
        (result,) = execute(state, [command], 3, [who])
        assert not isinstance(result, Refusal)
        assert result.made.actor == "key till"  # type: ignore[union-attr]
        assert kind is None or isinstance(result, kind)
        book.write(state)


def test_a_refusal_has_no_actor_left_over(book: Book) -> None:
    """Each command of a batch is its own caller's."""
    book.carry_out(
        [parsed(["1", "register", "+912", "-", "-"])[0], parsed(["1", "open", "2", "main", "INR", "-", "-"])[0]], 1
    )
    batch = [parsed(row.split())[0] for row in ("2 credit 1 5 - - -", "2 debit 1 99 - - -", "2 debit 1 5 - - -")]
    state = book.load(batch, 2)
    execute(state, batch, 2, ["key till", "token user:2", None])
    book.write(state)
    assert [each.actor for each in book.transactions[1]] == ["key till", None]


def test_an_event_has_the_documented_bytes() -> None:
    event = events.follow(None, (WALLET, 3), 7, "key till", "hold placed", {"hold": {"number": 1, "note": "ü"}})
    before = hashlib.sha256(b"events 1 wallet 3").digest()
    text = ' 1 7 11:hold placed by 8:key till {"hold":{"note":"\\u00fc","number":1}}'
    assert event.hash == hashlib.sha256(before + text.encode()).digest()
    second = events.follow(event, (WALLET, 3), 8, None, "frozen", {})
    assert second.hash == hashlib.sha256(event.hash + b" 2 8 6:frozen {}").digest()


@pytest.mark.parametrize("field", [name for name in Event._fields if name != "hash"])
def test_every_field_of_an_event_is_in_its_hash(field: str) -> None:
    event = events.follow(None, (WALLET, 3), 7, "key till", "frozen", {"a": 1})
    value = getattr(event, field)
    other = (
        event._replace(**{field: value + 1 if isinstance(value, int) else f"{value} "})
        if field != "kind"
        else (event._replace(kind=USER))
    )
    assert events.hashed(other, None) != other


def test_every_field_of_a_row_is_in_its_event() -> None:
    """A field that is added later has to be told, or named here with the reason."""
    worked_out = {"held", "hold_count"}
    place = {"id", "wallet_id"}
    noted_now_and_then = {"last_used_at_us"}
    wallet = Wallet(1, 1, "main", Currency("INR", 2), "active", None, 0)
    hold = Hold(1, 1, 1, 0, "open", 0, 1, None, None, None)
    key = ApiKey("till", bytes(32), False, 0, None, None)
    for row, told_, left in (
        (wallet, events.of_wallet(wallet), worked_out | place),
        (hold, events.of_hold(hold), place),
        (key, events.of_key(key), noted_now_and_then),
    ):
        assert set(row._fields) - left == set(told_) - {"exponent"}
