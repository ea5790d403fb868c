"""No rule refuses with an error that it does not declare, whatever is tested meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
