"""Finds what a run wrote: its checkpoints, the files that its contract names, and what is new in its own folder.

Only reads. What a container wrote can be anything: links are never followed, only regular files are opened, and every
search has a limit.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from taorunner.backends.contract import SearchesResults
from taorunner.contained_files import link_on_the_way
from taorunner.errors import TaorunnerError
from taorunner.planning.checkpoints.checkpoint_files import epoch_of, find_checkpoints
from taorunner.planning.model.plan import RunPlan
from taorunner.project.clusters.far_place import FarPlace, far_place
from taorunner.runs.far_results import seen_plan
from taorunner.runs.outputs.recorded import CHECKPOINT, ENTRIES_READ, Output, RunResults, stored_time
from taorunner.runs.results import CLOCK_SLACK_S, LocalResults
from taorunner.values.stored import LARGEST
from taorunner.values.value import replace

HASHED_BYTES = 256 * 1024**2
"""Files are hashed as long as all of a run's together are not larger: a second of work."""
_OUTPUTS_KEPT = 500
_BLOCK = 1024**2

_IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})
_KINDS = {
    ".onnx": "onnx", ".engine": "engine", ".trt": "engine", ".plan": "engine",
    ".etlt": "model", ".uff": "model", ".tlt": "model", ".hdf5": "model", ".h5": "model", ".pth": "model",
    ".pt": "model", ".ckpt": "model", ".keras": "model", ".safetensors": "model", ".npz": "model",
    ".csv": "table", ".yaml": "spec", ".yml": "spec", ".log": "log", ".cal": "calibration",
    ".tensorfile": "calibration",
    ".tfrecord": "records", ".tfrecords": "records", ".lmdb": "records", ".mdb": "records",
    **dict.fromkeys(_IMAGES, "images"),
}  # fmt: skip
"""The kind of a file by its suffix."""


def results_folder(plan: RunPlan) -> Path:
    """The folder that the action of ``plan`` writes into, on this host."""
    sub = plan.contract.results_subdir
    return plan.results_dir / sub if sub else plan.results_dir


def scan_results(
    plan: RunPlan, since: datetime, *, until: datetime | None = None, hashes: bool = True,
    far: SearchesResults | None = None,
) -> RunResults:  # fmt: skip
    """What was written at or after ``since``, and not after ``until``. Never raises OSError: what cannot be read is
    left out. Of results on another disk it says what was seen of them; ``far`` gives their digests."""
    place = far_place(plan.workspace, plan.backend, plan.backend_options)
    if place is not None:
        seen = _found(seen_plan(plan, place), since, until, hashes=False)
        outputs = tuple(replace(one, path=place.own(one.path)) for one in seen.outputs)
        if far is not None:
            outputs = _hashed_there(outputs, place, far)
        there = f"{place.host}:{place.path(results_folder(plan))}"
        return RunResults(results_folder(plan), outputs, there)
    return _found(plan, since, until, hashes=hashes)


def _found(plan: RunPlan, since: datetime, until: datetime | None, *, hashes: bool) -> RunResults:
    until_s = until.timestamp() + CLOCK_SLACK_S if until is not None else math.inf
    span = (since.timestamp() - CLOCK_SLACK_S, until_s)
    checkpoints = list(_checkpoints(plan, span))
    known = {output.path for output in checkpoints}
    others: dict[Path, Output] = {}
    for path in _candidates(plan):
        if len(others) >= _OUTPUTS_KEPT:
            break
        if path in known or path in others:
            continue
        output = _output(path, plan, span)
        if output is not None:
            others[path] = output
    found = list(others.values())
    if hashes:
        found = _hashed(found)
    return RunResults(results_folder(plan), (*checkpoints, *found))


def _writes_checkpoints(plan: RunPlan) -> bool:
    """Whether the action of ``plan`` writes the network's checkpoints."""
    return plan.action == "train" or bool(
        set(plan.contract.checkpoints.globs).intersection(plan.contract.verdict.artifacts)
    )


def _checkpoints(plan: RunPlan, span: tuple[float, float]) -> Iterator[Output]:
    if not _writes_checkpoints(plan):
        return
    contract = plan.contract.checkpoints
    try:
        found = find_checkpoints(plan.results_dir, contract)
    except OSError:
        return
    for path in found:
        facts = _facts(path, plan)
        if facts is None:
            continue
        if stat.S_ISDIR(facts.st_mode):
            size, files, newest_s = size_of_folder(path)
            if span[0] <= newest_s <= span[1]:
                epoch = epoch_of(path, contract)
                yield Output(path, CHECKPOINT, size, None, epoch, files, stored_time(facts))
        elif span[0] <= facts.st_mtime <= span[1]:
            epoch = epoch_of(path, contract)
            yield Output(path, CHECKPOINT, facts.st_size, None, epoch, None, stored_time(facts))


def _candidates(plan: RunPlan) -> Iterator[Path]:
    """The artifacts of the contract, then what lies directly in the folder of the action."""
    with suppress(OSError):
        yield from sorted(LocalResults(plan).artifacts())
    own = results_folder(plan)
    for entry in sorted(_entries(own), key=lambda entry: entry.name):
        path = Path(entry.path)
        if own != plan.results_dir or entry.is_file(follow_symlinks=False):
            yield path  # where actions share a folder, the folders in it belong to others


def _output(path: Path, plan: RunPlan, span: tuple[float, float]) -> Output | None:
    facts = _facts(path, plan)
    if facts is None:
        return None
    if stat.S_ISREG(facts.st_mode):
        file = Output(path, _kind(path), facts.st_size, modified_ns=stored_time(facts))
        return file if span[0] <= facts.st_mtime <= span[1] else None
    if not stat.S_ISDIR(facts.st_mode):
        return None
    size, files, newest_s = size_of_folder(path)
    if not files or not span[0] <= newest_s <= span[1]:
        return None
    return Output(path, _kind_of_folder(path), size, files=files, modified_ns=stored_time(facts))


def _facts(path: Path, plan: RunPlan) -> os.stat_result | None:
    """None for a link, what is not there, and what a link below the results, or out of the workspace, leads to."""
    try:
        facts = os.lstat(path)
        inside = path.parent.resolve().is_relative_to(plan.workspace.resolve())
    except (OSError, ValueError, RuntimeError):
        return None
    is_linked = path.is_relative_to(plan.results_dir) and link_on_the_way(plan.results_dir, path) is not None
    return None if stat.S_ISLNK(facts.st_mode) or is_linked or not inside else facts


def _kind(path: Path) -> str:
    name = path.name.lower()
    if name.startswith("status") and name.endswith(".json"):
        return "status"
    if "tfrecord" in name or "-of-" in name:
        return "records"
    return _KINDS.get(path.suffix.lower(), "calibration" if name.startswith("calibration") else "file")


def _kind_of_folder(folder: Path) -> str:
    """By what the first files in it are."""
    names = [path.name.lower() for path, _ in _walk(folder, 200)]
    if any(Path(name).suffix in _IMAGES for name in names):
        return "images"
    if names and all(name.endswith((".txt", ".json")) for name in names):
        return "labels"
    return "records" if any(_kind(Path(name)) == "records" for name in names) else "folder"


def size_of_folder(folder: Path) -> tuple[int, int, float]:
    """Bytes and number of the files in ``folder`` and below, and the time of the newest in seconds of the epoch."""
    size, files, newest_s = 0, 0, 0.0
    for _, facts in _walk(folder, ENTRIES_READ):
        size = min(size + facts.st_size, LARGEST - 1)  # of files with holes
        files, newest_s = files + 1, max(newest_s, facts.st_mtime)
    return size, files, newest_s


def _walk(folder: Path, limit: int) -> Iterator[tuple[Path, os.stat_result]]:
    """Regular files below ``folder``, at most ``limit`` entries; links are not followed."""
    waiting, read = [folder], 0
    while waiting and read < limit:
        for entry in _entries(waiting.pop()):
            read += 1
            if read > limit:
                return
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder that is no link, without links and hidden ones; empty where it cannot be read."""
    found: list[os.DirEntry[str]] = []
    with suppress(OSError):
        if folder.is_symlink():
            return found
        with os.scandir(folder) as entries:
            for entry in entries:
                if len(found) >= ENTRIES_READ:
                    break
                if not entry.is_symlink() and not entry.name.startswith("."):
                    found.append(entry)
    return found


def _hashed(outputs: list[Output]) -> list[Output]:
    left = HASHED_BYTES
    hashed: list[Output] = []
    for output in outputs:
        digest = None
        if output.files is None and output.bytes <= left:
            left -= output.bytes
            digest = sha256_of(output.path, output.bytes)
        hashed.append(replace(output, sha256=digest))
    return hashed


def _hashed_there(outputs: Sequence[Output], place: FarPlace, far: SearchesResults) -> tuple[Output, ...]:
    """The same files as here: no checkpoints, and as long as they are small together."""
    left, asked = HASHED_BYTES, []
    for one in outputs:
        if one.kind != CHECKPOINT and one.files is None and one.bytes <= left:
            left -= one.bytes
            asked.append(place.path(one.path))
    known: Mapping[str, str] = {}
    with suppress(TaorunnerError):
        known = far.digests(place.host, asked)
    return tuple(replace(one, sha256=known.get(place.path(one.path))) for one in outputs)


def sha256_of(path: Path, size: int) -> str | None:
    """The digest of a regular file of ``size`` bytes, in hexadecimal; None when it cannot be read or has changed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    digest, read = hashlib.sha256(), 0
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            while read <= size and (block := file.read(_BLOCK)):
                read += len(block)
                digest.update(block)
        except OSError:
            return None
    return digest.hexdigest() if read == size else None
