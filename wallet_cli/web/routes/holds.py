"""Placing holds, capturing and voiding them, and listing them."""

from __future__ import annotations

from wallet_cli.domain.address import OwnedWallet, parse_hold_id
from wallet_cli.domain.commands import Replayed
from wallet_cli.services import holds
from wallet_cli.web.bodies import NewCapture, NewHold, OneHold, amount_text, decode, part_text
from wallet_cli.web.exchange import Reply
from wallet_cli.web.routes.call import PAGE, Call, must_see, page
from wallet_cli.web.routes.transactions import answered
from wallet_cli.web.site import Site


async def create_hold(site: Site, call: Call) -> Reply:
    body = decode(await call.body(), NewHold)
    call.query()
    command, wallet = holds.placing(
        site.ledger,
        OwnedWallet(body.wallet_id, body.user_id),
        amount_text(body.amount),
        expires=holds.DEFAULT_EXPIRY if body.expires is None else body.expires,
        note=body.note,
        key=call.key(),
    )
    result = await site.carry_out_one(command)
    answer = holds.placed(site.ledger, result, wallet)
    if isinstance(result, Replayed):
        return Reply(200, "hold placed before, with this key", answer)
    return Reply(201, "hold placed", answer)


async def capture_hold(site: Site, call: Call) -> Reply:
    body = decode(await call.body(), NewCapture)
    call.query()
    command, wallet = holds.capturing(
        site.ledger,
        parse_hold_id(body.hold),
        part_text(body.amount),
        keep=body.keep,
        note=body.note,
        key=call.key(),
    )
    return answered(await site.carry_out_one(command), wallet)


async def void_hold(site: Site, call: Call) -> Reply:
    body = decode(await call.body(), OneHold)
    call.query()
    command, wallet = holds.voiding(site.ledger, parse_hold_id(body.hold))
    return Reply(200, "hold voided", holds.placed(site.ledger, await site.carry_out_one(command), wallet))


async def list_holds(site: Site, call: Call) -> Reply:
    ref = OwnedWallet(call.path_id("wallet_id"), call.path_id("user_id"))
    part = page(call.query(*PAGE))
    must_see(call.caller, ref.user_id)
    return Reply(200, "holds", holds.listed(site.ledger, ref, *part))
