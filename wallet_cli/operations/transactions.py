"""Adding, transferring and reversing transactions, listing them, and adding them up over a period."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from wallet_cli.domain.commands import Applied, Post, Replayed, Reverse, Transfer
from wallet_cli.domain.hash_chain import unopened
from wallet_cli.domain.ids import (
    TransactionId,
    WalletRef,
    check_wanted,
    check_wanted_key,
    checked_key,
    format_transaction_id,
    parse_transaction_id,
)
from wallet_cli.domain.model import Account, Transaction, Wallet
from wallet_cli.domain.money import format_minor, parse_amount
from wallet_cli.domain.period import Period, Zone, is_relative, parse_period, parse_time
from wallet_cli.domain.remarks import NOTHING, Remarks
from wallet_cli.domain.rules.refusals import no_transaction
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.named_tuples import NamedTuple
from wallet_cli.operations.answers import Answer, total_answer, transaction_answer
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.pages import DEFAULT_LIMIT, FIRST_PIECE, MAX_PIECE, check_limit, pieces_back
from wallet_cli.operations.prepared import Prepared, told_again
from wallet_cli.operations.wallets import find_account, find_wallet, state_before
from wallet_cli.storage.sql import ORIGINS, Filter


def add(
    ledger: Ledger,
    wallet: WalletRef,
    amount: str,
    *,
    is_credit: bool,
    remarks: Remarks = NOTHING,
    key: str | None = None,
    at: str | None = None,
    reset_time: bool = False,
    by_user: bool = False,
) -> Prepared[Post]:
    """Credit or debit a wallet; the answer is a `transaction`.

    `reset_time`: the wallet's last time is from a wrong clock; its times count from now (domain/rules/clocks.py).
    `by_user`: the key is one of the wallet's owner; such keys are separate from those of operators.
    Raises UserNotFound, WalletNotFound or InvalidInput.
    """
    if reset_time and not (is_credit and key is None and at is None):
        raise InvalidInput(
            "only a credit with no key and no time resets a wallet's time",
            hint="wallet tx add WALLET AMOUNT --credit --reset-time; then wallet tx reverse ID",
        )
    key = checked_key(key)
    found = find_wallet(ledger, wallet)
    minor = parse_amount(amount, found.currency)
    at_us = None if at is None else time_of(at, key, ledger.zone_of_times, ledger.now_us)
    user_key = by_user and key is not None
    if at is not None and key is not None and not ledger.times_are_utc:
        at_us = _as_before(ledger, (found.id, key, user_key), at, at_us)
    command = Post(found.id, is_credit, minor, remarks, key, at_us, user_key, reset_time)
    return Prepared(command, posted(found), ((wallet, found),))


def _as_before(ledger: Ledger, keyed: tuple[int, str, bool], at: str, at_us: int | None) -> int | None:
    """The time of a request: sent again, the same text means the same time, even if the ledger's zone was set since."""
    for prior in ledger.store.keyed([keyed[:2]]):
        if prior.user_key == keyed[2] and prior.at_us != at_us and prior.at_us in times_in(at, ledger.zones()):
            return prior.at_us
    return at_us


def times_in(at: str, zones: Iterable[Zone]) -> Iterator[int]:
    """What a time without an offset means in each zone that has it."""
    for zone in zones:
        with suppress(InvalidInput):
            yield parse_time(at, zone).start_us


def time_of(at: str, key: str | None, zone: Zone, now_us: Callable[[], int]) -> int:
    """The moment that a transaction is said to be of, in microseconds since 1970. Raises InvalidInput.

    With a key, the same text has to mean the same time whenever it is sent.
    """
    if key is not None and is_relative(at):
        raise InvalidInput(
            f"with a key, give a fixed date: {shown(at)} changes each time", hint="write the date, or leave it out"
        )
    return parse_time(at, zone, now_us).start_us


def posted(wallet: Wallet) -> Callable[[Applied | Replayed], Answer]:
    """Makes the answer of a credit, debit, capture or reversal: a `transaction`."""

    def answer(result: Applied | Replayed) -> Answer:
        assert isinstance(result.made, Transaction)
        return transaction_answer(result.made, wallet, replayed=isinstance(result, Replayed))

    return answer


def transfer(
    ledger: Ledger,
    source: WalletRef,
    target: WalletRef,
    amount: str,
    *,
    remarks: Remarks = NOTHING,
    key: str | None = None,
    by_user: bool = False,
) -> Prepared[Transfer]:
    """Move an amount from one wallet to another in one step: `debit` and `credit`, a `transaction` each, and the `id`
    of the debit.

    `by_user`: as in `add`. Raises UserNotFound, WalletNotFound or InvalidInput.
    """
    key = checked_key(key)
    out, into = find_wallet(ledger, source), find_wallet(ledger, target)
    minor = parse_amount(amount, out.currency)

    def answer(result: Applied | Replayed) -> Answer:
        debit, credit = result
        assert isinstance(debit, Transaction)
        assert credit is not None
        legs: Answer = {
            "id": format_transaction_id(debit.wallet_id, debit.seq),
            "debit": transaction_answer(debit, out),
            "credit": transaction_answer(credit, into),
        }
        return told_again(legs, result)

    command = Transfer(out.id, into.id, minor, remarks, key, by_user and key is not None)
    return Prepared(command, answer, ((source, out), (target, into)))


def reverse(
    ledger: Ledger,
    id_: TransactionId,
    amount: str | None = None,
    *,
    remarks: Remarks = NOTHING,
    key: str | None = None,
    force: bool = False,
) -> Prepared[Reverse]:
    """Reverse a transaction, or a part of it; of a transfer, both legs. The answer is the new `transaction`.

    `force` ignores minimums and limits, and is recorded. Raises TransactionNotFound or InvalidInput.
    """
    key = checked_key(key)
    account = ledger.store.account(id_.wallet_id, ledger.now_us())
    if account is None or id_.seq > account.last.seq:
        raise no_transaction(*id_)
    wallet = account.wallet
    minor = parse_amount(amount, wallet.currency) if amount is not None else None
    return Prepared(Reverse(id_.wallet_id, id_.seq, minor, remarks, key, force), posted(wallet))


def show(ledger: Ledger, id_: TransactionId, user_id: int | None = None) -> Answer:
    """A transaction, with `reversed` (how much of it was reversed) and `reversals` (their ids).

    If `user_id` is given, the transaction must be that user's. Raises TransactionNotFound.
    """
    with ledger.store.snapshot():
        account = ledger.store.account(id_.wallet_id, ledger.now_us())
        found = ledger.store.transaction(*id_)
        if account is None or found is None or user_id not in (None, account.wallet.user_id):
            raise no_transaction(*id_)
        reversals = ledger.store.reversals(*id_)
    return transaction_answer(found, account.wallet) | {
        "reversed": format_minor(sum(each.amount for each in reversals), account.wallet.currency),
        "reversals": [format_transaction_id(each.wallet_id, each.seq) for each in reversals],
    }


class Wanted(NamedTuple):
    """Which transactions a list should show, as text: all given conditions must match.

    `kind` is credit, debit, transfer, capture or reversal; `least` and `most` bound the amount; `text` is in the note,
    in upper or lower case, in any language.
    """

    kind: str | None = None
    least: str | None = None
    most: str | None = None
    text: str | None = None
    key: str | None = None


KINDS = ("credit", "debit", *ORIGINS)
EVERYTHING = Wanted()


def listed(
    ledger: Ledger,
    wallet: WalletRef,
    start: str | None = None,
    end: str | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    wanted: Wanted = EVERYTHING,
    *,
    counted: bool = False,
    examined: int | None = None,
) -> Answer:
    """A page of a wallet's transactions, the newest first: `transactions, next_cursor`.

    If `counted`, also `count`: the length of the whole list; None if more than a period selects them, because only
    reading all of it would tell. A cursor names the last transaction that was examined, so pages neither repeat nor
    skip while others write. If `examined` limits how many are examined, a page may have fewer than `limit`, or none,
    and still have a cursor. Raises InvalidInput for a limit outside 1–1000, a reversed period, a filter that cannot be
    read, or a cursor of another wallet.
    """
    search = _search(ledger, wallet, start, end, cursor, wanted, limit)
    first = search.first
    if examined is not None and search.is_long:
        search = search._replace(first=max(first, search.last - examined + 1))
    found = list(_found(ledger, search, limit + 1))
    page = found[:limit]
    on: int | None = page[-1].seq if len(found) > limit else search.first if search.first > first else None
    answer: Answer = {
        "transactions": [transaction_answer(transaction, search.wallet) for transaction in page],
        "next_cursor": None if on is None else format_transaction_id(search.wallet.id, on),
    }
    if not counted:
        return answer
    return answer | {"count": search.whole}


def streamed(
    ledger: Ledger,
    wallet: WalletRef,
    start: str | None = None,
    end: str | None = None,
    cursor: str | None = None,
    wanted: Wanted = EVERYTHING,
) -> Iterator[Answer]:
    """The same as `listed`, but all of them, one at a time, in constant memory."""
    search = _search(ledger, wallet, start, end, cursor, wanted)
    for transaction in _found(ledger, search, None):
        yield transaction_answer(transaction, search.wallet)


class _Search(NamedTuple):
    """Which transactions are examined, and which of them match."""

    wallet: Wallet
    first: int
    last: int
    wanted: Filter | None
    whole: int | None
    """The total, where every transaction matches."""

    @property
    def is_long(self) -> bool:
        """Whether more may be examined than match; a key has an index."""
        return self.wanted is not None and self.wanted.key is None


def _search(
    ledger: Ledger,
    wallet: WalletRef,
    start: str | None,
    end: str | None,
    cursor: str | None,
    wanted: Wanted,
    limit: int = DEFAULT_LIMIT,
) -> _Search:
    period = parse_period(start, end, ledger.zone_of_times, ledger.now_us)
    check_texts(wanted)
    check_limit(limit)
    if cursor is not None:
        parse_cursor(cursor)
    with ledger.store.snapshot():
        account = find_account(ledger, wallet)
        opening, closing = bounds(ledger, account, period)
    chosen = filter_of(wanted, account.wallet)
    first, last = _range(account, opening, closing, cursor)
    count = closing.seq - opening.seq if wanted == EVERYTHING else None
    return _Search(account.wallet, first, last, chosen, count)


def _found(ledger: Ledger, search: _Search, most: int | None) -> Iterator[Transaction]:
    """What a search finds, the newest first, at most `most`."""
    wallet_id, wanted = search.wallet.id, search.wanted
    if wanted is not None and wanted.key is not None:
        size = max(1, search.last - search.first + 1)
    else:
        size = MAX_PIECE if most is None else most if wanted is None else max(most, FIRST_PIECE)
    left = -1 if most is None else most
    for low, high in pieces_back(search.first, search.last, size):
        # Each piece is read completely before it is yielded: nothing stays open for a slow reader.
        found = list(ledger.store.newest_first(wallet_id, low, high, left, wanted))
        yield from found
        if most is not None:
            left -= len(found)
            if not left:
                return


def filter_of(wanted: Wanted, wallet: Wallet) -> Filter | None:
    """The checked filter of a wallet's list; None for everything."""
    return read_filter(wanted, lambda text, what: parse_amount(text, wallet.currency, what))


def read_filter(wanted: Wanted, read_amount: Callable[[str, str], int]) -> Filter | None:
    """The checked filter; None for everything. `read_amount` is how amounts are read: a text, and what it is."""
    if wanted == EVERYTHING:
        return None
    check_texts(wanted)
    kind, least, most, text, key = wanted
    least_minor = read_amount(least, "min") if least is not None else None
    most_minor = read_amount(most, "max") if most is not None else None
    if least_minor is not None and most_minor is not None and least_minor > most_minor:
        raise InvalidInput(
            f"the minimum amount is above the maximum: {shown(str(least))} and {shown(str(most))}",
            hint="give the smaller one as --min and the larger one as --max",
        )
    is_credit = {"credit": True, "debit": False}.get(kind or "")
    origin = kind if kind in ORIGINS else None
    return Filter(
        is_credit,
        origin,
        least_minor,
        most_minor,
        text,
        None if key is None else check_wanted_key(key),
    )


def check_texts(wanted: Wanted) -> None:
    """What can be checked of a filter without a currency. Raises InvalidInput."""
    if wanted.kind is not None and wanted.kind not in KINDS:
        raise InvalidInput(f"not a kind of transaction: {shown(wanted.kind)}", hint=f"one of {', '.join(KINDS)}")
    if wanted.text is not None:
        check_wanted(wanted.text)
    if wanted.key is not None:
        check_wanted_key(wanted.key)


def total(ledger: Ledger, wallet: WalletRef, start: str | None = None, end: str | None = None) -> Answer:
    """A wallet's credits and debits over a period, from two rows, however many are between them."""
    period = parse_period(start, end, ledger.zone_of_times, ledger.now_us)
    with ledger.store.snapshot():
        account = find_account(ledger, wallet)
        opening, closing = bounds(ledger, account, period)
    return total_answer(account.wallet, period, opening, closing)


def bounds(ledger: Ledger, account: Account, period: Period) -> tuple[Transaction, Transaction]:
    """The state of a wallet just before a period, and at its end."""
    opening = state_before(ledger, account, period.start_us) if period.start_us is not None else None
    closing = state_before(ledger, account, period.end_us) if period.end_us is not None else account.last
    return opening or unopened(account.wallet), closing


def _range(account: Account, opening: Transaction, closing: Transaction, cursor: str | None) -> tuple[int, int]:
    """The first and last seq of a list: those of the period, before the cursor."""
    first, last = opening.seq + 1, closing.seq
    if cursor is not None:
        wallet_id, seq = parse_cursor(cursor)
        if wallet_id != account.wallet.id or not 1 <= seq <= account.last.seq:
            raise InvalidInput(
                f"not a cursor of this list: {shown(cursor)}",
                hint="give the next_cursor of the previous page, unchanged",
            )
        last = min(last, seq - 1)
    return first, last


def parse_cursor(text: str) -> tuple[int, int]:
    """The wallet and the seq before which a page of transactions continues. Raises InvalidInput."""
    try:
        return parse_transaction_id(text)
    except InvalidInput:
        raise InvalidInput(f"not a cursor: {shown(text)}", hint="give the next_cursor of the previous page") from None
