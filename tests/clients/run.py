"""Clients that others' generators make of /openapi.json import, and run the six calls of the original application.

    python tests/clients/run.py

It needs the registries of PyPI and npm, and Node.js 20 or newer; it takes about a minute, and exits 1 where a client
cannot be made or does not work. tests/web/test_document.py holds the document to what the generators need.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))  # TESTS, before it has its name

from support.server import Server

from wallet_cli.web.openapi import openapi_json

HERE = Path(__file__).parent
PYTHON_GENERATOR = "openapi-python-client==0.29.1"
NODE_PACKAGES = {"openapi-fetch": "0.17.0", "openapi-typescript": "7.13.0", "typescript": "5.9.3"}
TIMEOUT_S = 600
NOT_GENERATED = {"POST /api/v1/import", "POST /api/v1/import/part"}
"""Their bodies are files, of types that openapi-python-client does not send."""


def run(*command: str | Path, folder: Path) -> str:
    """Run a command; what it printed. Raises AssertionError, with that, where it fails."""
    done = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def python_client(folder: Path, document: Path, server: Server, key: str) -> None:
    """Make a client by openapi-python-client, in an environment of its own, and run it there."""
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run(programs / "python", "-m", "pip", "install", "-q", PYTHON_GENERATOR, folder=folder)
    said = run(
        programs / "openapi-python-client", "generate", "--path", document, "--output-path", "client", folder=folder
    )
    left_out = {
        line.removeprefix("WARNING parsing ").partition(" within ")[0]
        for line in said.splitlines()
        if line.startswith(("WARNING parsing", "ERROR"))
    }
    assert left_out == NOT_GENERATED, said
    print(run(programs / "python", HERE / "six_calls.py", folder / "client", server.url, key, folder=folder), end="")


def typescript_client(folder: Path, document: Path, server: Server, key: str) -> None:
    """Make types by openapi-typescript, and compile, strictly, and run a program that uses them."""
    (folder / "package.json").write_text(json.dumps({"type": "module", "dependencies": NODE_PACKAGES}))
    run("npm", "install", "--no-audit", "--no-fund", folder=folder)
    run("npx", "openapi-typescript", document, "-o", "wallet.d.ts", folder=folder)
    (folder / "six_calls.ts").write_text((HERE / "six_calls.ts").read_text("utf-8"), "utf-8")
    options = "--strict --noUncheckedIndexedAccess --target es2022 --module nodenext --lib es2022,dom"
    run("npx", "tsc", *options.split(), "six_calls.ts", folder=folder)
    print(run("node", "six_calls.js", server.url, key, folder=folder), end="")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        document = folder / "openapi.json"
        document.write_bytes(openapi_json())
        parts = {part: folder / part for part in ("ledger", "python", "node")}
        for part in parts.values():
            part.mkdir()
        with Server(parts["ledger"]) as server:
            key = server.key("clients")
            python_client(parts["python"], document, server, key)
            typescript_client(parts["node"], document, server, key)


if __name__ == "__main__":
    main()
