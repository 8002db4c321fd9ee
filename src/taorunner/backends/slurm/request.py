"""From a plan to the job of a cluster: its scripts, and the line that submits them. Pure."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taorunner.backends.contract import EngineRequest, Follows, Launch
from taorunner.backends.far.run import Delivery, delivery, far_run
from taorunner.backends.secrets import INPUT_DIR, SECRETS_DIR, masked, wrapped
from taorunner.backends.slurm import containers
from taorunner.backends.slurm.containers import Bind, Container
from taorunner.backends.slurm.folder import FOLDER, Cluster
from taorunner.backends.slurm.script import (
    BATCH_SCRIPT,
    MESSAGES,
    NODE_SCRIPT,
    Job,
    batch_script,
    console_of,
    node_script,
)
from taorunner.backends.slurm.states import Asked
from taorunner.backends.slurm.target import (
    DEFAULT_REQUEUES,
    DEFAULT_SIGNAL_S,
    DEFAULT_UNKNOWN_S,
    is_far,
    runtime_of,
    signal_problem,
)
from taorunner.container_options import Mount
from taorunner.contracts import Framework, ResumeRule
from taorunner.errors import EngineRefusedError
from taorunner.planning.model.plan import SECRET_SPEC_DIR, RunPlan
from taorunner.project.clusters.far_place import far_place
from taorunner.project.limits import time_limit_s
from taorunner.text import size


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmRequest(EngineRequest):
    """``job`` is what the scripts are made of, ``cluster`` how they are handed over.

    ``delivery`` is what goes before them to a cluster whose disk this machine does not see. ``awaits_models``: it can
    only be shown, because nothing would put the models of its chain into it. ``together`` as in ``Launch``.
    """

    job: Job
    cluster: Cluster
    delivery: Delivery | None = None
    awaits_models: bool = False
    together: int = 1


def slurm_request(plan: RunPlan, launch: Launch, backend: str) -> SlurmRequest:
    """Raises EngineRefusedError for a plan that the cluster could not run."""
    settings = plan.backend_options
    runtime = runtime_of(settings)
    seen = Seen(plan, settings.get("workspace"))
    in_container = runtime != "none"
    if not in_container and seen.is_elsewhere:
        text = f'without a container, the nodes must see the workspace at the same path, not at "{seen.workspace}"'
        raise EngineRefusedError(text, hint="remove workspace, or set container.runtime")
    place = far_place(plan.workspace, backend, settings)
    folder = f"{seen.path(launch.run_dir)}/{FOLDER}"
    mounts = _mounts(plan, launch) if in_container else ()
    command = _command(plan, plan.run_inside if in_container else str(launch.run_dir / INPUT_DIR))
    env = {**{name: str(value) for name, value in settings.get("env", {}).items()}, **plan.env}
    started = container_start(plan, launch, seen, folder, mounts, tuple(sorted(env)))
    asked = asked_of(plan, launch.follows)
    job = Job(
        run_id=launch.run_id,
        folder=folder,
        directives=_directives(plan, asked),
        arguments=_arguments(settings, folder),
        command=command,
        env=env,
        setup=tuple(settings.get("setup", ())),
        nodes=plan.resources.nodes,
        gpus=plan.gpus.count,
        owns_nodes=settings.get("exclusive", False),
        requeues=_requeues(plan),
        umask=settings.get("umask", "077"),
        results=seen.path(plan.results_dir),
        checkpoints=plan.contract.checkpoints.globs if plan.contract.action == "train" else (),
        step_options=started.step_options,
        launcher=started.launcher,
        before=started.before,
        follows=launch.follows,
        since=_since(launch, seen),
        inputs=_inputs(plan, seen.path(launch.run_dir)),
        secrets=f"{seen.path(launch.run_dir)}/{INPUT_DIR}/{SECRETS_DIR}" if place is not None else "",
    )
    return SlurmRequest(
        run_id=launch.run_id,
        backend=backend,
        argv=masked(plan.argv),
        command=command,
        run_dir=launch.run_dir,
        image=plan.image if in_container else None,
        env=env,
        mounts=mounts,
        gpus=launch.gpu_ids,
        resources=plan.resources,
        scripts={f"{FOLDER}/{BATCH_SCRIPT}": batch_script(job), f"{FOLDER}/{NODE_SCRIPT}": node_script(job)},
        job=job,
        cluster=Cluster(
            settings.get("host"), launch.run_id, settings.get("unknown_after_s", DEFAULT_UNKNOWN_S), asked,
            None if place is None else far_run(plan, launch, place),
        ),
        delivery=None if place is None else delivery(plan, launch, place, mounts),
        awaits_models=bool(plan.awaits) and launch.follows is None,
        together=launch.together,
    )  # fmt: skip


def _since(launch: Launch, seen: Seen) -> tuple[str, ...]:
    """The folders of the runs that make the models of a chain; "" where a model may be of any time."""
    models = launch.follows.models if launch.follows is not None else ()
    return tuple(f"{seen.path(one.since)}/{FOLDER}" if one.since is not None else "" for one in models)


def _inputs(plan: RunPlan, run_dir: str) -> tuple[str, ...]:
    """Where the models of a chain are named: the command, the spec, and its private copy."""
    name = plan.spec.file_name if plan.spec is not None else None
    folders = (f"{run_dir}/{INPUT_DIR}", f"{run_dir}/{INPUT_DIR}/{SECRET_SPEC_DIR}")
    return (NODE_SCRIPT, *(f"{folder}/{name}" for folder in folders if name is not None))


def _command(plan: RunPlan, input_dir: str) -> tuple[str, ...]:
    """The words that a node runs. ``input_dir`` is where it finds the run's input."""
    argv = plan.argv
    if plan.contract.framework is Framework.EMBEDDED:
        argv = (sys.executable, "-m", "taorunner.embedded", *plan.argv)
    return wrapped(plan, input_dir, argv)


def container_start(
    plan: RunPlan,
    launch: Launch,
    seen: Seen,
    folder: str,
    mounts: tuple[Mount, ...],
    variables: tuple[str, ...],
) -> containers.Start:
    """What starts the command on a node. ``folder`` is that of the scripts, empty where there are none."""
    runtime = runtime_of(plan.backend_options)
    in_container = runtime != "none"
    binds = tuple(Bind(seen.path(mount.source), mount.target, mount.read_only) for mount in mounts)
    if runtime == "pyxis" and folder:
        # node.sh runs inside. Of the folder only its log is writable there: a link in the place of another file would
        # lead what Slurm and the batch script write, outside of the container
        consoles = (f"{folder}/{console_of(rank)}" for rank in range(plan.resources.nodes))
        script = f"{folder}/{NODE_SCRIPT}"
        binds = (*binds, Bind(script, script, read_only=True), *(Bind(path, path) for path in consoles))
    bad = containers.separators(binds, runtime)
    if bad is not None:
        raise EngineRefusedError(f'{runtime} cannot mount "{bad}"', hint="a path without colons and commas")
    return containers.start(
        runtime,
        Container(
            image=_image(plan, plan.backend_options, runtime) if in_container else "",
            binds=binds,
            name=f"taorunner-{launch.run_id}",
            env=variables,
            workdir=plan.options.workdir or (None if in_container else str(launch.run_dir)),
            gpus=plan.gpus.count,
            shm_bytes=plan.options.shm_bytes,
            user=plan.options.user,
            is_far=is_far(plan.backend_options),
            has_terminal=plan.options.tty,
        ),
    )


class Seen:
    """Paths of this host as the nodes see them."""

    def __init__(self, plan: RunPlan, workspace: str | None) -> None:
        self._here = plan.workspace
        self.workspace = (workspace or str(plan.workspace)).rstrip("/") or "/"
        self.is_elsewhere = self.workspace != str(plan.workspace)

    def path(self, path: Path) -> str:
        if path.is_relative_to(self._here):
            return str(Path(self.workspace) / path.relative_to(self._here))
        return str(path)


def _mounts(plan: RunPlan, launch: Launch) -> tuple[Mount, ...]:
    if any(mount.target == plan.run_inside for mount in plan.mounts):
        return plan.mounts
    return (*plan.mounts, Mount(launch.run_dir / INPUT_DIR, plan.run_inside, read_only=True))


def _image(plan: RunPlan, settings: Any, runtime: str) -> str:
    if not plan.image:
        what = f"{plan.contract.network} {plan.action}"
        raise EngineRefusedError(
            f'no container image is known for "{what}"',
            hint="set image in experiments.yml, or add --image IMAGE",
        )
    if runtime == "docker":
        return plan.image
    return f"{settings['container']['images'].rstrip('/')}/{containers.image_file(plan.image, runtime)}"


def _requeues(plan: RunPlan) -> int:
    """None for a training whose checkpoints would be in vain: without taorunner only TAO itself resumes."""
    if plan.contract.action == "train" and plan.contract.checkpoints.resume is not ResumeRule.AUTO:
        return 0 if plan.contract.checkpoints.globs else _wanted(plan)
    return _wanted(plan)


def _wanted(plan: RunPlan) -> int:
    found: int = plan.backend_options.get("requeue", DEFAULT_REQUEUES)
    return found


def asked_of(plan: RunPlan, follows: Follows | None = None) -> Asked:
    settings, wanted = plan.backend_options, plan.resources
    seconds = _time_s(plan)
    memory = None if wanted.memory_bytes is None else size(wanted.memory_bytes)
    per_gpu = settings.get("mem_per_gpu")
    if memory is None and per_gpu is not None and wanted.gpus.count:
        memory = f"{per_gpu} for each GPU"
    return Asked(
        partition=settings.get("partition"), account=settings.get("account"), qos=settings.get("qos"),
        gpus=wanted.gpus.count, gpu_type=settings.get("gpu_type"),
        time=None if seconds is None else slurm_time(seconds), memory=memory,
        workspace=settings.get("workspace") or str(plan.workspace),
        after=None if follows is None else follows.action,
    )  # fmt: skip


def _time_s(plan: RunPlan) -> int | None:
    if plan.resources.time_s is not None:
        return plan.resources.time_s
    written = plan.backend_options.get("time")
    return None if written is None else time_limit_s(written)


def slurm_time(seconds: int) -> str:
    """``1-02:30:00``; Slurm counts in minutes and rounds up by itself."""
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock


def _directives(plan: RunPlan, asked: Asked) -> tuple[str, ...]:
    return (*placement(plan, asked), f"--signal=B:USR2@{_signal_s(plan)}")


def placement(plan: RunPlan, asked: Asked) -> tuple[str, ...]:
    """What is asked of the cluster, as options of ``sbatch`` and ``srun``."""
    settings, wanted = plan.backend_options, plan.resources
    gpus = wanted.gpus.count
    found = [f"--{key}={settings[key]}" for key in ("partition", "account", "qos") if key in settings]
    if gpus:
        found.append("--gpus-per-node=" + (f"{asked.gpu_type}:{gpus}" if asked.gpu_type else str(gpus)))
    if wanted.cpus is not None:
        found.append(f"--cpus-per-task={wanted.cpus}")
    elif gpus and "cpus_per_gpu" in settings:
        found.append(f"--cpus-per-gpu={settings['cpus_per_gpu']}")
    if wanted.memory_bytes is not None:
        found.append(f"--mem={-(-wanted.memory_bytes // (1 << 20))}M")
    elif gpus and "mem_per_gpu" in settings:
        found.append(f"--mem-per-gpu={settings['mem_per_gpu']}")
    if settings.get("exclusive"):
        found.append("--exclusive")
    if asked.time is not None:
        found.append(f"--time={asked.time}")
    return tuple(found)


def _signal_s(plan: RunPlan) -> int:
    time_s, written = _time_s(plan), plan.backend_options.get("signal_before_s")
    if time_s is None:
        return DEFAULT_SIGNAL_S if written is None else int(written)
    if written is None:
        return min(DEFAULT_SIGNAL_S, time_s // 4)
    why = signal_problem(written, time_s)
    if why is not None:
        raise EngineRefusedError(
            f"signal_before_s: {why}", hint="a smaller signal_before_s, or a longer time"
        )
    return int(written)


def _arguments(settings: Any, folder: str) -> tuple[str, ...]:
    """Words that a ``#SBATCH`` line could not hold: paths and free text.

    Slurm reads ``%`` and backslashes of its output file as patterns; then only the script itself writes there.
    """
    is_plain = not set("%\\\n") & set(folder)
    found = [f"--output={folder}/{MESSAGES}" if is_plain else "--output=/dev/null", "--chdir=/"]
    if "constraint" in settings:
        found.append(f"--constraint={settings['constraint']}")
    return (*found, *settings.get("options", ()))
