"""Profiles: the dialect of one bank's or program's files, stored as import/NAME.toml in the user's config folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from wallet_cli.errors import InvalidInput, StorageError, hint_of, shown
from wallet_cli.import_export.imports.dialect import Dialect, dialect
from wallet_cli.operations.private_files import replace
from wallet_cli.settings import config_path
from wallet_cli.storage.folders import make_folder

NAMES = ("delimiter", "decimal", "dates", "encoding", "wallet")
MAX_BYTES = 64 * 1024


def path_of(name: str) -> Path:
    """The file of a profile. Raises InvalidInput for an invalid name."""
    if not re.fullmatch(r"[a-zA-Z0-9_][a-zA-Z0-9_.\-]{0,63}", name):
        raise InvalidInput(
            f"not a name for a profile: {shown(name)}", hint="1 to 64 letters, digits, '_', '.' or '-', such as mybank"
        )
    return config_path().with_name("import") / f"{name}.toml"


def read(name: str) -> dict[str, Any]:
    """The values of a profile: text by name, and `map`, a list of texts. Raises InvalidInput with the file's name."""
    import tomllib

    path = path_of(name)
    try:
        with path.open("rb") as file:
            found = tomllib.loads(file.read(MAX_BYTES).decode("utf-8"))
    except FileNotFoundError:
        raise InvalidInput(
            f"there is no profile {shown(name)}: {path}", hint=f"create it with --save-profile {name}"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"cannot read the profile {path}: {error}", hint='it is TOML: decimal = ","') from None
    unknown = sorted(found.keys() - {*NAMES, "map"})
    if unknown:
        raise InvalidInput(f"{path}: unknown name {shown(unknown[0])}", hint=f"there are: {', '.join((*NAMES, 'map'))}")
    said: dict[str, Any] = {}
    for key in NAMES:
        if key in found:
            if not isinstance(found[key], str):
                raise InvalidInput(f"{path}: {key} is not text", hint=f'{key} = "…"')
            said[key] = found[key]
    columns = found.get("map", {})
    if not isinstance(columns, dict) or not all(isinstance(value, str) for value in columns.values()):
        raise InvalidInput(f"{path}: map is not a table of text", hint='[map] and then "Betrag" = "amount"')
    if columns:
        said["map"] = [_quoted(f"{column}={target}") for column, target in columns.items()]
    try:
        dialect(**{"columns" if key == "map" else key: value for key, value in said.items()})
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error.message}", hint=error.hint) from None
    return said


def write(name: str, kept: Dialect) -> Path:
    """Store a dialect as a profile, replacing one of that name; returns its path."""
    path = path_of(name)
    lines = [f"{key} = {_toml(getattr(kept, key))}" for key in NAMES if getattr(kept, key) is not None]
    if kept.columns:
        lines += ["", "[map]", *(f"{_toml(column)} = {_toml(target)}" for column, target in kept.columns.items())]
    try:
        make_folder(path.parent)
        replace(path, "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}", hint=hint_of(error, "check the folder")) from None
    return path


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _quoted(text: str) -> str:
    """Quote one entry of a map, so that its commas do not separate."""
    return '"' + text.replace('"', '""') + '"'
