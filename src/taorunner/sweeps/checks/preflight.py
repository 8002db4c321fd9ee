"""What is checked before a sweep starts, and in ``validate``: what it compares, and whether its values fit the spec.

The values are checked as a start would: the base is planned with the ends of all axes. So what is found here is what a
trial would meet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from taorunner.contracts import Contract, Direction
from taorunner.errors import Finding, Severity, TaorunnerError, UserFilesError, has_errors
from taorunner.gpu.inventory import inventory
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import Site
from taorunner.planning.planner import Planned
from taorunner.planning.validate import once_each
from taorunner.progress.metric_table import MetricTable
from taorunner.project.load import Project, load_project
from taorunner.project.sweeps.definition import MAX_GRID, Axis, Scalar, Sweep
from taorunner.project.workspace import Workspace
from taorunner.runs.inputs.spec_values import raw_values
from taorunner.sweeps.checks.disk_need import interval, lack_of_room
from taorunner.sweeps.trial import Trial
from taorunner.sweeps.trial_plan import NO_TRIAL, check_values, planned_trial
from taorunner.targets import GpuSource, target_of
from taorunner.text import did_you_mean
from taorunner.values.value import Value, replace

MANY = 4
"""Trials at once where a scheduler shares out the machines, results decide what comes next, and nothing is said."""
_NO_AXES = frozenset({"num_gpus", "gpu_ids", "gpus", "num_nodes", "results_dir", "encryption_key"})
"""Last words of keys that taorunner sets itself."""
_DIRECTIONS = {Direction.UP: True, Direction.DOWN: False}


class Prepared(Value):
    """A sweep that can start: what its trials are judged by, the GPUs of one, and how many run at once."""

    sweep: Sweep
    metric: str
    maximize: bool
    gpus: int
    parallel: int


def prepare(
    workspace: Workspace, project_name: str, sweep: Sweep, environ: Mapping[str, str], *,
    trials: Sequence[Trial] = (), is_confirmed: bool = False, dry_run: bool = False, is_lenient: bool = False,
) -> tuple[Prepared | None, tuple[Finding, ...]]:  # fmt: skip
    """What the sweep is run with, None after an error; and all findings.

    ``trials`` are those on record. ``is_confirmed``: neither the size of a grid nor the room that checkpoints take is
    an error. With ``dry_run`` what an earlier action makes may be missing. ``is_lenient``: errors that the base has
    without the sweep, and which ``--force`` passes, are left out.
    """
    project = load_project(workspace, project_name, environ)
    checks = _Checks(workspace, project, environ, dry_run, is_lenient)
    try:
        planned = checks.planned(Trial(number=NO_TRIAL, is_base=True), sweep)
        planned.raise_for_errors(is_forced=is_lenient)
    except TaorunnerError as error:
        path = ("base",)
        return None, error.findings or (
            _finding(project, sweep, "sweep-base", error.message, path, error.hint),
        )
    base = planned.items[0].plan
    no_axes = dict(_axis_findings(project, sweep, base))
    found: list[Finding] = [*no_axes.values()]
    found += () if is_confirmed else _grid_findings(project, sweep)
    fitting = replace(sweep, space=tuple(axis for axis in sweep.space if axis.key not in no_axes))
    found += checks.of_values(fitting, frozenset(planned.findings))
    metric, maximize, odd = _judged(project, sweep, base.contract)
    found += [*odd, *_epoch_findings(project, sweep, base)]
    gpus = base.resources.gpus.count
    parallel = sweep.parallel or _parallel(sweep, base, gpus)
    if not is_confirmed:
        found += _room_findings(project, sweep, base, trials, parallel)
    found = once_each(found)
    if has_errors(found) or metric is None or maximize is None:
        return None, tuple(found)
    return Prepared(sweep, metric, maximize, gpus, parallel), tuple(found)


def axes_that_fit(
    workspace: Workspace, project: Project, sweep: Sweep, environ: Mapping[str, str]
) -> list[Axis]:
    """Those that a sweep can vary and whose values the spec takes; each is tried alone where not all of them fit.

    Raises UserFilesError where the base has errors of its own.
    """
    checks = _Checks(workspace, project, environ)
    planned = checks.planned(Trial(number=NO_TRIAL, is_base=True), sweep)
    planned.raise_for_errors(is_forced=True)
    no_axes = dict(_axis_findings(project, sweep, planned.items[0].plan))
    of_base = frozenset(planned.findings)
    axes = [axis for axis in sweep.space if axis.key not in no_axes]
    if not checks.of_values(replace(sweep, space=tuple(axes)), of_base):
        return axes
    return [axis for axis in axes if not checks.of_values(replace(sweep, space=(axis,)), of_base)]


def _parallel(sweep: Sweep, base: RunPlan, gpus: int) -> int:
    if target_of(base.backend).gpus is not GpuSource.LEASED:
        return sweep.trials if sweep.is_fixed else MANY
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


def _room_findings(
    project: Project, sweep: Sweep, base: RunPlan, trials: Sequence[Trial], parallel: int
) -> Iterator[Finding]:
    problem = lack_of_room(sweep, base, project.paths.models_dir / sweep.base, trials, parallel)
    if problem is not None:
        path = ("keep",) if sweep.keep != "all" else ("trials",)
        yield _finding(project, sweep, "sweep-room", problem.message, path, problem.hint)


def _grid_findings(project: Project, sweep: Sweep) -> Iterator[Finding]:
    if sweep.sampler == "grid" and sweep.trials > MAX_GRID:
        message = f"the grid has {sweep.trials:,} cells"
        hint = f"taorunner sweep run {sweep.name} --yes runs all of them; sampler: random tries some"
        yield _finding(project, sweep, "sweep-grid", message, ("space",), hint, of_key=True)


class _Checks(Value):
    """Plans trials that are never started."""

    workspace: Workspace
    project: Project
    environ: Mapping[str, str]
    dry_run: bool = True
    is_lenient: bool = True

    def planned(self, trial: Trial, sweep: Sweep) -> Planned:
        site = Site("sweep-check", self.workspace.runs_dir / "sweep-check")
        return planned_trial(
            self.workspace, self.project.name, sweep, trial, site, self.environ, dry_run=self.dry_run,
            is_lenient=self.is_lenient,
        )  # fmt: skip

    def of_values(self, sweep: Sweep, of_base: frozenset[Finding]) -> list[Finding]:
        """Errors that the base has only with the ends of its axes, each at the first axis whose key it names."""
        ends = [axis.ends() for axis in sweep.space]
        found: dict[Finding, None] = {}
        for place in range(max(map(len, ends), default=0)):
            values: dict[str, Scalar] = {
                axis.key: each[place % len(each)] for axis, each in zip(sweep.space, ends, strict=True)
            }
            planned = self.planned(Trial(number=NO_TRIAL, values=values), sweep)
            errors = [one for one in planned.findings if one.is_error and one not in of_base]
            if not errors and planned.items:
                try:
                    check_values(planned.items[0].plan, values)
                except UserFilesError as error:
                    errors = [Finding(Severity.ERROR, "sweep-axis", error.message, error.hint)]
            found.update({_at_axis(self.project, sweep, one, values): None for one in errors})
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
    epochs = base.epochs
    validated, every = interval(base, "validation_interval")
    kept, saved = interval(base, "checkpoint_interval")
    if sweep.pruner is not None:
        first, path = sweep.pruner.first, ("pruner", "first")
        if epochs is not None and first >= epochs:
            message = f"the pruner begins at epoch {first}, but a trial ends after {epochs}"
            yield _finding(project, sweep, "sweep-pruner", message, path, "write a lower one")
        if every is not None and every > first:
            message = f"the pruner begins at epoch {first}, but a trial is validated every {every} epochs"
            hint = f"at least {every}, or lower {validated}"
            yield _finding(project, sweep, "sweep-pruner", message, path, hint)
    if saved is not None and epochs is not None and epochs < saved:
        message = f"a trial ends after {epochs} epochs, before its first checkpoint: {kept} is {saved}"
        hint = f"lower {kept} in the spec, or write epochs: {saved}"
        yield _finding(project, sweep, "sweep-epochs", message, ("epochs",), hint)


def _finding(
    project: Project, sweep: Sweep, code: str, message: str, path: tuple[str, ...], hint: str | None, *,
    of_key: bool = False,
) -> Finding:  # fmt: skip
    return project.finding(
        Severity.ERROR, code, message, ("sweeps", sweep.name, *path), hint=hint, of_key=of_key or not path
    )
