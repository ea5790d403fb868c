"""What may have been meant by a command line that is none."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer
from typer._click.exceptions import MissingParameter, NoSuchOption

from wallet_cli.cli.named_ledger import WITH_VALUES
from wallet_cli.cli.tree import TREE, Group
from wallet_cli.errors import shown_url
from wallet_cli.likely import likely

OTHER_WORDS = {
    "credit": "add deposit load topup top-up pay-in",
    "debit": "withdraw spend charge pay take",
    "transfer": "send",
    "close": "remove delete",
    "tx reverse": "undo refund reverse revert cancel remove delete",
    "tx total": "total totals sum summary",
    "tx show": "show get view",
    "find": "search lookup grep",
    "list": "ls wallets accounts balances",
    "history": "log transactions txs journal today daybook day-book",
    "create": "open new",
    "register": "user signup customer",
    "hold add": "reserve block authorize authorise place new",
    "hold void": "release unblock cancel remove delete",
    "hold capture": "capture take charge",
    "hold list": "ls show",
    "key revoke": "remove delete",
    "key create": "add new",
    "statement": "report",
    "verify": "check fsck",
    "doctor": "info status diagnose",
    "chart": "graph plot",
    "help time": "date dates period periods",
    "help money": "amount amounts currency currencies",
    "help output": "json csv hledger beancount",
    "help exit-codes": "code codes error errors",
    "help settings": "setting",
}
"""What other programs, and people, call a command, or a topic of the help."""

OTHER_OPTIONS = {
    "--minimum-balance": "--minimum --min --overdraft --floor",
    "--maximum-balance": "--maximum --max --ceiling",
    "--min": "--minimum --from-amount",
    "--max": "--maximum --to-amount",
    "--note": "--memo --message --description --comment",
    "--from": "--since --start --after --on --month --day --period",
    "--to": "--until --end --before",
    "--limit": "-n --count --number",
    "--output": "--format --out",
    "--kind": "--type",
    "--expires": "--expire --for --ttl",
    "--daily-debit": "--daily-limit --limit",
    "--phone-region": "--region --country",
    "--yes": "-y --force",
    "--json": "-o --output --jq -q --quiet",
}
"""What other programs, and people, call an option."""

ROOT_OPTIONS = ("--db", "--ledger", "--env-file", "--no-input", "--color", "--no-pager")
"""Those that are given before the command."""


def message(error: typer.TyperException) -> str:
    """What is wrong with a command line, in one line."""
    text = " ".join(error.format_message().split()).rstrip(".")
    text = re.sub(r" \(Possible options: [^)]*\)$", "", text)  # the hint has the best one
    return re.sub(r"^Got unexpected extra arguments?(?:\(s\))? \((.*)\)$", r"unexpected argument: \1", text)


def hint(error: typer.TyperException, context: Any, arguments: Sequence[str]) -> str:
    """What to do about it: what was meant, or what there is, and whose help has more. `arguments` are all."""
    path = context.command_path if context is not None else "wallet"
    found = None if context is None else _meant(error, context, arguments)
    if found is not None:
        return f"did you mean {found}? {path} --help"
    if isinstance(error, MissingParameter):
        pieces = context.command.collect_usage_pieces(context)
        names = [each.strip("{}") for each in pieces if each != "[OPTIONS]"]
        return f"{' '.join([path, *names])}; {path} --help"
    if "unexpected extra argument" in error.message:
        meant = _of_extra(error.message, context)
        return f"{meant}{'' if meant.endswith('?') else ';'} {path} --help"
    group = _group(context)
    if group is not None and _typed(error):
        return f"{path} has {', '.join(group.commands)}; {path} --help"
    return f"{path} --help"


def other_word(typed: str, within: str = "") -> str | None:
    """The command, or the command of a group, that somebody calls so."""
    return _known_as(typed, {name: words for name, words in OTHER_WORDS.items() if name.startswith(within)})


def _known_as(typed: str, others: Mapping[str, str]) -> str | None:
    return next((name for name, words in others.items() if typed.lower() in words.split()), None)


def _of_extra(message: str, context: Any) -> str:
    """What a value may be meant for that a command has no place for."""
    word = re.sub(r"^.*? extra arguments?(?:\(s\))? \((.*)\)\.?$", r"\1", " ".join(message.split()))
    first = word.partition(" ")[0]
    command, options = (
        context.command_path.partition(" ")[2],
        {name for each in context.command.params for name in each.opts},
    )
    if first.partition("=")[0] in options:  # behind a --
        return f"put {shlex.quote(word)} before --"
    if command in ("create", "wallet create"):
        return "write the type after a slash: 9886977544/savings"
    if command == "users":
        return f"to look for somebody: wallet find {shlex.quote(word)}"
    if command == "move":
        return f"to say where to: wallet move --to {shlex.quote(word)}"
    if command == "export":
        return "to write a file: wallet export > FILE"
    if "--from" in options and (first[:1].isdigit() or first in ("today", "yesterday", "now")):
        return f"a period has options: --from {first}"
    for option in ("--name", "--note"):
        if option in options and re.search(r"[^\W\d]", word):
            return f"did you mean {option} {shlex.quote(word)}?"
    return "a value with spaces goes in quotes: 'Asha Rao'"


def _meant(error: typer.TyperException, context: Any, arguments: Sequence[str]) -> str | None:
    """A command line, or the option, that is much like what was typed; None where nothing is."""
    if isinstance(error, NoSuchOption):
        parameters = context.command.params
        formats = next((each.type.choices for each in parameters if "--output" in each.opts), ())
        if error.option_name.removeprefix("--") in formats:
            return f"-o {error.option_name[2:]}"
        options = [name for each in parameters for name in each.opts if name.startswith("--")]
        if error.option_name in ROOT_OPTIONS:
            return _moved_to_the_front(error.option_name, arguments)
        others = {name: words for name, words in OTHER_OPTIONS.items() if name in options}
        return _known_as(error.option_name, others) or likely(error.option_name, options)
    typed = _typed(error)
    if not typed:
        return None
    group, within = _group(context), context.command_path.split()[1:]
    known: Iterable[str] = TREE if not within else group.commands if group is not None else ()
    prefix = "".join(f"{word} " for word in within)
    other = other_word(typed, prefix)
    if other is not None:
        return f"`wallet {other}`"
    found = likely(typed, known)
    return None if found is None else f"`wallet {prefix}{found}`"


def _moved_to_the_front(option: str, arguments: Sequence[str]) -> str:
    """The command line with an option, and its value, before the command."""
    at = next(at for at, word in enumerate(arguments) if word.partition("=")[0] == option)
    end = at + 1 + (option in WITH_VALUES and arguments[at] == option)
    words = [*arguments[at:end], *["…"] * (end - len(arguments)), *arguments[:at], *arguments[end:]]
    return f"`wallet {shlex.join(map(shown_url, words))}`"


def _typed(error: typer.TyperException) -> str:
    """The word that is no command; empty where something else is wrong."""
    _, start, rest = error.message.partition("No such command '")
    return rest.partition("'")[0] if start else ""


def _group(context: Any) -> Group | None:
    """The group of commands that a context is of."""
    words = [] if context is None else context.command_path.split()[1:]
    found = TREE.get(words[0]) if words else None
    return found if isinstance(found, Group) else None
