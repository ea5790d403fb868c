"""A naive ledger: lists, added up from the start each time. It answers what the real one has to answer."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from wallet_cli.domain.commands import (
    SAME,
    CaptureHold,
    PlaceHold,
    Post,
    Reverse,
    SetLimits,
    SetStatus,
    Single,
    Transfer,
    VoidHold,
)
from wallet_cli.domain.money import Currency, format_minor, parse_currency
from wallet_cli.domain.period import format_end, format_time
from wallet_cli.domain.remarks import NOTHING, Remarks

Place = tuple[int, int]
"""A wallet, and the number of a transaction or a hold of it."""

DEFAULTS = {"currency": "INR", "phone_region": "IN", "minimum_balance": "0", "timezone": "UTC"}
PREFIXES = {"IN": "+91", "US": "+1"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Facts(dict[str, str | None]):
    """The settings that the ledger keeps, as text; None for what the program has by itself."""

    def __init__(self) -> None:
        super().__init__(DEFAULTS)

    def now(self, name: str) -> str:
        return self[name] or DEFAULTS[name]

    def local(self, at_us: int, zone: str | None = None) -> datetime:
        """A moment by a clock in a time zone; in the ledger's, where none is named."""
        return (EPOCH + timedelta(microseconds=at_us)).astimezone(ZoneInfo(zone or self.now("timezone")))

    def date(self, at_us: int) -> date:
        return self.local(at_us).date()

    def number(self, typed: str) -> str:
        """What a phone number means; spaces and dashes count for nothing."""
        digits = typed.replace(" ", "").replace("-", "")
        return digits if digits.startswith("+") else PREFIXES[self.now("phone_region")] + digits


class Person(NamedTuple):
    id: int
    typed: str
    e164: str
    name: str | None
    created_us: int
    key: str | None

    def answer(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "phone_number": self.typed,
            "phone_e164": self.e164,
            "name": self.name,
            "created_at": format_time(self.created_us),
        }


class Entry(NamedTuple):
    is_credit: bool
    amount: int
    at_us: int
    remarks: Remarks = NOTHING
    key: str | None = None
    peer: Place | None = None
    reverses: int | None = None
    hold: int | None = None
    forced: bool = False
    user_key: bool = False
    took_all: bool = False
    """Whether a capture or a reversal took all that was left."""
    kept: bool = False
    """Whether a capture kept the rest of its hold."""

    def took(self, amount: int | None) -> bool:
        """Whether it took what such a request asks for."""
        return self.took_all if amount is None else self.amount == amount


class Kept(NamedTuple):
    """A hold."""

    amount: int
    captured: int
    status: str
    created_us: int
    expires_us: int
    ended_us: int | None
    note: str | None
    key: str | None

    def at(self, now_us: int) -> Kept:
        """As it is at a moment, whether or not anybody has noted it."""
        if self.status == "open" and self.expires_us <= now_us:
            return self._replace(status="expired", ended_us=self.expires_us)
        return self


class Account:
    """A wallet as lists of what happened."""

    def __init__(
        self,
        id_: int,
        user_id: int,
        type_: str,
        currency: Currency,
        facts: Facts,
        created_us: int,
        minimum: int | None = None,
        key: str | None = None,
    ) -> None:
        self.id = id_
        self.user_id = user_id
        self.type = type_
        self.currency = currency
        self.facts = facts
        self.created_us = created_us
        self.key = key
        self.status = "active"
        self.minimum = self.opening_minimum = minimum
        self.maximum: int | None = None
        self.daily: int | None = None
        self.entries: list[Entry] = []
        self.holds: list[Kept] = []

    @property
    def name(self) -> str:
        return f"{self.user_id}/{self.type}"

    def balance(self, seq: int | None = None) -> int:
        return sum(e.amount if e.is_credit else -e.amount for e in self.entries[:seq])

    def floor(self) -> int:
        """What no debit takes it below: its own minimum, or the ledger's, to the next amount up."""
        if self.minimum is not None:
            return self.minimum
        units = Decimal(self.facts.now("minimum_balance")) * 10**self.currency.exponent
        return int(units.to_integral_value(ROUND_CEILING))

    def free(self, now_us: int) -> int:
        return self.balance() - self.held(now_us) - self.floor()

    def within(self, first_us: int | None, last_us: int | None) -> list[int]:
        """The seqs of what lies between two moments, those included."""
        return [
            seq
            for seq, e in enumerate(self.entries, 1)
            if (first_us is None or first_us <= e.at_us) and (last_us is None or e.at_us <= last_us)
        ]

    def held(self, now_us: int, until: date = date.max) -> int:
        """What holds keep that were placed on a day or before it; those of a clock ahead, today."""
        holds = [hold.at(now_us) for hold in self.holds if self.facts.date(min(hold.created_us, now_us)) <= until]
        return sum(hold.amount - hold.captured for hold in holds if hold.status == "open")

    def last_us(self) -> int:
        return max((entry.at_us for entry in self.entries), default=0)

    def reversals(self, seq: int) -> list[int]:
        return [number for number, entry in enumerate(self.entries, 1) if entry.reverses == seq]

    def reversed(self, seq: int) -> int:
        return sum(self.entries[number - 1].amount for number in self.reversals(seq))

    def note(self, now_us: int) -> None:
        """A write notes which holds have expired: they stay so, though the clock may be set back."""
        self.holds = [hold.at(now_us) for hold in self.holds]

    def add(self, entry: Entry, now_us: int) -> Place:
        self.entries.append(entry)
        self.note(now_us)
        return self.id, len(self.entries)

    # Why not.

    def credit_refused(self, amount: int) -> str | None:
        return "limit_exceeded" if self.maximum is not None and self.balance() + amount > self.maximum else None

    def debit_refused(self, amount: int, at_us: int, held: int, of_day: int | None = None) -> str | None:
        """`of_day` is what holds keep that count on the day of an earlier time."""
        date = self.facts.date
        today = [e.amount for e in self.entries if not e.is_credit and date(e.at_us) == date(at_us)]
        if self.daily is not None and sum(today) + (held if of_day is None else of_day) + amount > self.daily:
            return "limit_exceeded"
        return self.funds_refused(amount, held)

    def funds_refused(self, amount: int, held: int = 0) -> str | None:
        return "insufficient_funds" if self.balance() - held - amount < self.floor() else None

    # What goes out.

    def text(self, minor: int | None) -> str | None:
        return None if minor is None else format_minor(minor, self.currency)

    def answer(self, now_us: int) -> dict[str, Any]:
        balance, held, minimum = self.balance(), self.held(now_us), self.floor()
        return {
            "id": self.id,
            "user_id": self.user_id,
            "type": self.type,
            "currency": self.currency.name,
            "status": self.status,
            "balance": self.text(balance),
            "held": self.text(held),
            "available": self.text(max(0, balance - held - minimum)),
            "minimum_balance": self.text(minimum),
            "transactions": len(self.entries),
            "created_at": format_time(self.created_us),
            "maximum_balance": self.text(self.maximum),
            "daily_debit": self.text(self.daily),
            "wallet": self.name,
        }

    def opened(self, now_us: int) -> dict[str, Any]:
        """As it was when it was opened."""
        as_new = Account(
            self.id, self.user_id, self.type, self.currency, self.facts, self.created_us, self.opening_minimum
        )
        return as_new.answer(now_us)

    def past(self, last_us: int, now_us: int) -> dict[str, Any]:
        """As it was after a moment; what was held in the past is not told."""
        then = copy.copy(self)
        then.entries = [self.entries[seq - 1] for seq in self.within(None, last_us)]
        then.holds = self.holds if last_us >= now_us else []
        return then.answer(last_us) | {"at": format_time(last_us)}

    def total(self, first_us: int | None, last_us: int | None) -> dict[str, Any]:
        inside = [self.entries[seq - 1] for seq in self.within(first_us, last_us)]
        opening = 0 if first_us is None else self.balance(len(self.within(None, first_us - 1)))
        credits_, debits = ([e.amount for e in inside if e.is_credit is each] for each in (True, False))
        net = sum(credits_) - sum(debits)
        return {
            "wallet_id": self.id,
            "currency": self.currency.name,
            "from": None if first_us is None else format_time(first_us),
            "to": None if last_us is None else format_end(last_us + 1),
            "opening_balance": self.text(opening),
            "credit_total": self.text(sum(credits_)),
            "debit_total": self.text(sum(debits)),
            "credit_count": len(credits_),
            "debit_count": len(debits),
            "net": self.text(net),
            "closing_balance": self.text(opening + net),
            "wallet": self.name,
        }

    def kind(self, seq: int) -> str:
        """What a line of a statement is."""
        entry = self.entries[seq - 1]
        side = "in" if entry.is_credit else "out"
        if entry.reverses is not None:
            return f"reversal_{side}"
        if entry.peer is not None:
            return f"transfer_{side}"
        return "capture" if entry.hold is not None else "credit" if entry.is_credit else "debit"

    def transaction(self, seq: int) -> dict[str, Any]:
        entry = self.entries[seq - 1]
        answer = {
            "id": f"{self.id}-{seq}",
            "wallet_id": self.id,
            "seq": seq,
            "kind": "credit" if entry.is_credit else "debit",
            "is_credit": entry.is_credit,
            "amount": self.text(entry.amount),
            "balance": self.text(self.balance(seq)),
            "currency": self.currency.name,
            "at": format_time(entry.at_us),
            "note": entry.remarks.note,
            "key": entry.key,
        }
        if entry.remarks.meta is not None:
            answer["meta"] = json.loads(entry.remarks.meta)
        if entry.peer is not None:
            answer["transfer"] = "{}-{}".format(*entry.peer)
        if entry.reverses is not None:
            answer["reverses"] = f"{self.id}-{entry.reverses}"
        if entry.hold is not None:
            answer["hold"] = f"{self.id}-h{entry.hold}"
        if entry.forced:
            answer["forced"] = True
        if entry.user_key:
            answer["user_key"] = True
        return answer | {"via": "terminal", "actor": "mira"}

    def placed(self, number: int) -> dict[str, Any]:
        """A hold as it was when it was placed."""
        before, hold = self.holds, self.holds[number - 1]
        self.holds = [hold._replace(captured=0, status="open", ended_us=None)] * number
        try:
            return self.hold(number, hold.created_us)
        finally:
            self.holds = before

    def hold(self, number: int, now_us: int) -> dict[str, Any]:
        hold = self.holds[number - 1].at(now_us)
        return {
            "id": f"{self.id}-h{number}",
            "wallet_id": self.id,
            "status": hold.status,
            "amount": self.text(hold.amount),
            "captured": self.text(hold.captured),
            "held": self.text(hold.amount - hold.captured if hold.status == "open" else 0),
            "currency": self.currency.name,
            "created_at": format_time(hold.created_us),
            "expires_at": format_time(hold.expires_us),
            "ended_at": None if hold.ended_us is None else format_time(hold.ended_us),
            "note": hold.note,
            "key": hold.key,
        }


class Decision(NamedTuple):
    """`word` is `applied`, `replayed` or the code of a refusal; then what was made: a kind, and its place."""

    word: str
    kind: str = ""
    wallet_id: int = 0
    number: int = 0


class Naive:
    """People and wallets, in the order of their ids."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us
        self.facts = Facts()
        self.people: list[Person] = []
        self.accounts: dict[int, Account] = {}

    # Who there is.

    def person(self, typed: str) -> Person | None:
        return next((each for each in self.people if each.e164 == self.facts.number(typed)), None)

    def register(self, typed: str, name: str | None = None, key: str | None = None) -> Decision:
        e164 = self.facts.number(typed)
        prior = next((each for each in self.people if key is not None and each.key == key), None)
        if prior is not None:
            same = name == prior.name and (typed == prior.typed or e164 == prior.e164)
            return Decision("replayed", "user", 0, prior.id) if same else Decision("key_reused")
        if self.person(typed) is not None:
            return Decision("user_exists")
        self.people.append(Person(len(self.people) + 1, typed, e164, name, self.now_us, key))
        return Decision("applied", "user", 0, len(self.people))

    def open(
        self, user_id: int, type_: str, currency: str | None = None, minimum: str | None = None, key: str | None = None
    ) -> Decision:
        if not 1 <= user_id <= len(self.people):
            return Decision("user_not_found")
        own = [each for each in self.accounts.values() if each.user_id == user_id]
        prior = next((each for each in own if key is not None and each.key == key), None)
        unit = prior.currency if prior and currency is None else parse_currency(currency or self.facts.now("currency"))
        floor = None if minimum is None else Decimal(minimum) * 10**unit.exponent
        if floor is not None and floor != int(floor):
            return Decision("invalid_input")
        least = None if floor is None else int(floor)
        if prior is not None:
            same = (prior.type, prior.currency, prior.opening_minimum) == (type_, unit, least)
            return Decision("replayed", "wallet", prior.id) if same else Decision("key_reused")
        if any(each.type == type_ for each in own):
            return Decision("wallet_exists")
        id_ = len(self.accounts) + 1
        self.accounts[id_] = Account(id_, user_id, type_, unit, self.facts, self.now_us, least, key)
        return Decision("applied", "wallet", id_)

    def set_ledger(self, name: str, value: str | None) -> Decision:
        """Change what the ledger says of itself."""
        if name == "timezone" and value is None:
            return Decision("invalid_input")
        said = Facts()
        said.update(self.facts | {name: value})
        if name in ("currency", "minimum_balance"):
            digits = parse_currency(said.now("currency")).exponent
            if (least := Decimal(said.now("minimum_balance")) * 10**digits) != int(least):
                return Decision("invalid_input")
        self.facts[name] = value
        return Decision("applied", "ledger")

    # What happens in wallets.

    def decide(self, command: Single) -> Decision:
        """What comes of a command, having done it."""
        rules: dict[type, Callable[[Any], Decision]] = {
            Post: self.post,
            Transfer: self.transfer,
            Reverse: self.reverse,
            PlaceHold: self.place,
            CaptureHold: self.capture,
            VoidHold: self.void,
            SetStatus: self.set_status,
            SetLimits: self.set_limits,
        }
        return rules[type(command)](command)

    def decide_together(self, commands: Sequence[Single]) -> tuple[list[Decision], int | None]:
        """A group: what comes of each, or the refusal alone and where it stands, with nothing done."""
        before = self.kept()
        decisions: list[Decision] = []
        for index, command in enumerate(commands):
            decision = self.decide(command)
            if not decision.kind:
                self.accounts = before
                return [decision], index
            decisions.append(decision)
        return decisions, None

    def kept(self) -> dict[int, Account]:
        """All wallets as they are now, to go back to."""
        return copy.deepcopy(self.accounts, {id(self.facts): self.facts})

    def post(self, c: Post) -> Decision:
        account = self.accounts.get(c.wallet_id)
        if account is None:
            return Decision("wallet_not_found")
        used = self._used(account, c.key, lambda e: self._plain(e, c), user_key=c.user_key)
        if used is not None:
            return used
        if account.status != "active":
            return Decision("wallet_not_active")
        at_us = max(self.now_us, account.last_us()) if c.at_us is None else c.at_us
        if c.at_us is not None and c.at_us > self.now_us:
            return Decision("invalid_input")
        if at_us < account.last_us():
            return Decision("time_conflict")
        held = account.held(self.now_us)
        of_day = account.held(self.now_us, self.facts.date(at_us))
        debit_refused = account.debit_refused(c.amount, at_us, held, of_day)
        wrong = account.credit_refused(c.amount) if c.is_credit else debit_refused
        if wrong is not None:
            return Decision(wrong)
        entry = Entry(c.is_credit, c.amount, at_us, c.remarks, c.key, user_key=c.user_key)
        return Decision("applied", "transaction", *account.add(entry, self.now_us))

    @staticmethod
    def _plain(entry: Entry, c: Post) -> bool:
        return entry == Entry(c.is_credit, c.amount, entry.at_us, c.remarks, c.key, user_key=c.user_key) and (
            c.at_us is None or c.at_us == entry.at_us
        )

    def transfer(self, c: Transfer) -> Decision:
        source, target = self.accounts.get(c.source_id), self.accounts.get(c.target_id)
        if source is None or target is None:
            return Decision("wallet_not_found")
        if source is target:
            return Decision("invalid_input")

        def same(entry: Entry) -> bool:
            to = entry.peer is not None and entry.peer[0] == target.id and entry.reverses is None
            return to and (entry.amount, entry.remarks) == (c.amount, c.remarks)

        used = self._used(source, c.key, same, user_key=c.user_key)
        if used is not None:
            return used
        if source.status != "active" or target.status != "active":
            return Decision("wallet_not_active")
        if source.currency != target.currency:
            return Decision("invalid_input")
        at_us = max(self.now_us, source.last_us(), target.last_us())
        wrong = source.debit_refused(c.amount, at_us, source.held(self.now_us)) or target.credit_refused(c.amount)
        if wrong is not None:
            return Decision(wrong)
        there = target.id, len(target.entries) + 1
        here = source.add(Entry(False, c.amount, at_us, c.remarks, c.key, there, user_key=c.user_key), self.now_us)
        target.add(Entry(True, c.amount, at_us, c.remarks, None, here), self.now_us)
        return Decision("applied", "transaction", *here)

    def reverse(self, c: Reverse) -> Decision:
        account = self.accounts.get(c.wallet_id)
        if account is None or not 1 <= c.seq <= len(account.entries):
            return Decision("transaction_not_found")
        original = account.entries[c.seq - 1]
        sides = [(account, c.seq, not original.is_credit)]
        if original.peer is not None:
            sides.append((self.accounts[original.peer[0]], original.peer[1], original.is_credit))

        def same(e: Entry) -> bool:
            return (e.reverses, e.remarks, e.forced) == (c.seq, c.remarks, c.force) and e.took(c.amount)

        used = self._used(account, c.key, same)
        if used is not None:
            return used
        if any(side.status != "active" for side, _, _ in sides):
            return Decision("wallet_not_active")
        if original.reverses is not None:
            return Decision("not_reversible")
        left = original.amount - account.reversed(c.seq)
        amount = left if c.amount is None else c.amount
        if amount > left or not left:
            return Decision("reversal_exceeds_original")
        at_us = max(self.now_us, *(side.last_us() for side, _, _ in sides))
        for side, _, is_credit in sides:
            held = side.held(self.now_us)
            wrong = side.credit_refused(amount) if is_credit else side.debit_refused(amount, at_us, held)
            if wrong is not None and not c.force:
                return Decision(wrong)
        places = [(side.id, len(side.entries) + 1) for side, _, _ in sides]
        peers = [None] if len(sides) == 1 else [places[1], places[0]]
        keys = [c.key, None]
        for (side, seq, is_credit), peer, key in zip(sides, peers, keys, strict=False):
            entry = Entry(is_credit, amount, at_us, c.remarks, key, peer, seq, None, c.force)
            side.add(entry._replace(took_all=amount == left), self.now_us)
        return Decision("applied", "transaction", *places[0])

    def place(self, c: PlaceHold) -> Decision:
        account = self.accounts.get(c.wallet_id)
        if account is None:
            return Decision("wallet_not_found")

        def same(hold: Kept) -> bool:
            lasts_us = hold.expires_us - hold.created_us
            return (hold.amount, hold.note, lasts_us) == (c.amount, c.note, c.lasts_us)

        used = self._used(account, c.key, same_hold=same)
        if used is not None:
            return used
        if account.status != "active":
            return Decision("wallet_not_active")
        at_us = max(self.now_us, account.last_us())
        wrong = account.debit_refused(c.amount, at_us, account.held(self.now_us))
        if wrong is not None:
            return Decision(wrong)
        account.note(self.now_us)
        account.holds.append(Kept(c.amount, 0, "open", at_us, at_us + c.lasts_us, None, c.note, c.key))
        return Decision("applied", "hold", account.id, len(account.holds))

    def capture(self, c: CaptureHold) -> Decision:
        account = self.accounts.get(c.wallet_id)
        if account is None or not 1 <= c.number <= len(account.holds):
            return Decision("hold_not_found")

        def same(e: Entry) -> bool:
            released = e.took_all or e.kept == c.keep
            return (e.hold, e.remarks) == (c.number, c.remarks) and e.took(c.amount) and released

        used = self._used(account, c.key, same)
        if used is not None:
            return used
        if account.status != "active":
            return Decision("wallet_not_active")
        hold = account.holds[c.number - 1]
        at_us = max(self.now_us, account.last_us(), hold.created_us)
        hold = hold.at(self.now_us)
        if hold.status != "open":
            return Decision("hold_not_open")
        left = hold.amount - hold.captured
        amount = left if c.amount is None else c.amount
        if amount > left:
            return Decision("capture_exceeds_hold")
        wrong = account.funds_refused(amount)
        if wrong is not None:
            return Decision(wrong)
        hold = hold._replace(captured=hold.captured + amount)
        if amount == left or not c.keep:
            hold = hold._replace(status="captured", ended_us=at_us)
        account.holds[c.number - 1] = hold
        entry = Entry(
            False, amount, at_us, c.remarks, c.key, None, None, c.number, False, False, amount == left, c.keep
        )
        return Decision("applied", "transaction", *account.add(entry, self.now_us))

    def void(self, c: VoidHold) -> Decision:
        account = self.accounts.get(c.wallet_id)
        if account is None or not 1 <= c.number <= len(account.holds):
            return Decision("hold_not_found")
        if account.status == "closed":
            return Decision("wallet_not_active")
        hold = account.holds[c.number - 1]
        at_us = max(self.now_us, account.last_us(), hold.created_us)
        hold = hold.at(self.now_us)
        if hold.status != "open":
            return Decision("hold_not_open")
        account.holds[c.number - 1] = hold._replace(status="voided", ended_us=at_us)
        account.note(self.now_us)
        return Decision("applied", "hold", account.id, c.number)

    def set_status(self, c: SetStatus) -> Decision:
        account = self.accounts.get(c.wallet_id)
        if account is None:
            return Decision("wallet_not_found")
        if account.status == c.status:
            return Decision("applied", "wallet", account.id)
        if account.status == "closed":
            return Decision("wallet_not_active")
        if c.status == "closed" and (account.balance() or account.held(self.now_us)):
            return Decision("wallet_not_empty")
        account.status = c.status
        account.note(self.now_us)
        return Decision("applied", "wallet", account.id)

    def set_limits(self, c: SetLimits) -> Decision:
        account = self.accounts.get(c.wallet_id)
        if account is None:
            return Decision("wallet_not_found")
        if account.status == "closed":
            return Decision("wallet_not_active")
        minimum = account.minimum if c.own_minimum is SAME else c.own_minimum
        maximum = account.maximum if c.maximum is SAME else c.maximum
        before, account.minimum = account.minimum, minimum if isinstance(minimum, int) else None
        if isinstance(maximum, int) and maximum < account.floor():
            account.minimum = before
            return Decision("invalid_input")
        account.maximum = maximum if isinstance(maximum, int) else None
        account.daily = account.daily if c.daily_debit is SAME else c.daily_debit
        return Decision("applied", "wallet", account.id)

    def _used(
        self,
        account: Account,
        key: str | None,
        same_entry: Callable[[Entry], bool] = lambda _: False,
        same_hold: Callable[[Kept], bool] = lambda _: False,
        *,
        user_key: bool = False,
    ) -> Decision | None:
        """What comes of a key that something of the wallet bears already."""
        if key is None:
            return None
        for seq, entry in enumerate(account.entries, 1):
            if entry.key == key and entry.user_key == user_key:
                same = same_entry(entry)
                return Decision("replayed", "transaction", account.id, seq) if same else Decision("key_reused")
        for number, hold in enumerate(account.holds, 1):
            if hold.key == key and not user_key:
                same = same_hold(hold)
                return Decision("replayed", "hold", account.id, number) if same else Decision("key_reused")
        return None
