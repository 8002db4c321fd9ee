"""The metric history: exact, small, and whole after a crash at any byte."""

from __future__ import annotations

import math
import random
import shutil
import struct
from pathlib import Path

import pytest

from taorunner.events import MetricReported, RunFinished, RunQueued, RunStarted, RunState, now
from taorunner.runs.state.history import History, HistoryWriter, read_history
from taorunner.runs.state.store import RunStore

RUN = "20261120-000000-e1-train-aaaaaa"
SAMPLE = Path(__file__).parents[2] / "assets" / "workspace_0_1_0"
ENDED = RunFinished(run=RUN, at=now(), state=RunState.SUCCEEDED, reason="finished")


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore(tmp_path / ".taorunner")
    store.paths(RUN).directory.mkdir(parents=True)
    return store


def reported(name: str, value: float, epoch: int | None) -> MetricReported:
    return MetricReported(run=RUN, at=now(), name=name, value=value, epoch=epoch)


def record(
    store: RunStore, writer: HistoryWriter, *events: MetricReported | RunStarted | RunQueued | RunFinished
) -> None:
    store.append_events(RUN, events)
    writer.write(RUN, events)


def bits(history: History) -> dict[str, dict[int | None, bytes]]:
    """Comparable also where a value is NaN."""
    return {name: {e: struct.pack("<d", v) for e, v in values.items()} for name, values in history.items()}


def test_300_epochs_of_20_metrics_are_exact_and_below_100_kb(store: RunStore) -> None:
    chance, writer, expected = random.Random(7), HistoryWriter(store), {}
    for epoch in range(1, 301):
        for number in range(20):
            value = chance.choice(
                [chance.random(), chance.gauss(0, 1e6), math.nan, math.inf, -math.inf, 5e-324]
            )
            expected.setdefault(f"val_metric_of_class_{number}", {})[epoch] = value
            record(store, writer, reported(f"val_metric_of_class_{number}", value, epoch))
    record(store, writer, ENDED)
    file = store.paths(RUN).history
    assert file.stat().st_size < 100_000
    assert len(file.read_bytes().splitlines()) == 301  # the names, then one line per epoch
    assert bits(read_history(store, RUN)) == bits(expected)
    store.paths(RUN).events.unlink()
    assert bits(read_history(store, RUN)) == bits(expected)


def test_the_epoch_under_way_is_read_from_the_events(store: RunStore) -> None:
    writer = HistoryWriter(store)
    record(store, writer, reported("loss", 3.0, 1), reported("loss", 2.0, 1), reported("mAP", 0.5, 1))
    assert not store.paths(RUN).history.exists()
    assert read_history(store, RUN) == {"loss": {1: 2.0}, "mAP": {1: 0.5}}
    record(store, writer, reported("loss", 1.0, 2))
    record(store, writer, reported("mAP", 0.6, 1))  # status.json is read after the console
    assert read_history(store, RUN) == {"loss": {1: 2.0, 2: 1.0}, "mAP": {1: 0.6}}
    record(store, writer, ENDED)
    store.paths(RUN).events.unlink()
    assert read_history(store, RUN) == {"loss": {1: 2.0, 2: 1.0}, "mAP": {1: 0.6}}


def test_metrics_outside_training_have_no_epoch(store: RunStore) -> None:
    record(store, HistoryWriter(store), reported("mAP", 0.7, None), ENDED)
    store.paths(RUN).events.unlink()
    assert read_history(store, RUN) == {"mAP": {None: 0.7}}


def test_another_attempt_writes_over_the_epochs_that_it_repeats(store: RunStore) -> None:
    writer = HistoryWriter(store)
    record(store, writer, *(reported("loss", 10.0 - epoch, epoch) for epoch in (1, 2, 3)))
    again = RunQueued(run=RUN, at=now(), project="p", experiment="e1", action="train", backend="local")
    record(store, writer, again)
    record(store, writer, RunStarted(run=RUN, at=now(), handle="2"))
    record(store, writer, reported("loss", 6.5, 3), reported("loss", 5.0, 4), ENDED)
    store.paths(RUN).events.unlink()
    assert read_history(store, RUN) == {"loss": {1: 9.0, 2: 8.0, 3: 6.5, 4: 5.0}}


def test_a_crash_at_any_byte_costs_nothing(store: RunStore) -> None:
    """Cut the file anywhere, go on with another writer: every value is there, in the file alone as well."""
    first = [
        reported(name, epoch + len(name) / 10, epoch) for epoch in range(1, 5) for name in ("loss", "mAP")
    ]
    then = [reported(name, epoch + 0.5, epoch) for epoch in (5, 6) for name in ("loss", "F1 ünique")]
    writer = HistoryWriter(store)
    for event in first:
        record(store, writer, event)
    paths = store.paths(RUN)
    whole, events = paths.history.read_bytes(), paths.events.read_bytes()
    expected = {
        "loss": {1: 1.4, 2: 2.4, 3: 3.4, 4: 4.4, 5: 5.5, 6: 6.5},
        "mAP": {1: 1.3, 2: 2.3, 3: 3.3, 4: 4.3},
    }
    for cut in range(len(whole) + 1):
        paths.history.write_bytes(whole[:cut])
        paths.events.write_bytes(events)
        assert read_history(store, RUN) == {
            name: {e: v for e, v in values.items() if e < 5} for name, values in expected.items()
        }
        successor = HistoryWriter(store)
        for event in then:
            record(store, successor, event)
        record(store, successor, ENDED)
        paths.events.unlink()
        assert read_history(store, RUN) == {**expected, "F1 ünique": {5: 5.5, 6: 6.5}}, cut


def test_a_file_that_cannot_be_written_is_completed_later(store: RunStore) -> None:
    writer, path = HistoryWriter(store), store.paths(RUN).history
    record(store, writer, reported("loss", 2.0, 1))
    path.mkdir()
    with pytest.raises(OSError, match="history"):
        record(store, writer, reported("loss", 1.0, 2))
    path.rmdir()
    record(store, writer, ENDED)
    store.paths(RUN).events.unlink()
    assert read_history(store, RUN)["loss"] == {1: 2.0, 2: 1.0}


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"[1,2]",
        b'[1,1,"!!",9]',
        b'[1,1,"AAAA",9]',
        b'[1,-1,"",9]',
        b'[1,8,"AAAAAAAA8D8=",9]',
        b'{"names":3}',
        b"[" * 5000,
        b"\xff\xfe",
    ],
)
def test_damaged_lines_are_skipped(store: RunStore, line: bytes) -> None:
    record(store, HistoryWriter(store), reported("loss", 1.0, 1), ENDED)
    path = store.paths(RUN).history
    path.write_bytes(path.read_bytes() + line + b"\n")
    assert read_history(store, RUN) == {"loss": {1: 1.0}}


def test_runs_of_0_1_0_have_their_history_in_the_events(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "sample")
    store = RunStore(tmp_path / "sample" / ".taorunner")
    history = read_history(store, next(run for run in store.run_ids() if "running-train" in run))
    assert history["train_loss"] == {1: pytest.approx(history["train_loss"][1]), 2: 7.4}
    assert history["val_mAP50"][2] == 0.34
