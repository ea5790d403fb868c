"""Finding users by name or number, and transactions by their notes; linear in the size of the ledger."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from itertools import islice

from wallet_cli.domain.ids import check_wanted
from wallet_cli.domain.model import User
from wallet_cli.domain.names import may_be_name, naming, words_of
from wallet_cli.domain.phone import phone_digits
from wallet_cli.domain.text import containing
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.operations import day_book
from wallet_cli.operations.answers import Answer, user_answer
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.pages import DEFAULT_LIMIT, Paged, paged
from wallet_cli.operations.transactions import Wanted

MOST_NAMED = 10
"""How many users with the same name are listed; one more is searched, to know whether there are more."""

MOST_COMPARED = 10_000
"""How many users' names are compared letter by letter if nobody has the requested name."""

MOST_SIMILAR = 3
LIKE = 0.7
"""The least similarity of two names that may be confused: 2 × common letters / letters of both."""

LEAST_DIGITS = 3
"""How many digits a search in numbers needs."""


def named(ledger: Ledger, name: str) -> Answer:
    """The `users` whose name is `name`, begins with it, or contains it as a word, at most MOST_NAMED + 1; if there are
    none, users with a `similar` name. Raises InvalidInput for a text that is not a name.
    """
    if not may_be_name(name):
        raise InvalidInput(
            f"not a name: {shown(name)}", hint="a name begins with a letter, and is not an id or a number"
        )
    fits = naming(name)
    found = _users(ledger, lambda user: user.name is not None and fits(user.name), MOST_NAMED + 1)
    similar = [] if found else _similar(ledger, name)
    return {"users": list(map(user_answer, found)), "similar": list(map(user_answer, similar))}


def find(ledger: Ledger, text: str, limit: int = DEFAULT_LIMIT, *, examined: int | None = None) -> Answer:
    """Users by a name or number that contains `text`, and transactions by a note: `users, more_users, transactions,
    next_cursor`, at most `limit` of each. `examined` is as in transactions.listed. Raises InvalidInput.
    """
    found = users(ledger, text).page(limit, None, False)
    page = day_book.listed(ledger, limit=limit, wanted=Wanted(text=text), examined=examined)
    return {"users": found["users"], "more_users": found["next_cursor"] is not None, **page}


def users(ledger: Ledger, text: str) -> Paged:
    """The users by a name or number that contains `text`, as they registered. Raises InvalidInput."""
    check_found(text)
    in_text, digits = containing(text), digits_of(text)
    if len(digits) < LEAST_DIGITS:
        digits = ""

    def fits(user: User) -> bool:
        if user.name is not None and in_text(user.name):
            return True
        return bool(digits) and (digits in user.phone_e164 or digits in (user.phone_national or ""))

    def read(after: int, limit: int) -> Iterator[tuple[int, Answer]]:
        with ledger.store.snapshot():
            found = filter(fits, ledger.store.users_after(after, -1))
            for user in islice(found, limit if limit >= 0 else None):
                yield user.id, user_answer(user)

    return paged("users", read, lambda: None)


def check_found(text: str) -> None:
    """Raises InvalidInput for a text that cannot be searched."""
    if not check_wanted(text).strip():
        raise InvalidInput("there is nothing to find", hint="give a part of a name, of a number or of a note")


def _users(ledger: Ledger, fits: Callable[[User], bool], most: int) -> list[User]:
    """The first `most` users that match."""
    with ledger.store.snapshot():
        return list(islice(filter(fits, ledger.store.users_after(0, -1)), most))


def digits_of(text: str) -> str:
    """The digits to search in numbers, if they are LEAST_DIGITS or more; empty if the text cannot be part of one."""
    try:
        return phone_digits(text)
    except InvalidInput:
        return ""


def _similar(ledger: Ledger, name: str) -> list[User]:
    """Users whose name, or a word of it, is similar to the requested one, the most similar first.

    Words may be in another order, and accents left out.
    """
    from difflib import SequenceMatcher

    asked = _without_accents(words_of(name))
    matchers = [SequenceMatcher(b=text) for text in dict.fromkeys((asked, _in_order(asked)))]

    def likeness(user: User) -> float:
        held = _without_accents(words_of(str(user.name)))
        best = 0.0
        for matcher in matchers:
            for text in dict.fromkeys((held, _in_order(held), *held.split())):
                matcher.set_seq1(text)
                if matcher.quick_ratio() >= LIKE:
                    best = max(best, matcher.ratio())
        return best

    compared = [(likeness(user), user) for user in _users(ledger, lambda user: user.name is not None, MOST_COMPARED)]
    likest = sorted((each for each in compared if each[0] >= LIKE), key=lambda each: (-each[0], each[1].id))
    return [user for _, user in likest[:MOST_SIMILAR]]


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _in_order(text: str) -> str:
    return " ".join(sorted(text.split()))
