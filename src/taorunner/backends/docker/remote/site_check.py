"""What can be proved of docker on another host before a run: the login, engine, GPUs, leases and workspace there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from taorunner.backends.docker.remote.host import RemoteHost
from taorunner.errors import Finding, MachineError, Severity, TaorunnerError
from taorunner.project.clusters.cluster_file import Cluster
from taorunner.text import amount, printable
from taorunner.values.bounded_reading import JsonError, parse_json


def check_host(cluster: Cluster, workspace: str | None, environ: Mapping[str, str]) -> Iterator[Finding]:
    """One finding for each thing. ``workspace`` is its path there, if any."""
    name, settings, sync = cluster.host or "", cluster.settings, f"taorunner clusters sync {cluster.name}"
    host = RemoteHost(name, environ)
    try:
        facts = read_facts(host.probe(workspace or "/", settings.get("leases")))
    except TaorunnerError as error:
        yield Finding(Severity.ERROR, "cluster-login", error.message, error.hint)
        return
    yield Finding(Severity.OK, "cluster-login", f'"{name}" lets you in, as user {facts.get("uid")}')
    yield from _of_engine(name, facts)
    yield from _of_gpus(name, facts)
    if workspace is not None:
        yield from _of_workspace(name, workspace, facts, sync, is_shared=settings.get("shared") is True)


def read_facts(text: str) -> dict[str, Any]:
    """Raises MachineError for what is no answer."""
    try:
        body = parse_json(text)
    except JsonError:
        body = None
    if not isinstance(body, dict):
        raise MachineError("the host gave no whole answer", hint="does its shell print something at a login?")
    return body


def _of_engine(name: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
    error = facts.get("docker_error")
    if error is not None:
        text = f'no docker engine can be used on "{name}": {printable(str(error))[:300]}'
        yield Finding(
            Severity.ERROR, "cluster-docker", text, f"make this work first: ssh {name} docker version"
        )
        return
    yield Finding(
        Severity.OK, "cluster-docker", f"docker engine {printable(str(facts.get('docker')))} answers"
    )
    security = " ".join(map(str, facts.get("security") or ()))
    if "rootless" in security or "userns" in security:
        text = f'the engine on "{name}" maps users: what a run writes would not belong to you'
        yield Finding(
            Severity.WARNING, "cluster-users", text, "use an engine that is not rootless and has no userns"
        )


def _of_gpus(name: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
    error = facts.get("gpus_error")
    gpus = facts.get("gpus") or []
    if error is not None or not gpus:
        text = printable(str(error or "it has none")).replace("there", f'on "{name}"', 1)
        hint = f"make this work first: ssh {name} nvidia-smi"
        yield Finding(Severity.WARNING, "cluster-gpus", f"runs with GPUs are refused: {text}", hint)
    else:
        kinds = ", ".join(sorted({printable(str(one)) for one in gpus}))
        yield Finding(Severity.OK, "cluster-gpus", f"{amount(len(gpus), 'GPU')}: {kinds}")
    error = facts.get("leases_error")
    if error is not None:
        text = printable(str(error)).replace("there", f'on "{name}"', 1)
        hint = "give it mode 1777 there; or leases: another folder for all users of that host"
        yield Finding(Severity.ERROR, "cluster-leases", text, hint)


def _of_workspace(
    name: str, workspace: str, facts: Mapping[str, Any], sync: str, *, is_shared: bool
) -> Iterator[Finding]:
    if facts.get("workspace") is not True:
        hint = "workspace: its path there; or shared: false" if is_shared else f"{sync} makes it"
        severity = Severity.ERROR if is_shared else Severity.WARNING
        yield Finding(severity, "cluster-workspace", f'there is no folder "{workspace}" on "{name}"', hint)
    if facts.get("writable") is not True:
        text = f'"{workspace}" cannot be written on "{name}"'
        yield Finding(Severity.ERROR, "cluster-workspace", text, "workspace: a folder of yours there")
    elif facts.get("workspace") is True:
        yield Finding(Severity.OK, "cluster-workspace", f'"{workspace}" is there')
    if facts.get("rsync") is not True and not is_shared:
        text = f'there is no rsync on "{name}"'
        yield Finding(Severity.WARNING, "cluster-sync", text, "install rsync there, for clusters sync")
