"""/docs: the OpenAPI document as one page of HTML, with no script and nothing from elsewhere."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import Any

import msgspec

from wallet_cli.web.openapi import document

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c }
h1 { margin-bottom: 0 } h2 { margin: 2.5rem 0 .5rem; font: 600 1.05rem ui-monospace, monospace }
code, pre { font: 14px/1.45 ui-monospace, monospace } pre { background: #f4f4f2; padding: .8rem; overflow-x: auto }
.method { color: #fff; background: #2a6f4e; border-radius: 4px; padding: .1rem .5rem; margin-right: .5rem }
.get { background: #2b5c8a } table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-top: 1px solid #ddd }
nav a { margin-right: 1rem } summary { cursor: pointer }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #e6e6e6 } pre { background: #222 }
td, th { border-color: #333 } a { color: #8ab8e6 } }
"""


@lru_cache(maxsize=1)
def docs_page() -> bytes:
    """The page, as UTF-8."""
    spec = document()
    operations = [
        (path, method, operation) for path, methods in spec["paths"].items() for method, operation in methods.items()
    ]
    links = " ".join(f'<a href="#{op["operationId"]}">{escape(op["operationId"])}</a>' for _, _, op in operations)
    sections = "".join(_section(path, method, operation, spec) for path, method, operation in operations)
    schemas = "".join(
        f'<h2 id="schema-{escape(name)}">{escape(name)}</h2>{_json(schema)}'
        for name, schema in spec["components"]["schemas"].items()
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>wallet API</title>"
        "<meta name='viewport' content='width=device-width'>"
        f"<style>{STYLE}</style></head><body><h1>wallet API</h1>"
        f"<p>{escape(spec['info']['description'])} Version {escape(spec['info']['version'])}."
        " <a href='/openapi.json'>openapi.json</a></p>"
        "<p>Send <code>Authorization: Bearer …</code> with an operator key or a user token.</p>"
        f"<nav>{links}</nav>{sections}<h1>Schemas</h1>{schemas}</body></html>"
    ).encode()


def _section(path: str, method: str, operation: dict[str, Any], spec: dict[str, Any]) -> str:
    body = operation.get("requestBody")
    parameters = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{p['in']}{', required' if p['required'] else ''}</td>"
        f"<td>{_prose(p.get('description', ''))}</td></tr>"
        for p in operation.get("parameters", ())
    )
    answers = "".join(
        f"<tr><td>{status}</td><td>{_prose(answer['description'])}</td></tr>"
        for status, answer in sorted(operation["responses"].items())
    )
    shown = ""
    if body is not None:
        shown = _body(body["content"], spec)
    return (
        f"<h2 id='{operation['operationId']}'><span class='method {method}'>{method.upper()}</span>{escape(path)}</h2>"
        f"<p>{_prose(operation['summary'])}</p>"
        + (f"<table>{parameters}</table>" if parameters else "")
        + shown
        + f"<details><summary>Answers</summary><table>{answers}</table></details>"
    )


def _body(content: dict[str, Any], spec: dict[str, Any]) -> str:
    json = content.get("application/json")
    if json is None:
        return "".join(
            f"<p>Body: <code>{escape(kind)}</code></p><pre>{escape(file['example'])}</pre>"
            for kind, file in content.items()
        )
    name = json["schema"]["$ref"].rpartition("/")[2]
    return f"<p>Body: <a href='#schema-{name}'>{name}</a></p>{_json(_example(spec, name))}"


def _example(spec: dict[str, Any], name: str) -> Any:
    """A body made of each required field's first example."""
    schema = spec["components"]["schemas"][name]
    made: dict[str, Any] = {}
    for field in schema["required"]:
        facts = schema["properties"][field]
        if "$ref" in facts.get("items", {}):
            made[field] = [_example(spec, facts["items"]["$ref"].rpartition("/")[2])]
        elif facts.get("examples"):
            made[field] = facts["examples"][0]
        else:
            made[field] = {"integer": 1, "boolean": True}.get(facts.get("type"), "")
    return made


def _json(value: Any) -> str:
    return f"<pre>{escape(msgspec.json.format(msgspec.json.encode(value)).decode())}</pre>"


def _prose(text: str) -> str:
    """Text with `code` in backquotes."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
