"""Fixtures: a stand-in for a Kubernetes cluster, which the real kubectl talks to, and whose pods are real containers."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from api_server import ApiServer, Body, Refused, Store, now
from machinery import Machinery, Node
from pod_runner import PodRunner, condition

import rig

NAMESPACE, CLAIM, CONTEXT = "vision", "vision-data", "stand-in"
PATIENCE_S = 120.0


@dataclass(frozen=True)
class KubeCluster:
    """``environment`` makes kubectl use it. ``disk`` is the folder of its claim on this machine."""

    store: Store
    machinery: Machinery
    runner: PodRunner
    api: ApiServer
    environment: dict[str, str]

    def claim(self, name: str, disk: Path) -> None:
        """A bound claim whose disk is this folder."""
        self.runner.claims[name] = disk
        body = {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Ti"}}},
            "status": {"phase": "Bound", "accessModes": ["ReadWriteMany"]},
        }  # fmt: skip
        with self.store.changed:
            self.store.create("persistentvolumeclaims", NAMESPACE, body, strict=False)

    def pods(self, run_name: str) -> list[Body]:
        with self.store.changed:
            found = [
                pod
                for pod in self.store.all("pods")
                if pod["metadata"]["labels"].get("taorunner/run") == run_name
            ]
            return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def pod(self, run_name: str) -> Body:
        """The one that is not over, once there is one."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for pod in reversed(self.pods(run_name)):
                if pod["status"]["phase"] not in ("Succeeded", "Failed"):
                    return pod
            assert time.monotonic() < deadline, self.pods(run_name)
            time.sleep(0.05)

    def disrupt(self, pod: Body, reason: str = "EvictionByEvictionAPI", message: str = "") -> None:
        """Evicts a pod as the cluster does: a condition, TERM, then its end."""
        with self.store.changed:
            condition(pod, "DisruptionTarget", "True", reason, message)
            pod["metadata"]["deletionTimestamp"], pod["metadata"]["deletionGracePeriodSeconds"] = now(), 10
            self.store.touch(pod)

    def evict(self, pod: Body, message: str) -> None:
        """By the kubelet, for lack of something on the node: no deletion, and a reason of the pod."""
        with self.store.changed:
            condition(pod, "DisruptionTarget", "True", "TerminationByKubelet", message)
            pod["status"]["reason"], pod["status"]["message"] = "Evicted", message
            self.store.touch(pod)

    def lose_node(self, name: str) -> list[Body]:
        """The node stops: its pods write nothing more, and nobody says what became of them."""
        self.runner.lost_nodes.add(name)
        with self.store.changed:
            self.machinery.nodes[name].is_cordoned = True
            found = [pod for pod in self.store.all("pods") if pod["spec"].get("nodeName") == name]
        for pod in found:
            self.runner.kill(pod)
            with self.store.changed:
                condition(pod, "Ready", "False", "NodeStatusUnknown")
                condition(
                    pod,
                    "DisruptionTarget",
                    "True",
                    "DeletionByTaintManager",
                    "Taint manager: deleting due to NoExecute taint",
                )
                pod["metadata"]["deletionTimestamp"] = now()
                self.store.touch(pod)
        return found

    def collect(self, pod: Body) -> None:
        """What the garbage collector does with pods of a node that was removed."""
        with self.store.changed:
            condition(pod, "DisruptionTarget", "True", "DeletionByPodGC", "PodGC: node no longer exists")
            pod["status"]["phase"] = "Failed"
            self.store.touch(pod)

    def refuse(
        self, code: int, reason: str, message: str, *verbs: str, resource: str | None = None
    ) -> Callable[[], None]:
        """Refuses these requests from now on, until the function that it gives is called."""

        def fault(verb: str, asked: str, path: str) -> Refused | None:
            return Refused(code, reason, message) if verb in verbs and resource in (None, asked) else None

        self.store.faults.append(fault)
        return lambda: self.store.faults.remove(fault)


def kubeconfig(url: str, file: Path) -> None:
    file.write_text(
        json.dumps(
            {
                "apiVersion": "v1", "kind": "Config", "current-context": CONTEXT,
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {"token": "stand-in-token"}}],
                "contexts": [{"name": CONTEXT, "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}}],
            }
        )
    )  # fmt: skip


@pytest.fixture
def kubernetes(engine: rig.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeCluster]:
    """A cluster of this test alone. Its claim is ``tmp_path``, and kubectl of this process uses it."""
    if shutil.which("kubectl") is None:
        text = "kubectl is not installed (as root: python tests/rig/rig.py install)"
        pytest.fail(text, pytrace=False) if os.environ.get("CI") == "true" else pytest.skip(text)
    home = Path(f"/tmp/taor-kube-{secrets.token_hex(4)}")
    home.mkdir()
    store = Store()
    runner = PodRunner(store, engine, home / "pods")
    for name in (NAMESPACE, "default"):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        store.objects["namespaces", "", name] = body
    machinery = Machinery(store, runner, {"h1": Node(), "h2": Node()})
    api = ApiServer(store, runner.log, runner.execute)
    environment = {"KUBECONFIG": str(home / "config"), "KUBECACHEDIR": str(home / "cache")}
    kubeconfig(api.url, home / "config")
    cluster = KubeCluster(store, machinery, runner, api, environment)
    cluster.claim(CLAIM, tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    try:
        yield cluster
    finally:
        machinery.close()
        api.close()
        runner.close()
        shutil.rmtree(home, ignore_errors=True)
