"""How to install a package for this program: with the tool that created its environment."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from wallet_cli.errors import MissingPackage


def missing(what: str, error: ImportError, extra: str) -> MissingPackage:
    """The error for a missing package of an extra; `what` is the start of the message: `a PDF needs`."""
    return MissingPackage(f"{what} a package that is not installed: {error.name}", hint=install(this_program(extra)))


def this_program(extra: str) -> str:
    """This program with an extra, as pip names it: the folder from which it was installed, or its name.

    `direct_url.json` (PEP 610) has the origin of a distribution, except one that came from an index.
    """
    import json
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        source = json.loads(distribution("wallet-cli").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, OSError, ValueError):
        source = {}
    if "dir_info" not in source:
        return f"'wallet-cli[{extra}]'"
    folder = shlex.quote(f"{url2pathname(urlsplit(source['url']).path)}[{extra}]")
    return f"-e {folder}" if source["dir_info"].get("editable") else folder


def install(what: str) -> str:
    """The command that installs `what` (a pip requirement) for the Python that runs this program."""
    prefix = Path(sys.prefix)
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx runpip {prefix.name} install {what}"
    if (prefix / "uv-receipt.toml").exists():  # `uv tool`, whose environments have no pip
        return f"uv pip install --python {shlex.quote(sys.executable)} {what}"
    if sys.prefix in (sys.base_prefix, os.environ.get("VIRTUAL_ENV")):
        return f"pip install {what}"
    # A virtual environment that is not active: another `pip` comes first on the PATH.
    return f"{shlex.quote(sys.executable)} -m pip install {what}"
