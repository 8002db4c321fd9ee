"""Which trial a folder of results belongs to."""

from __future__ import annotations

import pytest

from taorunner.sweeps.names import is_results_folder, results_folder, trial_title


@pytest.mark.parametrize(
    ("results", "title"),
    [
        ("/w/projects/cars/models/dino.sweeps/lr/t007", "trial t007 of lr"),
        ("/w/projects/cars/models/dino.sweeps/lr/t007.2", "trial t007 of lr"),
        ("/w/projects/cars/models/dino.sweeps/lr.20261201-101500/t1000", "trial t1000 of lr"),
        ("/w/projects/cars/models/dino.sweeps/lr/t007/train", None),
        ("/w/projects/cars/models/dino.sweeps/lr/t07", None),
        ("/w/projects/cars/models/t007", None),
        (None, None),
    ],
)
def test_results_name_their_trial(results: str | None, title: str | None) -> None:
    assert trial_title(results) == title


def test_a_folder_of_trials_leads_nowhere_else() -> None:
    assert is_results_folder(results_folder("dino_01", "lr-search"))
    for text in (
        "../dino.sweeps/lr",
        "dino.sweeps/../x",
        "dino.sweeps/lr/t001",
        "/dino.sweeps/lr",
        "dino/lr",
        "",
    ):
        assert not is_results_folder(text), text
