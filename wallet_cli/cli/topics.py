"""What `wallet help TOPIC` tells: pages in plain English, in wallet_cli/topics, which are also pages of the site and of
the manual.

They are written in the little of Markdown that reads well as it is: a title, headings, paragraphs, lists, and lines
that stand as they are between fences.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

NAMES = ("money", "time", "keys", "exit-codes", "output", "settings")
FOLDER = Path(__file__).parent.parent / "topics"


def text_of(name: str) -> str:
    """The page of a topic, as it is written."""
    return (FOLDER / f"{name}.md").read_text("utf-8")


def title_of(name: str) -> str:
    """Its title: the first line."""
    return text_of(name).partition("\n")[0].removeprefix("# ")


class Block(NamedTuple):
    """A piece of a page: a paragraph on one line, a heading, lines of code as they are, or a list, an item a line."""

    kind: Literal["heading", "text", "list", "code"]
    text: str


def blocks(text: str) -> Iterator[Block]:
    """The pieces of a page, in order."""
    pieces = iter(text.strip().split("\n\n"))
    for piece in pieces:
        if piece.startswith("```"):
            while not piece.endswith("\n```"):
                piece += f"\n\n{next(pieces)}"
            yield Block("code", "\n".join(piece.splitlines()[1:-1]))
        elif piece.startswith("#"):
            yield Block("heading", piece.lstrip("# "))
        elif piece.startswith("- "):
            items = f"\n{piece}".split("\n- ")[1:]
            yield Block("list", "\n".join(" ".join(item.split()) for item in items))
        else:
            yield Block("text", " ".join(piece.split()))
