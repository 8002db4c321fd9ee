"""Keyboard: single keys from a terminal, without Enter and without an echo.

The terminal's settings are changed only while the keyboard is open, and only by a process in the foreground: the
kernel would stop one in the background. Signals stay on, so Ctrl-C and Ctrl-Z work as usual.
"""

from __future__ import annotations

import os
import select
import termios
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, TextIO

_SEQUENCES = {
    b"\x1b[A": "up", b"\x1bOA": "up", b"\x1b[B": "down", b"\x1bOB": "down",
    b"\x1b[D": "left", b"\x1bOD": "left", b"\x1b[C": "right", b"\x1bOC": "right",
    b"\x1b[H": "home", b"\x1bOH": "home", b"\x1b[1~": "home", b"\x1b[7~": "home",
    b"\x1b[F": "end", b"\x1bOF": "end", b"\x1b[4~": "end", b"\x1b[8~": "end",
    b"\x1b[5~": "page up", b"\x1b[6~": "page down",
}  # fmt: skip
_BYTES = {b"\r": "enter", b"\n": "enter", b"\x7f": "back", b"\x08": "back", b" ": "page down"}
_REST_OF_SEQUENCE_S = 0.05
"""How long the rest of an escape sequence may take; without one it was the Esc key."""
_LOOK_AGAIN_S = 1.0


class Keyboard:
    """The keys of ``stream``, normally standard input. Without a terminal it is silent and changes nothing.

    Use it as a context: the settings of the terminal are put back at its end, whatever ended it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._descriptor = _terminal_of(stream)
        self._saved: list[Any] | None = None
        self._pending = b""
        self._looked_s = -_LOOK_AGAIN_S

    def __enter__(self) -> Keyboard:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether keys can be read now."""
        return self._saved is not None

    def open(self) -> None:
        """Begins to read single keys, if this process has the terminal. Idempotent."""
        self._looked_s = time.monotonic()
        if self._descriptor is None or self._saved is not None or not is_foreground(self._descriptor):
            return
        with suppress(termios.error):
            settings = termios.tcgetattr(self._descriptor)
            changed = [*settings[:6], list(settings[6])]
            changed[3] &= ~(termios.ICANON | termios.ECHO)
            changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, changed)
            self._saved = settings

    def close(self) -> None:
        """Puts the settings back. Keys that were not read are dropped: they were not meant for the shell."""
        saved, self._saved, self._pending = self._saved, None, b""
        if saved is not None and self._descriptor is not None and is_foreground(self._descriptor):
            with suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, saved)

    def read(self, timeout_s: float) -> list[str]:
        """The keys since the last call: ``q``, ``up``, ``enter``, ``esc``; waits at most ``timeout_s`` for the first.

        Letters are lower case. Bytes that are no key of this table are left out.
        """
        if not self.is_open or self._descriptor is None:
            time.sleep(timeout_s)
            if time.monotonic() - self._looked_s >= _LOOK_AGAIN_S:
                self.open()  # a job that was in the background may be in the foreground by now
            return []
        if not self._fill(timeout_s):
            return []
        while _is_cut_off(self._pending) and self._fill(_REST_OF_SEQUENCE_S):
            pass
        data, self._pending = self._pending, b""
        return decoded(data)

    def _fill(self, timeout_s: float) -> bool:
        """Reads what is there. An end of the input closes the keyboard: the terminal is gone."""
        descriptor = self._descriptor
        assert descriptor is not None
        try:
            if not select.select([descriptor], [], [], timeout_s)[0]:
                return False
            data = os.read(descriptor, 1024)
        except OSError:
            data = b""
        if not data:
            self.close()
            self._descriptor = None
            return False
        self._pending += data
        return True


def decoded(data: bytes) -> list[str]:
    """The names of the keys in ``data``.

    >>> decoded(b"q\\x1b[A\\x1b")
    ['q', 'up', 'esc']
    """
    keys: list[str] = []
    while data:
        known = next((one for one in _SEQUENCES if data.startswith(one)), None)
        if known is not None:
            keys.append(_SEQUENCES[known])
            data = data[len(known) :]
        elif data.startswith((b"\x1b[", b"\x1bO")):
            data = data[_length_of_sequence(data) :]
        elif data[:1] == b"\x1b":
            keys.append("esc")
            data = data[1:]
        else:
            byte, data = data[:1], data[1:]
            if byte in _BYTES:
                keys.append(_BYTES[byte])
            elif b"!" <= byte <= b"~":
                keys.append(byte.decode("ascii").lower())
    return keys


def is_foreground(descriptor: int) -> bool:
    """Whether this process may use the terminal; true as well where there is no job control."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return True


def _length_of_sequence(data: bytes) -> int:
    for place, byte in enumerate(data[2:], 2):
        if 0x40 <= byte <= 0x7E:
            return place + 1
    return len(data)


def _is_cut_off(data: bytes) -> bool:
    """Whether the data ends within an escape sequence, as over a slow line."""
    start = data.rfind(b"\x1b")
    if start < 0:
        return False
    last = data[start:]
    return last in (b"\x1b", b"\x1b[", b"\x1bO") or (
        last.startswith(b"\x1b[") and not any(0x40 <= byte <= 0x7E for byte in last[2:])
    )


def _terminal_of(stream: TextIO) -> int | None:
    try:
        descriptor = stream.fileno()
        return descriptor if os.isatty(descriptor) else None
    except (OSError, ValueError, AttributeError):  # closed, or no file
        return None
