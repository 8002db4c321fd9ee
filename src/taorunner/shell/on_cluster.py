"""Opens a shell on a node of a cluster: plans it, has its image put there, and leaves the terminal to it."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Protocol, runtime_checkable

from taorunner.backends.contract import Launch, PullProgress
from taorunner.errors import MachineError, UsageError
from taorunner.planning.model.plan import GpuRequest, Resources, RunPlan
from taorunner.planning.model.request import Site
from taorunner.project.clusters.cluster_file import Cluster
from taorunner.shell import terminal
from taorunner.targets import target_of
from taorunner.values.value import replace

NO_IMAGE = "none:none"
"""Stands for the image of a cluster whose runs have no container."""


@runtime_checkable
class OpensShells(Protocol):
    """A backend whose engine can give a terminal."""

    def prepare(self, plan: RunPlan, report: Callable[[PullProgress], None]) -> str | None: ...
    def shell_command(self, plan: RunPlan, launch: Launch, *, tty: bool) -> list[str]:
        """What to start on this machine."""
        ...


@runtime_checkable
class MakesRoomForShells(OpensShells, Protocol):
    """A backend that makes something for a shell first, with its secrets, and removes it afterwards."""

    def shell_text(self, plan: RunPlan, launch: Launch) -> str:
        """What it would make and start, for people."""
        ...

    def shell_opened(
        self, plan: RunPlan, launch: Launch, *, tty: bool, say: Callable[[str], None]
    ) -> AbstractContextManager[list[str]]:
        """What to start on this machine while it is there. ``say`` gets what a shell waits for."""
        ...


def needs_image(cluster: Cluster) -> bool:
    return target_of(cluster.backend).with_settings(cluster.settings).needs_image


def placed(plan: RunPlan, cluster: Cluster, gpus: int, *, has_secrets: bool = False) -> RunPlan:
    """The plan of a shell, on that cluster. Secrets are left out where they would have to be carried there."""
    limits = cluster.limits
    resources = Resources(nodes=1, gpus=GpuRequest(gpus), cpus=limits.cpus, memory_bytes=limits.memory_bytes,
                          time_s=limits.time_s)  # fmt: skip
    return replace(
        plan, backend=cluster.backend, backend_options=cluster.settings, cluster=cluster.name, resources=resources,
        secrets=plan.secrets if has_secrets else (), image=plan.image if needs_image(cluster) else None,
    )  # fmt: skip


def opener(backend: object, cluster: Cluster) -> OpensShells:
    """Raises UsageError for a backend that opens none."""
    if isinstance(backend, OpensShells):
        return backend
    raise UsageError(
        f'the cluster "{cluster.name}" ({cluster.backend}) opens no shells',
        hint="taorunner shell, without --cluster",
    )


def open_there(
    backend: OpensShells, plan: RunPlan, site: Site, environ: Mapping[str, str], *,
    tty: bool, pulling: Callable[[PullProgress], None], say: Callable[[str], None] = lambda _: None,
) -> int:  # fmt: skip
    """Blocks until the shell has ended, and gives its exit code.

    Raises:
        MachineError, EngineRefusedError: its image cannot be put there, or nothing can be started.
    """
    backend.prepare(plan, pulling)
    launch = Launch(site.run_id, site.run_dir)
    if isinstance(backend, MakesRoomForShells):
        try:
            with (
                terminal.ended_by_signals(),  # a terminal that is closed leaves nothing behind
                backend.shell_opened(plan, launch, tty=tty, say=say) as argv,
            ):
                return _ended(argv, environ)
        except terminal.EndedBySignal as signalled:
            return 128 + signalled.number
    return _ended(backend.shell_command(plan, launch, tty=tty), environ)


def shown(backend: OpensShells, plan: RunPlan, site: Site) -> str:
    """What ``--dry-run`` prints."""
    launch = Launch(site.run_id, site.run_dir)
    if isinstance(backend, MakesRoomForShells):
        return backend.shell_text(plan, launch).rstrip("\n")
    return shlex.join(backend.shell_command(plan, launch, tty=True))


def _ended(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    with terminal.restored(), terminal.left_to_a_child():
        try:
            child = subprocess.Popen(argv, env=dict(environ))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise MachineError(
                f'"{argv[0]}" cannot be started: {reason}', hint=f"install {argv[0]}"
            ) from error
        try:
            child.wait()
        except BaseException:
            with suppress(OSError):
                child.send_signal(signal.SIGHUP)
            raise
    return child.returncode if child.returncode >= 0 else 128 - child.returncode
