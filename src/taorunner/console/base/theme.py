"""Consoles, styles, and symbols with ASCII replacements.

Colour is used only on a terminal; ``NO_COLOR``, ``FORCE_COLOR`` and ``TERM=dumb`` are respected. The colours are the
sixteen of the user's palette, readable on light and dark terminals.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

from taorunner.errors import Severity
from taorunner.events import RunState
from taorunner.values.value import Value

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from typing import TextIO

    from rich.console import Console

LEAST_WIDTH = 40
_UNLIMITED = 100_000
PIPE_WIDTH = 200
"""The width in files and pipes: they get every column of a table."""

_STYLES = {
    "label": "dim",
    "quiet": "dim",
    "name": "bold",
    "title": "bold",
    "chosen": "bold reverse",
    "border": "dim",
    "hint": "cyan",
    "place": "bold",
    "bar.done": "cyan",
    "bar.rest": "dim",
    "best": "green",
    "state.queued": "dim",
    "state.waiting": "dim",
    "state.starting": "cyan",
    "state.running": "cyan",
    "state.succeeded": "green",
    "state.failed": "bold red",
    "state.stopped": "yellow",
    "state.lost": "yellow",
    "state.damaged": "yellow",
    "severity.error": "bold red",
    "severity.warning": "yellow",
    "severity.info": "cyan",
    "severity.ok": "green",
}


class Symbols(Value):
    """Symbols of one cell, except the ASCII ellipsis. ``corners`` go clockwise from the top left."""

    ellipsis: str
    dot: str
    bar_done: str
    bar_half: str
    bar_rest: str
    corners: str
    edge: str
    side: str
    states: Mapping[RunState, str]
    severities: Mapping[Severity, str]

    @property
    def is_unicode(self) -> bool:
        """Whether the encoding has more than ASCII."""
        return self.ellipsis == "…"

    @property
    def unlike(self) -> str:
        return "≠" if self.is_unicode else "!="

    def better(self, lower: bool | None) -> str:
        """An arrow to where a metric gets better; empty where that is not known."""
        if lower is None:
            return ""
        up, down = ("↑", "↓") if self.is_unicode else ("^", "v")
        return down if lower else up

    def shown(self, text: str) -> str:
        """``text`` with a ``?`` for each character that the encoding lacks, so that widths do not change."""
        return text if self.is_unicode else text.encode("ascii", "replace").decode("ascii")


UNICODE = Symbols(
    ellipsis="…",
    dot="·",
    bar_done="━",
    bar_half="╸",
    bar_rest="─",
    corners="╭╮╯╰",
    edge="─",
    side="│",
    states={
        RunState.QUEUED: "○",
        RunState.WAITING: "○",
        RunState.STARTING: "◌",
        RunState.RUNNING: "●",
        RunState.SUCCEEDED: "✓",
        RunState.FAILED: "✗",
        RunState.STOPPED: "■",
        RunState.LOST: "?",
        RunState.DAMAGED: "!",
    },
    severities={Severity.ERROR: "✗", Severity.WARNING: "!", Severity.INFO: "·", Severity.OK: "✓"},
)
ASCII = Symbols(
    ellipsis="..",
    dot="-",
    bar_done="=",
    bar_half=">",
    bar_rest="-",
    corners="++++",
    edge="-",
    side="|",
    states={
        RunState.QUEUED: ".",
        RunState.WAITING: ".",
        RunState.STARTING: "o",
        RunState.RUNNING: "*",
        RunState.SUCCEEDED: "+",
        RunState.FAILED: "x",
        RunState.STOPPED: "#",
        RunState.LOST: "?",
        RunState.DAMAGED: "!",
    },
    severities={Severity.ERROR: "x", Severity.WARNING: "!", Severity.INFO: "-", Severity.OK: "+"},
)


def make_console(stream: TextIO, environ: Mapping[str, str]) -> Console:
    """A console on ``stream`` without markup, emoji codes or highlighting.

    A character that the stream's encoding lacks becomes ``?`` instead of a UnicodeEncodeError.
    """
    from rich.console import Console  # here, because a table in a pipe does not need rich
    from rich.theme import Theme

    lenient(stream)
    return Console(
        file=stream,
        theme=Theme(_STYLES),
        width=None if _is_terminal(stream) else columns_without_terminal(environ),
        markup=False,
        emoji=False,
        highlight=False,
        _environ=dict(environ),
    )


def lenient(stream: TextIO) -> TextIO:
    """Makes the stream replace characters that its encoding lacks by ``?``."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream


def is_plain(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """True when a console would print plain text only: a pipe, without FORCE_COLOR."""
    forced = environ.get("FORCE_COLOR") or environ.get("TTY_COMPATIBLE")
    return not forced and not _is_terminal(stream)


def can_draw(console: Console) -> bool:
    """True when lines can be redrawn in place: a terminal that can move its cursor."""
    return _is_terminal(console.file) and not console.is_dumb_terminal


def symbols_of(console: Console) -> Symbols:
    return symbols_for(console.encoding)


def symbols_for(encoding: str | None) -> Symbols:
    return UNICODE if (encoding or "utf-8").lower().startswith("utf") else ASCII


def state_style(state: RunState) -> str:
    return f"state.{state.value.lower()}"


def _is_terminal(stream: object) -> bool:
    isatty = getattr(stream, "isatty", None)
    try:
        return bool(isatty and isatty())
    except ValueError:  # a closed stream
        return False


def width_in_pipes(environ: Mapping[str, str]) -> int:
    """COLUMNS where it is set; else a file or a pipe gets every column and every name of a table whole."""
    return columns_without_terminal(environ) if environ.get("COLUMNS") else _UNLIMITED


def columns_without_terminal(environ: Mapping[str, str]) -> int:
    text = environ.get("COLUMNS", "")
    return int(text) if text.isdecimal() and 0 < int(text) < 10_000 else PIPE_WIDTH
