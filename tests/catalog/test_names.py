"""Names of networks, metrics and images of a kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.catalog.layers import _kpi, parse_metric
from taorunner.catalog.load import Catalog, joined
from taorunner.catalog.names import network_names, own_network_names
from taorunner.contracts import Direction, Metric, MetricScale
from taorunner.errors import UserFilesError


def test_networks_of_a_workspace(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yml", ".hidden.yml", "notes.txt", "x.yaml"):
        (tmp_path / name).touch()
    assert own_network_names(str(tmp_path)) == ("a", "b")
    assert own_network_names(str(tmp_path / "missing")) == ()
    assert "dino" in network_names() and list(network_names()) == sorted(network_names())


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("up", Metric("m", Direction.UP)),
        ("down fraction", Metric("m", Direction.DOWN, MetricScale.FRACTION)),
        ("up ranks", Metric("m", Direction.UP, ranks=True)),
        ("up percent ranks", Metric("m", Direction.UP, MetricScale.PERCENT, True)),
        ("up fraction console", Metric("m", Direction.UP, MetricScale.FRACTION, console=True)),
        ("up fraction ranks console", Metric("m", Direction.UP, MetricScale.FRACTION, True, True)),
        ("none own", Metric("m", Direction.NONE, MetricScale.OWN)),
    ],
)
def test_the_words_of_a_metric(text: str, metric: Metric) -> None:
    assert parse_metric("m", text) == metric


@pytest.mark.parametrize(
    "text", ["", "sideways", "up nonsense", "up fraction percent", "up fraction percent ranks"]
)
def test_words_that_are_no_metric(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_metric("m", text)


def test_images_of_a_kind() -> None:
    catalog = Catalog()
    kinds = catalog.image_kinds()
    assert {"pyt", "deploy", "data-services"} <= set(kinds) and len(set(kinds)) == len(kinds)
    assert catalog.image_of_kind("pyt").endswith("-pyt")
    assert catalog.image_of_kind("data_services") == catalog.image_of_kind("data-services")
    assert catalog.image_of_kind("pyt", "5.5.0").endswith(":5.5.0-pyt")
    with pytest.raises(UserFilesError) as caught:
        catalog.image_of_kind("pty")
    assert (caught.value.message, caught.value.hint) == (
        'there is no image group "pty"',
        'did you mean "pyt"?',
    )
    for kind, release in (("pyt", "1.2.3"), ("pyt", "7.2.0")):
        with pytest.raises(UserFilesError):
            catalog.image_of_kind(kind, release)


def test_families_name_their_tables() -> None:
    families = Catalog().families()
    assert list(families) == sorted(families) and "embedded" in families
    assert any(families.values())


def test_mappings_are_joined_at_every_depth() -> None:
    below = {"a": 1, "b": {"c": 2, "d": 3}, "e": {"f": 1}, "g": [1]}
    above = {"a": 5, "b": {"c": 7}, "e": None, "g": [2], "h": 1}
    assert joined(below, above) == {"a": 5, "b": {"c": 7, "d": 3}, "e": None, "g": [2], "h": 1}
    assert below["b"] == {"c": 2, "d": 3}


def test_metrics_that_rank_come_first_and_those_taken_away_are_left_out() -> None:
    metrics = _kpi({"a": "up", "b": None, "c": "down fraction ranks", "d": "none"})
    assert [metric.name for metric in metrics] == ["c", "a", "d"]
