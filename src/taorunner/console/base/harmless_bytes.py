"""Shows the bytes of other programs on a terminal: colours stay, no other control of the terminal gets through.

A log may come from anyone. A sequence could set the title, write into the clipboard, or draw what was never printed.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO

_MOST_HELD = 48
_COLOUR = r"\x1b\[[0-9;:]{0,40}m"
_CONTROL = re.compile(
    _COLOUR + r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_BEGUN = re.compile(r"\x1b(?:\[[0-9;:]{0,40})?\Z")
_RESET = b"\x1b[0m"


@contextmanager
def shown_bytes(stream: TextIO) -> Iterator[IO[bytes]]:
    """The bytes of ``stream``; of a terminal, with ``HarmlessBytes`` in front. Into a file everything goes as it is."""
    if not stream.isatty():
        yield stream.buffer
        return
    harmless = HarmlessBytes(stream.buffer)
    out: Any = harmless
    try:
        yield out
    finally:
        harmless.finish()


class HarmlessBytes:
    """A binary stream in front of ``out``. ``finish`` writes what is held back, and ends colours."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._is_coloured = False

    def write(self, data: bytes) -> int:
        text = self._held + self._decoder.decode(data)
        begun = _BEGUN.search(text, max(0, len(text) - _MOST_HELD))
        self._held = begun[0] if begun is not None else ""
        self._put(text[: len(text) - len(self._held)])
        return len(data)

    def flush(self) -> None:
        self._out.flush()

    def finish(self) -> None:
        self._put(self._held + self._decoder.decode(b"", final=True))
        self._held = ""
        if self._is_coloured:
            self._out.write(_RESET)
        self._out.flush()

    def _put(self, text: str) -> None:
        self._is_coloured = self._is_coloured or "\x1b" in text
        self._out.write(_CONTROL.sub(_shown, text).encode("utf-8", "replace"))


def _shown(match: re.Match[str]) -> str:
    """``^G``, ``^[`` and ``<U+202E>`` for single controls; colours as they are."""
    text = match[0]
    if len(text) > 1:
        return text
    code = ord(text)
    if code < 0x20 or code == 0x7F:
        return f"^{chr(code ^ 0x40)}"
    return f"<U+{code:04X}>"
