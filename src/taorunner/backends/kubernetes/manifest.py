"""The objects of one run as Kubernetes takes them: a Job, for several nodes a headless Service, and a Secret. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from taorunner.backends.kubernetes.target import DEFAULT_GPU_RESOURCE
from taorunner.values.value import Value, field

MANAGED_BY, OWN = "app.kubernetes.io/managed-by", "taorunner"
RUN_LABEL = "taorunner/run"
RUN_ID = "taorunner/run-id"
"""An annotation with the whole id: a label may be too short for it."""
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
CONTAINER = "tao"
MASTER_PORT = 29500
GRACE_S = 120
"""For a pod that is evicted: time to write a checkpoint."""
KEPT_S = 7 * 24 * 3600
"""A net: taorunner removes a Job itself when its output is safe."""
_MAX_NAME = 46
"""A pod's host name is the Job's with an index, and has 63 characters at most; its own name has five more."""


class PodMount(Value):
    """``path`` in the claim, without a slash at its start; ``target`` in the container."""

    claim: str
    path: str
    target: str
    read_only: bool = False


class KubeJob(Value):
    """All that the objects are made of. ``secrets`` are names of files, as paths below ``secrets_inside``."""

    run_id: str
    image: str
    script: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[PodMount, ...] = ()
    secrets: tuple[str, ...] = ()
    secrets_inside: str = ""
    user: tuple[int, int] = (0, 0)
    groups: tuple[int, ...] = ()
    privileged: bool = False
    workdir: str | None = None
    nodes: int = 1
    gpus: int = 0
    cpus: int | None = None
    memory_bytes: int | None = None
    time_s: int | None = None
    shm_bytes: int = 0
    restarts: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def object_name(run_id: str) -> str:
    """The name of a run's objects: its id where Kubernetes can have that as a name."""
    plain = re.sub(r"[^a-z0-9-]+", "-", run_id.lower()).strip("-")
    if plain == run_id and len(plain) + 3 <= _MAX_NAME:
        return f"tr-{plain}"
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    return f"tr-{plain[: _MAX_NAME - 12].strip('-')}-{digest}"


def metadata(job: KubeJob) -> dict[str, Any]:
    name = object_name(job.run_id)
    labels = {**job.labels, MANAGED_BY: OWN, RUN_LABEL: name}
    return {"name": name, "labels": labels, "annotations": {RUN_ID: job.run_id}}


def service(job: KubeJob) -> dict[str, Any] | None:
    """What gives the pods of several nodes their names, before they are ready."""
    if job.nodes == 1:
        return None
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {RUN_LABEL: object_name(job.run_id)},
        "ports": [{"name": "rendezvous", "port": MASTER_PORT}],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(job), "spec": spec}


def secret(job: KubeJob, files: Mapping[str, bytes]) -> dict[str, Any] | None:
    """``files`` by their paths; the keys of a Secret have no slashes, so they are numbered."""
    if not job.secrets:
        return None
    data = {f"file-{index}": base64.b64encode(files[path]).decode() for index, path in enumerate(job.secrets)}
    about = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(job)}
    return {**about, "type": "Opaque", "immutable": True, "data": data}


def kube_job(job: KubeJob) -> dict[str, Any]:
    about = metadata(job)
    queue = job.settings.get("queue")
    of_job = {**about, "labels": {**about["labels"], **({QUEUE_LABEL: queue} if queue else {})}}
    spec: dict[str, Any] = {
        "backoffLimit": 0,
        "completions": job.nodes,
        "parallelism": job.nodes,
        "completionMode": "Indexed" if job.nodes > 1 else "NonIndexed",
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": _failure_rules(job)},
        "ttlSecondsAfterFinished": KEPT_S,
        "template": {
            "metadata": {"labels": about["labels"], "annotations": about["annotations"]},
            "spec": _pod(job),
        },
    }
    if queue:
        spec["suspend"] = True  # Kueue admits it
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": of_job, "spec": spec}


def kube_pod(job: KubeJob) -> dict[str, Any]:
    """A pod without a Job: nobody starts it again."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata(job), "spec": _pod(job)}


def _failure_rules(job: KubeJob) -> list[dict[str, Any]]:
    """The first rule that fits counts: a pod that is evicted ends with an exit code, too."""
    disrupted = [{"type": "DisruptionTarget", "status": "True"}]
    return [
        {"action": "Ignore" if job.restarts else "FailJob", "onPodConditions": disrupted},
        {
            "action": "FailJob",
            "onExitCodes": {"containerName": CONTAINER, "operator": "NotIn", "values": [0]},
        },
    ]


def _pod(job: KubeJob) -> dict[str, Any]:
    settings = job.settings
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_S,
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "securityContext": _pod_security(job),
        "containers": [_container(job)],
        "volumes": _volumes(job),
    }
    for key, name in (
        ("service_account", "serviceAccountName"), ("priority_class", "priorityClassName"),
        ("runtime_class", "runtimeClassName"), ("node_selector", "nodeSelector"), ("tolerations", "tolerations"),
    ):  # fmt: skip
        if settings.get(key):
            pod[name] = _plain(settings[key])
    if settings.get("image_pull_secrets"):
        pod["imagePullSecrets"] = [{"name": str(name)} for name in settings["image_pull_secrets"]]
    if job.time_s is not None:
        pod["activeDeadlineSeconds"] = job.time_s
    if job.nodes > 1:
        pod["subdomain"] = object_name(job.run_id)
    return pod


def _pod_security(job: KubeJob) -> dict[str, Any]:
    user, group = job.user
    found: dict[str, Any] = {"runAsUser": user, "runAsGroup": group}
    if job.groups:
        found["supplementalGroups"] = list(job.groups)
    if user != 0:
        found |= {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return found


def _container(job: KubeJob) -> dict[str, Any]:
    if job.privileged:
        security: dict[str, Any] = {"privileged": True}
    elif job.user[0] != 0:
        security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    else:
        security = {"allowPrivilegeEscalation": False}
    found: dict[str, Any] = {
        "name": CONTAINER,
        "image": job.image,
        "command": ["/bin/sh", "-c", _literal(job.script), "taorunner"],
        "args": [_literal(word) for word in job.command],
        "env": _variables(job),
        "resources": _resources(job),
        "securityContext": security,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": _volume_mounts(job),
    }
    if job.workdir is not None:
        found["workingDir"] = job.workdir
    return found


def _variables(job: KubeJob) -> list[dict[str, Any]]:
    fields = {"POD_NAME": "metadata.name", "NODE_NAME": "spec.nodeName"}
    values = dict(job.env)
    if job.nodes > 1:
        name = object_name(job.run_id)
        values |= {"WORLD_SIZE": str(job.nodes), "NUM_GPU_PER_NODE": str(job.gpus),
                   "MASTER_ADDR": f"{name}-0.{name}", "MASTER_PORT": str(MASTER_PORT)}  # fmt: skip
        fields["NODE_RANK"] = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    return [
        *({"name": name, "value": _literal(value)} for name, value in sorted(values.items())),
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
    ]


def _resources(job: KubeJob) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if job.gpus:
        limits[job.settings.get("gpu_resource", DEFAULT_GPU_RESOURCE)] = str(job.gpus)
    if job.cpus is not None:
        limits["cpu"] = str(job.cpus)
    if job.memory_bytes is not None:
        limits["memory"] = quantity(job.memory_bytes)
    return {"limits": limits, "requests": dict(limits)} if limits else {}


def _volumes(job: KubeJob) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": quantity(job.shm_bytes)}}
    ]
    for name, claim in _claims(job).items():
        found.append({"name": name, "persistentVolumeClaim": {"claimName": claim}})
    if job.secrets:
        # kubelet gives the files to root; only a group that owns the whole claim would change that
        mode = 0o400 if job.user[0] == 0 else 0o444
        items = [
            {"key": f"file-{index}", "path": path, "mode": mode} for index, path in enumerate(job.secrets)
        ]
        body = {"secretName": object_name(job.run_id), "defaultMode": mode, "items": items}
        found.append({"name": "secrets", "secret": body})
    return found


def _volume_mounts(job: KubeJob) -> list[dict[str, Any]]:
    names = {claim: name for name, claim in _claims(job).items()}
    found: list[dict[str, Any]] = [{"name": "shm", "mountPath": "/dev/shm"}]
    for mount in job.mounts:
        one: dict[str, Any] = {"name": names[mount.claim], "mountPath": mount.target}
        if mount.path:
            one["subPath"] = mount.path
        if mount.read_only:
            one["readOnly"] = True
        found.append(one)
    if job.secrets:
        found.append({"name": "secrets", "mountPath": job.secrets_inside, "readOnly": True})
    return found


def _claims(job: KubeJob) -> dict[str, str]:
    """Names of volumes, which may have no dots, for the claims."""
    claims = dict.fromkeys(mount.claim for mount in job.mounts)
    return {f"claim-{index}": claim for index, claim in enumerate(claims)}


def _literal(text: str) -> str:
    """Kubernetes reads ``$(NAME)`` as a variable of the pod, and ``$$`` as one dollar."""
    return re.sub(r"\$(?=[$(])", "$$", text)


def quantity(count_bytes: int) -> str:
    for unit, size in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if count_bytes % size == 0:
            return f"{count_bytes // size}{unit}"
    return str(count_bytes)


def _plain(value: Any) -> Any:
    """Without the classes of the YAML reader."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
