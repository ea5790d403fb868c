"""The pages of the manual, for `man wallet` and `man wallet-tx-add`, of the same text as the help. scripts/reference.py
writes them to man/, from which they are installed.

They are in the language man(7), with the macros that groff and mandoc share. A page has no date, so that it changes
only when its text does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer

from wallet_cli import __version__, settings
from wallet_cli.cli import catalogue, help_text, topics, tree
from wallet_cli.cli.app import app
from wallet_cli.cli.command import built
from wallet_cli.cli.help_text import Example, Row
from wallet_cli.cli.tree import Command, Group

MARKS = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}


def pages() -> Iterator[tuple[str, str]]:
    """Every page: its file below man/, and its text."""
    yield "man1/wallet.1", root()
    for name, what in tree.TREE.items():
        if isinstance(what, Group):
            yield f"man1/wallet-{name}.1", group(name, what)
    for words, command in tree.each():
        yield f"man1/wallet-{words.replace(' ', '-')}.1", of_command(words, command)
    for name in topics.NAMES:
        yield f"man7/wallet-{name}.7", topic(name)


def escaped(text: str) -> str:
    """Text that is printed as it stands."""
    text = "".join(MARKS.get(each, each if each.isascii() else rf"\[u{ord(each):04X}]") for each in text)
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def prose(text: str) -> str:
    """Text with `code` in it, on one line."""
    parts = " ".join(text.split()).split("`")
    return "".join(rf"\fB{escaped(part)}\fR" if number % 2 else escaped(part) for number, part in enumerate(parts))


def title(name: str, section: int = 1) -> str:
    return f'.TH "{escaped(name.upper())}" "{section}" "" "wallet {__version__}" "wallet"'


def heading(name: str) -> str:
    return f'.SH "{escaped(name.upper())}"'


def name_of(name: str, about: str) -> list[str]:
    return [title(name), heading("name"), rf"{escaped(name)} \- {prose(about.rstrip('.'))}"]


def paragraphs(text: str) -> Iterator[str]:
    for paragraph in filter(None, text.split("\n\n")):
        yield ".PP"
        yield prose(paragraph)


def verbatim(lines: Sequence[str]) -> Iterator[str]:
    yield ".PP"
    yield ".RS 4"
    yield ".EX"
    yield from map(escaped, lines)
    yield ".EE"
    yield ".RE"


def examples(found: Sequence[Example]) -> Iterator[str]:
    if found:
        yield heading("examples")
        yield from verbatim([example.line for example in found])


def rows(name: str, found: Sequence[Row]) -> Iterator[str]:
    if found:
        yield heading(name)
        yield from listed(found)


def listed(found: Sequence[Row]) -> Iterator[str]:
    for row in found:
        yield ".TP"
        yield rf"\fB{escaped(row.name.strip())}\fR"
        yield prose(row.text.replace(help_text.NO_BREAK, " ")) or r"\&"


def see(*names: str) -> Iterator[str]:
    yield heading("see also")
    known = [rf"\fBwallet{escaped('-' * bool(name) + name)}\fR({7 if name in topics.NAMES else 1})" for name in names]
    yield ", ".join(known)


def text_of(lines: Sequence[str]) -> str:
    text = "\n".join([r".\" Written by scripts/reference.py from the help of the program.", *lines, ""])
    return re.sub(r"^(\.SH .*)\n\.PP$", r"\1", text, flags=re.MULTILINE)  # a section begins with a paragraph


def of_command(words: str, command: Command) -> str:
    """The page of one command."""
    made = built(command, words.rpartition(" ")[2])
    context = typer.Context(made, info_name=words, **made.context_settings)
    told = help_text.told_by(made.callback)
    errors = catalogue.errors_of(words, command)
    codes: dict[int, list[str]] = {0: ["done"]}
    for error in errors:
        codes.setdefault(error.exit_code, []).append(error.code)
    above = words.rpartition(" ")[0]
    return text_of(
        [
            *name_of(f"wallet-{words.replace(' ', '-')}", command.help),
            heading("synopsis"),
            rf"\fB{escaped(help_text.usage_of(f'wallet {words}', made))}\fR",
            heading("description"),
            *paragraphs(f"{command.help}\n\n{told.about}"),
            *examples(told.examples),
            *rows("arguments", help_text.arguments_of(made)),
            *rows("options", help_text.options_of(made, context, shared=False)),
            *rows("output and help", help_text.options_of(made, context, shared=True)),
            *rows("exit status", [Row(str(code), ", ".join(names)) for code, names in codes.items()]),
            *see("", *([above] if above else []), "exit-codes", "output"),
        ]
    )


def group(name: str, what: Group) -> str:
    """The page of a command that has commands under it."""
    commands = [Row(f"wallet {name} {each}", command.help) for each, command in what.commands.items()]
    return text_of(
        [
            *name_of(f"wallet-{name}", what.help),
            heading("synopsis"),
            rf"\fBwallet {name} COMMAND\fR",
            heading("description"),
            *paragraphs(what.help),
            *rows("commands", commands),
            *see("", *(f"{name}-{each}" for each in what.commands)),
        ]
    )


def root() -> str:
    """The page of the program."""
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="wallet", **command.context_settings)
    told = help_text.told_by(command.callback)
    options = [*help_text.options_of(command, context, shared=False)]
    options += help_text.options_of(command, context, shared=True)
    return text_of(
        [
            *name_of("wallet", told.about),
            heading("synopsis"),
            r"\fBwallet [OPTIONS] COMMAND\fR",
            heading("description"),
            *paragraphs(told.about),
            *examples(told.examples),
            *rows("options", options),
            *(line for name, section in tree.SECTIONS.items() for line in section_of(name, section)),
            *rows("topics", [Row(f"wallet help {name}", topics.title_of(name)) for name in topics.NAMES]),
            heading("environment"),
            *listed([Row(name, f"The setting {each.name}.") for each in settings.SETTINGS for name in each.variables]),
            *see(*(name.replace(" ", "-") for name, _ in tree.each()), *topics.NAMES),
        ]
    )


def section_of(name: str, section: Mapping[str, Command | Group]) -> Iterator[str]:
    yield from rows(name, [Row(f"wallet {each}", what.help) for each, what in section.items()])


def topic(name: str) -> str:
    """The page of a topic."""
    lines = [title(f"wallet-{name}", 7), heading("name")]
    lines.append(rf"{escaped(f'wallet-{name}')} \- {prose(topics.title_of(name))}")
    lines.append(heading("description"))
    for block in list(topics.blocks(topics.text_of(name)))[1:]:
        if block.kind == "heading":
            lines.append(heading(block.text))
        elif block.kind == "code":
            lines.extend(verbatim(block.text.splitlines()))
        elif block.kind == "list":
            for item in block.text.splitlines():
                lines += [r".IP \(bu 2", prose(item)]
        else:
            lines.extend(paragraphs(block.text))
    return text_of([*lines, *see("")])
