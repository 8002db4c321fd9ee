"""The whole way from the command line to a finished run, in real containers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from command_line import CALLER, Cli, files_holding, wait_for

SPEC = """\
results_dir: $results_dir
train:
  num_gpus: $num_gpus
  gpu_ids: $gpu_ids
  num_epochs: 2
  validation_interval: 1
  checkpoint_interval: 1
evaluate:
  checkpoint: x
export:
  onnx_file: $results_dir/export/model.onnx
dataset:
  train_data_sources:
    - image_dir: $dataset_raw/train
"""
ANNOTATIONS = """\
results_dir: $results_dir
data: {input_format: KITTI, output_format: COCO}
kitti: {image_dir: $dataset_raw/images, label_dir: $dataset_raw/labels}
"""
SSD = 'dssd_config { arch: "resnet" nlayers: 18 }\ntraining_config { num_epochs: 2 checkpoint_interval: 1 }\n'
KEY = "nvidia_secret_key_17"
TOKEN = "wandb_secret_token_18"


@pytest.fixture
def workspace(
    workspace_factory: Callable[..., Path], docker_cli: Cli, own_gpus: range
) -> Callable[..., Path]:
    """``workspace({"e1": {…}}, specs={…})``: experiments of dino unless they say otherwise; the caller owns it all.

    GPUs have numbers of this test, GPU 0 is the first one.
    """

    def make(
        experiments: Mapping[str, Mapping[str, Any]],
        image: str,
        specs: Mapping[str, str] | None = None,
        **parts: Any,
    ) -> Path:
        filled = {
            name: {"head": "dino", "dataset": "coco", "image": image, "release": "7.0.1", "gpus": 1, **body}
            for name, body in experiments.items()
        }
        for body in filled.values():
            body["gpu_indices"] = [own_gpus[index] for index in body.get("gpu_indices", [0])]
        root = workspace_factory(
            {"experiments": filled},
            specs=specs or {f"{name}/train.yaml": SPEC for name in experiments},
            data={"coco/annotations.json": "{}", "coco/train/file": "x"},
            **parts,
        )
        if docker_cli.prefix:
            for path in [root, *root.rglob("*")]:
                os.chown(path, CALLER, CALLER)
        return root

    return make


def runs_of(root: Path) -> list[Path]:
    return sorted((root / ".taorunner" / "runs").iterdir())


def record(root: Path) -> dict[str, Any]:
    (directory,) = runs_of(root)
    loaded: dict[str, Any] = json.loads((directory / "record.json").read_text())
    return loaded


def seen(root: Path, experiment: str, project: str = "example_01") -> dict[str, Any]:
    path = root / "projects" / project / "models" / experiment / "seen.json"
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def containers(engine: Any, root: Path) -> str:
    """Names of this workspace's containers, finished ones too."""
    answer = engine.docker(
        "ps", "-a", "--format", "{{.Names}}", "--filter", f"label=com.taorunner.workspace={root}"
    )
    shown: str = answer.stdout
    return shown


def assert_gone(engine: Any, root: Path) -> None:
    """A container is removed when everything is on disk, a moment after the run is reported as ended."""
    wait_for(lambda: containers(engine, root) == "")


def test_two_experiments_in_real_containers(
    docker_cli: Cli,
    workspace: Callable[..., Path],
    tao_image: Callable[..., str],
    engine: Any,
    own_gpus: range,
) -> None:
    image = tao_image("pyt_7")
    root = workspace(
        {
            "e1": {"gpus": 1, "gpu_indices": [3]},
            "e2": {"gpus": 2, "gpu_indices": [5, 4], "model_key": KEY, "env": {"WANDB_TOKEN": TOKEN}},
        },
        image,
    )
    done = docker_cli("-p", "example_01", "train", "e1", "e2", "--parallel", "2", cwd=root)

    assert done.code == 0, done.err
    for name, host, dense in (
        ("e1", f"{own_gpus[3]}", [0]),
        ("e2", f"{own_gpus[5]},{own_gpus[4]}", [0, 1]),
    ):
        inside = seen(root, name)
        assert inside["environment"]["NVIDIA_VISIBLE_DEVICES"] == host
        assert f"train.num_gpus={len(dense)}" in inside["argv"]
        assert f"train.gpu_ids={json.dumps(dense).replace(' ', '')}" in inside["argv"]
        assert inside["spec"]["text"].count(f"gpu_ids: {dense}") == 1
        assert inside["home_is_writable"]
    assert f"encryption_key: {KEY}" in seen(root, "e2")["spec"]["text"]  # the process needs it
    assert KEY not in repr(seen(root, "e2")["argv"])
    assert seen(root, "e2")["environment"]["WANDB_TOKEN"] == TOKEN
    assert len(re.findall(r"e1 train \w{6}: epoch 2/2", done.out)) == 1
    assert done.out.count("succeeded after") == 2

    assert_gone(engine, root)
    for directory in runs_of(root):
        names = {path.name for path in directory.iterdir()}
        records = {"record.json", "plan.json", "events.jsonl", "history.jsonl", "run.lock"}
        assert names == {*records, "console.log", "request.txt", "input", "outputs.json", "console.times"}
        assert "Execution status: PASS" in (directory / "console.log").read_text()
    assert files_holding(root / ".taorunner", KEY) == files_holding(root / ".taorunner", TOKEN) == []
    if docker_cli.prefix:
        owners = {path.lstat().st_uid for path in root.rglob("*")}
        assert owners == {CALLER}


def process_list() -> str:
    """Every command line of this machine, those in containers too: what anybody here can see."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            lines.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return "\n".join(lines)


def test_a_secret_is_nowhere_while_the_container_runs(
    docker_cli: Cli,
    workspace: Callable[..., Path],
    tao_image: Callable[..., str],
    engine: Any,
    tmp_path: Path,
) -> None:
    key_file = tmp_path / "home" / "key.txt"
    key_file.write_text("file_secret_key_19\n")
    if docker_cli.prefix:
        os.chown(key_file, CALLER, CALLER)
    root = workspace(
        {
            "literal": {
                "gpu_indices": [0],
                "model_key": KEY,
                "env": {"FAKE_FAIL": "hang", "WANDB_TOKEN": TOKEN},
            },
            "by_file": {"gpu_indices": [1], "model_key": f"file:{key_file}", "env": {"FAKE_FAIL": "hang"}},
            "by_env": {"gpu_indices": [2], "model_key": "env:MY_TAO_KEY", "env": {"FAKE_FAIL": "hang"}},
        },
        tao_image("pyt_7"),
    )
    names = ["literal", "by_file", "by_env"]
    started = docker_cli(
        "train", *names, "--detach", "--parallel", "3", cwd=root, env={"MY_TAO_KEY": "env_secret_key_20"}
    )
    assert started.code == 0, started.err
    wait_for(lambda: all((root / f"projects/example_01/models/{name}/seen.json").exists() for name in names))

    ids = containers(engine, root).split()
    inspected = engine.docker("inspect", *ids).stdout
    secrets = {"literal": KEY, "by_file": "file_secret_key_19", "by_env": "env_secret_key_20"}
    for name, secret in secrets.items():
        assert f"encryption_key: {secret}" in seen(root, name)["spec"]["text"]
        assert secret not in inspected
        assert secret not in process_list()
        for path in files_holding(root / ".taorunner", secret):
            assert (root / ".taorunner" / path).stat().st_mode & 0o077 == 0, path
            assert "/input/" in path or "/secrets" in path, path
    assert TOKEN not in inspected and TOKEN not in process_list()

    stopped = docker_cli("stop", *started.out.split(), cwd=root)
    assert stopped.code == 0, stopped.err
    assert stopped.out.count("  stopped  ") == 3
    for secret in (*secrets.values(), TOKEN):
        assert files_holding(root / ".taorunner", secret) == []


GENERATIONS = [
    ("tf1", "dssd", "5.0.0", "train", {"train.txt": SSD}),
    ("tf2_5.0", "efficientdet_tf2", "5.0.0", "train", {"train.yaml": SPEC}),
    ("pyt_5.2", "dino", "5.2.0", "train", {"train.yaml": SPEC.replace("  gpu_ids: $gpu_ids\n", "")}),
    ("pyt_5.5", "dino", "5.5.0", "train", {"train.yaml": SPEC}),
    ("pyt_7", "rtdetr", "7.0.1", "train", {"train.yaml": SPEC}),
    ("deploy_7", "dino", "7.0.1", "gen_trt_engine", {"gen_trt_engine.yaml": SPEC}),
    ("data_services", "annotations", "7.0.1", "convert", {"convert.yaml": ANNOTATIONS}),
]


@pytest.mark.parametrize(
    ("kind", "head", "release", "action", "specs"), GENERATIONS, ids=[row[0] for row in GENERATIONS]
)
def test_every_generation(
    kind: str, head: str, release: str, action: str, specs: dict[str, str],
    docker_cli: Cli, workspace: Callable[..., Path], tao_image: Callable[..., str], engine: Any,
) -> None:  # fmt: skip
    weights = (
        {"repository": "pretrained", "backbone": "resnet18"} if head in ("dssd", "efficientdet_tf2") else {}
    )
    root = workspace(
        {"e1": {"head": head, "release": release, **weights}},
        tao_image(kind),
        specs={f"e1/{name}": text for name, text in specs.items()},
        repositories={"pretrained/pretrained_vresnet18/resnet_18.hdf5": ""},
        models={"e1/export/model.onnx": "\x08\x07"},
    )
    done = docker_cli("run", action, "e1", "--image", tao_image(kind), "--json", cwd=root)
    assert done.code == 0, done.out + done.err
    assert [event["state"] for event in done.events if event["event"] == "RunFinished"] == ["SUCCEEDED"]
    assert record(root)["state"] == "SUCCEEDED"
    if kind != "data_services":  # which has nowhere to put it
        assert seen(root, "e1")["action"] == action
    assert_gone(engine, root)


FAILURES = [
    ("pyt_5.5", "5.5.0", "traceback", 1, "KeyError"),
    ("pyt_5.5", "5.5.0", "exit0_fail_footer", 1, "NCCL"),
    ("pyt_7", "7.0.1", "no_artifact", 1, "wrote no new file"),
    ("pyt_7", "7.0.1", "oom_runtimeerror", 1, "out of memory"),
    ("pyt_5.5", "5.5.0", "silent_exit0_pyt55", 1, ""),
]


@pytest.mark.parametrize(
    ("kind", "release", "fault", "code", "reason"), FAILURES, ids=[row[2] for row in FAILURES]
)
def test_a_container_that_lies_is_found_out(
    kind: str, release: str, fault: str, code: int, reason: str,
    docker_cli: Cli, workspace: Callable[..., Path], tao_image: Callable[..., str], engine: Any,
) -> None:  # fmt: skip
    root = workspace({"e1": {"release": release, "env": {"FAKE_FAIL": fault}}}, tao_image(kind))
    done = docker_cli("train", "e1", cwd=root)
    assert done.code == code, done.out + done.err
    kept = record(root)
    assert kept["state"] == "FAILED"
    assert reason.lower() in kept["reason"].lower()
    assert kept["reason"] in done.out
    assert "console.log" in done.out
    assert_gone(engine, root)


def test_detach_attach_logs_and_stop(
    docker_cli: Cli, workspace: Callable[..., Path], tao_image: Callable[..., str], engine: Any
) -> None:
    root = workspace({"e1": {"env": {"FAKE_FAIL": "hang"}}}, tao_image("pyt_7"))
    started = docker_cli("train", "e1", "--detach", cwd=root)
    assert started.code == 0
    (run,) = started.out.split()
    assert started.err == ("detached; 1 run goes on. taorunner attach watches, taorunner stop --all ends\n")

    logs = docker_cli.start("logs", "-f", "e1", cwd=root)
    watching = docker_cli.start("attach", "--json", cwd=root)
    wait_for(lambda: "EpochProgress" in (root / ".taorunner/runs" / run / "events.jsonl").read_text())
    assert watching.stdout is not None
    first = watching.stdout.readline()  # it watches
    (shown,) = docker_cli("ps", "--json", cwd=root).json
    assert (shown["id"], shown["state"], shown["epochs"]) == (run, "RUNNING", 2)
    stopped = docker_cli("stop", "e1", cwd=root)
    assert (stopped.code, stopped.out.split()[:2]) == (0, [run[-6:], "stopped"])

    out, _ = logs.communicate(timeout=120)
    assert logs.returncode == 0
    assert b"[TAO Toolkit]" in out
    out, _ = watching.communicate(timeout=120)
    assert watching.returncode == 1
    events = [json.loads(line) for line in (first + out).decode().splitlines()]
    assert [event["state"] for event in events if event["event"] == "RunFinished"] == ["STOPPED"]
    assert_gone(engine, root)
    assert docker_cli("ps", cwd=root).err == "nothing is running\n"
    again = docker_cli("stop", "e1", cwd=root)
    assert (again.code, again.err) == (
        6,
        f'error: run "{run[-6:]}" has already ended\nhint: taorunner ps lists the runs that have not\n',
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_without_a_terminal_stops_gracefully(
    number: int, docker_cli: Cli, workspace: Callable[..., Path], tao_image: Callable[..., str], engine: Any
) -> None:
    root = workspace({"e1": {"env": {"FAKE_FAIL": "hang"}}}, tao_image("pyt_7"))
    process = docker_cli.start("train", "e1", cwd=root)
    wait_for(lambda: (root / "projects/example_01/models/e1/seen.json").exists())
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert record(root)["state"] == "STOPPED"
    assert b"stopped after" in out
    assert_gone(engine, root)


def test_a_second_signal_kills_a_container_that_takes_its_time(
    docker_cli: Cli, workspace: Callable[..., Path], tao_image: Callable[..., str], engine: Any
) -> None:
    late = {"FAKE_FAIL": "slow_stop", "FAKE_STOP_S": "100", "FAKE_EPOCH_S": "30"}
    root = workspace({"e1": {"env": late}}, tao_image("pyt_7"))
    process = docker_cli.start("train", "e1", "--grace", "100", cwd=root)
    wait_for(lambda: (root / "projects/example_01/models/e1/seen.json").exists())
    process.send_signal(signal.SIGINT)
    (folder,) = (root / ".taorunner/runs").iterdir()
    wait_for(lambda: json.loads((folder / "record.json").read_text())["stop_requested_at"] is not None)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert b"interrupted: stopping 1 run\n" in err
    assert record(root)["state"] == "STOPPED"
    assert_gone(engine, root)


def test_the_run_outlives_its_viewer(
    docker_cli: Cli, workspace: Callable[..., Path], tao_image: Callable[..., str], engine: Any
) -> None:
    root = workspace({"e1": {"env": {"FAKE_EPOCH_S": "1"}}}, tao_image("pyt_7"))
    process = docker_cli.start("train", "e1", cwd=root)
    wait_for(lambda: (root / "projects/example_01/models/e1/seen.json").exists())
    process.kill()
    process.communicate(timeout=120)
    attached = docker_cli("attach", cwd=root)
    assert attached.code == 0
    assert re.search(r"e1 train \w{6}: succeeded", attached.out)
    assert record(root)["state"] == "SUCCEEDED"
    assert_gone(engine, root)


def test_overwrite_set_and_extra_arguments(
    docker_cli: Cli, workspace: Callable[..., Path], tao_image: Callable[..., str]
) -> None:
    root = workspace({"e1": {}}, tao_image("pyt_7"))
    models = root / "projects/example_01/models"
    first = docker_cli("train", "e1", "--set", "train.num_epochs=1", "--", "train.optim.lr=0.5", cwd=root)
    assert first.code == 0, first.out + first.err
    assert seen(root, "e1")["argv"][-2:] == ["train.num_epochs=1", "train.optim.lr=0.5"]
    assert "epoch 1/1" in first.out
    refused = docker_cli("train", "e1", cwd=root)
    assert refused.code == 3
    assert "already holds a checkpoint" in refused.err
    assert "--overwrite" in refused.err
    again = docker_cli("train", "e1", "--overwrite", cwd=root)
    assert again.code == 0, again.out + again.err
    aside = [path for path in models.iterdir() if path.name.startswith("e1.")]
    assert len(aside) == 1
    assert sorted(path.name for path in (aside[0] / "train").glob("model_epoch*")) == [
        "model_epoch_000_step_00004.pth"
    ]
    assert f"earlier results set aside as {aside[0].name}" in again.out
    validated = docker_cli("validate", "--strict", "--json", cwd=root)
    assert (validated.code, [item["code"] for item in validated.json]) == (0, ["results-exist"])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--image", "taorunner.invalid/no/such:1"], (4, 5)),
        (["--checkpoint", "nowhere.pth"], (2,)),
        (["--set", "train.no_such_key=1"], (2,)),
    ],
)
def test_a_start_that_is_refused_leaves_earlier_results_in_their_place(
    words: list[str],
    code: tuple[int, ...],
    docker_cli: Cli,
    workspace: Callable[..., Path],
    tao_image: Callable[..., str],
) -> None:
    results = {
        "e1/train/model_epoch_000_step_00004.pth": "weights",
        "e1/dataset_convert/train-00000": "records",
    }
    root = workspace({"e1": {}}, tao_image("pyt_7"), models=results)
    models = root / "projects/example_01/models"
    done = docker_cli("train", "e1", "--overwrite", *words, cwd=root)
    assert done.code in code, done.out + done.err
    assert [path.name for path in models.iterdir()] == ["e1"]
    assert {name: (models / name).read_text() for name in results} == results
    assert "aside" not in done.err.partition("hint:")[0]


def test_results_come_back_when_the_container_cannot_be_started(
    docker_cli: Cli, workspace: Callable[..., Path], tao_image: Callable[..., str]
) -> None:
    """The engine makes the container, and then does not find the user to start it as."""
    results = {"e1/train/model_epoch_000_step_00004.pth": "weights"}
    root = workspace({"e1": {"user": "no-such-user"}}, tao_image("pyt_7"), models=results)
    models = root / "projects/example_01/models"
    done = docker_cli("train", "e1", "--overwrite", cwd=root)
    assert done.code == 5, done.out + done.err
    assert [path.name for path in models.iterdir()] == ["e1"]
    assert {name: (models / name).read_text() for name in results} == results
    assert f"put {models / 'e1'} back: the run never started" in done.out + done.err


def test_training_again_leaves_the_records_where_they_are(
    docker_cli: Cli, workspace: Callable[..., Path], tao_image: Callable[..., str]
) -> None:
    results = {"e1/train/model_epoch_000_step_00004.pth": "old", "e1/dataset_convert/train-00000": "records"}
    root = workspace({"e1": {}}, tao_image("pyt_7"), models=results)
    models = root / "projects/example_01/models"
    done = docker_cli("train", "e1", "--overwrite", "--set", "train.num_epochs=1", cwd=root)
    assert done.code == 0, done.out + done.err
    assert (models / "e1/dataset_convert/train-00000").read_text() == "records"
    (aside,) = models.glob("e1.*")
    assert (aside / "train/model_epoch_000_step_00004.pth").read_text() == "old"
    assert not (aside / "dataset_convert").exists()


def test_one_after_the_other(
    docker_cli: Cli, workspace: Callable[..., Path], tao_image: Callable[..., str]
) -> None:
    root = workspace({"e1": {"gpu_indices": [0]}, "e2": {"gpu_indices": [1]}}, tao_image("pyt_7"))
    done = docker_cli("train", "e1", "e2", "--parallel", "1", "--json", cwd=root)
    assert done.code == 0
    order = [
        (e["event"], e["run"].split("-")[2])
        for e in done.events
        if e["event"] in ("RunStarted", "RunFinished")
    ]
    assert order == [(event, run) for run in ("e1", "e2") for event in ("RunStarted", "RunFinished")]
    assert {event["event"] for event in done.events} >= {
        "RunQueued",
        "LogLine",
        "EpochProgress",
        "MetricReported",
    }


def test_a_dry_run_prints_what_really_runs(
    docker_cli: Cli,
    workspace: Callable[..., Path],
    tao_image: Callable[..., str],
    engine: Any,
    own_gpus: range,
) -> None:
    image = tao_image("pyt_7")
    root = workspace({"e1": {"gpu_indices": [2], "memory": "4G"}}, image)
    done = docker_cli("train", "e1", "--dry-run", "--json", cwd=root)
    assert done.code == 0, done.err
    (shown,) = done.json
    assert list(shown) == [
        "project", "experiment", "action", "backend", "cluster", "image", "argv", "weights", "knobs", "env", "mounts", "gpus", "nodes", "cpus",
        "memory_bytes", "time_s", "user", "spec", "docker_run", "script",
    ]  # fmt: skip
    inside = "/workspace/projects/example_01/models/e1"
    assert (shown["project"], shown["experiment"], shown["action"]) == ("example_01", "e1", "train")
    assert (shown["backend"], shown["image"], shown["gpus"]) == ("docker", image, [f"{own_gpus[2]}"])
    assert shown["argv"] == [
        "dino", "train", "-e", "/taorunner/run/train.yaml", f"results_dir={inside}", "train.num_gpus=1",
        "train.gpu_ids=[0]",
    ]  # fmt: skip
    assert shown["mounts"][0] == {
        "source": str(root / "projects"),
        "target": "/workspace/projects",
        "read_only": True,
    }
    assert Path(shown["spec"]).read_text().startswith(f"results_dir: {inside}\n")
    assert not (root / ".taorunner/runs").exists()
    assert not (root / "projects/example_01/models/e1").exists()

    environment = {**docker_cli.environment(), **engine.environment()}
    pasted = subprocess.run(
        [*docker_cli.prefix, "sh", "-c", shown["docker_run"]], env=environment, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert pasted.returncode == 0, pasted.stderr
    assert seen(root, "e1")["environment"]["NVIDIA_VISIBLE_DEVICES"] == f"{own_gpus[2]}"
    assert (
        docker_cli("train", "e1", "--dry-run", cwd=root, env={"COLUMNS": "40"}).code == 3
    )  # there are results now


def test_a_dry_run_masks_secrets(
    docker_cli: Cli, workspace: Callable[..., Path], tao_image: Callable[..., str]
) -> None:
    root = workspace({"e1": {"model_key": KEY, "env": {"WANDB_TOKEN": TOKEN}}}, tao_image("pyt_7"))
    for done in (
        docker_cli("train", "e1", "--dry-run", cwd=root),
        docker_cli("train", "e1", "--dry-run", "--json", cwd=root),
    ):
        assert done.code == 0, done.err
        assert KEY not in done.out + done.err
        assert TOKEN not in done.out + done.err
    assert 'encryption_key: "***"' in Path(done.json[0]["spec"]).read_text()
    assert done.json[0]["argv"][3] == "/taorunner/run/secrets/spec/train.yaml"
    assert files_holding(root / ".taorunner", KEY) == []


def test_the_engine_says_no(docker_cli: Cli, workspace: Callable[..., Path], registry: Any) -> None:
    root = workspace({"e1": {}}, "127.0.0.1:1/nvidia/tao:1")
    unreachable = docker_cli("train", "e1", cwd=root)
    assert unreachable.code in (4, 5), unreachable.out
    assert "127.0.0.1:1" in unreachable.out
    unknown = docker_cli("train", "e1", "--image", f"{registry.address}/nvidia/nothing:1", cwd=root)
    assert unknown.code == 4, unknown.out
    assert "docker login" in unknown.out
    config = registry.credentials(docker_cli.home / "logged-in")
    missing = docker_cli(
        "train",
        "e1",
        "--image",
        f"{registry.address}/nvidia/nothing:1",
        cwd=root,
        env={"DOCKER_CONFIG": str(config)},
    )
    assert missing.code == 5, missing.out
    assert "not" in missing.out
    refused = docker_cli("train", "e1", cwd=root, env={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert (refused.code, refused.out) == (4, ""), refused.err
    assert "/nowhere/docker.sock" in refused.err
