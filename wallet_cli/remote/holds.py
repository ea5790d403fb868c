"""Placing holds, capturing and voiding them, and listing them, by way of a server."""

from __future__ import annotations

from collections.abc import Iterator

from wallet_cli.domain.address import HoldId, WalletRef, format_hold_id
from wallet_cli.domain.money import parse_amount
from wallet_cli.domain.period import parse_duration
from wallet_cli.remote import RemoteLedger
from wallet_cli.remote.pages import one_by_one, part_of
from wallet_cli.remote.wallets import find_wallet, ids
from wallet_cli.services.answers import Answer
from wallet_cli.services.holds import DEFAULT_EXPIRY
from wallet_cli.services.pages import DEFAULT_LIMIT, check_limit, parse_after
from wallet_cli.services.transactions import check_texts
from wallet_cli.services.wallets import naming


def add(
    ledger: RemoteLedger,
    wallet: WalletRef,
    amount: str,
    *,
    expires: str = DEFAULT_EXPIRY,
    note: str | None = None,
    key: str | None = None,
) -> Answer:
    check_texts(note, key, None)
    parse_duration(expires)
    found = find_wallet(ledger, wallet)
    parse_amount(amount, found.currency)
    body = ids(found) | {"amount": amount, "expires": expires, "note": note}
    with naming((wallet, found)):
        placed: Answer = ledger.server.post("/holds/create", body, key=key)
    return placed


def capture(
    ledger: RemoteLedger,
    id_: HoldId,
    amount: str | None = None,
    *,
    keep: bool = False,
    note: str | None = None,
    key: str | None = None,
) -> Answer:
    check_texts(note, key, None)
    body = {"hold": format_hold_id(*id_), "amount": amount, "keep": keep, "note": note}
    made: Answer = ledger.server.post("/holds/capture", body, key=key)
    return made


def void(ledger: RemoteLedger, id_: HoldId) -> Answer:
    voided: Answer = ledger.server.post("/holds/void", {"hold": format_hold_id(*id_)})
    return voided


def listed(
    ledger: RemoteLedger,
    wallet: WalletRef,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    counted: bool = False,
) -> Answer:
    check_limit(limit)
    parse_after(cursor)
    found = find_wallet(ledger, wallet)
    return _page(ledger, f"/holds/get/{found.user_id}/{found.id}", limit, cursor, counted)


def streamed(
    ledger: RemoteLedger, wallet: WalletRef, limit: int | None = None, cursor: str | None = None
) -> Iterator[Answer]:
    if limit is not None:
        check_limit(limit)
    parse_after(cursor)
    found = find_wallet(ledger, wallet)
    path = f"/holds/get/{found.user_id}/{found.id}"
    yield from one_by_one(lambda *part: _page(ledger, path, *part), "holds", limit, cursor)


def _page(ledger: RemoteLedger, path: str, limit: int, cursor: str | None, counted: bool = False) -> Answer:
    page: Answer = ledger.server.get(path, **part_of(limit, cursor, counted))
    return page
