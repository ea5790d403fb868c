"""The ledger's id and settings: every caller may read them, and operators may change them."""

from __future__ import annotations

from wallet_cli.errors import InvalidInput
from wallet_cli.operations import ledgers
from wallet_cli.settings import LEDGER_SETTINGS
from wallet_cli.web import long_reads
from wallet_cli.web.messages import Reply
from wallet_cli.web.requests import NewLedgerSettings, decode, limit_text
from wallet_cli.web.routes.call import Call, read
from wallet_cli.web.server_state import ServerState


async def get_ledger(server: ServerState, call: Call) -> Reply:
    call.query()
    return Reply(200, "ledger", ledgers.ledger_answer(server.ledger.store.itself().facts))


async def get_overview(server: ServerState, call: Call) -> Reply:
    call.query()
    return Reply(200, "overview", await read(server, call, long_reads.overview, long=True))


async def set_ledger(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), NewLedgerSettings)
    call.query()
    texts = {name: getattr(body, name) for name in LEDGER_SETTINGS} | {
        "minimum_balance": limit_text(body.minimum_balance)
    }
    given = {name: text for name, text in texts.items() if text is not None}
    if not given:
        raise InvalidInput("no setting is given", hint=f"one of {', '.join(LEDGER_SETTINGS)}")
    results = await server.carry_out(ledgers.changes(server.ledger, given), call.caller)
    return Reply(200, "ledger set", ledgers.changed(results))
