"""LogGaps: whether an engine that was restarted may have lost output that no process had read.

The engine holds up to 16 KiB of an unfinished line in memory. What was read live is known (``log_resume``); what was
printed while the output was read from the stored log, or by no process, is lost with the engine's memory. How much it
was cannot be known afterwards, only that it is not more than the engine holds.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.atomic_files import write_json
from taorunner.engine.frames import STORED_BLOCK_BYTES
from taorunner.errors import EngineRefusedError
from taorunner.state_files import read_json_state

if TYPE_CHECKING:
    from taorunner.backends.contract import Handle
    from taorunner.engine.client import Engine
    from taorunner.engine.containers import ContainerState

MARK_FILE = "engine-mark.json"
GAP = (
    "the engine was restarted while its output was not read live: up to "
    f"{STORED_BLOCK_BYTES // 1024} KiB of unfinished lines may be missing from the log here"
)


class LogGaps:
    """For all containers of one backend. A mark in the run's folder lets a later supervisor know, too."""

    def __init__(self) -> None:
        self._asked_at_end: set[str] = set()

    def look(self, engine: Engine, state: ContainerState, handle: Handle, *, was_live: bool) -> str | None:
        """What to report before the log is read on. ``was_live``: all that was printed before has been read."""
        if engine.is_podman or state.id in self._asked_at_end:
            return None
        try:
            return self._gap(engine, state, handle, was_live=was_live)
        except EngineRefusedError:  # behind a proxy that lets no events through
            return None

    def _gap(self, engine: Engine, state: ContainerState, handle: Handle, *, was_live: bool) -> str | None:
        from taorunner.backends.docker import engine_memory

        path = handle.run_dir / MARK_FILE
        known = _mark(path)
        if known is None and state.started_at is not None:
            known = int(state.started_at.timestamp())  # the container was created before
        is_lost = known is not None and not was_live and engine_memory.was_restarted_since(engine, known)
        if state.is_over:
            self._asked_at_end.add(state.id)
        else:
            with suppress(OSError):
                write_json(path, {"at": engine_memory.mark(engine, state.id)}, indent=None)
        return GAP if is_lost else None


def remove_mark(run_dir: Path) -> None:
    with suppress(OSError):
        (run_dir / MARK_FILE).unlink(missing_ok=True)


def _mark(path: Path) -> int | None:
    try:
        return int(read_json_state(path)["at"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
