"""What a cluster does with its objects: the Job controller, admission by Kueue, the scheduler, garbage collection.

One thread looks at all objects after each change. Pods run as real containers, see ``pod_runner``.
"""

from __future__ import annotations

import copy
import json
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from api_server import Body, Refused, Store, now
from pod_runner import PodRunner, condition, is_over

JOB_NAME, INDEX = "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index"


@dataclass
class Node:
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[tuple[str, str, str], ...] = ()
    gpus: int = 4
    is_cordoned: bool = False


class Machinery:
    """``admission`` may refuse the pod of a Job, with the words of the real plugin. ``queues`` are LocalQueues that
    admit."""

    def __init__(self, store: Store, runner: PodRunner, nodes: dict[str, Node]) -> None:
        self.store, self.runner, self.nodes = store, runner, nodes
        self.admission: Callable[[Body], str | None] = lambda pod: None
        self.queues: set[str] = set()
        self._counted: set[str] = set()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with self.store.changed:
            self._is_closed = True
            self.store.changed.notify_all()
        self._thread.join(100)

    def _work(self) -> None:
        while not self._is_closed:
            with self.store.changed:
                before = self.store.count
                for job in self.store.all("jobs"):
                    self._job(job)
                for pod in self.store.all("pods"):
                    self._pod(pod)
                if self.store.count == before:
                    self.store.changed.wait(0.2)

    def pods_of(self, job: Body) -> list[Body]:
        uid = job["metadata"]["uid"]
        return [
            pod for pod in self.store.all("pods")
            if any(one["uid"] == uid for one in pod["metadata"].get("ownerReferences", ()))
        ]  # fmt: skip

    def _job(self, job: Body) -> None:
        about, spec = job["metadata"], job["spec"]
        pods = self.pods_of(job)
        if about.get("deletionTimestamp"):
            for pod in pods:
                self._delete_pod(pod)
            if not pods:
                self._collect(job)
            return
        status = job.setdefault("status", {})
        if any(one["type"] in ("Complete", "Failed") for one in status.get("conditions", ())):
            return
        if spec.get("suspend"):
            if about.get("labels", {}).get("kueue.x-k8s.io/queue-name") not in self.queues:
                return
            spec["suspend"] = False
            self.store.touch(job)
        failure = self._failure(job, pods)
        if failure is not None:
            self._end(job, "Failed", *failure)
            for pod in pods:
                if not is_over(pod):
                    self._delete_pod(pod)
            return
        done = {
            pod["metadata"]["labels"].get(INDEX, "0") for pod in pods if pod["status"]["phase"] == "Succeeded"
        }
        if len(done) >= spec["completions"]:
            self._end(job, "Complete", "CompletionsReached", "Reached expected number of succeeded pods")
            return
        for index in map(str, range(spec["completions"])):
            active = [
                pod for pod in pods if pod["metadata"]["labels"].get(INDEX, "0") == index and not is_over(pod)
            ]
            if index not in done and not active:
                self._make_pod(job, index)

    def _failure(self, job: Body, pods: list[Body]) -> tuple[str, str] | None:
        failed = 0
        for pod in pods:
            if pod["status"]["phase"] != "Failed":
                continue
            self._counted.add(pod["metadata"]["uid"])
            action, why = _policy(job, pod)
            if action == "FailJob":
                return "PodFailurePolicy", why
            failed += action == "Count"
        gone = int(job["metadata"].get("annotations", {}).get("test/lost", "0"))
        if failed + gone > job["spec"].get("backoffLimit", 6):
            return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        return None

    def _end(self, job: Body, kind: str, reason: str, message: str) -> None:
        one = {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": now(),
        }
        job["status"].setdefault("conditions", []).append(one)
        self.store.touch(job)

    def _make_pod(self, job: Body, index: str) -> None:
        about, template = job["metadata"], copy.deepcopy(job["spec"]["template"])
        is_indexed = job["spec"].get("completionMode") == "Indexed"
        labels = {**template.get("metadata", {}).get("labels", {}), JOB_NAME: about["name"]}
        annotations = dict(template.get("metadata", {}).get("annotations", {}))
        if is_indexed:
            labels[INDEX] = annotations[INDEX] = index
            template["spec"]["hostname"] = f"{about['name']}-{index}"
        name = about["name"] + (f"-{index}" if is_indexed else "") + f"-{uuid.uuid4().hex[:5]}"
        body = {
            "apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
            "metadata": {"name": name, "labels": labels, "annotations": annotations,
                         "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": about["name"],
                                              "uid": about["uid"], "controller": True}]},
        }  # fmt: skip
        why = self.admission(body)
        if why is not None:
            events = [
                one for one in self.store.all("events") if one["involvedObject"]["name"] == about["name"]
            ]
            if not events:
                self.store.event(
                    job, "Job", "FailedCreate", f'Error creating: pods "{name}" is forbidden: {why}'
                )
            return
        self.store.create("pods", about["namespace"], body, strict=True)

    def _pod(self, pod: Body) -> None:
        about = pod["metadata"]
        if about.get("deletionTimestamp"):
            if not pod["spec"].get("nodeName") and not is_over(pod):
                pod["status"]["phase"] = "Failed"
                self.store.touch(pod)
            elif is_over(pod) and (about["uid"] in self._counted or self._job_is_over(pod)):
                self.store.remove("pods", about["namespace"], about["name"])
                self.store.count += 1
            return
        if not pod["spec"].get("nodeName") and pod["status"]["phase"] == "Pending":
            self._schedule(pod)

    def _job_is_over(self, pod: Body) -> bool:
        owners = pod["metadata"].get("ownerReferences", ())
        with suppress(Refused, StopIteration):
            job = self.store.get("jobs", pod["metadata"]["namespace"], next(iter(owners))["name"])
            return bool(job["metadata"].get("deletionTimestamp") or job.get("status", {}).get("conditions"))
        return True

    def _schedule(self, pod: Body) -> None:
        namespace, spec = pod["metadata"]["namespace"], pod["spec"]
        for volume in spec.get("volumes", ()):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and ("persistentvolumeclaims", namespace, claim) not in self.store.objects:
                text = f'0/{len(self.nodes)} nodes are available: persistentvolumeclaim "{claim}" not found. preemption: 0/{len(self.nodes)} nodes are available: {len(self.nodes)} Preemption is not helpful for scheduling.'
                self._unscheduled(pod, text)
                return
        reasons: dict[str, int] = {}
        for name, node in self.nodes.items():
            why = self._unfit(node, name, spec)
            if why is None:
                spec["nodeName"] = name
                condition(pod, "PodScheduled", "True")
                self.store.touch(pod)
                self.runner.start(pod)
                return
            reasons[why] = reasons.get(why, 0) + 1
        total = len(self.nodes)
        said = ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))
        self._unscheduled(
            pod, f"0/{total} nodes are available: {said}. preemption: 0/{total} nodes are available: "
            f"{total} No preemption victims found for incoming pod."
        )  # fmt: skip

    def _unfit(self, node: Node, name: str, spec: Body) -> str | None:
        tolerated = spec.get("tolerations", ())
        for key, value, effect in node.taints:
            if not any(
                one.get("key") in (None, key) and one.get("effect") in (None, effect) for one in tolerated
            ):
                return f"node(s) had untolerated taint {{{key}: {value}}}"
        if node.is_cordoned:
            return "node(s) were unschedulable"
        if any(node.labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
            return "node(s) didn't match Pod's node affinity/selector"
        wanted = _gpus(spec)
        used = sum(
            _gpus(other["spec"]) for other in self.store.all("pods")
            if other["spec"].get("nodeName") == name and not is_over(other)
        )  # fmt: skip
        return "Insufficient nvidia.com/gpu" if used + wanted > node.gpus else None

    def _unscheduled(self, pod: Body, message: str) -> None:
        if condition(pod, "PodScheduled", "False", "Unschedulable", message):
            self.store.event(pod, "Pod", "FailedScheduling", message)
            self.store.touch(pod)

    def _delete_pod(self, pod: Body) -> None:
        about = pod["metadata"]
        if not about.get("deletionTimestamp"):
            self.store.delete("pods", about["namespace"], about["name"], {})

    def _collect(self, owner: Body) -> None:
        """The owner, and what is its own."""
        about = owner["metadata"]
        self.store.remove("jobs", about["namespace"], about["name"])
        for (kind, namespace, name), one in list(self.store.objects.items()):
            if any(ref["uid"] == about["uid"] for ref in one["metadata"].get("ownerReferences", ())):
                self.store.remove(kind, namespace, name)
        self.store.count += 1


def _gpus(spec: Body) -> int:
    limits = spec["containers"][0].get("resources", {}).get("limits", {})
    return int(limits.get("nvidia.com/gpu", 0))


def _policy(job: Body, pod: Body) -> tuple[str, str]:
    """What the first rule that fits makes of a failed pod. Source: Kubernetes, pod failure policy."""
    states = pod["status"].get("containerStatuses", ())
    codes = [one["state"]["terminated"]["exitCode"] for one in states if "terminated" in one["state"]]
    disrupted = any(
        one["type"] == "DisruptionTarget" and one["status"] == "True" for one in pod["status"]["conditions"]
    )
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    for index, rule in enumerate(job["spec"].get("podFailurePolicy", {}).get("rules", ())):
        on = rule.get("onExitCodes")
        if on is not None and any(
            code and (code in on["values"]) == (on["operator"] == "In") for code in codes
        ):
            text = f"Container {on['containerName']} for pod {name} failed with exit code {codes[0]} matching {rule['action']} rule at index {index}"
            return rule["action"], text
        if on is None and disrupted:
            text = (
                f"Pod {name} has condition DisruptionTarget matching {rule['action']} rule at index {index}"
            )
            return rule["action"], text
    return "Count", json.dumps(codes)
