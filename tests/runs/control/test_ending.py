"""What follows a run: the best checkpoint, and commands that the network of the run has."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.load import load_network
from taorunner.container_options import Mount
from taorunner.events import MetricReported, RunState, now
from taorunner.planning.model.arguments import ArgumentValues
from taorunner.planning.model.knobs import Knobs
from taorunner.planning.model.plan import RenderedSpec, ResumePoint, RunPlan
from taorunner.planning.model.request import command_of
from taorunner.planning.model.typed_settings import TypedSettings
from taorunner.runs.control.ending import Ending, batch_size, endings
from taorunner.runs.control.origin import Origin, origin_of
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

RUN = "20260101-000000-e1-train-abc123"
Ended = Callable[..., RunRecord]
SPEC = "train:\n  batch_size: 16\n  num_epochs: 5\n"
MEMORY = "CUDA out of memory in epoch 1"


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / ".taorunner")


@pytest.fixture
def ended(store: RunStore, tmp_path: Path) -> Ended:
    def make(
        network: str, action: str, state: RunState = RunState.SUCCEEDED, reason: str = "", spec: str = SPEC,
        files: tuple[str, ...] = (), **plan: Any,
    ) -> RunRecord:  # fmt: skip
        results = tmp_path / "models/e1"
        known = load_network(network)
        contract = known.contract(action)
        made = RunPlan(
            project="p", experiment="e1", action=known.name_of(contract), backend="local", argv=(), contract=contract,
            arguments=ArgumentValues({"spec": "train.yaml", "results_dir": str(results), "num_gpus": "1", "gpu_ids": "0"}),
            workspace=tmp_path, results_dir=results, results_inside=str(results), run_inside="/nowhere", epochs=5,
            spec=RenderedSpec(Path("train.yaml"), "train.yaml", spec, "/in/train.yaml"),
        )  # fmt: skip
        create_batch(store, [(RUN, replace(made, **plan))], now(), environ={})
        for name in files:
            (results / name).parent.mkdir(parents=True, exist_ok=True)
            (results / name).write_text("weights")
        record = replace(store.load(RUN), state=state, started_at=now(), reason=reason)
        store.save(record)
        return record

    return make


def steps(store: RunStore, record: RunRecord) -> tuple[str, ...]:
    return endings(store, [record])[record.id].steps


@pytest.mark.parametrize(
    ("network", "action", "expected"),
    [
        ("tinydet", "dataset_convert", ("train {}",)),
        ("tinydet", "train", ("evaluate {}", "export {}")),
        ("tinydet", "export", ()),
        ("tinydet", "evaluate", ()),
        ("rtdetr", "export", ("run gen_trt_engine {}",)),
        ("rtdetr", "gen_trt_engine", ("run deploy.evaluate {}",)),
        ("rtdetr", "deploy.evaluate", ()),
        ("codetr", "train", ("evaluate {}",)),  # it has no export
        ("bevfusion", "dataset_convert", ("train {}",)),
        ("annotations", "convert", ()),  # a tool without a training
    ],
)
def test_only_what_the_network_has_follows(
    network: str, action: str, expected: tuple[str, ...], store: RunStore, ended: Ended
) -> None:
    assert steps(store, ended(network, action)) == expected


CHECKPOINTS = tuple(f"train/model_epoch_00{number}_step_00010.npz" for number in range(3))


def reported(
    store: RunStore, values: dict[int, float], name: str = "val_mAP50", direction: str | None = "up"
) -> None:
    store.append_events(
        RUN,
        [
            MetricReported(
                run=RUN, at=now(), name=name, value=value, epoch=epoch, direction=direction, rank=0
            )
            for epoch, value in values.items()
        ],
    )


def test_the_best_checkpoint_is_that_of_the_best_epoch_that_has_one(store: RunStore, ended: Ended) -> None:
    record = ended("tinydet", "train", files=CHECKPOINTS)
    reported(store, {1: 0.2, 2: 0.6, 3: 0.5, 4: 0.9, 5: float("nan")})
    ending = endings(store, [record])[RUN]
    assert ending.best is not None and ending.newest is not None
    assert (ending.best.epoch, ending.newest.epoch, ending.counts_from) == (2, 3, 0)
    assert ending.steps == ("evaluate {} --checkpoint best", "export {} --checkpoint best")


def test_of_equal_values_the_earlier_epoch_counts(store: RunStore, ended: Ended) -> None:
    record = ended("tinydet", "train", files=CHECKPOINTS)
    reported(store, {1: 0.2, 2: 0.6, 3: 0.6})
    ending = endings(store, [record])[RUN]
    assert ending.best is not None and ending.best.epoch == 2
    reported(store, {3: 0.7})
    ending = endings(store, [record])[RUN]
    assert ending.best == ending.newest and ending.steps == ("evaluate {}", "export {}")


def test_without_a_known_direction_there_is_no_best(store: RunStore, ended: Ended) -> None:
    record = ended("tinydet", "train", files=CHECKPOINTS)
    reported(store, {1: 0.2, 2: 0.6}, "lr", "none")
    assert endings(store, [record])[RUN].best is None
    reported(store, {1: 0.2, 2: 0.6}, "val_mAP50", None)
    assert endings(store, [record])[RUN].best is None


@pytest.mark.parametrize(
    ("files", "more", "expected"),
    [
        ((), {}, ("train {} --batch-size 8",)),
        (CHECKPOINTS, {}, ("resume {} --batch-size 8",)),
        ((), {"spec": "train:\n  batch_size: 2\n"}, ("train {} --batch-size 1",)),
        ((), {"spec": "train:\n  batch_size: 1\n"}, ()),
        ((), {"spec": "train:\n  num_epochs: 2\n"}, ()),
        ((), {"spec": "train: [\n"}, ()),
        ((), {"argv": ("-e", "x", "train.batch_size=12")}, ("train {} --batch-size 6",)),
        ((), {"reason": "a folder is missing"}, ()),
        ((), {"reason": ""}, ()),
    ],
)
def test_out_of_memory_names_the_batch_size_to_try(
    files: tuple[str, ...], more: dict[str, Any], expected: tuple[str, ...], store: RunStore, ended: Ended
) -> None:
    record = ended("tinydet", "train", RunState.FAILED, **{"reason": MEMORY, "files": files, **more})
    assert steps(store, record) == expected


def test_out_of_memory_where_the_network_has_no_such_key(store: RunStore, ended: Ended) -> None:
    assert steps(store, ended("tinydet", "evaluate", RunState.FAILED, reason=MEMORY)) == ()


def test_the_batch_size_of_a_protobuf_spec(store: RunStore, ended: Ended) -> None:
    ended("detectnet_v2", "train", spec="training_config { batch_size_per_gpu: 24 num_epochs: 2 }\n")
    assert batch_size(store.load_plan(RUN)) == 24


def test_a_stopped_training_is_resumed(store: RunStore, ended: Ended) -> None:
    assert steps(store, ended("tinydet", "train", RunState.STOPPED, files=CHECKPOINTS)) == ("resume {}",)


@pytest.mark.parametrize(
    ("exit_code", "files", "expected"),
    [
        (137, CHECKPOINTS, ("resume {}",)),
        (143, CHECKPOINTS, ("resume {}",)),
        (137, (), ()),
        (1, CHECKPOINTS, ()),
    ],
)
def test_a_training_that_was_ended_from_outside_is_resumed(
    exit_code: int, files: tuple[str, ...], expected: tuple[str, ...], store: RunStore, ended: Ended
) -> None:
    record = ended(
        "tinydet", "train", RunState.FAILED, reason="killed (SIGKILL), but not by taorunner", files=files
    )
    assert steps(store, replace(record, exit_code=exit_code)) == expected


def test_a_stopped_evaluation_is_not(store: RunStore, ended: Ended) -> None:
    assert steps(store, ended("tinydet", "evaluate", RunState.STOPPED)) == ()


def test_a_plan_that_cannot_be_read_leaves_little_to_say(store: RunStore, ended: Ended) -> None:
    record = ended("tinydet", "train", files=CHECKPOINTS)
    store.paths(RUN).plan.write_text("{")
    assert endings(store, [record]) == {RUN: Ending()}


def test_a_release_that_the_catalog_has_no_more_leaves_what_was_found(store: RunStore, ended: Ended) -> None:
    record = ended("rtdetr", "export", files=("export/model.onnx",))
    plan = store.load_plan(RUN)
    store.save_plan(RUN, replace(plan, contract=replace(plan.contract, release="1.0.0")))
    ending = endings(store, [record])[RUN]
    assert ending.steps == () and [one.path.name for one in ending.results.outputs] == ["model.onnx"]


def test_how_actions_are_typed() -> None:
    typed = {
        name: command_of(name)
        for name in ("train", "dataset_convert", "convert", "gen_trt_engine", "deploy.evaluate")
    }
    assert typed == {
        "train": "train", "dataset_convert": "convert", "convert": "convert", "gen_trt_engine": "run gen_trt_engine",
        "deploy.evaluate": "run deploy.evaluate",
    }  # fmt: skip


def test_a_start_that_failed_left_earlier_results_untouched(
    store: RunStore, ended: Ended, tmp_path: Path
) -> None:
    record = ended("tinydet", "train", RunState.FAILED, files=CHECKPOINTS, overwrite=True)
    never = replace(record, started_at=None)
    moved = replace(store.load_plan(RUN), set_aside=(tmp_path / "models/e1/train",))
    store.save_plan(RUN, moved)
    assert endings(store, [never])[RUN].is_untouched
    assert not endings(store, [record])[RUN].is_untouched
    (tmp_path / "models/e1/train").rename(tmp_path / "models/e1.20260101-000000")
    assert not endings(store, [never])[RUN].is_untouched


NEWER = "20260102-000000-e1-train-def456"


@pytest.fixture
def newer(store: RunStore) -> Ended:
    """A later training of the same experiment, started unless ``started`` is False."""

    def make(*, started: bool = True, **facts: Any) -> RunRecord:
        create_batch(store, [(NEWER, store.load_plan(RUN))], now(), environ={})
        at = store.load(RUN).queued_at + timedelta(hours=1)
        record = replace(store.load(NEWER), queued_at=at, started_at=at if started else None, **facts)
        store.save(record)
        return record

    return make


def test_what_a_newer_run_wrote_is_not_that_of_an_older_one(
    store: RunStore, ended: Ended, newer: Ended, tmp_path: Path
) -> None:
    """Neither run has a record of its outputs, as after a supervisor that was killed."""
    record = ended("tinydet", "train", RunState.STOPPED, files=CHECKPOINTS)
    record = replace(record, finished_at=now())
    store.save(record)
    results = tmp_path / "models/e1"
    results.rename(aside := tmp_path / "models/e1.20260102-000000")
    (results / "train").mkdir(parents=True)
    for name in CHECKPOINTS:
        (results / name).write_text("newer weights")
        os.utime(results / name, times=(time.time() + 3600,) * 2)
    newer(state=RunState.RUNNING)
    ending = endings(store, [record])[RUN]
    assert (ending.results.outputs, ending.steps, ending.best) == ((), (), None)
    assert ending.set_aside == aside


def test_the_steps_of_a_run_end_with_a_newer_run_that_was_started(
    store: RunStore, ended: Ended, newer: Ended
) -> None:
    record = ended("tinydet", "train", RunState.STOPPED)
    assert steps(store, record) == ("train {}",)
    later = newer(started=False)
    assert steps(store, record) == ("train {}",)
    store.save(replace(later, started_at=now()))
    assert steps(store, record) == () and origin_of(store, record).later == NEWER


def test_results_that_were_restored_have_their_steps_again(
    store: RunStore, ended: Ended, newer: Ended
) -> None:
    record = ended("tinydet", "train", files=CHECKPOINTS)
    newer()
    assert steps(store, record) == ("evaluate {}", "export {}")


def test_a_run_that_was_resumed_names_the_run_that_went_on(
    store: RunStore, ended: Ended, newer: Ended
) -> None:
    record = ended("tinydet", "train", RunState.STOPPED, files=CHECKPOINTS)
    later = newer(resumed_from=RUN)
    origin = origin_of(store, record)
    assert (origin.resumed_by, origin.later, steps(store, record)) == (NEWER, NEWER, ())
    assert origin_of(store, later).source == RUN


def test_what_a_training_was_made_from(store: RunStore, ended: Ended, tmp_path: Path) -> None:
    record = ended("tinydet", "train")
    plan = store.load_plan(RUN)

    def made_from(**changes: Any) -> str | None:
        store.save_plan(RUN, replace(plan, **changes))
        return origin_of(store, record).made_from

    assert made_from() == "random values"
    assert made_from(weights="model_011.pth: best val_mAP50 0.41, epoch 12") == (
        "model_011.pth: best val_mAP50 0.41, epoch 12"
    )
    resume = ResumePoint(Path("/r/model_004.npz"), 5)
    assert made_from(resume=resume) == "model_004.npz, after epoch 5"
    assert origin_of(store, replace(record, retries_made=1)).made_from is None  # its own checkpoint
    arguments = ArgumentValues({"pretrained": "/workspace/repositories/x/resnet18.hdf5"})
    assert made_from(arguments=arguments, argv=("-m", "/workspace/repositories/x/resnet18.hdf5")) == (
        "resnet18.hdf5"
    )
    mounts = (Mount(tmp_path / "projects", "/workspace/projects"),)
    values = ArgumentValues({"dataset_raw": "/workspace/projects/p/data/parts"})
    store.save_plan(RUN, replace(plan, mounts=mounts, arguments=values))
    assert origin_of(store, record).data == tmp_path / "projects/p/data/parts"
    store.paths(RUN).plan.write_text("{")
    assert origin_of(store, record) == Origin()


def test_a_training_that_is_started_again_has_what_was_typed(store: RunStore, ended: Ended) -> None:
    typed = TypedSettings(overrides={"train.seed": "7"}, knobs=Knobs(epochs=40, batch_size=16))
    stopped = ended("tinydet", "train", RunState.STOPPED, typed=typed)
    assert steps(store, stopped) == ("train {} --epochs 40 --batch-size 16 --set train.seed=7",)
    failed = replace(stopped, state=RunState.FAILED, reason=MEMORY)
    assert steps(store, failed) == ("train {} --batch-size 8 --epochs 40 --set train.seed=7",)


def test_what_was_set_of_the_model_belongs_to_the_commands_that_read_it(
    store: RunStore, ended: Ended
) -> None:
    typed = TypedSettings(overrides={"train.seed": "7", "model.backbone": "tiny net", "model_config.n": "2"})
    done = ended("tinydet", "train", RunState.SUCCEEDED, typed=typed)
    said = "--set 'model.backbone=tiny net' --set model_config.n=2"
    assert steps(store, done) == (f"evaluate {{}} {said}", f"export {{}} {said}")
    store.save_plan(RUN, replace(store.load_plan(RUN), typed=TypedSettings(overrides={"train.seed": "7"})))
    assert steps(store, done) == ("evaluate {}", "export {}")


def test_what_follows_is_typed_for_the_same_place(store: RunStore, ended: Ended) -> None:
    typed = TypedSettings(cluster="dgx", release="7.0.1", image="mine/tao:1", gpus=4, knobs=Knobs(epochs=40))
    done = ended("rtdetr", "train", RunState.SUCCEEDED, typed=typed)
    place = "--cluster dgx --release 7.0.1 --image mine/tao:1"
    assert endings(store, [done])[done.id].steps == (f"evaluate {{}} {place}", f"export {{}} {place}")


def test_what_follows_in_another_image_is_typed_without_the_image(store: RunStore, ended: Ended) -> None:
    done = ended(
        "rtdetr", "export", RunState.SUCCEEDED, typed=TypedSettings(image="mine/tao:1", backend="docker")
    )
    assert endings(store, [done])[done.id].steps == ("run gen_trt_engine {} --backend docker",)
