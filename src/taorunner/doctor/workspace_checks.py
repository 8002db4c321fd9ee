"""Checks of the workspace: mounts exist, folders are writable, files belong to the user."""

from __future__ import annotations

import os
import posixpath
import re
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from taorunner.backends.process.embedded import EmbeddedBackend
from taorunner.doctor.check import Area, Check, error, info, ok, warning
from taorunner.doctor.host import Machine
from taorunner.errors import Finding
from taorunner.project.mounts import MountEntry, Mounts, load_mounts
from taorunner.project.workspace import Workspace

_WALK_S = 2.0
_CLOSED_SYSTEMS = ("fuse.sshfs", "fuse.rclone", "fuse.gcsfuse", "fuse.s3fs", "fuse.encfs", "fuse.gocryptfs")
"""File systems that only the mounting user can read, not even root, unless mounted with allow_other or
allow_root."""
_SNAP = "/var/snap/docker/"


def look_at_needs(machine: Machine) -> Iterator[Finding]:
    needs = machine.needs
    if machine.workspace is None:
        text = "no workspace here or above: only the machine is checked"
        yield info("workspace", text, "taorunner init-project my_project")
        return
    for name in needs.unreadable:
        text = f'"{name}" cannot be read completely, so it may need more than is reported here'
        yield warning("workspace-unreadable", text, f"taorunner validate {name}")
    where = f'workspace "{machine.workspace.root}"'
    if needs.images:
        yield ok("workspace", f"{where} needs {', '.join(needs.images)}")
    elif needs.is_known:
        yield ok("workspace", f"{where}: its experiments need no container")
    elif not needs.unreadable:
        yield info("workspace", f"{where} has no experiment yet", "taorunner init-project my_project")
    if needs.wants_embedded:
        yield from EmbeddedBackend().check()


def look_at_mounts(machine: Machine) -> Iterator[Finding]:
    if machine.workspace is None:
        return
    mounts = load_mounts(machine.workspace, machine.environ)
    said = [replace(finding, hint=_as_command(finding.hint)) for finding in mounts.findings]
    findings = [*said, *_misfits(machine, machine.workspace, mounts)]
    yield from findings
    if not findings:
        count = len(mounts.entries)
        said_by = f'"{mounts.file}"' if mounts.file else "of the workspace itself"
        yield ok("mounts", f"{count} mount{'s' if count != 1 else ''} {said_by}")


def _as_command(hint: str | None) -> str | None:
    """The command in the hint of the mounts file's reader, quoted for a shell."""
    match = re.fullmatch(r'make it with: mkdir -p "(.*)"', hint or "", re.DOTALL)
    return hint if match is None else f"mkdir -p {shlex.quote(match[1])}"


def _misfits(machine: Machine, workspace: Workspace, mounts: Mounts) -> Iterator[Finding]:
    sources = list(dict.fromkeys(entry.source for entry in mounts.entries))
    for source in sources:
        kind = _closed_system(machine, source)
        if kind is not None:
            text = f'"{source}" is on {kind}, which the engine may not read: mount it with allow_other'
            file = machine.path("etc/fuse.conf")
            hint = f"{machine.sudo}sed -i.before 's/^#user_allow_other/user_allow_other/' {file}"
            yield _at(mounts, error("mount-closed", text, hint))
        elif not source.is_dir():
            if source.exists() and not os.access(source, os.R_OK):
                yield _at(
                    mounts,
                    error("mount-unreadable", f'"{source}" cannot be read', _access_command(machine, source)),
                )
        elif not os.access(source, os.R_OK | os.X_OK):
            yield _at(
                mounts,
                error("mount-unreadable", f'"{source}" cannot be read', _access_command(machine, source)),
            )
    yield from _read_only(machine, workspace)
    yield from _nested(mounts)
    view = machine.engine_or_none()
    if view is not None and view.facts.data_root is not None and str(view.facts.data_root).startswith(_SNAP):
        outside = [source for source in sources if not source.is_relative_to("/home")]
        for source in outside:
            text = f'docker is installed from snap and sees only /home: "{source}" is empty in containers'
            yield error("mount-snap", text, f"cp -a {shlex.quote(str(source))} ~/")


def _nested(mounts: Mounts) -> Iterator[Finding]:
    """A mount inside another needs a mount point; if missing, the engine creates a folder that belongs to root."""
    for entry in mounts.entries:
        outer = _around(entry, mounts.entries)
        if outer is None:
            continue
        point = outer.source / posixpath.relpath(entry.destination, outer.destination)
        if not os.path.lexists(point):
            text = (
                f'"{entry.destination}" is inside the mount "{outer.destination}", which has no such folder:'
                f' the engine would create "{point}", owned by root'
            )
            yield _at(mounts, warning("mount-nested", text, f"mkdir -p {shlex.quote(str(point))}"))


def _around(entry: MountEntry, entries: Sequence[MountEntry]) -> MountEntry | None:
    inside = [other for other in entries if entry.destination.startswith(other.destination + "/")]
    return max(inside, key=lambda other: len(other.destination), default=None)


def _read_only(machine: Machine, workspace: Workspace) -> Iterator[Finding]:
    """Folders that runs write into. If projects were named, only theirs are checked."""
    records = workspace.state_dir if workspace.state_dir.is_dir() else workspace.root
    if not os.access(records, os.W_OK):
        text = f'"{records}" is not writable, so runs cannot be recorded'
        yield error("mount-not-writable", text, _access_command(machine, records))
    for name in machine.needs.projects or workspace.project_names():
        paths = workspace.project(name)
        if paths.models_dir.is_dir() and not os.access(paths.models_dir, os.W_OK):
            text = f'"{paths.models_dir}" is not writable, so runs cannot store results'
            yield error("mount-not-writable", text, _access_command(machine, paths.models_dir))
        if paths.data_dir.is_dir() and not os.access(paths.data_dir, os.W_OK):
            text = f'"{paths.data_dir}" is not writable, so conversions cannot store records'
            yield warning("mount-not-writable", text, _access_command(machine, paths.data_dir))


def _closed_system(machine: Machine, source: Path) -> str | None:
    """The type of the file system, if root may not read it."""
    best, found = "", None
    for line in (machine.text("proc/self/mounts") or "").splitlines():
        words = line.split()
        if len(words) < 4:
            continue
        point = words[1].replace("\\040", " ")
        if (str(source) + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
            options = words[3].split(",")
            is_closed = words[2] in _CLOSED_SYSTEMS and not {"allow_other", "allow_root"} & set(options)
            best, found = point, words[2] if is_closed else None
    return found


def look_at_owners(machine: Machine) -> Iterator[Finding]:
    """Files that a container created as root: the user can neither overwrite nor remove them."""
    workspace = machine.workspace
    if workspace is None:
        return
    owner = _owner(machine, workspace)
    if owner is None or owner[0] == 0:
        yield ok("owners", "the workspace belongs to root, so its files may, too")
        return
    folders = [
        folder
        for folder in (*_projects(machine, workspace), workspace.repositories_dir, workspace.state_dir)
        if folder.is_dir()
    ]
    found, seen, is_whole = _files_of_root(folders)
    if not found:
        rest = "" if is_whole else f" among the first {seen} (there are more)"
        yield ok("owners", f"no files of root in the workspace{rest}")
        return
    count = f"{len(found)} files and folders" if len(found) > 1 else "one file or folder"
    more = "" if is_whole else " at least"
    tops = shlex.join(str(folder) for folder in folders if any(path.is_relative_to(folder) for path in found))
    text = f'{count}{more} in the workspace belong to root, the first "{found[0]}"'
    repair = f"{machine.sudo}find {tops} -user root -exec chown -h {owner[0]}:{owner[1]} {{}} +"
    yield warning(
        "owners-root",
        text.replace("folder in the workspace belong", "folder in the workspace belongs"),
        repair,
    )


def _projects(machine: Machine, workspace: Workspace) -> list[Path]:
    names = machine.needs.projects
    is_all = not names or set(names) == set(workspace.project_names())
    return [workspace.projects_dir] if is_all else [workspace.project(name).root for name in names]


def _owner(machine: Machine, workspace: Workspace) -> tuple[int, int] | None:
    """The expected owner of files: the calling user, or the workspace's owner when that is root."""
    if not machine.is_root:
        return machine.uid, machine.gid
    try:
        status = workspace.root.stat()
    except OSError:
        return None
    return status.st_uid, status.st_gid


def _files_of_root(folders: Sequence[Path]) -> tuple[list[Path], int, bool]:
    """Paths of root's files, the number of files checked, and whether all were checked."""
    deadline = time.monotonic() + _WALK_S
    found: list[Path] = []
    seen = 0
    waiting = [str(folder) for folder in reversed(folders)]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    seen += 1
                    if entry.stat(follow_symlinks=False).st_uid == 0:
                        found.append(Path(entry.path))
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue
        if time.monotonic() > deadline:
            return found, seen, not waiting
    return found, seen, True


def _access_command(machine: Machine, path: Path) -> str:
    """A command that gives the user access: a change of owner, of permissions, or a remount."""
    quoted = shlex.quote(str(path))
    try:
        status = path.stat()
    except OSError:
        return f"ls -ld {quoted}"
    if _is_read_only(path):
        return f"{machine.sudo}mount -o remount,rw {shlex.quote(str(_mount_point(path)))}"
    if status.st_uid == machine.uid:
        return f"chmod -R u+rwX {quoted}"
    return f"{machine.sudo}chown -R {machine.uid}:{machine.gid} {quoted}"


def _is_read_only(path: Path) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _mount_point(path: Path) -> Path:
    return next((folder for folder in (path, *path.parents) if folder.is_mount()), path)


def _at(mounts: Mounts, finding: Finding) -> Finding:
    return Finding(finding.severity, finding.code, finding.message, finding.hint, mounts.file)


CHECKS = (
    Check("workspace", Area.WORKSPACE, look_at_needs),
    Check("mounts", Area.WORKSPACE, look_at_mounts),
    Check("owners", Area.WORKSPACE, look_at_owners, limit_s=6.0),
)
