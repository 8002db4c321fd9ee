"""What goes into a report: which runs, in which order, their trees, scores and failures. Only reads.

Runs that were trained on other data, or are ranked by another metric, are never ranked together: those that can be
compared with each other are one group, the largest group comes first, and only its runs have a rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from taorunner.events import MetricReported, RunQueued, RunStarted, RunState, RunWaiting
from taorunner.reports.scored import Scored, scored_runs
from taorunner.runs.comparison.compare import Comparison, compare, of_runs, unlike
from taorunner.runs.comparison.metrics import ComparedMetric
from taorunner.runs.comparison.read_run import ComparedRun
from taorunner.runs.control.ending import endings
from taorunner.runs.lineage.tree import Node, trees_of
from taorunner.runs.state.host_figures import may_have_figures
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.values.value import Value

_FAILED = frozenset({RunState.FAILED, RunState.LOST})


class Failure(Value):
    """``steps`` are the commands that follow, without ``taorunner -p PROJECT``."""

    record: RunRecord
    steps: tuple[str, ...]


class Contents(Value):
    """``comparison`` is in the order of the report. The first ``ranked`` runs can be compared with each other;
    ``metric`` is the one that they are ranked by. ``restarts``: by the place of a run, the epochs that began with a
    restart. ``trees`` are those in which a run was made of another one."""

    comparison: Comparison
    ranked: int
    metric: ComparedMetric | None
    restarts: tuple[frozenset[int], ...]
    trees: tuple[tuple[Node, ...], ...]
    scored: tuple[Scored, ...]
    failures: tuple[Failure, ...]


def contents_of(store: RunStore, records: Sequence[RunRecord]) -> Contents:
    """``records`` are the runs that are compared, at least one. Never raises for files beside the records."""
    comparison, ranked = _in_groups(compare(store, records))
    main = comparison.runs[0].ranking_metric
    metric = next((one for one in comparison.metrics if one.name == main), None)
    related = _related(store, records)
    trees = [tuple(tree) for tree in trees_of(store, records) if len(tree) > 1]
    order = {(run.record.project, run.record.experiment): -place for place, run in enumerate(comparison.runs)}
    related.sort(key=lambda one: order[one.project, one.experiment], reverse=True)
    return Contents(
        comparison, ranked, metric, tuple(_restarts(store, run.record) for run in comparison.runs),
        tuple(trees), tuple(_scored(store, order)), tuple(_failures(store, records, related)),
    )  # fmt: skip


def ranks(contents: Contents) -> dict[int, int]:
    """By the place of a run its rank, 1 for the best; equal values have the same. Empty without a direction."""
    metric = contents.metric
    if metric is None or metric.direction is None:
        return {}
    known = {place: metric.values[place].best for place in range(contents.ranked)}
    ordered = sorted(
        {value for value in known.values() if value is not None}, reverse=metric.direction == "up"
    )
    return {place: 1 + ordered.index(value) for place, value in known.items() if value is not None}


def best_places(metric: ComparedMetric, ranked: int) -> frozenset[int]:
    """The places of the best runs among those that can be compared; none of fewer than two, and where all are equal."""
    known = {place: one.best for place, one in enumerate(metric.values[:ranked]) if one.best is not None}
    if metric.direction is None or len(known) < 2 or len(set(known.values())) < 2:
        return frozenset()
    best = max(known.values()) if metric.direction == "up" else min(known.values())
    return frozenset(place for place, value in known.items() if value == best)


def _in_groups(comparison: Comparison) -> tuple[Comparison, int]:
    """With the largest group first, each with its best run first; and how many runs the first group has."""
    runs, left = comparison.runs, list(range(len(comparison.runs)))
    groups: list[list[int]] = []
    while left:
        alike = [place for place in left if not unlike(runs, place, left[0])]
        groups.append(_best_first(runs, alike, comparison))
        left = [place for place in left if place not in set(alike)]
    groups.sort(key=len, reverse=True)  # stable: of equal ones that of the run that was named first
    order = [place for group in groups for place in group]
    return of_runs(tuple(runs[place] for place in order)), len(groups[0])


def _best_first(runs: Sequence[ComparedRun], places: list[int], comparison: Comparison) -> list[int]:
    name = next((runs[place].ranking_metric for place in places if runs[place].ranking_metric), None)
    metric = next((one for one in comparison.metrics if one.name == name), None)
    if metric is None or metric.direction is None:
        return places
    sign = -1.0 if metric.direction == "up" else 1.0

    def order(place: int) -> tuple[bool, float]:
        best = metric.values[place].best
        return best is None, 0.0 if best is None else sign * best

    return sorted(places, key=order)


def _restarts(store: RunStore, record: RunRecord) -> frozenset[int]:
    """The first epoch of each attempt but the first."""
    if not record.retries_made and not record.requeues:
        return frozenset()
    found, starts, is_new = set(), 0, False
    for event in store.read_events(record.id)[0]:
        if isinstance(event, (RunStarted, RunQueued, RunWaiting)):
            starts += isinstance(event, RunStarted)
            is_new = starts > 0
        elif isinstance(event, MetricReported) and event.epoch is not None and is_new:
            if starts > 1:
                found.add(event.epoch)
            is_new = False
    return frozenset(found)


def _scored(store: RunStore, order: Mapping[tuple[str, str], int]) -> Iterable[Scored]:
    """Every inference of the experiments that was scored, in their order, the newest first. Of those of one model on
    the same data, measured in the same way, the newest counts."""
    records = [
        one
        for one in store.records()
        if (one.project, one.experiment) in order and may_have_figures(one.action)
    ]
    records.sort(key=lambda one: order[one.project, one.experiment], reverse=True)
    found: dict[object, Scored] = {}
    for one in scored_runs(store, records):
        record, data = one.record, (one.fingerprint or one.dataset, one.split, one.images)
        found.setdefault(
            (record.project, record.experiment, record.action, one.model, data, one.protocol), one
        )
    return found.values()


def _related(store: RunStore, records: Iterable[RunRecord]) -> list[RunRecord]:
    """The newest run of each action of the experiments, newest first."""
    experiments = {(one.project, one.experiment) for one in records}
    found: dict[tuple[str, str, str], RunRecord] = {}
    for record in store.records():
        if (record.project, record.experiment) in experiments:
            found.setdefault((record.project, record.experiment, record.action), record)
    return list(found.values())


def _failures(
    store: RunStore, records: Sequence[RunRecord], related: Sequence[RunRecord]
) -> Iterable[Failure]:
    known = {one.id: one for one in (*records, *related) if one.state in _FAILED}
    newest = sorted(known.values(), key=lambda one: one.queued_at, reverse=True)
    for run, ending in endings(store, newest).items():
        record = known[run]
        steps = [step.format(record.experiment) for step in ending.steps]
        yield Failure(record, tuple(dict.fromkeys(steps)))
