"""The Allocator protocol: which waiting runs start now, and on which GPUs.

``gpu_allocator`` leases GPUs of this host. ``delegated`` leaves GPUs to an engine with its own queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from taorunner.backends.contract import Backend
from taorunner.events import Notice
from taorunner.scheduling.policy import Start
from taorunner.values.value import Value


class Queued(Value):
    """A run that may start. ``gpu_ids`` are as the user wrote them, None for any."""

    run_id: str
    backend: str
    gpu_count: int
    gpu_ids: tuple[str, ...] | None = None


class Impossible(Value):
    """A run that can never start here, with the reason and the next step."""

    run_id: str
    reason: str
    hint: str


@dataclass(slots=True)
class Decision:
    """``notices``: (run id, code, text). ``known`` is the number of GPUs of this host, if it was determined."""

    starts: list[Start] = field(default_factory=list)
    notices: list[tuple[str, str, str]] = field(default_factory=list)
    impossible: list[Impossible] = field(default_factory=list)
    known: int = 0


class Allocator(Protocol):
    """The allocator of one batch, used in one thread. A run keeps its GPUs until ``release``."""

    def decide(
        self, waiting: Sequence[Queued], active: Mapping[str, tuple[str, ...]], backend: Callable[[str], Backend], *,
        parallel: int | None, parallel_without_gpu: int,
    ) -> Decision:  # fmt: skip
        """The runs that start now. ``active`` are the GPU ids of the batch's active runs.

        Raises:
            MachineError: GPUs cannot be allocated, now or later.
        """
        ...

    def leave_queue(self) -> None:
        """Leaves the queue: no run of this batch waits. Idempotent."""
        ...

    def adopt(self, run_id: str, backend: str, gpu_ids: Sequence[str]) -> None:
        """Takes over the GPUs of a run that an earlier supervisor started."""
        ...

    def lease(self, run_id: str) -> tuple[int, ...]:
        """Open descriptors that hold the run's GPU leases. Empty if no GPU of this host is leased."""
        ...

    def release(self, run_id: str) -> None:
        """Releases the GPUs of a finished run. Idempotent."""
        ...

    def removed_locks(self) -> Sequence[Notice]:
        """A notice for each run whose lock another user removed; the lock is made again. Looks every few seconds."""
        ...


class AllocatorPerBackend:
    """Uses ``leased`` for runs on this host and ``delegated`` for runs whose engine schedules them.

    ``engine_schedules`` decides by the backend's name; it is called once for each. ``parallel`` limits both together.
    """

    def __init__(
        self, leased: Allocator, delegated: Allocator, engine_schedules: Callable[[str], bool]
    ) -> None:
        self._leased, self._delegated = leased, delegated
        self._engine_schedules = engine_schedules
        self._is_delegated: dict[str, bool] = {}
        self._delegated_runs: set[str] = set()

    def decide(
        self, waiting: Sequence[Queued], active: Mapping[str, tuple[str, ...]], backend: Callable[[str], Backend], *,
        parallel: int | None, parallel_without_gpu: int,
    ) -> Decision:  # fmt: skip
        theirs = [run for run in waiting if self._is_scheduled_by_engine(run.backend)]
        ours = [run for run in waiting if not self._is_scheduled_by_engine(run.backend)]
        running_there = {run: ids for run, ids in active.items() if run in self._delegated_runs}
        running_here = {run: ids for run, ids in active.items() if run not in self._delegated_runs}
        decision = Decision()
        if ours:
            decision = self._leased.decide(
                ours, running_here, backend,
                parallel=None if parallel is None else max(0, parallel - len(running_there)),
                parallel_without_gpu=parallel_without_gpu,
            )  # fmt: skip
        else:
            self._leased.leave_queue()
        if theirs:
            taken = len(running_here) + len(decision.starts)
            there = self._delegated.decide(
                theirs, running_there, backend,
                parallel=None if parallel is None else max(0, parallel - taken),
                parallel_without_gpu=parallel_without_gpu,
            )  # fmt: skip
            decision.starts += there.starts
            decision.notices += there.notices
            decision.impossible += there.impossible
            self._delegated_runs |= {start.run_id for start in there.starts}
        return decision

    def leave_queue(self) -> None:
        self._leased.leave_queue()
        self._delegated.leave_queue()

    def adopt(self, run_id: str, backend: str, gpu_ids: Sequence[str]) -> None:
        if self._is_scheduled_by_engine(backend):
            self._delegated_runs.add(run_id)
            self._delegated.adopt(run_id, backend, gpu_ids)
        else:
            self._leased.adopt(run_id, backend, gpu_ids)

    def lease(self, run_id: str) -> tuple[int, ...]:
        return self._of(run_id).lease(run_id)

    def release(self, run_id: str) -> None:
        self._of(run_id).release(run_id)
        self._delegated_runs.discard(run_id)

    def removed_locks(self) -> Sequence[Notice]:
        return self._leased.removed_locks()

    def _of(self, run_id: str) -> Allocator:
        return self._delegated if run_id in self._delegated_runs else self._leased

    def _is_scheduled_by_engine(self, backend: str) -> bool:
        if backend not in self._is_delegated:
            self._is_delegated[backend] = self._engine_schedules(backend)
        return self._is_delegated[backend]
