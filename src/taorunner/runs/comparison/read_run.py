"""Reads of one run what is compared: its record, its metrics over the epochs, and what it was made from."""

from __future__ import annotations

from taorunner.runs.comparison.data_read import ComparedData, data_read
from taorunner.runs.inputs.run_lock import RunLock, read_lock
from taorunner.runs.state.lookup.run_metrics import RunMetrics, metrics_of
from taorunner.runs.state.metric_names import kpi_name
from taorunner.runs.state.record import RunRecord
from taorunner.values.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taorunner.runs.state.store import RunStore


class ComparedRun(Value):
    """``lock`` is None for a run of an older version and one that never started. ``network`` is None where nothing says
    it. ``scales`` are those of the catalog at its start, by metric. ``data`` is None where it is not on record."""

    record: RunRecord
    metrics: RunMetrics
    lock: RunLock | None
    network: str | None
    scales: Mapping[str, str]
    data: tuple[ComparedData, ...] | None

    @property
    def ranking_metric(self) -> str | None:
        """The metric that runs of its network are ranked by, of those that it has."""
        return kpi_name(self.metrics.last, self.metrics.judged)

    def curve(self, metric: str) -> list[float]:
        """Its values by epoch, oldest first."""
        return [value for epoch, value in self.metrics.history.get(metric, {}).items() if epoch is not None]


def ranking_metric(runs: Iterable[ComparedRun]) -> str | None:
    """The metric that several runs are ranked by: that of the first run that has one."""
    return next((run.ranking_metric for run in runs if run.ranking_metric is not None), None)


def read_run(store: RunStore, record: RunRecord) -> ComparedRun:
    """Never raises for files beside the record: what cannot be read is not known."""
    metrics = metrics_of(store, record)
    network, scales = _catalog_facts(store, record.id, tuple(metrics.last))
    if metrics.host is not None:
        scales = {**scales, **metrics.host.scales}
    lock = read_lock(store, record.id)
    return ComparedRun(record, metrics, lock, network, scales, data_read(store, record, lock))


def _catalog_facts(
    store: RunStore, run_id: str, metrics: tuple[str, ...]
) -> tuple[str | None, Mapping[str, str]]:
    """The network, and the scale of each metric that the contract in the plan has."""
    try:
        contract = store.plan_body(run_id)["contract"]
        network = str(contract["network"])
        rows = contract.get("kpi") or []
        exact = {str(row["name"]).strip(): str(row["scale"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, {}
    scales = {name: exact[name] for name in metrics if name in exact}
    if len(scales) < len(metrics) and any("<" in name or "*" in name for name in exact):
        scales = {**_by_pattern(rows, metrics), **scales}
    return network, scales


def _by_pattern(rows: list[dict[str, str]], metrics: tuple[str, ...]) -> dict[str, str]:
    from taorunner.contracts import Direction, Metric, MetricScale
    from taorunner.progress.metric_table import MetricTable

    try:
        known = [Metric(row["name"], Direction(row["direction"]), MetricScale(row["scale"])) for row in rows]
    except (ValueError, KeyError, TypeError):
        return {}
    table = MetricTable(known, guesses=False)
    found = {name: table.find(name) for name in metrics}
    return {name: metric.scale.value for name, metric in found.items() if metric is not None}
