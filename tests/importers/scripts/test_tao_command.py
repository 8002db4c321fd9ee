"""Commands of TAO are recognised as they are typed since TLT 2, and with their containers."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from taorunner.importers.scripts.docker_run import DockerRun, device_ids, read_docker_run
from taorunner.importers.scripts.tao_command import TaoCommand, read_tao_command

NETWORKS = frozenset({"dino", "detectnet_v2", "unet", "pointpillars", "classification"})


def command(text: str) -> TaoCommand | None:
    return read_tao_command(shlex.split(text), Path("x.sh"), 1, NETWORKS.__contains__)


@pytest.mark.parametrize(
    ("text", "network", "action", "is_deploy"),
    [
        ("tao model dino train -e a", "dino", "train", False),
        ("tao deploy dino gen_trt_engine -e a", "dino", "gen_trt_engine", True),
        ("tao classification train -e a", "classification", "train", False),
        ("tlt unet evaluate -e a", "unet", "evaluate", False),
        ("tlt-train detectnet_v2 -e a", "detectnet_v2", "train", False),
        ("tlt-infer detectnet_v2 -e a", "detectnet_v2", "inference", False),
        ("tlt-dataset-convert -d a", "", "dataset_convert", False),
        ("dino evaluate -e a", "dino", "evaluate", False),
        ("python3 /x/pointpillars/scripts/train.py a=1", "pointpillars", "train", False),
        (
            "torchrun --n=2 -m nvidia_tao_pytorch.cv.dino.scripts.train --config-name a",
            "dino",
            "train",
            False,
        ),
        ("python -m nvidia_tao_pytorch.cv.dino.entrypoint.dino export -e a", "dino", "export", False),
    ],
)
def test_what_is_a_command_of_tao(text: str, network: str, action: str, is_deploy: bool) -> None:
    found = command(text)
    assert found is not None
    assert (found.network, found.action, found.is_deploy) == (network, action, is_deploy)


@pytest.mark.parametrize(
    "text",
    [
        "tao --help",
        "tao info",
        "tao stop --all",
        "tlt-converter a.etlt -k x",
        "dino",
        "echo tao dino train",
        "python a.py",
    ],
)
def test_what_is_none(text: str) -> None:
    assert command(text) is None


def test_options_are_read_by_what_they_say() -> None:
    found = command(
        "tao model dino train -e a.yaml -r /r -k key -n name --gpus=2 --gpu_index 0 1 -m /w.pth train.lr=1e-3 "
        "+dataset.x=[1,2] -y 3"
    )
    assert found is not None
    assert (found.spec, found.of("results"), found.first("key"), found.first("name")) == (
        "a.yaml", ("/r",), "key", "name",
    )  # fmt: skip
    assert (found.of("gpus"), found.of("gpu_ids"), found.of("model")) == (("2",), ("0", "1"), ("/w.pth",))
    assert found.overrides == (("train.lr", "1e-3"), ("dataset.x", "[1,2]"))
    assert ("-y", ("3",)) in found.options


def test_hydra_names_a_spec_by_folder_and_name() -> None:
    found = command("dino train --config-path /c --config-name exp")
    assert found is not None and found.spec == "/c/exp.yaml"


def test_a_container_with_its_options_and_command() -> None:
    words = shlex.split(
        "docker run -it --rm --gpus '\"device=0,2\"' -v /a:/b:ro -v named:/c --volume=/d:/e -e X=1 -e Y "
        "--shm-size 8g --ulimit memlock=-1 --ulimit stack=67108864 -p 80:8080 -u 1:2 --network=host --privileged "
        "--cap-add SYS_ADMIN --mount type=bind,source=/m,target=/n,readonly "
        "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt dino train -e x"
    )
    run = read_docker_run(words)
    assert run is not None and run.is_tao
    assert run.words == ("dino", "train", "-e", "x")
    assert run.volumes == [("/a", "/b", True), ("/d", "/e", False), ("/m", "/n", True)]
    assert (run.env, run.shm_size, run.ulimits) == (["X=1", "Y"], "8g", {"memlock": -1, "stack": 67108864})
    assert (run.ports, run.user, run.network, run.is_privileged) == ({"8080": 80}, "1:2", "host", True)
    assert run.left_out == ["--volume", "--cap-add"]
    assert list(device_ids(run.gpus or "")) == ["0", "2"]


def test_a_shell_in_the_container_and_other_images() -> None:
    run = read_docker_run(
        ["docker", "run", "-d", "nvcr.io/nvidia/tao/tao-toolkit:x", "bash", "-lc", "dino train -e a"]
    )
    assert run is not None and run.shell == "dino train -e a"
    assert read_docker_run(["docker", "build", "."]) is None
    assert read_docker_run(["docker", "run", "--rm"]) is None
    other = read_docker_run(["docker", "run", "ubuntu"])
    assert other == DockerRun("ubuntu") and not other.is_tao
