"""The main metric of the trainings that wrote some results, by epoch: from the records of their runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from taorunner.contracts import CheckpointContract
from taorunner.planning.checkpoints.checkpoint_files import epoch_of
from taorunner.planning.model.epoch_scores import EpochScores
from taorunner.runs.outputs.run_times import ran_at
from taorunner.runs.state.lookup.training_scores import scores_of
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore


def measured_epochs(
    store: RunStore,
    records: Iterable[RunRecord],
    checkpoints: Sequence[Path],
    contract: CheckpointContract,
    now: datetime,
) -> EpochScores | None:
    """The values for the epochs of these checkpoints, each from the run that wrote it. ``records`` newest first.

    None when no metric with a known direction was reported, or the runs name different ones.
    """
    values: dict[int, float] = {}
    lower: bool | None = None
    names: set[str] = set()
    left = {path: path.lstat().st_mtime for path in checkpoints}
    for record in records:
        own = [path for path, moment_s in left.items() if ran_at(record, moment_s, now)]
        for path in own:
            del left[path]
        scores = scores_of(store, [record.id]) if own else None
        if scores is None or scores.metric is None:
            continue
        lower = scores.is_lower_better
        names.add(scores.metric)
        for path in own:
            epoch = epoch_of(path, contract)
            if epoch is not None and epoch in scores.values:
                values.setdefault(epoch, scores.values[epoch])
    if lower is None or len(names) != 1 or not values:
        return None
    return EpochScores(names.pop(), lower, values)
