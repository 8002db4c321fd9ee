"""Which trials lose their checkpoints."""

from __future__ import annotations

from taorunner.sweeps.losers import losers
from taorunner.sweeps.trial import Ending, Trial


def trial(
    number: int, value: float | None, ending: Ending | None = "succeeded", run: str | None = "r"
) -> Trial:
    return Trial(number, run=run, ending=ending, value=value)


def test_the_best_keep_theirs_and_with_equal_values_the_earlier() -> None:
    trials = [trial(0, 0.5), trial(1, 0.9), trial(2, 0.9), trial(3, 0.7, "pruned")]
    assert [one.number for one in losers(trials, 1, maximize=True)] == [0, 2, 3]
    assert [one.number for one in losers(trials, 2, maximize=True)] == [0, 3]
    assert [one.number for one in losers(trials, 1, maximize=False)] == [1, 2, 3]


def test_a_trial_that_took_the_value_of_another_takes_no_place_among_the_best() -> None:
    """Nothing was run for it, so it has no checkpoint to keep."""
    trials = [trial(0, 0.9, "same", None), trial(1, 0.9), trial(2, 0.5)]
    assert [one.number for one in losers(trials, 1, maximize=True)] == [2]


def test_one_that_runs_keeps_its_own_and_one_that_failed_does_not() -> None:
    trials = [trial(0, 0.9), trial(1, None, None), trial(2, None, "failed"), trial(3, 0.99, "stopped")]
    assert [one.number for one in losers(trials, 1, maximize=True)] == [2, 3]
