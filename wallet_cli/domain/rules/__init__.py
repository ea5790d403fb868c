"""The rules: state and a batch of commands in, one result for each out.

Every check of a command comes before its first effect, in this order of precedence:
exists → key → active → amount → time → overflow → limits → funds. What can change after a request was applied is
checked after its key, so the same request sent again gets its first answer. A refusal leaves the state as it was and
does not affect the other commands of the batch. The shape is that of TigerBeetle's state machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

from wallet_cli.domain.commands import (
    Applied,
    AppliedAtomic,
    Atomic,
    Change,
    Command,
    Refusal,
    Replayed,
    Result,
    Single,
)
from wallet_cli.domain.rules import holds, postings, refusals, registry, restoring
from wallet_cli.domain.rules.rule import Decision, Refusals, Rule, Touched
from wallet_cli.domain.rules.state import State
from wallet_cli.errors import KeyReused, RestoreConflict

__all__ = ["RULES", "State", "Touched", "execute", "refusals_of", "touched_by"]

RULES: dict[type, Rule[Any]] = {
    rule.command: rule for rule in (*postings.RULES, *holds.RULES, *registry.RULES, *restoring.RULES)
}
"""The rule of each kind of command."""


def _group_touches(group: Atomic, touched: Touched) -> None:
    for command in group.commands:
        _TOUCHES[type(command)](command, touched)


_TOUCHES: dict[type, Callable[[Any, Touched], None]] = {
    Atomic: _group_touches,
    **{command: rule.touches for command, rule in RULES.items()},
}


def touched_by(commands: Iterable[Command]) -> Touched:
    """What a batch touches: `execute` needs all of it in the state."""
    touched = Touched()
    for command in commands:
        _TOUCHES[type(command)](command, touched)
    return touched


def refusals_of(command: type[Single]) -> Refusals:
    """The errors that a command of this kind can be refused with."""
    rule = RULES[command]
    return rule.refusals if rule.while_restoring else (*rule.refusals, RestoreConflict)


def execute(
    state: State, commands: Iterable[Command], now_us: int, actors: Iterable[str | None] | None = None
) -> list[Result]:
    """Decide the commands in order, each on the state after the previous one.

    `now_us` is the time of the turn, in microseconds since 1970; `actors` has who gave each command, where that is
    known. Afterwards `state.changes` has what to write. A refused request raises nothing.
    """
    state.now_us = now_us
    results: list[Result] = []
    for command, actor in zip(commands, repeat(None) if actors is None else actors, strict=False):
        state.actor = actor
        if isinstance(command, Atomic):
            results.append(_atomic(state, command, now_us))
        else:
            results.append(_decide(state, command, now_us))
    return results


def _decide(state: State, command: Single, now_us: int) -> Decision:
    rule = RULES[type(command)]
    if state.restoring and not rule.while_restoring:
        return Refusal(restoring.incomplete())
    return rule.decide(state, command, now_us)


def _atomic(state: State, group: Atomic, now_us: int) -> Result:
    """All or nothing. The error of the first refusal says which one it was, in `details.index`."""
    take_back, made = state.undo_from_here(), len(state.changes)
    results: list[Applied | Replayed] = []
    try:
        for index, command in enumerate(group.commands):
            result = _decide(state, command, now_us)
            if isinstance(result, Refusal):
                undone = state.changes[made:]
                take_back()
                return _refused_in_group(result, index, undone)
            results.append(result)
    finally:
        state.keep_changes()
    return AppliedAtomic(tuple(results))


def _refused_in_group(refusal: Refusal, index: int, undone: Sequence[Change]) -> Refusal:
    """The refusal of a group: it says what counts the commands before it, of which nothing is left."""
    error = refusal.error
    if isinstance(error, KeyReused) and refusals.names_one_of(error, undone):
        error = refusals.key_used_in("group")
    elif undone:
        refusals.count_before(error)
    error.details["index"] = index
    return Refusal(error)
