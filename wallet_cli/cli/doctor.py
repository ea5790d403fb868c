"""`wallet doctor`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wallet_cli import settings
from wallet_cli.cli.output import Listing, notice
from wallet_cli.errors import InvalidInput


def _in_one_line(finding: Mapping[str, Any]) -> str:
    return f"{finding['status']} {finding['name']}"


def doctor(flags: Mapping[str, str]) -> Listing:
    """Each line says what was found and, where something is wrong, what to do. Nothing is changed.

    Examples:
        wallet doctor
        wallet doctor --json
    """
    from wallet_cli.operations import doctor as doctors

    try:
        answer = doctors.examine(settings.load(flags, notify=notice), notice)
    except InvalidInput as error:
        answer = doctors.unreadable(error)
    return Listing(answer["findings"], doctors.columns(), _in_one_line, page=answer, exit_code=0 if answer["ok"] else 7)
