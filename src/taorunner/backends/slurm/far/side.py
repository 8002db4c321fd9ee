"""What the backend does for runs whose workspace only their cluster sees; for all other runs it does nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from taorunner.backends.contract import EngineState, EngineStatus, Handle
from taorunner.backends.slurm.far.run import FarRun
from taorunner.backends.slurm.far.runs import FarRuns
from taorunner.backends.slurm.folder import Cluster, Folder
from taorunner.backends.slurm.request import SlurmRequest
from taorunner.backends.slurm.scheduler import Scheduler
from taorunner.backends.slurm.script import BATCH_SCRIPT
from taorunner.errors import EngineRefusedError, TaorunnerError


class FarSide:
    """All login hosts of a backend. ``scheduler`` gives that of a host. Thread-safe."""

    def __init__(self, scheduler: Callable[[str | None], Scheduler]) -> None:
        self._scheduler = scheduler
        self._hosts: dict[str | None, FarRuns] = {}
        self._lock = threading.Lock()

    def refresh(self, runs: Sequence[tuple[Folder, Cluster]]) -> None:
        """Brings what far runs have written into their folders here, one call for each host.

        Raises SilentError, MachineError where it cannot be read now.
        """
        by_host: dict[str | None, list[tuple[Folder, FarRun]]] = {}
        for folder, cluster in runs:
            if cluster.far is not None:
                by_host.setdefault(cluster.host, []).append((folder, cluster.far))
        for host, known in by_host.items():
            self.runs(host).refresh_all(known)

    def completed(
        self, handles: Sequence[Handle], found: Mapping[str, EngineStatus]
    ) -> dict[str, EngineStatus]:
        """The same states; a far run has ended once all that it left was read."""
        states = dict(found)
        for handle in handles:
            status = states.get(handle.run_id)
            if status is None or status.state is not EngineState.EXITED:
                continue
            folder = Folder(handle.run_dir)
            cluster = folder.cluster()
            if cluster is None or cluster.far is None:
                continue
            try:
                self.runs(cluster.host).finish(folder, cluster.far)
            except TaorunnerError as error:
                states[handle.run_id] = EngineStatus(
                    EngineState.RUNNING, started_at=status.started_at, silent=error.message
                )
        return states

    def reader(self, folder: Folder) -> Callable[[], None] | None:
        """What brings the newest output of a far run here; None for a run whose folder is seen here."""
        cluster = folder.cluster()
        if cluster is None or cluster.far is None:
            return None
        runs, far = self.runs(cluster.host), cluster.far

        def read() -> None:
            if folder.kept_end() is not None:  # then what is here is not yet all of it
                runs.finish(folder, far)
            elif folder.cluster() is not None:
                runs.refresh(folder, far)

        return read

    @contextmanager
    def delivered(self, request: SlurmRequest, folder: Folder) -> Iterator[None]:
        """The inputs are on the far side. Earlier results that were moved there are moved back when Slurm refuses.

        Raises:
            EngineRefusedError: the login host does not see this workspace, something is missing there, or in the way.
        """
        cluster = request.cluster
        if request.delivery is None:
            _refuse_unseen(request, self._scheduler(cluster.host))
            yield
            return
        runs = self.runs(cluster.host)
        moves = runs.deliver(folder, request.scripts, request.delivery)
        try:
            yield
        except EngineRefusedError:
            with suppress(TaorunnerError):
                runs.put_back(moves)
            raise

    def request_stop(self, cluster: Cluster) -> None:
        if cluster.far is not None:
            self.runs(cluster.host).request_stop(cluster.far)

    def remove(self, folder: Folder) -> None:
        cluster = folder.cluster()
        if cluster is not None and cluster.far is not None:
            self.runs(cluster.host).remove(folder, cluster.far)

    def runs(self, host: str | None) -> FarRuns:
        scheduler = self._scheduler(host)
        with self._lock:
            return self._hosts.setdefault(host, FarRuns(scheduler))


def _refuse_unseen(request: SlurmRequest, scheduler: Scheduler) -> None:
    """Where the login host lacks the run's folder, a job would start in vain, and nothing of it would be seen here."""
    script = f"{request.job.folder}/{BATCH_SCRIPT}"
    if scheduler.host is None or scheduler.run(["test", "-e", script]).code != 1:
        return
    raise EngineRefusedError(
        f'"{scheduler.host}" does not see this workspace: there is no "{script}"',
        hint="workspace: its path there; and shared: false, where this machine does not see that disk",
    )
