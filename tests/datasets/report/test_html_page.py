"""Parts of the page of statistics."""

from __future__ import annotations

from collections import Counter

import pytest

from taorunner.datasets.report.html_page import _bar, _histogram, _steps


@pytest.mark.parametrize(
    ("counts", "bins"),
    [
        ({}, [("0", 0)]),
        ({0: 3, 2: 1}, [("0", 3), ("1", 0), ("2", 1)]),
        ({12: 1}, [*((str(n), 0) for n in range(12)), ("12", 1)]),
        ({0: 2, 1: 1, 13: 4, 14: 5}, [
            ("0", 2), ("1 to 2", 1), ("3 to 4", 0), ("5 to 6", 0), ("7 to 8", 0), ("9 to 10", 0), ("11 to 12", 0),
            ("13 to 14", 9),
        ]),
    ],
)  # fmt: skip
def test_bins_of_boxes_per_image(counts: dict[int, int], bins: list[tuple[str, int]]) -> None:
    assert _steps(Counter(counts)) == bins


def test_bars_and_names() -> None:
    assert _bar(0, 10) == "<td class=bar></td>"
    assert 'style="width:50.0%"' in _bar(5, 10)
    assert 'style="width:100.0%;background:#123"' in _bar(10, 10, "#123")
    page = _histogram("A < B", [("<b>", 1200), ("x", 0)])
    assert "<h2>A &lt; B</h2>" in page and "&lt;b&gt;" in page and "1,200" in page
