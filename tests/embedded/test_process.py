"""The whole way as a user starts it: processes, files, exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from taorunner.embedded.checkpoint import load_network
from taorunner.embedded.kitti import read_kitti
from taorunner.embedded.network import Normalisation, decode, normalise

from .conftest import SPEC, Start, command

NOTICE = "TinyDet: a small CPU network in numpy that keeps TAO's contract; it is not a TAO network."
LAST = "model_epoch_002_step_00012.npz"


def status_lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "status.json").read_text().splitlines()]


def messages(folder: Path) -> list[tuple[str, str]]:
    return [(line["status"], line["message"]) for line in status_lines(folder)]


def weights(checkpoint: Path) -> dict[str, Any]:
    with np.load(checkpoint) as file:
        return {name: file[name] for name in file.files}


def assert_same_checkpoint(one: Path, other: Path) -> None:
    some, others = weights(one), weights(other)
    assert set(some) == set(others)
    for name in some:
        np.testing.assert_array_equal(some[name], others[name], err_msg=name)


@pytest.fixture(scope="session")
def trained(shapes: Path, start: Start) -> Path:
    """The results of three epochs. Read only."""
    result = start("tinydet", "train", "-e", shapes / "spec.yaml")
    assert (result.returncode, result.stderr) == (0, "Execution status: PASS\n")
    (shapes / "train.console").write_text(result.stdout, newline="")
    return shapes / "results"


def test_training_leaves_what_tao_leaves(trained: Path) -> None:
    names = [f"model_epoch_{epoch:03d}_step_{4 * (epoch + 1):05d}.npz" for epoch in range(3)]
    found = sorted(path.name for path in (trained / "train").iterdir())
    assert found == ["experiment.yaml", *names, "status.json", "tinydet_model_latest.npz"]
    assert (trained / "train" / "tinydet_model_latest.npz").readlink() == Path(LAST)
    experiment = (trained / "train" / "experiment.yaml").read_text()
    assert "very_secret" not in experiment
    assert "num_epochs: 3" in experiment


def test_status_lines_of_training(trained: Path) -> None:
    lines = status_lines(trained / "train")
    epoch = [
        ("RUNNING", "Eval metrics generated."),
        ("RUNNING", "Training loop in progress"),
        ("RUNNING", "Train metrics generated."),
    ]
    assert [(line["status"], line["message"]) for line in lines] == [
        ("STARTED", "Starting TinyDet train."),
        ("STARTED", "Starting Training Loop."),
        *epoch * 3,
        ("RUNNING", "Training loop complete."),
        ("RUNNING", "Train finished successfully."),
    ]
    assert [sorted(line.get("kpi", ())) for line in lines] == [
        [],
        [],
        *[["val_loss", "val_mAP50"], ["val_loss", "val_mAP50"], ["train_loss"]] * 3,
        ["train_loss"],
        ["train_loss"],
    ]
    loops = [line for line in lines if "epoch" in line]
    assert [(line["epoch"], line["max_epoch"], line["step"], line["max_step"]) for line in loops] == [
        (0, 2, 4, 12),
        (1, 2, 8, 12),
        (2, 2, 12, 12),
    ]
    assert loops[-1]["eta"] == "0:00:00"
    for line in loops:
        assert re.fullmatch(r"0:0\d:\d\d(\.\d{6})?", line["time_per_epoch"])
    for line in lines:
        assert re.fullmatch(r"[1-9]\d?/[1-9]\d?/\d{4}", line["date"])
        assert re.fullmatch(r"(0|[1-9]\d?):(0|[1-9]\d?):(0|[1-9]\d?)", line["time"])
        assert line["verbosity"] == "INFO"
    assert isinstance(lines[2]["kpi"]["val_mAP50"], str)
    losses = [line["kpi"]["train_loss"] for line in lines if line["message"] == "Train metrics generated."]
    assert losses == sorted(losses, reverse=True)


def test_console_of_training(shapes: Path, trained: Path) -> None:
    with (shapes / "train.console").open(newline="") as file:
        text = file.read()
    pieces = re.split(r"[\r\n]+", text)
    assert pieces[0] == NOTICE
    assert f"Train results will be saved at: {trained}/train" in pieces
    bars = [piece for piece in pieces if piece.startswith("Epoch")]
    shape = (
        r"Epoch \d: [ \d]{3}%\|[█▏▎▍▌▋▊▉ ]{10}\| \d/4 \[\d\d:\d\d<\d\d:\d\d, [\d.]+(it/s|s/it), "
        r"v_num=1, train_loss_step=\d+\.\d+(, train_loss_epoch=\d+\.\d+)?\]"
    )
    assert all(re.fullmatch(shape, bar) for bar in bars)
    assert [bar[:15] for bar in bars if "| 4/4 " in bar] == [f"Epoch {epoch}: 100%|█" for epoch in range(3)]


def test_same_seed_same_weights(trained: Path, spec: Path, start: Start) -> None:
    assert start("tinydet", "train", "-e", spec).returncode == 0
    assert_same_checkpoint(trained / "train" / LAST, spec.parent / "results" / "train" / LAST)


def test_resuming_from_an_epoch_gives_the_same_weights(trained: Path, spec: Path, start: Start) -> None:
    first = trained / "train" / "model_epoch_000_step_00004.npz"
    result = start("tinydet", "train", "-e", spec, f"train.resume_training_checkpoint_path={first}")
    assert result.returncode == 0, result.stderr
    folder = spec.parent / "results" / "train"
    assert_same_checkpoint(trained / "train" / LAST, folder / LAST)
    assert messages(folder)[1] == ("RUNNING", f"Resuming training from checkpoint: {first}")
    assert [line["epoch"] for line in status_lines(folder) if "epoch" in line] == [1, 2]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_in_the_middle_and_started_again_gives_the_same_weights(
    spec: Path, start: Start, number: signal.Signals, code: int
) -> None:
    long = "train.num_epochs=12"
    process = subprocess.Popen(
        command("tinydet", "train", "-e", spec, long),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    seen = ""
    while "Epoch 1:" not in seen:
        seen += process.stdout.read(1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code
    assert errors == f"error: User/System interruption: {number.name}\nExecution status: FAIL\n"
    folder = spec.parent / "results" / "train"
    assert messages(folder)[-1] == ("FAILURE", f"User/System interruption: {number.name}")
    assert not (folder / "model_epoch_011_step_00048.npz").exists()

    assert start("tinydet", "train", "-e", spec, long).returncode == 0
    resumed = ("RUNNING", f"Resuming training from checkpoint: {folder}/tinydet_model_latest.npz")
    assert resumed in messages(folder)
    other = spec.parent / "other"
    assert start("tinydet", "train", "-e", spec, long, f"results_dir={other}").returncode == 0
    assert_same_checkpoint(
        folder / "model_epoch_011_step_00048.npz", other / "train" / "model_epoch_011_step_00048.npz"
    )


def test_training_again_into_finished_results_is_done_at_once(
    trained: Path, spec: Path, start: Start
) -> None:
    folder = spec.parent / "results" / "train"
    folder.mkdir(parents=True)
    (folder / "tinydet_model_latest.npz").symlink_to(trained / "train" / LAST)
    assert start("tinydet", "train", "-e", spec).returncode == 0
    assert [message for _, message in messages(folder)] == [
        "Starting TinyDet train.",
        f"Resuming training from checkpoint: {folder}/tinydet_model_latest.npz",
        "Starting Training Loop.",
        "Training loop complete.",
        "Train finished successfully.",
    ]


def test_pretrained_weights_are_taken_where_they_fit(trained: Path, spec: Path, start: Start) -> None:
    result = start(
        "tinydet",
        "train",
        "-e",
        spec,
        f"train.pretrained_model_path={trained}/train/{LAST}",
        "dataset.class_names=[circle,square]",
        "train.num_epochs=1",
    )
    assert result.returncode == 0, result.stderr
    assert (
        f"pretrained weights: 25 of 27 arrays from {trained}/train/{LAST}; not fitting: head.bias, head.weight"
        in (result.stdout)
    )


def test_evaluate_measures_on_the_held_out_images(
    trained: Path, spec: Path, shapes: Path, start: Start
) -> None:
    checkpoint = f"evaluate.checkpoint={trained}/train/{LAST}"
    result = start("tinydet", "evaluate", "-e", spec, checkpoint)
    assert (result.returncode, result.stderr) == (0, "Execution status: PASS\n")
    folder = spec.parent / "results" / "evaluate"
    assert [message for _, message in messages(folder)] == [
        "Starting TinyDet evaluate.",
        f"Loading checkpoint: {trained}/train/{LAST}",
        "Test metrics generated.",
        "Evaluate finished successfully.",
    ]
    kpi = status_lines(folder)[-1]["kpi"]
    assert sorted(kpi) == ["test_loss", "test_mAP50"]
    assert result.stdout.splitlines()[-1].split() == ["mean", kpi["test_mAP50"]]
    assert "test data: 8 images" in result.stdout
    assert str(shapes / "data" / "test") in result.stdout


@pytest.mark.slow
def test_network_learns_to_find_shapes_that_it_has_not_seen(tmp_path: Path, start: Start) -> None:
    data = tmp_path / "data"
    assert (
        start("sample-dataset", data, "--images", 200, "--held-out", 40, "--size", 64, "--seed", 2).returncode
        == 0
    )
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.format(root=tmp_path))
    small = (
        "train.num_epochs=14",
        "train.validation_interval=14",
        "model.backbone=small",
        "dataset_convert.val_split=0",
    )
    for action in ("dataset_convert", "train", "evaluate"):
        records = f"dataset.train_tfrecords={tmp_path}/records/shapes-fold-000-of-002*"
        result = start("tinydet", action, "-e", spec, *small, records, "dataset.val_tfrecords=null")
        assert result.returncode == 0, result.stderr
    kpi = status_lines(tmp_path / "results" / "evaluate")[-1]["kpi"]
    # 0.39 where it was written; another BLAS rounds otherwise. Untrained weights give less than 0.02.
    assert float(kpi["test_mAP50"]) > 0.2


def test_evaluate_falls_back_to_validation_records(trained: Path, spec: Path, start: Start) -> None:
    checkpoint = f"evaluate.checkpoint={trained}/train/{LAST}"
    result = start(
        "tinydet",
        "evaluate",
        "-e",
        spec,
        checkpoint,
        "dataset.test_kitti=null",
        "evaluate.iou_threshold=0.75",
    )
    assert result.returncode == 0, result.stderr
    assert "test data: 8 images" in result.stdout
    assert "test_mAP75" in status_lines(spec.parent / "results" / "evaluate")[-1]["kpi"]


def test_inference_writes_labels_and_images(trained: Path, spec: Path, shapes: Path, start: Start) -> None:
    result = start(
        "tinydet",
        "inference",
        "-e",
        spec,
        f"inference.checkpoint={trained}/train/{LAST}",
        "inference.threshold=0.01",
    )
    assert result.returncode == 0, result.stderr
    folder = spec.parent / "results" / "inference"
    images = sorted(path.name for path in (shapes / "data" / "test" / "image_2").iterdir())
    assert sorted(path.name for path in (folder / "images_annotated").iterdir()) == images
    labels = sorted((folder / "labels").iterdir())
    assert [path.stem + ".png" for path in labels] == images
    lines = [line.split() for path in labels for line in path.read_text().splitlines()]
    assert lines
    for name, truncation, occlusion, angle, *rest in lines:
        assert (name in {"circle", "square", "triangle"}, truncation, occlusion, angle) == (
            True,
            "0.00",
            "0",
            "0.00",
        )
        assert rest[4:11] == ["0.00"] * 7
        x_min, y_min, x_max, y_max = map(float, rest[:4])
        assert 0 <= x_min <= x_max <= 64 and 0 <= y_min <= y_max <= 64
        assert 0.01 <= float(rest[11]) <= 1
    with Image.open(folder / "images_annotated" / images[0]) as picture:
        assert picture.size == (64, 64)


def test_images_that_would_share_a_label_file_are_refused(trained: Path, spec: Path, start: Start) -> None:
    images = spec.parent / "images"
    images.mkdir()
    for name in ("a.png", "b.JPG", "b.png"):
        Image.new("RGB", (64, 64)).save(images / name)
    arguments = (f"inference.checkpoint={trained}/train/{LAST}", f"inference.image_dir={images}")
    result = start("tinydet", "inference", "-e", spec, *arguments)
    assert result.returncode == 1
    assert '"b.JPG" and "b.png" would share the label file "b.txt"' in result.stderr
    (images / "b.JPG").unlink()
    assert start("tinydet", "inference", "-e", spec, *arguments).returncode == 0


def test_exported_model_gives_the_same_outputs(trained: Path, spec: Path, shapes: Path, start: Start) -> None:
    target = spec.parent / "model.onnx"
    arguments = (f"export.checkpoint={trained}/train/{LAST}", f"export.onnx_file={target}")
    result = start("tinydet", "export", "-e", spec, *arguments)
    assert result.returncode == 0, result.stderr
    onnx.checker.check_model(onnx.load(target), full_check=True)
    pictures = np.stack(
        [
            np.asarray(Image.open(item.image))
            for item in read_kitti(shapes / "data" / "test", "image_2", "label_2", ".png")
        ]
    )
    inputs = normalise(pictures, Normalisation())
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    boxes, scores = session.run(["boxes", "scores"], {"pictures": inputs.transpose(0, 3, 1, 2)})
    network = load_network(trained / "train" / LAST)
    expected_boxes, expected_scores = decode(network.forward(inputs), 8, 8)
    np.testing.assert_allclose(boxes, expected_boxes, rtol=0, atol=1e-4)
    np.testing.assert_allclose(scores, expected_scores, rtol=0, atol=1e-4)
    assert json.loads(session.get_modelmeta().custom_metadata_map["class_names"]) == [
        "circle",
        "square",
        "triangle",
    ]

    before = target.read_bytes()
    again = start("tinydet", "export", "-e", spec, *arguments)
    assert (again.returncode, again.stderr.splitlines()[-1]) == (1, "Execution status: FAIL")
    assert f'"{target}" already exists' in again.stderr
    assert target.read_bytes() == before
    assert messages(spec.parent / "results" / "export")[-1][0] == "FAILURE"


BOMB = "".join(f"{b}: &{b} [{f'*{a}, ' * 10}]\n" for a, b in pairwise("abcdefghijklm"))
WRONG_SPECS = [
    (
        "dataset: {input_std: [64, 0, 64]}",
        '"dataset.input_std" must have three numbers, above 0: those of red, green and blue; found [64.0, 0.0, 64.0]',
    ),
    ("train: {num_epoch: 3}", 'unknown key "train.num_epoch" in {spec} (did you mean "train.num_epochs"?)'),
    ("trian: {}", 'unknown key "trian" in {spec} (did you mean "train"?)'),
    ("train: 5", '"train" in {spec} must be a mapping of keys, found 5'),
    ("train: {num_epochs: many}", "\"train.num_epochs\" in {spec} must be a whole number, found 'many'"),
    ("train: {num_epochs: 2.5}", '"train.num_epochs" in {spec} must be a whole number, found 2.5'),
    ("train: {num_epochs: true}", '"train.num_epochs" in {spec} must be a whole number, found True'),
    ("train: {learning_rate: .nan}", '"train.learning_rate" in {spec} must be a number, found nan'),
    (
        "train: {num_epochs: 2, checkpoint_interval: 5}",
        '"train.checkpoint_interval" is 5; it must be from 1 to train',
    ),
    ("train: {num_epochs: 0}", '"train.num_epochs" is 0; it must be from 1 to 999'),
    ("model: {backbone: resnet18}", 'unknown model.backbone "resnet18" (known: tiny, small)'),
    ("model: {input_width: 100}", '"model.input_width" is 100; it must be a multiple of 8 from 32 to 2048'),
    ("dataset: {class_names: circle}", "\"dataset.class_names\" in {spec} must be a list, found 'circle'"),
    ("train: [", 'spec file "{spec}", line 2, column 1: '),
    ("train: {}\ntrain: {}", 'spec file "{spec}", line 2, column 1: '),
    ("- a\n- b", 'spec file "{spec}" must be a mapping of keys, found a list'),
    ("results_dir: ${nowhere}", 'interpolation "${nowhere}" names a key that the spec does not have'),
    ("results_dir: ${results_dir}", "interpolations in the spec are circular"),
    (
        "results_dir: ${oc.env:TINYDET_UNSET}",
        'environment variable "TINYDET_UNSET" in "${oc.env:TINYDET_UNSET}"',
    ),
    ("a: &a [x, x, x, x, x, x, x, x, x, x]\n" + BOMB, "the spec holds more than 10000 values"),
    ("train: &a {train: *a}", 'spec file "{spec}" is nested too deeply'),
    ("train: " + "[" * 5000, 'spec file "{spec}": '),
    ("{}", '"results_dir" is missing in the spec'),
]


@pytest.mark.parametrize(("text", "expected"), WRONG_SPECS)
def test_wrong_spec_is_one_line_and_no_status_file(
    tmp_path: Path, start: Start, text: str, expected: str
) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(text + "\n")
    result = start("tinydet", "train", "-e", spec)
    line, footer = result.stderr.splitlines()
    assert line.startswith("error: " + expected.replace("{spec}", str(spec)))
    assert (result.returncode, footer) == (1, "Execution status: FAIL")
    assert [path.name for path in tmp_path.iterdir()] == ["spec.yaml"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "no spec file given (add -e SPEC.yaml)"),
        (
            ["-e", "/nowhere/spec.yaml"],
            'cannot read spec file "/nowhere/spec.yaml": No such file or directory',
        ),
        (["-e", "/"], 'cannot read spec file "/": Is a directory'),
        (["-e", sys.executable], f'spec file "{sys.executable}" '),
        (["-e", "SPEC", "train.epochs=5"], 'unknown key "train.epochs" in {spec}'),
        (
            ["-e", "SPEC", "-k", "key"],
            '"-k" is not an override (write key=value, for example train.num_epochs=5)',
        ),
        (["-e", "SPEC", "train=5"], '"train" in {spec} must be a mapping of keys, found 5'),
        (
            ["-e", "SPEC", "results_dir.x=5"],
            '"results_dir" in override "results_dir.x=5" has no keys below it',
        ),
        (
            ["-e", "SPEC", "dataset.class_names.9=x"],
            '"9" in "dataset.class_names.9" is not an index of a list of 3',
        ),
        (["-e", "SPEC", "train.seed=[1"], 'override "train.seed=[1", line 1, column '),
    ],
)
def test_wrong_command_line_is_one_line(
    spec: Path, start: Start, arguments: list[str], expected: str
) -> None:
    result = start("tinydet", "train", *[str(spec) if item == "SPEC" else item for item in arguments])
    line, footer = result.stderr.splitlines()
    assert line.startswith("error: " + expected.replace("{spec}", str(spec)))
    assert (result.returncode, footer) == (1, "Execution status: FAIL")
    assert not (spec.parent / "results").exists()


@pytest.mark.parametrize(
    ("action", "override", "expected"),
    [
        (
            "train",
            "dataset.train_tfrecords=/nowhere/*",
            'no tfrecord file matches "/nowhere/*"; run dataset_convert first',
        ),
        ("train", "dataset.class_names=[car]", "(classes there: circle, square, triangle)"),
        ("train", "dataset.class_names=[Car,car]", '"dataset.class_names" has a name twice: Car, car'),
        (
            "train",
            "train.resume_training_checkpoint_path=/nowhere.npz",
            'there is no checkpoint "/nowhere.npz"',
        ),
        ("evaluate", "evaluate.checkpoint=/nowhere.npz", 'there is no checkpoint "/nowhere.npz"'),
        ("evaluate", "evaluate.checkpoint=SPEC", '"SPEC" is not a tinydet checkpoint'),
        ("evaluate", "evaluate.checkpoint=null", '"evaluate.checkpoint" is missing in the spec'),
        ("inference", "inference.image_dir=/nowhere", 'there is no folder "/nowhere"'),
        (
            "dataset_convert",
            "dataset_convert.root_directory_path=/nowhere",
            'there is no folder "/nowhere/image_2"',
        ),
        (
            "dataset_convert",
            "dataset_convert.image_extension=.PNG",
            'ends with ".PNG" (image_extension, case matters)',
        ),
        ("export", "export.checkpoint=SPEC", '"SPEC" is not a tinydet checkpoint'),
    ],
)
def test_failure_of_a_run_is_said_in_status_file_footer_and_exit_code(
    spec: Path, start: Start, action: str, override: str, expected: str
) -> None:
    result = start("tinydet", action, "-e", spec, override.replace("SPEC", str(spec)))
    *_, line, footer = result.stderr.splitlines()
    assert expected.replace("SPEC", str(spec)) in line
    assert (result.returncode, footer) == (1, "Execution status: FAIL")
    status, message = messages(spec.parent / "results" / action)[-1]
    assert (status, f"error: {message}") == ("FAILURE", line)
    assert "Traceback" not in result.stderr


def test_checkpoint_of_another_network_is_refused(trained: Path, spec: Path, start: Start) -> None:
    resume = f"train.resume_training_checkpoint_path={trained}/train/{LAST}"
    result = start("tinydet", "train", "-e", spec, resume, "model.backbone=small")
    assert result.returncode == 1
    assert "choose a new results_dir to start again" in result.stderr


def test_loss_that_is_not_finite_ends_training_as_a_failure(trained: Path, spec: Path, start: Start) -> None:
    """TAO passes here. Source: tao/pytorch.md section 2: a NaN-loss train still passes."""
    arrays = weights(trained / "train" / "model_epoch_000_step_00004.npz")
    arrays["network/head.bias"] = np.full_like(arrays["network/head.bias"], np.nan)
    broken = spec.parent / "broken.npz"
    np.savez(broken, **arrays)
    result = start("tinydet", "train", "-e", spec, f"train.resume_training_checkpoint_path={broken}")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-2:] == [
        "error: Parameter validation error: the loss is nan at epoch 1, step 0; "
        "try a smaller train.learning_rate than 0.01",
        "Execution status: FAIL",
    ]
    assert messages(spec.parent / "results" / "train")[-1][0] == "FAILURE"


def test_overrides_that_tao_knows_do_no_harm(trained: Path, spec: Path, start: Start) -> None:
    result = start(
        "tinydet", "evaluate", "-e", spec, f"evaluate.checkpoint={trained}/train/{LAST}", "evaluate.num_gpus=2",
        "evaluate.gpu_ids=[0,1]", "encryption_key=k",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_reader_that_goes_away_does_not_end_training(spec: Path) -> None:
    process = subprocess.Popen(
        command("tinydet", "train", "-e", spec), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), errors) == (0, "Execution status: PASS\n")
    assert (spec.parent / "results" / "train" / LAST).exists()


def test_full_disk_below_the_results_is_a_failure(spec: Path) -> None:
    """A limit on the size of files stands for the full disk: the first checkpoint does not fit."""
    process = subprocess.run(
        ["bash", "-c", 'ulimit -f 20; exec "$@"', "bash", *command("tinydet", "train", "-e", spec)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    *_, line, footer = process.stderr.splitlines()
    assert (process.returncode, footer) == (1, "Execution status: FAIL")
    assert line == "error: File system error: [Errno 27] File too large"
    folder = spec.parent / "results" / "train"
    assert sorted(path.name for path in folder.iterdir()) == ["experiment.yaml", "status.json"]
    assert messages(folder)[-1][0] == "FAILURE"


def test_full_disk_below_the_log_does_not_end_training(spec: Path) -> None:
    with Path("/dev/full").open("w") as log:
        process = subprocess.run(
            command("tinydet", "train", "-e", spec), stdout=log, stderr=log, timeout=60, check=False
        )
    assert process.returncode == 0
    assert messages(spec.parent / "results" / "train")[-1] == ("RUNNING", "Train finished successfully.")


def test_results_that_cannot_be_written_are_named(spec: Path, start: Start) -> None:
    (spec.parent / "results").write_text("a file")
    result = start("tinydet", "train", "-e", spec)
    assert result.returncode == 1
    assert f'error: cannot write results to "{spec.parent}/results/train"' in result.stderr


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"PK\x03\x04 cut"])
def test_damaged_latest_checkpoint_is_named_and_kept(spec: Path, start: Start, damage: bytes) -> None:
    latest = spec.parent / "results" / "train" / "tinydet_model_latest.npz"
    latest.parent.mkdir(parents=True)
    latest.write_bytes(damage)
    result = start("tinydet", "train", "-e", spec)
    assert result.returncode == 1
    assert f'"{latest}" is not a tinydet checkpoint' in result.stderr
    assert latest.read_bytes() == damage


@pytest.mark.parametrize("arguments", [["--help"], ["tinydet", "--help"], ["sample-dataset", "--help"]])
def test_help(start: Start, arguments: list[str]) -> None:
    result = start(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert "usage: python -m taorunner.embedded" in result.stdout


def test_unknown_action_is_a_usage_error(start: Start) -> None:
    result = start("tinydet", "prune", "-e", "spec.yaml")
    assert result.returncode == 2
    assert "invalid choice: 'prune'" in result.stderr


def test_missing_extra_is_one_line_that_names_it(tmp_path: Path) -> None:
    """An interpreter without site packages, which still finds the network."""
    (tmp_path / "taorunner").symlink_to(sys.modules["taorunner"].__path__[0])
    result = subprocess.run(
        [sys.executable, "-S", "-m", "taorunner.embedded", "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "the embedded network needs numpy and pillow and onnx and ruamel.yaml: pip install 'taorunner[embedded]'\n"
    )


def test_validation_and_checkpoints_come_at_their_intervals(spec: Path, start: Start) -> None:
    intervals = ["train.num_epochs=3", "train.validation_interval=2", "train.checkpoint_interval=2"]
    assert start("tinydet", "train", "-e", spec, *intervals).returncode == 0
    folder = spec.parent / "results" / "train"
    told = [message for _, message in messages(folder)]
    assert told.count("Training loop in progress") == 3
    assert told.count("Eval metrics generated.") == 1
    assert told.index("Eval metrics generated.") > told.index("Training loop in progress")
    assert [path.name[:15] for path in sorted(folder.glob("model_*"))] == [
        "model_epoch_001",
        "model_epoch_002",
    ]
