"""Every error of the wallet, with its code, exit code and HTTP status.

::

    WalletError
    ├── InvalidInput          invalid_input          exit 2    HTTP 400
    ├── Unauthenticated       unauthenticated        8         401
    ├── Forbidden             forbidden              8         403
    ├── NotFound
    │   ├── UserNotFound          user_not_found         3         404
    │   ├── WalletNotFound        wallet_not_found       3         404
    │   ├── TransactionNotFound   transaction_not_found  3         404
    │   ├── HoldNotFound          hold_not_found         3         404
    │   ├── KeyNotFound           key_not_found          3         404
    │   └── LedgerNotFound        ledger_not_found       3         404
    ├── Refused
    │   ├── InsufficientFunds     insufficient_funds     4         409
    │   ├── WalletNotActive       wallet_not_active      4         409
    │   ├── WalletNotEmpty        wallet_not_empty       4         409
    │   ├── BalanceOverflow       balance_overflow       4         409
    │   ├── LimitExceeded         limit_exceeded         4         409
    │   ├── HoldNotOpen           hold_not_open          4         409
    │   ├── CaptureExceedsHold    capture_exceeds_hold   4         409
    │   ├── NotReversible         not_reversible         4         409
    │   └── ReversalExceedsOriginal  reversal_exceeds_original  4  409
    ├── Conflict
    │   ├── UserExists            user_exists            5         409
    │   ├── WalletExists          wallet_exists          5         409
    │   ├── KeyExists             key_exists             5         409
    │   ├── KeyReused             key_reused             5         409
    │   ├── RestoreConflict       restore_conflict       5         409
    │   └── TimeConflict          time_conflict          5         409
    ├── Busy                  busy                   6         503    retryable
    │   └── Collision             busy                   6         503    retryable
    ├── StorageError          storage_error          7         503    retryable
    ├── LedgerMoved           ledger_moved           9         503
    ├── InternalError         internal_error         1         500    retryable
    └── Interrupted           interrupted          130         –      retryable

A refusal is first a value (the rules return it). It becomes an exception only where one caller waits for the answer.
`retryable`: the same request with the same key may be sent again; it is never applied twice.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any, ClassVar, Self

from wallet_cli.named_tuples import NamedTuple

SHOWN_CHARS = 60
JOINERS = "\u200c\u200d"
"""Formatting characters by which some scripts, and emoji, are spelt."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
MAKE_ROOM = "free some space"

SYSTEM_FAILED = (errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


class Mention(NamedTuple):
    """A wallet in a message: its id, and the name to show where the caller gave none."""

    wallet_id: int
    name: str


Message = str | tuple[str | Mention, ...]
"""The text of an error; in parts where it names wallets."""


class WalletError(Exception):
    """The root of the tree: a message for a person, a code for a program.

    `hint` says what to do next. `details` are JSON values that go with the code (amounts as strings). A message names
    a wallet as its reader does: code that found the wallet by a name calls `name_wallets`.
    """

    code: ClassVar[str] = "internal_error"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    retryable: bool = False
    """Of an error whose outcome is unknown, it is False where the request would be done twice."""

    def __init__(self, message: Message, *, hint: str | None = None, **details: Any) -> None:
        self.parts = (unsecret(message),) if isinstance(message, str) else message
        super().__init__(self.message)
        self.hint = hint
        self.details = details

    @property
    def message(self) -> str:
        return "".join(part if isinstance(part, str) else part.name for part in self.parts)

    def name_wallets(self, names: Mapping[int, str]) -> None:
        """Name the wallets in the message by these names (by id)."""
        self.parts = tuple(
            part if isinstance(part, str) else part._replace(name=names.get(part.wallet_id, part.name))
            for part in self.parts
        )
        self.args = (self.message,)

    def add(self, text: str) -> None:
        """Say more, at the end of the message."""
        self.parts = (*self.parts, text)
        self.args = (self.message,)

    def as_json(self) -> dict[str, Any]:
        """The error as both faces print it: `code, message, hint, retryable, details`."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
            "details": self.details,
        }


class InvalidInput(WalletError):
    code = "invalid_input"
    exit_code = 2
    http_status = 400


class MissingPackage(InvalidInput):
    """The request needs a package that is not installed (installing.py)."""


class Unauthenticated(WalletError):
    """The caller is unknown: no key or token, or one that is not valid."""

    code = "unauthenticated"
    exit_code = 8
    http_status = 401


class Forbidden(WalletError):
    """The caller is known, but may not do this."""

    code = "forbidden"
    exit_code = 8
    http_status = 403


class NotFound(WalletError):
    exit_code = 3
    http_status = 404


class UserNotFound(NotFound):
    code = "user_not_found"


class WalletNotFound(NotFound):
    code = "wallet_not_found"


class TransactionNotFound(NotFound):
    code = "transaction_not_found"


class HoldNotFound(NotFound):
    code = "hold_not_found"


class KeyNotFound(NotFound):
    """There is no operator key with that name."""

    code = "key_not_found"


class LedgerNotFound(NotFound):
    """There is no ledger at that path or in that database, and this command does not create one."""

    code = "ledger_not_found"


class Refused(WalletError):
    exit_code = 4
    http_status = 409


class InsufficientFunds(Refused):
    code = "insufficient_funds"


class WalletNotActive(Refused):
    code = "wallet_not_active"


class WalletNotEmpty(Refused):
    """A wallet with a balance or with open holds cannot be closed."""

    code = "wallet_not_empty"


class BalanceOverflow(Refused):
    code = "balance_overflow"


class LimitExceeded(Refused):
    """It would exceed a limit of the wallet: `details.limit` is `maximum_balance` or `daily_debit`."""

    code = "limit_exceeded"


class HoldNotOpen(Refused):
    """The hold has ended; `details.status` says how."""

    code = "hold_not_open"


class CaptureExceedsHold(Refused):
    code = "capture_exceeds_hold"


class NotReversible(Refused):
    """A reversal cannot itself be reversed."""

    code = "not_reversible"


class ReversalExceedsOriginal(Refused):
    code = "reversal_exceeds_original"


class Conflict(WalletError):
    exit_code = 5
    http_status = 409


class UserExists(Conflict):
    code = "user_exists"


class WalletExists(Conflict):
    code = "wallet_exists"


class KeyExists(Conflict):
    """There is, or was, an operator key with that name."""

    code = "key_exists"


class KeyReused(Conflict):
    """An idempotency key was used before, for another request."""

    code = "key_reused"


class TimeConflict(Conflict):
    code = "time_conflict"


class RestoreConflict(Conflict):
    """A line of an export contradicts what the ledger has in its place."""

    code = "restore_conflict"


class Busy(WalletError):
    """No turn to write within the time allowed. `details` say which process has the turn, and since when."""

    code = "busy"
    exit_code = 6
    http_status = 503
    retryable = True


class Collision(Busy):
    """Others wrote to the same wallets at the same time. The database undid this batch; it is run again."""


class StorageError(WalletError):
    """The ledger cannot be read or written. Nothing was written, except perhaps for an UnknownOutcome."""

    code = "storage_error"
    exit_code = 7
    http_status = 503
    retryable = True


AGAIN = "send it again, with the same key where it has one: it is applied only once"
UNKNOWN = "unknown"
"""The detail `outcome` of an error after which nobody can know whether there was a write."""

LOOK_FIRST = "first look whether it was written: without a key, it is not safe to send again"


class UnknownOutcome(StorageError):
    """A commit failed, or its answer is lost: nobody can know yet whether the ledger has, or will have, the write."""

    def __init__(self, why: str, *, again: bool = True) -> None:
        hint = AGAIN if again else LOOK_FIRST
        super().__init__(f"it is unknown whether this was written: {why}", hint=hint, outcome=UNKNOWN)
        self.why = why
        self.retryable = again

    def told(self, *, again: bool) -> Self:
        """The same for one of the callers: `again` says whether what they sent is applied only once if sent again."""
        return type(self)(self.why, again=again)


class Damaged(StorageError):
    """The ledger has other data than was written, or contradicts itself. The message begins with DAMAGED."""

    DAMAGED = "this ledger is damaged: "

    @property
    def finding(self) -> str:
        """The message without DAMAGED."""
        return self.message.removeprefix(self.DAMAGED)


class Undefined(StorageError):
    """A statement names a table, column or index that is missing, or another one than it was."""


class NotSynced(StorageError):
    """A file is written and has its name, but a power cut may still take that name away."""


class NotALedger(StorageError):
    """A file is no database: it is something else, or the beginning of a ledger is lost."""


class NotTogether(StorageError):
    """The files of a ledger are of different moments: its log is of another file, or lacks what was committed."""


class Unreachable(StorageError):
    """The database cannot be reached now."""


class LedgerMoved(WalletError):
    """The ledger takes no writes: it has moved, is being moved, or is not complete yet.

    `details`: `state` (`moved`, `moving` or `arriving`), `since`, and where it went (`to`) or comes from (`from`).
    """

    code = "ledger_moved"
    exit_code = 9
    http_status = 503


class InternalError(WalletError):
    retryable = True


class Interrupted(WalletError):
    code = "interrupted"
    exit_code = 130
    http_status = 503
    retryable = True


def was_interrupted(error: BaseException) -> bool:
    """Whether Ctrl-C caused an exception: Python wraps it in others during an import."""
    return any(isinstance(cause, KeyboardInterrupt) for cause in causes(error))


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, its cause, and so on, each once: what fails while a failure is handled can make a circle."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and not any(cause is known for known in seen):
        seen.append(cause)
        yield cause
        cause = cause.__cause__ or cause.__context__


NO_HOME = os.devnull
"""The place of the folders of a user without a home folder: nothing is read there, and writing fails."""


def hint_of(error: OSError, otherwise: str) -> str:
    """What to do where a file could not be written: make room if the disk is full, else `otherwise`; or set HOME, where
    it would be in a home folder and there is none.
    """
    if isinstance(error, NotADirectoryError) and str(error.filename).startswith(f"{NO_HOME}/"):
        return f"this user has no home folder: set HOME; or {otherwise}"
    return MAKE_ROOM if error.errno in NO_ROOM else otherwise


def unreadable(path: os.PathLike[str], error: OSError, hint: str) -> InvalidInput | StorageError:
    """The error for a file that somebody named and that cannot be read: StorageError where not the name is wrong, but
    the system fails.
    """
    kind = StorageError if error.errno in SYSTEM_FAILED else InvalidInput
    return kind(f"cannot read {path}: {error.strerror or error}", hint="try again" if kind is StorageError else hint)


def shown(text: str) -> str:
    """Return user text for a one-line message: quoted, with no password, control characters escaped, cut when long.

    A joiner is kept where it belongs to the spelling, as in Persian and in emoji; behind ASCII it is a mistake.
    """
    cut = unsecret(text[:MAX_URL_CHARS])
    if max(len(text), len(cut)) > SHOWN_CHARS:
        cut = cut[:SHOWN_CHARS] + "…"
    told = (
        c if c.isprintable() or (c in JOINERS and not before.isascii()) else c.encode("unicode_escape").decode("ascii")
        for before, c in pairwise(f"'{cut}")
    )
    return f"'{''.join(told)}'"


def suggestion(text: str, names: Collection[str]) -> str | None:
    """A hint for an unknown name: the nearest known one, and all of them; None if there are none."""
    from difflib import get_close_matches

    nearest = get_close_matches(text, names, n=1)
    there = f"there are: {', '.join(names)}" if names else None
    return f"did you mean {nearest[0]}? {there}" if nearest else there


ADDRESS = r"(?:\w:/{1,2}|\bpostgres(?:ql)?[:/]/{0,2}|^'?//)"
"""The beginning of what is meant as the URL of a database or a server, with or without its colon and slashes."""

MAX_URL_CHARS = 4096
"""Of a text that is shown: what is longer is no address."""

NO_SECRETS = (
    r"host(?:addr)?|port|dbname|user|passfile|service(?:file)?|options|replication|\w*application_name|client_encoding"
    r"|connect_timeout|tcp_user_timeout|keepalives\w*|target_session_attrs|load_balance_hosts|channel_binding"
    r"|require\w+|(?:min|max)_protocol_version|gss\w+|krb\w+|ssl(?!p)\w+|oauth_(?:issuer|client_id|scope)"
)
"""The options of libpq that may be shown. Any other may be a secret, or the name of one with a slip in it."""


def shown_url(url: str) -> str:
    """Return the URL of a database or a server without its password, however that is written."""
    # Up to the last `@`: a password may contain an unescaped one.
    url = re.sub(rf"(?is)({ADDRESS}[^:/@?]*):.*@", r"\1@", url)
    if re.search(rf"(?i){ADDRESS}", url):
        url = re.sub(rf"([?&](?!(?:{NO_SECRETS})=)[^=&]*=)[^&\s]*", r"\1…", url)
    return re.sub(r"(password ?= ?)('(\\.|[^'])*'|[^&\s]*)", r"\1…", url)


def unsecret(text: str) -> str:
    """A text for people without the passwords of addresses in it, as somebody may have typed one in any place."""
    if not _may_be_address(text):
        return text
    return re.sub(r"\S+", lambda word: shown_url(word[0]) if _may_be_address(word[0]) else word[0], text)


def _may_be_address(text: str) -> bool:
    lower = text.lower()
    return ":/" in lower or "//" in lower or "postgres" in lower or "password" in lower


def beyond_time() -> StorageError:
    """The error for a clock beyond the last moment that this program can represent."""
    return StorageError("this machine's clock says a year after 2261", hint="set the clock; nothing was written")
