"""Runs that are launched together become the tasks of one array of a real Slurm, and each is still a run of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from private_daemon import write_program
from slurm_rig import Cluster
from slurm_runs import PATIENCE_S, SlurmRuns

from taorunner.backends.contract import EngineState, Handle, Launch
from taorunner.backends.secrets import write_secrets
from taorunner.backends.slurm.arrays import FEWEST, array_script
from taorunner.backends.slurm.backend import SlurmBackend
from taorunner.backends.slurm.folder import Folder
from taorunner.backends.slurm.request import SlurmRequest
from taorunner.errors import MachineError
from taorunner.planning.model.plan import RunPlan
from taorunner.values.value import replace

REFUSES_ARRAYS = """#!/bin/sh
script=$(cat)
case $script in *"#SBATCH --array="*)
    echo "sbatch: error: Batch job submission failed: Invalid job array specification" >&2
    exit 1 ;;
esac
printf '%s\\n' "$script" | exec /usr/bin/sbatch "$@"
"""
LOSES_THE_ANSWER = """#!/bin/sh
/usr/bin/sbatch "$@" >/dev/null
echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2
exit 1
"""


@pytest.fixture
def runs(slurm: Cluster, make_plan: Callable[..., RunPlan], make_launch: Callable[..., Launch]) -> SlurmRuns:
    return SlurmRuns(slurm, make_plan, make_launch, {**slurm.here, "PATH": "/usr/bin:/bin"})


def requests_of(
    runs: SlurmRuns, backend: SlurmBackend, plan: Callable[[int], RunPlan], count: int = FEWEST
) -> list[SlurmRequest]:
    found = []
    for number in range(count):
        launch, own = replace(runs.launch(), together=count), plan(number)
        write_secrets(own, launch.run_dir, os.environ)
        found.append(backend.request(own, launch))
    return found


def submitted(backend: SlurmBackend, requests: Sequence[SlurmRequest]) -> list[Handle]:
    """By threads, as a batch does it."""
    with ThreadPoolExecutor(len(requests)) as pool:
        return [started.handle for started in pool.map(backend.submit, requests)]


def backend_with(runs: SlurmRuns, tmp_path: Path, sbatch: str) -> SlurmBackend:
    folder = tmp_path / "bin"
    folder.mkdir()
    write_program(folder / "sbatch", sbatch)
    return SlurmBackend({**runs.environment, "PATH": f"{folder}:/usr/bin:/bin"})


def codes(runs: SlurmRuns, handles: Sequence[Handle]) -> list[int | None]:
    """The exit codes, once all have ended."""
    backend, deadline = runs.backend(), time.monotonic() + 2 * PATIENCE_S
    while True:
        found = backend.inspect(handles)
        if all(one.state is EngineState.EXITED for one in found.values()):
            return [found[handle.run_id].exit_code for handle in handles]
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


def test_each_task_of_an_array_is_its_own_run_with_its_own_end_and_stop(
    runs: SlurmRuns, tmp_path: Path
) -> None:
    """The last task has the number of the whole array when it runs: what ends it must end no other."""
    gate, last = tmp_path / "gate", FEWEST - 1
    waits = f"[ $SLURM_ARRAY_TASK_ID -lt {last - 1} ] || while [ ! -e {gate} ]; do sleep 0.1; done"
    backend = runs.backend()
    requests = requests_of(
        runs, backend, lambda number: runs.made(f"echo run {number}; {waits}; exit {number}")
    )
    handles = submitted(backend, requests)
    assert len({handle.id.partition("_")[0] for handle in handles}) == 1
    by_task = {int(handle.id.partition("_")[2]): number for number, handle in enumerate(handles)}
    assert sorted(by_task) == list(range(FEWEST))
    first_ones = [number for task, number in by_task.items() if task < last - 1]
    assert codes(runs, [handles[number] for number in first_ones]) == first_ones
    for number, handle in enumerate(handles):
        runs.prints(handle, f"run {number}\n")
    goes_on, ends = (handles[by_task[task]] for task in (last - 1, last))
    runs.backend().stop(ends, 10)
    assert runs.status(ends).state is EngineState.EXITED
    assert runs.status(goes_on).state is EngineState.RUNNING
    gate.touch()
    assert runs.becomes(goes_on).exit_code == by_task[last - 1]


def test_a_task_that_waits_is_stopped_alone_and_one_that_others_cancel_is_stopped(runs: SlurmRuns) -> None:
    """scancel with a filter would end all tasks that wait, and Slurm forgets a task that was cancelled while it waited."""
    backend = runs.backend()
    handles = submitted(backend, requests_of(runs, backend, lambda _: held(runs)))
    array = handles[0].id.partition("_")[0]
    runs.backend().stop(handles[5], 5)
    left = runs.cluster.checked("squeue", "-h", "-r", "-o", "%i", "-j", array)
    assert sorted(left.split()) == sorted(handle.id for handle in handles if handle is not handles[5])
    assert runs.status(handles[5]).state is EngineState.EXITED
    runs.cluster.checked("scancel", handles[0].id)
    found = runs.becomes(handles[0])
    assert found.end is not None and "scancel" in found.end.reason
    assert wait_held(runs, [handle for handle in handles[1:] if handle is not handles[5]])


def held(runs: SlurmRuns) -> RunPlan:
    """Its job does not begin."""
    return runs.made("exit 0", options={"options": ["--hold"]})


def wait_held(runs: SlurmRuns, handles: Sequence[Handle]) -> bool:
    """Whether Slurm knows each of them and holds it. They are cancelled."""
    found = runs.backend().inspect(handles).values()
    runs.cluster.checked("scancel", *{handle.id.partition("_")[0] for handle in handles})
    return all((status.waiting or "").startswith("held by its user") for status in found)


def test_a_cluster_without_arrays_gets_each_run_as_a_job_of_its_own(runs: SlurmRuns, tmp_path: Path) -> None:
    backend = backend_with(runs, tmp_path, REFUSES_ARRAYS)
    handles = submitted(backend, requests_of(runs, backend, lambda _: held(runs)))
    assert not any("_" in handle.id for handle in handles)
    assert len({handle.id for handle in handles}) == FEWEST
    assert wait_held(runs, handles)


def test_a_lost_answer_leaves_each_run_its_task(runs: SlurmRuns, tmp_path: Path) -> None:
    def lost(request: SlurmRequest) -> None:
        with pytest.raises(MachineError):
            backend.submit(request)

    backend = backend_with(runs, tmp_path, LOSES_THE_ANSWER)
    requests = requests_of(runs, backend, lambda _: held(runs))
    with ThreadPoolExecutor(FEWEST) as pool:
        list(pool.map(lost, requests))
    handles = submitted(runs.backend(), requests)
    assert {handle.id.partition("_")[2] for handle in handles} == set(map(str, range(FEWEST)))
    assert len({handle.id.partition("_")[0] for handle in handles}) == 1
    assert wait_held(runs, handles)


def test_runs_that_differ_are_no_array(runs: SlurmRuns) -> None:
    """One more than fits is a job of its own, and so is one that asks for something else."""
    backend = runs.backend()
    requests = requests_of(
        runs, backend, lambda number: runs.made("true", cpus=2 if number == 3 else 1), FEWEST
    )
    handles = submitted(backend, requests)
    assert not any("_" in handle.id for handle in handles)
    runs.cluster.checked("scancel", *(handle.id for handle in handles))


def test_hostile_folders_are_words_of_the_array_script(runs: SlurmRuns, tmp_path: Path) -> None:
    backend = runs.backend()
    launch = replace(runs.launch(), run_dir=tmp_path / "a $(touch bad) 'b\"")
    text = array_script([backend.request(runs.made("true"), launch)], "tr-one+0-abc")
    assert text.endswith(
        f"runs=(\n'{tmp_path}/a $(touch bad) '\"'\"'b\"/slurm'\n)\n"
        'exec /bin/bash "${runs[SLURM_ARRAY_TASK_ID]}/run.sbatch"\n'
    )


@pytest.mark.parametrize("name", ["x y", "--name", "tr-a;b", 7, ""])
def test_a_name_that_no_array_of_ours_has_is_not_believed(
    runs: SlurmRuns, tmp_path: Path, name: object
) -> None:
    request = runs.backend().request(runs.made("true"), runs.launch())
    folder = Folder(request.run_dir)
    folder.write({}, replace(request.cluster, array=name, task=1))
    assert folder.cluster() is None
    folder.keep_cluster(replace(request.cluster, array="tr-a+1-0a", task=1))
    assert folder.cluster() == replace(request.cluster, array="tr-a+1-0a", task=1)
