"""The line that opens a shell on a node of a cluster, in the container that its runs have. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from taorunner.backends.contract import Launch
from taorunner.backends.login_host import SSH
from taorunner.backends.slurm.containers import Start
from taorunner.backends.slurm.request import Seen, asked_of, container_start, placement
from taorunner.backends.slurm.target import runtime_of
from taorunner.planning.model.plan import RunPlan
from taorunner.project.workspace import Workspace
from taorunner.values.value import replace

_FIND_SHELL = 'exec "$(command -v bash || echo /bin/sh)"'


def shell_command(plan: RunPlan, launch: Launch, *, tty: bool) -> list[str]:
    """``srun``, by ssh where the cluster has a host. It waits for a node, and ends with the code of the shell."""
    settings = plan.backend_options
    seen = Seen(plan, settings.get("workspace"))
    in_container = runtime_of(settings) != "none"
    mounts = (
        tuple(one for one in plan.mounts if not one.source.is_relative_to(launch.run_dir))
        if in_container
        else ()
    )
    if not in_container:
        plan = replace(plan, options=replace(plan.options, workdir=seen.workspace))
    started = container_start(plan, launch, seen, "", mounts, tuple(sorted(plan.env)))
    words = [
        "srun",
        f"--job-name=tr-shell-{launch.run_id}",
        "--nodes=1",
        "--ntasks=1",
        "--export=NONE",
        "--chdir=/",
    ]
    words += [*placement(plan, asked_of(plan)), *settings.get("options", ()), *started.step_options]
    words += ["--pty"] if tty else []
    inside = Workspace(plan.workspace).inside_dir
    made = [seen.path(mount.source) for mount in mounts if mount.source.is_relative_to(inside)]
    words += ["/bin/sh", "-lc", _script(plan, started, made)]
    host = settings.get("host")
    return words if host is None else [*SSH, "-t" if tty else "-T", "--", str(host), shlex.join(words)]


def _script(plan: RunPlan, started: Start, made: Sequence[str]) -> str:
    """A login shell runs it, because ``--export=NONE`` leaves no PATH."""
    lines = [*plan.backend_options.get("setup", ())]
    lines += [
        f"umask {plan.backend_options.get('umask', '077')}",
        "unset SLURM_NTASKS SLURM_NPROCS SLURM_PROCID",
    ]
    lines += ['export USER="${USER:-$(id -un)}" LOGNAME="${LOGNAME:-$(id -un)}"']
    lines += ['[ -z "${SLURM_STEP_GPUS:-}" ] || export NVIDIA_VISIBLE_DEVICES="$SLURM_STEP_GPUS"']
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(plan.env.items())]
    lines += [shlex.join(["mkdir", "-p", *made])] if made else []
    command = shlex.join(plan.argv or ("/bin/sh", "-c", _FIND_SHELL))
    lines += [*started.before, f"exec {started.launcher} {command}"]
    return "\n".join(lines)
