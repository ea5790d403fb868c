"""Importing an export: history as it was, each row in its place, then the final state.

Minimums, limits and times are not checked again: they may have been different then. So this needs an empty ledger,
which accepts nothing else until the end of the export was read and everything that its rows refer to was found. Totals
and hashes are computed, and the head hash must be the same as before. Rows that exist already, and are identical, are
replayed, so an interrupted import can be run again.
"""

from __future__ import annotations

from wallet_cli import errors
from wallet_cli.domain import events
from wallet_cli.domain.commands import (
    Applied,
    EndRestore,
    Refusal,
    Replayed,
    RestoreEvent,
    RestoreHold,
    RestoreState,
    RestoreTransaction,
    Restoring,
)
from wallet_cli.domain.ids import RESET_KEY, format_hold_id, format_transaction_id, format_wallet_id
from wallet_cli.domain.model import OPEN, Event, Transaction
from wallet_cli.domain.money import MAX_AMOUNT_MINOR, MAX_TOTAL_MINOR, format_minor
from wallet_cli.domain.rules import refusals
from wallet_cli.domain.rules.rule import Rule, Touched
from wallet_cli.domain.rules.state import State

HOW_TO_RESTORE = (
    "import an export in JSON lines into a new ledger: wallet --db NEW import FILE; lines of a CSV file that are to be"
    " applied here must have no id"
)
WHERE = "import the whole export, in its order, into a new ledger: wallet --db NEW import FILE"


def restore_transaction(state: State, command: RestoreTransaction, now_us: int) -> Applied | Replayed | Refusal:
    (
        wallet_id, seq, is_credit, amount, at_us, remarks, key, peer_id, peer_seq, reverses, hold, forced,
        user_key, actor, balance,
    ) = command  # fmt: skip
    wallet = state.wallets.get(wallet_id)
    if wallet is None:
        return Refusal(refusals.no_wallet(wallet_id))
    last = state.last[wallet_id]
    if seq <= last.seq:
        known = state.history.get((wallet_id, seq))
        if known is not None and _same(known, command):
            return Replayed(known)
        return Refusal(_differs(f"transaction {format_transaction_id(wallet_id, seq)}", known))
    if seq != last.seq + 1:
        missing = format_transaction_id(wallet_id, last.seq + 1)
        return Refusal(conflict(f"transaction {missing} must come first"))
    if key is not None and (wallet_id, key, user_key) in state.keys:
        return Refusal(refusals.key_reused(state.keys[wallet_id, key, user_key]))
    if not 0 < amount <= MAX_AMOUNT_MINOR:
        return Refusal(refusals.bad_amount())
    if at_us > now_us and state.policy.clock_skew_us is not None:
        return Refusal(refusals.restored_in_the_future(at_us))
    has_reset_key = wallet_id in state.reset_keys and key == f"{RESET_KEY}{state.reset_keys[wallet_id] + 1}"
    if at_us < last.at_us and not (has_reset_key and forced and reverses is None):
        return Refusal(refusals.time_conflict(last))
    if (last.credit_total if is_credit else last.debit_total) + amount > MAX_TOTAL_MINOR:
        return Refusal(refusals.overflow(wallet))
    after = last.balance + (amount if is_credit else -amount)
    if balance is not None and balance != after:
        given, worked_out = format_minor(balance, wallet.currency), format_minor(after, wallet.currency)
        return Refusal(conflict(f"the export says that the balance after it is {given}, but it would be {worked_out}"))
    wrong = may_restore(state)
    if wrong is not None:
        return Refusal(wrong)
    # After this point the transaction is certain.
    state.actor = actor
    transaction = state.append(
        last, is_credit, amount, at_us, remarks, key, peer_id, peer_seq, reverses, hold, forced, user_key
    )
    state.history[wallet_id, seq] = transaction
    if has_reset_key:
        state.reset_keys[wallet_id] += 1
    return Applied(transaction)


def restore_hold(state: State, command: RestoreHold, now_us: int) -> Applied | Replayed | Refusal:  # noqa: ARG001
    hold = command.hold
    wallet = state.wallets.get(hold.wallet_id)
    if wallet is None:
        return Refusal(refusals.no_wallet(hold.wallet_id))
    id_ = format_hold_id(hold.wallet_id, hold.number)
    if hold.number <= wallet.hold_count:
        known = state.holds.get((hold.wallet_id, hold.number))
        return Replayed(known) if known == hold else Refusal(_differs(f"hold {id_}", known))
    if hold.number != wallet.hold_count + 1:
        return Refusal(conflict(f"hold {format_hold_id(hold.wallet_id, wallet.hold_count + 1)} must come first"))
    if hold.key is not None and (hold.wallet_id, hold.key, False) in state.keys:
        return Refusal(refusals.key_reused(state.keys[hold.wallet_id, hold.key, False]))
    wrong = may_restore(state)
    if wrong is not None:
        return Refusal(wrong)
    # After this point the hold is certain.
    kept = hold.remaining if hold.status == OPEN else 0
    state.keep_wallet(wallet._replace(held=wallet.held + kept, hold_count=hold.number))
    state.keep_hold(hold)
    return Applied(hold)


def restore_event(state: State, command: RestoreEvent, now_us: int) -> Applied | Replayed | Refusal:  # noqa: ARG001
    event = command.event
    subject = (event.kind, event.subject_id)
    there = state.users if event.kind == events.USER else state.wallets
    if event.subject_id not in there:
        return Refusal(conflict(f"there is no {_named(event)}, of which there is an event"))
    last = state.events[subject]
    number = 0 if last is None else last.number
    if event.number <= number:
        known = state.past_events.get(event[:3])
        if known == event:
            return Replayed(known)
        return Refusal(_differs(f"event {event.number} of {_named(event)}", known))
    if event.number != number + 1:
        return Refusal(conflict(f"event {number + 1} of {_named(event)} must come first"))
    if events.hashed(event, last) != event:
        return Refusal(conflict(f"the hash of event {event.number} of {_named(event)} is wrong"))
    wrong = may_restore(state)
    if wrong is not None:
        return Refusal(wrong)
    # After this point the event is certain.
    state.add_event(event)
    return Applied(event)


def _named(event: Event) -> str:
    return f"user {event.subject_id}" if event.kind == events.USER else f"wallet {format_wallet_id(event.subject_id)}"


def restore_state(state: State, command: RestoreState, now_us: int) -> Applied | Replayed | Refusal:  # noqa: ARG001
    wallet_id, transactions, hash_, status, own_minimum, maximum, daily_debit = command
    wallet = state.wallets.get(wallet_id)
    if wallet is None:
        return Refusal(refusals.no_wallet(wallet_id))
    last = state.last[wallet_id]
    if (last.seq, last.hash) != (transactions, hash_):
        return Refusal(
            conflict(
                "wallet ",
                wallet.mention,
                f" ends with transaction {format_transaction_id(wallet_id, last.seq)} and the hash"
                f" {last.hash.hex()}; expected {format_transaction_id(wallet_id, transactions)} and {hash_.hex()}",
            )
        )
    changed = wallet._replace(status=status, own_minimum=own_minimum, maximum=maximum, daily_debit=daily_debit)
    if changed == wallet:
        return Replayed(wallet)
    wrong = may_restore(state)
    if wrong is not None:
        return Refusal(wrong)
    # After this point the change is certain.
    state.keep_wallet(changed)
    return Applied(changed)


def end_restore(state: State, command: EndRestore, now_us: int) -> Applied | Replayed | Refusal:  # noqa: ARG001
    """Let the ledger take writes. Everything that its rows refer to must be there.

    The rows of an export from before events are recorded as they are now.
    """
    if not state.restoring:
        return Replayed(Restoring(False))
    if state.fault is not None:
        return Refusal(conflict(f"this export contradicts itself: {_contradiction(*state.fault)}"))
    state.set_restoring(False)
    for subject, rows in state.unrecorded:
        state.record(subject, ADOPTED, rows)
    state.record(events.OF_LEDGER, "restored", {})
    return Applied(Restoring(False))


ADOPTED = "adopted"
"""What an event is called that has rows as they were when events began."""


def may_restore(state: State) -> errors.RestoreConflict | None:
    """Why nothing can be restored into this ledger; None where it can. The first row begins the restore."""
    if state.restoring:
        return None
    if not state.empty:
        return errors.RestoreConflict(
            "this ledger is not empty, and does not have this yet",
            hint=HOW_TO_RESTORE,
        )
    state.empty = False
    state.set_restoring(True)
    return None


def incomplete() -> errors.RestoreConflict:
    return errors.RestoreConflict(
        "this ledger is incomplete: an export is being imported into it",
        hint="import the whole export again: it continues where it stopped; if no import was begun, the ledger was"
        " changed outside this program: restore a backup",
    )


def _contradiction(what: str, place: tuple[int, ...]) -> str:
    """Which row contradicts others, in words; `what` is one of the checks of storage/sql.py WRONG."""
    if what == "events":
        return f"{events.KINDS[place[0]]} {place[1]} does not agree with its events"
    if what == "wallets":
        return f"wallet w{place[0]} and its holds do not agree"
    if what in ("holds", "captured"):
        return f"hold {format_hold_id(*place)} does not agree with its captures and times"
    return f"transaction {format_transaction_id(*place)} refers to something that is missing or does not match it"


def conflict(*message: str | errors.Mention) -> errors.RestoreConflict:
    return errors.RestoreConflict(message, hint=WHERE)


def _differs(what: str, known: object) -> errors.RestoreConflict:
    return conflict(f"{what} exists, with other contents" if known else f"there is no {what}: the first is number 1")


def _same(known: Transaction, command: RestoreTransaction) -> bool:
    """An empty note is as none: a CSV cannot tell them apart."""
    if not known.remarks.note and not command.remarks.note:
        command = command._replace(remarks=command.remarks._replace(note=known.remarks.note))
    return all(getattr(known, name) == getattr(command, name) for name in _RESTORED)


_RESTORED = RestoreTransaction._fields[:-1]
"""All but the balance, which only checks."""


def _transaction_touches(command: RestoreTransaction, touched: Touched) -> None:
    touched.wallet(command.wallet_id, command.key)
    touched.transactions.append((command.wallet_id, command.seq))
    if command.key is not None and command.key.startswith(RESET_KEY):
        touched.resets.append(command.wallet_id)


def _event_touches(command: RestoreEvent, touched: Touched) -> None:
    event = command.event
    if event.kind == events.WALLET:
        touched.wallet(event.subject_id)
    else:
        touched.creating = True
        touched.users.append(event.subject_id)
    touched.recorded.add((event.kind, event.subject_id))
    touched.past_events.append(event[:3])


def _state_touches(command: RestoreState, touched: Touched) -> None:
    touched.wallet(command.wallet_id)
    touched.days.append(command.wallet_id)


def _end_touches(command: EndRestore, touched: Touched) -> None:  # noqa: ARG001
    touched.creating = touched.contradictions = True
    touched.recorded.add(events.OF_LEDGER)


RULES = (
    Rule(
        RestoreTransaction, restore_transaction, _transaction_touches,
        (
            errors.WalletNotFound, errors.RestoreConflict, errors.KeyReused, errors.InvalidInput, errors.TimeConflict,
            errors.BalanceOverflow,
        ),
        while_restoring=True,
    ),
    Rule(
        RestoreHold, restore_hold,
        lambda command, touched: touched.hold(command.hold.wallet_id, command.hold.number, command.hold.key),
        (errors.WalletNotFound, errors.RestoreConflict, errors.KeyReused), while_restoring=True,
    ),
    Rule(RestoreEvent, restore_event, _event_touches, (errors.RestoreConflict,), while_restoring=True),
    Rule(
        RestoreState, restore_state, _state_touches, (errors.WalletNotFound, errors.RestoreConflict),
        while_restoring=True,
    ),
    Rule(EndRestore, end_restore, _end_touches, (errors.RestoreConflict,), while_restoring=True),
)  # fmt: skip
