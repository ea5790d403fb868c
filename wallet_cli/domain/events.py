"""Events: what was done to users, wallets, holds, operator keys and the ledger itself, and who did it.

A transaction is no event: it records its change itself. Each user, each wallet and the ledger has a chain of events, so
writers to different wallets never wait for each other here. A hold belongs to its wallet, an operator key to the
ledger. An event has the row as it is after the change, so the last event of a row and the row must agree: `verify`
compares them. The idea is that of a log of changed rows, as in change data capture, with hashes as in hash_chain.py.

    hash(0) = SHA-256("events 1 KIND ID")
    hash(n) = SHA-256(hash(n-1) ‖ canonical bytes of event n)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wallet_cli.domain.hash_chain import by, link, sha256
from wallet_cli.domain.metadata import canonical_json
from wallet_cli.domain.model import ApiKey, Event, Hold, LedgerFacts, User, Wallet

LEDGER, USER, WALLET = 0, 1, 2
KINDS = ("ledger", "user", "wallet")
"""What an event is about, by number."""

Subject = tuple[int, int]
"""What has a chain of events: its kind, and its id there; the ledger's is 0."""

OF_LEDGER: Subject = (LEDGER, 0)

Rows = Mapping[str, Mapping[str, Any]]
"""Rows by kind, as they are after a change: amounts in minor units, times in microseconds since 1970."""


def follow(
    last: Event | None, subject: Subject, at_us: int, actor: str | None, what: str, details: Mapping[str, Any]
) -> Event:
    """The event of a subject that comes after `last`, or its first one. Its time is never before that of `last`."""
    if last is not None:
        at_us = max(at_us, last.at_us)
    number = 1 if last is None else last.number + 1
    return hashed(Event(*subject, number, at_us, actor, what, canonical_json(details), b""), last)


def hashed(event: Event, last: Event | None) -> Event:
    """The event with its hash, as it follows `last`."""
    return event._replace(hash=link(before(event) if last is None else last.hash, content(event)))


def before(event: Event) -> bytes:
    """The hash before the first event of its subject."""
    return bytes(sha256(f"events 1 {KINDS[event.kind]} {event.subject_id}".encode()).digest())


def content(event: Event) -> bytes:
    """Its canonical bytes, which come after the hash of the one before it."""
    actor = "" if event.actor is None else by(event.actor)
    return f" {event.number} {event.at_us} {len(event.what)}:{event.what}{actor} {event.details}".encode()


# The rows of an event, under the names of their columns; without what others can work out.


def of_user(user: User) -> dict[str, Any]:
    return _without(user._asdict(), "id")


def of_wallet(wallet: Wallet) -> dict[str, Any]:
    """Without `held` and the number of holds, which its holds tell."""
    row = wallet._asdict() | {"currency": wallet.currency.name, "exponent": wallet.currency.exponent}
    return _without(row, "id", "held", "hold_count")


def of_hold(hold: Hold) -> dict[str, Any]:
    return _without(hold._asdict(), "wallet_id")


def of_key(key: ApiKey) -> dict[str, Any]:
    """Without its last use, which is only noted now and then."""
    return _without(key._asdict() | {"key_hash": key.key_hash.hex()}, "last_used_at_us")


def of_settings(facts: LedgerFacts) -> dict[str, Any]:
    return facts._asdict()


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        del row[name]
    return row
