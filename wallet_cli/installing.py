"""How to install something where this program is: by the tool that made its environment."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from wallet_cli.errors import MissingPackage


def missing(what: str, error: ImportError, extra: str) -> MissingPackage:
    """What to say where a package of an extra is not there; `what` says for what it is: `a PDF needs`."""
    return MissingPackage(f"{what} a package that is not installed: {error.name}", hint=install(this_program(extra)))


def this_program(extra: str) -> str:
    """This program with an extra, in the words of pip: the folder that it was installed from, or its name.

    What a distribution was installed from is said in its `direct_url.json` (PEP 610), unless an index was asked for it.
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
    """The command that installs `what`, which is in the words of pip, for the Python that runs this program."""
    prefix = Path(sys.prefix)
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx runpip {prefix.name} install {what}"
    if (prefix / "uv-receipt.toml").exists():  # `uv tool`, whose environments have no pip
        return f"uv pip install --python {shlex.quote(sys.executable)} {what}"
    if sys.prefix in (sys.base_prefix, os.environ.get("VIRTUAL_ENV")):
        return f"pip install {what}"
    # A virtual environment that is not active: another `pip` comes first on the PATH.
    return f"{shlex.quote(sys.executable)} -m pip install {what}"
