"""The same experiment by ``--cluster`` on this machine, in a container and on a real Slurm, as a shell sees its runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, wait_for
from launch_workspaces import good_workspace
from slurm_rig import Cluster

import rig

ACTIONS = "evaluate:\n  num_gpus: $num_gpus\nexport:\n  gpu_id: 0\n"


@pytest.fixture
def stopping(cli: Cli, workspace: Path, environ: dict[str, str]) -> Iterator[None]:
    """Ends what a test left running."""
    yield
    cli("stop", "--all", cwd=workspace, env=environ)


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
    """``dgx`` has the nodes with l4; ``fakes`` steer the stand-in for TAO there."""
    folder = environ["PATH"].partition(os.pathsep)[0]
    env = {"TAO_FAKE_GENERATION": environ["TAO_FAKE_GENERATION"], "FAKE_GPUS": "1", **fakes}
    dgx = {"backend": "slurm", "partition": "low", "setup": [f"export PATH={folder}:$PATH"], "env": env}
    clusters = {"dgx": dgx, "here": {"backend": "local"}, "desk": {"backend": "docker"}}
    (root / "clusters.yml").write_text(json.dumps({"clusters": clusters}))


def one_run(cli: Cli, root: Path, environ: dict[str, str]) -> dict[str, Any]:
    (row,) = cli("ps", "--json", cwd=root, env=environ).json
    return dict(row)


def test_the_same_experiment_runs_on_each_cluster(
    cli: Cli, workspace: Path, environ: dict[str, str], engine: rig.Engine, tao_image: Callable[..., str]
) -> None:
    environ = {**environ, **engine.environment()}
    write_clusters(workspace, environ)
    file = workspace / "projects/p/experiments.yml"
    text = json.loads(file.read_text())
    text["experiments"]["e1"] |= {"image": tao_image("pyt_7"), "release": "7.0.1", "gpus": 1}
    file.write_text(json.dumps(text))
    shapes = {}
    for name in ("here", "desk", "dgx"):
        words = ("train", "e1", "--cluster", name, "--gpu-indices", "auto", "--overwrite")
        done = cli(*words, cwd=workspace, env=environ)
        assert done.code == 0, done.out + done.err
        runs = cli("runs", "list", "--json", cwd=workspace, env=environ).json
        (run,) = [one for one in runs if one["cluster"] == name]
        assert (run["state"], run["epoch"], len(runs)) == ("SUCCEEDED", 2, len(shapes) + 1)
        files = sorted(str(path) for path in (workspace / "projects/p/models/e1").rglob("*"))
        shapes[name] = (sorted(run), run["results"], run["best"], run["checkpoints"], files)
    assert shapes["here"] == shapes["desk"] == shapes["dgx"]


def test_a_chain_ends_where_its_first_run_fails(cli: Cli, workspace: Path, environ: dict[str, str]) -> None:
    words = ("train", "e1", "--then", "evaluate,export", "--cluster", "dgx", "--overwrite")
    write_clusters(workspace, environ)
    done = cli(*words, cwd=workspace, env=environ)
    runs = cli("runs", "list", "--json", cwd=workspace, env=environ).json
    states = {run["action"]: run["state"] for run in runs}
    succeeded = dict.fromkeys(("train", "evaluate", "export"), "SUCCEEDED")
    assert (done.code, states) == (0, succeeded), done.out + done.err
    write_clusters(workspace, environ, FAKE_FAIL="traceback")
    done = cli(*words, cwd=workspace, env=environ)
    assert (done.code, "e1 evaluate, e1 export: not started: train failed" in done.out) == (1, True), done.out
    runs = cli("runs", "list", "--json", cwd=workspace, env=environ).json
    assert sum(run["started_at"] is not None for run in runs) == 4


@pytest.mark.usefixtures("stopping")
def test_a_run_that_waits_runs_on_two_nodes_and_is_requeued(
    cli: Cli, workspace: Path, environ: dict[str, str], slurm: Cluster
) -> None:
    write_clusters(workspace, environ, FAKE_EPOCHS=60, FAKE_EPOCH_S=1)
    file = workspace / "clusters.yml"
    text = json.loads(file.read_text())
    text["clusters"]["dgx"]["options"] = ["--begin=now+1hour"]
    file.write_text(json.dumps(text))
    done = cli("train", "e1", "--cluster", "dgx", "--nodes", "2", "-d", cwd=workspace, env=environ)
    assert done.code == 0, done.err
    name = f"tr-{done.out.strip()}"
    wait_for(lambda: one_run(cli, workspace, environ)["waiting"] == "BeginTime")
    shown = cli("ps", cwd=workspace, env=environ)
    assert (shown.code, "waiting  dgx: BeginTime" in shown.out, shown.err) == (0, True, ""), shown.out

    def job() -> str:
        return slurm.checked("squeue", "-h", "-n", name, "-o", "%i")

    slurm.checked("scontrol", "update", f"jobid={job()}", "StartTime=now")
    wait_for(lambda: one_run(cli, workspace, environ)["epoch"], 60)
    run = one_run(cli, workspace, environ)
    assert (run["state"], run["nodes"], run["attempt"]) == ("RUNNING", 2, 1)
    assert "dgx, 2 nodes" in cli("ps", cwd=workspace, env=environ).out
    slurm.checked("scontrol", "requeue", job())
    wait_for(lambda: one_run(cli, workspace, environ)["waiting"] == "requeued with scontrol", 60)
    wait_for(lambda: one_run(cli, workspace, environ)["attempt"] == 2, 60)
    done = cli("stop", "--all", cwd=workspace, env=environ)
    assert (done.code, job()) == (0, ""), done.err
