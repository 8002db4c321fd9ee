"""The plan of a trial: the training of the base with values of its own, results of its own, and the base's data.

The results are in ``models/<base>.sweeps/<sweep>/t007``; the run is recorded as the experiment ``<sweep>-t007``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace as with_fields

from taorunner.errors import UnknownNameError, UserFilesError
from taorunner.planning.model.knobs import Knobs
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.planner import Planned, planned_with, planning_of
from taorunner.planning.spec.overrides import typed_value
from taorunner.project.sweeps.definition import Sweep
from taorunner.project.workspace import Workspace
from taorunner.runs.inputs.spec_values import raw_values
from taorunner.sweeps.names import results_folder
from taorunner.sweeps.trial import Trial
from taorunner.values.value import replace

NO_TRIAL = 1_000_000
"""Number of a trial that no sweep has: nothing is in its results."""


def experiment_of(sweep: Sweep, trial: Trial) -> str:
    """Under which name the run is recorded."""
    return f"{sweep.name}-{trial.name}"


def plan_trial(
    workspace: Workspace, project: str, sweep: Sweep, trial: Trial, site: Site, environ: Mapping[str, str], *,
    results: str | None = None,
) -> RunPlan:  # fmt: skip
    """``results`` in place of ``results_of``.

    Raises UserFilesError with every finding when one of them is an error.
    """
    planned = planned_trial(workspace, project, sweep, trial, site, environ, results=results)
    planned.raise_for_errors()
    plan = planned.items[0].plan
    check_values(plan, {} if trial.is_base else trial.values)
    return plan


def planned_trial(
    workspace: Workspace, project: str, sweep: Sweep, trial: Trial, site: Site, environ: Mapping[str, str], *,
    dry_run: bool = False, is_lenient: bool = False, results: str | None = None,
) -> Planned:  # fmt: skip
    """The plan and all findings. With ``dry_run`` what an earlier action makes may be missing; ``is_lenient``:
    there is a plan also where errors are found that ``--force`` passes.

    Raises UnknownNameError without the base.
    """
    values = {} if trial.is_base else trial.values
    sets = {key: _typed(key, value) for key, value in values.items()}
    knobs = Knobs(epochs=sweep.epochs)
    request = ActionRequest(
        "train", (sweep.base,), overrides=sets, knobs=knobs, force=is_lenient, dry_run=dry_run
    )
    planning = planning_of(workspace, project, request, Caller.current(environ), lambda _, __: site)
    base = planning.project.experiments.get(sweep.base)
    if base is None:
        planned_with(planning).raise_for_errors()
        raise UnknownNameError(f'there is no experiment "{sweep.base}" in project "{project}"')
    own = replace(base, results_name=f"{results or results_folder(sweep.base, sweep.name)}/{trial.place}")
    planning.project = with_fields(
        planning.project, experiments={**planning.project.experiments, sweep.base: own}
    )
    planned = planned_with(planning)
    name = experiment_of(sweep, trial)
    items = tuple(replace(item, plan=replace(item.plan, experiment=name)) for item in planned.items)
    return replace(planned, items=items)


def base_values(
    workspace: Workspace, project: str, sweep: Sweep, site: Site, environ: Mapping[str, str]
) -> dict[str, str | int | float | bool]:
    """What the spec of the base has for the axes, as far as it has them. Raises as ``plan_trial``."""
    found = raw_values(
        plan_trial(workspace, project, sweep, Trial(number=NO_TRIAL, is_base=True), site, environ)
    )
    return {
        axis.key: found[axis.key]
        for axis in sweep.space
        if isinstance(found.get(axis.key), str | int | float | bool)
    }


def _typed(key: str, value: str | int | float | bool) -> str:
    """As ``--set`` takes it."""
    if isinstance(value, str) and typed_value(key, value) == value:
        return value
    return json.dumps(value)


def check_values(plan: RunPlan, values: Mapping[str, object]) -> None:
    """What was drawn is what the process reads: otherwise all trials would train with the same values."""
    found = raw_values(plan)
    for key, value in values.items():
        if key not in found or not _same(found[key], value):
            there = f"has {found[key]!r}" if key in found else "does not have it"
            raise UserFilesError(
                f'"{key}" of the trial is {value!r}, but its spec {there}',
                hint="is the key set again on the way, or spelt otherwise there? taorunner specs show EXPERIMENT",
            )


def _same(found: object, value: object) -> bool:
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    if isinstance(found, int | float) and isinstance(value, int | float):
        return abs(found - value) <= 1e-9 * abs(value)
    return found == value
