"""``--then`` on a real Slurm: one chain of dependent jobs, which goes on when nothing of taorunner is left."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, wait_for
from killing import kill_supervisors
from launch_workspaces import good_workspace
from slurm_rig import Cluster

ACTIONS = "evaluate:\n  num_gpus: $num_gpus\nexport:\n  gpu_id: 0\n"
CHAIN = ("train", "evaluate", "export")
WORDS = ("train", "e1", "--then", "evaluate,export", "--cluster", "dgx")


@pytest.fixture
def environ(slurm: Cluster, tao_commands: Callable[..., dict[str, str]]) -> dict[str, str]:
    return {**tao_commands("pyt_7"), **slurm.here}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = good_workspace(tmp_path / "workspace", "dino")
    spec = root / "projects/p/specs/e1/train.yaml"
    spec.write_text(spec.read_text() + ACTIONS)
    return root


def write_clusters(root: Path, environ: dict[str, str], **fakes: object) -> None:
    """``fakes`` steer the stand-in for TAO."""
    folder = environ["PATH"].partition(os.pathsep)[0]
    env = {"TAO_FAKE_GENERATION": environ["TAO_FAKE_GENERATION"], "FAKE_GPUS": "1", **fakes}
    dgx = {"backend": "slurm", "partition": "low", "setup": [f"export PATH={folder}:$PATH"], "env": env}
    (root / "clusters.yml").write_text(json.dumps({"clusters": {"dgx": dgx}}))


def runs_of(root: Path) -> dict[str, dict[str, Any]]:
    """The records by action, with the folder of the run."""
    found = {}
    for path in (root / ".taorunner/runs").glob("*/record.json"):
        record = json.loads(path.read_text())
        found[record["action"]] = {**record, "folder": path.parent}
    return found


def states(root: Path) -> list[str]:
    return [runs_of(root).get(action, {}).get("state", "") for action in CHAIN]


def has_ended(slurm: Cluster, job: str) -> bool:
    return slurm.checked("squeue", "-h", "-a", "-t", "PD,R,CG", "-j", job, "-o", "%T") == ""


def test_the_chain_goes_on_without_taorunner(
    cli: Cli, workspace: Path, environ: dict[str, str], slurm: Cluster
) -> None:
    write_clusters(workspace, environ, FAKE_EPOCH_S="2")
    started = cli(*WORDS, "--detach", cwd=workspace, env=environ)
    assert started.code == 0, started.err
    wait_for(lambda: states(workspace)[1:] == ["WAITING", "WAITING"])
    shown = cli("ps", "--json", cwd=workspace, env=environ).json
    assert {run["action"]: run["waiting"] for run in shown if run["action"] != "train"} == {
        "evaluate": "waits for train",
        "export": "waits for evaluate",
    }
    assert kill_supervisors(workspace) == 1
    runs = runs_of(workspace)
    wait_for(lambda: has_ended(slurm, runs["export"]["handle"]))
    assert states(workspace)[1:] == ["WAITING", "WAITING"]  # nobody has looked
    wait_for(lambda: cli("ps", "--json", cwd=workspace, env=environ).json == [])
    assert states(workspace) == ["SUCCEEDED"] * 3
    results = workspace / "projects/p/models/e1"
    newest = max((results / "train").glob("*step*.pth"), key=lambda path: path.stat().st_mtime)
    for action in ("evaluate", "export"):
        folder = runs[action]["folder"]
        plan = json.loads((folder / "plan.json").read_text())
        assert f"{action}.checkpoint={newest}" in plan["argv"]
        said = (folder / "events.jsonl").read_text()
        assert f"reads {newest.name}, the newest checkpoint of the training" in said
    assert [path.name for path in (results / "export").glob("*.onnx")] == [f"{newest.stem}.onnx"]


def test_what_follows_a_failed_run_is_never_started(
    cli: Cli, workspace: Path, environ: dict[str, str], slurm: Cluster
) -> None:
    write_clusters(workspace, environ, FAKE_FAIL="traceback")
    done = cli(*WORDS, cwd=workspace, env=environ)
    runs = runs_of(workspace)
    assert (done.code, states(workspace)) == (1, ["FAILED", "STOPPED", "STOPPED"]), done.out
    assert {runs[action]["reason"] for action in CHAIN[1:]} == {"not started: train failed"}
    for action in CHAIN[1:]:
        assert runs[action]["started_at"] is None
        assert runs[action]["handle"] is None or has_ended(slurm, runs[action]["handle"])


@pytest.mark.parametrize("by", ["taorunner", "scancel"])
def test_a_stop_of_the_first_run_ends_the_chain(
    cli: Cli, workspace: Path, environ: dict[str, str], slurm: Cluster, by: str
) -> None:
    write_clusters(workspace, environ, FAKE_EPOCH_S="30")
    started = cli(*WORDS, "--detach", cwd=workspace, env=environ)
    assert started.code == 0, started.err
    wait_for(lambda: states(workspace) == ["RUNNING", "WAITING", "WAITING"])
    runs = runs_of(workspace)
    if by == "taorunner":
        cli("stop", runs["train"]["id"], cwd=workspace, env=environ)
    else:
        slurm.checked("scancel", runs["train"]["handle"])
    wait_for(lambda: states(workspace) == ["STOPPED"] * 3)
    reason = {"taorunner": "stopped before it started", "scancel": "not started: train was stopped"}[by]
    assert runs_of(workspace)["export"]["reason"] == reason
    assert has_ended(slurm, runs["export"]["handle"])
