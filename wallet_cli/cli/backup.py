"""`wallet backup` and `wallet restore`"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated

import typer

from wallet_cli import settings
from wallet_cli.cli.by_hand import be_sure, can_ask
from wallet_cli.cli.command import YesOption
from wallet_cli.cli.output import Record, Style, notice
from wallet_cli.cli.progress import progress
from wallet_cli.domain.period import parse_duration
from wallet_cli.errors import InvalidInput
from wallet_cli.paths import typed_path


def backup(
    flags: Mapping[str, str],
    style: Style,
    target: Annotated[
        str, typer.Argument(metavar="FILE", help="The new file; with --every or --keep, a folder.", show_default=False)
    ],
    every: Annotated[
        str | None,
        typer.Option(
            "--every",
            metavar="TIME",
            help="Back up only if the newest backup is older than this: 1h.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep",
            metavar="H,D,M",
            help="Keep the newest backup of each of this many hours, days and months.",
            show_default=False,
        ),
    ] = None,
) -> Record:
    """The copy is of one moment, while others write. It is verified before it gets its name, and readable by you alone.

    Examples:
        wallet backup evening.db
        wallet backup ~/backups/ --every 1h --keep 24,7,12
    """
    from wallet_cli.operations import backup as backups

    chosen = settings.load(flags, notify=notice)
    place = typed_path(target)
    with progress(style, "copying") as watch:
        is_folder = place.is_dir() or target.endswith(("/", os.sep))
        if every is None and keep is None and not is_folder:
            return Record(backups.backup(chosen, target, notice, watch), value="backup", kind="backup")
        if place.is_file():
            raise InvalidInput(f"this is a file, not a folder: {target}", hint="--every and --keep need a folder")
        every_us = None if every is None else parse_duration(every)
        kept = None if keep is None else backups.parse_keep(keep)
        return Record(backups.backup_into(chosen, target, every_us, kept, notice, watch), value="backup", kind="backup")


def restore(
    flags: Mapping[str, str],
    style: Style,
    source: Annotated[str, typer.Argument(metavar="FILE", help="The backup.", show_default=False)],
    other: Annotated[bool, typer.Option("--other", help="Allow a backup of a different ledger.")] = False,
    yes: YesOption = False,
) -> Record:
    """What was there is kept beside the ledger, by another name. A server that has it open has to be started again.

    Examples:
        wallet restore evening.db
        wallet --db shop.db restore ~/backups/wallet-1a2b3c4d-2026-11-27T14-00-00Z.db
    """
    from wallet_cli.operations import backup as backups

    chosen = settings.load(flags, notify=notice)
    if not yes and can_ask(flags) and typed_path(chosen.db).exists():
        be_sure(f"Put {source} in the place of {chosen.db}? The ledger of now is kept beside it.")
    with progress(style, "restoring") as watch:
        return Record(backups.restore(chosen, source, notice, watch, other=other), value="restored", kind="restored")
