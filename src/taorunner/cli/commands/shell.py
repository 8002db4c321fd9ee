"""``shell``: an interactive TAO container with the workspace's data, or with a source tree of TAO."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.action_options import gpu_count, gpu_ids
from taorunner.cli.help_pages import add_command
from taorunner.cli.option_sets import with_options
from taorunner.cli.options import Invocation, JsonOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import UsageError, UserFilesError

if TYPE_CHECKING:
    from taorunner.planning.model.request import Site
    from taorunner.project.workspace import Workspace
    from taorunner.shell.request import PlannedShell, ShellRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellOptions:
    """The options of ``shell``, one per field."""

    head: Annotated[Optional[str], option("--head", "Use the image of this network", word="HEAD")] = None
    group: Annotated[
        Optional[str],
        option("--group", "Use this image: pyt, tf1, tf2, deploy, ...", word="GROUP"),
    ] = None
    image: Annotated[Optional[str], option("--image", "Use this container image", word="IMAGE")] = None
    experiment: Annotated[
        Optional[str],
        option("--experiment", "-e", "Take image, GPUs and env of this experiment", word="EXPERIMENT"),
    ] = None
    release: Annotated[
        Optional[str], option("--release", "Use the image of this TAO release, such as 7.0.1", word="RELEASE")
    ] = None
    tag: Annotated[Optional[str], option("--tag", "Use this tag of the image", word="TAG")] = None
    gpus: Annotated[Optional[str], option("--gpus", "Use this number of GPUs; 0 for none", word="N|all")] = (
        None
    )
    gpu_indices: Annotated[
        Optional[str],
        option("--gpu-indices", "Use these GPUs: ids as in nvidia-smi (0,1) or auto", word="IDS"),
    ] = None
    volume: Annotated[
        Optional[list[str]], option("--volume", "Mount one more folder; may be repeated", word="SRC:DST[:ro]")
    ] = None
    env: Annotated[
        Optional[list[str]], option("--env", "Set a variable inside; may be repeated", word="NAME[=VALUE]")
    ] = field(default=None, repr=False)
    port: Annotated[
        Optional[list[str]],
        option("--port", "Publish [ADDR:][PORT:]PORT, on loopback by default", word="PORT"),
    ] = None
    mounts_file: Annotated[
        Optional[Path], option("--mounts-file", "Add the mounts of this file", word="FILE")
    ] = None
    shm_size: Annotated[
        Optional[str], option("--shm-size", "Set the shared memory, such as 16G", word="SIZE")
    ] = None
    ulimit: Annotated[
        Optional[list[str]],
        option("--ulimit", "Set a limit: NAME=SOFT[:HARD]; may be repeated", word="LIMIT"),
    ] = None
    run_as_user: Annotated[
        bool, option("--run-as-user", "Run as you, even if a mounts file names another user")
    ] = False
    cluster: Annotated[
        Optional[str], option("--cluster", "Open it on a node of this cluster", word="NAME")
    ] = None
    source: Annotated[
        Optional[Path], option("--source", "Mount this source tree, on PYTHONPATH", word="DIR")
    ] = None
    jupyter: Annotated[bool, option("--jupyter", "Start a notebook server and print its address")] = False
    no_tty: Annotated[bool, option("--no-tty", "Run without a terminal, as in a pipe")] = False
    dry_run: Annotated[bool, option("--dry-run", "Show the exact request; start nothing")] = False
    project: ProjectOption = None
    workspace: WorkspaceOption = None
    json: JsonOption = False


def _dashed(option: str) -> str:
    """Maps tao_pt's spelling of an option to the one used here."""
    return {"cached": "image"}.get(option, option.replace("_", "-"))


def register(app: typer.Typer) -> None:
    add_command(
        app, "shell", with_options(_shell), "Open a shell in a TAO container", "taorunner shell --head rtdetr",
        "taorunner shell -e rtdetr_01 -- python", spelling=_dashed,
    )  # fmt: skip


def _shell(
    context: typer.Context,
    words: Annotated[
        Optional[list[str]], typer.Argument(metavar="-- COMMAND", hidden=True, show_default=False)
    ] = None,
    *,
    options: ShellOptions,
) -> int:
    _refuse(words, json=options.json, dry_run=options.dry_run)
    root = _workspace(context.obj, options.workspace, options.experiment)
    name = None
    if options.experiment is not None:
        name, experiment = context.obj.experiment_named(root, options.experiment, options.project)
        options = replace(options, experiment=experiment)
    request = _request(context.obj.extra, options)
    if options.cluster is not None:
        return _on_cluster(context.obj, root, name, request, options)
    if options.dry_run:
        return _show(root, name, request, json=options.json)
    return _open(context.obj, root, name, request)


def _request(command: tuple[str, ...], options: ShellOptions) -> ShellRequest:
    from taorunner.shell.request import ShellRequest
    from taorunner.shell.terminal import has_terminal, size

    has_size = not options.no_tty and (options.dry_run or has_terminal())
    return ShellRequest(
        command=command, head=options.head, group=options.group, image=options.image,
        experiment=options.experiment, release=options.release, tag=options.tag,
        gpus=_gpu_word(options),
        volumes=tuple(options.volume or ()), env=tuple(options.env or ()), ulimits=tuple(options.ulimit or ()),
        ports=tuple(options.port or ()), mounts_file=options.mounts_file, shm_size=options.shm_size,
        run_as_user=options.run_as_user, source=options.source, jupyter=options.jupyter,
        terminal=size() if has_size else None,
    )  # fmt: skip


def _gpu_word(options: ShellOptions) -> str | None:
    """The GPUs in the form of ``read_gpus``."""
    count, ids = gpu_count(options.gpus), gpu_ids(options.gpu_indices)
    if count is not None and ids:
        raise UsageError("--gpus cannot be combined with --gpu-indices", hint="leave out one of them")
    if ids:
        return ",".join(ids)
    if count is None:
        return "auto" if ids is not None else None
    return "all" if count == "all" else f"auto:{count}" if count else "none"


def _refuse(words: list[str] | None, *, json: bool, dry_run: bool) -> None:
    """Raises UsageError for words before ``--``, and for JSON of an interactive shell."""
    if words:
        raise UsageError(
            f'"{words[0]}" is not an option',
            hint=f'put a command after "--": taorunner shell -- {" ".join(words)}',
        )
    if json and not dry_run:
        raise UsageError("--json needs --dry-run", hint="taorunner shell --dry-run --json")


def _workspace(invocation: Invocation, given: Path | None, experiment: str | None) -> Workspace:
    """The workspace; outside of one, a place in the home folder unless an experiment is named."""
    import os

    from taorunner.shell.workdirs import home_workspace

    try:
        return invocation.open_workspace(given)
    except UserFilesError:
        if experiment is not None:
            raise
    invocation.note("no workspace here: no data is mounted")
    return home_workspace(os.environ)


def _planned(workspace: Workspace, project: str | None, request: ShellRequest, site: Site) -> PlannedShell:
    """Raises with every problem; prints warnings."""
    import os
    import secrets
    import sys
    from dataclasses import replace

    from taorunner.console.base.findings_text import print_findings
    from taorunner.console.base.theme import make_console
    from taorunner.gpu.inventory import inventory
    from taorunner.planning.model.request import Caller
    from taorunner.shell.plan import plan_shell
    from taorunner.shell.session import free_port

    shell = plan_shell(
        workspace, project, replace(request, token=secrets.token_hex(24)), Caller.current(os.environ), site,
        here=Path.cwd(), inventory=inventory(), free_port=free_port,
    )  # fmt: skip
    if shell.findings:
        print_findings(make_console(sys.stderr, os.environ), shell.findings)
    return shell


def _show(workspace: Workspace, project: str | None, request: ShellRequest, *, json: bool) -> int:
    import os
    import sys

    from taorunner.backends.dry_run import simulate
    from taorunner.console.base.theme import make_console
    from taorunner.console.pages.dry_run_view import print_simulations
    from taorunner.planning.model.request import Site

    site = Site("dry-run-shell", workspace.dry_run_dir / "shell")
    shell = _planned(workspace, project, request, site)
    print_simulations(make_console(sys.stdout, os.environ), [simulate(shell.plan, site)], json=json)
    return 0


def _open(invocation: Invocation, workspace: Workspace, project: str | None, request: ShellRequest) -> int:
    import os
    import time

    from taorunner.backends.contract import PullProgress
    from taorunner.shell.session import open_shell
    from taorunner.shell.workdirs import shell_site
    from taorunner.text import size

    site = shell_site(workspace, request.experiment or request.head)
    shell = _planned(workspace, project, request, site)
    printed_s = 0.0

    def pulling(progress: PullProgress) -> None:
        nonlocal printed_s
        if time.monotonic() - printed_s >= 2:
            printed_s = time.monotonic()
            layers = f"{progress.layers_done} of {progress.layers} layers"
            invocation.note(f"pulling {progress.image}: {layers}, {size(progress.bytes_done)}")

    return open_shell(
        shell, site, os.environ, say=invocation.note, tell_address=_print_address, pulling=pulling
    )


def _on_cluster(
    invocation: Invocation,
    workspace: Workspace,
    project: str | None,
    request: ShellRequest,
    options: ShellOptions,
) -> int:
    import os

    from taorunner.backends.registry import load_backend
    from taorunner.cli.commands.clusters import known_cluster
    from taorunner.project.clusters.cluster_file import load_clusters
    from taorunner.shell.on_cluster import (
        NO_IMAGE,
        MakesRoomForShells,
        needs_image,
        open_there,
        opener,
        placed,
        shown,
    )
    from taorunner.shell.terminal import has_terminal
    from taorunner.shell.workdirs import shell_site

    _refuse_on_cluster(options)
    cluster = known_cluster(load_clusters(workspace, os.environ), options.cluster or "")
    backend = opener(load_backend(cluster.backend, os.environ), cluster)
    count = gpu_count(options.gpus) or 0
    image = request.image if needs_image(cluster) else request.image or NO_IMAGE
    site = shell_site(workspace, request.experiment or request.head)
    shell = _planned(workspace, project, replace(request, gpus="none", image=image), site)
    has_secrets = isinstance(backend, MakesRoomForShells)
    plan = placed(shell.plan, cluster, int(count), has_secrets=has_secrets)
    if shell.plan.secrets and not has_secrets:
        names = ", ".join(sorted(secret.variable or secret.name for secret in shell.plan.secrets))
        invocation.note(f"not set in a shell of a cluster: {names}")
    if options.dry_run:
        print(shown(backend, plan, site))
        return 0
    tty = not options.no_tty and has_terminal()
    return open_there(
        backend, plan, site, os.environ, tty=tty,
        pulling=lambda progress: invocation.note(f"importing {progress.image}") if not progress.layers_done else None,
        say=invocation.note,
    )  # fmt: skip


def _refuse_on_cluster(options: ShellOptions) -> None:
    """Raises UsageError for what belongs to a container of this machine."""
    given = {
        "--gpu-indices": options.gpu_indices, "--port": options.port, "--jupyter": options.jupyter,
        "--source": options.source, "--json": options.json,
    }  # fmt: skip
    for word, value in given.items():
        if value:
            raise UsageError(f"{word} cannot be combined with --cluster", hint="leave out one of them")
    if gpu_count(options.gpus) == "all":
        raise UsageError("--gpus all cannot be combined with --cluster", hint="name their number: --gpus 8")


def _print_address(address: str) -> None:
    """In a raw terminal a line feed does not return to the left margin."""
    import sys

    end = "\r\n" if sys.stderr.isatty() else "\n"
    typer.echo(f"{end}the notebook is at {address}{end}", nl=False, err=True)
