"""A shell on a cluster: a pod that is made for it, entered with ``kubectl exec``, and gone after it.

The pod has the image, user, mounts, GPUs and secrets of a run. It ends by itself after the cluster's ``time``, or
twelve hours, where nobody is left to remove it.
"""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone

from taorunner.backends.contract import Launch
from taorunner.backends.kubernetes import manifest, reasons
from taorunner.backends.kubernetes.folder import Cluster
from taorunner.backends.kubernetes.kubectl import Kubectl, Refusal
from taorunner.backends.kubernetes.objects import Job, read_pod
from taorunner.backends.kubernetes.request import pod_text, shell_job
from taorunner.backends.secrets import INPUT_DIR, SECRETS_DIR, write_secrets
from taorunner.errors import EngineRefusedError, MachineError, TaorunnerError
from taorunner.planning.model.plan import RunPlan
from taorunner.project.workspace import Workspace
from taorunner.state_files import read_state
from taorunner.text import printable

_LONGEST_S = 12 * 3600
_LOOK_EVERY_S = 0.5
_GONE_WITHIN_S = 1
_WAITS = """trap 'exit 0' TERM
while :; do sleep 3600 & wait $!; done
"""
_WITH_SECRETS = """for file in "$0"/env/*; do
    [ -f "$file" ] || continue
    value=$(cat "$file"; printf x)
    export "${file##*/}=${value%x}"
done
exec "$@"
"""
_FIND_SHELL = 'exec "$(command -v bash || echo /bin/sh)"'


def exec_line(plan: RunPlan, launch: Launch, *, tty: bool) -> list[str]:
    """What enters the pod, once it runs."""
    settings = plan.backend_options
    words = ["kubectl"]
    words += [f"--{name}={settings[name]}" for name in ("context", "namespace") if settings.get(name)]
    words += ["exec", "-i", *(["-t"] if tty else []), manifest.object_name(launch.run_id)]
    command = plan.argv or ("/bin/sh", "-c", _FIND_SHELL)
    if plan.secrets:
        command = ("/bin/sh", "-c", _WITH_SECRETS, f"{plan.run_inside}/{SECRETS_DIR}", *command)
    return [*words, "-c", manifest.CONTAINER, "--", *command]


def shell_text(plan: RunPlan, launch: Launch, backend: str) -> str:
    """The pod as YAML, and below it the line that enters it."""
    job, _ = shell_job(plan, launch, backend, _WAITS, _LONGEST_S)
    line = shlex.join(exec_line(plan, launch, tty=True))
    return pod_text(job) + "".join(f"# {one}\n" for one in ["then:", *line.splitlines()])


@contextmanager
def shell_pod(
    client: Kubectl, plan: RunPlan, launch: Launch, backend: str, environ: Mapping[str, str], *,
    tty: bool, say: Callable[[str], None],
) -> Iterator[list[str]]:  # fmt: skip
    """Makes the pod and waits until it runs; ``say`` gets what it waits for. Gives the line that enters it. All that it
    has made is removed at the end.

    Raises EngineRefusedError when it cannot start, MachineError when the server does not answer.
    """
    job, cluster = shell_job(plan, launch, backend, _WAITS, _LONGEST_S)
    name = manifest.object_name(launch.run_id)
    _make_folders(plan)
    files = _secret_files(plan, launch, environ, job.secrets)
    try:
        for body in (manifest.secret(job, files), manifest.kube_pod(job)):
            if body is not None and isinstance(made := client.create(body), Refusal):
                end = reasons.refusal(made, cluster, client.where)
                raise EngineRefusedError(end.reason, hint=end.hint)
        _wait(client, name, cluster, say)
        yield exec_line(plan, launch, tty=tty)
    finally:
        for words in (
            ("pod", name, f"--grace-period={_GONE_WITHIN_S}"),
            *([("secret", name)] if files else []),
        ):
            with suppress(TaorunnerError):
                client.run("delete", *words, "--wait=false", "--ignore-not-found")


def _wait(client: Kubectl, name: str, cluster: Cluster, say: Callable[[str], None]) -> None:
    job, said = Job(name=name, uid="", run_id=None), ""
    while True:
        found = client.get("pod", name)
        if isinstance(found, Refusal):
            raise MachineError(f'the pod "{name}" of the shell is gone: {printable(found.text)}')
        pod = read_pod(found)
        if pod.is_over or pod.is_deleting:
            why = pod.message or (pod.terminated.message if pod.terminated is not None else "") or pod.reason
            raise EngineRefusedError(
                f"the pod of the shell has ended: {printable(why)[:300] or pod.phase}",
                hint="taorunner shell --cluster NAME --dry-run shows it",
            )
        if pod.phase == "Running" and pod.blocked is None:
            return
        events = client.warnings()
        never = reasons.never_starts(job, [pod], events, cluster, datetime.now(timezone.utc))
        if never is not None:
            raise EngineRefusedError(never.reason, hint=never.hint)
        text = reasons.waiting_text(job, [pod], events, cluster)
        if text != said and text not in reasons.UNDECIDED:
            said = text
            say(f"waits: {text}")
        time.sleep(_LOOK_EVERY_S)


def _make_folders(plan: RunPlan) -> None:
    """Places of the container that are kept in the workspace: the kubelet would make them as root."""
    inside = Workspace(plan.workspace).inside_dir
    for mount in plan.mounts:
        if mount.source.is_relative_to(inside):
            mount.source.mkdir(parents=True, exist_ok=True)


def _secret_files(
    plan: RunPlan, launch: Launch, environ: Mapping[str, str], names: tuple[str, ...]
) -> Mapping[str, bytes]:
    """The secrets by their names in the pod. Their files here are gone on return."""
    if not names:
        return {}
    try:
        write_secrets(plan, launch.run_dir, environ)
        return {name: read_state(launch.run_dir / INPUT_DIR / SECRETS_DIR / name) for name in names}
    finally:
        shutil.rmtree(launch.run_dir / INPUT_DIR, ignore_errors=True)
