"""``clusters check`` of a Slurm cluster, and what is refused before a submit.

Asks the login host, and puts a file where a node has to read it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from taorunner import host_commands
from taorunner.atomic_files import write_text
from taorunner.backends.login_host import run_at
from taorunner.backends.scheduled_backend import resources_of
from taorunner.backends.slurm.site.site_check import Ask, check_site
from taorunner.backends.slurm.site.site_reading import (
    ACCOUNTING,
    SINFO,
    account_refusals,
    read_accounting,
    read_partitions,
    refusals,
)
from taorunner.errors import Finding, MachineError, Severity
from taorunner.planning.model.plan import Resources, RunPlan
from taorunner.project.clusters.cluster_file import Cluster
from taorunner.project.clusters.far_place import far_place
from taorunner.project.workspace import Workspace

_ASK_S = 15.0
_LOGIN_S = 40.0
_SITE_KEYS = ("partition", "account", "qos")
TOKEN = "cluster-check"
"""The file in the state folder that a node has to read."""


def asker(host: str | None, environ: Mapping[str, str]) -> Ask:
    """Runs commands on ``host``, or on this machine without one."""

    def ask(argv: Sequence[str], within_s: float) -> host_commands.CommandResult:
        return run_at(host, argv, timeout_s=within_s, env=environ)

    return ask


def check_cluster(
    cluster: Cluster, workspace: Workspace | None, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """One finding for each thing, in the order in which a run needs them.

    Writes one small file into the state folder of ``workspace``, and removes it.
    """
    resources = resources_of(cluster)
    ask = asker(cluster.host, environ)
    if workspace is None:
        yield from check_site(cluster.settings, resources, ask, None)
        return
    text = secrets.token_hex(16)
    file = workspace.state_dir / TOKEN
    far = str(cluster.settings.get("workspace") or workspace.root)
    if far_place(workspace.root, cluster.backend, cluster.settings) is not None:
        yield from _with_token_there(
            cluster, resources, ask, f"{far.rstrip('/')}/{file.relative_to(workspace.root)}"
        )
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text + "\n")
        place = (f"{far.rstrip('/')}/{file.relative_to(workspace.root)}", text)
        yield from check_site(cluster.settings, resources, ask, place)
    finally:
        file.unlink(missing_ok=True)


def _with_token_there(cluster: Cluster, resources: Resources, ask: Ask, path: str) -> Iterator[Finding]:
    """The file is written by the login host, whose disk this machine does not see."""
    text = secrets.token_hex(16)
    script = 'umask 077; mkdir -p "${1%/*}" && echo "$2" >"$1"'
    try:
        try:
            ask(["sh", "-c", script, "sh", path, text], _LOGIN_S)
        except MachineError as error:
            yield Finding(Severity.ERROR, "cluster-login", error.message, error.hint)
            return
        yield from check_site(cluster.settings, resources, ask, (path, text))
    finally:
        with suppress(MachineError):
            ask(["rm", "-f", path], _ASK_S)


def never_starting(plans: Sequence[RunPlan], environ: Mapping[str, str]) -> list[Finding]:
    """What Slurm would refuse, or take and never start, each once. Nothing where it cannot be asked in some seconds.

    Asks only for runs that name a partition, an account or a QOS, once for each login node.
    """
    by_host: dict[str | None, list[RunPlan]] = {}
    for plan in plans:
        if any(plan.backend_options.get(key) is not None for key in _SITE_KEYS):
            by_host.setdefault(plan.backend_options.get("host"), []).append(plan)
    found: list[Finding] = []
    for host, of_host in by_host.items():
        ask = asker(host, environ)
        partitions = read_partitions(_answer(ask, SINFO))
        if not partitions:
            continue
        names_account = any(
            plan.backend_options.get(key) is not None for plan in of_host for key in ("account", "qos")
        )
        accounting = read_accounting(_answer(ask, ACCOUNTING) if names_account else "")
        for plan in of_host:
            found += refusals(plan.backend_options, plan.resources, partitions)
            found += account_refusals(plan.backend_options, accounting)
    return list(dict.fromkeys(found))


def _answer(ask: Ask, argv: Sequence[str]) -> str:
    """Empty where there is none."""
    try:
        done = ask(argv, _ASK_S)
    except MachineError:
        return ""
    return done.stdout if done.succeeded else ""
