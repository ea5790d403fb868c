"""`wallet doctor`"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

from wallet_cli import settings
from wallet_cli.cli.named_ledger import on_it
from wallet_cli.cli.output import Listing, Pages, Record, Style, notice
from wallet_cli.errors import InvalidInput
from wallet_cli.operations.answers import Answer


def _in_one_line(finding: Mapping[str, Any]) -> str:
    return f"{finding['status']} {finding['name']}"


def doctor(flags: Mapping[str, str], style: Style) -> Listing | Pages:
    """Each line says what was found and, where something is wrong, what to do. Nothing is changed.

    Examples:
        wallet doctor
        wallet doctor --json
    """
    from wallet_cli.operations import doctor as doctors
    from wallet_cli.remote import is_remote, open_remote

    def remote() -> Answer:
        with open_remote(chosen) as ledger:
            return ledger.facts()

    try:
        chosen = settings.load(flags, notify=notice)
        answer = doctors.examine(chosen, remote if is_remote(chosen.db) else None)
    except InvalidInput as error:
        answer = doctors.unreadable(error)
    for finding in answer["findings"]:
        finding["advice"] = finding["advice"] and on_it(finding["advice"], flags)
    code = 0 if answer["ok"] else 7
    found = Listing(answer["findings"], doctors.columns(), _in_one_line, page=answer, exit_code=code, kind="finding")
    if not style.is_for_people:
        return found
    advised = (Record(each, kind="finding") for each in answer["findings"] if each["advice"] is not None)
    return Pages(chain([found], advised), code)
