"""The live view of a batch: its layout, and the screen that it is drawn on.

``LiveView`` chooses what fits: panels with bars, metrics, GPUs and log lines, or two lines, or one line per run. It
never uses more lines than the terminal has. Closing it changes no run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType

from rich.console import Console, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from taorunner.console.base.cells import labels
from taorunner.console.base.formatting import clean
from taorunner.console.base.theme import symbols_of
from taorunner.console.runs import run_panel
from taorunner.console.runs.run_panel import PANEL_MIN, GpuReading, RunView
from taorunner.events import RunState
from taorunner.runs.state.snapshot import RunSnapshot

PANEL_WIDTH_MIN = 78
"""Panels are placed side by side when each gets this many columns."""
_PANEL_WIDTH_LEAST = 40
_HINT = "Ctrl-C: stop or detach"
_LIST_SHARE = 4
"""Ended and queued runs always get one of this many lines."""
_COMFORTABLE = 9
"""Lines of a panel with bars, metrics, one GPU and some log lines."""

_NOT_STARTED = (RunState.QUEUED, RunState.WAITING)


class LiveView:
    """The layout for one terminal. ``now`` gives aware UTC times."""

    def __init__(self, console: Console, now: Callable[[], datetime]) -> None:
        self._console = console
        self._now = now
        self._symbols = symbols_of(console)

    def render(
        self,
        snapshots: Sequence[RunSnapshot],
        tails: Mapping[str, Sequence[str]],
        gpus: Mapping[str, GpuReading],
    ) -> RenderableType:
        """``tails`` are the last log lines by run id, ``gpus`` readings by host id. Finished runs come first,
        then running ones, then the queue; each in the order given."""
        width, height = self._console.size
        return _drawing(self.lines(snapshots, tails, gpus, width, height - 1))

    def lines(
        self,
        snapshots: Sequence[RunSnapshot],
        tails: Mapping[str, Sequence[str]],
        gpus: Mapping[str, GpuReading],
        width: int,
        height: int,
    ) -> list[Text]:
        """At most ``height`` lines of at most ``width`` cells."""
        now, names = self._now(), labels(snapshots)
        views = [
            RunView(run, names[run.id], tails.get(run.id, ()), gpus, now, self._symbols) for run in snapshots
        ]
        finished = [view for view in views if view.run.state.is_final]
        queued = [view for view in views if view.run.state in _NOT_STARTED]
        running = [view for view in views if view not in finished and view not in queued]
        name_width = min(max((Text(name).cell_len for name in names.values()), default=0), max(8, width // 3))

        room = max(0, height - 1)
        columns = max(1, min(len(running), width // PANEL_WIDTH_MIN))
        done_room, queue_room = _list_rooms(room, len(finished), len(queued), len(running), columns)
        body = [
            *_listed(finished, done_room, "finished", lambda v: run_panel.finished_row(v, width, name_width)),
            *_running(running, room - done_room - queue_room, width, columns, name_width),
            *_listed(queued, queue_room, "queued", lambda v: run_panel.queued_row(v, width, name_width)),
        ]
        lines = [self._header(views, width), *body][: max(1, height)]
        for line in lines:
            line.truncate(width)
        return lines

    def _header(self, views: Sequence[RunView], width: int) -> Text:
        counts = {
            "running": sum(not v.run.state.is_final and v.run.state not in _NOT_STARTED for v in views),
            "queued": sum(v.run.state is RunState.QUEUED for v in views),
            "waiting": sum(v.run.state is RunState.WAITING for v in views),
            "finished": sum(v.run.state.is_final for v in views),
        }
        said = f" {self._symbols.dot} ".join(f"{count} {word}" for word, count in counts.items() if count)
        line = Text(said or "nothing to do")
        gap = width - line.cell_len - len(_HINT)
        if gap >= 2:
            line.append(" " * gap).append(_HINT, style="quiet")
        line.truncate(width)
        return line


class LiveScreen:
    """Draws a ``LiveView`` several times a second, from a thread, until the block is left.

    The last frame stays on the terminal unless it is cleared. The cursor is always restored.
    """

    def __init__(self, console: Console, view: LiveView, refresh_per_s: float = 5) -> None:
        self._console, self._view = console, view
        self._refresh_per_s = refresh_per_s
        self._inputs: tuple[
            Sequence[RunSnapshot], Mapping[str, Sequence[str]], Mapping[str, GpuReading]
        ] = ((), {}, {})  # fmt: skip
        self._live: Live | None = None
        self._size = console.size

    def __enter__(self) -> LiveScreen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def show(
        self,
        snapshots: Sequence[RunSnapshot],
        tails: Mapping[str, Sequence[str]],
        gpus: Mapping[str, GpuReading],
    ) -> None:
        """Sets what is drawn next. Cheap: call it at every change."""
        self._inputs = (tuple(snapshots), dict(tails), dict(gpus))
        if self._live is None:
            self._live = Live(
                get_renderable=self._draw,
                console=self._console,
                refresh_per_second=self._refresh_per_s,
                transient=False,
                vertical_overflow="crop",
            )
            self._live.start(refresh=True)

    def clear(self) -> None:
        """Erases the frame."""
        if self._live is not None:
            self._erase(self._stop())

    def prompt(self, question: str, choices: Mapping[str, str], *, default: str, interrupt: str) -> str:
        """Asks below the last frame; the next ``show`` replaces both.

        ``choices`` maps an answer to its effect; the first letters of an answer are enough. An empty line or the end of
        the input gives ``default``, KeyboardInterrupt (a second Ctrl-C) gives ``interrupt``. Blocks.
        """
        height = self._stop()
        width = self._console.width
        wide = max(map(len, choices))
        asked = [Text(question, style="title")]
        for answer, effect in choices.items():
            marks = [" (Enter)"] * (answer == default) + [" (Ctrl-C again does this)"] * (answer == interrupt)
            words = (f"{answer[0]}  {answer:<{wide}}", "hint"), f"  {effect}", ("".join(marks), "quiet")
            asked.append(Text.assemble("  ", *words))
        while True:
            for line in asked:
                self._console.print(line)
            height += sum(len(line.wrap(self._console, width)) for line in asked) + 1
            try:
                said = self._console.input(Text("> ")).strip().lower()
            except (EOFError, KeyboardInterrupt) as ending:
                self._console.line()
                return default if isinstance(ending, EOFError) else interrupt
            matching = [answer for answer in choices if answer.lower().startswith(said)]
            if not said or len(matching) == 1:
                self._erase(height)
                return matching[0] if said else default
            asked = [Text(f'"{clean(said)}" is none of these: {", ".join(choices)}')]

    def _draw(self) -> RenderableType:
        if self._console.size != self._size:  # the terminal wrapped the old lines again: start on a clean one
            self._size = self._console.size
            self._console.control(Control.clear(), Control.home())
        try:
            return self._view.render(*self._inputs)
        except Exception as error:  # a view must not end a training
            return Text(f"the view cannot be drawn: {type(error).__name__}: {error}")

    def _stop(self) -> int:
        """Ends drawing; returns the number of lines left on the terminal."""
        if self._live is None:
            return 0
        live, self._live = self._live, None
        live.stop()
        return len(self._console.render_lines(self._draw()))

    def _erase(self, height: int) -> None:
        up = min(height, self._console.height)
        codes = [(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)] * up
        self._console.control(Control(*codes, ControlType.CARRIAGE_RETURN))


def _drawing(lines: Sequence[Text]) -> RenderableType:
    drawing = Text("\n", no_wrap=True, overflow="crop").join(lines)
    drawing.no_wrap, drawing.overflow = True, "crop"
    return drawing


def _list_rooms(room: int, finished: int, queued: int, running: int, columns: int) -> tuple[int, int]:
    """Lines for ended and queued runs: what full panels leave over, or their minimum share."""
    available = room
    if running:
        comfortable = -(-running // columns) * _COMFORTABLE
        least = max(2, room // _LIST_SHARE)
        available = max(room - comfortable, min(least, room - running), 0)
    done_room = min(finished, max(available - queued, available // 2))
    return done_room, min(queued, available - done_room)


def _running(views: Sequence[RunView], room: int, width: int, columns: int, name_width: int) -> list[Text]:
    """Panels when each gets its minimum; else two lines per run; else one."""
    if not views or room <= 0:
        return []
    grid = [views[i : i + columns] for i in range(0, len(views), columns)]
    each = room // len(grid)
    if each >= PANEL_MIN + 1 and width >= _PANEL_WIDTH_LEAST:
        wanted = [max(run_panel.panel_height(view) for view in members) for members in grid]
        heights = _shared_out(room, wanted)
        return [
            line
            for members, height in zip(grid, heights, strict=True)
            for line in _side_by_side(members, width, columns, height)
        ]
    if room >= 2 * len(views):
        return [line for view in views for line in run_panel.pair(view, width, name_width)]
    return _listed(views, room, "running", lambda view: run_panel.row(view, width, name_width))


def _shared_out(room: int, wanted: Sequence[int]) -> list[int]:
    """Gives each what it wants, up to the highest common limit that fits into ``room``."""
    limit = PANEL_MIN
    while limit < max(wanted) and sum(min(limit + 1, height) for height in wanted) <= room:
        limit += 1
    return [max(PANEL_MIN, min(limit, height)) for height in wanted]


def _side_by_side(views: Sequence[RunView], width: int, columns: int, height: int) -> list[Text]:
    panel_width = (width - (columns - 1)) // columns
    panels = [run_panel.panel(view, panel_width, height) for view in views]
    return [Text(" ").join(parts) for parts in zip(*panels, strict=True)]


def _listed(views: Sequence[RunView], room: int, word: str, draw: Callable[[RunView], Text]) -> list[Text]:
    """One line per run. When there are more than ``room``, the last line counts the others."""
    if room <= 0 or not views:
        return []
    if len(views) <= room:
        return [draw(view) for view in views]
    if word == "finished":  # show the newest
        rest = views[: len(views) - room + 1]
        return [_and_more(rest, word, len(views)), *(draw(view) for view in views[len(rest) :])]
    return [*(draw(view) for view in views[: room - 1]), _and_more(views[room - 1 :], word, len(views))]


def _and_more(views: Sequence[RunView], word: str, total: int) -> Text:
    symbols = views[0].symbols
    failed = sum(view.run.state in (RunState.FAILED, RunState.LOST) for view in views)
    more = " more" if len(views) < total else ""
    text = Text(f"{symbols.ellipsis} {len(views)}{more} {word}", style="quiet")
    if failed:
        text.append(f", {failed} failed", style="state.failed")
    return text
