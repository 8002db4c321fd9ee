"""Where runs are: their GPUs, or what they wait for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from taorunner.events import RunState
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.snapshot import RunSnapshot
from taorunner.runs.state.store import Batch, DamagedRun, RunStore
from taorunner.state_files import read_state
from taorunner.text import amount


def places(
    store: RunStore, records: Sequence[RunRecord | DamagedRun], snapshots: Sequence[RunSnapshot], *,
    with_backend: bool,
) -> Mapping[str, str]:  # fmt: skip
    """One short text per run id; an empty one where nothing is known.

    ``docker, GPU 0`` with ``with_backend``, else ``GPU 0``; ``next; needs 1 GPU``, ``behind rtdetr_02`` or, in a chain,
    ``after train`` in the queue; the engine's reason while it waits there.
    """
    batches = {record.id: record.batch for record in records if isinstance(record, RunRecord)}
    queues = {
        batch_id: _Queue(store, batch_id)
        for batch_id in dict.fromkeys(
            batches[run.id] for run in snapshots if run.state is RunState.QUEUED and run.id in batches
        )
    }
    found = {}
    for run in snapshots:
        if run.state is RunState.QUEUED and run.id in batches:
            found[run.id] = queues[batches[run.id]].place(run.id)
        else:
            found[run.id] = _place(run, with_backend=with_backend)
    return found


def gpu_text(gpus: Sequence[str]) -> str:
    """``GPU 0,3``; ids that are UUIDs as they are; empty without GPUs."""
    if not gpus or any(gpu.startswith(("GPU-", "MIG-")) for gpu in gpus):
        return ",".join(gpus)
    return f"GPU {','.join(gpus)}"


def _place(run: RunSnapshot, *, with_backend: bool) -> str:
    if run.state is RunState.WAITING:
        return f"{run.backend}: {run.waiting}" if run.waiting else run.backend
    if run.pull is not None and not run.state.is_final:
        total = run.pull.bytes_total
        done = f", {min(99, 100 * run.pull.bytes_done // total)}%" if total else ""
        return f"pulling the container image{done}"
    gpus = gpu_text(run.gpus)
    if with_backend:
        return f"{run.backend}, {gpus}" if gpus else run.backend
    return gpus or run.backend


class _Queue:
    """The order of a batch, and which of its runs wait."""

    def __init__(self, store: RunStore, batch_id: str) -> None:
        self._store = store
        try:
            self._batch = store.load_batch(batch_id)
        except (OSError, ValueError, KeyError, TypeError):
            self._batch = Batch(batch_id, ())
        runs = [store.shown(run_id) for run_id in self._batch.runs]
        records = [run for run in runs if isinstance(run, RunRecord) and not run.state.is_final]
        unfinished = {record.id: record.action for record in records}
        queued = [record for record in records if record.state is RunState.QUEUED]
        self._after = {run.id: unfinished[run.after] for run in queued if run.after in unfinished}
        self._waiting = [run for run in queued if run.id not in self._after]
        self._active = len(records) - len(queued)

    def place(self, run_id: str) -> str:
        if run_id in self._after:
            return f"after {self._after[run_id]}"
        ids = [record.id for record in self._waiting]
        if run_id not in ids:
            return ""
        at = ids.index(run_id)
        if at:
            return f"behind {self._waiting[at - 1].experiment}"
        parallel = self._batch.parallel
        if parallel is not None and self._active >= parallel:
            return f"--parallel {parallel} is reached"
        count = self._needed(run_id)
        return f"next; needs {amount(count, 'GPU')}" if count else "next"

    def _needed(self, run_id: str) -> int:
        """The number of GPUs of its plan. The plan is not decoded: that takes longer than the whole table."""
        try:
            plan = json.loads(read_state(self._store.paths(run_id).plan, self._store.trust()))
            gpus = plan.get("resources", plan)["gpus"]
            return int(gpus["count"] or len(gpus["ids"] or ()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return 0
