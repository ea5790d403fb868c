"""The operations of a ledger: one list, for a ledger on this machine (local.py) and for a server's (remote/).

Answers are those of answers.py; errors, those of errors.py. The rules may refuse any write, and any call may raise Busy
or StorageError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from contextlib import AbstractContextManager
    from datetime import tzinfo
    from typing import BinaryIO, Required, TypedDict, Unpack

    from wallet_cli.domain.ids import HoldId, TransactionId, TypedWallet, UserName, WalletName
    from wallet_cli.domain.remarks import Remarks
    from wallet_cli.import_export.imports import Job
    from wallet_cli.operations.answers import Answer
    from wallet_cli.operations.pages import Paged
    from wallet_cli.operations.statements import Statement
    from wallet_cli.operations.transactions import Wanted

    class Noted(TypedDict, total=False):
        """Optional fields of a hold and a capture. The `key` makes it safe to send again."""

        note: str | None
        key: str | None

    class Described(TypedDict, total=False):
        """What may go with a transaction, and a `key`, which makes it safe to send again."""

        remarks: Remarks
        key: str | None

    class Entry(Described, total=False):
        """A credit or debit, and its time, if earlier than now.

        `reset_time`: the wallet's last time is from a wrong clock; its times count from now.
        """

        is_credit: Required[bool]
        at: str | None
        reset_time: bool


class LedgerApi(Protocol):
    """An open ledger, on this machine or behind a server."""

    def zone(self) -> tzinfo:
        """The time zone of the ledger's days. Raises StorageError where this machine does not know it."""

    def register(
        self, phone_number: str, name: str | None = None, *, exist_ok: bool = False, key: str | None = None
    ) -> Answer:
        """Add a user; the answer is a `user`. Raises UserExists unless `exist_ok`. A `key` makes it safe to repeat."""

    def users(self, text: str | None = None) -> Paged:
        """All users, or those by a name or number with that text, in the order in which they registered."""

    def user(self, name: UserName) -> Answer:
        """A `user`. Raises UserNotFound."""

    def create(
        self,
        wallet: WalletName,
        currency: str | None = None,
        minimum_balance: str | None = None,
        *,
        exist_ok: bool = False,
        key: str | None = None,
    ) -> Answer:
        """Open a wallet; the answer is a `wallet`.

        A `key` makes it safe to repeat. Raises WalletExists; `exist_ok` accepts one that is there, but not in another
        currency, or with another minimum, than the one asked for.
        """

    def wallets(self, user: UserName | None) -> Paged:
        """All wallets, or a user's, in the order in which they were opened."""

    def holders(self, wallet_ids: Collection[int]) -> list[Answer]:
        """Whose wallets these are: a `holder` of each that there is, and that the caller may see."""

    def balance(self, wallet: TypedWallet, at: str | None = None) -> Answer:
        """A wallet's balance now, or at the end of the TIME `at`; the answer is a `wallet`, and `at`."""

    def set_limits(
        self,
        wallet: TypedWallet,
        minimum_balance: str | None = None,
        maximum_balance: str | None = None,
        daily_debit: str | None = None,
    ) -> Answer:
        """Change the given limits; `none` removes one. The answer is the `wallet`."""

    def set_status(self, wallet: TypedWallet, status: str) -> Answer:
        """Freeze, unfreeze (`active`) or close a wallet; the answer is the `wallet`."""

    def add(self, wallet: TypedWallet, amount: str, **entry: Unpack[Entry]) -> Answer:
        """Credit or debit a wallet; the answer is a `transaction`, `replayed` if this key applied it before."""

    def transfer(self, source: TypedWallet, target: TypedWallet, amount: str, **described: Unpack[Described]) -> Answer:
        """Move an amount from one wallet to another in one step: `debit` and `credit`, a `transaction` each."""

    def reverse(
        self, id_: TransactionId, amount: str | None = None, *, force: bool = False, **described: Unpack[Described]
    ) -> Answer:
        """Reverse a transaction, or a part of it; the answer is the new `transaction`. `force` ignores limits."""

    def transaction(self, id_: TransactionId) -> Answer:
        """A transaction, with `reversed` (how much of it was reversed) and `reversals` (their ids)."""

    def transactions(self, wallet: TypedWallet, start: str | None, end: str | None, wanted: Wanted) -> Paged:
        """A wallet's transactions that match, the newest first."""

    def history(self, start: str | None, end: str | None, wanted: Wanted) -> Paged:
        """The day book: the transactions of all wallets that are wanted, the newest first, each with its `wallet` and
        its owner's `name`.
        """

    def audit(self, wallet: TypedWallet | None = None, user: UserName | None = None) -> Paged:
        """What was done, and by whom, to a wallet, to a user with all their wallets, or to all: the newest `event`
        first.
        """

    def named(self, name: str) -> Answer:
        """The `users` that a name is, or may be, of; where there is none, those with a `similar` one (finding.py)."""

    def find(self, text: str, limit: int) -> Answer:
        """What a text is found in: `users, more_users, transactions, next_cursor` (finding.py)."""

    def overview(self) -> Answer:
        """What is in the ledger: `users, wallets, transactions`, and what the wallets of each of `currencies` hold."""

    def total(self, wallet: TypedWallet, start: str | None = None, end: str | None = None) -> Answer:
        """A wallet's credits and debits over a period."""

    def hold(self, wallet: TypedWallet, amount: str, expires: str, **noted: Unpack[Noted]) -> Answer:
        """Keep an amount from being spent for a duration, such as 7d; the answer is a `hold`."""

    def capture(self, id_: HoldId, amount: str | None = None, *, keep: bool = False, **noted: Unpack[Noted]) -> Answer:
        """Debit what a hold keeps, or a part of it; the answer is the `transaction`. `keep` keeps the rest on hold."""

    def void(self, id_: HoldId) -> Answer:
        """Release what a hold keeps; the answer is the `hold`."""

    def holds(self, wallet: TypedWallet) -> Paged:
        """A wallet's holds, the newest first."""

    def statement(
        self, wallet: TypedWallet, start: str | None = None, end: str | None = None
    ) -> AbstractContextManager[Statement]:
        """A statement of the ledger as it was when opened; read it in the `with` block."""

    def verify(
        self,
        wallet: TypedWallet | None = None,
        watch: Callable[[int, int | None], None] | None = None,
        *,
        notes: bool = True,
    ) -> Answer:
        """Check one wallet, or the whole ledger: `ok, wallets, transactions`. Raises Damaged.

        `watch` may be told, now and then, how many transactions are checked, and of how many. Without `notes`, what is
        found is not noted in a ledger that is read from here; a server notes it in its own.
        """

    def verify_against(self, seal: str, public: str | None = None) -> Answer:
        """Check the ledger, and that all in a seal (a file) is still there: as `verify`, and `sealed_at, root`.

        `public` is the public key of its maker, or a file with it; this user's, if it is not given.
        """

    def verify_receipt(self, receipt: str, public: str | None = None) -> Answer:
        """Check a receipt (a file): as `verify_against`, and `transaction, reversed, reversals`."""

    def export(self, form: str, wallet: TypedWallet | None = None) -> Iterator[str]:
        """The ledger, or one wallet, as text in parts of many lines."""

    def import_(self, source: BinaryIO, job: Job) -> Answer:
        """Import a file: `applied, replayed, refused, users_created, wallets_created`, `skipped` (imports.run)."""

    def create_key(self, name: str, *, read_only: bool = False) -> Answer:
        """Create an operator key. Only this answer ever has the key itself."""

    def revoke_key(self, name: str) -> Answer:
        """Revoke an operator key: it is refused from now on."""

    def keys(self) -> list[Answer]:
        """The operator keys."""

    def token(self, user: UserName, expires_minutes: int | None, notify: Callable[[str], None]) -> Answer:
        """A token for a user: `token, token_type, user_id`. `notify` gets a warning about a weak secret that is
        accepted.
        """

    def ledger_id(self) -> str | None:
        """The id of the ledger; None where that is not known: it may be too old for one, or a server's, which tells it
        to operators alone.
        """

    def facts(self) -> Answer:
        """The ledger's id, address, schema, and settings."""

    def change(self, name: str, value: str) -> Answer:
        """Change a setting of the ledger; `none` means the program's default. Answers as `facts`."""
