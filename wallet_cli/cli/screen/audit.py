"""Who did what, in words: `shop (key)` and `limits set: minimum ₹0.00, no maximum`."""

from __future__ import annotations

from typing import Any

from wallet_cli.cli.screen.told import Row, Told
from wallet_cli.domain.ids import format_user

VIA = {"key": "{} (key)", "no-auth": "{} (no key)"}
"""How those are told who are not told by their name alone."""

SAYS_ALL = {"frozen", "unfrozen", "closed"}
"""Events of a wallet of which there is no more to know than their names."""


def who(row: Row) -> str:
    """Who did something: `asha`, `shop (key)`, `user 1`, `import customers.csv`; empty where it was not kept."""
    actor = row.get("actor")
    if actor is None:
        return ""
    if row["via"] == "token":
        return str(actor).replace(":", " ", 1)
    return VIA.get(row["via"], "{}").format(actor)


def whose(row: Row) -> str:
    """What an event is about: `1/main`, `user 1`, `the ledger`."""
    if row["of"] == "ledger":
        return "the ledger"
    if row["of"] == "user":
        return "user" if row["user_id"] is None else f"user {format_user(row['user_id'])}"
    return str(row["wallet"] or "wallet")


def what(row: Row, told: Told) -> str:
    """What was done: the event, and what is to know of it."""
    parts = [text for kind, of in row["details"].items() if (text := _detail(row, kind, of, told))]
    return f"{row['event']}: {', '.join(parts)}" if parts else str(row["event"])


def _detail(row: Row, kind: str, of: dict[str, Any], told: Told) -> str:
    if kind == "user":
        return str(of["phone_e164"])
    if kind == "wallet":
        return _wallet(row["event"], of, told)
    if kind == "hold":
        amount = _amount(of, "amount", row["currency"], told)
        captured = _amount(of, "captured", row["currency"], told)
        return f"{of['id']}, {f'{captured} of {amount}' if row['event'] == 'hold captured' else amount}"
    if kind == "transaction":
        return str(of["id"])
    if kind == "key":
        return f"{of['name']}, read only" if of["read_only"] and of["revoked_at"] is None else str(of["name"])
    if kind == "ledger":
        return _by_names(of)
    if kind == "place":
        return str(of["other"] or "")
    return f"schema {of['version']}" if kind == "schema" else _by_names(of)


def _wallet(event: str, of: dict[str, Any], told: Told) -> str:
    def limit(name: str, word: str, none: str) -> str:
        return none if of[name] is None else f"{word} {_amount(of, name, of['currency'], told)}"

    minimum = limit("minimum_balance", "minimum", "")
    if event == "limits set":
        daily = limit("daily_debit", "debits a day", "")
        return ", ".join(filter(None, [minimum, limit("maximum_balance", "maximum", "no maximum"), daily]))
    if event == "opened":
        return ", ".join(filter(None, [of["currency"], minimum]))
    if event == "adopted":
        return str(of["status"])
    return "" if event in SAYS_ALL else _by_names(of)


def _by_names(of: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in of.items() if name != "uuid" and value)


def _amount(of: dict[str, Any], name: str, currency: str | None, told: Told) -> str:
    return str(of[name]) if currency is None else str(told.money.amount(of[name], currency))
