"""What is checked before a sweep starts, and in ``validate``: what it compares, and whether its values fit the spec.

The values are checked as a start would: the base is planned with the ends of all axes. So what is found here is what a
trial would meet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from taorunner.contracts import Contract, Direction
from taorunner.errors import Finding, Severity, UserFilesError, has_errors
from taorunner.gpu.inventory import inventory
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import Site
from taorunner.progress.metric_table import MetricTable
from taorunner.project.load import Project, load_project
from taorunner.project.sweeps.definition import MAX_GRID, Scalar, Sweep
from taorunner.project.workspace import Workspace
from taorunner.runs.inputs.spec_values import raw_values
from taorunner.sweeps.trial import Trial
from taorunner.sweeps.trial_plan import plan_trial
from taorunner.targets import GpuSource, target_of
from taorunner.text import did_you_mean
from taorunner.values.value import Value, replace

MANY = 4
"""Trials at once where a scheduler shares out the machines, or no GPU is needed, and nothing is said."""
_NO_AXES = frozenset({"num_gpus", "gpu_ids", "gpus", "num_nodes", "results_dir", "encryption_key"})
"""Last words of keys that taorunner sets itself."""
_BEYOND = 1_000_000
"""Number of a trial that no sweep has: nothing is in its results."""
_VALIDATED_EVERY = "train.validation_interval"
_CHECKED_EVERY = "train.checkpoint_interval"
_DIRECTIONS = {Direction.UP: True, Direction.DOWN: False}


class Prepared(Value):
    """A sweep that can start: what its trials are judged by, the GPUs of one, and how many run at once."""

    sweep: Sweep
    metric: str
    maximize: bool
    gpus: int
    parallel: int


def prepare(
    workspace: Workspace,
    project_name: str,
    sweep: Sweep,
    environ: Mapping[str, str],
    *,
    any_grid: bool = False,
) -> tuple[Prepared | None, tuple[Finding, ...]]:
    """What the sweep is run with, None after an error; and all findings. ``any_grid``: its size was confirmed."""
    project = load_project(workspace, project_name, environ)
    site = Site("sweep-check", workspace.runs_dir / "sweep-check")
    try:
        base = plan_trial(workspace, project_name, sweep, Trial(number=_BEYOND, is_base=True), site, environ)
    except UserFilesError as error:
        return None, error.findings or (
            _finding(project, sweep, "sweep-base", error.message, ("base",), error.hint),
        )
    no_axes = dict(_axis_findings(project, sweep, base))
    found: list[Finding] = [*no_axes.values(), *_grid_findings(project, sweep, any_grid=any_grid)]
    fitting = replace(sweep, space=tuple(axis for axis in sweep.space if axis.key not in no_axes))
    found += _value_findings(workspace, project, fitting, site, environ)
    metric, maximize, odd = _judged(project, sweep, base.contract)
    found += [*odd, *_epoch_findings(project, sweep, base)]
    if has_errors(found) or metric is None or maximize is None:
        return None, tuple(found)
    gpus = base.resources.gpus.count
    return Prepared(sweep, metric, maximize, gpus, sweep.parallel or _parallel(base, gpus)), tuple(found)


def _parallel(base: RunPlan, gpus: int) -> int:
    if target_of(base.backend).gpus is not GpuSource.LEASED:
        return MANY
    return max(1, len(inventory().gpus) // gpus) if gpus else 1


def _axis_findings(project: Project, sweep: Sweep, base: RunPlan) -> Iterator[tuple[str, Finding]]:
    """The keys that no sweep can vary, each with the reason."""
    values = raw_values(base)
    for axis in sweep.space:
        key, path = axis.key, ("space", axis.key)
        if key.rpartition(".")[2] in _NO_AXES:
            message, hint = f'"{key}" is set anew for each trial', "vary another key"
        elif isinstance(values.get(key), str) and "/" in values[key]:
            message, hint = (
                f'"{key}" is a path in the spec of "{sweep.base}"',
                "make an experiment for each path",
            )
        elif key == _epochs_key(base) and sweep.epochs is not None:
            message, hint = f'"{key}" is what "epochs: {sweep.epochs}" sets', "remove one of them"
        else:
            continue
        message = f"{message}, so that a sweep cannot vary it"
        yield key, _finding(project, sweep, "sweep-axis", message, path, hint, of_key=True)


def _epochs_key(base: RunPlan) -> str | None:
    """The spec key that ``epochs`` has become."""
    return next((setting.key for setting in base.knobs if setting.option.startswith("--epochs")), None)


def _grid_findings(project: Project, sweep: Sweep, *, any_grid: bool) -> Iterator[Finding]:
    if sweep.sampler == "grid" and sweep.trials > MAX_GRID and not any_grid:
        message = f"the grid has {sweep.trials:,} cells"
        hint = f"taorunner sweep run {sweep.name} --yes runs all of them; sampler: random tries some"
        yield _finding(project, sweep, "sweep-grid", message, ("space",), hint, of_key=True)


def _value_findings(
    workspace: Workspace, project: Project, sweep: Sweep, site: Site, environ: Mapping[str, str]
) -> list[Finding]:
    """Errors of the base with the ends of its axes, each at the first axis whose key it names."""
    ends = [axis.ends() for axis in sweep.space]
    if not ends:
        return []
    found: dict[Finding, None] = {}
    for place in range(max(map(len, ends))):
        values: dict[str, Scalar] = {
            axis.key: each[place % len(each)] for axis, each in zip(sweep.space, ends, strict=True)
        }
        try:
            plan_trial(workspace, project.name, sweep, Trial(number=_BEYOND, values=values), site, environ)
        except UserFilesError as error:
            for one in error.findings or (Finding(Severity.ERROR, "sweep-axis", error.message, error.hint),):
                if one.is_error:
                    found[_at_axis(project, sweep, one, values)] = None
    return list(found)


def _at_axis(project: Project, sweep: Sweep, finding: Finding, values: Mapping[str, Scalar]) -> Finding:
    """The base alone has no errors, so that this one is of a value of an axis."""
    key = next((key for key in values if key in finding.message), None)
    path = ("space", key) if key is not None else ("space",)
    line, column = project.place(("sweeps", sweep.name, *path), of_key=True)
    message = finding.message.removeprefix("--set ").replace(" of the command line", "")
    return replace(
        finding, message=message, file=project.paths.experiments_file, line=line, column=column, typed=False
    )


def _judged(
    project: Project, sweep: Sweep, contract: Contract
) -> tuple[str | None, bool | None, list[Finding]]:
    """Metric, whether more of it is better, and what is wrong with them."""
    metrics, given = contract.kpi, None if sweep.goal is None else sweep.goal == "maximize"
    name = sweep.metric or next((one.name for one in metrics if one.ranks), None)
    if name is None:
        message = f'"{contract.network}" has no metric that ranks its trainings'
        return (
            None,
            None,
            [_finding(project, sweep, "sweep-metric", message, (), 'write "metric:" and "goal:"')],
        )
    known = MetricTable(metrics, guesses=False).find(name)
    if known is None and given is None:
        names = [one.name for one in metrics]
        hint = did_you_mean(name, names) or (
            f"known are {', '.join(names[:8])}" if names else 'write "goal: maximize" or "goal: minimize"'
        )
        message = f'"{contract.network}" reports no "{name}" as far as is known, so its direction is not'
        hint = f'{hint}; with "goal:" any metric is taken'
        return name, None, [_finding(project, sweep, "sweep-metric", message, ("metric",), hint)]
    direction = _DIRECTIONS.get(known.direction) if known is not None else None
    if given is None and direction is None:
        message = f'of "{name}" neither direction is better'
        return (
            name,
            None,
            [_finding(project, sweep, "sweep-metric", message, ("metric",), 'write "goal:" too')],
        )
    if given is not None and direction is not None and given != direction:
        word = "higher" if direction else "lower"
        message = f'"goal" is {sweep.goal}, but {word} values of "{name}" are better'
        return name, None, [_finding(project, sweep, "sweep-goal", message, ("goal",), 'remove "goal"')]
    return name, direction if given is None else given, []


def _epoch_findings(project: Project, sweep: Sweep, base: RunPlan) -> Iterator[Finding]:
    values, epochs = raw_values(base), base.epochs
    every, saved = values.get(_VALIDATED_EVERY), values.get(_CHECKED_EVERY)
    if sweep.pruner is not None:
        first, path = sweep.pruner.first, ("pruner", "first")
        if epochs is not None and first >= epochs:
            message = f"the pruner begins at epoch {first}, but a trial ends after {epochs}"
            yield _finding(project, sweep, "sweep-pruner", message, path, "write a lower one")
        if isinstance(every, int) and every > first:
            message = f"the pruner begins at epoch {first}, but a trial is validated every {every} epochs"
            hint = f"at least {every}, or lower {_VALIDATED_EVERY}"
            yield _finding(project, sweep, "sweep-pruner", message, path, hint)
    if isinstance(saved, int) and epochs is not None and epochs < saved:
        message = (
            f"a trial ends after {epochs} epochs, before its first checkpoint: {_CHECKED_EVERY} is {saved}"
        )
        hint = f"lower {_CHECKED_EVERY} in the spec, or write epochs: {saved}"
        yield _finding(project, sweep, "sweep-epochs", message, ("epochs",), hint)


def _finding(
    project: Project, sweep: Sweep, code: str, message: str, path: tuple[str, ...], hint: str | None, *,
    of_key: bool = False,
) -> Finding:  # fmt: skip
    return project.finding(
        Severity.ERROR, code, message, ("sweeps", sweep.name, *path), hint=hint, of_key=of_key or not path
    )
