"""The common part of all export formats: wallets with their transactions, in order, and the texts in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from wallet_cli.domain.ids import format_wallet_id
from wallet_cli.domain.model import Account, Wallet
from wallet_cli.domain.money import Currency
from wallet_cli.domain.period import DAY_US, format_time
from wallet_cli.errors import StorageError
from wallet_cli.operations.context import Ledger

VERSION = 2
"""The version of the export format; an import refuses a newer one."""


class Scope(NamedTuple):
    """The part to export: wallets from one id to another, and whether that is the whole ledger."""

    first: int
    last: int
    whole: bool


Row = Sequence[Any]
"""A transaction as a row of storage/sql.py EXPORTED."""


class Named(NamedTuple):
    """A wallet, and its WALLET name in an export: with the owner's full number."""

    wallet: Wallet
    name: str


def named_wallets(ledger: Ledger, scope: Scope) -> Iterator[Named]:
    """The wallets in scope, in the order of their ids."""
    for wallet, phone in ledger.store.named_wallets(scope.first, scope.last):
        yield Named(wallet, f"{phone}/{wallet.type}")


def accounts(ledger: Ledger, scope: Scope) -> Iterable[Account]:
    """The wallets in scope with their last transactions, in the order of their ids."""
    if scope.whole:
        return ledger.store.accounts_after(0, -1, ledger.now_us())
    return ledger.store.accounts([scope.first], ledger.now_us())


def by_wallet(ledger: Ledger, scope: Scope) -> Iterator[tuple[Named, Iterator[Row]]]:
    """Each wallet in scope that has transactions, with its transactions in order. Read them before the next wallet."""
    wallets = named_wallets(ledger, scope)
    rows = ledger.store.exported(scope.first, scope.last)
    row = next(rows, None)
    while row is not None:
        wallet_id = row[0]
        following: list[Row | None] = [None]
        yield wallet_named(wallets, wallet_id), _of_one(row, rows, following)
        row = following[0]


def wallet_named(wallets: Iterator[Named], wallet_id: int) -> Named:
    """The wallet with that id, among the next ones. Raises StorageError if it is missing."""
    named = next((each for each in wallets if each.wallet.id == wallet_id), None)
    if named is None:
        raise StorageError(f"there is no wallet {format_wallet_id(wallet_id)}", hint="for details: wallet verify")
    return named


def _of_one(row: Row, rows: Iterator[Row], following: list[Row | None]) -> Iterator[Row]:
    """The rows of the first row's wallet; the row after them goes to `following`."""
    wallet_id = row[0]
    yield row
    for each in rows:
        if each[0] != wallet_id:
            following[0] = each
            return
        yield each


def money_text(currency: Currency) -> Callable[[int], str]:
    """`format_minor` for one currency, at less than half its cost."""
    exponent = currency.exponent
    if not exponent:
        return str
    scale, width = 10**exponent, exponent

    def text(minor: int) -> str:
        if minor < scale:
            return f"-{text(-minor)}" if minor < 0 else f"0.{minor:0{width}}"
        digits = str(minor)
        return f"{digits[:-width]}.{digits[-width:]}"

    return text


class _Days(dict[int, str]):
    """`2026-11-22T` by the number of the day since 1970; few days occur, each many times."""

    def __missing__(self, day: int) -> str:
        if len(self) > 10_000:
            self.clear()
        text = self[day] = format_time(day * DAY_US)[:11]
        return text


class _Seconds(dict[int, str]):
    """`10:00:00.` by the second of the day."""

    def __missing__(self, second: int) -> str:
        text = self[second] = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}."
        return text


DAYS = _Days()
SECONDS = _Seconds()
