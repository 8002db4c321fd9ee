"""The stand-in for TAO behaves as the facts say: exit code, footer, records and files of each generation.

Most of it runs as programs of this host, which is the same code without the container's start.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import images
import pytest

from rig import Engine

PYT_SPEC = (
    "results_dir: {results}\ntrain:\n  num_epochs: 2\n  num_gpus: 1\nexport:\n  onnx_file: {results}/m.onnx\n"
)
SSD_SPEC = 'dssd_config { arch: "resnet" nlayers: 18 }\ntraining_config { num_epochs: 2 }\n'
GENERATIONS = images.GENERATIONS


@dataclass(frozen=True)
class Ran:
    """What a caller of TAO sees of a run."""

    code: int
    text: str
    footer: str | None
    records: list[dict[str, Any]]

    @property
    def last(self) -> tuple[str, str | None] | None:
        return (self.records[-1]["status"], self.records[-1].get("message")) if self.records else None


@pytest.fixture
def run_tao(tao_commands: Callable[..., dict[str, str]], tmp_path: Path) -> Callable[..., Ran]:
    """``run_tao("pyt_7", ["dino", "train", …], FAKE_FAIL="traceback")``: a command of the stand-in on this host."""

    def run(
        kind: str, argv: list[str], status: str = "**/status.json", gpus: int = 2, **steering: str
    ) -> Ran:
        environment = {**os.environ, **tao_commands(kind, gpus=gpus), **steering}
        done = subprocess.run(
            argv, env=environment, cwd=tmp_path, capture_output=True, timeout=60, check=False
        )
        text = (done.stdout + done.stderr).decode()
        found = re.findall(r"Execution status: (\w+)", text)
        files = sorted(tmp_path.glob(status))
        records = [json.loads(line) for path in files for line in path.read_text().splitlines()]
        return Ran(done.returncode, text, found[-1] if found else None, records)

    return run


def command(kind: str, folder: Path) -> list[str]:
    """The usual run of a generation."""
    results = folder / "results"
    (folder / "train.yaml").write_text(PYT_SPEC.format(results=results))
    (folder / "train.txt").write_text(SSD_SPEC)
    if kind == "tf1":
        return ["dssd", "train", "-e", str(folder / "train.txt"), "-r", str(results)]
    task, action = {"tf2": ("efficientdet_tf2", "train"), "pyt": ("dino", "train")}.get(
        kind[:3], ("dino", "gen_trt_engine") if kind.startswith("deploy") else ("annotations", "convert")
    )
    return [task, action, "-e", str(folder / "train.yaml")]


@pytest.mark.parametrize(
    ("kind", "last"),
    [
        ("tf1", ("SUCCESS", "Training finished successfully.")),
        ("tf2_5.0", ("SUCCESS", "Train finished successfully.")),
        ("tf2_6.0", ("RUNNING", "Train finished successfully.")),
        ("pyt_5.2", ("SUCCESS", "Train finished successfully.")),
        ("pyt_5.5", ("RUNNING", "Train finished successfully.")),
        ("pyt_6", ("RUNNING", "Train finished successfully.")),
        ("pyt_7", ("RUNNING", "Train finished successfully.")),
        ("deploy_5.5", ("RUNNING", "Gen_trt_engine finished successfully.")),
        ("deploy_7", ("SUCCESS", "Gen_trt_engine finished successfully.")),
        ("data_services", ("RUNNING", "Convert finished successfully.")),
    ],
)
def test_a_good_run(kind: str, last: tuple[str, str], run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    ran = run_tao(kind, command(kind, tmp_path))
    assert (ran.code, ran.footer, ran.last) == (0, "PASS", last)


def test_the_first_epoch_may_take_longer_than_the_others(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    ran = run_tao("tf1", command("tf1", tmp_path), FAKE_EPOCH_S="0.4,0", FAKE_EPOCHS="3")
    assert re.findall(r"- 0s (\d+)ms/step", ran.text) == ["100", "0", "0"]


@pytest.mark.parametrize("kind", ["tf1", "tf2_6.0", "pyt_7"])
def test_a_training_waits_at_its_gate(kind: str, run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    argv, go = command(kind, tmp_path), tmp_path / "results" / "go"
    waits = tmp_path / "results" / "seen.json"
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(run_tao, kind, argv, FAKE_GATE="1", FAKE_EPOCHS="2")
        wait_for(waits)
        time.sleep(0.3)
        was_running = running.running()
        go.touch()
        ran = running.result()
    assert (was_running, ran.code, ran.footer) == (True, 0, "PASS")


@pytest.mark.parametrize(
    ("kind", "code", "last"),
    [
        ("tf1", 255, ("FAILURE", "'image_id'")),
        ("tf2_5.0", 255, ("FAILURE", "'image_id'")),
        ("tf2_6.0", 0, ("FAILURE", "'image_id'")),
        ("pyt_5.2", 1, ("FAILURE", "'image_id'")),
        ("pyt_5.5", 0, ("FAILURE", "'image_id'")),
        ("pyt_6", 1, ("RUNNING", "Train metrics generated.")),
        ("pyt_7", 1, ("RUNNING", "Train metrics generated.")),
        ("deploy_5.5", 0, ("FAILURE", "'image_id'")),
        ("deploy_7", 1, ("RUNNING", "Gen_trt_engine results will be saved at: {results}/gen_trt_engine")),
        ("data_services", 0, ("STARTED", "Starting annotations convert.")),
    ],
)
def test_a_traceback(
    kind: str, code: int, last: tuple[str, str], run_tao: Callable[..., Ran], tmp_path: Path
) -> None:
    ran = run_tao(kind, command(kind, tmp_path), FAKE_FAIL="traceback")
    status, message = last
    assert (ran.code, ran.footer, ran.last) == (
        code,
        "FAIL",
        (status, message.format(results=tmp_path / "results")),
    )
    assert "KeyError: 'image_id'" in ran.text


@pytest.mark.parametrize(
    ("fail", "kind", "code", "footer", "last", "words"),
    [
        ("exit0_fail_footer", "pyt_7", 0, "FAIL", ("RUNNING", "Train metrics generated."), "RuntimeError"),
        ("silent_exit0_pyt55", "pyt_6", 0, None, ("RUNNING", "Train metrics generated."), "RuntimeError"),
        ("exit0_interrupted", "tf1", 0, "PASS", ("FAILURE", "Training was interrupted"), ""),
        ("exit0_interrupted", "pyt_7", 0, "PASS", ("FAILURE", "User/System interruption: Ctrl-C"), ""),
        ("invalid_key", "tf1", 0, "PASS", ("FAILURE", "Training was interrupted"), "Invalid decryption"),
        (
            "spec_validation",
            "tf1",
            0,
            "PASS",
            ("FAILURE", "Training was interrupted"),
            "Spec file validation failed.",
        ),
        ("spec_validation", "pyt_7", 1, "FAIL", None, "could not be converted to Integer"),
        ("hydra_unknown_key", "pyt_7", 1, "FAIL", None, "full_key: train.num_epoch"),
        ("hydra_unknown_key", "tf2_6.0", 0, "FAIL", None, "full_key: train.num_epoch"),
        (
            "oom_runtimeerror",
            "pyt_7",
            1,
            "FAIL",
            ("RUNNING", "Train metrics generated."),
            "CUDA out of memory",
        ),
        ("oom_runtimeerror", "tf1", 255, "FAIL", ..., "Ran out of GPU memory"),
        ("nan_pass", "pyt_7", 0, "PASS", ("RUNNING", "Train finished successfully."), ""),
        ("nan_pass", "tf1", 0, "PASS", ("SUCCESS", "Training finished successfully."), "Invalid loss"),
        ("no_artifact", "pyt_7", 0, "PASS", ("RUNNING", "Train finished successfully."), ""),
        ("early_stop", "tf1", 0, "PASS", ("SUCCESS", "Training finished successfully."), "Epoch 1/2"),
        (
            "failure_line_but_continues",
            "pyt_7",
            0,
            "PASS",
            ("RUNNING", "Train finished successfully."),
            "[ERROR]",
        ),
        ("killed_137", "pyt_7", -signal.SIGKILL, None, ("RUNNING", "Train metrics generated."), ""),
        ("oom_killed", "pyt_7", 1, "FAIL", ("RUNNING", "Train metrics generated."), ""),
    ],
)
def test_a_way_to_fail(
    fail: str,
    kind: str,
    code: int,
    footer: str | None,
    last: Any,
    words: str,
    run_tao: Callable[..., Ran],
    tmp_path: Path,
) -> None:
    ran = run_tao(kind, command(kind, tmp_path), FAKE_FAIL=fail, FAKE_MEMORY_MIB="16")
    assert (ran.code, ran.footer) == (code, footer)
    assert last is ... or ran.last == last
    assert words in ran.text


def test_missing_file_is_recorded_as_the_generation_does(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    text = "[Errno 2] No such file or directory: '/workspace/projects/missing/annotations.json'"
    old = run_tao("tf1", command("tf1", tmp_path), FAKE_FAIL="missing_file")
    new = run_tao("pyt_7", command("pyt_7", tmp_path), "results/train/status.json", FAKE_FAIL="missing_file")
    assert (old.code, old.last) == (255, ("FAILURE", text))
    assert (new.code, new.last) == (1, ("FAILURE", f"File system error: {text}"))


def test_failure_line_of_7_is_not_the_end(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    ran = run_tao("pyt_7", command("pyt_7", tmp_path), FAKE_FAIL="failure_line_but_continues")
    assert "FAILURE" in [record["status"] for record in ran.records]
    assert ran.last == ("RUNNING", "Train finished successfully.")


def test_nan_is_written_bare(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    run_tao("pyt_7", command("pyt_7", tmp_path), FAKE_FAIL="nan_pass")
    assert '"train_loss": NaN' in (tmp_path / "results" / "train" / "status.json").read_text()


def test_no_artifact_leaves_none(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    run_tao("pyt_7", command("pyt_7", tmp_path), FAKE_FAIL="no_artifact")
    assert not list((tmp_path / "results").rglob("*.pth"))


@pytest.mark.parametrize(
    ("kind", "epochs"),
    [
        ("pyt_5.2", [(1, 2), (2, 2)]),
        ("pyt_5.5", [(1, 2), (2, 2)]),
        ("pyt_6", [(0, 1), (1, 1)]),
        ("pyt_7", [(0, 1), (1, 1)]),
        ("tf1", [(1, 2), (2, 2)]),
        ("tf2_5.0", [(1, 2), (2, 2)]),
    ],
)
def test_epochs_are_numbered_as_the_generation_does(
    kind: str, epochs: list[tuple[int, int]], run_tao: Callable[..., Ran], tmp_path: Path
) -> None:
    ran = run_tao(kind, command(kind, tmp_path))
    assert [(record["epoch"], record["max_epoch"]) for record in ran.records if "epoch" in record] == epochs


def test_detectnet_counts_epochs_completed_and_never_reaches_the_last(
    run_tao: Callable[..., Ran], tmp_path: Path
) -> None:
    (tmp_path / "s.txt").write_text("training_config { num_epochs: 3 }")
    ran = run_tao("tf1", ["detectnet_v2", "train", "-e", "s.txt", "-r", "results"])
    assert [(record["epoch"], record["max_epoch"]) for record in ran.records if "epoch" in record] == [
        (0, 3),
        (1, 3),
        (2, 3),
    ]
    assert ran.last == ("SUCCESS", "DetectNet_v2 training job complete.")
    assert "Mean average_precision (in %): 75.0000" in ran.text


@pytest.mark.parametrize(
    ("kind", "argv", "names"),
    [
        ("pyt_5.2", ["dino"], ["dino_model_epoch=000.pth", "dino_model_epoch=001.pth"]),
        ("pyt_5.5", ["dino"], ["dino_model_latest.pth", "model_epoch_000.pth", "model_epoch_001.pth"]),
        (
            "pyt_7",
            ["dino"],
            ["dino_model_latest.pth", "model_epoch_000_step_00004.pth", "model_epoch_001_step_00008.pth"],
        ),
        ("pyt_7", ["rtdetr"], ["model_epoch_000.pth", "model_epoch_001.pth", "rtdetr_model_latest.pth"]),
        ("tf2_6.0", ["efficientdet_tf2"], ["efficientdet_001.tlt", "efficientdet_002.tlt"]),
    ],
)
def test_checkpoints_of_yaml_networks(
    kind: str, argv: list[str], names: list[str], run_tao: Callable[..., Ran], tmp_path: Path
) -> None:
    command(kind, tmp_path)
    assert run_tao(kind, [*argv, "train", "-e", str(tmp_path / "train.yaml")]).code == 0
    written = sorted(
        path.name for path in (tmp_path / "results" / "train").iterdir() if path.suffix in (".pth", ".tlt")
    )
    assert written == names


@pytest.mark.parametrize(
    ("task", "spec", "names"),
    [
        ("ssd", "ssd_config { arch: 'mobilenet_v2' }", ["weights/ssd_mobilenet_v2_epoch_001.hdf5"]),
        ("ssd", SSD_SPEC, ["weights/dssd_resnet18_epoch_001.hdf5"]),
        ("retinanet", "arch: 'resnet' n_layers: 50", ["weights/retinanet_resnet50_epoch_001.hdf5"]),
        ("yolo_v4", "arch: 'resnet' nlayers: 18", ["weights/yolov4_resnet18_epoch_001.hdf5"]),
        ("classification_tf1", "arch: 'resnet' n_layers: 18", ["weights/resnet_001.hdf5"]),
        ("faster_rcnn", "arch: 'resnet:18'", ["frcnn_resnet_18.epoch_1.hdf5"]),
        ("lprnet", "", ["weights/lprnet_epoch-001.hdf5"]),
        (
            "detectnet_v2",
            "",
            ["experiment_spec.txt", "model.epoch-1.ckzip", "model.epoch-1.hdf5", "weights/model.hdf5"],
        ),
        ("unet", "", ["model.epoch-1.tlt", "weights/model.tlt"]),
        ("mask_rcnn", "num_epochs: 1", ["model.epoch-1.tlt"]),
    ],
)
def test_checkpoints_of_tf1(
    task: str, spec: str, names: list[str], run_tao: Callable[..., Ran], tmp_path: Path
) -> None:
    (tmp_path / "s.txt").write_text(spec)
    flag = "-d" if task == "mask_rcnn" else "-r"
    assert run_tao("tf1", [task, "train", "-e", "s.txt", flag, "results"], FAKE_EPOCHS="1").code == 0
    results = tmp_path / "results"
    assert sorted(
        str(path.relative_to(results))
        for path in results.rglob("*")
        if path.name not in ("status.json", "seen.json", "weights")
    ) == sorted(names)


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["-e", "train.txt", "train"], 1, "KeyError: None"),
        (
            ["train", "-e", "train.txt", "-r", "r", "--gpus", "2", "--gpu_index", "0,1"],
            2,
            "invalid int value: '0,1'",
        ),
        (["train", "-e", "train.txt"], 2, "required: -r/--results_dir"),
        (["fly"], 2, "invalid choice: 'fly'"),
        (["train", "evaluate", "-e", "train.txt", "-r", "r"], 2, "unrecognized arguments: evaluate"),
        (["train", "-e", "train.txt", "-r", "r", "--gpus", "2", "--gpu_index", "0"], 1, "AssertionError"),
        (["train", "-e", "train.txt", "-r", "r", "--gpus", "3"], 1, "AssertionError"),
        (["export", "-m", "m", "--gpus", "2"], 1, "AssertionError"),
        (["train", "-e", "train.txt", "-r", "r", "-k", "it's"], 1, "No closing quotation"),
        (["train", "-e", "train.txt", "-r", "two words"], 255, "unrecognized arguments: words"),
        (["train", "-e", "absent.txt", "-r", "r"], 255, "FileNotFoundError"),
    ],
)
def test_what_tf1_refuses(
    argv: list[str], code: int, words: str, run_tao: Callable[..., Ran], tmp_path: Path
) -> None:
    (tmp_path / "train.txt").write_text(SSD_SPEC)
    ran = run_tao("tf1", ["dssd", *argv])
    assert (ran.code, words in ran.text) == (code, True), ran.text


def test_tf1_without_a_gpu_fails_for_every_action(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    ran = run_tao("tf1", ["dssd", "dataset_convert", "-d", "s", "-o", "o"], gpus=0)
    assert (ran.code, "CalledProcessError" in ran.text) == (1, True)


def test_tf1_hands_its_words_to_a_shell(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(SSD_SPEC)
    argv = [
        "dssd",
        "train",
        "-e",
        "train.txt",
        "-r",
        "r",
        "-k",
        "$WORD",
        "--gpus",
        "2",
        "--gpu_index",
        "1",
        "0",
    ]
    run_tao("tf1", argv, WORD="expanded")
    seen = json.loads((tmp_path / "r" / "seen.json").read_text())
    assert seen["argv"] == argv[1:]
    assert (seen["job_argv"][-4:], seen["environment"]["CUDA_VISIBLE_DEVICES"]) == (
        ["--key", "expanded", "--initial_epoch", "1"],
        "0,1",
    )


def test_tf1_log_file_takes_the_output(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    ran = run_tao("tf1", [*command("tf1", tmp_path), "--log_file", str(tmp_path / "logs" / "a.log")])
    assert "Epoch 1/2" not in ran.text
    assert "Epoch 1/2" in (tmp_path / "logs" / "a.log").read_text()


@pytest.mark.parametrize(
    ("kind", "words", "code", "text"),
    [
        ("pyt_7", ["-k", "key"], 1, "unrecognized arguments: -k key"),
        ("pyt_5.5", ["--gpus", "2"], 0, "unrecognized arguments: --gpus 2"),
        ("pyt_7", ["train.num_epoch=3"], 1, "full_key: train.num_epoch"),
        ("pyt_7", ["gpu_ids=[0, 1]"], 1, "unrecognized arguments: 1]"),
        ("pyt_7", ["train.num_gpus=3"], 1, "You requested gpu: [0, 1, 2]"),
        ("deploy_7", ["results_dir=it's"], 1, "No closing quotation"),
    ],
)
def test_what_hydra_refuses(
    kind: str, words: list[str], code: int, text: str, run_tao: Callable[..., Ran], tmp_path: Path
) -> None:
    ran = run_tao(kind, [*command(kind, tmp_path), *words])
    assert (ran.code, text in ran.text) == (code, True), ran.text


@pytest.mark.parametrize("kind", ["pyt_7", "deploy_7", "data_services", "tf2_6.0"])
def test_a_missing_spec_is_exit_1(kind: str, run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    ran = run_tao(kind, [*command(kind, tmp_path)[:3], "absent.yaml"])
    assert (ran.code, ran.footer) == (1, None)


def test_5_2_translates_its_flags(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    argv = [*command("pyt_5.2", tmp_path), "-r", str(tmp_path / "other"), "-k", "nvidia_tlt", "--gpus", "2"]
    assert run_tao("pyt_5.2", argv).code == 0
    seen = json.loads((tmp_path / "other" / "seen.json").read_text())
    assert seen["job_argv"][2:] == [
        f"results_dir={tmp_path / 'other'}",
        "encryption_key=nvidia_tlt",
        "train.num_gpus=2",
    ]
    assert seen["environment"]["TAO_VISIBLE_DEVICES"] == "0,1"


def test_newer_entrypoints_print_bracketed_lines_with_cr_and_without_lf(
    run_tao: Callable[..., Ran], tmp_path: Path
) -> None:
    ran = run_tao("pyt_6", command("pyt_6", tmp_path))
    bars = [part for part in ran.text.split("\r") if part.startswith("Epoch ")]
    assert len(bars) == 8
    assert not [bar for bar in bars[:3] + bars[4:7] if "\n" in bar]


def test_a_second_training_goes_on_from_the_latest(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    argv = command("pyt_7", tmp_path)
    run_tao("pyt_7", argv)
    ran = run_tao("pyt_7", [*argv, "train.num_epochs=3"])
    resumed = [record for record in ran.records if record.get("message", "").startswith("Resuming training")]
    assert len(resumed) == 1
    assert [record["epoch"] for record in ran.records if "epoch" in record] == [0, 1, 2]


def test_export_does_not_write_over_a_file(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "m.hdf5").write_text("")
    argv = ["dssd", "export", "-m", "m.hdf5", "-o", "out.etlt"]
    first, second = run_tao("tf1", argv), run_tao("tf1", argv)
    assert (first.code, (tmp_path / "out.etlt.onnx").exists()) == (0, True)
    assert (second.code, "already exists" in second.text) == (255, True)


def test_prune_without_suffix_fails_after_saving(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "m.hdf5").write_text("")
    ran = run_tao("tf1", ["dssd", "prune", "-m", "m.hdf5", "-o", "pruned/m"])
    assert (ran.code, (tmp_path / "pruned" / "m.hdf5").exists()) == (255, True)


def test_dataset_convert_truncates_its_status_and_writes_two_folds(
    run_tao: Callable[..., Ran], tmp_path: Path
) -> None:
    (tmp_path / "convert.txt").write_text("kitti_config { num_shards: 2 }")
    argv = ["yolo_v4", "dataset_convert", "-d", "convert.txt", "-o", "tf/kitti", "-r", "results"]
    run_tao("tf1", argv)
    ran = run_tao("tf1", argv)
    assert [record["status"] for record in ran.records] == ["STARTED", "SUCCESS"]
    assert len(list((tmp_path / "tf").glob("kitti-fold-00[01]-of-002-shard-0000[01]-of-00002"))) == 4


def test_an_unknown_failure_is_an_error_of_the_test(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    ran = run_tao("pyt_7", command("pyt_7", tmp_path), FAKE_FAIL="nonsense")
    assert (ran.code, "FAKE_FAIL=nonsense is none of" in ran.text) == (1, True)


def test_a_spec_comment_steers_too(run_tao: Callable[..., Ran], tmp_path: Path) -> None:
    argv = command("pyt_7", tmp_path)
    with (tmp_path / "train.yaml").open("a") as spec:
        spec.write("# FAKE_EPOCHS=1 FAKE_FAIL=oom_runtimeerror\n")
    assert "CUDA out of memory" in run_tao("pyt_7", argv).text


@dataclass(frozen=True)
class Box:
    """A container of the stand-in with a results folder, kept until it is asked about."""

    engine: Engine
    folder: Path

    def run(self, image: str, argv: list[str], *options: str, **steering: str) -> tuple[str, str]:
        """Runs to the end and gives the name and what was printed."""
        variables = [word for name, value in steering.items() for word in ("-e", f"{name}={value}")]
        name = images.checked(
            self.engine,
            "create",
            "--init",
            *options,
            *variables,
            "-v",
            f"{self.folder}:{self.folder}",
            image,
            *argv,
        )
        done = self.engine.docker("start", "-a", name)
        return name, done.stdout + done.stderr

    def state(self, name: str) -> Mapping[str, Any]:
        found: dict[str, Any] = json.loads(
            images.checked(self.engine, "inspect", "--format", "{{json .State}}", name)
        )
        return found


@pytest.fixture
def box(engine: Engine, tmp_path: Path) -> Box:
    tmp_path.chmod(0o777)
    return Box(engine, tmp_path)


def test_a_container_sees_what_it_was_given(box: Box, tao_image: Callable[..., str]) -> None:
    argv = command("pyt_7", box.folder)
    options = ["--gpus", '"device=1,3"', "--user", "1234:1235", "--group-add", "44", "--shm-size", "128m"]
    name, printed = box.run(tao_image("pyt7"), [*argv, "train.num_gpus=2"], *options, HOME="/tmp")
    assert (box.state(name)["ExitCode"], "Execution status: PASS" in printed) == (0, True)
    seen = json.loads((box.folder / "results" / "seen.json").read_text())
    picked = ("uid", "gid", "groups", "gpus", "argv", "generation", "shm_bytes", "home_is_writable", "is_tty")
    assert {key: seen[key] for key in picked} == {
        "uid": 1234,
        "gid": 1235,
        "groups": [44, 1235],
        "gpus": ["1", "3"],
        "argv": [*argv[1:], "train.num_gpus=2"],
        "generation": "pyt_7",
        "shm_bytes": 128 << 20,
        "home_is_writable": True,
        "is_tty": False,
    }
    assert seen["environment"]["TAO_VISIBLE_DEVICES"] == "0,1"
    assert (box.folder / "results" / "train" / "status.json").stat().st_uid == 1234


def test_tf1_in_a_container_goes_through_its_shell(box: Box, tao_image: Callable[..., str]) -> None:
    argv = [*command("tf1", box.folder), "--gpus", "2", "--gpu_index", "0", "1"]
    name, printed = box.run(tao_image("tf1"), argv, "--gpus", '"device=2,5"')
    assert (box.state(name)["ExitCode"], printed.count("Epoch 1/2")) == (0, 1), printed


def test_without_a_gpu_request_there_is_no_gpu(box: Box, tao_image: Callable[..., str]) -> None:
    name, printed = box.run(tao_image("pyt7"), command("pyt_7", box.folder))
    assert (box.state(name)["ExitCode"], "No supported gpu backend found!" in printed) == (1, True)


def test_out_of_memory_is_the_kernels(box: Box, tao_image: Callable[..., str]) -> None:
    options = ["--gpus", "all", "--memory", "64m", "--memory-swap", "64m"]
    name, _ = box.run(tao_image("pyt7"), command("pyt_7", box.folder), *options, FAKE_FAIL="oom_killed")
    state = box.state(name)
    assert (state["OOMKilled"], state["ExitCode"]) == (True, 1)


def test_too_little_shared_memory_is_a_bus_error(box: Box, tao_image: Callable[..., str]) -> None:
    name, printed = box.run(
        tao_image("pyt7"), command("pyt_7", box.folder), "--gpus", "all", FAKE_FAIL="shm_sigbus_135"
    )
    assert (box.state(name)["ExitCode"], "insufficient shared memory" in printed) == (135, True)


def test_killed_is_137_with_and_without_init(box: Box, tao_image: Callable[..., str]) -> None:
    for option in ("--init=true", "--init=false"):
        argv = command("pyt_7", box.folder)
        name, _ = box.run(
            tao_image("pyt7"), argv, option, "--gpus", "all", FAKE_FAIL="killed_137", FAKE_EPOCHS="9"
        )
        assert box.state(name)["ExitCode"] == 137


@pytest.mark.parametrize(("fail", "least_s"), [("hang", 0.0), ("slow_stop", 1.5)])
def test_stop(fail: str, least_s: float, box: Box, tao_image: Callable[..., str]) -> None:
    argv = command("pyt_7", box.folder)
    steering = {"FAKE_FAIL": fail, "FAKE_STOP_S": "1.5", "FAKE_EPOCH_S": "0" if fail == "hang" else "60"}
    variables = [word for name, value in steering.items() for word in ("-e", f"{name}={value}")]
    options = ["--init", "--gpus", "all", "-v", f"{box.folder}:{box.folder}", *variables]
    name = images.checked(box.engine, "run", "-d", *options, tao_image("pyt7"), *argv)
    wait_for(box.folder / "results" / "train" / "status.json")
    began = time.monotonic()
    images.checked(box.engine, "stop", "-t", "60", name)
    assert (box.state(name)["ExitCode"], time.monotonic() - began >= least_s) == (143, True)


def test_every_generation_has_an_image_that_knows_its_name(
    engine: Engine, tao_image: Callable[..., str]
) -> None:
    wanted = "echo $TAO_FAKE_GENERATION"
    named = [
        images.checked(engine, "run", "--rm", "--entrypoint", "sh", tao_image(kind), "-c", wanted)
        for kind in GENERATIONS
    ]
    assert named == list(GENERATIONS)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 100
    while not path.exists():
        assert time.monotonic() < deadline, f"'{path}' did not appear"
        time.sleep(0.05)
