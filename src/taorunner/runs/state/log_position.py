"""How much of a run's output is safely in ``console.log``: what a later supervisor goes on from.

Written beside and renamed after the log itself. A crash between the two leaves a log that is longer than it says;
the rest is cut off and asked for again, so each line is there once. The beginning of a line that is not whole yet is
recorded here, because a restarted engine may have forgotten it; where it may hold a piece of a secret it does not count
and is asked for again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.atomic_files import write_json
from taorunner.backends.contract import LogPosition
from taorunner.state_files import read_state


@dataclass(frozen=True, slots=True)
class RecordedLog:
    """``size`` of console.log in bytes, how much of each stream it holds, and where in it this process began: before
    ``start`` stands what an earlier attempt printed. ``tails``: see ``LogPosition``; also a supervisor that comes after
    a restart of the engine must know what was shown and not kept. ``begun`` are lines that are not whole yet: they
    count as held, and are not in console.log."""

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
        """The beginning when there is none, or when ``console`` is shorter than it says (the machine lost power)."""
        try:
            body = json.loads(read_state(path))
            found = RecordedLog(
                int(body["size"]), int(body["stdout"]), int(body["stderr"]), int(body["start"]),
                _decoded(body.get("tails", {})), _decoded(body.get("begun", {})),
            )  # fmt: skip
            size = console.stat().st_size
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return RecordedLog()
        return (
            found
            if found.size <= size
            else RecordedLog(size=min(found.start, size), start=min(found.start, size))
        )


def _coded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {stream: base64.b64encode(each).decode() for stream, each in data.items() if each}


def _decoded(data: Mapping[str, str]) -> dict[str, bytes]:
    return {stream: base64.b64decode(each) for stream, each in data.items()}
