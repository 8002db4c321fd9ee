"""Maps host paths to container paths, from ``.tao_mounts.json`` or from the workspace's folders.

The file has the format of the TAO launcher. It is read from the workspace, else from the path in LAUNCHER_MOUNTS, else
from the home folder; without it the workspace's folders are mounted. Intended differences from the launcher: ``$VAR``
is expanded, a relative source is relative to the file (not to the current folder), and one source may have two
destinations.

Source: tao/tensorflow.md section 9, nvidia_tao_cli docker_handler.py and local_instance.py (5.1, 6.26.3).
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from taorunner.container_options import Mount
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.project.workspace import Workspace

LAUNCHER_VARIABLE = "LAUNCHER_MOUNTS"
INSIDE = "/workspace"
_MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class MountEntry:
    """``source`` on this host (absolute, links kept), ``destination`` an absolute POSIX path inside.

    ``place`` is the line and column in the mounts file.
    """

    source: Path
    destination: str
    read_only: bool = False
    place: tuple[int, int] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class DockerOptions:
    """Options for Docker. ``ports`` maps container ports to host ports; ``ulimits`` set soft and hard limit."""

    user: str | None = None
    ports: Mapping[int, int] = field(default_factory=dict)
    shm_bytes: int | None = None
    ulimits: Mapping[str, int] = field(default_factory=dict)
    privileged: bool = False
    network: str | None = None
    tty: bool = False


@dataclass(frozen=True, slots=True)
class Mounts:
    """The mapping between host paths and container paths.

    ``entries`` are mounted in the order of the file. ``absent`` are default folders that do not exist: they are not
    mounted, but their paths can already be mapped. ``file`` is None for the default mounts. ``volumes`` are those of
    ``entries`` that the command line adds.
    """

    entries: tuple[MountEntry, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: DockerOptions = DockerOptions()
    findings: tuple[Finding, ...] = ()
    file: Path | None = None
    absent: tuple[MountEntry, ...] = ()
    is_identity: bool = False
    volumes: tuple[MountEntry, ...] = ()
    _resolved: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def identity(cls, env: Mapping[str, str] | None = None, options: DockerOptions | None = None) -> Mounts:
        """For backends without containers: paths are unchanged."""
        return cls((), env or {}, options or DockerOptions(), is_identity=True)

    def with_volumes(self, volumes: Sequence[Mount]) -> Mounts:
        """These mounts and those of ``--volume``, without volumes at a place that is taken.

        A volume takes the place of a default folder that does not exist.
        """
        taken = {one.destination for one in self.entries}
        added: dict[str, MountEntry] = {}
        for one in volumes:
            if one.target not in taken and one.target not in added:
                added[one.target] = MountEntry(one.source, one.target, one.read_only)
        absent = tuple(one for one in self.absent if one.destination not in added)
        volumes_here = tuple(added.values())
        return replace(self, entries=(*self.entries, *volumes_here), absent=absent, volumes=volumes_here)

    def to_inside(self, path: Path) -> str:
        """The container path of ``path``, which need not exist.

        Links are followed, because a link that leaves its mount is broken inside. The longest source wins; among equals
        the one that the path itself contains, then the first. A volume of the command line counts only for a path that
        no other mount covers.

        Raises:
            UserFilesError: no mount covers the path, or a mount over it hides it.
        """
        literal = os.path.abspath(path)  # noqa: PTH100 (Path.absolute keeps "..")
        if self.is_identity:
            return literal
        resolved = self._resolve(literal)
        best: tuple[tuple[bool, int, bool], str] | None = None
        for entry in (*self.entries, *self.absent):
            source = self._resolve(str(entry.source))
            rest = _below(resolved, source)
            if rest is None:
                continue
            inside = posixpath.join(entry.destination, rest) if rest else entry.destination
            rank = (entry not in self.volumes, len(source), _below(literal, str(entry.source)) is not None)
            if (best is None or rank > best[0]) and self._entry_at(inside) == entry:
                best = (rank, inside)
        if best is None:
            raise self._not_covered(literal, resolved)
        return best[1]

    def covering(self, path: Path) -> MountEntry | None:
        """The mount that shows ``path``, of this host, to a container; None when none does."""
        try:
            return self._entry_at(self.to_inside(path))
        except UserFilesError:
            return None

    def to_host(self, inside: str) -> Path | None:
        """The host path of a container path; None when it is not mounted."""
        if not inside.startswith("/"):
            return None
        path = _normal(inside)
        if self.is_identity:
            return Path(path)
        entry = self._entry_at(path)
        if entry is None:
            return None
        rest = _below(path, entry.destination)
        return entry.source / rest if rest else entry.source

    def _entry_at(self, inside: str) -> MountEntry | None:
        """The mount visible at a container path: the deepest destination above it."""
        covering = [
            one for one in (*self.entries, *self.absent) if _below(inside, one.destination) is not None
        ]
        return max(covering, key=lambda one: len(one.destination), default=None)

    def _not_covered(self, literal: str, resolved: str) -> UserFilesError:
        way = f'no mount covers "{literal}"'
        if resolved != literal:
            way += f', which leads to "{resolved}"'
        shown = (
            "; ".join(f'"{entry.source}" at {entry.destination}' for entry in self.entries[:8]) or "nothing"
        )
        where = f'"{self.file}"' if self.file else ".tao_mounts.json"
        return UserFilesError(way, hint=f"mounted: {shown}; move it there, or add a mount to {where}")

    def _resolve(self, path: str) -> str:
        """``os.path.realpath`` with results kept per folder, because thousands of paths share their folders."""
        known = self._resolved.get(path)
        if known is None and path.count("/") > _MAX_DEPTH:
            return os.path.realpath(path)
        if known is None:
            parent, name = os.path.split(path)
            if not name:
                known = path
            elif os.path.islink(path):  # noqa: PTH114 (a str)
                known = os.path.realpath(path)
            else:
                known = os.path.join(self._resolve(parent), name)  # noqa: PTH118 (a str)
            self._resolved[path] = known
        return known


def load_mounts(workspace: Workspace, environ: Mapping[str, str]) -> Mounts:
    """The mounts of this workspace. Problems of the file are in ``findings``; it never raises for them."""
    home = Path(environ.get("HOME") or Path.home())
    if os.path.lexists(workspace.mounts_file):
        return mounts_from_file(workspace.mounts_file, environ, home)
    named = environ.get(LAUNCHER_VARIABLE)
    if named:
        file = Path(os.path.abspath(_with_home(named, home)))  # noqa: PTH100 (Path.absolute keeps "..")
        if not os.path.lexists(file):
            message = f'{LAUNCHER_VARIABLE} names "{file}", which does not exist'
            hint = f"make the file, or unset {LAUNCHER_VARIABLE}"
            return Mounts(
                (), findings=(Finding(Severity.ERROR, "missing-file", message, hint, file),), file=file
            )
        return mounts_from_file(file, environ, home)
    if os.path.lexists(home / ".tao_mounts.json"):
        return mounts_from_file(home / ".tao_mounts.json", environ, home)
    return default_mounts(workspace)


def default_mounts(workspace: Workspace) -> Mounts:
    """Mounts ``projects/`` under two names (older specs say "experiments") and ``repositories/`` under one."""
    all_of_them = (
        MountEntry(workspace.projects_dir, f"{INSIDE}/projects"),
        MountEntry(workspace.projects_dir, f"{INSIDE}/experiments"),
        MountEntry(workspace.repositories_dir, f"{INSIDE}/repositories"),
    )
    entries = tuple(entry for entry in all_of_them if os.path.isdir(entry.source))  # noqa: PTH112
    absent = tuple(entry for entry in all_of_them if entry not in entries)
    return Mounts(entries, absent=absent)


def mounts_from_file(file: Path, environ: Mapping[str, str], home: Path) -> Mounts:
    """The mounts of that file alone. Its problems are in ``findings``."""
    # Imported here, because most workspaces have no such file, and checking it needs pydantic.
    from taorunner.project.mounts_file import read_mounts_file

    content = read_mounts_file(file, environ, home)
    entries = tuple(
        MountEntry(one.source, one.destination, one.read_only, one.place) for one in content.mounts
    )
    options = DockerOptions(
        content.user,
        content.ports,
        content.shm_bytes,
        content.ulimits,
        content.privileged,
        content.network,
        content.tty,
    )
    return Mounts(entries, content.env, options, content.findings, file)


def _with_home(text: str, home: Path) -> str:
    return str(home) + text[1:] if text == "~" or text.startswith("~/") else text


def _below(path: str, folder: str) -> str | None:
    """The part of ``path`` below ``folder``: empty for the folder itself, None if it is elsewhere."""
    if path == folder:
        return ""
    start = folder if folder.endswith("/") else folder + "/"
    return path[len(start) :] if path.startswith(start) else None


def _normal(inside: str) -> str:
    """Without ``.``, ``..`` and repeated slashes, also at the start, where POSIX keeps two."""
    return "/" + posixpath.normpath(inside).lstrip("/")
