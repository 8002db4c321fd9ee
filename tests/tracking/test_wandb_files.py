"""The real ``wandb`` writes the files of an offline run; they are read back by its own messages."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run
from trackers import tracker_python, with_track

from taorunner.errors import RunStateError
from taorunner.events import RunState, now
from taorunner.project.tracking.words import WANDB, WandbTarget
from taorunner.runs.state.store import RunStore
from taorunner.runs.state.tracking_state import read_tracking
from taorunner.tracking.mlflow import TrackingError
from taorunner.tracking.wandb_files import OfflineFiles

METRICS = {"loss": [3.0, 2.0, math.nan], "val_mAP@0.5": [0.25, 0.5]}
SECRET = "hunter2-canary-of-wandb"
READER = """
import json, struct, sys
from wandb.proto import wandb_internal_pb2 as pb
data, at, parts = open(sys.argv[1], "rb").read(), 7, b""
assert data[:4] == b":W&B", data[:8]
while at + 7 <= len(data):
    if 32768 - at % 32768 < 7:
        at += 32768 - at % 32768
        continue
    _, size, kind = struct.unpack("<IHB", data[at : at + 7])  # records of LevelDB: whole, first, middle, last
    parts, at = parts + data[at + 7 : at + 7 + size], at + 7 + size
    if kind in (1, 4):
        record, parts = pb.Record.FromString(parts), b""
        what = record.WhichOneof("record_type")
        body = {}
        if what == "history":
            body = {item.key or ".".join(item.nested_key): item.value_json for item in record.history.item}
        elif what == "run":
            run = record.run
            body = {"id": run.run_id, "project": run.project, "name": run.display_name, "job": run.job_type,
                    "entity": run.entity,
                    "config": {item.key or ".".join(item.nested_key): item.value_json for item in run.config.update}}
        elif what == "summary":
            body = {item.key or ".".join(item.nested_key): item.value_json for item in record.summary.update}
        elif what == "exit":
            body = {"code": record.exit.exit_code}
        print(json.dumps([what, body]))
"""


def sent(python: str, store: RunStore, run_id: str, *options: str, **environ: str) -> tuple[int, list[Any]]:
    words = [python, "-m", "taorunner.tracking", *options, os.fspath(store.paths(run_id).directory)]
    source = os.fspath(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, **environ, "PYTHONPATH": source},
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def records(python: str, folder: Path) -> list[tuple[str, dict[str, Any]]]:
    (file,) = folder.glob("*.wandb")
    done = subprocess.run(
        [python, "-c", READER, os.fspath(file)], capture_output=True, text=True, check=True, timeout=100
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_what_is_in_the_files_is_what_was_reported(tmp_path: Path) -> None:
    python = tracker_python("wandb")
    store = RunStore(tmp_path / "state")
    run = made_run(tmp_path / "state", "a", METRICS, state=RunState.FAILED, reason="out of memory")
    with_track(store, run.id, {"wandb": {"project": "parts", "entity": "vision"}})
    home = tmp_path / "home"
    home.mkdir()
    environ = {
        "HOME": os.fspath(home),
        "WANDB_API_KEY": SECRET,
        "WANDB_MODE": "online",
        "WANDB_NAME": "other",
    }
    for _ in range(2):  # the second time it is written anew
        code, (said,) = sent(python, store, run.id, "--once", "--to", "wandb", **environ)
        assert said["problem"] is None, said
        assert (code, said["problem"], said["target"], said["points"]) == (0, None, "wandb", 5)
        (folder,) = (store.paths(run.id).directory / "wandb").iterdir()
        assert said["server"] == os.fspath(folder)
        store.paths(run.id).directory.joinpath("tracking.wandb.json").unlink()
    found = records(python, folder)
    (begun,) = (body for what, body in found if what == "run")
    assert (begun["id"], begun["project"], begun["entity"]) == (run.id, "parts", "vision")
    assert (begun["name"], begun["job"]) == (run.experiment, run.action)
    rows = [body for what, body in found if what == "history"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [row.get("val_mAP@0.5") for row in rows] == ["0.25", "0.5", None]
    assert [row["loss"] for row in rows] == ["3", "2", '"NaN"'] or rows[2]["loss"] in ("NaN", '"NaN"')
    summary: dict[str, Any] = {}
    for what, body in found:
        summary |= body if what == "summary" else {}
    assert json.loads(summary["taorunner.reason"]) == "out of memory"
    assert [body["code"] for what, body in found if what == "exit"] == [1]
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in written)
    assert list(home.iterdir()) == []  # no cache and no settings are left there
    assert not any(path.is_symlink() for path in (tmp_path / "state").rglob("*"))


def test_a_run_that_goes_on_has_no_files_yet(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    run = made_run(tmp_path, "a", METRICS, state=RunState.RUNNING)
    assert OfflineFiles(store, run.id, WandbTarget(), now).send_new() is False
    assert not (store.paths(run.id).directory / "wandb").exists()
    code, (said,) = sent(sys.executable, store, run.id, "--once", "--to", "wandb")
    assert (code, said["problem"]) == (0, None)  # nothing is wrong with it


def test_without_wandb_the_problem_is_on_record_and_the_run_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RunStore(tmp_path)
    run = made_run(tmp_path, "a", METRICS)
    before = store.paths(run.id).record.read_bytes()
    monkeypatch.setitem(sys.modules, "wandb", None)  # as where it is not installed
    with pytest.raises(TrackingError, match=r"pip install 'taorunner\[wandb\]'"):
        OfflineFiles(store, run.id, WandbTarget(), now).send_new()
    state = read_tracking(store, run.id, WANDB)
    assert state is not None and state.problem is not None and state.remote is None
    assert read_tracking(store, run.id) is None  # that of MLflow
    assert store.paths(run.id).record.read_bytes() == before
    assert not list(store.paths(run.id).directory.glob("wandb*"))


def test_a_run_that_was_removed_is_no_fault_of_wandb(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    run = made_run(tmp_path, "a", METRICS)
    files = OfflineFiles(store, run.id, WandbTarget(), now)
    store.paths(run.id).record.unlink()
    with pytest.raises(RunStateError):
        files.send_new()
