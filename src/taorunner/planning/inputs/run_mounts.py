"""The parts of the workspace that a container can read and write.

With the default mounts, a run writes to the results of its own experiment and, where the catalog says so, to the
project's data. experiments.yml, specs, other results and other projects are read-only. A mounts file is applied exactly
as written. No container sees ``.taorunner``, because later commands trust its content.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from taorunner.container_options import Mount
from taorunner.errors import Finding, Severity
from taorunner.planning.inputs.environment import HOME_INSIDE, RUN_INSIDE
from taorunner.planning.model.request import Site
from taorunner.project.mounts import Mounts
from taorunner.project.workspace import STATE, ProjectPaths, Workspace

VOLUME_CODE = "volume"
"""Of errors in ``--volume``."""


def run_mounts(
    workspace: Workspace, project: ProjectPaths, experiment: str, mounts: Mounts, site: Site, *, reads_data_only: bool
) -> tuple[Mount, ...]:  # fmt: skip
    """All mounts of a run, outer ones first. The sources below the project are made before the start, by us."""
    if mounts.file is not None:
        shown = tuple(Mount(entry.source, entry.destination, entry.read_only) for entry in mounts.entries)
        return (*shown, *hidden_state(workspace, shown), *own_mounts(workspace, site))
    closed = [
        one for one in mounts.entries if one.source == workspace.projects_dir and one not in mounts.volumes
    ]
    shown = tuple(
        Mount(entry.source, entry.destination, read_only=entry.read_only or entry in closed)
        for entry in mounts.entries
    )
    results = _real(project.results_dir(experiment), project)
    return (
        *shown,
        *data_mounts(project.data_dir, mounts, read_only=reads_data_only),
        *(() if results is None else mounted_again(results, mounts)),
        *hidden_state(workspace, shown),
        *own_mounts(workspace, site),
    )


def volume_findings(
    workspace: Workspace, volumes: Iterable[Mount], bound: Iterable[Mount]
) -> Iterator[Finding]:
    """Errors for volumes of the command line that show ``.taorunner``, or take the place of another of the mounts."""
    given = tuple(volumes)
    yield from state_findings(workspace, given)
    taken: dict[str, Mount] = {}
    for mount in (*given, *bound):
        there = taken.setdefault(mount.target, mount)
        if there != mount:
            message = f'two mounts at "{mount.target}": "{there.source}" and "{mount.source}"'
            yield Finding(Severity.ERROR, VOLUME_CODE, message, "give each its own destination")


def own_mounts(workspace: Workspace, site: Site) -> tuple[Mount, ...]:
    """The home folder of the processes inside, and the run's own input."""
    return (
        Mount(workspace.home_dir, HOME_INSIDE),
        Mount(site.run_dir / "input", RUN_INSIDE, read_only=True),
    )


def hidden_state(workspace: Workspace, shown: Iterable[Mount]) -> tuple[Mount, ...]:
    """An empty folder over each place at which ``.taorunner`` would be seen, or the sources of our own mounts, which a
    container could put links in the place of."""
    mounts = tuple(shown)
    taken = {mount.target for mount in mounts}
    hidden: list[Mount] = []
    for mount in mounts:
        source = os.path.realpath(mount.source)
        for covered in map(os.path.realpath, (workspace.state_dir, workspace.inside_dir)):
            target = os.path.normpath(f"{mount.target}/{os.path.relpath(covered, source)}")
            if _is_within(covered, source) and target not in taken:
                taken.add(target)
                hidden.append(Mount(workspace.hidden_dir, target, read_only=True))
    return tuple(hidden)


def state_findings(
    workspace: Workspace, shown: Iterable[Mount], file: Path | None = None
) -> Iterator[Finding]:
    """Errors for mounts behind which ``.taorunner`` cannot be hidden: those from within it, and those that show a link
    of that name, which a container could put something else in the place of."""
    state = os.path.realpath(workspace.state_dir)
    is_link = os.path.islink(workspace.state_dir)  # noqa: PTH114 (its folder may be unreadable)
    for mount in shown:
        source = os.path.realpath(mount.source)
        if _is_within(source, state):
            message = f'"{mount.source}" is part of {STATE}, which no container may see'
            yield Finding(Severity.ERROR, "state-mounted", message, "mount another folder", file)
        elif is_link and _is_within(os.path.realpath(workspace.root), source):
            message = f'"{mount.source}" shows the link "{STATE}", which a container could replace'
            hint = f"mount projects/ instead, or make {STATE} a folder of the workspace"
            yield Finding(Severity.ERROR, "state-mounted", message, hint, file)


def outside_findings(
    project: ProjectPaths, experiment: str, mounts: Mounts, *, reads_data_only: bool
) -> Iterator[Finding]:
    """Links that lead what is to be written to a place that is read-only inside: an error for results, which are
    written in any case, a warning for data."""
    if mounts.file is not None or mounts.is_identity:
        return
    hint = "put the folder itself there; or name what may be written in .tao_mounts.json"
    results = project.results_dir(experiment)
    if _real(results, project) is None:
        message = f'"models/{experiment}" leads to "{os.path.realpath(results)}", which is read-only inside'
        yield Finding(Severity.ERROR, "results-outside", message, hint, results)
    if not reads_data_only and project.data_dir.is_symlink():
        message = f'"data" leads to "{os.path.realpath(project.data_dir)}", which is read-only inside'
        yield Finding(Severity.WARNING, "data-outside", message, hint, project.data_dir)


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _real(results: Path, project: ProjectPaths) -> Path | None:
    """The folder itself where links within ``models/`` lead to it; None where they lead out of it."""
    root, real = os.path.realpath(project.root), os.path.realpath(results)
    if not real.startswith(f"{root}/models/"):
        return None
    return project.root / os.path.relpath(real, root)


def data_mounts(data_dir: Path, mounts: Mounts, *, read_only: bool) -> tuple[Mount, ...]:
    """The project's ``data/`` once more, over each place where a mount shows it.

    None where ``data/`` is a link: the engine would follow it out of the mounts. A mounts file is kept to the letter.
    """
    if mounts.file is not None or data_dir.is_symlink() or not data_dir.is_dir():
        return ()
    return tuple(mounted_again(data_dir, mounts, read_only=read_only))


def mounted_again(folder: Path, mounts: Mounts, *, read_only: bool = False) -> Iterator[Mount]:
    """``folder`` over each place where a mount shows it. A volume of the command line is kept to the letter."""
    for entry in mounts.entries:
        if entry not in mounts.volumes and folder.is_relative_to(entry.source):
            inside = f"{entry.destination}/{folder.relative_to(entry.source).as_posix()}"
            yield Mount(folder, inside, read_only)
