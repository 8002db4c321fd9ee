"""The fast dataset check before each training. Its result is cached until a file changes.

It warns and never stops a training, because the training may read records that were made earlier. Results are kept in
``.taorunner/cache``, or in the caller's own cache where that cannot be written, with a checksum of the names, sizes and
times of all files. A dataset that would delay the start takes the answer that ``dataset check`` has kept.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from taorunner.atomic_files import write_json
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.project.experiments import Experiment
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.state_files import Trust, read_state

MAX_FILES = 50_000
"""A larger dataset would delay a training by half a minute; it is checked only on request."""
MAX_SECONDS = 5.0
"""To list a dataset. A slow network drive takes longer, and so does a folder of millions of files."""
NOT_CHECKED = "dataset-unchecked"
_PART = "not-checked"
"""A warning of the check: a part of the dataset was not checked, for example for want of Pillow."""
_VERSION = 4


@dataclass(frozen=True, slots=True)
class _Tree:
    """``digest`` is empty when listing the files took too long."""

    files: int
    digest: str


class DatasetPreflight:
    """For one command: each folder is walked once, and checked once for each requirement.

    Nothing of specs or datasets is imported while the answers are kept ones.
    """

    def __init__(
        self, workspace: Workspace, *, max_files: int = MAX_FILES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._workspace = workspace
        self._max_files, self._clock = max_files, clock
        self._trees: dict[Path, _Tree] = {}
        self._counted: dict[tuple[Path, str], Counter[str]] = {}

    def warnings(self, project: str, folder: Path, experiment: Experiment) -> tuple[Finding, ...]:
        """One warning with the counts, or none. ``folder`` is the experiment's dataset on this host."""
        tree = self._tree(folder, self._clock() + MAX_SECONDS)
        if not tree.files:
            return ()
        digest = self._digest(tree, experiment)
        counts = self._kept(project, experiment, digest) if tree.digest else None
        if counts is None and (not tree.digest or tree.files > self._max_files):
            return (_unchecked(project, experiment.dataset, tree),)
        if counts is None:
            counts = self._check(folder, experiment)
            self._keep(project, experiment, digest, counts)
        return tuple(_findings(counts, project, experiment.dataset))

    def look(self, folder: Path) -> None:
        """Notes the state of the files before ``dataset check`` reads them. See ``keep``."""
        self._tree(folder, None)

    def keep(self, project: str, folder: Path, findings: Sequence[Finding]) -> None:
        """Keeps what ``dataset check`` found for every experiment with this dataset. ``look`` was called before."""
        from taorunner.planning.checks.dataset_requirements import experiment_needs
        from taorunner.planning.inputs.workspace_networks import Networks

        loaded = load_project(self._workspace, project)
        networks = Networks(self._workspace.networks_dir)
        wanted = folder.resolve()
        of_specs = {
            name: {need.spec for need in experiment_needs(experiment, networks, folder)}
            for name, experiment in loaded.experiments.items()
            if loaded.paths.dataset_dir(experiment.dataset).resolve() == wanted
        }
        every = {spec for specs in of_specs.values() for spec in specs}
        for name, specs in of_specs.items():
            experiment = loaded.experiments[name]
            digest = self._digest(self._trees[folder], experiment)
            self._keep(project, experiment, digest, _counts(findings, every - specs))

    def _tree(self, folder: Path, deadline: float | None) -> _Tree:
        if folder not in self._trees:
            self._trees[folder] = _tree_of(folder, self._clock, deadline)
        return self._trees[folder]

    def _digest(self, tree: _Tree, experiment: Experiment) -> str:
        return f"{_VERSION} {tree.digest} {_crc(self._asked(experiment)):08x}"

    def _kept(self, project: str, experiment: Experiment, digest: str) -> Counter[str] | None:
        places = (place / project / f"{experiment.name}.json" for place in self._places())
        return next((counts for path in places if (counts := _read(path, digest)) is not None), None)

    def _keep(self, project: str, experiment: Experiment, digest: str, counts: Counter[str]) -> None:
        """In the first place that can be written. In none, the next training checks again."""
        for place in self._places():
            with suppress(OSError):
                path = place / project / f"{experiment.name}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_json(path, {"digest": digest, "errors": counts}, indent=None)
                return

    def _places(self) -> Iterator[Path]:
        """The workspace's cache, and the caller's own, where each workspace has a folder."""
        yield self._workspace.state_dir / "cache" / "dataset-checks"
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 (never raises)
        root = _crc(str(self._workspace.state_dir.absolute()))
        yield Path(home) / "taorunner" / "dataset-checks" / f"{root:08x}"

    def _asked(self, experiment: Experiment) -> str:
        """The inputs of the needs, without reading them: settings, spec files and the workspace's own networks."""
        folders = (*experiment.spec_dirs, self._workspace.networks_dir)
        files = [list(_files(str(folder), "")) for folder in folders]
        return repr((experiment.head, experiment.release, experiment.vars, experiment.overrides, files))

    def _check(self, folder: Path, experiment: Experiment) -> Counter[str]:
        from taorunner.datasets.checks.run import check_dataset  # all readers: only where something changed
        from taorunner.planning.checks.dataset_requirements import experiment_needs
        from taorunner.planning.inputs.workspace_networks import Networks

        needs = experiment_needs(experiment, Networks(self._workspace.networks_dir), folder)
        key = (
            folder,
            repr([replace(need, spec=Path()) for need in needs]),
        )  # the experiment of a spec changes no count
        if key not in self._counted:
            try:
                findings = check_dataset(folder, needs=needs).findings
            except (UserFilesError, OSError):
                findings = []  # no dataset of a kind that is known here
            self._counted[key] = _counts(findings)
        return self._counted[key]


def _crc(text: str, before: int = 0) -> int:
    """Detects changes only. Forging it gains nothing, so a launch need not load a cryptographic hash."""
    return zlib.crc32(text.encode("utf-8", "surrogateescape"), before)


def _findings(counts: Counter[str], project: str, dataset: str) -> Iterator[Finding]:
    command = f"taorunner dataset check {dataset} -p {project}"
    errors = Counter({code: count for code, count in counts.items() if code != _PART})
    if errors:
        listed = ", ".join(f"{code} {count}" for code, count in errors.most_common(4))
        more = f" and {len(errors) - 4} other kinds" if len(errors) > 4 else ""
        total = sum(errors.values())
        shown = "an error" if total == 1 else f"{total} errors"
        message = f'the dataset "{dataset}" has {shown}: {listed}{more}'
        yield Finding(Severity.WARNING, "dataset-faults", message, f"{command} shows where")
    if counts[_PART]:
        message = f'the dataset "{dataset}" was only checked in part'
        yield Finding(Severity.WARNING, NOT_CHECKED, message, f"{command} names the rest, and what it needs")


def _counts(findings: Sequence[Finding], others: Collection[Path] = ()) -> Counter[str]:
    """Errors by code, and what was not checked; without those of ``others``, specs of other experiments."""
    return Counter(
        one.code
        for one in findings
        if one.file not in others
        and (one.is_error or (one.code == _PART and one.severity is Severity.WARNING))
    )


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


def _read(path: Path, digest: str) -> Counter[str] | None:
    try:
        value = json.loads(read_state(path, Trust.in_folder(path.parent)))
        if value["digest"] == digest:
            return Counter({str(code): int(count) for code, count in value["errors"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # none yet, or another user's
    return None
