"""validate: reports every problem of a project that can be found without a GPU, an engine or a container.

``project`` checks the files by themselves. This module adds what needs the catalog: networks, releases, required keys,
and the spec files of every action with the variables they use. It is fast: the contracts of a network are built once,
and schemas and spec files are shared between experiments.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from taorunner.catalog.network import Network
from taorunner.contracts import TRAININGS, Contract, SpecContract
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.planning.checks.consistency import CROSS_CHECKED, CrossChecks, FoundSpec
from taorunner.planning.checks.dataset_preflight import DatasetPreflight, different
from taorunner.planning.checks.dataset_requirements import Reading, placed_below
from taorunner.planning.checks.mount_checks import mount_findings
from taorunner.planning.checks.paths.argument_inputs import missing_arguments
from taorunner.planning.checks.secret_exposure import secret_findings
from taorunner.planning.inputs.backend_choice import backend_findings
from taorunner.planning.inputs.gpu_access import MachineGpus, visible_gpus
from taorunner.planning.inputs.precedence import choose_gpus, with_image
from taorunner.planning.inputs.resources import resource_findings
from taorunner.planning.inputs.run_mounts import outside_findings
from taorunner.planning.inputs.variables import STAND_INS, VARIABLES, own_values
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.model.folder_listing import FolderListing
from taorunner.planning.model.forcing import OF_PATHS, OF_RULES
from taorunner.planning.model.looked_at import LookedAt
from taorunner.planning.model.request import ActionRequest
from taorunner.planning.spec.effective_spec import effective_spec
from taorunner.planning.spec.fill_in import explained, of_arguments
from taorunner.planning.spec.link_containment import outside_link
from taorunner.planning.spec.schema_choice import schema_for
from taorunner.planning.spec.spec_files import SUFFIXES, missing_spec
from taorunner.planning.spec.variable_values import at_definition
from taorunner.planning.weights.agreement import backbone_findings
from taorunner.planning.weights.use import WeightsChecks, weights_use
from taorunner.project.clusters.cluster_file import findings_about_clusters
from taorunner.project.experiments import Experiment
from taorunner.project.image_lock import ImageLock, read_image_lock
from taorunner.project.layout import check_layout, check_projects_folder
from taorunner.project.load import Project, load_project
from taorunner.project.mounts import Mounts, load_mounts
from taorunner.project.workspace import Workspace
from taorunner.specs.memory import SpecMemory
from taorunner.specs.schema.image_schemas import KeptSchemas
from taorunner.specs.schema.walk import Against
from taorunner.specs.spec_file import SpecFile, check_loaded, load_spec
from taorunner.specs.templates.variables import FILL_IN_CODE
from taorunner.targets import default_target, sees_host_paths, target_of
from taorunner.text import did_you_mean, printable
from taorunner.values.value import MutableValue, field, replace

_KNOWN = frozenset(VARIABLES)
_SpecName = tuple[str, Contract, SpecContract, tuple[int, str] | None]
"""Action, contract, its spec, and the file that serves: which of the experiment's spec folders, and its name there."""


class _Checks(MutableValue):
    """State shared by all experiments that are checked."""

    workspace: Workspace
    networks: Networks
    cross: CrossChecks
    lock: ImageLock
    memory: SpecMemory
    datasets: DatasetPreflight
    machine: MachineGpus
    contracts: dict[tuple[str, str | None], dict[str, Contract]] = field(default_factory=dict)
    listing: FolderListing = field(default_factory=FolderListing)
    schemas: dict[tuple[str, str, str, str | None, bool], Against | None] = field(default_factory=dict)
    found: dict[tuple[object, ...], tuple[_SpecName, ...]] = field(default_factory=dict)
    stems: dict[tuple[str, str | None], frozenset[str]] = field(default_factory=dict)
    specs: set[str] = field(default_factory=set)

    @cached_property
    def heads(self) -> frozenset[str]:
        return frozenset(self.networks.names)

    @cached_property
    def kept(self) -> KeptSchemas:
        return KeptSchemas(self.workspace.spec_schemas_dir, self.memory)

    @cached_property
    def weights(self) -> WeightsChecks:
        return WeightsChecks(self.workspace.repositories_dir)

    def against(self, contract: Contract, image: str | None, *, missing: bool) -> Against | None:
        """The schema of a contract with the experiment's ``image``. One for all experiments, so that it is one key."""
        key = (contract.network, contract.action, contract.release, image, missing)
        if key not in self.schemas:
            self.schemas[key] = schema_for(self.pinned(contract, image), missing=missing, kept=self.kept)
        return self.schemas[key]

    def pinned(self, contract: Contract, image: str | None) -> Contract:
        """With the image that a run would use: the experiment's, by the digest of taorunner.lock."""
        chosen = with_image(contract, image)
        is_locked = chosen.image is not None and self.lock.digest_of(chosen.image) is not None
        return replace(chosen, image=self.lock.resolved(chosen.image or "")) if is_locked else chosen

    def contracts_of(self, network: Network, release: str | None) -> dict[str, Contract]:
        """By action. Raises UserFilesError for an unknown release, and for one of which nothing is known."""
        key = (network.name, release)
        if key not in self.contracts:
            found = network.contracts(release)
            if not found:
                network.contract(next(iter(network.actions(release))), release)
            self.contracts[key] = found
        return self.contracts[key]

    def stems_of(self, network: Network, release: str | None) -> frozenset[str]:
        """The names of all its specs, without suffix: reading the spec reports a wrong one."""
        key = (network.name, release)
        if key not in self.stems:
            specs = (contract.spec for contract in self.contracts_of(network, release).values())
            self.stems[key] = frozenset(stem for spec in specs if spec is not None for stem in spec.stems)
        return self.stems[key]

    def files_for(
        self, experiment: Experiment, network: Network, contracts: Mapping[str, Contract]
    ) -> Sequence[_SpecName]:
        """The file of each action that has a spec: one answer for all experiments whose folders hold the same names."""
        names = tuple([self.listing.names_in(str(folder)) for folder in experiment.spec_dirs])
        key = (network.name, experiment.release, names)
        if key not in self.found:
            self.found[key] = tuple(
                (action, contract, contract.spec, _find(names, contract.spec))
                for action, contract in contracts.items()
                if contract.spec is not None
            )
        return self.found[key]


def validate_projects(
    workspace: Workspace,
    names: Sequence[str],
    environ: Mapping[str, str],
    *,
    strict: bool = False,
    looked_at: Callable[[LookedAt], None] | None = None,
) -> list[Finding]:
    """All findings of the named projects; without names those of all projects and of the folder that holds them.

    ``strict`` turns warnings into errors. ``looked_at`` receives, for each project, what of it was checked.
    """
    mounts = load_mounts(workspace, environ)
    checks = _new_checks(workspace, mounts, environ)
    cross = checks.cross
    findings = [*mounts.findings, *mount_findings(workspace, mounts, environ)]
    findings += [*checks.networks.check(), *checks.lock.findings]
    if not names and workspace.projects_dir.exists():
        findings += check_projects_folder(workspace)
    for name in names or workspace.project_names():
        cross.readings.clear()
        checks.specs.clear()
        project = load_project(workspace, name)
        findings += _validate(checks, project, mounts)
        readings = different(cross.readings)
        findings += checks.datasets.findings(name, readings)
        if looked_at is not None:
            images = tuple(checks.datasets.images(readings).values())
            looked_at(LookedAt(name, len(project.experiments), len(checks.specs), images, _sweeps(project)))
    if strict:
        findings = [_strict(finding) for finding in findings]
    return once_each(findings)


def _sweeps(project: Project) -> int:
    return len(project.sweeps) + len(project.draft_sweeps)


def once_each(findings: Iterable[Finding]) -> list[Finding]:
    """Without repetitions, and without the stated range of a number that a rule refuses."""
    different_ones = list(dict.fromkeys(findings))
    refused = {(one.file, one.line) for one in different_ones if one.code == "not-above-zero"}
    return [
        one for one in different_ones if one.code != "out-of-range" or (one.file, one.line) not in refused
    ]


def dataset_findings(
    workspace: Workspace, name: str, folder: Path, environ: Mapping[str, str]
) -> tuple[list[Finding], list[Reading]]:
    """What the specs of a project say against the dataset in ``folder``, and the ways in which they read it.

    The files of the dataset itself are not checked.
    """
    project = load_project(workspace, name)
    mounts = load_mounts(workspace, environ)
    checks = _new_checks(workspace, mounts, environ)
    wanted = folder.resolve()
    experiments = {
        key: one
        for key, one in project.experiments.items()
        if (own := project.paths.dataset_dir(one.dataset).resolve()).is_relative_to(wanted)
        or wanted.is_relative_to(own)
    }
    found = _validate(checks, dataclasses.replace(project, experiments=experiments), mounts)
    kept = [one for one in found if one.code in OF_PATHS | OF_RULES]
    placed = (placed_below(reading, folder) for reading in checks.cross.readings)
    return list(dict.fromkeys(kept)), different(reading for reading in placed if reading is not None)


def _new_checks(workspace: Workspace, mounts: Mounts, environ: Mapping[str, str]) -> _Checks:
    networks, memory = Networks(workspace.networks_dir), SpecMemory()
    cross = CrossChecks(mounts, memory, networks.layout)
    lock, datasets = read_image_lock(workspace), DatasetPreflight(workspace)
    return _Checks(workspace, networks, cross, lock, memory, datasets, MachineGpus(environ))


def _strict(finding: Finding) -> Finding:
    return replace(finding, severity=Severity.ERROR) if finding.severity is Severity.WARNING else finding


def _validate(checks: _Checks, project: Project, mounts: Mounts) -> Iterator[Finding]:
    yield from project.findings
    yield from findings_about_clusters(checks.workspace, project.clusters)
    for name in project.names:
        head = project.head_of(name)
        if name not in project.experiments and head is not None and head not in checks.heads:
            yield _unknown_head(project, name, head, checks.heads)
    spec_names: dict[str, frozenset[str]] = {}
    with_results = checks.listing.names_in(str(project.paths.models_dir))
    for experiment in project.experiments.values():
        if experiment.head not in checks.heads:
            yield _unknown_head(project, experiment.name, experiment.head, checks.heads)
            continue
        try:
            network = checks.networks.load(experiment.head)
        except UserFilesError:
            continue  # already reported with the file
        try:
            contracts = checks.contracts_of(network, experiment.release)
        except UserFilesError as error:
            path = ("experiments", experiment.name, "release")
            yield project.finding(Severity.ERROR, "unknown-release", error.message, path, hint=error.hint)
            continue
        spec_names[experiment.name] = checks.stems_of(network, experiment.release)
        yield from _experiment(checks, project, experiment, network, contracts)
        if experiment.name in with_results:
            from taorunner.planning.checks.existing_results import existing_results  # only with results

            yield from existing_results(checks.workspace, project, experiment, network, contracts, mounts)
    if project.experiments or project.paths.experiments_file.exists():
        yield from check_layout(project, spec_names, checks.listing.names)
    written = project.experiments.values()
    if any(not sees_host_paths(one.backend, one.backend_options) for one in written):
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
    yield from _needs(project, experiment, network, contracts)
    yield from secret_findings(project, experiment, checks.workspace.root)
    target = target_of(experiment.backend) if experiment.backend else default_target(network.framework)
    target = target.with_settings(experiment.backend_options)
    yield from backend_findings(project, experiment, target, network.name, network.framework)
    yield from resource_findings(project, experiment, target, contract=contracts.get("train"))
    if "train" in contracts and not target.sees_host_paths:
        gpus = choose_gpus(experiment, ActionRequest("train", (experiment.name,)), contracts["train"]).count
        hidden = visible_gpus(project, experiment, checks.cross.mounts, contracts["train"].env, gpus)
        if hidden is not None:
            yield hidden
        old = checks.machine.driver_finding(checks.pinned(contracts["train"], experiment.image).image, gpus)
        if old is not None:
            line, column = project.place(("experiments", experiment.name), of_key=True)
            yield replace(old, file=project.paths.experiments_file, line=line, column=column)
    yield from _specs(checks, project, experiment, network, contracts)
    mounts = Mounts.identity() if target.sees_host_paths else checks.cross.mounts
    is_read = "train" not in contracts or contracts["train"].reads_data_only
    yield from outside_findings(
        project.paths, experiment.name, mounts, checks.listing, reads_data_only=is_read
    )
    yield from missing_arguments(project, experiment, contracts, mounts, checks.cross.data)


def _specs(
    checks: _Checks,
    project: Project,
    experiment: Experiment,
    network: Network,
    contracts: Mapping[str, Contract],
) -> Iterator[Finding]:
    """Checks each file once, even if several actions read it; then the files against each other."""
    known = frozenset((*VARIABLES, *experiment.vars)) if experiment.vars else _KNOWN
    loaded: dict[tuple[int, str], SpecFile | tuple[Finding, ...]] = {}
    readable: dict[str, FoundSpec] = {}
    findings: list[Finding] = []
    for action, contract, spec, found in checks.files_for(experiment, network, contracts):
        if found is None:
            if action == "train" and spec.required and _has_folder(experiment):
                yield missing_spec(project, experiment, action, spec)
            continue
        if found not in loaded:
            path = experiment.spec_dirs[found[0]] / found[1]
            outside = outside_link(path, checks.workspace, checks.cross.mounts, checks.listing)
            file = loaded[found] = (outside,) if outside is not None else load_spec(path)
            checks.specs.add(str(path))
            first = len(loaded) == 1
            findings += (
                _spec(checks, project, experiment, contract, spec, file, found[1], known, first=first)
                if isinstance(file, SpecFile)
                else file
            )
        elif action in CROSS_CHECKED:
            file = loaded[found]
        else:
            continue
        if isinstance(file, SpecFile):
            readable[action] = FoundSpec(contract, file)
            if action in TRAININGS:
                use = weights_use(contract, file, experiment, {}, checks.memory)
                layout = checks.networks.layout(network.name)
                yield from checks.weights.findings(project, experiment, contract, use, layout)
                if action == "train":
                    yield from backbone_findings(
                        project, experiment, contract, file, {}, layout, use, checks.memory
                    )
    if any(finding.code == FILL_IN_CODE for finding in findings):
        layout = checks.networks.layout(experiment.head)
        findings = explained(findings, project, experiment, layout, checks.memory)
    yield from at_definition(findings, project, experiment, checks.memory)
    yield from of_arguments(project, experiment)
    yield from checks.cross.check(project, experiment, readable, inference=contracts.get("inference"))


def _spec(
    checks: _Checks, project: Project, experiment: Experiment, contract: Contract, spec: SpecContract,
    file: SpecFile, name: str, known: frozenset[str], *, first: bool,
) -> Sequence[Finding]:  # fmt: skip
    """Overrides that no spec of the network takes are reported with the ``first`` one."""
    # a spec named after another action may lack what this one reads
    own_name = name.rpartition(".")[0] == spec.stems[0]
    own = own_values(experiment.vars, STAND_INS)
    values = {**STAND_INS, **own} if own else STAND_INS
    if not experiment.overrides:
        against = checks.against(contract, experiment.image, missing=own_name)
        return check_loaded(file, spec.format, known, against, values, checks.memory, own)
    gpus = choose_gpus(experiment, ActionRequest(contract.action, (experiment.name,)), contract)
    chosen = checks.pinned(contract, experiment.image)
    return effective_spec(
        project, experiment, chosen, values, gpus, {}, checks.kept, missing=own_name, all_keys=first
    ).findings


def _needs(
    project: Project, experiment: Experiment, network: Network, contracts: Mapping[str, Contract]
) -> Iterator[Finding]:
    """Only keys that training requires count; the scaffold of a network may contain optional ones."""
    for key in contracts["train"].needs if "train" in contracts else network.needs:
        if getattr(experiment, key, None) is None:
            message = f'"{network.name}" needs "{key}", and "{experiment.name}" has none'
            path = ("experiments", experiment.name)
            yield project.finding(
                Severity.ERROR, "missing-key", message, path, hint=f'write "{key}:" below it', of_key=True
            )


def _find(names: Sequence[frozenset[str]], spec: SpecContract) -> tuple[int, str] | None:
    """Which of the folders, whose ``names`` are given, has the spec, and its name there."""
    for number, there in enumerate(names):
        if there:
            for stem in spec.stems:
                for suffix in SUFFIXES[spec.format]:
                    if f"{stem}{suffix}" in there:
                        return number, f"{stem}{suffix}"
    return None


def _has_folder(experiment: Experiment) -> bool:
    """The layout check reports a missing spec folder; here a missing file in a folder that exists is reported."""
    return any(folder.is_dir() for folder in experiment.spec_dirs)


def _covered(project: Project, mounts: Mounts) -> Iterator[Finding]:
    """Containers must be able to see the project."""
    try:
        mounts.to_inside(project.paths.root)
    except UserFilesError as error:
        yield Finding(Severity.ERROR, "not-mounted", error.message, error.hint, project.paths.root)
