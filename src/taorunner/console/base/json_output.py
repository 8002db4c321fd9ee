"""Writes JSON for programs: events as JSON lines, values as one document, always UTF-8.

It writes bytes, so the locale does not matter. An undecodable byte of a path becomes the JSON escape of its surrogate.
"""

from __future__ import annotations

import json

from taorunner.events import Event, to_json_line

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO


class JsonView:
    """One JSON object per line, written immediately."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def show(self, event: Event) -> None:
        self._stream.write(_encoded(to_json_line(event)))
        self._stream.flush()


def write_json(value: object, stream: BinaryIO) -> None:
    """``value`` (lists, dicts, strings, finite numbers) as one indented document with a line end.

    Raises ValueError for not-a-number: what is printed is strict JSON.
    """
    stream.write(_encoded(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2)))
    stream.flush()


def write_json_line(value: object, stream: BinaryIO) -> None:
    """The same on one line, as the refusal of a command prints its findings."""
    stream.write(_encoded(json.dumps(value, ensure_ascii=False, allow_nan=False)))
    stream.flush()


def log_line(run: str, experiment: str) -> Callable[[bytes], bytes]:
    """How a line of a run's log is written as one line of JSON: ``{"run", "experiment", "text"}``. What is not UTF-8 in
    it becomes U+FFFD."""

    def shown(line: bytes) -> bytes:
        body = {"run": run, "experiment": experiment, "text": line.decode("utf-8", "replace")}
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")

    return shown


def _encoded(text: str) -> bytes:
    # For a lone surrogate "backslashreplace" gives \udcXX, which is exactly its escape in JSON.
    return (text + "\n").encode("utf-8", "backslashreplace")
