"""No rule refuses, and no command ends, with an error that it does not declare, whatever is tested meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from unittest import mock

from wallet_cli.cli import app, catalogue, tree
from wallet_cli.cli.did_you_mean import ROOT_OPTIONS
from wallet_cli.domain import rules
from wallet_cli.domain.commands import Refusal, Single
from wallet_cli.domain.rules.rule import Decision
from wallet_cli.errors import WalletError


@contextmanager
def refusals() -> Iterator[set[tuple[type[Single], type[WalletError]]]]:
    """See to it for the length of a `with` block; given what has been met: kinds of commands, each with an error."""
    met: set[tuple[type[Single], type[WalletError]]] = set()
    decide = rules._decide

    def watched(state: rules.State, command: Single, now_us: int) -> Decision:
        decision = decide(state, command, now_us)
        if isinstance(decision, Refusal):
            kind, error = type(command), type(decision.error)
            assert error in rules.refusals_of(kind), f"{kind.__name__} does not declare {error.__name__}"
            met.add((kind, error))
        return decision

    rules._decide = watched
    try:
        yield met
    finally:
        rules._decide = decide


@contextmanager
def ends() -> Iterator[None]:
    """See to it, for the length of a `with` block, that a command of this process ends with no error but its own."""
    fail = app._fail

    def watched(error: WalletError, arguments: Sequence[str]) -> int:
        words = command_of(list(arguments))
        assert words is None or error.code in _codes_of(words), f"`wallet {words}` does not declare {error.code}"
        return fail(error, arguments)

    with mock.patch.object(app, "_fail", watched):
        yield


@cache
def _codes_of(words: str) -> set[str]:
    return {error.code for error in catalogue.errors_of(words, tree.command_of(words))}


def command_of(arguments: list[str]) -> str | None:
    """The command that a command line calls; None where there is none."""
    while arguments and arguments[0] in ROOT_OPTIONS:
        del arguments[: 1 if arguments[0].startswith("--no-") else 2]
    found = tree.TREE.get(arguments[0]) if arguments else None
    if isinstance(found, tree.Group):
        return " ".join(arguments[:2]) if len(arguments) > 1 and arguments[1] in found.commands else None
    return arguments[0] if found is not None else None
