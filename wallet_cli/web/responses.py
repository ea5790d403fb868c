"""Schemas of the document, made by msgspec: for requests from requests.py, for answers from operations/fields.py.

Requests may have no other fields; answers may have more in later versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from wallet_cli.operations import fields

REF = "#/components/schemas/{name}"
OWN_REF = "#/$defs/"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_ID = 2**63 - 1


def _text(*examples: str, **more: Any) -> Any:
    return Annotated[str, Meta(examples=list(examples), **more)]


def _free(name: str) -> Any:
    """An object with any fields, from the caller."""
    return Annotated[Raw, Meta(extra_json_schema=ref(name))]


def ref(name: str) -> dict[str, Any]:
    """A reference to another schema."""
    return {"$ref": REF.format(name=name)}


VALUES: dict[str, Any] = {
    "Id": Annotated[int, Meta(ge=1, le=MAX_ID, examples=[1])],
    "Status": Annotated[int, Meta(ge=200, le=599, examples=[201])],
    "Count": Annotated[int, Meta(ge=0, examples=[1])],
    "WholeCount": Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="With `count=true`: the length of the whole list; null with filters."),
    ],
    "Version": Annotated[int, Meta(ge=1, examples=[6])],
    "Money": _text("20.00", pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="Decimal, with the currency's digits."),
    "Time": _text("2026-11-22T10:00:00.000000Z", extra_json_schema={"format": "date-time"}, description="In UTC."),
    "PhoneNumber": _text("9886977544"),
    "E164": _text("+919886977544"),
    "CurrencyName": _text("INR", "PTS/0"),
    "TypeName": _text("type1"),
    "WalletName": _text("1/type1", description="Its name, USER/TYPE."),
    "TransactionId": _text("1-17", pattern="^[0-9]+-[0-9]+$"),
    "EventId": _text("w1-3", pattern="^[luw][0-9]+-[0-9]+$"),
    "HoldId": _text("1-h3", pattern="^[0-9]+-h[0-9]+$"),
    "KeyName": _text("till"),
    "Uuid": _text("5b0ac2f6-9a3e-4f0c-8a52-0c8a37c1b1f0", extra_json_schema={"format": "uuid"}),
    "Code": _text("insufficient_funds"),
    "Metadata": _free("Metadata"),
    "Details": _free("Details"),
    "Replayed": Annotated[bool, Meta(description="True if the key was used for the same request before.")],
    "Cursor": Annotated[str | None, Meta(description="The `cursor` of the next page; null on the last page.")],
}
"""The format of each kind of value in fields.py."""

FREE = {
    "Metadata": "A JSON object from the caller.",
    "Details": "The figures of a code, by name; amounts are strings.",
}


def _struct(answer: type) -> type:
    """The same fields as a struct, from which msgspec makes a schema that keeps their order."""
    hints = get_type_hints(answer, localns=VALUES, include_extras=True)
    made: list[Any] = []
    for name in answer.__annotations__:
        hint = hints[name]
        if get_origin(hint) is NotRequired:
            made.append((name, _described(get_args(hint)[0]) | UnsetType, UNSET))
        else:
            made.append((name, _described(hint)))
    return msgspec.defstruct(answer.__name__, made, kw_only=True, namespace={"__doc__": answer.__doc__})


def _described(hint: Any) -> Any:
    """Turns the texts in `Annotated` into descriptions."""
    if get_origin(hint) is not Annotated:
        return hint
    kind, *notes = get_args(hint)
    return Annotated[kind, *(Meta(description=note) if isinstance(note, str) else note for note in notes)]


STRUCTS: dict[str, type] = {}
"""The answers by name, each made from earlier ones."""
for _name, _answer in vars(fields).items():
    if is_typeddict(_answer) and not _name.startswith("_"):
        STRUCTS[_name] = VALUES[_name] = _struct(_answer)


def schemas(requests: Sequence[type], answers: Sequence[str]) -> dict[str, Any]:
    """The schemas of these and of everything in them, by name."""
    types = [*requests, *(STRUCTS[name] for name in answers)]
    _, made = msgspec.json.schema_components(types, ref_template=REF)
    for name, about in FREE.items():
        made[name] = {"title": name, "type": "object", "description": about, "additionalProperties": True}
    for schema in made.values():
        for field in schema["properties"].values() if "properties" in schema else ():
            _tell_default(field)
    return {name: made[name] for name in sorted(made)}


def document(name: str) -> dict[str, Any]:
    """An answer's schema with all that it needs, complete by itself."""
    made = schemas([], [name])
    text = msgspec.json.encode(made).decode().replace(REF.format(name=""), OWN_REF)
    definitions = msgspec.json.decode(text)
    whole: dict[str, Any] = {"$schema": DIALECT, **definitions.pop(name)}
    needed = {each: schema for each, schema in definitions.items() if f'"{OWN_REF}{each}"' in text}
    return whole | ({"$defs": needed} if needed else {})


def _tell_default(field: dict[str, Any]) -> None:
    """Describe a field's default in words: generators treat a field with a default as required."""
    if "default" in field:
        default = field.pop("default")
        if default is not None:
            told = f"`{msgspec.json.encode(default).decode()}` if it is left out."
            field["description"] = " ".join(filter(None, (field.get("description"), told)))


def reply(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The envelope of a success with this data."""
    message = {"type": "string", "description": "For a person."}
    return {
        "title": name,
        "type": "object",
        "properties": {"message": message, "data": schema},
        "required": ["message", "data"],
    }


def example(schema: dict[str, Any], components: dict[str, Any]) -> Any:
    """A valid value: the first example of each field; optional fields are left out, nullable ones null unless they are
    an object.
    """
    if "$ref" in schema:
        return example(components[schema["$ref"].rpartition("/")[2]], components)
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        kind = next((each for each in schema["anyOf"] if "$ref" in each), None)
        if kind is None and {"type": "null"} in schema["anyOf"]:
            return None
        return example(kind or schema["anyOf"][0], components)
    kind = schema["type"]
    if kind == "object":
        held = schema.get("properties", {})
        return {name: example(held[name], components) for name in held if name in schema["required"]}
    if kind == "array":
        return [example(schema["items"], components)]
    return {"integer": 1, "boolean": True, "null": None}.get(kind, "…")
