"""The pretrained weights that the experiments of a project start from, and the folders that they belong in.

Reads the file system, changes nothing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taorunner.catalog.network import Network
from taorunner.contracts import TRAININGS, Framework
from taorunner.errors import UserFilesError, has_errors
from taorunner.planning.checkpoints.checkpoint_files import find_pretrained, pretrained_dir
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.spec.spec_files import find_spec
from taorunner.planning.weights.use import is_named, weights_use
from taorunner.project.experiments import Experiment
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.specs.memory import SpecMemory
from taorunner.specs.spec_file import SpecFile, load_spec


@dataclass(frozen=True, slots=True)
class NeededWeights:
    """``problem`` is None when they are there; ``experiments`` are those that start from them."""

    repository: str
    backbone: str
    folder: Path
    experiments: tuple[str, ...]
    problem: str | None


def needed_weights(workspace: Workspace, project_name: str) -> list[NeededWeights]:
    """In the order of experiments.yml, each folder once. Raises UserFilesError for a file that does not load.

    Weights that experiments.yml names and no training reads are not needed.
    """
    project = load_project(workspace, project_name)
    if has_errors(project.findings) and not project.experiments:
        raise UserFilesError(f'the experiments of "{project_name}" cannot be read', findings=project.findings)
    networks, memory = Networks(workspace.networks_dir), SpecMemory()
    users: dict[tuple[str, str], list[str]] = {}
    frameworks: dict[tuple[str, str], Framework] = {}
    for name, experiment in project.experiments.items():
        if not is_named(experiment):
            continue
        with suppress(UserFilesError):  # validate reports an unknown network
            network = networks.load(experiment.head)
            if _starts_from_them(network, experiment, memory):
                key = (str(experiment.repository), str(experiment.backbone))
                users.setdefault(key, []).append(name)
                frameworks.setdefault(key, network.framework)
    needed = []
    for (repository, backbone), names in users.items():
        folder = pretrained_dir(workspace.repositories_dir, repository, backbone)
        _, problem = find_pretrained(folder, frameworks[repository, backbone])
        needed.append(NeededWeights(repository, backbone, folder, tuple(names), problem))
    return needed


def _starts_from_them(network: Network, experiment: Experiment, memory: SpecMemory) -> bool:
    """Also where no spec says that it does not: the file may still be written."""
    try:
        contracts = network.contracts(experiment.release)
    except UserFilesError:
        return True
    is_known = False
    for action in TRAININGS:
        contract = contracts.get(action)
        if contract is None:
            continue
        path = find_spec(experiment.spec_dirs, contract.spec) if contract.spec is not None else None
        file = load_spec(path) if path is not None else None
        if isinstance(file, SpecFile):
            is_known = True
        if weights_use(contract, file if isinstance(file, SpecFile) else None, experiment, {}, memory):
            return True
    return not is_known
