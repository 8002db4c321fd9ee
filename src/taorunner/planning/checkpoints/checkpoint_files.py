"""Finds the weights that an action reads: a pretrained model, or a checkpoint of the experiment.

Reads the file system, changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from taorunner.contained_files import files_below, link_on_the_way, matches, walk
from taorunner.contracts import CheckpointContract, Framework
from taorunner.errors import Finding, Severity
from taorunner.progress.file_wholeness import is_torn, is_whole, not_weights
from taorunner.values.value import Value

PRETRAINED_SUFFIXES = (".hdf5", ".tlt", ".pth", ".pth.tar", ".pt", ".ckpt", ".safetensors", ".bin", ".npz")
"""In order of preference. Source: tao/tensorflow.md section 8, tao/pretrained.md."""

_TORN_BELOW = 0.5


def pretrained_dir(repositories: Path, repository: str, backbone: str) -> Path:
    """``repositories/<repository>/<repository>_v<backbone>``, as NGC's own downloader names it."""
    return repositories / repository / f"{repository}_v{backbone}"


def find_pretrained(folder: Path, framework: Framework) -> tuple[Path | None, str | None]:
    """The one weights file of ``folder``, or what is wrong. TF2 takes the folder itself (a saved model).

    File names are not uniform (``resnet_18.hdf5`` and ``resnet18.hdf5``), so it is looked for, not guessed.
    """
    if not folder.is_dir():
        return None, "the folder does not exist"
    if framework is Framework.TF2:
        return folder, None
    try:
        unread: list[OSError] = []
        below = (Path(place, name) for place, _, names in walk(folder, unread.append) for name in names)
        files = sorted(path for path in below if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        return None, f"the folder cannot be read: {error.strerror}"
    for suffix in PRETRAINED_SUFFIXES:
        found = [path for path in files if path.name.endswith(suffix)]
        if len(found) == 1:
            other = not_weights(found[0])
            return (
                (found[0], None) if other is None else (None, f"{found[0].name} is {other}, not the weights")
            )
        if found:
            names = ", ".join(path.name for path in found[:4])
            return None, f"it holds {len(found)} {suffix} files ({names}), one was expected"
    return None, "it holds no weights (" + ", ".join(PRETRAINED_SUFFIXES[:4]) + ", …)"


def find_checkpoints(results: Path, contract: CheckpointContract) -> list[Path]:
    """Full checkpoints of the experiment, newest epoch last, torn ones too; of one epoch the moving average first.

    Symlinks such as ``*_latest`` and untrained weights are passed over.
    """
    found: dict[Path, tuple[int, bool, float]] = {}
    for pattern in contract.globs:
        for path in matches(results, pattern):
            if path.is_symlink() or path.is_dir() != contract.is_directory or is_untrained(path, contract):
                continue
            is_average = is_moving_average(path, contract)
            with suppress(OSError):  # a training removes older ones at any moment
                found[path] = (epoch_of(path, contract) or 0, not is_average, path.stat().st_mtime)
    return sorted(found, key=lambda path: found[path])


def is_untrained(path: Path, contract: CheckpointContract) -> bool:
    """Whether these are weights of step 0, or a link to such: a start that failed leaves no others behind.

    Source: tao/real_runs.md M2; for TensorFlow 1 the family's file of the catalog.
    """
    if contract.untrained_pattern is None:
        return False
    names = [path.name, path.readlink().name] if path.is_symlink() else [path.name]
    return any(re.search(contract.untrained_pattern, name) for name in names)


def is_moving_average(path: Path, contract: CheckpointContract) -> bool:
    """Whether these are averaged weights (EMA) that were saved beside those of the training."""
    return contract.average_glob is not None and fnmatchcase(path.name, contract.average_glob)


def untrained_leftovers(results: Path, contract: CheckpointContract) -> tuple[Path, ...]:
    """Untrained weights among the checkpoints, and the link that would make TAO resume from them."""
    patterns = (*contract.globs, *contract.resume_globs)
    found = {
        path for pattern in patterns for path in matches(results, pattern) if is_untrained(path, contract)
    }
    if contract.latest is not None and is_untrained(results / contract.latest, contract):
        found.add(results / contract.latest)
    return tuple(sorted(found))


def whole_checkpoints(checkpoints: Iterable[Path]) -> list[Path]:
    """Without those that were cut off while they were written; the order is kept.

    Checkpoints of one training have similar sizes. Where the content is inconclusive, one of less than half the size
    counts as cut off.
    """
    from statistics import median  # takes longer to import than a spec to check

    known = {path: is_whole(path) for path in checkpoints}
    sizes = {path: path.stat().st_size for path in known if path.is_file() and known[path] is not False}
    usual = median(sizes.values()) if sizes else 0
    return [
        path
        for path, is_whole in known.items()
        if is_whole or (is_whole is None and (path not in sizes or sizes[path] >= usual * _TORN_BELOW))
    ]


def newest_whole(checkpoints: Sequence[Path], results: Path, contract: CheckpointContract) -> Path | None:
    """The one to use of ``checkpoints`` (newest last): where the ``latest`` link points, else the newest whole one."""
    return _newest(whole_checkpoints(checkpoints), results, contract)


def _newest(whole: Sequence[Path], results: Path, contract: CheckpointContract) -> Path | None:
    if contract.latest is not None and (results / contract.latest).is_symlink():
        aimed = (results / contract.latest).resolve()  # where TAO itself would resume
        linked = next((path for path in whole if path.resolve() == aimed), None)
        if linked is not None:
            return linked
    return whole[-1] if whole else None


def epoch_of(path: Path, contract: CheckpointContract) -> int | None:
    """The 1-based epoch in the checkpoint's name; None where it has none."""
    match = re.search(contract.epoch_pattern, path.name) if contract.epoch_pattern else None
    written = match[1] if match else None
    return int(written) + 1 - contract.first_epoch if written and written.isdecimal() else None


class Checkpoints(Value):
    """The checkpoints in ``results``, each read once: ``found`` newest epoch last, ``whole`` without those cut off."""

    results: Path
    contract: CheckpointContract
    found: tuple[Path, ...]
    whole: tuple[Path, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the whole ones."""
        return tuple(path.name for path in self.whole)

    def choose(self, named: str | None, shown: str | None = None) -> tuple[Path | None, str | None]:
        """``(path, what is wrong)``. ``named`` is export_model or ``--checkpoint``: a path, a file name, or a name
        without its suffix, which a message gives as ``shown``; without it the newest epoch is taken, never untrained or
        torn weights."""
        if named is None:
            chosen = _newest(self.whole, self.results, self.contract)
            return chosen, None if chosen else _none_to_use(self.found, self.results, self.contract)
        shown = named if shown is None else shown
        if named.strip("./") == "":
            return None, f'"{shown}" names no checkpoint'
        path = _named_checkpoint(self.results, self.found, named)
        if path is None:
            is_path = any(sep in named for sep in "*?[/")
            what = f'file "{shown}"' if is_path else f'checkpoint "{shown}" in {self.results}'
            return None, f"there is no {what}"
        if is_untrained(path, self.contract):
            return None, f'"{shown}" holds untrained weights: TAO wrote them before the first step'
        if is_torn(path):
            return None, f'the checkpoint "{shown}" is incomplete: it was cut off while it was written'
        return path, None

    def has(self, named: str) -> bool:
        """Whether there is a file that ``named`` means, one that cannot be used among them."""
        return named.strip("./") != "" and _named_checkpoint(self.results, self.found, named) is not None

    def torn_findings(self, chosen: Path) -> list[Finding]:
        """A warning for each checkpoint that is newer than the chosen one and was cut off."""
        if chosen not in self.found:
            return []
        return [
            Finding(
                Severity.WARNING,
                "checkpoint-torn",
                f'the checkpoint "{path.name}" is incomplete: it was cut off while it was written',
                f"{chosen.name} is used instead; the disk may have been full",
            )
            for path in self.found[self.found.index(chosen) + 1 :]
            if path not in self.whole
        ]


def checkpoints_of(results: Path, contract: CheckpointContract) -> Checkpoints:
    """Those in the results of an experiment. Reads the file system."""
    found = find_checkpoints(results, contract)
    return Checkpoints(results, contract, tuple(found), tuple(whole_checkpoints(found)))


def _none_to_use(checkpoints: Sequence[Path], results: Path, contract: CheckpointContract) -> str:
    if checkpoints:
        return f"{checkpoints[-1]} is incomplete: it was cut off while it was written"
    if leftovers := untrained_leftovers(results, contract):
        left = leftovers[0].name
        return f"there is no checkpoint in {results}: {left} is untrained, TAO wrote it before the first step"
    for pattern in contract.globs:
        link = link_on_the_way(results, results / pattern.rpartition("/")[0])
        if link is not None:
            return (
                f"there is no checkpoint in {results}: {link.name} is a symbolic link, which is not followed"
            )
    return f"there is no checkpoint in {results}"


def _named_checkpoint(results: Path, checkpoints: Sequence[Path], named: str) -> Path | None:
    for path in (Path(named), results / named):
        if path.exists() and (path.is_absolute() or path.is_relative_to(results)):
            return path
    if any(sep in named for sep in "*?[/"):
        return None
    by_name = {path.name: path for path in checkpoints} | {path.stem: path for path in checkpoints}
    if named in by_name:
        return by_name[named]
    elsewhere = sorted(path for path in files_below(results, results) if named in (path.name, _stem(path)))
    return elsewhere[-1] if elsewhere else None


def _stem(path: Path) -> str:
    for suffix in PRETRAINED_SUFFIXES:
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    return path.name
