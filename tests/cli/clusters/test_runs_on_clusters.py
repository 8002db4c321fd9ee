"""The same experiment by ``--cluster`` on this machine, in a container and on a real Slurm, as a shell sees its runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, wait_for
from launch_workspaces import good_workspace
from slurm_rig import Cluster

import rig

BEGIN_TIME = "not before its begin time (BeginTime)"
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


def test_the_documented_example_runs_on_each_of_its_clusters(
    cli: Cli, workspace: Path, environ: dict[str, str], engine: rig.Engine, tao_image: Callable[..., str],
    slurm: Cluster, tmp_path: Path,
) -> None:  # fmt: skip
    source = Path(__file__).parents[3] / "examples" / "clusters"
    if not source.is_dir():
        pytest.skip("the examples are not here: not a checkout")
    root = shutil.copytree(source, tmp_path / "example")
    shutil.copytree(workspace / "projects/p/data", root / "projects/parts/data", dirs_exist_ok=True)
    environ = {**environ, **engine.environment()}
    write_clusters(workspace, environ)
    file = root / "clusters.yml"
    text = file.read_text()
    own = json.loads((workspace / "clusters.yml").read_text())["clusters"]["dgx"]
    there = [  # words of a site that is not this one
        ("    host: login1.example.org    # left out on a login node\n", ""), ("partition: gpu", "partition: low"),
        ("gpu_type: h100", "gpu_type: l4"), ('"4:00:00"', '"0:30:00"'),
        ("    workspace: /lustre/me/workspace    # this workspace as the nodes see it\n", ""),
        ("    shared: false                      # left out where that disk is mounted here, too\n", ""),
        ("container: {runtime: pyxis, images: /lustre/me/images, import_partition: cpu}",
         f"setup: {json.dumps(own['setup'])}\n    env: {json.dumps(own['env'])}"),
        ("cpus: 8 ", "cpus: 1 "),
    ]  # fmt: skip
    for written, ours in there:
        assert written in text, written
        text = text.replace(written, ours)
    file.write_text(text)
    shapes = {}
    for name in ("here", "desk", "dgx"):
        words = ("train", "dino_01", "--cluster", name, "--overwrite", "--image", tao_image("pyt_7"))
        done = cli(*words, "--gpu-indices", "auto", cwd=root, env=environ)
        assert done.code == 0, done.out + done.err
        runs = cli("runs", "list", "--json", cwd=root, env=environ).json
        (run,) = [one for one in runs if one["cluster"] == name]
        assert (run["state"], run["epoch"], len(runs)) == ("SUCCEEDED", 2, len(shapes) + 1)
        files = sorted(str(path) for path in (root / "projects/parts/models/dino_01").rglob("*"))
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
    wait_for(lambda: one_run(cli, workspace, environ)["waiting"] == BEGIN_TIME)
    shown = cli("ps", cwd=workspace, env=environ)
    assert (shown.code, f"waiting  dgx: {BEGIN_TIME}" in shown.out, shown.err) == (0, True, ""), shown.out

    def job() -> str:
        return slurm.checked("squeue", "-h", "-n", name, "-o", "%i")

    slurm.checked("scontrol", "update", f"jobid={job()}", "StartTime=now")
    wait_for(lambda: one_run(cli, workspace, environ)["epoch"], 60)
    run = one_run(cli, workspace, environ)
    assert (run["state"], run["nodes"], run["attempt"]) == ("RUNNING", 2, 1)
    nodes = slurm.checked("squeue", "-h", "-n", name, "-o", "%N")
    wide = {**environ, "COLUMNS": "200"}
    assert f"dgx, 2 nodes: {nodes}" in cli("ps", cwd=workspace, env=wide).out
    assert f"dgx, 2 nodes: {nodes}" in cli("runs", "show", run["id"], cwd=workspace, env=wide).out
    slurm.checked("scontrol", "requeue", job())
    wait_for(lambda: one_run(cli, workspace, environ)["waiting"] == "requeued with scontrol", 60)
    wait_for(lambda: one_run(cli, workspace, environ)["attempt"] == 2, 60)
    done = cli("stop", "--all", cwd=workspace, env=environ)
    assert (done.code, job()) == (0, ""), done.err


@pytest.mark.slow
def test_a_stop_while_the_controller_is_down_is_said_and_carried_out_later(
    cli: Cli, workspace: Path, own_slurm: Cluster, tao_commands: Callable[..., dict[str, str]]
) -> None:
    environ = {**tao_commands("pyt_7"), **own_slurm.here}
    write_clusters(workspace, environ, FAKE_EPOCHS=600, FAKE_EPOCH_S=1)
    done = cli("train", "e1", "--cluster", "dgx", "-d", cwd=workspace, env=environ)
    assert done.code == 0, done.err
    wait_for(lambda: one_run(cli, workspace, environ)["epoch"])
    own_slurm.kill("slurmctld")
    for _ in range(2):  # typed again, it says the same
        done = cli("stop", "--all", cwd=workspace, env=environ)
        assert (done.code, done.out.split()[1]) == (4, "running"), done.out
        assert " will be stopped when the engine answers: the scheduler does not answer (since " in done.err
        assert "the stop is on record, also after a restart; taorunner attach " in done.err
    (lock,) = workspace.glob(".taorunner/batches/*/supervisor.lock")
    os.kill(int(lock.read_text()), signal.SIGKILL)
    own_slurm.start("slurmctld")
    wait_for(lambda: cli("ps", "--json", cwd=workspace, env=environ).json == [], 60)
    (run,) = cli("runs", "list", "--json", cwd=workspace, env=environ).json
    assert run["state"] == "STOPPED"
