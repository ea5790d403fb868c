"""Metadata: a JSON object that a program stores with a transaction. Kept as canonical text.

Canonical: ASCII, keys sorted, no spaces; so that equal objects are equal text, in the hash chain and on every engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wallet_cli.errors import InvalidInput, shown

MAX_META_BYTES = 4096
MAX_META_KEY_CHARS = 64
MAX_META_DEPTH = 8
TOO_LONG = f"at most {MAX_META_BYTES}, counted in ASCII and without spaces: é is \\u00e9 there, 6 bytes"


def canonical(meta: Mapping[str, Any]) -> str | None:
    """The text of a metadata object; None for an empty one.

    Values are text, whole numbers, true, false, null, and lists and objects of these. Floats are refused: 0.1 would
    come back as a number close to it. Raises InvalidInput.
    """
    if not meta:
        return None
    _check(meta, 1)
    text = canonical_json(meta)
    if len(text) > MAX_META_BYTES:
        raise InvalidInput(f"the metadata has {len(text)} bytes as JSON", hint=TOO_LONG)
    return text


def canonical_json(value: Mapping[str, Any]) -> str:
    """JSON in one form: ASCII, names in order, no spaces. Equal objects are equal text, and so have equal hashes."""
    import json  # not on the path of a credit or a debit

    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def parse_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """Read `k=v` texts from a command line. Raises InvalidInput."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidInput(f"not metadata: {shown(pair)}", hint="k=v, such as order=1041")
        if key in found:
            raise InvalidInput(f"the metadata has {shown(key)} twice", hint="give each name once")
        found[key] = value
    return found


def parse_json(text: str) -> dict[str, Any]:
    """Read the JSON text of an object. Raises InvalidInput."""
    import json

    # White space and the sign of -0 go; of an escape at least one byte remains. To read 64 KiB takes 10 ms.
    gone = sum(map(text.count, (" ", "\t", "\n", "\r", "-0"))) + 5 * text.count("\\")
    if len(text) - gone > MAX_META_BYTES:
        raise InvalidInput(f"the metadata has more than {MAX_META_BYTES} bytes as JSON", hint=TOO_LONG)
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_none_such) if len(text) <= 10**5 else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidInput(f"the metadata is not a JSON object: {shown(text)}", hint='such as {"order": "1041"}')
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _none_such(name: str) -> None:
    raise ValueError(name)


def _check(value: Any, depth: int) -> None:
    if depth > MAX_META_DEPTH and isinstance(value, Mapping | list):
        raise InvalidInput("the metadata is nested too deeply", hint=f"at most {MAX_META_DEPTH} levels")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str) or not 1 <= len(key) <= MAX_META_KEY_CHARS or not key.isprintable():
                raise InvalidInput(
                    f"not a name for metadata: {shown(str(key))}",
                    hint=f"1 to {MAX_META_KEY_CHARS} printable characters",
                )
            _check(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth + 1)
    elif isinstance(value, str):
        # Not every engine can keep these; half a surrogate pair is how Python shows bytes that are not UTF-8.
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise InvalidInput(f"the metadata is not valid text: {shown(value)}", hint="UTF-8 with no NUL character")
    elif value is not None and not isinstance(value, int):
        raise InvalidInput(
            "metadata cannot have fractions: only text, whole numbers, true, false, null, lists and objects",
            hint='write a fraction as text, such as "1.5"',
        )
