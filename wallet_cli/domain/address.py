"""How people name things: USER, WALLET, wallet types, transaction ids, keys, notes. Text in, names out."""

from __future__ import annotations

import re
from typing import NamedTuple

from wallet_cli.domain.phone import phone_digits
from wallet_cli.errors import InvalidInput, shown

DEFAULT_TYPE = "main"
MAX_ID = 2**63 - 1
MAX_KEY_CHARS = 255
MAX_NOTE_CHARS = 1000
MAX_NAME_CHARS = 200
PHONE_DIGITS = 7
"""From this many digits on, a run of digits is a phone number; a shorter one is an id."""

_ID = r"[0-9]{1,19}"
_TYPE = r"[a-zA-Z0-9_.\-]{1,32}"
_OPERATOR_NAME = r"[a-zA-Z0-9_.\-]{1,64}"
_TRANSACTION_ID = r"([0-9]{1,19})-([0-9]{1,19})"
_HOLD_ID = r"([0-9]{1,19})-h([0-9]{1,19})"


class UserId(NamedTuple):
    id: int


class PhoneDigits(NamedTuple):
    """A phone number as it was typed, not worked out yet: `digits` are without spacing."""

    typed: str
    digits: str


UserName = UserId | PhoneDigits


class WalletName(NamedTuple):
    user: UserName
    type: str


class OwnedWallet(NamedTuple):
    """A wallet by its id, and the user that it has to belong to."""

    wallet_id: int
    user_id: int


WalletRef = WalletName | OwnedWallet


class TransactionId(NamedTuple):
    """`W-N`: the N-th transaction of wallet W."""

    wallet_id: int
    seq: int


class HoldId(NamedTuple):
    """`W-hN`: the N-th hold of wallet W."""

    wallet_id: int
    number: int


def parse_user(text: str) -> UserName:
    """Read a USER: `id:N`, a phone number (a `+`, or 7 digits or more), or a shorter run of digits, an id."""
    if text.startswith("id:"):
        return UserId(parse_id(text[3:]))
    digits = phone_digits(text)
    if digits.startswith("+") or len(digits) >= PHONE_DIGITS:
        return PhoneDigits(text, digits)
    # 1.5 is no user: only a number is spaced out in more ways than these.
    return UserId(parse_id(text if text.strip("0123456789 ()-") else digits))


def parse_wallet(text: str) -> WalletName:
    """Read a WALLET: `USER` or `USER/TYPE`."""
    user, slash, type_ = text.partition("/")
    return WalletName(parse_user(user), parse_type(type_) if slash else DEFAULT_TYPE)


def parse_type(text: str) -> str:
    if not re.fullmatch(_TYPE, text):
        raise InvalidInput(
            f"not a wallet type: {shown(text)}", hint="1 to 32 letters, digits, '_', '.' or '-', such as savings"
        )
    return text


def parse_transaction_id(text: str) -> TransactionId:
    match = re.fullmatch(_TRANSACTION_ID, text)
    if match is None or max(map(int, match.groups())) > MAX_ID:
        raise InvalidInput(f"not a transaction id: {shown(text)}", hint="W-N, such as 1-17")
    return TransactionId(int(match[1]), int(match[2]))


def format_transaction_id(wallet_id: int, seq: int) -> str:
    return f"{wallet_id}-{seq}"


def parse_hold_id(text: str) -> HoldId:
    match = re.fullmatch(_HOLD_ID, text)
    if match is None or max(map(int, match.groups())) > MAX_ID:
        raise InvalidInput(f"not a hold id: {shown(text)}", hint="W-hN, such as 1-h3; wallet hold list WALLET")
    return HoldId(int(match[1]), int(match[2]))


def format_hold_id(wallet_id: int, number: int) -> str:
    return f"{wallet_id}-h{number}"


def check_operator_name(text: str) -> str:
    """Return the name of an operator key. Raises InvalidInput."""
    if not re.fullmatch(_OPERATOR_NAME, text):
        raise InvalidInput(
            f"not a name for a key: {shown(text)}", hint="1 to 64 letters, digits, '_', '.' or '-', such as till-1"
        )
    return text


def check_key(text: str) -> str:
    """Return an idempotency key: 1–255 printable characters. Raises InvalidInput."""
    if not 1 <= len(text) <= MAX_KEY_CHARS or not text.isprintable():
        raise InvalidInput(f"not a key: {shown(text)}", hint=f"1 to {MAX_KEY_CHARS} printable characters")
    return text


def check_note(text: str) -> str:
    """Return a note exactly as it is: at most 1,000 characters of any kind that text can hold."""
    return _check_text(text, "note", MAX_NOTE_CHARS)


def check_name(text: str) -> str:
    """Return a person's name exactly as it is."""
    return _check_text(text, "name", MAX_NAME_CHARS)


def _check_text(text: str, what: str, limit: int) -> str:
    if len(text) > limit:
        raise InvalidInput(f"the {what} has {len(text)} characters", hint=f"at most {limit}")
    # Neither a NUL nor half a surrogate pair (how Python shows bytes that are not UTF-8) can be kept by every engine.
    if "\0" in text or not (text.isascii() or text.isprintable() or _is_text(text)):
        raise InvalidInput(f"the {what} is not valid text: {shown(text)}", hint="UTF-8 with no NUL character")
    return text


def _is_text(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def parse_id(text: str) -> int:
    """Read the id of a user or a wallet. Raises InvalidInput."""
    if not re.fullmatch(_ID, text) or not 1 <= int(text) <= MAX_ID:
        raise InvalidInput(f"not an id: {shown(text)}", hint="a whole number from 1 on; or give the phone number")
    return int(text)
