"""The tree of a run: from what its first ancestor was made of to everything that was made of it. Only reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from taorunner.errors import RunStateError
from taorunner.runs.lineage.links import Link, Stage, stages_of
from taorunner.runs.outputs.recorded import BYPRODUCTS, CHECKPOINT, Output
from taorunner.runs.state.lookup.run_metrics import metrics_of
from taorunner.runs.state.metric_names import kpi_name
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.values.value import Value


class Node(Value):
    """One run in the tree. ``lasts`` are, for each level from the root's children down to it, whether it is the last
    one there. ``metric`` is the one that ranks its runs; ``value`` its best of a training, else its last one.
    ``made`` is what a person goes on with: the checkpoint that was read most, a model, an engine."""

    stage: Stage
    lasts: tuple[bool, ...] = ()
    metric: str | None = None
    value: float | None = None
    epoch: int | None = None
    made: Output | None = None

    @property
    def record(self) -> RunRecord:
        return self.stage.record

    @property
    def others(self) -> tuple[Link, ...]:
        """The models and weights that it was made from besides."""
        return tuple(
            link for link in self.stage.links if link is not self.stage.main_link and not link.is_data
        )

    def to_json(self, short_id: str) -> dict[str, object]:
        record = self.record
        return {
            "run": record.id, "short_id": short_id, "project": record.project, "experiment": record.experiment,
            "action": record.action, "state": record.state.value, "metric": self.metric, "value": self.value,
            "epoch": self.epoch, "made_from": [link.to_json() for link in self.stage.links],
            "made": [one.to_json() for one in self.stage.outputs if one.kind not in BYPRODUCTS],
        }  # fmt: skip


def tree_of(store: RunStore, record: RunRecord) -> list[Node]:
    """The nodes in the order in which a tree is printed, its root first.

    Raises RunStateError for a run that never started.
    """
    stages = stages_of(store, record.project)
    if record.id not in stages:
        raise RunStateError(f'run "{store.short_id(record.id)}" never started: it was made from nothing')
    root, children = _root(stages, record.id), _children(stages)
    if root == record.id and not children.get(root):  # of a conversion: what was trained on its files
        children[root] = [run for run, stage in stages.items() if _reads_data_of(stage, root)]
    return [_node(store, stages, children, run, lasts) for run, lasts in _walk(root, children)]


def trees_of(store: RunStore, records: Iterable[RunRecord]) -> list[list[Node]]:
    """The trees in which the runs are, each once, as ``tree_of`` has them; none of a run that never started."""
    projects: dict[str, dict[str, Stage]] = {}
    roots: dict[tuple[str, str], None] = {}
    for record in records:
        stages = projects.get(record.project)
        if stages is None:
            stages = projects.setdefault(record.project, stages_of(store, record.project))
        if record.id in stages:
            roots[record.project, _root(stages, record.id)] = None
    found = []
    for project, root in roots:
        stages, children = projects[project], _children(projects[project])
        found.append([_node(store, stages, children, run, lasts) for run, lasts in _walk(root, children)])
    return found


def parents_of(store: RunStore, record: RunRecord) -> list[str]:
    """The ids of the runs that made what this run read; those that are resumed among them."""
    stage = stages_of(store, record.project).get(record.id)
    return (
        list(dict.fromkeys(link.run for link in stage.links if link.run is not None))
        if stage is not None
        else []
    )


def _root(stages: Mapping[str, Stage], run: str) -> str:
    seen = {run}
    while (parent := stages[run].parent) is not None and parent in stages and parent not in seen:
        seen.add(parent)
        run = parent
    return run


def _children(stages: Mapping[str, Stage]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for run, stage in stages.items():
        if stage.parent is not None and stage.parent in stages and stage.parent != run:
            found.setdefault(stage.parent, []).append(run)
    return found


def _reads_data_of(stage: Stage, run: str) -> bool:
    return stage.parent is None and any(link.is_data and link.run == run for link in stage.links)


def _walk(root: str, children: Mapping[str, list[str]]) -> Iterator[tuple[str, tuple[bool, ...]]]:
    waiting: list[tuple[str, tuple[bool, ...]]] = [(root, ())]
    seen: set[str] = set()
    while waiting:
        run, lasts = waiting.pop()
        if run in seen:
            continue
        seen.add(run)
        yield run, lasts
        below = children.get(run, [])
        waiting += [(one, (*lasts, place == len(below) - 1)) for place, one in enumerate(below)][::-1]


def _node(
    store: RunStore, stages: Mapping[str, Stage], children: Mapping[str, list[str]], run: str, lasts: tuple[bool, ...]
) -> Node:  # fmt: skip
    stage = stages[run]
    found = metrics_of(store, stage.record)
    metric = kpi_name(found.last, found.judged)
    best = found.best.get(metric) if metric is not None and stage.record.action == "train" else None
    value = best.value if best is not None else found.last.get(metric) if metric is not None else None
    read = [stages[one].links for one in children.get(run, [])]
    names = [
        link.path.rpartition("/")[2] for links in read for link in links if link.run == run and link.path
    ]
    return Node(stage, lasts, metric, value, best.epoch if best is not None else None, _made(stage, names))


def _made(stage: Stage, read: list[str]) -> Output | None:
    """The output that was read most; else the first one of use; else the newest checkpoint."""
    useful = [one for one in stage.outputs if one.kind not in BYPRODUCTS]
    taken = [one for one in useful if one.path.name in read]
    if taken:
        return max(taken, key=lambda one: read.count(one.path.name))
    models = [one for one in useful if one.kind != CHECKPOINT]
    return models[0] if models else useful[-1] if useful else None
