"""The docs as a site: each page has one place in it, each link leads somewhere, and it asks nothing of another host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CONFIG = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
PAGES = sorted(DOCS.glob("*.md"))
TEXTS = [*sorted(ROOT.glob("*.md")), *PAGES, *sorted((ROOT / "tests").rglob("*.md")), ROOT / "bench" / "README.md"]
LINK = re.compile(r"!?\[[^\]\[]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^( *)(```|~~~).*?^\1\2$", re.MULTILINE | re.DOTALL)
"""What stands in a fence is shown, and is no link or heading."""


def pages_of(nav: list[Any]) -> Iterator[str]:
    """The pages that a nav names, in its order."""
    for each in nav:
        if isinstance(each, dict):
            for below in each.values():
                yield from pages_of(below if isinstance(below, list) else [below])
        else:
            yield each


def anchor(heading: str) -> str:
    """The anchor that a site of repositories makes of a heading."""
    words = LINK.sub(lambda link: link[0].partition("]")[0].lstrip("!["), heading)
    return re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    text = BLOCK.sub("", page.read_text("utf-8"))
    found: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        name = anchor(heading)
        found.append(f"{name}-{again}" if (again := sum(name == each for each in found)) else name)
    return frozenset([*found, *re.findall(r'<a (?:id|name)="([^"]+)"', text)])


def dead_links(page: Path, text: str, *, within: Path = ROOT) -> list[str]:
    """The links of a page to no file, to a file outside of a folder, or to no heading."""
    dead = []
    for link in LINK.findall(BLOCK.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, name = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        known = target.exists() and target.is_relative_to(within)
        if not known or (name and (target.suffix != ".md" or name not in anchors(target))):
            dead.append(link)
    return dead


def test_each_page_has_one_place() -> None:
    assert sorted(pages_of(CONFIG["nav"])) == [page.name for page in PAGES]


def test_the_site_has_four_parts() -> None:
    assert [*map(list, CONFIG["nav"])] == [["wallet"], ["Tutorial"], ["How-tos"], ["Reference"], ["Explanation"]]


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_somewhere(page: Path) -> None:
    within = DOCS if page.parent == DOCS else ROOT
    assert dead_links(page, page.read_text("utf-8"), within=within) == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    text = "[](errors.md#a-clock-that-is-wrong) [](none.md) [](errors.md#none) [](#none) [](../README.md)"
    assert dead_links(DOCS / "scripts.md", text, within=DOCS) == ["none.md", "errors.md#none", "#none", "../README.md"]
    assert dead_links(DOCS / "scripts.md", "```\n[b](none.md)\n```\n") == []


class Asked(HTMLParser):
    """What a page has its reader's browser fetch by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") not in ("next", "prev", "canonical"):
            self.urls.append(given.get("href") or "")
        elif tag != "link" and "src" in given:
            self.urls.append(given["src"] or "")


def elsewhere(html: str) -> list[str]:
    asked = Asked()
    asked.feed(html)
    return [url for url in asked.urls if re.match(r"(https?:)?//", url)]


@pytest.mark.skipif(find_spec("zensical") is None, reason="zensical is not installed: the extra `docs`")
def test_the_site_is_built_with_no_warning_and_works_offline(tmp_path: Path) -> None:
    """In a copy, so that runs at the same time do not write the same files."""
    for name in ("docs", "scripts/docs_theme"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stdout + done.stderr
    site = tmp_path / "site"
    for page in PAGES:
        html = site / page.with_suffix(".html").name
        assert elsewhere(html.read_text("utf-8")) == []
        assert f'"{html.name}"' in (site / "search.js").read_text("utf-8")  # found by a search, with no server too


def test_what_is_asked_of_another_host_is_found() -> None:
    html = '<link rel="stylesheet" href="//a.example/x.css"><script src="https://b.example/x.js"></script>'
    assert elsewhere(f'{html}<a href="https://c.example">') == ["//a.example/x.css", "https://b.example/x.js"]
    assert elsewhere('<link rel="icon" href="./x.png"><img src="x.svg">') == []
