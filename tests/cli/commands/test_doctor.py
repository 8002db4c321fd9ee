"""``taorunner doctor`` as a shell sees it: GPUs of a fake NVML, workspaces, exit codes, and no engine."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import CALLER, Cli, Done

GPU_CHECKS = ("--only", "driver,gpu,gpu-foreign", "--offline", "--json")
Nvml = Callable[..., dict[str, str]]


def experiments(*images: str, **more: Any) -> dict[str, Any]:
    entries = {
        f"e{n}": {"head": "dino", "dataset": "d", "image": image, **more} for n, image in enumerate(images)
    }
    return {"experiments": entries}


def findings_of(done: Done) -> list[tuple[str, str, str | None]]:
    return [(finding["severity"], finding["code"], finding["hint"]) for finding in done.json]


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    image = "nvcr.io/nvidia/tao/tao-toolkit"
    return workspace_factory(experiments(f"{image}:5.0.0-pyt", f"{image}:7.0.1-pyt"))


def test_json_is_the_shape_of_all_findings(cli: Cli) -> None:
    done = cli("doctor", "--json", "--offline")
    assert done.err == ""
    keys = ["severity", "code", "message", "hint", "file", "line", "column"]
    assert all(list(finding) == keys for finding in done.json)
    assert {finding["severity"] for finding in done.json} <= {"ok", "info", "warning", "error"}
    assert done.code == (4 if any(finding["severity"] == "error" for finding in done.json) else 0)


def test_without_docker_and_offline_it_ends_soon(cli: Cli) -> None:
    began = time.monotonic()
    done = cli("doctor", "--offline", "-v")
    assert time.monotonic() - began < 60
    assert done.err == ""
    heads = [line for line in done.out.splitlines() if line and not line.startswith(" ")]
    assert heads[:-1] == [
        "system", "container engine", "GPUs", "memory and disk", "registry and network", "workspace",
    ]  # fmt: skip
    assert "\x1b" not in done.out


def test_a_machine_whose_experiments_need_nothing_is_fit(cli: Cli, tmp_path: Path) -> None:
    assert cli("--workspace", tmp_path / "w", "init-project", "p").code == 0
    done = cli("--workspace", tmp_path / "w", "doctor", "--offline", "--json")
    assert [f for f in done.json if f["severity"] == "error"] == []
    assert done.code == 0


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        ("580.65.06", [("ok", "driver")]),
        ("550.54.15", [("error", "driver-old")]),
        ("525.60.13", [("error", "driver-old"), ("error", "driver-old")]),
    ],
)
def test_the_driver_is_judged_by_image(
    driver: str, expected: list[tuple[str, str]], cli: Cli, workspace: Path, fake_nvml: Nvml
) -> None:
    environ = fake_nvml(1, driver=driver)
    done = cli("doctor", "--only", "driver", "--json", cwd=workspace, env=environ)
    assert [(severity, code) for severity, code, _ in findings_of(done)] == expected
    assert done.code == (4 if ("error", "driver-old") in expected else 0)
    if expected[0][0] == "error":
        needing = [f["message"] for f in done.json]
        assert needing[-1] == (
            f'NVIDIA driver {driver} is older than 580, which is needed by "nvcr.io/nvidia/tao/tao-toolkit:7.0.1-pyt"'
        )


@pytest.mark.parametrize(
    ("init_rc", "code", "hint_end"),
    [(9, "driver-not-loaded", "modprobe nvidia"), (18, "driver-mismatch", "reboot")],
)
def test_a_driver_that_does_not_work(
    init_rc: int, code: str, hint_end: str, cli: Cli, workspace: Path, fake_nvml: Nvml
) -> None:
    done = cli("doctor", "--only", "driver", "--json", cwd=workspace, env=fake_nvml(1, init_rc=init_rc))
    ((severity, found, hint),) = findings_of(done)
    assert (severity, found, done.code) == ("error", code, 4)
    assert hint is not None and hint.endswith(hint_end)


def test_a_driver_that_hangs_blocks_no_command(cli: Cli, workspace: Path, fake_nvml: Nvml) -> None:
    environ = {**fake_nvml(1), "FAKE_NVML_HANGS_S": "250"}
    began = time.monotonic()
    done = cli("doctor", *GPU_CHECKS, cwd=workspace, env=environ, timeout_s=200)
    assert time.monotonic() - began < 100
    ((severity, code, hint),) = findings_of(done)
    assert (severity, code, done.code) == ("error", "driver-hangs", 4)
    assert hint is not None and hint.endswith("reboot")


def test_good_idle_gpus(cli: Cli, workspace: Path, fake_nvml: Nvml) -> None:
    environ = {**fake_nvml(2, driver="580.65.06"), "FAKE_NVML_PERSISTENCE": "1"}
    done = cli("doctor", *GPU_CHECKS, cwd=workspace, env=environ)
    assert [(f["severity"], f["message"]) for f in done.json] == [
        ("ok", "NVIDIA driver 580.65.06"),
        ("ok", "GPU 0: NVIDIA H100 80GB HBM3, 79.6 GiB"),
        ("ok", "GPU 1: NVIDIA H100 80GB HBM3, 79.6 GiB"),
        ("ok", "no other processes on the GPUs"),
    ]
    assert done.code == 0


def test_a_small_gpu_of_an_old_generation(cli: Cli, workspace: Path, fake_nvml: Nvml) -> None:
    environ = {**fake_nvml(1, name="Tesla V100", total_mib=16384), "FAKE_NVML_CAPABILITY": "7.0"}
    done = cli("doctor", "--only", "gpu", "--json", cwd=workspace, env=environ)
    assert next((f["severity"], f["code"], f["message"]) for f in done.json) == (
        "error", "gpu-too-old", "GPU 0: Tesla V100, 16.0 GiB has compute capability 7.0: TAO needs 7.5",
    )  # fmt: skip
    environ = {**fake_nvml(1, name="GTX 1050", total_mib=2048), "FAKE_NVML_CAPABILITY": "6.1"}
    done = cli("doctor", "--only", "gpu", "--json", env=environ)
    assert [(severity, code) for severity, code, _ in findings_of(done)] == [
        ("warning", "gpu-memory"),
        ("info", "gpu-persistence"),
    ]
    assert done.code == 0


def test_a_foreign_process_is_on_a_gpu(cli: Cli, workspace: Path, fake_nvml: Nvml) -> None:
    environ = fake_nvml(2, used_mib=[0, 4096], processes={1: {os.getpid(): 4096, 99999999: 1}})
    done = cli("doctor", "--only", "gpu-foreign", "--json", cwd=workspace, env=environ)
    (found,) = done.json
    assert (found["severity"], found["code"]) == ("warning", "gpu-in-use")
    assert found["hint"] == f"ps -o pid,user,etime,args -p {os.getpid()},99999999"
    name = Path("/proc/self/comm").read_text().strip()
    assert (
        f"{name} of " in found["message"]
        and f"pid {os.getpid()}, 4.0 GiB; ? of ?, pid 99999999" in found["message"]
    )


def test_our_own_runs_are_not_foreign(cli: Cli, workspace: Path, fake_nvml: Nvml) -> None:
    from taorunner.gpu.leases import Leases

    environ = fake_nvml(1, processes={0: {os.getpid(): 512}})
    lease = Leases(Path(cli.environment()["TAORUNNER_LEASES"])).take(
        ["GPU-fa4e0000-0000-4000-8000-000000000000"]
    )
    assert lease is not None
    try:
        done = cli("doctor", "--only", "gpu-foreign", "--json", cwd=workspace, env=environ)
    finally:
        lease.release()
    assert findings_of(done) == [("ok", "gpu-foreign", None)]


def test_one_project_only(cli: Cli, workspace: Path, workspace_factory: Callable[..., Path]) -> None:
    workspace_factory(experiments("nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt"), project="other")
    done = cli("doctor", "-p", "other", "--only", "workspace", "--json", cwd=workspace)
    assert [f["message"] for f in done.json] == [
        f'workspace "{workspace}" needs nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt'
    ]


def test_a_file_that_cannot_be_read_does_not_stop_the_doctor(
    cli: Cli, workspace_factory: Callable[..., Path]
) -> None:
    root = workspace_factory("experiments: [")
    done = cli("doctor", "--only", "workspace", "--json", cwd=root)
    assert findings_of(done) == [("warning", "workspace-unreadable", "taorunner validate example_01")]
    assert done.code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--only", "gpus"], 'error: there is no check "gpus"\nhint: did you mean "gpu"?\n'),
        (["-p", "nobody"], "error: no workspace here or above"),
        (["--", "x"], 'error: this command takes no words after "--"'),
    ],
)
def test_what_cannot_be_asked(words: list[str], says: str, cli: Cli) -> None:
    done = cli("doctor", *words)
    assert done.code in (2, 3) and done.out == ""
    assert done.err.startswith(says)


def test_a_secret_in_the_environment_or_in_dockers_file_is_never_shown(cli: Cli, workspace: Path) -> None:
    canary = "nvapi-canary-77aa"
    (cli.home / ".docker").mkdir()
    (cli.home / ".docker" / "config.json").write_text(
        json.dumps({"auths": {"nvcr.io": {"auth": "JG9hdXRodG9rZW46bnZhcGktY2FuYXJ5LTc3YWE="}}})
    )
    proxy = f"http://me:{canary}@127.0.0.1:1"
    environ = {"NGC_API_KEY": canary, "HTTPS_PROXY": proxy, "https_proxy": proxy}
    for words in ([], ["--json"]):
        done = cli("doctor", *words, cwd=workspace, env=environ)
        assert canary not in done.out + done.err
        assert "JG9hdXRodG9rZW46" not in done.out + done.err


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Every path with its size and the time it was written."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def test_a_machine_as_it_should_be_is_fit_and_left_as_it_was(
    docker_cli: Cli,
    engine: Any,
    tao_image: Callable[..., str],
    own_tag: Callable[[str], str],
    workspace_factory: Callable[..., Path],
    fake_nvml: Nvml,
    tmp_path: Path,
) -> None:
    """Another uid with the right group, an engine with the hook, two GPUs, the image there, nothing of root."""
    image = own_tag(tao_image("pyt_7"))
    root = workspace_factory(experiments(image))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "nvidia-ctk").write_text("#!/bin/sh\necho NVIDIA Container Toolkit CLI version 1.19.1\n")
    (programs / "nvidia-ctk").chmod(0o755)
    if os.geteuid() == 0:
        for path in (root, *root.rglob("*")):
            os.chown(path, CALLER, CALLER)
    before = snapshot(root)
    nvml = fake_nvml(2, driver="580.65.06")
    for folder in Path(nvml["LD_LIBRARY_PATH"]).parents:
        if str(folder).startswith(("/tmp/", "/dev/shm/")) and folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o055)
    Path(nvml["LD_LIBRARY_PATH"]).chmod(0o755)
    environ = {**nvml, "PATH": f"{programs}{os.pathsep}{docker_cli.environment()['PATH']}"}
    done = docker_cli("doctor", "--json", cwd=root, env=environ)
    wrong = [(finding["code"], finding["message"]) for finding in done.json if finding["severity"] == "error"]
    assert (wrong, done.code, done.err) == ([], 0, "")
    well = {finding["code"] for finding in done.json if finding["severity"] == "ok"}
    assert well >= {
        "engine", "toolkit", "runtime", "driver", "gpu", "gpu-foreign", "gpu-in-container", "clock", "workspace",
        "mounts", "owners",
    }  # fmt: skip
    assert snapshot(root) == before
    assert engine.docker("ps", "-aq", "--filter", f"label=com.taorunner.probe={image}").stdout == ""


def test_ctrl_c_ends_it(cli: Cli, tmp_path: Path) -> None:
    """While an engine that never answers is waited for."""
    environ = {"DOCKER_HOST": f"unix://{cli.home}/stuck.sock"}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(cli.home / "stuck.sock"))
        listening.listen()
        with cli.start("doctor", "--offline", "--only", "python,engine", env=environ) as process:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.readline() == b"system\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(120) == 130
            assert b"Traceback" not in process.stderr.read()
