"""The colours of runs: told apart with each kind of colour blindness, and visible on light and on dark paper.

Sources: contrast as WCAG 2.2 defines it; the matrices of Machado, Oliveira and Fernandes (2009) at full severity;
distances in Oklab (Ottosson, 2020), where a difference that is just seen is about 0.02.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from taorunner.reports.charts.colours import DARK, LIGHT, MOST, style_of

PAPER = {"light": "#ffffff", "dark": "#14171c"}
NORMAL = np.eye(3)
BLINDNESS = {
    "none": NORMAL,
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_CONES = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
TO_OKLAB = [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.808675766]]  # fmt: skip


def linear(colour: str) -> np.ndarray:
    part = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def oklab(colour: str, matrix: object) -> np.ndarray:
    seen = np.clip(np.asarray(matrix) @ linear(colour), 0, 1)
    return np.asarray(TO_OKLAB) @ np.cbrt(np.asarray(TO_CONES) @ seen)


@pytest.mark.parametrize(("paper", "colours"), [("light", LIGHT), ("dark", DARK)])
def test_each_colour_stands_out_from_the_paper(paper: str, colours: tuple[str, ...]) -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    back = linear(PAPER[paper]) @ weights
    for colour in colours:
        own = linear(colour) @ weights
        assert (max(own, back) + 0.05) / (min(own, back) + 0.05) >= 3, colour


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_any_two_colours_can_be_told_apart(colours: tuple[str, ...], blindness: str) -> None:
    matrix = BLINDNESS[blindness]
    for one, other in combinations(colours, 2):
        assert np.linalg.norm(oklab(one, matrix) - oklab(other, matrix)) >= 0.1, (one, other)


def test_twelve_runs_have_a_style_of_their_own_and_others_are_grey() -> None:
    assert len({style_of(place) for place in range(MOST)}) == MOST == 12
    assert style_of(MOST) == style_of(500) == "rest"
