"""What a caller says about a transaction. The ledger keeps it, hashes it and gives it back, and decides nothing by it.

It is one value all the way from an option or a body to its row and back, and this is the list of its fields. Options,
bodies, tools, imports, exports, columns and the hashed text are made from the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

from wallet_cli.domain.ids import MAX_NOTE_CHARS, check_text
from wallet_cli.errors import Damaged, InvalidInput, shown
from wallet_cli.named_tuples import NamedTuple


class Remarks(NamedTuple):
    """The note is in every answer, and is hashed before the key. The others are there if they were given."""

    note: str | None = None
    meta: str | None = None
    """Canonical JSON of an object (see metadata.py)."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Remarks:
        """The remarks among what a caller gives; what is None is not said. Raises InvalidInput.

        A text is text. The metadata is an object, or its JSON in a text.
        """
        if _NAMES.isdisjoint(given):
            return NOTHING
        said: list[str | None] = []
        for name in FIELDS:
            value = given.get(name)
            if type(value) is str and name in TEXTS:
                check_text(value, name, TEXTS[name].most)
            elif value is not None:
                value = _object(name, value)
            said.append(value)
        made = tuple.__new__(cls, said)
        return NOTHING if made == NOTHING else made

    def told(self) -> dict[str, Any]:
        """What is said, as values of JSON, by name."""
        return {name: _value(name, said) for name, said in zip(FIELDS, self, strict=True) if said is not None}


class Text(NamedTuple):
    """A remark that is a text: how many characters it may have, and what it is for, as the beginning of a sentence."""

    most: int
    about: str = ""


TEXTS = {"note": Text(MAX_NOTE_CHARS)}
"""All remarks but the metadata."""

NOTHING = Remarks()
FIELDS = Remarks._fields
OTHERS = FIELDS[1:]
"""All remarks but the note."""
NO_OTHERS = NOTHING[1:]


def _object(name: str, value: object) -> str | None:
    if name in TEXTS:
        raise InvalidInput(f"{name} is not text", hint=f'"{name}": "…"')
    metadata = _metadata()
    if isinstance(value, str):
        value = metadata.parse_json(value)
    if not isinstance(value, dict):
        raise InvalidInput("the metadata is not an object", hint='such as {"order": "1041"}')
    kept: str | None = metadata.canonical(value)
    return kept


@cache
def _metadata() -> ModuleType:
    from wallet_cli.domain import metadata  # not on the path of a credit or a debit

    return metadata


def _value(name: str, said: str) -> Any:
    if name in TEXTS:
        return said
    import json

    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        message = f"{Damaged.DAMAGED}the {name} of a transaction is not JSON: {shown(said)}"
        raise Damaged(message, hint="find where with `wallet verify`; restore a backup") from None


_NAMES = frozenset(FIELDS)
