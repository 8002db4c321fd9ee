"""A workspace on a cluster that this machine cannot see: which path there and which view here belong to a path.

The view is a folder of the state folder. It holds the results of the far side as far as they were looked at: small
files whole, large ones with their names, sizes, times, starts and ends, and a hole between. See the module ``view`` of
``backends.far``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taorunner.errors import Finding
from taorunner.project.workspace import Workspace
from taorunner.targets import Files, target_of
from taorunner.values.value import Value, replace

VIEWS = "far"


class FarPlace(Value):
    """``here`` is the workspace of this machine, ``there`` that of ``host``, ``view`` what is known of it."""

    host: str
    here: Path
    there: str
    view: Path

    def path(self, path: Path) -> str:
        """The same path on the far side. Paths outside of the workspace are the same there."""
        return f"{self.there}/{path.relative_to(self.here)}" if path.is_relative_to(self.here) else str(path)

    def seen(self, path: Path) -> Path:
        """Where the view has it; for a path outside of the workspace the path itself."""
        return self.view / path.relative_to(self.here) if path.is_relative_to(self.here) else path

    def own(self, seen: Path) -> Path:
        """The path of the workspace that belongs to one of the view."""
        return self.here / seen.relative_to(self.view) if seen.is_relative_to(self.view) else seen

    def shown(self, finding: Finding) -> Finding:
        """With the paths of the far side in the place of those of the view."""
        view, there = str(self.view), f"{self.host}:{self.there}"
        hint = None if finding.hint is None else finding.hint.replace(view, there)
        return replace(finding, message=finding.message.replace(view, there), hint=hint)


def far_place(workspace: Path, backend: str | None, settings: Mapping[str, Any]) -> FarPlace | None:
    """None where this machine sees the files of a run with this backend.

    Raises what ``target_of`` raises.
    """
    if backend is None or "host" not in settings:  # without a host, files are nowhere else
        return None
    if target_of(backend).with_settings(settings).files is not Files.FAR:
        return None
    host, there = str(settings["host"]), str(settings.get("workspace") or workspace).rstrip("/")
    key = hashlib.sha256(f"{host}\0{there}".encode()).hexdigest()[:12]
    return FarPlace(host, workspace, there, Workspace(workspace).state_dir / VIEWS / key)


def seen_results(workspace: Path, backend: str | None, settings: Mapping[str, Any], results: Path) -> Path:
    """The folder that shows what is in ``results`` where a run with this backend would find it."""
    place = far_place(workspace, backend, settings)
    return results if place is None else place.seen(results)
