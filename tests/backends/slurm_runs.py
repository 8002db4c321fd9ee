"""Runs of the slurm backend on a cluster of the rig: started, looked at from outside, counted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slurm_rig import Cluster

from taorunner.backends.contract import EngineState, EngineStatus, Handle, Launch
from taorunner.backends.secrets import write_secrets
from taorunner.backends.slurm.backend import SlurmBackend
from taorunner.planning.model.plan import GpuRequest, Resources, RunPlan

PATIENCE_S = 150.0


@dataclass(frozen=True)
class SlurmRuns:
    """``plan`` and ``launch`` are the fixtures make_plan and make_launch."""

    cluster: Cluster
    plan: Callable[..., RunPlan]
    launch: Callable[..., Launch]
    environment: Mapping[str, str]

    def backend(self) -> SlurmBackend:
        """A new one, as another process would have it."""
        return SlurmBackend(self.environment)

    def made(
        self, script: str, *, gpus: int = 0, options: Mapping[str, Any] | None = None, **wanted: Any
    ) -> RunPlan:
        """A plan that runs ``script``. ``options`` are those of the backend, ``wanted`` its resources."""
        resources = Resources(gpus=GpuRequest(gpus), **wanted)
        settings = {"partition": "low", **(options or {})}
        return self.plan("sh", "-c", script, backend="slurm", backend_options=settings, resources=resources)

    def start(self, plan: RunPlan, backend: SlurmBackend | None = None) -> Handle:
        launch = self.launch()
        write_secrets(plan, launch.run_dir, os.environ)
        backend = backend or self.backend()
        return backend.submit(backend.request(plan, launch)).handle

    def status(self, handle: Handle) -> EngineStatus:
        return self.backend().inspect([handle])[handle.run_id]

    def becomes(
        self, handle: Handle, state: EngineState = EngineState.EXITED, patience_s: float = PATIENCE_S
    ) -> EngineStatus:
        deadline = time.monotonic() + patience_s
        while (status := self.status(handle)).state is not state:
            assert time.monotonic() < deadline, f"it is still {status}: {self.events(handle)}"
            time.sleep(0.1)
        return status

    def over(self, handle: Handle) -> EngineStatus:
        """Its status once it has ended, or Slurm has not known it for too long."""
        deadline = time.monotonic() + PATIENCE_S
        while (status := self.status(handle)).state not in (EngineState.EXITED, EngineState.MISSING):
            assert time.monotonic() < deadline, f"it is still {status}: {self.events(handle)}"
            time.sleep(0.1)
        return status

    def console(self, handle: Handle) -> str:
        path = handle.run_dir / "slurm" / "console.log"
        return path.read_text() if path.exists() else ""

    def prints(self, handle: Handle, text: str) -> None:
        """Waits until the run has printed it."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.console(handle):
            assert time.monotonic() < deadline, f"{self.status(handle)}: {self.events(handle)}"
            time.sleep(0.05)

    def events(self, handle: Handle) -> str:
        """What the batch script noted, and what Slurm and srun said."""
        paths = [handle.run_dir / "slurm" / name for name in ("slurm.jsonl", "slurm.out")]
        return "".join(path.read_text() for path in paths if path.exists())


def once(path: Path) -> str:
    """A command that leaves a line for each time it is run."""
    return f"echo ran >>{path}"


def count(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0
