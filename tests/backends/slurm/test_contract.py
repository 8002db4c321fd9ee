"""The promises of a backend, kept on a real Slurm."""

from __future__ import annotations

import dataclasses
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from contract import BackendContract, Harness, Preemption, RequeueContract, shell_harness
from slurm_rig import Cluster

from taorunner.backends.contract import EngineState, Launch, Started
from taorunner.backends.slurm.backend import SlurmBackend, create
from taorunner.backends.slurm.request import SlurmRequest
from taorunner.planning.model.plan import RunPlan
from taorunner.values.value import replace


def slurm(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def has_come(job: str, state: str) -> None:
    deadline = time.monotonic() + 120
    while (found := slurm("squeue", "-h", "-j", job, "-o", "%T %r")) != state:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


class Patient(SlurmBackend):
    """Gives a run back once it has its nodes: jobs of other tests share the cluster."""

    def submit(self, request: SlurmRequest) -> Started:
        started = super().submit(request)
        deadline = time.monotonic() + 120
        while self.inspect([started.handle])[request.run_id].state is EngineState.WAITING:
            assert time.monotonic() < deadline, started.waiting
            time.sleep(0.1)
        return replace(started, waiting=None)


class TestSlurm(RequeueContract):
    @pytest.fixture
    def options(self, slurm_commands: None) -> dict[str, object]:
        return {"partition": "low"}

    @pytest.fixture
    def harness(
        self, make_plan: Callable[..., RunPlan], make_launch: Callable[[], Launch], options: dict[str, object],
        request: pytest.FixtureRequest,
    ) -> Harness:  # fmt: skip
        make = create if "preemption" in request.fixturenames else Patient
        made = shell_harness(make, make_plan, make_launch, backend="slurm", backend_options=options)
        stays = make_plan("sh", "-c", "echo up; exec sleep 600", backend="slurm", backend_options=options)
        return dataclasses.replace(made, stays=stays)

    @pytest.fixture
    def preemption(self, own_slurm: Cluster) -> Iterator[Preemption]:
        taken: list[str] = []

        def take(run_dir: Path, reason: str) -> None:
            wrap = ["--wrap", "sleep 600", "-o", "/dev/null"]
            if reason == "Priority":
                wrap += ["-p", "low", "--exclusive", "--nice=-100"]
                # backfill would start a small job before the large one that waits for its turn
                own_slurm.reconfigure(SchedulerParameters="sched_interval=1,bf_interval=3600")
                taken.append(slurm("sbatch", "--parsable", "-N2", *wrap))  # one node stays free
                has_come(taken[-1], "RUNNING None")
                taken.append(slurm("sbatch", "--parsable", "-N3", *wrap))
                has_come(taken[-1], "PENDING Resources")
            else:
                taken.append(slurm("sbatch", "--parsable", "-p", "main", "-N2", "--exclusive", *wrap))
                taken.append(slurm("sbatch", "--parsable", "-p", "l4", "-N1", "--exclusive", *wrap))

        def give(run_dir: Path) -> None:
            if taken:
                slurm("scancel", *taken)
            taken.clear()

        yield Preemption(take, give)
        give(Path())


class TestSlurmFarAway(BackendContract):
    """Over ssh, with a disk that only the cluster sees."""

    @pytest.fixture
    def harness(
        self, make_plan: Callable[..., RunPlan], make_launch: Callable[[], Launch], slurm: Cluster,
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    ) -> Harness:  # fmt: skip
        for name, value in slurm.elsewhere.items():
            monkeypatch.setenv(name, value)
        slurm.own_folder(tmp_path)
        options = {"partition": "low", "host": slurm.login, "shared": False}
        return shell_harness(Patient, make_plan, make_launch, backend="slurm", backend_options=options)


class TestSlurmOverSsh(BackendContract):
    """Without Slurm's commands on this machine."""

    @pytest.fixture
    def harness(
        self, make_plan: Callable[..., RunPlan], make_launch: Callable[[], Launch], slurm: Cluster,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Harness:  # fmt: skip
        for name, value in slurm.elsewhere.items():
            monkeypatch.setenv(name, value)
        options = {"partition": "low", "host": slurm.login}
        return shell_harness(Patient, make_plan, make_launch, backend="slurm", backend_options=options)
