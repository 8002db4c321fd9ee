"""Where runs stand: what their folders say, put together with what Slurm says of their jobs. The folder counts more.

See ``folder`` for what runs write, ``states`` for what Slurm's words mean.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from taorunner.backends.contract import EngineEnd, EngineState, EngineStatus, Handle
from taorunner.backends.run_folder import STOPPED_BEFORE_START
from taorunner.backends.slurm import states
from taorunner.backends.slurm.folder import Cluster, Folder, KeptEnd, Start
from taorunner.backends.slurm.said import runtime_end, silent_end
from taorunner.backends.slurm.scheduler import EndRow, JobRow, Scheduler
from taorunner.errors import TaorunnerError

_COMPLETES_WITHIN_S = 60.0
"""How long a job that has written its exit code may be COMPLETING before its code alone decides."""
_SETTLED_S = 2.0
"""A folder that changed more recently than this may change again without another time."""
_READ_AGAIN_S = 600.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was read of a run's folder. ``stamp`` is that of the folder then, None while it may be changing."""

    folder: Folder
    job: str | None
    cluster: Cluster | None
    end: KeptEnd | None
    has_begun: bool
    stamp: tuple[int, int] | None
    read_s: float


Refresh = Callable[[Sequence[Path]], None]


class Standings:
    """Keeps what it has read of the folders of runs that wait, because thousands may. Thread-safe.

    ``refresh`` brings what runs on a far side have written into their folders; it raises where it cannot.
    """

    def __init__(self, scheduler: Callable[[str | None], Scheduler], refresh: Refresh) -> None:
        self._scheduler, self._refresh = scheduler, refresh
        self._known: dict[str, _Seen] = {}

    def of(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]:
        """While the scheduler does not answer, the folders say what is known, and waiting runs say why."""
        found: dict[str, EngineStatus] = {}
        asked: dict[str | None, list[tuple[Handle, _Seen]]] = {}
        for handle in handles:
            seen = self._look(handle)
            if seen.cluster is None or seen.job is None:
                found[handle.run_id] = EngineStatus(EngineState.MISSING)
            elif seen.end is not None:
                found[handle.run_id] = seen.folder.exited(seen.end)
            else:
                asked.setdefault(seen.cluster.host, []).append((handle, seen))
        for host, runs in asked.items():
            found.update(_ask(self._scheduler(host), runs, self._refresh))
        return found

    def forget(self, run_id: str) -> None:
        self._known.pop(run_id, None)

    def _look(self, handle: Handle) -> _Seen:
        """The folder of a run that has not begun is read again when a file was made in it, and now and then."""
        known = self._known.get(handle.run_id)
        if known is not None and known.stamp is not None and time.monotonic() - known.read_s < _READ_AGAIN_S:
            with suppress(OSError):
                if _stamp(known.folder) == known.stamp:
                    return known
        folder = Folder(handle.run_dir)
        stamp: tuple[int, int] | None = None
        with suppress(OSError):
            stamp = _stamp(folder)
        has_begun = folder.has_begun
        is_settled = stamp is not None and time.time() - stamp[1] / 1e9 > _SETTLED_S
        seen = _Seen(
            folder, folder.job(), folder.cluster(), folder.kept_end(), has_begun,
            stamp if is_settled and not has_begun else None, time.monotonic(),
        )  # fmt: skip
        self._known[handle.run_id] = seen
        return seen


def _stamp(folder: Folder) -> tuple[int, int]:
    facts = os.stat(folder.path)  # noqa: PTH116 - a thousand times a poll
    return facts.st_ino, facts.st_mtime_ns


def _ask(
    scheduler: Scheduler, runs: Sequence[tuple[Handle, _Seen]], refresh: Refresh
) -> dict[str, EngineStatus]:
    """Folders are read after Slurm has answered: what an ended job has written is there then."""
    try:
        rows = {row.id: row for row in scheduler.jobs()}
        gone = [handle.id for handle, seen in runs if not _is_ours(rows.get(handle.id), seen.cluster)]
        ends = scheduler.ends(gone)
        refresh(
            [one.run_dir for one, seen in runs if seen.cluster is not None and seen.cluster.far is not None]
        )
    except TaorunnerError as error:
        return {handle.run_id: _by_folder_alone(seen.folder, error.message) for handle, seen in runs}
    found = {}
    arrays = {(row.id.partition("_")[0], row.name) for row in rows.values() if "_" in row.id}
    for handle, seen in runs:
        row, end, cluster = rows.get(handle.id), ends.get(handle.id), seen.cluster
        assert cluster is not None
        if row is not None and _is_ours(row, cluster):
            is_untouched = seen.stamp is not None and states.state_of(row.state) is EngineState.WAITING
            if is_untouched:
                found[handle.run_id] = _waiting(scheduler, handle, seen.folder, cluster, row, None)
            else:
                found[handle.run_id] = _of_job(scheduler, handle, seen.folder, cluster, row, end)
        elif end is not None and cluster.has(end.id, end.name):
            found[handle.run_id] = _of_accounting(seen.folder, cluster, end)
        elif (handle.id.partition("_")[0], cluster.job_name) in arrays and not seen.folder.has_begun:
            # of an array that it knows, Slurm forgets only a task that was cancelled while it waited
            ended = states.Ended("CANCELLED", 0, None)
            found[handle.run_id] = seen.folder.ended(_judged(seen.folder, cluster, ended, None))
        else:
            found[handle.run_id] = _unknown(seen.folder, cluster)
    return found


def _of_job(
    scheduler: Scheduler, handle: Handle, folder: Folder, cluster: Cluster, row: JobRow, end: EndRow | None
) -> EngineStatus:
    state = states.state_of(row.state)
    written = folder.exit()
    first, last = folder.starts()
    if state is EngineState.EXITED:
        if end is None:
            with suppress(TaorunnerError):
                end = scheduler.end_in_memory(row)
        code = _code(end) if end is not None else None
        ended = states.Ended(row.state, code or 0, None if end is None else end.by, row.nodes)
        return folder.ended(_judged(folder, cluster, ended, code))
    if written is not None:
        silent_s = (datetime.now(timezone.utc) - written[1]).total_seconds()
        if state is EngineState.RUNNING and silent_s < _COMPLETES_WITHIN_S:
            return EngineStatus(EngineState.RUNNING, started_at=first)
        return folder.ended(_end_by_code(written))
    if state is EngineState.WAITING:
        return _waiting(scheduler, handle, folder, cluster, row, last)
    if last is not None and last.ended is not None and last.was_requeued:
        return EngineStatus(EngineState.WAITING, waiting=states.TIME_LIMIT)
    return EngineStatus(EngineState.RUNNING, started_at=first, where=row.nodes or None)


def _waiting(
    scheduler: Scheduler, handle: Handle, folder: Folder, cluster: Cluster, row: JobRow, last: Start | None
) -> EngineStatus:
    """Why a job waits. One that would never start is cancelled, one that is held after a failed start is released."""
    never = states.never_starts(row.reason, cluster.asked)
    if never is not None:
        scheduler.cancel(handle.id)
        kept = KeptEnd(None, oom_killed=False, at=datetime.now(timezone.utc), end=never)
        return folder.ended(kept)
    if states.is_held_after_start(row.reason) and not _goes_on(last) and folder.begin_release():
        with suppress(TaorunnerError):
            scheduler.run(["scontrol", "release", handle.id])  # its script starts no finished run again
    interrupted = None if last is None else _interruption(scheduler, handle.id, last)
    text = states.waiting_text(row.reason, interrupted, cluster.asked, handle.id)
    return EngineStatus(EngineState.WAITING, waiting=text)


def _of_accounting(folder: Folder, cluster: Cluster, end: EndRow) -> EngineStatus:
    if states.state_of(end.state) is not EngineState.EXITED:
        return _unknown(folder, cluster)
    ended = states.Ended(end.state, _code(end), end.by)
    return folder.ended(_judged(folder, cluster, ended, ended.code))


def _code(end: EndRow) -> int:
    return end.exit_code or (128 + end.signal if end.signal else 0)


def _end_by_code(written: tuple[int, datetime]) -> KeptEnd:
    return KeptEnd(written[0], oom_killed=False, at=written[1], end=None)


def _is_ours(row: JobRow | None, cluster: Cluster | None) -> bool:
    """A scheduler that lost its memory gives a number to another job."""
    return row is not None and cluster is not None and cluster.has(row.id, row.name)


def _goes_on(last: Start | None) -> bool:
    return last is not None and last.ended is None


def _judged(folder: Folder, cluster: Cluster, ended: states.Ended, code: int | None) -> KeptEnd:
    """What Slurm says of the end and what the run wrote, put together. The exit code that it wrote counts."""
    written = folder.exit()
    first, last = folder.starts()
    is_oom = ended.state == "OUT_OF_MEMORY" or states.tells_of_oom(folder.messages or "")
    at = written[1] if written is not None else datetime.now(timezone.utc)
    if folder.is_stop_requested:
        found = None if written is not None or first is not None else STOPPED_BEFORE_START
        stopped_code = written[0] if written is not None else None
        return KeptEnd(stopped_code, oom_killed=is_oom, at=at, end=found)
    if written is not None and (
        ended.state not in ("TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL") or written[0] == 0
    ):
        own = states.oom_end(cluster.asked) if is_oom and written[0] else _own_end(last, cluster)
        if own is None and written[0]:
            output = folder.last_output
            words = runtime_end if output else silent_end
            own = words(output or folder.messages or "", cluster.asked.workspace)
        return KeptEnd(written[0], oom_killed=is_oom, at=at, end=own)
    if first is None and ended.state == "CANCELLED":
        code = None  # Slurm has 0 for a job that never began
    end = states.end_of(
        ended, cluster.asked, messages=folder.messages, was_started=first is not None,
        near_limit=last is not None and last.was_near_limit,
    )  # fmt: skip
    return KeptEnd(written[0] if written is not None else code, oom_killed=is_oom, at=at, end=end)


def _own_end(last: Start | None, cluster: Cluster) -> EngineEnd | None:
    """Why the script itself did not go on after the time limit."""
    if last is None:
        return None
    if last.fault:
        return states.gave_up_end(last.fault)
    if last.without_checkpoint:
        return states.no_checkpoint_end()
    return states.limit_end(cluster.asked) if last.ended == "limit" and not last.was_requeued else None


def _interruption(scheduler: Scheduler, job: str, last: Start) -> str:
    """Why the last start is over. The script gets the same signal for a preemption and for ``scontrol requeue``."""
    if last.was_requeued or last.ended == "limit":
        return states.TIME_LIMIT
    return states.interrupted_text(scheduler.interruption(job, last.attempt))


def _by_folder_alone(folder: Folder, why: str) -> EngineStatus:
    """While the scheduler does not answer, no state changes: the run goes on, or waits."""
    written = folder.exit()
    first, last = folder.starts()
    if written is not None:
        return EngineStatus(
            EngineState.EXITED, exit_code=written[0], started_at=first, finished_at=written[1]
        )
    if last is not None and not last.was_requeued and last.ended in (None, ""):  # or about to write its end
        return EngineStatus(EngineState.RUNNING, started_at=first, silent=why)
    return EngineStatus(EngineState.WAITING, waiting=why)


def _unknown(folder: Folder, cluster: Cluster) -> EngineStatus:
    """Slurm does not know the job. It may have lost its memory while the job goes on, so its silence decides."""
    written = folder.exit()
    first, last = folder.starts()
    if written is not None:
        return folder.ended(KeptEnd(written[0], oom_killed=False, at=written[1], end=None))
    if folder.is_stop_requested:
        end = None if first is not None else STOPPED_BEFORE_START
        now = datetime.now(timezone.utc)
        return folder.ended(KeptEnd(None, oom_killed=False, at=now, end=end))
    if folder.silent_for_s() > cluster.unknown_after_s:
        return EngineStatus(EngineState.MISSING)
    if last is not None and last.ended is None:
        return EngineStatus(EngineState.RUNNING, started_at=first)
    return EngineStatus(EngineState.WAITING, waiting="Slurm does not know it")
