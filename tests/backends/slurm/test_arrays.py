"""Runs that are launched together become the tasks of one array of a real Slurm, and each is still a run of its own."""

from __future__ import annotations

import json
import os
import signal
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
from taorunner.backends.slurm.arrays import FEWEST, MOST, Arrays, array_script
from taorunner.backends.slurm.backend import SlurmBackend, create
from taorunner.backends.slurm.folder import Folder
from taorunner.backends.slurm.request import SlurmRequest
from taorunner.contracts import CheckpointContract, ResumeRule
from taorunner.errors import MachineError
from taorunner.host_commands import CommandResult
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


def arrays_of(handle: Handle) -> Path:
    return handle.run_dir.parent.parent / "arrays"


def test_what_slurm_says_of_a_task_is_in_the_folder_of_its_run(runs: SlurmRuns, tmp_path: Path) -> None:
    """The folder that Slurm writes into is gone with the last run."""
    gate, backend = tmp_path / "gate", runs.backend()
    waits = f"[ $SLURM_ARRAY_TASK_ID != 0 ] || while [ ! -e {gate} ]; do sleep 0.1; done"
    handles = submitted(backend, requests_of(runs, backend, lambda _: runs.made(f"echo up; {waits}")))
    cancelled = next(handle for handle in handles if handle.id.endswith("_0"))
    runs.prints(cancelled, "up")
    runs.cluster.checked("scancel", cancelled.id)
    assert runs.becomes(cancelled).end is not None
    gate.touch()
    codes(runs, [handle for handle in handles if handle is not cancelled])
    said = {handle.id: handle.run_dir / "slurm" / "slurm.out" for handle in handles}
    assert "error: *** JOB " in said[cancelled.id].read_text()
    assert "CANCELLED AT" in said[cancelled.id].read_text()
    assert [job for job, path in said.items() if "CANCELLED AT" in path.read_text()] == [cancelled.id]
    for handle in handles[1:]:
        runs.backend().remove(handle)
    assert [path.name for path in arrays_of(cancelled).glob("*/*")] == [f"{by_task(handles[0])}.out"]
    runs.backend().remove(handles[0])
    assert list(arrays_of(cancelled).iterdir()) == []


def test_a_stop_of_a_task_reaches_its_command_while_others_wait(runs: SlurmRuns, tmp_path: Path) -> None:
    """scancel could not signal its script then."""
    gate, backend = tmp_path / "gate", runs.backend()
    script = f"trap 'exit 7' TERM; echo up; while [ ! -e {gate} ]; do sleep 0.1; done"
    handles = submitted(backend, requests_of(runs, backend, lambda _: runs.made(script), 2 * FEWEST))
    first = min(handles, key=by_task)
    runs.prints(first, "up")
    assert any(status.state is EngineState.WAITING for status in backend.inspect(handles).values())
    began_s = time.monotonic()
    runs.backend().stop(first, 30)
    taken_s = time.monotonic() - began_s
    status = runs.status(first)
    assert (status.state, status.exit_code, status.end) == (EngineState.EXITED, 7, None)
    assert taken_s < 30
    gate.touch()
    runs.cluster.checked("scancel", first.id.partition("_")[0])


def by_task(handle: Handle) -> int:
    return int(handle.id.partition("_")[2])


TRAINS = """
trap 'echo weights > "$0"/epoch_$n.pth; exit 0' TERM
n=$(ls "$0" | wc -l); echo "start $n"
while [ ! -e GATE ] && [ $n = 0 ]; do sleep 0.1; done
"""


def test_one_task_that_reaches_its_limit_goes_on_and_the_others_are_left_alone(
    runs: SlurmRuns, tmp_path: Path
) -> None:
    """Near the limit Slurm signals the script of the task; each task is told apart by the array and its index."""
    gate, backend = tmp_path / "gate", runs.backend()

    def training(number: int) -> RunPlan:
        results = tmp_path / f"results-{number}"
        results.mkdir()
        options = {"requeue": 2, "setup": ["echo $$ >$D/pid"]}
        plan = runs.made(TRAINS.replace("GATE", str(gate)), options=options, time_s=600)
        kept = CheckpointContract(globs=("epoch_*.pth",), resume=ResumeRule.AUTO)
        contract = replace(plan.contract, checkpoints=kept)
        return replace(plan, contract=contract, argv=(*plan.argv, str(results)), results_dir=results)

    handles = submitted(backend, requests_of(runs, backend, training))
    by_number = sorted(handles, key=by_task)
    first, last = by_number[0], by_number[-1]
    for task in (first, by_number[1]):  # the cluster has room for several at a time, not for all
        runs.prints(task, "start 0\n")
    os.kill(int((first.run_dir / "slurm" / "pid").read_text()), signal.SIGUSR2)
    assert runs.becomes(first, EngineState.WAITING).waiting == "TimeLimit"
    assert runs.status(by_number[1]).state is EngineState.RUNNING
    gate.touch()
    assert codes(runs, handles) == [0] * FEWEST
    assert runs.console(first) == "start 0\nstart 1\n"
    assert {runs.console(handle) for handle in by_number[1:]} == {"start 0\n"}
    starts = [line for line in runs.events(first).splitlines() if '"started"' in line]
    assert [json.loads(line)["attempt"] for line in starts] == [0, 1]
    assert runs.status(last).exit_code == 0


@pytest.mark.slow
def test_the_tasks_of_a_node_that_dies_are_started_again_and_no_other(
    own_slurm: Cluster, make_plan: Callable[..., RunPlan], make_launch: Callable[..., Launch], tmp_path: Path
) -> None:
    own_slurm.reconfigure(SlurmdTimeout="3")
    runs = SlurmRuns(own_slurm, make_plan, make_launch, {**own_slurm.here, "PATH": "/usr/bin:/bin"})
    gate, node, backend = tmp_path / "gate", own_slurm.nodes[0], runs.backend()
    script = f"echo $SLURMD_NODENAME; while [ ! -e {gate} ]; do sleep 0.1; done"
    handles = submitted(
        backend, requests_of(runs, backend, lambda _: runs.made(script, options={"requeue": 3}, time_s=600))
    )
    begun = [handle for handle in handles if begins(runs, handle)]
    there = [handle for handle in begun if runs.console(handle).split() == [node]]
    elsewhere = [handle for handle in begun if handle not in there]
    assert there and elsewhere
    own_slurm.kill_node(node)
    for handle in there:
        runs.becomes(handle, EngineState.WAITING)
    gate.touch()
    assert codes(runs, handles) == [0] * FEWEST
    assert all(len(runs.console(handle).split()) == 2 for handle in there)
    assert all(len(runs.console(handle).split()) == 1 for handle in elsewhere)


def begins(runs: SlurmRuns, handle: Handle) -> bool:
    """Whether it was started while the cluster had room."""
    if runs.status(handle).state is not EngineState.RUNNING:
        return False
    runs.prints(handle, "\n")
    return True


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


class TakesAll:
    """A scheduler that takes each array, with a number of its own."""

    def __init__(self) -> None:
        self.scripts: list[str] = []

    def run(self, argv: Sequence[str], stdin: str) -> CommandResult:
        self.scripts.append(stdin)
        return CommandResult(tuple(argv), 0, f"{100 + len(self.scripts)}\n", "")


@pytest.mark.parametrize("rest", [FEWEST - 1, FEWEST])
def test_more_than_one_array_holds_are_several_and_too_few_are_left(
    rest: int, make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    plan = make_plan("dino", "train", "-e", "x", backend="slurm")
    requests = []
    for number in range(MOST + rest):
        folder = tmp_path / f"runs/r{number}"
        (folder / "slurm").mkdir(parents=True)
        requests.append(create().request(plan, Launch(f"r{number}", folder, together=MOST + rest)))
    scheduler = TakesAll()
    answers = Arrays(lambda _: scheduler)._submit_all(requests)
    tasks = [f"101_{task}" for task in range(MOST)]
    assert answers == [
        *tasks,
        *([f"102_{task}" for task in range(rest)] if rest == FEWEST else [None] * rest),
    ]
    assert [f"--array=0-{MOST - 1}" in script for script in scheduler.scripts] == [True, False][
        : 1 + (rest == FEWEST)
    ]
