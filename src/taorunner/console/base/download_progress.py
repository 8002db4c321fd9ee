"""Shows a download: a bar that is redrawn on a terminal, a line per ten percent elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.text import Text

from taorunner.console.base.cells import bar, pad, percent
from taorunner.console.base.formatting import clean
from taorunner.console.base.live_progress import LiveProgress
from taorunner.text import duration, size

if TYPE_CHECKING:
    from taorunner.pretrained.ngc import RemoteFile

_BAR = 30


class PullView(LiveProgress):
    """Shows the progress of pulls; its methods may be called from several threads. ``quiet`` shows nothing."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str], *, plain: bool, quiet: bool) -> None:
        self._have: dict[str, int] = {}
        self._model, self._total, self._begun_with, self._tenths, self._started = "", 0, -1, 0, 0.0
        super().__init__(stream, environ, plain=plain, quiet=quiet, transient=False)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stops drawing, for a prompt."""
        if self._live is not None:
            self._live.stop()
        try:
            yield
        finally:
            if self._live is not None:
                self._live.start()

    def begins(self, model: str, files: Sequence[RemoteFile]) -> None:
        with self._lock:
            self._model, self._have, self._tenths = clean(model), {}, 0
            self._total, self._begun_with, self._started = (
                sum(file.size for file in files),
                -1,
                time.monotonic(),
            )
        self.tells(f"{model}: {len(files)} file{'s' * (len(files) != 1)}, {size(self._total)}")

    def advanced(self, path: str, have: int) -> None:
        with self._lock:
            self._have[path] = have
            done = sum(self._have.values())
            if self._begun_with < 0:
                self._begun_with = done
            tenths = done * 10 // self._total if self._total else 10
            is_news = tenths > self._tenths
            self._tenths = max(tenths, self._tenths)
        if is_news and self._live is None:
            self._print(self.drawing())

    def drawing(self) -> Text:
        """Model, bar, amount, rate and time left."""
        with self._lock:
            done, total = sum(self._have.values()), self._total
            seconds = time.monotonic() - self._started
            fresh = done - max(0, self._begun_with)
        if not self._model:
            return Text()
        fraction = done / total if total else 1.0
        shown = pad(percent(fraction), 4, right=True)
        text = Text.assemble(self._model, "  ", bar(fraction, _BAR, self._symbols), " ", shown)
        text.append(f"  {size(done)} of {size(total)}", style="quiet")
        if fresh > 0 and seconds > 0.5:
            rate = fresh / seconds
            text.append(f"  {size(rate)}/s", style="quiet")
            if done < total:
                text.append(f"  {duration((total - done) / rate)} left", style="quiet")
        return text
