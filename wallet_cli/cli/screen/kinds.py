"""The kinds of rows, and what people are shown of each: its columns in a table, and its card.

Rows are those of JSON, with the fields of `operations/fields.py`. A command names the kind, and that is all that it has
to say of the screen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC
from typing import Any, NamedTuple

from wallet_cli.cli.screen import audit
from wallet_cli.cli.screen.cards import Card, Field
from wallet_cli.cli.screen.money import Amount
from wallet_cli.cli.screen.tables import DIM, GREEN, RED, YELLOW, Column
from wallet_cli.cli.screen.told import Row, Told
from wallet_cli.domain.ids import format_user, format_wallet_id, parse_transaction_id
from wallet_cli.domain.model import ACTIVE, CLOSED, FROZEN, OPEN
from wallet_cli.domain.money import format_minor, parse_minimum, parse_stored, parse_told
from wallet_cli.domain.period import parse_time
from wallet_cli.domain.remarks import OTHERS
from wallet_cli.errors import InvalidInput
from wallet_cli.settings import BY_NAME

TEXT_CELLS = 12
"""Below so many, a note says nothing any more."""
NAME_CELLS = 8
WHAT_CELLS = 20

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class Kind(NamedTuple):
    """What is shown of a kind of row: in a table, and alone. `wallets`: of which ones the owner's name is shown."""

    columns: Sequence[Column] = ()
    card: Callable[[Row, Told], Card] | None = None
    wallets: Callable[[Row], Iterable[int]] = lambda _row: ()
    none: str = "nothing to show"
    """What is said where there is no row."""


# Plain values


def plain(value: Any) -> str:
    """A value of no known meaning as text."""
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}={plain(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return str(value)


def _field(name: str) -> Callable[[Row, Told], str]:
    return lambda row, _told: plain(row.get(name))


def _amount(name: str) -> Callable[[Row, Told], Amount | None]:
    return lambda row, told: told.amount(row, name)


def _second(name: str) -> Callable[[Row, Told], str]:
    return lambda row, told: told.second(row.get(name))


def _day(name: str) -> Callable[[Row, Told], str]:
    return lambda row, told: told.day(row.get(name))


def _time_column(head: str, name: str, rank: int, short_rank: int) -> Column:
    return Column(head, _second(name), rank, _day(name), short_rank)


def _is_zero(amount: str) -> bool:
    return not amount.strip("-0.")


def _unless_zero(row: Row, name: str, told: Told) -> Amount | None:
    return None if _is_zero(row[name]) else told.amount(row, name)


def anything(names: Sequence[str]) -> Kind:
    """The kind of rows of which no more is known than the names of their fields."""

    def cell(name: str) -> Callable[[Row, Told], str]:
        return lambda row, told: _told_plainly(name, row.get(name), told)

    columns = [Column(_words(name), cell(name), rank, least=TEXT_CELLS) for rank, name in enumerate(names)]
    return Kind(columns, _any_card)


def _any_card(row: Row, told: Told) -> Card:
    return Card("", [(_words(name), _told_plainly(name, value, told)) for name, value in _flat(row)])


def _flat(row: Row, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Its fields; of a thing within it, each field as `debit amount`."""
    for name, value in row.items():
        if isinstance(value, dict) and name not in OTHERS:
            yield from _flat(value, f"{prefix}{name} ")
        else:
            yield prefix + name, value


def _told_plainly(name: str, value: Any, told: Told) -> str:
    if name == "wallet_id":
        return format_wallet_id(value)
    if type(value) is int and not name.endswith("id"):
        return told.money.count(value)
    return told.moment(value) if isinstance(value, str) and TIME.fullmatch(value) else plain(value)


def _words(name: str) -> str:
    return name.replace("_", " ")


# Transactions


def _movement(row: Row) -> str:
    """What a transaction is: `credit`, `transfer in`, `capture`, `reversal out`."""
    direction = "in" if row["is_credit"] else "out"
    if "reverses" in row:
        return f"reversal {direction}"
    if "transfer" in row:
        return f"transfer {direction}"
    return "capture" if "hold" in row else str(row["kind"])


def _peer(row: Row) -> int | None:
    """The id of the wallet at the other end of a transfer."""
    return parse_transaction_id(row["transfer"]).wallet_id if "transfer" in row else None


def _details(row: Row, told: Told) -> str:
    """What a transaction has to do with another thing: `to 2/main, Asha`, `of 1-2`."""
    peer = _peer(row)
    parts = []
    if "reverses" in row:
        parts.append(f"of {row['reverses']}")
    elif peer is not None:
        parts.append(f"{'from' if row['is_credit'] else 'to'} {told.wallet_and_owner(peer)}")
    elif "hold" in row:
        parts.append(f"of {row['hold']}")
    if row.get("forced"):
        parts.append("forced")
    return ", ".join(parts)


def _transaction_wallets(row: Row) -> list[int]:
    peer = _peer(row)
    return [] if peer is None else [peer]


def _transaction_card(row: Row, told: Told) -> Card:
    peer, movement = _peer(row), _movement(row)
    told.know([row["wallet_id"], *_transaction_wallets(row)])
    fields: list[Field] = [
        ("amount", told.signed(row)),
        ("balance", told.amount(row, "balance")),
        ("wallet", told.wallet_and_owner(row["wallet_id"])),
    ]
    if peer is not None:
        side = "from" if row["is_credit"] else "to"
        fields.append((side, f"{told.wallet_and_owner(peer)} ({row['transfer']})"))
    fields += [
        ("reverses", row.get("reverses")),
        ("hold", row.get("hold")),
        ("reversed", _reversed(row, told)),
        *_noted(row, told, "at"),
        ("by", audit.who(row)),
        ("forced", "past the minimum balance and limits" if row.get("forced") else None),
    ]
    return Card(f"{movement.capitalize()} {row['id']}{_again(row)}", fields)


def _reversed(row: Row, told: Told) -> str | None:
    if _is_zero(row.get("reversed", "0")):
        return None
    return f"{told.amount(row, 'reversed')} of it, by {', '.join(row['reversals'])}"


def _noted(row: Row, told: Told, time: str, label: str = "time") -> list[Field]:
    """When, and what was written beside it."""
    key = row.get("key")
    return [
        (label, told.moment(row[time])),
        ("note", row.get("note")),
        ("key", f"{key} (the user's)" if key is not None and row.get("user_key") else key),
        *((name, plain(row.get(name))) for name in OTHERS),
    ]


def _again(row: Row) -> str:
    return ": done before, and not again" if row.get("replayed") else ""


def _transfer_card(row: Row, told: Told) -> Card:
    out, into = row["debit"], row["credit"]
    told.know([out["wallet_id"], into["wallet_id"]])
    fields: list[Field] = [
        ("amount", told.amount(out, "amount")),
        ("from", told.wallet_and_owner(out["wallet_id"])),
        ("balance", told.amount(out, "balance")),
        ("to", f"{told.wallet_and_owner(into['wallet_id'])} ({into['id']})"),
        ("balance", told.amount(into, "balance")),
        *_noted(out, told, "at"),
        ("by", audit.who(out)),
    ]
    return Card(f"Transfer {row['id']}{_again(row)}", fields)


TRANSACTION = Kind(
    (
        Column("id", _field("id"), 40, style=DIM),
        _time_column("time", "at", 20, 90),
        Column("wallet", _field("wallet"), 25),
        Column("name", _field("name"), 55, least=NAME_CELLS),
        Column("kind", lambda row, _told: _movement(row), 50),
        Column("amount", lambda row, told: told.signed(row), style=lambda row: GREEN if row["is_credit"] else ""),
        Column("balance", _amount("balance"), 30),
        Column("details", _details, 70, least=TEXT_CELLS),
        Column("note", _field("note"), 60, least=TEXT_CELLS),
        Column("key", _field("key"), 100, style=DIM),
        Column("by", lambda row, _told: audit.who(row), 110, least=NAME_CELLS, style=DIM),
    ),
    _transaction_card,
    _transaction_wallets,
    "no transactions",
)

OF_MANY = {"name": 41, "kind": 42, "id": 43, "balance": 44}
"""The ranks in rows of many wallets, where who it was says more than the id and that wallet's balance."""

HISTORY = TRANSACTION._replace(
    columns=[column._replace(rank=OF_MANY.get(column.head, column.rank)) for column in TRANSACTION.columns]
)

KIND_TOTAL = Kind(
    (
        Column("kind", lambda row, _told: _words(row["kind"])),
        Column("count", lambda row, told: told.money.count(row["count"]), right=True),
        Column("amount", _amount("amount")),
    )
)


# Wallets


def _owner(row: Row, told: Told) -> str:
    return told.owner(row["id"])


def _status_style(row: Row) -> str:
    return {FROZEN: YELLOW, CLOSED: RED}.get(row["status"], "")


def _wallet_title(row: Row, told: Told) -> str:
    owner = _owner(row, told)
    status = "" if row["status"] == ACTIVE else f" ({row['status']})"
    return f"Wallet {row['wallet']}" + (f", {owner}" if owner else "") + status


def _wallet_card(row: Row, told: Told) -> Card:
    fields: list[Field] = [
        ("balance", told.amount(row, "balance")),
        ("on hold", _unless_zero(row, "held", told)),
        ("can be spent", None if _spendable(row) == row["balance"] else _spendable_amount(row, told)),
        ("minimum", _unless_zero(row, "minimum_balance", told)),
        ("maximum", told.amount(row, "maximum_balance")),
        ("debits a day", told.amount(row, "daily_debit")),
        ("currency", row["currency"]),
        ("status", row["status"]),
        ("transactions", told.money.count(row["transactions"])),
        ("opened", told.moment(row["created_at"])),
    ]
    return Card(_wallet_title(row, told) + (": was there before" if row.get("replayed") else ""), fields)


def _limits_card(row: Row, told: Told) -> Card:
    fields: list[Field] = [
        ("minimum", told.amount(row, "minimum_balance")),
        ("maximum", told.amount(row, "maximum_balance") or "no limit"),
        ("debits a day", told.amount(row, "daily_debit") or "no limit"),
        ("balance", told.amount(row, "balance")),
        ("can be spent", _spendable_amount(row, told)),
    ]
    return Card(f"Limits of {_wallet_title(row, told)[:1].lower()}{_wallet_title(row, told)[1:]}", fields)


def _balance_card(row: Row, told: Told) -> Card:
    """What can be read out to a customer."""
    owner, balance = _owner(row, told), told.amount(row, "balance")
    wallet, verb, when, first = f"wallet {row['wallet']}", "has", "", ""
    if "at" in row:
        bound = told.clock.bound(parse_time(row["at"], UTC).end_us, is_end=True)
        moment = f"the end of {bound}" if len(bound) == len("2024-04-19") else told.moment(row["at"])
        if told.is_over(row["at"]):
            verb, when = "had", f" at {moment}"
        else:
            first = f"{moment[0].upper()}{moment[1:]} has not come: now "
    who = owner or (wallet if first else f"Wallet {row['wallet']}")
    first += f"{who} {verb} {balance}{f' in {wallet}' if owner else ''}{when}."
    return Card(first, more=[] if "at" in row else list(_why_not_all(row, told)))


def _spendable(row: Row) -> str:
    """What of a balance can be spent: nothing, where nothing goes out."""
    if row["status"] == ACTIVE:
        return str(row["available"])
    return format_minor(0, parse_told(row["currency"], row["balance"]))


def _spendable_amount(row: Row, told: Told) -> Amount:
    return told.money.amount(_spendable(row), row["currency"])


def _why_not_all(row: Row, told: Told) -> Iterator[str]:
    """What of a balance can be spent, and why not all of it, where that is so."""
    if row["status"] != ACTIVE:
        yield f"It is {row['status']}: nothing goes in or out."
        return
    if _spendable(row) != row["balance"]:
        yield _available(row, told)
    if row["daily_debit"] is not None:
        yield f"At most {told.amount(row, 'daily_debit')} can be spent a day."


def _available(row: Row, told: Told) -> str:
    minimum, reasons = row["minimum_balance"], []
    if not _is_zero(row["held"]):
        reasons.append(f"{told.amount(row, 'held')} is on hold")
    if minimum.startswith("-"):
        reasons.append(f"it may go down to {told.amount(row, 'minimum_balance')}")
    elif not _is_zero(minimum):
        reasons.append(f"the minimum is {told.amount(row, 'minimum_balance')}")
    spendable = "Nothing" if _is_zero(_spendable(row)) else str(_spendable_amount(row, told))
    return f"{spendable} can be spent: {' and '.join(reasons)}." if reasons else f"{spendable} can be spent."


WALLET = Kind(
    (
        Column("wallet", _field("wallet")),
        Column("name", _owner, 20, least=NAME_CELLS),
        Column("balance", _amount("balance")),
        Column("on hold", _amount("held"), 60, when=lambda row: not _is_zero(row["held"])),
        Column("can be spent", _spendable_amount, 40, when=lambda row: bool(_spendable(row) != row["balance"])),
        Column("status", _field("status"), 10, style=_status_style, when=lambda row: bool(row["status"] != ACTIVE)),
        Column("transactions", lambda row, told: told.money.count(row["transactions"]), 80, right=True),
        Column("opened", _day("created_at"), 100),
    ),
    _wallet_card,
    lambda row: [row["id"]],
    "no wallets",
)


# Users


def _user_card(row: Row, told: Told) -> Card:
    fields: list[Field] = [
        ("phone", row["phone_e164"]),
        ("typed as", row["phone_number"] if row["phone_number"] != row["phone_e164"] else None),
        ("registered", told.moment(row["created_at"])),
    ]
    name = f", {row['name']}" if row["name"] else ""
    return Card(f"User {format_user(row['id'])}{name}{': was there before' if row.get('replayed') else ''}", fields)


USER = Kind(
    (
        Column("user", lambda row, _told: format_user(row["id"]), right=True),
        Column("name", _field("name"), 10, least=NAME_CELLS),
        Column("phone", _field("phone_e164"), 5),
        _time_column("registered", "created_at", 50, 60),
    ),
    _user_card,
    none="no users",
)


# Holds


def _hold_card(row: Row, told: Told) -> Card:
    fields: list[Field] = [
        ("amount", told.amount(row, "amount")),
        ("captured", _unless_zero(row, "captured", told)),
        ("still kept", None if row["held"] == row["amount"] else told.amount(row, "held")),
        ("wallet", told.wallet_and_owner(row["wallet_id"])),
        ("expires", told.moment(row["expires_at"]) if row["status"] == OPEN else None),
        ("ended", None if row["ended_at"] is None else told.moment(row["ended_at"])),
        *_noted(row, told, "created_at", "placed"),
    ]
    return Card(f"Hold {row['id']}, {row['status']}{_again(row)}", fields)


HOLD = Kind(
    (
        Column("id", _field("id"), 40, style=DIM),
        Column("wallet", _field("wallet"), 25),
        Column("name", _field("name"), 55, least=NAME_CELLS),
        Column("status", _field("status"), 20, style=lambda row: GREEN if row["status"] == OPEN else ""),
        Column("amount", _amount("amount")),
        Column("captured", _amount("captured"), 60, when=lambda row: not _is_zero(row["captured"])),
        Column("still kept", _amount("held"), 30, when=lambda row: bool(row["held"] != row["amount"])),
        _time_column("placed", "created_at", 80, 90),
        _time_column("expires", "expires_at", 45, 85),
        Column("note", _field("note"), 50, least=TEXT_CELLS),
        Column("key", _field("key"), 100, style=DIM),
    ),
    _hold_card,
    none="no holds",
)


# The audit trail

EVENT = Kind(
    (
        Column("id", _field("id"), 100, style=DIM),
        _time_column("time", "at", 20, 90),
        Column("who", lambda row, _told: audit.who(row), 10, least=NAME_CELLS),
        Column("what", audit.what, least=WHAT_CELLS),
        Column("whose", lambda row, _told: audit.whose(row), 40),
        Column("name", _field("name"), 60, least=NAME_CELLS),
    ),
    none="no events",
)


# Totals


def _period(row: Row, told: Told) -> str:
    if row["from"] is row["to"] is None:
        return "from the beginning until now"
    start = "the beginning" if row["from"] is None else told.clock.bound(parse_time(row["from"], UTC).start_us)
    end = "now" if row["to"] is None else told.clock.bound(parse_time(row["to"], UTC).end_us, is_end=True)
    return f"{start} to {end}"


def _total_card(row: Row, told: Told) -> Card:
    def counted(name: str, sign: str) -> Amount | None:
        total = told.amount(row, f"{name}_total", "" if _is_zero(row[f"{name}_total"]) else sign)
        number = told.money.count(row[f"{name}_count"])
        return None if total is None else Amount(total.whole, f"{total.rest}  ({number})")

    whose = f"{row['name'] or row['phone_e164']}" if "phone_e164" in row else told.owner(row["wallet_id"])
    phone = row.get("phone_e164") if row.get("name") else None
    fields: list[Field] = [
        ("period", _period(row, told)),
        ("opening balance", told.amount(row, "opening_balance")),
        ("credits", counted("credit", "+")),
        ("debits", counted("debit", "-")),
        ("closing balance", told.amount(row, "closing_balance")),
        ("net", told.amount(row, "net", "" if _is_zero(row["net"]) else "+")),
    ]
    title = f"Wallet {row['wallet']}" + (f", {whose}" if whose else "") + (f", {phone}" if phone else "")
    return Card(title, fields)


# What commands did


def _import_card(row: Row, told: Told) -> Card:
    counts = {
        "applied": "applied",
        "replayed": "applied before",
        "skipped": "skipped",
        "refused": "refused",
        "users_created": "users registered",
        "wallets_created": "wallets opened",
    }
    fields = [
        (label, told.money.count(row[name]))
        for name, label in counts.items()
        if row.get(name) or name in ("applied", "refused")
    ]
    is_there = not row["refused"] or any(row[name] for name in ("applied", "users_created", "wallets_created"))
    done = "Imported." if is_there else "Nothing was imported."
    return Card("A dry run: nothing was changed." if row.get("dry_run") else done, fields)


def _verification_card(row: Row, told: Told) -> Card:
    wallets, lines = told.money.count(row["wallets"]), told.money.count(row["transactions"])
    right = (
        f"{wallets} {'wallet' if row['wallets'] == 1 else 'wallets'} and"
        f" {lines} {'transaction' if row['transactions'] == 1 else 'transactions'}:"
        " every total, sequence number and hash was worked out again."
    )
    sealed = f"All that was sealed at {told.moment(row['sealed_at'])} is still there." if "sealed_at" in row else ""
    return Card("All is right.", more=[right, *filter(None, [sealed])])


def _receipt_card(row: Row, told: Told) -> Card:
    fields: list[Field] = [("transaction", row["transaction"]), ("reversed", _reversed(row, told))]
    return Card("All is right.", fields, [f"What was sealed of it at {told.moment(row['sealed_at'])} is still there."])


def _backup_card(row: Row, told: Told) -> Card:
    counts: list[Field] = [(name, told.money.count(row[name])) for name in ("wallets", "transactions") if name in row]
    rest: list[Field] = [
        (_words(name), plain(value)) for name, value in row.items() if name not in ("bytes", "wallets", "transactions")
    ]
    size = [("size", f"{told.money.count(row['bytes'])} bytes")] if "bytes" in row else []
    return Card("", [*rest, *size, *counts])


def _restored_card(row: Row, told: Told) -> Card:
    fields: list[Field] = [
        ("ledger", row["restored"]),
        ("backup", row["backup"]),
        ("transactions", told.money.count(row["transactions"])),
        ("kept", row["kept"]),
    ]
    before = row["transactions_kept"]
    kept = [] if before is None else [("transactions before", told.money.count(before))]
    return Card("The backup is in the place of the ledger.", [*fields, *kept])


def _seal_card(row: Row, told: Told) -> Card:
    wallets, lines = told.money.count(row["wallets"]), told.money.count(row["transactions"])
    fields: list[Field] = [
        ("file", row["file"]),
        ("time", told.moment(row["at"])),
        ("wallets", wallets),
        ("transactions", lines),
        ("root", row["root"]),
        ("public key", row["public_key"]),
    ]
    keep = "Keep it where the ledger is not: `wallet verify --against FILE` finds what is changed from now on."
    return Card("Sealed." if row["file"] else "Sealed, in no file.", fields, [keep] if row["file"] else [])


def _rights(row: Row, _told: Told) -> str:
    return "read only" if row["read_only"] else "read and write"


def _key_card(row: Row, told: Told) -> Card:
    fields: list[Field] = [
        ("key", row.get("key")),
        ("may", _rights(row, told)),
        ("made", told.moment(row["created_at"])),
        ("last used", None if row["last_used_at"] is None else told.moment(row["last_used_at"])),
        ("revoked", None if row["revoked_at"] is None else told.moment(row["revoked_at"])),
    ]
    once = "It is not shown again. Requests carry it in a header: Authorization: Bearer KEY"
    return Card(f"Operator key {row['name']}", fields, [once] if "key" in row else [])


KEY = Kind(
    (
        Column("name", _field("name"), least=NAME_CELLS),
        Column("may", _rights, 20),
        _time_column("made", "created_at", 40, 70),
        _time_column("last used", "last_used_at", 30, 60),
        _time_column("revoked", "revoked_at", 10, 50),
    ),
    _key_card,
    none="no operator keys",
)

SETTING = Kind(
    (
        Column("name", _field("name")),
        Column("value", _field("value"), least=TEXT_CELLS),
        Column("source", _field("source"), 10, least=TEXT_CELLS, style=DIM),
    )
)

# The ledger


def _ledger_card(row: Row, told: Told) -> Card:
    def of(name: str, value: Any) -> str | Amount:
        return _usual_minimum(row, told) if name == "minimum_balance" and value is not None else plain(value)

    return Card("", [(_words(name), of(name, value)) for name, value in row.items()])


def _usual_minimum(row: Row, told: Told) -> str | Amount:
    """The minimum that a ledger keeps, in its currency, where it is one that this can have."""
    text = str(row["minimum_balance"])
    with suppress(InvalidInput):
        unit = parse_stored(row["currency"] or BY_NAME["currency"].default)
        return told.money.amount(format_minor(parse_minimum(text, unit), unit), unit.name)
    return text


def _overview_card(row: Row, told: Told) -> Card:
    fields: list[Field] = [("ledger", row["ledger"])]
    if not row["exists"]:
        return Card("", [*fields, ("", "there is none here yet")])
    if row["users"] is not None:
        fields += [(name, told.money.count(row[name])) for name in ("users", "wallets", "transactions")]
    return Card("", fields)


CURRENCY = Kind(
    (
        Column("balance", _amount("balance")),
        Column("wallets", lambda row, told: told.money.count(row["wallets"]), 10, right=True),
    )
)


COMMAND = Kind(
    (
        Column("name", _field("name")),
        Column("section", _field("section"), 30),
        Column("about", _field("about"), 20, least=TEXT_CELLS),
        Column("effect", _field("effect"), 40),
    )
)


def _finding_style(row: Row) -> str:
    return {"ok": GREEN, "warning": YELLOW}.get(row["status"], RED)


FINDING = Kind(
    (
        Column("name", _field("name")),
        Column("status", _field("status"), 10, style=_finding_style),
        Column("found", _field("found"), 20, least=TEXT_CELLS),
    ),
    lambda row, _told: Card(f"{row['name']}: {row['found']}", more=[row["advice"]]),
)

KINDS: dict[str, Kind] = {
    "transaction": TRANSACTION,
    "history": HISTORY,
    "transfer": Kind(card=_transfer_card),
    "wallet": WALLET,
    "balance": Kind(card=_balance_card),
    "limits": Kind(card=_limits_card),
    "user": USER,
    "hold": HOLD,
    "event": EVENT,
    "total": Kind(card=_total_card),
    "kind_total": KIND_TOTAL,
    "import": Kind(card=_import_card),
    "verification": Kind(card=_verification_card),
    "receipt": Kind(card=_receipt_card),
    "key": KEY,
    "setting": SETTING,
    "ledger": Kind(card=_ledger_card),
    "backup": Kind(card=_backup_card),
    "restored": Kind(card=_restored_card),
    "seal": Kind(card=_seal_card),
    "command": COMMAND,
    "finding": FINDING,
    "overview": Kind(card=_overview_card),
    "currency": CURRENCY,
}
"""Every kind by its name: what a command says of its answer."""
