"""Opening wallets, what they hold, their limits, and their life."""

from __future__ import annotations

from wallet_cli.domain.ids import OwnedWallet, UserId, WalletName, parse_type
from wallet_cli.domain.model import ACTIVE, CLOSED, FROZEN
from wallet_cli.operations import wallets
from wallet_cli.web.messages import Reply
from wallet_cli.web.requests import NewLimits, NewWallet, OneWallet, decode, limit_text
from wallet_cli.web.routes.call import PAGE, Call, made, must_see, page
from wallet_cli.web.server_state import Site


async def create_wallet(site: Site, call: Call) -> Reply:
    body = decode(await call.body(), NewWallet)
    call.query()
    name = WalletName(UserId(body.user_id), parse_type(body.type))
    prepared = wallets.create(site.ledger, name, body.currency, body.minimum_balance, call.key())
    return made("wallet created", await site.run(prepared))


async def get_wallet(site: Site, call: Call) -> Reply:
    user_id, type_ = call.path_id("user_id"), parse_type(call.path("type"))
    call.query()
    must_see(call.caller, user_id)
    return Reply(200, "wallet", wallets.balance(site.ledger, WalletName(UserId(user_id), type_)))


async def get_wallets(site: Site, call: Call) -> Reply:
    user_id = call.path_id("user_id")
    call.query()
    must_see(call.caller, user_id)
    return Reply(200, "wallets", wallets.of_user(site.ledger, UserId(user_id)))


async def list_wallets(site: Site, call: Call) -> Reply:
    return Reply(200, "wallets", wallets.listed(site.ledger).page(*page(call.query(*PAGE))))


async def freeze_wallet(site: Site, call: Call) -> Reply:
    return await _set_status(site, call, FROZEN, "wallet frozen")


async def unfreeze_wallet(site: Site, call: Call) -> Reply:
    return await _set_status(site, call, ACTIVE, "wallet active")


async def close_wallet(site: Site, call: Call) -> Reply:
    return await _set_status(site, call, CLOSED, "wallet closed")


async def _set_status(site: Site, call: Call, status: str, message: str) -> Reply:
    body = decode(await call.body(), OneWallet)
    call.query()
    prepared = wallets.set_status(site.ledger, OwnedWallet(body.wallet_id, body.user_id), status)
    return Reply(200, message, await site.run(prepared))


async def set_limits(site: Site, call: Call) -> Reply:
    body = decode(await call.body(), NewLimits)
    call.query()
    ref = OwnedWallet(body.wallet_id, body.user_id)
    limits = map(limit_text, (body.minimum_balance, body.maximum_balance, body.daily_debit))
    return Reply(200, "limits set", await site.run(wallets.set_limits(site.ledger, ref, *limits)))
