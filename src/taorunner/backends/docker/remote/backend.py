"""Docker on another host, over ssh: a run is a container there, kept by a process of that host.

See ``far.keeper`` for what runs there and who gives out the GPUs, ``folder`` for what is believed.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

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
from taorunner.backends.docker.present_image import present_image
from taorunner.backends.docker.remote.folder import FOLDER, STARTS, Folder
from taorunner.backends.docker.remote.folder import Place as RunPlace
from taorunner.backends.docker.remote.host import SILENT_PAUSE_S, RemoteHost
from taorunner.backends.docker.remote.request import RemoteRequest, command_line, remote_request
from taorunner.backends.docker.remote.shell_line import shell_line
from taorunner.backends.docker.request import image_of
from taorunner.backends.far.backend import FarBackend
from taorunner.backends.far.side import Place
from taorunner.backends.run_folder import KeptEnd
from taorunner.backends.scheduled_backend import KILL_PATIENCE_S
from taorunner.backends.shared_log import SharedLog
from taorunner.backends.silence import SilentError
from taorunner.errors import Finding, MachineError, Severity, TaorunnerError
from taorunner.planning.model.plan import RunPlan

if TYPE_CHECKING:
    from taorunner.project.clusters.cluster_file import Cluster as ClusterEntry
    from taorunner.project.workspace import Workspace

_TEND_EVERY_S = 60.0
"""How often the host is asked whether the keepers of its runs are alive."""
_TEND = r"""for one; do
    [ ! -f "$one/__main__.py" ] || { python3 "$one" tend "$@"; exit; }
done
printf '%s\0' "$@" """


class DockerSshBackend(FarBackend[RemoteHost]):
    """See ``contract`` for the rules."""

    name = "docker-ssh"
    undecided = (STARTS,)
    pause_s = 0.2

    def __init__(
        self, environ: Mapping[str, str] | None = None, *, silent_pause_s: float = SILENT_PAUSE_S
    ) -> None:
        self._environ = os.environ if environ is None else environ
        super().__init__(lambda host: RemoteHost(host or "", self._environ, silent_pause_s), _far_place)
        self._digests: dict[tuple[str, str], str | None] = {}
        self._tended_s: dict[str, float] = {}

    def check(self) -> list[Finding]:
        """Whether this machine has ssh. Each host is checked by ``clusters check``."""
        if shutil.which("ssh", path=self._environ.get("PATH")) is None:
            return [
                Finding(Severity.ERROR, "ssh", "there is no ssh on this machine", "install openssh-client")
            ]
        return [Finding(Severity.OK, "ssh", "ssh is here")]

    def prepare(self, plan: RunPlan, report: Report) -> str | None:
        """The engine there pulls the image, with the logins of this machine."""
        from taorunner.engine.client import connect

        host, reference = str(plan.backend_options.get("host")), image_of(plan)
        engine = connect({**self._environ, "DOCKER_HOST": _docker_host(host)}, self._host(host).login.kept())
        try:
            digest = present_image(engine, reference, report)
        finally:
            engine.api.close()
        self._digests[host, reference] = digest
        return digest

    def request(self, plan: RunPlan, launch: Launch) -> RemoteRequest:
        return remote_request(plan, launch, self.name)

    def submit(self, request: RemoteRequest) -> Started:
        """Starting a keeper twice changes nothing, so an answer that never came back does no harm."""
        folder, place = Folder(request.run_dir), request.place
        if folder.job() is None and self.find(request.run_id, request.run_dir) is None:
            folder.write(request.scripts, place)
            with self._far.delivered(place.host, folder, request.scripts, request.delivery):
                folder.begin_submit()
                try:
                    self._keeper(place, "start")
                except SilentError:
                    raise
                except MachineError:
                    folder.forget_submit()
                    raise
            folder.keep_job(request.name)
        handle = Handle(self.name, request.run_id, request.name, request.run_dir)
        started = self._started(handle)
        return Started(handle, self._digests.get((place.host, place.image)), started.waiting, started.where)

    def inspect(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]:
        """While a host cannot be reached, its runs go on as far as it is known."""
        found: dict[str, EngineStatus] = {}
        asked: dict[str, list[tuple[Handle, Folder, RunPlace]]] = {}
        for handle in handles:
            folder = Folder(handle.run_dir)
            place = folder.place()
            if place is None:
                found[handle.run_id] = EngineStatus(EngineState.MISSING)
            elif folder.kept_end() is not None:
                found[handle.run_id] = folder.status(place)
            else:
                asked.setdefault(place.host, []).append((handle, folder, place))
        for host, runs in asked.items():
            silent: str | None = None
            try:
                self._tend(host, [(folder, place) for _, folder, place in runs])
                self._far.refresh([handle.run_dir for handle, _, _ in runs])
            except TaorunnerError as error:
                silent = error.message
            for handle, folder, place in runs:
                found[handle.run_id] = _status(folder, place, silent)
        return self._far.completed(handles, found)

    def find(self, run_id: str, run_dir: Path) -> Handle | None:
        folder = Folder(run_dir)
        place, name = folder.place(), folder.job()
        if place is not None and name is None and folder.is_answer_unknown:
            there = self._host(place.host).run(["test", "-e", f"{place.there}/{FOLDER}/keeper.lock"])
            if there.succeeded:
                name = f"taorunner-{run_id}"
                folder.keep_job(name)
        return None if place is None or name is None else Handle(self.name, run_id, name, run_dir)

    def logs(self, handle: Handle, position: LogPosition) -> LogStream:
        folder = Folder(handle.run_dir)
        return SharedLog(
            folder, position, lambda: self._status(handle), self._far.reader(handle.run_dir), "host"
        )

    def stop(self, handle: Handle, grace_s: float) -> None:
        """Ends the container, or the waiting for GPUs. Blocks until it has ended."""
        folder = Folder(handle.run_dir)
        place = folder.place()
        if place is None or folder.kept_end() is not None:
            return
        self._keeper(place, "stop", f"{grace_s:.0f}", timeout_s=grace_s + KILL_PATIENCE_S)
        self._has_ended(handle, KILL_PATIENCE_S)

    def remove(self, handle: Handle) -> None:
        folder = Folder(handle.run_dir)
        place = folder.place()
        if place is not None:
            self._keeper(place, "remove", timeout_s=2 * KILL_PATIENCE_S)
            self._far.remove(handle.run_dir)
        folder.remove()

    def check_cluster(self, cluster: ClusterEntry, workspace: Workspace | None) -> Iterator[Finding]:
        from taorunner.backends.docker.remote.site_check import check_host

        there = None if workspace is None else str(cluster.settings.get("workspace") or workspace.root)
        return check_host(cluster, there, self._environ)

    def command_line(self, request: RemoteRequest) -> str:
        return command_line(request)

    def shell_command(self, plan: RunPlan, launch: Launch, *, tty: bool) -> list[str]:
        """What opens a shell there, from this machine."""
        return shell_line(plan, launch, tty=tty)

    def _keeper(self, place: RunPlace, word: str, *words: str, timeout_s: float = 60.0) -> None:
        folder = f"{place.there}/{FOLDER}"
        self._host(place.host).keeper(folder, word, folder, *words, timeout_s=timeout_s)

    def _tend(self, host: str, runs: Sequence[tuple[Folder, RunPlace]]) -> None:
        """Keepers that were killed are started again, and runs whose folder there is gone have ended."""
        if time.monotonic() - self._tended_s.get(host, -_TEND_EVERY_S) < _TEND_EVERY_S:
            return
        by_folder = {f"{place.there}/{FOLDER}": (folder, place) for folder, place in runs}
        folders = list(by_folder)
        remote = self._host(host)
        done = remote.reach(lambda: remote.run(["sh", "-c", _TEND, "sh", *folders]))
        self._tended_s[host] = time.monotonic()
        for folder in done.stdout.split("\0"):
            if folder in by_folder:
                run, place = by_folder[folder]
                text = f'its folder was removed on "{place.host}"'
                run.ended(KeptEnd(None, False, datetime.now(timezone.utc), EngineEnd(text)))


def _status(folder: Folder, place: RunPlace, silent: str | None) -> EngineStatus:
    known = folder.status(place)
    if silent is None or known.state is EngineState.EXITED:
        return known
    if known.state is EngineState.WAITING:
        return EngineStatus(EngineState.WAITING, waiting=silent)
    return EngineStatus(EngineState.RUNNING, started_at=known.started_at, where=known.where, silent=silent)


def _far_place(run_dir: Path) -> Place | None:
    folder = Folder(run_dir)
    place = folder.place()
    return None if place is None or place.far is None else Place(folder, place.host, place.far)


def _docker_host(host: str) -> str:
    return host if host.startswith("ssh://") else f"ssh://{host}"


def create(environ: Mapping[str, str] | None = None) -> DockerSshBackend:
    """What ``registry`` calls."""
    return DockerSshBackend(environ)
