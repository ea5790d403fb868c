"""Files of a ledger in a folder, named by when they were made: backups and seals."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

MOMENT = "%Y-%m-%dT%H-%M-%SZ"
NAMED = re.compile(r"wallet-([0-9a-f]{8})-([0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?:-[0-9]{2}){2}Z)\.(db|seal)")
"""The names: the first digits of the ledger's id, the time in UTC, and the kind."""


def beginning(ledger_id: str) -> str:
    """How the names of a ledger's files begin."""
    return f"wallet-{ledger_id[:8]}-"


def name(ledger_id: str, now: datetime, kind: str) -> str:
    """The name of a file that is made now, in UTC."""
    return f"{beginning(ledger_id)}{now.strftime(MOMENT)}.{kind}"


def moment(name: str) -> str | None:
    """When a file was made, by its name; None for a name that none has."""
    found = NAMED.fullmatch(name)
    if found is None:
        return None
    try:
        datetime.strptime(found[2], MOMENT)
    except ValueError:
        return None
    return found[2]


def names(folder: Path, ledger_id: str, kind: str) -> list[str]:
    """The names of a ledger's files of a kind in a folder, empty ones too. Raises OSError."""
    own, ending = beginning(ledger_id), f".{kind}"
    named = (each for each in folder.iterdir() if each.name.startswith(own) and each.name.endswith(ending))
    return [each.name for each in named if moment(each.name) is not None and each.is_file() and not each.is_symlink()]


def until(names: list[str], now_name: str) -> list[str]:
    """Those made until now: the names of a clock that was ahead do not say when the files were made."""
    return [each for each in names if each <= now_name]


def age_us(name: str, now: datetime) -> int:
    """How long ago a file was made, by its name."""
    made = datetime.strptime(str(moment(name)), MOMENT).replace(tzinfo=UTC)
    return int((now - made).total_seconds() * 1_000_000)
