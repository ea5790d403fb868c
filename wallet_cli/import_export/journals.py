"""The ledger as a journal for plain-text accounting, so that independent programs can check the books.

hledger (https://hledger.org/hledger.html, Journal) and beancount (its Language Syntax) read these. A wallet is an
account. A credit comes from `equity:outside` and a debit goes there. The two legs of a transfer meet in
`equity:transfers`, whose balance must be zero. Each posting of an hledger journal asserts the balance after it.
Beancount asserts balances only at the start of a day, so there a day's last balance is asserted when the wallet's next
entry is on another day, and once more at the end, with no tolerance.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, timedelta, tzinfo
from typing import NamedTuple

from wallet_cli.domain.money import ISO_4217, Currency
from wallet_cli.domain.period import Day, day_of, format_time
from wallet_cli.errors import InvalidInput
from wallet_cli.import_export.rows import Named, Row, Scope, accounts, by_wallet, money_text, named_wallets
from wallet_cli.operations.context import Ledger

FIRST_BEANCOUNT_YEAR, LAST_BEANCOUNT_YEAR = 1700, 2199
"""The years that beancount's grammar accepts."""

DAY_BEFORE_ALL = date(FIRST_BEANCOUNT_YEAR, 1, 1)


def journal(ledger: Ledger, scope: Scope, form: str) -> Iterator[str]:
    """The lines of a journal, ends included.

    Raises InvalidInput for what its language cannot represent, before the first line.
    """
    return _hledger(ledger, scope) if form == "hledger" else _beancount(ledger, scope)


class _End(NamedTuple):
    """The assertions about a whole ledger: its last day, and the currencies of its wallets."""

    day: str
    currencies: Collection[Currency]


def _end(ledger: Ledger, scope: Scope) -> _End | None:
    """None for a single wallet, whose transfers have their other legs elsewhere, and for an empty ledger."""
    currencies: dict[str, Currency] = {}
    last_us: int | None = None
    for account in accounts(ledger, scope) if scope.whole else ():
        currencies.setdefault(unit_name(account.wallet.currency), account.wallet.currency)
        if account.last.seq and (last_us is None or account.last.at_us > last_us):
            last_us = account.last.at_us
    return None if last_us is None else _End(Calendar(ledger.zone()).day(last_us), currencies.values())


def unit_name(currency: Currency) -> str:
    """One name for all wallets with the same currency: `INR` and `PTS/0`, but also `HRK/2` for a wallet in `HRK`."""
    return currency.unit if ISO_4217.get(currency.unit) == currency.exponent else f"{currency.unit}/{currency.exponent}"


class Calendar:
    """The days of moments in a time zone; fast for moments that mostly follow each other."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._last = Day("", 0, 0)

    def day(self, at_us: int) -> str:
        """`2024-04-30`"""
        if not self._last.start_us <= at_us < self._last.end_us:
            self._last = day_of(at_us, self._zone)
        return self._last.text


Reset = tuple[int, int]
"""The seq and the time of a transaction that resets its wallet's time (domain/rules/clocks.py)."""


def _resets(ledger: Ledger, scope: Scope) -> dict[int, list[Reset]]:
    """The resets of each wallet that had one, in order."""
    found: dict[int, list[Reset]] = {}
    for wallet_id, seq, at_us in ledger.store.all_resets(scope.first, scope.last):
        found.setdefault(wallet_id, []).append((seq, at_us))
    return found


def _counts_us(seq: int, at_us: int, resets: list[Reset]) -> int:
    """The time that counts for a transaction: if a clock was ahead, that of the reset."""
    return min(at_us, *(time for number, time in resets if number > seq), at_us) if resets else at_us


# hledger


def _hledger(ledger: Ledger, scope: Scope) -> Iterator[str]:
    yield "; A wallet ledger, for hledger. Each posting to a wallet asserts the balance after it.\n"
    yield "decimal-mark .\n\n"
    seen: set[str] = set()
    calendar = Calendar(ledger.zone())
    for named in named_wallets(ledger, scope):
        currency = named.wallet.currency
        if unit_name(currency) not in seen:
            seen.add(unit_name(currency))
            # Styled without separators and with all digits, so that printed amounts can be compared as text.
            sample = money_text(currency)(1000 * 10**currency.exponent)
            yield f"commodity {sample}{_dot(currency)} {_symbol(currency)}\n"
        yield f"account {_hledger_account(named)}\n"
    yield "account equity:outside\naccount equity:transfers\n"
    resets = _resets(ledger, scope)
    for named, rows in by_wallet(ledger, scope):
        yield from _hledger_entries(named, rows, calendar, resets.get(named.wallet.id, []))
    end = _end(ledger, scope)
    if end is not None:
        yield f"\n{end.day} * both legs of every transfer are here\n"
        for currency in end.currencies:
            nothing = f"{money_text(currency)(0)}{_dot(currency)} {_symbol(currency)}"
            yield f"    equity:transfers  {nothing} = {nothing}\n"


def _hledger_entries(named: Named, rows: Iterator[Row], calendar: Calendar, resets: list[Reset]) -> Iterator[str]:
    account, currency = _hledger_account(named), named.wallet.currency
    money, symbol, dot = money_text(currency), _symbol(currency), _dot(currency)
    for (
        wallet_id, seq, is_credit, amount, at_us, key, peer_id, peer_seq, reverses, hold, forced, _, _, after, note, *_,
    ) in rows:  # fmt: skip
        sign, other_sign = ("", "-") if is_credit else ("-", "")
        other = "equity:outside" if peer_id is None else "equity:transfers"
        tags = "".join(
            f", {name}:{value}"
            for name, value in (
                ("key", None if key is None else _plain(key, ",")),
                ("transfer", None if peer_id is None else f"{peer_id}-{peer_seq}"),
                ("reverses", None if reverses is None else f"{wallet_id}-{reverses}"),
                ("hold", None if hold is None else f"{wallet_id}-h{hold}"),
                ("forced", "yes" if forced else None),
            )
            if value is not None
        )
        yield (
            f"\n{calendar.day(_counts_us(seq, at_us, resets))} * ({wallet_id}-{seq}) {_plain(note or '', ';')}\n"
            f"    ; at:{format_time(at_us)}{tags}\n"
            f"    {account}  {sign}{money(amount)}{dot} {symbol} = {money(after)}{dot} {symbol}\n"
            f"    {other}  {other_sign}{money(amount)}{dot} {symbol}\n"
        )


def _hledger_account(named: Named) -> str:
    return f"wallets:{named.wallet.user_id}:{named.wallet.type}"


def _symbol(currency: Currency) -> str:
    """A commodity; one with other characters than letters is quoted."""
    name = unit_name(currency)
    return name if name.isalpha() else f'"{name}"'


def _dot(currency: Currency) -> str:
    """A decimal point for units with no fraction digits: with `1000` alone, hledger has to guess the style."""
    return "" if currency.exponent else "."


def _plain(text: str, end: str) -> str:
    """User text for one line of a journal: spaces replace control characters and whatever would end the text."""
    cleaned = "".join(c if c.isprintable() and c != end else " " for c in text)
    return " ".join(cleaned.split())


# beancount


def _beancount(ledger: Ledger, scope: Scope) -> Iterator[str]:
    calendar = Calendar(ledger.zone())
    _check_years(ledger, scope, calendar)
    yield ";; A wallet ledger, for beancount. Balances are asserted for each day, and at the end.\n"
    yield 'option "title" "wallet"\n\n'
    # Both sides of every posting have all digits: no difference may count as rounding.
    yield 'option "inferred_tolerance_default" "*:0"\n\n'
    for account in ("Equity:Outside", "Equity:Transfers"):
        yield f"{DAY_BEFORE_ALL} open {account}\n"
    for named in named_wallets(ledger, scope):
        yield f"{DAY_BEFORE_ALL} open {_beancount_account(named)} {_commodity(named.wallet.currency)}\n"
    resets = _resets(ledger, scope)
    for named, rows in by_wallet(ledger, scope):
        yield from _beancount_entries(named, rows, calendar, resets.get(named.wallet.id, []))
    end = _end(ledger, scope)
    if end is not None:
        yield "\n"
        for currency in end.currencies:
            nothing, unit = money_text(currency)(0), _commodity(currency)
            yield f"{_following(end.day)} balance Equity:Transfers  {nothing} ~ 0 {unit}\n"


def _beancount_entries(named: Named, rows: Iterator[Row], calendar: Calendar, resets: list[Reset]) -> Iterator[str]:
    account, currency = _beancount_account(named), named.wallet.currency
    money, unit = money_text(currency), _commodity(currency)
    before: tuple[str, int] | None = None
    for (
        wallet_id, seq, is_credit, amount, at_us, key, peer_id, peer_seq, reverses, hold, forced, _, _, after, note, *_,
    ) in rows:  # fmt: skip
        day = calendar.day(_counts_us(seq, at_us, resets))
        if before is not None and before[0] != day:
            yield f"\n{day} balance {account}  {money(before[1])} ~ 0 {unit}\n"
        before = day, after
        sign, other_sign = ("", "-") if is_credit else ("-", "")
        other = "Equity:Outside" if peer_id is None else "Equity:Transfers"
        more = "".join(
            f'  {name}: "{value}"\n'
            for name, value in (
                ("key", None if key is None else _string(key)),
                ("transfer", None if peer_id is None else f"{peer_id}-{peer_seq}"),
                ("reverses", None if reverses is None else f"{wallet_id}-{reverses}"),
                ("hold", None if hold is None else f"{wallet_id}-h{hold}"),
                ("forced", "yes" if forced else None),
            )
            if value is not None
        )
        yield (
            f'\n{day} * "{_string(note or "")}"\n  id: "{wallet_id}-{seq}"\n  at: "{format_time(at_us)}"\n{more}'
            f"  {account}  {sign}{money(amount)} {unit}\n"
            f"  {other}  {other_sign}{money(amount)} {unit}\n"
        )
    if before is not None:
        yield f"\n{_following(before[0])} balance {account}  {money(before[1])} ~ 0 {unit}\n"


def _beancount_account(named: Named) -> str:
    """Parts of an account start with a capital and have no `_` or `.`; only the wallet's id identifies it."""
    return f"Assets:Wallets:U{named.wallet.user_id}:W{named.wallet.id}"


def _commodity(currency: Currency) -> str:
    """`INR`; for a custom unit `X.PTS.0`, which is unique and starts and ends as beancount requires."""
    name = unit_name(currency)
    return name if name.isalpha() else "X." + name.replace("/", ".")


def _following(day: str) -> str:
    """The next day: a balance is asserted at the start of a day."""
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def _check_years(ledger: Ledger, scope: Scope, calendar: Calendar) -> None:
    """Check the first and the last transaction of each wallet: times that count never go back."""
    resets = _resets(ledger, scope)
    for account in accounts(ledger, scope):
        if account.last.seq:
            first = ledger.store.transaction(account.wallet.id, 1)
            first_us = account.last.at_us if first is None else first.at_us
            _check_year(calendar.day(_counts_us(1, first_us, resets.get(account.wallet.id, []))))
            _check_year(calendar.day(account.last.at_us), following=1)


def _check_year(day: str, following: int = 0) -> None:
    """Raises InvalidInput if beancount cannot represent a day, or the next one, where its balance is asserted."""
    year = int(day[:4]) + (following if day.endswith("-12-31") else 0)
    if not FIRST_BEANCOUNT_YEAR <= year <= LAST_BEANCOUNT_YEAR:
        raise InvalidInput(
            f"beancount cannot represent the year {year:04}",
            hint=f"years {FIRST_BEANCOUNT_YEAR} to {LAST_BEANCOUNT_YEAR}; hledger has no such limit",
        )


def _string(text: str) -> str:
    """User text between double quotes, on one line."""
    cleaned = "".join(c if c.isprintable() else " " for c in text)
    return cleaned.replace("\\", "\\\\").replace('"', '\\"')
