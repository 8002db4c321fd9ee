"""The spec of one action as TAO will read it: its file, its values, and the origin of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from taorunner.contracts import Contract, OverrideSyntax, SpecContract
from taorunner.errors import Finding, Severity, has_errors
from taorunner.planning.inputs.named_checkpoint import NamedWeights, not_read, spec_key
from taorunner.planning.model.plan import GpuRequest
from taorunner.planning.spec.overrides import Override, find_overrides, refusal, texts_with_variables
from taorunner.planning.spec.schema_choice import schema_for
from taorunner.planning.spec.spec_files import find_spec, missing_spec
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.specs.editing.spec_edits import Edit, set_in
from taorunner.specs.memory import SpecMemory
from taorunner.specs.schema.image_schemas import KeptSchemas
from taorunner.specs.schema.schema import Schema
from taorunner.specs.schema.template_check import library_refusal
from taorunner.specs.schema.walk import Against
from taorunner.specs.spec_file import PreparedSpec, is_unfilled, prepare_spec
from taorunner.specs.syntax.text_position import SpecProblemError
from taorunner.specs.templates.template import SpecValue, hides, unfilled
from taorunner.specs.templates.variables import FILL_IN_CODE
from taorunner.values.value import Value, field, replace


class EffectiveSpec(Value):
    """``prepared`` and ``path`` are None where there is no spec file; an error among the findings says why if one is
    needed.

    ``overrides`` were set for the user, then ``keys`` by taorunner. ``sets`` is what ``--set`` says, with the
    variables replaced.
    """

    prepared: PreparedSpec | None = None
    path: Path | None = None
    findings: tuple[Finding, ...] = ()
    overrides: tuple[Override, ...] = ()
    keys: Mapping[str, object] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)
    schema: Schema | None = None


def effective_spec(
    project: Project,
    experiment: Experiment,
    contract: Contract,
    variables: Mapping[str, SpecValue],
    gpus: GpuRequest,
    sets: Mapping[str, str],
    kept: KeptSchemas | None = None,
    *,
    missing: bool = True,
    all_keys: bool = True,
    weights: NamedWeights | None = None,
) -> EffectiveSpec:
    """``sets`` are the keys of ``--set`` with the text typed for each, ``kept`` the schemas of images, ``weights`` what
    ``--checkpoint`` names for the spec.

    Without ``missing`` nothing is said of values that the action has to have, without ``all_keys`` nothing of
    overrides that are for no spec of this network. Never raises for what the user wrote.
    """
    spec = contract.spec
    memory = kept.memory if kept is not None else SpecMemory()
    texts = texts_with_variables(sets, variables)
    if spec is None:
        return EffectiveSpec(sets=texts)
    path = find_spec(experiment.spec_dirs, spec)
    if path is None:
        missing_file = (missing_spec(project, experiment, contract.action, spec),) if spec.required else ()
        return EffectiveSpec(findings=missing_file, sets=texts)
    against = schema_for(contract, missing=missing, kept=kept)
    schema = against.schema if against is not None else None
    found = find_overrides(project, experiment, contract, against, variables, sets, all_keys=all_keys)
    goes_to_argv = contract.override_syntax is not OverrideSyntax.NONE
    items = tuple(one for one in found.items if not (goes_to_argv and one.place is None))
    keys = _keys(spec, gpus)
    if against is not None:
        ours_too = [spec.keys[weights.role]] if weights is not None and weights.role in spec.keys else []
        given = against.given | frozenset([*found.keys, *ours_too])
        against = replace(against, given=given, replaced=frozenset(one.edit.key for one in items))
    prepared = prepare_spec(path, spec.format, variables, against=against, memory=memory)
    findings = (*(one for one in prepared.findings if one.code != FILL_IN_CODE), *found.findings)
    findings += tuple(_ignored(project, items, keys))
    text = prepared.draft
    items += tuple(one for one in found.items if one not in items and _fills(prepared, one.edit))
    if weights is not None and text is not None:
        key = spec_key(spec, weights.role, prepared, texts)
        if key is None:
            findings += (not_read(contract, weights.named),)
        else:
            keys[key] = weights.path
    if text is not None and not has_errors(findings):
        text, refused = _edited(project, prepared, text, items, keys, schema)
        findings += refused
        if against is not None and text != prepared.draft and not has_errors(findings):
            findings += _library_findings(path, text, against, memory)
    if prepared.rendered is not None:
        left = unfilled(prepared.rendered, prepared.rendered.text if text is None else text)
        findings += tuple(replace(one, file=path) for one in left)
    draft = None if hides(findings) else text
    prepared = replace(prepared, text=None if has_errors(findings) else text, draft=draft, findings=findings)
    return EffectiveSpec(prepared, path, findings, items, keys, texts, schema)


def _edited(
    project: Project, prepared: PreparedSpec, text: str, items: Sequence[Override], keys: Mapping[str, object],
    schema: Schema | None,
) -> tuple[str, tuple[Finding, ...]]:  # fmt: skip
    """The text with ``items``, then ``keys`` set. An empty section first takes the place of a mark above a key."""
    ours = [Edit(tuple(key.split(".")), value) for key, value in keys.items()]
    above = {_mark_at(prepared, one.edit) or one.edit.steps: one for one in items}
    sections = [Edit(steps, {}) for steps, one in above.items() if len(steps) < len(one.edit.steps)]
    if sections:
        text, _ = set_in(text, prepared.format, sections, schema)
    text, problems = set_in(text, prepared.format, [*(one.edit for one in items), *ours], schema)
    return text, tuple(_refusals(project, prepared.path, items, problems))


def _fills(prepared: PreparedSpec, edit: Edit) -> bool:
    """Hydra reads the text before its command line, so a mark that ``--set`` fills is filled in the text, too."""
    return _mark_at(prepared, edit) is not None


def _mark_at(prepared: PreparedSpec, edit: Edit) -> tuple[str, ...] | None:
    """The steps to the mark that ``edit`` fills, or that stands for the section it sets a key of; None without one."""
    steps = (edit.steps[:count] for count in range(1, len(edit.steps) + 1))
    return next((one for one in steps if is_unfilled(prepared, ".".join(one))), None)


def _refusals(
    project: Project, path: Path, items: Sequence[Override], problems: Sequence[SpecProblemError | None]
) -> Iterator[Finding]:
    """Findings for values that could not be set: those of ``items`` first, then taorunner's own."""
    for number, problem in enumerate(problems):
        if problem is not None and number < len(items):
            yield refusal(project, items[number], problem)
        elif problem is not None:
            yield replace(problem.to_finding(), file=path)


def _library_findings(path: Path, text: str, against: Against, memory: SpecMemory) -> tuple[Finding, ...]:
    """The protobuf library's findings in the text after values were set."""
    refused = library_refusal(text, against, memory)
    if refused is None:
        return ()
    hint = "one of the values that are set in it does not fit"
    return (replace(refused.to_finding(), hint=hint, file=path),)


def _keys(spec: SpecContract, gpus: GpuRequest) -> dict[str, Any]:
    """The keys that taorunner sets: the GPUs, numbered as in the container."""
    keys: dict[str, Any] = {}
    if spec.format == "yaml" and gpus.count:
        if "num_gpus" in spec.keys:
            keys[spec.keys["num_gpus"]] = gpus.count
        if "gpu_ids" in spec.keys:
            keys[spec.keys["gpu_ids"]] = list(range(gpus.count))
    return keys


def _ignored(project: Project, items: tuple[Override, ...], keys: Mapping[str, object]) -> Iterator[Finding]:
    for one in items:
        key = one.edit.key
        if key in keys and one.edit.value != keys[key]:
            message = f"{key} is set by taorunner, to {keys[key]}: the override has no effect"
            hint = "choose GPUs with gpus and gpu_indices, or --gpus and --gpu-indices"
            if one.place is None:
                yield Finding(Severity.WARNING, "override-ignored", f"--set {key}: {message}", hint)
            else:
                yield project.finding(Severity.WARNING, "override-ignored", message, one.place, hint=hint)
