"""Files of a run are its own, whatever the machine's clock does meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from taorunner.backends.contract import EngineState, EngineStatus
from taorunner.catalog.load import load_network
from taorunner.events import CheckpointSaved, Event, MetricReported, Notice, RunState
from taorunner.planning.model.plan import RenderedSpec, ResumePoint, RunPlan
from taorunner.runs.supervisor.observation import Observation

LAUNCHED_S = 1_800_000_000.0
HOUR_S = 3600.0


@pytest.fixture
def ends(tmp_path: Path) -> Callable[..., RunState]:
    """How a training is judged that wrote its model ``wrote_after_s`` by the steady clock and then said PASS."""

    def run(*, set_by_s: float, wrote_after_s: float = 60.0) -> RunState:
        contract = load_network("dino").contract("train")
        plan = RunPlan(
            project="p", experiment="e", action="train", backend="docker", contract=contract, argv=("x",),
            workspace=tmp_path, results_dir=tmp_path, results_inside=str(tmp_path), run_inside="/r",
        )  # fmt: skip
        steady, wall = [500.0], [LAUNCHED_S]
        observation = Observation(
            plan, "r", datetime.fromtimestamp(LAUNCHED_S, timezone.utc),
            wall_clock=lambda: wall[0], steady_clock=lambda: steady[0],
        )  # fmt: skip
        steady[0] += 90.0
        wall[0] += 90.0 + set_by_s
        model = tmp_path / "train" / "model_epoch_000_step_00004.pth"
        model.parent.mkdir()
        model.write_bytes(b"weights")
        stamped = LAUNCHED_S + wrote_after_s + set_by_s
        os.utime(model, (stamped, stamped))
        at = datetime.fromtimestamp(wall[0], timezone.utc)
        record = {
            "date": "1/1/2027",
            "time": "0:0:0",
            "status": "SUCCESS",
            "message": "Train finished successfully.",
        }
        (model.parent / "status.json").write_text(json.dumps(record) + "\n")
        observation.printed(b"Execution status: PASS\n", at)
        verdict, _ = observation.judge(EngineStatus(EngineState.EXITED, 0), stop_requested=False, at=at)
        assert verdict.state is RunState.SUCCEEDED or "nothing was trained" in verdict.reason, verdict
        return verdict.state

    return run


@pytest.mark.parametrize("set_by_s", [0.0, -HOUR_S, -26 * HOUR_S, HOUR_S])
def test_a_clock_that_is_set_changes_no_verdict(ends: Callable[..., RunState], set_by_s: float) -> None:
    assert ends(set_by_s=set_by_s) is RunState.SUCCEEDED


@pytest.mark.parametrize("set_by_s", [0.0, -HOUR_S])
def test_a_model_from_before_the_launch_is_still_not_this_runs(
    ends: Callable[..., RunState], set_by_s: float
) -> None:
    assert ends(set_by_s=set_by_s, wrote_after_s=-10 * 60.0) is RunState.FAILED


@pytest.fixture
def make_observation(tmp_path: Path) -> Callable[..., Observation]:
    def make(network: str, clock: list[float], resume: ResumePoint | None = None) -> Observation:
        contract = load_network(network).contract("train")
        plan = RunPlan(
            project="p", experiment="e", action="train", backend="docker", contract=contract, argv=("x",),
            workspace=tmp_path, results_dir=tmp_path, results_inside=str(tmp_path), run_inside="/r", epochs=9,
            resume=resume,
        )  # fmt: skip
        (tmp_path / "train").mkdir()
        launched = datetime.fromtimestamp(LAUNCHED_S, timezone.utc)
        return Observation(
            plan, "r", launched, wall_clock=lambda: LAUNCHED_S + clock[0], steady_clock=lambda: clock[0]
        )

    return make


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.utime(path, (LAUNCHED_S + 60, LAUNCHED_S + 60))


def saved(events: list[Event]) -> list[tuple[str, int | None]]:
    return [(Path(event.path).name, event.epoch) for event in events if isinstance(event, CheckpointSaved)]


def test_a_checkpoint_is_reported_when_it_is_there_also_when_the_console_ended_the_epoch(
    make_observation: Callable[..., Observation], tmp_path: Path
) -> None:
    clock = [0.0]
    observation = make_observation("classification_tf2", clock)
    at = datetime.fromtimestamp(LAUNCHED_S, timezone.utc)
    observation.printed(
        b"Epoch 1/9\n3/3 [==============================] - 2s 1s/step - loss: 2.5 - lr: 0.01\n", at
    )
    assert saved(observation.read_status(at)) == []
    clock[0] = 40.0
    write(tmp_path / "train/b0_001.tlt", b"PK\x03\x04 not yet whole")
    assert saved(observation.read_status(at)) == []
    write(tmp_path / "train/b0_001.tlt", b"encrypted weights")
    assert saved(observation.read_status(at)) == [("b0_001.tlt", 1)]
    assert saved(observation.read_status(at)) == []


def test_untrained_and_cut_off_weights_are_not_announced_and_prove_nothing(
    make_observation: Callable[..., Observation], tmp_path: Path
) -> None:
    observation = make_observation("pose_classification", [0.0])
    at = datetime.fromtimestamp(LAUNCHED_S, timezone.utc)
    write(tmp_path / "train/model_epoch_000_step_00000.pth", b"weights")
    (tmp_path / "train/pc_model_latest.pth").symlink_to("model_epoch_000_step_00000.pth")
    observation.printed(
        b"Epoch 0, global step 0: 'val_loss' reached 1.0, saving model to '/r/train/model_epoch_000_step_00000.pth'\n"
        b"Execution status: PASS\n",
        at,
    )
    record = {
        "date": "1/1/2027",
        "time": "0:0:0",
        "status": "RUNNING",
        "message": "Train finished successfully.",
    }
    (tmp_path / "train/status.json").write_text(json.dumps(record) + "\n")
    verdict, events = observation.judge(EngineStatus(EngineState.EXITED, 0), stop_requested=False, at=at)
    assert saved(events) == []
    assert verdict.state is RunState.FAILED and "nothing was trained" in verdict.reason


def test_weights_of_step_0_of_tensorflow_1_are_not_announced(
    make_observation: Callable[..., Observation], tmp_path: Path
) -> None:
    observation = make_observation("mask_rcnn", [0.0])
    at = datetime.fromtimestamp(LAUNCHED_S, timezone.utc)
    line = b"[INFO] Saving checkpoints for epoch %d into /r/train/model.epoch-%d.tlt.\n"
    events = observation.printed(line % (0, 0), at)
    assert saved(events + observation.printed(line % (1, 1), at)) == [("model.epoch-1.tlt", 1)]


@pytest.mark.parametrize(("is_partial", "epoch"), [(False, 4), (True, 3)])
def test_the_first_validation_of_a_resumed_training_belongs_to_its_first_epoch(
    make_observation: Callable[..., Observation], tmp_path: Path, is_partial: bool, epoch: int
) -> None:
    """With rich the console shows no epoch before the end, and the record of a validation names none.

    Source: tao/real_runs.md M6; the order of the records is that of a real resume of pose_classification 7.0.1.
    """
    point = ResumePoint(tmp_path / "train/model_epoch_002_step_00007.pth", 3, is_partial=is_partial)
    observation = make_observation("pose_classification", [0.0], point)
    stamp: dict[str, object] = {"date": "1/1/2027", "time": "0:0:0", "status": "RUNNING"}
    records = [
        {"message": f"Resuming training from checkpoint: {point.checkpoint}"},
        {"message": "Eval metrics generated.", "kpi": {"val_acc": 0.25}},
        {
            "epoch": epoch - 1,
            "max_epoch": 8,
            "message": "Training loop in progress",
            "kpi": {"val_acc": 0.25},
        },
        {"message": "Eval metrics generated.", "kpi": {"val_acc": 0.5}},
    ]
    (tmp_path / "train/status.json").write_text("".join(json.dumps(stamp | one) + "\n" for one in records))
    events = observation.read_status(datetime.fromtimestamp(LAUNCHED_S, timezone.utc))
    metrics = [(event.value, event.epoch) for event in events if isinstance(event, MetricReported)]
    assert metrics == [(0.25, epoch), (0.5, epoch + 1)]


@pytest.mark.parametrize(
    ("written", "age_s", "values"),
    [
        ('{"AP": 0.4112, "AP50": 0.66}', 0.0, {"mAP": 0.411, "AP50": 0.66}),
        ('{"AP": 0.4112, "AP50": 0.66}', HOUR_S, {"mAP": 0.411}),  # of an earlier evaluation
        ("no JSON", 0.0, {"mAP": 0.411}),
        (None, 0.0, {"mAP": 0.411}),
    ],
)
def test_figures_of_a_result_file_are_those_that_the_console_did_not_say(
    tmp_path: Path, written: str | None, age_s: float, values: dict[str, float]
) -> None:
    plan = RunPlan(
        project="p", experiment="e", action="deploy.evaluate", backend="docker", argv=("x",), workspace=tmp_path,
        contract=load_network("dino").contract("deploy.evaluate"), results_dir=tmp_path,
        results_inside=str(tmp_path), run_inside="/r",
    )  # fmt: skip
    at = datetime.fromtimestamp(LAUNCHED_S, timezone.utc)
    observation = Observation(plan, "r", at, wall_clock=lambda: LAUNCHED_S + 9, steady_clock=lambda: 9.0)
    results = tmp_path / "trt_evaluate" / "results.json"
    results.parent.mkdir()
    if written is None:
        target = tmp_path / "elsewhere"
        target.write_text('{"AP": 0.9}')
        results.symlink_to(target)
    else:
        results.write_text(written)
    os.utime(results, (LAUNCHED_S + 5 - age_s,) * 2, follow_symlinks=written is not None)
    said = observation.printed(
        b" Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.411\n", at
    )
    _, events = observation.judge(EngineStatus(EngineState.EXITED, 0), stop_requested=False, at=at)
    found = [event for event in [*said, *events] if isinstance(event, MetricReported)]
    assert {event.name: event.value for event in found} == values
    assert len(found) == len(values)


def test_the_errors_of_a_stereo_training_come_from_its_event_file(
    tmp_path: Path, make_observation: Callable[..., Observation]
) -> None:
    observation = make_observation("depth_net", [9.0])
    folder = tmp_path / "train" / "lightning_logs" / "version_1"
    folder.mkdir(parents=True)
    events = Path(__file__).parents[2] / "progress" / "data" / "events" / "tensorboardx.tfevents"
    (folder / "events.out.tfevents.0.earlier").write_bytes(events.read_bytes())
    os.utime(folder / "events.out.tfevents.0.earlier", (LAUNCHED_S - HOUR_S,) * 2)
    (folder / "events.out.tfevents.1.host").write_bytes(events.read_bytes())
    os.utime(folder / "events.out.tfevents.1.host", (LAUNCHED_S + 5,) * 2)
    at = datetime.fromtimestamp(LAUNCHED_S + 9, timezone.utc)
    _, said = observation.judge(EngineStatus(EngineState.EXITED, 0), stop_requested=False, at=at)
    found = [event for event in said if isinstance(event, MetricReported)]
    assert [(event.name, event.value, event.epoch) for event in found] == [
        ("val/epe", 3.0, 1), ("val/bp1", 0.5, 1), ("val/epe", 2.0, 2), ("val/bp1", 0.375, 2),
        ("val/epe", 1.0, 3), ("val/bp1", 0.25, 3),
    ]  # fmt: skip
    assert {event.direction for event in found} == {"down"}


def test_an_exit_code_that_nobody_confirms_is_a_notice(tmp_path: Path) -> None:
    plan = RunPlan(
        project="p", experiment="e", action="evaluate", backend="kubernetes", argv=("x",), workspace=tmp_path,
        contract=load_network("dino").contract("evaluate"), results_dir=tmp_path, results_inside=str(tmp_path),
        run_inside="/r",
    )  # fmt: skip
    at = datetime.fromtimestamp(LAUNCHED_S, timezone.utc)
    for text in ("the exit code is the run's own word", None):
        status = EngineStatus(EngineState.EXITED, 0, unconfirmed=text)
        _, events = Observation(plan, "r", at).judge(status, stop_requested=False, at=at)
        said = [one.text for one in events if isinstance(one, Notice) and one.code == "exit-unconfirmed"]
        assert said == ([text] if text else [])


def test_a_failure_over_a_missing_path_names_the_key_of_the_spec(tmp_path: Path) -> None:
    spec = RenderedSpec(
        tmp_path / "train.yaml", "train.yaml", "dataset:\n  root_dir: /data/train\n", "/r/train.yaml"
    )
    plan = RunPlan(
        project="p", experiment="e", action="train", backend="docker", contract=load_network("dino").contract("train"),
        argv=("dino", "train"), workspace=tmp_path, results_dir=tmp_path, results_inside=str(tmp_path), run_inside="/r",
        spec=spec,
    )  # fmt: skip
    at = datetime.fromtimestamp(LAUNCHED_S, timezone.utc)
    observation = Observation(plan, "r", at)
    observation.printed(
        b"FileNotFoundError: [Errno 2] No such file or directory: '/data/train/images/1.jpg'\n", at
    )
    verdict, _ = observation.judge(EngineStatus(EngineState.EXITED, 1), stop_requested=False, at=at)
    assert (verdict.hint or "").endswith('; "root_dir" names the folder /data/train')
