"""What goes into a report, and in which order."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from made_report import OTHER_DATA, everything, scored, trainings, with_history, workspace
from made_runs import AT, LOCK, made_run

from taorunner.events import MetricReported, RunStarted, RunState
from taorunner.reports.contents import best_places, contents_of, ranks
from taorunner.reports.sections.scores import scores_of
from taorunner.runs.inputs.run_lock import FileRead
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.values.value import replace


def training(root: Path, name: str, number: int, values: list[float], **fields: object) -> RunRecord:
    return made_run(root / ".taorunner", name, {"val_mAP50": values}, number=number, **fields)


def test_runs_on_other_data_are_not_ranked_with_the_others(tmp_path: Path) -> None:
    other = replace(LOCK, data=OTHER_DATA)
    records = [
        training(tmp_path, "best_elsewhere", 1, [0.99], lock=other), training(tmp_path, "a", 2, [0.5]),
        training(tmp_path, "b", 3, [0.7]), training(tmp_path, "c", 4, [0.7]),
        training(tmp_path, "second_elsewhere", 5, [0.98], lock=other),
        training(tmp_path, "no_value", 6, [float("nan")]),
    ]  # fmt: skip
    contents = contents_of(RunStore(tmp_path / ".taorunner"), records)
    order = [run.record.experiment for run in contents.comparison.runs]
    assert order == ["b", "c", "a", "no_value", "best_elsewhere", "second_elsewhere"]
    assert (contents.ranked, ranks(contents)) == (4, {0: 1, 1: 1, 2: 2})
    assert contents.comparison.unlike[4:] == (("other data (480 images)",),) * 2
    assert contents.metric is not None
    assert best_places(contents.metric, contents.ranked) == {0, 1}


def test_a_run_whose_data_is_not_on_record_does_not_hide_that_others_differ(tmp_path: Path) -> None:
    records = [
        training(tmp_path, "a", 1, [0.5]), training(tmp_path, "b", 2, [0.6]),
        training(tmp_path, "other", 3, [0.9], lock=replace(LOCK, data=OTHER_DATA)),
        training(tmp_path, "old", 4, [0.8], lock=None),
    ]  # fmt: skip
    contents = contents_of(RunStore(tmp_path / ".taorunner"), records)
    assert [run.record.experiment for run in contents.comparison.runs] == ["b", "a", "other", "old"]
    assert contents.ranked == 2


def test_a_metric_without_a_direction_ranks_nothing(tmp_path: Path) -> None:
    records = [
        made_run(tmp_path / ".taorunner", name, {"lr": [0.1]}, number=n) for n, name in enumerate("ab", 1)
    ]
    contents = contents_of(RunStore(tmp_path / ".taorunner"), records)
    assert (contents.metric, ranks(contents)) == (None, {})


def test_the_first_epoch_after_a_restart_begins_a_line(tmp_path: Path) -> None:
    record = made_run(tmp_path / ".taorunner", "a", number=1, requeues=1)
    store = RunStore(tmp_path / ".taorunner")

    def values(*epochs: int) -> list[MetricReported]:
        return [MetricReported(run=record.id, at=AT, name="loss", value=1.0, epoch=epoch) for epoch in epochs]

    started = RunStarted(run=record.id, at=AT + timedelta(minutes=1))
    store.append_events(record.id, [started, *values(1, 2, 3), started, *values(3, 4)])
    assert contents_of(store, [record]).restarts == (frozenset({3}),)


def test_trees_scores_and_failures_are_found(tmp_path: Path) -> None:
    records = everything(tmp_path)
    contents = contents_of(
        RunStore(tmp_path / ".taorunner"), [one for one in records if one.action == "train"]
    )
    (tree,) = contents.trees
    assert [node.record.action for node in tree] == [
        "train", "prune", "train", "export", "gen_trt_engine", "evaluate",
    ]  # fmt: skip
    assert [(one.record.experiment, one.overall["AP50"]) for one in contents.scored] == [
        ("dino_00", 0.7377), ("dino_01", 0.7377 * 0.9),
    ]  # fmt: skip
    (failure,) = contents.failures
    assert failure.record.experiment == "dino_nan"


def test_each_model_that_was_scored_is_shown_once(tmp_path: Path) -> None:
    (record,) = trainings(workspace(tmp_path), 1, 3)
    state = tmp_path / ".taorunner"
    for number, weights, factor in ((31, "best.pth", 1.0), (32, "best.pth", 0.9), (33, "pruned.pth", 0.8)):
        lock = replace(LOCK, weights=(FileRead(f"projects/cars/models/dino_00/{weights}", 9, 9, "ab" * 32),))
        scored(tmp_path, record.experiment, number, factor, lock)
    made_run(state, record.experiment, number=34, action="inference")  # the newest was not scored
    contents = contents_of(RunStore(state), [record])
    assert [(one.model, round(one.overall["AP50"] / 0.7377, 2)) for one in contents.scored] == [
        ("pruned.pth", 0.8), ("best.pth", 0.9),
    ]  # fmt: skip
    rows = scores_of(
        contents.scored, {one.record.id: one.record.id for one in contents.scored}, lambda *_: ""
    ).summary
    assert [row.unlike for row in rows] == ["", "other weights: best.pth"]


def test_the_newest_run_of_an_experiment_that_failed_is_a_failure_beside_its_success(tmp_path: Path) -> None:
    workspace(tmp_path)
    good = with_history(tmp_path, training(tmp_path, "a", 1, [0.5]))
    training(tmp_path, "a", 2, [0.1], state=RunState.FAILED)
    made_run(tmp_path / ".taorunner", "a", number=3, action="export", state=RunState.LOST)
    contents = contents_of(RunStore(tmp_path / ".taorunner"), [good])
    assert [(one.record.action, one.record.state) for one in contents.failures] == [
        ("export", RunState.LOST), ("train", RunState.FAILED),
    ]  # fmt: skip
