"""Which waiting runs start now, and on which GPUs. Pure: no clock, no disk, no engine.

First come, first served, and small ones fill the gaps: a run that does not fit yet lets later ones pass, ``PATIENCE``
of them. Then the GPUs it waits for are kept for it, so that nobody waits for ever; where several of those want the same
GPU, only for the first: what the next one wants besides would stand idle for longer than it takes to gather.
GPUs that stood idle until a large run had them together are used for others of that size first, while those who are
passed have patience: gathering costs idle time, and is worth more than one run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

PATIENCE = 32
"""So many later runs may take GPUs that an earlier one waits for. Fewer leave GPUs idle more often while a large run
gathers its own, more let it wait longer."""


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


@dataclass(slots=True)
class Fairness:
    """What must be remembered between two choices: ``overtaken`` says by how many later runs each run was passed on
    GPUs that it could have used, ``gathered`` which GPUs stood idle until a large run had them together."""

    overtaken: dict[str, int] = field(default_factory=dict)
    gathered: frozenset[frozenset[str]] = frozenset()

    def is_due(self, run: Waiting) -> bool:
        """Whether nobody may pass this run any more."""
        return self.overtaken.get(run.run_id, 0) >= PATIENCE

    def note(self, waiting: Sequence[Waiting], starts: Iterable[Start]) -> None:
        """To be called with those of ``choose``'s answers that were really started."""
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
    """What starts now.

    ``known_gpus`` are the host ids of this machine in order of preference, None when nobody can tell: then
    ids named by the user are believed and "any n" means the lowest n numbers. ``busy_gpus`` are used by runs of this
    batch, ``held_outside`` by somebody else's: nothing is kept for a run that waits for those, because what comes free
    here would not help it. ``avoided`` are given to nobody who did not name them. ``parallel`` bounds all runs,
    ``parallel_without_gpu`` those that use no GPU. ``others`` are the ids of runs of other batches, which stand in the
    same queue: what they could start with is left to them, and told with the rest. A run that asks for more GPUs than
    there are is never chosen.
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
                free.sort(
                    key=lambda gpu: wanted[gpu]
                )  # stable: those that others name come last, the most wanted at the end
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
    """Runs that take over GPUs which were gathered for another one of their size and have just come free."""
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
    """Whether it could start once the runs of this batch are over."""
    return sum(gpu not in held_outside for gpu in usable) >= run.gpu_count
