"""The two READMEs that people come from, typed word by word from end to end: that of tao-runner and that of TAO's
PyTorch backend. Each line ends where its reader wants to be, or says which command it is today; that one is typed too.

Source: jhoogstraat/tao-runner b28ea41 README.md; NVIDIA/tao_pytorch_backend README.md. Only paths of the host differ.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from command_line import Cli, Done
from ngc_server import FakeNgc, noise
from source_datasets import make_source

ORIGINAL = (sys.executable, "-m", "tao-runner")
EXPERIMENTS = """\
# This section contains tao-specific configurations.
tao_config:
  gpus: 1
  gpu_indices: [1]
experiments:
  dssd_resnet18_01:
    head: dssd
    backbone: resnet18
    repository: pretrained_object_detection
    model_key: secret_key
    dataset: kitti_detection/full
    export_model: dssd_resnet18_epoch_080
    export_type: fp16
"""
"""The example of the README, which trains on the subset ``full``."""


class Walk:
    """A checkout of the original with a project, images and labels, in which lines are typed one after the other."""

    def __init__(self, cli: Cli, env: Mapping[str, str]) -> None:
        self.cli, self.env = cli, {**env, "FAKE_EPOCHS": "80"}

    def types(self, line: str, program: tuple[str, ...] = ORIGINAL) -> Done:
        return self.cli(*shlex.split(line), program=program, env=self.env, timeout_s=180)

    def is_told(self, line: str) -> str:
        """The command that the line is today."""
        done = self.types(line)
        assert done.code == 2, done
        hints = [one for one in done.err.splitlines() if one.strip().startswith("hint: ")]
        assert hints, done.err
        return hints[0].strip().removeprefix("hint: ").partition('" is a project: ')[2] or hints[
            0
        ].removeprefix("hint: ")

    def does(self, command: str, *more: str) -> Done:
        """A command of today, without its first word."""
        return self.cli(*shlex.split(command.removeprefix("taorunner ")), *more, env=self.env, timeout_s=180)


@pytest.fixture
def walk(cli: Cli, tmp_path: Path, tao_commands: Callable[..., dict[str, str]]) -> Iterator[Walk]:
    project = cli.home / "projects" / "example_01"
    (project / "models").mkdir(parents=True)
    (project / "specs").mkdir()
    make_source("coco", tmp_path / "source", images=24)
    made = cli("dataset", "convert", tmp_path / "source", "--to", "kitti", "--output", tmp_path / "kitti")
    assert made.code == 0, made.err
    (project / "data" / "kitti_detection").mkdir(parents=True)
    (tmp_path / "kitti").rename(project / "data" / "kitti_detection" / "full")
    (project / "experiments.yml").write_text(EXPERIMENTS)
    weights = {"nvidia/tao/pretrained_object_detection": {"resnet18": {"resnet_18.hdf5": noise(20_000, 1)}}}
    with FakeNgc(weights) as ngc:
        yield Walk(cli, {**tao_commands("tf1", gpus=2), **ngc.environ})


def test_the_readme_of_tao_runner_from_end_to_end(walk: Walk) -> None:
    home = walk.cli.home
    # Setup
    assert "taorunner doctor" in walk.is_told("scripts/setup_venv.sh")
    pull = walk.is_told("scripts/download_pretrained_models.py")
    assert pull == "taorunner pretrained pull"
    assert "init-project" in walk.types("").err
    # Converting a dataset
    told = walk.is_told("scripts/convert_dataset.sh example_01 vott_json kitti_detection")
    assert told == (
        "taorunner -p example_01 dataset convert vott_json --to kitti "
        "--output projects/example_01/data/kitti_detection"
    )
    assert walk.types("convert -h").code == 0
    told = walk.is_told("convert example_01 dssd_resnet18_01")
    assert told == "taorunner convert dssd_resnet18_01"
    done = walk.does(told, "--backend", "local")
    assert done.code == 3 and "taorunner add dssd_resnet18_01" in done.err  # it has no spec files yet
    assert walk.does("taorunner add dssd_resnet18_01").code == 0
    assert walk.does(pull).code == 0
    # Splitting a dataset
    told = walk.is_told("split --subset full --val 0.1 example_01 dssd_resnet18_01")
    assert told == "taorunner -p example_01 dataset split kitti_detection/full --val 0.1"
    done = walk.does(told)
    assert done.code == 0, done.err
    split = next((home / "projects/example_01/data/kitti_detection").glob("full_*"))
    experiments = home / "projects/example_01/experiments.yml"
    experiments.write_text(
        experiments.read_text().replace("kitti_detection/full", f"kitti_detection/{split.name}/train")
    )
    assert walk.does("taorunner specs refresh dssd_resnet18_01", "--yes").code == 0
    # Converting, training and exporting, each in the original's order of words first
    done = walk.does(walk.is_told("convert example_01 dssd_resnet18_01 --overwrite"), "--backend", "local")
    assert done.code == 0, done.out + done.err
    assert walk.types("train -h").code == 0
    done = walk.does(walk.is_told("train example_01 dssd_resnet18_01"), "--backend", "local")
    assert done.code == 0, done.out + done.err
    told = walk.is_told("train -s example_01 dssd_resnet18_01")
    assert told == "taorunner stop dssd_resnet18_01"
    assert walk.does(told).code == 6  # nothing of it runs any more
    told = walk.is_told("export example_01 dssd_resnet18_01 -m dssd_resnet18_epoch_080")
    assert told == "taorunner -p example_01 export dssd_resnet18_01 --checkpoint dssd_resnet18_epoch_080"
    done = walk.does(told, "--backend", "local")
    assert done.code == 0, done.out + done.err
    models = home / "projects/example_01/models/dssd_resnet18_01"
    assert [one for one in models.rglob("*") if one.suffix in (".onnx", ".etlt", ".hdf5")]
    # The other scripts
    told = walk.is_told(
        "scripts/resize_dataset.sh example_01 kitti_detection/full kitti_detection kitti_small"
    )
    assert told == "taorunner -p example_01 dataset resize kitti_detection/full --size 1000x1000"
    assert walk.does(told).code == 0
    assert walk.is_told("scripts/start_jupyter.sh") == "taorunner shell --jupyter"
    told = walk.is_told("scripts/plot_metrics.py")
    assert walk.does(told.replace("EXPERIMENT", "dssd_resnet18_01")).code == 0


def test_names_of_the_readme_that_no_file_has_are_answered_with_those_it_has(walk: Walk) -> None:
    for line in (
        "convert example_01 experiment_01",
        "convert example_01 experiment_01 experiment_02 --overwrite",
        "train example_01 experiment_01",
        "train example_01 experiment_01 experiment_02 --overwrite",
    ):
        done = walk.types(line)
        names = " ".join(word for word in line.split()[2:] if not word.startswith("-"))
        assert done.code == 2
        assert f'"example_01" is a project: taorunner {line.split()[0]} {names}' in done.err
        assert "hint: known: dssd_resnet18_01" in done.err
    told = walk.is_told("split --subset custom_subset example_01 experiment_01 experiment_02 --overwrite")
    assert told == "taorunner -p example_01 dataset split kitti_detection/custom_subset"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tao_pytorch_backend"
    (root / "docker").mkdir(parents=True)
    digest = f"sha256:{'a' * 64}"
    manifest = {"registry": "nvcr.io", "repository": "nvidia/tao/tao-toolkit", "digest": digest}
    (root / "docker/manifest.json").write_text(json.dumps(manifest))
    for name in ("on/host/data", "on/host/results"):
        (tmp_path / name).mkdir(parents=True)
    return root


def test_the_readme_of_the_backend_from_end_to_end(
    cli: Cli, tree: Path, fake_nvml: Callable[..., dict[str, str]]
) -> None:
    env = {**fake_nvml(2), "USER": "me"}
    tao_pt = (sys.executable, "-c", "from taorunner.__main__ import tao_pt; tao_pt()")
    host = tree.parent / "on/host"

    def typed(line: str) -> Done:
        return cli(*shlex.split(line), cwd=tree, env=env, program=tao_pt)

    def told(line: str) -> str:
        done = cli(*shlex.split(line), cwd=tree, env=env)
        assert done.code == 2, done
        return done.err.splitlines()[-1].removeprefix("hint: ")

    assert told("scripts/envsetup.sh").startswith("taorunner doctor")
    usage = typed("-h")
    assert usage.code == 0
    for option in (
        "--gpus",
        "--volume",
        "--env",
        "--mounts_file",
        "--shm_size",
        "--tag",
        "--ulimit",
        "--port",
    ):
        assert option in usage.out
    sample = (
        f"--gpus all --volume {host}/data:/path/to/data/on/container "
        f"--volume {host}/results:/path/to/results/in/container --env PYTHONPATH=/tao-pt"
    )
    done = typed(f"{sample} --dry-run --json")
    assert done.code == 0, done.err
    assert done.json[0]["gpus"] == ["0", "1"]
    mounts = tree.parent / "mounts.json"
    two = [
        {"source": str(host / "data"), "destination": "/workspace/tao-experiments"},
        {"source": str(host / "results"), "destination": "/workspace/tao-experiments/specs"},
    ]
    mounts.write_text(json.dumps({"Mounts": two}))
    done = typed(f"--mounts_file {mounts} --dry-run --json")
    assert done.code == 0, done.err
    assert {"/workspace/tao-experiments", "/workspace/tao-experiments/specs"} <= {
        one["target"] for one in done.json[0]["mounts"]
    }
    done = typed("--tag me --dry-run --json -- script args")
    assert (done.code, done.json[0]["argv"][-2:]) == (0, ["script", "args"]), done
    for line, today in (
        ("./build.sh --build", "taorunner image build . -t IMAGE"),
        ("docker/build.sh --build --push", "taorunner image build docker -t IMAGE, then taorunner image push IMAGE"),
        ("docker/build.sh --build --push --force",
         "taorunner image build docker -t IMAGE --force, then taorunner image push IMAGE"),
        ("./deploy.sh --build --wheel", "taorunner image release ../.."),
        ("release/docker/deploy.sh --build --wheel", "taorunner image release ."),
    ):  # fmt: skip
        assert told(line) == today
        for command in re.findall(r"taorunner image (\w+)", today):
            assert cli("image", command, "--help").code == 0
    assert os.listdir(tree) == ["docker"]
