"""Runs a command in an image that was just built, before anybody pins it. Its container is gone afterwards.

As the calling user, with a GPU where one is free; no folder of the host and no network unless asked for.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from taorunner.engine import containers, images
from taorunner.engine.client import Engine, describe
from taorunner.engine.containers import Bind, ContainerSettings
from taorunner.errors import EngineRefusedError, TaorunnerError
from taorunner.gpu.inventory import Gpu, inventory
from taorunner.gpu.leases import Holder, Lease, Leases
from taorunner.targets import DOCKER
from taorunner.text import did_you_mean

LABEL = "com.taorunner.trial"
SHM_BYTES = 16 * 1024**3
_GRACE_S = 5


@dataclass(frozen=True, slots=True)
class Trial:
    """``gpus`` is how many, None for one if one is free. ``user`` is ``uid:gid``."""

    image: str
    command: tuple[str, ...]
    user: str
    groups: tuple[int, ...] = ()
    name: str = "somebody"
    network: str = "none"
    gpus: int | None = None
    binds: tuple[Bind, ...] = ()
    workdir: str | None = None


def run_trial(
    engine: Engine, trial: Trial, write: Callable[[str, bytes], None], tells: Callable[[str], None]
) -> int:
    """The command's exit code. ``write`` gets the output as it comes: the stream's name and bytes.

    Ctrl-C stops the command. Raises EngineRefusedError and MachineError where it did not start.
    """
    if images.find_image(engine, trial.image) is None:
        hint = did_you_mean(trial.image, images.image_names(engine)) or "taorunner image build makes it"
        raise EngineRefusedError(f'the engine has no image "{trial.image}"', hint=hint)
    with _leased(engine, trial, tells) as gpu_ids:
        container = containers.create(engine, _settings(trial, gpu_ids))
        if container is None:
            raise EngineRefusedError("there is another container of the same random name", hint="try again")
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
        for name, data in stream:
            write(name, data)
    except KeyboardInterrupt:
        containers.stop(engine, container, _GRACE_S)
        raise
    finally:
        stream.close()
    state = containers.wait(engine, container)
    if state is None or state.exit_code is None:
        raise EngineRefusedError("the container is gone, and nobody knows how the command ended")
    if state.oom_killed:
        tells("the engine ended a process for want of memory")
    return state.exit_code


def _settings(trial: Trial, gpu_ids: tuple[str, ...]) -> ContainerSettings:
    return ContainerSettings(
        name=f"taorunner-test-{secrets.token_hex(6)}",
        image=trial.image,
        command=trial.command,
        env={"HOME": "/tmp", "USER": trial.name, "LOGNAME": trial.name},
        binds=trial.binds,
        gpus=gpu_ids,
        user=trial.user,
        groups=trial.groups,
        labels={LABEL: trial.image},
        shm_bytes=SHM_BYTES,
        network=trial.network,
        workdir=trial.workdir,
    )


@contextmanager
def _leased(engine: Engine, trial: Trial, tells: Callable[[str], None]) -> Iterator[tuple[str, ...]]:
    """GPUs that no run has, kept from runs while the test lasts."""
    wanted = 1 if trial.gpus is None else trial.gpus
    gpus = [gpu for gpu in inventory().gpus if not gpu.is_split] if wanted else []
    if gpus and trial.gpus is None and not describe(engine).has_nvidia_runtime:
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
                continue  # of somebody who knows no leases
            lease = leases.take([_lease_name(gpu)])
            if lease is not None:
                lease.sign(Holder(run=f"image test of {trial.image}", user=trial.name, backend=DOCKER.name))
                taken.append(lease)
                ids.append(str(gpu.index))
        if trial.gpus is not None and len(ids) < trial.gpus:
            found = f"{len(ids)} of {len(gpus)} GPUs of this machine are free"
            raise EngineRefusedError(
                f"{trial.gpus} GPUs are asked for, and {found}", hint="--gpus 0 does without"
            )
        if gpus and not ids:
            tells("no GPU is used: all of them are in use")
        yield tuple(ids)
    finally:
        for lease in taken:
            lease.release()


def _lease_name(gpu: Gpu) -> str:
    """As runs name it."""
    return gpu.uuid or f"index-{gpu.index}"
