"""The list of the files that a run reads of a dataset, its fingerprint, and what is different in a later list.

A list is stored once for all runs that read the same, as ``.taorunner/file-lists/<fingerprint>.gz``: a line of JSON for
each file, ``[path, bytes, modified_ns, sha256]``, sorted. Files that the spec names by themselves (annotations) are
compared by their content, the others by size and time: reading a dataset takes minutes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from taorunner.atomic_files import write_bytes
from taorunner.datasets.files.image_header import IMAGE_SUFFIXES
from taorunner.runs.outputs.recorded import stored_time
from taorunner.runs.outputs.scan import sha256_of
from taorunner.state_files import MAX_BYTES, read_state
from taorunner.values.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taorunner.runs.inputs.run_lock import DataRead
    from taorunner.runs.state.store import RunStore

MOST_FILES = 500_000
"""A larger dataset has no fingerprint: a second of work."""
_HASHED_BYTES = 256 * 1024**2
_STARTING_S = 3600.0
_LARGEST_LIST = 8 * MAX_BYTES

Row = tuple[str, int, int, "str | None"]


class FileList(Value):
    """The files, by path below the dataset. ``is_whole``: there were not more than ``MOST_FILES``."""

    rows: tuple[Row, ...]
    is_whole: bool = True

    @property
    def data(self) -> bytes:
        lines = (json.dumps(row, separators=(",", ":")) for row in self.rows)
        return "".join(f"{line}\n" for line in lines).encode()

    @property
    def images(self) -> int:
        return sum(os.path.splitext(row[0])[1].lower() in IMAGE_SUFFIXES for row in self.rows)  # noqa: PTH122 (texts)


class Changes(Value):
    """Paths of files that were added, removed or changed; ``as_before`` is how many are the same."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    as_before: int = 0


def listed(dataset: Path, paths: Iterable[str]) -> FileList:
    """The files at ``paths`` below ``dataset`` and in the folders there. Links below a named folder are recorded with
    what they lead to, and not followed into folders. What cannot be read is left out."""
    rows: dict[str, Row] = {}
    left = _HASHED_BYTES
    for named in paths:
        place = dataset / named
        with suppress(OSError, ValueError):
            facts = place.stat()
            if stat.S_ISREG(facts.st_mode):
                digest = sha256_of(place.resolve(), facts.st_size) if facts.st_size <= left else None
                left -= facts.st_size if digest is not None else 0
                # the time of a file that is read by its content says nothing
                rows[named] = (named, facts.st_size, 0 if digest is not None else stored_time(facts), digest)
                continue
        for row in _below(place, named):
            rows.setdefault(row[0], row)
            if len(rows) > MOST_FILES:
                return FileList(tuple(sorted(rows.values()))[:MOST_FILES], is_whole=False)
    return FileList(tuple(sorted(rows.values())))


def fingerprint_of(files: FileList) -> str | None:
    return hashlib.sha256(files.data).hexdigest() if files.is_whole else None


def save_list(store: RunStore, files: FileList) -> str | None:
    """The fingerprint. The list is kept for ``changes``, unless there is one. Raises OSError."""
    if not files.is_whole:
        return None
    data = files.data
    fingerprint = hashlib.sha256(data).hexdigest()
    place = _place(store, fingerprint)
    if place.exists():
        os.utime(place)  # as young as the run, so that it is not removed before the run names it
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(place, gzip.compress(data, 1, mtime=0))
    return fingerprint


def saved_list(store: RunStore, fingerprint: str | None) -> FileList | None:
    """The list with this fingerprint; None where it is not kept, or is not what its name says."""
    if fingerprint is None or not fingerprint.isalnum():
        return None
    try:
        packed = zlib.decompressobj(wbits=31)
        data = packed.decompress(read_state(_place(store, fingerprint), store.trust()), _LARGEST_LIST)
        if hashlib.sha256(data).hexdigest() != fingerprint:
            return None
        return FileList(tuple(_row(line) for line in data.splitlines()))
    except (OSError, ValueError, zlib.error):
        return None


def remove_unused_lists(store: RunStore, now_s: float) -> int:
    """Removes the lists that no run on record names any more, and gives their number; a list of the last hour may be
    of a run that is just starting. Never raises OSError."""
    folder = store.state_dir / "file-lists"
    old: list[Path] = []
    with suppress(OSError):
        for entry in os.scandir(folder):
            if (
                entry.name.endswith(".gz")
                and entry.stat(follow_symlinks=False).st_mtime < now_s - _STARTING_S
            ):
                old.append(Path(entry.path))
    if not old:
        return 0
    named: set[bytes] = set()
    for run_id in store.run_ids():
        with suppress(OSError):
            named.update(
                re.findall(
                    rb'"fingerprint": "([0-9a-f]{64})"',
                    read_state(store.paths(run_id).run_lock, store.trust()),
                )
            )
    unused = [path for path in old if path.name.removesuffix(".gz").encode() not in named]
    for path in unused:
        with suppress(OSError):
            path.unlink()
    return len(unused)


def changes(before: FileList, after: FileList) -> Changes:
    old = {row[0]: row[1:] for row in before.rows}
    new = {row[0]: row[1:] for row in after.rows}
    both = [path for path in new if path in old]
    changed = tuple(path for path in both if old[path] != new[path])
    return Changes(
        tuple(path for path in new if path not in old), tuple(path for path in old if path not in new),
        changed, len(both) - len(changed),
    )  # fmt: skip


def dataset_folder_of(workspace: Path, project: str, data: DataRead) -> Path:
    """The folder on this host of a dataset by its name."""
    if data.name.startswith("/"):
        return Path(data.name)
    owner, slash, name = data.name.rpartition("/")
    return workspace / "projects" / (owner if slash else project) / "data" / name


def _below(folder: Path, named: str) -> Iterator[Row]:
    waiting = [(folder, named)]
    while waiting:
        place, shown = waiting.pop()
        with suppress(OSError, ValueError), os.scandir(place) as entries:
            for entry in entries:
                path = entry.name if shown == "." else f"{shown}/{entry.name}"
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((Path(entry.path), path))
                    elif entry.is_symlink() and entry.is_dir():
                        yield f"{path} -> {Path(entry.path).readlink()}", 0, 0, None
                    elif entry.is_file():
                        facts = entry.stat()
                        yield path, facts.st_size, stored_time(facts), None


def _place(store: RunStore, fingerprint: str) -> Path:
    return store.state_dir / "file-lists" / f"{fingerprint}.gz"


def _row(line: bytes) -> Row:
    path, size, modified_ns, digest = json.loads(line)
    return str(path), int(size), int(modified_ns), None if digest is None else str(digest)
