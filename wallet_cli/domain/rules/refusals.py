"""Each refusal: its words for a person, and the figures that a program needs."""

from __future__ import annotations

from collections.abc import Iterable

from wallet_cli.domain.commands import Change
from wallet_cli.domain.ids import (
    HoldId,
    TransactionId,
    format_hold_id,
    format_transaction_id,
    format_wallet_id,
    parse_hold_id,
    parse_transaction_id,
)
from wallet_cli.domain.model import CAPTURED, FROZEN, Hold, Policy, Transaction, Wallet, available
from wallet_cli.domain.money import MAX_AMOUNT_MINOR, MAX_TOTAL_MINOR, format_minor
from wallet_cli.domain.period import format_time
from wallet_cli.errors import (
    BalanceOverflow,
    CaptureExceedsHold,
    Conflict,
    HoldNotFound,
    HoldNotOpen,
    InsufficientFunds,
    InvalidInput,
    KeyReused,
    LimitExceeded,
    Mention,
    NotReversible,
    Refused,
    ReversalExceedsOriginal,
    TimeConflict,
    TransactionNotFound,
    WalletError,
    WalletNotActive,
    WalletNotEmpty,
    WalletNotFound,
)

NOW_INSTEAD = (
    "a wallet takes new transactions only after its last one: leave the time (`at`) out and put the date in the note;"
    " in an import, do not map the date column"
)


def no_wallet(wallet_id: int) -> WalletNotFound:
    return WalletNotFound(
        ("there is no wallet ", Mention(wallet_id, format_wallet_id(wallet_id))), hint="open it: wallet create WALLET"
    )


def no_transaction(wallet_id: int, seq: int) -> TransactionNotFound:
    return TransactionNotFound(
        f"there is no transaction {format_transaction_id(wallet_id, seq)}",
        hint="list the transactions: wallet tx list WALLET",
    )


def no_hold(wallet_id: int, number: int) -> HoldNotFound:
    return HoldNotFound(
        f"there is no hold {format_hold_id(wallet_id, number)}", hint="list the holds: wallet hold list WALLET"
    )


def not_active(wallet: Wallet) -> WalletNotActive:
    return WalletNotActive(
        ("wallet ", wallet.mention, f" is {wallet.status}"),
        hint="no money goes in or out until it is unfrozen: wallet unfreeze WALLET"
        if wallet.status == FROZEN
        else "a closed wallet stays closed",
        status=wallet.status,
    )


def key_reused(prior: Transaction | Hold) -> KeyReused:
    if isinstance(prior, Hold):
        hold = format_hold_id(prior.wallet_id, prior.number)
        return key_used_for(f"hold {hold}", hold=hold)
    transaction = format_transaction_id(prior.wallet_id, prior.seq)
    return key_used_for(f"transaction {transaction}", transaction=transaction)


def key_used_for(*what: str | Mention, **details: str) -> KeyReused:
    return KeyReused(
        ("this key was used for another request, ", *what),
        hint="send the same request to get its answer again, or use a new key",
        **details,
    )


def count_before(error: WalletError) -> None:
    """Say of a refusal that rests on the state that what comes before it is taken back with it."""
    if isinstance(error, Refused | Conflict):
        error.add(" (counting what comes before it, of which nothing is applied)")


def key_used_in(what: str) -> KeyReused:
    """Refused for a key of something before it in the same group or file, of which nothing is left."""
    return KeyReused(f"this key is used for another request before it in the same {what}", hint="give each its own key")


def named_in(error: KeyReused) -> TransactionId | HoldId | None:
    """The row that has the key."""
    transaction, hold = error.details.get("transaction"), error.details.get("hold")
    if transaction is not None:
        return parse_transaction_id(transaction)
    return None if hold is None else parse_hold_id(hold)


def names_one_of(error: KeyReused, undone: Iterable[Change]) -> bool:
    """Whether the row that has the key is one of these."""
    return any(
        error.details.get("transaction") == format_transaction_id(each.wallet_id, each.seq)
        if isinstance(each, Transaction)
        else isinstance(each, Hold) and error.details.get("hold") == format_hold_id(each.wallet_id, each.number)
        for each in undone
    )


def bad_amount() -> InvalidInput:
    return InvalidInput("the amount is out of bounds", hint=f"1 to {MAX_AMOUNT_MINOR} minor units")


def in_the_future(at_us: int) -> InvalidInput:
    return InvalidInput(f"{format_time(at_us)} is in the future", hint="--at takes a time in the past")


def restored_in_the_future(at_us: int) -> InvalidInput:
    return InvalidInput(
        f"{format_time(at_us)} is in the future",
        hint="set this machine's clock; if it is right, import the same file again with WALLET_CLOCK_SKEW=off",
    )


def time_conflict(last: Transaction) -> TimeConflict:
    at = format_time(last.at_us)
    return TimeConflict(f"the wallet's last transaction is later, at {at}", hint=NOW_INSTEAD, last_at=at)


def not_ahead(wallet: Wallet, last: Transaction) -> TimeConflict:
    at = format_time(last.at_us)
    return TimeConflict(
        ("the time of wallet ", wallet.mention, f" is not ahead: its last transaction is at {at}"),
        hint="leave --reset-time out",
        last_at=at,
    )


def overflow(wallet: Wallet) -> BalanceOverflow:
    most = format_minor(MAX_TOTAL_MINOR, wallet.currency)
    return BalanceOverflow(
        ("the totals of wallet ", wallet.mention, f" would exceed {most} {wallet.currency.unit}"),
        hint="use another wallet of the user",
        most=most,
    )


CREDIT_FIRST = "credit it first"
LOWER_MINIMUM = "no wallet can hold that much: give it another minimum: wallet limits WALLET --minimum-balance 0"
"""For the ledger's minimum, which counts in each currency."""


def insufficient_funds(wallet: Wallet, balance: int, held: int, minimum: int, amount: int) -> InsufficientFunds:
    def text(minor: int) -> str:
        return format_minor(minor, wallet.currency)

    free = available(balance, minimum, held)
    shortfall = amount + minimum + held - balance
    floor = f" above its minimum of {text(minimum)}" if minimum else ""
    beside = f", not counting {text(held)} on hold" if held else ""
    more = {"held": text(held)} if held else {}
    funded = CREDIT_FIRST if minimum <= MAX_AMOUNT_MINOR else LOWER_MINIMUM
    return InsufficientFunds(
        (
            "wallet ",
            wallet.mention,
            f" has {text(free)} {wallet.currency.unit} available{floor}{beside}: short by {text(shortfall)}",
        ),
        hint=f"{funded}, or debit less" if free else funded,
        balance=text(balance),
        available=text(free),
        minimum_balance=text(minimum),
        shortfall=text(shortfall),
        **more,
    )


def of_reversal(refused: InsufficientFunds) -> InsufficientFunds:
    """The same for a reversal: nobody debits less, but a part of it can be taken back, or all of it by force."""
    has_some = refused.hint not in (CREDIT_FIRST, LOWER_MINIMUM)
    part = "reverse a part of it: wallet tx reverse ID AMOUNT; " if has_some else ""
    refused.hint = f"{part}reverse all of it, whatever is there: wallet tx reverse ID --force"
    return refused


def above_maximum(wallet: Wallet, balance: int, maximum: int, amount: int) -> LimitExceeded:
    def text(minor: int) -> str:
        return format_minor(minor, wallet.currency)

    free = max(0, maximum - balance)
    shortfall, less = amount - free, "credit less, or " if free else ""
    return LimitExceeded(
        (
            "wallet ",
            wallet.mention,
            f" may hold {text(maximum)} {wallet.currency.unit} and can take {text(free)} more:"
            f" {text(shortfall)} too much",
        ),
        hint=f"{less}raise the maximum: wallet limits WALLET --maximum-balance A",
        limit="maximum_balance",
        maximum_balance=text(maximum),
        balance=text(balance),
        available=text(free),
        shortfall=text(shortfall),
    )


def above_daily_debit(
    wallet: Wallet, debited: int, held: int, limit: int, amount: int, at_us: int, policy: Policy
) -> LimitExceeded:
    def text(minor: int) -> str:
        return format_minor(minor, wallet.currency)

    free = max(0, limit - debited - held)
    shortfall, less = amount - free, "debit less, or " if free else ""
    # What is held today is so tomorrow too.
    wait = "wait for the next day, or " if amount + held <= limit else ""
    beside = f", not counting {text(held)} on hold" if held else ""
    more = {"held": text(held)} if held else {}
    day = policy.day_of(at_us).text
    return LimitExceeded(
        (
            "wallet ",
            wallet.mention,
            f" may be debited {text(limit)} {wallet.currency.unit} a day and has {text(free)} left on"
            f" {day} ({policy.zone}){beside}: {text(shortfall)} too much",
        ),
        hint=f"{less}{wait}raise the limit: wallet limits WALLET --daily-debit A",
        limit="daily_debit",
        daily_debit=text(limit),
        day=day,
        debited=text(debited),
        available=text(free),
        shortfall=text(shortfall),
        **more,
    )


def hold_not_open(hold: Hold, status: str, *, to_void: bool = False) -> HoldNotOpen:
    words = {"captured": "has been captured", "voided": "has been voided", "expired": "has expired"}
    ended_at = hold.expires_at_us if hold.ended_at_us is None else hold.ended_at_us
    return HoldNotOpen(
        f"hold {format_hold_id(hold.wallet_id, hold.number)} {words[status]}",
        hint=("" if status == CAPTURED else "its amount is available again; ")
        + ("nothing is left to void" if to_void else "place a new hold"),
        status=status,
        ended_at=format_time(ended_at),
    )


def capture_exceeds(wallet: Wallet, hold: Hold, amount: int) -> CaptureExceedsHold:
    kept, shortfall = (
        format_minor(hold.remaining, wallet.currency),
        format_minor(amount - hold.remaining, wallet.currency),
    )
    return CaptureExceedsHold(
        f"hold {format_hold_id(hold.wallet_id, hold.number)} keeps {kept} {wallet.currency.unit}: short by {shortfall}",
        hint="capture less, or debit the rest separately",
        amount=format_minor(hold.amount, wallet.currency),
        captured=format_minor(hold.captured, wallet.currency),
        available=kept,
        shortfall=shortfall,
    )


def not_reversible(original: Transaction) -> NotReversible:
    reverses = format_transaction_id(original.wallet_id, original.reverses or 0)
    return NotReversible(
        f"transaction {format_transaction_id(original.wallet_id, original.seq)} is itself a reversal, of {reverses}",
        hint="add a new transaction instead",
        reverses=reverses,
    )


def reversal_exceeds(wallet: Wallet, original: Transaction, taken_back: int, amount: int) -> ReversalExceedsOriginal:
    def text(minor: int) -> str:
        return format_minor(minor, wallet.currency)

    left = original.amount - taken_back
    id_ = format_transaction_id(original.wallet_id, original.seq)
    whole = f"{text(original.amount)} {wallet.currency.unit}"
    if not taken_back:
        told = f"transaction {id_} is of {whole}: {text(amount)} is more"
    elif not left:
        told = f"all {whole} of transaction {id_} has been reversed already"
    else:
        told = (
            f"{text(taken_back)} of {whole} of transaction {id_} has been reversed already; {text(left)} is left:"
            f" short by {text(amount - left)}"
        )
    return ReversalExceedsOriginal(
        told,
        hint="reversals cannot add up to more than the original; `wallet tx show ID` lists them",
        amount=text(original.amount),
        reversed=text(taken_back),
        available=text(left),
        shortfall=text(max(0, amount - left)),
    )


def not_empty(wallet: Wallet, balance: int, held: int, *, has_minimum: bool) -> WalletNotEmpty:
    balance_text, held_text = format_minor(balance, wallet.currency), format_minor(held, wallet.currency)
    return WalletNotEmpty(
        (
            "wallet ",
            wallet.mention,
            f" has a balance of {balance_text} {wallet.currency.unit}"
            + (f" and holds that keep {held_text}" if held else ""),
        ),
        hint="; ".join(
            step
            for step, is_needed in (
                ("void its holds: wallet hold void ID", held > 0),
                ("unfreeze it: wallet unfreeze WALLET", balance != 0 and wallet.status == FROZEN),
                ("take its minimum away: wallet limits WALLET --minimum-balance 0", balance > 0 and has_minimum),
                ("bring the balance to 0: wallet debit WALLET AMOUNT", balance > 0),
                (
                    "take its maximum away: wallet limits WALLET --maximum-balance none",
                    balance < 0 and wallet.maximum is not None and wallet.maximum < 0,
                ),
                ("bring the balance to 0: wallet credit WALLET AMOUNT", balance < 0),
            )
            if is_needed
        ),
        balance=balance_text,
        held=held_text,
    )
