"""plan_shell: turns a request for a shell into a RunPlan. Reads files, changes nothing, reports all problems.

The container of a shell is planned like that of a run: the same mounts, environment, secrets and options, and the same
backend code. The plan has no spec and no results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from taorunner.container_options import ContainerOptions, Mount, PublishedPort
from taorunner.contracts import (
    CheckpointContract,
    Contract,
    Framework,
    GpuUse,
    ProgressContract,
    VerdictContract,
)  # fmt: skip
from taorunner.errors import UserFilesError
from taorunner.gpu.inventory import Inventory
from taorunner.planning.inputs.environment import RUN_INSIDE, base_environment, split_secrets
from taorunner.planning.inputs.run_mounts import hidden_state, home_of, own_mounts, state_findings
from taorunner.planning.model.plan import (
    DEFAULT_SHM_BYTES,
    DEFAULT_ULIMITS,
    SHELL,
    GpuRequest,
    Resources,
    RunPlan,
)
from taorunner.planning.model.request import Caller, Site
from taorunner.project.container_words import read_env, read_volume
from taorunner.project.experiments import Experiment
from taorunner.project.limits import NO_LIMITS
from taorunner.project.mounts import MountEntry, Mounts, load_mounts, mounts_from_file
from taorunner.project.workspace import Workspace
from taorunner.shell.image import choose_image, find_experiment
from taorunner.shell.option_parsing import (
    LOOPBACK,
    read_gpus,
    read_ports,
    read_shm_size,
    read_ulimit,
)  # fmt: skip
from taorunner.shell.request import Notebook, PlannedShell, ShellPlanning, ShellRequest
from taorunner.shell.source_tree import INSIDE as SOURCE_INSIDE
from taorunner.shell.source_tree import SourceTree
from taorunner.targets import DOCKER
from taorunner.text import amount

NOTEBOOK_PORT = 8888
TOKEN_VARIABLE = "JUPYTER_TOKEN"
"""Read by every Jupyter server; other users cannot read a process's environment. Source: Jupyter Server documentation,
"Running a public Jupyter server"; jupyter_server auth/identity.py."""

_TERMINALS = frozenset(
    {"ansi", "dumb", "linux", "rxvt", "rxvt-unicode-256color", "screen", "screen-256color", "tmux", "tmux-256color",
     "vt100", "vt220", "xterm", "xterm-256color", "xterm-color"}
)  # fmt: skip
"""Terminal types known in every Debian-like image. Source: Debian package ncurses-base, list of files."""
_FALLBACK_TERMINAL = "xterm-256color"

_T = TypeVar("_T")


def plan_shell(
    workspace: Workspace, project: str | None, request: ShellRequest, caller: Caller, site: Site, *,
    here: Path, inventory: Inventory, free_port: Callable[[], int],
) -> PlannedShell:  # fmt: skip
    """``here`` is the current folder, ``free_port`` returns an unused port of this host.

    Raises:
        UsageError, UserFilesError, MachineError: with all problems of the command line, the files and this machine.
    """
    planning = ShellPlanning(workspace, project, request, caller, here, inventory, free_port)
    experiment = find_experiment(planning)
    source = _source(planning)
    image = choose_image(planning, experiment, source)
    files = _mounts_files(planning)
    mounts = _mounts(planning, files, image, source, site)
    gpus = _gpus(planning, experiment)
    limits = experiment.limits if experiment is not None else NO_LIMITS
    env = _env(planning, files, experiment, source)
    options = _options(planning, files, experiment)
    options, notebook, command = _notebook(planning, options, env)
    planning.raise_for_errors()
    plain, secrets = split_secrets(env)
    workdir = _workdir(planning, mounts, source)
    plan = RunPlan(
        project=project or "",
        experiment=request.experiment or "",
        action=SHELL,
        backend=DOCKER.name,
        contract=_contract(request, experiment, image),
        argv=command,
        workspace=workspace.root,
        results_dir=workspace.root,
        results_inside="",
        run_inside=RUN_INSIDE,
        image=image,
        env=plain,
        mounts=mounts,
        resources=Resources(gpus=gpus, cpus=limits.cpus, memory_bytes=limits.memory_bytes),
        secrets=secrets,
        options=replace(options, workdir=workdir),
        make_dirs=(home_of(workspace, image), workspace.hidden_dir),
    )
    return PlannedShell(plan, notebook, tuple(planning.files))


def _source(planning: ShellPlanning) -> SourceTree | None:
    given = planning.request.source
    if given is None:
        return None
    root = Path(planning.here, given.expanduser())
    if not root.is_dir():
        planning.problem(f'--source "{given}": no such folder', "give the folder of a source tree")
        return None
    return SourceTree(root.resolve())


def _mounts_files(planning: ShellPlanning) -> tuple[Mounts, ...]:
    """The mounts of the workspace, then those of the file on the command line."""
    given = planning.request.mounts_file
    found = [load_mounts(planning.workspace, planning.caller.environ)]
    if given is not None:
        file = Path(planning.here, given.expanduser())
        found.append(mounts_from_file(file, planning.caller.environ, planning.home))
    for mounts in found:
        planning.files += [finding for finding in mounts.findings if finding not in planning.files]
    return tuple(found)


def _mounts(
    planning: ShellPlanning,
    files: tuple[Mounts, ...],
    image: str | None,
    source: SourceTree | None,
    site: Site,
) -> tuple[Mount, ...]:
    entries = [
        Mount(entry.source, entry.destination, entry.read_only)
        for mounts in files
        for entry in mounts.entries
    ]
    entries += planning.each(
        "--volume", planning.request.volumes, lambda word: read_volume(word, planning.here, planning.home)
    )
    if source is not None:
        entries.append(Mount(source.root, SOURCE_INSIDE))
    planning.files += state_findings(planning.workspace, entries)
    entries += [*hidden_state(planning.workspace, entries), *own_mounts(planning.workspace, image, site)]
    taken: dict[str, Mount] = {}
    for entry in entries:
        there = taken.setdefault(entry.target, entry)
        if there != entry:
            planning.problem(
                f'two mounts at "{entry.target}": "{there.source}" and "{entry.source}"',
                "give each its own destination",
            )
    return tuple(taken.values())


def _gpus(planning: ShellPlanning, experiment: Experiment | None) -> GpuRequest:
    """From the command line, else the experiment, else one GPU; without any GPU here, none unless requested."""
    seen = len(planning.inventory.gpus)
    word = planning.request.gpus
    if word is None:
        if experiment is not None and experiment.gpu_ids:
            return GpuRequest(len(experiment.gpu_ids), experiment.gpu_ids)
        count = experiment.gpus if experiment is not None else None
        return GpuRequest(min(1, seen) if count is None else count)
    wanted = planning.each("--gpus", (word,), read_gpus)
    if not wanted:
        return GpuRequest()
    asked = wanted[0]
    if isinstance(asked, int):
        if seen and asked > seen:
            planning.lacks(
                "too-few-gpus",
                f"--gpus {asked}: this machine has {amount(seen, 'GPU')}",
                f"use --gpus {seen}, or --gpus all",
            )
        return GpuRequest(asked)
    if asked is None:
        asked = tuple(str(gpu.index) for gpu in planning.inventory.gpus)
        if not asked:
            reason = planning.inventory.reason or "no GPU found"
            hint = "--gpus none goes without"
            planning.lacks("gpus-unknown", f"--gpus all: {reason}", hint)
    return GpuRequest(len(asked), asked)


def _env(
    planning: ShellPlanning,
    files: tuple[Mounts, ...],
    experiment: Experiment | None,
    source: SourceTree | None,
) -> dict[str, str]:
    request, environ = planning.request, planning.caller.environ
    env = base_environment(planning.caller.name)
    if request.terminal is not None:
        term = environ.get("TERM", "")
        env["TERM"] = term if term in _TERMINALS else _FALLBACK_TERMINAL
        env |= {name: environ[name] for name in ("COLORTERM", "NO_COLOR") if environ.get(name)}
    for mounts in files:
        env |= mounts.env
    env |= {} if experiment is None else experiment.env
    if request.jupyter:
        env[TOKEN_VARIABLE] = request.token
    env |= dict(planning.each("--env", request.env, lambda word: read_env(word, environ)))
    if source is not None:
        theirs = env.get("PYTHONPATH")
        env["PYTHONPATH"] = f"{source.python_path}:{theirs}" if theirs else source.python_path
    return env


def _options(
    planning: ShellPlanning, files: tuple[Mounts, ...], experiment: Experiment | None
) -> ContainerOptions:
    """In order of precedence: command line, experiment, file of the command line, file of the workspace."""
    request, caller = planning.request, planning.caller
    given = [mounts.options for mounts in reversed(files)]
    own = f"{caller.uid}:{caller.gid}"
    user = next((options.user for options in given if options.user), None)
    if experiment is not None and experiment.user:
        user = experiment.user
    shm_bytes = next((options.shm_bytes for options in given if options.shm_bytes), None)
    if experiment is not None and experiment.shm_bytes:
        shm_bytes = experiment.shm_bytes
    ulimits: Mapping[str, int] = next(
        (options.ulimits for options in given if options.ulimits), DEFAULT_ULIMITS
    )
    limits = planning.each("--ulimit", request.ulimits, read_ulimit)
    privileged = any(options.privileged for options in given)
    return ContainerOptions(
        user=own if request.run_as_user else user or own,
        groups=caller.groups,
        shm_bytes=planning.one("--shm-size", request.shm_size, read_shm_size)
        or shm_bytes
        or DEFAULT_SHM_BYTES,
        ulimits={**ulimits, **{name: soft for name, soft, _ in limits}},
        hard_ulimits={name: hard for name, soft, hard in limits if hard != soft},
        published=_published(planning, files),
        network=next((options.network for options in given if options.network), None),
        privileged=privileged,
        tty=request.terminal is not None,
        interactive=True,
        terminal=request.terminal,
    )


def _published(planning: ShellPlanning, files: tuple[Mounts, ...]) -> tuple[PublishedPort, ...]:
    ports = [
        PublishedPort(inside, outside) for mounts in files for inside, outside in mounts.options.ports.items()
    ]
    for found in planning.each(
        "--port", planning.request.ports, lambda word: read_ports(word, planning.free_port)
    ):
        ports += found
    taken: dict[tuple[str, int, str], PublishedPort] = {}
    for port in ports:
        there = taken.setdefault((port.address, port.outside, port.protocol), port)
        if there != port:
            planning.problem(f"port {port.outside} of this machine is published twice", "choose another one")
    return tuple(taken.values())


def _notebook(
    planning: ShellPlanning, options: ContainerOptions, env: Mapping[str, str]
) -> tuple[ContainerOptions, Notebook | None, tuple[str, ...]]:
    """Options, address and command with a notebook; without one, the options and command unchanged."""
    request = planning.request
    is_host = options.network == "host"
    if is_host and options.published:
        planning.warn(
            "ports-unused",
            'with the network "host" no port is published: what listens inside can be reached from outside',
        )
        options = replace(options, published=())
    if not request.jupyter:
        return options, None, request.command
    token = env[TOKEN_VARIABLE]
    known = None if token.startswith(("env:", "file:")) else token
    port = next((port for port in options.published if port.inside == NOTEBOOK_PORT), None)
    if port is None:
        port = PublishedPort(NOTEBOOK_PORT, planning.free_port())
        if not is_host:
            options = replace(options, published=(*options.published, port))
    address, inside = (LOOPBACK, port.outside) if is_host else ("0.0.0.0", NOTEBOOK_PORT)
    command: tuple[str, ...] = ("jupyter", "notebook", f"--ip={address}", f"--port={inside}", "--no-browser")
    if (options.user or "").partition(":")[0] in ("0", "root"):
        command += ("--allow-root",)  # otherwise it refuses to run as root
    host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(port.address, port.address)
    return options, Notebook(host, port.outside, known), (*command, *request.command)


def _workdir(planning: ShellPlanning, mounts: tuple[Mount, ...], source: SourceTree | None) -> str | None:
    """The container path of the current folder; None (the default of the image) when it is not mounted."""
    entries = tuple(MountEntry(mount.source, mount.target) for mount in mounts)
    try:
        return Mounts(entries).to_inside(planning.here)
    except UserFilesError:
        if not planning.request.jupyter:
            return None
    return SOURCE_INSIDE if source is not None else entries[0].destination  # the root of the notebook


def _contract(request: ShellRequest, experiment: Experiment | None, image: str | None) -> Contract:
    head = request.head or (experiment.head if experiment is not None else None)
    return Contract(
        network=head or request.group or SHELL, action=SHELL, group=request.group or "", framework=Framework.PYT,
        release=request.release or "", image=image, command=(), arguments=(), spec=None,
        progress=ProgressContract(""), verdict=VerdictContract(), checkpoints=CheckpointContract(),
        gpu_use=GpuUse.MANY,
    )  # fmt: skip
