"""What comparisons take from a run's history is what every other view takes from its events."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import AT, made_run

from taorunner.events import Event, MetricReported, RunFinished, RunState
from taorunner.runs.state.history import HistoryWriter, read_history
from taorunner.runs.state.lookup.run_metrics import RunMetrics, metrics_of
from taorunner.runs.state.snapshot import fold
from taorunner.runs.state.store import RunStore
from taorunner.values.value import replace

NAMES = {"val_mAP50": ("up", 0), "loss": ("down", None), "lr": ("none", None), 'odd "name" mAP': (None, None)}


def shown(metrics: RunMetrics) -> tuple[object, ...]:
    def plain(value: float) -> object:
        return value if math.isfinite(value) else str(value)

    return (
        {name: plain(value) for name, value in metrics.last.items()},
        {name: (best.value, best.epoch) for name, best in metrics.best.items()},
        dict(metrics.judged),
    )


def from_events(store: RunStore, run: str) -> RunMetrics:
    snapshot = fold(store.read_events(run)[0], run)
    return RunMetrics(snapshot.metrics, snapshot.best, snapshot.judged)


@given(st.lists(st.tuples(st.sampled_from(sorted(NAMES)), st.floats()), max_size=40), st.booleans())
def test_history_and_events_agree(reported: list[tuple[str, float]], is_written: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        record = made_run(Path(folder), "a")
        store = RunStore(Path(folder))
        events: list[Event] = [
            MetricReported(
                run=record.id, at=AT, name=name, value=value, epoch=1 + place // 3, direction=NAMES[name][0],
                rank=NAMES[name][1],
            )
            for place, (name, value) in enumerate(reported)
        ]  # fmt: skip
        events.append(RunFinished(run=record.id, at=AT, state=RunState.SUCCEEDED, reason=""))
        store.append_events(record.id, events)
        if is_written:
            HistoryWriter(store).write(record.id, events)
        assert shown(metrics_of(store, record)) == shown(from_events(store, record.id))


@pytest.mark.parametrize("fields", [{"retries_made": 1}, {"requeues": 2}, {"state": RunState.RUNNING}])
def test_a_run_with_restarts_is_folded(tmp_path: Path, fields: dict[str, object]) -> None:
    """An earlier attempt may have had the better value of an epoch that a later one repeats."""
    record = made_run(tmp_path, "a")
    store = RunStore(tmp_path)
    store.append_events(record.id, [
        MetricReported(run=record.id, at=AT, name="loss", value=value, epoch=epoch, direction="down")
        for epoch, value in ((1, 3.0), (2, 1.0), (1, 4.0))
    ])  # fmt: skip
    found = metrics_of(store, replace(record, **fields))
    assert shown(found) == shown(from_events(store, record.id))
    assert found.history == read_history(store, record.id)


def test_a_metric_outside_of_epochs_counts_by_its_last_value(tmp_path: Path) -> None:
    record = made_run(tmp_path, "a")
    store = RunStore(tmp_path)
    store.append_events(record.id, [
        MetricReported(run=record.id, at=AT, name="test_mAP50", value=value, direction="up") for value in (0.7, 0.6)
    ])  # fmt: skip
    assert dict(metrics_of(store, record).last) == {"test_mAP50": 0.6}
