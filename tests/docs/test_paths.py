"""Every module and file that the documentation names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "taorunner"
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
ROOMS = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
TOP = {"src", "tests", "tools", "docs", "examples", "benchmarks", ".ci"}
MADE_BY_THE_READER = re.compile(r"NAME|EXPERIMENT|corner_csv|[$<>…]")
QUOTED = re.compile(r"`([\w./*-]+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


def named(page: Path) -> list[str]:
    """Paths in backquotes: below a room of the package or a folder of the repository."""
    words = QUOTED.findall(page.read_text(encoding="utf-8"))
    paths = (word.rstrip("/") for word in words if "/" in word)
    return [path for path in paths if path.split("/")[0] in ROOMS | TOP]


def exists(path: str) -> bool:
    if path.split("/")[0] in TOP and any(ROOT.glob(path)):
        return True
    return any(any(PACKAGE.glob(name)) for name in (path, f"{path}.py", f"{path}.yml"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    others = [path for path in named(page) if not MADE_BY_THE_READER.search(path)]
    missing = [path for path in others if not exists(path)]
    assert missing == [], f"{page.name} names what does not exist: correct the page"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_table_of_modules_is_read() -> None:
    assert len(named(ROOT / "docs" / "architecture.md")) > 100
