"""Which weights an action reads: the pretrained model of an experiment, or one of its own checkpoints.

Looks at the file system, changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from taorunner.contracts import CheckpointContract, Framework

PRETRAINED_SUFFIXES = (".hdf5", ".tlt", ".pth", ".pth.tar", ".pt", ".ckpt", ".safetensors", ".bin", ".npz")
"""In order of preference. Source: tao/tensorflow.md section 8, tao/pretrained.md."""


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
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        return None, f"the folder cannot be read: {error.strerror}"
    for suffix in PRETRAINED_SUFFIXES:
        found = [path for path in files if path.name.endswith(suffix)]
        if len(found) == 1:
            return found[0], None
        if found:
            names = ", ".join(path.name for path in found[:4])
            return None, f"it holds {len(found)} {suffix} files ({names}), one was expected"
    return None, "it holds no weights (" + ", ".join(PRETRAINED_SUFFIXES[:4]) + ", …)"


def find_checkpoints(results: Path, contract: CheckpointContract) -> list[Path]:
    """Full checkpoints of the experiment, newest epoch last. Symlinks such as ``*_latest`` are passed over."""
    found: dict[Path, tuple[int, float]] = {}
    for pattern in contract.globs:
        for path in results.glob(pattern):
            if path.is_symlink() or path.is_dir() != contract.is_directory:
                continue
            found[path] = (epoch_of(path, contract) or 0, path.stat().st_mtime)
    return sorted(found, key=lambda path: found[path])


def epoch_of(path: Path, contract: CheckpointContract) -> int | None:
    """The 1-based epoch that the checkpoint's name tells, None where it tells none."""
    match = re.search(contract.epoch_pattern, path.name) if contract.epoch_pattern else None
    return int(match[1]) + 1 - contract.first_epoch if match else None


def choose_checkpoint(
    results: Path, contract: CheckpointContract, named: str | None
) -> tuple[Path | None, str | None, Sequence[str]]:
    """``(path, what is wrong, names there are)``. ``named`` is export_model or ``--checkpoint``: a path, a file
    name, or a name without its suffix; without it the newest epoch is taken."""
    checkpoints = find_checkpoints(results, contract)
    names = [path.name for path in checkpoints]
    if named is None:
        if checkpoints:
            return checkpoints[-1], None, names
        return None, f"there is no checkpoint in {results}", names
    if named.strip("./") == "":
        return None, f'"{named}" names no checkpoint', names
    for path in (Path(named), results / named):
        if path.exists() and (path.is_absolute() or path.is_relative_to(results)):
            return path, None, names
    if any(sep in named for sep in "*?[/"):
        return None, f'there is no file "{named}"', names
    by_name = {path.name: path for path in checkpoints} | {path.stem: path for path in checkpoints}
    if named in by_name:
        return by_name[named], None, names
    elsewhere = sorted(path for path in results.rglob("*") if named in (path.name, _stem(path)))
    if elsewhere:
        return elsewhere[-1], None, names
    return None, f'there is no checkpoint "{named}" in {results}', names


def _stem(path: Path) -> str:
    for suffix in PRETRAINED_SUFFIXES:
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    return path.name
