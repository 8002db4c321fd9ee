"""What receives the events of a batch: history, removal of old checkpoints, ``--on-finish``, tracking."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from taorunner.planning.model.plan import RunPlan
from taorunner.runs.outputs.keeper import CheckpointKeeper
from taorunner.runs.state.history import HistoryWriter
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.event_sinks.hooks import FinishHook
from taorunner.runs.supervisor.event_sinks.tracking_start import TrackingStart
from taorunner.runs.supervisor.sinks import EventSinks, Problems


def run_sinks(
    store: RunStore,
    environ: Mapping[str, str],
    known: Callable[[str], tuple[RunRecord, RunPlan]],
    problems: Problems,
) -> EventSinks:
    """``known`` gives record and plan of a run of the batch."""
    keeper = CheckpointKeeper(store, known, problems.report)
    hook = FinishHook(store, environ, problems)
    tracking = TrackingStart(store, environ, known, problems)
    return EventSinks([HistoryWriter(store), keeper, hook, tracking], problems)
