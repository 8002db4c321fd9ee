"""How values are chosen: a grid in order, at random, and by Optuna; the same again after a crash."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Mapping
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from taorunner.errors import UserFilesError
from taorunner.project.sweeps.constraint import parse_constraint
from taorunner.project.sweeps.definition import Axis, Sampler, Sweep
from taorunner.sweeps.choosing import chooser_of
from taorunner.sweeps.study import Study
from taorunner.sweeps.trial import Trial
from taorunner.values.value import replace

LR = Axis(key="lr", kind="log", low=1e-5, high=1e-1)
BATCH = Axis(key="batch", kind="choice", choices=(2, 4, 8))
QUERIES = Axis(key="queries", kind="int", low=100, high=900, step=100)
DROP = Axis(key="drop", kind="float", low=0.0, high=0.5)
SPACE = (LR, BATCH, QUERIES, DROP)


def sweep(sampler: Sampler, **changes: object) -> Sweep:
    return replace(Sweep(name="s", base="b", space=SPACE, trials=24, sampler=sampler, seed=3), **changes)


def score(values: Mapping[str, object]) -> float:
    lr, queries = float(str(values["lr"])), float(str(values["queries"]))
    return (
        -((math.log10(lr) + 3.3) ** 2) - ((queries - 500) / 400) ** 2 - (0 if values["batch"] == 4 else 0.2)
    )


def tried(definition: Sweep, count: int, *, maximize: bool = True) -> list[Trial]:
    chooser, trials = chooser_of(definition, maximize=maximize), []
    for number in range(count):
        values = chooser.next_values(number, trials, 1)
        assert values is not None
        value = score(values) if maximize else -score(values)
        trials.append(
            Trial(number=number, values=values, ending="succeeded", value=value, epoch=1, curve={1: value})
        )
    return trials


def test_a_grid_is_the_product_in_order() -> None:
    grid = sweep("grid", space=(BATCH, QUERIES, Axis(key="x", kind="choice", choices=("a", "b"))))
    chooser = chooser_of(grid, maximize=True)
    cells = [chooser.next_values(number, (), 1) for number in range(3 * 9 * 2)]
    expected = itertools.product((2, 4, 8), range(100, 1000, 100), ("a", "b"))
    assert [tuple(cell.values()) for cell in cells if cell] == list(expected)
    assert chooser.next_values(54, (), 1) is None


def test_cells_that_break_a_condition_are_left_out() -> None:
    grid = sweep("grid", space=(BATCH, QUERIES), together=(parse_constraint("batch * gpus <= 8"),))
    chooser = chooser_of(grid, maximize=True)
    cells = [cell for number in range(27) if (cell := chooser.next_values(number, (), 2))]
    assert {cell["batch"] for cell in cells} == {2, 4}
    assert len(cells) == 18


@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes"])
def test_the_same_values_are_chosen_again(sampler: Sampler) -> None:
    definition = sweep(sampler)
    trials = tried(definition, 12)
    again = chooser_of(definition, maximize=True).next_values(7, trials[:7], 1)
    assert again == trials[7].values
    assert again != tried(replace(definition, seed=4), 8)[7].values


@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes"])
def test_values_are_of_their_axes_and_of_their_types(sampler: Sampler) -> None:
    definition = sweep(sampler, together=(parse_constraint("batch * queries < 4000"),))
    for trial in tried(definition, 20):
        assert all(axis.holds(trial.values[axis.key]) for axis in SPACE), trial
        assert int(str(trial.values["batch"])) * int(str(trial.values["queries"])) < 4000
        assert type(trial.values["queries"]) is int and type(trial.values["lr"]) is float
        assert json.loads(json.dumps(trial.values)) == trial.values


@pytest.mark.parametrize("maximize", [True, False])
def test_tpe_finds_better_values_than_chance(maximize: bool) -> None:
    best = {}
    for sampler in ("random", "tpe"):
        each = [
            [trial.value or 0.0 for trial in tried(sweep(sampler, seed=seed), 24, maximize=maximize)]
            for seed in range(6)
        ]
        best[sampler] = statistics.median(max(one) if maximize else -min(one) for one in each)
    assert best["tpe"] > best["random"]


def test_conditions_that_nothing_meets_are_said() -> None:
    for sampler in ("random", "tpe"):
        definition = sweep(sampler, together=(parse_constraint("batch > 100"),))
        with pytest.raises(UserFilesError, match="none met its conditions"):
            chooser_of(definition, maximize=True).next_values(0, (), 1)


def test_failed_and_foreign_trials_do_no_harm() -> None:
    odd = [
        Trial(number=0, values={"lr": 5.0, "batch": 4, "queries": 100, "drop": 0.1}, is_base=True, ending="succeeded", value=1.0, epoch=1),
        Trial(number=1, values={"lr": 1e-3}, ending="failed"),
        Trial(number=2, values={"lr": 1e-3, "batch": 4, "queries": 100, "drop": 0.1}, ending="lost"),
        Trial(number=3, values={"lr": 1e-3, "batch": 4, "queries": 200, "drop": 0.1}),
        Trial(number=4, values={"lr": 1e-3, "batch": 4, "queries": 300, "drop": 0.1}, ending="pruned", value=0.1, epoch=2, curve={2: 0.1}),
    ]  # fmt: skip
    for sampler in ("tpe", "cmaes"):
        assert chooser_of(sweep(sampler), maximize=True).next_values(5, odd, 1) is not None


def test_the_journal_opens_in_optuna(tmp_path: Path) -> None:
    definition = sweep("tpe")
    trials = tried(definition, 10)
    for _ in range(2):  # the second replaces the first
        Study(definition, maximize=True).export_journal(tmp_path / "study.journal", trials)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(tmp_path / "study.journal")))
    study = optuna.load_study(study_name="s", storage=storage)
    assert [one.value for one in study.trials] == [trial.value for trial in trials]
    assert study.best_trial.user_attrs["trial"] == max(trials, key=lambda one: one.value or 0).name
    assert [one.name for one in tmp_path.iterdir()] == ["study.journal"]
