"""What differs between runs, and which one wins: on generated records, also on bad ones."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from made_runs import LOCK, made_run

from taorunner.errors import RunStateError, UsageError
from taorunner.events import RunState
from taorunner.runs.comparison.chosen import chosen_runs, trainings_of
from taorunner.runs.comparison.compare import Comparison, compare
from taorunner.runs.comparison.differences import UNSET
from taorunner.runs.comparison.ranking import best_of, in_order_of
from taorunner.runs.inputs.run_lock import DataRead, FileRead
from taorunner.runs.state.store import RunStore
from taorunner.values.value import replace


def compared(state: Path, *words: str) -> Comparison:
    store = RunStore(state)
    return compare(store, chosen_runs(store, words))


def as_rows(comparison: Comparison) -> list[tuple[object, ...]]:
    return [(row.kind, row.key, *row.values) for row in comparison.differences]


def test_only_what_differs_is_a_difference(tmp_path: Path) -> None:
    made_run(tmp_path, "a", {"val_mAP50": [0.5, 0.7, 0.6], "val_loss": [5.0, 4.0, 4.5]})
    other = replace(
        LOCK, spec={**LOCK.spec, "train.optim.lr": 0.0001, "train.seed": 7}, taorunner="0.3.0",
        data=(replace(LOCK.data[0], images=8960, files=8960, fingerprint="91aa" * 16),),
        weights=(FileRead("repositories/r/w.pth", 10, 1, "ab" * 32),),
    )  # fmt: skip
    made_run(
        tmp_path, "b", {"val_mAP50": [0.5, 0.65, 0.75], "val_loss": [5.0, 4.5, 4.2]}, lock=other, number=2,
        gpus=("0",), gpu_models=("NVIDIA H100",), driver="570.86",
    )  # fmt: skip
    found = compared(tmp_path, "a", "b")
    assert as_rows(found) == [
        ("spec", "train.optim.lr", 0.0002, 0.0001),
        ("spec", "train.seed", UNSET, 7),
        ("data", "cars", {"images": 8412, "files": 8412, "bytes": 9_000_000, "fingerprint": "5f3c91" * 10},
         {"images": 8960, "files": 8960, "bytes": 9_000_000, "fingerprint": "91aa" * 16}),
        ("weights", "", UNSET, {"path": "repositories/r/w.pth", "sha256": "ab" * 32, "bytes": 10}),
        ("versions", "taorunner", "0.2.0", "0.3.0"),
    ]  # fmt: skip
    assert found.same == {"spec": 2, "image": 1, "gpus": 1, "versions": 3}
    assert [(one.name, one.direction, one.scale, one.winner) for one in found.metrics] == [
        ("val_mAP50", "up", "fraction", 1), ("val_loss", "down", "own", 0),
    ]  # fmt: skip
    assert [(value.best, value.epoch, value.last) for value in found.metrics[0].values] == [
        (0.7, 2, 0.6),
        (0.75, 3, 0.75),
    ]
    assert found.unlike == ((), ("other data (8,960 images)",))


def test_what_is_not_on_record_of_one_run_is_no_difference(tmp_path: Path) -> None:
    made_run(tmp_path, "a", {"val_mAP50": [0.5]})
    made_run(tmp_path, "b", {"val_mAP50": [0.6]}, lock=None, number=2)
    found = compared(tmp_path, "a", "b")
    assert found.differences == ()
    assert [run.record.experiment for run in found.not_on_record] == ["b"]
    assert found.unlike == ((), ("which data it read is not on record",))
    assert found.metrics[0].winner == 1


def test_all_defaults_are_compared_where_every_run_has_them(tmp_path: Path) -> None:
    resolved = {"train.optim.lr": 0.0002, "train.clip": 0.1}
    made_run(tmp_path, "a", lock=replace(LOCK, resolved=resolved))
    made_run(tmp_path, "b", lock=replace(LOCK, resolved={**resolved, "train.clip": 0.2}), number=2)
    made_run(tmp_path, "c", number=3)
    assert as_rows(compared(tmp_path, "a", "b")) == [("spec", "train.clip", 0.1, 0.2)]
    assert as_rows(compared(tmp_path, "a", "c")) == []


def test_a_number_is_the_same_in_each_notation_and_a_truth_is_no_number(tmp_path: Path) -> None:
    made_run(tmp_path, "a", lock=replace(LOCK, spec={"x": 1, "y": True, "z": [1, 2.0]}))
    made_run(tmp_path, "b", lock=replace(LOCK, spec={"x": 1.0, "y": 1, "z": [1.0, 2]}), number=2)
    assert as_rows(compared(tmp_path, "a", "b")) == [("spec", "y", True, 1)]


@pytest.mark.parametrize(
    ("first", "second", "winner", "change"),
    [
        ([math.nan, math.nan], [0.1, 0.2], None, None),
        ([0.4], [math.nan, 0.3, math.inf], 0, (pytest.approx(-0.1), False)),
        ([0.4], [0.4], None, (0.0, None)),
        ([0.4], [0.5], 1, (pytest.approx(0.1), True)),
    ],
    ids=["only nan", "nan and infinity are never the best", "equal", "one epoch"],
)
def test_the_winner_is_the_best_finite_value(
    tmp_path: Path, first: list[float], second: list[float], winner: int | None, change: object
) -> None:
    made_run(tmp_path, "a", {"val_mAP50": first})
    made_run(tmp_path, "b", {"val_mAP50": second}, number=2)
    (metric,) = compared(tmp_path, "a", "b").metrics
    assert (metric.winner, metric.change()) == (winner, change)


def test_a_metric_without_a_direction_has_no_best_and_no_winner(tmp_path: Path) -> None:
    made_run(tmp_path, "a", {"lr": [0.2, 0.1]})
    made_run(tmp_path, "b", {"lr": [0.2, 0.3]}, number=2)
    (metric,) = compared(tmp_path, "a", "b").metrics
    assert (metric.direction, metric.winner, [value.best for value in metric.values]) == (
        None,
        None,
        [None, None],
    )
    assert metric.change() == (pytest.approx(0.2), None)
    with pytest.raises(UsageError, match='more or less of "lr"'):
        best_of(RunStore(tmp_path), chosen_runs(RunStore(tmp_path), ["a", "b"]), "lr")


def test_runs_without_metrics_and_of_other_networks_are_compared_and_marked(tmp_path: Path) -> None:
    made_run(tmp_path, "a", {"val_mAP50": [0.5]})
    made_run(tmp_path, "b", network="segformer", lock=replace(LOCK, network="segformer"), number=2)
    found = compared(tmp_path, "a", "b")
    assert found.unlike == ((), ("another network, segformer",))
    assert ("versions", "network", "dino", "segformer") in as_rows(found)
    assert found.metrics[0].values[1].best is None and found.metrics[0].winner is None


@pytest.mark.parametrize("damage", [
    "", "{", "[]", '{"spec": 3}', '{"taorunner": 1}', json.dumps({**LOCK.to_json(), "data": [{"name": "x"}]}),
    json.dumps({**LOCK.to_json(), "weights": 7}), json.dumps({**LOCK.to_json(), "host": "a\0b"}),
    json.dumps({**LOCK.to_json(), "argv": [3]}), "[" * 100_000,
])  # fmt: skip
def test_a_damaged_lock_counts_as_none(tmp_path: Path, damage: str) -> None:
    made_run(tmp_path, "a", {"val_mAP50": [0.5]})
    other = made_run(tmp_path, "b", {"val_mAP50": [0.6]}, number=2)
    store = RunStore(tmp_path)
    store.paths(other.id).run_lock.write_text(damage)
    store.paths(other.id).plan.write_text(damage)
    found = compared(tmp_path, "a", "b")
    assert [run.record.experiment for run in found.not_on_record] == ["b"]
    assert found.metrics[0].winner == 1


def test_a_million_steps_are_read_by_epoch(tmp_path: Path) -> None:
    made_run(tmp_path, "a", {"val_mAP50": [number / 5000 for number in range(3000)]})
    made_run(tmp_path, "b", {"val_mAP50": [0.1]}, number=2)
    found = compared(tmp_path, "a", "b")
    assert (found.metrics[0].values[0].epoch, len(found.runs[0].curve("val_mAP50"))) == (3000, 3000)


def test_an_unknown_metric_names_the_nearest(tmp_path: Path) -> None:
    made_run(tmp_path, "a", {"val_mAP50": [0.5], "val_loss": [1.0]})
    with pytest.raises(UsageError) as refused:
        compared(tmp_path, "a").metric("val_map5")
    assert (refused.value.message, refused.value.hint) == (
        'no metric "val_map5"',
        'did you mean "val_mAP50"?',
    )


def test_words_mean_the_newest_success_and_at_2_the_one_before(tmp_path: Path) -> None:
    runs = [
        made_run(tmp_path, "a", number=number, state=state)
        for number, state in enumerate(
            (RunState.SUCCEEDED, RunState.FAILED, RunState.SUCCEEDED, RunState.RUNNING), 1
        )
    ]
    made_run(tmp_path, "b", number=9, state=RunState.FAILED)
    store = RunStore(tmp_path)
    named = [
        chosen_runs(store, [word])[0].id for word in ("a", "a@1", "a@2", "cars/a@2", runs[3].id, "000004")
    ]
    assert named == [runs[2].id, runs[2].id, runs[0].id, runs[0].id, runs[3].id, runs[3].id]
    assert [one.experiment for one in chosen_runs(store, ["*"])] == ["b", "a"]
    assert chosen_runs(store, ["b"])[0].state is RunState.FAILED
    for word, said in (
        ("a@3", '"a" has 2'),
        ("a@0", '"a" has 2'),
        ("x@2", 'no train run of "x"'),
        ("x*", "no run matches"),
    ):
        with pytest.raises(RunStateError, match=said):
            chosen_runs(store, [word])


def test_the_best_run_is_found_among_all_trainings(tmp_path: Path) -> None:
    made_run(tmp_path, "a", {"val_mAP50": [0.5, 0.9], "val_loss": [3.0, 2.0]}, state=RunState.STOPPED)
    made_run(tmp_path, "a", {"val_mAP50": [0.5, 0.8], "val_loss": [3.0, 1.0]}, number=2)
    store = RunStore(tmp_path)
    runs = trainings_of(store, ["a"])
    best = best_of(store, runs)
    assert (best.run.state, best.metric, best.value, best.epoch, best.checkpoint) == (
        RunState.STOPPED, "val_mAP50", 0.9, 2, None,
    )  # fmt: skip
    assert best_of(store, runs, "val_loss").value == 1.0
    made_run(tmp_path, "none", number=3)
    with pytest.raises(RunStateError, match="none of these runs has a metric"):
        best_of(store, trainings_of(store, ["none"]))


def test_of_runs_with_the_same_best_value_the_newest_is_the_best(tmp_path: Path) -> None:
    older, newer = (made_run(tmp_path, "a", {"val_mAP50": [0.5, 0.9]}, number=number) for number in (1, 2))
    store = RunStore(tmp_path)
    assert older.id != newer.id
    assert best_of(store, trainings_of(store, ["a"])).run.id == newer.id


def test_the_order_is_that_of_the_metric_and_runs_without_it_come_last(tmp_path: Path) -> None:
    for number, (name, metrics) in enumerate({
        "a": {"val_mAP50": [0.5], "val_loss": [1.0]}, "b": {}, "c": {"val_mAP50": [0.7], "val_loss": [2.0]},
    }.items(), 1):  # fmt: skip
        made_run(tmp_path, name, metrics, number=number)
    found = compared(tmp_path, "a", "b", "c")

    def names(metric: str, top: int | None = None) -> list[str]:
        return [run.record.experiment for run in in_order_of(found, found.metric(metric), top).runs]

    assert (names("val_mAP50"), names("val_loss"), names("val_mAP50", 1)) == (
        ["c", "a", "b"],
        ["a", "c", "b"],
        ["c"],
    )


def test_data_that_could_not_be_fingerprinted_is_compared_by_size(tmp_path: Path) -> None:
    large = DataRead("cars", (".",), 600_000, 600_000, 1, None)
    for number, data in enumerate((large, large, replace(large, bytes=2)), 1):
        made_run(tmp_path, f"e{number}", lock=replace(LOCK, data=(data,)), number=number)
    assert as_rows(compared(tmp_path, "e1", "e2")) == []
    assert [row[:2] for row in as_rows(compared(tmp_path, "e1", "e3"))] == [("data", "cars")]
