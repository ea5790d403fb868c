"""docs/pictures shows what the program prints, and a picture that shows something else is found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.on_file("the sessions in the pictures are told of a file")

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"


def test_no_picture_is_stale() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "pictures.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_each_picture_is_in_a_page() -> None:
    texts = [page.read_text("utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]]
    shown = {name for text in texts for name in re.findall(r"pictures/([\w-]+\.svg)", text)}
    assert shown == {each.name for each in PICTURES.iterdir()}


@pytest.mark.parametrize("picture", sorted(PICTURES.iterdir()), ids=lambda picture: picture.name)
def test_a_picture_asks_nothing_of_elsewhere(picture: Path) -> None:
    urls = re.findall(r"[a-z]+://[^\"\s<]+", picture.read_text("utf-8"))
    assert urls[:1] == ["http://www.w3.org/2000/svg"]  # the name of the format, which is never fetched
    assert re.findall(r"(?:href|src|url|@import|<script)", picture.read_text("utf-8")) == []
