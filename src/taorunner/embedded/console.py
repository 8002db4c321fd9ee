"""Console output: plain lines, and progress bars in the form of Lightning's tqdm.

Source: tao/pytorch.md section 4. Bars are rewritten with a carriage return, at most ten times a second. A closed
pipe or a full disk does not end the run: the console is silent from then on.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

_INTERVAL_S = 0.1
_BAR_WIDTH = 10
_EIGHTHS = " ▏▎▍▌▋▊▉"


class Console:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar_open = False

    def line(self, text: str = "") -> None:
        self._write(("\n" if self._bar_open else "") + text + "\n")
        self._bar_open = False

    def bar(self, text: str) -> None:
        self._write("\r" + text)
        self._bar_open = True

    def close(self) -> None:
        if self._bar_open:
            self._write("\n")
        self._bar_open = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            # Discards the buffered and all later output.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


class Progress:
    """One bar: ``Epoch 3:  25%|██▌       | 1/4 [00:00<00:00, 48.50it/s, v_num=1, train_loss_step=0.00]``."""

    def __init__(self, console: Console, title: str, total: int, done: int = 0) -> None:
        self._console, self._title, self._total = console, title, total
        self._done = self._done_at_start = done
        self._started = time.monotonic()
        self._shown = 0.0

    def advance(self, extra: str = "") -> None:
        """Advances by one step. The last step is always shown."""
        self._done += 1
        now = time.monotonic()
        if self._done < self._total and now - self._shown < _INTERVAL_S:
            return
        self._shown = now
        elapsed = now - self._started
        rate = (self._done - self._done_at_start) / elapsed if elapsed > 0 else 0.0
        left = (self._total - self._done) / rate if rate else 0.0
        speed = f"{rate:.2f}it/s" if rate >= 1 else f"{1 / rate:.2f}s/it" if rate else "?it/s"
        self._console.bar(
            f"{self._title}: {100 * self._done // self._total:3d}%|{_filled(self._done / self._total)}| "
            f"{self._done}/{self._total} [{_clock(elapsed)}<{_clock(left)}, {speed}{extra and ', ' + extra}]"
        )


def standard_console() -> Console:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace", newline="\n")
    return Console(sys.stdout)


def _filled(share: float) -> str:
    eighths = int(share * _BAR_WIDTH * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[part] if part else "")).ljust(_BAR_WIDTH)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
