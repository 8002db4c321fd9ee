"""``sweep suggest``: what is printed can be pasted, and a start takes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from filled_in import fill_in

import taorunner
from taorunner.errors import UserFilesError
from taorunner.planning.new_project import new_project
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.sweeps.checks.preflight import prepare
from taorunner.sweeps.suggestion import Suggestion, suggest, yaml_of


def pasted(root: Path, project: str, found: Suggestion) -> None:
    file = root / f"projects/{project}/experiments.yml"
    file.write_text(f"{file.read_text()}\n{yaml_of(found, is_first=True)}")
    workspace = Workspace(root)
    loaded = load_project(workspace, project, {})
    assert loaded.sweeps == {found.sweep.name: found.sweep}, loaded.findings
    prepared, findings = prepare(workspace, project, found.sweep, {}, dry_run=True, is_lenient=True)
    assert prepared is not None, findings


def test_values_lie_around_those_of_the_base(tmp_path: Path) -> None:
    made = taorunner.Workspace.create_example(tmp_path / "w", images=2, held_out=1)
    found = suggest(Workspace(made.path), "shapes", "tiny", {})
    assert yaml_of(found, is_first=True) == (
        "sweeps:\n"
        "  tiny_search:\n"
        "    base: tiny\n"
        "    trials: 24\n"
        "    space:\n"
        "      train.learning_rate: {log: [0.0008, 0.08]}\n"
        "      train.batch_size: {choice: [4, 8, 16]}\n"
        "#     model.backbone: {choice: [tiny, small]}\n"
    )
    pasted(made.path, "shapes", found)
    assert suggest(Workspace(made.path), "shapes", "tiny", {}).sweep.name == "tiny_search_2"


@pytest.mark.parametrize("head", ["rtdetr", "pointpillars", "yolo_v4"])
def test_a_network_of_tao_has_a_sweep_that_a_start_takes(tmp_path: Path, head: str) -> None:
    """With NVIDIA's list; with one, and without a metric that ranks; without a list."""
    workspace = Workspace(tmp_path)
    new_project(tmp_path, tmp_path, "p", head=head, backbone=None, experiment=None, dataset="train")
    fill_in(tmp_path / "projects/p")
    (name,) = load_project(workspace, "p", {}).experiments
    found = suggest(workspace, "p", name, {})
    keys = [axis.key for axis in found.sweep.space]
    assert any("lr" in key or "learning_rate" in key for key in keys)
    assert found.is_listed == (head != "yolo_v4")
    assert (found.sweep.metric is not None) == (head == "pointpillars")
    pasted(tmp_path, "p", found)


def test_a_base_with_errors_of_its_own_is_refused(tmp_path: Path) -> None:
    made = taorunner.Workspace.create_example(tmp_path / "w", images=2, held_out=1)
    spec = made.path / "projects/shapes/specs/small/train.yaml"
    spec.write_text(spec.read_text().replace("batch_size: 8", "batch_size: many"))
    with pytest.raises(UserFilesError, match="nothing is proposed") as refused:
        suggest(Workspace(made.path), "shapes", "tiny", {})
    assert "many" in refused.value.findings[0].message
