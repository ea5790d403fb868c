"""A ledger on disk against a naive one in memory: whatever is asked of both in turn, they answer alike.

The model keeps lists and adds them up from the start each time; the ledger keeps running totals and bisects. The last
test puts deliberate faults into the program and has the machine find each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support import engines
from support.engines import Engine
from support.faults import Fault, put_in
from support.sizes import size

from wallet_cli import settings as wallet_settings
from wallet_cli.domain.address import WalletName, parse_wallet
from wallet_cli.domain.money import Currency, format_minor, parse_currency
from wallet_cli.domain.period import format_end, format_time
from wallet_cli.domain.rules import postings, state
from wallet_cli.errors import WalletError
from wallet_cli.services import answers, audit, transactions, users, wallets
from wallet_cli.services.context import Ledger, open_ledger
from wallet_cli.storage import sql

START_US = 1_795_341_600_000_000
PHONES = (("9886977540", "+91 98869 77540", "(098869) 77540"), ("9886977541", "+919886977541"))
TYPES = ("main", "savings")
CURRENCIES = ("INR", "JPY", "PTS/3")
KEYS = ("a", "b", "c")
NOTES = (None, "", "tea", "[/b]\x1b🧾")
BIG = 10**15

BOUNDED = settings(
    max_examples=size(40, 60),
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)
HUNT = settings(BOUNDED, max_examples=300, phases=[Phase.generate], report_multiple_bugs=False)


class Entry(NamedTuple):
    is_credit: bool
    amount: int
    note: str | None
    key: str | None
    at_us: int


class Account:
    """A wallet as a list of what happened."""

    def __init__(self, id_: int, currency: Currency, minimum: int) -> None:
        self.id = id_
        self.currency = currency
        self.minimum = minimum
        self.entries: list[Entry] = []

    def balance(self, before_us: float = float("inf")) -> int:
        return sum(e.amount if e.is_credit else -e.amount for e in self.entries if e.at_us < before_us)

    def within(self, start_us: int | None, end_us: int | None) -> list[tuple[int, Entry]]:
        """seq and entry of what lies in a half-open period, the newest first."""
        numbered = list(enumerate(self.entries, 1))
        return [
            (seq, e)
            for seq, e in reversed(numbered)
            if (start_us is None or start_us <= e.at_us) and (end_us is None or e.at_us < end_us)
        ]

    def text(self, minor: int) -> str:
        return format_minor(minor, self.currency)

    def answer(self, seq: int) -> dict[str, Any]:
        entry = self.entries[seq - 1]
        balance = sum(e.amount if e.is_credit else -e.amount for e in self.entries[:seq])
        return {
            "id": f"{self.id}-{seq}",
            "wallet_id": self.id,
            "seq": seq,
            "kind": "credit" if entry.is_credit else "debit",
            "is_credit": entry.is_credit,
            "amount": self.text(entry.amount),
            "balance": self.text(balance),
            "currency": self.currency.name,
            "at": format_time(entry.at_us),
            "note": entry.note,
            "key": entry.key,
        }


def outcome(call: Callable[[], dict[str, Any]]) -> dict[str, Any] | str:
    """An answer, or the code of the error that stands in for it. What is no refusal is not caught."""
    try:
        return call()
    except WalletError as error:
        if error.code in ("storage_error", "internal_error", "busy"):
            raise
        return error.code


users_ = st.integers(0, len(PHONES) - 1)
types = st.sampled_from(TYPES)
amounts = st.one_of(st.integers(1, 300), st.integers(1, 300), st.sampled_from([BIG, BIG - 1]))
notes = st.sampled_from(NOTES)
# Microseconds from the present. Times lie close together, so that many fall on a bound or on each other.
moments = st.integers(-12, 2)
bounds = st.none() | moments


class LedgerMachine(RuleBasedStateMachine):
    engine: ClassVar[Engine]
    """What its ledgers are kept in."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.address = self.stack.enter_context(self.engine.lent())
        self.now_us = START_US
        self.registered: list[int] = []
        """Indices into PHONES, in the order of registration: user ids less one."""
        self.accounts: dict[tuple[int, str], Account] = {}
        self.open()

    def open(self) -> None:
        given = wallet_settings.load({"db": str(self.address), "timezone": "UTC"}, {})
        self.opened = ExitStack()
        self.ledger: Ledger = self.opened.enter_context(open_ledger(given, lambda _: None))
        self.ledger.executor.clock = lambda: self.now_us

    def teardown(self) -> None:
        self.opened.close()
        self.stack.close()

    # Names, as people would give them.

    def user(self, phone: int) -> str:
        return f"id:{self.registered.index(phone) + 1}" if phone in self.registered else PHONES[phone][0]

    def name(self, phone: int, type_: str) -> WalletName:
        return parse_wallet(f"{self.user(phone)}/{type_}")

    def bound(self, moment: int | None) -> tuple[str | None, int | None]:
        """A bound as text, to the microsecond, and its moment."""
        if moment is None:
            return None, None
        at_us = self.now_us + moment
        return format_time(at_us), at_us

    # What is asked of both.

    @initialize(steps=st.lists(st.integers(0, 2), min_size=2, max_size=9))
    def a_user_with_a_wallet_and_some_history(self, steps: list[int]) -> None:
        self.register(0, 0)
        self.create(0, "main", "INR", None)
        for index, step in enumerate(steps):
            self.now_us += step
            key = KEYS[index] if index < 2 else None
            self.add_to((0, "main"), Entry(True, 10 + index, None, key, 0), None)

    @rule(phone=users_, spelling=st.integers(0, 1))
    def register(self, phone: int, spelling: int) -> None:
        typed = PHONES[phone][spelling]
        answer = outcome(lambda: users.register(self.ledger, typed))
        if phone in self.registered:
            assert answer == "user_exists"
            return
        self.registered.append(phone)
        assert isinstance(answer, dict)
        assert answer == {
            "id": len(self.registered),
            "phone_number": typed,
            "phone_e164": f"+91{PHONES[phone][0]}",
            "name": None,
            "created_at": format_time(self.now_us),
        }

    @rule(
        phone=users_,
        type_=types,
        currency=st.sampled_from(CURRENCIES),
        minimum=st.none() | st.integers(-200, 200),
    )
    def create(self, phone: int, type_: str, currency: str, minimum: int | None) -> None:
        unit = parse_currency(currency)
        text = None if minimum is None else format_minor(minimum, unit)
        answer = outcome(lambda: wallets.create(self.ledger, self.name(phone, type_), currency, text))
        if phone not in self.registered:
            assert answer == "user_not_found"
        elif (phone, type_) in self.accounts:
            assert answer == "wallet_exists"
        else:
            assert isinstance(answer, dict)
            assert answer["id"] == len(self.accounts) + 1
            self.accounts[phone, type_] = Account(answer["id"], unit, minimum or 0)

    @rule(step=st.sampled_from([0, 1, 1, 2, 5, -3]))
    def tick(self, step: int) -> None:
        """Time goes on; sometimes somebody sets the clock back."""
        self.now_us += step

    @precondition(lambda self: self.accounts)
    @rule(
        data=st.data(),
        is_credit=st.sampled_from([True, True, False]),
        amount=amounts,
        note=notes,
        key=st.none() | st.sampled_from(KEYS),
        at=st.none() | st.none() | moments,
        step=st.sampled_from([0, 1, 1, 2, -2]),
    )
    def add(
        self,
        data: st.DataObject,
        is_credit: bool,
        amount: int,
        note: str | None,
        key: str | None,
        at: int | None,
        step: int,
    ) -> None:
        self.now_us += step
        self.add_to(data.draw(st.sampled_from(sorted(self.accounts))), Entry(is_credit, amount, note, key, 0), at)

    @rule(phone=users_, type_=types)
    def add_where_there_may_be_nobody(self, phone: int, type_: str) -> None:
        self.add_to((phone, type_), Entry(True, 5, None, None, 0), None)

    def add_to(self, owner: tuple[int, str], entry: Entry, at: int | None) -> None:
        account = self.accounts.get(owner)
        text = format_minor(entry.amount, account.currency if account else Currency("INR", 2))
        at_text, at_us = self.bound(at)
        answer = outcome(
            lambda: transactions.add(
                self.ledger,
                self.name(*owner),
                text,
                is_credit=entry.is_credit,
                note=entry.note,
                key=entry.key,
                at=at_text,
            )
        )
        assert answer == self.expected(owner[0], account, entry, at_us)

    def expected(self, phone: int, account: Account | None, entry: Entry, at_us: int | None) -> dict[str, Any] | str:
        """What the model answers, having done it."""
        if phone not in self.registered:
            return "user_not_found"
        if account is None:
            return "wallet_not_found"
        for seq, prior in enumerate(account.entries, 1):
            if entry.key is not None and prior.key == entry.key:
                same = prior._replace(at_us=0) == entry and at_us in (None, prior.at_us)
                return account.answer(seq) | {"replayed": True} if same else "key_reused"
        last_us = max((prior.at_us for prior in account.entries), default=0)
        if at_us is not None and at_us > self.now_us:
            return "invalid_input"
        if at_us is not None and at_us < last_us:
            return "time_conflict"
        if not entry.is_credit and account.balance() - entry.amount < account.minimum:
            return "insufficient_funds"
        account.entries.append(entry._replace(at_us=max(self.now_us, last_us) if at_us is None else at_us))
        return account.answer(len(account.entries))

    @precondition(lambda self: self.used_keys())
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """The same request with the same key, whatever the balance is by now."""
        self.add_to(*data.draw(st.sampled_from(self.used_keys())), None)

    @precondition(lambda self: self.used_keys())
    @rule(data=st.data(), change=st.sampled_from(["amount", "kind", "note"]))
    def use_a_key_for_another_request(self, data: st.DataObject, change: str) -> None:
        owner, entry = data.draw(st.sampled_from(self.used_keys()))
        changed = {
            "amount": entry._replace(amount=entry.amount % BIG + 1),
            "kind": entry._replace(is_credit=not entry.is_credit),
            "note": entry._replace(note="another"),
        }[change]
        self.add_to(owner, changed, None)

    def used_keys(self) -> list[tuple[tuple[int, str], Entry]]:
        return [
            (owner, entry._replace(at_us=0))
            for owner, account in self.accounts.items()
            for entry in account.entries
            if entry.key
        ]

    @precondition(lambda self: self.accounts)
    @rule(data=st.data(), extra=st.sampled_from([0, 0, 1]))
    def spend_it_all(self, data: st.DataObject, extra: int) -> None:
        """To the last unit above the minimum, or one further."""
        phone, type_ = data.draw(st.sampled_from(sorted(self.accounts)))
        account = self.accounts[phone, type_]
        amount = account.balance() - account.minimum + extra
        if 0 < amount <= BIG:
            self.add_to((phone, type_), Entry(False, amount, None, None, 0), None)

    @precondition(lambda self: self.accounts)
    @rule(data=st.data(), at=bounds)
    def balance(self, data: st.DataObject, at: int | None) -> None:
        phone, type_ = data.draw(st.sampled_from(sorted(self.accounts)))
        account = self.accounts[phone, type_]
        text, at_us = self.bound(at)
        answer = wallets.balance(self.ledger, self.name(phone, type_), text)
        entries = account.within(None, None if at_us is None else at_us + 1)
        balance = account.balance(float("inf") if at_us is None else at_us + 1)
        assert answer["balance"] == account.text(balance)
        assert answer["available"] == account.text(max(0, balance - account.minimum))
        assert answer["minimum_balance"] == account.text(account.minimum)
        assert answer["transactions"] == len(entries)
        assert answer.get("at") == (None if at_us is None else format_time(at_us))

    @precondition(lambda self: self.accounts)
    @rule(data=st.data(), start=bounds, end=bounds)
    def total(self, data: st.DataObject, start: int | None, end: int | None) -> None:
        phone, type_ = data.draw(st.sampled_from(sorted(self.accounts)))
        answer = outcome(lambda: self.totalled(phone, type_, start, end))
        if start is not None and end is not None and start > end:
            assert answer == "invalid_input"
            return
        account = self.accounts[phone, type_]
        start_text, start_us = self.bound(start)
        _, last_us = self.bound(end)
        end_us = None if last_us is None else last_us + 1
        inside = [entry for _, entry in account.within(start_us, end_us)]
        credits_ = [e.amount for e in inside if e.is_credit]
        debits = [e.amount for e in inside if not e.is_credit]
        opening = account.balance(start_us) if start_us is not None else 0
        assert answer == {
            "wallet_id": account.id,
            "currency": account.currency.name,
            "from": start_text,
            "to": None if end_us is None else format_end(end_us),
            "opening_balance": account.text(opening),
            "credit_total": account.text(sum(credits_)),
            "debit_total": account.text(sum(debits)),
            "credit_count": len(credits_),
            "debit_count": len(debits),
            "net": account.text(sum(credits_) - sum(debits)),
            "closing_balance": account.text(opening + sum(credits_) - sum(debits)),
            "wallet": f"{self.registered.index(phone) + 1}/{type_}",
        }

    def totalled(self, phone: int, type_: str, start: int | None, end: int | None) -> dict[str, Any]:
        return transactions.total(self.ledger, self.name(phone, type_), self.bound(start)[0], self.bound(end)[0])

    @precondition(lambda self: self.accounts)
    @rule(data=st.data(), cuts=st.lists(moments, min_size=1, max_size=4, unique=True))
    def totals_of_adjacent_periods_add_up(self, data: st.DataObject, cuts: list[int]) -> None:
        phone, type_ = data.draw(st.sampled_from(sorted(self.accounts)))
        account = self.accounts[phone, type_]
        cuts.sort()
        # Each ends a microsecond before the next starts: all that there is, in pieces.
        firsts = [None, *cuts]
        lasts = [cut - 1 for cut in cuts] + [None]
        parts = [self.totalled(phone, type_, *edges) for edges in zip(firsts, lasts, strict=True)]
        whole = self.totalled(phone, type_, None, None)

        def minor(part: dict[str, Any], field: str) -> int:
            return int(part[field].replace(".", ""))

        for field in ("credit_total", "debit_total", "net"):
            assert sum(minor(part, field) for part in parts) == minor(whole, field)
        for field in ("credit_count", "debit_count"):
            assert sum(part[field] for part in parts) == whole[field]
        for before, after in pairwise(parts):
            assert before["closing_balance"] == after["opening_balance"]
        assert whole["closing_balance"] == account.text(account.balance())
        for part in [*parts, whole]:
            moved = minor(part, "credit_total") - minor(part, "debit_total")
            assert minor(part, "opening_balance") + moved == minor(part, "closing_balance")

    @precondition(lambda self: self.accounts)
    @rule(data=st.data(), limit=st.integers(1, 7), start=bounds, end=bounds)
    def pages_of_any_size_are_the_whole_list(
        self, data: st.DataObject, limit: int, start: int | None, end: int | None
    ) -> None:
        if start is not None and end is not None and start > end:
            start, end = end, start
        phone, type_ = data.draw(st.sampled_from(sorted(self.accounts)))
        account, name = self.accounts[phone, type_], self.name(phone, type_)
        start_text, start_us = self.bound(start)
        end_text, last_us = self.bound(end)
        expected = [
            account.answer(seq) for seq, _ in account.within(start_us, None if last_us is None else last_us + 1)
        ]
        assert list(transactions.streamed(self.ledger, name, start_text, end_text)) == expected
        assert list(transactions.streamed(self.ledger, name, start_text, end_text, limit)) == expected[:limit]
        found: list[dict[str, Any]] = []
        cursor = None
        for _ in range(len(expected) + 1):
            page = transactions.listed(self.ledger, name, start_text, end_text, limit, cursor)
            found += page["transactions"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
            assert len(page["transactions"]) == limit
        assert cursor is None
        assert found == expected

    @rule()
    def reopen(self) -> None:
        self.opened.close()
        self.open()

    @rule()
    def verify(self) -> None:
        count = sum(len(account.entries) for account in self.accounts.values())
        assert audit.verify(self.ledger) == {"ok": True, "wallets": len(self.accounts), "transactions": count}

    @invariant()
    def nothing_is_left_open(self) -> None:
        assert not engines.in_transaction(self.ledger)


def machine_on(engine: Engine) -> type[LedgerMachine]:
    class Machine(LedgerMachine):
        pass

    Machine.engine = engine
    return Machine


def test_the_ledger_answers_as_a_naive_one_would(engine: Engine) -> None:
    bounded = settings(BOUNDED, max_examples=engine.fewer(BOUNDED.max_examples))
    run_state_machine_as_test(machine_on(engine), settings=bounded)


FAULTS = {
    "the floor is off by one": Fault(postings, "spending_refused", "amount < minimum", "amount < minimum - 1"),
    "a key is not looked up": Fault(postings, "post", "if prior is not None:", "if False:"),
    "a key is taken for any amount": Fault(postings, "_same_post", "prior.amount == command.amount", "True"),
    "a key is taken for any note": Fault(postings, "_same_post", "prior.note == command.note", "True"),
    "history may run backwards": Fault(postings, "post", "max(now_us, last.at_us)", "now_us"),
    "an earlier time is taken": Fault(postings, "post", "at_us < last.at_us", "False"),
    "the totals lose a debit": Fault(state, "State.append", "debit_total += amount", "debit_total += amount - 1"),
    "the bisection takes the moment itself": Fault(sql, "LAST_SEQ_BEFORE", "< :moment_us", "<= :moment_us"),
    "the bisection stops early": Fault(sql, "LAST_SEQ_BEFORE", "ELSE t.seq - 1", "ELSE t.seq - 2"),
    "the list is the oldest first": Fault(sql, "NEWEST_FIRST", "t.seq DESC", "t.seq ASC"),
    "a page repeats the one before": Fault(transactions, "_range", "seq - 1", "seq"),
    "a page is the last one too soon": Fault(transactions, "searched", "> limit else", "> limit + 1 else"),
    "a period loses its first": Fault(transactions, "_range", "opening.seq + 1", "opening.seq + 2"),
    "the count of debits is that of all": Fault(answers, "total_answer", ".debit_count - ", ".seq - "),
}


@pytest.mark.on_file("the faults are in the rules, and the model is the same")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_deliberate_fault_is_found(engine: Engine, monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    put_in(monkeypatch, fault)
    # An answer that differs, or a constraint or a check of the program's own that is broken.
    with pytest.raises((AssertionError, WalletError)):
        run_state_machine_as_test(machine_on(engine), settings=HUNT)
