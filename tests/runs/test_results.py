"""Access to results on this host."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.container_options import Mount
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.far_results import results_of
from taorunner.runs.results import LocalResults


@pytest.fixture
def plan(tmp_path: Path) -> RunPlan:
    return RunPlan(
        project="p", experiment="e", action="train", backend="docker", contract=load_network("dino").contract("train"),
        argv=("x",), workspace=tmp_path, results_dir=tmp_path / "e", results_inside="/results/e", run_inside="/r",
        mounts=(Mount(tmp_path, "/results", read_only=False), Mount(tmp_path / "deep", "/results/deep", read_only=False)),
    )  # fmt: skip


def test_sizes_and_times_of_files_folders_and_nothing(plan: RunPlan, tmp_path: Path) -> None:
    results = results_of(plan)
    (tmp_path / "e" / "inner").mkdir(parents=True)
    (tmp_path / "e" / "a").write_bytes(b"123")
    (tmp_path / "e" / "inner" / "b").write_bytes(b"12345")
    assert [results.size(tmp_path / name) for name in ("e/a", "e", "gone")] == [3, 8, 0]
    assert results.modified_s(tmp_path / "e/a") == (tmp_path / "e/a").stat().st_mtime
    assert results.modified_s(tmp_path / "gone") is None
    assert results.free_bytes() > 0
    assert LocalResults(plan, lambda path: len(str(path))).free_bytes() == len(str(tmp_path / "e"))


def test_the_deepest_mount_says_where_a_path_lies(plan: RunPlan, tmp_path: Path) -> None:
    results = results_of(plan)
    assert results.host_path("/results/e/x") == tmp_path / "e" / "x"
    assert results.host_path("/results/deep/../deep/x") == tmp_path / "deep" / "x"
    assert results.host_path("/resultset/x") is None
    assert results.host_path("/results") == tmp_path
    deep = Mount(tmp_path / "elsewhere", "/results/deep", read_only=False)
    for mounts in ((deep, plan.mounts[0]), (plan.mounts[0], deep)):
        turned = results_of(replace(plan, mounts=mounts))
        assert turned.host_path("/results/deep/x") == tmp_path / "elsewhere" / "x"
    assert results_of(replace(plan, mounts=())).host_path("/a/b") == Path("/a/b")


def test_artifacts_and_checkpoints_are_found_untrained_weights_are_none(
    plan: RunPlan, tmp_path: Path
) -> None:
    results = results_of(plan)
    assert (results.checkpoints(), list(results.artifacts())) == ([], [])
    train = tmp_path / "e" / "train"
    train.mkdir(parents=True)
    for name in ("model_epoch_001_step_00008.pth", "model_epoch_000_step_00004.pth"):
        (train / name).write_bytes(b"weights")
    assert [path.name for path in results.checkpoints()] == [
        "model_epoch_000_step_00004.pth",
        "model_epoch_001_step_00008.pth",
    ]
    assert {path.name for path in results.artifacts()} == {path.name for path in train.iterdir()}
