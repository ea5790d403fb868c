"""Walking the chains of transactions: every running total, sequence number, time and hash is computed again.

The database writes out the canonical text of each row, and here only its hash and totals are worked out: reading rows
into objects takes longer. With many transactions, all cores share the work: other processes get ranges of wallets, over
separate connections and snapshots. A wallet and its witness are committed together, so each snapshot is complete.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from wallet_cli.domain import hash_chain
from wallet_cli.domain.ids import MAX_ID, format_wallet_id
from wallet_cli.domain.model import Transaction, Wallet, Witness
from wallet_cli.domain.period import FIRST_US
from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import Damaged, StorageError, WalletError
from wallet_cli.operations.context import Ledger, check_which, open_ledger, which

if TYPE_CHECKING:
    from wallet_cli.domain.events import Subject
    from wallet_cli.domain.model import Event
    from wallet_cli.operations.context import Store

CHECKED_AT_ONCE = 5_000
"""After how many transactions of a wallet `told` is called."""

MANY = 400_000
"""From this many transactions on, other cores help: starting their processes takes a second of work."""

RANGES_A_CORE = 16
"""In how many ranges of wallets the work of a core is cut: wallets have different numbers of transactions."""

MAX_WRONG = 1_000
"""How many wrong wallets are listed at most."""


class Wrong(NamedTuple):
    """The first bad row of a wallet, and why; `seq` is None for the wallet itself."""

    wallet_id: int
    seq: int | None
    reason: str


class Checked(NamedTuple):
    """How many wallets and transactions were read, and what is wrong, in the order of the wallets."""

    wallets: int
    transactions: int
    wrong: Sequence[Wrong]


class Along:
    """What a seal takes along from a verification, as it reads: so the ledger is read once, in one snapshot."""

    def transaction(self, hash_: bytes) -> None:
        """The hash of the next transaction of a wallet was found right."""

    def wallet(self, wallet: Wallet, last: Transaction) -> None:
        """All transactions of a wallet were."""

    def events(self, subject: Subject, last: Event) -> None:
        """All events of a user, a wallet or the ledger were, and the rows that they tell."""

    def end(self, ledger: Ledger) -> None:
        """The whole ledger was; its snapshot is open still."""


Told = Callable[[int], None]
"""Called now and then with the number of transactions checked so far."""


def check_chains(
    store: Store, first: int, last: int, told: Told = lambda _: None, along: Along | None = None
) -> Checked:
    """Check the wallets with ids from `first` to `last`, each from its first transaction to its witness.

    Raises StorageError where a read fails, which shows no damage.
    """
    walk = _Walk(store, told, along)
    while first <= last:
        try:
            walk.run(first, last)
            break
        except Damaged as error:
            if walk.wallet is None or walk.wallet.id < first:
                raise
            walk.unreadable(walk.wallet, error)
            first = walk.wallet.id + 1
    return Checked(walk.wallets, walk.transactions, walk.wrong)


class _Walk:
    def __init__(self, store: Store, told: Told, along: Along | None) -> None:
        self._store = store
        self._told = told
        self._along = along
        self.wallet: Wallet | None = None
        self._seq = 0
        self.wallets = self.transactions = 0
        self.wrong: list[Wrong] = []

    def run(self, first: int, last: int) -> None:
        with closing(self._store.chains(first, last)) as rows, closing(self._store.witnessed(first, last)) as wallets:
            row = next(rows, None)
            for wallet, witness in wallets:
                row = self._stray(row, rows, wallet.id)
                self.wallet, self._seq = wallet, 0
                row, wrong = self._one(wallet, witness, row, rows)
                self.wallets += 1
                if wrong is not None:
                    self.wrong.append(wrong)
                    while row is not None and row[0] == wallet.id:
                        row = next(rows, None)
                if len(self.wrong) >= MAX_WRONG:
                    return
            self._stray(row, rows, last + 1)

    def _stray(self, row: Sequence[Any] | None, rows: Iterator[Sequence[Any]], until: int) -> Sequence[Any] | None:
        """Note the first row before the next wallet, which belongs to none. Returns the first row of that wallet."""
        if row is not None and row[0] < until:
            self.wrong.append(Wrong(row[0], row[1], f"there is no wallet {format_wallet_id(row[0])}"))
            while row is not None and row[0] < until:
                row = next(rows, None)
        return row

    def _one(
        self, wallet: Wallet, witness: Witness | None, first: Sequence[Any] | None, rows: Iterator[Sequence[Any]]
    ) -> tuple[Sequence[Any] | None, Wrong | None]:
        """Check one wallet, whose first row is `first`. Returns the row after what was read, and what is wrong."""
        id_ = wallet.id
        if not wallet.currency.can_be:
            reason = f"{wallet.currency.name} does not have {wallet.currency.exponent} fraction digits"
            return first, Wrong(id_, None, reason)
        seq = credits_ = debits = count = 0
        at_us, hash_ = FIRST_US, hash_chain.genesis(wallet)
        along = None if self._along is None else self._along.transaction
        try:
            for row in chain([] if first is None else [first], rows):
                wallet_id, number, is_credit, amount, credit_total, debit_total, credit_count, now_us, text, found = row
                if wallet_id != id_:
                    break
                if is_credit:
                    credits_ += amount
                    count += 1
                else:
                    debits += amount
                if (
                    number != seq + 1
                    or credit_total != credits_
                    or debit_total != debits
                    or credit_count != count
                    or now_us < at_us
                    or sha256(hash_ + text.encode()).digest() != found
                ):
                    why = self._why(wallet, number, seq)
                    if why is not None:
                        return row, Wrong(id_, number, why)
                seq, hash_, at_us = number, found, now_us
                if along is not None:
                    along(found)
                if not seq % CHECKED_AT_ONCE:
                    self._told(self.transactions + seq)
            else:
                row = None
        finally:
            self._seq = seq
        self.transactions += seq
        wrong = unlike_witness(wallet, seq, hash_, witness)
        if wrong is None and self._along is not None:
            last = self._store.transaction(id_, seq) if seq else hash_chain.unopened(wallet)
            assert last is not None
            self._along.wallet(wallet, last)
        return row, wrong

    def _why(self, wallet: Wallet, seq: int, before: int) -> str | None:
        """What is wrong with a transaction, looked at closely; None for nothing, as for a reset of the time."""
        found = self._store.transaction(wallet.id, seq)
        last = self._store.transaction(wallet.id, before) if before else hash_chain.unopened(wallet)
        if found is None or last is None:
            return "it was there at first, and then not"
        if found.at_us < last.at_us and seq not in self._store.resets(wallet.id):
            return "its time is before that of the previous transaction"
        return wrong_after(last, found)

    def unreadable(self, wallet: Wallet, error: Damaged) -> None:
        """Note the first damaged row of a wallet. Raises the error where the damage is in none of its rows."""
        seq = self._seq + 1
        try:
            while self._store.transaction(wallet.id, seq) is not None:
                seq += 1
        except Damaged:
            self.wrong.append(Wrong(wallet.id, seq, f"it cannot be read: {error.message}"))
        else:
            raise error


def unlike_witness(wallet: Wallet, seq: int, hash_: bytes, witness: Witness | None) -> Wrong | None:
    """Compare with the witness: it shows a missing end of a chain, or an older row of a wallet."""
    if witness is None:
        return Wrong(wallet.id, None, "its witness is missing")
    last = hash_chain.unopened(wallet)._replace(seq=seq, hash=hash_)
    true = Witness.of(wallet, last)
    if witness.seq > seq:
        return Wrong(wallet.id, seq + 1, f"it is missing: this wallet had {witness.seq} transactions")
    if witness.seq < seq:
        return Wrong(wallet.id, witness.seq + 1, "the witness of its wallet does not have it")
    if witness.hash != true.hash:
        return Wrong(wallet.id, seq, "it differs from the witness of its wallet")
    if witness != true:
        differ = [name for name in Witness._fields if getattr(witness, name) != getattr(true, name)]
        return Wrong(wallet.id, None, f"it differs from its witness in its {' and '.join(differ)}")
    return None


def wrong_after(last: Transaction, transaction: Transaction) -> str | None:
    """What is wrong with a transaction that follows `last`; None where nothing is."""
    is_credit, amount = transaction.is_credit, transaction.amount
    if transaction.seq != last.seq + 1:
        return f"seq {last.seq + 1} is missing"
    if transaction.credit_total != last.credit_total + (amount if is_credit else 0):
        return "the running total of credits is wrong"
    if transaction.debit_total != last.debit_total + (0 if is_credit else amount):
        return "the running total of debits is wrong"
    if transaction.credit_count != last.credit_count + is_credit:
        return "the running count of credits is wrong"
    if not hash_chain.follows(last.hash, transaction):
        return "the hash is wrong"
    return None


# On all cores.


def cores() -> int:
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def check_on_all_cores(ledger: Ledger, told: Told) -> Checked:
    """The same as `check_chains` for the whole ledger, in as many processes as there are cores.

    Raises the error of a process that fails.
    """
    wallets = max(1, ledger.store.wallet_count())
    size = max(1, wallets // (cores() * RANGES_A_CORE))
    ranges = [(low, low + size - 1) for low in range(1, wallets + 1, size)]
    ranges[0] = -MAX_ID, ranges[0][1]
    ranges[-1] = ranges[-1][0], MAX_ID
    workers = [_Worker(ledger) for _ in range(min(cores(), len(ranges)))]
    waiting, found = iter(ranges), list[Checked]()
    taking = threading.Lock()

    def work(worker: _Worker) -> None:
        while True:
            with taking:
                following = next(waiting, None)
            if following is None:
                return
            found.append(worker.check(*following))
            told(sum(each.transactions for each in found))

    try:
        with ThreadPoolExecutor(len(workers)) as threads:
            try:
                for _ in threads.map(work, workers):
                    pass
            except BaseException:
                for worker in workers:
                    worker.stop()
                raise
    finally:
        for worker in workers:
            worker.stop()
    wrong = sorted((each for checked in found for each in checked.wrong), key=lambda each: each.wallet_id)
    return Checked(sum(each.wallets for each in found), sum(each.transactions for each in found), wrong[:MAX_WRONG])


class _Worker:
    """A process that checks ranges of wallets. It ends when this one does, after the range that it is at."""

    def __init__(self, ledger: Ledger) -> None:
        code = f"import sys; sys.path[:] = {sys.path!r}; from wallet_cli.operations.chain_check import work; work()"
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0 if os.name == "posix" else None,  # Ctrl-C is for the first process
        )
        self._send((ledger.chosen, which(ledger.store)))

    def check(self, first: int, last: int) -> Checked:
        """Raises StorageError if the process ends before it answers."""
        try:
            self._send((first, last))
            assert self._process.stdout is not None
            found = pickle.load(self._process.stdout)  # noqa: S301  (from our process)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise StorageError("a process that verifies has ended early", hint="run it again") from error
        if isinstance(found, Checked):
            return found
        kind, message, hint, details = found
        raise kind(message, hint=hint, **details)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def _send(self, thing: tuple[Any, ...]) -> None:
        assert self._process.stdin is not None
        pickle.dump(thing, self._process.stdin)
        self._process.stdin.flush()


def work() -> None:
    """The work of such a process: reads the settings and then ranges, and answers each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    source, target = sys.stdin.buffer, sys.stdout.buffer
    settings, known = pickle.load(source)  # noqa: S301
    with ExitStack() as stack:
        ledger: Ledger | None = None
        while True:
            try:
                first, last = pickle.load(source)  # noqa: S301
            except EOFError:
                return
            try:
                if ledger is None:
                    ledger = stack.enter_context(open_ledger(settings, lambda _: None, purpose=Purpose.READ))
                    check_which(ledger.store, known)
                with ledger.store.snapshot():
                    answer: Any = check_chains(ledger.store, first, last)
            except WalletError as error:
                answer = type(error), error.message, error.hint, error.details
            try:
                pickle.dump(answer, target)
                target.flush()
            except OSError:
                os._exit(0)  # the first process has ended
