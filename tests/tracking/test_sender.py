"""What a server gets of a run, also when it refuses, breaks off or is killed in the middle."""

from __future__ import annotations

import base64
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from made_runs import AT, LOCK, made_run
from played_mlflow import PlayedMlflow

from taorunner.events import CheckpointSaved, MetricReported, RunState
from taorunner.runs.state.store import RunStore
from taorunner.runs.state.tracking_state import read_tracking
from taorunner.tracking.following import Times, follow, send_once
from taorunner.tracking.mlflow import MlflowServer, TrackingError
from taorunner.tracking.sender import RunSender
from taorunner.values.value import replace

Make = Callable[..., RunSender]


@pytest.mark.parametrize(
    ("state", "status"),
    [(RunState.SUCCEEDED, "FINISHED"), (RunState.STOPPED, "KILLED"), (RunState.LOST, "FAILED")],
)
def test_the_end_of_a_run_is_one_of_the_servers_words(
    state: RunState, status: str, tmp_path: Path, played: PlayedMlflow, sender: Make
) -> None:
    run = made_run(tmp_path, "a", {"val_mAP50": [0.5]}, state=state)
    assert sender(run.id).send_new() is True
    assert [there["status"] for there in played.runs.values()] == [status]


def test_a_run_is_there_as_it_is_on_record(tmp_path: Path, played: PlayedMlflow, sender: Make) -> None:
    run = made_run(
        tmp_path, "a", {"val_mAP50": [0.5, math.nan, 0.6], "[bbox] val_mAP@0.5": [math.inf, -math.inf]},
        state=RunState.FAILED, reason="out of memory",
    )  # fmt: skip
    RunStore(tmp_path).append_events(
        run.id, [CheckpointSaved(run=run.id, at=AT, path="/m/epoch_2.pth", epoch=2)]
    )
    assert sender(run.id).send_new() is True
    (there,) = played.runs.values()
    assert (there["name"], there["status"]) == ("a", "FAILED")
    assert played.experiments == {"cars": "1"}
    assert played.points("val_mAP50") == [(1, 0.5), (2, "NaN"), (3, 0.6)]
    assert played.points("bbox/val_mAP_at_0.5") == [(1, "Infinity"), (2, "-Infinity")]
    assert there["params"] == {
        "train.optim.lr": "0.0002",
        "dataset.batch_size": "4",
        "results_dir": "$results_dir",
    }
    wanted = {
        "taorunner.run": run.id, "taorunner.network": "dino", "taorunner.action": "train", "taorunner.state": "FAILED",
        "taorunner.reason": "out of memory", "taorunner.checkpoint": "/m/epoch_2.pth",
        "taorunner.name.bbox/val_mAP_at_0.5": "[bbox] val_mAP@0.5", "taorunner.best.val_mAP50": "0.6 at epoch 3",
        "taorunner.data.cars": f"8412 images, {'5f3c91' * 10}",
    }  # fmt: skip
    assert {key: there["tags"].get(key) for key in wanted} == wanted
    state = read_tracking(RunStore(tmp_path), run.id)
    assert state is not None
    assert (state.points, state.epoch, state.end, state.problem) == (5, 3, "FAILED", None)


def test_sending_again_changes_nothing_and_takes_up_what_is_new(
    tmp_path: Path, played: PlayedMlflow, sender: Make
) -> None:
    store = RunStore(tmp_path)
    run = made_run(tmp_path, "a", {"loss": [3.0, 2.0]}, state=RunState.RUNNING, finished_at=None)
    assert sender(run.id).send_new() is False
    store.append_events(run.id, [MetricReported(run=run.id, at=AT, name="loss", value=1.0, epoch=3)])
    assert sender(run.id).send_new() is False
    kept = played.points("loss")
    store.paths(run.id).tracking.unlink()  # as after a full disk
    assert sender(run.id).send_new() is False
    assert played.points("loss") == kept == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert len(played.runs) == 1 and next(iter(played.runs.values()))["status"] == "RUNNING"
    store.save(replace(run, state=RunState.SUCCEEDED, finished_at=AT))
    assert sender(run.id).send_new() is True
    assert next(iter(played.runs.values()))["status"] == "FINISHED"


def test_a_refusal_in_the_middle_goes_on_behind_what_was_taken(
    tmp_path: Path, played: PlayedMlflow, sender: Make
) -> None:
    run = made_run(tmp_path, "a", {"loss": [float(value) for value in range(2500)]})
    one = sender(run.id)
    real, counted = played.answer, [0]

    def failing(what: str, body: dict[str, object], headers: dict[str, str]) -> object:
        counted[0] += bool(body.get("metrics"))
        if body.get("metrics") and counted[0] == 2:
            return 503, {}, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "wait"}
        return real(what, body, headers)

    played.answer = failing  # type: ignore[method-assign, assignment]
    with pytest.raises(TrackingError, match=r"answers 503: wait"):
        one.send_new()
    state = read_tracking(RunStore(tmp_path), run.id)
    assert state is not None and (state.skip, state.points) == (1000, 1000)
    assert sender(run.id).send_new() is True
    assert [step for step, _ in played.points("loss")] == list(range(1, 2501))
    sent = [len(body["metrics"]) for _, body, _ in played.calls if body.get("metrics")]
    assert sent == [1000, 1000, 500]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p"}, "Basic " + base64.b64encode(b"u:p").decode()),
        ({"MLFLOW_TRACKING_TOKEN": "t0"}, "Bearer t0"),
        ({}, None),
    ],
)  # fmt: skip
def test_credentials_are_those_of_the_environment(
    tmp_path: Path, played: PlayedMlflow, sender: Make, environ: dict[str, str], expected: str | None
) -> None:
    sender(made_run(tmp_path, "a").id, **environ).send_new()
    assert {headers.get("Authorization") for _, _, headers in played.calls} == {expected}


def test_a_user_in_the_address_and_one_in_mlflows_file(
    tmp_path: Path, played: PlayedMlflow, connect: Callable[..., MlflowServer]
) -> None:
    address = played.address.replace("://", "://me:s3cr3t@")
    server = connect(address)
    assert server.shown == played.address
    server.experiment("x")
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow/credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = a\nmlflow_tracking_password = b%c\n"
    )
    connect(played.address).experiment("x")
    sent = [headers["Authorization"] for _, _, headers in played.calls]
    users = [base64.b64decode(one.removeprefix("Basic ")).decode() for one in dict.fromkeys(sent)]
    assert users == ["me:s3cr3t", "a:b%c"]


@pytest.mark.parametrize(
    ("answer", "text", "is_refusal"),
    [
        ((401, {}), "refuses access (401): check MLFLOW_TRACKING_USERNAME", True),
        ((403, {}), "refuses access (403)", True),
        ((429, {"Retry-After": "7"}), "answers 429", False),
        ((500, {}), "answers 500", False),
        ((302, {"Location": "http://127.0.0.1:1/"}), "redirects", True),
    ],
)
def test_each_refusal_is_a_sentence_on_record(
    tmp_path: Path,
    played: PlayedMlflow,
    sender: Make,
    answer: tuple[int, dict[str, str]],
    text: str,
    is_refusal: bool,
) -> None:
    run = made_run(tmp_path, "a")
    played.always = answer
    with pytest.raises(TrackingError) as refused:
        sender(run.id).send_new()
    assert text in str(refused.value) and refused.value.is_refusal is is_refusal
    assert refused.value.wait_s == (7.0 if answer[0] == 429 else None)
    state = read_tracking(RunStore(tmp_path), run.id)
    assert state is not None and state.problem == str(refused.value)


def test_a_login_page_is_no_mlflow_server(tmp_path: Path, played: PlayedMlflow, sender: Make) -> None:
    run = made_run(tmp_path, "a")
    played.answer = lambda *_: (200, {}, ["a page"])  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(TrackingError, match="is not an MLflow server"):
        sender(run.id).send_new()


def test_a_dead_server_is_waited_for_ten_minutes_after_the_end_and_no_longer(
    tmp_path: Path, connect: Callable[..., MlflowServer]
) -> None:
    run = made_run(tmp_path, "a", {"loss": [1.0]})
    store = RunStore(tmp_path)
    dead = RunSender(store, run.id, connect("http://127.0.0.1:1"), None, lambda: AT)
    waits: list[float] = []
    done = follow(dead, lambda: 1, lambda: True, lambda: sum(waits), waits.append, Times())
    assert done is False and 600 <= sum(waits) <= 660
    assert waits[:7] == [1, 2, 4, 8, 16, 32, 60] and max(waits) == 60
    assert "cannot be reached" in str(dead.state.problem)


def test_a_refusal_ends_with_the_run(tmp_path: Path, played: PlayedMlflow, sender: Make) -> None:
    run = made_run(tmp_path, "a", {"loss": [1.0]})
    played.always = (401, {})
    over = iter([False, False, False, True])
    waits: list[float] = []
    assert (
        follow(sender(run.id), lambda: 1, lambda: next(over), lambda: sum(waits), waits.append, Times())
        is False
    )
    assert waits == [1, 2, 4]


def test_a_run_that_reports_nothing_is_left_after_two_days(tmp_path: Path, sender: Make) -> None:
    run = made_run(tmp_path, "a", {"loss": [1.0]}, state=RunState.RUNNING, finished_at=None)
    waits: list[float] = []
    assert (
        follow(sender(run.id), lambda: 1, lambda: False, lambda: sum(waits), waits.append, Times()) is False
    )
    assert 172_800 <= sum(waits) <= 172_810


def test_sync_waits_as_the_server_asks_and_gives_up_after_three_tries(
    tmp_path: Path, played: PlayedMlflow, sender: Make
) -> None:
    run = made_run(tmp_path, "a", {"loss": [1.0]})
    played.always = (429, {"Retry-After": "3"})
    waits: list[float] = []
    with pytest.raises(TrackingError, match="429"):
        send_once(sender(run.id), waits.append)
    assert waits == [3.0, 3.0]


def test_a_full_disk_does_not_stop_it(tmp_path: Path, played: PlayedMlflow, sender: Make) -> None:
    run = made_run(tmp_path, "a", {"loss": [1.0, 2.0]})
    folder = RunStore(tmp_path).paths(run.id).directory
    (folder / "tracking.json").mkdir()  # nothing can be written there
    one = sender(run.id)
    assert one.send_new() is True and one.state.points == 2
    assert played.points("loss") == [(1, 1.0), (2, 2.0)]


def test_nothing_that_is_secret_is_sent(tmp_path: Path, played: PlayedMlflow, sender: Make) -> None:
    canary = "c4n4ry-s3cr3t"
    lock = replace(LOCK, argv=("--key", "@TAORUNNER_SECRET_model_key@"))
    run = made_run(tmp_path, "a", {"loss": [1.0]}, lock=lock)
    plan = RunStore(tmp_path).paths(run.id).plan
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "env": {"X": canary}, "secrets": [canary]}))
    sender(run.id, MLFLOW_TRACKING_TOKEN=canary).send_new()
    bodies = json.dumps([(what, body) for what, body, _ in played.calls])
    assert canary not in bodies and "TAORUNNER_SECRET" not in bodies
    assert canary not in RunStore(tmp_path).paths(run.id).tracking.read_text()


def test_a_process_that_is_killed_is_continued_without_loss_or_doubling(
    tmp_path: Path, played: PlayedMlflow, seed: int
) -> None:
    """Killed at five moments of sending 20,000 points; then it ends by itself."""
    store = RunStore(tmp_path)
    run = made_run(tmp_path, "a", {f"m{number}": [0.5] * 2000 for number in range(10)})
    plan = store.paths(run.id).plan
    body = {**json.loads(plan.read_text()), "track": {"mlflow": {"uri": played.address}}}
    plan.write_text(json.dumps(body))
    played.delay_s = 0.02
    words = [sys.executable, "-m", "taorunner.tracking", os.fspath(store.paths(run.id).directory)]
    for number in range(5):
        process = subprocess.Popen(words)
        calls = len(played.calls)
        while len(played.calls) < calls + 2 + (seed + number) % 5 and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert subprocess.run(words, timeout=60, check=False).returncode == 0
    assert len(played.runs) == 1
    (there,) = played.runs.values()
    assert there["status"] == "FINISHED"
    assert {name: len(points) for name, points in there["metrics"].items()} == {
        f"m{n}": 2000 for n in range(10)
    }


@pytest.mark.parametrize("calls_before", [0, 1, 2, 3])
def test_an_answer_of_another_form_is_named(
    tmp_path: Path, played: PlayedMlflow, sender: Make, calls_before: int
) -> None:
    """A proxy, or a server that plays MLflow: the calls are find, make, search and make a run."""
    run = made_run(tmp_path, "a", {"loss": [0.5]})
    played.faults = [0.0] * calls_before + [(200, {})]
    if calls_before == 2:  # no runs at all are "none"
        assert sender(run.id).send_new() is True
        return
    with pytest.raises(
        TrackingError, match=r'does not answer as MLflow does: "[a-z_.]+" is missing'
    ) as caught:
        sender(run.id).send_new()
    assert caught.value.is_refusal
