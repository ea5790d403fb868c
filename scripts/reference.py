"""Write docs/reference.md from the help of the commands, docs/topics.md from that of the topics, docs/http.md from the
OpenAPI document, and docs/json.md and wallet_cli/schemas from the fields of the answers, so that they and the program
cannot differ.

python scripts/reference.py            writes them
python scripts/reference.py --check    exits 1 if one is not what would be written
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NotRequired, get_origin, get_type_hints

import manual

from wallet_cli.cli import schemas as schemas_
from wallet_cli.cli import topics, tree
from wallet_cli.cli.app import main
from wallet_cli.cli.mcp_tools import TOOLS
from wallet_cli.cli.serve import MAX_CONNECTIONS
from wallet_cli.engine import group_commit
from wallet_cli.operations import fields as fields_
from wallet_cli.operations.pages import DEFAULT_LIMIT, MAX_LIMIT
from wallet_cli.web import messages, openapi, protocol, requests, responses, server, server_state
from wallet_cli.web.operations import OPERATIONS

MAN = Path(__file__).parent.parent / "man"
DOCS = Path(__file__).parent.parent / "docs"
SCHEMAS = DOCS.parent / "wallet_cli" / "schemas"
HEAD = """\
# Commands

The `--help` of each command. `python scripts/reference.py` writes this page: change the help, not the page. Below are
the [words](#words) (USER, WALLET, AMOUNT, TIME), the [answers](#answers) and the [errors](#errors). [Topics](topics.md)
are what `wallet help TOPIC` prints.
"""
TAIL = """\
## Words

- **USER**: a phone number, or a user id. If it starts with `+` or has 7 digits or more, it is a phone number (spaces,
  dashes, dots and brackets do not count). A shorter run of digits is an id, which has no leading zero. `id:N` is always
  an id. A command that only reads also takes a name, the start of a name, or a word of it, if only one person has it. A
  command that changes something takes a name only on a terminal, and asks first.
- **WALLET**: `USER` or `USER/TYPE`. Without a type it is `main`. A type is 1 to 32 of `a-z A-Z 0-9 _ . -`. `wN` is the
  wallet with the id N.
- **AMOUNT**: digits with at most one point, greater than 0, no more fraction digits than the currency has, no
  exponent, no separators, at most 10^15 minor units. The command line also takes `1,000`, `1_000`, `.5`, `₹500` and
  `500 INR`, where that means one thing; the sign of another currency is refused. On a terminal it also takes the
  comma of a locale where it is the decimal sign, `1,50` or `0,50`, and the sign that your locale has for the currency;
  but there `1.000` is refused, where the currency has fewer than three digits. `€1.000` is refused everywhere.
- **Currency**: an ISO 4217 code, or `CODE/N` for any other unit: 3 to 10 of `A-Z 0-9`, and N fraction digits, 0 to 18.
- **TIME**: ISO 8601, from a year to a microsecond; or `now`, `today`, `yesterday`, and `12h`, `7d` or `2w` ago
  (`s h d w`, to 3660 days), which no key may go with. With no offset, it is in the ledger's time zone (`wallet ledger
  set timezone ZONE`). As the end of a period it covers all of the unit that it is written in: `--to 2024-04-30`
  includes that whole day. Answers show bounds in UTC, and an end as its last microsecond.
- **Transaction id**: `W-N`, the N-th transaction of wallet W. N runs 1, 2, 3 … without a gap.
- **Hold id**: `W-hN`, the N-th hold of wallet W.
- **Length of time**: digits and one of `s m h d w`, such as `90s`, `12h` or `7d`; at most 3660 days.
- **Metadata**: `name=value`; names of 1 to 64 printable characters, each once; at most 4 KiB in all as JSON
  in ASCII, where é is `\\u00e9`: 6 bytes.
- **Key**: 1 to 255 printable characters, unique within the wallet, across transactions and holds; the key of a transfer
  belongs to the wallet that pays. Spaces at its ends do not count. The keys of users' tokens and those of operators
  are separate. The same key with the same request returns the first answer, with `"replayed": true`, and applies
  nothing, whatever has become of the wallet since. The same key with another request is refused.

## Answers

Data goes to stdout, everything else to stderr. Amounts are strings with exactly the currency's fraction digits; times
are UTC, `2026-11-22T10:00:00.000000Z`. Fields may be added; none is renamed or removed. Fields in
brackets are there only if they apply.

| command | answers | fields |
|---|---|---|
{answers}

`-o jsonl` and `-o csv` have what a list holds, one a line. [JSON](json.md) tells what each field means.

## Errors

See [errors and exit codes](errors.md).
"""


def answers() -> str:
    """What is answered, by which commands, a row each. What may be missing is in brackets."""
    commands: dict[schemas_.Answer, list[str]] = {}
    for words, answer in schemas_.ANSWERS.items():
        commands.setdefault(answer, []).append(f"`{words}`")
    rows = []
    for answer, called in commands.items():
        shape = getattr(fields_, answer.whole)
        hints = get_type_hints(shape, include_extras=True)
        names = [f"[{each}]" if get_origin(hints[each]) is NotRequired else each for each in shape.__annotations__]
        link = f"[{'list of ' * answer.is_list}{answer.whole}](json.md#{answer.whole.lower()})"
        rows.append(f"| {', '.join(called)} | {link} | `{', '.join(names)}` |")
    return "\n".join(rows)


def paths() -> Iterator[list[str]]:
    """Every command, as the words that call it; the root first."""
    yield []
    yield from (words.split() for words, _ in tree.each())


def help_of(path: list[str]) -> str:
    """What a command prints with --help."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main([*path, "--help"])
    return "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())


def reference() -> str:
    """The text of the page."""
    commands = "\n".join(f"## {' '.join(['wallet', *path])}\n\n```text\n{help_of(path)}\n```\n" for path in paths())
    return f"{HEAD}\n{commands}\n{TAIL.replace('{answers}', answers())}"


TOPICS_HEAD = """\
# Topics

What `wallet help TOPIC` tells. This page is written by `python scripts/reference.py` from wallet_cli/topics; change
those, not the page.
"""


def topics_page() -> str:
    """The text of the page of topics: each a heading lower than where it stands alone."""
    pages = (re.sub(r"^#", "##", topics.text_of(name), flags=re.MULTILINE) for name in topics.NAMES)
    return "\n".join([TOPICS_HEAD, *pages])


HTTP_HEAD = """\
# HTTP reference

The endpoints of `wallet serve`. `python scripts/reference.py` writes this page from the document that a server has at
`/openapi.json`. A running server shows the same at `/docs`, which loads nothing from another host. [Serving the
ledger](serve.md) shows it in use.

## In general

- **Who may call.** `Authorization: Bearer`, then an operator key (`wallet key create NAME`) or a user token
  (`wallet token USER`, or `POST /tokens`). An operator may do everything; one made with `--read-only` may read. A user
  may read their own wallets, debit them and transfer between them. What belongs to another user is not found (404).
  Everything else (to register, open wallets, credit, hold, reverse, limit) is forbidden (403).
- **Bodies** are JSON objects with the fields below and no other, `Content-Type: application/json`, in UTF-8. A field
  that is given twice, is unknown, or has another type (`"5"` for 5, `true` for 1) is `invalid_input`.
- **Amounts** may be sent as JSON numbers or as strings. Numbers are read digit by digit, never as a float. Answers have
  strings with exactly the currency's fraction digits.
- **Times** are ISO 8601; with no offset they are UTC, or with `times=ledger`, where an operation has it, in the
  ledger's time zone. An end covers all of the unit that it is written in.
- **A success** is `{"message": …, "data": …}`. **A failure** is `{"message", "data": null, "code", "details",
  "retryable", "hint"}`; nothing was changed, unless the message says that the outcome is unknown. `code` is for
  programs; `message` and `hint` are for people.
- **Sending again.** Operations that list an `Idempotency-Key` give the same request with that key the first answer, 200
  with `"replayed": true`, and apply it once. Make the key from what the payment is, and send it again after 500, 503 or
  no answer at all. A batch and an import refuse one (400): there each transaction or line has its `key`. The other
  operations ignore it: sent again they change nothing more, or say that it was done, as a hold that is voided does.
  Only `POST /tokens` makes another token.
- **`X-Request-ID`** is returned and logged if it is 1 to 128 of `A-Z a-z 0-9 _ . : / + = @ -`; otherwise, and if you
  send none, the server makes one.
- **Paths.** Slashes at the end do not count.
"""


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def type_of(schema: dict[str, Any]) -> str:
    """A schema in few words."""
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "anyOf" in schema:
        return " or ".join(type_of(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{str(schema['const']).lower() if isinstance(schema['const'], bool) else schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {type_of(schema['items'])}"
    kind = schema.get("type", "object")
    text = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if schema.get("format") == "date-time":
        text = text.replace("string", "time")
    if "maxLength" in schema:
        text += f", at most {schema['maxLength']} characters"
    if "maximum" in schema and schema["maximum"] < 2**63 - 1:
        text += f", {schema['minimum']} to {schema['maximum']:,}"
    return text


def fields(schema: dict[str, Any]) -> str:
    """A table of an object's fields."""
    rows = ["| field | type | |", "|---|---|---|"]
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        described = [field, *field.get("anyOf", [])]
        about = next((each["description"] for each in described if "description" in each), "")
        example = next((f"such as `{each['examples'][0]}`" for each in described if "examples" in each), "")
        may = "" if name in required else "may be left out"
        note = "; ".join(filter(None, (may, about.rstrip("."), example)))
        rows.append(f"| `{name}` | {cell(type_of(field))} | {cell(note)} |")
    return "\n".join(rows)


def content_of(content: dict[str, Any], schemas: dict[str, Any]) -> str:
    """What is answered: data by the name of its schema, files by their types."""
    kinds = [f"`{kind}`" for kind in content if kind != "application/json"]
    if "application/json" in content:
        name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        kinds.insert(0, type_of(schemas[name]["properties"]["data"]))
    return ", ".join(kinds)


def operation_text(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    parts = [f"### {method.upper()} {path}", f"{operation['summary']}. {operation['description']}"]
    if "parameters" in operation:
        rows = ["| parameter | in | type | |", "|---|---|---|---|"]
        for each in operation["parameters"]:
            about = cell(each.get("description", ""))
            rows.append(f"| `{each['name']}` | {each['in']} | {cell(type_of(each['schema']))} | {about} |")
        parts.append("\n".join(rows))
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        if "application/json" in content:
            name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
            parts += [f"Body, `{name}`:", fields(schemas[name])]
        else:
            parts.append(f"Body: {' or '.join(f'`{kind}`' for kind in content)}, in UTF-8.")
    answers = [
        f"{status} {content_of(response['content'], schemas)}"
        for status, response in operation["responses"].items()
        if int(status) < 400
    ]
    failures = "; ".join(
        f"{status} {', '.join(f'`{code}`' for code in response['content']['application/json']['examples'])}"
        for status, response in operation["responses"].items()
        if int(status) >= 400
    )
    parts.append(f"Answers {' or '.join(answers)}. Fails with {failures}.")
    return "\n\n".join(parts) + "\n"


def limits() -> str:
    rows = (
        ("body", f"{requests.MAX_BODY_BYTES // 1024} KiB; of a batch {requests.MAX_BATCH_BYTES // 2**20} MiB", "413"),
        ("items of a batch", f"{requests.MAX_BATCH_ITEMS:,}", "400"),
        ("transactions of a page", f"{DEFAULT_LIMIT} unless `limit` says otherwise, at most {MAX_LIMIT:,}", "400"),
        ("URL", f"{protocol.MAX_URL_BYTES // 1024} KiB, {messages.MAX_PARAMETERS} parameters", "400"),
        (
            "headers",
            f"{protocol.MAX_HEADERS}, and {protocol.MAX_HEADER_BYTES // 1024} KiB; whole within"
            f" {protocol.HEADER_DEADLINE_S:.0f} s",
            "400, or the connection is closed",
        ),
        ("time for a body to arrive", f"{protocol.BODY_DEADLINE_S:.0f} s", "408"),
        ("time for an answer", f"`lock_timeout` and {server_state.HANDLER_MARGIN_S:.0f} s", "503"),
        ("long reads", "[a separate table](serve.md#what-a-request-may-cost)", "503 with `Retry-After`, at once"),
        ("time for an answer to be read", f"{protocol.WRITE_DEADLINE_S:.0f} s", "the connection is closed"),
        ("an idle connection", f"{protocol.KEEP_ALIVE_S:.0f} s", "the connection is closed"),
        ("connections of a process", f"{MAX_CONNECTIONS:,}; `--max-connections`", "503, with nothing read"),
        ("commands that wait for their turn", f"{group_commit.MAX_WAITING_COMMANDS:,}",
         "503 with `Retry-After`, at once"),
        ("finishing after SIGTERM", f"{server.DRAIN_S} s; a second signal ends it at once", "–"),
    )  # fmt: skip
    return "\n".join(["| of | limit | beyond it |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])


def http() -> str:
    """The text of the page about HTTP."""
    document = openapi.document()
    schemas = document["components"]["schemas"]
    requests = {each.body.__name__ for each in OPERATIONS if isinstance(each.body, type)}  # shown with their operations
    operations = "\n".join(
        operation_text(method, path, operation, schemas)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    named = "\n".join(
        f"### {name}\n\n{fields(schemas[name])}\n"
        for name in sorted(schemas)
        if "properties" in schemas[name] and name not in requests and not name.endswith("Reply")
    )
    errors = "\n".join(
        f"| {status} | {cell(openapi.told(refusals))} |"
        for status, refusals in openapi.by_status(openapi.WORDS).items()
    )
    return (
        f"{HTTP_HEAD}\n## Operations\n\n{operations}\n## Pages outside of /api/v1\n\n{PAGES}\n"
        f"## Failures\n\n| status | code |\n|---|---|\n{errors}\n\n## Limits and deadlines\n\n{limits()}\n\n"
        f"## What is answered\n\n{named}"
    )


PAGES = """\
They need no key: keep them, and above all `/metrics`, from strangers with the reverse proxy.

| page | says |
|---|---|
| `GET /healthz` | 200: the process answers |
| `GET /readyz` | 200: it can take a turn and write; else 503 |
| `GET /metrics` | for Prometheus: requests by route and status, time to answer, refusals by code, size of batches, \
wait for a turn, time of a commit, commands waiting |
| `GET /openapi.json` | this page for programs, OpenAPI 3.1 |
| `GET /docs` | this page, for people, with nothing loaded from elsewhere |
"""

JSON_HEAD = """\
# JSON

What commands print with `--json`, and each line with `-o jsonl`. This page is written by `python scripts/reference.py`
from the fields of the answers. The same is installed as JSON Schemas (draft 2020-12), a file each; this says where:

```sh
python -c 'from importlib.resources import files; print(files("wallet_cli") / "schemas")'
```

A later version may add fields; it renames and drops none. `--jq EXPR` picks from the JSON (extra `jq`).

## Commands

| command | `--json` | a line of `-o jsonl` |
|---|---|---|
"""


def json_page() -> str:
    """The text of docs/json.md."""

    def link(name: str) -> str:
        return f"[`{name}`](#{name.lower()})"

    rows = [
        f"| `wallet {words}` | {'a list of ' * answer.is_list}{link(answer.whole)} | {link(answer.line)} |"
        for words, answer in schemas_.ANSWERS.items()
    ]
    rows += [f"| `wallet {words}` | {why} | |" for words, why in schemas_.NO_JSON.items()]
    rows += [
        "| any, on stderr | [`Error`](#error) | |",
        "| `wallet import`, on stderr | | [`RefusedImportLine`](#refusedimportline) |",
    ]
    found: dict[str, Any] = {}
    for name in schemas_.names():
        whole = responses.document(name)
        found |= {name: whole} | whole.get("$defs", {})
    parts = [
        f"### {name}\n\n{schema['description']}\n\n{fields(schema)}\n"
        for name, schema in sorted(found.items())
        if "properties" in schema
    ]
    return JSON_HEAD + "\n".join(rows) + "\n\n## Answers\n\n" + "\n".join(parts)


AGENTS = """\
# Agents

<!-- Written by scripts/reference.py. -->

`wallet mcp` gives the ledger to an agent, over the [Model Context Protocol](https://modelcontextprotocol.io). It needs
the extra `mcp`: `pipx install '.[mcp]'`. The program that runs the agent starts it, and talks to it over stdin and
stdout. Most of them are told so in a file of this form:

```json
{"mcpServers": {"wallet": {"command": "wallet", "args": ["--db", "/srv/shop.db", "mcp"]}}}
```

It only reads. `wallet mcp --write` has the tools that write, too. Give those to an agent whose acts you would sign.
Without it, `verify` tells what is wrong, and does not mark the ledger as damaged; a server on another machine marks its
own. The ledger is the one that the settings name at the start, so `--ledger`, `WALLET_DB` and a ledger [on another
machine](remote.md) work as for any command. If another ledger takes its place, calls are refused: start `wallet mcp`
again. Notices go to stderr.

{tools}

- **Each tool that moves money or makes something needs a key**, which the agent chooses. The same call with the same
  key is applied once, and is answered with `"replayed": true`. So an answer that was lost can be asked for again.
- **`limits`, `freeze`, `unfreeze` and `void` need none**: done twice, they have done no more than once.
- **Answers** are those of `--json`; [their fields](json.md). A list is a page, and its `next_cursor` goes on.
- **Errors** are results with `isError`, and have `code`, `message`, `hint` and `retryable`, as [on the command
  line](errors.md).
- **What is missing**: closing a wallet, operator keys, settings, backups, import and export.
- **What a client sends**: one JSON object a line, in UTF-8, of at most 64 KiB, each field once, with an `id` that is
  text or a whole number. Of a line that is anything else, nothing is done. It is answered with error -32700 (it cannot
  be read: not UTF-8, not JSON, a field twice, half a surrogate pair) or -32600 (it is no request: a list of several, no
  method, too long). The error has the `id` of the request; where that cannot be known, it is null.
- **The end of stdin ends the server.** A call that has no answer by then may be done or not: call again with its key.
- Any number of these servers, of terminals and of `wallet serve` may use one ledger at once. The ledger is opened for
  each call and closed behind it.
"""


def agents_page() -> str:
    """The text of docs/agents.md."""
    rows = ["| tool | does | needs | may have |", "|---|---|---|---|"]
    for tool in TOOLS:
        needs, may = (", ".join(f"`{name}`" for name in names) for names in (tool.needs, tool.may))
        rows.append(f"| `{tool.name}` | {tool.about} | {needs} | {may} |")
    return AGENTS.replace("{tools}", "\n".join(rows))


def pages() -> Iterator[tuple[Path, str]]:
    """Every file that is written here, and its text."""
    yield DOCS / "reference.md", reference()
    yield DOCS / "topics.md", topics_page()
    yield DOCS / "http.md", http()
    for name, text in manual.pages():
        yield MAN / name, text
    yield DOCS / "json.md", json_page()
    yield DOCS / "agents.md", agents_page()
    for name in schemas_.names():
        yield (
            SCHEMAS / schemas_.file_name(name),
            json.dumps(responses.document(name), indent=1, ensure_ascii=False) + "\n",
        )


if __name__ == "__main__":
    stale = []
    os.environ["COLUMNS"] = "100"  # as wide everywhere
    for page, text in pages():
        if "--check" not in sys.argv:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, "utf-8")
        elif not page.is_file() or page.read_text("utf-8") != text:
            stale.append(f"{page.relative_to(DOCS.parent)} is stale: run python scripts/reference.py")
    if stale:
        sys.exit("\n".join(stale))
