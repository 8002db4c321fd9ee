"""A Slurm cluster with everything of its own: prepared, started, ended, cleared away.

Only a guard process makes one; ``slurm_rig.py`` is what others use. Standard library only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from private_daemon import RigError, free_subnet, processes_of, search_path, started_at, write_program
from slurm_files import ACCOUNT, GPUS, QOS_SHORT, Layout, limits_memory, write_files
from slurm_hosts import make_bridge, make_host, on_host, remove_network

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
COMMANDS = (
    "sbatch",
    "squeue",
    "sacct",
    "scancel",
    "scontrol",
    "sinfo",
    "srun",
    "salloc",
    "sacctmgr",
    "sstat",
)
NVIDIA_MAJOR = "195"


class ClusterDaemons:
    """What the guard keeps: munged, MariaDB, slurmdbd, slurmctld, three slurmd, and sshd on the login node."""

    def __init__(self, home: Path, changes: dict[str, str]) -> None:
        self.home = home
        self.changes = changes
        self.key = hashlib.sha256(str(home).encode()).hexdigest()[:8]

    def prepare(self) -> None:
        """Folders, files, keys, the network and its hosts. What a killed guard left here is cleared first."""
        self.clear()
        self.home.mkdir(mode=0o755, parents=True)
        for name in ("state", "spool", "log", "dev", "pids", "images", "submit"):
            (self.home / name).mkdir()
        subnet = free_subnet(self.key)
        self.layout = Layout(self.home, self.key, subnet.rpartition(".")[0], self.changes)
        write_files(self.layout)
        for number in range(sum(count for _, count in GPUS)):
            checked("mknod", f"{self.home}/dev/nvidia{number}", "c", NVIDIA_MAJOR, str(number))
        make_bridge(self.layout, subnet)
        for host in self.layout.hosts:
            make_host(self.layout, host)
        make_munge_key(self.layout)
        make_ssh_files(self.layout)

    def start(self) -> None:
        layout = self.layout
        state = {
            "guard": os.getpid(),
            "guard_started": started_at(os.getpid()),
            "key": self.key,
            "network": layout.network,
            "changes": self.changes,
        }
        start(layout, "munged")
        start(layout, "mariadbd")
        make_database_user(layout)
        start(layout, "slurmdbd")
        add_to_accounting(layout)
        start(layout, "slurmctld")
        for node in layout.nodes:
            start(layout, node)
        start(layout, "sshd")
        wait_for("idle nodes", lambda: idle_nodes(layout) == set(layout.nodes), layout)
        beside = self.home / "state.new"
        beside.write_text(json.dumps(state))
        beside.replace(self.home / "state.json")

    def end(self) -> None:
        """The controller first, so that it starts nothing again; the database last, and in order."""
        for daemon in ("slurmctld", *self.layout.nodes, "sshd", "slurmdbd", "mariadbd", "munged"):
            kill(self.layout, daemon, signal.SIGTERM)

    def clear(self) -> None:
        """Ends all processes of all hosts and leaves nothing of them behind."""
        remove_network(self.key)
        if hasattr(self, "layout"):
            kill(self.layout, "munged", signal.SIGKILL)
        for pid in processes_of(self.home, ("munged", "mariadbd", "slurm", "sshd")):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        remove_cgroups(f"slurm_gpu{self.key[:4]}-")
        shutil.rmtree(self.home, ignore_errors=True)

    def log_end(self) -> str:
        lines = []
        for path in sorted((self.home / "log").glob("*")):
            with contextlib.suppress(OSError):
                last = path.read_text(errors="replace").splitlines()[-4:]
                lines += [f"{path.name}: {line}" for line in last]
        return "\n".join(lines)


def start(layout: Layout, daemon: str) -> None:
    """Starts one daemon where it belongs, and returns when it is up. One that runs already is left alone."""
    if pid_of(layout, daemon) is not None:
        return
    layout.pid_file(daemon).unlink(missing_ok=True)
    host, command = where_and_how(layout, daemon)
    with (layout.home / "log" / f"{daemon}.start").open("ab") as log:
        process = subprocess.Popen(
            command if host is None else on_host(layout, host, command),
            env={**os.environ, "PATH": search_path(), "SLURM_CONF": str(layout.slurm_conf)},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    wait_for(daemon, lambda: process.poll() not in (None, 0) or pid_of(layout, daemon) is not None, layout)
    if process.poll() not in (None, 0):
        raise RigError(f"{daemon} ended with code {process.returncode}")
    if pid_of(layout, daemon) != process.pid:
        process.wait(READY_TIMEOUT_S)  # the daemon goes on in the background, and its starter ends


def where_and_how(layout: Layout, daemon: str) -> tuple[str | None, list[str]]:
    """The host, None for this machine, and the command."""
    home = layout.home
    if daemon == "munged":
        munge = home / "munge"
        files = [
            f"--key-file={munge}/key",
            f"--log-file={munge}/log",
            f"--pid-file={layout.pid_file(daemon)}",
        ]
        return None, ["munged", "--force", f"--socket={layout.munge_socket}", f"--seed-file={munge}/seed", *files]  # fmt: skip
    if daemon == "mariadbd":
        data = home / "database"
        return layout.head, [
            "mariadbd", "--no-defaults", "--user=mysql", f"--datadir={data}", f"--socket={data}/socket",
            f"--tmpdir={home}/database-tmp",  # at its start it deletes what another one has in a shared folder
            "--bind-address=127.0.0.1", f"--pid-file={layout.pid_file(daemon)}", f"--log-error={home}/log/mariadbd",
            "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0",
        ]  # fmt: skip
    if daemon == "sshd":
        return layout.login, [
            shutil.which("sshd", path=search_path()) or "sshd",  # it wants its whole path
            "-f", f"{home}/ssh/sshd_config", "-E", f"{home}/log/sshd",
        ]  # fmt: skip
    if daemon in layout.nodes:
        (home / "spool" / daemon).mkdir(exist_ok=True)
        return daemon, ["slurmd", "-N", daemon]
    return layout.head, [daemon]


def kill(layout: Layout, daemon: str, number: int = signal.SIGKILL) -> None:
    """Ends one daemon and returns when it has ended. One that does not run is no error."""
    pid = pid_of(layout, daemon)
    if pid is None:
        return
    os.kill(pid, number)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while pid_of(layout, daemon) == pid:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def pid_of(layout: Layout, daemon: str) -> int | None:
    """The pid of a daemon that runs, None where it does not."""
    try:
        pid = int(layout.pid_file(daemon).read_text())
    except (OSError, ValueError):
        return None
    return pid if started_at(pid) is not None else None


def make_database_user(layout: Layout) -> None:
    data = layout.home / "database"
    text = "".join(
        f"create user if not exists slurm@'{host}' identified by 'slurm';"
        f"grant all on slurm_acct.* to slurm@'{host}';"
        for host in ("localhost", "127.0.0.1")
    )
    client = ["mariadb", "--no-defaults", f"--socket={data}/socket", "-uroot", "-e", text]
    wait_for("MariaDB", lambda: quiet(client, {}).returncode == 0, layout)


def add_to_accounting(layout: Layout) -> None:
    """The cluster, an account and this user: without them a job is refused."""
    cluster = f"test{layout.key[:4]}"
    manager = ["sacctmgr", "-i"]
    environment = {"SLURM_CONF": str(layout.slurm_conf)}
    wait_for(
        "slurmdbd", lambda: quiet(["sacctmgr", "-n", "list", "cluster"], environment).returncode == 0, layout
    )
    for words in (
        ["add", "cluster", cluster],
        ["add", "account", ACCOUNT, f"Cluster={cluster}"],
        ["add", "qos", QOS_SHORT, "MaxWall=00:02:00"],
        ["add", "user", "root", f"Account={ACCOUNT}"],
        ["modify", "user", "root", "set", f"DefaultAccount={ACCOUNT}", f"qos=normal,{QOS_SHORT}"],
    ):
        quiet([*manager, *words], environment)


def idle_nodes(layout: Layout) -> set[str]:
    shown = quiet(["sinfo", "-h", "-N", "-o", "%N %T"], {"SLURM_CONF": str(layout.slurm_conf)}).stdout
    return {line.split()[0] for line in shown.splitlines() if line.split()[1:] == ["idle"]}


def make_munge_key(layout: Layout) -> None:
    folder = layout.home / "munge"
    folder.mkdir(mode=0o755)
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    data = layout.home / "database"
    for folder in (data, layout.home / "database-tmp"):
        folder.mkdir()
        shutil.chown(folder, "mysql", "mysql")
    (layout.home / "pids").chmod(0o1777)  # MariaDB writes its own as another user
    checked(
        "mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={data}",
        "--auth-root-authentication-method=normal", "--skip-test-db", f"--tmpdir={layout.home}/database-tmp",
    )  # fmt: skip


def make_ssh_files(layout: Layout) -> None:
    """A login node that one key opens. Off it ``bin`` comes first on PATH: ssh with these files, and no Slurm."""
    folder, address = layout.home / "ssh", layout.address(layout.login)
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        checked("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    shutil.copyfile(folder / "user.pub", folder / "authorized_keys")
    (folder / "sshd_config").write_text(
        f"ListenAddress {address}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\n"
        f"PidFile {layout.pid_file('sshd')}\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n"
        f"MaxStartups 100\nMaxSessions 100\nSetEnv SLURM_CONF={layout.slurm_conf} SHLVL=2\n"
    )
    public = (folder / "host.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"{address} {' '.join(public)}\n")
    (folder / "config").write_text(
        f"Host {layout.login}\n  HostName {address}\n  User root\n  IdentityFile {folder}/user\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known_hosts\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    stubs = layout.home / "bin"
    stubs.mkdir()
    for name in ("ssh", "scp", "sftp"):
        write_program(stubs / name, f'#!/bin/sh\nexec {shutil.which(name)} -F {folder}/config "$@"\n')
    for name in COMMANDS:
        write_program(stubs / name, f'#!/bin/sh\necho "sh: 1: {name}: not found" >&2\nexit 127\n')


def remove_cgroups(prefix: str) -> None:
    """Slurm leaves empty ones behind, named after its nodes."""
    if not limits_memory():
        return
    for top in Path("/sys/fs/cgroup").glob(f"*/{prefix}*"):
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()


def wait_for(what: str, is_so: Callable[[], bool], layout: Layout) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not is_so():
        if time.monotonic() > deadline:
            raise RigError(f"no {what} after {READY_TIMEOUT_S:.0f} s in '{layout.home}'")
        time.sleep(0.03)


def quiet(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, "PATH": search_path(), **environment},
        capture_output=True,
        text=True,
        timeout=READY_TIMEOUT_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def checked(*command: str) -> None:
    done = quiet(list(command), {})
    if done.returncode:
        raise RigError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
