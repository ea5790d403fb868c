"""What goes out, on the command line and over HTTP alike: plain JSON values, amounts as text, times in UTC."""

from __future__ import annotations

from typing import Any

from wallet_cli.domain.address import format_transaction_id
from wallet_cli.domain.model import Account, Policy, Transaction, User, Wallet, available
from wallet_cli.domain.money import format_minor
from wallet_cli.domain.period import Period, format_end, format_time

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
    wallet, last = account
    minimum = policy.minimum_of(wallet)
    return {
        "id": wallet.id,
        "user_id": wallet.user_id,
        "type": wallet.type,
        "currency": wallet.currency.name,
        "status": wallet.status,
        "balance": format_minor(last.balance, wallet.currency),
        "held": format_minor(0, wallet.currency),
        "available": format_minor(available(last.balance, minimum), wallet.currency),
        "minimum_balance": format_minor(minimum, wallet.currency),
        "transactions": last.seq,
        "created_at": format_time(wallet.created_at_us),
    }


def transaction_answer(transaction: Transaction, wallet: Wallet, *, replayed: bool = False) -> Answer:
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
        "note": transaction.note,
        "key": transaction.key,
    }
    if replayed:
        answer["replayed"] = True
    return answer


def total_answer(wallet: Wallet, period: Period, opening: Transaction, closing: Transaction) -> Answer:
    """What moved between two moments: the difference of two snapshots, so opening + credits − debits = closing."""
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
    }
