"""A bare `wallet`: where the ledger is, what is in it, and what to try next. It makes nothing and writes nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from wallet_cli.cli.command import opened
from wallet_cli.cli.named_ledger import on_it
from wallet_cli.cli.output import Format, Listing, Pages, Record, Style, notice, render
from wallet_cli.domain.model import LedgerFacts
from wallet_cli.domain.phone import EXAMPLE, example_phone
from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import Forbidden, LedgerNotFound, shown_url

BEGIN = (
    ("wallet init", "asks what a new ledger should be like; or begin at once:"),
    ("wallet register 9886977544 --name Asha", "a user, by phone number; makes the ledger"),
    ("wallet create 9886977544", "a wallet of theirs"),
    ("wallet credit 9886977544 500", "money in"),
    ("wallet demo", "the whole story, on a scratch ledger"),
)
NO_USERS = BEGIN[1:4]
NO_WALLETS = (
    ("wallet users", "who is registered"),
    ("wallet create 1", "a wallet of user 1"),
    ("wallet credit 1 500", "money in"),
)
GO_ON = (
    ("wallet list", "the wallets, and what each holds"),
    ("wallet history", "what happened last, in all wallets"),
    ("wallet find TEXT", "look in names, numbers and notes"),
    ("wallet --help", "all commands"),
)
OF_A_USER = (
    ("wallet list USER", "your wallets, by your phone number or id"),
    ("wallet history WALLET", "what happened last in one of them"),
    ("wallet --help", "all commands"),
)
"""Who has a user's token sees nothing but their own."""


def print_overview(flags: Mapping[str, str], *, is_json: bool) -> None:
    data, tries = _overview(flags)
    record = Record(data, "ledger", kind="overview")
    sums = [Listing(data["currencies"], (), kind="currency")] if data["currencies"] else []
    what_next = Record({}, card={on_it(command, flags): f"# {why}" for command, why in tries})
    answer = record if is_json else Pages((record, *sums, what_next))
    render(answer, Style(Format.json if is_json else Format.table))
    sys.stdout.flush()


def _overview(flags: Mapping[str, str]) -> tuple[Mapping[str, Any], Sequence[tuple[str, str]]]:
    """What there is to tell, and what to try next."""
    from wallet_cli import settings

    chosen = settings.load(flags, notify=notice)
    found: dict[str, Any] | None = None
    exists = True
    facts = LedgerFacts()
    try:
        with opened(flags, Purpose.READ) as ledger:
            try:
                found = ledger.overview()
                if not found["users"]:
                    facts = LedgerFacts(phone_region=ledger.facts()["phone_region"])
            except Forbidden:  # a user of a ledger elsewhere: what is in it is not theirs to see
                found = None
    except LedgerNotFound:
        exists = False
    unknown = dict.fromkeys(("users", "wallets", "transactions")) | {"currencies": []}
    tries = _tries(exists, found)
    if tries in (BEGIN, NO_USERS):
        phone = example_phone(chosen.within(facts).checked_phone_region)
        tries = [(command.replace(EXAMPLE, phone), why) for command, why in tries]
    return {"ledger": shown_url(chosen.db), "exists": exists} | (found or unknown), tries


def _tries(exists: bool, found: Mapping[str, Any] | None) -> Sequence[tuple[str, str]]:
    if not exists:
        return BEGIN
    if found is None:
        return OF_A_USER
    return NO_USERS if not found["users"] else NO_WALLETS if not found["wallets"] else GO_ON
