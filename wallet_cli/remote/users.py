"""Registering and finding users, by way of a server."""

from __future__ import annotations

from collections.abc import Iterator

from wallet_cli.domain.address import UserName, check_name
from wallet_cli.domain.phone import phone_digits
from wallet_cli.errors import UserExists
from wallet_cli.remote import RemoteLedger, user_text
from wallet_cli.remote.pages import one_by_one, part_of
from wallet_cli.services.answers import Answer
from wallet_cli.services.pages import check_limit, parse_after


def register(ledger: RemoteLedger, phone_number: str, name: str | None = None, *, exist_ok: bool = False) -> Answer:
    phone_digits(phone_number)
    if name is not None:
        check_name(name)
    body = {"phone_number": phone_number, "name": name, "phone_region": ledger.region}
    try:
        # Only who accepts a user that is there may be told of the one that a lost try made.
        made: Answer = ledger.server.post("/users", body, again=exist_ok)
    except UserExists:
        if not exist_ok:
            raise
        made = ledger.server.get("/lookup/user", user=phone_number, region=ledger.region)
    return made


def page_of(ledger: RemoteLedger, limit: int, cursor: str | None, counted: bool = False) -> Answer:
    check_limit(limit)
    parse_after(cursor)
    page: Answer = ledger.server.get("/users", **part_of(limit, cursor, counted))
    return page


def all_of(ledger: RemoteLedger, limit: int | None, cursor: str | None) -> Iterator[Answer]:
    return one_by_one(lambda *part: page_of(ledger, *part), "users", limit, cursor)


def find_user(ledger: RemoteLedger, name: UserName) -> Answer:
    found: Answer = ledger.server.get("/lookup/user", user=user_text(name), region=ledger.region)
    return found
