"""No server error, no answer that /openapi.json does not describe, whatever is asked: tests/web/fuzz.py, bounded.

`WALLET_FUZZ_CASES=5000 python tests/web/fuzz.py` asks more.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.sizes import size
from web.fuzz import fuzz

LEAST_CASES = size(150, 1000)
EXAMPLES = size(3, 100)


@pytest.mark.on_file("answers are made of the same values on either engine, and all endpoints are asked on both")
def test_every_answer_is_as_described(tmp_path: Path) -> None:
    outcome = fuzz(tmp_path, EXAMPLES)
    assert not outcome.faults
    assert outcome.code == 0, outcome.said
    assert outcome.cases >= LEAST_CASES
