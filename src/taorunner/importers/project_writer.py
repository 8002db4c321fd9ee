"""Writes imported projects with the links and mounts that they need: all of it, or nothing.

Existing files are never replaced, and nothing outside the workspace is changed. Data and weights are linked, not
copied.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from taorunner.disk_room import is_no_room, no_room
from taorunner.errors import MachineError, UserFilesError
from taorunner.project.scaffold import make_workspace
from taorunner.project.schema import experiments_schema
from taorunner.project.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Arrival:
    """One project. Paths are relative to it: ``files`` with their content, ``links`` with their targets."""

    name: str
    files: Mapping[PurePosixPath, bytes] = field(default_factory=dict)
    links: Mapping[PurePosixPath, Path] = field(default_factory=dict)
    folders: tuple[PurePosixPath, ...] = ()


def refuse_existing(workspace: Workspace, names: Sequence[str]) -> None:
    """Raises UserFilesError where one of the projects exists already."""
    for name in names:
        root = workspace.project(name).root
        if os.path.lexists(root):
            hint = f'choose another name, or check it with "taorunner validate {name}"'
            raise UserFilesError(f'there is already a project "{name}" ({root})', hint=hint)


def place_projects(
    workspace: Workspace,
    arrivals: Sequence[Arrival],
    *,
    repositories: Mapping[PurePosixPath, Path],
    mounts: Mapping[str, Any] | None,
    heads: Sequence[str],
    secrets: Mapping[str, bytes] | None = None,
) -> list[Path]:
    """Creates the workspace if necessary, then everything in it. Returns the created paths.

    ``repositories`` are links below the folder of that name, ``mounts`` is the content of ``.tao_mounts.json``,
    ``secrets`` are files of the workspace that only their owner may read, by name.
    Each project is built under a temporary name and renamed. After a failure, everything created is removed.

    Raises:
        UserFilesError: a project, link or mounts file exists already.
        MachineError: the disk refuses.
    """
    refuse_existing(workspace, [one.name for one in arrivals])
    beside = {one.name: workspace.projects_dir / f".new-{one.name}-{os.getpid()}" for one in arrivals}
    made: list[Path] = []
    try:
        folders = make_workspace(workspace, experiments_schema(heads))
        for arrival in arrivals:
            _build(beside[arrival.name], arrival)
        for path, target in repositories.items():
            made += _linked(workspace.repositories_dir, path, target)
        if mounts is not None:
            made.append(_written_mounts(workspace.mounts_file, mounts))
        for name, content in (secrets or {}).items():
            made.append(_write_for_owner(workspace.root / name, content))
        for arrival in arrivals:
            root = workspace.project(arrival.name).root
            beside[arrival.name].rename(root)
            made.append(root)
    except OSError as error:
        _take_back(made)
        for folder in beside.values():
            shutil.rmtree(folder, ignore_errors=True)
        if is_no_room(error):
            raise no_room(error, workspace.root) from error
        where = error.filename2 or error.filename or workspace.root
        problem = (error.strerror or str(error)).lower()
        raise MachineError(
            f'cannot write "{where}": {problem}',
            hint="check the owner of the folder (ls -ld) and the free space (df -h)",
        ) from error
    return [*folders, *made]


def _build(root: Path, arrival: Arrival) -> None:
    root.mkdir()
    for folder in (*arrival.folders, PurePosixPath("data"), PurePosixPath("models"), PurePosixPath("specs")):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for path, content in arrival.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    for path, target in arrival.links.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target, target_is_directory=True)


def _linked(folder: Path, path: PurePosixPath, target: Path) -> list[Path]:
    """The link and the folders created for it, the outermost first."""
    made = []
    for parent in reversed(path.parents[:-1]):
        if not os.path.lexists(folder / parent):
            (folder / parent).mkdir()
            made.append(folder / parent)
    (folder / path).symlink_to(target, target_is_directory=True)
    return [*made, folder / path]


def _written_mounts(file: Path, mounts: Mapping[str, Any]) -> Path:
    """The values of ``Envs`` may be secrets."""
    return _write_for_owner(file, (json.dumps(mounts, indent=2, ensure_ascii=False) + "\n").encode())


def _write_for_owner(file: Path, content: bytes) -> Path:
    """Makes a file that only its owner may read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
    return file


def _take_back(made: Sequence[Path]) -> None:
    for path in reversed(made):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
