"""Every use case of the services against the naive ledger: 20,000 stories of 50 steps, a few of them by default.

To what support/machine.py asks (postings, transfers, holds, reversals, limits, the life of a wallet, batches, groups)
come users, wallets of any currency and the keys they were made with, the ledger's own settings, operators, lists,
totals, balances in the past, statements, and files that are imported. Now and then the whole ledger is exported and
read back into a new one, which is what all that comes after is asked of. The last test puts deliberate faults into the
program.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from support.engines import Engine, in_transaction
from support.faults import Fault, put_in
from support.figures import figure
from support.machine import (
    BOUNDED,
    DAY_US,
    SECOND_US,
    BusinessMachine,
    Machine,
    amounts,
    hunt,
    keys,
    metas,
    notes,
    outcome,
    parts,
)
from support.naive import EPOCH, Account, Decision, Person
from support.sizes import size

from wallet_cli import settings as wallet_settings
from wallet_cli.domain.commands import SAME, PlaceHold, Post, Reverse, SetLimits, SetStatus, Transfer
from wallet_cli.domain.ids import OwnedWallet, WalletRef, parse_user, parse_wallet
from wallet_cli.domain.money import format_minor
from wallet_cli.domain.period import format_time
from wallet_cli.domain.remarks import Remarks
from wallet_cli.domain.rules import registry, state
from wallet_cli.errors import WalletError
from wallet_cli.import_export import exports, imports
from wallet_cli.local import LocalLedger
from wallet_cli.operations import (
    answers,
    api_keys,
    holds,
    ledgers,
    statements,
    transactions,
    users,
    verification,
    wallets,
)
from wallet_cli.operations import pages as lists
from wallet_cli.operations.context import Ledger, open_ledger
from wallet_cli.storage import sql

EXAMPLES = size(25, 20_000)
STEPS = 50
STORIES = settings(BOUNDED, stateful_step_count=STEPS)

LOCAL = ("9886977541", "2025550123")
"""Numbers that mean another phone in each region."""
TYPED = (*LOCAL, "98869-77541", "+91 98869 77541", "+12025550123")
NAMES = (None, None, "Asha", "Åsa 🧾")
CURRENCIES = ("INR", "JPY", "PTS/3")
TYPES = ("main", "savings", "a.b-c_1")
SETTINGS = {
    "currency": ("INR", "JPY", "PTS/3", "none"),
    "phone_region": ("IN", "US", "none"),
    "minimum_balance": ("0", "5", "2.5", "-10", "0.001", "none"),
    "timezone": ("UTC", "Asia/Kolkata", "America/New_York", "none"),
}

numbers = st.sampled_from(TYPED)
user_ids = st.integers(1, 4)
types = st.sampled_from(TYPES)
named_keys = st.none() | st.sampled_from("ab")
minimums = st.none() | st.sampled_from(["0", "5", "-20", "1.5", "0.001"])
# Microseconds and seconds from the present: many fall on a moment that something happened at.
moments = st.sampled_from([-DAY_US, -2 * SECOND_US, -SECOND_US - 1, -SECOND_US, -SECOND_US + 1, -1, 0, 1, SECOND_US])
bounds = st.none() | moments


def again(decision: Decision) -> dict[str, Any]:
    """What stands in an answer beside, where its key was used before."""
    return {"replayed": True} if decision.word == "replayed" else {}


class ServicesMachine(Machine):
    """Who there is, what the ledger says of itself and of the past, and what goes in and out as a file."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, tuple[bool, int, int | None]] = {}
        """Operators: read_only, created, revoked."""
        self.forms = 0

    # How people name things: in each way, one after the other.

    def turn(self, *ways: Any) -> Any:
        self.forms += 1
        return ways[self.forms % len(ways)]

    def ref(self, wallet_id: int) -> WalletRef:
        account = self.model.accounts[wallet_id]
        e164 = self.model.people[account.user_id - 1].e164
        name, phone = parse_wallet(account.name), parse_wallet(f"{e164}/{account.type}")
        return self.turn(OwnedWallet(wallet_id, account.user_id), parse_wallet(f"w{wallet_id}"), name, phone)

    def time(self, at_us: int) -> str:
        local = self.model.facts.local(at_us)
        written = local.isoformat(timespec="microseconds")
        return self.turn(format_time(at_us), written, written[:26])

    def bound(self, moment: int | None) -> tuple[str | None, int | None]:
        """A bound as text, to the microsecond, and its moment."""
        if moment is None:
            return None, None
        return self.time(self.model.now_us + moment), self.model.now_us + moment

    def some_account(self, data: st.DataObject) -> Account:
        return self.model.accounts[data.draw(st.sampled_from(sorted(self.model.accounts)))]

    # Users and wallets.

    @rule(typed=numbers, name=st.sampled_from(NAMES), key=named_keys, exist_ok=st.booleans())
    def register(self, typed: str, name: str | None, key: str | None, exist_ok: bool) -> None:
        known = self.model.person(typed)
        decision = self.model.register(typed, name, key)
        if key is None:
            answer = outcome(lambda: LocalLedger(self.ledger).register(typed, name, exist_ok=exist_ok))
            if decision.word == "user_exists" and exist_ok:
                assert known is not None
                assert answer == known.answer()
                return
        else:
            # As a server does.
            answer = outcome(lambda: self.ledger.run(users.register(self.ledger, typed, name, key), "register"))
        made = self.model.people[decision.number - 1].answer() | again(decision) if decision.kind else decision.word
        assert answer == made

    @rule(
        user_id=user_ids,
        type_=types,
        currency=st.none() | st.sampled_from(CURRENCIES),
        minimum=minimums,
        key=named_keys,
        exist_ok=st.booleans(),
    )
    def create(
        self, user_id: int, type_: str, currency: str | None, minimum: str | None, key: str | None, exist_ok: bool
    ) -> None:
        known = next((a for a in self.model.accounts.values() if (a.user_id, a.type) == (user_id, type_)), None)
        decision = self.model.open(user_id, type_, currency, minimum, key)
        name = parse_wallet(f"id:{user_id}/{type_}")
        if key is None:
            answer = outcome(lambda: LocalLedger(self.ledger).create(name, currency, minimum, exist_ok=exist_ok))
        else:
            prepare = partial(wallets.create, self.ledger, name, currency, minimum, key)
            answer = outcome(lambda: self.ledger.run(prepare(), "create"))
        if decision.word == "wallet_exists" and exist_ok and key is None:
            assert known is not None
            if currency in (None, known.currency.name):
                there = known.answer(self.model.now_us)
                asked = None if minimum is None else Decimal(minimum)
                if asked is not None and asked.scaleb(known.currency.exponent) % 1:
                    assert answer == "invalid_input"
                elif asked in (None, Decimal(there["minimum_balance"])):
                    assert answer == there
                else:
                    assert answer == "wallet_exists"
                return
        now_us = self.model.now_us
        if not decision.kind:
            assert answer == decision.word
        else:
            assert answer == self.model.accounts[decision.wallet_id].opened(now_us) | again(decision)

    @rule(data=st.data(), typed=numbers, key=st.sampled_from("ab"), change=st.sampled_from([None, "number", "name"]))
    def register_with_a_key_again(self, data: st.DataObject, typed: str, key: str, change: str | None) -> None:
        """For the same person, or with one thing that differs."""
        used = [person for person in self.model.people if person.key is not None]
        if not used:
            self.register(typed, "Asha", key, False)
            return
        person: Person = data.draw(st.sampled_from(used))
        name = "another" if change == "name" else person.name
        self.register(typed if change == "number" else person.typed, name, person.key, False)

    @rule(
        data=st.data(),
        currency=st.none() | st.sampled_from(CURRENCIES),
        minimum=minimums,
        key=st.sampled_from("ab"),
        change=st.sampled_from([None, None, "type", "currency", "minimum"]),
    )
    def open_with_a_key_again(
        self, data: st.DataObject, currency: str | None, minimum: str | None, key: str, change: str | None
    ) -> None:
        """For the same wallet, whose limits are others by now, or with one thing that differs."""
        used = [account for account in self.model.accounts.values() if account.key is not None]
        if not used:
            self.create(1, f"of-{key}", currency, minimum, key, False)
            return
        account: Account = data.draw(st.sampled_from(used))
        self.ask(SetLimits(account.id, data.draw(st.sampled_from([SAME, None, -40])), None, 30))
        own = account.text(account.opening_minimum)
        self.create(
            account.user_id,
            "another" if change == "type" else account.type,
            currency if change in (None, "currency") else account.currency.name,
            minimum if change == "minimum" else own,
            account.key,
            False,
        )

    @rule(data=st.data(), zone=st.sampled_from(SETTINGS["timezone"][:-1]), other=st.booleans(), early=st.booleans())
    def debit_around_a_midnight(self, data: st.DataObject, zone: str, other: bool, early: bool) -> None:
        """Of the ledger's time zone, or of another: what was debited before counts no more after its own."""
        if not other:
            self.set_setting("timezone", zone)
        account = self.some_account(data)
        self.ask(SetLimits(account.id, SAME, SAME, 9))
        local = self.model.facts.local(max(self.model.now_us, account.last_us()), zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        midnight_us = (midnight - EPOCH) // timedelta(microseconds=1)
        self.model.now_us = midnight_us - 1
        self.ask(Post(account.id, True, 20))
        self.ask(Post(account.id, False, 5))
        self.model.now_us = midnight_us - early
        self.ask(Post(account.id, False, 5))

    @rule(typed=numbers, type_=types)
    def name_somebody(self, typed: str, type_: str) -> None:
        """Who may not be there, nor have such a wallet."""
        person = self.model.person(typed)
        own = [] if person is None else [a for a in self.model.accounts.values() if a.user_id == person.id]
        answer = outcome(lambda: wallets.of_user(self.ledger, parse_user(typed)))
        now_us = self.model.now_us
        assert answer == ("user_not_found" if person is None else [account.answer(now_us) for account in own])
        named = next((account for account in own if account.type == type_), None)
        expected: Any = "user_not_found" if person is None else "wallet_not_found"
        if named is not None:
            expected = named.answer(now_us)
        assert outcome(lambda: wallets.balance(self.ledger, parse_wallet(f"{typed}/{type_}"))) == expected

    @rule(data=st.data(), is_credit=st.booleans(), amount=amounts, note=notes, key=keys)
    def post_to_any(self, data: st.DataObject, is_credit: bool, amount: int, note: str | None, key: str | None) -> None:
        self.ask(Post(self.some_account(data).id, is_credit, amount, Remarks(note), key))

    @rule(data=st.data(), amount=amounts, key=keys)
    def transfer_between_any(self, data: st.DataObject, amount: int, key: str | None) -> None:
        self.ask(Transfer(self.some_account(data).id, self.some_account(data).id, amount, key=key))

    @rule(data=st.data(), part=parts, key=keys, force=st.booleans())
    def reverse_any(self, data: st.DataObject, part: int | None, key: str | None, force: bool) -> None:
        account = self.some_account(data)
        if account.entries:
            self.ask(Reverse(account.id, data.draw(st.integers(1, len(account.entries))), part, key=key, force=force))

    @rule(data=st.data(), limit=st.sampled_from([SAME, None, 0, 30]), status=st.sampled_from(["active", "closed"]))
    def change_any(self, data: st.DataObject, limit: Any, status: str) -> None:
        account = self.some_account(data)
        self.ask(PlaceHold(account.id, 3, SECOND_US))
        self.ask(SetLimits(account.id, SAME, SAME, limit))
        self.ask(SetStatus(account.id, status if account.id > 3 else "active"))

    # The ledger itself, and who may call.

    @rule(data=st.data(), name=st.sampled_from(sorted(SETTINGS)))
    def set_ledger(self, data: st.DataObject, name: str) -> None:
        self.set_setting(name, data.draw(st.sampled_from(SETTINGS[name])))

    def set_setting(self, name: str, text: str) -> None:
        decision = self.model.set_ledger(name, None if text == "none" else text)
        answer = outcome(lambda: ledgers.change(self.ledger, name, text))
        if not decision.kind:
            assert answer == decision.word
        for said in [answer, ledgers.show(self.ledger)] if decision.kind else [ledgers.show(self.ledger)]:
            assert {name: said[name] for name in SETTINGS} == self.model.facts

    @rule(name=st.sampled_from(["till", "desk"]), read_only=st.booleans(), revoke=st.sampled_from([False, False, True]))
    def admit_or_revoke(self, name: str, read_only: bool, revoke: bool) -> None:
        now_us, known = self.model.now_us, self.keys.get(name)
        if revoke:
            answer = outcome(lambda: self.ledger.run(api_keys.revoke(name), "key revoke"))
            if known is not None:
                self.keys[name] = (known[0], known[1], now_us if known[2] is None else known[2])
        else:
            answer = outcome(lambda: self.ledger.run(api_keys.create(name, read_only=read_only), "key create"))
            if known is None:
                self.keys[name] = (read_only, now_us, None)
        if (known is None) is revoke:
            assert answer == ("key_not_found" if revoke else "key_exists")
        else:
            assert {key: answer[key] for key in answer if key != "key"} == self.operator(name)
        listed = api_keys.listed(self.ledger)
        assert sorted(listed, key=lambda each: each["name"]) == [self.operator(each) for each in sorted(self.keys)]

    def operator(self, name: str) -> dict[str, Any]:
        read_only, created_us, revoked_us = self.keys[name]
        return {
            "name": name,
            "read_only": read_only,
            "created_at": format_time(created_us),
            "last_used_at": None,
            "revoked_at": None if revoked_us is None else format_time(revoked_us),
        }

    # What there is, now and before.

    @rule(limit=st.integers(1, 4), data=st.data())
    def list_users_and_wallets(self, limit: int, data: st.DataObject) -> None:
        people = [person.answer() for person in self.model.people]
        assert list(users.listed(self.ledger).rest(None)) == people
        assert pages("users", lambda cursor: users.listed(self.ledger).page(limit, cursor, True), limit) == (
            people,
            len(people),
        )
        person: Person | None = data.draw(st.sampled_from([None, *self.model.people]))
        name = None if person is None else parse_user(self.turn(f"id:{person.id}", person.e164))
        own = [
            account.answer(self.model.now_us)
            for account in self.model.accounts.values()
            if person is None or account.user_id == person.id
        ]
        assert list(wallets.listed(self.ledger, name).rest(None)) == own
        page: Callable[[str | None], Any] = lambda cursor: wallets.listed(self.ledger, name).page(limit, cursor, True)  # noqa: E731
        assert pages("wallets", page, limit) == (own, len(own))

    @rule(data=st.data(), limit=st.integers(1, 5), start=bounds, end=bounds)
    def look_back(self, data: st.DataObject, limit: int, start: int | None, end: int | None) -> None:
        """The balance at a moment; the total of a period, its list in pages, and its statement."""
        account = self.some_account(data)
        ref, now_us = self.ref(account.id), self.model.now_us
        at_text, at_us = self.bound(end)
        if at_us is not None:
            assert wallets.balance(self.ledger, ref, at_text) == account.past(at_us, now_us)
        else:
            assert wallets.balance(self.ledger, ref) == account.answer(now_us)
        (start_text, first_us), (end_text, last_us) = self.bound(start), self.bound(end)
        total = outcome(lambda: transactions.total(self.ledger, ref, start_text, end_text))
        if first_us is not None and last_us is not None and first_us > last_us:
            assert total == "invalid_input"
            return
        assert total == account.total(first_us, last_us)
        lines = [account.transaction(seq) for seq in account.within(first_us, last_us)]
        assert list(transactions.streamed(self.ledger, ref, start_text, end_text)) == lines[::-1]
        assert pages(
            "transactions",
            lambda cursor: transactions.listed(self.ledger, ref, start_text, end_text, limit, cursor, counted=True),
            limit,
        ) == (lines[::-1], len(lines))
        self.compare_statement(account, (start_text, end_text), (first_us, last_us), lines)

    def compare_statement(
        self, account: Account, asked: Any, period: tuple[int | None, int | None], lines: list[Any]
    ) -> None:
        with statements.opened(self.ledger, self.ref(account.id), *asked) as statement:
            said = json.loads("".join(statements.json_of(statement)))
        person = self.model.people[account.user_id - 1]
        count: Counter[str] = Counter()
        sums: Counter[str] = Counter()
        for seq in account.within(*period):
            count[account.kind(seq)] += 1
            sums[account.kind(seq)] += account.entries[seq - 1].amount
        expected = account.total(*period) | {
            "user_id": account.user_id,
            "type": account.type,
            "phone_e164": person.e164,
            "name": person.name,
            "totals": [
                {"kind": kind, "count": count[kind], "amount": account.text(sums[kind])}
                for kind in statements.LINE_KINDS
                if count[kind]
            ],
            "transactions": [{name: line[name] for name in line if name not in ("via", "actor")} for line in lines],
        }
        assert said == expected

    @rule(data=st.data(), limit=st.integers(1, 3))
    def list_holds(self, data: st.DataObject, limit: int) -> None:
        account = self.some_account(data)
        ref, now_us = self.ref(account.id), self.model.now_us
        expected = [account.hold(number, now_us) for number in range(len(account.holds), 0, -1)]
        found = pages("holds", lambda cursor: holds.listed(self.ledger, ref).page(limit, cursor, True), limit)
        assert found == (expected, len(expected))

    @rule(wallet_id=st.integers(1, 12), seq=st.integers(1, 3))
    def name_what_may_not_be_there(self, wallet_id: int, seq: int) -> None:
        account = self.model.accounts.get(wallet_id)
        name = parse_wallet(f"w{wallet_id}")
        shown = outcome(lambda: wallets.balance(self.ledger, name))
        assert shown == ("wallet_not_found" if account is None else account.answer(self.model.now_us))
        if account is None:
            posted = outcome(
                lambda: self.ledger.run(transactions.add(self.ledger, name, "1", is_credit=True), "tx add")
            )
            assert posted == "wallet_not_found"

    # Files.

    @rule(
        data=st.data(),
        lines=st.lists(st.tuples(st.booleans(), amounts, notes, keys, metas), min_size=1, max_size=5),
        as_csv=st.booleans(),
        how=st.sampled_from([imports.Options(), imports.Options(dry_run=True), imports.Options(atomic=True)]),
    )
    def import_lines(self, data: st.DataObject, lines: list[Any], as_csv: bool, how: imports.Options) -> None:
        """A file goes through the rules line by line; one that is tried, or of which a line is refused, may not."""
        account = self.some_account(data)
        asked = [
            Post(account.id, is_credit, amount, Remarks(note or None, meta), key or f"line {number}", None)
            for number, (is_credit, amount, note, key, meta) in enumerate(lines)
        ]
        before = self.model.kept()
        words = [self.model.decide(command).word for command in asked]
        refused = [(number, word) for number, word in enumerate(words, 1) if word not in ("applied", "replayed")]
        if how.dry_run or (how.atomic and refused):
            self.model.accounts = before
        records = [
            {
                "wallet": account.name,
                "amount": format_minor(command.amount, account.currency),
                "kind": "credit" if command.is_credit else "debit",
                "note": command.remarks.note,
                "key": command.key,
                "meta": command.remarks.meta,
            }
            for command in asked
        ]
        text = csv_of(records) if as_csv else "".join(f"{json.dumps(record)}\n" for record in records)
        told: list[tuple[int, str]] = []
        answer = imports.run(
            self.ledger, io.BytesIO(text.encode()), how, lambda number, error, _: told.append((number, error.code))
        )
        first = 2 if as_csv else 1
        assert told == [(number + first - 1, word) for number, word in refused]
        applied = 0 if how.atomic and refused else words.count("applied")
        assert answer == {
            "applied": applied,
            "replayed": words.count("replayed"),
            "refused": len(refused),
            "users_created": 0,
            "wallets_created": 0,
        } | ({"dry_run": True} if how.dry_run else {})

    @rule(again=st.booleans())
    def export_and_go_on_in_a_new_ledger(self, again: bool) -> None:
        """What is read back is the same ledger, and goes on as the old one would have; read back once more, nothing."""
        text = "".join(exports.export(self.ledger))
        made = sum(len(account.entries) + len(account.holds) for account in self.model.accounts.values())
        nothing = {"replayed": 0, "refused": 0, "applied": 0, "users_created": 0, "wallets_created": 0}
        if again:
            assert self.read_back(self.ledger, text) == nothing | {"replayed": made}
            return
        counted = {"users_created": len(self.model.people), "wallets_created": len(self.model.accounts)}
        other = self.open_another()
        assert self.read_back(other, text) == nothing | {"applied": made} | counted
        assert "".join(exports.export(other)) == text
        for form in ("csv", "hledger", "beancount"):
            assert "".join(exports.export(other, form)) == "".join(exports.export(self.ledger, form))
        assert verification.verify(other) == verification.verify(self.ledger)
        self.ledger, self.keys = other, {}

    def read_back(self, ledger: Ledger, text: str) -> Any:
        refused: list[Any] = []
        answer = imports.run(ledger, io.BytesIO(text.encode()), report=lambda *line: refused.append(line))
        assert refused == []
        return answer

    def open_another(self) -> Ledger:
        address = self.stack.enter_context(self.engine.lent())
        given = wallet_settings.load({"db": str(address), "timezone": "UTC"}, {})
        other = self.stack.enter_context(open_ledger(given, lambda _: None))
        other.executor.clock = lambda: self.model.now_us
        return other

    @precondition(lambda self: self.forms % 4 == 0)
    @rule()
    def nothing_is_left_open(self) -> None:
        assert not in_transaction(self.ledger)


class EverythingMachine(ServicesMachine, BusinessMachine):
    """And all that a business does."""


def pages(name: str, page: Callable[[str | None], Any], limit: int) -> tuple[list[Any], int]:
    """A whole list, a page after the other, and the number that each of them says it has."""
    found: list[Any] = []
    cursor, counts = None, set()
    while True:
        answer = page(cursor)
        found += answer[name]
        counts.add(answer["count"])
        cursor = answer["next_cursor"]
        if cursor is None:
            (count,) = counts
            return found, count
        assert len(answer[name]) == limit


def csv_of(records: list[dict[str, Any]]) -> str:
    def cell(value: str | None) -> str:
        return "" if value is None else '"' + value.replace('"', '""') + '"'

    return "\n".join([",".join(records[0]), *(",".join(map(cell, record.values())) for record in records)]) + "\n"


def test_every_service_answers_as_a_naive_ledger_would(engine: Engine) -> None:
    examples = engine.fewer(EXAMPLES)
    run_state_machine_as_test(EverythingMachine.on(engine), settings=settings(STORIES, max_examples=examples))
    figure("model-based, all operations", examples * STEPS, engine=engine.name, stories=examples, steps=STEPS)


FAULTS = {
    "a key of a registration is not compared with the number and the name": Fault(
        registry,
        "register",
        "(user.phone_e164, user.name) == (prior.phone_e164, prior.name)",
        "user.phone_e164 == prior.phone_e164",
    ),
    "a page of wallets is one short": Fault(lists, "paged", "found[:limit]]", "found[: limit - 1]]"),
    "an import applies what goes before a refusal": Fault(
        imports, "run", "if options.dry_run or run.refused:", "if options.dry_run:"
    ),
    "a statement loses a kind": Fault(statements, "kind_of", "if line.hold is not None:", "if False:"),
    "an export forgets the keys of holds": Fault(exports, "_hold_record", '"key": hold.key', '"key": None'),
    "an export forgets who forced": Fault(sql, "EXPORTED", "t.forced", "0"),
    "an import that is only tried is applied": Fault(
        imports, "run", "if options.dry_run or run.refused:", "if run.refused:"
    ),
    "a key of a wallet is not compared with its minimum": Fault(
        registry, "open_wallet", "(prior.type, prior.opening_minimum) == (type_, own_minimum)", "prior.type == type_"
    ),
    "a wallet is told as it is now where it was opened before": Fault(
        registry, "open_wallet", "Replayed(_as_opened(prior))", "Replayed(prior)"
    ),
    "a day is one of UTC": Fault(state, "State.is_same_day", "self.policy.day_of(", "type(self.policy)().day_of("),
    "the ledger's minimum is another where one reads": Fault(
        answers, "wallet_answer", "policy.minimum_of(wallet)", "(wallet.own_minimum or 0)"
    ),
    "what was held in the past is told": Fault(wallets, "balance", "_replace(held=0)", "_replace()"),
}
LOOKED_FOR = list(FAULTS)[: size(4, len(FAULTS))]


@pytest.mark.on_file("the faults are in the services, and the model is the same")
@pytest.mark.parametrize("name", LOOKED_FOR)
def test_a_deliberate_fault_is_found(engine: Engine, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    put_in(monkeypatch, FAULTS[name])
    with pytest.raises((AssertionError, WalletError)):
        hunt(ServicesMachine.on(engine))
