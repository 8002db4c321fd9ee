"""From a plan to a container on another host: what the keeper there is given, and what must be there first. Pure."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from dataclasses import replace as with_fields
from pathlib import Path

from taorunner.backends.contract import Launch
from taorunner.backends.docker.remote.far.choice import LOGIN
from taorunner.backends.docker.remote.far.keeper import JOB
from taorunner.backends.docker.remote.folder import FOLDER, Place
from taorunner.backends.docker.remote.host import program
from taorunner.backends.docker.request import DockerRequest, docker_request, docker_run
from taorunner.backends.far.run import Delivery, delivery, far_run
from taorunner.container_options import Mount
from taorunner.errors import EngineRefusedError
from taorunner.planning.model.plan import RunPlan
from taorunner.project.clusters.far_place import FarPlace, far_place
from taorunner.values.value import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteRequest(DockerRequest):
    """``place`` is how the host is reached, ``delivery`` what is carried to it and must be there. ``gpu_count``: the
    keeper chooses that many GPUs. The sources of ``mounts`` are paths of the host."""

    place: Place
    delivery: Delivery
    gpu_count: int = 0


def remote_request(plan: RunPlan, launch: Launch, backend: str) -> RemoteRequest:
    """Raises EngineRefusedError when no image or no host is known."""
    settings = plan.backend_options
    host = settings.get("host")
    if not isinstance(host, str):
        raise EngineRefusedError("docker on another host needs a host", hint="backend_options: {host: NAME}")
    far = far_place(plan.workspace, backend, settings)
    there = far or FarPlace(host, plan.workspace, _workspace(plan), plan.workspace)
    own = docker_request(plan, launch, backend)
    needed = delivery(plan, launch, there, own.mounts)
    if far is None:
        needed = replace(needed, earlier=(), aside=(), views=(), is_shared=True)
    mounts = tuple(Mount(Path(there.path(one.source)), one.target, one.read_only) for one in own.mounts)
    options = replace(own.options, user=user_there(own.options.user), groups=())
    seen = with_fields(own, mounts=mounts, options=options)
    place = Place(
        host, launch.run_id, there.path(launch.run_dir), own.image or "", plan.gpus.count, needed.sync,
        None if far is None else far_run(plan, launch, far),
    )  # fmt: skip
    job = {
        "run_id": launch.run_id,
        "name": own.name,
        "gpus": plan.gpus.count,
        "leases": settings.get("leases"),
        "words": docker_run(seen)[2:],
    }
    files = {**program(), JOB: json.dumps(job, indent=1)}
    fields = {name: getattr(seen, name) for name in DockerRequest.__dataclass_fields__}
    fields["scripts"] = {f"{FOLDER}/{name}": text for name, text in files.items()}
    return RemoteRequest(**fields, place=place, delivery=needed, gpu_count=plan.gpus.count)


def user_there(user: str | None) -> str | None:
    """The user of the login, where a container would have had the caller's ids."""
    return LOGIN if user == f"{os.getuid()}:{os.getgid()}" else user


def command_line(request: RemoteRequest) -> str:
    """What starts the same container there; the GPUs are any, where the keeper takes free ones."""
    words = docker_run(request)
    if request.gpu_count:
        words[2:2] = ["--gpus", str(request.gpu_count)]
    line = shlex.join(words).replace(LOGIN, '"$(id -u):$(id -g)"')
    return shlex.join(["ssh", request.place.host, line])


def _workspace(plan: RunPlan) -> str:
    return str(plan.backend_options.get("workspace") or plan.workspace).rstrip("/")
