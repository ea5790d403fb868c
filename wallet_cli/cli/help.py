"""`wallet help` and `wallet commands`"""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Annotated

import typer

from wallet_cli.cli import topics, tree
from wallet_cli.cli.command import in_pager
from wallet_cli.cli.output import Format, Listing, Record, Style
from wallet_cli.errors import InvalidInput, shown

COLUMNS = ("name", "section", "about", "effect")

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="WHAT", help=f"A command, as in `tx add`; or one of {', '.join(topics.NAMES)}.", show_default=False
    ),
]


def help_(style: Style, words: WordsArgument = None) -> Record | None:
    """
    Examples:
        wallet help tx add
        wallet help money
        wallet help exit-codes | less
    """
    from wallet_cli.cli import help_text

    name = " ".join(words or [])
    is_topic = name in topics.NAMES
    if name and not is_topic and name not in tree.TREE and name not in dict(tree.each()):
        raise InvalidInput(
            f"there is no command or topic {shown(name)}",
            hint=f"{_meant(name)}`wallet commands` lists the commands; topics: {', '.join(topics.NAMES)}",
        )
    printed = io.StringIO() if style.quiet or style.format is not Format.table else sys.stdout
    with contextlib.redirect_stdout(printed):
        if is_topic:
            text = "\n".join(help_text.of_topic(topics.text_of(name)))
            if not in_pager(text):
                print(text)
        else:
            _print_help(name)
    if not isinstance(printed, io.StringIO):
        return None
    return Record({"name": name or "help", "text": printed.getvalue()}, value="name")


def _meant(name: str) -> str:
    from difflib import get_close_matches

    from wallet_cli.cli.did_you_mean import other_word

    known = [*topics.NAMES, *tree.TREE, *dict(tree.each())]
    nearest = [each for each in known if each.startswith(name)] or get_close_matches(name, known, n=1)
    meant = (other_word(name, "help ") or other_word(name) or (nearest[0] if nearest else "")).removeprefix("help ")
    return f"did you mean {meant}? " if meant else ""


def _print_help(name: str) -> None:
    from wallet_cli.cli.app import run

    run([*name.split(), "--help"])


def commands(style: Style) -> Listing:
    """
    Examples:
        wallet commands
        wallet commands -q                          # their names alone
        wallet commands --json > wallet-commands.json
    """
    from wallet_cli.cli import catalogue

    if style.is_json and not style.quiet:
        whole = catalogue.catalogue()
        return Listing(whole["commands"], COLUMNS, value="name", page=whole, kind="command")
    rows = (catalogue.of_command(*named) for named in tree.each())
    return Listing(rows, COLUMNS, value="name", kind="command")
