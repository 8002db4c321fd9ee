#!/usr/bin/env python3
"""A private Slurm cluster for tests: three nodes with GPUs, accounting, a login node; how it is brought up and used.

Used by ``tests/conftest.py`` and from a shell::

    python tests/rig/rig.py install                        # the system packages that are missing (root)
    python tests/rig/slurm_cluster/slurm_rig.py up         # prints what to set; stays until down, or until --owner ends
    python tests/rig/slurm_cluster/slurm_rig.py down

The hosts are namespaces of this machine, each with its own network and host name, and see the same files. All daemons
are real and of this cluster alone. Nothing of /etc, of ~/.ssh or of another cluster is read or written.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import slurm_daemons as daemons
from private_daemon import RigError, which
from slurm_files import ACCOUNT, QOS_SHORT, Layout, limits_memory, slurm_conf
from slurm_hosts import hide, kill_host, processes_on

import rig

DEFAULT_HOME = Path("/tmp/taorunner-slurm")
NEEDED = (
    "slurmctld", "slurmd", "slurmdbd", "sbatch", "munged", "mariadbd", "mariadb-install-db", "ip", "nsenter",
    "unshare", "sshd", "ssh",
)  # fmt: skip
PATIENCE_S = 120.0
_IMPATIENT = "MessageTimeout=2\n"
FIXTURES = {"slurm", "own_slurm", "slurm_commands"}
"""Tests with one of these are marked ``slurm``; the last is of tests/backends/slurm."""
ENDED = frozenset({
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT",
})  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One line of squeue."""

    id: str
    name: str
    state: str
    reason: str
    comment: str
    nodes: str


@dataclass(frozen=True)
class Cluster:
    """A Slurm cluster that tests may use. ``home`` is where scratch files of its users may go."""

    layout: Layout

    account = ACCOUNT
    qos_short = QOS_SHORT
    """A QOS of two minutes at most."""
    partitions = ("main", "low", "l4")
    """``main`` is the default one and has the two nodes with h100; ``low`` has all nodes and is preempted by it."""

    @property
    def home(self) -> Path:
        return self.layout.home

    @property
    def nodes(self) -> tuple[str, ...]:
        """Two nodes with two h100 each, and one with four l4."""
        return self.layout.nodes

    @property
    def login(self) -> str:
        """The alias of the login node, for ssh with ``elsewhere``."""
        return self.layout.login

    @property
    def ssh_config(self) -> Path:
        return self.home / "ssh" / "config"

    @property
    def limits_memory(self) -> bool:
        return limits_memory()

    @property
    def here(self) -> dict[str, str]:
        """What to set where this machine is to be a login node of the cluster. TAO's clocks are in UTC, so is Slurm."""
        return {"SLURM_CONF": str(self.layout.slurm_conf), "TZ": "UTC"}

    @property
    def elsewhere(self) -> dict[str, str]:
        """What to set where this machine is to have no Slurm, and an ssh that knows the login node."""
        return {"PATH": f"{self.home / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def run(
        self, *command: str, timeout_s: float = PATIENCE_S, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """``COMMAND…`` of Slurm; the exit code is the caller's to look at. No SLURM_ or SBATCH_ variable is inherited."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "SBATCH_"))}
        return subprocess.run(
            command,
            env={**kept, **self.here},
            cwd=cwd or self.home / "submit",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def checked(self, *command: str, timeout_s: float = PATIENCE_S) -> str:
        """What the command prints; it must end well."""
        done = self.run(*command, timeout_s=timeout_s)
        if done.returncode:
            raise RigError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip("\n")  # an empty last field ends with a tab

    def sbatch(self, *options: str) -> str:
        """The id of a new job."""
        return self.checked("sbatch", "--parsable", *options).partition(";")[0]

    def jobs(self, *ids: str) -> dict[str, Job]:
        """By id, also those that ended less than MinJobAge ago. Without ids all jobs; an unknown id is left out."""
        form = "%i\t%j\t%T\t%r\t%k\t%N"
        wanted = (
            ["-j", ",".join([*ids, ids[0]])] if ids else []
        )  # of two ids, those that are unknown are no error
        shown = self.checked("squeue", "-h", "-a", "-t", "all", "-o", form, *wanted)
        found = [Job(*line.split("\t")) for line in shown.splitlines() if line]
        return {job.id: job for job in found}

    def becomes(self, job: str, *states: str, patience_s: float = PATIENCE_S) -> Job:
        """The job once it is in one of these states; without states once it has ended. It ends with RigError."""
        deadline = time.monotonic() + patience_s
        while True:
            found = self.jobs(job).get(job)
            if found is not None and found.state in (states or ENDED):
                return found
            if time.monotonic() > deadline:
                raise RigError(f"job {job} is not {' or '.join(states) or 'at its end'} but {found}")
            time.sleep(0.1)

    def accounting(
        self, job: str, fields: str = "JobID,State,ExitCode", patience_s: float = PATIENCE_S
    ) -> list[list[str]]:
        """Rows of sacct, one for each attempt, once it has the end of the last one, and its name.

        The controller sends starts every five seconds: until then a job that has ended has no name of its own there.
        """
        deadline = time.monotonic() + patience_s
        command = ["sacct", "-X", "-n", "-P", "-D", "-j", job, f"--format=State,JobName,{fields}"]
        while True:
            rows = [line.split("|") for line in self.checked(*command).splitlines()]
            if rows and rows[-1][0].split()[0] in ENDED and rows[-1][1] != "allocation":
                return [row[2:] for row in rows]
            if time.monotonic() > deadline:
                raise RigError(f"accounting has no end of job {job}: {rows}")
            time.sleep(0.1)

    # daemons: "slurmctld", "slurmdbd", "mariadbd", "munged", "sshd", or the name of a node for its slurmd

    def kill(self, daemon: str, number: int = signal.SIGKILL) -> None:
        daemons.kill(self.layout, daemon, number)

    def kill_controller(self) -> None:
        """For a test that asks it then: until it is started again, commands give up after 2 s instead of Slurm's 10."""
        with self.layout.slurm_conf.open("a") as file:
            file.write(_IMPATIENT)
        self.kill("slurmctld")

    def start(self, daemon: str) -> None:
        text = self.layout.slurm_conf.read_text()
        if daemon == "slurmctld" and text.endswith(_IMPATIENT):
            self.layout.slurm_conf.write_text(text.removesuffix(_IMPATIENT))
        daemons.start(self.layout, daemon)

    def own_folder(self, folder: Path) -> Path:
        """Makes the login node and the nodes see another folder in the place of this one, at first an empty one.

        Gives the path at which this machine sees that. It lasts until the daemons are started again.
        """
        content = self.home / "own" / secrets.token_hex(4)
        content.mkdir(parents=True)
        for daemon in ("sshd", *self.nodes):
            self.hide(daemon, folder, content)
        return content

    def hide(self, daemon: str, folder: Path, content: Path) -> None:
        """As ``own_folder``, for a daemon that was started again."""
        pid = daemons.pid_of(self.layout, daemon)
        if pid is None:
            raise RigError(f"{daemon} does not run")
        hide(pid, folder, content)

    def runs(self, daemon: str) -> bool:
        return daemons.pid_of(self.layout, daemon) is not None

    def kill_node(self, node: str) -> None:
        """Ends everything on it at once, also what jobs have started there. ``start(node)`` boots it."""
        kill_host(self.layout.key, node)

    def processes(self, kind: str) -> list[int]:
        """What runs on the login node (``login``), or on the node of that name."""
        return processes_on(self.layout.key, self.login if kind == "login" else kind)

    def drain(self, node: str, reason: str) -> None:
        self.checked("scontrol", "update", f"nodename={node}", "state=drain", f"reason={reason}")

    def resume(self, node: str) -> None:
        self.checked("scontrol", "update", f"nodename={node}", "state=resume")

    def node_states(self) -> dict[str, str]:
        shown = self.checked("sinfo", "-h", "-N", "-o", "%N %T")
        return dict(line.split() for line in shown.splitlines())

    @contextlib.contextmanager
    def full(self, partition: str = "main") -> Iterator[None]:
        """All nodes of the partition are in use: what is submitted waits."""
        nodes = self.checked("sinfo", "-h", "-p", partition, "-o", "%D")
        words = ["-p", partition, "-N", nodes, "--exclusive", "-J", "full", "-o", "/dev/null"]
        job = self.sbatch(*words, "--wrap", "sleep 600")
        self.becomes(job, "RUNNING")
        try:
            yield
        finally:
            self.checked("scancel", job)

    def reconfigure(self, **changes: str) -> None:
        """Changes lines of slurm.conf: ``reconfigure(MinJobAge="5")``."""
        self.layout.changes.update(changes)
        self.layout.slurm_conf.write_text(slurm_conf(self.layout))
        self.checked("scontrol", "reconfigure")

    def mend(self) -> None:
        """All daemons run, no job is left, all nodes are idle: after a test that broke something."""
        for daemon in ("munged", "mariadbd", "slurmdbd", "slurmctld", *self.nodes, "sshd"):
            self.start(daemon)
        deadline = time.monotonic() + PATIENCE_S
        while daemons.idle_nodes(self.layout) != set(self.nodes):
            self.run("scancel", "--user=root")
            self.run("scancel", "--user=root", "--signal=KILL")
            for node in self.nodes:
                self.run("scontrol", "update", f"nodename={node}", "state=resume")
            if time.monotonic() > deadline:
                raise RigError(f"the nodes do not become idle: {self.node_states()}")
            time.sleep(0.2)


def home_beside(engine_home: Path) -> Path:
    """The folder of the cluster that a test run shares."""
    return engine_home.with_name(engine_home.name + "-slurm")


def obstacle() -> str | None:
    """Why no cluster can be brought up here, or None."""
    if not sys.platform.startswith("linux"):
        return "a private Slurm cluster needs Linux"
    missing = [name for name in NEEDED if which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (as root: python tests/rig/rig.py install)"
    if os.geteuid() != 0:
        return "a private Slurm cluster needs root"
    return None


def up(home: Path = DEFAULT_HOME, owner: int | None = None, **changes: str) -> Cluster:
    """The cluster of ``home``, started when it does not run yet. It ends with the process ``owner``.

    ``changes`` are lines of slurm.conf: ``up(home, MinJobAge="5")``. Raises: RigError with the reason.
    """
    reason = obstacle()
    if reason:
        raise RigError(reason)
    options = [f"--set={key}={value}" for key, value in changes.items()]
    state = rig.guarded(Path(__file__), home, owner, options)
    return Cluster(Layout(home, state["key"], state["network"], state["changes"]))


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("command", choices=["up", "down", "guard"])
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME)
    parser.add_argument("--owner", type=int, help="stop the cluster when this process has ended")
    parser.add_argument("--set", action="append", default=[], help="a line of slurm.conf: MinJobAge=5")
    options = parser.parse_args(words)
    changes = dict(text.split("=", 1) for text in options.set)
    if options.command == "guard":
        return rig.guard(daemons.ClusterDaemons(options.home, changes), options.owner)
    try:
        if options.command == "up":
            cluster = up(options.home, options.owner, **changes)
            print("\n".join(f"export {key}={value}" for key, value in cluster.here.items()))
        else:
            rig.down(options.home)
    except RigError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
