"""Opening wallets, their balances, limits and status."""

from __future__ import annotations

from wallet_cli.domain.ids import OwnedWallet, UserId, WalletName, parse_type
from wallet_cli.domain.model import ACTIVE, CLOSED, FROZEN
from wallet_cli.operations import wallets
from wallet_cli.web import long_reads
from wallet_cli.web.messages import Reply
from wallet_cli.web.requests import NewLimits, NewWallet, OneWallet, decode, limit_text, part_text
from wallet_cli.web.routes.call import PAGE, SHORT_PAGE, Call, made, must_see, page, read
from wallet_cli.web.server_state import ServerState


async def create_wallet(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), NewWallet)
    call.query()
    name = WalletName(UserId(body.user_id), parse_type(body.type))
    minimum = part_text(body.minimum_balance, "minimum_balance")
    prepared = wallets.create(server.ledger, name, body.currency, minimum, call.key())
    return made("wallet created", await server.run(prepared, call.caller))


async def get_wallet(server: ServerState, call: Call) -> Reply:
    user_id, type_ = call.path_id("user_id"), parse_type(call.path("type"))
    call.query()
    must_see(call.caller, user_id)
    return Reply(200, "wallet", wallets.balance(server.ledger, WalletName(UserId(user_id), type_)))


async def get_wallets(server: ServerState, call: Call) -> Reply:
    user_id = call.path_id("user_id")
    call.query()
    must_see(call.caller, user_id)
    name = UserId(user_id)
    few = wallets.listed(server.ledger, name).page(SHORT_PAGE, None, False)
    if few["next_cursor"] is None:
        return Reply(200, "wallets", few["wallets"])
    return Reply(200, "wallets", await read(server, call, wallets.of_user, name, long=True))


async def list_wallets(server: ServerState, call: Call) -> Reply:
    part = page(call.query(*PAGE))
    return Reply(200, "wallets", await read(server, call, long_reads.wallet_list, None, None, *part, long=part.is_long))


async def freeze_wallet(server: ServerState, call: Call) -> Reply:
    return await _set_status(server, call, FROZEN, "wallet frozen")


async def unfreeze_wallet(server: ServerState, call: Call) -> Reply:
    return await _set_status(server, call, ACTIVE, "wallet active")


async def close_wallet(server: ServerState, call: Call) -> Reply:
    return await _set_status(server, call, CLOSED, "wallet closed")


async def _set_status(server: ServerState, call: Call, status: str, message: str) -> Reply:
    body = decode(await call.body(), OneWallet)
    call.query()
    prepared = wallets.set_status(server.ledger, OwnedWallet(body.wallet_id, body.user_id), status)
    return Reply(200, message, await server.run(prepared, call.caller))


async def set_limits(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), NewLimits)
    call.query()
    ref = OwnedWallet(body.wallet_id, body.user_id)
    limits = map(limit_text, (body.minimum_balance, body.maximum_balance, body.daily_debit))
    return Reply(200, "limits set", await server.run(wallets.set_limits(server.ledger, ref, *limits), call.caller))
