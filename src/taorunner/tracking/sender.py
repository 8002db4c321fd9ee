"""RunSender: sends what one run has reported since the last time, and keeps how far it came.

A batch is sent, then the place is saved: after a kill at any point the same is sent again, which changes nothing on the
server. Nothing of the run is written but ``tracking.json``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from taorunner.errors import RunStateError
from taorunner.events import CheckpointSaved, Event, MetricReported
from taorunner.runs.inputs.run_lock import read_lock
from taorunner.runs.state.lookup.run_metrics import metrics_of
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.runs.state.tracking_state import TrackingState, read_tracking, save_tracking
from taorunner.tracking.mapping import (
    PREFIX,
    STATUS,
    end_tags,
    first_tags,
    lock_tags,
    milliseconds,
    name_there,
    parameters,
    point,
)
from taorunner.tracking.mlflow import (
    METRICS_A_CALL,
    PARAMS_A_CALL,
    TAGS_A_CALL,
    MlflowServer,
    TrackingError,
    pieces,
)
from taorunner.values.value import replace


class RunSender:
    """One run and one server. ``experiment`` is None for the run's project. Not thread-safe."""

    def __init__(
        self,
        store: RunStore,
        run_id: str,
        server: MlflowServer,
        experiment: str | None,
        now: Callable[[], datetime],
    ) -> None:
        self._store, self.run_id, self._server, self._now = store, run_id, server, now
        record = store.load(run_id)
        fresh = TrackingState(server.shown, experiment or record.project)
        kept = read_tracking(store, run_id)
        is_same = kept is not None and (kept.server, kept.experiment) == (fresh.server, fresh.experiment)
        self.state = kept if is_same and kept is not None else fresh

    def send_new(self) -> bool:
        """True when the run has ended and all of it was sent.

        Raises:
            TrackingError: the server did not take it; the next call goes on there. RunStateError: the run is gone.
        """
        record = self._store.load(self.run_id)  # before its events: what an ended run reported is in them
        if record.started_at is None and not record.state.is_final:
            return False
        try:
            self._send(record)
        except TrackingError as error:
            self.state = replace(self.state, problem=str(error))
            self._save()
            raise
        self.state = replace(self.state, problem=None)
        self._save()
        return self.state.end is not None

    def _send(self, record: RunRecord) -> None:
        if self.state.remote is None:
            experiment = self._server.experiment(self.state.experiment)
            start = milliseconds(record.started_at or record.queued_at)
            remote = self._server.run(experiment, record.experiment, self.run_id, start, first_tags(record))
            self.state = replace(self.state, remote=remote)
            self._save()
        remote = str(self.state.remote)
        if not self.state.is_described:
            self._describe(record, remote)
        events, offset = self._store.read_events(self.run_id, self.state.offset)
        self._send_metrics(remote, events)
        self._send_checkpoint(remote, events)
        self.state = replace(self.state, offset=offset, skip=0)
        if record.state.is_final and self.state.end != record.state.value:
            self._end(record, remote)

    def _describe(self, record: RunRecord, remote: str) -> None:
        """Parameters once: a server refuses to change one."""
        lock = read_lock(self._store, self.run_id)
        for part in pieces(parameters(lock) if lock is not None else {}, PARAMS_A_CALL):
            self._server.log(remote, params=part)
        for part in pieces(lock_tags(record, lock), TAGS_A_CALL):
            self._server.log(remote, tags=part)
        self.state = replace(self.state, is_described=True)
        self._save()

    def _send_metrics(self, remote: str, events: list[Event]) -> None:
        metrics = [event for event in events if isinstance(event, MetricReported)]
        for start in range(self.state.skip, len(metrics), METRICS_A_CALL):
            part = metrics[start : start + METRICS_A_CALL]
            names, changed = dict(self.state.names), {}
            points = []
            for event in part:
                there = name_there(event.name, names)
                if there != event.name and there not in names:
                    names[there] = changed[there] = event.name
                points.append(point(event, there))
            tags = {f"{PREFIX}name.{there}"[:250]: name[:5000] for there, name in changed.items()}
            self._server.log(remote, metrics=points, tags=dict(list(tags.items())[:TAGS_A_CALL]))
            epochs = [event.epoch for event in part if event.epoch is not None]
            epoch = max([*epochs, *([] if self.state.epoch is None else [self.state.epoch])], default=None)
            self.state = replace(
                self.state,
                names=names,
                skip=start + len(part),
                points=self.state.points + len(part),
                epoch=epoch,
            )
            self._save()

    def _send_checkpoint(self, remote: str, events: list[Event]) -> None:
        saved = [event for event in events if isinstance(event, CheckpointSaved)]
        if saved:
            self._server.log(remote, tags={f"{PREFIX}checkpoint": saved[-1].path[:5000]})

    def _end(self, record: RunRecord, remote: str) -> None:
        metrics = metrics_of(self._store, record)
        best = ((name, one.value, one.epoch) for name, one in metrics.best.items())
        tags = {**lock_tags(record, read_lock(self._store, self.run_id)), **end_tags(record, best)}
        for part in pieces(tags, TAGS_A_CALL):
            self._server.log(remote, tags=part)
        self._server.end(remote, STATUS[record.state], milliseconds(record.finished_at or record.queued_at))
        self.state = replace(self.state, end=record.state.value)

    def _save(self) -> None:
        """A full disk is no reason to stop: what was sent is sent again after the next start."""
        self.state = replace(self.state, at=self._now())
        try:
            if not self._store.paths(self.run_id).directory.is_dir():
                raise RunStateError(f'no run "{self.run_id}"')
            save_tracking(self._store, self.run_id, self.state)
        except OSError:
            return
