"""Credits, debits, transfers and reversals: the commands that add transactions."""

from __future__ import annotations

from wallet_cli import errors
from wallet_cli.domain import events
from wallet_cli.domain.commands import Applied, Post, Refusal, Replayed, Reverse, Transfer
from wallet_cli.domain.ids import RESET_KEY
from wallet_cli.domain.model import ACTIVE, Hold, Transaction, Wallet
from wallet_cli.domain.money import MAX_AMOUNT_MINOR, MAX_TOTAL_MINOR
from wallet_cli.domain.rules import refusals
from wallet_cli.domain.rules.clocks import clock_refused
from wallet_cli.domain.rules.rule import Rule, Touched
from wallet_cli.domain.rules.state import State


def post(state: State, command: Post, now_us: int) -> Applied | Replayed | Refusal:
    wallet_id, is_credit, amount, remarks, key, at_us, user_key, resets_time = command
    wallet = state.wallets.get(wallet_id)
    if wallet is None:
        return Refusal(refusals.no_wallet(wallet_id))
    if key is not None:
        prior = state.keys.get((wallet_id, key, user_key))
        if prior is not None:
            return _again(prior, _same_post(prior, command))
    if wallet.status != ACTIVE:
        return Refusal(refusals.not_active(wallet))
    if not 0 < amount <= MAX_AMOUNT_MINOR:
        return Refusal(refusals.bad_amount())
    if resets_time:
        return _reset_time(state, command, now_us)
    doubt = clock_refused(state, now_us, wallet_id)
    if doubt is not None:
        return Refusal(doubt)
    last = state.last[wallet_id]
    if at_us is None:
        # A clock that was set back must not make times go backwards.
        at_us = max(now_us, last.at_us)
    elif at_us > now_us:
        return Refusal(refusals.in_the_future(at_us))
    elif at_us < last.at_us:
        return Refusal(refusals.time_conflict(last))
    wrong = credit_refused(wallet, last, amount) if is_credit else debit_refused(state, wallet, last, amount, at_us)
    if wrong is not None:
        return Refusal(wrong)
    # After this point the transaction is certain.
    return Applied(state.append(last, is_credit, amount, at_us, remarks, key, user_key=user_key))


def _reset_time(state: State, command: Post, now_us: int) -> Applied | Refusal:
    """Record a credit at the real time in a wallet whose last time is ahead of it; later times count from there."""
    wallet, last = state.wallets[command.wallet_id], state.last[command.wallet_id]
    doubt = clock_refused(state, now_us)
    if doubt is not None:
        return Refusal(doubt)
    if last.at_us <= now_us:
        return Refusal(refusals.not_ahead(wallet, last))
    wrong = credit_refused(wallet, last, command.amount)
    if wrong is not None:
        return Refusal(wrong)
    # After this point the transaction is certain.
    key = f"{RESET_KEY}{state.reset_keys[wallet.id] + 1}"
    made = state.append(last, True, command.amount, now_us, command.remarks, key, forced=True)
    _record_forced(state, made)
    return Applied(made)


def transfer(state: State, command: Transfer, now_us: int) -> Applied | Replayed | Refusal:
    source_id, target_id, amount, remarks, key, user_key = command
    source, target = state.wallets.get(source_id), state.wallets.get(target_id)
    if source is None or target is None:
        return Refusal(refusals.no_wallet(source_id if source is None else target_id))
    if source_id == target_id:
        return Refusal(
            errors.InvalidInput(
                ("wallet ", source.mention, " cannot transfer to itself"), hint="choose another target wallet"
            )
        )
    if key is not None:
        prior = state.keys.get((source_id, key, user_key))
        if prior is not None:
            return _again(prior, _same_transfer(prior, command), _peer(state, prior))
    for wallet in (source, target):
        if wallet.status != ACTIVE:
            return Refusal(refusals.not_active(wallet))
    if not source.currency.is_same(target.currency):
        one, other = source.currency.written, target.currency.written
        return Refusal(
            errors.InvalidInput(
                ("wallet ", source.mention, f" is in {one} and wallet ", target.mention, f" in {other}"),
                hint="both wallets of a transfer must have the same currency",
            )
        )
    if not 0 < amount <= MAX_AMOUNT_MINOR:
        return Refusal(refusals.bad_amount())
    doubt = clock_refused(state, now_us, source_id, target_id)
    if doubt is not None:
        return Refusal(doubt)
    out, into = state.last[source_id], state.last[target_id]
    at_us = max(now_us, out.at_us, into.at_us)
    wrong = debit_refused(state, source, out, amount, at_us) or credit_refused(target, into, amount)
    if wrong is not None:
        return Refusal(wrong)
    # After this point both legs are certain.
    debit = state.append(out, False, amount, at_us, remarks, key, target_id, into.seq + 1, user_key=user_key)
    credit = state.append(into, True, amount, at_us, remarks, None, source_id, debit.seq)
    return Applied(debit, credit)


def reverse(state: State, command: Reverse, now_us: int) -> Applied | Replayed | Refusal:
    wallet_id, seq, asked, remarks, key, force = command
    original = state.history.get((wallet_id, seq))
    wallet = state.wallets.get(wallet_id)
    if original is None or wallet is None:
        return Refusal(refusals.no_transaction(wallet_id, seq))
    # Each leg: its wallet, whether it is credited now, and what it reverses. A transfer has both legs reversed.
    legs = [(wallet, not original.is_credit, seq)]
    if original.peer is not None:
        legs.append((state.wallets[original.peer[0]], original.is_credit, original.peer[1]))
    if key is not None:
        prior = state.keys.get((wallet_id, key, False))
        if prior is not None:
            return _again(prior, _same_reversal(state, prior, command, original))
    for leg, _, _ in legs:
        if leg.status != ACTIVE:
            return Refusal(refusals.not_active(leg))
    if original.reverses is not None:
        return Refusal(refusals.not_reversible(original))
    taken_back = state.reversed.get((wallet_id, seq), 0)
    left = original.amount - taken_back
    amount = left if asked is None else asked
    if asked is not None and not 0 < asked <= MAX_AMOUNT_MINOR:
        return Refusal(refusals.bad_amount())
    if not 0 < amount <= left:
        return Refusal(refusals.reversal_exceeds(wallet, original, taken_back, amount))
    doubt = clock_refused(state, now_us, *(leg.id for leg, _, _ in legs))
    if doubt is not None:
        return Refusal(doubt)
    lasts = [state.last[leg.id] for leg, _, _ in legs]
    at_us = max(now_us, *(last.at_us for last in lasts))
    for (leg, is_credit, _), last in zip(legs, lasts, strict=True):
        wrong = _reversal_refused(state, leg, last, is_credit, amount, at_us, force)
        if wrong is not None:
            return Refusal(wrong)
    # After this point the reversal is certain.
    made: list[Transaction] = []
    for number, ((_, is_credit, reverses), last) in enumerate(zip(legs, lasts, strict=True)):
        peer_id, peer_seq = (None, None) if len(legs) == 1 else (legs[1 - number][0].id, lasts[1 - number].seq + 1)
        own_key = key if number == 0 else None
        made.append(
            state.append(last, is_credit, amount, at_us, remarks, own_key, peer_id, peer_seq, reverses, forced=force)
        )
        if force:
            _record_forced(state, made[-1])
    return Applied(made[0])


def _record_forced(state: State, made: Transaction) -> None:
    """An operator went past a rule: this is told with what is not usual, and not only by the transaction."""
    state.record((events.WALLET, made.wallet_id), "forced", {"transaction": {"seq": made.seq}})


def credit_refused(wallet: Wallet, last: Transaction, amount: int) -> errors.WalletError | None:
    """Why a credit of this amount may not follow `last`; None where it may."""
    if last.credit_total + amount > MAX_TOTAL_MINOR:
        return refusals.overflow(wallet)
    if wallet.maximum is not None and last.balance + amount > wallet.maximum:
        return refusals.above_maximum(wallet, last.balance, wallet.maximum, amount)
    return None


def debit_refused(
    state: State, wallet: Wallet, last: Transaction, amount: int, at_us: int, *, captured: bool = False
) -> errors.WalletError | None:
    """Why a debit of this amount may not follow `last`; None where it may.

    A captured amount counts within the daily limit, and other debits cannot take it, since the hold was placed.
    """
    if last.debit_total + amount > MAX_TOTAL_MINOR:
        return refusals.overflow(wallet)
    return spending_refused(state, wallet, last, amount, at_us, captured=captured)


def spending_refused(
    state: State, wallet: Wallet, last: Transaction, amount: int, at_us: int, *, captured: bool = False
) -> errors.WalletError | None:
    """Why this amount may not be debited or held now; None where it may.

    What open holds keep counts within the daily limit from the day they were placed until they end, so a capture
    always fits.
    """
    held = state.held(wallet) if wallet.held and not captured else 0
    if wallet.daily_debit is not None and not captured:
        debited = last.debit_total - state.day_debits[wallet.id] if state.is_same_day(at_us, last) else 0
        of_day = held - state.held_after_day(wallet.id, at_us) if held and at_us < state.now_us else held
        if debited + of_day + amount > wallet.daily_debit:
            return refusals.above_daily_debit(wallet, debited, of_day, wallet.daily_debit, amount, at_us, state.policy)
    minimum = state.policy.minimum_of(wallet)
    if last.balance - held - amount < minimum:
        return refusals.insufficient_funds(wallet, last.balance, held, minimum, amount)
    return None


def _reversal_refused(
    state: State, wallet: Wallet, last: Transaction, is_credit: bool, amount: int, at_us: int, force: bool
) -> errors.WalletError | None:
    if not force:
        if is_credit:
            return credit_refused(wallet, last, amount)
        refused = debit_refused(state, wallet, last, amount, at_us)
        return refusals.of_reversal(refused) if isinstance(refused, errors.InsufficientFunds) else refused
    total = last.credit_total if is_credit else last.debit_total
    return refusals.overflow(wallet) if total + amount > MAX_TOTAL_MINOR else None


def _again(prior: Transaction | Hold, same: bool, beside: Transaction | None = None) -> Replayed | Refusal:
    """A key that was used before: the same request gets its first answer again."""
    return Replayed(prior, beside) if same else Refusal(refusals.key_reused(prior))


def _peer(state: State, leg: Transaction | Hold) -> Transaction | None:
    """The other leg of a transfer."""
    return state.history.get(leg.peer) if isinstance(leg, Transaction) and leg.peer is not None else None


def _same_post(prior: Transaction | Hold, command: Post) -> bool:
    """Whether a key is used again for the same request. A time that is not given again does not count."""
    return (
        isinstance(prior, Transaction)
        and prior.is_credit == command.is_credit
        and prior.amount == command.amount
        and prior.remarks == command.remarks
        and prior.peer_wallet_id is None
        and prior.reverses is None
        and prior.hold is None
        and command.at_us in (None, prior.at_us)
    )


def _same_transfer(prior: Transaction | Hold, command: Transfer) -> bool:
    return (
        isinstance(prior, Transaction)
        and prior.peer_wallet_id == command.target_id
        and prior.reverses is None
        and prior.amount == command.amount
        and prior.remarks == command.remarks
    )


def _same_reversal(state: State, prior: Transaction | Hold, command: Reverse, original: Transaction) -> bool:
    """No amount means what was left at that time."""
    if not isinstance(prior, Transaction) or prior.reverses != command.seq:
        return False
    left = original.amount - state.taken_before[prior.wallet_id, prior.seq]
    return (
        prior.amount == (left if command.amount is None else command.amount)
        and prior.remarks == command.remarks
        and prior.forced == command.force
    )


def _post_touches(command: Post, touched: Touched) -> None:
    wallet_id, key = command.wallet_id, command.key
    touched.wallets.add(wallet_id)
    if key is not None:
        touched.keys.append((wallet_id, key))
    if command.at_us is not None and not command.is_credit:
        touched.holds_since[wallet_id] = min(command.at_us, touched.holds_since.get(wallet_id, command.at_us))
    if command.resets_time:
        touched.resets.append(command.wallet_id)
        touched.events_of_wallet(command.wallet_id)


def _transfer_touches(command: Transfer, touched: Touched) -> None:
    touched.wallet(command.source_id, command.key)
    touched.wallet(command.target_id)
    if command.key is not None:
        touched.transfers.append((command.source_id, command.key, command.user_key))


def _reverse_touches(command: Reverse, touched: Touched) -> None:
    touched.wallet(command.wallet_id, command.key)
    touched.originals.append((command.wallet_id, command.seq))
    if command.force:
        touched.forced.add((command.wallet_id, command.seq))


_MOVES = (
    errors.KeyReused, errors.WalletNotActive, errors.InvalidInput, errors.StorageError, errors.BalanceOverflow,
    errors.LimitExceeded, errors.InsufficientFunds,
)  # fmt: skip
"""The refusals of every command that moves money."""

RULES = (
    Rule(Post, post, _post_touches, (errors.WalletNotFound, errors.TimeConflict, *_MOVES)),
    Rule(Transfer, transfer, _transfer_touches, (errors.WalletNotFound, *_MOVES)),
    Rule(
        Reverse, reverse, _reverse_touches,
        (errors.TransactionNotFound, errors.NotReversible, errors.ReversalExceedsOriginal, *_MOVES),
    ),
)  # fmt: skip
