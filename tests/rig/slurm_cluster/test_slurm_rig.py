"""The cluster is a real one, and what the rig promises of it is true."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clusters
import slurm_daemons
import slurm_files
import slurm_hosts
import slurm_rig
from private_daemon import started_at
from slurm_rig import Cluster

import rig


def printed(cluster: Cluster, folder: Path, *options: str, wrap: str) -> str:
    """What a job printed that ended well."""
    job = cluster.sbatch("-o", f"{folder}/%j.out", *options, "--wrap", wrap)
    ended = cluster.becomes(job)
    text = (folder / f"{job}.out").read_text()
    assert ended.state == "COMPLETED", text
    return text


def test_a_job_ends_and_accounting_has_its_code(slurm: Cluster, tmp_path: Path) -> None:
    words = ["-J", "tr-1", "--comment", "taorunner:1", "-w", slurm.nodes[0]]
    job = slurm.sbatch(*words, "-o", f"{tmp_path}/out", "--wrap", "hostname; exit 3")
    ended = slurm.becomes(job)
    assert ended == slurm_rig.Job(job, "tr-1", "FAILED", "NonZeroExitCode", "taorunner:1", slurm.nodes[0])
    assert (tmp_path / "out").read_text() == f"{slurm.nodes[0]}\n"
    fields = "JobName,State,ExitCode,Comment,Account"
    assert slurm.accounting(job, fields) == [["tr-1", "FAILED", "3:0", "taorunner:1", slurm.account]]


def test_steps_of_two_nodes_know_their_rank_and_reach_each_other(slurm: Cluster, tmp_path: Path) -> None:
    step = 'echo "$SLURM_NODEID $(hostname) $CUDA_VISIBLE_DEVICES $(getent hosts $0)"'
    wrap = f"srun --export=ALL sh -c {shlex.quote(step)} {slurm.nodes[0]}"
    text = printed(slurm, tmp_path, "-N2", "--ntasks-per-node=1", "--gpus-per-node=h100:2", wrap=wrap)
    address = slurm.layout.address(slurm.nodes[0])
    rows = [line.split() for line in sorted(text.splitlines())]
    assert rows == [[str(rank), slurm.nodes[rank], "0,1", address, slurm.nodes[0]] for rank in (0, 1)]


def test_a_type_of_gpu_that_no_node_has_is_refused(slurm: Cluster) -> None:
    done = slurm.run("sbatch", "--gpus-per-node=a100:1", "--wrap", "true")
    assert done.returncode != 0
    assert "Requested node configuration is not available" in done.stderr


def test_tao_runs_in_charliecloud(slurm: Cluster, rootfs: Callable[..., Any], tmp_path: Path) -> None:
    image = rootfs("pyt7")
    container = [
        "env",
        "USER=root",
        "ch-run",
        f"--set-env={image.folder}/ch/environment",
        str(image.folder),
        "--",
    ]
    text = printed(
        slurm,
        tmp_path,
        "--gpus=1",
        wrap=shlex.join([*container, "sh", "-c", "command -v dino; echo $PYTHONHOME"]),
    )
    assert text.splitlines() == ["/usr/local/bin/dino", image.environment["PYTHONHOME"]]
    job = slurm.sbatch("-o", "/dev/null", "--wrap", shlex.join([*container, "sh", "-c", "exit 7"]))
    slurm.becomes(job)
    assert slurm.accounting(job, "ExitCode") == [["7:0"]]


def test_docker_runs_in_a_job(slurm: Cluster, engine: rig.Engine, noop_image: str, tmp_path: Path) -> None:
    command = ["docker", "-H", engine.url, "run", "--rm", noop_image, "echo", "inside"]
    assert printed(slurm, tmp_path, wrap=shlex.join(command)) == "inside\n"


def test_only_the_login_node_has_slurm_elsewhere(slurm: Cluster, tmp_path: Path) -> None:
    environment = {**os.environ, **slurm.elsewhere}

    def shell(command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout + done.stderr

    assert shell("sbatch --version") == (127, "sh: 1: sbatch: not found\n")
    assert shell(f"ssh {slurm.login} hostname") == (0, f"{slurm.login}\n")
    job = f"ssh {slurm.login} sbatch --parsable --wait -o {tmp_path}/out --wrap hostname"
    code, text = shell(job)
    assert (code, text.strip().isdecimal()) == (0, True), text
    assert (tmp_path / "out").read_text().strip() in slurm.nodes


if slurm_files.limits_memory():

    def test_a_job_is_held_to_its_memory(slurm: Cluster, tmp_path: Path) -> None:
        hog = 'python3 -c "a = bytearray(300 << 20)"; exit 0'
        job = slurm.sbatch("--mem=60M", "-o", f"{tmp_path}/out", "--wrap", hog)
        assert slurm.becomes(job).state == "OUT_OF_MEMORY"


def test_a_dead_node_a_dead_controller_and_a_drained_node_are_mended(
    own_slurm: Cluster, tmp_path: Path
) -> None:
    first, second, _ = own_slurm.nodes
    job = own_slurm.sbatch("-w", first, "-o", f"{tmp_path}/out", "--wrap", "echo begun; sleep 600; echo end")
    while not (tmp_path / "out").exists():
        time.sleep(0.05)
    own_slurm.kill_node(first)
    assert slurm_hosts.processes_on(own_slurm.layout.key, first) == []
    own_slurm.drain(second, "a test")
    assert own_slurm.node_states()[second] == "drained"
    own_slurm.kill("slurmctld")
    assert [own_slurm.runs(name) for name in ("slurmctld", first, second)] == [False, False, True]
    own_slurm.mend()
    assert set(own_slurm.node_states().values()) == {"idle"}
    assert own_slurm.jobs(job).get(job) is None or own_slurm.jobs(job)[job].state in slurm_rig.ENDED
    assert printed(own_slurm, tmp_path, "-w", first, wrap="hostname") == f"{first}\n"


def test_a_full_partition_makes_jobs_wait(own_slurm: Cluster) -> None:
    with own_slurm.full():
        job = own_slurm.sbatch("-o", "/dev/null", "--wrap", "true")
        assert own_slurm.becomes(job, "PENDING").state == "PENDING"
        time.sleep(1.5)  # a scheduling pass later it still waits
        assert own_slurm.jobs(job)[job].reason in ("Resources", "Priority")
    assert own_slurm.becomes(job).state == "COMPLETED"


def test_slurm_forgets_a_job_and_accounting_does_not(own_slurm: Cluster) -> None:
    own_slurm.reconfigure(MinJobAge="2")
    job = own_slurm.sbatch("-J", "tr-9", "-o", "/dev/null", "--wrap", "exit 4")
    own_slurm.accounting(job)
    deadline = time.monotonic() + 120
    while own_slurm.jobs(job):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert own_slurm.accounting(job, "JobName,ExitCode") == [["tr-9", "4:0"]]


def test_nothing_is_left_of_a_cluster_whose_guard_was_killed(tmp_path: Path) -> None:
    if slurm_rig.obstacle():
        clusters.unavailable_cluster(slurm_rig.obstacle() or "")
    home = Path(f"/tmp/taor-{os.getpid()}-k")
    try:
        cluster = slurm_rig.up(home, os.getpid())
        pids = [
            slurm_daemons.pid_of(cluster.layout, name) for name in ("slurmctld", *cluster.nodes, "mariadbd")
        ]
        state = rig.read_state(home)
        assert state is not None and None not in pids
        os.kill(state["guard"], signal.SIGKILL)
        while started_at(state["guard"]) is not None:
            time.sleep(0.01)
        again = slurm_rig.up(home, os.getpid())  # the same folder: what is left is cleared first
        assert set(again.node_states().values()) == {"idle"}
        assert [started_at(pid) for pid in pids if pid] == [None] * len(pids)
    finally:
        rig.down(home)
    assert not home.exists()
    assert not [*slurm_hosts.NAMESPACES.glob(f"tao-{cluster.layout.key}-*")]
    assert not [*Path("/sys/fs/cgroup").glob(f"*/slurm_{cluster.nodes[0]}")]
