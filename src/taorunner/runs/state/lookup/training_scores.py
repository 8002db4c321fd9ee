"""How good trainings were after each epoch, by the runs on record. Only reads.

What is the best epoch is said here alone: ``--checkpoint best``, ``--then``, ``--keep-checkpoints`` and the end of a
command take it from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from taorunner.planning.model.epoch_scores import EpochScores
from taorunner.runs.state.history import read_history
from taorunner.runs.state.metric_names import Judged, kpi_name
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.resume_origin import records_of, with_resumed
from taorunner.runs.state.snapshot import fold
from taorunner.runs.state.store import RunStore


def scores_of(store: RunStore, run_ids: Iterable[str]) -> EpochScores | None:
    """By the metric that runs are compared by, where the catalog gave its direction: a file is not chosen, and none is
    removed, by what a name looks like. None where no run has a metric on record.

    ``run_ids`` are runs of one training, newest first: of an epoch that two of them have, the newer one counts.
    """
    values: dict[str, dict[int, float]] = {}
    judged: dict[str, Judged] = {}
    for run_id in run_ids:
        history = read_history(store, run_id)
        for name, by_epoch in history.items():
            own = values.setdefault(name, {})
            for epoch, value in by_epoch.items():
                if epoch is not None and math.isfinite(value):
                    own.setdefault(epoch, value)
        if history:
            judged = {**fold(store.read_events(run_id)[0], run_id).judged, **judged}
    names = tuple(name for name, by_epoch in values.items() if by_epoch)
    if not names:
        return None
    metric = kpi_name(names, judged)
    direction = judged.get(metric, Judged()).direction if metric is not None else None
    if metric is None or direction not in ("up", "down"):
        return EpochScores(None, names=names)
    return EpochScores(metric, direction == "down", values[metric], names)


def training_scores(store: RunStore, project: str, experiment: str) -> EpochScores | None:
    """Those of the newest training of an experiment that has a metric, and of those that it resumes: an earlier one
    has other weights."""
    trainings = (one for one in records_of(store, experiment, "train") if one.project == project)
    found = (lineage_scores(store, record) for record in trainings)
    return next((scores for scores in found if scores is not None), None)


def lineage_scores(store: RunStore, record: RunRecord) -> EpochScores | None:
    """Those of a training and of the runs that it resumes."""
    return scores_of(store, [one.id for one in with_resumed(store, record)])
