"""LiveScreen: draws lines in place on a terminal, and asks questions below them.

Only lines that have changed are written, so that a slow connection carries little. Drawing takes a fixed share of one
core at most: a frame that took long is followed by a longer pause. One thread draws, when its owner says so.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.text import Text

from taorunner.console.base.formatting import clean
from taorunner.console.live.keyboard import Keyboard, is_foreground

PAUSE_S = 0.25
"""The least time between two frames, if no key was pressed."""
LONGEST_PAUSE_S = 1.0
SHARE = 0.015
"""The part of one core that drawing may take, up to the longest pause."""
_LOOK_EVERY_S = 0.2
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
_CLEAR_LINE, _CLEAR_BELOW, _CLEAR_ALL = "\x1b[K", "\x1b[J", "\x1b[2J\x1b[H"

Draw = Callable[[int, int], Sequence[Text]]
"""Makes the lines for a width and a height in cells."""


class LiveScreen:
    """The screen of one viewer. The last frame stays on the terminal unless it is cleared. The cursor comes back.

    ``keyboard`` is closed while a question is asked. ``question_stream`` is where questions go, normally stderr.
    """

    def __init__(
        self, console: Console, keyboard: Keyboard | None = None, question_stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic, answers: TextIO | None = None,
    ) -> None:  # fmt: skip
        self._console, self._keyboard, self._clock = console, keyboard, clock
        self._question_stream, self._answers = question_stream, answers or sys.stdin
        self._shown: list[Text] = []
        self._is_drawn = False
        self._size = self.size()
        self._due_s = 0.0

    def __enter__(self) -> LiveScreen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal now."""
        with suppress(OSError, ValueError, AttributeError):
            found = os.get_terminal_size(self._console.file.fileno())
            if found.columns > 0 and found.lines > 0:
                return found.columns, found.lines
        return self._console.size.width, self._console.size.height

    def is_due(self) -> bool:
        """Whether the next frame may be drawn, or must be because the size has changed."""
        return self._clock() >= self._due_s or self.size() != self._size

    def hurry(self) -> None:
        """The next frame is due at once: a key was pressed."""
        self._due_s = 0.0

    def draw(self, make: Draw) -> None:
        """Draws a frame. An error of ``make`` is shown in its place: a view must not end a training.

        Nothing is drawn while another process has the terminal.
        """
        began_s, began_cpu_s = self._clock(), time.thread_time()
        size = self.size()
        if not self._may_draw():
            self._due_s = began_s + PAUSE_S
            return
        width, height = size
        try:
            lines = list(make(width, max(1, height - 1)))[: max(1, height - 1)]
        except Exception as error:  # a view must not end a training
            lines = [Text(clean(f"the view cannot be drawn: {type(error).__name__}: {error}"))]
        self._write(self._frame(lines, size))
        took_s = time.thread_time() - began_cpu_s
        self._due_s = began_s + min(LONGEST_PAUSE_S, max(PAUSE_S, took_s / SHARE))

    def leave(self) -> None:
        """Ends drawing below the last frame. Idempotent."""
        if self._is_drawn:
            self._is_drawn = False
            self._shown = []
            self._write(f"\r\n{_SHOW}")

    def clear(self) -> None:
        """Erases the frame."""
        if self._is_drawn:
            up = len(self._shown) - 1
            self._is_drawn = False
            self._shown = []
            self._write(f"\r{_up(up)}{_CLEAR_BELOW}{_SHOW}")

    def prompt(
        self, question: str, choices: Mapping[str, str], *, default: str, interrupt: str,
        yes: str | None = None, is_moot: Callable[[], bool] = lambda: False,
    ) -> str:  # fmt: skip
        """Asks below the last frame; the next ``draw`` replaces both.

        ``choices`` maps an answer to its effect; the first letters of an answer are enough. ``yes`` is the answer that
        ``y`` gives where the question can be answered so; ``n`` then gives ``default``. An empty line or the end of
        the input gives ``default``, KeyboardInterrupt (a second Ctrl-C) gives ``interrupt``. Blocks until there is an
        answer or ``is_moot`` says that none is needed, which gives ``default``.
        """
        words = (
            dict.fromkeys(choices) if yes is None else {**dict.fromkeys(choices), "yes": yes, "no": default}
        )
        meanings = {word: meant or word for word, meant in words.items()}
        height = len(self._shown) if self._is_drawn else 0
        self.leave()
        if self._keyboard is not None:
            self._keyboard.close()
        try:
            answer, more = self._ask(question, choices, meanings, default, interrupt, is_moot)
        finally:
            if self._keyboard is not None:
                self._keyboard.open()
        self.hurry()
        if answer is not None:
            up = min(height + more, self.size()[1] - 1)
            self._write(f"\r{_up(up)}{_CLEAR_BELOW}")
        return interrupt if answer is None else answer

    def _ask(
        self,
        question: str,
        choices: Mapping[str, str],
        meanings: Mapping[str, str],
        default: str,
        interrupt: str,
        is_moot: Callable[[], bool],
    ) -> tuple[str | None, int]:
        """The answer, None for an interrupt; and how many lines of the terminal the question took. ``meanings`` maps
        the words that can be typed to answers."""
        width, height = self.size()[0], 0
        wide = max(map(len, choices))
        asked = [Text(question, style="title")]
        for answer, effect in choices.items():
            is_second = answer == interrupt != default
            marks = [" (Enter)"] * (answer == default) + [" (Ctrl-C again does this)"] * is_second
            words = (f"{answer[0]}  {answer:<{wide}}", "hint"), f"  {effect}", ("".join(marks), "quiet")
            asked.append(Text.assemble("  ", *words))
        while True:
            self._say("\n".join(self._styled(asked)) + "\n> ")
            height += sum(-(-max(1, line.cell_len) // width) for line in asked) + 1
            try:
                said = _line(self._answers, is_moot)
            except KeyboardInterrupt:
                self._say("\n")
                return None, height
            if not said:
                self._say("\n")
                return default, height
            said = said.strip().lower()
            matching = [answer for word, answer in meanings.items() if word.lower().startswith(said)]
            if not said or len(matching) == 1:
                return (matching[0] if said else default), height
            asked = [Text(f'"{clean(said)}" is none of these: {", ".join(choices)}')]

    def _frame(self, lines: list[Text], size: tuple[int, int]) -> str:
        """What must be written to turn the last frame into ``lines``."""
        parts = [_HIDE, _NO_WRAP]
        if (
            self._is_drawn and size != self._size
        ):  # the terminal wrapped the old lines again: start on a clean one
            parts.append(_CLEAR_ALL)
            self._shown, self._is_drawn = [], False
        self._size = size
        old = self._shown if self._is_drawn else []
        changed = [i for i, line in enumerate(lines) if i >= len(old) or line != old[i]]
        if not changed and len(old) == len(lines):
            return ""
        texts = self._styled([lines[i] for i in changed])
        place = bottom = max(len(old) - 1, 0)  # the cursor is left in the last line of a frame
        for i, text in zip(changed, texts, strict=True):
            if i > bottom:
                parts.append(_down(bottom - place) + "\r" + "\n" * (i - bottom))
                bottom = i
            else:
                parts.append("\r" + (_up(place - i) or _down(i - place)))
            place = i
            parts.append(text if lines[i].cell_len >= size[0] else text + _CLEAR_LINE)
        last = len(lines) - 1
        parts.append("\r" + (_up(place - last) or _down(last - place)))
        if last < len(old) - 1:
            parts.append(f"\r\n{_CLEAR_BELOW}{_up(1)}")
        parts.append(_WRAP)
        self._shown, self._is_drawn = lines, True
        return "".join(parts)

    def _styled(self, lines: Sequence[Text]) -> list[str]:
        """The lines with the colours of this terminal."""
        if not lines:
            return []
        with self._console.capture() as capture:
            for line in lines:
                self._console.print(line, no_wrap=True, overflow="ignore", crop=False)
        return capture.get().split("\n")[: len(lines)]

    def _may_draw(self) -> bool:
        try:
            return is_foreground(self._console.file.fileno())
        except (OSError, ValueError, AttributeError):
            return True

    def _say(self, text: str) -> None:
        stream = self._question_stream
        if stream is None:
            self._write(text)
            return
        with suppress(OSError, ValueError):
            stream.write(text)
            stream.flush()

    def _write(self, text: str) -> None:
        """A terminal that is gone is no reason to end."""
        if text:
            with suppress(OSError, ValueError):
                self._console.file.write(text)
                self._console.file.flush()


def _line(answers: TextIO, is_moot: Callable[[], bool]) -> str:
    """The next line of ``answers``; "" at its end, or when it ``is_moot``."""
    try:
        descriptor = answers.fileno()
    except (OSError, ValueError, AttributeError):  # no file: it does not block
        return answers.readline()
    try:
        while not select.select([descriptor], [], [], _LOOK_EVERY_S)[0]:
            if is_moot():
                return ""
        return answers.readline()
    except OSError:  # the terminal is gone
        return ""


def _up(lines: int) -> str:
    return f"\x1b[{lines}A" if lines > 0 else ""


def _down(lines: int) -> str:
    return f"\x1b[{lines}B" if lines > 0 else ""
