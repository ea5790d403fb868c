"""What the benchmarks share: scratch ledgers, whole processes side by side, and lines that say what was found."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from wallet_cli import settings
from wallet_cli.domain.purpose import Purpose
from wallet_cli.operations.context import Ledger, open_ledger

ROUNDS = 21

_missed = False


def figure(name: str, value: float, unit: str, *, at_most: float | None = None, at_least: float | None = None) -> None:
    """Print one figure; with a limit, whether it was reached."""
    global _missed
    line = f"{name:<58} {value:>12,.2f} {unit:<4}"
    if at_most is not None or at_least is not None:
        reached = value <= at_most if at_most is not None else at_least is not None and value >= at_least
        limit = f"at most {at_most:g}" if at_most is not None else f"at least {at_least:g}"
        line += f"  {limit:<14} {'ok' if reached else 'NOT REACHED'}"
        _missed |= not reached
    print(line.rstrip(), flush=True)


def fact(name: str, holds: bool) -> None:
    """Print something that has to be so."""
    global _missed
    print(f"{name:<58} {'ok' if holds else 'NOT REACHED'}", flush=True)
    _missed |= not holds


def done() -> None:
    """End with exit code 1 if a limit was missed."""
    sys.exit(1 if _missed else 0)


def quiet() -> None:
    """Leave out what a machine's settings would change."""
    for setting in settings.SETTINGS:
        for variable in setting.variables:
            os.environ.pop(variable, None)
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        print("note: PYTHONDONTWRITEBYTECODE was set, and is not for what is measured here")


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that goes away; the ledger `wallet.db` in it is the one that commands use."""
    quiet()
    with tempfile.TemporaryDirectory(prefix="wallet-bench-") as name:
        os.environ["WALLET_DB"] = str(Path(name) / "wallet.db")
        yield Path(name)


@contextmanager
def ledger(path: Path) -> Iterator[Ledger]:
    with open_ledger(settings.load({"db": str(path)}), lambda _: None, purpose=Purpose.MAKE) as opened:
        yield opened


def wallet_command() -> list[str]:
    """The installed command, as the shell would find it."""
    beside = Path(sys.executable).with_name("wallet")
    return [str(beside) if beside.exists() else shutil.which("wallet") or "wallet"]


def behave_as_remote() -> None:
    """Give this process only the processor time that others leave, as if it ran on another machine.

    Otherwise the scheduler may make a server and its client wait 3 ms for a process that only counts.
    """
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def open_wallet(db: Path) -> None:
    """Make a ledger with one wallet, number 1."""
    for arguments in (["register", "9886977544"], ["create", "1"]):
        run([*wallet_command(), "--db", str(db), *arguments])


def run(arguments: Sequence[str]) -> float:
    """Run a whole process that has to succeed; its milliseconds."""
    begun = time.perf_counter()
    finished = subprocess.run(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    length_ms = (time.perf_counter() - begun) * 1000
    if finished.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {finished.stderr.decode()}")
    return length_ms


def interleaved(contestants: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Measure each once a round, after one round that is not counted: what slows the machine slows them all."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(rounds + 1):
        for name, measure in contestants.items():
            value = measure()
            if round_:
                found[name].append(value)
    return found


median = statistics.median


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
