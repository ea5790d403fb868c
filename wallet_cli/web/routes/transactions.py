"""Credits and debits, transfers and reversals; listing them, and adding them up."""

from __future__ import annotations

from wallet_cli.domain.commands import Post
from wallet_cli.domain.ids import OwnedWallet, TransactionId, parse_transaction_id
from wallet_cli.errors import Forbidden
from wallet_cli.operations import transactions
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.prepared import Prepared
from wallet_cli.operations.transactions import Wanted
from wallet_cli.web import long_reads
from wallet_cli.web.auth import Caller
from wallet_cli.web.messages import Reply
from wallet_cli.web.requests import (
    NewReversal,
    NewTransaction,
    NewTransfer,
    TotalQuery,
    amount_text,
    decode,
    part_text,
    remarks_of,
)
from wallet_cli.web.routes.call import PAGE, Call, made, must_see, must_see_wallet, page, read, timed
from wallet_cli.web.server_state import ServerState

FILTERS = ("from", "to", "kind", "min", "max", "text", "key")


async def create_transaction(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), NewTransaction)
    prepared = prepare(timed(server.ledger, call.query("times")), call.caller, body, call.key())
    return made("transaction created", await server.run(prepared, call.caller))


def prepare(ledger: Ledger, caller: Caller, body: NewTransaction, key: str | None) -> Prepared[Post]:
    """The write of a body, after checking that the caller may request it."""
    ref = OwnedWallet(body.wallet_id, body.user_id)
    must_see_wallet(caller, ref)
    if body.at is not None and caller.is_user:
        # The day of a debit decides for which daily limit it counts.
        raise Forbidden("only an operator may set the time of a transaction", hint="leave `at` out")
    prepared = transactions.add(
        ledger,
        ref,
        amount_text(body.amount),
        is_credit=body.is_credit,
        remarks=remarks_of(body),
        key=key,
        at=body.at,
        by_user=caller.is_user,
    )
    if body.is_credit and caller.is_user:
        raise Forbidden("only an operator may credit a wallet")
    return prepared


async def create_transfer(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), NewTransfer)
    call.query()
    source = OwnedWallet(body.wallet_id, body.user_id)
    target = OwnedWallet(body.to_wallet_id, body.to_user_id)
    # A user may move money only between their own wallets: into another's, it would be a credit.
    must_see_wallet(call.caller, source)
    must_see_wallet(call.caller, target)
    prepared = transactions.transfer(
        server.ledger,
        source,
        target,
        amount_text(body.amount),
        remarks=remarks_of(body),
        key=call.key(),
        by_user=call.caller.is_user,
    )
    return made("transfer done", await server.run(prepared, call.caller))


async def reverse_transaction(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), NewReversal)
    call.query()
    prepared = transactions.reverse(
        server.ledger,
        parse_transaction_id(body.transaction),
        part_text(body.amount),
        remarks=remarks_of(body),
        key=call.key(),
        force=body.force,
    )
    return made("transaction created", await server.run(prepared, call.caller))


async def get_transaction(server: ServerState, call: Call) -> Reply:
    user_id, wallet_id, seq = call.path_id("user_id"), call.path_id("wallet_id"), call.path_id("seq")
    call.query()
    must_see(call.caller, user_id)
    return Reply(200, "transaction", transactions.show(server.ledger, TransactionId(wallet_id, seq), user_id))


async def list_transactions(server: ServerState, call: Call) -> Reply:
    ref = OwnedWallet(call.path_id("wallet_id"), call.path_id("user_id"))
    given = call.query(*PAGE, *FILTERS)
    must_see(call.caller, ref.user_id)
    part = page(given)
    start, end, *wanted = (given.get(name) for name in FILTERS)
    chosen = Wanted(*wanted)
    # A key has an index; matches of any other filter may be far back.
    is_search = chosen._replace(key=None) != transactions.EVERYTHING
    asked = long_reads.Searched(ref, start, end, part.limit, part.cursor, chosen, part.counted)
    found = await read(server, call, long_reads.search, asked, long=is_search or part.is_long)
    return Reply(200, "transactions", found)


async def list_history(server: ServerState, call: Call) -> Reply:
    given = call.query(*PAGE, *FILTERS)
    part = page(given)
    start, end, *wanted = (given.get(name) for name in FILTERS)
    chosen = Wanted(*wanted)
    # Counting looks at every wallet.
    is_search = chosen != transactions.EVERYTHING or part.counted
    asked = long_reads.SearchedBook(start, end, part.limit, part.cursor, chosen, part.counted)
    found = await read(server, call, long_reads.history, asked, long=is_search or part.is_long)
    return Reply(200, "transactions", found)


async def total_in_period(server: ServerState, call: Call) -> Reply:
    body = decode(await call.body(), TotalQuery)
    call.query()
    must_see(call.caller, body.user_id)
    wallet = OwnedWallet(body.wallet_id, body.user_id)
    return Reply(200, "total", transactions.total(server.ledger, wallet, body.start_date, body.end_date))
