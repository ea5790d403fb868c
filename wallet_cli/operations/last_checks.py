"""When this user's programs last verified, backed up and sealed a ledger: one small file for each ledger.

It is in the user's state folder, not in the ledger, because reading commands change nothing there. Only `wallet doctor`
uses it.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from wallet_cli.domain.hash_chain import sha256
from wallet_cli.domain.period import LAST_US
from wallet_cli.errors import StorageError
from wallet_cli.operations.private_files import replace
from wallet_cli.settings import platform_folder
from wallet_cli.storage.folders import make_folder

VERIFIED, FOUND_DAMAGE = "verified_at_us", "found_damage_at_us"
BACKED_UP, SEALED = "backed_up_at_us", "sealed_at_us"


def _file_of(ledger_id: str, address: str) -> Path:
    """Of a ledger in its place: a copy of it elsewhere has another file."""
    place = sha256(os.fsencode(address)).hexdigest()[:16]
    return platform_folder("state") / "ledgers" / f"{ledger_id}-{place}.json"


def note(ledger_id: str, address: str, what: str) -> None:
    """Record that `what` was done now; skipped if it cannot be written."""
    with suppress(OSError, StorageError):
        file = _file_of(ledger_id, address)
        make_folder(file.parent)
        replace(file, json.dumps(read(ledger_id, address) | {what: time.time_ns() // 1000}).encode())


def read(ledger_id: str, address: str) -> dict[str, int]:
    """The recorded times of a ledger, in microseconds since 1970, by the names above."""
    try:
        found = json.loads(_file_of(ledger_id, address).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    known = found.items() if isinstance(found, dict) else ()
    return {name: at_us for name, at_us in known if isinstance(at_us, int) and 0 <= at_us <= LAST_US}


def found_damage(known: dict[str, int]) -> bool:
    """Whether the last verification found damage."""
    return known.get(FOUND_DAMAGE, 0) > known.get(VERIFIED, 0)
