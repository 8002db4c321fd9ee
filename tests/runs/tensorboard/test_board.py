"""What TensorBoard is shown: event files of results, by name, and nothing that a link leads to."""

from __future__ import annotations

import json
import math
import os
import subprocess
from pathlib import Path

import pytest
from made_runs import made_run
from trackers import tracker_python

from taorunner.events import MetricReported
from taorunner.progress.event_files import ScalarReader
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore
from taorunner.runs.tensorboard.board import Board
from taorunner.runs.tensorboard.event_writer import event_file

FILE = "events.out.tfevents.1"


def board_of(root: Path, *records: RunRecord) -> Board:
    return Board(RunStore(root / ".taorunner"), records)


def shown(board: Board) -> dict[str, bytes]:
    files = (path for path in sorted(board.folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(board.folder)): path.read_bytes() for path in files}


def results(root: Path, name: str, number: int = 1) -> tuple[RunRecord, Path]:
    folder = root / "models" / name
    (folder / "train/version_1").mkdir(parents=True)
    return made_run(
        root / ".taorunner", name, {"loss": [2.0, 1.0]}, number=number, results_dir=str(folder)
    ), folder


def test_files_are_shown_by_experiment_and_grow(tmp_path: Path) -> None:
    one, folder = results(tmp_path, "a")
    other, _ = results(tmp_path, "b", 2)
    (folder / "train/version_1" / FILE).write_bytes(b"1")
    board = board_of(tmp_path, other, one)
    assert board.refresh() == ["a"]
    with (folder / "train/version_1" / FILE).open("ab") as file:
        file.write(b"2")
    assert shown(board) == {f"a/train/version_1/{FILE}": b"12"}
    (folder / "train/version_1/events.out.tfevents.2").write_bytes(b"3")
    assert board.refresh() == ["a"] and len(shown(board)) == 2
    board.close()
    assert not board.folder.exists() and (folder / "train/version_1" / FILE).read_bytes() == b"12"


def test_no_link_of_a_container_is_followed(tmp_path: Path) -> None:
    one, folder = results(tmp_path, "a")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / FILE).write_bytes(b"secret")
    (folder / FILE).symlink_to(outside / FILE)
    (folder / "linked").symlink_to(outside)
    (folder / "train/version_1" / FILE).write_bytes(b"1")
    board = board_of(tmp_path, one)
    assert board.refresh() == ["a"]
    assert shown(board) == {f"a/train/version_1/{FILE}": b"1"}
    (folder / "train/version_1" / FILE).unlink()
    (folder / "train/version_1" / FILE).symlink_to(outside / FILE)  # later
    board.refresh()
    assert shown(board) == {f"a/train/version_1/{FILE}": b"1"}
    board.close()


def test_across_file_systems_files_are_copied_and_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, folder = results(tmp_path, "a")
    places = [Path("/tmp"), Path("/dev/shm")]
    elsewhere = next((one for one in places if one.stat().st_dev != tmp_path.stat().st_dev), None)
    if elsewhere is None:
        pytest.skip("one file system only")
    (folder / FILE).write_bytes(b"1")
    board = board_of(tmp_path, one)
    board.close()
    board.folder = elsewhere / f"taorunner-board-{os.getpid()}"
    board.refresh()
    with (folder / FILE).open("ab") as file:
        file.write(b"2")
    board.refresh()
    assert shown(board) == {f"a/{FILE}": b"12"}
    board.close()


def test_recorded_metrics_stand_for_missing_files(tmp_path: Path) -> None:
    one, _ = results(tmp_path, "a")
    other, folder = results(tmp_path, "b", 2)
    (folder / FILE).write_bytes(b"1")
    board = board_of(tmp_path, other, one)
    assert board.add_recorded() == ["a"]
    (file,) = (board.folder / "a").iterdir()
    assert [(one.tag, one.step, one.value) for one in ScalarReader(file).read_new()] == [
        ("loss", 1, 2.0),
        ("loss", 2, 1.0),
    ]
    board.close()


VALUES = [0.5, 1e-30, math.inf, -math.inf, math.nan, 1e300]


def test_tensorboards_own_loader_reads_what_is_written(tmp_path: Path) -> None:
    python = tracker_python("tensorboard")
    run, _ = results(tmp_path, "a")
    metrics = [
        MetricReported(run=run.id, at=run.queued_at, name="mAP größe", value=value, epoch=epoch * 1000)
        for epoch, value in enumerate(VALUES, 1)
    ]
    file = tmp_path / FILE
    file.write_bytes(event_file(metrics))
    code = """import json, sys
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
rows = [(e.step, v.tag, v.simple_value) for e in LegacyEventFileLoader(sys.argv[1]).Load() for v in e.summary.value]
print(json.dumps(rows))"""
    done = subprocess.run(
        [python, "-c", code, str(file)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(step, tag) for step, tag, _ in found] == [(epoch * 1000, "mAP größe") for epoch in range(1, 7)]
    read = [value for _, _, value in found]
    assert read[0] == 0.5 and abs(read[1] / 1e-30 - 1) < 1e-6
    assert (read[2], read[3], read[5]) == (math.inf, -math.inf, math.inf) and math.isnan(read[4])
    own = [one.value for one in ScalarReader(file).read_new()]
    assert own[:4] == read[:4]


def test_a_file_that_was_replaced_is_shown_and_the_earlier_one_is_not_written_to(tmp_path: Path) -> None:
    one, folder = results(tmp_path, "a")
    file = folder / "train/version_1" / FILE
    file.write_bytes(b"1")
    board = board_of(tmp_path, one)
    board.refresh()
    file.rename(folder / "kept")  # the board holds a link to it
    for new in (b"345", b"6"):
        file.write_bytes(new)
        board.refresh()
        assert shown(board) == {f"a/train/version_1/{FILE}": new}
        file.unlink()
    board.close()
    assert (folder / "kept").read_bytes() == b"1"
