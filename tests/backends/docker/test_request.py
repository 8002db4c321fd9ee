"""What is sent to the engine, as one value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.backends.contract import Launch
from taorunner.backends.docker.backend import DockerBackend
from taorunner.backends.docker.request import DockerRequest, container_settings, docker_run
from taorunner.container_options import ContainerOptions, Mount, PublishedPort
from taorunner.errors import EngineRefusedError
from taorunner.planning.model.plan import Resources, RunPlan, SecretSource


def test_everything_of_the_plan_is_in_the_request(make_plan: Callable[..., RunPlan], tmp_path: Path) -> None:
    plan = make_plan(
        "dino", "train", "-e", "/taorunner/run/train.yaml",
        image="nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt",
        resources=Resources(cpus=8, memory_bytes=1 << 36),
        env={"HOME": "/taorunner/home"},
        mounts=(Mount(Path("/w/projects"), "/workspace/projects"), Mount(Path("/w/input"), "/taorunner/run", True)),
        options=ContainerOptions(
            user="1000:1000", groups=(4, 27), shm_bytes=1 << 30, ulimits={"stack": 1}, ports={8888: 80}, network="host",
            privileged=True, tty=True, workdir="/results",
        ),
    )  # fmt: skip
    launch = Launch("r1", tmp_path / "r1", ("3", "1"))
    assert DockerBackend().request(plan, launch) == DockerRequest(
        run_id="r1",
        backend="docker",
        name="taorunner-r1",
        argv=("dino", "train", "-e", "/taorunner/run/train.yaml"),
        command=("dino", "train", "-e", "/taorunner/run/train.yaml"),
        run_dir=tmp_path / "r1",
        image="nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt",
        env={"HOME": "/taorunner/home"},
        mounts=(
            Mount(Path("/w/projects"), "/workspace/projects"),
            Mount(Path("/w/input"), "/taorunner/run", True),
        ),
        gpus=("3", "1"),
        resources=Resources(cpus=8, memory_bytes=1 << 36),
        labels={
            "com.taorunner.run": "r1",
            "com.taorunner.project": "example_01",
            "com.taorunner.experiment": "dino_01",
            "com.taorunner.action": "train",
            "com.taorunner.workspace": str(tmp_path),
            "com.taorunner.gpus": "3,1",
        },
        options=plan.options,
    )


def test_a_plan_without_options_gets_room_for_loaders_and_no_rights(
    make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    request = DockerBackend().request(make_plan("dino", image="x:1"), Launch("r1", tmp_path / "r1"))
    assert (request.options.shm_bytes, request.options.ulimits) == (16 * 1024**3, {})
    assert request.mounts == (Mount(tmp_path / "r1" / "input", "/taorunner/run", True),)
    assert (request.gpus, request.options.user, request.options.tty) == ((), None, False)
    assert (request.options.privileged, request.options.no_new_privileges) == (False, True)
    line = docker_run(request)
    assert line[line.index("--security-opt") + 1] == "no-new-privileges" and "--privileged" not in line


def test_a_secret_is_masked_for_the_eyes_and_marked_for_the_wrapper(
    make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    plan = make_plan(
        "detectnet_v2", "train", "-k", "@TAORUNNER_SECRET_model_key@", "key=@TAORUNNER_SECRET_model_key@",
        image="x:1", secrets=(SecretSource("model_key", "literal:tlt_encode"),),
    )  # fmt: skip
    request = DockerBackend().request(plan, Launch("r1", tmp_path / "r1"))
    assert request.argv == ("detectnet_v2", "train", "-k", "***", "key=***")
    assert request.command == (
        "/bin/sh", "/taorunner/run/with-secrets",
        "detectnet_v2", "train", "-k", "@TAORUNNER_SECRET_model_key@", "key=@TAORUNNER_SECRET_model_key@",
    )  # fmt: skip
    assert "tlt_encode" not in repr(request)


def test_secret_variables_alone_need_the_wrapper(make_plan: Callable[..., RunPlan], tmp_path: Path) -> None:
    plan = make_plan("dino", image="x:1", secrets=(SecretSource("env_NGC_KEY", "env:NGC_KEY", "NGC_KEY"),))
    request = DockerBackend().request(plan, Launch("r1", tmp_path / "r1"))
    assert request.command == ("/bin/sh", "/taorunner/run/with-secrets", "dino")
    assert "NGC_KEY" not in request.env


def test_an_action_without_an_image_names_the_way_out(
    make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    with pytest.raises(EngineRefusedError) as caught:
        DockerBackend().request(make_plan("dino"), Launch("r1", tmp_path))
    assert caught.value.message == 'no container image is known for "dino train"'
    assert caught.value.hint == "set image in experiments.yml, or add --image IMAGE"


def test_the_docker_command_says_the_same(make_plan: Callable[..., RunPlan], tmp_path: Path) -> None:
    plan = make_plan(
        "dino", "train", "it's",
        image="x:1",
        resources=Resources(cpus=2, memory_bytes=1 << 30),
        env={"A": "b c"},
        mounts=(Mount(Path("/data, raw"), "/data", True), Mount(Path("/in"), "/taorunner/run")),
        options=ContainerOptions(
            user="1:2", groups=(4,), shm_bytes=64, ulimits={"memlock": -1}, ports={8888: 80}, network="host",
            privileged=True, tty=True, workdir="/w",
        ),
    )  # fmt: skip
    request = DockerBackend().request(plan, Launch("r1", tmp_path / "r1", ("0", "1")))
    assert docker_run(request) == [
        "docker", "run", "--name", "taorunner-r1", "--init", "--log-driver", "json-file",
        "--label", "com.taorunner.run=r1",
        "--label", "com.taorunner.project=example_01",
        "--label", "com.taorunner.experiment=dino_01",
        "--label", "com.taorunner.action=train",
        "--label", f"com.taorunner.workspace={tmp_path}",
        "--label", "com.taorunner.gpus=0,1",
        "--mount", 'type=bind,"source=/data, raw",target=/data,readonly',
        "--mount", "type=bind,source=/in,target=/taorunner/run",
        "--gpus", '"device=0,1"', "--cpus", "2", "--memory", "1073741824",
        "--user", "1:2", "--group-add", "4",
        "--env", "A=b c", "--workdir", "/w", "--shm-size", "64", "--ulimit", "memlock=-1:-1",
        "--publish", "80:8888", "--network", "host", "--privileged", "--tty",
        "x:1", "dino", "train", "it's",
    ]  # fmt: skip
    assert DockerBackend().command_line(request).endswith("""x:1 dino train 'it'"'"'s'""")


def test_a_shell_has_an_input_and_leaves_neither_log_nor_container(
    make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    plan = make_plan(
        image="x:1",
        options=ContainerOptions(
            shm_bytes=64, ulimits={"nofile": 1, "stack": 3}, hard_ulimits={"nofile": 2}, tty=True, interactive=True,
            terminal=(30, 90), published=(PublishedPort(8888, 80), PublishedPort(53, 5353, "::1", "udp")),
        ),
    )  # fmt: skip
    request = DockerBackend().request(plan, Launch("r1", tmp_path / "r1"))
    line = [word for word in docker_run(request) if not word.startswith("com.taorunner")]
    assert [word for word in line if word != "--label"] == [
        "docker", "run", "--name", "taorunner-r1", "--init", "--rm", "--interactive", "--log-driver", "none",
        "--mount", f"type=bind,source={tmp_path}/r1/input,target=/taorunner/run,readonly",
        "--shm-size", "64", "--ulimit", "nofile=1:2", "--ulimit", "stack=3:3",
        "--publish", "127.0.0.1:80:8888/tcp", "--publish", "[::1]:5353:53/udp", "--security-opt", "no-new-privileges", "--tty", "x:1",
    ]  # fmt: skip
    settings = container_settings(request)
    assert (settings.name, settings.image, settings.command) == ("taorunner-r1", "x:1", request.command)
    assert (settings.mounts, settings.labels) == (request.mounts, request.labels)
    assert settings.options == plan.options


@pytest.mark.parametrize(
    ("address", "where_it_differs"),
    [
        (
            "unix:///run/user/1000/podman/podman.sock",
            "podman run --name taorunner-r1 --init --log-driver k8s-file … --device nvidia.com/gpu=3 --device "
            "nvidia.com/gpu=1 --user 1000:1001 --security-opt label=disable --userns keep-id:uid=1000,gid=1001 --shm-size",
        ),
        (
            "unix:///run/podman/podman.sock",
            "podman run --name taorunner-r1 --init --log-driver k8s-file … --device nvidia.com/gpu=3 --device "
            "nvidia.com/gpu=1 --user 1000:1001 --security-opt label=disable --group-add 4 --pids-limit -1 --shm-size",
        ),
        (
            "unix:///run/docker.sock",
            "docker run --name taorunner-r1 --init --log-driver json-file … --gpus '\"device=3,1\"' --user 1000:1001 "
            "--group-add 4 --shm-size",
        ),
    ],
)
def test_a_dry_run_shows_the_command_of_the_engine_that_is_named(
    address: str, where_it_differs: str, make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    plan = make_plan("true", image="tao:5", options=ContainerOptions(user="1000:1001", groups=(4,)))
    backend = DockerBackend({"DOCKER_HOST": address})
    line = backend.command_line(backend.request(plan, Launch("r1", tmp_path / "r1", ("3", "1"))))
    begin, end = where_it_differs.split("…")
    assert line.startswith(begin) and end in line
