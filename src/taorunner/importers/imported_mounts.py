"""Builds the mounts file of a workspace, so that imported specs find their files at the paths that they name."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taorunner.errors import Finding, Severity
from taorunner.project.mounts import INSIDE, LAUNCHER_VARIABLE, MountEntry, Mounts
from taorunner.project.mounts_file import MountsFile, read_mounts_file
from taorunner.project.workspace import Workspace
from taorunner.text import printable

_OWN_INSIDE = "/taorunner"
"""The mount point of the workspace's own folders where ``/workspace`` is already a mount."""


@dataclass(frozen=True, slots=True)
class TakenMounts:
    """``content`` of the file to write, None where an existing file is kept; ``mounts`` are the result."""

    content: Mapping[str, Any] | None
    mounts: Mounts
    findings: tuple[Finding, ...] = ()


def launcher_file(given: Path | None, environ: Mapping[str, str], home: Path) -> Path:
    """The file that the TAO launcher would read: the given one, LAUNCHER_MOUNTS, or the one in the home folder.

    Source: tao/tensorflow.md section 9.
    """
    named = environ.get(LAUNCHER_VARIABLE)
    path = given if given is not None else Path(named) if named else home / ".tao_mounts.json"
    text = str(path)
    return home / text[2:] if text.startswith("~/") else path


def read_mounts(
    file: Path, environ: Mapping[str, str], home: Path
) -> tuple[MountsFile, Mounts, list[Finding]]:
    """The file, its mounts, and the entries that are left out. No problem in the launcher's file is an error."""
    content = read_mounts_file(file, environ, home)
    findings = [_softened(finding) for finding in content.findings]
    entries = tuple(MountEntry(one.source, one.destination, one.read_only) for one in content.mounts)
    return content, Mounts(entries, file=file), findings


def take_mounts(
    workspace: Workspace,
    content: MountsFile,
    more: Sequence[MountEntry],
    *,
    without: Iterable[str] = (),
) -> TakenMounts:
    """The mounts of ``content`` and ``more`` with the workspace's own folders, of which runs write their results only.

    ``without`` are destinations that are left out.
    """
    left_out = set(without)
    taken = [
        MountEntry(one.source, one.destination, one.read_only)
        for one in content.mounts
        if one.destination not in left_out
    ]
    findings = []
    entries: list[MountEntry] = []
    for entry in [*taken, *more]:
        if "$" in str(entry.source):
            message = (
                f'"{printable(str(entry.source))}" is not mounted: a "$" in a mounts file means a variable'
            )
            findings.append(Finding(Severity.WARNING, "mount-left-out", message, "rename the folder"))
        elif all(entry.destination != one.destination for one in entries):
            entries.append(entry)
    base = INSIDE
    if any(
        entry.destination.startswith(INSIDE + "/projects") or entry.destination == INSIDE for entry in entries
    ):
        base = _OWN_INSIDE
    own = [
        MountEntry(workspace.projects_dir, f"{base}/projects", read_only=True),
        MountEntry(workspace.repositories_dir, f"{base}/repositories", read_only=True),
    ]
    if base == INSIDE and all(entry.destination != f"{INSIDE}/experiments" for entry in entries):
        own.insert(1, MountEntry(workspace.projects_dir, f"{INSIDE}/experiments", read_only=True))
    own = [entry for entry in own if all(entry.destination != one.destination for one in entries)]
    everything = (*own, *entries)
    return TakenMounts(_as_json(everything, content), Mounts(everything), tuple(findings))


def covering_entry(folder: Path, *, read_only: bool) -> MountEntry:
    """A mount at the same path inside, so that links to it also work in the container."""
    return MountEntry(folder, posixpath.normpath(str(folder)), read_only)


def _softened(finding: Finding) -> Finding:
    return replace(finding, severity=Severity.WARNING) if finding.is_error else finding


def _as_json(entries: Iterable[MountEntry], content: MountsFile) -> dict[str, Any]:
    options: dict[str, Any] = {
        "user": content.user,
        "ports": {str(inside): outside for inside, outside in content.ports.items()} or None,
        "shm_size": content.shm_bytes,
        "ulimits": dict(content.ulimits) or None,
        "privileged": content.privileged or None,
        "network": content.network,
        "tty": content.tty or None,
    }
    known = {name: value for name, value in options.items() if value is not None}
    body: dict[str, Any] = {
        "Mounts": [
            {"source": str(one.source), "destination": one.destination}
            | ({"read_only": True} if one.read_only else {})
            for one in entries
        ]
    }
    if content.env:
        body["Envs"] = [{"variable": name, "value": value} for name, value in content.env.items()]
    if known:
        body["DockerOptions"] = known
    return body
