"""hledger and beancount, which nobody here wrote, check the books that are exported, to the last minor unit."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from support.engines import Engine
from support.sizes import size
from transport.ledgers import BOUNDED, EVERYTHING, HOSTILE, Step, exported, opened, step, stories, tell

from wallet_cli.domain.commands import Post
from wallet_cli.domain.ids import parse_wallet
from wallet_cli.domain.remarks import Remarks
from wallet_cli.errors import InvalidInput
from wallet_cli.import_export import exports
from wallet_cli.operations import transactions, users, wallets
from wallet_cli.operations.context import Ledger

needs_hledger = pytest.mark.skipif(
    shutil.which("hledger") is None, reason="hledger is not installed; apt-get install hledger, or see hledger.org"
)

Balances = dict[tuple[str, str], Decimal]
"""Account and currency (as the wallet names it) → what is in it; nothing where that is nothing."""


def own_balances(ledger: Ledger, account: Callable[[Any], str], transfers: str, outside: str) -> Balances:
    """What the journals should come to, added up from the rows of the ledger."""
    found: Balances = defaultdict(Decimal)
    for wallet in ledger.store.wallets():
        currency, unit = wallet.currency.name, Decimal(1).scaleb(-wallet.currency.exponent)
        for row in ledger.store.exported(wallet.id, wallet.id):
            is_credit, amount, peer_id = row[2], row[3] * unit, row[6]
            moved = amount if is_credit else -amount
            found[account(wallet), currency] += moved
            found[transfers if peer_id is not None else outside, currency] -= moved
    return {where: amount for where, amount in found.items() if amount}


# hledger


def hledger(journal: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".journal", encoding="utf-8", newline="") as file:
        file.write(journal)
        file.flush()
        return subprocess.run(
            ["hledger", "-f", file.name, *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            check=False,
        )


def hledger_errors(journal: str) -> str:
    """What a strict check finds: unbalanced entries, wrong assertions, and names that are not declared."""
    return hledger(journal, "check", "--strict").stderr


def hledger_balances(journal: str) -> Balances:
    done = hledger(journal, "balance", "--flat", "--layout=bare", "-O", "csv", "--no-total")
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader(io.StringIO(done.stdout)))
    return {(account, currency): Decimal(amount) for account, currency, amount in rows[1:] if Decimal(amount)}


# beancount


def beancount(journal: str) -> tuple[list[Any], list[Any]]:
    """Its entries, and the errors that its loader and checker find."""
    from beancount import loader

    entries, errors, _ = loader.load_string(journal)
    return entries, errors


def beancount_errors(journal: str) -> str:
    return "\n".join(error.message for error in beancount(journal)[1])


def beancount_balances(journal: str) -> Balances:
    from beancount.core import data, inventory

    found: dict[str, Any] = defaultdict(inventory.Inventory)
    entries, errors = beancount(journal)
    assert not errors
    for entry in entries:
        for posting in entry.postings if isinstance(entry, data.Transaction) else ():
            found[posting.account].add_position(posting)
    return {
        (account, own_name(position.units.currency)): position.units.number
        for account, positions in found.items()
        for position in positions
    }


def own_name(commodity: str) -> str:
    match = re.fullmatch(r"X\.(.+)\.(\d)", commodity)
    return f"{match[1]}/{match[2]}" if match else commodity


# Both, in one form: what each calls a wallet, and how it is asked.

CHECKERS = {
    "hledger": (
        hledger_errors,
        hledger_balances,
        partial(
            own_balances,
            account=lambda wallet: f"wallets:{wallet.user_id}:{wallet.type}",
            transfers="equity:transfers",
            outside="equity:outside",
        ),
    ),
    "beancount": (
        beancount_errors,
        beancount_balances,
        partial(
            own_balances,
            account=lambda wallet: f"Assets:Wallets:U{wallet.user_id}:W{wallet.id}",
            transfers="Equity:Transfers",
            outside="Equity:Outside",
        ),
    ),
}
FIRST_WALLET = {"hledger": "wallets:1:main", "beancount": "Assets:Wallets:U1:W1"}
each_checker = pytest.mark.parametrize("form", [pytest.param("hledger", marks=needs_hledger), "beancount"])


@each_checker
def test_it_finds_nothing_wrong_and_the_same_balances(form: str, engine: Engine) -> None:
    errors, balances, own = CHECKERS[form]

    @settings(BOUNDED, max_examples=engine.fewer(size(15, 25)))
    @given(stories)
    def check(story: list[Step]) -> None:
        with opened() as ledger:
            tell(ledger, [*EVERYTHING, *story])
            journal = exported(ledger, form)
            assert errors(journal) == ""
            assert balances(journal) == own(ledger)
            alone = exported(ledger, form, "id:1")
            assert errors(alone) == ""
            account = own.keywords["account"](next(ledger.store.wallets()))
            assert {where: amount for where, amount in balances(alone).items() if where[0] == account} == {
                where: amount for where, amount in own(ledger).items() if where[0] == account
            }

    check()


# What is off by one minor unit is found.


def off_by_one(text: str) -> str:
    """An amount and one minor unit more: the last digit of the text that is a number counts up."""
    match = re.search(r"-?\d+\.?\d*", text)
    assert match is not None
    number = Decimal(match[0].rstrip("."))
    wrong = number + Decimal(1).scaleb(number.as_tuple().exponent)  # type: ignore[arg-type]
    dot = "." if match[0].endswith(".") else ""
    return text[: match.start()] + str(wrong) + dot + text[match.end() :]


HLEDGER_AMOUNT = r"(?m)(?<=  )-?[\d.]+(?= [^ ]+( =|$))"
HLEDGER_BALANCE = r"(?m)(?<== )-?[\d.]+"
BEANCOUNT_AMOUNT = r"(?m)(?<=  )-?[\d.]+(?= [A-Z])"
BEANCOUNT_BALANCE = r"(?m)(?<=  )-?[\d.]+(?= ~)"


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        pytest.param("hledger", HLEDGER_AMOUNT, marks=needs_hledger, id="hledger-amount"),
        pytest.param("hledger", HLEDGER_BALANCE, marks=needs_hledger, id="hledger-balance"),
        pytest.param("beancount", BEANCOUNT_AMOUNT, id="beancount-amount"),
        pytest.param("beancount", BEANCOUNT_BALANCE, id="beancount-balance"),
    ],
)
def test_any_number_that_is_off_by_one_minor_unit_is_found(form: str, pattern: str, engine: Engine) -> None:
    errors, _, _ = CHECKERS[form]
    with opened() as ledger:
        tell(ledger, EVERYTHING)
        journal = exported(ledger, form)
    places = list(re.finditer(pattern, journal))
    assert len(places) >= 10
    for place in places:
        wrong = journal[: place.start()] + off_by_one(place[0]) + journal[place.end() :]
        assert errors(wrong) != "", place


@each_checker
def test_an_entry_that_is_off_on_both_sides_is_found(form: str, engine: Engine) -> None:
    """It balances; what is asserted of the wallet does not hold any more. So it is for a leg of a transfer."""
    errors, _, _ = CHECKERS[form]
    with opened() as ledger:
        tell(ledger, EVERYTHING)
        journal = exported(ledger, form)
    entries = journal.split("\n\n")
    postings = re.compile(r"(?m)^(  +[A-Za-z:.\d]+  -?)([\d.]+)")
    changed = 0
    for number, entry in enumerate(entries):
        if len(postings.findall(entry)) == 2 and " balance " not in entry:
            wrong = postings.sub(lambda found: found[1] + off_by_one(found[2]), entry)
            assert errors("\n\n".join([*entries[:number], wrong, *entries[number + 1 :]])) != "", entry
            changed += 1
    assert changed >= 8


@each_checker
def test_transfers_have_to_come_out_as_nothing(form: str, engine: Engine) -> None:
    """A leg that is booked as if it came from outside leaves every wallet right, and is found."""
    errors, _, _ = CHECKERS[form]
    with opened() as ledger:
        tell(ledger, [step("transfer", 0, 1, 50)])
        journal = exported(ledger, form)
        alone = exported(ledger, form, "id:1")
    transfers, outside = ("equity:transfers", "equity:outside") if form == "hledger" else TRANSFERS_OF_BEANCOUNT
    wrong = re.sub(rf"(?m)^( +){transfers}(  -)", rf"\1{outside}\2", journal, count=1)
    assert wrong != journal
    assert errors(journal) == ""
    assert errors(wrong) != ""
    # A wallet alone has one leg, and nothing is asserted of where the other one is.
    assert errors(alone) == ""


TRANSFERS_OF_BEANCOUNT = ("Equity:Transfers", "Equity:Outside")


def test_a_year_counts_as_of_the_reset_of_its_wallets_time(engine: Engine) -> None:
    with opened() as ledger:
        ledger.run(users.register(ledger, "9886977544"), "register")
        ledger.run(wallets.create(ledger, parse_wallet("id:1")), "create")
        for year, resets in ((2250, False), (2024, True)):
            ledger.executor.clock = lambda year=year: int(datetime(year, 1, 5, tzinfo=UTC).timestamp()) * 1_000_000
            added = transactions.add(ledger, parse_wallet("id:1"), "1", is_credit=True, reset_time=resets)
            if not resets:
                ledger.run(added, "tx add")
                with pytest.raises(InvalidInput, match="the year 2250"):
                    exported(ledger, "beancount")
        ledger.run(added, "tx add")
        assert beancount_errors(exported(ledger, "beancount")) == ""


# Text that journals have other words for


@pytest.mark.parametrize("form", ["hledger", "beancount"])
def test_user_text_stays_on_its_line(form: str, engine: Engine) -> None:
    """However hostile, it is one line of the entry that it belongs to."""

    with opened() as ledger:
        tell(ledger, [])
        plain = exported(ledger, form)
        tell_notes(ledger, ["x"] * len(HOSTILE))
        plain = exported(ledger, form)
    with opened() as ledger:
        tell(ledger, [])
        tell_notes(ledger, HOSTILE)
        hostile = exported(ledger, form)
    assert len(hostile.splitlines()) == len(plain.splitlines())
    assert not re.search(r"[^\S\n ]|[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066]", hostile)


def tell_notes(ledger: Ledger, notes: Any) -> None:
    for note in notes:
        ledger.run(transactions.add(ledger, parse_wallet("id:1"), "1", is_credit=True, remarks=Remarks(note)), "tx add")


def test_what_beancount_reads_of_a_note_and_a_key_is_what_was_written(engine: Engine) -> None:
    from beancount.core import data

    note, key = 'a "quoted" \\ note; = 5 INR @ {x} 𝔘', 'key "1" \\ ; x'
    with opened() as ledger:
        tell(ledger, [])
        ledger.run(
            transactions.add(ledger, parse_wallet("id:1"), "1", is_credit=True, remarks=Remarks(note), key=key),
            "tx add",
        )
        entries, errors = beancount(exported(ledger, "beancount", "id:1"))
    assert not errors
    last = [entry for entry in entries if isinstance(entry, data.Transaction)][-1]
    assert (last.narration, last.meta["key"], last.meta["id"]) == (note, key, "1-2")


@needs_hledger
def test_what_hledger_reads_of_a_note_and_a_key(engine: Engine) -> None:
    """A semicolon ends a description, a comma a tag; both are spaces there. All else is as it was written."""
    import json

    note, key = 'a "quoted" \\ note; = 5 INR @ {x} 𝔘: y, (z)', "key:1 ; x, y"
    with opened() as ledger:
        tell(ledger, [])
        ledger.run(
            transactions.add(ledger, parse_wallet("id:1"), "1", is_credit=True, remarks=Remarks(note), key=key),
            "tx add",
        )
        printed = json.loads(hledger(exported(ledger, "hledger", "id:1"), "print", "-O", "json").stdout)
    assert printed[-1]["tdescription"] == 'a "quoted" \\ note = 5 INR @ {x} 𝔘: y, (z)'
    assert printed[-1]["tcode"] == "1-2"
    assert ["key", "key:1 ; x y"] in printed[-1]["ttags"]


@each_checker
def test_types_that_differ_in_little_are_accounts_of_their_own(form: str, engine: Engine) -> None:
    errors, balances, own = CHECKERS[form]
    types = [
        "a",
        "A",
        "a.b",
        "a_b",
        "a-b",
        "A.B",
        ".",
        "-",
        "_",
        "..",
        "--",
        "1",
        "01",
        "2024-01-01",
        "x" * 32,
        "X" * 32,
    ]
    with opened() as ledger:
        ledger.run(users.register(ledger, "9886977544"), "register")
        for number, type_ in enumerate(types, 1):
            name = parse_wallet(f"id:1/{type_}")
            ledger.run(wallets.create(ledger, name), "create")
            ledger.run(transactions.add(ledger, name, str(number), is_credit=True), "tx add")
        journal = exported(ledger, form)
        assert errors(journal) == ""
        assert balances(journal) == own(ledger)
        assert len(own(ledger)) == len(types) + 1  # and where it came from


# Numbers and times at the ends of what there is


@each_checker
def test_the_largest_amounts_are_exact(form: str, engine: Engine) -> None:
    errors, balances, own = CHECKERS[form]
    with opened() as ledger:
        ledger.run(users.register(ledger, "9886977544"), "register")
        for currency in ("INR", "JPY", "KWD", "PTS/0", "PTS/8", "1X2/3"):
            id_ = ledger.run(
                wallets.create(ledger, parse_wallet(f"id:1/{currency.replace('/', '.')}"), currency, "-1"), "create"
            )["id"]
            assert isinstance(id_, int)
            for amount in [10**15] * 30 + [1]:
                ledger.carry_out(Post(id_, True, amount), "writing")
        journal = exported(ledger, form)
        assert errors(journal) == ""
        assert balances(journal) == own(ledger)


def at(year_and_more: str) -> Callable[[Ledger], None]:
    def post(ledger: Ledger) -> None:
        ledger.run(transactions.add(ledger, parse_wallet("id:1"), "1", is_credit=True, at=year_and_more), "tx add")

    return post


@pytest.mark.parametrize("time", ["0001-01-01", "0999-12-31", "1699-12-31T23:59:59.999999Z"])
def test_beancount_has_no_words_for_some_years(time: str, engine: Engine) -> None:
    """That is said before anything is written; hledger has words for them."""
    with opened() as ledger:
        ledger.run(users.register(ledger, "9886977544"), "register")
        ledger.run(wallets.create(ledger, parse_wallet("id:1")), "create")
        at(time)(ledger)
        at("2020-01-01")(ledger)
        with pytest.raises(InvalidInput, match=f"the year {time[:4]}"):
            next(exports.export(ledger, "beancount"))
        if shutil.which("hledger") is not None:
            assert hledger_errors(exported(ledger, "hledger")) == ""


@pytest.mark.parametrize(
    ("time", "written"),
    [
        ("1700-01-01", True),
        ("2199-12-30T23:59:59.999999Z", True),
        ("2199-12-31", False),  # what is in it at the end would be said on the day after
        ("2200-01-01", False),
    ],
)
def test_the_first_and_the_last_day_of_beancount(time: str, written: bool, engine: Engine) -> None:
    with opened(now_us=8_000_000_000_000_000) as ledger:
        ledger.run(users.register(ledger, "9886977544"), "register")
        ledger.run(wallets.create(ledger, parse_wallet("id:1")), "create")
        at(time)(ledger)
        if written:
            assert beancount_errors(exported(ledger, "beancount")) == ""
        else:
            with pytest.raises(InvalidInput, match="the year 2200"):
                next(exports.export(ledger, "beancount"))


@each_checker
def test_an_empty_ledger_is_an_empty_journal(form: str, ledger: Ledger) -> None:
    errors, balances, _ = CHECKERS[form]
    assert errors(exported(ledger, form)) == ""
    assert balances(exported(ledger, form)) == {}
