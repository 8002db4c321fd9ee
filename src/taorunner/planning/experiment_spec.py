"""The spec of one experiment as an action gets it, with what the command line sets in it, and the weights it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from taorunner.contracts import Contract
from taorunner.errors import Finding, Severity, has_errors
from taorunner.planning.context import Planning
from taorunner.planning.inputs.earlier_results import EarlierResults
from taorunner.planning.inputs.named_checkpoint import destination, given_twice, not_read
from taorunner.planning.inputs.precedence import choose_image
from taorunner.planning.inputs.values import RunValues
from taorunner.planning.model.knobs import NO_KNOBS, KnobSetting
from taorunner.planning.model.plan import Resources
from taorunner.planning.model.request import ActionRequest
from taorunner.planning.spec.effective_spec import EffectiveSpec, effective_spec
from taorunner.planning.spec.knob_settings import knob_settings, of_option
from taorunner.planning.spec.link_containment import outside_link
from taorunner.planning.spec.overrides import sets_of_later, typed_value
from taorunner.planning.spec.spec_files import find_spec
from taorunner.project.experiments import Experiment
from taorunner.specs.schema.image_schemas import KeptSchemas
from taorunner.specs.syntax.text_position import SpecProblemError


def spec_of(
    planning: Planning, experiment: Experiment, contract: Contract, values: RunValues, resources: Resources
) -> tuple[EffectiveSpec, tuple[KnobSetting, ...]]:
    """The spec with everything set, and what the options for epochs and the like set in it."""
    path = find_spec(experiment.spec_dirs, contract.spec) if contract.spec is not None else None
    outside = outside_link(path, planning.workspace, planning.mounts) if path is not None else None
    if outside is not None:
        return EffectiveSpec(findings=(outside,)), ()
    sets, knobs = planning.request.overrides, planning.request.knobs
    kept = KeptSchemas(planning.workspace.spec_schemas_dir, planning.memory)
    image = choose_image(contract, planning.request, planning.lock)
    pinned = replace(contract, image=image)
    if planning.request.earlier:
        sets = sets_of_later(sets, pinned, kept)

    def with_sets(sets: Mapping[str, str]) -> EffectiveSpec:
        return effective_spec(
            planning.project,
            experiment,
            pinned,
            values.variables,
            resources.gpus,
            sets,
            kept,
            weights=values.weights,
        )

    spec = with_sets(sets)
    if knobs == NO_KNOBS:
        return spec, ()
    processes = max(1, resources.gpus.count * resources.nodes)
    found = knob_settings(pinned, knobs, spec, typed_values(sets, planning.request.extra), processes)
    if has_errors(found.findings):
        return replace(spec, findings=(*spec.findings, *found.findings)), ()
    spec = with_sets({**sets, **found.sets})
    findings = (*of_option(spec.findings, found.settings), *found.findings)
    return replace(spec, findings=findings), found.settings


def typed_values(sets: Mapping[str, str], extra: Sequence[str]) -> dict[str, object]:
    """Keys of the spec that the command line sets: those of ``--set``, and ``key=value`` behind ``--``."""
    behind = (token.partition("=") for token in extra if not token.startswith("-"))
    given = {**sets, **{key: text for key, equals, text in behind if equals}}
    found: dict[str, object] = {}
    for key, text in given.items():
        try:
            found[key] = typed_value(key, text)
        except SpecProblemError:  # of --set it is a finding; behind -- it is TAO's to read
            found[key] = text
    return found


def checkpoint_findings(
    request: ActionRequest, contract: Contract, spec: EffectiveSpec, values: RunValues
) -> Iterator[Finding]:
    """``--checkpoint`` is read, or it is an error; an action that reads what its chain makes does not get it."""
    goes_to = destination(contract)
    if request.checkpoint is None or goes_to is None or values.awaits:
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


def moved_weights(values: RunValues, earlier: EarlierResults) -> Iterator[Finding]:
    """Weights to start from that ``--overwrite`` moves before they are read."""
    path = values.chosen_file
    if path is None or not any(path.is_relative_to(folder) for folder in earlier.set_aside):
        return
    message = f"--overwrite moves {path.name} aside, and this training is to start from it"
    hint = "copy it out of the results first, and give the path of the copy"
    yield Finding(Severity.ERROR, "checkpoint-moved", message, hint, typed=True)
