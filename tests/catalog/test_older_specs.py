"""Names of older releases lead to networks that there are."""

from __future__ import annotations

import pytest

from taorunner.catalog.load import near_network
from taorunner.catalog.names import network_names
from taorunner.catalog.older_specs import OLD_NETWORKS


def test_every_old_name_leads_to_networks_of_today_and_is_none() -> None:
    known = set(network_names())
    assert {name for today in OLD_NETWORKS.values() for name in today} <= known
    assert known.isdisjoint(OLD_NETWORKS)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("efficientdet", "older releases had that name; today it is efficientdet_tf1 or efficientdet_tf2"),
        ("frcnn", "older releases had that name; today it is faster_rcnn"),
        ("detectnet_v3", 'did you mean "detectnet_v2"?'),
        ("zzz", "taorunner networks lists them"),
    ],
)
def test_the_hint_for_a_name_that_no_network_has(word: str, hint: str) -> None:
    assert near_network(word, network_names()) == hint
