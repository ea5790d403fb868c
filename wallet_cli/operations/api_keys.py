"""Operator keys: creating, listing and revoking them. The key is shown once and stored as a hash."""

from __future__ import annotations

import secrets

from wallet_cli.domain.commands import AddApiKey, Applied, Replayed, RevokeApiKey
from wallet_cli.domain.hash_chain import sha256
from wallet_cli.domain.ids import check_operator_name
from wallet_cli.domain.model import ApiKey
from wallet_cli.domain.period import format_time
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.prepared import Prepared

KEY_PREFIX = "wk_"
KEY_BYTES = 32


def create(name: str, *, read_only: bool = False) -> Prepared[AddApiKey]:
    """Create a key; only this answer ever has the key itself. Raises InvalidInput; the rules, KeyExists."""
    check_operator_name(name)
    key = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    return Prepared(AddApiKey(name, hash_key(key), read_only), lambda result: {"key": key} | _changed(result))


def revoke(name: str) -> Prepared[RevokeApiKey]:
    """Revoke a key: it is refused from now on. Raises InvalidInput; the rules, KeyNotFound."""
    return Prepared(RevokeApiKey(check_operator_name(name)), _changed)


def _changed(result: Applied | Replayed) -> Answer:
    assert isinstance(result.made, ApiKey)
    return api_key_answer(result.made)


def listed(ledger: Ledger) -> list[Answer]:
    return [api_key_answer(operator) for operator in ledger.store.operators()]


def api_key_answer(operator: ApiKey) -> Answer:
    return {
        "name": operator.name,
        "read_only": operator.read_only,
        "created_at": format_time(operator.created_at_us),
        "last_used_at": None if operator.last_used_at_us is None else format_time(operator.last_used_at_us),
        "revoked_at": None if operator.revoked_at_us is None else format_time(operator.revoked_at_us),
    }


def hash_key(key: str) -> bytes:
    """How a key is stored: 32 bytes of SHA-256; a random key needs no slow hash."""
    return bytes(sha256(key.encode()).digest())
