"""What ``--checkpoint best`` chooses by: the metrics of the newest training, and of those that it resumes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.load import load_network
from taorunner.events import MetricReported, now
from taorunner.planning.model.epoch_scores import EpochScores
from taorunner.planning.model.plan import ResumePoint, RunPlan
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.lookup.training_scores import training_scores
from taorunner.runs.state.store import RunStore

RESUMED = ResumePoint(Path("/nowhere/model_epoch_000_step_00010.npz"), 1)
Ran = Callable[..., str]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / ".taorunner")


@pytest.fixture
def ran(store: RunStore, tmp_path: Path) -> Ran:
    """``ran(1, {"val_mAP50": {1: 0.2}})``: the first training of the experiment e1, with its metrics by epoch."""

    def make(
        number: int, metrics: Mapping[str, Mapping[int | None, float]], *, direction: str | None = "up",
        experiment: str = "e1", **plan: Any,
    ) -> str:  # fmt: skip
        run_id = f"2026010{number}-000000-{experiment}-train-abc123"
        made = RunPlan(
            project="p", experiment=experiment, action="train", backend="local", argv=(),
            contract=load_network("tinydet").contract("train"), workspace=tmp_path, results_dir=tmp_path / "models",
            results_inside="/models", run_inside="/nowhere", **plan,
        )  # fmt: skip
        create_batch(store, [(run_id, made)], now(), environ={})
        rank = 0 if direction in ("up", "down") else None
        store.append_events(
            run_id,
            [
                MetricReported(
                    run=run_id, at=now(), name=name, value=value, epoch=epoch, direction=direction, rank=rank
                )
                for name, values in metrics.items()
                for epoch, value in values.items()
            ],
        )
        return run_id

    return make


def test_the_newest_training_counts(store: RunStore, ran: Ran) -> None:
    ran(1, {"val_mAP50": {1: 0.9, 2: 0.8}})
    ran(2, {"val_mAP50": {1: 0.1, 2: 0.3}})
    ran(3, {"val_mAP50": {1: 0.7}}, experiment="e1-train")
    assert training_scores(store, "p", "e1") == EpochScores(
        "val_mAP50", False, {1: 0.1, 2: 0.3}, ("val_mAP50",)
    )


def test_a_training_that_goes_on_counts_with_the_one_before(store: RunStore, ran: Ran) -> None:
    ran(1, {"val_mAP50": {1: 0.9}})
    ran(2, {"val_mAP50": {1: 0.1, 2: 0.3}})
    ran(3, {"val_mAP50": {2: 0.2, 3: 0.4}}, resume=RESUMED)
    found = training_scores(store, "p", "e1")
    assert found is not None and found.values == {1: 0.1, 2: 0.2, 3: 0.4}


def test_a_training_that_goes_on_from_a_pruned_one_counts_alone(store: RunStore, ran: Ran) -> None:
    ran(1, {"val_mAP50": {1: 0.9, 2: 0.8}})
    pruned = ran(2, {"val_mAP50": {1: 0.1}})
    ran(3, {"val_mAP50": {2: 0.2}}, resume=RESUMED)
    shutil.rmtree(store.paths(pruned).directory)
    found = training_scores(store, "p", "e1")
    assert found is not None and found.values == {2: 0.2}


def test_a_training_without_a_metric_is_passed_over(store: RunStore, ran: Ran) -> None:
    ran(1, {"val_mAP50": {1: 0.2}})
    ran(2, {})
    found = training_scores(store, "p", "e1")
    assert found is not None and found.values == {1: 0.2}


def test_values_that_are_no_numbers_or_of_no_epoch_do_not_count(store: RunStore, ran: Ran) -> None:
    ran(1, {"val_mAP50": {1: float("nan"), 2: 0.2, None: 0.9}})
    found = training_scores(store, "p", "e1")
    assert found is not None and found.values == {2: 0.2}


def test_a_metric_that_should_be_low(store: RunStore, ran: Ran) -> None:
    ran(1, {"fid": {1: 30.0, 2: 20.0}}, direction="down")
    found = training_scores(store, "p", "e1")
    assert found is not None and found.best_of({1, 2}) == 2 and found.is_lower_better


def test_a_metric_without_a_direction_is_not_compared(store: RunStore, ran: Ran) -> None:
    ran(1, {"seen_images": {1: 30.0}}, direction="none")
    assert training_scores(store, "p", "e1") == EpochScores(None, names=("seen_images",))


def test_without_a_training_there_is_nothing(store: RunStore, ran: Ran) -> None:
    assert training_scores(store, "p", "e1") is None
    run = ran(1, {"val_mAP50": {1: 0.2}})
    assert training_scores(store, "other", "e1") is None
    store.paths(run).record.write_text("{")
    assert training_scores(store, "p", "e1") is None
