"""The rules as tables, without a store: an event a row, its result last.

The book keeps everything in lists and gives the rules all of it, anew, before each event; what an event needs of the
past is added up from the start. A table sets up wallets first,

    wallet ID STATUS MINIMUM [CREDITS [DEBITS]] [max=N] [daily=N] [in=CURRENCY] [used=KEY]

and then has events, each at the time of its turn; `-` stands for what is not given, `=` for a limit that is to stay:

    NOW credit|debit WALLET AMOUNT KEY NOTE AT [META]
    NOW transfer     FROM TO AMOUNT KEY NOTE [META]
    NOW hold         WALLET AMOUNT LASTS KEY NOTE
    NOW capture      HOLD AMOUNT keep|- KEY NOTE
    NOW void         HOLD
    NOW reverse      TRANSACTION AMOUNT force|- KEY NOTE [META]
    NOW status       WALLET STATUS
    NOW limits       WALLET MINIMUM MAXIMUM DAILY
    NOW restore      TRANSACTION credit|debit AMOUNT AT KEY [reverses=N] [hold=N] [peer=W-N]
    NOW put          HOLD AMOUNT CAPTURED STATUS CREATED EXPIRES ENDED KEY

Results are `applied` or `replayed` and what was made, or the code of the refusal (and which limit). Of a transaction:
its id and the balance after it, likewise of the other leg of a transfer, and `forced`; of a hold: its id, status,
amount and what is captured; of a wallet: its id and status. Three further events only look, and change nothing:

    NOW look WALLET      → STATUS BALANCE HELD AVAILABLE, as of that time
    NOW see  HOLD        → STATUS AMOUNT CAPTURED, as of that time
    NOW row  HOLD|WALLET → what is written down of it: STATUS ENDED, or HELD HOLDS
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from wallet_cli.domain import chain
from wallet_cli.domain.address import (
    format_hold_id,
    format_transaction_id,
    parse_hold_id,
    parse_transaction_id,
)
from wallet_cli.domain.commands import (
    SAME,
    Applied,
    AppliedTogether,
    CaptureHold,
    Command,
    PlaceHold,
    Post,
    Refusal,
    RestoreHold,
    RestoreState,
    RestoreTransaction,
    Result,
    Reverse,
    Same,
    SetLimits,
    SetStatus,
    Single,
    Transfer,
    VoidHold,
)
from wallet_cli.domain.model import OPEN, Account, Hold, Policy, Transaction, User, Wallet, available
from wallet_cli.domain.money import MAX_AMOUNT_MINOR, MAX_TOTAL_MINOR, Currency, parse_currency
from wallet_cli.domain.period import DAY_US, day_start_us
from wallet_cli.domain.rules import State, execute
from wallet_cli.domain.rules.holds import status_at

INR = Currency("INR", 2)
RESTORES = (RestoreTransaction, RestoreHold, RestoreState)
"""What the book takes at any time, as if it had been empty when an export began to be read back into it."""
NAMES = {"MAX": MAX_AMOUNT_MINOR, "TOTAL": MAX_TOTAL_MINOR, "DAY": DAY_US, "2DAY": 2 * DAY_US}


def number(text: str) -> int:
    """`12`, `-5`, `MAX`, `MAX+1`, `TOTAL-5`, `DAY-1`, `-DAY+1`"""
    for name, value in NAMES.items():
        for sign, start in ((1, name), (-1, f"-{name}")):
            if text.startswith(start):
                return sign * value + int(text[len(start) :] or 0)
    return int(text)


def given(text: str) -> str | None:
    return None if text == "-" else text


def given_number(text: str) -> int | None:
    return None if text == "-" else number(text)


def limit(text: str) -> int | Same | None:
    return SAME if text == "=" else given_number(text)


def everything(state: State) -> dict[str, Any]:
    return copy.deepcopy(vars(state))


class Book:
    """What a store would hold, in lists."""

    def __init__(self, policy: str = "0") -> None:
        self.policy = Policy(policy, clock_skew_us=DAY_US)
        self.users = [User(1, "1", "+911", None, None, None, 0)]
        self.wallets: dict[int, Wallet] = {}
        self.transactions: dict[int, list[Transaction]] = {}
        self.holds: dict[tuple[int, int], Hold] = {}

    def open(self, wallet: Wallet, *transactions: Transaction) -> None:
        self.wallets[wallet.id] = wallet
        self.transactions[wallet.id] = list(transactions)

    def last(self, wallet_id: int) -> Transaction:
        history = self.transactions[wallet_id]
        return history[-1] if history else chain.unopened(self.wallets[wallet_id])

    def find(self, wallet_id: int, seq: int) -> Transaction:
        return next(each for each in self.transactions[wallet_id] if each.seq == seq)

    def account(self, wallet_id: int, now_us: int) -> Account:
        lapsed = sum(hold.kept for hold in self._lapsed(wallet_id, now_us))
        return Account(self.wallets[wallet_id], self.last(wallet_id), lapsed)

    def load(self, now_us: int) -> State:
        """All that there is, as of a turn at that time."""
        state = State(self.policy, len(self.users) + 1, max(self.wallets, default=0) + 1)
        for user in self.users:
            state.add_user(user)
        for wallet in self.wallets.values():
            self._load_wallet(state, wallet, now_us)
        for hold in self.holds.values():
            state.add_hold(hold)
            if hold.key is not None:
                state.keys[hold.wallet_id, hold.key, False] = hold
        return state

    def _load_wallet(self, state: State, wallet: Wallet, now_us: int) -> None:
        history, last = self.transactions[wallet.id], self.last(wallet.id)
        state.add_wallet(wallet, last)
        for each in history:
            state.history[wallet.id, each.seq] = each
            state.reversed[wallet.id, each.seq] = sum(other.amount for other in history if other.reverses == each.seq)
            if each.key is not None:
                state.keys[wallet.id, each.key, each.user_key] = each
        lapsed = self._lapsed(wallet.id, now_us)
        if lapsed:
            state.lapsed[wallet.id] = lapsed
        day_us = day_start_us(last.at_us)
        state.day_debits[wallet.id] = sum(e.amount for e in history if not e.is_credit and e.at_us < day_us)

    def _lapsed(self, wallet_id: int, now_us: int) -> tuple[Hold, ...]:
        holds = [hold for hold in self.holds.values() if hold.wallet_id == wallet_id]
        return tuple(hold for hold in holds if hold.status == OPEN and hold.expires_at_us <= now_us)

    def carry_out(self, commands: Sequence[Command], now_us: int) -> list[Result]:
        """Decide a batch and write down what it made; what is refused or replayed has to make and change nothing."""
        state = self.load(now_us)
        state.restoring = any(isinstance(command, RESTORES) for command in commands)
        before = everything(state)
        results = execute(state, commands, now_us)
        if not any(isinstance(result, Applied | AppliedTogether) for result in results):
            assert everything(state) == before
        self.write(state)
        return results

    def write(self, state: State) -> None:
        for thing in state.made:
            if isinstance(thing, Transaction):
                self.transactions[thing.wallet_id].append(thing)
            elif isinstance(thing, Wallet):
                self.wallets[thing.id] = thing
                self.transactions.setdefault(thing.id, [])
            elif isinstance(thing, Hold):
                self.holds[thing.wallet_id, thing.number] = thing
            elif isinstance(thing, User):
                self.users.append(thing)

    def told(self, result: Result) -> str:
        if isinstance(result, Refusal):
            return f"{result.error.code} {result.error.details.get('limit', '')}".strip()
        assert not isinstance(result, AppliedTogether)
        word = "applied" if isinstance(result, Applied) else "replayed"
        return f"{word} {self._shown(result.made)}"

    def _shown(self, made: Any) -> str:
        if isinstance(made, Hold):
            return f"{format_hold_id(made.wallet_id, made.number)} {made.status} {made.amount} {made.captured}"
        if isinstance(made, Wallet):
            return f"{made.id} {made.status}"
        assert isinstance(made, Transaction)
        legs = [made]
        if made.peer_wallet_id is not None and made.peer_seq is not None:
            legs.append(self.find(made.peer_wallet_id, made.peer_seq))
        words = [f"{format_transaction_id(leg.wallet_id, leg.seq)} {leg.balance}" for leg in legs]
        return " ".join([*words, "forced"] if made.forced else words)

    def looked(self, words: Sequence[str], now_us: int) -> str:
        what, name = words
        if what == "look":
            account = self.account(int(name), now_us)
            balance, minimum = account.last.balance, self.policy.minimum_of(account.wallet)
            free = available(balance, minimum, account.held)
            return f"{account.wallet.status} {balance} {account.held} {free}"
        if what == "row" and "-" not in name:
            wallet = self.wallets[int(name)]
            return f"{wallet.held} {wallet.holds}"
        hold = self.holds[parse_hold_id(name)]
        if what == "row":
            return f"{hold.status} {'-' if hold.ended_at_us is None else hold.ended_at_us}"
        return f"{status_at(hold, now_us)} {hold.amount} {hold.captured}"


def set_up(book: Book, words: Sequence[str]) -> None:
    """A `wallet` row: with totals, as after a credit 1 and a debit 2 at time 10 that moved them."""
    options = dict(word.split("=") for word in words if "=" in word)
    id_text, status, minimum, *totals = [word for word in words if "=" not in word]
    id_ = int(id_text)
    credits_, debits = [*map(number, totals), 0, 0][:2]
    currency = parse_currency(options.get("in", "INR"))
    wallet = Wallet(id_, 1, f"type{id_}", currency, status, given_number(minimum), 0)
    wallet = wallet._replace(maximum=given_number(options.get("max", "-")))
    wallet = wallet._replace(daily_debit=given_number(options.get("daily", "-")))
    first = Transaction(id_, 1, True, credits_, credits_, 0, 1, 10, None, options.get("used"), bytes(32))
    second = Transaction(id_, 2, False, debits, credits_, debits, 1, 10, None, None, bytes(32))
    book.open(wallet, *[each for each in (first, second) if each.amount])


def _post(kind: str, rest: Sequence[str]) -> Post:
    wallet, amount, key, note, at, *meta = rest
    return Post(
        int(wallet),
        kind == "credit",
        number(amount),
        given(note),
        given(key),
        given_number(at),
        meta[0] if meta else None,
    )


def _transfer(_kind: str, rest: Sequence[str]) -> Transfer:
    source, target, amount, key, note, *meta = rest
    return Transfer(int(source), int(target), number(amount), given(note), given(key), meta[0] if meta else None)


def _hold(_kind: str, rest: Sequence[str]) -> PlaceHold:
    wallet, amount, lasts, key, note = rest
    return PlaceHold(int(wallet), number(amount), number(lasts), given(note), given(key))


def _capture(_kind: str, rest: Sequence[str]) -> CaptureHold:
    hold, amount, keep, key, note = rest
    return CaptureHold(*parse_hold_id(hold), given_number(amount), keep == "keep", given(note), given(key))


def _void(_kind: str, rest: Sequence[str]) -> VoidHold:
    return VoidHold(*parse_hold_id(rest[0]))


def _reverse(_kind: str, rest: Sequence[str]) -> Reverse:
    id_, amount, force, key, note, *meta = rest
    place = parse_transaction_id(id_)
    return Reverse(*place, given_number(amount), given(note), given(key), force == "force", meta[0] if meta else None)


def _status(_kind: str, rest: Sequence[str]) -> SetStatus:
    return SetStatus(int(rest[0]), rest[1])


def _limits(_kind: str, rest: Sequence[str]) -> SetLimits:
    return SetLimits(int(rest[0]), *map(limit, rest[1:]))


def _restore(_kind: str, rest: Sequence[str]) -> RestoreTransaction:
    id_, kind, amount, at, key, *links = rest
    link = dict(word.split("=") for word in links)
    peer = parse_transaction_id(link["peer"]) if "peer" in link else (None, None)
    reverses, hold = given_number(link.get("reverses", "-")), given_number(link.get("hold", "-"))
    return RestoreTransaction(
        *parse_transaction_id(id_), kind == "credit", number(amount), number(at), None, given(key), None, *peer,
        reverses, hold, False,
    )  # fmt: skip


def _put(_kind: str, rest: Sequence[str]) -> RestoreHold:
    id_, amount, captured, status, created, expires, ended, key = rest
    wallet_id, number_ = parse_hold_id(id_)
    times = (number(created), number(expires), given_number(ended))
    return RestoreHold(Hold(wallet_id, number_, number(amount), number(captured), status, *times, None, given(key)))


COMMANDS: dict[str, Callable[[str, Sequence[str]], Single]] = {
    "credit": _post,
    "debit": _post,
    "transfer": _transfer,
    "hold": _hold,
    "capture": _capture,
    "void": _void,
    "reverse": _reverse,
    "status": _status,
    "limits": _limits,
    "restore": _restore,
    "put": _put,
}


def parsed(words: Sequence[str]) -> tuple[Single, int]:
    """The command of an event, and the time of its turn."""
    now, kind, *rest = words
    return COMMANDS[kind](kind, rest), number(now)


def play(table: str, policy: str = "0", book: Book | None = None) -> Book:
    """Play a table, row by row, and compare each result."""
    book = Book(policy) if book is None else book
    for row in table.splitlines():
        event, _, expected = row.partition("→")
        words = event.split()
        if not words or words[0] in ("#", "now"):
            continue
        if words[0] == "wallet":
            set_up(book, words[1:])
        elif words[1] in ("look", "see", "row"):
            assert book.looked(words[1:], number(words[0])) == " ".join(expected.split()), row
        else:
            command, now_us = parsed(words)
            assert book.told(book.carry_out([command], now_us)[0]) == " ".join(expected.split()), row
    return book
