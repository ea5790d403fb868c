"""/docs: the OpenAPI document as one HTML page, with no script and no external content."""

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
    sections = "".join(_section(path, method, operation) for path, method, operation in operations)
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


def _section(path: str, method: str, operation: dict[str, Any]) -> str:
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
    shown = "".join(_answer(content) for content in _contents(operation))
    return (
        f"<h2 id='{operation['operationId']}'><span class='method {method}'>{method.upper()}</span>{escape(path)}</h2>"
        f"<p>{_prose(operation['summary'])}. {_prose(operation['description'])}</p>"
        + (f"<table>{parameters}</table>" if parameters else "")
        + (_body(body["content"]) if body is not None else "")
        + f"<details><summary>Answers</summary><table>{answers}</table>{shown}</details>"
    )


def _contents(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """The JSON contents of the successful answers."""
    successes = [answer["content"] for status, answer in operation["responses"].items() if int(status) < 400]
    return [content["application/json"] for content in successes[:1] if "application/json" in content]


def _answer(json: dict[str, Any]) -> str:
    name = json["schema"]["$ref"].rpartition("/")[2]
    return f"<p><a href='#schema-{name}'>{name}</a></p>{_json(json['example'])}"


def _body(content: dict[str, Any]) -> str:
    json = content.get("application/json")
    if json is None:
        return "".join(
            f"<p>Body: <code>{escape(kind)}</code></p><pre>{escape(file['example'])}</pre>"
            for kind, file in content.items()
        )
    return f"<p>Body:</p>{_answer(json)}"


def _json(value: Any) -> str:
    return f"<pre>{escape(msgspec.json.format(msgspec.json.encode(value)).decode())}</pre>"


def _prose(text: str) -> str:
    """HTML of a text with `code` in backquotes."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
