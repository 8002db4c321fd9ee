"""Access to the results of a run while it runs and right after: status files, checkpoints, artifacts, free space.

``far_results.results_of`` selects the access. ``LocalResults`` reads folders of this host or of a disk that it shares.
"""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from taorunner.contained_files import files_below, is_contained, matches, open_file, root_of
from taorunner.planning.checkpoints.checkpoint_files import find_checkpoints, is_untrained
from taorunner.planning.model.plan import RunPlan
from taorunner.progress.event_files import Scalar, ScalarReader
from taorunner.progress.file_wholeness import is_torn
from taorunner.progress.status_json import StatusReader, StatusRecord

CLOCK_SLACK_S = 2.0
"""The tolerance for rounded file times and for the clock of a file server, in seconds."""


class StatusSource(Protocol):
    """The records of one status.json."""

    def read_new(self, *, last: bool = False) -> list[StatusRecord]:
        """Records written since the last call. ``last``: nothing will be written any more."""
        ...


class ScalarSource(Protocol):
    """The scalars of one event file."""

    def read_new(self) -> list[Scalar]:
        """Scalars written since the last call."""
        ...


class ResultsAccess(Protocol):
    """The results of one run. Paths are those of the plan; sizes are in bytes, times in seconds of the epoch.

    ``is_here``: the files themselves can be opened on this machine.
    """

    @property
    def is_here(self) -> bool: ...
    def status_source(self, path: Path, start_offset: int) -> StatusSource: ...
    def size(self, path: Path) -> int:
        """The size of a file, or of all files of a folder; 0 if it does not exist."""
        ...

    def modified_s(self, path: Path) -> float | None:
        """The modification time; None if the path does not exist."""
        ...

    def checkpoints(self) -> list[Path]:
        """Full checkpoints, newest epoch last, including truncated ones. Raises OSError when listing fails."""
        ...

    def is_torn(self, path: Path) -> bool:
        """True for a truncated checkpoint."""
        ...

    def artifacts(self) -> Iterator[Path]:
        """The existing artifacts of the action's contract, without untrained weights."""
        ...

    def event_files(self) -> list[Path]:
        """The existing event files of the action's contract, oldest first."""
        ...

    def scalar_source(self, path: Path) -> ScalarSource:
        """The scalars of one event file."""
        ...

    def content(self, path: Path, most_bytes: int) -> bytes | None:
        """The content of a file; None for a link, a file that cannot be read, or a larger one."""
        ...

    def host_path(self, inside: str) -> Path | None:
        """The host path of a path inside the container; None if no mount covers it."""
        ...

    def free_bytes(self) -> int:
        """Free space where the results are written. Raises OSError when it cannot be read."""
        ...


class LocalResults:
    """Results in folders of this host. ``free_bytes`` gives the free space of the disk of a path."""

    is_here = True

    def __init__(
        self, plan: RunPlan, free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    ) -> None:
        self._plan, self._free_bytes = plan, free_bytes

    def status_source(self, path: Path, start_offset: int) -> StatusSource:
        return StatusReader(path, start_offset, root=self._root_of(path))

    def size(self, path: Path) -> int:
        try:
            if not path.is_dir():
                return path.stat().st_size
            root = path if path == self._plan.results_dir else self._root_of(path)
            return sum(inner.lstat().st_size for inner in files_below(root, path))
        except OSError:
            return 0

    def modified_s(self, path: Path) -> float | None:
        try:
            return path.stat().st_mtime
        except OSError:
            return None

    def checkpoints(self) -> list[Path]:
        return find_checkpoints(self._plan.results_dir, self._plan.contract.checkpoints)

    def is_torn(self, path: Path) -> bool:
        return is_torn(path)

    def artifacts(self) -> Iterator[Path]:
        contract = self._plan.contract
        for pattern in contract.verdict.artifacts:
            for path in self._matches(pattern):
                if not is_untrained(path, contract.checkpoints):
                    yield path

    def event_files(self) -> list[Path]:
        patterns = self._plan.contract.progress.event_files
        return sorted(path for pattern in patterns for path in self._matches(pattern))

    def scalar_source(self, path: Path) -> ScalarSource:
        return ScalarReader(path, self._root_of(path))

    def content(self, path: Path, most_bytes: int) -> bytes | None:
        descriptor = open_file(self._root_of(path), path)
        if descriptor is None:
            return None
        try:
            with os.fdopen(descriptor, "rb") as file:
                data = file.read(most_bytes + 1)
        except OSError:
            return None
        return data if len(data) <= most_bytes else None

    def host_path(self, inside: str) -> Path | None:
        if not self._plan.mounts:
            return Path(inside)
        inside = posixpath.normpath(inside)
        best: Path | None = None
        best_length = -1
        for mount in self._plan.mounts:
            target = mount.target.rstrip("/")
            if (inside == target or inside.startswith(target + "/")) and len(target) > best_length:
                best, best_length = mount.source / inside[len(target) :].lstrip("/"), len(target)
        return best

    def free_bytes(self) -> int:
        return self._free_bytes(self._plan.results_dir)

    def _matches(self, pattern: str) -> list[Path]:
        root = self._plan.results_dir
        if pattern.startswith("/"):
            found = self.host_path(pattern)
            if found is None:
                return []
            root = self._root_of(found)
            pattern = found.relative_to(root).as_posix()
        return [path for path in matches(root, pattern) if is_contained(root, path)]

    def _root_of(self, path: Path) -> Path:
        """The folder below which no link is followed on the way to ``path``."""
        return root_of(path, [self._plan.results_dir])
