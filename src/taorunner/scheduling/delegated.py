"""Allocator for engines with their own scheduler: runs are submitted at once, and the engine assigns GPUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from taorunner.backends.contract import Backend
from taorunner.events import Notice
from taorunner.planning.model.plan import RunPlan
from taorunner.scheduling.allocator import Decision, Queued
from taorunner.scheduling.policy import Start


class Delegated:
    """Leases nothing on this host. Only ``parallel`` limits the number of submitted runs."""

    def decide(
        self, waiting: Sequence[Queued], active: Mapping[str, tuple[str, ...]], backend: Callable[[str], Backend], *,
        parallel: int | None, parallel_without_gpu: int,
    ) -> Decision:  # fmt: skip
        """The first of ``waiting``, in order, up to ``parallel``. No GPUs are assigned here."""
        room = len(waiting) if parallel is None else max(0, parallel - len(active))
        return Decision(starts=[Start(run.run_id, ()) for run in waiting[:room]])

    def leave_queue(self) -> None:
        """There is no queue here."""

    def adopt(self, run_id: str, backend: str, gpu_ids: Sequence[str]) -> None:
        """Nothing is held for a run."""

    def lease(self, run_id: str) -> tuple[int, ...]:
        return ()

    def release(self, run_id: str) -> None:
        """Nothing is held for a run."""

    def removed_locks(self) -> Sequence[Notice]:
        return ()


def within_max_submitted(
    waiting: Sequence[Queued], active: Iterable[str], plans: Mapping[str, RunPlan]
) -> list[Queued]:
    """Those of ``waiting``, in order, that their clusters may get now.

    ``max_submitted`` bounds the runs of a batch that a cluster has at once, those that wait there too.
    """
    submitted = Counter(_place(plans[run_id]) for run_id in active)
    found = []
    for run in waiting:
        plan = plans[run.run_id]
        most, place = plan.backend_options.get("max_submitted"), _place(plan)
        if most is None or submitted[place] < most:
            submitted[place] += 1
            found.append(run)
    return found


def _place(plan: RunPlan) -> tuple[str, str | None]:
    return plan.backend, plan.cluster or plan.backend_options.get("host")
