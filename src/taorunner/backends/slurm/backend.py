"""The slurm backend: a run is one job of a cluster, found by its name, and judged by what it wrote into its folder.

See ``folder`` for what is believed first, ``script`` for what runs, ``states`` for what Slurm's words mean.
"""

from __future__ import annotations

import os
import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from taorunner.backends.contract import (
    EngineEnd,
    EngineState,
    EngineStatus,
    Handle,
    Launch,
    LogPosition,
    LogStream,
    Report,
    Started,
)
from taorunner.backends.slurm import states
from taorunner.backends.slurm.far.side import FarSide
from taorunner.backends.slurm.folder import Cluster, Folder, KeptEnd, Start
from taorunner.backends.slurm.images import ensure_image
from taorunner.backends.slurm.log import SharedLog
from taorunner.backends.slurm.request import SlurmRequest, slurm_request
from taorunner.backends.slurm.scheduler import EndRow, JobRow, Scheduler, SilentError
from taorunner.backends.slurm.script import BATCH_SCRIPT, job_name, sbatch_argv
from taorunner.errors import EngineRefusedError, Finding, MachineError, Severity, TaorunnerError
from taorunner.planning.model.plan import RunPlan

_COMPLETES_WITHIN_S = 60.0
"""How long a job that has written its exit code may be COMPLETING before its code alone decides."""
_ANSWER_WITHIN_S = 60.0
"""How long a job is searched for whose number never came back."""
_FIND_WITHIN_S = 3.0
_LOOK_AFTER_SUBMIT_S = 1.0
_KILL_PATIENCE_S = 60.0
_PAUSE_S = 0.1


class SlurmBackend:
    """See ``contract`` for the rules."""

    name = "slurm"

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._schedulers: dict[str | None, Scheduler] = {}
        self._lock = threading.Lock()
        self._far = FarSide(self._scheduler)

    def check(self) -> list[Finding]:
        """Whether this machine has Slurm's commands. A cluster behind ssh is checked by ``prepare``."""
        try:
            done = self._scheduler(None).run(["sinfo", "-h", "-o", "%P %a %l %G"])
        except TaorunnerError as error:
            text = f"this machine is no login node: {error.message}; clusters with a host can be used"
            return [Finding(Severity.INFO, "slurm-commands", text, error.hint)]
        if not done.succeeded:
            text = f"sinfo failed on this machine: {done.last_words}; clusters with a host can be used"
            return [Finding(Severity.WARNING, "slurm-commands", text)]
        partitions = len({line.split()[0] for line in done.stdout.splitlines() if line.split()})
        return [Finding(Severity.OK, "slurm-commands", f"Slurm answers, with {partitions} partitions")]

    def prepare(self, plan: RunPlan, report: Report) -> str | None:
        """The image is put where the nodes find it; what else a job lacks Slurm itself says at the submit."""
        if plan.image:
            scheduler = self._scheduler(plan.backend_options.get("host"))
            ensure_image(scheduler, plan.backend_options, plan.image, report)
        return None

    def request(self, plan: RunPlan, launch: Launch) -> SlurmRequest:
        return slurm_request(plan, launch, self.name)

    def submit(self, request: SlurmRequest) -> Started:
        folder, cluster = Folder(request.run_dir), request.cluster
        scheduler = self._scheduler(cluster.host)
        job = folder.job()
        if job is None and folder.is_answer_unknown:
            job = self._adopted(folder, cluster, patience_s=_ANSWER_WITHIN_S)
        if job is None:
            folder.write(request.scripts, cluster)
            with self._far.delivered(request, folder):
                folder.begin_submit()
                job = self._submitted(request, folder, scheduler)
        return self._started(self._handle(request.run_id, job, request.run_dir), folder, cluster)

    def inspect(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]:
        """While the scheduler does not answer, the folders say what is known, and waiting runs say why."""
        self._far.refresh(handles)
        found: dict[str, EngineStatus] = {}
        asked: dict[str | None, list[tuple[Handle, Folder, Cluster]]] = {}
        for handle in handles:
            folder = Folder(handle.run_dir)
            cluster = folder.cluster()
            if cluster is None or folder.job() is None:
                found[handle.run_id] = EngineStatus(EngineState.MISSING)
            elif (end := folder.kept_end()) is not None:
                found[handle.run_id] = _exited(folder, end)
            else:
                asked.setdefault(cluster.host, []).append((handle, folder, cluster))
        for host, runs in asked.items():
            found.update(self._ask(self._scheduler(host), runs))
        return self._far.completed(handles, found)

    def find(self, run_id: str, run_dir: Path) -> Handle | None:
        folder = Folder(run_dir)
        job, cluster = folder.job(), folder.cluster()
        if job is None and cluster is not None and folder.is_answer_unknown:
            job = self._adopted(folder, cluster, patience_s=_FIND_WITHIN_S)
        return None if job is None else self._handle(run_id, job, run_dir)

    def logs(self, handle: Handle, position: LogPosition) -> LogStream:
        folder = Folder(handle.run_dir)
        return SharedLog(
            folder, position, lambda: self.inspect([handle])[handle.run_id], self._far.reader(folder)
        )

    def stop(self, handle: Handle, grace_s: float) -> None:
        """Asks the script to end its step, and cancels the job after ``grace_s``. Blocks until it has ended."""
        folder = Folder(handle.run_dir)
        cluster, job = folder.cluster(), folder.job()
        if cluster is None or job is None or folder.exit() is not None or folder.kept_end() is not None:
            return
        scheduler = self._scheduler(cluster.host)
        self._far.request_stop(cluster)
        folder.request_stop()  # a start that is about to begin ends by itself
        name = f"--name={job_name(cluster.run_id)}"  # its number may be another job's by now
        scheduler.cancel("--state=PENDING", name, job)
        scheduler.cancel("-b", "--signal=USR2", name, job)
        if self._has_ended(handle, grace_s):
            return
        scheduler.cancel(name, job)
        self._has_ended(handle, _KILL_PATIENCE_S)

    def remove(self, handle: Handle) -> None:
        self.stop(handle, 0)
        self._far.remove(Folder(handle.run_dir))
        Folder(handle.run_dir).remove()

    def command_line(self, request: SlurmRequest) -> str:
        """The line that submits the same job; the scripts lie in the run's folder."""
        line = shlex.join(sbatch_argv(request.job, f"{request.job.folder}/{BATCH_SCRIPT}"))
        return line if request.cluster.host is None else shlex.join(["ssh", request.cluster.host, line])

    def _scheduler(self, host: str | None) -> Scheduler:
        with self._lock:
            return self._schedulers.setdefault(host, Scheduler(host, self._environ))

    def _handle(self, run_id: str, job: str, run_dir: Path) -> Handle:
        return Handle(self.name, run_id, job, run_dir)

    def _submitted(self, request: SlurmRequest, folder: Folder, scheduler: Scheduler) -> str:
        try:
            done = scheduler.run(
                sbatch_argv(request.job), stdin=request.scripts[f"{folder.path.name}/{BATCH_SCRIPT}"]
            )
        except SilentError:
            raise
        except MachineError:
            folder.forget_submit()
            raise
        job = done.stdout.strip().splitlines()[-1].split(";")[0] if done.stdout.strip() else ""
        if done.succeeded and job.isascii() and job.isdecimal():
            folder.keep_job(job)
            return job
        if done.succeeded and (adopted := self._adopted(folder, request.cluster, patience_s=0)) is not None:
            return adopted  # something else answered in the place of sbatch
        folder.forget_submit()
        found = states.refusal(done.stderr or done.stdout, request.cluster.asked)
        raise EngineRefusedError(found.reason, hint=found.hint)

    def _adopted(self, folder: Folder, cluster: Cluster, *, patience_s: float) -> str | None:
        """The job of an earlier submit whose number never came back. Of two, the younger one is cancelled."""
        scheduler = self._scheduler(cluster.host)
        deadline = time.monotonic() + patience_s
        while True:
            named = [row for row in scheduler.jobs() if row.name == job_name(cluster.run_id)]
            rows = [row for row in named if not states.was_refused(row.state, row.nodes)]
            jobs = sorted({row.id for row in rows} - folder.earlier_jobs(), key=int)
            if jobs:
                for younger in jobs[1:]:
                    scheduler.cancel(younger)
                folder.keep_job(jobs[0])
                return jobs[0]
            if time.monotonic() >= deadline:
                return None
            time.sleep(min(2.0, patience_s))

    def _started(self, handle: Handle, folder: Folder, cluster: Cluster) -> Started:
        """Looks for a moment whether it starts, waits, or would wait for ever."""
        deadline = time.monotonic() + _LOOK_AFTER_SUBMIT_S
        while True:
            status = self.inspect([handle])[handle.run_id]
            if status.state is EngineState.EXITED and status.end is not None and not folder.starts()[0]:
                raise EngineRefusedError(status.end.reason, hint=status.end.hint)
            if status.state is not EngineState.WAITING or status.waiting not in states.UNDECIDED:
                break
            if time.monotonic() > deadline:
                break
            time.sleep(_PAUSE_S)
        waiting = status.waiting or states.QUEUED if status.state is EngineState.WAITING else None
        return Started(handle, waiting=waiting)

    def _has_ended(self, handle: Handle, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while True:
            state = self.inspect([handle])[handle.run_id].state
            if state in (EngineState.EXITED, EngineState.MISSING):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_S)

    def _ask(
        self, scheduler: Scheduler, runs: Sequence[tuple[Handle, Folder, Cluster]]
    ) -> dict[str, EngineStatus]:
        try:
            rows = {row.id: row for row in scheduler.jobs()}
            gone = [handle.id for handle, _, cluster in runs if not _is_ours(rows.get(handle.id), cluster)]
            ends = scheduler.ends(gone)
        except TaorunnerError as error:
            return {handle.run_id: _by_folder_alone(folder, error.message) for handle, folder, _ in runs}
        found = {}
        for handle, folder, cluster in runs:
            row, end = rows.get(handle.id), ends.get(handle.id)
            if row is not None and _is_ours(row, cluster):
                found[handle.run_id] = self._of_job(scheduler, handle, folder, cluster, row, end)
            elif end is not None and end.name == job_name(cluster.run_id):
                found[handle.run_id] = self._of_accounting(folder, cluster, end)
            else:
                found[handle.run_id] = _unknown(folder, cluster)
        return found

    def _of_job(
        self, scheduler: Scheduler, handle: Handle, folder: Folder, cluster: Cluster, row: JobRow, end: EndRow | None
    ) -> EngineStatus:  # fmt: skip
        state = states.state_of(row.state)
        written = folder.exit()
        first, last = folder.starts()
        if state is EngineState.EXITED:
            if end is None:
                with suppress(TaorunnerError):
                    end = scheduler.ends([handle.id]).get(handle.id)
            code = end.exit_code or (128 + end.signal if end.signal else 0) if end is not None else None
            ended = states.Ended(row.state, code or 0, None if end is None else end.by, row.nodes)
            return _exited(folder, folder.keep_end(_judged(folder, cluster, ended, code)))
        if written is not None:
            silent_s = (datetime.now(timezone.utc) - written[1]).total_seconds()
            if state is EngineState.RUNNING and silent_s < _COMPLETES_WITHIN_S:
                return EngineStatus(EngineState.RUNNING, started_at=first)
            return _exited(
                folder, folder.keep_end(KeptEnd(written[0], oom_killed=False, at=written[1], end=None))
            )
        if state is EngineState.WAITING:
            never = states.never_starts(row.reason, cluster.asked)
            if never is not None:
                scheduler.cancel(handle.id)
                kept = KeptEnd(None, oom_killed=False, at=datetime.now(timezone.utc), end=never)
                return _exited(folder, folder.keep_end(kept))
            if states.is_held_after_start(row.reason) and not _goes_on(last) and folder.begin_release():
                with suppress(TaorunnerError):
                    scheduler.run(
                        ["scontrol", "release", handle.id]
                    )  # its script starts no finished run again
            interrupted = None if last is None else _interruption(last.ended, was_requeued=last.was_requeued)
            text = states.waiting_text(row.reason, interrupted, cluster.asked, handle.id)
            return EngineStatus(EngineState.WAITING, waiting=text)
        if last is not None and last.ended is not None:
            interrupted = _interruption(last.ended, was_requeued=last.was_requeued)
            return EngineStatus(EngineState.RUNNING, started_at=first) if not last.was_requeued else (
                EngineStatus(EngineState.WAITING, waiting=interrupted)
            )  # fmt: skip
        return EngineStatus(EngineState.RUNNING, started_at=first)

    def _of_accounting(self, folder: Folder, cluster: Cluster, end: EndRow) -> EngineStatus:
        if states.state_of(end.state) is not EngineState.EXITED:
            return _unknown(folder, cluster)
        code = end.exit_code or (128 + end.signal if end.signal else 0)
        ended = states.Ended(end.state, code, end.by)
        return _exited(folder, folder.keep_end(_judged(folder, cluster, ended, code)))


def _is_ours(row: JobRow | None, cluster: Cluster) -> bool:
    """A scheduler that lost its memory gives a number to another job."""
    return row is not None and row.name == job_name(cluster.run_id)


def _goes_on(last: Start | None) -> bool:
    return last is not None and last.ended is None


def _judged(folder: Folder, cluster: Cluster, ended: states.Ended, code: int | None) -> KeptEnd:
    """What Slurm says of the end and what the run wrote, put together. The exit code that it wrote counts."""
    written = folder.exit()
    first, last = folder.starts()
    is_oom = ended.state == "OUT_OF_MEMORY" or states.tells_of_oom(folder.messages or "")
    at = written[1] if written is not None else datetime.now(timezone.utc)
    if folder.is_stop_requested:
        found = (
            None
            if written is not None or first is not None
            else EngineEnd("stopped before it started", was_stopped=True)
        )
        stopped_code = written[0] if written is not None else None
        return KeptEnd(stopped_code, oom_killed=is_oom, at=at, end=found)
    if written is not None and (
        ended.state not in ("TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL") or written[0] == 0
    ):
        own = states.oom_end(cluster.asked) if is_oom and written[0] else _own_end(last, cluster)
        if own is None and written[0] and not folder.has_output:
            own = states.silent_end(folder.messages or "", cluster.asked)
        return KeptEnd(written[0], oom_killed=is_oom, at=at, end=own)
    end = states.end_of(
        ended, cluster.asked, messages=folder.messages, was_started=first is not None,
        near_limit=last is not None and last.was_near_limit,
    )  # fmt: skip
    return KeptEnd(written[0] if written is not None else code, oom_killed=is_oom, at=at, end=end)


def _own_end(last: Start | None, cluster: Cluster) -> EngineEnd | None:
    """Why the script itself did not go on after the time limit."""
    if last is None:
        return None
    if last.without_checkpoint:
        return states.no_checkpoint_end()
    return states.limit_end(cluster.asked) if last.ended == "limit" and not last.was_requeued else None


def _interruption(ended: str | None, *, was_requeued: bool) -> str:
    if was_requeued or ended == "limit":
        return "TimeLimit"
    return "NodeFail" if ended is None else "Preempted"


def _exited(folder: Folder, kept: KeptEnd) -> EngineStatus:
    first, _ = folder.starts()
    return EngineStatus(
        EngineState.EXITED,
        exit_code=kept.exit_code,
        oom_killed=kept.oom_killed,
        started_at=first,
        finished_at=kept.at,
        end=kept.end,
    )


def _by_folder_alone(folder: Folder, why: str) -> EngineStatus:
    """While the scheduler does not answer, no state changes: the run goes on, or waits."""
    written = folder.exit()
    first, last = folder.starts()
    if written is not None:
        return EngineStatus(
            EngineState.EXITED, exit_code=written[0], started_at=first, finished_at=written[1]
        )
    if last is not None and last.ended is None:
        return EngineStatus(EngineState.RUNNING, started_at=first, silent=why)
    return EngineStatus(EngineState.WAITING, waiting=why)


def _unknown(folder: Folder, cluster: Cluster) -> EngineStatus:
    """Slurm does not know the job. It may have lost its memory while the job goes on, so its silence decides."""
    written = folder.exit()
    first, last = folder.starts()
    if written is not None:
        return _exited(
            folder, folder.keep_end(KeptEnd(written[0], oom_killed=False, at=written[1], end=None))
        )
    if folder.is_stop_requested:
        end = None if first is not None else EngineEnd("stopped before it started", was_stopped=True)
        now = datetime.now(timezone.utc)
        return _exited(folder, folder.keep_end(KeptEnd(None, oom_killed=False, at=now, end=end)))
    if folder.silent_for_s() > cluster.unknown_after_s:
        return EngineStatus(EngineState.MISSING)
    if last is not None and last.ended is None:
        return EngineStatus(EngineState.RUNNING, started_at=first)
    return EngineStatus(EngineState.WAITING, waiting="Slurm does not know it")


def create(environ: Mapping[str, str] | None = None) -> SlurmBackend:
    """What ``registry`` calls."""
    return SlurmBackend(environ)
