"""The pretrained weights that the experiments of a project need, and the folders that they belong in.

Reads the file system, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from taorunner.catalog.load import Catalog
from taorunner.contracts import Framework
from taorunner.errors import UserFilesError, has_errors
from taorunner.planning.inputs.checkpoints import find_pretrained, pretrained_dir
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace


@dataclass(frozen=True, slots=True)
class NeededWeights:
    """``problem`` is None when they are there; ``experiments`` are those that start from them."""

    repository: str
    backbone: str
    folder: Path
    experiments: tuple[str, ...]
    problem: str | None


def needed_weights(workspace: Workspace, project_name: str) -> list[NeededWeights]:
    """In the order of experiments.yml, each folder once. Raises UserFilesError for a file that does not load."""
    project = load_project(workspace, project_name)
    if has_errors(project.findings) and not project.experiments:
        raise UserFilesError(f'the experiments of "{project_name}" cannot be read', findings=project.findings)
    catalog = Catalog()
    users: dict[tuple[str, str], list[str]] = {}
    frameworks: dict[tuple[str, str], Framework] = {}
    for name, experiment in project.experiments.items():
        if experiment.repository is None or experiment.backbone is None:
            continue
        key = (experiment.repository, experiment.backbone)
        users.setdefault(key, []).append(name)
        frameworks.setdefault(key, catalog.network(experiment.head).framework)
    needed = []
    for (repository, backbone), names in users.items():
        folder = pretrained_dir(workspace.repositories_dir, repository, backbone)
        _, problem = find_pretrained(folder, frameworks[repository, backbone])
        needed.append(NeededWeights(repository, backbone, folder, tuple(names), problem))
    return needed
