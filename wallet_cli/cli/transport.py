"""`wallet import` and `wallet export`: a ledger in and out as text"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

import typer

from wallet_cli.cli.output import Document, Format, Record, Style, json_text, notice
from wallet_cli.domain.address import parse_wallet
from wallet_cli.errors import InvalidInput, StorageError, WalletError, shown
from wallet_cli.services.context import Ledger
from wallet_cli.storage.ledger_file import ledger_path

STDIN = "-"


class ExportFormat(StrEnum):
    jsonl = "jsonl"
    json = "json"
    """The same: a ledger has no end that could close a list before it is written."""
    csv = "csv"
    hledger = "hledger"
    beancount = "beancount"


def export(
    ledger: Ledger,
    wallet: Annotated[
        str | None, typer.Argument(metavar="[WALLET]", help="One wallet alone.", show_default="all")
    ] = None,
    output: Annotated[
        ExportFormat | None,
        typer.Option("--format", "--output", "-o", help="jsonl can be imported again.", show_default="jsonl"),
    ] = None,
) -> Document:
    """Write the ledger out, as of one moment, while others write."""
    from wallet_cli.services import exports

    form = output if output in exports.FORMATS else "jsonl"
    return Document(ledger.call(exports.export, str(form), None if wallet is None else parse_wallet(wallet)))


def import_(
    ledger: Ledger,
    style: Style,
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON lines or CSV; - is stdin.", show_default=False)],
    create: Annotated[bool, typer.Option("--create", help="Register users and open wallets that are missing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Through the same rules, and change nothing.")] = False,
    atomic: Annotated[bool, typer.Option("--atomic", help="All lines, or none where one is refused.")] = False,
    rejects: Annotated[
        str | None,
        typer.Option("--rejects", metavar="FILE", help="Write refused lines here, as JSON lines.", show_default=False),
    ] = None,
) -> Record:
    """Read transactions in; a line that was read before is not applied again."""
    from wallet_cli.services import imports

    options = imports.Options(create, dry_run, atomic)
    with ExitStack() as stack:
        source = stack.enter_context(_opened(file))
        report = _to_stderr(style)
        if rejects is not None:
            report = _to_file(stack.enter_context(_rejects_file(rejects, source, ledger)))
        progress = stack.enter_context(_progress(source, style))
        summary = ledger.call(imports.run, source, options, report, progress, name=file)
    return Record(summary, value="applied", exit_code=4 if summary["refused"] else 0)


Report = Callable[[int, WalletError, str], None]


def _to_stderr(style: Style) -> Report:
    def report(line: int, error: WalletError, _text: str) -> None:
        if style.format in (Format.json, Format.jsonl):
            print(json_text({"line": line, "error": error.as_json()}), file=sys.stderr)
        else:
            notice(f"line {line}: {error.code}: {error.message}")

    return report


def _to_file(file: TextIO) -> Report:
    def report(line: int, error: WalletError, text: str) -> None:
        told = {"line": line, "code": error.code, "message": error.message, "hint": error.hint, "text": text}
        file.write(json_text(told) + "\n")

    return report


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
def _rejects_file(name: str, source: BinaryIO, ledger: Ledger) -> Iterator[TextIO]:
    path = Path(name)
    try:
        if path.exists():
            kept = {"what is imported": os.fstat(source.fileno())}
            if "://" not in ledger.settings.db:
                kept["the ledger"] = ledger_path(ledger.settings.db).stat()
            for what, known in kept.items():
                if os.path.samestat(path.stat(), known):
                    raise InvalidInput(f"the rejects would be written over {what}", hint="name another --rejects file")
        file = path.open("w", encoding="ascii", newline="\n")
    except (OSError, ValueError) as error:
        raise _cannot("write", name, error) from None
    try:
        with file:
            yield file
    except OSError as error:
        raise StorageError(f"cannot write {shown(name)}: {error.strerror}", hint="free some space") from None


def _cannot(what: str, name: str, error: OSError | ValueError) -> InvalidInput:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return InvalidInput(f"cannot {what} {shown(name)}: {reason}", hint="check the path")


@contextmanager
def _progress(source: BinaryIO, style: Style) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where somebody watches it; is told how many bytes have been read."""
    if not sys.stderr.isatty() or style.quiet:
        yield lambda _bytes: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("importing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("importing", total=_size(source))
        yield lambda done: bar.update(task, completed=done)


def _size(source: BinaryIO) -> int | None:
    """How many bytes there are, where that can be known."""
    if not source.seekable():
        return None
    here = source.tell()
    end = source.seek(0, 2)
    source.seek(here)
    return end
