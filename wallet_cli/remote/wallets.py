"""Opening wallets, what they hold, and their life, by way of a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wallet_cli.domain.address import OwnedWallet, UserName, WalletName, WalletRef
from wallet_cli.domain.model import ACTIVE, CLOSED, FROZEN, Wallet
from wallet_cli.domain.money import Currency, parse_currency, parse_minimum, parse_told
from wallet_cli.domain.period import format_end, parse_time
from wallet_cli.errors import WalletExists
from wallet_cli.remote import RemoteLedger, user_text
from wallet_cli.remote.pages import one_by_one, part_of
from wallet_cli.remote.users import find_user
from wallet_cli.services.answers import Answer
from wallet_cli.services.pages import check_limit, parse_after
from wallet_cli.services.wallets import naming

CHANGES = {ACTIVE: "unfreeze", FROZEN: "freeze", CLOSED: "close"}


def create(
    ledger: RemoteLedger,
    name: WalletName,
    currency: str | None = None,
    minimum_balance: str | None = None,
    *,
    exist_ok: bool = False,
) -> Answer:
    unit = chosen_currency(ledger, currency)
    if minimum_balance is not None and unit is not None:
        parse_minimum(minimum_balance, unit)
    body = {
        "user_id": find_user(ledger, name.user)["id"],
        "type": name.type,
        "currency": None if unit is None else unit.name,
        "minimum_balance": minimum_balance,
    }
    try:
        made: Answer = ledger.server.post("/wallet/create", body, again=exist_ok)
    except WalletExists:
        made = balance(ledger, name)
        if not exist_ok or (currency is not None and not told_currency(made).is_same(parse_currency(currency))):
            with naming((name, _wallet(made))):
                raise
    return made


def chosen_currency(ledger: RemoteLedger, currency: str | None) -> Currency | None:
    """What was asked for, else what the settings here say; None where neither does, and the server's rules."""
    if currency is not None:
        return parse_currency(currency)
    return None if ledger.settings.given("currency") is None else ledger.settings.currency


def balance(ledger: RemoteLedger, wallet: WalletRef, at: str | None = None) -> Answer:
    moment = None if at is None else format_end(parse_time(at, ledger.zone_of_times).end_us)
    found: Answer = ledger.server.get("/lookup/wallet", wallet=written(wallet), region=ledger.region, at=moment)
    return found


def written(wallet: WalletRef) -> str:
    """A wallet as people name it: commands know no other name."""
    assert not isinstance(wallet, OwnedWallet)
    return wallet.text


def find_wallet(ledger: RemoteLedger, ref: WalletRef) -> Wallet:
    """What never changes of a wallet: id, owner, type and currency. The rest is not to be relied on."""
    return _wallet(balance(ledger, ref))


def _wallet(found: Answer) -> Wallet:
    return Wallet(found["id"], found["user_id"], found["type"], told_currency(found), found["status"], None, 0)


def told_currency(wallet: Answer) -> Currency:
    """The currency of a wallet that a server answered with: the server's tables may be of another year."""
    return parse_told(wallet["currency"], wallet["balance"])


def ids(wallet: Wallet) -> dict[str, Any]:
    """The fields that name a wallet in a body."""
    return {"user_id": wallet.user_id, "wallet_id": wallet.id}


def set_status(ledger: RemoteLedger, ref: WalletRef, status: str) -> Answer:
    # What is so already stays so: it may be sent again.
    found = find_wallet(ledger, ref)
    with naming((ref, found)):
        changed: Answer = ledger.server.post(f"/wallet/{CHANGES[status]}", ids(found), again=True)
    return changed


def set_limits(
    ledger: RemoteLedger,
    ref: WalletRef,
    minimum_balance: str | None = None,
    maximum_balance: str | None = None,
    daily_debit: str | None = None,
) -> Answer:
    limits = {"minimum_balance": minimum_balance, "maximum_balance": maximum_balance, "daily_debit": daily_debit}
    found = find_wallet(ledger, ref)
    with naming((ref, found)):
        changed: Answer = ledger.server.post("/wallet/limits", ids(found) | limits, again=True)
    return changed


def page_of(
    ledger: RemoteLedger, name: UserName | None, limit: int, cursor: str | None, counted: bool = False
) -> Answer:
    check_limit(limit)
    parse_after(cursor)
    part = part_of(limit, cursor, counted)
    page: Answer = (
        ledger.server.get("/wallets", **part)
        if name is None
        else ledger.server.get("/lookup/wallets", user=user_text(name), region=ledger.region, **part)
    )
    return page


def all_of(ledger: RemoteLedger, name: UserName | None, limit: int | None, cursor: str | None) -> Iterator[Answer]:
    return one_by_one(lambda *part: page_of(ledger, name, *part), "wallets", limit, cursor)
