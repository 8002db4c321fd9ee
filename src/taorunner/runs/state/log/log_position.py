"""How much of a run's output is stored in ``console.log``: the position from which a later supervisor continues.

Written atomically after the log itself. After a crash between the two the log is longer than the position; the excess
is cut off and read again, so each line is stored once. The start of an incomplete line is stored here, because a
restarted engine may have lost it. If it may contain part of a secret it is not stored, and is read again.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.atomic_files import write_json
from taorunner.backends.contract import LogPosition
from taorunner.state_files import read_json_state


@dataclass(frozen=True, slots=True)
class RecordedLog:
    """``size`` of console.log in bytes, and how much of each stream it holds.

    ``start`` is where the output of the current launch begins in it. ``tails``: see ``LogPosition``; they are stored
    for a supervisor that starts after a restart of the engine. ``begun`` are incomplete lines: they count as received
    but are not in console.log.
    """

    size: int = 0
    stdout: int = 0
    stderr: int = 0
    start: int = 0
    tails: Mapping[str, bytes] = field(default_factory=dict, compare=False)
    begun: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def position(self) -> LogPosition:
        return LogPosition(self.stdout, self.stderr, self.tails)

    def save(self, path: Path) -> None:
        body = {
            "size": self.size, "stdout": self.stdout, "stderr": self.stderr, "start": self.start,
            "tails": _coded(self.tails), "begun": _coded(self.begun),
        }  # fmt: skip
        write_json(path, body, indent=None)

    @staticmethod
    def load(path: Path, console: Path) -> RecordedLog:
        """The stored position; zero if there is none or ``console`` is shorter (after a power failure)."""
        try:
            body = read_json_state(path)
            found = RecordedLog(
                int(body["size"]), int(body["stdout"]), int(body["stderr"]), int(body["start"]),
                _decoded(body.get("tails", {})), _decoded(body.get("begun", {})),
            )  # fmt: skip
            size = console.stat().st_size
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return RecordedLog()
        if min(found.size, found.stdout, found.stderr, found.start) < 0:
            return RecordedLog()
        start = max(0, min(found.start, size))
        return (
            found
            if 0 <= found.start <= found.size <= size and min(found.stdout, found.stderr) >= 0
            else RecordedLog(size=start, start=start)
        )


def _coded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {stream: base64.b64encode(each).decode() for stream, each in data.items() if each}


def _decoded(data: Mapping[str, str]) -> dict[str, bytes]:
    return {stream: base64.b64decode(each) for stream, each in data.items()}
