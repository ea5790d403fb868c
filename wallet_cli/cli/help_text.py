"""What `--help` says, as plain text: fitted to the terminal, and to be read as well in a pipe and in a file.

It is made of three things that are each written once: the line of help in tree.py, the docstring of the command's
function, and its parameters. The docstring ends with a block `Examples:`, whose lines are shown as they stand. Pages of
the manual and the list of commands for programs (manual.py, catalogue.py) are made of the same.
"""

from __future__ import annotations

import inspect
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from wallet_cli.cli import topics
from wallet_cli.cli.screen.terminal import has_color
from wallet_cli.cli.tree import SECTIONS, TREE, Command, Group

MAX_WIDTH = 100
"""Longer lines are hard to read, however wide the terminal is."""

LEAST_BESIDE = 24
"""Where a name leaves less room than this, what it means stands under it and not beside it."""

MAX_NAME_CHARS = 30
SHARED = ("output", "json", "quiet", "jq", "help")
"""Options that every command has, by the names of their parameters: they come last."""

NO_BREAK = "\xa0"

_EXIT = re.compile(r"#.*\(exit (\d+)\)$")


class Example(NamedTuple):
    """A command line, with the remark that may stand behind it, and the exit code that it ends with."""

    line: str
    exit_code: int = 0


class Told(NamedTuple):
    """What a docstring tells users: what is to be known beyond the line of help, and examples."""

    about: str
    examples: tuple[Example, ...]


def told_by(function: Callable[..., object]) -> Told:
    """What the docstring of a command's function tells. `(exit 4)` at the end of a remark is the exit code."""
    about, _, block = f"\n{inspect.getdoc(function) or ''}\n".partition("\nExamples:\n")
    lines = (line.strip() for line in block.splitlines())
    return Told(about.strip(), tuple(_example(line) for line in lines if line))


def _example(line: str) -> Example:
    found = _EXIT.search(line)
    return Example(line, int(found[1]) if found else 0)


class Row(NamedTuple):
    """A name and what it means."""

    name: str
    text: str


def arguments_of(command: Any) -> list[Row]:
    """The arguments of a command that is built, as help shows them."""
    return [Row(value_name(param), _meaning(param)) for param in command.params if param.param_type_name == "argument"]


def options_of(command: Any, context: Any, *, shared: bool) -> list[Row]:
    """Its options: its own, or those that every command has."""
    options = [param for param in command.get_params(context) if param.param_type_name == "option"]
    return [
        Row(_named(param), _meaning(param))
        for param in options
        if not param.hidden and (param.name in SHARED) is shared
    ]


def choices_of(param: Any) -> list[str]:
    """The words that a parameter takes, where it takes no other."""
    found = getattr(param.type, "choices", None)
    if found is not None:
        return [str(getattr(choice, "value", choice)) for choice in found]
    # As in `dmy|mdy`.
    return (param.metavar or "").split("|") if "|" in (param.metavar or "") else []


def default_of(param: Any) -> str | None:
    """What a parameter is when it is not given, in words; None where that goes without saying."""
    if isinstance(param.show_default, str):
        return str(param.show_default)
    if not param.show_default or param.default is None or isinstance(param.default, bool) or callable(param.default):
        return None
    return str(param.default)


def value_name(param: Any) -> str:
    """What the value of a parameter is called: `AMOUNT`."""
    if param.metavar and "|" not in param.metavar:
        return str(param.metavar).strip("[]")
    if choices_of(param):
        return "FORMAT" if param.name == "output" else str(param.name).upper()
    if param.param_type_name == "argument":
        return str(param.name).upper()
    return "N" if param.type.name in ("int", "integer") else "TEXT"


def usage_of(path: str, command: Any) -> str:
    """The line that says how a command is called."""
    names = []
    for param in command.params:
        if param.param_type_name == "argument":
            name = value_name(param) + ("..." if param.nargs != 1 else "")
            names.append(name if param.required else f"[{name}]")
    return " ".join([path, *names, "[OPTIONS]"])


def _named(param: Any) -> str:
    short = [name for name in param.opts if not name.startswith("--")]
    long = [name for name in param.opts if name.startswith("--")]
    text = ", ".join([*short, *long, *param.secondary_opts])
    if not short:
        text = f"    {text}"
    return text if param.is_flag or param.count else f"{text} {value_name(param)}"


def _meaning(param: Any) -> str:
    """The help of a parameter, with the words that it takes, and what it is when it is not given."""
    parts = [param.help or ""]
    choices = choices_of(param)
    if choices and not all(choice in parts[0] for choice in choices):
        parts.append(f"One of {', '.join(choices)}.")
    default = default_of(param)
    if default is not None:
        parts.append(f"[default: {default}]".replace(" ", NO_BREAK))
    return " ".join(filter(None, parts))


# Text of three kinds


def of_command(path: str, command: Any, context: Any) -> Iterator[str]:
    """What is said of one command, called by `path`, in lines."""
    page, told = Page(), told_by(command.callback)
    yield from page.text(command.help)
    if told.about:
        yield ""
        yield from page.text(told.about)
    yield from page.usage(usage_of(path, command))
    yield from page.examples(told.examples)
    yield from page.table("Arguments", arguments_of(command))
    yield from page.table("Options", options_of(command, context, shared=False))
    yield from page.table("Output and help", options_of(command, context, shared=True))


def of_group(path: str, about: str, commands: Mapping[str, Command | Group]) -> Iterator[str]:
    """What is said of a command that has commands under it."""
    page = Page()
    yield from page.text(about)
    yield from page.usage(f"{path} COMMAND")
    yield from page.table("Commands", _rows(commands))
    yield ""
    yield from page.text(f"`{path} COMMAND --help` has examples.")


def of_root(root: Any, context: Any) -> Iterator[str]:
    """What is said of the program: what it can do, by what it is for."""
    page, told = Page(), told_by(root.callback)
    yield from page.text(told.about)
    yield from page.usage("wallet [OPTIONS] COMMAND")
    yield from page.examples(told.examples)
    width = max(len(name) for name in TREE)
    for title, section in SECTIONS.items():
        yield from page.table(title, _rows(section), width)
    yield from page.table("Options", options_of(root, context, shared=False) + options_of(root, context, shared=True))
    yield ""
    yield from page.text("`wallet help COMMAND` has examples of a command, such as `wallet help tx add`.")
    yield from page.text(f"`wallet help TOPIC` tells of: {', '.join(topics.NAMES)}.")


def of_topic(text: str) -> Iterator[str]:
    """A page of topics.py, as a terminal has it."""
    page = Page()
    for number, block in enumerate(topics.blocks(text)):
        if number:
            yield ""
        if block.kind == "heading":
            yield page.strong(block.text)
        elif block.kind == "code":
            yield from (f"    {line}" for line in block.text.splitlines())
        elif block.kind == "list":
            for item in block.text.splitlines():
                yield from page.fitted(item, "- ", "  ")
        else:
            yield from page.text(block.text)


def _rows(commands: Mapping[str, Command | Group]) -> list[Row]:
    return [Row(name, what.help) for name, what in commands.items()]


class Page:
    """How text is laid out: as wide as the terminal, to a limit, with headings that stand out where they can."""

    def __init__(self) -> None:
        self.width = max(20, min(shutil.get_terminal_size().columns, MAX_WIDTH))
        self.bold = has_color(sys.stdout)

    def strong(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self.bold else text

    def heading(self, title: str) -> str:
        return self.strong(f"{title}:")

    def text(self, text: str) -> Iterator[str]:
        """Paragraphs, fitted."""
        for number, paragraph in enumerate(text.split("\n\n")):
            if number:
                yield ""
            yield from self.fitted(" ".join(paragraph.split()), "", "")

    def usage(self, line: str) -> Iterator[str]:
        yield ""
        words = self.heading("Usage")
        fitted = list(self.fitted(f"Usage: {line}", "", "  "))
        yield fitted[0].replace("Usage:", words, 1)
        yield from fitted[1:]

    def examples(self, examples: Sequence[Example]) -> Iterator[str]:
        """As they are; where a line is too long, its comment is above it. A command is in one line, to be copied."""
        if examples:
            yield ""
            yield self.heading("Examples")
        for example in examples:
            command, hash_, comment = example.line.partition(" # ")
            if not hash_ or len(example.line) + 2 <= self.width:
                yield f"  {example.line}"
            else:
                yield from self.fitted(f"# {comment}", "  ", "  # ")
                yield f"  {command.rstrip()}"

    def table(self, title: str, rows: Sequence[Row], least: int = 0) -> Iterator[str]:
        """Names beside what they mean; under them where there is no room for that."""
        if not rows:
            return
        yield ""
        yield self.heading(title)
        width = min(MAX_NAME_CHARS, max([least, *(len(row.name) for row in rows)]))
        if self.width - width - 4 < LEAST_BESIDE:
            for row in rows:
                yield f"  {row.name.strip()}"
                yield from self.fitted(row.text, "      ", "      ")
            return
        beside = " " * (width + 4)
        for row in rows:
            first, *more = self.fitted(row.text, beside, beside) if row.text else [beside]
            if len(row.name) > width:
                yield f"  {row.name}"
                yield first
            else:
                yield f"  {row.name:<{width}}  {first[width + 4 :]}".rstrip()
            yield from more

    def fitted(self, text: str, first: str, then: str) -> list[str]:
        """Lines of words, which begin as they are told to."""
        if any(len(word) > self.width - len(then) for word in text.split(" ")):
            text = text.replace(NO_BREAK, " ")
        lines = textwrap.wrap(
            text,
            self.width,
            initial_indent=first,
            subsequent_indent=then,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return [line.replace(NO_BREAK, " ") for line in lines]
