"""What all commands share: their output options, the ledger that they work on, and how they are found.

A command is a function that returns what to render. `command` gives it `-o`, `--json` and `-q`, and a `ledger` if it
has a parameter of that name. `lazy_group` finds the module of a command by its name, so that a run imports one command
and no other.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from wallet_cli.cli.output import Format, Listing, Record, Style, notice, render

OutputOption = Annotated[Format | None, typer.Option("--output", "-o", help="How to print the answer.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Short for -o json.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the id or the value.")]

WalletArgument = Annotated[
    str, typer.Argument(metavar="WALLET", help="USER or USER/TYPE: 9886977544, 1/savings, id:1/main.", show_default=False)
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="Start of the period, ISO 8601.", show_default=False)
]
ToOption = Annotated[
    str | None,
    typer.Option("--to", metavar="TIME", help="End of the period: all of the day or second given.", show_default=False),
]

Answer = Record | Listing | None

_CONTEXT = {"help_option_names": ["-h", "--help"]}
_SHARED = {
    "output": inspect.Parameter("output", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=OutputOption),
    "json": inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JsonOption),
    "quiet": inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=QuietOption),
}


def command(app: typer.Typer, name: str, **settings: Any) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Register a function as a command of `app`.

    The function's parameters are Typer's, except these, which it may name to be given them: `ledger` (an open Ledger),
    `style` (the Style asked for) and `flags` (the root options given).
    """

    def register(function: Callable[..., Answer]) -> Callable[..., Answer]:
        signature = inspect.signature(function, eval_str=True)
        given = {"ledger", "style", "flags"} & set(signature.parameters)

        @functools.wraps(function)
        def run(context: typer.Context, **values: Any) -> None:
            style = chosen_style(values.pop("output"), values.pop("json"), values.pop("quiet"))
            flags: Mapping[str, str] = context.find_root().obj or {}
            if "style" in given:
                values["style"] = style
            if "flags" in given:
                values["flags"] = flags
            if "ledger" not in given:
                _show(function(**values), style)
                return
            from wallet_cli import settings as all_settings
            from wallet_cli.services.context import open_ledger

            with open_ledger(all_settings.load(flags), notice) as ledger:
                _show(function(ledger=ledger, **values), style)

        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in signature.parameters.values()
            if parameter.name not in given
        ]
        context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        run.__signature__ = inspect.Signature([context, *own, *_SHARED.values()])  # type: ignore[attr-defined]
        app.command(name, context_settings=_CONTEXT, **settings)(run)
        return function

    return register


def chosen_style(output: Format | None, json: bool, quiet: bool) -> Style:
    return Style(Format.json if json else output or Format.table, quiet)


class Group(NamedTuple):
    """A command with commands of its own: its help, and the module of each."""

    help: str
    modules: Mapping[str, str]


def lazy_group(tree: Mapping[str, str | Group]) -> type[TyperGroup]:
    """A group of the commands in `tree`: the command's name → the module whose `app` has it, or a group of them."""

    class LazyGroup(TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:
            return list(tree)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            found = tree.get(cmd_name)
            if found is None:
                return None
            if isinstance(found, Group):
                return lazy_group(found.modules)(
                    name=cmd_name, help=found.help, no_args_is_help=True, context_settings=_CONTEXT
                )
            return _built(import_module(found).app, cmd_name)

    return LazyGroup


def _built(app: typer.Typer, name: str) -> Any:
    """One command of an app; the others of its module are not built, which is most of their cost."""
    info = next(info for info in app.registered_commands if info.name == name)
    return typer.main.get_command_from_info(
        info, pretty_exceptions_short=False, rich_markup_mode=app.rich_markup_mode
    )


def _show(answer: Answer, style: Style) -> None:
    if answer is not None:
        render(answer, style)
