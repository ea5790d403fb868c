"""A ledger's id, and the settings that it keeps so that all its users have the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from wallet_cli.domain.commands import Result, SetLedger
from wallet_cli.domain.model import LedgerFacts
from wallet_cli.domain.money import format_minor, parse_currency, parse_default_minimum, parse_minimum, parse_stored
from wallet_cli.domain.period import check_zone
from wallet_cli.domain.phone import check_region
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger, accepted
from wallet_cli.operations.wallets import NO_LIMIT
from wallet_cli.settings import ANY_CURRENCY, BY_NAME, LEDGER_SETTINGS
from wallet_cli.storage.sql import SCHEMA_VERSION


def show(ledger: Ledger) -> Answer:
    """The ledger's id, address, schema and settings; null for the program's default."""
    return ledger_answer(ledger.store.itself().facts) | {"db": ledger.store.address}


def overview(ledger: Ledger) -> Answer:
    """What is in the ledger: how many users, wallets and transactions, and what the wallets of each currency hold."""
    with ledger.store.snapshot():
        users, sums = ledger.store.user_count(), ledger.store.sums()
    return {
        "users": users,
        "wallets": sum(each.wallets for each in sums),
        "transactions": sum(each.transactions for each in sums),
        "currencies": [
            {
                "currency": each.currency.name,
                "wallets": each.wallets,
                "balance": format_minor(each.balance, each.currency),
            }
            for each in sums
        ],
    }


def change(ledger: Ledger, name: str, value: str) -> Answer:
    """Change one setting; `none` means the program's default. Answers as `show`. Raises InvalidInput."""
    results = ledger.executor.run(changes(ledger, {name: value}), "ledger set")
    return changed(results) | {"db": ledger.store.address}


def changes(ledger: Ledger, given: Mapping[str, str]) -> list[SetLedger]:
    """The commands that change the given settings. Raises InvalidInput for a wrong one."""
    values = {name: checked(name, text) for name, text in given.items()}
    facts = ledger.store.itself().facts._replace(**values)
    if not values.keys().isdisjoint(("currency", "minimum_balance")):
        # In the ledger's own currency it is one that a wallet could have as its own.
        currency = parse_stored(facts.currency or BY_NAME["currency"].default)
        parse_minimum(facts.minimum_balance or BY_NAME["minimum_balance"].default, currency)
    return [SetLedger(name, value) for name, value in values.items()]


def changed(results: Iterable[Result]) -> Answer:
    """The answer of a change: the ledger after the last of it. Nothing is read again. Raises the error of a refusal."""
    *_, last = [accepted(result).made for result in results]
    assert isinstance(last, LedgerFacts)
    return ledger_answer(last)


def ledger_answer(facts: LedgerFacts) -> Answer:
    return {"id": facts.uuid, "schema": SCHEMA_VERSION, **{name: getattr(facts, name) for name in LEDGER_SETTINGS}}


def checked(name: str, text: str, currency: Callable[[str], object] = parse_currency) -> str | None:
    """The text of a setting as a ledger keeps it. `currency` is the parser for a currency. Raises InvalidInput."""
    if name not in LEDGER_SETTINGS:
        raise InvalidInput(f"there is no ledger setting {shown(name)}", hint=f"one of {', '.join(LEDGER_SETTINGS)}")
    if text == NO_LIMIT:
        if name == "timezone":
            raise InvalidInput("a ledger always has a time zone", hint="wallet ledger set timezone UTC")
        return None
    if name == "currency":
        currency(text)
    elif name == "phone_region":
        check_region(text)
    elif name == "minimum_balance":
        parse_default_minimum(text, ANY_CURRENCY)
    else:
        check_zone(text)
    return text
