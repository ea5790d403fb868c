"""Names of people in the place of numbers."""

from __future__ import annotations

import pytest

from wallet_cli.domain.ids import check_name, check_stored_name
from wallet_cli.domain.names import may_be_name, naming
from wallet_cli.errors import InvalidInput


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "1",
            "007",
            "9886977544",
            "+919886977544",
            "+asha",
            "98869-7754x",
            "id:1",
            "ID:1",
            "id:asha",
            "ref:7",
        ),
        *(
            "REF:asha",
            "w1",
            "W1",
            "w",
            "w007",
            "w\u0967",
            "\uff571",
            "\uff49\uff44\uff1a1",
            "(1)",
            "[/foo]",
            "/main",
            "'",
        ),
        *("\x00asha", "\u202easha", "a" * 201, "\n", "-5"),
    ],
)
def test_what_is_another_way_to_name_somebody_is_no_name(text: str) -> None:
    assert not may_be_name(text)


@pytest.mark.parametrize(
    ("asked", "name", "fits"),
    [
        ("asha", "Asha Rao", True),
        ("ASH", "Asha Rao", True),
        ("rao", "Asha Rao", True),
        ("asha  rao", "Asha Rao", True),
        ("asha r", "Asha Rao", True),
        ("ra", "Asha Rao", False),
        ("sha", "Asha Rao", False),
        ("brien", "Conan O'Brien", True),
        ("marie", "Anne-Marie", True),
        ("strasse", "Straße", True),
        ("björn", "Bjo\u0308rn", True),
        ("bjorn", "Björn", False),
        ("आशा", "आशा राव", True),
        ("राव", "आशा राव", True),
        ("علیرضا", "علی\u200cرضا", True),
        ("علی\u200cرضا", "علیرضا", True),
        ("ශ්රී", "ශ්\u200dරී", True),
        ("asha", "", False),
        ("x", "\n", False),
        ("asha", "Asha\x1b[31m", True),
    ],
)
def test_a_name_fits_from_its_beginning_and_by_whole_words(asked: str, name: str, fits: bool) -> None:
    assert naming(asked)(name) is fits


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u3000\u00a0"])
def test_a_name_of_blanks_is_taken_only_where_it_was_before(text: str) -> None:
    with pytest.raises(InvalidInput, match="the name is blank"):
        check_name(text)
    assert check_stored_name(text) == text
