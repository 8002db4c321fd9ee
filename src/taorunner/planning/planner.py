"""plan_action: project × catalog × request → RunPlans. Reads files, changes nothing, collects every finding."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from taorunner.contracts import Contract
from taorunner.errors import Finding, Severity, UserFilesError, has_errors
from taorunner.events import now
from taorunner.planning.checks.consistency import CrossChecks, Launch
from taorunner.planning.checks.dataset_preflight import DatasetPreflight
from taorunner.planning.checks.link_containment import outside_link
from taorunner.planning.checks.secret_exposure import secret_findings
from taorunner.planning.inputs.argv import Argv, artifact_globs, build_argv, unsafe_character
from taorunner.planning.inputs.backend_choice import backend_findings, backend_options_for
from taorunner.planning.inputs.checkpoints import torn_findings
from taorunner.planning.inputs.earlier_results import EarlierResults, earlier_results
from taorunner.planning.inputs.environment import (
    MODEL_KEY,
    RUN_INSIDE,
    base_environment,
    split_secrets,
)  # fmt: skip
from taorunner.planning.inputs.named_checkpoint import destination, given_twice, not_read
from taorunner.planning.inputs.precedence import (
    choose_contract,
    choose_gpus,
    choose_image,
    default_backend,
    key_in_spec,
    override_tokens,
)
from taorunner.planning.inputs.resume import NoResume, resumed
from taorunner.planning.inputs.run_mounts import outside_findings, run_mounts, state_findings
from taorunner.planning.inputs.values import RunValues, ValueFinder
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.model.arguments import ArgumentValues
from taorunner.planning.model.plan import (
    DEFAULT_SHM_BYTES,
    DEFAULT_ULIMITS,
    SECRET_SPEC_DIR,
    ContainerOptions,
    GpuRequest,
    Mount,
    RenderedSpec,
    RunPlan,
    SecretSource,
)  # fmt: skip
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.model.run_ids import new_run_id
from taorunner.planning.spec.effective_spec import SpecOfAction, spec_of_action
from taorunner.planning.spec.overrides import typed_value
from taorunner.planning.spec.spec_files import find_spec
from taorunner.project.experiments import Experiment
from taorunner.project.image_lock import ImageLock, read_image_lock
from taorunner.project.load import Project, load_project
from taorunner.project.mounts import Mounts, load_mounts
from taorunner.project.workspace import Workspace
from taorunner.specs.schema.image_schemas import KeptSchemas
from taorunner.specs.spec_file import PreparedSpec, read_number
from taorunner.targets import Target, target_of
from taorunner.text import did_you_mean


@dataclass(frozen=True, slots=True)
class PlannedRun:
    site: Site
    plan: RunPlan


@dataclass(frozen=True, slots=True)
class Planned:
    """One item per experiment that could be planned, in the order asked for; all findings."""

    items: tuple[PlannedRun, ...] = ()
    findings: tuple[Finding, ...] = ()

    def raise_for_errors(self) -> None:
        """Raises UserFilesError with all findings when one of them is an error."""
        if has_errors(self.findings):
            errors = [finding for finding in self.findings if finding.is_error]
            count = "a problem" if len(errors) == 1 else f"{len(errors)} problems"
            raise UserFilesError(f"nothing was started, because of {count}", findings=self.findings)


@dataclass(slots=True)
class _Planning:
    workspace: Workspace
    project: Project
    mounts: Mounts
    request: ActionRequest
    caller: Caller
    make_site: Callable[[str, str], Site]
    networks: Networks
    datasets: DatasetPreflight
    lock: ImageLock
    cross: CrossChecks
    findings: list[Finding] = field(default_factory=list)


def plan_action(
    workspace: Workspace,
    project_name: str,
    request: ActionRequest,
    caller: Caller,
    make_site: Callable[[str, str], Site] | None = None,
) -> Planned:
    """Everything checked that can be checked before a container starts. Never raises for what the user wrote.

    ``make_site`` decides a run's id and folder from experiment and action; by default a new run of the workspace.
    """
    project = load_project(workspace, project_name)
    mounts = load_mounts(workspace, caller.environ)
    networks = Networks(workspace.networks_dir)
    site_maker = make_site or _new_runs(workspace)
    planning = _Planning(
        workspace, project, mounts, request, caller, site_maker, networks,
        DatasetPreflight(workspace), read_image_lock(workspace), CrossChecks(mounts),
    )  # fmt: skip
    planning.findings += [f for f in project.findings if concerns(f, project, request.experiments)]
    items: list[PlannedRun] = []
    for name in request.experiments:
        experiment = project.experiments.get(name)
        if experiment is None:
            if name not in project.names:
                planning.findings.append(unknown_experiment(name, project))
            continue
        item = _plan_one(planning, experiment)
        if item is not None:
            items.append(item)
    return Planned(tuple(items), tuple(dict.fromkeys(planning.findings)))


def _new_runs(workspace: Workspace) -> Callable[[str, str], Site]:
    def make(experiment: str, action: str) -> Site:
        run_id = new_run_id(experiment, action, now())
        return Site(run_id, workspace.runs_dir / run_id)

    return make


def concerns(finding: Finding, project: Project, names: Sequence[str]) -> bool:
    """Errors in other experiments do not stop these; errors in the file as a whole do."""
    if finding.line is None or finding.file != project.paths.experiments_file:
        return True
    owner = project.owner_of_line(finding.line)
    return owner is None or owner in names or any(owner in project.ancestors(name) for name in names)


def _plan_one(planning: _Planning, experiment: Experiment) -> PlannedRun | None:
    """The plan of one experiment, or None after an error of its own."""
    request, findings = planning.request, planning.findings
    keys, code = ("head",), "unknown-head"
    try:
        network = planning.networks.load(experiment.head)
        keys, code = ("release",), "unknown-release"
        network.actions(request.release or experiment.release)
        keys, code = ("head",), "unknown-action"
        contract = choose_contract(network, experiment, request)
    except UserFilesError as error:
        told = error.findings or (_at(planning, experiment, keys, code, error.message, error.hint),)
        findings += [finding for finding in told if finding not in findings]
        return None
    backend = request.backend or experiment.backend or default_backend(contract)
    target = target_of(backend)
    trouble = list(_backend_findings(planning, experiment, contract, target))
    if trouble:
        findings += [finding for finding in trouble if finding not in findings]
        return None
    on_host = target.sees_host_paths
    mounts = Mounts.identity() if on_host else planning.mounts
    if not on_host:
        findings += [f for f in planning.mounts.findings if f not in findings]
    gpus = choose_gpus(experiment, request, contract)
    if target.needs_image and request.image is None:
        findings += [finding for finding in planning.lock.findings if finding not in findings]
    site = planning.make_site(experiment.name, contract.action)
    finder = ValueFinder(planning.workspace, planning.project.paths, experiment, network, mounts)
    values = finder.find(contract, gpus, request.checkpoint)
    here = [_placed(planning, experiment, finding) for finding in values.findings]
    here += list(_need_findings(planning, experiment, contract))
    here += _mount_findings(planning, experiment, contract, mounts)
    spec = _spec(planning, experiment, contract, values, gpus)
    prepared, spec_path = spec.prepared, spec.path
    here += spec.findings
    if prepared is not None and prepared.text is not None and spec_path is not None:
        launch = Launch(gpus.count, backend, _given_by_hand(spec.sets, request.extra))
        crossed = planning.cross.before(contract, spec_path, network, planning.project, experiment, launch)
        here += [_placed(planning, experiment, finding) for finding in crossed]
    run_inside = str(site.run_dir / "input") if on_host else RUN_INSIDE
    if spec_path is not None:  # also one with errors: nothing starts, and they are not followed by "no spec"
        is_private = key_in_spec(contract) is not None and values.arguments.pop("key", None) is not None
        folder = f"{run_inside}/{SECRET_SPEC_DIR}" if is_private else run_inside
        values.arguments["spec"] = f"{folder}/{spec_path.name}"
    arguments = ArgumentValues(values.arguments, override_tokens(contract, spec.sets), request.extra)
    argv = build_argv(contract, arguments)
    here += [_placed(planning, experiment, f) for f in argv.findings if not _follows(f, here)]
    here += [_placed(planning, experiment, f) for f in _checkpoint_findings(request, contract, spec, values)]
    here += _key_findings(planning, experiment, contract)
    here += secret_findings(planning.project, experiment, planning.workspace.root)
    results = planning.project.paths.results_dir(experiment.name)
    kept = EarlierResults()
    if not request.resume:
        kept = earlier_results(
            contract, results, argv.values, mounts, experiment=experiment.name, overwrite=request.overwrite,
            network=network, spec_text=(prepared.text if prepared is not None else None) or "",
        )  # fmt: skip
    here += [_placed(planning, experiment, finding) for finding in kept.findings]
    if contract.action == "train" and not has_errors(here):
        dataset = planning.project.paths.dataset_dir(experiment.dataset)
        here += planning.datasets.warnings(planning.project.name, dataset, experiment)
    findings += [finding for finding in here if finding not in findings]
    if has_errors(here):
        return None
    plan = _assemble(
        planning, experiment, contract, backend, site, values, argv, gpus, prepared, spec_path, mounts
    )
    home = () if on_host else (planning.workspace.home_dir, planning.workspace.hidden_dir)
    plan = replace(plan, arguments=arguments, set_aside=kept.set_aside, make_dirs=(*kept.make_dirs, *home))
    return PlannedRun(site, plan) if not request.resume else _going_on(planning, experiment, site, plan)


def _going_on(planning: _Planning, experiment: Experiment, site: Site, plan: RunPlan) -> PlannedRun | None:
    """The same training, from its newest checkpoint on."""
    continued = resumed(plan)
    if isinstance(continued, NoResume):
        planning.findings.append(_placed(planning, experiment, continued.finding))
        return None
    if continued.resume is not None:
        torn = torn_findings(continued.resume.checkpoint, plan.results_dir, plan.contract.checkpoints)
        planning.findings += [_placed(planning, experiment, finding) for finding in torn]
    return PlannedRun(site, continued)


def _backend_findings(
    planning: _Planning, experiment: Experiment, contract: Contract, target: Target
) -> Iterator[Finding]:
    yield from backend_findings(planning.project, experiment, target, contract.network, contract.framework)
    if target.runs(contract.framework) and target.needs_image and contract.image is None:
        message = (
            f'no image is known for "{contract.network}" {contract.action} in release {contract.release}'
        )
        yield _at(planning, experiment, ("release",), "no-image", message, "name one with image or --image")


def _mount_findings(
    planning: _Planning, experiment: Experiment, contract: Contract, mounts: Mounts
) -> Iterator[Finding]:
    if mounts.is_identity:
        return
    shown = [Mount(entry.source, entry.destination) for entry in mounts.entries]
    yield from state_findings(planning.workspace, shown, mounts.file)
    paths = planning.project.paths
    yield from outside_findings(paths, experiment.name, mounts, reads_data_only=contract.reads_data_only)


def _need_findings(planning: _Planning, experiment: Experiment, contract: Contract) -> Iterator[Finding]:
    for key in contract.needs:
        if getattr(experiment, key, None) is None:
            message = (
                f'"{contract.network}" {contract.action} needs "{key}", and "{experiment.name}" has none'
            )
            yield _at(planning, experiment, (), "missing-key", message, f'write "{key}:" below it')
    dataset = planning.project.paths.dataset_dir(experiment.dataset)
    if not dataset.is_dir():
        message = f'the dataset "{experiment.dataset}" does not exist ({dataset})'
        yield _at(
            planning, experiment, ("dataset",), "missing-dataset", message, "put it there, or correct dataset"
        )


def _spec(
    planning: _Planning, experiment: Experiment, contract: Contract, values: RunValues, gpus: GpuRequest
) -> SpecOfAction:
    path = find_spec(experiment.spec_dirs, contract.spec) if contract.spec is not None else None
    outside = outside_link(path, planning.workspace, planning.mounts) if path is not None else None
    if outside is not None:
        return SpecOfAction(findings=(outside,))
    sets = planning.request.overrides
    kept = KeptSchemas(planning.workspace.spec_schemas_dir)
    image = choose_image(contract, planning.request, planning.lock)
    pinned = replace(contract, image=image)
    return spec_of_action(
        planning.project, experiment, pinned, values.variables, gpus, sets, kept, weights=values.weights
    )


def _given_by_hand(sets: Mapping[str, str], extra: Sequence[str]) -> dict[str, object]:
    """Keys of the spec that the command line sets: those of ``--set``, and ``key=value`` behind ``--``."""
    behind = (token.partition("=") for token in extra if not token.startswith("-"))
    given = {**sets, **{key: text for key, equals, text in behind if equals}}
    return {key: typed_value(key, text) for key, text in given.items()}


def _checkpoint_findings(
    request: ActionRequest, contract: Contract, spec: SpecOfAction, values: RunValues
) -> Iterator[Finding]:
    """``--checkpoint`` is read, or it is an error."""
    goes_to = destination(contract)
    if request.checkpoint is None or goes_to is None:
        return
    if values.weights is not None and spec.path is None:
        yield not_read(contract, request.checkpoint)
    path = values.weights.path if values.weights is not None else None
    key = next((key for key, value in spec.keys.items() if path is not None and value == path), None)
    twice = given_twice(
        contract, goes_to.argument, key, (*(f"{name}=" for name in request.overrides), *request.extra)
    )
    if twice is not None:
        yield twice


def _key_findings(planning: _Planning, experiment: Experiment, contract: Contract) -> list[Finding]:
    """The key passes through TAO's shell too; a literal one can be looked at."""
    key = experiment.model_key
    if key is None or key.startswith(("env:", "file:")) or key_in_spec(contract) is not None:
        return []
    bad = unsafe_character(contract, key)
    if bad is None:
        return []
    message = f"the model key has the character {bad!r}, which TAO's entry point would change"
    return [
        _at(planning, experiment, ("model_key",), "argument-unsafe", message, "use letters, digits, _ and -")
    ]


def _assemble(
    planning: _Planning, experiment: Experiment, contract: Contract, backend: str, site: Site, values: RunValues,
    argv: Argv, gpus: GpuRequest, prepared: PreparedSpec | None, spec_path: Path | None, mounts: Mounts,
) -> RunPlan:  # fmt: skip
    workspace, caller = planning.workspace, planning.caller
    target = target_of(backend)
    on_host = target.sees_host_paths
    env = {} if on_host else base_environment(caller.name)
    env |= {**contract.env, **mounts.env, **experiment.env}
    plain, secrets = split_secrets(env)
    spec_key = key_in_spec(contract) if "key" not in values.arguments and prepared is not None else None
    in_argv = any("@TAORUNNER_SECRET_" in token for token in argv.tokens)
    if experiment.model_key is not None and (in_argv or spec_key is not None):
        origin = experiment.model_key
        if not origin.startswith(("env:", "file:")):
            origin = f"literal:{origin}"
        secrets = (SecretSource(MODEL_KEY, origin, spec_key=spec_key), *secrets)
    run_inside = str(site.run_dir / "input") if on_host else RUN_INSIDE
    bound: tuple[Mount, ...] = ()
    if not on_host:
        bound = run_mounts(
            workspace, planning.project.paths, experiment.name, mounts, site,
            reads_data_only=contract.reads_data_only,
        )  # fmt: skip
    spec = None
    if prepared is not None and prepared.text is not None and spec_path is not None:
        spec = RenderedSpec(spec_path, spec_path.name, prepared.text, str(values.arguments["spec"]))
    return RunPlan(
        project=planning.project.paths.name,
        experiment=experiment.name,
        action=contract.action,
        backend=backend,
        contract=replace(
            contract, verdict=replace(contract.verdict, artifacts=artifact_globs(contract, argv.values))
        ),
        argv=argv.tokens,
        workspace=workspace.root,
        results_dir=planning.project.paths.results_dir(experiment.name),
        results_inside=str(values.arguments["results_dir"]),
        run_inside=run_inside,
        image=choose_image(contract, planning.request, planning.lock) if target.needs_image else None,
        env=plain,
        mounts=bound,
        gpus=gpus,
        spec=spec,
        secrets=secrets,
        options=ContainerOptions() if on_host else _options(experiment, mounts, caller),
        backend_options=backend_options_for(experiment, target, contract.framework),
        epochs=_epochs(contract, prepared, planning.request.overrides),
        overwrite=planning.request.overwrite,
    )


def _options(experiment: Experiment, mounts: Mounts, caller: Caller) -> ContainerOptions:
    given = mounts.options
    return ContainerOptions(
        user=experiment.user or given.user or f"{caller.uid}:{caller.gid}",
        groups=caller.groups,
        shm_bytes=experiment.shm_bytes or given.shm_bytes or DEFAULT_SHM_BYTES,
        ulimits=given.ulimits or DEFAULT_ULIMITS,
        ports=given.ports,
        network=given.network,
        privileged=given.privileged,
        tty=given.tty,
    )


def _epochs(contract: Contract, prepared: PreparedSpec | None, overrides: Mapping[str, str]) -> int | None:
    if contract.action != "train" or contract.spec is None or prepared is None:
        return None
    key = contract.spec.keys.get("epochs")
    if key is None:
        return None
    told = overrides.get(key, "")
    number = float(told) if re.fullmatch(r"[0-9]{1,9}", told) else read_number(prepared, key)
    return int(number) if number is not None and number >= 1 else None


def unknown_experiment(name: str, project: Project) -> Finding:
    hint = did_you_mean(name, project.names) or f"write it into {project.paths.experiments_file}"
    return Finding(
        Severity.ERROR, "unknown-experiment", f'there is no experiment "{name}" in project "{project.paths.name}"',
        hint, project.paths.experiments_file,
    )  # fmt: skip


def _at(
    planning: _Planning,
    experiment: Experiment,
    keys: tuple[str, ...],
    code: str,
    message: str,
    hint: str | None,
) -> Finding:
    """An error at the experiment's key, or at its name where it does not have that key itself."""
    line, column = planning.project.place(("experiments", experiment.name, *keys), of_key=not keys)
    return Finding(Severity.ERROR, code, message, hint, planning.project.paths.experiments_file, line, column)


def _placed(planning: _Planning, experiment: Experiment, finding: Finding) -> Finding:
    if finding.file is not None:
        return finding
    line, column = planning.project.place(("experiments", experiment.name), of_key=True)
    return replace(finding, file=planning.project.paths.experiments_file, line=line, column=column)


def _follows(finding: Finding, known: Sequence[Finding]) -> bool:
    """A missing argument that another finding already explains is not told twice."""
    if finding.code != "argument-missing":
        return False
    told = {other.code for other in known if other.is_error}
    causes = {
        "missing-spec",
        "checkpoint-missing",
        "pretrained-missing",
        "not-mounted",
        "missing-key",
        "missing-dataset",
    }
    return bool(told & causes) or any(
        other.file is not None and other.file.suffix != ".yml" for other in known if other.is_error
    )
