"""Runs, batches, projects and workspaces as objects, on a workspace that was trained once."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import taorunner
from taorunner.api.actions import _request, _spec_text
from taorunner.errors import Finding, MachineError, Severity, UserFilesError


def test_two_objects_of_one_thing_are_equal(trained: taorunner.Workspace) -> None:
    again = taorunner.Workspace.open(trained.path)
    assert (again, hash(again)) == (trained, hash(trained))
    run = trained.run("tiny")
    assert (again.run(run.id), hash(again.run(run.id))) == (run, hash(run))
    assert run != run.id and trained != str(trained.path)
    assert len({run, again.run("tiny")}) == 1
    assert (repr(run), repr(trained)) == (f"Run({run.id!r})", f"Workspace({str(trained.path)!r})")
    assert trained.runs()[0] != trained.runs()[1]


def test_facts_of_a_run(trained: taorunner.Workspace) -> None:
    run = trained.run("tiny")
    assert (run.project, run.experiment, run.action, run.epoch) == ("shapes", "tiny", "train", 2)
    assert (run.state, run.reason) == (taorunner.RunState.SUCCEEDED, "finished 2 epochs")
    assert run.path == trained.path / ".taorunner/runs" / run.id
    assert run.results.is_dir() and run.results.is_relative_to(trained.path)
    assert len(run.checkpoints) == 2 and all(path.is_file() for path in run.checkpoints)
    losses = run.history["train_loss"]
    assert [epoch for epoch, _ in losses] == [1, 2]
    assert run.metrics["train_loss"] == losses[-1][1] and math.isfinite(run.best["train_loss"].value)
    assert run.best["train_loss"].value == min(value for _, value in losses)
    assert run.log(tail=1).count("\n") == 1 and run.log().endswith(run.log(tail=1))
    assert len(run.log()) > len(run.log(tail=2)) > len(run.log(tail=1))


def test_lists_of_runs(trained: taorunner.Workspace) -> None:
    runs = trained.runs()
    assert [run.action for run in runs] == ["train", "dataset_convert"]
    assert trained.runs(limit=1) == runs[:1] and trained.runs(limit=0) == []
    project = trained.project("shapes")
    assert trained.runs("shapes") == trained.runs(project) == runs
    assert trained.runs("another") == []
    assert trained.projects == [project]
    assert project.path == trained.path / "projects/shapes"


def test_a_batch_that_is_over(trained: taorunner.Workspace) -> None:
    run = trained.run("tiny")
    finding = Finding(Severity.WARNING, "code", "text")
    store = trained._store()
    batch = taorunner.Batch(store, "b1", [run.id], [finding])
    assert (batch.id, batch.runs, batch.findings) == ("b1", [run], [finding])
    assert repr(batch) == f"Batch('b1', runs=[{run.id!r}])"
    for follow in (True, False):
        names = [type(event).__name__ for event in batch.events(follow=follow)]
        assert (names[0], names[-1]) == ("RunQueued", "RunFinished")
    assert batch.wait(timeout_s=0) and run.wait(timeout_s=0) is taorunner.RunState.SUCCEEDED
    batch.stop()
    run.stop()
    assert run.state is taorunner.RunState.SUCCEEDED


def test_a_plan_is_what_a_start_would_send(trained: taorunner.Workspace) -> None:
    options = {"overrides": {"train.num_epochs": 3, "train.seed": "5"}, "overwrite": True}
    (run,) = taorunner.plan(trained, trained.project("shapes"), "train", ["tiny"], **options)  # type: ignore[arg-type]
    assert (run.project, run.experiment, run.action, run.backend, run.image) == (
        "shapes", "tiny", "train", "embedded", None,
    )  # fmt: skip
    assert run.spec is not None and "num_epochs: 16" in run.spec
    assert {"train.num_epochs=3", "train.seed=5"} <= set(run.argv)
    assert run.request["argv"] == list(run.argv) and run.results == trained.run("tiny").results
    assert len(trained.runs()) == 2
    with pytest.raises(UserFilesError, match=r"^nothing was started: 1 error.*"):
        taorunner.plan(trained, "shapes", "train", ["nosuch"])


def test_options_become_a_request() -> None:
    request = _request(
        "train", "tiny",
        {
            "gpu_ids": [0, "GPU-1"], "gpus": 2, "checkpoint": Path("x/y.pth"), "overrides": {"a": True, "b": "c"}, "extra": ["-v"],
            "release": "5.5.0", "image": "i:1", "backend": "local", "nodes": 2, "cpus": 3, "memory": "4G", "time": "01:00:00",
        },
    )  # fmt: skip
    assert (request.action, request.experiments, request.gpu_ids, request.gpus) == (
        "train",
        ("tiny",),
        ("0", "GPU-1"),
        2,
    )
    assert (request.checkpoint, request.extra, request.overrides) == (
        "x/y.pth",
        ("-v",),
        {"a": "true", "b": "c"},
    )
    assert (request.release, request.image, request.backend) == ("5.5.0", "i:1", "local")
    assert (request.overwrite, request.resume) == (False, False)
    assert (request.limits.nodes, request.limits.cpus, request.limits.memory_bytes, request.limits.time_s) == (
        2, 3, 4 << 30, 3600,
    )  # fmt: skip
    least = _request("train", ["a", "b"], {})
    assert (least.experiments, least.gpu_ids, least.checkpoint, least.gpus) == (("a", "b"), None, None, None)
    assert [_spec_text(value) for value in ("1", 1, True, None, [1, "a"])] == [
        "1",
        "1",
        "true",
        "null",
        '[1, "a"]',
    ]


def test_validate_by_project_and_strictly(trained: taorunner.Workspace) -> None:
    found = taorunner.validate(trained)
    assert (
        found
        == taorunner.validate(trained, ["shapes"])
        == taorunner.validate(trained, [trained.project("shapes")])
    )
    assert not any(finding.is_error for finding in found)
    warnings = [finding for finding in found if finding.severity is Severity.WARNING]
    strict = taorunner.validate(trained, strict=True)
    assert sum(finding.is_error for finding in strict) == len(warnings)
    with pytest.raises(taorunner.TaorunnerError, match="another"):
        taorunner.validate(trained, ["another"])


def test_an_example_workspace_needs_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(UserFilesError, match="is not empty"):
            taorunner.Workspace.create_example(taken)
    (tmp_path / "empty").mkdir()
    made = taorunner.Workspace.create_example(tmp_path / "empty", images=3, held_out=2)
    data = made.project("shapes").path / "data/shapes"
    assert len(list((data / "train").rglob("*.png"))) == 3
    assert len(list((data / "test").rglob("*.png"))) == 2


def test_an_example_dataset_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="the example dataset could not be made: "):
        taorunner.Workspace.create_example(tmp_path / "new", images=-5, held_out=2)
