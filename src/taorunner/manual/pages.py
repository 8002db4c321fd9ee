"""Where the pages of the manual are, and which topic is meant by a word.

An installed taorunner has them in ``pages`` beside this module (``pyproject.toml`` puts ``docs/`` there); a checkout in
``docs/`` itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from taorunner.errors import UnknownNameError
from taorunner.text import did_you_mean
from taorunner.values.value import Value

_HERE = Path(__file__).resolve().parent
_COMMENT = "<!--"


class Page(Value):
    """``topic`` is its path without the ending: ``sweeps``, ``reference/commands``."""

    topic: str
    path: Path

    def text(self) -> str:
        """The Markdown without comments, which are for those who edit or test the page."""
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith(_COMMENT))

    def title(self) -> str:
        """The first heading."""
        with self.path.open(encoding="utf-8") as file:
            return next((line[2:].strip() for line in file if line.startswith("# ")), self.topic)


def folder() -> Path:
    """The folder of the pages."""
    installed = _HERE / "pages"
    return installed if installed.is_dir() else _HERE.parents[2] / "docs"


def pages() -> tuple[Page, ...]:
    """Every page, by topic; those of single networks at the end."""
    root = folder()
    found = (Page(path.relative_to(root).with_suffix("").as_posix(), path) for path in root.rglob("*.md"))
    return tuple(sorted(found, key=lambda page: (page.topic.startswith("reference/networks/"), page.topic)))


def page_of(word: str, known: Iterable[Page]) -> Page:
    """The page of a topic, or of its last word: ``commands`` for ``reference/commands``; the first such.

    Raises UnknownNameError with the nearest topic.
    """
    word = word.removesuffix(".md").strip("/").lower()
    every = tuple(known)
    for page in every:
        if page.topic.lower() == word:
            return page
    for page in every:
        if page.topic.rpartition("/")[2].lower() == word:
            return page
    names = [name for page in every for name in {page.topic, page.topic.rpartition("/")[2]}]
    raise UnknownNameError(
        f'no page "{word}"', hint=did_you_mean(word, sorted(names)) or "taorunner docs: lists all pages"
    )
