"""The machine that asks a ledger and the naive one (naive.py) for the same: each answer and each refusal is compared.

It asks for transfers, holds, reversals, limits and the life of a wallet: one by one as people do, through the use cases
and in texts; several in one batch as a server does; or as a group that is carried out whole or not at all.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from support.engines import Engine
from support.naive import Account, Decision, Entry, Kept, Naive
from wallet_cli import settings as wallet_settings
from wallet_cli.domain.commands import (
    SAME,
    AppliedAtomic,
    Atomic,
    CaptureHold,
    Command,
    PlaceHold,
    Post,
    Refusal,
    Replayed,
    Result,
    Reverse,
    SetLimits,
    SetStatus,
    Single,
    Transfer,
    VoidHold,
)
from wallet_cli.domain.ids import HoldId, OwnedWallet, TransactionId, WalletRef, parse_new_wallet
from wallet_cli.domain.model import Hold, Transaction
from wallet_cli.domain.money import format_minor
from wallet_cli.domain.period import DAY_US, format_time
from wallet_cli.domain.remarks import Remarks
from wallet_cli.errors import WalletError
from wallet_cli.operations import holds, ledgers, transactions, users, verification, wallets
from wallet_cli.operations.context import Ledger, open_ledger
from wallet_cli.operations.transactions import Wanted

SECOND_US = 1_000_000
# Three seconds before a midnight, UTC.
START_US = 1_795_341_600_000_000 // DAY_US * DAY_US + DAY_US - 3 * SECOND_US
TYPES = {"main": "INR", "savings": "INR", "yen": "JPY"}

BOUNDED = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)
HUNT = settings(BOUNDED, max_examples=4, derandomize=False, phases=[Phase.generate], report_multiple_bugs=False)
"""A few examples from each seed: many short runs meet a fault sooner than one long run."""

HUNTS = 400
"""Seeds to try before a fault counts as one that is not found."""

wallet_ids = st.sampled_from([1, 1, 1, 2, 2, 3])
amounts = st.integers(1, 40)
parts = st.none() | st.integers(1, 40)
notes = st.sampled_from([None, None, "", "tea", "TEA 100%", "a_b"])
keys = st.none() | st.none() | st.sampled_from("abcdef")
metas = st.sampled_from([None, None, '{"a":"1"}', '{"a":"2"}'])
remarks = st.builds(Remarks, notes, metas)
seconds = st.sampled_from([1, 1, 2, 60])
numbers = st.integers(1, 6)
limits = st.sampled_from([SAME, SAME, None, 0, 5, 20, 60])

posts = st.builds(
    Post,
    wallet_ids,
    st.sampled_from([True, True, False]),
    amounts,
    remarks,
    keys,
    st.none(),
    st.booleans(),
    st.just(False),
)
transfers = st.builds(Transfer, wallet_ids, wallet_ids, amounts, remarks, keys, st.booleans())
reverses = st.builds(
    Reverse, wallet_ids, st.integers(1, 12), parts, remarks, keys, st.sampled_from([False, False, True])
)
places = st.builds(PlaceHold, wallet_ids, amounts, seconds.map(lambda s: s * SECOND_US), notes, keys)
captures = st.builds(CaptureHold, wallet_ids, numbers, parts, st.booleans(), notes.map(Remarks), keys)
voids = st.builds(VoidHold, wallet_ids, numbers)
statuses = st.builds(SetStatus, wallet_ids, st.sampled_from(["active", "active", "active", "frozen", "closed"]))
limitings = st.builds(SetLimits, wallet_ids, st.sampled_from([SAME, SAME, None, 0, 5, -30]), limits, limits)
commands = st.one_of(posts, posts, posts, transfers, reverses, places, captures, captures, voids, limitings)


BEFORE: tuple[Single, ...] = (
    Post(1, True, 60, Remarks("tea", '{"a":"1"}'), "a", None),
    Post(2, True, 25, Remarks("TEA 100%")),
    Post(3, True, 40, Remarks("a_b")),
    PlaceHold(1, 20, 60 * SECOND_US, key="b"),
    PlaceHold(1, 5, SECOND_US),
    CaptureHold(1, 1, 5, keep=True),
    Transfer(1, 2, 10, key="c"),
    Reverse(2, 2, 3),
)
"""What there is when the machine starts: a little of everything."""


def outcome(call: Any) -> Any:
    """An answer, or the code of the error that stands in for it. What is no refusal is not caught."""
    try:
        return call()
    except WalletError as error:
        if error.code in ("storage_error", "internal_error", "busy"):
            raise
        return error.code


class Machine(RuleBasedStateMachine):
    """A ledger and the naive one, and how both are asked; what is asked of them, those say that build on it."""

    engine: ClassVar[Engine]
    """What its ledgers are kept in."""

    @classmethod
    def on(cls, engine: Engine) -> type[Machine]:
        return type(cls.__name__, (cls,), {"engine": engine})

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        address = self.stack.enter_context(self.engine.lent())
        given = wallet_settings.load({"db": str(address), "timezone": "UTC"}, {})
        self.ledger: Ledger = self.stack.enter_context(open_ledger(given, lambda _: None))
        self.model = Naive(START_US)
        self.ledger.executor.clock = lambda: self.model.now_us
        ledgers.change(self.ledger, "timezone", "UTC")
        self.ledger.run(users.register(self.ledger, "9886977540"), "register")
        self.model.register("9886977540")
        for type_, currency in TYPES.items():
            self.ledger.run(wallets.create(self.ledger, parse_new_wallet(f"1/{type_}"), currency), "create")
            self.model.open(1, type_, currency)

    def teardown(self) -> None:
        self.stack.close()

    @initialize()
    def a_little_of_everything(self) -> None:
        for command in BEFORE:
            self.ask(command)

    @rule(step=st.sampled_from([0, 1, SECOND_US - 1, SECOND_US, SECOND_US, 2 * SECOND_US, -SECOND_US, DAY_US]))
    def tick(self, step: int) -> None:
        """Time goes on, over expiries and midnights; sometimes somebody sets the clock back."""
        self.model.now_us += step

    def ask(self, command: Single) -> None:
        """As people do: through the use cases, in texts. A key of a user's goes as a server sends it."""
        if isinstance(command, Post | Transfer) and command.user_key:
            self.several_in_order([command])
            return
        known = self.model.accounts[command.wallet_id if not isinstance(command, Transfer) else command.source_id]
        decision = self.model.decide(command)
        answer = outcome(lambda: self.call(command, known))
        if not decision.kind:
            assert answer == decision.word, command
        else:
            self.compare(command, decision, answer)

    def ref(self, wallet_id: int) -> WalletRef:
        """A wallet as somebody names it."""
        return OwnedWallet(wallet_id, self.model.accounts[wallet_id].user_id)

    def time(self, at_us: int) -> str:
        """A moment as somebody writes it."""
        return format_time(at_us)

    def call(self, command: Single, account: Account) -> Any:
        ledger = self.ledger

        def text(minor: Any) -> str | None:
            return minor if minor is None else format_minor(minor, account.currency)

        def more(*names: str) -> dict[str, Any]:
            return {name: getattr(command, name) for name in names}

        match command:
            case Post():
                at = None if command.at_us is None else self.time(command.at_us)
                wallet, amount = self.ref(command.wallet_id), format_minor(command.amount, account.currency)
                return ledger.run(
                    transactions.add(ledger, wallet, amount, at=at, **more("is_credit", "remarks", "key")),
                    "tx add",
                )
            case Transfer():
                source, target = self.ref(command.source_id), self.ref(command.target_id)
                amount = format_minor(command.amount, account.currency)
                return ledger.run(
                    transactions.transfer(ledger, source, target, amount, **more("remarks", "key")), "transfer"
                )
            case Reverse():
                id_ = TransactionId(command.wallet_id, command.seq)
                return ledger.run(
                    transactions.reverse(ledger, id_, text(command.amount), **more("remarks", "key", "force")),
                    "tx reverse",
                )
            case PlaceHold():
                wallet, amount = self.ref(command.wallet_id), format_minor(command.amount, account.currency)
                expires = f"{command.lasts_us // SECOND_US}s"
                return ledger.run(holds.add(ledger, wallet, amount, expires=expires, **more("note", "key")), "hold add")
            case CaptureHold():
                hold = HoldId(command.wallet_id, command.number)
                return ledger.run(
                    holds.capture(ledger, hold, text(command.amount), note=command.remarks.note, **more("keep", "key")),
                    "hold capture",
                )
            case VoidHold():
                return ledger.run(holds.void(ledger, HoldId(*command)), "hold void")
            case SetStatus():
                return ledger.run(wallets.set_status(ledger, self.ref(command.wallet_id), command.status), "status")
            case SetLimits():
                given = ["none" if each is None else None if each is SAME else text(each) for each in command[1:]]
                return ledger.run(wallets.set_limits(ledger, self.ref(command.wallet_id), *given), "limits")
        raise AssertionError(command)

    def compare(self, command: Single, decision: Decision, answer: dict[str, Any]) -> None:
        account = self.model.accounts[decision.wallet_id]
        again = {"replayed": True} if decision.word == "replayed" else {}
        if decision.kind == "wallet":
            assert answer == account.answer(self.model.now_us), command
        elif decision.kind == "hold" and again:
            assert answer == account.placed(decision.number) | again, command
        elif decision.kind == "hold":
            assert answer == account.hold(decision.number, self.model.now_us) | again, command
        elif isinstance(command, Transfer):
            debit = account.transaction(decision.number)
            peer = account.entries[decision.number - 1].peer
            assert peer is not None
            credit = self.model.accounts[peer[0]].transaction(peer[1])
            assert answer == {"id": debit["id"], "debit": debit, "credit": credit} | again, command
        else:
            assert answer == account.transaction(decision.number) | again, command

    def several_in_order(self, batch: list[Single]) -> None:
        decisions = [self.model.decide(command) for command in batch]
        results = self.ledger.executor.run(batch, "test")
        assert [self.told(result) for result in results] == decisions, batch

    @staticmethod
    def told(result: Result) -> Decision:
        if isinstance(result, Refusal):
            return Decision(result.error.code)
        assert not isinstance(result, AppliedAtomic)
        word, made = "replayed" if isinstance(result, Replayed) else "applied", result.made
        if isinstance(made, Transaction):
            return Decision(word, "transaction", made.wallet_id, made.seq)
        if isinstance(made, Hold):
            return Decision(word, "hold", made.wallet_id, made.number)
        return Decision(word, "wallet", made.id)  # type: ignore[union-attr]

    @invariant()
    def every_wallet_is_as_it_should_be(self) -> None:
        answers = list(wallets.listed(self.ledger).rest(None))
        assert answers == [account.answer(self.model.now_us) for account in self.model.accounts.values()]

    @rule()
    def verify(self) -> None:
        count = sum(len(account.entries) for account in self.model.accounts.values())
        assert verification.verify(self.ledger) == {
            "ok": True,
            "wallets": len(self.model.accounts),
            "transactions": count,
        }


class BusinessMachine(Machine):
    """What a business does in three wallets of one user."""

    @rule(command=posts, back=st.none() | st.integers(-1, 3))
    def post(self, command: Post, back: int | None) -> None:
        """Now, or at a time that is given, which may lie in the day before."""
        at_us = None if back is None else self.model.now_us - back * SECOND_US
        self.ask(command._replace(at_us=at_us))

    @rule(command=transfers)
    def transfer(self, command: Transfer) -> None:
        self.ask(command)

    @rule(command=reverses)
    def reverse(self, command: Reverse) -> None:
        self.ask(command)

    @rule(command=places)
    def place(self, command: PlaceHold) -> None:
        self.ask(command)

    @rule(command=captures)
    def capture(self, command: CaptureHold) -> None:
        self.ask(command)

    @rule(command=voids)
    def void(self, command: VoidHold) -> None:
        self.ask(command)

    @rule(command=statuses)
    def set_status(self, command: SetStatus) -> None:
        self.ask(command)

    @rule(command=limitings)
    def set_limits(self, command: SetLimits) -> None:
        self.ask(command)

    @rule(data=st.data(), extra=st.sampled_from([0, 0, 1]), by=st.sampled_from(["debit", "hold", "transfer"]))
    def use_it_all(self, data: st.DataObject, extra: int, by: str) -> None:
        """To the last unit that is available, or one further."""
        account = self.model.accounts[data.draw(wallet_ids)]
        amount = account.free(self.model.now_us) + extra
        if amount > 0:
            self.ask(
                {
                    "debit": Post(account.id, False, amount),
                    "hold": PlaceHold(account.id, amount, SECOND_US),
                    "transfer": Transfer(account.id, 3 - account.id if account.id < 3 else 1, amount),
                }[by]
            )

    @rule(data=st.data(), extra=st.sampled_from([0, 0, 1]), force=st.booleans())
    def take_all_of_it_back(self, data: st.DataObject, extra: int, force: bool) -> None:
        """What is left of a transaction, or one unit more."""
        account = self.model.accounts[data.draw(wallet_ids)]
        seq = data.draw(st.integers(1, len(account.entries)))
        left = account.entries[seq - 1].amount - account.reversed(seq) + extra
        if left > 0:
            self.ask(Reverse(account.id, seq, left, force=force))

    @precondition(lambda self: self.open_holds())
    @rule(data=st.data(), part=parts, keep=st.booleans(), void=st.booleans())
    def end_an_open_hold(self, data: st.DataObject, part: int | None, keep: bool, void: bool) -> None:
        place = data.draw(st.sampled_from(self.open_holds()))
        self.ask(VoidHold(*place) if void else CaptureHold(*place, part, keep))

    @precondition(lambda self: self.open_holds())
    @rule(data=st.data(), early_us=st.sampled_from([0, 0, 1]), by=st.sampled_from(["capture", "void", "debit"]))
    def wait_for_a_hold_to_expire(self, data: st.DataObject, early_us: int, by: str) -> None:
        """To the microsecond, or one less; and then use it, or the money that it kept."""
        wallet_id, number = data.draw(st.sampled_from(self.open_holds()))
        account = self.model.accounts[wallet_id]
        self.model.now_us = max(self.model.now_us, account.holds[number - 1].expires_us - early_us)
        if by == "debit":
            self.ask(Post(wallet_id, False, max(1, account.free(self.model.now_us))))
        else:
            self.ask(VoidHold(wallet_id, number) if by == "void" else CaptureHold(wallet_id, number))

    @rule(place=places, back_us=st.integers(1, SECOND_US), part=parts, keep=st.booleans(), void=st.booleans())
    def end_a_hold_by_a_clock_that_is_behind(
        self, place: PlaceHold, back_us: int, part: int | None, keep: bool, void: bool
    ) -> None:
        """Behind that of whoever placed it a second after all else."""
        self.model.now_us += SECOND_US
        self.ask(place)
        self.model.now_us -= back_us
        newest = len(self.model.accounts[place.wallet_id].holds)
        self.ask(VoidHold(place.wallet_id, newest) if void else CaptureHold(place.wallet_id, newest, part, keep))

    def open_holds(self) -> list[tuple[int, int]]:
        return [
            (account.id, number)
            for account in self.model.accounts.values()
            for number, hold in enumerate(account.holds, 1)
            if hold.status == "open"
        ]

    @rule(data=st.data(), empty=st.booleans())
    def close_it_empty_or_nearly_so(self, data: st.DataObject, empty: bool) -> None:
        account = self.model.accounts[data.draw(st.sampled_from([2, 3]))]
        balance = account.balance()
        if empty and balance > 0:
            self.ask(Post(account.id, False, balance))
        self.ask(SetStatus(account.id, "closed"))

    @rule(data=st.data(), room=st.integers(1, 9), extra=st.sampled_from([0, 1]))
    def fill_it_up(self, data: st.DataObject, room: int, extra: int) -> None:
        """To the last unit that its maximum lets in, or one further."""
        account = self.model.accounts[data.draw(wallet_ids)]
        self.ask(SetLimits(account.id, maximum=account.balance() + room))
        self.ask(Post(account.id, True, room + extra))

    @rule(wallet_id=st.sampled_from([2, 3]))
    def close_it_with_a_hold_alone(self, wallet_id: int) -> None:
        """An overdraft can be held where there is no money."""
        self.ask(SetLimits(wallet_id, -60, None, None))
        balance = self.model.accounts[wallet_id].balance()
        if balance:
            self.ask(Post(wallet_id, balance < 0, abs(balance)))
        self.ask(PlaceHold(wallet_id, 5, SECOND_US))
        self.ask(SetStatus(wallet_id, "closed"))

    @rule(data=st.data(), change=st.sampled_from([None, "amount", "note", "meta", "kind"]))
    def use_a_key_again(self, data: st.DataObject, change: str | None) -> None:
        """For the same request, or for one that differs in one thing."""
        wallet_id, used = data.draw(st.sampled_from(self.keyed()))
        amount = used.amount + (change == "amount")
        if isinstance(used, Kept):
            note = "another" if change == "note" else used.note
            debit, place = (
                Post(wallet_id, False, amount, Remarks(note), used.key),
                PlaceHold(wallet_id, amount, 1, note, used.key),
            )
            same = place._replace(lasts_us=used.expires_us - used.created_us)
            self.ask(debit if change == "kind" else same)
            return
        changes = {"note": {"note": "another"}, "meta": {"meta": '{"b":true}'}}
        remarks = used.remarks._replace(**changes.get(change or "", {}))
        command: Single = Post(wallet_id, used.is_credit, amount, remarks, used.key, user_key=used.user_key)
        place = PlaceHold(wallet_id, amount, 1, remarks.note, used.key)
        if used.reverses is not None:
            command = Reverse(wallet_id, used.reverses, amount, remarks, used.key, used.forced)
        elif used.peer is not None:
            command = Transfer(wallet_id, used.peer[0], amount, remarks, used.key, used.user_key)
        elif used.hold is not None:
            command = CaptureHold(wallet_id, used.hold, amount, False, remarks._replace(meta=None), used.key)
        self.ask(place._replace(lasts_us=SECOND_US) if change == "kind" else command)

    def keyed(self) -> list[tuple[int, Entry | Kept]]:
        accounts = self.model.accounts.values()
        return [(account.id, used) for account in accounts for used in (*account.entries, *account.holds) if used.key]

    @rule(batch=st.lists(commands, min_size=2, max_size=6))
    def several_at_once(self, batch: list[Single]) -> None:
        """As a server does: in one batch, each on what those before it left."""
        self.several_in_order(batch)

    @rule(wallet_id=wallet_ids, amount=st.integers(2, 9))
    def more_than_a_day_takes_in_one_batch(self, wallet_id: int, amount: int) -> None:
        debit = Post(wallet_id, False, amount)
        self.several_in_order([SetLimits(wallet_id, daily_debit=3 * amount - 1), debit, debit, debit])

    @rule(data=st.data(), wallet_id=wallet_ids)
    def more_than_it_was_taken_back_in_one_batch(self, data: st.DataObject, wallet_id: int) -> None:
        account = self.model.accounts[wallet_id]
        seq = data.draw(st.integers(1, len(account.entries)))
        most = account.entries[seq - 1].amount // 2 + 1
        self.several_in_order([Reverse(wallet_id, seq, most, force=True)] * 3)

    @rule(wallet_id=wallet_ids, amount=amounts)
    def a_hold_within_one_batch(self, wallet_id: int, amount: int) -> None:
        number = len(self.model.accounts[wallet_id].holds) + 1
        self.several_in_order(
            [
                Post(wallet_id, True, 2),
                PlaceHold(wallet_id, amount, SECOND_US),
                CaptureHold(wallet_id, number, 1, keep=True),
                PlaceHold(wallet_id, amount, SECOND_US),
                CaptureHold(wallet_id, number),
                VoidHold(wallet_id, number + 1),
            ]
        )

    @rule(group=st.lists(commands, min_size=2, max_size=4), after=commands)
    def all_or_none(self, group: list[Single], after: Single) -> None:
        decisions, index = self.model.decide_together(group)
        batch: list[Command] = [Atomic(tuple(group)), after]
        together, alone = self.ledger.executor.run(batch, "test")
        if index is None:
            assert isinstance(together, AppliedAtomic)
            assert [self.told(result) for result in together.results] == decisions, group
        else:
            assert isinstance(together, Refusal)
            assert (together.error.code, together.error.details["index"]) == (decisions[0].word, index), group
        assert self.told(alone) == self.model.decide(after), batch

    @rule(wallet_id=wallet_ids)
    def every_hold_is_as_it_should_be(self, wallet_id: int) -> None:
        account = self.model.accounts[wallet_id]
        expected = [account.hold(number, self.model.now_us) for number in range(len(account.holds), 0, -1)]
        assert list(holds.listed(self.ledger, self.ref(wallet_id)).rest(None)) == expected

    @rule(data=st.data(), wallet_id=wallet_ids, limit=st.integers(1, 4))
    def find(self, data: st.DataObject, wallet_id: int, limit: int) -> None:
        """By one thing, or by several at once; amounts and keys that there are, or nearly."""
        account, ref = self.model.accounts[wallet_id], self.ref(wallet_id)
        like = data.draw(st.sampled_from(account.entries))
        near = st.sampled_from([like.amount, like.amount, like.amount + 1, max(1, like.amount - 1)])
        filters: dict[str, st.SearchStrategy[Any]] = {
            "kind": st.sampled_from(["credit", "debit", "transfer", "capture", "reversal"]),
            "least": near,
            "most": near,
            "text": st.sampled_from(["", "Tea", "100%", "%", "%", "_", "other"]),
            "key": st.just(like.key),
        }
        names = data.draw(
            st.sampled_from([*([name] for name in filters), ["text"], [], list(filters), ["kind", "least", "most"]])
        )
        drawn = {name: data.draw(filters[name]) for name in names}
        kind, least, most, text, key = (drawn.get(name) for name in filters)
        wanted = Wanted(kind, account.text(least), account.text(most), text, key)
        first = outcome(lambda: transactions.listed(self.ledger, ref, limit=limit, wanted=wanted))
        if least is not None and most is not None and least > most:
            assert first == "invalid_input"
            return
        tests = {
            None: lambda e: True,
            "credit": lambda e: e.is_credit,
            "debit": lambda e: not e.is_credit,
            "transfer": lambda e: e.peer is not None and e.reverses is None,
            "capture": lambda e: e.hold is not None,
            "reversal": lambda e: e.reverses is not None,
        }
        expected = [
            account.transaction(seq)
            for seq, e in reversed(list(enumerate(account.entries, 1)))
            if tests[kind](e)
            and (least is None or e.amount >= least)
            and (most is None or e.amount <= most)
            and (text is None or (e.remarks.note is not None and text.lower() in e.remarks.note.lower()))
            and key in (None, e.key)
        ]
        assert list(transactions.streamed(self.ledger, ref, wanted=wanted)) == expected
        found, page = list(first["transactions"]), first
        while page["next_cursor"] is not None:
            assert len(page["transactions"]) == limit
            page = transactions.listed(self.ledger, ref, limit=limit, cursor=page["next_cursor"], wanted=wanted)
            found += page["transactions"]
        assert found == expected

    @rule(data=st.data(), wallet_id=wallet_ids)
    def show(self, data: st.DataObject, wallet_id: int) -> None:
        account = self.model.accounts[wallet_id]
        seq = data.draw(st.integers(1, len(account.entries) + 1))
        answer = outcome(lambda: transactions.show(self.ledger, TransactionId(wallet_id, seq)))
        if seq > len(account.entries):
            assert answer == "transaction_not_found"
            return
        assert answer == account.transaction(seq) | {
            "reversed": account.text(account.reversed(seq)),
            "reversals": [f"{wallet_id}-{number}" for number in account.reversals(seq)],
        }


def hunt(machine: type[Machine], first: int = 0) -> None:
    """Run a machine from one seed after the other, until one fails."""
    for number in range(first, first + HUNTS):
        run_state_machine_as_test(seed(number)(machine), settings=HUNT)
