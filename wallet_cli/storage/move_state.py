"""The ledger's own row: its settings, and whether it has moved, is being moved, or is still arriving.

A batch reads it in its turn. To change it, a process first waits until all turns have ended, so nobody writes to a
ledger that is marked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from wallet_cli.domain.model import LedgerFacts
from wallet_cli.errors import Damaged, LedgerMoved, StorageError, shown
from wallet_cli.named_tuples import NamedTuple

MOVING, MOVED, ARRIVING = STATES = "moving", "moved", "arriving"


UUID_PARTS, HEX_DIGITS = [8, 4, 4, 4, 12], frozenset("0123456789abcdefABCDEF")

MAX_CHANGES = 2**62
"""Where the count of `Itself.changes` ends: nobody can have written so often."""

FORMS = {
    "currency": r"[A-Z0-9]{3,10}(/[0-9]{1,2})?",
    "phone_region": r"[A-Z]{2}",
    "minimum_balance": r"-?[0-9]{1,40}(\.[0-9]{1,18})?",
    "timezone": r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*",
}
"""The form of each setting. What there is in that form, such as which regions, depends on the version of a package."""

RESTORE = "restore a backup"
MENDED = f"{RESTORE}; if `wallet verify` then finds nothing wrong, the ledger takes writes again"


class MoveState(NamedTuple):
    """The row. With no `state`, the ledger takes writes.

    `move` is the random name of the move to which the state belongs, the same at both ends; `other` is the address of
    the other end, without a password; `since_us` is when the state began. `origin` is the move that brought the whole
    ledger here; it never changes.
    """

    state: str | None = None
    other: str | None = None
    move: str | None = None
    since_us: int | None = None
    origin: str | None = None

    def can_be(self) -> bool:
        """Whether a move writes this: of all but the origin, everything is there, or nothing."""
        return self[:4] == NOTHING or (self.state in STATES and None not in self[:4])


NOTHING = MoveState()[:4]


class Itself(NamedTuple):
    """The whole row, as one statement reads it (sql.ITSELF)."""

    move_state: MoveState = MoveState()
    restoring: bool = False
    """Whether an export is being imported into the ledger."""
    damaged: str | None = None
    """The damage that was found in the ledger; None if none was."""
    changes: int = 0
    """How many commits here had no transaction: shows a deleted log."""
    facts: LedgerFacts = LedgerFacts()

    def wrong(self) -> Damaged | None:
        """The error for what no ledger says of itself, if it does: a count that has ended, or a setting of another form
        than any version of this program has written. What each turn must know, `to_itself` has judged.
        """
        if self.changes >= MAX_CHANGES:
            return Damaged(f"{Damaged.DAMAGED}its count of changes is {self.changes}", hint=RESTORE)
        for name, form in FORMS.items():
            text = getattr(self.facts, name)
            if text is not None and not re.fullmatch(form, text):
                return Damaged(f"{Damaged.DAMAGED}its {name} is {shown(text)}", hint=RESTORE)
        return None


def to_itself(row: Sequence[Any] | None) -> Itself:
    """The row of a ledger, which each has since schema 5.

    Raises Damaged if it is missing, as it might say that the ledger has moved; for a move state that cannot be; for no
    id, or one that is no UUID, as files are named by it; and for a count below 0.
    """
    if row is None:
        raise Damaged(f"{Damaged.DAMAGED}its own row is missing", hint=RESTORE)
    end = len(MoveState._fields)
    found = Itself(
        MoveState._make(row[:end]), bool(row[end]), row[end + 1], row[end + 2], LedgerFacts._make(row[end + 3 :])
    )
    if not found.move_state.can_be():
        raise Damaged(f"{Damaged.DAMAGED}its move state is none that a move writes", hint=RESTORE)
    if found.facts.uuid is None:
        raise Damaged(f"{Damaged.DAMAGED}its id is missing", hint=RESTORE)
    if not _is_uuid(found.facts.uuid):
        raise Damaged(f"{Damaged.DAMAGED}its id is not a UUID: {shown(found.facts.uuid)}", hint=RESTORE)
    if found.changes < 0:
        raise Damaged(f"{Damaged.DAMAGED}its count of changes is {found.changes}", hint=RESTORE)
    return found


@lru_cache(maxsize=16)  # asked in each turn
def _is_uuid(text: str) -> bool:
    return [len(part) for part in text.split("-")] == UUID_PARTS and HEX_DIGITS.issuperset(text.replace("-", ""))


def check_writable(itself: Itself) -> None:
    """Raises LedgerMoved if the ledger takes no writes, or StorageError if it is damaged."""
    check_not_moved(itself)
    if itself.damaged is not None:
        # Not as Damaged: this damage was already noted.
        raise StorageError(f"{Damaged.DAMAGED}it takes no writes, because {itself.damaged}", hint=MENDED)


def warning_to_readers(itself: Itself) -> str | None:
    """What a reader must know about a ledger whose rows are old or in doubt; None for others, also while it is moved.

    A writer is refused for the same; a reader gets an answer, which would look like any other.
    """
    if itself.damaged is not None:
        return f"{Damaged.DAMAGED}{itself.damaged}; what is shown may be wrong: restore a backup"
    if itself.restoring:
        return "the import of an export is not complete, so what is shown is not: import the file again"
    if itself.move_state.state == MOVED:
        moved = refusal(itself.move_state)
        return f"{moved.message} ({moved.details['since']}), and what is shown may be old: {moved.hint}"
    return None


def check_not_moved(itself: Itself) -> None:
    """Raises LedgerMoved for a ledger that has moved, is being moved, or is incomplete.

    It has the id of the ledger that goes on, so a backup or a seal of it would be taken for one of that.
    """
    if itself.move_state.state is not None:
        raise refusal(itself.move_state)


def refusal(move_state: MoveState, address: str = "…") -> LedgerMoved:
    """The refusal that a writer gets while the ledger at `address` has a move state."""
    import shlex

    from wallet_cli.domain.period import format_time

    since = format_time(move_state.since_us or 0)
    if move_state.state == ARRIVING:
        return LedgerMoved(
            f"this ledger is incomplete: a move from {move_state.other} is in progress",
            hint=f"finish it: wallet --db {shlex.quote(move_state.other or '…')} move --to {shlex.quote(address)}",
            **{"state": ARRIVING, "from": move_state.other, "since": since},
        )
    if move_state.state == MOVING:
        return LedgerMoved(
            f"this ledger is being moved to {move_state.other}, and takes no writes",
            hint="finish it with `wallet move --to …`, or cancel it with `wallet move --cancel`",
            state=MOVING,
            to=move_state.other,
            since=since,
        )
    return LedgerMoved(
        f"this ledger has moved to {move_state.other}",
        hint="use that ledger with --db or WALLET_DB",
        state=move_state.state,
        to=move_state.other,
        since=since,
    )
