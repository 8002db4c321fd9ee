"""A real MLflow server: points equal the events, sending twice is the same, and a server that is killed in the middle."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from made_runs import made_run
from trackers import RealMlflow, tracker_python, with_track

from taorunner.events import RunState
from taorunner.runs.state.store import RunStore
from taorunner.runs.state.tracking_state import read_tracking


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealMlflow]:
    python = tracker_python("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = RealMlflow(python, tmp_path_factory.mktemp("mlflow"), port)
    server.start()
    answering(server)
    yield server
    server.end()


def answering(server: RealMlflow) -> None:
    ends = time.monotonic() + 240
    while time.monotonic() < ends:
        assert not server.has_ended(), server.said()
        try:
            if httpx.get(f"{server.address}/health", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(server.said())


def asked(server: RealMlflow, what: str, **query: Any) -> Any:
    url = f"{server.address}/api/2.0/mlflow/{what}"
    reply = (
        httpx.post(url, json=query, timeout=60)
        if what.endswith("search")
        else httpx.get(url, params=query, timeout=60)
    )
    assert reply.status_code == 200, reply.text
    return reply.json()


def sent(store: RunStore, run_id: str, *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "taorunner.tracking", *options, os.fspath(store.paths(run_id).directory)]
    return subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)


def test_what_arrives_is_what_was_reported(tmp_path: Path, mlflow: RealMlflow) -> None:
    store = RunStore(tmp_path)
    losses = [math.nan, 3.0, math.inf, *(1 / epoch for epoch in range(3, 1500))]
    metrics = {"loss": losses, "[bbox] val_mAP@0.5": [0.25, 0.5], "AP_0.50:0.95_all": [0.125]}
    run = made_run(tmp_path, "a", metrics, state=RunState.FAILED, reason="out of memory")
    with_track(store, run.id, {"mlflow": {"uri": mlflow.address}})
    for _ in range(2):
        done = sent(store, run.id)
        assert (done.returncode, done.stderr) == (0, "")
        store.paths(run.id).tracking.unlink()  # the second time all is sent again
    experiment = asked(mlflow, "experiments/get-by-name", experiment_name="cars")["experiment"][
        "experiment_id"
    ]
    (there,) = asked(mlflow, "runs/search", experiment_ids=[experiment])["runs"]
    info, data = there["info"], there["data"]
    assert (info["run_name"], info["status"]) == ("a", "FAILED")
    tags = {one["key"]: one["value"] for one in data["tags"]}
    assert tags["taorunner.run"] == run.id and tags["taorunner.reason"] == "out of memory"
    assert tags["taorunner.name.bbox/val_mAP_at_0.5"] == "[bbox] val_mAP@0.5"
    assert {one["key"]: one["value"] for one in data["params"]}["train.optim.lr"] == "0.0002"
    names = {
        "loss": "loss",
        "bbox/val_mAP_at_0.5": "[bbox] val_mAP@0.5",
        "AP_0.50:0.95_all": "AP_0.50:0.95_all",
    }
    for name, original in names.items():
        history = asked(
            mlflow, "metrics/get-history", run_id=info["run_id"], metric_key=name, max_results=5000
        )
        got = {one["step"]: float(one["value"]) for one in history["metrics"]}
        assert len(history["metrics"]) == len(got)
        expected = dict(enumerate(metrics[original], 1))
        assert got.keys() == expected.keys()
        assert all(
            got[step] == value
            or (value != value and got[step] != got[step])
            or (value == math.inf and got[step] > 1e308)
            for step, value in expected.items()
        )


def test_a_server_that_is_killed_in_the_middle_gets_the_rest_later(
    tmp_path: Path, mlflow: RealMlflow
) -> None:
    store = RunStore(tmp_path)
    run = made_run(tmp_path, "b", {f"m{number}": [0.5] * 3000 for number in range(8)})
    with_track(store, run.id, {"mlflow": {"uri": mlflow.address, "experiment": "killed"}})
    folder = os.fspath(store.paths(run.id).directory)
    process = subprocess.Popen([sys.executable, "-m", "taorunner.tracking", folder])
    ends = time.monotonic() + 120
    while (state := read_tracking(store, run.id)) is None or state.points < 2000:
        assert time.monotonic() < ends and process.poll() is None
        time.sleep(0.01)
    mlflow.end()
    try:
        while (state := read_tracking(store, run.id)) is None or state.problem is None:
            assert time.monotonic() < ends + 60 and process.poll() is None
            time.sleep(0.05)
        assert state.points < 24_000
    finally:
        mlflow.start()
        answering(mlflow)
    assert process.wait(timeout=200) == 0
    experiment = asked(mlflow, "experiments/get-by-name", experiment_name="killed")["experiment"][
        "experiment_id"
    ]
    (there,) = asked(mlflow, "runs/search", experiment_ids=[experiment])["runs"]
    assert there["info"]["status"] == "FINISHED"
    for number in range(8):
        history = asked(
            mlflow,
            "metrics/get-history",
            run_id=there["info"]["run_id"],
            metric_key=f"m{number}",
            max_results=9000,
        )
        assert sorted(one["step"] for one in history["metrics"]) == list(range(1, 3001))
    again = sent(store, run.id, "--once")
    assert json.loads(again.stdout)["points"] == 24_000
