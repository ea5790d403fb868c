"""Schemathesis against a real server: cases made from /openapi.json, good and bad, and every answer checked against it.

    WALLET_FUZZ_CASES=5000 python tests/web/fuzz.py

runs at least that many, prints how many it ran and what it found, and exits 1 if it found anything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))  # TESTS, before it has its name

from support.server import Server
from web.hostile import SECRET

from wallet_cli.web.operations import OPERATIONS

TESTS = Path(__file__).parent.parent
DEFAULT_CASES = 5000
TIMEOUT_S = 1800
SEED = 20_261_122

# Checks that say nothing of this server. `positive_data_acceptance`: what a schema cannot say is refused all the same
# (a phone number that is none, a debit of more than there is). `use_after_free` and `ensure_resource_availability`:
# nothing is ever deleted, and the path of what was made is not in an answer.
LEFT_OUT = ("positive_data_acceptance", "use_after_free", "ensure_resource_availability")


class Outcome(NamedTuple):
    """How many cases were run, what schemathesis said, and what the server logged as its own fault."""

    cases: int
    code: int
    said: str
    faults: list[str]


def fuzz(folder: Path, examples: int) -> Outcome:
    """Run up to `examples` random cases an operation, beside those that are worked out from the document.

    The same cases each time: the seed is fixed.
    """
    with Server(folder, environ={"JWT_SECRET_KEY": SECRET}) as server:
        key = server.key("fuzz")
        api = server.api(key)
        for number in (1, 2):
            assert api.post("/users", json={"phone_number": f"988697754{number}"}).status_code == 201
            opening = {"user_id": number, "wallet_id": number, "amount": 1000, "is_credit": True}
            assert api.post("/wallet/create", json={"user_id": number, "type": "type1"}).status_code == 201
            assert api.post("/transactions/create", json=opening).status_code == 201
            hold = {"user_id": number, "wallet_id": number, "amount": 1}
            assert api.post("/holds/create", json=hold).status_code == 201
        report = folder / "report.ndjson"
        options = f"--no-color --max-examples {examples} --seed {SEED} --generation-database none --continue-on-failure"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
                *options.split(),
                *("--exclude-checks", ",".join(LEFT_OUT), "--warnings", "off", "--request-timeout", "120"),
                *("--header", f"Authorization: Bearer {key}"),
                *("--report", "ndjson", "--report-ndjson-path", str(report)),
            ],
            cwd=folder,
            env=os.environ | {"SCHEMATHESIS_HOOKS": "web.fuzz_hooks", "PYTHONPATH": str(TESTS)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
        )
        verified = server.wallet("verify")
        assert verified.code == 0, verified.err
        faults = [line for line in server.lines if "internal_error" in line]
        return Outcome(count(report), done.returncode, done.stdout, faults)


def count(report: Path) -> int:
    """How many cases a report holds."""
    cases = 0
    with report.open(encoding="utf-8") as lines:
        for line in lines:
            cases += line.count('"interactions"') and len(interactions(json.loads(line)))
    return cases


def interactions(event: object) -> list[object]:
    """The requests that an event of the report tells of."""
    if isinstance(event, dict):
        found: list[object] = []
        for name, value in event.items():
            found += list(value) if name == "interactions" else interactions(value)
        return found
    return []


def main() -> int:
    wanted = int(os.environ.get("WALLET_FUZZ_CASES", str(DEFAULT_CASES)))
    with tempfile.TemporaryDirectory() as folder:
        # What is worked out from the document comes on top.
        outcome = fuzz(Path(folder), -(-wanted // len(OPERATIONS)))
    print(outcome.said)
    print("\n".join(outcome.faults))
    print(f"{outcome.cases} cases; schemathesis exit {outcome.code}; {len(outcome.faults)} faults in the log")
    return 0 if outcome.code == 0 and not outcome.faults and outcome.cases >= wanted else 1


if __name__ == "__main__":
    sys.exit(main())
