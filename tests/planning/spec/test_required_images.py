"""Which images a workspace's experiments need, and by which name runs ask for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.planner import Planned, plan_action
from taorunner.planning.spec.required_images import needed_images
from taorunner.project.image_lock import lock_text
from taorunner.project.workspace import Workspace

TAO = "nvcr.io/nvidia/tao/tao-toolkit"
A = "sha256:" + "ab" * 32
DINO = {"head": "dino", "dataset": "coco"}


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Callable[..., Workspace]:
    def make(experiments: dict[str, Any], **parts: Any) -> Workspace:
        specs = {f"{name}/train.yaml": "results_dir: $results_dir\n" for name in experiments}
        given = {"data": {"coco/": ""}, "specs": {**specs, **parts.pop("specs", {})}, **parts}
        return Workspace(workspace_factory({"experiments": experiments}, **given))

    return make


def planned(workspace: Workspace, name: str, **wishes: Any) -> Planned:
    return plan_action(
        workspace, "example_01", ActionRequest("train", (name,), **wishes), Caller(1, 1, (), "ada")
    )


def test_each_image_once_with_all_who_need_it(workspace: Callable[..., Workspace]) -> None:
    ws = workspace(
        {
            "e1": {**DINO, "release": "5.5.0"},
            "e2": {**DINO, "release": "5.5.0"},
            "e3": {**DINO, "release": "7.0.1", "image": "here/tao"},
            "e4": {**DINO, "backend": "local"},
        },
        specs={"e2/gen_trt_engine.yaml": "x: 1\n"},
    )
    found = needed_images(ws, ["example_01"])
    assert [(image.reference, image.runs_as, image.experiments) for image in found.images] == [
        (f"{TAO}:5.5.0-pyt", f"{TAO}:5.5.0-pyt", ("example_01/e1", "example_01/e2")),
        (f"{TAO}:5.5.0-deploy", f"{TAO}:5.5.0-deploy", ("example_01/e1", "example_01/e2")),
        ("here/tao:latest", "here/tao:latest", ("example_01/e3",)),
        (f"{TAO}:7.0.1-deploy", f"{TAO}:7.0.1-deploy", ("example_01/e3",)),
    ]
    assert found.findings == ()
    lines = ws.project("example_01").experiments_file.read_text().splitlines()
    at = [image.asked_at for image in found.images]
    assert [lines[(one.line or 0) - 1].strip() for one in at] == [
        '"head": "dino",', '"head": "dino",', '"image": "here/tao"', '"head": "dino",',
    ]  # fmt: skip


def test_the_images_of_all_actions_are_needed_not_only_that_of_train(
    workspace: Callable[..., Workspace],
) -> None:
    ws = workspace({"e": {"head": "rtdetr", "dataset": "coco", "release": "7.0.1"}})
    train, deploy = needed_images(ws, ["example_01"]).images
    assert (train.reference, deploy.reference) == (f"{TAO}:7.0.1-pyt", f"{TAO}:7.0.1-deploy")
    assert {"train", "evaluate", "export"} <= set(train.actions)
    assert set(deploy.actions) == {"gen_trt_engine", "deploy.evaluate", "deploy.inference"}


def test_an_image_without_a_spec_for_it_is_not_needed(workspace: Callable[..., Workspace]) -> None:
    ws = workspace({"e": {"head": "rtdetr", "dataset": "coco", "release": "7.0.1"}})
    (ws.project("example_01").specs_dir / "e/train.yaml").unlink()
    assert [image.reference for image in needed_images(ws, ["example_01"]).images] == [f"{TAO}:7.0.1-pyt"]


def test_what_hides_an_image_is_reported(workspace: Callable[..., Workspace]) -> None:
    ws = workspace({"e1": {**DINO, "release": "9.9"}, "e2": {**DINO, "head": "dina"}, "e3": {"head": "dino"}})
    found = needed_images(ws, ["example_01"])
    assert found.images == ()
    assert sorted((one.code, one.line is not None) for one in found.findings) == [
        ("missing-key", True), ("no-image", True), ("no-image", True),
    ]  # fmt: skip


def test_runs_use_the_locked_digest(workspace: Callable[..., Workspace]) -> None:
    lock = {"taorunner.lock": lock_text({f"{TAO}:5.5.0-pyt": A})}
    ws = workspace({"e1": {**DINO, "release": "5.5.0"}, "e2": {**DINO, "release": "7.0.1"}}, files=lock)
    found = needed_images(ws, ["example_01"])
    assert [(image.runs_as, image.is_locked) for image in found.images] == [
        (f"{TAO}@{A}", True), (f"{TAO}:5.5.0-deploy", False), (f"{TAO}:7.0.1-pyt", False),
        (f"{TAO}:7.0.1-deploy", False),
    ]  # fmt: skip
    for name, image in (("e1", f"{TAO}@{A}"), ("e2", f"{TAO}:7.0.1-pyt")):
        (item,) = planned(ws, name).items
        assert item.plan.image == image
    (item,) = planned(ws, "e1", image=f"{TAO}:5.5.0-pyt").items
    assert item.plan.image == f"{TAO}:5.5.0-pyt"  # what is typed wins


def test_a_damaged_lock_stops_runs_that_would_use_it(workspace: Callable[..., Workspace]) -> None:
    ws = workspace({"e1": DINO, "e2": {**DINO, "backend": "local"}}, files={"taorunner.lock": "images: 5\n"})
    codes = ["missing-key", "not-a-mapping"]
    stopped = planned(ws, "e1")
    assert sorted(one.code for one in stopped.findings if one.is_error) == sorted(codes)
    assert [one for one in planned(ws, "e1", image="a:1").findings if one.is_error] == []
    assert [one for one in planned(ws, "e2").findings if one.is_error] == []
