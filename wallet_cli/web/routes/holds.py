"""Placing holds, capturing and voiding them, and listing them."""

from __future__ import annotations

from wallet_cli.domain.ids import OwnedWallet, parse_hold_id
from wallet_cli.operations import holds
from wallet_cli.web import long_reads
from wallet_cli.web.messages import Reply
from wallet_cli.web.requests import NewCapture, NewHold, OneHold, amount_text, decode, part_text
from wallet_cli.web.routes.call import PAGE, Call, made, must_see, page, read
from wallet_cli.web.server_state import ServerState


async def create_hold(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), NewHold)
    call.query()
    prepared = holds.add(
        server.ledger,
        OwnedWallet(body.wallet_id, body.user_id),
        amount_text(body.amount),
        expires=holds.DEFAULT_EXPIRY if body.expires is None else body.expires,
        note=body.note,
        key=call.key(),
    )
    return made("hold placed", await server.run(prepared, call.caller))


async def capture_hold(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), NewCapture)
    call.query()
    prepared = holds.capture(
        server.ledger,
        parse_hold_id(body.hold),
        part_text(body.amount),
        keep=body.keep,
        note=body.note,
        key=call.key(),
    )
    return made("transaction created", await server.run(prepared, call.caller))


async def void_hold(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), OneHold)
    call.query()
    return Reply(200, "hold voided", await server.run(holds.void(server.ledger, parse_hold_id(body.hold)), call.caller))


async def list_holds(server: ServerState, call: Call) -> Reply:
    ref = OwnedWallet(call.path_id("wallet_id"), call.path_id("user_id"))
    part = page(call.query(*PAGE))
    must_see(call.caller, ref.user_id)
    return Reply(200, "holds", await read(server, call, long_reads.hold_list, ref, *part, long=part.is_long))
