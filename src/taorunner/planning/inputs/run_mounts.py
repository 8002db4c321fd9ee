"""The parts of the workspace that a container can read and write.

With the default mounts, a run writes to the results of its own experiment and, where the catalog says so, to the
project's data. experiments.yml, specs, other results, other projects and ``repositories/`` are read-only. It is the
same where a mounts file shows the project read-only; else a mounts file is applied as written. No container sees
``.taorunner``, because later commands trust its content.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from taorunner.container_options import Mount
from taorunner.errors import Finding, Severity
from taorunner.image_names import is_digest, registry_of
from taorunner.planning.inputs.environment import HOME_INSIDE, RUN_INSIDE
from taorunner.planning.model.folder_listing import FolderListing
from taorunner.planning.model.request import Site
from taorunner.project.mounts import MountEntry, Mounts
from taorunner.project.workspace import STATE, ProjectPaths, Workspace

VOLUME_CODE = "volume"
"""Of errors in ``--volume``."""


def run_mounts(
    workspace: Workspace, project: ProjectPaths, experiment: str, mounts: Mounts, site: Site, *,
    image: str | None, reads_data_only: bool,
) -> tuple[Mount, ...]:  # fmt: skip
    """All mounts of a run, outer ones first. The sources below the project are made before the start, by us."""
    shown = tuple(
        Mount(entry.source, entry.destination, _is_closed(entry, mounts)) for entry in mounts.entries
    )
    results, data = _real(project.results_dir(experiment), project), project.data_dir
    has_data = data.is_dir() and not data.is_symlink()  # the engine would follow a link out of the mounts
    closed = [*_closed_around(project, mounts)]
    return (
        *shown,
        *(_again(data, entry, read_only=reads_data_only) for entry in closed if has_data),
        *(_again(results, entry) for entry in closed if results is not None),
        *hidden_state(workspace, shown),
        *own_mounts(workspace, image, site),
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


def own_mounts(workspace: Workspace, image: str | None, site: Site) -> tuple[Mount, ...]:
    """The home folder of the processes inside, and the run's own input."""
    return (
        Mount(home_of(workspace, image), HOME_INSIDE),
        Mount(site.run_dir / "input", RUN_INSIDE, read_only=True),
    )


def home_of(workspace: Workspace, image: str | None) -> Path:
    """HOME inside containers of that image, which the images of one repository share.

    Those of others would execute what one of them leaves there: Python's user site, compiled kernels, files of a shell.
    """
    name = image or "none"
    # "/" and ":" are in no other place of a name; mounts of Slurm's runtimes are split at ":"
    folder = (name if is_digest(name) else "/".join(registry_of(name))).replace("/", "+").replace(":", "@")
    if len(folder) > 200:
        from hashlib import sha256  # takes 2 ms to import

        folder = sha256(folder.encode()).hexdigest()
    return workspace.homes_dir / folder


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
    project: ProjectPaths,
    experiment: str,
    mounts: Mounts,
    listing: FolderListing | None = None,
    *,
    reads_data_only: bool,
) -> Iterator[Finding]:
    """Links that lead what is to be written to a place that is read-only inside: an error for results, which are
    written in any case, a warning for data."""
    places = (f"{project.root}/models", project.results_text(experiment), f"{project.root}/data")
    listing = listing or FolderListing()
    if not any(map(listing.is_link, places)) or not any(_closed_around(project, mounts)):
        return
    results = project.results_dir(experiment)
    hint = "put the folder itself there; or name what may be written in .tao_mounts.json"
    if _real(results, project) is None:
        message = f'"models/{experiment}" leads to "{os.path.realpath(results)}", which is read-only inside'
        yield Finding(Severity.ERROR, "results-outside", message, hint, results)
    if not reads_data_only and project.data_dir.is_symlink():
        message = f'"data" leads to "{os.path.realpath(project.data_dir)}", which is read-only inside'
        yield Finding(Severity.WARNING, "data-outside", message, hint, project.data_dir)


def may_write(mounts: Mounts, path: str, writable: Iterable[str]) -> bool:
    """Whether a container may write at a path of this host. ``writable`` are the run's own results, and data that it
    writes."""
    entry = mounts.covering(Path(path))
    return entry is None or not _is_closed(entry, mounts) or any(_is_within(path, one) for one in writable)


def _is_closed(entry: MountEntry, mounts: Mounts) -> bool:
    """Whether a run may not write there, but for its own results and data. The default mounts are closed."""
    return entry.read_only or (mounts.file is None and entry not in mounts.volumes)


def _closed_around(project: ProjectPaths, mounts: Mounts) -> Iterator[MountEntry]:
    """The closed mounts that show the whole project. A volume of the command line is kept to the letter."""
    root = os.path.realpath(project.root)
    for entry in mounts.entries:
        is_closed = entry not in mounts.volumes and _is_closed(entry, mounts)
        if is_closed and _is_within(root, os.path.realpath(entry.source)):
            yield entry


def _again(folder: Path, entry: MountEntry, *, read_only: bool = False) -> Mount:
    """``folder``, which the mount shows, once more and over it."""
    below = os.path.relpath(os.path.realpath(folder), os.path.realpath(entry.source))
    return Mount(folder, f"{entry.destination}/{below}", read_only)


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _real(results: Path, project: ProjectPaths) -> Path | None:
    """The folder itself where links within ``models/`` lead to it; None where they lead out of it."""
    root, real = os.path.realpath(project.root), os.path.realpath(results)
    if not real.startswith(f"{root}/models/"):
        return None
    return project.root / os.path.relpath(real, root)
