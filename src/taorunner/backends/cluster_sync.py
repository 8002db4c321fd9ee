"""Copies projects, datasets and weights to the far side of a cluster, and results back, with rsync over ssh.

Nothing is deleted anywhere, and what is there already is not copied again: rsync compares sizes and times. A copy that
was interrupted goes on where it stopped.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence

from taorunner import host_commands
from taorunner.backends.login_host import SSH, run_at
from taorunner.errors import MachineError, UserFilesError
from taorunner.project.clusters.cluster_file import Cluster
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.text import printable
from taorunner.values.value import Value

_MEASURE_S = 600.0
_GRACE_S = 10.0
"""For rsync to put a half file where the next copy finds it: killed, it leaves it under a name of chance."""
_COMMON = ("-a", "-R", "-s", "--partial-dir=.rsync-partial", "--no-owner", "--no-group", "--update")


class Transfer(Value):
    """``argv`` is rsync's command line; ``what`` are the folders that it copies, relative to the workspace.

    ``host`` and ``folder`` are the far workspace, ``is_back``: from there to here.
    """

    argv: tuple[str, ...]
    what: tuple[str, ...]
    host: str
    folder: str
    is_back: bool


class Amount(Value):
    """What a transfer would copy."""

    files: int
    size_bytes: int


def transfer(
    cluster: Cluster,
    workspace: Workspace,
    projects: Sequence[str],
    environ: Mapping[str, str],
    *,
    results: bool,
) -> Transfer:
    """Of these projects: their files and weights to the cluster, or with ``results`` their results from there.

    Raises:
        UserFilesError: the cluster has no host, so that its files are here.
    """
    host = cluster.host
    if host is None:
        raise _without_host(cluster)
    folder = str(cluster.settings.get("workspace") or workspace.root).rstrip("/")
    at, port = _of_rsync(host)
    ssh = ("-e", shlex.join([*SSH, *(("-p", port) if port else ())]))
    if results:
        what = tuple(f"projects/{name}/models" for name in projects)
        sources = [f"{at}:{folder}/./{one}" for one in what]
        argv = ("rsync", *_COMMON, "--safe-links", *ssh, *sources, f"{workspace.root}/")
        return Transfer(argv, what, host, folder, True)
    what = (*(f"projects/{name}" for name in projects), *_weights(workspace, projects, environ))
    sources = [f"{workspace.root}/./{one}" for one in what]
    left_out = [f"--exclude=/{one}/models/" for one in what if one.startswith("projects/")]
    argv = ("rsync", *_COMMON, "--copy-unsafe-links", *left_out, *ssh, *sources, f"{at}:{folder}/")
    return Transfer(argv, what, host, folder, False)


def _without_host(cluster: Cluster) -> UserFilesError:
    settings = cluster.target.settings
    if "host" not in settings and "context" in settings:  # its disk is a claim
        message = f'the cluster "{cluster.name}" is reached by kubectl, which copies nothing here'
        return UserFilesError(message, hint="mount the claim on this machine, which runs there need anyway")
    message = f'the cluster "{cluster.name}" has no host: its nodes see the files of this machine'
    hint = "host: a login node, where its files are elsewhere" if "host" in settings else None
    return UserFilesError(message, hint=hint)


def _of_rsync(host: str) -> tuple[str, str]:
    """``user@host`` as rsync takes it, and the port of an address that has one."""
    if not host.startswith("ssh://"):
        return host, ""
    plain = host[len("ssh://") :]
    name, _, port = plain.rpartition(":")
    return (name, port) if name and port.isdecimal() else (plain, "")


def measure(job: Transfer, environ: Mapping[str, str]) -> Amount:
    """Asks both sides what differs; copies nothing. Raises MachineError when one of them cannot be asked."""
    _make_folder(job, environ, is_dry=True)
    argv = (job.argv[0], "-n", "--stats", "--no-human-readable", *job.argv[1:])
    done = host_commands.run(argv, timeout_s=_MEASURE_S, env={**environ, "LC_ALL": "C"})
    _refuse(job, done)
    return Amount(
        _number(r"Number of regular files transferred: ([0-9]+)", done.stdout),
        _number(r"Total transferred file size: ([0-9]+)", done.stdout),
    )


def copy(job: Transfer, environ: Mapping[str, str], report: Callable[[int], None]) -> None:
    """``report`` gets the number of bytes that were copied, now and then.

    Raises MachineError when it fails; the same command goes on where it stopped.
    """
    _make_folder(job, environ, is_dry=False)
    argv = (job.argv[0], "--info=progress2", "--outbuf=N", "--no-human-readable", *job.argv[1:])

    def said(block: bytes) -> None:
        lines = re.split(rb"[\r\n]", block)
        amounts = [match[1] for line in lines if (match := re.match(rb" *([0-9]+) +[0-9]+% ", line))]
        if amounts:
            report(int(amounts[-1]))

    _refuse(job, host_commands.run_followed(argv, said, env=environ, grace_s=_GRACE_S).as_text)


def _weights(workspace: Workspace, projects: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The folders of pretrained weights that the experiments name, where they are there."""
    named = {
        experiment.repository
        for name in projects
        for experiment in load_project(workspace, name, environ).experiments.values()
        if experiment.repository is not None
    }
    return [f"repositories/{name}" for name in sorted(named) if (workspace.repositories_dir / name).is_dir()]


def _make_folder(job: Transfer, environ: Mapping[str, str], *, is_dry: bool) -> None:
    """rsync makes one folder, not those above it. A measure leaves the far side as it is."""
    if job.is_back:
        return
    script = f"mkdir -p {shlex.quote(job.folder)}" if not is_dry else "command -v rsync >/dev/null"
    done = run_at(job.host, ["sh", "-c", script], timeout_s=30, env=environ)
    if not done.succeeded:
        if is_dry:
            raise MachineError(f'there is no rsync on "{job.host}"', hint="install rsync there")
        raise MachineError(
            f'the folder "{job.folder}" cannot be made on "{job.host}": {printable(done.last_words)}'
        )


def _refuse(job: Transfer, done: host_commands.CommandResult) -> None:
    if done.succeeded or done.code == 24:  # 24: files vanished while they were read
        return
    hint = "the same command continues" if done.code != 23 else None
    lines = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("rsync error")]
    said = lines[0].strip() if lines else done.last_words
    raise MachineError(f'rsync with "{job.host}" failed: {printable(said[:300])}', hint=hint)


def _number(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    return int(match[1]) if match is not None else 0
