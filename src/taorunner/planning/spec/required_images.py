"""The container images that the experiments of some projects need, and the references that their runs use.

Reads the file system, changes nothing, and does not contact an engine. An experiment needs its training image, and the
images of its network's other groups (deploy, data services) when it has a spec file that an action there reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from taorunner.contracts import Contract
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.image_names import is_pinned, with_tag
from taorunner.planning.inputs.precedence import default_backend, named_image
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.spec.spec_files import find_spec
from taorunner.project.experiments import Experiment
from taorunner.project.image_lock import ImageLock, read_image_lock
from taorunner.project.load import Project, load_project
from taorunner.project.workspace import Workspace
from taorunner.targets import target_of

ContractsByRelease = dict[tuple[str, str | None], Mapping[str, Contract]]
"""Cached per network and release, because they are built from many layers."""


@dataclass(frozen=True, slots=True)
class NeededImage:
    """``reference`` as the experiments and the catalog name it, ``runs_as`` as runs do: by its locked digest if any.

    ``experiments`` are ``project/experiment``, ``actions`` what they run in it. ``asked_at`` is an info that says where
    the first of them names it.
    """

    reference: str
    runs_as: str
    experiments: tuple[str, ...]
    asked_at: Finding
    actions: tuple[str, ...] = ()

    @property
    def is_locked(self) -> bool:
        """True when runs do not depend on what becomes of a tag."""
        return is_pinned(self.runs_as)


@dataclass(frozen=True, slots=True)
class NeededImages:
    """``images`` in the order of projects and experiments; ``findings`` say why one of them may be missing here."""

    images: tuple[NeededImage, ...]
    findings: tuple[Finding, ...]
    lock: ImageLock


def needed_images(workspace: Workspace, projects: Sequence[str]) -> NeededImages:
    """Each image once. Never raises for an error in user files."""
    networks = Networks(workspace.networks_dir)
    contracts: ContractsByRelease = {}
    lock = read_image_lock(workspace)
    findings: list[Finding] = list(lock.findings)
    found: dict[str, NeededImage] = {}
    for name in projects:
        project = load_project(workspace, name)
        findings += [finding for finding in project.findings if finding.is_error]
        for experiment in project.experiments.values():
            owner = f"{name}/{experiment.name}"
            try:
                for image, actions in images_of(networks, contracts, experiment).items():
                    reference = with_tag(image)
                    known = found.get(reference)
                    if known is None:
                        at = _asked_at(project, experiment, reference)
                        known = NeededImage(reference, lock.resolved(reference), (), at)
                    both = tuple(dict.fromkeys((*known.actions, *actions)))
                    found[reference] = replace(known, experiments=(*known.experiments, owner), actions=both)
            except UserFilesError as error:
                findings += error.findings or (_unusable(project, experiment, error),)
    return NeededImages(tuple(found.values()), tuple(dict.fromkeys(findings)), lock)


def images_of(
    networks: Networks, contracts: ContractsByRelease, experiment: Experiment
) -> dict[str, list[str]]:
    """The actions that the experiment can run, by image."""
    network = networks.load(experiment.head)
    key = (experiment.head, experiment.release)
    if key not in contracts:
        contracts[key] = network.contracts(experiment.release)
    main = network.groups[0].name
    found: dict[str, list[str]] = {}
    for action, contract in contracts[key].items():
        image = named_image(contract, experiment)
        if image is None:
            continue
        target = target_of(experiment.backend or default_backend(contract))
        if not target.with_settings(experiment.backend_options).needs_image:
            continue
        if contract.group == main or _has_spec(experiment, contract):
            found.setdefault(image, []).append(action)
    return found


def _has_spec(experiment: Experiment, contract: Contract) -> bool:
    """Whether the action finds a spec to read; one that needs none (``default_specs``) is not asked for."""
    return contract.spec is not None and find_spec(experiment.spec_dirs, contract.spec) is not None


def _asked_at(project: Project, experiment: Experiment, reference: str) -> Finding:
    key = "image" if experiment.image is not None and with_tag(experiment.image) == reference else "head"
    path = ("experiments", experiment.name, key)
    return project.finding(Severity.INFO, "image-needed", f'"{reference}" is needed', path)


def _unusable(project: Project, experiment: Experiment, error: UserFilesError) -> Finding:
    path = ("experiments", experiment.name)
    return project.finding(Severity.ERROR, "no-image", error.message, path, hint=error.hint, of_key=True)
