"""Placing holds, capturing and voiding them, and listing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wallet_cli.domain.address import MAX_ID, HoldId, WalletRef
from wallet_cli.domain.commands import Applied, CaptureHold, PlaceHold, Replayed, VoidHold
from wallet_cli.domain.model import Hold, Wallet
from wallet_cli.domain.money import parse_amount
from wallet_cli.domain.period import parse_duration
from wallet_cli.domain.rules.refusals import no_hold
from wallet_cli.services.answers import Answer, hold_answer
from wallet_cli.services.context import Ledger
from wallet_cli.services.pages import DEFAULT_LIMIT, check_limit, parse_after
from wallet_cli.services.prepared import Prepared
from wallet_cli.services.transactions import check_texts, posted
from wallet_cli.services.wallets import find_account, find_wallet

DEFAULT_EXPIRY = "7d"


def add(
    ledger: Ledger,
    wallet: WalletRef,
    amount: str,
    *,
    expires: str = DEFAULT_EXPIRY,
    note: str | None = None,
    key: str | None = None,
) -> Prepared[PlaceHold]:
    """Keep an amount from being spent for a while; the answer is a `hold`.

    Raises UserNotFound, WalletNotFound or InvalidInput.
    """
    key, _ = check_texts(note, key, None)
    lasts_us = parse_duration(expires)
    found = find_wallet(ledger, wallet)
    command = PlaceHold(found.id, parse_amount(amount, found.currency), lasts_us, note, key)
    return Prepared(command, _held(ledger, found), ((wallet, found),))


def _held(ledger: Ledger, wallet: Wallet) -> Callable[[Applied | Replayed], Answer]:
    """How placing or voiding a hold is told."""

    def answer(result: Applied | Replayed) -> Answer:
        hold = result.made
        assert isinstance(hold, Hold)
        # As it was answered then, though it may have expired since.
        replayed = isinstance(result, Replayed)
        return hold_answer(hold, wallet, hold.created_at_us if replayed else ledger.now_us(), replayed=replayed)

    return answer


def capture(
    ledger: Ledger,
    id_: HoldId,
    amount: str | None = None,
    *,
    keep: bool = False,
    note: str | None = None,
    key: str | None = None,
) -> Prepared[CaptureHold]:
    """Debit what a hold keeps, or a part of it; the answer is the `transaction`.

    What is left is released, or still held with `keep`. Raises HoldNotFound or InvalidInput.
    """
    key, _ = check_texts(note, key, None)
    wallet = _wallet_of(ledger, id_)
    minor = parse_amount(amount, wallet.currency) if amount is not None else None
    return Prepared(CaptureHold(id_.wallet_id, id_.number, minor, keep, note, key), posted(wallet))


def void(ledger: Ledger, id_: HoldId) -> Prepared[VoidHold]:
    """Let go of what a hold keeps; the answer is the `hold`. Raises HoldNotFound; the rules, HoldNotOpen."""
    return Prepared(VoidHold(id_.wallet_id, id_.number), _held(ledger, _wallet_of(ledger, id_)))


def listed(
    ledger: Ledger,
    wallet: WalletRef,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    counted: bool = False,
) -> Answer:
    """A page of a wallet's holds, the newest first: `holds, next_cursor`; `count` of all if `counted`.

    Raises NotFound or InvalidInput.
    """
    check_limit(limit)
    found = list(_holds(ledger, wallet, limit + 1, cursor))
    page: Answer = {
        "holds": [answer for _, answer in found[:limit]],
        "next_cursor": str(found[limit - 1][0]) if len(found) > limit else None,
    }
    return page | {"count": find_account(ledger, wallet).wallet.holds} if counted else page


def streamed(ledger: Ledger, wallet: WalletRef, cursor: str | None = None) -> Iterator[Answer]:
    """The same as `listed`, all of them and one at a time, in constant memory."""
    for _, answer in _holds(ledger, wallet, -1, cursor):
        yield answer


def _holds(ledger: Ledger, ref: WalletRef, limit: int, cursor: str | None) -> Iterator[tuple[int, Answer]]:
    before = parse_after(cursor) or MAX_ID
    with ledger.store.snapshot():
        wallet = find_account(ledger, ref).wallet
        for hold in ledger.store.holds_before(wallet.id, before, limit):
            yield hold.number, hold_answer(hold, wallet, ledger.now_us())


def _wallet_of(ledger: Ledger, id_: HoldId) -> Wallet:
    account = ledger.store.account(id_.wallet_id, ledger.now_us())
    if account is None or id_.number > account.wallet.holds:
        raise no_hold(*id_)
    return account.wallet
