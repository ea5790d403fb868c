"""The commands of the ledger. A command is plain data; its form is checked, but not yet against the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final

from wallet_cli.domain.model import ApiKey, Event, Hold, LedgerFacts, LedgerSetting, Transaction, User, Wallet
from wallet_cli.domain.money import Currency
from wallet_cli.domain.phone import Phone
from wallet_cli.domain.remarks import NOTHING, Remarks
from wallet_cli.errors import WalletError
from wallet_cli.named_tuples import NamedTuple


class Register(NamedTuple):
    """Add a user. `created_at_us` and `id` are None except when restoring."""

    phone: Phone
    name: str | None
    created_at_us: int | None = None
    id: int | None = None
    key: str | None = None


class OpenWallet(NamedTuple):
    """Open a wallet. `created_at_us` and `id` are None except when restoring.

    `currency_given`: the request names the currency; else it is that of the setting.
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

    `user_key`: the key was given with a user's token. Keys of users and of operators are two separate sets.
    `resets_time`: the wallet's last time is from a wrong clock; its times count from now (rules/clocks.py).
    """

    wallet_id: int
    is_credit: bool
    amount: int
    remarks: Remarks = NOTHING
    key: str | None = None
    at_us: int | None = None
    user_key: bool = False
    resets_time: bool = False


class Transfer(NamedTuple):
    """Debit one wallet and credit another by the same amount: both or neither. `key` belongs to the source wallet."""

    source_id: int
    target_id: int
    amount: int
    remarks: Remarks = NOTHING
    key: str | None = None
    user_key: bool = False


class Reverse(NamedTuple):
    """Reverse a transaction; `amount` None means all that is left of it. `force` ignores minimums and limits."""

    wallet_id: int
    seq: int
    amount: int | None = None
    remarks: Remarks = NOTHING
    key: str | None = None
    force: bool = False


class PlaceHold(NamedTuple):
    """Keep an amount from being spent until it is captured or voided, or until `lasts_us` microseconds pass."""

    wallet_id: int
    amount: int
    lasts_us: int
    note: str | None = None
    key: str | None = None


class CaptureHold(NamedTuple):
    """Debit what a hold keeps; `amount` None means all of it. The rest is released, or kept with `keep`."""

    wallet_id: int
    number: int
    amount: int | None = None
    keep: bool = False
    remarks: Remarks = NOTHING
    key: str | None = None


class VoidHold(NamedTuple):
    wallet_id: int
    number: int


class SetStatus(NamedTuple):
    wallet_id: int
    status: str


class Same(Enum):
    """A limit that does not change; None removes a limit."""

    SAME = "same"


SAME: Final = Same.SAME


class SetLimits(NamedTuple):
    wallet_id: int
    own_minimum: int | Same | None = SAME
    maximum: int | Same | None = SAME
    daily_debit: int | Same | None = SAME


class RestoreTransaction(NamedTuple):
    """Write a transaction as it was, in its place; its totals and its hash are computed.

    Minimums and limits are not checked: they may have been different then.
    """

    wallet_id: int
    seq: int
    is_credit: bool
    amount: int
    at_us: int
    remarks: Remarks
    key: str | None
    peer_wallet_id: int | None
    peer_seq: int | None
    reverses: int | None
    hold: int | None
    forced: bool
    user_key: bool = False
    actor: str | None = None
    balance: int | None = None
    """The balance that the wallet must have after it, if the export gives it."""


class RestoreHold(NamedTuple):
    hold: Hold


class RestoreEvent(NamedTuple):
    """Write an event as it was, in its place, after checking its hash."""

    event: Event


class RestoreState(NamedTuple):
    """Set a restored wallet's status and limits, after checking that its history ends where it should."""

    wallet_id: int
    transactions: int
    hash: bytes
    status: str
    own_minimum: int | None
    maximum: int | None
    daily_debit: int | None


class EndRestore(NamedTuple):
    """Let a restored ledger take writes, after checking that everything its rows refer to is there."""


class AddApiKey(NamedTuple):
    name: str
    key_hash: bytes
    read_only: bool


class RevokeApiKey(NamedTuple):
    name: str


class NoteUse(NamedTuple):
    """Record that an operator key was used, at the time of the turn."""

    name: str


class SetLedger(NamedTuple):
    """Change a setting of the ledger. The value was checked; None means the program's default."""

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
    | RestoreEvent
    | RestoreState
    | EndRestore
    | AddApiKey
    | RevokeApiKey
    | NoteUse
    | SetLedger
)


Keyed = Register | OpenWallet | Post | Transfer | Reverse | PlaceHold | CaptureHold


class Atomic(NamedTuple):
    """Commands that are applied together, or not at all."""

    commands: tuple[Single, ...]


Command = Single | Atomic


class Restoring(NamedTuple):
    """Whether an export is being imported into the ledger, which accepts nothing else until its end."""

    active: bool


Change = User | Wallet | Transaction | Hold | ApiKey | LedgerSetting | Restoring | Event


def is_same_again(command: Command) -> bool:
    """Whether giving it again does, and answers, what giving it once does."""
    if isinstance(command, Atomic):
        return all(map(is_same_again, command.commands))
    if isinstance(command, Keyed):
        return command.key is not None
    return not isinstance(command, VoidHold | AddApiKey)


class Applied(NamedTuple):
    """The command was applied; `made` is what it created or changed (of a transfer, the debit; of a setting, all that
    the ledger keeps).

    `beside` belongs to the answer too: the credit of a transfer; the last transaction of a changed wallet.
    """

    made: Change | LedgerFacts
    beside: Transaction | None = None


class Replayed(NamedTuple):
    """It was applied before, with the same key or in the same place. Nothing is applied; this is what it made."""

    made: Change
    beside: Transaction | None = None


class AppliedAtomic(NamedTuple):
    """All of them were applied: one result each, in order."""

    results: tuple[Applied | Replayed, ...]


class Refusal(NamedTuple):
    """The command changes nothing; `error` says why."""

    error: WalletError


Result = Applied | Replayed | AppliedAtomic | Refusal


def each(commands: Iterable[Command]) -> Iterator[Single]:
    """The single commands in order; a group is replaced by its commands."""
    for command in commands:
        if isinstance(command, Atomic):
            yield from command.commands
        else:
            yield command
