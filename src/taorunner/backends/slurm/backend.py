"""The slurm backend: a run is one job of a cluster, found by its name, and judged by what it wrote into its folder.

See ``folder`` for what is believed first, ``script`` for what runs, ``states`` for what Slurm's words mean.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.backends.contract import (
    EngineState,
    EngineStatus,
    Handle,
    Launch,
    LogPosition,
    LogStream,
    Report,
    Started,
)
from taorunner.backends.far.backend import FarBackend
from taorunner.backends.far.side import Place
from taorunner.backends.scheduled_backend import KILL_PATIENCE_S
from taorunner.backends.shared_log import SharedLog
from taorunner.backends.silence import SilentError
from taorunner.backends.slurm import states
from taorunner.backends.slurm.arrays import Arrays, submitted_job
from taorunner.backends.slurm.folder import Cluster, Folder, is_job
from taorunner.backends.slurm.images import ensure_image
from taorunner.backends.slurm.request import SlurmRequest, slurm_request
from taorunner.backends.slurm.scheduler import SILENT_PAUSE_S, Scheduler
from taorunner.backends.slurm.script import BATCH_SCRIPT, sbatch_argv
from taorunner.backends.slurm.shell import shell_command
from taorunner.backends.slurm.standing import Standings
from taorunner.errors import EngineRefusedError, Finding, MachineError, Severity, TaorunnerError
from taorunner.planning.model.plan import RunPlan

if TYPE_CHECKING:
    from taorunner.project.clusters.cluster_file import Cluster as ClusterEntry
    from taorunner.project.workspace import Workspace

_ANSWER_WITHIN_S = 60.0
"""How long a job is searched for whose number never came back."""
_FIND_WITHIN_S = 3.0
_STEP_BEGINS_IN_S = 3


class SlurmBackend(FarBackend[Scheduler]):
    """See ``contract`` for the rules."""

    name = "slurm"
    undecided = states.UNDECIDED
    pause_s = 0.1

    def __init__(
        self, environ: Mapping[str, str] | None = None, *, silent_pause_s: float = SILENT_PAUSE_S
    ) -> None:
        """``silent_pause_s`` is how long a scheduler that did not answer is left alone."""
        self._environ = os.environ if environ is None else environ
        super().__init__(lambda host: Scheduler(host, self._environ, silent_pause_s), _far_place)
        self._standings = Standings(self._host, self._far.refresh)
        self._arrays = Arrays(self._host)

    def check(self) -> list[Finding]:
        """Whether this machine has Slurm's commands. A cluster behind ssh is checked by ``prepare``."""
        try:
            done = self._host(None).run(["sinfo", "-h", "-o", "%P %a %l %G"])
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
            scheduler = self._host(plan.backend_options.get("host"))
            ensure_image(scheduler, plan.backend_options, plan.image, report)
        return None

    def request(self, plan: RunPlan, launch: Launch) -> SlurmRequest:
        return slurm_request(plan, launch, self.name)

    def submit(self, request: SlurmRequest) -> Started:
        folder, cluster = Folder(request.run_dir), request.cluster
        scheduler = self._host(cluster.host)
        job = folder.job()
        if job is None and request.awaits_models:
            raise EngineRefusedError("the models of its chain are not known, and it follows no run")
        if job is None and folder.is_answer_unknown:
            job = self._adopted(folder, folder.cluster() or cluster, patience_s=_ANSWER_WITHIN_S)
        if job is None:
            folder.write(request.scripts, cluster)
            with self._delivered(request, folder):
                job = self._arrays.submit(request)
                if job is None:
                    folder.begin_submit()
                    job = self._submitted(request, folder, scheduler)
        handle = self._handle(request.run_id, job, request.run_dir)
        return self._started(handle, may_end=cluster.asked.after is not None)

    def inspect(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]:
        return self._far.completed(handles, self._standings.of(handles))

    def find(self, run_id: str, run_dir: Path) -> Handle | None:
        folder = Folder(run_dir)
        job, cluster = folder.job(), folder.cluster()
        if job is None and cluster is not None and folder.is_answer_unknown:
            job = self._adopted(folder, cluster, patience_s=_FIND_WITHIN_S)
        return None if job is None else self._handle(run_id, job, run_dir)

    def models_read(self, handle: Handle) -> Sequence[str]:
        return Folder(handle.run_dir).models_read()

    def logs(self, handle: Handle, position: LogPosition) -> LogStream:
        folder = Folder(handle.run_dir)
        return SharedLog(folder, position, lambda: self._status(handle), self._far.reader(handle.run_dir))

    def stop(self, handle: Handle, grace_s: float) -> None:
        """Asks the script to end its step, and cancels the job after ``grace_s``. Blocks until it has ended."""
        folder = Folder(handle.run_dir)
        cluster, job = folder.cluster(), folder.job()
        if cluster is None or job is None or folder.exit() is not None or folder.kept_end() is not None:
            return
        scheduler = self._host(cluster.host)
        self._far.request_stop(handle.run_dir)
        folder.request_stop()  # a start that is about to begin ends by itself
        _end(scheduler, cluster, job, softly=True)
        if self._has_ended(handle, grace_s):
            return
        _end(scheduler, cluster, job, softly=False)
        self._has_ended(handle, KILL_PATIENCE_S)

    def remove(self, handle: Handle) -> None:
        self.stop(handle, 0)
        self._far.remove(handle.run_dir)
        Folder(handle.run_dir).remove()
        self._standings.forget(handle.run_id)

    def check_cluster(self, cluster: ClusterEntry, workspace: Workspace | None) -> Iterator[Finding]:
        from taorunner.backends.slurm.site.cluster_check import check_cluster

        return check_cluster(cluster, workspace, self._environ)

    def never_starting(self, plans: Sequence[RunPlan]) -> list[Finding]:
        from taorunner.backends.slurm.site.cluster_check import never_starting

        return never_starting(plans, self._environ)

    def command_line(self, request: SlurmRequest) -> str:
        """The line that submits the same job; the scripts lie in the run's folder."""
        line = shlex.join(sbatch_argv(request.job, f"{request.job.folder}/{BATCH_SCRIPT}"))
        return line if request.cluster.host is None else shlex.join(["ssh", request.cluster.host, line])

    def shell_command(self, plan: RunPlan, launch: Launch, *, tty: bool) -> list[str]:
        """What opens a shell on a node, from this machine."""
        return shell_command(plan, launch, tty=tty)

    def _handle(self, run_id: str, job: str, run_dir: Path) -> Handle:
        return Handle(self.name, run_id, job, run_dir)

    def _delivered(self, request: SlurmRequest, folder: Folder) -> AbstractContextManager[None]:
        host = request.cluster.host
        if request.delivery is not None:
            return self._far.delivered(host, folder, request.scripts, request.delivery)
        _refuse_unseen(request, self._host(host))
        return nullcontext()

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
        job = submitted_job(done)
        if job is not None:
            folder.keep_job(job)
            return job
        if done.succeeded and (adopted := self._adopted(folder, request.cluster, patience_s=0)) is not None:
            return adopted  # something else answered in the place of sbatch
        folder.forget_submit()
        found = states.refusal(done.stderr or done.stdout, request.cluster.asked)
        raise EngineRefusedError(found.reason, hint=found.hint)

    def _adopted(self, folder: Folder, cluster: Cluster, *, patience_s: float) -> str | None:
        """The job of an earlier submit whose number never came back. Of two, the younger one is cancelled."""
        scheduler = self._host(cluster.host)
        deadline = time.monotonic() + patience_s
        while True:
            named = [row for row in scheduler.jobs() if cluster.has(row.id, row.name) and is_job(row.id)]
            rows = [row for row in named if not states.was_refused(row.state, row.nodes)]
            jobs = sorted({row.id for row in rows} - folder.earlier_jobs(), key=_by_number)
            if jobs:
                for younger in jobs[1:]:
                    scheduler.cancel(younger)
                folder.keep_job(jobs[0])
                return jobs[0]
            if time.monotonic() >= deadline:
                return None
            time.sleep(min(2.0, patience_s))


def _end(scheduler: Scheduler, cluster: Cluster, job: str, *, softly: bool) -> None:
    """Cancels the run's job by name, as its number may belong to another job. ``softly``: signals its script."""
    if cluster.task is None:
        name = f"--name={cluster.job_name}"
        if softly:
            scheduler.cancel("--state=PENDING", name, job)
        scheduler.cancel(*(("-b", "--signal=USR2") if softly else ()), name, job)
        return
    # no filter: the tasks that wait are one job for it, which scancel would end whole (measured on Slurm 22.05)
    row = next((row for row in scheduler.jobs() if row.id == job and cluster.has(row.id, row.name)), None)
    if row is None:
        return
    if not softly or states.state_of(row.state) is EngineState.WAITING:
        scheduler.cancel(job)
        return
    for _ in range(_STEP_BEGINS_IN_S):
        if scheduler.end_step(job):
            return  # the script sees then that the run was to stop
        time.sleep(1)


def _by_number(job: str) -> int:
    return int(job.partition("_")[0])


def _far_place(run_dir: Path) -> Place | None:
    folder = Folder(run_dir)
    cluster = folder.cluster()
    return None if cluster is None or cluster.far is None else Place(folder, cluster.host, cluster.far)


def _refuse_unseen(request: SlurmRequest, scheduler: Scheduler) -> None:
    """Where the login host lacks the run's folder, a job would start in vain, and nothing of it would be seen here."""
    script = f"{request.job.folder}/{BATCH_SCRIPT}"
    if scheduler.host is None or scheduler.run(["test", "-e", script]).code != 1:
        return
    raise EngineRefusedError(
        f'"{scheduler.host}" does not see this workspace: there is no "{script}"',
        hint="workspace: its path there; and shared: false, where this machine does not see that disk",
    )


def create(environ: Mapping[str, str] | None = None) -> SlurmBackend:
    """What ``registry`` calls."""
    return SlurmBackend(environ)
