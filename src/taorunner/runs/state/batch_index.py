"""OpenBatches: an index of unfinished batches, one file ``.taorunner/open/<batch id>`` each.

The file lists the batch's runs. It exists from before the first record is written until the last run is final and
removed from the engine. The process that creates the batch holds a lock on the file until a supervisor owns the batch.
A batch with neither a creator nor a supervisor is an orphan.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from taorunner.atomic_files import write_json
from taorunner.disk_room import naming
from taorunner.runs.state.folders import checked_name, is_name
from taorunner.state_files import is_locked, read_json_state

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from typing import Any

_LARGEST = 2**63
_ENGINE = (
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "TAORUNNER_LEASES",
)
_PROGRAMS = ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "CUDA_HOME")
"""Only for run processes on this host; a supervisor uses the PATH of the process that started it. PYTHONPATH is not
included, because it selects taorunner's own modules."""


class OpenBatches:
    """The index in ``state_dir``, the ``.taorunner`` of a workspace."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "open"
        self._making: dict[str, int] = {}

    def begin(self, batch_id: str, runs: Sequence[str]) -> None:
        """Call it before any file of the batch is written. This process creates the batch until ``handed_over``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path(batch_id), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        with naming(self._path(batch_id)):
            os.write(handle, json.dumps(list(runs)).encode())
        self._making[batch_id] = handle

    def rename_runs(self, batch_id: str, runs: Sequence[str]) -> None:
        """Replaces the runs of a batch that has a supervisor."""
        write_json(self._path(batch_id), list(runs), indent=None)

    def handed_over(self, batch_id: str) -> None:
        handle = self._making.pop(batch_id, None)
        if handle is not None:
            os.close(handle)

    def abandon(self) -> None:
        """Releases every batch being created; the next recovery undoes what is incomplete."""
        for batch_id in list(self._making):
            self.handed_over(batch_id)

    def end(self, batch_id: str) -> None:
        """Removes the finished batch from the index. Idempotent."""
        self._path(batch_id).unlink(missing_ok=True)
        self.handed_over(batch_id)

    def ids(self) -> list[str]:
        """Oldest first."""
        try:
            return sorted(name for name in os.listdir(self._folder) if not name.startswith("."))
        except OSError:
            return []

    def runs(self, batch_id: str) -> list[str]:
        """The batch's runs. Empty when its creation was interrupted, and for another user's batch."""
        with suppress(OSError, ValueError):
            body = read_json_state(self._path(batch_id))
            if isinstance(body, list):
                return [name for name in body if is_name(name)]
        return []

    def places(self, batch_id: str) -> tuple[Path, Path]:
        """The file of the batch and its folder, to flush."""
        return self._path(batch_id), self._folder

    def is_being_made(self, batch_id: str) -> bool:
        return is_locked(self._path(batch_id))

    def is_ours(self, batch_id: str) -> bool:
        """Whether the batch belongs to this user. Other users' batches are never written to."""
        try:
            return self._path(batch_id).lstat().st_uid == os.geteuid()
        except OSError:
            return False

    def _path(self, batch_id: str) -> Path:
        return self._folder / checked_name(batch_id, "batch")


def batch_fields(body: object, batch_id: str, path: Path) -> dict[str, Any]:
    """The fields of a ``Batch`` but for its id, of the content of its file.

    Raises ValueError when it is damaged: also when it names another batch.
    """
    if not isinstance(body, dict):
        raise ValueError(f"{path} is damaged: not an object")
    if body.get("id") != batch_id:
        raise ValueError(f"{path} is damaged: it names another batch")
    runs, parallel, grace_s = body.get("runs"), body.get("parallel"), body.get("grace_s", 30.0)
    if not isinstance(runs, list) or not all(is_name(run_id) for run_id in runs):
        raise ValueError(f"{path} is damaged: its runs are not ids")
    if parallel is not None and not (type(parallel) is int and 0 < parallel < _LARGEST):
        raise ValueError(f'{path} is damaged: it says "parallel": {json.dumps(parallel)[:80]}')
    lingers_s = body.get("lingers_s", 0.0)
    for name, value in (("grace_s", grace_s), ("lingers_s", lingers_s)):
        if type(value) not in (int, float) or not 0 <= value < _LARGEST:
            raise ValueError(f'{path} is damaged: it says "{name}": {json.dumps(value)[:80]}')
    environ = body.get("environ")
    kept = kept_environ(environ if isinstance(environ, dict) else {})
    return {
        "runs": tuple(runs), "parallel": parallel, "grace_s": grace_s, "environ": kept, "lingers_s": lingers_s,
    }  # fmt: skip


def kept_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Only the variables that select the engine and programs. Others may hold secrets, or come from a damaged file."""
    return {name: environ[name] for name in (*_ENGINE, *_PROGRAMS) if isinstance(environ.get(name), str)}


def restored_environ(environ: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, str]:
    """``environ`` of a supervisor with the engine settings of the terminal that launched the batch."""
    own = {name: value for name, value in environ.items() if name not in _ENGINE}
    return {**own, **{name: value for name, value in kept.items() if name in _ENGINE}}


def environ_of_runs(environ: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, str]:
    """``environ`` of run processes on this host, with PATH etc. of the terminal that launched the batch."""
    return {**environ, **{name: value for name, value in kept.items() if name in _PROGRAMS}}
