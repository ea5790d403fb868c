"""What may have been meant by a command line that is none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import typer
from typer._click.exceptions import MissingParameter, NoSuchOption

from wallet_cli.cli.tree import TREE, Group
from wallet_cli.likely import likely

OTHER_WORDS = {
    "credit": "add deposit load topup top-up pay-in",
    "debit": "withdraw spend charge pay take",
    "transfer": "send",
    "tx reverse": "undo refund reverse revert cancel",
    "tx total": "total sum",
    "tx show": "show",
    "find": "search lookup grep",
    "list": "ls wallets accounts",
    "history": "log transactions txs journal",
    "create": "open new",
    "register": "user signup customer",
    "hold add": "reserve block authorize authorise",
    "hold void": "release unblock",
    "hold capture": "capture",
    "statement": "report",
    "verify": "check audit fsck",
    "chart": "graph plot",
}
"""What other programs, and people, call a command."""


def message(error: typer.TyperException) -> str:
    """What is wrong with a command line, in one line."""
    text = " ".join(error.format_message().split()).rstrip(".")
    return re.sub(r" \(Possible options: [^)]*\)$", "", text)  # the hint has the best one


def hint(error: typer.TyperException, context: Any) -> str:
    """What to do about it: what was meant, or what there is, and whose help has more."""
    path = context.command_path if context is not None else "wallet"
    found = None if context is None else _meant(error, context)
    if found is not None:
        return f"did you mean {found}? {path} --help"
    if isinstance(error, MissingParameter):
        pieces = context.command.collect_usage_pieces(context)
        names = [each.strip("{}") for each in pieces if each != "[OPTIONS]"]
        return f"{' '.join([path, *names])}; {path} --help"
    if "unexpected extra argument" in error.message:
        return f"a value with spaces goes in quotes: 'Asha Rao'; {path} --help"
    group = _group(context)
    if group is not None and _typed(error):
        return f"{path} has {', '.join(group.commands)}; {path} --help"
    return f"{path} --help"


def other_word(typed: str) -> str | None:
    """The command that somebody calls so."""
    return next((name for name, words in OTHER_WORDS.items() if typed.lower() in words.split()), None)


def _meant(error: typer.TyperException, context: Any) -> str | None:
    """A command line, or the option, that is much like what was typed; None where nothing is."""
    if isinstance(error, NoSuchOption):
        parameters = context.command.params
        formats = next((each.type.choices for each in parameters if "--output" in each.opts), ())
        if error.option_name.removeprefix("--") in formats:
            return f"-o {error.option_name[2:]}"
        return likely(error.option_name, (name for each in parameters for name in each.opts if name.startswith("--")))
    typed = _typed(error)
    if not typed:
        return None
    group, within = _group(context), context.command_path.split()[1:]
    known: Iterable[str] = TREE if not within else group.commands if group is not None else ()
    found = likely(typed, known) or (None if within else other_word(typed))
    return None if found is None else f"`{' '.join(['wallet', *within, found])}`"


def _typed(error: typer.TyperException) -> str:
    """The word that is no command; empty where something else is wrong."""
    _, start, rest = error.message.partition("No such command '")
    return rest.partition("'")[0] if start else ""


def _group(context: Any) -> Group | None:
    """The group of commands that a context is of."""
    words = [] if context is None else context.command_path.split()[1:]
    found = TREE.get(words[0]) if words else None
    return found if isinstance(found, Group) else None
