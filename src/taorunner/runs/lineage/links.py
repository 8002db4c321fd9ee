"""Which run made a file that another run read: by digest, by size and time, or only by its path. Only reads.

What runs read is in their locks, what they made in their outputs. Digests of checkpoints are not computed at the end of
a training, so a checkpoint is known by its name, size and time; the runs that read it have its digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

from taorunner.runs.inputs.file_list import dataset_folder_of, saved_list
from taorunner.runs.inputs.run_lock import FileRead, RunLock, own_path, read_lock
from taorunner.runs.outputs.recorded import Output, recorded_results
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.values.value import MutableValue, Value, field


class Match(str, Enum):
    """How sure it is that a run made the file that was read."""

    HASH = "hash"
    TIME = "time"
    CHANGED = "changed"
    RESUMED = "resumed"


class Link(Value):
    """A file that a run read, and the run that made it, None where no run on record did. ``path`` is relative to the
    workspace where the file is below it. ``match`` is None without a run; ``CHANGED``: only the path is the same.
    ``is_data``: a dataset, of which a run made some files."""

    path: str
    bytes: int | None = None
    sha256: str | None = None
    run: str | None = None
    match: Match | None = None
    is_data: bool = False

    def to_json(self) -> dict[str, object]:
        match = self.match.value if self.match is not None else None
        return {
            "run": self.run,
            "path": self.path,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "match": match,
            "is_data": self.is_data,
        }


class Stage(Value):
    """A run with what it read and made. Of ``links`` those with a run come first, those of data last."""

    record: RunRecord
    links: tuple[Link, ...] = ()
    outputs: tuple[Output, ...] = ()

    @property
    def parent(self) -> str | None:
        """The run that it is shown below: the maker of its weights or its model. All trainings share their data."""
        return self.main_link.run if self.main_link is not None else None

    @property
    def main_link(self) -> Link | None:
        """By what it hangs on its parent."""
        return next((link for link in self.links if link.run is not None and not link.is_data), None)


def stages_of(store: RunStore, project: str) -> dict[str, Stage]:
    """Every run of a project that was started, by id, oldest first."""
    records = [one for one in store.records() if one.project == project and one.started_at is not None]
    makers = _Makers()
    found: dict[str, Stage] = {}
    for record in reversed(records):
        lock = read_lock(store, record.id)
        links = [
            *_resumed(record),
            *_of_weights(lock, makers, store),
            *_of_data(lock, makers, store, project),
        ]
        results = recorded_results(store, record.id)
        outputs = results.outputs if results is not None else ()
        found[record.id] = Stage(record, tuple(_once(links)), outputs)
        makers.add(record.id, outputs)
    return found


class _Makers(MutableValue):
    """Which run made what, of the runs so far: a file that several made is of the last one."""

    by_hash: dict[str, str] = field(default_factory=dict)
    by_time: dict[tuple[str, int, int], str] = field(default_factory=dict)
    by_path: dict[Path, str] = field(default_factory=dict)

    def add(self, run: str, outputs: Iterable[Output]) -> None:
        for one in outputs:
            self.by_path[one.path] = run
            if one.sha256 is not None:
                self.by_hash[one.sha256] = run
            if one.modified_ns is not None and one.files is None:
                self.by_time[one.path.name, one.bytes, one.modified_ns] = run

    def of(self, path: Path, read: FileRead) -> tuple[str, Match] | None:
        if read.sha256 in self.by_hash:
            return self.by_hash[read.sha256 or ""], Match.HASH
        timed = self.by_time.get((path.name, read.bytes, read.modified_ns))
        if timed is not None:
            return timed, Match.TIME
        named = self.by_path.get(path)
        return (named, Match.CHANGED) if named is not None else None


def _resumed(record: RunRecord) -> Iterator[Link]:
    if record.resumed_from is not None:
        yield Link("", run=record.resumed_from, match=Match.RESUMED)


def _of_weights(lock: RunLock | None, makers: _Makers, store: RunStore) -> list[Link]:
    links = []
    for read in lock.weights if lock is not None else ():
        maker = makers.of(own_path(store.state_dir.parent, read.path), read)
        run, match = maker if maker is not None else (None, None)
        links.append(Link(read.path, read.bytes, read.sha256, run, match))
    return sorted(links, key=lambda link: link.run is None)


def _of_data(lock: RunLock | None, makers: _Makers, store: RunStore, project: str) -> Iterator[Link]:
    """One link for each conversion that made files of the data; data that no run made is no link."""
    workspace = store.state_dir.parent
    for data in lock.data if lock is not None else ():
        folder = dataset_folder_of(workspace, project, data)
        if not any(path.is_relative_to(folder) for path in makers.by_path):
            continue
        files = saved_list(store, data.fingerprint)
        for path, size, modified_ns, digest in files.rows if files is not None else ():
            maker = makers.of(folder / path, FileRead(path, size, modified_ns, digest))
            if maker is not None:
                yield Link(_shown(folder, workspace), None, None, *maker, is_data=True)


def _shown(folder: Path, workspace: Path) -> str:
    return str(folder.relative_to(workspace) if folder.is_relative_to(workspace) else folder)


def _once(links: Iterable[Link]) -> list[Link]:
    """A run that is resumed is named once, with the checkpoint that was read of it; a conversion once."""
    found: dict[object, Link] = {}
    for link in links:
        found.setdefault((link.run, link.path), link)
    kept = list(found.values())
    read_of = {link.run for link in kept if link.path and link.match is not Match.RESUMED}
    return [link for link in kept if link.match is not Match.RESUMED or link.run not in read_of]
