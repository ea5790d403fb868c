"""/openapi.json is one that others' generators make clients of (tests/clients/run.py has two do it)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from wallet_cli.web.openapi import document
from wallet_cli.web.operations import OPERATIONS

pytestmark = pytest.mark.on_file("the document is the same whatever the engine")

DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]
DESCRIBED = [
    pytest.param(method, path, operation, id=operation["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
EACH_OPERATION = pytest.mark.parametrize(("method", "path", "operation"), DESCRIBED)
EACH_SCHEMA = pytest.mark.parametrize("name", SCHEMAS)


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object within a JSON value, itself too."""
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    for each in schema if isinstance(schema, list) else ():
        yield from parts(each)


def contents(operation: dict[str, Any]) -> Iterator[tuple[bool, str, dict[str, Any]]]:
    """What is sent and answered: whether it is sent, its type, and its schema with examples."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield True, kind, content
    for answer in operation["responses"].values():
        for kind, content in answer["content"].items():
            yield False, kind, content


def reached(name: str) -> set[str]:
    """A schema and all that it names."""
    found = {name}
    for part in parts(SCHEMAS[name]):
        if "$ref" in part:
            found |= reached(part["$ref"].rpartition("/")[2])
    return found


REQUESTS = {
    name
    for _, _, operation in (each.values for each in DESCRIBED)
    for sent, kind, content in contents(operation)
    if sent and kind == "application/json"
    for name in reached(content["schema"]["$ref"].rpartition("/")[2])
}


def test_names_of_operations_are_unique_and_plain() -> None:
    names = [operation["operationId"] for _, _, operation in (each.values for each in DESCRIBED)]
    assert len(set(names)) == len(names) == len(OPERATIONS)
    assert all(re.fullmatch("[a-z]+([A-Z][a-z]+)*", name) for name in names)


@EACH_OPERATION
def test_an_operation_is_described(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert 0 < len(operation["summary"]) < 60
    assert not operation["summary"].endswith(".")
    assert operation["description"].endswith(".")
    names = [(each["in"], each["name"]) for each in operation.get("parameters", ())]
    assert len(set(names)) == len(names)
    assert re.findall(r"\{(\w+)\}", path) == [name for where, name in names if where == "path"]
    for parameter in operation.get("parameters", ()):
        assert parameter["description"].endswith(".")
        assert parameter["required"] or parameter["in"] != "path"
    assert ("requestBody" in operation) == (method == "post")


@EACH_OPERATION
def test_what_is_sent_and_answered_has_a_name_and_an_example(method: str, path: str, operation: dict[str, Any]) -> None:
    for sent, kind, content in contents(operation):
        if kind != "application/json":
            assert content["schema"]["type"] == "string"
            continue
        name = content["schema"]["$ref"].rpartition("/")[2]
        examples = [content["example"]] if "example" in content else []
        refs = [each["$ref"].rpartition("/")[2] for each in content.get("examples", {}).values()]
        examples += [DOCUMENT["components"]["examples"][each]["value"] for each in refs]
        assert examples
        schema = {"components": DOCUMENT["components"], "$ref": f"#/components/schemas/{name}"}
        for example in examples:
            jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(example)
            assert not sent or example


@EACH_SCHEMA
def test_a_schema_is_one_that_generators_take(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema["title"] == name
    assert schema["type"] == "object"
    properties = schema.get("properties", {})
    assert set(schema.get("required", ())) <= set(properties)
    for field in properties.values():
        # One within another has a name of its own; one with a default is taken for one that is needed.
        assert not any("properties" in part for part in parts(field))
        assert "default" not in field
    for part in parts(schema):
        assert "const" not in part
        assert "" not in part.get("enum", ())
        assert part.get("$ref", "#/components/schemas/Failure").rpartition("/")[2] in SCHEMAS


@EACH_SCHEMA
def test_what_is_asked_is_exact_and_answers_may_grow(name: str) -> None:
    schema = SCHEMAS[name]
    if "properties" not in schema:
        assert schema["additionalProperties"] is True  # the caller's own
    elif name in REQUESTS:
        assert schema["additionalProperties"] is False
    else:
        assert all(part.get("additionalProperties") is not False for part in parts(schema))


def test_no_parameter_chooses_among_words_with_an_empty_one() -> None:
    for _, _, operation in (each.values for each in DESCRIBED):
        for parameter in operation.get("parameters", ()):
            assert "" not in parameter["schema"].get("enum", ())


def test_an_example_is_what_may_be_answered() -> None:
    batch = DOCUMENT["paths"]["/api/v1/transactions/batch"]["post"]["responses"]["200"]
    data = batch["content"]["application/json"]["example"]["data"]
    assert (data["applied"], data["replayed"], data["refused"]) == (1, 0, 0)
    assert [(each["status"], each["data"]["id"]) for each in data["results"]] == [(201, "1-17")]
    examples = DOCUMENT["components"]["examples"]
    assert list(examples["key_reused"]["value"]["details"]) == ["transaction"]


@EACH_OPERATION
def test_the_headers_of_an_answer_are_described(method: str, path: str, operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        more = {"401": {"WWW-Authenticate"}, "429": {"Retry-After"}, "503": {"Retry-After"}}.get(status, set())
        assert set(answer["headers"]) == {"X-Request-ID"} | more
        assert set(answer["headers"]) <= set(DOCUMENT["components"]["headers"])
