"""From the fields of a line to a command: the form of each is checked, and amounts are read in the wallet's
currency.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from wallet_cli.domain import events
from wallet_cli.domain.actors import MAX_ACTOR_CHARS
from wallet_cli.domain.commands import (
    Post,
    Register,
    RestoreEvent,
    RestoreHold,
    RestoreState,
    RestoreTransaction,
)
from wallet_cli.domain.ids import (
    check_note,
    check_stored_key,
    check_stored_name,
    format_wallet_id,
    parse_hold_id,
    parse_transaction_id,
)
from wallet_cli.domain.metadata import canonical_json
from wallet_cli.domain.model import ACTIVE, CAPTURED, CLOSED, EXPIRED, FROZEN, OPEN, VOIDED, Event, Hold, Wallet
from wallet_cli.domain.money import (
    Currency,
    parse_amount,
    parse_balance,
    parse_daily_debit,
    parse_maximum,
    parse_minimum,
    parse_stored,
)
from wallet_cli.domain.period import Zone, parse_start
from wallet_cli.domain.phone import Phone, phone_digits
from wallet_cli.domain.remarks import Remarks
from wallet_cli.errors import InvalidInput, RestoreConflict, shown
from wallet_cli.import_export.imports.reading import Fraction, Line
from wallet_cli.operations.ledgers import checked
from wallet_cli.settings import LEDGER_SETTINGS

# The same length as for typed numbers: some plans have more than the 15 digits of E.164.
_E164 = r"\+[0-9]{3,40}"
_REGION = r"[A-Z]{2}"
_NATIONAL = r"[0-9]{1,40}"
_HASH = r"[0-9a-f]{64}"
_ACTOR = rf"[^\x00\ud800-\udfff]{{1,{MAX_ACTOR_CHARS}}}"
_WHAT = r"[a-z][a-z ]{0,63}"
IS_CREDIT = {"credit": True, "debit": False}


def text(fields: dict[str, Any], name: str) -> str:
    """A required text field."""
    value = fields.get(name)
    if type(value) is str:
        return value
    raise InvalidInput(f"{name} is missing" if value is None else f"{name} is not text", hint=f'"{name}": "…"')


def text_or_none(fields: dict[str, Any], name: str) -> str | None:
    return None if fields.get(name) is None else text(fields, name)


def amount_text(fields: dict[str, Any], name: str = "amount") -> str:
    """An amount as written: text, or a JSON number, which is read digit by digit."""
    value = fields.get(name)
    if type(value) is str:
        return value
    if type(value) is Fraction:
        return value.text
    if type(value) is int:
        return str(value)
    raise InvalidInput(
        f"{name} is missing" if value is None else f"{name} is not a number or a string",
        hint='such as 20, 19.99 or "19.99"',
    )


def post(line: Line, wallet: Wallet, key: str | None, zone: Zone) -> Post:
    """The command of a line that goes through the rules."""
    get = line.fields.get
    amount, kind, at = get("amount"), get("kind"), get("at")
    minor = parse_amount(amount if type(amount) is str else amount_text(line.fields), wallet.currency)
    is_credit = IS_CREDIT[kind] if kind == "credit" or kind == "debit" else _kind(line.fields)
    remarks = Remarks.of(line.fields)
    at_us = None if at is None else parse_start(at if type(at) is str else text(line.fields, "at"), zone)
    return Post(wallet.id, is_credit, minor, remarks, key, at_us)


def restored_transaction(line: Line, wallet: Wallet, zone: Zone) -> RestoreTransaction:
    """The command of a line of an export, which gives its place."""
    fields, currency = line.fields, wallet.currency
    wallet_id, seq = parse_transaction_id(text(fields, "id"))
    _same_wallet(wallet, wallet_id)
    remarks, key = Remarks.of(fields), stored_key(fields)
    peer_id = peer_seq = reverses = hold = None
    if "transfer" in fields:
        peer_id, peer_seq = parse_transaction_id(text(fields, "transfer"))
    if "reverses" in fields:
        reverses = _within(wallet_id, parse_transaction_id(text(fields, "reverses")))
    if "hold" in fields:
        hold = _within(wallet_id, parse_hold_id(text(fields, "hold")))
    if "at" not in fields:
        raise InvalidInput("at is missing", hint="a line with an id belongs to an export, and must give its time")
    return RestoreTransaction(
        wallet_id,
        seq,
        _kind(fields),
        parse_amount(amount_text(fields), currency),
        parse_start(text(fields, "at"), zone),
        remarks,
        key,
        peer_id,
        peer_seq,
        reverses,
        hold,
        _flag(fields, "forced"),
        _flag(fields, "user_key"),
        _actor(fields),
        None if "balance" not in fields else parse_balance(amount_text(fields, "balance"), currency),
    )


def restored_hold(line: Line, wallet: Wallet, zone: Zone) -> RestoreHold:
    fields, currency = line.fields, wallet.currency
    wallet_id, number = parse_hold_id(text(fields, "id"))
    _same_wallet(wallet, wallet_id)
    status = _one_of(fields, "status", (OPEN, CAPTURED, VOIDED, EXPIRED))
    amount = parse_amount(amount_text(fields), currency)
    captured = parse_minimum(amount_text(fields, "captured"), currency)
    ended_at = text_or_none(fields, "ended_at")
    note = text_or_none(fields, "note")
    hold = Hold(
        wallet_id,
        number,
        amount,
        captured,
        status,
        parse_start(text(fields, "created_at"), zone),
        parse_start(text(fields, "expires_at"), zone),
        None if ended_at is None else parse_start(ended_at, zone),
        None if note is None else check_note(note),
        stored_key(fields),
    )
    if not _is_possible(hold):
        raise InvalidInput(
            f"hold {fields['id']} contradicts itself",
            hint="an open hold has no end, and captured is at most the amount",
        )
    return RestoreHold(hold)


def _is_possible(hold: Hold) -> bool:
    """Whether amounts, times and status agree, as `verify` requires."""
    if not 0 <= hold.captured <= hold.amount or hold.created_at_us >= hold.expires_at_us:
        return False
    if hold.status == OPEN:
        return hold.ended_at_us is None and hold.remaining > 0
    if hold.ended_at_us is None or hold.ended_at_us < hold.created_at_us:
        return False
    if hold.status == CAPTURED:
        return hold.captured > 0
    return hold.remaining > 0 and (hold.status == VOIDED or hold.ended_at_us == hold.expires_at_us)


def restored_state(line: Line, wallet: Wallet) -> RestoreState:
    fields, currency = line.fields, wallet.currency
    hash_ = text(fields, "hash")
    if not re.fullmatch(_HASH, hash_):
        raise InvalidInput(f"not a hash: {shown(hash_)}", hint="64 digits, 0 to 9 and a to f")

    def limit(name: str, parse: Callable[..., int]) -> int | None:
        return None if name not in fields else parse(amount_text(fields, name), currency)

    return RestoreState(
        wallet.id,
        _whole(fields, "transactions"),
        bytes.fromhex(hash_),
        _one_of(fields, "status", (ACTIVE, FROZEN, CLOSED)),
        limit("minimum_balance", parse_minimum),
        limit("maximum_balance", parse_maximum),
        limit("daily_debit", parse_daily_debit),
    )


def restored_event(line: Line, zone: Zone) -> RestoreEvent:
    fields = line.fields
    details = fields.get("details")
    if not isinstance(details, dict):
        raise InvalidInput("details is not an object", hint="get the complete export, unchanged")
    return RestoreEvent(
        Event(
            events.KINDS.index(_one_of(fields, "of", events.KINDS[1:])),
            _whole(fields, "id"),
            _whole(fields, "number"),
            parse_start(text(fields, "at"), zone),
            _actor(fields),
            _matching(fields, "event", _WHAT),
            canonical_json(details),
            bytes.fromhex(_matching(fields, "hash", _HASH)),
        )
    )


def restored_user(line: Line, zone: Zone) -> Register:
    """A user of an export, with the number as parsed when it was exported."""
    fields = line.fields
    typed = text(fields, "phone_number")
    phone_digits(typed)
    phone = Phone(
        typed,
        _matching(fields, "phone_e164", _E164),
        None if "phone_region" not in fields else _matching(fields, "phone_region", _REGION),
        None if "phone_national" not in fields else _matching(fields, "phone_national", _NATIONAL),
    )
    if (phone.region is None) != (phone.national is None):
        raise InvalidInput("phone_region and phone_national belong together", hint="give both or neither")
    name = text_or_none(fields, "name")
    return Register(
        phone,
        None if name is None else check_stored_name(name),
        parse_start(text(fields, "created_at"), zone),
        _whole(fields, "id"),
        stored_key(fields),
    )


def stored_key(fields: dict[str, Any]) -> str | None:
    """The key in a line of an export, if it has one."""
    key = text_or_none(fields, "key")
    return None if key is None else check_stored_key(key)


def created_at(fields: dict[str, Any], zone: Zone) -> tuple[int | None, int | None]:
    """When a restored wallet was opened, and its id; None for a new wallet."""
    if "id" not in fields and "created_at" not in fields:
        return None, None
    return parse_start(text(fields, "created_at"), zone), _whole(fields, "id")


def digits(fields: dict[str, Any]) -> int | None:
    """The fraction digits of a restored wallet's currency, if its name does not give them."""
    return None if "digits" not in fields else _whole(fields, "digits")


def is_of(named: object, currency: Currency) -> bool:
    """Whether the currency in a line means that of its wallet; the wallet's own name for it always matches."""
    return isinstance(named, str) and currency.is_meant(named)


def ledger_settings(fields: dict[str, Any]) -> dict[str, str | None] | None:
    """The checked settings of the exported ledger; None in an export from before ledgers had settings."""
    given = {name: text(fields, name) for name in LEDGER_SETTINGS if name in fields}
    return {name: checked(name, value, parse_stored) for name, value in given.items()} or None


def check_version(line: Line, newest: int) -> None:
    version = _whole(line.fields, "version")
    if version > newest:
        raise InvalidInput(f"this export has a newer format, {version}", hint="upgrade wallet-cli")


def check_count(line: Line, found: int | None) -> None:
    """Check the last line of an export, which has the number of records before it; `found` is the number read."""
    expected = _whole(line.fields, "records")
    if found is None:
        raise RestoreConflict(
            "this is the end of an export without its beginning", hint="get the complete export, and import it"
        )
    if found != expected:
        raise RestoreConflict(
            f"the export had {expected} records, but {found} were read", hint="get the complete export, unchanged"
        )


def _kind(fields: dict[str, Any]) -> bool:
    kind = fields.get("kind")
    is_credit = IS_CREDIT.get(kind) if type(kind) is str else None
    if is_credit is None:
        raise InvalidInput(
            "kind is missing" if kind is None else f"not a kind: {shown(str(kind))}", hint="credit or debit"
        )
    return is_credit


def _flag(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name, False)
    if value in ("true", "false"):
        return bool(value == "true")
    if type(value) is not bool:
        raise InvalidInput(f"{name} is not true or false", hint="leave it out for false")
    return value


def _actor(fields: dict[str, Any]) -> str | None:
    return None if fields.get("actor") is None else _matching(fields, "actor", _ACTOR)


def _whole(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value < 2**63:
        raise InvalidInput(f"{name} is not a whole number", hint=f'"{name}": 1')
    return value


def _one_of(fields: dict[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = text(fields, name)
    if value not in known:
        raise InvalidInput(f"not a {name}: {shown(value)}", hint=f"one of {', '.join(known)}")
    return value


def _matching(fields: dict[str, Any], name: str, pattern: str) -> str:
    value = text(fields, name)
    if not re.fullmatch(pattern, value):
        raise InvalidInput(f"{name} is not as an export has it: {shown(value)}")
    return value


def _same_wallet(wallet: Wallet, wallet_id: int) -> None:
    if wallet.id != wallet_id:
        raise RestoreConflict(
            (
                f"this was wallet {format_wallet_id(wallet_id)}, and wallet ",
                wallet.mention,
                f" is {format_wallet_id(wallet.id)} here",
            ),
            hint="import an export into a new ledger; or leave id out to add the line to this one",
        )


def _within(wallet_id: int, id_: tuple[int, int]) -> int:
    """The seq or number in an id of the same wallet; raises InvalidInput for another wallet."""
    if id_[0] != wallet_id:
        raise InvalidInput(
            f"this belongs to wallet {format_wallet_id(id_[0])}, not {format_wallet_id(wallet_id)}",
            hint="a reversal is in the same wallet",
        )
    return id_[1]
