"""A ledger on another machine: the same services, answered by a `wallet serve` there.

Each module here mirrors the one of the same name in services/: functions of the same names, arguments and answers,
which ask the server instead of a store. A command hands `Ledger.call` the service that it wants, and does not know
which of the two answers. What can be refused without asking is refused here, in the same order and the same words:
texts, times and cursors are read before they are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import tzinfo
from importlib import import_module
from typing import Any, Concatenate, ParamSpec, TypeVar

from wallet_cli.domain.address import UserId, UserName
from wallet_cli.domain.model import Policy
from wallet_cli.domain.period import UTC_NAME
from wallet_cli.services.context import Ledger
from wallet_cli.settings import Settings

SCHEMES = ("http", "https")

P = ParamSpec("P")
T = TypeVar("T")


def is_remote(db: str) -> bool:
    """Whether the setting `db` names a server to ask."""
    scheme, separator, _ = db.partition("://")
    return bool(separator) and scheme.lower() in SCHEMES


class RemoteLedger(Ledger):
    """A ledger with no store and no executor of its own: every service that it is called with is answered elsewhere."""

    def __init__(self, settings: Settings, server: Any) -> None:
        self.chosen = settings
        self.server = server
        """A server.Server; that module loads the HTTP library."""
        self._zone: tzinfo | None = None

    @property
    def settings(self) -> Settings:
        """Those of here alone: what nobody chose is for the server to say."""
        return self.chosen

    def zone(self) -> tzinfo:
        """The time zone of the ledger's days, which the server is asked for once, where it is needed."""
        if self._zone is None:
            answer = self.server.get("/ledger")
            self._zone = Policy(zone=answer["timezone"] or UTC_NAME).tz
        return self._zone

    def zone_of_times(self) -> tzinfo:
        return self.zone()

    def call(self, service: Callable[Concatenate[Ledger, P], T], *args: P.args, **named: P.kwargs) -> T:
        return mirror_of(service)(self, *args, **named)

    @property
    def region(self) -> str | None:
        """The country of numbers with no `+`, where somebody chose one here; else the server's rules."""
        return self.settings.given("phone_region")


def mirror_of(service: Callable[..., T]) -> Callable[..., T]:
    """The function of this package that stands for one of services/."""
    module = service.__module__.replace("wallet_cli.services", __name__, 1)
    found: Callable[..., T] = getattr(import_module(module), service.__name__)
    return found


@contextmanager
def open_remote(settings: Settings) -> Iterator[RemoteLedger]:
    """The ledger behind the address in the setting `db`; nobody is called before something is asked.

    Raises InvalidInput for an address or a token that cannot be used.
    """
    try:
        from wallet_cli.remote.server import Server
    except ImportError as error:
        from wallet_cli.installing import missing

        raise missing("a ledger on another machine needs", error, "remote") from None
    with Server.of(settings) as server:
        yield RemoteLedger(settings, server)


def user_text(name: UserName) -> str:
    """A USER, as it is written."""
    return f"id:{name.id}" if isinstance(name, UserId) else name.typed
