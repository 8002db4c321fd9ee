"""What becomes of a run, from its Job, its pods and its own folder. What the kubelet says of the container counts; the
run's own word alone is unconfirmed.
"""

from __future__ import annotations

from datetime import datetime, timezone

from taorunner.backends.contract import EngineEnd, EngineState, EngineStatus
from taorunner.backends.kubernetes import reasons
from taorunner.backends.kubernetes.folder import Cluster, Folder
from taorunner.backends.kubernetes.objects import Event, Job, Pod
from taorunner.backends.run_folder import STOPPED_BEFORE_START, KeptEnd
from taorunner.values.value import Value

UNCONFIRMED = "the exit code is the run's own word: Kubernetes no longer knows its pod"


class Seen(Value):
    """``pods`` from the oldest to the newest."""

    job: Job
    pods: list[Pod]

    @property
    def main(self) -> list[Pod]:
        """Those of the first node, which has the log."""
        return [pod for pod in self.pods if pod.index == 0]

    @property
    def first_to_fail(self) -> Pod | None:
        """The pod of another node than the first one, for which the Job failed as a whole."""
        return next(
            (
                pod
                for pod in self.pods
                if pod.index and pod.terminated and f"/{pod.name} " in self.job.message
            ),
            None,
        )

    @property
    def is_waiting(self) -> bool:
        return self.job.ended is None and not any(pod.phase == "Running" for pod in self.pods)

    @property
    def needs_events(self) -> bool:
        """Only a run that waits has a reason that the Job and its pods do not tell."""
        return self.is_waiting and not self.job.is_suspended


def judged(folder: Folder, cluster: Cluster, seen: Seen, events: list[Event]) -> EngineStatus:
    job, main = seen.job, seen.main
    written = folder.exit()
    first, last = folder.starts()
    code = next((pod.terminated.code for pod in reversed(main) if pod.terminated is not None), None)
    newest_is_over = bool(main) and main[-1].is_over
    if job.ended is not None or (written is not None and newest_is_over and code == written[0]):
        return folder.ended(_end(folder, cluster, seen, code))
    if job.is_deleting and not any(not pod.is_over for pod in seen.pods):
        return folder.ended(_end(folder, cluster, seen, code))
    if seen.is_waiting:
        now = datetime.now(timezone.utc)
        never = reasons.never_starts(job, seen.pods, events, cluster, now)
        if never is not None and first is None:
            kept = KeptEnd(None, oom_killed=False, at=now, end=never)
            return folder.ended(kept)
        text = reasons.waiting_text(job, seen.pods, events, cluster)
        if text in reasons.UNDECIDED and last is not None:
            text = reasons.interruption(main) or text
        overdue = reasons.overdue(seen.pods, now)
        return EngineStatus(EngineState.WAITING, waiting=text, overdue=overdue)
    return EngineStatus(EngineState.RUNNING, started_at=first, silent=reasons.lost_node(main))


def _end(folder: Folder, cluster: Cluster, seen: Seen, code: int | None) -> KeptEnd:
    """The code that the kubelet has is the one that counts."""
    written = folder.exit()
    first, last = folder.starts()
    main = seen.main
    ended = next((pod.terminated for pod in reversed(main) if pod.terminated is not None), None)
    is_oom = ended is not None and ended.reason == "OOMKilled"
    at = (
        (ended.at if ended is not None else None)
        or (written[1] if written is not None else None)
        or seen.job.ended_at
    )
    found_code = code if code is not None else (written[0] if written is not None else None)
    unconfirmed = UNCONFIRMED if code is None and written is not None else None
    end: EngineEnd | None
    if folder.is_stop_requested:
        end = None if first is not None else STOPPED_BEFORE_START
        found_code = found_code if first is not None else None
        unconfirmed = None
    elif found_code == 0 or (last is not None and seen.job.ended == "Complete" and code is None):
        end = None
    elif (other := seen.first_to_fail) is not None:
        found_code, end = other.terminated.code if other.terminated else None, reasons.other_node_end(other)
        unconfirmed = None
    else:
        end = reasons.end_of(seen.job, main, found_code, cluster, was_started=first is not None)
        if end is None and seen.job.is_deleting and written is None:
            end = deleted_end(seen.job.name)
    when = at or datetime.now(timezone.utc)
    return KeptEnd(
        found_code, oom_killed=is_oom, at=_not_before(when, first), end=end, unconfirmed=unconfirmed
    )


def _not_before(at: datetime, first: datetime | None) -> datetime:
    """The clocks of two machines may differ by some seconds."""
    return at if first is None else max(at, first)


def deleted_end(name: str) -> EngineEnd:
    return EngineEnd(f'somebody deleted the Job "{name}"', "taorunner resume RUN", was_stopped=True)


def of_missing(folder: Folder, cluster: Cluster, pods: list[Pod]) -> EngineStatus:
    """There is no such Job any more. Its pods may still be going."""
    written = folder.exit()
    first, _ = folder.starts()
    job = folder.job()
    name = "" if job is None else job.name
    if any(not pod.is_over for pod in pods):
        return EngineStatus(EngineState.RUNNING, started_at=first)
    codes = [pod.terminated.code for pod in pods if pod.terminated is not None and pod.index == 0]
    now = datetime.now(timezone.utc)
    if folder.is_stop_requested:
        code = written[0] if written is not None else codes[-1] if codes else None
        end = None if first is not None else STOPPED_BEFORE_START
        return folder.ended(KeptEnd(code, oom_killed=False, at=now, end=end))
    if written is not None:
        unconfirmed = None if codes and codes[-1] == written[0] else UNCONFIRMED
        kept = KeptEnd(
            written[0], oom_killed=False, at=_not_before(written[1], first), end=None, unconfirmed=unconfirmed
        )
        return folder.ended(kept)
    kept = KeptEnd(codes[-1] if codes else None, oom_killed=False, at=now, end=deleted_end(name))
    return folder.ended(kept)


def by_folder_alone(folder: Folder, why: str) -> EngineStatus:
    """While the server does not answer, no state changes: not even an end is believed that nobody confirms."""
    written = folder.exit()
    first, last = folder.starts()
    if last is not None and (last.ended is None or written is not None):
        return EngineStatus(EngineState.RUNNING, started_at=first, silent=why)
    return EngineStatus(EngineState.WAITING, waiting=why)
