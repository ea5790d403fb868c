"""The day book: the transactions of all wallets, the newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wallet_cli.domain.ids import format_transaction_id
from wallet_cli.domain.model import Transaction, Wallet
from wallet_cli.domain.money import bounds_in_minor, parse_any_amount
from wallet_cli.domain.period import FIRST_US, LAST_US, Period, parse_period
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.operations.answers import Answer, transaction_answer
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.pages import DEFAULT_LIMIT, FIRST_PIECE, MAX_PIECE, Paged, check_limit
from wallet_cli.operations.transactions import EVERYTHING, Wanted, parse_cursor, read_filter
from wallet_cli.storage.queries import Place
from wallet_cli.storage.sql import Filter

Entry = tuple[Transaction, Wallet, str | None]


class _Piece(NamedTuple):
    """The matches in one piece; `end` is the last examined place, None at the end of the ledger."""

    found: list[Entry]
    size: int
    end: Place | None


def paged(ledger: Ledger, start: str | None, end: str | None, wanted: Wanted) -> Paged:
    """The day book as a list."""
    return Paged(
        lambda limit, cursor, counted: listed(ledger, start, end, limit, cursor, wanted, counted=counted),
        lambda cursor: streamed(ledger, start, end, cursor, wanted),
    )


def listed(
    ledger: Ledger,
    start: str | None = None,
    end: str | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    wanted: Wanted = EVERYTHING,
    *,
    counted: bool = False,
    examined: int | None = None,
) -> Answer:
    """A page of the day book: `transactions, next_cursor`, and if `counted`, `count`: the length of the whole day book.

    It is None where a period or a filter selects, because only reading all of it would tell. Cursors, `examined` and
    errors are those of transactions.listed.
    """
    period, chosen = parse_period(start, end, ledger.zone_of_times, ledger.now_us), _filter_of(wanted)
    check_limit(limit)
    found: list[Entry] = []
    on: Place | None = None
    looked_at = 0
    for piece in _pieces(ledger, period, cursor, chosen, limit + 1):
        found += piece.found
        looked_at += piece.size
        on = piece.end
        if len(found) > limit:
            last, *_ = found[limit - 1]
            on = Place(last.at_us, last.wallet_id, last.seq)
            break
        if examined is not None and looked_at >= examined:
            break
    answer: Answer = {
        "transactions": [entry_answer(*each) for each in found[:limit]],
        "next_cursor": None if on is None else format_transaction_id(on.wallet_id, on.seq),
    }
    if not counted:
        return answer
    is_whole = start is end is None and wanted == EVERYTHING
    # Each wallet's last transaction has its number: no more is read than a row of each.
    return answer | {"count": sum(each.transactions for each in ledger.store.sums()) if is_whole else None}


def streamed(
    ledger: Ledger,
    start: str | None = None,
    end: str | None = None,
    cursor: str | None = None,
    wanted: Wanted = EVERYTHING,
) -> Iterator[Answer]:
    """The same as `listed`, but all of them, one at a time, in constant memory."""
    period, chosen = parse_period(start, end, ledger.zone_of_times, ledger.now_us), _filter_of(wanted)
    for piece in _pieces(ledger, period, cursor, chosen, MAX_PIECE):
        for each in piece.found:
            yield entry_answer(*each)


def entry_answer(transaction: Transaction, wallet: Wallet, name: str | None) -> Answer:
    return transaction_answer(transaction, wallet) | {"wallet": wallet.name, "name": name}


def _pieces(ledger: Ledger, period: Period, cursor: str | None, chosen: Filter | None, size: int) -> Iterator[_Piece]:
    """The day book in pieces: each is read completely, so that nothing stays open for a slow reader."""
    start_us = FIRST_US if period.start_us is None else period.start_us
    before = Place(LAST_US + 1 if period.end_us is None else period.end_us, 0, 0)
    if cursor is not None:
        before = min(before, _place_of(ledger, cursor))
    first = Place(start_us, 0, 0)
    if chosen is None:
        while True:
            found = list(ledger.store.day_book(first, before, size))
            last = found[-1][0] if len(found) == size else None
            end_ = None if last is None else Place(last.at_us, last.wallet_id, last.seq)
            yield _Piece(found, size, end_)
            if end_ is None:
                return
            before = end_
    size = max(size, FIRST_PIECE)
    while True:
        place = ledger.store.day_book_place(before, start_us, size - 1)
        yield _Piece(list(ledger.store.day_book(place or first, before, -1, chosen)), size, place)
        if place is None:
            return
        before, size = place, min(2 * size, max(size, MAX_PIECE))


def _place_of(ledger: Ledger, cursor: str) -> Place:
    """The place of the transaction in a cursor."""
    found = ledger.store.transaction(*parse_cursor(cursor))
    if found is None:
        raise InvalidInput(
            f"not a cursor of this list: {shown(cursor)}", hint="give the next_cursor of the previous page, unchanged"
        )
    return Place(found.at_us, found.wallet_id, found.seq)


def _filter_of(wanted: Wanted) -> Filter | None:
    """The checked filter; None for everything. Amounts are compared as numbers, in any currency."""
    read = read_filter(wanted, parse_any_amount)
    if read is None:
        return None
    least, most = read.least, read.most
    assert not isinstance(least, Sequence)
    assert not isinstance(most, Sequence)
    return read._replace(
        least=None if least is None else bounds_in_minor(least, up=True),
        most=None if most is None else bounds_in_minor(most, up=False),
    )
