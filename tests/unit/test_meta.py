"""Metadata: what it may be, and the one text that equal objects are kept as."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cli import Outcome

from wallet_cli.domain.metadata import (
    MAX_META_BYTES,
    MAX_META_DEPTH,
    MAX_META_KEY_CHARS,
    canonical,
    parse_json,
    parse_pairs,
)
from wallet_cli.errors import InvalidInput

REPEATABLE = settings(max_examples=150, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize(
    ("meta", "text"),
    [
        ({"order": "1041"}, '{"order":"1041"}'),
        ({"b": 1, "a": 2}, '{"a":2,"b":1}'),
        ({"n": None, "t": True, "f": False, "i": -(10**30)}, f'{{"f":false,"i":{-(10**30)},"n":null,"t":true}}'),
        ({"list": [1, "two", [], {}]}, '{"list":[1,"two",[],{}]}'),
        ({"é": "🧾"}, '{"\\u00e9":"\\ud83e\\uddfe"}'),
        ({"a": "x\n\t\x1b"}, '{"a":"x\\n\\t\\u001b"}'),
        ({"a": ""}, '{"a":""}'),
    ],
    ids=str,
)
def test_an_object_is_kept_as_ascii_sorted_and_without_spaces(meta: dict[str, Any], text: str) -> None:
    assert canonical(meta) == text
    assert json.loads(text) == meta


def test_an_empty_object_is_none() -> None:
    assert canonical({}) is None


@pytest.mark.parametrize(
    ("meta", "says"),
    [
        ({"": 1}, "not a name"),
        ({"x" * (MAX_META_KEY_CHARS + 1): 1}, "not a name"),
        ({"a\nb": 1}, "not a name"),
        ({"a": {"\x00": 1}}, "not a name"),
        ({"\ud83d": 1}, "not a name"),
        ({1: 1}, "not a name"),
        ({"a": 0.1}, "cannot have fractions"),
        ({"a": [1, [2.0]]}, "cannot have fractions"),
        ({"a": float("nan")}, "cannot have fractions"),
        ({"a": "\0"}, "not valid text"),
        ({"a": ["half \ud83d"]}, "not valid text"),
        ({"a": "x" * MAX_META_BYTES}, "bytes"),
        ({"a": "é" * (MAX_META_BYTES // 6)}, "bytes"),
        ({"a": {1, 2}}, "metadata cannot have"),
        ({"a": b"x"}, "metadata cannot have"),
    ],
    ids=lambda value: ascii(value)[:32],
)
def test_what_cannot_be_kept_is_refused_in_one_short_line(meta: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        canonical(meta)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("sent", ["12345678901234567.0", "1e2", "9e999", "0.10", "-0.0", "1" * 400 + ".5"])
def test_no_fraction_is_told_that_was_not_sent(sent: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        canonical(parse_json(f'{{"order": {sent}}}'))
    assert not re.search("[0-9]|inf", f"{caught.value.message} {caught.value.hint}".replace('such as "1.5"', ""))


def nested(levels: int) -> dict[str, Any]:
    meta: dict[str, Any] = {"a": 1}
    for _ in range(levels - 1):
        meta = {"a": meta}
    return meta


def test_it_may_be_nested_so_deep_and_no_deeper() -> None:
    with pytest.raises(InvalidInput, match="nested too deeply"):
        canonical(nested(MAX_META_DEPTH + 1))
    # What holds no other counts as well.
    assert canonical(nested(MAX_META_DEPTH - 1)) is not None
    with pytest.raises(InvalidInput, match="nested too deeply"):
        canonical(nested(10_000))


def test_the_longest_that_is_kept() -> None:
    text = canonical({"a": "x" * (MAX_META_BYTES - len('{"a":""}'))})
    assert text is not None
    assert len(text) == MAX_META_BYTES
    with pytest.raises(InvalidInput, match="bytes"):
        canonical({"a": "x" * (MAX_META_BYTES - len('{"a":""}') + 1)})


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=4,
)


@REPEATABLE
@given(meta=st.dictionaries(st.sampled_from("abcdef"), values, min_size=1, max_size=4))
def test_equal_objects_are_equal_text_and_different_ones_are_not(meta: dict[str, Any]) -> None:
    text = canonical(meta)
    assert text is not None
    assert text.isascii()
    assert canonical(dict(reversed(list(meta.items())))) == text
    assert parse_json(text) == meta
    assert canonical(parse_json(text)) == text


@pytest.mark.parametrize(
    ("pairs", "meta"),
    [
        ([], {}),
        (["order=1041"], {"order": "1041"}),
        (["a=1", "b="], {"a": "1", "b": ""}),
        (["a=b=c"], {"a": "b=c"}),
        (["a= [/b] "], {"a": " [/b] "}),
    ],
)
def test_pairs_of_a_command_line_are_text(pairs: list[str], meta: dict[str, str]) -> None:
    assert parse_pairs(pairs) == meta


@pytest.mark.parametrize("pairs", [["order"], [""], ["a=1", "a=1"], ["a=1", "a=2"], ["x" * 5000]], ids=str)
def test_other_pairs_are_refused(pairs: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_pairs(pairs)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "null",
        '"a"',
        "[1]",
        "{",
        "{a:1}",
        "{'a':1}",
        '{"a":1} x',
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":1,"a":1}',
        '{"a":{"b":1,"b":2}}',
        "[" * 4000,
        '{"a":' * 800,
        " " * 200_000,
    ],
    ids=lambda text: ascii(text)[:24],
)
def test_text_that_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a JSON object") as caught:
        parse_json(text)
    assert len(caught.value.message) < 200


def test_the_json_text_of_an_object_is_read() -> None:
    assert parse_json(' {"a": [1, "é", null]} ') == {"a": [1, "é", None]}


def escaped(meta: dict[str, Any]) -> str:
    """Its JSON with an escape for each character of each text, and white space."""
    return json.dumps(meta, indent=3, ensure_ascii=False).replace("x", "\\u0078")


@pytest.mark.parametrize("unit", ["x", "é", "\n", '"', "1", " "])
@pytest.mark.parametrize("written", [json.dumps, escaped])
@pytest.mark.parametrize("more", [0, 1])
def test_text_that_fits_is_read_however_it_is_written(unit: str, written: Callable[[Any], str], more: int) -> None:
    size = len(json.dumps(unit)) - 2
    meta = {"x": unit * ((MAX_META_BYTES - 8) // size + more)}
    if more:
        with pytest.raises(InvalidInput):
            canonical(parse_json(written(meta)))
    else:
        assert canonical(parse_json(written(meta))) is not None


def test_numbers_that_are_kept_shorter_fit() -> None:
    text = f'{{"a":[{",".join(["-0"] * 2000)}]}}'
    assert len(text) > MAX_META_BYTES
    assert canonical(parse_json(text)) == text.replace("-0", "0")


@pytest.mark.parametrize("unit", ["1", '""', "[]", "{}", '{"a":1}', "null", "-0", "9" * 5000, "[" * 5000])
def test_text_that_cannot_fit_is_not_parsed(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 KiB of it took the event loop of a server up to 13 ms."""
    monkeypatch.setattr(json, "loads", None)
    with pytest.raises(InvalidInput, match="has more than 4096 bytes"):
        parse_json(f'{{"a":[{",".join([unit] * (60_000 // (len(unit) + 1)))}]}}')


@pytest.mark.parametrize("command", ["export -o csv", "tx list 1 -o csv", "history -o csv", "statement 1 -o csv"])
def test_every_csv_has_the_text_that_is_kept(wallet: Callable[[str], Outcome], command: str) -> None:
    for line in ("register 9886977544", "create 1", "tx add 1 5 --credit --meta b=1 --meta 'a=x, y'"):
        assert wallet(line).code == 0
    (row,) = csv.DictReader(io.StringIO(wallet(command).out))
    assert row["meta"] == '{"a":"x, y","b":"1"}'
