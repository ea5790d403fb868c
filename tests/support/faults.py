"""Deliberate faults: one line of the program, and what is put in its place, to see that a test would find it."""

from __future__ import annotations
import __future__

import inspect
import sys
import textwrap
from types import ModuleType
from typing import NamedTuple

import pytest

from wallet_cli.domain import rules


class Fault(NamedTuple):
    """`name` is that of a function, of a method (`State.append`), or of a text."""

    module: ModuleType
    name: str
    right: str
    wrong: str


def put_in(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    """Put a fault into the program, wherever the faulty thing is known by name, until the test ends."""
    owner: object = fault.module
    *outer, name = fault.name.split(".")
    for each in outer:
        owner = getattr(owner, each)
    thing = getattr(owner, name)
    text = thing if isinstance(thing, str) else textwrap.dedent(inspect.getsource(thing))
    assert fault.right in text, "the program has changed: change the fault with it"
    text = text.replace(fault.right, fault.wrong)
    if isinstance(thing, str):
        monkeypatch.setattr(owner, name, text)
        return
    namespace = dict(vars(fault.module))
    exec(compile(text, f"<{fault.name}>", "exec", __future__.annotations.compiler_flag), namespace)
    faulty = namespace[name]
    monkeypatch.setattr(owner, name, faulty)
    for path, module in sys.modules.copy().items():
        if path.startswith("wallet_cli.") and getattr(module, name, None) is thing:
            monkeypatch.setattr(module, name, faulty)
    for rule in rules.RULES.values():
        if rule.decide is thing:
            monkeypatch.setattr(rule, "decide", faulty)
    for command, touches in list(rules._TOUCHES.items()):
        if touches is thing:
            monkeypatch.setitem(rules._TOUCHES, command, faulty)
