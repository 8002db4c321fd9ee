"""Runs one shell from its plan to its exit code: image, GPUs, secrets, container, clean-up.

A shell is not a run: it has no record, and it ends with its terminal. The order of the steps makes a kill at any moment
harmless: the container's name exists before the guard, and the guard before the container.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException

from taorunner.backends.contract import Launch, PullProgress
from taorunner.backends.docker.backend import DockerBackend
from taorunner.backends.docker.request import container_name
from taorunner.backends.secrets import write_secrets
from taorunner.errors import MachineError, TaorunnerError, UserFilesError
from taorunner.gpu.leases import Leases
from taorunner.planning.model.plan import RunPlan
from taorunner.planning.model.request import Site
from taorunner.scheduling.allocator import Queued
from taorunner.scheduling.gpu_allocator import FreeGpus
from taorunner.shell.container import ShellContainer
from taorunner.shell.guard import ShellGuard
from taorunner.shell.request import Notebook, PlannedShell
from taorunner.shell.terminal import EndedBySignal, ended_by_signals, restored
from taorunner.shell.workdirs import clear_leftovers, occupied, vacate

_LOOK_EVERY_S = 0.1
_KNOCK_EVERY_S = 0.2

Say = Callable[[str], object]


def free_port() -> int:
    """A port of loopback that is unused at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def open_shell(
    shell: PlannedShell, site: Site, environ: Mapping[str, str], *,
    say: Say, tell_address: Say, pulling: Callable[[PullProgress], None],
) -> int:  # fmt: skip
    """Blocks until the shell has ended and returns the exit code of its command. Its container, files and leases are
    gone then. ``say`` gets progress messages, ``tell_address`` the address of the notebook.

    Raises:
        MachineError, EngineRefusedError, UserFilesError: it could not be opened, or the engine was lost.
    """
    plan = shell.plan
    backend = DockerBackend()
    gpus = FreeGpus(Leases())
    with restored(), ended_by_signals():
        try:
            clear_leftovers(site.run_dir.parent)
            backend.prepare(plan, pulling)  # before GPUs are leased, because it may take an hour
            ids = _wait_for_gpus(plan, site.run_id, gpus, backend, say)
            return _in_container(
                shell, site, environ, backend, ids, gpus.lease(site.run_id), say, tell_address
            )
        except EndedBySignal as ending:
            return 128 + ending.number
        except BrokenPipeError:  # the reader closed the pipe
            return 128 + signal.SIGPIPE
        finally:
            gpus.leave_queue()
            gpus.release(site.run_id)


def _wait_for_gpus(
    plan: RunPlan, run_id: str, gpus: FreeGpus, backend: DockerBackend, say: Say
) -> tuple[str, ...]:
    """The leased GPU ids. Waits in the queue of this machine, as runs do."""
    if not plan.gpus.count:
        return ()
    wish = Queued(run_id, plan.backend, plan.gpus.count, plan.gpus.ids)
    while True:
        decision = gpus.decide([wish], {}, lambda _: backend, parallel=None, parallel_without_gpu=1)
        for _, _, text in decision.notices:
            say(text)
        for impossible in decision.impossible:
            raise UserFilesError(
                impossible.reason,
                hint="nvidia-smi -L lists them; --gpus takes their number or all, --gpu-indices ids",
            )
        for start in decision.starts:
            return start.gpu_ids
        time.sleep(_LOOK_EVERY_S)


def _in_container(
    shell: PlannedShell, site: Site, environ: Mapping[str, str], backend: DockerBackend,
    gpu_ids: tuple[str, ...], lease: tuple[int, ...], say: Say, tell_address: Say,
) -> int:  # fmt: skip
    lock = occupied(site)
    guard = ShellGuard(container_name(site.run_id), site.run_dir, (*lease, lock))
    in_order = False
    container: ShellContainer | None = None
    try:
        _make_folders(shell.plan)
        write_secrets(shell.plan, site.run_dir, environ)
        request = backend.request(shell.plan, Launch(site.run_id, site.run_dir, gpu_ids, lease))
        container = ShellContainer(request)
        guard.wait_until_ready()
        container.create()
        if gpu_ids:
            say(f"GPU {gpu_ids[0]}" if len(gpu_ids) == 1 else f"GPUs {', '.join(gpu_ids)}")
        if shell.notebook is not None:
            _announce(shell.notebook, tell_address)
        return container.talk()
    finally:
        try:
            if container is not None:
                container.end()
            in_order = True
        except TaorunnerError as error:
            say(f"the container was not removed yet: {error.message}")
        finally:
            vacate(site)
            guard.dismiss() if in_order else guard.leave_the_rest()
            os.close(lock)


def _make_folders(plan: RunPlan) -> None:
    for folder in plan.make_dirs:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MachineError(
                f'"{folder}" cannot be created: {(error.strerror or str(error)).lower()}'
            ) from error


def _announce(notebook: Notebook, tell_address: Say) -> None:
    """Reports the address as soon as the notebook answers."""

    def knock() -> None:
        while not _answers(notebook):
            time.sleep(_KNOCK_EVERY_S)
        token = f"?token={notebook.token}" if notebook.token is not None else ""
        tell_address(f"{notebook.url}{token}")

    threading.Thread(target=knock, daemon=True).start()


def _answers(notebook: Notebook) -> bool:
    """Whether the notebook answers, and not only the engine's proxy, which accepts every connection."""
    connection = HTTPConnection(notebook.host, notebook.port, timeout=2)
    try:
        connection.request("GET", "/api")
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
