"""A folder for TensorBoard with the event files of chosen results, under readable names.

A container wrote the results: no link in them is followed, and the files are hard links of what was opened, so that
nothing a container does later leads elsewhere. Across file systems they are copies.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from taorunner.atomic_files import write_bytes
from taorunner.contained_files import files_below, open_file
from taorunner.events import MetricReported
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.runs.tensorboard.event_writer import event_file

_MARK = ".tfevents."
_MOST_FILES = 2000
_BLOCK = 1024 * 1024


class Board:
    """``folder`` is made below the state folder of the workspace, which no container sees, and removed by ``close``."""

    def __init__(self, store: RunStore, records: Sequence[RunRecord]) -> None:
        """``records`` newest first."""
        self._store, self._records = store, records
        self.folder = store.state_dir / "tensorboard" / str(os.getpid())
        projects = {record.project for record in records}
        self._is_plain = len(projects) == 1
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)

    def refresh(self) -> list[str]:
        """Takes up new files; gives the names of the experiments that have any."""
        shown: dict[str, None] = {}
        for name, results in self._results().items():
            for file in self._event_files(results):
                place = self.folder / name / file.parent.relative_to(results)
                if _shown_at(results, file, place):
                    shown[name] = None
        return list(shown)

    def add_recorded(self) -> list[str]:
        """For experiments without event files: the metrics that taorunner recorded of their newest training."""
        made: list[str] = []
        have = {name for name, results in self._results().items() if self._event_files(results)}
        for record in self._records:
            name = self._name(record)
            if name in have or name in made or record.action != "train":
                continue
            metrics = [
                one for one in self._store.read_events(record.id)[0] if isinstance(one, MetricReported)
            ]
            if metrics:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
                file = self.folder / name / f"events.out.tfevents.{int(metrics[0].at.timestamp())}.taorunner"
                write_bytes(file, event_file(metrics))
                made.append(name)
        return made

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self.folder.parent.rmdir()

    def _results(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for record in self._records:
            if record.results_dir is not None:
                found.setdefault(self._name(record), Path(record.results_dir))
        return found

    def _name(self, record: RunRecord) -> str:
        return record.experiment if self._is_plain else f"{record.project}/{record.experiment}"

    def _event_files(self, results: Path) -> list[Path]:
        return sorted(path for path in files_below(results, results) if _MARK in path.name)[:_MOST_FILES]


def _shown_at(results: Path, file: Path, place: Path) -> bool:
    """False for a file that cannot be shown: it is gone, or a link has taken its place."""
    descriptor = open_file(results, file)
    if descriptor is None:
        return False
    try:
        place.mkdir(parents=True, exist_ok=True)
        _link_or_copy(descriptor, place / file.name)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _link_or_copy(descriptor: int, target: Path) -> None:
    """Raises OSError."""
    facts = os.fstat(descriptor)
    with suppress(FileNotFoundError):
        known = target.stat()
        if (known.st_dev, known.st_ino) == (facts.st_dev, facts.st_ino):
            return
        if known.st_nlink == 1 and known.st_size < facts.st_size:
            _append(descriptor, target, known.st_size)
            return
        if known.st_nlink == 1 and known.st_size == facts.st_size:
            return
        target.unlink()  # another file of that name; a link to the earlier one is not written to
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:  # with a folder, because only then the link to the open file is followed
        os.link(f"/proc/self/fd/{descriptor}", target.name, dst_dir_fd=folder, follow_symlinks=True)
    except OSError:
        target.touch()
        _append(descriptor, target, 0)
    finally:
        os.close(folder)


def _append(descriptor: int, target: Path, offset: int) -> None:
    with target.open("ab") as file:
        while piece := os.pread(descriptor, _BLOCK, offset):
            file.write(piece)
            offset += len(piece)
