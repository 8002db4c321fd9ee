"""Allocator for this host: starts waiting runs on GPUs that nothing else uses, and leases them.

``policy`` chooses, and this module checks the choice against the host. A GPU is free when its lease is not held, no
running container of taorunner uses it (its supervisor may have been killed), and no other process computes on it. The
last check applies only to runs that take any GPU. Leases are acquired before the checks, to exclude races.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.backends.contract import Backend, KnowsGpusInUse
from taorunner.errors import TaorunnerError
from taorunner.events import Notice, now
from taorunner.gpu import inventory as nvml
from taorunner.gpu.inventory import GpuProcess, Inventory
from taorunner.gpu.leases import Holder, Lease, Leases
from taorunner.scheduling.allocator import Decision, Impossible, Queued
from taorunner.scheduling.machine_queue import MachineQueue
from taorunner.scheduling.policy import Fairness, Start, Waiting, choose
from taorunner.scheduling.queue_tickets import Tickets

LOOK_MOST_EVERY_S, LOOK_EVERY_S, LOOK_LEAST_EVERY_S = 0.08, 0.25, 0.75
TELL_EVERY_S = 60.0
LOCKS_EVERY_S = 5.0


@dataclass(slots=True)
class _Seen:
    """GPUs in use by others, by their name here, with the reason.

    ``holders`` are the live runs that lease GPUs; those are reassigned in queue order when freed.
    """

    held: dict[str, str] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)


class FreeGpus:
    """The GPUs of one batch, until each run's ``release``. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        leases: Leases,
        inventory: Callable[[], Inventory] = nvml.inventory,
        *,
        user: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leases, self._inventory, self._clock = leases, inventory, clock
        self._user = _user_name(os.getuid()) if user is None else user
        self._first = inventory()
        whole = [str(gpu.index) for gpu in self._first.gpus if not gpu.is_split]
        self._known = whole if self._first.gpus else None
        self._held: dict[str, Lease] = {}
        self._parents: dict[str, str | None] = {}
        self._fairness = Fairness()
        self._look_at_s = self._locks_at_s = 0.0
        self._foreign_seen: Mapping[str, str] = {}
        self._foreign_until_s = 0.0
        self._reported: dict[str, tuple[str, float]] = {}
        self._names_by_key = {gpu.uuid: str(gpu.index) for gpu in self._first.gpus if gpu.uuid}
        self._queue = MachineQueue(
            Tickets(leases.directory / "queue"), key=self._key, name=self._name_of_key, clock=clock
        )

    def decide(
        self, waiting: Sequence[Queued], active: Mapping[str, tuple[str, ...]], backend: Callable[[str], Backend], *,
        parallel: int | None, parallel_without_gpu: int,
    ) -> Decision:  # fmt: skip
        """What starts now; the leases of what starts are held. ``active`` are the GPUs of this batch's runs.

        Raises:
            MachineError: the lease folder cannot be used.
        """
        decision = Decision(known=len(self._known or ()))
        possible: list[Queued] = []
        for run in waiting:
            impossible = self._why_impossible(run)
            if impossible is None:
                possible.append(run)
            else:
                decision.impossible.append(impossible)
        look = any(run.gpu_count for run in possible) and self._clock() >= self._look_at_s
        asked = [run for run in possible if look or not run.gpu_count]
        if not any(run.gpu_count for run in possible):
            self.leave_queue()
        if not asked:
            return decision
        own = [Waiting(run.run_id, run.gpu_count, self._names(run.gpu_ids)) for run in asked]
        seen = self._look(asked, own, active) if look else _Seen()
        while True:
            starts = choose(
                self._queue.merged(own) if look else own,
                busy_gpus={*seen.holders, *(self._name(gpu) for ids in active.values() for gpu in ids)},
                known_gpus=self._known,
                running=len(active),
                running_without_gpu=sum(not ids for ids in active.values()),
                parallel=parallel,
                parallel_without_gpu=parallel_without_gpu,
                held_outside=seen.held.keys() - seen.holders.keys(),
                avoided=seen.foreign,
                fairness=self._queue.fairness(self._fairness),
                others=self._queue.others if look else (),
            )
            theirs = [start.run_id for start in starts if start.run_id in self._queue.others]
            starts = [start for start in starts if start.run_id not in self._queue.others]
            if look and not self._queue.leave_to(theirs):
                continue
            if self._take(starts, {run.run_id: run for run in asked}, active, backend, seen, decision):
                break
        self._fairness.note(own, starts)
        if look:
            started = {start.run_id for start in starts}
            room = None if parallel is None else max(0, parallel - len(active) - len(started))
            left = [run for run in own if run.gpu_count and run.run_id not in started]
            self._queue.wait(left[:room], self._fairness)
        written = {run.run_id: run.gpu_ids for run in asked}
        decision.starts = [Start(one.run_id, written[one.run_id] or one.gpu_ids) for one in starts]
        if look:
            decision.notices += self._waits([run for run in asked if run.run_id not in started], seen)
        return decision

    def leave_queue(self) -> None:
        """No run of this batch waits for GPUs. Idempotent."""
        self._queue.wait((), self._fairness)

    def adopt(self, run_id: str, backend: str, gpu_ids: Sequence[str]) -> None:
        """Leases the GPUs of a run that continues after its supervisor died.

        A lease that cannot be acquired is held by the run's own process or was already taken over; the GPU is then
        not given to another run here.
        """
        if gpu_ids and run_id not in self._held:
            with suppress(TaorunnerError):
                lease = self._leased(tuple(gpu_ids))
                if lease is not None:
                    lease.sign(self._holder(run_id, backend))
                    self._held[run_id] = lease

    def lease(self, run_id: str) -> tuple[int, ...]:
        """The descriptors that hold the run's GPUs."""
        return self._held[run_id].descriptors if run_id in self._held else ()

    def release(self, run_id: str) -> None:
        """The run is over. Idempotent."""
        lease = self._held.pop(run_id, None)
        if lease is not None:
            lease.release()
        self._look_at_s = 0.0

    def removed_locks(self) -> Sequence[Notice]:
        """The GPUs stay taken meanwhile: their names in the kernel are held, too."""
        if self._clock() < self._locks_at_s:
            return ()
        self._locks_at_s = self._clock() + LOCKS_EVERY_S
        text = "{} was removed or replaced by another user, and is made again; the GPU stays with this run"
        return [
            Notice(run=run_id, at=now(), level="warning", code="lease-removed", text=text.format(path))
            for run_id, lease in self._held.items()
            for path in self._leases.restore(lease)
        ]

    def _why_impossible(self, run: Queued) -> Impossible | None:
        """Why the run can never start here; None if it can. Of GPUs named by the user only numbers are checked."""
        if self._known is None:
            return None
        indices = tuple(str(gpu.index) for gpu in self._first.gpus)
        if run.gpu_ids is None:
            if run.gpu_count <= len(self._known):
                return None
            asked = "1 GPU" if run.gpu_count == 1 else f"{run.gpu_count} GPUs"
            there = str(len(self._known))
        else:
            missing = [
                gpu
                for gpu in run.gpu_ids
                if gpu.isascii() and gpu.isdecimal() and str(int(gpu)) not in indices
            ]
            if not missing:
                return None
            asked, there = f"GPU {', '.join(missing)}", f"only GPU {', '.join(indices)}"
        reason = f"{asked} requested, this machine has {there}"
        return Impossible(
            run.run_id, reason, "lower gpus: or correct gpu_indices:; nvidia-smi lists the GPUs"
        )

    # observing the host

    def _look(
        self, waiting: Sequence[Queued], own_queue: Sequence[Waiting], active: Mapping[str, tuple[str, ...]]
    ) -> _Seen:
        own = {self._name(gpu) for ids in active.values() for gpu in ids}
        wanted = dict.fromkeys(name for run in waiting for name in self._names(run.gpu_ids) or ())
        seen = _Seen()
        for name in dict.fromkeys([*self._candidates(waiting), *wanted]):
            if name not in own and (holder := self._leases.holder(self._key(name))) is not None:
                seen.held[name], seen.holders[name] = str(holder), holder.run
        self._queue.look(own_queue, seen.holders, self._fairness)
        self._look_at_s = self._clock() + look_every_s(self._queue.ahead, len(self._known or ()))
        if self._queue.others:  # do not reserve GPUs for runs that will not take them
            used = {*seen.held, *own}
            seen.foreign |= {gpu: why for gpu, why in self._foreign_lately().items() if gpu not in used}
        return seen

    def _candidates(self, waiting: Sequence[Queued]) -> Sequence[str]:
        if self._known is not None:
            return self._known
        return [str(index) for index in range(max(run.gpu_count for run in waiting if run.gpu_ids is None))] if any(
            run.gpu_ids is None for run in waiting
        ) else []  # fmt: skip

    def _take(
        self, starts: Sequence[Start], runs: Mapping[str, Queued], active: Mapping[str, tuple[str, ...]],
        backend: Callable[[str], Backend], seen: _Seen, decision: Decision,
    ) -> bool:  # fmt: skip
        """Leases the chosen GPUs. False when one is in use; it is then added to ``seen``."""
        with_gpus = [start for start in starts if start.gpu_ids]
        if not with_gpus:
            return True
        taken: dict[str, Lease] = {}
        notices: list[tuple[str, str, str]] = []
        try:
            for start in with_gpus:
                lease = self._leased(start.gpu_ids)
                if lease is None:
                    taken_by = dict.fromkeys(map(self._name, start.gpu_ids), "just taken by another process")
                    seen.held |= taken_by
                    seen.holders |= taken_by
                    return False
                taken[start.run_id] = lease
            names = {runs[start.run_id].backend for start in with_gpus}
            names |= {left.backend for lease in taken.values() for left in lease.left_behind}
            in_use = {
                self._name(gpu): run
                for gpu, run in _in_use(sorted(names), backend).items()
                if run not in active
            }
            foreign = self._foreign()
            clear = True
            for start in with_gpus:
                for gpu in start.gpu_ids:
                    if gpu in in_use and in_use[gpu] != start.run_id:
                        seen.held[gpu] = f"used by run {in_use[gpu]}, which continues without its supervisor"
                        clear = False
                    elif gpu in foreign and runs[start.run_id].gpu_ids is None:
                        seen.foreign[gpu] = foreign[gpu]
                        clear = False
                    elif gpu in foreign:
                        notices.append((start.run_id, "gpu-shared", f"GPU {gpu} is also {foreign[gpu]}"))
            if not clear:  # limits how often engine and driver are queried
                self._look_at_s = self._clock() + LOOK_LEAST_EVERY_S
            else:
                for run_id, lease in taken.items():
                    lease.sign(self._holder(run_id, runs[run_id].backend))
                self._held |= taken
                taken = {}
                decision.notices += notices
            return clear
        finally:
            for lease in taken.values():
                lease.release()

    def _leased(self, gpu_ids: tuple[str, ...]) -> Lease | None:
        shared = {parent for gpu in gpu_ids if (parent := self._parent(gpu)) is not None}
        return self._leases.take([self._key(self._name(gpu)) for gpu in gpu_ids], shared)

    def _holder(self, run_id: str, backend: str) -> Holder:
        return Holder(run_id, self._user, backend)

    def _foreign(self) -> dict[str, str]:
        """GPUs on which other processes compute, by name here. Only meaningful for GPUs without a lease."""
        return {
            str(gpu.index): "used by " + ", ".join(_process_text(process) for process in gpu.processes[:3])
            for gpu in self._inventory().gpus
            if gpu.processes
        }

    def _foreign_lately(self) -> Mapping[str, str]:
        if self._clock() >= self._foreign_until_s:
            self._foreign_seen = self._foreign()
            self._foreign_until_s = self._clock() + LOOK_LEAST_EVERY_S
        return self._foreign_seen

    # notices

    def _waits(self, waiting: Sequence[Queued], seen: _Seen) -> Iterator[tuple[str, str, str]]:
        """Notices of what runs wait for outside this batch, each once and again when it changes."""
        for run in waiting:
            if not run.gpu_count:
                continue
            blockers = self._blockers(run, seen)
            if not blockers:
                continue
            what = "" if run.gpu_ids else "1 GPU: " if run.gpu_count == 1 else f"{run.gpu_count} GPUs: "
            text = f"waits for {what}" + "; ".join(f"GPU {gpu} {why}" for gpu, why in blockers[:4])
            if len(blockers) > 4:
                text += f"; and {len(blockers) - 4} more"
            before, at_s = self._reported.get(run.run_id, ("", -TELL_EVERY_S))
            if text != before and self._clock() - at_s >= TELL_EVERY_S:
                self._reported[run.run_id] = text, self._clock()
                yield run.run_id, "gpu-wait", text

    def _blockers(self, run: Queued, seen: _Seen) -> list[tuple[str, str]]:
        if run.gpu_ids is not None:
            return [
                (gpu, f"({seen.held[name]})") for gpu in run.gpu_ids if (name := self._name(gpu)) in seen.held
            ]
        candidates = (
            self._known if self._known is not None else [str(index) for index in range(run.gpu_count)]
        )
        found = [
            (gpu, f"({seen.held.get(gpu) or seen.foreign[gpu]})")
            for gpu in candidates
            if gpu in seen.held or gpu in seen.foreign
        ]
        return found if len(candidates) - len(found) < run.gpu_count else []

    # names

    def _name(self, gpu_id: str) -> str:
        """The canonical name of a GPU: its number, or the UUID of a MIG device."""
        gpu = self._first.find(gpu_id)
        return gpu_id if gpu is None else str(gpu.index)

    def _names(self, gpu_ids: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if gpu_ids is None else tuple(self._name(gpu) for gpu in gpu_ids)

    def _key(self, name: str) -> str:
        """The name of the GPU's lease, the same for all users of this machine."""
        gpu = self._first.find(name)
        if gpu is not None and gpu.uuid:
            return gpu.uuid
        return f"index-{name}" if name.isdigit() else name

    def _name_of_key(self, key: str) -> str:
        return self._names_by_key.get(key) or key.removeprefix("index-")

    def _parent(self, gpu_id: str) -> str | None:
        if not gpu_id.startswith("MIG-"):
            return None
        if gpu_id not in self._parents:
            self._parents[gpu_id] = nvml.parent_of(gpu_id)
        return self._parents[gpu_id]


def look_every_s(ahead: int, gpu_count: int) -> float:
    """The polling interval in seconds: short for the first batches in the queue, so freed GPUs are idle only briefly,
    longer towards its end."""
    if ahead < max(1, gpu_count):
        return LOOK_MOST_EVERY_S
    return min(LOOK_LEAST_EVERY_S, LOOK_EVERY_S * (1 + ahead / (4 * max(1, gpu_count))))


def _in_use(names: Sequence[str], backend: Callable[[str], Backend]) -> dict[str, str]:
    """GPUs of runs in the engines. An engine that does not answer is reported at submit."""
    found: dict[str, str] = {}
    for name in names:
        with suppress(TaorunnerError):
            asked = backend(name)
            if isinstance(asked, KnowsGpusInUse):
                found |= asked.gpus_in_use()
    return found


def _process_text(process: GpuProcess) -> str:
    """The process's name and owner where visible; in another PID namespace only its number is known."""
    place = Path("/proc") / str(process.pid)
    try:
        name = (place / "comm").read_text(encoding="utf-8", errors="replace").strip()
        return f"{name} (process {process.pid} of {_user_name(place.stat().st_uid)})"
    except OSError:
        return f"process {process.pid}"


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
