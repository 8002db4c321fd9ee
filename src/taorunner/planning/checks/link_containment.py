"""Refuses links in a project that lead out of the workspace and its mounts.

The content of a spec file is copied into the container. In a project from an untrusted source, ``train.yaml`` may be a
link to a private file of the user. No mount would expose that file, but the rendered copy would.
"""

from __future__ import annotations

import os
from pathlib import Path

from taorunner.errors import Finding, Severity
from taorunner.project.mounts import Mounts
from taorunner.project.workspace import Workspace
from taorunner.text import printable


def outside_link(path: Path, workspace: Workspace, mounts: Mounts) -> Finding | None:
    """An error where ``path`` is, or goes through, a link out of the workspace and of everything mounted."""
    if not _has_link(path, workspace.root):
        return None
    real = Path(os.path.realpath(path))
    allowed = (workspace.root, *(entry.source for entry in (*mounts.entries, *mounts.absent)))
    if any(real.is_relative_to(os.path.realpath(folder)) for folder in allowed):
        return None
    message = f'"{path.name}" leads to "{printable(str(real))}", outside the workspace and its mounts'
    hint = "put the file itself there, or mount its folder in .tao_mounts.json"
    return Finding(Severity.ERROR, "link-outside", message, hint, path)


def _has_link(path: Path, root: Path) -> bool:
    """Checks only path parts below the workspace; links on the way to it are allowed."""
    text, stop = str(path), len(str(root))
    while len(text) > stop:
        if os.path.islink(text):  # noqa: PTH114 (a str is faster: a thousand specs are checked)
            return True
        text = os.path.dirname(text)  # noqa: PTH120
    return False
