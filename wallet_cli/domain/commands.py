"""What may be asked of the ledger. A command is plain data, checked for form but not yet for what the ledger holds."""

from __future__ import annotations

from typing import NamedTuple

from wallet_cli.domain.model import Transaction, User, Wallet
from wallet_cli.domain.money import Currency
from wallet_cli.domain.phone import Phone
from wallet_cli.errors import WalletError


class Register(NamedTuple):
    phone: Phone
    name: str | None


class OpenWallet(NamedTuple):
    user_id: int
    type: str
    currency: Currency
    own_minimum: int | None


class Post(NamedTuple):
    """Credit or debit a wallet. `at_us` is None for now; `key` makes it safe to send again."""

    wallet_id: int
    is_credit: bool
    amount: int
    note: str | None = None
    key: str | None = None
    at_us: int | None = None


Command = Register | OpenWallet | Post


class Applied(NamedTuple):
    """The command is carried out, and this is what it made."""

    made: User | Wallet | Transaction


class Replayed(NamedTuple):
    """The key had been used for the same request: nothing is applied, and this is what it made then."""

    made: Transaction


class Refusal(NamedTuple):
    """The command changes nothing, and why."""

    error: WalletError


Result = Applied | Replayed | Refusal
