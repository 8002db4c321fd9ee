"""Checks that the files and folders of a command line are there: those that ``vars`` names, and the models that earlier
actions of the experiment make.

Paths in a spec are checked in ``data_inputs``, by the same words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from taorunner.contracts import Contract
from taorunner.errors import Finding, Severity
from taorunner.planning.checks.dataset_facts import DatasetFacts
from taorunner.planning.checks.paths.host_paths import CONTAINERS_OWN
from taorunner.planning.checks.paths.unresolved import no_path
from taorunner.planning.checks.spec_view import HostVariables
from taorunner.planning.inputs.argv import VALUES, Argv, argument_names
from taorunner.planning.inputs.values import RunValues
from taorunner.planning.model.makers import MAKERS
from taorunner.planning.model.request import command_of
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.project.mounts import Mounts
from taorunner.text import printable

_BUILT = {"onnx_file": "exported model", "engine_file": "engine"}
"""What an action reads that another one makes from a checkpoint."""


def missing_arguments(
    project: Project,
    experiment: Experiment,
    contracts: Mapping[str, Contract],
    mounts: Mounts,
    data: DatasetFacts,
) -> Iterator[Finding]:
    """For ``validate``: what a training reads and does not find is an error. What only another action reads is a note:
    many projects never take that action, and its own start says it."""
    if not any(_is_read(name) for name in experiment.vars):
        return
    reported: set[str] = set()
    for action in sorted(contracts, key=lambda name: name != "train"):
        severity = Severity.ERROR if action == "train" else Severity.INFO
        whose = "" if action == "train" else f" ({action} reads it)"
        names = _named(contracts[action], experiment) - reported
        reported |= names
        yield from _missing(project, experiment, names, mounts, data, severity, whose)


def missing_at_launch(
    project: Project,
    experiment: Experiment,
    contract: Contract,
    argv: Argv,
    mounts: Mounts,
    data: DatasetFacts,
) -> Iterator[Finding]:
    """The same for one action, where the command line has the value of ``vars``."""
    names = {name for name in _named(contract, experiment) if _is_in(argv, name)}
    yield from _missing(project, experiment, names, mounts, data, Severity.ERROR, "")


def unbuilt_models(
    experiment: Experiment,
    contract: Contract,
    values: RunValues,
    argv: Argv,
    mounts: Mounts,
    *,
    starts: bool,
) -> Iterator[Finding]:
    """An exported model or an engine that an earlier action of the experiment makes: a note, and an error when the
    action ``starts``. ``values`` has those that were found."""
    given = values.arguments
    if "checkpoint" not in given and any("{model}" in form for form in contract.value_forms.values()):
        return  # the training comes first, and is reported
    for name, what in _BUILT.items():
        action = MAKERS[name][0]
        is_made_here = contract.action == action or any(
            f"{{{name}}}" in one for one in contract.verdict.artifacts
        )
        if is_made_here or name in given or not _is_in(argv, name):
            continue
        inside = str(argv.values[name])
        path = printable(str(_on_host(inside, mounts) or inside))
        message = f"the {what} {path} is not there yet: {action} makes it"
        hint = f"taorunner {command_of(action)} {experiment.name}"
        yield Finding(Severity.ERROR if starts else Severity.INFO, "not-made-yet", message, hint)


def _named(contract: Contract, experiment: Experiment) -> set[str]:
    """The values of the action's command line that ``vars`` names and the action reads."""
    used = {name for argument in contract.arguments for name in argument_names(argument)}
    return {name for name in used if name in experiment.vars and _is_read(name)}


def _is_read(name: str) -> bool:
    """Whether ``name`` is a value of command lines that is a file or folder to read."""
    return name in VALUES and bool(VALUES[name].reads)


def _is_in(argv: Argv, name: str) -> bool:
    value = argv.values.get(name)
    return isinstance(value, str) and any(value in token for token in argv.tokens)


def _missing(
    project: Project, experiment: Experiment, names: Collection[str], mounts: Mounts, data: DatasetFacts,
    severity: Severity, whose: str,
) -> Iterator[Finding]:  # fmt: skip
    variables = HostVariables(project.paths, experiment, 1)
    results = project.paths.results_dir(experiment.results)
    dataset = project.paths.dataset_dir(experiment.dataset)
    is_empty = not data.has_files(str(dataset)) if names else False
    for name in sorted(names):
        value = variables.get(name)
        if not isinstance(value, str) or "$" in value:
            continue
        place = ("experiments", experiment.name, "vars", name)
        lost = no_path(value, variables, mounts)
        if lost is not None:
            yield project.finding(severity, lost[0], f"{lost[1]}{whose}", place, hint=lost[2])
        if not value.startswith("/"):
            continue
        path = Path(value) if variables.is_host_path(name) else _on_host(value, mounts)
        if path is not None and (path.is_relative_to(results) or (is_empty and path.is_relative_to(dataset))):
            continue  # the training writes it; or the dataset is reported
        found = _fault(name, value, path, printable(variables.shown(str(path))), data)
        if found is not None:
            code, message, hint = found
            yield project.finding(severity, code, f"{message}{whose}", place, hint=hint)


def _on_host(value: str, mounts: Mounts) -> Path | None:
    return Path(value) if mounts.is_identity else mounts.to_host(value)


def _fault(
    name: str, value: str, path: Path | None, shown: str, data: DatasetFacts
) -> tuple[str, str, str] | None:
    """Code, message and hint; None where it is as it should be, or a folder of every container."""
    holds, reads = VALUES[name].text, VALUES[name].reads
    if path is None:
        if value.startswith(CONTAINERS_OWN):
            return None
        hint = "put it below the project's data/, or mount its folder in .tao_mounts.json"
        return "not-mounted", f'no mount covers "{printable(value)}": the container does not have it', hint
    hint = f'what belongs there: {holds}; or correct "{name}" in vars'
    kind = data.kind(str(path))
    if kind is None:
        what = "file or folder" if reads == "any" else reads
        return "missing-input", f"no such {what}: {shown}", hint
    if reads == "file" and kind == "folder":
        return "wrong-input", f"{shown} is a folder, and a file belongs there", hint
    if kind and data.is_empty(str(path)):
        return "empty-input", f"{shown} is empty", hint
    return None
