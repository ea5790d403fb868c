"""`wallet import` and `wallet export`: a ledger in and out as text"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from wallet_cli import settings
from wallet_cli.api import LedgerApi
from wallet_cli.cli.by_hand import Hand, can_ask
from wallet_cli.cli.command import opened
from wallet_cli.cli.named_ledger import on_it
from wallet_cli.cli.output import Document, Format, Record, Style, json_text, notice
from wallet_cli.cli.progress import Patience, progress
from wallet_cli.cli.tree import command_of
from wallet_cli.domain.ids import TypedWallet
from wallet_cli.errors import Interrupted, InvalidInput, StorageError, WalletError, hint_of, shown
from wallet_cli.local import files_of

if TYPE_CHECKING:
    from wallet_cli.import_export.imports import Job
    from wallet_cli.import_export.imports.checking import Duplicates as Found
    from wallet_cli.import_export.imports.dialect import Dialect
    from wallet_cli.operations.answers import Answer

STDIN = "-"


class Duplicates(StrEnum):
    ask = "ask"
    skip = "skip"
    add = "add"


class ExportFormat(StrEnum):
    jsonl = "jsonl"
    json = "json"
    """The same: a ledger has no end that could close a list before it is written."""
    csv = "csv"
    hledger = "hledger"
    beancount = "beancount"


def export(
    ledger: LedgerApi,
    style: Style,
    hand: Hand,
    wallet: Annotated[
        str | None, typer.Argument(metavar="[WALLET]", help="Only this wallet.", show_default="all")
    ] = None,
    output: Annotated[
        ExportFormat | None,
        typer.Option(
            "--format", "--output", "-o", help="jsonl (json is the same) can be imported.", show_default="jsonl"
        ),
    ] = None,
) -> Document:
    """
    Examples:
        wallet export > backup.jsonl                # all of the ledger; `import` reads it back
        wallet export 9886977544 -o csv > asha.csv
        wallet export -o hledger > wallet.journal
    """
    from wallet_cli.import_export import exports

    form = output if output in exports.FORMATS else "jsonl"
    name = None if wallet is None else hand.wallet(wallet)
    lines = 0

    def parts() -> Iterator[str]:
        nonlocal lines
        # Where the export itself is shown, a bar would stand in the middle of it.
        with progress(style._replace(quiet=sys.stdout.isatty()), "exporting") as watch:
            total = _how_many(ledger, name) if sys.stderr.isatty() and not sys.stdout.isatty() else None
            for part in ledger.export(str(form), name):
                yield part
                lines += part.count("\n")
                watch("exporting", lines, total)

    def interrupted() -> Interrupted:
        return Interrupted(
            f"interrupted: the export is incomplete: {lines:,} lines were read",
            hint="run it again: it starts from the beginning",
        )

    return Document(parts(), interrupted)


def _how_many(ledger: LedgerApi, wallet: TypedWallet | None) -> int:
    """How many transactions there are to export: most of its lines."""
    wallets = ledger.wallets(None).rest(None) if wallet is None else [ledger.balance(wallet)]
    return sum(int(each["transactions"]) for each in wallets)


def import_(
    flags: Mapping[str, str],
    style: Style,
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON lines or CSV; - is stdin.", show_default=False)],
    create: Annotated[bool, typer.Option("--create", help="Register users and open wallets that are missing.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the lines by the rules, and change nothing.")
    ] = False,
    atomic: Annotated[bool, typer.Option("--atomic", help="All lines, or none if one is refused.")] = False,
    rejects: Annotated[
        str | None,
        typer.Option("--rejects", metavar="FILE", help="Write refused lines here, as JSON lines.", show_default=False),
    ] = None,
    duplicates: Annotated[
        Duplicates | None,
        typer.Option(
            "--duplicates",
            help="How to treat lines without a key that are in the ledger; without a terminal, ask refuses.",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[bool, typer.Option("--sort", help="Apply the lines in the order of their times.")] = False,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=FIELD",
            help="CSV: what other columns are: 'Betrag=amount,Datum=at'.",
            show_default=False,
        ),
    ] = None,
    wallet: Annotated[
        str | None,
        typer.Option(
            "--wallet",
            metavar="WALLET",
            help="CSV: the wallet of every line, if the file has no such column.",
            show_default=False,
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            "--delimiter",
            metavar="C",
            help="CSV: the sign between columns: , ; | or tab.",
            show_default="as the header has it",
        ),
    ] = None,
    decimal: Annotated[
        str | None,
        typer.Option("--decimal", metavar="C", help="CSV: the decimal sign: comma or point.", show_default=False),
    ] = None,
    dates: Annotated[
        str | None,
        typer.Option(
            "--dates",
            metavar="dmy|mdy",
            help="CSV: how dates are written: 31/12/2024 or 12/31/2024.",
            show_default="YYYY-MM-DD",
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            "--encoding",
            metavar="NAME",
            help="CSV: the encoding, such as cp1252.",
            show_default="utf-8, or by its mark",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="NAME", help="CSV: take the options from import/NAME.toml.", show_default=False
        ),
    ] = None,
    save_profile: Annotated[
        str | None,
        typer.Option("--save-profile", metavar="NAME", help="CSV: save these options there.", show_default=False),
    ] = None,
) -> Record:
    """
    Examples:
        wallet import top-ups.csv --dry-run         # what would be done
        wallet import top-ups.csv --rejects refused.jsonl
        wallet import bank.csv --map 'Betrag=signed_amount' --decimal , --wallet 9886977545
        wallet --db copy.db import backup.jsonl     # an export, into a new ledger
    """
    from wallet_cli.import_export import imports

    given = {"delimiter": delimiter, "decimal": decimal, "dates": dates, "encoding": encoding, "wallet": wallet}
    dialect = _dialect(given, columns or [], profile, save_profile)
    options = imports.Options(create, dry_run, atomic, duplicates and str(duplicates), sort)
    with ExitStack() as stack:
        source = stack.enter_context(_opened(file))
        tell, unwritten, lost = _to_stderr(style), list[OSError](), list[StorageError]()
        if rejects is not None:
            tell = _to_file(stack.enter_context(_rejects_file(rejects, source, flags)), tell, unwritten)

        def report(line: int, error: WalletError, text: str) -> None:
            error.hint = error.hint and on_it(error.hint, flags)
            tell(line, error, text)

        if not source.seekable():
            source = stack.enter_context(imports.spooled(source))
        patience = stack.enter_context(Patience())
        watch = stack.enter_context(progress(style, "importing", of_bytes=True))
        size = _size(source)

        def done(read: int) -> None:
            patience.end()
            watch("importing", read, size)

        decide = _decide(duplicates, can_be_asked=can_ask(flags))
        job = imports.Job(options, report, done, file, dialect, decide, notice, patience.begin)
        purpose = command_of("import").purpose_with({"dry_run": dry_run})
        with opened(flags, purpose, lambda new: _has_something(new, source, job)) as ledger:
            summary = ledger.import_(source, job)
    if save_profile is not None:
        from wallet_cli.import_export.imports import profiles

        try:
            notice(f"kept as profile {save_profile}: {profiles.write(save_profile, dialect)}")
        except StorageError as error:
            lost.append(error)
    if unwritten:
        lost.append(_rejects_lost(str(rejects), unwritten[0]))
    if lost:
        raise _lost(lost, summary)
    return Record(summary, value="applied", exit_code=4 if summary["refused"] else 0, kind="import")


class _HasSomethingError(Exception):
    """A file has something to apply."""


def _has_something(new: LedgerApi, source: BinaryIO, job: Job) -> bool:
    """Whether anything of a file would be in a new ledger. The file is tried until something would be committed."""

    def enough() -> None:
        raise _HasSomethingError

    start = source.tell()
    untold = job._replace(report=lambda *_: None, progress=lambda _: None, tell=lambda _: None, before_commit=enough)
    try:
        new.import_(source, untold)
        return False
    except _HasSomethingError:
        return True
    finally:
        source.seek(start)


def _dialect(
    given: Mapping[str, str | None], columns: Sequence[str], profile: str | None, save_profile: str | None
) -> Dialect:
    """How the file is written, by the options and by the profile, of which options take the place."""
    from wallet_cli.import_export.imports import profiles
    from wallet_cli.import_export.imports.dialect import dialect

    kept = {} if profile is None else profiles.read(profile)
    chosen = kept | {name: value for name, value in given.items() if value is not None}
    if columns:
        chosen["map"] = list(columns)
    found = dialect(**{"columns" if name == "map" else name: value for name, value in chosen.items()})
    if save_profile is not None:
        profiles.path_of(save_profile)
    return found


def _decide(duplicates: Duplicates | None, *, can_be_asked: bool) -> Callable[[Found], str]:
    """Ask what to do with lines that are there already, where somebody can answer; `add` where that was said."""
    from wallet_cli.import_export.imports.checking import refuse

    def ask(found: Found) -> str:
        if duplicates not in (None, Duplicates.ask) or not can_be_asked:
            return refuse(found)
        first = found.first
        notice(f"in the ledger already: {found.lines} of the lines without a key; the first is line {first.number}:")
        notice(first.text.rstrip())
        while True:
            print("skip them, add them again, or stop? [skip/add/STOP] ", end="", file=sys.stderr, flush=True)
            answer = sys.stdin.readline().strip().lower()
            word = next((each for each in ("skip", "add", "stop") if each.startswith(answer)), "") if answer else "stop"
            if word:
                return refuse(found) if word == "stop" else word
            notice(f"not one of them: {answer!r}")

    return ask


Report = Callable[[int, WalletError, str], None]


def _to_stderr(style: Style) -> Report:
    def report(line: int, error: WalletError, _text: str) -> None:
        if style.format in (Format.json, Format.jsonl):
            with suppress(OSError):
                print(json_text({"line": line, "error": error.as_json()}), file=sys.stderr)
        else:
            hint = f"; hint: {error.hint}" if error.hint else ""
            notice(f"line {line}: {error.code}: {error.message}{hint}")

    return report


def _to_file(file: BinaryIO, otherwise: Report, unwritten: list[OSError]) -> Report:
    """Report to a file; once it cannot be written, which is noted in `unwritten`, in the other way."""

    def report(line: int, error: WalletError, text: str) -> None:
        told = {"line": line, "code": error.code, "message": error.message, "hint": error.hint, "text": text}
        try:
            rest = b"" if unwritten else f"{json_text(told)}\n".encode("ascii")
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as problem:
            unwritten.append(problem)
        if unwritten:
            otherwise(line, error, text)

    return report


def _rejects_lost(name: str, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write {shown(name)}: {error.strerror}; the refused lines that are not in it are on stderr",
        hint=hint_of(error, "name another --rejects file"),
    )


def _lost(lost: Sequence[StorageError], summary: Answer) -> StorageError:
    """Says what an import did that could not write something else than the ledger."""
    counts = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in summary.items() if what != "dry_run")
    told = "; ".join(error.message for error in lost)
    return StorageError(
        f"{told}; {'dry run' if 'dry_run' in summary else 'import'}: {counts}",
        hint=f"{'; '.join(str(error.hint) for error in lost)}, and run it again: it applies no line twice",
        **summary,
    )


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == STDIN:
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115  (closed below)
    except (OSError, ValueError) as error:
        raise _cannot("read", name, error) from None
    with file:
        yield file


@contextmanager
def _rejects_file(name: str, source: BinaryIO, flags: Mapping[str, str]) -> Iterator[BinaryIO]:
    """A file for its owner alone: it has people's payments in it. What was there is emptied, a link is not followed."""
    path = Path(name)
    # /dev/stderr and /dev/fd/63 are links, and nobody else's.
    follow = 0 if path.parts[:2] == ("/", "dev") else getattr(os, "O_NOFOLLOW", 0)
    # By name: what belongs to the ledger is not opened, as closing it would drop SQLite's locks.
    if os.path.realpath(path) in files_of(settings.load(flags).db):
        raise _written_over("the ledger")
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | follow, 0o600)
        try:
            here = os.fstat(fd)
            if os.path.samestat(here, os.fstat(source.fileno())):
                raise _written_over("what is imported")
            if stat.S_ISREG(here.st_mode):
                os.fchmod(fd, 0o600)
                os.ftruncate(fd, 0)
        except BaseException:
            os.close(fd)
            raise
        file = os.fdopen(fd, "wb", buffering=0)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise InvalidInput(f"cannot write {shown(name)}: it is a symbolic link", hint="name a file") from None
        raise _cannot("write", name, error) from None
    except ValueError as error:
        raise _cannot("write", name, error) from None
    with file:
        yield file


def _written_over(what: str) -> InvalidInput:
    return InvalidInput(f"the rejects would be written over {what}", hint="name another --rejects file")


def _cannot(what: str, name: str, error: OSError | ValueError) -> InvalidInput:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return InvalidInput(f"cannot {what} {shown(name)}: {reason}", hint="check the path")


def _size(source: BinaryIO) -> int | None:
    """How many bytes there are, where that can be known."""
    if not source.seekable():
        return None
    here = source.tell()
    end = source.seek(0, 2)
    source.seek(here)
    return end
