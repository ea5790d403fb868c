"""The wallet that is meant where none is named: kept in the user's own state folder, a file for each ledger."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from wallet_cli.api import LedgerApi
from wallet_cli.domain.ids import TypedWallet, parse_wallet
from wallet_cli.errors import InvalidInput, StorageError, UserNotFound, WalletError, WalletNotFound
from wallet_cli.settings import platform_folder

MAX_BYTES = 100
"""How long a WALLET by id and type may be, and its line end."""


def used_in(ledger: LedgerApi) -> TypedWallet | None:
    """The wallet that is meant in a ledger where none is named; None where there is none.

    Raises InvalidInput where there is none of that name by now, or another one: the ledger was put back to an earlier
    day.
    """
    found = read(path_of(ledger))
    if found is None:
        return None
    named, created_at = found
    with suppress(UserNotFound, WalletNotFound):
        if ledger.balance(named)["created_at"] == created_at:
            return named
    raise InvalidInput(
        f"the wallet that you chose, {named.text}, is not in the ledger any more",
        hint="choose another: wallet use WALLET; or none: wallet use --clear",
    )


def path_of(ledger: LedgerApi) -> Path:
    """The file for a ledger: its id and its address name it, so that no other ledger has it, and no copy."""
    facts = ledger.facts()
    uuid = str(facts["id"])
    if not re.fullmatch("[0-9a-fA-F-]{36}", uuid):
        raise StorageError("this ledger has no id, so that it cannot be told from others")
    place = sha256(os.fsencode(str(facts["db"]))).hexdigest()[:16]
    return platform_folder("state") / "used" / f"{uuid}-{place}"


def read(path: Path) -> tuple[TypedWallet, str] | None:
    """What a file says: the wallet, and when it was opened.

    Raises InvalidInput for one that somebody else may have written.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            text = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}", hint="name the wallet") from None
    if os.name == "posix" and (found.st_uid != os.geteuid() or found.st_mode & 0o022):
        raise InvalidInput(f"others may write to {path}", hint="name the wallet; `wallet use --clear` removes the file")
    try:
        wallet, _, created_at = text.decode("utf-8").strip().partition(" ")
        return parse_wallet(wallet), created_at
    except (WalletError, UnicodeDecodeError):
        raise InvalidInput(f"{path} names no wallet", hint="name the wallet; `wallet use --clear` removes it") from None


def keep(path: Path, wallet: str, created_at: str) -> None:
    """Write the file whole. Raises StorageError."""
    from wallet_cli.operations.private_files import replace

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(path, f"{wallet} {created_at}\n".encode())
    except OSError as error:
        raise StorageError(
            f"cannot save the chosen wallet in {path}: {error.strerror}", hint="name the wallet each time"
        ) from None


def forget(path: Path) -> None:
    """Remove the file, if it is there. Raises StorageError."""
    try:
        path.unlink(missing_ok=True)
    except NotADirectoryError:
        return
    except OSError as error:
        raise StorageError(f"cannot remove {path}: {error.strerror}", hint="remove it by hand") from None
