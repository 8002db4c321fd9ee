"""Which dataset a planned run reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taorunner.planning.model.plan import RunPlan


def dataset_folder(plan: RunPlan) -> Path | None:
    """The folder on this host of the dataset that experiments.yml names; in a container it is below a mount."""
    inside = plan.arguments.values.get("dataset_raw")
    return host_path(plan, inside) if isinstance(inside, str) and inside else None


def host_path(plan: RunPlan, inside: str) -> Path | None:
    """The path on this host of a path that the process sees; None for one that no mount has, and where the process
    sees this host, for one outside of the workspace."""
    for mount in sorted(plan.mounts, key=lambda one: len(str(one.target)), reverse=True):
        if Path(inside).is_relative_to(mount.target):
            return Path(mount.source) / Path(inside).relative_to(mount.target)
    return Path(inside) if Path(inside).is_relative_to(plan.workspace) else None


def dataset_word(plan: RunPlan) -> str | None:
    """The dataset as a command line names it: its name below ``data/``, or the path of a folder elsewhere."""
    folder = dataset_folder(plan)
    if folder is None:
        return None
    below = plan.workspace / "projects" / plan.project / "data"
    return folder.relative_to(below).parts[0] if below in folder.parents else str(folder)
