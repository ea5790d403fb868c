"""A note of the last commit, outside the ledger: it shows a deleted log, or an older copy in the ledger's place.

A ledger without its log is complete, only older, and nothing in it can show that. The note is written after the commit,
so it may be behind, and is never ahead. Nothing is ever removed from a ledger, so what the note names must be there.
The note also has the last trusted time: file times come from whatever clock the machine had.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from wallet_cli.domain.hash_chain import sha256
from wallet_cli.domain.ids import format_transaction_id
from wallet_cli.errors import NotTogether
from wallet_cli.named_tuples import NamedTuple
from wallet_cli.storage.in_place import NO_LOG, WRITTEN_BY, Identity, beside, has_something, header, identity_of

if TYPE_CHECKING:
    import apsw

    from wallet_cli.storage.bulk_copy import BulkCopy

NOTED_SINCE = 6
"""The first schema with notes."""

MAGIC = b"WLT1"
SUM_BYTES = 8
DIGEST_BYTES = HASH_BYTES = 32
NUMBER_BYTES = 16
NUMBERS_AT = len(MAGIC) + DIGEST_BYTES
HASH_AT = NUMBERS_AT + 8 * NUMBER_BYTES
LAST_COMMIT_BYTES = HASH_AT + HASH_BYTES + SUM_BYTES


class LastCommit(NamedTuple):
    """The last commit in the ledger whose id has the digest `ledger`.

    `lock` is the file with this note, and `file` that of the ledger. `wallet_id`, `seq` and `hash` are those of the
    last transaction (zeros if there was none), `changes` counts the commits without a transaction (move_state.Itself),
    and `at_us` is the time of the last commit under a clock that was not in doubt.
    """

    ledger: bytes
    lock: Identity
    file: Identity
    changes: int = 0
    at_us: int = 0
    wallet_id: int = 0
    seq: int = 0
    hash: bytes = bytes(HASH_BYTES)

    def packed(self) -> bytes:
        """With a checksum at its end, because a power cut may leave half of a write."""
        numbers = (*self.lock, *self.file, self.changes, self.at_us, self.wallet_id, self.seq)
        told = b"".join((MAGIC, self.ledger, *[each.to_bytes(NUMBER_BYTES, "little") for each in numbers], self.hash))
        return told + _sum(told)

    @staticmethod
    def unpacked(found: bytes) -> LastCommit | None:
        """None for an incomplete note."""
        told, sum_ = found[:-SUM_BYTES], found[-SUM_BYTES:]
        if len(found) != LAST_COMMIT_BYTES or not told.startswith(MAGIC) or _sum(told) != sum_:
            return None
        places = range(NUMBERS_AT, HASH_AT, NUMBER_BYTES)
        numbers = [int.from_bytes(told[at : at + NUMBER_BYTES], "little") for at in places]
        lock, file, (changes, at_us, wallet_id, seq) = (numbers[0], numbers[1]), (numbers[2], numbers[3]), numbers[4:]
        return LastCommit(told[len(MAGIC) : NUMBERS_AT], lock, file, changes, at_us, wallet_id, seq, told[HASH_AT:])

    def is_of(self, uuid: str | None) -> bool:
        """Whether it is about the ledger with that id."""
        return self.ledger == digest_of(uuid)


def _sum(told: bytes) -> bytes:
    return bytes(sha256(told).digest()[:SUM_BYTES])


@lru_cache(maxsize=4)
def digest_of(uuid: str | None) -> bytes:
    """The name of a ledger in a note."""
    return bytes(sha256(str(uuid).encode()).digest())


def check_last_commit(store: BulkCopy, last_commit: LastCommit | None, where: str) -> None:
    """Raises NotTogether if a ledger lacks what an earlier read note names. Another ledger's note does not count."""
    if last_commit is None or not last_commit.is_of(store.facts_of_turn().uuid):
        return
    if last_commit.seq:
        found = store.transaction(last_commit.wallet_id, last_commit.seq)
        if found is None or found.hash != last_commit.hash:
            id_ = format_transaction_id(last_commit.wallet_id, last_commit.seq)
            raise _missing(f"committed transactions are missing, up to {id_}", where, id_)
    if store.changes < last_commit.changes:
        raise _missing("committed changes (of users, wallets, holds, keys or settings) are missing", where)


def check_not_older(version: int, last_commit: LastCommit | None, where: str) -> None:
    """Raises NotTogether for a ledger from before notes, if its lock file has a note: a newer ledger was here."""
    if last_commit is not None and version < NOTED_SINCE:
        raise _missing(f"this copy of the ledger (schema {version}) is older than the last commit here", where)


def _missing(what: str, where: str, id_: str | None = None) -> NotTogether:
    return NotTogether(
        f"{what}: {where}",
        hint=f"if {where}-wal was moved, put it back; if it was deleted, cut or overwritten, restore a backup; to"
        " continue"
        " without the missing part, for example with an older copy, stop the programs that use the ledger and"
        f" remove {where}.lock",
        **({} if id_ is None else {"transaction": id_}),
    )


def check_log(path: Path, connection: apsw.Connection, last_commit: LastCommit | None) -> None:
    """Raises NotTogether if the log beside a file belongs to another file: SQLite would merge it anyway.

    For a connection that has read nothing yet. A copy made by SQLite is not in WAL mode, and has no log. If the file
    was replaced since its last transaction, but the lock beside it was not, then the log was not replaced either.
    """
    log, lock = beside(path, "-wal"), beside(path, ".lock")
    if not has_something(log):
        return
    with suppress(FileNotFoundError):
        other = header(connection)[WRITTEN_BY] == NO_LOG or (
            last_commit is not None
            and last_commit.lock == identity_of(lock.stat())
            and last_commit.file != identity_of(path.stat())
        )
        if other:
            raise NotTogether(
                f"{log.name} belongs to another file, which this one has replaced: {path}",
                hint=f"if you put a backup here, move {log.name}, {path.name}-shm and {lock.name} to another folder,"
                " and keep them: they may have the only copy of the last writes",
            )
