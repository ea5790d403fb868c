"""Whether a turn's clock can be right, and how to correct a wallet's time after a wrong one.

Time in a wallet does not go back by itself. So one command under a clock of 2100 would keep the wallet's daily limit,
holds and `--at` in 2100. A clock is doubted where the ledger contradicts it:

- ahead: nothing in the wallets of the batch, nor the file itself, is younger than REST_US. An unused ledger looks the
  same as a clock that is ahead, so after a longer rest somebody has to confirm the clock once.
- apart: the database server says another time.
- behind: the wallet's last transaction is in the future.

Within `Policy.clock_skew_us`, a clock that is behind uses the wallet's last time, so that history keeps its order.

A wallet that is ahead is corrected by a transaction that resets its time. It is recorded at the real time, as
`forced`, with a key that nobody else may use (`RESET_KEY`), by which it is found (storage/sql.py `_RESETS`).
Transactions that were recorded ahead stay as they were written; in periods and limits they count as of the reset.
"""

from __future__ import annotations

from collections.abc import Callable

from wallet_cli.domain.period import DAY_US, format_time
from wallet_cli.domain.rules.state import State
from wallet_cli.errors import StorageError

REST_US = 400 * DAY_US
"""How long a ledger may rest before somebody has to confirm the clock: a year and a month."""

EARLIEST_US = 1_577_836_800_000_000
"""2020-01-01: older than this program."""

OF_PROGRAM = ("this program was released at", 1_793_491_200_000_000)
"""2026-11-01."""

LATEST_FIRST_US = OF_PROGRAM[1] + 20 * 366 * DAY_US
"""A new ledger under a later clock needs confirmation: it has no transactions to compare the clock with."""

CONFIRM = "set this machine's clock; if it is right, run the command once with WALLET_CLOCK_SKEW=off before it"


def doubt(state: State, now_us: int, server_us: int | None, written_us: Callable[[], int]) -> tuple[str, int] | None:
    """What contradicts the turn's clock, in words, and the time that it says; None where it can be right.

    `server_us` is the time by the clock of a database server. Where there is none, `written_us` returns when the ledger
    was last written; it is called only where the wallets do not decide it.
    """
    skew_us = state.policy.clock_skew_us
    if skew_us is None or state.restoring:
        return None
    if server_us is not None:
        return ("the database server's", server_us) if abs(server_us - now_us) > skew_us else None
    if now_us < EARLIEST_US or (state.empty and now_us > LATEST_FIRST_US):
        return OF_PROGRAM
    since_us = now_us - max(REST_US, skew_us)
    if state.empty or any(last.at_us > since_us for last in state.last.values()):
        return None
    last_us = written_us()
    return ("this ledger was last written at", last_us) if last_us <= since_us else None


def clock_refused(state: State, now_us: int, *wallet_ids: int) -> StorageError | None:
    """Why nothing may be recorded in these wallets at the time of the turn; None where it may."""
    skew_us = state.policy.clock_skew_us
    if skew_us is None:
        return None
    if state.clock_doubt is not None:
        return _doubted(now_us, state.clock_doubt)
    for wallet_id in wallet_ids:
        last = state.last[wallet_id]
        if last.at_us - now_us > skew_us:
            mention = state.wallets[wallet_id].mention
            return StorageError(
                (
                    "the last transaction of wallet ",
                    mention,
                    f" is at {format_time(last.at_us)}, and this machine's clock says {format_time(now_us)}",
                ),
                hint="set this machine's clock; if the clock is right and the wallet's time is wrong:"
                " wallet tx add WALLET 0.01 --credit --reset-time, then wallet tx reverse ID with the id that it"
                " prints",
                clock=format_time(now_us),
                last_at=format_time(last.at_us),
            )
    return None


def first_refused(now_us: int) -> StorageError | None:
    """Why a ledger may not be created at this time; None where it may."""
    return None if EARLIEST_US <= now_us <= LATEST_FIRST_US else _doubted(now_us, OF_PROGRAM)


def _doubted(now_us: int, doubt: tuple[str, int]) -> StorageError:
    what, seen_us = doubt
    now, seen = format_time(now_us), format_time(seen_us)
    said = f"and {what} {seen}"
    return StorageError(f"this machine's clock says {now}, {said}", hint=CONFIRM, clock=now, seen=seen)
