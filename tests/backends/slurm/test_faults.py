"""What goes wrong around a run: a controller that dies and forgets, a lost answer, a number that is given twice, a node
that dies. Each run is run once, and its end is that of its command."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from private_daemon import write_program
from slurm_rig import Cluster
from slurm_runs import SlurmRuns, count, once

from taorunner.backends.contract import EngineState, Launch
from taorunner.backends.secrets import write_secrets
from taorunner.backends.slurm.backend import SlurmBackend
from taorunner.contracts import CheckpointContract, ResumeRule
from taorunner.errors import MachineError
from taorunner.planning.model.plan import RunPlan
from taorunner.values.value import replace

ROUNDS = int(os.environ.get("TAORUNNER_SLURM_ROUNDS", "1"))
"""How often a random fault is tried; more by hand."""


@pytest.fixture
def make_runs(
    make_plan: Callable[..., RunPlan], make_launch: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Cluster], SlurmRuns]:
    def make(cluster: Cluster) -> SlurmRuns:
        return SlurmRuns(cluster, make_plan, make_launch, {**cluster.here, "PATH": "/usr/bin:/bin"})

    return make


def test_a_lost_answer_of_sbatch_makes_no_second_job(
    slurm: Cluster, make_runs: Callable[[Cluster], SlurmRuns], tmp_path: Path
) -> None:
    runs, bin_dir = make_runs(slurm), tmp_path / "bin"
    bin_dir.mkdir()
    lost = 'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1'
    write_program(bin_dir / "sbatch", f'#!/bin/sh\n/usr/bin/sbatch "$@" >/dev/null\n{lost}\n')
    plan, launch = runs.made(f"{once(tmp_path / 'ran')}; exit 6"), runs.launch()
    write_secrets(plan, launch.run_dir, os.environ)
    forgetful = SlurmBackend({**runs.environment, "PATH": f"{bin_dir}:/usr/bin:/bin"})
    request = forgetful.request(plan, launch)
    with pytest.raises(MachineError):
        forgetful.submit(request)
    handle = runs.backend().submit(request).handle
    assert runs.becomes(handle).exit_code == 6
    named = [job for job in slurm.jobs().values() if job.name == f"tr-{launch.run_id}"]
    assert ([job.id for job in named], count(tmp_path / "ran")) == ([handle.id], 1)


@pytest.mark.slow
def test_a_controller_that_dies_after_the_submit_leaves_no_run_without_an_end(
    own_slurm: Cluster, make_runs: Callable[[Cluster], SlurmRuns], tmp_path: Path, seed: int
) -> None:
    runs, chance = make_runs(own_slurm), random.Random(seed)
    for number in range(ROUNDS):
        ran = tmp_path / f"ran-{number}"
        script = f"{once(ran)}; sleep {chance.uniform(0, 3):.1f}; exit 4"
        handle = runs.start(runs.made(script, options={"unknown_after_s": 10}))
        time.sleep(chance.uniform(0, 1))
        own_slurm.kill("slurmctld")
        time.sleep(chance.uniform(0, 4))
        own_slurm.start("slurmctld")
        status = runs.over(handle)
        own_slurm.mend()
        if status.state is EngineState.MISSING:  # forgotten before it was started anywhere: said, not guessed
            assert (number, count(ran), runs.events(handle)) == (number, 0, "")
        else:
            found = (number, status.exit_code, status.end, count(ran))
            assert found == (number, 4, None, 1), runs.events(handle)


def test_a_number_that_is_given_twice_leads_to_no_other_job(
    own_slurm: Cluster, make_runs: Callable[[Cluster], SlurmRuns], tmp_path: Path
) -> None:
    runs = make_runs(own_slurm)
    ours = runs.start(runs.made("echo up; sleep 600"))
    runs.prints(ours, "up")
    own_slurm.kill("slurmctld")
    shutil.rmtree(own_slurm.home / "state")  # it forgets everything, also which numbers it has given
    (own_slurm.home / "state").mkdir()
    own_slurm.start("slurmctld")
    stranger = own_slurm.sbatch(
        "-w", own_slurm.nodes[2], "-p", "l4", "-J", "stranger", "-o", "/dev/null", "--wrap", "sleep 60"
    )
    assert stranger == ours.id
    own_slurm.becomes(stranger, "RUNNING")
    backend = runs.backend()
    backend.stop(ours, 0)
    backend.remove(ours)
    assert own_slurm.jobs(stranger)[stranger].state == "RUNNING"


@pytest.mark.parametrize(("nodes", "requeue"), [(2, 0), (2, 1)])
@pytest.mark.slow
def test_a_node_that_dies_ends_a_run_or_starts_it_again(
    own_slurm: Cluster, make_runs: Callable[[Cluster], SlurmRuns], tmp_path: Path, nodes: int, requeue: int
) -> None:
    """The last node of the run dies; the cluster has one more for a second start."""
    own_slurm.reconfigure(SlurmdTimeout="3")
    runs, node = make_runs(own_slurm), own_slurm.nodes[nodes - 1]
    ran = tmp_path / "ran"
    lines = f"$(wc -l <{ran})"  # each node leaves a line, and waits for those of the others
    together = f"while [ $(({lines} % {nodes})) -ne 0 ]; do sleep 0.1; done"
    script = f"{once(ran)}; {together}; [ {lines} -le {nodes} ] || exit 5; echo up; exec sleep 600"
    handle = runs.start(runs.made(script, options={"requeue": requeue}, nodes=nodes))
    runs.prints(handle, "up")
    own_slurm.kill_node(node)
    status = runs.becomes(handle)
    if requeue:
        assert (status.exit_code, status.end, count(ran)) == (5, None, 2 * nodes)
        assert runs.console(handle) == "up\n"
    else:
        assert status.end is not None
        assert (status.end.reason, status.end.is_transient) == (f'the node "{node}" died', True)


if ROUNDS > 1:  # it takes two and a half minutes

    @pytest.mark.slow
    @pytest.mark.timeout(400)
    def test_a_training_goes_on_over_three_time_limits(
        own_slurm: Cluster, make_runs: Callable[[Cluster], SlurmRuns], tmp_path: Path
    ) -> None:
        runs = make_runs(own_slurm)
        steps = tmp_path / "results" / "train" / "steps.pth"
        steps.parent.mkdir(parents=True)
        script = (
            f"{once(tmp_path / 'ran')}; trap 'exit 143' TERM; n=$(cat {steps} 2>/dev/null || echo 0); echo from $n; "
            f"while :; do n=$((n + 1)); echo $n >{steps}; [ $(wc -l <{tmp_path}/ran) -lt 3 ] || exit 0; sleep 1; done"
        )
        plan = runs.made(script, options={"requeue": 5, "signal_before_s": 60}, time_s=120)
        saved = CheckpointContract(globs=("train/*.pth",), resume=ResumeRule.AUTO)
        plan = replace(plan, contract=replace(plan.contract, checkpoints=saved))
        handle = runs.start(plan)
        status = runs.becomes(handle, patience_s=170)
        begins = [int(line.split()[1]) for line in runs.console(handle).splitlines()]
        assert (status.exit_code, count(tmp_path / "ran")) == (0, 3)
        assert begins == sorted(set(begins)) and begins[0] == 0


def test_while_the_controller_is_down_no_state_changes(
    own_slurm: Cluster, make_runs: Callable[[Cluster], SlurmRuns]
) -> None:
    runs = make_runs(own_slurm)
    handle = runs.start(runs.made("echo up; sleep 600"))
    runs.prints(handle, "up")
    own_slurm.kill_controller()
    assert runs.status(handle).state is EngineState.RUNNING
    with pytest.raises(MachineError, match="does not answer"):
        runs.backend().stop(handle, 1)  # a supervisor asks again
    assert runs.status(handle).state is EngineState.RUNNING
