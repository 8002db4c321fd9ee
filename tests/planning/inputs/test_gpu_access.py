"""GPUs that the process is given and cannot use: hidden by a variable, or a driver that is too old for the image."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from taorunner.contracts import GpuUse
from taorunner.errors import Finding
from taorunner.planning.inputs.gpu_access import MachineGpus
from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.planner import plan_action
from taorunner.planning.validate import validate_projects
from taorunner.project.workspace import Workspace
from taorunner.targets import DOCKER

Make = Callable[..., Path]
TAO_7 = "nvcr.io/nvidia/tao/tao-toolkit:7.0.1-pyt"


def found(root: Path, code: str, **asked: object) -> list[list[Finding]]:
    """The findings of ``validate`` and of a start."""
    environ = {"HOME": "/nowhere"}
    request = ActionRequest("train", ("e",), **asked)  # type: ignore[arg-type]
    planned = plan_action(Workspace(root), "example_01", request, Caller(1000, 1000, (), "ada", environ))
    validated = validate_projects(Workspace(root), ["example_01"], environ)
    return [[one for one in each if one.code == code] for each in (validated, planned.findings)]


def workspace(factory: Make, gpus: int = 1, env: str | None = None, in_file: str | None = None) -> Path:
    experiment = {"head": "dino", "dataset": "d", "gpus": gpus}
    root = factory(
        {
            "experiments": {
                "e": experiment if env is None else {**experiment, "env": {"CUDA_VISIBLE_DEVICES": env}}
            }
        },
        data={"d/": ""},
        specs={"e/train.yaml": "results_dir: $results_dir\n"},
    )
    if in_file is not None:
        mounts = [
            {"source": str(root / name), "destination": f"/workspace/{name}"}
            for name in ("projects", "repositories")
        ]
        envs = [{"variable": "CUDA_VISIBLE_DEVICES", "value": in_file}]
        (root / ".tao_mounts.json").write_text(json.dumps({"Mounts": mounts, "Envs": envs}))
    return root


@pytest.mark.parametrize(
    ("gpus", "value", "seen"),
    [
        (1, "1", "none of them"), (1, "", "none of them"), (1, "-1", "none of them"), (2, "0", "only 1 of them"),
        (2, "0,7", "only 1 of them"), (2, "7,0", "none of them"), (2, "1,1", "only 1 of them"),
    ],
)  # fmt: skip
def test_a_variable_that_hides_a_gpu_is_an_error(
    gpus: int, value: str, seen: str, workspace_factory: Make
) -> None:
    root = workspace(workspace_factory, gpus, env=value)
    for findings in found(root, "gpus-hidden"):
        (finding,) = findings
        assert finding.is_error and finding.message.endswith(f"it sees {seen}")
        assert finding.file == root / "projects/example_01/experiments.yml" and finding.line is not None


@pytest.mark.parametrize(
    ("gpus", "value"), [(1, "0"), (2, "0,1"), (2, "1,0"), (1, "0,1"), (0, ""), (1, "GPU-3f2a")]
)
def test_a_variable_that_hides_none_is_fine(gpus: int, value: str, workspace_factory: Make) -> None:
    assert found(workspace(workspace_factory, gpus, env=value), "gpus-hidden") == [[], []]


def test_the_mounts_file_sets_it_too_and_the_gpus_of_the_command_line_count(workspace_factory: Make) -> None:
    root = workspace(workspace_factory, 1, in_file="0")
    assert found(root, "gpus-hidden") == [[], []]
    (validated, started) = found(root, "gpus-hidden", gpus=2)
    assert validated == [] and [one.file for one in started] == [root / ".tao_mounts.json"]


def test_force_does_not_pass_it(workspace_factory: Make) -> None:
    root = workspace(workspace_factory, 1, env="1")
    request = ActionRequest("train", ("e",), force=True)
    assert plan_action(Workspace(root), "example_01", request, Caller(1000, 1000, (), "ada", {})).items == ()


DRIVERS = (
    ("570.86", TAO_7, "error", "580"), ("580.65", TAO_7, None, ""), ("525.60", "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt",
     "error", "525.85"), ("530.30", "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt", "warning", "550"),
    ("470.82", "our/image:1", None, ""),
)  # fmt: skip


@pytest.mark.parametrize(("driver", "image", "severity", "needed"), DRIVERS)
def test_a_driver_older_than_the_image_needs(
    driver: str, image: str, severity: str | None, needed: str, fake_nvml: Callable[..., dict[str, str]]
) -> None:
    """In a process of its own, which loads the library of NVML anew."""
    program = (
        "import os, sys; from taorunner.planning.inputs.gpu_access import MachineGpus\n"
        "one = MachineGpus(os.environ).driver_finding(sys.argv[1], 1)\n"
        "print(one and f'{one.severity.value} {one.code} {one.message}')"
    )
    environ = {**fake_nvml(1, driver=driver), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", program, image], env=environ, capture_output=True, text=True, check=True
    )
    said = done.stdout.strip()
    assert (
        said == "None"
        if severity is None
        else said.startswith(f"{severity} driver-old NVIDIA driver {driver}")
    )
    assert needed in said


def test_nothing_is_said_without_a_gpu_and_of_another_machine(
    fake_nvml: Callable[..., dict[str, str]],
) -> None:
    environ = fake_nvml(1, driver="470.82")
    assert MachineGpus(environ).driver_finding(TAO_7, 0) is None
    assert MachineGpus({**environ, "DOCKER_HOST": "ssh://me@box"}).driver_finding(TAO_7, 1) is None


COUNTED = (
    "import sys\n"
    "from dataclasses import replace\n"
    "from taorunner.contracts import GpuUse\n"
    "from taorunner.planning.inputs.gpu_access import MachineGpus\n"
    "from taorunner.planning.model.request import ActionRequest\n"
    "from taorunner.targets import DOCKER, LOCAL, Files\n"
    "import os\n"
    "asked, use, target = sys.argv[1:]\n"
    "request = ActionRequest('train', ('e',), gpus=None if asked == 'all' else int(asked), all_gpus=asked == 'all')\n"
    "target = {'docker': DOCKER, 'local': LOCAL, 'far': replace(DOCKER, name='k8s', files=Files.FAR)}[target]\n"
    "counted, finding = MachineGpus(os.environ).counted(request, GpuUse(use), target)\n"
    "print(counted.gpus, finding.message if finding else 'fine')\n"
)


@pytest.mark.parametrize(
    ("here", "asked", "use", "target", "said"),
    [
        (4, "all", "many", "docker", "4 fine"),
        (4, "4", "many", "docker", "4 fine"),
        (4, "0", "many", "docker", "0 fine"),
        (4, "5", "many", "local", "4 --gpus 5: this machine has 4 GPUs"),
        (1, "2", "many", "docker", "1 --gpus 2: this machine has 1 GPU"),
        (4, "all", "one", "docker", "1 fine"),
        (4, "9", "one", "docker", "9 fine"),  # such an action takes one of them
        (4, "all", "none", "docker", "0 fine"),
        (4, "9", "many", "far", "9 fine"),
        (
            4,
            "all",
            "many",
            "far",
            '1 --gpus all: it is not known how many GPUs there are: the backend "k8s" chooses the machine',
        ),
    ],
)
def test_what_the_number_of_gpus_means(
    here: int, asked: str, use: str, target: str, said: str, fake_nvml: Callable[..., dict[str, str]]
) -> None:
    environ = {**fake_nvml(here), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, asked, use, target],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == said


def test_the_gpus_of_another_machine_are_not_counted() -> None:
    request = ActionRequest("train", ("e",), all_gpus=True)
    machine = MachineGpus({"DOCKER_HOST": "ssh://me@box"})
    _, finding = machine.counted(request, GpuUse.MANY, DOCKER)
    assert finding is not None and finding.code == "gpus-unknown"
    assert (
        finding.message
        == "--gpus all: it is not known how many GPUs there are: the engine is on another machine"
    )
    assert machine.counted(replace(request, all_gpus=False, gpus=9), GpuUse.MANY, DOCKER)[1] is None


def test_nvml_is_asked_once_for_the_number_of_gpus_and_the_driver(
    fake_nvml: Callable[..., dict[str, str]],
) -> None:
    program = (
        "import os, sys\n"
        "from taorunner.contracts import GpuUse\n"
        "from taorunner.planning.inputs.gpu_access import MachineGpus\n"
        "from taorunner.planning.model.request import ActionRequest\n"
        "from taorunner.targets import DOCKER\n"
        "machine = MachineGpus(os.environ)\n"
        "counted, _ = machine.counted(ActionRequest('train', ('e',), all_gpus=True), GpuUse.MANY, DOCKER)\n"
        "os.environ['FAKE_NVML_INIT_RC'] = '9'  # from now on the driver does not answer\n"
        "print(counted.gpus, machine.driver_finding(sys.argv[1], 1).message)\n"
    )
    environ = {**fake_nvml(2, driver="570.86"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", program, TAO_7], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("2 NVIDIA driver 570.86 is older than 580")
