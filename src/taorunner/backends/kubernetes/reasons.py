"""What Kubernetes says of a run, as sentences with a next step: why it waits, why it can never start, why it ended,
why it was refused. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from taorunner.backends.contract import EngineEnd
from taorunner.backends.kubernetes.entry import WRONG_PLACE
from taorunner.backends.kubernetes.folder import Cluster
from taorunner.backends.kubernetes.kubectl import Refusal
from taorunner.backends.kubernetes.objects import Event, Job, Pod, Terminated
from taorunner.text import amount, printable

ADMITTED, CREATED, STARTS = "the Job is new", "its pod is made", "its container starts"
UNDECIDED = frozenset({ADMITTED, CREATED, STARTS})
"""What says nothing yet about whether it will start."""
_PULL_PATIENCE_S = 300
"""How long an image that cannot be pulled is waited for."""
_PULL = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"})
_NEVER_PULL = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_LONG_WAIT_S = 30 * 60.0
_NO_RIGHT = ("unauthorized", "authentication required", "denied", "forbidden", "401", "403", "no basic auth")
_NO_IMAGE = ("not found", "manifest unknown", "no such image", "does not exist")
_MOUNT = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})


def waiting_text(job: Job, pods: Iterable[Pod], events: Iterable[Event], cluster: Cluster) -> str:
    """Why a run does not run yet, or not again."""
    if job.is_suspended:
        if cluster.queue is None:
            return "the Job is suspended: it waits until somebody resumes it"
        return f'waits for the queue "{cluster.queue}" (kubectl get workloads)'
    current = [pod for pod in pods if not pod.is_over]
    seen = list(events)
    for pod in current:
        if pod.unscheduled is not None:
            return unschedulable(pod.unscheduled[1], cluster.gpus)
        for event in reversed([one for one in seen if one.about == pod.name and one.reason in _MOUNT]):
            return _mount_text(event.message)
        if pod.blocked is not None and pod.blocked[0] in _PULL:
            return _pull_text(pod.blocked, cluster)
        if pod.blocked is not None and pod.blocked[0] not in ("ContainerCreating", "PodInitializing"):
            return f"{pod.blocked[0]}: {_short(pod.blocked[1])}"
    if current:
        return STARTS if current[0].node else CREATED
    failed = [one for one in seen if one.about == job.name and one.reason == "FailedCreate"]
    if failed:
        return f"the namespace has no room: {_short(_without_object(failed[-1].message))}"
    evicted = [pod.disrupted for pod in pods if pod.disrupted is not None]
    return _evicted(evicted[-1]) if evicted else ADMITTED


def overdue(pods: Iterable[Pod], now: datetime) -> str | None:
    """What a run should say that no node takes for long: it may wait for what never comes."""
    for pod in pods:
        if pod.is_over or pod.unscheduled is None or pod.created_at is None:
            continue
        if (now - pod.created_at).total_seconds() > _LONG_WAIT_S:
            what = "fewer gpus, or another cluster, may start sooner"
            return f"no node has taken it for 30 minutes: {what}; kubectl describe pod {pod.name} says more"
    return None


def unschedulable(message: str, gpus: int) -> str:
    """The scheduler's sentence about all nodes, with what is missing first."""
    if "persistentvolumeclaim" in message:
        return f"the claim cannot be used: {_short(message)}"
    nodes = re.search(r"\d+/(\d+) nodes are available: ", message)
    if nodes is None:
        return f"no node can take it: {_short(message)}"
    rest = _short(message[nodes.end() :].split("preemption:")[0])
    return f"{_lacking(message, gpus)} (of {amount(int(nodes[1]), 'node')}: {rest})"


def _lacking(message: str, gpus: int) -> str:
    if "Insufficient" in message:
        wants_gpus = gpus and re.search(r"Insufficient \S*gpu", message)
        return f"no node has {amount(gpus, 'free GPU')}" if wants_gpus else "no node has room for it"
    if "taint" in message:
        return "every node has a taint (tolerations:)"
    if "node selector" in message or "node affinity" in message:
        return "no node fits node_selector:"
    return "no node can take it"


def never_starts(
    job: Job, pods: Iterable[Pod], events: Iterable[Event], cluster: Cluster, now: datetime
) -> EngineEnd | None:
    """Why waiting is in vain; None where it may help."""
    for pod in pods:
        if pod.is_over:
            continue
        claim = re.search(r'persistentvolumeclaim "([^"]*)" not found', (pod.unscheduled or ("", ""))[1])
        if claim is not None:
            reason = f'there is no claim "{claim[1]}"'
            return EngineEnd(reason, "workspace: {claim: NAME}, one of kubectl get pvc")
        if pod.blocked is not None and (found := _blocked_for_ever(pod, cluster, now)) is not None:
            return found
    for event in events:
        if (
            event.about == job.name
            and event.reason == "FailedCreate"
            and (found := _not_allowed(event)) is not None
        ):
            return found
    return None


def _blocked_for_ever(pod: Pod, cluster: Cluster, now: datetime) -> EngineEnd | None:
    why, message = pod.blocked or ("", "")
    since = pod.scheduled_at or pod.created_at
    waited_s = (now - since).total_seconds() if since is not None else 0.0
    if why in _NEVER_PULL or (why in _PULL and waited_s > _PULL_PATIENCE_S):
        hint = (
            "image_pull_secrets: [NAME], a Secret of the registry"
            if _has_no_right(message)
            else "image:, or --image IMAGE"
        )
        return EngineEnd(_pull_text((why, message), cluster), hint)
    if why in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        if "not found" in message and "secret" in message:
            return EngineEnd(f"a Secret of the run was removed: {_short(message)}", "start the run again")
        if why != "CreateContainerConfigError" or "non-root" in message or waited_s > _PULL_PATIENCE_S:
            return EngineEnd(
                f"the container cannot be made: {_short(message)}", "kubectl describe pod " + pod.name
            )
    return None


def _not_allowed(event: Event) -> EngineEnd | None:
    message = _short(_without_object(event.message))
    if "violates PodSecurity" in event.message:
        return EngineEnd(
            f"the namespace does not allow such a pod: {message}",
            "user: in experiments.yml, or another namespace",
        )
    if "serviceaccount" in event.message and "not found" in event.message:
        return EngineEnd(f"there is no such service account: {message}", "service_account:")
    if "is forbidden" in event.message and "exceeded quota" not in event.message:
        return EngineEnd(f"the namespace does not allow such a pod: {message}", "ask its admin")
    return None


def end_of(
    job: Job, pods: list[Pod], code: int | None, cluster: Cluster, *, was_started: bool
) -> EngineEnd | None:
    """Why Kubernetes itself ended the run; None where the run's own end decides."""
    main = pods[-1] if pods else None
    if main is not None and main.reason == "DeadlineExceeded":
        return EngineEnd(f"the time limit of {cluster.time or 'the pod'} is over", "time:, a longer one")
    if main is not None and main.terminated is not None and main.terminated.reason == "OOMKilled":
        return oom_end(cluster)
    evicted = _eviction(main)
    if evicted is not None:
        return EngineEnd(evicted, "taorunner resume RUN", is_transient=True)
    if main is not None and main.terminated is not None:
        return _of_container(main.terminated, was_started=was_started)
    if code is None and job.ended == "Failed":
        said = f": {_short(job.message)}" if job.message else ""
        where = f" on the node {main.node}" if main is not None and main.node else ""
        text = f"the pod was lost{where} ({job.reason or 'no reason given'}{said})"
        return EngineEnd(text, "taorunner resume RUN", is_transient=True)
    return None


def _of_container(ended: Terminated, *, was_started: bool) -> EngineEnd | None:
    if was_started:
        return None
    message = _short(ended.message)
    if WRONG_PLACE in ended.message:
        return EngineEnd(
            message.removeprefix("taorunner: "), "workspace: {claim: NAME, path: FOLDER} of clusters.yml"
        )
    if "cannot be written" in ended.message:
        return EngineEnd(
            message.removeprefix("taorunner: "),
            "the folder's owner is the pod's user; NFS may map it to another",
        )
    if ended.reason in ("ContainerCannotRun", "StartError"):
        return EngineEnd(f"the container cannot start: {message}", "image:, or --image IMAGE")
    return EngineEnd(f"the container ended with {ended.code} before the run began: {message or ended.reason}")


def other_node_end(pod: Pod) -> EngineEnd:
    """Why a run on several nodes ended, of which not the first one failed."""
    code = pod.terminated.code if pod.terminated is not None else "no code"
    why = (
        ", its memory was used up"
        if pod.terminated is not None and pod.terminated.reason == "OOMKilled"
        else ""
    )
    hint = f"read kubernetes/pod/console.log.{pod.index} in the run's folder"
    return EngineEnd(f"node {pod.index + 1} failed first, with exit code {code}{why}", hint)


def oom_end(cluster: Cluster) -> EngineEnd:
    limit = f"the memory limit of {cluster.memory}" if cluster.memory else "the memory of the node"
    return EngineEnd(
        f"{limit} was used up; /dev/shm counts, too",
        "memory:, a larger one, fewer workers, or a smaller shm_size:",
    )


def interruption(pods: list[Pod]) -> str | None:
    """What ended the last start, while another one follows."""
    over = [pod for pod in pods if pod.is_over]
    return _eviction(over[-1]) if over else None


def _eviction(pod: Pod | None) -> str | None:
    if pod is None:
        return None
    if pod.disrupted is not None:
        return _evicted(pod.disrupted)
    if pod.reason in ("Evicted", "Preempting", "Shutdown", "NodeShutdown", "Terminated"):
        return _evicted((pod.reason, pod.message))
    return "the node was lost" if pod.reason == "NodeLost" else None


def _evicted(said: tuple[str, str]) -> str:
    reason, message = said
    words = {
        "PreemptionByScheduler": "preempted for a run with a higher priority",
        "DeletionByTaintManager": "evicted: its node does not answer, or was tainted",
        "DeletionByPodGC": "its node is gone",
        "EvictionByEvictionAPI": "evicted: its node is emptied",
    }
    first = words.get(reason, "evicted")
    return f"{first}: {_short(message)}" if message and first == "evicted" else first


def lost_node(pods: Iterable[Pod]) -> str | None:
    """The node that does not answer, of a pod that runs as far as anyone knows."""
    for pod in pods:
        if pod.phase == "Unknown" or pod.reason == "NodeLost":
            return f"the node {pod.node} does not answer"
        if (
            pod.phase == "Running"
            and pod.is_deleting
            and pod.disrupted is not None
            and pod.disrupted[0] == "DeletionByTaintManager"
        ):
            return f"the node {pod.node} does not answer"
    return None


def refusal(found: Refusal, cluster: Cluster, where: str) -> EngineEnd:
    """Why a Job was not taken."""
    text = _short(found.text)
    if found.reason == "Forbidden" and "exceeded quota" in found.text:
        return EngineEnd(f"the quota of the namespace is used up: {text}", "kubectl describe quota")
    if found.reason == "Forbidden" and ("cannot create" in found.text or "cannot get" in found.text):
        return EngineEnd(f"your login for {where} may not do that: {text}", "kubectl auth can-i create jobs")
    if found.reason == "Forbidden":
        return EngineEnd(f"the namespace does not allow it: {text}", "ask its admin")
    if found.reason == "NotFound" and "namespaces" in found.text:
        return EngineEnd(f"there is no such namespace: {text}", "namespace:, one of kubectl get namespaces")
    if found.reason in ("Invalid", "BadRequest"):
        return EngineEnd(
            f"the cluster does not take such a Job: {text}", "taorunner train --dry-run shows it"
        )
    return EngineEnd(f"the Job was refused: {text or found.reason}")


def _mount_text(message: str) -> str:
    if "Multi-Attach" in message:
        return "the claim is ReadWriteOnce and used on another node: a claim with ReadWriteMany, or that node"
    if "not found" in message:
        return f"a volume is missing: {_short(message)}"
    return f"a volume cannot be mounted: {_short(message)}"


def _pull_text(blocked: tuple[str, str], cluster: Cluster) -> str:
    reason, message = blocked
    if reason == "InvalidImageName":
        return f'"{printable(cluster.image)}" is no name of an image'
    if _has_no_right(message):
        return f'no right to pull "{printable(cluster.image)}": {_short(message)}'
    if any(words in message.lower() for words in _NO_IMAGE):
        return f'there is no image "{printable(cluster.image)}": {_short(message)}'
    return f'the image "{printable(cluster.image)}" cannot be pulled: {_short(message or reason)}'


def _has_no_right(message: str) -> bool:
    return any(words in message.lower() for words in _NO_RIGHT)


def _without_object(message: str) -> str:
    return re.sub(r"^Error creating: (pods \"[^\"]*\" is forbidden: )?", "", message)


def _short(text: str) -> str:
    plain = printable(" ".join(text.split())).rstrip(".")
    return plain if len(plain) <= 300 else plain[:299] + "…"
