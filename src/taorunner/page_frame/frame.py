"""The frame of every HTML file that is written: one file without script that asks no other address, in light and dark.

All text of a page is escaped and has no control characters: names of runs, classes and files are the data of others.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.text import printable

if TYPE_CHECKING:
    from typing import TypeAlias

    from jinja2 import Environment
    from markupsafe import Markup

    Html: TypeAlias = Markup
    """Text that is HTML already: it is not escaped again."""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may do for the page: show what is in the file."""
_TEMPLATES = Path(__file__).parent


def page(title: str, body: str, style: str, generator: str = "taorunner") -> str:
    """The whole file. ``body`` is HTML, ``style`` comes after that of the frame. ``generator`` is named in the head."""
    template = environment(_TEMPLATES).get_template("frame.html")
    return template.render(
        title=title, body=as_html(body), style=as_html(_style() + style), policy=POLICY, generator=generator
    )


def environment(folder: Path) -> Environment:
    """Reads the templates of a folder; what they are given is escaped, but for the results of ``as_html``."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_harmless,
    )  # fmt: skip


def as_html(text: str) -> Html:
    """Text that is HTML already."""
    from markupsafe import Markup

    return Markup(text)


def text(value: str) -> str:
    """Text as HTML, also within an attribute."""
    return escape(printable(value))


def _harmless(value: object) -> object:
    return printable(value) if value.__class__ is str else value


def _style() -> str:
    return (_TEMPLATES / "frame.css").read_text("utf-8")
