"""The metrics of a run for comparisons: last and best values, directions, curves.

The fold of the events says them. It takes a fifth of a second for a long training, so that of a run that went through
without a restart they are taken from its history, where they are the same.
"""

from __future__ import annotations

import json

from taorunner.events import MetricReported, from_json_line
from taorunner.runs.state.history import History, read_history
from taorunner.runs.state.host_figures import HostFigures, read_host_figures
from taorunner.runs.state.metric_names import Best, BestOverEpochs, Judged, is_lower_better
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.state_files import read_state
from taorunner.values.value import Value, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class RunMetrics(Value):
    """``last`` is the newest value of each metric, ``best`` the best finite one of those with a direction. ``host`` are
    the figures that were measured on this machine, which are among them."""

    last: Mapping[str, float] = field(default_factory=dict)
    best: Mapping[str, Best] = field(default_factory=dict)
    judged: Mapping[str, Judged] = field(default_factory=dict)
    history: History = field(default_factory=dict)
    host: HostFigures | None = None


def metrics_of(store: RunStore, record: RunRecord) -> RunMetrics:
    """Never raises for files of the run."""
    own, host = _own_metrics(store, record), read_host_figures(store, record)
    if host is None:
        return own
    return RunMetrics(
        {**own.last, **host.metrics},
        {**own.best, **host.best},
        {**own.judged, **host.judged},
        own.history,
        host,
    )


def _own_metrics(store: RunStore, record: RunRecord) -> RunMetrics:
    history = read_history(store, record.id)
    went_through = record.state.is_final and not record.retries_made and not record.requeues
    if not went_through or any(None in values for values in history.values()):
        from taorunner.runs.state.snapshot import fold  # takes as long to import as a history to read

        snapshot = fold(store.read_events(record.id)[0], record.id)
        return RunMetrics(snapshot.metrics, snapshot.best, snapshot.judged, history)
    judged = _judged(store, record.id, history)
    best = {}
    for name, values in history.items():
        lower = is_lower_better(name, judged)
        found = _best(values, lower) if lower is not None else None
        if found is not None:
            best[name] = found
    last = {name: values[next(reversed(values))] for name, values in history.items()}
    return RunMetrics(last, best, judged, history)


def _best(values: Mapping[int | None, float], lower: bool) -> Best | None:
    over, found = BestOverEpochs(), None
    for epoch, value in values.items():
        found = over.after(value, epoch, lower)
    return found


def _judged(store: RunStore, run_id: str, names: History) -> dict[str, Judged]:
    """From the first event of each metric: all events of a run say the same."""
    try:
        data = read_state(store.paths(run_id).events, store.trust())
    except OSError:
        return {}
    found = {}
    for name in names:
        key = json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass")
        event = _first(data, name, key)
        if event is not None:
            found[name] = Judged(event.direction, event.rank)
    return found


def _first(data: bytes, name: str, key: bytes) -> MetricReported | None:
    at = data.find(key)
    while at >= 0:
        start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
        event = from_json_line(data[start : end if end >= 0 else len(data)].decode("utf-8", "replace"))
        if isinstance(event, MetricReported) and event.name == name:
            return event
        at = data.find(key, end) if end >= 0 else -1
    return None
