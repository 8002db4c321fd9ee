"""Nodes, CPUs, memory and time on their way from the file and the command line into a plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.load import load_network
from taorunner.errors import Finding, Severity, UnknownNameError
from taorunner.planning.inputs.resources import ignored_options
from taorunner.planning.model.plan import GpuRequest, Resources, RunPlan
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.planner import Planned, plan_action
from taorunner.planning.validate import validate_projects
from taorunner.project.limits import Limits
from taorunner.project.workspace import Workspace
from taorunner.targets import DOCKER, EMBEDDED, LOCAL

SPEC = "train:\n  num_epochs: 2\n"
TOP = "tao_config:\n{keys}experiments:\n  e1: {{head: dino, dataset: d{more}}}\n"
Write = Callable[..., Workspace]


@pytest.fixture
def write(workspace_factory: Callable[..., Path]) -> Write:
    def make(*keys: str, more: str = "") -> Workspace:
        text = TOP.format(keys="".join(f"  {key}\n" for key in ("gpus: 2", *keys)), more=more)
        return Workspace(workspace_factory(text, specs={"e1/train.yaml": SPEC}, data={"d/": ""}))

    return make


def planned(workspace: Workspace, **options: Any) -> Planned:
    caller = Caller(1000, 1000, (), "ada", {"HOME": "/nowhere"})
    request = ActionRequest("train", ("e1",), **options)
    return plan_action(
        workspace, "example_01", request, caller, lambda name, _: Site(name, workspace.runs_dir / name)
    )


def limits_found(findings: Any) -> list[tuple[str, str, int | None, str | None]]:
    codes = ("too-many-nodes", "resource-ignored")
    found: list[Finding] = [one for one in findings if one.code in codes]
    return [(one.severity.value, one.message, one.line, one.hint) for one in found]


def test_the_file_and_the_command_line_reach_the_plan(write: Write) -> None:
    workspace = write("cpus: 8", "memory: 64G")
    (item,) = planned(workspace).items
    assert item.plan.resources == Resources(1, GpuRequest(2), 8, 64 << 30)
    assert item.plan.gpus == GpuRequest(2)
    (item,) = planned(workspace, gpus=1, limits=Limits(cpus=4)).items
    assert item.plan.resources == Resources(1, GpuRequest(1), 4, 64 << 30)
    assert RunPlan.from_json(json.loads(json.dumps(item.plan.to_json()))) == item.plan


def test_a_plan_of_an_earlier_version_keeps_its_gpus(write: Write) -> None:
    (item,) = planned(write()).items
    stored = item.plan.to_json()
    stored["gpus"] = {"count": 2, "ids": ["3", "GPU-1"]}
    del stored["resources"]
    assert RunPlan.from_json(stored).resources == Resources(gpus=GpuRequest(2, ("3", "GPU-1")))


@pytest.mark.parametrize("backend", ["docker", "local"])
def test_several_nodes_are_refused_where_a_backend_has_one(write: Write, backend: str) -> None:
    workspace = write("nodes: 2", f"backend: {backend}")
    said = (
        "error", f'the backend "{backend}" runs on one node, not on 2', 3,
        "set nodes to 1, or choose a backend that has several nodes",
    )  # fmt: skip
    made = planned(workspace)
    assert (made.items, limits_found(made.findings)) == ((), [said])
    assert limits_found(validate_projects(workspace, ["example_01"], {})) == [said]
    assert limits_found(planned(workspace, limits=Limits(nodes=1)).findings) == []


def test_what_a_backend_does_not_limit_is_a_warning_at_its_key(write: Write) -> None:
    workspace = write("backend: local", "cpus: 8", more=", time: 12h")
    expected = [
        ("warning", f'the backend "local" does not limit {what}: "{key}" is ignored', line,
         f'remove "{key}", or choose another backend')
        for what, key, line in (("the CPUs", "cpus", 4), ("the time", "time", 6))
    ]  # fmt: skip
    made = planned(workspace)
    assert limits_found(made.findings) == expected
    assert limits_found(validate_projects(workspace, ["example_01"], {})) == expected
    assert len(made.items) == 1
    typed = planned(workspace, backend="docker", limits=Limits(time_s=60)).findings
    assert limits_found(typed) == [
        (
            "warning",
            'the backend "docker" does not limit the time: "time" is ignored',
            None,
            "leave out --time",
        )
    ]


def test_one_node_is_what_every_backend_has(write: Write) -> None:
    assert limits_found(planned(write("nodes: 1", "backend: local")).findings) == []


@pytest.mark.parametrize(
    ("action", "asked", "said"),
    [
        ("train", {"image": "x:1"}, 'the backend "embedded" uses no container image: --image has no effect'),
        (
            "train",
            {"release": "7.0.1"},
            "tinydet is part of taorunner, not of a TAO release: --release has no effect",
        ),
        ("train", {"gpus": 2}, "tinydet train uses no GPU: --gpus has no effect"),
        ("export", {"all_gpus": True}, "tinydet export uses no GPU: --gpus has no effect"),
        ("train", {"gpu_ids": ("0",)}, "tinydet train uses no GPU: --gpu-indices has no effect"),
        ("train", {"gpus": 0}, None),
        ("train", {"gpus": 2, "then": ("export",)}, None),
    ],
)
def test_an_option_without_a_meaning_is_said(action: str, asked: dict[str, Any], said: str | None) -> None:
    contract = load_network("tinydet").contract(action)
    found = list(ignored_options(contract, EMBEDDED, ActionRequest(action, ("e",), **asked)))
    assert [one.message for one in found] == ([said] if said is not None else [])
    assert all(one.severity is Severity.WARNING and one.typed for one in found)


def test_an_image_has_no_meaning_for_programs_of_this_machine() -> None:
    request = ActionRequest("train", ("e",), image="x:1", release="7.0.1", gpus=2)
    contract = load_network("rtdetr").contract("train", "7.0.1")
    (said,) = ignored_options(contract, LOCAL, request)
    assert said.message == 'the backend "local" uses no container image: --image has no effect'
    assert list(ignored_options(contract, DOCKER, request)) == []
    one_gpu = load_network("ssd").contract("export")
    assert [one.message for one in ignored_options(one_gpu, DOCKER, request)] == [
        "ssd export uses one GPU: --gpus has no effect"
    ]


@pytest.mark.parametrize("name", ["9.9", "embedde", ""])
def test_a_release_that_is_none_is_refused_for_the_embedded_network_too(name: str) -> None:
    network = load_network("tinydet")
    with pytest.raises(UnknownNameError, match="unknown TAO release"):
        network.actions(name)
    assert network.actions("7.0.1") == network.actions("v5.0") == network.actions()
