"""`wallet mcp`: the operations for agents, over stdio, by the `mcp` package"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from wallet_cli import settings
from wallet_cli.cli.output import json_text, notice
from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import (
    Forbidden,
    InternalError,
    InvalidInput,
    LedgerNotFound,
    StorageError,
    WalletError,
    shown,
    shown_url,
    suggestion,
)

if TYPE_CHECKING:
    from wallet_cli.api import LedgerApi
    from wallet_cli.cli.mcp_tools import Tool

INSTRUCTIONS = """\
A ledger of wallets. Amounts are decimal text. A wallet is USER or USER/TYPE, where USER is a phone number or an id.
Each tool that moves money or makes something takes a key: choose it from what the act is, and call again with the same
key if an answer was lost. The others can be called again as they are. An error has a code, and a hint that says what
to do next.
"""


def mcp(
    flags: Mapping[str, str],
    write: Annotated[bool, typer.Option("--write", help="Offer the tools that write too.")] = False,
) -> None:
    """It reads, and writes nothing unless it is started with --write. The agent's program starts it.
    Its ledger is the one that the settings name at the start.

    Examples:
        wallet mcp
        wallet --db shop.db mcp --write
    """
    try:
        from anyio import AsyncFile, BrokenResourceError
        from mcp.server.lowlevel import Server
        from mcp.server.stdio import stdio_server
        from mcp.shared.message import SessionMessage
    except ImportError as error:
        from wallet_cli.installing import missing

        raise missing("serving agents needs", error, "mcp") from None
    import mcp_types as types

    from wallet_cli import __version__
    from wallet_cli.cli.mcp_lines import lines_of, refusal
    from wallet_cli.cli.mcp_tools import TOOLS
    from wallet_cli.cli.schemas import schema

    offered = {tool.name: tool for tool in TOOLS if write or not tool.writes}
    answers = _Answers(flags, offered, write=write)
    listed = [
        types.Tool(
            name=tool.name,
            description=tool.about,
            input_schema=tool.input_schema(),
            output_schema=schema(tool.answer),
            annotations=types.ToolAnnotations(
                read_only_hint=not (tool.writes or (tool.notes and write)),
                destructive_hint=tool.sets,
                idempotent_hint=True,
                open_world_hint=False,
            ),
        )
        for tool in offered.values()
    ]
    # One call at a time, in a separate thread: the protocol goes on while a call waits for a turn.
    calls = ThreadPoolExecutor(1)

    async def list_tools(_context: Any, _parameters: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=listed)

    async def call_tool(_context: Any, asked: types.CallToolRequestParams) -> types.CallToolResult:
        loop = asyncio.get_running_loop()
        answer, failed = await loop.run_in_executor(calls, answers.to, asked.name, asked.arguments or {})
        text = types.TextContent(type="text", text=json_text(answer))
        return types.CallToolResult(content=[text], structured_content=answer, is_error=failed)

    interrupts = _Interrupts()

    async def serve() -> None:
        interrupts.watch()
        server = Server(
            "wallet",
            version=__version__,
            instructions=INSTRUCTIONS,
            on_list_tools=list_tools,
            on_call_tool=call_tool,
        )

        async def messages() -> AsyncIterator[bytes]:
            async for line in lines_of(open(0, "rb", closefd=False)):  # noqa: SIM115  (a thread reads it until the end)
                if refused := refusal(line):
                    await outgoing.send(SessionMessage(refused))
                else:
                    yield line

        async with stdio_server(cast("AsyncFile[str]", messages())) as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    try:
        asyncio.run(serve())
    except* (BrokenPipeError, BrokenResourceError):
        if not interrupts.came:
            notice("the agent has left")
    finally:
        interrupts.forget()
        calls.shutdown()
    if interrupts.came:
        raise KeyboardInterrupt


class _Interrupts:
    """Notices Ctrl-C. asyncio makes a cancellation of it, and a server that is cancelled may end as after an agent."""

    def __init__(self) -> None:
        self.came = False
        self._before = self._of_asyncio = signal.getsignal(signal.SIGINT)

    def watch(self) -> None:
        """Where asyncio runs, and has its own handler in place."""
        self._of_asyncio = signal.getsignal(signal.SIGINT)
        if callable(self._of_asyncio):
            signal.signal(signal.SIGINT, self._noticed)

    def forget(self) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _noticed(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        if callable(self._of_asyncio):
            self._of_asyncio(number, frame)


class _Answers:
    """Answers calls from one ledger: that of the settings at the start, and of the first call. A key is applied once in
    a ledger, so the same call to another one would be applied again.
    """

    def __init__(self, flags: Mapping[str, str], offered: Mapping[str, Tool], *, write: bool) -> None:
        self._flags = flags
        self._chosen = settings.load(flags, notify=notice)
        self._offered = offered
        self._unnoted = {} if write else {"notes": False}
        self._id: str | None = None

    def to(self, name: str, arguments: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
        """What a call is answered, and whether that is an error: its code, message and hint, as on the command line."""
        try:
            tool = _found(self._offered, name)
            asked = tool.read(arguments) | (self._unnoted if tool.notes else {})
            with self._opened(Purpose.WRITE if tool.writes else Purpose.READ) as ledger:
                return tool.call(ledger, **asked), False
        except WalletError as error:
            from wallet_cli.cli.mcp_tools import for_agents

            # Where there is no ledger, no tool makes one.
            if error.hint and not isinstance(error, LedgerNotFound):
                error.hint = for_agents(error.hint)
            return {"error": error.as_json()}, True
        except Exception as error:
            # A bug in one call is not the end of the others.
            notice(f"unexpected {type(error).__name__}: {error}")
            told = InternalError(f"unexpected {type(error).__name__}: {error}", hint="please report it")
            return {"error": told.as_json()}, True

    @contextmanager
    def _opened(self, purpose: Purpose) -> Iterator[LedgerApi]:
        """The ledger for one call, as every command opens it: what became of the file meanwhile is seen, and nothing is
        held between two calls. Raises StorageError for another one than before.
        """
        from wallet_cli.cli.command import opened

        with opened(self._flags, purpose, chosen=self._chosen) as ledger:
            id_ = ledger.ledger_id()
            self._id = self._id or id_
            if id_ not in (None, self._id):
                raise StorageError(
                    f"another ledger has replaced the one that was opened: {shown_url(self._chosen.db)}",
                    hint="put it back, or start this server again",
                )
            yield ledger


def _found(offered: Mapping[str, Tool], name: str) -> Tool:
    from wallet_cli.cli.mcp_tools import TOOLS

    if name in offered:
        return offered[name]
    if any(name == tool.name for tool in TOOLS):
        raise Forbidden(f"{name} writes, and this server only reads", hint="start it by `wallet mcp --write`")
    raise InvalidInput(f"there is no tool {shown(name)}", hint=suggestion(name, offered))
