"""From the command line of ``shell`` to a plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taorunner.container_options import ContainerOptions, Mount, PublishedPort
from taorunner.errors import MachineError, TaorunnerError, UsageError, UserFilesError
from taorunner.gpu.inventory import Gpu, Inventory
from taorunner.planning.model.plan import GpuRequest
from taorunner.planning.model.request import Caller, Site
from taorunner.project.workspace import Workspace
from taorunner.shell.plan import plan_shell
from taorunner.shell.request import PlannedShell, ShellRequest

TWO = Inventory(tuple(Gpu(index, f"GPU-{index}", "H100") for index in (0, 1)))
DIGEST = f"sha256:{'ab' * 32}"
EXPERIMENTS = """\
experiments:
  plain: {head: dino, dataset: d}
  own: {head: dino, dataset: d, release: 5.5.0, gpus: 2, gpu_indices: [1, 0], user: "7:7", shm_size: 2G, env: {A: experiment}}
  pinned: {head: dino, dataset: d, image: "mine:1"}
"""


@pytest.fixture
def root(workspace_factory: Callable[..., Path]) -> Path:
    return workspace_factory(EXPERIMENTS, data={"d/": ""})


@pytest.fixture
def plan(root: Path, tmp_path: Path) -> Callable[..., PlannedShell]:
    """``plan(head="dino", environ={…}, inventory=…, here=…)``."""

    def make(
        *,
        environ: dict[str, str] | None = None,
        inventory: Inventory = TWO,
        here: Path | None = None,
        project: str | None = None,
        **words: Any,
    ) -> PlannedShell:
        variables = {"HOME": str(tmp_path), **(environ or {})}
        caller = Caller(1000, 1001, (4,), "somebody", variables)
        return plan_shell(
            Workspace(root), project or ("example_01" if "experiment" in words else None), ShellRequest(**words), caller,
            Site("r1", root / ".taorunner" / "shells" / "r1"),
            here=here or tmp_path, inventory=inventory, free_port=lambda: 60000,
        )  # fmt: skip

    return make


def problems(error: TaorunnerError) -> list[str]:
    return [finding.message for finding in error.findings] or [error.message]


def test_a_shell_is_mounted_and_guarded_as_a_run(plan: Callable[..., PlannedShell], root: Path) -> None:
    found = plan(
        head="dino", release="5.5.0", terminal=(30, 90), environ={"TERM": "screen", "COLORTERM": "truecolor"}
    ).plan
    assert found.image == "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt"
    assert found.mounts == (
        Mount(root / "projects", "/workspace/projects"),
        Mount(root / "projects", "/workspace/experiments"),
        Mount(root / "repositories", "/workspace/repositories"),
        Mount(root / ".tao_inside/homes/nvcr.io+nvidia+tao+tao-toolkit", "/taorunner/home"),
        Mount(root / ".taorunner" / "shells" / "r1" / "input", "/taorunner/run", read_only=True),
    )
    assert found.options == ContainerOptions(
        user="1000:1001", groups=(4,), shm_bytes=16 << 30, ulimits={"stack": 67108864}, tty=True, interactive=True,
        terminal=(30, 90),
    )  # fmt: skip
    assert (found.argv, found.gpus, found.action) == ((), GpuRequest(1), "shell")
    assert (found.env["TERM"], found.env["COLORTERM"], found.env["HOME"]) == (
        "screen",
        "truecolor",
        "/taorunner/home",
    )


@pytest.mark.parametrize(
    ("words", "image"),
    [
        (
            {"head": "dino", "release": "5.5.0", "group": "deploy"},
            "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-deploy",
        ),
        ({"group": "pyt", "release": "5.5"}, "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt"),
        (
            {"group": "data_services", "release": "6.0.0"},
            "nvcr.io/nvidia/tao/tao-toolkit:6.0.0-data-services",
        ),
        ({"group": "tf1", "release": "3.21.08"}, "nvcr.io/nvidia/tao/tao-toolkit-tf:v3.21.08-py3"),
        ({"group": "pyt"}, "nvcr.io/nvidia/tao/tao-toolkit:7.0.1-pyt"),
        ({"group": "pyt", "tag": "nightly"}, "nvcr.io/nvidia/tao/tao-toolkit:nightly"),
        ({"experiment": "own"}, "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt"),
        ({"experiment": "own", "release": "6.0.0"}, "nvcr.io/nvidia/tao/tao-toolkit:6.0.0-pyt"),
        ({"experiment": "pinned"}, "mine:1"),
        ({"experiment": "pinned", "image": "other"}, "other"),
        ({"image": "localhost:5000/x", "tag": "2"}, "localhost:5000/x:2"),
        ({"image": f"x@{DIGEST}", "tag": "2"}, "x:2"),
    ],
)
def test_which_image(words: dict[str, str], image: str, plan: Callable[..., PlannedShell]) -> None:
    assert plan(**words).plan.image == image


def test_the_command_line_beats_the_experiment(plan: Callable[..., PlannedShell]) -> None:
    own = plan(experiment="own").plan
    assert (own.gpus, own.options.user, own.options.shm_bytes) == (GpuRequest(2, ("1", "0")), "7:7", 2 << 30)
    assert own.env["A"] == "experiment"
    other = plan(
        experiment="own", gpus="all", run_as_user=True, shm_size="1G", env=("A=typed",),
        ulimits=("stack=5", "nofile=1:2"),
    ).plan  # fmt: skip
    assert (other.gpus, other.options.user, other.options.shm_bytes) == (
        GpuRequest(2, ("0", "1")),
        "1000:1001",
        1 << 30,
    )
    assert other.env["A"] == "typed"
    assert (other.options.ulimits, other.options.hard_ulimits) == ({"stack": 5, "nofile": 1}, {"nofile": 2})


def test_without_a_gpu_none_is_asked_for_unless_named(plan: Callable[..., PlannedShell]) -> None:
    nothing = Inventory(reason="there is no driver")
    assert plan(image="x", inventory=nothing).plan.gpus == GpuRequest()
    assert plan(image="x", gpus="0", inventory=nothing).plan.gpus == GpuRequest(1, ("0",))
    with pytest.raises(MachineError) as caught:
        plan(image="x", gpus="all", inventory=nothing)
    assert caught.value.message == "--gpus all: there is no driver"


def test_a_source_tree_is_mounted_on_the_path_in_its_base_image(
    plan: Callable[..., PlannedShell], tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    (tree / "docker").mkdir(parents=True)
    (tree / "tao-core").mkdir()
    manifest = {"registry": "nvcr.io", "repository": "a/base", "digest": DIGEST}
    (tree / "docker" / "manifest.json").write_text(json.dumps(manifest))
    found = plan(source=Path("tree")).plan
    assert found.image == f"nvcr.io/a/base@{DIGEST}"
    assert Mount(tree, "/tao-pt") in found.mounts
    assert found.env["PYTHONPATH"] == "/tao-pt:/tao-pt/tao-core"
    assert plan(source=tree, tag="mine").plan.image == "nvcr.io/a/base:mine"
    assert plan(source=tree, here=tree / "docker").plan.options.workdir == "/tao-pt/docker"

    beside = plan(source=tree, head="dino", env=("PYTHONPATH=/mine",))
    assert beside.plan.env["PYTHONPATH"] == "/tao-pt:/tao-pt/tao-core:/mine"
    assert beside.plan.image == "nvcr.io/nvidia/tao/tao-toolkit:7.0.1-pyt"
    for broken in ("{", "[]", '{"registry": "nvcr.io"}', json.dumps({**manifest, "digest": "latest"})):
        (tree / "docker" / "manifest.json").write_text(broken)
        with pytest.raises(UserFilesError):
            plan(source=tree)


def test_a_notebook_is_published_on_loopback_and_its_token_is_a_secret(
    plan: Callable[..., PlannedShell],
) -> None:
    found = plan(image="x", jupyter=True, token="hush")
    assert found.plan.argv == ("jupyter", "notebook", "--ip=0.0.0.0", "--port=8888", "--no-browser")
    assert found.plan.options.published == (PublishedPort(8888, 60000),)
    assert found.notebook is not None
    assert (found.notebook.url, found.notebook.token) == ("http://127.0.0.1:60000/", "hush")
    assert "hush" not in repr(found)
    assert [(secret.variable, secret.origin) for secret in found.plan.secrets] == [
        ("JUPYTER_TOKEN", "literal:hush")
    ]
    elsewhere = plan(image="x", jupyter=True, ports=("0.0.0.0:9000:8888",), token="hush")
    assert elsewhere.plan.options.published == (PublishedPort(8888, 9000, "0.0.0.0"),)
    assert elsewhere.notebook is not None
    assert elsewhere.notebook.url == "http://127.0.0.1:9000/"


def test_the_mounts_files_are_joined(plan: Callable[..., PlannedShell], root: Path, tmp_path: Path) -> None:
    options = {"user": "5:5", "ports": {"8888": 80}, "privileged": True, "ulimits": {"memlock": -1}}
    (root / ".tao_mounts.json").write_text(
        json.dumps({"Mounts": [{"source": str(root), "destination": "/all"}], "DockerOptions": options})
    )
    more = tmp_path / "more.json"
    more.write_text(
        json.dumps(
            {
                "Mounts": [
                    {"source": str(root), "destination": "/all"},
                    {"source": "/usr", "destination": "/t"},
                ],
                "Envs": [{"variable": "A", "value": "file"}, {"variable": "WANDB_KEY", "value": "hush"}],
                "DockerOptions": {"user": "6:6"},
            }
        )
    )
    found = plan(image="x", mounts_file=Path("more.json"))
    assert [mount.target for mount in found.plan.mounts] == [
        "/all",
        "/t",
        "/all/.taorunner",
        "/all/.tao_inside",
        "/taorunner/home",
        "/taorunner/run",
    ]
    assert (found.plan.options.user, found.plan.options.ulimits) == ("6:6", {"memlock": -1})
    assert found.plan.options.published == (PublishedPort(8888, 80),)
    assert found.plan.options.privileged
    assert [finding.code for finding in found.findings] == ["privileged"]
    assert found.plan.env["A"] == "file"
    assert "hush" not in json.dumps(found.plan.to_json())
    more.write_text('{"Mounts": [{"source": "/nosuch", "destination": "/x"}]}')
    with pytest.raises(UserFilesError) as caught:
        plan(image="x", mounts_file=more)
    (finding,) = caught.value.findings
    assert (finding.code, finding.file, finding.line) == ("missing-source", more, 1)


def test_every_problem_of_the_command_line_at_once(plan: Callable[..., PlannedShell], root: Path) -> None:
    with pytest.raises(UsageError) as caught:
        plan(
            head="dno", volumes=("nowhere:/x", "/tmp:/taorunner/home"), ports=("1:80", "1:81"),
            ulimits=("stak=1",), shm_size="big", gpus="zero", source=Path("gone"),
        )  # fmt: skip
    assert [message.partition(":")[0] for message in problems(caught.value)] == [
        '--source "gone"',
        '--volume "nowhere',
        'two mounts at "/taorunner/home"',
        '--gpus "zero"',
        '--ulimit "stak=1"',
        '--shm-size "big"',
        "port 1 of this machine is published twice",
        '"dno" is not a network of the catalog',
    ]


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        ({}, UsageError, "no image given"),
        ({"image": ""}, UsageError, "no image given"),
        ({"image": "x", "tag": "a b"}, UsageError, '--tag cannot be "a b"'),
        ({"head": "dino", "experiment": "own"}, UsageError, "--head cannot be combined with --experiment"),
        ({"experiment": "onw"}, UsageError, 'there is no experiment "onw" in project "example_01"'),
        ({"group": "pty"}, UserFilesError, 'there is no image group "pty"'),
        (
            {"group": "pyt", "release": "9.9"},
            UserFilesError,
            'no image of the group "pyt" is known for TAO release "9.9"',
        ),
        ({"head": "dino", "group": "train"}, UserFilesError, '"dino" has no group "train"'),
        ({"head": "tinydet"}, UserFilesError, '"tinydet" runs without a container'),
    ],
)
def test_wrong_words(
    words: dict[str, str], kind: type[TaorunnerError], message: str, plan: Callable[..., PlannedShell]
) -> None:
    with pytest.raises(kind) as caught:
        plan(**words)
    assert problems(caught.value) == [message]


def test_what_is_set_with_env_is_never_in_an_error_or_a_plan(plan: Callable[..., PlannedShell]) -> None:
    with pytest.raises(UsageError) as caught:
        plan(image="x", env=("1=hush",))
    assert caught.value.message == '--env "1": "1" is not a name of a variable'
    found = plan(image="x", env=("A_TOKEN=hush", "B=env:HOME", "C"), environ={"C": "here"}).plan
    assert "hush" not in json.dumps(found.to_json()) + repr(found)
    assert [(secret.variable, secret.origin) for secret in found.secrets] == [
        ("A_TOKEN", "literal:hush"),
        ("B", "env:HOME"),
    ]
    assert found.env["C"] == "here"


def test_the_shell_begins_in_the_current_folder(plan: Callable[..., PlannedShell], root: Path) -> None:
    here = root / "projects" / "example_01" / "data"
    assert plan(image="x", here=here).plan.options.workdir == "/workspace/projects/example_01/data"
    assert plan(image="x").plan.options.workdir is None


def test_a_project_without_an_experiment_is_no_problem(plan: Callable[..., PlannedShell]) -> None:
    found = plan(project="example_01", head="dino", release="5.5.0")
    assert (found.findings, found.plan.image) == ((), "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt")


@pytest.mark.parametrize(
    ("words", "network", "group"),
    [
        ({"head": "dino", "release": "5.5.0"}, "dino", ""), ({"group": "pyt"}, "pyt", "pyt"),
        ({"experiment": "own"}, "dino", ""), ({"image": "x"}, "shell", ""),
    ],
)  # fmt: skip
def test_what_a_shell_is_of(
    words: dict[str, str], network: str, group: str, plan: Callable[..., PlannedShell]
) -> None:
    contract = plan(**words).plan.contract
    assert (contract.network, contract.group) == (network, group)


def test_an_experiment_with_mistakes_shows_them_and_is_no_bar_for_others(
    plan: Callable[..., PlannedShell], root: Path
) -> None:
    file = root / "projects" / "example_01" / "experiments.yml"
    file.write_text(EXPERIMENTS + "  wrong: {head: dino, dataset: d, gpus: many}\n")
    assert plan(experiment="pinned").plan.image == "mine:1"
    with pytest.raises(UserFilesError) as caught:
        plan(experiment="wrong")
    (finding,) = caught.value.findings  # and not that an image is missing, too
    assert (finding.file, finding.line) == (file, 5)
