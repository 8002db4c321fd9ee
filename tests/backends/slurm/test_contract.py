"""The promises of a backend, kept on a real Slurm."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from contract import Harness, Preemption, RequeueContract, shell_harness

from taorunner.backends.contract import Launch
from taorunner.backends.slurm.backend import create
from taorunner.planning.model.plan import RunPlan


def slurm(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


class TestSlurm(RequeueContract):
    @pytest.fixture
    def options(self, cluster: None) -> dict[str, object]:
        return {"partition": "low"}

    @pytest.fixture
    def harness(
        self, make_plan: Callable[..., RunPlan], make_launch: Callable[[], Launch], options: dict[str, object]
    ) -> Harness:
        made = shell_harness(create, make_plan, make_launch, backend="slurm", backend_options=options)
        stays = make_plan("sh", "-c", "echo up; exec sleep 600", backend="slurm", backend_options=options)
        return replace(made, stays=stays)

    @pytest.fixture
    def preemption(self) -> Iterator[Preemption]:
        taken: list[str] = []

        def take(run_dir: Path, reason: str) -> None:
            wrap = ["--wrap", "sleep 600", "-o", "/dev/null"]
            if reason == "Priority":
                wrap += ["-p", "low", "--exclusive", "--nice=-100"]
                taken.append(slurm("sbatch", "--parsable", "-N3", *wrap))
                taken.append(slurm("sbatch", "--parsable", "-N3", *wrap))
            else:
                taken.append(slurm("sbatch", "--parsable", "-p", "main", "-N2", "--exclusive", *wrap))
                taken.append(slurm("sbatch", "--parsable", "-p", "l4", "-N1", "--exclusive", *wrap))

        def give(run_dir: Path) -> None:
            if taken:
                slurm("scancel", *taken)
            taken.clear()

        yield Preemption(take, give)
        give(Path())
