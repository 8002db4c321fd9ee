"""Many equal runs as one array job: Slurm takes them with one command, and each task finds its run by its index.

Runs that are launched together are gathered. They are equal when Slurm is asked for the same: the
scripts themselves may differ. A cluster that refuses the array gets each run as a job of its own, and says then what is
wrong with it.

Slurm has one pattern for the files of all tasks in which it writes itself. It names a folder with a link for each task,
which leads to the run's own ``slurm.out``.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable, Hashable, Sequence

from taorunner.backends.run_folder import begin_submits
from taorunner.backends.shared_call import GatheredCall
from taorunner.backends.silence import SilentError
from taorunner.backends.slurm.folder import Folder, is_number, keep_jobs, messages_of_array
from taorunner.backends.slurm.request import SlurmRequest
from taorunner.backends.slurm.scheduler import Scheduler
from taorunner.backends.slurm.script import BATCH_SCRIPT, directive_lines, job_name, sbatch_line
from taorunner.errors import MachineError
from taorunner.host_commands import CommandResult
from taorunner.values.value import replace

FEWEST, MOST = 20, 500
"""Fewer runs are jobs of their own: their names tell more. A cluster takes about a thousand tasks at most."""

Answer = str | Exception | None
_OUTPUT = "--output="


class Arrays:
    """Thread-safe."""

    def __init__(self, scheduler: Callable[[str | None], Scheduler]) -> None:
        self._scheduler = scheduler
        self._gathered = GatheredCall[SlurmRequest, str | None](self._submit_all)

    def submit(self, request: SlurmRequest) -> str | None:
        """The task that the run has become; None for a run that needs a job of its own.

        Raises SilentError, MachineError: the array may have been taken, so the run is searched for.
        """
        if request.together < FEWEST or _shape(request) is None:
            return None
        return self._gathered(request, min(request.together, MOST))

    def _submit_all(self, asked: Sequence[SlurmRequest]) -> list[Answer]:
        alike: dict[Hashable, list[SlurmRequest]] = {}
        for request in asked:
            alike.setdefault(_shape(request), []).append(request)
        answers: dict[str, Answer] = {}
        for runs in alike.values():
            for at in range(0, len(runs), MOST):
                some = runs[at : at + MOST]
                if len(some) >= FEWEST:
                    answers.update(self._submit(some))
        return [answers.get(request.run_id) for request in asked]

    def _submit(self, runs: Sequence[SlurmRequest]) -> dict[str, Answer]:
        name = f"{job_name(runs[0].run_id)}+{len(runs) - 1}-{secrets.token_hex(3)}"
        folders = [Folder(request.run_dir) for request in runs]
        for task, (request, folder) in enumerate(zip(runs, folders, strict=True)):
            folder.keep_cluster(replace(request.cluster, array=name, task=task))
        line = sbatch_line((_output(runs[0], folders, name), *_own_arguments(runs[0])))
        begin_submits(folders)
        try:
            done = self._scheduler(runs[0].cluster.host).run(line, stdin=array_script(runs, name))
        except SilentError as error:
            return {request.run_id: error for request in runs}
        except MachineError:
            done = None
        job = None if done is None else submitted_job(done)
        if job is None and done is not None and done.succeeded:
            unclear = MachineError(f"sbatch gave no number: {done.last_words}")
            return {request.run_id: unclear for request in runs}
        if job is not None:
            keep_jobs([(folder, f"{job}_{task}") for task, folder in enumerate(folders)])
            return {one.run_id: f"{job}_{task}" for task, one in enumerate(runs)}
        for request, folder in zip(runs, folders, strict=True):
            folder.forget_submit()
            folder.forget_array()
            folder.keep_cluster(request.cluster)
        return {}


def array_script(runs: Sequence[SlurmRequest], name: str) -> str:
    """The script of an array: task number N runs the script of the run number N."""
    first = runs[0].job
    folders = "\n".join(shlex.quote(request.job.folder) for request in runs)
    what = f"{first.run_id}+{len(runs) - 1}"
    return _ARRAY.format(
        directives=directive_lines(first, name, what),
        last=len(runs) - 1,
        folders=folders,
        script=BATCH_SCRIPT,
    )


def submitted_job(done: CommandResult) -> str | None:
    """The number of the job that sbatch has made."""
    lines = done.stdout.strip().splitlines()
    job = lines[-1].split(";")[0] if lines else ""
    return job if done.succeeded and is_number(job) else None


def _shape(request: SlurmRequest) -> Hashable | None:
    """Equal for runs that can be tasks of one array. None for a run of a chain, and for one whose folder only the
    cluster sees: each is carried there by itself."""
    job = request.job
    if job.follows is not None or request.delivery is not None:
        return None
    asked = (request.cluster.host, job.nodes, bool(job.requeues), job.directives)
    return (*asked, _own_arguments(request))


def _own_arguments(request: SlurmRequest) -> tuple[str, ...]:
    """Without the file for what Slurm itself says."""
    return tuple(word for word in request.job.arguments if not word.startswith(_OUTPUT))


def _output(first: SlurmRequest, folders: Sequence[Folder], name: str) -> str:
    """Where Slurm writes of all tasks. Nowhere, where it could not even for a single run, or there can be no links."""
    nowhere = f"{_OUTPUT}/dev/null"
    if nowhere in first.job.arguments:
        return nowhere
    try:
        for task, folder in enumerate(folders):
            folder.lead_messages(name, task)
    except OSError:
        return nowhere
    return f"{_OUTPUT}{messages_of_array(first.job.folder, name)}"


_ARRAY = """#!/bin/bash
{directives}
#SBATCH --array=0-{last}
# Written by taorunner. Each task is a run, and goes on as the script of that run.
runs=(
{folders}
)
exec /bin/bash "${{runs[SLURM_ARRAY_TASK_ID]}}/{script}"
"""
