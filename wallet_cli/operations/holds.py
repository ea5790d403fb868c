"""Placing holds, capturing and voiding them, and listing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wallet_cli.domain.commands import Applied, CaptureHold, PlaceHold, Replayed, VoidHold
from wallet_cli.domain.ids import MAX_ID, HoldId, WalletRef, check_note, checked_key
from wallet_cli.domain.model import Hold, Wallet
from wallet_cli.domain.money import parse_amount
from wallet_cli.domain.period import parse_duration
from wallet_cli.domain.remarks import Remarks
from wallet_cli.domain.rules.refusals import no_hold
from wallet_cli.operations.answers import Answer, hold_answer
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.pages import Paged, paged
from wallet_cli.operations.prepared import Prepared
from wallet_cli.operations.transactions import posted
from wallet_cli.operations.wallets import find_account, find_wallet

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
    note, key = None if note is None else check_note(note), checked_key(key)
    found = find_wallet(ledger, wallet)
    command = PlaceHold(found.id, parse_amount(amount, found.currency), parse_duration(expires), note, key)
    return Prepared(command, _held(found), ((wallet, found),))


def _held(wallet: Wallet) -> Callable[[Applied | Replayed], Answer]:
    """Makes the answer of placing or voiding a hold: what it was then, even if it has expired since."""

    def answer(result: Applied | Replayed) -> Answer:
        hold = result.made
        assert isinstance(hold, Hold)
        return hold_answer(hold, wallet, hold.created_at_us, replayed=isinstance(result, Replayed))

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

    The rest is released, or kept on hold with `keep`. Raises HoldNotFound or InvalidInput.
    """
    remarks, key = Remarks.of({"note": note}), checked_key(key)
    wallet = _wallet_of(ledger, id_)
    minor = parse_amount(amount, wallet.currency) if amount is not None else None
    return Prepared(CaptureHold(id_.wallet_id, id_.number, minor, keep, remarks, key), posted(wallet))


def void(ledger: Ledger, id_: HoldId) -> Prepared[VoidHold]:
    """Release what a hold keeps; the answer is the `hold`. Raises HoldNotFound; the rules, HoldNotOpen."""
    return Prepared(VoidHold(id_.wallet_id, id_.number), _held(_wallet_of(ledger, id_)))


def listed(ledger: Ledger, ref: WalletRef) -> Paged:
    """A wallet's holds, the newest first."""

    def read(before: int, limit: int) -> Iterator[tuple[int, Answer]]:
        with ledger.store.snapshot():
            wallet = find_account(ledger, ref).wallet
            for hold in ledger.store.holds_before(wallet.id, before or MAX_ID, limit):
                yield hold.number, hold_answer(hold, wallet, ledger.now_us())

    return paged("holds", read, lambda: find_account(ledger, ref).wallet.hold_count)


def _wallet_of(ledger: Ledger, id_: HoldId) -> Wallet:
    account = ledger.store.account(id_.wallet_id, ledger.now_us())
    if account is None or id_.number > account.wallet.hold_count:
        raise no_hold(*id_)
    return account.wallet
