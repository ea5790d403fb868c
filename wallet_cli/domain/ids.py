"""How people name things: USER, WALLET, wallet types, transaction ids, keys, notes. Text in, names out."""

from __future__ import annotations

import re

from wallet_cli.domain.phone import phone_digits
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.named_tuples import NamedTuple

DEFAULT_TYPE = "main"
MAX_ID = 2**63 - 1
MAX_KEY_CHARS = 255
RESET_KEY = "time-reset:"
"""The prefix of the keys of transactions that reset a wallet's time; a number follows. Nobody else may use it."""

MAX_NOTE_CHARS = 1000
MAX_NAME_CHARS = 200
PHONE_DIGITS = 7
"""From this many digits on, a run of digits is a phone number; a shorter one is an id."""

_FIRST_LONG_ID = 10 ** (PHONE_DIGITS - 1)

_TYPE = r"[a-zA-Z0-9_.\-]{1,32}"
_OPERATOR_NAME = r"[a-zA-Z0-9_.\-]{1,64}"
_ID = r"(0|[1-9][0-9]{0,18})"
"""An id is written in one way: zeros before it are mostly the beginning of a phone number, as in 030/7654321."""
_TRANSACTION_ID = rf"{_ID}-{_ID}"
_HOLD_ID = rf"{_ID}-h{_ID}"
_WALLET_ID = rf"w{_ID}"
_PHONE_AS_TYPE = r"[0-9]{6,}"


class UserId(NamedTuple):
    id: int


class PhoneDigits(NamedTuple):
    """A phone number as typed, with no space around it, and not parsed yet: `digits` are without spacing."""

    typed: str
    digits: str


UserName = UserId | PhoneDigits


class WalletName(NamedTuple):
    user: UserName
    type: str
    typed: str | None = None
    """The text with which the caller named it; None where there was none."""

    @property
    def user_text(self) -> str:
        return format_user(self.user.id) if isinstance(self.user, UserId) else self.user.typed

    @property
    def text(self) -> str:
        """The name to show to the caller."""
        return self.typed or f"{self.user_text}/{self.type}"


class WalletId(NamedTuple):
    """A wallet by its id alone: `w7`."""

    wallet_id: int

    @property
    def text(self) -> str:
        return format_wallet_id(self.wallet_id)


class OwnedWallet(NamedTuple):
    """A wallet by its id, and the user to whom it must belong."""

    wallet_id: int
    user_id: int


TypedWallet = WalletName | WalletId
"""What a WALLET may be."""

WalletRef = TypedWallet | OwnedWallet


class TransactionId(NamedTuple):
    """`W-N`: the N-th transaction of wallet W."""

    wallet_id: int
    seq: int


class HoldId(NamedTuple):
    """`W-hN`: the N-th hold of wallet W."""

    wallet_id: int
    number: int


def parse_user(text: str) -> UserName:
    """Read a USER: `id:N`, a phone number (a `+`, or 7 digits or more), or fewer digits, which are an id."""
    text = unspaced(text)
    if text.startswith("id:"):
        return UserId(parse_id(text[3:]))
    digits = phone_digits(text)
    if digits.startswith("+") or len(digits) >= PHONE_DIGITS:
        return PhoneDigits(text, digits)
    # With anything between its digits, a short number is no id: 1-12 is a transaction, and 1.5 or 1,2 nothing.
    return UserId(parse_id(text))


def unspaced(name: str) -> str:
    """A name without the spaces around it, which mean nothing."""
    return name.strip(" ")


def format_user(user_id: int) -> str:
    """A USER by id. A long one needs `id:`, or it would be read as a phone number."""
    return f"{user_id}" if user_id < _FIRST_LONG_ID else f"id:{user_id}"


def parse_wallet(text: str) -> TypedWallet:
    """Read a WALLET: `USER`, `USER/TYPE`, or `wN`, the wallet with the id N."""
    text = unspaced(text)
    if text[:1] in ("w", "W"):
        return WalletId(_parse_wallet_id(text))
    user, slash, type_ = text.partition("/")
    return WalletName(parse_user(user), parse_type(type_) if slash else DEFAULT_TYPE, text)


def parse_new_wallet(text: str) -> WalletName:
    """Read the WALLET to open. Its id cannot be chosen, so `wN` is not a name for it."""
    name = parse_wallet(text)
    if isinstance(name, WalletId):
        raise InvalidInput(f"{text} cannot be chosen: a new wallet gets the next id", hint="give USER or USER/TYPE")
    return name


def _parse_wallet_id(text: str) -> int:
    match = re.fullmatch(_WALLET_ID, text)
    if match is None or not 1 <= int(match[1]) <= MAX_ID:
        raise InvalidInput(
            f"not a wallet id: {shown(text)}", hint="w and the number, such as w7; or USER/TYPE, such as 2/main"
        )
    return int(match[1])


def format_wallet(user_id: int, type_: str) -> str:
    """A WALLET in the form of all answers: `2/main`."""
    return f"{format_user(user_id)}/{type_}"


def format_wallet_id(wallet_id: int) -> str:
    """A WALLET by its id alone: `w7`."""
    return f"w{wallet_id}"


def parse_type(text: str) -> str:
    if not re.fullmatch(_TYPE, text):
        raise InvalidInput(
            f"not a wallet type: {shown(text)}", hint="1 to 32 letters, digits, '_', '.' or '-', such as savings"
        )
    return text


def is_phone_as_type(text: str) -> bool:
    """Whether a wallet type is mostly a phone number: its part behind a slash, or the second of two in one field."""
    return re.fullmatch(_PHONE_AS_TYPE, text) is not None


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
        raise InvalidInput(
            f"not a hold id: {shown(text)}", hint="W-hN, such as 1-h3; list the holds: wallet hold list WALLET"
        )
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
    """Return an idempotency key: 1–255 printable characters, without white space at its ends, which is ignored.

    Raises InvalidInput, also for a key of the program's own.
    """
    key = check_wanted_key(text)
    if key.startswith(RESET_KEY):
        raise InvalidInput(
            f"a key that begins with {RESET_KEY} is the program's own: {shown(key)}", hint="use another key"
        )
    return key


def check_wanted_key(text: str) -> str:
    """Return a key to look for: any that a transaction may have. Raises InvalidInput."""
    return check_stored_key(text.strip())


def check_stored_key(text: str) -> str:
    """Return a key unchanged, for restoring: earlier versions kept spaces at its ends.

    Raises InvalidInput.
    """
    if not 1 <= len(text) <= MAX_KEY_CHARS or not text.isprintable():
        raise InvalidInput(f"not a key: {shown(text)}", hint=f"1 to {MAX_KEY_CHARS} printable characters")
    return text


def checked_key(key: str | None) -> str | None:
    """A key, if there is one. Raises InvalidInput."""
    return None if key is None else check_key(key)


def check_note(text: str) -> str:
    """Return a note unchanged: at most 1,000 characters."""
    return check_text(text, "note", MAX_NOTE_CHARS)


def check_wanted(text: str) -> str:
    """Return a text to find in notes unchanged."""
    return check_text(text, "text to find", MAX_NOTE_CHARS)


def check_name(text: str) -> str:
    """Return a person's name unchanged."""
    if not text.strip():
        raise InvalidInput("the name is blank", hint="leave it out for no name")
    return check_stored_name(text)


def check_stored_name(text: str) -> str:
    """Return a name of an export unchanged: a blank one was allowed once."""
    return check_text(text, "name", MAX_NAME_CHARS)


def check_text(text: str, what: str, limit: int) -> str:
    """Return a text unchanged: at most `limit` characters. Raises InvalidInput."""
    if len(text) > limit:
        raise InvalidInput(f"the {what} has {len(text)} characters", hint=f"at most {limit}")
    # Not every engine can keep a NUL or half a surrogate pair (how Python shows bytes that are not UTF-8).
    if "\0" in text or not (text.isascii() or text.isprintable() or _is_text(text)):
        raise InvalidInput(f"the {what} is not valid text: {shown(text)}", hint="UTF-8 with no NUL character")
    return text


def _is_text(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def parse_id(text: str, instead: str = "; or give the phone number") -> int:
    """Read the id of a user, or a number where `instead` says what else there is. Raises InvalidInput."""
    if not (re.fullmatch(_ID, text) and 1 <= int(text) <= MAX_ID):
        hint = f"a whole number, 1 or more{instead}"
        if re.fullmatch(r"0[0-9]+", text):
            also = f"; a phone number has {PHONE_DIGITS} digits or more" if instead else ""
            hint = f"an id has no leading zero{also}"
        if instead and re.fullmatch(_TRANSACTION_ID, text):
            hint = f"{text} is a transaction; its wallet is w{text.partition('-')[0]}"
        raise InvalidInput(f"not an id: {shown(text)}", hint=hint)
    return int(text)
