"""What a run's record, plan and batch say that its events do not: GPUs asked for, nodes, attempt, ``--parallel``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taorunner.console.live.queue_order import read_need
from taorunner.errors import TaorunnerError

if TYPE_CHECKING:
    from taorunner.runs.state.store import RunStore


@dataclass(frozen=True, slots=True)
class RunFacts:
    """``gpu_count`` is that of one node; ``gpu_ids`` are the GPUs that were named. ``attempt`` is the one at which the
    events of this run begin. ``parallel`` is the limit of its batch. ``after`` is the run of its chain that has to
    succeed first. ``most`` as in ``Need``."""

    batch: str = ""
    parallel: int | None = None
    gpu_count: int | None = None
    gpu_ids: tuple[str, ...] | None = None
    nodes: int = 1
    attempt: int = 1
    after: str | None = None
    cluster: str | None = None
    most: int | None = None


def read_facts(store: RunStore, run_ids: Sequence[str]) -> dict[str, RunFacts]:
    """The facts of each run. A file that cannot be read leaves its facts unknown."""
    parallels: dict[str, int | None] = {}
    return {run_id: _facts(store, run_id, parallels) for run_id in run_ids}


def _facts(store: RunStore, run_id: str, parallels: dict[str, int | None]) -> RunFacts:
    unusable = (TaorunnerError, OSError, ValueError, KeyError, TypeError, AttributeError)
    batch, attempt, after, cluster = "", 1, None, None
    with suppress(*unusable):
        record = store.load(run_id)
        batch, attempt, after = record.batch, record.attempt - record.retries_made, record.after
        cluster = record.cluster
        if batch not in parallels:
            parallels[batch] = None
            parallels[batch] = store.load_batch(batch).parallel
    parallel = parallels.get(batch)
    need = read_need(store, run_id)
    return RunFacts(batch, parallel, need.count, need.ids, need.nodes, attempt, after, cluster, need.most)
