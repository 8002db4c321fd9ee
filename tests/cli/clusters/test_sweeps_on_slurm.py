"""A sweep of thirty trials on a real Slurm: one study, one writer, and no trial twice, also when the loop is killed."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from command_line import Cli, wait_for
from launch_workspaces import good_workspace
from private_daemon import pid_of
from slurm_rig import Cluster

from taorunner.events import RunStarted, RunState
from taorunner.runs.inputs.spec_values import raw_values
from taorunner.runs.state.store import RunStore
from taorunner.state_files import read_state
from taorunner.sweeps.folder import SweepFolder

TRIALS = 30
SWEEP = {
    "base": "e1", "trials": TRIALS, "parallel": 6, "sampler": "random", "epochs": 1,
    "space": {"train.optim.lr": {"log": [0.00001, 0.001]}},
}  # fmt: skip


def cluster_workspace(
    root: Path, slurm: Cluster, tao_commands: Callable[..., dict[str, str]], sweep: Mapping[str, object], *,
    epoch_s: float = 0.1, settings: Mapping[str, object] = MappingProxyType({}),
) -> dict[str, str]:  # fmt: skip
    """Makes a workspace in ``root`` whose experiment trains on Slurm, with the sweep ``lr``; returns the environment of
    commands. ``settings`` are further ones of the cluster."""
    environ = {**tao_commands("pyt_7"), **slurm.here}
    good_workspace(root, "dino")
    file = root / "projects/p/experiments.yml"
    body = json.loads(file.read_text())
    body["experiments"]["e1"]["cluster"] = "dgx"
    file.write_text(json.dumps({**body, "sweeps": {"lr": sweep}}))
    setup = [f"export PATH={environ['PATH'].partition(os.pathsep)[0]}:$PATH"]
    env = {
        "TAO_FAKE_GENERATION": environ["TAO_FAKE_GENERATION"],
        "FAKE_GPUS": "1",
        "FAKE_EPOCH_S": str(epoch_s),
    }
    dgx = {"backend": "slurm", "partition": "low", "setup": setup, "env": env, **settings}
    (root / "clusters.yml").write_text(json.dumps({"clusters": {"dgx": dgx}}))
    return environ


@pytest.mark.slow
def test_thirty_trials_are_one_study(
    cli: Cli, tmp_path: Path, slurm: Cluster, tao_commands: Callable[..., dict[str, str]]
) -> None:
    root = tmp_path / "workspace"
    environ = cluster_workspace(root, slurm, tao_commands, SWEEP)
    store = RunStore(root / ".taorunner")
    folder = SweepFolder(store, "p", "lr")
    begun = cli("sweep", "run", "lr", "--detach", cwd=root, env=environ)
    assert begun.code == 0, begun.err
    again = cli("sweep", "run", "lr", cwd=root, env=environ)
    assert (again.code, "is being run" in again.err) == (6, True)
    for count in (4, 12):
        wait_for(lambda count=count: len(folder.trials()) >= count, timeout_s=240)
        os.kill(pid_of(folder.lock), signal.SIGKILL)
        wait_for(lambda: not folder.is_owned)
        resumed = cli("sweep", "resume", "lr", "--detach", cwd=root, env=environ)
        assert resumed.code == 0, resumed.err
    wait_for(lambda: not folder.is_owned, timeout_s=600)
    trials = folder.trials()
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert {trial.ending for trial in trials} == {"succeeded"}, folder.log.read_text()
    records = [record for record in store.records() if record.action == "train"]
    assert sorted(record.id for record in records) == sorted(str(trial.run) for trial in trials)
    jobs = [record.handle for record in records]
    assert len(set(jobs)) == TRIALS
    for trial in trials[1:]:
        found = raw_values(store.load_plan(str(trial.run)))["train.optim.lr"]
        assert found == pytest.approx(trial.values["train.optim.lr"])
    chosen = [json.loads(line) for line in read_state(folder.journal, store.trust()).splitlines()]
    assert [one["trial"] for one in chosen if "values" in one] == list(range(TRIALS))


@pytest.mark.slow
def test_a_grid_is_one_array_job(
    cli: Cli, tmp_path: Path, slurm: Cluster, tao_commands: Callable[..., dict[str, str]]
) -> None:
    root = tmp_path / "workspace"
    rates, depths = [0.0001, 0.0002, 0.0004], [1, 2, 3, 4, 5, 6, 7, 8]
    space = {"train.optim.lr": {"choice": rates}, "dataset.batch_size": {"choice": depths}}
    grid = {"base": "e1", "sampler": "grid", "epochs": 1, "space": space}
    environ = cluster_workspace(root, slurm, tao_commands, grid)
    done = cli("sweep", "run", "lr", "--json", cwd=root, env=environ)
    assert done.code == 0, done.err
    store = RunStore(root / ".taorunner")
    trials = SweepFolder(store, "p", "lr").trials()
    cells = itertools.product(rates, depths)
    assert [tuple(trial.values.values()) for trial in trials] == list(cells)
    assert {trial.ending for trial in trials} == {"succeeded"}
    handles = [str(store.load(str(trial.run)).handle).partition("_") for trial in trials]
    assert len({job for job, _, _ in handles}) == 1
    assert sorted(int(task) for _, _, task in handles) == list(range(24))


@pytest.mark.slow
def test_tasks_that_wait_are_taken_back_by_a_stop(
    cli: Cli, tmp_path: Path, own_slurm: Cluster, tao_commands: Callable[..., dict[str, str]]
) -> None:
    """One task has the node for itself, the others wait in Slurm's queue: they leave it, and come with ``resume``."""
    root = tmp_path / "workspace"
    rates, depths = [0.0001, 0.0002, 0.0004, 0.0008], [1, 2, 3, 4, 5]
    space = {"train.optim.lr": {"choice": rates}, "dataset.batch_size": {"choice": depths}}
    grid = {"base": "e1", "sampler": "grid", "epochs": 1, "parallel": 20, "space": space}
    alone = {"partition": "l4", "exclusive": True}
    environ = cluster_workspace(root, own_slurm, tao_commands, grid, epoch_s=5, settings=alone)
    store = RunStore(root / ".taorunner")
    folder = SweepFolder(store, "p", "lr")
    begun = cli("sweep", "run", "lr", "--detach", cwd=root, env=environ)
    assert begun.code == 0, begun.err

    def states() -> list[RunState]:
        return sorted(record.state for record in store.records() if record.action == "train")

    wait_for(lambda: states() == sorted([RunState.RUNNING, *[RunState.WAITING] * 19]), timeout_s=120)
    stopped = cli("sweep", "stop", "lr", cwd=root, env=environ)
    assert stopped.code == 0, stopped.err
    wait_for(lambda: not folder.is_owned, timeout_s=120)
    trials = folder.trials()
    ran = [trial for trial in trials if trial.run is not None]
    assert [trial.ending for trial in ran] == ["succeeded"] * len(ran), folder.log.read_text()
    assert 1 <= len(ran) <= 2  # one may have started while the stop was on its way
    assert [trial.ending for trial in trials if trial.run is None] == [None] * (20 - len(ran))
    assert folder.end() == "stopped"
    assert own_slurm.checked("squeue", "-h", "-a", "-o", "%i %T") == ""
    clusters = json.loads((root / "clusters.yml").read_text())
    clusters["clusters"]["dgx"].update(partition="low", exclusive=False)
    clusters["clusters"]["dgx"]["env"]["FAKE_EPOCH_S"] = "0.1"
    (root / "clusters.yml").write_text(json.dumps(clusters))
    resumed = cli("sweep", "resume", "lr", "--json", cwd=root, env=environ)
    assert resumed.code == 0, resumed.err
    assert [trial.ending for trial in folder.trials()] == ["succeeded"] * 20, folder.log.read_text()
    began = [
        record.id
        for record in store.records()
        if any(isinstance(event, RunStarted) for event in store.read_events(record.id)[0])
    ]
    assert sorted(began) == sorted(str(trial.run) for trial in folder.trials())
