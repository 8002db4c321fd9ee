"""The fast dataset check before each training. Its result is cached until a file changes.

It warns and never stops a training, because the training may read records that were made earlier. Results are kept in
``.taorunner/cache`` with a checksum of the names, sizes and times of all files.
"""

from __future__ import annotations

import json
import os
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from taorunner.atomic_files import write_json
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.project.experiments import Experiment
from taorunner.project.workspace import Workspace
from taorunner.state_files import Trust, read_state

MAX_FILES = 50_000
"""A larger dataset would delay a training by half a minute; it is checked only on request."""
_VERSION = 3


class DatasetPreflight:
    """For one command: each folder is walked once, and checked once for each requirement.

    Nothing of specs or datasets is imported while the answers are kept ones.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._trees: dict[Path, str | None] = {}
        self._counted: dict[tuple[Path, str], Counter[str]] = {}

    def warnings(self, project: str, folder: Path, experiment: Experiment) -> tuple[Finding, ...]:
        """One warning with the counts, or none. ``folder`` is the experiment's dataset on this host."""
        if folder not in self._trees:
            self._trees[folder] = _tree_digest(folder)
        tree = self._trees[folder]
        if tree is None:
            return ()
        digest = f"{_VERSION} {tree} {_crc(self._asked(experiment)):08x}"
        cache = self._workspace.state_dir / "cache" / "dataset-checks"
        kept = cache / project / f"{experiment.name}.json"
        counts = _read(kept, digest)
        if counts is None:
            counts = self._check(folder, experiment)
            _write(kept, digest, counts)
        if not counts:
            return ()
        listed = ", ".join(f"{code} {count}" for code, count in counts.most_common(4))
        more = f" and {len(counts) - 4} other kinds" if len(counts) > 4 else ""
        total = sum(counts.values())
        errors = "an error" if total == 1 else f"{total} errors"
        message = f'the dataset "{experiment.dataset}" has {errors}: {listed}{more}'
        hint = f"taorunner dataset check {experiment.dataset} -p {project} shows where"
        return (Finding(Severity.WARNING, "dataset-faults", message, hint),)

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
            wrong = (finding.code for finding in findings if finding.severity is Severity.ERROR)
            self._counted[key] = Counter(wrong)
        return self._counted[key]


def _crc(text: str, before: int = 0) -> int:
    """Detects changes only. Forging it gains nothing, so a launch need not load a cryptographic hash."""
    return zlib.crc32(text.encode("utf-8", "surrogateescape"), before)


def _tree_digest(folder: Path) -> str | None:
    """Number of files, their bytes, and a checksum; None for no folder, an empty one, or one with too many files."""
    count = total = crc = 0
    for name, size, time in _files(str(folder), ""):
        count += 1
        if count > MAX_FILES:
            return None
        total += size
        crc = _crc(f"{name}\0{size}\0{time}\0", crc)
    return f"{count} {total} {crc:08x}" if count else None


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


def _write(path: Path, digest: str, counts: Counter[str]) -> None:
    """Not stored where the disk is full or not writable; the next training then checks again."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"digest": digest, "errors": counts}, indent=None)
