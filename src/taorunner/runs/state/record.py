"""RunRecord: the durable state of one run, in ``record.json`` of its folder.

Written atomically. Unknown keys are ignored and missing ones get defaults, so an older version can read a newer
record. It contains no secrets. Plain dataclasses keep listing ten thousand records fast.
"""

from __future__ import annotations

import json
from datetime import datetime

from taorunner.events import RunFinished, RunQueued, RunState
from taorunner.runs.state.folders import is_name
from taorunner.values.stored import fits, kinds_of
from taorunner.values.value import Value, field, names_of, replace

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any


class WrongValueError(ValueError):
    """A key of a record with a value that no record has. The text says which."""


class RunPolicy(Value):
    """What the supervisor does for a run besides running it.

    ``retries`` is the maximum number of restarts after an external failure; None, where nothing is said, is none, or as
    many as the training had that is resumed. ``on_finish`` is the argument list of a
    command that is run at the end, ``keep_checkpoints`` which checkpoints a training keeps (``last:3``, ``best:3``).
    """

    retries: int | None = None
    stop_on_nan: bool = False
    on_finish: tuple[str, ...] = ()
    keep_checkpoints: str | None = None


DEFAULT_POLICY = RunPolicy()


class RunRecord(Value):
    """``handle`` is the engine's own id once there is one; ``launched_at`` is right before the request
    to start. ``status_sizes`` holds the size that each status.json had at launch: only what comes after belongs to this
    run. ``error_code`` is the exit code (``errors.ExitCode``) of the refusal that kept the run from starting, None for
    a run whose own process ended. ``gpu_models`` and ``driver`` are what was seen of its GPUs at launch.
    ``requeues`` counts how often the engine put the running run of this attempt back into its queue; ``started_at`` is
    its first start.
    ``attempt`` counts from 1 over retries and resumed runs; ``resumed_from`` is the run that this one resumes.
    ``after`` is the run of a chain that has to succeed before this one starts.
    ``stop_reason`` is set when taorunner stopped the run, not a user. ``forced`` are the codes of the errors that
    ``--force`` passed. ``nodes`` is how many were asked for, None for a record of an older version. ``cluster`` is
    the name of the cluster, None for an engine of this machine.
    Times are aware UTC.
    """

    id: str
    batch: str
    project: str
    experiment: str
    action: str
    backend: str
    state: RunState
    queued_at: datetime
    reason: str | None = None
    hint: str | None = None
    exit_code: int | None = None
    image: str | None = None
    image_digest: str | None = None
    gpus: tuple[str, ...] = ()
    gpu_models: tuple[str, ...] = ()
    driver: str | None = None
    epochs: int | None = None
    handle: str | None = None
    launched_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stop_requested_at: datetime | None = None
    results_dir: str | None = None
    error_code: int | None = None
    status_sizes: dict[str, int] = field(default_factory=dict)
    requeues: int = 0
    attempt: int = 1
    resumed_from: str | None = None
    retries_left: int = 0
    retries_made: int = 0
    stop_on_nan: bool = False
    stop_reason: str | None = None
    on_finish: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()
    after: str | None = None
    keep_checkpoints: str | None = None
    nodes: int | None = None
    cluster: str | None = None
    version: int = 1

    def launched(
        self, gpus: tuple[str, ...], at: datetime, status_sizes: dict[str, int],
        hardware: tuple[str | None, tuple[str, ...]],
    ) -> RunRecord:  # fmt: skip
        """Right before the request to start. ``hardware`` is the driver and the names of the GPUs."""
        driver, models = hardware
        return replace(
            self, state=RunState.STARTING, gpus=gpus, launched_at=at, status_sizes=status_sizes, driver=driver,
            gpu_models=models,
        )  # fmt: skip

    @property
    def was_launched(self) -> bool:
        """Whether the engine has started the process of this attempt."""
        return self.handle is not None and (self.state is not RunState.WAITING or self.requeues > 0)

    def queued_event(self) -> RunQueued:
        return RunQueued(
            run=self.id, at=self.queued_at, project=self.project, experiment=self.experiment,
            action=self.action, backend=self.backend, epochs=self.epochs,
        )  # fmt: skip

    def finished(self, event: RunFinished) -> RunRecord:
        """The record after the run's end. A final state is never overwritten."""
        if self.state.is_final:
            return self
        return replace(
            self, state=event.state, reason=event.reason, hint=event.hint,
            exit_code=event.exit_code, finished_at=event.at,
        )  # fmt: skip

    def tried_again(self) -> RunRecord:
        """The record while the run waits for its next attempt, without the state of the last one."""
        return replace(
            self, state=RunState.QUEUED, attempt=self.attempt + 1, retries_left=self.retries_left - 1,
            retries_made=self.retries_made + 1, handle=None, gpus=(), launched_at=None, status_sizes={}, requeues=0,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {}
        for name in names_of(self):
            value = getattr(self, name)
            if isinstance(value, datetime):
                value = value.isoformat()
            elif isinstance(value, RunState):
                value = value.value
            elif isinstance(value, tuple):
                value = list(value)
            body[name] = value
        return body

    def origin_json(self) -> dict[str, object]:
        """What the JSON of a run says beyond its events: where it was to run, and which runs it goes on from.

        ``cluster`` is null for an engine of this machine. ``made_from`` are the run that it resumes and the run before
        it in its chain; which of their files it read is not recorded.
        """
        before = dict.fromkeys(run for run in (self.resumed_from, self.after) if run is not None)
        return {
            "cluster": self.cluster,
            "nodes": self.nodes,
            "attempt": self.attempt,
            "gpu_models": list(self.gpu_models),
            "driver": self.driver,
            "made_from": [{"run": run, "path": None, "sha256": None} for run in before],
        }

    @staticmethod
    def from_json(body: dict[str, Any]) -> RunRecord:
        """Raises ValueError, among them WrongValueError, KeyError or TypeError for an invalid record."""
        if not isinstance(body, dict):
            raise ValueError("not an object")
        values = {key: value for key, value in body.items() if key in _NAMES}
        for key in ("queued_at", "launched_at", "started_at", "finished_at", "stop_requested_at"):
            if values.get(key) is not None:
                values[key] = datetime.fromisoformat(values[key])
        values["state"] = RunState(values["state"])
        for key, value in values.items():
            if value.__class__ is list:
                values[key] = tuple(value)
        for key, value in values.items():
            if not fits(value, _KINDS[key]):
                raise WrongValueError(f'it says "{key}": {_shown(body[key])}')
        return RunRecord(**values)


def runs_before(record: RunRecord, records: Mapping[str, RunRecord]) -> Iterator[RunRecord]:
    """The runs of the chain before this one, the nearest first. ``records`` are those of its batch, by id."""
    seen = {record.id}
    while (before := records.get(record.after or "")) is not None and before.id not in seen:
        seen.add(before.id)
        yield before
        record = before


def chain_of(record: RunRecord, records: Iterable[RunRecord]) -> list[RunRecord]:
    """The runs of the chain of ``record`` among ``records``, in the order in which they run; itself without a chain."""
    known = {one.id: one for one in records if one.batch == record.batch}
    following = {one.after: one for one in known.values() if one.after is not None}
    chain = [*reversed([*runs_before(record, known)]), record]
    seen = {one.id for one in chain}
    while (later := following.get(chain[-1].id)) is not None and later.id not in seen:
        seen.add(later.id)
        chain.append(later)
    return chain


def current_of(record: RunRecord, records: Iterable[RunRecord]) -> RunRecord:
    """The run of its chain that is under way or comes next; when all have ended, the last one that started."""
    chain = chain_of(record, records)
    live = next((one for one in chain if not one.state.is_final), None)
    return live or next((one for one in reversed(chain) if one.started_at is not None), chain[0])


_NAMES = frozenset(names_of(RunRecord))
"""The keys of a record. ``fields`` would take a third of the time of reading one."""
_KINDS = kinds_of(RunRecord)


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def contradiction(record: RunRecord, run_id: str) -> str | None:
    """What in the record contradicts its folder ``run_id``; None if nothing does."""
    if record.id != run_id:
        return f'it says "id": {json.dumps(record.id)}'
    if not is_name(record.batch):
        return f'it says "batch": {json.dumps(record.batch)}'
    for key, name in (("project", record.project), ("experiment", record.experiment)):
        if not is_name(name):
            return f'it says "{key}": {json.dumps(name)[:80]}'
    return 'it says "state": "DAMAGED"' if record.state is RunState.DAMAGED else None
