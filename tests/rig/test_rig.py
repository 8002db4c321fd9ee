"""The rig gives a real engine, and what it promises of it is true."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import images
import private_daemon
import pytest

import rig
from rig import Engine

RIG = Path(rig.__file__)


def output(engine: Engine, *args: str) -> str:
    """What a container printed; it must have ended well."""
    done = engine.docker("run", "--rm", *args)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_engine_answers_and_is_not_the_machines_own(engine: Engine) -> None:
    shown = engine.docker("info", "--format", "{{.DockerRootDir}}")
    assert (shown.returncode, shown.stdout.strip()) == (0, str(engine.home / "data"))


def test_environment_leads_a_client_to_this_engine_without_anybodys_credentials(engine: Engine) -> None:
    environment = engine.environment()
    assert environment == {"DOCKER_HOST": engine.url, "DOCKER_CONFIG": str(engine.home / "docker-config")}
    assert not (engine.home / "docker-config" / "config.json").exists()


def test_emit_prints_numbered_lines_of_88_bytes(engine: Engine, noop_image: str) -> None:
    lines = output(engine, noop_image, "emit", "1000").splitlines(keepends=True)
    assert {len(line) for line in lines} == {88}
    assert [int(line[:7]) for line in lines] == list(range(1, 1001))


def test_gpu_request_calls_the_hook_and_names_the_devices_inside(engine: Engine, noop_image: str) -> None:
    asked = ["--gpus", '"device=1,3"', noop_image, "sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES"]
    container = engine.docker("create", *asked).stdout.strip()
    try:
        assert engine.docker("start", "--attach", container).stdout.strip() == "1,3"
        (call,) = hook_calls(engine, container)
        assert call["status"] in ("creating", "created")
    finally:
        engine.docker("rm", "--force", container)


def hook_calls(engine: Engine, container: str) -> list[dict[str, Any]]:
    """Those for this container: what other tests left running may ask for GPUs at the same moment."""
    text = engine.hook_log.read_text()
    begins = [match.start() for match in re.finditer(r'\{"ociVersion"', text)]  # two at once share a line
    calls = [json.JSONDecoder().raw_decode(text, at)[0] for at in begins]
    return [call for call in calls if call["id"] == container]


def test_limits_beyond_this_machines_are_lowered_not_refused(engine: Engine, noop_image: str) -> None:
    options = [
        "--ulimit",
        "memlock=-1",
        "--ulimit",
        "stack=67108864",
        "--ulimit",
        "nofile=1048576",
        "--privileged",
    ]
    assert (
        output(engine, *options, "--shm-size", "1g", noop_image, "sh", "-c", "ulimit -s").strip() == "65536"
    )


def test_runtime_named_nvidia_exists(engine: Engine, noop_image: str) -> None:
    assert output(engine, "--runtime", "nvidia", noop_image, "echo", "ran").strip() == "ran"


def test_a_container_runs_as_the_given_user_and_owns_what_it_writes(
    engine: Engine, noop_image: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    script = "id -u; id -G; touch /out/made"
    options = ["--user", "1234:1235", "--group-add", "44", "-v", f"{tmp_path}:/out"]
    assert output(engine, *options, noop_image, "sh", "-c", script).split() == ["1234", "1235", "44"]
    assert ((tmp_path / "made").stat().st_uid, (tmp_path / "made").stat().st_gid) == (1234, 1235)


def test_registry_wants_its_password(engine: Engine, registry: Any, noop_image: str) -> None:
    reference = registry.push(noop_image, "nvidia/tao/tao-toolkit:7.0.1-pyt")
    refused = engine.docker("pull", reference)
    assert (refused.returncode, "no basic auth credentials" in refused.stderr) == (1, True)
    config = registry.credentials(engine.home / "login-test")
    pulled = engine.docker("--config", str(config), "pull", "--quiet", reference)
    assert (pulled.returncode, pulled.stdout.strip()) == (0, reference)
    assert output(engine, reference, "echo", "pulled").strip() == "pulled"


def test_an_engine_of_its_own_can_be_restarted_under_a_running_container(own_engine: Engine) -> None:
    tag = images.noop_image(own_engine)
    name = images.checked(own_engine, "run", "-d", tag, "sleep", "100")
    rig.restart(own_engine.home)
    assert images.checked(own_engine, "inspect", "--format", "{{.State.Running}}", name) == "true"


@pytest.mark.engine
def test_engine_ends_with_its_owner_and_leaves_nothing(tmp_path: Path) -> None:
    reason = rig.obstacle()
    if reason:
        pytest.skip(reason)
    home = Path(f"/tmp/taor-o{os.getpid():x}")
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    engine = rig.up(home, owner.pid)
    images.checked(engine, "run", "-d", images.noop_image(engine), "sleep", "100")
    state = rig.read_state(home)
    assert state is not None
    owner.kill()
    owner.communicate()
    deadline = time.monotonic() + 100
    while (home.exists() or private_daemon.started_at(state["guard"])) and time.monotonic() < deadline:
        time.sleep(0.05)
    rig.down(home)
    bridges = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert (
        home.exists(),
        private_daemon.started_at(state["dockerd"]),
        private_daemon.processes_of(home),
        private_daemon.mounts_below(home),
    ) == (
        False,
        None,
        [],
        [],
    )
    assert state["bridge"] not in bridges


def test_a_second_up_finds_the_engine_of_the_first(engine: Engine) -> None:
    if not engine.is_private:
        pytest.skip("the engine was given")
    shown = subprocess.run(
        [sys.executable, str(RIG), "up", "--home", str(engine.home)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (shown.returncode, shown.stdout.strip()) == (0, engine.url)


@pytest.mark.parametrize(("ci", "code", "outcome"), [("", 0, "1 skipped"), ("true", 1, "1 error")])
def test_without_an_engine_a_test_is_skipped_with_the_reason_and_fails_in_ci(
    ci: str, code: int, outcome: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "TAORUNNER_TEST_DOCKER_HOST": "unix:///nonexistent/docker.sock", "CI": ci}
    inner = [
        f"{__file__}::test_emit_prints_numbered_lines_of_88_bytes",
        "-p",
        "no:cacheprovider",
        "-q",
        "-n",
        "0",
        f"--basetemp={tmp_path / 'inner'}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *inner], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, outcome in done.stdout) == (code, True), done.stdout + done.stderr
    assert "TAORUNNER_TEST_DOCKER_HOST=unix:///nonexistent/docker.sock: " in done.stdout


def test_down_without_an_engine_is_no_error(tmp_path: Path) -> None:
    rig.down(tmp_path / "none")


def test_fake_nvml_shows_the_gpus_it_was_given(fake_nvml: Callable[..., dict[str, str]]) -> None:
    script = (
        "import json, pynvml as n\n"
        "n.nvmlInit()\n"
        "print(json.dumps([[n.nvmlDeviceGetName(h), n.nvmlDeviceGetMemoryInfo(h).used >> 20,"
        " n.nvmlDeviceGetUtilizationRates(h).gpu, n.nvmlDeviceGetUUID(h)]"
        " for h in map(n.nvmlDeviceGetHandleByIndex, range(n.nvmlDeviceGetCount()))]))\n"
    )
    environment = {**os.environ, **fake_nvml(2, used_mib=[70000], load=[98])}
    shown = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert json.loads(shown.stdout) == [
        ["NVIDIA H100 80GB HBM3", 70000, 98, "GPU-fa4e0000-0000-4000-8000-000000000000"],
        ["NVIDIA H100 80GB HBM3", 0, 0, "GPU-fa4e0001-0000-4000-8000-000000000001"],
    ]


def test_fake_nvml_shows_processes_and_can_lack_a_query(fake_nvml: Callable[..., dict[str, str]]) -> None:
    script = (
        "import pynvml as n\n"
        "n.nvmlInit()\n"
        "h = n.nvmlDeviceGetHandleByIndex(1)\n"
        "print([(p.pid, p.usedGpuMemory >> 20) for p in n.nvmlDeviceGetComputeRunningProcesses(h)])\n"
        "try:\n    n.nvmlDeviceGetUtilizationRates(h)\nexcept n.NVMLError as error:\n    print(error)\n"
    )
    environment = {**os.environ, **fake_nvml(2, processes={1: {4711: 512, 4712: 16}}, lacks=["load"])}
    shown = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert shown.stdout.splitlines() == ["[(4711, 512), (4712, 16)]", "Not Supported"], shown.stderr


def test_fake_nvml_can_lack_its_driver(fake_nvml: Callable[..., dict[str, str]]) -> None:
    environment = {**os.environ, **fake_nvml(1, init_rc=9)}
    script = "import pynvml\ntry:\n    pynvml.nvmlInit()\nexcept pynvml.NVMLError as error:\n    print(error)"
    shown = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert shown.stdout.strip() == "Driver Not Loaded"


def test_workspace_factory_writes_what_it_is_given(workspace_factory: Callable[..., Path]) -> None:
    root = workspace_factory(
        "experiments: {}\n",
        specs={"e1/train.txt": "x"},
        data={"kitti/images/": ""},
        files={".tao_mounts.json": "{}"},
    )
    found = sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() or not any(path.iterdir())
    )
    assert found == [
        ".tao_mounts.json",
        "projects/example_01/data/kitti/images",
        "projects/example_01/experiments.yml",
        "projects/example_01/models",
        "projects/example_01/specs/e1/train.txt",
        "repositories",
    ]
