"""Reading requests: bytes to checked values. Strict, because a body that can be read in two ways will be.

msgspec decodes and checks types in one pass (unknown fields, `true` for 1, `"5"` for 5 are errors); it keeps the last
of two equal keys, so the standard library's parser looks for those first. An amount is kept as the text that it was
written in, and never becomes a float.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

import msgspec

from wallet_cli.domain.address import MAX_KEY_CHARS, MAX_NAME_CHARS, MAX_NOTE_CHARS
from wallet_cli.errors import InvalidInput

MAX_BODY_BYTES = 64 * 1024
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_BATCH_ITEMS = 10_000

T = TypeVar("T")

Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Amount = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="Decimal, greater than 0, as a JSON number or string; read exactly.",
        extra_json_schema={"type": ["number", "string"], "examples": [20, "19.99"]},
    ),
]
TypeName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_.\-]{1,32}$", examples=["type1"])]
Time = Annotated[
    str, msgspec.Meta(description="ISO 8601; UTC where it has no offset.", examples=["2024-04-19T05:27:13"])
]
Note = Annotated[str, msgspec.Meta(max_length=MAX_NOTE_CHARS)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY_CHARS)]


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A JSON object with these fields and no other."""


class NewUser(Body):
    phone_number: Annotated[str, msgspec.Meta(examples=["9886977544"])]
    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)] | None = None


class NewWallet(Body):
    user_id: Id
    type: TypeName
    currency: Annotated[str, msgspec.Meta(examples=["INR", "PTS/0"])] | None = None
    minimum_balance: Annotated[str, msgspec.Meta(examples=["20.00"])] | None = None


class NewTransaction(Body):
    user_id: Id
    wallet_id: Id
    amount: Amount
    is_credit: bool
    note: Note | None = None
    at: Time | None = None


class BatchItem(NewTransaction):
    key: Key | None = None


class Batch(Body):
    transactions: Annotated[list[BatchItem], msgspec.Meta(min_length=1, max_length=MAX_BATCH_ITEMS)]
    atomic: bool = False


class TotalQuery(Body):
    user_id: Id
    wallet_id: Id
    start_date: Time | None = None
    end_date: Time | None = None


class TokenRequest(Body):
    user_id: Id
    expires_minutes: Annotated[int, msgspec.Meta(ge=1, le=525_600)] | None = None


REQUESTS = (NewUser, NewWallet, NewTransaction, Batch, TotalQuery, TokenRequest)
"""What an operation may be sent."""


def decode(body: bytes, into: type[T]) -> T:
    """Read a JSON body. Raises InvalidInput for anything that is not exactly what `into` describes."""
    try:
        json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_int=len, parse_float=len, parse_constant=_no)
        return msgspec.json.decode(body, type=into)
    except UnicodeDecodeError:
        raise InvalidInput("the body is not UTF-8") from None
    except RecursionError:
        raise InvalidInput("the body is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the body is not as expected: {error}", hint="/docs shows each body") from None
    except ValueError as error:
        # Where the text is wrong, never the text: it may hold a secret.
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        what = f": {error}" if isinstance(error, _FormError) else ""
        raise InvalidInput(f"the body is not JSON{where}{what}") from None


def amount_text(raw: msgspec.Raw) -> str:
    """The amount as it was written, a number or a string. Raises InvalidInput for any other JSON value."""
    text = bytes(raw)
    if text[:1] == b'"':
        return str(msgspec.json.decode(text, type=str))
    if text[:1].isdigit() or text[:1] == b"-":
        return text.decode("ascii")
    raise InvalidInput("the amount is not a number or a string", hint='such as 20, 19.99 or "19.99"')


class _FormError(ValueError):
    pass


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _FormError("a field is given twice")


def _no(_name: str) -> None:
    raise _FormError("NaN and Infinity are not JSON")
