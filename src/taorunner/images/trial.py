"""Runs a test command in a new image, before it is pinned. The container is removed afterwards.

Runs as the calling user, with a GPU if one is free, and by default without host folders and network.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from taorunner.container_options import ContainerOptions, ContainerSettings, Mount
from taorunner.engine import containers, images
from taorunner.engine.client import Engine
from taorunner.engine.facts import read_facts
from taorunner.errors import EngineRefusedError, MachineError, TaorunnerError
from taorunner.gpu.inventory import Gpu, Inventory, inventory
from taorunner.gpu.leases import Holder, Lease, Leases
from taorunner.targets import DOCKER
from taorunner.text import did_you_mean

LABEL = "com.taorunner.trial"
SHM_BYTES = 16 * 1024**3
_GRACE_S = 5


@dataclass(frozen=True, slots=True)
class Trial:
    """``gpus``: their number, or ``all``; None for one if one is free. ``user`` is ``uid:gid``."""

    image: str
    command: tuple[str, ...]
    user: str
    groups: tuple[int, ...] = ()
    name: str = "somebody"
    network: str = "none"
    gpus: int | Literal["all"] | None = None
    mounts: tuple[Mount, ...] = ()
    workdir: str | None = None


def run_trial(
    engine: Engine, trial: Trial, write: Callable[[str, bytes], None], tells: Callable[[str], None]
) -> int:
    """Returns the command's exit code. ``write`` gets the output as it arrives: stream name and bytes.

    Ctrl-C stops the command. Raises EngineRefusedError or MachineError when it does not start.
    """
    if images.find_image(engine, trial.image) is None:
        hint = did_you_mean(trial.image, images.image_names(engine)) or "build it: taorunner image build"
        raise EngineRefusedError(f'the engine has no image "{trial.image}"', hint=hint)
    with _leased(engine, trial, tells) as gpu_ids:
        container = containers.create(engine, _settings(trial, gpu_ids))
        if container is None:
            raise EngineRefusedError("another container has the same random name", hint="try again")
        try:
            return _followed(engine, container, trial, gpu_ids, write, tells)
        finally:
            with suppress(TaorunnerError):
                containers.remove(engine, container)


def _followed(
    engine: Engine,
    container: str,
    trial: Trial,
    gpu_ids: tuple[str, ...],
    write: Callable[[str, bytes], None],
    tells: Callable[[str], None],
) -> int:
    stream = containers.attach(engine, container)
    try:
        containers.start(engine, container, trial.image, gpu_ids)
        for name, data in containers.output_to_the_end(engine, container, stream):
            write(name, data)
    except KeyboardInterrupt:
        containers.stop(engine, container, _GRACE_S)
        raise
    finally:
        stream.close()
    state = containers.look(engine, container)
    if state is None or state.exit_code is None:
        raise EngineRefusedError("the container disappeared before its exit code was read")
    if state.oom_killed:
        tells("the kernel killed a process: out of memory")
    return state.exit_code


def _settings(trial: Trial, gpu_ids: tuple[str, ...]) -> ContainerSettings:
    return ContainerSettings(
        name=f"taorunner-test-{secrets.token_hex(6)}",
        image=trial.image,
        command=trial.command,
        env={"HOME": "/tmp", "USER": trial.name, "LOGNAME": trial.name},
        mounts=trial.mounts,
        gpus=gpu_ids,
        labels={LABEL: trial.image},
        options=ContainerOptions(
            user=trial.user,
            groups=trial.groups,
            shm_bytes=SHM_BYTES,
            network=trial.network,
            workdir=trial.workdir,
        ),
    )


@contextmanager
def _leased(engine: Engine, trial: Trial, tells: Callable[[str], None]) -> Iterator[tuple[str, ...]]:
    """GPUs that no run uses, leased during the test."""
    known = inventory() if trial.gpus != 0 else Inventory()
    gpus = [gpu for gpu in known.gpus if not gpu.is_split]
    wanted = len(gpus) if trial.gpus == "all" else 1 if trial.gpus is None else trial.gpus
    if trial.gpus == "all" and not gpus:
        reason = known.reason or "all of them are split (MIG)"
        raise MachineError(f"--gpus all: {reason}", hint="give none with --gpus 0")
    if gpus and trial.gpus is None and not read_facts(engine).has_nvidia:
        tells("no GPU is used: the engine has no NVIDIA runtime")
        gpus = []
    taken: list[Lease] = []
    ids: list[str] = []
    leases = Leases()
    try:
        for gpu in gpus:
            if len(ids) == wanted:
                break
            if gpu.processes and trial.gpus is None:
                continue  # in use by a process without a lease
            lease = leases.take([_lease_name(gpu)])
            if lease is not None:
                lease.sign(Holder(run=f"image test of {trial.image}", user=trial.name, backend=DOCKER.name))
                taken.append(lease)
                ids.append(str(gpu.index))
        if trial.gpus is not None and len(ids) < wanted:
            found = f"{len(ids)} of {len(gpus)} GPUs of this machine are free"
            raise EngineRefusedError(
                f"{wanted} GPUs are requested, but {found}", hint="use fewer, or none with --gpus 0"
            )
        if gpus and not ids:
            tells("no GPU is used: all of them are in use")
        yield tuple(ids)
    finally:
        for lease in taken:
            lease.release()


def _lease_name(gpu: Gpu) -> str:
    """The GPU's name in leases, as for runs."""
    return gpu.uuid or f"index-{gpu.index}"
