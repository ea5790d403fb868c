"""Adding transactions, listing them and totalling them over a period."""

from __future__ import annotations

from collections.abc import Iterator

from wallet_cli.domain.address import WalletRef, check_key, check_note, format_transaction_id, parse_transaction_id
from wallet_cli.domain.chain import unopened
from wallet_cli.domain.commands import Applied, Post, Replayed
from wallet_cli.domain.model import Account, Transaction, Wallet
from wallet_cli.domain.money import parse_amount
from wallet_cli.domain.period import Period, parse_period, parse_time
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.services.answers import Answer, total_answer, transaction_answer
from wallet_cli.services.context import Ledger
from wallet_cli.services.wallets import find_account, find_wallet, state_before

MAX_LIMIT = 1000
DEFAULT_LIMIT = 20


def add(
    ledger: Ledger,
    wallet: WalletRef,
    amount: str,
    *,
    is_credit: bool,
    note: str | None = None,
    key: str | None = None,
    at: str | None = None,
) -> Answer:
    """Credit or debit a wallet; the answer is a `transaction`, `replayed` if the key had been used for it before.

    Raises UserNotFound, WalletNotFound, InvalidInput, and every refusal of the rules.
    """
    command, found = posting(ledger, wallet, amount, is_credit=is_credit, note=note, key=key, at=at)
    return posted(ledger.carry_out(command, "tx add"), found)


def posting(
    ledger: Ledger,
    wallet: WalletRef,
    amount: str,
    *,
    is_credit: bool,
    note: str | None = None,
    key: str | None = None,
    at: str | None = None,
) -> tuple[Post, Wallet]:
    """The command that credits or debits a wallet, and the wallet. Raises NotFound or InvalidInput."""
    if note is not None:
        check_note(note)
    if key is not None:
        check_key(key)
    at_us = parse_time(at, ledger.settings.timezone).start_us if at is not None else None
    found = find_wallet(ledger, wallet)
    return Post(found.id, is_credit, parse_amount(amount, found.currency), note, key, at_us), found


def posted(result: Applied | Replayed, wallet: Wallet) -> Answer:
    """What a credit or debit answers: a `transaction`."""
    assert isinstance(result.made, Transaction)
    return transaction_answer(result.made, wallet, replayed=isinstance(result, Replayed))


def listed(
    ledger: Ledger,
    wallet: WalletRef,
    start: str | None = None,
    end: str | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Answer:
    """A page of a wallet's transactions, the newest first: `transactions, next_cursor`.

    A cursor names the last transaction of the page before, so pages neither repeat nor skip while others write.
    Raises InvalidInput for a limit outside 1–1000, a reversed period, or a cursor of another wallet.
    """
    check_limit(limit)
    period = parse_period(start, end, ledger.settings.timezone)
    with ledger.store.snapshot():
        account = find_account(ledger, wallet)
        first, last = _range(ledger, account, period, cursor)
        page = list(ledger.store.newest_first(account.wallet.id, first, last, limit))
    more = page and page[-1].seq > first
    return {
        "transactions": [transaction_answer(transaction, account.wallet) for transaction in page],
        "next_cursor": format_transaction_id(account.wallet.id, page[-1].seq) if more else None,
    }


def streamed(
    ledger: Ledger,
    wallet: WalletRef,
    start: str | None = None,
    end: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Iterator[Answer]:
    """The same as `listed`, one at a time and all of them unless `limit` is given, in constant memory."""
    if limit is not None:
        check_limit(limit)
    period = parse_period(start, end, ledger.settings.timezone)
    with ledger.store.snapshot():
        account = find_account(ledger, wallet)
        first, last = _range(ledger, account, period, cursor)
        for transaction in ledger.store.newest_first(account.wallet.id, first, last, -1 if limit is None else limit):
            yield transaction_answer(transaction, account.wallet)


def total(ledger: Ledger, wallet: WalletRef, start: str | None = None, end: str | None = None) -> Answer:
    """What a wallet took in and gave out over a period; two rows of the ledger, however many lie between."""
    period = parse_period(start, end, ledger.settings.timezone)
    with ledger.store.snapshot():
        account = find_account(ledger, wallet)
        opening, closing = _bounds(ledger, account, period)
    return total_answer(account.wallet, period, opening, closing)


def check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"the limit is out of bounds: {limit}", hint=f"1 to {MAX_LIMIT}")


def _bounds(ledger: Ledger, account: Account, period: Period) -> tuple[Transaction, Transaction]:
    """The state of a wallet just before a period, and at its end."""
    opening = state_before(ledger, account, period.start_us) if period.start_us is not None else None
    closing = state_before(ledger, account, period.end_us) if period.end_us is not None else account.last
    return opening or unopened(account.wallet), closing


def _range(ledger: Ledger, account: Account, period: Period, cursor: str | None) -> tuple[int, int]:
    """The first and last seq of what a list shows: those of the period, before the cursor."""
    opening, closing = _bounds(ledger, account, period)
    first, last = opening.seq + 1, closing.seq
    if cursor is not None:
        wallet_id, seq = _parse_cursor(cursor)
        if wallet_id != account.wallet.id or not 1 <= seq <= account.last.seq:
            raise InvalidInput(
                f"not a cursor of this list: {shown(cursor)}", hint="give the next_cursor of the page before, unchanged"
            )
        last = min(last, seq - 1)
    return first, last


def _parse_cursor(text: str) -> tuple[int, int]:
    try:
        return parse_transaction_id(text)
    except InvalidInput:
        raise InvalidInput(f"not a cursor: {shown(text)}", hint="give the next_cursor of the page before") from None
