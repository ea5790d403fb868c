"""No server error, no answer that /openapi.json does not describe, whatever is asked: tests/web/fuzz.py, bounded.

`WALLET_FUZZ_CASES=5000 python tests/web/fuzz.py` asks more.
"""

from __future__ import annotations

from pathlib import Path

from support.engines import Engine
from web.fuzz import fuzz

LEAST_CASES = 1500
EXAMPLES = 70


def test_every_answer_is_as_described(tmp_path: Path, engine: Engine) -> None:
    examples = engine.fewer(EXAMPLES)
    outcome = fuzz(tmp_path, examples)
    assert not outcome.faults
    assert outcome.code == 0, outcome.said
    assert outcome.cases >= LEAST_CASES * examples // EXAMPLES
