"""Which waiting runs start now, and on which GPUs. Pure: no clock, no disk, no engine.

First come, first served; a later run may start before an earlier one only when they need different GPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued run: how many GPUs, and which (host ids), or None for any."""

    run_id: str
    gpu_count: int
    gpu_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Start:
    run_id: str
    gpu_ids: tuple[str, ...]


def choose(
    waiting: Sequence[Waiting],
    *,
    busy_gpus: frozenset[str],
    known_gpus: Sequence[str] | None,
    running: int,
    running_without_gpu: int,
    parallel: int | None,
    parallel_without_gpu: int,
) -> list[Start]:
    """What starts now.

    ``known_gpus`` are the host ids of this machine in order of preference, None when nobody can tell: then
    ids named by the user are believed and "any n" means the lowest n numbers. ``parallel`` bounds all runs,
    ``parallel_without_gpu`` those that use no GPU. A run that asks for GPUs that do not exist is never chosen.
    """
    starts: list[Start] = []
    taken = set(busy_gpus)
    for run in waiting:
        if parallel is not None and running + len(starts) >= parallel:
            break
        if run.gpu_count == 0:
            if running_without_gpu >= parallel_without_gpu:
                continue
            running_without_gpu += 1
            starts.append(Start(run.run_id, ()))
            continue
        gpu_ids = _pick(run, taken, known_gpus)
        if gpu_ids is None:
            taken |= set(run.gpu_ids or known_gpus or ())  # nobody behind may take what it waits for
            continue
        taken |= set(gpu_ids)
        starts.append(Start(run.run_id, gpu_ids))
    return starts


def _pick(run: Waiting, taken: set[str], known_gpus: Sequence[str] | None) -> tuple[str, ...] | None:
    if run.gpu_ids is not None:
        return None if taken & set(run.gpu_ids) else run.gpu_ids
    candidates = known_gpus if known_gpus is not None else [str(index) for index in range(run.gpu_count)]
    free = [gpu for gpu in candidates if gpu not in taken]
    return tuple(free[: run.gpu_count]) if len(free) >= run.gpu_count else None
