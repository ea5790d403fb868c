"""The rules: state and a batch of commands in, one result for each out.

Every check of a command stands before its first effect, in this order of precedence:
exists → key → active → amount → time → overflow → limits → funds. What can change since a request was applied stands
after its key, so that sent again it has its first answer. A refusal leaves the state as it was and does not touch its
neighbours in the batch. The shape is that of TigerBeetle's state machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from wallet_cli.domain.commands import (
    AdmitOperator,
    Applied,
    AppliedTogether,
    CaptureHold,
    Command,
    EndRestore,
    NoteUse,
    OpenWallet,
    PlaceHold,
    Post,
    Refusal,
    Register,
    Replayed,
    RestoreHold,
    RestoreState,
    RestoreTransaction,
    Result,
    Reverse,
    RevokeOperator,
    SetLedger,
    SetLimits,
    SetStatus,
    Single,
    Together,
    Transfer,
    VoidHold,
)
from wallet_cli.domain.rules import holds, postings, registry, restoring
from wallet_cli.domain.rules.state import State

__all__ = ["State", "execute"]

Decision = Applied | Replayed | Refusal

_RULES: dict[type, Callable[[State, Any, int], Decision]] = {
    Post: postings.post,
    Transfer: postings.transfer,
    Reverse: postings.reverse,
    PlaceHold: holds.place,
    CaptureHold: holds.capture,
    VoidHold: holds.void,
    Register: registry.register,
    OpenWallet: registry.open_wallet,
    SetStatus: registry.set_status,
    SetLimits: registry.set_limits,
    AdmitOperator: registry.admit,
    RevokeOperator: registry.revoke,
    NoteUse: registry.note_use,
    SetLedger: registry.set_ledger,
    RestoreTransaction: restoring.restore_transaction,
    RestoreHold: restoring.restore_hold,
    RestoreState: restoring.restore_state,
    EndRestore: restoring.end_restore,
}

_WHILE_RESTORING = (
    Register, OpenWallet, RestoreTransaction, RestoreHold, RestoreState, EndRestore,
    AdmitOperator, RevokeOperator, NoteUse,
)  # fmt: skip
"""What a ledger takes while an export is read back into it: the first two only where they restore."""


def execute(state: State, commands: Iterable[Command], now_us: int) -> list[Result]:
    """Decide each command in turn, each on the state that those before it left.

    `now_us` is the time of the turn, in microseconds since 1970. What is to be written is then in `state.made`. Raises
    nothing for a request that is refused.
    """
    return [
        _together(state, command, now_us) if isinstance(command, Together) else _decide(state, command, now_us)
        for command in commands
    ]


def _decide(state: State, command: Single, now_us: int) -> Decision:
    kind = type(command)
    if state.restoring and kind not in _WHILE_RESTORING:
        return Refusal(restoring.incomplete())
    return _RULES[kind](state, command, now_us)


def _together(state: State, group: Together, now_us: int) -> Result:
    """All or nothing. The error of the first refusal says which one it was, in `details.index`."""
    take_back = state.undo_from_here()
    results: list[Applied | Replayed] = []
    try:
        for index, command in enumerate(group.commands):
            result = _decide(state, command, now_us)
            if isinstance(result, Refusal):
                take_back()
                result.error.details["index"] = index
                return result
            results.append(result)
    finally:
        state.keep_changes()
    return AppliedTogether(tuple(results))
