"""The commands as data for programs: `wallet commands --json`.

Everything is made from what the program itself goes by: the tree of commands, the functions with their parameters and
docstrings, the one list of fields, and the rules, which say how they refuse. Here is only which rule a command
has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import typer

from wallet_cli import __version__, errors, settings
from wallet_cli.cli import help_text, schemas, topics
from wallet_cli.cli.command import built
from wallet_cli.cli.tree import SECTIONS, Command, each
from wallet_cli.domain import commands as rules_of
from wallet_cli.domain.purpose import Purpose
from wallet_cli.domain.rules import RULES
from wallet_cli.operations import fields

Error = type[errors.WalletError]

ALWAYS: tuple[Error, ...] = (errors.InvalidInput, errors.StorageError, errors.InternalError, errors.Interrupted)
OF_A_LEDGER: tuple[Error, ...] = (errors.LedgerNotFound, errors.LedgerMoved, errors.Busy)
OF_A_SERVER: tuple[Error, ...] = (errors.Unauthenticated, errors.Forbidden)
WHOSE: tuple[Error, ...] = (errors.UserNotFound, errors.WalletNotFound)

REFUSED_WITH: Mapping[str, tuple[type, ...]] = {
    "register": (rules_of.Register,),
    "create": (rules_of.OpenWallet,),
    "limits": (rules_of.SetLimits,),
    "freeze": (rules_of.SetStatus,),
    "unfreeze": (rules_of.SetStatus,),
    "close": (rules_of.SetStatus,),
    "wallet create": (rules_of.OpenWallet,),
    **dict.fromkeys(("credit", "debit", "tx add"), (rules_of.Post,)),
    "tx show": (errors.WalletNotFound, errors.TransactionNotFound),
    "tx reverse": (rules_of.Reverse,),
    "transfer": (rules_of.Transfer,),
    "hold add": (rules_of.PlaceHold,),
    "hold capture": (rules_of.CaptureHold,),
    "hold void": (rules_of.VoidHold,),
    "import": (*WHOSE, errors.TimeConflict),
    "export": (*WHOSE, errors.RestoreConflict),
    "ledger set": (rules_of.SetLedger,),
    "audit": WHOSE,
    "receipt": (*OF_A_LEDGER, errors.TransactionNotFound),
    "seal": OF_A_LEDGER,
    "backup": OF_A_LEDGER,
    "restore": OF_A_LEDGER,
    "move": (*OF_A_LEDGER, errors.RestoreConflict),
    "serve": OF_A_LEDGER,
    "key create": (rules_of.AddApiKey,),
    "key revoke": (rules_of.RevokeApiKey,),
}
"""How commands can be refused, beyond what is the same for all and what their parameters say: errors, and commands of
the rules, whose rules say.

One that is not here has no others.
"""

NAMES: Mapping[str, tuple[Error, ...]] = {
    "WALLET": WHOSE,
    "FROM": WHOSE,
    "TO": WHOSE,
    "USER": (errors.UserNotFound,),
}
"""How a command can be refused that is given the name of such a thing."""


def catalogue() -> dict[str, Any]:
    """All of it."""
    return {
        "program": "wallet",
        "version": __version__,
        "options": [_parameter(param) for param in _root().params],
        "commands": [of_command(*named) for named in each()],
        "topics": [{"name": name, "title": topics.title_of(name)} for name in topics.NAMES],
        "errors": [
            {"code": error.code, "exit_code": error.exit_code, "retryable": error.retryable} for error in all_errors()
        ],
    }


def of_command(words: str, command: Command) -> dict[str, Any]:
    """One command: how it is called, what it does, what it answers, and how it fails."""
    made = built(command, words.rpartition(" ")[2])
    told = help_text.told_by(made.callback)
    return {
        "name": words,
        "section": section_of(words),
        "about": command.help,
        "more": told.about or None,
        "usage": help_text.usage_of(f"wallet {words}", made),
        "effect": command.effect,
        "makes_ledger": command.makes_ledger,
        "arguments": [_parameter(param) for param in made.params if param.param_type_name == "argument"],
        "options": [_parameter(param) for param in made.params if param.param_type_name == "option"],
        "answer": _answer(words),
        "errors": [error.code for error in errors_of(words, command)],
        "examples": [example._asdict() for example in told.examples],
    }


def section_of(words: str) -> str:
    """The heading under which help lists a command, or the group that it is in."""
    return next(title for title, section in SECTIONS.items() if words.partition(" ")[0] in section)


def _answer(words: str) -> dict[str, Any] | None:
    answer = schemas.ANSWERS.get(words)
    if answer is None:
        return None
    shape = getattr(fields, answer.whole)
    return {"schema": schemas.file_name(answer.whole), "list": answer.is_list, "fields": list(_fields(shape))}


def errors_of(words: str, command: Command) -> list[Error]:
    """The errors that a command can end with, by exit code. Each can be told of by a server, too."""
    found = [*ALWAYS]
    for one in REFUSED_WITH.get(words, ()):
        found += [one] if issubclass(one, errors.WalletError) else RULES[one].refusals
    for param in built(command, words.rpartition(" ")[2]).params:
        found += NAMES.get(help_text.value_name(param), ())
    if command.purpose is not None:
        found += [*OF_A_LEDGER, *OF_A_SERVER]
        if command.purpose is Purpose.MAKE:
            found.remove(errors.LedgerNotFound)
        if rules_of.OpenWallet in REFUSED_WITH.get(words, ()):
            found.remove(errors.WalletNotFound)
        if command.purpose is not Purpose.READ:
            found.append(errors.RestoreConflict)
    return sorted(dict.fromkeys(found), key=lambda error: (error.exit_code, error.code))


def all_errors() -> list[Error]:
    """Those that some command can end with."""
    found = {error for words, command in each() for error in errors_of(words, command)}
    return sorted(found, key=lambda error: (error.exit_code, error.code))


def _root() -> Any:
    from wallet_cli.cli.app import app

    return typer.main.get_command(app)


def _parameter(param: Any) -> dict[str, Any]:
    """An argument or an option. What it has to be is in `type` and `choices`."""
    is_option = param.param_type_name == "option"
    is_flag = is_option and bool(param.is_flag)
    shows_it = isinstance(param.show_default, str) or param.show_default is False  # a setting: else a value as it is
    setting = settings.BY_NAME.get(param.name) if is_option and shows_it else None
    return {
        "names": [*param.opts, *param.secondary_opts] if is_option else [help_text.value_name(param)],
        "value": None if is_flag else help_text.value_name(param),
        "type": "boolean" if is_flag else "integer" if param.type.name in ("int", "integer") else "string",
        "required": bool(param.required),
        "repeatable": bool(getattr(param, "multiple", False)) or param.nargs == -1,
        "choices": help_text.choices_of(param) or None,
        "default": help_text.default_of(param),
        "env": list(setting.variables) if setting is not None else [],
        "about": param.help or "",
    }


def _fields(answer: Any) -> Iterator[dict[str, Any]]:
    """The fields of an answer, in the order in which they are printed."""
    hints = get_type_hints(answer, include_extras=True)
    for name in answer.__annotations__:
        hint = hints[name]
        optional = get_origin(hint) is NotRequired
        if optional:
            (hint,) = get_args(hint)
        about = None
        if get_origin(hint) is Annotated:
            hint, about = get_args(hint)[:2]
        yield {"name": name, **_type(hint), "optional": optional, "about": about}


def _type(hint: Any) -> dict[str, Any]:
    """What a field may hold, in the words of JSON; what is within a list or an object, too."""
    if get_origin(hint) is Annotated:
        return _type(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        kept = [one for one in get_args(hint) if one is not NoneType]
        inner = _type(kept[0]) if len(kept) == 1 else {"type": "any"}
        return inner | {"nullable": len(kept) < len(get_args(hint))}
    if get_origin(hint) is Literal:
        return {"type": "string", "nullable": False, "choices": list(get_args(hint))}
    if get_origin(hint) is list:
        (item,) = get_args(hint)
        return {"type": "array", "nullable": False, "items": _type(item)}
    if is_typeddict(hint):
        return {"type": "object", "nullable": False, "fields": list(_fields(hint))}
    return {"type": _TYPES.get(hint, "object"), "nullable": hint is NoneType}


_TYPES = {str: "string", int: "integer", bool: "boolean", NoneType: "null"}
