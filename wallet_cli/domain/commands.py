"""What may be asked of the ledger. A command is plain data, checked for form but not yet for what the ledger holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wallet_cli.domain.model import Operator, Transaction, User, Wallet
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


class AdmitOperator(NamedTuple):
    name: str
    key_hash: bytes
    read_only: bool


class RevokeOperator(NamedTuple):
    name: str


class NoteUse(NamedTuple):
    """Write down that an operator's key was used, as of the turn."""

    name: str


Single = Register | OpenWallet | Post | AdmitOperator | RevokeOperator | NoteUse


class Together(NamedTuple):
    """Commands that are all carried out or none of them."""

    commands: tuple[Single, ...]


Command = Single | Together

Made = User | Wallet | Transaction | Operator


class Applied(NamedTuple):
    """The command is carried out, and this is what it made or changed."""

    made: Made


class Replayed(NamedTuple):
    """The key had been used for the same request: nothing is applied, and this is what it made then."""

    made: Transaction


class AppliedTogether(NamedTuple):
    """All of them are carried out: a result each, in order."""

    results: tuple[Applied | Replayed, ...]


class Refusal(NamedTuple):
    """The command changes nothing, and why."""

    error: WalletError


Result = Applied | Replayed | AppliedTogether | Refusal


def each(commands: Iterable[Command]) -> Iterator[Single]:
    """The single commands, those of a group in their place."""
    for command in commands:
        if isinstance(command, Together):
            yield from command.commands
        else:
            yield command


def all_made(results: Iterable[Result]) -> list[Made]:
    """What the applied commands made, in order; those of a group in their place."""
    made: list[Made] = []
    for result in results:
        if isinstance(result, Applied):
            made.append(result.made)
        elif isinstance(result, AppliedTogether):
            made += [one.made for one in result.results if isinstance(one, Applied)]
    return made
