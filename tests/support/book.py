"""The rules as tables, without a store: an event a row, its result last.

The book keeps everything in lists, and before each event the rules are given what they say that it touches, anew; what
that needs of the past is added up from the start. A table sets up wallets first,

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
    NOW register     NUMBER NAME KEY [id=N] [at=N]
    NOW open         USER TYPE CURRENCY MINIMUM KEY [id=N] [at=N]
    NOW admit|revoke|use NAME

Results are `applied` or `replayed` and what was made, or the code of the refusal (and which limit), and, after a colon,
words of its message. Of a transaction: its id and the balance after it, likewise of the other leg of a transfer, and
`forced`; of a hold: its id, status, amount and what is captured; of a wallet: its id and status; of a user: the id; of
an operator: the name. From `clock TIME` on, another clock says that time, whatever the turn's says; from `clock -` on
it says the same. Three further events only look, and change nothing:

    NOW look WALLET      → STATUS BALANCE HELD AVAILABLE, as of that time
    NOW see  HOLD        → STATUS AMOUNT CAPTURED, as of that time
    NOW row  HOLD|WALLET → what is written down of it: STATUS ENDED, or HELD HOLDS
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

from wallet_cli.domain import hash_chain
from wallet_cli.domain.commands import (
    SAME,
    AddApiKey,
    Applied,
    AppliedAtomic,
    CaptureHold,
    Command,
    NoteUse,
    OpenWallet,
    PlaceHold,
    Post,
    Refusal,
    Register,
    RestoreHold,
    RestoreState,
    RestoreTransaction,
    Result,
    Reverse,
    RevokeApiKey,
    Same,
    SetLimits,
    SetStatus,
    Single,
    Transfer,
    VoidHold,
)
from wallet_cli.domain.events import WALLET, Rows, Subject, hashed, of_wallet
from wallet_cli.domain.ids import (
    RESET_KEY,
    format_hold_id,
    format_transaction_id,
    parse_hold_id,
    parse_transaction_id,
)
from wallet_cli.domain.model import (
    OPEN,
    Account,
    ApiKey,
    Event,
    Hold,
    LedgerFacts,
    Policy,
    Transaction,
    User,
    Wallet,
    available,
)
from wallet_cli.domain.money import MAX_AMOUNT_MINOR, MAX_TOTAL_MINOR, Currency, parse_currency
from wallet_cli.domain.period import DAY_US
from wallet_cli.domain.phone import Phone
from wallet_cli.domain.remarks import NOTHING, Remarks
from wallet_cli.domain.rules import State, execute
from wallet_cli.domain.rules.holds import status_at
from wallet_cli.domain.rules.rule import Place
from wallet_cli.storage.prefetch import Loader, Prefetch

T = TypeVar("T")
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
    """All but who gave the last command, and when."""
    return copy.deepcopy({name: value for name, value in vars(state).items() if name not in ("actor", "now_us")})


def _only(found: Iterable[T]) -> T | None:
    return next(iter(found), None)


class Book:
    """What a store would hold, in lists. What the rules are given of it is what they say that a batch touches."""

    def __init__(self, policy: str = "0") -> None:
        self.policy = Policy(policy, clock_skew_us=DAY_US)
        self.users = [User(1, "1", "+911", None, None, None, 0)]
        self.wallets: dict[int, Wallet] = {}
        self.transactions: dict[int, list[Transaction]] = {}
        self.holds: dict[Place, Hold] = {}
        self.operators: dict[str, ApiKey] = {}
        self.events: dict[Subject, list[Event]] = {}
        self.restoring = False
        self.server_us: int | None = 0
        self.clock_us: int | None = None
        """What another clock says; None where it says what the turn's does."""

    def open(self, wallet: Wallet, *transactions: Transaction) -> None:
        self.wallets[wallet.id] = wallet
        self.transactions[wallet.id] = list(transactions)

    def last(self, wallet_id: int) -> Transaction:
        history = self.transactions[wallet_id]
        return history[-1] if history else hash_chain.unopened(self.wallets[wallet_id])

    def account(self, wallet_id: int, now_us: int) -> Account:
        expired = sum(hold.remaining for hold in self.expired_holds(wallet_id, now_us))
        history = self.transactions[wallet_id]
        before = history[-2].hash if len(history) > 1 else None
        return Account(self.wallets[wallet_id], self.last(wallet_id), expired, before)

    # What is asked of a store.

    def lock(
        self, wallet_ids: Sequence[int], now_us: int, *, creating: bool, recorded: Iterable[Subject]
    ) -> tuple[list[Account], list[Event]]:
        accounts = [self.account(id_, now_us) for id_ in wallet_ids if id_ in self.wallets]
        return accounts, self.last_events(recorded)

    def facts_of_turn(self) -> LedgerFacts:
        return LedgerFacts()

    def written_us(self) -> int:
        raise NotImplementedError

    def first_wrong_at_all(self) -> None:
        return None

    def first_unlike_its_events(self) -> None:
        return None

    def has_events(self) -> bool:
        return any(kind for kind, _ in self.events)

    def rows_of_events(self) -> list[tuple[Subject, Rows]]:
        return [((WALLET, wallet.id), {"wallet": of_wallet(wallet)}) for wallet in self.wallets.values()]

    def last_events(self, subjects: Iterable[Subject]) -> list[Event]:
        return [self.events[subject][-1] for subject in subjects if subject in self.events]

    def event(self, kind: int, subject_id: int, number: int) -> Event | None:
        return _only(each for each in self.events.get((kind, subject_id), ()) if each.number == number)

    def next_user_id(self) -> int:
        return len(self.users) + 1

    def next_wallet_id(self) -> int:
        return max(self.wallets, default=0) + 1

    def user_by_id(self, id_: int) -> User | None:
        return _only(user for user in self.users if user.id == id_)

    def user_by_e164(self, e164: str) -> User | None:
        return _only(user for user in self.users if user.phone_e164 == e164)

    def user_by_key(self, key: str) -> User | None:
        return _only(user for user in self.users if user.key == key)

    def wallet_by_key(self, user_id: int, key: str) -> Wallet | None:
        return _only(wallet for wallet in self.wallets.values() if (wallet.user_id, wallet.key) == (user_id, key))

    def account_of(self, user_id: int, type_: str, now_us: int) -> Account | None:
        owned = [wallet for wallet in self.wallets.values() if (wallet.user_id, wallet.type) == (user_id, type_)]
        return _only(self.account(wallet.id, now_us) for wallet in owned)

    def operator_by_name(self, name: str) -> ApiKey | None:
        return self.operators.get(name)

    def keyed(self, pairs: Sequence[tuple[int, str]]) -> list[Transaction]:
        return [each for id_, key in pairs for each in self.transactions.get(id_, ()) if each.key == key]

    def transaction(self, wallet_id: int, seq: int) -> Transaction | None:
        return _only(each for each in self.transactions.get(wallet_id, ()) if each.seq == seq)

    def reversed_amount(self, wallet_id: int, seq: int, *, before: int = 10**18) -> int:
        return sum(each.amount for each in self.transactions[wallet_id] if each.reverses == seq and each.seq < before)

    def captured_before(self, capture: Transaction, hold: Hold, last: int) -> int:
        earlier = self.transactions[capture.wallet_id][: capture.seq - 1]
        return sum(each.amount for each in earlier if each.hold == hold.number)

    def last_seq_before(self, wallet_id: int, last: int, moment_us: int) -> int:
        return sum(each.at_us < moment_us for each in self.transactions[wallet_id][:last])

    def reset_keys(self, wallet_id: int) -> int:
        return sum((each.key or "").startswith(RESET_KEY) for each in self.transactions[wallet_id])

    def hold(self, wallet_id: int, number: int) -> Hold | None:
        return self.holds.get((wallet_id, number))

    def hold_by_key(self, wallet_id: int, key: str) -> Hold | None:
        return _only(hold for hold in self.holds.values() if (hold.wallet_id, hold.key) == (wallet_id, key))

    def expired_holds(self, wallet_id: int, now_us: int) -> list[Hold]:
        holds = [hold for hold in self.holds.values() if hold.wallet_id == wallet_id]
        return [hold for hold in holds if hold.status == OPEN and hold.expires_at_us <= now_us]

    def open_holds(self, wallet_id: int, since_us: int) -> list[Hold]:
        holds = [hold for hold in self.holds.values() if hold.wallet_id == wallet_id]
        return [hold for hold in holds if hold.status == OPEN and hold.created_at_us >= since_us]

    def load(self, commands: Sequence[Command], now_us: int) -> State:
        """What the commands touch, as of a turn at that time."""
        self.restoring = any(isinstance(command, RESTORES) for command in commands)
        self.server_us = now_us if self.clock_us is None else self.clock_us
        return Loader(cast("Prefetch", self), State(self.policy), now_us).load(commands)

    def carry_out(self, commands: Sequence[Command], now_us: int) -> list[Result]:
        """Decide a batch and write down what it made; what is refused or replayed has to make and change nothing."""
        state = self.load(commands, now_us)
        before = everything(state)
        results = execute(state, commands, now_us)
        if not any(isinstance(result, Applied | AppliedAtomic) for result in results):
            assert everything(state) == before
        self.write(state)
        return results

    def write(self, state: State) -> None:
        for thing in state.changes:
            if isinstance(thing, Transaction):
                self.transactions[thing.wallet_id].append(thing)
            elif isinstance(thing, Wallet):
                self.wallets[thing.id] = thing
                self.transactions.setdefault(thing.id, [])
            elif isinstance(thing, Hold):
                self.holds[thing.wallet_id, thing.number] = thing
            elif isinstance(thing, User):
                self.users.append(thing)
            elif isinstance(thing, ApiKey):
                self.operators[thing.name] = thing
            elif isinstance(thing, Event):
                chain = self.events.setdefault((thing.kind, thing.subject_id), [])
                assert thing == hashed(thing, chain[-1] if chain else None)
                assert thing.number == len(chain) + 1
                chain.append(thing)

    def told(self, result: Result) -> str:
        if isinstance(result, Refusal):
            return f"{result.error.code} {result.error.details.get('limit', '')}".strip()
        assert not isinstance(result, AppliedAtomic)
        word = "applied" if isinstance(result, Applied) else "replayed"
        return f"{word} {self._shown(result.made)}"

    def _shown(self, made: Any) -> str:
        if isinstance(made, Hold):
            return f"{format_hold_id(made.wallet_id, made.number)} {made.status} {made.amount} {made.captured}"
        if isinstance(made, Wallet):
            return f"{made.id} {made.status}"
        if isinstance(made, User | ApiKey):
            return str(made[0])
        assert isinstance(made, Transaction)
        legs = [made, *self.transactions[made.peer[0]][made.peer[1] - 1 : made.peer[1]]] if made.peer else [made]
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
            return f"{wallet.held} {wallet.hold_count}"
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
    state = State(Policy())
    state.add_wallet(wallet, hash_chain.unopened(wallet))
    for amount, is_credit, key in ((credits_, True, options.get("used")), (debits, False, None)):
        if amount:
            state.append(state.last[id_], is_credit, amount, 10, NOTHING, key)
    book.open(wallet, *cast("list[Transaction]", state.changes))


def _post(kind: str, rest: Sequence[str]) -> Post:
    wallet, amount, key, note, at, *meta = rest
    return Post(
        int(wallet), kind == "credit", number(amount), Remarks(given(note), *meta), given(key), given_number(at)
    )


def _transfer(_kind: str, rest: Sequence[str]) -> Transfer:
    source, target, amount, key, note, *meta = rest
    return Transfer(int(source), int(target), number(amount), Remarks(given(note), *meta), given(key))


def _hold(_kind: str, rest: Sequence[str]) -> PlaceHold:
    wallet, amount, lasts, key, note = rest
    return PlaceHold(int(wallet), number(amount), number(lasts), given(note), given(key))


def _capture(_kind: str, rest: Sequence[str]) -> CaptureHold:
    hold, amount, keep, key, note = rest
    return CaptureHold(*parse_hold_id(hold), given_number(amount), keep == "keep", Remarks(given(note)), given(key))


def _void(_kind: str, rest: Sequence[str]) -> VoidHold:
    return VoidHold(*parse_hold_id(rest[0]))


def _reverse(_kind: str, rest: Sequence[str]) -> Reverse:
    id_, amount, force, key, note, *meta = rest
    place = parse_transaction_id(id_)
    return Reverse(*place, given_number(amount), Remarks(given(note), *meta), given(key), force == "force")


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
        *parse_transaction_id(id_), kind == "credit", number(amount), number(at), NOTHING, given(key), *peer,
        reverses, hold, False,
    )  # fmt: skip


def _put(_kind: str, rest: Sequence[str]) -> RestoreHold:
    id_, amount, captured, status, created, expires, ended, key = rest
    wallet_id, number_ = parse_hold_id(id_)
    times = (number(created), number(expires), given_number(ended))
    return RestoreHold(Hold(wallet_id, number_, number(amount), number(captured), status, *times, None, given(key)))


def _register(_kind: str, rest: Sequence[str]) -> Register:
    e164, name, key, *options = rest
    return Register(Phone(e164.removeprefix("+91"), e164, None, None), given(name), *_restored(options), given(key))


def _open(_kind: str, rest: Sequence[str]) -> OpenWallet:
    user, type_, currency, minimum, key, *options = rest
    unit = parse_currency(currency)
    return OpenWallet(int(user), type_, unit, given_number(minimum), *_restored(options), given(key))


def _restored(options: Sequence[str]) -> tuple[int | None, int | None]:
    """The time and the id that are given where a user or a wallet is restored."""
    found = dict(word.split("=") for word in options)
    return given_number(found.get("at", "-")), given_number(found.get("id", "-"))


def _operator(kind: str, rest: Sequence[str]) -> AddApiKey | RevokeApiKey | NoteUse:
    (name,) = rest
    return {"admit": AddApiKey(name, bytes(32), False), "revoke": RevokeApiKey(name), "use": NoteUse(name)}[kind]


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
    "register": _register,
    "open": _open,
    "admit": _operator,
    "revoke": _operator,
    "use": _operator,
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
        expected, _, said = expected.partition(": ")
        words = event.split()
        if not words or words[0] in ("#", "now"):
            continue
        if words[0] == "wallet":
            set_up(book, words[1:])
        elif words[0] == "clock":
            book.clock_us = given_number(words[1])
        elif words[1] in ("look", "see", "row"):
            assert book.looked(words[1:], number(words[0])) == " ".join(expected.split()), row
        else:
            command, now_us = parsed(words)
            (result,) = book.carry_out([command], now_us)
            assert book.told(result) == " ".join(expected.split()), row
            if isinstance(command, Transfer) and not isinstance(result, Refusal):
                assert result.beside == book.transaction(*result.made.peer), row  # type: ignore
            assert not said or said.strip() in cast("Refusal", result).error.message, row
    return book
