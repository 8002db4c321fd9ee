"""A dry run: builds the exact request of a plan and writes its rendered spec, without starting anything.

The spec is written below ``.taorunner/dry-run``, so it can be inspected and the printed command can be executed.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taorunner.backends.contract import EngineRequest, Launch
from taorunner.backends.docker.request import DockerRequest
from taorunner.backends.registry import load_backend
from taorunner.backends.secrets import INPUT_DIR, private_spec, unwrapped
from taorunner.planning.model.plan import SECRET_SPEC_DIR, RunPlan
from taorunner.planning.model.request import Site
from taorunner.project.workspace import Workspace
from taorunner.state_files import write_new
from taorunner.targets import GpuSource, target_of
from taorunner.text import MASK


@dataclass(frozen=True, slots=True)
class Simulation:
    """``command_line`` is an equivalent shell command with ``***`` in place of secrets."""

    plan: RunPlan
    request: EngineRequest
    spec: Path | None
    command_line: str

    @property
    def script(self) -> str | None:
        """The scripts that the engine runs, each with its name above it; None where it takes none."""
        texts = [f"# {self.request.run_dir / name}\n{text}" for name, text in self.request.scripts.items()]
        return "\n".join(texts) or None

    def to_json(self) -> dict[str, Any]:
        """The stable shape of ``--dry-run --json``."""
        request = self.request
        return {
            "project": self.plan.project,
            "experiment": self.plan.experiment,
            "action": self.plan.action,
            "backend": request.backend,
            "cluster": self.plan.cluster,
            "image": request.image,
            "argv": list(request.argv),
            "weights": self.plan.weights,
            "knobs": [
                {"option": one.option, "key": one.key, "value": one.value, "was": one.was}
                for one in self.plan.knobs
            ],
            "env": dict(sorted(request.env.items())),
            "mounts": [
                {"source": str(mount.source), "target": mount.target, "read_only": mount.read_only}
                for mount in request.mounts
            ],
            "gpus": list(request.gpus),
            "nodes": request.resources.nodes,
            "cpus": request.resources.cpus,
            "memory_bytes": request.resources.memory_bytes,
            "time_s": request.resources.time_s,
            "user": self.plan.options.user,
            "spec": str(self.spec) if self.spec is not None else None,
            "docker_run": self.command_line if isinstance(request, DockerRequest) else None,
            "script": self.script,
        }


def dry_run_sites(dry_run_dir: Path, project: str) -> Callable[[str, str], Site]:
    """One folder per project, experiment and action, overwritten by the next dry run. A second run of the same action
    has a number."""
    made: list[str] = []

    def make(experiment: str, action: str) -> Site:
        name = f"{project}-{experiment}-{action}"
        made.append(name)
        name += f"-{made.count(name)}" if made.count(name) > 1 else ""
        return Site(f"dry-run-{name}", dry_run_dir / name)

    return make


def simulate(plan: RunPlan, site: Site) -> Simulation:
    """Writes the rendered spec and builds the request. GPUs that are not named are shown as the first ones."""
    input_dir = site.run_dir / INPUT_DIR
    input_dir.mkdir(parents=True, exist_ok=True)
    own = (site.run_dir.parent.parent, Workspace(plan.workspace).inside_dir)
    for mount in plan.mounts:
        if any(folder in mount.source.parents for folder in own):  # the command must work as printed
            mount.source.mkdir(parents=True, exist_ok=True)
    spec = None
    if plan.spec is not None:
        private = private_spec(plan, {secret.name: MASK for secret in plan.secrets})
        spec = (input_dir if private is None else input_dir / SECRET_SPEC_DIR) / plan.spec.file_name
        name = spec.relative_to(site.run_dir).as_posix()
        write_new(site.run_dir, name, (private or plan.spec.text).encode())
    gpus = plan.gpus.ids or tuple(str(index) for index in range(plan.gpus.count))
    if target_of(plan.backend).gpus is GpuSource.SCHEDULED:
        gpus = ()  # the engine chooses
    backend = load_backend(plan.backend)
    request = backend.request(plan, Launch(site.run_id, site.run_dir, gpus))
    for name, text in request.scripts.items():
        write_new(site.run_dir, name, text.encode(), mode=0o700)
    variables = {secret.variable: MASK for secret in plan.secrets if secret.variable is not None}
    shown = replace(request, command=unwrapped(plan, request.command), env={**request.env, **variables})
    return Simulation(plan, shown, spec, _made_first(plan, request) + backend.command_line(shown))


def _made_first(plan: RunPlan, request: EngineRequest) -> str:
    """Shell commands that create the folders a run needs. A dry run does not change the project."""
    missing = {str(mount.source) for mount in request.mounts if mount.source == plan.results_dir}
    if not missing or plan.results_dir.exists():
        return ""
    return f"{shlex.join(['mkdir', '-p', *missing])} && "
