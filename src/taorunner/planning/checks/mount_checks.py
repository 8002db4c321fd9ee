"""What is wrong with the mounts of a workspace: ``.taorunner`` among them, and files that this host acts on later.

A container runs as the user, so whatever it can write it can write in the user's name. With the default mounts nothing
that is executed or believed on this host is writable; a mounts file can open it, and these findings say what follows.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from taorunner.container_options import Mount
from taorunner.errors import Finding, Severity
from taorunner.planning.inputs.run_mounts import state_findings
from taorunner.project.mounts import MountEntry, Mounts
from taorunner.project.workspace import Workspace

OPENED_CODE = "mount-opens-host"
_PACKAGE = Path(__file__).resolve().parents[2]


def mount_findings(workspace: Workspace, mounts: Mounts, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Of the mounts of the workspace, without those of the command line."""
    if mounts.is_identity:
        return
    own = [entry for entry in mounts.entries if entry not in mounts.volumes]
    shown = [Mount(entry.source, entry.destination, entry.read_only) for entry in own]
    yield from state_findings(workspace, shown, mounts.file)
    if mounts.file is None:
        return
    for entry in own:
        if not entry.read_only:
            yield from _opened(workspace, entry, mounts.file, environ)


def _opened(
    workspace: Workspace, entry: MountEntry, file: Path, environ: Mapping[str, str]
) -> Iterator[Finding]:
    source = os.path.realpath(entry.source)
    named = [name for name, path in _acted_on(workspace, environ) if _meets(source, os.path.realpath(path))]
    if not named:
        return
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    message = (
        f'a container can change {listed} through "{entry.destination}": what it writes there runs as you'
    )
    hint = (
        'add "read_only": true there: a run still writes its own results, and the data that its action makes'
    )
    line, column = entry.place or (None, None)
    yield Finding(Severity.WARNING, OPENED_CODE, message, hint, file, line, column)


def _acted_on(workspace: Workspace, environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """What decides what is executed on this host, or is executed: a name for people, and the file or folder."""
    for name in workspace.project_names():
        paths = workspace.project(name)
        yield f"experiments.yml of {name}", paths.experiments_file
        yield f"specs of {name}", paths.specs_dir
    for path in (workspace.networks_dir, workspace.mounts_file, workspace.lock_file):
        if os.path.lexists(path):
            yield path.name, path
    yield "the program taorunner", _PACKAGE
    yield "its Python", Path(sys.prefix)
    if home := environ.get("HOME"):
        for name in (".bashrc", ".profile", ".ssh", ".docker", ".local/bin"):
            if os.path.lexists(path := Path(home, name)):
                yield f"~/{name}", path


def _meets(source: str, path: str) -> bool:
    """Whether a mount of ``source`` shows ``path`` or a part of it."""
    return path == source or path.startswith(source.rstrip("/") + "/") or source.startswith(f"{path}/")
