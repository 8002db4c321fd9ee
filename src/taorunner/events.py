"""The events of a run as frozen values, converted to and from JSON lines.

All views, records and reports are derived from these events. Epochs are 1-based, whatever TAO writes. Times are aware
UTC.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from enum import Enum

from taorunner.values.bounded_reading import parse_json
from taorunner.values.stored import fits, kinds_of
from taorunner.values.value import Value, names_of


class RunState(str, Enum):
    """The state of a run; its reason is a separate field.

    QUEUED waits here, WAITING in the queue of an engine that schedules itself. DAMAGED is never recorded: lists show it
    for a run whose record is unusable.
    """

    QUEUED = "QUEUED"
    WAITING = "WAITING"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    LOST = "LOST"
    DAMAGED = "DAMAGED"

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self in (RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED, RunState.LOST)


def now() -> datetime:
    return datetime.now(timezone.utc)


class Event(Value):
    """``run`` is the run id, ``at`` an aware UTC time."""

    run: str
    at: datetime


class RunQueued(Event):
    """The run is recorded. ``epochs`` is what its spec asks for."""

    project: str
    experiment: str
    action: str
    backend: str
    epochs: int | None = None


class ImagePulling(Event):
    """Progress of a pull. ``bytes_total`` grows as layers start; None while unknown."""

    image: str
    layers_done: int
    layers: int
    bytes_done: int
    bytes_total: int | None = None
    eta_s: float | None = None


class ImagePulled(Event):
    """The image is present. ``digest`` is ``sha256:…`` of the registry's manifest, None for a local build."""

    image: str
    digest: str | None = None


class RunWaiting(Event):
    """The run waits in the engine's own queue. ``reason`` is the engine's; another reason is another event.

    After ``RunStarted``: the engine has requeued the run, and will start it again.
    """

    reason: str


class RunStarted(Event):
    """The process is running. ``gpus`` are host ids as in nvidia-smi (indices or UUIDs), ``where`` names the nodes that
    a scheduler has chosen, as it writes them."""

    image: str | None = None
    image_digest: str | None = None
    gpus: tuple[str, ...] = ()
    handle: str = ""
    where: str | None = None


class LogLine(Event):
    """One line of console output. Stored in console.log, never in events.jsonl."""

    text: str


class EpochProgress(Event):
    """``epoch`` is the current 1-based epoch, or the one just completed if ``completed``.

    ``step`` of ``steps`` within the epoch; ``eta_s`` is TAO's own estimate for the whole run.
    """

    epoch: int
    epochs: int | None = None
    step: int | None = None
    steps: int | None = None
    completed: bool = False
    epoch_s: float | None = None
    eta_s: float | None = None


class MetricReported(Event):
    """``value`` may be NaN or infinite (written as strings in JSON). ``epoch`` 1-based, None outside training.

    ``direction`` says which values are better: ``up``, ``down`` or ``none``. None: it is guessed from the name (records
    of 0.1.0, networks of the workspace). The metric with the lowest ``rank`` measures the quality of the model; metrics
    without a rank do not.
    """

    name: str
    value: float
    epoch: int | None = None
    direction: str | None = None
    rank: int | None = None


class CheckpointSaved(Event):
    """``path`` is a file or folder on this host."""

    path: str
    epoch: int | None = None


ANSWERS_AGAIN = "answers again"
"""The end of a notice with the code ``engine`` that takes back the ones before it."""
STOP_WAITS, UNDECIDED = "stop-waits", "undecided"
"""Codes of notices: the engine did not take a stop, which is tried again; and the supervisor has given up on it."""


class Notice(Event):
    """A note for the user. ``level`` is info, warning or error; ``code`` is stable."""

    level: str
    code: str
    text: str


class RunFinished(Event):
    """``state`` is final; ``reason`` is one line of text; ``hint`` the next step, if known."""

    state: RunState
    reason: str
    exit_code: int | None = None
    hint: str | None = None


_TYPES: dict[str, type[Event]] = {
    cls.__name__: cls
    for cls in (
        RunQueued, ImagePulling, ImagePulled, RunWaiting, RunStarted, LogLine, EpochProgress,
        MetricReported, CheckpointSaved, Notice, RunFinished,
    )
}  # fmt: skip

_KINDS = {cls: kinds_of(cls) for cls in _TYPES.values()}
"""The keys of each event, and the classes of their values."""


def to_json_line(event: Event) -> str:
    """One line without its newline: ``{"event": "EpochProgress", "run": …, "at": …, …}``, strict JSON."""
    body: dict[str, object] = {"event": type(event).__name__}
    body |= {name: _plain(getattr(event, name)) for name in names_of(event)}
    return json.dumps(body, ensure_ascii=False, allow_nan=False)


def from_json_line(line: str) -> Event | None:
    """The event of one line. None for an incomplete line, an unknown event, and missing or impossible fields.

    Unknown keys are ignored, so an older version reads newer records.
    """
    if not line.startswith("{"):  # at once: a damaged file can have 10^5 such lines
        return None
    try:
        body = parse_json(line)
        cls = _TYPES[body.pop("event")]
        kinds = _KINDS[cls]
        body = {key: value for key, value in body.items() if key in kinds}
        body["at"] = datetime.fromisoformat(body["at"])
        if "state" in body:
            body["state"] = RunState(body["state"])
        if "value" in body:
            body["value"] = float(body["value"])
        if "gpus" in body:
            body["gpus"] = tuple(body["gpus"])
        return cls(**body) if all(fits(value, kinds[key]) for key, value in body.items()) else None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
