"""The configuration files of a cluster for tests: small times, three nodes with GPUs of two types, accounting."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

GPUS = (("h100", 2), ("h100", 2), ("l4", 4))
"""Type and number of each node's GPUs."""
CPUS, MEMORY_MB = 4, 8000
ACCOUNT, QOS_SHORT = "vision", "short"
MEMORY_CGROUPS = Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")


def limits_memory() -> bool:
    """Whether jobs here are held to their memory. Only cgroups of version 1 have been tried."""
    return MEMORY_CGROUPS.exists() and Path("/sys/fs/cgroup/freezer").is_dir()


@dataclass(frozen=True)
class Layout:
    """Names and addresses of one cluster; everything follows from its folder, its key and its subnet."""

    home: Path
    key: str
    network: str
    """The first three numbers of its addresses; the machine itself has the fourth number 1."""
    changes: dict[str, str] = field(default_factory=dict)
    """Lines of slurm.conf that a test wants otherwise."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Their cgroups are named after them, so no other cluster of this machine may have the same."""
        return tuple(f"gpu{self.key[:4]}-{number}" for number in range(1, len(GPUS) + 1))

    @property
    def head(self) -> str:
        return f"head{self.key[:4]}"

    @property
    def login(self) -> str:
        return f"login{self.key[:4]}"

    def address(self, host: str) -> str:
        order = [self.head, self.login, *self.nodes]
        return f"{self.network}.{10 + order.index(host)}"

    @property
    def hosts(self) -> tuple[str, ...]:
        return (self.head, self.login, *self.nodes)

    @property
    def munge_socket(self) -> Path:
        return self.home / "munge" / "socket"

    @property
    def slurm_conf(self) -> Path:
        return self.home / "slurm.conf"

    def pid_file(self, daemon: str) -> Path:
        """Of ``slurmctld``, ``slurmdbd``, ``mariadbd``, ``munged``, ``sshd`` or, by its name, of a node's slurmd."""
        return self.home / "pids" / daemon


def write_files(layout: Layout) -> None:
    """All files but keys."""
    layout.slurm_conf.write_text(slurm_conf(layout))
    (layout.home / "gres.conf").write_text(gres_conf(layout))
    if limits_memory():
        (layout.home / "cgroup.conf").write_text(
            "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nConstrainRAMSpace=yes\n"
            "ConstrainDevices=no\nConstrainCores=no\n"
        )
    database = layout.home / "slurmdbd.conf"
    database.write_text(slurmdbd_conf(layout))
    database.chmod(0o600)  # or slurmdbd refuses it
    names = "".join(f"{layout.address(host)} {host}\n" for host in layout.hosts)
    (layout.home / "hosts").write_text(f"127.0.0.1 localhost\n{names}")


def slurm_conf(layout: Layout) -> str:
    home, (first, second, third) = layout.home, layout.nodes
    settings = {
        "ClusterName": f"test{layout.key[:4]}",
        "SlurmctldHost": f"{layout.head}({layout.address(layout.head)})",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={layout.munge_socket},cred_expire=5",  # a requeued job waits for this long
        "StateSaveLocation": f"{home}/state",
        "SlurmdSpoolDir": f"{home}/spool/%n",
        "SlurmctldPidFile": str(layout.pid_file("slurmctld")),
        "SlurmdPidFile": str(layout.pid_file("%n")),
        "SlurmctldLogFile": f"{home}/log/slurmctld",
        "SlurmdLogFile": f"{home}/log/%n",
        "SlurmctldTimeout": "5",
        "SlurmdTimeout": "10",
        "KillWait": "3",
        "MinJobAge": "300",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core_Memory",
        "DefMemPerCPU": "100",
        "SchedulerParameters": "sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0",
        "PreemptType": "preempt/partition_prio",
        "PreemptMode": "REQUEUE",
        "GresTypes": "gpu",
        "MpiDefault": "none",
        "ReturnToService": "2",
        "MaxArraySize": "2001",
        "MaxJobCount": "20000",
        "SlurmdParameters": "config_overrides",  # more cores than this machine has
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AccountingStorageHost": layout.address(layout.head),
        "AccountingStoragePass": str(
            layout.munge_socket
        ),  # this is what tells clients of slurmdbd where munged is
        "AccountingStorageTRES": "gres/gpu,gres/gpu:h100,gres/gpu:l4",
        "AccountingStorageEnforce": "associations,limits,qos",
        "AccountingStoreFlags": "job_comment,job_env,job_script",
        **isolation(),
        **layout.changes,
    }
    nodes = [
        f"NodeName={name} NodeHostname={name} NodeAddr={layout.address(name)} CPUs={CPUS}"
        f" RealMemory={MEMORY_MB} Gres=gpu:{kind}:{count} Feature={kind}"
        for name, (kind, count) in zip(layout.nodes, GPUS, strict=True)
    ]
    partitions = [
        f"PartitionName=main Nodes={first},{second} Default=YES MaxTime=1:00:00 State=UP PriorityTier=10",
        f"PartitionName=low Nodes={first},{second},{third} MaxTime=1:00:00 State=UP PriorityTier=1",
        f"PartitionName=l4 Nodes={third} MaxTime=1:00:00 State=UP PriorityTier=5",
    ]
    lines = [f"{key}={value}" for key, value in settings.items()]
    return "\n".join([*lines, *nodes, *partitions]) + "\n"


def isolation() -> dict[str, str]:
    """How processes of a job are found again and held to their memory."""
    if not limits_memory():
        return {
            "TaskPlugin": "task/none",
            "ProctrackType": "proctrack/linuxproc",
            "JobAcctGatherType": "jobacct_gather/none",
        }
    return {
        "TaskPlugin": "task/cgroup",
        "ProctrackType": "proctrack/cgroup",
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "1",
    }


def gres_conf(layout: Layout) -> str:
    lines, first = [], 0
    for name, (kind, count) in zip(layout.nodes, GPUS, strict=True):
        devices = f"{layout.home}/dev/nvidia[{first}-{first + count - 1}]"
        lines.append(f"NodeName={name} Name=gpu Type={kind} File={devices}\n")
        first += count
    return "".join(lines)


def slurmdbd_conf(layout: Layout) -> str:
    settings = {
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={layout.munge_socket}",
        "DbdHost": layout.head,
        "DbdAddr": layout.address(layout.head),
        "SlurmUser": "root",
        "LogFile": f"{layout.home}/log/slurmdbd",
        "PidFile": str(layout.pid_file("slurmdbd")),
        "StorageType": "accounting_storage/mysql",
        "StorageHost": "127.0.0.1",
        "StorageUser": "slurm",
        "StoragePass": "slurm",
        "StorageLoc": "slurm_acct",
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())
