"""What a report has of sweeps: their trials in the order of a table, and how much each key matters. Only reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from taorunner.errors import MachineError, TaorunnerError
from taorunner.project.sweeps.definition import Sweep
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.folder import StoredSweep, stored_sweeps
from taorunner.sweeps.loop import best_of
from taorunner.sweeps.study import importances
from taorunner.sweeps.trial import Trial
from taorunner.values.value import Value

_LEAST_TRIALS = 4
"""With fewer trials that count, an importance says nothing."""


class Swept(Value):
    """``trials`` are in the order in which they were chosen. ``importance`` has shares of 1 by key, the greatest first;
    it is empty without Optuna, and where too few trials count."""

    sweep: Sweep
    metric: str
    maximize: bool
    started_at: str
    trials: tuple[Trial, ...]
    best: Trial | None
    importance: Mapping[str, float]


def swept_of(sweep: Sweep, stored: StoredSweep, trials: Sequence[Trial]) -> Swept:
    """Never raises for what is in the trials."""
    return Swept(
        sweep, stored.metric, stored.maximize, stored.started_at, tuple(trials),
        best_of(trials, maximize=stored.maximize), _importance(sweep, trials, maximize=stored.maximize),
    )  # fmt: skip


def swept_of_projects(
    store: RunStore, experiments: Iterable[tuple[str, str]], *, of_all_bases: bool
) -> list[Swept]:
    """The sweeps on disk whose base is one of the experiments, each given with its project; ``of_all_bases``: all of
    these projects. Damaged ones are left out."""
    wanted = list(experiments)
    found = []
    for project in dict.fromkeys(project for project, _ in wanted):
        for folder in stored_sweeps(store, project):
            try:
                stored = folder.stored()
                sweep = None if stored is None else folder.definition_of(stored)
                trials = folder.seen_trials()
            except TaorunnerError:
                continue
            if stored is None or sweep is None:
                continue
            if of_all_bases or (project, sweep.base) in wanted:
                found.append(swept_of(sweep, stored, trials))
    return found


def runs_of_trials(store: RunStore, project: str) -> frozenset[str]:
    """The ids of all runs that are trials of the project's sweeps, also of those that ``--new`` kept aside."""
    found: set[str] = set()
    for folder in stored_sweeps(store, project, with_aside=True):
        with suppress(TaorunnerError):
            found |= {trial.run for trial in folder.trials() if trial.run is not None}
    return frozenset(found)


def _importance(sweep: Sweep, trials: Sequence[Trial], *, maximize: bool) -> Mapping[str, float]:
    if len(sweep.space) < 2 or sum(trial.counts for trial in trials) < _LEAST_TRIALS:
        return {}
    try:
        found = importances(sweep, trials, maximize=maximize)
    except MachineError:
        return {}
    return dict(sorted(found.items(), key=lambda one: -one[1]))
