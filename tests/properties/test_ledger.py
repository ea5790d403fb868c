"""A ledger on disk against a naive one in memory: whatever is asked of both in turn, they answer alike.

The model keeps lists and adds them up from the start each time; the ledger keeps running totals and bisects. The last
test puts deliberate faults into the program and has the machine find each of them.
"""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from typing import Any, ClassVar

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
from support.machine import outcome
from support.naive import Account, Naive
from support.sizes import size

from wallet_cli import settings as wallet_settings
from wallet_cli.domain.commands import Post
from wallet_cli.domain.ids import WalletName, parse_wallet
from wallet_cli.domain.money import format_minor, parse_currency
from wallet_cli.domain.period import format_time
from wallet_cli.domain.remarks import Remarks
from wallet_cli.domain.rules import postings, state
from wallet_cli.errors import WalletError
from wallet_cli.operations import answers, transactions, users, verification, wallets
from wallet_cli.operations.context import Ledger, open_ledger
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
        self.model = Naive(START_US)
        self.open()

    def open(self) -> None:
        given = wallet_settings.load({"db": str(self.address), "timezone": "UTC"}, {})
        self.opened = ExitStack()
        self.ledger: Ledger = self.opened.enter_context(open_ledger(given, lambda _: None))
        self.ledger.executor.clock = lambda: self.model.now_us

    def teardown(self) -> None:
        self.opened.close()
        self.stack.close()

    @staticmethod
    def name(account: Account) -> WalletName:
        """As people would give it."""
        return parse_wallet(f"id:{account.user_id}/{account.type}")

    def bound(self, moment: int | None) -> tuple[str | None, int | None]:
        """A bound as text, to the microsecond, and its moment."""
        if moment is None:
            return None, None
        at_us = self.model.now_us + moment
        return format_time(at_us), at_us

    def any_account(self, data: st.DataObject) -> Account:
        return self.model.accounts[data.draw(st.sampled_from(sorted(self.model.accounts)))]

    # What is asked of both.

    @initialize(steps=st.lists(st.integers(0, 2), min_size=2, max_size=9))
    def a_user_with_a_wallet_and_some_history(self, steps: list[int]) -> None:
        self.register(0, 0)
        self.create(0, "main", "INR", None)
        for index, step in enumerate(steps):
            self.model.now_us += step
            self.post(Post(1, True, 10 + index, key=KEYS[index] if index < 2 else None))

    @rule(phone=users_, spelling=st.integers(0, 1))
    def register(self, phone: int, spelling: int) -> None:
        typed = PHONES[phone][spelling]
        answer = outcome(lambda: self.ledger.run(users.register(self.ledger, typed), "register"))
        decision = self.model.register(typed)
        assert answer == (self.model.people[-1].answer() if decision.kind else decision.word)

    @rule(
        phone=users_,
        type_=types,
        currency=st.sampled_from(CURRENCIES),
        minimum=st.none() | st.integers(-200, 200),
    )
    def create(self, phone: int, type_: str, currency: str, minimum: int | None) -> None:
        text = None if minimum is None else format_minor(minimum, parse_currency(currency))
        name = parse_wallet(f"{PHONES[phone][0]}/{type_}")
        answer = outcome(lambda: self.ledger.run(wallets.create(self.ledger, name, currency, text), "create"))
        person = self.model.person(PHONES[phone][0])
        decision = self.model.open(person.id if person else 0, type_, currency, text)
        found = self.model.accounts.get(decision.wallet_id)
        assert answer == (found.answer(self.model.now_us) if found else decision.word)

    @rule(step=st.sampled_from([0, 1, 1, 2, 5, -3]))
    def tick(self, step: int) -> None:
        """Time goes on; sometimes somebody sets the clock back."""
        self.model.now_us += step

    @precondition(lambda self: self.model.accounts)
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
        self.model.now_us += step
        self.post(Post(self.any_account(data).id, is_credit, amount, Remarks(note), key), at)

    @rule(phone=users_, type_=types)
    def add_where_there_may_be_nobody(self, phone: int, type_: str) -> None:
        person = self.model.person(PHONES[phone][0])
        owned = [a for a in self.model.accounts.values() if person and (a.user_id, a.type) == (person.id, type_)]
        if owned:
            self.post(Post(owned[0].id, True, 5))
            return
        name = parse_wallet(f"{PHONES[phone][0]}/{type_}")
        answer = outcome(lambda: self.ledger.run(transactions.add(self.ledger, name, "5", is_credit=True), "tx add"))
        assert answer == ("wallet_not_found" if person else "user_not_found")

    def post(self, command: Post, at: int | None = None) -> None:
        account = self.model.accounts[command.wallet_id]
        given = {"is_credit": command.is_credit, "remarks": command.remarks, "key": command.key}
        at_text, at_us = self.bound(at)
        answer = outcome(
            lambda: self.ledger.run(
                transactions.add(self.ledger, self.name(account), account.text(command.amount), at=at_text, **given),
                "tx add",
            )
        )
        decision = self.model.post(command._replace(at_us=at_us))
        again = {"replayed": True} if decision.word == "replayed" else {}
        assert answer == (account.transaction(decision.number) | again if decision.kind else decision.word)

    @precondition(lambda self: self.used_keys())
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """The same request with the same key, whatever the balance is by now."""
        self.post(data.draw(st.sampled_from(self.used_keys())))

    @precondition(lambda self: self.used_keys())
    @rule(data=st.data(), change=st.sampled_from(["amount", "kind", "note"]))
    def use_a_key_for_another_request(self, data: st.DataObject, change: str) -> None:
        used = data.draw(st.sampled_from(self.used_keys()))
        changed = {
            "amount": used._replace(amount=used.amount % BIG + 1),
            "kind": used._replace(is_credit=not used.is_credit),
            "note": used._replace(remarks=Remarks("another")),
        }[change]
        self.post(changed)

    def used_keys(self) -> list[Post]:
        return [
            Post(account.id, entry.is_credit, entry.amount, entry.remarks, entry.key)
            for account in self.model.accounts.values()
            for entry in account.entries
            if entry.key
        ]

    @precondition(lambda self: self.model.accounts)
    @rule(data=st.data(), extra=st.sampled_from([0, 0, 1]))
    def spend_it_all(self, data: st.DataObject, extra: int) -> None:
        """To the last unit above the minimum, or one further."""
        account = self.any_account(data)
        amount = account.free(self.model.now_us) + extra
        if 0 < amount <= BIG:
            self.post(Post(account.id, False, amount))

    @precondition(lambda self: self.model.accounts)
    @rule(data=st.data(), at=bounds)
    def balance(self, data: st.DataObject, at: int | None) -> None:
        account = self.any_account(data)
        text, at_us = self.bound(at)
        expected = account.answer(self.model.now_us) if at_us is None else account.past(at_us, self.model.now_us)
        assert wallets.balance(self.ledger, self.name(account), text) == expected

    @precondition(lambda self: self.model.accounts)
    @rule(data=st.data(), start=bounds, end=bounds)
    def total(self, data: st.DataObject, start: int | None, end: int | None) -> None:
        account = self.any_account(data)
        answer = outcome(lambda: self.totalled(account, start, end))
        if start is not None and end is not None and start > end:
            assert answer == "invalid_input"
        else:
            assert answer == account.total(self.bound(start)[1], self.bound(end)[1])

    def totalled(self, account: Account, start: int | None, end: int | None) -> dict[str, Any]:
        return transactions.total(self.ledger, self.name(account), self.bound(start)[0], self.bound(end)[0])

    @precondition(lambda self: self.model.accounts)
    @rule(data=st.data(), cuts=st.lists(moments, min_size=1, max_size=4, unique=True))
    def totals_of_adjacent_periods_add_up(self, data: st.DataObject, cuts: list[int]) -> None:
        account = self.any_account(data)
        cuts.sort()
        # Each ends a microsecond before the next starts: all that there is, in pieces.
        firsts = [None, *cuts]
        lasts = [cut - 1 for cut in cuts] + [None]
        parts = [self.totalled(account, *edges) for edges in zip(firsts, lasts, strict=True)]
        whole = self.totalled(account, None, None)

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

    @precondition(lambda self: self.model.accounts)
    @rule(data=st.data(), limit=st.integers(1, 7), start=bounds, end=bounds)
    def pages_of_any_size_are_the_whole_list(
        self, data: st.DataObject, limit: int, start: int | None, end: int | None
    ) -> None:
        if start is not None and end is not None and start > end:
            start, end = end, start
        account = self.any_account(data)
        name = self.name(account)
        start_text, start_us = self.bound(start)
        end_text, last_us = self.bound(end)
        expected = [account.transaction(seq) for seq in reversed(account.within(start_us, last_us))]
        assert list(transactions.streamed(self.ledger, name, start_text, end_text)) == expected
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
        accounts = self.model.accounts.values()
        count = sum(len(account.entries) for account in accounts)
        assert verification.verify(self.ledger) == {"ok": True, "wallets": len(accounts), "transactions": count}

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
    "a key is taken for any note": Fault(postings, "_same_post", "prior.remarks == command.remarks", "True"),
    "history may run backwards": Fault(postings, "post", "max(now_us, last.at_us)", "now_us"),
    "an earlier time is taken": Fault(postings, "post", "at_us < last.at_us", "False"),
    "the totals lose a debit": Fault(state, "State.append", "debit_total += amount", "debit_total += amount - 1"),
    "the bisection takes the moment itself": Fault(sql, "LAST_SEQ_BEFORE", "< :moment_us", "<= :moment_us"),
    "the bisection stops early": Fault(sql, "LAST_SEQ_BEFORE", "ELSE t.seq - 1", "ELSE t.seq - 2"),
    "the list is the oldest first": Fault(sql, "NEWEST_FIRST", "t.seq DESC", "t.seq ASC"),
    "a page repeats the one before": Fault(transactions, "_range", "seq - 1", "seq"),
    "a page is the last one too soon": Fault(transactions, "listed", "> limit else", "> limit + 1 else"),
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
