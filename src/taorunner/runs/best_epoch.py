"""Which epochs of a training were the best, by its history."""

from __future__ import annotations

import math

from taorunner.errors import RunStateError
from taorunner.events import MetricReported
from taorunner.runs.state.history import read_history
from taorunner.runs.state.metric_names import Judged, kpi_name
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

_MOST_RUNS = 100


def epochs_by_quality(store: RunStore, record: RunRecord) -> list[int]:
    """The 1-based epochs of a training with a value of its main metric, best first; of equal ones the earlier first.

    Epochs of the runs that it resumes count. Empty where there is no such metric, or the catalog has no direction.
    """
    values: dict[str, dict[int, float]] = {}
    judged: dict[str, Judged] = {}
    for run_id in _lineage(store, record):
        for metric, by_epoch in read_history(store, run_id).items():
            numbered = {epoch: value for epoch, value in by_epoch.items() if epoch is not None}
            values.setdefault(metric, {}).update(numbered)
        for event in store.read_events(run_id)[0]:
            if isinstance(event, MetricReported):
                judged[event.name] = Judged(event.direction, event.rank)
    name = kpi_name(values, judged)
    sign = {"up": -1, "down": 1}.get(judged.get(name or "", Judged()).direction or "")
    if name is None or sign is None:
        return []
    known = [(sign * value, epoch) for epoch, value in values[name].items() if math.isfinite(value)]
    return [epoch for _, epoch in sorted(known)]


def _lineage(store: RunStore, record: RunRecord) -> list[str]:
    """The runs that the training resumes, oldest first, and the training itself."""
    found = [record.id]
    current = record
    while len(found) < _MOST_RUNS:
        resumed = current.resumed_from
        if resumed is None or resumed in found:
            break
        try:
            current = store.load(resumed)
        except RunStateError:
            break
        found.append(resumed)
    return found[::-1]
