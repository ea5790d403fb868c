"""The rules of credits and debits, as tables, and the hash chain. The form is that of support/book.py."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from support.book import INR, Book, play

from wallet_cli.domain import events, hash_chain
from wallet_cli.domain.commands import (
    Applied,
    CaptureHold,
    Command,
    OpenWallet,
    PlaceHold,
    Post,
    Refusal,
    Register,
    Result,
    Reverse,
    Transfer,
)
from wallet_cli.domain.model import Policy, Transaction, Wallet
from wallet_cli.domain.money import Currency
from wallet_cli.domain.period import FIRST_US
from wallet_cli.domain.phone import Phone
from wallet_cli.domain.remarks import Remarks
from wallet_cli.domain.rules import State, execute, refusals
from wallet_cli.errors import WalletError

TABLES = {
    "credits and debits": """
        wallet 1 active -
        now kind   wallet amount key note at → result
          1 credit 1         100 -   -    -  → applied 1-1 100
          2 debit  1          30 -   -    -  → applied 1-2 70
          3 debit  1          70 -   -    -  → applied 1-3 0
          4 debit  1           1 -   -    -  → insufficient_funds
          5 credit 1           1 -   -    -  → applied 1-4 1
    """,
    "exists: a wallet that is not there": """
        wallet 1 active -
          1 credit 2         100 -   -    -  → wallet_not_found
          1 credit 0         100 -   -    -  → wallet_not_found
          1 credit -1        100 -   -    -  → wallet_not_found
    """,
    "active: a frozen or closed wallet takes and gives nothing, not even an answer to a key": """
        wallet 1 frozen - 100
        wallet 2 closed - 100
         11 credit 1           1 -   -    -  → wallet_not_active
         11 debit  1           1 -   -    -  → wallet_not_active
         11 credit 2           1 k   -    -  → wallet_not_active
    """,
    "key: the same request again is answered, and applied once": """
        wallet 1 active -
          1 credit 1         100 a   pay  -  → applied 1-1 100
          2 debit  1          40 b   -    -  → applied 1-2 60
          3 credit 1         100 a   pay  -  → replayed 1-1 100
          4 debit  1          40 b   -    -  → replayed 1-2 60
          5 debit  1          60 c   -    -  → applied 1-3 0
          6 debit  1          60 c   -    -  → replayed 1-3 0
    """,
    "key: used for another request": """
        wallet 1 active -
         10 credit 1         100 a   pay  5  → applied 1-1 100
         11 credit 1         101 a   pay  5  → key_reused
         11 debit  1         100 a   pay  5  → key_reused
         11 credit 1         100 a   -    5  → key_reused
         11 credit 1         100 a   pays 5  → key_reused
         11 credit 1         100 a   pay  6  → key_reused
         11 credit 1           0 a   pay  5  → key_reused
        # The time may be left out of the request that is sent again.
         12 credit 1         100 a   pay  5  → replayed 1-1 100
         12 credit 1         100 a   pay  -  → replayed 1-1 100
    """,
    "key: a refused request leaves its key free": """
        wallet 1 active -
          1 debit  1         100 a   -    -  → insufficient_funds
          2 credit 1           0 a   -    -  → invalid_input
          3 credit 1         100 a   -    -  → applied 1-1 100
          4 debit  1         100 a   -    -  → key_reused
    """,
    "key: each wallet has its own": """
        wallet 1 active -
        wallet 2 active -
          1 credit 1         100 a   -    -  → applied 1-1 100
          2 credit 2           5 a   -    -  → applied 2-1 5
          3 credit 2           5 a   -    -  → replayed 2-1 5
    """,
    "key: with no key, the same request is another one": """
        wallet 1 active -
          1 credit 1         100 -   -    -  → applied 1-1 100
          1 credit 1         100 -   -    -  → applied 1-2 200
    """,
    "amount: above 0, up to the bound": """
        wallet 1 active -
          1 credit 1           0 -   -    -  → invalid_input
          1 credit 1          -1 -   -    -  → invalid_input
          1 debit  1          -1 -   -    -  → invalid_input
          1 credit 1       MAX+1 -   -    -  → invalid_input
          1 credit 1         MAX -   -    -  → applied 1-1 1000000000000000
          1 debit  1         MAX -   -    -  → applied 1-2 0
    """,
    "time: earlier than now, never before the last, never in the future": """
        wallet 1 active -
        100 credit 1           1 -   -  101  → invalid_input
        100 credit 1           1 -   -  -50  → applied 1-1 1
        100 credit 1           1 -   -   50  → applied 1-2 2
        100 credit 1           1 -   -   49  → time_conflict
        100 credit 1           1 -   -   50  → applied 1-3 3
        100 credit 1           1 -   -  100  → applied 1-4 4
    """,
    "time: a clock that was set back does not make history run backwards": """
        wallet 1 active -
        100 credit 1           1 -   -    -  → applied 1-1 1
         50 credit 1           1 -   -    -  → applied 1-2 2
         50 credit 1           1 -   -   50  → time_conflict
         50 credit 1           1 -   -  100  → invalid_input
        200 credit 1           1 -   -  100  → applied 1-3 3
    """,
    "overflow: the totals keep to their bound": """
        wallet 1 active - TOTAL-5 TOTAL-9
         11 credit 1           6 -   -    -  → balance_overflow
         11 debit  1          10 -   -    -  → balance_overflow
         11 credit 1           5 -   -    -  → applied 1-3 9
         11 credit 1           1 -   -    -  → balance_overflow
         11 debit  1           9 -   -    -  → applied 1-4 0
         11 debit  1           1 -   -    -  → balance_overflow
    """,
    "funds: never below the wallet's own minimum": """
        wallet 1 active 20
        wallet 2 active -50
          1 debit  1           1 -   -    -  → insufficient_funds
          1 credit 1          19 -   -    -  → applied 1-1 19
          1 debit  1           1 -   -    -  → insufficient_funds
          1 credit 1          11 -   -    -  → applied 1-2 30
          1 debit  1          11 -   -    -  → insufficient_funds
          1 debit  1          10 -   -    -  → applied 1-3 20
          1 debit  2          51 -   -    -  → insufficient_funds
          1 debit  2          50 -   -    -  → applied 2-1 -50
          1 debit  2           1 -   -    -  → insufficient_funds
          1 credit 2           1 -   -    -  → applied 2-2 -49
    """,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_rules(table: str) -> None:
    play(table)


def test_the_minimum_of_the_setting_yields_to_the_wallets_own() -> None:
    play(
        """
        wallet 1 active -
        wallet 2 active 0
          1 credit 1        2001 -   -    -  → applied 1-1 2001
          1 debit  1           2 -   -    -  → insufficient_funds
          1 debit  1           1 -   -    -  → applied 1-2 2000
          1 credit 2           5 -   -    -  → applied 2-1 5
          1 debit  2           5 -   -    -  → applied 2-2 0
        """,
        policy="20",
    )


def test_a_minimum_finer_than_the_currency_is_rounded_up() -> None:
    play(
        """
        wallet 1 active -
          1 credit 1        2001 -   -    -  → applied 1-1 2001
          1 debit  1        2001 -   -    -  → insufficient_funds
          1 debit  1        2000 -   -    -  → applied 1-2 1
        """,
        policy="0.005",
    )


def made(result: Result) -> Any:
    assert isinstance(result, Applied)
    return result.made


def test_a_batch_is_decided_in_order() -> None:
    book = Book()
    batch: list[Command] = [
        Register(Phone("2", "+912", None, None), None),
        OpenWallet(2, "main", INR, None),
        Post(1, False, 5),
        Post(1, True, 5, key="k"),
        Post(1, True, 5, key="k"),
        Post(1, True, 6, key="k"),
        Post(1, False, 5),
    ]
    assert [book.told(result) for result in book.carry_out(batch, 7)] == [
        "applied 2",
        "applied 1 active",
        "insufficient_funds",
        "applied 1-1 5",
        "replayed 1-1 5",
        "key_reused",
        "applied 1-2 0",
    ]


def test_a_refusal_does_not_touch_its_neighbours() -> None:
    good = [Post(1, True, 100), Post(1, False, 30, key="k"), Post(1, True, 1)]
    bad = [Post(1, False, 10**6), Post(9, True, 1), Post(1, True, 0), Post(1, True, 1, at_us=10**6)]
    alone, mixed = (play("wallet 1 active -") for _ in range(2))
    alone.carry_out(good, 7)
    mixed.carry_out([bad[0], good[0], bad[1], bad[2], good[1], bad[3], good[2]], 7)
    assert vars(mixed) == vars(alone)


def test_a_transaction_carries_the_running_totals_of_its_wallet() -> None:
    last = play(
        """
        wallet 1 active -
          1 credit 1         100 -   -    -  → applied 1-1 100
          2 debit  1          30 -   -    -  → applied 1-2 70
          3 credit 1           5 k   note -  → applied 1-3 75
        """
    ).last(1)
    assert (*last[:8], last.remarks.note, last.key) == (1, 3, True, 5, 105, 30, 2, 3, "note", "k")
    assert (last.remarks.meta, *last[10:-1]) == (None, None, None, None, None, False, False, None)
    assert (last.balance, last.debit_count) == (75, 1)


def test_what_is_made_says_when() -> None:
    book = play(
        """
        wallet 1 active -
        100 credit 1 1 - - -                 → applied 1-1 1
         50 credit 1 1 - - -                 → applied 1-2 2
         50 register +912 - -                → applied 2
         60 open 2 main INR 2000 -           → applied 2 active
        """
    )
    # A clock set back repeats the time of the last transaction.
    assert [each.at_us for each in book.transactions[1]] == [100, 100]
    assert book.users[-1].created_at_us == 50
    assert book.wallets[2] == Wallet(2, 2, "main", INR, "active", 2000, 60, opening_minimum=2000)


def test_history_of_any_age_may_be_the_first() -> None:
    book = play("wallet 1 active -")
    book.carry_out([Post(1, True, 1, at_us=FIRST_US)], 0)
    assert book.last(1).at_us == FIRST_US


def test_insufficient_funds_says_how_much_is_missing() -> None:
    book = play("wallet 1 active - 50000 12050", policy="20")
    (result,) = book.carry_out([Post(1, False, 40_000)], 11)
    assert isinstance(result, Refusal)
    assert result.error.details == {
        "balance": "379.50",
        "available": "359.50",
        "minimum_balance": "20.00",
        "shortfall": "40.50",
    }
    assert "359.50 INR" in result.error.message
    # The shortfall is what has to come in for the same debit to pass.
    play("11 credit 1 4050 - - - → applied 1-3 42000\n 11 debit 1 40000 - - - → applied 1-4 2000", book=book)


@pytest.mark.parametrize(
    ("refuse", "over", "left", "less"),
    [
        (lambda wallet, had, amount: refusals.above_maximum(wallet, had, 100, amount), 130, "0.00", "credit less"),
        (lambda wallet, had, amount: refusals.above_maximum(wallet, had, 100, amount), 60, "0.40", "credit less"),
        (lambda wallet, had, amount: above_day(wallet, had, 0, amount), 130, "0.00", "debit less"),
        (lambda wallet, had, amount: above_day(wallet, had, 0, amount), 60, "0.40", "debit less"),
        (lambda wallet, had, amount: above_day(wallet, 50, had, amount), 130, "0.00", "debit less"),
        (lambda wallet, had, amount: refusals.insufficient_funds(wallet, 0, 0, 0, amount), 0, "0.00", "debit less"),
    ],
)
def test_what_is_left_and_what_is_too_much_are_the_amount(
    refuse: Callable[[Wallet, int, int], WalletError], over: int, left: str, less: str
) -> None:
    """Also where a limit was set below what is there already: then nothing is left, and no less would do."""
    error = refuse(GOLDEN_WALLET, over, 500)
    assert error.details["available"] == left
    assert Decimal(error.details["shortfall"]) == 5 - Decimal(left)
    assert f"{left} " in error.message
    assert error.details["shortfall"] in error.message
    assert (less in str(error.hint)) == (left != "0.00")


@pytest.mark.parametrize(
    ("debited", "held", "amount", "waiting"),
    [(60, 0, 41, True), (60, 0, 100, True), (60, 0, 101, False), (0, 60, 41, False), (60, 59, 41, True)],
)
def test_it_is_said_to_wait_only_where_the_next_day_has_room(
    debited: int, held: int, amount: int, waiting: bool
) -> None:
    """A limit of a day is that of the next one too, and what is held today may be held then."""
    assert ("wait" in str(above_day(GOLDEN_WALLET, debited, held, amount).hint)) == waiting


def above_day(wallet: Wallet, debited: int, held: int, amount: int) -> WalletError:
    return refusals.above_daily_debit(wallet, debited, held, 100, amount, 0, Policy())


# The format of the chain: these must never change, or every ledger there is would fail `wallet verify`.
GOLDEN_WALLET = Wallet(3, 2, "savings", INR, "active", None, 1_795_341_600_000_000)
GOLDEN = {
    "wallet": "dc922e7c89d4816c7e24976319e97ab6da47d265a20de1b248515b2aa1b879c6",
    "a credit": "d5760f63dfe225c30154fb3e3f030e97c890870eab3741fd447f75ecd594038f",
    "a debit with a note": "b733c15a01401861a89c417d83f65c46c00a3e70c02d660ec14d6af058d16ea9",
    "with a key": "2f6e17a0fd25ea93c9c5d573a68e6e65a96a720be4409b97536839f60dfaa209",
    "with both, beyond ASCII": "b30e4fabb74301ed712191b6efa006bffe0e61b9e91e6597db0012f7300dda89",
    "with metadata": "33356a7bdb4a1cabfe0a28d84bae06305b48a4d11bde01d27744d73e733f4103",
    "a leg of a transfer": "2597e6dc773b1e04a48430104d93e74c885f8d62eac2f41012a44fbb0a25ef1e",
    "a capture": "4a407270cf3832271df1bc7f577ec7529075ae635b14cfb9f44e0000d017bc05",
    "a forced reversal, with all that can be said": "3ca7038f1d9b02a122f8949d527c6a1fdead7556b26d1973a5ef50d4fa48e176",
}
GOLDEN_BATCH = [
    Post(3, True, 50_000, at_us=-1),
    Post(3, False, 12_050, Remarks("Groceries"), None, None),
    Post(3, True, 1, key="salary-1"),
    Post(3, True, 1, Remarks("ché 🧾 key 1:x\n"), "ключ", None),
    Post(3, True, 1, Remarks(meta='{"order":"1041"}')),
    Transfer(3, 4, 30, key="rent"),
    PlaceHold(3, 20, 1),
    CaptureHold(3, 1, 15),
    Reverse(3, 6, 10, Remarks("back", '{"a":1}'), "undo", True),
]


def golden_hashes() -> list[bytes]:
    state = State(Policy())
    state.add_wallet(GOLDEN_WALLET, hash_chain.unopened(GOLDEN_WALLET))
    other = GOLDEN_WALLET._replace(id=4, type="main")
    state.add_wallet(other, hash_chain.unopened(other)._replace(seq=8))
    state.events = {(events.WALLET, 3): None, (events.WALLET, 4): None}
    results = execute(state, GOLDEN_BATCH, 1_795_341_600_000_001)
    made_ = [made(result) for result in results]
    return [hash_chain.genesis(GOLDEN_WALLET)] + [each.hash for each in made_ if isinstance(each, Transaction)]


def test_the_hash_chain_has_the_format_that_ledgers_on_disk_have() -> None:
    assert [hash_.hex() for hash_ in golden_hashes()] == list(GOLDEN.values())


def test_a_process_that_hashes_much_makes_the_same_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    before = golden_hashes()
    monkeypatch.setattr(hash_chain, "_of_links", None)
    hash_chain.prepare_for_many()
    assert golden_hashes() == before


def test_the_hash_chain_is_plain_sha_256_over_the_documented_bytes() -> None:
    head = hashlib.sha256(b"wallet 1 3 2 savings INR 1795341600000000").digest()
    expected = [head]
    for facts in (
        " 1 credit 50000 50000 0 1 -1",
        " 2 debit 12050 50000 12050 1 1795341600000001 note 9:Groceries",
        " 3 credit 1 50001 12050 2 1795341600000001 key 8:salary-1",
        " 4 credit 1 50002 12050 3 1795341600000001 note 18:ché 🧾 key 1:x\n key 8:ключ",
        ' 5 credit 1 50003 12050 4 1795341600000001 meta 16:{"order":"1041"}',
        " 6 debit 30 50003 12080 4 1795341600000001 key 4:rent peer 4-9",
        " 7 debit 15 50003 12095 4 1795341600000001 hold 1",
        ' 8 credit 10 50013 12095 5 1795341600000001 note 4:back key 4:undo meta 7:{"a":1} peer 4-10 reverses 6 forced',
    ):
        head = hashlib.sha256(head + facts.encode()).digest()
        expected.append(head)
    assert golden_hashes() == expected


def hash_of(previous: bytes, *facts: Any) -> bytes:
    return hash_chain.link(previous, hash_chain.content(*facts))


@pytest.mark.parametrize("field", range(10))
def test_every_field_of_a_transaction_is_in_its_hash(field: int) -> None:
    facts: list[Any] = [bytes(32), 1, True, 5, 5, 0, 1, 7, Remarks("note"), "key"]
    other: list[Any] = [bytes(31) + b"x", 2, False, 6, 6, 1, 0, 8, Remarks("Note"), "Key"]
    changed = [*facts[:field], other[field], *facts[field + 1 :]]
    assert hash_of(*changed) != hash_of(*facts)


FIELDS = tuple(field for field in Transaction._fields if field not in ("wallet_id", "hash", "remarks"))


@pytest.mark.parametrize("field", [*FIELDS, *Remarks._fields])
def test_a_transaction_follows_only_what_came_before_it(field: str) -> None:
    """The wallet is in the first hash of all; every other field, one that is added later too, is in the row's own."""
    remarks = Remarks(**{name: f"any {name}" for name in Remarks._fields})
    row = Transaction(3, 1, True, 5, 5, 0, 1, 7, "key", bytes(32), 4, 5, 6, 7, True, True, "key till", remarks)
    assert len(row) == len(Transaction._fields)
    row = row._replace(hash=hash_chain.link(bytes(32), hash_chain.content_of(row)))
    assert hash_chain.follows(bytes(32), row)

    def changed(to: Any) -> Transaction:
        is_said = field in Remarks._fields
        return row._replace(
            remarks=row.remarks._replace(**{field: to}) if is_said else row.remarks, **({} if is_said else {field: to})
        )

    value = getattr(row.remarks if field in Remarks._fields else row, field)
    other = not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else f"{value} "
    assert not hash_chain.follows(bytes(32), changed(other))
    if not isinstance(value, bool | int) or field in ("peer_wallet_id", "reverses", "hold"):
        assert not hash_chain.follows(bytes(32), changed(None))


def test_a_plain_transaction_has_the_hash_that_it_always_had() -> None:
    assert hash_chain.extras(None, None, None, None, False) == ""


def test_nothing_passes_for_something_else_in_what_follows_the_key() -> None:
    def of(key: str | None, meta: str | None, *extras: Any) -> bytes:
        return hash_of(bytes(32), 1, True, 5, 5, 0, 1, 7, Remarks(meta=meta), key, hash_chain.extras(*extras))

    rows: list[tuple[Any, ...]] = [
        (None, None, None, None, None, None, False),
        ("a", None, None, None, None, None, False),
        ("a", '{"b":1}', None, None, None, None, False),
        ('a meta 7:{"b":1}', None, None, None, None, None, False),
        (None, None, 1, 2, None, None, False),
        (None, None, None, None, 1, None, False),
        (None, None, None, None, None, 1, False),
        (None, None, None, None, None, None, True),
        ("a forced", None, None, None, None, None, False),
        ("a", '{"b":" peer 1-2"}', None, None, None, None, False),
        ("a", '{"b":1}', 1, 2, None, None, False),
        ("a", None, 11, 2, None, None, False),
        ("a", None, 1, 12, None, None, False),
    ]
    assert len({of(*row) for row in rows}) == len(rows)


def test_a_note_cannot_pass_for_a_key() -> None:
    def of(note: str | None, key: str | None) -> bytes:
        return hash_of(bytes(32), 1, True, 5, 5, 0, 1, 7, Remarks(note), key)

    pairs = [(None, None), ("", None), (None, "a"), ("a", None), ("a key 1:b", None), ("a", "b"), ("", "a key 1:b")]
    assert len({of(*pair) for pair in pairs}) == len(pairs)


@pytest.mark.parametrize(
    "change",
    [{"id": 4}, {"user_id": 4}, {"type": "main"}, {"currency": Currency("USD", 2)}, {"created_at_us": 1}],
    ids=str,
)
def test_what_never_changes_about_a_wallet_is_in_its_first_hash(change: dict[str, Any]) -> None:
    assert hash_chain.genesis(GOLDEN_WALLET._replace(**change)) != hash_chain.genesis(GOLDEN_WALLET)
