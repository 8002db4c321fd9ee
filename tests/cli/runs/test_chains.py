"""``--then``: actions one after another, each on the result of the one before."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, wait_for
from killing import kill_supervisors

SPEC = (
    "results_dir: $results_dir\ntrain:\n  num_epochs: 3\n  checkpoint_interval: 1\n  validation_interval: 1\n"
)
EXPERIMENT = "{head: dino, dataset: d, backend: local, gpus: 0, env: {FAKE_EPOCH_S: '0.4', FAKE_STEPS: '4'}}"
Environment = Callable[..., dict[str, str]]


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    """Two experiments of dino that TAO's stand-in runs on this host, and one of another network."""
    specs = {f"{name}/{action}.yaml": SPEC for name in ("first", "second") for action in ("train", "export")}
    return workspace_factory(
        f"experiments:\n  first: {EXPERIMENT}\n  second: {EXPERIMENT}\n", specs=specs, data={"d/": ""}
    )


def runs_of(workspace: Path) -> dict[str, dict[str, Any]]:
    """Records by ``experiment action``, with the plan."""
    found = {}
    for path in sorted((workspace / ".taorunner/runs").glob("*/record.json")):
        record = json.loads(path.read_text())
        plan = json.loads((path.parent / "plan.json").read_text())
        found[f"{record['experiment']} {record['action']}"] = {**record, "plan": plan, "folder": path.parent}
    return found


def states(workspace: Path) -> dict[str, tuple[str, str | None]]:
    return {name: (one["state"], one["reason"]) for name, one in runs_of(workspace).items()}


def ended(cli: Cli, workspace: Path) -> None:
    wait_for(lambda: cli("ps", "--json", cwd=workspace).json == [])


def test_each_action_works_on_what_the_one_before_made(
    cli: Cli, workspace: Path, tao_commands: Environment
) -> None:
    env = tao_commands("pyt_7")
    done = cli("train", "first", "second", "--then", "evaluate,export", "--json", cwd=workspace, env=env)
    assert done.code == 0, done.err
    queued = [one["run"] for one in done.events if one["event"] == "RunQueued"]
    finished = [one["run"] for one in done.events if one["event"] == "RunFinished"]
    assert len(queued) == len(finished) == 6
    for name in ("first", "second"):
        runs = [runs_of(workspace)[f"{name} {action}"] for action in ("train", "evaluate", "export")]
        assert [one["state"] for one in runs] == ["SUCCEEDED"] * 3
        assert [one["after"] for one in runs] == [None, runs[0]["id"], runs[1]["id"]]
        results = workspace / "projects/example_01/models" / name
        checkpoint = str(results / "train/dino_model_latest.pth")
        newest = [token for one in runs[1:] for token in one["plan"]["argv"] if ".checkpoint=" in token]
        assert len(newest) == 2 and {token.partition("=")[2] for token in newest} != {checkpoint}
        path = Path(newest[0].partition("=")[2].replace("\\\\", ""))
        assert path.is_file() and path.is_relative_to(results / "train")
        assert list((results / "export").glob("*.onnx")) == [results / f"export/{path.stem}.onnx"]
        started = [one["started_at"] for one in runs]
        assert started == sorted(started)
        assert all(one["finished_at"] <= later for one, later in zip(runs, started[1:], strict=False))


def test_after_a_failure_the_rest_is_not_started(
    cli: Cli, workspace: Path, tao_commands: Environment
) -> None:
    env = {**tao_commands("pyt_7")}
    words = ("train", "first", "--then", "evaluate,export", "--env", "FAKE_FAIL=traceback")
    done = cli(*words, "--plain", cwd=workspace, env=env)
    assert done.code == 1
    assert done.out.count("stopped: not started: train failed") == 2
    assert "\n■ first evaluate, first export: not started: train failed\n" in done.out
    found = states(workspace)
    assert found["first train"][0] == "FAILED"
    assert found["first evaluate"] == found["first export"] == ("STOPPED", "not started: train failed")
    again = cli(*words, "--overwrite", "--json", cwd=workspace, env=env)
    reasons = [
        one["reason"] for one in again.events if one["event"] == "RunFinished" and one["state"] == "STOPPED"
    ]
    assert (again.code, reasons) == (1, ["not started: train failed"] * 2)


def test_stop_ends_the_chain(cli: Cli, workspace: Path, tao_commands: Environment) -> None:
    env = tao_commands("pyt_7")
    words = ("train", "first", "--then", "evaluate,export", "--env", "FAKE_EPOCH_S=30", "--detach")
    started = cli(*words, cwd=workspace, env=env)
    assert started.code == 0 and len(started.out.split()) == 3, started.err
    refused = cli("train", "first", "--overwrite", cwd=workspace, env=env)
    assert refused.code == 6 and "has not ended" in refused.err
    assert "first-train-" in cli("runs", "show", "first", cwd=workspace).out
    listed = cli("ps", cwd=workspace).out.splitlines()
    assert any(re.search(r" evaluate +queued .*after train( |$)", line) for line in listed), listed
    assert any(re.search(r" export +queued .*after evaluate( |$)", line) for line in listed), listed
    stopped = cli("stop", "first", cwd=workspace)
    assert stopped.code == 0 and stopped.out.count("  stopped  ") == 3, stopped.out + stopped.err
    ended(cli, workspace)
    assert {state for state, _ in states(workspace).values()} == {"STOPPED"}


def test_the_run_that_is_stopped_by_its_id_ends_those_after_it(
    cli: Cli, workspace: Path, tao_commands: Environment
) -> None:
    env = tao_commands("pyt_7")
    words = ("train", "first", "--then", "evaluate,export", "--env", "FAKE_GATE=1", "--detach")
    runs = cli(*words, cwd=workspace, env=env).out.split()
    stopped = cli("stop", runs[1], cwd=workspace)  # evaluate, which is queued
    (workspace / "projects/example_01/models/first/go").touch()
    assert stopped.out.count("  stopped  ") == 2, stopped.out + stopped.err
    ended(cli, workspace)
    found = states(workspace)
    assert found["first train"][0] == "SUCCEEDED"
    assert found["first evaluate"] == ("STOPPED", "stopped while it was queued")
    assert found["first export"][0] == "STOPPED"


def test_another_supervisor_goes_on_with_the_chain(
    cli: Cli, workspace: Path, tao_commands: Environment
) -> None:
    env = tao_commands("pyt_7")
    words = ("train", "first", "--then", "evaluate,export", "--env", "FAKE_EPOCH_S=1", "--detach")
    assert cli(*words, cwd=workspace, env=env).code == 0
    assert kill_supervisors(workspace) == 1
    wait_for(lambda: cli("ps", "--json", cwd=workspace, env=env).json == [])  # starts another supervisor
    assert {name: state for name, (state, _) in states(workspace).items()} == {
        "first train": "SUCCEEDED", "first evaluate": "SUCCEEDED", "first export": "SUCCEEDED",
    }  # fmt: skip


def test_the_whole_chain_is_judged_before_the_start(
    cli: Cli, workspace: Path, tao_commands: Environment
) -> None:
    env = tao_commands("pyt_7")
    unknown = cli("train", "first", "--then", "evaluate,fly", cwd=workspace, env=env)
    assert unknown.code == 2 and '"dino" has no action "fly"' in unknown.err
    assert "known: " in unknown.err and "gen_trt_engine" in unknown.err
    (workspace / "projects/example_01/specs/second/export.yaml").write_text("export:\n  no_such_key: 1\n")
    wrong = cli("train", "second", "--then", "export", cwd=workspace, env=env)
    assert wrong.code == 3 and "no_such_key" in wrong.err
    for words, said in (
        (["--then", ""], '--then takes names of actions, not ""'),
        (["--then", "evaluate,"], 'not "evaluate,"'),
        (["--then", "evaluate,train"], 'the chain has "train" twice'),
        (["--then", "convert,dataset_convert"], 'the chain has "dataset_convert" twice'),
    ):
        done = cli("train", "first", *words, cwd=workspace, env=env)
        assert (done.code, said in done.err) == (2, True), done.err
    assert not list((workspace / ".taorunner").glob("runs/*"))


def test_a_dry_run_shows_every_step(cli: Cli, workspace: Path) -> None:
    words = (
        "--then",
        "evaluate",
        "--then",
        "export",
        "--set",
        "train.num_epochs=2",
        "--set",
        "model.backbone=resnet_50",
    )
    done = cli("train", "first", *words, "--dry-run", "--json", cwd=workspace)
    assert done.code == 0, done.err
    assert [one["action"] for one in done.json] == ["train", "evaluate", "export"]
    train, evaluate, export = (one["argv"] for one in done.json)
    assert {"train.num_epochs=2", "model.backbone=resnet_50"} <= set(train)
    assert "model.backbone=resnet_50" in evaluate and "train.num_epochs=2" not in evaluate
    results = workspace / "projects/example_01/models/first"
    assert f"evaluate.checkpoint={results}/CHECKPOINT-OF-THE-CHAIN" in evaluate
    assert f"export.checkpoint={results}/CHECKPOINT-OF-THE-CHAIN" in export
    assert 'a name with "OF-THE-CHAIN" stands for a file that an earlier action makes' in done.err
    assert not results.exists()
