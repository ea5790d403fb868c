"""Reading requests: from bytes to checked values. Strict, because an ambiguous body would be read in two ways.

msgspec decodes and checks types in one pass (unknown fields, `true` for 1, `"5"` for 5 are errors). It keeps the last
of two equal keys, so the standard library's parser first checks for those. An amount is kept as its original text, and
never becomes a float; so is metadata, whose whole numbers may have any size.
"""

from __future__ import annotations

import json
import re
from codecs import utf_8_decode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from wallet_cli.domain.ids import MAX_KEY_CHARS, MAX_NAME_CHARS, MAX_NOTE_CHARS
from wallet_cli.domain.metadata import MAX_META_BYTES, MAX_META_DEPTH, MAX_META_KEY_CHARS, parse_json
from wallet_cli.domain.remarks import FIELDS, TEXTS, Remarks
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.operations.holds import DEFAULT_EXPIRY
from wallet_cli.operations.wallets import NO_LIMIT

MAX_BODY_BYTES = 64 * 1024
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_BATCH_ITEMS = 10_000
SHORT_BYTES = 1024

MARKS = '",[{'
"""Characters of which every value in a JSON text has at least one, before, in or after it."""

MAX_MARKS = MAX_META_BYTES + sum(text.most for text in TEXTS.values()) + MAX_KEY_CHARS + 2 * SHORT_BYTES
"""In one body, or one item of a batch: more than any right one has, should its texts have nothing else."""

NULL = b"null"

TIMES = ("utc", "ledger")
"""Where a time with no offset may be: in UTC, as all clients know it, or in the ledger's time zone."""

REGION_WORDS = "The country of a number with no `+`; the server's setting if it is left out."

T = TypeVar("T")

Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Amount = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="Decimal, greater than 0, as a JSON number or string; read exactly.",
        extra_json_schema={"type": ["number", "string"], "examples": [20, "19.99"]},
    ),
]
Part = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="As an amount; if left out, all that is left.",
        extra_json_schema={"type": ["number", "string", "null"], "examples": ["5.00"]},
    ),
]
Limit = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description=f"Decimal, as a JSON number or string; `{NO_LIMIT}` removes it; if left out, it stays as it is.",
        extra_json_schema={"type": ["number", "string"], "examples": ["100.00"]},
    ),
]
Opening = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="Decimal, as a JSON number or string; if left out, the ledger's.",
        extra_json_schema={"type": ["number", "string", "null"], "examples": ["20.00"]},
    ),
]
Metadata = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description=(
            "A JSON object of your own: text, whole numbers, true, false, null, and lists and objects of these, as in"
            f' `{{"order": 1041}}`. At most {MAX_META_DEPTH} levels, names of 1 to {MAX_META_KEY_CHARS} printable'
            f" characters, and {MAX_META_BYTES:,} bytes as JSON in ASCII without spaces, where é is `\\u00e9`: 6 bytes."
        ),
        extra_json_schema={"anyOf": [{"$ref": "#/components/schemas/Metadata"}, {"type": "null"}]},
    ),
]


def _named(pattern: str, example: str) -> msgspec.Meta:
    """What is said of a text that domain/ids.py reads, in its own words: nothing is checked twice."""
    return msgspec.Meta(extra_json_schema={"pattern": pattern}, examples=[example])


TransactionName = Annotated[str, _named(r"^[0-9]{1,19}-[0-9]{1,19}$", "1-17")]
HoldName = Annotated[str, _named(r"^[0-9]{1,19}-h[0-9]{1,19}$", "1-h3")]
Duration = Annotated[
    str,
    msgspec.Meta(
        description=f"How long it lasts: `90s`, `15m`, `12h`, `7d`, `2w`; {DEFAULT_EXPIRY} if it is left out.",
        examples=[DEFAULT_EXPIRY],
    ),
]
TypeName = Annotated[str, _named(r"^[a-zA-Z0-9_.\-]{1,32}$", "type1")]
KeyName = Annotated[str, _named(r"^[a-zA-Z0-9_.\-]{1,64}$", "till")]
Time = Annotated[str, msgspec.Meta(description="ISO 8601; UTC if it has no offset.", examples=["2024-04-19T05:27:13"])]
PastTime = Annotated[Time, msgspec.Meta(description="ISO 8601; UTC if it has no offset. For operators alone.")]
Note = Annotated[str, msgspec.Meta(max_length=MAX_NOTE_CHARS)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY_CHARS)]


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A JSON object with these fields and no others."""


def _with_remarks(body: type[Body]) -> Any:
    """The same body, with an optional field for each remark that it does not name."""
    more = [(name, _text(name) | None, None) for name in FIELDS if name not in body.__struct_fields__]
    same = {"__doc__": body.__doc__}
    return msgspec.defstruct(body.__name__, more, bases=(body,), namespace=same, kw_only=True) if more else body


def _text(name: str) -> Any:
    return Annotated[str, msgspec.Meta(max_length=TEXTS[name].most)]


class NewUser(Body):
    phone_number: Annotated[str, msgspec.Meta(examples=["9886977544"])]
    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)] | None = None
    phone_region: Annotated[str, msgspec.Meta(description=REGION_WORDS, examples=["IN"])] | None = None


class NewWallet(Body):
    user_id: Id
    type: TypeName
    currency: Annotated[str, msgspec.Meta(examples=["INR", "PTS/0"])] | None = None
    minimum_balance: Opening | UnsetType = UNSET


@_with_remarks
class NewTransaction(Body):
    user_id: Id
    wallet_id: Id
    amount: Amount
    is_credit: bool
    note: Note | None = None
    at: PastTime | None = None
    meta: Metadata | UnsetType = UNSET


class BatchItem(NewTransaction):
    key: Key | None = None


class Batch(Body):
    transactions: Annotated[list[BatchItem], msgspec.Meta(min_length=1, max_length=MAX_BATCH_ITEMS)]
    atomic: bool = False


@_with_remarks
class NewTransfer(Body):
    user_id: Id
    wallet_id: Id
    to_user_id: Id
    to_wallet_id: Id
    amount: Amount
    note: Note | None = None
    meta: Metadata | UnsetType = UNSET


@_with_remarks
class NewReversal(Body):
    transaction: TransactionName
    amount: Part | UnsetType = UNSET
    note: Note | None = None
    meta: Metadata | UnsetType = UNSET
    force: bool = False


class NewHold(Body):
    user_id: Id
    wallet_id: Id
    amount: Amount
    expires: Duration | None = None
    note: Note | None = None


class NewCapture(Body):
    hold: HoldName
    amount: Part | UnsetType = UNSET
    keep: bool = False
    note: Note | None = None


class OneHold(Body):
    hold: HoldName


class OneWallet(Body):
    user_id: Id
    wallet_id: Id


class NewLimits(OneWallet):
    minimum_balance: Limit | UnsetType = UNSET
    maximum_balance: Limit | UnsetType = UNSET
    daily_debit: Limit | UnsetType = UNSET


class NewLedgerSettings(Body):
    """Omitted settings stay as they are; `none` means the program's default, except for `timezone`."""

    currency: Annotated[str, msgspec.Meta(examples=["INR", "PTS/0", NO_LIMIT])] | None = None
    phone_region: Annotated[str, msgspec.Meta(examples=["IN"])] | None = None
    minimum_balance: Limit | UnsetType = UNSET
    timezone: Annotated[str, msgspec.Meta(examples=["Asia/Kolkata"])] | None = None


class TotalQuery(Body):
    user_id: Id
    wallet_id: Id
    start_date: Time | None = None
    end_date: Time | None = None


class NewKey(Body):
    name: KeyName
    read_only: bool = False


class OneKey(Body):
    name: KeyName


class PartHead(Body):
    """The head of a part of an import, before its lines."""

    numbers: Annotated[list[Annotated[int, msgspec.Meta(ge=1)]], msgspec.Meta(min_length=1)]
    """The number of each line in its file."""
    prefix: Annotated[str, msgspec.Meta(max_length=MAX_KEY_CHARS - 20)] = ""
    broken: list[str] = []
    """Wallets for which a line of an export was refused in an earlier part."""
    ends: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}
    """Of wallets whose lines were looked up, as the last answer had them: what has come since is compared."""
    refused: bool = False
    """Whether a line of the file was refused already."""
    create: bool = False
    dry_run: bool = False
    atomic: bool = False
    find: Literal["lines", "wallets", "earlier", "applied"] | None = None
    """Apply nothing, only ask: which of the lines the ledger has, which wallets they mean, what earlier imports
    applied to these wallets, or which of the lines were applied when their times were read in another zone."""
    phone_region: str | None = None
    currency: str | None = None
    ledger: dict[str, str] | None = None
    """The settings of the exported ledger."""


class TokenRequest(Body):
    user_id: Id
    expires_minutes: int | None = None
    """At least 1, and at most what the server allows."""


class _FormError(ValueError):
    pass


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) > 1 and len(dict(pairs)) != len(pairs):
        raise _FormError("a field is given twice")


def _no(_name: str) -> None:
    raise _FormError("NaN and Infinity are not JSON")


_STRICT = json.JSONDecoder(object_pairs_hook=_once, parse_int=len, parse_float=len, parse_constant=_no)
"""Checks a text, without converting numbers."""


def _bounded(text: str) -> str:
    """The beginning of a text that has MAX_MARKS: it is read in half a millisecond, as each value takes time, beside
    its bytes.
    """
    left = MAX_MARKS
    for at in range(0, len(text), SHORT_BYTES):
        left -= sum(text.count(mark, at, at + SHORT_BYTES) for mark in MARKS)
        if left < 0:
            return text[:at]
    return text


def decode(body: bytes, into: type[T], *, bounded: bool = True, what: str = "the body") -> T:
    """Read a JSON body. Raises InvalidInput for anything that does not match `into` exactly, and, if `bounded`, for
    more values than a transaction may have. `what` it is called in messages.
    """
    with _faults_told(what):
        text = body.decode("utf-8")
        if bounded and _bounded(text) is not text:
            raise InvalidInput("the body has too many values", hint=BODIES_HINT)
        _STRICT.decode(text)
        return msgspec.json.decode(body, type=into)


def read_batch(pieces: Iterable[bytes], batch: Batch) -> Iterator[None]:
    """Read a batch into an empty one, one transaction at a time, as strictly as `decode`: each step is short.

    `pieces` are the body as it came in: to join and to decode 8 MiB takes the loop 15 ms. Raises InvalidInput.
    """
    with _faults_told():
        body = _Body(pieces)
        seen: set[str] = set()
        body.expect("object", BODY)
        mark = body.mark(b"{")
        if body.look(1) == b"}":
            mark = body.mark(b"}")
        while mark != b"}":
            name = body.name()
            if name not in BATCH_FIELDS:
                raise _unknown(name, BODY)
            if name in seen:
                raise _FormError("a field is given twice")
            seen.add(name)
            body.mark(b":")
            if name == "atomic":
                body.expect("bool", name)
                batch.atomic = body.value()[0] is True
            else:
                body.expect("array", name)
                mark = body.mark(b"[")
                while mark != b"]":
                    number = len(batch.transactions)
                    if number >= MAX_BATCH_ITEMS:
                        raise InvalidInput(f"the batch has more than {MAX_BATCH_ITEMS} transactions", hint=BODIES_HINT)
                    if not number and body.look(1) == b"]":
                        raise InvalidInput("the batch has no transactions", hint=BODIES_HINT)
                    batch.transactions.append(_item(body, number))
                    mark = body.mark(b",]")
                    yield
            mark = body.mark(b",}")
        if body.look(1):
            raise _NotJson(body.at)
        if "transactions" not in seen:
            raise _fault("transactions is missing")


BATCH_FIELDS = frozenset(Batch.__struct_fields__)
BODIES_HINT = "/docs shows each body"
BODY = "the body"
WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "null": "null",
    "object": "an object",
    "array": "a list",
}
"""What a kind of value is called, by its name in the messages of msgspec."""

KINDS = {b"{": "object", b"[": "array", b'"': "str", b"t": "bool", b"f": "bool", b"n": "null"}
"""By the first character; a number begins with others."""

_BEGIN = re.compile(rb'[{\["]|-?[0-9]|true|false|null')
MAX_PLACE_CHARS = 100
_PLACE = re.compile(r" - at `\$([\w.\[\]]*)`\Z")
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_OTHER_KIND = re.compile(r"Expected `(\w+)(?: \| null)?`, got `(\w+)`")
_BEYOND = re.compile(r"Expected `(\w+)(?: \| null)?` (of length )?([<>])= (\d+)")
_SPACE = re.compile(rb"[ \t\n\r]*")
WINDOWS = (SHORT_BYTES, 8 * SHORT_BYTES, MAX_BODY_BYTES)
"""How many bytes are examined to find the end of a value: most are short, and none may be longer than a body."""


class _NotJson(ValueError):
    """A batch is not JSON at some byte of it."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class _Body:
    """A JSON text in pieces, read from its beginning to its end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._here = b""
        """The piece where it is read, and what is left of earlier ones."""
        self._next = 0
        self._passed = 0

    @property
    def at(self) -> int:
        """How many bytes were read."""
        return self._passed + self._next

    def look(self, size: int) -> bytes:
        """The next bytes; fewer than `size` at the end of the text."""
        missing = size - (len(self._here) - self._next)
        more = []
        while missing > 0 and (piece := next(self._pieces, None)) is not None:
            more.append(piece)
            missing -= len(piece)
        if more:
            self._passed += self._next
            self._here, self._next = self._here[self._next :] + b"".join(more), 0
        return self._here[self._next : self._next + size]

    def mark(self, marks: bytes) -> bytes:
        """Read one of these characters, with the white space around it. Raises _NotJson for anything else."""
        self._skip_space()
        mark = self.look(1)
        if not mark or mark not in marks:
            raise _NotJson(self.at)
        self._next += 1
        self._skip_space()
        return mark

    def expect(self, kind: str, place: str) -> None:
        """Raises InvalidInput if what comes next is another kind of value, and _NotJson if it is none."""
        self._skip_space()
        begin = _BEGIN.match(self.look(5))
        if begin is None:
            raise _NotJson(self.at)
        found = KINDS.get(begin[0][:1], "float")
        if found != kind:
            raise _other_kind(place, found, kind)

    def name(self) -> str:
        """Read the name of a field. Raises _NotJson."""
        if self.look(1) != b'"':
            raise _NotJson(self.at)
        return str(self.value()[0])

    def value(self, place: str = "a name") -> tuple[Any, bytes]:
        """Read an object, a string, true or false; also returns its text. Raises _NotJson."""
        for size in WINDOWS:
            window = self.look(size)
            is_end = len(window) < size
            text, _ = utf_8_decode(window, "strict", is_end)
            begin = _bounded(text)
            is_end = is_end and begin is text
            try:
                value, length = _STRICT.raw_decode(begin)
            except json.JSONDecodeError:
                if is_end:
                    raise _NotJson(self.at) from None
            else:
                length = length if text.isascii() else len(text[:length].encode())
                self._next += length
                return value, window[:length]
        limits = f"more than {MAX_BODY_BYTES} bytes, or too many values"
        raise InvalidInput(f"{place} is not JSON, or has {limits}", hint=BODIES_HINT)

    def _skip_space(self) -> None:
        most = self.at + MAX_BODY_BYTES
        while self.look(1):
            match = _SPACE.match(self._here, self._next)
            assert match is not None
            self._next = match.end()
            if self.at > most:
                raise InvalidInput(f"the batch has more than {MAX_BODY_BYTES} bytes of white space in one place")
            if self._next < len(self._here):
                return


def _item(body: _Body, number: int) -> BatchItem:
    """Read a transaction of a batch. Raises InvalidInput, whose message and `index` say which one it is."""
    place = f"transactions[{number}]"
    try:
        if body.look(1) != b"{":
            body.expect("object", place)
        item = msgspec.json.decode(body.value(place)[1], type=BatchItem)
        # Another JSON type is an error of the body, as in every other field.
        amount_text(item.amount, f"{place}.amount")
        meta_text(item.meta, f"{place}.meta")
    except FAULTS as error:
        refused = _fault_in(error, BODY, place)
    except InvalidInput as error:
        refused = error
    else:
        return item
    refused.details["index"] = number
    raise refused


def _fault(what: str) -> InvalidInput:
    return InvalidInput(what, hint=BODIES_HINT)


def _other_kind(place: str, found: str, kind: str) -> InvalidInput:
    return _fault(f"{place} is {WORDS[found]}, not {WORDS[kind]}")


def _unknown(name: str, place: str) -> InvalidInput:
    return _fault(f"{place} has an unknown field: {shown(name)}")


def _told(error: msgspec.ValidationError, within: str = "") -> InvalidInput:
    """The error of msgspec in the words of this program: the field, what it is, and what was found."""
    said = str(error)
    found = _PLACE.search(said, max(0, len(said) - MAX_PLACE_CHARS))
    what, place = (said[: found.start()], within + found[1]) if found else (said, within)
    place = place.lstrip(".")
    if field := _FIELD.fullmatch(what):
        if field[1] == "contains unknown":
            return _unknown(field[2], place or BODY)
        return _fault(f"{place}.{field[2]}".lstrip(".") + " is missing")
    if other := _OTHER_KIND.fullmatch(what):
        return _other_kind(place or BODY, other[2], other[1])
    if beyond := _BEYOND.fullmatch(what):
        kind, length, sign, bound = beyond.groups()
        unit = "" if not length else " items" if kind == "array" else " characters"
        less = "fewer" if length else "less"
        return _fault(f"{place} {'has' if length else 'is'} {'more' if sign == '<' else less} than {bound}{unit}")
    return _fault(f"{place or BODY} is none of the values that it may have")


FAULTS = (ValueError, RecursionError)
"""What is raised while a body is read: by msgspec, which has subclasses of ValueError, json and this module."""


@contextmanager
def _faults_told(body: str = BODY) -> Iterator[None]:
    """Turns the errors of reading a body into InvalidInput."""
    try:
        yield
    except FAULTS as error:
        raise _fault_in(error, body) from None


def _fault_in(error: Exception, body: str, place: str = "") -> InvalidInput:
    """An error of reading a body, or a place in it, in the words of this program."""
    within = f", in {place}" if place else ""
    # The position of an error, never the text: it may contain a secret.
    match error:
        case UnicodeDecodeError():
            what = "is not UTF-8"
        case RecursionError():
            what = "is nested too deeply"
        case msgspec.ValidationError():
            return _told(error, place)
        case msgspec.DecodeError():  # in what is JSON, as _STRICT has read it
            hint = "an escape such as \\ud83d is half a character: send both halves"
            return InvalidInput(f"{body} is not valid Unicode{within}", hint=hint)
        case json.JSONDecodeError():
            what = f"is not JSON at character {error.pos}"
        case _NotJson():
            what = f"is not JSON at byte {error.at}"
        case _FormError():
            what = f"is not JSON: {error}"
        case _:
            what = "is not JSON"
    return InvalidInput(f"{body} {what}{within}")


def amount_text(raw: msgspec.Raw, place: str = "the amount") -> str:
    """The amount as written, a number or a string. Raises InvalidInput for any other JSON value."""
    text = bytes(raw)
    if text[:1] == b'"':
        return str(msgspec.json.decode(text, type=str))
    if text[:1].isdigit() or text[:1] == b"-":
        return text.decode("ascii")
    raise InvalidInput(f"{place} is not a number or a string", hint='such as 20, 19.99 or "19.99"')


def part_text(raw: msgspec.Raw | UnsetType, place: str = "the amount") -> str | None:
    """An optional amount, as written. Raises InvalidInput as amount_text does."""
    return None if raw is UNSET or bytes(raw) == NULL else amount_text(raw, place)


def limit_text(raw: msgspec.Raw | UnsetType) -> str | None:
    """A limit as written; None if it is left out. Raises InvalidInput, also for null.

    Some readers would understand null as no limit, and others as no change.
    """
    if raw is UNSET:
        return None
    try:
        return amount_text(raw)
    except InvalidInput:
        raise InvalidInput(
            "a limit must be a number or a string", hint=f'such as 100 or "100.00"; "{NO_LIMIT}" removes it'
        ) from None


def remarks_of(body: NewTransaction | NewTransfer | NewReversal) -> Remarks:
    """What a body says about the transaction. Raises InvalidInput."""
    return Remarks.of({name: getattr(body, name) for name in FIELDS} | {"meta": meta_of(body.meta)})


def meta_text(raw: msgspec.Raw | UnsetType, place: str = "the metadata") -> str | None:
    """The text of a metadata object; None if there is none. Raises InvalidInput for any other JSON value."""
    if raw is UNSET or bytes(raw) == NULL:
        return None
    text = bytes(raw).decode()
    if not text.startswith("{"):
        raise InvalidInput(f"{place} is not a JSON object", hint='such as {"order": "1041"}')
    return text


def meta_of(raw: msgspec.Raw | UnsetType) -> dict[str, Any] | None:
    """A metadata object; domain/metadata.py checks its contents. Raises InvalidInput."""
    text = meta_text(raw)
    return None if text is None else parse_json(text)
