"""JSON with a list in it that is written as its things come, in constant memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any


def json_parts(answer: Mapping[str, Any], name: str, rows: Iterable[Any], indent: int | None = None) -> Iterator[str]:
    """The text of an object in parts: `answer`, whose list `name` is empty, with `rows` in that.

    Nothing comes before the first row is there: a stream may yet be refused.
    """
    stream = iter(rows)
    first = list(islice(stream, 1))
    head, found, rest = json.dumps(answer, indent=indent).partition(f'"{name}": []')
    assert found
    margin = "" if indent is None else "\n" + " " * 2 * indent
    yield f'{head}"{name}": ['
    separator = margin
    for row in chain(first, stream):
        # A text in JSON has no line ends: those there are, are of the indentation.
        yield separator + json.dumps(row, indent=indent).replace("\n", margin)
        separator = ", " if indent is None else "," + margin
    yield ("" if indent is None or not first else "\n" + " " * indent) + "]" + rest
