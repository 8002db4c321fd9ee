"""Runs on a real Slurm: ends, requeues, lost answers, wrong requests, several nodes, and names that a shell would read."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import wait_for
from contract import becomes, ended, output

from taorunner.backends.contract import EngineState, Handle, Launch, LogPosition
from taorunner.backends.secrets import write_secrets
from taorunner.backends.slurm.backend import SlurmBackend, create
from taorunner.contracts import CheckpointContract, ResumeRule
from taorunner.errors import EngineRefusedError, MachineError
from taorunner.planning.model.plan import GpuRequest, Resources, RunPlan
from taorunner.values.value import replace

pytestmark = pytest.mark.usefixtures("slurm_commands")


def slurm(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture
def run(make_plan: Callable[..., RunPlan], make_launch: Callable[[], Launch]) -> Iterator[Callable[..., Any]]:
    """``run("echo hello", nodes=2)`` submits a shell command; jobs that are left are cancelled."""
    left: list[tuple[SlurmBackend, Handle]] = []

    def start(
        script: str, *, backend: SlurmBackend | None = None, environ: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None, resources: Resources | None = None, **fields: Any,
    ) -> tuple[SlurmBackend, Handle]:  # fmt: skip
        given = {"partition": "low", **(options or {})}
        plan = make_plan("sh", "-c", script, backend="slurm", backend_options=given)
        plan = replace(plan, **fields)
        plan = replace(plan, resources=resources or Resources())
        launch = make_launch()
        write_secrets(plan, launch.run_dir, os.environ)
        backend = backend or create(environ)
        handle = backend.submit(backend.request(plan, launch)).handle
        left.append((backend, handle))
        return backend, handle

    yield start
    for backend, handle in left:
        backend.remove(handle)


def events(handle: Handle) -> list[str]:
    text = (handle.run_dir / "slurm" / "slurm.jsonl").read_text()
    return [json.loads(line)["event"] for line in text.splitlines()]


def program(folder: Path, name: str, text: str) -> Mapping[str, str]:
    """The environment with another program of that name, which may call the real one as ``$real``."""
    real = shutil.which(name)
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\nreal={real}\n{text}\n")
    path.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


HOSTILE = "a b'c\"$(touch here)`x`;%j\\\n&é"


def test_names_that_a_shell_would_read_are_names(
    run: Callable[..., Any], tmp_path: Path, make_plan: Callable[..., RunPlan]
) -> None:
    folder = tmp_path / HOSTILE / "run"
    folder.mkdir(parents=True)
    plan = make_plan("printf", "%s\\n", HOSTILE, backend="slurm", env={"NAME": HOSTILE})
    plan = replace(plan, argv=("sh", "-c", 'printf "%s|%s|%s" "$NAME" "$0" "$PWD"', HOSTILE))
    backend = create()
    handle = backend.submit(backend.request(plan, Launch("hostile-name", folder))).handle
    try:
        text = output(backend, handle)["stdout"].decode()
        assert ended(backend, handle).exit_code == 0, (folder / "slurm/slurm.out").read_text()
        assert text == f"{HOSTILE}|{HOSTILE}|{folder}"
        assert not list(tmp_path.rglob("here"))
    finally:
        backend.remove(handle)


def test_a_finished_run_is_not_started_again(run: Callable[..., Any], tmp_path: Path) -> None:
    backend, handle = run(f"echo once >> {tmp_path}/count; exit 4")
    status = ended(backend, handle)
    slurm("scontrol", "requeue", handle.id)
    wait_for(lambda: "not_started_again:4" in events(handle))
    assert (tmp_path / "count").read_text() == "once\n"
    assert create().inspect([handle])[handle.run_id] == status


TRAINS = """
trap 'echo weights > RESULTS/epoch_$n.pth; exit 0' TERM
n=$(ls RESULTS | wc -l); echo "start $n"
while :; do sleep 0.1; done
"""


def _training(tmp_path: Path, make_plan: Callable[..., RunPlan], script: str) -> dict[str, Any]:
    results = tmp_path / "results"
    results.mkdir()
    contract = make_plan("x").contract
    kept = CheckpointContract(globs=("epoch_*.pth",), resume=ResumeRule.AUTO)
    return {
        "script": script.replace("RESULTS", str(results)),
        "contract": replace(contract, checkpoints=kept),
        "results_dir": results,
    }


def near_the_limit(backend: SlurmBackend, handle: Handle, start: str) -> None:
    """What Slurm does some time before the limit, once the run has printed ``start``."""
    console = handle.run_dir / "slurm" / "console.log"
    wait_for(lambda: console.exists() and start in console.read_text(), 60)
    slurm("scancel", "-b", "--signal=USR2", handle.id)


def test_a_training_is_requeued_at_its_limit_as_often_as_allowed(
    run: Callable[..., Any], tmp_path: Path, make_plan: Callable[..., RunPlan]
) -> None:
    backend, handle = run(options={"requeue": 1}, **_training(tmp_path, make_plan, TRAINS))
    near_the_limit(backend, handle, "start 0")
    assert becomes(backend, handle, EngineState.WAITING).waiting == "TimeLimit"
    near_the_limit(backend, handle, "start 1")
    status = ended(backend, handle)
    assert (status.exit_code, status.end and status.end.reason) == (124, "the time limit was reached")
    assert output(backend, handle)["stdout"] == b"start 0\nstart 1\n"
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["epoch_0.pth", "epoch_1.pth"]


def test_two_attempts_without_a_new_checkpoint_are_the_last(
    run: Callable[..., Any], tmp_path: Path, make_plan: Callable[..., RunPlan]
) -> None:
    script = 'echo "start $SLURM_RESTART_COUNT"; exec sleep 600'
    backend, handle = run(options={"requeue": 9}, **_training(tmp_path, make_plan, script))
    near_the_limit(backend, handle, "start ")
    near_the_limit(backend, handle, "start 1")
    status = ended(backend, handle)
    assert status.end is not None
    assert status.end.reason.startswith("two attempts reached the time limit without a new checkpoint")


def test_somebody_cancels_it(run: Callable[..., Any]) -> None:
    backend, handle = run("echo up; exec sleep 600")
    becomes(backend, handle, EngineState.RUNNING)  # other tests share the cluster
    next(iter(backend.logs(handle, LogPosition())))
    slurm("scancel", handle.id)
    status = ended(backend, handle)
    assert status.end is not None and status.end.was_stopped
    assert status.end.reason == f"stopped by user {os.getuid()} (scancel)"
    assert create().inspect([handle])[handle.run_id] == status


def test_a_run_whose_answer_was_lost_is_adopted(run: Callable[..., Any], tmp_path: Path) -> None:
    environ = program(
        tmp_path / "bin", "sbatch", '"$real" "$@" >/dev/null; echo "Socket timed out" >&2; exit 1'
    )
    with pytest.raises(MachineError, match="does not answer"):
        run("exec sleep 600", environ=environ)
    (run_dir,) = (tmp_path / ".taorunner" / "runs").iterdir()
    found = create().find(run_dir.name, run_dir)
    assert found is not None
    try:
        assert becomes(create(), found, EngineState.RUNNING).state is EngineState.RUNNING
        assert slurm("squeue", "--me", "-h", "-n", f"tr-{run_dir.name}", "-o", "%i").split() == [found.id]
    finally:
        create().remove(found)


def test_a_scheduler_that_is_down_changes_no_state(run: Callable[..., Any], tmp_path: Path) -> None:
    backend, handle = run("echo up; exec sleep 600")
    becomes(backend, handle, EngineState.RUNNING)
    wait_for(lambda: (handle.run_dir / "slurm/slurm.jsonl").exists())
    said = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
    environ = program(tmp_path / "bin", "squeue", f'echo x >> {tmp_path}/asked; echo "{said}" >&2; exit 1')
    down = create(environ)
    for _ in range(3):
        assert down.inspect([handle])[handle.run_id].state is EngineState.RUNNING
    first, printed = itertools.islice(down.logs(handle, LogPosition()), 2)
    assert first.notice is not None and first.notice.startswith("the scheduler does not answer (since ")
    assert (first.data, printed.data) == (b"", b"up\n")
    assert (tmp_path / "asked").read_text() == "x\n"  # once a minute


@pytest.mark.parametrize(
    ("options", "resources", "message"),
    [
        ({"partition": "nope"}, {}, 'there is no partition "nope"'),
        ({"account": "nope"}, {}, 'the account "nope" may not use the partition "low"'),
        ({"qos": "nope"}, {}, 'your account has no QOS "nope"'),
        ({"gpu_type": "h100"}, {"gpus": GpuRequest(8)}, 'no node of the partition "low" has 8 GPUs of type h100, or as many'),
        ({"options": ["--no-such-option"]}, {}, 'this sbatch does not know the option "--no-such-option"'),
        ({}, {"time_s": 99 * 3600}, 'it would wait for ever: 4-03:00:00 is more than the partition "low" allows'),
    ],
)  # fmt: skip
def test_what_slurm_refuses_is_a_sentence(
    run: Callable[..., Any], options: dict[str, Any], resources: dict[str, Any], message: str
) -> None:
    with pytest.raises(EngineRefusedError) as caught:
        run("true", options=options, resources=Resources(**resources))
    assert caught.value.message.startswith(message)
    assert caught.value.hint


def test_each_node_of_several_knows_its_rank(run: Callable[..., Any]) -> None:
    line = 'echo "$(hostname) $NODE_RANK $WORLD_SIZE $NUM_GPU_PER_NODE $MASTER_ADDR ${SLURM_PROCID:-unset}"'
    backend, handle = run(
        line, resources=Resources(nodes=2, gpus=GpuRequest(1)), options={"gpu_type": "h100"}
    )
    assert ended(backend, handle).exit_code == 0
    first = (handle.run_dir / "slurm/console.log").read_text().split()
    other = (handle.run_dir / "slurm/console.1.log").read_text().split()
    assert first[1:4] == ["0", "2", "1"] and other[1:4] == ["1", "2", "1"]
    assert first[0] == first[4] == other[4] != other[0]
    assert first[5] == "unset"


def test_commands_behind_ssh_get_their_words_whole(
    run: Callable[..., Any], tmp_path: Path, make_plan: Callable[..., RunPlan]
) -> None:
    """A stand-in for ssh that does with its last word what sshd does: gives it to a shell."""
    text = f'echo "$@" >> {tmp_path}/ssh; for last in "$@"; do :; done; exec sh -c "$last"'
    environ = program(tmp_path / "bin", "ssh", text)
    backend, handle = run("echo there", environ=environ, options={"host": "login1", "constraint": "l4"})
    assert output(backend, handle)["stdout"] == b"there\n"
    assert ended(backend, handle).exit_code == 0
    assert "BatchMode=yes" in (tmp_path / "ssh").read_text()


def test_a_login_host_that_cannot_be_reached_is_named(run: Callable[..., Any], tmp_path: Path) -> None:
    environ = program(
        tmp_path / "bin", "ssh", "echo 'me@login1: Permission denied (publickey).' >&2; exit 255"
    )
    with pytest.raises(
        MachineError, match=r'"login1" cannot be reached: me@login1: Permission denied \(publickey\)'
    ):
        run("true", environ=environ, options={"host": "login1"})


def test_a_job_that_slurm_holds_after_a_failed_start_is_released_once(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    """A job that its user holds, and a squeue that gives another reason for it."""
    backend, handle = run("exec sleep 600", options={"options": ["--hold"]})
    said = '"$real" "$@" | sed -E "s/JobHeldUser|job requeued in held state/launch failed requeued held/"'
    environ = program(tmp_path / "bin", "squeue", said)
    create(environ).inspect([handle])
    becomes(backend, handle, EngineState.RUNNING)
    slurm("scontrol", "requeuehold", handle.id)
    wait_for(lambda: slurm("squeue", "-h", "-j", handle.id, "-o", "%T") == "PENDING")
    waits = f"held by Slurm after a failed start: scontrol release {handle.id}"
    assert create(environ).inspect([handle])[handle.run_id].waiting == waits


def test_a_job_that_slurm_forgot_is_lost_after_a_while(run: Callable[..., Any], tmp_path: Path) -> None:
    backend, handle = run("echo up; exec sleep 600", options={"unknown_after_s": 10})
    becomes(backend, handle, EngineState.RUNNING)  # other tests share the cluster
    next(iter(backend.logs(handle, LogPosition())))
    slurm("scancel", handle.id)
    wait_for(lambda: any(event.startswith("ended") for event in events(handle)))
    wait_for(
        lambda: handle.id not in slurm("squeue", "--me", "-h", "-o", "%i").split()
    )  # it writes nothing more
    environ = program(tmp_path / "bin", "squeue", "exit 0")
    environ = {**program(tmp_path / "bin", "sacct", "exit 0"), "PATH": environ["PATH"]}
    forgetful = create(environ)
    (handle.run_dir / "slurm/slurm.jsonl").write_text(
        '{"at":"2026-01-01T00:00:00.000Z","attempt":0,"event":"started"}\n'
    )
    assert forgetful.inspect([handle])[handle.run_id].state is EngineState.RUNNING
    for name in ("slurm.jsonl", "console.log", "job.json"):
        os.utime(handle.run_dir / "slurm" / name, (0, 0))
    assert forgetful.inspect([handle])[handle.run_id].state is EngineState.MISSING


def test_what_srun_said_of_a_start_that_failed_is_the_reason(run: Callable[..., Any]) -> None:
    backend, handle = run("true", options={"setup": ["srun() { command srun --no-such-option; }"]})
    status = ended(backend, handle)
    assert status.end is not None
    assert status.end.reason.startswith("it could not be started: ")


def test_memory_that_is_used_up_beats_the_log(run: Callable[..., Any]) -> None:
    script = "echo begun; python3 -c 'a=bytearray(300<<20); import time; time.sleep(1)'; exit $?"
    backend, handle = run(script, resources=Resources(memory_bytes=100 << 20))
    status = ended(backend, handle)
    assert status.oom_killed and status.end is not None
    assert status.end.reason.startswith("the memory of the job (100")


def test_more_gpus_than_asked_for_are_refused(run: Callable[..., Any], tmp_path: Path) -> None:
    """The stand-in for nvidia-smi lists two."""
    program(tmp_path / "bin", "nvidia-smi", "echo GPU 0: x; echo GPU 1: y")
    env = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    backend, handle = run("echo trained", resources=Resources(gpus=GpuRequest(1)), env=env)
    assert ended(backend, handle).exit_code == 125
    assert b"this cluster shows all GPUs of a node to every job" in output(backend, handle)["stdout"]
    show = "echo ${CUDA_VISIBLE_DEVICES:-unset}"
    backend, handle = run(show, resources=Resources(gpus=GpuRequest(2)), env=env)
    assert output(backend, handle)["stdout"] == b"unset\n"
