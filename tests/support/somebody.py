"""Who does what in tests: Mira is at the terminal, whoever runs them."""

from __future__ import annotations

from collections.abc import Mapping

from wallet_cli.domain import actors

MIRA = "terminal mira"

ONE_PERSON = "TESTS_HAVE_ONE_PERSON"
"""A variable: Mira holds the operator keys too, so that what a server and a terminal leave behind can be compared."""


def be_mira(environ: Mapping[str, str]) -> None:
    """In a process that tests have for themselves."""
    actors.by_terminal = lambda _name: MIRA
    if ONE_PERSON in environ:
        actors.by_key = lambda _name: MIRA
