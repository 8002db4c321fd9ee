"""``python -m taorunner.tracking [--once] RUN-FOLDER…``: sends runs to the trackers that their experiments name.

Without ``--once`` it follows the runs to their ends; the supervisor starts it like this, one process for a run. With
``--once`` it sends what they have now and prints a line of JSON for each tracker of each run; ``--to TRACKER`` is for
that one alone, also of runs whose experiments name none: MLflow's server is then that of MLFLOW_TRACKING_URI. A run
that another process sends is left to that one.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from taorunner.errors import RunStateError
from taorunner.events import now
from taorunner.project.tracking.words import (
    MLFLOW,
    TRACKERS,
    MlflowTarget,
    WandbTarget,
    mlflow_target,
    track_problems,
    wandb_target,
)
from taorunner.runs.state.store import RunStore
from taorunner.runs.state.tracking_state import TrackingState, read_tracking, save_tracking
from taorunner.state_files import open_state
from taorunner.tracking.following import Sender, follow, send_once, size_of
from taorunner.tracking.mlflow import MlflowServer, TrackingError
from taorunner.tracking.sender import RunSender
from taorunner.tracking.wandb_files import OfflineFiles
from taorunner.values.value import replace


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m taorunner.tracking")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN-FOLDER")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--to", choices=TRACKERS)
    given = parser.parse_args(argv)
    for number in (signal.SIGHUP, signal.SIGINT):
        if not given.once:
            signal.signal(number, signal.SIG_IGN)
    code = 0
    for folder in given.runs:
        store = RunStore(folder.absolute().parent.parent)
        for tracker, problem in _tracked(store, folder.name, is_once=given.once, to=given.to).items():
            code = code if problem is None else 1
            if given.once:
                _print(store, folder.name, tracker, problem)
    return code


def _tracked(store: RunStore, run_id: str, *, is_once: bool, to: str | None) -> dict[str, str | None]:
    """For each tracker why not all of the run was sent there; None when it was."""
    try:
        track = _track_of(store, run_id)
    except (OSError, ValueError, RunStateError) as error:
        return {to or MLFLOW: f"its files cannot be read: {error}"}
    if to is not None:
        track = {to: track.get(to, {})}
    if not track:
        return {MLFLOW: "its experiment names no server"}
    try:
        with _alone(store, run_id) as is_alone:
            if not is_alone:
                return dict.fromkeys(track, "another process sends it")
            return {name: _sent(store, run_id, name, track, is_once=is_once) for name in track}
    except OSError as error:
        return dict.fromkeys(track, f"its files cannot be read: {error}")


def _sent(
    store: RunStore, run_id: str, tracker: str, track: Mapping[str, Any], *, is_once: bool
) -> str | None:
    try:
        if tracker == MLFLOW:
            return _to_mlflow(store, run_id, mlflow_target(track) or MlflowTarget(), is_once=is_once)
        files = OfflineFiles(store, run_id, wandb_target(track) or WandbTarget(), now)
        _follow(files, store, run_id, is_once=is_once)
        return files.state.problem
    except (TrackingError, RunStateError) as error:
        return str(error)
    except (OSError, ValueError) as error:
        return f"its files cannot be read: {error}"


def _to_mlflow(store: RunStore, run_id: str, target: MlflowTarget, *, is_once: bool) -> str | None:
    address = target.address(os.environ)
    if address is None:
        text = f"{target.variable} is not set"
        _note(store, run_id, target, text)
        return text
    server = MlflowServer(address, os.environ, Path.home())
    try:
        sender = RunSender(store, run_id, server, target.experiment, now)
        _follow(sender, store, run_id, is_once=is_once)
        return sender.state.problem
    finally:
        server.close()


def _follow(sender: Sender, store: RunStore, run_id: str, *, is_once: bool) -> None:
    """To the end of the run, or once. Raises TrackingError, RunStateError."""
    if is_once:
        send_once(sender, time.sleep)
        return
    events = str(store.paths(run_id).events)
    follow(
        sender, lambda: size_of(events), lambda: store.load(run_id).state.is_final, time.monotonic, time.sleep
    )


def _note(store: RunStore, run_id: str, target: MlflowTarget, problem: str) -> None:
    """So that ``track status`` shows it."""
    state = read_tracking(store, run_id) or TrackingState("", target.experiment or store.load(run_id).project)
    with suppress(OSError):
        save_tracking(store, run_id, replace(state, problem=problem, at=now()))


def _track_of(store: RunStore, run_id: str) -> dict[str, Any]:
    """What the run's plan says of trackers, where that can be used. Raises OSError, ValueError."""
    body = store.plan_body(run_id)
    track = body.get("track") if isinstance(body, dict) else None
    return track if isinstance(track, dict) and not any(track_problems(track)) else {}


@contextmanager
def _alone(store: RunStore, run_id: str) -> Iterator[bool]:
    """False while another process of this machine sends the run. The kernel ends it with the process."""
    path = store.paths(run_id).directory / "tracking.lock"
    descriptor = open_state(path, os.O_WRONLY | os.O_CREAT, store.trust())
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _print(store: RunStore, run_id: str, tracker: str, problem: str | None) -> None:
    state = read_tracking(store, run_id, tracker)
    known = state.to_json() if state is not None and problem is None else {}
    print(json.dumps({"run": run_id, "target": tracker, **known, "problem": problem}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
