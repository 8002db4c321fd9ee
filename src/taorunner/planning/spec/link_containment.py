"""Refuses links in a project that lead out of the workspace and its mounts.

The content of a spec file is copied into the container. In a project from an untrusted source, ``train.yaml`` may be a
link to a private file of the user. No mount would expose that file, but the rendered copy would.
"""

from __future__ import annotations

import os
from pathlib import Path

from taorunner.errors import Finding, Severity
from taorunner.planning.model.folder_listing import FolderListing
from taorunner.project.mounts import Mounts
from taorunner.project.workspace import Workspace
from taorunner.text import printable


def outside_link(
    path: Path, workspace: Workspace, mounts: Mounts, listing: FolderListing | None = None
) -> Finding | None:
    """An error where ``path`` is, or goes through, a link out of the workspace and of everything mounted."""
    # links on the way to the workspace are allowed
    if not (listing or FolderListing()).has_link(str(path), len(str(workspace.root))):
        return None
    real = Path(os.path.realpath(path))
    allowed = (workspace.root, *(entry.source for entry in (*mounts.entries, *mounts.absent)))
    if any(real.is_relative_to(os.path.realpath(folder)) for folder in allowed):
        return None
    message = f'"{path.name}" leads to "{printable(str(real))}", outside the workspace and its mounts'
    hint = "put the file itself there, or mount its folder in .tao_mounts.json"
    return Finding(Severity.ERROR, "link-outside", message, hint, path)
