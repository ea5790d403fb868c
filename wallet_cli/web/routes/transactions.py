"""Credits and debits, transfers and reversals; listing them, and totalling them."""

from __future__ import annotations

from wallet_cli.domain.address import OwnedWallet, TransactionId, parse_transaction_id
from wallet_cli.domain.commands import Applied, Post, Replayed
from wallet_cli.domain.model import Wallet
from wallet_cli.errors import Forbidden
from wallet_cli.services import transactions
from wallet_cli.services.transactions import Wanted
from wallet_cli.web import long_reads
from wallet_cli.web.auth import Caller
from wallet_cli.web.bodies import (
    NewReversal,
    NewTransaction,
    NewTransfer,
    TotalQuery,
    amount_text,
    decode,
    meta_of,
    part_text,
)
from wallet_cli.web.exchange import Reply
from wallet_cli.web.readers import SEARCHES
from wallet_cli.web.routes.call import PAGE, Call, must_see, must_see_wallet, page
from wallet_cli.web.site import Site

FILTERS = ("from", "to", "kind", "min", "max", "text", "key")


async def create_transaction(site: Site, call: Call) -> Reply:
    body = decode(await call.body(), NewTransaction)
    call.query()
    command, wallet = posting(site, call.caller, body, call.key())
    return answered(await site.carry_out_one(command), wallet)


def posting(site: Site, caller: Caller, body: NewTransaction, key: str | None) -> tuple[Post, Wallet]:
    """The command that a body asks for, once the caller is known to be allowed to ask, and its wallet."""
    ref = OwnedWallet(body.wallet_id, body.user_id)
    must_see_wallet(caller, ref)
    if body.at is not None and caller.is_user:
        # Which day a debit is of decides which daily limit it counts in.
        raise Forbidden("only an operator may say when a transaction was", hint="leave `at` out")
    command, wallet = transactions.posting(
        site.ledger,
        ref,
        amount_text(body.amount),
        is_credit=body.is_credit,
        note=body.note,
        key=key,
        at=body.at,
        meta=meta_of(body.meta),
    )
    if body.is_credit and caller.is_user:
        raise Forbidden("only an operator may credit a wallet")
    return command._replace(user_key=caller.is_user and key is not None), wallet


def answered(result: Applied | Replayed, wallet: Wallet) -> Reply:
    """The answer to what makes one transaction."""
    answer = transactions.posted(result, wallet)
    if isinstance(result, Replayed):
        return Reply(200, "transaction created before, with this key", answer)
    return Reply(201, "transaction created", answer)


async def create_transfer(site: Site, call: Call) -> Reply:
    body = decode(await call.body(), NewTransfer)
    call.query()
    source = OwnedWallet(body.wallet_id, body.user_id)
    target = OwnedWallet(body.to_wallet_id, body.to_user_id)
    # A user moves money between their own wallets alone: into another's, it would be a credit.
    must_see_wallet(call.caller, source)
    must_see_wallet(call.caller, target)
    key = call.key()
    command, both = transactions.transferring(
        site.ledger,
        source,
        target,
        amount_text(body.amount),
        note=body.note,
        key=key,
        meta=meta_of(body.meta),
    )
    result = await site.carry_out_one(command._replace(user_key=call.caller.is_user and key is not None))
    answer = transactions.transferred(result, both)
    if isinstance(result, Replayed):
        return Reply(200, "transfer done before, with this key", answer)
    return Reply(201, "transfer done", answer)


async def reverse_transaction(site: Site, call: Call) -> Reply:
    body = decode(await call.body(), NewReversal)
    call.query()
    command, wallet = transactions.reversing(
        site.ledger,
        parse_transaction_id(body.transaction),
        part_text(body.amount),
        note=body.note,
        key=call.key(),
        force=body.force,
        meta=meta_of(body.meta),
    )
    return answered(await site.carry_out_one(command), wallet)


async def get_transaction(site: Site, call: Call) -> Reply:
    user_id, wallet_id, seq = call.path_id("user_id"), call.path_id("wallet_id"), call.path_id("seq")
    call.query()
    must_see(call.caller, user_id)
    return Reply(200, "transaction", transactions.show(site.ledger, TransactionId(wallet_id, seq), user_id))


async def list_transactions(site: Site, call: Call) -> Reply:
    ref = OwnedWallet(call.path_id("wallet_id"), call.path_id("user_id"))
    given = call.query(*PAGE, *FILTERS)
    must_see(call.caller, ref.user_id)
    limit, cursor, counted = page(given)
    start, end, *wanted = (given.get(name) for name in FILTERS)
    chosen = Wanted(*wanted)

    # A key has an index; what fits any other filter may be far back, and is looked for while others are served.
    if chosen._replace(key=None) == transactions.EVERYTHING:
        found = transactions.listed(site.ledger, ref, start, end, limit, cursor, chosen, counted=counted)
    else:
        asked = long_reads.Searched(ref, start, end, limit, cursor, chosen, counted)
        found = await site.readers.answer(call.receive, SEARCHES, call.caller, long_reads.search, asked)
    return Reply(200, "transactions", found)


async def total_in_period(site: Site, call: Call) -> Reply:
    body = decode(await call.body(), TotalQuery)
    call.query()
    must_see(call.caller, body.user_id)
    wallet = OwnedWallet(body.wallet_id, body.user_id)
    return Reply(200, "total", transactions.total(site.ledger, wallet, body.start_date, body.end_date))
