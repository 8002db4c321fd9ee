"""The live view of several runs: which of them are drawn as panels, in two lines, in one line, or only counted.

It never uses more lines than the terminal has. A running run always shows its GPUs; what does not fit is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from rich.text import Text

from taorunner.console.base.cells import labels
from taorunner.console.base.theme import Symbols
from taorunner.console.live.run_view import GpuReading, RunNotes, RunView
from taorunner.console.runs import run_panel, run_rows
from taorunner.events import RunState
from taorunner.runs.state.snapshot import RunSnapshot

PANEL_WIDTH_MIN = 78
"""Runs are drawn side by side when each gets this many columns."""
ROW_WIDTH_MIN = 100
"""From this width on one line has room for position and GPUs."""
HINT = "Ctrl-C: stop or detach"
KEYS = ("q detach", "s stop", "{arrows} choose", "Enter one run", "l log")
_PANEL_WIDTH_LEAST = 40
_FEW = 3
"""Lines that a list of ended or queued runs keeps when running ones need the room; the last one counts the rest."""
_COMFORTABLE = 9
"""Lines of a panel with bars, two metrics, one GPU and some log lines."""
_FOOTER_FROM = 16
"""Terminals of fewer lines have none for the keys."""

_NOT_STARTED = (RunState.QUEUED, RunState.WAITING)
_COUNTED = (
    RunState.RUNNING, RunState.STARTING, RunState.QUEUED, RunState.WAITING, RunState.SUCCEEDED, RunState.FAILED,
    RunState.STOPPED, RunState.LOST,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn. ``tails`` are the last log lines and ``notes`` further facts by run id, ``gpus`` readings by host
    id. ``selected`` is the chosen run. ``has_keys``: keys can be pressed."""

    snapshots: Sequence[RunSnapshot]
    tails: Mapping[str, Sequence[str]]
    gpus: Mapping[str, GpuReading]
    notes: Mapping[str, RunNotes] = field(default_factory=dict)
    engine_silent_since: datetime | None = None
    stopping: str = ""
    selected: str | None = None
    has_keys: bool = False


class LiveView:
    """The layout for one terminal. ``now`` gives aware UTC times; ``zone`` is that of the times shown."""

    def __init__(self, symbols: Symbols, now: Callable[[], datetime], zone: tzinfo | None = None) -> None:
        self._symbols, self._now, self._zone = symbols, now, zone

    def lines(self, picture: Picture, width: int, height: int) -> list[Text]:
        """At most ``height`` lines of at most ``width`` cells: ended runs, running ones, then the queue."""
        width, height = max(1, width), max(1, height)
        views = views_of(picture, self._now(), self._symbols)
        has_footer = picture.has_keys and height >= _FOOTER_FROM and _least_lines(views, width) <= height - 2
        body, is_whole = _Layout(views, width, height - 1 - has_footer, self._symbols).lines()
        if has_footer and not is_whole:  # a run is worth more than the keys
            has_footer = False
            body, _ = _Layout(views, width, height - 1, self._symbols).lines()
        lines = [self.header(picture, width), *body]
        if has_footer:
            lines.append(keys_line(KEYS, width, self._symbols))
        lines = lines[:height]
        for line in lines:
            line.truncate(width)
        return lines

    def order(self, picture: Picture) -> list[str]:
        """The ids of all runs as they are listed, from top to bottom."""
        views = views_of(picture, self._now(), self._symbols)
        return [view.run.id for group in _groups(views) for view in group]

    def header(self, picture: Picture, width: int) -> Text:
        """How many runs are in which state, and how to leave; in yellow while an engine does not answer."""
        states = [run.state for run in picture.snapshots]
        dot = f" {self._symbols.dot} "
        counts = dot.join(f"{states.count(one)} {one.value.lower()}" for one in _COUNTED if one in states)
        while len(counts) > width and dot in counts:
            counts = counts.rpartition(dot)[0]
        line = Text(counts or "nothing to do")
        if picture.engine_silent_since is not None:
            since = picture.engine_silent_since.astimezone(self._zone)
            said = f"engine does not answer since {since:%H:%M}; runs go on, last state shown"
            line = Text(said if len(counts) + len(dot) + len(said) > width else counts + dot + said)
            line.stylize("severity.warning")
        elif picture.stopping:
            line = Text(picture.stopping, style="severity.warning")
        gap = width - line.cell_len - len(HINT)
        if gap >= 2 and not picture.stopping:
            line.append(" " * gap).append(HINT, style="quiet")
        line.truncate(width)
        return line


def views_of(picture: Picture, now: datetime, symbols: Symbols) -> list[RunView]:
    """One view per run, in the order given."""
    names = labels(picture.snapshots)
    return [
        RunView(
            run, names[run.id], picture.tails.get(run.id, ()), picture.gpus, now, symbols,
            picture.notes.get(run.id, RunNotes()), run.id == picture.selected,
        )
        for run in picture.snapshots
    ]  # fmt: skip


def keys_line(keys: Sequence[str], width: int, symbols: Symbols) -> Text:
    """The keys that can be pressed, as many as fit."""
    arrows = "↑↓" if symbols.dot == "·" else "up/down"
    shown = [key.format(arrows=arrows) for key in keys]
    while len("   ".join(shown)) > width and len(shown) > 1:
        shown.pop()
    return Text("   ".join(shown), style="quiet")


def _least_lines(views: Sequence[RunView], width: int) -> int:
    """The lines with which every run can be shown at 80 columns."""
    ended, running, queued = _groups(views)
    return (
        min(len(ended), _FEW)
        + min(len(queued), _FEW)
        + 2 * -(-len(running) // max(1, width // PANEL_WIDTH_MIN))
    )


def _groups(views: Sequence[RunView]) -> tuple[list[RunView], list[RunView], list[RunView]]:
    """Ended, running and queued runs."""
    ended = [view for view in views if view.run.state.is_final]
    queued = [view for view in views if view.run.state in _NOT_STARTED]
    running = [view for view in views if not view.run.state.is_final and view.run.state not in _NOT_STARTED]
    return ended, running, queued


class _Layout:
    """One distribution of ``room`` lines among ended, running and queued runs."""

    def __init__(self, views: Sequence[RunView], width: int, room: int, symbols: Symbols) -> None:
        self._ended, self._running, self._queued = _groups(views)
        self._width, self._room, self._symbols = width, max(0, room), symbols
        self._columns = max(1, min(len(self._running), width // PANEL_WIDTH_MIN))
        longest = max((Text(view.label).cell_len for view in views), default=0)
        self._name_width = min(longest, max(8, width // self._columns // 4 if self._running else width // 4))

    def lines(self) -> tuple[list[Text], bool]:
        """The lines, and whether every run has one."""
        few = min(len(self._ended), _FEW), min(len(self._queued), _FEW)
        panels = self._panel_heights(self._room - sum(few))
        if panels:
            room = sum(panels)
            body = self._panels(panels)
        else:
            few = self._list_rooms()
            room = self._room - sum(few)
            body = self._compact(room)
            room = len(body)
        spare = self._room - room - sum(few)
        more = min(len(self._queued) - few[1], spare) if spare > 0 else 0
        few = few[0], few[1] + more
        spare -= more
        few = few[0] + max(0, min(len(self._ended) - few[0], spare)), few[1]
        ended, queued = self._ended_lines(few[0]), self._queued_lines(few[1])
        is_whole = (
            len(self._ended) <= few[0] and len(self._queued) <= few[1] and not self._is_any_running_hidden
        )
        return [*ended, *body, *queued], is_whole

    _is_any_running_hidden = False

    # panels

    def _panel_heights(self, room: int) -> list[int]:
        """The height of each row of panels; empty when not all of them fit with what must be seen."""
        if not self._running or self._width < _PANEL_WIDTH_LEAST:
            return []
        grid = self._grid(self._columns)
        if len(grid) * run_panel.PANEL_LEAST > room:
            return []
        heights = [max(map(run_panel.least_height, members)) for members in grid]
        if sum(heights) > room:
            return []
        wanted = [max(map(run_panel.panel_height, members)) for members in grid]
        _grow(heights, [min(height, _COMFORTABLE) for height in wanted], room)
        listed = len(self._ended) + len(self._queued)
        _grow(heights, wanted, min(room, max(sum(heights), self._room - listed)))
        return heights

    def _panels(self, heights: Sequence[int]) -> list[Text]:
        lines: list[Text] = []
        panel_width = (self._width - (self._columns - 1)) // self._columns
        for members, height in zip(self._grid(self._columns), heights, strict=True):
            panels = [run_panel.panel(view, panel_width, height) for view in members]
            lines += [Text(" ").join(parts) for parts in zip(*panels, strict=True)]
        return lines

    def _grid(self, columns: int) -> list[list[RunView]]:
        return [self._running[i : i + columns] for i in range(0, len(self._running), columns)]

    # without frames

    def _list_rooms(self) -> tuple[int, int]:
        """Lines for ended and queued runs beside running ones in two lines, or with those in fewer."""
        if not self._running:
            queued = min(len(self._queued), max(self._room - len(self._ended), self._room // 2))
            return min(len(self._ended), self._room - queued), queued
        needed = 2 * -(-len(self._running) // self._columns)
        for few in (_FEW, 1):
            ended, queued = min(len(self._ended), few), min(len(self._queued), few)
            if needed + ended + queued <= self._room:
                return ended, queued
        least = 2 if self._room > 2 else 1
        queued = min(len(self._queued), 1, max(0, self._room - least))
        return min(len(self._ended), 1, max(0, self._room - least - queued)), queued

    def _compact(self, room: int) -> list[Text]:
        """Two lines per run; one where only that fits and the width allows it; those left over are counted."""
        if not self._running or room <= 0:
            return []
        each = (self._width - 2 * (self._columns - 1)) // self._columns
        if 2 * len(self._grid(self._columns)) <= room:
            return self._in_columns(
                self._running, each, lambda view: run_rows.pair(view, each, self._name_width)
            )
        columns = max(1, self._width // (ROW_WIDTH_MIN + 2))
        one = (self._width - 2 * (columns - 1)) // columns
        if self._width >= ROW_WIDTH_MIN:
            shown = self._window(
                (room - 1) * columns if len(self._running) > room * columns else room * columns
            )
            metric = max((run_rows.metric_width(view) for view in shown), default=0)
            lines = self._in_columns(
                shown, one, lambda view: [run_rows.row(view, one, self._name_width, metric)], columns
            )
        else:
            shown = self._window(max(0, (room - 1) // 2) * self._columns)
            lines = self._in_columns(shown, each, lambda view: run_rows.pair(view, each, self._name_width))
        hidden = len(self._running) - len(shown)
        if hidden:
            self._is_any_running_hidden = True
            said = f"and {hidden} more running" if shown else f"{hidden} running"
            lines.append(Text(f"{self._symbols.ellipsis} {said}: taorunner ps", style="quiet"))
        return lines

    def _window(self, count: int) -> list[RunView]:
        """``count`` running runs, with the selected one among them."""
        start = _start_of(self._running, count, 0)
        return self._running[start : start + count]

    def _in_columns(
        self, views: Sequence[RunView], width: int, draw: Callable[[RunView], list[Text]], columns: int = 0
    ) -> list[Text]:
        columns = columns or self._columns
        lines: list[Text] = []
        for i in range(0, len(views), columns):
            drawn = [draw(view) for view in views[i : i + columns]]
            for parts in zip(*drawn, strict=True):
                for part in parts[:-1]:
                    part.pad_right(max(0, width - part.cell_len))
                lines.append(Text("  ").join(parts))
        return lines

    # lists

    def _ended_lines(self, room: int) -> list[Text]:
        """The newest ended runs, or those around the selected one, after a line that counts the others."""
        if room <= 0 or not self._ended:
            return []
        count = len(self._ended) if len(self._ended) <= room else room - 1
        start = _start_of(self._ended, count, len(self._ended) - count)
        shown = self._ended[start : start + count]
        lines = [run_rows.ended_row(view, self._width, self._name_width) for view in shown]
        rest = [*self._ended[:start], *self._ended[start + count :]]
        if rest:
            failed = sum(view.run.state in (RunState.FAILED, RunState.LOST) for view in rest)
            text = Text(
                f"{self._symbols.ellipsis} {len(rest)}{' more' if shown else ''} ended", style="quiet"
            )
            if failed:
                text.append(f", {failed} failed", style="state.failed")
            lines.insert(0, text)
        return lines

    def _queued_lines(self, room: int) -> list[Text]:
        """The head of the queue, or the part around the selected run, before a line that counts the others."""
        if room <= 0 or not self._queued:
            return []
        count = len(self._queued) if len(self._queued) <= room else room - 1
        start = _start_of(self._queued, count, 0)
        shown = self._queued[start : start + count]
        word_width = max(len(view.run.state.value) for view in self._queued)
        lines = [run_rows.queued_row(view, self._width, self._name_width, word_width) for view in shown]
        rest = [*self._queued[:start], *self._queued[start + count :]]
        if rest:
            waiting = sum(view.run.state is RunState.WAITING for view in rest)
            counts = [f"{count} more {word}" if shown else f"{count} {word}"
                      for count, word in ((len(rest) - waiting, "queued"), (waiting, "waiting")) if count]  # fmt: skip
            symbol = self._symbols.states[RunState.QUEUED]
            lines.append(Text(f"{symbol} {', '.join(counts)}", style="quiet"))
        return lines


def _start_of(views: Sequence[RunView], count: int, usual: int) -> int:
    """Where ``count`` of the views begin: at ``usual``, or as near to it as the selected one allows."""
    selected = next((place for place, view in enumerate(views) if view.is_selected), usual)
    return max(min(usual, selected), selected - count + 1) if count > 0 else usual


def _grow(heights: list[int], wanted: Sequence[int], room: int) -> None:
    """Adds lines to the lowest first, until all have what they want or ``room`` is used."""
    while sum(heights) < room:
        growing = [i for i, height in enumerate(heights) if height < wanted[i]]
        if not growing:
            return
        heights[min(growing, key=lambda i: heights[i])] += 1
