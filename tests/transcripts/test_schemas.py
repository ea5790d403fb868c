"""All JSON that the stories show fits the schemas that are installed, which say every field and no other."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import pytest
from support import cli, transcript

from wallet_cli.cli import schemas, tree

STORIES = sorted(Path(__file__).parent.rglob("*.transcript"))
STARTS = {'{"error"': "Error", '{"line"': "RefusedImportLine"}
ABRIDGED = {"doctor", "commands"}
"""Whose stories leave out what another machine would have, or most of what there is."""

ROOT_OPTIONS = ("--db", "--ledger", "--env-file", "--color")


class Shown(NamedTuple):
    """A JSON text of a story, the schema that is for it, and whether it is one of many lines."""

    where: str
    command: str
    form: str
    value: Any


def values(lines: Iterable[str]) -> Iterator[Any]:
    """Lines of JSON, in which `…` may stand for a number too; those that leave fields out are left out."""
    for line in lines:
        if not re.search(r"[,{\[] ?…", line):
            yield json.loads(re.sub(r'(": )…', r"\g<1>1", line))


def form_of(words: list[str]) -> str | None:
    """What a command line asks for: `json`, `jsonl` or nothing of them."""
    if "--jq" in words or "-q" in words:
        return None
    if "--json" in words:
        return "json"
    given = [words[at + 1] for at, word in enumerate(words[:-1]) if word in ("-o", "--output")]
    return given[-1] if given and given[-1] in ("json", "jsonl") else None


def words_of(command: str) -> list[str]:
    """A plain call of `wallet`, from the words of the command on; nothing for a line that needs a shell."""
    if re.search(r"[|;&<>$`\n]", command):
        return []
    words = shlex.split(command)
    while words and "=" in words[0]:
        words.pop(0)
    if not words or words.pop(0) != "wallet":
        return []
    while words and words[0] in ROOT_OPTIONS:
        del words[:2]
    return words


def command_of(words: list[str]) -> str | None:
    found = tree.TREE.get(words[0]) if words else None
    if isinstance(found, tree.Group):
        return f"{words[0]} {words[1]}" if len(words) > 1 and words[1] in found.commands else None
    return words[0] if found is not None else None


@cache
def shown() -> tuple[Shown, ...]:
    return tuple(_shown())


def _shown() -> Iterator[Shown]:
    for path in STORIES:
        for step in transcript.steps_of(transcript.parse(path.read_text("utf-8"))):
            words = words_of(step.command)
            command, form = command_of(words), form_of(words)
            where = f"{path.stem}:{step.line_number}"
            for start, name in STARTS.items():
                errors = (line for line in step.expected.err if line.startswith(start))
                yield from (Shown(where, "", name, value) for value in values(errors))
            if command in schemas.ANSWERS and form is not None and step.expected.code in (0, 4, 7):
                yield from (Shown(where, command, form, value) for value in values(step.expected.out))


def strict(schema: Any) -> Any:
    """The same schema, without room for fields that it does not say."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tightened = {name: strict(value) for name, value in schema.items()}
    return tightened | {"additionalProperties": False} if "properties" in tightened else tightened


def schema_of(command: str) -> dict[str, Any]:
    """The schema of what a command, by its words, prints with `--json`."""
    answer = schemas.ANSWERS[command]
    found = schemas.schema(answer.whole)
    if not answer.is_list:
        return found
    listed: dict[str, Any] = {"$schema": found.pop("$schema"), "type": "array"}
    if "$defs" in found:
        listed["$defs"] = found.pop("$defs")
    return listed | {"items": found}


@cache
def validator(command: str, form: str) -> Any:
    if not command:
        found = schemas.schema(form)
    elif form == "json":
        found = schema_of(command)
    else:
        found = schemas.schema(schemas.ANSWERS[command].line)
    return jsonschema_rs.validator_for(strict(found))


def problems(each: Shown) -> list[str]:
    return [f"{each.where}: {error.message}" for error in validator(each.command, each.form).iter_errors(each.value)]


def test_all_json_that_is_shown_fits_its_schema() -> None:
    assert [problem for each in shown() for problem in problems(each)] == []


@pytest.mark.parametrize("command", sorted(schemas.ANSWERS.keys() - ABRIDGED))
def test_every_answer_is_shown_in_json(command: str) -> None:
    """So the test above has looked at it."""
    assert {each.form for each in shown() if each.command == command} == {"json", "jsonl"}


@pytest.mark.on_file("what is looked over is the machine")
@pytest.mark.parametrize("command", sorted(ABRIDGED))
def test_an_answer_that_stories_leave_out_fits_its_schema(command: str, db: Path) -> None:
    for form in ("json", "jsonl"):
        found = [json.loads(line) for line in cli.run([*command.split(), "-o", form]).out.splitlines()]
        assert found
        assert [each for value in found for each in problems(Shown(command, command, form, value))] == []


def test_errors_are_shown() -> None:
    assert {each.form for each in shown() if not each.command} == set(schemas.OF_ERRORS)


def test_every_command_has_a_schema_or_says_why_not() -> None:
    assert schemas.ANSWERS.keys() | schemas.NO_JSON.keys() == {words for words, _ in tree.each()}
    assert not schemas.ANSWERS.keys() & schemas.NO_JSON.keys()


def test_a_field_that_no_schema_says_is_found() -> None:
    each = next(each for each in shown() if each.command == "tx add")
    assert problems(each) == []
    assert problems(each._replace(value=each.value | {"colour": "red"})) != []
    assert problems(each._replace(value=each.value | {"amount": 5})) != []
    assert problems(each._replace(value={name: value for name, value in each.value.items() if name != "id"})) != []


def test_schemas_are_valid_and_whole() -> None:
    for name in schemas.names():
        jsonschema_rs.meta.validate(schemas.schema(name))
        jsonschema_rs.validator_for(schemas.schema(name))
