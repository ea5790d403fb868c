"""Holds: authorise now, take later.

A hold keeps money from being spent and moves none; capturing it is a debit. It ends once: captured, voided, or expired.
Expiry needs no write: from that time on the hold counts for nothing, and the next write to its wallet notes that it
has expired.

Whether a hold has expired is judged by the writer's clock alone, here as in balances and lists: what counts as held
can be captured and voided. The time that is recorded is the wallet's: a writer whose clock is behind uses that of the
wallet's last transaction, and of the hold. Otherwise a hold could end before its capture, or before it was placed.
"""

from __future__ import annotations

from wallet_cli import errors
from wallet_cli.domain import events
from wallet_cli.domain.commands import Applied, CaptureHold, PlaceHold, Refusal, Replayed, VoidHold
from wallet_cli.domain.model import ACTIVE, CAPTURED, CLOSED, EXPIRED, OPEN, VOIDED, Hold, Transaction
from wallet_cli.domain.money import MAX_AMOUNT_MINOR
from wallet_cli.domain.rules import refusals
from wallet_cli.domain.rules.clocks import clock_refused
from wallet_cli.domain.rules.postings import debit_refused, spending_refused
from wallet_cli.domain.rules.rule import Rule, Touched
from wallet_cli.domain.rules.state import State


def status_at(hold: Hold, now_us: int) -> str:
    """The status of a hold at a moment, whether or not its expiry was noted."""
    return EXPIRED if hold.status == OPEN and hold.expires_at_us <= now_us else hold.status


def place(state: State, command: PlaceHold, now_us: int) -> Applied | Replayed | Refusal:
    wallet_id, amount, lasts_us, note, key = command
    wallet = state.wallets.get(wallet_id)
    if wallet is None:
        return Refusal(refusals.no_wallet(wallet_id))
    if key is not None:
        prior = state.keys.get((wallet_id, key, False))
        if prior is not None:
            return _placed_before(prior, command)
    if wallet.status != ACTIVE:
        return Refusal(refusals.not_active(wallet))
    if not 0 < amount <= MAX_AMOUNT_MINOR:
        return Refusal(refusals.bad_amount())
    doubt = clock_refused(state, now_us, wallet_id)
    if doubt is not None:
        return Refusal(doubt)
    at_us = state.time_in(wallet_id, now_us)
    wrong = spending_refused(state, wallet, state.last[wallet_id], amount, at_us)
    if wrong is not None:
        return Refusal(wrong)
    # After this point the hold is certain.
    state.free_expired(wallet_id)
    wallet = state.wallets[wallet_id]
    hold = Hold(wallet_id, wallet.hold_count + 1, amount, 0, OPEN, at_us, at_us + lasts_us, None, note, key)
    state.keep_wallet(wallet._replace(held=wallet.held + amount, hold_count=hold.number))
    state.keep_hold(hold)
    _record(state, hold, "hold placed")
    return Applied(hold)


def capture(state: State, command: CaptureHold, now_us: int) -> Applied | Replayed | Refusal:
    wallet_id, number, asked, keep, remarks, key = command
    hold, wallet = state.holds.get((wallet_id, number)), state.wallets.get(wallet_id)
    if hold is None or wallet is None:
        return Refusal(refusals.no_hold(wallet_id, number))
    if key is not None:
        prior = state.keys.get((wallet_id, key, False))
        if prior is not None:
            same = _same_capture(state, prior, command, hold)
            return Replayed(prior) if same else Refusal(refusals.key_reused(prior))
    if wallet.status != ACTIVE:
        return Refusal(refusals.not_active(wallet))
    doubt = clock_refused(state, now_us, wallet_id)
    if doubt is not None:
        return Refusal(doubt)
    status = status_at(hold, now_us)
    if status != OPEN:
        return Refusal(refusals.hold_not_open(hold, status))
    if asked is not None and not 0 < asked <= MAX_AMOUNT_MINOR:
        return Refusal(refusals.bad_amount())
    amount = hold.remaining if asked is None else asked
    if amount > hold.remaining:
        return Refusal(refusals.capture_exceeds(wallet, hold, amount))
    last, at_us = state.last[wallet_id], _time_for(state, hold, now_us)
    # The amount was held for this, but the wallet's minimum may have been raised since.
    wrong = debit_refused(state, wallet, last, amount, at_us, captured=True)
    if wrong is not None:
        return Refusal(wrong)
    # After this point the capture is certain.
    transaction = state.append(last, False, amount, at_us, remarks, key, hold=number)
    captured = hold._replace(captured=hold.captured + amount)
    released = captured.remaining
    if keep and captured.remaining:
        released = 0
    else:
        captured = captured._replace(status=CAPTURED, ended_at_us=max(at_us, hold.created_at_us))
    wallet = state.wallets[wallet_id]
    state.keep_wallet(wallet._replace(held=wallet.held - amount - released))
    state.keep_hold(captured)
    _record(state, captured, "hold captured")
    return Applied(transaction)


def void(state: State, command: VoidHold, now_us: int) -> Applied | Replayed | Refusal:
    hold, wallet = state.holds.get(command), state.wallets.get(command.wallet_id)
    if hold is None or wallet is None:
        return Refusal(refusals.no_hold(*command))
    if wallet.status == CLOSED:
        return Refusal(refusals.not_active(wallet))
    status = status_at(hold, now_us)
    if status != OPEN:
        return Refusal(refusals.hold_not_open(hold, status, to_void=True))
    doubt = clock_refused(state, now_us)
    if doubt is not None:
        return Refusal(doubt)
    # After this point the end of the hold is certain. It moves no money, so a hold of a frozen wallet may end too.
    state.free_expired(wallet.id)
    wallet = state.wallets[wallet.id]
    ended_at_us = max(_time_for(state, hold, now_us), hold.created_at_us)
    voided = hold._replace(status=VOIDED, ended_at_us=ended_at_us)
    state.keep_wallet(wallet._replace(held=wallet.held - hold.remaining))
    state.keep_hold(voided)
    _record(state, voided, "hold voided")
    return Applied(voided)


def _record(state: State, hold: Hold, what: str) -> None:
    state.record((events.WALLET, hold.wallet_id), what, {"hold": events.of_hold(hold)})


def _time_for(state: State, hold: Hold, now_us: int) -> int:
    """The time to record for a hold: that at which it was placed, where the writer's clock is behind it.

    A hold that was placed under a clock far ahead does not set the wallet's time.
    """
    at_us, skew_us = state.time_in(hold.wallet_id, now_us), state.policy.clock_skew_us
    is_far = skew_us is not None and hold.created_at_us - at_us > skew_us
    return at_us if is_far else max(at_us, hold.created_at_us)


def _placed_before(prior: Transaction | Hold, command: PlaceHold) -> Replayed | Refusal:
    """The same request gets its first answer, whatever happened to the hold since."""
    if (
        isinstance(prior, Hold)
        and prior.amount == command.amount
        and prior.note == command.note
        and prior.expires_at_us - prior.created_at_us == command.lasts_us
    ):
        return Replayed(prior._replace(captured=0, status=OPEN, ended_at_us=None))
    return Refusal(refusals.key_reused(prior))


def _same_capture(state: State, prior: Transaction | Hold, command: CaptureHold, hold: Hold) -> bool:
    """No amount means what the hold kept at that time. Of a whole hold, nothing was left to keep or to release."""
    if not isinstance(prior, Transaction) or prior.hold != command.number or prior.remarks != command.remarks:
        return False
    left = hold.amount - state.taken_before[prior.wallet_id, prior.seq]
    rest = left - prior.amount
    kept = hold.remaining < rest or hold.status != CAPTURED
    return prior.amount == (left if command.amount is None else command.amount) and (not rest or kept is command.keep)


def _place_touches(command: PlaceHold, touched: Touched) -> None:
    touched.wallet(command.wallet_id, command.key)
    touched.events_of_wallet(command.wallet_id)


def _capture_touches(command: CaptureHold, touched: Touched) -> None:
    touched.hold(command.wallet_id, command.number, command.key)
    touched.events_of_wallet(command.wallet_id)


def _void_touches(command: VoidHold, touched: Touched) -> None:
    touched.hold(command.wallet_id, command.number)
    touched.events_of_wallet(command.wallet_id)


_TAKES = (
    errors.KeyReused, errors.WalletNotActive, errors.InvalidInput, errors.StorageError, errors.InsufficientFunds,
)  # fmt: skip
"""The refusals of every command that takes money, now or later."""

RULES = (
    Rule(
        PlaceHold, place, _place_touches, (errors.WalletNotFound, errors.LimitExceeded, *_TAKES),
    ),
    Rule(
        CaptureHold, capture, _capture_touches,
        (errors.HoldNotFound, errors.HoldNotOpen, errors.CaptureExceedsHold, errors.BalanceOverflow, *_TAKES),
    ),
    Rule(
        VoidHold, void, _void_touches,
        (errors.HoldNotFound, errors.WalletNotActive, errors.HoldNotOpen, errors.StorageError),
    ),
)  # fmt: skip
