"""How each network resumes: which checkpoint, how it is passed, and when there is nothing to resume from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taorunner.planning.inputs.resume import NoResume, resumed
from taorunner.planning.model.plan import ResumePoint, RunPlan
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.planner import Planned, plan_action
from taorunner.project.workspace import Workspace
from taorunner.specs.editing.prototxt_edit import read_value

INSIDE = "/workspace/projects/example_01/models/e1"
WEIGHTS = {"r/r_vresnet18/resnet_18.hdf5": "w"}
TF1 = {"backbone": "resnet18", "repository": "r", "model_key": "env:K"}
TF1_SPEC = 'training_config { num_epochs: 80 pretrain_model_path: "/opt/p" }\n'
PLAIN_SPEC = "training_config { num_epochs: 80 }\n"
YAML = "results_dir: $results_dir\ntrain:\n  num_epochs: 12\n"


@pytest.fixture
def plan(workspace_factory: Callable[..., Path]) -> Callable[..., Planned]:
    """``plan("ssd", spec, {"weights/…": "w"})``: the plan of ``resume`` (or of another request) of an experiment."""

    def make(
        head: str, spec: str, files: dict[str, str], *, release: str | None = None, **wishes: Any
    ) -> Planned:
        entry = {"head": head, "dataset": "d", **({} if "\ntrain:" in spec else TF1)}
        name = "e1/train.yaml" if "\ntrain:" in spec else "e1/train.txt"
        ws = Workspace(
            workspace_factory(
                {"experiments": {"e1": entry | ({"release": release} if release else {})}},
                specs={name: spec}, data={"d/": ""}, repositories=WEIGHTS,
                models={f"e1/{path}": text for path, text in files.items()},
            )
        )  # fmt: skip
        request = ActionRequest("train", ("e1",), **{"resume": True, **wishes})
        caller = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})
        return plan_action(ws, "example_01", request, caller, lambda n, _a: Site(f"run-{n}", ws.runs_dir / n))

    return make


def only(planned: Planned) -> RunPlan:
    assert [f for f in planned.findings if f.is_error] == []
    (item,) = planned.items
    return item.plan


def errors(planned: Planned) -> list[tuple[str, str, str | None]]:
    return [(f.code, f.message, f.hint) for f in planned.findings if f.is_error]


def after(argv: tuple[str, ...], option: str) -> list[str]:
    return [argv[at + 1] for at, token in enumerate(argv) if token == option]


def test_ssd_takes_checkpoint_and_next_epoch_instead_of_the_pretrained_weights(
    plan: Callable[..., Planned],
) -> None:
    files = {f"weights/ssd_resnet18_epoch_{n:03d}.hdf5": "w" for n in (9, 10, 40)}
    made = only(plan("ssd", TF1_SPEC, files))
    assert after(made.argv, "-m") == [f"{INSIDE}/weights/ssd_resnet18_epoch_040.hdf5"]
    assert after(made.argv, "--initial_epoch") == ["41"]
    assert made.resume == ResumePoint(made.results_dir / "weights/ssd_resnet18_epoch_040.hdf5", 40)
    assert made.resume.text == "resumes after epoch 40, from ssd_resnet18_epoch_040.hdf5"
    assert RunPlan.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_lprnet_too(plan: Callable[..., Planned]) -> None:
    made = only(plan("lprnet", TF1_SPEC, {"weights/lprnet_epoch-005.hdf5": "w"}))
    assert after(made.argv, "-m") == [f"{INSIDE}/weights/lprnet_epoch-005.hdf5"]
    assert after(made.argv, "--initial_epoch") == ["6"]


def test_classification_gets_the_epoch_on_the_command_line_and_the_weights_in_the_spec(
    plan: Callable[..., Planned],
) -> None:
    spec = 'train_config { n_epochs: 80 pretrained_model_path: "/opt/p" }\n'
    made = only(plan("classification_tf1", spec, {"weights/resnet_008.hdf5": "w"}))
    assert after(made.argv, "--init_epoch") == ["9"]
    assert made.spec is not None
    assert (
        made.spec.text
        == spec + f'train_config {{ pretrained_model_path: "{INSIDE}/weights/resnet_008.hdf5" }}\n'
    )


@pytest.mark.parametrize(
    ("head", "file", "key"),
    [
        ("retinanet", "weights/retinanet_resnet18_epoch_011.hdf5", "resume_model_path"),
        ("yolo_v3", "weights/yolov3_resnet18_epoch_011.hdf5", "resume_model_path"),
        ("yolo_v4", "weights/yolov4_resnet18_epoch_011.hdf5", "resume_model_path"),
        ("faster_rcnn", "frcnn_resnet_18.epoch_11.hdf5", "resume_from_model"),
    ],
)
def test_the_last_word_of_the_spec_names_the_checkpoint(
    head: str, file: str, key: str, plan: Callable[..., Planned]
) -> None:
    spec = PLAIN_SPEC if head == "faster_rcnn" else TF1_SPEC
    made = only(plan(head, spec, {file: "w"}))
    assert made.spec is not None
    assert made.spec.text == spec + f'training_config {{ {key}: "{INSIDE}/{file}" }}\n'
    assert not any("initial_epoch" in token for token in made.argv)


@pytest.mark.parametrize(
    ("head", "spec", "files", "epoch"),
    [
        ("detectnet_v2", PLAIN_SPEC,
         {"model.epoch-20.hdf5": "w", "model.epoch-10.ckzip": "w", "weights/model.hdf5": "w"}, 10),
        ("mask_rcnn", "num_epochs: 80\n", {"model.epoch-3.tlt": "w"}, 3),
        ("unet", "training_config { epochs: 80 }\n", {"model.epoch-7.tlt/": "", "weights/model.tlt/": ""}, 7),
    ],
)  # fmt: skip
def test_a_training_that_resumes_by_itself_keeps_its_arguments(
    head: str, spec: str, files: dict[str, str], epoch: int, plan: Callable[..., Planned]
) -> None:
    made = only(plan(head, spec, files))
    assert made.resume is not None and made.resume.epoch == epoch
    assert not any("epoch-" in token for token in made.argv)
    assert made.spec is not None and made.spec.text == spec


def test_pytorch_takes_full_checkpoints_never_averaged_or_teachers_weights(
    plan: Callable[..., Planned],
) -> None:
    files = {
        "train/model_epoch_004_step_00100.pth": "w", "train/model_epoch_009_step_00200-EMA.pth": "w",
        "train/teacher_epoch_009_step_00200.pth": "w", "train/model_best_ema.pth": "w", "train/dino_model.pth": "w",
    }  # fmt: skip
    made = only(plan("dino", YAML, files, release="7.0.1"))
    given = f"train.resume_training_checkpoint_path={INSIDE}/train/model_epoch_004_step_00100.pth"
    assert given in made.argv
    assert made.resume is not None and made.resume.epoch == 5


def test_pytorch_5_0_has_no_automatic_way_and_its_equals_sign_is_escaped(
    plan: Callable[..., Planned],
) -> None:
    made = only(plan("dino", YAML, {"train/dino_model_epoch=004.pth": "w"}, release="5.0.0"))
    given = [token for token in made.argv if "resume" in token]
    assert given == [rf"train.resume_training_checkpoint_path={INSIDE}/train/dino_model_epoch\\=004.pth"]


def test_where_a_link_says_which_one_is_the_latest_it_is_believed(
    plan: Callable[..., Planned], workspace_factory: Callable[..., Path]
) -> None:
    folder = workspace_factory("experiments: {}\n") / "projects/example_01/models/e1/train"
    folder.mkdir(parents=True)
    (folder / "dino_model_latest.pth").symlink_to("model_epoch_004_step_00100.pth")
    files = {"train/model_epoch_004_step_00100.pth": "w", "train/model_epoch_009_step_00200.pth": "s"}
    made = only(plan("dino", YAML, files, release="7.0.1"))
    assert made.resume is not None and made.resume.epoch == 5


def test_a_file_that_was_cut_off_while_it_was_written_is_passed_over(plan: Callable[..., Planned]) -> None:
    files = {f"train/model_epoch_00{n}_step_00100.pth": "w" * 1000 for n in range(3)}
    made = only(
        plan("dino", YAML, {**files, "train/model_epoch_003_step_00100.pth": "w" * 400}, release="7.0.1")
    )
    assert made.resume is not None and made.resume.epoch == 3


def status(*epochs: int) -> str:
    return "".join(
        f'{{"date": "1/1/2026", "time": "1:1:1", "status": "RUNNING", "epoch": {epoch}, "max_epoch": 11}}\n'
        for epoch in epochs
    )


def test_a_training_beyond_its_last_epoch_is_refused_also_within_an_epoch(
    plan: Callable[..., Planned],
) -> None:
    """It was trained for more epochs than are asked for now, and stopped within one."""
    files = {"train/model_epoch_012_step_00100.pth": "w", "train/status.json": status(10, 11)}
    (refused,) = errors(plan("dino", YAML, files, release="7.0.1"))
    assert refused[:2] == (
        "already-trained", "nothing is left to train: model_epoch_012_step_00100.pth is of epoch 13 of 12"
    )  # fmt: skip


def test_a_training_that_is_complete_is_refused(plan: Callable[..., Planned]) -> None:
    files = {"train/model_epoch_011_step_00100.pth": "w", "train/status.json": status(10, 11)}
    planned = plan("dino", YAML, files, release="7.0.1")
    assert planned.items == ()
    assert errors(planned) == [
        (
            "already-trained",
            "nothing is left to train: model_epoch_011_step_00100.pth is of epoch 12 of 12",
            "taorunner resume e1 --epochs 24 trains to epoch 24, taorunner train e1 --overwrite starts afresh",
        )
    ]
    more = plan("dino", YAML, files, release="7.0.1", overrides={"train.num_epochs": "20"})
    assert only(more).epochs == 20


def test_a_checkpoint_from_within_the_last_epoch_is_not_the_end(plan: Callable[..., Planned]) -> None:
    files = {"train/model_epoch_011_step_00090.pth": "w", "train/status.json": status(9, 10)}
    made = only(plan("dino", YAML, files, release="7.0.1"))
    assert made.resume is not None
    assert made.resume.text == "resumes within epoch 12, from model_epoch_011_step_00090.pth"


@pytest.mark.parametrize("files", [{}, {"weights/ssd_resnet18_epoch_003.hdf5": ""}, {"status.json": "{}"}])
def test_without_a_checkpoint_there_is_nothing_to_resume(
    files: dict[str, str], plan: Callable[..., Planned]
) -> None:
    ((code, message, hint),) = errors(plan("ssd", TF1_SPEC, files))
    assert code == "nothing-to-resume"
    assert message.startswith("there is no checkpoint to resume from: ") and message.endswith(
        "holds no full checkpoint"
    )
    option = " --overwrite" if "hdf5" in str(files) else ""  # a start would be refused
    assert hint == f"taorunner train e1{option} starts from the beginning"


@pytest.mark.parametrize(
    ("head", "spec", "files"),
    [
        ("ssd", TF1_SPEC, {"weights/ssd_resnet18_epoch_003.hdf5": "w"}),
        ("detectnet_v2", PLAIN_SPEC, {"model.epoch-10.ckzip": "w"}),
        ("dino", YAML, {"train/dino_model_latest.pth": "w"}),
    ],
)
def test_train_names_both_choices(
    head: str, spec: str, files: dict[str, str], plan: Callable[..., Planned]
) -> None:
    ((code, message, hint),) = errors(plan(head, spec, files, resume=False))
    silently = "" if head == "ssd" else ", which TAO would silently resume from"
    message = f"already holds a checkpoint of an earlier training{silently}"
    assert code == "results-exist" and message.endswith(message)
    assert hint == (
        "taorunner resume e1 continues from the newest one; "
        "taorunner train e1 --overwrite sets the earlier ones aside (nothing is deleted)"
    )


def test_a_plan_that_goes_on_can_go_on_again_from_a_newer_checkpoint(plan: Callable[..., Planned]) -> None:
    made = only(plan("retinanet", TF1_SPEC, {"weights/retinanet_resnet18_epoch_011.hdf5": "w"}))
    newer = made.results_dir / "weights" / "retinanet_resnet18_epoch_030.hdf5"
    newer.write_text("w")
    again = resumed(RunPlan.from_json(json.loads(json.dumps(made.to_json()))))
    assert isinstance(again, RunPlan) and again.spec is not None and again.resume == ResumePoint(newer, 30)
    assert again.spec.text.count("resume_model_path") == 2
    assert again.spec.text.splitlines()[-1].endswith(f'{newer.name}" }}')
    assert read_value(TF1_SPEC, "training_config.num_epochs") == 80


def test_what_is_no_training_does_not_go_on(plan: Callable[..., Planned]) -> None:
    made = only(plan("ssd", TF1_SPEC, {"weights/ssd_resnet18_epoch_003.hdf5": "w"}))
    refused = resumed(replace(made, contract=replace(made.contract, action="evaluate")))
    assert isinstance(refused, NoResume) and refused.finding.code == "no-resume"
