"""The texts of a statement for people: amounts, times, periods and kinds of lines."""

from __future__ import annotations

from wallet_cli.domain.clock import Clock
from wallet_cli.domain.ids import format_hold_id, format_transaction_id
from wallet_cli.domain.model import Transaction
from wallet_cli.domain.money import Currency, format_minor
from wallet_cli.domain.text import harmless
from wallet_cli.operations.statements import Statement, kind_of

GROUP = "\u202f"
"""Between groups of three digits: a narrow space, which no country reads as a decimal point."""
MINUS = "\u2212"

KIND_WORDS = {
    "credit": "Credits",
    "debit": "Debits",
    "transfer_in": "Transfers in",
    "transfer_out": "Transfers out",
    "capture": "Captures of holds",
    "reversal_in": "Reversals in",
    "reversal_out": "Reversals out",
}


def money(minor: int, currency: Currency, *, whole: bool = False) -> str:
    """Minor units for people: `−1 234.50`; `whole` leaves the fraction out."""
    digits, point, fraction = format_minor(abs(minor), currency).partition(".")
    text = f"{int(digits):,}".replace(",", GROUP)
    return (MINUS if minor < 0 else "") + text + ("" if whole else point + fraction)


def title(statement: Statement) -> str:
    return harmless(statement.user.name or statement.user.phone_e164)


def wallet_line(statement: Statement) -> str:
    wallet, user = statement.wallet, statement.user
    phone = f"{user.phone_e164} · " if user.name else ""
    return f"{phone}wallet {wallet.name} · {wallet.currency.name}"


def period_words(statement: Statement) -> tuple[str, str]:
    """The start and the end of the period."""
    clock, (start_us, end_us) = Clock(statement.zone), statement.period
    start = "the beginning" if start_us is None else clock.bound(start_us)
    if end_us is None:
        return start, clock.words(statement.made_at_us)
    return start, clock.bound(end_us, is_end=True)


def closing_words(statement: Statement) -> str:
    """When the statement was made, and the zone of its times."""
    clock, made_us = Clock(statement.zone), statement.made_at_us
    return f"Made {clock.words(made_us)}. Times are in {clock.name}."


def lines_words(count: int) -> str:
    return "1 transaction" if count == 1 else f"{count:,} transactions".replace(",", GROUP)


def what(line: Transaction) -> str:
    """The description of a line: `Transfer to 2-5`, `Reversal of 1-3, forced`."""
    text = _what(line)
    return f"{text}, forced" if line.forced else text


def _what(line: Transaction) -> str:
    kind = kind_of(line)
    if line.reverses is not None:
        return f"Reversal of {format_transaction_id(line.wallet_id, line.reverses)}"
    if line.peer_wallet_id is not None and line.peer_seq is not None:
        peer = format_transaction_id(line.peer_wallet_id, line.peer_seq)
        return f"Transfer {'from' if kind == 'transfer_in' else 'to'} {peer}"
    if line.hold is not None:
        return f"Capture of {format_hold_id(line.wallet_id, line.hold)}"
    return "Credit" if line.is_credit else "Debit"


def story(line: Transaction) -> tuple[str, str]:
    """A line in words: its note, or its description; and, in smaller print, the rest."""
    id_ = format_transaction_id(line.wallet_id, line.seq)
    key = [] if line.key is None else [f"key {harmless(line.key)}"]
    if not line.remarks.note:
        return what(line), " · ".join([id_, *key])
    plain = kind_of(line) in ("credit", "debit") and not line.forced
    return harmless(line.remarks.note), " · ".join([*([] if plain else [what(line)]), id_, *key])
