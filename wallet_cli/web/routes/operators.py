"""Operator keys: made, listed and revoked, by operators."""

from __future__ import annotations

from wallet_cli.services import operators
from wallet_cli.web.bodies import NewKey, OneKey, decode
from wallet_cli.web.exchange import Reply
from wallet_cli.web.routes.call import Call
from wallet_cli.web.site import Site


async def create_key(site: Site, call: Call) -> Reply:
    body = decode(await call.body(), NewKey)
    call.query()
    prepared = operators.create(body.name, read_only=body.read_only)
    return Reply(201, "key made; it is shown this once", await site.run(prepared))


async def list_keys(site: Site, call: Call) -> Reply:
    call.query()
    return Reply(200, "keys", operators.listed(site.ledger))


async def revoke_key(site: Site, call: Call) -> Reply:
    body = decode(await call.body(), OneKey)
    call.query()
    return Reply(200, "key revoked", await site.run(operators.revoke(body.name)))
