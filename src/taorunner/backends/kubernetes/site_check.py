"""What can be proved of a Kubernetes cluster before a run: login, rights, claims, queue, and a Job that the server
checks without making it. One finding for each thing, in the order in which a run needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from taorunner.backends.kubernetes import reasons
from taorunner.backends.kubernetes.entry import Entry, entry_script
from taorunner.backends.kubernetes.folder import Cluster
from taorunner.backends.kubernetes.kubectl import Kubectl, Refusal
from taorunner.backends.kubernetes.manifest import KubeJob, PodMount, kube_job
from taorunner.errors import Finding, Severity, TaorunnerError
from taorunner.planning.model.plan import DEFAULT_SHM_BYTES, Resources
from taorunner.project.limits import size_bytes
from taorunner.text import printable

_RIGHTS = (
    ("create", "jobs"), ("list", "jobs"), ("delete", "jobs"), ("list", "pods"), ("delete", "pods"),
    ("create", "secrets"), ("delete", "secrets"),
)  # fmt: skip
_OF_SHELLS = (("create", "pods"), ("create", "pods/exec"))
_TRIED = "check"
"""The run id of the Job that is tried, and never made."""


def check_site(
    settings: Mapping[str, Any], resources: Resources, environ: Mapping[str, str] | None
) -> Iterator[Finding]:
    client = Kubectl(settings.get("context"), settings.get("namespace"), environ)
    try:
        place = client.place()
        yield Finding(
            Severity.OK,
            "cluster-login",
            f'context "{place.context}", namespace "{place.namespace}"{_version(client)}',
        )
        yield from _rights(client)
        yield from _claims(client, settings)
        yield from _queue(client, settings)
        yield from _pull_secrets(client, settings)
        yield _tried(client, settings, resources)
    except TaorunnerError as error:
        yield Finding(Severity.ERROR, "cluster-login", error.message, error.hint)
        return
    text = "not proved: that the claim holds this workspace; each run looks at its start"
    yield Finding(Severity.INFO, "cluster-folder", text)


def _version(client: Kubectl) -> str:
    found = client.server_version()
    return f", Kubernetes {printable(found)}" if found else ""


def _rights(client: Kubectl) -> Iterator[Finding]:
    lacking = [f"{verb} {what}" for verb, what in _RIGHTS if not client.can(verb, what)]
    if not lacking:
        yield Finding(
            Severity.OK, "cluster-rights", "your login may create and delete jobs, pods and secrets"
        )
    else:
        for_secrets = all(what.endswith("secrets") for what in lacking)
        harm = ": runs with secrets are refused" if for_secrets else ""
        severity = Severity.WARNING if for_secrets else Severity.ERROR
        yield _not_allowed(severity, "cluster-rights", lacking, harm)
    lacking = [f"{verb} {what}" for verb, what in _OF_SHELLS if not client.can(verb, what)]
    if lacking:
        harm = ": shell --cluster is refused, runs are not"
        yield _not_allowed(Severity.WARNING, "cluster-shell", lacking, harm)


def _not_allowed(severity: Severity, code: str, lacking: Sequence[str], harm: str) -> Finding:
    text = f"your login may not {', '.join(lacking)}{harm}"
    return Finding(severity, code, text, f"kubectl auth can-i {lacking[0]}")


def _claims(client: Kubectl, settings: Mapping[str, Any]) -> Iterator[Finding]:
    named = [settings["workspace"]["claim"], *(one["claim"] for one in settings.get("volumes") or ())]
    for claim in dict.fromkeys(map(str, named)):
        found = client.get("persistentvolumeclaim", claim)
        if isinstance(found, Refusal):
            said = f'there is no claim "{claim}"' if found.reason == "NotFound" else printable(found.text)
            severity = Severity.ERROR if found.reason == "NotFound" else Severity.WARNING
            yield Finding(severity, "cluster-claim", said, "kubectl get pvc")
            continue
        status = found.get("status") or {}
        modes = [str(mode) for mode in status.get("accessModes") or ()]
        if status.get("phase") != "Bound":
            text = f'the claim "{claim}" is not bound: {printable(str(status.get("phase")))}'
            yield Finding(Severity.ERROR, "cluster-claim", text, f"kubectl describe pvc {claim}")
        elif "ReadWriteMany" not in modes:
            text = f'the claim "{claim}" is {", ".join(modes)}: one node at a time can use it'
            yield Finding(Severity.WARNING, "cluster-claim", text, "a claim with ReadWriteMany")
        else:
            yield Finding(Severity.OK, "cluster-claim", f'the claim "{claim}" is bound, ReadWriteMany')


def _queue(client: Kubectl, settings: Mapping[str, Any]) -> Iterator[Finding]:
    queue = settings.get("queue")
    if queue is None:
        return
    found = client.get("localqueues.kueue.x-k8s.io", queue)
    if not isinstance(found, Refusal):
        yield Finding(Severity.OK, "cluster-queue", f'the queue "{queue}"')
    elif "doesn't have a resource type" in found.text:
        yield Finding(
            Severity.ERROR,
            "cluster-queue",
            "the cluster has no Kueue: a run would wait for ever",
            "remove queue:",
        )
    elif found.reason == "NotFound":
        text = f'there is no queue "{queue}": a run would wait for ever'
        yield Finding(Severity.ERROR, "cluster-queue", text, "kubectl get localqueues")
    else:
        yield Finding(Severity.INFO, "cluster-queue", f"not checked: {printable(found.text)}")


def _pull_secrets(client: Kubectl, settings: Mapping[str, Any]) -> Iterator[Finding]:
    for name in settings.get("image_pull_secrets") or ():
        found = client.get("secret", str(name))
        if isinstance(found, Refusal) and found.reason == "NotFound":
            text = f'there is no Secret "{name}" for pulling images'
            hint = f"kubectl create secret docker-registry {name}, or another image_pull_secrets:"
            yield Finding(Severity.ERROR, "cluster-pull-secret", text, hint)


def _tried(client: Kubectl, settings: Mapping[str, Any], resources: Resources) -> Finding:
    """What the server says of a Job as a run would make it; with ``dryRun`` it makes none."""
    claim = str(settings["workspace"]["claim"])
    job = KubeJob(
        run_id=_TRIED,
        image="taorunner/check",
        script=entry_script(Entry(_TRIED, "", 0)),
        command=("true",),
        mounts=(PodMount(claim, str(settings["workspace"].get("path") or "").strip("/"), "/workspace"),),
        user=(1000, 1000),
        nodes=resources.nodes,
        gpus=max(1, resources.gpus.count),
        cpus=resources.cpus,
        memory_bytes=resources.memory_bytes,
        time_s=resources.time_s,
        shm_bytes=size_bytes(settings.get("shm_size", "")) or DEFAULT_SHM_BYTES,
        labels=settings.get("labels", {}),
        settings=settings,
    )
    found = client.create(kube_job(job), dry_run=True)
    if not isinstance(found, Refusal):
        return Finding(Severity.OK, "cluster-job", "the server takes such a Job (tried, not made)")
    asked = Cluster(client.context, client.namespace, _TRIED, 0, claim, job.image, job.gpus)
    end = reasons.refusal(found, asked, client.where)
    return Finding(Severity.ERROR, "cluster-job", end.reason, end.hint)
