"""Many runs of a real Slurm are asked for with one command, and a secret is nowhere that others can look."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from private_daemon import write_program
from slurm_rig import Cluster
from slurm_runs import SlurmRuns

from taorunner.backends.contract import Handle, Launch
from taorunner.backends.slurm.backend import SlurmBackend
from taorunner.backends.slurm.folder import Cluster as RunsCluster
from taorunner.backends.slurm.folder import Folder
from taorunner.backends.slurm.script import job_name
from taorunner.backends.slurm.states import Asked
from taorunner.planning.model.plan import RunPlan, SecretSource
from taorunner.values.value import replace

CROWD = 1000
CANARY = "canary-7f3a91c2-in-the-mine"


@pytest.fixture
def runs(slurm: Cluster, make_plan: Callable[..., RunPlan], make_launch: Callable[..., Launch]) -> SlurmRuns:
    return SlurmRuns(slurm, make_plan, make_launch, {**slurm.here, "PATH": "/usr/bin:/bin"})


def test_a_thousand_held_jobs_are_asked_for_with_one_command(runs: SlurmRuns, tmp_path: Path) -> None:
    """The jobs are the tasks of one array; each has the folder that a submitted run has."""
    bin_dir, asked = tmp_path / "bin", tmp_path / "asked"
    bin_dir.mkdir()
    for name in ("squeue", "sacct", "scontrol", "scancel"):
        write_program(bin_dir / name, f'#!/bin/sh\necho {name} >>{asked}\nexec /usr/bin/{name} "$@"\n')
    array = f"--array=0-{CROWD - 1}"
    job = runs.cluster.sbatch("--hold", array, "-J", job_name("crowd"), "-o", "/dev/null", "--wrap", "true")
    try:
        handles = []
        for number in range(CROWD):
            run_dir = tmp_path / "crowd" / str(number)
            run_dir.mkdir(parents=True)
            Folder(run_dir).write(
                {}, RunsCluster(None, "crowd", 600, Asked(), None, job_name("crowd"), number)
            )
            Folder(run_dir).keep_job(f"{job}_{number}")
            handles.append(Handle("slurm", f"crowd-{number}", f"{job}_{number}", run_dir))
        backend = SlurmBackend({**runs.environment, "PATH": f"{bin_dir}:/usr/bin:/bin"})
        found = backend.inspect(handles)
    finally:
        runs.cluster.checked("scancel", job)
    said = {handle.run_id: f"held by its user: scontrol release {handle.id}" for handle in handles}
    assert {run_id: status.waiting for run_id, status in found.items()} == said
    assert asked.read_text() == "squeue\n"


def shown_to_others(cluster: Cluster, job: str) -> dict[str, str]:
    """What Slurm and the list of processes tell of a job that runs."""
    return {
        "squeue": cluster.checked("squeue", "-h", "-j", job, "-o", "%all"),
        "scontrol show job": cluster.checked("scontrol", "show", "job", "-dd", job),
        "the script in the controller": cluster.checked("scontrol", "write", "batch_script", job, "-"),
        "processes": "\n".join(
            path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if _is_there(path)
        ),
    }


def _is_there(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def kept_by_accounting(cluster: Cluster, job: str) -> dict[str, str]:
    cluster.accounting(job)
    wanted = {
        "sacct": ("-P", "--format=ALL"),
        "script": ("-B",),
        "environment": ("--env-vars",),
    }
    return {name: cluster.checked("sacct", "-j", job, *words) for name, words in wanted.items()}


def test_a_secret_is_nowhere_that_others_can_look(runs: SlurmRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the submitter's environment as the job has it either: the job starts with none of it."""
    monkeypatch.setenv("CANARY_HERE", CANARY)
    secret = SecretSource("key", "env:CANARY_HERE", variable="NGC_KEY")
    script = 'echo "${#NGC_KEY} ${CANARY_HERE:-nothing}"; exec sleep 600'
    backend = SlurmBackend({**runs.environment, "CANARY_HERE": CANARY})
    plan = replace(runs.made(script), secrets=(secret,))
    handle = runs.start(plan, backend)
    runs.prints(handle, f"{len(CANARY)} nothing")
    found = shown_to_others(runs.cluster, handle.id)
    for path in handle.run_dir.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_file() and CANARY in path.read_text(errors="replace"):
            assert (mode & 0o077, path.parent.stat().st_mode & 0o077) == (0, 0), path
        elif path.is_relative_to(handle.run_dir / "slurm"):
            assert mode & 0o077 == 0 or path.is_dir(), path
    backend.stop(handle, 1)
    found |= kept_by_accounting(runs.cluster, handle.id)
    assert [name for name, text in found.items() if CANARY in text] == []
    for name in ("the script in the controller", "script"):
        assert "Written by taorunner" in found[name], name  # it is really looked at
    assert handle.run_id in found["squeue"] and handle.run_id in found["sacct"]
    assert handle.run_id in found["processes"]
    backend.remove(handle)
