"""What `wallet mcp` offers to agents: a tool for each operation of LedgerApi that one may need, and what it takes.

Those that move money or make something take a key, so that a call whose answer was lost can be made again: it is
applied once. Those that say how something is to be (limits, a status, the end of a hold) do no more the second time.
What is for the people who run the ledger (closing, keys, settings, files) is not here.
To add a tool: a Tool here, and its answer in schemas.py if no command has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from wallet_cli.domain.ids import parse_hold_id, parse_new_wallet, parse_transaction_id, parse_user, parse_wallet
from wallet_cli.domain.model import ACTIVE, FROZEN
from wallet_cli.domain.remarks import FIELDS, TEXTS, Remarks, Text
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.hints import replaced
from wallet_cli.operations.pages import DEFAULT_LIMIT, MAX_LIMIT
from wallet_cli.operations.transactions import Wanted

if TYPE_CHECKING:
    from wallet_cli.api import LedgerApi
    from wallet_cli.domain.ids import TypedWallet
    from wallet_cli.operations.answers import Answer
    from wallet_cli.operations.pages import Paged

MAX_STATEMENT_LINES = 1000
TYPES: Mapping[str, type] = {"string": str, "integer": int, "boolean": bool, "object": dict}


class Argument(NamedTuple):
    """What a tool takes: for whom it is described, its JSON type, how its value is read, and a name for Python."""

    about: str
    type: str = "string"
    read: Callable[[Any], Any] | None = None
    name: str | None = None


class Tool(NamedTuple):
    """A tool: its `name`, what it is for, its answer's schema, how it is called, what it needs and what it may have."""

    name: str
    about: str
    answer: str
    call: Callable[..., Answer]
    needs: Mapping[str, Argument] = {}
    may: Mapping[str, Argument] = {}
    sets: bool = False
    """Whether it writes without a key: done twice, it is as if it were done once."""
    notes: bool = False
    """Whether it reads, and notes in the ledger what it finds, unless it is called with `notes=False`."""

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.sets or "key" in self.needs

    def takes(self) -> Mapping[str, Argument]:
        """All of its arguments."""
        return {**self.needs, **self.may}

    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of its arguments."""
        described = {name: {"type": each.type, "description": each.about} for name, each in self.takes().items()}
        return {"type": "object", "properties": described, "required": list(self.needs), "additionalProperties": False}

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Its arguments for Python. Raises InvalidInput for one that is missing, unknown or of another type."""
        known = self.takes()
        for name in self.needs:
            if given.get(name) is None:
                raise InvalidInput(f"{self.name} needs {name}", hint=self.needs[name].about)
        found = {}
        for name in given:
            if name not in known:
                raise InvalidInput(f"{self.name} takes no {shown(name)}", hint=f"it takes: {', '.join(known)}")
        for name, argument in known.items():
            value = given.get(name)
            if value is None:
                continue
            if type(value) is not TYPES[argument.type]:
                article = "an" if argument.type[0] in "aeiou" else "a"
                raise InvalidInput(f"{name} is not {article} {argument.type}", hint=argument.about)
            found[argument.name or name] = value if argument.read is None else argument.read(value)
        return found


def _text(text: Text) -> Argument:
    return Argument(f"{text.about and text.about + ', '}up to {text.most} characters")


def _said(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked, with its remarks as one value."""
    rest = {name: value for name, value in asked.items() if name not in FIELDS}
    return {**rest, "remarks": Remarks.of(asked)}


WALLET = Argument(
    "USER or USER/TYPE, such as 9886977544 or 1/savings; or wN, the wallet with the id N", read=parse_wallet
)
NEW_WALLET = Argument("USER or USER/TYPE, such as 9886977544 or 1/savings", read=parse_new_wallet)
USER = Argument("a phone number, or a user id", read=parse_user)
AMOUNT = Argument('decimal text greater than 0, such as "19.99"')
NOTE = _text(TEXTS["note"])
KEY = Argument(
    "your own name for this act, 1 to 255 characters: the same call with the same key is applied once, so make it from"
    " what the act is, and call again with it when an answer is lost"
)
META = Argument("a JSON object of your own, at most 4 KiB", "object")
TOOL_OF = {
    **{name: name for name in ("register", "users", "balance", "history", "find", "credit", "debit", "transfer")},
    **{name: name for name in ("statement", "audit", "verify", "limits", "freeze", "unfreeze")},
    "create": "create_wallet",
    "list": "wallets",
    "tx list": "transactions",
    "tx show": "transaction",
    "tx reverse": "reverse",
    "tx total": "total",
    "ledger show": "ledger",
    "hold list": "holds",
    "hold add": "hold",
    "hold capture": "capture",
    "hold void": "void",
}
"""The tool that does what a command does."""

PAIRS = (
    ("--exist-ok accepts the existing user", "the tool find finds the existing user"),
    ("--exist-ok accepts an existing wallet in the same currency", "the tool balance shows that one"),
)
"""What a hint says on the command line, and to agents, where no command or option has a name here."""

_COMMAND = re.compile(
    rf"`?\bwallet ({'|'.join(TOOL_OF)})\b(?: (?:[A-Z]+\b(?:/[A-Z]+\b)?|id:\S+|--[a-z-]+(?: \d+)?))*`?"
    r"|`wallet [^`]*`|\bwallet [^;`]*--[^;`]*"
)
"""A command line that a tool does, whose command is the group; or another one, as far as its options."""
_OPTION = re.compile(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)( \d+)?")


def for_agents(hint: str) -> str:
    """A hint, which is written for the command line, for somebody who calls tools.

    What only commands can do, at the machine of the ledger, stays as it is.
    """
    hint, told, end = replaced(hint, PAIRS), "", 0
    for command in _COMMAND.finditer(hint):
        told += f"{_arguments_in(hint[end : command.start()])}{_tool_in(command)}"
        end = command.end()
    return told + _arguments_in(hint[end:])


def _arguments_in(text: str) -> str:
    """Text between commands; as it is, where an option in it belongs to no tool."""
    known = {name for tool in TOOLS for name in tool.takes()}
    if not known.issuperset(map(_argument, _OPTION.finditer(text))):
        return text
    return _OPTION.sub(lambda option: f"`{_argument(option)}`{option[2] or ''}", text)


def _tool_in(command: re.Match[str]) -> str:
    """The tool that does what the command line does; the line as it is, where there is none with its options."""
    options = [*_OPTION.finditer(command[0])]
    takes = {name for tool in TOOLS if tool.name == TOOL_OF.get(command[1]) for name in tool.takes()}
    if command[1] is None or not takes.issuperset(map(_argument, options)):
        return command[0]
    given = [f"{_argument(option)}{option[2] or ''}" for option in options]
    return f"the tool {TOOL_OF[command[1]]}{' with ' * bool(given)}{' and '.join(given)}"


def _argument(option: re.Match[str]) -> str:
    return option[1].replace("-", "_")


TRANSACTION = Argument("a transaction id, such as 1-17", read=parse_transaction_id, name="id_")
HOLD = Argument("a hold id, such as 1-h3", read=parse_hold_id, name="id_")
TIME = "ISO 8601, in the ledger's time zone where it has no offset"
PERIOD = {
    "from": Argument(f"start of the period: {TIME}", name="start"),
    "to": Argument(f"end of the period, all of the unit that it is written in: {TIME}", name="end"),
}
PAGE = {
    "limit": Argument(f"how many, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} where it is left out", "integer"),
    "cursor": Argument("the next_cursor of the page before"),
}
FILTERS = {
    "kind": Argument("credit, debit, transfer, capture or reversal"),
    "min": Argument("amounts from this on", name="least"),
    "max": Argument("amounts up to this", name="most"),
    "text": Argument("notes with this in them"),
    "key": Argument("the one with this key"),
}
LIMITS = {
    "minimum_balance": Argument("no debit goes below it; below 0, an overdraft; `none` for the ledger's"),
    "maximum_balance": Argument("no credit goes above it; `none` for no such limit"),
    "daily_debit": Argument("the most that debits of a day may take; `none` for no such limit"),
}
REMARKS = {name: _text(TEXTS[name]) if name in TEXTS else META for name in FIELDS}


def _matching(
    read: Callable[[str | None, str | None, Wanted], Paged],
    start: str | None = None,
    end: str | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    **wanted: str,
) -> Answer:
    """A page of what matches."""
    return read(start, end, Wanted(**wanted)).page(limit, cursor, True)


def _statement(ledger: LedgerApi, **asked: Any) -> Answer:
    import json

    from wallet_cli.operations.statements import json_of

    with ledger.statement(**asked) as statement:
        statement.must_have_at_most(MAX_STATEMENT_LINES, "a statement here", "give a shorter period")
        found: Answer = json.loads("".join(json_of(statement)))
    return found


def _listed(paged: Any, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Answer:
    page: Answer = paged.page(limit, cursor, True)
    return page


def _set_limits(ledger: LedgerApi, wallet: TypedWallet, **limits: str) -> Answer:
    if not limits:
        raise InvalidInput("limits needs one of its limits", hint=f"give {', '.join(LIMITS)}")
    return ledger.set_limits(wallet, **limits)


TOOLS = (
    Tool(
        *("ledger", "What the ledger says of itself: currency, time zone, region.", "LedgerHere"),
        lambda ledger: ledger.facts(),
    ),
    Tool(
        *("users", "List users, in the order in which they registered.", "UserPage"),
        lambda ledger, text=None, **page: _listed(ledger.users(text), **page),
        may={"text": Argument("names and numbers with this in them; of a number, 3 digits or more"), **PAGE},
    ),
    Tool(
        *("wallets", "List wallets with their balances: all, or those of a user.", "WalletPage"),
        lambda ledger, user=None, **page: _listed(ledger.wallets(user), **page),
        may={"user": USER, **PAGE},
    ),
    Tool(
        *("balance", "What a wallet holds, now or at a time past.", "WalletThen"),
        lambda ledger, **asked: ledger.balance(**asked),
        {"wallet": WALLET},
        {"at": Argument(f"a time past: {TIME}")},
    ),
    Tool(
        *("transactions", "List a wallet's transactions, the newest first.", "TransactionPage"),
        lambda ledger, wallet, **asked: _matching(partial(ledger.transactions, wallet), **asked),
        {"wallet": WALLET},
        {**PERIOD, **FILTERS, **PAGE},
    ),
    Tool(
        *("history", "The day book: transactions of all wallets, the newest first.", "EntryPage"),
        lambda ledger, **asked: _matching(ledger.history, **asked),
        may={**PERIOD, **FILTERS, **PAGE},
    ),
    Tool(
        *("find", "Look a text up in names, phone numbers and notes.", "Found"),
        lambda ledger, text, limit=DEFAULT_LIMIT: ledger.find(text, limit),
        {"text": Argument("what to look for")},
        {"limit": PAGE["limit"]},
    ),
    Tool(
        *("transaction", "Show a transaction, and how much of it has been reversed.", "TransactionDetail"),
        lambda ledger, **asked: ledger.transaction(**asked),
        {"id": TRANSACTION},
    ),
    Tool(
        *("total", "Total a wallet's credits and debits over a period.", "Total"),
        lambda ledger, **asked: ledger.total(**asked),
        {"wallet": WALLET},
        PERIOD,
    ),
    Tool(
        *("statement", f"A wallet's statement, of at most {MAX_STATEMENT_LINES} transactions.", "Statement"),
        _statement,
        {"wallet": WALLET},
        PERIOD,
    ),
    Tool(
        *("holds", "List a wallet's holds, the newest first.", "HoldPage"),
        lambda ledger, wallet, **page: _listed(ledger.holds(wallet), **page),
        {"wallet": WALLET},
        PAGE,
    ),
    Tool(
        *(
            "audit",
            "Show the audit log: who did what to users, wallets, holds and keys, the newest first.",
            "EventPage",
        ),
        lambda ledger, wallet=None, user=None, **page: _listed(ledger.audit(wallet, user), **page),
        may={"wallet": WALLET, "user": USER, **PAGE},
    ),
    Tool(
        *("verify", "Work out every total and hash again, of one wallet or of all.", "Verification"),
        lambda ledger, **asked: ledger.verify(**asked),
        may={"wallet": WALLET},
        notes=True,
    ),
    Tool(
        *("register", "Register a user by phone number.", "User"),
        lambda ledger, **asked: ledger.register(**asked),
        {"phone_number": Argument("such as 9886977544 or +919886977544"), "key": KEY},
        {"name": Argument("up to 200 characters")},
    ),
    Tool(
        *("create_wallet", "Open a wallet for a user; a user has at most one of each type.", "Wallet"),
        lambda ledger, **asked: ledger.create(**asked),
        {"wallet": NEW_WALLET, "key": KEY},
        {
            "currency": Argument("such as INR, or CODE/N for another unit with N fraction digits"),
            "minimum_balance": Argument("no debit goes below it"),
        },
    ),
    Tool(
        *("credit", "Put money into a wallet.", "Transaction"),
        lambda ledger, **asked: ledger.add(is_credit=True, **_said(asked)),
        {"wallet": WALLET, "amount": AMOUNT, "key": KEY},
        REMARKS,
    ),
    Tool(
        *("debit", "Take money out of a wallet.", "Transaction"),
        lambda ledger, **asked: ledger.add(is_credit=False, **_said(asked)),
        {"wallet": WALLET, "amount": AMOUNT, "key": KEY},
        REMARKS,
    ),
    Tool(
        *("transfer", "Move money from one wallet to another, within one currency.", "Transfer"),
        lambda ledger, **asked: ledger.transfer(**_said(asked)),
        {
            "from_wallet": WALLET._replace(name="source"),
            "to_wallet": WALLET._replace(name="target"),
            "amount": AMOUNT,
            "key": KEY,
        },
        REMARKS,
    ),
    Tool(
        *("reverse", "Reverse a transaction, or a part of it, by a new one.", "Transaction"),
        lambda ledger, **asked: ledger.reverse(**_said(asked)),
        {"id": TRANSACTION, "key": KEY},
        {"amount": AMOUNT, **REMARKS},
    ),
    Tool(
        *("hold", "Keep money of a wallet from being spent, to be captured later.", "Hold"),
        lambda ledger, **asked: ledger.hold(**asked),
        {
            "wallet": WALLET,
            "amount": AMOUNT,
            "expires": Argument("for how long it is kept, such as 12h or 7d"),
            "key": KEY,
        },
        {"note": NOTE},
    ),
    Tool(
        *("capture", "Debit what a hold keeps, or a part of it; the rest is released.", "Transaction"),
        lambda ledger, **asked: ledger.capture(**asked),
        {"id": HOLD, "key": KEY},
        {
            "amount": AMOUNT,
            "keep": Argument("keep the rest for a later capture", "boolean"),
            "note": NOTE,
        },
    ),
    Tool(
        *("void", "Release what a hold keeps. Done again, it is refused with hold_not_open.", "Hold"),
        lambda ledger, **asked: ledger.void(**asked),
        {"id": HOLD},
        sets=True,
    ),
    Tool(
        *("limits", "Set the limits of a wallet that are given.", "Wallet"),
        _set_limits,
        {"wallet": WALLET},
        LIMITS,
        True,
    ),
    Tool(
        *("freeze", "Let nothing into or out of a wallet.", "Wallet"),
        lambda ledger, wallet: ledger.set_status(wallet, FROZEN),
        {"wallet": WALLET},
        sets=True,
    ),
    Tool(
        *("unfreeze", "Make a frozen wallet active again.", "Wallet"),
        lambda ledger, wallet: ledger.set_status(wallet, ACTIVE),
        {"wallet": WALLET},
        sets=True,
    ),
)
"""Every tool, those that read first."""
