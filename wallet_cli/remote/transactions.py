"""Adding transactions, moving and reversing them, listing and totalling them, by way of a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from wallet_cli.domain.address import TransactionId, WalletRef, format_transaction_id
from wallet_cli.domain.model import Wallet
from wallet_cli.domain.money import parse_amount
from wallet_cli.domain.period import Period, format_end, format_time, parse_period, parse_time
from wallet_cli.errors import InvalidInput
from wallet_cli.remote import RemoteLedger
from wallet_cli.remote.pages import one_by_one, part_of
from wallet_cli.remote.wallets import find_wallet, ids
from wallet_cli.services.answers import Answer
from wallet_cli.services.pages import DEFAULT_LIMIT, MAX_LIMIT, check_limit
from wallet_cli.services.transactions import EVERYTHING, Wanted, check_texts, filter_of, parse_cursor
from wallet_cli.services.wallets import naming


def add(
    ledger: RemoteLedger,
    wallet: WalletRef,
    amount: str,
    *,
    is_credit: bool,
    note: str | None = None,
    key: str | None = None,
    at: str | None = None,
    meta: Mapping[str, Any] | None = None,
    reset_time: bool = False,
) -> Answer:
    if reset_time:
        raise InvalidInput("a wallet's time is reset where the ledger is, not over HTTP", hint="run it on the server")
    check_texts(note, key, meta)
    moment = None if at is None else format_time(parse_time(at, ledger.zone_of_times).start_us)
    found = find_wallet(ledger, wallet)
    parse_amount(amount, found.currency)
    body = ids(found) | {"amount": amount, "is_credit": is_credit, "note": note, "at": moment, "meta": meta or None}
    with naming((wallet, found)):
        made: Answer = ledger.server.post("/transactions/create", body, key=key)
    return made


def transfer(
    ledger: RemoteLedger,
    source: WalletRef,
    target: WalletRef,
    amount: str,
    *,
    note: str | None = None,
    key: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Answer:
    check_texts(note, key, meta)
    out, into = find_wallet(ledger, source), find_wallet(ledger, target)
    parse_amount(amount, out.currency)
    to = {"to_user_id": into.user_id, "to_wallet_id": into.id}
    body = ids(out) | to | {"amount": amount, "note": note, "meta": meta or None}
    with naming((source, out), (target, into)):
        made: Answer = ledger.server.post("/transfers/create", body, key=key)
    return made


def reverse(
    ledger: RemoteLedger,
    id_: TransactionId,
    amount: str | None = None,
    *,
    note: str | None = None,
    key: str | None = None,
    force: bool = False,
    meta: Mapping[str, Any] | None = None,
) -> Answer:
    check_texts(note, key, meta)
    body = {"transaction": format_transaction_id(*id_), "amount": amount, "note": note, "force": force}
    made: Answer = ledger.server.post("/transactions/reverse", body | {"meta": meta or None}, key=key)
    return made


def show(ledger: RemoteLedger, id_: TransactionId, user_id: int | None = None) -> Answer:
    assert user_id is None  # whose it may be is for the server to say
    found: Answer = ledger.server.get("/lookup/transaction", id=format_transaction_id(*id_))
    return found


def listed(
    ledger: RemoteLedger,
    wallet: WalletRef,
    start: str | None = None,
    end: str | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    wanted: Wanted = EVERYTHING,
    *,
    counted: bool = False,
) -> Answer:
    check_limit(limit)
    query = _Query(ledger, wallet, start, end, cursor, wanted)
    if wanted.text != "":
        return query.filled(limit, cursor, counted)
    found = list(islice(_with_notes(query, cursor), limit + 1))
    more = found[limit - 1]["id"] if len(found) > limit else None
    page: Answer = {"transactions": found[:limit], "next_cursor": more}
    return page | {"count": None} if counted else page


def streamed(
    ledger: RemoteLedger,
    wallet: WalletRef,
    start: str | None = None,
    end: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    wanted: Wanted = EVERYTHING,
) -> Iterator[Answer]:
    if limit is not None:
        check_limit(limit)
    query = _Query(ledger, wallet, start, end, cursor, wanted)
    if wanted.text != "":
        yield from one_by_one(query.page, "transactions", limit, cursor)
    else:
        yield from islice(_with_notes(query, cursor), limit)


class _Query:
    """A list of transactions that is asked for, its wallet known and its parameters read."""

    def __init__(
        self,
        ledger: RemoteLedger,
        ref: WalletRef,
        start: str | None,
        end: str | None,
        cursor: str | None,
        wanted: Wanted,
    ) -> None:
        period = parse_period(start, end, ledger.zone_of_times)
        wallet = find_wallet(ledger, ref)
        if cursor is not None:
            parse_cursor(cursor)
        filter_of(wanted, wallet)
        kind, least, most, text, key = wanted
        self._server = ledger.server
        self._path = f"/transactions/get/{wallet.user_id}/{wallet.id}"
        self._query = {"kind": kind, "min": least, "max": most, "text": text, "key": key} | bounds_of(period)

    def page(self, limit: int, cursor: str | None, counted: bool = False) -> Answer:
        page: Answer = self._server.get(self._path, **self._query, **part_of(limit, cursor, counted))
        return page

    def filled(self, limit: int, cursor: str | None, counted: bool = False) -> Answer:
        """A page as full as there is enough for: a server looks at so many transactions at a time, and no more."""
        found: list[Answer] = []
        while True:
            page = self.page(limit - len(found), cursor, counted)
            found += page["transactions"]
            cursor = page["next_cursor"]
            if cursor is None or len(found) >= limit:
                return page | {"transactions": found}


def _with_notes(query: _Query, cursor: str | None) -> Iterator[Answer]:
    """Those that have a note: what an empty text is in. In a URL, an empty parameter counts as not given."""
    every = one_by_one(lambda _limit, cursor: query.page(MAX_LIMIT, cursor), "transactions", None, cursor)
    return (each for each in every if each["note"] is not None)


def bounds_of(period: Period) -> dict[str, str | None]:
    """A period as a server reads it: `from` and `to`, in UTC, an end as the last moment inside."""
    return {
        "from": None if period.start_us is None else format_time(period.start_us),
        "to": None if period.end_us is None else format_end(period.end_us),
    }


def total(ledger: RemoteLedger, wallet: WalletRef, start: str | None = None, end: str | None = None) -> Answer:
    period = parse_period(start, end, ledger.zone_of_times)
    return total_of(ledger, find_wallet(ledger, wallet), period)


def total_of(ledger: RemoteLedger, wallet: Wallet, period: Period) -> Answer:
    """The total of a wallet that is known."""
    bounds = bounds_of(period)
    body = ids(wallet) | {"start_date": bounds["from"], "end_date": bounds["to"]}
    found: Answer = ledger.server.post("/transactions/get/total_in_period", body, again=True)
    return found
