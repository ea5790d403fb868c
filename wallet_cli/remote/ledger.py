"""The ledger behind a `wallet serve`: each operation is one or two requests.

The server decides. This code refuses only what cannot be sent: a key, which must be right before its first use; the
times of a period, whose zone is the ledger's here and UTC there; an empty URL parameter, which would count as not
given or be refused; and texts that a JSON body cannot have, so that their error is readable. And what a ledger would
refuse before that, or before what is looked up to send it: where two things are wrong, the same one is told.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack

from wallet_cli.api import LedgerApi
from wallet_cli.domain.ids import (
    HoldId,
    TransactionId,
    TypedWallet,
    UserId,
    UserName,
    WalletName,
    check_name,
    check_operator_name,
    checked_key,
    format_hold_id,
    format_transaction_id,
    parse_user,
)
from wallet_cli.domain.model import ACTIVE, CLOSED, FROZEN
from wallet_cli.domain.money import parse_amount, parse_any_amount, parse_currency
from wallet_cli.domain.period import format_end, format_time, parse_period, parse_time
from wallet_cli.domain.remarks import NOTHING, Remarks
from wallet_cli.errors import InvalidInput, UserExists, UserNotFound, WalletExists
from wallet_cli.operations import audit, fields
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.finding import check_found
from wallet_cli.operations.ledgers import checked
from wallet_cli.operations.pages import MAX_LIMIT, Paged, check_limit, parse_after
from wallet_cli.operations.prepared import naming
from wallet_cli.operations.transactions import Wanted, check_texts, filter_of, parse_cursor, read_filter, time_of
from wallet_cli.operations.wallets import MAX_HOLDERS, other_minimum
from wallet_cli.remote import imports, sealed_there, statements
from wallet_cli.remote.client import Client, bounds_of, ids, known_wallet, told_currency, user_text, zone_of_times
from wallet_cli.remote.http import NO_QUERY

if TYPE_CHECKING:
    from wallet_cli.api import Described, Entry, Noted
    from wallet_cli.import_export.imports import Job
    from wallet_cli.operations.statements import Statement

CHANGES = {ACTIVE: "unfreeze", FROZEN: "freeze", CLOSED: "close"}
EXPORTS = ("application/x-ndjson", "text/csv", "text/plain")

VERIFY_PATIENCE_S = 3600.0
"""How long verifying a whole ledger may take."""


class RemoteLedger(Client, LedgerApi):
    def register(
        self, phone_number: str, name: str | None = None, *, exist_ok: bool = False, key: str | None = None
    ) -> Answer:
        if name is not None:
            check_name(name)
        key = checked_key(key)
        body = {"phone_number": phone_number, "name": name, "phone_region": self.region}
        try:
            # Only with `exist_ok` may the answer be the user that a lost try created.
            return self._post("/users", fields.User, body, key=key, again=exist_ok)
        except UserExists as error:
            known = error.details.get("user_id")
            if not exist_ok:
                raise
            # An older server does not say whose the number is.
            return self.find_user(UserId(known) if type(known) is int else parse_user(phone_number))

    def users(self, text: str | None = None) -> Paged:
        if text is not None:
            check_found(text)  # an empty one cannot be sent
        return self._paged("users", fields.UserPage, lambda: "/users", text=text)

    def user(self, name: UserName) -> Answer:
        return self.find_user(name)

    def create(
        self,
        wallet: WalletName,
        currency: str | None = None,
        minimum_balance: str | None = None,
        *,
        exist_ok: bool = False,
        key: str | None = None,
    ) -> Answer:
        key = checked_key(key)
        unit = currency
        if currency is None and self.settings.given("currency") is not None:
            unit = self.settings.currency.name
        try:
            user_id = self.find_user(wallet.user)["id"]
        except UserNotFound:
            if unit is not None:
                parse_currency(unit)  # of which a file speaks first
            raise
        body = {"user_id": user_id, "type": wallet.type, "currency": unit, "minimum_balance": minimum_balance}
        try:
            return self._post("/wallet/create", fields.Wallet, body, key=key, again=exist_ok)
        except WalletExists as error:
            made = self.balance(wallet)
            if exist_ok and (currency is None or told_currency(made).is_meant(currency)):
                hint = other_minimum(made, minimum_balance)
                if hint is None:
                    return made
                error.hint = hint
            with naming((wallet, known_wallet(made))):
                raise

    def wallets(self, user: UserName | None) -> Paged:
        if user is None:
            return self._paged("wallets", fields.WalletPage, lambda: "/wallets")
        return self._paged(
            "wallets", fields.WalletPage, lambda: "/lookup/wallets", user=user_text(user), region=self.region
        )

    def holders(self, wallet_ids: Collection[int]) -> list[Answer]:
        found: list[Answer] = []
        ids = sorted(wallet_ids)
        for start in range(0, len(ids), MAX_HOLDERS):
            text = ",".join(map(str, ids[start : start + MAX_HOLDERS]))
            found += self.server.get("/lookup/holders", list[fields.Holder], {"wallets": text})
        return found

    def balance(self, wallet: TypedWallet, at: str | None = None) -> Answer:
        return self.wallet(wallet, None if at is None else format_end(parse_time(at, self.zone, self.now_us).end_us))

    def set_limits(
        self,
        wallet: TypedWallet,
        minimum_balance: str | None = None,
        maximum_balance: str | None = None,
        daily_debit: str | None = None,
    ) -> Answer:
        limits = {"minimum_balance": minimum_balance, "maximum_balance": maximum_balance, "daily_debit": daily_debit}
        found = self.find_wallet(wallet)
        with naming((wallet, found)):
            return self._post("/wallet/limits", fields.Wallet, ids(found) | limits, again=True)

    def set_status(self, wallet: TypedWallet, status: str) -> Answer:
        # What is so already stays so: it may be sent again.
        found = self.find_wallet(wallet)
        with naming((wallet, found)):
            return self._post(f"/wallet/{CHANGES[status]}", fields.Wallet, ids(found), again=True)

    def add(self, wallet: TypedWallet, amount: str, **entry: Unpack[Entry]) -> Answer:
        if entry.get("reset_time"):
            raise InvalidInput("a wallet's time cannot be reset over HTTP", hint="run it on the server")
        at, key = entry.get("at"), checked_key(entry.get("key"))
        found, query = self.find_wallet(wallet), NO_QUERY
        if at is not None:
            parse_amount(amount, found.currency)  # it is read before the time
            moment_us = time_of(at, key, UTC, self.now_us)
            query = zone_of_times([at])
            if not query:
                at = format_time(moment_us)
        body = ids(found) | {"amount": amount, "is_credit": entry["is_credit"], "at": at} | _said(entry)
        with naming((wallet, found)):
            return self._post("/transactions/create", fields.Transaction, body, key=key, query=query)

    def transfer(self, source: TypedWallet, target: TypedWallet, amount: str, **described: Unpack[Described]) -> Answer:
        key = checked_key(described.get("key"))
        out, into = self.find_wallet(source), self.find_wallet(target)
        to = {"to_user_id": into.user_id, "to_wallet_id": into.id, "amount": amount}
        with naming((source, out), (target, into)):
            return self._post("/transfers/create", fields.Transfer, ids(out) | to | _said(described), key=key)

    def reverse(
        self, id_: TransactionId, amount: str | None = None, *, force: bool = False, **described: Unpack[Described]
    ) -> Answer:
        body = {"transaction": format_transaction_id(*id_), "amount": amount, "force": force}
        key = checked_key(described.get("key"))
        return self._post("/transactions/reverse", fields.Transaction, body | _said(described), key=key)

    def transaction(self, id_: TransactionId) -> Answer:
        return self._get("/lookup/transaction", fields.TransactionDetail, id=format_transaction_id(*id_))

    def transactions(self, wallet: TypedWallet, start: str | None, end: str | None, wanted: Wanted) -> Paged:
        period = parse_period(start, end, self.zone, self.now_us)
        check_texts(wanted)
        kind, least, most, text, key = wanted
        query = {"kind": kind, "min": least, "max": most, "text": text or None, "key": key} | bounds_of(period)

        @cache
        def path() -> str:
            found = self.find_wallet(wallet)
            filter_of(wanted, found)  # an empty filter cannot be sent
            return f"/transactions/get/{found.user_id}/{found.id}"

        return _filled(self._paged("transactions", fields.TransactionPage, path, parse_cursor, **query), text)

    def history(self, start: str | None, end: str | None, wanted: Wanted) -> Paged:
        period = parse_period(start, end, self.zone, self.now_us)
        kind, least, most, text, key = wanted
        read_filter(wanted, parse_any_amount)  # an empty filter cannot be sent
        query = {"kind": kind, "min": least, "max": most, "text": text or None, "key": key} | bounds_of(period)
        return _filled(self._paged("transactions", fields.EntryPage, lambda: "/history", parse_cursor, **query), text)

    def audit(self, wallet: TypedWallet | None = None, user: UserName | None = None) -> Paged:
        query = {
            "wallet": None if wallet is None else wallet.text,
            "user": None if user is None else user_text(user),
            "region": self.region,
        }
        return self._paged("events", fields.EventPage, lambda: "/audit", audit.parse_cursor, **query)

    def named(self, name: str) -> Answer:
        return self._get("/lookup/users", fields.Named, name=name)

    def find(self, text: str, limit: int) -> Answer:
        check_found(text)
        check_limit(limit)
        answer = self._get("/find", fields.Found, text=text, limit=str(limit))
        found = answer["transactions"]
        if answer["next_cursor"] is None or len(found) >= limit:
            return answer
        rest = self.history(None, None, Wanted(text=text)).page(limit - len(found), answer["next_cursor"], False)
        return answer | {"transactions": found + rest["transactions"], "next_cursor": rest["next_cursor"]}

    def overview(self) -> Answer:
        return self._get("/overview", fields.Overview)

    def total(self, wallet: TypedWallet, start: str | None = None, end: str | None = None) -> Answer:
        period = parse_period(start, end, self.zone, self.now_us)
        return self.total_of(self.find_wallet(wallet), period)

    def hold(self, wallet: TypedWallet, amount: str, expires: str, **noted: Unpack[Noted]) -> Answer:
        said = _checked(noted)
        found = self.find_wallet(wallet)
        with naming((wallet, found)):
            body = ids(found) | {"amount": amount, "expires": expires} | said
            return self._post("/holds/create", fields.Hold, body, key=noted.get("key"))

    def capture(self, id_: HoldId, amount: str | None = None, *, keep: bool = False, **noted: Unpack[Noted]) -> Answer:
        body = {"hold": format_hold_id(*id_), "amount": amount, "keep": keep}
        return self._post("/holds/capture", fields.Transaction, body | _checked(noted), key=noted.get("key"))

    def void(self, id_: HoldId) -> Answer:
        return self._post("/holds/void", fields.Hold, {"hold": format_hold_id(*id_)})

    def holds(self, wallet: TypedWallet) -> Paged:
        @cache
        def path() -> str:
            found = self.find_wallet(wallet)
            return f"/holds/get/{found.user_id}/{found.id}"

        return self._paged("holds", fields.HoldPage, path)

    def statement(
        self, wallet: TypedWallet, start: str | None = None, end: str | None = None
    ) -> AbstractContextManager[Statement]:
        return statements.opened(self, wallet, start, end)

    def verify(
        self,
        wallet: TypedWallet | None = None,
        watch: Callable[[int, int | None], None] | None = None,
        *,
        notes: bool = True,
    ) -> Answer:
        # A damaged ledger does not recover in a moment: a failure is not retried.
        query = {"wallet": None if wallet is None else wallet.text, "region": self.region}
        checked: Answer = self.server.get(
            "/verify", fields.Verification, query, patience_s=VERIFY_PATIENCE_S, again=False
        )
        return checked

    def verify_against(self, seal: str, public: str | None = None) -> Answer:
        raise sealed_there()

    def verify_receipt(self, receipt: str, public: str | None = None) -> Answer:
        raise sealed_there()

    def export(self, form: str, wallet: TypedWallet | None = None) -> Iterator[str]:
        path = "/export"
        if wallet is not None:
            found = self.find_wallet(wallet)
            path = f"/export/{found.user_id}/{found.id}"
        decoder = codecs.getincrementaldecoder("utf-8")()
        with self.server.stream(path, EXPORTS, format=form) as chunks:
            for chunk in chunks:
                yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)

    def import_(self, source: BinaryIO, job: Job) -> Answer:
        return imports.run(self, source, job)

    def create_key(self, name: str, *, read_only: bool = False) -> Answer:
        return self._post("/keys", fields.CreatedKey, {"name": check_operator_name(name), "read_only": read_only})

    def revoke_key(self, name: str) -> Answer:
        # Revoking twice changes nothing: it may be sent again.
        return self._post("/keys/revoke", fields.OperatorKey, {"name": check_operator_name(name)}, again=True)

    def keys(self) -> list[Answer]:
        found: list[Answer] = self.server.get("/keys", list[fields.OperatorKey])
        return found

    def token(
        self,
        user: UserName,
        expires_minutes: int | None,
        notify: Callable[[str], None],
    ) -> Answer:
        body = {"user_id": self.find_user(user)["id"], "expires_minutes": expires_minutes}
        return self._post("/tokens", fields.Token, body, again=True)

    def ledger_id(self) -> str | None:
        return None

    def facts(self) -> Answer:
        return self._get("/ledger", fields.Ledger) | {"db": self.server.url}

    def change(self, name: str, value: str) -> Answer:
        checked(name, value)
        # What is so already stays so: it may be sent again.
        return self._post("/ledger", fields.Ledger, {name: value}, again=True) | {"db": self.server.url}

    def _paged(
        self,
        name: str,
        shape: Any,
        path: Callable[[], str],
        check_cursor: Callable[[str], object] = parse_after,
        **query: str | None,
    ) -> Paged:
        """The list called `name` at a path, requested when it is read."""

        def page(limit: int, cursor: str | None, counted: bool) -> Answer:
            check_limit(limit)
            if cursor is not None:
                check_cursor(cursor)
            part = {"limit": str(limit), "cursor": cursor, "count": "true" if counted else None}
            return self._get(path(), shape, **query, **part)

        def rest(cursor: str | None) -> Iterator[Answer]:
            """A page may have fewer rows than requested, or none, even if more pages follow."""
            while True:
                found = page(MAX_LIMIT, cursor, False)
                yield from found[name]
                cursor = found["next_cursor"]
                if cursor is None:
                    return

        return Paged(page, rest)


def _filled(raw: Paged, text: str | None) -> Paged:
    """Pages as full as there is enough for: a server looks at so many transactions at a time, and no more."""
    if text == "":
        return _with_notes(raw)

    def filled(limit: int, cursor: str | None, counted: bool) -> Answer:
        found: list[Answer] = []
        while True:
            page = raw.page(limit - len(found), cursor, counted)
            found += page["transactions"]
            cursor = page["next_cursor"]
            if cursor is None or len(found) >= limit:
                return page | {"transactions": found}

    return raw._replace(page=filled)


def _with_notes(every: Paged) -> Paged:
    """Transactions with a note: an empty search text matches these, and a URL has no empty parameter."""

    def rest(cursor: str | None) -> Iterator[Answer]:
        return (each for each in every.rest(cursor) if each["note"] is not None)

    def page(limit: int, cursor: str | None, counted: bool) -> Answer:
        check_limit(limit)
        found = list(islice(rest(cursor), limit + 1))
        more = found[limit - 1]["id"] if len(found) > limit else None
        page: Answer = {"transactions": found[:limit], "next_cursor": more}
        return page | {"count": None} if counted else page

    return Paged(page, rest)


def _checked(noted: Mapping[str, Any]) -> dict[str, Any]:
    """The checked note of a hold or a capture; the key, also checked, goes in a header."""
    said = Remarks.of({"note": noted.get("note")}).told()
    checked_key(noted.get("key"))
    return said


def _said(described: Described) -> dict[str, Any]:
    return described.get("remarks", NOTHING).told()
