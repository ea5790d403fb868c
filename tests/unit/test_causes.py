"""What led to an exception is looked through, also where it goes round in a circle."""

from __future__ import annotations

from wallet_cli.errors import causes, was_interrupted


def test_causes_in_a_circle_are_each_looked_at_once() -> None:
    first, second = OSError("the disk is full"), ValueError("and so was what came of it")
    first.__context__, second.__cause__ = second, first
    assert list(causes(first)) == [first, second]
    assert not was_interrupted(first)


def test_an_interruption_is_found_behind_other_exceptions() -> None:
    outer, inner = ImportError("of a module"), RuntimeError("in between")
    outer.__cause__, inner.__context__ = inner, KeyboardInterrupt()
    assert was_interrupted(outer)
    inner.__cause__ = outer
    assert not was_interrupted(outer)
