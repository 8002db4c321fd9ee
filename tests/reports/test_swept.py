"""Sweeps in reports: the table, the charts, how much each key matters; hostile names."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path

import pytest

from taorunner.project.sweeps.definition import Axis, Sweep
from taorunner.reports.page import sweep_page
from taorunner.reports.swept import Swept, swept_of, swept_of_projects
from taorunner.runs.state.store import RunStore
from taorunner.sweeps.folder import StoredSweep, SweepFolder
from taorunner.sweeps.trial import Ending, Trial

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=timezone.utc)
SWEEP = Sweep(
    name="lr_search", base="dino_01", trials=12, sampler="random",
    space=(
        Axis(key="train.optim.lr", kind="log", low=1e-5, high=1e-3),
        Axis(key="dataset.batch_size", kind="choice", choices=(2, 4, 8)),
    ),
)  # fmt: skip


def swept(trials: list[Trial], sweep: Sweep = SWEEP) -> Swept:
    stored = StoredSweep(
        body=sweep.body(), metric="val_mAP50", maximize=True, started_at=NOW.isoformat(), results="x.sweeps/y"
    )
    return swept_of(sweep, stored, trials)


def trial(
    number: int, lr: float, value: float | None, ending: Ending = "succeeded", reason: str | None = None
) -> Trial:
    values = {"train.optim.lr": lr, "dataset.batch_size": 4 if number % 2 else 8}
    return Trial(number=number, values=values, ending=ending, value=value, epoch=3, reason=reason)


MANY = [
    trial(number, 1e-5 * 1.6**number, 0.3 + 0.04 * number, "pruned" if number % 5 == 4 else "succeeded")
    for number in range(9)
]


def test_the_page_has_the_table_best_first_and_both_charts() -> None:
    html = sweep_page(
        "cars: lr_search", swept([*MANY, trial(9, 1e-4, None, "failed", reason="out of memory")]), NOW
    )
    rows = re.findall(r"<td>(t\d+)</td><td class=\"(\w+)\">", html)
    assert rows[0] == ("t008", "succeeded")
    assert rows[-1] == ("t009", "failed")
    assert 'title="out of memory"' in html
    assert "best: 0.6200 in t008 at epoch 3: lr 0.000429, batch_size 8" in html
    dots = re.findall(r'<path class="(?:c0 best|c1|rest) dot"', html)
    assert len(dots) == 9
    lines = re.findall(r"<title>(t\d+) \w+: [^<]*</title></path>", html.partition('class="parallel"')[2])
    assert sorted(lines) == [f"t{number:03d}" for number in range(9)]
    assert "<script" not in html


def test_the_best_value_so_far_never_gets_worse() -> None:
    found = swept([trial(0, 1e-4, 0.5), trial(1, 2e-4, 0.4), trial(2, 3e-4, 0.7)])
    assert found.best is not None
    assert found.best.number == 2


def test_importance_needs_the_library_and_enough_trials() -> None:
    pytest.importorskip("optuna")
    known = swept(MANY).importance
    assert set(known) == {"train.optim.lr", "dataset.batch_size"}
    assert sum(known.values()) == pytest.approx(1)
    assert next(iter(known)) == "train.optim.lr"
    assert swept(MANY[:3]).importance == {}


@pytest.mark.parametrize(
    "trials", [[], [Trial(number=0)], [trial(0, 1e-4, 0.5)], [trial(0, 1e-4, None, "failed")]]
)
def test_a_sweep_that_has_hardly_begun_has_a_page(trials: list[Trial]) -> None:
    assert "lr_search" in sweep_page("cars: lr_search", swept(trials), NOW)


def test_names_and_values_are_only_text() -> None:
    axis = Axis(key="model.name", kind="choice", choices=("<script>alert(1)</script>", "b"))
    sweep = Sweep(name="x", base="<b>", trials=2, sampler="random", space=(axis,))
    bad = Trial(
        number=0, values={"model.name": "<script>alert(1)</script>"}, ending="failed", reason='"><script>'
    )
    good = Trial(number=1, values={"model.name": "b"}, ending="succeeded", value=0.5, epoch=1)
    html = sweep_page("<i>", swept([bad, good], sweep), NOW)
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_the_report_of_a_project_has_sweeps_whose_base_was_never_trained(tmp_path: Path) -> None:
    store = RunStore(tmp_path / ".taorunner")
    stored = StoredSweep(
        body=SWEEP.body(), metric="val_mAP50", maximize=True, started_at=NOW.isoformat(), results="x.sweeps/y"
    )
    SweepFolder(store, "p", "lr_search").save(stored)

    def names(experiment: str, *, of_all_bases: bool) -> list[str]:
        found = swept_of_projects(store, [("p", experiment)], of_all_bases=of_all_bases)
        return [one.sweep.name for one in found]

    assert names("another", of_all_bases=True) == ["lr_search"]
    assert names("another", of_all_bases=False) == []
    assert names("dino_01", of_all_bases=False) == ["lr_search"]
