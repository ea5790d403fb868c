"""Importing transactions: line by line through the rules, in batches, safe to run again.

Each line has a key, its own or one made of the file's digest and its number, so a line is applied once, however often
an import is interrupted and started again. Lines of an export go to their original place instead
(domain/rules/restoring.py). A refused line changes nothing, and the next one is read.
"""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import BinaryIO, NamedTuple, Protocol, TypeVar

from wallet_cli.domain import hash_chain
from wallet_cli.domain.commands import (
    Applied,
    Command,
    EndRestore,
    OpenWallet,
    Post,
    Refusal,
    Register,
    Replayed,
    RestoreHold,
    RestoreState,
    RestoreTransaction,
    Result,
    SetLedger,
    Single,
)
from wallet_cli.domain.ids import (
    MAX_ID,
    HoldId,
    PhoneDigits,
    TransactionId,
    TypedWallet,
    UserName,
    WalletName,
    check_key,
    check_name,
    format_wallet_id,
    is_phone_as_type,
    parse_new_wallet,
    parse_wallet,
)
from wallet_cli.domain.model import Hold, Transaction, Wallet
from wallet_cli.domain.money import format_minor, parse_minimum, parse_stored
from wallet_cli.domain.period import Zone, parse_start
from wallet_cli.domain.rules import refusals
from wallet_cli.domain.rules.restoring import HOW_TO_RESTORE
from wallet_cli.errors import (
    Interrupted,
    InvalidInput,
    KeyReused,
    NotFound,
    RestoreConflict,
    StorageError,
    UserExists,
    UserNotFound,
    WalletError,
    WalletExists,
    WalletNotFound,
    hint_of,
    shown,
    was_interrupted,
)
from wallet_cli.hints import in_a_file
from wallet_cli.import_export.imports import records
from wallet_cli.import_export.imports.checking import (
    RESTORED,
    Decide,
    How,
    LedgerLook,
    Looked,
    as_applied,
    check_newer,
    digest_prefix,
    look,
    refuse,
)
from wallet_cli.import_export.imports.dialect import Dialect
from wallet_cli.import_export.imports.reading import Line
from wallet_cli.import_export.rows import VERSION
from wallet_cli.operations import transactions, users
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.wallets import find_account, find_wallet, has_minimum, unit_to_open
from wallet_cli.settings import LEDGER_SETTINGS

BATCH_LINES = 5000
"""How many lines share one turn and one commit."""

MAX_KNOWN_NAMES = 100_000

Change = Post | RestoreTransaction | RestoreHold | RestoreState
"""The commands of a line about a wallet."""


class CarryOut(Protocol):
    """Runs a batch in one turn; `check` as in engine/executor.py."""

    def __call__(
        self, commands: Sequence[Command], /, *, check: Callable[[list[Result]], None] | None = None
    ) -> list[Result]: ...


Report = Callable[[int, WalletError, str], None]
"""Called for each refused line: its number, the error, and its text."""


C = TypeVar("C", bound=Single)


class Options(NamedTuple):
    """`create` opens what is missing, `dry_run` changes nothing, `atomic` applies all lines or none.

    `duplicates` (one of checking.DUPLICATES) decides about lines that are in the ledger already; `sort` puts lines in
    order of time.
    """

    create: bool = False
    dry_run: bool = False
    atomic: bool = False
    duplicates: str | None = None
    sort: bool = False


class Job(NamedTuple):
    """The arguments of `run` besides the file."""

    options: Options
    report: Report
    progress: Callable[[int], None]
    name: str
    dialect: Dialect
    decide: Decide
    tell: Callable[[str], None]
    before_commit: Callable[[], None] = lambda: None
    """Called before a commit; until `progress` is called, its outcome is unknown."""


def run(
    ledger: Ledger,
    source: BinaryIO,
    options: Options = Options(),  # noqa: B008  (a tuple)
    report: Report = lambda *_: None,
    progress: Callable[[int], None] = lambda _: None,
    name: str = "",
    dialect: Dialect = Dialect(),  # noqa: B008  (a tuple)
    decide: Decide = refuse,
    tell: Callable[[str], None] = lambda _: None,
    before_commit: Callable[[], None] = lambda: None,
) -> Answer:
    """Import a file; the answer is `applied, replayed, refused, users_created, wallets_created`, and `skipped` where
    `duplicates` are left out.

    `applied` and `replayed` count transactions and holds. `progress` gets the number of bytes read; `tell` gets
    notices about how the file is read; the ending of `name` decides the form of the file, `dialect` how its CSV is
    read. `decide` is asked about duplicates. Raises InvalidInput for an empty file, or one that cannot be read with
    certainty, before anything is applied; Busy or StorageError if the ledger cannot be written: what was committed by
    then stays, and the same import continues from there. Interrupted says how far it came.
    """
    ledger.executor.before_commit = before_commit
    with ExitStack() as stack:
        hash_chain.prepare_for_many()
        stack.enter_context(ledger.store.many_batches())
        how = How(name, dialect, ledger.zone_of_times, ledger.now_us(), options.duplicates, options.sort)
        looked = look(stack, source, how, LedgerLook(ledger), decide, tell)
        if not options.dry_run and not options.atomic:
            run = Run(ledger, looked, options, report, partial(ledger.executor.run, name="import"))
            with run.telling_how_far():
                run.read(progress)
            return run.summary()
        with ledger.executor.turn("import") as turn:
            run = Run(ledger, looked, options, report, turn.carry_out)
            with run.telling_how_far():
                run.read(progress)
            if options.dry_run or run.refused:
                turn.abandon()
        return run.summary()


def spooled(source: BinaryIO) -> BinaryIO:
    """Input from a pipe, stored on disk: its digest must be known before its first line is applied."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115  (closed by its user)
    try:
        shutil.copyfileobj(source, spool)
        spool.seek(0)
    except OSError as error:
        spool.close()
        raise StorageError(
            f"cannot store the input from the pipe: {error.strerror or error}",
            hint=hint_of(error, "import a file instead"),
        ) from error
    return spool


Work = Callable[[list[Line]], None]


class Done(NamedTuple):
    """The number of lines that were dealt with, of those refused, and of those that this run applied."""

    lines: int
    refused: int
    applied: int


class ImportRun(ABC):
    """An import of a file, in batches of one kind of line each, with the results of its lines."""

    def __init__(
        self,
        zone: Zone,
        looked: Looked,
        options: Options,
        report: Report,
        broken: Iterable[str] = (),
        refused_before: bool | None = None,
    ) -> None:
        """`broken` from the earlier parts of a file, and whether a line of such a part was refused."""
        self._zone = zone
        self._lines, self._source, self._start, self._prefix, self._skipped, self._how_many, _, ends = looked
        self.looked_to = dict(ends)
        """As Looked.ends; then up to where all was found to be of this file."""
        self._done = Done(0, 0, 0)
        self._options = options
        self._report = report
        self._known: dict[str, Wallet] = {}
        """Wallets by their name in the file, as of the first look-up."""
        self.broken = set(broken)
        """Names of wallets for which a line of an export was refused."""
        self._records: int | None = None
        """The number of records read of an export whose end is still to come."""
        self._is_export = False
        """Whether lines of an export were read, but not its end."""
        self._number = 0
        self._is_part, self._refused_before = refused_before is not None, refused_before
        self.applied = self.replayed = self.refused = 0
        self._own_replayed = 0
        """How many lines repeat another of this run that may leave nothing."""
        self.users_created = self.wallets_created = 0

    @abstractmethod
    def _works(self) -> dict[str, Work]:
        """The functions for a batch of transactions, users, wallets, holds and states."""

    @abstractmethod
    def take_settings(self, settings: Mapping[str, str | None]) -> None:
        """Give an empty ledger the settings of the exported one."""

    @abstractmethod
    def _end_restore(self, line: Line) -> None:
        """Let a restored ledger take writes again, unless a line was refused."""

    def read(self, progress: Callable[[int], None]) -> None:
        works = {**self._works(), "ledger": self._headers, "end": self._footers, "": self._unreadable}
        number = 0
        for batch in _batches(self._lines):
            works[batch[0].record](batch)
            if "id" in batch[0].fields:
                self._is_export = True
            if self._records is not None:
                self._records += len(batch)
            number = batch[-1].number
            self._done = Done(self._done.lines + len(batch), self.refused, self.applied)
            progress(self._source.tell() - self._start)
        self._number = number
        if self._records is not None:
            self._refuse(Line(number + 1, "end", {}, ""), _cut_short())
        self.check_ended()

    @property
    def unsent(self) -> int:
        """How many lines have been read, and nothing has been done with them yet."""
        return 0

    @contextmanager
    def telling_how_far(self) -> Iterator[None]:
        """Where the work in the `with` block is interrupted, raise Interrupted, which says how far it came."""
        try:
            yield
        except BaseException as error:
            if not was_interrupted(error):
                raise
            raise self._interrupted() from error

    def _interrupted(self) -> Interrupted:
        if self._options.dry_run or self._options.atomic:
            return Interrupted("interrupted: nothing of this file is in", hint="run it again")
        count, done, refused = self._how_many, self._done.lines - self.unsent, self._done.refused
        if count is None:
            self._source.seek(self._start)
            count = sum(not line.isspace() for line in self._source)
        # Until a line is new, an earlier run may have come further.
        told = f"read, {refused:,} of them refused" if refused else "in" if self._done.applied else "read"
        return Interrupted(
            f"interrupted: {done:,} of {count:,} lines are {told}",
            hint="what is in stays; run it again: it applies no line twice",
            lines=done,
            of=count,
        )

    def check_ended(self) -> None:
        """Refuse an export without its end: its ledger accepts nothing else until the end is imported."""
        made = self.applied or self.users_created or self.wallets_created
        if self._is_export and made and not self.refused and not self._is_part:
            self._refuse(Line(self._number + 1, "end", {}, ""), _cut_short())

    def summary(self) -> Answer:
        abandoned = self._options.atomic and self.refused > 0
        answer: Answer = {
            "applied": 0 if abandoned else self.applied,
            "replayed": self.replayed - self._own_replayed if abandoned else self.replayed,
            "refused": self.refused,
            "users_created": 0 if abandoned else self.users_created,
            "wallets_created": 0 if abandoned else self.wallets_created,
        }
        if self._options.duplicates == "skip" or self._skipped:
            answer["skipped"] = len(self._skipped)
        return answer | {"dry_run": True} if self._options.dry_run else answer

    def _headers(self, batch: list[Line]) -> None:
        for line in batch:
            if self._records is not None:
                self._refuse(line, _cut_short())
            try:
                records.check_version(line, VERSION)
            except InvalidInput as error:
                if line.number == 1:
                    raise  # the whole file has another form
                self._refuse(line, error)
            try:
                settings = records.ledger_settings(line.fields)
                if settings is not None:
                    self.take_settings(settings)
            except InvalidInput as error:
                self._refuse(line, error)
        self._records = 0

    def _footers(self, batch: list[Line]) -> None:
        for line in batch:
            try:
                if not self._is_part:
                    records.check_count(line, self._records)
            except WalletError as error:
                self._refuse(line, error)
            else:
                self._end_restore(line)
            self._records = None
            self._is_export = False

    def _unreadable(self, batch: list[Line]) -> None:
        for line in batch:
            assert line.problem is not None
            self._refuse(line, line.problem)

    def _make_prefix(self) -> str:
        """The same prefix for a file that looked like an export, but has other lines too."""
        here = self._source.tell()
        self._prefix = digest_prefix(self._source, self._start)
        self._source.seek(here)
        return self._prefix

    def _refuse(self, line: Line, error: WalletError) -> None:
        name = line.fields.get("wallet")
        if type(name) is str and name in self._known:
            error.name_wallets({self._known[name].id: name})
        error.hint = HOW_TO_RESTORE if "id" in line.fields and isinstance(error, NotFound) else in_a_file(error.hint)
        self.refused += 1
        self._report(line.number, error, line.text.rstrip("\r\n"))


class Run(ImportRun):
    """A running import into a local ledger. `carry_out` runs a batch of commands and returns their results."""

    def __init__(
        self,
        ledger: Ledger,
        looked: Looked,
        options: Options,
        report: Report,
        carry_out: CarryOut,
        broken: Iterable[str] = (),
        refused_before: bool | None = None,
    ) -> None:
        super().__init__(ledger.zone_of_times, looked, options, report, broken, refused_before)
        self._takes_back = options.atomic
        """Whether a refusal takes back what is applied."""
        self._leaves_nothing = options.atomic or options.dry_run
        self._first_made: dict[tuple[type, int], int] = {}
        """The first transaction, and the first hold, that this run made in a wallet, where it may leave nothing."""
        self._ledger = ledger
        self._carry_out = carry_out
        self._ends: dict[str, int] = {}
        """The last seq of a known wallet at its first look-up, if it had transactions."""
        self._there: set[int] = set()
        """Ids of wallets that are known to exist."""

    def _works(self) -> dict[str, Work]:
        return {
            "transaction": self._transactions,
            "user": self._users,
            "wallet": self._wallets,
            "hold": self._holds,
            "state": self._states,
            "event": self._events,
        }

    # A batch of each kind.

    def _transactions(self, batch: list[Line]) -> None:
        self._in_wallets(batch, self._transaction)

    def _holds(self, batch: list[Line]) -> None:
        self._in_wallets(batch, lambda line: records.restored_hold(line, self._wallet_of(line), self._zone))

    def _states(self, batch: list[Line]) -> None:
        self._in_wallets(batch, lambda line: records.restored_state(line, self._wallet_of(line)), counted=False)

    def _events(self, batch: list[Line]) -> None:
        for line, _, result in self._carried_out(batch, lambda line: records.restored_event(line, self._zone)):
            if isinstance(result, Refusal):
                self._refuse(line, result.error)

    def _carried_out(self, batch: list[Line], read: Callable[[Line], C]) -> Iterator[tuple[Line, C, Result]]:
        """Run lines that are a command each; those that cannot be read are refused."""
        asked: list[tuple[Line, C]] = []
        for line in batch:
            try:
                asked.append((line, read(line)))
            except WalletError as error:
                self._refuse(line, error)
        results = self._carry_out([command for _, command in asked])
        for (line, command), result in zip(asked, results, strict=True):
            yield line, command, result

    def _in_wallets(self, batch: list[Line], read: Callable[[Line], Change], *, counted: bool = True) -> None:
        """Run lines about wallets; each wallet is looked up first, or opened if requested."""
        self._find_wallets(batch)
        commands: list[Command] = []
        asked: list[Line | tuple[Line, WalletError]] = []
        for line in batch:
            try:
                command = read(line)
                if type(command) is not Post:
                    if self._goes_on(line, command):
                        # Nothing is added to a wallet with another history: the histories are compared first.
                        self._count(asked, self._added(commands, asked), counted=counted)
                        commands, asked = [], []
                    self._check_unbroken(line)
            except WalletError as error:
                # Without its traceback, which would keep this whole batch in memory as long as the error.
                asked.append((line, error.with_traceback(None)))
            else:
                commands.append(command)
                asked.append(line)
        results = self._added(commands, asked) if commands else []
        self._compare_in_other_zones(commands, asked, results)
        self._count(asked, results, counted=counted)

    def _added(self, commands: Sequence[Command], asked: Iterable[Line | tuple[Line, WalletError]]) -> list[Result]:
        """Run the commands of lines. Nothing is done, and Busy raised, where others have done what one of them says
        since the file was looked at.
        """
        lines = [each for each in asked if isinstance(each, Line)]
        ends: dict[str, int] = {}

        def check(results: Sequence[Result]) -> None:
            ends.update(self._check_newer(lines, results))

        results = self._carry_out(commands, check=check if self.looked_to else None)
        self.looked_to |= ends
        return results

    def _check_newer(self, lines: Iterable[Line], results: Iterable[Result]) -> Iterator[tuple[str, int]]:
        """Compare lines with what their wallets have had since the look; yields up to where all is of this file."""
        added: defaultdict[str, list[tuple[Line, Transaction]]] = defaultdict(list)
        firsts: dict[int, int] = {}
        lasts: dict[int, int] = {}
        for line, result in zip(lines, results, strict=True):
            if type(result) is Applied and isinstance(made := result.made, Transaction):
                firsts.setdefault(made.wallet_id, made.seq)
                lasts[made.wallet_id] = made.seq
                if line.fields["wallet"] in self.looked_to:
                    added[line.fields["wallet"]].append((line, made))
        for name, each in added.items():
            id_, end = each[0][1].wallet_id, self.looked_to[name]
            newer = self._ledger.store.in_order(id_, end + 1, firsts[id_] - 1) if end < firsts[id_] - 1 else ()
            if check_newer(each, newer, self._prefix):
                yield name, lasts[id_]

    def _goes_on(self, line: Line, command: Change) -> bool:
        """Whether a line of an export is the first one after those that its wallet already had."""
        name = line.fields["wallet"]
        if isinstance(command, RestoreTransaction):
            return name in self._ends and command.seq == self._ends[name] + 1
        if isinstance(command, RestoreHold):
            return name in self._known and 0 < self._known[name].hold_count == command.hold.number - 1
        return False

    def _check_unbroken(self, line: Line) -> None:
        """Refuse lines of an export after a refused line of the same wallet."""
        if line.fields["wallet"] in self.broken:
            raise RestoreConflict("an earlier line of this wallet was refused", hint="correct that line first")

    def _transaction(self, line: Line) -> Change:
        fields = line.fields
        wallet = self._wallet_of(line)
        if not RESTORED.isdisjoint(fields):
            if not records.is_of(fields.get("currency", wallet.currency.name), wallet.currency):
                raise InvalidInput(
                    ("wallet ", wallet.mention, f" is in {wallet.currency.written}"), hint="a wallet has one currency"
                )
            if "id" in fields:
                return self._with_peer(records.restored_transaction(line, wallet, self._zone))
            named = min(RESTORED.intersection(fields))
            if named != "currency":
                raise InvalidInput(f"{named} needs an id, like the lines of an export", hint=f"leave {named} out")
        key = fields.get("key")
        if key is None:
            key = f"{self._prefix or self._make_prefix()}{line.number}"
        else:
            key = check_key(records.text(fields, "key"))
        try:
            return records.post(line, wallet, key, self._zone)
        except InvalidInput:
            applied = as_applied(self._ledger, line, wallet, key) if "at" in fields else None
            if applied is None:
                raise
            return applied

    def _with_peer(self, command: RestoreTransaction) -> RestoreTransaction:
        """The same; raises RestoreConflict for a leg of a transfer whose other wallet is missing here."""
        id_ = command.peer_wallet_id
        if id_ is not None and id_ not in self._there:
            if id_ > MAX_ID or not self._ledger.store.accounts([id_], self._ledger.now_us()):
                raise RestoreConflict(
                    f"the other leg of this transfer is in wallet {format_wallet_id(id_)}, which is missing here",
                    hint="a transfer needs both of its wallets: export the whole ledger",
                )
            if len(self._there) > MAX_KNOWN_NAMES:
                self._there.clear()
            self._there.add(id_)
        return command

    def _compare_in_other_zones(
        self, commands: list[Command], asked: list[Line | tuple[Line, WalletError]], results: list[Result]
    ) -> None:
        """Replace the refusals of lines that were applied before when their times were read in another zone."""
        reused = [
            number
            for number, result in enumerate(results)
            if isinstance(result, Refusal) and isinstance(result.error, KeyReused)
        ]
        if not reused:
            return
        lines = [each for each in asked if isinstance(each, Line)]
        for zone in self._ledger.zones():
            moved = [
                (number, command._replace(at_us=at_us))
                for number in reused
                if isinstance(command := commands[number], Post) and "at" in lines[number].fields
                for at_us in transactions.times_in(str(lines[number].fields["at"]), [zone])
            ]
            # A key that was used is looked up before anything is applied.
            for (number, _), result in zip(moved, self._carry_out([each for _, each in moved]), strict=True):
                if isinstance(result, Replayed):
                    results[number] = result

    def _users(self, batch: list[Line]) -> None:
        for line, command, result in self._carried_out(batch, self._registration):
            if isinstance(result, Applied):
                self.users_created += 1
            elif isinstance(result, Refusal) and not self._is_that_user(command, result.error):
                self._refuse(line, result.error)

    def _registration(self, line: Line) -> Register:
        if "id" in line.fields or "phone_e164" in line.fields:
            return records.restored_user(line, self._zone)
        fields = line.fields
        number, name = records.text(fields, "phone_number"), records.text_or_none(fields, "name")
        command = users.register(self._ledger, number, name, records.stored_key(fields)).command
        at = records.text_or_none(fields, "created_at")
        return command if at is None else command._replace(created_at_us=parse_start(at, self._zone))

    def _is_that_user(self, command: Register, error: WalletError) -> bool:
        """Whether an existing user is the one that a line asks for."""
        if not isinstance(error, UserExists) or command.id is not None:
            return False
        known = self._ledger.store.user_by_e164(command.phone.e164)
        return known is not None and command.name in (None, known.name)

    def _wallets(self, batch: list[Line]) -> None:
        for line, command, result in self._carried_out(batch, self._opening):
            if isinstance(result, Applied):
                self.wallets_created += 1
            elif isinstance(result, Refusal) and not self._is_that_wallet(command, result.error):
                if command.id is not None:
                    self.broken.add(line.fields["wallet"])
                self._refuse(line, result.error)

    def _opening(self, line: Line) -> OpenWallet:
        fields = line.fields
        name = parse_new_wallet(records.text(fields, "wallet"))
        currency = records.text_or_none(fields, "currency")
        if currency is not None and ("id" in fields or "digits" in fields):
            unit = parse_stored(currency, records.digits(fields))
        else:
            unit = unit_to_open(self._ledger, name, currency)
        minimum = None
        if "minimum_balance" in fields:
            minimum = parse_minimum(records.amount_text(fields, "minimum_balance"), unit)
        if self._options.create and "id" not in fields:
            self._register_missing({name: None})
        user = users.find_user(self._ledger, name.user)
        at_us, id_ = records.created_at(fields, self._zone)
        return OpenWallet(user.id, name.type, unit, minimum, at_us, id_, records.stored_key(fields))

    def _is_that_wallet(self, command: OpenWallet, error: WalletError) -> bool:
        """Whether an existing wallet is the one that a line asks for: with that minimum now, or when it was opened."""
        if not isinstance(error, WalletExists) or command.id is not None:
            return False
        known = self._ledger.store.account_of(command.user_id, command.type, self._ledger.now_us())
        if known is None or not known.wallet.currency.is_meant(command.currency.name):
            return False
        minimum = self._ledger.policy.minimum_of(known.wallet)
        if command.own_minimum in (None, known.wallet.opening_minimum, minimum):
            return True
        error.hint = has_minimum(format_minor(minimum, known.wallet.currency))
        return False

    def take_settings(self, settings: Mapping[str, str | None]) -> None:
        if self._ledger.store.has_rows():
            return
        for result in self._carry_out([SetLedger(name, settings.get(name)) for name in LEDGER_SETTINGS]):
            assert isinstance(result, Applied)

    def _end_restore(self, line: Line) -> None:
        if self.refused or self._refused_before:
            return  # each was reported; the rest is still to come
        (result,) = self._carry_out([EndRestore()])
        if isinstance(result, Refusal):
            self._refuse(line, result.error)

    # Finding users and wallets.

    def _wallet_of(self, line: Line) -> Wallet:
        """The wallet of a line, already looked up; raises the error if there is none.

        What the user would be called is checked, whether the user is there or not.
        """
        _called(line)
        name = records.text(line.fields, "wallet")
        wallet = self._known.get(name)
        if wallet is not None:
            return wallet
        wanted = parse_wallet(name)
        try:
            return find_wallet(self._ledger, wanted)
        except NotFound:
            if self._options.create and "id" not in line.fields and _looks_like_phones(wanted):
                raise InvalidInput(
                    f"no wallet {shown(name)} is opened: what is behind the / looks like a phone number",
                    hint="give one number alone; if it is the type of a wallet, register the user, and open it:"
                    " wallet create USER/TYPE",
                ) from None
            raise

    def _find_wallets(self, batch: Sequence[Line]) -> None:
        """Look up the wallets of a batch that are not known yet; open missing ones if requested."""
        if len(self._known) > MAX_KNOWN_NAMES:
            self._known.clear()
            self._ends.clear()
        unknown: dict[str, bool] = {}
        """Names, and whether an earlier ledger has its wallet: a line of an export opens none."""
        currencies: dict[str, object] = {}
        """The first currency in a line of a wallet."""
        called: dict[str, str] = {}
        """What the users of these wallets are called, by the first line that says it."""
        for line in batch:
            name = line.fields.get("wallet")
            if type(name) is str and name not in self._known:
                try:
                    user = _called(line)
                except InvalidInput:
                    continue  # the line itself gets the error later
                unknown[name] = unknown.get(name, True) and "id" in line.fields
                if line.fields.get("currency") is not None:
                    currencies.setdefault(name, line.fields["currency"])
                if user is not None:
                    called.setdefault(name, user)
        missing: dict[str, tuple[WalletName, object]] = {}
        for text, was_there in unknown.items():
            try:
                wanted = parse_wallet(text)
                self._know(text, wanted)
            except (UserNotFound, WalletNotFound):
                if isinstance(wanted, WalletName) and not was_there and not _looks_like_phones(wanted):
                    missing[text] = (wanted, currencies.get(text))
            except WalletError:
                continue  # the line itself gets the error later
        if missing and self._options.create:
            self._register_missing({name: called.get(text) for text, (name, _) in missing.items()})
            self._open_missing(missing)

    def _open_missing(self, missing: dict[str, tuple[WalletName, object]]) -> None:
        commands: list[OpenWallet] = []
        for name, currency in missing.values():
            try:
                unit = unit_to_open(self._ledger, name, _currency_of(currency))
                commands.append(OpenWallet(users.find_user(self._ledger, name.user).id, name.type, unit, None))
            except (NotFound, InvalidInput):
                continue
        results = self._carry_out(commands) if commands else []
        self.wallets_created += sum(isinstance(result, Applied) for result in results)
        for text, (name, _) in missing.items():
            try:
                self._know(text, name)
            except WalletError:
                continue

    def _know(self, text: str, name: TypedWallet) -> None:
        wallet, last, *_ = find_account(self._ledger, name)
        self._known[text] = wallet
        if last.seq:
            self._ends[text] = last.seq

    def _register_missing(self, names: Mapping[WalletName, str | None]) -> None:
        """Register the phone numbers that no user has yet, with what their users are called."""
        commands: dict[str, Register] = {}
        for name, called in names.items():
            if not isinstance(name.user, PhoneDigits):
                continue
            with suppress(InvalidInput):  # the line itself gets the error
                if self._has(name.user):
                    continue
                command = users.register(self._ledger, name.user.typed, called).command
                known = commands.get(command.phone.e164)
                if known is None or known.name is None:
                    commands[command.phone.e164] = command
        if commands:
            self.users_created += sum(isinstance(each, Applied) for each in self._carry_out(list(commands.values())))

    def _has(self, user: UserName) -> bool:
        try:
            users.find_user(self._ledger, user)
        except UserNotFound:
            return False
        return True

    # Results.

    def _count(
        self, asked: Iterable[Line | tuple[Line, WalletError]], results: Sequence[Result], *, counted: bool = True
    ) -> None:
        """Count the results of a batch, in the order of its lines."""
        rest = iter(results)
        applied = replayed = 0
        for each in asked:
            if isinstance(each, Line):
                result = next(rest)
                if type(result) is Applied:
                    applied += 1
                    if self._leaves_nothing:
                        self._note_made(result.made)
                elif type(result) is Replayed:
                    replayed += 1
                    self._own_replayed += self._is_made_here(result.made)
                else:
                    assert isinstance(result, Refusal)
                    error = result.error
                    if "id" in each.fields:
                        self.broken.add(each.fields["wallet"])
                    if isinstance(error, KeyReused) and self._is_made_here(refusals.named_in(error)):
                        error = refusals.key_used_in("file")
                    elif self._takes_back and (self.applied or applied):
                        refusals.count_before(error)
                    self._refuse(each, error)
            else:
                self._refuse(*each)
        if counted:
            self.applied += applied
            self.replayed += replayed

    def _note_made(self, made: object) -> None:
        if isinstance(made, Transaction):
            self._first_made.setdefault((Transaction, made.wallet_id), made.seq)
        elif isinstance(made, Hold):
            self._first_made.setdefault((Hold, made.wallet_id), made.number)

    def _is_made_here(self, row: object) -> bool:
        """Whether a transaction or hold, or its id, is one that this run made and may leave nothing of."""
        if isinstance(row, Transaction | TransactionId):
            return row.seq >= self._first_made.get((Transaction, row.wallet_id), row.seq + 1)
        if isinstance(row, Hold | HoldId):
            return row.number >= self._first_made.get((Hold, row.wallet_id), row.number + 1)
        return False


def _called(line: Line) -> str | None:
    """What a line says that the user is called. Raises InvalidInput."""
    return check_name(records.text(line.fields, "name")) if "name" in line.fields else None


def _looks_like_phones(wanted: TypedWallet) -> bool:
    """Whether a field may hold a phone number with a slash, or two of them: no wallet is opened for that."""
    return isinstance(wanted, WalletName) and is_phone_as_type(wanted.type)


def _currency_of(named: object) -> str | None:
    if isinstance(named, str | None):
        return named
    raise InvalidInput("the currency is not text", hint='"currency": "…"')


def _cut_short() -> RestoreConflict:
    return RestoreConflict(
        "the export is cut short: its last line is missing", hint="get the complete export, and import it"
    )


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lists of at most BATCH_LINES consecutive lines of one kind."""
    batch: list[Line] = []
    for line in lines:
        if batch and (line.record != batch[0].record or len(batch) >= BATCH_LINES):
            yield batch
            batch = []
        batch.append(line)
    if batch:
        yield batch
