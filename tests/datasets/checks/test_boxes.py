"""Faults of one box at the edges of its image."""

from __future__ import annotations

import pytest

from taorunner.datasets.checks.boxes import faults_of


@pytest.mark.parametrize(
    ("box", "codes"),
    [
        ((0, 0, 100, 50), []),
        ((10, 10, 10, 20), ["box-empty"]),
        ((10, 10, 20, 10), ["box-empty"]),
        ((20, 10, 10, 20), ["box-inverted"]),
        ((10, 20, 20, 10), ["box-inverted"]),
        ((100, 0, 110, 10), ["box-outside"]),
        ((0, 50, 10, 60), ["box-outside"]),
        ((-10, 0, 0, 10), ["box-outside"]),
        ((0, -10, 10, 0), ["box-outside"]),
        ((-2, 10, 20, 20), ["box-beyond-edge"]),
        ((10, -2, 20, 20), ["box-beyond-edge"]),
        ((90, 10, 102, 20), ["box-beyond-edge"]),
        ((10, 40, 20, 52), ["box-beyond-edge"]),
        ((10, 10, 13.9, 30), ["box-tiny"]),
        ((10, 10, 30, 13.9), ["box-tiny"]),
        ((10, 10, 14, 14), []),
        ((98, 10, 120, 30), ["box-beyond-edge", "box-tiny"]),
    ],
)
def test_faults(box: tuple[float, float, float, float], codes: list[str]) -> None:
    faults = faults_of(box, (100, 50), 4.0)
    assert [fault.code for fault in faults] == codes
    assert all(fault.is_removed == (fault.code in ("box-empty", "box-outside")) for fault in faults)


def test_a_box_beyond_the_edge_is_clipped_to_the_image() -> None:
    (fault,) = faults_of((-5, -6, 120, 70), (100, 50), 4.0)
    assert fault.clipped == (0, 0, 100, 50)
    assert fault.message == "the box -5 -6 120 70 reaches beyond the image of 100x50"


def test_without_a_size_only_the_box_itself_is_judged() -> None:
    assert faults_of((-5, -6, 120, 70), None, 4.0) == []
    assert [fault.code for fault in faults_of((0, 0, 1, 1), None, 4.0)] == ["box-tiny"]
