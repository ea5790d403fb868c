"""What a face may ask of a ledger: one list, for a ledger here (local.py) and on another machine (remote/).

Answers are those of answers.py; errors, those of errors.py. Whoever writes may be refused by the rules, and Busy or
StorageError may come of anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import Any, BinaryIO, Required, TypedDict, Unpack

    from wallet_cli.domain.ids import HoldId, TransactionId, TypedWallet, UserName, WalletName
    from wallet_cli.import_export.imports import Job
    from wallet_cli.operations.answers import Answer
    from wallet_cli.operations.pages import Paged
    from wallet_cli.operations.statements import Statement
    from wallet_cli.operations.transactions import Wanted

    class Noted(TypedDict, total=False):
        """What may go with a hold and a capture; the `key` makes it safe to send again."""

        note: str | None
        key: str | None

    class Described(Noted, total=False):
        """What may go with a transaction."""

        meta: Mapping[str, Any] | None

    class Entry(Described, total=False):
        """How a wallet is credited or debited, and when, if earlier than now.

        `reset_time`: the wallet's last time was a wrong clock's, and it goes on from now.
        """

        is_credit: Required[bool]
        at: str | None
        reset_time: bool


class LedgerApi(Protocol):
    """An open ledger, wherever it is."""

    def files(self) -> Collection[str]:
        """The names of the files that it is kept in, on this machine; none where it is not in files here."""

    def register(
        self, phone_number: str, name: str | None = None, *, exist_ok: bool = False, key: str | None = None
    ) -> Answer:
        """Add a user; the answer is a `user`. Raises UserExists unless `exist_ok`. A `key` makes it safe to repeat."""

    def users(self) -> Paged:
        """All users, in the order in which they registered."""

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
        currency than the one asked for.
        """

    def wallets(self, user: UserName | None) -> Paged:
        """All wallets, or a user's, in the order in which they were opened."""

    def balance(self, wallet: TypedWallet, at: str | None = None) -> Answer:
        """What a wallet holds now, or held at the end of the TIME `at`; the answer is a `wallet`, and `at`."""

    def set_limits(
        self,
        wallet: TypedWallet,
        minimum_balance: str | None = None,
        maximum_balance: str | None = None,
        daily_debit: str | None = None,
    ) -> Answer:
        """Change the limits that are given, `none` lifting one; the answer is the `wallet`."""

    def set_status(self, wallet: TypedWallet, status: str) -> Answer:
        """Freeze, unfreeze (`active`) or close a wallet; the answer is the `wallet`."""

    def add(self, wallet: TypedWallet, amount: str, **entry: Unpack[Entry]) -> Answer:
        """Credit or debit a wallet; the answer is a `transaction`, `replayed` if the key was used for it before."""

    def transfer(self, source: TypedWallet, target: TypedWallet, amount: str, **described: Unpack[Described]) -> Answer:
        """Move an amount from one wallet to another in one step: `debit` and `credit`, a `transaction` each."""

    def reverse(
        self, id_: TransactionId, amount: str | None = None, *, force: bool = False, **described: Unpack[Described]
    ) -> Answer:
        """Take a transaction back, or a part of it; the answer is the new `transaction`. `force` passes limits."""

    def transaction(self, id_: TransactionId) -> Answer:
        """A transaction, with `reversed` (how much of it has been taken back) and `reversals` (their ids)."""

    def transactions(self, wallet: TypedWallet, start: str | None, end: str | None, wanted: Wanted) -> Paged:
        """A wallet's transactions that are wanted, the newest first."""

    def total(self, wallet: TypedWallet, start: str | None = None, end: str | None = None) -> Answer:
        """What a wallet took in and gave out over a period."""

    def hold(self, wallet: TypedWallet, amount: str, expires: str, **noted: Unpack[Noted]) -> Answer:
        """Keep an amount from being spent for a while, such as 7d; the answer is a `hold`."""

    def capture(self, id_: HoldId, amount: str | None = None, *, keep: bool = False, **noted: Unpack[Noted]) -> Answer:
        """Debit what a hold keeps, or a part of it; the answer is the `transaction`. `keep` holds the rest on."""

    def void(self, id_: HoldId) -> Answer:
        """Let go of what a hold keeps; the answer is the `hold`."""

    def holds(self, wallet: TypedWallet) -> Paged:
        """A wallet's holds, the newest first."""

    def statement(
        self, wallet: TypedWallet, start: str | None = None, end: str | None = None
    ) -> AbstractContextManager[Statement]:
        """A statement, as the ledger was when it was opened; to be read in the `with` block."""

    def verify(self, wallet: TypedWallet | None = None) -> Answer:
        """Work out one wallet again, or the whole ledger: `ok, wallets, transactions`. Raises Damaged."""

    def export(self, form: str, wallet: TypedWallet | None = None) -> Iterator[str]:
        """The ledger, or one wallet of it, as text in parts of many lines."""

    def import_(self, source: BinaryIO, job: Job) -> Answer:
        """Read a file in: `applied, replayed, refused, users_created, wallets_created`, `skipped` (imports.run)."""

    def create_key(self, name: str, *, read_only: bool = False) -> Answer:
        """Make an operator key; the answer is the only place where it ever stands."""

    def revoke_key(self, name: str) -> Answer:
        """Refuse an operator key from now on."""

    def keys(self) -> list[Answer]:
        """The operator keys."""

    def token(self, user: UserName, expires_minutes: int | None, notify: Callable[[str], None]) -> Answer:
        """A token for a user: `token, token_type, user_id`. `notify` is told of a weak secret that is let pass."""

    def facts(self) -> Answer:
        """What the ledger says of itself: its id, where it is, its schema, and the settings that it keeps."""

    def change(self, name: str, value: str) -> Answer:
        """Change a setting that the ledger keeps, `none` leaving it to the program; answers as `facts`."""
