"""Comparison: what differs between runs, and what it did to their metrics. Only reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from taorunner.errors import UsageError
from taorunner.runs.comparison.data_read import is_same_data
from taorunner.runs.comparison.differences import KINDS, Difference, NoValue, differences
from taorunner.runs.comparison.metrics import ComparedMetric, compared_metrics
from taorunner.runs.comparison.read_run import ComparedRun, read_run
from taorunner.runs.state.record import RunRecord
from taorunner.text import did_you_mean, printable
from taorunner.values.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taorunner.runs.state.store import RunStore


class Comparison(Value):
    """``rows`` are all values that were compared, ``metrics`` all metrics that a run has. ``unlike`` are, for each run,
    the reasons why its metrics say little beside those of the first one; empty for the first."""

    runs: tuple[ComparedRun, ...]
    rows: tuple[Difference, ...]
    metrics: tuple[ComparedMetric, ...]
    unlike: tuple[tuple[str, ...], ...]

    @property
    def differences(self) -> tuple[Difference, ...]:
        return tuple(row for row in self.rows if not row.is_same)

    @property
    def same(self) -> dict[str, int]:
        """How many values of each kind are the same in all runs."""
        counts = {
            kind: sum(row.kind == kind and row.is_same and row.is_known for row in self.rows)
            for kind in KINDS
        }
        return {kind: count for kind, count in counts.items() if count}

    @property
    def not_on_record(self) -> tuple[ComparedRun, ...]:
        """The runs of which it is not known what they were made from."""
        return tuple(run for run in self.runs if run.lock is None)

    @property
    def measured_by(self) -> tuple[str, ...]:
        """How the figures of this machine were measured: one text where all runs have the same."""
        return tuple(
            dict.fromkeys(run.metrics.host.measured_by for run in self.runs if run.metrics.host is not None)
        )

    def metric(self, name: str) -> ComparedMetric:
        """Raises UsageError for a metric that no run has, with the nearest name."""
        found = next((one for one in self.metrics if one.name == name), None)
        if found is not None:
            return found
        names = [one.name for one in self.metrics]
        known = (
            f"these are on record: {', '.join(map(printable, names[:8]))}" if names else "no run has a metric"
        )
        raise UsageError(f'no metric "{printable(name)}"', hint=did_you_mean(name, names) or known)

    def to_json(self, runs: Sequence[object]) -> dict[str, Any]:
        """``runs`` are the runs in their own JSON shape. Values of nan and infinity are texts, as in events.jsonl."""
        return {
            "runs": list(runs),
            "unlike": [list(reasons) for reasons in self.unlike],
            "differences": [
                {"kind": row.kind, "key": row.key, "values": [_plain(value) for value in row.values]}
                for row in self.differences
            ],
            "metrics": [
                {
                    "name": one.name, "direction": one.direction, "scale": one.scale, "winner": one.winner,
                    "values": [
                        {"best": value.best, "epoch": value.epoch, "last": _number(value.last)} for value in one.values
                    ],
                }
                for one in self.metrics
            ],
        }  # fmt: skip


def compare(store: RunStore, records: Iterable[RunRecord]) -> Comparison:
    """The first run is what the others are compared with. Never raises for files beside the records."""
    return of_runs(tuple(read_run(store, record) for record in records))


def of_runs(runs: tuple[ComparedRun, ...]) -> Comparison:
    """The comparison of runs that were read. Pure."""
    rows = differences(runs)
    return Comparison(
        runs, rows, compared_metrics(runs), tuple(unlike(runs, place) for place in range(len(runs)))
    )


def unlike(runs: Sequence[ComparedRun], place: int, reference: int = 0) -> tuple[str, ...]:
    """Why the metrics of the run at ``place`` say little beside those of the one at ``reference``."""
    first, run = runs[reference], runs[place]
    if place == reference:
        return ()
    reasons = []
    if None not in (first.network, run.network) and first.network != run.network:
        reasons.append(f"another network, {run.network}")
    if first.record.action != run.record.action:
        reasons.append(f"another action, {run.record.action}")
    metrics = (first.ranking_metric, run.ranking_metric)
    if None not in metrics and metrics[0] != metrics[1]:
        reasons.append(f"ranked by {metrics[1]}")
    hosts = (first.metrics.host, run.metrics.host)
    if hosts[0] is not None and hosts[1] is not None and hosts[0].settings != hosts[1].settings:
        reasons.append(f"measured otherwise, by {hosts[1].measured_by}")
    if (first.data is None) != (run.data is None):
        reasons.append(
            "which data it read is not on record" if run.data is None else "may have read other data"
        )
    elif first.data is not None and run.data is not None and not is_same_data(first.data, run.data):
        images = sum(one.data.images for one in run.data)
        count = f" ({images:,} images)" if images else ""
        reasons.append(f"other data{count}")
    return tuple(reasons)


def _plain(value: Any) -> Any:
    return None if isinstance(value, NoValue) else value


def _number(value: float | None) -> float | str | None:
    if value is None or value - value == 0:
        return value
    return str(value)
