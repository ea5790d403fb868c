"""Finding things by the names that people use: a USER by phone number, a WALLET by its owner's, a transaction by id.

Data of another user gets the same answer as data that does not exist.
"""

from __future__ import annotations

from wallet_cli.domain.ids import UserName, WalletName, parse_id, parse_transaction_id, parse_user, parse_wallet
from wallet_cli.domain.model import User
from wallet_cli.errors import InvalidInput
from wallet_cli.operations import transactions, users, wallets
from wallet_cli.operations.answers import user_answer
from wallet_cli.operations.context import Ledger, as_told
from wallet_cli.operations.wallets import MAX_HOLDERS
from wallet_cli.web import long_reads
from wallet_cli.web.auth import Caller
from wallet_cli.web.messages import Reply
from wallet_cli.web.readers import PROOFS
from wallet_cli.web.routes.call import PAGE, Call, page, read
from wallet_cli.web.server_state import ServerState


async def find_user(server: ServerState, call: Call) -> Reply:
    given = call.query("user", "region")
    ledger = as_told(server.ledger, phone_region=given.get("region"))
    return Reply(200, "user", user_answer(_seen(ledger, call.caller, parse_user(_asked(given, "user")))))


async def find_wallet(server: ServerState, call: Call) -> Reply:
    given = call.query("wallet", "region", "at")
    name = parse_wallet(_asked(given, "wallet"))
    ledger = as_told(server.ledger, phone_region=given.get("region"))
    if call.caller.operator is None:
        if isinstance(name, WalletName):
            _seen(ledger, call.caller, name.user)
        elif not call.caller.sees(wallets.find_wallet(ledger, name).user_id):
            raise wallets.no_wallet(name)
    return Reply(200, "wallet", wallets.balance(ledger, name, given.get("at")))


async def find_wallets(server: ServerState, call: Call) -> Reply:
    given = call.query("user", "region", *PAGE)
    name = parse_user(_asked(given, "user"))
    part = page(given)
    region = given.get("region")
    if call.caller.operator is None:
        _seen(as_told(server.ledger, phone_region=region), call.caller, name)
    found = await read(server, call, long_reads.wallet_list, name, region, *part, long=part.is_long)
    return Reply(200, "wallets", found)


async def find_holders(server: ServerState, call: Call) -> Reply:
    ids = _asked(call.query("wallets"), "wallets").split(",")
    if len(ids) > MAX_HOLDERS:
        raise InvalidInput(f"that is more than {MAX_HOLDERS} wallets", hint="ask for them in parts")
    numbers = {parse_id(each, "") for each in ids}
    return Reply(200, "holders", wallets.holders(server.ledger, numbers, call.caller.user_id))


async def find_transaction(server: ServerState, call: Call) -> Reply:
    id_ = parse_transaction_id(_asked(call.query("id"), "id"))
    return Reply(200, "transaction", transactions.show(server.ledger, id_, call.caller.user_id))


async def find_named(server: ServerState, call: Call) -> Reply:
    name = _asked(call.query("name"), "name")
    return Reply(200, "users", await read(server, call, long_reads.named, name, long=True))


async def find_text(server: ServerState, call: Call) -> Reply:
    given = call.query("text", "limit")
    text, limit = _asked(given, "text"), page(given).limit
    return Reply(200, "found", await read(server, call, long_reads.find, text, limit, long=True))


async def list_audit(server: ServerState, call: Call) -> Reply:
    given = call.query("wallet", "user", "region", *PAGE)
    wallet = parse_wallet(given["wallet"]) if "wallet" in given else None
    user = parse_user(given["user"]) if "user" in given else None
    asked = long_reads.Audited(wallet, user, given.get("region"), *page(given))
    return Reply(200, "events", await read(server, call, long_reads.audit, asked, long=True))


async def verify(server: ServerState, call: Call) -> Reply:
    given = call.query("wallet", "region")
    name = parse_wallet(given["wallet"]) if "wallet" in given else None

    answer = await server.readers.answer(
        call.receive, PROOFS, call.caller, long_reads.verify, name, given.get("region")
    )
    return Reply(200, "verified", answer)


def _asked(given: dict[str, str], name: str) -> str:
    """A required parameter."""
    if name not in given:
        raise InvalidInput(f"the parameter {name} is missing in the URL", hint=f"?{name}=…")
    return given[name]


def _seen(ledger: Ledger, caller: Caller, name: UserName) -> User:
    """The user with that name, if the caller may see them. Raises UserNotFound."""
    user = users.find_user(ledger, name)
    if not caller.sees(user.id):
        raise users.no_user(name)
    return user
