"""Operator keys: creating, listing and revoking them, for operators."""

from __future__ import annotations

from wallet_cli.operations import api_keys
from wallet_cli.web.messages import Reply
from wallet_cli.web.requests import NewKey, OneKey, decode
from wallet_cli.web.routes.call import Call
from wallet_cli.web.server_state import ServerState


async def create_key(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), NewKey)
    call.query()
    prepared = api_keys.create(body.name, read_only=body.read_only)
    return Reply(201, "key created; it is shown only this once", await server.run(prepared, call.caller))


async def list_keys(server: ServerState, call: Call) -> Reply:
    call.query()
    return Reply(200, "keys", api_keys.listed(server.ledger))


async def revoke_key(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), OneKey)
    call.query()
    return Reply(200, "key revoked", await server.run(api_keys.revoke(body.name), call.caller))
