"""The spec that TAO will read for an experiment and action, and where each value was set. Changes nothing.

A missing dataset, checkpoint or pretrained file is no error here; the paths are those that a run would use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taorunner.catalog.network import Network
from taorunner.contracts import Contract
from taorunner.errors import Finding, Severity, UnknownNameError, UsageError, UserFilesError, has_errors
from taorunner.planning.inputs.argv import build_argv
from taorunner.planning.inputs.backend_choice import placed_by
from taorunner.planning.inputs.environment import split_secrets
from taorunner.planning.inputs.precedence import (
    choose_contract,
    choose_gpus,
    default_backend,
    override_tokens,
)
from taorunner.planning.inputs.values import ValueFinder
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.inspect.secret_values import LONG_SECRET, is_secret
from taorunner.planning.model.arguments import ArgumentValues
from taorunner.planning.model.fault import refusal
from taorunner.planning.model.request import ActionRequest
from taorunner.planning.planner import concerns, unknown_experiment
from taorunner.planning.spec.effective_spec import EffectiveSpec, effective_spec
from taorunner.planning.spec.fill_in import explained
from taorunner.planning.spec.overrides import check_sets
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project, load_project
from taorunner.project.mounts import Mounts, load_mounts
from taorunner.project.workspace import Workspace
from taorunner.specs.schema.image_schemas import KeptSchemas
from taorunner.specs.schema.schema import Schema
from taorunner.specs.syntax.leaves import Leaf, Repeats, leaves
from taorunner.targets import sees_host_paths
from taorunner.text import MASK, did_you_mean, printable, redact

_TOKEN = re.compile(r"[+~]{0,2}[A-Za-z_][\w.\[\]]*=")


@dataclass(frozen=True, slots=True)
class SpecValue:
    """``by``: ``spec`` (the file), ``override`` (experiments.yml), ``set`` (the command line) or ``taorunner``."""

    key: str
    value: Any
    by: str
    file: Path | None = None
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class ShownSpec:
    """``text`` is what the process will read, secrets as ``***``. ``own`` are the values of variables that hold the
    experiment's name; ``arguments`` the ``key=value`` of the command line, which beat the spec."""

    project: str
    experiment: str
    action: str
    network: str
    release: str
    format: str
    path: Path
    text: str
    values: tuple[SpecValue, ...]
    findings: tuple[Finding, ...]
    arguments: tuple[str, ...]
    own: Mapping[str, str]
    schema: Schema | None


def shown_spec(
    workspace: Workspace, project_name: str, name: str, request: ActionRequest, environ: Mapping[str, str]
) -> ShownSpec:
    """``request.action`` may be empty: train, or the first action that reads a spec.

    Raises:
        UsageError: a key or value of ``request.overrides`` cannot be read.
        UserFilesError: there is no such experiment or spec, or it cannot be rendered; with all findings.
    """
    check_sets(request.overrides)
    loaded = load_project(workspace, project_name, environ)
    project = placed_by(loaded, request, workspace, environ)
    misplaced = [one for one in project.findings if one.is_error and one not in loaded.findings]
    if misplaced:
        raise refusal(misplaced)(f'the spec of "{name}" cannot be shown', findings=misplaced)
    experiment, network = find_experiment(workspace, project, name)
    contract = spec_contract(network, experiment, request)
    backend = request.backend or experiment.backend or default_backend(contract)
    on_host = sees_host_paths(backend, experiment.backend_options)
    mounts = Mounts.identity() if on_host else load_mounts(workspace, environ)
    gpus = choose_gpus(experiment, request, contract)
    values = ValueFinder(workspace, project.paths, experiment, network, mounts).find(contract, gpus, None)
    kept = KeptSchemas(workspace.spec_schemas_dir)
    spec = effective_spec(project, experiment, contract, values.variables, gpus, request.overrides, kept)
    unmounted = [finding for finding in values.findings if finding.code == "not-mounted"]
    argv = build_argv(contract, ArgumentValues(values.arguments, override_tokens(contract, spec.sets)))
    unsafe = [finding for finding in argv.findings if finding.code == "argument-unsafe" and spec.sets]
    layout = Networks(workspace.networks_dir).layout(experiment.head)
    of_spec = explained(spec.findings, project, experiment, layout, kept.memory)
    findings = (*mounts.findings, *unmounted, *of_spec, *unsafe)
    prepared = spec.prepared
    if prepared is None or prepared.text is None or has_errors(findings) or spec.path is None:
        raise refusal([one for one in findings if one.is_error])(
            f'the spec of "{name}" for {contract.action} cannot be rendered',
            findings=findings,
            hint=None if findings else f'"{network.name}" {contract.action} reads one only if there is one',
        )
    secrets = _secrets(experiment)
    text, found = _masked(prepared.text, prepared.format, _repeats(spec.schema), secrets)
    tokens = tuple(_token_without_secret(token, secrets) for token in argv.tokens if _TOKEN.match(token))
    own = {name: str(values.variables[name]) for name in ("results_dir", "dataset_tfrecord", "experiment")}
    return ShownSpec(
        project.name, experiment.name, contract.action, network.name, contract.release, prepared.format,
        spec.path, text, tuple(_with_origins(found, spec, project)),
        findings, tokens, own, spec.schema,
    )  # fmt: skip


def spec_contract(network: Network, experiment: Experiment, request: ActionRequest) -> Contract:
    """The contract of the action asked for, which reads a spec. Raises UserFilesError and UsageError."""
    release = request.release or experiment.release
    contracts = network.contracts(release)
    with_spec = [action for action, contract in contracts.items() if contract.spec is not None]
    if not request.action:
        action = "train" if "train" in with_spec else next(iter(with_spec), "train")
        return choose_contract(network, experiment, replace(request, action=action))
    contract = choose_contract(network, experiment, request)
    if contract.spec is None:
        raise UsageError(
            f'"{network.name}" {contract.action} reads no spec',
            hint=f"these do: {', '.join(with_spec)}" if with_spec else None,
        )
    return contract


def find_experiment(workspace: Workspace, project: Project, name: str) -> tuple[Experiment, Network]:
    """Raises UserFilesError where there is no such experiment, or it is not usable."""
    experiment = project.experiments.get(name)
    if experiment is None:
        findings = [finding for finding in project.findings if concerns(finding, project, (name,))]
        if name not in project.names:
            unknown = unknown_experiment(name, project)
            raise UnknownNameError(unknown.message, hint=unknown.hint, findings=findings)
        raise UserFilesError(f'experiment "{printable(name)}" has problems', findings=findings)
    networks = Networks(workspace.networks_dir)
    if experiment.head not in networks.names:
        message = f'"{printable(experiment.head)}" is not a network of the catalog'
        hint = did_you_mean(experiment.head, networks.names)
        at = ("experiments", name, "head")
        found = project.finding(Severity.ERROR, "unknown-head", message, at, hint=hint)
        raise UserFilesError(f'experiment "{printable(name)}" has problems', findings=(found,))
    return experiment, networks.load(experiment.head)


def _repeats(schema: Schema | None) -> Repeats:
    def repeats(path: tuple[str, ...]) -> bool | None:
        key = schema.find(path) if schema is not None else None
        return None if key is None else key.is_repeated

    return repeats


def _secrets(experiment: Experiment) -> tuple[str, ...]:
    """Secrets written in experiments.yml, which must not be shown."""
    _plain, secrets = split_secrets(experiment.env)
    found = [
        secret.origin.removeprefix("literal:") for secret in secrets if secret.origin.startswith("literal:")
    ]
    key = experiment.model_key
    return (*found, *([key] if key and not key.startswith(("env:", "file:")) else []))


def _masked(
    text: str, spec_format: str, repeats: Repeats, secrets: tuple[str, ...]
) -> tuple[str, list[Leaf]]:
    """The text and its values without secrets. Offsets are those of the text that was given."""
    shown: list[Leaf] = []
    spans: list[tuple[int, int]] = []
    for leaf in leaves(text, spec_format, repeats):
        items = leaf.value if isinstance(leaf.value, list) else [leaf.value]
        hidden = [is_secret(leaf.key, item, secrets) for item in items]
        if any(hidden):
            spans += [span for span, is_hidden in zip(leaf.spans, hidden, strict=True) if is_hidden]
            items = [MASK if is_hidden else item for item, is_hidden in zip(items, hidden, strict=True)]
            leaf = replace(leaf, value=items if isinstance(leaf.value, list) else items[0])
        shown.append(leaf)
    for start, end in sorted({span for span in spans if span[0] < span[1]}, reverse=True):
        text = f'{text[:start]}"{MASK}"{text[end:]}'
    return redact(text, [secret for secret in secrets if len(secret) >= LONG_SECRET]), shown


def _token_without_secret(token: str, secrets: tuple[str, ...]) -> str:
    key, _equals, value = token.partition("=")
    is_hidden = is_secret(key, value, secrets) or value.startswith("@TAORUNNER_SECRET_")
    return f"{key}={MASK}" if is_hidden else token


def _with_origins(found: Iterable[Leaf], spec: EffectiveSpec, project: Project) -> Iterator[SpecValue]:
    prepared = spec.prepared
    if prepared is None or prepared.rendered is None:
        return
    rendered = prepared.rendered
    before = {leaf.key: leaf.start for leaf in leaves(rendered.text, prepared.format, _repeats(spec.schema))}
    for leaf in found:
        setter = next((one for one in reversed(spec.overrides) if _is_of(leaf.key, one.edit.key)), None)
        if any(_is_of(leaf.key, key) for key in spec.keys):
            yield SpecValue(leaf.key, leaf.value, "taorunner")
        elif setter is None:
            line, column = rendered.locate(before.get(leaf.key, 0))
            yield SpecValue(leaf.key, leaf.value, "spec", spec.path, line, column)
        elif setter.place is None:
            yield SpecValue(leaf.key, leaf.value, "set")
        else:
            line, column = project.place(setter.place)
            yield SpecValue(leaf.key, leaf.value, "override", project.paths.experiments_file, line, column)


def _is_of(key: str, setter: str) -> bool:
    """True where ``setter`` gave ``key`` its value: the key itself, what it is in, or one of a list of values."""
    return key == setter or key.startswith(f"{setter}.") or setter.startswith(f"{key}.")
