"""What to type after a training was stopped, by its network and by what lies in its results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.load import load_network
from taorunner.contracts import ResumeRule
from taorunner.events import RunState, now
from taorunner.planning.inputs.argv import ArgumentValues
from taorunner.planning.model.plan import ResumePoint, RunPlan
from taorunner.runs.control.next_step import NextStep, after_stop
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

RUN = "20260101-000000-e1-train-abc123"
Stop = Callable[..., RunRecord]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / ".taorunner")


@pytest.fixture
def stop(store: RunStore, tmp_path: Path) -> Stop:
    """A training that ran until it was stopped: ``stop("tinydet", {"train/x.npz": "…"}, plan's changes…)``."""

    def make(network: str, files: dict[str, str], *, has_run: bool = True, **plan: Any) -> RunRecord:
        results = tmp_path / "models/e1"
        for name, text in files.items():
            (results / name).parent.mkdir(parents=True, exist_ok=True)
            (results / name).write_text(text)
        values = {"spec": "train.yaml", "results_dir": str(results), "num_gpus": "1", "gpu_ids": "0"}
        made = RunPlan(
            project="p", experiment="e1", action="train", backend="local", argv=(),
            contract=load_network(network).contract("train"), arguments=ArgumentValues(values),
            workspace=tmp_path, results_dir=results, results_inside=str(results), run_inside="/nowhere", epochs=5,
        )  # fmt: skip
        create_batch(store, [(RUN, replace(made, **plan))], now(), environ={})
        record = replace(store.load(RUN), state=RunState.STOPPED, started_at=now() if has_run else None)
        store.save(record)
        return record

    return make


FIRST, LAST = ({f"train/model_epoch_{number}_step_00010.npz": "weights"} for number in ("000", "004"))
TRAIN = load_network("tinydet").contract("train")
NEVER_RESUMES = replace(TRAIN, checkpoints=replace(TRAIN.checkpoints, resume=ResumeRule.NONE))
EARLIER = ResumePoint(Path("/nowhere/model_epoch_000_step_00010.npz"), 1, is_partial=False)


@pytest.mark.parametrize(
    ("network", "files", "more", "expected"),
    [
        ("tinydet", FIRST, {}, NextStep.RESUME),
        ("tinydet", {}, {}, NextStep.START_AGAIN),
        ("tinydet", {"train/status.json": ""}, {}, NextStep.START_AGAIN),
        ("tinydet", LAST, {}, NextStep.EVALUATE),
        ("lprnet", {"weights/lprnet_epoch-001.hdf5": "weights"}, {}, NextStep.RESUME),
        ("tinydet", FIRST, {"contract": NEVER_RESUMES}, NextStep.START_AFRESH),
        ("tinydet", {}, {"contract": NEVER_RESUMES}, NextStep.START_AGAIN),
        # what lies there is of an earlier training: this one never began
        ("tinydet", FIRST, {"has_run": False, "overwrite": True}, NextStep.START_AFRESH),
        ("tinydet", FIRST, {"has_run": False, "resume": EARLIER}, NextStep.RESUME),
    ],
)
def test_next_step(
    network: str, files: dict[str, str], more: dict[str, Any], expected: NextStep, store: RunStore, stop: Stop
) -> None:
    assert after_stop(store, [stop(network, files, **more)]) == {RUN: expected}


def test_weights_of_a_diverged_training_are_not_gone_on_with(store: RunStore, stop: Stop) -> None:
    record = replace(stop("tinydet", FIRST), stop_reason="stopped by --stop-on-nan: the loss became NaN")
    assert after_stop(store, [record]) == {RUN: NextStep.START_AFRESH}


def test_a_plan_that_cannot_be_read_is_no_reason_to_fail(store: RunStore, stop: Stop) -> None:
    record = stop("tinydet", FIRST)
    store.paths(RUN).plan.write_text("{")
    assert after_stop(store, [record]) == {RUN: NextStep.START_AGAIN}


def test_only_stopped_trainings_go_on(store: RunStore, stop: Stop) -> None:
    record = stop("tinydet", FIRST)
    others = [replace(record, state=state) for state in RunState if state is not RunState.STOPPED]
    assert after_stop(store, [*others, replace(record, action="evaluate")]) == {}
