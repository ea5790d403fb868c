"""Runs the harness of faults, and writes what was tried, and what came of it, into docs/reliability.md.

    python tests/faults/run.py                      every row, at its full size: many hours
    python tests/faults/run.py --share 0.1          a tenth of that
    python tests/faults/run.py power keys           these rows alone; the figures of the others stay

Exits with 1 where a test failed; its figures are not written then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
HEAD = ["| what was tried | cases | what came of it |", "|---|---|---|"]


def run(names: Sequence[str], share: float) -> list[dict[str, Any]]:
    """Run modules of this folder; what they counted. Raises SystemExit where a test failed."""
    size = {"WALLET_TEST_WHOLE": "1"} if share >= 1 else {"WALLET_TEST_SHARE": str(share)}
    modules = [path for name in names or ["*"] for path in sorted(HERE.glob(f"test_{name}*.py"))]
    with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as figures:
        environ = os.environ | size | {"WALLET_FAULT_FIGURES": figures.name}
        command = [sys.executable, "-m", "pytest", "-q", "-rs", *map(str, modules)]
        if subprocess.run(command, env=environ, cwd=HERE.parent.parent).returncode:
            raise SystemExit(1)
        return [json.loads(line) for line in figures]


def rows(figures: Iterable[dict[str, Any]]) -> dict[str, str]:
    """A line of the table for each row: its cases added up, and what was counted in them; words are listed."""
    counts: dict[str, int] = {}
    what: dict[str, dict[str, Any]] = {}
    for figure in figures:
        row = figure["row"]
        counts[row] = counts.get(row, 0) + figure["count"]
        seen = what.setdefault(row, {})
        for name, value in figure["what"].items():
            if isinstance(value, int):
                seen[name] = seen.get(name, 0) + value
            elif value not in seen.setdefault(name, []):
                seen[name].append(value)
    return {row: f"| {row} | {count:,} | {_words(what[row])} |" for row, count in counts.items()}


def _words(what: dict[str, Any]) -> str:
    return "; ".join(
        f"{name.replace('_', ' ')}: {value:,}" if isinstance(value, int) else f"{name}: {', '.join(sorted(value))}"
        for name, value in what.items()
    )


def with_figures(page: str, new: dict[str, str]) -> str:
    """The page with those rows, in the place of what it said of them before."""
    before, _, rest = page.partition(BEGIN)
    table, _, after = rest.partition(END)
    known = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("|")}
    lines = sorted(line for row, line in (known | new).items() if line not in HEAD and row)
    return "".join([before, BEGIN, *(f"{line}\n" for line in [*HEAD, *lines]), END, after])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help="names of modules: power is test_power.py; all where none is named")
    parser.add_argument("--share", type=float, default=1.0, help="how much of the full size (default: 1)")
    asked = parser.parse_args()
    made = rows(run(asked.rows, asked.share))
    PAGE.write_text(with_figures(PAGE.read_text(), made))
    for line in made.values():
        print(line)


if __name__ == "__main__":
    main()
