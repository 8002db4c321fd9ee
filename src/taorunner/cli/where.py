"""Which options a command needs, so that it means this workspace and project from where the person stands."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from taorunner.errors import TaorunnerError


def project_option(root: Path, project: str) -> str:
    """``-p NAME ``, or nothing where a command without it means the same project; in another workspace than that
    around the current folder, ``--workspace DIR -p NAME ``."""
    from taorunner.project.workspace import find_project, find_workspace

    named = f"-p {project} "
    try:
        workspace = find_workspace(Path.cwd(), None, os.environ)
    except TaorunnerError:
        return f"--workspace {shlex.quote(str(root))} {named}"
    if not workspace.root.samefile(root):
        return f"--workspace {shlex.quote(str(root))} {named}"
    try:
        return "" if find_project(workspace, Path.cwd(), None, os.environ) == project else named
    except TaorunnerError:
        return named
