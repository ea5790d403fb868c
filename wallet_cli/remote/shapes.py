"""Whether an answer has the shape that was asked for: the classes of operations/fields.py, read as checks.

A newer server may have more fields, and other words where a field has a choice of them. Texts that are printed as they
are, such as ids and amounts, have no control characters, by which a terminal could be told to do something.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from wallet_cli.operations import fields

Check = Callable[[Any], bool]


class _Word(str):
    """Text that this program makes, not what people typed."""


class _Money(str):
    """A decimal."""


_TEXTS: dict[Any, re.Pattern[str]] = {
    _Word: re.compile(r"[^\x00-\x1f\x7f-\x9f]*"),
    _Money: re.compile(r"-?[0-9]+(\.[0-9]+)?"),
}
_KINDS = {name: _Word for name, kind in vars(fields).items() if kind is str} | {
    "Money": _Money,
    "PhoneNumber": str,  # as typed
}
"""What the names of kinds in fields.py mean here."""


@cache
def check_of(shape: Any) -> Check:
    """What says whether a JSON value has this shape."""
    origin, inner = get_origin(shape), get_args(shape)
    if is_typeddict(shape):
        return _check_of_fields(shape)
    if origin in (Annotated, NotRequired):
        return check_of(inner[0])
    if origin in (Union, UnionType):
        checks = [check_of(each) for each in inner]
        return lambda value: any(check(value) for check in checks)
    if origin is list:
        check = check_of(inner[0])
        return lambda value: type(value) is list and all(map(check, value))
    if origin is tuple:
        places = [check_of(each) for each in inner]
        return lambda value: (
            type(value) is list
            and len(value) >= len(places)
            and all(check(each) for check, each in zip(places, value, strict=False))
        )
    if shape in _TEXTS:
        text = _TEXTS[shape]
        return lambda value: type(value) is str and text.fullmatch(value) is not None
    kind = str if origin is Literal else origin or shape
    return lambda value: type(value) is kind


def _check_of_fields(shape: Any) -> Check:
    hints = get_type_hints(shape, localns=_KINDS, include_extras=True)
    required = {name: check_of(hint) for name, hint in hints.items() if get_origin(hint) is not NotRequired}
    optional = {name: check_of(hint) for name, hint in hints.items() if get_origin(hint) is NotRequired}

    def check(value: Any) -> bool:
        return (
            type(value) is dict
            and all(name in value and check(value[name]) for name, check in required.items())
            and all(name not in value or check(value[name]) for name, check in optional.items())
        )

    return check
