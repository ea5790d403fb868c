"""The `wallet` command: its tree of commands, and the one place where errors become words and exit codes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Annotated, Any, Literal

import typer
from typer._click.exceptions import NoArgsIsHelpError, NoSuchOption

from wallet_cli.cli.command import CONTEXT, lazy_group
from wallet_cli.cli.output import Format, notices_held, print_error
from wallet_cli.cli.stdout import ReaderLeftError, UnwritableError
from wallet_cli.cli.tree import TREE
from wallet_cli.errors import (
    InternalError,
    Interrupted,
    InvalidInput,
    StorageError,
    WalletError,
    beyond_time,
    shown,
    unsecret,
    was_interrupted,
)

KEY_TELLS = "if it was a write, the same key tells whether it is done; without a key, look whether it is there"

app = typer.Typer(
    cls=lazy_group(TREE),
    context_settings=CONTEXT,
    invoke_without_command=True,
    add_completion=False,  # completion.py has its own, which knows the ledger
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from wallet_cli import __version__

        print(f"wallet {__version__}")
        raise typer.Exit


# Made here, and not in the function: there they would be text, which Typer compiles each time.
DbOption = Annotated[
    str | None,
    typer.Option("--db", metavar="DB", help="The ledger: a path, or a URL. Also WALLET_DB.", show_default=False),
]
LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="NAME",
        help="A ledger by its name in config.toml ([ledgers.NAME]). Also WALLET_LEDGER.",
        show_default=False,
    ),
]
EnvFileOption = Annotated[
    str | None,
    typer.Option(
        "--env-file",
        metavar="FILE",
        help="Read variables from this file instead of .env, and trust it.",
        show_default=False,
    ),
]
NoInputOption = Annotated[bool, typer.Option("--no-input", help="Never ask; behave as if there were no terminal.")]
JsonOption = Annotated[bool, typer.Option("--json", help="With no command: what is in the ledger, as JSON.")]
ColorOption = Annotated[
    Literal["auto", "always", "never"] | None,
    typer.Option("--color", help="Whether to use colours; auto goes by the terminal.", show_default="auto"),
]
NoPagerOption = Annotated[
    bool, typer.Option("--no-pager", help="Print long output as it is. Also WALLET_PAGER=, PAGER=.")
]
VersionOption = Annotated[
    bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
]


@app.callback()
def root(
    context: typer.Context,
    db: DbOption = None,
    ledger: LedgerOption = None,
    env_file: EnvFileOption = None,
    no_input: NoInputOption = False,
    json: JsonOption = False,
    color: ColorOption = None,
    no_pager: NoPagerOption = False,
    version: VersionOption = False,  # noqa: ARG001  (its callback does it)
) -> None:
    """Stored value that people can trust: wallets, credits, debits and balances in one file.

    Examples:
        wallet demo                                 # a story on a scratch ledger, which is deleted afterwards
        wallet register 9886977541 --name Meera     # a user is a phone number
        wallet credit 9886977544 500
        wallet balance 9886977544
    """
    if color is not None or no_pager:
        from wallet_cli.cli.screen.terminal import chosen

        context.with_resource(chosen(color, pager=not no_pager))
    given = {"db": db, "ledger": ledger, "env_file": env_file, "no_input": "--no-input" if no_input else None}
    flags = {name: text for name, text in given.items() if text is not None}
    context.obj = flags
    if context.invoked_subcommand is None:
        from wallet_cli.cli.overview import print_overview

        print_overview(flags, is_json=json)
    elif json:
        raise InvalidInput("put --json after the command", hint=f"wallet {context.invoked_subcommand} --json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing that it raises reaches the caller.

    With `WALLET_DEBUG=1` an unexpected exception is shown with its traceback.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    with notices_held(lambda: _format_asked_for(arguments)):
        return _main(arguments)


def _main(arguments: list[str]) -> int:
    try:
        try:
            code = run(arguments)
            sys.stdout.flush()
            return code
        except ReaderLeftError:
            return 0  # `wallet … | head` has what it wanted: end quietly, as the work is done
        except SystemExit as stop:
            # Rich ends the program when nobody reads its help any more.
            if isinstance(stop.__context__, ReaderLeftError):
                return 0
            raise
    except WalletError as error:
        return _fail(error, arguments)
    except (Exception, KeyboardInterrupt) as error:
        if was_interrupted(error):
            told = Interrupted("interrupted", hint=KEY_TELLS)
            return _fail(told, arguments)
        if isinstance(error, UnwritableError):
            from wallet_cli.cli.lost_answers import cannot_write

            return _fail(cannot_write(error), arguments)
        if isinstance(error, OverflowError) and "timestamp" in str(error):
            return _fail(beyond_time(), arguments)  # wherever the time was asked for
        if os.environ.get("WALLET_DEBUG") == "1":
            raise
        return _fail(_unexpected(error), arguments)


def run(arguments: list[str]) -> int:
    """The same, but what it raises goes on."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("wallet", [*arguments]) as context:  # it takes them away
            command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    except typer.TyperException as error:
        if isinstance(error, NoArgsIsHelpError):
            error.show()
            return InvalidInput.exit_code
        raise _usage_error(error, arguments) from None
    return 0


def _fail(error: WalletError, arguments: Sequence[str]) -> int:
    if error.hint:
        from wallet_cli.cli.named_ledger import flags_of, on_it

        error.hint = on_it(error.hint, flags_of(arguments))
    with suppress(OSError), _colors_asked_for(arguments):  # where nobody can be told any more, the exit code says it
        print_error(error, _format_asked_for(arguments))
    return error.exit_code


def _usage_error(error: typer.TyperException, arguments: Sequence[str]) -> InvalidInput:
    """What Typer says about a command line, in this program's words."""
    negative = next((text for text in arguments if re.fullmatch(r"-[0-9.].*", text)), None)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "wallet"
    names = {param.name for param in context.command.params} if context is not None else set()
    if negative is not None and isinstance(error, NoSuchOption) and "amount" in names:
        hint = "a debit takes money out: --debit" if "debit" in names else f"{path} --help"
        return InvalidInput(f"the amount must be greater than 0: {shown(negative)}", hint=hint)
    from wallet_cli.cli.did_you_mean import hint as what_to_do
    from wallet_cli.cli.did_you_mean import message

    return InvalidInput(message(error), hint=unsecret(what_to_do(error, context, arguments)))


def _unexpected(error: BaseException) -> WalletError:
    if isinstance(error, OSError):
        # Of a file of Python's own or of a library, say: it could come at any time, so nothing is said of a write.
        return StorageError(f"the system says: {error}", hint=KEY_TELLS)
    return InternalError(
        f"unexpected {type(error).__name__}: {error}", hint="WALLET_DEBUG=1 shows where; please report it"
    )


def _colors_asked_for(arguments: Sequence[str]) -> AbstractContextManager[None]:
    """Colours as a command line has them that may be too wrong to parse, or that has ended."""
    asked = next((each for each in _options(arguments) if re.fullmatch("--color=(auto|always|never)", each)), None)
    if asked is None:
        return nullcontext()
    from wallet_cli.cli.screen.terminal import chosen

    return chosen(asked.partition("=")[2], pager=True)


def _format_asked_for(arguments: Sequence[str]) -> Format:
    """The output format on a command line that may be too wrong to parse."""
    asks = re.compile(r"--json|--jq=.*|(-\w*o|--output)=jsonl?", re.DOTALL)
    return Format.json if any(map(asks.fullmatch, _options(arguments))) else Format.table


def _options(arguments: Sequence[str]) -> Iterator[str]:
    """The options on a command line that may be too wrong to parse, each with its value after a `=`.

    What an option of the command has as its value is none.
    """
    if not any("json" in word or word.startswith(("--jq", "--color")) for word in arguments):
        return
    command: Any = typer.main.get_command(app)
    with_value = {"-o", "--output", "--jq"}
    rest = iter(arguments)
    for word in rest:
        with_value.update(name for each in command.params if not getattr(each, "is_flag", True) for name in each.opts)
        name, equals, _ = word.partition("=")
        if not word.startswith("-"):
            command = command.get_command(None, word) or command if hasattr(command, "get_command") else command
        elif equals:
            yield word
        elif name in with_value or re.fullmatch(r"-[a-z]*o", name):
            yield f"{name}={next(rest, '')}"
        else:
            yield re.sub(r"^(-[a-z]*o)(?=json)", r"\1=", word)
