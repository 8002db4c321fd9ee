"""What a run's own folder says of it: the job, its starts and its end. Read first, and believed more than Slurm.

``run_dir/slurm`` holds what ``run_folder`` names; ``run.sbatch`` writes ``slurm.jsonl``, ``exit`` and ``console.log``.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from taorunner.atomic_files import flush_all
from taorunner.backends.far.run import FarRun
from taorunner.backends.run_folder import CLUSTER, JOB, RunFolder, all_fit, json_object
from taorunner.backends.run_folder import KeptEnd as KeptEnd
from taorunner.backends.run_folder import Start as Start
from taorunner.backends.slurm.script import (
    BATCH_SCRIPT,
    CONSOLE,
    EVENTS,
    EXIT,
    MESSAGES,
    NODE_SCRIPT,
    STOP,
    job_name,
)
from taorunner.backends.slurm.states import Asked
from taorunner.backends.slurm.target import is_host
from taorunner.state_files import append_state, read_some, read_state, write_new
from taorunner.text import printable
from taorunner.values.value import Value

FOLDER = "slurm"
_RELEASED = "released"
_EARLIER = "slurm.jobs"
"""Beside the folder: the ids of jobs of earlier attempts, which have the same name."""
_ARRAYS = "arrays"
"""Beside the folder of all runs: a folder for each array."""
_MESSAGE_BYTES = 16 * 1024
_KEPT = (BATCH_SCRIPT, NODE_SCRIPT, EXIT)
"""The end stays: a scheduler that starts the job again finds it."""


class Cluster(Value):
    """How a run's cluster is reached, and what the run asked of it. ``far`` where only the cluster sees its folder.

    ``array`` is the name of the array job in which the run is the task number ``task``.
    """

    host: str | None
    run_id: str
    unknown_after_s: int
    asked: Asked
    far: FarRun | None = None
    array: str | None = None
    task: int | None = None

    @property
    def job_name(self) -> str:
        return self.array or job_name(self.run_id)

    def has(self, job: str, name: str) -> bool:
        """Whether a job of Slurm's answer is that of the run. Its number alone may be that of another one by now."""
        task = "" if self.task is None else str(self.task)
        return name == self.job_name and job.partition("_")[2] == task


class Folder(RunFolder):
    """The files of one run."""

    folder, events_file, console_file, exit_file, stop_file = FOLDER, EVENTS, CONSOLE, EXIT, STOP
    messages_file = MESSAGES

    @property
    def last_output(self) -> str:
        """The end of what the run itself printed, in any of its starts."""
        return _end_of(self.console) or ""

    @property
    def messages(self) -> str | None:
        """The end of what Slurm and the container runtime said; None where Slurm could not write it."""
        return _end_of(self.path / MESSAGES)

    def write(self, scripts: Mapping[str, str], cluster: Cluster) -> None:
        (self.path / EXIT).unlink(missing_ok=True)  # of an earlier attempt
        for name, text in scripts.items():
            write_new(self.run_dir, name, text.encode(), mode=0o700)
        self.keep_cluster(cluster)

    def keep_cluster(self, cluster: Cluster) -> None:
        far = None if cluster.far is None else cluster.far.to_json()
        body = {**vars(cluster), "asked": vars(cluster.asked), "far": far}
        self._write(CLUSTER, json.dumps(body).encode())

    def cluster(self) -> Cluster | None:
        body = json_object(self.path / CLUSTER)
        if body is None:
            return None
        try:
            asked, far = Asked(**body["asked"]), body.get("far")
            known = None if far is None else FarRun.from_json(far)
            if known is not None and not known.is_below(self.run_dir):
                return None
            if not all_fit(asked) or not (body["host"] is None or is_host(body["host"])):
                return None
            array, task = body.get("array"), body.get("task")
            if not (array is None and task is None) and not (_is_array(array) and type(task) is int):
                return None
            run_id, unknown_after_s = str(body["run_id"]), int(body["unknown_after_s"])
            return Cluster(body["host"], run_id, unknown_after_s, asked, known, array, task)
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def job(self) -> str | None:
        body = json_object(self.path / JOB)
        job = None if body is None else body.get("id")
        return job if isinstance(job, str) and is_job(job) else None

    def submitted_s(self) -> float:
        with suppress(OSError):
            return (self.path / JOB).stat().st_mtime
        return 0.0

    def keep_job(self, job: str) -> None:
        """It is on disk on return."""
        keep_jobs([(self, job)])

    def write_job(self, job: str) -> Sequence[Path]:
        """As ``keep_job``, once the files and folders that it returns are flushed."""
        append_state(self.run_dir / _EARLIER, f"{job}\n".encode())
        return self._written(JOB, json.dumps({"id": job}).encode())

    def earlier_jobs(self) -> set[str]:
        with suppress(OSError):
            return set(read_state(self.run_dir / _EARLIER).decode().split())
        return set()

    def lead_messages(self, array: str, task: int) -> None:
        """What Slurm says of a task of an array shall be in the run's own folder."""
        link = _link(self.run_dir, array, task)
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(self.path / MESSAGES, link.parent))

    def forget_array(self) -> None:
        cluster = self.cluster()
        if cluster is None or cluster.array is None or cluster.task is None:
            return
        link = _link(self.run_dir, cluster.array, cluster.task)
        with suppress(OSError):
            link.unlink(missing_ok=True)
            link.parent.rmdir()  # the last task takes the folder with it

    def begin_release(self) -> bool:
        """True once: a job that Slurm holds after a failed start is released one time."""
        if (self.path / _RELEASED).exists():
            return False
        self._write(_RELEASED, b"")
        return True

    @property
    def has_begun(self) -> bool:
        """Whether the batch script, or a stop, has written anything."""
        return any((self.path / name).exists() for name in (EVENTS, EXIT, STOP, MESSAGES))

    def models_read(self) -> list[str]:
        """The models of its chain that the run has found, below its results, in the order of what it follows."""
        names = (str(event.get("event")).partition("reads:") for event in self._events())
        return [rest for before, mark, rest in names if mark and not before]

    def last_written_s(self) -> float:
        """When the run last wrote something, as seconds since the epoch."""
        times = [self.submitted_s()]
        for name in (CONSOLE, EVENTS):
            with suppress(OSError):
                times.append((self.path / name).stat().st_mtime)
        return max(times)

    def silent_for_s(self) -> float:
        return max(0.0, time.time() - self.last_written_s())

    def remove(self) -> None:
        """The scripts stay for those who want to read them; the log is in the run's own ``console.log``."""
        self.forget_array()
        with suppress(FileNotFoundError):
            for name in os.listdir(self.path):
                if name in _KEPT or name.startswith("console."):
                    continue
                with suppress(OSError):
                    (self.path / name).unlink()
            (self.path / CONSOLE).unlink(missing_ok=True)


def messages_of_array(folder: str, array: str) -> str:
    """The pattern of the files in which Slurm writes of the tasks of an array. ``folder`` is that of one of its runs,
    as the nodes see it."""
    return f"{Path(folder).parents[2]}/{_ARRAYS}/{array}/%a.out"


def _link(run_dir: Path, array: str, task: int) -> Path:
    return run_dir.parents[1] / _ARRAYS / array / f"{task}.out"


def keep_jobs(jobs: Sequence[tuple[Folder, str]]) -> None:
    """``keep_job`` of many, of which the disk writes several at once."""
    flush_all([path for folder, job in jobs for path in folder.write_job(job)])


def is_number(text: str) -> bool:
    """Whether it is the number of a job."""
    return text.isascii() and text.isdecimal() and len(text) < 20


def is_job(text: str) -> bool:
    """Whether it is a job, or a task of an array (``7_12``): it becomes a word of Slurm's commands."""
    job, mark, task = text.partition("_")
    return is_number(job) and (not mark or is_number(task))


def _is_array(name: object) -> bool:
    """Whether it may be the name of an array job of ours: it becomes a word of Slurm's commands."""
    return isinstance(name, str) and re.fullmatch(r"tr-[A-Za-z0-9_.+-]{1,200}", name) is not None


def _end_of(path: Path) -> str | None:
    """The last lines, without control characters."""
    try:
        at = max(0, path.stat().st_size - _MESSAGE_BYTES)
        text = read_some(path, None, at, _MESSAGE_BYTES).decode("utf-8", "replace")
        return "\n".join(map(printable, text.splitlines()))
    except OSError:
        return None
