"""Runs of one person on docker of another host."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from remote_hosts import ALIAS, RemoteHost, below

from taorunner.backends.contract import EngineState, EngineStatus, Handle, Launch, LogChunk, LogPosition
from taorunner.backends.docker.remote.backend import DockerSshBackend
from taorunner.backends.secrets import write_secrets
from taorunner.container_options import Mount
from taorunner.planning.model.plan import GpuRequest, Resources, RunPlan
from taorunner.values.value import replace

PATIENCE_S = 90


@dataclass
class Runs:
    """Runs of one person on the host: ``there`` is the workspace of that person there."""

    host: RemoteHost
    there: Path
    make_plan: Callable[..., RunPlan]
    make_launch: Callable[..., Launch]
    engine_url: str
    chunks: list[LogChunk] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.backend = self.another()

    def another(self) -> DockerSshBackend:
        """As another process has it."""
        return DockerSshBackend({**os.environ, **self.host.environ}, silent_pause_s=0.5)

    def plan(self, script: str, gpus: int = 0, **options: object) -> RunPlan:
        settings = {"host": ALIAS, "workspace": str(self.there), **options}
        plan = self.make_plan("sh", "-c", script, backend="docker-ssh", backend_options=settings)
        return replace(plan, resources=Resources(gpus=GpuRequest(gpus)))

    def gated(self, then: str, gpus: int = 0) -> RunPlan:
        """Prints numbered lines until ``open_gate``, then ends."""
        for place in (self.gate, self.there / "gate"):
            place.mkdir(parents=True, exist_ok=True)
        script = f"i=0; while [ ! -e /gate/open ]; do i=$((i+1)); echo line $i; sleep 0.2; done; {then}"
        return replace(self.plan(script, gpus), mounts=(Mount(self.gate, "/gate", read_only=True),))

    @property
    def gate(self) -> Path:
        """The workspace here is the folder of the test."""
        return self.host.folder / "gate"

    def open_gate(self) -> None:
        (self.there / "gate/open").write_text("")

    def until(self, is_true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_true():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def start(self, script: str, gpus: int = 0, **options: object) -> Handle:
        return self.submit(self.plan(script, gpus, **options))

    def submit(self, plan: RunPlan) -> Handle:
        launch = self.make_launch()
        write_secrets(plan, launch.run_dir, os.environ)
        return self.backend.submit(self.backend.request(plan, launch)).handle

    def status(self, handle: Handle) -> EngineStatus:
        return self.backend.inspect([handle])[handle.run_id]

    def becomes(self, handle: Handle, state: EngineState) -> EngineStatus:
        deadline = time.monotonic() + PATIENCE_S
        while (status := self.status(handle)).state is not state:
            assert time.monotonic() < deadline, f"it is still {status}"
            time.sleep(0.1)
        return status

    def waits(self, handle: Handle) -> str:
        """The first reason to wait that the keeper gives."""
        deadline = time.monotonic() + PATIENCE_S
        while (said := self.status(handle).waiting) in (None, "starts"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return said or ""

    def followed(self, handle: Handle) -> threading.Thread:
        """Reads the output as a supervisor does: the end of a stream is not that of the run."""

        def follow() -> None:
            is_over = False
            while True:
                at = sum(len(chunk.data) for chunk in self.chunks)
                for chunk in self.backend.logs(handle, LogPosition(stdout=at)):
                    self.chunks.append(chunk)
                if is_over:
                    return
                is_over = self.status(handle).state is EngineState.EXITED

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        return reader

    @property
    def output(self) -> str:
        return b"".join(chunk.data for chunk in self.chunks).decode()

    def keepers(self, handle: Handle) -> list[int]:
        """The processes there that keep this run."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"python" in words[0] and any(handle.run_id.encode() in word for word in words):
                    found.append(int(entry.name))
        return [pid for pid in found if not set(below(pid)) & set(found)]
