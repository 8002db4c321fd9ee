"""``track``: a training that is sent while it runs, dead and slow servers beside it, ``track sync`` for the rest."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli
from made_runs import made_run
from played_mlflow import PlayedMlflow
from trackers import tracker_python

import taorunner
from taorunner.events import Notice
from taorunner.project.tracking.words import WANDB
from taorunner.runs.state.store import RunStore
from taorunner.runs.state.tracking_state import read_tracking

SHORT = {"train.num_epochs": 2, "train.checkpoint_interval": 1}


@pytest.fixture
def played() -> Iterator[PlayedMlflow]:
    server = PlayedMlflow()
    yield server
    server.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "w/projects/cars").mkdir(parents=True)
    (tmp_path / "w/projects/cars/experiments.yml").write_text("experiments: {}\n")
    return tmp_path / "w"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> taorunner.Workspace:
    workspace = taorunner.Workspace.create_example(tmp_path_factory.mktemp("w") / "w", images=24, held_out=4)
    assert taorunner.start(workspace, "shapes", "dataset_convert", "tiny").wait(timeout_s=120)
    return workspace


def tracked(workspace: taorunner.Workspace, uri: str) -> taorunner.Run:
    """A training that is sent to ``uri``, ended."""
    return trained(workspace, f"{{mlflow: {{uri: '{uri}'}}}}")


def trained(workspace: taorunner.Workspace, track: str) -> taorunner.Run:
    file = workspace.path / "projects/shapes/experiments.yml"
    without = re.sub(r"\n    track: .*", "", file.read_text())
    file.write_text(without.replace("\n  tiny:", f"\n  tiny:\n    track: {track}"))
    batch = taorunner.start(workspace, "shapes", "train", "tiny", overrides=SHORT, overwrite=True)
    assert batch.wait(timeout_s=120), [(run.reason, run.log(tail=20)) for run in batch.runs]
    return batch.runs[0]


def test_a_training_is_sent_by_a_process_beside_it(
    cli: Cli, shapes: taorunner.Workspace, played: PlayedMlflow
) -> None:
    run = tracked(shapes, played.address)
    ends = time.monotonic() + 200
    while not played.runs or next(iter(played.runs.values()))["status"] == "RUNNING":
        assert time.monotonic() < ends, played.calls
        time.sleep(0.1)
    (there,) = played.runs.values()
    assert there["status"] == "FINISHED" and there["tags"]["taorunner.run"] == run.id
    assert there["params"]["train.num_epochs"] == "2"
    history = {name: dict(values) for name, values in run.history.items()}
    sent = {name: {one["step"]: one["value"] for one in points} for name, points in there["metrics"].items()}
    assert sent.keys() == history.keys() and sent["val_mAP50"] == history["val_mAP50"]
    while not (shown := tracked_of(cli, shapes, run.id))[
        "complete"
    ]:  # the server has the end a moment before the file
        assert time.monotonic() < ends, shown
    assert (shown["complete"], shown["problem"], shown["server"]) == (True, None, played.address)


def tracked_of(cli: Cli, workspace: taorunner.Workspace, run_id: str) -> dict[str, Any]:
    done = cli("track", "status", "--json", cwd=workspace.path)
    (shown,) = [one for one in done.json if one["run"] == run_id]
    return dict(shown)


def read_tracking_problem(store: RunStore, run_id: str) -> str:
    """``dead``, ``refusing`` or ``slow``, as the process beside the run noticed it."""
    ends = time.monotonic() + 200
    words = {"cannot be reached": "dead", "refuses access (401)": "refusing", "does not answer": "slow"}
    while True:
        state = read_tracking(store, run_id)
        for said, kind in words.items():
            if state is not None and said in (state.problem or ""):
                return kind
        assert time.monotonic() < ends, state
        time.sleep(0.1)


@pytest.mark.parametrize("kind", ["dead", "refusing", "slow"])
def test_a_server_in_trouble_changes_nothing_in_a_run(
    cli: Cli, shapes: taorunner.Workspace, played: PlayedMlflow, kind: str
) -> None:
    played.always = (401, {}) if kind == "refusing" else None
    played.delay_s = 30.0 if kind == "slow" else 0.0
    run = tracked(shapes, "http://127.0.0.1:1" if kind == "dead" else played.address)
    assert run.state.value == "SUCCEEDED"
    store = RunStore(shapes.path / ".taorunner")
    assert store.load(run.id).exit_code == 0
    assert [
        one.text for one in store.read_events(run.id)[0] if isinstance(one, Notice) and one.level != "info"
    ] == []
    assert read_tracking_problem(store, run.id) == kind
    for line in Path("/proc").glob("[0-9]*/cmdline"):  # it would try for ten minutes
        try:
            words = line.read_bytes()
        except OSError:
            continue
        if b"taorunner.tracking" in words and run.id.encode() in words:
            os.kill(int(line.parent.name), 9)


def test_wandb_that_is_not_installed_changes_nothing_in_a_run(
    shapes: taorunner.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb.py").write_text("raise ImportError('hidden')\n")  # it may be installed in this Python
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path))
    run = trained(shapes, "{wandb: {}}")
    assert run.state.value == "SUCCEEDED"
    store, ends = RunStore(shapes.path / ".taorunner"), time.monotonic() + 200
    while (state := read_tracking(store, run.id, WANDB)) is None or state.problem is None:
        assert time.monotonic() < ends
        time.sleep(0.1)
    assert "pip install 'taorunner[wandb]'" in state.problem


def test_sync_sends_what_is_missing_once(cli: Cli, root: Path, played: PlayedMlflow) -> None:
    runs = [
        made_run(root / ".taorunner", name, {"val_mAP50": [0.5, 0.7]}, number=number)
        for number, name in enumerate("ab", 1)
    ]
    since = ("--since", "2026-01-01")
    refused = cli("track", "sync", *since, "--to", "mlflow", cwd=root)
    assert (refused.code, refused.err.splitlines()[0]) == (2, "error: MLFLOW_TRACKING_URI is not set")
    here = {"MLFLOW_TRACKING_URI": played.address}
    assert cli("track", "sync", *since, cwd=root, env=here).err == (
        "no run names a tracker: --to mlflow sends them to MLFLOW_TRACKING_URI, --to wandb writes files\n"
    )
    done = cli("track", "sync", *since, "--to", "mlflow", "--json", cwd=root, env=here)
    assert done.code == 0, done
    assert {(one["run"], one["points"], one["complete"]) for one in done.json} == {
        (run.id, 2, True) for run in runs
    }
    calls = len(played.calls)
    again = cli("track", "sync", *since, "--to", "mlflow", cwd=root, env=here)
    assert (again.code, again.out, len(played.calls)) == (0, "", calls)
    lines = cli("track", "status", *since, cwd=root).out.splitlines()
    assert [line.split()[1:5] for line in lines[1:]] == [
        ["b", "train", "all", "2"],
        ["a", "train", "all", "2"],
    ]


def test_what_a_server_refuses_is_said_with_the_run(cli: Cli, root: Path, played: PlayedMlflow) -> None:
    made_run(root / ".taorunner", "a", {"val_mAP50": [0.5]})
    played.always = (403, {})
    here = {"MLFLOW_TRACKING_URI": played.address}
    done = cli("track", "sync", "a", "--to", "mlflow", "--since", "2026-01-01", "--json", cwd=root, env=here)
    assert done.code == 4
    assert "refuses access (403)" in done.json[0]["problem"]


def test_a_tracker_that_there_is_not_is_refused_in_plain_words(cli: Cli, root: Path) -> None:
    made_run(root / ".taorunner", "a")
    done = cli("track", "sync", "--to", "wandbb", cwd=root)
    assert (done.code, done.err.splitlines()[0]) == (2, 'error: --to takes mlflow or wandb, not "wandbb"')
    assert 'did you mean "wandb"?' in done.err


def test_files_of_weights_and_biases_are_written_and_named(cli: Cli, root: Path, tmp_path: Path) -> None:
    """By the real library, in the Python that has it."""
    run = made_run(root / ".taorunner", "a", {"val_mAP50": [0.5, 0.7]})
    since = ("--since", "2026-01-01")
    words = [tracker_python("wandb"), "-m", "taorunner", "track", "sync", *since, "--to", "wandb"]
    environ = {
        **os.environ,
        "PYTHONPATH": os.fspath(Path(taorunner.__file__).parents[1]),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(words, cwd=root, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder,) = (root / ".taorunner/runs" / run.id / "wandb").iterdir()
    assert f"wandb sync {folder}" in done.stdout + done.stderr
    (shown,) = cli("track", "status", *since, "--json", cwd=root).json
    assert (shown["target"], shown["points"], shown["complete"]) == ("wandb", 2, True)
    assert shown["server"] == str(folder)
