"""TrackingState: how much of a run was sent to a tracker, in ``tracking.json`` of its folder, or for Weights & Biases
in ``tracking.wandb.json``.

Only ``taorunner.tracking`` writes it, a process beside the supervisor. Without it, or with a damaged one, the run is
sent again from its start, which changes nothing on the server.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from taorunner.atomic_files import write_json
from taorunner.project.tracking.words import MLFLOW
from taorunner.state_files import read_json_state
from taorunner.values.stored import fits, kinds_of
from taorunner.values.value import Value, field, names_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from taorunner.runs.state.store import RunStore


class TrackingState(Value):
    """``server`` is the address without credentials, or the folder with the files; ``experiment`` the name there,
    ``remote`` the run's id there.

    Everything before the byte ``offset`` of events.jsonl was sent, and of what follows ``skip`` metrics; ``points`` in
    all. ``names`` are the metrics whose name the server does not take, by the one they have there. ``is_described``:
    parameters and tags were sent. ``end`` is the final state that was sent. ``problem`` is why the last try failed,
    ``at`` when it was made.
    """

    server: str
    experiment: str
    target: str = MLFLOW
    remote: str | None = None
    offset: int = 0
    skip: int = 0
    points: int = 0
    epoch: int | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    is_described: bool = False
    end: str | None = None
    problem: str | None = None
    at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        body = {name: getattr(self, name) for name in names_of(self)}
        return {**body, "names": dict(self.names), "at": None if self.at is None else self.at.isoformat()}


_KINDS = kinds_of(TrackingState)


def _file(store: RunStore, run_id: str, target: str) -> Path:
    own = store.paths(run_id).tracking
    return own if target == MLFLOW else own.with_name(f"tracking.{target}.json")


def read_tracking(store: RunStore, run_id: str, target: str = MLFLOW) -> TrackingState | None:
    """None for a run of which nothing was sent, and for a file that cannot be used."""
    try:
        body = read_json_state(_file(store, run_id, target), store.trust())
        known = {key: value for key, value in body.items() if key in _KINDS and key != "names"}
        names = {str(name): str(original) for name, original in body["names"].items()}
        if isinstance(known.get("at"), str):
            known["at"] = datetime.fromisoformat(known["at"])
        state = TrackingState(**known, names=names)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    is_fine = all(fits(value, _KINDS[key]) for key, value in known.items())
    is_fine = is_fine and state.target == target
    return state if is_fine and min(state.offset, state.skip, state.points) >= 0 else None


def save_tracking(store: RunStore, run_id: str, state: TrackingState) -> None:
    """Raises OSError."""
    write_json(_file(store, run_id, state.target), state.to_json())


def is_behind(store: RunStore, run_id: str, state: TrackingState) -> bool:
    """Whether the run has events that were not sent, or its end was not."""
    with suppress(OSError):
        return state.end is None or store.paths(run_id).events.stat().st_size > state.offset
    return False
