"""Every metric that was gathered from TAO's code has its direction and scale in the catalog, and the best is the best."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taorunner.catalog.load import Catalog, network_names
from taorunner.events import MetricReported
from taorunner.progress.metric_table import MetricTable
from taorunner.runs.state.snapshot import fold
from taorunner.yaml_reader import read_yaml

FACTS: list[dict[str, Any]] = read_yaml(
    (Path(__file__).parent / "metric_facts.yml").read_text(encoding="utf-8")
).value
T0 = datetime(2026, 1, 1, tzinfo=timezone.utc)
NOT_GATHERED = {
    "classification_tf2": "its figures are in tao/real_runs.md",
    "efficientdet_tf2": "its figures are in tao/real_runs.md",
    "multitask_classification": "one figure for each of the user's tasks",
    "tinydet": "taorunner's own network",
}
"""Networks with metrics that results.md does not list."""


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Network, action, name of the metric, and ``up fraction``."""
    for row in FACTS:
        for network in row["networks"]:
            for action, metrics in row.items():
                if action not in ("networks", "ranks"):
                    yield from ((network, action, name, words) for name, words in metrics.items())


ROWS = tuple(rows())


@cache
def table(network: str, action: str) -> MetricTable:
    contract = Catalog().network(network).contract(action)
    return MetricTable(contract.kpi, guesses=contract.guesses_metrics)


def test_every_metric_has_the_direction_and_the_scale_that_were_gathered() -> None:
    found = [(network, action, name, table(network, action).find(name)) for network, action, name, _ in ROWS]
    ours = {
        (network, action, name): None if metric is None else f"{metric.direction.value} {metric.scale.value}"
        for network, action, name, metric in found
    }
    assert ours == {(network, action, name): words for network, action, name, words in ROWS}
    assert len(ours) > 200


def test_the_pattern_of_a_metric_is_that_of_its_whole_name() -> None:
    """``networks NAME --json`` has it, for scripts that look up a name of status.json."""
    for network, action, name, _ in ROWS:
        metric = table(network, action).find(name)
        assert metric is not None and re.fullmatch(metric.pattern, name), (network, action, name)


@pytest.mark.parametrize("row", FACTS, ids=lambda row: row["networks"][0])
def test_runs_are_compared_by_the_metric_that_was_gathered(row: dict[str, Any]) -> None:
    for network in row["networks"]:
        for action, first in row.get("ranks", {}).items():
            ranks = {name: table(network, action).meaning(name).rank for name in row[action]}
            ranked = {name: rank for name, rank in ranks.items() if rank is not None}
            assert min(ranked, key=lambda name: ranked[name]) == first, (network, action, ranked)


def test_every_network_with_metrics_was_gathered() -> None:
    catalog = Catalog()
    measured = {
        name
        for name in network_names()
        for contract in catalog.network(name).contracts().values()
        if any(metric.ranks for metric in contract.kpi) and contract.group != "deploy"
    }
    assert measured - {network for row in FACTS for network in row["networks"]} == set(NOT_GATHERED)


VALUES = st.one_of(st.floats(), st.floats(0, 1), st.sampled_from([0.0, -0.0, 1.0, 0.5]))
REPORTS = st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 12)), VALUES), min_size=1, max_size=30)


@given(row=st.sampled_from(ROWS), reports=REPORTS)
def test_no_value_of_a_run_is_better_than_its_best(
    row: tuple[str, str, str, str], reports: list[tuple[int | None, float]]
) -> None:
    """A process counts its epochs upwards, and may say the value of an epoch again: the last one counts."""
    network, action, name, words = row
    meaning = table(network, action).meaning(name)
    direction = None if meaning.direction is None else meaning.direction.value
    ordered = sorted(reports, key=lambda report: report[0] or 0)
    events = [
        MetricReported("run", T0, name=name, value=value, epoch=epoch, direction=direction, rank=meaning.rank)
        for epoch, value in ordered
    ]
    best = fold(events, "run").best.get(name)
    single = [value for epoch, value in ordered if epoch is None]
    of_epochs = {epoch: value for epoch, value in ordered if epoch is not None}
    finite = [value for value in (*single, *of_epochs.values()) if abs(value) < float("inf")]
    if words.startswith("none") or not finite:
        assert best is None
    else:
        assert best is not None
        assert best.value == (min(finite) if words.startswith("down") else max(finite))
