"""What a caller says about a transaction: what is kept of it, and that every face and every row has all of the list."""

from __future__ import annotations

from typing import Any

import pytest

from wallet_cli.cli import tree
from wallet_cli.cli.command import built
from wallet_cli.cli.mcp_tools import TOOLS
from wallet_cli.domain.remarks import FIELDS, NOTHING, OTHERS, TEXTS, Remarks
from wallet_cli.errors import InvalidInput
from wallet_cli.import_export.imports.reading import COLUMNS
from wallet_cli.operations import fields
from wallet_cli.storage import sql
from wallet_cli.web import requests

EVERYTHING = {name: "a" * TEXTS[name].most if name in TEXTS else {"b": [1], "a": None} for name in FIELDS}
WRITERS = ("credit", "debit", "transfer", "tx add", "tx reverse")


@pytest.mark.parametrize("given", [{}, {"amount": "5"}, {"note": None}, {"meta": {}}, dict.fromkeys(FIELDS)], ids=str)
def test_nothing_said_is_one_value(given: dict[str, Any]) -> None:
    assert Remarks.of(given) is NOTHING
    assert NOTHING.told() == {}


def test_everything_said_is_told_again() -> None:
    said = Remarks.of(EVERYTHING | {"amount": "5"})
    assert said.meta == '{"a":null,"b":[1]}'
    assert said.told() == EVERYTHING
    assert list(said.told()) == list(FIELDS)
    assert Remarks.of({"meta": said.meta}) == Remarks(meta=said.meta)


@pytest.mark.parametrize(
    "given",
    [
        *({name: value} for name in TEXTS for value in (5, True, ["a"], {"a": 1}, "a" * (TEXTS[name].most + 1), "\0")),
        *({"meta": value} for value in (5, "[]", ["a"], "a", {"a": 0.5})),
    ],
    ids=lambda given: str(given)[:40],
)
def test_what_cannot_be_kept_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Remarks.of(given)


def test_each_remark_but_the_metadata_is_a_text() -> None:
    assert {*TEXTS, "meta"} == set(FIELDS)
    assert all(TEXTS[name].about for name in OTHERS if name in TEXTS)


@pytest.mark.parametrize("name", FIELDS)
def test_each_remark_is_taken_and_told_everywhere(name: str) -> None:
    assert name in sql.TRANSACTION_COLUMNS
    assert name in COLUMNS
    assert name in fields.Transaction.__annotations__
    for body in (requests.NewTransaction, requests.BatchItem, requests.NewTransfer, requests.NewReversal):
        assert name in body.__struct_fields__
    for tool in TOOLS:
        assert tool.name not in ("credit", "debit", "transfer", "reverse") or name in tool.may
    for words in WRITERS:
        command = tree.command_of(words)
        options = {option for param in built(command, words).params for option in param.opts}
        assert f"--{name}" in options, words
