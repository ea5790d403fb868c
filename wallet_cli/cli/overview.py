"""A bare `wallet`: where the ledger is, what is in it, and what to try next. It makes nothing and writes nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from wallet_cli.cli.command import opened
from wallet_cli.cli.output import Format, Record, Style, notice, render
from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import Forbidden, LedgerNotFound, shown_url

BEGIN = (
    ("wallet init", "asks what a new ledger should be like; or leave it out:"),
    ("wallet register 9886977544 --name Asha", "a user, by phone number; makes the ledger"),
    ("wallet create 9886977544", "a wallet of theirs"),
    ("wallet credit 9886977544 500", "money in"),
    ("wallet demo", "the whole story, on a scratch ledger"),
)
NO_USERS = BEGIN[1:4]
NO_WALLETS = (("wallet users", "who is registered"), *BEGIN[2:4])
GO_ON = (
    ("wallet balance 1", "what a wallet holds; a name will do, where it is one person's"),
    ("wallet history", "what happened last, in all wallets"),
    ("wallet find asha", "look in names, numbers and notes"),
    ("wallet --help", "all commands"),
)


def print_overview(flags: Mapping[str, str], *, is_json: bool) -> None:
    render(_overview(flags), Style(Format.json if is_json else Format.table))
    sys.stdout.flush()


def _overview(flags: Mapping[str, str]) -> Record:
    from wallet_cli import settings

    where = shown_url(settings.load(flags, notify=notice).db)
    found: dict[str, Any] | None = None
    exists = True
    try:
        with opened(flags, Purpose.READ) as ledger:
            try:
                found = ledger.overview()
            except Forbidden:  # a user of a ledger elsewhere: what is in it is not theirs to see
                found = None
    except LedgerNotFound:
        exists = False
    data = {"ledger": where, "exists": exists} | (found or dict.fromkeys(("users", "wallets", "transactions")))
    return Record(
        data | {"currencies": (found or {}).get("currencies", [])}, "ledger", card=_card(where, exists, found)
    )


def _card(where: str, exists: bool, found: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The same for people."""
    if not exists:
        return {"ledger": where, "": "there is none here yet", **_tries(BEGIN)}
    if found is None:
        return {"ledger": where, **_tries(GO_ON)}
    counts = {name: f"{found[name]:,}" for name in ("users", "wallets", "transactions")}
    sums = {
        each["currency"]: f"{each['balance']} in {each['wallets']:,} wallet{'s' if each['wallets'] != 1 else ''}"
        for each in found["currencies"]
    }
    tries = NO_USERS if not found["users"] else NO_WALLETS if not found["wallets"] else GO_ON
    return {"ledger": where, **counts, **sums, **_tries(tries)}


def _tries(tries: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    return {command: f"# {why}" for command, why in tries}
