"""The whole ledger as text, from one snapshot, in constant memory, while others write.

An import of `jsonl` into an empty ledger makes the same ledger, and exporting that gives the same bytes. First comes a
line about the export, then users, wallets, all transactions (one wallet after the other, each in order), holds, the
final state of each wallet with its head hash, the events of users and wallets, and at the end the number of records.
`csv` has the transactions only, for spreadsheets. The journals of other programs are in journals.py.

Lines are built by hand and not by a JSON library: this makes writing a million lines as fast as reading them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from json.encoder import encode_basestring_ascii as quoted  # in C, if available
from typing import Any

from wallet_cli.domain.events import KINDS, USER, WALLET
from wallet_cli.domain.ids import MAX_ID, WalletRef, format_hold_id
from wallet_cli.domain.model import Account, Event, Hold, User
from wallet_cli.domain.money import Currency, format_minor
from wallet_cli.domain.period import DAY_US, format_time
from wallet_cli.domain.remarks import NO_OTHERS, OTHERS, TEXTS
from wallet_cli.domain.text import csv_lines
from wallet_cli.errors import InvalidInput, StorageError, shown
from wallet_cli.import_export.rows import (
    DAYS,
    SECONDS,
    VERSION,
    Named,
    Row,
    Scope,
    accounts,
    by_wallet,
    money_text,
    named_wallets,
    wallet_named,
)
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.wallets import find_account
from wallet_cli.settings import LEDGER_SETTINGS

FORMATS = ("jsonl", "csv", "hledger", "beancount")
LINES_AT_ONCE = 1000

OTHERS_AT = -len(OTHERS)


def export(ledger: Ledger, form: str = "jsonl", wallet: WalletRef | None = None) -> Iterator[str]:
    """The ledger, or one wallet of it, as text in parts of many lines. Raises InvalidInput, or NotFound for the wallet.

    The first part is made at once, so that an error is known before anything is written.
    """
    if form not in FORMATS:
        raise InvalidInput(f"not a format of exports: {shown(form)}", hint=f"one of {', '.join(FORMATS)}")
    with ledger.store.snapshot():
        ledger.must_be_whole()
        scope = Scope(1, MAX_ID, True)
        if wallet is not None:
            id_ = find_account(ledger, wallet).wallet.id
            scope = Scope(id_, id_, False)
        if form == "jsonl":
            yield from _joined(_json_lines(ledger, scope))
        elif form == "csv":
            yield from _joined(_csv(ledger, scope))
        else:
            from wallet_cli.import_export import journals

            yield from _joined(journals.journal(ledger, scope, form))


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Lines, ends included, in parts of many."""
    rest = iter(lines)
    while part := "".join(islice(rest, LINES_AT_ONCE)):
        yield part


# JSON lines.


def _json_lines(ledger: Ledger, scope: Scope) -> Iterator[str]:
    count = 0
    for count, line in enumerate(_record_lines(ledger, scope), 1):  # noqa: B007  (the last one's is used)
        yield line
    yield _line({"record": "end", "records": count})


def _record_lines(ledger: Ledger, scope: Scope) -> Iterator[str]:
    yield _line({"record": "ledger", "version": VERSION} | _own_settings(ledger))
    if scope.whole:
        users: Iterable[User] = ledger.store.users()
    else:
        users = _owners(ledger, scope)
    yield from (_line(_user_record(user)) for user in users)
    for named in named_wallets(ledger, scope):
        yield _line(_wallet_record(named))
    for named, rows in by_wallet(ledger, scope):
        yield from _transaction_lines(named, rows)
    yield from _hold_lines(ledger, scope)
    yield from _state_lines(ledger, scope)
    yield from map(_event_line, _events(ledger, scope))


def _own_settings(ledger: Ledger) -> dict[str, str]:
    """The settings that the ledger keeps, without its id: a restored copy is another ledger."""
    facts = ledger.store.itself().facts
    return {name: getattr(facts, name) for name in LEDGER_SETTINGS if getattr(facts, name) is not None}


def _owners(ledger: Ledger, scope: Scope) -> Iterator[User]:
    for wallet, _ in ledger.store.named_wallets(scope.first, scope.last):
        user = ledger.store.user_by_id(wallet.user_id)
        if user is None:
            raise StorageError(f"there is no user {wallet.user_id}", hint="for details: wallet verify")
        yield user


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":")) + "\n"


def _user_record(user: User) -> dict[str, Any]:
    return {
        "record": "user",
        "id": user.id,
        "phone_number": user.phone_number,
        "phone_e164": user.phone_e164,
        "phone_region": user.phone_region,
        "phone_national": user.phone_national,
        "name": user.name,
        "created_at": format_time(user.created_at_us),
        **({} if user.key is None else {"key": user.key}),
    }


def _wallet_record(named: Named) -> dict[str, Any]:
    wallet = named.wallet
    # As it was at its opening: the state at the end of the export has the present limits.
    return {
        "record": "wallet",
        "id": wallet.id,
        "wallet": named.name,
        "currency": wallet.currency.name,
        **({} if wallet.currency.is_plain else {"digits": wallet.currency.exponent}),
        "minimum_balance": _limit(wallet.opening_minimum, wallet.currency),
        "created_at": format_time(wallet.created_at_us),
        **({} if wallet.key is None else {"key": wallet.key}),
    }


def _transaction_lines(named: Named, rows: Iterator[Row]) -> Iterator[str]:
    money = money_text(named.wallet.currency)
    begin, then = f'{{"id":"{named.wallet.id}-', f'","wallet":{quoted(named.name)},"kind":"'
    for row in rows:
        (
            wallet_id, seq, is_credit, amount, at_us, key, peer_id, peer_seq, reverses, hold, forced, user_key, actor,
            _, note,
        ) = row[:OTHERS_AT]  # fmt: skip
        kind = "credit" if is_credit else "debit"
        day, second = DAYS[at_us // DAY_US], SECONDS[at_us // 1_000_000 % 86_400]
        line = f'{begin}{seq}{then}{kind}","amount":"{money(amount)}","at":"{day}{second}{at_us % 1_000_000:06}Z"'
        if note is not None:
            line += f',"note":{quoted(note)}'
        if key is not None:
            line += f',"key":{quoted(key)}'
        others = row[OTHERS_AT:]
        if others != NO_OTHERS:
            for name, said in zip(OTHERS, others, strict=True):
                if said is not None:
                    line += f',"{name}":{quoted(said) if name in TEXTS else said}'
        if peer_id is not None:
            line += f',"transfer":"{peer_id}-{peer_seq}"'
        if reverses is not None:
            line += f',"reverses":"{wallet_id}-{reverses}"'
        if hold is not None:
            line += f',"hold":"{format_hold_id(wallet_id, hold)}"'
        if forced:
            line += ',"forced":true'
        if user_key:
            line += ',"user_key":true'
        if actor is not None:
            line += f',"actor":{quoted(actor)}'
        yield line + "}\n"


def _hold_lines(ledger: Ledger, scope: Scope) -> Iterator[str]:
    holds = ledger.store.holds_in_order() if scope.whole else ledger.store.holds_in_order(scope.first)
    wallets = named_wallets(ledger, scope)
    named: Named | None = None
    for hold in holds:
        if named is None or named.wallet.id != hold.wallet_id:
            named = wallet_named(wallets, hold.wallet_id)
        yield _line(_hold_record(hold, named))


def _hold_record(hold: Hold, named: Named) -> dict[str, Any]:
    currency = named.wallet.currency
    return {
        "record": "hold",
        "id": format_hold_id(hold.wallet_id, hold.number),
        "wallet": named.name,
        "amount": format_minor(hold.amount, currency),
        "captured": format_minor(hold.captured, currency),
        "status": hold.status,
        "created_at": format_time(hold.created_at_us),
        "expires_at": format_time(hold.expires_at_us),
        "ended_at": None if hold.ended_at_us is None else format_time(hold.ended_at_us),
        "note": hold.note,
        "key": hold.key,
    }


def _state_lines(ledger: Ledger, scope: Scope) -> Iterator[str]:
    for account, named in zip(accounts(ledger, scope), named_wallets(ledger, scope), strict=True):
        yield _line(_state_record(account, named.name))


def _state_record(account: Account, name: str) -> dict[str, Any]:
    wallet, last = account.wallet, account.last
    return {
        "record": "state",
        "wallet": name,
        "status": wallet.status,
        "minimum_balance": _limit(wallet.own_minimum, wallet.currency),
        "maximum_balance": _limit(wallet.maximum, wallet.currency),
        "daily_debit": _limit(wallet.daily_debit, wallet.currency),
        "transactions": last.seq,
        "hash": last.hash.hex(),
    }


def _events(ledger: Ledger, scope: Scope) -> Iterator[Event]:
    """The events of users and wallets; those of the ledger itself are of this ledger, and not of a copy."""
    if scope.whole:
        yield from ledger.store.events_in_order(USER)
    else:
        for user in _owners(ledger, scope):
            yield from ledger.store.events_in_order(USER, user.id, user.id)
    yield from ledger.store.events_in_order(WALLET, scope.first, scope.last)


def _event_line(event: Event) -> str:
    head = {
        "record": "event",
        "of": KINDS[event.kind],
        "id": event.subject_id,
        "number": event.number,
        "at": format_time(event.at_us),
        "actor": event.actor,
        "event": event.what,
        "hash": event.hash.hex(),
    }
    return f'{_line(head)[:-2]},"details":{event.details}}}\n'


def _limit(minor: int | None, currency: Currency) -> str | None:
    return None if minor is None else format_minor(minor, currency)


# CSV.


def _csv(ledger: Ledger, scope: Scope) -> Iterator[str]:
    from wallet_cli.import_export.imports.reading import EXPORTED_COLUMNS  # an export can be imported

    rows = chain.from_iterable(_csv_rows(named, rows) for named, rows in by_wallet(ledger, scope))
    return csv_lines(chain([EXPORTED_COLUMNS], rows))


def _csv_rows(named: Named, rows: Iterator[Row]) -> Iterator[Row]:
    name, currency = named.name, named.wallet.currency
    money, unit = money_text(currency), currency.written
    for row in rows:
        (
            wallet_id, seq, is_credit, amount, at_us, key, peer_id, peer_seq, reverses, hold, forced, user_key, actor,
            after, note,
        ) = row[:OTHERS_AT]  # fmt: skip
        yield (
            name,
            money(amount),
            "credit" if is_credit else "debit",
            f"{DAYS[at_us // DAY_US]}{SECONDS[at_us // 1_000_000 % 86_400]}{at_us % 1_000_000:06}Z",
            note,
            key,
            *row[OTHERS_AT:],
            f"{wallet_id}-{seq}",
            money(after),
            unit,
            None if peer_id is None else f"{peer_id}-{peer_seq}",
            None if reverses is None else f"{wallet_id}-{reverses}",
            None if hold is None else format_hold_id(wallet_id, hold),
            "true" if forced else None,
            "true" if user_key else None,
            actor,
        )
