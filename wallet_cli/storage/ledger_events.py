"""Events of the ledger itself, written over a bare connection: by a migration, or to a copy that is being made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wallet_cli.domain import events
from wallet_cli.storage import sql
from wallet_cli.storage.move_state import ARRIVING, to_itself
from wallet_cli.storage.queries import first_beyond

if TYPE_CHECKING:
    import apsw

Execute = Callable[..., Any]
"""Runs a statement of sql.py with its values, and returns a cursor."""


def record(execute: Execute, what: str, details: events.Rows, now_us: int, actor: str | None = None) -> None:
    """Add the event that follows the ledger's last one, in the transaction of the connection."""
    # Read to the end: SQLite changes the journal of a copy only when no statement is open.
    found = [sql.to_event(row) for row in execute(sql.last_events(1), events.OF_LEDGER).fetchall()]
    last = found[0] if found else None
    execute(sql.INSERT_EVENT, events.follow(last, events.OF_LEDGER, now_us, actor, what, details))


def record_upgrade(execute: Execute, before: int, now_us: int, actor: str | None) -> None:
    """Record that a ledger was made, or migrated from the schema `before`, with its settings as they are now.

    Raises Damaged for what no ledger has in it: it would be taken over. One that is only arriving is emptied instead:
    its move copies the rows again, with what the migration of the old ledger made of them.
    """

    def first(statement: str) -> Any:
        return next(iter(execute(statement).fetchall()), None)

    itself = to_itself(first(sql.ITSELF))
    if itself.move_state.state == ARRIVING:
        for statement in (sql.CLEAR_OPERATORS, *(copied.clear for copied in reversed(sql.COPIED))):
            execute(statement)
        return
    wrong = first_beyond(first) or itself.wrong()
    if wrong is not None:
        raise wrong
    details = {**sql.rows_of_itself(itself), "schema": {"version": sql.SCHEMA_VERSION}}
    record(execute, "migrated" if before else "made", details, now_us, actor)


def forget_damage(connection: apsw.Connection) -> None:
    """Remove the note of damage from a copy, which is verified by itself: the damage is not in it."""
    connection.execute(sql.SET_DAMAGED, {"damaged": None})


def record_restore(connection: apsw.Connection, file: str, now_us: int, actor: str) -> None:
    """Record in a restored ledger of which file it is a copy, and remove a note of damage. One of an older schema has
    neither.
    """
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    if version == sql.SCHEMA_VERSION:
        forget_damage(connection)
        record(connection.execute, "restored", {"file": {"name": file}}, now_us, actor)
        connection.execute(sql.COUNT_CHANGE)
