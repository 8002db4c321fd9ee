"""Whoever follows a tutorial word by word reaches its end and sees what it shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from followed_page import Block, Follower, blocks, matches
from people import Cli
from sample_data import make_samples

from taorunner.cli.fast.words import DEFAULTS, GROUPS, TABLE

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(
    [
        *DOCS.glob("start/*.md"),
        *DOCS.glob("how-to/*.md"),
        DOCS / "index.md",
        DOCS / "scripts.md",
        DOCS / "faq.md",
    ]
)
FOLLOWED = [
    page for page in PAGES if any(one.language == "sh" and not one.is_passed_over for one in blocks(page))
]


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    make_samples(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.stem)
def test_a_page_can_be_followed(page: Path, cli: Cli, samples: Path, tmp_path: Path) -> None:
    for dataset in samples.iterdir():
        (tmp_path / dataset.name).symlink_to(dataset)
    assert Follower(cli, tmp_path).follow(page) > 0


def test_most_tutorials_are_followed() -> None:
    assert len([page for page in FOLLOWED if page.parent.name == "start"]) >= 8


def problem(block: Block) -> list[str]:
    """Commands and options of a block that do not exist."""
    found = []
    for line in block.text.splitlines():
        words = line.partition(" -- ")[0].split()
        if not words or words[0] != "taorunner" or words[1:] == ["--version"]:
            continue
        words = words[3:] if words[1] == "-p" else words[1:]
        name = " ".join(words[:2]) if " ".join(words[:2]) in TABLE else words[0]
        name = DEFAULTS.get(name, name) if name in GROUPS else name
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        if name not in TABLE or options - {*TABLE[name].options, "--help"}:
            found.append(line)
    return found


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_every_command_of_a_page_exists(page: Path) -> None:
    assert [line for block in blocks(page) if block.language == "sh" for line in problem(block)] == []


def test_a_command_that_does_not_exist_is_noticed() -> None:
    lines = "taorunner train a --epochs 3\ntaorunner trian a\ntaorunner train a --epohcs 3\n"
    assert problem(Block("", "sh", "", lines)) == lines.splitlines()[1:]


@pytest.mark.parametrize(
    ("shown", "printed", "is_it"),
    [
        ("a\n…\nc\n", "a\nb\nb\nc\n", True), ("a\n…\nc\n", "a\nc\n", True), ("a\n…\nc\n", "a\nb\n", False),
        ("a … c\n", "a b c\n", True), ("a … c\n", "a b d\n", False), ("a\n", "a\nb\n", False),
    ],
)  # fmt: skip
def test_dots_stand_for_anything(shown: str, printed: str, is_it: bool) -> None:
    assert matches(shown, printed) is is_it
