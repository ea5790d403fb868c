"""Seals of format 1, which releases before events made: what `wallet verify --against` asks of each line.

There is a line for each user, wallet, hold and operator key, with the fields that never change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wallet_cli.domain import hash_chain
from wallet_cli.domain.ids import format_hold_id, format_wallet_id
from wallet_cli.domain.model import ApiKey, Hold, User, Wallet
from wallet_cli.domain.period import format_time
from wallet_cli.operations.context import Ledger

VERSION = 1

Leaf = dict[str, Any]


def missing(ledger: Ledger, leaf: Leaf, keys: Mapping[str, ApiKey]) -> str | None:
    """What the ledger lacks of a line of a seal; None if it has all of it. `keys` are its operator keys by name."""
    if leaf["leaf"] == "key":
        key = keys.get(leaf["name"])
        now = {} if key is None else _key_leaf(key)
        if leaf["revoked_at"] is None:
            now = now | {"revoked_at": None}  # it may be revoked later; what was revoked stays so
        return None if now == leaf else f"the operator key {leaf['name']} is missing"
    if leaf["leaf"] == "hold":
        hold = ledger.store.hold(leaf["wallet_id"], leaf["number"])
        id_ = format_hold_id(leaf["wallet_id"], leaf["number"])
        return None if hold is not None and _hold_leaf(hold) == leaf else f"hold {id_} is missing"
    if leaf["leaf"] == "user":
        user = ledger.store.user_by_id(leaf["id"])
        return None if user is not None and _user_leaf(user) == leaf else f"user {leaf['id']} is missing"
    wallet, name = ledger.store.wallet(leaf["id"]), format_wallet_id(leaf["id"])
    if wallet is None:
        return f"wallet {name} is missing"
    seq = leaf["transactions"]
    last = ledger.store.transaction(wallet.id, seq) if seq else hash_chain.unopened(wallet)
    if last is None:
        return f"transaction {leaf['id']}-{seq} is missing"
    now = _wallet_leaf(wallet)
    same = all(now[each] == leaf[each] for each in now)
    return None if same and last.hash.hex() == leaf["head"] else f"wallet {name} with {seq} transactions is missing"


def _user_leaf(user: User) -> Leaf:
    return {
        "leaf": "user",
        "id": user.id,
        "phone_number": user.phone_number,
        "phone_e164": user.phone_e164,
        "phone_region": user.phone_region,
        "phone_national": user.phone_national,
        "name": user.name,
        "key": user.key,
        "created_at": format_time(user.created_at_us),
    }


def _wallet_leaf(wallet: Wallet) -> Leaf:
    """Without what grows: `transactions`, `head` and `root`."""
    return {
        "leaf": "wallet",
        "id": wallet.id,
        "user_id": wallet.user_id,
        "type": wallet.type,
        "currency": wallet.currency.name,
        "exponent": wallet.currency.exponent,
        "key": wallet.key,
        "opening_minimum": wallet.opening_minimum,
        "created_at": format_time(wallet.created_at_us),
    }


def _hold_leaf(hold: Hold) -> Leaf:
    return {
        "leaf": "hold",
        "wallet_id": hold.wallet_id,
        "number": hold.number,
        "amount": hold.amount,
        "note": hold.note,
        "key": hold.key,
        "created_at": format_time(hold.created_at_us),
        "expires_at": format_time(hold.expires_at_us),
    }


def _key_leaf(key: ApiKey) -> Leaf:
    return {
        "leaf": "key",
        "name": key.name,
        "key_hash": key.key_hash.hex(),
        "read_only": key.read_only,
        "revoked_at": None if key.revoked_at_us is None else format_time(key.revoked_at_us),
        "created_at": format_time(key.created_at_us),
    }
