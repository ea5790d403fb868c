"""What a ledger knows of itself: its own settings, and whether it has moved, is being moved, or is still arriving.

It is one row. A batch reads it within its turn, and whoever changes it has all turns ended first: so nobody writes to a
ledger that has been marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from wallet_cli.domain.model import LedgerFacts
from wallet_cli.errors import Damaged, LedgerMoved, StorageError

MOVING, MOVED, ARRIVING = "moving", "moved", "arriving"


MENDED = "restore a backup; `wallet verify` lets it take writes again where it finds nothing wrong"


class MoveState(NamedTuple):
    """The row. With no `state`, the ledger is like any other, and takes writes.

    `move` is the random name of the move that the state is of, which both ends bear; `other` the address of the other
    end, with no password; `since_us` when the state began. `origin` is the move that brought the ledger here whole, and
    stays.
    """

    state: str | None = None
    other: str | None = None
    move: str | None = None
    since_us: int | None = None
    origin: str | None = None


class Itself(NamedTuple):
    """The whole row, as one statement reads it (sql.ITSELF)."""

    move_state: MoveState = MoveState()
    restoring: bool = False
    """Whether an export is being read back into the ledger."""
    damaged: str | None = None
    """What was seen of the ledger that cannot be; None where nothing was."""
    changes: int = 0
    """How often something was committed here with no transaction in it: a deleted log is missed by it."""
    facts: LedgerFacts = LedgerFacts()


def to_itself(row: Sequence[Any] | None) -> Itself:
    """A ledger that lacks its row says nothing of itself."""
    if row is None:
        return Itself()
    end = len(MoveState._fields)
    return Itself(
        MoveState._make(row[:end]), bool(row[end]), row[end + 1], row[end + 2], LedgerFacts._make(row[end + 3 :])
    )


def check_writable(itself: Itself) -> None:
    """Raises LedgerMoved, or StorageError for one that is damaged, where the ledger takes no writes."""
    if itself.move_state.state is not None:
        raise refusal(itself.move_state)
    if itself.damaged is not None:
        # Not as Damaged: this has been noted.
        raise StorageError(f"{Damaged.DAMAGED}it takes no writes, because {itself.damaged}", hint=MENDED)


def refusal(move_state: MoveState) -> LedgerMoved:
    """What a writer is told by a move state that has a state."""
    from wallet_cli.domain.period import format_time

    since = format_time(move_state.since_us or 0)
    if move_state.state == ARRIVING:
        return LedgerMoved(
            f"this ledger is incomplete: a move from {move_state.other} is in progress",
            hint="`wallet move` finishes it, there",
            **{"state": ARRIVING, "from": move_state.other, "since": since},
        )
    if move_state.state == MOVING:
        return LedgerMoved(
            f"this ledger is being moved to {move_state.other}, and takes no writes",
            hint="`wallet move --to …` once more finishes it; `wallet move --cancel` calls it off",
            state=MOVING,
            to=move_state.other,
            since=since,
        )
    return LedgerMoved(
        f"this ledger has moved to {move_state.other}",
        hint="use that one: --db, or WALLET_DB",
        state=move_state.state,
        to=move_state.other,
        since=since,
    )
