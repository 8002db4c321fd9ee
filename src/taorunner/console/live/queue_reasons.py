"""Why runs have not started: their place in the queue, the GPUs they need, and who has those."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from taorunner.console.live.queue_order import (
    ONE_AT_A_TIME,
    limit_text,
    most_text,
    need_text,
    needs_nothing_here,
    turns,
)
from taorunner.console.live.run_facts import RunFacts
from taorunner.console.live.run_view import GpuReading
from taorunner.events import Notice, RunState
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.scheduling.gpu_allocator import TELL_EVERY_S

_GPU_WAIT = "gpu-wait"
_BLOCKER = re.compile(r"GPU (?P<gpu>[\w.-]+) \((?P<why>.*?)\)(?=; |$)")
_PROCESS = re.compile(r"(?P<name>\S.{0,60}?) \(process (?P<pid>\d+) of (?P<user>[^)]*)\)?$")
_RUN = re.compile(r"run (?P<id>\S+)(?P<user> of .*)?$")
_SHOWN_BLOCKERS = 2
_BELIEVED_S = 3 * TELL_EVERY_S
"""How long a notice about a GPU counts on which nothing computes: a run that has it may be about to start."""


def queue_reasons(
    runs: Sequence[RunSnapshot],
    names: Mapping[str, str],
    facts: Mapping[str, RunFacts],
    retries: Mapping[str, Notice],
    gpus: Sequence[GpuReading],
    now: datetime,
) -> dict[str, str]:
    """The reason of each queued run, by id. ``runs`` are in the order of the queue, ``names`` as they are shown.

    ``retries`` say why a run waits for its next attempt. ``gpus`` are all GPUs of this machine; empty if unknown. An
    old notice about a GPU counts only while something computes there.
    """
    reasons = {
        run.id: _of_retry(retries[run.id].text)
        for run in runs
        if run.state is RunState.QUEUED and run.id in retries
    }
    known = {run.id: facts.get(run.id, RunFacts()) for run in runs}
    after = {run_id: of_run.after for run_id, of_run in known.items()}
    by_id = {run.id: run for run in runs}
    batches: dict[str, list[RunSnapshot]] = {}
    for run in runs:
        batches.setdefault(known[run.id].batch, []).append(run)
    for members in batches.values():
        order = turns(members, after, lambda run_id: known[run_id].gpu_ids is not None, retries)
        for run_id, turn in order.items():
            if turn.after is not None:
                reasons[run_id] = f"after {turn.after}"
            elif turn.behind is not None:
                reasons[run_id] = f"behind {names.get(turn.behind, turn.behind)}"
            else:
                same = [one for one in members if known[one.id].cluster == known[run_id].cluster]
                if (most := _reached(by_id[run_id], same, known[run_id])) is not None:
                    reasons[run_id] = f"next; {most}"
                    continue
                reason = _of_next(by_id[run_id], runs, members, known[run_id], gpus, now)
                reasons[run_id] = f"next; {reason}" if reason else "next"
    return reasons


def _reached(run: RunSnapshot, on_cluster: Sequence[RunSnapshot], facts: RunFacts) -> str | None:
    """That the cluster of a run has as many runs of its batch as it may have at once."""
    there = [one for one in _active(on_cluster) if one.backend == run.backend]
    return most_text(facts.most) if facts.most is not None and len(there) >= facts.most else None


def _of_next(
    run: RunSnapshot,
    runs: Sequence[RunSnapshot],
    in_batch: Sequence[RunSnapshot],
    facts: RunFacts,
    gpus: Sequence[GpuReading],
    now: datetime,
) -> str:
    """``in_batch`` are those of ``runs`` that are in its batch: limits are of a batch, GPUs of the machine."""
    running = _active(in_batch)
    if facts.parallel is not None and len(running) >= facts.parallel:
        return limit_text(facts.parallel)
    if facts.gpu_count is None or needs_nothing_here(run.backend):
        return ""
    if facts.gpu_count == 0:
        return ONE_AT_A_TIME if running else ""
    ours = {gpu for one in _active(runs) for gpu in one.gpus}
    blockers = [(gpu, why) for gpu, why in _blockers(run, gpus, now).items() if gpu not in ours]
    held = [f"GPU {gpu} {why}" for gpu, why in blockers[:_SHOWN_BLOCKERS]]
    if len(blockers) > _SHOWN_BLOCKERS:
        held.append(f"{len(blockers) - _SHOWN_BLOCKERS} more in use")
    needs = need_text(facts.gpu_count, facts.gpu_ids)
    if facts.gpu_ids is not None:
        held = held or [f"GPU {gpu} used by a run above" for gpu in facts.gpu_ids if gpu in ours][:1]
        return f"{needs}: {', '.join(held)}" if held else needs
    if gpus:
        free = max(0, len(gpus) - len(ours) - len(blockers))
        if held:
            return f"{needs}: {free} free, {', '.join(held)}"
        return f"{needs}, {free or 'none'} {'are' if free > 1 else 'is'} free"
    return f"{needs}: {', '.join(held)}" if held else needs


def _active(runs: Sequence[RunSnapshot]) -> list[RunSnapshot]:
    return [run for run in runs if run.state is not RunState.QUEUED and not run.state.is_final]


def _blockers(run: RunSnapshot, gpus: Sequence[GpuReading], now: datetime) -> dict[str, str]:
    """GPUs that somebody has, each with who that is: by the newest notice, and by what computes on them now.

    A notice is written only when its text changes, so an old one may be about a GPU that is free by now.
    """
    said = [notice for notice in run.notices if notice.code == _GPU_WAIT]
    found = {one.index: f"used by {_process(one.processes[0])}" for one in gpus if one.processes}
    if said:
        is_old = (now - said[-1].at).total_seconds() > _BELIEVED_S
        idle = {one.index for one in gpus if not one.processes} if is_old else set()
        found |= {
            one["gpu"]: _holder(one["why"])
            for one in _BLOCKER.finditer(said[-1].text)
            if one["gpu"] not in idle
        }
    return found


def _process(pid: int) -> str:
    """``pid 4121 (python)``; the pid alone where its name cannot be read."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return f"pid {pid}"
    return f"pid {pid} ({name})"


def _holder(why: str) -> str:
    run = _RUN.match(why)
    if run:
        return f"used by run {run['id'].rpartition('-')[2]}{run['user'] or ''}"
    said = why.removeprefix("used by ")
    process = _PROCESS.match(said)
    if process:
        return f"used by pid {process['pid']} ({process['name']})"
    bare = re.match(r"process (\d+)$", said)
    return f"used by pid {bare[1]}" if bare else f"used by {said}"


def _of_retry(text: str) -> str:
    """``attempt 2 in 30s: the engine lost the container``, of the supervisor's own sentence."""
    found = re.match(
        r"attempt \d+: (?P<why>.*); (?P<next>attempt \d+) (?P<how>.*), in (?P<wait>[^,]+)$", text
    )
    return f"{found['next']} in {found['wait']}: {found['why']}" if found else text
