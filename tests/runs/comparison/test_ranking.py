"""Where the checkpoint of a run's epoch is: in its place, where a later run moved it, or nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import made_run

from taorunner.runs.comparison.ranking import best_of, checkpoint_of
from taorunner.runs.outputs.recorded import CHECKPOINT, Output, RunResults, save_results
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

ASIDE = "e.20261129-010200"


@pytest.fixture
def trained(tmp_path: Path) -> tuple[RunStore, RunRecord, Path]:
    """A training with checkpoints of three epochs, of which the second is the best, and its results."""
    results = tmp_path / "projects/cars/models/e"
    results.mkdir(parents=True)
    record = made_run(tmp_path / "state", "e", {"val_mAP50": [0.5, 0.9, 0.7]}, results_dir=str(results))
    outputs = []
    for epoch in (1, 2, 3):
        path = results / f"model_{epoch}.pth"
        path.write_text("weights")
        facts = path.stat()
        outputs.append(Output(path, CHECKPOINT, facts.st_size, epoch=epoch, modified_ns=facts.st_mtime_ns))
    store = RunStore(tmp_path / "state")
    save_results(store, record.id, RunResults(results, tuple(outputs)))
    return store, record, results


def test_a_checkpoint_in_its_place_is_that_of_its_epoch(trained: tuple[RunStore, RunRecord, Path]) -> None:
    store, record, results = trained
    assert best_of(store, [record]).checkpoint == results / "model_2.pth"
    assert checkpoint_of(store, record, 3) == results / "model_3.pth"
    assert (checkpoint_of(store, record, 4), checkpoint_of(store, record, None)) == (None, None)


def test_a_checkpoint_that_was_set_aside_is_that_of_its_epoch(
    trained: tuple[RunStore, RunRecord, Path],
) -> None:
    store, record, results = trained
    aside = results.rename(results.with_name(ASIDE))
    assert [checkpoint_of(store, record, epoch) for epoch in (1, 2, 3)] == [
        aside / f"model_{epoch}.pth" for epoch in (1, 2, 3)
    ]
    assert checkpoint_of(store, record, 4) is None
    assert best_of(store, [record]).checkpoint == aside / "model_2.pth"


def test_one_that_was_removed_or_written_again_since_then_is_nowhere(
    trained: tuple[RunStore, RunRecord, Path],
) -> None:
    store, record, results = trained
    aside = results.rename(results.with_name(ASIDE))
    (aside / "model_1.pth").unlink()
    (aside / "model_3.pth").write_text("other weights")
    assert [checkpoint_of(store, record, epoch) for epoch in (1, 2, 3)] == [None, aside / "model_2.pth", None]
