"""Which run a resumed training continues."""

from __future__ import annotations

from pathlib import Path

import pytest
from plain_runs import plain_plan

from taorunner.events import now
from taorunner.planning.model.plan import ResumePoint, RunPlan
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.resume_origin import lineage
from taorunner.runs.state.store import RunStore

FIRST, SECOND = "20260101-000000-e1-evaluate-aaaaaa", "20260101-000100-e1-evaluate-bbbbbb"


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / ".taorunner")


def resumed(root: Path, name: str = "e1") -> RunPlan:
    return plain_plan(root, name, resume=ResumePoint(root / "model_epoch_004.pth", 4))


def test_the_newest_run_into_the_same_results_is_continued(store: RunStore, tmp_path: Path) -> None:
    assert lineage(store, resumed(tmp_path)) == (None, 1)
    create_batch(store, [(FIRST, plain_plan(tmp_path, "e1"))], now(), environ={})
    assert lineage(store, resumed(tmp_path)) == (FIRST, 2)
    create_batch(store, [(SECOND, resumed(tmp_path))], now(), environ={})
    assert (store.load(SECOND).resumed_from, store.load(SECOND).attempt) == (FIRST, 2)
    assert lineage(store, resumed(tmp_path)) == (SECOND, 3)


def test_a_new_training_continues_none(store: RunStore, tmp_path: Path) -> None:
    create_batch(store, [(FIRST, plain_plan(tmp_path, "e1"))], now(), environ={})
    assert lineage(store, plain_plan(tmp_path, "e1")) == (None, 1)


def test_runs_of_other_results_actions_and_damaged_ones_are_passed_over(
    store: RunStore, tmp_path: Path
) -> None:
    elsewhere = plain_plan(tmp_path, "e1", results_dir=tmp_path / "models" / "other")
    create_batch(
        store, [(FIRST, elsewhere), (SECOND, plain_plan(tmp_path, "e1", action="train"))], now(), environ={}
    )
    assert lineage(store, resumed(tmp_path)) == (None, 1)
    damaged = "20260101-000200-e1-evaluate-cccccc"
    create_batch(store, [(damaged, plain_plan(tmp_path, "e1"))], now(), environ={})
    store.paths(damaged).record.write_text("{")
    assert lineage(store, resumed(tmp_path)) == (None, 1)
