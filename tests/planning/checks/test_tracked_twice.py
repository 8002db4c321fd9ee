"""TAO's own Weights & Biases beside the files that taorunner writes: two records of one run, which ``validate`` says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from launch_workspaces import good_workspace

from taorunner.errors import Finding, Severity
from taorunner.planning.validate import validate_projects
from taorunner.project.workspace import Workspace

ON = "wandb:\n  enable: true\n"
OF_TF1 = "training_config {\n  visualizer { wandb_config { enabled: true } }\n}\n"


def found(root: Path, head: str, spec: str, **keys: object) -> list[Finding]:
    good_workspace(root, head)
    home = root / "projects/p"
    (file,) = (home / "specs/e1").glob("train.*")
    with file.open("a") as stream:
        stream.write(spec)
    body = json.loads((home / "experiments.yml").read_text())
    body["experiments"]["e1"] |= keys
    (home / "experiments.yml").write_text(json.dumps(body))
    findings = validate_projects(Workspace(root), ["p"], {"HOME": "/nowhere"})
    return [one for one in findings if one.code == "tracked-twice"]


@pytest.mark.parametrize(
    ("head", "spec", "key"),
    [
        ("rtdetr", ON, "wandb.enable"),
        ("detectnet_v2", OF_TF1, "training_config.visualizer.wandb_config.enabled"),
    ],
)
def test_both_are_on(head: str, spec: str, key: str, tmp_path: Path) -> None:
    (one,) = found(tmp_path / "ws", head, spec, track={"wandb": {}})
    assert (one.severity, one.file is not None and one.file.name.startswith("train."), one.line is not None) == (
        Severity.WARNING, True, True,
    )  # fmt: skip
    assert one.message == f'"{key}" is on, and "track" in experiments.yml has wandb: two records of one run'
    assert one.hint == f'set "{key}" to false, or take wandb out of "track"'


@pytest.mark.parametrize(
    ("spec", "keys"),
    [
        (ON, {}),
        (ON, {"track": {"mlflow": {"uri": "http://127.0.0.1:5000"}}}),
        (ON, {"track": {"wandb": {}}, "overrides": {"wandb.enable": False}}),
        ("wandb:\n  enable: false\n", {"track": {"wandb": {}}}),
        ("", {"track": {"wandb": {}}}),
    ],
)
def test_one_of_them_is_fine(spec: str, keys: dict[str, object], tmp_path: Path) -> None:
    assert found(tmp_path / "ws", "rtdetr", spec, **keys) == []


def test_overrides_count(tmp_path: Path) -> None:
    assert found(tmp_path / "ws", "rtdetr", "", track={"wandb": {}}, overrides={"wandb.enable": True})
