"""The line that opens a shell in a container of another host, on the terminal of this machine. Pure."""

from __future__ import annotations

import base64
import gzip
import json
import shlex
from dataclasses import replace as with_fields
from pathlib import Path

from taorunner.backends.contract import Launch
from taorunner.backends.docker.remote.host import program
from taorunner.backends.docker.remote.request import user_there
from taorunner.backends.docker.request import docker_request, docker_run
from taorunner.backends.far.files import packed
from taorunner.backends.login_host import SSH
from taorunner.container_options import Mount
from taorunner.planning.model.plan import RunPlan
from taorunner.project.clusters.far_place import FarPlace
from taorunner.project.workspace import Workspace
from taorunner.values.value import replace

_FIND_SHELL = 'exec "$(command -v bash || echo /bin/sh)"'
_UNPACK = """d=$(mktemp -d) || exit 1
trap 'rm -rf "$d"' EXIT
trap 'exit 129' HUP TERM
echo "$1" | base64 -d | tar -xzf - -C "$d" || exit 1
python3 "$d" shell "$2"
"""
"""The program is a word of it: the input is the terminal."""


def shell_line(plan: RunPlan, launch: Launch, *, tty: bool) -> list[str]:
    """It waits for GPUs, holds their leases while the shell lives, and ends with its code."""
    settings = plan.backend_options
    host, there = str(settings["host"]), str(settings.get("workspace") or plan.workspace).rstrip("/")
    place = FarPlace(host, plan.workspace, there, plan.workspace)
    mounts = [one for one in plan.mounts if not one.source.is_relative_to(launch.run_dir)]
    user = user_there(plan.options.user)
    options = replace(plan.options, user=user, groups=(), interactive=True, tty=tty)
    argv = plan.argv or ("/bin/sh", "-c", _FIND_SHELL)
    own = docker_request(replace(plan, argv=argv, options=options), launch, plan.backend)
    seen = tuple(Mount(Path(place.path(one.source)), one.target, one.read_only) for one in mounts)
    workspace = Workspace(plan.workspace)
    layout = {workspace.root, workspace.projects_dir, workspace.repositories_dir}
    made = [
        one.source
        for one in mounts
        if one.source in layout or one.source.is_relative_to(workspace.inside_dir)
    ]
    job = {
        "run_id": launch.run_id,
        "name": own.name,
        "gpus": plan.gpus.count,
        "leases": settings.get("leases"),
        "folders": [place.path(path) for path in made],
        "words": docker_run(with_fields(own, mounts=seen))[2:],
    }
    files = packed({name: (text.encode(), 0o600) for name, text in program().items()})
    code = base64.b64encode(gzip.compress(files, mtime=0)).decode()
    words = ["sh", "-c", _UNPACK, "sh", code, json.dumps(job)]
    return [*SSH, "-t" if tty else "-T", "--", host, shlex.join(words)]
