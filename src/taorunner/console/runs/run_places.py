"""Where runs are: their GPUs, or what they wait for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from taorunner.console.live.queue_order import (
    ONE_AT_A_TIME,
    Need,
    limit_text,
    most_text,
    need_text,
    needs_nothing_here,
    read_need,
    turns,
)  # fmt: skip
from taorunner.events import ANSWERS_AGAIN, RunState
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.runs.state.store import Batch, DamagedRun, RunStore


def places(
    store: RunStore, records: Sequence[RunRecord | DamagedRun], snapshots: Sequence[RunSnapshot], *,
    with_backend: bool,
) -> Mapping[str, str]:  # fmt: skip
    """One short text per run id; an empty one where nothing is known.

    ``docker, GPU 0`` with ``with_backend``, else ``GPU 0``; ``next; needs 1 GPU``, ``behind rtdetr_02`` or, in a chain,
    ``after train`` in the queue; the engine's reason while it waits there.
    """
    batches = {record.id: record.batch for record in records if isinstance(record, RunRecord)}
    known = {record.id: record for record in records}
    engines = {
        record.id: engine_text(record)
        for record in records
        if isinstance(record, RunRecord) and record.cluster
    }
    queues = {
        batch_id: _Queue(store, batch_id, known)
        for batch_id in dict.fromkeys(
            batches[run.id] for run in snapshots if run.state is RunState.QUEUED and run.id in batches
        )
    }
    found = {}
    for run in snapshots:
        if run.state is RunState.QUEUED and run.id in batches:
            found[run.id] = queues[batches[run.id]].place(run.id)
        else:
            found[run.id] = _place(run, engines.get(run.id), with_backend=with_backend)
    return found


def engine_text(record: RunRecord) -> str:
    """``dgx``, or ``dgx, 2 nodes`` for a run on several."""
    nodes = f", {record.nodes} nodes" if record.nodes is not None and record.nodes > 1 else ""
    return f"{record.cluster or record.backend}{nodes}"


def gpu_text(gpus: Sequence[str]) -> str:
    """``GPU 0,3``; ids that are UUIDs as they are; empty without GPUs."""
    if not gpus or any(gpu.startswith(("GPU-", "MIG-")) for gpu in gpus):
        return ",".join(gpus)
    return f"GPU {','.join(gpus)}"


def _place(run: RunSnapshot, cluster: str | None, *, with_backend: bool) -> str:
    """``cluster`` is the cluster of the run, as ``engine_text`` has it."""
    engine = cluster or run.backend
    if run.state is RunState.WAITING:
        return f"{engine.partition(',')[0]}: {run.waiting}" if run.waiting else engine
    if run.pull is not None and not run.state.is_final:
        total = run.pull.bytes_total
        done = f", {min(99, 100 * run.pull.bytes_done // total)}%" if total else ""
        return f"pulling the container image{done}"
    silent = _silence(run)
    if silent is not None:
        return f"{engine} {silent}"
    place = run.where or gpu_text(run.gpus)
    if with_backend or cluster or run.where:
        return f"{engine}{':' if run.where and ',' in engine else ','} {place}" if place else engine
    return place or engine


def _silence(run: RunSnapshot) -> str | None:
    """``does not answer since 22:08``, of an engine that has a run which goes on as far as is known."""
    said = next((notice for notice in reversed(run.notices) if notice.code == "engine"), None)
    if said is None or run.state is not RunState.RUNNING or said.text.endswith(ANSWERS_AGAIN):
        return None
    if run.started_at is not None and said.at < run.started_at:
        return None  # it answered when it started the run
    return f"does not answer since {said.at.astimezone():%H:%M}"


class _Queue:
    """The order of a batch, and which of its runs wait. ``known`` are records that have been read."""

    def __init__(self, store: RunStore, batch_id: str, known: Mapping[str, RunRecord | DamagedRun]) -> None:
        self._store = store
        try:
            self._batch = store.load_batch(batch_id)
        except (OSError, ValueError, KeyError, TypeError):
            self._batch = Batch(batch_id, ())
        runs = [known.get(run_id) or store.shown(run_id) for run_id in self._batch.runs]
        records = [run for run in runs if isinstance(run, RunRecord) and not run.state.is_final]
        self._names = {record.id: record.experiment for record in records}
        self._active = sum(record.state is not RunState.QUEUED for record in records)
        self._engines = {record.id: (record.backend, record.cluster) for record in records}
        active = (self._engines[record.id] for record in records if record.state is not RunState.QUEUED)
        self._submitted = Counter(active)
        self._needs: dict[str, Need] = {}
        self._turns = turns(
            records,
            {record.id: record.after for record in records},
            lambda run_id: self._need(run_id).ids is not None,
        )

    def place(self, run_id: str) -> str:
        turn = self._turns.get(run_id)
        if turn is None:
            return ""
        if turn.after is not None:
            return f"after {turn.after}"
        if turn.behind is not None:
            return f"behind {self._names[turn.behind]}"
        parallel = self._batch.parallel
        if parallel is not None and self._active >= parallel:
            return limit_text(parallel)
        need = self._need(run_id)
        if need.most is not None and self._submitted[self._engines[run_id]] >= need.most:
            return most_text(need.most)
        if needs_nothing_here(self._engines[run_id][0]):
            return "next"
        needs = need_text(need.count, need.ids)
        if need.count == 0 and self._active:
            needs = ONE_AT_A_TIME
        return f"next; {needs}" if needs else "next"

    def _need(self, run_id: str) -> Need:
        if run_id not in self._needs:
            self._needs[run_id] = read_need(self._store, run_id)
        return self._needs[run_id]
