"""The machine-wide queue: first come, first served across batches.

Every supervisor merges its waiting runs with those of other batches (their tickets), lets ``policy`` choose among all,
and starts its own. GPUs chosen for runs of other batches are left to those, which poll four times a second.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from taorunner.scheduling.policy import PATIENCE, Fairness, Waiting, competes
from taorunner.scheduling.queue_tickets import Tickets, Wish, since_boot_ns

LEFT_FOR_S = 5.0
"""How long GPUs are reserved for another batch. A batch that does not take them in time (a stopped process, an engine
that does not answer, a different view of the driver) loses its place."""


class MachineQueue:
    """``key`` maps a GPU to the name of its lease, ``name`` is its inverse. ``clock`` is monotonic, in seconds."""

    def __init__(
        self, tickets: Tickets, *, key: Callable[[str], str], name: Callable[[str], str], clock: Callable[[], float]
    ) -> None:  # fmt: skip
        self._tickets, self._key, self._name, self._clock = tickets, key, name, clock
        self._asked: dict[str, int] = {}
        self._others: dict[str, Wish] = {}
        self._holders: frozenset[str] | None = None
        self._left_since: dict[str, float] = {}
        self._gone: set[str] = set()

    def look(self, own: Sequence[Waiting], holders: Mapping[str, str], fairness: Fairness) -> None:
        """Reads the tickets. ``own`` are the waiting runs; ``holders`` maps GPUs to the runs of others that use them.

        Counts in ``fairness`` the later runs that were started on GPUs which a run of ``own`` could have used.

        Raises:
            MachineError: the folder of the tickets cannot be used.
        """
        at_ns = since_boot_ns()
        self._asked = {run.run_id: self._asked.get(run.run_id, at_ns) for run in own}
        fresh = set(holders.values()) - (set(holders.values()) if self._holders is None else self._holders)
        for run_id in fresh:
            gpus = {gpu for gpu, holder in holders.items() if holder == run_id}
            other = self._others.get(run_id)
            for run in own:
                is_later = other is None or other.asked_ns > self._asked[run.run_id]
                if is_later and self._asked[run.run_id] < at_ns and competes(run, gpus):
                    fairness.overtaken[run.run_id] = fairness.overtaken.get(run.run_id, 0) + 1
        self._holders = frozenset(holders.values())
        found = {wish.run_id: wish for wish in self._tickets.others() if wish.run_id not in self._asked}
        self._gone &= set(found)
        self._others = {
            run_id: wish
            for run_id, wish in found.items()
            if run_id not in holders.values()
            and run_id not in self._gone
            and (not wish.is_due or self._tickets.is_alive(run_id))
        }

    def merged(self, own: Sequence[Waiting]) -> list[Waiting]:
        """The waiting runs of all batches, oldest request first."""
        asked = [(self._asked[run.run_id], run) for run in own]
        asked += [(wish.asked_ns, self._waiting(wish)) for wish in self._others.values()]
        return [run for _, run in sorted(asked, key=lambda pair: pair[0])]

    @property
    def ahead(self) -> int:
        """How many runs of other batches are ahead of all runs of this batch."""
        first = min(self._asked.values(), default=0)
        return sum(wish.asked_ns < first for wish in self._others.values())

    @property
    def others(self) -> Collection[str]:
        return self._others.keys()

    def fairness(self, own: Fairness) -> Fairness:
        """``own`` with the runs of others that may not be overtaken again."""
        due = {run_id: PATIENCE for run_id, wish in self._others.items() if wish.is_due}
        return replace(own, overtaken={**due, **own.overtaken})

    def leave_to(self, run_ids: Collection[str]) -> bool:
        """Whether all these runs of others can still be expected to start; if not, choose again."""
        moment = self._clock()
        self._left_since = {run_id: self._left_since.get(run_id, moment) for run_id in run_ids}
        gone = {
            run_id
            for run_id, since_s in self._left_since.items()
            if moment - since_s > LEFT_FOR_S or not self._tickets.is_alive(run_id)
        }
        self._gone |= gone
        for run_id in gone:
            del self._others[run_id]
        return not gone

    def wait(self, own: Sequence[Waiting], fairness: Fairness) -> None:
        """Publishes what this batch waits for. Without waiting runs it leaves the queue.

        Raises:
            MachineError: the folder of the tickets cannot be used.
        """
        self._tickets.hold(
            [
                Wish(
                    run.run_id,
                    run.gpu_count,
                    None if run.gpu_ids is None else tuple(map(self._key, run.gpu_ids)),
                    self._asked[run.run_id],
                    fairness.is_due(run),
                )
                for run in own
            ]
        )

    def _waiting(self, wish: Wish) -> Waiting:
        ids = None if wish.leases is None else tuple(map(self._name, wish.leases))
        return Waiting(wish.run_id, wish.gpu_count, ids)
