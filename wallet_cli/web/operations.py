"""All endpoints of the API, declared once: routing (app.py) and the OpenAPI document (openapi.py) are made from this.

To add one: a handler in routes/, and an Operation here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import GenericAlias, MappingProxyType
from typing import Any, NamedTuple

from wallet_cli.domain.commands import (
    AddApiKey,
    CaptureHold,
    OpenWallet,
    PlaceHold,
    Post,
    Register,
    Reverse,
    RevokeApiKey,
    SetLedger,
    SetLimits,
    SetStatus,
    Single,
    Transfer,
    VoidHold,
)
from wallet_cli.domain.rules import refusals_of
from wallet_cli.errors import (
    Busy,
    Forbidden,
    InternalError,
    InvalidInput,
    LedgerMoved,
    RestoreConflict,
    StorageError,
    TimeConflict,
    TransactionNotFound,
    Unauthenticated,
    UserNotFound,
    WalletError,
    WalletNotActive,
    WalletNotEmpty,
    WalletNotFound,
)
from wallet_cli.operations import fields
from wallet_cli.web import parameters, requests
from wallet_cli.web.auth import Caller
from wallet_cli.web.http_errors import BodyTooLarge, RateLimited, TooSlow, UnsupportedMediaType
from wallet_cli.web.long_reads import MAX_EXAMINED
from wallet_cli.web.messages import Reply, Stream
from wallet_cli.web.parameters import Parameter, flag, in_query, one_of
from wallet_cli.web.routes import (
    api_keys,
    batches,
    holds,
    import_chunks,
    import_export,
    ledger,
    lookup,
    statements,
    transactions,
    users,
    wallets,
)
from wallet_cli.web.routes.call import Call
from wallet_cli.web.server_state import ServerState

Handler = Callable[[ServerState, Call], Awaitable[Reply | Stream]]
Refusal = type[WalletError]


ALWAYS: tuple[Refusal, ...] = (InvalidInput, Unauthenticated, RateLimited, InternalError, Busy, StorageError)
"""The refusals that any endpoint may give."""


class File(NamedTuple):
    """An answer that is a file (messages.Stream): its media types; `answer` is the JSON that it may be instead."""

    content_types: tuple[str, ...]
    answer: type | None = None


class Operation(NamedTuple):
    """An endpoint.

    `answer` is one of operations/fields.py, a list of one, or a file. `body` is the request: JSON of that type, or a
    file of one of these types, each with an example. `example` has further fields for the example of a JSON body, and
    `answered` for that of the answer. `may_call` is a method of Caller that raises Forbidden. `refusals` are those in
    addition to the ones of every such endpoint (`refused_by`). If `keyed`, it takes an `Idempotency-Key`; it answers
    201, or 200 if the key was used.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answer: type | GenericAlias | File
    refusals: tuple[Refusal, ...] = ()
    may_call: Callable[[Caller], None] = Caller.may_call
    body: type | dict[str, str] | None = None
    query: tuple[Parameter, ...] = ()
    keyed: bool = False
    status: int = 200
    description: str | None = None
    example: Mapping[str, Any] = MappingProxyType({})
    answered: Mapping[str, Any] = MappingProxyType({})

    @property
    def name(self) -> str:
        """The handler's name as operationId: `createUser`."""
        first, *rest = self.handler.__name__.split("_")
        return first + "".join(map(str.capitalize, rest))

    @property
    def tag(self) -> str:
        """Its subject: the handler's module."""
        return self.handler.__module__.rpartition(".")[2]

    @property
    def item(self) -> type | None:
        """The JSON answer, or the item of a list; None if the answer is only a file."""
        answer = self.answer.answer if isinstance(self.answer, File) else self.answer
        return answer.__args__[0] if isinstance(answer, GenericAlias) else answer

    @property
    def reply(self) -> str:
        """The name of the envelope of its answer."""
        return f"{self.item.__name__ if self.item else ''}{'List' * isinstance(self.answer, GenericAlias)}Reply"

    @property
    def statuses(self) -> tuple[int, ...]:
        """The status codes of a success."""
        return (201, 200) if self.keyed else (self.status,)

    def refused_by(self) -> tuple[Refusal, ...]:
        """All refusals that it can give, by status."""
        found = [*ALWAYS, *self.refusals]
        if self.may_call is not Caller.may_call:
            found.append(Forbidden)
        if self.body is not None:
            found += [TooSlow, BodyTooLarge, UnsupportedMediaType]
        return tuple(sorted(found, key=lambda refusal: refusal.http_status))


READ_WALLET = (UserNotFound, WalletNotFound)


def refused_as(command: type[Single], *never: Refusal) -> tuple[Refusal, ...]:
    """The refusals of a command's rule, except those that this endpoint never gives; and LedgerMoved."""
    return (*(each for each in refusals_of(command) if each not in (*ALWAYS, *never)), LedgerMoved)


OPERATOR = Caller.must_be_operator
WRITING_OPERATOR = Caller.must_be_writing_operator
USER = Caller.must_write

EXPORTED = File(tuple(dict.fromkeys(kind.decode() for kind, _ in import_export.EXPORTS.values())))
EXPORT_FORMAT = in_query("format", "The form of the file.", one_of(import_export.EXPORTS, "jsonl"))
IMPORT_EXAMPLES = {
    "application/x-ndjson": '{"wallet": "1/type1", "amount": "19.99", "kind": "credit", "key": "order-7"}\n',
    "text/csv": "wallet,amount,kind,note\n1/type1,5.00,debit,Lunch\n",
}
STREAMED = "It shows one moment, and is sent while it is read; if that fails, the answer ends early, without its end."

TAGS = {
    "users": "Users, and tokens for them",
    "wallets": "Wallets: their balances, limits and status",
    "transactions": "Credits, debits, transfers and reversals",
    "batches": "Many transactions in one request",
    "holds": "Money kept from being spent, for a later capture",
    "statements": "A wallet over a period",
    "import_export": "The ledger as a file, and files into it",
    "import_chunks": "Files in parts",
    "lookup": "Finding things by name, and verifying",
    "ledger": "The ledger itself",
    "api_keys": "Operator keys",
}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST", "/users", users.create_user, "Register a user", fields.User,
        refused_as(Register), WRITING_OPERATOR, requests.NewUser, keyed=True,
    ),
    Operation(
        "GET", "/users", users.list_users, "List all users", fields.UserPage, (), OPERATOR,
        query=(parameters.NAME_OR_NUMBER, *parameters.PAGE), description="In the order of registration.",
    ),
    Operation("GET", "/users/{user_id}", users.get_user, "Get a user", fields.User, (UserNotFound,), OPERATOR),
    Operation(
        "POST", "/tokens", users.create_token, "Make a token for a user", fields.Token,
        (UserNotFound,), WRITING_OPERATOR, requests.TokenRequest, status=201,
        description="Valid for this ledger. It ends with the key that asked for it.",
    ),
    Operation(
        "GET", "/wallets", wallets.list_wallets, "List all wallets", fields.WalletPage, (), OPERATOR,
        query=parameters.PAGE, description="In the order of opening.",
    ),
    Operation(
        "POST", "/wallet/create", wallets.create_wallet, "Open a wallet", fields.Wallet,
        refused_as(OpenWallet), WRITING_OPERATOR, requests.NewWallet, keyed=True,
        description="Keys are separate for each user.",
    ),
    Operation(
        "GET", "/wallet/get/{user_id}", wallets.get_wallets, "List a user's wallets", list[fields.Wallet],
        (UserNotFound,),
    ),
    Operation(
        "GET", "/wallet/get/{user_id}/{type}", wallets.get_wallet, "Get a wallet with its balance", fields.Wallet,
        READ_WALLET,
        description="Clients take the types `.` and `..` for folders: `GET /lookup/wallet` finds these.",
    ),
    Operation(
        "POST", "/wallet/limits", wallets.set_limits, "Set a wallet's limits", fields.Wallet,
        refused_as(SetLimits), WRITING_OPERATOR, requests.NewLimits,
        description="Changes the given ones; the others stay.", example={"daily_debit": "100.00"},
    ),
    Operation(
        "POST", "/wallet/freeze", wallets.freeze_wallet, "Freeze a wallet", fields.Wallet,
        refused_as(SetStatus, WalletNotEmpty), WRITING_OPERATOR, requests.OneWallet,
        description="No money goes in or out until it is unfrozen.",
    ),
    Operation(
        "POST", "/wallet/unfreeze", wallets.unfreeze_wallet, "Make a frozen wallet active again", fields.Wallet,
        refused_as(SetStatus, WalletNotEmpty), WRITING_OPERATOR, requests.OneWallet,
    ),
    Operation(
        "POST", "/wallet/close", wallets.close_wallet, "Close a wallet for good", fields.Wallet,
        refused_as(SetStatus, WalletNotActive), WRITING_OPERATOR, requests.OneWallet,
        description="Its balance must be 0, with no open holds.",
    ),
    Operation(
        "POST", "/transactions/create", transactions.create_transaction, "Credit or debit a wallet", fields.Transaction,
        refused_as(Post), USER, requests.NewTransaction, (parameters.ZONE_OF_TIMES,), keyed=True,
        description="On disk when answered. Users may debit their own wallets.",
    ),
    Operation(
        "POST", "/transactions/batch", batches.create_transactions, "Credit or debit many wallets", fields.BatchResult,
        refused_as(Post), USER, requests.Batch,
        description=(
            "Up to 10,000 transactions: one result for each item, in order. With `atomic`, all or none: the first"
            " refusal is the answer, with its `index` in `details`. A batch with an item of another form (an unknown"
            " field, another type, a text that is too long) is refused as a whole, with the same `index`."
        ),
        answered={"replayed": 0, "refused": 0},
    ),
    Operation(
        "POST", "/transfers/create", transactions.create_transfer, "Move money from one wallet to another",
        fields.Transfer, refused_as(Transfer), USER, requests.NewTransfer, keyed=True,
        description="In one step. Users: between their own wallets. The key belongs to the source wallet.",
        example={"to_user_id": 2, "to_wallet_id": 2},
    ),
    Operation(
        "POST", "/transactions/reverse", transactions.reverse_transaction, "Reverse a transaction, or a part of it",
        fields.Transaction, refused_as(Reverse),
        WRITING_OPERATOR, requests.NewReversal, keyed=True,
        description="With a new transaction. `force` ignores minimums and limits.",
    ),
    Operation(
        "GET", "/transactions/get/{user_id}/{wallet_id}", transactions.list_transactions, "List transactions",
        fields.TransactionPage, READ_WALLET, query=parameters.TRANSACTIONS,
        description=(
            "The newest first: all, or those that match all given parameters. A request examines at most"
            f" {MAX_EXAMINED:,} of them, so with parameters a page may have fewer than `limit`, or none, and a"
            " `next_cursor`: continue until that is null."
        ),
    ),
    Operation(
        "GET", "/history", transactions.list_history, "List the transactions of all wallets", fields.EntryPage, (),
        OPERATOR, query=parameters.TRANSACTIONS,
        description=(
            "The day book: the newest first, each with its wallet and its owner's name. Amounts are compared as"
            f" numbers, whatever the currency. A request goes over at most {MAX_EXAMINED:,} of them, as in a wallet's"
            " list."
        ),
    ),
    Operation(
        "GET", "/transactions/get/{user_id}/{wallet_id}/{seq}", transactions.get_transaction, "Get a transaction",
        fields.TransactionDetail, (UserNotFound, TransactionNotFound),
    ),
    Operation(
        "POST", "/transactions/get/total_in_period", transactions.total_in_period,
        "Add up the credits and debits of a period", fields.Total, READ_WALLET, body=requests.TotalQuery,
        example={"start_date": "2024-04-19T05:27:13", "end_date": "2024-04-19T05:40:00"},
    ),
    Operation(
        "POST", "/holds/create", holds.create_hold, "Place a hold", fields.Hold,
        refused_as(PlaceHold),
        WRITING_OPERATOR, requests.NewHold, keyed=True,
        description="It keeps money from being spent, for a later capture, and ends when it expires.",
    ),
    Operation(
        "POST", "/holds/capture", holds.capture_hold, "Debit what a hold keeps, or a part of it", fields.Transaction,
        refused_as(CaptureHold),
        WRITING_OPERATOR, requests.NewCapture, keyed=True, description="The rest is released, unless `keep`.",
    ),
    Operation(
        "POST", "/holds/void", holds.void_hold, "Void a hold", fields.Hold,
        refused_as(VoidHold), WRITING_OPERATOR, requests.OneHold,
        description="Its amount is available again.",
    ),
    Operation(
        "GET", "/holds/get/{user_id}/{wallet_id}", holds.list_holds, "List holds", fields.HoldPage, READ_WALLET,
        query=parameters.PAGE, description="The newest first, including ended ones.",
    ),
    Operation(
        "GET", "/wallet/statement/{user_id}/{wallet_id}", statements.get_statement, "Get a statement",
        File(tuple(kind.decode() for form, kind in statements.FORMS.items() if form != "json"), fields.Statement),
        READ_WALLET,
        query=(*parameters.PERIOD, in_query("format", "The form of the statement.", one_of(statements.FORMS, "json"))),
        description="Balances, totals by kind, and every transaction, the oldest first; csv has only the"
        f" transactions. {STREAMED}",
    ),
    Operation(
        "GET", "/export", import_export.export_ledger, "Export the ledger", EXPORTED, (RestoreConflict,), OPERATOR,
        query=(EXPORT_FORMAT,),
        description=f"jsonl can be imported; hledger and beancount read the others. {STREAMED}",
    ),
    Operation(
        "GET", "/export/{user_id}/{wallet_id}", import_export.export_wallet, "Export a wallet", EXPORTED,
        (WalletNotFound, RestoreConflict), OPERATOR, query=(EXPORT_FORMAT,), description=STREAMED,
    ),
    Operation(
        "POST", "/import", import_export.import_file, "Import a file", fields.ImportResult, (TimeConflict, LedgerMoved),
        WRITING_OPERATOR, {kind: IMPORT_EXAMPLES[kind] for kind in import_export.IMPORTS},
        (
            flag("create", "Register users and open wallets that are missing."),
            flag("dry_run", "Check the lines by the rules, and change nothing."),
            flag("atomic", "All lines, or none if one is refused."),
            flag("sort", "Apply the lines in the order of their times."),
            in_query(
                "duplicates",
                "What to do with lines without a key that are already in the ledger; without it, the file is refused.",
                one_of(import_export.DUPLICATES),
            ),
            in_query("delimiter", "CSV: the column separator; without it, taken from the header."),
            in_query("decimal", "CSV: the decimal sign, `,` or `.`; the other one is for groups of digits."),
            in_query("dates", "CSV: `dmy` for 31/12/2024, `mdy` for 12/31/2024."),
            in_query("encoding", "CSV: such as `cp1252`; without it, UTF-8, or that of the byte order mark."),
            in_query("map", "CSV: columns of other programs, as in `Betrag=amount,Datum=at`."),
            in_query("wallet", "CSV: the wallet of every line, if the file has no column for it."),
        ),
        description=(
            "JSON lines or CSV of at most 8 MiB, each line through the same rules; lines imported before are not"
            " applied"
            " again. After 503, what was applied stays: send the same file again."
        ),
    ),
    Operation(
        "POST", "/import/part", import_chunks.import_part, "Import a part of a file", fields.PartResult, (LedgerMoved,),
        WRITING_OPERATOR,
        {import_chunks.PART_TYPE: '{"numbers": [7]}\n' + IMPORT_EXAMPLES[import_chunks.PART_TYPE]},
        (parameters.ZONE_OF_TIMES,),
        description=(
            "Used by a remote `wallet import`: one line about the part, then its lines as JSON. The first may have"
            f" {', '.join(f'`{name}`' for name in requests.PartHead.__struct_fields__)}; it has to have `numbers`."
        ),
    ),
    Operation(
        "GET", "/lookup/user", lookup.find_user, "Find a user by USER", fields.User, (UserNotFound,),
        query=(parameters.USER, parameters.REGION),
    ),
    Operation(
        "GET", "/lookup/wallet", lookup.find_wallet, "Find a wallet by WALLET", fields.WalletThen, READ_WALLET,
        query=(parameters.WALLET, parameters.REGION, parameters.AT), description="Now, or at a past time.",
    ),
    Operation(
        "GET", "/lookup/wallets", lookup.find_wallets, "Find the wallets of a user by USER",
        fields.WalletPage, (UserNotFound,), query=(parameters.USER, parameters.REGION, *parameters.PAGE),
    ),
    Operation(
        "GET", "/lookup/users", lookup.find_named, "Find users by name", fields.Named, (), OPERATOR,
        query=(parameters.NAME,),
        description="Upper and lower case are one; a name counts from its beginning on, and by whole words.",
    ),
    Operation(
        "GET", "/find", lookup.find_text, "Find users and transactions by a text", fields.Found, (), OPERATOR,
        query=(parameters.TEXT_TO_FIND, parameters.LIMIT),
        description=(
            "In names, numbers and notes; of a number, 3 digits or more. `GET /users` with that text has all users."
            " At most"
            f" {MAX_EXAMINED:,} transactions are gone over; `next_cursor` is where `GET /history` goes on."
        ),
    ),
    Operation(
        "GET", "/lookup/holders", lookup.find_holders, "Tell whose wallets are", list[fields.Holder],
        query=(parameters.HOLDERS,), description="Of each wallet that there is, and that the caller may see.",
    ),
    Operation(
        "GET", "/lookup/transaction", lookup.find_transaction, "Find a transaction by its id",
        fields.TransactionDetail, (TransactionNotFound,), query=(parameters.TRANSACTION,),
    ),
    Operation(
        "GET", "/audit", lookup.list_audit, "List who did what", fields.EventPage, READ_WALLET, OPERATOR,
        query=(parameters.OF_WALLET, parameters.OF_USER, parameters.REGION, *parameters.EVENTS),
        description=(
            "The newest first, of a wallet, of a user, or of the whole ledger: everything that was done and is no"
            " transaction."
        ),
    ),
    Operation(
        "GET", "/verify", lookup.verify, "Verify the ledger, or a wallet", fields.Verification,
        (*READ_WALLET, RestoreConflict), OPERATOR, query=(parameters.ONE_WALLET, parameters.REGION),
        description="Computes every total, sequence number and hash again; a 503 names the first bad row.",
    ),
    Operation("GET", "/ledger", ledger.get_ledger, "Get the ledger's settings", fields.Ledger),
    Operation(
        "GET", "/overview", ledger.get_overview, "Get what is in the ledger", fields.Overview, (), OPERATOR,
        description="How many users, wallets and transactions, and what the wallets of each currency hold.",
    ),
    Operation(
        "POST", "/ledger", ledger.set_ledger, "Change the ledger's settings", fields.Ledger, refused_as(SetLedger),
        WRITING_OPERATOR, requests.NewLedgerSettings,
        description="Changes the given ones; earlier transactions stay as they are.",
        example={"timezone": "Asia/Kolkata"},
    ),
    Operation("GET", "/keys", api_keys.list_keys, "List operator keys", list[fields.OperatorKey], (), OPERATOR),
    Operation(
        "POST", "/keys", api_keys.create_key, "Make an operator key", fields.CreatedKey, refused_as(AddApiKey),
        WRITING_OPERATOR, requests.NewKey, status=201, description="It is shown only this once.",
    ),
    Operation(
        "POST", "/keys/revoke", api_keys.revoke_key, "Revoke an operator key", fields.OperatorKey,
        refused_as(RevokeApiKey), WRITING_OPERATOR, requests.OneKey,
        description="Servers refuse it from now on, and its tokens; with a database on another host, within a second.",
    ),
)  # fmt: skip
