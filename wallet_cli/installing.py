"""How to install something where this program is: by the tool that made its environment."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from wallet_cli.errors import MissingPackage


def missing(what: str, error: ImportError, extra: str) -> MissingPackage:
    """What to say where a package of an extra is not there; `what` says for what it is: `a PDF needs`."""
    return MissingPackage(
        f"{what} a package that is not installed: {error.name}", hint=install(f"'wallet-cli[{extra}]'")
    )


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
