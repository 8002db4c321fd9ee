"""The kubernetes backend: a run is one Job, found by its name, and judged by its pod and by what it wrote into its
folder on the claim.

See ``folder`` for what is on disk, ``entry`` for what runs, ``reasons`` for what the words of Kubernetes mean.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from taorunner.backends.kubernetes import manifest, reasons, shell
from taorunner.backends.kubernetes.folder import Cluster, Folder, KnownJob
from taorunner.backends.kubernetes.judging import Seen, by_folder_alone, judged, of_missing
from taorunner.backends.kubernetes.kubectl import Kubectl, Refusal
from taorunner.backends.kubernetes.objects import Event, read_job
from taorunner.backends.kubernetes.request import KubernetesRequest, kubectl_line, kubernetes_request
from taorunner.backends.scheduled_backend import KILL_PATIENCE_S, ScheduledBackend, resources_of
from taorunner.backends.secrets import INPUT_DIR, SECRETS_DIR
from taorunner.backends.shared_log import SharedLog
from taorunner.backends.silence import SilentError
from taorunner.errors import EngineRefusedError, Finding, MachineError, Severity, TaorunnerError
from taorunner.planning.model.plan import RunPlan
from taorunner.state_files import Trust, read_state

if TYPE_CHECKING:
    from taorunner.project.clusters.cluster_file import Cluster as ClusterEntry
    from taorunner.project.workspace import Workspace

_ANSWER_WITHIN_S = 60.0
"""How long a Job of the same name may take to go."""


class KubernetesBackend(ScheduledBackend):
    """See ``contract`` for the rules."""

    name = "kubernetes"
    undecided = reasons.UNDECIDED
    pause_s = 0.2

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._environ = environ
        self._clients: dict[tuple[str | None, str | None], Kubectl] = {}
        self._lock = threading.Lock()

    def check(self) -> list[Finding]:
        """Whether this machine has kubectl and a context. Each cluster is checked by ``clusters check``."""
        try:
            place = self._client(None, None).place()
        except TaorunnerError as error:
            text = f"{error.message}; a cluster with its own context may still be used"
            return [Finding(Severity.WARNING, "kubectl", text, error.hint)]
        return [
            Finding(Severity.OK, "kubectl", f'kubectl is here, with the context "{place.context or "none"}"')
        ]

    def prepare(self, plan: RunPlan, report: Report) -> str | None:
        """The nodes pull the image."""
        return None

    def request(self, plan: RunPlan, launch: Launch) -> KubernetesRequest:
        return kubernetes_request(plan, launch, self.name)

    def submit(self, request: KubernetesRequest) -> Started:
        folder = Folder(request.run_dir)
        job = folder.job()
        if job is None:
            client = self._client(request.cluster.context, request.cluster.namespace)
            job = self._known(client, folder, request.run_id) if folder.is_answer_unknown else None
            if job is None:
                owner = None if request.cluster.owner is None else request.job.user
                folder.write(request.scripts, request.cluster, owner)
                folder = Folder(request.run_dir)
                folder.begin_submit()
                job = self._submitted(client, folder, request)
        return self._started(self._handle(request.run_id, job, request.run_dir))

    def inspect(self, handles: Sequence[Handle]) -> dict[str, EngineStatus]:
        """While the server does not answer, the folders say what is known, and waiting runs say why."""
        found: dict[str, EngineStatus] = {}
        asked: dict[tuple[str | None, str], list[tuple[Handle, Folder, Cluster, KnownJob]]] = {}
        for handle in handles:
            folder = Folder(handle.run_dir)
            cluster, job = folder.cluster(), folder.job()
            if cluster is None or job is None:
                found[handle.run_id] = EngineStatus(EngineState.MISSING)
            elif (end := folder.kept_end()) is not None:
                found[handle.run_id] = folder.exited(end)
            else:
                asked.setdefault((job.context, job.namespace), []).append((handle, folder, cluster, job))
        for (context, namespace), runs in asked.items():
            found.update(self._ask(self._client(context, namespace), runs))
        return found

    def find(self, run_id: str, run_dir: Path) -> Handle | None:
        folder = Folder(run_dir)
        job, cluster = folder.job(), folder.cluster()
        if job is None and cluster is not None and folder.is_answer_unknown:
            job = self._known(self._client(cluster.context, cluster.namespace), folder, run_id)
        return None if job is None else self._handle(run_id, job, run_dir)

    def logs(self, handle: Handle, position: LogPosition) -> LogStream:
        return SharedLog(Folder(handle.run_dir), position, lambda: self._status(handle))

    def stop(self, handle: Handle, grace_s: float) -> None:
        """Ends the pods, with KILL after ``grace_s``, and the Job. Blocks until they are gone."""
        folder = Folder(handle.run_dir)
        job = folder.job()
        if job is None or folder.cluster() is None or folder.kept_end() is not None:
            return
        client = self._client(job.context, job.namespace)
        folder.request_stop()  # a start that is about to begin ends by itself
        client.end_pods(job.name, int(grace_s))
        client.delete(job.name)
        self._has_ended(handle, grace_s + KILL_PATIENCE_S)

    def remove(self, handle: Handle) -> None:
        self.stop(handle, 0)
        folder = Folder(handle.run_dir)
        job = folder.job()
        if job is not None:
            self._client(job.context, job.namespace).delete(job.name)
        folder.remove()

    def check_cluster(self, cluster: ClusterEntry, workspace: Workspace | None) -> Iterator[Finding]:
        from taorunner.backends.kubernetes.site_check import check_site

        return check_site(cluster.settings, resources_of(cluster), self._environ)

    def command_line(self, request: KubernetesRequest) -> str:
        """The line that creates the same Job; the manifest lies in the run's folder."""
        return kubectl_line(request)

    def shell_command(self, plan: RunPlan, launch: Launch, *, tty: bool) -> list[str]:
        """What enters the pod of a shell, once it runs."""
        return shell.exec_line(plan, launch, tty=tty)

    def shell_text(self, plan: RunPlan, launch: Launch) -> str:
        return shell.shell_text(plan, launch, self.name)

    def shell_opened(
        self, plan: RunPlan, launch: Launch, *, tty: bool, say: Callable[[str], None]
    ) -> AbstractContextManager[list[str]]:
        settings = plan.backend_options
        client = self._client(settings.get("context"), settings.get("namespace"))
        environ = os.environ if self._environ is None else self._environ
        return shell.shell_pod(client, plan, launch, self.name, environ, tty=tty, say=say)

    def _client(self, context: str | None, namespace: str | None) -> Kubectl:
        with self._lock:
            key = (context, namespace)
            return self._clients.setdefault(key, Kubectl(context, namespace, self._environ))

    def _handle(self, run_id: str, job: KnownJob, run_dir: Path) -> Handle:
        return Handle(self.name, run_id, f"{job.namespace}/{job.name}/{job.uid}", run_dir)

    def _submitted(self, client: Kubectl, folder: Folder, request: KubernetesRequest) -> KnownJob:
        made_first: list[str] = []
        try:
            files = _secret_bytes(request)
            for body in (manifest.secret(request.job, files), manifest.service(request.job)):
                if body is not None:
                    self._created(client, body, request)
                    made_first.append(body["kind"].lower())
            made = self._created(client, manifest.kube_job(request.job), request)
        except SilentError:
            raise  # it may have been taken
        except TaorunnerError:
            folder.forget_submit()
            for kind in made_first:
                with suppress(TaorunnerError):
                    client.delete_one(kind, manifest.object_name(request.run_id))
            raise
        job = read_job(made)
        place = client.place()
        known = KnownJob(job.name, job.uid, place.context, place.namespace)
        folder.keep_job(known)
        self._own(client, request, job.uid)
        return known

    def _created(
        self, client: Kubectl, body: Mapping[str, Any], request: KubernetesRequest
    ) -> dict[str, Any]:
        """The object. One of the same name that is ours and stays is that object; one that is going is waited for."""
        kind, name = body["kind"].lower(), body["metadata"]["name"]
        deadline = time.monotonic() + _ANSWER_WITHIN_S
        while True:
            made = client.create(body)
            if not isinstance(made, Refusal):
                return made
            if made.reason not in ("AlreadyExists", "Conflict"):
                end = reasons.refusal(made, request.cluster, client.where)
                raise EngineRefusedError(end.reason, hint=end.hint)
            there = client.get(kind, name)
            if not isinstance(there, Refusal):
                about = there.get("metadata") or {}
                if (about.get("annotations") or {}).get(manifest.RUN_ID) != request.run_id:
                    text = f'there is a {kind} "{name}" already, which is not of this run'
                    raise EngineRefusedError(text, hint=f"kubectl get {kind} {name} -o yaml")
                if not about.get("deletionTimestamp"):
                    return there
            if time.monotonic() > deadline:
                raise EngineRefusedError(
                    f'the {kind} "{name}" of an earlier start does not go',
                    hint=f"kubectl describe {kind} {name}",
                )
            time.sleep(self.pause_s)

    def _own(self, client: Kubectl, request: KubernetesRequest, uid: str) -> None:
        """Ties the Secret and the Service to the Job: they go with it, also when nobody asks taorunner."""
        name = manifest.object_name(request.run_id)
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}
        patch = json.dumps({"metadata": {"ownerReferences": [owner]}})
        kinds = [
            *(["secret"] if request.job.secrets else []),
            *(["service"] if request.job.nodes > 1 else []),
        ]
        for kind in kinds:
            with suppress(TaorunnerError):
                client.run("patch", kind, name, "--type=merge", "-p", patch)

    def _known(self, client: Kubectl, folder: Folder, run_id: str) -> KnownJob | None:
        """The Job of an earlier submit whose answer never came back."""
        found = client.get("job", manifest.object_name(run_id))
        if isinstance(found, Refusal):
            return None
        job = read_job(found)
        if job.run_id != run_id or job.is_deleting:
            return None
        place = client.place()
        known = KnownJob(job.name, job.uid, place.context, place.namespace)
        folder.keep_job(known)
        return known

    def _ask(
        self, client: Kubectl, runs: Sequence[tuple[Handle, Folder, Cluster, KnownJob]]
    ) -> dict[str, EngineStatus]:
        try:
            jobs, pods = client.objects()
        except TaorunnerError as error:
            return {handle.run_id: by_folder_alone(folder, error.message) for handle, folder, _, _ in runs}
        events: list[Event] | None = None
        found = {}
        for handle, folder, cluster, known in runs:
            own = sorted((pod for pod in pods if pod.run == known.name), key=_by_age)
            job = next((job for job in jobs if job.name == known.name and job.uid == known.uid), None)
            if job is None:
                found[handle.run_id] = of_missing(folder, cluster, own)
                continue
            seen = Seen(job, own)
            if seen.needs_events and events is None:
                events = client.warnings()
            status = judged(folder, cluster, seen, events or [])
            if status.state is EngineState.EXITED and status.started_at is None and seen.is_waiting:
                with suppress(TaorunnerError):
                    client.delete(job.name)
            found[handle.run_id] = status
        return found


def _by_age(pod: Any) -> tuple[str, str]:
    return ("" if pod.created_at is None else pod.created_at.isoformat(), pod.name)


def _secret_bytes(request: KubernetesRequest) -> dict[str, bytes]:
    trust = Trust.of_caller()
    if request.cluster.owner is not None:
        trust = Trust(trust.owners | {request.cluster.owner})
    place = request.run_dir / INPUT_DIR / SECRETS_DIR
    try:
        return {name: read_state(place / name, trust) for name in request.job.secrets}
    except OSError as error:
        raise MachineError(f"a secret of the run cannot be read: {error.strerror or error}") from error


def create(environ: Mapping[str, str] | None = None) -> KubernetesBackend:
    """What ``registry`` calls."""
    return KubernetesBackend(environ)
