"""A bare `wallet` proposes commands that work."""

from __future__ import annotations

import re
from pathlib import Path

import phonenumbers
import pytest
from support import cli

from wallet_cli.domain.ids import PhoneDigits, parse_user
from wallet_cli.domain.phone import example_phone, parse_phone


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_the_number_that_is_proposed_is_one_everywhere(region: str) -> None:
    typed = example_phone(region)
    assert isinstance(parse_user(typed), PhoneDigits)
    numbers = {parse_phone(typed, each).e164 for each in (region, "IN" if region == "IN" else "US")}
    assert len(numbers) == 1


@pytest.mark.parametrize("region", ["IN", "FR", "DK", "MX", "SH"])
@pytest.mark.parametrize("kept", [False, True])
def test_what_a_bare_wallet_proposes_works(
    region: str, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the settings have the region, and where the ledger keeps it."""
    monkeypatch.setenv("WALLET_DB", str(tmp_path / "new.db"))
    if kept:
        assert cli.run(["init", "--phone-region", region]).code == 0
    else:
        monkeypatch.setenv("WALLET_PHONE_REGION", region)
    proposed = re.findall("wallet ((?:register|create|credit) .*?) +#", cli.run([]).out)
    assert [cli.run(line).code for line in proposed] == [0, 0, 0]
