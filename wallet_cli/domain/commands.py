"""What may be asked of the ledger. A command is plain data, checked for form but not yet for what the ledger holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final, NamedTuple

from wallet_cli.domain.model import ApiKey, Hold, LedgerSetting, Transaction, User, Wallet
from wallet_cli.domain.money import Currency
from wallet_cli.domain.phone import Phone
from wallet_cli.errors import WalletError


class Register(NamedTuple):
    """Add a user. `created_at_us` and `id` are given where one is restored, else None."""

    phone: Phone
    name: str | None
    created_at_us: int | None = None
    id: int | None = None
    key: str | None = None


class OpenWallet(NamedTuple):
    """Open a wallet. `created_at_us` and `id` are given where one is restored, else None.

    `currency_given`: the request names the currency; else it is the one that a setting has now.
    """

    user_id: int
    type: str
    currency: Currency
    own_minimum: int | None
    created_at_us: int | None = None
    id: int | None = None
    key: str | None = None
    currency_given: bool = True


class Post(NamedTuple):
    """Credit or debit a wallet. `at_us` is None for now; `key` makes it safe to send again.

    `user_key`: the key was given under a user's token. Such keys and those of operators are two sets.
    `resets_time`: the wallet's last time was a wrong clock's, and it goes on from now (rules/clocks.py).
    """

    wallet_id: int
    is_credit: bool
    amount: int
    note: str | None = None
    key: str | None = None
    at_us: int | None = None
    meta: str | None = None
    user_key: bool = False
    resets_time: bool = False


class Transfer(NamedTuple):
    """Debit one wallet and credit another by the same amount: both or neither. `key` is one of the source's."""

    source_id: int
    target_id: int
    amount: int
    note: str | None = None
    key: str | None = None
    meta: str | None = None
    user_key: bool = False


class Reverse(NamedTuple):
    """Take a transaction back; `amount` is None for all that is left of it. `force` lets it pass floors and limits."""

    wallet_id: int
    seq: int
    amount: int | None = None
    note: str | None = None
    key: str | None = None
    force: bool = False
    meta: str | None = None


class PlaceHold(NamedTuple):
    """Keep an amount of a wallet from being spent until it is captured, voided, or `lasts_us` microseconds old."""

    wallet_id: int
    amount: int
    lasts_us: int
    note: str | None = None
    key: str | None = None


class CaptureHold(NamedTuple):
    """Debit what a hold keeps; `amount` is None for all of it. What is left is released, or kept with `keep`."""

    wallet_id: int
    number: int
    amount: int | None = None
    keep: bool = False
    note: str | None = None
    key: str | None = None


class VoidHold(NamedTuple):
    wallet_id: int
    number: int


class SetStatus(NamedTuple):
    wallet_id: int
    status: str


class Same(Enum):
    """Stands for a limit that is to stay as it is; None lifts one."""

    SAME = "same"


SAME: Final = Same.SAME


class SetLimits(NamedTuple):
    wallet_id: int
    own_minimum: int | Same | None = SAME
    maximum: int | Same | None = SAME
    daily_debit: int | Same | None = SAME


class RestoreTransaction(NamedTuple):
    """Write a transaction as it once was, in its place; its totals and its hash are worked out.

    Floors and limits are not asked: they may have been others then.
    """

    wallet_id: int
    seq: int
    is_credit: bool
    amount: int
    at_us: int
    note: str | None
    key: str | None
    meta: str | None
    peer_wallet_id: int | None
    peer_seq: int | None
    reverses: int | None
    hold: int | None
    forced: bool
    user_key: bool = False
    balance: int | None = None
    """What has to be in the wallet after it, where that was said."""


class RestoreHold(NamedTuple):
    hold: Hold


class RestoreState(NamedTuple):
    """Give a restored wallet its status and limits, once its history is seen to end where it should."""

    wallet_id: int
    transactions: int
    hash: bytes
    status: str
    own_minimum: int | None
    maximum: int | None
    daily_debit: int | None


class EndRestore(NamedTuple):
    """Let a restored ledger take writes, once all that its rows refer to is seen to be there."""


class AddApiKey(NamedTuple):
    name: str
    key_hash: bytes
    read_only: bool


class RevokeApiKey(NamedTuple):
    name: str


class NoteUse(NamedTuple):
    """Write down that an operator's key was used, as of the turn."""

    name: str


class SetLedger(NamedTuple):
    """Change a setting that the ledger keeps; the value has been checked, and None leaves it to the program."""

    name: str
    value: str | None


Single = (
    Register
    | OpenWallet
    | Post
    | Transfer
    | Reverse
    | PlaceHold
    | CaptureHold
    | VoidHold
    | SetStatus
    | SetLimits
    | RestoreTransaction
    | RestoreHold
    | RestoreState
    | EndRestore
    | AddApiKey
    | RevokeApiKey
    | NoteUse
    | SetLedger
)


class Atomic(NamedTuple):
    """Commands that are all carried out or none of them."""

    commands: tuple[Single, ...]


Command = Single | Atomic


class Restoring(NamedTuple):
    """Whether an export is being read back into the ledger, which takes nothing else until its end is read."""

    active: bool


Change = User | Wallet | Transaction | Hold | ApiKey | LedgerSetting | Restoring


class Applied(NamedTuple):
    """The command is carried out, and this is what it made or changed: of a transfer, the debit.

    `beside` is what is answered with it: of a transfer the credit, of a change of a wallet its last transaction.
    """

    made: Change
    beside: Transaction | None = None


class Replayed(NamedTuple):
    """It had been done before, with the same key or in the same place: nothing is applied; what it made then."""

    made: Change
    beside: Transaction | None = None


class AppliedAtomic(NamedTuple):
    """All of them are carried out: a result each, in order."""

    results: tuple[Applied | Replayed, ...]


class Refusal(NamedTuple):
    """The command changes nothing, and why."""

    error: WalletError


Result = Applied | Replayed | AppliedAtomic | Refusal


def each(commands: Iterable[Command]) -> Iterator[Single]:
    """The single commands, those of a group in their place."""
    for command in commands:
        if isinstance(command, Atomic):
            yield from command.commands
        else:
            yield command
