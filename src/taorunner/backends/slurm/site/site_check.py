"""Proves what a run of a Slurm cluster needs: login, partition, account, GPUs, and on a node the shared folder and the
container runtime.

Asks the commands of Slurm and makes findings, each with the next step.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from taorunner.backends.slurm.site.node_probe import NodeAnswer, had_no_room, node_step, read_step, step_words
from taorunner.backends.slurm.site.site_reading import (
    ACCOUNTING,
    BROKEN_NODES,
    SINFO,
    account_refusals,
    read_accounting,
    read_broken_nodes,
    read_partitions,
    refusals,
)
from taorunner.backends.slurm.states import Asked, refusal
from taorunner.backends.slurm.target import RUNTIMES, runtime_of
from taorunner.errors import Finding, MachineError, Severity
from taorunner.host_commands import CommandResult
from taorunner.planning.model.plan import Resources
from taorunner.text import amount, duration, printable, size
from taorunner.values.bounded_reading import whole_number

Ask = Callable[[Sequence[str], float], CommandResult]
"""Runs a command on the login node, with a time limit in seconds. Raises MachineError if the node is out of reach."""

_LOW_BYTES = 10 * 1024**3
_ASK_S, _STEP_S = 20.0, 40.0
_REFUSED = frozenset(
    f"cluster-{what}" for what in ("partition", "account", "qos", "gpus", "nodes", "scheduler")
)


def check_site(
    settings: Mapping[str, Any], resources: Resources, ask: Ask, token: tuple[str, str] | None
) -> Iterator[Finding]:
    """Everything that can be proved, one finding each. ``token`` is a file as the nodes see it, and its text."""
    started = time.monotonic()
    try:
        version = ask(("sinfo", "--version"), _ASK_S)
    except MachineError as error:
        yield _error("cluster-login", error.message, error.hint or "name a login node: host: login1")
        return
    host = settings.get("host")
    where = f"ssh {host}" if host is not None else "this machine"
    if not version.succeeded:
        message = f"{where} has no answer to sinfo: {printable(version.last_words)}"
        yield _error(
            "cluster-login",
            message,
            "host: a login node, which ssh reaches without a password",
        )
        return
    took = time.monotonic() - started
    yield _ok("cluster-login", f"{where}, {took:.1f}s; {version.stdout.strip()[:40]}")
    found = []
    for check in (_partitions, _accounts):
        for finding in check(settings, resources, _patient(ask)):
            found.append(finding)
            yield finding
        if any(finding.code == "cluster-scheduler" for finding in found):
            return
    yield from _nodes(settings, resources, _patient(ask), token, found)
    yield from _images(settings, _patient(ask))
    yield from _room(settings, _patient(ask), token)


def _patient(ask: Ask) -> Ask:
    """A command that takes too long, or a login that breaks off, is one that failed."""

    def asked(argv: Sequence[str], within_s: float) -> CommandResult:
        try:
            return ask(argv, within_s)
        except MachineError as error:
            return CommandResult(tuple(argv), 255, "", error.message)

    return asked


def _partitions(settings: Mapping[str, Any], resources: Resources, ask: Ask) -> Iterator[Finding]:
    done = ask(SINFO, _ASK_S)
    partitions = read_partitions(done.stdout)
    if not done.succeeded or not partitions:
        said = printable(done.last_words).removeprefix("slurm_load_partitions: ")
        hint = "runs go on without it; the site's administrators know when it comes back"
        yield _error("cluster-scheduler", f"the scheduler does not answer: {said}", hint)
        return
    wrong = list(refusals(settings, resources, partitions))
    yield from wrong
    named = settings.get("partition")
    if named is None:
        message = f"no partition is named: Slurm takes its default; there are {', '.join(sorted(partitions))}"
        yield Finding(Severity.WARNING, "cluster-partition", message, "partition: the one for GPUs")
        return
    for name in named.split(","):
        one = partitions.get(name)
        if one is not None and not any(finding.code == "cluster-partition" for finding in wrong):
            limit = f"limit {duration(one.limit_s)}" if one.limit_s is not None else "no limit"
            counts = f"{amount(one.nodes, 'node')}, {one.idle} idle"
            yield _ok("cluster-partition", f"{name}: {counts}; GPUs {one.gpu_text}; {limit}")
    if not any(finding.code == "cluster-partition" for finding in wrong):
        yield from _broken_nodes(
            named.split(","), sum(partitions[name].nodes for name in named.split(",")), ask
        )


def _broken_nodes(names: Sequence[str], count: int, ask: Ask) -> Iterator[Finding]:
    """``count`` is that of all nodes of these partitions."""
    broken = read_broken_nodes(ask(BROKEN_NODES, _ASK_S).stdout, names)
    is_all = sum(len(one.nodes) for one in broken) >= count
    for one in broken:
        more = f" and {len(one.nodes) - 3} more" if len(one.nodes) > 3 else ""
        are = "is" if len(one.nodes) == 1 else "are"
        why = f": {one.reason}" if one.reason not in ("", "none") else ""
        message = printable(f"{', '.join(one.nodes[:3])}{more} {are} {one.state}{why}")
        if is_all:
            yield _error(
                "cluster-nodes", f"no node can start a run: {message}", "ask the site, or another partition"
            )
        else:
            yield Finding(Severity.WARNING, "cluster-nodes", message, "sinfo -R says since when")


def _accounts(settings: Mapping[str, Any], resources: Resources, ask: Ask) -> Iterator[Finding]:
    done = ask(ACCOUNTING, _ASK_S)
    accounting = read_accounting(done.stdout)
    if not done.succeeded or not accounting.rows:
        yield Finding(Severity.INFO, "cluster-limits", "sacctmgr tells no limits: accounts are not checked")
        return
    wrong = list(account_refusals(settings, accounting))
    yield from wrong
    account, qos = settings.get("account"), settings.get("qos")
    if not any(finding.code == "cluster-account" for finding in wrong):
        free = "" if accounting.is_enforced else " (any account may be named here)"
        yours = f"yours are {', '.join(accounting.accounts)}{free}"
        yield _ok("cluster-account", f"account {account or 'of your default'}; {yours}")
    if not wrong and (known := accounting.qos(account)):
        yield _ok("cluster-qos", f"QOS {qos or 'of your account'}; there are {', '.join(known)}")


def _nodes(
    settings: Mapping[str, Any], resources: Resources, ask: Ask, token: tuple[str, str] | None,
    found: Sequence[Finding],
) -> Iterator[Finding]:  # fmt: skip
    """What a step on the nodes shows, of as many nodes as a run takes."""
    runtime = runtime_of(settings)
    if runtime == "none":
        yield Finding(
            Severity.INFO, "cluster-runtime", "no container runtime: TAO's programs of the nodes are used"
        )
    elif runtime == "pyxis":
        yield from _pyxis(ask)
    if any(finding.is_error and finding.code in _REFUSED for finding in found):
        yield Finding(Severity.INFO, "cluster-folder", "not tried on a node: Slurm would not start it")
        return
    done = ask(node_step(settings, resources.nodes, token[0] if token is not None else None), _STEP_S)
    answers = read_step(done.stdout)
    if not answers:
        yield _no_answer(settings, done)
        return
    if runtime not in ("none", "pyxis"):
        yield _runtime(runtime, answers)
    if token is not None:
        yield _folder(token, answers, done)
    if resources.nodes > 1:
        yield _names(answers, resources.nodes)


def _no_answer(settings: Mapping[str, Any], done: CommandResult) -> Finding:
    if had_no_room(done.stderr) or "took longer" in done.stderr:
        message = "not proved: no node was free within 10s"
        return Finding(Severity.WARNING, "cluster-folder", message, "check it again when a node is idle")
    asked = Asked(
        partition=settings.get("partition"), account=settings.get("account"), qos=settings.get("qos")
    )
    if "Unable to allocate" in done.stderr:
        end = refusal(done.stderr.replace("srun: error: Unable to allocate resources: ", ""), asked)
        return _error(
            "cluster-refused", end.reason.replace("sbatch refused", "Slurm refuses"), end.hint or ""
        )
    message = f"a step on a node failed: {printable(step_words(done.stderr))}"
    return _error("cluster-step", message, "srun -N1 hostname: try it on the login node")


def _pyxis(ask: Ask) -> Iterator[Finding]:
    if ask(("sh", "-c", "srun --help 2>&1 | grep -q -e --container-image"), _ASK_S).succeeded:
        yield _ok("cluster-runtime", "pyxis, an option of srun here")
    else:
        yield _no_runtime("pyxis", "this cluster")


def _runtime(runtime: str, answers: Sequence[NodeAnswer]) -> Finding:
    without = [one for one in answers if not one.runtime]
    if without:
        return _no_runtime(runtime, printable(without[0].node))
    return _ok(
        "cluster-runtime", f"{runtime}, {printable(answers[0].runtime)} on {printable(answers[0].node)}"
    )


def _no_runtime(runtime: str, where: str) -> Finding:
    others = ", ".join(name for name in RUNTIMES if name not in (runtime, "none"))
    hint = f"container.runtime: another of {others}, or none"
    if runtime != "pyxis":
        hint = f"setup: a line such as module load {runtime}; or {hint}"
    return _error("cluster-runtime", f"{where} has no {runtime}", hint)


def _folder(token: tuple[str, str], answers: Sequence[NodeAnswer], done: CommandResult) -> Finding:
    path, text = token
    folder = path.rpartition("/")[0]
    blind = [one for one in answers if one.token.strip() != text]
    if not blind:
        nodes = ", ".join(printable(one.node) for one in answers[:3])
        return _ok("cluster-folder", f"{folder}: written here, read on {nodes}")
    why = f": {printable(step_words(done.stderr))}" if done.stderr.strip() else ": another file is there"
    message = f'{printable(blind[0].node)} does not see this workspace at "{folder}"{why}'
    return _error("cluster-folder", message, "workspace: the path of this workspace on the nodes")


def _names(answers: Sequence[NodeAnswer], count: int) -> Finding:
    lost = next((one for one in answers if one.lost), None)
    if lost is not None:
        message = f"{printable(lost.node)} does not know the address of {printable(lost.lost)}"
        return _error(
            "cluster-names", message, "nodes: 1, or ask the site: getent hosts must find every node"
        )
    return _ok("cluster-names", f"{amount(count, 'node')} know each other by name")


def _images(settings: Mapping[str, Any], ask: Ask) -> Iterator[Finding]:
    container = settings.get("container")
    folder = container.get("images") if isinstance(container, Mapping) else None
    if not isinstance(folder, str):
        return
    done = ask(("sh", "-c", f"ls -1 {shlex.quote(folder)}"), _ASK_S)
    if not done.succeeded:
        hint = f"mkdir -p {shlex.quote(folder)}, on the cluster"
        yield _error("cluster-images", f'the folder of images cannot be read: "{folder}"', hint)
        return
    count = len(done.stdout.splitlines())
    if count:
        yield _ok("cluster-images", f"{folder}: {count} there")
    else:
        message = f"{folder} is empty: the first run imports its image"
        yield Finding(Severity.WARNING, "cluster-images", message)


def _room(settings: Mapping[str, Any], ask: Ask, token: tuple[str, str] | None) -> Iterator[Finding]:
    folder = settings.get("workspace") or (token[0].rpartition("/")[0] if token is not None else None)
    if folder is None:
        return
    done = ask(("df", "-Pk", folder), _ASK_S)
    fields = done.stdout.splitlines()[-1].split() if done.succeeded and done.stdout else []
    blocks = whole_number(fields[3]) if len(fields) >= 6 else None
    if blocks is None:
        return
    free = blocks * 1024
    text = f"{size(free)} free where the workspace is"
    if free < _LOW_BYTES:
        yield Finding(
            Severity.WARNING, "cluster-disk", text, "make room, or name another folder in workspace:"
        )
    else:
        yield _ok("cluster-disk", text)


def _ok(code: str, message: str) -> Finding:
    return Finding(Severity.OK, code, message)


def _error(code: str, message: str, hint: str) -> Finding:
    return Finding(Severity.ERROR, code, message, hint)
