"""The check of the datasets that experiments read: before a start, and in ``validate``. Its findings are those of
``dataset check``, with the same severity.

A dataset is read once for all experiments of a command. What was found is kept in ``.taorunner/cache``, or in the
caller's own cache where that cannot be written, with a checksum of the names, sizes and times of all files, until a
file changes. A dataset that would delay the start takes the answer that ``dataset check`` has kept.
"""

from __future__ import annotations

import os
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from taorunner.atomic_files import write_json
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.planning.checks.dataset_requirements import Reading
from taorunner.project.workspace import Workspace
from taorunner.state_files import Trust, read_json_state
from taorunner.text import for_dataset
from taorunner.values.value import Value

MAX_FILES = 50_000
"""A larger dataset would delay a training by half a minute; it is checked only on request."""
MAX_SECONDS = 5.0
"""To list a dataset. A slow network drive takes longer, and so does a folder of millions of files."""
NOT_CHECKED = "dataset-unchecked"
PLACES = 3
"""So many findings of a kind are shown, then their number."""
_VERSION = 7
_OWN = Path("spec")
"""In the place of the spec: what is found of one holds for all that read the data in the same way."""


class _Tree(Value):
    """``digest`` is empty when listing the files took too long."""

    files: int
    digest: str


class _Answer(Value):
    """The first findings of each kind, how many there are of each, and the number of images that were checked."""

    findings: tuple[Finding, ...]
    counts: dict[str, int]
    images: int


class DatasetPreflight:
    """For one command: each folder is listed once, and read once for all ways of reading it.

    No reader of datasets is imported while the answers are kept ones.
    """

    def __init__(
        self, workspace: Workspace, *, max_files: int = MAX_FILES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._workspace = workspace
        self._max_files, self._clock = max_files, clock
        self._trees: dict[Path, _Tree] = {}
        self._answers: dict[tuple[Path, str], _Answer] = {}

    def findings(self, project: str, readings: Iterable[Reading]) -> Iterator[Finding]:
        """Errors and warnings of the datasets, each once; of ``PLACES`` and more of a kind the number."""
        ways: dict[Path, dict[str, Reading]] = {}
        for reading in readings:
            ways.setdefault(reading.folder, {}).setdefault(_way(reading), reading)
        found: dict[Finding, None] = {}
        for folder, of_folder in ways.items():
            found.update(dict.fromkeys(self._of_folder(project, folder, of_folder)))
        yield from found

    def images(self, readings: Iterable[Reading]) -> dict[Path, int | None]:
        """The number of images of each folder that ``findings`` has looked at; None where it is not known: the dataset
        was not checked, or is of no kind that is known here."""
        counts: dict[Path, int | None] = {}
        for reading in readings:
            answer = self._answers.get((reading.folder, _way(reading)))
            if answer is not None and answer.images:
                counts[reading.folder] = max(answer.images, counts.get(reading.folder) or 0)
            else:
                counts.setdefault(reading.folder, None)
        return counts

    def look(self, folder: Path) -> None:
        """Notes the state of the files before ``dataset check`` reads them. See ``keep``."""
        self._tree(folder, None)

    def keep(
        self, project: str, readings: Sequence[Reading], findings: Sequence[Finding], images: int
    ) -> None:
        """Keeps what ``dataset check`` found in ``images`` images, for all ``readings`` of a folder. ``look`` came
        before."""
        specs = {reading.needs.spec for reading in readings}
        for reading in readings:
            own = reading.needs.spec
            mine = [one for one in findings if one.file not in specs or one.file == own]
            placed = [replace(one, file=_OWN) if one.file == own else one for one in mine]
            self._keep(project, reading.folder, _way(reading), _answer(placed, images))

    def _of_folder(self, project: str, folder: Path, ways: dict[str, Reading]) -> Iterator[Finding]:
        tree = self._tree(folder, self._clock() + MAX_SECONDS)
        if not tree.files:
            return
        name = next(iter(ways.values())).dataset
        if tree.digest:
            for way in ways:
                if (folder, way) not in self._answers and (
                    kept := self._kept(project, folder, way)
                ) is not None:
                    self._answers[folder, way] = kept
        missing = {way: one for way, one in ways.items() if (folder, way) not in self._answers}
        if missing and (not tree.digest or tree.files > self._max_files):
            yield _unchecked(project, name, tree)
        elif missing:
            for way, answer in _checked(folder, missing).items():
                self._answers[folder, way] = answer
                self._keep(project, folder, way, answer)
        for way, reading in ways.items():
            known = self._answers.get((folder, way))
            if known is not None:
                yield from _shown(known, project, reading)

    def _tree(self, folder: Path, deadline: float | None) -> _Tree:
        if folder not in self._trees:
            self._trees[folder] = _tree_of(folder, self._clock, deadline)
        return self._trees[folder]

    def _digest(self, folder: Path, way: str) -> str:
        return f"{_VERSION} {self._trees[folder].digest} {way}"

    def _kept(self, project: str, folder: Path, way: str) -> _Answer | None:
        digest = self._digest(folder, way)
        places = (place / project / _file_name(folder, way) for place in self._places())
        return next((found for path in places if (found := _read(path, digest, folder)) is not None), None)

    def _keep(self, project: str, folder: Path, way: str, answer: _Answer) -> None:
        """In the first place that can be written. In none, the next training checks again."""
        body = {
            "digest": self._digest(folder, way),
            "counts": answer.counts,
            "images": answer.images,
            "findings": [_written(one, folder) for one in answer.findings],
        }
        for place in self._places():
            with suppress(OSError):
                path = place / project / _file_name(folder, way)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_json(path, body, indent=None)
                return

    def _places(self) -> Iterator[Path]:
        """The workspace's cache, and the caller's own, where each workspace has a folder."""
        yield self._workspace.state_dir / "cache" / "dataset-checks"
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 (never raises)
        root = _crc(str(self._workspace.state_dir.absolute()))
        yield Path(home) / "taorunner" / "dataset-checks" / f"{root:08x}"


def different(readings: Iterable[Reading]) -> list[Reading]:
    """The first of those that read a folder in the same way."""
    found: dict[tuple[Path, str], Reading] = {}
    for reading in readings:
        found.setdefault((reading.folder, _way(reading)), reading)
    return list(found.values())


def _way(reading: Reading) -> str:
    """The same for all experiments that read the data in the same way, wherever the workspace is."""
    needs, folder = reading.needs, reading.folder
    pairs = sorted(
        (os.path.relpath(file, folder), os.path.relpath(pictures, folder))
        for file, pictures in needs.image_folders.items()
    )
    return f"{_crc(repr((pairs, needs.masks, needs.input_size, needs.has_class_folders))):08x}"


def _checked(folder: Path, ways: dict[str, Reading]) -> dict[str, _Answer]:
    """The answer for each way. Ways that differ only in what is compared afterwards share one look at the files."""
    from taorunner.datasets.checks.run import check_dataset  # all readers: only where something changed

    shared: dict[str, list[str]] = {}
    for way, reading in ways.items():
        needs = reading.needs
        shared.setdefault(repr((needs.image_folders, needs.masks, needs.has_class_folders)), []).append(way)
    answers: dict[str, _Answer] = {}
    for group in shared.values():
        specs = {Path(f"spec-{number}"): way for number, way in enumerate(group)}
        needs_of_group = [replace(ways[way].needs, spec=spec) for spec, way in specs.items()]
        try:
            report = check_dataset(folder, needs=needs_of_group)
            found, images = report.findings, report.images
        except (UserFilesError, OSError):
            found, images = [], 0  # no dataset of a kind that is known here
        for spec, way in specs.items():
            mine = [one for one in found if one.file is None or specs.get(one.file, way) == way]
            placed = [replace(one, file=_OWN) if one.file == spec else one for one in mine]
            answers[way] = _answer(placed, images)
    return answers


def _answer(findings: Iterable[Finding], images: int) -> _Answer:
    counts: Counter[str] = Counter()
    first: list[Finding] = []
    for one in findings:
        if one.severity in (Severity.ERROR, Severity.WARNING):
            kind = f"{one.severity.value} {one.code}"
            counts[kind] += 1
            if counts[kind] <= PLACES:
                first.append(one)
    return _Answer(tuple(first), dict(counts), images)


def _shown(answer: _Answer, project: str, reading: Reading) -> Iterator[Finding]:
    for one in answer.findings:
        file = reading.needs.spec if one.file == _OWN else one.file
        yield replace(one, file=file, hint=for_dataset(one.hint, reading.dataset.partition("/")[0]))
    for kind, count in answer.counts.items():
        if count > PLACES:
            severity, _, code = kind.partition(" ")
            message = f"{count - PLACES} more like this in {reading.dataset}"
            hint = f"taorunner dataset check {reading.dataset} -p {project} shows them"
            yield Finding(Severity(severity), code, message, hint, reading.folder)


def _crc(text: str, before: int = 0) -> int:
    """Detects changes only. Forging it gains nothing, so a launch need not load a cryptographic hash."""
    return zlib.crc32(text.encode("utf-8", "surrogateescape"), before)


def _file_name(folder: Path, way: str) -> str:
    return f"{_crc(str(folder)):08x}-{way}.json"


def _unchecked(project: str, dataset: str, tree: _Tree) -> Finding:
    files = f"{tree.files:,} files" if tree.digest else f"more than {tree.files:,} files, or a slow drive"
    message = f'the dataset "{dataset}" was not checked: it has {files}'
    hint = f"taorunner dataset check {dataset} -p {project} checks it once; its answer is kept until a file changes"
    return Finding(Severity.WARNING, NOT_CHECKED, message, hint)


def _tree_of(folder: Path, clock: Callable[[], float], deadline: float | None) -> _Tree:
    """Number of files, their bytes, and a checksum."""
    count = total = crc = 0
    for name, size, changed in _files(str(folder), ""):
        count += 1
        total += size
        crc = _crc(f"{name}\0{size}\0{changed}\0", crc)
        if count % 1000 == 0 and deadline is not None and clock() > deadline:
            return _Tree(count, "")
    return _Tree(count, f"{count} {total} {crc:08x}")


def _files(folder: str, prefix: str) -> Iterator[tuple[str, int, int]]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in listed:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, f"{prefix}{entry.name}/")
            else:
                state = entry.stat()
                yield prefix + entry.name, state.st_size, state.st_mtime_ns
        except OSError:
            yield prefix + entry.name, -1, 0


def _written(finding: Finding, folder: Path) -> dict[str, Any]:
    """A finding as JSON, with its file as it is named in the dataset's folder."""
    body: dict[str, Any] = finding.to_json()
    if finding.file is not None and finding.file != _OWN:
        body["file"] = os.path.relpath(finding.file, folder)
        body["is_below"] = True
    return body


def _read(path: Path, digest: str, folder: Path) -> _Answer | None:
    try:
        value = read_json_state(path, Trust.in_folder(path.parent))
        if value["digest"] == digest:
            counts = {str(kind): int(count) for kind, count in value["counts"].items()}
            found = tuple(_finding(one, folder) for one in value["findings"])
            return _Answer(found, counts, int(value["images"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # none yet, or another user's
    return None


def _finding(body: dict[str, Any], folder: Path) -> Finding:
    file = None if body["file"] is None else _OWN
    if body.get("is_below"):
        file = Path(os.path.normpath(f"{folder}/{body['file']}"))
    return Finding(
        Severity(body["severity"]),
        body["code"],
        body["message"],
        body["hint"],
        file,
        body["line"],
        body["column"],
    )
