"""What is shown of runs on disk while they are watched, the exit code, and the lists of them."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from taorunner.console.runs.runs_view import print_run, print_runs
from taorunner.console.runs.stopping import question
from taorunner.console.runs.watch import watch_batch, watch_runs
from taorunner.events import RunFinished, RunStarted, RunState, now
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.state.batch_creation import create_batch
from taorunner.runs.state.store import Batch, RunStore

Start = Callable[..., tuple[RunStore, Batch]]


@pytest.fixture
def start(make_plan: Callable[..., RunPlan], tmp_path: Path) -> Start:
    """Runs on disk by name: their state, and the exit code of a refusal."""

    def make(**states: RunState | tuple[RunState, int]) -> tuple[RunStore, Batch]:
        store = RunStore(tmp_path / ".taorunner")
        names = {name: f"20260101-000000-{name}-train-abc123" for name in states}
        plans = [(run, make_plan("sh", backend="local", experiment=name)) for name, run in names.items()]
        batch = create_batch(store, plans, now(), environ={}, grace_s=90)
        for name, given in states.items():
            state, error_code = given if isinstance(given, tuple) else (given, None)
            run = names[name]
            record = replace(store.load(run), state=state, error_code=error_code)
            if state is not RunState.QUEUED:
                record = replace(record, started_at=now())
                store.append_events(run, [RunStarted(run=run, at=now(), gpus=("0",), handle="h")])
            if state.is_final:
                record = replace(record, finished_at=now(), reason="a reason")
                end = RunFinished(run=run, at=now(), state=state, reason="a reason", exit_code=0)
                store.append_events(run, [end])
            store.save(record)
        return store, batch

    return make


DONE, FAILED = RunState.SUCCEEDED, RunState.FAILED


def watched(store: RunStore, batch: Batch, **options: Any) -> int:
    return watch_batch(store, batch, **{"json": True, "plain": True, "is_owned": lambda: True, **options})


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ({"a": DONE, "b": DONE}, 0),
        ({"a": DONE, "b": FAILED}, 1),
        ({"a": FAILED, "b": (FAILED, 5), "c": (FAILED, 4)}, 5),
        ({"a": RunState.STOPPED}, 1),
        ({"a": RunState.LOST}, 1),
    ],
)
def test_the_exit_code_is_that_of_the_worst_outcome(states: dict[str, Any], code: int, start: Start) -> None:
    store, batch = start(**states)
    assert watched(store, batch) == code
    assert watch_runs(store, batch.runs, json=True, plain=False) == code


def test_as_json_every_event_is_a_line_and_the_end_comes_last(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    store, batch = start(a=DONE)
    store.paths(batch.runs[0]).console.write_bytes(b"a line\n")
    assert watched(store, batch) == 0
    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["RunQueued", "RunStarted", "LogLine", "RunFinished"]
    assert (events[2]["text"], err) == ("a line", "")


def test_in_a_pipe_events_are_lines_and_an_outcome_follows(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    store, batch = start(a=DONE, b=FAILED)
    assert watched(store, batch, json=False, plain=False) == 1
    out, _ = capsys.readouterr()
    assert ("a" in out and "1 failed" in out) or "failed" in out
    assert "a reason" in out


def test_a_signal_stops_the_runs_that_were_started_here(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    store, batch = start(a=RunState.RUNNING, b=DONE)
    running, done = batch.runs

    def stop_it() -> None:
        """What the supervisor does after a request."""
        while not store.stop_request(running, is_queued=False):
            threading.Event().wait(0.01)
        at = now()
        store.append_events(
            running, [RunFinished(run=running, at=at, state=RunState.STOPPED, reason="asked")]
        )
        store.save(replace(store.load(running), state=RunState.STOPPED, finished_at=at))

    helper = threading.Thread(target=stop_it)
    helper.start()
    killer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    killer.start()
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert watched(store, batch) == 130
    helper.join()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert capsys.readouterr().err == ""  # the events are JSON, and nothing else is said
    assert not store.stop_request(done, is_queued=False)


@pytest.mark.parametrize("json", [True, False])
def test_a_signal_only_ends_the_watching_of_earlier_runs(
    json: bool, start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, batch = start(a=RunState.RUNNING, b=RunState.QUEUED)
    root = store.state_dir.parent
    (root / "projects").mkdir()
    monkeypatch.chdir(root)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert watch_runs(store, batch.runs, json=json, plain=True) == 0
    assert not any(store.stop_request(run, is_queued=True) for run in batch.runs)
    said = "detached; 2 runs go on. taorunner attach watches, taorunner stop --all ends\n"
    assert capsys.readouterr().err == ("" if json else said)
    monkeypatch.chdir("/")
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert watch_runs(store, batch.runs, json=json, plain=True) == 0
    there = f"--workspace {root.relative_to('/')} "
    said = said.replace("taorunner ", f"taorunner {there}")
    assert capsys.readouterr().err == ("" if json else said)


def test_quiet_says_nothing_when_it_leaves(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    store, batch = start(a=RunState.RUNNING)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert watch_runs(store, batch.runs, json=False, plain=True, is_quiet=True) == 0
    assert capsys.readouterr().err == ""


def test_a_signal_that_the_caller_ignores_stays_ignored(start: Start) -> None:
    store, batch = start(a=DONE)
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert watched(store, batch) == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, old)


def test_the_question_counts_what_would_be_stopped(scene: Any) -> None:
    one = question([scene.training(), scene.finished("done")], 90)
    assert one == (
        "1 running. What now?",
        {"stop": "end it, 1m 30s to finish", "detach": "leave; 1 run goes on", "go on": "keep watching"},
    )
    several = [scene.training(), scene.queued("q"), scene.waiting("w", "Priority"), scene.training(1)]
    asked, choices = question(several, 10)
    assert asked == "2 running, 1 queued, 1 waiting. What now?"
    assert choices["stop"] == "end them, 10s each to finish"
    assert choices["detach"] == "leave; runs and queue go on"
    two = [scene.training(), scene.training(1)]
    assert question(two, 10)[1]["stop"] == "end them, 10s each to finish"
    assert question([scene.finished("done")], 10)[0] == "nothing is running. What now?"


def test_a_list_of_runs(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    store, batch = start(a=DONE, b=FAILED, c=RunState.QUEUED)
    records = [store.load(run) for run in batch.runs]
    print_runs(store, records, json=False, empty="no runs")
    _head, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[2] for row in rows] == ["a", "b", "c"]
    assert [word for row in rows for word in ("succeeded", "failed", "queued") if word in row] == [
        "succeeded", "failed", "queued",
    ]  # fmt: skip
    print_runs(store, [], json=False, empty="no runs")
    assert capsys.readouterr() == ("", "no runs\n")
    print_runs(store, [], json=True, empty="no runs")
    assert capsys.readouterr() == ("[]\n", "")
    print_runs(store, records, json=True, empty="no runs")
    found = json.loads(capsys.readouterr().out)
    assert [(one["experiment"], one["state"]) for one in found] == [
        ("a", "SUCCEEDED"),
        ("b", "FAILED"),
        ("c", "QUEUED"),
    ]


def test_a_list_in_colour_says_the_same(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, batch = start(a=DONE, b=RunState.QUEUED)
    records = [store.load(run) for run in batch.runs]
    monkeypatch.setenv("NO_COLOR", "1")
    texts = []
    for forced in ("", "1"):
        monkeypatch.setenv("FORCE_COLOR", forced)
        print_runs(store, records, json=False, empty="")
        texts.append([Text.from_ansi(line).plain.rstrip() for line in capsys.readouterr().out.splitlines()])
    assert texts[0] == texts[1] and len(texts[0]) == 3


def test_one_run(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    store, batch = start(a=DONE)
    (run,) = batch.runs
    print_run(store, store.load(run), json=True)
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["run"] if "run" in found else found["id"], found["state"]) == (run, "SUCCEEDED")
    print_run(store, store.load(run), json=False)
    out = capsys.readouterr().out
    assert run in out and "a reason" in out and "succeeded" in out


def test_a_record_that_is_final_counts_without_its_last_event(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """A crash between the two."""
    store, batch = start(a=RunState.RUNNING)
    (run,) = batch.runs
    at = now() + timedelta(seconds=1)
    store.save(replace(store.load(run), state=FAILED, finished_at=at, reason="the machine went down"))
    print_runs(store, [store.load(run)], json=True, empty="")
    assert json.loads(capsys.readouterr().out)[0]["state"] == "FAILED"
