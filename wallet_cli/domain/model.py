"""The things that the ledger keeps. Amounts in minor units, times in microseconds since 1970 (UTC).

NamedTuples rather than dataclasses: making the class costs a seventh of it at start-up, an instance half.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from wallet_cli.domain.money import Currency, parse_minimum

ACTIVE = "active"


class User(NamedTuple):
    id: int
    phone_number: str
    """As it was typed."""
    phone_e164: str
    phone_region: str | None
    phone_national: str | None
    """With the region: digits that mean this number there (see domain/phone.py)."""
    name: str | None
    created_at_us: int


class Transaction(NamedTuple):
    """One credit or debit, and a snapshot of its wallet just after it.

    It carries the running totals, so that the balance is one row, and a total over any period two. `hash` chains it
    to the one before (see domain/chain.py).
    """

    wallet_id: int
    seq: int
    """1, 2, 3 … within the wallet, without a gap."""
    is_credit: bool
    amount: int
    credit_total: int
    debit_total: int
    credit_count: int
    at_us: int
    note: str | None
    key: str | None
    hash: bytes

    @property
    def balance(self) -> int:
        return self.credit_total - self.debit_total

    @property
    def debit_count(self) -> int:
        return self.seq - self.credit_count


class Wallet(NamedTuple):
    id: int
    user_id: int
    type: str
    currency: Currency
    status: str
    own_minimum: int | None
    """The minimum balance of this wallet alone; None where the setting rules."""
    created_at_us: int


class Operator(NamedTuple):
    """A program that may call `wallet serve`: the key's name and SHA-256, never the key."""

    name: str
    key_hash: bytes
    read_only: bool
    created_at_us: int
    revoked_at_us: int | None
    last_used_at_us: int | None


class Account(NamedTuple):
    """A wallet and its last transaction; before the first one, `last` has seq 0 and empty totals."""

    wallet: Wallet
    last: Transaction


class Policy(NamedTuple):
    """The rules that the settings choose. `minimum_balance` is decimal text, read in each wallet's currency."""

    minimum_balance: str = "0"

    def minimum_of(self, wallet: Wallet) -> int:
        """The floor for debits in minor units: the wallet's own, or the setting's. Raises InvalidInput."""
        if wallet.own_minimum is not None:
            return wallet.own_minimum
        return _minimum(self.minimum_balance, wallet.currency)


@lru_cache(maxsize=256)
def _minimum(text: str, currency: Currency) -> int:
    return parse_minimum(text, currency)


def available(balance: int, minimum: int) -> int:
    """What a debit may take now."""
    return max(0, balance - minimum)
