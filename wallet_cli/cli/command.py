"""From a plain function to a command: what all commands share, and how they are found.

A command is a function that returns what to render; its docstring goes on where the line of help in tree.py ends, and
has examples (help_text.py). Here it is given `-o`, `--json` and `-q`, and whatever it names of `ledger` (an open
Ledger), `style` (the Style asked for), `flags` (the root options given) and `hand` (a Hand, which reads what people
type). One that prints in other formats has its own parameter `output`, which takes the place of the shared one.
The tree of commands is data; a run imports and builds the one command that it is for.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from wallet_cli.cli.by_hand import Hand
from wallet_cli.cli.output import Document, Format, Output, Style, notice, render
from wallet_cli.cli.stdout import FilterError, ReaderLeftError, UnwritableError
from wallet_cli.cli.tree import Command, Group, command_of
from wallet_cli.domain.ids import checked_key
from wallet_cli.domain.remarks import OTHERS, TEXTS, Remarks
from wallet_cli.errors import InvalidInput, was_interrupted

if TYPE_CHECKING:
    from wallet_cli.api import LedgerApi
    from wallet_cli.domain.purpose import Purpose
    from wallet_cli.settings import Settings

OutputOption = Annotated[Format | None, typer.Option("--output", "-o", help="How to print.", show_default="table")]
JsonOption = Annotated[bool, typer.Option("--json", help="The same as -o json.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the id or the value.")]
JqOption = Annotated[
    str | None,
    typer.Option("--jq", metavar="EXPR", help="Filter the JSON with jq: --jq .balance", show_default=False),
]

WalletArgument = Annotated[
    str,
    typer.Argument(metavar="WALLET", help="USER, USER/TYPE or wN: 9886977544, 1/savings, w3.", show_default=False),
]
OptionalWalletArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[WALLET]", help="USER, USER/TYPE or wN: 9886977544, 1/savings, w3.", show_default="see `wallet use`"
    ),
]
UserArgument = Annotated[
    str, typer.Argument(metavar="USER", help="A phone number, or a user id: 9886977544, 1, id:1.", show_default=False)
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="Start of the period: ISO 8601, today, 7d ….", show_default=False),
]
ToOption = Annotated[
    str | None,
    typer.Option("--to", metavar="TIME", help="End of the period: all of the day or second given.", show_default=False),
]

AmountArgument = Annotated[
    str, typer.Argument(metavar="AMOUNT", help="Decimal, greater than 0: 20 or 19.99.", show_default=False)
]
PartArgument = Annotated[
    str | None, typer.Argument(metavar="[AMOUNT]", help="A part of it.", show_default="all that is left")
]
NoteOption = Annotated[str | None, typer.Option("--note", help="Kept as it is, up to 1000 characters.")]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="Make it safe to send again: it is applied once.", show_default=False)
]
_META = Annotated[
    list[str] | None,
    typer.Option("--meta", metavar="K=V", help="Metadata, as often as you like; 4 KiB in all.", show_default=False),
]
MoreOptions = Mapping[str, Any]
"""A command with a parameter `more` has an option for each remark but the note, and is given their values in it."""
NO_MORE: MoreOptions = MappingProxyType({})

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]

CONTEXT = {"help_option_names": ["-h", "--help"]}

Function = Callable[..., Output | None]


def remarks(note: str | None, key: str | None, more: MoreOptions = NO_MORE) -> Remarks:
    """What is said of a transaction. It is read, and the key checked, before an amount, for which a ledger is asked."""
    pairs = more.get("meta")
    if pairs:
        from wallet_cli.domain.metadata import parse_pairs

        pairs = parse_pairs(pairs)
    said = Remarks.of({"note": note, **more, "meta": pairs or None})
    checked_key(key)
    return said


def lazy_group(tree: Mapping[str, Command | Group]) -> type[TyperGroup]:
    """A group of the commands in `tree`."""

    class LazyGroup(TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:
            return list(tree)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            found = tree.get(cmd_name)
            if found is None:
                return None
            if isinstance(found, Group):
                group = lazy_group(found.commands)
                return group(name=cmd_name, help=found.help, no_args_is_help=True, context_settings=CONTEXT)
            return built(found, cmd_name)

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            _check_values(self.get_params(ctx), args, ends_at_word=True)
            return super().parse_args(ctx, args)

        def format_help(self, ctx: Any, formatter: Any) -> None:
            from wallet_cli.cli import help_text

            if ctx.parent is None:
                _put_down(help_text.of_root(self, ctx), ctx, formatter)
            else:  # which may be an error, and is short
                formatter.write("\n".join(help_text.of_group(ctx.command_path, self.help or "", tree)))
                ctx.color = True

    return LazyGroup


class _Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _check_values(self.get_params(ctx), args)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from wallet_cli.cli import help_text

        _put_down(help_text.of_command(ctx.command_path, self, ctx), ctx, formatter)


_FREE_TEXT = {"name", "text", *TEXTS}
"""Parameters that may be anything, also what looks like an option."""


def _check_values(parameters: Iterable[Any], arguments: Iterable[str], *, ends_at_word: bool = False) -> None:
    """Raises InvalidInput where a value is left out, as by `--to $EMPTY --yes`, so that the next option would be it."""
    options = {name: each for each in parameters if each.param_type_name == "option" for name in each.opts}
    rest = iter(arguments)
    for word in rest:
        option = options.get(word)
        if word == "--" or (ends_at_word and not word.startswith("-")):
            return
        if option is None or option.is_flag:
            continue
        value = next(rest, None)
        if value in options and option.name not in _FREE_TEXT:
            raise InvalidInput(
                f"{word} has no value: {value} is an option", hint=f"if {value} is its value, write {word}={value}"
            )


def _put_down(lines: Iterable[str], ctx: Any, formatter: Any) -> None:
    text = "\n".join(lines)
    if in_pager(text):
        raise typer.Exit
    formatter.write(text)
    ctx.color = True  # what is not to be coloured has no colour


def in_pager(text: str) -> bool:
    """Show a text with the pager, where it is longer than the terminal; whether that was done."""
    if not sys.stdout.isatty():
        return False
    from wallet_cli.cli.screen import terminal

    height, pager = terminal.lines_of(sys.stdout), terminal.pager()
    if height is None or pager is None or text.count("\n") + 1 < height:
        return False
    with terminal.paged(pager, notice):
        print(text)
    return True


def built(command: Command, name: str) -> Any:
    """The command as Typer has it, from its function, whose module is imported for that."""
    module, _, attribute = command.function.partition(":")
    function: Function = getattr(import_module(f"wallet_cli.cli.{module}"), attribute)
    app = typer.Typer()
    context = CONTEXT | getattr(function, "context_settings", {})
    app.command(name, cls=_Command, help=command.help, context_settings=context)(_runnable(function))
    return typer.main.get_command_from_info(
        app.registered_commands[0], pretty_exceptions_short=False, rich_markup_mode=app.rich_markup_mode
    )


def _runnable(function: Function) -> Callable[..., None]:
    """The function as Typer is to see it: with the shared options, and without what it is given here."""
    signature = inspect.signature(function, eval_str=True)
    given = {"ledger", "style", "flags", "hand", "more"} & set(signature.parameters)
    own_output = signature.parameters.get("output", _SHARED["output"])

    @functools.wraps(function)
    def run(context: typer.Context, **values: Any) -> None:
        output, json, quiet, jq = (values.pop(name, None) for name in _SHARED)
        asked = Format.json if json or (jq is not None and output is None) else output or Format.table
        style = Style(Format(asked) if asked in list(Format) else Format.table, quiet)
        if "output" in signature.parameters:
            values["output"] = str(asked)
        show = _show if jq is None else _filtering(jq, str(asked), quiet)
        flags: Mapping[str, str] = context.find_root().obj or {}
        offered = {"style": style, "flags": flags}
        values |= {name: value for name, value in offered.items() if name in given}
        if "more" in given:
            values["more"] = {name: values.pop(name) for name in OTHERS}
        command = context.command_path.partition(" ")[2]
        with _telling_what_was_done(command, values):
            if "ledger" not in given:
                code = show(function(**values), style)
            else:
                known = command_of(command)

                def work(ledger: LedgerApi) -> Output | None:
                    if "hand" in given:
                        values["hand"] = Hand(ledger, flags, context.command_path)
                    return function(ledger=ledger, **values)

                rehearsal = (lambda ledger: work(ledger) is not None) if known.rehearses else None
                with opened(flags, known.purpose_with(values), rehearsal, warns=not known.checks) as ledger:
                    code = show(work(ledger), style, ledger)
            sys.stdout.flush()
        if code:
            raise typer.Exit(code)

    own: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name == "more":
            own += [_shared(name, _option(name), None) for name in OTHERS]
        elif parameter.name not in given | {"output"}:
            own.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    shared = _SHARED | {"output": own_output.replace(kind=inspect.Parameter.KEYWORD_ONLY)}
    if signature.return_annotation is None:
        del shared["jq"]  # there is no answer
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    parameters = [context, *own, *shared.values()]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    # As they are by now: Typer would evaluate the text of each again.
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


@contextmanager
def _telling_what_was_done(command: str, values: Mapping[str, Any]) -> Iterator[None]:
    """Where an answer cannot be printed, filtered or shown, the error says what the command has done."""
    try:
        yield
    except UnwritableError as error:
        from wallet_cli.cli.lost_answers import cannot_write

        raise cannot_write(error, command, values) from error
    except FilterError as error:
        from wallet_cli.cli.lost_answers import cannot_filter

        raise cannot_filter(error, command, values) from None
    except _UnshownError as error:
        from wallet_cli.cli.lost_answers import cannot_show

        told = cannot_show(error.why, command, values)
        if told is None:
            raise error.why from error.why.__cause__
        raise told from error.why


@contextmanager
def opened(
    flags: Mapping[str, str],
    purpose: Purpose,
    rehearsal: Callable[[LedgerApi], bool] | None = None,
    *,
    warns: bool = True,
    chosen: Settings | None = None,
) -> Iterator[LedgerApi]:
    """The ledger that the settings name: here, or on another machine. A reader is told if its rows are in doubt.

    `rehearsal` is what a ledger may be made for: see open_ledger. `chosen` are its settings, if they were read before.
    """
    if chosen is None:
        from wallet_cli import settings

        chosen = settings.load(flags, notify=notice)

    def tell(text: str) -> None:
        from wallet_cli.cli.named_ledger import on_it

        notice(on_it(text, flags))

    if "://" in chosen.db:
        from wallet_cli.remote import is_remote, open_remote

        if is_remote(chosen.db):
            with open_remote(chosen) as remote:
                yield remote
            return
    from wallet_cli.domain.purpose import Purpose
    from wallet_cli.local import LocalLedger
    from wallet_cli.operations.context import open_ledger

    tried = None if rehearsal is None else lambda ledger: rehearsal(LocalLedger(ledger))
    with open_ledger(chosen, tell, purpose=purpose, rehearsal=tried) as ledger:
        if warns and ledger.warning is not None and purpose is Purpose.READ:
            tell(ledger.warning)
        yield LocalLedger(ledger)


def _shared(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _option(name: str) -> Any:
    """The option for a remark."""
    if name not in TEXTS:
        return _META
    most, about = TEXTS[name]
    option = typer.Option(f"--{name}", help=f"{about}, up to {most} characters.", show_default=False)
    return Annotated[str | None, option]


_SHARED = {
    "output": _shared("output", OutputOption, None),
    "json": _shared("json", JsonOption, False),
    "quiet": _shared("quiet", QuietOption, False),
    "jq": _shared("jq", JqOption, None),
}


def _show(answer: Output | None, style: Style, ledger: LedgerApi | None = None) -> int:
    """Print an answer, if there is one; returns the exit code."""
    if answer is None:
        return 0
    try:
        render(answer, style, ledger)
    except BaseException as error:
        if isinstance(answer, Document) and answer.interrupted is not None and was_interrupted(error):
            raise answer.interrupted() from error
        if isinstance(error, UnwritableError | ReaderLeftError) or not isinstance(error, Exception):
            raise
        raise _UnshownError(error) from error
    return _exit_code(answer)


class _UnshownError(Exception):
    """An answer could not be shown, because of what `why` says."""

    def __init__(self, why: Exception) -> None:
        super().__init__(why)
        self.why = why


def _exit_code(answer: Output | None) -> int:
    return 0 if answer is None or isinstance(answer, Document) else answer.exit_code


def _filtering(expression: str, asked: str, quiet: bool) -> Callable[..., int]:
    """The same, through a jq program. Raises InvalidInput for what is none, before anything is done."""
    if quiet or asked not in (Format.json, Format.jsonl):
        raise InvalidInput("--jq is for JSON", hint="leave out -q, and -o but for json and jsonl")
    from wallet_cli.cli import jq_filter

    run = jq_filter.compiled(expression)

    def show(answer: Output | None, style: Style, ledger: LedgerApi | None = None) -> int:  # noqa: ARG001
        if answer is not None:
            jq_filter.render(answer, style.format, run)
        return _exit_code(answer)

    return show
