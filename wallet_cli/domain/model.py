"""The rows of the ledger. Amounts in minor units, times in microseconds since 1970 (UTC).

NamedTuples, not dataclasses: at start-up the class costs a seventh of a dataclass, and an instance half.
"""

from __future__ import annotations

from datetime import tzinfo
from functools import lru_cache

from wallet_cli.domain.ids import format_wallet
from wallet_cli.domain.money import Currency, parse_default_minimum
from wallet_cli.domain.period import UTC_NAME, Day, day_of, zone_of
from wallet_cli.domain.remarks import NOTHING, Remarks
from wallet_cli.errors import InvalidInput, Mention, StorageError
from wallet_cli.named_tuples import NamedTuple

ACTIVE = "active"
FROZEN = "frozen"
CLOSED = "closed"

OPEN = "open"
CAPTURED = "captured"
VOIDED = "voided"
EXPIRED = "expired"


class User(NamedTuple):
    id: int
    phone_number: str
    """As typed."""
    phone_e164: str
    phone_region: str | None
    phone_national: str | None
    """The digits for this number within `region` (see domain/phone.py)."""
    name: str | None
    created_at_us: int
    key: str | None = None
    """The idempotency key of the registration."""


class Transaction(NamedTuple):
    """One credit or debit, and a snapshot of its wallet just after it.

    It has the running totals, so a balance is one row and a total over any period two. `hash` chains it to the previous
    one (see domain/hash_chain.py).
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
    key: str | None
    hash: bytes
    peer_wallet_id: int | None = None
    peer_seq: int | None = None
    """The wallet id of the other leg, if this is a leg of a transfer."""
    reverses: int | None = None
    """The seq of the transaction of this wallet that this one reverses, in part or whole."""
    hold: int | None = None
    """The number of the hold of this wallet that this one captures, in part or whole."""
    forced: bool = False
    """An operator forced it past a minimum or a limit."""
    user_key: bool = False
    """Whether `key` is a user's key. Keys of users and of operators are two separate sets."""
    actor: str | None = None
    """Who did it (see domain/actors.py); None in rows from before this was kept."""
    remarks: Remarks = NOTHING

    @property
    def balance(self) -> int:
        return self.credit_total - self.debit_total

    @property
    def peer(self) -> tuple[int, int] | None:
        """The wallet id and seq of the other leg; None if it is not a leg of a transfer."""
        return None if self.peer_wallet_id is None or self.peer_seq is None else (self.peer_wallet_id, self.peer_seq)

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
    """The minimum balance of this wallet; None to use the setting."""
    created_at_us: int
    maximum: int | None = None
    """The maximum balance."""
    daily_debit: int | None = None
    """The most that may be debited within one day of the ledger's time zone."""
    held: int = 0
    """What its open holds keep, including expired ones whose expiry was not noted yet."""
    hold_count: int = 0
    """How many holds it ever had; the next one has this number plus one."""
    key: str | None = None
    """The idempotency key of its opening."""
    opening_minimum: int | None = None
    """`own_minimum` as it was when the wallet was opened."""

    @property
    def name(self) -> str:
        """Its WALLET name: `2/main`."""
        return format_wallet(self.user_id, self.type)

    @property
    def mention(self) -> Mention:
        """The wallet, for the message of an error."""
        return Mention(self.id, self.name)


class Hold(NamedTuple):
    """Money of a wallet that is reserved: authorised, to be captured later or released."""

    wallet_id: int
    number: int
    """1, 2, 3 … within the wallet, without a gap."""
    amount: int
    captured: int
    status: str
    created_at_us: int
    expires_at_us: int
    ended_at_us: int | None
    note: str | None
    key: str | None

    @property
    def remaining(self) -> int:
        """The amount that it keeps from being spent while it is open."""
        return self.amount - self.captured


class ApiKey(NamedTuple):
    """A program that may call `wallet serve`: the key's name and SHA-256, never the key."""

    name: str
    key_hash: bytes
    read_only: bool
    created_at_us: int
    revoked_at_us: int | None
    last_used_at_us: int | None


class Event(NamedTuple):
    """A change of a user, a wallet, or the ledger itself that is no transaction (see domain/events.py)."""

    kind: int
    """What it is about: one of events.KINDS."""
    subject_id: int
    number: int
    """1, 2, 3 … for its subject, without a gap."""
    at_us: int
    actor: str | None
    what: str
    """In words: `frozen`, `hold placed`."""
    details: str
    """Canonical JSON: the rows that it changed, as they are after it."""
    hash: bytes


class Witness(NamedTuple):
    """A second record of a wallet's changing fields and its last transaction; `seq` is 0 before the first."""

    wallet_id: int
    seq: int
    hash: bytes | None
    status: str
    own_minimum: int | None
    maximum: int | None
    daily_debit: int | None
    held: int
    holds: int

    @classmethod
    def of(cls, wallet: Wallet, last: Transaction) -> Witness:
        """The witness that belongs to this wallet and last transaction."""
        return cls(
            *(wallet.id, last.seq, last.hash if last.seq else None, wallet.status, wallet.own_minimum),
            *(wallet.maximum, wallet.daily_debit, wallet.held, wallet.hold_count),
        )


class Account(NamedTuple):
    """A wallet and its last transaction; before the first one, `last` has seq 0 and empty totals.

    `expired` is the part of `wallet.held` that belongs to open holds past their expiry, and is free again. `before` is
    the hash of the transaction before the last one, where there is one and it was read.
    """

    wallet: Wallet
    last: Transaction
    expired: int = 0
    before: bytes | None = None

    @property
    def held(self) -> int:
        return self.wallet.held - self.expired


class LedgerFacts(NamedTuple):
    """What a ledger keeps about itself: its id, and its settings as text; None where it has none."""

    uuid: str | None = None
    currency: str | None = None
    phone_region: str | None = None
    minimum_balance: str | None = None
    timezone: str | None = None


class LedgerSetting(NamedTuple):
    """A setting that a ledger keeps; None for the program's default."""

    name: str
    value: str | None


class Policy(NamedTuple):
    """The rules that settings choose. `minimum_balance` is decimal text, read in each wallet's currency.

    A None minimum means the ledger's. `zone` is the IANA name of the time zone of its days. `clock_skew_us` is how far
    clocks may differ (rules/clocks.py); None to doubt no clock.
    """

    minimum_balance: str | None = None
    zone: str = UTC_NAME
    clock_skew_us: int | None = None

    def within(self, facts: LedgerFacts) -> Policy:
        """The same for a ledger: the time zone is the ledger's, and so is the minimum if none was chosen."""
        minimum = facts.minimum_balance if self.minimum_balance is None else self.minimum_balance
        return self._replace(minimum_balance=minimum, zone=facts.timezone or UTC_NAME)

    def minimum_of(self, wallet: Wallet) -> int:
        """The minimum balance in minor units: the wallet's own, or the setting's, however large that is."""
        if wallet.own_minimum is not None:
            return wallet.own_minimum
        return _minimum(self.minimum_balance or "0", wallet.currency)

    @property
    def tz(self) -> tzinfo:
        """The time zone. Raises StorageError where this machine does not know it."""
        try:
            return zone_of(self.zone)
        except InvalidInput:
            raise StorageError(
                f"this machine does not know the ledger's time zone, {self.zone}",
                hint="upgrade the Python package tzdata in the environment of wallet-cli; if there is no such zone:"
                " wallet ledger set timezone ZONE",
            ) from None

    def day_of(self, at_us: int) -> Day:
        """The day of the ledger that a moment is in."""
        return day_of(at_us, self.tz)


@lru_cache(maxsize=256)
def _minimum(text: str, currency: Currency) -> int:
    """A setting's minimum in a currency; rounded up if the currency has fewer digits than the text."""
    digits = max(currency.exponent, len(text.partition(".")[2]))
    minor = parse_default_minimum(text, Currency(currency.name, digits))
    return -(-minor // int(10 ** (digits - currency.exponent)))


def available(balance: int, minimum: int, held: int = 0) -> int:
    """What a debit may take now."""
    return max(0, balance - held - minimum)
