"""Answers, on the command line and over HTTP alike: plain JSON values, amounts as text, times in UTC.

The fields are those of fields.py, in that order; tests/unit/test_answers.py checks it.
"""

from __future__ import annotations

from typing import Any

from wallet_cli.domain.actors import actor_of
from wallet_cli.domain.ids import format_hold_id, format_transaction_id
from wallet_cli.domain.model import EXPIRED, OPEN, Account, Hold, Policy, Transaction, User, Wallet, available
from wallet_cli.domain.money import format_minor
from wallet_cli.domain.period import Period, format_end, format_time
from wallet_cli.domain.remarks import NO_OTHERS
from wallet_cli.domain.rules.holds import status_at

Answer = dict[str, Any]


def user_answer(user: User) -> Answer:
    return {
        "id": user.id,
        "phone_number": user.phone_number,
        "phone_e164": user.phone_e164,
        "name": user.name,
        "created_at": format_time(user.created_at_us),
    }


def wallet_answer(account: Account, policy: Policy) -> Answer:
    """`wallet` is what names it on the command line; a transaction and a hold are named by their own ids."""
    wallet, last = account.wallet, account.last
    minimum = policy.minimum_of(wallet)

    def text(minor: int | None) -> str | None:
        return None if minor is None else format_minor(minor, wallet.currency)

    return {
        "id": wallet.id,
        "user_id": wallet.user_id,
        "type": wallet.type,
        "currency": wallet.currency.name,
        "status": wallet.status,
        "balance": text(last.balance),
        "held": text(account.held),
        "available": text(available(last.balance, minimum, account.held)),
        "minimum_balance": text(minimum),
        "transactions": last.seq,
        "created_at": format_time(wallet.created_at_us),
        "maximum_balance": text(wallet.maximum),
        "daily_debit": text(wallet.daily_debit),
        "wallet": wallet.name,
    }


def holder_answer(wallet: Wallet, user: User) -> Answer:
    """A wallet, and whose it is."""
    return {
        "wallet_id": wallet.id,
        "user_id": user.id,
        "type": wallet.type,
        "currency": wallet.currency.name,
        "phone_e164": user.phone_e164,
        "name": user.name,
        "wallet": wallet.name,
    }


def transaction_answer(transaction: Transaction, wallet: Wallet, *, replayed: bool = False) -> Answer:
    """`meta`, `transfer`, `reverses`, `hold`, `forced`, `user_key`, `via` and `actor` are there if the transaction has
    them.
    """
    answer: Answer = {
        "id": format_transaction_id(transaction.wallet_id, transaction.seq),
        "wallet_id": transaction.wallet_id,
        "seq": transaction.seq,
        "kind": "credit" if transaction.is_credit else "debit",
        "is_credit": transaction.is_credit,
        "amount": format_minor(transaction.amount, wallet.currency),
        "balance": format_minor(transaction.balance, wallet.currency),
        "currency": wallet.currency.name,
        "at": format_time(transaction.at_us),
        "note": transaction.remarks.note,
        "key": transaction.key,
    }
    if transaction.remarks[1:] != NO_OTHERS:
        answer |= transaction.remarks.told()
    if transaction.peer_wallet_id is not None and transaction.peer_seq is not None:
        answer["transfer"] = format_transaction_id(transaction.peer_wallet_id, transaction.peer_seq)
    if transaction.reverses is not None:
        answer["reverses"] = format_transaction_id(transaction.wallet_id, transaction.reverses)
    if transaction.hold is not None:
        answer["hold"] = format_hold_id(transaction.wallet_id, transaction.hold)
    if transaction.forced:
        answer["forced"] = True
    if transaction.user_key:
        answer["user_key"] = True
    if transaction.actor is not None:
        answer["via"], answer["actor"] = actor_of(transaction.actor)
    if replayed:
        answer["replayed"] = True
    return answer


def hold_answer(hold: Hold, wallet: Wallet, now_us: int, *, replayed: bool = False) -> Answer:
    """`held` is the amount that it still keeps from being spent."""
    status = status_at(hold, now_us)
    ended_at_us = hold.expires_at_us if status == EXPIRED else hold.ended_at_us
    answer: Answer = {
        "id": format_hold_id(hold.wallet_id, hold.number),
        "wallet_id": hold.wallet_id,
        "status": status,
        "amount": format_minor(hold.amount, wallet.currency),
        "captured": format_minor(hold.captured, wallet.currency),
        "held": format_minor(hold.remaining if status == OPEN else 0, wallet.currency),
        "currency": wallet.currency.name,
        "created_at": format_time(hold.created_at_us),
        "expires_at": format_time(hold.expires_at_us),
        "ended_at": None if ended_at_us is None else format_time(ended_at_us),
        "note": hold.note,
        "key": hold.key,
    }
    if replayed:
        answer["replayed"] = True
    return answer


def total_answer(wallet: Wallet, period: Period, opening: Transaction, closing: Transaction) -> Answer:
    """The credits and debits between two moments: the difference of two snapshots, so opening + credits − debits =
    closing.
    """
    credit_total = closing.credit_total - opening.credit_total
    debit_total = closing.debit_total - opening.debit_total

    def text(minor: int) -> str:
        return format_minor(minor, wallet.currency)

    return {
        "wallet_id": wallet.id,
        "currency": wallet.currency.name,
        "from": None if period.start_us is None else format_time(period.start_us),
        "to": None if period.end_us is None else format_end(period.end_us),
        "opening_balance": text(opening.balance),
        "credit_total": text(credit_total),
        "debit_total": text(debit_total),
        "credit_count": closing.credit_count - opening.credit_count,
        "debit_count": closing.debit_count - opening.debit_count,
        "net": text(credit_total - debit_total),
        "closing_balance": text(closing.balance),
        "wallet": wallet.name,
    }
