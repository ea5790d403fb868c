"""`wallet mcp` over a real pipe, by the client of the package that it is made with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from support import cli, engines, shell
from support.engines import Address

from wallet_cli.cli import schemas, tree
from wallet_cli.cli.mcp_tools import TOOL_OF, TOOLS, Tool, for_agents

if TYPE_CHECKING:
    from mcp import Client

TIMEOUT_S = 120
READ_ONLY: tuple[str, ...] = ()
WRITES = ("--write",)


def wallet() -> str:
    """The command that starts it: in a process of its own, which has the package imported."""
    return str(shell.folder() / "wallet")


def connected(*arguments: str) -> Client:
    """A client that starts its server; its package is imported here, as that takes half a second of each worker."""
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters

    started = StdioServerParameters(command=wallet(), args=["mcp", *arguments], env=dict(os.environ))
    return Client(started, read_timeout_seconds=TIMEOUT_S)


def talk(with_: Callable[[Client], Awaitable[Any]], arguments: tuple[str, ...] = WRITES) -> Any:
    """Start a server, have a client talk to it, and end both."""

    async def session() -> Any:
        async with connected(*arguments) as client:
            return await with_(client)

    return asyncio.run(session())


async def answer(client: Client, name: str, /, **arguments: Any) -> Any:
    """What a tool answers. The client has checked it against the schema that the server gave out."""
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.structured_content
    assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]
    return result.structured_content


async def error(client: Client, name: str, /, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    assert result.is_error, result.structured_content
    return result.structured_content["error"]


@pytest.fixture
def shop(db: Address) -> Address:
    for line in ("register 9886977544", "create 1", "create 1/spare", "tx add 1 100 --credit --key first"):
        assert cli.run(line).code == 0
    return db


def strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tightened = {name: strict(value) for name, value in schema.items()}
    return tightened | {"additionalProperties": False} if "properties" in tightened else tightened


CALLS: dict[str, dict[str, Any]] = {
    "ledger": {},
    "users": {"limit": 1},
    "wallets": {"user": "1"},
    "balance": {"wallet": "9886977544", "at": "2100"},
    "transactions": {"wallet": "1", "from": "2020", "min": "5", "kind": "credit", "limit": 1},
    "history": {"from": "2020", "kind": "credit", "limit": 1},
    "find": {"text": "98869"},
    "transaction": {"id": "1-1"},
    "total": {"wallet": "1", "to": "2100"},
    "statement": {"wallet": "w1"},
    "holds": {"wallet": "1"},
    "audit": {"user": "1", "limit": 2},
    "verify": {},
    "register": {"phone_number": "9886977545", "name": "Asha", "key": "r"},
    "create_wallet": {"wallet": "2/points", "currency": "PTS/0", "key": "c"},
    "credit": {"wallet": "1", "amount": "20", "key": "cr", "note": "Zoë", "meta": {"a": [1, None]}},
    "debit": {"wallet": "1", "amount": "5.50", "key": "de"},
    "transfer": {"from_wallet": "1", "to_wallet": "1/spare", "amount": "10", "key": "tr"},
    "reverse": {"id": "1-2", "amount": "1", "key": "re"},
    "hold": {"wallet": "1", "amount": "7", "expires": "12h", "key": "ho"},
    "capture": {"id": "1-h1", "amount": "2", "keep": True, "key": "ca"},
    "void": {"id": "1-h1"},
    "limits": {"wallet": "1/spare", "minimum_balance": "-5", "daily_debit": "none"},
    "freeze": {"wallet": "1/spare"},
    "unfreeze": {"wallet": "1/spare"},
}


def test_every_tool_answers_as_its_schema_says_and_writes_once(shop: Address) -> None:
    async def story(client: Client) -> None:
        for name, arguments in CALLS.items():
            (tool,) = (tool for tool in TOOLS if tool.name == name)
            found = await answer(client, name, **arguments)
            jsonschema_rs.validate(strict(schemas.schema(tool.answer)), found)
            if name == "void":
                assert (await error(client, name, **arguments))["details"]["status"] == "voided"
            elif tool.writes:
                again = await answer(client, name, **arguments)
                assert again == found | ({} if tool.sets else {"replayed": True})
        now = await answer(client, "balance", wallet="1")
        assert (now["balance"], now["held"]) == ("101.50", "0.00")
        spare = await answer(client, "balance", wallet="1/spare")
        assert (spare["minimum_balance"], spare["status"]) == ("-5.00", "active")
        assert (await answer(client, "verify"))["ok"] is True

    assert CALLS.keys() == {tool.name for tool in TOOLS}
    talk(story)


def test_a_server_only_reads_unless_it_is_told_to_write(shop: Address) -> None:
    async def story(client: Client) -> None:
        listed = (await client.list_tools()).tools
        assert [tool.name for tool in listed] == [tool.name for tool in TOOLS if not tool.writes]
        assert all(tool.annotations is not None and tool.annotations.read_only_hint for tool in listed)
        for tool in TOOLS:
            if tool.writes:
                told = await error(client, tool.name, **CALLS[tool.name])
                assert (told["code"], told["hint"]) == ("forbidden", "start it by `wallet mcp --write`")
        assert (await answer(client, "balance", wallet="1"))["balance"] == "100.00"

    talk(story, READ_ONLY)
    assert cli.run("users -q").out == "1\n"


NO_KEYS = ("", " ", "k" * 256, "a\0b")

REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("balance", {"wallet": "7"}, "user_not_found"),
    ("balance", {"wallet": "1/none"}, "wallet_not_found"),
    ("balance", {}, "invalid_input"),
    ("balance", {"wallet": 1}, "invalid_input"),
    ("balance", {"wallet": "1", "colour": "red"}, "invalid_input"),
    ("balance", {"wallet": "1\u0000"}, "invalid_input"),
    ("transactions", {"wallet": "1", "limit": True}, "invalid_input"),
    ("transactions", {"wallet": "1", "limit": 10**30}, "invalid_input"),
    ("transactions", {"wallet": "1", "cursor": "'; DROP TABLE"}, "invalid_input"),
    ("transaction", {"id": "1-99"}, "transaction_not_found"),
    *(("register", {"phone_number": "9886977545", "key": key}, "invalid_input") for key in NO_KEYS),
    *(("create_wallet", {"wallet": "1/x", "key": key}, "invalid_input") for key in NO_KEYS),
    ("credit", {"wallet": "1", "amount": "5"}, "invalid_input"),
    ("credit", {"wallet": "1", "amount": "5", "key": ""}, "invalid_input"),
    ("credit", {"wallet": "1", "amount": "5", "key": None}, "invalid_input"),
    ("credit", {"wallet": "1", "amount": 5, "key": "k"}, "invalid_input"),
    ("credit", {"wallet": "1", "amount": "1e9", "key": "k"}, "invalid_input"),
    ("credit", {"wallet": "1", "amount": "-5", "key": "k"}, "invalid_input"),
    ("credit", {"wallet": "1", "amount": "5", "key": "k" * 256}, "invalid_input"),
    ("credit", {"wallet": "1", "amount": "5", "key": "k", "meta": []}, "invalid_input"),
    ("credit", {"wallet": "1", "amount": "5", "key": "k", "meta": {"a": "x" * 5000}}, "invalid_input"),
    ("credit", {"wallet": "1", "amount": "5", "key": "k", "is_credit": False}, "invalid_input"),
    ("credit", {"wallet": "1", "amount": "6", "key": "first"}, "key_reused"),
    ("debit", {"wallet": "1", "amount": "1000", "key": "k"}, "insufficient_funds"),
    ("void", {"id": "1-h9"}, "hold_not_found"),
    ("limits", {"wallet": "1"}, "invalid_input"),
    ("limits", {"wallet": "1", "maximum_balance": "much"}, "invalid_input"),
    ("freeze", {"wallet": "1/none"}, "wallet_not_found"),
    ("no_such_tool", {"wallet": "1"}, "invalid_input"),
)


def test_a_call_that_is_refused_has_a_code_and_changes_nothing(shop: Address) -> None:
    async def story(client: Client) -> None:
        for name, arguments, code in REFUSED:
            told = await error(client, name, **arguments)
            assert told["code"] == code, (name, arguments, told)
            assert told["hint"]
            assert "wallet " not in told["hint"].replace("wallet mcp", "").replace("the wallet ", ""), told
        assert (await answer(client, "balance", wallet="1"))["transactions"] == 1

    talk(story)


def test_each_command_that_a_tool_does_is_there() -> None:
    assert TOOL_OF.keys() <= dict(tree.each()).keys()
    assert set(TOOL_OF.values()) == {tool.name for tool in TOOLS}


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("add the user: wallet register PHONE", "add the user: the tool register"),
        ("the user has: main; open it: wallet create id:2/x", "the user has: main; open it: the tool create_wallet"),
        (
            "more than the original; `wallet tx show ID` lists them",
            "more than the original; the tool transaction lists them",
        ),
        (
            "raise the maximum: wallet limits WALLET --maximum-balance A",
            "raise the maximum: the tool limits with maximum_balance",
        ),
        (
            "take it away: wallet limits WALLET --minimum-balance 0",
            "take it away: the tool limits with minimum_balance 0",
        ),
        ("use another wallet of the user", "use another wallet of the user"),
        ("give --from a time before --to", "give `from` a time before `to`"),
        ("open it: wallet create USER/TYPE", "open it: the tool create_wallet"),
        # What only commands can do.
        *(
            (only, only)
            for only in (
                "finish it with `wallet move --to …`, or cancel it with `wallet move --cancel`",
                "finish it: wallet --db a.db move --to 'b c.db'",
                "--every and --keep need a folder",
                "look: wallet verify --against FILE",
                "make one: `wallet backup FOLDER --keep 7d`",
            )
        ),
    ],
)
def test_a_hint_for_an_agent_names_tools(hint: str, told: str) -> None:
    assert for_agents(hint) == told


@pytest.mark.on_file("what is not there is a file")
def test_a_ledger_that_is_not_there_is_told_and_not_made(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none = db.with_name("none.db")
    monkeypatch.setenv("WALLET_DB", str(none))

    async def story(client: Client) -> None:
        assert (await error(client, "register", phone_number="9886977545", key="k"))["code"] == "ledger_not_found"

    talk(story)
    assert not none.exists()


def request(id_: str = "7", arguments: str = '"wallet": "1", "amount": "1", "key": "k"', more: str = "") -> str:
    """The line of a debit, as text: its id and its arguments as JSON."""
    return (
        f'{{"jsonrpc": "2.0", "id": {id_}, "method": "tools/call", '
        f'"params": {{"name": "debit", "arguments": {{{arguments}}}}}{more}}}'
    )


NO_MESSAGES: dict[str, tuple[str | bytes, int | str | None, int]] = {
    "Latin-1 in a key": (
        request(arguments='"wallet": "1", "amount": "1", "key": "caf\xe9"').encode("latin-1"),
        7,
        -32700,
    ),
    "another of the same": (
        request(arguments='"wallet": "1", "amount": "1", "key": "caf\xe8"').encode("latin-1"),
        7,
        -32700,
    ),
    "not UTF-8 at all": (b"\xff\xfe", None, -32700),
    "bytes of a surrogate": (request('"a"').replace('k"}', '\ud83d"}').encode("utf-8", "surrogatepass"), "a", -32700),
    "half a character": (
        request(arguments='"wallet": "1", "amount": "1", "key": "k", "note": "tea \\ud83d"'),
        7,
        -32700,
    ),
    "half a character in a name": (request(arguments='"\\ud83d": "1"'), 7, -32700),
    "half a character as the id": (request('"\\ud83d"'), None, -32700),
    "an amount twice": (request(arguments='"wallet": "1", "amount": "1", "amount": "300", "key": "k"'), 7, -32700),
    "a wallet twice": (request(arguments='"wallet": "1", "wallet": "1/spare", "amount": "1", "key": "k"'), 7, -32700),
    "the same name, escaped": (request(arguments='"key": "a", "\\u006bey": "b"'), 7, -32700),
    "params twice": (request(more=', "params": {}'), 7, -32700),
    "an id twice": (request(more=', "id": 8'), None, -32700),
    "NaN": (request(arguments='"amount": NaN'), 7, -32700),
    "a number of 6,000 digits": (request(arguments=f'"amount": {"9" * 6000}'), 7, -32700),
    "an id of 6,000 digits": (request("9" * 6000), None, -32700),
    "a NUL": (request(arguments='"key": "a\0b"'), None, -32700),
    "no JSON": ("{bad", None, -32700),
    "a line that is cut off": (request()[:-1], None, -32700),
    "two on one line": (request() + request(), None, -32700),
    "nothing": ("", None, -32700),
    "a mark of the order of bytes": ("\ufeff" + request(), None, -32700),
    "nested too deeply": ("[" * 60_000, None, -32700),
    "a line that is too long": (request(arguments='"key": "' + "x" * 2**16 + '"'), None, -32600),
    "a line of 5 MB": ("x" * 5_000_000, None, -32600),
    "several as a list": (f"[{request()}]", None, -32600),
    "a text": ('"tools/call"', None, -32600),
    "no method": ('{"jsonrpc": "2.0", "id": "seven"}', "seven", -32600),
    "no version": (request().replace('"jsonrpc": "2.0", ', ""), 7, -32600),
    "parameters as a list": ('{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": []}', 7, -32600),
    **{f"an id of {id_}": (request(id_), None, -32600) for id_ in ("null", "1.5", "true", "[7]", "{}")},
    "an unknown method": ('{"jsonrpc": "2.0", "id": 7, "method": "no/such"}', 7, -32601),
    "a request that is an error too": (
        request().replace('"id"', '"error": {"code": 1, "message": "x"}, "id"'),
        7,
        -32600,
    ),
    "arguments as a text": (request().replace('{"wallet": "1", "amount": "1", "key": "k"}', '"x"'), 7, -32602),
}
"""Lines, of which nothing may be done, with the id and the code of the error that they are answered with."""

HELLO = (
    b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": '
    b'{}, "clientInfo": {"name": "test", "version": "1"}}}\n'
    b'{"jsonrpc": "2.0", "method": "notifications/initialized"}\n'
)
LAST = (
    b'{"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": {"name": "balance", "arguments": '
    b'{"wallet": "1"}}}\n'
)


def test_a_line_that_is_no_message_is_answered_and_does_nothing(shop: Address) -> None:
    """Each has one answer, and the next line is read."""
    with subprocess.Popen(
        [wallet(), "mcp", "--write"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def say(line: bytes) -> Any:
            server.stdin.write(line + b"\n")
            server.stdin.flush()
            return json.loads(server.stdout.readline())

        server.stdin.write(HELLO)
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["id"] == 1
        for name, (line, id_, code) in NO_MESSAGES.items():
            told = say(line if isinstance(line, bytes) else line.encode())
            assert (told["jsonrpc"], told["id"], told["error"]["code"]) == ("2.0", id_, code), (name, told)
            if code in (-32700, -32600):
                assert told["error"]["data"]["code"] == "invalid_input"
                assert told["error"]["data"]["hint"], name
        assert say(LAST[:-1])["result"]["structuredContent"]["balance"] == "100.00"
        # What is JSON and no text for a ledger is refused by the tool; a line may end with CR LF, or with the input.
        nul = say(request(arguments='"wallet": "1", "amount": "1", "key": "a\\u0000"').encode() + b"\r")
        assert nul["result"]["structuredContent"]["error"]["code"] == "invalid_input"
        rest, told = server.communicate(request()[:-1].encode(), timeout=TIMEOUT_S)
    (cut,) = map(json.loads, rest.splitlines())
    assert (cut["id"], cut["error"]["code"]) == (None, -32700)
    assert (server.returncode, told) == (0, b"")


@pytest.mark.on_file("another ledger takes the place of a file")
@pytest.mark.parametrize("by", ["settings", "file"])
def test_a_key_is_not_applied_again_in_another_ledger(
    db: Path, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings are those of the start, and another ledger at its place is refused."""
    monkeypatch.delenv("WALLET_DB")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    for path in (one, two):
        for line in ("register 9886977544", "create 1"):
            assert cli.run(f"--db {path} {line}").code == 0
    assert cli.run(f"config set db {one}").code == 0

    async def story(client: Client) -> None:
        salary = {"wallet": "1", "amount": "500", "key": "salary"}
        first = await answer(client, "credit", **salary)
        if by == "settings":
            assert cli.run(f"config set db {two}").code == 0
            assert await answer(client, "credit", **salary) == first | {"replayed": True}
            return
        for ending in ("", "-wal", "-shm", ".lock"):
            one.with_name(one.name + ending).unlink(missing_ok=True)
        two.rename(one)
        for name, asked in (("credit", salary), ("balance", {"wallet": "1"})):
            told = await error(client, name, **asked)
            assert "another ledger has replaced the one that was opened" in told["message"], told
        assert cli.run(f"--db {one} balance 1 -q").out == "0.00\n"

    talk(story)


@pytest.mark.parametrize("arguments", [READ_ONLY, WRITES])
def test_verifying_notes_damage_only_where_writing_is_offered(shop: Address, arguments: tuple[str, ...]) -> None:
    async def story(client: Client) -> None:
        (tool,) = [tool for tool in (await client.list_tools()).tools if tool.name == "verify"]
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint == (arguments == READ_ONLY)
        for asked in ({}, {"wallet": "1"}):
            assert (await error(client, "verify", **asked))["details"]["transaction"] == "1-1"

    engines.execute(shop, "UPDATE transactions SET note = 'x' WHERE wallet_id = 1 AND seq = 1")
    talk(story, arguments)
    assert (engines.rows(shop, "SELECT damaged FROM ledger") == [(None,)]) == (arguments == READ_ONLY)


def test_calls_at_once_with_one_key_are_applied_once_in_their_order(shop: Address) -> None:
    async def story(client: Client) -> None:
        calls = [answer(client, "debit", wallet="1", amount="1", key="one") for _ in range(20)]
        first, *others = await asyncio.gather(*calls)
        assert "replayed" not in first
        assert others == [first | {"replayed": True}] * 19

    talk(story)
    assert cli.run("balance 1 -q").out == "99.00\n"


def test_two_servers_on_one_ledger_apply_each_key_once(shop: Address) -> None:
    """Each is sent the same twenty debits, at once."""

    async def debits(client: Client) -> list[Any]:
        return [await answer(client, "debit", wallet="1", amount="1", key=f"k-{n}") for n in range(20)]

    async def both() -> list[list[Any]]:
        async def one() -> list[Any]:
            async with connected("--write") as client:
                return await debits(client)

        return list(await asyncio.gather(one(), one()))

    first, second = asyncio.run(both())
    assert [each["id"] for each in first] == [each["id"] for each in second]
    assert sum(each.get("replayed", False) for each in first + second) == 20
    assert cli.run("balance 1 -q").out == "80.00\n"
    assert cli.run("verify -q").code == 0


def test_each_tool_that_moves_or_makes_needs_a_key() -> None:
    reading = (
        "ledger",
        "users",
        "wallets",
        "balance",
        "transactions",
        "transaction",
        "total",
        "statement",
        "history",
        "find",
    )

    def schema(tool: Tool) -> Any:
        found = tool.input_schema()
        jsonschema_rs.meta.validate(found)
        return found

    setting = ("void", "limits", "freeze", "unfreeze")
    for tool in TOOLS:
        assert ("key" in schema(tool)["required"]) == (
            tool.name not in (*reading, "holds", "audit", "verify", *setting)
        )
        assert tool.sets == (tool.name in setting)


def test_an_agent_that_leaves_is_no_error(shop: Address) -> None:
    server = subprocess.Popen(
        [wallet(), "mcp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdout.close()
    _, told = server.communicate(HELLO + LAST + b"{bad\n" * 20 + LAST, timeout=TIMEOUT_S)
    assert (server.returncode, told) == (0, b"the agent has left\n")


def test_ctrl_c_ends_it_while_it_waits_for_a_line(shop: Address) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "wallet_cli", "mcp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdin.write(HELLO)
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["id"] == 1
        server.send_signal(signal.SIGINT)
        assert server.wait(TIMEOUT_S) == 130
        told = server.stderr.read().decode()
    assert told.startswith("error: interrupted")
    assert "Traceback" not in told
