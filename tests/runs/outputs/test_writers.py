"""Which run wrote results that were moved: by what each recorded, else by the times of files."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from taorunner.events import RunState
from taorunner.runs.outputs.recorded import Output, RunResults, save_results
from taorunner.runs.outputs.writers import writer_of
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / ".taorunner")


def run(store: RunStore, name: str, began: datetime, seconds: float, wrote: Path | None = None) -> RunRecord:
    """A training of some seconds; ``wrote`` is what it recorded at its end."""
    record = RunRecord(
        name, "b", "p", "e", "train", "local", RunState.SUCCEEDED, began, launched_at=began, started_at=began,
        finished_at=began + timedelta(seconds=seconds),
    )  # fmt: skip
    store.paths(name).directory.mkdir(parents=True)
    store.save(record)
    if wrote is not None:
        facts = wrote.stat()
        output = Output(wrote, "checkpoint", facts.st_size, modified_ns=facts.st_mtime_ns)
        save_results(store, name, RunResults(wrote.parent, (output,)))
    return record


def written(path: Path, at: datetime) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("weights")
    os.utime(path, (at.timestamp(),) * 2)
    return path


@pytest.mark.parametrize("is_recorded", [True, False])
def test_of_two_runs_in_a_row_the_first_wrote_what_the_second_set_aside(
    store: RunStore, tmp_path: Path, is_recorded: bool
) -> None:
    place, path = tmp_path / "models/e", tmp_path / "models/e.20260101-000010"
    weights = written(place / "train/model.pth", AT + 10 * SECOND)
    first = run(store, "first", AT, 10, weights if is_recorded else None)
    place.rename(path)
    again = written(place / "train/model.pth", AT + 15 * SECOND)
    second = run(store, "second", AT + 11 * SECOND, 5, again if is_recorded else None)
    both, aside_at = [second, first], AT + 10 * SECOND
    assert writer_of(store, both, place, path, (AT + 10 * SECOND).timestamp(), aside_at) == first
    assert writer_of(store, both, place, place, (AT + 15 * SECOND).timestamp(), AT + 60 * SECOND) == second


def test_a_file_that_somebody_added_does_not_change_who_wrote_the_rest(
    store: RunStore, tmp_path: Path
) -> None:
    place = tmp_path / "models/e"
    first = run(store, "first", AT, 10, written(place / "train/model.pth", AT + 5 * SECOND))
    place.rename(path := tmp_path / "models/e.20260101-000100")
    second = run(store, "second", AT + 60 * SECOND, 60, written(place / "train/model.pth", AT + 70 * SECOND))
    noted = AT + 80 * SECOND  # while the second one ran
    written(path / "notes.txt", noted)
    assert writer_of(store, [second, first], place, path, noted.timestamp(), AT + 60 * SECOND) == first


def test_nobody_is_named_where_nothing_fits(store: RunStore, tmp_path: Path) -> None:
    place = tmp_path / "models/e"
    path = written(place / "train/model.pth", AT)
    late = run(store, "late", AT + 60 * SECOND, 60)
    assert writer_of(store, [late], place, place, path.stat().st_mtime, AT + 600 * SECOND) is None
