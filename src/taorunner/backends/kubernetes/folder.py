"""What a run's own folder says of its Job: how the cluster is reached, the Job, its starts and its end.

``run_dir/kubernetes`` holds what ``run_folder`` names. The pod sees its folder ``pod`` alone, and writes its log, its
starts and its exit code there.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from taorunner.backends.kubernetes.entry import CONSOLE, EVENTS, EXIT, STOP, TOKEN
from taorunner.backends.run_folder import CLUSTER, END, JOB, SUBMITTING, RunFolder, all_fit, json_object
from taorunner.contained_files import opened_folder, remove_tree
from taorunner.state_files import Trust, write_new
from taorunner.values.value import Value

FOLDER, POD, MANIFEST = "kubernetes", "pod", "job.yaml"
_NAME = re.compile(r"tr-[a-z0-9-]{1,60}")


class Cluster(Value):
    """How a run's cluster is reached, and what its sentences name. ``context`` and ``namespace`` are None for
    kubectl's own. ``owner`` is the user of the pod, where that is another one."""

    context: str | None
    namespace: str | None
    run_id: str
    unknown_after_s: int
    claim: str
    image: str
    gpus: int
    queue: str | None = None
    memory: str | None = None
    time: str | None = None
    owner: int | None = None


class KnownJob(Value):
    """The Job that was made, and where: kubectl's own context may be another one later."""

    name: str
    uid: str
    context: str | None
    namespace: str


class Folder(RunFolder):
    """The files of one run."""

    folder, written = FOLDER, POD
    events_file, console_file, exit_file, stop_file = EVENTS, CONSOLE, EXIT, STOP

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir)
        cluster = self.cluster()
        if cluster is not None and cluster.owner is not None:
            self.trust = Trust(Trust.of_caller().owners | {cluster.owner})

    def write(self, scripts: Mapping[str, str], cluster: Cluster, owner: tuple[int, int] | None) -> None:
        """``owner`` gets what the pod writes in."""
        for path in (self.inner / EXIT, self.inner / STOP, self.path / STOP):
            path.unlink(missing_ok=True)  # of an earlier attempt
        for name, text in scripts.items():
            write_new(self.run_dir, name, text.encode(), mode=0o600)
        write_new(
            self.run_dir, f"{FOLDER}/{POD}/{TOKEN}", cluster.run_id.encode(), mode=0o600, folder_mode=0o700, owner=owner
        )  # fmt: skip
        self._write(CLUSTER, json.dumps(vars(cluster)).encode())

    def cluster(self) -> Cluster | None:
        body = json_object(self.path / CLUSTER)
        try:
            found = None if body is None else Cluster(**body)
        except TypeError:
            return None
        return found if found is not None and all_fit(found) else None

    def keep_job(self, job: KnownJob) -> None:
        self._write(JOB, json.dumps(vars(job)).encode())

    def job(self) -> KnownJob | None:
        body = json_object(self.path / JOB)
        try:
            found = None if body is None else KnownJob(**body)
        except TypeError:
            return None
        is_sound = found is not None and all_fit(found) and _NAME.fullmatch(found.name) is not None
        return found if is_sound else None

    def silent_for_s(self) -> float:
        """For how long the run has written nothing."""
        times = [0.0]
        for path in (self.path / JOB, self.console, self.inner / EVENTS):
            with suppress(OSError):
                times.append(path.stat().st_mtime)
        return max(0.0, time.time() - max(times))

    def remove(self) -> None:
        """The manifest stays for those who want to read it; the log is in the run's own ``console.log``."""
        with suppress(OSError), opened_folder(self.path, self.path) as own:
            remove_tree(self.inner.name, own)
        for name in (CLUSTER, SUBMITTING, JOB, END, STOP):
            with suppress(OSError):
                (self.path / name).unlink()
