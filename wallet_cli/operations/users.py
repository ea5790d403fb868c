"""Registering and finding users."""

from __future__ import annotations

from collections.abc import Iterator

from wallet_cli.domain.commands import Applied, Register, Replayed
from wallet_cli.domain.ids import UserId, UserName, check_name, checked_key
from wallet_cli.domain.model import User
from wallet_cli.domain.phone import Phone, check_region, other_forms, parse_phone
from wallet_cli.errors import InvalidInput, UserNotFound, shown
from wallet_cli.operations.answers import Answer, user_answer
from wallet_cli.operations.context import REQUEST, Ledger
from wallet_cli.operations.pages import Paged, paged
from wallet_cli.operations.prepared import Prepared, told_again


def register(ledger: Ledger, phone_number: str, name: str | None = None, key: str | None = None) -> Prepared[Register]:
    """Add a user; the answer is a `user`. Raises InvalidInput; the rules refuse with UserExists or KeyReused."""
    name, key = None if name is None else check_name(name), checked_key(key)
    prior = None if key is None else ledger.store.user_by_key(key)
    if prior is not None and prior.phone_number == phone_number and _meant(ledger, prior):
        # Sent again, it is the same number, even if it is none in the region that the ledger has now.
        phone = Phone(phone_number, prior.phone_e164, prior.phone_region, prior.phone_national)
    else:
        phone = parse_phone(phone_number, check_region(ledger.settings.phone_region))
        known = _in_other_form(ledger, phone.e164)
        if known is not None:  # it is that user's number, so the rules refuse it
            phone = phone._replace(e164=known.phone_e164)
    return Prepared(Register(phone, name, key=key), _registered)


def _meant(ledger: Ledger, user: User) -> bool:
    """Whether the text of a user's number, sent again, means that number; it does if no region came with it."""
    region = ledger.settings.values["phone_region"]
    if region.source != REQUEST:
        return True
    try:
        e164 = parse_phone(user.phone_number, check_region(region.text)).e164
    except InvalidInput:  # the numbering plan of that region may have changed
        return region.text == user.phone_region
    return user.phone_e164 in (e164, *other_forms(e164))


def _registered(result: Applied | Replayed) -> Answer:
    assert isinstance(result.made, User)
    return told_again(user_answer(result.made), result)


def listed(ledger: Ledger) -> Paged:
    """All users, in the order in which they registered."""

    def read(after: int, limit: int) -> Iterator[tuple[int, Answer]]:
        with ledger.store.snapshot():
            for user in ledger.store.users_after(after, limit):
                yield user.id, user_answer(user)

    return paged("users", read, ledger.store.user_count)


def find_user(ledger: Ledger, name: UserName) -> User:
    """The named user. Raises UserNotFound, or InvalidInput for an impossible phone number."""
    if isinstance(name, UserId):
        user = ledger.store.user_by_id(name.id)
    else:
        user = _find_by_phone(ledger, name.digits, name.typed)
    if user is None:
        raise no_user(name)
    return user


def no_user(name: UserName) -> UserNotFound:
    """The error for a user who does not exist."""
    text = f"id {name.id}" if isinstance(name, UserId) else f"phone number {shown(name.typed)}"
    return UserNotFound(f"there is no user with the {text}", hint="add the user: wallet register PHONE")


def _find_by_phone(ledger: Ledger, digits: str, typed: str) -> User | None:
    """Look up the plain digits first: known numbers are found without the numbering plans (25 ms)."""
    region = ledger.settings.phone_region
    if digits.startswith("+"):
        known = ledger.store.user_by_e164(digits)
    else:
        known = ledger.store.user_by_national(region, digits)
    if known is not None:
        return known
    e164 = parse_phone(typed, check_region(region)).e164
    return ledger.store.user_by_e164(e164) or _in_other_form(ledger, e164)


def _in_other_form(ledger: Ledger, e164: str) -> User | None:
    """The user of a number that an earlier version kept in another form, or None."""
    return next(filter(None, map(ledger.store.user_by_e164, other_forms(e164))), None)
