"""A spec that sends output to where its container may only read is a warning, in ``validate`` and before a start."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.planner import plan_action
from taorunner.planning.validate import validate_projects
from taorunner.project.workspace import Workspace

PROJECT = "/workspace/projects/example_01"
IN_E1, IN_E2 = f"{PROJECT}/models/e1/x.onnx", f"{PROJECT}/models/e2/x.onnx"


@pytest.fixture
def make(workspace_factory: Callable[..., Path]) -> Callable[..., Workspace]:
    def made(name: str, text: str, files: Mapping[str, str] | None = None) -> Workspace:
        entry = {"head": "dino", "dataset": "d", "release": "7.0.1"}
        return Workspace(
            workspace_factory(
                {"experiments": {"e1": entry}}, data={"d/a.txt": ""}, files=files,
                specs={"e1/train.yaml": "results_dir: $results_dir\n", f"e1/{name}.yaml": f"results_dir: $results_dir\n{text}"},
            )
        )  # fmt: skip

    return made


def found(workspace: Workspace) -> list[tuple[str, str, int | None]]:
    findings = validate_projects(workspace, (), {"HOME": "/nowhere"})
    return [(one.message, one.severity.value, one.line) for one in findings if one.code == "output-read-only"]


@pytest.mark.parametrize(
    ("name", "text", "key", "place"),
    [
        (
            "evaluate",
            f"evaluate: {{results_dir: {PROJECT}/models/shared}}\n",
            "evaluate.results_dir",
            "models/shared",
        ),
        ("train", f"dataset: {{cache_dir: {PROJECT}/data/cache}}\n", "dataset.cache_dir", "data/cache"),
        ("train", "dataset: {cache_dir: $dataset_raw/cache}\n", "dataset.cache_dir", "data/d/cache"),
        ("export", f"export: {{onnx_file: {IN_E2}}}\n", "export.onnx_file", "models/e2/x.onnx"),
    ],
)
def test_a_place_that_is_read_only_is_named(
    make: Callable[..., Workspace], name: str, text: str, key: str, place: str
) -> None:
    workspace = make(name, text)
    message = f'"{place}" is read-only in the container, and "{key}" names it as a place to write'
    assert found(workspace) == [(message, "warning", 2)]
    caller = Caller(1, 1, (), "ada", {"HOME": "/nowhere"})
    planned = plan_action(workspace, "example_01", ActionRequest(name, ("e1",), dry_run=True), caller)
    assert [one.message for one in planned.findings if one.code == "output-read-only"] == [message]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train", "dataset: {cache_dir: $results_dir/cache}\n"),
        ("train", "dataset: {cache_dir: /tmp/cache}\n"),
        ("train", f"export: {{onnx_file: {IN_E2}}}\n"),
        ("export", f"export: {{onnx_file: {IN_E1}}}\n"),
        ("gen_trt_engine", f"gen_trt_engine: {{onnx_file: {IN_E2}}}\n"),
        ("convert", "data: {output_dir: $dataset_raw/coco}\n"),
    ],
)
def test_what_may_be_written_or_is_read_is_not(make: Callable[..., Workspace], name: str, text: str) -> None:
    assert found(make(name, text)) == []


def test_a_mounts_file_can_open_it(make: Callable[..., Workspace]) -> None:
    text = f"dataset: {{cache_dir: {PROJECT}/models/shared}}\n"
    mounts = [{"source": "projects", "destination": "/workspace/projects", "read_only": True}]
    workspace = make("train", text, {".tao_mounts.json": json.dumps({"Mounts": mounts})})
    assert len(found(workspace)) == 1
    mounts.append({"source": "projects/example_01/models", "destination": f"{PROJECT}/models"})
    (workspace.projects_dir / "example_01/models").mkdir(exist_ok=True)
    workspace.mounts_file.write_text(json.dumps({"Mounts": mounts}))
    assert found(workspace) == []
