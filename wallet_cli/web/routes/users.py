"""Registering and finding users, and tokens for them."""

from __future__ import annotations

from wallet_cli.domain.ids import UserId
from wallet_cli.operations import users
from wallet_cli.operations.answers import user_answer
from wallet_cli.operations.context import as_told
from wallet_cli.web import long_reads
from wallet_cli.web.messages import Reply
from wallet_cli.web.requests import NewUser, TokenRequest, decode
from wallet_cli.web.routes.call import PAGE, Call, made, page, read
from wallet_cli.web.server_state import ServerState


async def create_user(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), NewUser)
    call.query()
    ledger = as_told(server.ledger, phone_region=body.phone_region)
    prepared = users.register(ledger, body.phone_number, body.name, call.key())
    return made("user registered", await server.run(prepared, call.caller))


async def list_users(server: ServerState, call: Call) -> Reply:
    given = call.query("text", *PAGE)
    text, part = given.get("text"), page(given)
    is_long = text is not None or part.is_long
    return Reply(200, "users", await read(server, call, long_reads.user_list, text, *part, long=is_long))


async def get_user(server: ServerState, call: Call) -> Reply:
    user_id = call.path_id("user_id")
    call.query()
    return Reply(200, "user", user_answer(users.find_user(server.ledger, UserId(user_id))))


async def create_token(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), TokenRequest)
    call.query()
    user = users.find_user(server.ledger, UserId(body.user_id))
    issued_to = None if call.caller.is_anybody else call.caller.operator
    token = server.tokens.issue(server.ledger.store.ledger_id(), user.id, body.expires_minutes, issued_to)
    return Reply(201, "token issued", {"token": token, "token_type": "Bearer", "user_id": user.id})
