"""A ledger on this machine or in a database: each operation calls its function in operations/.

A command needs one of them, and imports only that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO, Unpack

from wallet_cli.api import LedgerApi
from wallet_cli.errors import UserExists, WalletExists
from wallet_cli.operations import users, wallets
from wallet_cli.operations.answers import Answer, user_answer, wallet_answer
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.pages import Paged
from wallet_cli.operations.prepared import naming

if TYPE_CHECKING:
    from datetime import tzinfo

    from wallet_cli.api import Described, Entry, Noted
    from wallet_cli.domain.ids import HoldId, TransactionId, TypedWallet, UserName, WalletName
    from wallet_cli.import_export.imports import Job
    from wallet_cli.operations.statements import Statement
    from wallet_cli.operations.transactions import Wanted


def files_of(db: str) -> Collection[str]:
    """The names of a ledger's files on this machine; none where it has no files here."""
    from wallet_cli.storage.ledger_file import ledger_path, names_of

    return () if "://" in db else names_of(ledger_path(db))


class LocalLedger(LedgerApi):
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def zone(self) -> tzinfo:
        return self._ledger.zone()

    def register(
        self, phone_number: str, name: str | None = None, *, exist_ok: bool = False, key: str | None = None
    ) -> Answer:
        prepared = users.register(self._ledger, phone_number, name, key)
        try:
            return self._ledger.run(prepared, "register")
        except UserExists:
            known = self._ledger.store.user_by_e164(prepared.command.phone.e164)
            if not exist_ok or known is None:
                raise
            return user_answer(known)

    def users(self, text: str | None = None) -> Paged:
        if text is None:
            return users.listed(self._ledger)
        from wallet_cli.operations import finding

        return finding.users(self._ledger, text)

    def user(self, name: UserName) -> Answer:
        return user_answer(users.find_user(self._ledger, name))

    def create(
        self,
        wallet: WalletName,
        currency: str | None = None,
        minimum_balance: str | None = None,
        *,
        exist_ok: bool = False,
        key: str | None = None,
    ) -> Answer:
        ledger = self._ledger
        prepared = wallets.create(ledger, wallet, currency, minimum_balance, key)
        command = prepared.command
        try:
            return ledger.run(prepared, "create")
        except WalletExists as error:
            known = ledger.store.account_of(command.user_id, command.type, ledger.now_us())
            if known is None:
                raise
            if exist_ok and (currency is None or known.wallet.currency.is_meant(currency)):
                made = wallet_answer(known, ledger.policy)
                hint = wallets.other_minimum(made, minimum_balance)
                if hint is None:
                    return made
                error.hint = hint
            with naming((wallet, known.wallet)):
                raise

    def wallets(self, user: UserName | None) -> Paged:
        return wallets.listed(self._ledger, user)

    def holders(self, wallet_ids: Collection[int]) -> list[Answer]:
        return wallets.holders(self._ledger, wallet_ids)

    def balance(self, wallet: TypedWallet, at: str | None = None) -> Answer:
        return wallets.balance(self._ledger, wallet, at)

    def set_limits(
        self,
        wallet: TypedWallet,
        minimum_balance: str | None = None,
        maximum_balance: str | None = None,
        daily_debit: str | None = None,
    ) -> Answer:
        prepared = wallets.set_limits(self._ledger, wallet, minimum_balance, maximum_balance, daily_debit)
        return self._ledger.run(prepared, "limits")

    def set_status(self, wallet: TypedWallet, status: str) -> Answer:
        return self._ledger.run(wallets.set_status(self._ledger, wallet, status), status)

    def add(self, wallet: TypedWallet, amount: str, **entry: Unpack[Entry]) -> Answer:
        from wallet_cli.operations import transactions

        return self._ledger.run(transactions.add(self._ledger, wallet, amount, **entry), "tx add")

    def transfer(self, source: TypedWallet, target: TypedWallet, amount: str, **described: Unpack[Described]) -> Answer:
        from wallet_cli.operations import transactions

        return self._ledger.run(transactions.transfer(self._ledger, source, target, amount, **described), "transfer")

    def reverse(
        self, id_: TransactionId, amount: str | None = None, *, force: bool = False, **described: Unpack[Described]
    ) -> Answer:
        from wallet_cli.operations import transactions

        prepared = transactions.reverse(self._ledger, id_, amount, force=force, **described)
        return self._ledger.run(prepared, "tx reverse")

    def transaction(self, id_: TransactionId) -> Answer:
        from wallet_cli.operations import transactions

        return transactions.show(self._ledger, id_)

    def transactions(self, wallet: TypedWallet, start: str | None, end: str | None, wanted: Wanted) -> Paged:
        from wallet_cli.operations import transactions

        return Paged(
            lambda limit, cursor, counted: transactions.listed(
                self._ledger, wallet, start, end, limit, cursor, wanted, counted=counted
            ),
            lambda cursor: transactions.streamed(self._ledger, wallet, start, end, cursor, wanted),
        )

    def history(self, start: str | None, end: str | None, wanted: Wanted) -> Paged:
        from wallet_cli.operations import day_book

        return day_book.paged(self._ledger, start, end, wanted)

    def audit(self, wallet: TypedWallet | None = None, user: UserName | None = None) -> Paged:
        from wallet_cli.operations import audit

        return audit.audit(self._ledger, wallet, user)

    def named(self, name: str) -> Answer:
        from wallet_cli.operations import finding

        return finding.named(self._ledger, name)

    def find(self, text: str, limit: int) -> Answer:
        from wallet_cli.operations import finding

        return finding.find(self._ledger, text, limit)

    def overview(self) -> Answer:
        from wallet_cli.operations import ledgers

        return ledgers.overview(self._ledger)

    def total(self, wallet: TypedWallet, start: str | None = None, end: str | None = None) -> Answer:
        from wallet_cli.operations import transactions

        return transactions.total(self._ledger, wallet, start, end)

    def hold(self, wallet: TypedWallet, amount: str, expires: str, **noted: Unpack[Noted]) -> Answer:
        from wallet_cli.operations import holds

        return self._ledger.run(holds.add(self._ledger, wallet, amount, expires=expires, **noted), "hold add")

    def capture(self, id_: HoldId, amount: str | None = None, *, keep: bool = False, **noted: Unpack[Noted]) -> Answer:
        from wallet_cli.operations import holds

        return self._ledger.run(holds.capture(self._ledger, id_, amount, keep=keep, **noted), "hold capture")

    def void(self, id_: HoldId) -> Answer:
        from wallet_cli.operations import holds

        return self._ledger.run(holds.void(self._ledger, id_), "hold void")

    def holds(self, wallet: TypedWallet) -> Paged:
        from wallet_cli.operations import holds

        return holds.listed(self._ledger, wallet)

    def statement(
        self, wallet: TypedWallet, start: str | None = None, end: str | None = None
    ) -> AbstractContextManager[Statement]:
        from wallet_cli.operations import statements

        return statements.opened(self._ledger, wallet, start, end)

    def verify(
        self,
        wallet: TypedWallet | None = None,
        watch: Callable[[int, int | None], None] | None = None,
        *,
        notes: bool = True,
    ) -> Answer:
        from wallet_cli.operations import verification

        if not notes:
            return verification.check(self._ledger, wallet)
        return verification.verify(self._ledger, wallet, watch, all_cores=True)

    def verify_against(self, seal: str, public: str | None = None) -> Answer:
        from wallet_cli.operations import seals

        return seals.verify_against(self._ledger, seals.read(seal, public))

    def verify_receipt(self, receipt: str, public: str | None = None) -> Answer:
        from wallet_cli.operations import seals

        return seals.check_receipt(self._ledger, receipt, public)

    def export(self, form: str, wallet: TypedWallet | None = None) -> Iterator[str]:
        from wallet_cli.import_export import exports

        return exports.export(self._ledger, form, wallet)

    def import_(self, source: BinaryIO, job: Job) -> Answer:
        from pathlib import PurePath

        from wallet_cli.domain import actors
        from wallet_cli.import_export import imports

        self._ledger.executor.actor = actors.by_import(PurePath(job.name).name or "-")
        return imports.run(self._ledger, source, *job)

    def create_key(self, name: str, *, read_only: bool = False) -> Answer:
        from wallet_cli.operations import api_keys

        return self._ledger.run(api_keys.create(name, read_only=read_only), "key create")

    def revoke_key(self, name: str) -> Answer:
        from wallet_cli.operations import api_keys

        return self._ledger.run(api_keys.revoke(name), "key revoke")

    def keys(self) -> list[Answer]:
        from wallet_cli.operations import api_keys

        return api_keys.listed(self._ledger)

    def token(self, user: UserName, expires_minutes: int | None, notify: Callable[[str], None]) -> Answer:
        from wallet_cli.operations import access

        return access.issue(self._ledger, user, expires_minutes, notify)

    def ledger_id(self) -> str | None:
        return None if self._ledger.store.is_copy else self._ledger.store.ledger_id()

    def facts(self) -> Answer:
        from wallet_cli.operations import ledgers

        return ledgers.show(self._ledger)

    def change(self, name: str, value: str) -> Answer:
        from wallet_cli.operations import ledgers

        return ledgers.change(self._ledger, name, value)
