"""Is the dataset of this training sound? The fast check before every train, remembered until a file changes.

It warns and never stops a training: what a training reads may be records made long before. What was found is kept in
``.taorunner/cache`` with a digest of names, sizes and times of all files.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.planning.dataset_needs import experiment_needs
from taorunner.project.experiments import Experiment
from taorunner.project.workspace import Workspace

MAX_FILES = 50_000
"""A larger dataset would hold a training up for half a minute: it is checked only on request."""
_VERSION = 1


def dataset_warnings(workspace: Workspace, folder: Path, experiment: Experiment) -> tuple[Finding, ...]:
    """One warning with the counts, or none. ``folder`` is the experiment's dataset on this host. Never raises."""
    needs = experiment_needs(experiment)
    digest = _digest(folder, repr(needs))
    if digest is None:
        return ()
    name = blake2b(
        f"{folder} {experiment.name}".encode("utf-8", "surrogateescape"), digest_size=12
    ).hexdigest()
    kept = workspace.state_dir / "cache" / "dataset-checks" / f"{name}.json"
    counts = _read(kept, digest)
    if counts is None:
        from taorunner.datasets.check import check_dataset  # all readers: only where something changed

        try:
            findings = check_dataset(folder, needs=needs).findings
        except (UserFilesError, OSError):
            return ()  # no dataset of a kind that is known here
        counts = Counter(finding.code for finding in findings if finding.severity is Severity.ERROR)
        _write(kept, digest, counts)
    if not counts:
        return ()
    listed = ", ".join(f"{code} {count}" for code, count in counts.most_common(4))
    more = f" and {len(counts) - 4} other kinds" if len(counts) > 4 else ""
    plural = "an error" if counts.total() == 1 else f"{counts.total()} errors"
    message = f'the dataset "{experiment.dataset}" has {plural}: {listed}{more}'
    project = folder.relative_to(workspace.projects_dir).parts[0]
    hint = f"taorunner dataset check {experiment.dataset} -p {project} tells where"
    return (Finding(Severity.WARNING, "dataset-faults", message, hint),)


def _digest(folder: Path, needs: str) -> str | None:
    """None for no folder, an empty one, or one with too many files."""
    digest = blake2b(f"{_VERSION} {needs}".encode("utf-8", "surrogateescape"), digest_size=24)
    count = 0
    for name, size, time in _files(str(folder), ""):
        count += 1
        if count > MAX_FILES:
            return None
        digest.update(f"{name}\0{size}\0{time}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest() if count else None


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
        value = json.loads(path.read_bytes())
        if value["digest"] == digest:
            return Counter({str(code): int(count) for code, count in value["errors"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # none yet, or not ours
    return None


def _write(path: Path, digest: str, counts: Counter[str]) -> None:
    """Not kept where the disk is full or not ours: the next training checks again."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(json.dumps({"digest": digest, "errors": counts}), encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
