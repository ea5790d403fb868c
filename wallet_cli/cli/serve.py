"""`wallet serve`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from wallet_cli import settings
from wallet_cli.errors import InvalidInput

MAX_CONNECTIONS = 1000


def serve(
    flags: Mapping[str, str],
    host: Annotated[str, typer.Option("--host", metavar="H", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="P", help="The port to listen on.")] = 5000,
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Processes.")] = 1,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Ask for no keys; answer only this machine.")] = False,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log each request on stderr.")] = False,
    max_connections: Annotated[
        int, typer.Option("--max-connections", metavar="N", help="Connections of one process; more get 503.")
    ] = MAX_CONNECTIONS,
    seal_to: Annotated[
        str | None, typer.Option("--seal-to", metavar="FOLDER", help="Seal the ledger there.", show_default="no seals")
    ] = None,
    seal_every: Annotated[
        str | None, typer.Option("--seal-every", metavar="MINUTES", help="How often.", show_default="60")
    ] = None,
) -> None:
    """Requests carry a key of `wallet key create` in a header, `Authorization: Bearer KEY`; /docs has them all.

    Examples:
        wallet serve
        wallet serve --port 8080 --workers 4 --access-log
        wallet serve --seal-to /mnt/elsewhere/seals
        wallet serve --no-auth                      # to try it out, on this machine alone
    """
    try:
        from wallet_cli.web.server import ServeOptions
        from wallet_cli.web.server import serve as run
    except ImportError as error:
        from wallet_cli.installing import missing

        raise missing("serving needs", error, "serve") from None
    if seal_every is not None and seal_to is None and settings.load(flags).seal_to is None:
        raise InvalidInput("seals are made in a folder: give it too", hint="--seal-to FOLDER --seal-every MINUTES")
    of_seals = {"seal_to": seal_to, "seal_every": seal_every}
    flags = {**flags, **{name: text for name, text in of_seals.items() if text is not None}}
    code = run(ServeOptions(flags, host, port, workers, not no_auth, access_log, max_connections))
    if code:
        raise typer.Exit(code)
