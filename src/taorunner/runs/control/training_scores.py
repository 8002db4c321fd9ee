"""How good the training of an experiment was after each epoch, by the runs on record. Only reads."""

from __future__ import annotations

import math

from taorunner.errors import TaorunnerError
from taorunner.planning.model.epoch_scores import EpochScores
from taorunner.planning.model.run_ids import name_in_run_id
from taorunner.runs.state.history import read_history
from taorunner.runs.state.metric_names import Judged, is_lower_better, kpi_name
from taorunner.runs.state.snapshot import fold
from taorunner.runs.state.store import RunStore


def training_scores(store: RunStore, project: str, experiment: str) -> EpochScores | None:
    """By the metric that runs are compared by. None where no training of it has a metric on record.

    The newest training counts, and those that it resumes: an earlier one has other weights.
    """
    part = name_in_run_id(experiment, "train")
    values: dict[str, dict[int, float]] = {}
    judged: dict[str, Judged] = {}
    for run_id in store.run_ids():  # newest first
        if part not in run_id:
            continue
        try:
            record = store.load(run_id)
            if (record.project, record.experiment, record.action) != (project, experiment, "train"):
                continue
            is_resumed = store.load_plan(run_id).resume is not None
            history = read_history(store, run_id)
        except (TaorunnerError, OSError, ValueError):
            continue
        for name, by_epoch in history.items():
            own = values.setdefault(name, {})
            for epoch, value in by_epoch.items():
                if epoch is not None and math.isfinite(value):
                    own.setdefault(epoch, value)
        if history:
            judged = {**fold(store.read_events(run_id)[0], run_id).judged, **judged}
        if history and not is_resumed:
            break
    names = tuple(name for name, by_epoch in values.items() if by_epoch)
    if not names:
        return None
    metric = kpi_name(names, judged)
    is_lower = is_lower_better(metric, judged) if metric is not None else None
    if metric is None or is_lower is None:
        return EpochScores(None, names=names)
    return EpochScores(metric, is_lower, values[metric], names)
