"""Each way a job of Slurm can end is told as what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import slurm_files
from slurm_rig import Cluster
from slurm_runs import SlurmRuns, count, once

from taorunner.backends.contract import EngineEnd, EngineState, Launch
from taorunner.errors import EngineRefusedError
from taorunner.planning.model.plan import RunPlan
from taorunner.values.value import replace

HOUR_LATER = {"options": ["--begin=now+1hour"]}
GOES_ON = "taorunner resume goes on from its newest checkpoint"


@pytest.fixture
def runs(
    slurm: Cluster,
    make_plan: Callable[..., RunPlan],
    make_launch: Callable[..., Launch],
    monkeypatch: pytest.MonkeyPatch,
) -> SlurmRuns:
    for name, value in slurm.here.items():
        monkeypatch.setenv(name, value)
    return SlurmRuns(slurm, make_plan, make_launch, slurm.here | {"PATH": "/usr/bin:/bin"})


@pytest.mark.parametrize(
    ("script", "code"),
    [("true", 0), ("exit 3", 3), ("kill -SEGV $$", 139), ("kill -KILL $$", 137)],
)
def test_the_exit_code_is_that_of_the_command(runs: SlurmRuns, script: str, code: int) -> None:
    status = runs.becomes(runs.start(runs.made(script)))
    assert (status.exit_code, status.oom_killed, status.end) == (code, False, None)


@pytest.mark.parametrize(
    ("ends", "code"), [("exit 5", 5), ("exit 200", 200), ("kill -SEGV $$", 139), ("kill -KILL $$", 137)]
)
def test_the_exit_code_is_that_of_the_node_that_failed_first(runs: SlurmRuns, ends: str, code: int) -> None:
    """srun ends the other node with SIGTERM, and itself with 143."""
    script = f'if [ "$NODE_RANK" = 1 ]; then sleep 0.5; {ends}; fi; exec sleep 600'
    status = runs.becomes(runs.start(runs.made(script, nodes=2)))
    assert (status.exit_code, status.oom_killed, status.end) == (code, False, None)


if slurm_files.limits_memory():

    @pytest.mark.parametrize("after", ["exit $?", "exit 0"])
    def test_memory_that_is_used_up_is_said_also_where_only_a_child_was_killed(
        runs: SlurmRuns, after: str
    ) -> None:
        script = f'python3 -c "a = bytearray(300 << 20)"; {after}'
        handle = runs.start(runs.made(script, memory_bytes=60 << 20))
        status = runs.becomes(handle)
        assert status.oom_killed, runs.events(handle) + runs.console(handle)
        assert status.end is not None
        assert (status.end.reason, status.end.was_stopped) == (
            "the memory of the job (60.0 MiB) is used up",
            False,
        )


def test_scancel_of_a_job_that_waits(runs: SlurmRuns) -> None:
    handle = runs.start(runs.made("true", options=HOUR_LATER))
    assert runs.status(handle).state is EngineState.WAITING
    runs.cluster.checked("scancel", handle.id)
    status = runs.becomes(handle)
    assert status.end is not None
    assert (status.exit_code, status.end.was_stopped) == (None, True)
    assert status.end.reason.startswith("stopped by ")


@pytest.mark.parametrize("on_term", ["exit 143", "exit 0"])
def test_scancel_of_a_job_that_runs_names_who_did_it(runs: SlurmRuns, on_term: str) -> None:
    script = f'trap "{on_term}" TERM; echo up; while :; do sleep 0.1; done'
    handle = runs.start(runs.made(script))
    runs.prints(handle, "up")
    runs.cluster.checked("scancel", handle.id)
    assert runs.becomes(handle).end == EngineEnd("stopped by user 0 (scancel)", GOES_ON, was_stopped=True)


def test_a_stop_of_ours_is_no_accident(runs: SlurmRuns) -> None:
    handle = runs.start(runs.made('trap "exit 7" TERM; echo up; while :; do sleep 0.1; done'))
    runs.prints(handle, "up")
    runs.backend().stop(handle, 10)
    status = runs.becomes(handle)
    assert (status.exit_code, status.end) == (7, None)


def refusal(runs: SlurmRuns, plan: RunPlan) -> tuple[str, str | None]:
    """Why a run cannot start, and the next step: at once, or when Slurm has looked at the job."""
    try:
        handle = runs.start(plan)
    except EngineRefusedError as error:
        return error.message, error.hint
    end = runs.becomes(handle).end
    assert end is not None
    return end.reason, end.hint


REFUSED: list[tuple[dict[str, Any], int, int | None, str]] = [
    ({"partition": "nope"}, 0, None, 'there is no partition "nope"'),
    ({"account": "nope"}, 0, None, 'the account "nope" may not use the partition "low"'),
    ({"qos": "nope"}, 0, None, 'your account has no QOS "nope"'),
    (
        {"partition": "l4", "gpu_type": "h100"},
        1,
        None,
        'no node of the partition "l4" has 1 GPU of type h100',
    ),
    ({"partition": "l4"}, 9, None, 'no node of the partition "l4" has 9 GPUs'),
    ({"time": "99:00:00"}, 0, 99 * 3600, "it would wait for ever: 4-03:00:00 is more than the partition"),
    ({"qos": "short"}, 0, 1800, "it would wait for ever: it asks for more than one job may have"),
    ({"options": ["--dependency=afterok:1"]}, 0, None, "it would wait for ever for a job that failed"),
]


@pytest.mark.parametrize(("options", "gpus", "time_s", "reason"), REFUSED)
def test_what_could_never_start_is_refused_in_words(
    runs: SlurmRuns, options: dict[str, Any], gpus: int, time_s: int | None, reason: str
) -> None:
    if "options" in options:
        failed = runs.cluster.sbatch("-o", "/dev/null", "--wrap", "exit 1")
        runs.cluster.becomes(failed)
        options = {"options": [f"--dependency=afterok:{failed}"]}
    plan = runs.made("true", gpus=gpus, options=options, time_s=time_s)
    said, hint = refusal(runs, plan)
    assert (said[: len(reason)], hint is not None) == (reason, True)


def test_a_workspace_that_the_nodes_do_not_see_is_named(runs: SlurmRuns) -> None:
    options = {
        "workspace": "/nonexistent/here",
        "container": {"runtime": "charliecloud", "images": "/nonexistent/images"},
    }
    said, hint = refusal(runs, replace(runs.made("true", options=options), image="tao:1"))
    assert said.startswith("Slurm could not write its log on the node")
    assert hint == 'is "/nonexistent/here" mounted there, and may you write? setting workspace'


def test_a_finished_run_that_slurm_starts_again_does_nothing(runs: SlurmRuns, tmp_path: Path) -> None:
    handle = runs.start(runs.made(f"{once(tmp_path / 'ran')}; exit 4", options={"requeue": 3}))
    before = runs.becomes(handle)
    runs.cluster.becomes(handle.id)
    runs.cluster.checked("scontrol", "requeue", handle.id)
    runs.cluster.becomes(handle.id, "PENDING", "RUNNING")
    runs.cluster.becomes(handle.id)
    assert count(tmp_path / "ran") == 1
    assert "not_started_again:4" in runs.events(handle)
    assert runs.status(handle) == before
