"""Assembles the RunPlan of one experiment from its chosen inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from taorunner.catalog.network import Network
from taorunner.container_options import ContainerOptions, Mount
from taorunner.contracts import Contract
from taorunner.planning.context import Planning
from taorunner.planning.inputs.argv import Argv, artifact_globs
from taorunner.planning.inputs.backend_choice import backend_options_for
from taorunner.planning.inputs.earlier_results import EarlierResults
from taorunner.planning.inputs.environment import (
    MODEL_KEY,
    base_environment,
    split_secrets,
)  # fmt: skip
from taorunner.planning.inputs.precedence import (
    choose_image,
    key_in_spec,
)
from taorunner.planning.inputs.run_mounts import home_of, run_mounts
from taorunner.planning.inputs.values import RunValues
from taorunner.planning.model.arguments import ArgumentValues
from taorunner.planning.model.knobs import KnobSetting
from taorunner.planning.model.plan import (
    DEFAULT_SHM_BYTES,
    DEFAULT_ULIMITS,
    RenderedSpec,
    Resources,
    RunPlan,
    SecretSource,
)
from taorunner.planning.model.request import Caller, Site
from taorunner.planning.spec.effective_spec import EffectiveSpec
from taorunner.project.clusters.far_place import FarPlace
from taorunner.project.experiments import Experiment
from taorunner.project.mounts import Mounts
from taorunner.specs.spec_file import PreparedSpec, read_number
from taorunner.targets import Target
from taorunner.values.value import Value, replace


class Draft(Value):
    """The inputs chosen for one run, before its plan is assembled.

    ``run_inside`` is the run's input folder as the process sees it, ``mounts`` those of ``target``, ``place`` where its
    files are that this machine does not see.
    """

    experiment: Experiment
    network: Network
    contract: Contract
    target: Target
    mounts: Mounts
    resources: Resources
    site: Site
    values: RunValues
    spec: EffectiveSpec
    on_host: bool
    run_inside: str
    knobs: tuple[KnobSetting, ...] = ()
    place: FarPlace | None = None

    @property
    def action(self) -> str:
        """The name under which the run is recorded: ``deploy.evaluate``, not the other group's ``evaluate``."""
        return self.network.name_of(self.contract)


def assemble(
    planning: Planning, draft: Draft, arguments: ArgumentValues, argv: Argv, earlier: EarlierResults
) -> RunPlan:
    """The plan of a run without errors. ``earlier`` is what is set aside before it starts."""
    workspace, project, request = planning.workspace, planning.project, planning.request
    experiment, contract, target = draft.experiment, draft.contract, draft.target
    plain, secrets = _environment(planning, draft, argv)
    bound = mounts_of(planning, draft)
    artifacts = artifact_globs(contract, argv.values)
    home = () if draft.on_host else (home_of(workspace, contract.image), workspace.hidden_dir)
    return RunPlan(
        project=project.paths.name,
        experiment=experiment.name,
        action=draft.action,
        backend=target.name,
        cluster=experiment.cluster,
        contract=replace(contract, verdict=replace(contract.verdict, artifacts=artifacts)),
        argv=argv.tokens,
        workspace=workspace.root,
        results_dir=project.paths.results_dir(experiment.results),
        results_inside=str(arguments.values["results_dir"]),
        run_inside=draft.run_inside,
        image=choose_image(contract, request, planning.lock) if target.needs_image else None,
        env=plain,
        mounts=bound,
        resources=draft.resources,
        spec=_rendered(draft.spec, arguments),
        secrets=secrets,
        options=ContainerOptions() if draft.on_host else _options(experiment, draft.mounts, planning.caller),
        backend_options=backend_options_for(experiment, target, contract.framework),
        track=experiment.track,
        epochs=_epochs(contract, draft.spec.prepared, draft.spec.sets),
        knobs=draft.knobs,
        weights=draft.values.chosen,
        overwrite=request.overwrite,
        arguments=arguments,
        set_aside=earlier.set_aside,
        make_dirs=(*earlier.make_dirs, *home),
        awaits=draft.values.awaits,
    )


def mounts_of(planning: Planning, draft: Draft) -> tuple[Mount, ...]:
    """All mounts of the run; none for a process of this host."""
    if draft.on_host:
        return ()
    return run_mounts(
        planning.workspace, planning.project.paths, draft.experiment.results, draft.mounts, draft.site,
        image=draft.contract.image, reads_data_only=draft.contract.reads_data_only,
    )  # fmt: skip


def _environment(
    planning: Planning, draft: Draft, argv: Argv
) -> tuple[Mapping[str, str], tuple[SecretSource, ...]]:
    """Plain variables, and where each secret is read from."""
    experiment, prepared = draft.experiment, draft.spec.prepared
    env = {} if draft.on_host else base_environment(planning.caller.name)
    env |= {**draft.contract.env, **draft.mounts.env, **experiment.env, **planning.request.env}
    plain, secrets = split_secrets(env)
    is_in_spec = "key" not in draft.values.arguments and prepared is not None
    spec_key = key_in_spec(draft.contract) if is_in_spec else None
    in_argv = any("@TAORUNNER_SECRET_" in token for token in argv.tokens)
    if experiment.model_key is not None and (in_argv or spec_key is not None):
        origin = experiment.model_key
        if not origin.startswith(("env:", "file:")):
            origin = f"literal:{origin}"
        secrets = (SecretSource(MODEL_KEY, origin, spec_key=spec_key), *secrets)
    return plain, secrets


def _rendered(spec: EffectiveSpec, arguments: ArgumentValues) -> RenderedSpec | None:
    if spec.prepared is None or spec.prepared.text is None or spec.path is None:
        return None
    return RenderedSpec(spec.path, spec.path.name, spec.prepared.text, str(arguments.values["spec"]))


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
    typed = overrides.get(key, "")
    number = float(typed) if re.fullmatch(r"[0-9]{1,9}", typed) else read_number(prepared, key)
    return int(number) if number is not None and number >= 1 else None
