"""Reads what ``sinfo`` and ``sacctmgr`` say of a site, and names what Slurm would never start for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from taorunner.errors import Finding, Severity
from taorunner.planning.model.plan import Resources
from taorunner.text import amount, did_you_mean, duration, printable
from taorunner.values.bounded_reading import whole_number
from taorunner.values.value import Value

SINFO = ("sinfo", "-h", "-o", "%R|%a|%l|%D|%t|%G")
BROKEN_NODES = ("sinfo", "-h", "-N", "-t", "drain,down,fail", "-o", "%R|%N|%T|%E")
_ENFORCED = "scontrol show config | sed -n 's/^AccountingStorageEnforce *= */enforced /p'"
ACCOUNTING = (
    "sh",
    "-c",
    f'{_ENFORCED}; sacctmgr -nP show assoc user="$(id -un)" format=account,partition,qos',
)


class Gpus(Value):
    """GPUs of one type: how many each node has, and how many such nodes. The type is "" where the site names none."""

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


class Accounting(Value):
    """What one user may use. Slurm holds jobs to it only where ``is_enforced``."""

    rows: tuple[Association, ...]
    is_enforced: bool

    @property
    def accounts(self) -> list[str]:
        return sorted({row.account for row in self.rows})

    def qos(self, account: str | None) -> list[str]:
        """Those of the account; of all of them without one."""
        return sorted({name for row in self.rows if account in (None, row.account) for name in row.qos})


class BrokenNodes(Value):
    """Nodes of a partition that start nothing, ``reason`` as an administrator or Slurm wrote it."""

    state: str
    reason: str
    nodes: tuple[str, ...]


def read_partitions(text: str) -> dict[str, Partition]:
    """Of ``sinfo -h -o '%R|%a|%l|%D|%t|%G'``, whose rows are one for each state and kind of nodes."""
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        parts = line.strip().split("|", 5)
        if len(parts) != 6:
            continue
        name, up, limit, count, state, gres = parts
        nodes = whole_number(count)
        if nodes is None:
            continue
        known = found.get(name, Partition(name, up == "up", slurm_seconds(limit), 0, 0))
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


def read_accounting(text: str) -> Accounting:
    """Of ``ACCOUNTING``. A site whose configuration cannot be read is taken to enforce nothing."""
    rows = [line.split("|") for line in text.splitlines() if line.count("|") == 2]
    enforced = [line.partition(" ")[2] for line in text.splitlines() if line.startswith("enforced ")]
    found = [Association(row[0], row[1], tuple(filter(None, row[2].split(",")))) for row in rows]
    return Accounting(tuple(found), any("associations" in line.split(",") for line in enforced))


def read_broken_nodes(text: str, partitions: Sequence[str]) -> list[BrokenNodes]:
    """Of ``BROKEN_NODES``: those of these partitions, nodes with one reason together."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for line in text.splitlines():
        parts = line.split("|", 3)
        if len(parts) == 4 and parts[0] in partitions:
            state = parts[2].rstrip("*~#!%$@^-")
            found.setdefault((state, parts[3].strip()), {})[parts[1]] = None
    return [BrokenNodes(state, reason, tuple(nodes)) for (state, reason), nodes in found.items()]


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


def account_refusals(settings: Mapping[str, Any], accounting: Accounting) -> Iterator[Finding]:
    """Why Slurm would refuse the account, or its QOS. Nothing where the site enforces no accounting."""
    if not accounting.is_enforced or not accounting.rows:
        return
    account, qos = settings.get("account"), settings.get("qos")
    accounts = accounting.accounts
    if account is not None and account not in accounts:
        yours = f"yours are {', '.join(accounts)}"
        meant = did_you_mean(account, accounts)
        hint = f"{meant} {yours}" if meant else yours
        yield _error("cluster-account", f'the account "{printable(account)}" is not yours', hint)
        return
    if account is not None:
        yield from _partition_refusals(settings, account, accounting)
    known = accounting.qos(account)
    if qos is not None and known and qos not in known:
        hint = did_you_mean(qos, known) or f"there are {', '.join(known)}"
        yield _error("cluster-qos", f'your account has no QOS "{printable(qos)}"', hint)


def _partition_refusals(
    settings: Mapping[str, Any], account: str, accounting: Accounting
) -> Iterator[Finding]:
    allowed = {row.partition for row in accounting.rows if row.account == account}
    named = settings.get("partition")
    names = named.split(",") if isinstance(named, str) else []
    for name in names if "" not in allowed else []:
        if name not in allowed:
            hint = f"it may use {', '.join(sorted(allowed))}"
            yield _error(
                "cluster-account", f'the account "{account}" may not use the partition "{name}"', hint
            )


def _names(partitions: Sequence[Partition]) -> str:
    return ", ".join(f'"{one.name}"' for one in partitions)


def _clock(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    clock = f"{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    return f"{days}-{clock}" if days else clock


def _error(code: str, message: str, hint: str) -> Finding:
    return Finding(Severity.ERROR, code, message, hint)
