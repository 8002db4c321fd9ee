"""validate: everything that can be known of projects without a GPU, an engine or a container.

What ``project`` finds in the files by themselves, and what only the catalog knows: heads, releases, needed keys,
spec files of every action with the variables they use. Fast: a network's contracts are made once, and so on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from taorunner.catalog.network import Network
from taorunner.contracts import Contract, Framework, SpecContract
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.planning.choices import choose_gpus, with_image
from taorunner.planning.networks import Networks
from taorunner.planning.plan import HOST_BACKENDS
from taorunner.planning.request import ActionRequest
from taorunner.planning.spec_files import SUFFIXES
from taorunner.planning.spec_of_action import spec_of_action
from taorunner.planning.spec_schemas import schema_for
from taorunner.planning.values import VARIABLES
from taorunner.planning.weights import find_pretrained, pretrained_dir
from taorunner.project.experiments import Experiment
from taorunner.project.layout import check_layout
from taorunner.project.load import Project, load_project
from taorunner.project.mounts import Mounts, load_mounts
from taorunner.project.workspace import Workspace
from taorunner.specs.check import check_template
from taorunner.specs.kept_schemas import KeptSchemas
from taorunner.specs.schema_check import Against
from taorunner.text import did_you_mean, printable

_STAND_INS: Mapping[str, Any] = {
    name: 1 if name == "num_gpus" else [0] if name == "gpu_ids" else f"/{name}" for name in VARIABLES
}
"""What the variables of a template are taken for while no run gives them values."""


@dataclass(slots=True)
class _Checks:
    """What is made once for many experiments."""

    workspace: Workspace
    networks: Networks
    heads: frozenset[str] = field(init=False)
    contracts: dict[tuple[str, str | None], dict[str, Contract]] = field(default_factory=dict)
    folders: dict[Path, frozenset[str]] = field(default_factory=dict)
    weights: dict[tuple[str, str, Framework], str | None] = field(default_factory=dict)
    schemas: dict[tuple[int, str | None, bool], Against | None] = field(default_factory=dict)
    kept: KeptSchemas = field(init=False)

    def against(self, contract: Contract, image: str | None, *, missing: bool) -> Against | None:
        """The schema of a contract that ``contracts_of`` gave, which are made once, with the experiment's ``image``."""
        key = (id(contract), image, missing)
        if key not in self.schemas:
            chosen = with_image(contract, image)
            self.schemas[key] = schema_for(chosen, missing=missing, kept=self.kept)
        return self.schemas[key]

    def __post_init__(self) -> None:
        self.heads = frozenset(self.networks.names)
        self.kept = KeptSchemas(self.workspace.spec_schemas_dir)

    def contracts_of(self, network: Network, release: str | None) -> dict[str, Contract]:
        """By action. Raises UserFilesError for an unknown release, and for one of which nothing is known."""
        key = (network.name, release)
        if key not in self.contracts:
            found = network.contracts(release)
            if not found:
                network.contract(next(iter(network.actions(release))), release)
            self.contracts[key] = found
        return self.contracts[key]

    def names_in(self, folder: Path) -> frozenset[str]:
        if folder not in self.folders:
            try:
                self.folders[folder] = frozenset(os.listdir(folder))
            except OSError:
                self.folders[folder] = frozenset()
        return self.folders[folder]

    def missing_weights(self, repository: str, backbone: str, framework: Framework) -> str | None:
        key = (repository, backbone, framework)
        if key not in self.weights:
            folder = pretrained_dir(self.workspace.repositories_dir, repository, backbone)
            path, problem = find_pretrained(folder, framework)
            self.weights[key] = f"{problem} ({folder})" if path is None else None
        return self.weights[key]


def validate_projects(
    workspace: Workspace, names: Sequence[str], environ: Mapping[str, str], *, strict: bool = False
) -> list[Finding]:
    """All findings of all projects. ``strict`` turns warnings into errors."""
    checks = _Checks(workspace, Networks(workspace.networks_dir))
    mounts = load_mounts(workspace, environ)
    findings = [*mounts.findings, *checks.networks.check()]
    for name in names:
        findings += _validate(checks, load_project(workspace, name), mounts)
    if strict:
        findings = [_strict(finding) for finding in findings]
    return list(dict.fromkeys(findings))


def _strict(finding: Finding) -> Finding:
    return replace(finding, severity=Severity.ERROR) if finding.severity is Severity.WARNING else finding


def _validate(checks: _Checks, project: Project, mounts: Mounts) -> Iterator[Finding]:
    yield from project.findings
    for name in project.names:
        head = project.head_of(name)
        if name not in project.experiments and head is not None and head not in checks.heads:
            yield _unknown_head(project, name, head, checks.heads)
    spec_names: dict[str, frozenset[str]] = {}
    for experiment in project.experiments.values():
        if experiment.head not in checks.heads:
            yield _unknown_head(project, experiment.name, experiment.head, checks.heads)
            continue
        try:
            network = checks.networks.load(experiment.head)
        except UserFilesError:
            continue  # its file's findings are told already
        try:
            contracts = checks.contracts_of(network, experiment.release)
        except UserFilesError as error:
            path = ("experiments", experiment.name, "release")
            yield project.finding(Severity.ERROR, "unknown-release", error.message, path, hint=error.hint)
            continue
        spec_names[experiment.name] = _spec_names(contracts)
        yield from _experiment(checks, project, experiment, network, contracts)
    if project.experiments or project.paths.experiments_file.exists():
        yield from check_layout(project, spec_names)
    if any(experiment.backend not in HOST_BACKENDS for experiment in project.experiments.values()):
        yield from _covered(project, mounts)


def _unknown_head(project: Project, name: str, head: str, heads: Iterable[str]) -> Finding:
    path = ("experiments", name, "head")
    message = f'"{printable(head)}" is not a network of the catalog'
    hint = did_you_mean(head, sorted(heads)) or "taorunner networks lists them"
    return project.finding(Severity.ERROR, "unknown-head", message, path, hint=hint)


def _experiment(
    checks: _Checks,
    project: Project,
    experiment: Experiment,
    network: Network,
    contracts: Mapping[str, Contract],
) -> Iterator[Finding]:
    yield from _needs(project, experiment, network)
    if experiment.repository is not None and experiment.backbone is not None:
        missing = checks.missing_weights(experiment.repository, experiment.backbone, network.framework)
        if missing is not None:
            place = ("experiments", experiment.name, "repository")
            message = f'the pretrained weights of "{experiment.name}" are missing: {missing}'
            fetch = f"taorunner pretrained pull -p {project.paths.name}"
            hint = f"they are needed to train: {fetch}, or correct repository and backbone"
            yield project.finding(Severity.WARNING, "pretrained-missing", message, place, hint=hint)
    if network.framework is Framework.EMBEDDED and experiment.backend not in (None, "embedded"):
        place = ("experiments", experiment.name, "backend")
        message = f'"{network.name}" runs only on the embedded backend, not on "{experiment.backend}"'
        yield project.finding(Severity.ERROR, "wrong-backend", message, place, hint="leave backend out")
    known = frozenset((*VARIABLES, *experiment.vars))
    seen: set[Path] = set()
    folders = [(folder, checks.names_in(folder)) for folder in experiment.spec_dirs]
    for action, contract in contracts.items():
        if contract.spec is None:
            continue
        path_found = _find(folders, contract.spec)
        if path_found is None:
            if action == "train" and contract.spec.required and _has_folder(experiment):
                suffix = "yaml" if contract.spec.format == "yaml" else "txt"
                message = f'"{experiment.name}" has no spec for train'
                hint = f"write {experiment.spec_dirs[0]}/train.{suffix}"
                owner = ("experiments", experiment.name)
                yield project.finding(Severity.ERROR, "missing-spec", message, owner, hint=hint, of_key=True)
        elif path_found not in seen:
            seen.add(path_found)
            # a spec found under the name of another action need not have what this one reads
            own_name = path_found.stem == contract.spec.stems[0]
            if experiment.overrides:
                chosen = with_image(contract, experiment.image)
                first = len(seen) == 1
                yield from _with_overrides(checks, project, experiment, chosen, missing=own_name, first=first)
                continue
            against = checks.against(contract, experiment.image, missing=own_name)
            values = {**_STAND_INS, **experiment.vars}
            yield from check_template(path_found, contract.spec.format, known, against, values)


def _with_overrides(
    checks: _Checks,
    project: Project,
    experiment: Experiment,
    contract: Contract,
    *,
    missing: bool,
    first: bool,
) -> Iterator[Finding]:
    """The spec with what is set in it. Overrides that no spec of the network takes are told with the first one."""
    values = {**_STAND_INS, **experiment.vars}
    gpus = choose_gpus(experiment, ActionRequest(contract.action, (experiment.name,)), contract)
    spec = spec_of_action(
        project, experiment, contract, values, gpus, {}, checks.kept, missing=missing, all_keys=first
    )
    yield from spec.findings


def _needs(project: Project, experiment: Experiment, network: Network) -> Iterator[Finding]:
    for key in network.needs:
        if getattr(experiment, key, None) is None:
            message = f'"{network.name}" needs "{key}", and "{experiment.name}" has none'
            path = ("experiments", experiment.name)
            yield project.finding(
                Severity.ERROR, "missing-key", message, path, hint=f'write "{key}:" below it', of_key=True
            )


def _find(folders: Sequence[tuple[Path, frozenset[str]]], spec: SpecContract) -> Path | None:
    """``folders`` with the names of what is in them."""
    for folder, names in folders:
        if names:
            for stem in spec.stems:
                for suffix in SUFFIXES[spec.format]:
                    if f"{stem}{suffix}" in names:
                        return folder / f"{stem}{suffix}"
    return None


def _has_folder(experiment: Experiment) -> bool:
    """A missing spec folder is told by the layout; a missing file in one that exists is told here."""
    return any(folder.is_dir() for folder in experiment.spec_dirs)


def _spec_names(contracts: Mapping[str, Contract]) -> frozenset[str]:
    """Without suffix: which suffix fits is told where the spec is read."""
    return frozenset(
        stem for contract in contracts.values() if contract.spec is not None for stem in contract.spec.stems
    )


def _covered(project: Project, mounts: Mounts) -> Iterator[Finding]:
    """Containers must be able to see the project."""
    try:
        mounts.to_inside(project.paths.root)
    except UserFilesError as error:
        yield Finding(Severity.ERROR, "not-mounted", error.message, error.hint, project.paths.root)
