"""The one list of fields: what each answer has, on the command line and over HTTP alike, in the order in which it is
shown.

CSV columns, the schemas of the OpenAPI document and the tables of docs/ are made from it. Creating these classes takes
milliseconds: import this for type checking, or where the fields themselves are needed.

Text in `Annotated` says what a field means. The format of a kind of value (`Money`, `Time` …) is in web/responses.py.
Fields may be added; none is renamed or removed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

Id = int
Count = int
Version = int
Money = str
Time = str
PhoneNumber = str
E164 = str
CurrencyName = str
TypeName = str
WalletName = str
TransactionId = str
HoldId = str
EventId = str
KeyName = str
Secret = str
Uuid = str
Code = str
Status = int
Metadata = dict[str, Any]
Details = dict[str, Any]
Replayed = bool
Cursor = str | None
WholeCount = int | None
TransactionKind = Literal["credit", "debit"]
MovementKind = Literal[
    "credit", "debit", "transfer_in", "transfer_out", "capture", "reversal_in", "reversal_out"
]  # operations/statements.py KINDS
WalletStatus = Literal["active", "frozen", "closed"]
Via = Literal["key", "token", "terminal", "import", "no-auth"]
EventSubject = Literal["ledger", "user", "wallet"]
Unit = Literal["day", "week", "month"]
HoldStatus = Literal["open", "captured", "voided", "expired"]


class User(TypedDict):
    """A user."""

    id: Id
    phone_number: Annotated[PhoneNumber, "As typed."]
    phone_e164: E164
    name: str | None
    created_at: Time
    replayed: NotRequired[Replayed]


class Wallet(TypedDict):
    """A wallet, with its balance."""

    id: Id
    user_id: Id
    type: TypeName
    currency: CurrencyName
    status: WalletStatus
    balance: Money
    held: Annotated[Money, "The sum that its open holds keep."]
    available: Annotated[Money, "What a debit may take now."]
    minimum_balance: Money
    transactions: Count
    created_at: Time
    maximum_balance: Annotated[Money | None, "Null: no limit."]
    daily_debit: Annotated[Money | None, "Null: no limit."]
    wallet: WalletName
    replayed: NotRequired[Replayed]


class WalletThen(Wallet):
    """A wallet with its balance at a time. Of a past time, no holds are counted; status and limits are those of now."""

    at: NotRequired[Annotated[Time, "The requested moment, if the request has one."]]


class Transaction(TypedDict):
    """A credit or debit."""

    id: TransactionId
    wallet_id: Id
    seq: Id
    kind: TransactionKind
    is_credit: bool
    amount: Money
    balance: Annotated[Money, "The wallet's balance just after it."]
    currency: CurrencyName
    at: Time
    note: str | None
    key: str | None
    meta: NotRequired[Annotated[Metadata, "The metadata given with it."]]
    transfer: NotRequired[Annotated[TransactionId, "The other transaction of a transfer."]]
    reverses: NotRequired[Annotated[TransactionId, "The transaction that it reverses, in part or whole."]]
    hold: NotRequired[Annotated[HoldId, "The hold that it captures, in part or whole."]]
    forced: NotRequired[Annotated[bool, "True if an operator forced it past minimums and limits."]]
    user_key: NotRequired[Annotated[bool, "True if the key is a user's. Keys of users and of operators are separate."]]
    via: NotRequired[Annotated[Via, "How who did it was known."]]
    actor: NotRequired[Annotated[str, "Who did it: `shop`, `user:7`, `asha`, `import customers.csv`."]]
    replayed: NotRequired[Replayed]


class Entry(Transaction):
    """A transaction in the day book, which is of all wallets."""

    wallet: NotRequired[Annotated[WalletName, "Where it is of all wallets."]]
    name: NotRequired[Annotated[str | None, "The owner's, there."]]


class Event(TypedDict):
    """Something that was done to a user, a wallet, a hold, an operator key, or the ledger itself."""

    id: EventId
    at: Time
    event: Annotated[str, "What was done, in words."]
    of: Annotated[EventSubject, "What it is about. Holds belong to wallets, operator keys to the ledger."]
    user_id: Annotated[Id | None, "Whose it is."]
    name: Annotated[str | None, "The user's."]
    wallet: WalletName | None
    currency: Annotated[CurrencyName | None, "The wallet's, in which amounts are."]
    via: Annotated[Via | None, "How who did it was known. Null: this was not kept then."]
    actor: Annotated[str | None, "Who did it."]
    details: Annotated[Details, "What was changed, as it was after that."]


class TransactionDetail(Transaction):
    """A transaction, and how much of it has been reversed."""

    reversed: Annotated[Money, "How much of it was reversed."]
    reversals: Annotated[list[TransactionId], "The transactions that reversed it."]


class Transfer(TypedDict):
    """Both transactions of a transfer."""

    id: Annotated[TransactionId, "The id of the debit."]
    debit: Transaction
    credit: Transaction
    replayed: NotRequired[Replayed]


class Hold(TypedDict):
    """Money that is kept from being spent."""

    id: HoldId
    wallet_id: Id
    status: HoldStatus
    amount: Money
    captured: Money
    held: Annotated[Money, "What it still keeps from being spent."]
    currency: CurrencyName
    created_at: Time
    expires_at: Time
    ended_at: Time | None
    note: str | None
    key: str | None
    replayed: NotRequired[Replayed]


class UserPage(TypedDict):
    """A page of users."""

    users: list[User]
    next_cursor: Cursor
    count: NotRequired[WholeCount]


class WalletPage(TypedDict):
    """A page of wallets."""

    wallets: list[Wallet]
    next_cursor: Cursor
    count: NotRequired[WholeCount]


class TransactionPage(TypedDict):
    """A page of transactions, the newest first."""

    transactions: list[Transaction]
    next_cursor: Cursor
    count: NotRequired[WholeCount]


class EntryPage(TypedDict):
    """A page of the day book, the newest first."""

    transactions: list[Entry]
    next_cursor: Cursor
    count: NotRequired[WholeCount]


class EventPage(TypedDict):
    """A page of events, the newest first."""

    events: list[Event]
    next_cursor: Cursor
    count: NotRequired[WholeCount]


class HoldPage(TypedDict):
    """A page of holds, the newest first."""

    holds: list[Hold]
    next_cursor: Cursor
    count: NotRequired[WholeCount]


_MoveEnds = TypedDict("_MoveEnds", {"moved": bool, "from": str, "to": str})
_TypedFrom = TypedDict("_TypedFrom", {"from": Annotated[str, "The first day of it, in the ledger's time zone."]})
_Bounds = TypedDict("_Bounds", {"from": "Time | None", "to": "Time | None"})


class _OfWallet(TypedDict):
    wallet_id: Id
    currency: CurrencyName


class Total(_OfWallet, _Bounds):
    """A wallet's credits and debits over a period."""

    opening_balance: Money
    credit_total: Money
    debit_total: Money
    credit_count: Count
    debit_count: Count
    net: Annotated[Money, "Credits less debits."]
    closing_balance: Money
    wallet: WalletName


class KindTotal(TypedDict):
    """The transactions of one kind in a statement."""

    kind: MovementKind
    count: Count
    amount: Money


class _Holder(TypedDict):
    wallet_id: Id
    user_id: Id
    type: TypeName
    currency: CurrencyName
    phone_e164: E164
    name: str | None


class Holder(_Holder):
    """A wallet, and whose it is."""

    wallet: WalletName


class StatementHead(_Holder, _Bounds):
    """A statement without its lines."""

    opening_balance: Money
    closing_balance: Money
    credit_total: Money
    debit_total: Money
    credit_count: Count
    debit_count: Count
    net: Annotated[Money, "Credits less debits."]
    wallet: WalletName


class Statement(StatementHead):
    """A wallet over a period."""

    totals: Annotated[list[KindTotal], "One for each kind that occurs."]
    transactions: Annotated[list[Transaction], "The oldest first."]


class ChartPoint(TypedDict):
    """The balance from a moment on."""

    at: Time
    balance: Money


class ChartFlow(_TypedFrom):
    """What went in and out in a day, a week or a month."""

    credit_total: Money
    debit_total: Money
    credit_count: Count
    debit_count: Count
    net: Annotated[Money, "Credits less debits."]
    closing_balance: Money


class Chart(StatementHead):
    """What there is to draw of a wallet over a period."""

    by: Annotated[Unit, "How long each of the flows is."]
    curve: Annotated[list[ChartPoint], "A balance stays until the next point. Long ones are thinned out; peaks stay."]
    flows: Annotated[list[ChartFlow], "Without a gap, the oldest first."]


class Ledger(TypedDict):
    """The ledger's id, and the settings that it keeps."""

    id: Uuid
    schema: Version
    currency: Annotated[CurrencyName | None, "The default currency of new wallets; null: the program's."]
    phone_region: Annotated[str | None, "The region of phone numbers with no `+`."]
    minimum_balance: Annotated[Money | None, "The minimum balance of wallets without their own."]
    timezone: Annotated[str | None, "The time zone of its days, an IANA name; null: UTC."]


class Verification(TypedDict):
    """What was checked."""

    ok: bool
    wallets: Count
    transactions: Count
    sealed_at: NotRequired[Annotated[Time, "When the seal was made that it was compared with."]]
    root: NotRequired[Annotated[str, "The root of that seal."]]
    transaction: NotRequired[Annotated[TransactionId, "What a receipt proves."]]
    reversed: NotRequired[Annotated[Money, "How much of it was reversed until now."]]
    reversals: NotRequired[Annotated[list[TransactionId], "What reversed it until now."]]
    currency: NotRequired[Annotated[CurrencyName, "The transaction's, in which `reversed` is."]]


class Seal(TypedDict):
    """The head of a seal; `--public` prints `public_key` alone."""

    seal: NotRequired[Annotated[int, "The version of its form."]]
    ledger: NotRequired[Annotated[str, "The id of the ledger."]]
    at: NotRequired[Time]
    users: NotRequired[Count]
    wallets: NotRequired[Count]
    holds: NotRequired[Count]
    keys: NotRequired[Count]
    transactions: NotRequired[Count]
    events: NotRequired[Count]
    root: NotRequired[Annotated[str, "One hash for all that was sealed, in hex."]]
    public_key: Annotated[str, "Ed25519, in hex."]
    signature: NotRequired[Annotated[str, "Over the head without it, in hex."]]


class Proof(TypedDict):
    """That a transaction is in the wallet of a receipt."""

    before: Annotated[str, "The hash of the transaction before it, in hex."]
    content: Annotated[str, "Its canonical text, which is hashed after `before`."]
    in_wallet: Annotated[list[str], "The way from its hash to the root of its wallet."]


class Receipt(TypedDict):
    """What proves a transaction with no ledger: docs/seals.md has the lines that check it."""

    receipt: Annotated[int, "The version of its form."]
    transaction: TransactionDetail
    before: Annotated[str, "The hash of the transaction before it, in hex."]
    content: Annotated[str, "Its canonical text, which is hashed after `before`."]
    transactions: Annotated[int, "How many its wallet has in the seal."]
    in_wallet: Annotated[list[str], "The way from its hash to the root of its wallet."]
    reversals: Annotated[list[Proof], "What had reversed it when the seal was made."]
    wallet: Annotated[str, "The line of its wallet in the seal."]
    line: Annotated[int, "Which line of the seal that is, from 0."]
    lines: Annotated[int, "How many lines the seal has."]
    in_seal: Annotated[list[str], "The way from that line to the root of the seal."]
    seal: Seal


class OperatorKey(TypedDict):
    """An operator key, without the key itself."""

    name: KeyName
    read_only: bool
    created_at: Time
    last_used_at: Time | None
    revoked_at: Time | None


class OperatorKeys(TypedDict):
    """All operator keys."""

    keys: list[OperatorKey]


class _Secret(TypedDict):
    key: Annotated[Secret, "Shown only once."]


class CreatedKey(_Secret, OperatorKey):
    """A new operator key."""


class Token(TypedDict):
    """A user's token."""

    token: Secret
    token_type: Literal["Bearer"]
    user_id: Id


class _Counted(TypedDict):
    applied: Annotated[Count, "Transactions and holds."]
    replayed: Annotated[Count, "Those that were applied before."]
    refused: Annotated[Count, "Lines."]
    users_created: Count
    wallets_created: Count


class Named(TypedDict):
    """Users by a name."""

    users: Annotated[list[User], "Whose name it is, begins with it, or has it as a word: the first 11 of them."]
    similar: Annotated[list[User], "Where there is none: whose name is much like it."]


class Found(TypedDict):
    """What a text is found in."""

    users: Annotated[list[User], "By a name or a number, in the order in which they registered."]
    more_users: Annotated[bool, "Whether there are more of them: `GET /users` with that text has all."]
    transactions: Annotated[list[Entry], "By a note, the newest first."]
    next_cursor: Annotated[Cursor, "Where `GET /history` with that text goes on; null: there are no more."]


class FoundLine(TypedDict):
    """A user or a transaction that was found, as a line; null is what the one or the other has not."""

    found: Literal["user", "transaction"]
    id: Id | TransactionId
    wallet: WalletName | None
    name: str | None
    phone_e164: E164 | None
    at: Time | None
    kind: TransactionKind | None
    amount: Money | None
    currency: CurrencyName | None
    note: str | None


class UsedWallet(TypedDict):
    """The wallet that is meant where none is named."""

    wallet: WalletName | None
    id: Id | None


class CurrencySum(TypedDict):
    """What the wallets of one currency hold."""

    currency: CurrencyName
    wallets: Count
    balance: Money


class Overview(TypedDict):
    """What is in the ledger."""

    users: Count
    wallets: Count
    transactions: Count
    currencies: list[CurrencySum]


class RefusedLine(TypedDict):
    """A refused line of a file, and why."""

    line: Id
    code: Code
    message: str
    hint: str | None


class RefusedPartLine(RefusedLine):
    """A refused line of a part of a file, and why."""

    retryable: bool
    details: Details


class ImportSummary(_Counted):
    """The result of the lines of a file."""

    skipped: NotRequired[Annotated[Count, "Lines that were skipped as duplicates, with `duplicates=skip`."]]
    dry_run: NotRequired[Annotated[bool, "True if nothing was changed."]]


class ImportResult(ImportSummary):
    """The result of the lines of a file, and why some were refused."""

    rejects: Annotated[list[RefusedLine], "The refused lines and why, the first 1,000."]


class EarlierLines(TypedDict):
    """Equal lines that an earlier import applied to a wallet."""

    wallet: Annotated[str, "As it was asked for."]
    digest: Annotated[str, "That of the earlier file."]
    content: Annotated[str, "What the lines are, without their time."]
    how_often: Count
    found: Annotated[str, "What the lines are, with the time that the ledger has."]


class PartResult(_Counted):
    """The result of the lines of a part of a file."""

    broken: Annotated[list[str], "Wallets for which a line of an export was refused."]
    ends: NotRequired[
        Annotated[
            dict[str, int],
            "By the name of a wallet: the number of its last transaction when it was looked up, or up to which all that"
            " came since is of this file. Give it with the next part that has lines of this wallet.",
        ]
    ]
    found: NotRequired[
        Annotated[
            list[list[int | str] | EarlierLines],
            "With `find`: the number of a line, and what was asked of it: how often the ledger has it and what it is,"
            " or its wallet; or what earlier imports applied to the wallets. A list may have more at its end.",
        ]
    ]
    rejects: list[RefusedPartLine]


class ItemResult(TypedDict):
    """The result of one transaction of a batch: `data`, or the fields of a failure."""

    status: Annotated[Status, "The status of the transaction if it were sent alone: 201 or 200, or that of a failure."]
    data: Annotated[Transaction | None, "Null if it was refused."]
    message: NotRequired[str]
    code: NotRequired[Code]
    details: NotRequired[Details]
    retryable: NotRequired[bool]
    hint: NotRequired[str | None]


class BatchResult(TypedDict):
    """The result of a batch."""

    applied: Count
    replayed: Count
    refused: Count
    results: Annotated[list[ItemResult], "One for each item, in order."]


class Failure(TypedDict):
    """A request that was refused; nothing was changed."""

    message: Annotated[str, "For a person."]
    data: None
    code: Annotated[Code, "For a program."]
    details: Annotated[Details, "The figures of the code; amounts are strings."]
    retryable: Annotated[bool, "Whether the same request with the same key may be sent again."]
    hint: Annotated[str | None, "What to do next."]


class LedgerHere(Ledger):
    """The ledger's settings, and where it is."""

    db: Annotated[str, "A path, or a URL without its password."]


class NewLedger(LedgerHere):
    """A ledger that was just made."""

    wallet: Annotated[WalletName | None, "The first user's, if there is one."]


class OverviewHere(TypedDict):
    """Where the ledger is, and what is in it; null where there is none, or where that is not for the caller to see."""

    ledger: Annotated[str, "A path, or a URL without its password."]
    exists: bool
    users: WholeCount
    wallets: WholeCount
    transactions: WholeCount
    currencies: list[CurrencySum]


class Setting(TypedDict):
    """A setting, as it is in force."""

    name: Annotated[str, "Of a ledger with a name: `ledgers.till.db`."]
    value: Annotated[str | None, "Secrets are covered; null where all of a ledger is taken out."]
    source: Annotated[str | None, "A flag, a variable, a file, `ledger` or `default`."]
    problem: NotRequired[Annotated[str, "What is wrong with it."]]


class ConfigPath(TypedDict):
    """Where the config file is."""

    path: str
    exists: bool


class ConfigEdited(TypedDict):
    """What became of the config file."""

    path: str
    changed: bool


class Backup(TypedDict):
    """A backup, or the newest that there is."""

    backup: Annotated[str, "Its path."]
    bytes: NotRequired[Count]
    wallets: NotRequired[Count]
    transactions: NotRequired[Count]
    made: NotRequired[Annotated[bool, "False where the newest that there is was new enough."]]
    removed: NotRequired[Annotated[list[str], "Older backups that `--keep` removed."]]


class Restored(TypedDict):
    """A ledger that was put back."""

    restored: Annotated[str, "The ledger's path."]
    backup: str
    kept: Annotated[str | None, "Where the ledger that was there is now."]
    transactions: Count
    transactions_kept: Annotated[Count | None, "In the ledger that was there; null where it could not be read."]


class Finding(TypedDict):
    """What a check found."""

    name: str
    status: str
    found: str
    advice: str | None


class Examination(TypedDict):
    """What `wallet doctor` found."""

    ok: Annotated[bool, "Nothing is wrong; warnings may be there."]
    findings: list[Finding]


class Move(_MoveEnds):
    """A ledger that was moved, or is not being moved any more."""

    users: Count
    wallets: Count
    transactions: Count
    holds: Count


class Problem(TypedDict):
    """What an error says."""

    code: Annotated[Code, "For a program."]
    message: Annotated[str, "For a person."]
    hint: Annotated[str | None, "What to do next."]
    retryable: Annotated[bool, "Whether the same command with the same key may be run again."]
    details: Details


class Error(TypedDict):
    """An error of a command, on stderr."""

    error: Problem
    notices: NotRequired[Annotated[list[str], "The notices that would be on stderr before an error in words."]]


class RefusedImportLine(TypedDict):
    """A line of an import that was refused, on stderr."""

    line: Id
    error: Problem


class Parameter(TypedDict):
    """An argument or an option of a command."""

    names: Annotated[list[str], "Of an option, as it is written; of an argument, what help calls it."]
    value: Annotated[str | None, "What its value is called; null: it takes none."]
    type: Literal["boolean", "integer", "string"]
    required: bool
    repeatable: bool
    choices: Annotated[list[str] | None, "The words that it takes, where it takes no other."]
    default: Annotated[str | None, "What it is where it is not given, in words."]
    env: Annotated[list[str], "The variables that say the same; the first that is set counts."]
    about: str


class AnswerField(TypedDict):
    """A field of an answer. It contains the fields of an object, and the items of an array."""

    name: str
    type: Literal["string", "integer", "boolean", "null", "array", "object", "any"]
    nullable: bool
    optional: Annotated[bool, "Whether it may be missing."]
    about: str | None
    choices: NotRequired[list[str]]
    items: NotRequired[dict[str, Any]]
    fields: NotRequired[list[dict[str, Any]]]


class AnswerShape(TypedDict):
    """What a command prints with `--json`."""

    schema: Annotated[str, "The JSON Schema, a file of the package's folder `schemas`."]
    list: Annotated[bool, "Whether it is a list of such."]
    fields: list[AnswerField]


class Example(TypedDict):
    """A command line that works unchanged."""

    line: str
    exit_code: int


class CommandAbout(TypedDict):
    """A command: how it is called, what it does, what it answers, and how it fails."""

    name: Annotated[str, "The words that call it, as `tx add`."]
    section: Annotated[str, "What it is for."]
    about: str
    more: str | None
    usage: str
    effect: Annotated[Literal["none", "read", "write"], "Whether it may change anything."]
    makes_ledger: bool
    arguments: list[Parameter]
    options: list[Parameter]
    answer: Annotated[AnswerShape | None, "Null: it prints a text, or a file of another kind."]
    errors: Annotated[list[Code], "Those that it can end with."]
    examples: list[Example]


class Topic(TypedDict):
    """A topic of `wallet help`."""

    name: str
    title: str


class ErrorAbout(TypedDict):
    """A kind of error."""

    code: Code
    exit_code: int
    retryable: bool


class Catalogue(TypedDict):
    """The program as data: its commands, options, topics and errors."""

    program: str
    version: str
    options: Annotated[list[Parameter], "Before the command."]
    commands: list[CommandAbout]
    topics: list[Topic]
    errors: list[ErrorAbout]


class Help(TypedDict):
    """What help says of a command or a topic."""

    name: Annotated[str, "As `wallet help` takes it."]
    text: str


LISTS: dict[str, type] = {
    "users": User,
    "wallets": Wallet,
    "transactions": Transaction,
    "holds": Hold,
    "history": Entry,
    "statement": Transaction,
    "events": Event,
}
"""The fields of the rows of each list, by the name of the list."""


WHO = ("via", "actor")


def columns(name: str) -> tuple[str, ...]:
    """The CSV columns of a list. `replayed` belongs to single answers alone.

    Who made a transaction comes last, as it was added last. A statement, which is for the wallet's owner, is without.
    """
    found = [each for each in LISTS[name].__annotations__ if each != "replayed"]
    if LISTS[name] is Event:
        return tuple(found)
    return (*(each for each in found if each not in WHO), *(WHO if WHO[0] in found and name != "statement" else ()))
