"""Shows pulls and pushes of images: layers and totals on a terminal, a line per ten percent elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich.console import Group
from rich.text import Text

from taorunner.console.base.cells import bar, fit_path, pad, percent
from taorunner.console.base.formatting import clean
from taorunner.console.base.live_progress import LiveProgress
from taorunner.text import duration, size

if TYPE_CHECKING:
    from taorunner.engine.images import LayerState, PullState

_BAR, _LAYER_BAR = 24, 24
_NAME, _BESIDE = 16, 98
"""Cells: the minimum for a name, and the width of the rest of the line."""
_ID = 12
_BUSY = ("downloading", "extracting", "pushing")
_KEPT_LINES = 4
"""Terminal lines kept free for the prompt and for messages."""


@dataclass
class _Shown:
    """``expected_bytes`` comes from the registry; the engine reports the size of a layer only when it starts it."""

    started_s: float
    expected_bytes: int
    state: PullState | None = None
    layers: tuple[LayerState, ...] = ()
    tenths: int = 0

    @property
    def total_bytes(self) -> int:
        return max(self.expected_bytes, (self.state.bytes_total or 0) if self.state else 0)

    @property
    def fraction(self) -> float | None:
        """Of the download. 1.0 only when the last layer is unpacked."""
        if self.state is None:
            return None
        if self.state.layers and self.state.layers_done == self.state.layers:
            return 1.0
        return min(0.99, self.state.bytes_done / self.total_bytes) if self.total_bytes else None


class ImagePullView(LiveProgress):
    """Shows pulls and pushes; its methods may be called from several threads. ``quiet`` shows nothing."""

    def __init__(
        self, stream: TextIO, environ: Mapping[str, str], *, plain: bool, quiet: bool, verb: str = "pulling"
    ) -> None:
        self._verb = verb
        self._active: dict[str, _Shown] = {}
        super().__init__(stream, environ, plain=plain, quiet=quiet, transient=True)

    def begins(self, image: str, total_bytes: int | None) -> None:
        with self._lock:
            self._active[image] = _Shown(time.monotonic(), total_bytes or 0)
        if self._live is None:
            self.tells(f"{image}: {self._verb}" + (f" {size(total_bytes)}" if total_bytes else ""))

    def advanced(self, image: str, state: PullState, layers: Sequence[LayerState]) -> None:
        with self._lock:
            shown = self._active.get(image)
            if shown is None:
                return
            shown.state, shown.layers = state, tuple(layers)
            tenths = int((shown.fraction or 0.0) * 10)
            is_news = tenths != shown.tenths
            shown.tenths = tenths
        if is_news and self._live is None:
            self._print(self._total(image, shown))

    def ends(self, image: str) -> None:
        with self._lock:
            self._active.pop(image, None)

    def drawing(self) -> Group:
        """A line per image, and below it its active layers."""
        with self._lock:
            active = list(self._active.items())
        room = max(1, self._console.height - _KEPT_LINES - len(active)) // max(1, len(active))
        lines: list[Text] = []
        for image, shown in active:
            lines.append(self._total(image, shown))
            busy = [layer for layer in shown.layers if layer.step in _BUSY]
            lines += [self._layer(layer) for layer in busy[:room]]
        for line in lines:
            line.truncate(self._console.width)
        return Group(*lines)

    def _total(self, image: str, shown: _Shown) -> Text:
        room = max(_NAME, self._console.width - _BESIDE) if self._live is not None else len(image)
        name = fit_path(image, room, self._symbols)
        state = shown.state
        if state is None or not state.layers:
            return Text.assemble(name, ("  asking the registry", "quiet"))
        text = Text.assemble(name, "  ")
        if self._live is not None:
            text.append_text(bar(shown.fraction, _BAR, self._symbols))
            text.append(" ")
        text.append(pad(percent(shown.fraction), 4, right=True))
        text.append(f"  {state.layers_done} of {state.layers} layers", style="quiet")
        if shown.total_bytes:
            text.append(f"  {size(state.bytes_done)} of {size(shown.total_bytes)}", style="quiet")
            left = shown.total_bytes - state.bytes_done
            if left <= 0 and state.layers_done < state.layers:
                return text.append("  unpacking", style="quiet")
            seconds = time.monotonic() - shown.started_s
            rate = state.bytes_done / seconds if seconds > 0.5 else 0.0
            if rate:
                text.append(f"  {size(rate)}/s", style="quiet")
                text.append(f"  {duration(left / rate)} left" if left > 0 else "", style="quiet")
        return text

    def _layer(self, layer: LayerState) -> Text:
        fraction = layer.bytes_done / layer.bytes_total if layer.bytes_total else None
        text = Text.assemble("  ", (pad(clean(layer.id)[:_ID], _ID), "quiet"), f"  {layer.step:11} ")
        text.append_text(bar(fraction, _LAYER_BAR, self._symbols))
        total = f" of {size(layer.bytes_total)}" if layer.bytes_total else ""
        return text.append(f"  {size(layer.bytes_done)}{total}", style="quiet")
