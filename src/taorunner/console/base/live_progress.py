"""LiveProgress: what the views of downloads and of image pulls share: a drawing on a terminal, lines elsewhere."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import TextIO, TypeVar

from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from taorunner.console.base.formatting import clean
from taorunner.console.base.theme import can_draw, make_console, symbols_of

View = TypeVar("View", bound="LiveProgress")


class LiveProgress(ABC):
    """Draws while it is entered. ``quiet`` shows nothing; ``plain`` never draws; ``transient`` erases the drawing."""

    def __init__(
        self, stream: TextIO, environ: Mapping[str, str], *, plain: bool, quiet: bool, transient: bool
    ) -> None:
        self._console = make_console(stream, environ)
        self._symbols = symbols_of(self._console)
        self._quiet = quiet
        self._lock = threading.Lock()
        draws = not plain and not quiet and can_draw(self._console)
        self._live = (
            Live(
                get_renderable=self.drawing, console=self._console, refresh_per_second=8, transient=transient
            )
            if draws
            else None
        )

    def __enter__(self: View) -> View:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @abstractmethod
    def drawing(self) -> RenderableType:
        """What is drawn now."""

    def tells(self, text: str) -> None:
        """Prints a line above the drawing."""
        self._print(Text(clean(text)))

    def _print(self, text: Text) -> None:
        if not self._quiet:
            self._console.print(text, soft_wrap=True)
