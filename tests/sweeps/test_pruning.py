"""The median rule and ASHA."""

from __future__ import annotations

import pytest

from taorunner.project.sweeps.definition import Pruner
from taorunner.sweeps.pruning import reason_to_prune

ASHA = Pruner(kind="asha", first=2, factor=3)
MEDIAN = Pruner(kind="median", first=2)


def flat(value: float, epochs: int = 9) -> dict[int, float]:
    return dict.fromkeys(range(1, epochs + 1), value)


def test_asha_lets_one_of_three_pass_each_rung() -> None:
    others = [flat(0.5), flat(0.4)]
    assert reason_to_prune(ASHA, flat(0.6, 2), others, maximize=True) is None
    assert reason_to_prune(ASHA, flat(0.45, 2), others, maximize=True) == "pruned at epoch 2: 0.45, 2nd of 3"
    assert reason_to_prune(ASHA, flat(0.45, 2), others, maximize=False) == "pruned at epoch 2: 0.45, 2nd of 3"
    assert reason_to_prune(ASHA, flat(0.3, 2), others, maximize=False) is None


def test_asha_judges_at_rungs_only() -> None:
    others = [flat(0.5), flat(0.4)]
    late = {**flat(0.6, 2), 3: 0.0, 4: 0.0, 5: 0.0}  # its best value up to epoch 2 is the best of all
    assert reason_to_prune(ASHA, late, others, maximize=True) is None
    assert reason_to_prune(ASHA, flat(0.1, 1), others, maximize=True) is None
    assert reason_to_prune(ASHA, {**flat(0.1, 5), 6: 0.9}, others, maximize=True) is None
    assert reason_to_prune(ASHA, flat(0.1, 7), others, maximize=True) == "pruned at epoch 7: 0.1, 3rd of 3"


def test_asha_waits_until_there_are_enough() -> None:
    assert reason_to_prune(ASHA, flat(0.1, 2), [flat(0.5)], maximize=True) is None
    assert reason_to_prune(ASHA, flat(0.1, 2), [flat(0.5), flat(0.5, 1)], maximize=True) is None


def test_a_trial_that_ended_at_the_rung_is_a_rival() -> None:
    others = [flat(0.5, 2), flat(0.4, 2)]
    assert reason_to_prune(ASHA, flat(0.1, 2), others, maximize=True) == "pruned at epoch 2: 0.1, 3rd of 3"
    others = [flat(0.5, 3)] * 3
    assert reason_to_prune(MEDIAN, flat(0.1, 3), others, maximize=True) == "pruned at epoch 3: 0.1, 4th of 4"


@pytest.mark.parametrize(
    ("place", "said"),
    [(11, "11th"), (12, "12th"), (21, "21st"), (22, "22nd"), (103, "103rd"), (111, "111th")],
)
def test_the_place_among_many(place: int, said: str) -> None:
    others = [flat(0.9)] * (place - 1)
    assert (
        reason_to_prune(ASHA, flat(0.1, 2), others, maximize=True)
        == f"pruned at epoch 2: 0.1, {said} of {place}"
    )


def test_the_median_of_the_others() -> None:
    others = [flat(0.2), flat(0.4), flat(0.6)]
    assert reason_to_prune(MEDIAN, flat(0.3, 2), others, maximize=True) == "pruned at epoch 2: 0.3, 3rd of 4"
    assert reason_to_prune(MEDIAN, flat(0.5, 2), others, maximize=True) is None
    assert reason_to_prune(MEDIAN, flat(0.5, 2), others, maximize=False) is not None
    assert reason_to_prune(MEDIAN, flat(0.0, 2), others[:2], maximize=True) is None
    assert reason_to_prune(MEDIAN, flat(0.0, 1), others, maximize=True) is None


def test_validation_every_few_epochs_and_no_values() -> None:
    others = [{4: 0.5, 8: 0.6}, {4: 0.4, 8: 0.7}]
    assert reason_to_prune(ASHA, {4: 0.1}, others, maximize=True) == "pruned at epoch 4: 0.1, 3rd of 3"
    assert reason_to_prune(ASHA, {}, others, maximize=True) is None
    assert reason_to_prune(ASHA, {4: float("nan")}, others, maximize=True) is None
    assert reason_to_prune(ASHA, {4: 0.9}, [{}, {}], maximize=True) is None
