"""The figures of an evaluation on this machine as metrics of the run whose predictions it scored.

They are in ``evaluation.json`` in the folder of the run, where no container can write, and nowhere else. Views
of metrics get them from here. Light, because ``runs list`` and ``runs diff`` read it. ``evaluation.result`` has the
shape of the file.
"""

from __future__ import annotations

import json

from taorunner.atomic_files import write_bytes
from taorunner.runs.state.metric_names import Best, Judged, is_lower_better
from taorunner.state_files import read_json_state
from taorunner.values.value import Value, field, replace

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.snapshot import RunSnapshot
    from taorunner.runs.state.store import RunStore

_AFTER_OWN = 1000
"""The rank of the first of them: a figure of the network itself goes first."""
_DIRECTIONS, _SCALES = ("up", "down", "none"), ("fraction", "percent", "own")


class HostFigures(Value):
    """``measured_by`` says in one line how and on what. ``settings`` are what two runs must have in common to be
    compared, by name. ``body`` is the whole file."""

    metrics: Mapping[str, float]
    judged: Mapping[str, Judged]
    scales: Mapping[str, str]
    measured_by: str
    settings: Mapping[str, Any]
    body: Mapping[str, Any] = field(repr=False)

    @property
    def best(self) -> dict[str, Best]:
        """Without an epoch: there is one value of each."""
        return {
            name: Best(value)
            for name, value in self.metrics.items()
            if is_lower_better(name, self.judged) is not None
        }

    @staticmethod
    def from_json(body: Any) -> HostFigures:
        """Unknown keys are ignored. Raises ValueError for what is no evaluation."""
        try:
            rows, protocol, data = body["metrics"], body["protocol"], body["data"]
            metrics = {_text(row["name"]): _number(row["value"]) for row in rows}
            ranked = [row["name"] for row in rows if row["ranks"] is True]
            judged = {
                row["name"]: Judged(
                    _one_of(row["direction"], _DIRECTIONS),
                    _AFTER_OWN + ranked.index(row["name"]) if row["name"] in ranked else None,
                )
                for row in rows
            }
            scales = {row["name"]: _one_of(row["scale"], _SCALES) for row in rows}
            settings = {
                "protocol": _text(protocol["name"]), **protocol["settings"],
                "score from": _coarse(protocol["min_score"]), "images": data["images"],
                "labels": _text(data["fingerprint"])[:6],
            }  # fmt: skip
            subset = f"{_text(data['split'])}, " if data["split"] else ""
            count = f"{int(data['images']):,} image{'' if data['images'] == 1 else 's'}"
            return HostFigures(
                metrics, judged, scales, f"{_text(protocol['text'])}; {subset}{count}", settings, body
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no evaluation: {error}") from None


def may_have_figures(action: str) -> bool:
    """Only what an inference wrote is scored: ``inference``, ``deploy.inference``."""
    return action.rpartition(".")[2] == "inference"


def read_host_figures(store: RunStore, record: RunRecord) -> HostFigures | None:
    """None for a run without them, and where they cannot be used."""
    if not may_have_figures(record.action):
        return None
    try:
        return HostFigures.from_json(read_json_state(_place(store, record.id), store.trust()))
    except (OSError, ValueError):
        return None


def with_host_figures(store: RunStore, snapshot: RunSnapshot, record: RunRecord) -> RunSnapshot:
    """The snapshot of a run with the figures that were measured here among its metrics."""
    host = read_host_figures(store, record)
    if host is None:
        return snapshot
    return replace(
        snapshot, metrics={**snapshot.metrics, **host.metrics}, best={**snapshot.best, **host.best},
        judged={**snapshot.judged, **host.judged}, measured_by=host.measured_by,
    )  # fmt: skip


def save_evaluation(store: RunStore, run_id: str, body: Mapping[str, Any]) -> None:
    """``body`` is an evaluation in its JSON shape; it takes the place of an earlier one."""
    write_bytes(_place(store, run_id), json.dumps(body, separators=(",", ":")).encode())


def _place(store: RunStore, run_id: str) -> Path:
    return store.paths(run_id).directory / "evaluation.json"


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError("a text is none")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("a number is none")
    return float(value)


def _one_of(value: object, known: tuple[str, ...]) -> str:
    if value not in known:
        raise TypeError(f"{value!r} is not one of {', '.join(known)}")
    return str(value)


def _coarse(lowest: object) -> float | None:
    """To one digit: the lowest score that was found lies anywhere above the threshold of the inference."""
    return None if lowest is None else float(f"{_number(lowest):.1g}")
