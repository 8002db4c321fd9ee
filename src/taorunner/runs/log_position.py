"""How much of a run's output is safely in ``console.log``: what a later supervisor goes on from.

Written beside and renamed after the log itself. A crash between the two leaves a log that is longer than it says;
the rest is cut off and asked for again, so each line is there once. Bytes of a line that is not whole yet do not
count: they may hold half a secret and are asked for again as well.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.backends.base import LogPosition


@dataclass(frozen=True, slots=True)
class RecordedLog:
    """``size`` of console.log in bytes, how much of each stream it holds, and where in it this process began: before
    ``start`` stands what an earlier attempt printed. ``tails``: see ``LogPosition``; also a supervisor that comes after
    a restart of the engine must know what was shown and not kept."""

    size: int = 0
    stdout: int = 0
    stderr: int = 0
    start: int = 0
    tails: Mapping[str, bytes] = field(default_factory=dict, compare=False)

    @property
    def position(self) -> LogPosition:
        return LogPosition(self.stdout, self.stderr, self.tails)

    def save(self, path: Path) -> None:
        beside = path.with_name(f".{path.name}.tmp")
        body = {
            "size": self.size, "stdout": self.stdout, "stderr": self.stderr, "start": self.start,
            "tails": {stream: base64.b64encode(tail).decode() for stream, tail in self.tails.items()},
        }  # fmt: skip
        beside.write_text(json.dumps(body) + "\n", encoding="utf-8")
        os.replace(beside, path)  # noqa: PTH105 - a few microseconds, many times a second

    @staticmethod
    def load(path: Path, console: Path) -> RecordedLog:
        """The beginning when there is none, or when ``console`` is shorter than it says (the machine lost power)."""
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            found = RecordedLog(
                int(body["size"]), int(body["stdout"]), int(body["stderr"]), int(body["start"]),
                {stream: base64.b64decode(tail) for stream, tail in body.get("tails", {}).items()},
            )  # fmt: skip
            size = console.stat().st_size
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return RecordedLog()
        return (
            found
            if found.size <= size
            else RecordedLog(size=min(found.start, size), start=min(found.start, size))
        )
