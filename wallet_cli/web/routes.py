"""The endpoints: each parses, calls a service, and says what to answer; nothing else.

Who may do what is decided here, before anything is read that is not the caller's: what belongs to another user is not
there at all (404), and what only an operator may do is forbidden (403).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from wallet_cli.domain.address import OwnedWallet, UserId, WalletName, check_key, parse_id, parse_type
from wallet_cli.domain.commands import AppliedTogether, Post, Refusal, Replayed, Result, Together
from wallet_cli.domain.model import Wallet
from wallet_cli.errors import Forbidden, InvalidInput, UserNotFound, WalletError, WalletNotFound, shown
from wallet_cli.services import pages, transactions, users, wallets
from wallet_cli.web.auth import Caller
from wallet_cli.web.bodies import (
    MAX_BATCH_BYTES,
    MAX_BODY_BYTES,
    Batch,
    BatchItem,
    NewTransaction,
    NewUser,
    NewWallet,
    TokenRequest,
    TotalQuery,
    amount_text,
    decode,
)
from wallet_cli.web.exchange import Receive, Reply, Scope, failure, header, query, read_body
from wallet_cli.web.site import Site

ITEMS_AT_ONCE = 500
"""How many items of a batch are worked on before other callers get a word in."""

_CREATED = (201, "transaction created")
_REPLAYED = (200, "transaction created before, with this key")

Prepared = tuple[Post, Wallet]


class Call(NamedTuple):
    """One request, its caller known."""

    scope: Scope
    receive: Receive
    caller: Caller

    async def body(self, limit: int = MAX_BODY_BYTES) -> bytes:
        return await read_body(self.scope, self.receive, limit)

    def path(self, name: str) -> str:
        return str(self.scope["path_params"][name])

    def path_id(self, name: str) -> int:
        return parse_id(self.path(name))

    def query(self, *known: str) -> dict[str, str]:
        return query(self.scope, frozenset(known))

    def key(self) -> str | None:
        """The `Idempotency-Key`, checked."""
        value = header(self.scope, b"idempotency-key")
        if value is None:
            return None
        try:
            return check_key(value.decode("utf-8"))
        except UnicodeDecodeError:
            raise InvalidInput("the Idempotency-Key is not UTF-8") from None


async def create_user(site: Site, call: Call) -> Reply:
    call.caller.must_be_operator()
    body = decode(await call.body(), NewUser)
    call.query()
    result = await site.carry_out_one(users.registration(site.ledger, body.phone_number, body.name))
    return Reply(201, "user registered", users.registered(result))


async def create_wallet(site: Site, call: Call) -> Reply:
    call.caller.must_be_operator()
    body = decode(await call.body(), NewWallet)
    call.query()
    name = WalletName(UserId(body.user_id), parse_type(body.type))
    opening = wallets.opening(site.ledger, name, body.currency, body.minimum_balance)
    return Reply(201, "wallet created", wallets.opened(site.ledger, await site.carry_out_one(opening)))


async def get_wallet(site: Site, call: Call) -> Reply:
    user_id, type_ = call.path_id("user_id"), parse_type(call.path("type"))
    call.query()
    _must_see(call.caller, user_id)
    return Reply(200, "wallet", wallets.balance(site.ledger, WalletName(UserId(user_id), type_)))


async def get_wallets(site: Site, call: Call) -> Reply:
    user_id = call.path_id("user_id")
    call.query()
    _must_see(call.caller, user_id)
    return Reply(200, "wallets", wallets.of_user(site.ledger, UserId(user_id)))


async def create_transaction(site: Site, call: Call) -> Reply:
    call.caller.must_write()
    body = decode(await call.body(), NewTransaction)
    call.query()
    command, wallet = _prepared(site, call.caller, body, call.key())
    result = await site.carry_out_one(command)
    status, message = _REPLAYED if isinstance(result, Replayed) else _CREATED
    return Reply(status, message, transactions.posted(result, wallet))


async def create_transactions(site: Site, call: Call) -> Reply:
    call.caller.must_write()
    body = decode(await call.body(MAX_BATCH_BYTES), Batch)
    call.query()
    for each in body.transactions:
        amount_text(each.amount)  # another JSON type is a fault of the body, as it is in every other field
    prepared = await _prepare_all(site, call.caller, body.transactions)
    if body.atomic:
        return await _atomic(site, prepared)
    commands = [item[0] for item in prepared if not isinstance(item, WalletError)]
    results = iter(await site.carry_out(commands) if commands else [])
    answers: list[dict[str, Any]] = []
    for number, item in enumerate(prepared):
        if number % ITEMS_AT_ONCE == ITEMS_AT_ONCE - 1:
            await asyncio.sleep(0)
        answer = _refused(item) if isinstance(item, WalletError) else _item(next(results), item[1])
        if "code" in answer:
            site.metrics.refused(answer["code"])
        answers.append(answer)
    return Reply(200, "batch done", _summary(answers))


async def list_transactions(site: Site, call: Call) -> Reply:
    user_id, wallet_id = call.path_id("user_id"), call.path_id("wallet_id")
    given = call.query("limit", "cursor")
    _must_see(call.caller, user_id)
    limit = given.get("limit", str(pages.DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4):
        raise InvalidInput(f"the limit is not a number: {shown(limit)}", hint=f"1 to {pages.MAX_LIMIT}")
    page = transactions.listed(
        site.ledger, OwnedWallet(wallet_id, user_id), limit=int(limit), cursor=given.get("cursor")
    )
    return Reply(200, "transactions", page)


async def total_in_period(site: Site, call: Call) -> Reply:
    body = decode(await call.body(), TotalQuery)
    call.query()
    _must_see(call.caller, body.user_id)
    wallet = OwnedWallet(body.wallet_id, body.user_id)
    return Reply(200, "total", transactions.total(site.ledger, wallet, body.start_date, body.end_date))


async def create_token(site: Site, call: Call) -> Reply:
    call.caller.must_be_operator()
    body = decode(await call.body(), TokenRequest)
    call.query()
    user = users.find_user(site.ledger, UserId(body.user_id))
    token = site.tokens.issue(user.id, body.expires_minutes)
    return Reply(201, "token issued", {"token": token, "token_type": "Bearer", "user_id": user.id})


def _must_see(caller: Caller, user_id: int) -> None:
    if not caller.sees(user_id):
        raise UserNotFound(f"there is no user with the id {user_id}")


def _prepared(site: Site, caller: Caller, body: NewTransaction, key: str | None) -> Prepared:
    """The command that a body asks for, once the caller is known to be allowed to ask."""
    if not caller.sees(body.user_id):
        raise WalletNotFound(f"user {body.user_id} has no wallet {body.wallet_id}")
    command, wallet = transactions.posting(
        site.ledger,
        OwnedWallet(body.wallet_id, body.user_id),
        amount_text(body.amount),
        is_credit=body.is_credit,
        note=body.note,
        key=key,
        at=body.at,
    )
    if body.is_credit and caller.operator is None:
        raise Forbidden("only an operator may credit a wallet")
    return command, wallet


async def _prepare_all(site: Site, caller: Caller, items: Sequence[BatchItem]) -> list[Prepared | WalletError]:
    prepared: list[Prepared | WalletError] = []
    for number, item in enumerate(items):
        if number % ITEMS_AT_ONCE == ITEMS_AT_ONCE - 1:
            await asyncio.sleep(0)
        try:
            prepared.append(_prepared(site, caller, item, item.key))
        except WalletError as error:
            prepared.append(error)
    return prepared


async def _atomic(site: Site, prepared: Sequence[Prepared | WalletError]) -> Reply:
    """All of the items or none: the first refusal is the answer, with its `index`."""
    ready: list[Prepared] = []
    for index, item in enumerate(prepared):
        if isinstance(item, WalletError):
            item.details["index"] = index
            raise item
        ready.append(item)
    result = (await site.carry_out([Together(tuple(command for command, _ in ready))]))[0]
    if isinstance(result, Refusal):
        raise result.error
    assert isinstance(result, AppliedTogether)
    answers = [_item(each, wallet) for each, (_, wallet) in zip(result.results, ready, strict=True)]
    return Reply(200, "batch done, all of it", _summary(answers))


def _item(result: Result, wallet: Wallet) -> dict[str, Any]:
    if isinstance(result, Refusal):
        return _refused(result.error)
    assert not isinstance(result, AppliedTogether)
    status, _ = _REPLAYED if isinstance(result, Replayed) else _CREATED
    return {"status": status, "data": transactions.posted(result, wallet)}


def _refused(error: WalletError) -> dict[str, Any]:
    return {"status": error.http_status} | failure(error)


def _summary(answers: list[dict[str, Any]]) -> dict[str, Any]:
    statuses = [answer["status"] for answer in answers]
    applied, replayed = statuses.count(201), statuses.count(200)
    refused = len(statuses) - applied - replayed
    return {"applied": applied, "replayed": replayed, "refused": refused, "results": answers}
