"""What the library promises besides its examples: nothing of the caller changes, and nothing is trained twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import taorunner
from taorunner.errors import RunStateError, UsageError, UserFilesError
from taorunner.events import RunFinished, RunState

LONG = {"train.num_epochs": 400, "train.checkpoint_interval": 400}
FORTY = {"train.num_epochs": 40, "train.checkpoint_interval": 40}
SHORT = {"train.num_epochs": 1, "train.checkpoint_interval": 1}

STATE_OF_A_PROCESS = """
import gc, json, logging, os, signal, sys, threading, warnings

def state():
    umask = os.umask(0)
    os.umask(umask)
    return {
        "environ": dict(os.environ), "cwd": os.getcwd(), "umask": umask, "gc": [gc.isenabled(), *gc.get_threshold()],
        "frozen": gc.get_freeze_count(), "signals": {str(n): str(signal.getsignal(n)) for n in signal.valid_signals()},
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "wakeup": signal.set_wakeup_fd(-1),
        "logging": [str(logging.root.handlers), logging.root.level, logging.root.manager.disable],
        "warnings": [str(one) for one in warnings.filters if "ruamel" not in str(one)],
        "path": sys.path, "hooks": [str(sys.excepthook), str(threading.excepthook)],
        "streams": [str(sys.stdout), str(sys.stderr)], "switch": sys.getswitchinterval(),
        "recursion": sys.getrecursionlimit(),
    }

before = state()
import taorunner
workspace = taorunner.Workspace.open(sys.argv[1])
taorunner.validate(workspace)
taorunner.plan(workspace, "shapes", "dataset_convert", "tiny")
batch = taorunner.start(workspace, "shapes", "dataset_convert", "tiny")
events = list(batch.events())
done = batch.wait(timeout_s=120)
run = batch.runs[0]
run.metrics, run.best, run.history, run.results, run.checkpoints, run.log(), run.stop(), workspace.runs()
after = state()
changed = {key: [before[key], after[key]] for key in before if before[key] != after[key]}
loaded = sorted(name for name in ("typer", "rich", "click") if name in sys.modules)
json.dump({"done": done, "events": len(events), "changed": changed, "loaded": loaded}, open(sys.argv[2], "w"))
"""


def test_nothing_of_the_calling_process_changes(workspace: taorunner.Workspace, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = [sys.executable, "-c", STATE_OF_A_PROCESS, str(workspace.path), str(report)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = json.loads(report.read_text())
    assert found.pop("events") >= 3
    assert found == {"done": True, "changed": {}, "loaded": []}


def test_a_second_training_is_refused_and_a_stop_ends_the_first(workspace: taorunner.Workspace) -> None:
    assert taorunner.start(workspace, "shapes", "dataset_convert", "tiny").wait(timeout_s=120)
    batch = taorunner.start(workspace, "shapes", "train", ["tiny"], overrides=LONG)
    (run,) = batch.runs
    with pytest.raises(RunStateError, match=f'run "{run.id[-6:]}" is training "tiny"'):
        taorunner.start(workspace, "shapes", "train", ["tiny"], overwrite=True)
    with pytest.raises(TimeoutError, match=run.id):
        batch.wait(timeout_s=0.2)
    with pytest.raises(TimeoutError):
        run.wait(timeout_s=0)
    batch.stop()
    assert (run.state, run.wait(timeout_s=5), batch.wait(timeout_s=5)) == (
        RunState.STOPPED,
        RunState.STOPPED,
        False,
    )
    *_, last = batch.events()
    assert isinstance(last, RunFinished)
    assert last.state is RunState.STOPPED
    assert workspace.runs() == [run, workspace.runs()[1]]
    assert len(workspace.runs()) == 2


def test_a_batch_succeeded_only_if_every_run_did(workspace: taorunner.Workspace) -> None:
    assert taorunner.start(workspace, "shapes", "dataset_convert", ["tiny", "small"]).wait(timeout_s=120)
    batch = taorunner.start(workspace, "shapes", "train", ["tiny", "small"], overrides=FORTY, parallel=1)
    batch.runs[1].stop()
    assert batch.wait(timeout_s=120) is False
    assert [run.state for run in batch.runs] == [RunState.SUCCEEDED, RunState.STOPPED]


def test_of_many_that_start_one_training_at_once_one_does(workspace: taorunner.Workspace) -> None:
    """The check and the record are one step: planning in between takes long enough for all of them."""
    assert taorunner.start(workspace, "shapes", "dataset_convert", "tiny").wait(timeout_s=120)
    barrier, started, refused = threading.Barrier(6), [], []

    def begin() -> None:
        barrier.wait()
        try:
            started.append(taorunner.start(workspace, "shapes", "train", "tiny", overrides=LONG))
        except RunStateError as error:
            refused.append(error.message)

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for batch in started:
        batch.stop()
    assert (len(started), len(refused)) == (1, 5)
    assert {f'run "{started[0].runs[0].id[-6:]}" is training "tiny"' in message for message in refused} == {
        True
    }


def test_runs_are_followed_after_their_supervisor_was_killed(workspace: taorunner.Workspace) -> None:
    assert taorunner.start(workspace, "shapes", "dataset_convert", "tiny").wait(timeout_s=120)
    batch = taorunner.start(workspace, "shapes", "train", "tiny", overrides=FORTY)
    lock = workspace.path / ".taorunner" / "batches" / batch.id / "supervisor.lock"
    deadline = time.monotonic() + 100
    while batch.runs[0].epoch is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(int(lock.read_text()), signal.SIGKILL)
    names = [type(event).__name__ for event in batch.events()]
    assert (names[0], names[-1], names.count("RunFinished")) == ("RunQueued", "RunFinished", 1)
    assert batch.wait(timeout_s=10)


def test_a_start_that_fails_leaves_no_process_and_no_record(workspace: taorunner.Workspace) -> None:
    before = supervisors_of_this_process()  # those of other tests in this process
    text = r"nothing was started: 1 error.*tinny"
    with pytest.raises(UserFilesError, match=text) as caught:
        taorunner.start(workspace, "shapes", "train", "tinny")
    assert [finding.code for finding in caught.value.findings if finding.is_error] != []
    assert caught.value.hint
    assert workspace.runs() == []
    deadline = time.monotonic() + 100
    while children := supervisors_of_this_process().keys() - before.keys():
        assert time.monotonic() < deadline, children
        time.sleep(0.05)


def supervisors_of_this_process() -> dict[str, str]:
    """By process id, zombies included."""
    shown = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "pid=,stat=,args="],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    rows = [line.split(None, 1) for line in shown.stdout.splitlines()]
    return {pid: rest for pid, rest in rows if "runs.control.process" in rest or "defunct" in rest}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"experiments": []}, "no experiment is named"),
        ({"experiments": ["tiny", "tiny"]}, 'experiment "tiny" is named twice'),
        ({"resume": True, "overwrite": True}, "cannot be combined with --overwrite"),
        ({"resume": True, "checkpoint": "x.npz"}, "cannot be combined with --checkpoint"),
        ({"action": "evaluate", "resume": True}, 'only "train" can be resumed, not "evaluate"'),
        ({"backend": "dokcer"}, 'there is no backend "dokcer"'),
        ({"gpus": -1}, "gpus must be from 0 to 64, not -1"),
        ({"gpu_ids": [1, 1]}, "a GPU is named twice: 1, 1"),
        ({"parallel": 0}, "parallel must be at least 1, not 0"),
        ({"parallel": 2, "join": "tiny"}, "--join cannot be combined with --parallel"),
        ({"retries": 101}, "retries must be from 0 to 100, not 101"),
        ({"grace_s": float("nan")}, "the grace period must be at least 0 seconds, not nan"),
        ({"keep_checkpoints": "all"}, '--keep-checkpoints takes last:N or best:N, not "all"'),
        ({"on_finish": "no-such-program-here"}, 'there is no command "no-such-program-here"'),
        ({"project": "shpaes"}, 'no project "shpaes"'),
        ({"volumes": ["nowhere:/x"]}, '--volume "nowhere:/x": the source "'),
        ({"then": ["evaluate", "train"]}, 'the chain has "train" twice'),
    ],
)
def test_contradictions_are_refused(
    options: dict[str, Any], text: str, workspace: taorunner.Workspace
) -> None:
    given = {"project": "shapes", "action": "train", "experiments": "tiny", **options}
    project, action, experiments = (given.pop(name) for name in ("project", "action", "experiments"))
    with pytest.raises(UsageError) as caught:
        taorunner.start(workspace, project, action, experiments, **given)
    assert text in caught.value.message
    assert workspace.runs() == []


def test_a_chain_with_a_variable_is_planned(workspace: taorunner.Workspace) -> None:
    overrides = {"train.num_epochs": 2}
    planned = taorunner.plan(
        workspace, "shapes", "convert", "tiny", then=["train", "evaluate"], env={"A": "1"}, overrides=overrides,
        overwrite=True,
    )  # fmt: skip
    assert [one.action for one in planned] == ["dataset_convert", "train", "evaluate"]
    assert [one.request["env"]["A"] for one in planned] == ["1", "1", "1"]
    assert any(token.endswith("/CHECKPOINT-OF-THE-CHAIN") for token in planned[-1].argv)


def test_an_unknown_option_is_a_type_error(workspace: taorunner.Workspace) -> None:
    with pytest.raises(TypeError, match="unexpected option 'overide'"):
        taorunner.start(workspace, "shapes", "train", "tiny", overide=True)  # type: ignore[call-arg]


def test_a_run_joins_a_batch(workspace: taorunner.Workspace) -> None:
    assert taorunner.start(workspace, "shapes", "dataset_convert", ["tiny", "small"], parallel=2).wait(
        timeout_s=120
    )
    first = taorunner.start(workspace, "shapes", "train", "tiny", overrides=LONG)
    second = taorunner.start(workspace, "shapes", "train", "small", overrides=SHORT, join=first.runs[0].id)
    assert second.id == first.id
    first.stop()  # on the CPU runs go one after the other
    assert second.wait(timeout_s=120)
    assert [run.experiment for run in second.runs] == ["small"]


def test_the_workspace_of_the_environment(
    workspace: taorunner.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAORUNNER_WORKSPACE", str(workspace.path))
    monkeypatch.chdir(tmp_path)
    assert taorunner.Workspace.find() == workspace
    with pytest.raises(UserFilesError, match="no workspace here or above"):
        taorunner.Workspace.find(tmp_path)
    with pytest.raises(UsageError, match="is not a workspace"):
        taorunner.Workspace.open(tmp_path)
    with pytest.raises(UserFilesError, match="is not empty"):
        taorunner.Workspace.create_example(tmp_path)


def test_findings_are_objects_with_places(workspace: taorunner.Workspace) -> None:
    file = workspace.project("shapes").path / "experiments.yml"
    file.write_text(file.read_text().replace("head: tinydet", "head: tinydett"))
    (first, *_) = taorunner.validate(workspace)
    assert (first.code, first.is_error, first.file, first.line) == ("unknown-head", True, file, 8)
    assert first.hint == 'did you mean "tinydet"?'
