"""Any bytes where a text, a body or a file is read: they are read, or refused in words; nothing else, and not for ever.

The targets are in targets.py. By default each is run on its seeds and on some thousand inputs made of them, the same
ones each time; at full size atheris, where it is installed, looks for inputs that reach other lines (see fuzz.py).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from random import Random
from types import FrameType

import pytest
from faults.fuzz import EXECUTIONS, fuzz, share
from faults.targets import MAX_BYTES, TARGETS, Target
from support.faults import Fault, put_in
from support.figures import figure
from support.sizes import WHOLE, size

from wallet_cli.domain import ids, metadata, money
from wallet_cli.web import requests

COUNT = size(15_000, EXECUTIONS)
BOUND_S = 20
"""How much of the processor's time one input may take: a thousand times what any takes."""

TOKENS = (
    b"\0", b"\n", b"\r\n", b'"', b"'", b",", b";", b"\t", b"{", b"}", b"[", b"]", b":", b"/", b"-", b"+", b".", b"0",
    b"9", b"e9", b"null", b"=", b"\\u0000", b"\\ud800", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", "٣".encode(),
    "\u202e".encode(), "\u0130".encode(), b"9223372036854775808", b"1" * 5000, b"0001-01-01", b"9999-12-31", b"Z",
    b"+14:00", b"[" * 1500, b"--", b"w1", b"id:", b"\x1b[2J",
)  # fmt: skip


def mutated(seeds: tuple[bytes, ...], random: Random) -> Iterator[bytes]:
    """Inputs without end: seeds of which parts are changed, left out, doubled, put together, or filled with tokens."""
    while True:
        data = bytearray(random.choice(seeds))
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            at = random.randint(0, len(data))
            end = min(len(data), at + random.choice((0, 1, 1, 2, 8)))
            part = random.choice(seeds)
            fill = random.choice(
                (b"", random.choice(TOKENS), bytes([random.randrange(256)]), data[at:end] * 2, part[at:])
            )
            data[at:end] = fill
        yield bytes(data[:MAX_BYTES])


def run(target: Target, data: bytes) -> None:
    """Run a target on an input; raises where that fails, or takes longer than it may."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"it takes more than {BOUND_S} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, BOUND_S)
    try:
        target.run(data)
    except BaseException as error:
        error.add_note(f"the input: {data!r}")
        raise
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_read_or_refused(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    for seed in target.seeds:
        run(target, seed)
    count = share(name, COUNT)
    if WHOLE and find_spec("atheris") is not None:
        count, found = fuzz(name, count, tmp_path)
        assert found is None, found
    else:
        for data in islice(mutated(target.seeds, Random(name)), count):
            run(target, data)
    figure("fuzzing", count + len(target.seeds), target=name)


FAULTS = {
    "digits that a currency has not are cut off": (
        "amount",
        Fault(money, "_parse_minor", 'if fraction[currency.exponent :].strip("0"):', "if False:"),
    ),
    "a long id is read as a phone number": (
        "user",
        Fault(ids, "format_user", 'f"{user_id}" if user_id < _FIRST_LONG_ID else f"id:{user_id}"', 'f"{user_id}"'),
    ),
    "JSON that is nested too deeply ends the program": (
        "metadata",
        Fault(metadata, "parse_json", "except (ValueError, RecursionError):", "except ValueError:"),
    ),
    "a batch takes a field that is given twice": (
        "batch-body",
        Fault(requests, "read_batch", "if name in seen:", "if False:"),
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_deliberate_fault_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, fault = FAULTS[what]
    put_in(monkeypatch, fault)
    target = TARGETS[name]

    def fuzzed() -> None:
        for data in (*target.seeds, *islice(mutated(target.seeds, Random(name)), 5000)):
            run(target, data)

    with pytest.raises((AssertionError, RecursionError)):
        fuzzed()
