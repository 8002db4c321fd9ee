"""Proves what a run of a Slurm cluster needs: login, partition, account, GPUs, container runtime, the shared folder.

The texts of ``sinfo`` and ``sacctmgr`` are read by pure functions; ``check_site`` asks for them and makes findings,
each with the next step. ``refusals`` are what Slurm would accept and never start.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from taorunner.errors import Finding, MachineError, Severity
from taorunner.host_commands import CommandResult
from taorunner.planning.model.plan import Resources
from taorunner.text import amount, did_you_mean, duration, printable, size
from taorunner.values.value import Value

Ask = Callable[[Sequence[str], float], CommandResult]
"""Runs a command on the login node within so many seconds; raises MachineError where that cannot be reached."""

SINFO = ("sinfo", "-h", "-o", "%R|%a|%l|%D|%t|%G")
ASSOCIATIONS = 'sacctmgr -nP show assoc user="$(id -un)" format=account,partition,qos'
_RUNTIME_COMMANDS = {
    "pyxis": "srun --help 2>&1 | grep -q -e --container-image",
    "apptainer": "command -v apptainer || command -v singularity",
    "charliecloud": "command -v ch-run",
    "docker": "command -v docker",
}
_LOW_BYTES = 10 * 1024**3
_ASK_S, _STEP_S = 20.0, 40.0


class Gpus(Value):
    """So many GPUs of a type ("" where the site names none) on each of so many nodes."""

    kind: str
    count: int
    nodes: int


class Partition(Value):
    """``limit_s`` is None without a limit; ``idle`` and ``nodes`` are numbers of nodes."""

    name: str
    is_up: bool
    limit_s: int | None
    nodes: int
    idle: int
    gpus: tuple[Gpus, ...] = ()

    @property
    def gpu_text(self) -> str:
        """``h100:4 ×2, l4:8 ×1``"""
        return ", ".join(f"{one.kind or 'gpu'}:{one.count} ×{one.nodes}" for one in self.gpus) or "none"


class Association(Value):
    """A row of the accounting for one user. ``partition`` is empty for every partition."""

    account: str
    partition: str
    qos: tuple[str, ...]


def read_partitions(text: str) -> dict[str, Partition]:
    """Of ``sinfo -h -o '%R|%a|%l|%D|%t|%G'``, whose rows are one for each state and kind of nodes."""
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        parts = line.strip().split("|", 5)
        if len(parts) != 6 or not parts[3].isdigit():
            continue
        name, up, limit, count, state, gres = parts
        known = found.get(name, Partition(name, up == "up", slurm_seconds(limit), 0, 0))
        nodes = int(count)
        gpus = [*known.gpus]
        for kind, number in gres_gpus(gres):
            same = next((one for one in gpus if (one.kind, one.count) == (kind, number)), None)
            if same is not None:
                gpus.remove(same)
            gpus.append(Gpus(kind, number, nodes + (same.nodes if same is not None else 0)))
        is_idle = state.rstrip("*~#!%$@^-").startswith("idle")
        found[name] = Partition(
            name, known.is_up, known.limit_s, known.nodes + nodes, known.idle + (nodes if is_idle else 0),
            tuple(gpus),
        )  # fmt: skip
    return found


def gres_gpus(text: str) -> list[tuple[str, int]]:
    """``gpu:h100:8(S:0-1),shm:1`` to ``[("h100", 8)]``; the type is "" for ``gpu:4``."""
    plain = re.sub(r"\([^)]*\)", "", text)
    return [
        (match[1] or "", int(match[2]))
        for part in plain.split(",")
        if (match := re.fullmatch(r"gpu:(?:([A-Za-z0-9_.+-]+):)?([0-9]{1,4})", part.strip())) is not None
    ]


def slurm_seconds(text: str) -> int | None:
    """Seconds of ``D-HH:MM:SS``, ``HH:MM:SS``, ``MM:SS`` or minutes; None for ``infinite`` and other text."""
    match = re.fullmatch(r"(?:([0-9]{1,4})-)?([0-9]{1,4})(?::([0-9]{2}))?(?::([0-9]{2}))?", text.strip())
    if match is None:
        return None
    days, first, second, third = match.groups()
    if days is not None or third is not None:
        return int(days or 0) * 86400 + int(first) * 3600 + int(second or 0) * 60 + int(third or 0)
    return int(first) * 60 + int(second or 0)


def read_associations(text: str) -> list[Association]:
    """Of ``sacctmgr -nP show assoc format=account,partition,qos``."""
    rows = [line.split("|") for line in text.splitlines() if line.count("|") == 2]
    return [Association(row[0], row[1], tuple(filter(None, row[2].split(",")))) for row in rows]


def refusals(
    settings: Mapping[str, Any], resources: Resources, partitions: Mapping[str, Partition]
) -> Iterator[Finding]:
    """Why no node of the cluster would ever start a run with these resources."""
    named = settings.get("partition")
    names = named.split(",") if isinstance(named, str) else []
    for name in names:
        if name not in partitions:
            hint = did_you_mean(name, partitions) or f"there are {', '.join(sorted(partitions))}"
            yield _error("cluster-partition", f'there is no partition "{name}"', hint)
    asked = [partitions[name] for name in names if name in partitions]
    if not asked:
        return
    for one in asked:
        if not one.is_up:
            hint = "ask the site, or name another partition"
            yield _error("cluster-partition", f'the partition "{one.name}" is closed', hint)
    limits = [one.limit_s for one in asked]
    longest = None if None in limits else max(limit for limit in limits if limit is not None)
    if resources.time_s is not None and longest is not None and resources.time_s > longest:
        message = f"{duration(resources.time_s)} are asked for, {_names(asked)} allows {duration(longest)}"
        yield _error(
            "cluster-time", f"a run would wait for ever: {message}", f"time: at most {_clock(longest)}"
        )
    if resources.nodes > max(one.nodes for one in asked):
        message = (
            f"{_names(asked)} has {amount(max(one.nodes for one in asked), 'node')}, not {resources.nodes}"
        )
        yield _error("cluster-nodes", message, "use fewer nodes, or another partition")
    kind, count = settings.get("gpu_type"), resources.gpus.count
    if count or kind is not None:
        fitting = [
            gpus
            for one in asked
            for gpus in one.gpus
            if kind in (None, gpus.kind) and gpus.count >= max(count, 1)
        ]
        if not fitting:
            what = f"{amount(max(count, 1), 'GPU')}{f' of type {kind}' if kind is not None else ''}"
            offers = "; ".join(one.gpu_text for one in asked)
            kinds = {gpus.kind for one in asked for gpus in one.gpus}
            meant = did_you_mean(kind, kinds) if isinstance(kind, str) and kind not in kinds else None
            message = f"no node of {_names(asked)} has {what}: there are {offers}"
            yield _error("cluster-gpus", message, meant or "gpus: and gpu_type: as sinfo has them")


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
    yield from _partitions(settings, resources, ask)
    yield from _accounts(settings, ask)
    yield from _runtime(settings, ask)
    yield from _folder(settings, ask, token)
    yield from _images(settings, ask)
    yield from _room(settings, ask, token)


def _partitions(settings: Mapping[str, Any], resources: Resources, ask: Ask) -> Iterator[Finding]:
    done = ask(SINFO, _ASK_S)
    partitions = read_partitions(done.stdout)
    if not done.succeeded or not partitions:
        hint = "sinfo: the site's administrators know when it comes back"
        yield _error(
            "cluster-partition", f"sinfo does not list partitions: {printable(done.last_words)}", hint
        )
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


def _accounts(settings: Mapping[str, Any], ask: Ask) -> Iterator[Finding]:
    done = ask(("sh", "-c", ASSOCIATIONS), _ASK_S)
    rows = read_associations(done.stdout) if done.succeeded else []
    if not rows:
        yield Finding(Severity.INFO, "cluster-limits", "sacctmgr tells no limits: accounts are not checked")
        return
    accounts = sorted({row.account for row in rows})
    account, qos = settings.get("account"), settings.get("qos")
    if account is not None and account not in accounts:
        hint = did_you_mean(account, accounts)
        yours = f"yours are {', '.join(accounts)}"
        yield _error(
            "cluster-account", f'the account "{account}" is not yours', f"{hint} {yours}" if hint else yours
        )
    else:
        yield _ok("cluster-account", f"{account or 'your default'}; yours are {', '.join(accounts)}")
    known = sorted({name for row in rows if account in (None, row.account) for name in row.qos})
    if qos is not None and known and qos not in known:
        hint = did_you_mean(qos, known) or f"there are {', '.join(known)}"
        yield _error("cluster-qos", f'your account has no QOS "{qos}"', hint)


def _runtime(settings: Mapping[str, Any], ask: Ask) -> Iterator[Finding]:
    container = settings.get("container")
    runtime = container.get("runtime") if isinstance(container, Mapping) else None
    command = _RUNTIME_COMMANDS.get(str(runtime))
    if command is None:
        yield Finding(
            Severity.INFO, "cluster-runtime", "no container runtime: TAO's programs of the nodes are used"
        )
    elif ask(("sh", "-c", command), _ASK_S).succeeded:
        yield _ok("cluster-runtime", f"{runtime}, seen where the commands run")
    else:
        hint = f"container.runtime: another of {', '.join(_RUNTIME_COMMANDS)}, or none"
        yield _error("cluster-runtime", f"this cluster has no {runtime}", hint)


def _folder(settings: Mapping[str, Any], ask: Ask, token: tuple[str, str] | None) -> Iterator[Finding]:
    if token is None:
        return
    path, text = token
    words = ["srun", "-Q", "-I10", "-N1", "-n1", "--time=1", "--export=NONE", "-D", "/"]
    for key in ("partition", "account", "qos"):
        words += [f"--{key}={settings[key]}"] if settings.get(key) else []
    try:
        done = ask([*words, "sh", "-c", f"hostname; cat {shlex.quote(path)}"], _STEP_S)
    except MachineError as error:
        yield Finding(
            Severity.WARNING, "cluster-folder", f"not proved: {error.message}", "check it again later"
        )
        return
    node, _, read = done.stdout.partition("\n")
    if done.succeeded and read.strip() == text:
        yield _ok(
            "cluster-folder", f"{path.rpartition('/')[0]}: written here, read on {printable(node[:80])}"
        )
    elif not node and re.search(r"Unable to allocate|Requested nodes are busy|immediate", done.stderr):
        message = "not proved: no node was free within 10s"
        yield Finding(Severity.WARNING, "cluster-folder", message, "check it again when a node is idle")
    else:
        message = (
            f'a node does not see this workspace at "{path.rpartition("/")[0]}": {printable(done.last_words)}'
        )
        yield _error("cluster-folder", message, "workspace: the path of this workspace on the nodes")


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
    if len(fields) < 6 or not fields[3].isdigit():
        return
    free = int(fields[3]) * 1024
    text = f"{size(free)} free where the workspace is"
    if free < _LOW_BYTES:
        yield Finding(
            Severity.WARNING, "cluster-disk", text, "make room, or name another folder in workspace:"
        )
    else:
        yield _ok("cluster-disk", text)


def _names(partitions: Sequence[Partition]) -> str:
    return ", ".join(f'"{one.name}"' for one in partitions)


def _clock(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    clock = f"{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    return f"{days}-{clock}" if days else clock


def _ok(code: str, message: str) -> Finding:
    return Finding(Severity.OK, code, message)


def _error(code: str, message: str, hint: str) -> Finding:
    return Finding(Severity.ERROR, code, message, hint)
