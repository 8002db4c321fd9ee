"""Plans one experiment: collects its inputs, runs every check, and assembles its RunPlan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from taorunner.catalog.network import Network
from taorunner.contracts import Contract
from taorunner.errors import Finding, Severity, UnknownNameError, UserFilesError
from taorunner.planning.checkpoints.checkpoint_files import checkpoints_of
from taorunner.planning.checks.consistency import Launch
from taorunner.planning.checks.dataset_requirements import READ_BY
from taorunner.planning.checks.mount_checks import mount_findings
from taorunner.planning.checks.paths.argument_inputs import missing_at_launch, unbuilt_models
from taorunner.planning.checks.paths.linked_results import linked_results
from taorunner.planning.checks.secret_exposure import secret_findings
from taorunner.planning.context import Planning
from taorunner.planning.experiment_spec import checkpoint_findings, moved_weights, spec_of, typed_values
from taorunner.planning.inputs.argv import Argv, build_argv, unsafe_character
from taorunner.planning.inputs.awaited import CHAIN_CODE
from taorunner.planning.inputs.backend_choice import backend_findings, backend_options_for
from taorunner.planning.inputs.earlier_results import EarlierResults, SeenMounts, earlier_results
from taorunner.planning.inputs.environment import RUN_INSIDE
from taorunner.planning.inputs.gpu_access import visible_gpus
from taorunner.planning.inputs.precedence import (
    choose_contract,
    choose_image,
    choose_resources,
    default_backend,
    key_in_spec,
    override_tokens,
)
from taorunner.planning.inputs.resources import ignored_options, resource_findings
from taorunner.planning.inputs.resume import NoResume, results_seen_by, resumed
from taorunner.planning.inputs.run_mounts import (
    VOLUME_CODE,
    outside_findings,
    volume_findings,
)
from taorunner.planning.inputs.values import ValueFinder
from taorunner.planning.model.arguments import ArgumentValues
from taorunner.planning.model.forcing import passed, stops
from taorunner.planning.model.plan import SECRET_SPEC_DIR, RunPlan
from taorunner.planning.model.request import Site
from taorunner.planning.model.typed_settings import typed_settings
from taorunner.planning.run_plan import Draft, assemble, mounts_of
from taorunner.planning.spec.fill_in import explained
from taorunner.planning.spec.variable_values import at_definition
from taorunner.planning.weights.agreement import backbone_findings
from taorunner.planning.weights.use import WeightsChecks, weights_use
from taorunner.project.clusters.far_place import far_place
from taorunner.project.experiments import Experiment
from taorunner.project.mounts import Mounts
from taorunner.specs.spec_file import SpecFile, load_spec
from taorunner.targets import Target, target_of
from taorunner.text import nearest
from taorunner.values.value import replace

_OF_CHECKPOINT = frozenset({"checkpoint-missing", "checkpoint-torn"})


def plan_experiment(planning: Planning, experiment: Experiment) -> tuple[Site, RunPlan] | None:
    """The run's site and plan; None after an error in this experiment, which is added to the findings."""
    draft = _draft(planning, experiment)
    if draft is None:
        return None
    contract, values, request = draft.contract, draft.values, planning.request
    is_typed = request.checkpoint is not None  # then the file is not where it is wrong
    here = [
        finding
        if finding.code == CHAIN_CODE or (is_typed and finding.code in _OF_CHECKPOINT)
        else planning.placed(experiment, _with_first_step(planning, experiment, finding))
        for finding in values.findings
    ]
    here += _need_findings(planning, experiment, contract)
    limited = resource_findings(
        planning.project, experiment, draft.target, request.limits, contract, request.gpu_ids
    )
    here += [planning.placed(experiment, finding) for finding in limited]
    here += ignored_options(contract, draft.target, request)
    if not draft.on_host:
        count = draft.resources.gpus.count
        hidden = visible_gpus(planning.project, experiment, draft.mounts, contract.env, count, request.env)
        image = choose_image(contract, request, planning.lock)
        old = planning.machine.driver_finding(image, count)
        here += [planning.placed(experiment, one) for one in (hidden, old) if one is not None]
    here += _mount_findings(planning, experiment, contract, draft.mounts)
    here += _volume_findings(planning, draft)
    here += _weights_findings(planning, draft)
    here += draft.spec.findings
    known = len(planning.cross.readings)
    here += _consistency_findings(planning, draft)
    if contract.action in READ_BY:
        here += planning.datasets.findings(planning.project.paths.name, planning.cross.readings[known:])
    arguments = _arguments(planning, draft)
    argv = build_argv(contract, arguments)
    here += [planning.placed(experiment, f) for f in argv.findings if not _follows(f, here)]
    here += checkpoint_findings(request, contract, draft.spec, values)
    here += missing_at_launch(planning.project, experiment, contract, argv, draft.mounts, planning.cross.data)
    unbuilt = unbuilt_models(experiment, contract, values, argv, draft.mounts, starts=not request.dry_run)
    here += [planning.placed(experiment, finding) for finding in unbuilt]
    here += _key_findings(planning, experiment, contract)
    here += secret_findings(planning.project, experiment, planning.workspace.root)
    earlier = _earlier_results(planning, draft, argv)
    here += [planning.placed(experiment, finding) for finding in earlier.findings]
    here += moved_weights(values, earlier)
    if draft.on_host:
        here += linked_results(planning.project.paths.results_dir(experiment.results), earlier.set_aside)
    here = explained(
        here, planning.project, experiment, planning.networks.layout(experiment.head), planning.memory
    )
    here = _in_one_step(at_definition(here, planning.project, experiment, planning.memory), experiment)
    planning.add(here)
    if stops(here, is_forced=request.force):
        return None
    plan = assemble(planning, draft, arguments, argv, earlier)
    plan = replace(plan, forced=passed(here), typed=typed_settings(request))
    continued = _continued(planning, experiment, plan) if request.resume else plan
    return None if continued is None else (draft.site, continued)


def _with_first_step(planning: Planning, experiment: Experiment, finding: Finding) -> Finding:
    """A missing checkpoint with the command that leads to one: the conversion first, where there are no records yet."""
    layout = planning.networks.layout(experiment.head)
    train = f"taorunner train {experiment.name}"
    if finding.code != "checkpoint-missing" or finding.hint != train or layout is None:
        return finding
    paths = planning.project.paths
    folders = (
        paths.tfrecords_dir(experiment.name),
        paths.results_dir(experiment.results) / "dataset_convert",
    )
    if not layout.trains_on_records or any(planning.cross.data.has_files(str(folder)) for folder in folders):
        return finding
    return replace(finding, hint=f"taorunner convert {experiment.name} --then train")


def _in_one_step(findings: Sequence[Finding], experiment: Experiment) -> list[Finding]:
    """With the chain that makes the checkpoint as the next step for missing records, too."""
    convert = f"taorunner convert {experiment.name}"
    chain = f"{convert} --then train"
    if all(finding.hint != chain for finding in findings):
        return list(findings)
    return [replace(one, hint=chain) if one.hint == convert else one for one in findings]


def _draft(planning: Planning, experiment: Experiment) -> Draft | None:
    """The inputs of the run; None if there is no network, contract or backend for it."""
    request = planning.request
    found = _network_and_contract(planning, experiment)
    if found is None:
        return None
    network, contract = found
    backend = request.backend or experiment.backend or default_backend(contract)
    target = target_of(backend)
    options = backend_options_for(experiment, target, contract.framework)
    target, place = target.with_settings(options), far_place(planning.workspace.root, target.name, options)
    of_backend = list(_backend_findings(planning, experiment, contract, target))
    planning.add(of_backend)
    if any(one.severity is Severity.ERROR for one in of_backend):
        return None
    on_host = target.sees_host_paths
    mounts = Mounts.identity() if on_host else planning.mounts
    if not on_host:
        planning.add(list(planning.mounts.findings))
    counted, refused = planning.machine.counted(request, contract.gpu_use, target)
    planning.add([refused] if refused is not None else [])
    resources = choose_resources(experiment, counted, contract)
    if target.needs_image and request.image is None:
        planning.add(list(planning.lock.findings))
    site = planning.make_site(experiment.name, network.name_of(contract))
    finder = ValueFinder(
        planning.workspace, planning.project.paths, experiment, network, mounts, planning.scores, place
    )
    values = finder.find(
        contract, resources.gpus, request.checkpoint, dry_run=request.dry_run, earlier=request.earlier
    )
    spec, knobs = spec_of(planning, experiment, contract, values, resources)
    run_inside = str(site.run_dir / "input") if on_host else RUN_INSIDE
    return Draft(
        experiment,
        network,
        contract,
        target,
        mounts,
        resources,
        site,
        values,
        spec,
        on_host,
        run_inside,
        knobs,
        place,
    )


def _network_and_contract(planning: Planning, experiment: Experiment) -> tuple[Network, Contract] | None:
    request = planning.request
    keys, code = ("head",), "unknown-head"
    try:
        network = planning.networks.load(experiment.head)
        known = (experiment.head, experiment.release, experiment.image, request.action, bool(request.earlier))
        if known not in planning.contracts:
            keys, code = ("release",), "unknown-release"
            network.actions(request.release or experiment.release)
            keys, code = ("head",), "unknown-action"
            planning.contracts[known] = choose_contract(network, experiment, request)
        return network, planning.contracts[known]
    except UserFilesError as error:
        own = planning.error(experiment, keys, code, error.message, error.hint)
        if code == "unknown-release" and request.release is not None:
            own = Finding(Severity.ERROR, code, error.message, _release_hint(request.release, network))
        elif code == "unknown-action" and isinstance(error, UnknownNameError):
            own = Finding(Severity.ERROR, code, error.message, error.hint)
        planning.add(list(error.findings) or [own])
        return None


def _release_hint(release: str, network: Network) -> str:
    """A release with the same first number that is spelled alike, else all: 7.0 is no misspelt 4.0."""
    close = nearest(release, network.releases)
    if close is not None and close.partition(".")[0] == release.lstrip("v").partition(".")[0]:
        return f'did you mean "{close}"?'
    return f'releases of "{network.name}": {", ".join(network.releases)}'


def _consistency_findings(planning: Planning, draft: Draft) -> list[Finding]:
    spec, experiment = draft.spec, draft.experiment
    if spec.path is None:
        return []
    launch = Launch(
        draft.contract.action,
        draft.resources.gpus.count,
        draft.target.name,
        typed_values(spec.sets, planning.request.extra),
        not planning.request.dry_run,
        frozenset(planning.request.earlier),
        planning.request.resume,
        planning.request.overwrite and draft.contract.action == "train",
    )
    found = planning.cross.before(
        draft.contract, spec.path, draft.network, planning.project, experiment, launch
    )
    return [planning.placed(experiment, finding) for finding in found]


def _weights_findings(planning: Planning, draft: Draft) -> Iterator[Finding]:
    path, contract = draft.spec.path, draft.contract
    file = load_spec(path) if path is not None else None
    if contract.spec is not None and not isinstance(file, SpecFile):
        return  # reported with the file
    typed = typed_values(draft.spec.sets, planning.request.extra)
    use = weights_use(
        contract, file if isinstance(file, SpecFile) else None, draft.experiment, typed, planning.memory
    )
    checks = WeightsChecks(planning.workspace.repositories_dir)
    layout = planning.networks.layout(contract.network)
    yield from checks.findings(planning.project, draft.experiment, contract, use, layout)
    if contract.action == "train" and isinstance(file, SpecFile):
        yield from backbone_findings(
            planning.project, draft.experiment, contract, file, typed, layout, use, planning.memory
        )


def _arguments(planning: Planning, draft: Draft) -> ArgumentValues:
    """The values of the command line. A model key that the spec holds is taken out of them."""
    contract, arguments = draft.contract, draft.values.arguments
    if draft.spec.path is not None:  # also for a spec with errors, so that no missing argument is reported
        is_private = key_in_spec(contract) is not None and arguments.pop("key", None) is not None
        folder = f"{draft.run_inside}/{SECRET_SPEC_DIR}" if is_private else draft.run_inside
        arguments["spec"] = f"{folder}/{draft.spec.path.name}"
    return ArgumentValues(arguments, override_tokens(contract, draft.spec.sets), planning.request.extra)


def _earlier_results(planning: Planning, draft: Draft, argv: Argv) -> EarlierResults:
    request, prepared = planning.request, draft.spec.prepared
    if request.resume:
        return EarlierResults()
    name, place = draft.experiment.name, draft.place
    results = planning.project.paths.results_dir(draft.experiment.results)
    met = earlier_results(
        draft.contract, results if place is None else place.seen(results), argv.values,
        draft.mounts if place is None else SeenMounts(draft.mounts, place),
        experiment=name, overwrite=request.overwrite, network=draft.network,
        spec_text=(prepared.text if prepared is not None else None) or "",
    )  # fmt: skip
    return met if place is None else met.on(place)


def _continued(planning: Planning, experiment: Experiment, plan: RunPlan) -> RunPlan | None:
    """The same training, continued from its newest checkpoint."""
    continued = resumed(plan)
    if isinstance(continued, NoResume):
        planning.findings.append(planning.placed(experiment, continued.finding))
        return None
    if continued.resume is not None:
        seen, chosen = results_seen_by(plan), continued.resume.checkpoint
        known = checkpoints_of(seen, plan.contract.checkpoints)
        torn = known.torn_findings(seen / chosen.relative_to(plan.results_dir))
        planning.findings += [planning.placed(experiment, finding) for finding in torn]
        point = replace(continued.resume, run=planning.request.continues)
        return replace(continued, resume=point)
    return continued


def _backend_findings(
    planning: Planning, experiment: Experiment, contract: Contract, target: Target
) -> Iterator[Finding]:
    request = planning.request
    typed = (
        "--backend" if request.backend is not None else "--cluster" if request.cluster is not None else None
    )
    yield from backend_findings(
        planning.project, experiment, target, contract.network, contract.framework, typed
    )
    if target.runs(contract.framework) and target.needs_image and contract.image is None:
        message = (
            f'no image is known for "{contract.network}" {contract.action} in release {contract.release}'
        )
        yield planning.error(
            experiment,
            ("release",),
            "no-image",
            message,
            "set image in experiments.yml, or add --image IMAGE",
        )


def _mount_findings(
    planning: Planning, experiment: Experiment, contract: Contract, mounts: Mounts
) -> Iterator[Finding]:
    if mounts.is_identity:
        return
    yield from mount_findings(planning.workspace, mounts, planning.caller.environ)
    paths = planning.project.paths
    yield from outside_findings(paths, experiment.results, mounts, reads_data_only=contract.reads_data_only)


def _volume_findings(planning: Planning, draft: Draft) -> Iterator[Finding]:
    """Findings about ``--volume``, which have no place in a file."""
    volumes = planning.request.volumes
    if not draft.on_host:
        yield from volume_findings(planning.workspace, volumes, mounts_of(planning, draft) if volumes else ())
    elif volumes:
        name, backend = draft.experiment.name, draft.target.name
        message = f'--volume has no effect on "{name}": "{backend}" runs it on this host, without mounts'
        yield Finding(Severity.ERROR, VOLUME_CODE, message, "leave --volume out")


def _need_findings(planning: Planning, experiment: Experiment, contract: Contract) -> Iterator[Finding]:
    for key in contract.needs:
        if getattr(experiment, key, None) is None:
            message = (
                f'"{contract.network}" {contract.action} needs "{key}", and "{experiment.name}" has none'
            )
            yield planning.error(experiment, (), "missing-key", message, f'write "{key}:" below it')
    dataset = planning.project.paths.dataset_dir(experiment.dataset)
    if not dataset.is_dir():
        message = f'the dataset "{experiment.dataset}" does not exist ({dataset})'
        yield planning.error(
            experiment, ("dataset",), "missing-dataset", message, "put it there, or correct dataset"
        )


def _key_findings(planning: Planning, experiment: Experiment, contract: Contract) -> list[Finding]:
    """The key also passes through TAO's shell; only a literal one can be checked."""
    key = experiment.model_key
    if key is None or key.startswith(("env:", "file:")) or key_in_spec(contract) is not None:
        return []
    bad = unsafe_character(contract, key)
    if bad is None:
        return []
    message = f"the model key has the character {bad!r}, which TAO's entry point would change"
    return [
        planning.error(experiment, ("model_key",), "argument-unsafe", message, "use letters, digits, _ and -")
    ]


def _follows(finding: Finding, known: Sequence[Finding]) -> bool:
    """Whether another finding already explains a missing argument."""
    if finding.code != "argument-missing":
        return False
    codes = {other.code for other in known if other.is_error}
    causes = {
        "missing-spec",
        "checkpoint-missing",
        "checkpoint-folder",
        "unknown-checkpoint",
        "no-best",
        "pretrained-missing",
        "pretrained-unnamed",
        "not-mounted",
        "missing-key",
        "missing-dataset",
    }
    return bool(codes & causes) or any(
        other.file is not None and other.file.suffix != ".yml" for other in known if other.is_error
    )
