"""Who does what in tests: Mira is at the terminal, whoever runs them; and all callers of a server have one address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest import mock

from wallet_cli.domain import actors
from wallet_cli.web import failed_logins

MIRA = "terminal mira"

ONE_PERSON = "TESTS_HAVE_ONE_PERSON"
"""A variable: Mira holds the operator keys too, so that what a server and a terminal leave behind can be compared."""


HAS_LIMIT = "TESTS_LIMIT_FAILED_LOGINS"
"""A variable: the limit of wrong keys from one address is as usual; else there is none, as tests try many."""


@contextmanager
def nobody() -> Iterator[None]:
    """What this process writes in a `with` block has no actor, as in versions before there were actors."""
    with mock.patch.object(actors, "by_terminal", return_value=None):
        yield


def be_mira(environ: Mapping[str, str]) -> None:
    """In a process that tests have for themselves."""
    actors.by_terminal = lambda _name: MIRA
    if HAS_LIMIT not in environ:
        failed_logins.BURST = 10**6
    if ONE_PERSON in environ:
        actors.by_key = lambda _name: MIRA
