"""What the backends of schedulers share: how a run is watched right after its submit, and until a stop has ended it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, ClassVar

from taorunner.backends.contract import EngineState, EngineStatus, Handle, Started
from taorunner.backends.shared_call import GatheredCall
from taorunner.errors import EngineRefusedError
from taorunner.planning.model.plan import Resources

if TYPE_CHECKING:
    from taorunner.project.clusters.cluster_file import Cluster

_LOOK_AFTER_SUBMIT_S = 1.0
KILL_PATIENCE_S = 60.0
"""How long a killed run may take to go."""


def resources_of(cluster: Cluster) -> Resources:
    """What a run of the cluster that says nothing itself would take."""
    wanted = cluster.limits
    return Resources(
        nodes=wanted.nodes or 1, cpus=wanted.cpus, memory_bytes=wanted.memory_bytes, time_s=wanted.time_s
    )


class ScheduledBackend(ABC):
    """``undecided`` are reasons to wait that do not say whether a run will start; ``pause_s`` is between two looks."""

    undecided: ClassVar[Collection[str]]
    pause_s: ClassVar[float]

    def __init__(self) -> None:
        self._looks = GatheredCall[Handle, EngineStatus](self._look)

    @abstractmethod
    def inspect(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]: ...

    def _status(self, handle: Handle) -> EngineStatus:
        """Those who ask at the same time, as after the submit of many runs, share one look."""
        return self._looks(handle)

    def _look(self, handles: Sequence[Handle]) -> list[EngineStatus]:
        found = self.inspect(handles)
        return [found[handle.run_id] for handle in handles]

    def _started(self, handle: Handle, *, may_end: bool = False) -> Started:
        """Looks for a moment whether the run starts or waits. ``may_end``: it may end before it starts.

        Raises EngineRefusedError when it would wait for ever.
        """
        deadline = time.monotonic() + _LOOK_AFTER_SUBMIT_S
        while True:
            status = self._status(handle)
            is_waiting = status.state is EngineState.WAITING
            never_started = status.state is EngineState.EXITED and status.started_at is None
            if never_started and status.end is not None and not may_end:
                raise EngineRefusedError(status.end.reason, hint=status.end.hint)
            is_decided = not is_waiting or status.waiting not in self.undecided
            if is_decided or time.monotonic() > deadline:
                waiting = status.waiting if is_waiting else None
                return Started(handle, waiting=waiting, where=status.where)
            time.sleep(self.pause_s)

    def _has_ended(self, handle: Handle, within_s: float) -> bool:
        """Waits for the end of a run that was stopped."""
        deadline = time.monotonic() + within_s
        while self._status(handle).state not in (EngineState.EXITED, EngineState.MISSING):
            if time.monotonic() > deadline:
                return False
            time.sleep(self.pause_s)
        return True
