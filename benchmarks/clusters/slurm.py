"""What does taorunner cost on a Slurm cluster: submitting, waiting, and asking, with many runs?

The cluster is the private one of the tests, which needs root and Slurm's packages. No job of it ever begins.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from timing import print_ratio, process, taking_turns
from workspaces import PROJECT, TAORUNNER

from taorunner.backends.contract import Handle
from taorunner.backends.slurm.backend import SlurmBackend

SUBMITTED, PENDING, SECONDS = 100, 1000, 60
SETTLES_S = 90
"""A supervisor asks ever less often while nothing changes, at last every half a minute."""
_RIG = Path(__file__).resolve().parents[2] / "tests/rig/slurm_cluster/slurm_rig.py"


def measure(times: int) -> None:
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        home = Path(
            f"{folder}-slurm"
        )  # its daemons have users of their own, who may not look into the folder
        up = subprocess.run(
            [sys.executable, str(_RIG), "up", "--home", str(home), "--owner", str(os.getpid())],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        lines = [line.removeprefix("export ") for line in up.stdout.splitlines() if "=" in line]
        environ = dict(line.split("=", 1) for line in lines)
        try:
            _submit(Path(folder) / "few", environ)
            _wait(Path(folder) / "many", environ, times)
        finally:
            subprocess.run([sys.executable, str(_RIG), "down", "--home", str(home)], check=True)


def _submit(root: Path, environ: Mapping[str, str]) -> None:
    """From Enter until the last job has its number, and ``sbatch`` of the same scripts, one after the other.

    Ours are one array job, as always from 20 equal runs on.

    The command itself returns later: it looks for up to a second whether Slurm says that a job would never start.
    On a busy machine only seconds of CPU can be compared: ``sbatch`` waits for the controller most of its time.
    """
    _taorunner(_started(root / "one", environ, 1), environ, "ps")  # imports are compiled now
    home, busy_s, began_s, began_at_s = root / "all", _children_s(), time.perf_counter(), time.time()
    _started(home, environ, SUBMITTED)
    client_cpu_s, client_s = _children_s() - busy_s, time.perf_counter() - began_s
    numbers = [*home.glob(".taorunner/runs/*/slurm/job.json")]
    assert len(numbers) == SUBMITTED and len(_jobs(environ)) == SUBMITTED + 1
    ours_s = max(number.stat().st_mtime for number in numbers) - began_at_s
    ours_cpu_s = client_cpu_s + _cpu_s(_supervisor(home))
    scripts = [*home.glob(".taorunner/runs/*/slurm/run.sbatch")]
    _cancel(environ)
    busy_s, began_s = _children_s(), time.perf_counter()
    for script in scripts:
        words = [
            "sbatch",
            "--parsable",
            "--export=NONE",
            "--begin=now+1hour",
            "--output=/dev/null",
            str(script),
        ]
        subprocess.run(words, env={**os.environ, **environ}, check=True, capture_output=True)
    bare_s, bare_cpu_s = time.perf_counter() - began_s, _children_s() - busy_s
    _cancel(environ)
    print(
        f"{SUBMITTED} experiments, from Enter until the last job has its number, and sbatch of the same scripts"
    )
    print(
        f"  {ours_s:.2f} s ÷ {bare_s:.2f} s: {ours_s / bare_s:.2f}, wanted ≤ 2   (load {os.getloadavg()[0]:.1f})"
    )
    print(f"  until train --detach returns: {client_s:.2f} s")
    print(
        f"  CPU: taorunner with its commands {ours_cpu_s:.2f} s (client {client_cpu_s:.2f}), sbatch {bare_cpu_s:.2f} s"
    )


def _started(root: Path, environ: Mapping[str, str], count: int) -> Path:
    _taorunner(root, environ, "train", *_workspace(root, count), "--detach")
    return root


def _wait(root: Path, environ: Mapping[str, str], times: int) -> None:
    names = _workspace(root, PENDING)
    _taorunner(root, environ, "train", *names, "--detach")
    while len(_jobs(environ)) < PENDING:
        time.sleep(1)
    time.sleep(SETTLES_S)
    stat = _supervisor(root)
    before_s, began_s = _cpu_s(stat), time.monotonic()
    time.sleep(SECONDS)
    share = (_cpu_s(stat) - before_s) / (time.monotonic() - began_s)
    load = os.getloadavg()[0]
    print(f"\n{PENDING:,} runs that wait in Slurm's queue")
    print(
        f"  supervisor and its commands, of one core, {SECONDS} s: {share:.2%}, wanted ≤ 2 %   (load {load:.1f})"
    )
    ours, bare = taking_turns(
        {
            "taorunner ps": process([*TAORUNNER, "ps"], env=environ, cwd=str(root)),
            "squeue": process(["squeue", "-h", "-a", "-r"], env=environ),
        },
        times,
    )
    print_ratio("taorunner ps ÷ squeue", ours, bare)
    own_s, squeue_s = _poll_cpu_s(root, environ, times)
    print(f"  one poll: {own_s:.3f} s of CPU and {squeue_s:.3f} s of squeue, wanted ≤ 0.1 s together")
    _cancel(environ)


def _poll_cpu_s(root: Path, environ: Mapping[str, str], times: int) -> tuple[float, float]:
    """Seconds of CPU of one question for the states of all runs: of this process and of its commands. Medians."""
    backend = SlurmBackend({**os.environ, **environ})
    handles = []
    for record in root.glob(".taorunner/runs/*/record.json"):
        handles.append(
            Handle("slurm", record.parent.name, json.loads(record.read_text())["handle"], record.parent)
        )
    own, commands = [], []
    for _ in range(times + 1):
        before_s, busy_s = time.process_time(), _children_s()
        found = backend.inspect(handles)
        own.append(time.process_time() - before_s)
        commands.append(_children_s() - busy_s)
        assert len(found) == PENDING
    return statistics.median(own[1:]), statistics.median(commands[1:])


def _workspace(root: Path, count: int) -> list[str]:
    """Experiments of one network whose jobs begin in an hour."""
    home = root / "projects" / PROJECT
    (root / "repositories").mkdir(parents=True)
    (home / "data" / "d").mkdir(parents=True)
    (home / "models").mkdir()
    (home / "specs" / "e0").mkdir(parents=True)
    (home / "specs/e0/train.yaml").write_text("train:\n  num_epochs: 3\n")
    names = [f"e{number}" for number in range(count)]
    options = {"partition": "low", "options": ["--begin=now+1hour"]}
    first = {"head": "dino", "dataset": "d", "backend": "slurm", "gpus": 0, "backend_options": options}
    body = {"experiments": {"e0": first, **{name: {"extends": "e0"} for name in names[1:]}}}
    (home / "experiments.yml").write_text(json.dumps(body))
    return names


def _taorunner(root: Path, environ: Mapping[str, str], *words: str) -> None:
    done = subprocess.run(
        [*TAORUNNER, "-p", PROJECT, *words],
        cwd=root,
        env={**_inherited(), **environ},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


def _inherited() -> dict[str, str]:
    """Python may keep compiled modules, as an installed program does."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _jobs(environ: Mapping[str, str]) -> Sequence[str]:
    done = subprocess.run(
        ["squeue", "-h", "-r", "-t", "PENDING"],
        env={**os.environ, **environ},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


def _cancel(environ: Mapping[str, str]) -> None:
    subprocess.run(["scancel", "--me"], env={**os.environ, **environ}, check=True)


def _supervisor(root: Path) -> Path:
    (lock,) = root.glob(".taorunner/batches/*/supervisor.lock")
    return Path("/proc", lock.read_text().strip(), "stat")


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_s(stat: Path) -> float:
    """Of the process and of the commands that it has run."""
    fields = stat.read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
