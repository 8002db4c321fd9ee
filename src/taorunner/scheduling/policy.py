"""Which waiting runs start now, and on which GPUs. Pure: no clock, no disk, no engine.

First come, first served, with backfill: up to ``PATIENCE`` later runs may overtake a run that does not fit yet. After
that, the GPUs it waits for are reserved for it, so no run waits forever. Where several such runs want the same GPU, it
is reserved for the first only, to avoid idle GPUs. GPUs that were gathered for a large run are given to other runs of
that size first, as long as overtaken runs have patience left: gathering costs idle time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from taorunner.values.value import Value

PATIENCE = 32
"""The number of later runs that may take GPUs which an earlier run waits for. A lower value leaves GPUs idle more often
while a large run gathers its own; a higher value lets that run wait longer."""


class Waiting(Value):
    """A queued run: how many GPUs, and which (host ids), or None for any."""

    run_id: str
    gpu_count: int
    gpu_ids: tuple[str, ...] | None = None


class Start(Value):
    run_id: str
    gpu_ids: tuple[str, ...]


@dataclass(slots=True)
class Fairness:
    """State kept between two choices.

    ``overtaken``: how many later runs overtook each waiting run on GPUs that it could have used. ``gathered``: the
    GPUs that were kept idle until a large run had all of them.
    """

    overtaken: dict[str, int] = field(default_factory=dict)
    gathered: frozenset[frozenset[str]] = frozenset()

    def is_due(self, run: Waiting) -> bool:
        """Whether the run may not be overtaken again."""
        return self.overtaken.get(run.run_id, 0) >= PATIENCE

    def note(self, waiting: Sequence[Waiting], starts: Iterable[Start]) -> None:
        """Records the starts chosen by ``choose`` that succeeded."""
        started = {start.run_id: start for start in starts}
        later: list[set[str]] = []
        for run in reversed(waiting):
            if run.run_id in started:
                later.append(set(started[run.run_id].gpu_ids))
            elif passed := sum(competes(run, gpus) for gpus in later):
                self.overtaken[run.run_id] = self.overtaken.get(run.run_id, 0) + passed
        for run in waiting:
            if run.run_id in started:
                gpus = frozenset(started[run.run_id].gpu_ids)
                kept = {old for old in self.gathered if old == gpus or not old & gpus}
                self.gathered = frozenset(kept | {gpus} if self.is_due(run) and len(gpus) > 1 else kept)
                self.overtaken.pop(run.run_id, None)


def choose(
    waiting: Sequence[Waiting],
    *,
    busy_gpus: Collection[str],
    known_gpus: Sequence[str] | None,
    running: int,
    running_without_gpu: int,
    parallel: int | None,
    parallel_without_gpu: int,
    held_outside: Collection[str] = (),
    avoided: Collection[str] = (),
    fairness: Fairness | None = None,
    others: Collection[str] = (),
) -> list[Start]:
    """The runs that start now, with their GPUs.

    ``known_gpus`` are the host ids of this machine in order of preference. If they are unknown (None), ids named by
    the user are accepted and "any n" means the lowest n numbers. ``busy_gpus`` are used by runs of this batch,
    ``held_outside`` by others; nothing is reserved for a run that waits for the latter. ``avoided`` are used only by
    runs that name them. ``parallel`` is the maximum number of concurrent runs, ``parallel_without_gpu`` that of runs
    without a GPU. ``others`` are the ids of runs of other batches in the same queue; their starts are reserved and
    returned with the rest. A run that needs more GPUs than exist is never chosen.
    """
    fairness = fairness or Fairness()
    taken = {*busy_gpus, *held_outside}
    room = len(waiting) if parallel is None else max(0, parallel - running)
    starts = _continued(waiting, taken, avoided, fairness, others)[:room]
    room -= len(starts)
    taken |= {gpu for start in starts for gpu in start.gpu_ids}
    started = {start.run_id for start in starts}
    kept: set[str] = set()
    wanted = Counter(gpu for run in waiting for gpu in run.gpu_ids or ())
    for run in waiting:
        is_own = run.run_id not in others
        if run.run_id in started or (is_own and room <= 0):
            continue
        if run.gpu_count == 0:
            if running_without_gpu < parallel_without_gpu:
                running_without_gpu += 1
                room -= 1
                starts.append(Start(run.run_id, ()))
            continue
        usable = _usable(run, known_gpus, avoided)
        free = [gpu for gpu in usable if gpu not in taken]
        if len(free) >= run.gpu_count:
            if run.gpu_ids is None:
                free.sort(key=lambda gpu: wanted[gpu])  # stable sort: GPUs that other runs name come last
            picked = tuple(free[: run.gpu_count])
            taken |= set(picked)
            room -= is_own
            starts.append(Start(run.run_id, picked))
        elif fairness.is_due(run) and _would_fit(run, usable, held_outside) and not kept & set(usable):
            kept |= set(usable)
            taken |= kept
    return starts


def _continued(
    waiting: Sequence[Waiting],
    taken: set[str],
    avoided: Collection[str],
    fairness: Fairness,
    others: Collection[str],
) -> list[Start]:
    """Runs that take over freed GPUs which were gathered for another run of the same size."""
    starts: list[Start] = []
    for gpus in fairness.gathered:
        if gpus & taken:
            continue
        for run in waiting:
            is_ours = run.run_id not in others
            if is_ours and run.gpu_count == len(gpus) and all(run.run_id != start.run_id for start in starts):
                if run.gpu_ids is None and not gpus & set(avoided):
                    starts.append(Start(run.run_id, tuple(sorted(gpus))))
                    break
                if run.gpu_ids is not None and gpus == set(run.gpu_ids):
                    starts.append(Start(run.run_id, run.gpu_ids))
                    break
            elif fairness.is_due(run) and competes(run, gpus):
                break
    return starts


def competes(run: Waiting, gpus: Collection[str]) -> bool:
    """Whether the run could have used one of those GPUs."""
    return bool(gpus) and run.gpu_count > 0 and (run.gpu_ids is None or not set(run.gpu_ids).isdisjoint(gpus))


def _usable(run: Waiting, known_gpus: Sequence[str] | None, avoided: Collection[str]) -> Sequence[str]:
    if run.gpu_ids is not None:
        return run.gpu_ids
    if known_gpus is None:
        return [str(index) for index in range(run.gpu_count)]
    return [gpu for gpu in known_gpus if gpu not in avoided]


def _would_fit(run: Waiting, usable: Sequence[str], held_outside: Collection[str]) -> bool:
    """Whether the run could start after all runs of this batch have ended."""
    return sum(gpu not in held_outside for gpu in usable) >= run.gpu_count
