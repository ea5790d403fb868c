"""Fuzzing of what the program reads, guided by the lines that an input reaches, with atheris (the extra `fuzz`).

    python tests/faults/fuzz.py                          # 10,000,000 executions, shared among all targets
    python tests/faults/fuzz.py --executions 100000 argv dotenv

runs each target (targets.py) in a process of its own, prints how often each was run and what it found, and exits 1 if
it found anything. The inputs that reached something new are kept in a temporary folder, or in that of `--corpus`; what
was found is printed, to be added to the seeds of its target.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))

EXECUTIONS = 10_000_000
TIMEOUT_S = 20
"""How long one input may take before it counts as one that does not end."""
MEMORY_MIB = 1024
"""How much memory one target may take."""


class Outcome(NamedTuple):
    """How often a target was run, and what libFuzzer and the target said of the input that was its last."""

    executions: int
    found: str | None


def fuzz(name: str, executions: int, corpus: Path) -> Outcome:
    """Run one target, in a process, until it has been run so often or fails."""
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "--one", name, "--executions", str(executions), "--corpus", str(folder)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    counted = re.findall(r"^stat::number_of_executed_units: (\d+)", done.stdout, re.MULTILINE)
    count = int(counted[-1]) if counted else 0
    said = "\n".join(line for line in done.stdout.splitlines() if not line.startswith("INFO: "))
    return Outcome(count, None if done.returncode == 0 else said[-6000:])


def share(name: str, executions: int) -> int:
    """How many of so many executions a target gets."""
    from faults.targets import TARGETS

    return executions * TARGETS[name].weight // sum(target.weight for target in TARGETS.values())


def one(name: str, executions: int, corpus: str) -> None:
    """Run one target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["wallet_cli", "dotenv", "tomllib"], enable_loader_override=False):
        from faults.targets import MAX_BYTES, TARGETS
    target = TARGETS[name]
    for number, seed in enumerate(target.seeds):
        (Path(corpus) / f"seed-{number}").write_bytes(seed)
    bounds = [f"-timeout={TIMEOUT_S}", f"-rss_limit_mb={MEMORY_MIB}", f"-max_len={MAX_BYTES}", "-len_control=20"]
    where = [f"-artifact_prefix={corpus}/", "-print_final_stats=1", "-verbosity=1", corpus]
    atheris.Setup([name, f"-runs={executions}", *bounds, *where], target.run)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="all of them, where none is named")
    parser.add_argument("--executions", type=int, default=EXECUTIONS, help="in all")
    parser.add_argument("--corpus", help="a folder to go on from, and to keep inputs in")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        one(given.one, given.executions, given.corpus)
        return 0
    from faults.targets import TARGETS
    from support.figures import figure

    names = given.targets or list(TARGETS)
    part = sum(share(name, EXECUTIONS) for name in names) / EXECUTIONS
    count, found = 0, 0
    with tempfile.TemporaryDirectory(prefix="wallet-fuzz-") as temporary:
        corpus = Path(given.corpus or temporary)
        for name in names:
            begun = time.monotonic()
            outcome = fuzz(name, share(name, round(given.executions / part)), corpus)
            count += outcome.executions
            found += outcome.found is not None
            said = "nothing found" if outcome.found is None else f"FOUND\n{outcome.found}"
            print(f"{name:15} {outcome.executions:>10,} in {time.monotonic() - begun:5.0f} s: {said}", flush=True)
    print(f"{count:,} executions of {len(names)} targets; {found} found something")
    figure("fuzzing", count, targets=len(names), found=found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
