"""Runs of the kubernetes backend on the stand-in: started, looked at from outside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kube_cluster import CLAIM, KubeCluster

from taorunner.backends.contract import EngineState, EngineStatus, Handle, Launch
from taorunner.backends.kubernetes.backend import KubernetesBackend
from taorunner.backends.kubernetes.manifest import object_name
from taorunner.backends.secrets import write_secrets
from taorunner.planning.model.plan import GpuRequest, Resources, RunPlan

PATIENCE_S = 120.0


@dataclass(frozen=True)
class KubeRuns:
    """``plan`` and ``launch`` are the fixtures make_plan and make_launch."""

    cluster: KubeCluster
    plan: Callable[..., RunPlan]
    launch: Callable[..., Launch]
    image: str

    def made(
        self, script: str, *words: str, gpus: int = 0, options: Mapping[str, Any] | None = None, **fields: Any
    ) -> RunPlan:
        """A plan that runs ``script``. ``options`` are those of the backend; resources are named as there."""
        names = ("nodes", "cpus", "memory_bytes", "time_s")
        wanted = {name: fields.pop(name) for name in names if name in fields}
        settings = {"workspace": {"claim": CLAIM}, **(options or {})}
        return self.plan(
            "sh", "-c", script, *words, backend="kubernetes", backend_options=settings,
            resources=Resources(gpus=GpuRequest(gpus), **wanted), **{"image": self.image, **fields},
        )  # fmt: skip

    def start(self, plan: RunPlan, backend: KubernetesBackend | None = None) -> Handle:
        launch = self.launch()
        write_secrets(plan, launch.run_dir, os.environ)
        backend = backend or KubernetesBackend()
        return backend.submit(backend.request(plan, launch)).handle

    def status(self, handle: Handle) -> EngineStatus:
        return KubernetesBackend().inspect([handle])[handle.run_id]

    def becomes(self, handle: Handle, state: EngineState, waiting: str = "") -> EngineStatus:
        """The status once it is this, and its reason has these words."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            status = self.status(handle)
            if status.state is state and waiting in (status.waiting or ""):
                return status
            assert time.monotonic() < deadline, (
                f"it is still {status}: {self.cluster.pods(self.name(handle))}"
            )
            time.sleep(0.3)

    def ended(self, handle: Handle) -> EngineStatus:
        return self.becomes(handle, EngineState.EXITED)

    def prints(self, handle: Handle, text: str) -> None:
        """Waits until the run has printed it."""
        console = handle.run_dir / "kubernetes" / "pod" / "console.log"
        deadline = time.monotonic() + PATIENCE_S
        while not (console.exists() and text in console.read_text()):
            assert time.monotonic() < deadline, self.status(handle)
            time.sleep(0.05)

    def name(self, handle: Handle) -> str:
        return object_name(handle.run_id)
