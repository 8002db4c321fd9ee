"""Adds a mount to a workspace's ``.tao_mounts.json``, and makes the file where there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taorunner.atomic_files import write_json
from taorunner.errors import UserFilesError, has_errors
from taorunner.project.mounts import Mounts, default_mounts, load_mounts
from taorunner.project.workspace import Workspace
from taorunner.text import printable
from taorunner.values.bounded_reading import read_json


def add_read_only(workspace: Workspace, folder: Path, environ: Mapping[str, str]) -> Path | None:
    """Mounts ``folder`` at its own path, read-only. Returns the changed file, or None where a mount does it already.

    A new file has the default mounts, too, as a mounts file replaces them: read-only, so that runs write their own
    results and data alone, as with the default mounts. Raises UserFilesError when the mounts in use
    come from a file outside of the workspace, or from one with errors.
    """
    mounts = load_mounts(workspace, environ)
    if has_errors(mounts.findings):
        raise UserFilesError("the mounts cannot be used", findings=mounts.findings)
    if mounts.to_host(str(folder)) == folder:
        return None
    entry = {"source": str(folder), "destination": str(folder), "read_only": True}
    if mounts.file is None:
        mounts = default_mounts(workspace)
        body = {"Mounts": [*_as_json(mounts), entry]}
    elif mounts.file == workspace.mounts_file:
        body = read_json(mounts.file)
        body["Mounts"].append(entry)
    else:
        raise UserFilesError(
            f'the mounts are those of "{printable(str(mounts.file))}", which is not of this workspace',
            hint=f"add there: {json.dumps(entry)}",
        )
    write_json(workspace.mounts_file, body, indent=2)
    return workspace.mounts_file


def _as_json(mounts: Mounts) -> list[dict[str, Any]]:
    entries = (*mounts.entries, *mounts.absent)
    return [
        {"source": str(entry.source), "destination": entry.destination, "read_only": True}
        for entry in entries
    ]
