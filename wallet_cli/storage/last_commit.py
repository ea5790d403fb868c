"""What was committed last, noted outside the ledger: it shows when a log was deleted, or an older copy put in place.

A ledger whose log is gone is whole, only older, and nothing in it can tell. The note is made after the commit, so it
may be behind, and is never ahead; and as nothing is ever taken out of a ledger, what it names has to be there.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wallet_cli.domain.address import format_transaction_id
from wallet_cli.domain.chain import sha256
from wallet_cli.domain.model import Transaction
from wallet_cli.errors import StorageError
from wallet_cli.storage.in_place import NO_LOG, WRITTEN_BY, Identity, beside, has_something, header, identity_of
from wallet_cli.storage.reading import Reading

if TYPE_CHECKING:
    import apsw

MAGIC = b"WLT1"
SUM_BYTES = 8
NUMBER_BYTES = 16
HASH_AT = 4 + 16 + 6 * NUMBER_BYTES
LAST_COMMIT_BYTES = HASH_AT + 32 + SUM_BYTES


class LastCommit(NamedTuple):
    """A transaction that was committed in the ledger whose id has the digest `ledger`.

    `lock` is the file that this is noted in, and `file` that of the ledger.
    """

    ledger: bytes
    lock: Identity
    file: Identity
    wallet_id: int
    seq: int
    hash: bytes

    def packed(self) -> bytes:
        """With a sum behind it, as a power cut may leave half of a write."""
        numbers = (*self.lock, *self.file, self.wallet_id, self.seq)
        told = b"".join((MAGIC, self.ledger, *[each.to_bytes(NUMBER_BYTES, "little") for each in numbers], self.hash))
        return told + _sum(told)

    @staticmethod
    def unpacked(found: bytes) -> LastCommit | None:
        """None for what is not the whole of a note."""
        told, sum_ = found[:-SUM_BYTES], found[-SUM_BYTES:]
        if len(found) != LAST_COMMIT_BYTES or not told.startswith(MAGIC) or _sum(told) != sum_:
            return None
        numbers = [int.from_bytes(told[at : at + NUMBER_BYTES], "little") for at in range(20, HASH_AT, NUMBER_BYTES)]
        lock_device, lock, device, file, wallet_id, seq = numbers
        return LastCommit(told[4:20], (lock_device, lock), (device, file), wallet_id, seq, told[HASH_AT:])


def _sum(told: bytes) -> bytes:
    return bytes(sha256(told).digest()[:SUM_BYTES])


def digest_of(uuid: str | None) -> bytes:
    """How a note names a ledger."""
    return bytes(sha256(str(uuid).encode()).digest()[:16])


def last_commit_of(transaction: Transaction, uuid: str | None, lock: Identity, file: Identity) -> LastCommit:
    return LastCommit(digest_of(uuid), lock, file, transaction.wallet_id, transaction.seq, transaction.hash)


def check_last_commit(store: Reading, last_commit: LastCommit | None, where: str) -> None:
    """Raises StorageError where a ledger lacks what a note, read before it, names. Another ledger's says nothing."""
    if last_commit is None or last_commit.ledger != digest_of(store.facts_of_turn().uuid):
        return
    found = store.transaction(last_commit.wallet_id, last_commit.seq)
    if found is None or found.hash != last_commit.hash:
        id_ = format_transaction_id(last_commit.wallet_id, last_commit.seq)
        raise StorageError(
            f"transactions that were committed are missing, {id_} the last of them: {where}",
            hint=f"if {where}-wal was deleted or left elsewhere, put it back; if this is an older copy, put here on"
            f" purpose, stop what uses it and remove {where}.lock",
            transaction=id_,
        )


def check_log(path: Path, connection: apsw.Connection, last_commit: LastCommit | None) -> None:
    """Raises StorageError where the log beside a file is known to be of another: SQLite would bring it in all the same.

    For a connection that has read nothing yet. A copy made by SQLite is not in WAL mode, and has no log; and where the
    file was replaced since its last transaction, and the lock beside it was not, the log was not replaced either.
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
            raise StorageError(
                f"{log.name} is of another file, in the place of which this one was put: {path}",
                hint=f"if you put a backup here, move {log.name}, {path.name}-shm and {lock.name} to another folder,"
                " and keep them: what was written last may be there alone",
            )
