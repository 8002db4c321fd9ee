"""The trees of runs: what was made of what, with accuracy and size at each stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taorunner.console.base.formatting import clean, metric_label, number
from taorunner.events import RunState
from taorunner.reports.sections.words import shortened
from taorunner.runs.lineage.links import Match
from taorunner.runs.lineage.tree import Node
from taorunner.text import size
from taorunner.values.value import MutableValue, field

MOST_TREES, _MOST_STAGES = 20, 60


class Stage(MutableValue):
    """``of`` is the file by which it hangs on the stage above."""

    action: str
    run: str
    experiment: str
    state: str
    metric: str
    value: str
    made: str
    size: str
    of: str
    below: list[Stage] = field(default_factory=list)


def trees_of(trees: Sequence[Sequence[Node]], ids: Mapping[str, str]) -> list[Stage]:
    """The roots of at most ``MOST_TREES``."""
    return [_tree(nodes[:_MOST_STAGES], ids) for nodes in trees[:MOST_TREES]]


def _tree(nodes: Sequence[Node], ids: Mapping[str, str]) -> Stage:
    root, *rest = nodes
    found = _stage(root, ids)
    above = [found]
    for node in rest:
        stage = _stage(node, ids)
        above[len(node.lasts) :] = []
        above[-1].below.append(stage)
        above.append(stage)
    return found


def _stage(node: Node, ids: Mapping[str, str]) -> Stage:
    record, made, value = node.record, node.made, node.value
    return Stage(
        clean(record.action), clean(ids.get(record.id, record.id)), shortened(record.experiment, 32),
        "" if record.state is RunState.SUCCEEDED else record.state.value.lower(),
        shortened(metric_label(node.metric or ""), 28) if value is not None else "",
        "" if value is None else number(value) + (f" at {node.epoch}" if node.epoch is not None else ""),
        shortened(made.path.name, 36) if made is not None else "", size(made.bytes) if made is not None else "",
        _of(node),
    )  # fmt: skip


def _of(node: Node) -> str:
    link = node.stage.main_link
    if link is None or not node.lasts:
        return ""
    if link.match is Match.RESUMED and not link.path:
        return "resumed"
    changed = " (changed since)" if link.match is Match.CHANGED else ""
    return f"of {shortened(link.path.rpartition('/')[2], 36)}{changed}"
