"""Shows the log of a build line by line, cleaned of control characters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from rich.text import Text

from taorunner.console.base.formatting import clean
from taorunner.console.base.theme import make_console
from taorunner.text import redact


class LogView:
    """Highlights build steps."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        self._console = make_console(stream, environ)
        self._hidden: list[str] = []

    def hide(self, secret: str) -> None:
        """Masks this text in all later lines."""
        self._hidden.append(secret)

    def tells(self, line: str) -> None:
        style = "title" if line.startswith("Step ") else ""
        self._console.print(Text(clean(redact(line, self._hidden)), style=style), soft_wrap=True)
