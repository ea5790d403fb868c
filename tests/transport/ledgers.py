"""Random ledgers, made through the services as people would make them, and what they hold.

A ledger is a list of steps, each of which is refused or not, as the rules say; the clock is the story's own, so that
holds lapse, and some of them before anybody has written that down.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from support import engines

from wallet_cli import settings as wallet_settings
from wallet_cli.domain.ids import HoldId, parse_transaction_id, parse_wallet
from wallet_cli.domain.money import parse_currency
from wallet_cli.domain.period import format_time
from wallet_cli.domain.remarks import OTHERS, TEXTS, Remarks
from wallet_cli.errors import WalletError
from wallet_cli.import_export import exports, imports, rows
from wallet_cli.operations import holds, transactions, users, wallets
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger, open_ledger

START_US = 1_700_000_000_000_000
"""14 November 2023: in the past, as times are never ahead of the clock that imports go by."""
DAY_S = 86_400

SPELLINGS = (
    ("9886977544", "+91 98869 77544", "(09886) 977-544"),
    ("+44 20 7946 0018", "+442079460018"),
    ("+49151234567890123",),  # 17 digits, which the German plan allows
    ("+1 (650) 253-0000", "+16502530000"),
)
TYPES = ("main", "Main", "MAIN", "a.b", "a_b", "a-b", "A.B", ".", "-", "_", "2024-01-01", "x" * 32)
CURRENCIES = ("INR", "JPY", "KWD", "PTS/0", "PTS/8", "1X2/3")
OVERDRAFTS = (None, None, "-1000", "-0", "3")

BOUNDED = settings(
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)

HUNT = settings(BOUNDED, max_examples=1500, phases=[Phase.explicit, Phase.generate], report_multiple_bugs=False)
"""For faults that are there: the first example that shows one is enough."""

# Text that journals, CSV and JSON have words for of their own.
HOSTILE = (
    "", " ", "  two  spaces ", "a\rb", "a\nb", "a\r\nb\t", '"', '""', "\\", '\\"', "'", "; = 5 INR", "=1+1", "@ 5 USD",
    "{5}", "[2024-01-01]", "(x)", "a:b, c:d", "| y", "* ! x", "#tag ^link", ":", ",", "{}", "\u202eRTL\u2066", "\u2028",
    "\x1b[31m", "\x7f", "\ufeff", "é́", "👨‍👩‍👧", "\U0010ffff", "  ; x", "end comment", "\\u0000",
    "x" * 1000, "𝔘" * 1000, '"' * 1000,
)  # fmt: skip
notes = (
    st.none() | st.sampled_from(HOSTILE) | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
)
keys = (
    st.none()
    | st.sampled_from(["k", "; k", 'k"', "k\\", "a:b,c", "k" * 255, "𝔘" * 255, " k "])
    | st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"], codec="utf-8"), min_size=1, max_size=6)
)
metas = st.none() | st.dictionaries(
    st.sampled_from(["a", "é", '"', "𝔘"]),
    st.none() | st.booleans() | st.integers() | st.sampled_from(HOSTILE[:20]) | st.just([{"b": [1, "x"]}]),
    max_size=3,
)


class Step(NamedTuple):
    """What somebody does: a word, and numbers that choose to what."""

    word: str
    first: int
    second: int
    amount: int
    note: str | None
    key: str | None
    meta: dict[str, Any] | None
    flag: bool


def said(step: Step) -> Remarks:
    """The note and the metadata; texts that were added to the list later have the note's beginning."""
    more = {name: step.note and step.note[: TEXTS[name].most] for name in OTHERS if name in TEXTS}
    return Remarks.of({"note": step.note, "meta": step.meta, **more})


words = st.sampled_from(
    [
        *("register", "open", "credit", "credit", "credit", "debit", "transfer", "transfer", "hold", "hold"),
        *("capture", "capture", "keep", "void", "reverse", "reverse", "force", "wait", "freeze", "close", "limits"),
    ]
)
steps = st.builds(
    Step,
    words,
    st.integers(0, 11),
    st.integers(0, 11),
    st.integers(1, 400) | st.sampled_from([10**15, 10**15 - 1]),
    notes,
    keys,
    metas,
    st.booleans(),
)
stories = st.lists(steps, min_size=12, max_size=60)


@contextmanager
def opened(now_us: int | None = None) -> Iterator[Ledger]:
    """An empty ledger; by the machine's clock, or by one that stands still at `now_us`."""
    with engines.lent() as address:
        given = wallet_settings.load({"db": str(address), "timezone": "UTC"}, {})
        with open_ledger(given, lambda _: None) as ledger:
            if now_us is not None:
                ledger.executor.clock = lambda: now_us
            yield ledger


def step(word: str, first: int = 0, second: int = 0, amount: int = 1, *, flag: bool = False) -> Step:
    return Step(word, first, second, amount, None, None, None, flag)


EVERYTHING = (
    step("hold", amount=7), step("wait", 4, 6), step("hold", amount=5), step("capture", amount=2), step("hold"),
    step("void"), step("transfer", 0, 1, 50), step("reverse", 0, 1), step("force", 0, 2, flag=True), step("hold", 1),
    step("wait", 4, 6), step("open", 3, 1), step("close", 4), step("freeze", 2),
)  # fmt: skip
"""A hold of each status, one that expired and was noted and one that nobody noted, and whatever else there is."""


def tell(ledger: Ledger, story: Sequence[Step]) -> None:
    """Make a ledger: two users and four wallets, two of them in one currency and with money, then every step."""
    told = _Told(ledger)
    for number, (currency, type_) in enumerate([("INR", "main"), ("INR", "a.b"), ("KWD", "Main"), ("PTS/8", "main")]):
        if number % 2 == 0:
            told.try_(
                lambda n=number: ledger.run(
                    users.register(ledger, SPELLINGS[n // 2][0], "[/b] \u202e" if n else None), "register"
                )
            )
        name = parse_wallet(f"id:{number // 2 + 1}/{type_}")
        told.try_(lambda n=name, c=currency: ledger.run(wallets.create(ledger, n, c, "-5"), "create"))
        told.try_(lambda n=name: ledger.run(transactions.add(ledger, n, "300", is_credit=True), "tx add"))
    for step in story:
        told.try_(lambda s=step: told.take(s))
        told.now_us += step.amount % 7 * step.second * 1_000_000  # several within a moment, and some far apart


class _Told:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.now_us = START_US
        ledger.executor.clock = lambda: self.now_us

    def try_(self, call: Callable[[], object]) -> None:
        """Do it; a refusal is as good as any other answer, what is no refusal is not."""
        try:
            call()
        except WalletError as error:
            if error.code in ("storage_error", "internal_error", "busy"):
                raise

    def wallet(self, number: int) -> Any:
        known = list(self.ledger.store.wallets())
        wallet = known[number % len(known)]
        return wallet, parse_wallet(f"id:{wallet.user_id}/{wallet.type}")

    def text(self, step: Step, wallet: Any) -> str:
        """The amount in the wallet's currency."""
        return rows.money_text(wallet.currency)(step.amount)

    def take(self, step: Step) -> None:
        ledger, word = self.ledger, step.word
        if word == "register":
            spellings = SPELLINGS[step.first % len(SPELLINGS)]
            ledger.run(
                users.register(ledger, spellings[step.second % len(spellings)], step.note and step.note[:200]),
                "register",
            )
            return
        if word == "wait":
            self.now_us += step.first * step.second * DAY_S * 1_000_000 // 24
            return
        wallet, name = self.wallet(step.first)
        if word == "open":
            type_, currency = TYPES[step.first], CURRENCIES[step.second % len(CURRENCIES)]
            floor = OVERDRAFTS[step.amount % len(OVERDRAFTS)]
            ledger.run(wallets.create(ledger, parse_wallet(f"id:{wallet.user_id}/{type_}"), currency, floor), "create")
        elif word in ("credit", "debit"):
            at = format_time(self.now_us - step.second) if step.flag else None
            is_credit = word == "credit"
            ledger.run(transactions.add(
                ledger, name, self.text(step, wallet), is_credit=is_credit, remarks=said(step), key=step.key, at=at,
            ), "tx add")  # fmt: skip
        elif word == "transfer":
            _, target = self.wallet(step.second)
            ledger.run(
                transactions.transfer(ledger, name, target, self.text(step, wallet), remarks=said(step), key=step.key),
                "transfer",
            )
        elif word == "hold":
            expires = f"{step.second + 1}h"
            ledger.run(
                holds.add(ledger, name, self.text(step, wallet), expires=expires, note=step.note, key=step.key),
                "hold add",
            )
        elif word in ("capture", "keep", "void"):
            latest = list(ledger.store.holds_in_order())[-1 - step.second % 2 :]
            id_ = HoldId(latest[0].wallet_id, latest[0].number) if latest else HoldId(wallet.id, 1)
            if word == "void":
                ledger.run(holds.void(ledger, id_), "hold void")
            else:
                part = None if step.flag else rows.money_text(wallet.currency)(step.amount % 9 + 1)
                ledger.run(
                    holds.capture(ledger, id_, part, keep=word == "keep", note=step.note, key=step.key), "hold capture"
                )
        elif word in ("reverse", "force"):
            id_ = parse_transaction_id(f"{wallet.id}-{step.second + 1}")
            part = self.text(step, wallet) if step.flag else None
            ledger.run(
                transactions.reverse(ledger, id_, part, remarks=said(step), key=step.key, force=word == "force"),
                "tx reverse",
            )
        elif word == "freeze":
            ledger.run(wallets.set_status(ledger, name, "active" if step.flag else "frozen"), "status")
        elif word == "close":
            balance = str(wallets.balance(ledger, name)["balance"])
            if balance.strip("0."):
                is_credit = balance.startswith("-")
                ledger.run(transactions.add(ledger, name, balance.lstrip("-"), is_credit=is_credit), "tx add")
            ledger.run(wallets.set_status(ledger, name, "closed"), "status")
        elif word == "limits":
            most = self.text(step, wallet)
            ledger.run(
                wallets.set_limits(ledger, name, "none" if step.flag else f"-{most}", f"9{most}", most), "limits"
            )


def exported(ledger: Ledger, form: str = "jsonl", wallet: str | None = None) -> str:
    return "".join(exports.export(ledger, form, None if wallet is None else parse_wallet(wallet)))


class Outcome(NamedTuple):
    """What an import answered, and what it refused: line numbers and codes, and the messages."""

    summary: Answer
    refusals: list[tuple[int, str]]
    messages: list[str]

    @property
    def counts(self) -> tuple[Any, Any, Any]:
        return self.summary["applied"], self.summary["replayed"], self.summary["refused"]


def imported(ledger: Ledger, text: str | bytes, name: str = "", **options: bool) -> Outcome:
    """Import a text as if it were a file."""
    data = text.encode() if isinstance(text, str) else text
    refusals: list[tuple[int, str]] = []
    messages: list[str] = []

    def refused(line: int, error: WalletError, _: str) -> None:
        refusals.append((line, error.code))
        messages.append(error.message)

    summary = imports.run(ledger, io.BytesIO(data), imports.Options(**options), refused, name=name)
    return Outcome(summary, refusals, messages)


def currencies(ledger: Ledger) -> set[str]:
    return {wallet.currency.name for wallet in ledger.store.wallets()}


def balances(ledger: Ledger) -> dict[tuple[int, int, str], int]:
    """What each wallet that has transactions holds, by user id, wallet id and type: minor units, as rows add up."""
    found = {}
    for wallet in ledger.store.wallets():
        rows = list(ledger.store.exported(wallet.id, wallet.id))
        if rows:
            total = sum(amount if is_credit else -amount for _, _, is_credit, amount, *_ in rows)
            found[wallet.user_id, wallet.id, wallet.type] = total
            assert parse_currency(wallet.currency.name) == wallet.currency
    return found
